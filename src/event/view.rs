//! An event as readers outside see it: in the feed, in the audit log, in a webhook.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Event, EventKind, Outcome, Target};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{EventId, OrganizationId, RequestId};
use crate::store::Logged;

/// One event, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// Its id.
    pub event_id: EventId,
    /// Its number in the log: what comes later has a greater one.
    pub seq: u64,
    /// Its kind.
    pub kind: EventKind,
    /// The first word of its kind.
    pub category: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The organization it belongs to; none for those of the whole deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// What kind of actor it was.
    pub actor_type: String,
    /// Which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
    /// What kind of thing it is about first of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_type: Option<String>,
    /// Which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_id: Option<String>,
    /// What else it touches.
    pub targets: Vec<Target>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The request that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Where the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// What else is worth knowing.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
    /// Its address and data were erased, with a person whom they told of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

impl EventView {
    /// From a row of the log. Errors: `storage_corrupt`.
    pub fn read(logged: &Logged) -> Result<Self> {
        Ok(Self { erased: logged.detail.is_none(), ..Self::of(logged.row.seq, Event::read(logged)?) })
    }

    /// From an event and its number.
    pub fn of(seq: u64, event: Event) -> Self {
        let category = event.kind.name().split('.').next().unwrap_or_default().to_owned();
        let (subject_type, subject_id) = event.subject.map(|subject| (subject.kind, subject.id)).unzip();
        Self {
            event_id: event.event_id,
            seq,
            kind: event.kind,
            category,
            occurred_at: event.occurred_at,
            organization_id: event.organization_id,
            actor_type: event.actor_type,
            actor_id: event.actor_id,
            subject_type,
            subject_id,
            targets: event.targets,
            outcome: event.outcome,
            error_code: event.error_code,
            request_id: event.request_id,
            ip: event.ip,
            data: event.data,
            erased: false,
        }
    }

    /// Whether it is about that thing, first of all or besides.
    pub fn touches(&self, kind: &str, id: &str) -> bool {
        let first = self.subject_type.as_deref() == Some(kind) && self.subject_id.as_deref() == Some(id);
        first || self.targets.iter().any(|target| target.kind == kind && target.id == id)
    }
}
