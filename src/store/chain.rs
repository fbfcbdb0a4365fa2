//! The chain of the log: how a row is linked to the one before it, what a checkpoint signs, and the walk over both.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::LogReport;
use super::backend::{Detail, Head, Lies, RawLog};
use super::log::{Checkpoint, LogEntry, LogRow};
use crate::env::Timestamp;
use crate::error::{Error, Result};

/// A log row without its hash: what the hash is taken of. Same fields, same numbers as `LogRow`.
#[derive(minicbor::Encode)]
struct Unlinked<'a> {
    #[n(0)]
    seq: u64,
    #[n(1)]
    at: Timestamp,
    #[n(2)]
    kind: &'a str,
    #[cbor(n(3), with = "minicbor::bytes")]
    org: Option<[u8; 16]>,
    #[cbor(n(4), with = "minicbor::bytes")]
    envelope: &'a [u8],
    #[cbor(n(5), with = "minicbor::bytes")]
    detail_digest: [u8; 32],
    // A row that erases nothing leaves it out, and has six fields.
    #[n(6)]
    erases: Option<&'a [u64]>,
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The digest that stays in the row when the detail is erased.
pub fn digest(detail: &Detail) -> [u8; 32] {
    sha256(&[&detail.salt, &detail.bytes])
}

fn hash(previous: &[u8; 32], row: &LogRow) -> [u8; 32] {
    let unlinked = Unlinked {
        seq: row.seq,
        at: row.at,
        kind: &row.kind,
        org: row.org,
        envelope: &row.envelope,
        detail_digest: row.detail_digest,
        erases: row.erases.as_deref(),
    };
    sha256(&[b"authd log 1", previous, &encode(&unlinked)])
}

/// CBOR of something that can always be encoded: nothing here has an encoder of its own that could refuse.
pub fn encode<T: minicbor::Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = minicbor::encode(value, &mut bytes);
    bytes
}

/// The row that follows `head`, and erases the details of the rows it names.
pub fn link(head: &Head, at: Timestamp, entry: &LogEntry, detail: &Detail, erases: Vec<u64>) -> LogRow {
    let mut row = LogRow {
        seq: head.log + 1,
        at,
        kind: entry.kind.clone(),
        org: entry.org,
        envelope: entry.envelope.clone(),
        detail_digest: digest(detail),
        hash: [0; 32],
        erases: (!erases.is_empty()).then_some(erases),
    };
    row.hash = hash(&head.hash, &row);
    row
}

/// The key that signs checkpoints.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// From its seed.
    pub fn new(seed: &[u8; 32]) -> Result<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(Error::bug)
    }

    fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        key
    }

    /// A signed statement that the log ends as `head` says.
    pub fn sign(&self, head: &Head, at: Timestamp) -> Checkpoint {
        let signature = self.0.sign(&statement(head.log, &head.hash, at)).as_ref().to_vec();
        Checkpoint { seq: head.log, hash: head.hash, at, public_key: self.public_key(), signature }
    }

    /// A signed statement that the log was pruned up to there. Nobody who cuts the log by themself can make one.
    pub fn sign_floor(&self, head: &Head, at: Timestamp) -> Checkpoint {
        let signature = self.0.sign(&cut(head.log, &head.hash, at)).as_ref().to_vec();
        Checkpoint { seq: head.log, hash: head.hash, at, public_key: self.public_key(), signature }
    }

    fn signed_floor(&self, floor: &Checkpoint) -> bool {
        floor.public_key == self.public_key()
            && UnparsedPublicKey::new(&ED25519, self.public_key())
                .verify(&cut(floor.seq, &floor.hash, floor.at), &floor.signature)
                .is_ok()
    }

    /// Whether this key signed it. A key that the checkpoint brings along proves nothing.
    fn signed(&self, checkpoint: &Checkpoint) -> bool {
        checkpoint.public_key == self.public_key()
            && UnparsedPublicKey::new(&ED25519, self.public_key())
                .verify(&statement(checkpoint.seq, &checkpoint.hash, checkpoint.at), &checkpoint.signature)
                .is_ok()
    }
}

fn statement(seq: u64, hash: &[u8; 32], at: Timestamp) -> Vec<u8> {
    [&b"authd checkpoint 1"[..], &seq.to_be_bytes(), hash, &at.millis().to_be_bytes()].concat()
}

fn cut(seq: u64, hash: &[u8; 32], at: Timestamp) -> Vec<u8> {
    [&b"authd pruned 1"[..], &seq.to_be_bytes(), hash, &at.millis().to_be_bytes()].concat()
}

/// A walk over the chain, from its first row to its last.
pub struct Walk {
    last: Head,
    checkpoints: BTreeMap<u64, Checkpoint>,
    report: LogReport,
}

impl Walk {
    /// Before the first row.
    pub fn new(checkpoints: Vec<Checkpoint>) -> Self {
        let checkpoints = checkpoints.into_iter().map(|c| (c.seq, c)).collect();
        Self { last: Head::default(), checkpoints, report: LogReport::default() }
    }

    /// From where the log begins, when its beginning was pruned.
    pub fn on(checkpoints: Vec<Checkpoint>, floor: Option<Checkpoint>, signer: &Signer) -> Self {
        let mut walk = Self::new(checkpoints);
        if let Some(floor) = floor {
            if signer.signed_floor(&floor) {
                walk.report.pruned = floor.seq;
                walk.last = Head { log: floor.seq, hash: floor.hash, ..Head::default() };
            } else {
                walk.report.broken = Some((floor.seq, "the log's beginning was not pruned by this authd".to_owned()));
            }
        }
        walk
    }

    /// Behind a row that fits.
    pub fn after(checkpoints: Vec<Checkpoint>, seq: u64, hash: [u8; 32]) -> Self {
        let checkpoints = checkpoints.into_iter().filter(|checkpoint| checkpoint.seq > seq).collect();
        let mut walk = Self::new(checkpoints);
        walk.last = Head { log: seq, hash, ..Head::default() };
        walk
    }

    /// What was found so far, and the row that fits last.
    pub fn pause(self) -> (LogReport, (u64, [u8; 32])) {
        (self.report, (self.last.log, self.last.hash))
    }

    /// Whether something did not fit already.
    pub fn is_over(&self) -> bool {
        self.report.broken.is_some()
    }

    /// The number of the last row that fits.
    pub fn at(&self) -> u64 {
        self.last.log
    }

    /// Takes the next row; `eraser` is the row that its detail was erased with, as it lies there. Whether that one is a
    /// link of the chain is seen when the walk comes to it: it lies behind. False when the row does not fit, and the walk
    /// is over.
    pub fn step(&mut self, raw: &RawLog, eraser: Option<&LogRow>, signer: &Signer) -> bool {
        self.take(raw.seq, raw.row.as_ref(), Some((&raw.detail, eraser)), signer)
    }

    /// Takes the next row without a look at its detail.
    pub fn step_over(&mut self, row: &LogRow, signer: &Signer) -> bool {
        self.take(row.seq, Some(row), None, signer)
    }

    fn take(
        &mut self,
        seq: u64,
        row: Option<&LogRow>,
        detail: Option<(&Lies, Option<&LogRow>)>,
        signer: &Signer,
    ) -> bool {
        self.report.rows += 1;
        let expected = self.last.log + 1;
        let checked =
            if seq == expected { self.check(row, detail, expected, signer) } else { Err("the row is missing") };
        if let Err(why) = checked {
            self.report.broken = Some((expected, why.to_owned()));
        }
        checked.is_ok()
    }

    fn check(
        &mut self,
        row: Option<&LogRow>,
        detail: Option<(&Lies, Option<&LogRow>)>,
        expected: u64,
        signer: &Signer,
    ) -> Result<(), &'static str> {
        let row = row.ok_or("the row cannot be read")?;
        if row.seq != expected {
            return Err("the row carries another number");
        }
        if row.hash != hash(&self.last.hash, row) {
            return Err("the row was changed, or does not follow the one before it");
        }
        if row.at < self.last.at {
            return Err("the row is older than the one before it");
        }
        match detail {
            None => {}
            Some((Lies::Detail(detail), _)) if digest(detail) == row.detail_digest => {}
            Some((Lies::Detail(_), _)) => return Err("the detail was changed"),
            Some((Lies::Erased(by), Some(eraser))) if eraser.seq == *by && eraser.erased(expected) => {
                self.report.erased += 1;
            }
            Some((Lies::Erased(_) | Lies::Nothing, _)) => {
                return Err("the detail was removed, and no later row tells that it was erased");
            }
        }
        if let Some(checkpoint) = self.checkpoints.remove(&expected) {
            if !signer.signed(&checkpoint) {
                return Err("the checkpoint was not signed by this authd");
            }
            if checkpoint.hash != row.hash {
                return Err("the checkpoint signs another row");
            }
            self.report.checkpoints += 1;
        }
        self.last = Head { commit: 0, log: row.seq, hash: row.hash, at: row.at };
        Ok(())
    }

    /// The end of the log: it must be where the store says, and no checkpoint may lie behind it.
    pub fn finish(mut self, head: &Head) -> LogReport {
        if self.report.broken.is_none() {
            let next = self.last.log + 1;
            self.report.broken = if self.last.log < head.log || !self.checkpoints.is_empty() {
                Some((next, "the row is missing".to_owned()))
            } else if self.last.log > head.log || self.last.hash != head.hash {
                Some((self.last.log, "the log does not end in this row".to_owned()))
            } else {
                None
            };
        }
        self.report
    }
}
