//! kill −9 at any time of an upgrade. The next start finishes it, or does it anew; nothing is lost, the way back is
//! there, and what the killed ones left does not stay.
//!
//! The test starts this same test binary again as its victim, which runs only `victim` below. It is killed while it copies
//! the file, while it writes rows anew, and at any time. `AUTHD_KILLS` sets how often (9 unless set).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use authd::env::Env;
use authd::store::{Batch, Index, Key, Life, Options, Query, Record, Reencode, Store};
use rand::Rng;
use redb::TableDefinition;
use tempfile::TempDir;

use super::happened;

const FOLDER: &str = "AUTHD_KILL_UPGRADE";
const MEMBERS: u32 = 3_000;

/// A record of the layout before: the number of a role.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Then {
    #[n(0)]
    id: u32,
    #[n(1)]
    role: u8,
    #[n(2)]
    note: String,
}

/// The same of now: its name, and an index by it.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Now {
    #[n(0)]
    id: u32,
    #[n(1)]
    role: String,
    #[n(2)]
    note: String,
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
        vec![Index::unique("id", self.id.to_be_bytes()), Index::many("role", &self.role)]
    }
    fn upgrade(_: u16, bytes: &[u8]) -> authd::error::Result<Self> {
        let then: Then = minicbor::decode(bytes).map_err(authd::error::Error::bug)?;
        Ok(Self { id: then.id, role: format!("role {}", then.role), note: then.note })
    }
}

fn options() -> Options {
    Options { reencode: vec![Reencode::of::<Now>()], ..Options::new([7; 32]) }
}

fn note(id: u32) -> String {
    format!("{id} {}", "x".repeat(500))
}

/// A closed file of the first layout.
#[expect(clippy::disallowed_methods, reason = "a file of an older layout is not made by today's store")]
async fn of_the_first_layout(path: &Path) {
    let store = Store::open(path, Env::frozen(), Options::new([7; 32])).unwrap();
    for piece in 0..MEMBERS / 1000 {
        let mut batch = Batch::new();
        for id in piece * 1000..(piece + 1) * 1000 {
            batch.create(&Then { id, role: (id % 3) as u8, note: note(id) });
        }
        batch.log(happened("made"));
        store.commit(batch).await.unwrap();
    }
    store.close().await;
    let database = redb::Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = TableDefinition::<&str, &[u8]>::new("meta");
    transaction.open_table(meta).unwrap().insert("schema", &1u32.to_be_bytes()[..]).unwrap();
    transaction.commit().unwrap();
}

#[test]
#[ignore = "the victim of `r_13_no_kill_in_an_upgrade_loses_anything`"]
fn victim() {
    #[expect(clippy::disallowed_methods, reason = "how a test is told what to do")]
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let store = Store::open(&PathBuf::from(folder).join("db"), Env::frozen(), options());
    // Whoever comes so far waits for the end.
    std::thread::sleep(Duration::from_secs(60));
    drop(store);
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["store::kill_upgrade::victim", "--exact", "--ignored", "--quiet"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The names in the folder that end or contain that.
fn named(folder: &Path, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| fits(path.file_name().unwrap().to_str().unwrap())).collect()
}

fn aside(folder: &Path) -> Vec<PathBuf> {
    named(folder, |name| name.ends_with(".new"))
}

fn copies(folder: &Path) -> Vec<PathBuf> {
    named(folder, |name| name.contains(".before-1-"))
}

/// Waits until there is such a file; how far the victim had come is the machine's business.
fn wait(what: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

#[tokio::test]
async fn r_13_no_kill_in_an_upgrade_loses_anything() {
    #[expect(clippy::disallowed_methods, reason = "how a test is told what to do")]
    let kills: u32 = std::env::var("AUTHD_KILLS").map_or(9, |n| n.parse().unwrap());
    let origin = TempDir::new().unwrap();
    of_the_first_layout(&origin.path().join("db")).await;
    let old = std::fs::read(origin.path().join("db")).unwrap();
    let (mut copying, mut writing, mut before, mut behind) = (0, 0, 0, 0);
    for round in 0..kills {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("db");
        std::fs::write(&path, &old).unwrap();
        // One start after the other is killed, and the last one is not.
        for _ in 0..rand::rng().random_range(1..=3) {
            let mut victim = start(folder.path());
            match round % 3 {
                0 => wait(|| !aside(folder.path()).is_empty() || !copies(folder.path()).is_empty()),
                1 => {
                    wait(|| !copies(folder.path()).is_empty());
                    std::thread::sleep(Duration::from_millis(rand::rng().random_range(0..=400)));
                }
                _ => std::thread::sleep(Duration::from_millis(rand::rng().random_range(1..=600))),
            }
            victim.kill().unwrap();
            victim.wait().unwrap();
            assert!(aside(folder.path()).len() <= 1, "round {round}: killed starts pile up what they had begun");
            copying += usize::from(!aside(folder.path()).is_empty());
        }
        let copied = copies(folder.path());
        assert!(copied.len() <= 1, "round {round}: one state, one copy: {copied:?}");
        for copy in &copied {
            assert!(std::fs::read(copy).unwrap() == old, "round {round}: the way back is not the file as it was");
        }
        writing += usize::from(!copied.is_empty());

        let store = Store::open(&path, Env::frozen(), options()).unwrap_or_else(|e| panic!("round {round}: {e:?}"));
        match store.upgraded() {
            Some(upgraded) => {
                before += 1;
                assert_eq!((upgraded.from, upgraded.rows), (1, u64::from(MEMBERS)), "round {round}");
            }
            // The victim came as far as the end.
            None => behind += 1,
        }
        let mut found = 0;
        let mut query = Query::all().limit(1000);
        loop {
            let page = store.page::<Now>(query.clone()).await.unwrap();
            for member in &page.items {
                assert_eq!((&member.role, &member.note), (&format!("role {}", member.id % 3), &note(member.id)));
            }
            found += page.items.len();
            let Some(next) = page.next else { break };
            query = query.after(Some(next));
        }
        assert_eq!(found, MEMBERS as usize, "round {round}");
        assert_eq!(store.count_by::<Now>("old", b"").await.unwrap(), 0);
        for role in 0..3 {
            let named = store.count_by::<Now>("role", format!("role {role}")).await.unwrap();
            assert_eq!(named, u64::from(MEMBERS / 3), "round {round}");
        }
        let report = store.verify_log().await.unwrap();
        assert_eq!((report.broken, report.rows), (None, u64::from(MEMBERS / 1000)), "round {round}");
        store.close().await;
        let copied = copies(folder.path());
        assert_eq!((copied.len(), aside(folder.path()).len()), (1, 0), "round {round}");
        assert!(std::fs::read(&copied[0]).unwrap() == old, "round {round}");
    }
    assert!(before > 0, "no kill came before the end of an upgrade");
    println!(
        "{kills} rounds: {copying} kills while copying, {writing} with the copy made, {before} upgrades done anew, {behind} done by then"
    );
}
