//! The one way a token of authd comes to be.

use std::time::Duration;

use serde_json::{Map, Value};

use super::signing_key::Signer;
use crate::access::Context;
use crate::config::PublicUrl;
use crate::crypto::{base64url, sha256};
use crate::env::Timestamp;
use crate::error::Result;

/// How long an access or id token lives unless an app is set otherwise.
pub const STANDARD: Duration = Duration::from_secs(15 * 60);
/// No token lives longer.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What the header's `typ` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An access token (RFC 9068): `at+jwt`.
    Access,
    /// An id token, and the access token of an app that wants plain `JWT`.
    Jwt,
    /// A logout token (OpenID Connect Back-Channel Logout §2.4): `logout+jwt`.
    Logout,
}

impl Type {
    /// As the header writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Jwt => "JWT",
            Self::Logout => "logout+jwt",
        }
    }
}

/// The claims that every token has; the rest is `claims`.
#[derive(Clone, Debug)]
pub struct Issue<'a> {
    /// The header's `typ`.
    pub typ: Type,
    /// Whom it is about.
    pub subject: &'a str,
    /// Whom it is for: exactly one.
    pub audience: &'a str,
    /// When it ends; never later than `LONGEST` from now.
    pub expires_at: Timestamp,
    /// What else it says. The claims above win.
    pub claims: Map<String, Value>,
}

impl Issue<'_> {
    /// The signed token.
    pub fn sign(self, cx: &Context, signer: &Signer) -> Result<String> {
        let now = cx.env.now();
        let mut claims = Map::new();
        claims.insert("iss".into(), cx.deployment.public_url.issuer().into());
        claims.insert("sub".into(), self.subject.into());
        claims.insert("aud".into(), self.audience.into());
        claims.insert("exp".into(), self.expires_at.min(now + LONGEST).seconds().into());
        claims.insert("iat".into(), now.seconds().into());
        for (name, value) in self.claims {
            claims.entry(name).or_insert(value);
        }
        signer.sign(self.typ.name(), &claims)
    }
}

/// The audience of authd's own API.
pub fn api_audience(public_url: &PublicUrl) -> String {
    public_url.at("/api")
}

/// The claim `at_hash`: the left half of the access token's SHA-256, which is the hash of ES256 and of RS256
/// (OpenID Connect Core §3.1.3.6).
pub fn at_hash(access_token: &str) -> String {
    base64url(&sha256(&[access_token.as_bytes()])[..16])
}

#[cfg(test)]
mod tests {
    #[test]
    fn at_hash_is_that_of_the_specification() {
        // OpenID Connect Core, appendix A.3.
        assert_eq!(super::at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
    }
}
