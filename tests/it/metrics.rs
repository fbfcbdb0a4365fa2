//! What is measured: who may read it, whether it is in the format, whether it is true, and whether what ships with authd
//! (dashboard, alerts) asks for what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use authd::access::{Caller, World};
use authd::config::{Config, Environment, Flags};
use authd::env::Env;
use authd::event::{EventKind, Origin};
use authd::http::Peer;
use authd::server::Server;
use authd::store::Batch;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::signin::Scene;
use crate::world::authd::Authd;

/// Names and values.
type Labels = Vec<(String, String)>;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

async fn ask(router: &Router, path: &str, peer: Peer, bearers: &[&str]) -> Answer {
    let mut request = Request::builder().uri(path).extension(peer).header(header::HOST, "127.0.0.1:8080");
    for bearer in bearers {
        request = request.header(header::AUTHORIZATION, *bearer);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

const CONTROL: Peer = Peer::Control { uid: 0 };

fn network() -> Peer {
    Peer::Tcp("127.0.0.1:5000".parse().unwrap())
}

fn config(pairs: &[(&str, &str)]) -> Config {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(&pairs.collect::<Environment>(), &Flags::default()).unwrap()
}

/// The page as the control socket has it, read strictly.
async fn page(router: &Router) -> Page {
    let answer = ask(router, "/metrics", CONTROL, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    Page::read(&answer.body)
}

/// A page of metrics. What breaks a rule of the format fails the test.
#[derive(Debug, Default)]
struct Page {
    /// Name and type.
    families: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Page {
    fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut page = Self::default();
        let mut current = (String::new(), String::new());
        let mut helped = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split_once(' ').unwrap().0.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(helped, name, "HELP stands before TYPE");
                assert!(is_name(name) && matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "counters are called so: {line}");
                assert!(page.families.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {name}");
                current = (name.to_owned(), kind.to_owned());
            } else {
                page.sample(line, &current);
            }
        }
        page.histograms();
        page
    }

    fn sample(&mut self, line: &str, (family, kind): &(String, String)) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let (name, labels) = match series.split_once('{') {
            None => (series, Vec::new()),
            Some((name, rest)) => (name, labels(rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}")))),
        };
        let fits = match kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"].iter().any(|end| name == format!("{family}{end}")),
            _ => name == family,
        };
        assert!(fits, "{line} does not belong to {family}");
        assert!(kind == "gauge" || value >= 0.0, "{line}");
        let names: BTreeSet<_> = labels.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), labels.len(), "a label twice: {line}");
        assert!(self.samples.insert((name.to_owned(), labels), value).is_none(), "twice: {line}");
    }

    /// Buckets grow, the last is +Inf, and it is the count.
    fn histograms(&self) {
        for name in self.families.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
            for ((sample, labels), value) in &self.samples {
                if *sample == format!("{name}_bucket") {
                    let bound = &labels.iter().find(|(label, _)| label == "le").unwrap().1;
                    let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
                    let rest = labels.iter().filter(|(label, _)| label != "le").cloned().collect();
                    buckets.entry(rest).or_default().push((bound, *value));
                }
            }
            for (labels, mut of) in buckets {
                of.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(of.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name} {labels:?}: {of:?}");
                let last = of.last().unwrap();
                assert!(last.0.is_infinite(), "{name} ends in +Inf");
                assert_eq!(self.samples[&(format!("{name}_count"), labels.clone())], last.1);
                assert!(self.samples.contains_key(&(format!("{name}_sum"), labels)));
            }
        }
    }

    /// The sum of the samples with these labels among theirs.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has =
            |of: &[(String, String)]| labels.iter().all(|(k, v)| of.iter().any(|(name, is)| name == k && is == v));
        self.samples.iter().filter(|((sample, of), _)| sample == name && has(of)).map(|(_, value)| value).sum()
    }
}

/// `a="b",c="d"`, with escapes.
fn labels(text: &str) -> Labels {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        assert!(is_name(name), "{text}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("{text}")) {
                (at, '"') => break at,
                (_, '\\') => match chars.next().unwrap().1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    c => panic!("an escape that is none: \\{c}"),
                },
                (_, c) => value.push(c),
            }
        };
        found.push((name.to_owned(), value));
        rest = after[end + 1..].strip_prefix(',').unwrap_or(&after[end + 1..]);
    }
    found
}

#[tokio::test]
async fn metrics_are_closed_unless_somebody_opens_them() {
    let authd = Authd::start().await;
    let public = ask(&authd.router, "/metrics", network(), &[]).await;
    assert_eq!(public.status, StatusCode::NOT_FOUND, "the public address does not have it: {}", public.body);
    let any = ask(&authd.router, "/metrics", network(), &[&format!("Bearer {TOKEN}")]).await;
    assert_eq!(any.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(&authd.control, "/metrics", CONTROL, &[]).await.status, StatusCode::OK);

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
    let path = file.path().to_str().unwrap();
    let with_token = config(&[("AUTHD_METRICS_TOKEN_FILE", path), ("AUTHD_METRICS_LISTEN", "127.0.0.1:8080")]);
    let server = Server::new(&authd.app, &with_token, &["127.0.0.1:8080".parse().unwrap()]);
    let right = format!("Bearer {TOKEN}");
    for router in [&server.public, &server.measured] {
        assert_eq!(ask(router, "/metrics", network(), &[&right]).await.status, StatusCode::OK);
        let wrong = [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Basic {TOKEN}"),
            TOKEN.to_owned(),
            format!("Bearer {}", &TOKEN[1..]),
            format!("Bearer {TOKEN}0"),
            format!("Bearer {}", TOKEN.to_uppercase()),
        ];
        assert_eq!(ask(router, "/metrics", network(), &[]).await.status, StatusCode::UNAUTHORIZED);
        for wrong in &wrong {
            let answer = ask(router, "/metrics", network(), &[wrong]).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{wrong}");
            assert!(!answer.body.contains("authd_"), "{}", answer.body);
        }
        assert_eq!(ask(router, "/metrics", network(), &[&right, &right]).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ask(&server.measured, "/v1/organizations", network(), &[&right]).await.status, StatusCode::NOT_FOUND);

    // Without a token on loopback: by its own names, and not by one that leads here from a page in a browser.
    let bare = config(&[("AUTHD_METRICS_LISTEN", "127.0.0.1:9100")]);
    let server = Server::new(&authd.app, &bare, &["127.0.0.1:8080".parse().unwrap()]);
    let at = |host: &str| {
        let request = Request::builder().uri("/metrics").extension(network()).header(header::HOST, host);
        server.measured.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    assert_eq!(at("127.0.0.1:9100").await.unwrap().status(), StatusCode::OK);
    assert_eq!(at("localhost:9100").await.unwrap().status(), StatusCode::OK);
    assert_eq!(at("evil.example:9100").await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(ask(&server.public, "/metrics", network(), &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn sign_ins_are_counted_once_each_by_connection_and_outcome() {
    let scene = Scene::new().await;
    let before = page(&scene.authd.control).await;
    for _ in 0..3 {
        let mut browser = scene.authd.browser();
        scene.sign_in(&mut browser).await;
    }
    let mut browser = scene.authd.browser();
    let refused = browser.get("/connections/conn_00000000000000000000000000/oidc/callback?code=x&state=y").await;
    assert!(refused.status.is_client_error(), "{refused:?}");
    let after = page(&scene.authd.control).await;
    let of = |page: &Page, labels: &[(&str, &str)]| page.sum("authd_signins_total", labels);
    let connection = [("connection", &*scene.connection), ("outcome", "success")];
    assert_eq!(of(&after, &connection) - of(&before, &connection), 3.0);
    assert_eq!(of(&page(&scene.authd.control).await, &connection), of(&after, &connection), "asking counts nothing");
    let grown = |name: &str, labels: &[(&str, &str)]| after.sum(name, labels) - before.sum(name, labels);
    assert_eq!(grown("authd_signin_duration_seconds_count", &[("protocol", "oidc")]), 3.0);
    assert!(grown("authd_upstream_duration_seconds_count", &[("step", "complete"), ("outcome", "ok")]) >= 3.0);
    assert_eq!(grown("authd_events_total", &[("kind", "connection.login.succeeded"), ("code", "")]), 3.0);
    assert_eq!(after.sum("authd_sessions", &[]), 3.0);
    // The same in short, for people: what the control socket is asked, is no answer that anybody waits for.
    let timings = async || scene.authd.operate("timings.show", json!({})).await["items"].clone();
    let of_what = |items: &Value, what: &str| {
        let items = items.as_array().unwrap();
        items.iter().find(|item| item["what"] == what).unwrap_or_else(|| panic!("no {what}")).clone()
    };
    let told = timings().await;
    assert_eq!(of_what(&told, "sign_in")["count"], 3);
    assert!(of_what(&told, "sign_in")["p50Ms"].as_f64() <= of_what(&told, "sign_in")["p99Ms"].as_f64());
    for what in ["answer", "provider", "write"] {
        let one = of_what(&told, what);
        assert!(one["count"].as_u64().unwrap() >= 3 && one["buckets"].as_array().unwrap().len() > 8, "{one}");
    }
    page(&scene.authd.control).await;
    assert_eq!(of_what(&timings().await, "answer"), of_what(&told, "answer"));
    assert!(grown("authd_store_commit_duration_seconds_count", &[]) >= 6.0);
    assert!(grown("authd_store_batch_size_sum", &[]) >= 6.0);
    assert_eq!(grown("authd_http_request_duration_seconds_count", &[("route", "callback"), ("status", "3xx")]), 3.0);
    assert_eq!(after.sum("authd_connection_info", &[("connection", &scene.connection), ("protocol", "oidc")]), 1.0);
    assert_eq!(after.sum("authd_health", &[("check", "storage")]), 1.0);
    // An outcome is a code of the catalogue, a path is a class: no stranger makes a series.
    for n in 0..50 {
        browser.get(&format!("/no/such/path/{n}")).await;
        browser.get(&format!("/oauth2/authorize?client_id=app_{n}&state={n}")).await;
    }
    let flooded = page(&scene.authd.control).await;
    let series = |of: &Page| of.samples.keys().filter(|(name, _)| !name.ends_with("_bucket")).count();
    assert!(series(&flooded) < series(&after) + 30, "{} against {}", series(&flooded), series(&after));
    let hidden = ["alice", "no/such", "app-state"];
    let all = format!("{:?}", flooded.samples);
    assert!(hidden.iter().all(|text| !all.contains(text)), "nothing of a person or a request is in a label");
}

#[tokio::test]
async fn what_ends_and_who_was_throttled_is_told() {
    let authd = Authd::start().await;
    let organization = authd.operate("organization.create", json!({"name": "Corp"})).await;
    let until = authd.env().now() + Duration::from_secs(10 * 86_400);
    let key = json!({"name": "ci", "organization": organization["id"], "grants": ["*"], "expiresAt": until});
    let key = authd.operate("api_key.create", key).await;
    for n in 0..320 {
        ask(&authd.router, "/v1/organizations", network(), &[&format!("Bearer wrong-{n}")]).await;
    }
    let page = page(&authd.control).await;
    let days = page.sum("authd_expiry_days", &[("kind", "api_key"), ("id", key["id"].as_str().unwrap())]);
    assert!((days - 10.0).abs() < 0.01, "{days}");
    assert_eq!(page.sum("authd_health", &[("check", "expiring")]), 0.0, "within fourteen days");
    assert!(page.sum("authd_throttled_total", &[("rule", "bearer")]) >= 20.0);
    assert!(page.sum("authd_http_request_duration_seconds_count", &[("route", "api"), ("status", "429")]) >= 20.0);
    for name in ["process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds", "process_max_fds"] {
        assert!(page.sum(name, &[]) > 0.0, "{name}");
    }
}

/// Every name that an expression asks for.
fn asked(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("authd_") || word.starts_with("process_")).map(str::to_owned).collect()
}

/// A name of the page that a query may ask for.
fn answers(page: &Page, name: &str) -> bool {
    let histogram = |name: &str| page.families.get(name).is_some_and(|kind| kind == "histogram");
    match ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end).filter(|name| histogram(name))) {
        Some(_) => true,
        None => page.families.get(name).is_some_and(|kind| kind != "histogram"),
    }
}

fn asset(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)).unwrap()
}

#[tokio::test]
async fn the_dashboard_asks_for_what_there_is_and_shows_all_of_it() {
    let page = page(&Authd::start().await.control).await;
    let dashboard: Value = serde_json::from_str(&asset("grafana-dashboard.json")).unwrap();
    let (mut names, mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "an id twice");
        let title = panel["title"].as_str().unwrap();
        assert!(titles.insert(title) && !title.is_empty(), "{title}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let found = asked(expression);
            assert!(!found.is_empty(), "{title}: {expression}");
            assert!(expression.contains("instance=~\"$instance\""), "{title}: {expression}");
            if expression.contains("histogram_quantile") {
                assert!(expression.contains("_bucket") && expression.contains("(le"), "{expression}");
            }
            names.extend(found);
        }
    }
    for name in &names {
        assert!(answers(&page, name), "the dashboard asks for {name}, which /metrics does not have");
    }
    assert!(names.len() > 20, "{names:?}");
    // Importable: a name for the data source, nothing of one installation.
    assert_eq!(dashboard["__inputs"][0]["name"], "DS_PROMETHEUS");
    assert!(dashboard["id"].is_null() && dashboard["uid"].is_string());
}

#[tokio::test]
async fn the_alerts_ask_for_what_there_is() {
    let page = page(&Authd::start().await.control).await;
    let rules = asset("prometheus-rules.yml");
    let names = asked(&rules);
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(answers(&page, &name), "an alert asks for {name}, which /metrics does not have");
    }
    let count = |what: &str| rules.lines().filter(|line| line.trim_start().starts_with(what)).count();
    let alerts = count("- alert:");
    assert!(alerts >= 8);
    for part in ["expr:", "summary:", "description:", "labels: {severity:"] {
        assert_eq!(count(part), alerts, "each alert has its {part}");
    }
}

async fn checks(router: &Router) -> Value {
    serde_json::from_str(&ask(router, "/readyz", CONTROL, &[]).await.body).unwrap()
}

fn code<'a>(checks: &'a Value, name: &str) -> &'a str {
    let check = checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
    check["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn health_tells_its_reasons_to_the_operator_and_not_to_the_public() {
    let authd = Authd::start().await;
    let first = checks(&authd.control).await;
    assert_eq!(first["status"], "ok", "{first}");
    let organization = authd.operate("organization.create", json!({"name": "Corp"})).await;
    let until = authd.env().now() + Duration::from_secs(86_400);
    let key = json!({"name": "ci", "organization": organization["id"], "grants": ["*"], "expiresAt": until});
    authd.operate("api_key.create", key).await;
    authd.env().advance(Duration::from_secs(120));
    let told = checks(&authd.control).await;
    assert_eq!((&told["status"], code(&told, "expiring")), (&"degraded".into(), "expiring"), "{told}");
    assert_eq!(code(&told, "clock"), "");
    let public = ask(&authd.router, "/readyz", network(), &[]).await;
    assert_eq!(public.status, StatusCode::OK, "it goes on serving");
    let body: Value = serde_json::from_str(&public.body).unwrap();
    assert_eq!(body["status"], "degraded");
    assert!(!public.body.contains("expiring") && !public.body.contains("api_key"), "{body}");
    assert_eq!(ask(&authd.control, "/healthz", CONTROL, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn r_07_a_clock_that_was_set_back_is_told() {
    use authd::env::{Clock, FrozenClock, Timestamp};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    struct Skewed(FrozenClock, AtomicI64);
    impl Clock for Skewed {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.now().millis() + self.1.load(Ordering::SeqCst))
        }
        fn monotonic(&self) -> Duration {
            self.0.monotonic()
        }
        fn advance(&self, by: Duration) {
            self.0.advance(by);
        }
    }
    let clock = Arc::new(Skewed(FrozenClock::new(), AtomicI64::new(0)));
    let shared: Arc<dyn Clock> = clock.clone();
    let authd = Authd::start_in(Env::frozen().with_clock(shared)).await;
    for (skew, said) in [(0, ""), (50_000, ""), (-3_600_000, "clock_set"), (7_200_000, "clock_set"), (0, "")] {
        clock.1.store(skew, Ordering::SeqCst);
        authd.env().advance(Duration::from_secs(5));
        assert_eq!(code(&checks(&authd.control).await, "clock"), said, "{skew}");
    }
    // A start with a clock behind what the log has: there is nothing to compare with but the log.
    let world: &World = &authd.app.world;
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    let mut batch = Batch::new();
    batch.log(cx.event(EventKind::ServerStarted));
    world.store.commit(batch).await.unwrap();
    clock.1.store(-3_600_000, Ordering::SeqCst);
    let again = authd.restarted().await;
    assert_eq!(code(&checks(&again.control).await, "clock"), "clock_behind");
}
