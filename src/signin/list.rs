//! `signin.list`: the sign-ins of the last days, and those whose browser is still away.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::explain::TraceView;
use super::trace::{Ending, Trace};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId};
use crate::store::{Batch, Query};

/// At most so many traces are looked at for one page.
const LOOKED_AT: usize = 1_000;

/// List sign-ins: who came, through what, and how it ended. The newest come first; those under way, whose browser is at the provider, before
/// all others. They are kept for 7 days. A page that would take too long to fill is shorter, and has a `next` all the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListSignins {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only those through this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Only those that ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ending>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListSignins {
    type Seen = ();
    type Output = Pages<TraceView>;
    const NAME: &'static str = "signin.list";
    const ACCESS: Access = Access::Grant(Grant::ConnectionAuditRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/signins" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let by = self.connection.map_or_else(Query::all, |id| Query::by("connection", id.bytes()));
        let mut query = self.paging.page(by)?.newest_first();
        let limit = self.paging.limit.unwrap_or(100).min(1_000);
        let (mut items, mut looked_at) = (Vec::with_capacity(limit), 0);
        if self.paging.cursor.is_none() {
            items.extend(self.away(cx, limit / 2).await?);
        }
        loop {
            // Never more than there is room for, so that a cursor never passes what was not shown.
            let room = limit.saturating_sub(items.len()).max(1);
            let page = cx.store.page::<Trace>(query.clone().limit(room)).await?;
            looked_at += page.items.len();
            items.extend(
                page.items
                    .into_iter()
                    .map(|stored| stored.value)
                    .filter(|trace| self.wants(cx, trace))
                    .map(TraceView::from),
            );
            if page.next.is_none() || items.len() >= limit || looked_at >= LOOKED_AT {
                return Ok(Pages::with(items, page.next));
            }
            query = query.after(page.next);
        }
    }
}

impl ListSignins {
    /// The sign-ins under way: no trace is kept of them yet. They are few, and end within minutes. They take half a page
    /// at most, so that a page always leads on.
    async fn away(&self, cx: &Context, most: usize) -> Result<Vec<TraceView>> {
        let page = cx.store.page::<Attempt>(Query::all().newest_first().limit(LOOKED_AT)).await?;
        let begun = page.items.iter().map(|attempt| Trace::begun(attempt));
        Ok(begun.filter(|trace| self.wants(cx, trace)).take(most).map(TraceView::from).collect())
    }

    fn wants(&self, cx: &Context, trace: &Trace) -> bool {
        let organization = cx.narrowed(self.organization);
        organization.is_none_or(|only| trace.organization == Some(only))
            && self.connection.is_none_or(|only| trace.connection == Some(only))
            && self.outcome.is_none_or(|only| trace.ending == only)
    }
}
