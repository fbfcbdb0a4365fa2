//! How much of everything there is.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::operation::{Access, Method, Operation, Owner, Route};
use crate::error::Result;
use crate::store::Batch;

/// Count the rows of every kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShowCounts {}

#[async_trait]
impl Operation for ShowCounts {
    type Seen = ();
    type Output = BTreeMap<String, u64>;
    const NAME: &'static str = "counts.show";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/counts" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let mut counts = cx.store.counts().await?;
        // The kinds that a person asks about are there even while there is none.
        for kind in ["organization", "user", "membership", "identity", "session", "connection", "app", "api_key"] {
            counts.entry(kind.to_owned()).or_insert(0);
        }
        Ok(counts)
    }
}
