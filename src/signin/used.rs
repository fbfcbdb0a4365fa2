//! What an upstream provider has said and may not be used a second time (SAML assertions).

use super::attempt::LIFETIME;
use crate::connection::protocol::Once;
use crate::crypto::sha256;
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::ConnectionId;
use crate::store::{Key, Life, Record, Store};

/// An assertion that somebody signed in by. It is written by the commit that opens the session, and kept until the
/// assertion would be refused anyway, and every attempt that carries it has ended.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct UsedAssertion {
    #[cbor(n(0), with = "minicbor::bytes")]
    digest: Vec<u8>,
    #[n(1)]
    until: Timestamp,
}

impl Record for UsedAssertion {
    const KIND: &'static str = "used_assertion";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.digest.clone())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.until)
    }
}

impl UsedAssertion {
    /// Of a connection: another's may have the same name.
    pub fn of(connection: ConnectionId, once: &Once) -> Self {
        let digest = sha256(&[b"authd used assertion", &connection.bytes(), once.id.as_bytes()]).to_vec();
        Self { digest, until: once.until + LIFETIME }
    }

    /// Whether somebody has signed in by it.
    pub async fn known(&self, store: &Store) -> Result<bool> {
        Ok(store.get::<Self>(self.key()).await?.is_some())
    }
}
