//! How an endpoint has done lately. Beside the endpoint, and not in it: it changes with every call, and tells nobody.

use crate::env::Timestamp;
use crate::error::Result;
use crate::id::EndpointId;
use crate::store::{Key, Life, Record, Store};

/// How an endpoint has done lately.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Health {
    /// Which one.
    #[n(0)]
    pub endpoint: EndpointId,
    /// Since when nothing has arrived; none while things do.
    #[n(1)]
    pub failing_since: Option<Timestamp>,
    /// When something arrived last.
    #[n(2)]
    pub succeeded_at: Option<Timestamp>,
    /// When it was called last.
    #[n(3)]
    pub called_at: Timestamp,
}

impl Record for Health {
    const KIND: &'static str = "webhook_health";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Self::key_of(self.endpoint)
    }
}

impl Health {
    /// The key of an endpoint's.
    pub fn key_of(endpoint: EndpointId) -> Key {
        Key::from_bytes(endpoint.bytes())
    }

    /// That of an endpoint, once it was called.
    pub async fn load(store: &Store, endpoint: EndpointId) -> Result<Option<Self>> {
        Ok(store.get::<Self>(Self::key_of(endpoint)).await?.map(|found| found.value))
    }
}
