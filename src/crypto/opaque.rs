//! Opaque tokens: 256 random bits with a prefix, of which only the hash is kept.

use super::{Secret, base64url, sha256};
use crate::env::Env;

/// A fresh token: the text goes to its holder once, the hash is kept.
pub struct Opaque {
    /// For the holder.
    pub text: Secret,
    /// For the store.
    pub hash: TokenHash,
}

impl Opaque {
    /// A token of 256 random bits behind `prefix` (`ak_`, `ac_` …).
    pub fn new(env: &Env, prefix: &str) -> Self {
        let text = Secret::new(format!("{prefix}{}", base64url(&env.random::<32>())));
        let hash = TokenHash::of(text.expose());
        Self { text, hash }
    }
}

/// SHA-256 of a token. The token has 256 random bits, so a plain hash cannot be searched backwards,
/// and finding it by an index leaks nothing that helps to guess another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct TokenHash(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

impl TokenHash {
    /// The hash of a token as it was presented.
    pub fn of(text: &str) -> Self {
        Self(sha256(&[b"authd opaque 1", text.as_bytes()]))
    }

    /// The bytes, for an index.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `text` is the token; in constant time.
    pub fn fits(&self, text: &str) -> bool {
        super::same(&self.0, Self::of(text).bytes())
    }
}
