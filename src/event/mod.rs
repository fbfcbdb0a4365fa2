//! # event — what happened: the closed list of events, and who did it
//!
//! *Owns* `Event`, `EventKind` (closed), `Actor`, and their form in the log.
//! *Gives* `Event::new(…)…` to whoever changes something; `Event::read` to whoever tails the log.
//! *Needs* ids and the store's `LogEntry`. *Never* holds a token, a password, a key or a hash: nobody writes one, and what
//! looks like one all the same is taken out (`redact`) before the log, and whoever reads it, sees it.

mod actor;
mod kind;
mod redact;
mod view;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use actor::Actor;
pub use kind::EventKind;
pub use view::EventView;

use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};
use crate::id::{EventId, OrganizationId, RequestId};
use crate::store::{LogEntry, Logged};

/// Who asked: told by the door that let the request in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The request.
    pub request: RequestId,
    /// Where it came from; none for the control socket and for chores.
    pub ip: Option<IpAddr>,
    /// What the browser calls itself, at most 256 letters.
    pub user_agent: Option<String>,
}

impl Origin {
    /// A request of authd itself: a chore, the command line on the store.
    pub fn internal(env: &Env) -> Self {
        Self { request: RequestId::new(env), ip: None, user_agent: None }
    }
}

/// A thing that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Target {
    /// `user`, `connection`, `session` …
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused, or failed.
    Failure,
}

/// One event, as it is written and as it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its id.
    pub event_id: EventId,
    /// Its kind.
    pub kind: EventKind,
    /// The organization it belongs to; none for those of the whole deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What kind of actor it was.
    pub actor_type: String,
    /// Which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
    /// What it is about first of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Target>,
    /// What else it touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The request that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Where the request came from. Erasable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// What else is worth keeping. Erasable.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
}

/// The erasable part, as it is kept.
#[derive(Serialize, Deserialize)]
struct Detail {
    ip: Option<IpAddr>,
    data: Map<String, Value>,
}

impl Event {
    /// An event of now that succeeded.
    pub fn new(env: &Env, kind: EventKind, actor: &Actor, origin: &Origin) -> Self {
        let mut data = Map::new();
        if let Some(agent) = &origin.user_agent {
            data.insert("userAgent".into(), agent.clone().into());
        }
        Self {
            event_id: EventId::new(env),
            kind,
            organization_id: None,
            occurred_at: env.now(),
            actor_type: actor.kind().to_owned(),
            actor_id: actor.id(),
            subject: None,
            targets: Vec::new(),
            outcome: Outcome::Success,
            error_code: None,
            request_id: Some(origin.request),
            ip: origin.ip,
            data,
        }
    }

    /// In that organization.
    #[must_use]
    pub fn within(mut self, organization: OrganizationId) -> Self {
        self.organization_id = Some(organization);
        self
    }

    /// About that thing first of all.
    #[must_use]
    pub fn about(mut self, kind: &str, id: impl ToString) -> Self {
        self.subject = Some(Target { kind: kind.to_owned(), id: id.to_string() });
        self
    }

    /// It also touches that thing.
    #[must_use]
    pub fn and(mut self, kind: &str, id: impl ToString) -> Self {
        self.targets.push(Target { kind: kind.to_owned(), id: id.to_string() });
        self
    }

    /// It failed, with that code.
    #[must_use]
    pub fn failed(mut self, code: &str) -> Self {
        self.outcome = Outcome::Failure;
        self.error_code = Some(code.to_owned());
        self
    }

    /// With one more detail. Personal data belongs here, secrets nowhere.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }

    /// Reads it back from the log. Errors: `storage_corrupt`.
    pub fn read(logged: &Logged) -> Result<Self> {
        let corrupt = |e: serde_json::Error| Error::new(&codes::STORAGE_CORRUPT).because(e);
        let mut event: Self = serde_json::from_slice(&logged.row.envelope).map_err(corrupt)?;
        if let Some(detail) = &logged.detail {
            let detail: Detail = serde_json::from_slice(detail).map_err(corrupt)?;
            event.ip = detail.ip;
            event.data = detail.data;
        }
        Ok(event)
    }
}

impl From<Event> for LogEntry {
    fn from(mut event: Event) -> Self {
        let mut detail = Detail { ip: event.ip.take(), data: std::mem::take(&mut event.data) };
        redact::redact(&mut detail.data);
        Self {
            kind: event.kind.name().to_owned(),
            org: event.organization_id.map(OrganizationId::bytes),
            // Serialising plain structs of strings and numbers into a vector has no failure.
            envelope: serde_json::to_vec(&event).unwrap_or_default(),
            detail: serde_json::to_vec(&detail).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_detail_stays_out_of_the_envelope() {
        let env = Env::frozen();
        let origin = Origin { ip: Some("192.0.2.7".parse().unwrap()), ..Origin::internal(&env) };
        let event =
            Event::new(&env, EventKind::SessionSignedIn, &Actor::System, &origin).with("email", "ada@example.test");
        let entry = LogEntry::from(event);
        let envelope = String::from_utf8(entry.envelope).unwrap();
        assert!(!envelope.contains("ada@") && !envelope.contains("192.0.2.7"));
        assert!(String::from_utf8(entry.detail).unwrap().contains("ada@example.test"));
    }
}
