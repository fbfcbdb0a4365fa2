//! An address at which another service tells of people.

use crate::access::Context;
use crate::crypto::{MasterKey, Sealed, Sealing, hmac_sha256};
use crate::directory::Source;
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, InboundId, OrganizationId};
use crate::store::{Index, Key, Life, Record, Store, Stored};
use crate::webhook::secret::SigningSecret;
use zeroize::Zeroizing;

/// Addresses of one organization.
pub const MOST: usize = 20;

/// An address at which another service tells of people.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Inbound {
    /// Its id, which is the end of the address.
    #[n(0)]
    pub id: InboundId,
    /// Whose.
    #[n(1)]
    pub organization: OrganizationId,
    /// The connection through which the people of the service sign in, too, under the same identifiers.
    #[n(2)]
    pub connection: Option<ConnectionId>,
    /// What people call it.
    #[n(3)]
    pub name: Option<String>,
    /// The newest last; more than one while they change.
    #[n(4)]
    pub secrets: Vec<SigningSecret>,
    /// When it was made.
    #[n(5)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[n(6)]
    pub updated_at: Timestamp,
    /// The key of the digests that people are remembered by, sealed. It stays whatever secret the service signs with.
    #[n(7)]
    pub people: Option<Sealed>,
}

impl Record for Inbound {
    const KIND: &'static str = "webhook_inbound";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("organization", self.organization.bytes())]
    }
}

impl Sealing for Inbound {
    fn reseal(&mut self, env: &Env, key: &MasterKey) -> Result<bool> {
        let place = place(self.id);
        let mut any = false;
        for secret in &mut self.secrets {
            any |= key.reseal(env, &place, &mut secret.sealed)?;
        }
        if let Some(people) = &mut self.people {
            any |= key.reseal(env, &people_place(self.id), people)?;
        }
        Ok(any)
    }
}

/// The place that the secrets of an address are sealed for.
pub fn place(id: InboundId) -> String {
    format!("inbound/{id}/secret")
}

/// The place that the key of their digests is sealed for.
fn people_place(id: InboundId) -> String {
    format!("inbound/{id}/people")
}

/// A fresh key for the digests of people at an address.
pub fn people_key(cx: &Context, id: InboundId) -> Result<Sealed> {
    cx.deployment.master_key.seal(&cx.env, &people_place(id), &cx.env.random::<32>())
}

impl Inbound {
    /// What a person is remembered by. Nobody finds out who it was without the address's key, which lies outside of the
    /// database as the master key does.
    pub fn digest(&self, cx: &Context, subject: &str) -> Result<[u8; 32]> {
        let key = match &self.people {
            Some(sealed) => cx.deployment.master_key.open(&people_place(self.id), sealed)?,
            None => Zeroizing::default(),
        };
        Ok(hmac_sha256(&key, subject.as_bytes()))
    }

    /// The key of an address.
    pub fn key_of(id: InboundId) -> Key {
        Key::from_bytes(id.bytes())
    }

    /// The address of that id. Errors: `not_found`.
    pub async fn load(store: &Store, id: InboundId) -> Result<Stored<Self>> {
        store.get(Self::key_of(id)).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }

    /// As the pipeline knows the service.
    pub fn source(&self) -> Source {
        self.connection.map_or(Source::InboundAlone(self.id), Source::Inbound)
    }
}
