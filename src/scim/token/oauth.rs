//! A short token for a long one: `grant_type=client_credentials` with the token's id and the token itself, as Entra asks.
//!
//! What is given is signed and not kept: nothing is written however often it is asked for, and it ends with the token
//! that it was given for.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::record::ScimToken;
use crate::access::Context;
use crate::crypto::{Secret, base64url, from_base64url, hmac_sha256, same};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::http::extract::{Params, read_form};
use crate::id::ScimTokenId;

/// What a short token begins with.
pub const PREFIX: &str = "scat_";
/// How long it is good.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// Answers a form. Errors: `invalid_client`, `unsupported_grant_type`, `invalid_request`.
pub async fn give(cx: &Context, request: Request) -> Result<Value> {
    let basic = basic(&request)?;
    let form = read_form(request).await?;
    let Credentials { id, secret } = credentials(basic, &form)?;
    if form.need("grant_type")? != "client_credentials" {
        return Err(Error::new(&codes::UNSUPPORTED_GRANT_TYPE));
    }
    let unknown = || Error::says(&codes::INVALID_CLIENT, "The client could not be authenticated.");
    let token = ScimToken::by_secret(cx, secret.expose()).await?.ok_or_else(unknown)?;
    let now = cx.env.now();
    // Some clients have a field for the secret alone, and send what they like as their id.
    if !token.is_live(now) || (ScimTokenId::is(&id) && id != token.id.to_string()) {
        return Err(unknown());
    }
    let until = now + LIFETIME;
    let until = token.expires_at.map_or(until, |at| at.min(until));
    Ok(json!({
        "access_token": seal(cx, token.id, until),
        "token_type": "Bearer",
        "expires_in": until.seconds() - now.seconds(),
    }))
}

struct Credentials {
    id: String,
    secret: Secret,
}

/// RFC 7617.
fn basic(request: &Request) -> Result<Option<Credentials>> {
    let refused = || Error::says(&codes::INVALID_CLIENT, "The `Authorization` header cannot be read as HTTP Basic.");
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let read = || {
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        let plain = zeroize::Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
        let (id, secret) = std::str::from_utf8(&plain).ok()?.split_once(':')?;
        let fits = scheme.eq_ignore_ascii_case("basic") && plain.len() <= 1_024;
        fits.then(|| Credentials { id: id.to_owned(), secret: Secret::new(secret) })
    };
    read().map(Some).ok_or_else(refused)
}

fn credentials(basic: Option<Credentials>, form: &Params) -> Result<Credentials> {
    match (basic, form.one("client_secret")?) {
        (Some(_), Some(_)) => Err(Error::says(&codes::INVALID_CLIENT, "The client authenticates in two ways at once.")),
        (Some(credentials), None) => Ok(credentials),
        (None, Some(secret)) => {
            Ok(Credentials { id: form.one("client_id")?.unwrap_or_default().to_owned(), secret: Secret::new(secret) })
        }
        (None, None) => Err(Error::says(&codes::INVALID_CLIENT, "The request does not say which client it is from.")),
    }
}

fn mac(cx: &Context, body: &[u8]) -> [u8; 32] {
    hmac_sha256(&*cx.deployment.master_key.derive("scim access token 1"), body)
}

fn seal(cx: &Context, id: ScimTokenId, until: Timestamp) -> String {
    let body = [&id.bytes()[..], &until.millis().to_be_bytes()].concat();
    format!("{PREFIX}{}.{}", base64url(&body), base64url(&mac(cx, &body)))
}

/// The token that a short one was given for; none where it is not ours or has expired.
pub(super) fn open(cx: &Context, text: &str) -> Option<ScimTokenId> {
    let (body, tag) = text.strip_prefix(PREFIX)?.split_once('.')?;
    let (body, tag) = (from_base64url(body)?, from_base64url(tag)?);
    if !same(&mac(cx, &body), &tag) {
        return None;
    }
    let (id, until) = body.split_first_chunk::<16>()?;
    let until = Timestamp::from_millis(i64::from_be_bytes(until.try_into().ok()?));
    (cx.env.now() < until).then(|| ScimTokenId::from_bytes(*id))
}

impl ScimTokenId {
    /// Whether a text is meant to be such an id.
    fn is(text: &str) -> bool {
        text.starts_with(Self::PREFIX)
    }
}
