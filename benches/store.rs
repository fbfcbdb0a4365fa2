//! Durable sign-ins a second: 64 and 10 people at once, whose commits share transactions, against one commit each.
//!
//! ```text
//! cargo bench --bench store [-- --json] [--quick] [--rounds N]
//! ```
//!
//! A sign-in is what the finish of a real one commits: person, identity, membership, session, code, the last use, the
//! trace, the attempt gone, and four events, all made by the code that makes them in the server. The batches are made
//! before the clock starts, so that the figure is the store's. Every contender writes the same to the same file on a
//! disk, with two-phase commit and quick repair as always; they take turns, so that a growing file is nobody's fault.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench may fail by panicking")]

mod measure;
mod world;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authd::connection::protocol::Checks;
use authd::crypto::{MasterKey, TokenHash};
use authd::env::{Env, Timestamp};
use authd::event::EventKind;
use authd::id::AttemptId;
use authd::provider::code;
use authd::signin::Trace;
use authd::store::{Batch, Index, Key, Life, Record, Store};
use measure::{Aim, Plan, Report, Run, Stopwatch, file_system, processors, ratio};
use tokio::sync::Barrier;
use world::World;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many people sign in at once; 1 is a commit each.
const CROWDS: [usize; 3] = [1, 10, 64];
/// Sign-ins per round of each.
const COUNTS: [usize; 3] = [400, 2_000, 6_000];

fn main() {
    let plan = Plan::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&plan));
}

async fn run(plan: &Plan) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let world = World::create(dir.path(), &MasterKey::generate(&world::env())).await;
    let mut runs: [Vec<Run>; 3] = Default::default();
    let mut syncs = Vec::new();
    for round in 0..=plan.rounds {
        let floor = bare_syncs(dir.path(), plan.scaled(400));
        for (place, (people, count)) in CROWDS.into_iter().zip(COUNTS).enumerate() {
            let batches = sign_ins(&world, plan.scaled(count)).await;
            let run = commit(&world.app.world.store, batches, people).await;
            // The first round is for the caches.
            if round > 0 {
                runs[place].push(run);
            }
        }
        if round > 0 {
            syncs.push(floor);
        }
    }
    let rows = world.app.world.store.log_seq();
    let about = format!("{}, {} processors, {} rounds", file_system(dir.path()), processors(), plan.rounds);
    let mut report = Report::new("store", &about);
    report.heading("durable sign-ins: 8 rows, 10 index entries and 4 events each, events on, quick repair on");
    report.contender("single", "one commit each", &runs[0]);
    report.contender("grouped_10", "grouped, 10 at once", &runs[1]);
    report.contender("grouped_64", "grouped, 64 at once", &runs[2]);
    report.contender("bare_sync", "the disk: 4 KiB written and synced", &syncs);
    report.figure("ratio_10", "10 at once : one commit each", ratio(&runs[1], &runs[0]), "×", Aim::None);
    report.figure("ratio_64", "64 at once : one commit each", ratio(&runs[2], &runs[0]), "×", Aim::AtLeast(6.0));
    report.heading(&format!("  log rows written: {rows}"));
    report.print(plan);
    world.app.world.store.close().await;
}

/// What the disk gives at best to somebody who syncs each time.
fn bare_syncs(dir: &Path, count: usize) -> Run {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::create(dir.join("bare")).unwrap();
    file.set_len(1 << 20).unwrap();
    file.sync_all().unwrap();
    let watch = Stopwatch::start(std::process::id());
    for turn in 0..count {
        file.write_all_at(&[u8::try_from(turn % 251).unwrap(); 4096], 4096 * (turn as u64 % 256)).unwrap();
        file.sync_data().unwrap();
    }
    watch.stop(count)
}

/// Commits them all, so many at a time, each waiting for its own answer as a request does.
async fn commit(store: &Store, batches: Vec<Batch>, people: usize) -> Run {
    let count = batches.len();
    let mut shares: Vec<Vec<Batch>> = (0..people).map(|_| Vec::with_capacity(count / people + 1)).collect();
    for (turn, batch) in batches.into_iter().enumerate() {
        shares[turn % people].push(batch);
    }
    let start = Arc::new(Barrier::new(people + 1));
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let (store, start) = (store.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                for batch in share {
                    store.commit(batch).await.unwrap();
                }
            })
        })
        .collect();
    start.wait().await;
    let watch = Stopwatch::start(std::process::id());
    for task in tasks {
        task.await.unwrap();
    }
    watch.stop(count)
}

/// The commits of so many sign-ins of people whom nobody knew before. Their attempts are stored.
async fn sign_ins(world: &World, count: usize) -> Vec<Batch> {
    let (store, env) = (&world.app.world.store, &world.app.world.env);
    let attempts: Vec<Attempt> = (0..count).map(|_| Attempt::new(env)).collect();
    for some in attempts.chunks(500) {
        let mut batch = Batch::new();
        for attempt in some {
            batch.create(attempt);
        }
        store.commit(batch).await.unwrap();
    }
    let mut batches = Vec::with_capacity(count);
    for attempt in &attempts {
        batches.push(finish(world, attempt).await);
    }
    batches
}

/// What `signin::finish` puts into its one commit.
async fn finish(world: &World, attempt: &Attempt) -> Batch {
    let (cx, mut batch) = (world.browser(), Batch::new());
    let session = world.admit(&cx, attempt.id.to_string(), &mut batch).await;
    code::mint(&cx, &world.request(), &session, None, &mut batch).await.unwrap();
    let mut checks = Checks::new();
    for name in ["state", "browser", "unused", "enabled", "iss", "signature", "aud", "exp", "nonce", "policy"] {
        checks.pass(name, "as expected");
    }
    let mut trace = Trace::stray(&cx, Some((world.connection, world.organization)));
    trace.succeed(cx.env.now(), &checks, session.user, session.id);
    let event = cx
        .event(EventKind::ConnectionLoginSucceeded)
        .within(world.organization)
        .about("connection", world.connection)
        .and("user", session.user)
        .and("session", session.id)
        .and("attempt", attempt.id);
    let stored = cx.store.get::<Attempt>(attempt.key()).await.unwrap().unwrap();
    batch.delete::<Attempt>(attempt.key(), stored.revision).put(&trace).log(event);
    batch
}

/// In the place of the sign-in's own, which nobody else can make: the same key, index and size.
#[derive(Clone, minicbor::Encode, minicbor::Decode)]
struct Attempt {
    #[n(0)]
    id: AttemptId,
    #[n(1)]
    state: TokenHash,
    #[cbor(n(2), with = "minicbor::bytes")]
    rest: Vec<u8>,
    #[n(3)]
    created_at: Timestamp,
}

impl Attempt {
    fn new(env: &Env) -> Self {
        let state = authd::crypto::Opaque::new(env, "").hash;
        Self { id: AttemptId::new(env), state, rest: vec![7; 700], created_at: env.now() }
    }
}

impl Record for Attempt {
    const KIND: &'static str = "bench_attempt";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::unique("state", self.state.bytes())]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.created_at + Duration::from_secs(600))
    }
}
