//! Which pages of other origins may read an answer. Never with cookies: nothing here looks at one.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::client::App;
use crate::error::Result;
use crate::store::{Query, Store};

/// Everybody may read what is public.
pub(super) async fn everybody(request: Request, next: Next) -> Response {
    let any = HeaderValue::from_static("*");
    let mut response = if preflight(&request) {
        let mut response = StatusCode::NO_CONTENT.into_response();
        allow(response.headers_mut(), "GET", "*");
        response
    } else {
        next.run(request).await
    };
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

/// Pages of the apps that are registered here may call, and read the answer.
pub async fn apps(State(store): State<Store>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let known = match &origin {
        Some(origin) => registered(&store, origin).await.unwrap_or(false),
        None => false,
    };
    let mut response = if preflight(&request) {
        let mut response = StatusCode::NO_CONTENT.into_response();
        if known {
            allow(response.headers_mut(), "GET, POST", "authorization, content-type, convex-client");
        }
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    // The answer depends on who asks, also where the answer is no.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin.filter(|_| known) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("www-authenticate"));
    }
    response
}

fn preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn allow(headers: &mut HeaderMap, methods: &'static str, names: &'static str) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(names));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}

async fn registered(store: &Store, origin: &HeaderValue) -> Result<bool> {
    let page = store.page::<App>(Query::by("origin", origin.as_bytes()).limit(1)).await?;
    Ok(!page.items.is_empty())
}

/// `OPTIONS` where nobody asks across origins. That the method is routed lets the layers answer those who do.
pub async fn bare() -> axum::http::StatusCode {
    axum::http::StatusCode::NO_CONTENT
}
