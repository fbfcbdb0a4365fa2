//! What an owner writes. Defaults first in every list; unknown values are refused, never silently defaulted.

use serde::{Deserialize, Serialize};

/// Whether an identity that nobody knows may become one of a person who is known by e-mail address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Linking {
    /// Only of a person whom the same connection brought.
    #[default]
    SameConnection,
    /// Never.
    None,
    /// Of any person with that address, if the provider verified it and the connection owns its domain.
    VerifiedEmail,
}

/// Whether signing in changes what is known of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UpdateProfile {
    /// Only fields that are empty.
    #[default]
    Missing,
    /// Nothing.
    Never,
    /// Everything that the provider says.
    Always,
}

/// What becomes of a person whom nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum JitMode {
    /// They become a member.
    #[default]
    CreateUserAndMembership,
    /// They become known, not a member.
    CreateUser,
    /// They are refused.
    Off,
}

/// The policy of an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// About e-mail addresses that are known already.
    pub linking: Linking,
    /// About profiles.
    pub update_profile: UpdateProfile,
    /// About strangers.
    pub jit: JitMode,
}
