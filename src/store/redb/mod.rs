//! # redb — the store in one file, or in memory
//!
//! *Owns* the file, its layout, and its recovery. *Gives* a `Backend`.
//! *Needs* the rules from `plan()`. *Never* decides anything itself.
//!
//! redb refuses everything after one I/O error until it is closed and opened again, also when there is space again
//! since. So a failed commit is never repeated here: it is answered as failed, the file is opened anew, and what it
//! holds then is the truth, whether the failed commit reached the disk or not.

pub(super) mod copy;
mod fault;
mod file;
mod layout;
mod list;
mod migrate;
mod peek;
mod read;
mod write;

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use self::file::{Occasion, Opener};
use self::migrate::Upgrade;
use self::write::Tables;
use super::Options;
use super::backend::{Ask, Backend, Fault, Head, Listing, Nature, RawLog, Sink};
use super::batch::{Batch, Refused};
use super::log::Checkpoint;
use super::record::{Index, Key, Row, Seq};
use super::upgrade::Upgraded;
use crate::env::{Env, Timestamp};
use crate::error::Result;

/// A store on redb.
pub struct Redb {
    env: Env,
    opener: Opener,
    slot: RwLock<Slot>,
    log_seq: AtomicU64,
    listed: AtomicU64,
}

/// The database, and how often it was opened: whoever saw a failure names the opening it saw it in, so that many
/// failures lead to one reopening.
struct Slot {
    state: State,
    opened: u64,
}

enum State {
    Open(Database),
    /// It could not be opened again; every access tries anew.
    Failed(Fault),
    Closed,
}

impl Redb {
    /// Opens the file at `path`, or makes it. One of an earlier layout is brought to this one first.
    pub fn open(path: &Path, env: Env, options: &Options) -> Result<(Self, Option<Upgraded>)> {
        let open = || guarded(|| Self::start(file::on_disk(path, &env, options.cache_bytes)?, env.clone()));
        match open() {
            Err(Fault { nature: Nature::Older, .. }) => {
                let upgrade = Upgrade { reencode: &options.reencode, keep_before: options.keep_before };
                let upgraded = guarded(|| migrate::bring_forward(path, &env, &upgrade))?;
                Ok((open()?, upgraded))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// An empty store in memory.
    pub fn in_memory(env: Env) -> Result<Self> {
        Ok(Self::start(file::in_memory(8 * 1024 * 1024)?, env)?)
    }

    fn start(opener: Opener, env: Env) -> Result<Self, Fault> {
        let database = opener(Occasion::Start)?;
        let slot = RwLock::new(Slot { state: State::Open(database), opened: 1 });
        let this = Self { env, opener, slot, log_seq: AtomicU64::new(0), listed: AtomicU64::new(0) };
        this.learn_head()?;
        Ok(this)
    }

    fn learn_head(&self) -> Result<(), Fault> {
        self.read(read::head).map(|head| self.log_seq.store(head.log, Ordering::Release))
    }

    /// The last committed state, for a long read. Nothing is locked meanwhile: when the database is opened anew, the
    /// read fails, and nobody waits for it.
    fn snapshot(&self) -> Result<ReadTransaction, Fault> {
        let attempt = || self.with(|database| Ok(database.begin_read()?));
        match attempt() {
            Err((fault, opened)) if fault.nature.may_pass() => {
                self.reopen(opened)?;
                attempt().map_err(|(fault, _)| fault)
            }
            done => done.map_err(|(fault, _)| fault),
        }
    }

    /// Does something with the database as it is open now.
    fn with<T>(&self, what: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T, (Fault, u64)> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let done = match &slot.state {
            State::Open(database) => guarded(|| what(database)),
            State::Failed(fault) => Err(fault.clone()),
            State::Closed => Err(Fault::new(Nature::Closed, "the store is closed")),
        };
        done.map_err(|fault| (fault, slot.opened))
    }

    /// Reads from the last committed state. A read that fails is repeated once on a database opened anew.
    fn read<T>(&self, what: impl Fn(&ReadTransaction) -> Result<T, Fault>) -> Result<T, Fault> {
        let attempt = || self.with(|database| what(&database.begin_read()?));
        match attempt() {
            Err((fault, opened)) if fault.nature.may_pass() => {
                self.reopen(opened)?;
                attempt().map_err(|(fault, _)| fault)
            }
            done => done.map_err(|(fault, _)| fault),
        }
    }

    /// Writes in one durable transaction. `what` tells whether it changed anything; if not, nothing is written.
    fn write<T>(&self, what: impl Fn(&mut Tables) -> Result<(T, bool), Fault>) -> Result<T, Fault> {
        let begun = Cell::new(false);
        let attempt = || {
            self.with(|database| {
                let transaction = write_transaction(database)?;
                let mut tables = Tables::open(&transaction)?;
                begun.set(true);
                let (done, changed) = what(&mut tables)?;
                drop(tables);
                if changed {
                    transaction.commit()?;
                } else {
                    transaction.abort()?;
                }
                Ok(done)
            })
        };
        let mut done = attempt();
        // Something failed earlier and left redb unusable. Nothing of this transaction was tried yet, so it may be
        // tried on a database opened anew. Once it has begun, it is never tried twice.
        if let Err((fault, opened)) = &done
            && fault.nature.may_pass()
            && !begun.get()
            && self.reopen(*opened).is_ok()
        {
            done = attempt();
        }
        done.map_err(|(fault, opened)| {
            if fault.nature != Nature::Closed
                && let Err(again) = self.reopen(opened)
            {
                tracing::error!(cause = %again.cause, "the database could not be opened again");
            }
            fault
        })
    }

    /// Closes the database and opens it again, unless somebody did since it was `opened` for that time.
    fn reopen(&self, opened: u64) -> Result<(), Fault> {
        {
            let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
            match &slot.state {
                State::Closed => return Err(Fault::new(Nature::Closed, "the store is closed")),
                State::Open(_) if slot.opened != opened => return Ok(()),
                _ => {}
            }
            // The old one must be gone first: it holds the lock of the file.
            slot.state = State::Failed(Fault::new(Nature::Io, "the database is being opened again"));
            slot.opened += 1;
            match guarded(|| (self.opener)(Occasion::Again)) {
                Ok(database) => slot.state = State::Open(database),
                Err(fault) => {
                    slot.state = State::Failed(fault.clone());
                    return Err(fault);
                }
            }
        }
        tracing::warn!("the database was opened again after an I/O error");
        let head = self.with(|database| read::head(&database.begin_read()?)).map_err(|(fault, _)| fault)?;
        self.log_seq.store(head.log, Ordering::Release);
        Ok(())
    }
}

#[async_trait]
impl Backend for Redb {
    async fn fetch(&self, kind: &'static str, key: &Key) -> Result<Option<Row>> {
        Ok(self.read(|from| read::row(from, kind, key))?)
    }

    async fn find(&self, kind: &'static str, index: &'static str, value: &[u8]) -> Result<Option<Row>> {
        Ok(self.read(|from| read::find(from, kind, index, value))?)
    }

    async fn page(&self, ask: Ask) -> Result<Listing> {
        let listing = self.read(|from| list::page(from, &ask))?;
        self.listed.fetch_add(listing.read, Ordering::Relaxed);
        Ok(listing)
    }

    async fn counts(&self, now: Timestamp) -> Result<BTreeMap<String, u64>> {
        Ok(self.read(|from| read::counts(from, now))?)
    }

    async fn count_by(&self, kind: &'static str, index: &'static str, value: &[u8], now: Timestamp) -> Result<u64> {
        Ok(self.read(|from| read::count_by(from, kind, index, value, now))?)
    }

    async fn entries(
        &self,
        kind: &'static str,
        index: &'static str,
        value: &[u8],
        nth: u64,
    ) -> Result<(u64, Option<Vec<u8>>)> {
        Ok(self.read(|from| read::entries(from, kind, index, value, nth))?)
    }

    async fn log(&self, after: u64, limit: usize, org: Option<[u8; 16]>) -> Result<Vec<RawLog>> {
        Ok(self.read(|from| read::log(from, after, limit, org.as_ref()))?)
    }

    async fn log_back(&self, before: u64, limit: usize, org: Option<[u8; 16]>) -> Result<Vec<RawLog>> {
        Ok(self.read(|from| read::log_back(from, before, limit, org.as_ref()))?)
    }

    async fn floor(&self) -> Result<Option<Checkpoint>> {
        Ok(self.read(read::floor)?)
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        Ok(self.read(read::checkpoints)?)
    }

    async fn head(&self) -> Result<Head> {
        Ok(self.read(read::head)?)
    }

    fn listed(&self) -> u64 {
        self.listed.load(Ordering::Relaxed)
    }

    fn log_seq(&self) -> u64 {
        self.log_seq.load(Ordering::Acquire)
    }

    fn apply(&self, batches: &[Batch]) -> Vec<Result<Seq, Refused>> {
        match self.write(|tables| tables.apply(batches, &self.env)) {
            Ok((outcomes, log)) => {
                self.log_seq.store(log, Ordering::Release);
                outcomes
            }
            // Also a batch that was refused: what it was judged against was not written.
            Err(fault) => {
                tracing::error!(cause = %fault.cause, batches = batches.len(), "a group of batches was not written");
                batches.iter().map(|_| Err(fault.clone().into())).collect()
            }
        }
    }

    fn sweep(&self, limit: usize) -> Result<usize> {
        let now = self.env.now();
        Ok(self.write(|tables| tables.sweep(now, limit).map(|swept| (swept, swept > 0)))?)
    }

    fn reindex(
        &self,
        kind: &'static str,
        after: Option<&Key>,
        limit: usize,
        indexes: &dyn Fn(&Row) -> Result<Vec<Index>>,
    ) -> Result<Option<Key>> {
        Ok(self.write(|tables| tables.reindex(kind, after, limit, indexes))?)
    }

    fn checkpoint(&self, sign: &dyn Fn(&Head) -> Checkpoint) -> Result<Option<Checkpoint>> {
        Ok(self.write(|tables| tables.checkpoint(sign).map(|made| (made.clone(), made.is_some())))?)
    }

    fn prune(&self, until: u64, limit: usize, sign: &dyn Fn(&Head) -> Checkpoint) -> Result<bool> {
        Ok(self.write(|tables| tables.prune(until, limit, sign).map(|pruned| (pruned, pruned)))?)
    }

    fn pour(&self, sink: &mut dyn Sink) -> Result<()> {
        let from = self.snapshot()?;
        let head = guarded(|| read::head(&from))?;
        sink.begin(layout::SCHEMA, &head)?;
        guarded(|| Ok(copy::pour(&from, sink)))?
    }

    fn close(&self) {
        self.slot.write().unwrap_or_else(PoisonError::into_inner).state = State::Closed;
    }
}

/// The one place that begins to write. Quick repair means two-phase commit too: the file opens at once after a
/// crash, and no crash takes back what was acknowledged.
#[expect(clippy::disallowed_methods, reason = "this is where the store writes")]
fn write_transaction(database: &Database) -> Result<WriteTransaction, Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// The layout that this authd writes; it reads those before.
pub fn newest_layout() -> u32 {
    layout::SCHEMA
}

/// redb panics where its own file cannot be as it is. That is damage, and no reason to stop serving.
fn guarded<T>(what: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|panic| Err(Fault::corrupt(panic_text(&*panic))))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("redb panicked: {}", text.unwrap_or("without a word"))
}

#[cfg(test)]
mod tests;
