//! Answers and metadata, written as text.
//!
//! What is signed stands in exclusive canonical form from the start: a prefix is declared where it is first used, attributes
//! are in their order, no element closes itself. So the bytes to be signed are the text itself.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::{Person, Simulator};
use super::AnswerFault as F;
use super::ask::Asked;
use super::key::{SigningKey, encrypted};
use crate::error::{Error, Result};

const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// How long an assertion holds.
const LIFE: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3_600);
/// Where a signature goes: after the issuer.
const PLACE: &str = "</saml:Issuer>";

/// One answer on its way.
struct Draft<'a> {
    simulator: &'a Simulator,
    asked: &'a Asked,
    person: &'a Person,
    fault: Option<F>,
    response_id: String,
    assertion_id: String,
}

impl Simulator {
    /// The answer, in base64.
    pub(super) fn saml_answer(&self, asked: &Asked, person: &Person, fault: Option<F>) -> Result<String> {
        let draft =
            Draft { simulator: self, asked, person, fault, response_id: self.saml_id(), assertion_id: self.saml_id() };
        draft.whole().map(|xml| STANDARD.encode(xml))
    }

    fn saml_id(&self) -> String {
        self.0.env.random::<16>().iter().fold(String::from("_"), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        })
    }

    /// Its metadata.
    pub fn saml_metadata(&self) -> Result<String> {
        let keys = self.saml_keys()?;
        let keys = keys.iter().fold(String::new(), |all, key| {
            format!(
                "{all}<md:KeyDescriptor use=\"signing\"><ds:KeyInfo xmlns:ds=\"{DS}\"><ds:X509Data><ds:X509Certificate>{}\
                 </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
                key.certificate()
            )
        });
        let at = escape(&self.0.issuer.at("/saml/sso"));
        let binding = |name: &str| {
            format!(
                "<md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:{name}\" Location=\"{at}\"/>"
            )
        };
        Ok(format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{}\">\
             <md:IDPSSODescriptor WantAuthnRequestsSigned=\"false\" protocolSupportEnumeration=\"{SAMLP}\">{keys}\
             <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>{}{}\
             </md:IDPSSODescriptor></md:EntityDescriptor>",
            escape(&self.saml_entity_id()),
            binding("HTTP-Redirect"),
            binding("HTTP-POST"),
        ))
    }
}

impl Draft<'_> {
    fn is(&self, fault: F) -> bool {
        self.fault == Some(fault)
    }

    /// Now, as the answer has it.
    fn now(&self) -> crate::env::Timestamp {
        let now = self.simulator.0.env.now();
        if self.is(F::Future) { now + Duration::from_secs(600) } else { now }
    }

    fn whole(&self) -> Result<String> {
        let key = match self.fault {
            Some(F::Rotated) => self.simulator.rotate_saml()?,
            Some(F::OtherKey) => std::sync::Arc::new(SigningKey::generate()?),
            _ => self.simulator.saml_keys()?.last().cloned().ok_or_else(|| Error::bug("the simulator has no key"))?,
        };
        if self.is(F::Denied) {
            return self.sign(&self.response(""), &self.response_id, &key);
        }
        let plain = self.assertion();
        let signs = !matches!(self.fault, Some(F::Unsigned | F::OnlyResponse));
        let mut assertion = if signs { self.sign(&plain, &self.assertion_id, &key)? } else { plain.clone() };
        assertion = match self.fault {
            Some(F::Encrypted) => encrypted(
                &self.simulator.0.env,
                &assertion,
                self.asked.client.certificate.as_deref().unwrap_or_default(),
            )?,
            Some(F::EncryptedElsewhere) => {
                encrypted(&self.simulator.0.env, &assertion, &SigningKey::generate()?.certificate)?
            }
            _ => assertion,
        };
        let response = self.response(&assertion);
        let signs = !matches!(self.fault, Some(F::Unsigned | F::OnlyAssertion | F::Wrapped | F::Comment | F::Doctype));
        let signed = if signs { self.sign(&response, &self.response_id, &key)? } else { response };
        Ok(self.tampered(signed, &assertion))
    }

    /// What somebody on the way would do to it.
    fn tampered(&self, signed: String, assertion: &str) -> String {
        let forged = |text: &str| text.replace(self.person.sub, "sim-forged").replace(&self.assertion_id, "_forged");
        match self.fault {
            // XSW: the original inside the extensions, the forgery in its place, the signature still about the original.
            Some(F::Wrapped) => {
                let forgery = bare(&forged(assertion));
                let hidden = format!("<samlp:Extensions>{assertion}</samlp:Extensions>");
                signed.replacen(assertion, &forgery, 1).replacen(PLACE, &format!("{PLACE}{hidden}"), 1)
            }
            Some(F::WrappedResponse) => {
                let shell = bare(&bare(&forged(&signed))).replace(&self.response_id, "_shell");
                let hidden = format!("<samlp:Extensions>{signed}</samlp:Extensions>");
                shell.replacen(PLACE, &format!("{PLACE}{hidden}"), 1)
            }
            Some(F::Comment) => {
                let (head, tail) = self.person.sub.split_at(self.person.sub.len() / 2);
                signed.replace(self.person.sub, &format!("{head}<!---->{tail}"))
            }
            Some(F::Doctype) => format!("<!DOCTYPE Response [<!ENTITY who \"{}\">]>{signed}", self.person.sub),
            Some(F::Changed) => signed.replace(self.person.sub, "sim-forged"),
            _ => signed,
        }
    }

    fn response(&self, assertion: &str) -> String {
        let client = &self.asked.client;
        let destination =
            if self.is(F::WrongDestination) { elsewhere(&client.acs_url) } else { client.acs_url.clone() };
        let status = if self.is(F::Denied) {
            "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\"><samlp:StatusCode \
             Value=\"urn:oasis:names:tc:SAML:2.0:status:RequestDenied\"></samlp:StatusCode></samlp:StatusCode>\
             <samlp:StatusMessage>The simulator was told to refuse.</samlp:StatusMessage>"
        } else {
            "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"></samlp:StatusCode>"
        };
        format!(
            "<samlp:Response xmlns:samlp=\"{SAMLP}\" Destination=\"{}\" ID=\"{}\"{} IssueInstant=\"{}\" Version=\"2.0\">{}\
             <samlp:Status>{status}</samlp:Status>{assertion}</samlp:Response>",
            escape(&destination),
            self.response_id,
            self.in_response_to(),
            self.now(),
            self.issuer(),
        )
    }

    /// Of both, with the prefix that it is the first to use.
    fn issuer(&self) -> String {
        format!("<saml:Issuer xmlns:saml=\"{SAML}\">{}</saml:Issuer>", self.issuer_text())
    }

    fn issuer_text(&self) -> String {
        let id = self.simulator.saml_entity_id();
        escape(&if self.is(F::WrongIssuer) { format!("{id}/other") } else { id })
    }

    fn in_response_to(&self) -> String {
        match self.fault {
            Some(F::Unasked) => String::new(),
            Some(F::OtherRequest) => " InResponseTo=\"_of_somebody_else\"".to_owned(),
            _ => format!(" InResponseTo=\"{}\"", escape(&self.asked.id)),
        }
    }

    fn assertion(&self) -> String {
        let client = &self.asked.client;
        let now = self.now();
        let end = if self.is(F::Stale) { now - HOUR } else { now + LIFE };
        let until = if self.is(F::Endless) { String::new() } else { format!(" NotOnOrAfter=\"{end}\"") };
        let from = if self.is(F::Stale) { now - HOUR - LIFE } else { now };
        let recipient = if self.is(F::WrongRecipient) { elsewhere(&client.acs_url) } else { client.acs_url.clone() };
        let audience =
            if self.is(F::WrongAudience) { "urn:another:service".to_owned() } else { client.entity_id.clone() };
        format!(
            "<saml:Assertion xmlns:saml=\"{SAML}\" ID=\"{id}\" IssueInstant=\"{now}\" Version=\"2.0\">\
             <saml:Issuer>{issuer}</saml:Issuer><saml:Subject>{name_id}\
             <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData{asked}{until} \
             Recipient=\"{recipient}\"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{from}\"{until}><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience>\
             </saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant=\"{now}\" SessionIndex=\"{id}\">\
             <saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password\
             </saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>{attributes}</saml:Assertion>",
            id = self.assertion_id,
            issuer = self.issuer_text(),
            name_id = self.name_id(),
            asked = self.in_response_to(),
            recipient = escape(&recipient),
            audience = escape(&audience),
            attributes = self.attributes(),
        )
    }

    fn name_id(&self) -> String {
        let (format, value) = match self.fault {
            Some(F::NoNameId) => return String::new(),
            Some(F::Transient) => ("transient", self.simulator.saml_id()),
            Some(F::ForeignEmail) => ("persistent", format!("{}-newcomer", self.person.sub)),
            _ => ("persistent", self.person.sub.to_owned()),
        };
        format!("<saml:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:{format}\">{value}</saml:NameID>")
    }

    /// By the names that Entra ID gives them.
    fn attributes(&self) -> String {
        if self.is(F::NoAttributes) {
            return String::new();
        }
        let person = self.person;
        let client = &self.asked.client;
        let (own, other) = (client.address(person.email), client.address("somebody.else@demo.example"));
        let mut emails = vec![own.as_str()];
        match self.fault {
            Some(F::TwoEmails) => emails.push(&other),
            Some(F::ForeignEmail) => emails = vec!["ada@elsewhere.example"],
            _ => {}
        }
        let claims = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims";
        let microsoft = "http://schemas.microsoft.com/ws/2008/06/identity/claims";
        let named: [(String, &[&str]); 5] = [
            (format!("{claims}/emailaddress"), &emails),
            (format!("{claims}/givenname"), &[person.given_name]),
            (format!("{claims}/surname"), &[person.family_name]),
            (format!("{microsoft}/groups"), person.groups),
            (format!("{microsoft}/role"), person.roles),
        ];
        let mut out = String::from("<saml:AttributeStatement>");
        for (name, values) in named.iter().filter(|(_, values)| !values.is_empty()) {
            let _ = write!(out, "<saml:Attribute Name=\"{name}\">");
            for value in *values {
                let _ = write!(out, "<saml:AttributeValue>{}</saml:AttributeValue>", escape(value));
            }
            out.push_str("</saml:Attribute>");
        }
        out.push_str("</saml:AttributeStatement>");
        out
    }

    /// Puts a signature over an element behind its issuer. The element's text is its canonical form.
    fn sign(&self, element: &str, id: &str, key: &SigningKey) -> Result<String> {
        let weak = self.is(F::Sha1);
        let (method, sum_method, sum) = if weak {
            // The sum is one by SHA-1. The value is not: it is refused for its name, before anybody looks at it.
            (format!("{DS}rsa-sha1"), format!("{DS}sha1"), digest(&SHA1_FOR_LEGACY_USE_ONLY, element.as_bytes()))
        } else {
            (
                "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256".to_owned(),
                "http://www.w3.org/2001/04/xmlenc#sha256".to_owned(),
                digest(&SHA256, element.as_bytes()),
            )
        };
        let about =
            if self.is(F::ForeignReference) { "http://127.0.0.1/assertion.xml".to_owned() } else { format!("#{id}") };
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{C14N}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod><ds:Reference URI=\"{about}\"><ds:Transforms>\
             <ds:Transform Algorithm=\"{DS}enveloped-signature\"></ds:Transform><ds:Transform Algorithm=\"{C14N}\"></ds:Transform>\
             </ds:Transforms><ds:DigestMethod Algorithm=\"{sum_method}\"></ds:DigestMethod><ds:DigestValue>{}</ds:DigestValue>\
             </ds:Reference></ds:SignedInfo>",
            STANDARD.encode(sum.as_ref())
        );
        let signature = format!(
            "<ds:Signature xmlns:ds=\"{DS}\">{}<ds:SignatureValue>{}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>\
             <ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>",
            // As it stands in the message: its prefix is declared around it.
            info.replacen(&format!(" xmlns:ds=\"{DS}\""), "", 1),
            key.sign(&info)?,
            key.certificate(),
        );
        Ok(element.replacen(PLACE, &format!("{PLACE}{signature}"), 1))
    }
}

/// Without its first signature.
fn bare(text: &str) -> String {
    match (text.find("<ds:Signature "), text.find("</ds:Signature>")) {
        (Some(start), Some(end)) if start < end => {
            let rest = text.get(end..).unwrap_or_default().strip_prefix("</ds:Signature>").unwrap_or_default();
            format!("{}{rest}", text.get(..start).unwrap_or_default())
        }
        _ => text.to_owned(),
    }
}

fn elsewhere(address: &str) -> String {
    format!("{address}/elsewhere")
}

/// As canonical form has text; quotes and line breaks are in none of ours.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
