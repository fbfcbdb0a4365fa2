//! What redb's errors mean here.

use std::io::{Error as IoError, ErrorKind};

use redb::{CommitError, DatabaseError, Error, StorageError, TableError, TransactionError};

use crate::store::backend::{Fault, Nature};

/// What an error of the operating system means for a file that is open.
pub fn from_io(error: &IoError) -> Fault {
    let nature = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Nature::Full,
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Nature::Barred,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error as Told;

    #[test]
    fn a_file_that_may_not_be_written_is_told_as_one() {
        for kind in [ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied] {
            let fault = from_io(&kind.into());
            assert!(fault.nature == Nature::Barred && fault.nature.may_pass(), "{kind}");
            let told = Told::from(fault);
            assert_eq!((told.code(), told.message()), ("storage_error", "The database may not be written."));
            assert!(told.next_step().unwrap().contains("read-only"));
        }
        assert_eq!(from_io(&ErrorKind::StorageFull.into()).nature, Nature::Full);
        assert_eq!(from_io(&ErrorKind::Other.into()).nature, Nature::Io);
        assert!(!from_io(&ErrorKind::InvalidData.into()).nature.may_pass());
    }
}
