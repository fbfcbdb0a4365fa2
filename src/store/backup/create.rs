//! Taking a backup: aside under a partial name, complete and on the disk before it has its own.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use super::form::{Ending, Header, MAGIC, Out};
use super::trouble;
use crate::config::own_uid;
use crate::crypto::{MasterKey, PassphraseKey, Secret};
use crate::env::Env;
use crate::error::{Error, Result, codes};
use crate::store::Store;
use crate::store::backend::{Head, Sink};

/// So much is handed to the disk at a time: one great sync at the end would hold up the commits of the server.
const SYNC_EVERY: u64 = 8 * 1024 * 1024;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewBackup {
    /// The file, which appears when it is complete.
    pub target: PathBuf,
    /// Whether an older backup under that name is replaced.
    pub replace: bool,
    /// The key that secrets in the database are sealed under.
    pub master_key: MasterKey,
    /// The master key goes into the file, under this.
    pub passphrase: Option<Secret>,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// What stands before its entries.
    pub header: Header,
    /// Bytes of the file.
    pub bytes: u64,
    /// Its digest.
    pub digest: [u8; 32],
}

impl Store {
    /// Writes everything there is now into one file, while reads and commits go on. Dropping the future ends it and
    /// leaves nothing. Errors: `conflict` when the file is there; `invalid_input`, `storage_full`, `storage_error`,
    /// `storage_corrupt`.
    pub async fn backup(&self, new: NewBackup) -> Result<Made> {
        let (store, stop) = (self.clone(), Stop(Arc::new(AtomicBool::new(false))));
        let stopped = Arc::clone(&stop.0);
        let task = tokio::task::spawn_blocking(move || create(&store, &new, &stopped));
        let made = task.await.map_err(Error::bug)?;
        drop(stop);
        made
    }
}

/// Ends the work when nobody waits for it any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn create(store: &Store, new: &NewBackup, stopped: &AtomicBool) -> Result<Made> {
    let env = &store.inner.env;
    let key = new.passphrase.as_ref().map(|passphrase| PassphraseKey::derive(env, passphrase)).transpose()?;
    check_target(&new.target, new.replace)?;
    let partial = Partial::create(&new.target)?;
    let file = partial.file.try_clone().map_err(|e| trouble(&new.target, "written", e))?;
    let out = Out::new(BufWriter::with_capacity(256 * 1024, Steady { file, unsynced: 0 }));
    let mut pouring = Pouring { env, new, key, stopped, path: &new.target, out: Some(out), header: None };
    store.inner.backend.pour(&mut pouring)?;
    let (header, ending) = pouring.finish()?;
    partial.put_in_place(&new.target, new.replace)?;
    Ok(Made { header, bytes: ending.bytes, digest: ending.digest })
}

/// A file that is not a backup is never replaced: a slip of the hand must not cost the database itself.
fn check_target(target: &Path, replace: bool) -> Result<()> {
    if target.file_name().is_none() {
        return Err(Error::says(&codes::INVALID_INPUT, format!("{} is not the name of a file.", target.display())));
    }
    let facts = match fs::symlink_metadata(target) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(trouble(target, "written", e)),
        Ok(facts) => facts,
    };
    let is_backup = || {
        let mut begins = [0; MAGIC.len()];
        File::open(target).and_then(|mut file| file.read_exact(&mut begins)).is_ok() && begins == *MAGIC
    };
    if !facts.is_file() || (replace && facts.len() > 0 && !is_backup()) {
        return Err(Error::says(
            &codes::CONFLICT,
            format!("{} is there, and is no backup: it is not replaced.", target.display()),
        )
        .help("Choose another name."));
    }
    if !replace {
        return Err(Error::says(&codes::CONFLICT, format!("{} is there already.", target.display()))
            .help("Choose another name, or replace it with `--force`."));
    }
    Ok(())
}

/// The file on its way. It goes when it is dropped before it has its own name.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    /// `FILE.partial`, mode 0600. One that a crash left is removed; one that is being written is not.
    fn create(target: &Path) -> Result<Self> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let path = target.with_file_name(name);
        let fresh = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = match fresh() {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                remove_left_behind(&path)?;
                fresh()
            }
            made => made,
        };
        let file = file.map_err(|e| trouble(target, "written", e))?;
        // So that another backup to the same name sees that this one is no leftover. Not every file system can.
        let _ = file.try_lock();
        Ok(Self { path, file })
    }

    fn put_in_place(self, target: &Path, replace: bool) -> Result<()> {
        let wrong = |e| trouble(target, "written", e);
        self.file.sync_all().map_err(wrong)?;
        let placed = if replace { fs::rename(&self.path, target) } else { fs::hard_link(&self.path, target) };
        match placed {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => check_target(target, false)?,
            // No hard links here; the name was free a moment ago.
            Err(_) if !replace && !target.exists() => fs::rename(&self.path, target).map_err(wrong)?,
            Err(e) => return Err(wrong(e)),
        }
        drop(self);
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn remove_left_behind(path: &Path) -> Result<()> {
    let facts = fs::symlink_metadata(path).map_err(|e| trouble(path, "written", e))?;
    if !facts.is_file() || facts.uid() != own_uid() {
        return Err(Error::says(&codes::CONFLICT, format!("{} is there, and is not ours.", path.display()))
            .help("Look at it; if it is of no use, remove it."));
    }
    let file = File::open(path).map_err(|e| trouble(path, "written", e))?;
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(Error::says(&codes::CONFLICT, "Another backup is being written to this name.")
            .help("Wait for it, or choose another name."));
    }
    fs::remove_file(path).map_err(|e| trouble(path, "written", e))
}

/// Hands what is written to the disk bit by bit.
struct Steady {
    file: File,
    unsynced: u64,
}

impl Write for Steady {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written as u64;
        if self.unsynced >= SYNC_EVERY {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

struct Pouring<'a> {
    env: &'a Env,
    new: &'a NewBackup,
    key: Option<PassphraseKey>,
    stopped: &'a AtomicBool,
    path: &'a Path,
    out: Option<Out<BufWriter<Steady>>>,
    header: Option<Header>,
}

impl Pouring<'_> {
    fn write(&mut self, what: impl FnOnce(&mut Out<BufWriter<Steady>>) -> io::Result<()>) -> Result<()> {
        let out = self.out.as_mut().ok_or_else(|| Error::bug("a backup behind its end"))?;
        what(out).map_err(|e| trouble(self.path, "written", e))
    }

    fn finish(mut self) -> Result<(Header, Ending)> {
        let (Some(out), Some(header)) = (self.out.take(), self.header.take()) else {
            return Err(Error::bug("a backup without a beginning"));
        };
        let (_, ending) =
            out.finish(&self.new.master_key.derive("backup seal")).map_err(|e| trouble(self.path, "written", e))?;
        Ok((header, ending))
    }
}

impl Sink for Pouring<'_> {
    fn begin(&mut self, schema: u32, head: &Head) -> Result<()> {
        let mut header = Header {
            authd: env!("CARGO_PKG_VERSION").to_owned(),
            schema,
            created_at: self.env.now(),
            log_seq: head.log,
            commit: head.commit,
            fingerprint: self.new.master_key.fingerprint(),
            key: None,
        };
        if let Some(key) = self.key.take() {
            let text: Zeroizing<Vec<u8>> = Zeroizing::new(self.new.master_key.encoded().expose().as_bytes().to_vec());
            header.key = Some(key.wrap(self.env, &header.context(), &text)?);
        }
        self.write(|out| out.header(&header))?;
        self.header = Some(header);
        Ok(())
    }

    fn entry(&mut self, table: u8, key: &[u8], value: &[u8]) -> Result<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::says(&codes::SHUTTING_DOWN, "The backup was given up."));
        }
        self.write(|out| out.entry(table, key, value))
    }
}
