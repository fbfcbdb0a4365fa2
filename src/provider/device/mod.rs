//! # device — signing in on something without a browser or a keyboard (RFC 8628)
//!
//! *Owns* device codes: made for an app, agreed to or denied by a person on a page of ours, exchanged once.
//! *Gives* the device authorization endpoint, `DeviceCode` to the page `/device`, `present` to the token endpoint.
//! *Needs* client authentication, sessions, throttles. *Never* takes a page's or an app's word that somebody agreed:
//! that is said by a person who is signed in, on a form that was made for their session.
//!
//! ```text
//!  device ── /oauth2/device_authorization ──► waiting ──► allowed ──► used
//!     └── polls the token endpoint: pending, slow_down   └─► denied
//! ```

mod endpoint;
mod record;
pub mod user_code;

pub(super) use endpoint::post;
pub use record::{DeviceCode, DeviceRequest, allow, deny};
pub(super) use record::{is_unknown, is_waiting, present};
