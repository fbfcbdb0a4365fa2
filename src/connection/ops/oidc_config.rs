//! The OpenID Connect configuration of a connection.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::oidc::{self, AuthMethod};
use super::super::record::{Connection, ProtocolKind, Status};
use super::super::settings::{
    self, ClientSettings, DiscoverySettings, Flat, OidcSettings, OidcView, ProfileSettings, RequestSettings,
    SecuritySettings,
};
use super::{Looked, event, look_at, must_answer, owner_of, speaks};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::crypto::Secret;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::ConnectionId;
use crate::store::{Batch, Stored};

/// Set how a connection speaks OpenID Connect. What is absent stays as it was; an empty text takes a value away.
/// A change of issuer, discovery URL or key address needs the client secret again: the one that is kept goes to the
/// provider it was given for.
///
/// The provider's discovery document is read at once. If it cannot be used, nothing is changed; if the provider does
/// not answer, a draft is changed, and an active connection is not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetOidc {
    /// The connection.
    pub id: ConnectionId,
    /// The provider's issuer, exactly as its tokens say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The client id that the provider gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The client secret that the provider gave. It is sealed, and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// How authd shows the secret to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
    /// What authd asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "scope"))]
    pub scopes: Option<Vec<String>>,
    /// Who the provider is, and where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<DiscoverySettings>,
    /// Who authd is to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientSettings>,
    /// What authd asks for, in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestSettings>,
    /// How strictly answers are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<SecuritySettings>,
    /// Where a person's fields are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileSettings>,
    /// Set it on an active connection even if the provider does not answer now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreached: bool,
}

impl SetOidc {
    /// The configuration as it would be. Errors: `invalid_input`, `config_invalid`.
    fn config(&self, cx: &Context, connection: &Connection) -> Result<oidc::Config> {
        let flat = Flat {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            auth_method: self.auth_method,
            scopes: self.scopes.clone(),
        };
        let nested = OidcSettings {
            discovery: self.discovery.clone(),
            client: self.client.clone(),
            request: self.request.clone(),
            security: self.security.clone(),
            profile: self.profile.clone(),
        };
        let settings =
            flat.over(Some(nested)).ok_or_else(|| Error::says(&codes::INVALID_INPUT, "There is nothing to set."))?;
        let before = connection.oidc.clone().unwrap_or_default();
        let mut config = before.clone();
        settings.apply(cx, connection.id, &mut config)?;
        stays_with_its_provider(&before, &config)?;
        Ok(config)
    }
}

/// A secret that is kept goes to the provider it was given for, and to nobody else: whoever may change the provider
/// but does not know the secret could otherwise have it sent to a server of their own. Errors: `config_invalid`.
fn stays_with_its_provider(before: &oidc::Config, after: &oidc::Config) -> Result<()> {
    let provider = |config: &oidc::Config| {
        let oidc::Discovery { issuer, discovery_url, jwks_uri, .. } = config.discovery.clone();
        (issuer, discovery_url, jwks_uri)
    };
    // Sealing is never the same twice, so the same secret given again is a new one here.
    let kept = after.client.secret.is_some() && after.client.secret == before.client.secret;
    if kept && provider(before) != provider(after) {
        return Err(Error::says(
            &codes::CONFIG_INVALID,
            "The provider changes, and the client secret was given for the one before: give the client secret again.",
        )
        .help("Set `clientSecret` together with the new issuer, discovery URL or key address."));
    }
    Ok(())
}

#[async_trait]
impl Operation for SetOidc {
    type Seen = Looked;
    type Output = OidcView;
    const NAME: &'static str = "connection.set_oidc";
    const ACCESS: Access = Access::Grant(Grant::ConnectionProtocolManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/connections/{id}/oidc" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let connection = Connection::load(&cx.store, self.id).await?;
        look_at(cx, &self.config(cx, &connection)?).await
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load(&cx.store, self.id).await?;
        speaks(&connection, ProtocolKind::Oidc)?;
        // Seam: another issuer or subject claim makes other people of the same ones. Once identities can be moved,
        // a change of either on a connection that has identities asks for that first.
        let config = self.config(cx, &connection)?;
        let view = OidcView::from(&config);
        connection.oidc = Some(config);
        connection.looked = seen.kept(cx);
        connection.updated_at = cx.env.now();
        if connection.status == Status::Active {
            settings::complete(&connection)?;
            if !self.unreached {
                must_answer(*seen)?;
            }
        }
        let mut noted = event(cx, EventKind::ConnectionOidcSet, &connection);
        if let Some(issuer) = &view.discovery.issuer {
            noted = noted.with("issuer", issuer.clone());
        }
        batch.update(&connection, revision).log(noted);
        Ok(view)
    }
}

/// Show how a connection speaks OpenID Connect, without the secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetOidc {
    /// The connection.
    pub id: ConnectionId,
}

#[async_trait]
impl Operation for GetOidc {
    type Seen = ();
    type Output = OidcView;
    const NAME: &'static str = "connection.get_oidc";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections/{id}/oidc" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let connection = Connection::load(&cx.store, self.id).await?;
        Ok(OidcView::from(&connection.value.oidc.unwrap_or_default()))
    }
}
