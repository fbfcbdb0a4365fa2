//! Who speaks of people: a sign-in, a directory, an administrator.

use super::identity::IdentitySource;
use crate::id::{ConnectionId, InboundId, IssuerId, OrganizationId};
use crate::policy::Authority;

/// A source of what is known of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
pub enum Source {
    /// Sign-ins through a connection.
    #[n(0)]
    SignIn(#[n(0)] ConnectionId),
    /// Provisioning by SCIM, on a connection.
    #[n(1)]
    Scim(#[n(0)] ConnectionId),
    /// The synchronization of a connection's directory.
    #[n(2)]
    Sync(#[n(0)] ConnectionId),
    /// Administrators, by whatever door.
    #[n(3)]
    Admin,
    /// Webhooks that come in for a connection.
    #[n(4)]
    Inbound(#[n(0)] ConnectionId),
    /// Tokens of a trusted issuer that people come with.
    #[n(5)]
    Issuer(#[n(0)] IssuerId),
    /// Webhooks that come in for no connection.
    #[n(6)]
    InboundAlone(#[n(0)] InboundId),
}

impl Source {
    /// The connection it belongs to.
    pub fn connection(self) -> Option<ConnectionId> {
        match self {
            Self::SignIn(id) | Self::Scim(id) | Self::Sync(id) | Self::Inbound(id) => Some(id),
            // A directory of its own, which no connection ever has the number of.
            Self::InboundAlone(id) => Some(ConnectionId::from_bytes(id.bytes())),
            Self::Admin | Self::Issuer(_) => None,
        }
    }

    /// The directory that an organization has without a connection: its id has the organization's own number, which no
    /// connection ever gets. Whom it brings belongs to no connection yet, and signs in first through whichever proves
    /// their address.
    pub fn own_directory(organization: OrganizationId) -> ConnectionId {
        ConnectionId::from_bytes(organization.bytes())
    }

    /// The connection it belongs to, if there really is one.
    pub fn real_connection(self, organization: OrganizationId) -> Option<ConnectionId> {
        let alone = matches!(self, Self::InboundAlone(_));
        self.connection().filter(|id| !alone && *id != Self::own_directory(organization))
    }

    /// Whose identifiers of people it speaks in.
    pub fn identities(self) -> Option<IdentitySource> {
        match self {
            Self::Issuer(id) => Some(IdentitySource::Issuer(id)),
            other => other.connection().map(IdentitySource::Connection),
        }
    }

    /// Whether the person is there themselves.
    pub fn is_arrival(self) -> bool {
        matches!(self, Self::SignIn(_) | Self::Issuer(_))
    }

    /// As the policy's `authority` calls it.
    pub fn authority(self) -> Authority {
        match self {
            Self::SignIn(_) | Self::Issuer(_) => Authority::Connection,
            Self::Scim(_) | Self::Sync(_) | Self::Inbound(_) | Self::InboundAlone(_) => Authority::Scim,
            Self::Admin => Authority::App,
        }
    }

    /// Its name in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn(_) => "sign_in",
            Self::Scim(_) => "scim",
            Self::Sync(_) => "sync",
            Self::Admin => "administrator",
            Self::Inbound(_) | Self::InboundAlone(_) => "inbound",
            Self::Issuer(_) => "issuer",
        }
    }

    /// Whether it says of each address whether somebody has verified it. The other directories vouch for all of them.
    pub fn says_what_is_verified(self) -> bool {
        matches!(self, Self::Inbound(_) | Self::InboundAlone(_))
    }

    /// Whether it speaks about people who are not there themselves.
    pub fn is_directory(self) -> bool {
        self.authority() == Authority::Scim
    }
}
