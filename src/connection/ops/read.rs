//! Seeing connections.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::record::{Connection, Status};
use super::super::view::ConnectionView;
use super::owner_of;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::crypto::base64url;
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId};
use crate::store::{Batch, Query};

/// List the connections of an organization. The operator may leave out the organization, and sees all.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListConnections {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only those of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The deleted ones instead, which can still be restored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

impl ListConnections {
    fn organization(&self, cx: &Context) -> Option<OrganizationId> {
        self.organization.or_else(|| cx.caller.organization())
    }
}

#[async_trait]
impl Operation for ListConnections {
    type Seen = ();
    type Output = Pages<ConnectionView>;
    const NAME: &'static str = "connection.list";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(self.organization(cx).map_or(Owner::Deployment, Owner::Organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let query = match self.organization(cx) {
            Some(id) => Query::by(if self.deleted { "deleted" } else { "organization" }, id.bytes()),
            None => Query::all(),
        };
        let page = cx.store.page::<Connection>(self.paging.page(query)?).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for connection in &page.items {
            if connection.deleted_at.is_some() == self.deleted && self.status.is_none_or(|s| s == connection.status) {
                items.push(ConnectionView::of(cx, connection).await?);
            }
        }
        Ok(Pages { items, next: page.next.map(|key| base64url(&key)) })
    }
}

/// Show a connection, without its secrets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetConnection {
    /// The connection.
    pub id: ConnectionId,
}

#[async_trait]
impl Operation for GetConnection {
    type Seen = ();
    type Output = ConnectionView;
    const NAME: &'static str = "connection.get";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let connection = Connection::load(&cx.store, self.id).await?;
        ConnectionView::of(cx, &connection).await
    }
}
