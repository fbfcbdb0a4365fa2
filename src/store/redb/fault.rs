//! What redb's errors mean here.

use std::io::{Error as IoError, ErrorKind};

use redb::{CommitError, DatabaseError, Error, StorageError, TableError, TransactionError};

use crate::store::backend::{Fault, Nature};

/// What an error of the operating system means for a file that is open.
pub fn from_io(error: &IoError) -> Fault {
    let nature = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Nature::Full,
        // A file that ends too early, or does not begin as it must.
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData => Nature::Corrupt,
        _ => Nature::Io,
    };
    Fault::new(nature, error.to_string())
}

fn from_redb(error: Error) -> Fault {
    let nature = match &error {
        Error::Io(io) => return from_io(io),
        Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => Nature::InUse,
        Error::Corrupted(_)
        | Error::RepairAborted
        | Error::UpgradeRequired(_)
        | Error::TableTypeMismatch { .. }
        | Error::TableIsMultimap(_)
        | Error::TableIsNotMultimap(_)
        | Error::TypeDefinitionChanged { .. }
        | Error::TableDoesNotExist(_) => Nature::Corrupt,
        _ => Nature::Io,
    };
    Fault::new(nature, error.to_string())
}

macro_rules! from {
    ($($error:ty),*) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                from_redb(error.into())
            }
        }
    )*};
}

from!(CommitError, DatabaseError, StorageError, TableError, TransactionError);
