//! # authd — the map
//!
//! One self-contained binary for single sign-on on a single VM. Modules form one total order; a file imports
//! only from modules above its own in this list (`tests/it/structure.rs` holds it).

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")
)]

/// Grants, actors, API keys, and the shape of an operation.
pub mod access;
/// Every module, built once.
pub mod app;
/// Reading the log: search, export, verification, retention.
pub mod audit;
/// The master key's rotation, and what the doctor asks.
pub mod care;
/// Verbs.
pub mod cli;
/// Two doors for clients that exist already.
pub mod compat;
/// What is decided at start-up.
pub mod config;
/// Upstream identity providers: connections, domains, protocols.
pub mod connection;
/// The app here, or the running server over its socket.
pub mod console;
/// Secrets, sealed values, opaque tokens, keys.
pub mod crypto;
/// Organizations, people, memberships, and the one provisioning pipeline.
pub mod directory;
/// The world comes in by the hand: clock, random numbers, outbound HTTP, DNS.
pub mod env;
/// One error type, and the closed catalogue of its codes.
pub mod error;
/// What happened: the closed list of events, and who did it.
pub mod event;
/// The policy of an organization, who changes it, and what a change would do.
pub mod governance;
/// What every HTTP door shares, inward and outward.
pub mod http;
/// Typed, time-sortable identifiers.
pub mod id;
/// Clock-driven chores.
pub mod jobs;
/// Calls that must go out, however often it takes.
pub mod outbox;
/// The operations on people: who is known, what they may, and how their access ends.
pub mod people;
/// What an owner allows, and the pure decision about it.
pub mod policy;
/// authd as an OpenID provider toward apps.
pub mod provider;
/// The server of SCIM 2.0: what directories say of people and groups.
pub mod scim;
/// Listeners, routes, health.
pub mod server;
/// Who is signed in where, and how that ends.
pub mod session;
/// Events go on to syslog and OpenTelemetry.
pub mod shipping;
/// A sign-in from the app's request to the app's code.
pub mod signin;
/// Records, batches, one log.
pub mod store;
/// Signing keys, issued tokens, and their verification.
pub mod token;
/// The terminal dashboard.
pub mod tui;
/// A team's own servers are told what happens.
pub mod webhook;
