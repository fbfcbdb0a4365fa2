//! What a back end must be able to do. No rule lives below this line: back ends read rows, and write what the
//! pure `plan()` decided, all of it in one durable transaction.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::batch::{Batch, Refused};
use super::log::{Checkpoint, LogRow};
use super::record::{Index, Key, Row, Seq};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// How far the store has come. Kept in the same transaction as what it counts.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Head {
    /// The number of the last commit.
    #[n(0)]
    pub commit: u64,
    /// The number of the log's last row; 0 while there is none.
    #[n(1)]
    pub log: u64,
    /// The hash of that row; zeros while there is none.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub hash: [u8; 32],
    /// The time of that row.
    #[n(3)]
    pub at: Timestamp,
}

impl Default for Head {
    fn default() -> Self {
        Self { commit: 0, log: 0, hash: [0; 32], at: Timestamp::from_millis(i64::MIN) }
    }
}

/// Where a row stands: kind and key, also for kinds this build has no type for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The record's kind.
    pub kind: String,
    /// The key within it.
    pub key: Key,
}

/// One value of one index of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The record's kind.
    pub kind: String,
    /// The index's name.
    pub index: String,
    /// The value.
    pub value: Vec<u8>,
}

impl Entry {
    /// The entry that a row of `kind` asks for with `index`.
    pub fn of(kind: &str, index: &Index) -> Self {
        Self { kind: kind.to_owned(), index: index.name.clone(), value: index.value.clone() }
    }
}

/// The erasable part of a log row, with the salt that keeps its digest from being guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Random, one for each row, gone with the detail.
    pub salt: [u8; 16],
    /// See `LogEntry::detail`.
    pub bytes: Vec<u8>,
}

/// One thing to write. `plan()` makes them; a back end carries them out blindly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// The row as it shall be, or none.
    Row(Place, Option<Row>),
    /// Who holds the unique value from now on, or nobody.
    Unique(Entry, Option<Key>),
    /// Whether that row is listed under that value.
    Many(Entry, Key, bool),
    /// The same for an ordered index.
    Ordered(Entry, Key, bool),
    /// Whether the sweep finds that row at that time.
    Expiry(Timestamp, Place, bool),
    /// The next row of the log, with its detail; the details of the rows that it erases go.
    Log(LogRow, Detail),
}

/// What `plan()` reads. A back end answers from its open transaction, so that earlier batches of a group are seen.
pub trait View {
    /// The row as it is kept, expired or not.
    fn row(&self, kind: &str, key: &Key) -> Result<Option<Row>, Refused>;
    /// The key of the row that holds a unique value, expired or not.
    fn holder(&self, entry: &Entry) -> Result<Option<Key>, Refused>;
}

/// A list that is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The record's kind.
    pub kind: &'static str,
    /// What is walked, and in which order.
    pub order: Order,
    /// Only rows that all of these hold for, too.
    pub also: Vec<Also>,
    /// Only places behind this one, in the direction of the list.
    pub after: Option<Vec<u8>>,
    /// The greatest place first.
    pub newest_first: bool,
    /// At most so many rows.
    pub limit: usize,
    /// Rows that have expired by then are left out.
    pub now: Timestamp,
}

/// What a list is walked by. It gives every row its place: bytes that stay what they are while row and value do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The rows with a key that begins so. The place is the key.
    Rows(Vec<u8>),
    /// The rows with that value in a `many` index and a key that begins so. The place is the key.
    Many(&'static str, Vec<u8>, Vec<u8>),
    /// The rows with a value in that span of an ordered index. The place is the value, then the key.
    Ordered(&'static str, Span),
}

/// A part of an ordered index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Values that begin so.
    Prefix(Vec<u8>),
    /// Values from the first on, and before the second.
    Between(Vec<u8>, Vec<u8>),
}

impl Span {
    /// Whether a value lies in it.
    pub fn has(&self, value: &[u8]) -> bool {
        match self {
            Self::Prefix(prefix) => value.starts_with(prefix),
            Self::Between(low, high) => low.as_slice() <= value && value < high.as_slice(),
        }
    }
}

/// A further condition of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Also {
    /// The row has that value in a `many` index.
    Many(&'static str, Vec<u8>),
    /// The row has a value in that span of an ordered index.
    Ordered(&'static str, Span),
}

impl Also {
    /// Whether the row asks to be found so.
    pub fn holds(&self, row: &Row) -> bool {
        let has = |name: &str, ordered: bool, fits: &dyn Fn(&[u8]) -> bool| {
            row.indexes.iter().any(|i| !i.unique && i.ordered == ordered && i.name == name && fits(&i.value))
        };
        match self {
            Self::Many(name, value) => has(name, false, &|held| held == value),
            Self::Ordered(name, span) => has(name, true, &|held| span.has(held)),
        }
    }
}

/// What there is of a list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The rows, live ones only.
    pub rows: Vec<Row>,
    /// The place behind which the list goes on; `None` when this is its end.
    pub next: Option<Vec<u8>>,
    /// How many rows were read for it.
    pub read: u64,
}

/// A row of the log as it lies there: nothing about it has been checked.
#[derive(Clone, Debug)]
pub struct RawLog {
    /// The number it lies under.
    pub seq: u64,
    /// The row; `None` when the bytes are not one.
    pub row: Option<LogRow>,
    /// What lies in the place of its detail.
    pub detail: Lies,
}

/// What lies in the place of a row's detail.
#[derive(Clone, Debug)]
pub enum Lies {
    /// The detail.
    Detail(Detail),
    /// The number of the row that erased it, or so it says.
    Erased(u64),
    /// Nothing.
    Nothing,
}

/// Why a back end could not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of trouble it is.
    pub nature: Nature,
    /// For the log, never for a person.
    pub cause: String,
}

/// The kinds of trouble that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// No space left.
    Full,
    /// Reading or writing failed.
    Io,
    /// The file may not be written: its disk is mounted read-only, or it is another user's.
    Barred,
    /// What lies there is not what was written.
    Corrupt,
    /// Another process has it.
    InUse,
    /// A newer authd wrote it.
    Newer,
    /// An older authd wrote it; it must be brought forward first.
    Older,
    /// The store was closed.
    Closed,
}

impl Nature {
    /// Whether it may be over at the next try, on a database that was opened anew.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Io | Self::Full | Self::Barred)
    }
}

impl Fault {
    /// A fault with its cause for the log.
    pub fn new(nature: Nature, cause: impl Into<String>) -> Self {
        Self { nature, cause: cause.into() }
    }

    /// What lies there is not what was written.
    pub fn corrupt(cause: impl Into<String>) -> Self {
        Self::new(Nature::Corrupt, cause)
    }
}

impl From<Fault> for Error {
    #[track_caller]
    fn from(fault: Fault) -> Self {
        let code = match fault.nature {
            Nature::Barred => {
                return Self::says(&codes::STORAGE_ERROR, "The database may not be written.")
                    .help("Its disk is mounted read-only, or it belongs to another user: `authd doctor` tells.")
                    .because(fault.cause);
            }
            Nature::Full => &codes::STORAGE_FULL,
            Nature::Io => &codes::STORAGE_ERROR,
            Nature::Corrupt | Nature::Older => &codes::STORAGE_CORRUPT,
            Nature::InUse => &codes::DATA_DIR_IN_USE,
            Nature::Newer => &codes::STORAGE_NEWER,
            Nature::Closed => &codes::SHUTTING_DOWN,
        };
        Self::new(code).because(fault.cause)
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Storage { full: fault.nature == Nature::Full, cause: fault.cause }
    }
}

/// Where a copy of everything goes.
pub trait Sink {
    /// First: the layout, and how far the store has come.
    fn begin(&mut self, schema: u32, head: &Head) -> Result<()>;
    /// Then each entry: the table's number, key and value as they lie there.
    fn entry(&mut self, table: u8, key: &[u8], value: &[u8]) -> Result<()>;
}

/// A back end. Reads are async and see committed state only. The writing half blocks, and is called by the one
/// writer thread alone.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The row, expired or not.
    async fn fetch(&self, kind: &'static str, key: &Key) -> Result<Option<Row>>;
    /// The row that holds a unique value, expired or not.
    async fn find(&self, kind: &'static str, index: &'static str, value: &[u8]) -> Result<Option<Row>>;
    /// One page of a list.
    async fn page(&self, ask: Ask) -> Result<Listing>;
    /// How many live rows each kind has.
    async fn counts(&self, now: Timestamp) -> Result<BTreeMap<String, u64>>;
    /// How many live rows have a value in a `many` index.
    async fn count_by(&self, kind: &'static str, index: &'static str, value: &[u8], now: Timestamp) -> Result<u64>;
    /// How many entries a value of a `many` index has, expired rows included, and the place of entry number `nth`
    /// (from 1 on) in the list of that value. No row is read.
    async fn entries(
        &self,
        kind: &'static str,
        index: &'static str,
        value: &[u8],
        nth: u64,
    ) -> Result<(u64, Option<Vec<u8>>)>;
    /// Rows of the log behind `after`, of one organization or of all.
    async fn log(&self, after: u64, limit: usize, org: Option<[u8; 16]>) -> Result<Vec<RawLog>>;
    /// Rows of the log before number `before`, the newest first, of one organization or of all.
    async fn log_back(&self, before: u64, limit: usize, org: Option<[u8; 16]>) -> Result<Vec<RawLog>>;
    /// Where the log begins, when its beginning was pruned.
    async fn floor(&self) -> Result<Option<Checkpoint>>;
    /// Every checkpoint, by number.
    async fn checkpoints(&self) -> Result<Vec<Checkpoint>>;
    /// How far the store has come.
    async fn head(&self) -> Result<Head>;
    /// How many rows lists have read since it was opened.
    fn listed(&self) -> u64;
    /// The number of the last committed row of the log, from memory.
    fn log_seq(&self) -> u64;

    /// Plans each batch on what the ones before it left, and writes those that were not refused in one durable
    /// transaction. One answer a batch; when the transaction fails, every answer is `Refused::Storage`.
    fn apply(&self, batches: &[Batch]) -> Vec<Result<Seq, Refused>>;
    /// Removes at most `limit` expired rows with all that belongs to them, in one transaction.
    fn sweep(&self, limit: usize) -> Result<usize>;
    /// Asks `indexes` for the entries of at most `limit` rows of a kind behind a key, makes the `many` and ordered
    /// ones what it says, and tells the last key; `None` when there were no more. Revisions stay.
    fn reindex(
        &self,
        kind: &'static str,
        after: Option<&Key>,
        limit: usize,
        indexes: &dyn Fn(&Row) -> Result<Vec<Index>>,
    ) -> Result<Option<Key>>;
    /// Keeps what `sign` makes of the head, unless the newest checkpoint covers it already.
    fn checkpoint(&self, sign: &dyn Fn(&Head) -> Checkpoint) -> Result<Option<Checkpoint>>;
    /// Removes at most `limit` rows from the log's beginning, none behind `until`, with all that belongs to them, and
    /// keeps what `sign` makes of the last one. False when there was none.
    fn prune(&self, until: u64, limit: usize, sign: &dyn Fn(&Head) -> Checkpoint) -> Result<bool>;
    /// Gives everything there is to `sink`, out of one committed state, while commits go on. It blocks for as long.
    fn pour(&self, sink: &mut dyn Sink) -> Result<()>;
    /// Lets go of everything. Whatever comes later is answered with `shutting_down`.
    fn close(&self);
}
