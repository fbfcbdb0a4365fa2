//! An answer walked through once more, with nothing consumed: each check, and which settings would have it pass.
//!
//! A reader stops at the first check that fails. An administrator wants to know what comes after it. So what failed is set
//! aside the way a setting would do it, and the answer is read again, until it passes or until no setting would help.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::certificate::Certificate;
use super::held::Held;
use super::limits::MESSAGE;
use super::names::DSIG;
use super::peek::peek;
use super::provider::Saml;
use super::remedy::{Mended, Standing, mend};
use super::tree::{Tree, moment};
use super::view::SamlCertificateView;
use super::{Verified, decode, pasted, person, read};
use crate::access::Context;
use crate::connection::protocol::{Authenticated, Check, Checks};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// More faults than this no message has that was ever meant for the connection.
const MOST: usize = 12;
/// Certificates that are looked at in a message.
const CARRIED: usize = 4;

/// Something that keeps an answer from being accepted.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamlFault {
    /// The check that fails.
    pub check: String,
    /// The stable code that a sign-in is refused with for it.
    pub error_code: String,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The setting that would have it pass: of this connection, or, where that is said, of the identity provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// What that setting would have to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What to do.
    pub help: String,
}

/// What came of the walk.
#[derive(Debug)]
pub struct Explained {
    /// Each check, up to the first that fails.
    pub checks: Vec<Check>,
    /// What fails, in the order that it is found; the first is what a sign-in is refused for.
    pub faults: Vec<SamlFault>,
    /// Who the answer is about: believed if nothing fails, and else as far as it could be read with the faults set aside.
    pub person: Option<Authenticated>,
    /// What was verified, likewise.
    pub verified: Option<Verified>,
    /// The certificates that the message carries. None of them is believed.
    pub carried: Vec<SamlCertificateView>,
    /// Nobody had asked for it.
    pub unasked: bool,
    /// The moment that it was held against.
    pub at: Timestamp,
}

impl Saml {
    /// Walks through an answer as it was pasted, at that moment or now. Errors: `connection_not_ready`,
    /// `saml_no_signing_cert`; what is wrong with the answer is no error.
    pub fn explain(&self, cx: &Context, pasted: &str, at: Option<Timestamp>) -> Result<Explained> {
        let mut held = self.held(cx)?;
        held.now = at.unwrap_or(held.now);
        let mut told = Explained {
            checks: Vec::new(),
            faults: Vec::new(),
            person: None,
            verified: None,
            carried: Vec::new(),
            unasked: false,
            at: held.now,
        };
        let message = match pasted::message(pasted) {
            Ok(message) => message,
            Err(error) => {
                let mut checks = Checks::new();
                checks.compare("message", false, "a SAML answer", "something else");
                told.checks = checks.into_rows();
                told.faults.push(SamlFault::of(&told.checks, &error));
                return Ok(told);
            }
        };
        let outside = Outside::of(&message);
        let asked = peek(&message).ok().and_then(|peeked| peeked.in_response_to);
        told.unasked = asked.is_none();
        told.carried = outside.certificates.iter().cloned().map(SamlCertificateView::from).collect();
        let mut config = self.config().clone();
        let mut first = None;
        for _ in 0..MOST {
            let mut checks = Checks::new();
            let outcome = walk(&message, &held, asked.as_deref(), &config, &mut checks, &mut told.verified);
            let rows = checks.into_rows();
            let standing = Standing { outside: &outside, message: &message, asked: asked.as_deref(), at };
            let error = match outcome {
                Ok(person) => {
                    first.get_or_insert(rows);
                    told.person = Some(person);
                    break;
                }
                Err(error) => error,
            };
            let mut fault = SamlFault::of(&rows, &error);
            // Addresses are set at the provider alone. Where one was taken for right, the other cannot be looked at.
            let address = |fault: &SamlFault| matches!(fault.check.as_str(), "recipient" | "destination");
            if told.faults.iter().any(|known| known.check == fault.check || address(known) && address(&fault)) {
                break;
            }
            let mended = mend(&mut fault, &rows, &error, &mut held, &mut config, &standing);
            first.get_or_insert(rows);
            told.faults.push(fault);
            if mended == Mended::No {
                break;
            }
        }
        told.checks = first.unwrap_or_default();
        Ok(told)
    }
}

/// One reading. What was verified is told even where the person in it cannot be used.
fn walk(
    message: &str,
    held: &Held,
    asked: Option<&str>,
    config: &super::Config,
    checks: &mut Checks,
    verified: &mut Option<Verified>,
) -> Result<Authenticated> {
    let verified = verified.insert(read(message, &held.expect(asked, None), checks)?);
    let arrived = person::person(config, verified, checks)?;
    if asked.is_none() {
        let takes = config.security.idp_initiated.unwrap_or(false);
        checks.compare("idp_initiated", takes, "an answer to a request, or leave to begin without one", "no request");
        if !takes {
            return Err(Error::new(&codes::SAML_UNSOLICITED));
        }
    }
    Ok(arrived)
}

/// What a message says on its outside, on nobody's word.
pub(super) struct Outside {
    /// When it says to have been made.
    pub made: Option<Timestamp>,
    /// The certificates that it carries.
    pub certificates: Vec<Certificate>,
    /// It has line breaks between its elements.
    pub spread: bool,
}

impl Outside {
    fn of(message: &str) -> Self {
        let mut found = Self { made: None, certificates: Vec::new(), spread: false };
        let mut checks = Checks::new();
        let Ok(text) = decode::post(message, decode::MAX_MESSAGE, &mut checks) else { return found };
        found.spread = text.contains(">\n") || text.contains(">\r\n");
        let Ok(tree) = Tree::parse(&text, &MESSAGE, &mut checks) else { return found };
        let Ok(root) = tree.root(&mut checks) else { return found };
        found.made = root.attribute("IssueInstant").and_then(moment);
        let texts = root.within().filter(|node| node.is(DSIG, "X509Certificate")).filter_map(|node| node.text());
        for certificate in texts.take(CARRIED).filter_map(|text| Certificate::from_text(&text)) {
            if !found.certificates.contains(&certificate) {
                found.certificates.push(certificate);
            }
        }
        found
    }
}

impl SamlFault {
    /// What failed, as a sign-in would say it.
    pub(super) fn of(rows: &[Check], error: &Error) -> Self {
        Self {
            check: failed(rows, error).map(|check| check.name.clone()).unwrap_or_default(),
            error_code: error.code().to_owned(),
            message: error.message().to_owned(),
            setting: None,
            value: None,
            help: error.next_step().unwrap_or_default().to_owned(),
        }
    }
}

/// The check that a refusal is for: the last that does not hold, because the walk ends there. Of an assertion that cannot be
/// opened it is the first that says why.
pub(super) fn failed<'c>(rows: &'c [Check], error: &Error) -> Option<&'c Check> {
    const WHY: &[&str] = &["key_transport", "encryption_algorithm", "decryption"];
    let opening = |row: &&Check| !row.ok && WHY.contains(&row.name.as_str());
    let why = rows.iter().find(opening).filter(|_| error.is(&codes::SAML_DECRYPT));
    why.or_else(|| rows.iter().rev().find(|row| !row.ok))
}

/// How far clocks are apart, at most, for a skew to bridge it.
pub(super) const BRIDGED: Duration = super::MAX_SKEW;
