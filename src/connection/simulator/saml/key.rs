//! The SAML half's keys, and what is made with them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, PKCS_RSA_SHA256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::env::Env;
use crate::error::{Error, Result, codes};

/// RSA of 2048 bits, with a certificate that it signed itself.
pub(super) struct SigningKey {
    pair: RsaKeyPair,
    /// DER.
    pub certificate: Vec<u8>,
}

impl SigningKey {
    pub fn generate() -> Result<Self> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(Error::bug)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(Error::bug)?;
        let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.as_ref().into(), &PKCS_RSA_SHA256);
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "Simulated Identity Provider");
        params.distinguished_name = name;
        let certificate = params.self_signed(&key.map_err(Error::bug)?).map_err(Error::bug)?.der().to_vec();
        Ok(Self { pair, certificate })
    }

    /// The certificate as metadata and messages carry it.
    pub fn certificate(&self) -> String {
        STANDARD.encode(&self.certificate)
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256, in base64.
    pub fn sign(&self, text: &str) -> Result<String> {
        let mut out = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut out).map_err(Error::bug)?;
        Ok(STANDARD.encode(out))
    }
}

/// An `EncryptedAssertion` with that text in it: AES-256-GCM under a fresh key, which is wrapped by RSA-OAEP for the key of a
/// certificate. Errors: `invalid_request` when that is no RSA key.
pub(super) fn encrypted(env: &Env, plain: &str, certificate: &[u8]) -> Result<String> {
    let no_key = || Error::says(&codes::INVALID_REQUEST, "The service has no certificate to encrypt to.");
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| no_key())?;
    let public = PublicEncryptingKey::from_der(parsed.public_key().raw).map_err(|_| no_key())?;
    let wrapping = OaepPublicEncryptingKey::new(public).map_err(|_| no_key())?;
    let (key, nonce) = (env.random::<32>(), env.random::<12>());
    let mut wrapped = vec![0; wrapping.ciphertext_size()];
    let length = wrapping.encrypt(&OAEP_SHA1_MGF1SHA1, &key, &mut wrapped, None).map_err(Error::bug)?.len();
    wrapped.truncate(length);
    let mut sealed = plain.as_bytes().to_vec();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).map_err(Error::bug)?);
    cipher
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
        .map_err(Error::bug)?;
    let content = STANDARD.encode([&nonce[..], &sealed].concat());
    Ok(format!(
        "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">\
         <xenc:EncryptedData xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\" Type=\"http://www.w3.org/2001/04/xmlenc#Element\">\
         <xenc:EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#aes256-gcm\"></xenc:EncryptionMethod>\
         <ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><xenc:EncryptedKey>\
         <xenc:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p\"></xenc:EncryptionMethod>\
         <xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>\
         <xenc:CipherData><xenc:CipherValue>{content}</xenc:CipherValue></xenc:CipherData>\
         </xenc:EncryptedData></saml:EncryptedAssertion>",
        STANDARD.encode(&wrapped)
    ))
}
