//! The routes that a person's browser walks through.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use super::bounds::Bounds;
use super::{
    account, acs, authorize, callback, consent, device, logout, password, relayed, saml_logout, upstream_logout,
};
use crate::access::{Caller, Context, World};
use crate::connection::saml::{MAX_MESSAGE, Saml};
use crate::connection::{Connection, Registry};
use crate::crypto::{Opaque, TokenHash};
use crate::error::{Error, Result, codes};
use crate::http::extract::{Form, Query, read_form};
use crate::http::page::{Failure, FormPost};
use crate::http::{Cookies, RequestInfo, Site, limits, reply};
use crate::provider::{ResponseMode, ToApp};
use crate::session::Session;

/// The cookie that binds a sign-in to a browser. It says nothing about a person.
const BROWSER: &str = "browser";
/// The cookie of a session.
const SESSION: &str = "session";
/// How long a browser keeps the first.
const BROWSER_LIFETIME: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What the routes hold.
#[derive(Clone)]
pub struct Signin {
    /// The world.
    pub world: World,
    /// The upstream protocols.
    pub registry: Registry,
    /// The public URL, for forms.
    pub site: Arc<Site>,
    /// What strangers can make it keep.
    pub bounds: Arc<Bounds>,
}

impl Signin {
    /// For a server that is reached at `site`.
    pub fn new(world: World, registry: Registry, site: Arc<Site>) -> Self {
        Self { world, registry, site, bounds: Arc::new(Bounds::new()) }
    }

    pub(super) fn cookies(&self) -> Cookies {
        Cookies::new(self.site.is_https())
    }

    /// The path of a form or link on our own pages; the public URL may carry a path of its own.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.world.deployment.public_url.path())
    }

    pub(super) fn context(&self, info: RequestInfo) -> Context {
        self.world.context(Caller::Anonymous, info.into())
    }

    /// Whether the browser brought a session's cookie, whatever it is worth.
    pub(super) fn brings_session(&self, headers: &HeaderMap) -> bool {
        self.cookies().get(headers, SESSION).is_some()
    }

    /// The live session of the request, if any.
    pub(super) async fn session(&self, cx: &Context, headers: &HeaderMap) -> Result<Option<Session>> {
        match self.cookies().get(headers, SESSION) {
            Some(cookie) => Session::of_cookie(&cx.store, cx.env.now(), cookie).await,
            None => Ok(None),
        }
    }

    /// The browser's own mark, if it came with the request.
    pub(super) fn browser(&self, headers: &HeaderMap) -> Option<TokenHash> {
        self.cookies().get(headers, BROWSER).filter(|value| value.len() == 43).map(TokenHash::of)
    }

    /// The browser's own mark; a new one, with the header that sets it, where there is none. One mark serves all tabs.
    pub(super) fn mark(&self, cx: &Context, headers: &HeaderMap) -> Result<(TokenHash, Option<HeaderValue>)> {
        if let Some(known) = self.browser(headers) {
            return Ok((known, None));
        }
        let Opaque { text, hash } = Opaque::new(&cx.env, "");
        let cookie = self.cookies().set(BROWSER, text.expose(), Some(BROWSER_LIFETIME))?;
        Ok((hash, Some(cookie)))
    }

    /// The header that sets the cookie of a new session; it ends with the browser, or when the session does.
    pub(super) fn session_cookie(&self, value: &str) -> Result<HeaderValue> {
        self.cookies().set(SESSION, value, None)
    }

    /// The header that removes it.
    pub(super) fn no_session_cookie(&self) -> Result<HeaderValue> {
        self.cookies().remove(SESSION)
    }

    /// A page whose form may end, by redirects, at any identity provider and app.
    pub(super) fn form_page(&self, status: StatusCode, page: String, app: Option<&str>) -> Response {
        let mut targets = vec!["https:"];
        targets.extend(app);
        if !self.site.is_https() {
            // On loopback, providers and apps may be on http as well.
            targets.push("http:");
        }
        reply::html(status, page, targets)
    }
}

/// Adds a cookie to an answer.
pub(super) fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Sends an answer to the app.
pub(super) fn deliver(cx: &Context, answer: &ToApp) -> Result<Response> {
    match answer.mode {
        ResponseMode::Query => reply::see_other(&answer.url()),
        ResponseMode::FormPost => {
            let fields = answer.pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let action = answer.redirect_uri.clone();
            let page = FormPost { action, fields, request_id: cx.origin.request.to_string() };
            reply::form_post(&page.render(), &answer.redirect_uri)
        }
    }
}

/// The page of an error that has no better one: code and request id.
pub(super) fn failure(cx: &Context, error: &Error) -> Response {
    reply::log(error, cx.origin.request);
    let page = Failure::from_error(error, cx.origin.request.to_string());
    reply::retry_after(reply::html(reply::page_status(error), page.render(), []), error)
}

/// The routes.
pub fn http(signin: Signin) -> Router {
    Router::new()
        .route("/oauth2/authorize", get(authorize_get).post(authorize_post))
        .route("/signin", get(account_get).post(signin_post))
        .route("/signin/consent", post(consent_post))
        .route("/signin/sign-out", post(sign_out))
        .route("/signin/sessions/end", post(end_session))
        .route("/signin/sessions/end-others", post(end_others))
        .route("/signin/apps/end", post(end_app))
        .route("/device", get(device_get).post(device_post))
        .route("/device/confirm", get(device_confirm).post(device_decide))
        .route("/oauth2/logout", get(logout_get).post(logout_post))
        .route("/oauth2/logout/confirm", post(logout_confirm))
        .route("/signin/password", post(password_post))
        .route("/connections/{id}/ldap", post(ldap_post))
        .route("/connections/{id}/oidc/callback", get(oidc_callback))
        .route("/connections/{id}/oidc/backchannel-logout", post(oidc_logout))
        .route("/signin/continue", get(saml_continue))
        .route("/connections/{id}/saml/metadata", get(saml_metadata))
        .layer(from_fn_with_state(limits::AUTH_BODY, limits::body))
        .merge(saml_messages())
        .with_state(signin)
}

/// What carries whole SAML messages.
fn saml_messages() -> Router<Signin> {
    Router::new()
        .route("/connections/{id}/saml/acs", post(saml_acs))
        .route("/connections/{id}/saml/slo", get(saml_slo_get).post(saml_slo_post))
        .layer(from_fn_with_state(MAX_MESSAGE, limits::body))
}

/// Another site posts this: it needs no page of ours, and no cookie.
async fn saml_acs(
    State(signin): State<Signin>,
    info: RequestInfo,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let cx = signin.context(info);
    acs::land(&signin, &cx, &id, request).await.unwrap_or_else(|error| failure(&cx, &error))
}

async fn saml_continue(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Query(params): Query,
) -> Response {
    let cx = signin.context(info);
    acs::go_on(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

/// The connection's own metadata, for whoever sets up the identity provider; signed with `?signed=1`.
async fn saml_metadata(
    State(signin): State<Signin>,
    info: RequestInfo,
    Path(id): Path<String>,
    Query(params): Query,
) -> Response {
    let cx = signin.context(info);
    let written = async {
        let id = id.parse().map_err(|_| Error::new(&codes::NOT_FOUND))?;
        let connection = Connection::load(&cx.store, id).await?;
        let signed = params.one("signed")?.is_some_and(|value| value == "1" || value == "true");
        Saml::of(&connection)?.metadata(&cx, signed)
    };
    match written.await {
        Ok(xml) => reply::saml_metadata(xml),
        Err(error) => reply::problem(&error, cx.origin.request),
    }
}

async fn saml_slo_get(
    State(signin): State<Signin>,
    info: RequestInfo,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let cx = signin.context(info);
    let query = query.unwrap_or_default();
    saml_logout::hear(&cx, &id, saml_logout::Came::Query(&query), &signin)
        .await
        .unwrap_or_else(|error| failure(&cx, &error))
}

async fn saml_slo_post(
    State(signin): State<Signin>,
    info: RequestInfo,
    Path(id): Path<String>,
    Form(params): Form,
) -> Response {
    let cx = signin.context(info);
    saml_logout::hear(&cx, &id, saml_logout::Came::Form(&params), &signin)
        .await
        .unwrap_or_else(|error| failure(&cx, &error))
}

async fn authorize_get(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Query(params): Query,
) -> Response {
    let cx = signin.context(info);
    authorize::begin(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

/// OpenID Connect Core §3.1.2.1: the request may also be posted. It changes nothing of the person's, so it may come from
/// an app. A browser leaves our cookies at home when another site posts (`SameSite=Lax`), and brings them when it comes
/// by itself: so that the session counts, it is asked to come again.
async fn authorize_post(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Form(params): Form,
) -> Response {
    let cx = signin.context(info);
    let foreign = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    if foreign && signin.browser(&headers).is_none() && signin.cookies().get(&headers, SESSION).is_none() {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params.iter()).finish();
        let again = signin.world.deployment.public_url.at(&format!("/oauth2/authorize?{query}"));
        return reply::see_other(&again).unwrap_or_else(|error| failure(&cx, &error));
    }
    authorize::begin(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

async fn account_get(State(signin): State<Signin>, info: RequestInfo, headers: HeaderMap) -> Response {
    let cx = signin.context(info);
    account::show(&signin, &cx, &headers).await.unwrap_or_else(|error| failure(&cx, &error))
}

async fn signin_post(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Form(params): Form,
) -> Response {
    let cx = signin.context(info);
    let answer = match signin.site.from_own_page(&headers) {
        Ok(()) => authorize::proceed(&signin, &cx, &headers, &params).await,
        Err(error) => authorize::refuse(&signin, &cx, None, None, error).await,
    };
    answer.unwrap_or_else(|error| failure(&cx, &error))
}

/// What a form of ours does, if it came from a page of ours.
async fn own_form(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    does: impl Future<Output = Result<Response>>,
) -> Response {
    let answer = match signin.site.from_own_page(headers) {
        Ok(()) => does.await,
        Err(error) => authorize::refuse(signin, cx, None, None, error).await,
    };
    answer.unwrap_or_else(|error| failure(cx, &error))
}

async fn password_post(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Form(params): Form,
) -> Response {
    let cx = signin.context(info);
    own_form(&signin, &cx, &headers, password::answer(&signin, &cx, &headers, &params)).await
}

async fn ldap_post(
    State(signin): State<Signin>,
    info: RequestInfo,
    Path(id): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let request_id = info.id;
    relayed::answer(&signin, info, &headers, &id, request)
        .await
        .unwrap_or_else(|error| reply::problem(&error, request_id))
}

async fn consent_post(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Form(params): Form,
) -> Response {
    let cx = signin.context(info);
    let answer = async {
        signin.site.from_own_page(&headers)?;
        consent::decide(&signin, &cx, &headers, &params).await
    };
    let answer = match answer.await {
        Err(error) => authorize::refuse(&signin, &cx, None, None, error).await,
        answer => answer,
    };
    answer.unwrap_or_else(|error| failure(&cx, &error))
}

async fn sign_out(State(signin): State<Signin>, info: RequestInfo, headers: HeaderMap) -> Response {
    let cx = signin.context(info);
    own_form(&signin, &cx, &headers, account::sign_out(&signin, &cx, &headers)).await
}

async fn end_session(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Form(params): Form,
) -> Response {
    let cx = signin.context(info);
    own_form(&signin, &cx, &headers, account::end_session(&signin, &cx, &headers, &params)).await
}

async fn end_others(State(signin): State<Signin>, info: RequestInfo, headers: HeaderMap) -> Response {
    let cx = signin.context(info);
    own_form(&signin, &cx, &headers, account::end_others(&signin, &cx, &headers)).await
}

async fn end_app(State(signin): State<Signin>, info: RequestInfo, headers: HeaderMap, Form(params): Form) -> Response {
    let cx = signin.context(info);
    own_form(&signin, &cx, &headers, account::end_app(&signin, &cx, &headers, &params)).await
}

async fn device_get(State(signin): State<Signin>, info: RequestInfo, Query(params): Query) -> Response {
    let cx = signin.context(info);
    device::show(&signin, &cx, &params).unwrap_or_else(|error| failure(&cx, &error))
}

async fn device_post(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Form(params): Form,
) -> Response {
    let cx = signin.context(info);
    own_form(&signin, &cx, &headers, device::enter(&signin, &cx, &headers, &params)).await
}

async fn device_confirm(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Query(params): Query,
) -> Response {
    let cx = signin.context(info);
    device::confirm(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

async fn device_decide(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Form(params): Form,
) -> Response {
    let cx = signin.context(info);
    own_form(&signin, &cx, &headers, device::decide(&signin, &cx, &headers, &params)).await
}

async fn logout_get(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Query(params): Query,
) -> Response {
    let cx = signin.context(info);
    logout::begin(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

/// RP-Initiated Logout §2: the request may also be posted, from the app's own page.
async fn logout_post(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Form(params): Form,
) -> Response {
    let cx = signin.context(info);
    logout::posted(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

async fn logout_confirm(
    State(signin): State<Signin>,
    info: RequestInfo,
    headers: HeaderMap,
    Form(params): Form,
) -> Response {
    let cx = signin.context(info);
    own_form(&signin, &cx, &headers, logout::confirmed(&signin, &cx, &headers, &params)).await
}

async fn oidc_callback(
    State(signin): State<Signin>,
    info: RequestInfo,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(params): Query,
) -> Response {
    let cx = signin.context(info);
    callback::land(&signin, &cx, &headers, &id, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

/// A provider calls this, not a browser: it needs no page of ours, and answers in JSON.
async fn oidc_logout(
    State(signin): State<Signin>,
    info: RequestInfo,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let cx = signin.context(info);
    match read_form(request).await {
        Ok(params) => upstream_logout::hear(&signin, &cx, &id, &params).await,
        Err(error) => reply::oauth_error(&error, cx.origin.request, false),
    }
}
