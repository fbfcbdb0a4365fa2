//! What an identity provider says about a person, by name; and the names that the field uses for the same thing.

use std::collections::BTreeMap;

use super::names::{ASSERTION, XSI};
use super::refuse;
use super::tree::Node;
use crate::connection::protocol::Checks;
use crate::error::Result;

/// Values of one person in all: more is not read.
const MAX_VALUES: usize = 2_000;
/// Bytes of one value.
const MAX_VALUE: usize = 4_096;

/// The attributes of a person: all values of each, in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    values: BTreeMap<String, Vec<String>>,
    /// Friendly name → name. One that two attributes have stands for neither.
    friendly: BTreeMap<String, Option<String>>,
}

/// A fact about a person that identity providers send under many names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// E-mail address.
    Email,
    /// The name to show.
    Name,
    /// First name.
    GivenName,
    /// Last name.
    FamilyName,
    /// An https address of a picture.
    Image,
    /// Groups.
    Groups,
    /// Roles.
    Roles,
}

impl Fact {
    /// Its names, the most exact first: URIs of Entra and AD FS, OIDs of X.500 and eduPerson, plain ones.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Email => &[
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
                "urn:oid:0.9.2342.19200300.100.1.3",
                "urn:mace:dir:attribute-def:mail",
                "mail",
                "email",
                "emailAddress",
                "emailaddress",
                "Email",
                "EmailAddress",
                "User.email",
                "user.email",
                "http://schemas.xmlsoap.org/claims/EmailAddress",
            ],
            Self::Name => &[
                "http://schemas.microsoft.com/identity/claims/displayname",
                "urn:oid:2.16.840.1.113730.3.1.241",
                "urn:mace:dir:attribute-def:displayName",
                "displayName",
                "displayname",
                "urn:oid:2.5.4.3",
                "cn",
                "name",
                "Name",
                "http://schemas.xmlsoap.org/claims/CommonName",
            ],
            Self::GivenName => &[
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
                "urn:oid:2.5.4.42",
                "urn:mace:dir:attribute-def:givenName",
                "givenName",
                "givenname",
                "given_name",
                "firstName",
                "firstname",
                "first_name",
                "FirstName",
                "User.FirstName",
                "user.firstName",
            ],
            Self::FamilyName => &[
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
                "urn:oid:2.5.4.4",
                "urn:mace:dir:attribute-def:sn",
                "sn",
                "surname",
                "familyName",
                "family_name",
                "lastName",
                "lastname",
                "last_name",
                "LastName",
                "User.LastName",
                "user.lastName",
            ],
            Self::Image => &["picture", "photo", "avatar", "image", "thumbnailPhoto"],
            Self::Groups => &[
                "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
                "http://schemas.xmlsoap.org/claims/Group",
                "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
                "isMemberOf",
                "groups",
                "Groups",
                "group",
                "memberOf",
            ],
            Self::Roles => &[
                "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
                "urn:oid:1.3.6.1.4.1.5923.1.1.1.7",
                "roles",
                "Roles",
                "role",
                "Role",
            ],
        }
    }
}

/// What Entra sends instead of the groups of somebody who has too many of them (more than 150 in SAML).
const OVERAGE: &[&str] = &[
    "http://schemas.microsoft.com/claims/groups.link",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups.link",
];

impl Attributes {
    /// Every attribute, by name.
    pub fn all(&self) -> &BTreeMap<String, Vec<String>> {
        &self.values
    }

    /// The friendly names that stand for exactly one attribute, and for which.
    pub fn friendly(&self) -> impl Iterator<Item = (&str, &str)> {
        self.friendly.iter().filter_map(|(friendly, name)| Some((friendly.as_str(), name.as_deref()?)))
    }

    /// The values of an attribute by its name, or else by its friendly name.
    pub fn named(&self, name: &str) -> &[String] {
        let direct = self.values.get(name);
        let found = direct.or_else(|| self.values.get(self.friendly.get(name)?.as_deref()?));
        found.map_or(&[], Vec::as_slice)
    }

    /// The values of a fact, under the first of its names that came.
    pub fn fact(&self, fact: Fact) -> &[String] {
        fact.names().iter().map(|name| self.named(name)).find(|values| !values.is_empty()).unwrap_or_default()
    }

    /// The identity provider left the groups out because there are too many, and gave a link to ask instead.
    pub fn group_overage(&self) -> bool {
        OVERAGE.iter().any(|name| self.values.contains_key(*name))
    }

    /// Reads the attribute statements of a verified assertion. Errors: `saml_structure`.
    pub(super) fn read(assertion: Node<'_>, checks: &mut Checks) -> Result<Self> {
        let mut all = Self::default();
        let (mut count, mut cut) = (0, 0);
        for attribute in assertion.all(ASSERTION, "AttributeStatement").flat_map(Node::children) {
            if !attribute.is(ASSERTION, "Attribute") {
                return Err(refuse(checks, "structure", "an Attribute", super::shown(attribute.local())));
            }
            let name = attribute.attribute("Name").unwrap_or_default().trim();
            if name.is_empty() || name.len() > 512 || name.chars().any(char::is_control) {
                return Err(refuse(checks, "structure", "an attribute with a name", "one without"));
            }
            if let Some(friendly) = attribute.attribute("FriendlyName").map(str::trim).filter(|text| !text.is_empty()) {
                let stands = all.friendly.entry(friendly.to_owned()).or_insert_with(|| Some(name.to_owned()));
                if stands.as_deref() != Some(name) {
                    *stands = None;
                }
            }
            let values = all.values.entry(name.to_owned()).or_default();
            for value in attribute.all(ASSERTION, "AttributeValue") {
                let Some(text) = value_of(value) else { continue };
                count += 1;
                if text.len() > MAX_VALUE || count > MAX_VALUES {
                    cut += 1;
                } else {
                    values.push(text);
                }
            }
        }
        if cut > 0 {
            let most = format!("at most {MAX_VALUES} values of {MAX_VALUE} bytes");
            checks.compare("attributes_cut", false, most, format!("{cut} more or longer ones"));
        }
        if all.group_overage() {
            checks.compare("groups_overage", false, "the groups in the assertion", "too many; they were left out");
        }
        checks.pass("attributes", all.values.len());
        Ok(all)
    }
}

/// The text of a value: its own, or that of the one NameID inside (eduPersonTargetedID). What is nil, empty or made of
/// other elements is none.
fn value_of(value: Node<'_>) -> Option<String> {
    let nil = |(namespace, name, value): (&str, &str, &str)| {
        namespace == XSI && name == "nil" && matches!(value, "true" | "1")
    };
    if value.attributes().any(nil) {
        return None;
    }
    let text = value.text().or_else(|| {
        let mut inside = value.children();
        match (inside.next(), inside.next(), value.has_text()) {
            (Some(one), None, false) if one.is(ASSERTION, "NameID") => one.text(),
            _ => None,
        }
    });
    text.filter(|text| !super::tree::trim(text).is_empty())
}
