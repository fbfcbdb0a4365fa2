//! An organization of 100,000: what a page of its lists costs beside a bare range of the same rows, what the indexes
//! cost when members are made, and how fast the organization is ended with 100,000 sessions open.
//!
//! ```text
//! cargo bench --bench directory [-- --json] [--quick] [--rounds N]
//! ```
//!
//! Lists are asked for as the doors ask: by name, with JSON in and out. The floor is redb alone reading a range of as
//! many rows with the same bytes from a file of the same size, in the same rounds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench may fail by panicking")]

#[path = "../tests/it/world/crowd.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod crowd;
mod measure;
mod world;

use std::path::Path;
use std::time::Duration;

use authd::access::Caller;
use authd::crypto::MasterKey;
use authd::directory::{Membership, User};
use authd::event::{EventKind, Origin};
use authd::id::UserId;
use authd::session::{Epochs, NewSession, Scope, Session};
use authd::store::{Batch, Index, Key, Life, Query, Record};
use crowd::Crowd;
use measure::{Aim, Plan, Report, Run, Stopwatch, file_system, median, processors, ratio};
use redb::{Database, ReadableDatabase as _, TableDefinition};
use serde_json::{Value, json};
use world::World;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FLOOR: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
/// Pages per round of each list.
const PAGES: usize = 60;
/// Members made per round.
const MADE: usize = 3_000;

fn main() {
    let plan = Plan::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&plan));
}

/// The lists: a name, what they show, and the question.
fn lists(crowd: &Crowd) -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("list", "list", json!({})),
        ("sorted", "sorted by name", json!({"sort": "name"})),
        ("search_one", "search: one address", json!({"search": "person4711@crowd.test"})),
        ("search", "search: a name of 2,000", json!({"search": "hopper"})),
        ("search_two", "search: two words, 50 people", json!({"search": "ada love"})),
        ("search_sorted", "search of 2,500, sorted by name", json!({"search": "grace", "sort": "name"})),
        ("search_all", "search: what everybody has", json!({"search": "p"})),
        ("status", "filter: 200 suspended", json!({"status": "suspended"})),
        ("status_sorted", "filter: 200 suspended, sorted", json!({"status": "suspended", "sort": "email"})),
        ("role", "filter: 2,000 viewers", json!({"role": "viewer"})),
        ("role_sorted", "filter: 2,000 viewers, sorted", json!({"role": "viewer", "sort": "name"})),
        ("both", "filter: viewers who are suspended", json!({"role": "viewer", "status": "suspended"})),
        ("source", "filter: 100 of a connection", json!({"connection": crowd.connections[1]})),
    ]
}

async fn run(plan: &Plan) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let world = World::create(dir.path(), &MasterKey::generate(&world::env())).await;
    let crowd = Crowd::new(&world.app.world, world.organization, 100_000);
    crowd.arrive(&world.app.world).await;
    let floor = floor(&world, dir.path()).await;

    let lists = lists(&crowd);
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); lists.len()];
    let (mut bare, mut made, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    let (before, mut after) = (resident(), 0.0_f64);
    for round in 0..=plan.rounds {
        let pages = plan.scaled(PAGES);
        let bare_round = ranges(&floor, pages);
        let list_rounds = {
            let mut all = Vec::new();
            for (_, _, input) in &lists {
                all.push(ask(&world, input, pages).await);
            }
            all
        };
        after = after.max(resident());
        let with = make::<Membership>(&world, plan.scaled(MADE), |member| member).await;
        let without = make::<Bare>(&world, plan.scaled(MADE), Bare).await;
        // The first round is for the caches.
        if round > 0 {
            bare.push(bare_round);
            made.push(with);
            plain.push(without);
            runs.iter_mut().zip(list_rounds).for_each(|(runs, run)| runs.push(run));
        }
    }
    let ended = end(&world).await;

    let about = format!("{}, {} processors, {} rounds", file_system(dir.path()), processors(), plan.rounds);
    let mut report = Report::new("directory", &about);
    report.heading("pages of 100 of 100,000 people, by name, JSON in and out");
    report.contender("floor", "redb alone: a range of 100 such rows", &bare);
    for ((name, label, _), runs) in lists.iter().zip(&runs) {
        report.contender(name, label, runs);
    }
    let slowest = runs.iter().map(|runs| median(runs.iter().map(|run| 1_000.0 / run.rate()))).fold(0.0, f64::max);
    report.figure("slowest", "the slowest of these", slowest, " ms", Aim::AtMost(20.0));
    report.figure("list_to_floor", "list : redb alone", ratio(&runs[0], &bare), "×", Aim::None);
    report.figure("memory", "memory gained while listing", after - before, " MiB", Aim::AtMost(48.0));
    report.heading("members made, 64 at once, a durable commit each");
    report.contender("made", "with the indexes of lists", &made);
    report.contender("plain", "without them", &plain);
    report.figure("made_to_plain", "with : without", ratio(&made, &plain), "×", Aim::None);
    report.heading("ending an organization with 100,000 sessions");
    report.figure("ended", "organization.disable", ended.as_secs_f64() * 1_000.0, " ms", Aim::AtMost(50.0));
    report.print(plan);
    world.app.world.store.close().await;
}

async fn perform(world: &World, name: &str, input: Value) -> Value {
    let cx = world.app.context(Caller::System, Origin::internal(&world.app.world.env));
    world.app.perform(&cx, name, input).await.unwrap()
}

/// Asks for so many first pages.
async fn ask(world: &World, input: &Value, pages: usize) -> Run {
    let mut input = input.clone();
    input["organization"] = json!(world.organization);
    let watch = Stopwatch::start(std::process::id());
    for _ in 0..pages {
        let page = perform(world, "user.list", input.clone()).await;
        assert!(!page["items"].as_array().unwrap().is_empty(), "{input}");
    }
    watch.stop(pages)
}

/// A file of redb alone with the rows of the crowd.
async fn floor(world: &World, dir: &Path) -> Database {
    let database = Database::create(dir.join("floor")).unwrap();
    let mut query = Query::by("organization", world.organization.bytes()).limit(1_000);
    #[expect(clippy::disallowed_methods, reason = "this is what the store is measured against")]
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(FLOOR).unwrap();
        loop {
            let page = world.app.world.store.page::<Membership>(query.clone()).await.unwrap();
            for member in page.items {
                let mut bytes = Vec::new();
                minicbor::encode(&member.value, &mut bytes).unwrap();
                // The store keeps the index entries beside the record.
                let entries: usize = member.indexes().iter().map(|index| index.name.len() + index.value.len()).sum();
                bytes.resize(bytes.len() + entries, 0);
                table.insert(member.key().as_bytes(), bytes.as_slice()).unwrap();
            }
            let Some(next) = page.next else { break };
            query = query.after(Some(next));
        }
    }
    transaction.commit().unwrap();
    database
}

fn ranges(database: &Database, pages: usize) -> Run {
    let watch = Stopwatch::start(std::process::id());
    let mut bytes = 0;
    // Many of them: one alone is too short for a clock.
    for _ in 0..pages * 20 {
        let transaction = database.begin_read().unwrap();
        let table = transaction.open_table(FLOOR).unwrap();
        bytes +=
            table.range::<&[u8]>(..).unwrap().take(100).map(|row| row.unwrap().1.value().to_vec().len()).sum::<usize>();
    }
    assert!(bytes > 0);
    watch.stop(pages * 20)
}

/// Members with the indexes that they cannot do without, and no others.
#[derive(Clone, minicbor::Encode, minicbor::Decode)]
struct Bare(#[n(0)] Membership);

impl Record for Bare {
    const KIND: &'static str = "bench_member";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        self.0.key()
    }
    fn indexes(&self) -> Vec<Index> {
        let needed = ["organization", "user", "email"];
        self.0.indexes().into_iter().filter(|index| needed.contains(&index.name.as_str())).collect()
    }
}

/// Makes so many members, 64 at once, a commit each.
async fn make<T: Record>(world: &World, count: usize, of: impl Fn(Membership) -> T) -> Run {
    let inner = &world.app.world;
    let cx = inner.context(Caller::System, Origin::internal(&inner.env));
    // Made elsewhere, so that the lists stay what they are.
    let organization = perform(world, "organization.create", json!({"name": "Others"})).await;
    let crowd = Crowd::new(inner, organization["id"].as_str().unwrap().parse().unwrap(), 0);
    let mut shares: Vec<Vec<Batch>> = vec![Vec::new(); 64];
    for n in 0..count {
        let user = User { id: UserId::new(&inner.env), created_at: inner.env.now(), disabled_at: None };
        let number = u32::try_from(n).unwrap();
        let mut batch = Batch::new();
        batch.create(&user).create(&of(crowd.member(inner, user.id, number)));
        batch.log(cx.event(EventKind::UserCreated).within(crowd.organization).about("user", user.id));
        shares[n % 64].push(batch);
    }
    let watch = Stopwatch::start(std::process::id());
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let store = inner.store.clone();
            tokio::spawn(async move {
                for batch in share {
                    store.commit(batch).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    watch.stop(count)
}

/// Opens 100,000 sessions, and ends them together.
async fn end(world: &World) -> Duration {
    let inner = &world.app.world;
    let cx = inner.context(Caller::System, Origin::internal(&inner.env));
    let scopes = [Scope::Organization(world.organization), Scope::Connection(world.connection)];
    let under = Epochs::capture(&inner.store, &scopes).await.unwrap();
    let mut cookie = None;
    for _ in 0..40 {
        let mut batch = Batch::new();
        for _ in 0..2_500 {
            let new = NewSession {
                organization: world.organization,
                user: UserId::new(&inner.env),
                connection: Some(world.connection),
                under: under.clone(),
                auth_time: inner.env.now(),
                acr: None,
                amr: vec!["pwd".into()],
                email: Some("ada@crowd.test".into()),
                upstream_session: None,
                upstream_subject: None,
                break_glass: None,
                handed: false,
                until: None,
            };
            cookie = Some(Session::open(&cx, new, &mut batch).await.unwrap().cookie);
        }
        inner.store.commit(batch).await.unwrap();
    }
    let cookie = cookie.unwrap();
    let alive = async || Session::of_cookie(&inner.store, inner.env.now(), cookie.expose()).await.unwrap().is_some();
    assert!(alive().await);
    let watch = Stopwatch::start(std::process::id());
    perform(world, "organization.disable", json!({"id": world.organization})).await;
    let took = watch.stop(1).wall;
    assert!(!alive().await, "the next request is refused");
    took
}

/// The resident memory of this process, in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
