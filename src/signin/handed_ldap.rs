//! `POST /connections/{id}/ldap`: an app hands over name and password that a person typed into it, with an API key of its
//! organization, and is told who it was.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::http::Signin;
use super::relayed::{handed_password_to, of_key};
use crate::access::throttle::{self, Rule};
use crate::access::{Caller, Context};
use crate::connection::protocol::Credentials;
use crate::connection::{Connection, ProtocolKind};
use crate::crypto::Secret;
use crate::error::{Error, Result, codes};
use crate::event::Origin;
use crate::http::extract::parse_json;
use crate::http::{RequestInfo, limits, reply};
use crate::store::Batch;
use crate::token::ApiKey;

/// What the app hands over at `POST /connections/{id}/ldap`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Given {
    username: String,
    password: Secret,
}

/// Signs somebody in, and answers with the session and what is known of them. Errors: `not_signed_in`, `not_found` for
/// a connection of somebody else, `missing_grant`, `invalid_input`, those of a sign-in.
pub(super) async fn answer(
    signin: &Signin,
    info: RequestInfo,
    headers: &HeaderMap,
    id: &str,
    request: Request,
) -> Result<Response> {
    let origin: Origin = info.into();
    let caller = caller(signin, headers, &origin).await?;
    let cx = &signin.world.context(caller, origin);
    let unknown = || Error::new(&codes::NOT_FOUND);
    let id = id.parse().map_err(|_| unknown())?;
    let connection = Connection::load(&cx.store, id).await?.value;
    if !cx.caller.sees(connection.organization) || connection.protocol != ProtocolKind::Ldap {
        return Err(unknown());
    }
    of_key(&cx.caller)?;
    let given = read(request).await?;
    reply::json(StatusCode::OK, &handed_password_to(signin, cx, connection, given).await?.view())
}

/// Only a key of an organization. Errors: `not_signed_in`, `rate_limited`.
async fn caller(signin: &Signin, headers: &HeaderMap, origin: &Origin) -> Result<Caller> {
    let cx = signin.world.context(Caller::Anonymous, origin.clone());
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(Error::new(&codes::NOT_SIGNED_IN)) };
    let (scheme, bearer) = value.to_str().unwrap_or_default().split_once(' ').unwrap_or_default();
    let known = match scheme.eq_ignore_ascii_case("bearer") {
        true => ApiKey::authenticate(&cx, bearer.trim()).await,
        false => Err(Error::new(&codes::NOT_SIGNED_IN)),
    };
    match known {
        Ok(caller @ Caller::ApiKey { user: None, .. }) => Ok(caller),
        Ok(_) => Err(Error::says(&codes::MISSING_GRANT, "This takes an API key of the organization, not a person's.")),
        Err(error) if error.is(&codes::NOT_SIGNED_IN) => Err(counted(&cx, error).await?),
        Err(error) => Err(error),
    }
}

/// Guessed keys are slowed down here as everywhere.
async fn counted(cx: &Context, error: Error) -> Result<Error> {
    throttle::check(cx, Rule::Bearer, throttle::address(cx)).await?;
    let mut batch = Batch::new();
    throttle::count(cx, Rule::Bearer, throttle::address(cx), &mut batch).await?;
    cx.store.commit(batch).await?;
    Ok(error)
}

async fn read(request: Request) -> Result<Credentials> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Error::new(&codes::UNSUPPORTED_MEDIA_TYPE));
    }
    let bytes = zeroize::Zeroizing::new(limits::read_request(request).await?.to_vec());
    // In words of our own: what could not be read may be the password.
    let unreadable = |_| {
        Error::says(&codes::INVALID_INPUT, "The body is not a JSON object with the texts `username` and `password`.")
    };
    let Given { username, password } = parse_json(&bytes).map_err(unreadable)?;
    Ok(Credentials { username, password })
}
