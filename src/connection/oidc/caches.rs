//! What is known of the providers, across requests: discovery documents and key sets, one entry a connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::config::{Config, Discovery};
use super::discovery::{self, Metadata};
use super::keys::Keys;
use crate::env::Env;
use crate::error::{Error, Kind, Result, codes};
use crate::id::ConnectionId;

/// A document is asked for again after this.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// When the provider is down, what was known of it is used this long (keys as well).
pub(super) const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// A provider that does not answer is asked again after this, while something is known of it …
const RETRY: Duration = Duration::from_secs(30);
/// … and after this while nothing is.
const RETRY_EMPTY: Duration = Duration::from_secs(5);

/// The caches of all connections. Shared by every request; made once.
#[derive(Debug, Default)]
pub struct Caches {
    entries: Mutex<HashMap<ConnectionId, Arc<Entry>>>,
}

impl Caches {
    /// Empty ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Drops what is known of a connection's provider, as when the connection is deleted.
    pub fn forget(&self, connection: ConnectionId) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&connection);
    }

    /// The entry of a connection; a fresh one when its provider was configured anew.
    pub(super) fn entry(&self, connection: ConnectionId, config: &Config) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let strict = config.security.strict();
        match entries.get(&connection) {
            Some(entry) if entry.provider == config.discovery && entry.strict == strict => Arc::clone(entry),
            _ => {
                let entry = Arc::new(Entry {
                    provider: config.discovery.clone(),
                    strict,
                    document: RwLock::default(),
                    asking: tokio::sync::Mutex::default(),
                    keys: Arc::default(),
                });
                entries.insert(connection, Arc::clone(&entry));
                entry
            }
        }
    }
}

/// What is known of one connection's provider.
#[derive(Debug)]
pub(super) struct Entry {
    provider: Discovery,
    strict: bool,
    document: RwLock<Option<Known>>,
    /// When asking failed last. Whoever holds the lock is the one who asks.
    asking: tokio::sync::Mutex<Option<Duration>>,
    pub(super) keys: Arc<Keys>,
}

#[derive(Clone, Debug)]
struct Known {
    metadata: Arc<Metadata>,
    since: Duration,
}

impl Entry {
    /// What is known without asking, however old.
    pub(super) fn known(&self) -> Option<Arc<Metadata>> {
        self.document.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|known| Arc::clone(&known.metadata))
    }

    fn within(&self, env: &Env, age: Duration) -> Option<Arc<Metadata>> {
        let known = self.document.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        (env.monotonic().saturating_sub(known.since) < age).then_some(known.metadata)
    }

    pub(super) fn learn(&self, env: &Env, metadata: Metadata) -> Arc<Metadata> {
        let metadata = Arc::new(metadata);
        *self.document.write().unwrap_or_else(PoisonError::into_inner) =
            Some(Known { metadata: Arc::clone(&metadata), since: env.monotonic() });
        metadata
    }

    /// The provider's metadata: kept for an hour, then asked for again by one request while the others wait; when the
    /// provider is down, up to a day old. Errors: those of `discover`.
    pub(super) async fn metadata(&self, env: &Env, config: &Config) -> Result<Arc<Metadata>> {
        if let Some(fresh) = self.within(env, FRESH) {
            return Ok(fresh);
        }
        let mut failed = self.asking.lock().await;
        if let Some(fresh) = self.within(env, FRESH) {
            return Ok(fresh);
        }
        let stale = self.within(env, STALE);
        let pause = if stale.is_some() { RETRY } else { RETRY_EMPTY };
        let now = env.monotonic();
        if failed.is_some_and(|at| now.saturating_sub(at) < pause) {
            return stale
                .ok_or_else(|| Error::new(&codes::UPSTREAM_UNAVAILABLE).because("it did not answer a moment ago"));
        }
        match discovery::fetch(env, config).await {
            Ok(metadata) => {
                *failed = None;
                Ok(self.learn(env, metadata))
            }
            Err(error) if error.kind() == Kind::Upstream => {
                *failed = Some(env.monotonic());
                stale.ok_or(error)
            }
            // It answers, and says something that cannot be: what was known no longer holds.
            Err(error) => Err(error),
        }
    }
}
