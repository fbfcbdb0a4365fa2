//! One test binary: each file a capability, shown from the outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

mod access;
mod api;
mod audit;
mod backup;
mod care;
mod cli;
mod compat;
mod connections;
mod coverage;
mod demo;
mod domains;
mod fetch;
mod fuzz;
mod governance;
mod ldap;
mod limits;
mod listen;
mod lists;
mod matrix;
mod metrics;
mod oidc;
mod pages;
mod people;
mod provider;
mod reports;
mod saml;
mod scale;
mod scim;
mod shipping;
mod signin;
mod simulator;
mod store;
mod structure;
mod tui;
mod webhook;
mod world;
