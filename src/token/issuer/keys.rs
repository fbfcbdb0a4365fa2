//! The keys of trusted issuers, across requests: found by discovery, at an address, or in the setting itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::record::{IssuerKind, TrustedIssuer, bare};
use super::settings::data_keys;
use crate::connection::oidc::{Keys, fetch_keys};
use crate::crypto::json;
use crate::crypto::jws::{Fault, KeySet, Verified};
use crate::env::{Env, Request};
use crate::error::{Error, Kind, Result, codes};
use crate::id::IssuerId;

/// A longer document is refused.
const MAX_DOCUMENT: usize = 512 * 1024;
/// A document is asked for again after this.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// When the issuer is down, what was known of it is used this long.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// An issuer that does not answer is asked again after this.
const RETRY: Duration = Duration::from_secs(30);
/// What is known of more issuers than this is forgotten, and learnt again.
const MOST: usize = 10_000;

/// What is known of the keys of every issuer. Cheap to clone; one for the whole process.
#[derive(Clone, Debug, Default)]
pub struct IssuerKeys(Arc<Mutex<HashMap<IssuerId, Arc<Entry>>>>);

#[derive(Debug)]
struct Entry {
    /// What it was learnt under: another setting, and nothing of it holds.
    of: (IssuerKind, String, Option<String>),
    /// Where discovery said that the keys are, and when it did.
    found: RwLock<Option<(Url, Duration)>>,
    /// When asking failed last. Whoever holds the lock is the one who asks.
    asking: tokio::sync::Mutex<Option<Duration>>,
    keys: Arc<Keys>,
}

impl IssuerKeys {
    fn entry(&self, issuer: &TrustedIssuer) -> Arc<Entry> {
        let of = (issuer.kind, issuer.issuer.clone(), issuer.jwks.clone());
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&issuer.id).filter(|entry| entry.of == of) {
            return Arc::clone(entry);
        }
        if entries.len() >= MOST {
            entries.clear();
        }
        let entry = Arc::new(Entry {
            of,
            found: RwLock::default(),
            asking: tokio::sync::Mutex::default(),
            keys: Arc::default(),
        });
        entries.insert(issuer.id, Arc::clone(&entry));
        entry
    }

    /// Verifies a token with the issuer's keys. They are asked for when none are known, when they are old, and once in
    /// 30 seconds at most when the token fits none of them.
    /// Errors: those of finding the keys; the inner one is the token's own fault.
    pub(super) async fn check(
        &self,
        env: &Env,
        issuer: &TrustedIssuer,
        token: &str,
    ) -> Result<Result<Verified, Fault>> {
        let from = match place(issuer)? {
            Place::Here(set) => return Ok(set.check(token, issuer.algorithms())),
            Place::At(url) => {
                let entry = self.entry(issuer);
                return entry.keys.verify(env, &url, token, issuer.algorithms()).await;
            }
            Place::Announced(document) => document,
        };
        let entry = self.entry(issuer);
        let url = entry.announced(env, issuer, from).await?;
        entry.keys.verify(env, &url, token, issuer.algorithms()).await
    }
}

impl Entry {
    fn within(&self, env: &Env, age: Duration) -> Option<Url> {
        let found = self.found.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        (env.monotonic().saturating_sub(found.1) < age).then_some(found.0)
    }

    /// Where the keys are: kept for an hour, then asked for again by one request while the others wait; while the issuer
    /// is down, up to a day old.
    async fn announced(&self, env: &Env, issuer: &TrustedIssuer, document: Url) -> Result<Url> {
        if let Some(fresh) = self.within(env, FRESH) {
            return Ok(fresh);
        }
        let mut failed = self.asking.lock().await;
        if let Some(fresh) = self.within(env, FRESH) {
            return Ok(fresh);
        }
        let stale = self.within(env, STALE);
        if failed.is_some_and(|at| env.monotonic().saturating_sub(at) < RETRY) {
            let quiet = || Error::new(&codes::UPSTREAM_UNAVAILABLE).because("it did not answer a moment ago");
            return stale.ok_or_else(quiet);
        }
        match discover(env, issuer, document).await {
            Ok(url) => {
                *failed = None;
                *self.found.write().unwrap_or_else(PoisonError::into_inner) = Some((url.clone(), env.monotonic()));
                Ok(url)
            }
            Err(error) => {
                *failed = Some(env.monotonic());
                // It answers, and says something that cannot be: what was known no longer holds.
                stale.filter(|_| error.kind() == Kind::Upstream).ok_or(error)
            }
        }
    }
}

/// Where an issuer's keys are.
pub(super) enum Place {
    Here(KeySet),
    At(Url),
    /// Where this document says.
    Announced(Url),
}

/// Errors: `invalid_input` for a setting that was never sound.
pub(super) fn place(issuer: &TrustedIssuer) -> Result<Place> {
    let url = |text: &str| Url::parse(text).map_err(|_| super::settings::wrong(issuer.keyed_by(), "it is not a URL"));
    match (issuer.kind, issuer.jwks.as_deref()) {
        (IssuerKind::Oidc, _) => {
            url(&format!("{}/.well-known/openid-configuration", bare(&issuer.issuer))).map(Place::Announced)
        }
        (IssuerKind::CustomJwt, Some(jwks)) if jwks.get(..5).is_some_and(|text| text.eq_ignore_ascii_case("data:")) => {
            data_keys(jwks).map(Place::Here)
        }
        (IssuerKind::CustomJwt, Some(jwks)) => url(jwks).map(Place::At),
        (IssuerKind::CustomJwt, None) => Err(super::settings::wrong("jwks", "it is missing")),
    }
}

/// Reads the discovery document (OpenID Connect Discovery §4): where the keys of that issuer are.
/// Errors: `upstream_unavailable`, `metadata_invalid`, `issuer_mismatch`, those of the outbound rules.
pub(super) async fn discover(env: &Env, issuer: &TrustedIssuer, document: Url) -> Result<Url> {
    let invalid = |why: &str| {
        Error::says(&codes::METADATA_INVALID, format!("The issuer's discovery document cannot be used: {why}."))
    };
    let mut request = Request::get(document).header(axum::http::header::ACCEPT, "application/json");
    request.max_bytes = MAX_DOCUMENT;
    let answer = env.outbound().send(request).await.map_err(|error| {
        if error.is(&codes::UPSTREAM_TOO_LARGE) { invalid("it is larger than 512 KiB").because(error) } else { error }
    })?;
    match answer.status {
        200 => {}
        status @ (429 | 500..=599) => {
            let why = format!("the discovery document answers {status}");
            return Err(Error::new(&codes::UPSTREAM_UNAVAILABLE).because(why));
        }
        300..=399 => return Err(invalid("its address redirects elsewhere; use the final address")),
        status => return Err(invalid(&format!("its address answers with status {status}"))),
    }
    let document = json::object(&answer.body).ok_or_else(|| invalid("it is not a JSON object"))?;
    let named = document.get("issuer").and_then(Value::as_str).ok_or_else(|| invalid("it names no issuer"))?;
    if !issuer.says(named) {
        let named: String = named.chars().filter(|c| !c.is_control()).take(200).collect();
        let why = format!("The discovery document is that of the issuer `{named}`, not of `{}`.", issuer.iss());
        return Err(Error::says(&codes::ISSUER_MISMATCH, why)
            .help("Set `domain` to exactly the issuer that the document names."));
    }
    let jwks = document.get("jwks_uri").and_then(Value::as_str).ok_or_else(|| invalid("it names no `jwks_uri`"))?;
    let url = Url::parse(jwks).map_err(|_| invalid("its `jwks_uri` is not a URL"))?;
    env.outbound().permits(&url)?;
    Ok(url)
}

/// The keys as they are now, past everything that is known.
pub(super) async fn current(env: &Env, from: &Url) -> Result<KeySet> {
    fetch_keys(env, from).await
}
