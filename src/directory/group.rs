//! The groups of a directory, and who is in them. A member is a row of its own, so that adding one to a group of
//! thousands touches one row, and two who add at once do not lose each other's.

use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, DirectoryGroupId, OrganizationId, UserId};
use crate::store::{Index, Key, Life, Record, Store, Stored};

/// A group of a connection's directory.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DirectoryGroup {
    /// Its id.
    #[n(0)]
    pub id: DirectoryGroupId,
    /// In which organization.
    #[n(1)]
    pub organization: OrganizationId,
    /// Whose directory it belongs to.
    #[n(2)]
    pub connection: ConnectionId,
    /// The directory's handle of it.
    #[n(3)]
    pub external_id: Option<String>,
    /// Its name, in the directory's own words.
    #[n(4)]
    pub name: String,
    /// When it became known.
    #[n(5)]
    pub created_at: Timestamp,
    /// When its name or handle was changed last; members come and go without it.
    #[n(6)]
    pub updated_at: Timestamp,
}

impl Record for DirectoryGroup {
    const KIND: &'static str = "directory_group";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
    fn indexes(&self) -> Vec<Index> {
        let mut all = vec![
            Index::many("organization", self.organization.bytes()),
            Index::many("connection", self.connection.bytes()),
        ];
        if let Some(handle) = &self.external_id {
            all.push(Index::unique("external", Self::handle(self.connection, handle)));
        }
        all
    }
}

impl DirectoryGroup {
    /// The key of a group.
    pub fn key_of(id: DirectoryGroupId) -> Key {
        Key::from_bytes(id.bytes())
    }

    /// The value of the `external` index.
    pub(super) fn handle(connection: ConnectionId, external_id: &str) -> Vec<u8> {
        [&connection.bytes()[..], external_id.as_bytes()].concat()
    }

    /// The group of that id. Errors: `not_found`.
    pub async fn load(store: &Store, id: DirectoryGroupId) -> Result<Stored<Self>> {
        store.get(Self::key_of(id)).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }
}

/// One member of one group.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct GroupMember {
    /// The group.
    #[n(0)]
    pub group: DirectoryGroupId,
    /// In which organization.
    #[n(1)]
    pub organization: OrganizationId,
    /// Who.
    #[n(2)]
    pub user: UserId,
}

impl Record for GroupMember {
    const KIND: &'static str = "group_member";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.group, self.user)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("member", Self::member(self.organization, self.user))]
    }
}

impl GroupMember {
    /// The key of a member of a group. Those of one group begin with the group's id.
    pub fn key_of(group: DirectoryGroupId, user: UserId) -> Key {
        Key::from_bytes([group.bytes(), user.bytes()].concat())
    }

    /// The value of the `member` index: the groups of one person in one organization.
    pub fn member(organization: OrganizationId, user: UserId) -> Vec<u8> {
        [organization.bytes(), user.bytes()].concat()
    }
}
