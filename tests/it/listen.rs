//! The listener against slow, greedy and foreign clients; its start, its stop, its certificates.

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use authd::env::{Dns, Outbound as _, Request};
use authd::error::{Result, codes};
use authd::http::{Fetch, OutboundRules, Peer};
use authd::server::listen::{Limits, Listener, Shutdown, Tls, private_directory, serve};
use axum::Router;
use axum::routing::{get, post};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);

fn router() -> Router {
    Router::new()
        .route("/", get(|peer: Peer| async move { format!("{peer:?}") }))
        .route("/slow", get(|| async { sleep(400 * MS).await }))
        .route("/stuck", get(|| async { sleep(Duration::from_secs(60)).await }))
        .route("/large", get(|| async { vec![b'x'; 64 * 1024 * 1024] }))
        .route("/version", get(|request: axum::extract::Request| async move { format!("{:?}", request.version()) }))
        .route(
            "/body",
            post(|body: axum::body::Body| async move {
                axum::body::to_bytes(body, 65536).await.map_err(|_| axum::http::StatusCode::REQUEST_TIMEOUT)
            }),
        )
}

struct Server {
    at: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Server {
    fn start(limits: Limits, tls: Option<Arc<Tls>>) -> Self {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), tls).unwrap();
        let (at, shutdown) = (listener.address().unwrap(), Shutdown::new());
        let task = tokio::spawn(serve(listener, router(), limits, shutdown.clone()));
        Self { at, shutdown, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }
}

/// Short times, so that the tests are short; the order of the phases stays.
fn short() -> Limits {
    Limits { head_time: 300 * MS, body_time: 300 * MS, idle: 1200 * MS, stall: 300 * MS, ..Limits::default() }
}

/// One answer of HTTP/1.1 with a length: status line and body. None when the connection closes first.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, String)> {
    let mut text = Vec::new();
    loop {
        if let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
            let length: usize =
                head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            if text.len() >= end + 4 + length {
                let status = head.lines().next().unwrap().to_owned();
                return Some((status, String::from_utf8_lossy(&text[end + 4..]).into_owned()));
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => text.extend_from_slice(&buffer[..n]),
        }
    }
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> Option<(String, String)> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.ok()?;
    answer(stream).await
}

/// Waits until the other side closes, and says how long that took.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) -> Duration {
    let started = Instant::now();
    let read = timeout(Duration::from_secs(10), async {
        while !matches!(stream.read(&mut [0; 65536]).await, Ok(0) | Err(_)) {}
    })
    .await;
    assert!(read.is_ok(), "still open after 10 s");
    started.elapsed()
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let limits = Limits::default();
    assert_eq!((limits.head_time.as_secs(), limits.head_bytes, limits.headers), (10, 16 * 1024, 64));
    assert_eq!((limits.body_time.as_secs(), limits.idle.as_secs(), limits.grace.as_secs()), (15, 60, 9));
    assert_eq!((limits.connections, limits.per_address, limits.streams), (4096, 128, 100));
}

#[tokio::test]
async fn a_slow_head_is_cut_off_however_it_drips() {
    let server = Server::start(short(), None);
    let mut silent = server.connect().await;
    let mut dripping = server.connect().await;
    dripping.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let (mut reads, mut writes) = dripping.into_split();
    tokio::spawn(async move {
        while writes.write_all(b"X-A: b\r\n").await.is_ok() {
            sleep(50 * MS).await;
        }
    });
    let (one, two) = tokio::join!(closed(&mut silent), closed(&mut reads));
    assert!(one < 900 * MS && two < 900 * MS, "{one:?} {two:?}");
}

#[tokio::test]
async fn a_slow_head_of_a_second_request_is_cut_off_too() {
    let server = Server::start(short(), None);
    let mut stream = server.connect().await;
    ask(&mut stream, "/").await.unwrap();
    stream.write_all(b"GET / HT").await.unwrap();
    let took = closed(&mut stream).await;
    assert!(took < 900 * MS, "{took:?}");
}

#[tokio::test]
async fn an_idle_connection_lives_longer_than_a_head_may_take() {
    let server = Server::start(short(), None);
    let mut stream = server.connect().await;
    ask(&mut stream, "/").await.unwrap();
    sleep(700 * MS).await;
    assert!(ask(&mut stream, "/").await.is_some(), "head_time is not the limit of idleness");
    let took = closed(&mut stream).await;
    assert!(took > 800 * MS && took < 2500 * MS, "{took:?}");
}

#[tokio::test]
async fn a_body_that_nobody_wants_does_not_cost_the_next_request_its_connection() {
    let server = Server::start(Limits::default(), None);
    let mut stream = server.connect().await;
    let head = |more: &str| format!("POST /nowhere HTTP/1.1\r\nHost: x\r\n{more}\r\n");
    for chunked in [false, true] {
        let (length, body) = match chunked {
            true => ("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
            false => ("Content-Length: 2\r\n", "{}"),
        };
        // As many clients send it: the head first, and the body a moment after the answer could have been there.
        stream.write_all(head(length).as_bytes()).await.unwrap();
        sleep(100 * MS).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.unwrap().0.contains("404"));
        assert!(ask(&mut stream, "/").await.unwrap().0.contains("200"), "the next request, chunked {chunked}");
    }
    // What is long, what does not come, and what waits to be invited is not waited for; and it is said that this was the end.
    for more in ["Content-Length: 100000\r\n", "Content-Length: 2\r\n", "Content-Length: 2\r\nExpect: 100-continue\r\n"]
    {
        let mut stream = server.connect().await;
        stream.write_all(head(more).as_bytes()).await.unwrap();
        let mut told = String::new();
        timeout(Duration::from_secs(5), stream.read_to_string(&mut told)).await.unwrap().unwrap();
        let told = told.to_ascii_lowercase();
        assert!(told.starts_with("http/1.1 404") && told.contains("connection: close"), "{more} {told}");
    }
}

#[tokio::test]
async fn a_slow_answer_is_not_idleness() {
    let server = Server::start(Limits { idle: 200 * MS, head_time: 200 * MS, ..short() }, None);
    assert!(ask(&mut server.connect().await, "/slow").await.unwrap().0.contains("200"));
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = Server::start(short(), None);
    for (headers, size, status) in
        [(63, 1, "200"), (64, 1, "431"), (1, 15 * 1024, "200"), (1, 17 * 1024, "431"), (1, 300 * 1024, "431")]
    {
        let mut stream = server.connect().await;
        let mut head = String::from("GET / HTTP/1.1\r\nHost: x\r\n");
        for n in 0..headers {
            head.push_str(&format!("X-{n}: {}\r\n", "x".repeat(size)));
        }
        head.push_str("\r\n");
        let (mut reads, mut writes) = stream.split();
        let (_, answer) = tokio::join!(writes.write_all(head.as_bytes()), answer(&mut reads));
        assert!(answer.unwrap().0.contains(status), "{headers} × {size}");
    }
    let mut stream = server.connect().await;
    stream.write_all(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(20_000)).as_bytes()).await.unwrap();
    let status = answer(&mut stream).await.unwrap().0;
    assert!(status.contains("414") || status.contains("431"), "{status}");
}

#[tokio::test]
async fn a_slow_body_is_cut_off() {
    let server = Server::start(short(), None);
    let mut stream = server.connect().await;
    stream.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    let (mut reads, mut writes) = stream.into_split();
    tokio::spawn(async move {
        while writes.write_all(b"x").await.is_ok() {
            sleep(50 * MS).await;
        }
    });
    let started = Instant::now();
    assert!(answer(&mut reads).await.unwrap().0.contains("408"));
    assert!(started.elapsed() < 900 * MS);
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let server = Server::start(short(), None);
    let mut stream = server.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    sleep(1200 * MS).await;
    let mut total = 0;
    let mut buffer = vec![0; 1024 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        total += n;
    }
    assert!(total < 64 * 1024 * 1024, "{total}");
}

#[tokio::test]
async fn connections_are_counted() {
    let server = Server::start(Limits { connections: 3, ..Limits::default() }, None);
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect().await;
        ask(&mut stream, "/").await.unwrap();
        held.push(stream);
    }
    let took = closed(&mut server.connect().await).await;
    assert!(took < 500 * MS, "{took:?}");
    held.pop();
    sleep(50 * MS).await;
    assert!(ask(&mut server.connect().await, "/").await.is_some());
    assert!(ask(&mut held[0], "/").await.is_some());
}

#[tokio::test]
async fn the_peer_reaches_the_router() {
    let server = Server::start(Limits::default(), None);
    let mut stream = server.connect().await;
    let local = stream.local_addr().unwrap();
    assert_eq!(ask(&mut stream, "/").await.unwrap().1, format!("Tcp({local})"));
}

#[tokio::test]
async fn a_graceful_stop_finishes_what_runs_and_takes_nothing_new() {
    let server = Server::start(Limits::default(), None);
    let (mut busy, mut idle, mut fresh) = (server.connect().await, server.connect().await, server.connect().await);
    ask(&mut idle, "/").await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    sleep(100 * MS).await;
    let started = Instant::now();
    server.shutdown.begin();
    assert!(closed(&mut idle).await < 300 * MS);
    assert!(TcpStream::connect(server.at).await.is_err(), "nobody listens any more");
    assert!(answer(&mut busy).await.unwrap().0.contains("200"));
    assert!(closed(&mut fresh).await < 2000 * MS, "a connection without a request does not hold the stop up");
    server.task.await.unwrap();
    assert!(started.elapsed() < 2500 * MS);
}

#[tokio::test]
async fn the_grace_period_ends_and_a_second_signal_ends_it_at_once() {
    for force in [false, true] {
        let grace = if force { Duration::from_secs(60) } else { 300 * MS };
        let server = Server::start(Limits { grace, ..Limits::default() }, None);
        let mut stuck = server.connect().await;
        stuck.write_all(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        sleep(100 * MS).await;
        server.shutdown.begin();
        if force {
            sleep(100 * MS).await;
            assert!(!server.task.is_finished());
            server.shutdown.force();
        }
        timeout(1500 * MS, server.task).await.unwrap().unwrap();
        assert!(closed(&mut stuck).await < 500 * MS);
    }
}

#[tokio::test]
async fn a_taken_address_is_said() {
    let server = Server::start(Limits::default(), None);
    let refused = Listener::tcp(server.at, None).unwrap_err();
    assert!(refused.is(&codes::LISTEN_FAILED) && refused.message().contains(&server.at.to_string()));
}

// The control socket.

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn home() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data").join("authd.sock");
    (directory, path)
}

fn refused(path: &Path) -> authd::error::Error {
    Listener::control(path, |_| {}).unwrap_err()
}

#[tokio::test]
async fn the_control_socket_is_ours_alone() {
    let (_home, path) = home();
    let listener = Listener::control(&path, |_| {}).unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o140_600 & 0o7777, 0o700));
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left there");
    let shutdown = Shutdown::new();
    let task = tokio::spawn(serve(listener, router(), Limits::default(), shutdown.clone()));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let ours = std::fs::metadata(&path).unwrap().uid();
    assert_eq!(ask(&mut stream, "/").await.unwrap().1, format!("Control {{ uid: {ours} }}"));
    // While somebody answers there, nobody takes its place.
    assert!(refused(&path).is(&codes::DATA_DIR_IN_USE));
    assert!(ask(&mut UnixStream::connect(&path).await.unwrap(), "/").await.is_some());
    shutdown.begin();
    timeout(Duration::from_secs(3), task).await.unwrap().unwrap();
    assert!(!path.exists(), "the file goes with the listener");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_nothing_else_is() {
    let (_home, path) = home();
    private_directory(path.parent().unwrap()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    drop(Listener::control(&path, |_| {}).unwrap());

    let other = path.with_file_name("other");
    std::fs::write(&other, "precious").unwrap();
    std::fs::write(&path, "precious").unwrap();
    assert!(refused(&path).is(&codes::LISTEN_FAILED), "a file");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();

    symlink(&other, &path).unwrap();
    assert!(refused(&path).is(&codes::LISTEN_FAILED), "a symlink to a file");
    std::fs::remove_file(&path).unwrap();
    symlink("nowhere", &path).unwrap();
    assert!(refused(&path).is(&codes::LISTEN_FAILED), "a dangling symlink");
    std::fs::remove_file(&path).unwrap();
    let elsewhere = path.with_file_name("x.sock");
    let _live = std::os::unix::net::UnixListener::bind(&elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(refused(&path).is(&codes::LISTEN_FAILED), "a symlink to a socket");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(refused(&path).is(&codes::LISTEN_FAILED), "a directory");
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
}

#[tokio::test]
async fn a_directory_that_others_can_write_to_is_refused() {
    let (home, path) = home();
    let directory = path.parent().unwrap();
    std::fs::create_dir(directory).unwrap();
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = refused(&path);
    assert!(error.is(&codes::LISTEN_FAILED) && error.next_step().unwrap().contains("chmod"), "{error:?}");
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0, "nothing is left behind");
    private_directory(directory).unwrap();
    assert_eq!(mode(directory), 0o700);
    assert!(Listener::control(&path, |_| {}).is_ok());
    assert!(refused(&home.path().join("x".repeat(120)).join("s")).message().contains("too long"));
}

/// Needs to be root, to become another user.
#[tokio::test]
async fn a_process_of_another_user_is_turned_away_and_reported() {
    let (home, path) = home();
    let strangers = Arc::new(Mutex::new(Vec::new()));
    let heard = strangers.clone();
    let listener = Listener::control(&path, move |uid| heard.lock().unwrap().push(uid)).unwrap();
    if std::fs::metadata(&path).unwrap().uid() != 0 {
        return;
    }
    let shutdown = Shutdown::new();
    tokio::spawn(serve(listener, router(), Limits::default(), shutdown.clone()));
    // Every door that the file system closes is opened: what is left is the uid.
    for (path, mode) in [(home.path(), 0o755), (path.parent().unwrap(), 0o755), (&path, 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let visit = |uid: u32| {
        let mut curl = tokio::process::Command::new("curl");
        curl.args(["-sS", "--max-time", "5", "--unix-socket"])
            .arg(&path)
            .arg("http://localhost/")
            .uid(uid)
            .current_dir("/");
        curl
    };
    let Ok(stranger) = visit(65534).output().await else { return };
    assert!(!stranger.status.success() && stranger.stdout.is_empty(), "{stranger:?}");
    assert_eq!(*strangers.lock().unwrap(), [65534]);
    assert!(visit(0).output().await.unwrap().status.success());
    shutdown.force();
}

// TLS.

struct Nobody;

#[async_trait]
impl Dns for Nobody {
    async fn addresses(&self, _: &str) -> Result<Vec<std::net::IpAddr>> {
        Ok(vec![[127, 0, 0, 1].into()])
    }
    async fn txt(&self, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// Writes a new self-signed certificate for `name` and its key.
fn certify(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let (certificate, key) = (directory.join("tls.pem"), directory.join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

/// A client that trusts exactly the certificate that the file holds now.
fn client(certificate: &Path) -> Fetch {
    Fetch::new(OutboundRules::parse(["127.0.0.1"]).unwrap(), Arc::new(Nobody), &[certificate]).unwrap()
}

fn https(server: &Server, name: &str, path: &str) -> Request {
    Request::get(format!("https://{name}:{}{path}", server.at.port()).parse().unwrap())
}

#[tokio::test]
async fn tls_speaks_http2_and_http1_and_takes_a_new_certificate_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = certify(directory.path(), "first.test");
    let tls = Tls::load(&certificate, &key).unwrap();
    let server = Server::start(Limits { certificate_check: 50 * MS, ..short() }, Some(tls.clone()));
    let first = client(&certificate);
    assert_eq!(first.send(https(&server, "first.test", "/version")).await.unwrap().body, b"HTTP/2.0");

    // HTTP/2 has the same limit on headers.
    let mut many = https(&server, "first.test", "/");
    for n in 0..70 {
        many.headers.insert(axum::http::HeaderName::try_from(format!("x-{n}")).unwrap(), "x".parse().unwrap());
    }
    assert_eq!(first.send(many).await.unwrap().status, 431);

    // HTTP/1.1 for a client that knows nothing else.
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(&certificate).unwrap();
    roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let plain = tokio_rustls::TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let mut stream = plain.connect("first.test".try_into().unwrap(), server.connect().await).await.unwrap();
    assert_eq!(ask(&mut stream, "/version").await.unwrap().1, "HTTP/1.1");

    // A key that does not fit is not taken; what works stays.
    std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(tls.reload().unwrap_err().is(&codes::CONFIG_INVALID));
    sleep(150 * MS).await;
    assert!(client(&certificate).send(https(&server, "first.test", "/")).await.is_ok());

    certify(directory.path(), "second.test");
    let second = client(&certificate);
    let renewed = async {
        while second.send(https(&server, "second.test", "/")).await.is_err() {
            sleep(50 * MS).await;
        }
    };
    timeout(Duration::from_secs(3), renewed).await.unwrap();
    assert!(
        ask(&mut stream, "/").await.is_some_and(|(status, _)| status.contains("200")),
        "a connection that stands is not touched"
    );
}

/// What clients are shown is on the list of what ends: the operator's, and as it was last read.
#[tokio::test]
async fn the_certificate_that_is_shown_is_among_what_ends() {
    let authd = crate::world::authd::Authd::start().await;
    let shown = async |more: serde_json::Value| -> Vec<serde_json::Value> {
        let all = authd.operate("expiry.list", more).await["items"].as_array().unwrap().clone();
        all.into_iter().filter(|item| item["kind"] == "tls_certificate").collect()
    };
    assert!(shown(serde_json::json!({})).await.is_empty(), "without TLS there is none");
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("tls.pem"), directory.path().join("tls.key"));
    // The clock stands at 2026-01-01.
    let write = |month: u8, day: u8| {
        let mut wish = rcgen::CertificateParams::new(vec!["id.test".to_owned()]).unwrap();
        wish.not_after = rcgen::date_time_ymd(2026, month, day);
        let pair = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&certificate, wish.self_signed(&pair).unwrap().pem()).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
    };
    write(1, 4);
    let tls = Tls::load(&certificate, &key).unwrap();
    tls.tell(authd.env());
    let items = shown(serde_json::json!({})).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["daysLeft"], 3);
    assert_eq!(items[0]["urgency"], "urgent");
    assert!(items[0]["next"].as_str().unwrap().contains(certificate.to_str().unwrap()), "{}", items[0]);
    let organization = authd.operate("organization.create", serde_json::json!({"name": "Acme"})).await;
    assert!(shown(serde_json::json!({"organization": organization["id"]})).await.is_empty(), "it is no tenant's");
    // Renewed, and read again.
    write(3, 2);
    tls.reload().unwrap();
    assert_eq!(shown(serde_json::json!({})).await[0]["daysLeft"], 60);
    // One that cannot be used is not shown, so it does not count.
    std::fs::write(&certificate, "nothing").unwrap();
    assert!(tls.reload().is_err());
    assert_eq!(shown(serde_json::json!({})).await[0]["daysLeft"], 60);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = certify(directory.path(), "first.test");
    let server = Server::start(short(), Some(Tls::load(&certificate, &key).unwrap()));
    assert!(closed(&mut server.connect().await).await < 900 * MS);
    let mut plain = server.connect().await;
    assert!(ask(&mut plain, "/").await.is_none(), "no plain http on a TLS port");
}

#[test]
fn files_that_are_no_certificate_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = certify(directory.path(), "first.test");
    let missing = directory.path().join("missing.pem");
    for (certificate, key, named) in
        [(&missing, &key, "missing.pem"), (&certificate, &missing, "missing.pem"), (&key, &key, "tls.key")]
    {
        let refused = Tls::load(certificate, key).unwrap_err();
        assert!(refused.is(&codes::CONFIG_INVALID) && refused.message().contains(named), "{refused:?}");
    }
}
