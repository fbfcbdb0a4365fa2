//! A known text sealed under the master key: a wrong key is noticed at the start, not at the first secret.
//!
//! The row also keeps what the first master key gave and every later one must go on with: the seed of the key that
//! signs the log's checkpoints.

use zeroize::Zeroizing;

use super::context::Deployment;
use crate::crypto::{MasterKey, Sealed, Sealing};
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};
use crate::store::{Batch, Key, Life, Record, Store, Stored};

const PLACE: &str = "master_key/canary";
const SEED_PLACE: &str = "master_key/checkpoint_seed";
const TEXT: &[u8] = b"authd";

/// What is kept about the master key. Its change is told by the events of the rotation.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Canary {
    #[n(0)]
    sealed: Sealed,
    /// Of the key that it is sealed under.
    #[n(1)]
    pub fingerprint: String,
    /// The seed of the key that signs checkpoints. Stores of before have it from the first start of now.
    #[n(2)]
    seed: Option<Sealed>,
    /// Since when that key is the current one; unknown of stores of before.
    #[n(3)]
    pub since: Option<Timestamp>,
}

impl Record for Canary {
    const KIND: &'static str = "master_key";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::default()
    }
}

impl Sealing for Canary {
    fn reseal(&mut self, env: &Env, key: &MasterKey) -> Result<bool> {
        let mut anew = key.reseal(env, PLACE, &mut self.sealed)?;
        if let Some(seed) = &mut self.seed {
            anew |= key.reseal(env, SEED_PLACE, seed)?;
        }
        if self.fingerprint != key.fingerprint() {
            self.fingerprint = key.fingerprint();
            self.since = Some(env.now());
            anew = true;
        }
        Ok(anew)
    }
}

impl Canary {
    /// What is kept; none before the first start. Errors: those of the store.
    pub async fn load(store: &Store) -> Result<Option<Stored<Self>>> {
        store.get(Key::default()).await
    }

    /// The key of the ring that it is sealed under. Errors: `master_key_wrong`, with both fingerprints.
    fn opener(&self, key: &MasterKey) -> Result<MasterKey> {
        let fits = |opener: &MasterKey| opener.open(PLACE, &self.sealed).is_ok_and(|text| *text == TEXT);
        key.opener(PLACE, &self.sealed).ok().filter(fits).ok_or_else(|| {
            Error::says(
                &codes::MASTER_KEY_WRONG,
                format!(
                    "The master key does not fit this database: it is {}, and was {}.",
                    key.fingerprint(),
                    self.fingerprint
                ),
            )
        })
    }
}

/// Makes sure that a key of the ring is the one that this database is sealed under; on the first start it adds what
/// the next ones compare with. The answer is the seed of the key that signs checkpoints. Errors: `master_key_wrong`.
pub async fn check_master_key(
    env: &Env,
    store: &Store,
    deployment: &Deployment,
    batch: &mut Batch,
) -> Result<Zeroizing<[u8; 32]>> {
    let key = &deployment.master_key;
    let mut canary = match Canary::load(store).await? {
        Some(kept) => kept.value,
        None => Canary {
            sealed: key.seal(env, PLACE, TEXT)?,
            fingerprint: key.fingerprint(),
            seed: None,
            since: Some(env.now()),
        },
    };
    let opener = canary.opener(key)?;
    if let Some(sealed) = &canary.seed {
        let seed = Zeroizing::new(key.open(SEED_PLACE, sealed)?.to_vec());
        let seed = seed.as_slice().try_into().map_err(|_| Error::new(&codes::STORAGE_CORRUPT))?;
        return Ok(Zeroizing::new(seed));
    }
    // What signed the checkpoints of a store of before.
    let seed = opener.derive("checkpoint");
    canary.seed = Some(key.seal(env, SEED_PLACE, &*seed)?);
    batch.put(&canary);
    Ok(seed)
}
