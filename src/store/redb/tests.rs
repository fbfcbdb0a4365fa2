//! Disks that fail: what was acknowledged is there, what was not is there wholly or not at all, and the store goes on
//! by itself.

use std::io::{Error as IoError, ErrorKind, Result as IoResult};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use tempfile::TempDir;

use super::*;
use crate::store::record::Life;
use crate::store::{Index, LogEntry, Query, Record, Store};

#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
struct Note {
    #[n(0)]
    id: u32,
    #[n(1)]
    text: String,
}

impl Record for Note {
    const KIND: &'static str = "note";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.to_be_bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::unique("id", self.id.to_be_bytes()), Index::many("all", b"")]
    }
}

/// A note of `size` bytes with its event.
fn note(id: u32, size: usize) -> Batch {
    let mut batch = Batch::new();
    batch.create(&Note { id, text: "x".repeat(size) });
    batch.log(LogEntry {
        kind: "note.made".to_owned(),
        org: None,
        envelope: id.to_be_bytes().to_vec(),
        detail: vec![],
    });
    batch
}

/// What can go wrong with a disk, set from outside.
#[derive(Debug, Default)]
pub(super) struct Weather {
    /// The n-th sync from now fails; none when it is negative.
    pub(super) sync: AtomicI64,
    /// The n-th write from now fails.
    pub(super) write: AtomicI64,
    /// The n-th read from now fails.
    read: AtomicI64,
    /// No block behind this one can be written; 0 for no limit.
    space: AtomicU64,
    /// Nothing can be written at all.
    read_only: AtomicBool,
}

impl Weather {
    pub(super) fn fair() -> Arc<Self> {
        let weather = Self::default();
        for countdown in [&weather.sync, &weather.write, &weather.read] {
            countdown.store(-1, Ordering::SeqCst);
        }
        Arc::new(weather)
    }

    fn strikes(countdown: &AtomicI64) -> IoResult<()> {
        if countdown.load(Ordering::SeqCst) >= 0 && countdown.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(IoError::other("injected"));
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) file: FileBackend,
    pub(super) weather: Arc<Weather>,
}

impl StorageBackend for Disk {
    fn len(&self) -> IoResult<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> IoResult<()> {
        Weather::strikes(&self.weather.read)?;
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> IoResult<()> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> IoResult<()> {
        Weather::strikes(&self.weather.sync)?;
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> IoResult<()> {
        Weather::strikes(&self.weather.write)?;
        let space = self.weather.space.load(Ordering::SeqCst);
        if space > 0 && offset + data.len() as u64 > space {
            return Err(IoError::from(ErrorKind::StorageFull));
        }
        if self.weather.read_only.load(Ordering::SeqCst) {
            return Err(IoError::from(ErrorKind::ReadOnlyFilesystem));
        }
        self.file.write(offset, data)
    }
    fn close(&self) -> IoResult<()> {
        self.file.close()
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}

/// A store on a disk with weather.
fn stormy(folder: &TempDir, cache_bytes: usize) -> (Store, Arc<Weather>) {
    let (env, weather, path) = (Env::frozen(), Weather::fair(), folder.path().join("db"));
    drop(file::on_disk(&path, &env, cache_bytes).unwrap());
    let outside = Arc::clone(&weather);
    let opener: Opener = Box::new(move |_| {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        file::open(Disk { file: FileBackend::new(file)?, weather: Arc::clone(&outside) }, cache_bytes, false)
    });
    let redb = Redb::start(opener, env.clone()).unwrap();
    (Store::on(Arc::new(redb), env, &[7; 32]).unwrap(), weather)
}

/// Every note has its event and the other way round, the chain holds, and every note of `acked` is there.
async fn check(store: &Store, acked: &[u32]) {
    let mut notes = Vec::new();
    let mut query = Query::all().limit(1000);
    loop {
        let page = store.page::<Note>(query.clone()).await.unwrap();
        notes.extend(page.items.iter().map(|note| note.id));
        match page.next {
            Some(next) => query = query.after(Some(next)),
            None => break,
        }
    }
    let mut events = Vec::new();
    loop {
        let rows = store.tail(events.len() as u64, 1000, None).await.unwrap();
        if rows.is_empty() {
            break;
        }
        events.extend(rows.iter().map(|r| u32::from_be_bytes(r.row.envelope.as_slice().try_into().unwrap())));
    }
    events.sort_unstable();
    assert_eq!(notes, events, "a note without its event, or an event without its note");
    for id in acked {
        assert!(notes.binary_search(id).is_ok(), "{id} was acknowledged and is lost");
    }
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.broken, report.rows), (None, events.len() as u64));
    assert_eq!(store.log_seq(), events.len() as u64);
    assert_eq!(store.counts().await.unwrap().get("note").copied().unwrap_or(0), notes.len() as u64);
    assert_eq!(store.count_by::<Note>("all", b"").await.unwrap(), notes.len() as u64);
}

#[tokio::test]
async fn after_a_failed_sync_or_write_nothing_is_acknowledged_and_the_store_goes_on() {
    let folder = TempDir::new().unwrap();
    let (store, weather) = stormy(&folder, 1024 * 1024);
    let (mut acked, mut failures) = (Vec::new(), 0);
    for n in 0..60u32 {
        let countdown = if n % 2 == 0 { &weather.sync } else { &weather.write };
        countdown.store(i64::from(n / 2 % 10), Ordering::SeqCst);
        for id in n * 10..n * 10 + 6 {
            match store.commit(note(id, 200)).await {
                Ok(_) => acked.push(id),
                Err(Refused::Storage { full: false, cause }) => {
                    assert!(cause.contains("injected"), "{cause}");
                    failures += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        weather.sync.store(-1, Ordering::SeqCst);
        weather.write.store(-1, Ordering::SeqCst);
        let id = n * 10 + 9;
        store.commit(note(id, 200)).await.expect("the store goes on");
        acked.push(id);
    }
    assert!(failures > 20, "the weather was too fair: {failures}");
    check(&store, &acked).await;
    drop(store);
    let (store, _) = stormy(&folder, 1024 * 1024);
    check(&store, &acked).await;
}

#[tokio::test]
async fn a_failed_read_is_repeated_on_a_database_opened_anew() {
    let folder = TempDir::new().unwrap();
    // So small a cache that reads reach the disk.
    let (store, weather) = stormy(&folder, 8 * 1024);
    for id in 0..200 {
        store.commit(note(id, 500)).await.unwrap();
    }
    for n in 0..10 {
        weather.read.store(n, Ordering::SeqCst);
        for id in 0..200u32 {
            let note = store.get::<Note>(Key::from_bytes(id.to_be_bytes())).await.unwrap();
            assert_eq!(note.unwrap().id, id);
        }
        assert!(weather.read.load(Ordering::SeqCst) < 0, "nothing was read");
        store.commit(note(1000 + n as u32, 10)).await.unwrap();
    }
    weather.read.store(-1, Ordering::SeqCst);
    check(&store, &[0, 199, 1000, 1009]).await;
}

#[tokio::test]
async fn a_full_disk_refuses_writes_answers_reads_and_recovers_without_a_restart() {
    let folder = TempDir::new().unwrap();
    let (store, weather) = stormy(&folder, 1024 * 1024);
    store.commit(note(0, 100)).await.unwrap();
    let used = std::fs::metadata(folder.path().join("db")).unwrap().len();
    weather.space.store(used, Ordering::SeqCst);
    let mut acked = vec![0];
    let mut refused = 0;
    for id in 1..100 {
        match store.commit(note(id, 100_000)).await {
            Ok(_) => acked.push(id),
            Err(Refused::Storage { full, .. }) => {
                assert!(full);
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
        if refused == 10 {
            break;
        }
        assert_eq!(store.get::<Note>(Key::from_bytes(0u32.to_be_bytes())).await.unwrap().unwrap().id, 0);
    }
    assert_eq!(refused, 10);
    assert!(store.health().unwrap_err().is(&crate::error::codes::STORAGE_FULL));
    check(&store, &acked).await;
    weather.space.store(0, Ordering::SeqCst);
    store.commit(note(1000, 100_000)).await.expect("there is space again");
    store.health().unwrap();
    acked.push(1000);
    check(&store, &acked).await;
}

#[tokio::test]
async fn a_disk_that_refuses_every_write_is_tried_again_at_every_access() {
    let folder = TempDir::new().unwrap();
    let (store, weather) = stormy(&folder, 1024 * 1024);
    store.commit(note(0, 100)).await.unwrap();
    weather.read_only.store(true, Ordering::SeqCst);
    for id in 1..4 {
        assert!(matches!(store.commit(note(id, 100)).await, Err(Refused::Storage { full: false, .. })));
        let _ = store.get::<Note>(Key::from_bytes(0u32.to_be_bytes())).await;
    }
    weather.read_only.store(false, Ordering::SeqCst);
    assert_eq!(store.get::<Note>(Key::from_bytes(0u32.to_be_bytes())).await.unwrap().unwrap().id, 0);
    store.commit(note(9, 100)).await.expect("it can be written again");
    check(&store, &[0, 9]).await;
}

/// The file as a kill at this moment would leave it can be opened without walking through it.
pub(super) fn opens_at_once_after_a_kill(path: &Path, when: &str) {
    let left = path.with_extension("left");
    std::fs::copy(path, &left).unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&left).unwrap();
    let mut builder = redb::Builder::new();
    builder.set_repair_callback(|repair| repair.abort());
    let opened = builder.create_with_backend(FileBackend::new(file).unwrap());
    assert!(opened.is_ok(), "{when}: {:?}", opened.err());
}

#[tokio::test]
async fn r_21_whatever_was_done_last_a_kill_leaves_nothing_to_repair() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("db");
    let (store, weather) = stormy(&folder, 64 * 1024);
    let now = |when: &str| opens_at_once_after_a_kill(&path, when);
    now("a new file was opened");
    for id in 0..20 {
        store.commit(note(id, 50_000)).await.unwrap();
        now("a commit");
    }
    store.commit(note(0, 10)).await.unwrap_err();
    now("a commit that was refused");
    let row = store.get::<Note>(Key::from_bytes(1u32.to_be_bytes())).await.unwrap().unwrap();
    let mut batch = Batch::new();
    batch.delete::<Note>(row.key(), row.revision);
    batch.log(LogEntry { kind: "note.gone".to_owned(), org: None, envelope: vec![1], detail: vec![] });
    store.commit(batch).await.unwrap();
    now("a row was deleted");
    store.sweep().await.unwrap();
    now("a sweep");
    for id in 100..110 {
        weather.sync.store(i64::from(id % 2), Ordering::SeqCst);
        store.commit(note(id, 50_000)).await.unwrap_err();
        weather.sync.store(-1, Ordering::SeqCst);
        now("a commit that failed");
        let _ = store.counts().await;
        now("the file was opened again");
    }
    store.close().await;
    drop(store);
    now("it was closed");
}

#[tokio::test]
async fn a_failure_in_a_group_is_the_answer_to_the_whole_group() {
    let folder = TempDir::new().unwrap();
    let (env, weather, path) = (Env::frozen(), Weather::fair(), folder.path().join("db"));
    drop(file::on_disk(&path, &env, 1024 * 1024).unwrap());
    let outside = Arc::clone(&weather);
    let redb = Redb::start(
        Box::new(move |_| {
            let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
            file::open(Disk { file: FileBackend::new(file)?, weather: Arc::clone(&outside) }, 1024 * 1024, false)
        }),
        env,
    )
    .unwrap();
    weather.write.store(0, Ordering::SeqCst);
    // The third is refused because of the first, which is not written: so that is no answer either.
    let outcomes = redb.apply(&[note(1, 10), note(2, 10), note(1, 10)]);
    assert!(outcomes.iter().all(|o| matches!(o, Err(Refused::Storage { .. }))), "{outcomes:?}");
    let outcomes = redb.apply(&[note(1, 10), note(2, 10), note(1, 10)]);
    assert_eq!(outcomes[..2], [Ok(Seq(1)), Ok(Seq(2))]);
    assert_eq!(outcomes[2], Err(Refused::Taken { kind: "note", index: "key".to_owned() }));
}

/// The real thing, where the test may mount one.
#[tokio::test]
async fn a_small_file_system_fills_up_and_is_freed() {
    let folder = TempDir::new().unwrap();
    let mount = |args: &[&str]| {
        let done = std::process::Command::new(args[0]).args(&args[1..]).arg(folder.path()).output();
        done.is_ok_and(|done| done.status.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs"]) {
        eprintln!("skipped: this user may not mount a file system");
        return;
    }
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 2 * 1024 * 1024]).unwrap();
    let env = Env::frozen();
    let path = folder.path().join("db");
    let store = Store::open(&path, env.clone(), crate::store::Options::new([7; 32])).unwrap();
    let (mut acked, mut refused, mut id) = (Vec::new(), 0, 0);
    while refused < 20 {
        id += 1;
        match store.commit(note(id, 50_000)).await {
            Ok(_) => acked.push(id),
            Err(Refused::Storage { full: true, .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(id < 1000, "the disk never filled up");
    }
    // Reads go on while it is full.
    check(&store, &acked).await;
    std::fs::remove_file(&ballast).unwrap();
    store.commit(note(5000, 50_000)).await.expect("there is space again");
    acked.push(5000);
    check(&store, &acked).await;
    store.close().await;
    drop(store);
    let store = Store::open(&path, env, crate::store::Options::new([7; 32])).unwrap();
    check(&store, &acked).await;
    drop(store);
    assert!(mount(&["umount"]));
}

#[test]
fn what_a_panic_says_is_a_fault() {
    let fault = guarded::<()>(|| panic!("page {}", 7)).unwrap_err();
    assert_eq!((fault.nature, fault.cause.as_str()), (Nature::Corrupt, "redb panicked: page 7"));
}
