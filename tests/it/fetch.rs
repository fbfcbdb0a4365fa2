//! The outbound client against a hostile world: addresses, names, redirects, sizes, times, dead connections.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use authd::env::{Dns, Outbound as _, Request, Response};
use authd::error::{Error, Result, codes};
use authd::http::{Fetch, OutboundRules};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// Names and their answers; each lookup takes the next answer, the last one stays.
#[derive(Default)]
struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(list: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let parse = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers =
            list.iter().map(|(name, answers)| (name.to_string(), answers.iter().map(parse).collect())).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Dns for Names {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let list =
            answers.get_mut(host.trim_end_matches('.')).ok_or_else(|| Error::new(&codes::UPSTREAM_UNAVAILABLE))?;
        Ok(if list.len() > 1 { list.remove(0) } else { list[0].clone() })
    }
    async fn txt(&self, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

fn fetch(allow: &[&str], dns: Arc<Names>) -> Fetch {
    Fetch::new(OutboundRules::parse(allow).unwrap(), dns, &[] as &[&str]).unwrap()
}

async fn get(fetch: &Fetch, url: &str) -> Result<Response> {
    let mut request = Request::get(Url::parse(url).unwrap());
    request.timeout = Duration::from_secs(3);
    fetch.send(request).await
}

/// A listener on loopback that counts connections and lets `answer` handle each (with its number, from 0).
struct Stub {
    at: SocketAddr,
    hits: Arc<AtomicUsize>,
}

impl Stub {
    async fn new<F, R>(answer: F) -> Self
    where
        F: Fn(TcpStream, usize) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, hits) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = hits.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, counted.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Self { at, hits }
    }

    /// Answers every request with 200 and `hello`.
    async fn hello() -> Self {
        Self::new(|mut stream, _| async move {
            while request(&mut stream).await.is_some() && say(&mut stream, HELLO).await {}
        })
        .await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// One request: its head and a body of Content-Length bytes.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
            let length =
                head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            if text.len() >= end + 4 + length {
                return Some(String::from_utf8(text).unwrap());
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => text.extend_from_slice(&buffer[..n]),
        }
    }
}

async fn say(stream: &mut TcpStream, text: &str) -> bool {
    stream.write_all(text.as_bytes()).await.is_ok()
}

/// Ways to write an address of this machine, of its network or of its cloud, and other things that are no business of ours.
/// `{p}` is the port of a listener that must not hear of it.
const HOSTILE: &[&str] = &[
    "http://127.0.0.1:{p}/",
    "https://127.0.0.1:{p}/",
    "http://127.1:{p}/",
    "http://127.0.1:{p}/",
    "http://2130706433:{p}/",
    "http://0x7f000001:{p}/",
    "http://0x7f.0x0.0x0.0x1:{p}/",
    "http://0177.0.0.1:{p}/",
    "http://017700000001:{p}/",
    "http://0x7f.1:{p}/",
    "http://127.0.0.1.:{p}/",
    "http://127.255.255.254:{p}/",
    "http://0.0.0.0:{p}/",
    "http://0:{p}/",
    "http://[::1]:{p}/",
    "http://[::]:{p}/",
    "http://[0:0:0:0:0:0:0:1]:{p}/",
    "http://[::ffff:127.0.0.1]:{p}/",
    "http://[::ffff:7f00:1]:{p}/",
    "http://[::127.0.0.1]:{p}/",
    "http://[64:ff9b::127.0.0.1]:{p}/",
    "http://[2002:7f00:1::]:{p}/",
    "http://[2001:0:0:0:0:0:80ff:fffe]:{p}/",
    "http://[fe80::1]:{p}/",
    "http://[fc00::1]:{p}/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/",
    "http://0xa9fea9fe/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "http://localhost:{p}/",
    "http://LOCALHOST:{p}/",
    "http://localhost.:{p}/",
    "http://app.localhost:{p}/",
    "http://local\u{3002}test:{p}/",
    "http://127\u{3002}0\u{3002}0\u{3002}1:{p}/",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1:{p}/",
    "http://\u{2460}\u{2461}\u{2466}.0.0.1:{p}/",
    "http://rebind.test:{p}/",
    "https://rebind.test:{p}/",
    "https://rebind.test/",
    "https://rebind.test./",
    "https://mixed.test:{p}/",
    "https://mapped.test:{p}/",
    "http://example.com@127.0.0.1:{p}/",
    "http://127.0.0.1:{p}@example.com/",
    "https://user:secret@rebind.test:{p}/",
    "ftp://127.0.0.1:{p}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{p}/_x",
    "ws://127.0.0.1:{p}/",
    "data:text/plain,hello",
];

#[tokio::test]
async fn no_hostile_address_is_called() {
    let stub = Stub::hello().await;
    let dns = || {
        Names::new(&[
            ("localhost", &[&["127.0.0.1", "::1"]]),
            ("app.localhost", &[&["127.0.0.1"]]),
            ("local.test", &[&["127.0.0.1"]]),
            ("rebind.test", &[&["127.0.0.1"]]),
            ("mixed.test", &[&["1.1.1.1", "127.0.0.1"]]),
            ("mapped.test", &[&["::ffff:127.0.0.1"]]),
        ])
    };
    // Without any entry; and with one that makes the names be resolved and their addresses decide.
    for allow in [&[][..], &["1.1.1.1", "192.0.2.0/24", "example.com"]] {
        let fetch = fetch(allow, dns());
        for url in HOSTILE {
            let url = url.replace("{p}", &stub.at.port().to_string());
            // What is no URL at all never becomes a request.
            let Ok(parsed) = Url::parse(&url) else { continue };
            let refused = fetch.send(Request::get(parsed)).await.map(|_| ()).unwrap_err();
            assert!(
                refused.is(&codes::URL_NOT_ALLOWED) || refused.is(&codes::OUTBOUND_NOT_ALLOWED),
                "{url} {allow:?}: {refused:?}"
            );
        }
    }
    assert_eq!(stub.hits(), 0);
}

#[tokio::test]
async fn a_private_target_names_its_setting() {
    let fetch = fetch(&[], Names::new(&[("idp.corp", &[&["10.0.0.1"]])]));
    for url in ["http://127.0.0.1:9000/", "http://localhost:9000/", "https://10.0.0.1/", "https://[::1]/"] {
        let refused = fetch.permits(&Url::parse(url).unwrap()).unwrap_err();
        assert!(refused.is(&codes::OUTBOUND_NOT_ALLOWED), "{url}");
        assert!(refused.next_step().unwrap().contains("outbound.allow"));
    }
    assert!(fetch.permits(&Url::parse("https://idp.corp/").unwrap()).is_ok(), "not resolved yet");
    assert!(get(&fetch, "https://idp.corp/").await.unwrap_err().is(&codes::OUTBOUND_NOT_ALLOWED));
}

#[tokio::test]
async fn a_name_is_resolved_once_and_rebinding_gains_nothing() {
    let stub = Stub::hello().await;
    let dns = Names::new(&[("rebind.test", &[&["192.0.2.1"], &["127.0.0.1"]])]);
    // The first answer is allowed (and leads nowhere); the second must not be asked for by the same call.
    let fetch = fetch(&["192.0.2.1"], dns.clone());
    let url = format!("http://rebind.test:{}/", stub.at.port());
    let mut request = Request::get(Url::parse(&url).unwrap());
    request.timeout = Duration::from_millis(400);
    assert!(fetch.send(request).await.unwrap_err().is(&codes::UPSTREAM_UNAVAILABLE));
    assert_eq!(dns.asked.load(Ordering::SeqCst), 1);
    assert!(get(&fetch, &url).await.unwrap_err().is(&codes::OUTBOUND_NOT_ALLOWED));
    assert_eq!(stub.hits(), 0);
}

#[tokio::test]
async fn each_form_of_entry_opens_its_target() {
    let stub = Stub::hello().await;
    let dns = || Names::new(&[("idp.corp", &[&["127.0.0.1"]]), ("localhost", &[&["::1", "127.0.0.1"]])]);
    let port = stub.at.port();
    let (ip, host, local) = (stub.url("/"), format!("http://idp.corp:{port}/"), format!("http://localhost:{port}/"));
    for (entry, opens, leaves_shut) in [
        ("127.0.0.0/8".to_owned(), vec![&ip, &host, &local], vec![]),
        ("127.0.0.1".to_owned(), vec![&ip, &host, &local], vec![]),
        (format!("127.0.0.1:{port}"), vec![&ip, &host, &local], vec![]),
        ("idp.corp".to_owned(), vec![&host], vec![&ip, &local]),
        (format!("idp.corp:{port}"), vec![&host], vec![&ip, &local]),
        (format!("localhost:{port}"), vec![&local, &ip], vec![]),
        (format!("127.0.0.1:{}", port ^ 1), vec![], vec![&ip, &host, &local]),
        (format!("idp.corp:{}", port ^ 1), vec![], vec![&ip, &host, &local]),
        ("10.0.0.0/8".to_owned(), vec![], vec![&ip, &host, &local]),
    ] {
        let fetch = fetch(&[&entry], dns());
        for url in opens {
            let answer = get(&fetch, url).await.unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]), "{entry} {url}");
        }
        for url in leaves_shut {
            assert!(get(&fetch, url).await.is_err(), "{entry} {url}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let inner = Stub::hello().await;
    let location = inner.url("/secret");
    let outer = Stub::new(move |mut stream, _| {
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        async move {
            request(&mut stream).await;
            say(&mut stream, &answer).await;
        }
    })
    .await;
    let answer = get(&fetch(&["127.0.0.1"], Names::new(&[])), &outer.url("/")).await.unwrap();
    assert_eq!((answer.status, inner.hits()), (302, 0));
    assert!(answer.headers.contains_key("location"));
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit() {
    let stub = Stub::new(|mut stream, _| async move {
        let asked = request(&mut stream).await.unwrap_or_default();
        if asked.contains("/announced") {
            say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n").await;
        } else {
            say(&mut stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
            let chunks = if asked.contains("/endless") { usize::MAX } else { 4 };
            for _ in 0..chunks {
                if !say(&mut stream, &chunk).await {
                    return;
                }
            }
            say(&mut stream, "0\r\n\r\n").await;
        }
    })
    .await;
    let fetch = fetch(&["127.0.0.1"], Names::new(&[]));
    for (path, expected) in [("/announced", None), ("/endless", None), ("/exact", Some(4096))] {
        let mut request = Request::get(Url::parse(&stub.url(path)).unwrap());
        request.max_bytes = 4096;
        match (fetch.send(request).await, expected) {
            (Ok(answer), Some(length)) => assert_eq!(answer.body.len(), length),
            (Err(error), None) => assert!(error.is(&codes::UPSTREAM_TOO_LARGE), "{path}: {error:?}"),
            (other, _) => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_dripping_answer_is_cut_off() {
    let stub = Stub::new(|mut stream, at| async move {
        request(&mut stream).await;
        // First in the head, then in the body.
        let head = if at == 0 { "HTTP/1.1 200 OK\r\nX: " } else { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" };
        say(&mut stream, head).await;
        while say(&mut stream, "x").await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let fetch = fetch(&["127.0.0.1"], Names::new(&[]));
    for _ in 0..2 {
        let started = tokio::time::Instant::now();
        let mut request = Request::get(Url::parse(&stub.url("/")).unwrap());
        request.timeout = Duration::from_millis(400);
        let error = fetch.send(request).await.unwrap_err();
        assert!(error.is(&codes::UPSTREAM_UNAVAILABLE) && error.message().contains("in time"), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_dead_kept_connection_costs_one_repetition_and_no_more() {
    // Each connection: the first request is answered, the second is read and the connection closed without a word.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let stub = Stub::new(move |mut stream, _| {
        let log = log.clone();
        async move {
            let first = request(&mut stream).await.unwrap_or_default();
            log.lock().unwrap().push(first.lines().next().unwrap_or_default().to_owned());
            say(&mut stream, HELLO).await;
            let second = request(&mut stream).await.unwrap_or_default();
            log.lock().unwrap().push(second.lines().next().unwrap_or_default().to_owned());
        }
    })
    .await;
    let fetch = fetch(&["127.0.0.1"], Names::new(&[]));
    get(&fetch, &stub.url("/first")).await.unwrap();
    let post = Request::post_form(Url::parse(&stub.url("/token")).unwrap(), &[("code", "c")]);
    assert_eq!(fetch.send(post).await.unwrap().status, 200);
    assert_eq!(*seen.lock().unwrap(), ["GET /first HTTP/1.1", "POST /token HTTP/1.1", "POST /token HTTP/1.1"]);
}

#[tokio::test]
async fn a_new_connection_that_dies_is_not_repeated() {
    let stub = Stub::new(|mut stream, _| async move {
        request(&mut stream).await;
    })
    .await;
    let fetch = fetch(&["127.0.0.1"], Names::new(&[]));
    let post = Request::post_form(Url::parse(&stub.url("/token")).unwrap(), &[("code", "c")]);
    assert!(fetch.send(post).await.unwrap_err().is(&codes::UPSTREAM_UNAVAILABLE));
    assert_eq!(stub.hits(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_repeated() {
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = posts.clone();
    let stub = Stub::new(move |mut stream, _| {
        let counted = counted.clone();
        async move {
            request(&mut stream).await;
            say(&mut stream, HELLO).await;
            request(&mut stream).await;
            counted.fetch_add(1, Ordering::SeqCst);
            say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").await;
        }
    })
    .await;
    let fetch = fetch(&["127.0.0.1"], Names::new(&[]));
    get(&fetch, &stub.url("/")).await.unwrap();
    let post = Request::post_form(Url::parse(&stub.url("/token")).unwrap(), &[("code", "c")]);
    assert!(fetch.send(post).await.unwrap_err().is(&codes::UPSTREAM_UNAVAILABLE));
    assert_eq!((posts.load(Ordering::SeqCst), stub.hits()), (1, 1));
}

#[tokio::test]
async fn connections_are_kept_and_cookies_are_not() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let log = heads.clone();
    let stub = Stub::new(move |mut stream, _| {
        let log = log.clone();
        async move {
            while let Some(head) = request(&mut stream).await {
                log.lock().unwrap().push(head.to_ascii_lowercase());
                say(&mut stream, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let fetch = fetch(&["127.0.0.1"], Names::new(&[]));
    for _ in 0..3 {
        get(&fetch, &stub.url("/")).await.unwrap();
    }
    assert_eq!(stub.hits(), 1);
    for head in heads.lock().unwrap().iter() {
        assert!(!head.contains("cookie") && !head.contains("referer"), "{head}");
        assert!(head.contains("user-agent: authd/") && head.contains("accept-encoding: identity"), "{head}");
    }
}

#[tokio::test]
async fn a_proxy_in_the_environment_is_ignored() {
    let (proxy, target) = (Stub::hello().await, Stub::hello().await);
    // The environment of this process is shared with other tests: the call is made in a process of its own.
    let mut inner = tokio::process::Command::new(std::env::current_exe().unwrap());
    inner.args(["--exact", "--ignored", "fetch::inner_call_under_a_proxy"]).env("AUTHD_TEST_TARGET", target.url("/"));
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        inner.env(name, proxy.url(""));
    }
    let output = inner.env_remove("NO_PROXY").env_remove("no_proxy").output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((proxy.hits(), target.hits()), (0, 1));
}

#[tokio::test]
#[ignore = "run by `a_proxy_in_the_environment_is_ignored`"]
async fn inner_call_under_a_proxy() {
    #[expect(clippy::disallowed_methods, reason = "how the test speaks to the process that it started")]
    let target = std::env::vars().find(|(name, _)| name == "AUTHD_TEST_TARGET").map(|(_, value)| value);
    if let Some(target) = target {
        assert_eq!(get(&fetch(&["127.0.0.1"], Names::new(&[])), &target).await.unwrap().status, 200);
    }
}

/// An authority, and a server certificate that it signed for `name`.
fn authority_and_server(name: &str) -> (String, rustls::ServerConfig) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(vec![]).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    (pem, config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap())
}

#[tokio::test]
async fn tls_is_verified_against_the_given_authority() {
    let (pem, config) = authority_and_server("idp.test");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let stub = Stub::new(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(HELLO.as_bytes()).await;
            let _ = stream.flush().await;
        }
    })
    .await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    let dns = Names::new(&[("idp.test", &[&["127.0.0.1"]]), ("other.test", &[&["127.0.0.1"]])]);
    let rules = OutboundRules::parse(["127.0.0.1"]).unwrap();
    let trusting = Fetch::new(rules.clone(), dns.clone(), &[file.path()]).unwrap();
    let url = |name: &str| format!("https://{name}:{}/", stub.at.port());
    assert_eq!(get(&trusting, &url("idp.test")).await.unwrap().body, b"hello");
    let error = get(&trusting, &url("other.test")).await.unwrap_err();
    assert!(error.is(&codes::UPSTREAM_UNAVAILABLE) && error.message().contains("another name"), "{error:?}");
    let strange = Fetch::new(rules, dns, &[] as &[&str]).unwrap();
    let error = get(&strange, &url("idp.test")).await.unwrap_err();
    assert!(error.is(&codes::UPSTREAM_UNAVAILABLE) && error.message().contains("TLS"), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let fetch = fetch(&["127.0.0.1", "nowhere.test"], Names::new(&[("nowhere.test", &[&[]])]));
    for url in [format!("http://{at}/"), "http://nowhere.test/".to_owned(), "https://unknown.test/".to_owned()] {
        assert!(get(&fetch, &url).await.unwrap_err().is(&codes::UPSTREAM_UNAVAILABLE), "{url}");
    }
}
