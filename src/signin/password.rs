//! Name and password, for connections whose provider is a directory: the page that asks, and what comes of the answer.
//!
//! The page carries a sealed ticket, as the page for the address does, and writes nothing. A password is held by the request
//! that brings it, handed to the protocol, and gone. One try is taken before anything is looked at; when it was right it is
//! given back, and any other is written with the refusal.

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
use crate::access::throttle::{self, Rule, Subject, Taken};
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
use crate::id::AttemptId;
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
    let begun = match Connection::load(&cx.store, id).await {
        Ok(known) => Try::begin(signin, cx, intent.clone(), Some(browser), &known).await,
        Err(error) => Err(error),
    };
    let mut try_ = match begun {
        Ok(try_) => try_,
        Err(error) => return refuse(signin, cx, Some(&intent), None, error).await,
    };
    let tries = throttle::password(cx, Credentials::account(id, &Credentials::counted(&username)), None);
    match try_.pass(given, &tries, earlier.as_ref()).await {
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
    /// What was taken before the password was looked at.
    tries: Taken,
    /// What is to be kept of a person who does not get in.
    made: Batch,
}

impl<'a> Try<'a> {
    /// Through a connection that the intent may use, read before: whose it is never changes, all else is read anew.
    /// Errors: those of `route`.
    pub async fn begin(
        signin: &'a Signin,
        cx: &'a Context,
        intent: Intent,
        browser: Option<TokenHash>,
        known: &Connection,
    ) -> Result<Self> {
        let id = known.id;
        let mut scopes = vec![Scope::Organization(known.organization), Scope::Connection(id)];
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
        let (checks, tries, made) = (Checks::new(), Taken::default(), Batch::new());
        Ok(Self { signin, cx, attempt, connection: *connection, person: None, checks, tries, made })
    }

    /// Asks the directory, and lets the person in. Errors: those of the protocol and of the policy; `rate_limited`.
    pub async fn pass(
        &mut self,
        given: Credentials,
        tries: &[(Rule, Subject)],
        earlier: Option<&crate::session::Session>,
    ) -> Result<Finished> {
        let protocol = self.signin.registry.protocol(self.cx, &self.connection)?;
        let tries = throttle::take(self.cx, tries).await?;
        let answer = Answer { credentials: Some(given), tries, ..Answer::default() };
        let person = match protocol.screen(&answer, &mut self.checks) {
            Ok(()) => protocol.complete(self.cx, &answer, &[], &mut self.checks).await,
            Err(error) => Err(error),
        };
        self.tries = answer.tries;
        drop(answer.credentials);
        let person = self.person.insert(person?);
        let vouched = Vouched { connection: &self.connection, person, earlier };
        let used = (&self.attempt, None);
        let finished = finish::finish(self.signin, self.cx, used, &vouched, &mut self.checks, &mut self.made).await?;
        std::mem::take(&mut self.tries).give_back();
        Ok(finished)
    }

    /// One event, the trace, and the try that it was: one commit. What is refused for its number leaves nothing behind but
    /// what it took, or the refusals would be the flood.
    pub async fn note(&mut self, error: &Error) -> Result<()> {
        if matches!(error.kind(), Kind::Bug | Kind::TooMany) {
            return std::mem::take(&mut self.tries).spend().await;
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
            self.tries.count(&mut batch).await?;
            match cx.store.commit(batch).await {
                Ok(_) => {
                    std::mem::take(&mut self.tries).written();
                    return Ok(());
                }
                // Somebody became known at the same moment, or a trace that had to make room went by itself.
                Err(refused) if refused.is_race() && tries < 3 => tries += 1,
                Err(refused) => return Err(refused.into()),
            }
        }
    }
}
