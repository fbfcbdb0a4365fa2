//! How long sessions of an organization live.

use std::time::Duration;

use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::OrganizationId;
use crate::store::{Batch, Key, Life, Record, Store, Stored};

/// A session ends after so long, whatever happens.
const LONGEST: u64 = 8 * 3600;
/// A session ends when it was not used for so long.
const IDLE: u64 = 2 * 3600;
/// No organization can say less …
pub const LEAST: u64 = 60;
/// … or more.
pub const MOST: u64 = 30 * 24 * 3600;

/// What an organization has said about its sessions. It holds for those that are open, too: of what a session was opened
/// with and what holds now, the shorter counts.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Lifetimes {
    /// The organization.
    #[n(0)]
    organization: OrganizationId,
    #[n(1)]
    idle_seconds: Option<u64>,
    #[n(2)]
    seconds: Option<u64>,
}

impl Record for Lifetimes {
    const KIND: &'static str = "session_lifetimes";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.organization)
    }
}

/// A number of seconds that an organization may say; 0 is what is usual. Errors: `invalid_input`.
fn sound(name: &str, given: u64) -> Result<Option<u64>> {
    match given {
        0 => Ok(None),
        LEAST..=MOST => Ok(Some(given)),
        _ => Err(Error::says(&codes::INVALID_INPUT, format!("`{name}` is {given}, which no session can live for."))
            .help(format!("It is a number of seconds from {LEAST} to {MOST}, or 0 for what is usual."))),
    }
}

impl Lifetimes {
    /// The key of an organization's row.
    pub fn key_of(organization: OrganizationId) -> Key {
        Key::from_bytes(organization.bytes())
    }

    /// Those that hold now.
    pub async fn of(store: &Store, organization: OrganizationId) -> Result<Self> {
        let kept: Option<Stored<Self>> = store.get(Self::key_of(organization)).await?;
        Ok(kept.map_or(Self { organization, idle_seconds: None, seconds: None }, |kept| kept.value))
    }

    /// A session ends when it was not used for so many seconds.
    pub fn idle_seconds(&self) -> u64 {
        self.idle_seconds.unwrap_or(IDLE)
    }

    /// A session ends after so many seconds, whatever happens.
    pub fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(LONGEST)
    }

    /// Adds to the batch what is said anew; what is not given stays, 0 is what is usual. Gives what holds then, and whether
    /// that is a change: the caller adds its event. Errors: `invalid_input`.
    pub async fn set(
        store: &Store,
        organization: OrganizationId,
        idle_seconds: Option<u64>,
        seconds: Option<u64>,
        batch: &mut Batch,
    ) -> Result<(Self, bool)> {
        let kept: Option<Stored<Self>> = store.get(Self::key_of(organization)).await?;
        let before = Self::of(store, organization).await?;
        let mut said = before.clone();
        if let Some(given) = idle_seconds {
            said.idle_seconds = sound("sessionIdleSeconds", given)?;
        }
        if let Some(given) = seconds {
            said.seconds = sound("sessionSeconds", given)?;
        }
        if (said.idle_seconds, said.seconds) == (before.idle_seconds, before.seconds) {
            return Ok((before, false));
        }
        match kept {
            Some(kept) => batch.update(&said, kept.revision),
            None => batch.create(&said),
        };
        Ok((said, true))
    }
}

/// Within what a session must be used, and when it ends in any case.
pub(super) struct Bounds {
    pub idle: Duration,
    pub ends_at: Timestamp,
}

impl Bounds {
    /// Of a session that was opened with these, in an organization where `now` holds.
    pub(super) fn of(opened: Timestamp, own_idle: Option<u64>, own_end: Timestamp, now: &Lifetimes) -> Self {
        Self {
            idle: Duration::from_secs(own_idle.unwrap_or(IDLE).min(now.idle_seconds())),
            ends_at: own_end.min(opened + Duration::from_secs(now.seconds())),
        }
    }

    /// Of a session whose use is not seen: it may go unused until it ends.
    pub(super) fn without_idle(self, opened: Timestamp) -> Self {
        Self { idle: self.ends_at.since(opened), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_has_bounds() {
        for (given, kept) in [(0, None), (LEAST, Some(LEAST)), (MOST, Some(MOST))] {
            assert_eq!(sound("x", given).unwrap(), kept);
        }
        for wrong in [1, LEAST - 1, MOST + 1, u64::MAX] {
            assert!(sound("x", wrong).unwrap_err().is(&codes::INVALID_INPUT), "{wrong}");
        }
    }

    #[test]
    fn of_both_the_shorter_counts() {
        let opened = Timestamp::from_seconds(1_000);
        let organization = OrganizationId::new(&crate::env::Env::frozen());
        let now = |idle_seconds, seconds| Lifetimes { organization, idle_seconds, seconds };
        let bounds = |own_idle, own_seconds, now: &Lifetimes| {
            let bounds = Bounds::of(opened, own_idle, opened + Duration::from_secs(own_seconds), now);
            (bounds.idle.as_secs(), bounds.ends_at.since(opened).as_secs())
        };
        assert_eq!(bounds(None, 8 * 3600, &now(None, None)), (7_200, 28_800));
        assert_eq!(bounds(Some(600), 3_600, &now(Some(900), Some(7_200))), (600, 3_600), "longer now");
        assert_eq!(bounds(Some(600), 3_600, &now(Some(60), Some(120))), (60, 120), "shorter now");
    }
}
