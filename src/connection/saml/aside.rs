//! What an answer says besides who somebody is: how to name them to the provider again, how far its clock is off, and that
//! it left their groups out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{NameId, Verified};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{ConnectionId, SessionId};
use crate::store::{Batch, Key, Life, Record, Store};

/// What was seen is told for so long.
const TOLD: Duration = Duration::from_secs(30 * 24 * 3600);

/// A session as its provider names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, minicbor::Encode, minicbor::Decode)]
pub struct Named {
    /// The NameID, byte for byte.
    #[n(0)]
    pub value: String,
    /// Its format.
    #[n(1)]
    pub format: String,
    /// Its name space.
    #[n(2)]
    pub name_qualifier: Option<String>,
    /// The service that it is for.
    #[n(3)]
    pub sp_name_qualifier: Option<String>,
    /// The provider's own session.
    #[n(4)]
    pub session_index: Option<String>,
}

impl Named {
    /// The NameID as it was given.
    pub fn name_id(&self) -> NameId {
        NameId {
            value: self.value.clone(),
            format: self.format.clone(),
            name_qualifier: self.name_qualifier.clone(),
            sp_name_qualifier: self.sp_name_qualifier.clone(),
        }
    }
}

/// What an answer says besides who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// How to name the session to the provider again.
    pub named: Named,
    /// How far its clock is ahead of ours, in milliseconds.
    pub clock_skew: i64,
    /// It left the groups out, because there are too many.
    pub groups_left_out: bool,
}

impl Aside {
    /// Of a verified answer.
    pub(super) fn of(verified: &Verified) -> Self {
        let NameId { value, format, name_qualifier, sp_name_qualifier } = verified.name_id.clone();
        let session_index = verified.session_index.clone();
        Self {
            named: Named { value, format, name_qualifier, sp_name_qualifier, session_index },
            clock_skew: verified.observed_skew,
            groups_left_out: verified.attributes.group_overage(),
        }
    }

    /// Keeps it beside a session that is opened with the same batch.
    pub fn keep(
        &self,
        connection: ConnectionId,
        (session, until): (SessionId, Timestamp),
        now: Timestamp,
        batch: &mut Batch,
    ) {
        batch.put(&NamedSession { session, named: self.named.clone(), until });
        let groups_left_out = self.groups_left_out;
        batch.put(&Observed { connection, at: now, clock_skew: self.clock_skew, groups_left_out });
    }
}

/// How a session is named to the provider that it came from: with it, the provider is asked to end its own.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct NamedSession {
    #[n(0)]
    session: SessionId,
    #[n(1)]
    named: Named,
    #[n(2)]
    until: Timestamp,
}

impl Record for NamedSession {
    const KIND: &'static str = "saml_session";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.session.bytes())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.until)
    }
}

impl NamedSession {
    /// Where it stands.
    pub fn key_of(session: SessionId) -> Key {
        Key::from_bytes(session.bytes())
    }

    /// How that session is named; nothing for one that did not come through SAML.
    pub async fn load(store: &Store, session: SessionId) -> Result<Option<Named>> {
        let found = store.get::<Self>(Key::from_bytes(session.bytes())).await?;
        Ok(found.map(|found| found.value.named))
    }
}

/// What the last sign-in through a connection has shown.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Observed {
    #[n(0)]
    connection: ConnectionId,
    /// When.
    #[n(1)]
    pub at: Timestamp,
    /// How far the provider's clock was ahead of ours, in milliseconds.
    #[n(2)]
    pub clock_skew: i64,
    /// Whether the groups were left out.
    #[n(3)]
    pub groups_left_out: bool,
}

impl Record for Observed {
    const KIND: &'static str = "saml_observed";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.connection.bytes())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.at + TOLD)
    }
}

impl Observed {
    /// Of a connection, if somebody has signed in through it lately.
    pub async fn load(store: &Store, connection: ConnectionId) -> Result<Option<Self>> {
        let found = store.get::<Self>(Key::from_bytes(connection.bytes())).await?;
        Ok(found.map(|found| found.value))
    }

    /// The same as a sentence.
    pub fn sentence(&self) -> String {
        let seconds = self.clock_skew.unsigned_abs() / 1000;
        let side = if self.clock_skew < 0 { "behind" } else { "ahead of" };
        match seconds {
            0 => format!("At the last sign-in ({}), both clocks were the same to a second.", self.at),
            _ => format!(
                "At the last sign-in ({}), the provider's clock was {seconds} seconds {side} ours, its way here included.",
                self.at
            ),
        }
    }
}
