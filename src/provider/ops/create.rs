//! `app.create`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::client::{App, AuthMethod, GrantType, Kind, Organizations};
use super::audience::own_audience;
use super::{allowed, event, sound};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::crypto::Secret;
use crate::directory::Organization;
use crate::error::Result;
use crate::event::EventKind;
use crate::id::{AppId, OrganizationId};
use crate::store::Batch;
use crate::token::{Algorithm, Prepared, SigningKey};

/// Register an app that signs people in through authd. Its secret is shown once and cannot be shown again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateApp {
    /// The organization it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// What people call it.
    pub name: String,
    /// Where it may be returned to after a sign-in: https, or http on loopback. Compared byte for byte.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-flag" = "redirect-uri"))]
    pub redirect_uris: Vec<String>,
    /// Which organizations people may come from: `own`, `all` (operator only), or ids with commas between.
    #[serde(default)]
    pub organizations: Organizations,
    /// What it is built as.
    #[serde(default)]
    pub kind: Kind,
    /// It cannot keep a secret. Browser and native apps never can.
    #[serde(default)]
    pub public: bool,
    /// What its tokens are signed with (`id_token_signed_response_alg` of OpenID Connect registration): ES256 unless given;
    /// RS256 for an app whose library takes nothing else unless told.
    #[serde(alias = "id_token_signed_response_alg", default)]
    pub alg: Algorithm,
    /// Origins whose pages may call the token endpoint, beside those of a browser app's return addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-flag" = "origin"))]
    pub origins: Vec<String>,
    /// How long its tokens live: 60 seconds to a day; 15 minutes unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_seconds: Option<u64>,
    /// It is somebody else's: people are asked before it learns who they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub third_party: bool,
    /// Where people may be returned to after they signed out. Compared byte for byte.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-flag" = "post-logout-redirect-uri"))]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where authd tells it that a session has ended (back-channel logout).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// The page that authd's sign-out page opens in a frame (front-channel logout).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    /// How it proves itself at the token endpoint; by its secret unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
    /// Its public keys for `private_key_jwt`: a JWK set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// Where its public keys are, in their place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// By which grants it may get tokens; codes and refresh tokens unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "grant-type"))]
    pub grant_types: Option<Vec<GrantType>>,
    /// Scopes of its own APIs that it may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-flag" = "scope"))]
    pub scopes: Vec<String>,
    /// The API that its access tokens are for; the app itself unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// A refresh token ends when it was not used for so long; 30 days unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_idle_seconds: Option<u64>,
    /// A refresh token ends after so long, whatever happens; 90 days unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_seconds: Option<u64>,
    /// It has to push its authorization requests (PAR).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_pushed_requests: bool,
    /// Claims that its tokens have besides: the name of each, and the field of the person that it comes from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
}

/// A new app, its secret shown once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedApp {
    /// The OAuth `client_id`.
    pub client_id: AppId,
    /// The OAuth `client_secret`; absent for an app that keeps none. Keep it now; it is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
}

#[async_trait]
impl Operation for CreateApp {
    type Seen = Option<Prepared>;
    type Output = CreatedApp;
    const NAME: &'static str = "app.create";
    const ACCESS: Access = Access::Grant(Grant::AppManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/apps" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    /// The first app of an algorithm brings its key.
    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        SigningKey::prepare(cx, self.alg).await
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        Organization::load(&cx.store, organization).await?;
        allowed(cx, &self.organizations).await?;
        let now = cx.env.now();
        let mut app = App {
            id: AppId::new(&cx.env),
            organization,
            name: self.name.trim().to_owned(),
            kind: self.kind,
            public: self.public
                || matches!(self.kind, Kind::Spa | Kind::Native)
                || self.auth_method == Some(AuthMethod::None),
            redirect_uris: self.redirect_uris.clone(),
            origins: self.origins.clone(),
            organizations: self.organizations.clone(),
            algorithm: self.alg,
            token_seconds: self.token_seconds,
            secrets: Vec::new(),
            created_at: now,
            updated_at: now,
            third_party: self.third_party,
            post_logout_redirect_uris: self.post_logout_redirect_uris.clone(),
            backchannel_logout_uri: self.backchannel_logout_uri.clone(),
            frontchannel_logout_uri: self.frontchannel_logout_uri.clone(),
            auth_method: self.auth_method,
            jwks: self.jwks.as_ref().map(ToString::to_string),
            jwks_uri: self.jwks_uri.clone(),
            grant_types: self.grant_types.clone(),
            scopes: self.scopes.clone(),
            audience: self.audience.clone(),
            refresh_idle_seconds: self.refresh_idle_seconds,
            refresh_seconds: self.refresh_seconds,
            require_pushed_requests: self.require_pushed_requests,
            claims: self.claims.clone(),
        };
        sound(&app)?;
        own_audience(cx, &app).await?;
        let client_secret = app.keeps_secret().then(|| app.new_secret(&cx.env, None));
        SigningKey::keep(cx, seen.as_ref(), batch);
        batch.create(&app).log(event(cx, EventKind::AppCreated, &app));
        Ok(CreatedApp { client_id: app.id, client_secret })
    }
}
