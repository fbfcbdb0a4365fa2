//! The log and its readers: events that sign-ins write within their commits, webhooks to a receiver on this machine, and
//! how long after its commit an event is with a reader of the feed.
//!
//! ```text
//! cargo bench --bench events [-- --json] [--quick] [--rounds N]
//! ```
//!
//! The server is a process of its own; the receiver and the readers are in this one. When a commit was, only the server
//! knows: it lies between the sending of the request that makes the event and its answer. Latencies are told from both;
//! the first has the whole request in it and is never too small, the second is nothing where the reader was quicker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

mod measure;
mod wire;
mod world;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use authd::access::Caller;
use authd::crypto::MasterKey;
use authd::event::Origin;
use authd::provider::code;
use authd::store::Batch;
use axum::extract::State;
use axum::routing::post;
use measure::{Aim, Plan, Report, Run, Stopwatch, file_system, median, processors};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use wire::{Process, Wire};
use world::World;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// People who sign in at once.
const CROWD: usize = 64;
/// Sign-ins of a round.
const SIGN_INS: usize = 4_000;
/// Webhooks of a round; each is about a person of its own, so that none waits for another.
const WEBHOOKS: usize = 2_000;
/// Events of a round whose way to a reader is timed.
const TIMED: usize = 400;

fn main() {
    let plan = Plan::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&plan));
}

/// What all rounds came to.
#[derive(Default)]
struct Runs {
    events: Vec<Run>,
    webhooks: Vec<Run>,
    poll: Vec<Vec<Took>>,
    stream: Vec<Vec<Took>>,
}

/// How long after the request was sent, and after it was answered, the reader had the event.
#[derive(Clone, Copy)]
struct Took {
    sent: Duration,
    answered: Duration,
}

impl Took {
    fn of(sent: Instant, answered: Instant, read: Instant) -> Self {
        Self { sent: read.saturating_duration_since(sent), answered: read.saturating_duration_since(answered) }
    }
}

async fn run(plan: &Plan) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let master_key = MasterKey::generate(&world::env());
    let mut world = World::create(&data, &master_key).await;
    let key = key(&world).await;
    let heard = Arc::new(AtomicUsize::new(0));
    let receiver = receiver(Arc::clone(&heard)).await;
    let mut runs = Runs::default();
    for round in 0..=plan.rounds {
        if round > 0 {
            world = world.reopen(&data, &master_key).await;
        }
        let events = sign_ins(&world, plan.scaled(SIGN_INS)).await;
        world.app.world.store.close().await;
        let server = serve(&data, &master_key);
        let api = Api { at: server.at, key: key.clone(), organization: world.organization.to_string() };
        let sent = webhooks(&server, &api, receiver, &heard, plan.scaled(WEBHOOKS)).await;
        let polled = polled(&api, plan.scaled(TIMED)).await;
        let streamed = streamed(&api, plan.scaled(TIMED)).await;
        // The first round is for the caches.
        if round > 0 {
            runs.events.push(events);
            runs.webhooks.push(sent);
            runs.poll.push(polled);
            runs.stream.push(streamed);
        }
    }
    let about = format!("{}, {} processors, {} rounds", file_system(&data), processors(), plan.rounds);
    report(&about, &runs).print(plan);
}

fn report(about: &str, runs: &Runs) -> Report {
    let mut report = Report::new("events", about);
    report.heading(&format!("events within the commits of sign-ins, {CROWD} people at once, each commit durable"));
    report.contender("events", "events written", &runs.events);
    report.heading("\nwebhooks to a receiver on this machine, one for each new person, with their creation");
    report.contender("webhooks", "deliveries acknowledged", &runs.webhooks);
    report.heading("\nfrom the request that made an event to its reader");
    for (name, label, rounds) in [("poll", "long poll", &runs.poll), ("stream", "stream", &runs.stream)] {
        let mut figure = |from: &str, begun: &str, part: &str, share: f64, aim: Aim, of: fn(&Took) -> Duration| {
            let middle = median(rounds.iter().map(|round| {
                let times: Vec<Duration> = round.iter().map(of).collect();
                quantile(&times, share).as_secs_f64() * 1e3
            }));
            report.figure(
                &format!("{name}_{from}_{part}"),
                &format!("{label}, since it was {begun}, {part}"),
                middle,
                " ms",
                aim,
            );
        };
        figure("sent", "sent", "p50", 0.5, Aim::None, |took| took.sent);
        figure("sent", "sent", "p99", 0.99, Aim::AtMost(50.0), |took| took.sent);
        figure("answered", "answered", "p99", 0.99, Aim::None, |took| took.answered);
    }
    report
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
fn quantile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let place = (measure::as_f64(sorted.len()) * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn serve(data: &Path, master_key: &MasterKey) -> Process {
    Process::start(
        Command::new(env!("CARGO_BIN_EXE_authd"))
            .args(["serve", "--listen", "127.0.0.1:0", "--outbound-allow", "127.0.0.0/8", "--data-dir"])
            .arg(data)
            .env("AUTHD_MASTER_KEY", master_key.encoded().expose()),
    )
}

/// A key that makes people, reads the log, and manages webhooks.
async fn key(world: &World) -> String {
    let cx = world.app.context(Caller::System, Origin::internal(&world.app.world.env));
    let grants = json!(["user.manage", "connection.audit.read", "connection.webhook.manage"]);
    let input = json!({"organization": world.organization, "name": "Bench", "grants": grants});
    world.app.perform(&cx, "api_key.create", input).await.unwrap()["key"].as_str().unwrap().to_owned()
}

/// Commits sign-ins, many at once, and counts the rows of the log.
async fn sign_ins(world: &World, count: usize) -> Run {
    let mut shares: Vec<Vec<Batch>> = (0..CROWD).map(|_| Vec::new()).collect();
    for turn in 0..count {
        let (cx, mut batch) = (world.browser(), Batch::new());
        let subject = authd::id::AttemptId::new(&cx.env).to_string();
        let session = world.admit(&cx, subject, &mut batch).await;
        code::mint(&cx, &world.request(), &session, None, &mut batch).await.unwrap();
        shares[turn % CROWD].push(batch);
    }
    let store = &world.app.world.store;
    let before = store.log_seq();
    let start = Arc::new(Barrier::new(CROWD + 1));
    let mut tasks = Vec::new();
    for share in shares {
        let (store, start) = (store.clone(), Arc::clone(&start));
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            for batch in share {
                store.commit(batch).await.unwrap();
            }
        }));
    }
    start.wait().await;
    let watch = Stopwatch::start(std::process::id());
    for task in tasks {
        task.await.unwrap();
    }
    watch.stop(usize::try_from(store.log_seq() - before).unwrap())
}

/// Takes every webhook, and counts.
async fn receiver(heard: Arc<AtomicUsize>) -> SocketAddr {
    let take = async |State(heard): State<Arc<AtomicUsize>>| {
        heard.fetch_add(1, Ordering::SeqCst);
    };
    let router = axum::Router::new().route("/", post(take)).with_state(heard);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    at
}

/// What asks the server's API.
struct Api {
    at: SocketAddr,
    key: String,
    organization: String,
}

impl Api {
    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Vec<u8> {
        let body = body.map(Value::to_string).unwrap_or_default();
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.at,
            self.key,
            body.len(),
        )
        .into_bytes()
    }

    async fn ask(&self, wire: &mut Wire, method: &str, path: &str, body: Option<&Value>) -> Value {
        let status = wire.ask(&self.request(method, path, body)).await.unwrap();
        assert!((200..300).contains(&status), "{method} {path}: {status} {}", String::from_utf8_lossy(wire.body()));
        serde_json::from_slice(wire.body()).unwrap_or_default()
    }

    /// A new person; one event.
    async fn somebody(&self, wire: &mut Wire, name: &str) -> Value {
        let body = json!({"organization": self.organization, "email": format!("{name}@acme.test")});
        self.ask(wire, "POST", "/v1/users", Some(&body)).await
    }
}

fn unique(what: &str, number: usize) -> String {
    let id = authd::id::AttemptId::new(&world::env());
    format!("{what}-{number}-{id}").replace('_', "-")
}

/// People are made while their webhooks go out; it ends when the last one has arrived.
async fn webhooks(server: &Process, api: &Api, receiver: SocketAddr, heard: &AtomicUsize, count: usize) -> Run {
    let mut wire = Wire::connect(api.at).await.unwrap();
    let wish = json!({
        "organization": api.organization, "url": format!("http://{receiver}/"), "subscriptions": ["user.created"],
    });
    let made = api.ask(&mut wire, "POST", "/v1/webhooks", Some(&wish)).await;
    heard.store(0, Ordering::SeqCst);
    let watch = Stopwatch::start(server.id());
    let mut tasks = Vec::new();
    for writer in 0..8 {
        let api = Api { at: api.at, key: api.key.clone(), organization: api.organization.clone() };
        tasks.push(tokio::spawn(async move {
            let mut wire = Wire::connect(api.at).await.unwrap();
            for number in 0..count / 8 {
                api.somebody(&mut wire, &unique("webhook", writer * 100_000 + number)).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    while heard.load(Ordering::SeqCst) < count / 8 * 8 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let run = watch.stop(count / 8 * 8);
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    api.ask(&mut wire, "DELETE", &path, None).await;
    run
}

/// One reader asks and waits; somebody makes one event at a time.
async fn polled(api: &Api, count: usize) -> Vec<Took> {
    let (mut writer, mut reader) = (Wire::connect(api.at).await.unwrap(), Wire::connect(api.at).await.unwrap());
    let start = api.ask(&mut reader, "GET", "/v1/events?limit=1", None).await;
    let mut after = start["next"].as_u64().unwrap();
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let name = unique("poll", number);
        let path = format!("/v1/events?after={after}&wait=30&kind=user.created");
        let waiting = api.ask(&mut reader, "GET", &path, None);
        let making = async {
            // The reader waits already.
            tokio::time::sleep(Duration::from_millis(3)).await;
            let sent = Instant::now();
            api.somebody(&mut writer, &name).await;
            (sent, Instant::now())
        };
        let seen = async {
            let page = waiting.await;
            (page, Instant::now())
        };
        let ((sent, answered), (page, read)) = tokio::join!(making, seen);
        after = page["next"].as_u64().unwrap();
        times.push(Took::of(sent, answered, read));
    }
    times
}

/// The same with a stream that stays open.
async fn streamed(api: &Api, count: usize) -> Vec<Took> {
    let mut writer = Wire::connect(api.at).await.unwrap();
    let mut stream = TcpStream::connect(api.at).await.unwrap();
    let ask = format!(
        "GET /v1/events?kind=user.created HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\naccept: text/event-stream\r\n\r\n",
        api.at, api.key
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !text.windows(4).any(|four| four == b"\r\n\r\n") {
        assert!(stream.read_buf(&mut text).await.unwrap() > 0, "the stream was refused");
    }
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let name = unique("stream", number);
        text.clear();
        let making = async {
            tokio::time::sleep(Duration::from_millis(3)).await;
            let sent = Instant::now();
            api.somebody(&mut writer, &name).await;
            (sent, Instant::now())
        };
        let reading = async {
            while !text.windows(name.len()).any(|part| part == name.as_bytes()) {
                assert!(stream.read_buf(&mut text).await.unwrap() > 0, "the stream ended");
            }
            Instant::now()
        };
        let ((sent, answered), read) = tokio::join!(making, reading);
        times.push(Took::of(sent, answered, read));
    }
    times
}
