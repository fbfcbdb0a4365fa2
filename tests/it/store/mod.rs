//! The store, from outside: one conformance suite for every back end, a model, tampering, damage, kills.

mod backup;
mod conformance;
mod damage;
mod kill;
mod kill_upgrade;
mod lists;
mod model;
mod tamper;
mod upgrade;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use authd::env::{Clock, Env, Timestamp};
use authd::store::{Index, Key, Life, LogEntry, Options, Record, Store};
use tempfile::TempDir;

/// The start of 2026, where the clocks of these tests stand.
const START: i64 = 1_767_225_600_000;

/// Kept, with a unique e-mail address and a list by team.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
struct Person {
    #[n(0)]
    id: String,
    #[n(1)]
    email: String,
    #[n(2)]
    team: String,
    #[n(3)]
    until: Option<Timestamp>,
}

impl Record for Person {
    const KIND: &'static str = "person";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.as_bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![
            Index::unique("email", &self.email),
            Index::many("team", &self.team),
            Index::many("until", [u8::from(self.until.is_some())]),
            Index::ordered("word", &self.email),
            Index::ordered("word", &self.id),
            Index::ordered("sorted", &self.email),
        ]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        self.until
    }
}

/// Ephemeral, in a list, and gone after a while.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
struct Ticket {
    #[n(0)]
    id: u32,
    #[n(1)]
    until: Option<Timestamp>,
}

impl Record for Ticket {
    const KIND: &'static str = "ticket";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.to_be_bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::unique("number", self.id.to_be_bytes()), Index::many("odd", [(self.id % 2) as u8])]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        self.until
    }
}

fn person(id: &str, email: &str) -> Person {
    Person { id: id.to_owned(), email: email.to_owned(), team: "t".to_owned(), until: None }
}

fn id(id: &str) -> Key {
    Key::from_bytes(id.as_bytes())
}

fn number(id: u32) -> Key {
    Key::from_bytes(id.to_be_bytes())
}

fn happened(kind: &str) -> LogEntry {
    LogEntry { kind: kind.to_owned(), org: None, envelope: kind.as_bytes().to_vec(), detail: b"who and where".to_vec() }
}

/// A clock that goes where it is told, also back.
struct Wound(AtomicI64);

impl Clock for Wound {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// A world whose clock is set by hand.
#[derive(Clone)]
struct World {
    env: Env,
    clock: Arc<Wound>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(Wound(AtomicI64::new(START)));
        Self { env: Env::frozen().with_clock(clock.clone()), clock }
    }

    /// Sets the clock to so many seconds after the start.
    fn at(&self, seconds: i64) {
        self.clock.0.store(START + seconds * 1000, Ordering::SeqCst);
    }

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_millis(START + seconds * 1000)
    }
}

fn options() -> Options {
    Options::new([7; 32])
}

/// What a back end's store stands in.
trait Bed: Sized + Send + Sync {
    fn new(world: &World) -> Self;
    fn store(&self) -> Store;
    /// Closes the store and opens what it left; `None` where nothing is left.
    async fn reopen(self, world: &World) -> Option<Self>;
}

struct OnDisk {
    folder: TempDir,
    store: Store,
}

impl OnDisk {
    fn path(&self) -> PathBuf {
        self.folder.path().join("authd.redb")
    }
}

impl Bed for OnDisk {
    fn new(world: &World) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("authd.redb"), world.env.clone(), options()).unwrap();
        Self { folder, store }
    }
    fn store(&self) -> Store {
        self.store.clone()
    }
    async fn reopen(self, world: &World) -> Option<Self> {
        self.store.close().await;
        let store = Store::open(&self.path(), world.env.clone(), options()).unwrap();
        Some(Self { folder: self.folder, store })
    }
}

struct InMemory(Store);

impl Bed for InMemory {
    fn new(world: &World) -> Self {
        Self(Store::in_memory(world.env.clone()).unwrap())
    }
    fn store(&self) -> Store {
        self.0.clone()
    }
    async fn reopen(self, _: &World) -> Option<Self> {
        self.0.close().await;
        None
    }
}
