//! More claims, from the provider's user info (OpenID Connect Core §5.3).

use axum::http::header;
use serde_json::{Map, Value};
use url::Url;

use super::caches::Entry;
use super::config::Config;
use super::discovery::Metadata;
use super::{require, shown_value, verify};
use crate::access::Context;
use crate::connection::protocol::Checks;
use crate::crypto::{Secret, json};
use crate::env::Request;
use crate::error::{Error, Result, codes};

const MAX_ANSWER: usize = 256 * 1024;
/// A sign-in mostly goes on without it, so it must not use up the time of the whole.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(4);

/// Whom to ask, and what is known of them.
pub(super) struct Asked<'a> {
    pub entry: &'a Entry,
    pub config: &'a Config,
    pub metadata: &'a Metadata,
    pub endpoint: &'a Url,
}

/// The claims of user info about `sub`. `None` when the provider does not give them for this token: the id_token
/// alone decides then. Errors: `userinfo_sub`, `upstream_unavailable`, `upstream_invalid`, those of a signed answer.
pub(super) async fn fetch(
    cx: &Context,
    asked: &Asked<'_>,
    token: &Secret,
    sub: &str,
    checks: &mut Checks,
) -> Result<Option<Map<String, Value>>> {
    let mut request = Request::get(asked.endpoint.clone())
        .header(header::AUTHORIZATION, &format!("Bearer {}", token.expose()))
        .header(header::ACCEPT, "application/json, application/jwt");
    request.max_bytes = MAX_ANSWER;
    request.timeout = PATIENCE;
    let answer = cx.env.outbound().send(request).await.inspect_err(|error| {
        checks.compare("userinfo", false, "an answer", error.code());
    })?;
    match answer.status {
        200 => {}
        // It says that it has nothing for us; going on without is no loss of security, only of claims.
        400..=428 | 430..=499 => {
            checks.pass("userinfo", format!("not given: {}", answer.status));
            return Ok(None);
        }
        status => {
            checks.compare("userinfo", false, "200", status);
            let unavailable = matches!(status, 429 | 500..=599);
            return Err(Error::new(if unavailable { &codes::UPSTREAM_UNAVAILABLE } else { &codes::UPSTREAM_INVALID }));
        }
    }
    let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let claims = if kind == "application/jwt" {
        signed(cx, asked, &answer.body, checks).await?
    } else {
        json::object(&answer.body).ok_or_else(|| {
            checks.compare("userinfo", false, "a JSON object", "something else");
            Error::new(&codes::UPSTREAM_INVALID)
        })?
    };
    // An access token of somebody else's, swapped in on the way, would bring somebody else's claims.
    let received = claims.get("sub");
    let same = received.and_then(Value::as_str) == Some(sub);
    require(checks, "userinfo_sub", same, super::shown(sub), shown_value(received), &codes::USERINFO_SUB)?;
    Ok(Some(claims))
}

/// A signed answer counts only if its signature holds. It need not say whose it is and for whom (OpenID Connect Core
/// §5.3.2); where it does, that must be the provider and us. An encrypted one has five parts and is refused
/// as no signed one.
async fn signed(cx: &Context, asked: &Asked<'_>, body: &[u8], checks: &mut Checks) -> Result<Map<String, Value>> {
    let token = std::str::from_utf8(body).unwrap_or_default().trim();
    let allowed = verify::algorithms(asked.config, asked.metadata);
    let verdict = asked.entry.keys.verify(&cx.env, &asked.metadata.jwks_uri, token, &allowed).await;
    let verified = verify::signature(token, &allowed, verdict, checks)?;
    let client = asked.config.client_id()?;
    let (iss, aud) = (verify::present(&verified.claims, "iss"), verify::present(&verified.claims, "aud"));
    let issuer = asked.metadata.issuer.as_str();
    let fits = iss.is_none_or(|iss| iss == issuer);
    require(checks, "userinfo_iss", fits, issuer, shown_value(iss), &codes::TOKEN_CLAIMS)?;
    let fits = match aud {
        None => true,
        Some(Value::String(one)) => one == client,
        Some(Value::Array(list)) => list.iter().any(|one| one == client),
        Some(_) => false,
    };
    require(checks, "userinfo_aud", fits, client, shown_value(aud), &codes::TOKEN_AUDIENCE)?;
    Ok(verified.claims)
}
