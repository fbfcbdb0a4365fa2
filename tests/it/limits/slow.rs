//! DOS-01: sockets that say nothing, and requests that are given up.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use authd::server::listen::{Limits, Listener, Shutdown, Tls, serve};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::in_full;
use crate::world::authd::Authd;

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn now() -> Instant {
    Instant::now()
}

fn listen(router: Router, limits: Limits, tls: Option<Arc<Tls>>) -> (SocketAddr, Shutdown) {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), tls).unwrap();
    let (at, shutdown) = (listener.address().unwrap(), Shutdown::new());
    tokio::spawn(serve(listener, router, limits, shutdown.clone()));
    (at, shutdown)
}

/// One request on a connection of its own: how long it took.
fn healthy(at: SocketAddr) -> Duration {
    let started = now();
    let mut stream = std::net::TcpStream::connect(at).unwrap();
    let head = "GET /.well-known/openid-configuration HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    started.elapsed()
}

/// The best of three: other tests want the processor, too. From a thread of its own, as the slow ones: what is measured is
/// the server, and not the runtime that clients would share with it.
async fn p99(at: SocketAddr) -> Duration {
    let measure = move || {
        let round = || {
            let mut times: Vec<Duration> = (0..200).map(|_| healthy(at)).collect();
            times.sort();
            times[198]
        };
        (0..3).map(|_| round()).min()
    };
    tokio::task::spawn_blocking(measure).await.unwrap().unwrap()
}

/// Sockets that say a byte a second, one in four nothing at all: how long each was left open. Nobody waits for `Limits` longer
/// than 30 seconds.
fn drip(at: SocketAddr, sockets: usize, all_open: std::sync::mpsc::Sender<()>) -> Vec<Duration> {
    let mut open: Vec<(usize, Instant, std::net::TcpStream)> = Vec::new();
    for n in 0..sockets {
        let stream = std::net::TcpStream::connect(at).unwrap();
        stream.set_nonblocking(true).unwrap();
        open.push((n, now(), stream));
    }
    all_open.send(()).unwrap();
    let (mut closed, mut letters) = (Vec::new(), b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-Slow: ".iter().cycle());
    for round in 0..600 {
        let letter = [*letters.next().unwrap()];
        open.retain_mut(|(n, since, stream)| {
            // A tenth of them at a time, so that they do not speak all at once.
            if *n % 4 != 0 && (*n + round) % 20 == 0 {
                let _ = stream.write(&letter);
            }
            let alive = matches!(stream.read(&mut [0; 64]), Err(error) if error.kind() == ErrorKind::WouldBlock);
            if !alive {
                closed.push(since.elapsed());
            }
            alive
        });
        if open.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(open.is_empty(), "{} are still open", open.len());
    closed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dos_01_slow_sockets_are_closed_in_time_and_slow_nobody_else() {
    let (sockets, limits) = match in_full() {
        true => (2_000, Limits::default()),
        false => (200, Limits { head_time: Duration::from_secs(2), ..Limits::default() }),
    };
    let head_time = limits.head_time;
    let authd = Authd::start().await;
    let (at, _shutdown) = listen(authd.router.clone(), limits, None);
    let alone = p99(at).await;
    let (opened, all_open) = std::sync::mpsc::channel();
    let dripping = tokio::task::spawn_blocking(move || drip(at, sockets, opened));
    tokio::task::spawn_blocking(move || all_open.recv().unwrap()).await.unwrap();
    let under = p99(at).await;
    // Twice is the rule; of a millisecond twice is less than what the machine's own scheduling makes of it.
    assert!(under < alone * 2 + Duration::from_millis(20), "{under:?}, and {alone:?} alone");
    for took in dripping.await.unwrap() {
        assert!(took <= head_time + Duration::from_secs(1), "{took:?}");
    }
    println!("{sockets} slow sockets: p99 {under:?}, {alone:?} without them");
}

/// A connection by HTTP/2, with nobody else on it.
async fn http2(at: SocketAddr, certificate: &std::path::Path) -> hyper::client::conn::http2::SendRequest<Body> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(certificate).unwrap();
    roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect("h2.test".try_into().unwrap(), TcpStream::connect(at).await.unwrap()).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(path: &str) -> axum::http::Request<Body> {
    axum::http::Request::get(format!("https://h2.test{path}")).body(Body::empty()).unwrap()
}

/// CVE-2023-44487: streams that are opened and reset at once.
#[tokio::test]
async fn dos_01_a_client_that_resets_its_requests_is_cut_off_and_others_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["h2.test".to_owned()]).unwrap();
    let (certificate, key) = (directory.path().join("tls.pem"), directory.path().join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let router = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(60)).await }));
    let (at, _shutdown) = listen(router, Limits::default(), Some(Tls::load(&certificate, &key).unwrap()));
    let reset = async |sender: &mut hyper::client::conn::http2::SendRequest<Body>| {
        if sender.ready().await.is_err() {
            return false;
        }
        let answer = sender.send_request(request("/slow"));
        // Long enough to be there, too short to be answered.
        let _ = tokio::time::timeout(Duration::from_millis(5), answer).await;
        true
    };
    let mut patient = http2(at, &certificate).await;
    for _ in 0..15 {
        assert!(reset(&mut patient).await);
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for _ in 0..200 {
        patient.ready().await.unwrap();
        assert_eq!(patient.send_request(request("/")).await.unwrap().status(), 200, "who waits for answers stays");
    }
    let mut hasty = http2(at, &certificate).await;
    let mut sent = 0;
    while sent < 500 && reset(&mut hasty).await {
        sent += 1;
    }
    assert!((21..100).contains(&sent), "{sent} requests were let through");
    assert_eq!(patient.send_request(request("/")).await.unwrap().status(), 200);
}
