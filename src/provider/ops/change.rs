//! `app.update`, `app.rotate_secret`, `app.delete`.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::client::{App, Organizations};
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
    /// What its tokens are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<Algorithm>,
    /// Origins whose pages may call the token endpoint, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "origin"))]
    pub origins: Option<Vec<String>>,
    /// How long its tokens live: 60 seconds to a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_seconds: Option<u64>,
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
        app.updated_at = cx.env.now();
        sound(&app)?;
        SigningKey::keep(cx, seen.as_ref(), batch);
        batch.update(&app, revision).log(event(cx, EventKind::AppUpdated, &app));
        Ok(app.into())
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
        if app.public {
            return Err(Error::says(&codes::INVALID_INPUT, "This app is public: it keeps no secret."));
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
