//! Everything that can be told from the shape of a message, before any cryptography.
//!
//! A wrapped signature always needs a second element of some kind in a second place. So each kind of element that
//! counts has exactly one place here, and a document that has one elsewhere is refused as a whole: nothing of it is
//! pruned, nothing is searched for.

use std::collections::HashSet;

use super::names::{ASSERTION, DSIG, ENVELOPED, EXC_C14N, PROTOCOL, SHA256, SHA384, SHA512, XENC, XML};
use super::tree::{Node, Tree, trim};
use super::{decode, refuse, require, shown};
use crate::connection::protocol::Checks;
use crate::error::{Error, Result, codes};

/// Prefixes that one `InclusiveNamespaces` may name.
const MAX_PREFIXES: usize = 16;
/// Namespace names that canonicalization may have to write out: each again at every element that uses it.
const MAX_NAMESPACE_TEXT: usize = 524_288;
/// Characters of an ID.
const MAX_ID: usize = 256;

/// What stands on top of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Response,
    LogoutRequest,
    LogoutResponse,
    /// An assertion that was decrypted, in an element of ours that declares the prefixes of where its ciphertext stood.
    Decrypted,
}

impl Kind {
    fn root(self) -> Option<&'static str> {
        match self {
            Self::Response => Some("Response"),
            Self::LogoutRequest => Some("LogoutRequest"),
            Self::LogoutResponse => Some("LogoutResponse"),
            Self::Decrypted => None,
        }
    }
}

/// A signature that may be looked at, and what it is about.
#[derive(Clone)]
pub(super) struct Signature<'t> {
    /// The `ds:Signature`.
    pub node: Node<'t>,
    /// The element that it signs: its parent.
    pub signed: Node<'t>,
    /// How the bytes are made and summed up that it signs.
    pub digest: &'t str,
    /// The sum that it states.
    pub digest_value: Vec<u8>,
    /// Prefixes that canonicalization treats as inclusive.
    pub prefixes: Vec<&'t str>,
}

/// A message whose shape holds.
pub(super) struct Screened<'t> {
    /// `samlp:Response` and the like, or the assertion itself when it was decrypted.
    pub root: Node<'t>,
    /// The signature of the root.
    pub root_signature: Option<Signature<'t>>,
    /// The one assertion, if it is not encrypted.
    pub assertion: Option<Node<'t>>,
    /// Its signature.
    pub assertion_signature: Option<Signature<'t>>,
    /// The one assertion, if it is encrypted.
    pub encrypted: Option<Node<'t>>,
}

/// Checks the shape. `algorithms` are the signature methods that are allowed.
/// Errors: `saml_structure`, `saml_reference`, `saml_algorithm`, `saml_signature_invalid`.
pub(super) fn screen<'t>(
    tree: &'t Tree<'_>,
    kind: Kind,
    algorithms: &[&str],
    checks: &mut Checks,
) -> Result<Screened<'t>> {
    let top = tree.root(checks)?;
    orders(top, checks)?;
    if let Some(local) = kind.root()
        && !top.is(PROTOCOL, local)
    {
        return Err(refuse(checks, "structure", format!("a {local} on top"), shown(top.local())));
    }
    let root = match kind {
        Kind::Decrypted => {
            let mut inside = top.children();
            match (inside.next(), inside.next(), top.has_text()) {
                (Some(one), None, false) if one.is(ASSERTION, "Assertion") => one,
                _ => return Err(refuse(checks, "structure", "one Assertion inside", "something else")),
            }
        }
        _ => top,
    };
    let (assertion, encrypted) = match kind {
        Kind::Response => {
            (root.one(ASSERTION, "Assertion", checks)?, root.one(ASSERTION, "EncryptedAssertion", checks)?)
        }
        Kind::Decrypted => (Some(root), None),
        Kind::LogoutRequest | Kind::LogoutResponse => (None, None),
    };
    if assertion.is_some() && encrypted.is_some() {
        return Err(refuse(checks, "structure", "one assertion", "an encrypted one as well"));
    }
    places(top, root, assertion, encrypted, checks)?;
    identities(top, root, assertion, checks)?;
    checks.pass("structure", "each element in its one place");

    let signature = |node: Node<'t>, checks: &mut Checks| -> Result<Option<Signature<'t>>> {
        let Some(found) = node.one(DSIG, "Signature", checks)? else { return Ok(None) };
        self::signature(found, node, algorithms, checks).map(Some)
    };
    let root_signature = signature(root, checks)?;
    // A decrypted assertion is the root itself: what it is signed with is looked at once.
    let within = assertion.filter(|node| node.id != root.id);
    let assertion_signature = within.map_or(Ok(None), |node| signature(node, checks))?;
    Ok(Screened { root, root_signature, assertion, assertion_signature, encrypted })
}

/// Nothing in the document, wherever it stands, orders to fetch something or to compute something. That comes first, so
/// that such an order is called what it is.
pub(super) fn orders(top: Node<'_>, checks: &mut Checks) -> Result<()> {
    for node in top.within() {
        let holds = match (node.namespace(), node.local()) {
            (DSIG, "Reference") => node.attribute("URI").and_then(|uri| uri.strip_prefix('#')).is_some_and(is_id),
            (DSIG, "Transform") => matches!(node.attribute("Algorithm"), Some(ENVELOPED | EXC_C14N)),
            // Whither it may point, decryption says.
            (DSIG, "RetrievalMethod") => {
                node.parent().and_then(Node::parent).is_some_and(|around| around.is(XENC, "EncryptedData"))
            }
            (_, "KeyInfoReference" | "CipherReference") => false,
            _ => true,
        };
        if !holds {
            let said = node.attribute("URI").or_else(|| node.attribute("Algorithm")).unwrap_or("(none)");
            let received = shown(&format!("{} {said}", node.local()));
            checks.compare("reference", false, "references to IDs here, by the usual transforms", received);
            return Err(Error::new(&codes::SAML_REFERENCE));
        }
    }
    Ok(())
}

/// Every element that counts stands in its one place, and nowhere else in the whole document.
fn places(
    top: Node<'_>,
    root: Node<'_>,
    assertion: Option<Node<'_>>,
    encrypted: Option<Node<'_>>,
    checks: &mut Checks,
) -> Result<()> {
    let same = |a: Node<'_>, b: Option<Node<'_>>| b.is_some_and(|b| a.id == b.id);
    let holds_signature = |node: Node<'_>| same(node, Some(root)) || same(node, assertion);
    let mut namespace_text = 0;
    for node in top.within() {
        let parent = node.parent();
        let local = node.local();
        let placed = match local {
            "Response" | "LogoutRequest" | "LogoutResponse" | "AuthnRequest" => same(node, Some(root)),
            "Assertion" => same(node, assertion),
            "EncryptedAssertion" => same(node, encrypted),
            "Signature" => node.namespace() == DSIG && parent.is_some_and(holds_signature),
            "SignedInfo" | "SignatureValue" => {
                node.namespace() == DSIG
                    && parent.is_some_and(|parent| {
                        parent.is(DSIG, "Signature") && parent.parent().is_some_and(holds_signature)
                    })
            }
            // Where signed bytes are moved to when something else shall stand in their place.
            "Object" | "Manifest" | "SignatureProperties" => node.namespace() != DSIG,
            "EncryptedData" => parent.is_some_and(|parent| same(parent, encrypted)),
            "EncryptedKey" => parent.is_some_and(|parent| {
                same(parent, encrypted)
                    || (parent.is(DSIG, "KeyInfo")
                        && parent.parent().is_some_and(|data| data.is(XENC, "EncryptedData")))
            }),
            "EncryptedAttribute" => false,
            _ => true,
        };
        if !placed {
            return Err(refuse(checks, "structure", "each element in its one place", format!("a {}", shown(local))));
        }
        if node.namespace() == DSIG && node.attributes().any(|(namespace, _, _)| !namespace.is_empty()) {
            return Err(refuse(checks, "structure", "plain attributes in the signature", shown(local)));
        }
        namespace_text += node.namespace().len();
        namespace_text += node.attributes().map(|(namespace, _, _)| namespace.len()).sum::<usize>();
    }
    if namespace_text > MAX_NAMESPACE_TEXT {
        return Err(refuse(checks, "limits", "namespaces with short names", "long ones, used often"));
    }
    let allowed: &[(&str, &str)] = &[
        (ASSERTION, "Issuer"),
        (DSIG, "Signature"),
        (PROTOCOL, "Extensions"),
        (PROTOCOL, "Status"),
        (ASSERTION, "Assertion"),
        (ASSERTION, "EncryptedAssertion"),
    ];
    if root.is(PROTOCOL, "Response") {
        only(root, allowed, checks)?;
    }
    if let Some(assertion) = assertion {
        let allowed: &[(&str, &str)] = &[
            (ASSERTION, "Issuer"),
            (DSIG, "Signature"),
            (ASSERTION, "Subject"),
            (ASSERTION, "Conditions"),
            (ASSERTION, "Advice"),
            (ASSERTION, "AuthnStatement"),
            (ASSERTION, "AttributeStatement"),
            (ASSERTION, "AuthzDecisionStatement"),
        ];
        only(assertion, allowed, checks)?;
    }
    Ok(())
}

/// Nothing but those elements directly inside, and no text between them.
pub(super) fn only(node: Node<'_>, allowed: &[(&str, &str)], checks: &mut Checks) -> Result<()> {
    let strange = node.children().find(|child| !allowed.iter().any(|(space, local)| child.is(space, local)));
    if let Some(strange) = strange {
        let expected = format!("what belongs into a {}", node.local());
        return Err(refuse(checks, "structure", expected, format!("a {}", shown(strange.local()))));
    }
    if node.has_text() {
        return Err(refuse(checks, "structure", format!("elements in the {}", node.local()), "text between them"));
    }
    Ok(())
}

/// What can be referred to is named once, in one way.
pub(super) fn identities(
    top: Node<'_>,
    root: Node<'_>,
    assertion: Option<Node<'_>>,
    checks: &mut Checks,
) -> Result<()> {
    let wrong = |checks: &mut Checks, why: &str| refuse(checks, "id", "each element named once, by one ID", why);
    let mut seen = HashSet::new();
    for node in top.within() {
        let mut named = 0;
        for (namespace, local, value) in node.attributes() {
            let like_id = local.eq_ignore_ascii_case("id") || local == "AssertionID";
            if !like_id {
                continue;
            }
            // `xml:id` and its kin: what the library would look up is not what was signed.
            if !namespace.is_empty() {
                return Err(wrong(checks, if namespace == XML { "xml:id" } else { "an ID of another namespace" }));
            }
            named += 1;
            if named > 1 {
                return Err(wrong(checks, "an element with two IDs"));
            }
            if !seen.insert(value) {
                return Err(wrong(checks, "an ID that stands twice"));
            }
        }
    }
    for node in [Some(root), assertion].into_iter().flatten() {
        if !node.attribute("ID").is_some_and(is_id) {
            return Err(wrong(checks, "none, or one with strange characters"));
        }
    }
    Ok(())
}

/// A name without a colon. Some begin theirs with a digit, which XML forbids and nobody minds.
fn is_id(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=MAX_ID).contains(&text.len()) && text.chars().all(plain)
}

/// A signature of the one shape that is understood: one reference, to the element around it.
pub(super) fn signature<'t>(
    node: Node<'t>,
    signed: Node<'t>,
    algorithms: &[&str],
    checks: &mut Checks,
) -> Result<Signature<'t>> {
    only(node, &[(DSIG, "SignedInfo"), (DSIG, "SignatureValue"), (DSIG, "KeyInfo")], checks)?;
    let info = node.exactly(DSIG, "SignedInfo", checks)?;
    let value = node.exactly(DSIG, "SignatureValue", checks)?;
    if let Some(key_info) = node.one(DSIG, "KeyInfo", checks)? {
        self::key_info(key_info, checks)?;
    }
    only(info, &[(DSIG, "CanonicalizationMethod"), (DSIG, "SignatureMethod"), (DSIG, "Reference")], checks)?;
    let c14n = info.exactly(DSIG, "CanonicalizationMethod", checks)?;
    let method = info.exactly(DSIG, "SignatureMethod", checks)?;
    let reference = info.exactly(DSIG, "Reference", checks)?;
    let (prefixes, digest, digest_value) = self::reference(reference, signed, checks)?;

    let algorithm = |node: Node<'t>| node.attribute("Algorithm").unwrap_or("(none)");
    let code = &codes::SAML_ALGORITHM;
    require(checks, "canonicalization", algorithm(c14n) == EXC_C14N, EXC_C14N, algorithm(c14n), code)?;
    exclusive(c14n, checks)?;
    let allowed = algorithms.contains(&algorithm(method));
    require(checks, "signature_algorithm", allowed, "RSA or ECDSA with SHA-256 or better", algorithm(method), code)?;
    only(method, &[], checks)?;
    let allowed = [SHA256, SHA384, SHA512].contains(&digest);
    require(checks, "digest_algorithm", allowed, "SHA-256, SHA-384 or SHA-512", digest, code)?;

    let bytes = value.text().as_deref().and_then(decode::from_base64);
    if bytes.is_none_or(|bytes| bytes.is_empty()) {
        return Err(invalid(checks, "a SignatureValue in base64"));
    }
    // What canonicalization makes of nothing. No element is nothing, so no honest signer ever states it.
    if super::digest(digest, b"").is_some_and(|nothing| nothing == digest_value) {
        return Err(invalid(checks, "the sum of something"));
    }
    Ok(Signature { node, signed, digest, digest_value, prefixes })
}

fn invalid(checks: &mut Checks, expected: &str) -> Error {
    checks.compare("signature", false, expected, "none");
    Error::new(&codes::SAML_SIGNATURE_INVALID)
}

/// What a sender says about its key. None of it is believed; what could make somebody fetch something is refused.
fn key_info(node: Node<'_>, checks: &mut Checks) -> Result<()> {
    let plain = ["X509Data", "KeyValue", "KeyName"];
    for child in node.children() {
        if child.namespace() != DSIG || !plain.contains(&child.local()) {
            checks.compare("key_info", false, "X509Data, KeyValue or KeyName", shown(child.local()));
            return Err(Error::new(&codes::SAML_REFERENCE));
        }
    }
    Ok(())
}

/// One reference, to the parent, by the two transforms that leave nothing to choose.
fn reference<'t>(
    reference: Node<'t>,
    signed: Node<'t>,
    checks: &mut Checks,
) -> Result<(Vec<&'t str>, &'t str, Vec<u8>)> {
    let id = signed.attribute("ID").unwrap_or_default();
    let uri = reference.attribute("URI");
    if uri.and_then(|uri| uri.strip_prefix('#')) != Some(id) || id.is_empty() {
        // To another element: a wrapped signature.
        return Err(refuse(checks, "reference", format!("#{}", shown(id)), shown(uri.unwrap_or("(none)"))));
    }
    only(reference, &[(DSIG, "Transforms"), (DSIG, "DigestMethod"), (DSIG, "DigestValue")], checks)?;
    let transforms = reference.one(DSIG, "Transforms", checks)?;
    let listed: Vec<Node<'t>> = transforms.map(|node| node.children().collect()).unwrap_or_default();
    let (first, second) = match listed.as_slice() {
        [first, second] => (*first, *second),
        _ => return Err(transform(checks, &listed)),
    };
    let named = |node: Node<'_>, wanted: &str| {
        node.is(DSIG, "Transform") && node.attribute("Algorithm") == Some(wanted) && !node.has_text()
    };
    if !named(first, ENVELOPED) || !named(second, EXC_C14N) || first.children().next().is_some() {
        return Err(transform(checks, &listed));
    }
    let prefixes = exclusive(second, checks)?;
    checks.pass("reference", format!("#{}", shown(id)));

    let method = reference.exactly(DSIG, "DigestMethod", checks)?;
    only(method, &[], checks)?;
    let value = reference.exactly(DSIG, "DigestValue", checks)?;
    let bytes = value.text().as_deref().and_then(decode::from_base64);
    let bytes = bytes.ok_or_else(|| invalid(checks, "a DigestValue in base64"))?;
    Ok((prefixes, method.attribute("Algorithm").unwrap_or("(none)"), bytes))
}

fn transform(checks: &mut Checks, listed: &[Node<'_>]) -> Error {
    let names: Vec<&str> = listed.iter().take(3).map(|node| node.attribute("Algorithm").unwrap_or("(none)")).collect();
    checks.compare("transforms", false, format!("{ENVELOPED} {EXC_C14N}"), shown(&names.join(" ")));
    Error::new(&codes::SAML_REFERENCE)
}

/// The one parameter of exclusive canonicalization: the prefixes treated as inclusive.
fn exclusive<'t>(node: Node<'t>, checks: &mut Checks) -> Result<Vec<&'t str>> {
    only(node, &[(EXC_C14N, "InclusiveNamespaces")], checks)?;
    let Some(list) = node.one(EXC_C14N, "InclusiveNamespaces", checks)? else { return Ok(Vec::new()) };
    only(list, &[], checks)?;
    let prefixes: Vec<&str> = list.attribute("PrefixList").unwrap_or_default().split_ascii_whitespace().collect();
    if prefixes.len() > MAX_PREFIXES {
        return Err(refuse(checks, "limits", format!("at most {MAX_PREFIXES} inclusive prefixes"), prefixes.len()));
    }
    Ok(prefixes)
}

/// The text of the one child of that name, without white space around it. `None` where the child is absent.
/// Errors: `saml_structure` for two, and for one that is no plain text.
pub(super) fn text_of<'t>(
    node: Node<'t>,
    namespace: &'t str,
    local: &'t str,
    checks: &mut Checks,
) -> Result<Option<String>> {
    let Some(child) = node.one(namespace, local, checks)? else { return Ok(None) };
    let text = child.text().ok_or_else(|| refuse(checks, "structure", format!("text in the {local}"), "elements"))?;
    Ok(Some(trim(&text).to_owned()))
}

#[cfg(test)]
mod tests;
