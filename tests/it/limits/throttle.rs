//! how often something may fail, across restarts, clocks that jump, and strangers who fail on purpose.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use authd::access::throttle::{self, Rule, Subject};
use authd::access::{Caller, Context};
use authd::env::{Clock, Env, FrozenClock, Timestamp};
use authd::error::codes;
use authd::event::Origin;
use authd::store::{Batch, Options, Store};
use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::signin::{REDIRECT, Scene};
use crate::world::authd::{Authd, Browser};

const MINUTE: Duration = Duration::from_secs(60);

/// A clock whose wall can be set apart from the time that passes.
#[derive(Default)]
struct Jumping {
    passes: FrozenClock,
    off: AtomicI64,
}

impl Jumping {
    fn jump(&self, seconds: i64) {
        self.off.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.passes.now().millis() + self.off.load(Ordering::SeqCst))
    }
    fn monotonic(&self) -> Duration {
        self.passes.monotonic()
    }
    fn advance(&self, by: Duration) {
        self.passes.advance(by);
    }
}

pub fn from(authd: &Authd, ip: &str) -> Context {
    let origin = Origin { ip: Some(ip.parse::<IpAddr>().unwrap()), ..Origin::internal(authd.env()) };
    authd.app.context(Caller::Anonymous, origin)
}

/// One wrong guess: taken before it is looked at, and written.
async fn guess(cx: &Context, account: &str) -> bool {
    match throttle::take(cx, &throttle::password(cx, account, None)).await {
        Ok(taken) => {
            taken.spend().await.unwrap();
            true
        }
        Err(error) => {
            assert!(error.is(&codes::RATE_LIMITED), "{error:?}");
            let wait = error.wait().unwrap();
            assert!(wait > Duration::ZERO && wait <= MINUTE + MINUTE / 12, "{wait:?}");
            false
        }
    }
}

/// What is looked at in each window of a minute, wherever it begins.
fn most_in_a_minute(looked_at: &[u64]) -> usize {
    looked_at
        .iter()
        .map(|start| looked_at.iter().filter(|at| (*start..start + 60).contains(*at)).count())
        .max()
        .unwrap_or(0)
}

#[tokio::test]
async fn r_16_a_thousand_guesses_from_a_hundred_addresses_are_ten_a_minute_across_restarts() {
    let mut authd = Authd::start().await;
    let (mut looked_at, mut seconds) = (Vec::new(), 0);
    for n in 0..1_000u32 {
        let cx = from(&authd, &format!("198.51.{}.{}", n % 10, n / 10 % 10));
        if guess(&cx, "alice").await {
            looked_at.push(seconds);
        }
        if n % 2 == 0 {
            authd.env().advance(Duration::from_secs(1));
            seconds += 1;
        }
        if n % 97 == 0 {
            authd = authd.restarted().await;
        }
    }
    assert!(most_in_a_minute(&looked_at) <= 10, "{looked_at:?}");
    assert!(looked_at.len() >= 50, "it opens again: {looked_at:?}");
    // The owner comes with the browser that they have always had.
    let owner = from(&authd, "203.0.113.9");
    assert!(!guess(&owner, "alice").await, "the account is under attack");
    let known = throttle::password(&owner, "alice", Some(b"her browser"));
    throttle::take(&owner, &known).await.unwrap().give_back();
    for _ in 0..10 {
        throttle::take(&owner, &known).await.unwrap().spend().await.unwrap();
    }
    assert!(throttle::take(&owner, &known).await.is_err(), "a known browser guesses no more than ten times either");
}

#[tokio::test]
async fn r_16_spraying_many_accounts_from_one_place_is_thirty_a_minute() {
    let authd = Authd::start().await;
    let mut taken = 0;
    for n in 0..200u16 {
        // One host has a whole /64.
        taken += usize::from(guess(&from(&authd, &format!("2606:4700:9:9::{n:x}")), &format!("person {n}")).await);
    }
    assert_eq!(taken, 30);
    assert!(guess(&from(&authd, "2606:4700:9:a::1"), "person 200").await, "the neighbour");
    assert!(guess(&from(&authd, "198.51.100.1"), "person 7").await, "the accounts are not locked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_16_of_guesses_at_the_same_time_no_more_are_looked_at() {
    let authd = Authd::start().await;
    let cx = from(&authd, "198.51.100.1");
    let all: Vec<_> = (0..64)
        .map(|_| {
            let cx = cx.clone();
            tokio::spawn(async move { guess(&cx, "alice").await })
        })
        .collect();
    let mut taken = 0;
    for one in all {
        taken += usize::from(one.await.unwrap());
    }
    assert_eq!(taken, 10);
}

#[tokio::test]
async fn r_16_a_clock_that_is_set_changes_nothing_while_authd_runs() {
    for jump in [-86_400, -3600, -61, 61, 3600] {
        let clock = Arc::new(Jumping::default());
        let authd = Authd::start_in(Env::frozen().with_clock(clock.clone())).await;
        let cx = from(&authd, "198.51.100.1");
        for _ in 0..10 {
            assert!(guess(&cx, "alice").await);
        }
        clock.jump(jump);
        assert!(!guess(&cx, "alice").await, "{jump}: not reset");
        clock.advance(Duration::from_secs(55));
        assert!(!guess(&cx, "alice").await, "{jump}: not reset");
        clock.advance(Duration::from_secs(11));
        assert!(guess(&cx, "alice").await, "{jump}: not prolonged");
    }
}

#[tokio::test]
async fn r_16_a_clock_that_was_set_back_while_authd_was_down_prolongs_by_one_window_at_most() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("authd.redb");
    let open = |env: &Env| Store::open(&file, env.clone(), Options::new([7; 32])).unwrap();
    let env = Env::frozen().with_clock(Arc::new(Jumping::default()));
    let before = Authd::start_on(open(&env), env).await;
    for _ in 0..10 {
        assert!(guess(&from(&before, "198.51.100.1"), "alice").await);
    }
    let deployment = (*before.app.world.deployment).clone();
    before.app.world.store.close().await;
    drop(before);
    // Another run, ten years earlier.
    let clock = Arc::new(Jumping::default());
    clock.jump(-10 * 365 * 86_400);
    let env = Env::frozen().with_clock(clock.clone());
    let authd = Authd::of(open(&env), deployment, env).await;
    let cx = from(&authd, "198.51.100.1");
    assert!(!guess(&cx, "alice").await, "not reset");
    for _ in 0..6 {
        clock.advance(Duration::from_secs(5));
        assert!(!guess(&cx, "alice").await, "not reset");
    }
    clock.advance(Duration::from_secs(36));
    assert!(guess(&cx, "alice").await, "not prolonged for ten years");
}

#[tokio::test]
async fn r_16_every_rule_counts_to_its_number_and_no_further() {
    let authd = Authd::start().await;
    let cx = from(&authd, "198.51.100.1");
    for rule in Rule::ALL.iter().copied() {
        let subject = Subject::new().and("x");
        for _ in 0..rule.most() {
            throttle::check(&cx, rule, subject.clone()).await.unwrap_or_else(|e| panic!("{rule:?}: {e:?}"));
            let mut batch = Batch::new();
            throttle::count(&cx, rule, subject.clone(), &mut batch).await.unwrap();
            authd.app.world.store.commit(batch).await.unwrap();
            if rule.most() > 1_000 && rand::random::<u8>() > 0 {
                break;
            }
        }
        if rule.most() <= 1_000 {
            let refused = throttle::check(&cx, rule, subject.clone()).await.unwrap_err();
            assert!(refused.is(&codes::RATE_LIMITED), "{rule:?}");
            throttle::check(&cx, rule, subject.clone().and("y")).await.unwrap();
            authd.env().advance(rule.window() + rule.window() / 12);
            throttle::check(&cx, rule, subject).await.unwrap();
        }
    }
}

// At the doors.

fn at(authd: &Authd, ip: &str) -> Browser {
    let mut browser = authd.browser();
    browser.ip = format!("{ip}:5000").parse().unwrap();
    browser
}

async fn redeem(scene: &Scene, ip: &str, secret: &str, code: &str) -> crate::world::authd::Reply {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("client_id", &scene.app),
        ("client_secret", secret),
    ];
    at(&scene.authd, ip).post("/oauth2/token", &fields).await
}

#[tokio::test]
async fn op_06_wrong_secrets_are_slowed_down_and_the_right_one_always_works() {
    let scene = Scene::new().await;
    let mut seen = Vec::new();
    let events = scene.authd.events().await.len();
    for n in 0..80 {
        let reply = redeem(&scene, "198.51.100.1", &format!("cs_wrong{n}"), "ac_x").await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            let wait: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=65).contains(&wait), "{wait}");
        }
        seen.push(reply.status.as_u16());
    }
    assert_eq!(seen, [vec![401; 60], vec![429; 20]].concat());
    assert_eq!(scene.authd.events().await.len(), events + 10, "told ten times, then counted");
    // The app itself, at its own address and even behind the same one.
    for ip in ["203.0.113.9", "198.51.100.1"] {
        let reply = redeem(&scene, ip, &scene.secret, "ac_x").await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (400, &json!("invalid_grant")), "{ip}");
    }
    let landed = scene.sign_in(&mut scene.authd.browser()).await;
    assert_eq!(scene.redeem(&landed.query("code").unwrap()).await.status, StatusCode::OK);
    scene.authd.env().advance(Duration::from_secs(65));
    assert_eq!(redeem(&scene, "198.51.100.1", "cs_wrong", "ac_x").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn r_16_guessed_codes_are_slowed_down_and_used_ones_are_not_guesses() {
    let scene = Scene::new().await;
    let landed = scene.sign_in(&mut scene.authd.browser()).await;
    let code = landed.query("code").unwrap();
    assert_eq!(scene.redeem(&code).await.status, StatusCode::OK);
    for _ in 0..100 {
        assert_eq!(scene.redeem(&code).await.json()["error"], "invalid_grant");
    }
    for n in 0..70 {
        let reply = redeem(&scene, "198.51.100.1", &scene.secret, &format!("ac_guess{n}")).await;
        assert_eq!(reply.status.as_u16(), if n < 60 { 400 } else { 429 }, "{n}");
    }
    let landed = scene.sign_in(&mut scene.authd.browser()).await;
    assert_eq!(scene.redeem(&landed.query("code").unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn r_16_guessed_bearers_are_slowed_down_at_every_door_and_a_good_one_always_opens() {
    let scene = Scene::new().await;
    let wish = json!({"organization": scene.organization, "name": "ci", "grants": ["session.read"]});
    let key = scene.authd.operate("api_key.create", wish).await["key"].as_str().unwrap().to_owned();
    let ask = async |path: &str, bearer: &str| {
        let bearer = format!("Bearer {bearer}");
        let headers = [("authorization", bearer.as_str())];
        at(&scene.authd, "198.51.100.1").send(Method::GET, path, &headers, None).await
    };
    let most = Rule::Bearer.most();
    for n in 0..most + 20 {
        let path = if n % 2 == 0 { "/v1/sessions" } else { "/userinfo" };
        let reply = ask(path, &format!("{}{n}", &key[..key.len() - 4])).await;
        let expected = if n < most { StatusCode::UNAUTHORIZED } else { StatusCode::TOO_MANY_REQUESTS };
        assert_eq!(reply.status, expected, "{n} {path}");
        assert_eq!(reply.headers.contains_key("retry-after"), n >= most);
    }
    assert_eq!(ask("/v1/sessions", &key).await.status, StatusCode::OK);
}

#[tokio::test]
async fn r_16_who_lists_domains_by_typing_addresses_is_stopped() {
    let scene = Scene::new().await;
    let mut browser = at(&scene.authd, "198.51.100.1");
    let page = browser.get(&scene.authorize(&[])).await;
    let attempt = page.field("attempt");
    let most = Rule::EmailRoute.most();
    for n in 0..most + 5 {
        let email = format!("a@domain{n}.example");
        let reply = browser.post("/signin", &[("attempt", &attempt), ("email", &email)]).await;
        assert_eq!(reply.status.as_u16(), if n < most { 404 } else { 429 }, "{n}");
    }
    let found = browser.post("/signin", &[("attempt", &attempt), ("email", "alice@corp.example")]).await;
    assert_eq!(found.status, StatusCode::TOO_MANY_REQUESTS, "not even a domain that is served");
    assert!(found.headers.contains_key("retry-after") && found.body.contains("rate_limited"));
    assert_eq!(scene.leave(&mut browser).await.status, StatusCode::SEE_OTHER, "who knows the connection gets in");
    let mut neighbour = at(&scene.authd, "198.51.100.2");
    let page = neighbour.get(&scene.authorize(&[])).await;
    let form = [("attempt", page.field("attempt")), ("email", "alice@corp.example".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(neighbour.post("/signin", &form).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn r_16_a_domain_is_not_proved_by_asking_name_servers_without_end() {
    let scene = Scene::new().await;
    scene.authd.operate("domain.add", json!({"connection": scene.connection, "domain": "late.example"})).await;
    let verify = async |force: bool| {
        let cx = scene.authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(scene.authd.env()));
        let input = json!({"connection": scene.connection, "domain": "late.example", "force": force});
        scene.authd.app.perform(&cx, "domain.verify", input).await.map_err(|error| error.code())
    };
    for n in 0..Rule::DomainProof.most() {
        let told = verify(false).await.unwrap_err();
        assert_ne!(told, "rate_limited", "{n}");
    }
    assert_eq!(verify(false).await.unwrap_err(), "rate_limited");
    assert!(verify(true).await.is_ok(), "who vouches asks nobody");
}
