//! What an owner writes. Defaults first in every list; unknown names and values are refused, never silently defaulted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::RoleName;

/// A closed list of words, the default first.
macro_rules! words {
    ($(#[doc = $about:literal])* $name:ident { $(#[doc = $default_doc:literal])* $default:ident, $($(#[doc = $doc:literal])* $word:ident,)* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub enum $name {
            $(#[doc = $default_doc])* #[default] $default,
            $($(#[doc = $doc])* $word,)*
        }
    };
}

words! {
    /// Whether an identity that nobody knows may become one of a person who is known by e-mail address.
    Linking {
        /// Only of a person whom the same connection brought.
        SameConnection,
        /// Never.
        None,
        /// Of any person with that address, if the provider verified it and the connection owns its domain.
        VerifiedEmail,
    }
}

words! {
    /// Whether signing in changes what is known of a person.
    UpdateProfile {
        /// Only fields that are empty.
        Missing,
        /// Nothing.
        Never,
        /// Everything that the provider says.
        Always,
    }
}

words! {
    /// Whether provisioning by SCIM, and directory sync, change what is known of a person.
    UpdateFromDirectory {
        /// Everything that the directory says.
        Always,
        /// Nothing.
        Never,
        /// Only fields that are empty.
        Missing,
    }
}

words! {
    /// Whose word about a field is the last: what it has set, only it changes.
    Authority {
        /// Administrators, by API, terminal or command line.
        App,
        /// Sign-ins through a connection.
        Connection,
        /// The directory: SCIM, or a directory that is synchronized.
        Scim,
    }
}

words! {
    /// How a person of SCIM is recognized who was here before.
    ReuseUser {
        /// By the `externalId`.
        ExternalId,
        /// Not at all.
        None,
    }
}

words! {
    /// What becomes of a person whom nobody knows.
    JitMode {
        /// They become a member.
        CreateUserAndMembership,
        /// They become known and wait for an administrator to admit them.
        CreateUser,
        /// They are refused.
        Off,
    }
}

words! {
    /// What a source's word that somebody has left does.
    DeprovisionMode {
        /// Their access ends; what is known of them stays.
        Soft,
        /// Their access ends, and what this organization knows of them is deleted.
        Hard,
    }
}

words! {
    /// Whether a source's groups count.
    GroupsMode {
        /// They are kept as evidence, and nothing follows from them.
        Ignore,
        /// They are kept as groups of the directory, and the mapping gives roles by them.
        Sync,
    }
}

words! {
    /// Whether a source's roles count.
    RolesMode {
        /// Nothing follows from them.
        Ignore,
        /// The mapping gives roles by them.
        Map,
    }
}

/// The policy of an organization. What is left out is the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Policy {
    /// The version of this form: 1.
    pub version: u32,
    /// Who is who.
    pub identity: IdentityPolicy,
    /// Who becomes known, and whose word counts.
    pub provisioning: ProvisioningPolicy,
}

impl Default for Policy {
    fn default() -> Self {
        Self { version: 1, identity: IdentityPolicy::default(), provisioning: ProvisioningPolicy::default() }
    }
}

/// Who is who.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IdentityPolicy {
    /// By protocol, whether an unknown identity may become one of a known person.
    pub account_linking: AccountLinking,
}

/// By protocol, whether an unknown identity may become one of a known person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AccountLinking {
    /// Through OpenID Connect (and social sign-in).
    pub oidc: Linking,
    /// Through SAML (and LDAP).
    pub saml: Linking,
}

/// Who becomes known, and whose word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProvisioningPolicy {
    /// What is known of people.
    pub user: UserPolicy,
    /// How SCIM recognizes people who were here before.
    pub scim_reuse: ScimReuse,
    /// What becomes of strangers.
    pub jit: JitPolicy,
    /// What becomes of leavers.
    pub deprovision: DeprovisionPolicy,
    /// What follows from groups.
    pub groups: GroupsPolicy,
    /// What follows from a source's roles.
    pub roles: RolesPolicy,
}

/// What is known of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UserPolicy {
    /// Whether signing in may make somebody known at all; `false` is as `jit.mode: off`.
    pub create_on_sign_in: bool,
    /// Whether signing in changes a profile.
    pub update_profile_on_login: UpdateProfile,
    /// Whether the directory changes a profile.
    pub update_profile_from_scim: UpdateFromDirectory,
    /// Whose word about a field is the last.
    pub authority: Authority,
}

impl Default for UserPolicy {
    fn default() -> Self {
        Self {
            create_on_sign_in: true,
            update_profile_on_login: UpdateProfile::default(),
            update_profile_from_scim: UpdateFromDirectory::default(),
            authority: Authority::default(),
        }
    }
}

/// How SCIM recognizes people who were here before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ScimReuse {
    /// People.
    pub user: ReuseUser,
}

/// What becomes of strangers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct JitPolicy {
    /// Whether they become members.
    pub mode: JitMode,
    /// The roles of a new member.
    pub default_role_ids: Vec<RoleName>,
}

/// What becomes of leavers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeprovisionPolicy {
    /// Whether what is known of them stays.
    pub mode: DeprovisionMode,
}

/// What follows from groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GroupsPolicy {
    /// Whether they count.
    pub mode: GroupsMode,
    /// A source's group, and the roles of authd that its members have. A group gives no role but by this.
    pub mapping: BTreeMap<String, Vec<RoleName>>,
}

/// What follows from a source's roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RolesPolicy {
    /// Whether they count.
    pub mode: RolesMode,
    /// A source's role, and the roles of authd that follow from it. A role follows but by this.
    pub mapping: BTreeMap<String, Vec<RoleName>>,
}
