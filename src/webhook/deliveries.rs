//! The operations on deliveries: what was sent, how it was answered, and once more.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::composer::{KIND, Recipe};
use super::endpoint::{Endpoint, Standing};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{EventKind, EventView};
use crate::id::{DeliveryId, EndpointId, EventId};
use crate::outbox::{self, Delivery, State};
use crate::store::{Batch, Stored};

/// An event on its way to an endpoint.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// To whom.
    pub endpoint: EndpointId,
    /// The number of the event in the log.
    pub seq: u64,
    /// The event, which is the `webhook-id`, too; absent once it was pruned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// Its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<EventKind>,
    /// Whether it has arrived.
    pub state: State,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<Timestamp>,
    /// The status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the last try failed: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How the last answer began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The head of the last request: address and headers, without its signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_head: Option<String>,
    /// The head of the last answer: status and headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_head: Option<String>,
}

impl DeliveryView {
    async fn of(cx: &Context, delivery: Delivery) -> Result<Self> {
        let Recipe { endpoint, seq } = Recipe::read(&delivery)?;
        let rows = cx.store.tail(seq.saturating_sub(1), 1, None).await?;
        let event = rows.first().filter(|row| row.row.seq == seq).map(EventView::read).transpose()?;
        let last = delivery.last.as_ref();
        Ok(Self {
            id: delivery.id,
            endpoint,
            seq,
            kind: event.as_ref().map(|event| event.kind),
            event: event.map(|event| event.event_id),
            state: delivery.state,
            tries: delivery.tries,
            due_at: (delivery.state == State::Pending).then_some(delivery.due_at),
            created_at: delivery.created_at,
            tried_at: last.map(|last| last.at),
            status: last.and_then(|last| last.status),
            error: last.and_then(|last| last.error.clone()),
            answer: last.and_then(|last| last.head.clone()),
            request_head: last.and_then(|last| last.request.clone()),
            response_head: last.and_then(|last| last.response.clone()),
        })
    }
}

/// A delivery of a webhook endpoint, and the endpoint. Errors: `not_found`.
async fn load(cx: &Context, id: DeliveryId) -> Result<(Stored<Delivery>, Stored<Endpoint>)> {
    let missing = || Error::new(&codes::NOT_FOUND);
    let delivery: Stored<Delivery> = cx.store.get(Delivery::key_of(id)).await?.ok_or_else(missing)?;
    if delivery.kind != KIND {
        return Err(missing());
    }
    let endpoint = Endpoint::load(&cx.store, Recipe::read(&delivery)?.endpoint).await?;
    Ok((delivery, endpoint))
}

/// List what was sent to a webhook endpoint within the last 30 days, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListDeliveries {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListDeliveries {
    type Seen = ();
    type Output = Pages<DeliveryView>;
    const NAME: &'static str = "delivery.list";
    const ACCESS: Access = Access::Grant(Grant::ConnectionWebhookManage);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/deliveries" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Endpoint::load(&cx.store, self.endpoint).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let mut query = outbox::of_receiver(KIND, &self.endpoint.to_string());
        if let Some(state) = self.state {
            query = outbox::in_state(query, KIND, &self.endpoint.to_string(), state);
        }
        let page = self.paging.read::<Delivery>(cx, query).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for stored in page.items {
            items.push(DeliveryView::of(cx, stored.value).await?);
        }
        Ok(Pages::with(items, page.next))
    }
}

/// Show a delivery: how often it was tried, and what the endpoint answered.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetDelivery {
    /// The delivery.
    pub id: DeliveryId,
}

#[async_trait]
impl Operation for GetDelivery {
    type Seen = ();
    type Output = DeliveryView;
    const NAME: &'static str = "delivery.get";
    const ACCESS: Access = Access::Grant(Grant::ConnectionWebhookManage);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/deliveries/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(load(cx, self.id).await?.1.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        DeliveryView::of(cx, load(cx, self.id).await?.0.value).await
    }
}

/// Send one delivery once more, now, with the `webhook-id` that it had.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayDelivery {
    /// The delivery.
    pub id: DeliveryId,
}

#[async_trait]
impl Operation for ReplayDelivery {
    type Seen = ();
    type Output = DeliveryView;
    const NAME: &'static str = "delivery.replay";
    const ACCESS: Access = Access::Grant(Grant::ConnectionWebhookManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/deliveries/{id}/replay" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(load(cx, self.id).await?.1.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let (delivery, endpoint) = load(cx, self.id).await?;
        if endpoint.standing == Standing::Disabled {
            return Err(Error::says(&codes::CONFLICT, "The endpoint is disabled.")
                .help("`authd webhook enable` switches it on again."));
        }
        outbox::again(&cx.env, &delivery, batch);
        let event = cx.event(EventKind::WebhookReplayed).within(endpoint.organization);
        batch.log(event.about("webhook_endpoint", endpoint.id).and("delivery", self.id));
        let shown = Delivery { state: State::Pending, tries: 0, due_at: cx.env.now(), ..delivery.value };
        DeliveryView::of(cx, shown).await
    }
}
