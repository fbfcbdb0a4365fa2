//! The provider's keys, across requests. A token with an unknown key makes authd ask the provider again, but at most
//! once in 30 seconds whatever comes in: made-up keys would otherwise turn authd into a flood against the provider.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use url::Url;

use super::caches::STALE;
use crate::crypto::jws::{Algorithm, Fault, KeySet, MAX_KEY_SET, Verified};
use crate::env::{Env, Request};
use crate::error::{Error, Result, codes};

/// Keys are asked for again after this, so that one that the provider withdrew stops working.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// The least time between two questions, answered or not.
const PAUSE: Duration = Duration::from_secs(30);

/// The keys that somebody publishes at an address: a connection's provider, or an app.
#[derive(Debug, Default)]
pub struct Keys {
    held: RwLock<Option<Arc<Held>>>,
    /// When the provider was asked last. Whoever holds the lock is the one who asks.
    asked: tokio::sync::Mutex<Option<Duration>>,
}

#[derive(Debug)]
struct Held {
    from: Url,
    set: KeySet,
    since: Duration,
}

impl Keys {
    fn within(&self, env: &Env, from: &Url, age: Duration) -> Option<Arc<Held>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        (held.from == *from && env.monotonic().saturating_sub(held.since) < age).then_some(held)
    }

    /// Verifies a token with the keys at `from`. They are asked for when none are known, when they are old, and when
    /// the token fits none of them. Errors: those of `KeySet::verify`, and those of asking while none are known.
    pub async fn verify(
        self: &Arc<Self>,
        env: &Env,
        from: &Url,
        token: &str,
        allowed: &[Algorithm],
    ) -> Result<Result<Verified, Fault>> {
        let held = match self.within(env, from, FRESH) {
            Some(held) => held,
            None => {
                let stale = self.within(env, from, STALE);
                match (self.ask(env, from, stale.as_ref()).await, stale) {
                    (Ok(held), _) => held,
                    (Err(_), Some(stale)) => stale,
                    (Err(error), None) => return Err(error),
                }
            }
        };
        let verdict = held.set.check(token, allowed);
        match verdict {
            Err(fault) if fault.fresh_keys_may_help() => match self.ask(env, from, Some(&held)).await {
                Ok(newer) => Ok(newer.set.check(token, allowed)),
                Err(_) => Ok(verdict),
            },
            _ => Ok(verdict),
        }
    }

    /// Keys other than `had`: those that somebody else has just fetched, or those that the provider has now. The
    /// question goes on even when the request that asked is given up: otherwise dropped requests could use up the
    /// questions of others.
    async fn ask(self: &Arc<Self>, env: &Env, from: &Url, had: Option<&Arc<Held>>) -> Result<Arc<Held>> {
        let (me, env, from, had) = (Arc::clone(self), env.clone(), from.clone(), had.cloned());
        tokio::spawn(async move { me.ask_now(&env, &from, had.as_ref()).await }).await.map_err(Error::bug)?
    }

    async fn ask_now(&self, env: &Env, from: &Url, had: Option<&Arc<Held>>) -> Result<Arc<Held>> {
        let mut asked = self.asked.lock().await;
        if let Some(held) = self.within(env, from, FRESH)
            && had.is_none_or(|had| !Arc::ptr_eq(had, &held))
        {
            return Ok(held);
        }
        let now = env.monotonic();
        if asked.is_some_and(|at| now.saturating_sub(at) < PAUSE) {
            return Err(Error::new(&codes::UPSTREAM_UNAVAILABLE).because("the keys were asked for a moment ago"));
        }
        *asked = Some(now);
        let held = Arc::new(Held { from: from.clone(), set: fetch(env, from).await?, since: env.monotonic() });
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&held));
        Ok(held)
    }
}

/// Fetches a key set, past every cache. Errors: `upstream_unavailable`, `upstream_invalid`, those of the outbound rules.
pub async fn fetch(env: &Env, from: &Url) -> Result<KeySet> {
    let mut request =
        Request::get(from.clone()).header(axum::http::header::ACCEPT, "application/jwk-set+json, application/json");
    request.max_bytes = MAX_KEY_SET;
    let answer = env.outbound().send(request).await?;
    match answer.status {
        200 => KeySet::parse(&answer.body),
        429 | 500..=599 => {
            Err(Error::new(&codes::UPSTREAM_UNAVAILABLE).because(format!("the keys answer {}", answer.status)))
        }
        status => Err(Error::new(&codes::UPSTREAM_INVALID).because(format!("the keys answer {status}"))),
    }
}
