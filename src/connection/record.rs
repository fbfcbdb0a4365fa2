//! A connection: one upstream identity provider of one organization.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ldap, oidc, saml};
use crate::access::RoleName;
use crate::config::PublicUrl;
use crate::crypto::{MasterKey, Sealing};
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId};
use crate::store::{Index, Key, Life, Record, Store, Stored};

/// How long a deleted connection can be restored.
pub const TOMBSTONE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The upstream protocol of a connection.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, minicbor::Encode, minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum ProtocolKind {
    /// OpenID Connect.
    #[n(0)]
    Oidc,
    /// SAML 2.0.
    #[n(1)]
    Saml,
    /// LDAP: a directory that people sign in to by name and password.
    #[n(2)]
    Ldap,
}

impl ProtocolKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::Saml => "saml",
            Self::Ldap => "ldap",
        }
    }
}

/// Where a connection is in its life.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, minicbor::Encode, minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Status {
    /// Being set up. Nobody signs in through it.
    #[n(0)]
    Draft,
    /// People sign in through it.
    #[n(1)]
    Active,
    /// Switched off. Nobody signs in through it, and the sessions it gave have ended.
    #[n(2)]
    Disabled,
}

impl Status {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// Names of a source, and the roles of authd that follow from each.
pub type Mapping = BTreeMap<String, Vec<RoleName>>;

/// Groups of a source, and the scopes of apps that follow from each.
pub type ScopeMapping = BTreeMap<String, Vec<String>>;

/// What a look at a provider found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct LastLook {
    /// When.
    #[n(0)]
    pub at: Timestamp,
    /// Whether its discovery document was there and could be used.
    #[n(1)]
    pub answered: bool,
}

/// A way to sign in.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Connection {
    /// Its id; part of its URLs, so it never changes.
    #[n(0)]
    pub id: ConnectionId,
    /// Whose people it is for.
    #[n(1)]
    pub organization: OrganizationId,
    /// What people call it.
    #[n(2)]
    pub name: String,
    /// A short name for links, unique within the organization.
    #[n(3)]
    pub slug: Option<String>,
    /// What it speaks.
    #[n(4)]
    pub protocol: ProtocolKind,
    /// Where it is in its life.
    #[n(5)]
    pub status: Status,
    /// Whether a person is added by signing in; unset, the organization's policy decides.
    #[n(6)]
    pub jit: Option<bool>,
    /// The role of a person who is added by signing in; unset, the policy decides.
    #[n(7)]
    pub default_role: Option<RoleName>,
    /// How to speak OpenID Connect with the provider, once that is set.
    #[n(8)]
    pub oidc: Option<oidc::Config>,
    /// When it was made.
    #[n(9)]
    pub created_at: Timestamp,
    /// When it or one of its domains was changed last.
    #[n(10)]
    pub updated_at: Timestamp,
    /// When it was deleted; it is gone for good 30 days later.
    #[n(11)]
    pub deleted_at: Option<Timestamp>,
    /// What the last look at the provider found that came with a change of the connection.
    #[n(12)]
    pub looked: Option<LastLook>,
    /// The provider's groups, and the roles that follow from each; unset, the policy decides.
    #[n(13)]
    pub group_mapping: Option<Mapping>,
    /// The provider's roles, and the roles of authd that follow from each; unset, the policy decides.
    #[n(14)]
    pub role_mapping: Option<Mapping>,
    /// The provider's groups, and the scopes of apps that follow from each.
    #[n(15)]
    pub scope_mapping: Option<ScopeMapping>,
    /// The scopes of apps that follow where none of those groups is there.
    #[n(16)]
    pub default_scopes: Option<Vec<String>>,
    /// How to speak LDAP with the directory, once that is set.
    #[n(17)]
    pub ldap: Option<ldap::Config>,
    /// How to speak SAML with the provider. A connection that does has it from the start: its own key is in it.
    #[n(18)]
    pub saml: Option<saml::Config>,
    /// Addresses of apps that the provider may answer to in the place of authd's own; the app hands the answer over.
    #[n(20)]
    #[cbor(default)]
    pub callback_urls: Vec<String>,
}

impl Record for Connection {
    const KIND: &'static str = "connection";
    const LIFE: Life = Life::Kept;

    fn key(&self) -> Key {
        Self::key_of(self.id)
    }

    fn indexes(&self) -> Vec<Index> {
        let owner = if self.deleted_at.is_some() { "deleted" } else { "organization" };
        let mut all = vec![Index::many(owner, self.organization.bytes())];
        // A deleted connection keeps its slug, so that restoring it never fails.
        if let Some(slug) = &self.slug {
            all.push(Index::unique("slug", Self::slug_of(self.organization, slug)));
        }
        // One audience for two connections, and an answer for one of them would be one for the other.
        if let Some(saml) = &self.saml {
            all.push(Index::unique("saml_entity_id", saml.service.entity_id.as_bytes()));
        }
        all
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.deleted_at.map(|at| at + TOMBSTONE)
    }
}

impl Sealing for Connection {
    fn reseal(&mut self, env: &Env, key: &MasterKey) -> Result<bool> {
        let mut resealed = false;
        if let Some(secret) = self.oidc.as_mut().and_then(|oidc| oidc.client.secret.as_mut()) {
            resealed |= key.reseal(env, &oidc::secret_place(self.id), secret)?;
        }
        if let Some(password) = self.ldap.as_mut().and_then(|ldap| ldap.bind.password.as_mut()) {
            resealed |= key.reseal(env, &ldap::secret_place(self.id), password)?;
        }
        if let Some(own) = self.saml.as_mut().and_then(|saml| saml.service.key.as_mut()) {
            resealed |= key.reseal(env, &saml::key_place(self.id), own)?;
        }
        Ok(resealed)
    }
}

impl Connection {
    /// The key of a connection.
    pub fn key_of(id: ConnectionId) -> Key {
        Key::from_bytes(id.bytes())
    }

    /// The value of the index `slug`.
    pub fn slug_of(organization: OrganizationId, slug: &str) -> Vec<u8> {
        [&organization.bytes()[..], slug.as_bytes()].concat()
    }

    /// The connection, unless it was deleted. Errors: `not_found`.
    pub async fn load(store: &Store, id: ConnectionId) -> Result<Stored<Self>> {
        let found = Self::load_any(store, id).await?;
        if found.deleted_at.is_some() { Err(Error::new(&codes::NOT_FOUND)) } else { Ok(found) }
    }

    /// The connection, deleted or not. Errors: `not_found`.
    pub async fn load_any(store: &Store, id: ConnectionId) -> Result<Stored<Self>> {
        store.get(Self::key_of(id)).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }

    /// Whether everything is set that a sign-in needs. Nothing is asked of the provider.
    /// Errors: `connection_not_ready`, naming what is missing.
    pub fn complete(&self) -> Result<()> {
        super::settings::complete(self)
    }

    /// Whether the provider answered at the last look; yes, where nobody has looked.
    pub fn answers(&self) -> bool {
        self.looked.is_none_or(|look| look.answered)
    }

    /// Whether people may sign in through it now. Errors: `connection_disabled`, `connection_not_ready` for a draft.
    pub fn usable(&self) -> Result<()> {
        match self.status {
            _ if self.deleted_at.is_some() => Err(Error::new(&codes::CONNECTION_DISABLED)),
            Status::Active => Ok(()),
            Status::Disabled => Err(Error::new(&codes::CONNECTION_DISABLED)),
            Status::Draft => Err(Error::says(&codes::CONNECTION_NOT_READY, "The connection is still a draft.")
                .help("`authd connection activate` switches it on.")),
        }
    }
}

/// Where the provider says that somebody has signed out there: the back-channel logout URI to register at it.
pub fn backchannel_logout_url(public_url: &PublicUrl, id: ConnectionId) -> String {
    public_url.at(&format!("/connections/{id}/oidc/backchannel-logout"))
}

/// Where the provider sends people back to: the redirect URI to register there.
pub fn callback_url(public_url: &PublicUrl, id: ConnectionId) -> String {
    public_url.at(&format!("/connections/{id}/oidc/callback"))
}
