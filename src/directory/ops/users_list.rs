//! The list of an organization's people.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::UserView;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::directory::Membership;
use crate::error::Result;
use crate::id::OrganizationId;
use crate::store::{Batch, Query};

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
