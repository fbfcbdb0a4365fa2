//! The operations on organizations and people.

mod organizations;
mod users_list;

pub use organizations::{
    CreateOrganization, DeleteOrganization, DisableOrganization, EnableOrganization, GetOrganization,
    ListOrganizations, OrganizationView, UpdateOrganization,
};
pub use users_list::{Direction, ListUsers, UserSort};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::membership::{EndedBy, Membership, Status};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, RoleName, Route};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::store::{Batch, Query};

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
    /// First name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// A picture's https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The source's groups, as of the last sign-in.
    pub groups: Vec<String>,
    /// Roles in authd: those that were given, and those that follow from the policy's mappings.
    pub roles: Vec<RoleName>,
    /// Those of them that follow from mappings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mapped_roles: Vec<RoleName>,
    /// Who ended the access, where somebody did: `administrator`, or the connection whose source did. Nobody else gives
    /// it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
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
            roles: member.effective_roles().into_iter().collect(),
            mapped_roles: member.mapped_roles().into_iter().collect(),
            ended_by: member.ender().map(|by| match by {
                EndedBy::Administrator => "administrator".to_owned(),
                EndedBy::Source(connection) => connection.to_string(),
            }),
            status: member.status,
            email: member.email,
            email_verified: member.email_verified,
            name: member.name,
            given_name: member.given_name,
            family_name: member.family_name,
            image: member.image,
            groups: member.groups,
            connection: member.source,
            created_at: member.created_at,
            updated_at: member.updated_at,
        }
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
    /// The member that is meant. Errors: `not_found`; `invalid_input` where it is not clear in which organization.
    pub async fn member(&self, cx: &Context) -> Result<Membership> {
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
