//! Whether it lives (`/healthz`), and whether it can do its work (`/readyz`).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;
use tokio::sync::Mutex;

use crate::access::{Caller, World};
use crate::env::Timestamp;
use crate::error::{Error, Result};
use crate::event::Origin;
use crate::http::{RequestInfo, reply};
use crate::store::{Batch, Key, Life, Record};
use crate::token::Keyring;

/// A probe writes at most once in this time, however often it is asked: everybody may ask.
const FRESH: Duration = Duration::from_secs(2);

/// What `/readyz` writes to see that it can be written.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Probe {
    #[n(0)]
    at: Timestamp,
}

impl Record for Probe {
    const KIND: &'static str = "probe";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::default()
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.at + FRESH)
    }
}

struct Health {
    world: World,
    keyring: Keyring,
    last: Mutex<Option<(Duration, Option<&'static str>)>>,
}

/// The two routes.
pub fn router(world: World, keyring: Keyring) -> Router {
    Router::new()
        .route("/healthz", get(async |info: RequestInfo| answer(StatusCode::OK, &[("live", None)], &info)))
        .route("/readyz", get(ready))
        .with_state(Arc::new(Health { world, keyring, last: Mutex::new(None) }))
}

async fn ready(State(health): State<Arc<Health>>, info: RequestInfo) -> Response {
    let storage = health.storage().await;
    let keys = health.keys().await;
    let status = if storage.is_none() && keys.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, &[("storage", storage), ("signing_keys", keys)], &info)
}

impl Health {
    /// The code of what stands in the way of writing.
    async fn storage(&self) -> Option<&'static str> {
        let mut last = self.last.lock().await;
        let now = self.world.env.monotonic();
        if let Some((at, found)) = *last
            && now.saturating_sub(at) < FRESH
        {
            return found;
        }
        let mut batch = Batch::new();
        batch.put(&Probe { at: self.world.env.now() });
        let found = self.world.store.commit(batch).await.err().map(|refused| Error::from(refused).code());
        *last = Some((now, found));
        found
    }

    /// The code of what stands in the way of signing.
    async fn keys(&self) -> Option<&'static str> {
        let cx = self.world.context(Caller::System, Origin::internal(&self.world.env));
        self.keyring.published(&cx).await.err().map(|error| error.code())
    }
}

fn answer(status: StatusCode, checks: &[(&str, Option<&'static str>)], info: &RequestInfo) -> Response {
    let checks: Vec<_> = checks
        .iter()
        .map(|(name, code)| match code {
            None => json!({"name": name, "ok": true}),
            Some(code) => json!({"name": name, "ok": false, "code": code}),
        })
        .collect();
    let body = json!({"status": if status == StatusCode::OK { "ok" } else { "degraded" }, "checks": checks});
    let response: Result<Response> = reply::json(status, &body);
    response.unwrap_or_else(|error| reply::problem(&error, info.id))
}
