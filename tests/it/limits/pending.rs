//! Sign-ins that wait for a browser: 100 of an address, and nobody is locked out by a neighbour.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::signin::Scene;
use crate::world::authd::{Authd, Browser};

async fn rows(authd: &Authd, kind: &str) -> u64 {
    authd.app.world.store.counts().await.unwrap().get(kind).copied().unwrap_or(0)
}

fn at(scene: &Scene, ip: &str) -> Browser {
    let mut browser = scene.authd.browser();
    browser.ip = format!("{}:5000", if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() }).parse().unwrap();
    browser
}

#[tokio::test]
async fn limits_a_hundred_sign_ins_of_an_address_wait_and_the_oldest_goes() {
    let scene = Scene::new().await;
    let mut first = at(&scene, "192.0.2.7");
    let first_left = scene.leave(&mut first).await;
    let mut second = at(&scene, "192.0.2.7");
    let second_left = scene.leave(&mut second).await;
    for _ in 0..98 {
        scene.leave(&mut at(&scene, "192.0.2.7")).await;
    }
    assert_eq!(rows(&scene.authd, "attempt").await, 100);
    let mut neighbour = at(&scene, "192.0.2.8");
    let neighbour_left = scene.leave(&mut neighbour).await;
    assert_eq!(rows(&scene.authd, "attempt").await, 101, "another address has its own share");
    // The hundred and first is let in; it goes at the expense of the oldest of its own address.
    let mut last = at(&scene, "192.0.2.7");
    let last_left = scene.leave(&mut last).await;
    assert_eq!(rows(&scene.authd, "attempt").await, 101);
    // What waits is explained from the attempt itself.
    let waits = scene.authd.operate("signin.explain", json!({"id": last_left.request_id()})).await;
    assert_eq!((&waits["outcome"], &waits["connection"]), (&json!("pending"), &json!(scene.connection)));
    let pushed_out = first.get(&scene.back(&first_left)).await;
    assert_eq!(pushed_out.status, StatusCode::BAD_REQUEST);
    assert!(pushed_out.body.contains("state_mismatch"));
    for (browser, left) in [(&mut second, second_left), (&mut neighbour, neighbour_left), (&mut last, last_left)] {
        let landed = browser.get(&scene.back(&left)).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{landed:?}");
    }
    // Who came back waits no more: there is room again.
    for _ in 0..2 {
        scene.leave(&mut at(&scene, "192.0.2.7")).await;
    }
    assert_eq!(rows(&scene.authd, "attempt").await, 100);
}

#[tokio::test]
async fn limits_one_ipv6_host_is_one_address() {
    let scene = Scene::new().await;
    for n in 0..130u16 {
        scene.leave(&mut at(&scene, &format!("2606:4700:1:2:{n:x}::{n:x}"))).await;
    }
    assert_eq!(rows(&scene.authd, "attempt").await, 100);
    scene.leave(&mut at(&scene, "2606:4700:1:3::1")).await;
    assert_eq!(rows(&scene.authd, "attempt").await, 101);
}

#[tokio::test]
async fn limits_hold_across_a_restart_and_under_sign_ins_at_the_same_time() {
    let mut scene = Scene::new().await;
    let burst = async |scene: &Scene, n: usize| {
        let all = (0..n).map(|_| {
            let mut browser = at(scene, "192.0.2.7");
            let address = scene.authorize(&[("connection", &scene.connection), ("prompt", "login")]);
            tokio::spawn(async move { browser.get(&address).await.status })
        });
        for one in all.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap(), StatusCode::SEE_OTHER);
        }
    };
    burst(&scene, 90).await;
    scene.authd = scene.authd.restarted().await;
    burst(&scene, 90).await;
    assert_eq!(rows(&scene.authd, "attempt").await, 100);
    // Ten minutes later none of them counts any more.
    scene.authd.env().advance(Duration::from_secs(601));
    scene.authd.app.world.store.sweep().await.unwrap();
    assert_eq!((rows(&scene.authd, "attempt").await, rows(&scene.authd, "trace").await), (0, 0));
    burst(&scene, 100).await;
    assert_eq!(rows(&scene.authd, "attempt").await, 100);
}

#[tokio::test]
async fn limits_a_connection_keeps_its_newest_thousand_traces() {
    let scene = Scene::new().await;
    let mut browser = at(&scene, "192.0.2.7");
    let back = format!("/connections/{}/oidc/callback?state=unknown&code=x", scene.connection);
    // Refused callbacks of many addresses, each told in full.
    for n in 0..1_020u32 {
        browser.ip.set_ip(std::net::Ipv4Addr::from(0x0a00_0000 + n).into());
        if n % 250 == 0 {
            scene.authd.env().advance(Duration::from_secs(61));
        }
        assert_eq!(browser.get(&back).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(rows(&scene.authd, "trace").await, 1_000);
    // A flood of sign-ins that only begin pushes none of them out.
    for n in 0..50u32 {
        browser.ip.set_ip(std::net::Ipv4Addr::from(0x0b00_0000 + n).into());
        scene.leave(&mut browser).await;
    }
    assert_eq!(rows(&scene.authd, "trace").await, 1_000);
    let connection = scene.connection.parse().unwrap();
    authd::signin::trim(&scene.authd.app.world.store, connection).await.unwrap();
    assert_eq!(rows(&scene.authd, "trace").await, 1_000);
}

/// A session of the same person in the same organization, in the same browser, ends when they sign in again there.
#[tokio::test]
async fn signing_in_again_ends_the_browsers_earlier_session_and_no_other() {
    let scene = Scene::new().await;
    let token = async |browser: &mut Browser| {
        let landed = scene.sign_in(browser).await;
        scene.redeem(&landed.query("code").unwrap()).await.json()["access_token"].as_str().unwrap().to_owned()
    };
    let (mut here, mut elsewhere) = (scene.authd.browser(), scene.authd.browser());
    let (first, other) = (token(&mut here).await, token(&mut elsewhere).await);
    assert_eq!(scene.userinfo(&first).await.status, StatusCode::OK);
    let events = scene.authd.events().await.len();
    let second = token(&mut here).await;
    assert_eq!(scene.userinfo(&first).await.status, StatusCode::UNAUTHORIZED, "the earlier one of this browser");
    assert_eq!(scene.userinfo(&second).await.status, StatusCode::OK);
    assert_eq!(scene.userinfo(&other).await.status, StatusCode::OK, "another browser's");
    let told = scene.authd.events().await.split_off(events);
    let ended: Vec<_> = told.iter().filter(|event| event.kind.name() == "session.invalidated").collect();
    assert_eq!(ended.len(), 1, "{told:?}");
    assert_eq!(ended[0].data["reason"], "signed_in_again");

    // Somebody else in the same browser: their session is theirs.
    scene.op.person(|person| {
        person.insert("sub".into(), "bob-1".into());
        person.insert("email".into(), "bob@corp.example".into());
    });
    let third = token(&mut here).await;
    assert_eq!(scene.userinfo(&second).await.status, StatusCode::OK, "another person's session");
    assert_eq!(scene.userinfo(&third).await.status, StatusCode::OK);
}
