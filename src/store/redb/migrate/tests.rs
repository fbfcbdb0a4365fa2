//! A crash at any moment of an upgrade leaves the file wholly before a step or wholly behind it.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tempfile::TempDir;

use super::*;
use crate::store::redb::tests::{Disk, Weather};
use crate::store::{Batch, Index, Key, Life, LogEntry, Options, Query, Record, Reencode, Store};

/// A record of the layout before: the number of a role.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Then {
    #[n(0)]
    id: u32,
    #[n(1)]
    role: u8,
}

/// The same of now: its name, and an index by it.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
struct Now {
    #[n(0)]
    id: u32,
    #[n(1)]
    role: String,
}

impl Record for Then {
    const KIND: &'static str = "member";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.to_be_bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::unique("id", self.id.to_be_bytes()), Index::many("old", b"")]
    }
}

impl Record for Now {
    const KIND: &'static str = "member";
    const SHAPE: u16 = 2;
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.to_be_bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![
            Index::unique("id", self.id.to_be_bytes()),
            Index::many("role", &self.role),
            Index::ordered("by", &self.role),
        ]
    }
    fn upgrade(_: u16, bytes: &[u8]) -> crate::error::Result<Self> {
        let then: Then = minicbor::decode(bytes).map_err(crate::error::Error::bug)?;
        Ok(Self { id: then.id, role: format!("role {}", then.role) })
    }
}

const MEMBERS: u32 = 300;

/// A closed file of layout 1.
async fn of_layout_one(path: &Path) {
    let store = Store::open(path, Env::frozen(), Options::new([7; 32])).unwrap();
    for piece in 0..3 {
        let mut batch = Batch::new();
        for id in piece * MEMBERS / 3..(piece + 1) * MEMBERS / 3 {
            batch.create(&Then { id, role: (id % 3) as u8 });
        }
        batch.log(LogEntry { kind: "made".to_owned(), org: None, envelope: vec![1], detail: vec![2] });
        store.commit(batch).await.unwrap();
    }
    store.close().await;
    let (file, _) = existing(path).unwrap();
    let (database, _) = file::open_any(FileBackend::new(file).unwrap(), CACHE, false).unwrap();
    set_layout(&database, 1);
}

fn set_layout(database: &Database, schema: u32) {
    let transaction = write_transaction(database).unwrap();
    Tables::open(&transaction).unwrap().put_schema(schema).unwrap();
    transaction.commit().unwrap();
}

fn options() -> Options {
    Options { reencode: vec![Reencode::of::<Now>()], ..Options::new([7; 32]) }
}

/// Every row is of now, found by every index of now and by none of then.
async fn is_of_now(store: &Store) {
    let all = store.page::<Now>(Query::all().limit(1000)).await.unwrap();
    assert!(all.items.iter().all(|member| member.role == format!("role {}", member.id % 3)));
    assert_eq!(store.counts().await.unwrap()["member"], u64::from(MEMBERS));
    assert_eq!(store.count_by::<Now>("old", b"").await.unwrap(), 0);
    for role in 0..3 {
        assert_eq!(store.count_by::<Now>("role", format!("role {role}")).await.unwrap(), u64::from(MEMBERS / 3));
    }
    assert_eq!(store.find::<Now>("id", 7u32.to_be_bytes()).await.unwrap().unwrap().id, 7);
    assert_eq!(store.verify_log().await.unwrap().broken, None);
}

#[tokio::test]
async fn a_file_of_an_earlier_layout_is_copied_and_brought_forward_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    of_layout_one(&path).await;
    let before = std::fs::read(&path).unwrap();
    let store = Store::open(&path, Env::frozen(), options()).unwrap();
    let upgraded = store.upgraded().unwrap().clone();
    assert_eq!((upgraded.from, upgraded.to, upgraded.rows), (1, layout::SCHEMA, u64::from(MEMBERS)));
    is_of_now(&store).await;
    let revision = store.get::<Now>(Key::from_bytes(7u32.to_be_bytes())).await.unwrap().unwrap().revision;
    assert_eq!(revision.0, 1, "who holds a revision still holds it");
    store.close().await;
    let kept = upgraded.before.unwrap();
    assert!(std::fs::read(&kept).unwrap() == before, "the way back is the file as it was");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let store = Store::open(&path, Env::frozen(), options()).unwrap();
    assert_eq!(store.upgraded(), None, "the second start has nothing to do");
    store.close().await;
    assert_eq!(copies(&path).len(), 1);
}

#[tokio::test]
async fn r_21_a_kill_behind_an_upgrade_leaves_nothing_to_repair() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    of_layout_one(&path).await;
    let (file, _) = existing(&path).unwrap();
    let (database, _) = file::open_any(FileBackend::new(file).unwrap(), CACHE, false).unwrap();
    migrate(&database, &options().reencode, Env::frozen().now()).unwrap();
    crate::store::redb::tests::opens_at_once_after_a_kill(&path, "an upgrade");
}

#[tokio::test]
async fn r_02_a_failure_at_any_write_of_an_upgrade_leaves_the_old_or_the_new() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    of_layout_one(&path).await;
    let old = std::fs::read(&path).unwrap();
    let weather = Weather::fair();
    let (mut n, mut done, mut kept_old) = (0, false, 0);
    while !done {
        std::fs::write(&path, &old).unwrap();
        let (file, _) = existing(&path).unwrap();
        let disk = Disk { file: FileBackend::new(file).unwrap(), weather: Arc::clone(&weather) };
        // A small cache, so that the step writes all the while.
        let (database, _) = file::open_any(disk, 64 * 1024, false).unwrap();
        let countdown = if n % 4 == 3 { &weather.sync } else { &weather.write };
        let at = if n % 4 == 3 { n / 4 } else { n - n / 4 };
        countdown.store(at, Ordering::SeqCst);
        let migrated = guarded(|| migrate(&database, &options().reencode, Env::frozen().now()));
        done = countdown.load(Ordering::SeqCst) >= 0 && n > 100;
        drop(database);
        weather.sync.store(-1, Ordering::SeqCst);
        weather.write.store(-1, Ordering::SeqCst);

        let (found, _) = peek(&path).unwrap_or_else(|e| panic!("{n}: {e:?}"));
        kept_old += u32::from(found == 1);
        assert!(found == layout::SCHEMA || migrated.is_err(), "{n}: told as done, and not done");
        if n % 20 == 0 || found != 1 {
            let store = Store::open(&path, Env::frozen(), Options { keep_before: false, ..options() }).unwrap();
            is_of_now(&store).await;
            store.close().await;
        }
        n += if n < 110 { 1 } else { 29 };
        assert!(n < 20_000, "it never succeeds");
    }
    assert!(n > 100 && kept_old > 50, "{n} failures, {kept_old} kept the old");
}

#[tokio::test]
async fn tries_that_fail_again_and_again_make_one_copy_and_old_copies_go() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    of_layout_one(&path).await;
    let env = Env::frozen();
    // A kind that cannot be read as it is registered.
    #[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
    struct Wrong {
        #[n(0)]
        id: String,
    }
    impl Record for Wrong {
        const KIND: &'static str = "member";
        const LIFE: Life = Life::Kept;
        fn key(&self) -> Key {
            Key::default()
        }
    }
    for _ in 0..3 {
        env.advance(std::time::Duration::from_secs(60));
        let wrong = Options { reencode: vec![Reencode::of::<Wrong>()], ..options() };
        assert!(Store::open(&path, env.clone(), wrong).err().unwrap().is(&crate::error::codes::STORAGE_CORRUPT));
        assert_eq!(peek(&path).unwrap().0, 1);
    }
    assert_eq!(copies(&path).len(), 1);
    for upgrade in 0..5 {
        env.advance(std::time::Duration::from_secs(60));
        let store = Store::open(&path, env.clone(), options()).unwrap();
        store
            .commit(
                Batch::new().log(LogEntry { kind: "x".into(), org: None, envelope: vec![], detail: vec![] }).clone(),
            )
            .await
            .unwrap();
        store.close().await;
        assert!(copies(&path).len() <= KEPT, "{upgrade}");
        let (file, _) = existing(&path).unwrap();
        let (database, _) = file::open_any(FileBackend::new(file).unwrap(), CACHE, false).unwrap();
        set_layout(&database, 1);
    }
    assert_eq!(copies(&path).len(), KEPT);
}

#[tokio::test]
async fn r_13_a_newer_layout_is_refused_and_not_a_byte_is_changed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    of_layout_one(&path).await;
    let (file, _) = existing(&path).unwrap();
    let (database, _) = file::open_any(FileBackend::new(file).unwrap(), CACHE, false).unwrap();
    set_layout(&database, layout::SCHEMA + 1);
    // Also of one that was not closed in order.
    let unclean = std::fs::read(&path).unwrap();
    drop(database);
    let clean = std::fs::read(&path).unwrap();
    for bytes in [clean, unclean] {
        std::fs::write(&path, &bytes).unwrap();
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        let refused = Store::open(&path, Env::frozen(), options()).err().unwrap();
        assert!(refused.is(&crate::error::codes::STORAGE_NEWER), "{refused:?}");
        assert!(std::fs::read(&path).unwrap() == bytes);
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), time, "nothing was written at all");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
