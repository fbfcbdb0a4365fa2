//! How far the log has gone to a target.

use std::time::Duration;

use crate::env::Timestamp;
use crate::error::Result;
use crate::store::{Key, Life, Record, Store, Stored};

/// How far the log has gone to one target. The name stays when the target's address changes: its reader goes on there.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub(super) struct Cursor {
    #[n(0)]
    pub target: String,
    /// The last row that was taken, or that is of no concern there.
    #[n(1)]
    pub after: u64,
    /// How many events were taken.
    #[n(2)]
    pub taken: u64,
    /// Since when nothing is taken; none while things are.
    #[n(3)]
    pub failing_since: Option<Timestamp>,
    /// Why: a stable code.
    #[n(4)]
    pub trouble: Option<String>,
    /// How many events it was offered and will never have, such as one that is too long for it.
    #[n(5)]
    pub refused: Option<u64>,
}

impl Record for Cursor {
    const KIND: &'static str = "shipping_cursor";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Self::key_of(&self.target)
    }
}

impl Cursor {
    fn key_of(target: &str) -> Key {
        Key::from_bytes(target.as_bytes().to_vec())
    }

    pub(super) async fn load(store: &Store, target: &str) -> Result<Option<Stored<Self>>> {
        store.get(Self::key_of(target)).await
    }
}

/// How far a target is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Which one.
    pub target: &'static str,
    /// Rows of the log that it has not been offered or has not taken.
    pub events: u64,
    /// How old the first of them is.
    pub age: Duration,
    /// How many events it has taken in all.
    pub taken: u64,
    /// How many it was offered and will never have.
    pub refused: u64,
    /// Since when it takes nothing.
    pub failing_since: Option<Timestamp>,
    /// Why: a stable code.
    pub trouble: Option<String>,
}

/// How far each of these targets is behind.
pub async fn lags(store: &Store, now: Timestamp, targets: &[&'static str]) -> Result<Vec<Lag>> {
    let mut lags = Vec::with_capacity(targets.len());
    for &target in targets {
        let cursor = Cursor::load(store, target).await?.map(|stored| stored.value);
        let after = match &cursor {
            Some(cursor) => cursor.after,
            None => store.log_floor().await?,
        };
        let first = store.tail(after, 1, None).await?.into_iter().next();
        lags.push(Lag {
            target,
            events: store.log_seq().saturating_sub(after),
            age: first.map_or(Duration::ZERO, |row| now.since(row.row.at)),
            taken: cursor.as_ref().map_or(0, |cursor| cursor.taken),
            refused: cursor.as_ref().and_then(|cursor| cursor.refused).unwrap_or(0),
            failing_since: cursor.as_ref().and_then(|cursor| cursor.failing_since),
            trouble: cursor.and_then(|cursor| cursor.trouble),
        });
    }
    Ok(lags)
}

/// The number of the last row of the log that every one of these targets has: the log is pruned no further.
pub async fn shipped(store: &Store, targets: &[&'static str]) -> Result<u64> {
    let mut shipped = u64::MAX;
    for target in targets {
        let cursor = Cursor::load(store, target).await?;
        shipped = shipped.min(cursor.map_or(0, |cursor| cursor.after));
    }
    Ok(shipped)
}
