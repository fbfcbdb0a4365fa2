//! Our signatures: inside a message (POST binding, metadata) and over a query (redirect binding).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::c14n::{C14nMode, canonicalize};

use super::escape;
use super::names::{DSIG, ENVELOPED, EXC_C14N, SHA256};
use super::sp_key::SpKey;
use crate::error::{Error, Result};

/// Signs the element on top of `xml`, whose ID is `id`, and puts the signature where `at` says: a place between two
/// elements directly inside it. Messages want it after the Issuer, metadata first; each by its schema.
pub(super) fn enveloped(xml: &str, id: &str, at: usize, key: &SpKey) -> Result<String> {
    let (before, after) = xml.split_at_checked(at).ok_or_else(|| Error::bug("no place for a signature"))?;
    // Without the signature inside it yet, the element is what the enveloped-signature transform leaves of it.
    let octets = canonicalize(xml, C14nMode::Exclusive, None, &[] as &[&str]).map_err(Error::bug)?;
    let digest = super::digest(SHA256, &octets).ok_or_else(|| Error::bug("no SHA-256"))?;
    let inside = format!(
        "<ds:CanonicalizationMethod Algorithm=\"{EXC_C14N}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>\
         <ds:Reference URI=\"#{}\"><ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>\
         <ds:Transform Algorithm=\"{EXC_C14N}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{SHA256}\"></ds:DigestMethod>\
         <ds:DigestValue>{}</ds:DigestValue></ds:Reference>",
        key.algorithm(),
        escape(id),
        STANDARD.encode(digest),
    );
    // Written in canonical form already: no empty tags, and the prefix declared on top of what is signed.
    let canonical = format!("<ds:SignedInfo xmlns:ds=\"{DSIG}\">{inside}</ds:SignedInfo>");
    let value = STANDARD.encode(key.sign(canonical.as_bytes())?);
    let certificate = STANDARD.encode(key.certificate());
    Ok(format!(
        "{before}<ds:Signature xmlns:ds=\"{DSIG}\"><ds:SignedInfo>{inside}</ds:SignedInfo>\
         <ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>\
         <ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>{after}"
    ))
}

/// The signature over a query: over exactly these octets.
pub(super) fn query(octets: &str, key: &SpKey) -> Result<String> {
    key.sign(octets.as_bytes()).map(|signature| STANDARD.encode(signature))
}
