//! `authd explain <request id>`: the trace of the sign-in that a request belongs to.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::trace::{Ending, Trace};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::connection::protocol::Check;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::{AppId, AttemptId, ConnectionId, OrganizationId, RequestId, SessionId, UserId};
use crate::store::{Batch, Query};

/// Explain a sign-in: every check that was made, with what was expected and received, and what to do about it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExplainSignin {
    /// The request id that the page, the log or the answer's `x-request-id` shows.
    pub id: RequestId,
}

/// A trace as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceView {
    /// The attempt.
    pub id: AttemptId,
    /// How it ended, or that it has not.
    pub outcome: Ending,
    /// Why it was refused: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// What the code means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// In which organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Through which connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// For which app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// Who it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The session it opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The requests that it consists of.
    pub requests: Vec<RequestId>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Each check, in order; the failing one comes last.
    pub checks: Vec<Check>,
}

impl From<Trace> for TraceView {
    fn from(trace: Trace) -> Self {
        let code = trace.code.as_deref().and_then(|name| codes::ALL.iter().find(|code| code.name == name));
        Self {
            id: trace.id,
            outcome: trace.ending,
            message: trace.message.or_else(|| code.map(|code| code.message.to_owned())),
            error_code: trace.code,
            help: trace.help,
            organization: trace.organization,
            connection: trace.connection,
            app: trace.app,
            user: trace.user,
            session: trace.session,
            requests: trace.requests,
            started_at: trace.started_at,
            ended_at: trace.ended_at,
            checks: trace.checks,
        }
    }
}

#[async_trait]
impl Operation for ExplainSignin {
    type Seen = ();
    type Output = TraceView;
    const NAME: &'static str = "signin.explain";
    const ACCESS: Access = Access::Grant(Grant::ConnectionAuditRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/signins/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        match self.trace(cx).await?.organization {
            Some(organization) => Ok(Owner::Organization(organization)),
            None if cx.caller.is_operator() => Ok(Owner::Deployment),
            // Nobody's trace, somebody else's and none at all look the same to a tenant.
            None => Err(Error::new(&codes::NOT_FOUND)),
        }
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        Ok(self.trace(cx).await?.into())
    }
}

impl ExplainSignin {
    async fn trace(&self, cx: &Context) -> Result<Trace> {
        let by_request = || Query::by("request", self.id.bytes()).limit(1);
        let kept = cx.store.page::<Trace>(by_request()).await?.items.into_iter().next().map(|trace| trace.value);
        let found = match kept {
            Some(trace) => Some(trace),
            // The browser is still away.
            None => cx.store.page::<Attempt>(by_request()).await?.items.first().map(|attempt| Trace::begun(attempt)),
        };
        found.ok_or_else(|| {
            if !cx.caller.is_operator() {
                return Error::new(&codes::NOT_FOUND);
            }
            Error::says(&codes::NOT_FOUND, "No sign-in with that request id is kept.")
                .help("Traces are kept for 7 days; the id begins with `req_`.")
        })
    }
}
