//! How long the log is kept, and the chore that removes what is older.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Context, Method, Operation, Owner, Route};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::store::{Batch, Key, Life, Record, Store, Stored};

/// Rows whose size is taken for that of all.
const SAMPLE: usize = 1_000;
/// A log is not asked to forget faster than this.
const LEAST_DAYS: u32 = 7;
const LEAST_MEGABYTES: u32 = 16;

/// How long the log is kept. For good, unless something is said.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, minicbor::Encode, minicbor::Decode,
)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Events older than so many days are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(0)]
    pub days: Option<u32>,
    /// The oldest events are removed where the log has about more megabytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(1)]
    pub megabytes: Option<u32>,
}

impl Record for Retention {
    const KIND: &'static str = "retention";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::place()
    }
}

impl Retention {
    fn place() -> Key {
        Key::from_bytes(*b"log")
    }

    async fn load(store: &Store) -> Result<Option<Stored<Self>>> {
        store.get(Self::place()).await
    }
}

/// Removes what the retention no longer keeps, but nothing behind `delivered`: what has still to be sent stays. Tells
/// up to which row it removed; none where there was nothing to remove.
pub async fn prune(cx: &Context, delivered: u64) -> Result<Option<u64>> {
    let Some(retention) = Retention::load(&cx.store).await? else { return Ok(None) };
    let floor = cx.store.log_floor().await?;
    let newest = cx.store.log_seq();
    let mut until = 0;
    if let Some(days) = retention.days {
        let age = Duration::from_secs(u64::from(days) * 86_400);
        until = cx.store.log_before(cx.env.now() - age).await?;
    }
    if let Some(megabytes) = retention.megabytes {
        let sample = cx.store.back(u64::MAX, SAMPLE, None).await?;
        let bytes: usize =
            sample.iter().map(|row| row.row.envelope.len() + row.detail.as_ref().map_or(0, Vec::len) + 128).sum();
        if let Some(each) = bytes.checked_div(sample.len()).filter(|each| *each > 0) {
            let room = u64::from(megabytes) * 1_000_000 / each as u64;
            until = until.max(newest.saturating_sub(room));
        }
    }
    let until = until.min(delivered);
    if until <= floor {
        return Ok(None);
    }
    // The removal is told before it begins, so that no crash leaves one untold.
    let mut batch = Batch::new();
    batch.log(cx.event(EventKind::AuditPruned).with("until", until));
    cx.store.commit(batch).await?;
    cx.store.prune_log(until).await?;
    Ok(Some(until))
}

/// Show how long the log is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadRetention {}

#[async_trait]
impl Operation for ReadRetention {
    type Seen = ();
    type Output = Retention;
    const NAME: &'static str = "audit.retention";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/audit/retention" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        Ok(Retention::load(&cx.store).await?.map(|found| found.value).unwrap_or_default())
    }
}

/// Set how long the log is kept. What is left out is not limited. What has still to be sent to a webhook stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetRetention {
    /// Events older than so many days are removed; at least 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// The oldest events are removed where the log has about more megabytes; at least 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub megabytes: Option<u32>,
}

#[async_trait]
impl Operation for SetRetention {
    type Seen = ();
    type Output = Retention;
    const NAME: &'static str = "audit.set_retention";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/audit/retention" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        if self.days.is_some_and(|days| !(LEAST_DAYS..=36_500).contains(&days)) {
            return Err(Error::says(&codes::INVALID_INPUT, "The log is kept for 7 to 36,500 days."));
        }
        if self.megabytes.is_some_and(|megabytes| megabytes < LEAST_MEGABYTES) {
            return Err(Error::says(&codes::INVALID_INPUT, "The log has room for at least 16 megabytes."));
        }
        let after = Retention { days: self.days, megabytes: self.megabytes };
        match Retention::load(&cx.store).await? {
            Some(before) => batch.update(&after, before.revision),
            None => batch.create(&after),
        };
        let event = cx.event(EventKind::RetentionSet).with("days", self.days).with("megabytes", self.megabytes);
        batch.log(event);
        Ok(after)
    }
}
