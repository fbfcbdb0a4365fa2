//! The signature of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, one for each secret that is good now.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::access::Context;
use crate::crypto::{Sealed, Secret, hmac_sha256};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::EndpointId;

/// What the text of every secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret that authd makes.
const FRESH: usize = 32;
/// How long an old secret signs beside the new one.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// Secrets of one endpoint at the same time.
pub const MOST: usize = 5;

/// One secret of an endpoint.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct SigningSecret {
    /// The key, sealed.
    #[n(0)]
    pub sealed: Sealed,
    /// When it was made.
    #[n(1)]
    pub created_at: Timestamp,
    /// Until when it signs; for good unless another has taken its place.
    #[n(2)]
    pub until: Option<Timestamp>,
}

/// The place that the secrets of an endpoint are sealed for.
pub fn place(endpoint: EndpointId) -> String {
    format!("webhook/{endpoint}/secret")
}

/// A fresh secret, as text.
pub fn fresh(cx: &Context) -> Secret {
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(cx.env.random::<FRESH>())))
}

/// The key of a secret's text. Errors: `invalid_input`.
pub fn key(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    let text = text.trim();
    let bytes = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).map(Zeroizing::new).ok();
    bytes.filter(|bytes| (24..=64).contains(&bytes.len())).ok_or_else(|| {
        Error::says(&codes::INVALID_INPUT, "The secret is not one of a webhook.")
            .help("It is `whsec_` and the base64 of 24 to 64 random bytes. Leave it out, and authd makes one.")
    })
}

impl SigningSecret {
    /// From its text, sealed for a place. Errors: `invalid_input`.
    pub fn new(cx: &Context, place: &str, text: &Secret) -> Result<Self> {
        let key = key(text.expose())?;
        let sealed = cx.deployment.master_key.seal(&cx.env, place, &key)?;
        Ok(Self { sealed, created_at: cx.env.now(), until: None })
    }

    /// Whether it signs at that time.
    pub fn good(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// A secret's text: the one that was given, or a fresh one; and once more where it is to be shown.
pub fn given_or_fresh(cx: &Context, given: Option<&Secret>) -> (Secret, Option<Secret>) {
    match given {
        Some(own) => (own.clone(), None),
        None => {
            let fresh = fresh(cx);
            (fresh.clone(), Some(fresh))
        }
    }
}

/// The secrets once another is to take their place at `until`. Errors: `conflict` when too many are good still.
pub fn aged(mut secrets: Vec<SigningSecret>, now: Timestamp, until: Timestamp) -> Result<Vec<SigningSecret>> {
    for secret in &mut secrets {
        secret.until = Some(secret.until.map_or(until, |earlier| earlier.min(until)));
    }
    secrets.retain(|secret| secret.good(now));
    if secrets.len() >= MOST {
        return Err(Error::says(&codes::CONFLICT, "There are too many secrets that are good still.")
            .help("Wait until one has run out, or end the old ones: `--now`."));
    }
    Ok(secrets)
}

/// `v1,<base64>`: what the packages of Svix and of Standard Webhooks verify.
pub fn sign(key: &[u8], id: &str, seconds: i64, body: &[u8]) -> String {
    let signed = [id.as_bytes(), b".", seconds.to_string().as_bytes(), b".", body].concat();
    format!("v1,{}", STANDARD.encode(hmac_sha256(key, &signed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_has_enough_bytes_and_not_too_many() {
        for length in [0, 23, 65] {
            assert!(key(&format!("whsec_{}", STANDARD.encode(vec![7; length]))).is_err(), "{length}");
        }
        assert!(key("whsec_not base64!").is_err());
        assert_eq!(key(&STANDARD.encode([7; 24])).unwrap().len(), 24);
    }
}
