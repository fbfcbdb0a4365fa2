//! The data directory: who may read what, what lies beside, and how much room there is.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::config::{DataDir, own_uid};
use crate::crypto::MasterKey;

/// Below this nothing works for long.
const ROOM_FAILS: u64 = 64 << 20;
/// A file of more bytes is not looked into for a copy of the key.
const SEARCHED: u64 = 4 << 20;
/// Not more files than these are looked at.
const FILES: usize = 2_000;

/// A file as it lies there.
#[derive(Clone, Debug)]
struct Entry {
    path: PathBuf,
    mode: u32,
    uid: u32,
    bytes: u64,
}

impl Entry {
    /// A link counts as what is behind it.
    fn at(path: &Path) -> Option<Self> {
        let facts = std::fs::metadata(path).ok()?;
        let mode = facts.permissions().mode() & 0o7777;
        Some(Self { path: path.to_owned(), mode, uid: facts.uid(), bytes: facts.len() })
    }
}

/// Everything about the files. `config` is the configuration file, where there is one.
pub fn look(data_dir: &DataDir, config: Option<&Path>, from_environment: bool) -> Vec<Finding> {
    let Some(dir) = Entry::at(data_dir.path()) else {
        let path = data_dir.path().display();
        return vec![Finding::fail(
            "data_dir",
            format!("There is no directory {path}, or it cannot be looked into."),
            format!("authd serve --data-dir {path}"),
        )];
    };
    let entry = |path: PathBuf| Entry::at(&path);
    let database = entry(data_dir.database());
    let key = entry(data_dir.master_key());
    let socket = entry(data_dir.socket());
    let mut findings = vec![directory(&dir)];
    findings.extend(database.as_ref().map(|file| closed("database_file", "The database", file)));
    findings.push(master_key(data_dir, key.as_ref(), from_environment));
    findings.extend(socket.as_ref().map(|file| closed("socket", "The control socket", file)));
    let all: Vec<&Entry> = [Some(&dir), database.as_ref(), key.as_ref()].into_iter().flatten().collect();
    findings.push(owner(&all, own_uid()));
    findings.extend(config.map(|path| config_file(path, Entry::at(path).as_ref())));
    findings.push(copies(&data_dir.master_key(), &copies_of(data_dir)));
    findings.push(leftovers(&leftovers_in(data_dir.path())));
    if let Ok(room) = rustix::fs::statvfs(data_dir.path()) {
        findings.push(disk(room.f_bavail.saturating_mul(room.f_frsize), database.map_or(0, |file| file.bytes)));
    }
    findings
}

fn directory(dir: &Entry) -> Finding {
    let (path, mode) = (dir.path.display(), dir.mode & 0o777);
    let remedy = format!("chmod 700 {path}");
    match (mode & 0o022, mode & 0o055) {
        (0, 0) => Finding::ok("data_dir", format!("{path} is its owner's alone (mode {mode:04o}).")),
        (0, _) => Finding::warn("data_dir", format!("Others can look into {path} (mode {mode:04o})."), remedy),
        _ => Finding::fail("data_dir", format!("Others can write to {path} (mode {mode:04o})."), remedy),
    }
}

fn closed(name: &'static str, what: &str, file: &Entry) -> Finding {
    let (path, mode) = (file.path.display(), file.mode & 0o777);
    match mode & 0o077 {
        0 => Finding::ok(name, format!("{what} is its owner's alone (mode {mode:04o}).")),
        _ => Finding::fail(
            name,
            format!("{what} {path} is open to others (mode {mode:04o})."),
            format!("chmod 600 {path}"),
        ),
    }
}

fn master_key(data_dir: &DataDir, file: Option<&Entry>, from_environment: bool) -> Finding {
    match (from_environment, file) {
        (true, None) => Finding::ok("master_key_file", "The master key comes from the environment."),
        (true, Some(file)) => Finding::warn(
            "master_key_file",
            format!("AUTHD_MASTER_KEY is what is used, and {} is there as well.", file.path.display()),
            "unset AUTHD_MASTER_KEY, or move the file to where your backups are not",
        ),
        (false, Some(file)) => closed("master_key_file", "The master key", file),
        (false, None) if data_dir.database().exists() => Finding::fail(
            "master_key_file",
            format!("There is a database, and no {}.", data_dir.master_key().display()),
            "put the copy of `master.key` back that you keep apart, or give it in AUTHD_MASTER_KEY",
        ),
        (false, None) => Finding::ok("master_key_file", "The first start makes the master key."),
    }
}

/// Files of different owners were made by different users, one of whom the server is not.
fn owner(entries: &[&Entry], own: u32) -> Finding {
    let Some(first) = entries.first() else { return Finding::ok("owner", "There is nothing yet.") };
    let uid = first.uid;
    if let Some(other) = entries.iter().find(|entry| entry.uid != uid) {
        return Finding::fail(
            "owner",
            format!("{} belongs to uid {}, the directory to uid {uid}.", other.path.display(), other.uid),
            format!("chown -R {uid} {}", first.path.display()),
        );
    }
    match own {
        0 if uid != 0 => Finding::ok("owner", format!("Everything belongs to uid {uid}.")),
        _ if own == uid => Finding::ok("owner", format!("Everything belongs to uid {uid}, who asks.")),
        _ => Finding::fail(
            "owner",
            format!("The directory belongs to uid {uid}; you are uid {own}."),
            format!("sudo -u '#{uid}' authd doctor --data-dir {}", first.path.display()),
        ),
    }
}

fn config_file(path: &Path, file: Option<&Entry>) -> Finding {
    let shown = path.display();
    match file {
        None => Finding::fail("config_file", format!("{shown} is not there."), format!("ls -l {shown}")),
        Some(file) if file.mode & 0o002 != 0 => Finding::fail(
            "config_file",
            format!("Everybody can write to {shown} (mode {:04o}).", file.mode & 0o777),
            format!("chmod 644 {shown}"),
        ),
        Some(file) if file.mode & 0o020 != 0 => Finding::warn(
            "config_file",
            format!("Others can write to {shown} (mode {:04o}).", file.mode & 0o777),
            format!("chmod 644 {shown}"),
        ),
        Some(_) => Finding::ok("config_file", format!("{shown} is read, and only its owner writes to it.")),
    }
}

/// Files below the data directory, and beside it, that hold the key as well. A backup that has both opens itself.
fn copies_of(data_dir: &DataDir) -> Vec<PathBuf> {
    let own = data_dir.master_key();
    let text = std::fs::read_to_string(&own).unwrap_or_default();
    let keys: Vec<&str> = text.lines().map(str::trim).filter(|line| MasterKey::parse(line).is_ok()).collect();
    let mut found = Vec::new();
    let mut left = FILES;
    let mut places = vec![(data_dir.path().to_owned(), 2)];
    // Beside it: only what looks like a copy of it, since the directory above may be anybody's home.
    let name = data_dir.path().file_name().map(|name| name.to_string_lossy().into_owned());
    if let (Some(above), Some(name)) = (data_dir.path().parent(), name)
        && let Ok(entries) = std::fs::read_dir(if above.as_os_str().is_empty() { Path::new(".") } else { above })
    {
        let beside = entries.filter_map(Result::ok).filter(|entry| {
            let other = entry.file_name().to_string_lossy().into_owned();
            other != name && (other.starts_with(&name) || other.contains("authd"))
        });
        places.extend(beside.map(|entry| (entry.path(), 1)));
    }
    while let Some((path, depth)) = places.pop() {
        let Ok(facts) = std::fs::symlink_metadata(&path) else { continue };
        if left == 0 {
            break;
        }
        left -= 1;
        if facts.is_dir() && depth > 0 {
            let entries = std::fs::read_dir(&path).into_iter().flatten().filter_map(Result::ok);
            places.extend(entries.map(|entry| (entry.path(), depth - 1)));
        } else if facts.is_file() && path != own && facts.len() <= SEARCHED {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let holds = |key: &&str| bytes.windows(key.len()).any(|window| window == key.as_bytes());
            if keys.iter().any(holds) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn copies(key: &Path, found: &[PathBuf]) -> Finding {
    match found.first() {
        None => Finding::ok("master_key_copies", "No copy of the master key lies beside the database."),
        Some(copy) => {
            let more = if found.len() > 1 { format!(" and in {} more files", found.len() - 1) } else { String::new() };
            Finding::warn(
                "master_key_copies",
                format!(
                    "The master key is also in {}{more}: whoever gets a backup of {} gets the key to it.",
                    copy.display(),
                    key.parent().unwrap_or(key).display()
                ),
                format!("move it to another machine, then: shred -u {}", copy.display()),
            )
        }
    }
}

/// What a crash left half written, and what an upgrade put aside.
fn leftovers_in(dir: &Path) -> Vec<PathBuf> {
    let is_left = |name: &str| {
        name.starts_with("master.key.new.")
            || name.ends_with(".new")
            || name.ends_with(".partial")
            || (name.starts_with("authd.redb") && name != "authd.redb")
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> =
        entries.filter(|entry| is_left(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn leftovers(found: &[PathBuf]) -> Finding {
    let names: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
    match names.is_empty() {
        true => Finding::ok("leftovers", "Nothing is left over from a crash or an upgrade."),
        false => Finding::warn(
            "leftovers",
            format!("Left over from a crash or an upgrade: {}.", names.join(", ")),
            format!("when authd works as it should: rm {}", names.join(" ")),
        ),
    }
}

fn disk(free: u64, database: u64) -> Finding {
    let (told, wanted) = (size(free), database.saturating_mul(2).saturating_add(256 << 20));
    let remedy = "free some space, or move the data directory to a larger disk: df -h";
    match free {
        _ if free < ROOM_FAILS => {
            Finding::fail("disk", format!("Only {told} are free: writes will be refused."), remedy)
        }
        _ if free < wanted => Finding::warn(
            "disk",
            format!("{told} are free; a backup and growth of a database of {} need {}.", size(database), size(wanted)),
            remedy,
        ),
        _ => Finding::ok("disk", format!("{told} are free; the database has {}.", size(database))),
    }
}

/// `3.2 MiB`.
pub fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = (bytes >> (shift - 10)).saturating_mul(10) >> 10;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn entry(mode: u32, uid: u32) -> Entry {
        Entry { path: "/d/x".into(), mode, uid, bytes: 1 }
    }

    #[test]
    fn what_others_can_open_is_told_with_its_command() {
        for (mode, level) in
            [(0o700, Level::Ok), (0o750, Level::Warn), (0o755, Level::Warn), (0o770, Level::Fail), (0o702, Level::Fail)]
        {
            assert_eq!(directory(&entry(mode, 1)).level, level, "{mode:o}");
        }
        for mode in [0o604, 0o640, 0o660, 0o601] {
            let found = closed("database_file", "The database", &entry(mode, 1));
            assert_eq!((found.level, found.remedy.as_deref()), (Level::Fail, Some("chmod 600 /d/x")), "{mode:o}");
        }
        assert_eq!(closed("socket", "It", &entry(0o600, 1)).level, Level::Ok);
        for (mode, level) in [(0o644, Level::Ok), (0o664, Level::Warn), (0o646, Level::Fail)] {
            assert_eq!(config_file(Path::new("/c"), Some(&entry(mode, 1))).level, level, "{mode:o}");
        }
        assert_eq!(config_file(Path::new("/c"), None).level, Level::Fail);
    }

    #[test]
    fn one_owner_has_everything_and_asks() {
        let (mine, other) = (entry(0o600, 7), entry(0o600, 8));
        assert_eq!(owner(&[&mine, &mine], 7).level, Level::Ok);
        assert_eq!(owner(&[&mine, &mine], 0).level, Level::Ok);
        assert_eq!(owner(&[&mine, &mine], 9).level, Level::Fail);
        assert_eq!(owner(&[&mine, &other], 7).remedy.as_deref(), Some("chown -R 7 /d/x"));
    }

    #[test]
    fn room_is_weighed_against_the_database() {
        assert_eq!(disk(10 << 30, 1 << 20).level, Level::Ok);
        assert_eq!(disk(200 << 20, 1 << 20).level, Level::Warn);
        assert_eq!(disk(3 << 30, 2 << 30).level, Level::Warn);
        assert_eq!(disk(63 << 20, 0).level, Level::Fail);
        assert_eq!((size(1), size(1536), size(5 << 30)), ("1 bytes".into(), "1.5 KiB".into(), "5.0 GiB".into()));
    }

    #[test]
    fn copies_of_the_key_are_found_beside_and_below() {
        let above = tempfile::tempdir().unwrap();
        let dir = DataDir::new(above.path().join("authd-data"));
        std::fs::create_dir(dir.path()).unwrap();
        let key = MasterKey::generate(&crate::env::Env::frozen());
        let text = format!("{}\n", key.encoded().expose());
        std::fs::write(dir.master_key(), &text).unwrap();
        std::fs::write(above.path().join("unrelated.txt"), &text).unwrap();
        assert!(copies_of(&dir).is_empty());
        std::fs::create_dir(dir.path().join("old")).unwrap();
        let below = dir.path().join("old/saved.tar");
        std::fs::write(&below, format!("header\0{text}\0trailer")).unwrap();
        std::fs::create_dir(above.path().join("authd-data.bak")).unwrap();
        let beside = above.path().join("authd-data.bak/master.key");
        std::fs::write(&beside, &text).unwrap();
        assert_eq!(copies_of(&dir), [below, beside]);
        assert_eq!(copies(&dir.master_key(), &copies_of(&dir)).level, Level::Warn);
    }

    #[test]
    fn leftovers_are_named() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["authd.redb", "master.key", "authd.toml", "last-run.json", "authd.sock"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(leftovers(&leftovers_in(dir.path())).level, Level::Ok);
        for name in ["master.key.new.0123", "authd.redb.before-2", "last-run.json.new"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(leftovers_in(dir.path()).len(), 3);
        let found = leftovers(&leftovers_in(dir.path()));
        assert!(found.level == Level::Warn && found.remedy.unwrap().contains("authd.redb.before-2"));
    }
}
