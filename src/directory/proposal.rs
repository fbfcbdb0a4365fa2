//! What a source would like to be true, and what is known of the source.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::field::Fields;
use super::profile::Profile;
use super::source::Source;
use crate::access::RoleName;
use crate::id::{ConnectionId, DirectoryGroupId, IssuerId, OrganizationId, UserId};
use crate::policy::{Policy, Protocol};

/// What a source would like to be true of a person or of a group.
#[derive(Clone, Debug)]
pub enum Proposal {
    /// Of a person.
    Person(Box<PersonProposal>),
    /// Of a group of a directory.
    Group(GroupProposal),
}

/// What a source would like to be true of a person. What is absent is left as it is.
#[derive(Clone, Debug)]
pub struct PersonProposal {
    /// Who speaks.
    pub source: Source,
    /// The person, where the source knows them by our id.
    pub user: Option<UserId>,
    /// The source's own identifier of the person, by which they sign in.
    pub subject: Option<String>,
    /// The source's handle of the person's record (`externalId` of SCIM).
    pub external_id: Option<String>,
    /// What it says of the fields of the profile.
    pub fields: Fields,
    /// Whether the source has verified the address that it sets. Of a directory it is not asked: it speaks for the
    /// domains of its connection.
    pub email_verified: bool,
    /// What the connection's mapping keeps besides; all of it.
    pub extra: Option<Map<String, Value>>,
    /// The source's groups of the person; all of them.
    pub groups: Option<Vec<String>>,
    /// The source's roles of the person, all of them: its own names, never roles of authd by themselves.
    pub roles: Option<Vec<String>>,
    /// Whether they belong to the organization. Left out, that is not changed.
    pub active: Option<bool>,
    /// A directory has the person no more: their places in its groups end, and what follows from these.
    pub gone: bool,
    /// What only an administrator can wish; read where `source` is one.
    pub orders: Orders,
}

/// What only an administrator can wish of a person.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// The roles that administrators give; all of them.
    pub roles: Option<BTreeSet<RoleName>>,
    /// Through which connection somebody new is expected to sign in first; whichever proves the address, if absent.
    pub expected: Option<ConnectionId>,
    /// How an access is ended.
    pub ending: Ending,
    /// The access is given back although a source has ended it.
    pub force: bool,
}

/// How an administrator ends somebody's access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Until an administrator gives it back.
    #[default]
    Suspend,
    /// As a source does whose person has left: soft or hard, by the policy.
    Remove,
    /// With all that is known of them, whatever the policy says.
    Delete,
}

impl PersonProposal {
    /// One that says nothing yet.
    pub fn of(source: Source) -> Self {
        Self {
            source,
            user: None,
            subject: None,
            external_id: None,
            fields: Fields::none(),
            email_verified: false,
            extra: None,
            groups: None,
            roles: None,
            active: None,
            gone: false,
            orders: Orders::default(),
        }
    }

    /// What a sign-in through a connection says.
    pub fn sign_in(connection: ConnectionId, subject: &str, profile: &Profile) -> Self {
        Self {
            subject: Some(subject.to_owned()),
            fields: profile.into(),
            email_verified: profile.email_verified,
            extra: (!profile.extra.is_empty()).then(|| profile.extra.clone()),
            groups: Some(profile.groups.clone()),
            roles: Some(profile.roles.clone()),
            ..Self::of(Source::SignIn(connection))
        }
    }

    /// What a token of a trusted issuer says.
    pub fn token(issuer: IssuerId, subject: &str, profile: &Profile) -> Self {
        Self {
            subject: Some(subject.to_owned()),
            fields: profile.into(),
            email_verified: profile.email_verified,
            ..Self::of(Source::Issuer(issuer))
        }
    }

    /// What an administrator says of somebody who is known.
    pub fn about(user: UserId) -> Self {
        Self { user: Some(user), ..Self::of(Source::Admin) }
    }
}

/// What a directory would like to be true of one of its groups.
#[derive(Clone, Debug)]
pub struct GroupProposal {
    /// Who speaks.
    pub source: Source,
    /// The group, where the source knows it by our id.
    pub group: Option<DirectoryGroupId>,
    /// The source's handle of it.
    pub external_id: Option<String>,
    /// Its name. Left out, that is not changed.
    pub name: Option<String>,
    /// Who is in it.
    pub members: Members,
    /// It shall be no more.
    pub gone: bool,
}

/// Who shall be in a group.
#[derive(Clone, Debug, Default)]
pub enum Members {
    /// Whoever is.
    #[default]
    Keep,
    /// These and nobody else.
    Set(Vec<UserId>),
    /// These, too.
    Add(Vec<UserId>),
    /// These no longer.
    Remove(Vec<UserId>),
}

/// What is known of a source, and what its organization allows.
#[derive(Clone, Debug)]
pub struct SourceFacts {
    /// Whose it is.
    pub organization: OrganizationId,
    /// By which rule of account linking its connection goes.
    pub protocol: Protocol,
    /// What the connection says about strangers; unset leaves it to the policy.
    pub jit: Option<bool>,
    /// The role of a new member, where the connection names one; it goes before the policy's.
    pub default_role: Option<RoleName>,
    /// The domains that the connection has proven.
    pub domains: Vec<String>,
    /// Whether another connection has proven the domain of the arriving address.
    pub domain_owned_elsewhere: bool,
    /// The organization's policy.
    pub policy: Policy,
}

impl SourceFacts {
    /// Those of administrators, who have no connection.
    pub fn of_administrators(organization: OrganizationId, policy: Policy) -> Self {
        Self {
            organization,
            protocol: Protocol::Oidc,
            jit: None,
            default_role: None,
            domains: Vec::new(),
            domain_owned_elsewhere: false,
            policy,
        }
    }
}
