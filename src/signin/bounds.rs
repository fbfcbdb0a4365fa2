//! What strangers can make a sign-in keep: attempts that wait for a browser, and traces.
//!
//! Anybody can begin a sign-in. Per client address at most 100 wait at a time, 50,000 in all; the traces of what came
//! back are at most 1,000 a connection. Both are bounded in bytes, too: a flood does not grow the file. An attempt that waits
//! has no trace of its own: there is nothing to tell but the attempt itself.

use std::net::IpAddr;

use tokio::sync::OnceCell;

use super::attempt::{Attempt, LIFETIME, Step};
use super::shelf::{Piece, Share, Shelf};
use super::trace::Trace;
use crate::access::Context;
use crate::env::Timestamp;
use crate::error::{Error, Result};
use crate::http::guard::same_client;
use crate::id::{AttemptId, ConnectionId};
use crate::store::{Batch, Key, Query, Record, Store};

/// Attempts that wait: of one address, in all, and in bytes. The file needs up to four times these bytes, for its trees are
/// never full; so a flood from any number of addresses grows it by less than 20 MiB.
const WAITING: Share = Share { group: 100, rows: 50_000, bytes: 5 * 1024 * 1024 };
/// Traces that are kept: of one connection (those without one are one group), in all, and in bytes.
const TRACES: Share = Share { group: 1_000, rows: 100_000, bytes: 20 * 1024 * 1024 };
/// What a row costs besides its own bytes: its keys, its entries in three or four indexes.
const ROW: usize = 400;
/// How often a batch is made again when a row that has to go went by itself.
const RETRIES: usize = 8;

/// The two shelves. Made once; read from the store at the first use.
#[derive(Debug)]
pub struct Bounds {
    shelves: OnceCell<Shelves>,
}

#[derive(Debug)]
struct Shelves {
    waiting: Shelf<IpAddr>,
    traces: Shelf<Option<ConnectionId>>,
}

fn size(record: &impl minicbor::Encode<()>) -> Result<usize> {
    Ok(minicbor::to_vec(record).map_err(|error| Error::bug(error.to_string()))?.len() + ROW)
}

fn waiting(attempt: &Attempt) -> Result<Piece<IpAddr>> {
    let until = attempt.created_at + LIFETIME;
    Ok(Piece { group: attempt.client(), id: attempt.id, bytes: size(attempt)?, until })
}

fn kept(trace: &Trace) -> Result<Piece<Option<ConnectionId>>> {
    let until = trace.expires_at().unwrap_or(trace.started_at);
    Ok(Piece { group: trace.connection, id: trace.id, bytes: size(trace)?, until })
}

/// The client that an attempt is counted for.
pub fn client(cx: &Context) -> Option<IpAddr> {
    cx.origin.ip.map(same_client)
}

impl Bounds {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self { shelves: OnceCell::new() }
    }

    async fn shelves(&self, cx: &Context) -> Result<&Shelves> {
        self.shelves.get_or_try_init(|| read(&cx.store, cx.env.now())).await
    }

    /// Writes the attempt that begins; what has to make room goes in the same commit.
    pub(super) async fn begin(&self, cx: &Context, attempt: &Attempt) -> Result<()> {
        let shelves = self.shelves(cx).await?;
        let displaced = shelves.waiting.put(waiting(attempt)?, cx.env.now());
        let mut tries = 0;
        let written = loop {
            let mut batch = Batch::new();
            batch.create(attempt);
            let room = async {
                for id in &displaced {
                    leave::<Attempt>(&cx.store, *id, &mut batch).await?;
                }
                cx.store.commit(batch).await.map(drop).map_err(Error::from)
            };
            match room.await {
                Err(error) if error.is(&crate::error::codes::STALE) && tries < RETRIES => tries += 1,
                done => break done,
            }
        };
        if written.is_err() {
            shelves.waiting.remove(attempt.id);
        } else if !shelves.waiting.holds(attempt.id) {
            // It had to make room before it was written, so whoever came then did not find it.
            clear(cx, attempt.id).await?;
        }
        written
    }

    /// The browser came back, or the attempt ended: it waits no more.
    pub(super) async fn returned(&self, cx: &Context, attempt: AttemptId) -> Result<()> {
        self.shelves(cx).await?.waiting.remove(attempt);
        Ok(())
    }

    /// Adds the trace of what came back to the batch; what has to make room goes in the same.
    pub(super) async fn trace(&self, cx: &Context, trace: &Trace, batch: &mut Batch) -> Result<()> {
        let displaced = self.shelves(cx).await?.traces.put(kept(trace)?, cx.env.now());
        for id in displaced {
            leave::<Trace>(&cx.store, id, batch).await?;
        }
        batch.put(trace);
        Ok(())
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::new()
    }
}

/// Removes an attempt, whoever else is at it.
async fn clear(cx: &Context, id: AttemptId) -> Result<()> {
    for _ in 0..RETRIES {
        let mut batch = Batch::new();
        leave::<Attempt>(&cx.store, id, &mut batch).await?;
        match cx.store.commit(batch).await {
            Err(refused) if refused.is_race() => {}
            done => return done.map(drop).map_err(Into::into),
        }
    }
    // What is still there goes when its time is over.
    Ok(())
}

/// Adds that the row goes, if it is still there.
async fn leave<T: Record>(store: &Store, id: AttemptId, batch: &mut Batch) -> Result<()> {
    let key = Key::from_bytes(id.bytes());
    if let Some(there) = store.get::<T>(key.clone()).await? {
        batch.delete::<T>(key, there.revision);
    }
    Ok(())
}

/// What lies in the store already. What is too much for a share is left to its expiry.
async fn read(store: &Store, now: Timestamp) -> Result<Shelves> {
    let shelves = Shelves { waiting: Shelf::new(WAITING), traces: Shelf::new(TRACES) };
    let mut cursor = None;
    loop {
        let page = store.page::<Trace>(Query::all().limit(1_000).after(cursor)).await?;
        for trace in &page.items {
            shelves.traces.put(kept(trace)?, now);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    loop {
        let page = store.page::<Attempt>(Query::all().limit(1_000).after(cursor)).await?;
        for attempt in page.items.iter().filter(|attempt| attempt.step == Step::Sent) {
            shelves.waiting.put(waiting(attempt)?, now);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(shelves);
        }
    }
}
