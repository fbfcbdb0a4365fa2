//! Every kind of record with sealed values, and the walk that seals them anew.

use std::marker::PhantomData;

use async_trait::async_trait;

use crate::access::Context;
use crate::connection::Connection;
use crate::crypto::Sealing;
use crate::error::{Result, codes};
use crate::event::EventKind;
use crate::provider::RefreshFamily;
use crate::signin::Attempt;
use crate::store::{Batch, Query, Record};
use crate::token::SigningKey;
use crate::webhook::{Endpoint, Inbound};

/// So many records are looked at, and sealed anew in one commit.
const CHUNK: usize = 200;

/// A kind of record with sealed values, without its type.
#[async_trait]
pub trait Resealing: Send + Sync {
    /// See `Record::KIND`.
    fn kind(&self) -> &'static str;
    /// Seals anew what is sealed under an older key, in the records behind `after`: one commit, with one event.
    /// Errors: those of the store.
    async fn reseal(&self, cx: &Context, after: Option<Vec<u8>>) -> Result<Chunk>;
}

/// What was done with one chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Where the next one begins; none after the last.
    pub next: Option<Vec<u8>>,
    /// Records that were sealed anew.
    pub resealed: u64,
    /// Records that no key of the ring opens: lost before, and left as they are.
    pub unreadable: u64,
    /// Records that somebody changed at this very moment; the next walk finds them.
    pub missed: u64,
}

/// Every kind of record with sealed values. The one record that is not here is the master key's own: it goes last.
pub fn sealed() -> Vec<Box<dyn Resealing>> {
    vec![
        of::<Connection>(),
        of::<SigningKey>(),
        of::<RefreshFamily>(),
        of::<Attempt>(),
        of::<Endpoint>(),
        of::<Inbound>(),
    ]
}

struct Of<T>(PhantomData<fn() -> T>);

fn of<T: Record + Sealing>() -> Box<dyn Resealing> {
    Box::new(Of::<T>(PhantomData))
}

#[async_trait]
impl<T: Record + Sealing> Resealing for Of<T> {
    fn kind(&self) -> &'static str {
        T::KIND
    }

    async fn reseal(&self, cx: &Context, after: Option<Vec<u8>>) -> Result<Chunk> {
        let mut limit = CHUNK;
        loop {
            let page = cx.store.page::<T>(Query::all().limit(limit).after(after.clone())).await?;
            let mut done = Chunk { next: page.next, ..Chunk::default() };
            let mut batch = Batch::new();
            for mut stored in page.items {
                match stored.value.reseal(&cx.env, &cx.deployment.master_key) {
                    Ok(false) => {}
                    Ok(true) => {
                        batch.update(&stored.value, stored.revision);
                        done.resealed += 1;
                    }
                    Err(error) if error.is(&codes::MASTER_KEY_WRONG) => done.unreadable += 1,
                    Err(error) => return Err(error),
                }
            }
            if done.resealed == 0 {
                return Ok(done);
            }
            let event = cx.event(EventKind::MasterKeyResealed).with("kind", T::KIND).with("records", done.resealed);
            batch.log(event);
            match cx.store.commit(batch).await {
                Ok(_) => return Ok(done),
                // Sign-ins go on meanwhile. The fewer records in a chunk, the fewer of them are changed under it.
                Err(refused) if refused.is_race() && limit > 1 => limit = (limit / 4).max(1),
                Err(refused) if refused.is_race() => {
                    return Ok(Chunk { resealed: 0, missed: done.resealed, ..done });
                }
                Err(refused) => return Err(refused.into()),
            }
        }
    }
}
