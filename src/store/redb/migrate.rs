//! Bringing a file of an earlier layout to this one, before it is opened for use.

use std::fs::File;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase as _};

use super::fault::from_io;
use super::file::{self, beside, existing, folder_of, is_checked_whole, remove_leftovers, sync_folder_of};
use super::peek::Peek;
use super::write::Tables;
use super::{guarded, layout, read, write_transaction};
use crate::env::{Env, Timestamp};
use crate::store::backend::{Fault, Head, Nature};
use crate::store::plan::rewriting;
use crate::store::upgrade::{Reencode, Upgraded};

/// Copies that are kept: the way back from the last three upgrades.
const KEPT: usize = 3;
/// Rows that are in memory at a time.
const PIECE: usize = 1000;
/// The cache while there is nothing but the upgrade.
const CACHE: usize = 32 * 1024 * 1024;

/// One step, to the layout after the one before it. It tells how many rows it wrote.
type Step = fn(&mut Tables, &[Reencode], Timestamp) -> Result<u64, Fault>;

/// The step at place `n` leads from layout `n + 1` to `n + 2`.
///
/// - 1 → 2: roles are names, no longer numbers; kinds have index entries that they did not have.
const STEPS: &[Step] = &[reencode];

/// How it is done.
pub struct Upgrade<'a> {
    /// The kinds that are written anew.
    pub reencode: &'a [Reencode],
    /// Whether the file is copied before.
    pub keep_before: bool,
}

/// Brings the file at `path` to this layout, unless it has it by now.
pub fn bring_forward(path: &Path, env: &Env, upgrade: &Upgrade) -> Result<Option<Upgraded>, Fault> {
    let (from, head) = peek(path)?;
    if from == layout::SCHEMA {
        return Ok(None);
    }
    let before = if upgrade.keep_before { Some(copy(path, env, from, &head)?) } else { None };
    let (file, metadata) = existing(path)?;
    let (database, _) = file::open_any(FileBackend::new(file)?, CACHE, is_checked_whole(&metadata))?;
    let rows = guarded(|| migrate(&database, upgrade.reencode, env.now()))?;
    database.close()?;
    if before.is_some() {
        prune(path);
    }
    Ok(Some(Upgraded { from, to: layout::SCHEMA, rows, before }))
}

/// The layout of the file and how far the store has come, without changing a byte.
fn peek(path: &Path) -> Result<(u32, Head), Fault> {
    let (file, _) = existing(path)?;
    let storage = Peek::new(FileBackend::new(file)?).map_err(|e| from_io(&e))?;
    let (database, schema) = file::open_any(storage, 1024 * 1024, false)?;
    let head = guarded(|| read::head(&database.begin_read()?))?;
    Ok((schema, head))
}

/// Every step that is missing, each in one durable transaction with the number of its layout.
pub fn migrate(database: &Database, kinds: &[Reencode], now: Timestamp) -> Result<u64, Fault> {
    let mut rows = 0;
    let found = file::schema(database)?;
    for (to, step) in (2..).zip(STEPS).filter(|(to, _)| *to > found) {
        let transaction = write_transaction(database)?;
        let mut tables = Tables::open(&transaction)?;
        rows += step(&mut tables, kinds, now)?;
        tables.put_schema(to)?;
        drop(tables);
        transaction.commit()?;
    }
    Ok(rows)
}

/// Writes every row of the kinds as this build would, with the entries it asks for. What has expired is left to the
/// sweep: it may hold a value that has passed to another row.
fn reencode(tables: &mut Tables, kinds: &[Reencode], now: Timestamp) -> Result<u64, Fault> {
    let mut written = 0;
    for kind in kinds {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = tables.rows_of(kind.kind, after.as_deref(), PIECE)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.as_bytes().to_vec());
            for (key, row) in rows {
                if row.expired(now) {
                    continue;
                }
                let new = (kind.again)(&row).map_err(|e| Fault::corrupt(e.log_line()))?;
                let same = new.shape == row.shape
                    && new.bytes == row.bytes
                    && new.indexes == row.indexes
                    && new.expires_at == row.expires_at;
                if same {
                    continue;
                }
                let writes = rewriting(kind.kind, &key, row, &new, tables, now)
                    .map_err(|refused| Fault::corrupt(format!("a row of {} in its new form: {refused}", kind.kind)))?;
                for write in writes {
                    tables.write(write)?;
                }
                written += 1;
            }
        }
    }
    Ok(written)
}

/// Copies the file as it is, under the name of its layout and the time. An earlier try's copy of the same state is as
/// good: tries that fail again and again must not fill the disk.
fn copy(path: &Path, env: &Env, schema: u32, head: &Head) -> Result<PathBuf, Fault> {
    if let Some(last) = copies(path).pop()
        && peek(&last).is_ok_and(|found| found == (schema, head.clone()))
    {
        return Ok(last);
    }
    let aside = beside(path, &env.random());
    let time: String = env.now().to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kept = path.with_file_name(format!("{name}.before-{schema}-{time}"));
    let made = copy_to(path, &aside).and_then(|_held| {
        // What is kept as the way back must be a store, in the very state that is about to change.
        if peek(&aside)? != (schema, head.clone()) {
            return Err(Fault::new(Nature::Io, "the copy before the upgrade is not what was copied"));
        }
        std::fs::rename(&aside, &kept).map_err(|e| from_io(&e))?;
        sync_folder_of(&kept)
    });
    let _ = std::fs::remove_file(&aside);
    made.map(|()| kept)
}

/// Copies it. What is given back holds its lock.
fn copy_to(path: &Path, aside: &Path) -> Result<File, Fault> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut from = File::open(path).map_err(|e| from_io(&e))?;
    // While it is copied nobody may write to it. redb holds this very lock, too.
    from.try_lock().map_err(|e| match e {
        std::fs::TryLockError::WouldBlock => Fault::new(Nature::InUse, "somebody opened it for the upgrade"),
        std::fs::TryLockError::Error(e) => from_io(&e),
    })?;
    // Nobody else makes one meanwhile. A start that is killed again and again while it copies must not fill the disk.
    remove_leftovers(path);
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(aside)
        .and_then(|mut to| {
            std::io::copy(&mut from, &mut to)?;
            to.sync_all()
        })
        .map_err(|e| from_io(&e))?;
    Ok(from)
}

/// The copies that upgrades made, the oldest first.
fn copies(path: &Path) -> Vec<PathBuf> {
    let start = format!("{}.before-", path.file_name().unwrap_or_default().to_string_lossy());
    let Ok(entries) = std::fs::read_dir(folder_of(path)) else { return Vec::new() };
    let mut found: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            let (schema, time) = name.strip_prefix(&start)?.split_once('-')?;
            schema.bytes().all(|b| b.is_ascii_digit()).then(|| (time.to_owned(), path))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

fn prune(path: &Path) {
    let mut copies = copies(path);
    copies.truncate(copies.len().saturating_sub(KEPT));
    for copy in copies {
        if let Err(error) = std::fs::remove_file(&copy) {
            tracing::warn!(%error, "an old copy of the database stays");
        }
    }
}

#[cfg(test)]
mod tests;
