//! # authd — the map
//!
//! One self-contained binary for single sign-on on a single VM. Modules form one total order; a file imports
//! only from modules above its own in this list (`tests/it/structure.rs` holds it).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking"))]

/// One error type, and the closed catalogue of its codes.
pub mod error;
/// The world comes in by the hand: clock, random numbers, outbound HTTP, DNS.
pub mod env;
/// Typed, time-sortable identifiers.
pub mod id;
/// Secrets, sealed values, opaque tokens, keys.
pub mod crypto;
/// What is decided at start-up.
pub mod config;
/// Records, batches, one log.
pub mod store;
/// What happened: the closed list of events, and who did it.
pub mod event;
/// What every HTTP door shares, inward and outward.
pub mod http;
/// Grants, actors, API keys, and the shape of an operation.
pub mod access;
/// What an owner allows, and the pure decision about it.
pub mod policy;
/// Who is signed in where, and how that ends.
pub mod session;
/// Organizations, people, memberships, and the one provisioning pipeline.
pub mod directory;
/// Upstream identity providers: connections, domains, protocols.
pub mod connection;
/// Signing keys, issued tokens, and their verification.
pub mod token;
/// authd as an OpenID provider toward apps.
pub mod provider;
/// A sign-in from the app's request to the app's code.
pub mod signin;
/// Every module, built once.
pub mod app;
/// The app here, or the running server over its socket.
pub mod console;
/// Clock-driven chores.
pub mod jobs;
/// Listeners, routes, health.
pub mod server;
/// The terminal dashboard.
pub mod tui;
/// Verbs.
pub mod cli;
