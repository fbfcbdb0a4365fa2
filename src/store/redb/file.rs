//! The database file: made whole or not at all, opened with what it needs, recognized before it is trusted.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, ReadableDatabase, StorageBackend};

use super::fault::from_io;
use super::layout;
use super::peek::Peek;
use super::write::Tables;
use super::{guarded, write_transaction};
use crate::env::Env;
use crate::store::backend::{Fault, Nature};

/// A file up to this size is read and checked as a whole when the store is opened. A greater one would take longer
/// than a start may take; there the checksums of rows and the chain of the log tell.
const CHECKED_WHOLE: u64 = 16 * 1024 * 1024;

/// Opens the same storage again and again: first at the start, then after every I/O error.
pub type Opener = Box<dyn Fn(Occasion) -> Result<Database, Fault> + Send + Sync>;

/// Why the storage is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The store starts.
    Start,
    /// redb wants to be closed and opened after an I/O error.
    Again,
}

/// An opener of the file at `path`. The file is made if there is none.
pub fn on_disk(path: &Path, env: &Env, cache_bytes: usize) -> Result<Opener, Fault> {
    if !path.try_exists().map_err(|e| from_io(&e))? {
        create(path, &env.random())?;
    }
    let path = path.to_owned();
    Ok(Box::new(move |occasion| {
        let (file, metadata) = existing(&path)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            // Secrets in it are sealed, names and addresses are not. A file system without modes is no reason to stop.
            let _ = file.set_permissions(Permissions::from_mode(0o600));
        }
        let whole = occasion == Occasion::Start && is_checked_whole(&metadata);
        let storage = FileBackend::new(file)?;
        if occasion == Occasion::Again {
            return open(storage, cache_bytes, whole);
        }
        // What is not ours, or not yet, stays as it is.
        let held = Peek::new(storage).map_err(|e| from_io(&e))?;
        let database = open(held.clone(), cache_bytes, whole)?;
        held.release().map_err(|e| from_io(&e))?;
        remove_leftovers(&path);
        Ok(database)
    }))
}

/// The file as something that can be a database. Nothing is changed.
pub fn existing(path: &Path) -> Result<(File, Metadata), Fault> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| from_io(&e))?;
    let metadata = file.metadata().map_err(|e| from_io(&e))?;
    if !metadata.is_file() {
        return Err(Fault::corrupt("it is not a file"));
    }
    // What opens it next would take an empty file for a new database.
    if metadata.len() == 0 {
        return Err(Fault::corrupt("the file is empty"));
    }
    Ok((file, metadata))
}

/// Whether the file is checked as a whole at a start.
pub fn is_checked_whole(metadata: &Metadata) -> bool {
    metadata.len() <= CHECKED_WHOLE
}

/// An opener of a store that lives as long as the opener.
pub fn in_memory(cache_bytes: usize) -> Result<Opener, Fault> {
    let memory = Shared(Arc::new(InMemoryBackend::new()));
    fill(&open_new(memory.clone(), cache_bytes)?)?;
    Ok(Box::new(move |_| open(memory.clone(), cache_bytes, false)))
}

/// Opens what is a store of authd already, or says what it is instead. redb may panic on a file that it did not
/// write; here that is an answer like any other.
pub fn open(storage: impl StorageBackend, cache_bytes: usize, whole: bool) -> Result<Database, Fault> {
    let (database, found) = open_any(storage, cache_bytes, whole)?;
    if found != layout::SCHEMA {
        return Err(Fault::new(Nature::Older, format!("its layout is still {found}")));
    }
    Ok(database)
}

/// Opens a store of authd of this layout or of one before, and tells which.
pub fn open_any(storage: impl StorageBackend, cache_bytes: usize, whole: bool) -> Result<(Database, u32), Fault> {
    guarded(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes).set_check_integrity_on_open(whole);
        let database = builder.create_with_backend(storage)?;
        let found = schema(&database)?;
        Ok((database, found))
    })
}

/// A database on an empty storage, without any table yet.
pub fn open_new(storage: impl StorageBackend, cache_bytes: usize) -> Result<Database, Fault> {
    Ok(Builder::new().set_cache_size(cache_bytes).create_with_backend(storage)?)
}

/// The layout of a store: of this authd or of one before.
pub fn schema(database: &Database) -> Result<u32, Fault> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(layout::META)?;
    let schema = meta.get("schema")?.and_then(|bytes| bytes.value().try_into().ok().map(u32::from_be_bytes));
    match schema {
        Some(schema) if schema > layout::SCHEMA => {
            Err(Fault::new(Nature::Newer, format!("its layout is {schema}, this authd knows {}", layout::SCHEMA)))
        }
        Some(schema) if schema > 0 => Ok(schema),
        _ => Err(Fault::corrupt("it has no known layout")),
    }
}

/// Makes the tables, so that no reader ever meets a store without one.
pub fn fill(database: &Database) -> Result<(), Fault> {
    let transaction = write_transaction(database)?;
    Tables::open(&transaction)?.initialize()?;
    transaction.commit()?;
    Ok(())
}

/// A new file appears under its name when it is complete: a crash before leaves a leftover, never a half of a store.
fn create(path: &Path, random: &[u8; 8]) -> Result<(), Fault> {
    let beside = beside(path, random);
    let made = create_as(&beside).and_then(|()| put_in_place(&beside, path));
    let _ = std::fs::remove_file(&beside);
    made
}

/// A name for what is not complete yet. A start removes what crashes left under such a name.
pub fn beside(path: &Path, random: &[u8; 8]) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.{:016x}.new", u64::from_be_bytes(*random)))
}

fn create_as(path: &Path) -> Result<(), Fault> {
    let database = open_new(create_new(path)?, 1024 * 1024)?;
    fill(&database)?;
    database.close()?;
    Ok(())
}

/// A new file of mode 0600, for a database.
pub fn create_new(path: &Path) -> Result<FileBackend, Fault> {
    let file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path).map_err(|e| from_io(&e))?;
    Ok(FileBackend::new(file)?)
}

fn put_in_place(beside: &Path, path: &Path) -> Result<(), Fault> {
    match std::fs::hard_link(beside, path) {
        Ok(()) => {}
        // Another process was quicker: its file is as good, and its lock decides who may use it.
        Err(_) if path.exists() => return Ok(()),
        // No hard links here. The name was free a moment ago.
        Err(_) => std::fs::rename(beside, path).map_err(|e| from_io(&e))?,
    }
    sync_folder_of(path)
}

/// So that a name survives a power cut.
pub fn sync_folder_of(path: &Path) -> Result<(), Fault> {
    File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(|e| from_io(&e))
}

/// The directory that the file stands in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What crashes of `create` left. Whoever holds the lock of the real file may remove it: nobody can still need it.
pub fn remove_leftovers(path: &Path) {
    let start = format!("{}.", path.file_name().unwrap_or_default().to_string_lossy());
    let Ok(entries) = std::fs::read_dir(folder_of(path)) else { return };
    let leftovers: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix(&start)
                .and_then(|rest| rest.strip_suffix(".new"))
                .is_some_and(|middle| middle.len() == 16)
        })
        .collect();
    for file in leftovers {
        if let Err(error) = std::fs::remove_file(&file)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::debug!(%error, "a leftover of an interrupted start stays");
        }
    }
}

/// Memory that outlives the database on it, so that it can be opened again.
#[derive(Clone, Debug)]
struct Shared(Arc<InMemoryBackend>);

impl StorageBackend for Shared {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        StorageBackend::read(&*self.0, offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        StorageBackend::write(&*self.0, offset, data)
    }
}
