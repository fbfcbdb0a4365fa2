//! OIDC-13: keys change, are made up, are empty, are not to be had; and the provider is asked seldom.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::Scene;
use crate::world::op::{Canned, Endpoint, Signer};

/// 10,000 tokens, each with a kid of its own.
async fn flood(scene: &Arc<Scene>, tokens: u32) {
    let made = Arc::new(std::sync::atomic::AtomicU32::new(0));
    scene.op.every_token(move |header, _| {
        let number = made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        header.insert("kid".into(), format!("made up {number}").into());
    });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (scene, begun) = (Arc::clone(scene), scene.begin().await);
        tasks.spawn(async move {
            for _ in 0..tokens / 20 {
                let (outcome, _) = scene.finish(scene.op.approve(&begun.url), &begun.kept).await;
                assert_eq!(outcome.unwrap_err().code(), "token_key");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    scene.op.every_token(|_, _| {});
}

#[tokio::test]
async fn oidc_13_made_up_kids_ask_the_provider_once_in_30_seconds() {
    let scene = Arc::new(Scene::direct().await);
    scene.sign_in().await.unwrap();
    assert_eq!(scene.op.hits(Endpoint::Jwks), 1);
    flood(&scene, 5_000).await;
    assert_eq!(scene.op.hits(Endpoint::Jwks), 1, "30 seconds have not passed since the first question");
    scene.advance(30);
    flood(&scene, 5_000).await;
    assert_eq!(scene.op.hits(Endpoint::Jwks), 2);
    assert_eq!(scene.op.hits(Endpoint::Discovery), 1);
    scene.sign_in().await.expect("the keys that are known still work");
}

#[tokio::test]
async fn oidc_13_an_empty_set_is_no_way_around() {
    let scene = Arc::new(Scene::direct().await);
    scene.op.publish([]);
    flood(&scene, 500).await;
    assert_eq!(scene.op.hits(Endpoint::Jwks), 1);
    scene.advance(31);
    flood(&scene, 500).await;
    assert_eq!(scene.op.hits(Endpoint::Jwks), 2);
}

#[tokio::test]
async fn oidc_13_neither_is_a_set_that_cannot_be_had() {
    for canned in [
        Canned { status: 500, headers: vec![], body: vec![] },
        Canned { status: 302, headers: vec![("location", "https://evil.example".into())], body: vec![] },
        Canned { status: 200, headers: vec![], body: b"<html>".to_vec() },
        Canned::json(200, &json!({"keys": {}})),
        Canned::json(200, &json!({"keys": vec![Signer::ed25519("key-1").jwk(); 65]})),
        Canned { status: 200, headers: vec![], body: vec![b' '; 600 * 1024] },
    ] {
        let scene = Scene::direct().await;
        scene.op.can(Endpoint::Jwks, Some(canned.clone()));
        let first = scene.sign_in().await.unwrap_err();
        assert!(["upstream_unavailable", "upstream_invalid"].contains(&first.code()), "{first:?}");
        for _ in 0..200 {
            assert_eq!(scene.sign_in().await.unwrap_err().code(), "upstream_unavailable");
        }
        assert_eq!(scene.op.hits(Endpoint::Jwks), 1, "{}", canned.status);
        scene.op.can(Endpoint::Jwks, None);
        scene.advance(30);
        scene.sign_in().await.unwrap();
    }
}

#[tokio::test]
async fn oidc_13_a_new_key_is_picked_up_within_35_seconds() {
    let scene = Scene::new().await;
    scene.sign_in().await.unwrap();
    let next = Signer::es256("key-2");
    scene.op.rotate(&next);
    let mut waited = 0;
    while let Err(error) = scene.sign_in().await {
        assert_eq!(error.code(), "token_key");
        scene.advance(5);
        waited += 5;
        assert!(waited <= 35, "still not after {waited} s");
    }
    // A rotation later on is seen at once: the last question is long ago.
    scene.advance(3_000);
    scene.sign_in().await.unwrap();
    scene.advance(31);
    scene.op.rotate(&Signer::rsa(0, "key-3", "RS256"));
    scene.sign_in().await.unwrap();
    // So is one that keeps the name, or has none.
    for signer in [Signer::rsa(1, "key-3", "RS256"), Signer::es256("x").named(None), Signer::es256("x").named(None)] {
        scene.advance(31);
        scene.op.rotate(&signer);
        scene.sign_in().await.unwrap();
    }
}

#[tokio::test]
async fn oidc_13_a_key_that_is_withdrawn_stops_working() {
    let scene = Scene::new().await;
    scene.sign_in().await.unwrap();
    scene.op.publish([Signer::es256("key-2").jwk()]);
    scene.advance(10 * 60);
    assert_eq!(scene.sign_in().await.unwrap_err().code(), "token_key");
}

#[tokio::test]
async fn oidc_13_known_keys_are_used_for_a_day_while_the_provider_has_none_to_give() {
    let scene = Scene::new().await;
    scene.sign_in().await.unwrap();
    scene.op.can(Endpoint::Jwks, Some(Canned { status: 503, headers: vec![], body: vec![] }));
    scene.op.can(Endpoint::Discovery, Some(Canned { status: 503, headers: vec![], body: vec![] }));
    for hours in [1, 11, 11] {
        scene.advance(hours * 3600);
        scene.sign_in().await.expect("not a day old yet");
    }
    let asked = (scene.op.hits(Endpoint::Jwks), scene.op.hits(Endpoint::Discovery));
    scene.sign_in().await.unwrap();
    assert_eq!(asked, (scene.op.hits(Endpoint::Jwks), scene.op.hits(Endpoint::Discovery)), "and seldom asked for");
    scene.advance(3600);
    assert_eq!(scene.begin_with(Default::default()).await.err().unwrap().code(), "upstream_unavailable");
    scene.op.can(Endpoint::Discovery, None);
    scene.advance(31);
    assert_eq!(scene.sign_in().await.unwrap_err().code(), "upstream_unavailable", "keys of more than a day");
    scene.op.can(Endpoint::Jwks, None);
    scene.advance(31);
    scene.sign_in().await.expect("it is back");
}

#[tokio::test]
async fn keys_of_an_address_that_is_no_longer_the_providers_are_not_used() {
    let scene = Scene::new().await;
    scene.sign_in().await.unwrap();
    let gone = format!("{}/gone", scene.op.issuer);
    scene.op.discovery(move |document| drop(document.insert("jwks_uri".into(), gone.clone().into())));
    scene.advance(3600);
    assert_eq!(scene.sign_in().await.unwrap_err().code(), "upstream_invalid");
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let scene = Arc::new(Scene::direct().await);
    scene.op.delay(Endpoint::Discovery, Duration::from_millis(50));
    scene.op.delay(Endpoint::Jwks, Duration::from_millis(50));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let scene = Arc::clone(&scene);
        tasks.spawn(async move { scene.begin().await });
    }
    let mut begun = Vec::new();
    while let Some(one) = tasks.join_next().await {
        begun.push(one.unwrap());
    }
    assert_eq!(scene.op.hits(Endpoint::Discovery), 1);
    let mut tasks = tokio::task::JoinSet::new();
    for one in begun {
        let scene = Arc::clone(&scene);
        tasks.spawn(async move { scene.finish(scene.op.approve(&one.url), &one.kept).await.0 });
    }
    let mut done = 0;
    while let Some(one) = tasks.join_next().await {
        one.unwrap().unwrap();
        done += 1;
    }
    assert_eq!((done, scene.op.hits(Endpoint::Jwks)), (64, 1));
}

#[tokio::test]
async fn a_request_that_is_given_up_does_not_use_up_the_question_of_others() {
    let scene = Arc::new(Scene::direct().await);
    scene.op.delay(Endpoint::Jwks, Duration::from_millis(100));
    let begun = scene.begin().await;
    let answer = scene.op.approve(&begun.url);
    let given_up = tokio::time::timeout(Duration::from_millis(50), scene.finish(answer, &begun.kept)).await;
    assert!(given_up.is_err());
    scene.sign_in().await.expect("the question went on, and its answer is used");
    assert_eq!(scene.op.hits(Endpoint::Jwks), 1);
}

#[tokio::test]
async fn connections_do_not_share_keys_or_questions() {
    let (a, b) = (Scene::new().await, Scene::new().await);
    a.sign_in().await.unwrap();
    b.sign_in().await.unwrap();
    let theirs = b.op.signer();
    a.op.sign_with(&theirs);
    a.refused("token_signature", "the key of another connection's provider").await;
}
