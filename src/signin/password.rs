//! Name and password, for connections whose provider is a directory: the page that asks, and what comes of the answer.
//!
//! The page carries a sealed ticket, as the page for the address does, and writes nothing. A password is held by the request
//! that brings it, handed to the protocol, and gone. One try is taken before anything is looked at; it is given back when it
//! was right.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::attempt::{Attempt, Intent, Step};
use super::authorize::{again, app_name, reach, refuse, returns_to};
use super::bounds;
use super::finish::{self, Finished, Vouched};
use super::http::{Signin, with_cookie};
use super::route::{Routed, Wish, route};
use super::ticket::Ticket;
use super::trace::Trace;
use crate::access::throttle::{self, Rule, Subject};
use crate::access::{Context, refusal};
use crate::connection::Connection;
use crate::connection::protocol::{Answer, Authenticated, Checks, Credentials};
use crate::crypto::{Opaque, Secret, TokenHash};
use crate::directory::Organization;
use crate::error::{Error, Kind, Result, codes};
use crate::event::EventKind;
use crate::http::extract::Params;
use crate::http::page::{Failure, Notice, Password, field};
use crate::http::reply;
use crate::id::{AttemptId, ConnectionId};
use crate::session::{Epochs, Scope};
use crate::store::Batch;

/// The page. It writes nothing.
pub(super) async fn ask(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    intent: Intent,
    connection: &Connection,
    username: &str,
) -> Result<Response> {
    page(signin, cx, headers, intent, connection, username, None).await
}

async fn page(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    intent: Intent,
    connection: &Connection,
    username: &str,
    error: Option<&Error>,
) -> Result<Response> {
    let (browser, cookie) = signin.mark(cx, headers)?;
    let organization = Organization::load(&cx.store, connection.organization).await?;
    let (target, back) = (returns_to(&intent), again(signin, &intent));
    let app_name = app_name(cx, Some(&intent)).await;
    let ticket = Ticket { intent, browser, made_at: cx.env.now(), connection: Some(connection.id) };
    let page = Password {
        action: signin.path("/signin/password"),
        attempt: ticket.seal(cx)?,
        app_name,
        organization: organization.value.name,
        connection: connection.name.clone(),
        username: username.to_owned(),
        error: error.map(Notice::from),
        code: error.map(|error| error.code().to_owned()).unwrap_or_default(),
        back_href: back,
        request_id: cx.origin.request.to_string(),
    };
    let status = error.map_or(StatusCode::OK, reply::page_status);
    Ok(with_cookie(signin.form_page(status, page.render(), target.as_deref()), cookie))
}

/// `POST /signin/password`: the page's answer.
pub(super) async fn answer(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let opened = Ticket::open(cx, params.need(field::ATTEMPT)?, signin.browser(headers));
    let ticket = opened.and_then(|ticket| match ticket.connection {
        Some(connection) => Ok((ticket.intent, ticket.browser, connection)),
        None => Err(Error::new(&codes::CSRF)),
    });
    let (intent, browser, id) = match ticket {
        Ok(ticket) => ticket,
        Err(error) => return refuse(signin, cx, None, None, error).await,
    };
    // An empty field is one that was left empty: it is refused as any name or password that is none.
    let username = params.one(field::USERNAME)?.unwrap_or_default().to_owned();
    let password = Secret::new(params.one(field::PASSWORD)?.unwrap_or_default());
    let earlier = signin.session(cx, headers).await?;
    let given = Credentials { username: username.clone(), password };
    let mut try_ = match Try::begin(signin, cx, intent.clone(), Some(browser), id).await {
        Ok(try_) => try_,
        Err(error) => return refuse(signin, cx, Some(&intent), None, error).await,
    };
    let tries = throttle::password(cx, Credentials::account(id, &Credentials::counted(&username)), None);
    match try_.pass(given, tries, earlier.as_ref()).await {
        Ok(finished) => finished.response(signin, cx).await,
        Err(error) => {
            reply::log(&error, cx.origin.request);
            try_.note(&error).await?;
            let connection = try_.connection;
            if error.is(&codes::INVALID_CREDENTIALS) || error.is(&codes::RATE_LIMITED) {
                let shown = page(signin, cx, headers, intent, &connection, &username, Some(&error)).await?;
                return Ok(reply::retry_after(shown, &error));
            }
            let mut page = Failure::from_error(&error, cx.origin.request.to_string());
            if let Some(again) = again(signin, &intent) {
                page = page.retry(again);
            }
            if let Some(name) = app_name(cx, Some(&intent)).await {
                page = page.app(name);
            }
            Ok(reply::html(reply::page_status(&error), page.render(), []))
        }
    }
}

/// One try to sign in by name and password.
pub(super) struct Try<'a> {
    signin: &'a Signin,
    cx: &'a Context,
    /// Never kept: it begins and ends within one request.
    attempt: Attempt,
    pub connection: Connection,
    /// Who arrived, once the directory has said it.
    pub person: Option<Authenticated>,
    checks: Checks,
    /// What is to be kept of a person who does not get in.
    made: Batch,
}

impl<'a> Try<'a> {
    /// Through a connection that the intent may use. Errors: those of `route`.
    pub async fn begin(
        signin: &'a Signin,
        cx: &'a Context,
        intent: Intent,
        browser: Option<TokenHash>,
        id: ConnectionId,
    ) -> Result<Self> {
        let found = Connection::load(&cx.store, id).await?;
        let mut scopes = vec![Scope::Organization(found.organization), Scope::Connection(id)];
        scopes.extend(intent.app().map(Scope::App));
        // Captured before the status is read: what is disabled from here on is dead when the session is opened.
        let epochs = Epochs::capture(&cx.store, &scopes).await?;
        let reach = reach(cx, &intent).await?;
        let named = id.to_string();
        let wish = Wish { connection: Some(&named), ..Wish::default() };
        let Routed::To(connection) = route(cx, &reach, &wish).await? else {
            return Err(Error::new(&codes::NO_CONNECTION));
        };
        let handle = || Opaque::new(&cx.env, "").hash;
        let attempt = Attempt {
            id: AttemptId::new(&cx.env),
            browser: browser.unwrap_or_else(handle),
            state: handle(),
            intent,
            connection: connection.id,
            organization: connection.organization,
            epochs,
            kept: Vec::new(),
            step: Step::Claimed,
            created_at: cx.env.now(),
            request: cx.origin.request,
            client: bounds::client(cx).map(Attempt::client_bytes),
        };
        let (checks, made) = (Checks::new(), Batch::new());
        Ok(Self { signin, cx, attempt, connection: *connection, person: None, checks, made })
    }

    /// Asks the directory, and lets the person in. Errors: those of the protocol and of the policy; `rate_limited`.
    pub async fn pass(
        &mut self,
        given: Credentials,
        tries: Vec<(Rule, Subject)>,
        earlier: Option<&crate::session::Session>,
    ) -> Result<Finished> {
        let protocol = self.signin.registry.protocol(self.cx, &self.connection)?;
        let typed = Credentials::counted(&given.username);
        let answer = Answer { credentials: Some(given), ..Answer::default() };
        throttle::take(self.cx, &tries).await?;
        protocol.screen(&answer, &mut self.checks)?;
        let person = protocol.complete(self.cx, &answer, &[], &mut self.checks).await?;
        drop(answer);
        let mut tries = tries;
        // The same account by another of its names: the protocol has taken a try of the account itself.
        if let Some(account) = person.account.as_ref().filter(|account| **account != typed) {
            let subject = Subject::new().and(Credentials::account(self.connection.id, account));
            tries.push((Rule::PasswordOfAccount, subject));
        }
        let person = self.person.insert(person);
        let vouched = Vouched { connection: &self.connection, person, earlier, tries };
        let used = (&self.attempt, None);
        finish::finish(self.signin, self.cx, used, &vouched, &mut self.checks, &mut self.made).await
    }

    /// One event and the trace: one commit. What is refused for its number leaves nothing behind, or the refusals would be
    /// the flood.
    pub async fn note(&mut self, error: &Error) -> Result<()> {
        if matches!(error.kind(), Kind::Bug | Kind::TooMany) {
            return Ok(());
        }
        let cx = self.cx;
        let checks = std::mem::take(&mut self.checks);
        let mut event = cx
            .event(EventKind::ConnectionLoginFailed)
            .within(self.connection.organization)
            .about("connection", self.connection.id)
            .and("attempt", self.attempt.id)
            .failed(error.code());
        // Why, for whoever looks after the directory; the person is told one sentence.
        if let Some(failed) = checks.rows().iter().rev().find(|check| !check.ok) {
            event = event.with("check", failed.name.clone());
            if let Some(reason) = &failed.received {
                event = event.with("reason", reason.clone());
            }
        }
        let mut trace = Trace::begun(&self.attempt);
        if let Some(person) = &self.person {
            trace.keep(person);
        }
        trace.refuse(cx.env.now(), checks, error);
        let made = std::mem::take(&mut self.made);
        let mut tries = 0;
        let mut made = Some(made);
        loop {
            let mut batch = made.take().unwrap_or_default();
            if refusal::tell(cx, event.clone(), &mut batch).await? {
                self.signin.bounds.trace(cx, &trace, &mut batch).await?;
            }
            match cx.store.commit(batch).await {
                // Somebody became known at the same moment, or a trace that had to make room went by itself.
                Err(refused) if refused.is_race() && tries < 3 => tries += 1,
                done => return done.map(drop).map_err(Into::into),
            }
        }
    }
}
