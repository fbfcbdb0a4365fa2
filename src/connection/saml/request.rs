//! What we send: sign-in requests and logout messages, and the two ways a browser takes them along.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use samael::schema::{
    AuthnContextClassRef, AuthnContextComparison, Issuer, LogoutResponse, NameIdPolicy, RequestedAuthnContext, Status,
    StatusCode, StatusMessage,
};
use samael::traits::ToXml;
use url::form_urlencoded::byte_serialize;

use super::names::{ASSERTION, POST, PROTOCOL, UNSPECIFIED};
use super::sp_key::SpKey;
use super::{NameId, escape, sign};
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};

/// A request to sign somebody in.
#[derive(Clone, Copy, Debug)]
pub struct AuthnRequest<'a> {
    /// From `new_id`.
    pub id: &'a str,
    /// Our entity id for the connection.
    pub sp_entity_id: &'a str,
    /// Where the answer shall be posted.
    pub acs_url: &'a str,
    /// The identity provider's address for this binding.
    pub destination: &'a str,
    /// The time.
    pub now: Timestamp,
    /// The form of NameID that is wished for.
    pub name_id_format: Option<&'a str>,
    /// The person must sign in again even if the provider knows them.
    pub force_authn: bool,
    /// The provider must not show anything.
    pub is_passive: bool,
    /// One of these contexts is wished for.
    pub class_refs: &'a [String],
}

/// A request to end somebody's sessions at the provider.
#[derive(Clone, Copy, Debug)]
pub struct LogoutOut<'a> {
    /// From `new_id`.
    pub id: &'a str,
    /// Our entity id for the connection.
    pub sp_entity_id: &'a str,
    /// The identity provider's address for this binding.
    pub destination: &'a str,
    /// The time.
    pub now: Timestamp,
    /// Whose sessions.
    pub name_id: &'a NameId,
    /// Which of them; empty for all.
    pub session_indexes: &'a [String],
}

/// An answer to the provider's request to end sessions.
#[derive(Clone, Copy, Debug)]
pub struct LogoutAnswer<'a> {
    /// From `new_id`.
    pub id: &'a str,
    /// Our entity id for the connection.
    pub sp_entity_id: &'a str,
    /// The identity provider's address for answers by this binding.
    pub destination: &'a str,
    /// The time.
    pub now: Timestamp,
    /// The request that is answered.
    pub in_response_to: &'a str,
    /// `names::SUCCESS`, or what went wrong.
    pub status: &'a str,
    /// For the people over there.
    pub message: Option<&'a str>,
}

/// Which of the two parameters carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// `SAMLRequest`.
    Request,
    /// `SAMLResponse`.
    Response,
}

impl Message {
    /// The parameter's name.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Request => "SAMLRequest",
            Self::Response => "SAMLResponse",
        }
    }
}

/// A form that a page posts by itself. Nothing of it is escaped: the page does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Where to.
    pub action: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

/// A name for a message: 160 random bits.
pub fn new_id(env: &Env) -> String {
    use std::fmt::Write as _;
    env.random::<20>().iter().fold(String::from("_"), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// The XML of a sign-in request.
pub fn authn_request(request: &AuthnRequest<'_>) -> Result<String> {
    let context = |value: &String| AuthnContextClassRef { value: Some(escape(value)) };
    let classes: Vec<AuthnContextClassRef> = request.class_refs.iter().map(context).collect();
    let message = samael::schema::AuthnRequest {
        id: request.id.to_owned(),
        version: "2.0".to_owned(),
        issue_instant: instant(request.now)?,
        destination: Some(request.destination.to_owned()),
        consent: None,
        issuer: Some(issuer(request.sp_entity_id)),
        signature: None,
        subject: None,
        name_id_policy: Some(NameIdPolicy {
            format: request.name_id_format.map(str::to_owned),
            sp_name_qualifier: None,
            allow_create: Some(true),
        }),
        conditions: None,
        requested_authn_context: (!classes.is_empty()).then_some(RequestedAuthnContext {
            authn_context_class_refs: Some(classes),
            authn_context_decl_refs: None,
            comparison: Some(AuthnContextComparison::Exact),
        }),
        force_authn: request.force_authn.then_some(true),
        is_passive: request.is_passive.then_some(true),
        assertion_consumer_service_index: None,
        assertion_consumer_service_url: Some(request.acs_url.to_owned()),
        protocol_binding: Some(POST.to_owned()),
        attribute_consuming_service_index: None,
        provider_name: None,
    };
    Ok(without_declaration(ToXml::to_string(&message).map_err(unwritable)?))
}

/// The XML of an answer to a logout request.
pub fn logout_response(answer: &LogoutAnswer<'_>) -> Result<String> {
    let message = LogoutResponse {
        id: Some(answer.id.to_owned()),
        in_response_to: Some(answer.in_response_to.to_owned()),
        version: Some("2.0".to_owned()),
        issue_instant: Some(instant(answer.now)?),
        destination: Some(answer.destination.to_owned()),
        consent: None,
        issuer: Some(issuer(answer.sp_entity_id)),
        signature: None,
        status: Some(Status {
            status_code: StatusCode { value: Some(answer.status.to_owned()) },
            status_message: answer.message.map(|text| StatusMessage { value: Some(escape(text)) }),
            status_detail: None,
        }),
    };
    Ok(without_declaration(ToXml::to_string(&message).map_err(unwritable)?))
}

/// The XML of a logout request. samael's type has no qualifiers and writes the session index in a place where the
/// schema does not allow it, so this one is written here.
pub fn logout_request(request: &LogoutOut<'_>) -> Result<String> {
    let attribute = |name: &str, value: Option<&str>| {
        value.map(|value| format!(" {name}=\"{}\"", escape(value))).unwrap_or_default()
    };
    let name_id = request.name_id;
    let format = Some(name_id.format.as_str()).filter(|format| *format != UNSPECIFIED);
    let mut xml = format!(
        "<saml2p:LogoutRequest xmlns:saml2p=\"{PROTOCOL}\"{}{}{}{}><saml2:Issuer xmlns:saml2=\"{ASSERTION}\">{}\
         </saml2:Issuer><saml2:NameID xmlns:saml2=\"{ASSERTION}\"{}{}{}>{}</saml2:NameID>",
        attribute("ID", Some(request.id)),
        attribute("Version", Some("2.0")),
        attribute("IssueInstant", Some(&request.now.to_string())),
        attribute("Destination", Some(request.destination)),
        escape(request.sp_entity_id),
        attribute("NameQualifier", name_id.name_qualifier.as_deref()),
        attribute("SPNameQualifier", name_id.sp_name_qualifier.as_deref()),
        attribute("Format", format),
        escape(&name_id.value),
    );
    for index in request.session_indexes {
        xml.push_str(&format!("<saml2p:SessionIndex>{}</saml2p:SessionIndex>", escape(index)));
    }
    xml.push_str("</saml2p:LogoutRequest>");
    Ok(xml)
}

/// The address that takes a message along in its query; signed over exactly the octets that are sent
/// (bindings §3.4.4.1). Errors: `invalid_input` for a relay state of more than 80 bytes.
pub fn redirect_url(
    location: &str,
    message: Message,
    xml: &str,
    relay_state: Option<&str>,
    key: Option<&SpKey>,
) -> Result<String> {
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(xml.as_bytes()).map_err(Error::bug)?;
    let packed = STANDARD.encode(packed.finish().map_err(Error::bug)?);
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let mut query = format!("{}={}", message.parameter(), encoded(&packed));
    if let Some(state) = relay_state.map(fits).transpose()? {
        query.push_str(&format!("&RelayState={}", encoded(state)));
    }
    if let Some(key) = key {
        query.push_str(&format!("&SigAlg={}", encoded(key.algorithm())));
        let signature = sign::query(&query, key)?;
        query.push_str(&format!("&Signature={}", encoded(&signature)));
    }
    let location = location.split('#').next().unwrap_or_default();
    let joint = match location.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    Ok(format!("{location}{joint}{query}"))
}

/// The form that takes a message along in its body; signed inside the message, after its Issuer as the schema has it.
/// Errors: `invalid_input` for a relay state of more than 80 bytes.
pub fn post_form(
    location: &str,
    message: Message,
    xml: &str,
    relay_state: Option<&str>,
    key: Option<&SpKey>,
) -> Result<Form> {
    let xml = match key {
        Some(key) => signed(xml, key)?,
        None => xml.to_owned(),
    };
    let mut fields = vec![(message.parameter().to_owned(), STANDARD.encode(xml))];
    if let Some(state) = relay_state.map(fits).transpose()? {
        fields.push(("RelayState".to_owned(), state.to_owned()));
    }
    Ok(Form { action: location.to_owned(), fields })
}

/// A message of ours with its signature in it.
fn signed(xml: &str, key: &SpKey) -> Result<String> {
    const END: &str = "</saml2:Issuer>";
    let at = xml.find(END).ok_or_else(|| Error::bug("a message without an issuer"))? + END.len();
    let id = xml.split_once(" ID=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id);
    sign::enveloped(xml, id.ok_or_else(|| Error::bug("a message without an ID"))?, at, key)
}

/// Bindings §3.4.3 allows 80 bytes.
fn fits(relay_state: &str) -> Result<&str> {
    let too_long = || Error::says(&codes::INVALID_INPUT, "A relay state has at most 80 bytes.");
    if relay_state.len() <= 80 { Ok(relay_state) } else { Err(too_long()) }
}

/// samael writes text as it is given, unlike attributes.
fn issuer(entity_id: &str) -> Issuer {
    Issuer { value: Some(escape(entity_id)), ..Issuer::default() }
}

/// The moment in the type of samael.
pub(super) fn instant(at: Timestamp) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(at.millis()).ok_or_else(|| Error::bug("a moment beyond the calendar"))
}

/// The types of samael fail only by themselves.
pub(super) fn unwritable(error: Box<dyn std::error::Error>) -> Error {
    Error::bug(error.to_string())
}

/// A signature is over the element, and so is what goes into a query.
pub(super) fn without_declaration(xml: String) -> String {
    match xml.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest.to_owned(),
        None => xml,
    }
}
