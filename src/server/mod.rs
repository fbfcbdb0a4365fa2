//! # server — listeners, routes, health
//!
//! *Owns* the one list of routes (`router`), the operations at `/v1` and their description, health,
//! the live feed of the control socket.
//! *Gives* `Server`: two routers, one for the network and one for the control socket.
//! *Needs* the app. *Never* decides who may do what: it says who is asking, and the operation decides.

pub mod api;
mod feed;
mod health;
pub mod listen;
mod live;
pub mod openapi;
mod router;

pub use router::{Server, note, strangers};
