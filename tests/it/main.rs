//! One test binary: each file a capability, shown from the outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

mod connections;
mod fetch;
mod listen;
mod oidc;
mod pages;
mod store;
mod world;
