//! OpenTelemetry: log records by OTLP over HTTP, in JSON (OTLP specification 1.x, "OTLP/HTTP").

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::http::{HeaderName, Method, header};
use serde_json::{Map, Value, json};

use super::{Sent, Target};
use crate::access::World;
use crate::config::{self, PublicUrl};
use crate::env::Request;
use crate::error::{Error, Result, codes};
use crate::event::{EventView, Outcome};

/// See `Target::name`.
pub const NAME: &str = "otlp";
/// Severity numbers of the data model.
const INFO: u8 = 9;
const WARN: u8 = 13;
/// At most so many records in one request; fewer where the collector says that it is too much.
const RECORDS: usize = 256;

/// A collector.
pub struct Otlp {
    config: config::Otlp,
    issuer: String,
    /// So many records the collector takes at a time.
    most: AtomicUsize,
}

impl Otlp {
    /// As it is configured.
    pub fn new(config: config::Otlp, public_url: &PublicUrl) -> Self {
        Self { config, issuer: public_url.issuer().to_owned(), most: AtomicUsize::new(RECORDS) }
    }

    fn request(&self, events: &[EventView], world: &World) -> Result<Request> {
        let mut request = Request::get(self.config.url.clone());
        request.method = Method::POST;
        request.body = serde_json::to_vec(&self.document(events, world)?).map_err(Error::bug)?;
        request = request.header(header::CONTENT_TYPE, "application/json");
        for (name, value) in &self.config.headers {
            if let Ok(name) = HeaderName::try_from(name.as_str()) {
                request = request.header(name, value.expose());
            }
        }
        Ok(request)
    }

    fn document(&self, events: &[EventView], world: &World) -> Result<Value> {
        let observed = nanoseconds(world.env.now().millis());
        let records: Vec<Value> = events.iter().map(|event| record(event, &observed)).collect::<Result<_>>()?;
        let version = env!("CARGO_PKG_VERSION");
        Ok(json!({"resourceLogs": [{
            "resource": {"attributes": [
                attribute("service.name", &json!("authd")),
                attribute("service.version", &json!(version)),
                attribute("service.instance.id", &json!(self.issuer)),
            ]},
            "scopeLogs": [{"scope": {"name": "authd.events", "version": version}, "logRecords": records}],
        }]}))
    }
}

#[async_trait]
impl Target for Otlp {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn send(&self, world: &World, events: &[EventView]) -> Result<Sent> {
        loop {
            let count = events.len().min(self.most.load(Ordering::Relaxed).max(1));
            let piece = events.get(..count).unwrap_or(events);
            let answer = world.env.outbound().send(self.request(piece, world)?).await?;
            match answer.status {
                200..300 => {
                    // The specification forbids to send them again: the collector has decided.
                    let refused = rejected(&answer.body)
                        .map_or(0, |rejected| usize::try_from(rejected).unwrap_or(usize::MAX).min(piece.len()));
                    if refused > 0 {
                        tracing::warn!(refused, "the collector of OpenTelemetry does not keep some events");
                    }
                    if count < events.len() {
                        // It was too much once; a little more may go again.
                        self.most.store((count * 2).min(events.len()), Ordering::Relaxed);
                    }
                    return Ok(Sent { done: count, refused });
                }
                413 if count > 1 => self.most.store(count / 2, Ordering::Relaxed),
                413 => {
                    // One that is too long for the collector stops neither those behind it nor the log's own retention.
                    tracing::error!(event = ?piece.first().map(|event| event.seq), "the collector takes no event of this size");
                    return Ok(Sent { done: 1, refused: 1 });
                }
                // Also what the specification would drop: a wrong path or a wrong token must not cost the log.
                status => {
                    let why = format!("the collector answered {status}");
                    return Err(Error::new(&codes::UPSTREAM_UNAVAILABLE).because(why));
                }
            }
        }
    }
}

/// How many records a collector has taken note of and thrown away.
fn rejected(body: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let count = &answer["partialSuccess"]["rejectedLogRecords"];
    // 64-bit numbers are texts in the JSON of protobuf; some write numbers.
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
    (count > 0).then_some(count)
}

fn nanoseconds(millis: i64) -> String {
    (i128::from(millis) * 1_000_000).max(0).to_string()
}

fn record(event: &EventView, observed: &str) -> Result<Value> {
    let body = serde_json::to_value(event).map_err(Error::bug)?;
    let failed = event.outcome == Outcome::Failure;
    let mut attributes = vec![
        attribute("event.name", &json!(event.kind.name())),
        attribute("authd.seq", &json!(event.seq)),
        attribute("authd.event_id", &json!(event.event_id)),
    ];
    for (name, value) in [
        ("authd.organization_id", &body["organizationId"]),
        ("authd.request_id", &body["requestId"]),
        ("authd.actor_type", &body["actorType"]),
        ("authd.actor_id", &body["actorId"]),
        ("error.type", &body["errorCode"]),
        ("client.address", &body["ip"]),
    ] {
        if !value.is_null() {
            attributes.push(attribute(name, value));
        }
    }
    Ok(json!({
        "timeUnixNano": nanoseconds(event.occurred_at.millis()),
        "observedTimeUnixNano": observed,
        "severityNumber": if failed { WARN } else { INFO },
        "severityText": if failed { "WARN" } else { "INFO" },
        "eventName": event.kind.name(),
        "body": any(&body),
        "attributes": attributes,
    }))
}

fn attribute(name: &str, value: &Value) -> Value {
    json!({"key": name, "value": any(value)})
}

/// A value as OTLP has it: with its type, and 64-bit numbers as texts.
fn any(value: &Value) -> Value {
    let list = |fields: &Map<String, Value>| -> Vec<Value> {
        fields.iter().map(|(name, value)| attribute(name, value)).collect()
    };
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({"boolValue": value}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Number(number) => match number.as_i64() {
            Some(number) => json!({"intValue": number.to_string()}),
            None => json!({"doubleValue": number}),
        },
        Value::Array(items) => json!({"arrayValue": {"values": items.iter().map(any).collect::<Vec<_>>()}}),
        Value::Object(fields) => json!({"kvlistValue": {"values": list(fields)}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::event::{Actor, Event, EventKind, Origin};

    #[test]
    fn a_record_has_types_and_texts_for_wide_numbers() {
        let env = Env::frozen();
        let event = Event::new(&env, EventKind::SigninRefused, &Actor::System, &Origin::internal(&env))
            .failed("state_mismatch")
            .with("tries", 3)
            .with("list", json!(["a", null, true, 0.5]));
        let record = record(&EventView::of(9, event), "1").unwrap();
        assert_eq!(record["timeUnixNano"], "1767225600000000000");
        assert_eq!((&record["severityNumber"], &record["eventName"]), (&13.into(), &"signin.refused".into()));
        let body = record["body"]["kvlistValue"]["values"].as_array().unwrap();
        let of = |name: &str| body.iter().find(|field| field["key"] == name).unwrap()["value"].clone();
        assert_eq!(of("seq"), json!({"intValue": "9"}));
        let data = of("data")["kvlistValue"]["values"].clone();
        assert_eq!(data[0], json!({"key": "tries", "value": {"intValue": "3"}}));
        let list = json!([{"stringValue": "a"}, {}, {"boolValue": true}, {"doubleValue": 0.5}]);
        assert_eq!(data[1]["value"]["arrayValue"]["values"], list);
        assert!(record["attributes"].as_array().unwrap().iter().any(|a| a["key"] == "error.type"));
    }

    #[test]
    fn what_a_collector_throws_away_is_noticed() {
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedLogRecords":"2"}}"#), Some(2));
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedLogRecords":2}}"#), Some(2));
        for none in [&b"{}"[..], b"", b"not json", br#"{"partialSuccess":{"rejectedLogRecords":"0"}}"#] {
            assert_eq!(rejected(none), None);
        }
    }
}
