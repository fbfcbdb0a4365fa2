//! `audit.list`, `audit.get`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::search::Search;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::error::{Error, Result, codes};
use crate::event::EventView;
use crate::store::Batch;

/// Search the log. The newest events come first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListAudit {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub search: Search,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListAudit {
    type Seen = ();
    type Output = Pages<EventView>;
    const NAME: &'static str = "audit.list";
    const ACCESS: Access = Access::Grant(Grant::ConnectionAuditRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/audit" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.search.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        self.search.page(cx, &self.paging).await
    }
}

/// Show one event of the log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetEvent {
    /// Its number in the log.
    pub seq: u64,
}

#[async_trait]
impl Operation for GetEvent {
    type Seen = ();
    type Output = EventView;
    const NAME: &'static str = "audit.get";
    const ACCESS: Access = Access::Grant(Grant::ConnectionAuditRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/audit/{seq}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(self.event(cx).await?.organization_id.map_or(Owner::Deployment, Owner::Organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        self.event(cx).await
    }
}

impl GetEvent {
    async fn event(&self, cx: &Context) -> Result<EventView> {
        let missing = || Error::new(&codes::NOT_FOUND);
        let rows = cx.store.tail(self.seq.checked_sub(1).ok_or_else(missing)?, 1, None).await?;
        EventView::read(rows.first().filter(|row| row.row.seq == self.seq).ok_or_else(missing)?)
    }
}
