//! X.509 certificates as SAML uses them: an envelope around a key that somebody pinned.

use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::crypto::sha256;
use crate::env::Timestamp;

/// What of a certificate is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// As it is kept and pinned.
    pub der: Vec<u8>,
    /// SHA-256 of it, in hexadecimal.
    pub thumbprint: String,
    /// Whom it names.
    pub subject: String,
    /// From when on.
    pub not_before: Timestamp,
    /// Until when. Past it the key still counts: people are warned, not locked out.
    pub not_after: Timestamp,
    /// Whether its key can sign well enough: RSA of 2048 to 8192 bits, or ECDSA with P-256, P-384 or P-521.
    pub usable: bool,
    /// What kind of key it holds, for people: `RSA 2048`.
    pub key: String,
}

impl Certificate {
    /// Reads a certificate; nothing may follow it. `None` for what is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let (usable, key) = strength(&parsed);
        Some(Self {
            der: der.to_vec(),
            thumbprint: thumbprint(der),
            subject: parsed.subject().to_string(),
            not_before: Timestamp::from_seconds(parsed.validity().not_before.timestamp()),
            not_after: Timestamp::from_seconds(parsed.validity().not_after.timestamp()),
            usable,
            key,
        })
    }

    /// Reads a certificate as people paste it: PEM, or base64 with or without line breaks.
    pub fn from_text(text: &str) -> Option<Self> {
        let inside = match text.split_once("-----BEGIN CERTIFICATE-----") {
            Some((_, rest)) => rest.split_once("-----END CERTIFICATE-----")?.0,
            None => text,
        };
        Self::read(&super::decode::from_base64(inside)?)
    }
}

fn strength(certificate: &X509Certificate<'_>) -> (bool, String) {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => {
            let bits = key.key_size();
            ((2048..=8192).contains(&bits), format!("RSA {bits}"))
        }
        Ok(PublicKey::EC(_)) => {
            let curve = certificate.public_key().algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            match curve.map(|oid| oid.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => (true, "ECDSA P-256".to_owned()),
                Some("1.3.132.0.34") => (true, "ECDSA P-384".to_owned()),
                Some("1.3.132.0.35") => (true, "ECDSA P-521".to_owned()),
                _ => (false, "ECDSA with another curve".to_owned()),
            }
        }
        Ok(PublicKey::DSA(_)) => (false, "DSA".to_owned()),
        _ => (false, "another kind".to_owned()),
    }
}

/// SHA-256 of a certificate, in hexadecimal.
pub fn thumbprint(der: &[u8]) -> String {
    use std::fmt::Write as _;
    sha256(&[der]).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
