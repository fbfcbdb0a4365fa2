//! The person's own page: who they are here, and the way out.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::attempt::Intent;
use super::authorize;
use super::http::{Signin, with_cookie};
use super::route::Wish;
use crate::access::Context;
use crate::connection::Connection;
use crate::directory::{Membership, Organization};
use crate::error::Result;
use crate::event::{Actor, Event, EventKind};
use crate::http::page::{Account, SignedOut};
use crate::http::reply;
use crate::session::Session;
use crate::store::Batch;

/// Shows it, or asks who it is.
pub(super) async fn show(signin: &Signin, cx: &Context, headers: &HeaderMap) -> Result<Response> {
    if let Some(session) = signin.session(cx, headers).await?
        && let Ok(member) = Membership::active(&cx.store, session.organization, session.user).await
    {
        let page = page(signin, cx, &session, &member).await?;
        return Ok(reply::html(StatusCode::OK, page.render(), []));
    }
    authorize::go(signin, cx, headers, Intent::Account, &Wish::default()).await
}

async fn page(signin: &Signin, cx: &Context, session: &Session, member: &Membership) -> Result<Account> {
    let organization = Organization::load(&cx.store, session.organization).await?;
    let connection = match session.connection {
        Some(id) => Connection::load(&cx.store, id).await.ok().map(|found| found.value.name),
        None => None,
    };
    Ok(Account {
        name: member.name.clone().unwrap_or_default(),
        email: member.email.clone().unwrap_or_default(),
        organization: organization.value.name,
        connection,
        since: session.created_at,
        until: Some(session.ends_at(&cx.store).await?),
        sign_out_action: signin.path("/signin/sign-out"),
        request_id: cx.origin.request.to_string(),
    })
}

/// Ends the session of this browser, and what apps were given under it.
pub(super) async fn sign_out(signin: &Signin, cx: &Context, headers: &HeaderMap) -> Result<Response> {
    if let Some(session) = signin.session(cx, headers).await? {
        let mut tries = 0;
        loop {
            let mut batch = Batch::new();
            Session::end(&cx.store, session.id, cx.env.now(), &mut batch).await?;
            let event = Event::new(&cx.env, EventKind::SessionSignedOut, &Actor::User(session.user), &cx.origin);
            batch.log(event.within(session.organization).about("session", session.id).and("user", session.user));
            match cx.store.commit(batch).await {
                Ok(_) => break,
                Err(refused) if refused.is_race() && tries < 3 => tries += 1,
                Err(refused) => return Err(refused.into()),
            }
        }
    }
    let page = SignedOut {
        app_name: None,
        return_href: None,
        sign_in_href: Some(signin.path("/signin")),
        request_id: cx.origin.request.to_string(),
    };
    let response = reply::html(StatusCode::OK, page.render(), []);
    Ok(with_cookie(response, Some(signin.no_session_cookie()?)))
}
