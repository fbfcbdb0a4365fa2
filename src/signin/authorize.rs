//! The first beat: from the app's request to a code at once, a page, or the upstream provider.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::attempt::{Attempt, Intent, Step};
use super::bounds;
use super::consent;
use super::http::{Signin, deliver, with_cookie};
use super::password;
use super::route::{Routed, Wish, route};
use super::standing::{self, Standing};
use super::ticket::Ticket;
use super::trace::Trace;
use crate::access::throttle::{self, Rule};
use crate::access::{Context, refusal};
use crate::connection::Connection;
use crate::connection::protocol::{Begin, BeginRequest, Checks};
use crate::crypto::{Opaque, TokenHash};
use crate::directory::{EmailAddress, Organization};
use crate::error::{Error, Kind, Result, codes};
use crate::event::EventKind;
use crate::http::extract::Params;
use crate::http::page::{Choice, ChooseConnection, Failure, FormPost, NoConnection, Notice, SignIn};
use crate::http::reply;
use crate::id::{AttemptId, ConnectionId};
use crate::provider::authorize::{Refusal, validate};
use crate::provider::{App, Reach};
use crate::session::{Epochs, Scope};
use crate::store::Batch;

/// `GET /oauth2/authorize`.
pub(super) async fn begin(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let pairs: Vec<(String, String)> = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let request = match validate(cx, &pairs).await {
        Ok(request) => request,
        Err(Refusal::App(answer)) => {
            let event = cx.event(EventKind::SigninRefused).failed(answer.error().unwrap_or("invalid_request"));
            let mut batch = Batch::new();
            refusal::tell(cx, event, &mut batch).await?;
            cx.store.commit(batch).await?;
            return deliver(cx, &answer);
        }
        Err(Refusal::Page(error)) => return refuse(signin, cx, None, None, error).await,
    };
    let session = signin.session(cx, headers).await?;
    let standing = match &session {
        Some(session) => standing::of(cx, &request, session).await?,
        None => Standing::Absent,
    };
    if let (Standing::Fits, Some(session)) = (&standing, &session) {
        return consent::answer(signin, cx, &request, session).await;
    }
    if request.silent() {
        let (code, why) = standing.told();
        return deliver(cx, &request.refused(cx, code, why));
    }
    let wish = Wish {
        connection: request.connection.as_deref(),
        organization: request.organization.as_deref(),
        email: request.login_hint.as_deref().filter(|hint| EmailAddress::parse(hint).is_ok()),
        domain: None,
    };
    // A person who shall choose an account is asked, whatever the app suggests.
    let wish = if request.forces_choice() { Wish::default() } else { wish };
    go(signin, cx, headers, Intent::Authorize(Box::new(request.clone())), &wish).await
}

/// `POST /signin`: the page's answer.
pub(super) async fn proceed(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let ticket = match Ticket::open(cx, params.need("attempt")?, signin.browser(headers)) {
        Ok(ticket) => ticket,
        Err(error) => return refuse(signin, cx, None, None, error).await,
    };
    let (organization, wanted) = match &ticket.intent {
        Intent::Authorize(request) => (request.organization.clone(), request.connection.clone()),
        Intent::Account | Intent::Device(_) | Intent::Relayed(_) | Intent::Landing(_) => (None, None),
    };
    // The request's own client may have gone since the page was shown.
    if let Some(app) = ticket.intent.app() {
        App::load(&cx.store, app).await?;
    }
    let typed = params.one("email")?.map(str::trim).filter(|text| !text.is_empty());
    if let Some(text) = typed
        && EmailAddress::parse(text).is_err()
    {
        let notice = Notice { message: "That does not look like an e-mail address.".into(), help: None };
        return ask(signin, cx, headers, ticket.intent, text, Some(notice)).await;
    }
    // What the app asked for stands, whatever the form says.
    let connection = wanted.as_deref().or(params.one("connection")?);
    let wish = Wish { connection, organization: organization.as_deref(), email: typed, domain: None };
    go(signin, cx, headers, ticket.intent, &wish).await
}

/// Follows a wish: upstream, or to the page that asks.
pub(super) async fn go(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    intent: Intent,
    wish: &Wish<'_>,
) -> Result<Response> {
    let reach = reach(cx, &intent).await?;
    // Which domains are served is told to whoever signs in, not listed to whoever asks for many.
    let searches = wish.email.is_some() && wish.connection.is_none();
    let routed = match searches {
        true => match throttle::check(cx, Rule::EmailRoute, throttle::address(cx)).await {
            Ok(()) => route(cx, &reach, wish).await,
            Err(error) => Err(error),
        },
        false => route(cx, &reach, wish).await,
    };
    match routed {
        Ok(Routed::To(connection)) => match send(signin, cx, headers, &intent, &connection, wish.email).await {
            Ok(response) => Ok(response),
            Err(error) => refuse(signin, cx, Some(&intent), Some(&connection), error).await,
        },
        Ok(Routed::Ask) => ask(signin, cx, headers, intent, wish.email.unwrap_or_default(), None).await,
        Ok(Routed::Choose(connections)) => choose(signin, cx, headers, intent, connections).await,
        Ok(Routed::Nowhere { domain }) => nowhere(signin, cx, headers, intent, domain, wish).await,
        Err(error) => refuse(signin, cx, Some(&intent), None, error).await,
    }
}

/// Which organizations the sign-in may search.
pub(super) async fn reach(cx: &Context, intent: &Intent) -> Result<Reach> {
    Ok(match intent.app() {
        Some(app) => App::load(&cx.store, app).await?.reach(),
        None => Reach::All,
    })
}

/// Sends the browser upstream, and remembers it in one commit.
async fn send(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    intent: &Intent,
    connection: &Connection,
    email: Option<&str>,
) -> Result<Response> {
    let mut begin = BeginRequest { login_hint: email.map(str::to_owned), ..BeginRequest::default() };
    if let Intent::Authorize(request) = intent {
        begin.login_hint = begin.login_hint.or_else(|| request.login_hint.clone());
        begin.force = request.forces_login();
        begin.choose = request.forces_choice();
        begin.max_age = request.max_age;
        begin.acr_values = request.acr_asked();
    }
    let prepared = prepare(signin, cx, intent, connection.id, begin).await?;
    let (goes, kept) = match &prepared.begun {
        Begin::Redirect { url, kept } => (reply::see_other(url)?, kept.clone()),
        Begin::Form { action, fields, kept } => {
            let (action, fields) = (action.clone(), fields.clone());
            let page = FormPost { action: action.clone(), fields, request_id: cx.origin.request.to_string() };
            // Where the provider sends on from there, nobody here knows: its page to sign in has often another host.
            let anywhere = if action.starts_with("http:") { "http:" } else { "https:" };
            (reply::form_post(&page.render(), &[anywhere])?, kept.clone())
        }
        Begin::Credentials { username } => {
            let username = username.clone().unwrap_or_default();
            return password::ask(signin, cx, headers, intent.clone(), &prepared.connection, &username).await;
        }
    };
    let (browser, cookie) = signin.mark(cx, headers)?;
    signin.bounds.begin(cx, &prepared.attempt(cx, intent.clone(), browser, kept)).await?;
    Ok(with_cookie(goes, cookie))
}

/// A sign-in that is about to begin.
pub(super) struct Prepared {
    /// What the protocol wants.
    pub begun: Begin,
    /// Through which connection.
    pub connection: Connection,
    state: TokenHash,
    epochs: Epochs,
}

/// Asks the protocol where to send somebody. Errors: `connection_disabled`, `connection_not_ready`,
/// `organization_disabled`; those of the protocol.
pub(super) async fn prepare(
    signin: &Signin,
    cx: &Context,
    intent: &Intent,
    id: ConnectionId,
    mut begin: BeginRequest,
) -> Result<Prepared> {
    let connection = Connection::load(&cx.store, id).await?.value;
    let mut scopes = vec![Scope::Organization(connection.organization), Scope::Connection(id)];
    scopes.extend(intent.app().map(Scope::App));
    // Captured before the status is read again: what is disabled from here on is dead when the browser comes back.
    let epochs = Epochs::capture(&cx.store, &scopes).await?;
    let connection = Connection::load(&cx.store, id).await?.value;
    connection.usable()?;
    Organization::open(&cx.store, connection.organization).await?;

    let Opaque { text: state, hash } = Opaque::new(&cx.env, "");
    state.expose().clone_into(&mut begin.state);
    let begun = signin.registry.protocol(cx, &connection)?.begin(cx, &begin).await?;
    Ok(Prepared { begun, connection, state: hash, epochs })
}

impl Prepared {
    /// What is remembered of it, for the browser of that mark.
    pub fn attempt(&self, cx: &Context, intent: Intent, browser: TokenHash, kept: Vec<u8>) -> Attempt {
        Attempt {
            id: AttemptId::new(&cx.env),
            browser,
            state: self.state,
            intent,
            connection: self.connection.id,
            organization: self.connection.organization,
            epochs: self.epochs.clone(),
            kept,
            step: Step::Sent,
            created_at: cx.env.now(),
            request: cx.origin.request,
            client: bounds::client(cx).map(Attempt::client_bytes),
        }
    }
}

/// The page for the address. It writes nothing: what the app asked travels in the page.
async fn ask(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    intent: Intent,
    email: &str,
    error: Option<Notice>,
) -> Result<Response> {
    let (browser, cookie) = signin.mark(cx, headers)?;
    let target = returns_to(&intent);
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = SignIn {
        action: signin.path("/signin"),
        app_name: app_name(cx, Some(&intent)).await,
        attempt: seal(cx, intent, browser)?,
        email: email.to_owned(),
        error,
        request_id: cx.origin.request.to_string(),
    };
    Ok(with_cookie(signin.form_page(status, page.render(), target.as_deref()), cookie))
}

async fn choose(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    intent: Intent,
    connections: Vec<Connection>,
) -> Result<Response> {
    let (browser, cookie) = signin.mark(cx, headers)?;
    let target = returns_to(&intent);
    let mut items = Vec::with_capacity(connections.len());
    for connection in connections {
        let organization = Organization::load(&cx.store, connection.organization).await?;
        let value = connection.id.to_string();
        items.push(Choice { value, label: connection.name, organization: organization.value.name });
    }
    let page = ChooseConnection {
        action: signin.path("/signin"),
        app_name: app_name(cx, Some(&intent)).await,
        attempt: seal(cx, intent, browser)?,
        email: String::new(),
        items,
        back_href: None,
        request_id: cx.origin.request.to_string(),
    };
    Ok(with_cookie(signin.form_page(StatusCode::OK, page.render(), target.as_deref()), cookie))
}

async fn nowhere(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    intent: Intent,
    domain: String,
    wish: &Wish<'_>,
) -> Result<Response> {
    let error = Error::new(&codes::NO_CONNECTION);
    let mut checks = Checks::new();
    checks.compare("domain", false, "the verified domain of an active connection", &domain);
    note(signin, cx, Some(&intent), None, &error, checks).await?;
    let Some(retry_href) = again(signin, &intent) else {
        // No link starts it once more, so the person stays on the page that asks.
        return ask(signin, cx, headers, intent, wish.email.unwrap_or_default(), Some(Notice::from(&error))).await;
    };
    let page = NoConnection {
        domain,
        app_name: app_name(cx, Some(&intent)).await,
        retry_href,
        request_id: cx.origin.request.to_string(),
    };
    Ok(reply::html(StatusCode::NOT_FOUND, page.render(), []))
}

/// Where the form may end by redirects, besides any provider: at the app.
pub(super) fn returns_to(intent: &Intent) -> Option<String> {
    match intent {
        Intent::Authorize(request) => Some(request.redirect_uri.clone()),
        Intent::Account | Intent::Device(_) | Intent::Relayed(_) | Intent::Landing(_) => None,
    }
}

fn seal(cx: &Context, intent: Intent, browser: TokenHash) -> Result<String> {
    Ticket { intent, browser, made_at: cx.env.now(), connection: None }.seal(cx)
}

/// Where a person starts the same sign-in once more; nowhere when only the app can start it.
pub(super) fn again(signin: &Signin, intent: &Intent) -> Option<String> {
    match intent {
        Intent::Authorize(request) => request.again().map(|path| signin.path(&path)),
        Intent::Account | Intent::Relayed(_) | Intent::Landing(_) => Some(signin.path("/signin")),
        Intent::Device(_) => Some(signin.path("/device")),
    }
}

/// What the app is called, for the page.
pub(super) async fn app_name(cx: &Context, intent: Option<&Intent>) -> Option<String> {
    App::load(&cx.store, intent?.app()?).await.ok().map(|app| app.value.name)
}

/// Writes the event and the trace of a sign-in that is refused before there is an attempt.
async fn note(
    signin: &Signin,
    cx: &Context,
    intent: Option<&Intent>,
    connection: Option<&Connection>,
    error: &Error,
    checks: Checks,
) -> Result<()> {
    // A fault of ours is a log line; it says nothing about the person.
    if error.kind() == Kind::Bug {
        return Ok(());
    }
    let mut event = cx.event(EventKind::SigninRefused).failed(error.code());
    let mut trace = Trace::stray(cx, connection.map(|connection| (connection.id, connection.organization)));
    if let Some(connection) = connection {
        event = cx.event(EventKind::ConnectionLoginFailed).failed(error.code());
        event = event.within(connection.organization).about("connection", connection.id);
    }
    if let Some(app) = intent.and_then(Intent::app) {
        event = event.and("app", app);
        trace.app = Some(app);
    }
    // A failed guess at which domains are served here.
    let guess = error.is(&codes::NO_CONNECTION) && checks.rows().iter().any(|check| check.name == "domain");
    trace.refuse(cx.env.now(), checks, error);
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        if guess {
            throttle::count(cx, Rule::EmailRoute, throttle::address(cx), &mut batch).await?;
        }
        if refusal::tell(cx, event.clone(), &mut batch).await? {
            signin.bounds.trace(cx, &trace, &mut batch).await?;
        }
        match cx.store.commit(batch).await {
            // A trace that had to make room went by itself.
            Err(refused) if refused.is_race() && tries < 3 => tries += 1,
            done => return done.map(drop).map_err(Into::into),
        }
    }
}

/// Notes the refusal, and shows its page.
pub(super) async fn refuse(
    signin: &Signin,
    cx: &Context,
    intent: Option<&Intent>,
    connection: Option<&Connection>,
    error: Error,
) -> Result<Response> {
    reply::log(&error, cx.origin.request);
    // What is refused for its number leaves nothing behind, or the refusals would be the flood.
    if error.kind() != Kind::TooMany {
        note(signin, cx, intent, connection, &error, Checks::new()).await?;
    }
    let mut page = Failure::from_error(&error, cx.origin.request.to_string());
    if let Some(again) = intent.and_then(|intent| again(signin, intent)) {
        page = page.retry(again);
    }
    if let Some(name) = app_name(cx, intent).await {
        page = page.app(name);
    }
    Ok(reply::retry_after(reply::html(reply::page_status(&error), page.render(), []), &error))
}
