//! Who calls, and what they may do where.

use super::grant::{Grant, Grants};
use crate::error::{Error, Result, codes};
use crate::event::Actor;
use crate::id::{ApiKeyId, InboundId, OrganizationId, ScimTokenId, UserId};

/// A caller whose credential was checked. Holding one is the proof; only the doors' authentication makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// On the machine itself: may do everything, everywhere.
    Operator {
        /// The uid that the kernel named.
        uid: u32,
    },
    /// A holder of an API key.
    ApiKey {
        /// The key.
        id: ApiKeyId,
        /// Its organization.
        organization: OrganizationId,
        /// The person whose key it is; none for a machine's.
        user: Option<UserId>,
        /// What it may do there; of a person's key, what the person may do now besides.
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
    /// A directory, by a token of its. It holds no grant: what it may say goes through the pipeline.
    Directory {
        /// The token.
        token: ScimTokenId,
        /// Its organization.
        organization: OrganizationId,
    },
    /// A service of people, by a message that it signed. It holds no grant either.
    Inbound {
        /// The address it was told to send to.
        endpoint: InboundId,
        /// Its organization.
        organization: OrganizationId,
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
            Self::Directory { .. } | Self::Inbound { .. } | Self::Anonymous => Grants::none(),
        }
    }

    /// The organization the caller belongs to; none for the operator.
    pub fn organization(&self) -> Option<OrganizationId> {
        match self {
            Self::ApiKey { organization, .. }
            | Self::User { organization, .. }
            | Self::Directory { organization, .. }
            | Self::Inbound { organization, .. } => Some(*organization),
            Self::Operator { .. } | Self::System | Self::Anonymous => None,
        }
    }

    /// The person who acts, by themself or by a key of theirs.
    pub fn person(&self) -> Option<UserId> {
        match self {
            Self::ApiKey { user, .. } => *user,
            Self::User { id, .. } => *id,
            Self::Operator { .. } | Self::Directory { .. } | Self::Inbound { .. } | Self::System | Self::Anonymous => {
                None
            }
        }
    }

    /// Refuses to give `grants`, to a role, to a key or to a person, when the caller lacks one of them: with what is
    /// given in hand, a caller would do more than they may. Errors: `grant_exceeds_caller`.
    pub fn may_give(&self, grants: &Grants) -> Result<()> {
        match self.grants().lacks(grants) {
            None => Ok(()),
            Some(grant) => {
                Err(Error::says(&codes::GRANT_EXCEEDS_CALLER, format!("You do not hold the grant `{grant}` yourself.")))
            }
        }
    }

    /// As the log names it.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Operator { uid } => Actor::Operator { uid: *uid },
            Self::ApiKey { id, .. } => Actor::ApiKey(*id),
            Self::User { id: Some(id), .. } => Actor::User(*id),
            Self::Directory { token, .. } => Actor::Scim(*token),
            Self::Inbound { endpoint, .. } => Actor::Webhook(*endpoint),
            // A token for a bare role is the operator's doing; its uid was logged when it was made.
            Self::User { id: None, .. } | Self::System => Actor::System,
            Self::Anonymous => Actor::Anonymous,
        }
    }
}
