//! # metrics — what Prometheus reads at `/metrics`
//!
//! *Owns* the page, the cursor over the log that counts for it, and who may read it.
//! *Gives* `Metrics`, whose `follow` counts along, and the route.
//! *Needs* the log for what happened, `env::meters` for durations and what leaves no event, health and the store for the
//! rest. *Never* puts a text of a request into a label.
//!
//! It says how a deployment is used, so it is closed by default: it is on the control socket, on an address of its own where
//! one is named, and at the public address only for who shows the token.

mod page;
mod process;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;

use self::page::{Kind, Page, float};
use self::tally::Tally;
use super::health::{self, Health};
use crate::connection::Connection;
use crate::crypto::{Secret, sha256};
use crate::error::{Error, Result, codes};
use crate::http::{RequestInfo, reply};
use crate::outbox;
use crate::shipping;
use crate::store::Query;

/// The text format of Prometheus.
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How long after an event it is counted at the latest, while nobody asks.
const PACE: Duration = Duration::from_secs(1);
/// Connections that are named; a deployment that has more reads the rest elsewhere.
const CONNECTIONS: usize = 500;
/// So many things that end are told, the next first.
const ENDINGS: usize = 200;

/// Everything that is measured.
pub struct Metrics {
    health: Arc<Health>,
    tally: Mutex<Tally>,
}

impl Metrics {
    /// It counts what is logged from now on.
    pub(super) fn new(health: Arc<Health>) -> Arc<Self> {
        let tally = Mutex::new(Tally::behind(health.world.store.log_seq()));
        Arc::new(Self { health, tally })
    }

    /// Counts along until `stop` is ready, so that nobody who asks waits for a long log to be read.
    pub async fn follow(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let store = &self.health.world.store;
        loop {
            let mut tally = self.tally.lock().await;
            let more = tally.go_on(store).await;
            let after = tally.after();
            drop(tally);
            if matches!(more, Ok(true)) {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = &mut stop => return,
                _ = store.wait(after), if more.is_ok() => {}
                () = tokio::time::sleep(PACE * 30) => {}
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(PACE) => {}
            }
        }
    }

    /// The page of now. Errors: those of the store.
    async fn page(&self) -> Result<String> {
        let mut page = Page::default();
        page.family("authd_build_info", Kind::Gauge, "The version that runs.")
            .count(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.happened(&mut page).await?;
        self.measured(&mut page);
        self.kept(&mut page).await?;
        self.outgoing(&mut page).await?;
        self.state(&mut page).await?;
        process::tell(&mut page);
        Ok(page.finish())
    }

    /// What the log tells.
    async fn happened(&self, page: &mut Page) -> Result<()> {
        let mut tally = self.tally.lock().await;
        while tally.go_on(&self.health.world.store).await? {}
        let mut samples = page.family(
            "authd_signins_total",
            Kind::Counter,
            "Sign-ins that ended, by connection and outcome: success, or the code of the refusal.",
        );
        for ((connection, outcome), count) in &tally.sign_ins {
            samples.count(&[("connection", connection), ("outcome", outcome)], *count);
        }
        let mut samples =
            page.family("authd_events_total", Kind::Counter, "Events of the log, by kind and error code.");
        for ((kind, code), count) in &tally.events {
            samples.count(&[("kind", kind), ("code", code)], *count);
        }
        let about = "Calls to webhook endpoints and of back-channel logout, by how they went.";
        let mut samples = page.family("authd_deliveries_total", Kind::Counter, about);
        for ((kind, result), count) in &tally.deliveries {
            samples.count(&[("kind", kind), ("result", result)], *count);
        }
        let about = "Refusals that were too many to be told one by one.";
        page.family("authd_refusals_not_told_total", Kind::Counter, about).count(&[], tally.untold);
        Ok(())
    }

    /// What was measured while it happened.
    fn measured(&self, page: &mut Page) {
        let meters = self.health.world.env.meters();
        let mut samples = page.histogram("authd_http_request_duration_seconds", "Answers to requests.");
        for ([door, route, status], of) in meters.requests.read() {
            samples.distribution(&[("door", door), ("route", route), ("status", status)], &of);
        }
        let about = "Sign-ins that were let in, from the app's request to the app's code; the person's time is in it.";
        let mut samples = page.histogram("authd_signin_duration_seconds", about);
        for ([protocol], of) in meters.sign_ins.read() {
            samples.distribution(&[("protocol", protocol)], &of);
        }
        let about = "What sign-ins waited for providers and directories.";
        let mut samples = page.histogram("authd_upstream_duration_seconds", about);
        for ([protocol, step, outcome], of) in meters.upstream.read() {
            samples.distribution(&[("protocol", protocol), ("step", step), ("outcome", outcome)], &of);
        }
        let mut samples = page.histogram("authd_delivery_duration_seconds", "Calls to receivers.");
        for ([kind, outcome], of) in meters.calls.read() {
            samples.distribution(&[("kind", kind), ("outcome", outcome)], &of);
        }
        let about = "Durable transactions of the database.";
        page.histogram("authd_store_commit_duration_seconds", about).distribution(&[], &meters.commits.read());
        let about = "Requests that shared one durable transaction.";
        page.histogram("authd_store_batch_size", about).distribution(&[], &meters.batches.read());
        let about = "Transactions that could not be written.";
        let mut samples = page.family("authd_store_commit_failures_total", Kind::Counter, about);
        for (code, count) in meters.commits_failed.read() {
            samples.count(&[("code", code)], count);
        }
        let about = "Requests that were told to come back later, by rule.";
        let mut samples = page.family("authd_throttled_total", Kind::Counter, about);
        for (rule, count) in meters.throttled.read() {
            samples.count(&[("rule", rule)], count);
        }
    }

    /// What the database has.
    async fn kept(&self, page: &mut Page) -> Result<()> {
        let store = &self.health.world.store;
        let counts = store.counts().await?;
        let sessions = counts.get("session").copied().unwrap_or(0);
        page.family("authd_sessions", Kind::Gauge, "Sessions that live.").count(&[], sessions);
        let mut samples = page.family("authd_records", Kind::Gauge, "Rows of the database, by kind.");
        for (kind, count) in &counts {
            samples.count(&[("kind", kind)], *count);
        }
        page.family("authd_log_last_seq", Kind::Gauge, "The number of the log's last event.")
            .count(&[], store.log_seq());
        let database = &self.health.database;
        let mut samples = page.family("authd_store_file_bytes", Kind::Gauge, "The database file.");
        if let Ok(file) = std::fs::metadata(database) {
            samples.count(&[], file.len());
        }
        let about = "What is free on the disk of the database.";
        let mut samples = page.family("authd_disk_free_bytes", Kind::Gauge, about);
        if let Some(free) = health::free(database) {
            samples.count(&[], free);
        }
        let about = "Connections, with what people call them.";
        let mut samples = page.family("authd_connection_info", Kind::Gauge, about);
        for connection in store.page::<Connection>(Query::all().limit(CONNECTIONS)).await?.items {
            let (id, organization) = (connection.id.to_string(), connection.organization.to_string());
            let name: String = connection.name.chars().filter(|c| !c.is_control()).take(64).collect();
            let status = if connection.deleted_at.is_some() { "deleted" } else { connection.status.name() };
            let protocol = connection.protocol.name();
            samples.count(
                &[
                    ("connection", &id),
                    ("organization", &organization),
                    ("protocol", protocol),
                    ("status", status),
                    ("name", &name),
                ],
                1,
            );
        }
        Ok(())
    }

    /// What has to go out.
    async fn outgoing(&self, page: &mut Page) -> Result<()> {
        let (store, now) = (&self.health.world.store, self.health.world.env.now());
        let backlog = outbox::backlog(store).await?;
        let mut samples = page.family("authd_delivery_queue_size", Kind::Gauge, "Calls that have still to arrive.");
        for of in &backlog {
            samples.count(&[("kind", &of.kind)], of.waiting);
        }
        let about = "How long the oldest of them has waited.";
        let mut samples = page.family("authd_delivery_queue_oldest_age_seconds", Kind::Gauge, about);
        for of in &backlog {
            samples.is(&[("kind", &of.kind)], of.oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64()));
        }
        let unsent = store.log_seq().saturating_sub(outbox::passed(store).await?);
        let about = "Events that were not yet looked at for deliveries.";
        page.family("authd_delivery_lag_events", Kind::Gauge, about).count(&[], unsent);
        let lags = shipping::lags(store, now, &self.health.targets).await?;
        let about = "Events that a target of the log has not taken yet.";
        let mut samples = page.family("authd_shipping_lag_events", Kind::Gauge, about);
        for lag in &lags {
            samples.count(&[("target", lag.target)], lag.events);
        }
        let mut samples = page.family("authd_shipping_lag_seconds", Kind::Gauge, "How old the first of them is.");
        for lag in &lags {
            samples.is(&[("target", lag.target)], lag.age.as_secs_f64());
        }
        let about = "Events that a target of the log has taken, over all runs.";
        let mut samples = page.family("authd_shipping_events_total", Kind::Counter, about);
        for lag in &lags {
            samples.count(&[("target", lag.target)], lag.taken);
        }
        let about = "Events that a target of the log refused for good, over all runs: too long for it, or not wanted.";
        let mut samples = page.family("authd_shipping_refused_total", Kind::Counter, about);
        for lag in &lags {
            samples.count(&[("target", lag.target)], lag.refused);
        }
        Ok(())
    }

    /// How it is.
    async fn state(&self, page: &mut Page) -> Result<()> {
        let about = "1 where a check of /readyz is well, 0 where not.";
        let mut samples = page.family("authd_health", Kind::Gauge, about);
        for check in self.health.checks().await.iter() {
            samples.count(&[("check", check.name)], u64::from(check.trouble.is_none()));
        }
        let now = self.health.world.env.now();
        let about =
            "Days until a certificate, a key, a secret, a token or the proof of a domain ends; below 0 once it has.";
        let mut samples = page.family("authd_expiry_days", Kind::Gauge, about);
        let ending = self.health.ending().await?;
        let mut told = std::collections::BTreeSet::new();
        for ending in ending.iter() {
            // Of several certificates of one connection the first to end counts.
            if told.len() >= ENDINGS || !told.insert((&ending.kind, &ending.id)) {
                continue;
            }
            let days = float(ending.at.since(now).as_secs()) / 86_400.0;
            let ago = float(now.since(ending.at).as_secs()) / 86_400.0;
            samples.is(&[("kind", &ending.kind), ("id", &ending.id)], days - ago);
        }
        Ok(())
    }
}

/// Who may read at a door.
#[derive(Clone)]
pub(super) enum Readers {
    /// Whoever comes in there at all.
    Everybody,
    /// Who shows this token.
    Holders(Secret),
}

impl Readers {
    /// Errors: `not_signed_in`.
    fn admit(&self, headers: &HeaderMap) -> Result<()> {
        let Self::Holders(token) = self else { return Ok(()) };
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let value = match (given.next(), given.next()) {
            (Some(value), None) => value.to_str().unwrap_or_default(),
            _ => "",
        };
        let (scheme, shown) = value.split_once(' ').unwrap_or_default();
        // Digests have one length, whatever was shown.
        let same = sha256(&[shown.trim().as_bytes()]).ct_eq(&sha256(&[token.expose().as_bytes()]));
        if scheme.eq_ignore_ascii_case("bearer") && bool::from(same) {
            Ok(())
        } else {
            Err(Error::new(&codes::NOT_SIGNED_IN))
        }
    }
}

/// `GET /metrics`, for these readers.
pub(super) fn router(metrics: Arc<Metrics>, readers: Readers) -> Router {
    Router::new().route("/metrics", get(read)).with_state((metrics, readers))
}

async fn read(
    State((metrics, readers)): State<(Arc<Metrics>, Readers)>,
    info: RequestInfo,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        readers.admit(&headers)?;
        metrics.page().await
    };
    match answer.await {
        Ok(text) => {
            let mut response = text.into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(TYPE));
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => reply::problem(&error, info.id),
    }
}
