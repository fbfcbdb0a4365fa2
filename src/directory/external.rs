//! The handle that a directory has of a person.

use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::store::{Index, Key, Life, Record};

/// A directory's own handle of a person (`externalId` of SCIM). Nobody signs in by it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ExternalId {
    /// Whose handle it is.
    #[n(0)]
    pub connection: ConnectionId,
    /// The handle.
    #[n(1)]
    pub value: String,
    /// In which organization.
    #[n(2)]
    pub organization: OrganizationId,
    /// Of whom.
    #[n(3)]
    pub user: UserId,
}

impl ExternalId {
    /// The key of a directory's handle.
    pub fn key_of(connection: ConnectionId, value: &str) -> Key {
        Key::of(&[&connection.bytes(), value.as_bytes()])
    }
}

impl Record for ExternalId {
    const KIND: &'static str = "external_id";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.connection, &self.value)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("user", self.user.bytes())]
    }
}
