//! An app that proves itself by a token that it signs (`private_key_jwt`: RFC 7521, RFC 7523, OpenID Connect Core §9).
//!
//! The key comes from what was registered for the app, never from the token. A token is good once: its `jti` is kept in
//! the commit of what it was presented for, until it would have expired anyway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::client::{App, AuthMethod};
use crate::access::Context;
use crate::connection::oidc::Keys;
use crate::crypto::jws::{Algorithm, KeySet, Verified};
use crate::crypto::{from_base64url, sha256};
use crate::env::Timestamp;
use crate::error::{Error, Kind, Result, codes};
use crate::id::AppId;
use crate::store::{Batch, Key, Life, Record};

/// The one value of `client_assertion_type` that is served.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// With what an app may sign: any key pair that is not weak. No `none`, nothing with a shared secret.
pub(super) const ALGORITHMS: &[Algorithm] = &Algorithm::ALL;
/// A token that lives longer is none that was made for this request.
const LONGEST_LIFE: Duration = Duration::from_secs(300);
/// So far may the app's clock be ahead of ours where it says when the token was made.
const SKEW: Duration = Duration::from_secs(30);
/// A longer `jti` names nothing.
const LONGEST_JTI: usize = 256;

/// The keys of apps that publish them, across requests.
#[derive(Clone, Debug, Default)]
pub(super) struct AppKeys(Arc<Mutex<HashMap<AppId, Arc<Keys>>>>);

impl AppKeys {
    fn of(&self, app: AppId) -> Arc<Keys> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(app).or_default())
    }
}

/// An assertion that was presented: it is none anybody can present again.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Spent {
    #[n(0)]
    app: AppId,
    #[cbor(n(1), with = "minicbor::bytes")]
    jti: [u8; 32],
    #[n(2)]
    until: Timestamp,
}

impl Record for Spent {
    const KIND: &'static str = "client_assertion";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::of(&[&self.app.bytes(), &self.jti])
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.until)
    }
}

/// A verified assertion that has still to be spent.
pub(super) struct Proof(Spent);

impl Proof {
    /// Adds to the batch that it was presented. Errors: `invalid_client` when it was before.
    pub(super) async fn spend(&self, cx: &Context, batch: &mut Batch) -> Result<()> {
        if cx.store.get::<Spent>(self.0.key()).await?.is_some() {
            return Err(Error::new(&codes::INVALID_CLIENT).because("the assertion was presented before"));
        }
        // Of two at the same moment one finds the key taken, looks again, and is refused.
        batch.create(&self.0);
        Ok(())
    }
}

/// The app that an assertion says to be from. Nobody has verified that yet.
pub(super) fn claimed(assertion: &str) -> Option<String> {
    let claims = from_base64url(assertion.split('.').nth(1)?)?;
    let claims: Map<String, Value> = serde_json::from_slice(&claims).ok()?;
    claims.get("sub")?.as_str().map(str::to_owned)
}

/// Whether the assertion proves the app. Errors: `invalid_client` for whatever is wrong with it, `upstream_unavailable`
/// while the app's published keys cannot be had.
pub(super) async fn verify(cx: &Context, keys: &AppKeys, app: &App, assertion: &str) -> Result<Proof> {
    let invalid = |why: &'static str| Error::new(&codes::INVALID_CLIENT).because(why);
    if app.public || app.auth_method != Some(AuthMethod::PrivateKeyJwt) {
        return Err(invalid("the app does not prove itself by an assertion"));
    }
    let Verified { header, claims, .. } = signed(cx, keys, app, assertion).await?;
    // RFC 8725 §3.11: a token that says to be of another kind is no assertion.
    let typ = header.get("typ").map(|typ| typ.as_str().unwrap_or_default().to_ascii_lowercase());
    if typ.is_some_and(|typ| !matches!(typ.as_str(), "jwt" | "client-authentication+jwt")) {
        return Err(invalid("the type is that of another token"));
    }
    let says = |name: &str| claims.get(name).and_then(Value::as_str);
    let id = app.id.to_string();
    if says("iss") != Some(&*id) || says("sub") != Some(&*id) {
        return Err(invalid("`iss` and `sub` are not both the app"));
    }
    if !for_us(cx, claims.get("aud")) {
        return Err(invalid("the audience is somebody else"));
    }
    let until = in_time(cx.env.now(), &claims).ok_or_else(|| invalid("a time is missing or does not fit"))?;
    let jti = says("jti").filter(|jti| !jti.is_empty() && jti.len() <= LONGEST_JTI);
    let jti = jti.ok_or_else(|| invalid("`jti` is missing or too long"))?;
    let spent = Spent { app: app.id, jti: sha256(&[b"authd client assertion 1", jti.as_bytes()]), until };
    if cx.store.get::<Spent>(spent.key()).await?.is_some() {
        return Err(invalid("the assertion was presented before"));
    }
    Ok(Proof(spent))
}

async fn signed(cx: &Context, keys: &AppKeys, app: &App, assertion: &str) -> Result<Verified> {
    let invalid = |why: Error| Error::new(&codes::INVALID_CLIENT).because(why);
    if let Some(jwks) = &app.jwks {
        let set = KeySet::parse(jwks.as_bytes()).map_err(invalid)?;
        return set.verify(assertion, ALGORITHMS).map_err(invalid);
    }
    let Some(from) = app.jwks_uri.as_deref().and_then(|uri| url::Url::parse(uri).ok()) else {
        return Err(Error::new(&codes::INVALID_CLIENT).because("the app has no keys"));
    };
    let verdict = keys.of(app.id).verify(&cx.env, &from, assertion, ALGORITHMS).await;
    let verdict = verdict.map_err(|error| match error.kind() {
        Kind::Upstream => {
            Error::says(&codes::UPSTREAM_UNAVAILABLE, "The app's keys cannot be read now.").because(error)
        }
        Kind::Unavailable | Kind::Bug => error,
        _ => invalid(error),
    })?;
    verdict.map_err(|fault| invalid(fault.into()))
}

/// RFC 7523 §3: our name, or the address of the endpoint. Everything in a list must be one of these: a token that is
/// for others as well could have been made for them.
fn for_us(cx: &Context, audience: Option<&Value>) -> bool {
    let url = &cx.deployment.public_url;
    let ours = [url.issuer().to_owned(), url.at("/oauth2/token"), url.at("/oauth2/par")];
    let is_ours = |one: &Value| one.as_str().is_some_and(|one| ours.iter().any(|ours| ours == one));
    match audience {
        Some(Value::Array(list)) => !list.is_empty() && list.len() <= ours.len() && list.iter().all(is_ours),
        Some(one) => is_ours(one),
        None => false,
    }
}

/// When it ends, if it is good now.
fn in_time(now: Timestamp, claims: &Map<String, Value>) -> Option<Timestamp> {
    let at = |name: &str| claims.get(name).map(|value| whole_seconds(value).map(Timestamp::from_seconds));
    let until = at("exp")??;
    let made = |name: &str| match at(name) {
        None => true,
        Some(made) => made.is_some_and(|made| made <= now + SKEW),
    };
    (until > now && until <= now + LONGEST_LIFE && made("iat") && made("nbf")).then_some(until)
}

/// Times as libraries write them: whole, or with a fraction. A number that no time of ours has is none.
fn whole_seconds(value: &Value) -> Option<i64> {
    let seconds = value.as_i64().or_else(|| {
        let seconds = value.as_f64()?.floor();
        #[expect(clippy::cast_possible_truncation, reason = "within the bounds that are checked before")]
        (0.0..1e12).contains(&seconds).then_some(seconds as i64)
    })?;
    (0..1_000_000_000_000).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_assertion_lives_five_minutes_at_most() {
        let now = Timestamp::from_seconds(1_000_000);
        let fits = |claims: Value| in_time(now, claims.as_object().unwrap()).is_some();
        for (exp, good) in [(-1, false), (0, false), (1, true), (300, true), (301, false), (86_400, false)] {
            assert_eq!(fits(json!({"exp": 1_000_000 + exp})), good, "{exp}");
        }
        assert!(fits(json!({"exp": 1_000_060.5, "iat": 1_000_030, "nbf": 999_000})));
        for wrong in [
            json!({}),
            json!({"exp": "1000060"}),
            json!({"exp": null}),
            json!({"exp": 1e300}),
            json!({"exp": -5}),
            json!({"exp": 1_000_060, "iat": 1_000_031}),
            json!({"exp": 1_000_060, "nbf": 1_000_031}),
            json!({"exp": 1_000_060, "nbf": "soon"}),
            json!({"exp": i64::MAX}),
        ] {
            assert!(!fits(wrong.clone()), "{wrong}");
        }
    }
}
