//! The two doors for clients that exist already: what is translated, and that nothing passes by a check.

mod convex;
mod grantex;
mod reference;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::authd::Authd;
use authd::http::Peer;

/// An answer.
#[derive(Debug)]
pub struct Told {
    pub status: StatusCode,
    pub body: Value,
}

/// One request with a JSON body, as a library sends it.
pub async fn send(router: &Router, method: Method, path: &str, bearer: Option<&str>, body: Option<&Value>) -> Told {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8080");
    if let Some(bearer) = bearer {
        request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
    }
    let body = match body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    let mut request = request.body(body).unwrap();
    request.extensions_mut().insert(Peer::Tcp("192.0.2.9:4000".parse().unwrap()));
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = axum::body::to_bytes(body, 4 << 20).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Told { status: parts.status, body }
}

/// An organization of that name.
pub async fn organization(authd: &Authd, name: &str) -> String {
    authd.operate("organization.create", json!({"name": name})).await["id"].as_str().unwrap().to_owned()
}

/// An API key of an organization.
pub async fn key(authd: &Authd, organization: &str, grants: &[&str]) -> String {
    let made =
        authd.operate("api_key.create", json!({"organization": organization, "name": "k", "grants": grants})).await;
    made["key"].as_str().unwrap().to_owned()
}
