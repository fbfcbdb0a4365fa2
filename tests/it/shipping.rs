//! The log goes on: every event once at least, in its order, whatever the receiver does and however often authd starts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authd::access::{Caller, World};
use authd::config::{Config, Environment, Flags};
use authd::env::{Env, NoDns};
use authd::event::{EventKind, Origin};
use authd::http::{Fetch, OutboundRules};
use authd::shipping::{self, Shipping};
use authd::store::Batch;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::post;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket, UnixDatagram};
use tokio::sync::oneshot;

use crate::world::authd::Authd;
use crate::world::certificates::{Authority, Signed};

fn config(pairs: &[(&str, &str)]) -> Config {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(&pairs.collect::<Environment>(), &Flags::default()).unwrap()
}

/// Writes events of an organization that nobody knows, and tells the number of the last.
async fn happen(world: &World, count: usize) -> u64 {
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    for _ in 0..count {
        let mut batch = Batch::new();
        batch.log(cx.event(EventKind::ServerStarted).with("note", "ü \"quoted\" ] \n second line"));
        world.store.commit(batch).await.unwrap();
    }
    world.store.log_seq()
}

/// A shipping that runs, until it is stopped.
struct Running(oneshot::Sender<()>, tokio::task::JoinHandle<()>);

impl Running {
    fn start(world: &World, config: &Config) -> Self {
        let (stop, stopped) = oneshot::channel();
        let shipping = Shipping::new(&config.ship, world).unwrap();
        let task = tokio::spawn(shipping::run(shipping, world.clone(), async move { drop(stopped.await) }));
        Self(stop, task)
    }

    async fn stop(self) {
        let _ = self.0.send(());
        self.1.await.unwrap();
    }
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..1_500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

/// What a target has taken is sent again where authd ends before it has noted that.
async fn noted(world: &World, target: &'static str, last: u64) {
    for _ in 0..1_500 {
        if shipping::shipped(&world.store, &[target]).await.unwrap() == last {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never noted: {last}");
}

/// What a receiver has: the numbers of the events, as they came.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<u64>>>);

impl Received {
    fn take(&self, numbers: impl IntoIterator<Item = u64>) {
        self.0.lock().unwrap().extend(numbers);
    }

    fn last(&self) -> u64 {
        self.0.lock().unwrap().last().copied().unwrap_or(0)
    }

    /// Every number from 1 to `last` is there, and what is new came in its order. Tells how many came again.
    fn whole(&self, last: u64) -> usize {
        let all = self.0.lock().unwrap().clone();
        let mut seen = BTreeSet::new();
        let fresh: Vec<u64> = all.iter().copied().filter(|number| seen.insert(*number)).collect();
        assert_eq!(fresh, (1..=last).collect::<Vec<_>>(), "in order, and none is lost");
        all.len() - fresh.len()
    }
}

/// The numbers of the events in a request of OTLP.
fn recorded(body: &[u8]) -> Vec<u64> {
    let document: Value = serde_json::from_slice(body).unwrap();
    let records = document["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap();
    let number = |record: &Value| {
        let fields = record["body"]["kvlistValue"]["values"].as_array().unwrap();
        let of = |list: &[Value], name: &str| list.iter().find(|f| f["key"] == name).unwrap()["value"].clone();
        assert_eq!(of(fields, "kind")["stringValue"], record["eventName"]);
        assert!(record["timeUnixNano"].as_str().unwrap().parse::<u64>().unwrap() > 0);
        of(fields, "seq")["intValue"].as_str().unwrap().parse::<u64>().unwrap()
    };
    records.iter().map(number).collect()
}

/// A collector that answers as it is told, request by request; then 200.
struct Collector {
    received: Received,
    headers: Arc<Mutex<HeaderMap>>,
    at: SocketAddr,
}

type Taking = (Received, Arc<AtomicUsize>, Arc<Mutex<HeaderMap>>, Arc<Vec<u16>>, usize);

impl Collector {
    /// With answers that it begins with; more than `most` records in one request are too many for it.
    async fn start(answers: &[u16], most: usize) -> Self {
        let (received, asked, headers) = (Received::default(), Arc::<AtomicUsize>::default(), Arc::default());
        let state: Taking = (received.clone(), asked, Arc::clone(&headers), Arc::new(answers.to_vec()), most);
        let router = Router::new().route("/v1/logs", post(Self::logs)).with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { received, headers, at }
    }

    async fn logs(
        State((received, asked, kept, answers, most)): State<Taking>,
        headers: HeaderMap,
        body: Bytes,
    ) -> axum::response::Response {
        let number = asked.fetch_add(1, Ordering::SeqCst);
        *kept.lock().unwrap() = headers;
        let numbers = recorded(&body);
        if let Some(status) = answers.get(number) {
            return StatusCode::from_u16(*status).unwrap().into_response();
        }
        if numbers.len() > most {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        received.take(numbers);
        axum::Json(serde_json::json!({"partialSuccess": {}})).into_response()
    }

    fn url(&self) -> String {
        format!("http://{}/v1/logs", self.at)
    }
}

#[tokio::test]
async fn a_collector_gets_everything_in_order_whatever_it_answers_at_first() {
    let authd = Authd::start().await;
    let world = &authd.app.world;
    let collector = Collector::start(&[503, 401], 16).await;
    let secrets = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secrets.path(), "Authorization: Bearer of-the-collector\n").unwrap();
    let url = collector.url();
    let pairs = [("AUTHD_SHIP_OTLP", &*url), ("AUTHD_SHIP_OTLP_HEADERS_FILE", secrets.path().to_str().unwrap())];
    let config = config(&pairs);
    let last = happen(world, 100).await;
    let running = Running::start(world, &config);
    until("the events before the start", || collector.received.last() == last).await;
    assert_eq!(collector.headers.lock().unwrap()["authorization"], "Bearer of-the-collector");
    let last = happen(world, 30).await;
    until("what happened since", || collector.received.last() == last).await;
    noted(world, "otlp", last).await;
    running.stop().await;
    assert_eq!(collector.received.whole(last), 0, "a request that was not taken has left nothing");

    // The next start goes on where the last one ended.
    let last = happen(world, 5).await;
    let running = Running::start(world, &config);
    until("what happened in between", || collector.received.last() == last).await;
    noted(world, "otlp", last).await;
    running.stop().await;
    assert_eq!(collector.received.whole(last), 0);
    let lag = shipping::lags(&world.store, world.env.now(), &["otlp"]).await.unwrap();
    assert_eq!((lag[0].events, lag[0].taken, lag[0].failing_since), (0, last, None));
    assert_eq!(shipping::shipped(&world.store, &["otlp"]).await.unwrap(), last);
}

/// A collector that takes no request above so many bytes.
async fn narrow(most: usize) -> (Received, String) {
    let received = Received::default();
    let kept = received.clone();
    let take = move |body: Bytes| {
        let fits = body.len() <= most;
        if fits {
            kept.take(recorded(&body));
        }
        std::future::ready(if fits { StatusCode::OK } else { StatusCode::PAYLOAD_TOO_LARGE })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/logs", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/logs", post(take))).await });
    (received, url)
}

#[tokio::test]
async fn one_event_that_is_too_long_for_a_collector_is_passed_over_and_counted() {
    let authd = Authd::start().await;
    let world = &authd.app.world;
    let (received, url) = narrow(40_000).await;
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    let mut long = Vec::new();
    for length in [60_000, 0, 200_000] {
        happen(world, 30).await;
        if length > 0 {
            let mut batch = Batch::new();
            batch.log(cx.event(EventKind::ServerStarted).with("note", "x".repeat(length)));
            world.store.commit(batch).await.unwrap();
            long.push(world.store.log_seq());
        }
    }
    let last = happen(world, 30).await;
    let running = Running::start(world, &config(&[("AUTHD_SHIP_OTLP", &url)]));
    until("what stands behind them", || received.last() == last).await;
    // Taken is what was written down as taken, a moment later.
    for _ in 0..500 {
        if shipping::shipped(&world.store, &["otlp"]).await.unwrap() == last {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.stop().await;
    let all = received.0.lock().unwrap().clone();
    assert_eq!(all, (1..=last).filter(|number| !long.contains(number)).collect::<Vec<_>>(), "each once, in order");
    let lag = shipping::lags(&world.store, world.env.now(), &["otlp"]).await.unwrap().remove(0);
    assert_eq!((lag.taken, lag.refused, lag.events, lag.trouble), (last - 2, 2, 0, None));
}

#[tokio::test]
async fn a_collector_that_is_down_holds_nobody_up_and_is_seen() {
    let authd = Authd::start().await;
    let world = &authd.app.world;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}/v1/logs");
    let running = Running::start(world, &config(&[("AUTHD_SHIP_OTLP", &url)]));
    let last = happen(world, 50).await;
    let lag = async || shipping::lags(&world.store, world.env.now(), &["otlp"]).await.unwrap().remove(0);
    for _ in 0..500 {
        if lag().await.failing_since.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let behind = lag().await;
    assert_eq!((behind.events, behind.trouble.as_deref()), (last, Some("upstream_unavailable")));
    assert_eq!(shipping::shipped(&world.store, &["otlp"]).await.unwrap(), 0, "the log keeps what it has not sent");
    running.stop().await;
}

/// The numbers of the events in messages that stand one behind the other, each with its length before it. A message that is
/// not whole is left out.
fn framed(mut bytes: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        let Some(message) = bytes.get(space + 1..space + 1 + length) else { break };
        numbers.push(number(message));
        bytes = &bytes[space + 1 + length..];
    }
    numbers
}

/// The number of the event in a message of RFC 5424.
fn number(message: &[u8]) -> u64 {
    let message = std::str::from_utf8(message).unwrap();
    let fields: Vec<&str> = message.splitn(7, ' ').collect();
    assert_eq!((fields[0], fields[2], fields[3]), ("<86>1", "127.0.0.1", "authd"), "{message}");
    let (data, json) = fields[6].split_once("] {").unwrap();
    let json: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
    assert!(data.starts_with("[authd@32473 ") && data.contains(&format!("seq=\"{}\"", json["seq"])), "{data}");
    json["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn a_stream_that_breaks_is_sent_again() {
    let authd = Authd::start().await;
    let world = &authd.app.world;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let received = Received::default();
    let kept = received.clone();
    tokio::spawn(async move {
        for connection in 0_u32.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            if connection < 2 {
                // It dies in the middle of a piece, with a part of it unread: that is a reset.
                let mut some = vec![0; 4_000];
                stream.read_exact(&mut some).await.unwrap();
                kept.take(framed(&some));
                drop(stream);
                continue;
            }
            stream.read_to_end(&mut bytes).await.unwrap();
            kept.take(framed(&bytes));
        }
    });
    let last = happen(world, 60).await;
    let running = Running::start(world, &config(&[("AUTHD_SHIP_SYSLOG", &url)]));
    until("all of it", || received.last() == last).await;
    let last = happen(world, 3).await;
    until("the rest", || received.last() == last).await;
    running.stop().await;
    assert!(received.whole(last) > 0, "what had come before the break came again");
}

#[tokio::test]
async fn syslog_inside_tls_goes_to_a_receiver_with_the_right_certificate_and_to_no_other() {
    let authority = Authority::new("logs");
    let foreign = Authority::new("somebody else");
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), &authority.pem).unwrap();
    for (signed, trusted) in [(authority.sign(&["127.0.0.1"], 2040), true), (foreign.sign(&["127.0.0.1"], 2040), false)]
    {
        let env = Env::frozen();
        let authd = Authd::start_in(env).await;
        let rules = OutboundRules::parse(["127.0.0.0/8"]).unwrap();
        let fetch = Fetch::new(rules, Arc::new(NoDns), &[ca.path()]).unwrap();
        let world = World { env: authd.env().clone().with_outbound(Arc::new(fetch)), ..authd.app.world.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("tls://{}", listener.local_addr().unwrap());
        let files = tempfile::tempdir().unwrap();
        let (certificate, key) = (files.path().join("c"), files.path().join("k"));
        std::fs::write(&certificate, signed.certificate).unwrap();
        std::fs::write(&key, signed.key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server(&certificate, &key)));
        let received = Received::default();
        let kept = received.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut bytes = Vec::new();
                if stream.read_to_end(&mut bytes).await.is_ok() {
                    kept.take(framed(&bytes));
                    let _ = stream.shutdown().await;
                }
            }
        });
        let last = happen(&world, 10).await;
        let running = Running::start(&world, &config(&[("AUTHD_SHIP_SYSLOG", &url)]));
        if trusted {
            until("all of it", || received.last() == last).await;
            assert_eq!(received.whole(last), 0);
        } else {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(received.last(), 0, "nothing goes to who is not known");
        }
        running.stop().await;
    }
}

/// A receiver of syslog inside TLS that reads everything. `clean` tells by the number of the connection whether it says
/// that it ends it.
async fn tls_receiver(signed: &Signed, clean: fn(usize) -> bool) -> (Received, SocketAddr) {
    let acceptor = signed.acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let received = Received::default();
    let kept = received.clone();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = Vec::new();
            if stream.read_to_end(&mut bytes).await.is_ok() {
                kept.take(framed(&bytes));
                if clean(connection) {
                    let _ = stream.shutdown().await;
                }
            }
        }
    });
    (received, at)
}

/// The world of an authd that trusts the authority for what it calls.
async fn trusting(authority: &Authority) -> (Authd, World) {
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), &authority.pem).unwrap();
    let authd = Authd::start().await;
    let rules = OutboundRules::parse(["127.0.0.0/8"]).unwrap();
    let fetch = Fetch::new(rules, Arc::new(NoDns), &[ca.path()]).unwrap();
    let world = World { env: authd.env().clone().with_outbound(Arc::new(fetch)), ..authd.app.world.clone() };
    (authd, world)
}

#[tokio::test]
async fn an_end_that_is_not_said_inside_tls_is_nobodys_word_and_the_piece_is_sent_again() {
    let authority = Authority::new("logs");
    let (_authd, world) = trusting(&authority).await;
    let (received, at) = tls_receiver(&authority.sign(&["127.0.0.1"], 2040), |connection| connection >= 2).await;
    let last = happen(&world, 10).await;
    let running = Running::start(&world, &config(&[("AUTHD_SHIP_SYSLOG", &format!("tls://{at}"))]));
    until("the first try", || received.last() == last).await;
    let trouble = async || shipping::lags(&world.store, world.env.now(), &["syslog"]).await.unwrap().remove(0);
    for _ in 0..500 {
        if trouble().await.trouble.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let behind = trouble().await;
    assert_eq!((behind.taken, behind.trouble.as_deref()), (0, Some("upstream_unavailable")), "it counts as not taken");
    for _ in 0..1_500 {
        if trouble().await.taken == last {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.stop().await;
    assert_eq!(trouble().await.taken, last);
    assert_eq!(received.whole(last) as u64, 2 * last, "three times, under the same numbers");
}

#[tokio::test]
async fn a_receiver_that_never_says_its_end_inside_tls_can_be_named_as_such() {
    let authority = Authority::new("logs");
    let (_authd, world) = trusting(&authority).await;
    let (received, at) = tls_receiver(&authority.sign(&["127.0.0.1"], 2040), |_| false).await;
    let url = format!("tls://{at}?close_notify=never");
    let running = Running::start(&world, &config(&[("AUTHD_SHIP_SYSLOG", &url)]));
    for _ in 0..3 {
        let last = happen(&world, 10).await;
        until("each piece", || received.last() == last).await;
    }
    running.stop().await;
    assert_eq!(received.whole(world.store.log_seq()), 0);
}

fn server(certificate: &std::path::Path, key: &std::path::Path) -> rustls::ServerConfig {
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let chain = CertificateDer::pem_file_iter(certificate).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap()
}

#[tokio::test]
async fn datagrams_go_to_a_port_and_to_a_socket_of_this_machine() {
    let authd = Authd::start().await;
    let world = &authd.app.world;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (udp, unix) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UnixDatagram::bind(&path).unwrap());
    let last = happen(world, 20).await;
    let url = format!("udp://{}", udp.local_addr().unwrap());
    let running = Running::start(world, &config(&[("AUTHD_SHIP_SYSLOG", &url)]));
    let mut some = vec![0; 65_536];
    for expected in 1..=last {
        let length = tokio::time::timeout(Duration::from_secs(20), udp.recv(&mut some)).await.unwrap().unwrap();
        assert_eq!(number(&some[..length]), expected);
    }
    // Taken is what was written down as taken, a moment later.
    for _ in 0..500 {
        if shipping::shipped(&world.store, &["syslog"]).await.unwrap() == last {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.stop().await;
    // The address changes: its reader goes on.
    let after = happen(world, 5).await;
    let url = format!("unix://{}", path.display());
    let running = Running::start(world, &config(&[("AUTHD_SHIP_SYSLOG", &url)]));
    for expected in last + 1..=after {
        let length = tokio::time::timeout(Duration::from_secs(20), unix.recv(&mut some)).await.unwrap().unwrap();
        assert_eq!(number(&some[..length]), expected);
    }
    running.stop().await;
}

#[tokio::test]
async fn only_what_is_wanted_goes_and_a_word_that_is_no_event_is_refused() {
    let authd = Authd::start().await;
    let world = &authd.app.world;
    let collector = Collector::start(&[], 1_000).await;
    let url = collector.url();
    let wanted = config(&[("AUTHD_SHIP_OTLP", &url), ("AUTHD_SHIP_EVENTS", "organization.*, user.created")]);
    let running = Running::start(world, &wanted);
    happen(world, 300).await;
    authd.operate("organization.create", serde_json::json!({"name": "Corp"})).await;
    let made = world.store.log_seq();
    happen(world, 300).await;
    until("the one", || collector.received.last() == made).await;
    let mut cursor = 0;
    for _ in 0..500 {
        cursor = shipping::shipped(&world.store, &["otlp"]).await.unwrap();
        if cursor == world.store.log_seq() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(cursor, world.store.log_seq(), "what is not wanted holds nothing up");
    assert_eq!(*collector.received.0.lock().unwrap(), [made]);
    running.stop().await;

    for (pattern, meant) in [("sesion.signed_in", "session.signed_in"), ("nonsense.*", "docs/reference/events.md")] {
        let config = config(&[("AUTHD_SHIP_OTLP", &url), ("AUTHD_SHIP_EVENTS", pattern)]);
        let error = Shipping::new(&config.ship, world).err().unwrap();
        assert!(error.code() == "config_invalid" && error.next_step().unwrap().contains(meant), "{error:?}");
    }
    let inside = config(&[("AUTHD_SHIP_OTLP", "http://10.1.2.3:4318/v1/logs")]);
    let error = Shipping::new(&inside.ship, world).err().unwrap();
    assert!(error.next_step().unwrap().contains("10.1.2.3:4318"), "{error:?}");
}
