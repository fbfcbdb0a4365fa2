//! `POST /oauth2/token` (RFC 6749 §3.2). One function a grant type; each ends in one commit.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::claims;
use super::client::App;
use super::client_auth::{Failure, authenticate};
use super::code::{self, AuthorizationCode};
use super::http::Door;
use super::parameters::Parameters;
use crate::access::throttle::{self, Rule};
use crate::access::{Context, refusal};
use crate::crypto::base64url;
use crate::directory::Membership;
use crate::error::{Error, Kind, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::http::extract::read_form;
use crate::http::{RequestInfo, reply};
use crate::store::Batch;
use crate::token::{self, Issue, Keyring, TokenGrant, Type};

/// The grant types that are served, for discovery too.
pub(super) const GRANT_TYPES: &[&str] = &["authorization_code"];
/// A code has three states, so a request that finds it changed can find that twice; one more for good measure.
const STALE_RETRIES: usize = 3;

pub(super) async fn post(State(door): State<Door>, info: RequestInfo, request: Request) -> Response {
    let cx = door.context(&info);
    let headers = request.headers().clone();
    match answer(&cx, &door.keyring, &headers, request).await.and_then(|tokens| reply::json(StatusCode::OK, &tokens)) {
        Ok(tokens) => tokens,
        Err(error) => reply::oauth_error(&error, info.id, headers.contains_key(header::AUTHORIZATION)),
    }
}

async fn answer(cx: &Context, keyring: &Keyring, headers: &HeaderMap, request: Request) -> Result<Value> {
    // The body, and nothing but the body: a secret in the address would stand in every log on the way.
    let parameters = Parameters::of(read_form(request).await?.iter());
    if let Some(fault) = parameters.fault() {
        return told(cx, None, Error::says(&codes::INVALID_REQUEST, fault)).await;
    }
    let app = match authenticate(cx, headers, &parameters).await {
        Ok(app) => app,
        Err(failure) => {
            let Failure { error, app, .. } = *failure;
            return stranger(cx, app.as_ref(), error).await;
        }
    };
    match parameters.get("grant_type") {
        Some("authorization_code") => authorization_code(cx, keyring, &app, &parameters).await,
        Some(_) => told(cx, Some(&app), Error::new(&codes::UNSUPPORTED_GRANT_TYPE)).await,
        None => {
            let missing = Error::says(&codes::INVALID_REQUEST, "The parameter `grant_type` is missing.");
            told(cx, Some(&app), missing).await
        }
    }
}

/// An app that could not be authenticated. Too many from one address are turned away without leaving anything behind;
/// the right secret was looked at before, so no stranger keeps an app from its tokens.
async fn stranger(cx: &Context, app: Option<&App>, error: Error) -> Result<Value> {
    if !error.is(&codes::INVALID_CLIENT) {
        return told(cx, app, error).await;
    }
    let mut counts = vec![(Rule::AppsFromAddress, throttle::address(cx))];
    if let Some(app) = app {
        let named = throttle::Subject::new().and(app.id.bytes());
        counts.push((Rule::AppFromAddress, named.clone().from(cx.origin.ip)));
        counts.push((Rule::App, named));
    }
    let mut batch = Batch::new();
    for (rule, subject) in counts {
        throttle::check(cx, rule, subject.clone()).await?;
        throttle::count(cx, rule, subject, &mut batch).await?;
    }
    refuse(cx, app, &error, &mut batch).await?;
    cx.store.commit(batch).await?;
    Err(error)
}

/// A refusal that touches no code: its event is all there is to commit.
async fn told(cx: &Context, app: Option<&App>, error: Error) -> Result<Value> {
    let mut batch = Batch::new();
    refuse(cx, app, &error, &mut batch).await?;
    cx.store.commit(batch).await?;
    Err(error)
}

/// RFC 6749 §4.1.3. Of many that present one code at the same time, one finds it unused when it commits.
async fn authorization_code(cx: &Context, keyring: &Keyring, app: &App, parameters: &Parameters) -> Result<Value> {
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        let outcome = match code::present(cx, app, parameters, &mut batch).await {
            Ok(code) => exchange(cx, keyring, app, &code, &mut batch).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            if error.kind() != Kind::Invalid {
                // Storage trouble says nothing about the code, and does not use it up.
                return outcome;
            }
            if code::is_unknown(error) {
                // A code that nobody was given is a guess; one that was used or has expired is none.
                let subject = throttle::Subject::new().and(app.id.bytes()).from(cx.origin.ip);
                throttle::check(cx, Rule::Code, subject.clone()).await?;
                throttle::count(cx, Rule::Code, subject, &mut batch).await?;
            }
            refuse(cx, Some(app), error, &mut batch).await?;
        }
        match cx.store.commit(batch).await {
            Ok(_) => return outcome,
            Err(refused) if refused.is_race() && tries < STALE_RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Adds to the batch what the code gives, and signs it. A token that was signed and not committed was never sent.
async fn exchange(
    cx: &Context,
    keyring: &Keyring,
    app: &App,
    code: &AuthorizationCode,
    batch: &mut Batch,
) -> Result<Value> {
    let member = match Membership::active(&cx.store, code.organization, code.user).await {
        Ok(member) => member.value,
        Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Bug) => return Err(error),
        Err(error) => {
            let ended = "The access that the code was made under has ended.";
            return Err(Error::says(&codes::INVALID_GRANT, ended).because(error));
        }
    };
    let signer = keyring.signer(cx, app.algorithm).await?;
    let now = cx.env.now();
    let expires_at = (now + app.token_lifetime()).min(code.session_ends);
    let grant = TokenGrant {
        id: code.grant,
        app: Some(app.id),
        organization: code.organization,
        user: Some(code.user),
        role: None,
        session: Some(code.session),
        scope: code.scope.clone(),
        epochs: code.epochs.clone(),
        created_at: now,
        expires_at,
    };
    let (subject, audience) = (code.user.to_string(), app.id.to_string());
    let issue = |typ, claims| Issue { typ, subject: &subject, audience: &audience, expires_at, claims };

    let mut access = sign_in_claims(code);
    access.insert("client_id".into(), audience.clone().into());
    access.insert("scope".into(), code.scope.join(" ").into());
    access.insert("jti".into(), base64url(&cx.env.random::<16>()).into());
    access.insert("grant".into(), code.grant.to_string().into());
    let typ = app.access_token_type();
    if typ == Type::Jwt {
        // Its reader has this token alone to know the person by.
        access.extend(claims::person(&code.scope, &member));
    }
    let access_token = issue(typ, access).sign(cx, &signer)?;

    let mut tokens = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": expires_at.seconds() - now.seconds(),
        "scope": code.scope.join(" "),
    });
    if code.scope.iter().any(|scope| scope == "openid") {
        let mut id = sign_in_claims(code);
        if let Some(nonce) = &code.nonce {
            id.insert("nonce".into(), nonce.clone().into());
        }
        id.insert("at_hash".into(), token::at_hash(&access_token).into());
        id.extend(claims::person(&code.scope, &member));
        tokens["id_token"] = issue(Type::Jwt, id).sign(cx, &signer)?.into();
    }
    let event = Event::new(&cx.env, EventKind::TokenExchanged, &Actor::App(app.id), &cx.origin)
        .within(code.organization)
        .about("grant", code.grant)
        .and("app", app.id)
        .and("user", code.user)
        .and("session", code.session)
        .with("scope", code.scope.join(" "));
    batch.create(&grant).log(event);
    Ok(tokens)
}

/// How, when and where the person signed in.
fn sign_in_claims(code: &AuthorizationCode) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("auth_time".into(), code.auth_time.seconds().into());
    claims.insert("sid".into(), code.session.to_string().into());
    claims.insert("org_id".into(), code.organization.to_string().into());
    if let Some(acr) = &code.acr {
        claims.insert("acr".into(), acr.clone().into());
    }
    if !code.amr.is_empty() {
        claims.insert("amr".into(), code.amr.clone().into());
    }
    claims
}

/// Adds the event of a refusal, or counts it where a flood comes from one address.
async fn refuse(cx: &Context, app: Option<&App>, error: &Error, batch: &mut Batch) -> Result<()> {
    let mut event = Event::new(&cx.env, EventKind::TokenRefused, &Actor::Anonymous, &cx.origin).failed(error.code());
    if let Some(app) = app {
        event = event.within(app.organization).about("app", app.id);
    }
    refusal::tell(cx, event.with("reason", error.message().to_owned()), batch).await.map(drop)
}
