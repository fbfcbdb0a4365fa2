//! Logout messages of an identity provider. They are always signed: unsigned, anybody could end anybody's sessions.

use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED,
    ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::assertion::name_id;
use super::certificate::thumbprint;
use super::limits::MESSAGE;
use super::names::{
    ASSERTION, DEFLATE, ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512, PROTOCOL, RSA_SHA256, RSA_SHA384, RSA_SHA512, SUCCESS,
};
use super::response::{MAX_AGE, MAX_SKEW, allowed};
use super::screen::{self, Kind, text_of};
use super::tree::{Node, Tree, trim};
use super::verify::{self, Keys};
use super::{NameId, decode, refuse, require, shown};
use crate::connection::protocol::Checks;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// Sessions that one request may name.
const MAX_INDEXES: usize = 100;

/// What must be true of a logout message for it to be for us.
#[derive(Clone, Copy, Debug)]
pub struct LogoutExpect<'a> {
    /// The identity provider of the connection.
    pub idp_entity_id: &'a str,
    /// Its pinned signing certificates, DER.
    pub certificates: &'a [Vec<u8>],
    /// Our address for logout messages.
    pub slo_url: &'a str,
    /// The time.
    pub now: Timestamp,
    /// By how much clocks may differ; at most 300 s count.
    pub skew: Duration,
    /// Signature algorithms that are allowed; empty for all that ever are.
    pub algorithms: &'a [&'a str],
    /// The id of our own request, which a response must answer. `None` refuses every response.
    pub request_id: Option<&'a str>,
}

/// What an identity provider wants, or answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutMessage {
    /// It ends sessions.
    Request(LogoutRequest),
    /// It has ended sessions, or not.
    Response(LogoutResponse),
}

/// An order to end sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutRequest {
    /// Its name: to be answered, and to be kept against replay.
    pub id: String,
    /// Whose sessions.
    pub name_id: NameId,
    /// Which of them; empty for all.
    pub session_indexes: Vec<String>,
    /// From when on (and the skew) it would be refused anyway.
    pub not_on_or_after: Timestamp,
    /// SHA-256 of the pinned certificate whose key signed.
    pub certificate_thumbprint: String,
}

/// An answer to our order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutResponse {
    /// The request that it answers.
    pub in_response_to: String,
    /// Whether everything ended.
    pub success: bool,
    /// What it says, for people.
    pub status: String,
    /// SHA-256 of the pinned certificate whose key signed.
    pub certificate_thumbprint: String,
}

/// Reads a message of the POST binding, signed inside. The form's field says which of the two it must be; either is
/// read here, and the caller asks.
/// Errors: those of `read` for answers to a sign-in, as far as they apply.
pub fn read_post(text: &str, expect: &LogoutExpect<'_>, checks: &mut Checks) -> Result<LogoutMessage> {
    let text = decode::post(text, decode::MAX_MESSAGE, checks)?;
    let tree = Tree::parse(&text, &MESSAGE, checks)?;
    let kind = kind(tree.root(checks)?, checks)?;
    let message = screen::screen(&tree, kind, &allowed(expect.algorithms), checks)?;
    from_provider(message.root, expect, checks)?;
    let keys = Keys::pinned(expect.certificates, checks)?;
    let Some(signature) = &message.root_signature else { return Err(unsigned(checks)) };
    let signed = verify::verify(&tree, &[("signature", signature)], &keys, checks)?.pop();
    let signed = signed.ok_or_else(|| Error::new(&codes::SAML_SIGNATURE_INVALID))?;
    // What was signed is what is read.
    let tree = Tree::parse(&signed.octets, &super::assertion::CANONICAL, checks)?;
    content(kind, tree.root(checks)?, &signed.thumbprint, expect, checks)
}

/// Reads a message of the redirect binding from the query as it came, not decoded by anybody: the signature is over
/// these octets (bindings §3.4.4.1).
pub fn read_redirect(raw_query: &str, expect: &LogoutExpect<'_>, checks: &mut Checks) -> Result<LogoutMessage> {
    let query = Query::read(raw_query, checks)?;
    let text = decode::redirect(&plain(query.message.1), decode::MAX_MESSAGE, checks)?;
    let tree = Tree::parse(&text, &MESSAGE, checks)?;
    let kind = kind(tree.root(checks)?, checks)?;
    let message = screen::screen(&tree, kind, &allowed(expect.algorithms), checks)?;
    let fits = query.message.0 == if kind == Kind::LogoutRequest { "SAMLRequest" } else { "SAMLResponse" };
    if !fits || message.root_signature.is_some() {
        return Err(refuse(checks, "structure", "a message of this binding", "one of another"));
    }
    from_provider(message.root, expect, checks)?;
    let thumbprint = query.verify(expect, checks)?;
    content(kind, message.root, &thumbprint, expect, checks)
}

fn kind(root: Node<'_>, checks: &mut Checks) -> Result<Kind> {
    match (root.namespace(), root.local()) {
        (PROTOCOL, "LogoutRequest") => Ok(Kind::LogoutRequest),
        (PROTOCOL, "LogoutResponse") => Ok(Kind::LogoutResponse),
        _ => Err(refuse(checks, "structure", "a LogoutRequest or LogoutResponse", shown(root.local()))),
    }
}

fn unsigned(checks: &mut Checks) -> Error {
    checks.compare("signature", false, "a signature", "none");
    Error::new(&codes::SAML_SIGNATURE_MISSING)
}

fn from_provider(root: Node<'_>, expect: &LogoutExpect<'_>, checks: &mut Checks) -> Result<()> {
    let issuer = text_of(root, ASSERTION, "Issuer", checks)?;
    let fits = issuer.as_deref() == Some(expect.idp_entity_id);
    let received = issuer.unwrap_or_else(|| "(none)".to_owned());
    require(checks, "issuer", fits, expect.idp_entity_id, received, &codes::SAML_ISSUER)
}

/// The rules that follow the signature.
fn content(
    kind: Kind,
    root: Node<'_>,
    certificate_thumbprint: &str,
    expect: &LogoutExpect<'_>,
    checks: &mut Checks,
) -> Result<LogoutMessage> {
    let skew = expect.skew.min(MAX_SKEW);
    if root.attribute("Version") != Some("2.0") {
        return Err(refuse(checks, "version", "2.0", shown(root.attribute("Version").unwrap_or("(none)"))));
    }
    let destination = root.attribute("Destination").unwrap_or("(none)");
    let code = &codes::SAML_DESTINATION;
    require(checks, "destination", destination == expect.slo_url, expect.slo_url, destination, code)?;
    let issued = root.moment("IssueInstant", checks)?;
    let issued = issued.ok_or_else(|| refuse(checks, "issue_instant", "a moment", "(none)"))?;
    let (oldest, latest) = (expect.now - MAX_AGE - skew, expect.now + skew);
    let code = &codes::SAML_NOT_YET_VALID;
    require(checks, "issue_instant", issued <= latest, format!("{latest} or earlier"), issued.to_string(), code)?;
    let code = &codes::SAML_EXPIRED;
    require(checks, "issue_instant_age", issued >= oldest, format!("{oldest} or later"), issued.to_string(), code)?;

    if kind == Kind::LogoutResponse {
        let answered = root.attribute("InResponseTo").unwrap_or("(none)");
        let asked = expect.request_id.unwrap_or("(none)");
        let fits = expect.request_id == root.attribute("InResponseTo") && expect.request_id.is_some();
        require(checks, "in_response_to", fits, asked, answered, &codes::SAML_IN_RESPONSE_TO)?;
        let status = root.exactly(PROTOCOL, "Status", checks)?;
        let code = status.exactly(PROTOCOL, "StatusCode", checks)?;
        let value = code.attribute("Value").unwrap_or("(none)");
        let inner = code.children().next().and_then(|inner| inner.attribute("Value"));
        // A session that some other service kept alive is no success, though the outer status says so.
        let success = value == SUCCESS && inner.is_none();
        checks.compare("status", success, SUCCESS, shown(value));
        return Ok(LogoutMessage::Response(LogoutResponse {
            in_response_to: answered.to_owned(),
            success,
            status: shown(inner.unwrap_or(value)),
            certificate_thumbprint: certificate_thumbprint.to_owned(),
        }));
    }
    let end = root.moment("NotOnOrAfter", checks)?.unwrap_or(issued + MAX_AGE);
    let expected = format!("later than {}", expect.now - skew);
    let code = &codes::SAML_EXPIRED;
    require(checks, "not_on_or_after", expect.now < end + skew, expected, end.to_string(), code)?;
    let indexes: Vec<String> = root
        .all(PROTOCOL, "SessionIndex")
        .filter_map(Node::text)
        .map(|text| trim(&text).to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    if indexes.len() > MAX_INDEXES {
        return Err(refuse(checks, "limits", format!("at most {MAX_INDEXES} session indexes"), indexes.len()));
    }
    // An index that is there and empty names no session; without any, all of them end.
    if indexes.is_empty() && root.all(PROTOCOL, "SessionIndex").next().is_some() {
        return Err(refuse(checks, "session_index", "a session index", "an empty one"));
    }
    Ok(LogoutMessage::Request(LogoutRequest {
        id: root.attribute("ID").unwrap_or_default().to_owned(),
        name_id: name_id(root, checks)?,
        session_indexes: indexes,
        not_on_or_after: end.min(issued + MAX_AGE),
        certificate_thumbprint: certificate_thumbprint.to_owned(),
    }))
}

/// The parameters of a signed query, not decoded.
struct Query<'a> {
    /// Name and value.
    message: (&'a str, &'a str),
    relay_state: Option<&'a str>,
    algorithm: Option<&'a str>,
    signature: Option<&'a str>,
}

impl<'a> Query<'a> {
    fn read(raw: &'a str, checks: &mut Checks) -> Result<Self> {
        let mut found: [Option<&str>; 6] = [None; 6];
        const NAMES: [&str; 6] = ["SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding"];
        for (name, value) in raw.split('&').filter_map(|pair| pair.split_once('=')) {
            let Some(slot) = NAMES.iter().position(|known| *known == name).and_then(|at| found.get_mut(at)) else {
                continue;
            };
            if slot.replace(value).is_some() {
                return Err(refuse(checks, "query", "each parameter once", shown(name)));
            }
        }
        let [request, response, relay_state, algorithm, signature, encoding] = found;
        if encoding.is_some_and(|encoding| plain(encoding) != DEFLATE) {
            return Err(refuse(checks, "query", DEFLATE, "another encoding"));
        }
        let message = match (request, response) {
            (Some(value), None) => ("SAMLRequest", value),
            (None, Some(value)) => ("SAMLResponse", value),
            _ => return Err(refuse(checks, "query", "one message", "none or two")),
        };
        Ok(Self { message, relay_state, algorithm, signature })
    }

    /// The octets that are signed: the parameters as they came, in the order of the specification.
    fn octets(&self, algorithm: &str) -> String {
        let mut octets = format!("{}={}", self.message.0, self.message.1);
        if let Some(state) = self.relay_state {
            octets.push_str(&format!("&RelayState={state}"));
        }
        octets.push_str(&format!("&SigAlg={algorithm}"));
        octets
    }

    /// Tries each pinned key. Gives the thumbprint of the certificate whose key it was.
    fn verify(&self, expect: &LogoutExpect<'_>, checks: &mut Checks) -> Result<String> {
        if expect.certificates.is_empty() {
            checks.compare("certificates", false, "at least one pinned certificate", "none");
            return Err(Error::new(&codes::SAML_SIGNATURE_MISSING));
        }
        let (Some(algorithm), Some(signature)) = (self.algorithm, self.signature) else { return Err(unsigned(checks)) };
        let name = plain(algorithm);
        let fits = allowed(expect.algorithms).contains(&name.as_str());
        let expected = "RSA or ECDSA with SHA-256 or better";
        require(checks, "signature_algorithm", fits, expected, &name, &codes::SAML_ALGORITHM)?;
        let octets = self.octets(algorithm);
        let signature = decode::from_base64(&plain(signature)).unwrap_or_default();
        let made_by = |der: &&Vec<u8>| {
            let Ok((_, certificate)) = X509Certificate::from_der(der) else { return false };
            let key = certificate.public_key().subject_public_key.data.as_ref();
            verifiers(&name)
                .iter()
                .any(|verifier| UnparsedPublicKey::new(*verifier, key).verify(octets.as_bytes(), &signature).is_ok())
        };
        match expect.certificates.iter().find(made_by) {
            Some(der) => {
                let thumbprint = thumbprint(der);
                checks.pass("signature", &thumbprint);
                Ok(thumbprint)
            }
            None => {
                checks.compare("signature", false, "made by a pinned key over these octets", "another");
                Err(Error::new(&codes::SAML_SIGNATURE_INVALID))
            }
        }
    }
}

/// How signatures of that name are checked. ECDSA comes as two numbers, or wrapped in ASN.1 by senders that do not know
/// better; a key of another curve fits neither.
fn verifiers(name: &str) -> &'static [&'static dyn VerificationAlgorithm] {
    match name {
        RSA_SHA256 => &[&RSA_PKCS1_2048_8192_SHA256],
        RSA_SHA384 => &[&RSA_PKCS1_2048_8192_SHA384],
        RSA_SHA512 => &[&RSA_PKCS1_2048_8192_SHA512],
        ECDSA_SHA256 => &[&ECDSA_P256_SHA256_FIXED, &ECDSA_P256_SHA256_ASN1],
        ECDSA_SHA384 => &[&ECDSA_P384_SHA384_FIXED, &ECDSA_P384_SHA384_ASN1],
        ECDSA_SHA512 => &[&ECDSA_P521_SHA512_FIXED, &ECDSA_P521_SHA512_ASN1],
        _ => &[],
    }
}

/// A parameter's value, decoded.
fn plain(raw: &str) -> String {
    // The parser of forms takes a whole pair; the name is ours.
    let pair = format!("v={raw}");
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
