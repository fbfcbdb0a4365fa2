//! An administrator ends somebody's access, gives it back, or has them forgotten.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::{member, order, owner};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::directory::{Ending, Orders, PersonProposal, UserView};
use crate::error::Result;
use crate::id::{OrganizationId, UserId};
use crate::store::Batch;

/// Keep a person out at once: the next request with a session, code, token or key of theirs fails. No source of
/// people gives it back, only an administrator. What they are in other organizations is not touched.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SuspendUser {
    /// The person.
    pub id: UserId,
    /// In which organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
}

#[async_trait]
impl Operation for SuspendUser {
    type Seen = ();
    type Output = UserView;
    const NAME: &'static str = "user.suspend";
    const ACCESS: Access = Access::Grant(Grant::UserManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/users/{id}/suspend" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let member = member(cx, self.id, self.organization).await?;
        let proposal = PersonProposal { active: Some(false), ..PersonProposal::about(self.id) };
        Ok(order(cx, &member, proposal, batch).await?.membership.into())
    }
}

/// Give a person their access back, or admit one who waits. What ended stays ended: they sign in anew.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReactivateUser {
    /// The person.
    pub id: UserId,
    /// In which organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Also where a source of people, and not an administrator, has ended the access.
    #[serde(default)]
    pub force: bool,
}

#[async_trait]
impl Operation for ReactivateUser {
    type Seen = ();
    type Output = UserView;
    const NAME: &'static str = "user.reactivate";
    const ACCESS: Access = Access::Grant(Grant::UserManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/users/{id}/reactivate" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let member = member(cx, self.id, self.organization).await?;
        let orders = Orders { force: self.force, ..Orders::default() };
        let proposal = PersonProposal { active: Some(true), orders, ..PersonProposal::about(self.id) };
        Ok(order(cx, &member, proposal, batch).await?.membership.into())
    }
}

/// Delete a person from an organization: their access ends at once, and their profile, identities and memberships of
/// groups are deleted. If they sign in again, they are strangers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteUser {
    /// The person.
    pub id: UserId,
    /// In which organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
}

/// Who was deleted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedUser {
    /// The person.
    pub id: UserId,
    /// From which organization.
    pub organization: OrganizationId,
}

#[async_trait]
impl Operation for DeleteUser {
    type Seen = ();
    type Output = DeletedUser;
    const NAME: &'static str = "user.delete";
    const ACCESS: Access = Access::Grant(Grant::UserManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/users/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let member = member(cx, self.id, self.organization).await?;
        let orders = Orders { ending: Ending::Delete, ..Orders::default() };
        let proposal = PersonProposal { active: Some(false), orders, ..PersonProposal::about(self.id) };
        order(cx, &member, proposal, batch).await?;
        Ok(DeletedUser { id: self.id, organization: member.organization })
    }
}
