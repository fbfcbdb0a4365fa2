//! The data directory: who may read it, and where in it everything lies.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::plain;
use crate::crypto::sha256;
use crate::error::{Error, Result, codes};

/// A path of a unix socket has at most 107 bytes on Linux, 103 elsewhere.
const SOCKET_PATH_MAX: usize = 100;

/// Where everything is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// At that path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.0.join("authd.redb")
    }

    /// The master key's file.
    pub fn master_key(&self) -> PathBuf {
        self.0.join("master.key")
    }

    /// The configuration file that is read unless another is named.
    pub fn config_file(&self) -> PathBuf {
        self.0.join("authd.toml")
    }

    /// What the last server was started with.
    pub(super) fn last_run(&self) -> PathBuf {
        self.0.join("last-run.json")
    }

    /// Whether authd was ever started here.
    pub fn is_in_use(&self) -> bool {
        self.database().exists() || self.master_key().exists()
    }

    /// Whether nobody else has put a key or a database there, to be taken for ours.
    fn is_all_ours(&self) -> bool {
        let foreign = |file: PathBuf| std::fs::symlink_metadata(file).is_ok_and(|facts| facts.uid() != own_uid());
        ![self.database(), self.master_key()].into_iter().any(foreign)
    }

    /// Makes it, mode 0700, or makes sure that nobody else writes to it. Errors: `config_invalid`.
    pub fn create(&self) -> Result<()> {
        let wrong = |why: String| {
            Error::says(&codes::CONFIG_INVALID, format!("The data directory {}: {why}.", self.0.display()))
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(|e| wrong(plain(&e)).because(e))?;
        let facts = std::fs::metadata(&self.0).map_err(|e| wrong(plain(&e)).because(e))?;
        if !facts.is_dir() {
            return Err(wrong("it is not a directory".to_owned()));
        }
        if facts.mode() & 0o077 == 0 {
            return Ok(());
        }
        // An empty directory, or one of ours, is closed to others. One that also holds other things is not ours to
        // close (`/tmp`, a home): there, what we make is 0600 by itself, but nobody else may swap it.
        let empty = std::fs::read_dir(&self.0).is_ok_and(|mut entries| entries.next().is_none());
        if facts.uid() == own_uid() && (empty || self.is_in_use() && self.is_all_ours()) {
            return std::fs::set_permissions(&self.0, std::fs::Permissions::from_mode(0o700))
                .map_err(|e| wrong(plain(&e)).because(e));
        }
        if facts.mode() & 0o022 != 0 {
            return Err(
                wrong("others can write to it".to_owned()).help("Give authd a directory of its own (mode 0700).")
            );
        }
        Ok(())
    }

    /// Where a running server's control socket is, or would be.
    ///
    /// It lies in the directory, unless that path is too long for a socket: then the server notes another place in
    /// `authd.sock.path`.
    pub fn socket(&self) -> PathBuf {
        let here = self.0.join("authd.sock");
        if here.as_os_str().len() <= SOCKET_PATH_MAX {
            return here;
        }
        std::fs::read_to_string(self.note()).map_or(here, |text| PathBuf::from(text.trim_end()))
    }

    /// Chooses the place of the control socket and notes it where that is needed. For the server.
    /// Errors: `config_invalid`.
    pub fn place_socket(&self, environment: &Environment) -> Result<PathBuf> {
        let here = self.0.join("authd.sock");
        if here.as_os_str().len() <= SOCKET_PATH_MAX {
            return Ok(here);
        }
        let wrong = |why: String| {
            Error::says(&codes::CONFIG_INVALID, format!("The control socket finds no place: {why}."))
                .help("Choose a data directory with a shorter path.")
        };
        let absolute = std::path::absolute(&self.0).map_err(|e| wrong(plain(&e)).because(e))?;
        let digest = sha256(&[b"authd socket", absolute.as_os_str().as_encoded_bytes()]);
        let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let dir = match environment.get("XDG_RUNTIME_DIR") {
            Some(dir) if dir.len() < 60 => PathBuf::from(dir),
            _ => PathBuf::from(format!("/tmp/authd-{}-{name}", own_uid())),
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|e| wrong(plain(&e)).because(e))?;
        // /tmp is everybody's: somebody else may have made that directory, or put a link there.
        let facts = std::fs::symlink_metadata(&dir).map_err(|e| wrong(plain(&e)).because(e))?;
        if !facts.is_dir() || facts.uid() != own_uid() || facts.mode() & 0o077 != 0 {
            return Err(wrong(format!("{} belongs to somebody else or is open to others", dir.display())));
        }
        let path = dir.join(format!("authd-{name}.sock"));
        std::fs::write(self.note(), format!("{}\n", path.display())).map_err(|e| wrong(plain(&e)).because(e))?;
        Ok(path)
    }

    fn note(&self) -> PathBuf {
        self.0.join("authd.sock.path")
    }
}

/// The user this process acts as.
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
