//! `POST /oauth2/introspect` (RFC 7662): an app asks what a token is worth now.
//!
//! An app learns about its own tokens and about those that are for its API; every other token is told as not
//! active, which is also what is told of one that does not exist.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::client::App;
use super::client_auth;
use super::http::Door;
use super::refresh::{self, PREFIX};
use crate::access::Context;
use crate::error::{Error, Kind, Result, codes};
use crate::governance::admitted;
use crate::http::{RequestInfo, reply};
use crate::token::{self, Checked};

/// The claims of a token that its reader may need.
const TOLD: &[&str] =
    &["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "org_id", "sid", "auth_time", "acr", "amr"];

pub(super) async fn post(State(door): State<Door>, info: RequestInfo, request: Request) -> Response {
    let cx = door.context(&info);
    let basic = request.headers().contains_key(header::AUTHORIZATION);
    match answer(&cx, &door, request).await.and_then(|told| reply::json(StatusCode::OK, &told)) {
        Ok(told) => told,
        Err(error) => reply::oauth_error(&error, info.id, basic),
    }
}

async fn answer(cx: &Context, door: &Door, request: Request) -> Result<Value> {
    let (client, parameters) = client_auth::calling(door, cx, request).await?;
    client.spend_alone(cx).await?;
    let app = client.app;
    // Whoever holds a token may read it; asking about it takes an app that can prove who it is (RFC 7662 §2.1).
    if app.public {
        return Err(Error::new(&codes::INVALID_CLIENT));
    }
    let presented = parameters
        .get("token")
        .ok_or_else(|| Error::says(&codes::INVALID_REQUEST, "The parameter `token` is missing."))?;
    let told = if presented.starts_with(PREFIX) {
        refresh_token(cx, &app, presented).await?
    } else {
        access_token(cx, door, &app, presented).await?
    };
    Ok(told.unwrap_or_else(|| json!({"active": false})))
}

async fn refresh_token(cx: &Context, app: &App, presented: &str) -> Result<Option<Value>> {
    let Some((family, generation)) = refresh::known(cx, presented).await? else { return Ok(None) };
    if family.app != app.id || !family.takes(cx, generation).await? {
        return Ok(None);
    }
    if !standing(admitted(&cx.store, family.organization, family.user, family.epochs.via()).await)? {
        return Ok(None);
    }
    Ok(Some(json!({
        "active": true,
        "client_id": family.app.to_string(),
        "scope": family.scope.join(" "),
        "sub": family.user.to_string(),
        "org_id": family.organization.to_string(),
        "iss": cx.deployment.public_url.issuer(),
        "exp": family.ends_at().seconds(),
    })))
}

async fn access_token(cx: &Context, door: &Door, app: &App, presented: &str) -> Result<Option<Value>> {
    let checked = match token::verify(cx, &door.keyring, presented).await {
        Ok(checked) => checked,
        Err(error) if error.is(&codes::INVALID_TOKEN) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !concerns(&checked, app) {
        return Ok(None);
    }
    if let Some(user) = checked.grant.user
        && !standing(admitted(&cx.store, checked.grant.organization, user, checked.grant.epochs.via()).await)?
    {
        return Ok(None);
    }
    let mut told = Map::new();
    told.insert("active".into(), true.into());
    told.insert("token_type".into(), "Bearer".into());
    for name in TOLD {
        if let Some(value) = checked.claims.get(*name) {
            told.insert((*name).to_owned(), value.clone());
        }
    }
    Ok(Some(told.into()))
}

/// Its own token, or one that was made for its API within an organization that it serves.
fn concerns(checked: &Checked, app: &App) -> bool {
    let for_its_api = app.audience.as_deref().is_some_and(|audience| checked.text("aud") == Some(audience));
    checked.grant.app == Some(app.id) || (for_its_api && app.reach().includes(checked.grant.organization))
}

/// Storage trouble is an error, an ended membership an answer.
fn standing<T>(found: Result<T>) -> Result<bool> {
    match found {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Bug) => Err(error),
        Err(_) => Ok(false),
    }
}
