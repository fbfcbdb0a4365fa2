//! # server — listeners, routes, health
//!
//! *Owns* the one list of routes (`router`), the operations at `/v1` and their description, health, metrics,
//! the live feed of the control socket.
//! *Gives* `Server`: routers for the network, for the control socket, and for who reads metrics alone.
//! *Needs* the app. *Never* decides who may do what: it says who is asking, and the operation decides.

pub mod api;
mod feed;
mod health;
pub mod listen;
mod live;
mod metrics;
pub mod openapi;
mod router;

pub use metrics::Metrics;
pub use router::{Server, note, strangers};
