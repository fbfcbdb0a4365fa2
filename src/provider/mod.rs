//! # provider — authd as an OpenID provider toward apps
//!
//! *Owns* apps (OAuth clients), authorization requests and codes, the token endpoint, user info, discovery.
//! *Gives* `authorize::validate` and `code::mint` to a sign-in, a `Router` to the server, operations on apps.
//! *Needs* tokens, sessions, memberships. *Never* names `signin`: whoever holds a session can mint a code.
//!
//! ```text
//!  app ── /oauth2/authorize ──► validate ──► (sign-in) ──► code::mint ──► app
//!  app ── /oauth2/token ──► client_auth ──► code::redeem ──► one commit ──► id_token + access_token
//!  app ── /userinfo ──► token::verify ──► claims by scope
//! ```
//!
//! One file a capability: refresh, device, logout, introspection, revocation stand beside `code` when they come.

pub mod authorize;
pub mod backchannel;
mod claims;
pub mod client;
mod client_auth;
pub mod code;
mod cors;
mod discovery;
mod http;
mod introspect;
mod ops;
mod parameters;
mod redirect_uri;
mod refresh;
mod revoke;
mod token_endpoint;
mod userinfo;

pub use client::{App, AuthMethod, GrantType, Organizations, Reach};
pub use http::http;
pub use ops::{AppView, CreateApp, CreatedApp, DeleteApp, GetApp, ListApps, RotateAppSecret, UpdateApp};
pub use refresh::RefreshFamily;

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<CreateApp>()
        .with::<GetApp>()
        .with::<ListApps>()
        .with::<UpdateApp>()
        .with::<RotateAppSecret>()
        .with::<DeleteApp>()
}
