//! What is remembered of what came in: the ids of messages, and how new each person's last state was.

use std::time::Duration;

use crate::env::Timestamp;
use crate::id::{InboundId, OrganizationId};
use crate::store::{Index, Key, Life, Record};

/// Senders try again for a little more than a day; behind that, a message's age tells.
const REMEMBERED: Duration = Duration::from_secs(72 * 3600);

/// A message that was taken: what comes under its id again has no effect. It is written with the effect, in one commit,
/// so that of many at the same moment one has it, and none is forgotten by a restart.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Heard {
    /// At which address.
    #[n(0)]
    pub endpoint: InboundId,
    /// Its id, the sender's.
    #[n(1)]
    pub message: String,
    /// When it was taken.
    #[n(2)]
    pub at: Timestamp,
}

impl Record for Heard {
    const KIND: &'static str = "webhook_heard";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Self::key_of(self.endpoint, &self.message)
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.at + REMEMBERED)
    }
}

impl Heard {
    /// The key of a message.
    pub fn key_of(endpoint: InboundId, message: &str) -> Key {
        Key::of(&[&endpoint.bytes(), message.as_bytes()])
    }
}

/// How new the last state of a person is that a service told, and that it has none any more. It outlives the person, so that
/// nothing that comes late brings back who is gone; so it says nothing of who it was.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KnownPerson {
    /// Told at which address.
    #[n(0)]
    pub endpoint: InboundId,
    /// In which organization.
    #[n(1)]
    pub organization: OrganizationId,
    /// When the state that was taken over last was made, by the service's clock, in milliseconds.
    #[n(3)]
    pub changed_at: i64,
    /// The service has banned the person.
    #[n(4)]
    pub banned: bool,
    /// The service has deleted the person. It never gives an identifier to somebody else.
    #[n(5)]
    pub deleted: bool,
    /// The digest of the service's identifier, under the key of the address.
    #[cbor(n(6), with = "minicbor::bytes", default)]
    pub who: [u8; 32],
}

impl Record for KnownPerson {
    const KIND: &'static str = "webhook_person";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Self::key_of(self.endpoint, &self.who)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("organization", self.organization.bytes())]
    }
}

impl KnownPerson {
    /// The key of a person.
    pub fn key_of(endpoint: InboundId, who: &[u8; 32]) -> Key {
        Key::of(&[&endpoint.bytes(), who])
    }
}
