//! Putting a database back from a backup. Offline: nobody else may have the data directory.
//!
//! The new file is built aside, complete and on the disk, before one rename puts it in place; whatever happens before
//! leaves what was there. What was revoked since the backup must not come back to life, so everything that was
//! signed in when it was taken ends, unless the operator wants it kept.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::options;
use crate::access::{Caller, Context, Deployment, World, check_master_key};
use crate::config::{Config, Environment, PublicUrl, keep_master_key, kept_master_key};
use crate::crypto::{MasterKey, Secret};
use crate::directory::Organization;
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};
use crate::event::{EventKind, Origin};
use crate::session::{Scope, bump};
use crate::store::backup::{Header, Told, read_header, unpack};
use crate::store::{Batch, Options, Query, Store};

/// Organizations whose access ends in one commit.
const AT_ONCE: usize = 1000;

/// What is asked for.
pub struct Restore<'a> {
    /// The backup.
    pub file: &'a Path,
    /// Whose data directory it goes to.
    pub config: &'a Config,
    /// May hold the master key.
    pub environment: &'a Environment,
    /// The public URL that is noted for this run alone.
    pub public_url: PublicUrl,
    /// Whether a database that is there gives way; it is kept under another name.
    pub replace: bool,
    /// Whether what was signed in then stays signed in.
    pub keep_sessions: bool,
    /// Told how far it is.
    pub told: Told<'a>,
    /// The world.
    pub env: Env,
}

/// What was put back.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// Where.
    pub data_dir: PathBuf,
    /// When the backup was taken.
    pub created_at: Timestamp,
    /// The authd that took it.
    pub authd: String,
    /// The number of the last event in it.
    pub log_seq: u64,
    /// The fingerprint of the master key.
    pub master_key: String,
    /// Whether the key came out of the backup.
    pub key_restored: bool,
    /// Organizations whose sessions and tokens ended; none when they were kept.
    pub organizations_ended: Option<u64>,
    /// The database that was there, under its new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<PathBuf>,
}

impl Restore<'_> {
    /// Does it. `passphrase` is asked for when the backup has the master key and the data directory does not.
    /// Errors: `backup_invalid`, `storage_newer`, `master_key_wrong`, `passphrase_wrong`, `data_dir_in_use`, `conflict`
    /// when there is a database; those of the disk.
    pub async fn perform(&self, passphrase: impl FnOnce() -> Result<Secret>) -> Result<Restored> {
        let header = read_header(self.file)?;
        let data_dir = &self.config.data_dir;
        data_dir.create()?;
        let database = data_dir.database();
        // Held to the end: no server starts on what is about to go.
        let lock = self.lock(&database)?;
        let (key, from_backup) = self.key(&header, passphrase)?;
        let aside = Aside::beside(&database, &self.env);
        unpack(self.file, &aside.0, &key, self.told)?;
        let ended = self.settle(&aside.0, &key, &header).await?;
        if from_backup {
            keep_master_key(&self.env, data_dir, &key)?;
        }
        let replaced = self.put_in_place(&aside.0, &database, lock.is_some())?;
        Ok(Restored {
            data_dir: data_dir.path().to_owned(),
            created_at: header.created_at,
            authd: header.authd,
            log_seq: header.log_seq,
            master_key: header.fingerprint,
            key_restored: from_backup,
            organizations_ended: ended,
            replaced,
        })
    }

    /// The lock of the database that is there, if one is.
    fn lock(&self, database: &Path) -> Result<Option<File>> {
        let file = match File::open(database) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(at(database, e)),
            Ok(file) => file,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(Error::new(&codes::DATA_DIR_IN_USE).help("Stop it first.")),
            Err(TryLockError::Error(e)) if e.kind() != ErrorKind::Unsupported => return Err(at(database, e)),
            _ => {}
        }
        if !self.replace {
            let dir = self.config.data_dir.path().display();
            return Err(Error::says(&codes::CONFLICT, format!("There is a database in {dir} already."))
                .help("Name another directory, or use `--replace`: the old one is kept beside under another name."));
        }
        Ok(Some(file))
    }

    /// The master key: of the data directory or the environment, or out of the backup.
    fn key(&self, header: &Header, passphrase: impl FnOnce() -> Result<Secret>) -> Result<(MasterKey, bool)> {
        let wanted = &header.fingerprint;
        if let Some(key) = kept_master_key(self.environment, &self.config.data_dir)? {
            if key.fingerprint() != *wanted {
                return Err(Error::says(
                    &codes::MASTER_KEY_WRONG,
                    format!("The master key here is {}; the backup was taken with {wanted}.", key.fingerprint()),
                )
                .help("Put the right key in `master.key` or AUTHD_MASTER_KEY; set the other one aside."));
            }
            return Ok((key, false));
        }
        let missing = || {
            Error::says(
                &codes::MASTER_KEY_WRONG,
                format!("The backup needs the master key {wanted}, and there is none here."),
            )
            .help(format!(
                "Put it in {} (mode 0600) or in AUTHD_MASTER_KEY.",
                self.config.data_dir.master_key().display()
            ))
        };
        if header.key.is_none() {
            return Err(missing());
        }
        let text = header.unwrap_key(&passphrase()?)?.ok_or_else(missing)?;
        let key = MasterKey::parse(&Zeroizing::new(text.expose().to_owned()))?;
        if key.fingerprint() == *wanted { Ok((key, true)) } else { Err(missing()) }
    }

    /// Opens what was built, which brings it to the layout of now; holds the key to it; ends what was signed in.
    async fn settle(&self, path: &Path, key: &MasterKey, header: &Header) -> Result<Option<u64>> {
        // The backup itself is the copy from before an upgrade.
        let options = Options { keep_before: false, ..options(self.config, key) };
        let store = Store::open(path, self.env.clone(), options)?;
        let settled = self.end(&store, key, header).await;
        store.close().await;
        settled
    }

    async fn end(&self, store: &Store, key: &MasterKey, header: &Header) -> Result<Option<u64>> {
        let deployment = Deployment {
            public_url: self.public_url.clone(),
            master_key: key.clone(),
            rotate_every: self.config.keys.rotate_every,
        };
        let mut batch = Batch::new();
        check_master_key(&self.env, store, &deployment, &mut batch).await?;
        let world = World { env: self.env.clone(), store: store.clone(), deployment: deployment.into() };
        let caller = Caller::Operator { uid: crate::config::own_uid() };
        let cx = world.context(caller, Origin::internal(&self.env));
        let (mut cursor, mut ended) = (None, 0);
        loop {
            let page = match self.keep_sessions {
                true => None,
                false => Some(store.page::<Organization>(Query::all().limit(AT_ONCE).after(cursor)).await?),
            };
            for organization in page.iter().flat_map(|page| &page.items) {
                bump(store, Scope::Organization(organization.id), &mut batch).await?;
                ended += 1;
            }
            batch.log(self.event(&cx, header, ended));
            store.commit(std::mem::take(&mut batch)).await?;
            cursor = page.and_then(|page| page.next);
            if cursor.is_none() {
                return Ok((!self.keep_sessions).then_some(ended));
            }
        }
    }

    fn event(&self, cx: &Context, header: &Header, ended: u64) -> crate::event::Event {
        cx.event(EventKind::BackupRestored)
            .with("takenAt", header.created_at.to_string())
            .with("logSeq", header.log_seq)
            .with("masterKey", header.fingerprint.clone())
            .with("organizationsEnded", ended)
            .with("sessionsKept", self.keep_sessions)
    }

    /// The one step that changes what the next start finds.
    fn put_in_place(&self, aside: &Path, database: &Path, was_there: bool) -> Result<Option<PathBuf>> {
        let wrong = |e| at(database, e);
        let mut replaced = None;
        if was_there {
            let time: String = self.env.now().to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
            let name = database.file_name().unwrap_or_default().to_string_lossy();
            let kept = database.with_file_name(format!("{name}.replaced-{time}"));
            // A second name for the old one first: at no moment is there no database under the name that counts.
            match fs::hard_link(database, &kept) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => fs::rename(database, &kept).map_err(wrong)?,
                linked => linked.map_err(wrong)?,
            }
            fs::rename(aside, database).map_err(wrong)?;
            replaced = Some(kept);
        } else {
            // Never over a database that appeared meanwhile.
            match fs::hard_link(aside, database) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(Error::new(&codes::DATA_DIR_IN_USE)),
                Err(_) => fs::rename(aside, database).map_err(wrong)?,
                Ok(()) => fs::remove_file(aside).map_err(wrong)?,
            }
        }
        File::open(self.config.data_dir.path()).and_then(|dir| dir.sync_all()).map_err(wrong)?;
        Ok(replaced)
    }
}

#[track_caller]
fn at(path: &Path, error: std::io::Error) -> Error {
    let code = if error.kind() == ErrorKind::StorageFull { &codes::STORAGE_FULL } else { &codes::STORAGE_ERROR };
    Error::says(code, format!("{} cannot be replaced: {}.", path.display(), error.kind())).because(error)
}

/// The file that is being built. It goes unless it was given its name.
struct Aside(PathBuf);

impl Aside {
    /// Under a name that the next start clears away, should this one be killed.
    fn beside(database: &Path, env: &Env) -> Self {
        let name = database.file_name().unwrap_or_default().to_string_lossy();
        Self(database.with_file_name(format!("{name}.{:016x}.new", u64::from_be_bytes(env.random()))))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
