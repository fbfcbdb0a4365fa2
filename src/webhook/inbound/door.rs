//! `POST /webhooks/inbound/{id}`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::post;

use super::receive::{Outcome, check};
use crate::access::{Caller, Context, World};
use crate::error::Result;
use crate::http::{RequestInfo, limits, reply};

/// Of a message: a person with all their addresses and what an app keeps of them fits many times.
const BODY: usize = 256 * 1024;

/// The route, relative to the issuer's path; `http::Door::guard` stands before it.
pub fn http(world: World) -> Router {
    Router::new()
        .route("/webhooks/inbound/{id}", post(receive))
        .route_layer(from_fn_with_state(BODY, limits::body))
        .with_state(world)
}

async fn receive(State(world): State<World>, Path(id): Path<String>, info: RequestInfo, request: Request) -> Response {
    let request_id = info.id;
    let cx = world.context(Caller::Anonymous, info.into());
    let headers = request.headers().clone();
    let taken = async {
        let body = limits::read_request(request).await?;
        taken(&cx, &id, &headers, &body).await
    };
    // Whatever was done or not done with a message that is genuine, the sender need not send it again.
    match taken.await.and_then(|outcome| reply::json(StatusCode::OK, &outcome)) {
        Ok(response) => response,
        Err(error) => reply::problem(&error, request_id),
    }
}

async fn taken(cx: &Context, id: &str, headers: &HeaderMap, body: &Bytes) -> Result<Outcome> {
    let genuine = check(cx, id, headers, body).await?;
    genuine.take(body).await
}
