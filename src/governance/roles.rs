//! `role.create`, `role.list`, `role.get`, `role.update`, `role.delete`: the roles that an organization makes for itself.
//!
//! Nobody makes, widens or edits a role beyond what they hold. A role that anybody or anything still has is neither
//! deleted nor made anew: a name that comes back would bring back what it grants to whom nobody has given it.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::policy_of;
use crate::access::{
    Access, Context, CustomRole, Grant, Grants, Method, Operation, Owner, Pages, Paging, Role, RoleName, Route,
};
use crate::connection::Connection;
use crate::directory::{Membership, Organization};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::OrganizationId;
use crate::policy::Policy;
use crate::store::{Batch, Query, Record, Stored};

/// An organization has at most so many roles of its own.
const MOST: u64 = 200;
/// A text about a role has at most so many bytes.
const LONGEST_ABOUT: usize = 500;

/// A role as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleView {
    /// In which organization.
    pub organization: OrganizationId,
    /// Its name.
    pub name: RoleName,
    /// Whether every organization has it.
    pub builtin: bool,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What it grants.
    pub grants: Vec<String>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

impl From<CustomRole> for RoleView {
    fn from(role: CustomRole) -> Self {
        Self {
            organization: role.organization,
            name: role.name,
            builtin: false,
            about: role.about,
            grants: role.grants.names(),
            created_at: Some(role.created_at),
            updated_at: Some(role.updated_at),
        }
    }
}

impl RoleView {
    fn builtin(organization: OrganizationId, role: Role) -> Self {
        let grants = role.grants().names();
        let (created_at, updated_at) = (None, None);
        Self { organization, name: role.into(), builtin: true, about: None, grants, created_at, updated_at }
    }
}

/// Create a role of the organization's own, out of grants. Nobody gives it what they do not hold themselves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateRole {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Its name: small letters, digits, `-` and `_`. It never changes.
    pub name: RoleName,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What it grants; `*` for everything that an owner may.
    #[schemars(extend("x-flag" = "grant"))]
    pub grants: Vec<String>,
}

#[async_trait]
impl Operation for CreateRole {
    type Seen = ();
    type Output = RoleView;
    const NAME: &'static str = "role.create";
    const ACCESS: Access = Access::Grant(Grant::RoleManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/roles" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        Organization::load(&cx.store, organization).await?;
        own(&self.name)?;
        let key = CustomRole::key_of(organization, &self.name);
        if cx.store.get::<CustomRole>(key).await?.is_some() {
            return Err(Error::says(&codes::TAKEN, format!("The organization has a role `{}` already.", self.name)));
        }
        if cx.store.count_by::<CustomRole>("organization", organization.bytes()).await? >= MOST {
            return Err(Error::says(&codes::TOO_LARGE, format!("An organization has at most {MOST} roles.")));
        }
        let now = cx.env.now();
        let role = CustomRole {
            organization,
            name: self.name.clone(),
            about: self.about.as_deref().map(about).transpose()?.flatten(),
            grants: grants(cx, &self.grants)?,
            created_at: now,
            updated_at: now,
        };
        unused(cx, organization, &self.name).await?;
        batch.create(&role).log(event(cx, EventKind::RoleCreated, &role).with("grants", role.grants.names()));
        Ok(role.into())
    }
}

/// List the roles of an organization's own. The built-in ones are owner, admin, member and viewer.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListRoles {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListRoles {
    type Seen = ();
    type Output = Pages<RoleView>;
    const NAME: &'static str = "role.list";
    const ACCESS: Access = Access::Grant(Grant::RoleRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/roles" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        Ok(Pages::of(self.paging.of_organization::<CustomRole>(cx, self.organization).await?, RoleView::from))
    }
}

/// Show a role and what it grants, a built-in one too.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetRole {
    /// Its name.
    pub name: RoleName,
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
}

#[async_trait]
impl Operation for GetRole {
    type Seen = ();
    type Output = RoleView;
    const NAME: &'static str = "role.get";
    const ACCESS: Access = Access::Grant(Grant::RoleRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/roles/{name}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        Organization::load(&cx.store, organization).await?;
        match self.name.builtin() {
            Some(role) => Ok(RoleView::builtin(organization, role)),
            None => Ok(load(cx, organization, &self.name).await?.value.into()),
        }
    }
}

/// Change what a role grants, or what is said about it. Everybody who has it may do from now on what it grants then.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateRole {
    /// Its name.
    pub name: RoleName,
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// What it is for; an empty text takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What it grants, all of it; `*` for everything that an owner may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "grant"))]
    pub grants: Option<Vec<String>>,
}

#[async_trait]
impl Operation for UpdateRole {
    type Seen = ();
    type Output = RoleView;
    const NAME: &'static str = "role.update";
    const ACCESS: Access = Access::Grant(Grant::RoleManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/roles/{name}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        own(&self.name)?;
        let Stored { value: before, revision } = load(cx, organization, &self.name).await?;
        cx.caller.may_give(&before.grants)?;
        let mut role = before.clone();
        if let Some(text) = &self.about {
            role.about = about(text)?;
        }
        if let Some(names) = &self.grants {
            role.grants = grants(cx, names)?;
        }
        if role.about != before.about || role.grants != before.grants {
            role.updated_at = cx.env.now();
            let event = event(cx, EventKind::RoleUpdated, &role).with("grants", role.grants.names());
            batch.update(&role, revision).log(event.with("grantsBefore", before.grants.names()));
        }
        Ok(role.into())
    }
}

/// Delete a role. Refused while a person, a connection or the policy still has it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteRole {
    /// Its name.
    pub name: RoleName,
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
}

#[async_trait]
impl Operation for DeleteRole {
    type Seen = ();
    type Output = ();
    const NAME: &'static str = "role.delete";
    const ACCESS: Access = Access::Grant(Grant::RoleManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/roles/{name}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<()> {
        let organization = cx.organization(self.organization)?;
        own(&self.name)?;
        let Stored { value: role, revision } = load(cx, organization, &self.name).await?;
        cx.caller.may_give(&role.grants)?;
        unused(cx, organization, &self.name).await?;
        batch.delete::<CustomRole>(role.key(), revision).log(event(cx, EventKind::RoleDeleted, &role));
        Ok(())
    }
}

fn event(cx: &Context, kind: EventKind, role: &CustomRole) -> Event {
    cx.event(kind).within(role.organization).about("role", &role.name)
}

/// Refuses the name of a role that every organization has. Errors: `taken`.
fn own(name: &RoleName) -> Result<()> {
    match name.builtin() {
        None => Ok(()),
        Some(_) => Err(Error::says(&codes::TAKEN, format!("`{name}` is a role that every organization has."))
            .help("It cannot be changed; make one of your own with another name.")),
    }
}

async fn load(cx: &Context, organization: OrganizationId, name: &RoleName) -> Result<Stored<CustomRole>> {
    cx.store.get(CustomRole::key_of(organization, name)).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
}

/// What the names stand for, if the caller may give it. Errors: `invalid_input`, `grant_exceeds_caller`.
fn grants(cx: &Context, names: &[String]) -> Result<Grants> {
    let (all, named): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| name == "*");
    let mut grants = Grants::parse(&named)?;
    if !all.is_empty() {
        grants = grants.union(&Role::Owner.grants());
    }
    cx.caller.may_give(&grants)?;
    // Not even by the operator: what a role grants, the organization's own people give on.
    if grants.contains(Grant::ConnectionDomainTrust) {
        return Err(Error::says(&codes::INVALID_INPUT, "No role vouches for domains.")
            .help("An API key that the operator makes can."));
    }
    Ok(grants)
}

/// The text, or none. Errors: `invalid_input`.
fn about(text: &str) -> Result<Option<String>> {
    let text = text.trim();
    if text.len() > LONGEST_ABOUT || text.chars().any(char::is_control) {
        return Err(Error::says(
            &codes::INVALID_INPUT,
            format!("The text about a role has at most {LONGEST_ABOUT} bytes, without control characters."),
        ));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Refuses a name that is still in use. Errors: `role_in_use`.
async fn unused(cx: &Context, organization: OrganizationId, name: &RoleName) -> Result<()> {
    let used = |by: String, help: &'static str| {
        Err(Error::says(&codes::ROLE_IN_USE, format!("{by} the role `{name}`.")).help(help))
    };
    if policy_names(&policy_of(&cx.store, organization).await?, name) {
        return used("The policy of the organization gives".to_owned(), "Take it out of the policy first.");
    }
    // A deleted connection can come back, with its role.
    for index in ["organization", "deleted"] {
        let named = |connection: &Connection| connection.default_role.as_ref() == Some(name);
        if let Some(connection) = first(cx, Query::by(index, organization.bytes()), named).await? {
            return used(format!("The connection {} gives", connection.id), "Give it another default role first.");
        }
    }
    if let Some(user) = Membership::somebody_with(&cx.store, organization, name).await? {
        return used(
            format!("The person {user} has"),
            "Take it away from everybody who has it first: `authd member set-role`.",
        );
    }
    Ok(())
}

/// Whether the policy gives the role to anybody, by whichever way, also by one that is switched off now.
fn policy_names(policy: &Policy, name: &RoleName) -> bool {
    let provisioning = &policy.provisioning;
    let mapped = provisioning.groups.mapping.values().chain(provisioning.roles.mapping.values()).flatten();
    provisioning.jit.default_role_ids.iter().chain(mapped).any(|given| given == name)
}

/// The first record of a list that is meant, if there is one.
async fn first<R: Record>(cx: &Context, query: Query, meant: impl Fn(&R) -> bool) -> Result<Option<R>> {
    let mut query = query.limit(1_000);
    loop {
        let page = cx.store.page::<R>(query.clone()).await?;
        if let Some(found) = page.items.into_iter().find(|stored| meant(&stored.value)) {
            return Ok(Some(found.value));
        }
        if page.next.is_none() {
            return Ok(None);
        }
        query = query.after(page.next);
    }
}
