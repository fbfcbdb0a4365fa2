//! What an identity provider's administrator needs to know of us, as XML.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use samael::key_info::{KeyInfo, X509Data};
use samael::metadata::{EncryptionMethod, Endpoint, EntityDescriptor, IndexedEndpoint, KeyDescriptor, SpSsoDescriptor};
use samael::traits::ToXml;

use super::names::{AES128_GCM, AES256_GCM, POST, PROTOCOL, REDIRECT, RSA_OAEP_MGF1P};
use super::request::{unwritable, without_declaration};
use super::sp_key::SpKey;
use super::{escape, sign};
use crate::error::{Error, Result};

/// What the metadata of one connection says.
#[derive(Clone, Copy, Debug)]
pub struct SpMetadata<'a> {
    /// Our entity id for the connection.
    pub entity_id: &'a str,
    /// Where answers are posted.
    pub acs_url: &'a str,
    /// Where logout messages go, by either binding.
    pub slo_url: Option<&'a str>,
    /// Certificates of keys that we sign with, DER; two while one takes over from the other.
    pub signing: &'a [&'a [u8]],
    /// Certificates of keys that assertions may be encrypted to, DER.
    pub encryption: &'a [&'a [u8]],
    /// Whether our requests are signed.
    pub requests_signed: bool,
    /// Whether the assertion itself has to be signed.
    pub want_assertions_signed: bool,
    /// Forms of NameID that are wished for.
    pub name_id_formats: &'a [&'a str],
}

/// Writes it, signed by `sign` under that ID where one is given.
pub fn write(metadata: &SpMetadata<'_>, sign: Option<(&SpKey, &str)>) -> Result<String> {
    let endpoint = |binding: &str, url: &str| Endpoint {
        binding: binding.to_owned(),
        location: url.to_owned(),
        response_location: None,
    };
    let signing = metadata.signing.iter().map(|der| key("signing", der, &[]));
    let methods = [RSA_OAEP_MGF1P, AES256_GCM, AES128_GCM];
    let encryption = metadata.encryption.iter().map(|der| key("encryption", der, &methods));
    let role = SpSsoDescriptor {
        protocol_support_enumeration: Some(PROTOCOL.to_owned()),
        key_descriptors: Some(signing.chain(encryption).collect()),
        single_logout_services: metadata.slo_url.map(|url| vec![endpoint(REDIRECT, url), endpoint(POST, url)]),
        name_id_formats: Some(metadata.name_id_formats.iter().map(|format| escape(format)).collect()),
        authn_requests_signed: Some(metadata.requests_signed),
        want_assertions_signed: Some(metadata.want_assertions_signed),
        assertion_consumer_services: vec![IndexedEndpoint {
            binding: POST.to_owned(),
            location: metadata.acs_url.to_owned(),
            response_location: None,
            index: 0,
            is_default: Some(true),
        }],
        ..SpSsoDescriptor::default()
    };
    let entity = EntityDescriptor {
        entity_id: Some(metadata.entity_id.to_owned()),
        sp_sso_descriptors: Some(vec![role]),
        ..EntityDescriptor::default()
    };
    let xml = without_declaration(ToXml::to_string(&entity).map_err(unwritable)?);
    let Some((key, id)) = sign else { return Ok(xml) };
    // samael writes no ID of an entity, and a signature has to name what it is about.
    const TOP: &str = "<md:EntityDescriptor";
    let rest = xml.strip_prefix(TOP).ok_or_else(|| Error::bug("metadata without an entity"))?;
    let xml = format!("{TOP} ID=\"{}\"{rest}", escape(id));
    let at = xml.find('>').ok_or_else(|| Error::bug("metadata without an entity"))? + 1;
    sign::enveloped(&xml, id, at, key)
}

fn key(usage: &str, certificate: &[u8], methods: &[&str]) -> KeyDescriptor {
    let method = |uri: &&str| EncryptionMethod { algorithm: (*uri).to_owned() };
    KeyDescriptor {
        key_use: Some(usage.to_owned()),
        key_info: KeyInfo { id: None, x509_data: Some(X509Data { certificates: vec![STANDARD.encode(certificate)] }) },
        encryption_methods: (!methods.is_empty()).then(|| methods.iter().map(method).collect()),
    }
}
