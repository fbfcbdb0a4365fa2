//! `audit.verify`: whether the log is what was written.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Context, Method, Operation, Owner, Route};
use crate::crypto::{base64url, from_base64url};
use crate::error::{Error, Result, codes};
use crate::store::Batch;

/// Walk the whole log, and find the first row that was edited, removed, or put elsewhere.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyAudit {
    /// Go on behind what an earlier answer named as `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Look at no more rows than about so many; at all of them, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u64>,
}

/// What the walk found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Whether every row fits that was looked at.
    pub ok: bool,
    /// How many rows the log has.
    pub of: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Signatures under the log that hold.
    pub checkpoints: u64,
    /// Rows whose personal detail was erased.
    pub erased: u64,
    /// Rows up to this one were removed by the log's retention.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pruned: u64,
    /// The first row that does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<u64>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where to go on, when there are more rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A row that fits, as text: its number and its hash.
fn place(text: &str) -> Result<(u64, [u8; 32])> {
    let read = || {
        let (seq, hash) = text.split_once('.')?;
        Some((seq.parse().ok()?, from_base64url(hash)?.try_into().ok()?))
    };
    read().ok_or_else(|| Error::says(&codes::INVALID_INPUT, "`after` is not one of ours."))
}

#[async_trait]
impl Operation for VerifyAudit {
    type Seen = ();
    type Output = Verified;
    const NAME: &'static str = "audit.verify";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/audit/verify" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let from = self.after.as_deref().map(place).transpose()?;
        let (report, next) = cx.store.verify_log_piece(from, self.most.unwrap_or(u64::MAX)).await?;
        let (broken_at, reason) = report.broken.unzip();
        Ok(Verified {
            ok: broken_at.is_none(),
            of: cx.store.log_seq(),
            rows: report.rows,
            checkpoints: report.checkpoints,
            erased: report.erased,
            pruned: report.pruned,
            broken_at,
            reason,
            next: next.map(|(seq, hash)| format!("{seq}.{}", base64url(&hash))),
        })
    }
}
