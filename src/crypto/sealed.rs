//! Values encrypted at rest, and what a record with such values must be able to do.
//!
//! ```text
//!  now      1 │ key id (4) │ nonce (12) │ AES-256-GCM text and tag     associated: 1, key id, place
//!  before                    nonce (12) │ AES-256-GCM text and tag     associated: place
//! ```
//!
//! The older layout does not say which key it was sealed under; every key of the ring is tried.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::master_key::MasterKey;
use crate::env::Env;
use crate::error::{Error, Result};

/// The layout that is written.
const LAYOUT: u8 = 1;

/// Enough of a key's fingerprint to tell which key of a ring a value needs.
pub(super) type KeyId = [u8; 4];

/// An encrypted value. It can only be opened with the key and for the place that it was sealed for.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Sealed(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// A record that holds sealed values. Whoever keeps one says here where they are, so that the master key can change.
pub trait Sealing {
    /// Seals anew, under the current key, each value that is sealed under an older one; true if there was one.
    /// Errors: `master_key_wrong` for a value that no key of the ring opens.
    fn reseal(&mut self, env: &Env, key: &MasterKey) -> Result<bool>;
}

fn header(id: KeyId) -> [u8; 5] {
    [LAYOUT, id[0], id[1], id[2], id[3]]
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|e| Error::bug(e.to_string()))?;
    Ok(LessSafeKey::new(key))
}

impl Sealed {
    pub(super) fn seal(env: &Env, id: KeyId, key: &[u8; 32], place: &str, plain: &[u8]) -> Result<Self> {
        let nonce: [u8; 12] = env.random();
        let mut out = [&header(id)[..], &nonce].concat();
        let mut text = plain.to_vec();
        let bound = Aad::from([&header(id)[..], place.as_bytes()].concat());
        cipher(key)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut text)
            .map_err(|e| Error::bug(e.to_string()))?;
        out.append(&mut text);
        Ok(Self(out))
    }

    /// What was sealed under that key, in the layout of now. `None` for everything else.
    pub(super) fn open(&self, id: KeyId, key: &[u8; 32], place: &str) -> Option<Zeroizing<Vec<u8>>> {
        let text = self.0.strip_prefix(&header(id))?;
        decrypt(key, text, &[&header(id)[..], place.as_bytes()].concat())
    }

    /// What was sealed under that key, in the layout before.
    pub(super) fn open_older(&self, key: &[u8; 32], place: &str) -> Option<Zeroizing<Vec<u8>>> {
        decrypt(key, &self.0, place.as_bytes())
    }

    /// Sealed as values were before they named their key.
    #[cfg(test)]
    pub(super) fn seal_older(env: &Env, key: &[u8; 32], place: &str, plain: &[u8]) -> Self {
        let nonce: [u8; 12] = env.random();
        let mut text = plain.to_vec();
        let bound = Aad::from(place.as_bytes());
        cipher(key).unwrap().seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut text).unwrap();
        Self([&nonce[..], &text].concat())
    }

    #[cfg(test)]
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

fn decrypt(key: &[u8; 32], sealed: &[u8], bound: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, text) = sealed.split_at_checked(12)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let plain = cipher(key).ok()?.open_in_place(nonce, Aad::from(bound), &mut text).ok()?;
    Some(Zeroizing::new(plain.to_vec()))
}
