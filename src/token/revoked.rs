//! Single access tokens that were given back before they ended.

use super::verify::Checked;
use crate::crypto::sha256;
use crate::env::Timestamp;
use crate::error::Result;
use crate::store::{Key, Life, Record, Store, Stored};

/// A token that is good no more; kept as long as it would have lived.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct RevokedToken {
    #[cbor(n(0), with = "minicbor::bytes")]
    digest: Vec<u8>,
    #[n(1)]
    until: Timestamp,
}

impl Record for RevokedToken {
    const KIND: &'static str = "revoked_token";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.digest.clone())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.until)
    }
}

fn digest(jti: &str) -> Vec<u8> {
    sha256(&[b"authd revoked token", jti.as_bytes()]).to_vec()
}

impl RevokedToken {
    /// The row that ends this token and no other; `None` for one without an id of its own.
    pub fn of(checked: &Checked) -> Option<Self> {
        let exp = checked.claims.get("exp").and_then(serde_json::Value::as_i64)?;
        Some(Self { digest: digest(checked.text("jti")?), until: Timestamp::from_seconds(exp) })
    }

    /// Whether the token of that id was given back.
    pub(super) async fn is(store: &Store, jti: &str) -> Result<bool> {
        let row: Option<Stored<Self>> = store.get(Key::from_bytes(digest(jti))).await?;
        Ok(row.is_some())
    }
}
