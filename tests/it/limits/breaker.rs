//! a provider that is slow or down harms nobody but its own people, and those not for long.

use std::time::{Duration, Instant};

use axum::http::StatusCode;

use super::in_full;
use crate::signin::Scene;
use crate::world::op::{Canned, Endpoint};

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn now() -> Instant {
    Instant::now()
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn r_08_after_five_failures_nobody_waits_and_after_30_seconds_one_tries() {
    let scene = Scene::new().await;
    let dead = Canned { status: 503, headers: vec![], body: vec![] };
    scene.op.can(Endpoint::Token, Some(dead));
    let fail = async || {
        let mut browser = scene.authd.browser();
        let left = scene.leave(&mut browser).await;
        let refused = browser.get(&scene.back(&left)).await;
        assert_eq!(refused.status, StatusCode::BAD_GATEWAY, "{}", refused.body);
        assert!(refused.body.contains("upstream_unavailable"));
    };
    for _ in 0..9 {
        fail().await;
    }
    assert_eq!(scene.op.hits(Endpoint::Token), 5, "open: the provider is left alone");
    scene.authd.env().advance(Duration::from_secs(29));
    fail().await;
    assert_eq!(scene.op.hits(Endpoint::Token), 5);
    scene.authd.env().advance(Duration::from_secs(1));
    fail().await;
    fail().await;
    assert_eq!(scene.op.hits(Endpoint::Token), 6, "one probe");
    scene.authd.env().advance(Duration::from_secs(30));
    scene.op.can(Endpoint::Token, None);
    scene.sign_in(&mut scene.authd.browser()).await;
    scene.sign_in(&mut scene.authd.browser()).await;
}

#[tokio::test]
async fn r_08_a_provider_of_another_connection_is_not_blamed() {
    let scene = Scene::new().await;
    scene.op.can(Endpoint::Token, Some(Canned { status: 500, headers: vec![], body: vec![] }));
    for _ in 0..6 {
        let mut browser = scene.authd.browser();
        let left = scene.leave(&mut browser).await;
        assert_eq!(browser.get(&scene.back(&left)).await.status, StatusCode::BAD_GATEWAY);
    }
    let (other, connection) = crate::signin::connect(&scene.authd, &scene.organization, &["other.example"]).await;
    other.person(|person| drop(person.insert("email".into(), "zoe@other.example".into())));
    let mut browser = scene.authd.browser();
    let left = browser.get(&scene.authorize(&[("connection", &connection), ("prompt", "login")])).await;
    let landed = browser.get(&crate::signin::back(&other, &left, &connection)).await;
    assert_eq!(landed.status, StatusCode::SEE_OTHER, "{landed:?}");
}

/// Real time: the provider takes the request and never answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_08_stuck_sign_ins_end_in_time_and_slow_nobody_else() {
    let stuck = if in_full() { 200u8 } else { 40 };
    let scene = Scene::new().await;
    let landed = scene.sign_in(&mut scene.authd.browser()).await;
    assert!(landed.query("code").is_some());
    scene.op.delay(Endpoint::Token, Duration::from_secs(3600));
    let mut backs = Vec::new();
    for n in 0..stuck {
        let mut browser = scene.authd.browser();
        // Of one address a hundred may wait at a time.
        browser.ip.set_ip([192, 0, 2, n / 50].into());
        let left = scene.leave(&mut browser).await;
        backs.push((browser, scene.back(&left)));
    }
    let before = resident();
    let all: Vec<_> = backs
        .into_iter()
        .map(|(mut browser, back)| {
            tokio::spawn(async move {
                let started = now();
                let reply = browser.get(&back).await;
                (reply.status, reply.body.contains("upstream_unavailable"), started.elapsed())
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut others = Vec::new();
    for _ in 0..50 {
        let started = now();
        assert_eq!(scene.authd.browser().get("/.well-known/jwks.json").await.status, StatusCode::OK);
        others.push(started.elapsed());
    }
    others.sort();
    assert!(others[48] < Duration::from_millis(250), "{others:?}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 50 * 1024 * 1024, "{grown} bytes for {stuck}");
    for one in all {
        let (status, told, took) = one.await.unwrap();
        assert_eq!((status, told), (StatusCode::BAD_GATEWAY, true));
        assert!(took < Duration::from_secs(10) + Duration::from_millis(500), "{took:?}");
    }
    // From here on nobody waits.
    let mut browser = scene.authd.browser();
    let left = scene.leave(&mut browser).await;
    let started = now();
    assert_eq!(browser.get(&scene.back(&left)).await.status, StatusCode::BAD_GATEWAY);
    assert!(started.elapsed() < Duration::from_secs(1));
}
