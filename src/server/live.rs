//! The live feed: what happens, as it happens, for the terminal on the control socket.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use crate::access::World;
use crate::error::{Error, Result, codes};
use crate::event::Event;
use crate::http::extract::Query;
use crate::http::{Peer, RequestInfo, reply};

/// At most so many events in one answer.
const MOST: u64 = 500;
/// An answer is waited for no longer than this; then it is empty.
const PATIENCE: Duration = Duration::from_secs(20);

/// `GET /live`: the newest `limit` events; with `after`, those behind that number, once there are any.
pub fn router(world: World) -> Router {
    Router::new().route("/live", get(live)).with_state(world)
}

async fn live(State(world): State<World>, peer: Peer, info: RequestInfo, Query(params): Query) -> Response {
    let number = |name: &str| -> Result<Option<u64>> {
        let text = params.one(name)?;
        let wrong = |_| Error::says(&codes::INVALID_INPUT, format!("`{name}` is not a number."));
        text.map(|text| text.parse().map_err(wrong)).transpose()
    };
    let answer = async {
        // The feed has every organization in it: it is the operator's alone.
        if !matches!(peer, Peer::Control { .. }) {
            return Err(Error::new(&codes::OPERATOR_ONLY));
        }
        let limit = number("limit")?.unwrap_or(100).clamp(1, MOST);
        let after = match number("after")? {
            None => world.store.log_seq().saturating_sub(limit),
            Some(after) => {
                // Nothing new within the time is an answer, too.
                let _ = tokio::time::timeout(PATIENCE, world.store.wait(after)).await;
                after
            }
        };
        let rows = world.store.tail(after, usize::try_from(limit).unwrap_or(1), None).await?;
        let seq = rows.last().map_or(after, |row| row.row.seq);
        let events: Vec<Value> = rows.iter().map(seen).collect::<Result<_>>()?;
        let url = world.deployment.public_url.issuer();
        reply::json(
            StatusCode::OK,
            &json!({"url": url, "version": env!("CARGO_PKG_VERSION"), "seq": seq, "events": events}),
        )
    };
    answer.await.unwrap_or_else(|error| reply::problem(&error, info.id))
}

fn seen(row: &crate::store::Logged) -> Result<Value> {
    serde_json::to_value(Event::read(row)?).map_err(Error::bug)
}
