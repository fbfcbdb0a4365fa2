//! Tries that are taken before what they try is looked at.
//!
//! ```text
//!  take ── counts in memory ──► what is tried is looked at ──► right: given back; nothing was ever written
//!                                                         └──► wrong: written, in the commit that tells it
//! ```
//!
//! While one is under way it counts in memory, so that of many at the same time no more are looked at than the rule says. One
//! that nobody ends, because whoever asked has gone or because the end could not be told, is written by itself. What cannot
//! be written at all counts in memory until its window is over. So a crash takes away at most what was under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;

use super::{Rule, Subject, load, refused, settle};
use crate::access::context::Context;
use crate::error::Result;
use crate::store::{Batch, Key};

/// Subjects of one door wait for each other, each for as long as a count of another is written.
const DOORS: usize = 32;
/// What was left in memory is looked through so often.
const SWEEP: Duration = Duration::from_secs(60);

/// The tries that are under way. One for all clones of a store.
#[derive(Default)]
struct UnderWay {
    places: Mutex<Places>,
    /// A count is looked at, and becomes another, behind its door: of two who are wrong at the same time both count, and
    /// nobody sees a try twice, or not at all, while it becomes a written one.
    doors: [Arc<tokio::sync::Mutex<()>>; DOORS],
}

#[derive(Default)]
struct Places {
    /// Until when each counts, whatever becomes of it.
    all: HashMap<Key, Vec<Duration>>,
    swept: Duration,
}

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes the doors of these counts, in one order, so that no two wait for each other.
    async fn enter(&self, keys: impl Iterator<Item = &Key>) -> Vec<OwnedMutexGuard<()>> {
        let door = |key: &Key| key.as_bytes().first().map_or(0, |byte| usize::from(*byte) % DOORS);
        let mut numbers: Vec<usize> = keys.map(door).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut passed = Vec::with_capacity(numbers.len());
        for door in numbers.into_iter().filter_map(|number| self.doors.get(number)) {
            passed.push(Arc::clone(door).lock_owned().await);
        }
        passed
    }
}

impl Places {
    fn of(&self, key: &Key, now: Duration) -> usize {
        self.all.get(key).map_or(0, |all| all.iter().filter(|until| **until > now).count())
    }

    fn sweep(&mut self, now: Duration) {
        if now.saturating_sub(self.swept) >= SWEEP {
            self.swept = now;
            self.all.retain(|_, all| {
                all.retain(|until| *until > now);
                !all.is_empty()
            });
        }
    }

    fn leave(&mut self, place: &Place) {
        let Some(all) = self.all.get_mut(&place.key) else { return };
        if let Some(at) = all.iter().position(|until| *until == place.until) {
            all.swap_remove(at);
        }
        if all.is_empty() {
            self.all.remove(&place.key);
        }
    }
}

/// One try under one rule.
struct Place {
    rule: Rule,
    key: Key,
    until: Duration,
}

/// What was taken, and is under way until it is told how it ended: [`Taken::give_back`], [`Taken::count`] with
/// [`Taken::written`], or [`Taken::spend`]. Dropped, it counts.
#[derive(Default)]
#[must_use = "what is dropped counts as wrong"]
pub struct Taken {
    inner: Mutex<Inner>,
    passed: Vec<OwnedMutexGuard<()>>,
    /// Nobody tries to write it once more.
    last: bool,
}

#[derive(Default)]
struct Inner {
    world: Option<(Context, Arc<UnderWay>)>,
    places: Vec<Place>,
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taken").field("places", &self.lock().places.len()).finish_non_exhaustive()
    }
}

/// Takes one try of each, all or none. Nothing is written. Errors: `rate_limited`, with the longest time to wait.
pub async fn take(cx: &Context, tries: &[(Rule, Subject)]) -> Result<Taken> {
    let taken = Taken::default();
    taken.also(cx, tries).await?;
    Ok(taken)
}

impl Taken {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&mut self) -> &mut Inner {
        self.inner.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes these as well, all or none, and once only what it has taken already. Errors: `rate_limited`.
    pub async fn also(&self, cx: &Context, tries: &[(Rule, Subject)]) -> Result<()> {
        let under_way: Arc<UnderWay> = cx.store.aside();
        let mut wanted: Vec<(Rule, Key)> = tries.iter().map(|(rule, subject)| (*rule, subject.key(*rule))).collect();
        wanted.retain(|(_, key)| self.lock().places.iter().all(|own| own.key != *key));
        let passed = under_way.enter(wanted.iter().map(|(_, key)| key)).await;
        let mut counts = Vec::with_capacity(wanted.len());
        for (rule, key) in &wanted {
            let (now, ahead) = load(cx, *rule, key).await?;
            if ahead {
                settle(cx, &now).await?;
            }
            counts.push(now);
        }
        let now = cx.env.monotonic();
        let mut longest = (Duration::ZERO, None);
        let mut places = under_way.lock();
        places.sweep(now);
        for ((rule, key), count) in wanted.iter().zip(&mut counts) {
            // If all of them turn out to be wrong, this is what it is.
            count.add(u32::try_from(places.of(key, now)).unwrap_or(u32::MAX));
            let wait = count.wait(cx, *rule);
            if wait > longest.0 {
                longest = (wait, Some(*rule));
            }
        }
        if let (wait, Some(rule)) = longest {
            return Err(refused(cx, rule, wait));
        }
        let mut inner = self.lock();
        for (rule, key) in wanted {
            let until = now + rule.window() + Duration::from_millis(rule.slot());
            places.all.entry(key.clone()).or_default().push(until);
            inner.places.push(Place { rule, key, until });
        }
        drop((places, passed));
        inner.world.get_or_insert_with(|| (cx.clone(), under_way));
        Ok(())
    }

    /// It was right, and does not count.
    pub fn give_back(mut self) {
        self.end();
    }

    /// Nothing was looked at after all: as [`Taken::give_back`], for whoever holds a reference.
    pub fn unused(&self) {
        let Inner { world, places } = std::mem::take(&mut *self.lock());
        leave(world, &places);
    }

    /// Adds to the batch that it was wrong. Until [`Taken::written`] nobody else writes these counts; a batch that is made
    /// anew gets it anew.
    pub async fn count(&mut self, batch: &mut Batch) -> Result<()> {
        if self.passed.is_empty() {
            let inner = self.inner();
            let Some((_, under_way)) = &inner.world else { return Ok(()) };
            let passed = under_way.enter(inner.places.iter().map(|place| &place.key)).await;
            self.passed = passed;
        }
        let inner = self.inner();
        let Some((cx, _)) = &inner.world else { return Ok(()) };
        for place in &inner.places {
            let (mut now, _) = load(cx, place.rule, &place.key).await?;
            now.add(1);
            batch.put(&now);
        }
        Ok(())
    }

    /// The batch that it was added to is written.
    pub fn written(mut self) {
        self.end();
    }

    /// It was wrong, or counts in any case: one commit of its own, if anything was taken.
    pub async fn spend(mut self) -> Result<()> {
        let mut batch = Batch::new();
        self.count(&mut batch).await?;
        if let (false, Some((cx, _))) = (batch.is_empty(), &self.inner().world) {
            cx.store.commit(batch).await?;
        }
        self.written();
        Ok(())
    }

    fn end(&mut self) {
        let Inner { world, places } = std::mem::take(self.inner());
        leave(world, &places);
        self.passed.clear();
    }
}

fn leave(world: Option<(Context, Arc<UnderWay>)>, places: &[Place]) {
    if let Some((_, under_way)) = world {
        let mut all = under_way.lock();
        places.iter().for_each(|place| all.leave(place));
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let last = self.last;
        let inner = std::mem::take(self.inner());
        if last || inner.places.is_empty() {
            return;
        }
        // Outside of a runtime, and where the write fails again, it stays in memory until its window is over.
        if let Ok(runtime) = Handle::try_current() {
            let left = Self { inner: Mutex::new(inner), passed: std::mem::take(&mut self.passed), last: true };
            runtime.spawn(async move {
                if let Err(error) = left.spend().await {
                    tracing::warn!(cause = %error.log_line(), "a try that counts could not be written");
                }
            });
        }
    }
}
