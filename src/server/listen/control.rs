//! The control socket: a file in a private directory that only our own user and root can talk to.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::error::{Error, Result, codes};

/// A bound control socket. Its file goes with it.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of our file: what stands at the path later may be another's.
    file: (u64, u64),
    uid: u32,
    stranger: Box<dyn Fn(u32) + Send + Sync>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Control").field(&self.path).finish()
    }
}

impl Control {
    pub(super) fn bind(path: &Path, stranger: Box<dyn Fn(u32) + Send + Sync>) -> Result<Self> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed("The control socket needs a path with a file name.".to_owned()));
        };
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        if !directory.exists() {
            private_directory(directory)?;
        }
        let directory = directory.canonicalize().map_err(|error| failed_at(directory, "cannot be opened", error))?;
        let path = directory.join(name);

        // The socket is made under another name, closed to others, and only then put in its place: at no moment can anyone else
        // connect, whatever the umask is, and an old file is replaced in one step.
        let fresh = directory.join(format!(".s{}", std::process::id()));
        let _ = fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => {
                failed(format!("The path of the control socket is too long: `{}`.", path.display()))
                    .help("A socket's path has at most 107 bytes; choose a data directory with a shorter one.")
                    .because(error)
            }
            _ => failed_at(&path, "cannot be made", error),
        })?;
        let placed = Self::place(&directory, &fresh, &path);
        if placed.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        let (uid, file) = placed?;
        Ok(Self { listener, path, file, uid, stranger })
    }

    fn place(directory: &Path, fresh: &Path, path: &Path) -> Result<(u32, (u64, u64))> {
        fs::set_permissions(fresh, fs::Permissions::from_mode(0o600))
            .map_err(|error| failed_at(path, "cannot be closed to others", error))?;
        let ours = fs::symlink_metadata(fresh).map_err(|error| failed_at(path, "cannot be made", error))?;
        // Nothing in std tells our uid; a file that we just made does.
        let uid = ours.uid();
        let around = fs::metadata(directory).map_err(|error| failed_at(directory, "cannot be opened", error))?;
        if around.mode() & 0o022 != 0 || (around.uid() != uid && around.uid() != 0) {
            return Err(failed(format!(
                "Others can write to `{}`, the directory of the control socket.",
                directory.display()
            ))
            .help("Make it private: `chmod 700`, owned by the user that runs authd."));
        }
        vacate(path, uid)?;
        fs::rename(fresh, path).map_err(|error| failed_at(path, "cannot be made", error))?;
        Ok((uid, (ours.dev(), ours.ino())))
    }

    /// The next connection of our own user or root, with its uid. Others are closed and reported.
    pub(super) async fn accept(&self) -> io::Result<(UnixStream, u32)> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let uid = stream.peer_cred()?.uid();
            if may_enter(uid, self.uid) {
                return Ok((stream, uid));
            }
            tracing::warn!(uid, "a process of another user was turned away from the control socket");
            (self.stranger)(uid);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates a directory (and what is missing above it) that only its owner can enter, or makes an existing one so. For authd's
/// own data directory, never for one that it shares. Errors: `listen_failed` when it is another user's, or no directory.
pub fn private_directory(path: &Path) -> Result<()> {
    let wrong = |error: io::Error| failed_at(path, "cannot be made private", error);
    if !path.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrong)?;
    }
    let meta = fs::metadata(path).map_err(wrong)?;
    if !meta.is_dir() {
        return Err(failed(format!("`{}` is not a directory.", path.display())));
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(wrong)?;
    }
    Ok(())
}

/// Sees to it that what stands at `path` may be replaced: nothing, or a socket of ours that nobody answers.
fn vacate(path: &Path, uid: u32) -> Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed_at(path, "cannot be looked at", error)),
    };
    if !found.file_type().is_socket() || found.uid() != uid {
        return Err(failed(format!("At `{}` stands something that is not a socket of ours.", path.display()))
            .help("Look at it; if it is of no use, remove it."));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(Error::new(&codes::DATA_DIR_IN_USE)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(failed_at(path, "cannot be replaced", error)),
    }
}

fn may_enter(uid: u32, ours: u32) -> bool {
    uid == ours || uid == 0
}

fn failed(says: String) -> Error {
    Error::says(&codes::LISTEN_FAILED, says).help("")
}

fn failed_at(path: &Path, why: &str, error: io::Error) -> Error {
    failed(format!("`{}` {why}: {}.", path.display(), error.kind())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ourselves_and_root_enter() {
        assert!(may_enter(1000, 1000) && may_enter(0, 1000) && may_enter(0, 0));
        assert!(!may_enter(1001, 1000) && !may_enter(65534, 0));
    }
}
