//! The rotation of the master key, while authd runs, in steps of which each may be the last before a crash.
//!
//! ```text
//!  begin     the file has new and old          crash: the next start has both keys, and goes on from here
//!  turn      new seals, both open              crash: as above
//!  reseal    each chunk one commit, one event  crash: as above; what is sealed anew stays so
//!  conclude  the canary under the new key      crash: as above, with nothing left but to drop the old key
//!            the file has new alone
//! ```
//!
//! A request that is under way may have sealed something under the old key and commit it behind the walk. So the walk
//! is repeated until one finds nothing, with a pause before the last that no such request outlasts.

use std::time::Duration;

use super::sealed::sealed;
use crate::access::{Canary, Context};
use crate::config;
use crate::crypto::{Home, MasterKey, Sealing as _};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::store::Batch;

/// From sealing a value to its place in the queue of the store it is no more than some computing.
const UNDER_WAY: Duration = Duration::from_millis(750);
/// A walk that still finds something after so many before it is a fault of ours, not a busy server.
const WALKS: usize = 20;

/// What a rotation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// The fingerprint of the key before.
    pub previous: Option<String>,
    /// Records that were sealed anew.
    pub records: u64,
}

/// A new key, kept beside the old one where the old one is. Errors: `master_key_from_environment`,
/// `master_key_invalid` when the file cannot be written; nothing has changed then.
pub fn begin(cx: &Context) -> Result<MasterKey> {
    let key = &cx.deployment.master_key;
    let next = key.successor(&cx.env);
    match key.home() {
        Home::Environment => return Err(Error::new(&codes::MASTER_KEY_FROM_ENVIRONMENT)),
        Home::File(path) => config::replace_master_keys(&cx.env, path, &[&next, key])?,
        Home::Memory => {}
    }
    Ok(next)
}

/// From now on the new key seals, and both open.
pub fn turn(cx: &Context, next: &MasterKey) {
    cx.deployment.master_key.turn_to(next);
}

/// One walk over everything that is sealed: how many records were sealed anew, or are left for the next walk.
/// Errors: those of the store.
pub async fn walk(cx: &Context) -> Result<(u64, u64)> {
    let (mut resealed, mut left) = (0, 0);
    for kind in sealed() {
        let mut after = None;
        loop {
            let done = kind.reseal(cx, after).await?;
            if done.unreadable > 0 {
                tracing::warn!(kind = kind.kind(), records = done.unreadable, "no master key opens these");
            }
            resealed += done.resealed;
            left += done.missed;
            after = done.next;
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok((resealed, left))
}

/// Seals everything anew, until nothing is sealed under an older key. Errors: those of the store.
pub async fn reseal(cx: &Context) -> Result<u64> {
    let (mut records, mut left) = walk(cx).await?;
    for _ in 0..WALKS {
        tokio::time::sleep(UNDER_WAY).await;
        let (more, missed) = walk(cx).await?;
        records += more;
        left = missed;
        if more == 0 && left == 0 {
            return Ok(records);
        }
    }
    Err(Error::says(&codes::STALE, format!("{left} records could not be sealed anew: they change all the time."))
        .help("Both keys are kept. Run `authd master-key rotate` again."))
}

/// Says that the old key is needed no more, then drops it from the file. Errors: those of the store;
/// `master_key_invalid` when the file cannot be written, which then keeps both.
pub async fn conclude(cx: &Context, records: u64) -> Result<Rotated> {
    let key = &cx.deployment.master_key;
    let canary = Canary::load(&cx.store).await?.ok_or_else(|| Error::bug("a store without its canary"))?;
    let mut rotated = Rotated { previous: None, records };
    let mut anew = canary.value.clone();
    if anew.reseal(&cx.env, key)? {
        let mut batch = Batch::new();
        batch.update(&anew, canary.revision);
        if canary.fingerprint != anew.fingerprint {
            let event = cx.event(EventKind::MasterKeyRotated).with("from", canary.fingerprint.clone());
            batch.log(event.with("to", anew.fingerprint.clone()).with("records", records));
            rotated.previous = Some(canary.fingerprint.clone());
        }
        cx.store.commit(batch).await?;
    }
    if let Home::File(path) = key.home()
        && config::master_keys_in(path) > 1
    {
        config::replace_master_keys(&cx.env, path, &[key])?;
    }
    Ok(rotated)
}

/// Whether a rotation was begun and not ended: something may still be sealed under an older key.
/// Errors: those of the store.
pub async fn is_unfinished(cx: &Context) -> Result<bool> {
    let key = &cx.deployment.master_key;
    let sealed_before = Canary::load(&cx.store).await?.is_some_and(|canary| canary.fingerprint != key.fingerprint());
    Ok(sealed_before || matches!(key.home(), Home::File(path) if config::master_keys_in(path) > 1))
}

/// Ends what an earlier process began, or what a new key in the environment asks for. Nobody else is at work yet.
/// What stands in the way is told to the log: both keys are there, so the start goes on.
pub async fn finish_rotation(cx: &Context) {
    let key = &cx.deployment.master_key;
    if key.previous().is_empty() {
        return;
    }
    let done = async {
        let (records, _) = walk(cx).await?;
        conclude(cx, records).await
    };
    match done.await {
        Ok(Rotated { previous: Some(previous), records }) => {
            tracing::info!(from = previous, to = key.fingerprint(), records, "the master key was rotated");
        }
        Ok(_) => {}
        Err(error) => tracing::error!(code = error.code(), "the rotation goes on later: {}", error.log_line()),
    }
}

/// The whole rotation; or the end of one that was begun and did not get through. Errors: `master_key_turning`, and
/// those of the steps. Whatever it is, every value can still be opened, and the next start goes on.
pub async fn rotate(cx: &Context) -> Result<Rotated> {
    let key = &cx.deployment.master_key;
    let _one = key.turning().ok_or_else(|| Error::new(&codes::MASTER_KEY_TURNING))?;
    if !is_unfinished(cx).await? {
        let next = begin(cx)?;
        turn(cx, &next);
    }
    let records = reseal(cx).await?;
    conclude(cx, records).await
}
