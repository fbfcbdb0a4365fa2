//! # compat::grantex — the `sso` and `scim` clients of the Grantex SDK
//!
//! *Owns* its addresses (`/v1/sso/*`, `/v1/scim/tokens`, `/sso/*`), its names of fields and of errors, and the table of
//! its methods. `/scim/v2` is authd's own.
//! *Gives* `http(…)`, and `METHODS` for the reference.
//! *Needs* operations; for sign-ins `signin`. *Never* routes by a domain that nobody has proved or vouched for.

mod body;
mod config;
mod connections;
mod fault;
mod http;
mod login;
mod methods;
mod sessions;
mod test;
mod tokens;
mod view;

pub use http::http;
pub use methods::{METHODS, Method};
