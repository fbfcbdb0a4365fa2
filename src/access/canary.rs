//! A known text sealed under the master key: a wrong key is noticed at the start, not at the first secret.

use super::context::Deployment;
use crate::crypto::Sealed;
use crate::env::Env;
use crate::error::{Error, Result, codes};
use crate::store::{Batch, Key, Life, Record, Store, Stored};

const PLACE: &str = "master_key/canary";
const TEXT: &[u8] = b"authd";

#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Canary {
    #[n(0)]
    sealed: Sealed,
    #[n(1)]
    fingerprint: String,
}

impl Record for Canary {
    const KIND: &'static str = "master_key";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::default()
    }
}

/// Makes sure that the master key is the one this database was made with; on the first start it adds what the next
/// ones compare with. Errors: `master_key_wrong`.
pub async fn check_master_key(env: &Env, store: &Store, deployment: &Deployment, batch: &mut Batch) -> Result<()> {
    let key = &deployment.master_key;
    let kept: Option<Stored<Canary>> = store.get(Key::default()).await?;
    let Some(kept) = kept else {
        batch.put(&Canary { sealed: key.seal(env, PLACE, TEXT)?, fingerprint: key.fingerprint() });
        return Ok(());
    };
    match key.open(PLACE, &kept.sealed) {
        Ok(text) if text.as_slice() == TEXT => Ok(()),
        _ => Err(Error::says(
            &codes::MASTER_KEY_WRONG,
            format!(
                "The master key does not fit this database: it is {}, and was {}.",
                key.fingerprint(),
                kept.fingerprint
            ),
        )),
    }
}
