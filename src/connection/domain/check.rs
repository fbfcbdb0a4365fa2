//! What DNS says of a claim, and what follows from it for a domain that is proved.
//!
//! ```text
//!             not there                    not there, 14 days on
//!   proved ─────────────► failing since T ───────────────────────► a mere claim again
//!      ▲                     │      │
//!      └──── there again ────┘      └─ nobody could be asked: that time does not count
//! ```
//!
//! `judge` is pure: what was known, what DNS says, and the time make what is known now and what is told. The record is
//! ephemeral, because a look that changes nothing is no event; whatever changes the claim is one, in the same batch.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claim::{Challenge, Domain};
use crate::crypto::same;
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result};
use crate::id::ConnectionId;
use crate::store::{Key, Life, Record, Store, Stored};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A proof is asked for again within this.
pub const INTERVAL: Duration = Duration::from_secs(7 * DAY.as_secs());

/// Up to so much earlier than that, at random, so that domains proved together are not asked for together.
const SPREAD: Duration = DAY;

/// How long a proof may be missing from DNS before it is lost.
pub const GRACE: Duration = Duration::from_secs(14 * DAY.as_secs());

/// So many days before a proof is lost, that is told.
const WARNINGS: [u8; 2] = [1, 7];

/// When nobody could be asked, DNS is asked again after this.
const RETRY: Duration = Duration::from_secs(60 * 60);

/// What was seen of a proof that nobody has looked at for so long is forgotten; a new grace begins then.
const MEMORY: Duration = Duration::from_secs(30 * DAY.as_secs());

/// What DNS says of the record that proves a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    /// The record is there.
    Proved,
    /// There is no TXT record at that name.
    Missing,
    /// There are TXT records at that name, and all say something else.
    Different,
    /// No name server gave an answer. It says nothing about the proof.
    Unreachable,
}

/// What a look into DNS found.
#[derive(Debug)]
pub struct Sight {
    /// What it says of the record.
    pub look: Look,
    /// Every text that stands at the name.
    pub texts: Vec<String>,
    /// Why nobody could be asked.
    pub trouble: Option<Error>,
}

/// Looks whether `value` stands where the proof of `domain` belongs.
pub async fn look(env: &Env, domain: &str, value: &str) -> Sight {
    match env.dns().txt(&Challenge::record_name(domain)).await {
        Err(error) => Sight { look: Look::Unreachable, texts: Vec::new(), trouble: Some(error) },
        Ok(texts) => {
            let there = texts.iter().any(|text| same(text.trim().as_bytes(), value.as_bytes()));
            let look = match (there, texts.is_empty()) {
                (true, _) => Look::Proved,
                (false, true) => Look::Missing,
                (false, false) => Look::Different,
            };
            Sight { look, texts, trouble: None }
        }
    }
}

/// A proof that has gone from DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Failing {
    /// Since when.
    #[n(0)]
    pub since: Timestamp,
    /// From when on the next look that does not find it ends it.
    #[n(1)]
    pub loses_at: Timestamp,
    /// When that it fails was told last.
    #[n(2)]
    pub told_at: Timestamp,
    /// The last warning that was told, in days before the end.
    #[n(3)]
    pub warned: Option<u8>,
}

/// What is known about the proof of a domain since it was proved by DNS.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DomainCheck {
    /// The domain.
    #[n(0)]
    pub name: String,
    /// The connection that has it proved.
    #[n(1)]
    pub connection: ConnectionId,
    /// When DNS was asked last.
    #[n(2)]
    pub asked_at: Timestamp,
    /// When DNS answered last.
    #[n(3)]
    pub checked_at: Option<Timestamp>,
    /// Whether it answered the last time.
    #[n(4)]
    pub answered: bool,
    /// When it is asked next.
    #[n(5)]
    pub recheck_at: Timestamp,
    /// Set while the record is not there.
    #[n(6)]
    pub failing: Option<Failing>,
}

impl Record for DomainCheck {
    const KIND: &'static str = "domain_check";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Domain::key_of(&self.name, self.connection)
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.recheck_at + MEMORY)
    }
}

impl DomainCheck {
    /// What is known about the proof of a claim.
    pub async fn load(store: &Store, claim: &Domain) -> Result<Option<Stored<Self>>> {
        store.get(Domain::key_of(&claim.name, claim.connection)).await
    }

    /// Of a claim that DNS has just proved.
    pub fn proved(env: &Env, claim: &Domain) -> Self {
        judge(None, claim, Look::Proved, env.now(), chance(env)).next
    }

    /// Whether DNS is to be asked. A time further ahead than any is set was set by a clock that has gone back since.
    pub fn due(&self, now: Timestamp) -> bool {
        self.recheck_at <= now || self.recheck_at > now + INTERVAL
    }
}

/// A part of the spread, drawn by lot.
pub fn chance(env: &Env) -> Duration {
    let millis = u64::try_from(SPREAD.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(u64::from_be_bytes(env.random()) % millis)
}

/// What is told about a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is not there.
    Failing,
    /// It is there again.
    Recovered,
    /// It is lost in so many days, or fewer.
    Near(u8),
    /// It is lost.
    Lost,
}

/// What follows from a look.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is known now.
    pub next: DomainCheck,
    /// What is told.
    pub told: Vec<Told>,
}

impl Verdict {
    /// Whether the domain is proved no longer.
    pub fn lost(&self) -> bool {
        self.told.contains(&Told::Lost)
    }
}

/// What follows from `look` at `now` for a claim that was proved by DNS. `early` is how much of the interval is left
/// out before the next look.
///
/// Only time between two looks that both found the record missing counts towards the grace: an outage, however long,
/// moves the end by as much. A clock that goes back begins nothing anew and leaves no end further away than a grace.
pub fn judge(before: Option<&DomainCheck>, claim: &Domain, look: Look, now: Timestamp, early: Duration) -> Verdict {
    let past = before.and_then(|before| before.failing).map(|failing| Failing {
        since: failing.since.min(now),
        loses_at: failing.loses_at.min(now + GRACE),
        ..failing
    });
    let unheard = before.map_or(Duration::ZERO, |before| now.since(before.asked_at));
    let mut told = Vec::new();
    let (failing, recheck_at) = match look {
        Look::Proved => {
            if past.is_some() {
                told.push(Told::Recovered);
            }
            (None, now + (INTERVAL - early.min(SPREAD)))
        }
        Look::Unreachable => (past.map(|past| past.later(unheard, now)), now + RETRY),
        Look::Missing | Look::Different => {
            let failing = match past {
                None => {
                    told.push(Told::Failing);
                    Failing { since: now, loses_at: now + GRACE, told_at: now, warned: None }
                }
                Some(past) => {
                    let past =
                        if before.is_some_and(|before| before.answered) { past } else { past.later(unheard, now) };
                    past.tell(now, &mut told)
                }
            };
            (Some(failing), failing.next_look(now))
        }
    };
    let answered = look != Look::Unreachable;
    let next = DomainCheck {
        name: claim.name.clone(),
        connection: claim.connection,
        asked_at: now,
        checked_at: if answered { Some(now) } else { before.and_then(|before| before.checked_at) },
        answered,
        recheck_at,
        failing,
    };
    Verdict { next, told }
}

fn days(number: u8) -> Duration {
    DAY * u32::from(number)
}

impl Failing {
    /// With its end moved by time that does not count.
    fn later(self, by: Duration, now: Timestamp) -> Self {
        Self { loses_at: (self.loses_at + by).min(now + GRACE), ..self }
    }

    /// The record is still not there: says what is to be said of it.
    fn tell(mut self, now: Timestamp, told: &mut Vec<Told>) -> Self {
        if now >= self.loses_at {
            told.push(Told::Lost);
            return self;
        }
        if self.told_at > now || now.since(self.told_at) >= DAY {
            self.told_at = now;
            told.push(Told::Failing);
        }
        let left = self.loses_at.since(now);
        let near = WARNINGS.into_iter().find(|&number| left <= days(number));
        if let Some(number) = near.filter(|&number| self.warned.is_none_or(|last| number < last)) {
            self.warned = Some(number);
            told.push(Told::Near(number));
        }
        self
    }

    /// Every day, when a warning is due, and at the end.
    fn next_look(&self, now: Timestamp) -> Timestamp {
        let moments = WARNINGS.into_iter().map(|number| self.loses_at - days(number)).chain([self.loses_at]);
        moments.filter(|moment| *moment > now).fold(now + DAY, Timestamp::min)
    }
}
