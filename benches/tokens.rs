//! The token endpoint under the two requests that apps make most, beside its floor and a peer, in one run: refresh (two
//! signatures, one durable commit) and client credentials (one signature), against signing with ES256 and nothing else,
//! and against npm `oidc-provider`, which keeps everything in memory.
//!
//! ```text
//! cargo bench --bench tokens [-- --json] [--quick] [--rounds N] [--threads N]
//! ```
//!
//! Server, floor and peer run one after the other, turn about; the server has as many runtime threads as the floor has
//! threads (half of the processors unless told), the peer has the one that Node gives it. Processor time is that of the
//! serving process alone. The peer comes from `tests/lab` (`npm ci`); without it, its rows are left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]

mod measure;
mod wire;
mod world;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use authd::access::Caller;
use authd::crypto::MasterKey;
use authd::event::Origin;
use authd::provider::authorize::AuthorizeRequest;
use authd::provider::code;
use authd::store::Batch;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use measure::{Aim, Plan, Report, Run, Stopwatch, file_system, median, processors, ratio};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use wire::{Process, Wire, terminate};
use world::{RETURN, VERIFIER, World};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections that are kept and busy at the same time; each refreshes a family of its own.
const CROWD: usize = 64;
/// How long each contender is asked in a round.
const ASKING: Duration = Duration::from_millis(2_000);
/// The secret of the peer's clients.
const PEER_SECRET: &str = "a-long-enough-client-secret-0123456789";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let told = args.windows(2).find(|pair| pair[0] == "--threads").and_then(|pair| pair[1].parse().ok());
    let threads = told.unwrap_or((processors() / 2).max(1));
    let others = processors().saturating_sub(threads).max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(others).enable_all().build().unwrap();
    runtime.block_on(run(&Plan::read(), threads));
}

/// What all rounds came to.
#[derive(Default)]
struct Runs {
    signing: Vec<Run>,
    machine: Vec<Run>,
    refresh: Vec<Run>,
    peer_machine: [Vec<Run>; 2],
    peer_refresh: [Vec<Run>; 2],
}

/// An app, as the token endpoint knows it.
struct Client {
    authorization: String,
}

impl Client {
    fn new(id: &str, secret: &str) -> Self {
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        Self { authorization: format!("Basic {credentials}") }
    }

    fn request(&self, at: SocketAddr, path: &str, form: &[(&str, &str)]) -> Vec<u8> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        format!(
            "POST {path} HTTP/1.1\r\nhost: {at}\r\nauthorization: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            self.authorization,
            body.len(),
        )
        .into_bytes()
    }
}

/// The peer: npm `oidc-provider` in a process of its own, with refresh tokens of both kinds.
struct Peer {
    child: Child,
    at: SocketAddr,
    refresh: Value,
}

impl Peer {
    const KINDS: [&'static str; 2] = ["opaque", "jwt"];

    fn start() -> Option<Self> {
        let lab = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab");
        if !lab.join("node_modules/oidc-provider").exists() {
            return None;
        }
        let mut child = Command::new("node")
            .args(["tokens.mjs", &CROWD.to_string()])
            .current_dir(lab)
            .env("NODE_ENV", "production")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let at = lines.next().unwrap().unwrap().parse().unwrap();
        let refresh = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        Some(Self { child, at, refresh })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}

async fn run(plan: &Plan, threads: usize) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let master_key = MasterKey::generate(&world::env());
    let mut world = World::create(&data, &master_key).await;
    let machine = machine(&world).await;
    let app = Client::new(&world.client.to_string(), &world.client_secret);
    let mut peer = Peer::start();
    let signing = Signing::new();
    let time = ASKING.mul_f64(plan.scale);
    let mut runs = Runs::default();
    for round in 0..=plan.rounds {
        if round > 0 {
            world = world.reopen(&data, &master_key).await;
        }
        let codes = codes(&world).await;
        world.app.world.store.close().await;
        let server = serve(&data, &master_key, threads);
        let families = redeem(&server, &app, codes).await;

        let signed = sign(threads, time, || signing.once());
        let asked = ask(&server, &machine, "/oauth2/token", time).await;
        let (refreshed, _) = refresh((server.at, server.id()), &app, "/oauth2/token", families, time).await;
        drop(server);
        // The first round is for the caches.
        if round > 0 {
            runs.signing.push(signed);
            runs.machine.push(asked);
            runs.refresh.push(refreshed);
        }
        let Some(peer) = &mut peer else { continue };
        for (place, kind) in Peer::KINDS.into_iter().enumerate() {
            let client = Client::new(kind, PEER_SECRET);
            let asked = ask_at((peer.at, peer.child.id()), &client, "/token", time).await;
            let families: Vec<String> = serde_json::from_value(peer.refresh[kind].clone()).unwrap();
            let (refreshed, left) = refresh((peer.at, peer.child.id()), &client, "/token", families, time).await;
            peer.refresh[kind] = json!(left);
            if round > 0 {
                runs.peer_machine[place].push(asked);
                runs.peer_refresh[place].push(refreshed);
            }
        }
    }
    let about = format!(
        "{}, {} processors, {threads} runtime thread(s) for the server, {CROWD} connections, {} rounds",
        file_system(&data),
        processors(),
        plan.rounds
    );
    report(&about, &runs).print(plan);
}

fn report(about: &str, runs: &Runs) -> Report {
    let mut report = Report::new("tokens", about);
    let cpu = |of: &[Run]| median(of.iter().map(Run::cpu_each));
    report.heading("the floor");
    report.contender("signing", "ES256 alone (aws-lc, key read once)", &runs.signing);
    for (name, heading, own, signatures, peers) in [
        ("machine", "\nclient credentials: one signature", &runs.machine, 1_usize, &runs.peer_machine),
        ("refresh", "\nrefresh: two signatures, one durable commit, one event", &runs.refresh, 2, &runs.peer_refresh),
    ] {
        report.heading(heading);
        report.contender(name, "authd, requests", own);
        let signed: Vec<Run> = own.iter().map(|run| Run { count: run.count * signatures, ..*run }).collect();
        let percent = ratio(&signed, &runs.signing) * 100.0;
        report.figure(&format!("{name}_ratio"), "signatures of authd : ES256 alone", percent, " %", Aim::AtLeast(60.0));
        let share = measure::as_f64(signatures) * cpu(&runs.signing) / cpu(own) * 100.0;
        report.figure(&format!("{name}_cpu"), "  share of signing in the CPU of a request", share, " %", Aim::None);
        for ((kind, aim), peer) in [("opaque", 4.0), ("jwt", 8.0)].into_iter().zip(peers) {
            if peer.is_empty() {
                continue;
            }
            report.contender(&format!("{name}_peer_{kind}"), &format!("oidc-provider, {kind} access tokens"), peer);
            let label = format!("authd : oidc-provider, {kind}");
            report.figure(&format!("{name}_to_{kind}"), &label, ratio(own, peer), "×", Aim::AtLeast(aim));
            let label = "  the same by CPU of one request";
            report.figure(&format!("{name}_to_{kind}_cpu"), label, cpu(peer) / cpu(own), "×", Aim::None);
        }
    }
    if runs.peer_machine[0].is_empty() {
        report.heading("\nno peer: `npm ci` in tests/lab brings it");
    }
    report
}

fn serve(data: &Path, master_key: &MasterKey, threads: usize) -> Process {
    Process::start(
        Command::new(env!("CARGO_BIN_EXE_authd"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .env("AUTHD_MASTER_KEY", master_key.encoded().expose())
            .env("TOKIO_WORKER_THREADS", threads.to_string()),
    )
}

/// An app in its own name.
async fn machine(world: &World) -> Client {
    let cx = world.app.context(Caller::System, Origin::internal(&world.app.world.env));
    let input = json!({
        "organization": world.organization, "name": "Machine", "grantTypes": ["client_credentials"], "scopes": ["read"],
    });
    let made = world.app.perform(&cx, "app.create", input).await.unwrap();
    Client::new(made["clientId"].as_str().unwrap(), made["clientSecret"].as_str().unwrap())
}

/// One code for each connection, of a person of its own, who allows tokens while they are away.
async fn codes(world: &World) -> Vec<String> {
    let mut request: AuthorizeRequest = world.request();
    request.scope = vec!["openid".into(), "offline_access".into()];
    let mut codes = Vec::with_capacity(CROWD);
    for person in 0..CROWD {
        let (cx, mut batch) = (world.browser(), Batch::new());
        let session = world.admit(&cx, format!("person{person}"), &mut batch).await;
        cx.store.commit(batch).await.unwrap();
        let mut batch = Batch::new();
        let answer = code::mint(&cx, &request, &session, None, &mut batch).await.unwrap();
        cx.store.commit(batch).await.unwrap();
        codes.push(answer.get("code").unwrap().to_owned());
    }
    codes
}

/// The first refresh token of each family.
async fn redeem(server: &Process, app: &Client, codes: Vec<String>) -> Vec<String> {
    let mut wire = Wire::connect(server.at).await.unwrap();
    let mut tokens = Vec::with_capacity(codes.len());
    for code in codes {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", RETURN),
            ("code_verifier", VERIFIER),
        ];
        let status = wire.ask(&app.request(server.at, "/oauth2/token", &form)).await.unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(wire.body()));
        tokens.push(next_of(wire.body()));
    }
    tokens
}

fn next_of(body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap();
    answer["refresh_token"].as_str().unwrap_or_else(|| panic!("no refresh token: {answer}")).to_owned()
}

async fn ask(server: &Process, client: &Client, path: &str, time: Duration) -> Run {
    ask_at((server.at, server.id()), client, path, time).await
}

/// Asks for tokens in an app's own name over many connections, for so long.
async fn ask_at((at, process): (SocketAddr, u32), client: &Client, path: &str, time: Duration) -> Run {
    let request: Arc<[u8]> =
        client.request(at, path, &[("grant_type", "client_credentials"), ("scope", "read")]).into();
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let start = Arc::new(Barrier::new(CROWD + 1));
    let mut tasks = Vec::new();
    for _ in 0..CROWD {
        let mut wire = Wire::connect(at).await.unwrap();
        let (request, over, done, start) =
            (Arc::clone(&request), Arc::clone(&over), Arc::clone(&done), Arc::clone(&start));
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            while !over.load(Ordering::Relaxed) {
                let status = wire.ask(&request).await.unwrap();
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(wire.body()));
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    start.wait().await;
    let watch = Stopwatch::start(process);
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    watch.stop(done.load(Ordering::Relaxed))
}

/// Refreshes one family a connection, again and again, for so long. Gives the tokens that are good then, too.
async fn refresh(
    (at, process): (SocketAddr, u32),
    client: &Client,
    path: &'static str,
    families: Vec<String>,
    time: Duration,
) -> (Run, Vec<String>) {
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let start = Arc::new(Barrier::new(families.len() + 1));
    let mut tasks = Vec::new();
    for mut token in families {
        let mut wire = Wire::connect(at).await.unwrap();
        let (over, done, start) = (Arc::clone(&over), Arc::clone(&done), Arc::clone(&start));
        let client = Client { authorization: client.authorization.clone() };
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            while !over.load(Ordering::Relaxed) {
                let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
                let status = wire.ask(&client.request(at, path, &form)).await.unwrap();
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(wire.body()));
                token = next_of(wire.body());
                done.fetch_add(1, Ordering::Relaxed);
            }
            token
        }));
    }
    start.wait().await;
    let watch = Stopwatch::start(process);
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let mut left = Vec::with_capacity(tasks.len());
    for task in tasks {
        left.push(task.await.unwrap());
    }
    (watch.stop(done.load(Ordering::Relaxed)), left)
}

/// Signing and nothing else: as many bytes as an access token has.
struct Signing {
    pair: EcdsaKeyPair,
    message: Vec<u8>,
}

impl Signing {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { pair, message: vec![b'a'; 720] }
    }

    fn once(&self) {
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
