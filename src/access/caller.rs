//! Who calls, and what they may do where.

use super::grant::{Grant, Grants};
use crate::event::Actor;
use crate::id::{ApiKeyId, OrganizationId, UserId};

/// A caller whose credential was checked. Holding one is the proof; only the doors' authentication makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// On the machine itself: may do everything, everywhere.
    Operator {
        /// The uid that the kernel named.
        uid: u32,
    },
    /// A holder of an organization's API key.
    ApiKey {
        /// The key.
        id: ApiKeyId,
        /// Its organization.
        organization: OrganizationId,
        /// What it may do there.
        grants: Grants,
    },
    /// A person with an access token for authd's own API.
    User {
        /// The person; none for a token that the operator made for a bare role.
        id: Option<UserId>,
        /// The organization that the token is for.
        organization: OrganizationId,
        /// What the person may do there.
        grants: Grants,
    },
    /// authd itself.
    System,
    /// Nobody.
    Anonymous,
}

impl Caller {
    /// Whether the caller may act on the whole deployment.
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Operator { .. } | Self::System)
    }

    /// Whether anything of the organization exists for the caller.
    pub fn sees(&self, organization: OrganizationId) -> bool {
        self.is_operator() || self.organization() == Some(organization)
    }

    /// Whether the caller holds the grant in the organization.
    pub fn holds(&self, grant: Grant, organization: OrganizationId) -> bool {
        self.sees(organization) && self.grants().contains(grant)
    }

    /// What the caller may do in its organization; the operator everywhere.
    pub fn grants(&self) -> Grants {
        match self {
            Self::Operator { .. } | Self::System => Grants::all(),
            Self::ApiKey { grants, .. } | Self::User { grants, .. } => grants.clone(),
            Self::Anonymous => Grants::none(),
        }
    }

    /// The organization the caller belongs to; none for the operator.
    pub fn organization(&self) -> Option<OrganizationId> {
        match self {
            Self::ApiKey { organization, .. } | Self::User { organization, .. } => Some(*organization),
            Self::Operator { .. } | Self::System | Self::Anonymous => None,
        }
    }

    /// As the log names it.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Operator { uid } => Actor::Operator { uid: *uid },
            Self::ApiKey { id, .. } => Actor::ApiKey(*id),
            Self::User { id: Some(id), .. } => Actor::User(*id),
            // A token for a bare role is the operator's doing; its uid was logged when it was made.
            Self::User { id: None, .. } | Self::System => Actor::System,
            Self::Anonymous => Actor::Anonymous,
        }
    }
}
