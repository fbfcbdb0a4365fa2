//! # provider — authd as an OpenID provider toward apps
//!
//! *Owns* apps (OAuth clients), authorization requests and codes, the token endpoint, user info, discovery.
//! *Gives* `authorize::validate`, `consent::question` and `code::mint` to a sign-in, a `Router` to the server, operations on apps.
//! *Needs* tokens, sessions, memberships. *Never* names `signin`: whoever holds a session can mint a code.
//!
//! ```text
//!  app ── /oauth2/authorize ──► validate ──► (sign-in) ──► code::mint ──► app
//!  app ── /oauth2/par ──► pushed ──► request_uri ──► /oauth2/authorize
//!  app ── /oauth2/token ──► client_auth ──► code::redeem ──► one commit ──► id_token + access_token
//!  app ── /userinfo ──► token::verify ──► claims by scope
//!  anybody ── /v1/identity ──► token::verify_trusted ──► identity
//! ```
//!
//! One file a capability: refresh, device, logout, introspection, revocation stand beside `code`.

mod asked_claims;
pub mod authorize;
pub mod backchannel;
mod claims;
pub mod client;
mod client_assertion;
mod client_auth;
pub mod code;
pub mod consent;
mod cors;
pub mod device;
mod discovery;
pub mod held;
mod holder;
mod http;
mod identity;
mod introspect;
pub mod logout;
mod mapped;
mod ops;
mod parameters;
mod pushed;
mod redirect_uri;
mod refresh;
pub mod response;
mod revoke;
mod token_endpoint;
mod userinfo;

pub use asked_claims::AskedClaims;
pub use client::{App, AuthMethod, GrantType, Organizations, Reach};
pub use consent::{Consent, ListConsents, RevokeConsent};
pub use cors::{apps as registered_origins, bare};
pub use http::http;
pub use identity::{About, caller_of};
pub use ops::{
    AppView, ConvexConfig, ConvexConfigView, CreateApp, CreatedApp, DeleteApp, GetApp, ListApps, RotateAppSecret,
    UpdateApp,
};
pub use redirect_uri::{is_callback_of_app, is_origin_of_app};
pub use refresh::RefreshFamily;
pub use response::{ResponseMode, ToApp};

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
        .with::<ListConsents>()
        .with::<RevokeConsent>()
        .with::<ConvexConfig>()
}
