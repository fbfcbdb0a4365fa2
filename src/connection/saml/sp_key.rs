//! Our own key for a connection: it signs what we send, and opens what is encrypted to us.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use rcgen::{CertificateParams, DistinguishedName, DnType, PKCS_RSA_SHA256, SerialNumber, date_time_ymd};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::certificate::Certificate;
use super::decrypt::DecryptionKey;
use super::names::{ECDSA_SHA256, ECDSA_SHA384, RSA_SHA256};
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};

/// How long our own certificates hold. Providers pin them like we pin theirs; the date is for those that look at it.
const YEARS: i32 = 10;

/// A private key with the certificate that tells others its public half.
pub struct SpKey {
    pkcs8: Zeroizing<Vec<u8>>,
    certificate: Vec<u8>,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
}

impl std::fmt::Debug for SpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SpKey")
    }
}

impl SpKey {
    /// A new RSA key of 2048 bits with a certificate for `name` that it signs itself. Takes a good part of a second:
    /// run it beside the event loop.
    pub fn generate(env: &Env, name: &str) -> Result<Self> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(Error::bug)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(Error::bug)?;
        let pkcs8 = Zeroizing::new(der.as_ref().to_vec());
        let certificate = self_signed(env, name, &pkcs8)?;
        Ok(Self { pkcs8, certificate, pair: Pair::Rsa(pair) })
    }

    /// From PKCS #8 and the certificate that belongs to it: RSA, or ECDSA with P-256 or P-384.
    /// Errors: `invalid_input` when they are not that, or not a pair.
    pub fn from_parts(pkcs8: &[u8], certificate: &[u8]) -> Result<Self> {
        let pair = RsaKeyPair::from_pkcs8(pkcs8).map(Pair::Rsa).ok();
        let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Pair::P256).ok();
        let p384 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8).map(Pair::P384).ok();
        let pair = pair.or_else(p256).or_else(p384);
        let pair = pair.ok_or_else(|| wrong("The private key is no RSA or ECDSA key in PKCS #8."))?;
        let read = Certificate::read(certificate).filter(|certificate| certificate.usable);
        read.ok_or_else(|| wrong("The certificate cannot be read, or its key is too weak."))?;
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| wrong("The certificate cannot be read."))?;
        if parsed.public_key().subject_public_key.data.as_ref() != pair.public() {
            return Err(wrong("The certificate is for another key."));
        }
        Ok(Self { pkcs8: Zeroizing::new(pkcs8.to_vec()), certificate: certificate.to_vec(), pair })
    }

    /// From what people have in files: a private key as PEM (PKCS #8, or PKCS #1 of RSA), and the certificate as PEM or
    /// base64. Errors: `invalid_input` when they are not that, or not a pair.
    pub fn from_text(private_key: &str, certificate: &str) -> Result<Self> {
        Self::from_parts(&private(private_key)?, &certificate_of(certificate)?)
    }

    /// The same key with another certificate. Errors: those of `from_parts`.
    pub fn with_certificate(&self, certificate: &str) -> Result<Self> {
        Self::from_parts(&self.pkcs8, &certificate_of(certificate)?)
    }

    /// The private half, PKCS #8: for sealing, and for nothing else.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// For opening what is encrypted to this key. Errors: `invalid_input` for ECDSA, to which nothing is.
    pub fn decryption(&self) -> Result<DecryptionKey> {
        DecryptionKey::from_pkcs8(&self.pkcs8)
    }

    /// What it signs with, as XML signatures name it.
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => RSA_SHA256,
            Pair::P256(_) => ECDSA_SHA256,
            Pair::P384(_) => ECDSA_SHA384,
        }
    }

    /// A signature in the form of XML signatures (ECDSA: both numbers, each at full length).
    pub(super) fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, bytes, &mut out).map_err(Error::bug)?;
                Ok(out)
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.sign(&rng, bytes).map(|signature| signature.as_ref().to_vec()).map_err(Error::bug)
            }
        }
    }
}

impl Pair {
    /// The public half as a certificate carries it.
    fn public(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::P256(pair) | Self::P384(pair) => pair.public_key().as_ref(),
        }
    }
}

fn certificate_of(text: &str) -> Result<Vec<u8>> {
    Certificate::from_text(text).map(|read| read.der).ok_or_else(|| wrong("The certificate cannot be read."))
}

/// PKCS #8 of what a file has. What is in it is never repeated, whatever is wrong with it.
fn private(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    let inside = |label: &str| {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        super::decode::from_base64(body).map(Zeroizing::new)
    };
    if let Some(pkcs8) = inside("PRIVATE KEY") {
        return Ok(pkcs8);
    }
    if let Some(pkcs1) = inside("RSA PRIVATE KEY") {
        let pair =
            RsaKeyPair::from_der(&pkcs1).map_err(|_| wrong("The private key is no RSA key that can be used."))?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(Error::bug)?;
        return Ok(Zeroizing::new(der.as_ref().to_vec()));
    }
    Err(wrong("The private key is no PEM that can be read.")
        .help("It has to be PKCS #8 without a passphrase: `openssl pkcs8 -topk8 -nocrypt -in key.pem`."))
}

fn wrong(why: &'static str) -> Error {
    Error::says(&codes::INVALID_INPUT, why)
}

fn self_signed(env: &Env, name: &str, pkcs8: &[u8]) -> Result<Vec<u8>> {
    let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), &PKCS_RSA_SHA256).map_err(Error::bug)?;
    let mut params = CertificateParams::default();
    let mut who = DistinguishedName::new();
    // X.520 allows a common name 64 characters.
    who.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    params.distinguished_name = who;
    // A day before, for clocks that run behind ours.
    let (year, month, day) = date(env.now() - Duration::from_secs(86_400))?;
    params.not_before = date_time_ymd(year, month, day);
    params.not_after = date_time_ymd(year + YEARS, month, day);
    let mut serial = env.random::<16>();
    // Positive, and not zero.
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params.self_signed(&key).map_err(Error::bug)?.der().to_vec())
}

fn date(at: Timestamp) -> Result<(i32, u8, u8)> {
    let moment = jiff::Timestamp::from_millisecond(at.millis()).map_err(Error::bug)?;
    let date = moment.to_zoned(jiff::tz::TimeZone::UTC).date();
    let month = u8::try_from(date.month()).map_err(Error::bug)?;
    // Not every year has a 29th of February.
    let day = u8::try_from(date.day().min(28)).map_err(Error::bug)?;
    Ok((i32::from(date.year()), month, day))
}
