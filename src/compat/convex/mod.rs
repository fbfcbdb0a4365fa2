//! # compat::convex — `auth/group:*` for the Convex client
//!
//! *Owns* the wire (`POST /api/query | mutation | action`), the encoding of values, the table of functions, and the
//! names of errors there.
//! *Gives* `http(…)`, and `FUNCTIONS` for the reference.
//! *Needs* operations. *Never* answers for an object whose organization the bearer is not of: for the client it does
//! not exist.

mod arguments;
mod audit;
mod bearer;
mod connections;
mod domains;
mod fault;
mod functions;
mod policy;
mod protocols;
mod scim;
mod signing_in;
mod value;
mod webhooks;
mod wire;

pub use functions::{FUNCTIONS, Function, Kind};
pub use wire::http;
