//! Whether it lives (`/healthz`), and whether it can do its work (`/readyz`).
//!
//! What stands in the way of every request makes it not ready (503). What will, or hurts only some, makes it degraded: it
//! goes on serving. The public learns whether, and of the two checks that refuse requests which; what is behind it is
//! told on the control socket, to `authd health`, and to who may read the metrics.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::access::{Caller, Context, World};
use crate::app::App;
use crate::care;
use crate::config::Config;
use crate::env::Timestamp;
use crate::error::{Error, Result};
use crate::event::Origin;
use crate::http::{Peer, RequestInfo, reply};
use crate::outbox;
use crate::shipping::{self, Shipping};
use crate::store::{Batch, Key, Life, Record};
use crate::token::Keyring;

/// A look at everything is good for this long, however often it is asked for: everybody may ask.
const FRESH: Duration = Duration::from_secs(2);
/// A look at what changes by the hour is good for this long.
const HOURLY: Duration = Duration::from_secs(60);
/// A durable write that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);
/// Less room on the disk than this ends in refused writes soon.
const ROOM: u64 = 256 * 1024 * 1024;
/// A call that has waited longer is stuck.
const STUCK: Duration = Duration::from_secs(3600);
/// So many rows of the log that were not looked at by who sends calls are too many.
const UNSENT: u64 = 10_000;
/// A target that has taken nothing for so long is a trouble.
const UNSHIPPED: Duration = Duration::from_secs(300);
/// The clocks of two steps differ by no more, unless one was set.
const SKEW: Duration = Duration::from_secs(60);
/// What ends within this has to be looked after now.
const ENDS: Duration = Duration::from_secs(14 * 24 * 3600);
/// What ended longer ago is no news.
const ENDED: Duration = Duration::from_secs(30 * 24 * 3600);

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

/// One check, and what is wrong where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// Its name; never changes.
    pub name: &'static str,
    /// Requests are refused while it fails.
    pub vital: bool,
    /// A stable code and one sentence; none when it is well.
    pub trouble: Option<(String, String)>,
}

impl Check {
    fn new(name: &'static str, trouble: Option<(&str, String)>) -> Self {
        Self { name, vital: false, trouble: trouble.map(|(code, message)| (code.to_owned(), message)) }
    }

    fn vital(name: &'static str, trouble: Option<Error>) -> Self {
        let trouble = trouble.map(|error| (error.code().to_owned(), error.message().to_owned()));
        Self { name, vital: true, trouble }
    }
}

/// Something that ends, seldom looked for.
type Ends = (Duration, Arc<Vec<care::Ending>>);

/// The state of this process, for `/readyz` and `/metrics`.
pub(super) struct Health {
    pub world: World,
    keyring: Keyring,
    /// The database file.
    pub database: PathBuf,
    /// Where events are sent besides.
    pub targets: Vec<&'static str>,
    /// Both clocks when this began: they go on together, unless one is set.
    begun: (Timestamp, Duration),
    last: Mutex<Option<(Duration, Arc<Vec<Check>>)>>,
    ending: Mutex<Option<Ends>>,
}

impl Health {
    /// Of an app.
    pub fn new(app: &App, config: &Config) -> Arc<Self> {
        let env = &app.world.env;
        Arc::new(Self {
            world: app.world.clone(),
            keyring: app.keyring.clone(),
            database: config.data_dir.database(),
            targets: Shipping::names(&config.ship),
            begun: (env.now(), env.monotonic()),
            last: Mutex::default(),
            ending: Mutex::default(),
        })
    }

    fn cx(&self) -> Context {
        self.world.context(Caller::System, Origin::internal(&self.world.env))
    }

    /// Every check, as of at most two seconds ago.
    pub async fn checks(&self) -> Arc<Vec<Check>> {
        let mut last = self.last.lock().await;
        let now = self.world.env.monotonic();
        if let Some((at, checks)) = &*last
            && now.saturating_sub(*at) < FRESH
        {
            return Arc::clone(checks);
        }
        let (storage, took) = self.storage().await;
        let checks = Arc::new(vec![
            Check::vital("storage", storage),
            Check::vital("signing_keys", self.keyring.published(&self.cx()).await.err()),
            Check::new("storage_speed", slow(took)),
            Check::new("disk", self.disk()),
            Check::new("deliveries", told(self.deliveries().await)),
            Check::new("shipping", told(self.shipping().await)),
            Check::new("clock", told(self.clock().await)),
            Check::new("expiring", told(self.expiring().await)),
        ]);
        *last = Some((now, Arc::clone(&checks)));
        checks
    }

    /// What stands in the way of writing, and how long a write takes.
    async fn storage(&self) -> (Option<Error>, Duration) {
        let mut batch = Batch::new();
        batch.put(&Probe { at: self.world.env.now() });
        let begun = self.world.env.monotonic();
        let refused = self.world.store.commit(batch).await.err().map(Error::from);
        (refused, self.world.env.monotonic().saturating_sub(begun))
    }

    fn disk(&self) -> Option<(&'static str, String)> {
        let free = free(&self.database)?;
        (free < ROOM).then(|| ("disk_low", format!("Only {} MiB are free on the disk of the database.", free >> 20)))
    }

    async fn deliveries(&self) -> Result<Option<(&'static str, String)>> {
        let (store, now) = (&self.world.store, self.world.env.now());
        let unsent = store.log_seq().saturating_sub(outbox::passed(store).await?);
        if unsent > UNSENT {
            return Ok(Some(("deliveries_behind", format!("{unsent} events were not yet looked at for deliveries."))));
        }
        let stuck = outbox::backlog(store).await?.into_iter().filter_map(|backlog| {
            let age = now.since(backlog.oldest?);
            (age > STUCK).then(|| {
                format!("{} of {} wait, the oldest for {} min", backlog.waiting, backlog.kind, age.as_secs() / 60)
            })
        });
        let stuck: Vec<String> = stuck.collect();
        Ok((!stuck.is_empty())
            .then(|| ("deliveries_stuck", format!("Deliveries are not taken: {}.", stuck.join("; ")))))
    }

    async fn shipping(&self) -> Result<Option<(&'static str, String)>> {
        let now = self.world.env.now();
        let lags = shipping::lags(&self.world.store, now, &self.targets).await?;
        let behind = lags
            .into_iter()
            .filter(|lag| lag.age > UNSHIPPED || lag.failing_since.is_some_and(|since| now.since(since) > UNSHIPPED));
        let behind: Vec<String> = behind
            .map(|lag| {
                let why = lag.trouble.map(|code| format!(", {code}")).unwrap_or_default();
                format!("{} is {} events behind{why}", lag.target, lag.events)
            })
            .collect();
        Ok((!behind.is_empty())
            .then(|| ("shipping_behind", format!("The log does not arrive: {}.", behind.join("; ")))))
    }

    async fn clock(&self) -> Result<Option<(&'static str, String)>> {
        let (env, store) = (&self.world.env, &self.world.store);
        let expected = self.begun.0 + env.monotonic().saturating_sub(self.begun.1);
        let off = expected.since(env.now()).max(env.now().since(expected));
        if off > SKEW {
            let message = format!("The clock was set by {} s since authd started.", off.as_secs());
            return Ok(Some(("clock_set", message)));
        }
        let newest = store.tail(store.log_seq().saturating_sub(1), 1, None).await?;
        let ahead = newest.last().map_or(Duration::ZERO, |row| row.row.at.since(env.now()));
        Ok((ahead > SKEW).then(|| {
            ("clock_behind", format!("The newest event is {} s in the future: the clock went back.", ahead.as_secs()))
        }))
    }

    async fn expiring(&self) -> Result<Option<(&'static str, String)>> {
        let now = self.world.env.now();
        let ending = self.ending().await?;
        let near: Vec<_> = ending.iter().filter(|ending| ending.at <= now + ENDS && ending.at > now - ENDED).collect();
        let Some(first) = near.first() else { return Ok(None) };
        let days = i64::try_from(first.at.since(now).as_secs() / 86_400).unwrap_or(0);
        let when = if first.at <= now { "has ended".to_owned() } else { format!("ends in {days} days") };
        let message = format!("{} {} {when}; {} in all end within 14 days.", first.kind, first.id, near.len());
        Ok(Some(("expiring", message)))
    }

    /// What ends, the certificate of the listener with it.
    pub async fn ending(&self) -> Result<Arc<Vec<care::Ending>>> {
        let mut kept = self.ending.lock().await;
        let now = self.world.env.monotonic();
        if let Some((at, ending)) = &*kept
            && now.saturating_sub(*at) < HOURLY
        {
            return Ok(Arc::clone(ending));
        }
        let wall = self.world.env.now();
        let mut ending = care::ending(&self.cx(), wall - ENDED, Timestamp::from_millis(i64::MAX)).await?;
        if let Some((file, at)) = self.world.env.meters().certificate.read() {
            let (id, name) = ("listener".to_owned(), file.display().to_string());
            ending.push(care::Ending { kind: "tls_certificate".to_owned(), id, name, at });
            ending.sort_by_key(|ending| ending.at);
        }
        let ending = Arc::new(ending);
        *kept = Some((now, Arc::clone(&ending)));
        Ok(ending)
    }
}

fn slow(took: Duration) -> Option<(&'static str, String)> {
    (took > SLOW).then(|| ("storage_slow", format!("A durable write took {} ms.", took.as_millis())))
}

/// What could not be looked at is a trouble, too.
fn told(looked: Result<Option<(&'static str, String)>>) -> Option<(&'static str, String)> {
    looked.unwrap_or_else(|error| Some((error.code(), error.message().to_owned())))
}

/// How many bytes are free for us where a file lies.
pub(super) fn free(file: &std::path::Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(file.parent()?).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

/// The two routes.
pub(super) fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route(
            "/healthz",
            get(async |info: RequestInfo| {
                answer(StatusCode::OK, &json!({"status": "ok", "checks": [{"name": "live", "ok": true}]}), &info)
            }),
        )
        .route("/readyz", get(ready))
        .with_state(health)
}

async fn ready(State(health): State<Arc<Health>>, peer: Option<Peer>, info: RequestInfo) -> Response {
    let checks = health.checks().await;
    let detailed = matches!(peer, Some(Peer::Control { .. }));
    let refuses = checks.iter().any(|check| check.vital && check.trouble.is_some());
    let status = if refuses { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    answer(status, &document(&checks, detailed), &info)
}

/// What is told of the checks: in detail, or as much as everybody may know.
fn document(checks: &[Check], detailed: bool) -> Value {
    let well = checks.iter().all(|check| check.trouble.is_none());
    let shown = checks.iter().filter(|check| detailed || check.vital).map(|check| match &check.trouble {
        None => json!({"name": check.name, "ok": true}),
        Some((code, message)) if detailed => json!({"name": check.name, "ok": false, "code": code, "message": message}),
        Some((code, _)) => json!({"name": check.name, "ok": false, "code": code}),
    });
    json!({"status": if well { "ok" } else { "degraded" }, "checks": shown.collect::<Vec<_>>()})
}

fn answer(status: StatusCode, body: &Value, info: &RequestInfo) -> Response {
    reply::json(status, body).unwrap_or_else(|error| reply::problem(&error, info.id))
}
