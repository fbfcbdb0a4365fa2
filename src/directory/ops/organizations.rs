//! The operations on organizations.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::directory::listing;
use crate::directory::{EndedOrganization, Organization};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::OrganizationId;
use crate::session::{Lifetimes, Scope, bump};
use crate::store::{Batch, Query, Stored};

/// An organization as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationView {
    /// Its id.
    pub id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// Whether people may come in.
    pub enabled: bool,
    /// A session ends when it was not used for so many seconds.
    pub session_idle_seconds: u64,
    /// A session ends after so many seconds, whatever happens.
    pub session_seconds: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl OrganizationView {
    async fn of(cx: &Context, organization: Organization) -> Result<Self> {
        let lifetimes = Lifetimes::of(&cx.store, organization.id).await?;
        Ok(Self::with(organization, &lifetimes))
    }

    fn with(organization: Organization, lifetimes: &Lifetimes) -> Self {
        Self {
            id: organization.id,
            name: organization.name,
            enabled: organization.disabled_at.is_none(),
            session_idle_seconds: lifetimes.idle_seconds(),
            session_seconds: lifetimes.seconds(),
            created_at: organization.created_at,
            updated_at: organization.updated_at,
        }
    }
}

/// Create an organization: a tenant with its own connections, people and apps.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateOrganization {
    /// What people call it.
    pub name: String,
}

#[async_trait]
impl Operation for CreateOrganization {
    type Seen = ();
    type Output = OrganizationView;
    const NAME: &'static str = "organization.create";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/organizations" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let name = named(&self.name)?;
        let now = cx.env.now();
        let id = OrganizationId::new(&cx.env);
        let organization =
            Organization { id, name: name.to_owned(), created_at: now, updated_at: now, disabled_at: None };
        let event = cx.event(EventKind::OrganizationCreated).within(id).about("organization", id);
        batch.create(&organization).log(event.with("name", name));
        OrganizationView::of(cx, organization).await
    }
}

/// A name that people can read.
fn named(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        return Err(Error::says(&codes::INVALID_INPUT, "The name needs 1 to 200 bytes, without control characters."));
    }
    Ok(name)
}

/// List the organizations. A caller that belongs to one sees that one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListOrganizations {
    /// Only organizations with these words in their name; each word may be cut short. Case and accents do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListOrganizations {
    type Seen = ();
    type Output = Pages<OrganizationView>;
    const NAME: &'static str = "organization.list";
    const ACCESS: Access = Access::Grant(Grant::OrganizationRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/organizations" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(cx.caller.organization().map_or(Owner::Deployment, Owner::Organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        if let Some(own) = cx.caller.organization() {
            let organization = Organization::load(&cx.store, own).await?;
            let held = listing::organization_words(&organization.name);
            let sought = listing::sought(self.search.as_deref().unwrap_or_default());
            let found = sought.iter().all(|word| held.iter().any(|held| held.starts_with(word)));
            let mut items = Vec::new();
            if found {
                items.push(OrganizationView::of(cx, organization.value).await?);
            }
            return Ok(Pages { items, next: None });
        }
        let mut query = Query::all();
        if let Some(text) = self.search.as_deref().filter(|text| !text.trim().is_empty()) {
            let words = listing::sought(text);
            if words.is_empty() {
                return Ok(Pages { items: Vec::new(), next: None });
            }
            query = words.into_iter().fold(query, |query, word| query.with_starting(listing::SEARCH, word));
        }
        let page = cx.store.page::<Organization>(self.paging.page(query)?).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for stored in page.items {
            items.push(OrganizationView::of(cx, stored.value).await?);
        }
        Ok(Pages::with(items, page.next))
    }
}

/// Show an organization.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetOrganization {
    /// The organization.
    pub id: OrganizationId,
}

#[async_trait]
impl Operation for GetOrganization {
    type Seen = ();
    type Output = OrganizationView;
    const NAME: &'static str = "organization.get";
    const ACCESS: Access = Access::Grant(Grant::OrganizationRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/organizations/{id}" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Organization(self.id))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        OrganizationView::of(cx, Organization::load(&cx.store, self.id).await?.value).await
    }
}

/// Change what an organization is called, or how long its sessions live.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateOrganization {
    /// The organization.
    pub id: OrganizationId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A session ends when it was not used for so long: 60 seconds to 30 days; 0 for what is usual, 2 hours. What is
    /// shorter holds for open sessions, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_idle_seconds: Option<u64>,
    /// A session ends after so long, whatever happens: 60 seconds to 30 days; 0 for what is usual, 8 hours. What is
    /// shorter holds for open sessions, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_seconds: Option<u64>,
}

#[async_trait]
impl Operation for UpdateOrganization {
    type Seen = ();
    type Output = OrganizationView;
    const NAME: &'static str = "organization.update";
    const ACCESS: Access = Access::Grant(Grant::OrganizationManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/organizations/{id}" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Organization(self.id))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut organization, revision } = Organization::load(&cx.store, self.id).await?;
        let name = self.name.as_deref().map(named).transpose()?.filter(|name| *name != organization.name);
        let (idle, whole) = (self.session_idle_seconds, self.session_seconds);
        let (lifetimes, lives) = Lifetimes::set(&cx.store, self.id, idle, whole, batch).await?;
        let mut event = cx.event(EventKind::OrganizationUpdated).within(self.id).about("organization", self.id);
        if let Some(name) = name {
            name.clone_into(&mut organization.name);
            event = event.with("name", name);
        }
        if let Some(idle) = idle.filter(|_| lives) {
            event = event.with("sessionIdleSeconds", idle);
        }
        if let Some(whole) = whole.filter(|_| lives) {
            event = event.with("sessionSeconds", whole);
        }
        if name.is_some() || lives {
            organization.updated_at = cx.env.now();
            batch.update(&organization, revision).log(event);
        }
        Ok(OrganizationView::with(organization, &lifetimes))
    }
}

/// End an organization for good: its people, connections and apps. Everything of it is refused from this commit on;
/// its data is removed in the background, its events stay. It cannot be undone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteOrganization {
    /// The organization.
    pub id: OrganizationId,
    /// Its name, so that nobody ends another by mistake.
    pub confirm: String,
}

#[async_trait]
impl Operation for DeleteOrganization {
    type Seen = ();
    type Output = OrganizationView;
    const NAME: &'static str = "organization.delete";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/organizations/{id}" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut organization, revision } = Organization::load(&cx.store, self.id).await?;
        if self.confirm.trim() != organization.name {
            return Err(Error::says(&codes::INVALID_INPUT, "The name does not confirm it: it is another.")
                .help("Give the organization's name as it is shown: `--confirm 'Name'`."));
        }
        let now = cx.env.now();
        bump(&cx.store, Scope::Organization(self.id), batch).await?;
        let tombstone =
            EndedOrganization { id: self.id, name: organization.name.clone(), ended_at: now, swept_at: None };
        let event = cx.event(EventKind::OrganizationRemoved).within(self.id).about("organization", self.id);
        batch.delete::<Organization>(Organization::key_of(self.id), revision);
        batch.create(&tombstone).log(event.with("name", organization.name.clone()));
        organization.disabled_at.get_or_insert(now);
        organization.updated_at = now;
        OrganizationView::of(cx, organization).await
    }
}

/// Keep everybody of an organization out, at once: its sessions, codes and tokens end with this commit.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DisableOrganization {
    /// The organization.
    pub id: OrganizationId,
}

#[async_trait]
impl Operation for DisableOrganization {
    type Seen = ();
    type Output = OrganizationView;
    const NAME: &'static str = "organization.disable";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/organizations/{id}/disable" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut organization, revision } = Organization::load(&cx.store, self.id).await?;
        if organization.disabled_at.is_none() {
            organization.disabled_at = Some(cx.env.now());
            organization.updated_at = cx.env.now();
            bump(&cx.store, Scope::Organization(self.id), batch).await?;
            let event = cx.event(EventKind::OrganizationUpdated).within(self.id).about("organization", self.id);
            batch.update(&organization, revision).log(event.with("enabled", false));
        }
        OrganizationView::of(cx, organization).await
    }
}

/// Let people of a disabled organization sign in again. What ended stays ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnableOrganization {
    /// The organization.
    pub id: OrganizationId,
}

#[async_trait]
impl Operation for EnableOrganization {
    type Seen = ();
    type Output = OrganizationView;
    const NAME: &'static str = "organization.enable";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/organizations/{id}/enable" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut organization, revision } = Organization::load(&cx.store, self.id).await?;
        if organization.disabled_at.take().is_some() {
            organization.updated_at = cx.env.now();
            let event = cx.event(EventKind::OrganizationUpdated).within(self.id).about("organization", self.id);
            batch.update(&organization, revision).log(event.with("enabled", true));
        }
        OrganizationView::of(cx, organization).await
    }
}
