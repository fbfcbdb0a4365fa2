//! # jobs — clock-driven chores
//!
//! *Owns* what is done again and again without being asked: sweeping what has expired or was ended, signing the log's
//! end, erasing people, turning the signing keys, asking DNS again for the proofs of domains, reading directories, and
//! the metadata of SAML identity providers.
//! *Gives* `run`. *Needs* the world. *Never* holds a rule: what expires says so itself.

pub mod ended;

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval_at};

use crate::access::{Caller, World, refusal};
use crate::audit;
use crate::care::erasure;
use crate::connection::{Connection, domain, saml};
use crate::error::Result;
use crate::event::Origin;
use crate::people;
use crate::shipping;
use crate::signin;
use crate::store::Query;
use crate::token::rotation;
use crate::webhook;

/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(30);
/// Between two looks at how many traces a connection has.
const TRIM: Duration = Duration::from_secs(600);
/// Between two signatures under the log.
const CHECKPOINT: Duration = Duration::from_secs(3600);
/// Between two looks at how long the log is.
const PRUNE: Duration = Duration::from_secs(3600);
/// Between two looks at which proofs of domains are due.
const RECHECK: Duration = Duration::from_secs(60);
/// Between two looks at which directories are due to be read.
const SYNC: Duration = Duration::from_secs(60);
/// Between two looks at which metadata of SAML identity providers is due to be read, and which certificates end.
const TEND: Duration = Duration::from_secs(60);
/// So many connections are looked after then.
const TENDED: usize = 64;
/// So many of them are asked for then: a thousand that are due at once take a quarter of an hour, not a second.
const RECHECKED: usize = 64;

/// Between two looks at whether somebody is to be erased.
const ERASE: Duration = Duration::from_secs(2);
/// Between two looks at which signing keys have a step to take.
const KEYS: Duration = Duration::from_secs(60);

/// Does the chores until `stop` is ready. What has to go to `targets` besides stays in the log until they have it.
pub async fn run(world: World, targets: Vec<&'static str>, stop: impl Future<Output = ()>) {
    let ticks = |every: Duration| {
        // Not at once: a start is busy enough.
        let mut ticks = interval_at(tokio::time::Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    };
    let (mut sweep, mut trim, mut checkpoint, mut keys) = (ticks(SWEEP), ticks(TRIM), ticks(CHECKPOINT), ticks(KEYS));
    let (mut prune, mut erase) = (ticks(PRUNE), ticks(ERASE));
    // Beside the others: name servers that do not answer hold nothing up.
    let domains = rechecked(&world, ticks(RECHECK));
    let directories = synchronized(&world, ticks(SYNC));
    let providers = tended(&world, ticks(TEND));
    tokio::pin!(stop, domains, directories, providers);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = &mut domains => {}
            () = &mut directories => {}
            () = &mut providers => {}
            _ = sweep.tick() => {
                swept(&world).await;
                counted(&world).await;
                if let Err(error) = ended::remove(&world).await {
                    tracing::warn!(code = error.code(), "ended organizations were not swept: {}", error.log_line());
                }
            }
            _ = prune.tick() => if let Err(error) = pruned(&world, &targets).await {
                tracing::warn!(code = error.code(), "the log was not pruned: {}", error.log_line());
            },
            _ = erase.tick() => if let Err(error) = erased(&world).await {
                tracing::warn!(code = error.code(), "a person was not erased: {}", error.log_line());
            },
            _ = trim.tick() => if let Err(error) = trimmed(&world).await {
                tracing::warn!(code = error.code(), "traces were not trimmed: {}", error.log_line());
            },
            _ = checkpoint.tick() => signed(&world).await,
            _ = keys.tick() => turned(&world).await,
        }
    }
}

/// The store sweeps in chunks, so that requests come in between.
async fn swept(world: &World) {
    match world.store.sweep().await {
        Ok(0) => {}
        Ok(rows) => tracing::debug!(rows, "swept what had expired"),
        Err(error) => tracing::warn!(code = error.code(), "the sweep failed: {}", error.log_line()),
    }
}

/// A flood of refusals that nobody adds to any more is told here.
async fn counted(world: &World) {
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    if let Err(error) = refusal::flush(&cx).await {
        tracing::warn!(code = error.code(), "refusals were not told: {}", error.log_line());
    }
}

/// Expiry bounds a trace's age; this bounds how many a busy connection has.
async fn trimmed(world: &World) -> Result<()> {
    let mut cursor = None;
    loop {
        let page = world.store.page::<Connection>(Query::all().after(cursor)).await?;
        for connection in &page.items {
            signin::trim(&world.store, connection.id).await?;
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// People are erased in pieces, so that requests come in between.
async fn erased(world: &World) -> Result<()> {
    while erasure::turn(world).await? {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// What is older than its retention; what has still to be sent stays.
async fn pruned(world: &World, targets: &[&'static str]) -> Result<()> {
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    let sent = webhook::delivered(&world.store).await?.min(shipping::shipped(&world.store, targets).await?);
    if let Some(until) = audit::prune(&cx, sent).await? {
        tracing::info!(until, "pruned the log");
    }
    Ok(())
}

async fn signed(world: &World) {
    match world.store.checkpoint().await {
        Ok(None) => {}
        Ok(Some(checkpoint)) => tracing::debug!(seq = checkpoint.seq, "signed the log"),
        Err(error) => tracing::warn!(code = error.code(), "the log was not signed: {}", error.log_line()),
    }
}

async fn turned(world: &World) {
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    match rotation::due(&cx, world.deployment.rotate_every).await {
        Ok(false) => {}
        Ok(true) => tracing::info!("the signing keys took a step: `authd key list`"),
        Err(error) => tracing::warn!(code = error.code(), "the signing keys were not turned: {}", error.log_line()),
    }
}

/// Goes on for ever.
async fn synchronized(world: &World, mut ticks: Interval) {
    loop {
        ticks.tick().await;
        let cx = world.context(Caller::System, Origin::internal(&world.env));
        match people::sync_due(&cx).await {
            Ok(0) => {}
            Ok(directories) => tracing::debug!(directories, "read the people of directories"),
            Err(error) => tracing::warn!(code = error.code(), "directories were not read: {}", error.log_line()),
        }
    }
}

/// Goes on for ever.
async fn rechecked(world: &World, mut ticks: Interval) {
    loop {
        ticks.tick().await;
        let cx = world.context(Caller::System, Origin::internal(&world.env));
        match domain::recheck_due(&cx, RECHECKED).await {
            Ok(0) => {}
            Ok(domains) => tracing::debug!(domains, "asked DNS for proofs of domains"),
            Err(error) => tracing::warn!(code = error.code(), "domains were not rechecked: {}", error.log_line()),
        }
    }
}

/// Goes on for ever.
async fn tended(world: &World, mut ticks: Interval) {
    loop {
        ticks.tick().await;
        let cx = world.context(Caller::System, Origin::internal(&world.env));
        match saml::tend_due(&cx, TENDED).await {
            Ok(0) => {}
            Ok(connections) => tracing::debug!(connections, "looked after SAML connections"),
            Err(error) => tracing::warn!(code = error.code(), "metadata was not read: {}", error.log_line()),
        }
    }
}
