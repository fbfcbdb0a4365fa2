//! The public key set (RFC 7517 §5).

use serde_json::{Value, json};

use super::signing_key::SigningKey;

/// The set as it is published: every key that is kept, retired ones until their last token has expired, and of
/// each its public members alone.
pub(super) fn document(keys: &[SigningKey]) -> Value {
    json!({"keys": keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()})
}
