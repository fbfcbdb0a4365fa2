//! # connection::saml — an upstream SAML 2.0 identity provider
//!
//! *Owns* reading an answer (`read`), requests, logout messages, metadata of both sides, our own key: all of it pure; and
//! what a connection keeps of its provider (`Config`).
//! *Gives* `Verified`: what a signature of the identity provider covers, and that it is for us and for now; `Saml` (a
//! `Protocol`) for a connection; `tend_due`, which reads metadata again.
//! *Needs* one parser (uppsala), one signature library (bergshamra), pinned certificates, the time; for metadata at an
//! address, the outbound client of `Env`.
//! *Never* fetches what a message names, trusts a key that came in a message, or reads a byte that was not signed for
//! anything but a refusal.
//!
//! A message takes one way: `decode` (size) → `limits` (one pass, linear) → `tree` (the only parser) → `screen` (each
//! element in its one place, no cryptography yet) → `verify` (gives back the signed bytes) → `decrypt` → `assertion`
//! (parses these bytes) → `rules` (whom, what for, when). samael's types write what goes out.

mod aside;
mod assertion;
mod attributes;
mod certificate;
mod config;
mod decode;
mod decrypt;
mod explain;
mod held;
mod learn;
mod life;
mod limits;
mod logout;
mod look;
mod metadata;
pub mod names;
mod pasted;
mod peek;
mod person;
mod provider;
mod remedy;
mod report;
mod request;
mod response;
mod rules;
mod screen;
mod service;
mod service_settings;
mod settings;
mod sign;
mod signed_metadata;
mod single_logout;
mod sp_key;
mod sp_metadata;
mod tend;
mod tree;
mod verify;
mod view;

pub use aside::{Aside, Named, NamedSession, Observed};
pub use attributes::{Attributes, Fact};
pub use certificate::{Certificate, thumbprint};
pub use config::{Address, Config, Idp, Mapping, Pinned, ProfileConfig, RequestConfig, Security};
pub use decode::MAX_MESSAGE;
pub use decrypt::DecryptionKey;
pub use explain::{Explained, SamlFault};
pub use learn::Difference;
pub use life::SamlLife;
pub use logout::{LogoutExpect, LogoutMessage, LogoutRequest, LogoutResponse, read_post, read_redirect};
pub use look::Found;
pub use metadata::{Endpoint, IdpMetadata, read as read_metadata};
pub use peek::{Peek, peek, peek_query};
pub use provider::Saml;
pub use report::validate;
pub use request::{
    AuthnRequest, Form, LogoutAnswer, LogoutOut, Message, authn_request, logout_request, logout_response, new_id,
    post_form, redirect_url,
};
pub use response::{Expect, MAX_SKEW, Want, read};
pub use service::{OwnKey, Service, acs_url, key_place, metadata_url, slo_url};
pub use service_settings::SamlServiceSettings;
pub(super) use settings::SamlFlat;
pub use settings::{
    SamlMappingSettings, SamlMetadataSettings, SamlProfileSettings, SamlRequestSettings, SamlSecuritySettings,
    SamlSettings,
};
pub use single_logout::{Answered, Incoming};
pub use sp_key::SpKey;
pub use sp_metadata::{SpMetadata, write as sp_metadata};
pub(super) use tend::soon;
pub use tend::{Tended, look_for_keys, tend_due};
pub use view::{SamlCertificateView, SamlProviderView, SamlServiceView, SamlView};

use super::protocol::{Checks, require, shown};
use crate::env::Timestamp;
use crate::error::{Error, codes};

/// Whom a NameID names.
#[derive(Clone, PartialEq, Eq)]
pub struct NameId {
    /// As it stands, byte for byte.
    pub value: String,
    /// Its format; `unspecified` where none was given, which means the same.
    pub format: String,
    /// The name space of the value.
    pub name_qualifier: Option<String>,
    /// The service that the value is for.
    pub sp_name_qualifier: Option<String>,
}

impl std::fmt::Debug for NameId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NameId({})", self.format)
    }
}

/// What an identity provider has signed about a person, for us and for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// To be kept until `not_on_or_after` and the skew have passed: a second use is a replay.
    pub assertion_id: String,
    /// The identity provider.
    pub issuer: String,
    /// The person.
    pub name_id: NameId,
    /// The identity provider's own session, for its logout.
    pub session_index: Option<String>,
    /// What is said about the person.
    pub attributes: Attributes,
    /// When the person signed in there.
    pub auth_instant: Timestamp,
    /// Until when a session of ours may last.
    pub session_not_on_or_after: Option<Timestamp>,
    /// How the person signed in there.
    pub acr: Option<String>,
    /// From when on (and the skew) the assertion would be refused anyway.
    pub not_on_or_after: Timestamp,
    /// The request that was answered; `None` when nobody asked.
    pub in_response_to: Option<String>,
    /// SHA-256 of the pinned certificate whose key signed.
    pub certificate_thumbprint: String,
    /// How far the other clock is ahead of ours, in milliseconds; what the way here took is in it.
    pub observed_skew: i64,
}

/// Notes a check that failed by the shape of a message.
fn refuse(checks: &mut Checks, name: &str, expected: impl ToString, received: impl ToString) -> Error {
    checks.compare(name, false, expected, received);
    Error::new(&codes::SAML_STRUCTURE)
}

/// The sum by the algorithm of that name. `None` for one that is not allowed.
fn digest(algorithm: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    use aws_lc_rs::digest;
    let algorithm = match algorithm {
        names::SHA256 => &digest::SHA256,
        names::SHA384 => &digest::SHA384,
        names::SHA512 => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, bytes).as_ref().to_vec())
}

/// Text as it stands in XML, between tags and in quotes. What XML cannot carry is left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push_str(&format!("&#{};", u32::from(c))),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}
