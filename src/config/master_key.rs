//! The master key: from the environment, or from its file beside the database; made on the first start.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::data_dir::{DataDir, own_uid};
use super::environment::Environment;
use super::plain;
use crate::crypto::MasterKey;
use crate::env::Env;
use crate::error::{Error, Result, codes};

/// The master key of a data directory: `AUTHD_MASTER_KEY`, or `master.key`, or, while there is no database yet,
/// a new one that is written there. Errors: `master_key_invalid`; `master_key_wrong` when the database is there
/// and its key is not.
pub fn master_key(env: &Env, environment: &Environment, data_dir: &DataDir) -> Result<MasterKey> {
    if let Some(key) = kept_master_key(environment, data_dir)? {
        return Ok(key);
    }
    if data_dir.database().exists() {
        return Err(Error::says(
            &codes::MASTER_KEY_WRONG,
            format!("There is a database in {}, but no master key for it.", data_dir.path().display()),
        )
        .help("Put its `master.key` back, or give the key in AUTHD_MASTER_KEY."));
    }
    write(env, &data_dir.master_key(), MasterKey::generate(env))
}

/// The master key of a data directory, if it has one; none is made. Errors: `master_key_invalid`.
pub fn kept_master_key(environment: &Environment, data_dir: &DataDir) -> Result<Option<MasterKey>> {
    match environment.get("AUTHD_MASTER_KEY") {
        Some(text) => MasterKey::parse(text).map(Some).map_err(|_| {
            Error::says(&codes::MASTER_KEY_INVALID, "AUTHD_MASTER_KEY cannot be used as the master key.")
                .help("It is 32 bytes in base64url without padding: 43 letters.")
        }),
        None => read(&data_dir.master_key()),
    }
}

/// Keeps a master key that came from elsewhere in its file, where there is none yet. Errors: `master_key_invalid`;
/// `master_key_wrong` when another one appeared there meanwhile.
pub fn keep_master_key(env: &Env, data_dir: &DataDir, key: &MasterKey) -> Result<()> {
    let kept = write(env, &data_dir.master_key(), key.clone())?;
    if kept.fingerprint() == key.fingerprint() { Ok(()) } else { Err(Error::new(&codes::MASTER_KEY_WRONG)) }
}

fn read(path: &Path) -> Result<Option<MasterKey>> {
    let wrong =
        |why: &str| Error::says(&codes::MASTER_KEY_INVALID, format!("The master key {}: {why}.", path.display()));
    let facts = match std::fs::symlink_metadata(path) {
        Ok(facts) => facts,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(wrong(&plain(&e)).because(e)),
    };
    // A link is fine (secrets are often mounted that way); what counts is the file behind it.
    let facts =
        if facts.is_symlink() { std::fs::metadata(path).map_err(|e| wrong(&plain(&e)).because(e))? } else { facts };
    if facts.mode() & 0o077 != 0 {
        return Err(wrong("others can read it").help(format!("Close it: `chmod 600 {}`.", path.display())));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|e| wrong(&plain(&e)).because(e))?);
    MasterKey::parse(&text).map(Some).map_err(|_| wrong("it is not 32 bytes in base64url"))
}

/// Written aside and then linked to its name, so that a crash leaves no half a key, and the second of two first
/// starts takes the first one's key.
fn write(env: &Env, path: &Path, key: MasterKey) -> Result<MasterKey> {
    let wrong = |e: std::io::Error| {
        Error::says(
            &codes::MASTER_KEY_INVALID,
            format!("The master key {} cannot be written: {}.", path.display(), plain(&e)),
        )
        .help(format!("The directory must be writable for uid {}.", own_uid()))
        .because(e)
    };
    let aside = path.with_extension(format!("key.new.{:016x}", u64::from_be_bytes(env.random())));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(wrong)?;
    let written = file
        .write_all(key.encoded().expose().as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&aside, path));
    let _ = std::fs::remove_file(&aside);
    match written {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            return read(path)?.ok_or_else(|| Error::new(&codes::MASTER_KEY_INVALID));
        }
        Err(e) => return Err(wrong(e)),
    }
    // The name itself must survive a power cut, or the database would outlive its key.
    if let Some(dir) = path.parent() {
        std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(wrong)?;
    }
    Ok(key)
}
