//! # webhook — a team's own servers are told what happens
//!
//! *Owns* endpoints with their secrets and subscriptions, the signature (Standard Webhooks), the patience with
//! endpoints that fail, and (`inbound`) the other direction: services that tell authd of people. *Gives* the composer of the outbox, and the operations on endpoints and deliveries.
//! *Needs* the log, the outbox, the one outbound client. *Never* delivers `webhook.delivery.*`: that would never end.
//!
//! ```text
//!  event ──► endpoints of its organization that subscribe ──► Delivery (number of the row) ──► signed afresh each try
//!                                                                 │ 5 days of failure, or 410
//!                                                                 ▼
//!                                                        endpoint disabled, told by an event
//! ```

mod composer;
mod deliveries;
mod endpoint;
mod health;
mod inbound;
mod ops;
mod replay;
mod secret;
mod subscription;

pub use composer::{KIND, Webhooks};
pub use deliveries::{DeliveryView, GetDelivery, ListDeliveries, ReplayDelivery};
pub use endpoint::{Endpoint, Standing};
pub use health::Health;
pub use inbound::{
    CreateInbound, CreatedInbound, DeleteInbound, GetInbound, Heard, Inbound, InboundView, KnownPerson, ListInbound,
    RotateInbound, http,
};
pub use ops::{
    CreateEndpoint, CreatedEndpoint, DeleteEndpoint, DisableEndpoint, EnableEndpoint, EndpointView, GetEndpoint,
    ListEndpoints, RotateSecret, TestEndpoint, UpdateEndpoint,
};
pub use replay::{Replay, ReplayEvents};
pub use secret::{SigningSecret, sign};

use crate::access::Catalogue;
use crate::error::Result;
use crate::outbox;
use crate::store::{Query, Store};

/// The number of the row of the log that a delivery of this kind sends.
pub fn number(delivery: &outbox::Delivery) -> Result<u64> {
    Ok(composer::Recipe::read(delivery)?.seq)
}

/// The number of the last row of the log that no endpoint has still to be sent: the log is pruned no further.
pub async fn delivered(store: &Store) -> Result<u64> {
    let mut delivered = outbox::passed(store).await?;
    for replay in store.page::<Replay>(Query::all().limit(1_000)).await?.items {
        delivered = delivered.min(replay.after);
    }
    let mut cursor = None;
    loop {
        let page = store.page::<Endpoint>(Query::all().limit(1_000).after(cursor)).await?;
        for endpoint in &page.items {
            if let Some(first) = outbox::first_waiting(store, KIND, &endpoint.id.to_string()).await? {
                delivered = delivered.min(first.saturating_sub(1));
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(delivered);
        }
    }
}

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<CreateEndpoint>()
        .with::<ListEndpoints>()
        .with::<GetEndpoint>()
        .with::<UpdateEndpoint>()
        .with::<EnableEndpoint>()
        .with::<DisableEndpoint>()
        .with::<DeleteEndpoint>()
        .with::<RotateSecret>()
        .with::<TestEndpoint>()
        .with::<ReplayEvents>()
        .with::<ListDeliveries>()
        .with::<GetDelivery>()
        .with::<ReplayDelivery>()
        .with::<CreateInbound>()
        .with::<ListInbound>()
        .with::<GetInbound>()
        .with::<RotateInbound>()
        .with::<DeleteInbound>()
}
