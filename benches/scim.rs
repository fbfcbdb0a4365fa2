//! A directory that provisions: durable creates a second with 1 and with 32 clients, beside the store's own grouped commits
//! of the same rows and beside PyPI `scim2-server`, which keeps everything in memory; and what a directory of a hundred
//! thousand is asked most, with its middle and its slow end.
//!
//! ```text
//! cargo bench --bench scim [-- --json] [--quick] [--rounds N]
//! ```
//!
//! The store's limit is measured without the server: the batches of the creates are made by the pipeline before the clock
//! starts, and committed by as many at once as there are clients. Server, limit and peer run one after the other, turn
//! about. The peer comes from `tests/lab` (`target/lab/python`, or `AUTHD_LAB_PYTHON`); without it, its rows are left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]

mod measure;
mod wire;
mod world;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use authd::access::{Caller, Context};
use authd::crypto::MasterKey;
use authd::directory::{
    Field, Fields, Membership, PersonProposal, ScimKind, ScimResource, Source, SourceFacts, User, provision_person,
};
use authd::event::{EventKind, Origin};
use authd::id::UserId;
use authd::policy::{Policy, Protocol};
use authd::store::Batch;
use measure::{Aim, Plan, Report, Run, Stopwatch, as_f64, file_system, processors, ratio};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use wire::{Process, Wire, get, terminate};
use world::World;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Clients at once.
const CROWDS: [usize; 2] = [1, 32];
/// Creates per round of each.
const COUNTS: [usize; 2] = [300, 3_000];
/// The people of the great directory.
const GREAT: usize = 100_000;
/// How often each of its questions is asked.
const ASKED: usize = 400;

fn main() {
    let plan = Plan::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&plan));
}

async fn run(plan: &Plan) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let master_key = MasterKey::generate(&world::env());
    let mut world = World::create(&data, &master_key).await;
    let token = token(&world).await;
    let mut peer = Peer::start();
    let [mut own, mut limit, mut theirs]: [[Vec<Run>; 2]; 3] = Default::default();
    for round in 0..=plan.rounds {
        for (place, (crowd, count)) in CROWDS.into_iter().zip(COUNTS).enumerate() {
            let count = plan.scaled(count).max(crowd);
            if round > 0 || place > 0 {
                world = world.reopen(&data, &master_key).await;
            }
            let batches = creates(&world, &format!("l{round}-{place}"), count).await;
            let committed = commit(&world, batches, crowd).await;
            world.app.world.store.close().await;
            let server = serve(&data, &master_key);
            let bearer = format!("Bearer {token}");
            let asked = create((server.at, server.id()), &bearer, &format!("s{round}-{place}"), count, crowd).await;
            drop(server);
            let peers = match &peer {
                Some(peer) => {
                    let at = (peer.at, peer.child.id());
                    // It has no index: a create looks at everybody there is, so it gets a tenth of the people.
                    Some(create(at, "", &format!("p{round}-{place}"), (count / 10).max(crowd), crowd).await)
                }
                None => None,
            };
            // The first round is for the caches.
            if round > 0 {
                own[place].push(asked);
                limit[place].push(committed);
                theirs[place].extend(peers);
            }
        }
    }
    let is_alone = peer.take().is_none();
    let about = format!("{}, {} processors, {} rounds", file_system(&data), processors(), plan.rounds);
    let mut report = Report::new("scim", &about);
    report.heading("durable creates of people: person, membership, handle, resource, two events, one commit");
    for (place, crowd) in CROWDS.into_iter().enumerate() {
        let (own, limit, theirs) = (&own[place], &limit[place], &theirs[place]);
        report.contender(&format!("create_{crowd}"), &format!("authd, {crowd} client(s)"), own);
        report.contender(&format!("limit_{crowd}"), &format!("the store alone, {crowd} at once"), limit);
        let label = format!("authd : the store's grouped commits, {crowd}");
        report.figure(&format!("to_limit_{crowd}"), &label, ratio(own, limit), "×", Aim::None);
        if !theirs.is_empty() {
            report.contender(&format!("peer_{crowd}"), &format!("scim2-server in memory, {crowd} client(s)"), theirs);
            let label = format!("authd : scim2-server, {crowd}");
            report.figure(&format!("to_peer_{crowd}"), &label, ratio(own, theirs), "×", Aim::None);
        }
    }
    if is_alone {
        report.heading("\nno peer: `pip install -r tests/lab/requirements.txt` into target/lab/python brings it");
    }
    great(plan, &mut report).await;
    report.print(plan);
}

/// A directory of a hundred thousand, and its questions.
async fn great(plan: &Plan, report: &mut Report) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let master_key = MasterKey::generate(&world::env());
    let world = World::create(dir.path(), &master_key).await;
    let token = token(&world).await;
    let size = plan.scaled(GREAT);
    fill(&world, size).await;
    world.app.world.store.close().await;
    let server = serve(dir.path(), &master_key);
    let before = resident(server.id());
    report.heading(&format!("\na directory of {size}: by HTTP, one connection"));
    let (last, mut wire) = (size - 1, Wire::connect(server.at).await.unwrap());
    let bearer = format!("Bearer {token}");
    for (name, label, query, bound) in [
        ("by_name", "filter on userName", filter(&format!("userName eq \"PERSON{last}@crowd.test\"")), 5.0),
        ("by_handle", "filter on externalId", filter(&format!("externalId eq \"E{last}\"")), 5.0),
        ("miss", "filter that finds nobody", filter("userName eq \"nobody\""), 5.0),
        ("first_page", "first page of 200", "count=200".to_owned(), 20.0),
        ("last_page", "last page of 200, by index", format!("count=200&startIndex={}", size - 199), 20.0),
        ("cursor", "page of 200, by cursor", "count=200&cursor=".to_owned(), 20.0),
    ] {
        let request = head(&get(server.at, &format!("/scim/v2/Users?{query}")), &bearer);
        let mut took = Vec::with_capacity(ASKED);
        for _ in 0..plan.scaled(ASKED).max(20) {
            let begun = now();
            let status = wire.ask(&request).await.unwrap();
            took.push(begun.elapsed());
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(wire.body()));
        }
        took.sort();
        let at = |part: usize| took.get(took.len() * part / 100).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3);
        report.figure(name, label, at(50), " ms", Aim::AtMost(bound));
        report.figure(&format!("{name}_p99"), "  its slowest hundredth", at(99), " ms", Aim::None);
    }
    let grown = resident(server.id()).saturating_sub(before);
    report.figure("memory", "memory that all of that took", as_f64(grown) / 1024.0, " MiB", Aim::AtMost(64.0));
}

fn filter(text: &str) -> String {
    format!("filter={}", url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>())
}

/// The request with its bearer.
fn head(request: &[u8], bearer: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    text.replacen("accept:", &format!("authorization: {bearer}\r\naccept:"), 1).into_bytes()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]
fn now() -> Instant {
    Instant::now()
}

/// The resident memory of a process, in KiB.
fn resident(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn serve(data: &Path, master_key: &MasterKey) -> Process {
    Process::start(
        Command::new(env!("CARGO_BIN_EXE_authd"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .env("AUTHD_MASTER_KEY", master_key.encoded().expose()),
    )
}

fn operator(world: &World) -> Context {
    world.app.context(Caller::System, Origin::internal(&world.app.world.env))
}

/// A token of the organization's own directory.
async fn token(world: &World) -> String {
    let wish = json!({"organization": world.organization});
    let made = world.app.perform(&operator(world), "scim.token.create", wish).await.unwrap();
    made["token"].as_str().unwrap().to_owned()
}

fn person(tag: &str, n: usize) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": format!("{tag}-{n}@crowd.test"),
        "externalId": format!("{tag}-{n}"),
        "name": {"givenName": "Per", "familyName": "Son"},
        "emails": [{"value": format!("{tag}-{n}@crowd.test"), "type": "work", "primary": true}],
        "active": true,
    })
}

/// So many creates over so many connections.
async fn create((at, process): (SocketAddr, u32), bearer: &str, tag: &str, count: usize, crowd: usize) -> Run {
    let (next, start) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(crowd + 1)));
    let base = if bearer.is_empty() { "" } else { "/scim/v2" };
    let mut tasks = Vec::new();
    for _ in 0..crowd {
        let mut wire = Wire::connect(at).await.unwrap();
        let (next, start, tag, bearer) = (Arc::clone(&next), Arc::clone(&start), tag.to_owned(), bearer.to_owned());
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return;
                }
                let body = person(&tag, n).to_string();
                let request = format!(
                    "POST {base}/Users HTTP/1.1\r\nhost: {at}\r\nauthorization: {bearer}\r\n\
                     content-type: application/scim+json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let status = match wire.ask(request.as_bytes()).await {
                    Ok(status) => status,
                    // The peer speaks HTTP/1.0 and closes behind each answer.
                    Err(_) => {
                        wire = Wire::connect(at).await.unwrap();
                        wire.ask(request.as_bytes()).await.unwrap()
                    }
                };
                assert_eq!(status, 201, "{}", String::from_utf8_lossy(wire.body()));
            }
        }));
    }
    start.wait().await;
    let watch = Stopwatch::start(process);
    for task in tasks {
        task.await.unwrap();
    }
    watch.stop(count)
}

/// What creates commit, made by the pipeline and not committed.
async fn creates(world: &World, tag: &str, count: usize) -> Vec<Batch> {
    let (cx, organization) = (operator(world), world.organization);
    let directory = Source::own_directory(organization);
    let facts = SourceFacts {
        organization,
        protocol: Protocol::Oidc,
        jit: None,
        default_role: None,
        domains: Vec::new(),
        domain_owned_elsewhere: false,
        policy: Policy::default(),
    };
    let mut batches = Vec::with_capacity(count);
    for n in 0..count {
        let mut batch = Batch::new();
        let (name, body) = (format!("{tag}-{n}@crowd.test"), person(tag, n));
        let proposal = PersonProposal {
            external_id: Some(format!("{tag}-{n}")),
            fields: Fields::none().set(Field::Email, name.as_str()).set(Field::GivenName, "Per"),
            active: Some(true),
            ..PersonProposal::of(Source::Scim(directory))
        };
        let made = provision_person(&cx, proposal, &facts, &mut batch).await.unwrap();
        batch.create(&resource(world, made.membership.user, name, Some(format!("{tag}-{n}")), &body));
        batch.log(cx.event(EventKind::ScimUserProvisioned).within(organization).about("user", made.membership.user));
        batches.push(batch);
    }
    batches
}

fn resource(world: &World, user: UserId, name: String, external_id: Option<String>, body: &Value) -> ScimResource {
    let now = world.app.world.env.now();
    ScimResource {
        directory: Source::own_directory(world.organization),
        organization: world.organization,
        kind: ScimKind::User,
        id: user.bytes(),
        name,
        external_id,
        body: body.to_string(),
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

/// Commits the batches, so many at once.
async fn commit(world: &World, batches: Vec<Batch>, crowd: usize) -> Run {
    let count = batches.len();
    let mut shares: Vec<Vec<Batch>> = (0..crowd).map(|_| Vec::new()).collect();
    for (n, batch) in batches.into_iter().enumerate() {
        shares[n % crowd].push(batch);
    }
    let watch = Stopwatch::start(std::process::id());
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let store = world.app.world.store.clone();
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

/// Fills the organization's own directory, many people a commit.
async fn fill(world: &World, size: usize) {
    let (cx, organization) = (operator(world), world.organization);
    for chunk in (0..size).collect::<Vec<_>>().chunks(1_000) {
        let mut batch = Batch::new();
        for n in chunk {
            let now = cx.env.now();
            let user = User { id: UserId::new(&cx.env), created_at: now, disabled_at: None };
            let name = format!("person{n}@crowd.test");
            let mut member = Membership::new(organization, user.id, now);
            member.email = Some(name.clone());
            let body = json!({"userName": name, "externalId": format!("E{n}"), "title": format!("T{}", n % 100),
                "name": {"givenName": "Per", "familyName": format!("Son{n}")},
                "emails": [{"value": name, "primary": true}]});
            let row = resource(world, user.id, name, Some(format!("E{n}")), &body);
            batch.create(&user).create(&member).create(&row);
        }
        batch.log(cx.event(EventKind::UserCreated).within(organization));
        cx.store.commit(batch).await.unwrap();
    }
}

/// The peer, in a process of its own.
struct Peer {
    child: Child,
    at: SocketAddr,
}

impl Peer {
    #[expect(clippy::disallowed_methods, reason = "a bench is told by its environment where the peer is")]
    fn start() -> Option<Self> {
        let python = std::env::var_os("AUTHD_LAB_PYTHON").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/lab/python/bin/python"),
            PathBuf::from,
        );
        // It does not say which port it got, so it is told one that was free a moment ago.
        let port = TcpListener::bind(("127.0.0.1", 0)).ok()?.local_addr().ok()?.port();
        let mut child = Command::new(python)
            .args(["-c", "from scim2_server.testserver.cli import main; main()"])
            .args(["--hostname", "127.0.0.1", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        for _ in 0..100 {
            if std::net::TcpStream::connect(at).is_ok() {
                return Some(Self { child, at });
            }
            if child.try_wait().ok()?.is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        terminate(&mut child);
        None
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}
