//! How much of a request is read: bodies are bounded, and never compressed.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::reply;
use super::request::RequestInfo;
use crate::error::{Error, Result, codes};

/// Of a body, where nothing else is said.
pub const BODY: usize = 64 * 1024;
/// Of a body on routes that take credentials, codes or forms of a sign-in.
pub const AUTH_BODY: usize = 8 * 1024;

/// The limit of a route, as a request extension.
#[derive(Clone, Copy)]
struct BodyLimit(usize);

/// Layer: bodies on these routes may have `State` bytes instead of the default. The innermost such layer wins.
/// `router.layer(axum::middleware::from_fn_with_state(limits::AUTH_BODY, limits::body))`.
pub async fn body(State(max): State<usize>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(BodyLimit(max));
    next.run(request).await
}

/// Errors: `unsupported_media_type` (415) for a body in a content coding: a small one could hold a large one.
pub(super) fn plain_body(headers: &HeaderMap) -> Result<()> {
    let coded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
    if coded { Err(Error::new(&codes::UNSUPPORTED_MEDIA_TYPE)) } else { Ok(()) }
}

/// Reads a body of at most `max` bytes. Errors: `too_large`; `invalid_input` for one that breaks off or comes too slowly.
pub async fn read(body: Body, max: usize) -> Result<Bytes> {
    match Limited::new(body, max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Error::says(&codes::TOO_LARGE, format!("The body is larger than {max} bytes.")))
        }
        Err(error) => Err(Error::says(&codes::INVALID_INPUT, "The body did not arrive completely.").because(error)),
    }
}

/// Extractor: the whole body, within the limit of the route.
pub struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let id = RequestInfo::id_of(request.extensions());
        read_request(request).await.map(Self).map_err(|error| reply::problem(&error, id))
    }
}

/// Reads the body of a request within the limit of its route. Errors: as `read`.
pub async fn read_request(request: Request) -> Result<Bytes> {
    read_request_within(request, usize::MAX).await
}

/// The same, where whoever asks has a smaller limit of their own. Errors: as `read`.
pub async fn read_request_within(request: Request, most: usize) -> Result<Bytes> {
    let max = request.extensions().get::<BodyLimit>().map_or(BODY, |limit| limit.0).min(most);
    // What announces itself as too large is not begun with.
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > max as u64) {
        return Err(Error::says(&codes::TOO_LARGE, format!("The body is larger than {max} bytes.")));
    }
    read(request.into_body(), max).await
}
