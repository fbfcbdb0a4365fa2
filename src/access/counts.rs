//! How much of everything there is.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::operation::{Access, Method, Operation, Owner, Route};
use crate::error::Result;
use crate::store::Batch;

/// Kinds of records, and what people call them.
const NAMES: &[(&str, &str)] = &[
    ("organization", "organizations"),
    ("user", "users"),
    ("membership", "memberships"),
    ("identity", "identities"),
    ("session", "sessions"),
    ("connection", "connections"),
    ("domain", "domains"),
    ("app", "apps"),
    ("api_key", "api_keys"),
    ("role", "roles"),
    ("trusted_issuer", "issuers"),
    ("authorization_code", "codes"),
    ("token_grant", "tokens"),
    ("signing_key", "signing_keys"),
    ("attempt", "attempts"),
    ("trace", "traces"),
];

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
        let mut rows = cx.store.counts().await?;
        // What people ask about is there even while there is none; housekeeping rows keep the store's own names.
        let mut counts: BTreeMap<String, u64> =
            NAMES.iter().map(|(kind, name)| ((*name).to_owned(), rows.remove(*kind).unwrap_or(0))).collect();
        counts.insert("events".to_owned(), cx.store.log_seq());
        counts.extend(rows);
        Ok(counts)
    }
}
