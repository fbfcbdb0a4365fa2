//! Signatures over a screened tree, by pinned keys alone.
//!
//! What comes back is not a verdict about a document but the bytes that were signed. Whoever wants to know what an
//! identity provider said parses those bytes, so nothing outside them can be read by mistake.

use bergshamra::c14n::{C14nMode, canonicalize_doc};
use bergshamra::dsig::verify::verify_all_document_with_source;
use bergshamra::xml::nodeset::NodeSet;
use bergshamra::{DsigContext, KeysManager, VerifyResult};

use super::certificate::{self, Certificate};
use super::screen::Signature;
use super::tree::{Node, Tree};
use crate::connection::protocol::Checks;
use crate::crypto::same;
use crate::error::{Error, Result, codes};

/// The keys of one connection, ready to be tried.
pub(super) struct Keys {
    context: DsigContext,
}

impl Keys {
    /// From pinned certificates. Those that cannot sign well enough (RSA below 2048 bits, DSA) are left out.
    /// Errors: `saml_signature_missing` when none is pinned, `saml_algorithm` when none is strong enough.
    pub fn pinned(certificates: &[Vec<u8>], checks: &mut Checks) -> Result<Self> {
        if certificates.is_empty() {
            checks.compare("certificates", false, "at least one pinned certificate", "none");
            return Err(Error::new(&codes::SAML_SIGNATURE_MISSING));
        }
        let mut manager = KeysManager::new();
        for der in certificates {
            if Certificate::read(der).is_some_and(|certificate| certificate.usable)
                && let Ok(key) = bergshamra::keys::loader::load_x509_cert_der(der)
            {
                manager.add_key(key);
            }
        }
        if manager.is_empty() {
            checks.compare("certificates", false, "RSA of 2048 bits or more, or ECDSA", "weaker ones");
            return Err(Error::new(&codes::SAML_ALGORITHM));
        }
        // As `new` has it: pinned keys alone, strict positions, every digest computed here. Certificates are pins, not
        // chains: their dates are warned about elsewhere and keep nobody out.
        Ok(Self { context: DsigContext::new(manager) })
    }
}

/// What a signature vouches for.
pub(super) struct Signed {
    /// The canonical bytes that were summed up and signed, without the signature itself.
    pub octets: String,
    /// The SHA-256 of the pinned certificate whose key it was, in hexadecimal.
    pub thumbprint: String,
}

/// Verifies every signature of the tree; `signatures` are all that the screen found there. They come back in the same
/// order. Errors: `saml_signature_invalid` as soon as one of them does not hold.
pub(super) fn verify(
    tree: &Tree<'_>,
    signatures: &[(&str, &Signature<'_>)],
    keys: &Keys,
    checks: &mut Checks,
) -> Result<Vec<Signed>> {
    if signatures.is_empty() {
        return Ok(Vec::new());
    }
    let fail = |name: &str, why: &str, checks: &mut Checks| {
        checks.compare(name, false, "made by a pinned key over these bytes", super::shown(why));
        Error::new(&codes::SAML_SIGNATURE_INVALID)
    };
    let first = signatures.first().map_or("signature", |(name, _)| *name);
    let top = tree.root(checks)?;
    if top.within().flat_map(Node::declarations).any(|(_, uri)| !uri.is_empty() && !is_absolute(uri)) {
        return Err(fail(first, "a namespace without a scheme has no canonical form", checks));
    }
    let results = verify_all_document_with_source(&keys.context, &tree.document, Some(tree.text))
        .map_err(|error| fail(first, &error.to_string(), checks))?;
    if results.len() != signatures.len() {
        return Err(fail(first, "another number of signatures", checks));
    }
    let mut signed = Vec::with_capacity(signatures.len());
    for (name, signature) in signatures {
        let mut found = None;
        for result in &results {
            match result {
                VerifyResult::Valid { signature_node, references, key_info }
                    if *signature_node == signature.node.id =>
                {
                    let about_parent = match references.as_slice() {
                        [one] => one.resolved_node == Some(signature.signed.id) && one.digest_verified,
                        _ => false,
                    };
                    if !about_parent {
                        return Err(fail(name, "about another element", checks));
                    }
                    found = Some(key_info);
                }
                VerifyResult::Valid { .. } => {}
                VerifyResult::Invalid { reason } => return Err(fail(name, reason, checks)),
            }
        }
        let key = found.ok_or_else(|| fail(name, "not verified", checks))?;
        let octets = octets(tree, signature).ok_or_else(|| fail(name, "no canonical form", checks))?;
        // The library has summed up the same bytes. That these are the same is what everything rests on, so it is
        // checked rather than believed.
        let sum = super::digest(signature.digest, octets.as_bytes());
        if octets.is_empty() || !sum.is_some_and(|sum| same(&sum, &signature.digest_value)) {
            return Err(fail(name, "over other bytes", checks));
        }
        let thumbprint = key.x509_chain.first().map(|der| certificate::thumbprint(der)).unwrap_or_default();
        checks.pass(name, &thumbprint);
        signed.push(Signed { octets, thumbprint });
    }
    Ok(signed)
}

/// Canonical form is an error for a relative namespace (C14N §1.3), and for what is no URI. Libraries differ in what they
/// make of it; some make nothing, and sign that.
fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(letters) && rest.chars().all(plain)
}

/// The bytes that the signature is over: the element without the signature, in exclusive canonical form.
fn octets(tree: &Tree<'_>, signature: &Signature<'_>) -> Option<String> {
    let mut nodes = NodeSet::tree_without_comments(signature.signed.id, &tree.document);
    nodes.remove_id(signature.node.id);
    for id in tree.document.descendants(signature.node.id) {
        nodes.remove_id(id);
    }
    canonical(tree, &nodes, &signature.prefixes)
}

/// An element that no signature of its own covers, in exclusive canonical form.
pub(super) fn plain(tree: &Tree<'_>, node: Node<'_>) -> Option<String> {
    canonical(tree, &NodeSet::tree_without_comments(node.id, &tree.document), &[])
}

fn canonical(tree: &Tree<'_>, nodes: &NodeSet, prefixes: &[&str]) -> Option<String> {
    let bytes = canonicalize_doc(&tree.document, C14nMode::Exclusive, Some(nodes), prefixes).ok()?;
    String::from_utf8(bytes).ok()
}
