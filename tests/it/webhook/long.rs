//! a receiver that comes and goes, and a server that is killed again and again: nothing is lost, what comes twice
//! has the same `webhook-id`, and what concerns one thing arrives in its order.
//!
//! The server is the real program, killed with signal 9; the receiver is a process of its own, this same test binary
//! started again (`receiver` below), which verifies with the library of Standard Webhooks and writes down what it has
//! taken before it says so. `AUTHD_EVENTS=full` makes it ten thousand events and twenty kills; otherwise it is a
//! fraction of that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use authd::env::{Outbound as _, Request};
use authd::http::{Fetch, OutboundRules, SystemDns};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use rand::Rng as _;
use serde_json::{Value, json};
use tempfile::TempDir;

const AUTHD: &str = env!("CARGO_BIN_EXE_authd");
const AT: &str = "AUTHD_RECEIVER_AT";
const BOOK: &str = "AUTHD_RECEIVER_BOOK";
const SECRET: &str = "AUTHD_RECEIVER_SECRET";
/// People, whose events have each an order of their own.
const PEOPLE: usize = 40;

#[expect(clippy::disallowed_methods, reason = "how a test is told what to do")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Takes what is signed, and writes it down first.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "the receiver of `r_10_nothing_is_lost_between_a_receiver_that_comes_and_goes_and_a_server_that_is_killed`"]
async fn receiver() {
    let (Some(at), Some(book), Some(secret)) = (told(AT), told(BOOK), told(SECRET)) else { return };
    let book = OpenOptions::new().create(true).append(true).open(book).unwrap();
    let state = Arc::new((standardwebhooks::Webhook::new(&secret).unwrap(), book));
    let router = axum::Router::new().route("/hooks", axum::routing::post(take)).with_state(state);
    let listener = tokio::net::TcpListener::bind(at).await.unwrap();
    axum::serve(listener, router).await.unwrap();
}

async fn take(
    State(state): State<Arc<(standardwebhooks::Webhook, std::fs::File)>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let good = state.0.verify(&body, &headers).is_ok();
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let line = json!({
        "good": good,
        "id": headers.get("webhook-id").and_then(|id| id.to_str().ok()),
        "event": event["data"]["eventId"],
        "seq": event["data"]["seq"],
        "subject": event["data"]["subjectId"],
    });
    // One write of one line: whole or not at all, and in the kernel's hands before the answer.
    let mut book = &state.1;
    match book.write_all(format!("{line}\n").as_bytes()) {
        Ok(()) if good => StatusCode::NO_CONTENT,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// A process that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Scene {
    folder: TempDir,
    authd_at: SocketAddr,
    receiver_at: SocketAddr,
}

/// A port that was free just now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Scene {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn book(&self) -> PathBuf {
        self.folder.path().join("book")
    }

    fn serve(&self) -> Killed {
        // The one before it may hold the address or the database for a moment longer.
        for _ in 0..50 {
            let mut child = Command::new(AUTHD)
                .args([
                    "serve",
                    "--outbound-allow",
                    "127.0.0.0/8",
                    "--listen",
                    &self.authd_at.to_string(),
                    "--data-dir",
                ])
                .arg(self.data())
                .env_clear()
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let ready = lines.next();
            if ready.is_some() {
                std::thread::spawn(move || lines.for_each(drop));
                return Killed(child);
            }
            drop(Killed(child));
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not start");
    }

    fn receive(&self, secret: &str) -> Killed {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["webhook::long::receiver", "--exact", "--ignored", "--quiet"])
            .env(AT, self.receiver_at.to_string())
            .env(BOOK, self.book())
            .env(SECRET, secret)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Killed(child)
    }

    fn run(&self, args: &[&str]) -> Value {
        let output = Command::new(AUTHD)
            .arg("--data-dir")
            .arg(self.data())
            .args(args)
            .arg("--json")
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// Asks once; none while nobody is there.
async fn ask(
    fetch: &Fetch,
    at: SocketAddr,
    key: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Option<(u16, Value)> {
    let url = format!("http://{at}{path}").parse().unwrap();
    let mut request = Request {
        method,
        timeout: Duration::from_secs(10),
        max_bytes: 4 << 20,
        body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
        ..Request::get(url)
    }
    .header(header::AUTHORIZATION, &format!("Bearer {key}"));
    if !request.body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let answer = fetch.send(request).await.ok()?;
    Some((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
}

/// What has still to arrive at an endpoint, as the log of deliveries has it.
async fn waiting(fetch: &Fetch, at: SocketAddr, key: &str, endpoint: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/deliveries?endpoint={endpoint}&state=pending&limit=1000{cursor}");
        let (status, page) = ask(fetch, at, key, Method::GET, &path, None).await.unwrap();
        assert_eq!(status, 200, "{page}");
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn lines(book: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(book).unwrap_or_default();
    // What was written when it was killed may be half a line.
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_nothing_is_lost_between_a_receiver_that_comes_and_goes_and_a_server_that_is_killed() {
    let full = told("AUTHD_EVENTS").is_some_and(|wish| wish == "full");
    let (events, kills) = if full { (10_000, 20) } else { (300, 3) };
    let scene = Scene { folder: TempDir::new().unwrap(), authd_at: free(), receiver_at: free() };
    let scene = Arc::new(scene);
    let rules = OutboundRules::parse(&["127.0.0.0/8".to_owned()]).unwrap();
    let fetch = Arc::new(Fetch::new(rules, Arc::new(SystemDns::new()), &[] as &[&Path]).unwrap());

    let mut server = Some(scene.serve());
    let acme = text(&scene.run(&["org", "create", "--name", "Acme"]), "id");
    let url = format!("http://{}/hooks", scene.receiver_at);
    let made = scene.run(&["webhook", "create", "--org", &acme, "--url", &url, "--subscribe", "user.*"]);
    let (secret, endpoint) = (text(&made, "secret"), text(&made, "id"));
    let dead = format!("http://{}/", free());
    scene.run(&["webhook", "create", "--org", &acme, "--url", &dead, "--name", "dead for good"]);
    let key = scene.run(&[
        "api-key",
        "create",
        "--org",
        &acme,
        "--name",
        "k",
        "--grant",
        "user.manage,connection.audit.read,connection.webhook.manage",
    ]);
    let key = text(&key, "key");
    // The receiver is there for a while, and gone for a while. A call that finds it gone twice waits for minutes, and
    // what concerns the same person waits behind it.
    let stop = Arc::new(AtomicBool::new(false));
    let coming = {
        let (stop, theirs) = (Arc::clone(&stop), Arc::clone(&scene));
        tokio::task::spawn_blocking(move || {
            let mut up = Some(theirs.receive(&secret));
            while !stop.load(Ordering::SeqCst) {
                for _ in 0..90 {
                    std::thread::sleep(Duration::from_millis(100));
                    if stop.load(Ordering::SeqCst) {
                        return up;
                    }
                }
                drop(up.take());
                std::thread::sleep(Duration::from_millis(rand::rng().random_range(300..1_500)));
                up = Some(theirs.receive(&secret));
            }
            up
        })
    };

    let mut people = Vec::new();
    for person in 0..PEOPLE {
        let email = format!("person{person}@acme.test");
        let made = scene.run(&["user", "create", "--org", &acme, "--email", &email]);
        people.push(text(&made, "id"));
    }
    let people = Arc::new(people);

    // Whoever changes people goes on while the server is killed, and counts what it was told was done.
    let (acked, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8_usize {
        let (fetch, people, key, acked, over) =
            (Arc::clone(&fetch), Arc::clone(&people), key.clone(), Arc::clone(&acked), Arc::clone(&over));
        let at = scene.authd_at;
        writers.spawn(async move {
            let mut turn = 0;
            let mut mine = BTreeMap::<String, usize>::new();
            while acked.load(Ordering::SeqCst) < events && !over.load(Ordering::SeqCst) {
                turn += 1;
                // Each person has one writer, so that nothing of theirs is stale.
                let person = &people[(turn * 8 + writer) % PEOPLE];
                let change = json!({"name": format!("Name {writer} {turn}")});
                let path = format!("/v1/users/{person}");
                match ask(&fetch, at, &key, Method::PATCH, &path, Some(change)).await {
                    Some((200, _)) => {
                        acked.fetch_add(1, Ordering::SeqCst);
                        *mine.entry(person.clone()).or_default() += 1;
                    }
                    Some((status, body)) => assert!(status >= 500, "{status} {body}"),
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
            mine
        });
    }

    for kill in 1..=kills {
        // Spread over the writing.
        while acked.load(Ordering::SeqCst) < events * kill / (kills + 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(0..200))).await;
        drop(server.take());
        let again = Arc::clone(&scene);
        server = Some(tokio::task::spawn_blocking(move || again.serve()).await.unwrap());
    }
    let mut acked_of = BTreeMap::<String, usize>::new();
    while let Some(mine) = writers.join_next().await {
        for (person, count) in mine.unwrap() {
            *acked_of.entry(person).or_default() += count;
        }
    }
    over.store(true, Ordering::SeqCst);
    stop.store(true, Ordering::SeqCst);
    let _receiver = coming.await.unwrap();

    // What the log has is what has to arrive.
    let mut expected: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut of_person = BTreeMap::<String, usize>::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/audit?kind=user.*&limit=1000&oldestFirst=true{cursor}");
        let (status, page) = ask(&fetch, scene.authd_at, &key, Method::GET, &path, None).await.unwrap();
        assert_eq!(status, 200, "{page}");
        for event in page["items"].as_array().unwrap() {
            expected.insert(text(event, "eventId"), (event["seq"].as_u64().unwrap(), text(event, "subjectId")));
            *of_person.entry(text(event, "subjectId")).or_default() += 1;
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    for (person, count) in &acked_of {
        assert!(of_person.get(person).is_some_and(|kept| kept > count), "a change that was acknowledged is lost");
    }
    // Each has arrived, or waits in the log of deliveries with a time for its next try. An operator who knows that the
    // receiver is back does not wait for that: what was refused twice or more would come in minutes, or in half an hour.
    let (mut hastened, mut waited, mut untold) = (0, 0, 0);
    let mut arrived = BTreeSet::new();
    for _ in 0..600 {
        let waiting = waiting(&fetch, scene.authd_at, &key, &endpoint).await;
        arrived = lines(&scene.book()).iter().map(|line| text(line, "event")).collect();
        if expected.keys().all(|event| arrived.contains(event)) {
            break;
        }
        waited = waited.max(waiting.len());
        let known: BTreeSet<_> = waiting.iter().filter_map(|call| call["event"].as_str()).collect();
        untold = expected.keys().filter(|event| !arrived.contains(*event) && !known.contains(event.as_str())).count();
        for call in waiting {
            assert!(call["dueAt"].is_string(), "it waits for nothing: {call}");
            if call["tries"].as_u64().unwrap() >= 2 {
                let again = format!("/v1/deliveries/{}/replay", text(&call, "id"));
                let (status, body) = ask(&fetch, scene.authd_at, &key, Method::POST, &again, None).await.unwrap();
                assert_eq!(status, 200, "{body}");
                hastened += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let late = expected.keys().filter(|event| !arrived.contains(*event)).count();
    assert_eq!(late, 0, "of {} events; of them {untold} were neither there nor on their way", expected.len());
    let book = lines(&scene.book());
    let (mut ids, mut last, mut twice) = (BTreeMap::new(), BTreeMap::new(), 0);
    for line in &book {
        assert_eq!(line["good"], true, "{line}");
        let (event, seq, subject) = (text(line, "event"), line["seq"].as_u64().unwrap(), text(line, "subject"));
        let known = expected.get(&event).unwrap_or_else(|| panic!("{line} is in no log"));
        assert_eq!(known, &(seq, subject.clone()));
        if let Some(before) = ids.insert(event.clone(), text(line, "id")) {
            assert_eq!(before, text(line, "id"), "a second time under another id");
            twice += 1;
        } else {
            let before = last.insert(subject.clone(), seq).unwrap_or(0);
            assert!(before < seq, "{subject}: {seq} arrived behind {before}");
        }
    }
    println!(
        "{} events, {kills} kills, {twice} came twice, {} deliveries; {waited} had still to come at the end, {hastened} asked for at once",
        expected.len(),
        book.len()
    );
    let verified = scene.run(&["audit", "verify"]);
    assert_eq!(verified["ok"], true, "{verified}");
    drop(server);
}
