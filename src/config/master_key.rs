//! The master key: from the environment, or from its file beside the database; made on the first start.
//!
//! The file has one key a line. There are two only while a rotation goes on, the new one first.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use zeroize::Zeroizing;

use super::data_dir::{DataDir, own_uid};
use super::environment::Environment;
use super::plain;
use crate::crypto::{Home, MasterKey};
use crate::env::Env;
use crate::error::{Error, Result, codes};

/// The master key of a data directory: `AUTHD_MASTER_KEY`, or `master.key`, or, while there is no database yet,
/// a new one that is written there; with the keys before it, from the file or AUTHD_MASTER_KEY_PREVIOUS.
/// Errors: `master_key_invalid`; `master_key_wrong` when the database is there and its key is not.
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
    let path = data_dir.master_key();
    let mut keys = write(env, &path, MasterKey::generate(env))?;
    Ok(keys.remove(0).at(Home::File(path), &keys))
}

/// The master key of a data directory with the keys before it, if it has one; none is made.
/// Errors: `master_key_invalid`.
pub fn kept_master_key(environment: &Environment, data_dir: &DataDir) -> Result<Option<MasterKey>> {
    let given = |name: &'static str| -> Result<Option<MasterKey>> {
        environment.get(name).map(MasterKey::parse).transpose().map_err(|_| {
            Error::says(&codes::MASTER_KEY_INVALID, format!("{name} cannot be used as a master key."))
                .help("It is 32 bytes in base64url without padding: 43 letters.")
        })
    };
    let before = given("AUTHD_MASTER_KEY_PREVIOUS")?;
    if let Some(key) = given("AUTHD_MASTER_KEY")? {
        return Ok(Some(key.at(Home::Environment, before.as_slice())));
    }
    let path = data_dir.master_key();
    let mut keys = read(&path)?;
    if keys.is_empty() {
        return Ok(None);
    }
    keys.extend(before);
    Ok(Some(keys.remove(0).at(Home::File(path), &keys)))
}

/// Keeps a master key that came from elsewhere in its file, where there is none yet. Errors: `master_key_invalid`;
/// `master_key_wrong` when another one appeared there meanwhile.
pub fn keep_master_key(env: &Env, data_dir: &DataDir, key: &MasterKey) -> Result<()> {
    let kept = write(env, &data_dir.master_key(), key.clone())?;
    let same = kept.first().is_some_and(|kept| kept.fingerprint() == key.fingerprint());
    if same { Ok(()) } else { Err(Error::new(&codes::MASTER_KEY_WRONG)) }
}

/// The keys in the file; none when there is no file.
fn read(path: &Path) -> Result<Vec<MasterKey>> {
    let wrong =
        |why: &str| Error::says(&codes::MASTER_KEY_INVALID, format!("The master key {}: {why}.", path.display()));
    let unread = |e: std::io::Error| match e.kind() {
        ErrorKind::PermissionDenied => wrong(&plain(&e)).help("Run `authd` as the user that owns it.").because(e),
        _ => wrong(&plain(&e)).because(e),
    };
    let facts = match std::fs::symlink_metadata(path) {
        Ok(facts) => facts,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unread(e)),
    };
    // A link is fine (secrets are often mounted that way); what counts is the file behind it.
    let facts = if facts.is_symlink() { std::fs::metadata(path).map_err(unread)? } else { facts };
    if facts.mode() & 0o077 != 0 {
        return Err(wrong("others can read it").help(format!("Close it: `chmod 600 {}`.", path.display())));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(unread)?);
    let keys: Vec<MasterKey> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(MasterKey::parse)
        .collect::<Result<_>>()
        .map_err(|_| wrong("it is not 32 bytes in base64url"))?;
    if keys.is_empty() { Err(wrong("it is empty")) } else { Ok(keys) }
}

fn unwritten(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |e| {
        Error::says(
            &codes::MASTER_KEY_INVALID,
            format!("The master key {} cannot be written: {}.", path.display(), plain(&e)),
        )
        .help(format!("The directory must be writable for uid {}.", own_uid()))
        .because(e)
    }
}

/// The file beside its name, with its content, on the disk. The caller links or renames it.
fn aside(env: &Env, path: &Path, keys: &[&MasterKey]) -> std::io::Result<(std::path::PathBuf, std::fs::File)> {
    let aside = path.with_extension(format!("key.new.{:016x}", u64::from_be_bytes(env.random())));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    let mut text = Zeroizing::new(String::with_capacity(keys.len() * 48));
    for key in keys {
        text.push_str(key.encoded().expose());
        text.push('\n');
    }
    match file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        Ok(()) => Ok((aside, file)),
        Err(e) => {
            let _ = std::fs::remove_file(&aside);
            Err(e)
        }
    }
}

/// The name itself must survive a power cut, or the database would outlive its key.
fn keep_name(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |dir| std::fs::File::open(dir).and_then(|dir| dir.sync_all()))
}

/// Written aside and then linked to its name, so that a crash leaves no half a key, and the second of two first
/// starts takes the first one's key.
fn write(env: &Env, path: &Path, key: MasterKey) -> Result<Vec<MasterKey>> {
    let wrong = unwritten(path);
    let (aside, _) = aside(env, path, &[&key]).map_err(&wrong)?;
    let linked = std::fs::hard_link(&aside, path);
    let _ = std::fs::remove_file(&aside);
    match linked {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return read(path),
        Err(e) => return Err(wrong(e)),
    }
    keep_name(path).map_err(wrong)?;
    Ok(vec![key])
}

/// Puts these keys in the place of those in the file, the one that seals first: all of them, durably, or none.
/// The file stays its owner's, and a link to it stays a link. Errors: `master_key_invalid`.
pub fn replace_master_keys(env: &Env, path: &Path, keys: &[&MasterKey]) -> Result<()> {
    let wrong = unwritten(path);
    let real = std::fs::canonicalize(path).map_err(&wrong)?;
    let before = std::fs::metadata(&real).map_err(&wrong)?;
    let (aside, file) = aside(env, &real, keys).map_err(&wrong)?;
    // Root may rotate what another user's server reads.
    let owned = if before.uid() == own_uid() { Ok(()) } else { fchown(&file, Some(before.uid()), Some(before.gid())) };
    if let Err(e) = owned.and_then(|()| std::fs::rename(&aside, &real)) {
        let _ = std::fs::remove_file(&aside);
        return Err(wrong(e));
    }
    keep_name(&real).map_err(wrong)
}

/// How many keys the file has; 0 when it cannot be read as one.
pub fn master_keys_in(path: &Path) -> usize {
    read(path).map_or(0, |keys| keys.len())
}
