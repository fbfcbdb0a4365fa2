//! The second beat: the browser comes back with the provider's answer.

use axum::http::HeaderMap;
use axum::response::Response;

use super::attempt::{Attempt, Step};
use super::authorize::{again, app_name};
use super::finish::{self, Vouched};
use super::http::Signin;
use super::trace::Trace;
use crate::access::{Context, refusal};
use crate::connection::Connection;
use crate::connection::protocol::{Answer, Authenticated, Checks};
use crate::crypto::TokenHash;
use crate::directory::Organization;
use crate::error::{Error, Kind, Result, codes};
use crate::event::EventKind;
use crate::http::extract::Params;
use crate::http::page::Failure;
use crate::http::reply;
use crate::store::{Batch, Refused, Stored};

/// How often an attempt is claimed again when its row was changed under it.
const RETRIES: usize = 3;

/// What is known when a callback is refused.
#[derive(Default)]
pub(super) struct Landing {
    /// The connection of the address.
    pub connection: Option<Connection>,
    /// The attempt, once the browser has shown that it is its own.
    pub attempt: Option<Stored<Attempt>>,
    /// Who arrived, once the provider has said it.
    pub person: Option<Authenticated>,
    pub checks: Checks,
    /// What is to be kept of a person who does not get in.
    pub made: Batch,
}

/// `GET /connections/{id}/oidc/callback`.
pub(super) async fn land(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    id: &str,
    params: &Params,
) -> Result<Response> {
    let mut landing = Landing::default();
    match arrive(signin, cx, headers, id, params, &mut landing).await {
        Ok(response) => Ok(response),
        Err(error) => refuse(signin, cx, landing, error).await,
    }
}

async fn arrive(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    id: &str,
    params: &Params,
    landing: &mut Landing,
) -> Result<Response> {
    let connection = match id.parse() {
        Ok(id) => Connection::load(&cx.store, id).await?.value,
        Err(_) => return Err(Error::new(&codes::NOT_FOUND)),
    };
    landing.connection = Some(connection.clone());
    let answer = read(params)?;
    let attempt = own_attempt(signin, cx, headers, &answer, landing).await?;
    landing.attempt = Some(attempt.clone());
    if !attempt.is_of(&connection) {
        // Another provider's answer at this connection's address: the code must not reach any token endpoint (RFC 9700 §4.4).
        landing.checks.compare("connection", false, attempt.connection, connection.id);
        return Err(Error::new(&codes::ISSUER_MISMATCH));
    }
    landing.checks.pass("connection", connection.id);
    let standing = connection.usable().is_ok() && attempt.epochs.hold(&cx.store).await?;
    landing.checks.state("enabled", standing);
    if !standing {
        return Err(Error::new(&codes::CONNECTION_DISABLED));
    }
    Organization::open(&cx.store, connection.organization).await?;
    let protocol = signin.registry.protocol(cx, &connection)?;
    protocol.screen(&answer, &mut landing.checks)?;

    // Claimed before the network: whatever happens from here on, this answer is used up.
    let claimed = claim(cx, attempt).await?;
    signin.bounds.returned(cx, claimed.id).await?;
    landing.attempt = Some(claimed.clone());
    let person = protocol.complete(cx, &answer, &claimed.kept, &mut landing.checks).await?;
    let earlier = signin.session(cx, headers).await?;
    let person = landing.person.insert(person);
    let vouched = Vouched { connection: &connection, person, earlier: earlier.as_ref() };
    let used = (&claimed.value, Some(claimed.revision));
    finish::finish(signin, cx, used, &vouched, &mut landing.checks, &mut landing.made).await?.response(signin, cx).await
}

/// The parameters, each at most once. Errors: `state_mismatch` for what is no answer at all.
pub(super) fn read(params: &Params) -> Result<Answer> {
    let mut answer = Answer::default();
    for (name, value) in params.iter().take(64) {
        if answer.parameters.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Error::says(&codes::STATE_MISMATCH, "The provider's answer has a parameter twice."));
        }
    }
    Ok(answer)
}

/// The attempt that the `state` stands for, if it is this browser's and was not answered before.
/// Unknown, used up, expired and another browser's all look the same from outside.
async fn own_attempt(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    answer: &Answer,
    landing: &mut Landing,
) -> Result<Stored<Attempt>> {
    let mismatch = || Error::new(&codes::STATE_MISMATCH);
    let state = answer.parameters.get("state").filter(|state| state.len() <= 128);
    let found: Option<Stored<Attempt>> = match state {
        Some(state) => cx.store.find("state", TokenHash::of(state).bytes()).await?,
        None => None,
    };
    landing.checks.state("state", found.is_some());
    let attempt = found.ok_or_else(mismatch)?;
    let own = signin.browser(headers) == Some(attempt.browser);
    landing.checks.state("browser", own);
    if !own {
        return Err(mismatch());
    }
    let fresh = attempt.step == Step::Sent && !attempt.created_at.is_ahead_of(cx.env.now());
    landing.checks.state("unused", fresh);
    if fresh { Ok(attempt) } else { Err(mismatch()) }
}

/// Marks the attempt as answered. Of two answers at once, one is too late. A row that was only sealed anew meanwhile
/// still waits for its answer.
pub(super) async fn claim(cx: &Context, mut attempt: Stored<Attempt>) -> Result<Stored<Attempt>> {
    let mismatch = || Error::new(&codes::STATE_MISMATCH);
    let mut tries = 0;
    loop {
        let claimed = Attempt { step: Step::Claimed, ..attempt.value };
        let mut batch = Batch::new();
        batch.update(&claimed, attempt.revision);
        let written = cx.store.commit(batch).await;
        let found = cx.store.get::<Attempt>(crate::store::Record::key(&claimed)).await?;
        match written {
            Ok(_) => return found.ok_or_else(|| Error::new(&codes::ATTEMPT_EXPIRED)),
            Err(Refused::Stale { .. }) if tries < RETRIES => {
                tries += 1;
                attempt = found.filter(|found| found.step == Step::Sent).ok_or_else(mismatch)?;
            }
            Err(Refused::Stale { .. }) => return Err(mismatch()),
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// One event, the trace, the attempt gone: one commit. Then the page: the same sentence for every reason.
pub(super) async fn refuse(signin: &Signin, cx: &Context, landing: Landing, error: Error) -> Result<Response> {
    reply::log(&error, cx.origin.request);
    let intent = landing.attempt.as_ref().map(|attempt| attempt.intent.clone());
    if error.kind() != Kind::Bug {
        note(signin, cx, landing, &error).await?;
    }
    let mut page = match error.kind() {
        Kind::Invalid if !error.is(&codes::UPSTREAM_DENIED) => {
            Failure::refused(error.code(), cx.origin.request.to_string())
        }
        _ => Failure::from_error(&error, cx.origin.request.to_string()),
    };
    if let Some(again) = intent.as_ref().and_then(|intent| again(signin, intent)) {
        page = page.retry(again);
    }
    if let Some(name) = app_name(cx, intent.as_ref()).await {
        page = page.app(name);
    }
    Ok(reply::html(reply::page_status(&error), page.render(), []))
}

pub(super) async fn note(signin: &Signin, cx: &Context, landing: Landing, error: &Error) -> Result<()> {
    let Landing { connection, attempt, person, checks, made } = landing;
    let mut trace = match &attempt {
        Some(attempt) => Trace::of(cx, attempt).await?,
        None => Trace::stray(cx, connection.as_ref().map(|connection| (connection.id, connection.organization))),
    };
    if let Some(person) = &person {
        trace.keep(person);
    }
    trace.refuse(cx.env.now(), checks, error);
    let event = match &connection {
        Some(connection) => cx
            .event(EventKind::ConnectionLoginFailed)
            .within(connection.organization)
            .about("connection", connection.id)
            .and("attempt", trace.id),
        None => cx.event(EventKind::SigninRefused),
    };
    let event = event.failed(error.code());
    let mut batch = made;
    if let Some(attempt) = &attempt {
        signin.bounds.returned(cx, attempt.id).await?;
        batch.delete::<Attempt>(crate::store::Record::key(&attempt.value), attempt.revision);
    }
    if refusal::tell(cx, event.clone(), &mut batch).await? || attempt.is_some() {
        signin.bounds.trace(cx, &trace, &mut batch).await?;
    }
    match cx.store.commit(batch).await {
        Ok(_) => Ok(()),
        // The attempt went away in the meantime: the refusal is still told.
        Err(refused) if refused.is_race() => {
            let mut batch = Batch::new();
            signin.bounds.trace(cx, &trace, &mut batch).await?;
            batch.log(event);
            cx.store.commit(batch).await?;
            Ok(())
        }
        Err(refused) => Err(refused.into()),
    }
}
