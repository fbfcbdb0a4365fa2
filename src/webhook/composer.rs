//! From an event to requests, and what their answers say about an endpoint.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderName, Method, header};
use serde_json::json;

use super::endpoint::{Endpoint, Standing};
use super::health::Health;
use super::replay;
use super::secret::{place, sign};
use super::subscription::wanted;
use crate::access::Context;
use crate::env::Request;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind, EventView};
use crate::id::EndpointId;
use crate::outbox::{Call, Calls, Composer, Delivery, State};
use crate::store::{Batch, Query, Stored};

/// The composer's name.
pub const KIND: &str = "webhook";
/// Connect, send, and read the answer within this.
const TIMEOUT: Duration = Duration::from_secs(15);
/// An answer is read this far; a longer one is a failure.
const ANSWER: usize = 64 * 1024;
/// An endpoint that takes nothing for so long is disabled.
const GIVEN_UP: Duration = Duration::from_secs(5 * 24 * 3600);

/// Tells endpoints what happens.
pub struct Webhooks;

/// What is kept of a call. The event itself stays in the log, so that what is erased there is not sent from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Recipe {
    /// To whom.
    pub endpoint: EndpointId,
    /// The number of the row.
    pub seq: u64,
}

impl Recipe {
    /// As it stands in a delivery. Errors: those of a bug.
    pub fn read(delivery: &Delivery) -> Result<Self> {
        serde_json::from_slice(&delivery.recipe).map_err(Error::bug)
    }
}

/// The call of one event at one endpoint. Events about one thing arrive in their order.
pub fn call(endpoint: &Endpoint, seq: u64, event: &Event) -> Result<Call> {
    let subject = match &event.subject {
        Some(subject) => format!("{}:{}", subject.kind, subject.id),
        None => "organization".to_owned(),
    };
    Ok(Call {
        receiver: endpoint.id.to_string(),
        subject: format!("{} {subject}", endpoint.id),
        place: seq,
        organization: Some(endpoint.organization),
        recipe: serde_json::to_vec(&Recipe { endpoint: endpoint.id, seq }).map_err(Error::bug)?,
    })
}

/// Whether an endpoint is told of an event.
pub fn concerns(endpoint: &Endpoint, event: &Event) -> bool {
    // A test is for the one endpoint that is tested, whatever it subscribes to.
    if event.kind == EventKind::WebhookEndpointTested {
        return event.subject.as_ref().is_some_and(|subject| subject.id == endpoint.id.to_string());
    }
    let touched = endpoint.connection.is_none_or(|connection| {
        let id = connection.to_string();
        event.subject.iter().chain(&event.targets).any(|target| target.kind == "connection" && target.id == id)
    });
    touched && wanted(&endpoint.subscriptions, event.kind)
}

#[async_trait]
impl Composer for Webhooks {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn calls(&self, cx: &Context, seq: u64, event: &Event, _: Option<&[u8]>) -> Result<Calls> {
        let Some(organization) = event.organization_id else { return Ok(Calls::default()) };
        let query = Query::by("organization", organization.bytes()).limit(1_000);
        let mut calls = Vec::new();
        for endpoint in cx.store.page::<Endpoint>(query).await?.items {
            // What happened before it was there is not for it.
            let after = event.occurred_at >= endpoint.created_at;
            if endpoint.standing == Standing::Active && after && concerns(&endpoint, event) {
                calls.push(call(&endpoint, seq, event)?);
            }
        }
        Ok(Calls { calls, next: None })
    }

    async fn drain(&self, cx: &Context, batch: &mut Batch) -> Result<Option<Vec<Call>>> {
        replay::drain(cx, batch).await
    }

    async fn compose(&self, cx: &Context, delivery: &Delivery) -> Result<Option<Request>> {
        let Recipe { endpoint, seq } = Recipe::read(delivery)?;
        let endpoint = match Endpoint::load(&cx.store, endpoint).await {
            Ok(endpoint) => endpoint.value,
            Err(error) if error.is(&codes::NOT_FOUND) => return Ok(None),
            Err(error) => return Err(error),
        };
        if endpoint.standing == Standing::Disabled {
            return Ok(None);
        }
        let rows = cx.store.tail(seq.saturating_sub(1), 1, None).await?;
        // What retention has removed cannot be sent any more.
        let Some(row) = rows.first().filter(|row| row.row.seq == seq) else { return Ok(None) };
        let view = EventView::read(row)?;
        let id = view.event_id.to_string();
        let body = json!({"type": view.kind, "timestamp": view.occurred_at, "data": view});
        let body = serde_json::to_vec(&body).map_err(Error::bug)?;
        let now = cx.env.now();
        let seconds = now.millis().div_euclid(1_000);
        let mut signatures = Vec::new();
        for secret in endpoint.secrets.iter().rev().filter(|secret| secret.good(now)) {
            let key = cx.deployment.master_key.open(&place(endpoint.id), &secret.sealed)?;
            signatures.push(sign(&key, &id, seconds, &body));
        }
        let url = url::Url::parse(&endpoint.url).map_err(Error::bug)?;
        let mut request =
            Request { method: Method::POST, timeout: TIMEOUT, max_bytes: ANSWER, body, ..Request::get(url) };
        let (seconds, signatures) = (seconds.to_string(), signatures.join(" "));
        let signed = [("id", id.as_str()), ("timestamp", seconds.as_str()), ("signature", signatures.as_str())];
        for (name, value) in signed {
            for family in ["webhook", "svix"] {
                let name = HeaderName::try_from(format!("{family}-{name}")).map_err(Error::bug)?;
                request = request.header(name, value);
            }
        }
        Ok(Some(
            request
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::USER_AGENT, concat!("authd/", env!("CARGO_PKG_VERSION"))),
        ))
    }

    fn patience(&self) -> &'static [Duration] {
        const WAITS: &[Duration] = &[
            Duration::from_secs(5),
            Duration::from_secs(5 * 60),
            Duration::from_secs(30 * 60),
            Duration::from_secs(2 * 3600),
            Duration::from_secs(5 * 3600),
            Duration::from_secs(10 * 3600),
            Duration::from_secs(10 * 3600),
        ];
        WAITS
    }

    fn queued(&self, cx: &Context, delivery: &Delivery, batch: &mut Batch) {
        if let Ok(recipe) = Recipe::read(delivery) {
            batch.log(about(cx, EventKind::DeliveryCreated, delivery, recipe));
        }
    }

    async fn tried(&self, cx: &Context, delivery: &Delivery, batch: &mut Batch) -> Result<()> {
        let recipe = Recipe::read(delivery)?;
        let now = cx.env.now();
        let before = Health::load(&cx.store, recipe.endpoint).await?;
        let taken = delivery.state == State::Acknowledged;
        let earlier = before.as_ref().and_then(|health| health.failing_since);
        let failing_since = if taken { None } else { Some(earlier.unwrap_or(now)) };
        let succeeded_at = if taken { Some(now) } else { before.and_then(|health| health.succeeded_at) };
        batch.put(&Health { endpoint: recipe.endpoint, failing_since, succeeded_at, called_at: now });
        if taken {
            return Ok(());
        }
        if delivery.state == State::Pending {
            batch.log(told(cx, EventKind::DeliveryAttempted, delivery, recipe));
        }
        let gone = delivery.last.as_ref().and_then(|last| last.status) == Some(410);
        let tired = failing_since.is_some_and(|since| now.since(since) >= GIVEN_UP);
        if gone || tired {
            disable(cx, recipe.endpoint, if gone { "gone" } else { "failing" }, batch).await?;
        }
        Ok(())
    }

    async fn settled(&self, cx: &Context, delivery: &Delivery, batch: &mut Batch) -> Result<()> {
        let recipe = Recipe::read(delivery)?;
        let kind = match delivery.state {
            State::Acknowledged => EventKind::DeliverySucceeded,
            _ => EventKind::DeliveryFailed,
        };
        batch.log(told(cx, kind, delivery, recipe));
        Ok(())
    }
}

fn about(cx: &Context, kind: EventKind, delivery: &Delivery, recipe: Recipe) -> Event {
    let event = cx.event(kind).about("delivery", delivery.id).and("webhook_endpoint", recipe.endpoint);
    let event = event.with("seq", recipe.seq);
    match delivery.organization {
        Some(organization) => event.within(organization),
        None => event,
    }
}

fn told(cx: &Context, kind: EventKind, delivery: &Delivery, recipe: Recipe) -> Event {
    let mut event = about(cx, kind, delivery, recipe);
    let last = delivery.last.as_ref();
    if let Some(status) = last.and_then(|last| last.status) {
        event = event.with("status", status);
    }
    if kind != EventKind::DeliverySucceeded {
        let why = last.and_then(|last| last.error.clone()).unwrap_or_else(|| "dropped".to_owned());
        event = event.failed(&why);
    }
    event.with("tries", delivery.tries)
}

async fn disable(cx: &Context, id: EndpointId, why: &str, batch: &mut Batch) -> Result<()> {
    let found: Option<Stored<Endpoint>> = cx.store.get(Endpoint::key_of(id)).await?;
    if let Some(found) = found.filter(|found| found.standing == Standing::Active) {
        let disabled = Endpoint {
            standing: Standing::Disabled,
            disabled_for: Some(why.to_owned()),
            updated_at: cx.env.now(),
            ..found.value.clone()
        };
        batch.update(&disabled, found.revision);
        let event = cx.event(EventKind::WebhookEndpointDisabled).within(found.organization);
        batch.log(event.about("webhook_endpoint", id).with("reason", why));
    }
    Ok(())
}
