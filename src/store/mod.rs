//! # store — records, batches, one log
//!
//! *Owns* what is kept: typed records with revisions and indexes, and the numbered, hash-chained log.
//! *Gives* `Store`: get, find, page, tail, wait, and `commit` of a `Batch`.
//! *Needs* `Env` for the time, and a `Backend` (`redb`). *Never* learns a record's name or an event's meaning.
//!
//! Reads see committed state. A write is a `Batch`: pure data, checked as a whole by the pure `plan()` and
//! written in one durable transaction together with its log entries. Many batches share one transaction
//! (`writer`: group commit), and a refused batch leaves no trace in it.

mod aside;
mod backend;
pub mod backup;
mod batch;
mod chain;
mod log;
mod plan;
mod query;
mod record;
mod redb;
mod upgrade;
mod writer;

pub use batch::{Batch, Refused};
pub use log::{Checkpoint, LogEntry, LogRow};
pub use query::{Page, Query};
pub use record::{Index, Key, Life, Record, Revision, Seq, Stored};
pub use upgrade::{Reencode, Upgraded};

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use self::backend::{Ask, Backend, Head, Lies, RawLog};
use self::chain::{Signer, Walk};
use self::record::Row;
use self::redb::Redb;
use self::writer::Writer;
use crate::env::Env;
use crate::error::{Error, Result, codes};

/// The most rows that one page or one piece of the log has.
const MOST: usize = 1_000;

/// The store. Cheap to clone. Its last clone, when dropped, writes what waits and lets go of the file.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    upgraded: Option<Arc<Upgraded>>,
}

struct Inner {
    env: Env,
    backend: Arc<dyn Backend>,
    writer: Writer,
    signer: RwLock<Arc<Signer>>,
    tallies: Mutex<HashMap<&'static str, Tally>>,
    asides: aside::Asides,
}

/// Counts that are in memory alone, of one period.
#[derive(Default)]
struct Tally {
    period: i64,
    counts: HashMap<Vec<u8>, u64>,
}

impl Store {
    /// Opens the database file at `path`, or makes it (mode 0600); its directory must exist.
    /// Errors: `data_dir_in_use`, `storage_corrupt`, `storage_newer`, `storage_full`, `storage_error`.
    pub fn open(path: &Path, env: Env, options: Options) -> Result<Self> {
        let (backend, upgraded) = Redb::open(path, env.clone(), &options)?;
        Ok(Self { upgraded: upgraded.map(Arc::new), ..Self::on(Arc::new(backend), env, &options.checkpoint_seed)? })
    }

    /// What was done to the file when it was opened, if it had an earlier layout.
    pub fn upgraded(&self) -> Option<&Upgraded> {
        self.upgraded.as_deref()
    }

    /// An empty store that is gone with its last clone.
    pub fn in_memory(env: Env) -> Result<Self> {
        let seed = env.random();
        Self::on(Arc::new(Redb::in_memory(env.clone())?), env, &seed)
    }

    fn on(backend: Arc<dyn Backend>, env: Env, seed: &[u8; 32]) -> Result<Self> {
        let (writer, signer) =
            (Writer::start(Arc::clone(&backend), env.clone())?, RwLock::new(Arc::new(Signer::new(seed)?)));
        let inner = Inner { env, backend, writer, signer, tallies: Mutex::default(), asides: aside::Asides::default() };
        Ok(Self { inner: Arc::new(inner), upgraded: None })
    }

    /// The record with that key, unless it has expired.
    pub async fn get<T: Record>(&self, key: Key) -> Result<Option<Stored<T>>> {
        self.live(self.inner.backend.fetch(T::KIND, &key).await?)
    }

    /// The record that holds a unique value, unless it has expired.
    pub async fn find<T: Record>(&self, index: &'static str, value: impl AsRef<[u8]>) -> Result<Option<Stored<T>>> {
        let bytes = value.as_ref().to_vec();
        // So that the future can go to another thread whatever the caller passed.
        drop(value);
        self.live(self.inner.backend.find(T::KIND, index, &bytes).await?)
    }

    fn live<T: Record>(&self, row: Option<Row>) -> Result<Option<Stored<T>>> {
        row.filter(|row| !row.expired(self.inner.env.now())).map(|row| row.decode()).transpose()
    }

    /// One page of a list. A record that is there all the while, with the same value of what the list is sorted by,
    /// is on exactly one page, whatever comes and goes between two of them.
    ///
    /// With further conditions (`Query::with`, `Query::with_starting`) the effort of one page is bounded: a page may
    /// then be shorter than its limit, even empty, and still have a next one.
    pub async fn page<T: Record>(&self, query: Query) -> Result<Page<T>> {
        let ask = Ask {
            kind: T::KIND,
            order: query.order,
            also: query.also,
            after: query.after,
            newest_first: query.newest_first,
            limit: query.limit.clamp(1, MOST),
            now: self.inner.env.now(),
        };
        let listing = self.inner.backend.page(ask).await?;
        let items = listing.rows.iter().map(Row::decode).collect::<Result<_>>()?;
        Ok(Page { items, next: listing.next })
    }

    /// How many rows lists have read since the store was opened: what shows whether an index serves a list.
    pub fn rows_listed(&self) -> u64 {
        self.inner.backend.listed()
    }

    /// How many records each kind has; kinds without one are left out.
    pub async fn counts(&self) -> Result<BTreeMap<String, u64>> {
        self.inner.backend.counts(self.inner.env.now()).await
    }

    /// How many records have that value in a `many` index. It walks them: for hundreds, not for millions.
    pub async fn count_by<T: Record>(&self, index: &'static str, value: impl AsRef<[u8]>) -> Result<u64> {
        let bytes = value.as_ref().to_vec();
        drop(value);
        self.inner.backend.count_by(T::KIND, index, &bytes, self.inner.env.now()).await
    }

    /// How many records have that value in a `many` index, and the cursor behind record number `nth` of the list
    /// `Query::by` of it. It walks the index alone: a hundred thousand take some milliseconds. For kinds that never
    /// expire.
    pub async fn entries<T: Record>(
        &self,
        index: &'static str,
        value: impl AsRef<[u8]>,
        nth: u64,
    ) -> Result<(u64, Option<Vec<u8>>)> {
        let bytes = value.as_ref().to_vec();
        drop(value);
        self.inner.backend.entries(T::KIND, index, &bytes, nth).await
    }

    /// Writes a batch: all of it, durably, or nothing. A batch without changes and entries is not written, and tells
    /// the number of the last commit. If the future is dropped, the batch may still be written.
    pub async fn commit(&self, batch: Batch) -> std::result::Result<Seq, Refused> {
        self.inner.writer.commit(batch).await
    }

    /// Adds one to somebody's count of this process, and tells the sum; all of `what` begin anew with each `period`. It is in
    /// memory alone, and exact however many add at the same time: for what must not be written in order to be counted. As many
    /// are kept as there are to count: name nobody here who names themselves.
    pub fn tally(&self, what: &'static str, whose: &[u8], period: i64) -> u64 {
        let mut tallies = self.inner.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry(what).or_default();
        if tally.period != period {
            *tally = Tally { period, ..Tally::default() };
        }
        let count = tally.counts.entry(whose.to_vec()).or_default();
        *count += 1;
        *count
    }

    /// Whether the last write went well: for health checks. Reads go on when it did not.
    /// Errors: `storage_full`, `storage_error`.
    pub fn health(&self) -> Result<()> {
        self.inner.writer.trouble().map_or(Ok(()), |refused| Err(refused.into()))
    }

    /// Rows of the log behind number `after`, at most `limit` (never more than 1,000), of one organization or of all.
    pub async fn tail(&self, after: u64, limit: usize, org: Option<[u8; 16]>) -> Result<Vec<Logged>> {
        let raw = self.inner.backend.log(after, limit.clamp(1, MOST), org).await?;
        raw.into_iter().map(Logged::from_raw).collect()
    }

    /// Rows of the log before number `before`, the newest first, at most `limit` (never more than 1,000), of one
    /// organization or of all.
    pub async fn back(&self, before: u64, limit: usize, org: Option<[u8; 16]>) -> Result<Vec<Logged>> {
        let raw = self.inner.backend.log_back(before, limit.clamp(1, MOST), org).await?;
        raw.into_iter().map(Logged::from_raw).collect()
    }

    /// The number of the last row of the log that is older than a time. Rows never go back in time, so halving finds
    /// it.
    pub async fn log_before(&self, at: crate::env::Timestamp) -> Result<u64> {
        let (mut low, mut high) = (0, self.log_seq());
        while low < high {
            let middle = low + (high - low) / 2;
            // What was pruned is older than everything that is left.
            match self.tail(middle, 1, None).await?.first() {
                Some(row) if row.row.at < at => low = row.row.seq.min(high),
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Removes the log's beginning up to number `until`, in transactions of at most 1,000 rows; its last row stays.
    /// Where it begins now is signed, so that the chain can still be walked. Tells how many transactions that were.
    pub async fn prune_log(&self, until: u64) -> Result<usize> {
        let mut rounds = 0;
        loop {
            let (signer, env) = (self.signer(), self.inner.env.clone());
            let sign = move |head: &Head| signer.sign_floor(head, env.now());
            if !self.inner.writer.run(move |backend| backend.prune(until, MOST, &sign)).await? {
                return Ok(rounds);
            }
            rounds += 1;
        }
    }

    /// The number of the last row that was pruned; 0 while none was.
    pub async fn log_floor(&self) -> Result<u64> {
        Ok(self.inner.backend.floor().await?.map_or(0, |floor| floor.seq))
    }

    /// The number of the log's last row; 0 while there is none.
    pub fn log_seq(&self) -> u64 {
        self.inner.backend.log_seq()
    }

    /// Waits until the log has a row behind `after`, and tells the number of its last. Errors: `shutting_down`.
    pub async fn wait(&self, after: u64) -> Result<u64> {
        self.inner.writer.wait(after).await
    }

    /// Removes what has expired, in transactions of at most 1,000 rows, and tells how many rows that were.
    pub async fn sweep(&self) -> Result<usize> {
        let mut swept = 0;
        loop {
            // One job each, so that commits come in between.
            let some = self.inner.writer.run(|backend| backend.sweep(MOST)).await?;
            swept += some;
            if some < MOST {
                return Ok(swept);
            }
        }
    }

    /// Makes the `many` and ordered index entries of all records of a kind what `Record::indexes` says today, in
    /// transactions of at most 1,000 rows: for rows that were written before an index existed. No revision changes,
    /// and unique values stay as they are. Tells how many transactions that were.
    pub async fn reindex<T: Record>(&self) -> Result<usize> {
        let (mut after, mut rounds) = (None, 0);
        loop {
            let from: Option<Key> = after.take();
            let indexes = |row: &Row| Ok(row.decode::<T>()?.value.indexes());
            let last =
                self.inner.writer.run(move |backend| backend.reindex(T::KIND, from.as_ref(), MOST, &indexes)).await?;
            rounds += 1;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(rounds),
            }
        }
    }

    /// Signs and checks checkpoints with the key of another seed from now on: what the first master key of a database
    /// gave, whatever its master key is by now.
    pub fn sign_checkpoints_with(&self, seed: &[u8; 32]) -> Result<()> {
        let signer = Arc::new(Signer::new(seed)?);
        *self.inner.signer.write().unwrap_or_else(PoisonError::into_inner) = signer;
        Ok(())
    }

    fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.inner.signer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs where the log ends now. `None` while there is nothing new to sign.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let (signer, env) = (self.signer(), self.inner.env.clone());
        self.inner.writer.run(move |backend| backend.checkpoint(&|head| signer.sign(head, env.now()))).await
    }

    /// Every checkpoint, by number.
    pub async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        self.inner.backend.checkpoints().await
    }

    /// Walks the whole chain with its details and checkpoints, and names the first row that does not fit.
    pub async fn verify_log(&self) -> Result<LogReport> {
        Ok(self.verify_log_piece(None, u64::MAX).await?.0)
    }

    /// Walks on from a row that fits, given by number and hash, over at most `most` rows; from the log's beginning
    /// where none is given. What it tells is of this piece; the second part is the row that fits last, until the end
    /// is reached.
    pub async fn verify_log_piece(
        &self,
        from: Option<(u64, [u8; 32])>,
        most: u64,
    ) -> Result<(LogReport, Option<(u64, [u8; 32])>)> {
        let (backend, signer) = (&self.inner.backend, self.signer());
        // In this order: whatever a checkpoint covers lies before the head.
        let checkpoints = backend.checkpoints().await?;
        let mut walk = match from {
            Some((seq, hash)) => Walk::after(checkpoints, seq, hash),
            None => Walk::on(checkpoints, backend.floor().await?, &signer),
        };
        let mut head = backend.head().await?;
        let mut eraser: Option<LogRow> = None;
        let begun = walk.at();
        while walk.at() < head.log && !walk.is_over() {
            if walk.at() - begun >= most {
                let (report, last) = walk.pause();
                return Ok((report, Some(last)));
            }
            let left = usize::try_from(head.log - walk.at()).unwrap_or(MOST);
            let rows = backend.log(walk.at(), left.min(MOST), None).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                if let Lies::Erased(by) = row.detail
                    && eraser.as_ref().is_none_or(|row| row.seq != by)
                {
                    eraser = self.eraser(by, &mut head).await?;
                }
                if !walk.step(row, eraser.as_ref(), &signer) {
                    break;
                }
            }
            tokio::task::yield_now().await;
        }
        Ok((walk.finish(&head), None))
    }

    /// The row that another's detail was erased with, if there is one up to the log's end: the walk shall come to it. A
    /// detail may be erased while the walk goes on, so its end may be one of now.
    async fn eraser(&self, by: u64, head: &mut Head) -> Result<Option<LogRow>> {
        let backend = &self.inner.backend;
        if by > head.log {
            *head = backend.head().await?;
        }
        let Some(before) = by.checked_sub(1).filter(|_| by <= head.log) else { return Ok(None) };
        Ok(backend.log(before, 1, None).await?.pop().and_then(|raw| raw.row))
    }

    /// Writes what waits, then lets go of the file. Other clones find everything refused from then on.
    pub async fn close(&self) {
        self.inner.writer.close().await;
    }
}

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// The page cache of the back end, in bytes. 32 MiB by default.
    pub cache_bytes: usize,
    /// The seed of the Ed25519 key that signs checkpoints, until `sign_checkpoints_with` names another.
    pub checkpoint_seed: [u8; 32],
    /// The kinds whose rows an upgrade writes anew. None by default.
    pub reencode: Vec<Reencode>,
    /// Whether the file is copied before an upgrade. It is by default.
    pub keep_before: bool,
}

impl Options {
    /// The usual ones, with the key that signs checkpoints.
    pub fn new(checkpoint_seed: [u8; 32]) -> Self {
        Self { cache_bytes: 32 * 1024 * 1024, checkpoint_seed, reencode: Vec::new(), keep_before: true }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The seed is a secret.
        f.debug_struct("Options").field("cache_bytes", &self.cache_bytes).finish_non_exhaustive()
    }
}

/// A row of the log with its detail, if that was not erased.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The row.
    pub row: LogRow,
    /// The erasable part.
    pub detail: Option<Vec<u8>>,
}

impl Logged {
    fn from_raw(raw: RawLog) -> Result<Self> {
        let row = raw.row.ok_or_else(|| {
            Error::new(&codes::STORAGE_CORRUPT).because(format!("row {} of the log cannot be read", raw.seq))
        })?;
        let detail = match raw.detail {
            Lies::Detail(detail) => Some(detail.bytes),
            Lies::Erased(_) | Lies::Nothing => None,
        };
        Ok(Self { row, detail })
    }
}

/// What a walk over the whole chain found.
#[derive(Clone, Debug, Default)]
pub struct LogReport {
    /// Rows read.
    pub rows: u64,
    /// Checkpoints that hold.
    pub checkpoints: u64,
    /// Rows whose detail was erased.
    pub erased: u64,
    /// Rows up to this one were pruned by authd itself; 0 while none was.
    pub pruned: u64,
    /// The first row that does not fit, and why.
    pub broken: Option<(u64, String)>,
}
