//! What the simulator says about a person, right or wrong.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::keys::{self, SigningKey};
use super::{Fault, Grant, Simulator, TOKEN_LIFE};
use crate::crypto::{base64url, sha256};
use crate::error::Result;

impl Simulator {
    /// Who the person is. With a fault in their address they come as somebody new: who is known already goes by this
    /// identifier, and authd would rightly not care about the address.
    fn subject(grant: &Grant) -> String {
        match grant.fault {
            Some(Fault::UnverifiedEmail | Fault::EmailVerifiedText | Fault::ForeignEmail) => {
                format!("{}-newcomer", grant.person.sub)
            }
            _ => grant.person.sub.to_owned(),
        }
    }

    /// The claims about a person that token and user info share.
    fn profile(grant: &Grant) -> Map<String, Value> {
        let person = grant.person;
        let mut profile = Map::new();
        let mut say = |name: &str, value: Value| profile.insert(name.to_owned(), value);
        say("name", person.name().into());
        say("given_name", person.given_name.into());
        say("family_name", person.family_name.into());
        say("email", person.email.into());
        say("email_verified", person.email_verified.into());
        say("groups", json!(person.groups));
        say("roles", json!(person.roles));
        match grant.fault {
            Some(Fault::UnverifiedEmail) => say("email_verified", false.into()),
            Some(Fault::EmailVerifiedText) => say("email_verified", "true".into()),
            Some(Fault::ForeignEmail) => say("email", format!("{}@elsewhere.example", person.id).into()),
            _ => None,
        };
        profile
    }

    /// The ID token (OpenID Connect Core §2) beside an access token.
    pub(super) fn id_token(&self, grant: &Grant, access_token: &str) -> Result<String> {
        let fault = grant.fault;
        let mut now = self.0.env.now();
        match fault {
            Some(Fault::Expired) => now = now - Duration::from_secs(3_600) - TOKEN_LIFE,
            Some(Fault::ClockSkew) => now = now + Duration::from_secs(600),
            _ => {}
        }
        let other = |fault_is: Fault, value: &str, wrong: String| {
            if fault == Some(fault_is) { wrong } else { value.to_owned() }
        };
        let mut claims = Map::new();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("iss", other(Fault::WrongIssuer, self.issuer(), format!("{}/other", self.issuer())).into());
        say("sub", Self::subject(grant).into());
        say("aud", other(Fault::WrongAudience, &grant.client, "another-client".to_owned()).into());
        say("iat", now.seconds().into());
        say("exp", (now + TOKEN_LIFE).seconds().into());
        say("auth_time", grant.signed_in_at.seconds().into());
        say("amr", json!(["pwd"]));
        if let Some(acr) = &grant.acr {
            say("acr", acr.clone().into());
        }
        if let Some(nonce) = grant.nonce.as_ref().filter(|_| fault != Some(Fault::NoNonce)) {
            say("nonce", other(Fault::WrongNonce, nonce, base64url(&self.0.env.random::<16>())).into());
        }
        // OpenID Connect Core §3.1.3.6: the left half of the hash.
        let bound = if fault == Some(Fault::WrongAtHash) { "another token" } else { access_token };
        say("at_hash", base64url(&sha256(&[bound.as_bytes()])[..16]).into());
        // Somebody whose token says everything needs no user info: this fault leaves it all to user info.
        if fault != Some(Fault::UserinfoSub) {
            claims.extend(Self::profile(grant));
        }
        self.sign(fault, &Value::Object(claims))
    }

    fn sign(&self, fault: Option<Fault>, claims: &Value) -> Result<String> {
        let key = self.key()?;
        match fault {
            Some(Fault::AlgNone) => Ok(keys::unsigned(claims)),
            Some(Fault::RotatedKey) => {
                let key = self.rotate()?;
                key.sign(&key.kid, claims)
            }
            Some(Fault::UnknownKey) => {
                let stranger = SigningKey::generate(&self.0.env)?;
                stranger.sign(&stranger.kid, claims)
            }
            Some(Fault::WrongSignature) => SigningKey::generate(&self.0.env)?.sign(&key.kid, claims),
            _ => key.sign(&key.kid, claims),
        }
    }

    /// The answer of user info (OpenID Connect Core §5.3.2).
    pub(super) fn userinfo(grant: &Grant) -> Value {
        let somebody_else = "sim-somebody-else".to_owned();
        let sub = if grant.fault == Some(Fault::UserinfoSub) { somebody_else } else { Self::subject(grant) };
        let mut claims = Self::profile(grant);
        claims.insert("sub".to_owned(), sub.into());
        Value::Object(claims)
    }
}
