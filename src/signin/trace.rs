//! What is kept of every sign-in: each check, with what was expected and received.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use crate::access::Context;
use crate::connection::protocol::{Authenticated, Check, Checks};
use crate::directory::Profile;
use crate::env::Timestamp;
use crate::error::{Error, Result};
use crate::id::{AppId, AttemptId, ConnectionId, OrganizationId, RequestId, SessionId, UserId};
use crate::store::{Batch, Index, Key, Life, Query, Record, Store};

/// A trace is kept for so long.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// At most so many are kept of one connection; the oldest go first.
const PER_CONNECTION: usize = 1_000;

/// How a sign-in ended, or that it has not.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Ending {
    /// The browser has not come back.
    #[n(0)]
    Pending,
    /// The person is in.
    #[n(1)]
    Success,
    /// Refused.
    #[n(2)]
    Failure,
}

/// The trace of one sign-in. It outlives the attempt.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Trace {
    /// The attempt; of its own for a callback that belongs to none.
    #[n(0)]
    pub id: AttemptId,
    /// The requests that it consists of.
    #[n(1)]
    pub requests: Vec<RequestId>,
    /// In which organization, once that is known.
    #[n(2)]
    pub organization: Option<OrganizationId>,
    /// Through which connection.
    #[n(3)]
    pub connection: Option<ConnectionId>,
    /// For which app.
    #[n(4)]
    pub app: Option<AppId>,
    /// How it ended.
    #[n(5)]
    pub ending: Ending,
    /// Why it was refused: a stable code.
    #[n(6)]
    pub code: Option<String>,
    /// The next step for whoever can mend it.
    #[n(7)]
    pub help: Option<String>,
    /// Each check, in order.
    #[n(8)]
    pub checks: Vec<Check>,
    /// When it began.
    #[n(9)]
    pub started_at: Timestamp,
    /// When it ended.
    #[n(10)]
    pub ended_at: Option<Timestamp>,
    /// Who it was.
    #[n(11)]
    pub user: Option<UserId>,
    /// The session it opened.
    #[n(12)]
    pub session: Option<SessionId>,
    /// Who arrived, as the source describes them: a JSON object. It goes with the trace, after 7 days.
    #[n(13)]
    pub arrived: Option<String>,
    /// What the person was told.
    #[n(14)]
    pub message: Option<String>,
}

/// Who arrived: what a policy weighs, and nothing that opens a door.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Arrived {
    /// The source's own identifier.
    pub subject: String,
    /// What the source says of them.
    pub profile: Profile,
}

impl Record for Trace {
    const KIND: &'static str = "trace";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        let mut indexes: Vec<_> = self.requests.iter().map(|id| Index::many("request", id.bytes())).collect();
        indexes.extend(self.connection.map(|id| Index::many("connection", id.bytes())));
        indexes
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.started_at + LIFETIME)
    }
}

impl Trace {
    /// Of an attempt whose browser is away. It is not kept: the attempt tells as much.
    pub fn begun(attempt: &Attempt) -> Self {
        Self {
            id: attempt.id,
            requests: vec![attempt.request],
            organization: Some(attempt.organization),
            connection: Some(attempt.connection),
            app: attempt.intent.app(),
            ending: Ending::Pending,
            code: None,
            help: None,
            checks: Vec::new(),
            started_at: attempt.created_at,
            ended_at: None,
            user: None,
            session: None,
            arrived: None,
            message: None,
        }
    }

    /// Of a request that belongs to no attempt.
    pub fn stray(cx: &Context, connection: Option<(ConnectionId, OrganizationId)>) -> Self {
        Self {
            id: AttemptId::new(&cx.env),
            requests: vec![cx.origin.request],
            organization: connection.map(|(_, organization)| organization),
            connection: connection.map(|(connection, _)| connection),
            app: None,
            ending: Ending::Pending,
            code: None,
            help: None,
            checks: Vec::new(),
            started_at: cx.env.now(),
            ended_at: None,
            user: None,
            session: None,
            arrived: None,
            message: None,
        }
    }

    /// The trace of an attempt, with this request in it.
    pub async fn of(cx: &Context, attempt: &Attempt) -> Result<Self> {
        let kept = cx.store.get::<Self>(Key::from_bytes(attempt.id.bytes())).await?;
        let mut trace = kept.map_or_else(|| Self::begun(attempt), |kept| kept.value);
        if !trace.requests.contains(&cx.origin.request) {
            trace.requests.push(cx.origin.request);
        }
        Ok(trace)
    }

    /// Keeps who arrived, so that what a policy does to them can be told later.
    pub fn keep(&mut self, person: &Authenticated) {
        let arrived = Arrived { subject: person.subject.clone(), profile: person.profile.clone() };
        self.arrived = serde_json::to_string(&arrived).ok();
    }

    /// Who arrived, if it came to that.
    pub fn arrived(&self) -> Option<Arrived> {
        self.arrived.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }

    /// Closes it as refused.
    pub fn refuse(&mut self, now: Timestamp, checks: Checks, error: &Error) {
        self.ending = Ending::Failure;
        self.code = Some(error.code().to_owned());
        self.help = error.next_step().map(str::to_owned);
        self.message = Some(error.message().to_owned());
        self.checks.extend(checks.into_rows());
        self.ended_at = Some(now);
    }

    /// Closes it as done.
    pub fn succeed(&mut self, now: Timestamp, checks: &Checks, user: UserId, session: SessionId) {
        self.ending = Ending::Success;
        self.checks.extend_from_slice(checks.rows());
        self.ended_at = Some(now);
        self.user = Some(user);
        self.session = Some(session);
    }
}

/// Removes the oldest traces of a connection beyond its share. Ephemeral rows: no event.
pub async fn trim(store: &Store, connection: ConnectionId) -> Result<()> {
    let mut keep = PER_CONNECTION;
    let mut cursor = None;
    loop {
        let query = Query::by("connection", connection.bytes()).newest_first().limit(PER_CONNECTION).after(cursor);
        let page = store.page::<Trace>(query).await?;
        let surplus = page.items.iter().skip(keep);
        let mut batch = Batch::new();
        for trace in surplus {
            batch.delete::<Trace>(trace.key(), trace.revision);
        }
        keep = keep.saturating_sub(page.items.len());
        if !batch.is_empty() {
            store.commit(batch).await?;
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}
