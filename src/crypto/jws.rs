//! JSON Web Signatures, verified strictly (RFC 7515, RFC 7518, RFC 8037, RFC 8725).

use crate::error::Result;

/// The signature algorithms that are ever accepted. No `none`, no HMAC, nothing with SHA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// What a token says once its signature holds.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The protected header.
    pub header: serde_json::Map<String, serde_json::Value>,
    /// The payload, a JSON object without duplicate members.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

/// Public keys as a provider publishes them (RFC 7517).
#[derive(Clone, Debug, Default)]
pub struct KeySet {}

impl KeySet {
    /// Reads a JWK set; keys that cannot be used (unknown type, `use` other than `sig`) are left out.
    /// Errors: `upstream_invalid` when it is no key set, has more than 64 keys, or two keys of one kid.
    pub fn parse(_json: &[u8]) -> Result<Self> {
        Ok(Self {})
    }

    /// Whether a key with that kid is here.
    pub fn knows(&self, _kid: &str) -> bool {
        false
    }

    /// Verifies a compact JWS with the key that its `kid` names (or the only key, if it names none).
    /// Errors: `token_signature` (form, algorithm, signature), `token_key` (no or more than one key fits).
    pub fn verify(&self, _token: &str, _allowed: &[Algorithm]) -> Result<Verified> {
        Err(crate::error::Error::new(&crate::error::codes::TOKEN_SIGNATURE))
    }
}
