//! Signing keys: made once, sealed at rest, published by their public half alone.
//!
//! ```text
//!  next ──► active ──► retiring ──► gone
//!  published  signs     published until its last token has ended
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::issue::LONGEST;
use super::pair::Pair;
use crate::access::Context;
use crate::crypto::{MasterKey, Sealed, Sealing, base64url, jws};
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::id::SigningKeyId;
use crate::store::{Batch, Key, Life, Query, Record, Store, Stored};

/// So long a key is published before it signs: whoever keeps the key set for as long as it allows (five minutes), and
/// for an hour against that, knows the key when the first token of it comes.
pub(super) const PUBLISHED_FIRST: Duration = Duration::from_secs(3_600);
/// So long a key that signs no more stays published: its longest token, and an hour for clocks that differ.
pub(super) const KEPT: Duration = Duration::from_secs(LONGEST.as_secs() + 3_600);

/// The algorithms that authd signs with: the two that every verifier of the field accepts.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[cbor(index_only)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256.
    #[default]
    #[serde(rename = "ES256")]
    #[n(0)]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 and 2048 bits, for verifiers that know nothing newer.
    #[serde(rename = "RS256")]
    #[n(1)]
    Rs256,
}

impl Algorithm {
    /// As RFC 7518 names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// The public half of a key.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum PublicKey {
    /// A point of P-256, 32 bytes each.
    #[n(0)]
    Ec {
        /// First coordinate.
        #[cbor(n(0), with = "minicbor::bytes")]
        x: Vec<u8>,
        /// Second coordinate.
        #[cbor(n(1), with = "minicbor::bytes")]
        y: Vec<u8>,
    },
    /// An RSA key, without leading zeros.
    #[n(1)]
    Rsa {
        /// Modulus.
        #[cbor(n(0), with = "minicbor::bytes")]
        n: Vec<u8>,
        /// Exponent.
        #[cbor(n(1), with = "minicbor::bytes")]
        e: Vec<u8>,
    },
}

/// Where a key is in its life.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Published, and does not sign yet.
    Next,
    /// Signs.
    Active,
    /// Signs no more, and is published until its last token has ended.
    Retiring,
}

/// A signing key as it is kept. The private half is sealed; `jwk` knows the public one only.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct SigningKey {
    /// Its id; the `kid` of every token that it signed.
    #[n(0)]
    pub id: SigningKeyId,
    /// What it signs with.
    #[n(1)]
    pub algorithm: Algorithm,
    /// What verifiers get.
    #[n(2)]
    pub public: PublicKey,
    /// PKCS#8, sealed at `signing_key/<id>`.
    #[n(3)]
    pub(super) private: Sealed,
    /// When it was made, and first published.
    #[n(4)]
    pub created_at: Timestamp,
    /// Since when it signs; a key is published before it signs.
    #[n(5)]
    pub activated_at: Option<Timestamp>,
    /// Since when it signs no more; it stays published until the last token of it has expired.
    #[n(6)]
    pub retired_at: Option<Timestamp>,
    /// When it is to take over, once that was asked for.
    #[n(7)]
    pub activates_at: Option<Timestamp>,
}

impl Record for SigningKey {
    const KIND: &'static str = "signing_key";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
}

impl Sealing for SigningKey {
    fn reseal(&mut self, env: &Env, key: &MasterKey) -> Result<bool> {
        key.reseal(env, &place(self.id), &mut self.private)
    }
}

/// The first keys of an algorithm, in memory and as the records that will be kept: one that signs, and the next one.
#[derive(Clone)]
pub struct Prepared {
    /// For the store.
    pub keys: [SigningKey; 2],
    /// For signing at once.
    pub signer: Arc<Signer>,
}

impl SigningKey {
    /// The key of a record.
    pub fn key_of(id: SigningKeyId) -> Key {
        Key::from_bytes(id.bytes())
    }

    /// Makes a key that does not sign yet. RSA takes a good part of a second, so it runs beside the event loop.
    pub(super) async fn fresh(cx: &Context, algorithm: Algorithm) -> Result<Self> {
        let pair = match algorithm {
            Algorithm::Es256 => Pair::generate(algorithm)?,
            Algorithm::Rs256 => {
                tokio::task::spawn_blocking(move || Pair::generate(algorithm)).await.map_err(Error::bug)??
            }
        };
        let id = SigningKeyId::new(&cx.env);
        Ok(Self {
            id,
            algorithm,
            public: pair.public()?,
            private: cx.deployment.master_key.seal(&cx.env, &place(id), &pair.pkcs8()?)?,
            created_at: cx.env.now(),
            activated_at: None,
            retired_at: None,
            activates_at: None,
        })
    }

    /// Makes the first keys of an algorithm.
    pub async fn generate(cx: &Context, algorithm: Algorithm) -> Result<Prepared> {
        let (mut first, mut next) = tokio::try_join!(Self::fresh(cx, algorithm), Self::fresh(cx, algorithm))?;
        // Published together: whoever knows the one knows the other.
        let now = cx.env.now();
        (first.created_at, next.created_at) = (now, now);
        first.activated_at = Some(now);
        let signer = Arc::new(first.unseal(&cx.deployment.master_key)?);
        Ok(Prepared { keys: [first, next], signer })
    }

    /// Keys for `algorithm`, if there is none that signs now: what `look` of an operation prepares.
    pub async fn prepare(cx: &Context, algorithm: Algorithm) -> Result<Option<Prepared>> {
        match Self::signing(&Self::all(&cx.store).await?, algorithm) {
            Some(_) => Ok(None),
            None => Self::generate(cx, algorithm).await.map(Some),
        }
    }

    /// Adds prepared keys to the batch, with their events. If somebody else has made some meanwhile there are two of
    /// the algorithm that sign, which does no harm: both are published, the newest signs.
    pub fn keep(cx: &Context, prepared: Option<&Prepared>, batch: &mut Batch) {
        for key in prepared.iter().flat_map(|prepared| &prepared.keys) {
            batch.create(key).log(key.event(cx, EventKind::SigningKeyCreated));
        }
    }

    /// An event about it.
    pub(super) fn event(&self, cx: &Context, kind: EventKind) -> crate::event::Event {
        cx.event(kind).about("signing_key", self.id).with("algorithm", self.algorithm.name())
    }

    /// Every key that is kept, with its revision. They are a handful.
    pub(super) async fn stored(store: &Store) -> Result<Vec<Stored<Self>>> {
        Ok(store.page::<Self>(Query::all().limit(1_000)).await?.items)
    }

    /// Every key that is kept.
    pub(super) async fn all(store: &Store) -> Result<Vec<Self>> {
        Ok(Self::stored(store).await?.into_iter().map(|stored| stored.value).collect())
    }

    /// The key that signs now: the newest one that is active.
    pub(super) fn signing(keys: &[Self], algorithm: Algorithm) -> Option<&Self> {
        let active = |key: &&Self| key.algorithm == algorithm && key.state() == State::Active;
        keys.iter().filter(active).max_by_key(|key| (key.activated_at, key.id))
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        match (self.activated_at, self.retired_at) {
            (_, Some(_)) => State::Retiring,
            (Some(_), None) => State::Active,
            (None, None) => State::Next,
        }
    }

    /// Until when it is published, once it signs no more.
    pub fn gone_at(&self) -> Option<Timestamp> {
        self.retired_at.map(|at| at + KEPT)
    }

    /// Opens the private half. Errors: `master_key_wrong`, `storage_corrupt`.
    pub(super) fn unseal(&self, master_key: &MasterKey) -> Result<Signer> {
        let pkcs8 = master_key.open(&place(self.id), &self.private)?;
        Ok(Signer {
            kid: self.id,
            name: self.id.to_string(),
            algorithm: self.algorithm,
            pair: Pair::read(self.algorithm, &pkcs8)?,
        })
    }

    /// The public key as RFC 7517 writes it, with `use`, `alg` and `kid`.
    pub(super) fn jwk(&self) -> Value {
        let common = |mut jwk: Value| {
            jwk["use"] = "sig".into();
            jwk["alg"] = self.algorithm.name().into();
            jwk["kid"] = self.id.to_string().into();
            jwk
        };
        match &self.public {
            PublicKey::Ec { x, y } => {
                common(json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)}))
            }
            PublicKey::Rsa { n, e } => common(json!({"kty": "RSA", "n": base64url(n), "e": base64url(e)})),
        }
    }
}

fn place(id: SigningKeyId) -> String {
    format!("signing_key/{id}")
}

/// An unsealed key, ready to sign: read once, so that a token costs one signature. It stays in memory and has no way to
/// print itself.
pub struct Signer {
    kid: SigningKeyId,
    name: String,
    algorithm: Algorithm,
    pair: Pair,
}

/// The header of every token (RFC 7515 §4.1).
#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'a str,
    kid: &'a str,
}

impl Signer {
    /// Which key it is.
    pub fn kid(&self) -> SigningKeyId {
        self.kid
    }

    /// A compact JWS of `claims` (RFC 7515 §7.1) with `alg`, `typ` and `kid`.
    pub(super) fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String> {
        let header = Header { typ, alg: self.algorithm.name(), kid: &self.name };
        jws::compact(&header, claims, |message| self.pair.sign(message))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({}, {})", self.kid, self.algorithm.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_from_before_there_was_a_next_key_signs() {
        let env = Env::frozen();
        let (id, now) = (SigningKeyId::new(&env), env.now());
        let public = PublicKey::Ec { x: vec![1; 32], y: vec![2; 32] };
        let sealed = MasterKey::generate(&env).seal(&env, &place(id), b"private").unwrap();
        let old = (id, Algorithm::Es256, public, sealed, now, Some(now), None::<Timestamp>);
        let key: SigningKey = minicbor::decode(&minicbor::to_vec(old).unwrap()).unwrap();
        assert_eq!((key.id, key.state(), key.activates_at), (id, State::Active, None));
    }
}
