//! Files that are not as authd left them: an answer in words, no panic, nothing silently different.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use authd::error::{Error, codes};
use authd::store::{Batch, Query, Store};
use rand::{Rng, SeedableRng, rngs::StdRng};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

use super::{Bed, OnDisk, Person, Ticket, World, happened, options, person};

fn open(path: &Path) -> Result<Store, Error> {
    Store::open(path, World::new().env, options())
}

#[track_caller]
fn refused(path: &Path, code: &'static authd::error::Code) {
    match open(path) {
        Ok(_) => panic!("it was opened"),
        Err(error) => assert!(error.is(code), "{error:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_open_is_in_use() {
    let bed = OnDisk::new(&World::new());
    refused(&bed.path(), &codes::DATA_DIR_IN_USE);
    bed.store().close().await;
    let again = open(&bed.path()).unwrap();
    refused(&bed.path(), &codes::DATA_DIR_IN_USE);
    drop(again);
    drop(open(&bed.path()).unwrap());
}

#[tokio::test]
async fn the_file_is_for_its_owner_only() {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let bed = OnDisk::new(&World::new());
    assert_eq!(mode(&bed.path()), 0o600);
    bed.store().close().await;
    std::fs::set_permissions(bed.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let again = open(&bed.path()).unwrap();
    assert_eq!(mode(&bed.path()), 0o600);
    drop(again);
}

#[tokio::test]
async fn a_start_that_was_interrupted_leaves_nothing_in_the_way() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("authd.redb");
    let leftover = folder.path().join("authd.redb.0123456789abcdef.new");
    let mine = folder.path().join("authd.redb.backup");
    std::fs::write(&leftover, b"half").unwrap();
    std::fs::write(&mine, b"mine").unwrap();
    drop(open(&path).unwrap());
    assert!(!leftover.exists() && mine.exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn what_is_no_store_is_damaged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("authd.redb");
    std::fs::write(&path, b"").unwrap();
    refused(&path, &codes::STORAGE_CORRUPT);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0, "it was left alone");
    for foreign in [b"SQLite format 3\0".repeat(1000), vec![0; 9], vec![0; 100_000], b"{}".to_vec()] {
        std::fs::write(&path, &foreign).unwrap();
        refused(&path, &codes::STORAGE_CORRUPT);
        assert_eq!(std::fs::read(&path).unwrap(), foreign, "it was left alone");
    }
    // Of redb, but not of authd.
    std::fs::remove_file(&path).unwrap();
    drop(Database::create(&path).unwrap());
    refused(&path, &codes::STORAGE_CORRUPT);

    refused(folder.path(), &codes::STORAGE_ERROR);
    refused(&folder.path().join("missing/authd.redb"), &codes::STORAGE_ERROR);
}

#[tokio::test]
async fn a_newer_layout_is_left_alone() {
    const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
    let bed = OnDisk::new(&World::new());
    bed.store().close().await;
    for (schema, code) in [(u32::MAX, &codes::STORAGE_NEWER), (0, &codes::STORAGE_CORRUPT)] {
        let database = Database::open(bed.path()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "this is the newer authd")]
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("schema", &schema.to_be_bytes()[..]).unwrap();
        transaction.commit().unwrap();
        drop(database);
        refused(&bed.path(), code);
    }
}

/// Whether as much is damaged as for a release: `AUTHD_DAMAGE=full`.
#[expect(clippy::disallowed_methods, reason = "how a test is told what to do")]
fn full() -> bool {
    std::env::var("AUTHD_DAMAGE").is_ok_and(|text| text == "full")
}

/// Everything that can be read, in words.
async fn dump(store: &Store) -> Result<String, Error> {
    let persons = store.page::<Person>(Query::all().limit(1000)).await?;
    let by_team = store.page::<Person>(Query::by("team", "t").limit(1000)).await?;
    let tickets = store.page::<Ticket>(Query::all().limit(1000)).await?;
    let mut found = BTreeMap::new();
    for person in &persons.items {
        found.insert(person.email.clone(), store.find::<Person>("email", &person.email).await?.map(|p| p.value));
    }
    let report = store.verify_log().await?;
    if let Some((_, why)) = report.broken {
        return Err(Error::new(&codes::STORAGE_CORRUPT).because(why));
    }
    let log = store.tail(0, 1000, None).await?;
    Ok(format!("{persons:?} {by_team:?} {tickets:?} {found:?} {log:?} {:?}", store.counts().await?))
}

/// A closed store of some size, with its dump.
async fn filled() -> (OnDisk, Vec<u8>, String) {
    let bed = OnDisk::new(&World::new());
    for n in 0..40u32 {
        let mut batch = Batch::new();
        batch.create(&person(&format!("{n}"), &format!("{n}@example.com")));
        batch.create(&Ticket { id: n, until: Some(World::time(60)) });
        bed.store().commit(batch.log(happened("made")).clone()).await.unwrap();
    }
    let dump = dump(&bed.store()).await.unwrap();
    bed.store().close().await;
    let bytes = std::fs::read(bed.path()).unwrap();
    (bed, bytes, dump)
}

/// Opens a damaged copy: true when it holds the same, false when it is refused in words.
async fn same_or_refused(path: &Path, bytes: &[u8], dump_before: &str, what: &str) -> bool {
    std::fs::write(path, bytes).unwrap();
    let store = match open(path) {
        Ok(store) => store,
        Err(error) => {
            assert!(error.is(&codes::STORAGE_CORRUPT), "{what}: {error:?}");
            return false;
        }
    };
    match dump(&store).await {
        Ok(dump) => {
            assert_eq!(dump, dump_before, "{what}: silently different");
            true
        }
        Err(error) => {
            assert!(error.is(&codes::STORAGE_CORRUPT), "{what}: {error:?}");
            false
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found_or_harmless() {
    let (bed, bytes, dump) = filled().await;
    let mut random = StdRng::seed_from_u64(6);
    let copy = bed.folder.path().join("copy");
    // Most of a young file is empty; these are the offsets that hold something, or once did.
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    for round in 0..if full() { 1000 } else { 80 } {
        let some = used[random.random_range(0..used.len())];
        let at = if round % 4 == 0 { random.random_range(0..bytes.len()) } else { some };
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << random.random_range(0..8);
        same_or_refused(&copy, &damaged, &dump, &format!("bit at {at}")).await;
    }
    // One address stands in its row and in its index, and in the freed pages of earlier commits.
    let address = b"17@example.com";
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(address)).collect();
    let mut found = 0;
    for at in &places {
        let mut damaged = bytes.clone();
        damaged[*at] ^= 1;
        found += usize::from(!same_or_refused(&copy, &damaged, &dump, &format!("address at {at}")).await);
    }
    assert!(found >= 2, "{found} of {}", places.len());
}

#[tokio::test]
async fn a_truncated_file_is_damaged() {
    let (bed, bytes, dump) = filled().await;
    let mut random = StdRng::seed_from_u64(7);
    let copy = bed.folder.path().join("copy");
    let lengths = [1, 8, 9, 319, 320, 4095, 4096, bytes.len() - 1, bytes.len() - 4096];
    for length in
        lengths.into_iter().chain((0..if full() { 100 } else { 20 }).map(|_| random.random_range(1..bytes.len())))
    {
        assert!(!same_or_refused(&copy, &bytes[..length], &dump, &format!("cut at {length}")).await, "cut at {length}");
    }
}
