//! What an answer is held against: what a connection's configuration says, at a moment.

use std::time::Duration;

use super::Want;
use super::decrypt::DecryptionKey;
use super::response::Expect;
use crate::env::Timestamp;

/// All of it, owned. An explanation changes one thing after the other, and reads again.
pub(super) struct Held {
    pub idp_entity_id: String,
    pub certificates: Vec<Vec<u8>>,
    pub sp_entity_id: String,
    pub acs_url: String,
    pub now: Timestamp,
    pub skew: Duration,
    pub want: Want,
    pub decryption: Vec<DecryptionKey>,
    pub requested_acr: Vec<String>,
    pub max_size: usize,
}

impl Held {
    /// For an answer to that request, or to none.
    pub fn expect<'a>(&'a self, request_id: Option<&'a str>, max_age: Option<Duration>) -> Expect<'a> {
        Expect {
            idp_entity_id: &self.idp_entity_id,
            certificates: &self.certificates,
            sp_entity_id: &self.sp_entity_id,
            acs_url: &self.acs_url,
            now: self.now,
            skew: self.skew,
            request_id,
            want: self.want,
            algorithms: &[],
            decryption_keys: &self.decryption,
            requested_acr: &self.requested_acr,
            max_age,
            max_size: self.max_size,
        }
    }
}
