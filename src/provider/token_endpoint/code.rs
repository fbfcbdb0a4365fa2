//! The grant `authorization_code` (RFC 6749 §4.1.3).

use serde_json::Value;

use super::give::{Authorization, SignIn, give};
use crate::access::Context;
use crate::error::Result;
use crate::event::{Actor, Event, EventKind};
use crate::provider::client::App;
use crate::provider::code::{self, AuthorizationCode};
use crate::provider::holder;
use crate::provider::mapped::{self, Arrived, Moment};
use crate::provider::parameters::Parameters;
use crate::provider::refresh;
use crate::session::SessionApp;
use crate::store::Batch;
use crate::token::{Keyring, TokenGrant};

/// Adds to the batch what the code gives. A token that was signed and not committed was never sent.
pub(super) async fn exchange(
    cx: &Context,
    keyring: &Keyring,
    app: &App,
    parameters: &Parameters,
    batch: &mut Batch,
) -> Result<Value> {
    let code = code::present(cx, app, parameters, batch).await?;
    redeemed(cx, keyring, app, &code, batch).await
}

/// Adds to the batch what a person's agreement gives.
pub(super) async fn redeemed(
    cx: &Context,
    keyring: &Keyring,
    app: &App,
    code: &AuthorizationCode,
    batch: &mut Batch,
) -> Result<Value> {
    // Worked out only now: a sign-in makes the code before the person's groups are written.
    let who = Arrived { organization: code.organization, user: code.user, session: code.session };
    let scope = mapped::scope(cx, app, &who, code.scope.clone(), Moment::First).await?;
    let code = &{
        let mut narrowed = code.clone();
        narrowed.scope = scope;
        narrowed
    };
    let now = cx.env.now();
    let family = refresh::family(cx, app, code)?;
    let authorization = Authorization {
        grant: code.grant,
        member: holder::of(cx, code.organization, code.user, &code.epochs).await?,
        scope: code.scope.clone(),
        sign_in: SignIn { session: code.session, at: code.auth_time, acr: code.acr.clone(), amr: code.amr.clone() },
        nonce: code.nonce.clone(),
        claims: code.claims.id_token.clone(),
        // What is not bound to the session outlives it; everything else ends with it.
        ends_at: (!family.as_ref().is_some_and(|family| family.family.offline)).then_some(code.session_ends),
    };
    let mut given = give(cx, keyring, app, &authorization).await?;
    let grant = TokenGrant {
        id: code.grant,
        app: Some(app.id),
        organization: code.organization,
        user: Some(code.user),
        role: None,
        session: Some(code.session),
        scope: code.scope.clone(),
        epochs: refresh::without_session(code, family.as_ref()),
        created_at: now,
        expires_at: given.expires_at,
        claims: code.claims.userinfo.clone(),
    };
    let event = Event::new(&cx.env, EventKind::TokenExchanged, &Actor::App(app.id), &cx.origin)
        .within(code.organization)
        .about("grant", code.grant)
        .and("app", app.id)
        .and("user", code.user)
        .and("session", code.session)
        .with("scope", code.scope.join(" "));
    SessionApp::note(&cx.store, code.session, app.id, now, code.session_ends, batch).await?;
    batch.create(&grant).log(event);
    if let Some(made) = family {
        given.answer["refresh_token"] = made.token.expose().into();
        batch.create(&made.family);
    }
    Ok(given.answer)
}
