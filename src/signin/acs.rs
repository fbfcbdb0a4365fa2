//! The second beat of SAML, in two steps: the provider's page posts the answer, and the browser comes by itself.
//!
//! A browser leaves our cookies at home when another site posts (`SameSite=Lax`). So the post needs none: the answer is
//! verified, what it says is sealed into the attempt, and the browser is sent to `/signin/continue`. There it brings its
//! cookie, which must be that of the attempt, and the sign-in is finished.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Intent, Step};
use super::bounds;
use super::callback::{Landing, read, refuse};
use super::finish::{self, Vouched};
use super::http::{Signin, with_cookie};
use super::used::UsedAssertion;
use crate::access::{Caller, Context};
use crate::connection::protocol::{Answer, Authenticated, Check, Checks, open_kept, seal_kept};
use crate::connection::saml::{Saml, look_for_keys};
use crate::connection::{Connection, ProtocolKind};
use crate::crypto::{Opaque, TokenHash};
use crate::directory::Organization;
use crate::error::{Error, Result, codes};
use crate::http::extract::{Params, read_form};
use crate::http::reply;
use crate::id::AttemptId;
use crate::session::{Epochs, Scope};
use crate::store::{Batch, Record as _, Refused, Stored};

/// How often an attempt is written again when its row was changed under it.
const RETRIES: usize = 3;

/// What was verified, between the two steps. Sealed with the attempt.
#[derive(Serialize, Deserialize)]
struct Returned {
    person: Authenticated,
    checks: Vec<Check>,
}

impl Returned {
    fn seal(cx: &Context, connection: &Connection, person: Authenticated, checks: &Checks) -> Result<Vec<u8>> {
        let all = Self { person, checks: checks.rows().to_vec() };
        seal_kept(cx, connection.id, &serde_json::to_string(&all).map_err(Error::bug)?)
    }

    fn open(cx: &Context, attempt: &Attempt) -> Result<Self> {
        let text: String = open_kept(cx, attempt.connection, &attempt.kept)?;
        serde_json::from_str(&text).map_err(Error::bug)
    }
}

/// `POST /connections/{id}/saml/acs`.
pub(super) async fn land(signin: &Signin, cx: &Context, id: &str, request: Request) -> Result<Response> {
    let mut landing = Landing::default();
    match arrive(signin, cx, id, request, &mut landing).await {
        Ok(response) => Ok(response),
        Err(error) => refuse(signin, cx, landing, error).await,
    }
}

async fn arrive(signin: &Signin, cx: &Context, id: &str, request: Request, landing: &mut Landing) -> Result<Response> {
    let connection = match id.parse() {
        Ok(id) => Connection::load(&cx.store, id).await?.value,
        Err(_) => return Err(Error::new(&codes::NOT_FOUND)),
    };
    if connection.protocol != ProtocolKind::Saml {
        return Err(Error::new(&codes::NOT_FOUND));
    }
    landing.connection = Some(connection.clone());
    let params = read_form(request).await?;
    let answer = read(&params).map_err(|error| Error::new(&codes::SAML_STRUCTURE).because(error))?;
    let enabled = connection.usable();
    landing.checks.state("enabled", enabled.is_ok());
    enabled.map_err(|error| Error::new(&codes::CONNECTION_DISABLED).because(error))?;
    Organization::open(&cx.store, connection.organization).await?;
    match attempt_of(cx, &answer).await? {
        Some(attempt) if attempt.is_of(&connection) && !matches!(attempt.intent, Intent::Relayed(_)) => {
            answered(signin, cx, &connection, &answer, attempt, landing).await
        }
        _ => unasked(signin, cx, &connection, &answer, landing).await,
    }
}

/// The attempt that the relay state stands for.
async fn attempt_of(cx: &Context, answer: &Answer) -> Result<Option<Stored<Attempt>>> {
    match answer.parameters.get("RelayState").filter(|state| state.len() <= 80) {
        Some(state) => Ok(cx.store.find("state", TokenHash::of(state).bytes()).await?),
        None => Ok(None),
    }
}

/// An answer to a request of ours.
async fn answered(
    signin: &Signin,
    cx: &Context,
    connection: &Connection,
    answer: &Answer,
    attempt: Stored<Attempt>,
    landing: &mut Landing,
) -> Result<Response> {
    landing.checks.state("state", true);
    let fresh = attempt.step == Step::Sent && !attempt.created_at.is_ahead_of(cx.env.now());
    landing.checks.state("unused", fresh);
    if !fresh {
        // It waits for its own browser; whoever posts a second answer does not take it away.
        return Err(Error::new(&codes::SAML_REPLAY));
    }
    let standing = attempt.epochs.hold(&cx.store).await?;
    landing.checks.state("epochs", standing);
    if !standing {
        landing.attempt = Some(attempt);
        return Err(Error::new(&codes::CONNECTION_DISABLED));
    }
    let protocol = signin.registry.protocol(cx, connection)?;
    protocol.screen(answer, &mut landing.checks)?;
    // What does not hold leaves the attempt to the answer that does: a stranger who learns a relay state cannot end
    // somebody's sign-in by it.
    let before = landing.checks.clone();
    let mut person = protocol.complete(cx, answer, &attempt.kept, &mut landing.checks).await;
    if let Some(newer) = newer(signin, cx, connection, &person).await? {
        landing.read_again(before, newer);
        let protocol = signin.registry.protocol(cx, landing.connection.as_ref().unwrap_or(connection))?;
        person = protocol.complete(cx, answer, &attempt.kept, &mut landing.checks).await;
    }
    let person = person?;
    let person = landing.person.insert(person).clone();
    unused(cx, connection, &person, &mut landing.checks).await?;
    let kept = Returned::seal(cx, connection, person, &landing.checks)?;
    returned(signin, cx, attempt, kept).await?;
    let state = answer.parameters.get("RelayState").map(String::as_str).unwrap_or_default();
    reply::see_other(&go_on_at(signin, state))
}

impl Landing {
    /// The provider has other keys than was known: what was checked with the old ones is not told.
    fn read_again(&mut self, before: Checks, newer: Connection) {
        self.checks = before;
        self.checks.pass("metadata_read_again", "the certificates are others now");
        self.connection = Some(newer);
    }
}

/// The connection with newer certificates, where a signature fits none of those that are known and the provider's metadata
/// has others. It is authd itself who asks; the answer that makes it ask may be anybody's.
async fn newer(
    signin: &Signin,
    cx: &Context,
    connection: &Connection,
    read: &Result<Authenticated>,
) -> Result<Option<Connection>> {
    match read {
        Err(error) if error.is(&codes::SAML_SIGNATURE_INVALID) => {
            look_for_keys(&signin.world.context(Caller::System, cx.origin.clone()), connection).await
        }
        _ => Ok(None),
    }
}

fn go_on_at(signin: &Signin, state: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
    signin.world.deployment.public_url.at(&format!("/signin/continue?{query}"))
}

/// Errors: `saml_replay`.
async fn unused(cx: &Context, connection: &Connection, person: &Authenticated, checks: &mut Checks) -> Result<()> {
    let Some(once) = &person.once else { return Ok(()) };
    let known = UsedAssertion::of(connection.id, once).known(&cx.store).await?;
    checks.state("replay", !known);
    if known { Err(Error::new(&codes::SAML_REPLAY)) } else { Ok(()) }
}

/// Marks the attempt as answered, with what was verified. Of two answers at once, one is too late.
async fn returned(signin: &Signin, cx: &Context, mut attempt: Stored<Attempt>, kept: Vec<u8>) -> Result<()> {
    let mut tries = 0;
    loop {
        let id = attempt.id;
        let after = Attempt { step: Step::Returned, kept: kept.clone(), ..attempt.value };
        let mut batch = Batch::new();
        batch.update(&after, attempt.revision);
        match cx.store.commit(batch).await {
            Ok(_) => return signin.bounds.returned(cx, id).await,
            Err(Refused::Stale { .. }) if tries < RETRIES => {
                tries += 1;
                let found = cx.store.get::<Attempt>(after.key()).await?;
                attempt =
                    found.filter(|found| found.step == Step::Sent).ok_or_else(|| Error::new(&codes::SAML_REPLAY))?;
            }
            Err(Refused::Stale { .. }) => return Err(Error::new(&codes::SAML_REPLAY)),
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// An answer that no waiting sign-in of ours asked for.
async fn unasked(
    signin: &Signin,
    cx: &Context,
    connection: &Connection,
    answer: &Answer,
    landing: &mut Landing,
) -> Result<Response> {
    let saml = Saml::of(connection)?;
    let asked = Saml::asked(answer)?;
    // Captured before anything is believed: what is disabled from here on is dead when the session is opened.
    let epochs =
        Epochs::capture(&cx.store, &[Scope::Organization(connection.organization), Scope::Connection(connection.id)])
            .await?;
    let before = landing.checks.clone();
    let mut person = saml.unasked(cx, answer, asked.as_deref(), &mut landing.checks);
    if let Some(newer) = newer(signin, cx, connection, &person).await? {
        let saml = Saml::of(&newer)?;
        landing.read_again(before, newer);
        person = saml.unasked(cx, answer, asked.as_deref(), &mut landing.checks);
    }
    let person = landing.person.insert(person?).clone();
    unused(cx, connection, &person, &mut landing.checks).await?;
    if let Some(asked) = asked {
        landing.checks.compare("request", false, "a sign-in that waits here", asked);
        return Err(Error::new(&codes::SAML_IN_RESPONSE_TO));
    }
    landing.checks.state("idp_initiated", saml.takes_unasked());
    if !saml.takes_unasked() {
        return Err(Error::new(&codes::SAML_UNSOLICITED));
    }
    if answer.parameters.get("RelayState").is_some_and(|state| !state.is_empty()) {
        // Where a sign-in ends is the connection's to say.
        landing.checks.pass("relay_state_ignored", "true");
    }
    let Opaque { text: state, hash } = Opaque::new(&cx.env, "");
    // Always a new mark: what the browser has, it did not bring.
    let (browser, cookie) = signin.mark(cx, &HeaderMap::new())?;
    let attempt = Attempt {
        id: AttemptId::new(&cx.env),
        browser,
        state: hash,
        intent: Intent::Landing(saml.lands_at()),
        connection: connection.id,
        organization: connection.organization,
        epochs,
        kept: Returned::seal(cx, connection, person, &landing.checks)?,
        step: Step::Returned,
        created_at: cx.env.now(),
        request: cx.origin.request,
        client: bounds::client(cx).map(Attempt::client_bytes),
    };
    signin.bounds.begin(cx, &attempt).await?;
    Ok(with_cookie(reply::see_other(&go_on_at(signin, state.expose()))?, cookie))
}

/// `GET /signin/continue`: the browser comes by itself, with its cookie.
pub(super) async fn go_on(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let mut landing = Landing::default();
    match finish(signin, cx, headers, params, &mut landing).await {
        Ok(response) => Ok(response),
        Err(error) => refuse(signin, cx, landing, error).await,
    }
}

async fn finish(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    params: &Params,
    landing: &mut Landing,
) -> Result<Response> {
    let state = params.one("state")?.filter(|state| state.len() <= 128);
    let found: Option<Stored<Attempt>> = match state {
        Some(state) => cx.store.find("state", TokenHash::of(state).bytes()).await?,
        None => None,
    };
    landing.checks.state("state", found.is_some());
    let attempt = found.ok_or_else(|| Error::new(&codes::STATE_MISMATCH))?;
    let connection = Connection::load(&cx.store, attempt.connection).await?.value;
    landing.connection = Some(connection.clone());
    let own = signin.browser(headers) == Some(attempt.browser);
    landing.checks.state("browser", own);
    let answered = attempt.step == Step::Returned;
    landing.checks.state("answered", answered);
    if !own || !answered {
        // The attempt stays for the browser that it belongs to.
        return Err(Error::new(&codes::SAML_IN_RESPONSE_TO));
    }
    landing.attempt = Some(attempt.clone());
    let standing = connection.usable().is_ok() && attempt.epochs.hold(&cx.store).await?;
    landing.checks.state("enabled", standing);
    if !standing {
        return Err(Error::new(&codes::CONNECTION_DISABLED));
    }
    Organization::open(&cx.store, connection.organization).await?;
    let Returned { person, checks } = Returned::open(cx, &attempt)?;
    let mut all = Checks::of(checks);
    for check in std::mem::take(&mut landing.checks).into_rows() {
        all.state(&check.name, check.ok);
    }
    landing.checks = all;
    let earlier = signin.session(cx, headers).await?;
    let person = landing.person.insert(person);
    let vouched = Vouched { connection: &connection, person, earlier: earlier.as_ref() };
    let used = (&attempt.value, Some(attempt.revision));
    signin.bounds.returned(cx, attempt.id).await?;
    match finish::finish(signin, cx, used, &vouched, &mut landing.checks, &mut landing.made).await {
        Ok(finished) => finished.response(signin, cx).await,
        // Another tab was quicker with the same attempt.
        Err(error) if error.is(&codes::STALE) => {
            landing.attempt = None;
            Err(Error::new(&codes::SAML_REPLAY).because(error))
        }
        Err(error) => Err(error),
    }
}
