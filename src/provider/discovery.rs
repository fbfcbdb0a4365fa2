//! What authd says about itself as a provider: discovery (OpenID Connect Discovery §3, RFC 8414) and its keys.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::http::Door;
use super::response::ResponseMode;
use super::{authorize, claims, client_assertion, token_endpoint};
use crate::config::PublicUrl;
use crate::http::{RequestInfo, reply};

/// Five minutes: far below the hour in which a rotated key must be known everywhere.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How an app proves itself, where it can.
const CONFIDENTIAL: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];

/// The document. It names what is served now and nothing else, and every address in it comes from the configured
/// URL, never from a request.
pub(super) fn document(public_url: &PublicUrl) -> Value {
    let everybody = [&CONFIDENTIAL[..], &["none"]].concat();
    let algorithms: Vec<&str> = client_assertion::ALGORITHMS.iter().map(|algorithm| algorithm.name()).collect();
    json!({
        "issuer": public_url.issuer(),
        "authorization_endpoint": public_url.at("/oauth2/authorize"),
        "token_endpoint": public_url.at("/oauth2/token"),
        "userinfo_endpoint": public_url.at("/userinfo"),
        "introspection_endpoint": public_url.at("/oauth2/introspect"),
        "revocation_endpoint": public_url.at("/oauth2/revoke"),
        "device_authorization_endpoint": public_url.at("/oauth2/device_authorization"),
        "end_session_endpoint": public_url.at("/oauth2/logout"),
        "pushed_authorization_request_endpoint": public_url.at("/oauth2/par"),
        "require_pushed_authorization_requests": false,
        "jwks_uri": public_url.at("/.well-known/jwks.json"),
        "scopes_supported": authorize::SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ResponseMode::ALL.map(ResponseMode::name),
        "grant_types_supported": token_endpoint::GRANT_TYPES.iter().map(|grant| grant.name()).collect::<Vec<_>>(),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "token_endpoint_auth_methods_supported": everybody,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": CONFIDENTIAL,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": everybody,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "prompt_values_supported": authorize::PROMPTS,
        "claim_types_supported": ["normal"],
        "claims_supported": claims::SUPPORTED,
        "claims_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
    })
}

pub(super) async fn discovery(State(door): State<Door>) -> Response {
    published(door.discovery.clone())
}

pub(super) async fn jwks(State(door): State<Door>, info: RequestInfo, headers: HeaderMap) -> Response {
    let set = match door.keyring.published(&door.context(&info)).await {
        Ok(set) => set,
        Err(error) => return reply::problem(&error, info.id),
    };
    let unchanged = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).is_some_and(|tags| {
        tags.split(',').any(|tag| matches!(tag.trim(), tag if tag == "*" || tag.trim_start_matches("W/") == &*set.etag))
    });
    let mut response = if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { published(set.body.clone()) };
    response.headers_mut().insert(header::CACHE_CONTROL, CACHED);
    if let Ok(etag) = HeaderValue::from_str(&set.etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn published(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, CACHED)], body).into_response()
}
