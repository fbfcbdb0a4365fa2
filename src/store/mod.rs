//! # store — records, batches, one log
//!
//! *Owns* what is kept: typed records with revisions and indexes, and the numbered, hash-chained log.
//! *Gives* `Store`: get, find, page, tail, wait, and `commit` of a `Batch`.
//! *Needs* `Env` for the time and a `Backend`. *Never* learns a record's name or an event's meaning.
//!
//! Reads see committed state. A write is a `Batch`: pure data, checked as a whole by the pure `plan()` and
//! written in one durable transaction together with its log entries. Many batches share one transaction
//! (`writer`: group commit), and a refused batch leaves no trace in it.

mod batch;
mod log;
mod query;
mod record;

pub use batch::{Batch, Refused};
pub use log::{Checkpoint, LogEntry, LogRow};
pub use query::{Page, Query};
pub use record::{Index, Key, Life, Record, Revision, Seq, Stored};

use crate::env::Env;
use crate::error::Result;

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    _env: Env,
}

#[allow(
    clippy::todo,
    missing_docs,
    unused_variables,
    reason = "placeholder until the back end lands in the next commit"
)]
impl Store {
    pub fn open(path: &std::path::Path, env: Env, options: Options) -> Result<Self> {
        todo!()
    }
    pub fn in_memory(env: Env) -> Result<Self> {
        todo!()
    }
    pub async fn get<T: Record>(&self, key: Key) -> Result<Option<Stored<T>>> {
        todo!()
    }
    pub async fn find<T: Record>(&self, index: &'static str, value: impl AsRef<[u8]>) -> Result<Option<Stored<T>>> {
        todo!()
    }
    pub async fn page<T: Record>(&self, query: Query) -> Result<Page<T>> {
        todo!()
    }
    pub async fn counts(&self) -> Result<std::collections::BTreeMap<String, u64>> {
        todo!()
    }
    pub async fn commit(&self, batch: Batch) -> std::result::Result<Seq, Refused> {
        todo!()
    }
    pub async fn tail(&self, after: u64, limit: usize, org: Option<[u8; 16]>) -> Result<Vec<Logged>> {
        todo!()
    }
    pub async fn wait(&self, after: u64) -> Result<u64> {
        todo!()
    }
    pub async fn sweep(&self) -> Result<usize> {
        todo!()
    }
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        todo!()
    }
    pub async fn verify_log(&self) -> Result<LogReport> {
        todo!()
    }
    pub async fn close(&self) {
        todo!()
    }
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The page cache of the back end, in bytes. 32 MiB by default.
    pub cache_bytes: usize,
    /// The seed of the Ed25519 key that signs checkpoints (derived from the master key).
    pub checkpoint_seed: [u8; 32],
}

/// A row of the log with its detail, if that was not erased.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The row.
    pub row: LogRow,
    /// The erasable part.
    pub detail: Option<Vec<u8>>,
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
    /// The first row that does not fit, and why.
    pub broken: Option<(u64, String)>,
}
