//! API keys: shown once, kept as hashes, scoped, revocable.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::context::Context;
use super::grant::{Grant, Grants};
use super::operation::{Access, Method, Operation, Owner, Pages, Paging, Route};
use crate::crypto::{Opaque, Secret, TokenHash};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{ApiKeyId, OrganizationId};
use crate::store::{Batch, Index, Key, Life, Query, Record, Store, Stored};

/// What every key begins with, so that scanners of repositories know it.
const PREFIX: &str = "ak_";

/// A key of an organization's own machines.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct ApiKey {
    /// Its id.
    #[n(0)]
    pub id: ApiKeyId,
    /// Whose it is.
    #[n(1)]
    pub organization: OrganizationId,
    /// What people call it.
    #[n(2)]
    pub name: String,
    /// The hash of the key.
    #[n(3)]
    pub hash: TokenHash,
    /// What it may do.
    #[n(4)]
    pub grants: Grants,
    /// When it was made.
    #[n(5)]
    pub created_at: Timestamp,
    /// From when on it is no good; never if absent.
    #[n(6)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[n(7)]
    pub revoked_at: Option<Timestamp>,
}

impl Record for ApiKey {
    const KIND: &'static str = "api_key";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::unique("hash", self.hash.bytes()), Index::many("organization", self.organization.bytes())]
    }
}

impl ApiKey {
    /// The caller that holds `text`. Errors: `not_signed_in`, the same for a key that is unknown, revoked or expired.
    pub async fn authenticate(store: &Store, now: Timestamp, text: &str) -> Result<Caller> {
        let unknown = || Error::new(&codes::NOT_SIGNED_IN);
        if !text.starts_with(PREFIX) || text.len() > 128 {
            return Err(unknown());
        }
        let found: Option<Stored<Self>> = store.find("hash", TokenHash::of(text).bytes()).await?;
        let key = found.ok_or_else(unknown)?.value;
        if key.revoked_at.is_some() || key.expires_at.is_some_and(|at| at <= now) || !key.hash.fits(text) {
            return Err(unknown());
        }
        Ok(Caller::ApiKey { id: key.id, organization: key.organization, grants: key.grants })
    }

    /// Whether a bearer is meant to be an API key.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with(PREFIX)
    }
}

/// An API key as it is shown: without the key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyView {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub grants: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is no good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl From<ApiKey> for ApiKeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            organization: key.organization,
            name: key.name,
            grants: key.grants.names(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// Create an API key. The key is shown once and cannot be shown again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateApiKey {
    /// The organization it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// What people call it.
    pub name: String,
    /// What it may do; `*` for everything. Nobody can give what they do not hold.
    #[schemars(extend("x-flag" = "grant"))]
    pub grants: Vec<String>,
    /// From when on it is no good (2027-01-31T00:00:00Z). Never, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A new key, shown once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The key itself. Keep it now; it is not shown again.
    pub key: Secret,
}

#[async_trait]
impl Operation for CreateApiKey {
    type Seen = ();
    type Output = CreatedApiKey;
    const NAME: &'static str = "api_key.create";
    const ACCESS: Access = Access::Grant(Grant::ApiKeyManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/api-keys" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        let grants = Grants::parse(&self.grants)?;
        if let Some(grant) = cx.caller.grants().lacks(&grants) {
            return Err(Error::says(
                &codes::GRANT_EXCEEDS_CALLER,
                format!("You do not hold the grant `{grant}` yourself."),
            ));
        }
        // A key of the operator's may vouch for domains; it cannot make others that do.
        if grants.contains(Grant::ConnectionDomainTrust) && !cx.caller.is_operator() {
            return Err(Error::says(
                &codes::GRANT_EXCEEDS_CALLER,
                "Only the operator gives the grant to vouch for domains.",
            ));
        }
        if self.name.trim().is_empty() || self.name.len() > 200 {
            return Err(Error::says(&codes::INVALID_INPUT, "The name needs 1 to 200 bytes."));
        }
        if self.expires_at.is_some_and(|at| at <= cx.env.now()) {
            return Err(Error::says(&codes::INVALID_INPUT, "The key would have expired already."));
        }
        let Opaque { text, hash } = Opaque::new(&cx.env, PREFIX);
        let key = ApiKey {
            id: ApiKeyId::new(&cx.env),
            organization,
            name: self.name.trim().to_owned(),
            hash,
            grants,
            created_at: cx.env.now(),
            expires_at: self.expires_at,
            revoked_at: None,
        };
        let event = cx.event(EventKind::ApiKeyCreated).within(organization).about("api_key", key.id);
        batch.create(&key).log(event.with("name", key.name.clone()).with("grants", key.grants.names()));
        Ok(CreatedApiKey { id: key.id, key: text })
    }
}

/// List the API keys of an organization.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListApiKeys {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListApiKeys {
    type Seen = ();
    type Output = Pages<ApiKeyView>;
    const NAME: &'static str = "api_key.list";
    const ACCESS: Access = Access::Grant(Grant::ApiKeyRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/api-keys" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(cx.narrowed(self.organization).map_or(Owner::Deployment, Owner::Organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let narrowed = cx.narrowed(self.organization);
        let query = narrowed.map_or_else(Query::all, |id| Query::by("organization", id.bytes()));
        let query = self.paging.page(query)?;
        Ok(Pages::of(cx.store.page::<ApiKey>(query).await?, ApiKeyView::from))
    }
}

/// Revoke an API key. The next request with it fails.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeApiKey {
    /// The key.
    pub id: ApiKeyId,
}

#[async_trait]
impl Operation for RevokeApiKey {
    type Seen = ();
    type Output = ApiKeyView;
    const NAME: &'static str = "api_key.revoke";
    const ACCESS: Access = Access::Grant(Grant::ApiKeyManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/api-keys/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(self.key(cx).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut key, revision } = self.key(cx).await?;
        if key.revoked_at.is_none() {
            key.revoked_at = Some(cx.env.now());
            let event = cx.event(EventKind::ApiKeyRevoked).within(key.organization).about("api_key", key.id);
            batch.update(&key, revision).log(event);
        }
        Ok(key.into())
    }
}

impl RevokeApiKey {
    async fn key(&self, cx: &Context) -> Result<Stored<ApiKey>> {
        cx.store.get(Key::from_bytes(self.id.bytes())).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }
}
