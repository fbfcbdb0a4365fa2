//! Errors in Convex's words: the function failed (HTTP 560), and `errorData` says why.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::error::{Error, Kind, codes};
use crate::http::reply;
use crate::id::RequestId;

/// The status by which Convex says that it is the function that failed, and not the server.
fn failed() -> StatusCode {
    StatusCode::from_u16(560).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The code of an error there.
pub(super) fn code(error: &Error) -> &'static str {
    match error.kind() {
        _ if error.is(&codes::NOT_A_MEMBER) => "NOT_A_MEMBER",
        _ if error.is(&codes::DOMAIN_TAKEN) => "GROUP_CONNECTION_DOMAIN_TAKEN",
        _ if error.is(&codes::MISSING_GRANT) || error.is(&codes::GRANT_EXCEEDS_CALLER) => "MISSING_GRANTS",
        Kind::Unauthenticated => "NOT_SIGNED_IN",
        Kind::Forbidden => "FORBIDDEN",
        Kind::TooMany => "RATE_LIMITED",
        Kind::Bug | Kind::Unavailable => "INTERNAL_ERROR",
        Kind::Invalid | Kind::Missing | Kind::Conflict | Kind::Stale | Kind::TooLarge | Kind::Upstream => {
            "INVALID_PARAMETERS"
        }
    }
}

/// The answer of a function that failed.
pub(super) fn answer(error: &Error, id: RequestId) -> Response {
    reply::log(error, id);
    let code = code(error);
    // A fault of ours has one sentence, whatever it was.
    let message = match (error.kind(), error.next_step()) {
        (Kind::Bug, _) | (_, None) => error.message().to_owned(),
        (_, Some(help)) => format!("{} {help}", error.message()),
    };
    let body = json!({
        "status": "error",
        "errorMessage": format!("[Request ID: {id}] {code}: {message}"),
        "errorData": {"code": code, "message": message},
        "logLines": [],
    });
    reply::retry_after(json(failed(), &body), error)
}

/// The answer for a function that there is not, or is of another kind: an error of the caller's program, which has no data.
pub(super) fn no_function(says: &str, id: RequestId) -> Response {
    let body = json!({
        "status": "error",
        "errorMessage": format!("[Request ID: {id}] Server Error\n{says}"),
        "logLines": [],
    });
    json(failed(), &body)
}

/// The answer to what is no call at all.
pub(super) fn no_call(error: &Error, id: RequestId) -> Response {
    reply::log(error, id);
    json(reply::status(error), &json!({"code": "BadJsonBody", "message": error.message(), "requestId": id}))
}

pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    reply::json(status, body).unwrap_or_else(|error| reply::problem(&error, RequestId::from_bytes([0; 16])))
}
