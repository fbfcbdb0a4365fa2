//! The person's own page: who they are here, where they are signed in, which apps act in their name, and the way out.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::attempt::Intent;
use super::http::{Signin, with_cookie};
use super::route::Wish;
use super::saml_sign_out::leads_out;
use super::{authorize, logout};
use crate::access::Context;
use crate::connection::Connection;
use crate::directory::{Membership, Organization};
use crate::error::Result;
use crate::event::{Actor, Event, EventKind};
use crate::governance::admitted;
use crate::http::extract::Params;
use crate::http::page::{Account, AccountApp, AccountConsent, AccountSession, SignedOut};
use crate::http::reply;
use crate::id::{AppId, ConnectionId, SessionId};
use crate::provider::logout::EndSession;
use crate::provider::{App, Consent, consent, held};
use crate::session::Session;
use crate::store::Batch;

/// How often a change is written again when somebody else was quicker.
const RETRIES: usize = 3;
/// So many sessions and apps are shown; somebody with more ends all others at once.
const SHOWN: usize = 50;

/// The person of a live session, if there is one.
struct Person {
    session: Session,
    member: Membership,
}

async fn person(signin: &Signin, cx: &Context, headers: &HeaderMap) -> Result<Option<Person>> {
    let Some(session) = signin.session(cx, headers).await? else { return Ok(None) };
    let member = admitted(&cx.store, session.organization, session.user, session.via()).await;
    Ok(member.ok().map(|member| Person { session, member: member.value }))
}

/// Shows it, or asks who it is.
pub(super) async fn show(signin: &Signin, cx: &Context, headers: &HeaderMap) -> Result<Response> {
    match person(signin, cx, headers).await? {
        Some(person) => {
            let page = page(signin, cx, &person).await?.render();
            Ok(match leads_out(cx, &person.session).await {
                true => signin.form_page(StatusCode::OK, page, None),
                false => reply::html(StatusCode::OK, page, []),
            })
        }
        None => authorize::go(signin, cx, headers, Intent::Account, &Wish::default()).await,
    }
}

async fn page(signin: &Signin, cx: &Context, person: &Person) -> Result<Account> {
    let Person { session, member } = person;
    let organization = Organization::load(&cx.store, session.organization).await?;
    let mut names = Names::default();
    let connection = names.connection(cx, session.connection).await;
    let mut sessions = Vec::new();
    let live = Session::of_person(&cx.store, cx.env.now(), session.organization, session.user).await?;
    let others = live.iter().any(|other| other.id != session.id);
    for other in live.iter().take(SHOWN) {
        let mut apps = Vec::new();
        for noted in other.apps(&cx.store).await?.iter().take(SHOWN) {
            apps.extend(names.app(cx, noted.app).await);
        }
        sessions.push(AccountSession {
            id: other.id.to_string(),
            here: other.id == session.id,
            browser: other.user_agent.clone(),
            ip: other.ip.clone(),
            connection: names.connection(cx, other.connection).await,
            since: other.created_at,
            last_used: other.last_used(&cx.store).await?,
            apps,
        });
    }
    // The one that the person looks from comes first.
    sessions.sort_by_key(|other| !other.here);
    let apps = held::of(cx, session.organization, session.user).await?.into_iter().take(SHOWN);
    let mut consents = Vec::new();
    for agreed in Consent::of_member(&cx.store, session.organization, session.user).await?.into_iter().take(SHOWN) {
        // What was agreed to with an app that is gone is swept; nobody can act on it meanwhile.
        if let Some(name) = names.app(cx, agreed.app).await {
            let (since, updated) = (agreed.created_at, agreed.updated_at);
            consents.push(AccountConsent { id: agreed.app.to_string(), name, scope: agreed.scopes, since, updated });
        }
    }
    Ok(Account {
        name: member.name.clone().unwrap_or_default(),
        email: member.email.clone().unwrap_or_default(),
        organization: organization.value.name,
        connection,
        since: session.created_at,
        until: Some(session.ends_at(&cx.store).await?),
        sessions,
        others,
        apps: apps
            .map(|held| AccountApp {
                id: held.app.to_string(),
                name: held.name,
                offline: held.offline,
                since: held.since,
                until: held.until,
                scope: held.scope,
            })
            .collect(),
        consents,
        sign_out_action: signin.path("/signin/sign-out"),
        end_session_action: signin.path("/signin/sessions/end"),
        end_others_action: signin.path("/signin/sessions/end-others"),
        end_app_action: signin.path("/signin/apps/end"),
        end_consent_action: signin.path("/signin/consents/end"),
        request_id: cx.origin.request.to_string(),
    })
}

/// What connections and apps are called, each looked up once.
#[derive(Default)]
struct Names {
    connections: BTreeMap<ConnectionId, Option<String>>,
    apps: BTreeMap<AppId, Option<String>>,
}

impl Names {
    async fn connection(&mut self, cx: &Context, id: Option<ConnectionId>) -> Option<String> {
        let id = id?;
        if let Some(known) = self.connections.get(&id) {
            return known.clone();
        }
        let found = Connection::load(&cx.store, id).await.ok().map(|found| found.value.name);
        self.connections.entry(id).or_insert(found).clone()
    }

    async fn app(&mut self, cx: &Context, id: AppId) -> Option<String> {
        if let Some(known) = self.apps.get(&id) {
            return known.clone();
        }
        let found = App::load(&cx.store, id).await.ok().map(|found| found.value.name);
        self.apps.entry(id).or_insert(found).clone()
    }
}

/// Back to the page, which shows what holds now.
fn back(signin: &Signin) -> Result<Response> {
    reply::see_other(&signin.world.deployment.public_url.at("/signin"))
}

/// Ends the session of this browser, and what apps were given under it.
pub(super) async fn sign_out(signin: &Signin, cx: &Context, headers: &HeaderMap) -> Result<Response> {
    if let Some(session) = signin.session(cx, headers).await? {
        return logout::end(signin, cx, &session, &EndSession::default()).await;
    }
    let page = SignedOut {
        app_name: None,
        return_href: None,
        sign_in_href: Some(signin.path("/signin")),
        frames: Vec::new(),
        request_id: cx.origin.request.to_string(),
    };
    let response = reply::html(StatusCode::OK, page.render(), []);
    Ok(with_cookie(response, Some(signin.no_session_cookie()?)))
}

/// Ends one of the person's sessions elsewhere.
pub(super) async fn end_session(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Response> {
    // Another person's session does not exist for this one; an unknown one has ended already.
    let wanted: Option<SessionId> = params.need("session")?.parse().ok();
    end_some(signin, cx, headers, |session| Some(session.id) == wanted).await
}

/// Ends all of the person's sessions but this one.
pub(super) async fn end_others(signin: &Signin, cx: &Context, headers: &HeaderMap) -> Result<Response> {
    end_some(signin, cx, headers, |_| true).await
}

async fn end_some(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    which: impl Fn(&Session) -> bool,
) -> Result<Response> {
    let Some(Person { session, .. }) = person(signin, cx, headers).await? else { return back(signin) };
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        for other in Session::of_person(&cx.store, cx.env.now(), session.organization, session.user).await? {
            if other.id == session.id || !which(&other) {
                continue;
            }
            Session::end(&cx.store, other.id, cx.env.now(), &mut batch).await?;
            let event = Event::new(&cx.env, EventKind::SessionInvalidated, &Actor::User(session.user), &cx.origin);
            let event = event.within(other.organization).about("session", other.id).and("user", other.user);
            batch.log(event.with("reason", "ended_by_the_person"));
        }
        match cx.store.commit(batch).await {
            Ok(_) => return back(signin),
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Takes back what an app was given in the person's name.
pub(super) async fn end_app(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let Some(Person { session, .. }) = person(signin, cx, headers).await? else { return back(signin) };
    let wanted: Option<AppId> = params.need("app")?.parse().ok();
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        for held in held::of(cx, session.organization, session.user).await? {
            if Some(held.app) == wanted {
                held::take_back(cx, &held, (session.organization, session.user), &mut batch).await?;
            }
        }
        match cx.store.commit(batch).await {
            Ok(_) => return back(signin),
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Withdraws what the person has agreed to with an app, and with it all that the app was given.
pub(super) async fn end_consent(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Response> {
    let Some(Person { session, .. }) = person(signin, cx, headers).await? else { return back(signin) };
    let (organization, user) = (session.organization, session.user);
    let Ok(app) = params.need("app")?.parse::<AppId>() else { return back(signin) };
    let mut tries = 0;
    loop {
        // Nothing to withdraw: nothing ends, and no event says so.
        if Consent::load(&cx.store, organization, user, app).await?.is_none() {
            return back(signin);
        }
        let mut batch = Batch::new();
        let event = Event::new(&cx.env, EventKind::ConsentRevoked, &Actor::User(user), &cx.origin);
        consent::end(cx, (organization, user, app), event.with("reason", "ended_by_the_person"), &mut batch).await?;
        match cx.store.commit(batch).await {
            Ok(_) => return back(signin),
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}
