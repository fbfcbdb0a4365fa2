//! The simulator's keys, and signing with them. Its own few lines, not those that authd's tokens are made with.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::crypto::base64url;
use crate::env::Env;
use crate::error::{Error, Result};

/// An ES256 key (RFC 7518 §3.4).
pub(super) struct SigningKey {
    pub kid: String,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    pub fn generate(env: &Env) -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|e| Error::bug(e.to_string()))?;
        Ok(Self { kid: format!("sim-{}", base64url(&env.random::<8>())), pair })
    }

    /// The public half (RFC 7517).
    pub fn jwk(&self) -> Value {
        // An uncompressed point: 4, then x and y of 32 bytes each (SEC 1 §2.3.3).
        let point = self.pair.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid,
               "x": base64url(x), "y": base64url(y)})
    }

    /// A compact JWS (RFC 7515 §7.1) that names `kid`, whoever's that is.
    pub fn sign(&self, kid: &str, claims: &Value) -> Result<String> {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": kid});
        let message = message(&header, claims);
        let signature =
            self.pair.sign(&SystemRandom::new(), message.as_bytes()).map_err(|e| Error::bug(e.to_string()))?;
        Ok(format!("{message}.{}", base64url(signature.as_ref())))
    }
}

/// A token without a signature, as it must never be believed.
pub(super) fn unsigned(claims: &Value) -> String {
    format!("{}.", message(&json!({"alg": "none", "typ": "JWT"}), claims))
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()))
}
