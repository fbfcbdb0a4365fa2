//! Logout tokens: the provider says that somebody has signed out there (OpenID Connect Back-Channel Logout 1.0 §2.4, §2.6).

use std::time::Duration;

use serde_json::Value;

use super::verify::{Ground, present, text};
use super::{require, shown_value};
use crate::connection::protocol::{Checks, SignedOut};
use crate::crypto::jws::Verified;
use crate::env::Timestamp;
use crate::error::{Result, codes};

/// What a logout token says has happened.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The types that a logout token may have. `logout+jwt` is its own; many providers write the general one, or none.
const TYPES: &[&str] = &["logout+jwt", "jwt"];
/// Nobody believes one that was made longer ago, however late it ends: so long its name has to be remembered.
const OLDEST: Duration = Duration::from_secs(24 * 3600);

/// The person in the provider's own words. An issuer has no `|`, so no two people are the same text.
pub(super) fn subject(issuer: &str, sub: &str) -> String {
    format!("{issuer}|{sub}")
}

/// What a logout token says whose signature holds. Errors: `token_claims`, `token_audience`, `token_expired`,
/// `profile_invalid`.
pub(super) fn read(ground: &Ground<'_>, token: &Verified, checks: &mut Checks) -> Result<SignedOut> {
    let claims = &token.claims;
    ground.kind(&token.header, TYPES, checks)?;
    ground.issuer(claims, checks)?;
    ground.audience(claims, checks)?;
    ground.times(claims, checks)?;
    let tolerance = Duration::from_secs(ground.config.security.tolerance());
    let seconds = |name: &str| Timestamp::from_seconds(claims.get(name).and_then(Value::as_i64).unwrap_or_default());
    let (made, ends) = (seconds("iat"), seconds("exp"));
    let fresh = made + OLDEST > ground.now;
    require(checks, "iat", fresh, "within a day", made.to_string(), &codes::TOKEN_EXPIRED)?;
    // An id_token has a nonce, and passes for no logout token; nor the other way round.
    let nonce = claims.get("nonce");
    require(
        checks,
        "nonce",
        nonce.is_none(),
        "(absent)",
        if nonce.is_some() { "there" } else { "" },
        &codes::TOKEN_CLAIMS,
    )?;
    let events = claims.get("events");
    let said = events.and_then(|events| events.get(EVENT)).is_some_and(Value::is_object);
    require(checks, "events", said, EVENT, shown_value(events), &codes::TOKEN_CLAIMS)?;
    let id = text(claims, "jti");
    require(checks, "jti", id.is_some(), "a short text", shown_value(claims.get("jti")), &codes::TOKEN_CLAIMS)?;
    let sub = match present(claims, "sub") {
        Some(_) => Some(subject(&ground.metadata.issuer, &ground.subject(claims, checks)?)),
        None => None,
    };
    let session = match present(claims, "sid") {
        Some(value) => {
            let sid = text(claims, "sid");
            require(checks, "sid", sid.is_some(), "a short text", shown_value(Some(value)), &codes::TOKEN_CLAIMS)?;
            sid
        }
        None => None,
    };
    let about = sub.is_some() || session.is_some();
    require(
        checks,
        "sub",
        about,
        "`sub`, `sid` or both",
        if about { "there" } else { "(absent)" },
        &codes::TOKEN_CLAIMS,
    )?;
    let until = ends.min(made + OLDEST) + tolerance;
    Ok(SignedOut { id: id.unwrap_or_default(), until, subject: sub, session })
}
