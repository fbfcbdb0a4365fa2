//! `app.get`, `app.list`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::client::App;
use super::{AppView, owner};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::error::Result;
use crate::id::{AppId, OrganizationId};
use crate::store::Batch;

/// Show one app.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetApp {
    /// The app.
    pub id: AppId,
}

#[async_trait]
impl Operation for GetApp {
    type Seen = ();
    type Output = AppView;
    const NAME: &'static str = "app.get";
    const ACCESS: Access = Access::Grant(Grant::AppRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/apps/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        Ok(App::load(&cx.store, self.id).await?.value.into())
    }
}

/// List the apps of an organization.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListApps {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListApps {
    type Seen = ();
    type Output = Pages<AppView>;
    const NAME: &'static str = "app.list";
    const ACCESS: Access = Access::Grant(Grant::AppRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/apps" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        Ok(Pages::of(self.paging.of_organization::<App>(cx, self.organization).await?, AppView::from))
    }
}
