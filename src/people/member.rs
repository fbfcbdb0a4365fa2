//! What a member may, and that they are one no longer.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::{member, order, owner};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, RoleName, Route, give};
use crate::directory::{Ending, Orders, PersonProposal, UserView};
use crate::error::{Error, Result, codes};
use crate::id::{OrganizationId, UserId};
use crate::store::Batch;

/// Set the roles of a member: these, and no others that an administrator gave. Roles that follow from the policy's
/// mappings stay. Nobody gives or takes what they do not hold, and the last owner stays one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetMemberRole {
    /// The organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The member.
    pub user: UserId,
    /// The roles: owner, admin, member, viewer, and those that the organization made. All that they shall have.
    #[schemars(extend("x-flag" = "role"))]
    pub roles: Vec<RoleName>,
}

#[async_trait]
impl Operation for SetMemberRole {
    type Seen = ();
    type Output = UserView;
    const NAME: &'static str = "member.set_role";
    const ACCESS: Access = Access::Grant(Grant::UserManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/members/{user}/roles" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.user, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        if self.roles.len() > 32 {
            return Err(Error::says(&codes::INVALID_INPUT, "A member has at most 32 roles."));
        }
        let member = member(cx, self.user, self.organization).await?;
        for role in &self.roles {
            give(cx, member.organization, role, batch).await?;
        }
        let orders = Orders { roles: Some(self.roles.iter().cloned().collect()), ..Orders::default() };
        let proposal = PersonProposal { orders, ..PersonProposal::about(self.user) };
        Ok(order(cx, &member, proposal, batch).await?.membership.into())
    }
}

/// Remove a member, as a source does whose person has left: their access ends at once, and the policy's
/// `deprovision.mode` says whether what is known of them stays (`soft`) or is deleted (`hard`).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveMember {
    /// The organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The member.
    pub user: UserId,
}

#[async_trait]
impl Operation for RemoveMember {
    type Seen = ();
    type Output = UserView;
    const NAME: &'static str = "member.remove";
    const ACCESS: Access = Access::Grant(Grant::UserManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/members/{user}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.user, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let member = member(cx, self.user, self.organization).await?;
        let orders = Orders { ending: Ending::Remove, ..Orders::default() };
        let proposal = PersonProposal { active: Some(false), orders, ..PersonProposal::about(self.user) };
        Ok(order(cx, &member, proposal, batch).await?.membership.into())
    }
}
