//! # crypto — secrets, sealed values, opaque tokens, keys
//!
//! *Owns* every use of cryptography that is not TLS. *Gives* `Secret` (redacts itself), `Sealed` (encrypted at
//! rest under the `MasterKey`, a ring that can turn), `Opaque` tokens kept as hashes, JWS verification.
//! *Needs* `Env` for randomness. *Never* prints, logs or returns key material.

pub mod json;
mod jwk;
pub mod jws;
mod master_key;
mod opaque;
mod passphrase;
mod sealed;
mod secret;

pub use master_key::{Home, MasterKey};
pub use opaque::{Opaque, TokenHash};
pub use passphrase::{PassphraseKey, SHORTEST as SHORTEST_PASSPHRASE, Wrapped};
pub use sealed::{Sealed, Sealing};
pub use secret::Secret;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// SHA-256 of the parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// HMAC-SHA-256 (RFC 2104).
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key), message);
    let mut out = [0; 32];
    out.copy_from_slice(tag.as_ref());
    out
}

/// Base64url without padding (RFC 7515 §2).
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Base64url without padding, behind what `text` has already.
fn append_base64url(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// Reads base64url without padding; anything else, white space and padding included, is `None`.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Compares in a time that depends on the lengths alone.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(a, b).into()
}
