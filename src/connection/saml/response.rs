//! The answer of an identity provider to a sign-in: from the posted text to what is known of the person.

use std::time::Duration;

use super::assertion::{self, Conditions, Confirmation, Statement};
use super::decrypt::{self, DecryptionKey};
use super::limits::MESSAGE;
use super::names::{ASSERTION, PROTOCOL, SIGNATURES, SUCCESS};
use super::screen::{self, Kind, Screened, Signature, text_of};
use super::tree::{Node, Tree};
use super::verify::{self, Keys, Signed};
use super::{NameId, Verified, decode, refuse, require, shown};
use crate::connection::protocol::Checks;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// Whatever a connection says: clocks may differ by no more.
pub const MAX_SKEW: Duration = Duration::from_secs(300);
/// How old a message may be: it has just been made for a browser that was waiting for it.
const MAX_AGE: Duration = Duration::from_secs(600);

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
    let (statement, response_signed, thumbprint) = (vouched.statement, vouched.response_signed, vouched.thumbprint);
    Rules { expect, checks, now: expect.now, skew: expect.skew.min(MAX_SKEW) }.apply(
        message.root,
        statement,
        response_signed,
        thumbprint,
    )
}

/// The allow-list of a connection within ours.
pub(super) fn allowed<'a>(asked: &[&'a str]) -> Vec<&'a str> {
    match asked {
        [] => SIGNATURES.to_vec(),
        some => some.iter().copied().filter(|name| SIGNATURES.contains(name)).collect(),
    }
}

/// An assertion that a verified signature covers.
struct Vouched {
    statement: Statement,
    response_signed: bool,
    thumbprint: String,
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
    let Some(signature) = &inside.assertion_signature else {
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

fn from_provider(issuer: Option<&str>, expect: &Expect<'_>, checks: &mut Checks) -> Result<()> {
    let fits = issuer == Some(expect.idp_entity_id);
    require(checks, "issuer", fits, expect.idp_entity_id, issuer.unwrap_or("(none)"), &codes::SAML_ISSUER)
}

/// The rules about whom, what for and when.
struct Rules<'a, 'c> {
    expect: &'a Expect<'a>,
    checks: &'c mut Checks,
    now: Timestamp,
    skew: Duration,
}

impl Rules<'_, '_> {
    fn apply(
        mut self,
        root: Node<'_>,
        statement: Statement,
        response_signed: bool,
        certificate_thumbprint: String,
    ) -> Result<Verified> {
        let versions = [root.attribute("Version").unwrap_or_default(), &statement.version];
        if versions != ["2.0", "2.0"] {
            return Err(refuse(self.checks, "version", "2.0", shown(&versions.join(" "))));
        }
        from_provider(statement.issuer.as_deref(), self.expect, self.checks)?;
        let conditions = self.audience(statement.conditions)?;
        let bearer = self.recipient(&statement.confirmations)?;
        self.destination(root.attribute("Destination"), response_signed)?;
        self.answers(root.attribute("InResponseTo"), bearer.in_response_to.as_deref(), response_signed)?;
        let sent = root.moment("IssueInstant", self.checks)?;
        self.issued(sent)?;
        // The one that is signed.
        let made = self.issued(statement.issue_instant)?;
        let not_on_or_after = self.valid(&conditions, bearer)?;
        self.name_id(&statement.name_id)?;

        let Some(first) = statement.authn.first() else {
            self.checks.compare("authn_statement", false, "an AuthnStatement", "none");
            return Err(Error::new(&codes::SAML_AUTHN));
        };
        let session_end = statement.authn.iter().filter_map(|authn| authn.session_not_on_or_after).min();
        if let Some(end) = session_end {
            self.before("session_not_on_or_after", end)?;
        }
        let auth_instant = self.authenticated(first.instant)?;
        let acr = first.class.clone();
        self.context(acr.as_deref())?;
        let observed_skew = made.millis().saturating_sub(self.now.millis());
        self.checks.pass("clock_skew_ms", observed_skew);
        Ok(Verified {
            assertion_id: statement.id,
            issuer: self.expect.idp_entity_id.to_owned(),
            name_id: statement.name_id,
            session_index: first.session_index.clone(),
            attributes: statement.attributes,
            auth_instant,
            session_not_on_or_after: session_end,
            acr,
            not_on_or_after,
            in_response_to: self.expect.request_id.map(str::to_owned),
            certificate_thumbprint,
            observed_skew,
        })
    }

    /// Every restriction names us, and there is one.
    fn audience(&mut self, conditions: Option<Conditions>) -> Result<Conditions> {
        let ours = self.expect.sp_entity_id;
        let Some(conditions) = conditions else {
            self.checks.compare("audience", false, ours, "no Conditions");
            return Err(Error::new(&codes::SAML_AUDIENCE));
        };
        let names_us = |audiences: &Vec<String>| audiences.iter().any(|audience| audience == ours);
        let fits = !conditions.audiences.is_empty() && conditions.audiences.iter().all(names_us);
        let named = conditions.audiences.concat();
        let received = if named.is_empty() { "(none)".to_owned() } else { named.join(" ") };
        require(self.checks, "audience", fits, ours, received, &codes::SAML_AUDIENCE)?;
        Ok(conditions)
    }

    /// One confirmation by bearing is for this address. Of several, the first that is counts.
    fn recipient<'s>(&mut self, confirmations: &'s [Confirmation]) -> Result<&'s Confirmation> {
        let ours = self.expect.acs_url;
        let found = confirmations.iter().find(|confirmation| confirmation.recipient.as_deref() == Some(ours));
        let received = confirmations.first().and_then(|confirmation| confirmation.recipient.as_deref());
        let received = if found.is_some() { Some(ours) } else { received };
        let code = &codes::SAML_RECIPIENT;
        require(self.checks, "recipient", found.is_some(), ours, received.unwrap_or("(none)"), code)?;
        found.ok_or_else(|| Error::new(code))
    }

    /// A signed Response says whither it goes; an unsigned one may, and then it must be here.
    fn destination(&mut self, destination: Option<&str>, response_signed: bool) -> Result<()> {
        let ours = self.expect.acs_url;
        let fits = destination.map_or(!response_signed, |destination| destination == ours);
        require(self.checks, "destination", fits, ours, destination.unwrap_or("(none)"), &codes::SAML_DESTINATION)
    }

    /// It answers the request that was sent, and says so where it is signed; or no request at all.
    fn answers(&mut self, shell: Option<&str>, inside: Option<&str>, response_signed: bool) -> Result<()> {
        const NAME: &str = "in_response_to";
        let said = [shell, inside];
        let Some(request) = self.expect.request_id else {
            let said = said.into_iter().flatten().next();
            let code = &codes::SAML_IN_RESPONSE_TO;
            return require(self.checks, NAME, said.is_none(), "(none)", said.unwrap_or("(none)"), code);
        };
        if let Some(other) = said.into_iter().flatten().find(|said| *said != request) {
            return require(self.checks, NAME, false, request, other, &codes::SAML_IN_RESPONSE_TO);
        }
        // Outside of a signature anybody could have written it around an assertion that nobody asked for.
        let on_record = inside.is_some() || (response_signed && shell.is_some());
        let received = if on_record { request } else { "(none that is signed)" };
        require(self.checks, NAME, on_record, request, received, &codes::SAML_UNSOLICITED)
    }

    /// Just made: not ahead of our clock, and not long ago.
    fn issued(&mut self, at: Option<Timestamp>) -> Result<Timestamp> {
        let at = at.ok_or_else(|| refuse(self.checks, "issue_instant", "a moment", "(none)"))?;
        self.after("issue_instant", at)?;
        let oldest = self.now - MAX_AGE - self.skew;
        let expected = format!("{oldest} or later");
        require(self.checks, "issue_instant_age", at >= oldest, expected, at.to_string(), &codes::SAML_EXPIRED)?;
        Ok(at)
    }

    /// Within the time of its conditions and of its confirmation. Gives the moment from which on it is refused anyway.
    fn valid(&mut self, conditions: &Conditions, bearer: &Confirmation) -> Result<Timestamp> {
        if let Some(from) = conditions.not_before {
            self.after("not_before", from)?;
        }
        let end = self.end("not_on_or_after", conditions.not_on_or_after)?;
        // A bearer's confirmation has no beginning (profiles §4.1.4.2).
        if let Some(from) = bearer.not_before {
            let code = &codes::SAML_NOT_YET_VALID;
            require(self.checks, "confirmation_not_before", false, "(none)", from.to_string(), code)?;
        }
        let confirmed = self.end("confirmation_not_on_or_after", bearer.not_on_or_after)?;
        Ok(end.min(confirmed))
    }

    fn end(&mut self, name: &str, end: Option<Timestamp>) -> Result<Timestamp> {
        let Some(end) = end else {
            self.checks.compare(name, false, format!("later than {}", self.now), "(none)");
            return Err(Error::new(&codes::SAML_EXPIRED));
        };
        self.before(name, end)?;
        Ok(end)
    }

    /// The end has not come, even on a clock that runs behind ours.
    fn before(&mut self, name: &str, end: Timestamp) -> Result<()> {
        let fits = self.now < end + self.skew;
        let expected = format!("later than {}", self.now - self.skew);
        require(self.checks, name, fits, expected, end.to_string(), &codes::SAML_EXPIRED)
    }

    /// The beginning has come, even on a clock that runs ahead of ours.
    fn after(&mut self, name: &str, start: Timestamp) -> Result<()> {
        let latest = self.now + self.skew;
        let code = &codes::SAML_NOT_YET_VALID;
        require(self.checks, name, start <= latest, format!("{latest} or earlier"), start.to_string(), code)
    }

    /// A qualifier that names another service is a name for use there.
    fn name_id(&mut self, name_id: &NameId) -> Result<()> {
        let ours = self.expect.sp_entity_id;
        let Some(qualifier) = name_id.sp_name_qualifier.as_deref() else { return Ok(()) };
        require(self.checks, "sp_name_qualifier", qualifier == ours, ours, qualifier, &codes::SAML_NAMEID)
    }

    fn authenticated(&mut self, instant: Option<Timestamp>) -> Result<Timestamp> {
        let at = instant.ok_or_else(|| refuse(self.checks, "auth_instant", "a moment", "(none)"))?;
        self.after("auth_instant", at)?;
        if let Some(longest) = self.expect.max_age {
            let oldest = self.now - longest - self.skew;
            let expected = format!("{oldest} or later");
            require(self.checks, "max_age", at >= oldest, expected, at.to_string(), &codes::SAML_AUTHN)?;
        }
        Ok(at)
    }

    fn context(&mut self, class: Option<&str>) -> Result<()> {
        let asked = self.expect.requested_acr;
        if asked.is_empty() {
            return Ok(());
        }
        let fits = class.is_some_and(|class| asked.iter().any(|asked| asked == class));
        require(self.checks, "authn_context", fits, asked.join(" "), class.unwrap_or("(none)"), &codes::SAML_AUTHN)
    }
}
