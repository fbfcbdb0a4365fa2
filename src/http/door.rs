//! What every request passes on its way in, and every answer on its way out.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::guard::Site;
use super::request::{identify, shown};
use super::{class, headers, limits, reply};
use crate::env::Env;
use crate::error::{Error, Result, codes};

/// What stands before every route of a listener.
#[derive(Clone)]
pub struct Door {
    /// For request ids and latencies.
    pub env: Env,
    /// None behind the control socket, where the peer's uid counts instead of a host name.
    pub site: Option<Arc<Site>>,
}

impl Door {
    /// For TCP and TLS listeners.
    pub fn public(env: Env, site: Arc<Site>) -> Self {
        Self { env, site: Some(site) }
    }

    /// For the control socket.
    pub fn control(env: Env) -> Self {
        Self { env, site: None }
    }

    /// Puts around `router`: request id, security headers, one log line an answer, the host names that are served, no compressed
    /// bodies, the default limit on bodies, and an answer even when a handler panics.
    pub fn guard(&self, router: Router) -> Router {
        router
            .layer(axum::extract::DefaultBodyLimit::max(limits::BODY))
            .layer(from_fn_with_state(Arc::new(self.clone()), pass))
    }

    fn admits(&self, request: &Request) -> Result<()> {
        if let Some(site) = &self.site {
            site.serves(request.uri(), request.headers())?;
        }
        if !is_text(request.uri().path()) {
            // No route reads it, and axum would say so in words of its own.
            return Err(Error::says(&codes::NOT_FOUND, "There is nothing at this address."));
        }
        limits::plain_body(request.headers())
    }
}

/// Whether a path is text once its percent signs are read (RFC 3986 §2.5).
fn is_text(path: &str) -> bool {
    percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

/// One layer for all that concerns every request: a layer each would cost an allocation each.
async fn pass(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let id = identify(&door, &mut request);
    let safe = request.method().is_safe();
    // Published documents (RFC 8615) are asked for most and have least to tell: a span would cost more than the answer.
    let span = if safe && request.uri().path().contains("/.well-known/") {
        tracing::debug_span!("request", request_id = %id, method = %request.method(), path = %shown(request.uri().path()))
    } else {
        // Without the query, which may hold codes and tokens.
        tracing::info_span!("request", request_id = %id, method = %request.method(), path = %shown(request.uri().path()))
    };
    let route = class::route(request.uri().path());
    let started = door.env.monotonic();
    let mut response = match door.admits(&request) {
        // A panic is a bug of ours, and no reason to leave the client without an answer.
        Ok(()) => AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .instrument(span.clone())
            .await
            .unwrap_or_else(|_| reply::problem(&Error::bug("a handler panicked"), id)),
        Err(error) => reply::problem(&error, id),
    };
    let status = response.status();
    let took = door.env.monotonic().saturating_sub(started);
    let name = if door.site.is_some() { "public" } else { "control" };
    door.env.meters().requests.of([name, route, class::status(status)]).time(took);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if safe && status.is_success() {
        tracing::debug!(parent: &span, status = status.as_u16(), ms, "answered");
    } else {
        tracing::info!(parent: &span, status = status.as_u16(), ms, "answered");
    }
    headers::secure(response.headers_mut(), door.site.as_ref().is_some_and(|site| site.is_https()));
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PublicUrl;
    use crate::http::RequestInfo;
    use axum::http::HeaderMap;
    use std::net::SocketAddr;

    fn site() -> Arc<Site> {
        Arc::new(Site::new(&PublicUrl::parse("https://sso.example.com").unwrap(), &[], Vec::new()))
    }

    async fn ask(door: &Door, request: axum::http::request::Builder, body: &'static str) -> (u16, HeaderMap, String) {
        use crate::http::extract;
        use axum::routing::post;
        use tower::ServiceExt as _;

        let small = Router::new()
            .route("/small", post(|_: limits::Raw| async {}))
            .layer(from_fn_with_state(limits::AUTH_BODY, limits::body));
        let router = Router::new()
            .route("/", post(|info: RequestInfo| async move { format!("{:?} {:?}", info.ip, info.user_agent) }))
            .route(
                "/panic",
                post(|| async {
                    if true {
                        panic!("on purpose")
                    }
                }),
            )
            .route("/raw", post(|_: limits::Raw| async {}))
            .route("/json", post(|_: extract::Json<serde_json::Value>| async {}))
            .merge(small);
        let peer: SocketAddr = "198.51.100.7:5000".parse().unwrap();
        let request = request.extension(crate::http::Peer::Tcp(peer)).body(axum::body::Body::from(body)).unwrap();
        let answer = door.guard(router).oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = limits::read(body, limits::BODY).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn to(path: &str) -> axum::http::request::Builder {
        Request::builder().method("POST").uri(path).header("host", "sso.example.com")
    }

    #[tokio::test]
    async fn a_door_guards_every_route() {
        let door = Door::public(Env::frozen(), site());
        let (status, headers, body) =
            ask(&door, to("/").header("user-agent", "curl/8").header("x-request-id", "mine"), "").await;
        assert_eq!((status, body.as_str()), (200, "Some(198.51.100.7) Some(\"curl/8\")"));
        assert!(headers["x-request-id"].to_str().unwrap().starts_with("req_"));
        for (name, part) in [
            ("content-security-policy", "default-src 'none'"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("strict-transport-security", "max-age="),
            ("cache-control", "no-store"),
        ] {
            assert!(headers[name].to_str().unwrap().contains(part), "{name}");
        }
        // What is refused has the same headers, and its id in the body.
        let (status, headers, body) =
            ask(&door, Request::builder().method("POST").uri("/").header("host", "evil.example"), "").await;
        assert_eq!(status, 421);
        assert!(headers.contains_key("content-security-policy"));
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (&body["code"], &body["requestId"]),
            (&"host_not_served".into(), &headers["x-request-id"].to_str().unwrap().into())
        );
        assert_eq!(ask(&door, to("/nowhere"), "").await.0, 404);
        let (status, headers, body) = ask(&door, to("/panic"), "").await;
        assert!(status == 500 && headers.contains_key("x-request-id") && !body.contains("on purpose"));
    }

    #[tokio::test]
    async fn an_address_that_is_no_text_is_refused_in_our_own_words() {
        let door = Door::public(Env::frozen(), site());
        for path in ["/%ff", "/x%c3", "/%e2%82/raw", "/%C0%AF"] {
            let (status, headers, body) = ask(&door, to(path), "").await;
            assert_eq!(
                (status, headers["content-type"].to_str().unwrap()),
                (404, "application/problem+json"),
                "{path}"
            );
            assert!(body.contains("not_found"), "{path}: {body}");
        }
        for text in ["/a", "/%E2%82%AC", "/%zz", "/%", "/%f", "/%25ff"] {
            assert!(is_text(text), "{text}");
        }
    }

    #[tokio::test]
    async fn bodies_are_plain_and_bounded() {
        let door = Door::public(Env::frozen(), site());
        let of = |length: usize| -> &'static str { Box::leak("x".repeat(length).into_boxed_str()) };
        for (path, length, expected) in [
            ("/raw", 65536, 200),
            ("/raw", 65537, 413),
            ("/small", 8192, 200),
            ("/small", 8193, 413),
            ("/json", 2, 415),
        ] {
            assert_eq!(ask(&door, to(path), of(length)).await.0, expected, "{path} {length}");
        }
        let announced = to("/raw").header("content-length", "100000");
        assert_eq!(ask(&door, announced, "x").await.0, 413);
        for (coding, expected) in [("gzip", 415), ("br", 415), ("Identity", 200)] {
            assert_eq!(ask(&door, to("/raw").header("content-encoding", coding), "x").await.0, expected, "{coding}");
        }
        let json = |kind: &str| to("/json").header("content-type", kind.to_owned());
        assert_eq!(ask(&door, json("application/json; charset=utf-8"), "{}").await.0, 200);
        assert_eq!(ask(&door, json("text/plain"), "{}").await.0, 415);
        assert_eq!(ask(&door, json("application/json"), "{").await.0, 400);
    }
}
