//! `authd backup` and `authd restore`, from the outside: the real program on real directories.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::cli::{Done, Place};

const PASSPHRASE: &str = "five random words are good";

/// A place with something in it: the id of its organization.
fn filled(place: &Place) -> String {
    let org = place.run(&["org", "create", "--name", "Acme", "--json"]).id();
    place.run(&["api-key", "create", "--org", &org, "--name", "ci", "--grant", "*", "--json"]).json();
    org
}

fn file(place: &Place, name: &str) -> String {
    place.dir.path().join(name).to_str().unwrap().to_owned()
}

/// Refused, with this code, in one line and a remedy at most.
#[track_caller]
fn refused(done: &Done, code: &str) {
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    assert!(done.err.contains(&format!("[{code}]")), "{}", done.err);
    assert!(done.out.is_empty() && done.err.lines().count() <= 2, "{}{}", done.out, done.err);
}

fn mode(path: impl AsRef<Path>) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_backup_of_a_running_server_is_restored_on_a_bare_directory() {
    let place = Place::new();
    let server = place.serve(&[]);
    let org = filled(&place);
    let name = file(&place, "nightly.backup");
    let made = place.run(&["backup", &name, "--json"]).json();
    assert_eq!((made["path"].as_str().unwrap(), made["withKey"].as_bool()), (name.as_str(), Some(false)));
    assert_eq!(mode(&name), 0o600);
    let late = place.run(&["org", "create", "--name", "Late", "--json"]).id();
    refused(&place.run(&["backup", &name]), "conflict");
    refused(&place.run(&["restore", &name, "--replace"]), "data_dir_in_use");
    drop(server);

    let verified = place.run(&["backup", "verify", &name, "--json"]).json();
    assert_eq!((&verified["whole"], &verified["sealHolds"]), (&true.into(), &true.into()));
    assert_eq!((&verified["rows"]["organization"], &verified["digest"]), (&1.into(), &made["digest"]));
    assert_eq!(verified["logSeq"], made["logSeq"]);

    let bare = Place::new();
    refused(&bare.run(&["restore", &name]), "master_key_wrong");
    std::fs::copy(place.data().join("master.key"), bare.data().join("master.key")).unwrap();
    let restored = bare.run(&["restore", &name, "--json"]).json();
    assert_eq!((&restored["keyRestored"], &restored["organizationsEnded"]), (&false.into(), &1.into()));
    assert_eq!(mode(bare.data().join("authd.redb")), 0o600);
    let organizations = bare.run(&["org", "list", "--json"]).json();
    assert_eq!(organizations["items"][0]["id"], org.as_str());
    assert_eq!(organizations["items"].as_array().unwrap().len(), 1);
    let ready = bare.serve(&[]);
    assert_eq!(get(&ready.ready, "/readyz").0, 200);
    drop(ready);

    // There is one now; replacing it keeps it aside, and it can be put back.
    refused(&place.run(&["restore", &name]), "conflict");
    let replaced = place.run(&["restore", &name, "--replace", "--json"]).json();
    assert!(!place.run(&["org", "list"]).out.contains(&late));
    std::fs::rename(replaced["replaced"].as_str().unwrap(), place.data().join("authd.redb")).unwrap();
    assert!(place.run(&["org", "list"]).out.contains(&late));
}

#[test]
fn the_key_comes_out_of_the_backup_with_its_passphrase() {
    let place = Place::new();
    let org = filled(&place);
    let (name, words) = (file(&place, "b"), file(&place, "words"));
    std::fs::write(&words, format!("{PASSPHRASE}\n")).unwrap();
    refused(&place.run(&["backup", &name, "--with-key"]), "invalid_input");
    std::fs::write(file(&place, "short"), "elevenchars").unwrap();
    refused(&place.run(&["backup", &name, "--with-key", "--passphrase-file", &file(&place, "short")]), "invalid_input");
    assert!(!Path::new(&name).exists());
    let made = place.run(&["backup", &name, "--with-key", "--passphrase-file", &words]);
    assert!(made.code == 0 && made.err.contains("passphrase"), "{}", made.err);

    let bare = Place::new();
    refused(&bare.run(&["restore", &name]), "invalid_input");
    std::fs::write(file(&bare, "wrong"), "five random words are bad").unwrap();
    refused(&bare.run(&["restore", &name, "--passphrase-file", &file(&bare, "wrong")]), "passphrase_wrong");
    assert!(!bare.data().join("master.key").exists() && !bare.data().join("authd.redb").exists());
    let restored = bare.run(&["restore", &name, "--passphrase-file", &words, "--json"]).json();
    assert_eq!(restored["keyRestored"], true);
    assert_eq!(mode(bare.data().join("master.key")), 0o600);
    assert!(bare.run(&["org", "list"]).out.contains(&org));

    // Where there is another key, nothing is touched.
    let other = Place::new();
    filled(&other);
    let before = std::fs::read(other.data().join("authd.redb")).unwrap();
    refused(&other.run(&["restore", &name, "--replace", "--passphrase-file", &words]), "master_key_wrong");
    assert!(std::fs::read(other.data().join("authd.redb")).unwrap() == before);
}

#[test]
fn what_is_no_backup_is_refused_and_leaves_the_directory_as_it_was() {
    let place = Place::new();
    filled(&place);
    let name = file(&place, "b");
    assert_eq!(place.run(&["backup", &name]).code, 0);
    let bytes = std::fs::read(&name).unwrap();
    let names = || std::fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let (before, there) = (std::fs::read(place.data().join("authd.redb")).unwrap(), names());
    let damaged = file(&place, "damaged");
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    let mut newer = bytes.clone();
    newer[15] += 1;
    for (content, code) in [
        (flipped, "backup_invalid"),
        (bytes[..bytes.len() - 10].to_vec(), "backup_invalid"),
        (b"SQLite format 3\0".repeat(50), "backup_invalid"),
        (Vec::new(), "backup_invalid"),
        (newer, "storage_newer"),
    ] {
        std::fs::write(&damaged, content).unwrap();
        refused(&place.run(&["restore", &damaged, "--replace"]), code);
        refused(&place.run(&["backup", "verify", &damaged]), code);
    }
    refused(&place.run(&["restore", &file(&place, "missing")]), "invalid_input");
    assert!(std::fs::read(place.data().join("authd.redb")).unwrap() == before && names() == there);
    // A mistyped directory does not become a new authd.
    let done = Done::of(&place.command(&["--data-dir", "nowhere", "backup", "x"]).output().unwrap());
    refused(&done, "not_found");
    assert!(!place.dir.path().join("nowhere").exists() && !place.dir.path().join("x").exists());
}

#[test]
fn r_06_a_damaged_database_is_replaced_by_its_backup() {
    let place = Place::new();
    let org = filled(&place);
    let name = file(&place, "b");
    assert_eq!(place.run(&["backup", &name]).code, 0);
    let database = place.data().join("authd.redb");
    let bytes = std::fs::read(&database).unwrap();
    for content in [Vec::new(), bytes[..bytes.len() / 3].to_vec(), b"#!/bin/sh\n".repeat(500)] {
        std::fs::write(&database, content).unwrap();
        let done = place.run(&["counts"]);
        assert!(done.code == 2 && done.err.contains("[storage_corrupt]"), "{}", done.err);
        assert_eq!(place.run(&["restore", &name, "--replace"]).code, 0);
        assert!(place.run(&["org", "list"]).out.contains(&org));
    }
}

/// One request by hand: the status, and the body.
fn get(ready: &Value, path: &str) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let at = ready["listen"].as_str().unwrap();
    let mut stream = std::net::TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    (status, answer)
}

/// The real thing, where the test may mount a file system: a server whose disk fills up and is freed.
#[test]
fn r_05_a_server_on_a_full_disk_reads_on_and_writes_again_when_there_is_space() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs"])
        .arg(place.data())
        .output()
        .is_ok_and(|done| done.status.success());
    if !mounted {
        eprintln!("skipped: this user may not mount a file system");
        return;
    }
    struct Mount<'a>(&'a Place);
    impl Drop for Mount<'_> {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").args(["-l"]).arg(self.0.data()).status();
        }
    }
    let _mount = Mount(&place);
    let server = place.serve(&[]);
    let mut acked = vec![filled(&place)];
    // Everything that is left, to the last byte.
    let ballast = place.data().join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    let piece = vec![1u8; 64 * 1024];
    while std::io::Write::write(&mut file, &piece).is_ok_and(|written| written > 0) {}
    drop(file);

    let mut full = 0;
    for _ in 0..2000 {
        let done = place.run(&["org", "create", "--name", "N", "--json"]);
        if done.code == 0 {
            acked.push(done.id());
        } else {
            assert!(done.err.contains("storage_full"), "{}", done.err);
            full += 1;
        }
        if full == 3 {
            break;
        }
    }
    assert_eq!(full, 3, "the disk never filled up");
    // The backup has another disk to go to, and still comes about; its event does not.
    let listed = place.run(&["org", "list", "--limit", "1000"]);
    assert!(acked.iter().all(|org| listed.out.contains(org)), "{}", listed.err);
    for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json", "/healthz"] {
        assert_eq!(get(&server.ready, path).0, 200, "{path}");
    }
    let (status, body) = get(&server.ready, "/readyz");
    assert!(status == 503 && body.contains("degraded") && body.contains("storage_full"), "{body}");

    std::fs::remove_file(&ballast).unwrap();
    let mut tries = 0;
    let back = loop {
        let done = place.run(&["org", "create", "--name", "Back", "--json"]);
        if done.code == 0 {
            break done.id();
        }
        tries += 1;
        assert!(tries < 50, "no write within 10 s: {}", done.err);
        std::thread::sleep(Duration::from_millis(200));
    };
    acked.push(back);
    let listed = place.run(&["org", "list", "--limit", "1000"]);
    assert!(acked.iter().all(|org| listed.out.contains(org)));
    assert_eq!(server.stop(), 0);
    let listed = place.run(&["org", "list", "--limit", "1000"]);
    assert!(acked.iter().all(|org| listed.out.contains(org)), "nothing that was acknowledged is lost");
    // R-18, both ways: what could not be told was not done, and what was not done is not told.
    let log = place.run(&["audit", "export", "--kind", "organization.created"]);
    let told: std::collections::BTreeSet<String> = log
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["organizationId"].as_str().unwrap().to_owned())
        .collect();
    let counts = place.run(&["counts", "--json"]).json();
    assert_eq!(told, acked.into_iter().collect(), "one event for each organization, and none besides: {counts}");
}
