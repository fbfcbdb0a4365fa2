//! The addresses.

use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use serde_json::Value;

use super::body::Body;
use super::fault::{self, Place};
use super::{config, connections, login, sessions, test, tokens};
use crate::access::{Caller, Context};
use crate::app::App;
use crate::connection::saml::MAX_MESSAGE;
use crate::error::{Error, Result, codes};
use crate::event::Origin;
use crate::http::extract::Query;
use crate::http::{RequestInfo, limits, reply};
use crate::id::OrganizationId;
use crate::signin::Signin;

/// What a handler needs.
#[derive(Clone)]
pub(super) struct Door {
    app: App,
    signin: Signin,
}

/// One request of a known caller, or of nobody where that is enough; and how it is answered.
pub(super) struct Call {
    app: App,
    pub signin: Signin,
    pub cx: Context,
    place: Place,
}

impl Call {
    /// Performs an operation. Errors: those of the operation.
    pub async fn perform(&self, operation: &str, input: Value) -> Result<Value> {
        self.app.perform(&self.cx, operation, input).await
    }

    /// The organization of the key.
    pub fn organization(&self) -> Option<OrganizationId> {
        self.cx.caller.organization()
    }

    /// The answer: with that status, or an error in the SDK's words.
    fn tell(&self, status: StatusCode, answer: Result<Value>) -> Response {
        let written = answer.and_then(|value| reply::json(status, &value));
        written.unwrap_or_else(|error| fault::answer(&error, self.place, self.cx.origin.request))
    }

    /// The answer to what leaves nothing to tell.
    fn done(&self, answer: Result<()>) -> Response {
        match answer {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(error) => self.tell(StatusCode::NO_CONTENT, Err(error)),
        }
    }
}

/// The routes.
pub fn http(app: &App, signin: &Signin) -> Router {
    let door = Arc::new(Door { app: app.clone(), signin: signin.clone() });
    Router::new()
        .route("/v1/sso/connections", post(create_connection).get(list_connections))
        .route("/v1/sso/connections/{id}", get(get_connection).patch(update_connection).delete(delete_connection))
        .route("/v1/sso/connections/{id}/test", post(test_connection))
        .route("/v1/sso/enforce", post(set_enforcement))
        .route("/v1/sso/sessions", get(list_sessions))
        .route("/v1/sso/sessions/{id}", delete(revoke_session))
        .route("/v1/sso/config", post(create_config).get(get_config).delete(delete_config))
        .route("/v1/scim/tokens", post(create_token).get(list_tokens))
        .route("/v1/scim/tokens/{id}", delete(revoke_token))
        .route("/sso/login", get(login_url))
        .route("/sso/callback", get(legacy_callback))
        .route("/sso/callback/oidc", post(oidc_callback))
        .route("/sso/callback/ldap", post(ldap_callback))
        .merge(
            Router::new()
                .route("/sso/callback/saml", post(saml_callback))
                .layer(from_fn_with_state(MAX_MESSAGE, limits::body)),
        )
        .with_state(door)
}

/// Who asks. Errors: `not_signed_in`, `rate_limited`.
async fn caller(door: &Door, parts: &Parts, origin: &Origin) -> Result<Caller> {
    let nobody = || Error::new(&codes::NOT_SIGNED_IN);
    let mut given = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(nobody()) };
    let (scheme, bearer) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(nobody)?;
    if !scheme.eq_ignore_ascii_case("bearer") || bearer.trim().is_empty() {
        return Err(nobody());
    }
    door.app.authenticate(bearer.trim(), origin.clone()).await
}

/// What every handler begins with: whose key it is is known before anything else of the request is looked at.
async fn begin(parts: &mut Parts, door: &Arc<Door>, place: Place, public: bool) -> Result<Call, Response> {
    let origin = Origin::from(RequestInfo::from_request_parts(parts, door).await?);
    let known = match caller(door, parts, &origin).await {
        Err(error) if public && error.is(&codes::NOT_SIGNED_IN) => Ok(Caller::Anonymous),
        known => known,
    };
    match known {
        Ok(caller) => {
            let cx = door.app.context(caller, origin);
            Ok(Call { app: door.app.clone(), signin: door.signin.clone(), cx, place })
        }
        Err(error) => Err(fault::answer(&error, place, origin.request)),
    }
}

/// Extractor: a call with a key that holds.
struct Known(Call);

impl FromRequestParts<Arc<Door>> for Known {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<Door>) -> Result<Self, Response> {
        begin(parts, door, Place::Calling, false).await.map(Self)
    }
}

/// Extractor: a call with a key that holds, which hands a sign-in over.
struct Handing(Call);

impl FromRequestParts<Arc<Door>> for Handing {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<Door>) -> Result<Self, Response> {
        begin(parts, door, Place::SigningIn, false).await.map(Self)
    }
}

/// Extractor: a call of whoever comes. An old key is none.
struct Anybody(Call);

impl FromRequestParts<Arc<Door>> for Anybody {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<Door>) -> Result<Self, Response> {
        begin(parts, door, Place::Calling, true).await.map(Self)
    }
}

/// An id in the path. What is none is that of nothing.
fn id<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::new(&codes::NOT_FOUND))
}

async fn create_connection(Known(call): Known, request: Request) -> Response {
    let made = async { connections::create(&call, Body::read(request).await?).await };
    call.tell(StatusCode::CREATED, made.await)
}

async fn list_connections(Known(call): Known) -> Response {
    call.tell(StatusCode::OK, connections::list(&call).await)
}

async fn get_connection(Known(call): Known, Path(named): Path<String>) -> Response {
    let found = async { connections::get(&call, id(&named)?).await };
    call.tell(StatusCode::OK, found.await)
}

async fn update_connection(Known(call): Known, Path(named): Path<String>, request: Request) -> Response {
    let changed = async { connections::update(&call, id(&named)?, Body::read(request).await?).await };
    call.tell(StatusCode::OK, changed.await)
}

async fn delete_connection(Known(call): Known, Path(named): Path<String>) -> Response {
    let gone = async { connections::delete(&call, id(&named)?).await };
    call.done(gone.await)
}

async fn test_connection(Known(call): Known, Path(named): Path<String>) -> Response {
    match async { test::test(&call, id(&named)?).await }.await {
        Ok((status, report)) => call.tell(status, Ok(report)),
        Err(error) => call.tell(StatusCode::OK, Err(error)),
    }
}

async fn set_enforcement(Known(call): Known, request: Request) -> Response {
    let held = async { connections::enforce(&call, Body::read(request).await?).await };
    call.tell(StatusCode::OK, held.await)
}

async fn list_sessions(Known(call): Known) -> Response {
    call.tell(StatusCode::OK, sessions::list(&call).await)
}

async fn revoke_session(Known(call): Known, Path(named): Path<String>) -> Response {
    let gone = async { sessions::revoke(&call, id(&named)?).await };
    call.done(gone.await)
}

async fn create_config(Known(call): Known, request: Request) -> Response {
    let made = async { config::create(&call, Body::read(request).await?).await };
    call.tell(StatusCode::CREATED, made.await)
}

async fn get_config(Known(call): Known) -> Response {
    call.tell(StatusCode::OK, config::get(&call).await)
}

async fn delete_config(Known(call): Known) -> Response {
    call.done(config::delete(&call).await)
}

async fn create_token(Known(call): Known, request: Request) -> Response {
    let made = async { tokens::create(&call, Body::read(request).await?).await };
    call.tell(StatusCode::CREATED, made.await)
}

async fn list_tokens(Known(call): Known) -> Response {
    call.tell(StatusCode::OK, tokens::list(&call).await)
}

async fn revoke_token(Known(call): Known, Path(named): Path<String>) -> Response {
    let gone = async { tokens::revoke(&call, id(&named)?).await };
    call.done(gone.await)
}

async fn login_url(Anybody(call): Anybody, Query(params): Query) -> Response {
    call.tell(StatusCode::OK, login::url(&call, &params).await)
}

async fn legacy_callback(Handing(call): Handing, Query(params): Query) -> Response {
    call.tell(StatusCode::OK, login::legacy(&call, &params).await)
}

async fn oidc_callback(Handing(call): Handing, request: Request) -> Response {
    let person = async { login::oidc(&call, Body::read(request).await?).await };
    call.tell(StatusCode::OK, person.await)
}

async fn saml_callback(Handing(call): Handing, request: Request) -> Response {
    let person = async { login::saml(&call, Body::read(request).await?).await };
    call.tell(StatusCode::OK, person.await)
}

async fn ldap_callback(Handing(call): Handing, request: Request) -> Response {
    let person = async { login::ldap(&call, Body::read(request).await?).await };
    call.tell(StatusCode::OK, person.await)
}
