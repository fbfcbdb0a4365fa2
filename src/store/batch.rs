//! A batch: what one request wants to change, as data.

use super::log::LogEntry;
use super::record::{Index, Key, Life, Record, Revision};
use crate::env::Timestamp;
use crate::error::{Error, codes};

/// The full name of a row: kind and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The record's kind.
    pub kind: &'static str,
    /// The key within it.
    pub key: Key,
}

/// A record on its way to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// See `Record::SHAPE`.
    pub shape: u16,
    /// See `Record::expires_at`.
    pub expires_at: Option<Timestamp>,
    /// See `Record::indexes`.
    pub indexes: Vec<Index>,
    /// See `Life`.
    pub kept: bool,
    /// The record's bytes.
    pub bytes: Vec<u8>,
}

/// One wish of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// There must be none yet.
    Create(RowKey, NewRow),
    /// It must still be at that revision.
    Update(RowKey, NewRow, Revision),
    /// Whatever was there, if anything, is replaced. For ephemeral records only.
    Put(RowKey, NewRow),
    /// It must still be at that revision.
    Delete(RowKey, Revision, Life),
    /// It must still be at that revision; it is not changed.
    Require(RowKey, Revision),
}

/// Why a batch was not written. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A record was changed, made or removed by somebody else in between.
    Stale {
        /// The record's kind.
        kind: &'static str,
    },
    /// Another record has the key (`index` is `key`) or the unique value.
    Taken {
        /// The record's kind.
        kind: &'static str,
        /// The index's name.
        index: String,
    },
    /// The batch breaks a rule of the store: a fault of ours.
    Rule(&'static str),
    /// It could not be written: nobody knows more than that it is not acknowledged.
    Storage {
        /// The disk is full.
        full: bool,
        /// For the log.
        cause: String,
    },
}

impl Refused {
    /// Somebody else was quicker: reading again and trying once more may succeed. Keys are random or belong to
    /// one thing, so a key that is taken was made in between; a taken unique value is an answer, not a race.
    pub fn is_race(&self) -> bool {
        match self {
            Self::Stale { .. } => true,
            Self::Taken { index, .. } => index == "key",
            Self::Rule(_) | Self::Storage { .. } => false,
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stale { kind } => write!(f, "{kind} is stale"),
            Self::Taken { kind, index } => write!(f, "{kind}.{index} is taken"),
            Self::Rule(rule) => write!(f, "the batch breaks a rule: {rule}"),
            Self::Storage { cause, .. } => write!(f, "storage: {cause}"),
        }
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Error {
    #[track_caller]
    fn from(refused: Refused) -> Self {
        match &refused {
            Refused::Stale { .. } => Self::new(&codes::STALE).because(refused),
            Refused::Taken { .. } => Self::new(&codes::TAKEN).because(refused),
            Refused::Rule(_) => Self::bug(refused),
            Refused::Storage { full: true, .. } => Self::new(&codes::STORAGE_FULL).because(refused),
            Refused::Storage { .. } => Self::new(&codes::STORAGE_ERROR).because(refused),
        }
    }
}

/// An entry on its way into the log, and the rows before it whose details go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The entry.
    pub entry: LogEntry,
    /// Numbers of rows.
    pub erases: Vec<u64>,
}

/// What one request wants to change, all or nothing. Helpers add to it; only a flow or an operation commits it.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) changes: Vec<Change>,
    pub(super) entries: Vec<NewEntry>,
}

fn row_key<T: Record>(key: Key) -> RowKey {
    RowKey { kind: T::KIND, key }
}

pub(super) fn new_row<T: Record>(record: &T) -> NewRow {
    let mut bytes = Vec::new();
    // Encoding into a vector cannot fail but for a record whose own Encode refuses; an empty row is caught by plan().
    if minicbor::encode(record, &mut bytes).is_err() {
        bytes.clear();
    }
    NewRow {
        shape: T::SHAPE,
        expires_at: record.expires_at(),
        indexes: record.indexes(),
        kept: T::LIFE == Life::Kept,
        bytes,
    }
}

impl Batch {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new record. Refused with `Taken` if there is one of its key or of a unique value.
    pub fn create<T: Record>(&mut self, record: &T) -> &mut Self {
        self.changes.push(Change::Create(row_key::<T>(record.key()), new_row(record)));
        self
    }

    /// The record as it shall be, if it is still at `revision`. Refused with `Stale` or `Taken`.
    pub fn update<T: Record>(&mut self, record: &T, revision: Revision) -> &mut Self {
        self.changes.push(Change::Update(row_key::<T>(record.key()), new_row(record), revision));
        self
    }

    /// The record as it shall be, whatever was there. For ephemeral records only.
    pub fn put<T: Record>(&mut self, record: &T) -> &mut Self {
        self.changes.push(Change::Put(row_key::<T>(record.key()), new_row(record)));
        self
    }

    /// No such record any more, if it is still at `revision`. Refused with `Stale`.
    pub fn delete<T: Record>(&mut self, key: Key, revision: Revision) -> &mut Self {
        self.changes.push(Change::Delete(row_key::<T>(key), revision, T::LIFE));
        self
    }

    /// The record must still be at `revision`, or the batch is refused with `Stale`. Nothing is written to it.
    pub fn require<T: Record>(&mut self, key: Key, revision: Revision) -> &mut Self {
        self.changes.push(Change::Require(row_key::<T>(key), revision));
        self
    }

    /// An entry for the log, written with the changes or not at all.
    pub fn log(&mut self, entry: impl Into<LogEntry>) -> &mut Self {
        self.log_erasing(entry, Vec::new())
    }

    /// An entry for the log that erases the details of rows before it. The entry names the rows, so that the log can
    /// still be verified: what is gone without being named was removed by somebody else. The bytes may stay in free pages
    /// of the file until these are used again.
    pub fn log_erasing(&mut self, entry: impl Into<LogEntry>, rows: Vec<u64>) -> &mut Self {
        self.entries.push(NewEntry { entry: entry.into(), erases: rows });
        self
    }

    /// Nothing to write.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.entries.is_empty()
    }
}
