//! A person in a tenant: what that tenant knows of them, and whether they may come in.

use std::collections::BTreeSet;

use super::email::EmailAddress;
use super::organization::Organization;
use super::user::User;
use crate::access::{Grants, RoleName, grants_of_roles};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::store::{Index, Key, Life, Record, Store, Stored};

/// Whether a person may come in.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Status {
    /// Yes.
    #[n(0)]
    Active,
    /// No: an administrator keeps them out.
    #[n(1)]
    Suspended,
    /// No: their source says that they have left.
    #[n(2)]
    Deprovisioned,
}

/// A membership.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Membership {
    /// In which organization.
    #[n(0)]
    pub organization: OrganizationId,
    /// Whose.
    #[n(1)]
    pub user: UserId,
    /// Whether they may come in.
    #[n(2)]
    pub status: Status,
    /// Their address, as their source writes it.
    #[n(3)]
    pub email: Option<String>,
    /// Whether apps may trust the address: verified by the provider, in a domain that is the organization's.
    #[n(4)]
    pub email_verified: bool,
    /// The name to show.
    #[n(5)]
    pub name: Option<String>,
    /// First name.
    #[n(6)]
    pub given_name: Option<String>,
    /// Last name.
    #[n(7)]
    pub family_name: Option<String>,
    /// A picture's https URL.
    #[n(8)]
    pub image: Option<String>,
    /// The source's groups, as of the last sign-in.
    #[n(9)]
    pub groups: Vec<String>,
    /// Roles in authd. Only an administrator or an explicit mapping gives one.
    #[n(10)]
    pub roles: BTreeSet<RoleName>,
    /// The connection that brought them, if one did.
    #[n(11)]
    pub source: Option<ConnectionId>,
    /// When they became a member.
    #[n(12)]
    pub created_at: Timestamp,
    /// When anything of this was last changed.
    #[n(13)]
    pub updated_at: Timestamp,
    /// Claims that the connection's mapping keeps besides: a JSON object.
    #[n(14)]
    pub extra: Option<String>,
}

impl Record for Membership {
    const KIND: &'static str = "membership";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.organization, self.user)
    }
    fn indexes(&self) -> Vec<Index> {
        let mut indexes =
            vec![Index::many("organization", self.organization.bytes()), Index::many("user", self.user.bytes())];
        if let Some(Ok(email)) = self.email.as_deref().map(EmailAddress::parse) {
            indexes.push(Index::unique("email", Self::email_value(self.organization, &email)));
        }
        indexes
    }
}

impl Membership {
    /// The key of a person in an organization.
    pub fn key_of(organization: OrganizationId, user: UserId) -> Key {
        Key::of(&[&organization.bytes(), &user.bytes()])
    }

    /// The value of the `email` index: addresses are unique within an organization, and say nothing across.
    fn email_value(organization: OrganizationId, email: &EmailAddress) -> Vec<u8> {
        [&organization.bytes()[..], email.folded.as_bytes()].concat()
    }

    /// The member of that address, if any.
    pub async fn by_email(
        store: &Store,
        organization: OrganizationId,
        email: &EmailAddress,
    ) -> Result<Option<Stored<Self>>> {
        store.find("email", Self::email_value(organization, email)).await
    }

    /// The person in good standing: organization, user and membership all are.
    /// Errors: `not_found`, `organization_disabled`, `person_disabled`.
    pub async fn active(store: &Store, organization: OrganizationId, user: UserId) -> Result<Stored<Self>> {
        Organization::open(store, organization).await?;
        let anchor: Option<Stored<User>> = store.get(Key::from_bytes(user.bytes())).await?;
        let membership: Option<Stored<Self>> = store.get(Self::key_of(organization, user)).await?;
        let (Some(anchor), Some(membership)) = (anchor, membership) else {
            return Err(Error::new(&codes::NOT_FOUND));
        };
        if anchor.disabled_at.is_some() || membership.status != Status::Active {
            return Err(Error::new(&codes::PERSON_DISABLED));
        }
        Ok(membership)
    }

    /// What their roles let them do now.
    pub async fn grants(&self, store: &Store) -> Result<Grants> {
        grants_of_roles(store, self.organization, &self.roles).await
    }
}
