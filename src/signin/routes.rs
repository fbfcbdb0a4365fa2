//! The routes that a person's browser walks through.

use axum::Router;
use axum::extract::{FromRequestParts, Path, RawQuery, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use super::http::{SESSION, Signin, failure};
use super::{
    account, acs, authorize, break_glass, callback, consent, device, discover, handed_ldap, logout, password,
    saml_logout, saml_sign_out, upstream_logout,
};
use crate::access::Context;
use crate::connection::saml::MAX_MESSAGE;
use crate::error::{Error, Result, codes};
use crate::http::extract::{Form, Query, read_form};
use crate::http::{RequestInfo, limits, reply};

/// The routes.
pub fn http(signin: Signin) -> Router {
    Router::new()
        .route("/oauth2/authorize", get(authorize_get).post(authorize_post))
        .route("/signin", get(account_get).post(signin_post))
        .route("/signin/break-glass", get(break_glass_get).post(break_glass_post))
        .route("/signin/consent", post(consent_post))
        .route("/signin/sign-out", post(sign_out))
        .route("/signin/sessions/end", post(end_session))
        .route("/signin/sessions/end-others", post(end_others))
        .route("/signin/apps/end", post(end_app))
        .route("/signin/consents/end", post(end_consent))
        .route("/device", get(device_get).post(device_post))
        .route("/device/confirm", get(device_confirm).post(device_decide))
        .route("/oauth2/logout", get(logout_get).post(logout_post))
        .route("/oauth2/logout/confirm", post(logout_confirm))
        .route("/oauth2/logout/upstream", get(logout_upstream))
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

/// What every handler begins with: who comes, with what.
struct Visit {
    signin: Signin,
    cx: Context,
    headers: HeaderMap,
}

impl FromRequestParts<Signin> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, signin: &Signin) -> std::result::Result<Self, Response> {
        let info = RequestInfo::from_request_parts(parts, signin).await?;
        Ok(Self { cx: signin.context(info), signin: signin.clone(), headers: parts.headers.clone() })
    }
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

async fn saml_continue(Visit { signin, cx, headers }: Visit, Query(params): Query) -> Response {
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
        let signed = params.one("signed")?.is_some_and(|value| value == "1" || value == "true");
        discover::saml_metadata(&cx, id, signed).await
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

async fn authorize_get(Visit { signin, cx, headers }: Visit, Query(params): Query) -> Response {
    authorize::begin(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

/// OpenID Connect Core §3.1.2.1: the request may also be posted. It changes nothing of the person's, so it may come from
/// an app. A browser leaves our cookies at home when another site posts (`SameSite=Lax`), and brings them when it comes
/// by itself: so that the session counts, it is asked to come again.
async fn authorize_post(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
    let foreign = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    if foreign && signin.browser(&headers).is_none() && signin.cookies().get(&headers, SESSION).is_none() {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params.iter()).finish();
        let again = signin.world.deployment.public_url.at(&format!("/oauth2/authorize?{query}"));
        return reply::see_other(&again).unwrap_or_else(|error| failure(&cx, &error));
    }
    authorize::begin(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

async fn account_get(Visit { signin, cx, headers }: Visit, Query(params): Query) -> Response {
    let shown = match params.one("connection") {
        Ok(None) => account::show(&signin, &cx, &headers).await,
        Ok(Some(_)) => discover::begin(&signin, &cx, &headers, &params).await,
        Err(error) => Err(error),
    };
    shown.unwrap_or_else(|error| failure(&cx, &error))
}

async fn signin_post(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
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

async fn password_post(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
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
    handed_ldap::answer(&signin, info, &headers, &id, request)
        .await
        .unwrap_or_else(|error| reply::problem(&error, request_id))
}

async fn consent_post(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
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

async fn break_glass_get(Visit { signin, cx, headers }: Visit, Query(params): Query) -> Response {
    break_glass::show(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

async fn break_glass_post(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
    own_form(&signin, &cx, &headers, break_glass::come_in(&signin, &cx, &headers, &params)).await
}

async fn sign_out(Visit { signin, cx, headers }: Visit) -> Response {
    own_form(&signin, &cx, &headers, account::sign_out(&signin, &cx, &headers)).await
}

async fn end_session(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
    own_form(&signin, &cx, &headers, account::end_session(&signin, &cx, &headers, &params)).await
}

async fn end_others(Visit { signin, cx, headers }: Visit) -> Response {
    own_form(&signin, &cx, &headers, account::end_others(&signin, &cx, &headers)).await
}

async fn end_app(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
    own_form(&signin, &cx, &headers, account::end_app(&signin, &cx, &headers, &params)).await
}

async fn end_consent(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
    own_form(&signin, &cx, &headers, account::end_consent(&signin, &cx, &headers, &params)).await
}

async fn device_get(State(signin): State<Signin>, info: RequestInfo, Query(params): Query) -> Response {
    let cx = signin.context(info);
    device::show(&signin, &cx, &params).unwrap_or_else(|error| failure(&cx, &error))
}

async fn device_post(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
    own_form(&signin, &cx, &headers, device::enter(&signin, &cx, &headers, &params)).await
}

async fn device_confirm(Visit { signin, cx, headers }: Visit, Query(params): Query) -> Response {
    device::confirm(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

async fn device_decide(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
    own_form(&signin, &cx, &headers, device::decide(&signin, &cx, &headers, &params)).await
}

async fn logout_get(Visit { signin, cx, headers }: Visit, Query(params): Query) -> Response {
    logout::begin(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

/// RP-Initiated Logout §2: the request may also be posted, from the app's own page.
async fn logout_post(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
    logout::posted(&signin, &cx, &headers, &params).await.unwrap_or_else(|error| failure(&cx, &error))
}

async fn logout_confirm(Visit { signin, cx, headers }: Visit, Form(params): Form) -> Response {
    own_form(&signin, &cx, &headers, logout::confirmed(&signin, &cx, &headers, &params)).await
}

/// On to the provider, after what the browser had to do first.
async fn logout_upstream(State(signin): State<Signin>, info: RequestInfo, Query(params): Query) -> Response {
    let cx = signin.context(info);
    let resumed = async { saml_sign_out::resume(&signin, &cx, params.one("order")?).await };
    resumed.await.unwrap_or_else(|error| failure(&cx, &error))
}

async fn oidc_callback(Visit { signin, cx, headers }: Visit, Path(id): Path<String>, Query(params): Query) -> Response {
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
