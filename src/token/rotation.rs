//! The steps that signing keys take: one at a time and never under a verifier's feet. A key is in the published set long
//! before it signs, and long after.

use std::time::Duration;

use super::signing_key::{Algorithm, PUBLISHED_FIRST, SigningKey, State};
use crate::access::Context;
use crate::env::Timestamp;
use crate::error::Result;
use crate::event::EventKind;
use crate::store::{Batch, Stored};

/// The keys of an algorithm, the oldest first.
pub(super) struct Line<'a> {
    cx: &'a Context,
    keys: Vec<Stored<SigningKey>>,
}

/// When the next key takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// As soon as every verifier can know it.
    Known,
    /// Now, whoever knows it.
    Now,
}

impl<'a> Line<'a> {
    pub(super) fn of(cx: &'a Context, all: &[Stored<SigningKey>], algorithm: Algorithm) -> Self {
        let mut keys: Vec<_> = all.iter().filter(|key| key.algorithm == algorithm).cloned().collect();
        keys.sort_by_key(|key| (key.created_at, key.id));
        Self { cx, keys }
    }

    fn first(&self, state: State) -> Option<&Stored<SigningKey>> {
        self.keys.iter().find(|key| key.state() == state)
    }

    /// From when on everybody who keeps the key set no longer than it allows knows the next key.
    fn known_from(&self, next: &SigningKey) -> Timestamp {
        let together =
            |active: &&Stored<SigningKey>| active.state() == State::Active && active.created_at >= next.created_at;
        // Published with a key that signs, it came to everybody who has that one.
        match self.keys.iter().find(together) {
            Some(active) => active.created_at,
            None => next.created_at + PUBLISHED_FIRST,
        }
    }

    /// Adds to the batch that the next key takes over, and that `spare` comes after it. Where the next key cannot be
    /// known everywhere yet, it takes over when it is; where there is none, `spare` is the one. True when another key signs.
    pub(super) fn advance(&self, spare: &SigningKey, haste: Haste, batch: &mut Batch) -> bool {
        let now = self.cx.env.now();
        let Some(next) = self.first(State::Next) else {
            let key = match haste {
                Haste::Known => SigningKey { activates_at: Some(now + PUBLISHED_FIRST), ..spare.clone() },
                Haste::Now => SigningKey { activated_at: Some(now), ..spare.clone() },
            };
            batch.create(&key).log(key.event(self.cx, EventKind::SigningKeyCreated));
            if haste == Haste::Now {
                self.retire(now, batch);
                batch.log(key.event(self.cx, EventKind::SigningKeyActivated));
            }
            return haste == Haste::Now;
        };
        let known_from = self.known_from(next);
        if haste == Haste::Known && now < known_from {
            if next.activates_at.is_none_or(|at| at > known_from) {
                let key = SigningKey { activates_at: Some(known_from), ..next.value.clone() };
                let event = key.event(self.cx, EventKind::SigningKeyScheduled);
                batch.update(&key, next.revision).log(event.with("at", known_from.to_string()));
            }
            return false;
        }
        self.retire(now, batch);
        let key = SigningKey { activated_at: Some(now), activates_at: None, ..next.value.clone() };
        batch.update(&key, next.revision).log(key.event(self.cx, EventKind::SigningKeyActivated));
        batch.create(spare).log(spare.event(self.cx, EventKind::SigningKeyCreated));
        true
    }

    /// Every key that signs, so that one is left where two processes have made one each.
    fn retire(&self, now: Timestamp, batch: &mut Batch) {
        for active in self.keys.iter().filter(|key| key.state() == State::Active) {
            let key = SigningKey { retired_at: Some(now), ..active.value.clone() };
            batch.update(&key, active.revision).log(key.event(self.cx, EventKind::SigningKeyRetired));
        }
    }

    /// Whether a step is due that takes a spare key.
    fn wants(&self, every: Option<Duration>) -> bool {
        let now = self.cx.env.now();
        let active = self.keys.iter().filter_map(|key| key.activated_at.filter(|_| key.state() == State::Active)).max();
        let Some(active) = active else { return false };
        match self.first(State::Next) {
            None => true,
            Some(next) => match next.activates_at {
                Some(at) => at <= now,
                None => every.is_some_and(|every| active + every <= now),
            },
        }
    }

    /// The step that is due. A line without a next key gets one, which then waits for its turn.
    fn step(&self, spare: &SigningKey, batch: &mut Batch) {
        match self.first(State::Next) {
            Some(_) => drop(self.advance(spare, Haste::Known, batch)),
            None => drop(batch.create(spare).log(spare.event(self.cx, EventKind::SigningKeyCreated))),
        }
    }
}

/// The steps of the clock: a key that has signed for `every` hands over, one that was to take over does, one whose last
/// token has ended goes. One commit for all of them; none when nothing is due.
pub async fn due(cx: &Context, every: Option<Duration>) -> Result<bool> {
    let all = SigningKey::stored(&cx.store).await?;
    let now = cx.env.now();
    let mut batch = Batch::new();
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        let line = Line::of(cx, &all, algorithm);
        if line.wants(every) {
            line.step(&SigningKey::fresh(cx, algorithm).await?, &mut batch);
        }
    }
    for key in all.iter().filter(|key| key.gone_at().is_some_and(|at| at <= now)) {
        batch.delete::<SigningKey>(SigningKey::key_of(key.id), key.revision);
        batch.log(key.event(cx, EventKind::SigningKeyRemoved));
    }
    if batch.is_empty() {
        return Ok(false);
    }
    match cx.store.commit(batch).await {
        Ok(_) => Ok(true),
        // Somebody has just turned them by hand; what is left to do is found at the next look.
        Err(refused) if refused.is_race() => Ok(false),
        Err(refused) => Err(refused.into()),
    }
}
