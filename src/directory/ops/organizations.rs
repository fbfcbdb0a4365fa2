//! The operations on organizations.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::OrganizationId;
use crate::session::{Scope, bump};
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
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<Organization> for OrganizationView {
    fn from(organization: Organization) -> Self {
        Self {
            id: organization.id,
            name: organization.name,
            enabled: organization.disabled_at.is_none(),
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
        let name = self.name.trim();
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err(Error::says(
                &codes::INVALID_INPUT,
                "The name needs 1 to 200 bytes, without control characters.",
            ));
        }
        let now = cx.env.now();
        let id = OrganizationId::new(&cx.env);
        let organization =
            Organization { id, name: name.to_owned(), created_at: now, updated_at: now, disabled_at: None };
        let event = cx.event(EventKind::OrganizationCreated).within(id).about("organization", id);
        batch.create(&organization).log(event.with("name", name));
        Ok(organization.into())
    }
}

/// List the organizations. A caller that belongs to one sees that one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListOrganizations {
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
            return Ok(Pages { items: vec![organization.value.into()], next: None });
        }
        let page = cx.store.page::<Organization>(self.paging.page(Query::all())?).await?;
        Ok(Pages::of(page, OrganizationView::from))
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
        Ok(Organization::load(&cx.store, self.id).await?.value.into())
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
        Ok(organization.into())
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
        Ok(organization.into())
    }
}
