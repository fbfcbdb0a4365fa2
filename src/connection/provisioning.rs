//! How a directory may speak by SCIM, and what its words mean: of a connection's directory, or of the organization's own.

use std::collections::BTreeMap;

use super::record::{Connection, ProtocolKind, Status};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId, ScimConfigId};
use crate::policy::DeprovisionMode;
use crate::store::{Index, Key, Life, Record, Store, Stored};

/// A word of authd's that a directory's attribute stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum MappedField {
    /// By which the person signs in through the connection.
    #[n(0)]
    Subject,
    /// The directory's own id of the person.
    #[n(1)]
    ExternalId,
    /// The e-mail address.
    #[n(2)]
    Email,
    /// First name.
    #[n(3)]
    FirstName,
    /// Last name.
    #[n(4)]
    LastName,
    /// The name to show.
    #[n(5)]
    Name,
    /// The phone number.
    #[n(6)]
    Phone,
    /// Whether the person may come in.
    #[n(7)]
    Active,
    /// The directory's groups of the person.
    #[n(8)]
    Groups,
    /// The directory's roles of the person.
    #[n(9)]
    Roles,
}

/// How a directory may speak. One that nobody has set anything of goes by the defaults.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ScimConfig {
    /// Its id.
    #[n(0)]
    pub id: ScimConfigId,
    /// The directory: a connection, or the organization's own.
    #[n(1)]
    pub directory: ConnectionId,
    /// Whose it is.
    #[n(2)]
    pub organization: OrganizationId,
    /// Whether the directory is listened to.
    #[n(3)]
    pub status: Status,
    /// The most bytes of a request; what the server takes, unless set.
    #[n(4)]
    pub max_request_size: Option<u32>,
    /// Attributes, by what they stand for; the usual ones, unless set.
    #[n(5)]
    pub mapping: BTreeMap<MappedField, String>,
    /// Attributes that are kept besides, by the names they get.
    #[n(6)]
    pub extra_fields: BTreeMap<String, String>,
    /// Whether leavers are deleted; the policy says, unless set.
    #[n(7)]
    pub deletes_leavers: Option<bool>,
    /// When it was made.
    #[n(8)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[n(9)]
    pub updated_at: Timestamp,
    /// When what attributes stand for was changed last: what was said before that is read anew.
    #[n(10)]
    pub mapped_at: Timestamp,
}

impl Record for ScimConfig {
    const KIND: &'static str = "scim_config";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.directory)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("organization", self.organization.bytes())]
    }
}

impl ScimConfig {
    /// The key of a directory's.
    pub fn key_of(directory: ConnectionId) -> Key {
        Key::from_bytes(directory.bytes())
    }

    /// The defaults: active, everything by its usual name.
    pub fn new(id: ScimConfigId, directory: ConnectionId, organization: OrganizationId, now: Timestamp) -> Self {
        Self {
            id,
            directory,
            organization,
            status: Status::Active,
            max_request_size: None,
            mapping: BTreeMap::new(),
            extra_fields: BTreeMap::new(),
            deletes_leavers: None,
            created_at: now,
            updated_at: now,
            mapped_at: now,
        }
    }

    /// A directory's, if anything of it was set.
    pub async fn find(store: &Store, directory: ConnectionId) -> Result<Option<Stored<Self>>> {
        store.get(Self::key_of(directory)).await
    }

    /// What becomes of leavers, where it is not left to the policy.
    pub fn deprovision_mode(&self) -> Option<DeprovisionMode> {
        self.deletes_leavers.map(|deletes| if deletes { DeprovisionMode::Hard } else { DeprovisionMode::Soft })
    }
}

impl Connection {
    /// Who a person of the connection's directory will sign in as, where the directory says the provider's own word for
    /// them. None where the provider's words have a form that a directory cannot know.
    pub fn subject_of(&self, word: &str) -> Option<String> {
        match self.protocol {
            ProtocolKind::Oidc => {
                let config = self.oidc.as_ref()?;
                let issuer = config.discovery.issuer.as_deref()?;
                Some(match config.profile.mapping.subject() {
                    "sub" => format!("{issuer}|{word}"),
                    claim => format!("{claim}@{issuer}|{word}"),
                })
            }
            ProtocolKind::Saml => {
                let attribute = self.saml.as_ref()?.profile.mapping.subject.as_deref()?;
                Some(format!("attribute:{attribute}|{word}"))
            }
            ProtocolKind::Ldap => Some(word.to_owned()),
        }
    }
}
