//! Signing keys: made once, sealed at rest, published by their public half alone.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

use super::issue::LONGEST;
use crate::access::Context;
use crate::crypto::{MasterKey, Sealed, Sealing, base64url};
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::SigningKeyId;
use crate::store::{Batch, Key, Life, Query, Record, Store};

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
    private: Sealed,
    /// When it was made, and first published.
    #[n(4)]
    pub created_at: Timestamp,
    /// From when on it signs; a key is published before it signs.
    #[n(5)]
    pub activated_at: Option<Timestamp>,
    /// From when on it signs no more; it stays published until the last token of it has expired.
    #[n(6)]
    pub retired_at: Option<Timestamp>,
}

impl Record for SigningKey {
    const KIND: &'static str = "signing_key";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        self.retired_at.map(|at| at + LONGEST + Duration::from_secs(3600))
    }
}

impl Sealing for SigningKey {
    fn reseal(&mut self, env: &Env, key: &MasterKey) -> Result<bool> {
        key.reseal(env, &place(self.id), &mut self.private)
    }
}

/// A new key, in memory and as the record that will be kept.
#[derive(Clone)]
pub struct Prepared {
    /// For the store.
    pub key: SigningKey,
    /// For signing at once.
    pub signer: Arc<Signer>,
}

impl SigningKey {
    /// Makes a key that signs from now on. RSA takes a good part of a second, so it runs beside the event loop.
    pub async fn generate(cx: &Context, algorithm: Algorithm) -> Result<Prepared> {
        let pair = match algorithm {
            Algorithm::Es256 => Pair::generate(algorithm)?,
            Algorithm::Rs256 => {
                tokio::task::spawn_blocking(move || Pair::generate(algorithm)).await.map_err(Error::bug)??
            }
        };
        let id = SigningKeyId::new(&cx.env);
        let now = cx.env.now();
        let pkcs8 = pair.pkcs8()?;
        let key = Self {
            id,
            algorithm,
            public: pair.public()?,
            private: cx.deployment.master_key.seal(&cx.env, &place(id), &pkcs8)?,
            created_at: now,
            activated_at: Some(now),
            retired_at: None,
        };
        Ok(Prepared { key, signer: Arc::new(Signer::new(id, algorithm, &pkcs8)?) })
    }

    /// A key for `algorithm`, if there is none that signs now: what `look` of an operation prepares.
    pub async fn prepare(cx: &Context, algorithm: Algorithm) -> Result<Option<Prepared>> {
        match Self::signing(&Self::all(&cx.store).await?, algorithm) {
            Some(_) => Ok(None),
            None => Self::generate(cx, algorithm).await.map(Some),
        }
    }

    /// Adds a prepared key to the batch, with its event. If somebody else has made one meanwhile there are two of
    /// the algorithm, which does no harm: both are published, the newest signs.
    pub fn keep(cx: &Context, prepared: Option<&Prepared>, batch: &mut Batch) {
        if let Some(Prepared { key, .. }) = prepared {
            let event = cx.event(EventKind::SigningKeyCreated).about("signing_key", key.id);
            batch.create(key).log(event.with("algorithm", key.algorithm.name()));
        }
    }

    /// Every key that is kept. They are a handful.
    pub(super) async fn all(store: &Store) -> Result<Vec<Self>> {
        let page = store.page::<Self>(Query::all().limit(1_000)).await?;
        Ok(page.items.into_iter().map(|stored| stored.value).collect())
    }

    /// The key that signs now: the newest one that is active.
    pub(super) fn signing(keys: &[Self], algorithm: Algorithm) -> Option<&Self> {
        let active = |key: &&Self| key.algorithm == algorithm && key.activated_at.is_some() && key.retired_at.is_none();
        keys.iter().filter(active).max_by_key(|key| (key.activated_at, key.id))
    }

    /// Opens the private half. Errors: `master_key_wrong`.
    pub(super) fn unseal(&self, master_key: &MasterKey) -> Result<Signer> {
        let pkcs8 = master_key.open(&place(self.id), &self.private)?;
        Signer::new(self.id, self.algorithm, &pkcs8)
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

/// An unsealed key, ready to sign. It stays in memory and has no way to print itself.
pub struct Signer {
    kid: SigningKeyId,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn new(kid: SigningKeyId, algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self> {
        let key = match algorithm {
            Algorithm::Es256 => EncodingKey::from_ec_der(pkcs8),
            Algorithm::Rs256 => EncodingKey::from_rsa_pem(pem(pkcs8).as_bytes())
                .map_err(|e| Error::new(&codes::STORAGE_CORRUPT).because(e))?,
        };
        Ok(Self { kid, algorithm, key })
    }

    /// Which key it is.
    pub fn kid(&self) -> SigningKeyId {
        self.kid
    }

    /// A compact JWS of `claims` (RFC 7515 §7.1) with `alg`, `typ` and `kid`.
    pub(super) fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String> {
        let mut header = Header::new(self.algorithm.into());
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid.to_string());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(Error::bug)
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::ES256,
            Algorithm::Rs256 => Self::RS256,
        }
    }
}

/// PKCS#8 as text (RFC 7468 §10): the one form in which the library takes an RSA key with its wrapping.
fn pem(pkcs8: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from("-----BEGIN PRIVATE KEY-----\n"));
    let encoded = Zeroizing::new(STANDARD.encode(pkcs8));
    for (place, letter) in encoded.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str("\n-----END PRIVATE KEY-----\n");
    text
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({}, {})", self.kid, self.algorithm.name())
    }
}

/// A new key pair. Its random numbers are aws-lc's own, seeded by the kernel: the library takes no other source.
enum Pair {
    Ec(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

fn failed(_: impl Sized) -> Error {
    Error::bug("the cryptographic library refused a key of ours")
}

impl Pair {
    fn generate(algorithm: Algorithm) -> Result<Self> {
        match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Box::new).map(Self::Ec).map_err(failed)
            }
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Box::new).map(Self::Rsa).map_err(failed),
        }
    }

    fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        let der: Vec<u8> = match self {
            Self::Ec(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Self::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair).map_err(failed)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(der))
    }

    fn public(&self) -> Result<PublicKey> {
        match self {
            // SEC 1 §2.3.3: 4, then both coordinates.
            Self::Ec(pair) => match pair.public_key().as_ref() {
                [4, point @ ..] if point.len() == 64 => {
                    Ok(PublicKey::Ec { x: point[..32].to_vec(), y: point[32..].to_vec() })
                }
                _ => Err(failed(())),
            },
            Self::Rsa(pair) => {
                let (n, e) = rsa_members(pair.public_key().as_ref()).ok_or_else(|| failed(()))?;
                Ok(PublicKey::Rsa { n, e })
            }
        }
    }
}

/// Modulus and exponent of an RSAPublicKey (RFC 8017 A.1.1): a SEQUENCE of two positive INTEGERs.
fn rsa_members(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
        let (&[found, first], rest) = der.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => {
                let (bytes, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*bytes)), rest)
            }
            _ => return None,
        };
        (found == tag).then_some(())?;
        rest.split_at_checked(length)
    }
    let positive = |bytes: &[u8]| bytes.iter().skip_while(|b| **b == 0).copied().collect::<Vec<u8>>();
    let (members, end) = element(0x30, der)?;
    let (n, members) = element(0x02, members)?;
    let (e, after) = element(0x02, members)?;
    (end.is_empty() && after.is_empty()).then(|| (positive(n), positive(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rsa_key_has_2048_bits_and_a_usual_exponent() {
        let pair = Pair::generate(Algorithm::Rs256).unwrap();
        let PublicKey::Rsa { n, e } = pair.public().unwrap() else { panic!("not RSA") };
        assert_eq!((n.len(), n[0] >> 7, e), (256, 1, vec![1, 0, 1]));
    }

    #[test]
    fn what_a_stored_key_signs_its_public_half_verifies() {
        let env = crate::env::Env::frozen();
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let pair = Pair::generate(algorithm).unwrap();
            let id = SigningKeyId::new(&env);
            let signer = Signer::new(id, algorithm, &pair.pkcs8().unwrap()).unwrap();
            let token = signer.sign("JWT", &Map::new()).unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();
            let key = match pair.public().unwrap() {
                PublicKey::Ec { x, y } => jsonwebtoken::DecodingKey::from_ec_components(&base64url(&x), &base64url(&y)),
                PublicKey::Rsa { n, e } => {
                    jsonwebtoken::DecodingKey::from_rsa_components(&base64url(&n), &base64url(&e))
                }
            };
            let held = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.unwrap(), algorithm.into());
            assert!(held.unwrap(), "{algorithm:?}");
        }
        assert!(Signer::new(SigningKeyId::new(&env), Algorithm::Rs256, b"no key").is_err());
    }

    #[test]
    fn der_that_is_not_two_integers_is_refused() {
        for der in
            [&[][..], &[0x30], &[0x30, 3, 2, 1, 1], &[0x31, 6, 2, 1, 1, 2, 1, 3], &[0x30, 6, 2, 1, 1, 2, 1, 3, 0]]
        {
            assert!(rsa_members(der).is_none(), "{der:?}");
        }
        assert_eq!(rsa_members(&[0x30, 7, 2, 2, 0, 0x80, 2, 1, 3]), Some((vec![0x80], vec![3])));
    }
}
