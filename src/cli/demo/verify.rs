//! What an app does before it believes an ID token (OpenID Connect Core §3.1.3.7), each step shown.

use serde_json::{Map, Value};

use crate::crypto::jws::{Algorithm, KeySet};
use crate::crypto::{base64url, same, sha256};
use crate::env::Timestamp;
use crate::http::page::{Check, Claim};

/// What the app holds a token against.
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub access_token: &'a str,
    pub now: Timestamp,
}

/// A token with what was found about it.
#[derive(Clone, Default)]
pub(super) struct Examined {
    pub token: String,
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
    pub checks: Vec<Check>,
}

impl Examined {
    /// Whether every check holds.
    pub fn holds(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.ok)
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> String {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn note(&mut self, name: &str, ok: bool, detail: impl Into<String>) {
        self.checks.push(Check { name: name.to_owned(), ok, detail: detail.into() });
    }
}

/// Looks at everything. After a signature that does not hold nothing else is looked at: there is nothing to believe.
pub(super) fn examine(token: &str, keys: &KeySet, expected: &Expected<'_>) -> Examined {
    let mut examined = Examined { token: token.to_owned(), ..Examined::default() };
    let verified = match keys.verify(token, &[Algorithm::ES256, Algorithm::RS256]) {
        Ok(verified) => verified,
        Err(error) => {
            examined.note("Signature", false, error.message().to_owned());
            return examined;
        }
    };
    (examined.header, examined.claims) = (verified.header, verified.claims);
    let header = |name: &str| examined.header.get(name).and_then(Value::as_str).unwrap_or("none").to_owned();
    let signature = format!("{} by the key {}, as published by authd", header("alg"), header("kid"));
    examined.note("Signature", true, signature);
    let claim = |name: &str| examined.claims.get(name).cloned().unwrap_or(Value::Null);
    let (iss, aud, nonce, at_hash) = (claim("iss"), claim("aud"), claim("nonce"), claim("at_hash"));
    let seconds = |name: &str| examined.claims.get(name).and_then(Value::as_i64);
    let (exp, iat) = (seconds("exp"), seconds("iat"));

    examined.note("Issuer", iss == expected.issuer, format!("iss is {}", plain(&iss)));
    examined.note("Audience", aud == expected.client_id, format!("aud is {}, this app", plain(&aud)));
    let nonce = nonce.as_str().is_some_and(|nonce| same(nonce.as_bytes(), expected.nonce.as_bytes()));
    examined.note("Nonce", nonce, "it was made for this very sign-in");
    let bound = base64url(&sha256(&[expected.access_token.as_bytes()])[..16]);
    examined.note("Access token", at_hash == bound.as_str(), "at_hash binds the access token that came with it");
    let now = expected.now.seconds();
    let left = exp.map_or(0, |exp| exp - now);
    examined.note(
        "Time",
        left > 0 && iat.is_some_and(|iat| iat <= now + 60),
        format!("good for another {left} seconds"),
    );
    examined
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The claims with what they mean.
pub(super) fn explained(claims: &Map<String, Value>) -> Vec<Claim> {
    let explain = |(name, value): (&String, &Value)| {
        let meaning = match name.as_str() {
            "iss" => "Who made the token: this authd",
            "sub" => "The person, for good: never changes, never given to somebody else",
            "aud" => "For whom it was made: this app",
            "exp" => "From when on it is no good",
            "iat" => "When it was made",
            "auth_time" => "When the person really signed in",
            "nonce" => "Ties it to the app’s request",
            "at_hash" => "Ties it to the access token",
            "org_id" => "The organization that the person belongs to",
            "sid" => "The session at authd, for signing out",
            "acr" => "How strongly the person was authenticated",
            "amr" => "By which methods",
            "email" => "An address in a domain that the organization has proved",
            "email_verified" => "Whether the identity provider vouches for the address",
            "name" => "The name to show",
            "given_name" => "First name",
            "family_name" => "Last name",
            "picture" => "A picture’s address",
            "groups" => "The groups that the identity provider told",
            "roles" => "The roles that the identity provider told",
            "updated_at" => "When the profile changed last",
            _ => "",
        };
        let moment =
            matches!(name.as_str(), "exp" | "iat" | "auth_time" | "updated_at").then(|| value.as_i64()).flatten();
        let value = match moment {
            Some(seconds) => format!("{seconds} ({})", Timestamp::from_seconds(seconds)),
            None => plain(value),
        };
        Claim { name: name.clone(), value, meaning: meaning.to_owned() }
    };
    claims.iter().map(explain).collect()
}
