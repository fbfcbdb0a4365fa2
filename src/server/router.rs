//! THE list of routes, for the network and for the control socket.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::health::Health;
use super::metrics::{self, Metrics, Readers};
use super::{api, feed, health, live, openapi};
use crate::access::{Caller, World};
use crate::app::App;
use crate::compat;
use crate::config::Config;
use crate::error::{Error, Result, codes};
use crate::event::{EventKind, Origin};
use crate::http::{Door, RequestInfo, Site, page, reply};
use crate::provider;
use crate::scim;
use crate::signin::{self, Signin};
use crate::store::Batch;
use crate::webhook;

/// What is served where.
pub struct Server {
    /// For TCP: everything that people and apps use.
    pub public: Router,
    /// For the control socket: operations and health.
    pub control: Router,
    /// For the address of `metrics.listen`, if there is one.
    pub measured: Router,
    /// What is measured.
    pub metrics: Arc<Metrics>,
}

impl Server {
    /// Of an app that is reached at its public URL and at the addresses it listens on.
    pub fn new(app: &App, config: &Config, listening: &[SocketAddr]) -> Self {
        let (world, env) = (&app.world, app.world.env.clone());
        let url = &world.deployment.public_url;
        let site = Arc::new(Site::new(url, listening, config.trusted_proxies.clone()));
        let health = Health::new(app, config);
        let metrics = Metrics::new(Arc::clone(&health));
        let token = config.metrics.token.clone();
        let shared = Router::new()
            .merge(api::router(app))
            .merge(feed::router(app))
            .merge(health::router(Arc::clone(&health)))
            .merge(description(app));
        let signin = Signin::new(world.clone(), app.registry.clone(), Arc::clone(&site));
        let people = Router::new()
            .route("/", get(front))
            .route("/static/{*path}", get(asset))
            .with_state(world.clone())
            .merge(provider::http(world.clone(), app.keyring.clone()))
            .merge(compat::http(app, &signin))
            .merge(signin::http(signin))
            .merge(scim::http(world.clone(), app.keyring.clone()))
            .merge(webhook::http(world.clone()));
        let readable = match &token {
            Some(token) => metrics::router(Arc::clone(&metrics), Readers::Holders(token.clone())),
            None => Router::new(),
        };
        let routes = finish(shared.clone().merge(people).merge(readable));
        // A public URL with a path: a proxy may leave the path on, or take it off.
        let public = match url.path() {
            "" => routes,
            path => Router::new().nest(path, routes.clone()).merge(routes),
        };
        Self {
            public: Door::public(env.clone(), site).guard(public),
            control: Door::control(env.clone()).guard(finish(
                shared
                    .merge(live::router(world.clone()))
                    .merge(metrics::router(Arc::clone(&metrics), Readers::Everybody)),
            )),
            measured: measured(app, config, &metrics),
            metrics,
        }
    }
}

/// What is served at `metrics.listen`. On loopback without a token only its own names are served, so that no page in a
/// browser on this machine reads it by a name of its own.
fn measured(app: &App, config: &Config, metrics: &Arc<Metrics>) -> Router {
    let Some(at) = config.metrics.listen else { return Router::new() };
    let env = app.world.env.clone();
    let (readers, door) = match config.metrics.token.clone() {
        Some(token) => (Readers::Holders(token), Door::control(env)),
        None => {
            let site = Site::new(&app.world.deployment.public_url, &[at], Vec::new());
            (Readers::Everybody, Door::public(env, Arc::new(site)))
        }
    };
    door.guard(finish(metrics::router(Arc::clone(metrics), readers)))
}

fn finish(routes: Router) -> Router {
    routes.fallback(nowhere).method_not_allowed_fallback(api::wrong_method)
}

/// Where there is no route: a page for a browser, a problem for everybody else.
async fn nowhere(info: RequestInfo, headers: HeaderMap) -> Response {
    let error = Error::says(&codes::NOT_FOUND, "There is nothing at this address.");
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/html") {
        return reply::problem(&error, info.id);
    }
    let page = page::Failure::from_error(&error, info.id.to_string());
    reply::html(reply::page_status(&error), page.render(), [])
}

/// `/openapi.json`, made when it is first asked for.
fn description(app: &App) -> Router {
    let (app, made) = (app.clone(), Arc::new(OnceLock::<String>::new()));
    let serve = async move || {
        let text = made
            .get_or_init(|| openapi::document(&app.catalogue, app.world.deployment.public_url.issuer()).to_string());
        ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response()
    };
    Router::new().route("/openapi.json", get(serve))
}

/// Whoever comes to the bare address learns what it is.
async fn front(State(world): State<World>) -> Response {
    reply::html(StatusCode::OK, page::Root::new(world.deployment.public_url.issuer()).render(), [])
}

async fn asset(Path(path): Path<String>, info: RequestInfo, headers: HeaderMap) -> Response {
    let Some((kind, bytes, _)) = page::asset(&path) else { return nowhere(info, headers).await };
    let mut response = (StatusCode::OK, bytes).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // The address names the content, so it never changes.
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

/// Writes an event about the server itself. Errors: those of the store.
pub async fn note(world: &World, kind: EventKind) -> Result<()> {
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    let mut batch = Batch::new();
    batch.log(cx.event(kind).with("version", env!("CARGO_PKG_VERSION")));
    world.store.commit(batch).await?;
    Ok(())
}

/// What is done about a process of another user at the control socket: once a minute it is an event. The
/// listener has logged it.
/// To be called within a runtime.
pub fn strangers(world: World) -> impl Fn(u32) + Send + Sync + 'static {
    let last = Mutex::new(None::<Duration>);
    move |uid| {
        let now = world.env.monotonic();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.saturating_sub(last) < Duration::from_secs(60)) {
            return;
        }
        *last = Some(now);
        let world = world.clone();
        tokio::spawn(async move {
            let cx = world.context(Caller::System, Origin::internal(&world.env));
            let event = cx.event(EventKind::OperationRefused).failed(codes::OPERATOR_ONLY.name);
            let mut batch = Batch::new();
            batch.log(event.with("uid", uid).with("door", "control socket"));
            if let Err(refused) = world.store.commit(batch).await {
                tracing::warn!(%refused, "the stranger was not written down");
            }
        });
    }
}
