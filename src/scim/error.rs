//! How a refusal is told: the error of RFC 7644 §3.12.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::error::{Code, Error, Kind, codes};
use crate::http::reply;
use crate::id::RequestId;

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The keyword of a code: RFC 7644's and RFC 9865's, where they have one; else our own code where a client should know
/// what it ran into.
fn keyword(error: &Error) -> Option<&'static str> {
    const KEYWORDS: &[(&Code, &str)] = &[
        (&codes::INVALID_FILTER, "invalidFilter"),
        (&codes::INVALID_PATH, "invalidPath"),
        (&codes::INVALID_VALUE, "invalidValue"),
        (&codes::PROFILE_INVALID, "invalidValue"),
        (&codes::INVALID_SYNTAX, "invalidSyntax"),
        (&codes::INVALID_INPUT, "invalidSyntax"),
        (&codes::INVALID_CURSOR, "invalidCursor"),
        (&codes::NO_TARGET, "noTarget"),
        (&codes::MUTABILITY, "mutability"),
        (&codes::TAKEN, "uniqueness"),
        (&codes::CONFLICT, "uniqueness"),
        (&codes::TOO_LARGE, "tooMany"),
        (&codes::LAST_OWNER, "last_owner"),
        (&codes::SUSPENDED_BY_ADMIN, "suspended_by_admin"),
        (&codes::ENDED_BY_SOURCE, "ended_by_source"),
        (&codes::EMAIL_DOMAIN_NOT_OWNED, "email_domain_not_owned"),
        (&codes::PERSON_DISABLED, "person_disabled"),
        (&codes::ORGANIZATION_DISABLED, "organization_disabled"),
        (&codes::SCIM_DISABLED, "scim_disabled"),
    ];
    KEYWORDS.iter().find(|(code, _)| error.is(code)).map(|(_, keyword)| *keyword)
}

/// The status of a refusal.
pub fn status(error: &Error) -> StatusCode {
    match error.kind() {
        _ if error.is(&codes::NOT_A_PERSON) => StatusCode::NOT_IMPLEMENTED,
        // Somebody else was always quicker: to be tried again as it is. A precondition that failed is something else.
        Kind::Stale if !error.is(&codes::PRECONDITION_FAILED) => StatusCode::CONFLICT,
        _ => reply::status(error),
    }
}

/// The body of a refusal.
pub fn body(error: &Error) -> Value {
    let mut detail = error.message().to_owned();
    if let Some(help) = error.next_step() {
        detail.push(' ');
        detail.push_str(help);
    }
    let mut told = json!({"schemas": [SCHEMA], "status": status(error).as_u16().to_string(), "detail": detail});
    if let Some(keyword) = keyword(error) {
        told["scimType"] = keyword.into();
    }
    told
}

/// The answer of a refusal.
pub fn answer(error: &Error, id: RequestId) -> Response {
    reply::log(error, id);
    let mut response = Response::new(Body::from(body(error).to_string()));
    *response.status_mut() = status(error);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(super::answer::MEDIA_TYPE));
    reply::no_store(headers);
    if error.kind() == Kind::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    reply::retry_after(response, error)
}
