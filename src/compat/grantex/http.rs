//! The addresses.

use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
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
use crate::http::extract::Params;
use crate::http::{RequestInfo, limits, reply};
use crate::id::OrganizationId;
use crate::signin::Signin;

/// What a handler needs.
#[derive(Clone)]
pub(super) struct Door {
    app: App,
    signin: Signin,
}

/// One request of a known caller, or of nobody where that is enough.
pub(super) struct Call {
    app: App,
    pub signin: Signin,
    pub cx: Context,
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
async fn known(door: &Door, info: RequestInfo, headers: &HeaderMap) -> Result<Call> {
    let nobody = || Error::new(&codes::NOT_SIGNED_IN);
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(nobody()) };
    let (scheme, bearer) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(nobody)?;
    if !scheme.eq_ignore_ascii_case("bearer") || bearer.trim().is_empty() {
        return Err(nobody());
    }
    let origin = Origin::from(info);
    let caller = door.app.authenticate(bearer.trim(), origin.clone()).await?;
    Ok(Call { app: door.app.clone(), signin: door.signin.clone(), cx: door.app.context(caller, origin) })
}

/// Who asks, or nobody: the address is public.
async fn anybody(door: &Door, info: RequestInfo, headers: &HeaderMap) -> Result<Call> {
    if headers.contains_key(header::AUTHORIZATION) {
        match known(door, info.clone(), headers).await {
            Err(error) if error.is(&codes::NOT_SIGNED_IN) => {}
            known => return known,
        }
    }
    let cx = door.app.context(Caller::Anonymous, Origin::from(info));
    Ok(Call { app: door.app.clone(), signin: door.signin.clone(), cx })
}

fn told(answer: Result<(StatusCode, Value)>, place: Place, info: &RequestInfo) -> Response {
    let written = answer.and_then(|(status, value)| match value {
        Value::Null => Ok(status.into_response()),
        value => reply::json(status, &value),
    });
    written.unwrap_or_else(|error| fault::answer(&error, place, info.id))
}

/// An id in the path. What is none is that of nothing.
fn id<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::new(&codes::NOT_FOUND))
}

const GONE: (StatusCode, Value) = (StatusCode::NO_CONTENT, Value::Null);

type Shared = State<Arc<Door>>;

async fn create_connection(State(door): Shared, info: RequestInfo, request: Request) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), request.headers()).await?;
        Ok((StatusCode::CREATED, connections::create(&call, Body::read(request).await?).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn list_connections(State(door): Shared, info: RequestInfo, headers: HeaderMap) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        Ok((StatusCode::OK, connections::list(&call).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn get_connection(
    State(door): Shared,
    Path(named): Path<String>,
    info: RequestInfo,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        Ok((StatusCode::OK, connections::get(&call, id(&named)?).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn update_connection(
    State(door): Shared,
    Path(named): Path<String>,
    info: RequestInfo,
    request: Request,
) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), request.headers()).await?;
        let body = Body::read(request).await?;
        Ok((StatusCode::OK, connections::update(&call, id(&named)?, body).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn delete_connection(
    State(door): Shared,
    Path(named): Path<String>,
    info: RequestInfo,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        connections::delete(&call, id(&named)?).await?;
        Ok(GONE)
    };
    told(answer.await, Place::Calling, &info)
}

async fn test_connection(
    State(door): Shared,
    Path(named): Path<String>,
    info: RequestInfo,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        test::test(&call, id(&named)?).await
    };
    told(answer.await, Place::Calling, &info)
}

async fn set_enforcement(State(door): Shared, info: RequestInfo, request: Request) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), request.headers()).await?;
        Ok((StatusCode::OK, connections::enforce(&call, Body::read(request).await?).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn list_sessions(State(door): Shared, info: RequestInfo, headers: HeaderMap) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        Ok((StatusCode::OK, sessions::list(&call).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn revoke_session(
    State(door): Shared,
    Path(named): Path<String>,
    info: RequestInfo,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        sessions::revoke(&call, id(&named)?).await?;
        Ok(GONE)
    };
    told(answer.await, Place::Calling, &info)
}

async fn create_config(State(door): Shared, info: RequestInfo, request: Request) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), request.headers()).await?;
        Ok((StatusCode::CREATED, config::create(&call, Body::read(request).await?).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn get_config(State(door): Shared, info: RequestInfo, headers: HeaderMap) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        Ok((StatusCode::OK, config::get(&call).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn delete_config(State(door): Shared, info: RequestInfo, headers: HeaderMap) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        config::delete(&call).await?;
        Ok(GONE)
    };
    told(answer.await, Place::Calling, &info)
}

async fn create_token(State(door): Shared, info: RequestInfo, request: Request) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), request.headers()).await?;
        Ok((StatusCode::CREATED, tokens::create(&call, Body::read(request).await?).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn list_tokens(State(door): Shared, info: RequestInfo, headers: HeaderMap) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        Ok((StatusCode::OK, tokens::list(&call).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn revoke_token(
    State(door): Shared,
    Path(named): Path<String>,
    info: RequestInfo,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        tokens::revoke(&call, id(&named)?).await?;
        Ok(GONE)
    };
    told(answer.await, Place::Calling, &info)
}

async fn login_url(State(door): Shared, RawQuery(query): RawQuery, info: RequestInfo, headers: HeaderMap) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let answer = async {
        let call = anybody(&door, info.clone(), &headers).await?;
        Ok((StatusCode::OK, login::url(&call, &params).await?))
    };
    told(answer.await, Place::Calling, &info)
}

async fn legacy_callback(
    State(door): Shared,
    RawQuery(query): RawQuery,
    info: RequestInfo,
    headers: HeaderMap,
) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let answer = async {
        let call = known(&door, info.clone(), &headers).await?;
        Ok((StatusCode::OK, login::legacy(&call, &params).await?))
    };
    told(answer.await, Place::SigningIn, &info)
}

async fn oidc_callback(State(door): Shared, info: RequestInfo, request: Request) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), request.headers()).await?;
        Ok((StatusCode::OK, login::oidc(&call, Body::read(request).await?).await?))
    };
    told(answer.await, Place::SigningIn, &info)
}

async fn saml_callback(State(door): Shared, info: RequestInfo, request: Request) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), request.headers()).await?;
        Ok((StatusCode::OK, login::saml(&call, Body::read(request).await?).await?))
    };
    told(answer.await, Place::SigningIn, &info)
}

async fn ldap_callback(State(door): Shared, info: RequestInfo, request: Request) -> Response {
    let answer = async {
        let call = known(&door, info.clone(), request.headers()).await?;
        Ok((StatusCode::OK, login::ldap(&call, Body::read(request).await?).await?))
    };
    told(answer.await, Place::SigningIn, &info)
}
