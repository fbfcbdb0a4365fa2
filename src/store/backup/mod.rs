//! # backup — everything in one file, and back
//!
//! *Owns* the form of a backup: header, entries, digest, seal. *Gives* `Store::backup` while the server runs,
//! `inspect` and `unpack` for a file. *Needs* a back end's snapshot, the master key for the seal.
//! *Never* opens what is sealed: secrets lie in a backup as they lie in the database, and the master key only when a
//! passphrase wraps it.
//!
//! ```text
//!  "authd backup" | form: u32 | length: u32 | header, CBOR
//!  table: u8 | length of key: u32 | length of value: u32 | key | value        as often as there are entries
//!  0: u8 | entries: u64 | bytes before this mark: u64
//!  SHA-256 of everything before it | HMAC-SHA-256 of that digest, under a key derived from the master key
//! ```
//!
//! Numbers are big-endian. It is written in one pass out of one snapshot, with flat memory, and says nothing of the
//! engine below. The digest tells damage; the seal tells a file that somebody changed who lacks the master key.

mod create;
mod form;
mod read;

pub use create::{Made, NewBackup};
pub use form::Header;
pub use read::{Contents, Told, inspect, read_header, unpack};

use std::path::Path;

use crate::error::{Error, codes};

/// What went wrong with a file of the operator's choice, in words.
#[track_caller]
fn trouble(path: &Path, what: &str, error: std::io::Error) -> Error {
    use std::io::ErrorKind;
    let why = match error.kind() {
        ErrorKind::NotFound => "there is no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        other => other.to_string(),
    };
    let code = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => &codes::STORAGE_FULL,
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::ReadOnlyFilesystem => &codes::INVALID_INPUT,
        _ => &codes::STORAGE_ERROR,
    };
    Error::says(code, format!("{} cannot be {what}: {why}.", path.display())).help("").because(error)
}
