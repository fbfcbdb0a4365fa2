//! The log's rows: what goes in, what comes out, what a checkpoint signs.
//!
//! A row is an envelope plus the salted digest of its detail; the detail is a row of its own that can be erased
//! without breaking the chain. `hash(n) = SHA-256("authd log 1" | hash(n-1) | CBOR of the row without its hash)`.
//!
//! Whoever erases details says so in the same commit: a later row names the rows (`erases`), and is a link of the chain
//! like every other. A detail that is gone without such a row was removed by somebody else.

use crate::env::Timestamp;

/// An event on its way into the log. The store numbers it and never reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// For filters, as the event names itself (`session.signed_in`).
    pub kind: String,
    /// The organization it belongs to, if any: 16 bytes of its id.
    pub org: Option<[u8; 16]>,
    /// What stays for good: who did what to what, with which outcome. No personal detail.
    pub envelope: Vec<u8>,
    /// What can be erased: addresses, names, data.
    pub detail: Vec<u8>,
}

/// A row of the log as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct LogRow {
    /// Its number; they grow by one without a gap.
    #[n(0)]
    pub seq: u64,
    /// When it was committed. Never before the row before it.
    #[n(1)]
    pub at: Timestamp,
    /// See `LogEntry::kind`.
    #[n(2)]
    pub kind: String,
    /// See `LogEntry::org`.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub org: Option<[u8; 16]>,
    /// See `LogEntry::envelope`.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub envelope: Vec<u8>,
    /// SHA-256 of salt and detail.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub detail_digest: [u8; 32],
    /// The link to everything before it.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub hash: [u8; 32],
    /// The numbers of the rows whose details were erased with this row, in ascending order.
    #[n(7)]
    pub erases: Option<Vec<u64>>,
}

impl LogRow {
    /// Whether the detail of row `seq` was erased with this row.
    pub(super) fn erased(&self, seq: u64) -> bool {
        seq < self.seq && self.erases.as_ref().is_some_and(|rows| rows.binary_search(&seq).is_ok())
    }
}

/// A signed statement that the log up to `seq` ends in `hash`; pruning keeps the newest one before the cut.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Checkpoint {
    /// The last row it covers.
    #[n(0)]
    pub seq: u64,
    /// The hash of that row.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub hash: [u8; 32],
    /// When it was signed.
    #[n(2)]
    pub at: Timestamp,
    /// The public key it can be checked with (Ed25519, 32 bytes).
    #[cbor(n(3), with = "minicbor::bytes")]
    pub public_key: [u8; 32],
    /// Ed25519 over `"authd checkpoint 1" | seq (8 bytes, big-endian) | hash | at (8 bytes, big-endian, ms)`.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}
