//! JSON Web Signatures: put together in one place, and verified strictly (RFC 7515, RFC 7518, RFC 8037, RFC 9864,
//! RFC 8725).
//!
//! A key comes from the key set, never from the token: `jwk`, `jku`, `x5c` and `x5u` are not even looked at, and
//! `kid` is nothing but a name in the set. The algorithm comes from the caller's list, and must be that of the key.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::jwk::Jwk;
use super::{append_base64url, from_base64url, json};
use crate::error::{Error, Result, codes};

/// A longer token is refused.
pub const MAX_TOKEN: usize = 8 * 1024;
/// How that is told.
pub const TOO_LONG: &str = "longer than 8 KiB";
/// A longer key set is refused.
pub const MAX_KEY_SET: usize = 512 * 1024;
/// A set of more keys is refused.
const MAX_KEYS: usize = 64;
/// A longer name names no key.
const MAX_KID: usize = 1024;
/// Up to here the header of a token that is too long is still looked at, to say what is wrong with it.
const MAX_LOOKED_AT: usize = 64 * 1024;

/// The signature algorithms that are ever accepted. No `none`, no HMAC, nothing with SHA-1.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[cbor(index_only)]
#[expect(missing_docs, reason = "the names of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    #[n(0)]
    RS256,
    #[n(1)]
    RS384,
    #[n(2)]
    RS512,
    #[n(3)]
    PS256,
    #[n(4)]
    PS384,
    #[n(5)]
    PS512,
    #[n(6)]
    ES256,
    #[n(7)]
    ES384,
    #[n(8)]
    EdDSA,
    #[n(9)]
    ES512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];

    /// The value of `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The algorithm that a value of `alg` names, exactly; `Ed25519` (RFC 9864) is what `EdDSA` means here.
    pub fn named(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDSA);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Its hash over `bytes`; Ed25519 has SHA-512 inside. For `at_hash` and `c_hash` (OpenID Connect Core §3.1.3.6).
    pub fn hash(self, bytes: &[u8]) -> Vec<u8> {
        use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
        let hash = match self {
            Self::RS256 | Self::PS256 | Self::ES256 => &SHA256,
            Self::RS384 | Self::PS384 | Self::ES384 => &SHA384,
            Self::RS512 | Self::PS512 | Self::ES512 | Self::EdDSA => &SHA512,
        };
        digest(hash, bytes).as_ref().to_vec()
    }
}

/// A compact JWS over a JSON document (RFC 7515 §7.1). `sign` is given the signing input, and answers with the bytes of
/// the signature.
pub fn compact<S: AsRef<[u8]>>(
    header: &impl Serialize,
    claims: &impl Serialize,
    sign: impl FnOnce(&[u8]) -> Result<S>,
) -> Result<String> {
    let header = serde_json::to_vec(header).map_err(Error::bug)?;
    let payload = serde_json::to_vec(claims).map_err(Error::bug)?;
    // Base64 is four letters for three bytes; the signatures of our algorithms have up to 512 bytes.
    let mut token = String::with_capacity((header.len() + payload.len()) / 3 * 4 + 96);
    append_base64url(&header, &mut token);
    token.push('.');
    append_base64url(&payload, &mut token);
    let signature = sign(token.as_bytes())?;
    token.push('.');
    append_base64url(signature.as_ref(), &mut token);
    Ok(token)
}

/// What a token says once its signature holds.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The protected header.
    pub header: Map<String, Value>,
    /// The payload, a JSON object without duplicate members.
    pub claims: Map<String, Value>,
    /// What it was verified with.
    pub algorithm: Algorithm,
}

/// Why a token is refused. The texts are ours: nothing of the token stands in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no compact JWS, or one that could be read in two ways.
    Form(&'static str),
    /// It asks for an extension that must be understood (`crit`); none is.
    Critical,
    /// Its algorithm is not one that is accepted here.
    Algorithm,
    /// The key that it names is not one for its algorithm.
    Misfit,
    /// No key, or more than one, goes by its `kid`; or it has none, and not exactly one key could be meant.
    Key,
    /// Its name for the key cannot be one.
    KeyName,
    /// The signature does not hold.
    Signature,
    /// The signature holds, but the payload is not a JSON object, has a member twice, or is nested too deeply.
    Payload,
}

impl Fault {
    /// Whether the provider may since have published a key under which the token holds.
    pub fn fresh_keys_may_help(self) -> bool {
        matches!(self, Self::Key | Self::Misfit | Self::Signature)
    }
}

impl From<Fault> for Error {
    #[track_caller]
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Form(why) => Self::new(&codes::TOKEN_SIGNATURE).because(why),
            Fault::Algorithm => Self::new(&codes::TOKEN_SIGNATURE).because("the algorithm is not accepted"),
            Fault::Misfit => Self::new(&codes::TOKEN_SIGNATURE).because("the key is not for the algorithm"),
            Fault::Signature => Self::new(&codes::TOKEN_SIGNATURE),
            Fault::Key => Self::new(&codes::TOKEN_KEY),
            Fault::KeyName => Self::new(&codes::TOKEN_KEY).because("the kid cannot be one"),
            Fault::Critical => Self::new(&codes::TOKEN_CLAIMS).because("crit"),
            Fault::Payload => Self::new(&codes::TOKEN_CLAIMS).because("the payload is no strict JSON object"),
        }
    }
}

/// Public keys as a provider publishes them (RFC 7517).
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Jwk>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| key.kid.as_deref().unwrap_or("-"))).finish()
    }
}

impl KeySet {
    /// Reads a JWK set; keys that cannot be used (unknown type, `use` other than `sig`, weak, private, symmetric) are
    /// left out. Errors: `upstream_invalid` when it is no key set, is larger than 512 KiB, or has more than 64 keys.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let invalid = |why: &'static str| Error::new(&codes::UPSTREAM_INVALID).because(why);
        if text.len() > MAX_KEY_SET {
            return Err(invalid("the key set is larger than 512 KiB"));
        }
        let set = json::object(text).ok_or_else(|| invalid("the key set is no strict JSON object"))?;
        let members = set.get("keys").and_then(Value::as_array).ok_or_else(|| invalid("there is no list of keys"))?;
        if members.len() > MAX_KEYS {
            return Err(invalid("the key set has more than 64 keys"));
        }
        Ok(Self { keys: members.iter().filter_map(Value::as_object).filter_map(Jwk::parse).collect() })
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key is here that one of these algorithms could be verified with.
    pub fn fits_any(&self, algorithms: &[Algorithm]) -> bool {
        algorithms.iter().any(|algorithm| self.keys.iter().any(|key| key.fits(*algorithm)))
    }

    /// Whether a key with that kid is here.
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// Verifies a compact JWS with the key that its `kid` names (or the only key, if it names none).
    /// Errors: `token_signature` (form, algorithm, signature), `token_key` (no or more than one key fits),
    /// `token_claims` (`crit`; a payload that is no strict JSON object).
    pub fn verify(&self, token: &str, allowed: &[Algorithm]) -> Result<Verified> {
        self.check(token, allowed).map_err(Error::from)
    }

    /// As `verify`, with the reason told apart.
    pub fn check(&self, token: &str, allowed: &[Algorithm]) -> Result<Verified, Fault> {
        let Signed { header, payload, algorithm } = self.check_bytes(token, allowed)?;
        let claims = json::object(&payload).ok_or(Fault::Payload)?;
        Ok(Verified { header, claims, algorithm })
    }

    /// Verifies a compact JWS over any bytes.
    pub fn check_bytes(&self, token: &str, allowed: &[Algorithm]) -> Result<Signed, Fault> {
        let header = header(token)?;
        // The name of the key first: a `kid` of 10 KB makes a token that is too long as well.
        let kid = kid(&header)?;
        if token.len() > MAX_TOKEN {
            return Err(Fault::Form(TOO_LONG));
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Fault::Form("not three parts"))?;
        let (_, payload) = message.split_once('.').ok_or(Fault::Form("not three parts"))?;
        let payload = from_base64url(payload).ok_or(Fault::Form("the payload is not base64url"))?;
        let signature = from_base64url(signature).ok_or(Fault::Form("the signature is not base64url"))?;
        if header.contains_key("crit") {
            return Err(Fault::Critical);
        }
        if header.get("b64").is_some_and(|encoded| encoded != true) {
            return Err(Fault::Form("an unencoded payload"));
        }
        let algorithm = header
            .get("alg")
            .and_then(Value::as_str)
            .and_then(Algorithm::named)
            .filter(|algorithm| allowed.contains(algorithm))
            .ok_or(Fault::Algorithm)?;
        let key = self.key(kid, algorithm)?;
        if !key.verifies(algorithm, message.as_bytes(), &signature) {
            return Err(Fault::Signature);
        }
        Ok(Signed { header, payload, algorithm })
    }

    fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Jwk, Fault> {
        let only = |keys: Vec<_>| match keys.as_slice() {
            [key] => Ok(*key),
            _ => Err(Fault::Key),
        };
        match kid {
            // Two keys of one name: neither can be meant, whatever their types.
            Some(kid) => {
                let key: &Jwk = only(self.keys.iter().filter(|key| key.kid.as_deref() == Some(kid)).collect())?;
                if key.fits(algorithm) { Ok(key) } else { Err(Fault::Misfit) }
            }
            None => only(self.keys.iter().filter(|key| key.fits(algorithm)).collect()),
        }
    }
}

/// A compact JWS whose signature holds, over any bytes.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The protected header.
    pub header: Map<String, Value>,
    /// What was signed.
    pub payload: Vec<u8>,
    /// What it was verified with.
    pub algorithm: Algorithm,
}

/// The header of a token, before anything is known about it: to say what is wrong, never to decide what is right.
pub fn header(token: &str) -> Result<Map<String, Value>, Fault> {
    if token.len() > MAX_LOOKED_AT {
        return Err(Fault::Form(TOO_LONG));
    }
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Fault::Form("not three parts"));
    };
    let header = from_base64url(header).ok_or(Fault::Form("the header is not base64url"))?;
    json::object(&header).ok_or(Fault::Form("the header is no strict JSON object"))
}

fn kid(header: &Map<String, Value>) -> Result<Option<&str>, Fault> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= MAX_KID => Ok(Some(kid)),
        Some(_) => Err(Fault::KeyName),
    }
}
