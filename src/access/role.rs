//! The built-in roles of an organization.

use super::grant::{Grant, Grants};
use crate::error::{Error, Result, codes};

/// A role that every organization has.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Role {
    /// Everything but vouching for domains.
    #[n(0)]
    Owner,
    /// What an owner may, but for the organization itself and its keys.
    #[n(1)]
    Admin,
    /// Signs in.
    #[n(2)]
    Member,
    /// Sees, and changes nothing.
    #[n(3)]
    Viewer,
}

impl Role {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Owner, Self::Admin, Self::Member, Self::Viewer];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

    /// What it may do. No role of a tenant vouches for domains: that would let one tenant take another's addresses.
    pub fn grants(self) -> Grants {
        let all = || Grant::ALL.iter().copied().filter(|grant| *grant != Grant::ConnectionDomainTrust);
        match self {
            Self::Owner => all().collect(),
            Self::Admin => {
                all().filter(|grant| !matches!(grant, Grant::OrganizationManage | Grant::ApiKeyManage)).collect()
            }
            Self::Member => Grants::none(),
            Self::Viewer => all().filter(|grant| grant.name().ends_with(".read")).collect(),
        }
    }
}

impl std::str::FromStr for Role {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|role| role.name() == text).ok_or_else(|| {
            Error::says(&codes::INVALID_INPUT, "There is no such role.")
                .help("The roles are: owner, admin, member, viewer.")
        })
    }
}
