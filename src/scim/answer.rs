//! How what was done is told: a resource with its version and its address.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value};

use crate::error::{Error, Result, codes};
use crate::http::reply;

/// RFC 7644 §8.1.
pub const MEDIA_TYPE: &str = "application/scim+json";

/// A resource as it is answered.
#[derive(Clone, Debug)]
pub struct Shown {
    /// All of it.
    pub resource: Map<String, Value>,
    /// Its version.
    pub version: String,
    /// Its address.
    pub location: String,
}

/// Any document.
pub fn document(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    reply::no_store(response.headers_mut());
    response
}

/// Nothing.
pub fn nothing(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A resource.
pub fn resource(status: StatusCode, shown: Shown) -> Result<Response> {
    let mut response = document(status, &Value::Object(shown.resource));
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::try_from(shown.version).map_err(Error::bug)?);
    headers.insert(header::LOCATION, HeaderValue::try_from(shown.location).map_err(Error::bug)?);
    Ok(response)
}

/// Whether a header of preconditions names the version. RFC 7644 §3.14 has weak versions in `If-Match`, too, so that
/// they are compared weakly.
fn names(headers: &HeaderMap, name: header::HeaderName, version: &str) -> Option<bool> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    let version = bare(version);
    Some(values.any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|tag| tag.trim() == "*" || bare(tag) == version))
    }))
}

/// Refuses a change of another version than the client has seen. Errors: `precondition_failed`.
pub fn if_match(headers: &HeaderMap, version: &str) -> Result<()> {
    let stale = names(headers, header::IF_MATCH, version) == Some(false)
        || names(headers, header::IF_NONE_MATCH, version) == Some(true);
    if stale { Err(Error::new(&codes::PRECONDITION_FAILED)) } else { Ok(()) }
}

/// Whether the client has this version already.
pub fn is_known(headers: &HeaderMap, version: &str) -> bool {
    names(headers, header::IF_NONE_MATCH, version) == Some(true)
}
