//! Unsealed keys in memory, so that issuing a token costs one signature and no decryption.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, TokenData, Validation};
use serde_json::{Map, Value};

use super::jwks;
use super::signing_key::{Algorithm, Signer, SigningKey};
use crate::access::{Caller, Context};
use crate::crypto::jws::KeySet;
use crate::crypto::{base64url, sha256};
use crate::error::{Error, Result};
use crate::id::SigningKeyId;
use crate::store::Batch;

/// How long the keys in memory are taken for those of the store. A key is published long before it signs, so a
/// rotation does not depend on this; a key that was taken away is refused this much later at most.
const FRESH: Duration = Duration::from_secs(5);

/// The signing keys of one store. Cheap to clone; one for the whole process.
#[derive(Clone, Default)]
pub struct Keyring(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// What was read, and when; without a time, it is to be read again.
    now: RwLock<Option<(Arc<Snapshot>, Option<Duration>)>>,
    /// One reader of the store at a time, and one maker of a first key.
    loading: tokio::sync::Mutex<()>,
}

/// The keys as they were at one moment.
pub(super) struct Snapshot {
    signers: BTreeMap<SigningKeyId, Arc<Signer>>,
    es256: Option<Arc<Signer>>,
    rs256: Option<Arc<Signer>>,
    pub(super) verifying: KeySet,
    decoding: BTreeMap<String, DecodingKey>,
    published: Published,
}

/// The key set as it goes out.
#[derive(Clone, Debug)]
pub struct Published {
    /// JSON.
    pub body: axum::body::Bytes,
    /// A strong entity tag, quoted.
    pub etag: Arc<str>,
}

impl Snapshot {
    /// What a token of ours says, if one of these keys has signed it. Its times and its audience are the caller's.
    pub(super) fn read(&self, token: &str, kid: &str) -> Option<TokenData<Map<String, Value>>> {
        let mut validation = Validation::new(jsonwebtoken::Algorithm::ES256);
        validation.algorithms = vec![jsonwebtoken::Algorithm::ES256, jsonwebtoken::Algorithm::RS256];
        // The clock of `Env` counts, and it has no leeway for our own.
        (validation.validate_exp, validation.validate_aud) = (false, false);
        validation.required_spec_claims.clear();
        // A key of the one family never passes for the other.
        let alg = jsonwebtoken::decode_header(token).ok()?.alg;
        validation.algorithms.retain(|own| *own == alg);
        if validation.algorithms.is_empty() {
            return None;
        }
        jsonwebtoken::decode(token, self.decoding.get(kid)?, &validation).ok()
    }

    fn signer(&self, algorithm: Algorithm) -> Option<&Arc<Signer>> {
        match algorithm {
            Algorithm::Es256 => self.es256.as_ref(),
            Algorithm::Rs256 => self.rs256.as_ref(),
        }
    }

    /// Keys that `before` has unsealed already are taken over.
    fn of(cx: &Context, keys: &[SigningKey], before: Option<&Self>) -> Result<Self> {
        let mut signers = BTreeMap::new();
        let mut current = |algorithm| {
            let Some(key) = SigningKey::signing(keys, algorithm) else { return Ok::<_, Error>(None) };
            let signer = match before.and_then(|snapshot| snapshot.signers.get(&key.id)) {
                Some(known) => Arc::clone(known),
                None => Arc::new(key.unseal(&cx.deployment.master_key)?),
            };
            signers.insert(key.id, Arc::clone(&signer));
            Ok(Some(signer))
        };
        let (es256, rs256) = (current(Algorithm::Es256)?, current(Algorithm::Rs256)?);
        let body = jwks::document(keys).to_string().into_bytes();
        let etag = format!("\"{}\"", &base64url(&sha256(&[&body]))[..22]).into();
        let set: JwkSet = serde_json::from_slice(&body).map_err(Error::bug)?;
        let decoding = set.keys.iter().filter_map(|jwk| {
            let kid = jwk.common.key_id.clone()?;
            DecodingKey::from_jwk(jwk).ok().map(|key| (kid, key))
        });
        let decoding = decoding.collect();
        let verifying = KeySet::parse(&body)?;
        Ok(Self { signers, es256, rs256, verifying, decoding, published: Published { body: body.into(), etag } })
    }
}

impl Keyring {
    /// An empty one, which reads the store when it is first asked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the first ES256 key if there is none: done at start, so that no request pays for it.
    pub async fn ensure(&self, cx: &Context) -> Result<()> {
        self.signer(cx, Algorithm::Es256).await.map(drop)
    }

    /// The key that signs now. The first of its algorithm is made here, in a commit of its own, if neither the
    /// start nor the registration of an app has made it.
    pub async fn signer(&self, cx: &Context, algorithm: Algorithm) -> Result<Arc<Signer>> {
        let snapshot = self.snapshot(cx).await?;
        if let Some(signer) = snapshot.signer(algorithm) {
            return Ok(Arc::clone(signer));
        }
        let _one = self.0.loading.lock().await;
        if let Some(signer) = self.load(cx).await?.signer(algorithm) {
            return Ok(Arc::clone(signer));
        }
        let prepared = SigningKey::generate(cx, algorithm).await?;
        let mut batch = Batch::new();
        // Whoever asked, it is not they who make keys.
        let own = Context { caller: Caller::System, ..cx.clone() };
        SigningKey::keep(&own, Some(&prepared), &mut batch);
        cx.store.commit(batch).await?;
        self.load(cx).await?;
        Ok(prepared.signer)
    }

    /// The keys in memory are no longer believed: the store has others. To be called after a change of the keys, so that
    /// it holds from the next request on.
    pub fn forget(&self) {
        if let Some((_, read_at)) = &mut *self.0.now.write().unwrap_or_else(PoisonError::into_inner) {
            *read_at = None;
        }
    }

    /// The public key set.
    pub async fn published(&self, cx: &Context) -> Result<Published> {
        let snapshot = self.snapshot(cx).await?;
        if snapshot.signers.is_empty() {
            self.ensure(cx).await?;
            return Ok(self.snapshot(cx).await?.published.clone());
        }
        Ok(snapshot.published.clone())
    }

    /// The keys, read again when they are no longer fresh.
    pub(super) async fn snapshot(&self, cx: &Context) -> Result<Arc<Snapshot>> {
        if let Some(fresh) = self.fresh(cx) {
            return Ok(fresh);
        }
        let _one = self.0.loading.lock().await;
        match self.fresh(cx) {
            Some(fresh) => Ok(fresh),
            None => self.load(cx).await,
        }
    }

    /// The keys that know `kid`: read again if those in memory do not, since it may have been made a moment ago.
    pub(super) async fn knowing(&self, cx: &Context, kid: &str) -> Result<Arc<Snapshot>> {
        let snapshot = self.snapshot(cx).await?;
        // Only a kid of our own form is worth a read: a stranger's token must not make us work.
        if snapshot.decoding.contains_key(kid) || kid.parse::<SigningKeyId>().is_err() {
            return Ok(snapshot);
        }
        let _one = self.0.loading.lock().await;
        self.load(cx).await
    }

    fn fresh(&self, cx: &Context) -> Option<Arc<Snapshot>> {
        let held = self.0.now.read().unwrap_or_else(PoisonError::into_inner);
        let (snapshot, read_at) = held.as_ref()?;
        read_at.is_some_and(|at| cx.env.monotonic().saturating_sub(at) < FRESH).then(|| Arc::clone(snapshot))
    }

    /// Reads the store. The caller holds `loading`.
    async fn load(&self, cx: &Context) -> Result<Arc<Snapshot>> {
        let read_at = cx.env.monotonic();
        let keys = SigningKey::all(&cx.store).await?;
        let before = self.0.now.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|held| Arc::clone(&held.0));
        let snapshot = Arc::new(Snapshot::of(cx, &keys, before.as_deref())?);
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&snapshot), Some(read_at)));
        Ok(snapshot)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring")
    }
}
