//! Who is asking: the request's id, the client's address and agent.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{FromRequestParts, OptionalFromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, header};
use axum::response::Response;

use super::door::Door;
use super::page::display::is_hidden;
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

/// What every log line, event and trace says of a request. An extractor, and a request extension; an `event::Origin` is
/// made of it.
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
    /// The id in a request's extensions. Without a `Door` before the route it is all zeroes.
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
            reply::problem(&Error::bug("a route without a `Door` before it"), RequestId::from_bytes([0; 16]))
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

/// Gives a request its id, looks through proxies for its address, and keeps both in its extensions.
pub(super) fn identify(door: &Door, request: &mut Request) -> RequestId {
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
    request.extensions_mut().insert(RequestInfo { id, ip, user_agent });
    id
}

/// A text of a stranger, made harmless for logs and terminals: what is not seen as itself is escaped, and its length is
/// bounded.
pub(super) fn shown(text: &str) -> String {
    // Nearly always there is nothing to do.
    if text.len() <= USER_AGENT && !text.chars().any(is_hidden) {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut count = 0;
    for c in text.chars() {
        let piece = if is_hidden(c) { c.escape_unicode().to_string() } else { c.to_string() };
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
