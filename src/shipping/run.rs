//! One task a target: takes a piece of the log, sends it, moves the cursor.

use std::time::Duration;

use super::cursor::Cursor;
use super::otlp::Otlp;
use super::syslog::Syslog;
use super::{Sent, Target};
use crate::access::World;
use crate::config;
use crate::error::{Error, Result, codes};
use crate::event::{EventKind, EventView};
use crate::store::{Batch, Revision, Stored};

/// Rows of the log that are looked at together.
const PIECE: usize = 256;
/// What happens within this goes out together: a target is called once for a sign-in, not once for each of its events.
const GATHER: Duration = Duration::from_millis(200);
/// How long the first failure is waited after; it doubles.
const SOON: Duration = Duration::from_secs(1);
/// It never waits longer.
const LATE: Duration = Duration::from_secs(60);
/// How long it is waited for news; then the cursor is looked at all the same.
const QUIET: Duration = Duration::from_secs(30);

/// Where events are sent, and which.
#[derive(Default)]
pub struct Shipping {
    targets: Vec<Box<dyn Target>>,
    /// Empty: all.
    kinds: Vec<String>,
}

impl Shipping {
    /// As it is configured. Errors: `config_invalid` for a pattern that covers no kind, or a collector that may not be
    /// called.
    pub fn new(config: &config::Ship, world: &World) -> Result<Self> {
        for pattern in &config.events {
            if !EventKind::ALL.iter().any(|kind| kind.is_covered_by(pattern)) {
                let error =
                    Error::says(&codes::CONFIG_INVALID, format!("`ship.events`: no event is called `{pattern}`."));
                return Err(match config::meant(pattern, EventKind::ALL.iter().map(|kind| kind.name())) {
                    Some(meant) => error.help(format!("Did you mean `{meant}`?")),
                    None => error.help("The kinds are listed in docs/reference/events.md."),
                });
            }
        }
        let mut targets: Vec<Box<dyn Target>> = Vec::new();
        if let Some(address) = &config.syslog {
            targets.push(Box::new(Syslog::new(address.clone(), &world.deployment.public_url)));
        }
        if let Some(otlp) = &config.otlp {
            world.env.outbound().permits(&otlp.url).map_err(|error| {
                let place = otlp.url.host_str().unwrap_or_default();
                let port = otlp.url.port_or_known_default().unwrap_or(443);
                Error::says(&codes::CONFIG_INVALID, format!("`ship.otlp`: authd may not call {place}:{port}."))
                    .help(format!("Add `{place}:{port}` to `outbound.allow`."))
                    .because(error)
            })?;
            targets.push(Box::new(Otlp::new(otlp.clone(), &world.deployment.public_url)));
        }
        Ok(Self { targets, kinds: config.events.clone() })
    }

    /// The names of the targets of a configuration: for health, metrics and the log's retention.
    pub fn names(config: &config::Ship) -> Vec<&'static str> {
        let syslog = config.syslog.as_ref().map(|_| super::syslog::NAME);
        syslog.into_iter().chain(config.otlp.as_ref().map(|_| super::otlp::NAME)).collect()
    }

    fn concerns(&self, kind: EventKind) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|pattern| kind.is_covered_by(pattern))
    }

    /// Offers one piece of the log to one target. Answers whether there was anything; call it until there is not.
    async fn step(&self, world: &World, target: &dyn Target) -> Result<bool> {
        let store = &world.store;
        let Some(Stored { value: cursor, revision }) = Cursor::load(store, target.name()).await? else {
            // Whoever keeps the logs elsewhere wants all of them: it begins where the log does.
            let after = store.log_floor().await?;
            let name = target.name().to_owned();
            let first = Cursor { target: name, after, taken: 0, failing_since: None, trouble: None, refused: None };
            return put(world, first, None).await.map(|()| true);
        };
        let rows = store.tail(cursor.after, PIECE, None).await?;
        let Some(last) = rows.last().map(|row| row.row.seq) else { return Ok(false) };
        let events: Vec<EventView> = rows.iter().map(EventView::read).collect::<Result<_>>()?;
        let events: Vec<EventView> = events.into_iter().filter(|event| self.concerns(event.kind)).collect();
        if events.is_empty() {
            let passed = Cursor { after: last, ..cursor };
            return put(world, passed, Some(revision)).await.map(|()| true);
        }
        match target.send(world, &events).await {
            Ok(Sent { done, refused }) => {
                // Where all were taken, what is of no concern behind them is done with, too.
                let whole = done >= events.len();
                let newest =
                    done.checked_sub(1).and_then(|place| events.get(place)).map_or(cursor.after, |event| event.seq);
                let after = if whole { last } else { newest };
                let passed = Cursor {
                    after,
                    taken: cursor.taken + done.saturating_sub(refused) as u64,
                    refused: Some(cursor.refused.unwrap_or(0) + refused as u64),
                    failing_since: None,
                    trouble: None,
                    ..cursor
                };
                put(world, passed, Some(revision)).await.map(|()| true)
            }
            Err(error) => {
                let trouble = Some(error.code().to_owned());
                if cursor.trouble != trouble {
                    tracing::warn!(
                        to = target.name(),
                        code = error.code(),
                        "events are not taken: {}",
                        error.log_line()
                    );
                    let since = cursor.failing_since.or(Some(world.env.now()));
                    put(world, Cursor { failing_since: since, trouble, ..cursor }, Some(revision)).await?;
                }
                Err(error)
            }
        }
    }

    async fn follow(&self, world: &World, target: &dyn Target) {
        let mut patience = SOON;
        loop {
            let seen = world.store.log_seq();
            match self.step(world, target).await {
                Ok(true) => patience = SOON,
                Ok(false) => {
                    patience = SOON;
                    let _ = tokio::time::timeout(QUIET, world.store.wait(seen)).await;
                    tokio::time::sleep(GATHER).await;
                }
                Err(error) => {
                    tracing::debug!(to = target.name(), code = error.code(), "tried in vain: {}", error.log_line());
                    // A fifth sooner or later: several servers of one collector do not come back together.
                    let [dice] = world.env.random::<1>();
                    tokio::time::sleep(patience.mul_f64(0.8 + f64::from(dice) / 255.0 * 0.4)).await;
                    patience = (patience * 2).min(LATE);
                }
            }
        }
    }
}

/// Keeps a cursor: a new one, or in place of that revision.
async fn put(world: &World, cursor: Cursor, before: Option<Revision>) -> Result<()> {
    let mut batch = Batch::new();
    match before {
        Some(before) => batch.update(&cursor, before),
        None => batch.create(&cursor),
    };
    match world.store.commit(batch).await {
        Err(refused) if refused.is_race() => Ok(()),
        done => done.map(drop).map_err(Into::into),
    }
}

/// Sends what happens until `stop` is ready.
pub async fn run(shipping: Shipping, world: World, stop: impl Future<Output = ()>) {
    let all = futures_util::future::join_all(shipping.targets.iter().map(|target| shipping.follow(&world, &**target)));
    if shipping.targets.is_empty() {
        return;
    }
    tokio::select! {
        () = stop => {}
        _ = all => {}
    }
}
