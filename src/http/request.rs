//! Who is asking: the request's id, the client's address and agent.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{FromRequestParts, OptionalFromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::guard::Door;
use super::reply;
use crate::error::Error;
use crate::event::Origin;
use crate::id::RequestId;

/// Of a user agent, this many characters are kept.
const USER_AGENT: usize = 256;

/// The other end of a connection, as the listener hands it over in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// By TCP, with or without TLS: the address that connected, perhaps a proxy's.
    Tcp(SocketAddr),
    /// By the control socket, from a process of this user.
    Control {
        /// As the kernel tells it.
        uid: u32,
    },
}

/// What every log line, event and trace says of a request. An extractor, and a request extension; beside it stands
/// the `event::Origin` made of it, for doors that know no HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// Fresh for each request; answered as `x-request-id`.
    pub id: RequestId,
    /// The client's address, proxies looked through; none behind the control socket.
    pub ip: Option<IpAddr>,
    /// At most 256 characters, control and direction characters escaped.
    pub user_agent: Option<String>,
}

impl RequestInfo {
    /// The id in a request's extensions. Where `identify` has not run it is all zeroes.
    pub fn id_of(extensions: &Extensions) -> RequestId {
        extensions.get::<Self>().map_or(RequestId::from_bytes([0; 16]), |info| info.id)
    }
}

impl From<RequestInfo> for Origin {
    fn from(info: RequestInfo) -> Self {
        Self { request: info.id, ip: info.ip, user_agent: info.user_agent }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestInfo {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| {
            reply::problem(&Error::bug("a route without `identify` before it"), RequestId::from_bytes([0; 16]))
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let found = parts.extensions.get::<Self>().copied();
        found.ok_or_else(|| {
            reply::problem(&Error::bug("a request without a peer"), RequestInfo::id_of(&parts.extensions))
        })
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().copied())
    }
}

/// The outermost layer: gives the request its id, looks through proxies for its address, and writes one line when it is
/// answered. The line has the path without its query, which may hold codes and tokens.
pub async fn identify(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let id = RequestId::new(&door.env);
    let ip = match request.extensions().get::<Peer>() {
        Some(Peer::Tcp(peer)) => Some(match &door.site {
            Some(site) => site.client_ip(peer.ip(), request.headers()),
            None => peer.ip().to_canonical(),
        }),
        Some(Peer::Control { .. }) | None => None,
    };
    let user_agent =
        request.headers().get(header::USER_AGENT).map(|value| shown(&String::from_utf8_lossy(value.as_bytes())));
    let span = tracing::info_span!("request", request_id = %id, method = %request.method(), path = %shown(request.uri().path()));
    let info = RequestInfo { id, ip, user_agent };
    request.extensions_mut().insert(Origin::from(info.clone()));
    request.extensions_mut().insert(info);
    let started = door.env.monotonic();
    let mut response = next.run(request).instrument(span.clone()).await;
    let ms = door.env.monotonic().saturating_sub(started).as_millis();
    tracing::info!(parent: &span, status = response.status().as_u16(), ms, "answered");
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

/// A text of a stranger, made harmless for logs and terminals: control characters and those that turn the direction of
/// writing are escaped, and its length is bounded.
fn shown(text: &str) -> String {
    let mut out = String::new();
    let mut count = 0;
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        let piece = if hidden { c.escape_unicode().to_string() } else { c.to_string() };
        count += piece.chars().count();
        if count > USER_AGENT {
            break;
        }
        out.push_str(&piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_harmless_and_short() {
        assert_eq!(shown("Mozilla/5.0 (X11; Linux)"), "Mozilla/5.0 (X11; Linux)");
        assert_eq!(shown("a\u{1b}]52;c\u{7}\u{202e}b\u{9b}"), "a\\u{1b}]52;c\\u{7}\\u{202e}b\\u{9b}");
        assert_eq!(shown(&"ä".repeat(1000)).chars().count(), 256);
        assert!(shown(&"\u{1b}".repeat(1000)).chars().count() <= 256);
    }
}
