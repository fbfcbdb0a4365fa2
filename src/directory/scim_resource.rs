//! What a directory said of one of its resources by SCIM, as it said it: what authd has no field for comes back whole.

use std::time::Duration;

use crate::env::Timestamp;
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::store::{Index, Key, Life, Record};

/// How long a group that was removed is known.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);

/// What the resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum ScimKind {
    /// A person.
    #[n(0)]
    User,
    /// A group.
    #[n(1)]
    Group,
}

/// A resource of a directory. Whether a person may come in stands in the membership, who is in a group in rows of
/// their own.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
pub struct ScimResource {
    /// Whose it is: a connection's directory, or the organization's own.
    #[n(0)]
    pub directory: ConnectionId,
    /// In which organization.
    #[n(1)]
    pub organization: OrganizationId,
    /// What it is.
    #[n(2)]
    pub kind: ScimKind,
    /// The number of the person or the group.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub id: [u8; 16],
    /// `userName` or `displayName`, in lower case.
    #[n(4)]
    pub name: String,
    /// The directory's own id of it.
    #[n(5)]
    pub external_id: Option<String>,
    /// Its attributes, a JSON object; without what is kept elsewhere.
    #[n(6)]
    pub body: String,
    /// Grows with each change.
    #[n(7)]
    pub version: u64,
    /// When it became known.
    #[n(8)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[n(9)]
    pub updated_at: Timestamp,
    /// When the directory removed it. It does not exist for the directory then, but is known if it comes back: a person
    /// as long as they are known, a group for 30 days.
    #[n(10)]
    pub deleted_at: Option<Timestamp>,
}

impl ScimResource {
    /// The index of all that a directory has of a kind, in the order of their keys.
    pub const ALL: &'static str = "all";
    /// The index of names; of people unique.
    pub const NAME: &'static str = "name";
    /// The index of the directory's own ids.
    pub const EXTERNAL: &'static str = "external";
    /// The index of the directory's own ids of groups that it removed.
    pub const REMOVED: &'static str = "removed";
    /// The index of their names.
    pub const REMOVED_NAME: &'static str = "removed_name";

    /// The key of a resource.
    pub fn key_of(directory: ConnectionId, kind: ScimKind, id: [u8; 16]) -> Key {
        Key::from_bytes([&Self::all(directory, kind)[..], &id].concat())
    }

    /// The value of the index `ALL`.
    pub fn all(directory: ConnectionId, kind: ScimKind) -> Vec<u8> {
        [&directory.bytes()[..], &[kind as u8]].concat()
    }

    /// The value of the indexes of names and of the directory's own ids.
    pub fn within(directory: ConnectionId, kind: ScimKind, text: &str) -> Vec<u8> {
        [&Self::all(directory, kind)[..], text.as_bytes()].concat()
    }

    /// The value of the index `user`: what directories say of one person in one organization.
    pub fn person(organization: OrganizationId, user: UserId) -> Vec<u8> {
        [organization.bytes(), user.bytes()].concat()
    }
}

impl Record for ScimResource {
    const KIND: &'static str = "scim_resource";
    const LIFE: Life = Life::Kept;

    fn key(&self) -> Key {
        Self::key_of(self.directory, self.kind, self.id)
    }

    fn indexes(&self) -> Vec<Index> {
        let within = |text: &str| Self::within(self.directory, self.kind, text);
        let mut all = vec![Index::many("organization", self.organization.bytes())];
        match self.kind {
            ScimKind::User => {
                all.push(Index::many("user", Self::person(self.organization, UserId::from_bytes(self.id))));
                all.push(Index::unique(Self::NAME, within(&self.name)));
            }
            ScimKind::Group if self.deleted_at.is_some() => {
                all.push(Index::many(Self::REMOVED_NAME, within(&self.name)));
                all.extend(self.external_id.iter().map(|id| Index::many(Self::REMOVED, within(id))));
            }
            ScimKind::Group => all.push(Index::many(Self::NAME, within(&self.name))),
        }
        if self.deleted_at.is_none() {
            all.push(Index::many(Self::ALL, Self::all(self.directory, self.kind)));
            if let Some(external_id) = &self.external_id {
                all.push(Index::many(Self::EXTERNAL, within(external_id)));
            }
        }
        all
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.deleted_at.filter(|_| self.kind == ScimKind::Group).map(|at| at + REMEMBERED)
    }
}
