//! The operations on apps.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::client::{App, Kind, Organizations};
use super::redirect_uri;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::crypto::Secret;
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::{AppId, OrganizationId};
use crate::session::{Scope, bump};
use crate::store::{Batch, Query, Stored};
use crate::token::{Algorithm, LONGEST, Prepared, SigningKey};

/// More return addresses or origins than any app needs.
const MOST: usize = 50;
/// How long an old secret may stay good beside the new one: 30 days.
const LONGEST_OVERLAP: u64 = 30 * 24 * 3600;

/// An app as it is shown: without its secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    /// Its id, which is its OAuth `client_id`.
    pub client_id: AppId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// What it is built as.
    pub kind: Kind,
    /// It keeps no secret.
    pub public: bool,
    /// Where it may be returned to.
    pub redirect_uris: Vec<String>,
    /// Origins whose pages may call the token endpoint.
    pub origins: Vec<String>,
    /// Which organizations people may come from.
    pub organizations: Organizations,
    /// What its tokens are signed with.
    pub alg: Algorithm,
    /// How long its tokens live, in seconds.
    pub token_seconds: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl From<App> for AppView {
    fn from(app: App) -> Self {
        Self {
            client_id: app.id,
            organization: app.organization,
            origins: app.browser_origins(),
            token_seconds: app.token_lifetime().as_secs(),
            name: app.name,
            kind: app.kind,
            public: app.public,
            redirect_uris: app.redirect_uris,
            organizations: app.organizations,
            alg: app.algorithm,
            created_at: app.created_at,
            updated_at: app.updated_at,
        }
    }
}

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

/// Show one app.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetApp {
    /// The app.
    pub id: AppId,
}

#[async_trait]
impl Operation for GetApp {
    type Seen = ();
    type Output = AppView;
    const NAME: &'static str = "app.get";
    const ACCESS: Access = Access::Grant(Grant::AppRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/apps/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        Ok(App::load(&cx.store, self.id).await?.value.into())
    }
}

/// List the apps of an organization.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListApps {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListApps {
    type Seen = ();
    type Output = Pages<AppView>;
    const NAME: &'static str = "app.list";
    const ACCESS: Access = Access::Grant(Grant::AppRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/apps" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        let query = self.paging.page(Query::by("organization", organization.bytes()))?;
        Ok(Pages::of(cx.store.page::<App>(query).await?, AppView::from))
    }
}

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

async fn owner(cx: &Context, id: AppId) -> Result<Owner> {
    Ok(Owner::Organization(App::load(&cx.store, id).await?.organization))
}

fn event(cx: &Context, kind: EventKind, app: &App) -> Event {
    cx.event(kind).within(app.organization).about("app", app.id).with("name", app.name.clone())
}

/// An app reaches no further than whoever registers it sees: another tenant's people would be signed in with it.
async fn allowed(cx: &Context, organizations: &Organizations) -> Result<()> {
    match organizations {
        Organizations::Own => Ok(()),
        Organizations::All if cx.caller.is_operator() => Ok(()),
        Organizations::All => {
            Err(Error::says(&codes::OPERATOR_ONLY, "Only the operator can let an app serve every organization."))
        }
        Organizations::List(list) => {
            for organization in list {
                if !cx.caller.sees(*organization) {
                    return Err(Error::new(&codes::NOT_FOUND));
                }
                Organization::load(&cx.store, *organization).await?;
            }
            Ok(())
        }
    }
}

/// Whether the app can be kept as it is. Errors: `invalid_input`.
fn sound(app: &App) -> Result<()> {
    let wrong = |why: &'static str| Err(Error::says(&codes::INVALID_INPUT, why));
    if app.name.is_empty() || app.name.len() > 200 || app.name.chars().any(char::is_control) {
        return wrong("The name needs 1 to 200 bytes, without control characters.");
    }
    if app.redirect_uris.is_empty() || app.redirect_uris.len() > MOST {
        return wrong("An app has 1 to 50 redirect URIs.");
    }
    if app.origins.len() > MOST {
        return wrong("An app has at most 50 origins.");
    }
    if matches!(&app.organizations, Organizations::List(list) if list.is_empty() || list.len() > 1_000) {
        return wrong("An app serves 1 to 1,000 organizations, or `all`.");
    }
    if app.token_seconds.is_some_and(|seconds| !(60..=LONGEST.as_secs()).contains(&seconds)) {
        return wrong("Tokens live 60 seconds to a day.");
    }
    for uri in &app.redirect_uris {
        redirect_uri::check(app.kind, uri)?;
    }
    app.origins.iter().try_for_each(|origin| redirect_uri::check_origin(origin))
}
