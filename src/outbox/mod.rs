//! # outbox — calls that must go out, however often it takes
//!
//! *Owns* the queue of outgoing calls, the cursor over the log that fills it, and the patience with receivers.
//! *Gives* `run`, and `Composer` to whoever has something to send. *Needs* the log, the store, the outbound client.
//! *Never* knows what it sends: a composer says which calls an event makes, and writes each one afresh at every try.
//!
//! ```text
//!  log ──cursor──► Composer::calls ──► Delivery rows + cursor: one commit ──► a queue per receiver
//!                                                                             │ due
//!        acknowledged │ failed ◄── one commit ◄── Composer::compose ─► HTTP ◄─┘
//! ```
//!
//! The rows of an event and the place of the cursor are one commit, so that a crash sends nothing twice but what was
//! under way, and loses nothing. Each receiver has a queue of its own: a dead one starves nobody. Within it calls about
//! one subject stand in a `line`: only the first is tried, and when it is done with, however that came, the next is due.

mod delivery;
mod fill;
mod line;
mod run;

pub use delivery::{
    Backlog, Delivery, Outcome, State, again, backlog, first_waiting, in_state, of_receiver, of_subject,
    oldest_waiting, waiting,
};
pub use run::{Outbox, run};

/// The number of the last row of the log that was turned into calls; 0 before the first turn.
pub async fn passed(store: &crate::store::Store) -> Result<u64> {
    Ok(delivery::Cursor::load(store).await?.map_or(0, |cursor| cursor.after))
}

use std::time::Duration;

use async_trait::async_trait;

use crate::access::Context;
use crate::env::Request;
use crate::error::Result;
use crate::event::Event;
use crate::id::OrganizationId;
use crate::store::Batch;

/// What an event makes go out.
#[derive(Clone, Debug)]
pub struct Call {
    /// The receiver's queue: an app, an endpoint.
    pub receiver: String,
    /// What it is about. Calls of one receiver about one subject arrive in their order.
    pub subject: String,
    /// Its place among them, where ids of one moment would not tell: the number of the event.
    pub place: u64,
    /// In which organization it happened.
    pub organization: Option<OrganizationId>,
    /// What the composer needs to write the request; never a secret.
    pub recipe: Vec<u8>,
}

/// Calls of one event, and where to go on when there are more than fit one commit.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// At most a few hundred.
    pub calls: Vec<Call>,
    /// Given back at the next turn; none when the event is done.
    pub next: Option<Vec<u8>>,
}

/// Knows one kind of call.
#[async_trait]
pub trait Composer: Send + Sync {
    /// Its name in the rows; never changes.
    fn kind(&self) -> &'static str;
    /// Which calls an event makes; `seq` is its number in the log. `after` is the `next` of the turn before.
    async fn calls(&self, cx: &Context, seq: u64, event: &Event, after: Option<&[u8]>) -> Result<Calls>;
    /// Calls that come from elsewhere than the log: adds to the batch what takes them off there. They are queued in
    /// the same commit. `None` when there is nothing.
    async fn drain(&self, _cx: &Context, _batch: &mut Batch) -> Result<Option<Vec<Call>>> {
        Ok(None)
    }
    /// The request of now; `None` when there is nobody to call any more.
    async fn compose(&self, cx: &Context, delivery: &Delivery) -> Result<Option<Request>>;
    /// How long to wait after each try that failed; when it is over, the call has failed.
    fn patience(&self) -> &'static [Duration];
    /// Tells that a call was made, within the commit that makes it.
    fn queued(&self, _cx: &Context, _delivery: &Delivery, _batch: &mut Batch) {}
    /// Notes how one try went, within its commit. The call itself says whether it is tried again.
    async fn tried(&self, _cx: &Context, _delivery: &Delivery, _batch: &mut Batch) -> Result<()> {
        Ok(())
    }
    /// Tells how a call ended, within its commit.
    async fn settled(&self, cx: &Context, delivery: &Delivery, batch: &mut Batch) -> Result<()>;
}
