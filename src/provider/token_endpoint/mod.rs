//! # token_endpoint — `POST /oauth2/token` (RFC 6749 §3.2)
//!
//! *Owns* who is let to the grants, and how a refusal is told. *Gives* the route.
//! *Needs* client authentication and, for each grant type, its file. *Never* answers before its one commit.
//!
//! ```text
//!  form ─► client_auth ─► code │ refresh │ client_credentials │ device ─► give ─► one commit ─► tokens
//! ```

mod client_credentials;
mod code;
mod device;
mod give;
mod refresh;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

pub(super) use client_credentials::Machines;

use super::client::{App, GrantType};
use super::client_auth::{Client, Failure, authenticate, stranger};
use super::code as codes_given;
use super::device as device_codes;
use super::http::Door;
use super::parameters::Parameters;
use super::refresh as refresh_tokens;
use crate::access::throttle::{self, Rule};
use crate::access::{Context, refusal};
use crate::error::{Error, Kind, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::http::extract::read_form;
use crate::http::{RequestInfo, reply};
use crate::store::Batch;

/// The grant types that are served, for discovery too.
pub(super) const GRANT_TYPES: &[GrantType] =
    &[GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials, GrantType::DeviceCode];
/// Of many that present one code or one refresh token at the same time, each may find it changed by one other
/// before it finds it settled; one more for good measure.
const STALE_RETRIES: usize = 3;

pub(super) async fn post(State(door): State<Door>, info: RequestInfo, request: Request) -> Response {
    let cx = door.context(&info);
    let headers = request.headers().clone();
    match answer(&cx, &door, &headers, request).await.and_then(|tokens| reply::json(StatusCode::OK, &tokens)) {
        Ok(tokens) => tokens,
        Err(error) => reply::oauth_error(&error, info.id, headers.contains_key(header::AUTHORIZATION)),
    }
}

async fn answer(cx: &Context, door: &Door, headers: &HeaderMap, request: Request) -> Result<Value> {
    // The body, and nothing but the body: a secret in the address would stand in every log on the way.
    let parameters = Parameters::of(read_form(request).await?.iter());
    if let Some(fault) = parameters.fault() {
        return told(cx, None, Error::says(&codes::INVALID_REQUEST, fault)).await;
    }
    let client = match authenticate(cx, &door.app_keys, headers, &parameters).await {
        Ok(client) => client,
        Err(failure) => {
            let Failure { error, app } = *failure;
            return Err(stranger(cx, app.as_ref(), error).await);
        }
    };
    let Some(named) = parameters.get("grant_type") else {
        let missing = Error::says(&codes::INVALID_REQUEST, "The parameter `grant_type` is missing.");
        return told(cx, Some(&client), missing).await;
    };
    let Some(grant_type) = GRANT_TYPES.iter().copied().find(|known| known.name() == named) else {
        return told(cx, Some(&client), Error::new(&codes::UNSUPPORTED_GRANT_TYPE)).await;
    };
    // A refresh token is its own permission: the app was given it by a grant that it may use.
    if grant_type != GrantType::RefreshToken && !client.app.may_use(grant_type) {
        let not_allowed = Error::says(&codes::UNAUTHORIZED_CLIENT, "The app may not use this grant type.")
            .help("`authd app update --grant-type` allows it.");
        return told(cx, Some(&client), not_allowed).await;
    }
    match grant_type {
        GrantType::RefreshToken => settle(cx, &client, Presented::Refresh, door, &parameters).await,
        GrantType::ClientCredentials => settle(cx, &client, Presented::Itself, door, &parameters).await,
        GrantType::AuthorizationCode => settle(cx, &client, Presented::Code, door, &parameters).await,
        GrantType::DeviceCode => settle(cx, &client, Presented::Device, door, &parameters).await,
    }
}

/// What an app exchanges for tokens.
#[derive(Clone, Copy)]
enum Presented {
    Code,
    Refresh,
    Itself,
    Device,
}

/// Works a grant out, tells what was refused, and commits; again when somebody else was quicker.
async fn settle(
    cx: &Context,
    client: &Client,
    presented: Presented,
    door: &Door,
    parameters: &Parameters,
) -> Result<Value> {
    let app = &client.app;
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        let outcome = match presented {
            Presented::Code => code::exchange(cx, &door.keyring, app, parameters, &mut batch).await,
            Presented::Refresh => refresh::exchange(cx, &door.keyring, app, parameters, &mut batch).await,
            Presented::Itself => client_credentials::give(cx, door, app, parameters, &mut batch).await,
            Presented::Device => device::exchange(cx, &door.keyring, app, parameters, &mut batch).await,
        };
        // A device that has to wait is not refused.
        if let Some(error) = outcome.as_ref().err().filter(|error| !device_codes::is_waiting(error)) {
            if error.kind() != Kind::Invalid && !error.is(&codes::ACCESS_DENIED) {
                // Storage trouble says nothing about what was presented, and does not use it up.
                return outcome;
            }
            if codes_given::is_unknown(error) || refresh_tokens::is_unknown(error) || device_codes::is_unknown(error) {
                // What nobody was given is a guess; what was used or has expired is none.
                let subject = throttle::Subject::new().and(app.id.bytes()).from(cx.origin.ip);
                throttle::check(cx, Rule::Code, subject.clone()).await?;
                throttle::count(cx, Rule::Code, subject, &mut batch).await?;
            }
            refuse(cx, Some(app), error, &mut batch).await?;
        }
        client.spend(cx, &mut batch).await?;
        if batch.is_empty() {
            return outcome;
        }
        match cx.store.commit(batch).await {
            Ok(_) => return outcome,
            Err(refused) if refused.is_race() && tries < STALE_RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// A refusal before anything was presented: its event is all there is to commit, and what the app proved itself by.
async fn told(cx: &Context, client: Option<&Client>, error: Error) -> Result<Value> {
    let mut batch = Batch::new();
    refuse(cx, client.map(|client| &client.app), &error, &mut batch).await?;
    if let Some(client) = client {
        client.spend(cx, &mut batch).await?;
    }
    cx.store.commit(batch).await?;
    Err(error)
}

/// Adds the event of a refusal, or counts it where a flood comes from one address.
async fn refuse(cx: &Context, app: Option<&App>, error: &Error, batch: &mut Batch) -> Result<()> {
    let mut event = Event::new(&cx.env, EventKind::TokenRefused, &Actor::Anonymous, &cx.origin).failed(error.code());
    if let Some(app) = app {
        event = event.within(app.organization).about("app", app.id);
    }
    refusal::tell(cx, event.with("reason", error.message().to_owned()), batch).await.map(drop)
}
