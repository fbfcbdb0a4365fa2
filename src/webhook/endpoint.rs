//! An address of a team's, and what it wants to be told.

use crate::access::Context;
use crate::crypto::{MasterKey, Sealing};
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, EndpointId, OrganizationId};
use crate::store::{Index, Key, Life, Record, Store, Stored};

use super::secret::{self, SigningSecret};

/// Endpoints of one organization.
pub const MOST: usize = 50;

/// Whether an endpoint is called.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Standing {
    /// It is.
    #[n(0)]
    Active,
    /// It is not, and what happens meanwhile is not kept for it: `webhook replay` sends it.
    #[n(1)]
    Disabled,
}

/// A webhook endpoint.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Endpoint {
    /// Its id.
    #[n(0)]
    pub id: EndpointId,
    /// Whose.
    #[n(1)]
    pub organization: OrganizationId,
    /// Only events that touch this connection, where it is set.
    #[n(2)]
    pub connection: Option<ConnectionId>,
    /// What people call it.
    #[n(3)]
    pub name: Option<String>,
    /// Where it is.
    #[n(4)]
    pub url: String,
    /// Which events it wants.
    #[n(5)]
    pub subscriptions: Vec<String>,
    /// The newest last; more than one while they change.
    #[n(6)]
    pub secrets: Vec<SigningSecret>,
    /// Whether it is called.
    #[n(7)]
    pub standing: Standing,
    /// Why it is not: `administrator`, `gone` (410), `failing`.
    #[n(8)]
    pub disabled_for: Option<String>,
    /// When it was made.
    #[n(9)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[n(10)]
    pub updated_at: Timestamp,
}

impl Record for Endpoint {
    const KIND: &'static str = "webhook_endpoint";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
    fn indexes(&self) -> Vec<Index> {
        let mut indexes = vec![Index::many("organization", self.organization.bytes())];
        if let Some(connection) = self.connection {
            indexes.push(Index::many("connection", connection.bytes()));
        }
        indexes
    }
}

impl Sealing for Endpoint {
    fn reseal(&mut self, env: &Env, key: &MasterKey) -> Result<bool> {
        let place = secret::place(self.id);
        let mut any = false;
        for secret in &mut self.secrets {
            any |= key.reseal(env, &place, &mut secret.sealed)?;
        }
        Ok(any)
    }
}

impl Endpoint {
    /// The key of an endpoint.
    pub fn key_of(id: EndpointId) -> Key {
        Key::from_bytes(id.bytes())
    }

    /// The endpoint of that id. Errors: `not_found`.
    pub async fn load(store: &Store, id: EndpointId) -> Result<Stored<Self>> {
        store.get(Self::key_of(id)).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }
}

/// The address as it is kept. Errors: `invalid_input`; `url_not_allowed`, `outbound_not_allowed` for one that authd
/// does not call.
pub fn address(cx: &Context, text: &str) -> Result<String> {
    let wrong = |why: &str| Error::says(&codes::INVALID_INPUT, format!("The address of the endpoint {why}."));
    let text = text.trim();
    if text.len() > 2_048 {
        return Err(wrong("has more than 2,048 bytes"));
    }
    let url = url::Url::parse(text).map_err(|_| wrong("is not a URL").help("Like `https://app.example.com/hooks`."))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(wrong("carries a user, a password or a fragment"));
    }
    cx.env.outbound().permits(&url)?;
    Ok(url.into())
}
