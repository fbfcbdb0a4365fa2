//! How a connection reaches its directory: what is kept. What is unset has the default of the preset.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::preset::Defaults;
use crate::crypto::Sealed;
use crate::id::ConnectionId;

/// The place that the password of a connection's own account is sealed for.
pub fn secret_place(connection: ConnectionId) -> String {
    format!("connection/{connection}/ldap/bind_password")
}

/// The LDAP half of a connection, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Config {
    /// Which product the directory is.
    #[n(0)]
    pub preset: Option<Preset>,
    /// Where it is.
    #[n(1)]
    pub servers: Servers,
    /// As whom authd searches.
    #[n(2)]
    pub bind: Bind,
    /// Where people are.
    #[n(3)]
    pub users: Users,
    /// Where groups are.
    #[n(4)]
    pub groups: Groups,
    /// What the attributes mean.
    #[n(5)]
    pub profile: ProfileConfig,
    /// Whether it is read on a schedule.
    #[n(6)]
    pub sync: SyncConfig,
}

/// Products that a directory may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Preset {
    /// OpenLDAP, and what behaves like it.
    #[default]
    #[n(0)]
    Openldap,
    /// Active Directory, of Microsoft or of Samba.
    #[n(1)]
    ActiveDirectory,
    /// FreeIPA.
    #[n(2)]
    Freeipa,
    /// 389 Directory Server.
    #[n(3)]
    #[serde(rename = "389ds")]
    Ds389,
    /// lldap.
    #[n(4)]
    Lldap,
}

/// Where the directory is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Servers {
    /// Asked in this order: the next one when one does not answer.
    #[n(0)]
    pub urls: Vec<String>,
    /// Whether `ldap://` becomes encrypted before anything else is said. Unset: yes, but for a server on this machine.
    #[n(1)]
    pub start_tls: Option<bool>,
    /// The only authorities whose certificates are believed, in PEM form. Unset: those that authd believes everywhere.
    #[n(2)]
    pub ca_certificates: Option<String>,
}

/// As whom authd searches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Bind {
    /// Unset: `direct` where there is a template, `service` where there is an account, else `anonymous`.
    #[n(0)]
    pub mode: Option<BindMode>,
    /// authd's own account.
    #[n(1)]
    pub dn: Option<String>,
    /// Its password, sealed for `secret_place`.
    #[n(2)]
    pub password: Option<Sealed>,
    /// The name that a person binds by, where it follows from what they type: `uid={{username}},ou=people,dc=example,dc=com`.
    #[n(3)]
    pub user_dn_template: Option<String>,
}

/// How authd finds a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum BindMode {
    /// Searches with an account of its own.
    #[n(0)]
    Service,
    /// Searches without an account.
    #[n(1)]
    Anonymous,
    /// Does not search: the name follows from what is typed.
    #[n(2)]
    Direct,
}

/// Where people are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Users {
    /// Everybody who may sign in lies below it.
    #[n(0)]
    pub base: Option<String>,
    /// Whom a typed name means.
    #[n(1)]
    pub filter: Option<String>,
}

/// Where a person's groups are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[cbor(index_only)]
pub enum GroupMode {
    /// In the person's own entry, in an attribute that the directory keeps (`memberOf`).
    #[n(0)]
    MemberOf,
    /// By a search for the groups that name the person.
    #[n(1)]
    Search,
    /// Nowhere.
    #[n(2)]
    None,
}

/// Where groups are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Groups {
    /// Unset: `search` where a base is set, else `memberOf`.
    #[n(0)]
    pub mode: Option<GroupMode>,
    /// Only groups below it count.
    #[n(1)]
    pub base: Option<String>,
    /// The groups of an entry.
    #[n(2)]
    pub filter: Option<String>,
    /// Whether groups of groups count.
    #[n(3)]
    pub nested: Option<bool>,
    /// The attribute that a group is called by.
    #[n(4)]
    pub name_attribute: Option<String>,
}

/// What the attributes mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ProfileConfig {
    /// Which attribute is which field.
    #[n(0)]
    pub mapping: Mapping,
    /// Attributes to keep besides: our name for each, and the attribute it comes from.
    #[n(1)]
    pub extra_fields: BTreeMap<String, String>,
    /// Whether the directory vouches for the addresses in it. Unset: yes. No, where people write their own.
    #[n(2)]
    pub email_verified: Option<bool>,
}

/// Which attribute is which field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Mapping {
    /// Never changes for a person, and is never given to somebody else.
    #[n(0)]
    pub subject: Option<String>,
    /// The account's name.
    #[n(1)]
    pub username: Option<String>,
    /// The e-mail address.
    #[n(2)]
    pub email: Option<String>,
    /// The name to show.
    #[n(3)]
    pub name: Option<String>,
    /// First name.
    #[n(4)]
    pub given_name: Option<String>,
    /// Last name.
    #[n(5)]
    pub family_name: Option<String>,
    /// An https address of a picture.
    #[n(6)]
    pub image: Option<String>,
    /// The groups that the directory keeps in a person's entry.
    #[n(7)]
    pub groups: Option<String>,
    /// Roles, in the directory's own words.
    #[n(8)]
    pub roles: Option<String>,
}

/// Whether, and how, the directory is read on a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct SyncConfig {
    /// Unset: no.
    #[n(0)]
    pub enabled: Option<bool>,
    /// Minutes between two readings; 60 unless set.
    #[n(1)]
    pub every_minutes: Option<u32>,
    /// Whether people become known who have never signed in. Unset: no.
    #[n(2)]
    pub everybody: Option<bool>,
}

impl Config {
    /// What the preset says of what is unset.
    pub fn defaults(&self) -> &'static Defaults {
        Defaults::of(self.preset.unwrap_or_default())
    }

    /// How a person is found.
    pub fn mode(&self) -> BindMode {
        self.bind.mode.unwrap_or(match (&self.bind.user_dn_template, &self.bind.dn) {
            (Some(_), _) => BindMode::Direct,
            (None, Some(_)) => BindMode::Service,
            (None, None) => BindMode::Anonymous,
        })
    }

    /// Whom a typed name means.
    pub fn filter(&self) -> &str {
        self.users.filter.as_deref().unwrap_or(self.defaults().filter)
    }

    /// Where a person's groups are found.
    pub fn group_mode(&self) -> GroupMode {
        self.groups.mode.unwrap_or(if self.groups.base.is_some() { GroupMode::Search } else { GroupMode::MemberOf })
    }

    /// The groups of an entry.
    pub fn group_filter(&self) -> &str {
        self.groups.filter.as_deref().unwrap_or(self.defaults().group_filter)
    }

    /// The attribute that a group is called by.
    pub fn group_name(&self) -> &str {
        self.groups.name_attribute.as_deref().unwrap_or("cn")
    }

    /// Whether groups of groups are looked for: not where the directory has counted them already.
    pub fn nested(&self) -> bool {
        self.groups.nested.unwrap_or(match self.group_mode() {
            GroupMode::Search => true,
            GroupMode::MemberOf => !self.defaults().member_of_is_whole,
            GroupMode::None => false,
        })
    }

    /// The attribute of each field.
    pub fn attribute(&self, field: Attribute) -> &str {
        let (mapping, defaults) = (&self.profile.mapping, self.defaults());
        let (set, default) = match field {
            Attribute::Subject => (&mapping.subject, defaults.subject),
            Attribute::Username => (&mapping.username, defaults.username),
            Attribute::Email => (&mapping.email, "mail"),
            Attribute::Name => (&mapping.name, defaults.name),
            Attribute::GivenName => (&mapping.given_name, "givenName"),
            Attribute::FamilyName => (&mapping.family_name, "sn"),
            Attribute::Groups => (&mapping.groups, "memberOf"),
        };
        set.as_deref().unwrap_or(default)
    }
}

/// A field that is always read from some attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Who it is for good.
    Subject,
    /// The account's name.
    Username,
    /// The e-mail address.
    Email,
    /// The name to show.
    Name,
    /// First name.
    GivenName,
    /// Last name.
    FamilyName,
    /// Groups in the person's entry.
    Groups,
}

impl Attribute {
    /// Each of them.
    pub const ALL: &'static [Self] =
        &[Self::Subject, Self::Username, Self::Email, Self::Name, Self::GivenName, Self::FamilyName, Self::Groups];
}
