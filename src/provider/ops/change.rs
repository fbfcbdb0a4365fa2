//! `app.update`, `app.rotate_secret`, `app.delete`.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::client::{App, AuthMethod, GrantType, Organizations};
use super::audience::own_audience;
use super::create::CreatedApp;
use super::{AppView, allowed, event, owner, sound};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::AppId;
use crate::session::{Scope, bump};
use crate::store::{Batch, Stored};
use crate::token::{Algorithm, Prepared, SigningKey};

/// How long an old secret may stay good beside the new one: 30 days.
const LONGEST_OVERLAP: u64 = 30 * 24 * 3600;

/// Change an app. What is left out stays; a list that is given replaces the one before.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateApp {
    /// The app.
    pub id: AppId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it may be returned to after a sign-in, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "redirect-uri"))]
    pub redirect_uris: Option<Vec<String>>,
    /// Which organizations people may come from: `own`, `all` (operator only), or ids with commas between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizations: Option<Organizations>,
    /// What its tokens are signed with (`id_token_signed_response_alg` of OpenID Connect registration).
    #[serde(alias = "id_token_signed_response_alg", default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<Algorithm>,
    /// Origins whose pages may call the token endpoint, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "origin"))]
    pub origins: Option<Vec<String>>,
    /// How long its tokens live: 60 seconds to a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_seconds: Option<u64>,
    /// It is somebody else's: people are asked before it learns who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub third_party: Option<bool>,
    /// Where people may be returned to after they signed out, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "post-logout-redirect-uri"))]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// Where authd tells it that a session has ended; an empty text takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// The page that authd's sign-out page opens in a frame; an empty text takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    /// How it proves itself at the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
    /// Its public keys for `private_key_jwt`: a JWK set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// Where its public keys are; an empty text takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// By which grants it may get tokens, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "grant-type"))]
    pub grant_types: Option<Vec<GrantType>>,
    /// Scopes of its own APIs that it may ask for, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "scope"))]
    pub scopes: Option<Vec<String>>,
    /// The API that its access tokens are for; an empty text takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// A refresh token ends when it was not used for so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_idle_seconds: Option<u64>,
    /// A refresh token ends after so long, whatever happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_seconds: Option<u64>,
    /// It has to push its authorization requests (PAR).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_pushed_requests: Option<bool>,
    /// Claims that its tokens have besides, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<BTreeMap<String, String>>,
}

#[async_trait]
impl Operation for UpdateApp {
    type Seen = Option<Prepared>;
    type Output = AppView;
    const NAME: &'static str = "app.update";
    const ACCESS: Access = Access::Grant(Grant::AppManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/apps/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        match self.alg {
            Some(algorithm) => SigningKey::prepare(cx, algorithm).await,
            None => Ok(None),
        }
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut app, revision } = App::load(&cx.store, self.id).await?;
        if let Some(organizations) = &self.organizations {
            allowed(cx, organizations).await?;
            app.organizations = organizations.clone();
        }
        if let Some(name) = &self.name {
            app.name = name.trim().to_owned();
        }
        if let Some(redirect_uris) = &self.redirect_uris {
            app.redirect_uris = redirect_uris.clone();
        }
        if let Some(origins) = &self.origins {
            app.origins = origins.clone();
        }
        app.algorithm = self.alg.unwrap_or(app.algorithm);
        app.token_seconds = self.token_seconds.or(app.token_seconds);
        app.third_party = self.third_party.unwrap_or(app.third_party);
        app.require_pushed_requests = self.require_pushed_requests.unwrap_or(app.require_pushed_requests);
        set_list(&mut app.post_logout_redirect_uris, self.post_logout_redirect_uris.as_ref());
        set_list(&mut app.scopes, self.scopes.as_ref());
        set_text(&mut app.backchannel_logout_uri, self.backchannel_logout_uri.as_ref());
        set_text(&mut app.frontchannel_logout_uri, self.frontchannel_logout_uri.as_ref());
        if self.jwks.is_some() {
            app.jwks_uri = None;
        }
        if self.jwks_uri.as_ref().is_some_and(|uri| !uri.is_empty()) {
            app.jwks = None;
        }
        set_text(&mut app.jwks_uri, self.jwks_uri.as_ref());
        set_text(&mut app.audience, self.audience.as_ref());
        app.jwks = self.jwks.as_ref().map(ToString::to_string).or(app.jwks);
        if let Some(method) = self.auth_method {
            app.prove_by(method);
        }
        app.grant_types = self.grant_types.clone().or(app.grant_types);
        app.refresh_idle_seconds = self.refresh_idle_seconds.or(app.refresh_idle_seconds);
        app.refresh_seconds = self.refresh_seconds.or(app.refresh_seconds);
        if let Some(claims) = &self.claims {
            app.claims = claims.clone();
        }
        app.updated_at = cx.env.now();
        sound(&app)?;
        if self.audience.is_some() {
            own_audience(cx, &app).await?;
        }
        SigningKey::keep(cx, seen.as_ref(), batch);
        batch.update(&app, revision).log(event(cx, EventKind::AppUpdated, &app));
        Ok(app.into())
    }
}

fn set_list(place: &mut Vec<String>, list: Option<&Vec<String>>) {
    if let Some(list) = list {
        place.clone_from(list);
    }
}

/// Absent leaves, empty clears, text sets.
fn set_text(place: &mut Option<String>, text: Option<&String>) {
    if let Some(text) = text {
        *place = (!text.is_empty()).then(|| text.clone());
    }
}

/// Give an app a new secret, shown once. The old one ends at once, or after the overlap.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateAppSecret {
    /// The app.
    pub id: AppId,
    /// How long the old secret stays good beside the new one, in seconds; at most 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_seconds: Option<u64>,
}

#[async_trait]
impl Operation for RotateAppSecret {
    type Seen = ();
    type Output = CreatedApp;
    const NAME: &'static str = "app.rotate_secret";
    const ACCESS: Access = Access::Grant(Grant::AppManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/apps/{id}/secret" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut app, revision } = App::load(&cx.store, self.id).await?;
        if !app.keeps_secret() {
            return Err(Error::says(&codes::INVALID_INPUT, "This app proves itself without a secret."));
        }
        let overlap = self.overlap_seconds.unwrap_or(0);
        if overlap > LONGEST_OVERLAP {
            return Err(Error::says(&codes::INVALID_INPUT, "An old secret stays good for 30 days at most."));
        }
        let now = cx.env.now();
        let secret = app.new_secret(&cx.env, (overlap > 0).then(|| now + Duration::from_secs(overlap)));
        app.updated_at = now;
        batch.update(&app, revision).log(event(cx, EventKind::AppUpdated, &app).with("secretRotated", true));
        Ok(CreatedApp { client_id: app.id, client_secret: Some(secret) })
    }
}

/// Delete an app. Its codes and tokens end at once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteApp {
    /// The app.
    pub id: AppId,
}

#[async_trait]
impl Operation for DeleteApp {
    type Seen = ();
    type Output = AppView;
    const NAME: &'static str = "app.delete";
    const ACCESS: Access = Access::Grant(Grant::AppManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/apps/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: app, revision } = App::load(&cx.store, self.id).await?;
        bump(&cx.store, Scope::App(app.id), batch).await?;
        batch.delete::<App>(App::key_of(app.id), revision).log(event(cx, EventKind::AppRevoked, &app));
        Ok(app.into())
    }
}
