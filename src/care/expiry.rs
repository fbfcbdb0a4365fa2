//! `expiry.list`: everything that ends one day, how long it has, and what is to be done about it.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ending::{End, ExpiryKind, Whose, ends};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Route};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId};
use crate::store::Batch;

/// One day.
const DAY: i64 = 24 * 3600;
/// What has less than this left is urgent, in days.
const URGENT: i64 = 7;
/// What has less than this left is soon.
const SOON: i64 = 30;
/// What ended longer ago than this is over and done with.
const FORGOTTEN: i64 = 30;

/// List everything that ends one day: certificates, secrets, tokens, keys, proofs of domains; with the days that are left and the next step.
/// What ends first comes first; what has no known end comes last.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListExpiry {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only what ends within so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// It has ended.
    Over,
    /// It ends within 7 days.
    Urgent,
    /// It ends within 30 days.
    Soon,
    /// There is time.
    Later,
    /// When it ends is not known here.
    Unknown,
}

/// Something that ends.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expiry {
    /// What it is.
    pub kind: ExpiryKind,
    /// Its id, or that of what it belongs to.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whose it is; none for what is the whole deployment's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The connection it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// When it ends; absent where that is known only to the other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whole days that are left; negative when it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// How urgent it is.
    pub urgency: Urgency,
    /// The next step.
    pub next: String,
}

#[async_trait]
impl Operation for ListExpiry {
    type Seen = ();
    type Output = Pages<Expiry>;
    const NAME: &'static str = "expiry.list";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/expiry" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let organization = cx.narrowed(self.organization);
        let sees = |of: Option<(Grant, OrganizationId)>| match of {
            Some((grant, whose)) => {
                organization.is_none_or(|only| only == whose)
                    && (cx.caller.is_operator() || cx.caller.holds(grant, whose))
            }
            // The deployment's own is the operator's to see.
            None => organization.is_none() && cx.caller.is_operator(),
        };
        let ends = ends(cx, &sees).await?;
        let mut items: Vec<Expiry> = ends.into_iter().filter_map(|end| Expiry::of(end, cx.env.now())).collect();
        if let Some(days) = self.days {
            items.retain(|item| item.days_left.is_some_and(|left| left <= i64::from(days)));
        }
        items.sort_by(|a, b| (a.at.is_none(), a.at, &a.id).cmp(&(b.at.is_none(), b.at, &b.id)));
        Ok(Pages { items, next: None })
    }
}

impl Expiry {
    /// Nothing for what is over and done with.
    fn of(end: End, now: Timestamp) -> Option<Self> {
        let days_left = end.at.map(|at| (at.seconds() - now.seconds()).div_euclid(DAY));
        let urgency = match days_left {
            None => Urgency::Unknown,
            Some(..0) => Urgency::Over,
            Some(0..URGENT) => Urgency::Urgent,
            Some(URGENT..SOON) => Urgency::Soon,
            Some(_) => Urgency::Later,
        };
        // A certificate that has ended still counts, so it is still told of.
        let certificate = matches!(end.kind, ExpiryKind::SamlCertificate | ExpiryKind::TlsCertificate);
        let done = days_left.is_some_and(|left| left < -FORGOTTEN) && !certificate;
        let End { kind, id, name, whose: Whose { organization, connection }, at, next, .. } = end;
        (!done).then_some(Self { kind, id, name, organization, connection, at, days_left, urgency, next })
    }
}
