//! Backups that are taken under load: each is one moment of the store, whole, and after what was acknowledged.
//!
//! `AUTHD_BACKUPS` sets how many (3 unless set).

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authd::crypto::{MasterKey, Secret};
use authd::env::{Env, NoDns, NoOutbound, SystemClock, SystemRng};
use authd::error::codes;
use authd::store::backup::{NewBackup, inspect, read_header, unpack};
use authd::store::{Batch, LogEntry, Query, Store};
use tempfile::TempDir;

use super::{Person, World, happened, id, options, person};

fn machine() -> Env {
    Env::new(Arc::new(SystemClock::new()), Arc::new(SystemRng), Arc::new(NoOutbound), Arc::new(NoDns))
}

fn new(target: &Path, master_key: &MasterKey) -> NewBackup {
    NewBackup { target: target.to_owned(), replace: false, master_key: master_key.clone(), passphrase: None }
}

/// Everybody in it, by id. Each has an event, each event has somebody, and the chain holds.
async fn everybody(store: &Store) -> BTreeSet<String> {
    let (mut found, mut query) = (BTreeSet::new(), Query::all().limit(1000));
    loop {
        let page = store.page::<Person>(query.clone()).await.unwrap();
        for (place, person) in page.items.iter().enumerate() {
            if place % 32 == 0 {
                assert_eq!(store.find::<Person>("email", &person.email).await.unwrap().unwrap().id, person.id);
            }
            assert!(found.insert(person.id.clone()));
        }
        match page.next {
            Some(next) => query = query.after(Some(next)),
            None => break,
        }
    }
    assert_eq!(store.log_seq(), found.len() as u64, "a person without an event, or an event without a person");
    assert_eq!(store.counts().await.unwrap().get("person").copied().unwrap_or(0), found.len() as u64);
    assert_eq!(store.count_by::<Person>("team", "t").await.unwrap(), found.len() as u64);
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.broken, report.rows), (None, found.len() as u64));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_12_a_backup_under_full_load_is_one_moment_and_has_all_that_was_acknowledged_before() {
    #[expect(clippy::disallowed_methods, reason = "how a test is told what to do")]
    let rounds = std::env::var("AUTHD_BACKUPS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let (folder, env) = (TempDir::new().unwrap(), machine());
    let key = MasterKey::generate(&env);
    let store = Store::open(&folder.path().join("authd.redb"), env.clone(), options()).unwrap();
    // So much that a backup takes a while.
    const BEFORE: u32 = 4000;
    for piece in 0..BEFORE / 1000 {
        let mut batch = Batch::new();
        for number in piece * 1000..(piece + 1) * 1000 {
            let name = format!("{number:08}");
            batch.create(&person(&name, &format!("{name}@example.com"))).log(happened("made"));
        }
        store.commit(batch).await.unwrap();
    }
    let (numbers, stop) = (Arc::new(AtomicU32::new(BEFORE)), Arc::new(AtomicBool::new(false)));
    // While a backup is looked at, nobody writes: the store would grow by more each time than the time before.
    let resting = Arc::new(AtomicBool::new(false));
    let acked = Arc::new(Mutex::new(BTreeSet::new()));
    let mut meanwhile = 0;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, numbers, stop, acked) =
            (store.clone(), Arc::clone(&numbers), Arc::clone(&stop), Arc::clone(&acked));
        let resting = Arc::clone(&resting);
        writers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if resting.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                let name = format!("{:08}", numbers.fetch_add(1, Ordering::Relaxed));
                let mut batch = Batch::new();
                batch.create(&person(&name, &format!("{name}@example.com"))).log(happened("made"));
                store.commit(batch).await.unwrap();
                acked.lock().unwrap().insert(name);
            }
        });
    }
    for round in 0..rounds {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let before = acked.lock().unwrap().clone();
        let target = folder.path().join(format!("{round}.backup"));
        let made = store.backup(new(&target, &key)).await.unwrap();
        meanwhile += acked.lock().unwrap().len() - before.len();
        resting.store(true, Ordering::Relaxed);
        assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);

        let contents = inspect(&target, Some(&key)).unwrap();
        assert_eq!((contents.authentic, contents.digest, contents.bytes), (Some(true), made.digest, made.bytes));
        let path = folder.path().join(format!("{round}.redb"));
        unpack(&target, &path, &key, &|_, _| {}).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let restored = Store::open(&path, env.clone(), options()).unwrap();
        let found = everybody(&restored).await;
        assert_eq!((found.len() as u64, contents.rows["person"]), (made.header.log_seq, made.header.log_seq));
        let lost: Vec<_> = before.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} were acknowledged before the backup began");
        // It goes on where the backup ends.
        let mut batch = Batch::new();
        batch.create(&person("new", "new@example.com")).log(happened("made"));
        restored.commit(batch).await.unwrap();
        assert_eq!(restored.log_seq(), made.header.log_seq + 1);
        restored.close().await;
        resting.store(false, Ordering::Relaxed);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(meanwhile > 0, "nobody wrote while backups were taken");
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let leftovers = std::fs::read_dir(folder.path()).unwrap().filter_map(Result::ok);
    assert!(!leftovers.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".partial")));
}

#[tokio::test]
async fn a_backup_takes_no_other_files_place_and_leaves_nothing_when_it_fails() {
    let (folder, env) = (TempDir::new().unwrap(), Env::frozen());
    let (store, key) = (Store::in_memory(env.clone()).unwrap(), MasterKey::generate(&env));
    let at = |name: &str| folder.path().join(name);
    store.backup(new(&at("a"), &key)).await.unwrap();
    let first = std::fs::read(at("a")).unwrap();
    let refused = async |backup: NewBackup| store.backup(backup).await.map(|_| ()).unwrap_err().code();
    assert_eq!(refused(new(&at("a"), &key)).await, "conflict");
    assert!(std::fs::read(at("a")).unwrap() == first);
    store.backup(NewBackup { replace: true, ..new(&at("a"), &key) }).await.unwrap();

    std::fs::write(at("mine"), "no backup").unwrap();
    std::os::unix::fs::symlink(at("mine"), at("link")).unwrap();
    for name in ["mine", "link", "."] {
        assert_eq!(refused(NewBackup { replace: true, ..new(&at(name), &key) }).await, "conflict", "{name}");
    }
    assert_eq!(std::fs::read(at("mine")).unwrap(), b"no backup");
    assert_eq!(refused(new(&at("missing/a"), &key)).await, "invalid_input");
    let short = NewBackup { passphrase: Some(Secret::new("too short")), ..new(&at("b"), &key) };
    assert_eq!(refused(short).await, "invalid_input");

    // A leftover gives way; one that is being written does not.
    std::fs::write(at("c.partial"), "half").unwrap();
    let held = std::fs::File::open(at("c.partial")).unwrap();
    held.lock().unwrap();
    assert_eq!(refused(new(&at("c"), &key)).await, "conflict");
    drop(held);
    store.backup(new(&at("c"), &key)).await.unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["a", "c", "link", "mine"]);
}

#[tokio::test]
async fn a_backup_that_was_changed_is_refused_also_with_a_digest_that_fits() {
    let (folder, env) = (TempDir::new().unwrap(), Env::frozen());
    let (store, key) = (Store::in_memory(env.clone()).unwrap(), MasterKey::generate(&env));
    let mut batch = Batch::new();
    batch.create(&person("ada", "ada@example.com")).log(happened("made"));
    store.commit(batch).await.unwrap();
    let (honest, forged) = (folder.path().join("honest"), folder.path().join("forged"));
    store.backup(new(&honest, &key)).await.unwrap();
    // Whoever can write the file can write a backup of their own, sealed under a key of their own.
    let theirs = MasterKey::generate(&env);
    store.backup(new(&forged, &theirs)).await.unwrap();
    assert_eq!(inspect(&forged, Some(&key)).unwrap().authentic, None, "another key says nothing");
    let refused = unpack(&forged, &folder.path().join("x"), &key, &|_, _| {}).unwrap_err();
    assert!(refused.is(&codes::BACKUP_INVALID), "{refused:?}");
    std::fs::remove_file(folder.path().join("x")).unwrap();
    // Every single byte counts, and every length.
    let bytes = std::fs::read(&honest).unwrap();
    for at in (0..bytes.len()).step_by(37).chain(bytes.len() - 64..bytes.len()) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&forged, &damaged).unwrap();
        let error = unpack(&forged, &folder.path().join("x"), &key, &|_, _| {}).map(|_| ()).unwrap_err();
        assert!(error.is(&codes::BACKUP_INVALID) || error.is(&codes::STORAGE_NEWER), "{at}: {error:?}");
        let _ = std::fs::remove_file(folder.path().join("x"));
    }
    for length in [0, 1, 11, 12, 40, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&forged, &bytes[..length]).unwrap();
        assert!(inspect(&forged, None).unwrap_err().is(&codes::BACKUP_INVALID), "cut at {length}");
    }
    unpack(&honest, &folder.path().join("x"), &key, &|_, _| {}).unwrap();
    let restored = Store::open(&folder.path().join("x"), env, options()).unwrap();
    assert_eq!(restored.get::<Person>(id("ada")).await.unwrap().unwrap().email, "ada@example.com");
}

#[tokio::test]
async fn the_master_key_is_in_a_backup_only_under_a_passphrase() {
    let (folder, env) = (TempDir::new().unwrap(), Env::frozen());
    let (store, key) = (Store::in_memory(env.clone()).unwrap(), MasterKey::generate(&env));
    let passphrase = Secret::new("five random words are good");
    let (bare, with) = (folder.path().join("bare"), folder.path().join("with"));
    store.backup(new(&bare, &key)).await.unwrap();
    store.backup(NewBackup { passphrase: Some(passphrase.clone()), ..new(&with, &key) }).await.unwrap();
    let encoded = key.encoded();
    for path in [&bare, &with] {
        let bytes = std::fs::read(path).unwrap();
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!has(encoded.expose().as_bytes()) && !has(passphrase.expose().as_bytes()));
    }
    assert!(read_header(&bare).unwrap().unwrap_key(&passphrase).unwrap().is_none());
    let header = read_header(&with).unwrap();
    assert_eq!(header.unwrap_key(&passphrase).unwrap().unwrap().expose(), encoded.expose());
    assert!(header.unwrap_key(&Secret::new("five random words are bad!")).unwrap_err().is(&codes::PASSPHRASE_WRONG));
    let mut moved = header;
    moved.log_seq += 1;
    assert!(moved.unwrap_key(&passphrase).unwrap_err().is(&codes::PASSPHRASE_WRONG), "bound to its header");
}

#[tokio::test]
async fn a_restore_tells_how_far_it_is() {
    let world = World::new();
    let (folder, key) = (TempDir::new().unwrap(), MasterKey::generate(&world.env));
    let store = Store::open(&folder.path().join("a.redb"), world.env.clone(), options()).unwrap();
    for n in 0..40 {
        let mut batch = Batch::new();
        let detail = vec![n; 512 * 1024];
        batch.log(LogEntry { kind: "made".to_owned(), org: None, envelope: vec![n], detail });
        store.commit(batch).await.unwrap();
    }
    let target = folder.path().join("a.backup");
    let made = store.backup(new(&target, &key)).await.unwrap();
    store.close().await;
    let told = Mutex::new(Vec::new());
    unpack(&target, &folder.path().join("b.redb"), &key, &|read, all| told.lock().unwrap().push((read, all))).unwrap();
    let told = told.into_inner().unwrap();
    assert!(told.len() >= 3, "{told:?}");
    assert!(told.is_sorted() && told.iter().all(|(read, all)| read <= all && *all == made.bytes), "{told:?}");
}
