//! An encrypted assertion, opened without telling the sender anything.
//!
//! Whoever can post here can make us decrypt. So every failure is the same error after the same work: the key is
//! unwrapped even when the rest can no longer hold, and something is decrypted even when no key came out. CBC has no
//! integrity of its own and is opened only inside a Response whose signature has been verified; RSA with the old
//! padding is never tried.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm,
    OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use zeroize::Zeroizing;

use super::decode::from_base64;
use super::names::{
    AES128_CBC, AES128_GCM, AES256_CBC, AES256_GCM, DSIG, RSA_OAEP, RSA_OAEP_MGF1P, SHA1, SHA256, SHA384, SHA512, XENC,
    XENC11,
};
use super::screen::only;
use super::tree::Node;
use super::{refuse, shown};
use crate::connection::protocol::Checks;
use crate::error::{Error, Result, codes};

/// Recipients of one assertion.
const MAX_WRAPPED: usize = 2;

/// A private key that assertions are encrypted to.
pub struct DecryptionKey(OaepPrivateDecryptingKey);

impl DecryptionKey {
    /// From PKCS #8. Errors: `invalid_input` for anything but an RSA key of 2048 to 8192 bits.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        let key = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| not_a_key())?;
        OaepPrivateDecryptingKey::new(key).map(Self).map_err(|_| not_a_key())
    }
}

fn not_a_key() -> Error {
    Error::says(&codes::INVALID_INPUT, "That is no RSA key that assertions can be encrypted to.")
}

impl std::fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DecryptionKey")
    }
}

/// A content key, wrapped for somebody.
struct Wrapped {
    algorithm: Option<&'static OaepAlgorithm>,
    label: Option<Vec<u8>>,
    bytes: Vec<u8>,
}

/// How the content is encrypted.
#[derive(Clone, Copy)]
enum Cipher {
    Gcm(usize),
    Cbc(usize),
}

impl Cipher {
    fn named(uri: &str) -> Option<Self> {
        match uri {
            AES128_GCM => Some(Self::Gcm(16)),
            AES256_GCM => Some(Self::Gcm(32)),
            AES128_CBC => Some(Self::Cbc(16)),
            AES256_CBC => Some(Self::Cbc(32)),
            _ => None,
        }
    }

    fn key_length(self) -> usize {
        match self {
            Self::Gcm(length) | Self::Cbc(length) => length,
        }
    }
}

/// Opens an `EncryptedAssertion`. `vouched` says that a verified signature covers the ciphertext.
/// Errors: `saml_decrypt`; `saml_structure` and `saml_reference` for what needs no key to see.
pub(super) fn decrypt(
    encrypted: Node<'_>,
    keys: &[DecryptionKey],
    vouched: bool,
    checks: &mut Checks,
) -> Result<Zeroizing<String>> {
    only(encrypted, &[(XENC, "EncryptedData"), (XENC, "EncryptedKey")], checks)?;
    let data = encrypted.exactly(XENC, "EncryptedData", checks)?;
    only(data, &[(XENC, "EncryptionMethod"), (DSIG, "KeyInfo"), (XENC, "CipherData")], checks)?;
    let kind = data.attribute("Type");
    if kind.is_some_and(|kind| kind != "http://www.w3.org/2001/04/xmlenc#Element") {
        return Err(refuse(checks, "structure", "an encrypted element", shown(kind.unwrap_or_default())));
    }
    let wrapped = wrapped(encrypted, data, checks)?;
    let content = cipher_value(data, checks)?;
    let method = data.one(XENC, "EncryptionMethod", checks)?.and_then(|node| node.attribute("Algorithm"));
    let method = method.unwrap_or("(none)");

    let cipher = Cipher::named(method).filter(|cipher| vouched || matches!(cipher, Cipher::Gcm(_)));
    let expected = if vouched { "AES-GCM or AES-CBC" } else { "AES-GCM (AES-CBC only in a signed Response)" };
    checks.compare("encryption_algorithm", cipher.is_some(), expected, shown(method));

    let mut opened = None;
    for key in keys {
        for wrapped in &wrapped {
            let content_key = unwrap(&key.0, wrapped);
            let cipher_or_any = cipher.unwrap_or(Cipher::Gcm(32));
            let fits = content_key.as_ref().is_some_and(|key| key.len() == cipher_or_any.key_length());
            // Without a key, a key of zeros: the same work, and its result does not count.
            let zeros = Zeroizing::new(vec![0; cipher_or_any.key_length()]);
            let used = content_key.filter(|_| fits).unwrap_or(zeros);
            let plain = open(cipher_or_any, &used, &content);
            if fits && cipher.is_some() && opened.is_none() {
                opened = plain;
            }
        }
    }
    let text = opened.and_then(|plain| String::from_utf8(plain.to_vec()).ok().map(Zeroizing::new));
    checks.compare(
        "decryption",
        text.is_some(),
        "encrypted to a key of this connection",
        format!("{} keys", keys.len()),
    );
    text.ok_or_else(failed)
}

/// The one error of everything that needs a key.
pub(super) fn failed() -> Error {
    Error::new(&codes::SAML_DECRYPT)
}

/// The wrapped keys: inside the `KeyInfo` of the data, or beside the data.
fn wrapped(encrypted: Node<'_>, data: Node<'_>, checks: &mut Checks) -> Result<Vec<Wrapped>> {
    let info = data.one(DSIG, "KeyInfo", checks)?;
    let beside: Vec<Node<'_>> = encrypted.all(XENC, "EncryptedKey").collect();
    let mut found = Vec::new();
    for child in info.iter().flat_map(|info| info.children()) {
        match (child.namespace(), child.local()) {
            (XENC, "EncryptedKey") => found.push(child),
            (DSIG, "RetrievalMethod") => {
                // Not followed: it may only point at the key that stands beside.
                let target = child.attribute("URI").and_then(|uri| uri.strip_prefix('#'));
                let points = beside.iter().any(|key| target.is_some() && key.attribute("Id") == target);
                if !points || child.children().next().is_some() {
                    checks.compare("reference", false, "the EncryptedKey beside", "something else");
                    return Err(Error::new(&codes::SAML_REFERENCE));
                }
            }
            (DSIG, "KeyName" | "X509Data") => {}
            _ => return Err(refuse(checks, "structure", "an EncryptedKey", shown(child.local()))),
        }
    }
    found.extend(beside);
    if found.len() > MAX_WRAPPED {
        return Err(refuse(checks, "limits", format!("at most {MAX_WRAPPED} wrapped keys"), found.len()));
    }
    found.into_iter().map(|node| one_wrapped(node, checks)).collect()
}

fn one_wrapped(node: Node<'_>, checks: &mut Checks) -> Result<Wrapped> {
    let allowed = ["EncryptionMethod", "CipherData", "ReferenceList", "CarriedKeyName"].map(|local| (XENC, local));
    let allowed: Vec<(&str, &str)> = allowed.into_iter().chain([(DSIG, "KeyInfo")]).collect();
    only(node, &allowed, checks)?;
    let bytes = cipher_value(node, checks)?;
    let method = node.one(XENC, "EncryptionMethod", checks)?;
    let uri = method.and_then(|node| node.attribute("Algorithm")).unwrap_or("(none)");
    let (mut digest, mut mgf, mut label) = (SHA1, None, None);
    if let Some(method) = method {
        only(method, &[(DSIG, "DigestMethod"), (XENC11, "MGF"), (XENC, "OAEPparams"), (XENC, "KeySize")], checks)?;
        if let Some(node) = method.one(DSIG, "DigestMethod", checks)? {
            digest = node.attribute("Algorithm").unwrap_or_default();
        }
        if let Some(node) = method.one(XENC11, "MGF", checks)? {
            mgf = Some(node.attribute("Algorithm").unwrap_or_default());
        }
        if let Some(node) = method.one(XENC, "OAEPparams", checks)? {
            label = node.text().as_deref().and_then(from_base64);
        }
    }
    let algorithm = oaep(uri, digest, mgf);
    checks.compare("key_transport", algorithm.is_some(), "RSA-OAEP", shown(&format!("{uri} {digest}")));
    Ok(Wrapped { algorithm, label, bytes })
}

/// The combinations of the field. The two sums are the same one: where the first version of the specification fixes
/// MGF1 with SHA-1 beside another digest, senders that do so use the other digest for both.
fn oaep(uri: &str, digest: &str, mgf: Option<&str>) -> Option<&'static OaepAlgorithm> {
    if !matches!(uri, RSA_OAEP | RSA_OAEP_MGF1P) {
        return None;
    }
    let (algorithm, its_mgf) = match digest {
        SHA1 => (&OAEP_SHA1_MGF1SHA1, "mgf1sha1"),
        SHA256 => (&OAEP_SHA256_MGF1SHA256, "mgf1sha256"),
        SHA384 => (&OAEP_SHA384_MGF1SHA384, "mgf1sha384"),
        SHA512 => (&OAEP_SHA512_MGF1SHA512, "mgf1sha512"),
        _ => return None,
    };
    let fits = mgf.is_none_or(|mgf| mgf.strip_prefix("http://www.w3.org/2009/xmlenc11#") == Some(its_mgf));
    fits.then_some(algorithm)
}

fn cipher_value(node: Node<'_>, checks: &mut Checks) -> Result<Vec<u8>> {
    let data = node.exactly(XENC, "CipherData", checks)?;
    only(data, &[(XENC, "CipherValue")], checks)?;
    let value = data.exactly(XENC, "CipherValue", checks)?;
    // What is no base64 is nothing, and nothing fails like any other ciphertext.
    Ok(value.text().as_deref().and_then(from_base64).unwrap_or_default())
}

/// The content key, by one private operation whatever comes in.
fn unwrap(key: &OaepPrivateDecryptingKey, wrapped: &Wrapped) -> Option<Zeroizing<Vec<u8>>> {
    let size = key.key_size_bytes();
    let whole = wrapped.bytes.len() == size;
    let zeros = vec![0; size];
    let bytes = if whole { &wrapped.bytes } else { &zeros };
    let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
    let algorithm = wrapped.algorithm.unwrap_or(&OAEP_SHA1_MGF1SHA1);
    let length = key.decrypt(algorithm, bytes, &mut out, wrapped.label.as_deref()).map(|plain| plain.len()).ok();
    let length = length.filter(|_| whole && wrapped.algorithm.is_some())?;
    out.truncate(length);
    Some(out)
}

fn open(cipher: Cipher, key: &[u8], content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    match cipher {
        Cipher::Gcm(length) => {
            let (nonce, sealed) = content.split_at_checked(NONCE_LEN)?;
            let algorithm = if length == 16 { &AES_128_GCM } else { &AES_256_GCM };
            let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut buffer = Zeroizing::new(sealed.to_vec());
            // The tag has its full 16 bytes: what is shorter is no ciphertext at all.
            let plain = key.open_in_place(nonce, Aad::empty(), &mut buffer).ok()?.len();
            buffer.truncate(plain);
            Some(buffer)
        }
        Cipher::Cbc(length) => {
            let (iv, sealed) = content.split_first_chunk::<16>()?;
            if sealed.is_empty() || sealed.len() % 16 != 0 {
                return None;
            }
            let algorithm = if length == 16 { &AES_128 } else { &AES_256 };
            // XML encryption pads like ISO 10126: only the last byte says something.
            let key = PaddedBlockDecryptingKey::cbc_iso10126(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
            let mut buffer = Zeroizing::new(sealed.to_vec());
            let context = DecryptionContext::Iv128(FixedLength::from(iv));
            let plain = key.decrypt(&mut buffer, context).ok()?.len();
            buffer.truncate(plain);
            Some(buffer)
        }
    }
}
