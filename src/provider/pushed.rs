//! `POST /oauth2/par` (RFC 9126): an app hands its authorization request over before it sends the person, so that
//! nobody on the way reads or changes it.
//!
//! ```text
//!  app ── form, client authentication ──► checked, kept 60 s ──► request_uri
//!  person ── /oauth2/authorize?client_id&request_uri ──► taken: gone, whatever becomes of the sign-in
//! ```

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::authorize;
use super::client::App;
use super::client_auth::{self, Client};
use super::http::Door;
use super::parameters::Parameters;
use crate::access::Context;
use crate::access::throttle::{self, Rule};
use crate::crypto::{Opaque, TokenHash};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::http::{RequestInfo, reply};
use crate::id::AppId;
use crate::store::{Batch, Key, Life, Record, Stored};

/// How long a pushed request waits for its person.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// What every name of a pushed request begins with (RFC 9126 §2.2).
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
/// How often a push is worked out again when something it read was changed before its commit.
const RETRIES: usize = 3;
/// By these the app has proven itself; they are no part of its request.
const CREDENTIALS: &[&str] = &["client_secret", "client_assertion", "client_assertion_type"];

/// A request that waits for its person.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct PushedRequest {
    #[n(0)]
    name: TokenHash,
    #[n(1)]
    app: AppId,
    #[n(2)]
    parameters: Vec<(String, String)>,
    #[n(3)]
    made_at: Timestamp,
}

impl Record for PushedRequest {
    const KIND: &'static str = "pushed_request";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(*self.name.bytes())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.made_at + GOOD_FOR)
    }
}

/// Whether a `request_uri` is the name of a pushed request, and no address that somebody should fetch.
pub(super) fn is_ours(uri: &str) -> bool {
    uri.starts_with(PREFIX)
}

/// The parameters of a pushed request, which is used up by that: one commit, before anything else is done for it.
/// Unknown, used, expired and another app's look the same from outside. Errors: `invalid_request`.
pub(super) async fn take(cx: &Context, app: &App, uri: &str) -> Result<Vec<(String, String)>> {
    let gone = || {
        Error::says(
            &codes::INVALID_REQUEST,
            "The request that the app has made is not known, was used, or has expired.",
        )
        .help("Start again from the app.")
    };
    let name = uri.strip_prefix(PREFIX).filter(|name| name.len() <= 64).ok_or_else(gone)?;
    let key = Key::from_bytes(*TokenHash::of(name).bytes());
    let found: Option<Stored<PushedRequest>> = cx.store.get(key.clone()).await?;
    let Stored { value: request, revision } = found.ok_or_else(gone)?;
    let now = cx.env.now();
    let waits = now.since(request.made_at) < GOOD_FOR && !request.made_at.is_ahead_of(now);
    if request.app != app.id || !waits {
        return Err(gone());
    }
    let mut batch = Batch::new();
    batch.delete::<PushedRequest>(key, revision);
    match cx.store.commit(batch).await {
        Ok(_) => Ok(request.parameters),
        Err(refused) if refused.is_race() => Err(gone()),
        Err(refused) => Err(refused.into()),
    }
}

pub(super) async fn post(State(door): State<Door>, info: RequestInfo, request: Request) -> Response {
    let cx = door.context(&info);
    let basic = request.headers().contains_key(header::AUTHORIZATION);
    match answer(&cx, &door, request).await.and_then(|made| reply::json(StatusCode::CREATED, &made)) {
        Ok(made) => made,
        Err(error) => reply::oauth_error(&error, info.id, basic),
    }
}

async fn answer(cx: &Context, door: &Door, request: Request) -> Result<Value> {
    let (client, parameters) = client_auth::calling(door, cx, request).await?;
    let checked = fit(&client.app, &parameters);
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        client.spend(cx, &mut batch).await?;
        let told = match &checked {
            Ok(()) => Ok(keep(cx, &client, &parameters, &mut batch).await?),
            Err(error) => Err(error),
        };
        if batch.is_empty() {
            break;
        }
        match cx.store.commit(batch).await {
            Ok(_) => match told {
                Ok(made) => return Ok(made),
                Err(_) => break,
            },
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
    checked.map(|()| Value::Null)
}

/// Whether it can be answered, whoever the person is.
fn fit(app: &App, parameters: &Parameters) -> Result<()> {
    if parameters.get("request_uri").is_some() {
        // RFC 9126 §2.1: a name cannot be pushed.
        return Err(Error::says(&codes::INVALID_REQUEST, "A pushed request has no `request_uri`."));
    }
    authorize::check_pushed(app, parameters)
}

/// Adds the request to the batch; gives its name.
async fn keep(cx: &Context, client: &Client, parameters: &Parameters, batch: &mut Batch) -> Result<Value> {
    let app = &client.app;
    if app.public {
        // Whoever knows the app's name can push for it, so this much and no more is kept for strangers.
        let named = throttle::Subject::new().and(app.id.bytes());
        for (rule, subject) in
            [(Rule::PushedFromAddress, named.clone().from(cx.origin.ip)), (Rule::PushedForApp, named)]
        {
            throttle::check(cx, rule, subject.clone()).await?;
            throttle::count(cx, rule, subject, batch).await?;
        }
    }
    let Opaque { text, hash } = Opaque::new(&cx.env, "");
    let app_id = app.id.to_string();
    let kept = parameters.iter().filter(|(name, _)| !CREDENTIALS.contains(name) && *name != "client_id");
    let pairs = kept.chain([("client_id", &*app_id)]).map(|(name, value)| (name.to_owned(), value.to_owned()));
    batch.put(&PushedRequest { name: hash, app: app.id, parameters: pairs.collect(), made_at: cx.env.now() });
    Ok(json!({ "request_uri": format!("{PREFIX}{}", text.expose()), "expires_in": GOOD_FOR.as_secs() }))
}
