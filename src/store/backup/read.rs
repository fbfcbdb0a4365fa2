//! Reading a backup: its header, all of it to see whether it is whole, or into a new database file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::form::{Header, In, Next, damaged, seal};
use super::trouble;
use crate::crypto::{MasterKey, same};
use crate::error::{Error, Result, codes};
use crate::store::backend::{Fault, Head, Nature};
use crate::store::chain::{Signer, Walk};
use crate::store::redb::copy::{Loader, Seen, see};
use crate::store::redb::newest_layout;

/// After so many bytes it is told again how far a restore is.
const TOLD: u64 = 4 * 1024 * 1024;

/// How far a restore is: bytes of the backup that were read, and how many there are.
pub type Told<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// What is in a backup.
#[derive(Clone, Debug)]
pub struct Contents {
    /// What stands before its entries.
    pub header: Header,
    /// Bytes of the file.
    pub bytes: u64,
    /// Its digest.
    pub digest: [u8; 32],
    /// How many rows each kind has, expired ones included.
    pub rows: BTreeMap<String, u64>,
    /// Whether its seal is that of the master key; `None` when no key, or another one, was at hand.
    pub authentic: Option<bool>,
}

fn open(path: &Path) -> Result<In<BufReader<File>>> {
    let file = File::open(path).map_err(|e| trouble(path, "read", e))?;
    if !file.metadata().map_err(|e| trouble(path, "read", e))?.is_file() {
        return Err(Error::says(&codes::BACKUP_INVALID, "That is no backup of authd.").help(""));
    }
    Ok(In::new(BufReader::with_capacity(256 * 1024, file)))
}

fn checked(header: Header) -> Result<Header> {
    if header.schema > newest_layout() {
        return Err(Error::says(&codes::STORAGE_NEWER, "The backup was written by a newer authd.")
            .help(format!("Restore it with authd {} or later.", header.authd)));
    }
    Ok(header)
}

/// The header alone. Nothing is proven about the rest. Errors: `backup_invalid`, `storage_newer`, `invalid_input`.
pub fn read_header(path: &Path) -> Result<Header> {
    checked(open(path)?.header()?)
}

/// Reads all of it, and holds to each other what can be: digest, checksums of rows, the chain of the log, the number
/// of its last row. Errors: `backup_invalid`, `storage_newer`, `invalid_input`.
pub fn inspect(path: &Path, key: Option<&MasterKey>) -> Result<Contents> {
    let mut input = open(path)?;
    let header = checked(input.header()?)?;
    let mut rows = BTreeMap::new();
    // Checkpoints are another matter: they are signed, and the key is not here.
    let (mut walk, signer) = (Walk::new(Vec::new()), Signer::new(&[0; 32])?);
    let (mut head, mut chained) = (Head::default(), true);
    let ending = loop {
        match input.next()? {
            Next::End(ending) => break ending,
            Next::Entry(table, key, value) => match see(table, key, value).map_err(|e| damaged(e.cause))? {
                Seen::Row(kind) => match rows.get_mut(kind) {
                    Some(count) => *count += 1,
                    None => drop(rows.insert(kind.to_owned(), 1)),
                },
                Seen::Log(row) => {
                    chained = chained && walk.step_over(&row, &signer);
                }
                Seen::Head(found) => head = found,
                Seen::Other => {}
            },
        }
    };
    if let Some((seq, why)) = walk.finish(&head).broken {
        return Err(damaged(format!("row {seq} of the log: {why}")));
    }
    if (head.log, head.commit) != (header.log_seq, header.commit) {
        return Err(damaged("the header tells of another state"));
    }
    let authentic = key
        .filter(|key| key.fingerprint() == header.fingerprint)
        .map(|key| same(&seal(&key.derive("backup seal"), &ending.digest), &ending.seal));
    Ok(Contents { header, bytes: ending.bytes, digest: ending.digest, rows, authentic })
}

/// Makes the database file of a backup at `path`, where there must be none, and tells how far it is. What stays there when
/// it fails is no store.
/// Errors: `backup_invalid` also when somebody without the master key changed it; `storage_newer`, `storage_full`,
/// `storage_error`, `invalid_input`.
pub fn unpack(backup: &Path, path: &Path, key: &MasterKey, told: Told<'_>) -> Result<Header> {
    let mut input = open(backup)?;
    let all = std::fs::metadata(backup).map_err(|e| trouble(backup, "read", e))?.len();
    let mut next = TOLD;
    let header = checked(input.header()?)?;
    let mut loader = guarded(|| Loader::create(path))?;
    let ending = loop {
        if input.read() >= next {
            told(input.read(), all);
            next = input.read() + TOLD;
        }
        match input.next()? {
            Next::Entry(table, key, value) => guarded(|| loader.put(table, key, value))?,
            Next::End(ending) => break ending,
        }
    };
    if !same(&seal(&key.derive("backup seal"), &ending.digest), &ending.seal) {
        return Err(Error::says(
            &codes::BACKUP_INVALID,
            "The backup was changed by somebody who does not have the master key.",
        )
        .help("Take another one."));
    }
    guarded(|| loader.finish())?;
    Ok(header)
}

/// What cannot be loaded is a fault of the backup, unless it is one of the disk.
fn guarded<T>(what: impl FnOnce() -> Result<T, Fault>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(what)) {
        Ok(Err(fault)) if fault.nature == Nature::Corrupt => Err(damaged(fault.cause)),
        Ok(done) => Ok(done?),
        Err(_) => Err(damaged("an entry that cannot be")),
    }
}
