//! `app.create`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::client::{App, Kind, Organizations};
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
    /// What its tokens are signed with.
    #[serde(default)]
    pub alg: Algorithm,
    /// Origins whose pages may call the token endpoint, beside those of a browser app's return addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-flag" = "origin"))]
    pub origins: Vec<String>,
    /// How long its tokens live: 60 seconds to a day; 15 minutes unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_seconds: Option<u64>,
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
            public: self.public || matches!(self.kind, Kind::Spa | Kind::Native),
            redirect_uris: self.redirect_uris.clone(),
            origins: self.origins.clone(),
            organizations: self.organizations.clone(),
            algorithm: self.alg,
            token_seconds: self.token_seconds,
            secrets: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        sound(&app)?;
        let client_secret = (!app.public).then(|| app.new_secret(&cx.env, None));
        SigningKey::keep(cx, seen.as_ref(), batch);
        batch.create(&app).log(event(cx, EventKind::AppCreated, &app));
        Ok(CreatedApp { client_id: app.id, client_secret })
    }
}
