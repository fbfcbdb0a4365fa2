//! `POST /oauth2/revoke` (RFC 7009): an app gives a token back.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::client::App;
use super::client_auth;
use super::http::Door;
use super::parameters::Parameters;
use super::refresh::{self, PREFIX};
use crate::access::Context;
use crate::error::{Error, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::http::{RequestInfo, reply};
use crate::session::{Scope, bump};
use crate::store::Batch;
use crate::token::{self, RevokedToken};

/// How often a revocation is worked out again when something it read was changed before its commit.
const RETRIES: usize = 3;

pub(super) async fn post(State(door): State<Door>, info: RequestInfo, request: Request) -> Response {
    let cx = door.context(&info);
    let basic = request.headers().contains_key(header::AUTHORIZATION);
    match answer(&cx, &door, request).await {
        // Also for a token that is none: the app wants it gone, and it is (RFC 7009 §2.2).
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => reply::oauth_error(&error, info.id, basic),
    }
}

async fn answer(cx: &Context, door: &Door, request: Request) -> Result<()> {
    let (client, parameters) = client_auth::calling(door, cx, request).await?;
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        revoke(cx, door, &client.app, &parameters, &mut batch).await?;
        client.spend(cx, &mut batch).await?;
        if batch.is_empty() {
            return Ok(());
        }
        match cx.store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// A refresh token takes the whole authorization with it, an access token only itself (RFC 7009 §2.1).
async fn revoke(cx: &Context, door: &Door, app: &App, parameters: &Parameters, batch: &mut Batch) -> Result<()> {
    let presented = parameters
        .get("token")
        .ok_or_else(|| Error::says(&codes::INVALID_REQUEST, "The parameter `token` is missing."))?;
    let event = |kind, organization| Event::new(&cx.env, kind, &Actor::App(app.id), &cx.origin).within(organization);
    if presented.starts_with(PREFIX) {
        let Some((family, _)) = refresh::known(cx, presented).await? else { return Ok(()) };
        if family.app == app.id && family.epochs.hold(&cx.store).await? {
            bump(&cx.store, Scope::Grant(family.grant), batch).await?;
            // That the token was given back, and what else that has ended.
            for kind in [EventKind::RefreshRevoked, EventKind::GrantRevoked] {
                let event = event(kind, family.organization).about("grant", family.grant);
                batch.log(event.and("app", app.id).and("user", family.user).and("session", family.session));
            }
        }
        return Ok(());
    }
    let checked = match token::verify(cx, &door.keyring, presented).await {
        Ok(checked) => checked,
        Err(error) if error.is(&codes::INVALID_TOKEN) => return Ok(()),
        Err(error) => return Err(error),
    };
    if checked.grant.app != Some(app.id) {
        return Ok(());
    }
    if let Some(revoked) = RevokedToken::of(&checked) {
        let about = event(EventKind::GrantRevoked, checked.grant.organization).about("grant", checked.grant.id);
        batch.put(&revoked).log(about.with("token", "access"));
    }
    Ok(())
}
