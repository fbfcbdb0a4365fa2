//! How long things take, by the server's own measure.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::operation::{Access, Method, Operation, Owner, Pages, Route};
use crate::env::meters::{Distribution, Family};
use crate::error::Result;
use crate::store::Batch;

/// The door of the network: what the control socket is asked, by consoles, is no measure of what people wait for.
const PUBLIC: &str = "public";
/// Nor is what programs ask that watch: the operations with their feed, which waits for something to happen, and probes.
const WATCHING: &[&str] = &["api", "health", "metrics"];

/// Tell how long answers, sign-ins, providers and writes take: what `/metrics` has, in short, since authd was started.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShowTimings {}

/// How long one kind of thing takes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timing {
    /// What takes so long: `answer` to a request of people, apps and directories at the public address; `sign_in`, from the app's request to the app's code,
    /// the person's time with it; `provider`, what sign-ins waited for; `write`, a durable transaction of the database.
    pub what: String,
    /// How many there were.
    pub count: u64,
    /// Half of them took no longer, in milliseconds. Absent while there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// 99 of 100 took no longer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// How many took no longer than each bound: whoever reads twice can tell what happened in between.
    pub buckets: Vec<Bucket>,
}

/// How many took no longer than that.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// In milliseconds.
    pub at_most_ms: f64,
    /// How many.
    pub count: u64,
}

impl Timing {
    fn of(what: &str, of: &Distribution) -> Self {
        let buckets =
            of.below.iter().map(|(bound, count)| Bucket { at_most_ms: millis(*bound), count: *count }).collect();
        Self {
            what: what.to_owned(),
            count: of.count,
            p50_ms: of.quantile(0.5).map(millis),
            p99_ms: of.quantile(0.99).map(millis),
            buckets,
        }
    }
}

/// Of seconds, to the thousandth.
fn millis(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e3
}

fn all<const N: usize>(family: &Family<N>, counts: impl Fn(&[&'static str; N]) -> bool) -> Distribution {
    let members = family.read().into_iter().filter(|(labels, _)| counts(labels));
    members.fold(family.empty(), |sum, (_, of)| sum.and(&of))
}

#[async_trait]
impl Operation for ShowTimings {
    type Seen = ();
    type Output = Pages<Timing>;
    const NAME: &'static str = "timings.show";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/timings" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let meters = cx.env.meters();
        let answers = all(&meters.requests, |[door, route, _]| *door == PUBLIC && !WATCHING.contains(route));
        let items = vec![
            Timing::of("answer", &answers),
            Timing::of("sign_in", &all(&meters.sign_ins, |_| true)),
            Timing::of("provider", &all(&meters.upstream, |_| true)),
            Timing::of("write", &meters.commits.read()),
        ];
        Ok(Pages { items, next: None })
    }
}
