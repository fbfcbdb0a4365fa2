//! A person in a tenant: what that tenant knows of them, and whether they may come in.

use std::collections::{BTreeMap, BTreeSet};

use super::email::EmailAddress;
use super::field::Field;
use super::listing;
use super::organization::Organization;
use super::source::Source;
use super::user::User;
use crate::access::{Grants, Role, RoleName, grants_of_roles};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::store::{Index, Key, Life, Query, Record, Store, Stored};

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
    /// No: they have left.
    #[n(2)]
    Deprovisioned,
    /// Not yet: they wait for an administrator to admit them.
    #[n(3)]
    Pending,
}

/// Who ended somebody's access; nobody else gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum EndedBy {
    /// An administrator.
    #[n(0)]
    Administrator,
    /// What speaks for people on this connection.
    #[n(1)]
    Source(#[n(0)] ConnectionId),
}

/// A statement from which roles were mapped. Each is kept by itself, so that one source does not take what another gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
pub enum Statement {
    /// A source named the person's groups.
    #[n(0)]
    Groups(#[n(0)] Source),
    /// A source named the person's roles.
    #[n(1)]
    Roles(#[n(0)] Source),
    /// The groups of a connection's directory have the person as a member.
    #[n(2)]
    Members(#[n(0)] ConnectionId),
}

/// A membership.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
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
    /// Roles in authd that administrators gave, or the policy gives to every new member.
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
    /// Roles that follow from a source's groups and roles by the policy's mappings, as of each last statement.
    #[cbor(n(15), default)]
    pub mapped: BTreeMap<Statement, BTreeSet<RoleName>>,
    /// Who ended the access, where somebody did.
    #[n(16)]
    pub ended_by: Option<EndedBy>,
    /// Who wrote a field last.
    #[cbor(n(17), default)]
    pub writers: BTreeMap<Field, Source>,
    /// The source's own roles, as it stated them last: names of the source, never roles of authd by themselves.
    #[cbor(n(18), default)]
    pub upstream_roles: Vec<String>,
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
        indexes.extend(listing::member_indexes(self));
        indexes
    }
}

impl Membership {
    /// An active member of whom nothing is known.
    pub fn new(organization: OrganizationId, user: UserId, now: Timestamp) -> Self {
        Self {
            organization,
            user,
            status: Status::Active,
            email: None,
            email_verified: false,
            name: None,
            given_name: None,
            family_name: None,
            image: None,
            groups: Vec::new(),
            roles: BTreeSet::new(),
            source: None,
            created_at: now,
            updated_at: now,
            extra: None,
            mapped: BTreeMap::new(),
            ended_by: None,
            writers: BTreeMap::new(),
            upstream_roles: Vec::new(),
        }
    }

    /// The roles that follow from mappings.
    pub fn mapped_roles(&self) -> BTreeSet<RoleName> {
        self.mapped.values().flatten().cloned().collect()
    }

    /// Every role that they have: those that were given, and those that were mapped.
    pub fn effective_roles(&self) -> BTreeSet<RoleName> {
        &self.roles | &self.mapped_roles()
    }

    /// Whether they are an owner who may come in.
    pub fn owns(&self) -> bool {
        self.status == Status::Active && self.effective_roles().contains(&RoleName::from(Role::Owner))
    }

    /// Who ended the access. Rows that do not say are from when only administrators suspended, and only sources
    /// said that somebody had left.
    pub fn ender(&self) -> Option<EndedBy> {
        match (self.status, self.ended_by, self.source) {
            (Status::Active | Status::Pending, ..) => None,
            (_, Some(by), _) => Some(by),
            (Status::Deprovisioned, None, Some(source)) => Some(EndedBy::Source(source)),
            _ => Some(EndedBy::Administrator),
        }
    }

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

    /// Active members who have a role, given or mapped; the first `most`.
    pub async fn with_role(
        store: &Store,
        organization: OrganizationId,
        role: &RoleName,
        most: usize,
    ) -> Result<Vec<Self>> {
        let query = Query::by(listing::ROLE, listing::role(organization, role)).limit(most);
        let found = store.page::<Self>(query).await?.items.into_iter().map(|found| found.value);
        Ok(found.filter(|member| member.status == Status::Active && member.effective_roles().contains(role)).collect())
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
        grants_of_roles(store, self.organization, &self.effective_roles()).await
    }
}
