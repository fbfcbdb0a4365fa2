//! # signin — a sign-in from the app's request to the app's code
//!
//! *Owns* `Attempt` (a stored state machine), `Trace` (every check, kept for 7 days), home-realm discovery, the
//! finish that commits once, and the routes that people's browsers walk through: into an app, onto a device, to their own
//! page, and out again.
//! *Gives* `http(…)` to the server, `ExplainSignin` to whoever asks why.
//! *Needs* the provider for what the app asked and gets, connections for the upstream, the directory for the person.
//! *Never* lets one step call another: each reads the stored attempt, and ends in one commit.
//!
//! ```text
//!  GET /oauth2/authorize ── session fits ───────────────────────────────────────────► code, 303 to the app
//!        │ no                                                                             ▲
//!        ▼ connection known?  no ► page (a sealed ticket, nothing stored) ► POST /signin  │
//!        │ yes                                                                │           │
//!        ▼◄───────────────────────────────────────────────────────────────────┘           │
//!  protocol.begin ► commit Attempt{Sent} ► 303 upstream                                   │
//!        │                                                                                │
//!        ▼ callback: state, browser, connection, screen                                   │
//!  commit Attempt{Claimed} ► protocol.complete ► provision ► session ► code ► one commit ─┤
//!        │                                                              ▼ must be let in?     │
//!        │                                              page ► POST /signin/consent ► code ───┤
//!        │ or, by SAML: POST acs ► verified ► commit Attempt{Returned} ► 303 /signin/continue ► browser ► … one commit ─┤
//!        │ or, where the provider is a directory:                                         │
//!        ▼ page for name and password (sealed ticket) ► POST /signin/password             │
//!  try taken (in memory) ► protocol.complete ► provision ► session ► code ► one commit ───┘
//!        │ refused at any point
//!        ▼ commit {attempt gone, try counted, trace, one event} ► page with code and request id
//! ```

mod account;
mod acs;
mod attempt;
mod authorize;
mod bounds;
mod break_glass;
mod callback;
mod consent;
mod device;
mod discover;
mod explain;
mod explain_policy;
mod explain_saml;
mod finish;
mod handed_ldap;
mod http;
mod list;
mod logout;
mod password;
mod relayed;
mod route;
mod routes;
mod saml_logout;
mod saml_sign_out;
mod shelf;
mod standing;
mod ticket;
mod trace;
mod upstream_logout;
mod used;

pub use attempt::Attempt;
pub use bounds::Bounds;
pub use discover::{Discovered, Seeking, discover, saml_metadata, sign_out};
pub use explain::{ExplainSignin, TraceView};
pub use explain_policy::{ExplainPolicy, PolicyExplanation};
pub use explain_saml::{ExplainSaml, SamlExplanation};
pub use http::Signin;
pub use list::ListSignins;
pub use relayed::{Handed, Relay, RelayWish, handed_code, handed_password, handed_saml, plain_subject, relay};
pub use routes::http;
pub use trace::{Trace, trim};

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue.with::<ListSignins>().with::<ExplainSignin>().with::<ExplainPolicy>().with::<ExplainSaml>()
}
