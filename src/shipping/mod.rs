//! # shipping — the log goes on to where a team keeps its logs
//!
//! *Owns* a cursor over the log for each target, the messages of syslog (RFC 5424) and of OpenTelemetry (OTLP), and the
//! patience with a target that does not take them.
//! *Gives* `run`; `lags` to health and metrics; `shipped` to whoever prunes the log.
//! *Needs* the log, the outbound client, DNS. *Never* holds anybody up: what is not taken waits in the log.
//!
//! ```text
//!  log ──cursor──► a piece of events ──► target takes it ──► cursor moves on: one commit
//!                        ▲                    │ does not
//!                        └──── back-off ◄─────┘
//! ```
//!
//! The cursor moves after the target has taken a piece, so that a crash or a broken connection repeats the piece and
//! loses nothing. The events of one target arrive in their order.

mod cursor;
mod otlp;
mod run;
mod syslog;

use async_trait::async_trait;

pub use cursor::{Lag, lags, shipped};
pub use run::{Shipping, run};

use crate::access::World;
use crate::error::Result;
use crate::event::EventView;

/// Where events go.
#[async_trait]
trait Target: Send + Sync {
    /// Its name in the cursor's row, in metrics and in health; never changes.
    fn name(&self) -> &'static str;
    /// Sends events.
    /// Errors: `url_not_allowed`, `outbound_not_allowed`, `upstream_unavailable`; then any may have been taken.
    async fn send(&self, world: &World, events: &[EventView]) -> Result<Sent>;
}

/// What became of events that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    /// So many of them, from the first on, are done with: at least one.
    done: usize,
    /// So many of these the target will never have: it is told so, and does not want them.
    refused: usize,
}
