//! The assertion itself, read from the bytes that were signed and from nothing else.

use super::attributes::Attributes;
use super::limits::Limits;
use super::names::{ASSERTION, BEARER, PERSISTENT, TRANSIENT, UNSPECIFIED};
use super::screen::{only, text_of};
use super::tree::{Node, Tree};
use super::{NameId, refuse, shown};
use crate::connection::protocol::Checks;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// Canonical form declares a namespace again wherever it is used, so there are more declarations in it than before.
pub(super) const CANONICAL: Limits = Limits {
    depth: 32,
    elements: 5_000,
    attributes: 96,
    all_attributes: 60_000,
    namespaces: 64,
    in_scope: 1_024,
    remarks: false,
};

/// Characters of a NameID.
const MAX_NAME_ID: usize = 256;

/// What a verified assertion says; whether it is meant for us and for now is looked at elsewhere.
pub(super) struct Statement {
    pub id: String,
    pub version: String,
    pub issue_instant: Option<Timestamp>,
    pub issuer: Option<String>,
    pub name_id: NameId,
    pub confirmations: Vec<Confirmation>,
    pub conditions: Option<Conditions>,
    pub authn: Vec<Authn>,
    pub attributes: Attributes,
}

/// How somebody who brings the assertion shows to be its subject, by bearing it.
pub(super) struct Confirmation {
    pub recipient: Option<String>,
    pub in_response_to: Option<String>,
    pub not_before: Option<Timestamp>,
    pub not_on_or_after: Option<Timestamp>,
}

/// When and for whom the assertion holds.
pub(super) struct Conditions {
    pub not_before: Option<Timestamp>,
    pub not_on_or_after: Option<Timestamp>,
    /// Every restriction must have us among its audiences.
    pub audiences: Vec<Vec<String>>,
}

/// How and when the person signed in there.
pub(super) struct Authn {
    pub instant: Option<Timestamp>,
    pub session_index: Option<String>,
    pub session_not_on_or_after: Option<Timestamp>,
    pub class: Option<String>,
}

/// Reads the one assertion in `octets`: they are it, or the Response around it.
/// Errors: `saml_structure`, `saml_nameid`, `saml_conditions`.
pub(super) fn read(octets: &str, checks: &mut Checks) -> Result<Statement> {
    let tree = Tree::parse(octets, &CANONICAL, checks)?;
    let root = tree.root(checks)?;
    let assertion = if root.is(ASSERTION, "Assertion") { root } else { root.exactly(ASSERTION, "Assertion", checks)? };
    let subject = assertion.exactly(ASSERTION, "Subject", checks)?;
    Ok(Statement {
        id: assertion.attribute("ID").unwrap_or_default().to_owned(),
        version: assertion.attribute("Version").unwrap_or_default().to_owned(),
        issue_instant: assertion.moment("IssueInstant", checks)?,
        issuer: text_of(assertion, ASSERTION, "Issuer", checks)?,
        name_id: name_id(subject, checks)?,
        confirmations: confirmations(subject, checks)?,
        conditions: assertion.one(ASSERTION, "Conditions", checks)?.map(|node| conditions(node, checks)).transpose()?,
        authn: assertion.all(ASSERTION, "AuthnStatement").map(|node| authn(node, checks)).collect::<Result<_>>()?,
        attributes: Attributes::read(assertion, checks)?,
    })
}

/// The NameID of a subject or of a logout request. Its text is taken as it is: nothing is trimmed or folded, so no
/// two people become one. Errors: `saml_nameid`, `saml_structure` for two of them.
pub(super) fn name_id(around: Node<'_>, checks: &mut Checks) -> Result<NameId> {
    let refused = |checks: &mut Checks, received: &str| {
        checks.compare("name_id", false, "a NameID of 1 to 256 characters", received);
        Error::new(&codes::SAML_NAMEID)
    };
    if around.all(ASSERTION, "EncryptedID").next().is_some() || around.all(ASSERTION, "BaseID").next().is_some() {
        return Err(refused(checks, "an EncryptedID or BaseID"));
    }
    let Some(node) = around.one(ASSERTION, "NameID", checks)? else { return Err(refused(checks, "none")) };
    let Some(value) = node.text() else { return Err(refused(checks, "one with elements inside")) };
    if value.is_empty() {
        return Err(refused(checks, "an empty one"));
    }
    if value.chars().count() > MAX_NAME_ID {
        return Err(refused(checks, "a longer one"));
    }
    if value.trim() != value || value.chars().any(char::is_control) {
        return Err(refused(checks, "one with spaces around it or control characters"));
    }
    let owned = |name: &str| node.attribute(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let name_id = NameId {
        value,
        format: owned("Format").unwrap_or_else(|| UNSPECIFIED.to_owned()),
        name_qualifier: owned("NameQualifier"),
        sp_name_qualifier: owned("SPNameQualifier"),
    };
    checks.pass("name_id", shown(&name_id.format));
    Ok(name_id)
}

fn confirmations(subject: Node<'_>, checks: &mut Checks) -> Result<Vec<Confirmation>> {
    only(subject, &[(ASSERTION, "NameID"), (ASSERTION, "SubjectConfirmation")], checks)?;
    let mut found = Vec::new();
    for node in subject.all(ASSERTION, "SubjectConfirmation") {
        if node.attribute("Method") != Some(BEARER) {
            continue;
        }
        let data = node.one(ASSERTION, "SubjectConfirmationData", checks)?;
        let text = |name: &str| data.and_then(|data| data.attribute(name)).map(str::to_owned);
        let mut moment = |name: &str| data.map_or(Ok(None), |data| data.moment(name, checks));
        found.push(Confirmation {
            recipient: text("Recipient"),
            in_response_to: text("InResponseTo"),
            not_before: moment("NotBefore")?,
            not_on_or_after: moment("NotOnOrAfter")?,
        });
    }
    Ok(found)
}

fn conditions(node: Node<'_>, checks: &mut Checks) -> Result<Conditions> {
    let mut audiences = Vec::new();
    for condition in node.children() {
        if condition.is(ASSERTION, "AudienceRestriction") {
            only(condition, &[(ASSERTION, "Audience")], checks)?;
            let named = condition.all(ASSERTION, "Audience").map(|audience| audience.text().unwrap_or_default());
            audiences.push(named.map(|text| super::tree::trim(&text).to_owned()).collect());
        } else if !condition.is(ASSERTION, "OneTimeUse") && !condition.is(ASSERTION, "ProxyRestriction") {
            // A condition that is not understood is not known to hold (core §2.5.1.1).
            checks.compare("conditions", false, "conditions that are known", shown(condition.local()));
            return Err(Error::new(&codes::SAML_CONDITIONS));
        }
    }
    Ok(Conditions {
        not_before: node.moment("NotBefore", checks)?,
        not_on_or_after: node.moment("NotOnOrAfter", checks)?,
        audiences,
    })
}

fn authn(node: Node<'_>, checks: &mut Checks) -> Result<Authn> {
    let index = node.attribute("SessionIndex").filter(|index| !index.is_empty());
    if index.is_some_and(|index| index.len() > 512 || index.chars().any(char::is_control)) {
        return Err(refuse(checks, "session_index", "at most 512 bytes of text", "something else"));
    }
    let context = node.one(ASSERTION, "AuthnContext", checks)?;
    Ok(Authn {
        instant: node.moment("AuthnInstant", checks)?,
        session_index: index.map(str::to_owned),
        session_not_on_or_after: node.moment("SessionNotOnOrAfter", checks)?,
        class: context.map_or(Ok(None), |context| text_of(context, ASSERTION, "AuthnContextClassRef", checks))?,
    })
}

impl NameId {
    /// Who this is for good, as one text: format and value, and the qualifier where it is not the identity provider
    /// itself, so that two people of two name spaces stay two. Errors: `saml_nameid` for a transient one, which is
    /// another the next time.
    pub fn key(&self, idp_entity_id: &str) -> Result<String> {
        if self.format == TRANSIENT {
            return Err(Error::says(
                &codes::SAML_NAMEID,
                "The identity provider sends a transient NameID, which is a new one each time.",
            )
            .help(
                "Ask for another by `request.nameIdFormat`, for example persistent or emailAddress, or name an attribute in `profile.mapping.subject`.",
            ));
        }
        Ok(match &self.name_qualifier {
            Some(qualifier) if self.format == PERSISTENT && qualifier != idp_entity_id => {
                format!("{}|{qualifier}|{}", self.format, self.value)
            }
            _ => format!("{}|{}", self.format, self.value),
        })
    }
}
