//! What products have in common with themselves: filters, attributes, and which names people may type.

use super::config::Preset;
use super::name::Forms;

/// The defaults of a product.
#[derive(Debug)]
pub struct Defaults {
    /// Whom a typed name means.
    pub filter: &'static str,
    /// The attribute that never changes for a person.
    pub subject: &'static str,
    /// The attribute of the account's name.
    pub username: &'static str,
    /// The attribute of the name to show.
    pub name: &'static str,
    /// The groups of an entry.
    pub group_filter: &'static str,
    /// Below which place of its tree `memberOf` names groups, where it names other things besides.
    pub groups_below: Option<&'static str>,
    /// Groups of groups are counted in `memberOf` already.
    pub member_of_is_whole: bool,
    /// A filter that finds groups of groups by itself, where the product has one.
    pub in_chain: Option<&'static str>,
    /// Which names people may type besides account and address.
    pub forms: Forms,
    /// It is asked what its password policy says. Some versions of lldap end a connection over the question, and Active
    /// Directory has another way to tell.
    pub policy: bool,
}

const UID_OR_MAIL: &str = "(|(uid={{username}})(mail={{email}}))";
const MEMBER: &str = "(member={{dn}})";
const DN: Forms = Forms { windows: false, dn: true };

static OPENLDAP: Defaults = Defaults {
    filter: UID_OR_MAIL,
    subject: "entryUUID",
    username: "uid",
    name: "cn",
    group_filter: MEMBER,
    groups_below: None,
    member_of_is_whole: false,
    in_chain: None,
    forms: DN,
    policy: true,
};

static ACTIVE_DIRECTORY: Defaults = Defaults {
    filter: "(&(objectCategory=person)(objectClass=user)\
             (|(sAMAccountName={{username}})(userPrincipalName={{username}})(mail={{email}})))",
    subject: "objectGUID",
    username: "sAMAccountName",
    name: "displayName",
    group_filter: MEMBER,
    groups_below: None,
    member_of_is_whole: false,
    // LDAP_MATCHING_RULE_IN_CHAIN
    in_chain: Some("(member:1.2.840.113556.1.4.1941:={{dn}})"),
    forms: Forms { windows: true, dn: true },
    policy: false,
};

static FREEIPA: Defaults = Defaults {
    filter: "(&(objectClass=posixAccount)(|(uid={{username}})(mail={{email}})(krbPrincipalName={{username}})))",
    subject: "ipaUniqueID",
    username: "uid",
    name: "cn",
    group_filter: MEMBER,
    // Beside them: roles, permissions, privileges, and rules of access and of sudo.
    groups_below: Some("cn=groups,cn=accounts"),
    member_of_is_whole: true,
    in_chain: None,
    forms: DN,
    policy: true,
};

static DS389: Defaults = Defaults {
    filter: UID_OR_MAIL,
    subject: "nsUniqueId",
    username: "uid",
    name: "cn",
    group_filter: "(|(member={{dn}})(uniqueMember={{dn}}))",
    groups_below: None,
    member_of_is_whole: true,
    in_chain: None,
    forms: DN,
    policy: true,
};

static LLDAP: Defaults = Defaults {
    filter: "(&(objectClass=person)(|(uid={{username}})(mail={{email}})))",
    subject: "entryUUID",
    username: "uid",
    name: "cn",
    group_filter: MEMBER,
    groups_below: None,
    member_of_is_whole: true,
    in_chain: None,
    forms: DN,
    policy: false,
};

impl Defaults {
    /// Those of a product.
    pub fn of(preset: Preset) -> &'static Self {
        match preset {
            Preset::Openldap => &OPENLDAP,
            Preset::ActiveDirectory => &ACTIVE_DIRECTORY,
            Preset::Freeipa => &FREEIPA,
            Preset::Ds389 => &DS389,
            Preset::Lldap => &LLDAP,
        }
    }
}
