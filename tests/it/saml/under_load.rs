//! DOS-05: the worst inputs that are known, ten a second, and people who sign in meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::json;

use super::encrypted::documents;
use super::scene::{Scene, text};
use crate::world::directory::{Act, Asked, Directory, Question, behave, settings_for};
use crate::world::saml::{MODES, posted};

/// The aim: p99 of a sign-in while all of it comes in. A debug build takes several times as long for everything.
const AIM: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_500 } else { 300 });

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn now() -> Instant {
    Instant::now()
}

/// What an identity provider never sends: T-02, T-03, T-04 and their kin.
fn hostile(scene: &Scene) -> Vec<String> {
    let mut all = Vec::new();
    for mode in MODES {
        let genuine = scene.idp.answer("ada@corp.example").mode(mode).xml();
        // T-02: what a signature refers to would have to be fetched.
        for uri in ["http://127.0.0.1:9/", "file:///dev/zero", "#xpointer(/)"] {
            let at = genuine.find("URI=\"#").unwrap() + 5;
            let end = at + genuine[at..].find('"').unwrap();
            all.push(format!("{}{uri}{}", &genuine[..at], &genuine[end..]));
        }
        // T-03: a program as a transform.
        all.push(genuine.replace(
            "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
            "http://www.w3.org/TR/1999/REC-xslt-19991116",
        ));
        all.extend(documents(&scene.idp, mode).into_iter().map(|(_, xml)| xml));
    }
    all.iter().map(|xml| posted(xml)).collect()
}

/// T-11: 130,000 levels, each a byte of tag and a length that reaches to the end.
fn deep() -> Vec<u8> {
    let levels = 130_000_u32;
    (0..levels).flat_map(|level| [&[0x30, 0x84][..], &((levels - level - 1) * 6).to_be_bytes()].concat()).collect()
}

async fn sign_ins(scene: &mut Scene, lasting: Duration) -> Vec<Duration> {
    let (began, mut times) = (now(), Vec::new());
    while began.elapsed() < lasting || times.len() < 20 {
        let (mut browser, started) = (scene.authd.browser(), now());
        let landed = scene.sign_in(&mut browser, "ada@corp.example").await;
        assert!(landed.query("code").is_some(), "{landed:?}");
        times.push(started.elapsed());
        // Each is told and counted by itself.
        scene.authd.env().advance(Duration::from_millis(1));
    }
    times.sort();
    times
}

fn p99(times: &[Duration]) -> Duration {
    times[times.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dos_05_who_signs_in_does_not_wait_for_the_worst_that_others_send() {
    #[expect(clippy::disallowed_methods, reason = "how much is run is told to the tests by the environment")]
    let lasting = Duration::from_secs(if std::env::var("AUTHD_FLOOD").is_ok() { 60 } else { 4 });
    let mut scene = Scene::new().await;
    let nested = deep();
    let directory = Directory::start(move |question: &Question| match question.asked {
        Asked::Search { .. } => Act::Say(nested.clone()),
        _ => behave(question),
    })
    .await;
    let wish = json!({"organization": scene.organization, "protocol": "ldap", "name": "Directory", "ldap": settings_for(&directory)});
    let ldap = text(&scene.authd.operate("connection.create", wish).await, "id");
    scene.authd.operate("connection.activate", json!({"id": ldap})).await;
    let wish = json!({"organization": scene.organization, "name": "relay", "grants": ["*"]});
    let key = text(&scene.authd.operate("api_key.create", wish).await, "key");
    let alone = p99(&sign_ins(&mut scene, lasting / 2).await);

    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (posts, acs, router) = (hostile(&scene), scene.path("acs"), scene.authd.router.clone());
    let (stopped, count, stranger) = (Arc::clone(&stop), Arc::clone(&sent), scene.authd.browser());
    let flood = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        let mut running = tokio::task::JoinSet::new();
        for post in posts.into_iter().cycle().take_while(|_| !stopped.load(Ordering::SeqCst)) {
            tick.tick().await;
            let (mut browser, acs) = (stranger.clone(), acs.clone());
            running.spawn(async move {
                let cross = [("sec-fetch-site", "cross-site")];
                let reply = browser.send(Method::POST, &acs, &cross, Some(&[("SAMLResponse", &post)])).await;
                assert!(reply.status.is_client_error(), "{reply:?}");
            });
            // One in five is a directory's.
            if count.fetch_add(1, Ordering::SeqCst) % 5 == 0 {
                let (router, path, bearer) =
                    (router.clone(), format!("/connections/{ldap}/ldap"), format!("Bearer {key}"));
                running.spawn(async move {
                    let body = json!({"username": "ada", "password": "wrong-password"}).to_string();
                    let mut request = axum::http::Request::post(path)
                        .header("host", "127.0.0.1:8080")
                        .header("authorization", bearer)
                        .header("content-type", "application/json")
                        .body(axum::body::Body::from(body))
                        .unwrap();
                    let peer = authd::http::Peer::Tcp("192.0.2.9:4000".parse().unwrap());
                    request.extensions_mut().insert(peer);
                    let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
                    assert!(!answer.status().is_success());
                });
            }
        }
        while let Some(done) = running.join_next().await {
            done.unwrap();
        }
    });
    let under = p99(&sign_ins(&mut scene, lasting).await);
    stop.store(true, Ordering::SeqCst);
    flood.await.unwrap();
    println!(
        "p99 of a sign-in: {alone:?} alone, {under:?} under {} hostile inputs in {lasting:?}",
        sent.load(Ordering::SeqCst)
    );
    assert!(under < AIM, "{under:?}, and {alone:?} alone");
}
