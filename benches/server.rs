//! The real server on loopback, beside its floors, in one run:
//! the key set against a bare axum handler that serves the same bytes, and the token endpoint (code to tokens, durable,
//! with its events) against nothing but signing with ES256.
//!
//! ```text
//! cargo bench --bench server [-- --json] [--quick] [--rounds N] [--threads N]
//! ```
//!
//! Server and floor are processes of their own with the same number of runtime threads (half of the processors unless
//! told); the other half is for the connections that load them. Processor time is that of the server's process alone,
//! the writer of its store included. Codes are made beforehand in the same database, and each is redeemed once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]

mod measure;
mod wire;
mod world;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use authd::crypto::MasterKey;
use authd::provider::code;
use authd::session::Session;
use authd::store::Batch;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use measure::{Aim, Plan, Report, Run, Stopwatch, file_system, median, processors, ratio};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use wire::{Process, Wire, get};
use world::{RETURN, VERIFIER, World};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections that are kept and busy at the same time.
const CROWDS: [usize; 2] = [10, 64];
/// Codes redeemed per round by each crowd.
const CODES: [usize; 2] = [3_000, 6_000];
/// Codes redeemed before the clock starts.
const WARMUP: usize = 500;
/// How long each round asks for the key set.
const ASKING: Duration = Duration::from_millis(1_500);
const KEY_SET: &str = "/.well-known/jwks.json";
/// Tells this binary to be the floor.
const FLOOR: &str = "--serve-file";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(file) = args.windows(2).find(|pair| pair[0] == FLOOR).map(|pair| pair[1].clone()) {
        return serve_floor(Path::new(&file));
    }
    let told = args.windows(2).find(|pair| pair[0] == "--threads").and_then(|pair| pair[1].parse().ok());
    let threads = told.unwrap_or((processors() / 2).max(1));
    let others = processors().saturating_sub(threads).max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(others).enable_all().build().unwrap();
    runtime.block_on(run(&Plan::read(), threads));
}

/// The floor: what axum needs to answer with these bytes, and nothing else.
#[expect(clippy::print_stdout, reason = "it tells its parent where it listens")]
fn serve_floor(file: &Path) {
    let body = axum::body::Bytes::from(std::fs::read(file).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let handler = axum::routing::get(async move || ([("content-type", "application/json")], body.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        axum::serve(listener, axum::Router::new().route(KEY_SET, handler)).await.unwrap();
    });
}

/// What all rounds came to, by crowd.
#[derive(Default)]
struct Runs {
    keys: [Vec<Run>; 2],
    floor: [Vec<Run>; 2],
    tokens: [Vec<Run>; 2],
    signing: Vec<Run>,
    /// By the library below it, with the key read once.
    bare_signing: Vec<Run>,
}

async fn run(plan: &Plan, threads: usize) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let master_key = MasterKey::generate(&world::env());
    let mut world = World::create(&data, &master_key).await;
    let people = people(&world, 100).await;
    let mut floor = None;
    let mut runs = Runs::default();
    let signer = Signing::new();
    for round in 0..=plan.rounds {
        if round > 0 {
            world = world.reopen(&data, &master_key).await;
        }
        let requests = codes(&world, &people, plan.scaled(CODES[0] + CODES[1]) + WARMUP).await;
        world.app.world.store.close().await;

        let server = Process::start(
            Command::new(env!("CARGO_BIN_EXE_authd"))
                .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
                .arg(&data)
                .env("AUTHD_MASTER_KEY", master_key.encoded().expose())
                .env("TOKIO_WORKER_THREADS", threads.to_string()),
        );
        let mut requests: Vec<Vec<u8>> = requests.into_iter().map(|request| request.to(server.at)).collect();
        redeem(&server, requests.split_off(requests.len() - WARMUP), CROWDS[1]).await;
        let more = requests.split_off(plan.scaled(CODES[0]));
        let tokens = [redeem(&server, requests, CROWDS[0]).await, redeem(&server, more, CROWDS[1]).await];
        let time = ASKING.mul_f64(plan.scale);
        let (signing, bare_signing) = (sign(threads, time, || signer.token()), sign(threads, time, || signer.bare()));

        let floor = match &floor {
            Some(floor) => floor,
            None => floor.insert(start_floor(dir.path(), server.at, threads).await),
        };
        for (place, people) in CROWDS.into_iter().enumerate() {
            // Turn and turn about, and not always the same one first.
            let mut pair = [(&server, &mut runs.keys[place]), (floor, &mut runs.floor[place])];
            if round % 2 == 1 {
                pair.reverse();
            }
            for (process, into) in pair {
                let run = ask(process, people, ASKING.mul_f64(plan.scale)).await;
                // The first round is for the caches.
                if round > 0 {
                    into.push(run);
                }
            }
        }
        if round > 0 {
            runs.signing.push(signing);
            runs.bare_signing.push(bare_signing);
            for (place, run) in tokens.into_iter().enumerate() {
                runs.tokens[place].push(run);
            }
        }
    }
    let about = format!(
        "{}, {} processors, {threads} runtime thread(s) for server and floor, {} rounds",
        file_system(&data),
        processors(),
        plan.rounds
    );
    report(&about, &runs).print(plan);
}

fn report(about: &str, runs: &Runs) -> Report {
    let mut report = Report::new("server", about);
    let cpu = |of: &[Run]| median(of.iter().map(Run::cpu_each));
    report.heading("the key set, GET /.well-known/jwks.json");
    for (place, people) in CROWDS.into_iter().enumerate() {
        let (keys, floor) = (&runs.keys[place], &runs.floor[place]);
        report.contender(&format!("jwks_{people}"), &format!("authd, {people} connections"), keys);
        report.contender(&format!("axum_{people}"), &format!("bare axum, {people} connections"), floor);
        let name = format!("jwks_ratio_{people}");
        report.figure(
            &name,
            &format!("authd : bare axum, {people} connections"),
            ratio(keys, floor),
            "×",
            Aim::AtLeast(0.8),
        );
        let name = format!("jwks_cpu_{people}");
        report.figure(&name, "  the same by CPU of one request", cpu(floor) / cpu(keys), "×", Aim::None);
    }
    report.heading("\ntokens, POST /oauth2/token with a code: two signatures, one durable commit, one event");
    report.contender("signing", "ES256 alone (jsonwebtoken, aws-lc), tokens", &runs.signing);
    report.contender("bare_signing", "ES256 alone (aws-lc, key read once)", &runs.bare_signing);
    for (place, people) in CROWDS.into_iter().enumerate() {
        let tokens = &runs.tokens[place];
        report.contender(&format!("token_{people}"), &format!("authd, {people} connections, requests"), tokens);
        let signatures: Vec<Run> = tokens.iter().map(|run| Run { count: run.count * 2, ..*run }).collect();
        let label = format!("signatures of authd : ES256 alone, {people}");
        let percent = ratio(&signatures, &runs.signing) * 100.0;
        report.figure(&format!("token_ratio_{people}"), &label, percent, " %", Aim::AtLeast(50.0));
        let share = 2.0 * cpu(&runs.signing) / cpu(tokens) * 100.0;
        report.figure(
            &format!("token_cpu_{people}"),
            "  share of signing in the CPU of one request",
            share,
            " %",
            Aim::None,
        );
    }
    report
}

async fn start_floor(dir: &Path, server: SocketAddr, threads: usize) -> Process {
    let mut wire = Wire::connect(server).await.unwrap();
    assert_eq!(wire.ask(&get(server, KEY_SET)).await.unwrap(), 200);
    let file = dir.join("jwks.json");
    std::fs::write(&file, wire.body()).unwrap();
    Process::start(
        Command::new(std::env::current_exe().unwrap())
            .arg(FLOOR)
            .arg(&file)
            .env("TOKIO_WORKER_THREADS", threads.to_string()),
    )
}

/// Asks for the key set over so many connections, for so long.
async fn ask(server: &Process, connections: usize, time: Duration) -> Run {
    let request: Arc<[u8]> = get(server.at, KEY_SET).into();
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let start = Arc::new(Barrier::new(connections + 1));
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let mut wire = Wire::connect(server.at).await.unwrap();
        let (request, over, done, start) =
            (Arc::clone(&request), Arc::clone(&over), Arc::clone(&done), Arc::clone(&start));
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            let mut mine = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(wire.ask(&request).await.unwrap(), 200);
                mine += 1;
            }
            done.fetch_add(mine, Ordering::Relaxed);
        }));
    }
    start.wait().await;
    let watch = Stopwatch::start(server.id());
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    watch.stop(done.load(Ordering::Relaxed))
}

/// Redeems the codes over so many connections.
async fn redeem(server: &Process, requests: Vec<Vec<u8>>, connections: usize) -> Run {
    let count = requests.len();
    let mut shares: Vec<Vec<Vec<u8>>> = (0..connections).map(|_| Vec::new()).collect();
    for (turn, request) in requests.into_iter().enumerate() {
        shares[turn % connections].push(request);
    }
    let start = Arc::new(Barrier::new(connections + 1));
    let mut tasks = Vec::new();
    for share in shares {
        let mut wire = Wire::connect(server.at).await.unwrap();
        let start = Arc::clone(&start);
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            for request in share {
                let status = wire.ask(&request).await.unwrap();
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(wire.body()));
            }
        }));
    }
    start.wait().await;
    let watch = Stopwatch::start(server.id());
    for task in tasks {
        task.await.unwrap();
    }
    watch.stop(count)
}

/// A request for tokens, but for the address of the server.
struct Redemption {
    authorization: String,
    body: String,
}

impl Redemption {
    fn to(&self, at: SocketAddr) -> Vec<u8> {
        format!(
            "POST /oauth2/token HTTP/1.1\r\nhost: {at}\r\nauthorization: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{}",
            self.authorization,
            self.body.len(),
            self.body
        )
        .into_bytes()
    }
}

async fn people(world: &World, count: usize) -> Vec<Session> {
    let mut sessions = Vec::with_capacity(count);
    for person in 0..count {
        let (cx, mut batch) = (world.browser(), Batch::new());
        sessions.push(world.admit(&cx, format!("person{person}"), &mut batch).await);
        cx.store.commit(batch).await.unwrap();
    }
    sessions
}

/// So many codes, in commits of a hundred.
async fn codes(world: &World, people: &[Session], count: usize) -> Vec<Redemption> {
    let credentials = format!("{}:{}", world.client, world.client_secret);
    let authorization = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials));
    let request = world.request();
    let mut redemptions = Vec::with_capacity(count);
    while redemptions.len() < count {
        let mut batch = Batch::new();
        for turn in redemptions.len()..count.min(redemptions.len() + 100) {
            let (cx, session) = (world.browser(), &people[turn % people.len()]);
            let url = code::mint(&cx, &request, session, None, &mut batch).await.unwrap().url();
            let url = url::Url::parse(&url).unwrap();
            let (_, code) = url.query_pairs().find(|(name, _)| name == "code").unwrap();
            let mut body = url::form_urlencoded::Serializer::new(String::new());
            body.append_pair("grant_type", "authorization_code")
                .append_pair("code", &code)
                .append_pair("redirect_uri", RETURN)
                .append_pair("code_verifier", VERIFIER);
            redemptions.push(Redemption { authorization: authorization.clone(), body: body.finish() });
        }
        world.app.world.store.commit(batch).await.unwrap();
    }
    redemptions
}

/// Signing and nothing else: the claims of an access token.
struct Signing {
    key: EncodingKey,
    header: Header,
    claims: Value,
    pair: EcdsaKeyPair,
    message: Vec<u8>,
}

impl Signing {
    fn new() -> Self {
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let pkcs8 = made.serialize_der();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("key_01arz3ndektsv4rrffq69g5fav".into());
        let claims = json!({
            "iss": "https://id.example.test", "sub": "usr_01arz3ndektsv4rrffq69g5fav",
            "aud": "app_01arz3ndektsv4rrffq69g5fav", "exp": 1_800_000_900, "iat": 1_800_000_000,
            "auth_time": 1_800_000_000, "sid": "ses_01arz3ndektsv4rrffq69g5fav",
            "org_id": "org_01arz3ndektsv4rrffq69g5fav", "amr": ["pwd"], "client_id": "app_01arz3ndektsv4rrffq69g5fav",
            "scope": "openid profile email", "jti": "MDEyMzQ1Njc4OWFiY2RlZg", "grant": "grt_01arz3ndektsv4rrffq69g5fav",
        });
        Self {
            key: EncodingKey::from_ec_der(&pkcs8),
            header,
            message: claims.to_string().into_bytes(),
            claims,
            pair: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).unwrap(),
        }
    }

    /// A whole token by a library that reads the key for each; the server keeps its key ready.
    fn token(&self) {
        std::hint::black_box(encode(&self.header, &self.claims, &self.key).unwrap());
    }

    /// The signature alone.
    fn bare(&self) {
        std::hint::black_box(self.pair.sign(&SystemRandom::new(), &self.message).unwrap());
    }
}

/// Signs on so many threads, for so long.
fn sign(threads: usize, time: Duration, one: impl Fn() + Sync) -> Run {
    let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let watch = Stopwatch::start(std::process::id());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut mine = 0;
                while !over.load(Ordering::Relaxed) {
                    one();
                    mine += 1;
                }
                done.fetch_add(mine, Ordering::Relaxed);
            });
        }
        std::thread::sleep(time);
        over.store(true, Ordering::Relaxed);
    });
    watch.stop(done.load(Ordering::Relaxed))
}
