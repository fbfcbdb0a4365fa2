//! Who a person is at a source: the key that a sign-in goes by.

use crate::env::Timestamp;
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::store::{Index, Key, Life, Record};

/// One person's identity at one source. A sign-in goes by it alone, never by an e-mail address.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Identity {
    /// The source.
    #[n(0)]
    pub connection: ConnectionId,
    /// The source's own identifier of the person; stable, never an address.
    #[n(1)]
    pub subject: String,
    /// In which organization.
    #[n(2)]
    pub organization: OrganizationId,
    /// Whose.
    #[n(3)]
    pub user: UserId,
    /// When it was linked.
    #[n(4)]
    pub created_at: Timestamp,
}

impl Identity {
    /// The key of a source's subject.
    pub fn key_of(connection: ConnectionId, subject: &str) -> Key {
        Key::of(&[&connection.bytes(), subject.as_bytes()])
    }
}

impl Record for Identity {
    const KIND: &'static str = "identity";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.connection, &self.subject)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("user", self.user.bytes())]
    }
}
