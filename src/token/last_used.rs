//! When a bearer was last used: a row of its own, so that use does not rewrite the bearer.

use std::time::Duration;

use crate::access::Context;
use crate::env::Timestamp;
use crate::error::Result;
use crate::store::{Batch, Key, Life, Record, Store, Stored};

/// It is noted at most so often.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Ids of any two bearers differ, whatever they are.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Used {
    #[cbor(n(0), with = "minicbor::bytes")]
    bearer: [u8; 16],
    #[n(1)]
    at: Timestamp,
    #[n(2)]
    until: Option<Timestamp>,
}

impl Record for Used {
    /// From when only API keys were noted.
    const KIND: &'static str = "api_key_used";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.bearer)
    }
    fn expires_at(&self) -> Option<Timestamp> {
        self.until
    }
}

/// When the bearer of that id was last used, to the minute.
pub async fn last_used(store: &Store, bearer: [u8; 16]) -> Result<Option<Timestamp>> {
    let used: Option<Stored<Used>> = store.get(Key::from_bytes(bearer)).await?;
    Ok(used.map(|used| used.at))
}

/// Notes that a bearer, good until then, is in use, unless there is a note of the last minute. The note is written
/// beside the request: a reader does not wait for a write, and a note that is lost costs nothing.
pub async fn note_use(cx: &Context, bearer: [u8; 16], until: Option<Timestamp>) -> Result<()> {
    let now = cx.env.now();
    if last_used(&cx.store, bearer).await?.is_some_and(|at| now.since(at) < NOTED_EVERY && at <= now) {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.put(&Used { bearer, at: now, until });
    let store = cx.store.clone();
    tokio::spawn(async move {
        if let Err(refused) = store.commit(batch).await {
            tracing::debug!(%refused, "the use of a bearer was not noted");
        }
    });
    Ok(())
}
