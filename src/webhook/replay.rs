//! Events of the past, once more.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::composer::{call, concerns};
use super::endpoint::{Endpoint, Standing};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::EndpointId;
use crate::outbox::Call;
use crate::store::{Batch, Key, Life, Query, Record};

/// Rows of the log that are looked at for one commit.
const PIECE: usize = 256;

/// A stretch of the log that an endpoint is sent once more, as far as it has still to be looked through.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Replay {
    /// To whom.
    #[n(0)]
    pub endpoint: EndpointId,
    /// Rows behind this one.
    #[n(1)]
    pub after: u64,
    /// Up to this one.
    #[n(2)]
    pub until: u64,
}

impl Record for Replay {
    const KIND: &'static str = "webhook_replay";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.endpoint.bytes())
    }
}

/// The calls of the next piece of a replay, and in the batch how far it has come.
pub(super) async fn drain(cx: &Context, batch: &mut Batch) -> Result<Option<Vec<Call>>> {
    let Some(replay) = cx.store.page::<Replay>(Query::all().limit(1)).await?.items.into_iter().next() else {
        return Ok(None);
    };
    let endpoint = cx.store.get::<Endpoint>(Endpoint::key_of(replay.endpoint)).await?;
    let Some(endpoint) = endpoint.filter(|endpoint| endpoint.standing == Standing::Active) else {
        batch.delete::<Replay>(replay.key(), replay.revision);
        return Ok(Some(Vec::new()));
    };
    let rows = cx.store.tail(replay.after, PIECE, None).await?;
    let mut calls = Vec::new();
    let mut after = replay.until;
    for row in &rows {
        if row.row.seq > replay.until {
            break;
        }
        after = row.row.seq;
        let event = Event::read(row)?;
        let test = event.kind == EventKind::WebhookEndpointTested;
        if event.organization_id == Some(endpoint.organization) && !test && concerns(&endpoint, &event) {
            calls.push(call(&endpoint, row.row.seq, &event)?);
        }
    }
    if after >= replay.until {
        batch.delete::<Replay>(replay.key(), replay.revision);
    } else {
        batch.update(&Replay { after, ..replay.value.clone() }, replay.revision);
    }
    Ok(Some(calls))
}

/// Send a webhook endpoint the events of a time once more: those that it subscribes to, in their order, with the ids
/// that they had. Asked for again while it goes on, the two become one stretch. Good for an endpoint that was disabled, or lost what it was sent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayEvents {
    /// The endpoint.
    pub id: EndpointId,
    /// Events from then on (2027-01-31T00:00:00Z).
    pub since: Timestamp,
    /// Events before then; of now, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What will be sent once more.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// The endpoint.
    pub id: EndpointId,
    /// Rows of the log that are looked through for it.
    pub rows: u64,
}

#[async_trait]
impl Operation for ReplayEvents {
    type Seen = ();
    type Output = Replayed;
    const NAME: &'static str = "webhook.replay";
    const ACCESS: Access = Access::Grant(Grant::ConnectionWebhookManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/webhooks/{id}/replay" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Endpoint::load(&cx.store, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let endpoint = Endpoint::load(&cx.store, self.id).await?;
        if endpoint.standing == Standing::Disabled {
            return Err(Error::says(&codes::CONFLICT, "The endpoint is disabled.")
                .help("`authd webhook enable` switches it on again."));
        }
        let newest = cx.store.log_seq();
        let after = cx.store.log_before(self.since).await?;
        let until = match self.until {
            Some(until) => cx.store.log_before(until).await?,
            None => newest,
        };
        if until > after {
            let asked = Replay { endpoint: self.id, after, until };
            match cx.store.get::<Replay>(asked.key()).await? {
                // What is still under way goes on: one stretch that has both in it.
                Some(under_way) => batch.update(
                    &Replay { endpoint: self.id, after: after.min(under_way.after), until: until.max(under_way.until) },
                    under_way.revision,
                ),
                None => batch.create(&asked),
            };
            let event = cx.event(EventKind::WebhookReplayed).within(endpoint.organization);
            batch.log(event.about("webhook_endpoint", self.id).with("after", after).with("until", until));
        }
        Ok(Replayed { id: self.id, rows: until.saturating_sub(after) })
    }
}
