//! The operations on the groups of directories. A directory changes them; here they are seen.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::group::{DirectoryGroup, GroupMember};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{ConnectionId, DirectoryGroupId, OrganizationId, UserId};
use crate::store::{Batch, Query};

/// A group as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// Its id.
    pub id: DirectoryGroupId,
    /// In which organization.
    pub organization: OrganizationId,
    /// Whose directory it belongs to.
    pub connection: ConnectionId,
    /// The directory's handle of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Its name, in the directory's own words.
    pub name: String,
    /// When it became known.
    pub created_at: Timestamp,
    /// When its name was changed last.
    pub updated_at: Timestamp,
}

impl From<DirectoryGroup> for GroupView {
    fn from(group: DirectoryGroup) -> Self {
        Self {
            id: group.id,
            organization: group.organization,
            connection: group.connection,
            external_id: group.external_id,
            name: group.name,
            created_at: group.created_at,
            updated_at: group.updated_at,
        }
    }
}

/// List the groups that directories have made known.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListGroups {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListGroups {
    type Seen = ();
    type Output = Pages<GroupView>;
    const NAME: &'static str = "group.list";
    const ACCESS: Access = Access::Grant(Grant::UserRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/groups" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        Ok(Pages::of(self.paging.of_organization::<DirectoryGroup>(cx, self.organization).await?, GroupView::from))
    }
}

/// A group with one page of its members.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupDetail {
    /// The group.
    #[serde(flatten)]
    pub group: GroupView,
    /// Who is in it: one page.
    pub members: Vec<UserId>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Show a group of a directory, and who is in it, a page at a time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetGroup {
    /// The group.
    pub id: DirectoryGroupId,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for GetGroup {
    type Seen = ();
    type Output = GroupDetail;
    const NAME: &'static str = "group.get";
    const ACCESS: Access = Access::Grant(Grant::UserRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/groups/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(DirectoryGroup::load(&cx.store, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let group = DirectoryGroup::load(&cx.store, self.id).await?.value;
        let query = self.paging.page(Query::all().prefix(self.id.bytes()))?;
        let page = Pages::of(cx.store.page::<GroupMember>(query).await?, |row| row.user);
        Ok(GroupDetail { group: group.into(), members: page.items, next: page.next })
    }
}
