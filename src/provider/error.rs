//! Errors as RFC 6749 §5.2 and RFC 6750 §3 write them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::error::{Error, Kind};
use crate::event::Origin;

/// JSON that no cache keeps.
pub(super) fn json(status: StatusCode, value: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::PRAGMA, HeaderValue::from_static("no-cache")),
    ];
    (status, headers, value.to_string()).into_response()
}

/// The error as the protocol names it, and its status. Only the names of RFC 6749 and RFC 6750 leave here.
fn name(error: &Error) -> (&'static str, StatusCode) {
    for name in ["invalid_request", "invalid_grant", "invalid_scope", "unauthorized_client", "unsupported_grant_type"] {
        if error.code() == name {
            return (name, StatusCode::BAD_REQUEST);
        }
    }
    match (error.code(), error.kind()) {
        ("invalid_client", _) => ("invalid_client", StatusCode::UNAUTHORIZED),
        ("invalid_token", _) => ("invalid_token", StatusCode::UNAUTHORIZED),
        (_, Kind::Forbidden) => ("insufficient_scope", StatusCode::FORBIDDEN),
        (_, Kind::TooLarge) => ("invalid_request", StatusCode::PAYLOAD_TOO_LARGE),
        (_, Kind::TooMany) => ("temporarily_unavailable", StatusCode::TOO_MANY_REQUESTS),
        (_, Kind::Unavailable | Kind::Stale | Kind::Upstream) => {
            ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE)
        }
        (_, Kind::Bug) => ("server_error", StatusCode::INTERNAL_SERVER_ERROR),
        _ => ("invalid_request", StatusCode::BAD_REQUEST),
    }
}

/// The letters that RFC 6749 §5.2 allows in a description; it stands in a quoted header as well.
fn description(error: &Error) -> String {
    error.message().chars().filter(|c| (' '..='~').contains(c) && *c != '"' && *c != '\\').collect()
}

/// The answer of the token endpoint. `basic`: the app tried HTTP Basic, so it is told so (RFC 6749 §5.2).
pub(super) fn token(error: &Error, origin: &Origin, basic: bool) -> Response {
    let (name, status) = name(error);
    note(error, origin);
    let body = json!({
        "error": name,
        "error_description": description(error),
        "request_id": origin.request,
    });
    let mut response = json(status, &body);
    if basic && status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"authd\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The answer of a resource that takes bearers (RFC 6750 §3). A request without any is told no error.
pub(super) fn bearer(error: Option<&Error>, origin: &Origin) -> Response {
    let Some(error) = error else {
        let mut response = json(StatusCode::UNAUTHORIZED, &json!({"request_id": origin.request}));
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"authd\""));
        return response;
    };
    let (name, status) = name(error);
    let description = description(error);
    note(error, origin);
    let body = json!({"error": name, "error_description": description, "request_id": origin.request});
    let mut response = json(status, &body);
    if status.is_client_error() {
        let challenge = format!("Bearer realm=\"authd\", error=\"{name}\", error_description=\"{description}\"");
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    response
}

fn note(error: &Error, origin: &Origin) {
    if matches!(error.kind(), Kind::Bug | Kind::Unavailable) {
        tracing::error!(request = %origin.request, "{}", error.log_line());
    } else {
        tracing::debug!(request = %origin.request, "{}", error.log_line());
    }
}
