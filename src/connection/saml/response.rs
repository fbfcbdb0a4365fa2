//! The answer of an identity provider to a sign-in: from the posted text to what is known of the person.

use std::time::Duration;

use super::assertion::{self, Statement};
use super::decrypt::{self, DecryptionKey};
use super::limits::MESSAGE;
use super::names::{ASSERTION, PROTOCOL, SIGNATURES, SUCCESS};
use super::rules::{Rules, from_provider};
use super::screen::{self, Kind, Screened, Signature, text_of};
use super::tree::{Node, Tree};
use super::verify::{self, Keys, Signed};
use super::{Verified, decode, refuse, shown};
use crate::connection::protocol::Checks;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// Whatever a connection says: clocks may differ by no more.
pub const MAX_SKEW: Duration = Duration::from_secs(300);
/// How old a message may be: it has just been made for a browser that was waiting for it.
pub(super) const MAX_AGE: Duration = Duration::from_secs(600);

/// What must be true of an answer for it to be for us.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// The identity provider of the connection.
    pub idp_entity_id: &'a str,
    /// Its pinned signing certificates, DER. Nothing else is ever trusted.
    pub certificates: &'a [Vec<u8>],
    /// Our own entity id for the connection.
    pub sp_entity_id: &'a str,
    /// Where the answer was posted to: the connection's own address.
    pub acs_url: &'a str,
    /// The time.
    pub now: Timestamp,
    /// By how much clocks may differ; at most 300 s count.
    pub skew: Duration,
    /// The id of the request that this answers. `None`: nobody asked, and the answer must not say that somebody did.
    pub request_id: Option<&'a str>,
    /// What the connection asks for beyond the rule.
    pub want: Want,
    /// Signature algorithms that are allowed; empty for every one of `names::SIGNATURES`. None beyond those ever is.
    pub algorithms: &'a [&'a str],
    /// Keys that assertions may be encrypted to.
    pub decryption_keys: &'a [DecryptionKey],
    /// The authentication context must be one of these, if there are any.
    pub requested_acr: &'a [String],
    /// At most so long since the person really signed in there.
    pub max_age: Option<Duration>,
    /// Bytes of the posted text; at most 256 KiB count.
    pub max_size: usize,
}

/// What a connection asks for beyond the rule that one signature must cover the assertion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// The Response itself must be signed.
    pub response_signed: bool,
    /// The Assertion itself must be signed.
    pub assertion_signed: bool,
    /// The Assertion must be encrypted.
    pub encrypted: bool,
}

/// Reads a posted Response: shape, signatures, decryption, and every rule that needs no store. Whether the assertion
/// was used before is for the caller to know, by `Verified::assertion_id`. Every check is noted, the failing one last.
///
/// Errors: `too_large`, `saml_doctype`, `saml_structure`, `saml_reference`, `saml_algorithm`, `saml_signature_missing`,
/// `saml_signature_invalid`, `saml_decrypt`, `upstream_denied`, `saml_issuer`, `saml_audience`, `saml_recipient`,
/// `saml_destination`, `saml_conditions`, `saml_unsolicited`, `saml_in_response_to`, `saml_expired`,
/// `saml_not_yet_valid`, `saml_nameid`, `saml_authn`.
pub fn read(saml_response: &str, expect: &Expect<'_>, checks: &mut Checks) -> Result<Verified> {
    let text = decode::post(saml_response, expect.max_size, checks)?;
    let tree = Tree::parse(&text, &MESSAGE, checks)?;
    let algorithms = allowed(expect.algorithms);
    let message = screen::screen(&tree, Kind::Response, &algorithms, checks)?;
    status(message.root, checks)?;
    if message.assertion.is_none() && message.encrypted.is_none() {
        return Err(refuse(checks, "structure", "an assertion", "none"));
    }
    // These stand outside every signature so far, so they can only refuse. They come first because an answer of
    // another provider should be called that, not a forgery.
    let issuer = text_of(message.root, ASSERTION, "Issuer", checks)?;
    if issuer.is_some() || message.root_signature.is_some() {
        from_provider(issuer.as_deref(), expect, checks)?;
    }
    if let Some(assertion) = message.assertion {
        from_provider(text_of(assertion, ASSERTION, "Issuer", checks)?.as_deref(), expect, checks)?;
    }
    let keys = Keys::pinned(expect.certificates, checks)?;
    let vouched = signatures(&tree, &message, &keys, expect, checks)?;
    Rules::new(expect, checks).apply(message.root, vouched)
}

/// The allow-list of a connection within ours.
pub(super) fn allowed<'a>(asked: &[&'a str]) -> Vec<&'a str> {
    match asked {
        [] => SIGNATURES.to_vec(),
        some => some.iter().copied().filter(|name| SIGNATURES.contains(name)).collect(),
    }
}

/// An assertion that a verified signature covers.
pub(super) struct Vouched {
    pub statement: Statement,
    pub response_signed: bool,
    pub thumbprint: String,
}

fn signatures(
    tree: &Tree<'_>,
    message: &Screened<'_>,
    keys: &Keys,
    expect: &Expect<'_>,
    checks: &mut Checks,
) -> Result<Vouched> {
    let outer = message.root_signature.as_ref();
    let inner = message.assertion_signature.as_ref();
    let want = expect.want;
    if want.response_signed && outer.is_none() {
        return Err(unsigned("signature_response", checks));
    }
    if want.encrypted && message.encrypted.is_none() {
        checks.compare("encryption", false, "an encrypted assertion", "a plain one");
        return Err(Error::says(&codes::SAML_DECRYPT, "The assertion is not encrypted, as this connection asks."));
    }
    if message.encrypted.is_none() {
        if want.assertion_signed && inner.is_none() {
            return Err(unsigned("signature_assertion", checks));
        }
        if outer.is_none() && inner.is_none() {
            return Err(unsigned("signature", checks));
        }
    }
    let listed: Vec<(&str, &Signature<'_>)> = [("signature_response", outer), ("signature_assertion", inner)]
        .into_iter()
        .filter_map(|(name, signature)| Some((name, signature?)))
        .collect();
    let mut signed = verify::verify(tree, &listed, keys, checks)?;
    let assertion = if inner.is_some() { signed.pop() } else { None };
    let response = signed.pop();
    let response_signed = response.is_some();

    let (octets, thumbprint) = match (message.encrypted, assertion, response) {
        (Some(encrypted), _, response) => {
            let (own, plain) = decrypted(encrypted, keys, expect, response_signed, checks)?;
            match (own, response) {
                (Some(own), _) => (own.octets, own.thumbprint),
                (None, Some(response)) => (plain, response.thumbprint),
                (None, None) => return Err(unsigned("signature_assertion", checks)),
            }
        }
        (None, Some(signed), _) | (None, None, Some(signed)) => (signed.octets, signed.thumbprint),
        (None, None, None) => return Err(unsigned("signature", checks)),
    };
    Ok(Vouched { statement: assertion::read(&octets, checks)?, response_signed, thumbprint })
}

fn unsigned(name: &str, checks: &mut Checks) -> Error {
    checks.compare(name, false, "a signature", "none");
    Error::new(&codes::SAML_SIGNATURE_MISSING)
}

/// Opens the assertion, and has it pass everything that a plain one passes. What comes back is its own signature, if
/// it has one, and its canonical form, if it has none.
fn decrypted(
    encrypted: Node<'_>,
    keys: &Keys,
    expect: &Expect<'_>,
    response_signed: bool,
    checks: &mut Checks,
) -> Result<(Option<Signed>, String)> {
    let opened = decrypt::decrypt(encrypted, expect.decryption_keys, response_signed, checks)?;
    let text = around(encrypted, &opened);
    let tree = Tree::parse(&text, &MESSAGE, checks).map_err(|_| decrypt::failed())?;
    let inside = screen::screen(&tree, Kind::Decrypted, &allowed(expect.algorithms), checks)?;
    from_provider(text_of(inside.root, ASSERTION, "Issuer", checks)?.as_deref(), expect, checks)?;
    let Some(signature) = &inside.root_signature else {
        if expect.want.assertion_signed || !response_signed {
            return Err(unsigned("signature_assertion", checks));
        }
        let plain = verify::plain(&tree, inside.root);
        return plain.map(|plain| (None, plain)).ok_or_else(|| refuse(checks, "xml", "a canonical form", "none"));
    };
    let mut signed = verify::verify(&tree, &[("signature_assertion", signature)], keys, checks)?;
    Ok((signed.pop(), String::new()))
}

/// Puts the decrypted text where its ciphertext stood, as far as that changes its meaning: the prefixes declared there.
fn around(encrypted: Node<'_>, text: &str) -> String {
    let mut declared: Vec<(&str, &str)> = Vec::new();
    let mut above = Some(encrypted);
    while let Some(node) = above {
        for (prefix, uri) in node.declarations() {
            if !declared.iter().any(|(known, _)| *known == prefix) {
                declared.push((prefix, uri));
            }
        }
        above = node.parent();
    }
    let mut out = String::from("<authd");
    for (prefix, uri) in declared.iter().filter(|(prefix, _)| *prefix != "xml") {
        let colon = if prefix.is_empty() { "" } else { ":" };
        out.push_str(&format!(" xmlns{colon}{prefix}=\"{}\"", super::escape(uri)));
    }
    // The declaration of a document of its own would be an instruction in the middle of ours.
    let text = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or(text, |(_, rest)| rest),
        None => text,
    };
    out.push('>');
    out.push_str(text);
    out.push_str("</authd>");
    out
}

/// Whether the identity provider says yes. Its own words are noted for the administrator alone.
fn status(root: Node<'_>, checks: &mut Checks) -> Result<()> {
    let status = root.exactly(PROTOCOL, "Status", checks)?;
    let code = status.exactly(PROTOCOL, "StatusCode", checks)?;
    let value = code.attribute("Value").unwrap_or("(none)");
    if value != SUCCESS {
        let more = code.children().next().and_then(|inner| inner.attribute("Value")).unwrap_or_default();
        let message = text_of(status, PROTOCOL, "StatusMessage", checks)?.unwrap_or_default();
        checks.compare("status", false, SUCCESS, shown(&format!("{value} {more} {message}")));
        return Err(Error::new(&codes::UPSTREAM_DENIED));
    }
    checks.compare("status", true, SUCCESS, SUCCESS);
    Ok(())
}
