//! The operations on organizations and people.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::membership::{Membership, Status};
use super::organization::Organization;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, RoleName, Route};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{ConnectionId, OrganizationId, UserId};
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

/// A person of an organization as they are shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// The id; the `sub` of tokens.
    pub id: UserId,
    /// In which organization.
    pub organization: OrganizationId,
    /// Whether they may come in.
    pub status: Status,
    /// Their address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether apps may trust the address.
    pub email_verified: bool,
    /// The name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The source's groups, as of the last sign-in.
    pub groups: Vec<String>,
    /// Roles in authd.
    pub roles: Vec<RoleName>,
    /// The connection that brought them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// When they became a member.
    pub created_at: Timestamp,
    /// When anything of this was last changed.
    pub updated_at: Timestamp,
}

impl From<Membership> for UserView {
    fn from(member: Membership) -> Self {
        Self {
            id: member.user,
            organization: member.organization,
            status: member.status,
            email: member.email,
            email_verified: member.email_verified,
            name: member.name,
            groups: member.groups,
            roles: member.roles.into_iter().collect(),
            connection: member.source,
            created_at: member.created_at,
            updated_at: member.updated_at,
        }
    }
}

/// List the people of an organization.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListUsers {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListUsers {
    type Seen = ();
    type Output = Pages<UserView>;
    const NAME: &'static str = "user.list";
    const ACCESS: Access = Access::Grant(Grant::UserRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/users" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(cx.narrowed(self.organization).map_or(Owner::Deployment, Owner::Organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let narrowed = cx.narrowed(self.organization);
        let query = narrowed.map_or_else(Query::all, |id| Query::by("organization", id.bytes()));
        let query = self.paging.page(query)?;
        Ok(Pages::of(cx.store.page::<Membership>(query).await?, UserView::from))
    }
}

/// Show a person of an organization.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetUser {
    /// The person.
    pub id: UserId,
    /// In which organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
}

#[async_trait]
impl Operation for GetUser {
    type Seen = ();
    type Output = UserView;
    const NAME: &'static str = "user.get";
    const ACCESS: Access = Access::Grant(Grant::UserRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/users/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(self.member(cx).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        Ok(self.member(cx).await?.into())
    }
}

impl GetUser {
    async fn member(&self, cx: &Context) -> Result<Membership> {
        let memberships = cx.store.page::<Membership>(Query::by("user", self.id.bytes())).await?;
        let named = self.organization.or_else(|| cx.caller.organization());
        let mut found = memberships.items.into_iter().filter(|member| named.is_none_or(|id| id == member.organization));
        match (found.next(), found.next()) {
            (Some(member), None) => Ok(member.value),
            (Some(_), Some(_)) => Err(Error::says(&codes::INVALID_INPUT, "The person is in several organizations.")
                .help("Name one: `--org org_…` (`organization` in JSON).")),
            (None, _) => Err(Error::new(&codes::NOT_FOUND)),
        }
    }
}
