//! The first beat: from the app's request to a code at once, a page, or the upstream provider.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::attempt::{Attempt, Intent, Step};
use super::bounds;
use super::finish;
use super::http::{Signin, with_cookie};
use super::password;
use super::route::{Routed, Wish, route};
use super::ticket::Ticket;
use super::trace::Trace;
use crate::access::throttle::{self, Rule};
use crate::access::{Context, refusal};
use crate::connection::Connection;
use crate::connection::protocol::{Begin, BeginRequest, Checks};
use crate::crypto::{Opaque, TokenHash};
use crate::directory::{EmailAddress, Membership, Organization};
use crate::error::{Error, Kind, Result, codes};
use crate::event::EventKind;
use crate::http::extract::Params;
use crate::http::page::{Choice, ChooseConnection, Failure, NoConnection, Notice, SignIn};
use crate::http::reply;
use crate::id::AttemptId;
use crate::provider::authorize::{AuthorizeRequest, Refusal, validate};
use crate::provider::{App, Reach};
use crate::session::{Epochs, Scope, Session};
use crate::store::Batch;

/// `GET /oauth2/authorize`.
pub(super) async fn begin(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let pairs: Vec<(String, String)> = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let request = match validate(cx, &pairs).await {
        Ok(request) => request,
        Err(Refusal::Redirect { url }) => {
            let code = url::Url::parse(&url).ok().and_then(|url| {
                url.query_pairs().find(|(name, _)| name == "error").map(|(_, value)| value.into_owned())
            });
            let event = cx.event(EventKind::SigninRefused).failed(code.as_deref().unwrap_or("invalid_request"));
            let mut batch = Batch::new();
            refusal::tell(cx, event, &mut batch).await?;
            cx.store.commit(batch).await?;
            return reply::see_other(&url);
        }
        Err(Refusal::Page(error)) => return refuse(signin, cx, None, None, error).await,
    };
    if let Some(session) = signin.session(cx, headers).await?
        && fits(cx, &request, &session).await?
    {
        return finish::reuse(cx, &request, &session).await;
    }
    if request.silent() {
        return reply::see_other(&request.error_redirect(cx, "login_required", "The person has to sign in."));
    }
    let wish = Wish {
        connection: request.connection.as_deref(),
        organization: request.organization.as_deref(),
        email: request.login_hint.as_deref().filter(|hint| EmailAddress::parse(hint).is_ok()),
    };
    // A person who shall choose an account is asked, whatever the app suggests.
    let ask = request.prompt.iter().any(|prompt| prompt == "select_account");
    let wish = if ask { Wish::default() } else { wish };
    go(signin, cx, headers, Intent::Authorize(Box::new(request.clone())), &wish).await
}

/// Whether the session answers the app's request as it stands (OpenID Connect Core §3.1.2.1).
async fn fits(cx: &Context, request: &AuthorizeRequest, session: &Session) -> Result<bool> {
    let app = App::load(&cx.store, request.app).await?;
    let other = request.hinted_user.is_some_and(|user| user != session.user);
    let anew = request.prompt.iter().any(|prompt| prompt == "login" || prompt == "select_account");
    let too_old =
        request.max_age.is_some_and(|max| cx.env.now().since(session.auth_time).as_secs() >= max.max(1) || max == 0);
    let elsewhere = request.organization.as_ref().is_some_and(|id| *id != session.organization.to_string())
        || request
            .connection
            .as_ref()
            .is_some_and(|id| Some(id) != session.connection.map(|id| id.to_string()).as_ref());
    if other || anew || too_old || elsewhere || !app.reach().includes(session.organization) {
        return Ok(false);
    }
    let Ok(member) = Membership::active(&cx.store, session.organization, session.user).await else { return Ok(false) };
    let folded = |text: &str| EmailAddress::parse(text).ok().map(|email| email.folded);
    let hinted = request.login_hint.as_deref().and_then(folded);
    Ok(hinted.is_none() || hinted == member.email.as_deref().and_then(folded))
}

/// `POST /signin`: the page's answer.
pub(super) async fn proceed(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let ticket = match Ticket::open(cx, params.need("attempt")?, signin.browser(headers)) {
        Ok(ticket) => ticket,
        Err(error) => return refuse(signin, cx, None, None, error).await,
    };
    let (organization, wanted, app) = match &ticket.intent {
        Intent::Authorize(request) => (request.organization.clone(), request.connection.clone(), Some(request.app)),
        Intent::Account | Intent::Relayed => (None, None, None),
    };
    // The request's own client may have gone since the page was shown.
    if let Some(app) = app {
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
    let wish = Wish { connection, organization: organization.as_deref(), email: typed };
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
        Ok(Routed::Nowhere { domain }) => nowhere(signin, cx, &intent, domain).await,
        Err(error) => refuse(signin, cx, Some(&intent), None, error).await,
    }
}

/// Which organizations the sign-in may search.
pub(super) async fn reach(cx: &Context, intent: &Intent) -> Result<Reach> {
    Ok(match intent {
        Intent::Authorize(request) => App::load(&cx.store, request.app).await?.reach(),
        Intent::Account | Intent::Relayed => Reach::All,
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
    let mut scopes = vec![Scope::Organization(connection.organization), Scope::Connection(connection.id)];
    let mut begin = BeginRequest { login_hint: email.map(str::to_owned), ..BeginRequest::default() };
    if let Intent::Authorize(request) = intent {
        scopes.push(Scope::App(request.app));
        begin.login_hint = begin.login_hint.or_else(|| request.login_hint.clone());
        begin.force = request.forces_login();
        begin.max_age = request.max_age;
        begin.acr_values.clone_from(&request.acr_values);
    }
    // Captured before the status is read again: what is disabled from here on is dead when the browser comes back.
    let epochs = Epochs::capture(&cx.store, &scopes).await?;
    let connection = Connection::load(&cx.store, connection.id).await?.value;
    connection.usable()?;
    Organization::open(&cx.store, connection.organization).await?;

    let Opaque { text: state, hash } = Opaque::new(&cx.env, "");
    state.expose().clone_into(&mut begin.state);
    let (url, kept) = match signin.registry.protocol(cx, &connection)?.begin(cx, &begin).await? {
        Begin::Redirect { url, kept } => (url, kept),
        Begin::Credentials { username } => {
            let username = username.unwrap_or_default();
            return password::ask(signin, cx, headers, intent.clone(), &connection, &username).await;
        }
    };
    let (browser, cookie) = signin.mark(cx, headers)?;
    let attempt = Attempt {
        id: AttemptId::new(&cx.env),
        browser,
        state: hash,
        intent: intent.clone(),
        connection: connection.id,
        organization: connection.organization,
        epochs,
        kept,
        step: Step::Sent,
        created_at: cx.env.now(),
        request: cx.origin.request,
        client: bounds::client(cx).map(Attempt::client_bytes),
    };
    signin.bounds.begin(cx, &attempt).await?;
    Ok(with_cookie(reply::see_other(&url)?, cookie))
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

async fn nowhere(signin: &Signin, cx: &Context, intent: &Intent, domain: String) -> Result<Response> {
    let error = Error::new(&codes::NO_CONNECTION);
    let mut checks = Checks::new();
    checks.compare("domain", false, "the verified domain of an active connection", &domain);
    note(signin, cx, Some(intent), None, &error, checks).await?;
    let page = NoConnection {
        domain,
        app_name: app_name(cx, Some(intent)).await,
        retry_href: again(signin, intent),
        request_id: cx.origin.request.to_string(),
    };
    Ok(reply::html(StatusCode::NOT_FOUND, page.render(), []))
}

/// Where the form may end by redirects, besides any provider: at the app.
pub(super) fn returns_to(intent: &Intent) -> Option<String> {
    match intent {
        Intent::Authorize(request) => Some(request.redirect_uri.clone()),
        Intent::Account | Intent::Relayed => None,
    }
}

fn seal(cx: &Context, intent: Intent, browser: TokenHash) -> Result<String> {
    Ticket { intent, browser, made_at: cx.env.now(), connection: None }.seal(cx)
}

/// Where a person starts the same sign-in once more.
pub(super) fn again(signin: &Signin, intent: &Intent) -> String {
    match intent {
        Intent::Authorize(request) => signin.path(&request.again()),
        Intent::Account | Intent::Relayed => signin.path("/signin"),
    }
}

/// What the app is called, for the page.
pub(super) async fn app_name(cx: &Context, intent: Option<&Intent>) -> Option<String> {
    match intent {
        Some(Intent::Authorize(request)) => App::load(&cx.store, request.app).await.ok().map(|app| app.value.name),
        _ => None,
    }
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
    if let Some(Intent::Authorize(request)) = intent {
        event = event.and("app", request.app);
        trace.app = Some(request.app);
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
    if let Some(intent) = intent {
        page = page.retry(again(signin, intent));
    }
    if let Some(name) = app_name(cx, intent).await {
        page = page.app(name);
    }
    Ok(reply::retry_after(reply::html(reply::page_status(&error), page.render(), []), &error))
}
