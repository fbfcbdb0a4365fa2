//! What works, and that it commits once.

use std::time::Duration;

use authd::error::codes;
use authd::store::{Batch, Key, Life, Record};
use axum::http::StatusCode;
use serde_json::json;

use super::{REDIRECT, Scene, claims, text};
use crate::world::op::Endpoint;

#[tokio::test]
async fn a_person_walks_from_the_app_to_the_apps_token() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let page = browser.get(&scene.authorize(&[])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("Wiki"));
    let left = browser.post("/signin", &[("attempt", &page.field("attempt")), ("email", "alice@CORP.example")]).await;
    assert_eq!(left.status, StatusCode::SEE_OTHER, "{left:?}");
    assert!(left.location().as_str().starts_with(&scene.op.issuer));
    assert_eq!(left.query("login_hint").as_deref(), Some("alice@CORP.example"));

    let landed = browser.get(&scene.back(&left)).await;
    assert!(landed.location().as_str().starts_with(REDIRECT), "{landed:?}");
    assert_eq!(landed.query("state").as_deref(), Some("app-state"));
    assert_eq!(landed.query("iss").as_deref(), Some("http://127.0.0.1:8080"));

    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let id = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!(id["iss"], "http://127.0.0.1:8080");
    assert_eq!(id["aud"], scene.app);
    assert_eq!(id["nonce"], "app-nonce");
    assert_eq!(id["org_id"], scene.organization);
    assert_eq!(id["email"], "alice@corp.example");
    assert_eq!(id["email_verified"], true);
    assert_eq!(id["groups"], json!(["staff", "admins"]));
    let info = scene.userinfo(tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(info.json()["sub"], id["sub"]);
}

#[derive(Clone, minicbor::Encode, minicbor::Decode)]
struct Probe(#[n(0)] u8);

impl Record for Probe {
    const KIND: &'static str = "probe";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::default()
    }
}

/// The number of the commit that this one is.
async fn commit_number(scene: &Scene) -> u64 {
    let mut batch = Batch::new();
    batch.put(&Probe(0));
    scene.authd.app.world.store.commit(batch).await.unwrap().0
}

#[tokio::test]
async fn a_sign_in_commits_once_before_and_once_after_the_network_and_a_code_is_one_more() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let start = commit_number(&scene).await;
    browser.get(&scene.authorize(&[])).await;
    assert_eq!(commit_number(&scene).await, start + 1, "the page writes nothing");
    let left = scene.leave(&mut browser).await;
    assert_eq!(commit_number(&scene).await, start + 3, "leaving is one commit");
    let landed = browser.get(&scene.back(&left)).await;
    assert_eq!(commit_number(&scene).await, start + 6, "claimed, then finished");
    scene.redeem(&landed.query("code").unwrap()).await;
    assert_eq!(commit_number(&scene).await, start + 8, "a code is redeemed in one commit");
    browser.get(&scene.authorize(&[])).await;
    assert_eq!(commit_number(&scene).await, start + 10, "a session that fits answers in one commit");
}

#[tokio::test]
async fn the_session_answers_the_next_app_request_until_it_must_not() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let first = scene.sign_in(&mut browser).await;
    let first = claims(scene.redeem(&first.query("code").unwrap()).await.json()["id_token"].as_str().unwrap());

    let again = browser.get(&scene.authorize(&[])).await;
    assert!(again.location().as_str().starts_with(REDIRECT), "{again:?}");
    let second = claims(scene.redeem(&again.query("code").unwrap()).await.json()["id_token"].as_str().unwrap());
    assert_eq!((&first["sub"], &first["sid"]), (&second["sub"], &second["sid"]));
    let silent = browser.get(&scene.authorize(&[("prompt", "none")])).await;
    assert!(silent.query("code").is_some());

    let forced = browser.get(&scene.authorize(&[("prompt", "login"), ("connection", &scene.connection)])).await;
    assert!(forced.location().as_str().starts_with(&scene.op.issuer));
    assert_eq!(forced.query("prompt").as_deref(), Some("login"));

    scene.authd.env().advance(Duration::from_secs(600));
    let young = browser.get(&scene.authorize(&[("max_age", "3600")])).await;
    assert!(young.query("code").is_some());
    let old = browser.get(&scene.authorize(&[("max_age", "300"), ("connection", &scene.connection)])).await;
    assert!(old.location().as_str().starts_with(&scene.op.issuer));
    let other = browser.get(&scene.authorize(&[("login_hint", "bob@corp.example")])).await;
    assert!(other.location().as_str().starts_with(&scene.op.issuer), "somebody else is meant");

    // Two hours unused.
    scene.authd.env().advance(Duration::from_secs(2 * 3600));
    let idle = browser.get(&scene.authorize(&[("prompt", "none")])).await;
    assert_eq!(idle.query("error").as_deref(), Some("login_required"));
    assert_eq!(idle.query("state").as_deref(), Some("app-state"));
}

#[tokio::test]
async fn revoking_a_session_ends_everything_of_it_at_the_next_request() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let landed = scene.sign_in(&mut browser).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let unused = browser.get(&scene.authorize(&[])).await.query("code").unwrap();
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(scene.userinfo(access).await.status, StatusCode::OK);

    let sid = claims(access)["sid"].as_str().unwrap().to_owned();
    scene.authd.operate("session.revoke", json!({"id": sid})).await;
    assert_eq!(scene.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.redeem(&unused).await.json()["error"], "invalid_grant");
    let next = browser.get(&scene.authorize(&[("prompt", "none")])).await;
    assert_eq!(next.query("error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn signing_out_ends_the_session_and_a_foreign_page_cannot() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let landed = scene.sign_in(&mut browser).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let access = tokens["access_token"].as_str().unwrap();
    let page = browser.get("/signin").await;
    assert!(page.body.contains("alice@corp.example") && page.body.contains("Corp"), "{}", page.body);

    let cross = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let refused = browser.clone().send(axum::http::Method::POST, "/signin/sign-out", &cross, Some(&[])).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(scene.userinfo(access).await.status, StatusCode::OK);

    let out = browser.post("/signin/sign-out", &[]).await;
    assert_eq!(out.status, StatusCode::OK);
    assert!(!browser.cookies.keys().any(|name| name.contains("session")));
    assert_eq!(scene.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_same_person_is_the_same_subject_and_a_new_session_each_time() {
    let scene = Scene::new().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let landed = scene.sign_in(&mut scene.authd.browser()).await;
        let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
        let id = claims(tokens["id_token"].as_str().unwrap());
        seen.push((id["sub"].clone(), id["sid"].clone()));
    }
    assert_eq!(seen[0].0, seen[1].0);
    assert_ne!(seen[0].1, seen[1].1);
    assert_eq!(scene.authd.counts().await["user"], 1);
}

#[tokio::test]
async fn a_dead_provider_is_a_page_that_can_be_explained() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let left = scene.leave(&mut browser).await;
    let back = scene.back(&left);
    scene.op.can(Endpoint::Token, Some(crate::world::op::Canned { status: 503, headers: vec![], body: vec![] }));
    let reply =
        scene.rejects(StatusCode::BAD_GATEWAY, "upstream_unavailable", async |_| browser.get(&back).await).await;
    let trace = scene.authd.operate("signin.explain", json!({"id": reply.request_id()})).await;
    assert_eq!(trace["outcome"], "failure");
    assert_eq!(text(&trace, "errorCode"), codes::UPSTREAM_UNAVAILABLE.name);
    let checks = trace["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "state" && check["ok"] == true), "{checks:?}");
}

#[tokio::test]
async fn a_session_outlives_the_app_it_was_opened_for() {
    let scene = Scene::new().await;
    let wish = json!({"organization": scene.organization, "name": "Second", "redirectUris": [REDIRECT]});
    let second = text(&scene.authd.operate("app.create", wish).await, "clientId");
    let mut browser = scene.authd.browser();
    let landed = scene.sign_in(&mut browser).await;
    let access = text(&scene.redeem(&landed.query("code").unwrap()).await.json(), "access_token");
    scene.authd.operate("app.delete", json!({"id": scene.app})).await;
    assert_eq!(scene.userinfo(&access).await.status, StatusCode::UNAUTHORIZED, "the app's own tokens end");
    let other = browser.get(&super::authorize(&second, &[("prompt", "none")])).await;
    assert!(other.query("code").is_some(), "{other:?}");
}

#[tokio::test]
async fn an_app_that_serves_an_organization_no_longer_gets_nothing_of_it() {
    let scene = Scene::new().await;
    let other = text(&scene.authd.operate("organization.create", json!({"name": "Other"})).await, "id");
    let both = json!([scene.organization, other]);
    scene.authd.operate("app.update", json!({"id": scene.app, "organizations": both})).await;
    let (op, connection) = super::connect(&scene.authd, &other, &["other.example"]).await;
    op.person(|person| drop(person.insert("email".into(), "bob@other.example".into())));
    let mut browser = scene.authd.browser();
    let left = browser.get(&scene.authorize(&[("connection", &connection)])).await;
    let landed = browser.get(&super::back(&op, &left, &connection)).await;
    let access = text(&scene.redeem(&landed.query("code").unwrap()).await.json(), "access_token");
    let unused = browser.get(&scene.authorize(&[])).await.query("code").unwrap();
    scene.authd.operate("app.update", json!({"id": scene.app, "organizations": "own"})).await;
    assert_eq!(scene.userinfo(&access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.redeem(&unused).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn pages_of_other_origins_may_ask_what_they_may_ask() {
    let scene = Scene::new().await;
    let ask = async |path: &str, origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "GET")];
        scene.authd.browser().send(axum::http::Method::OPTIONS, path, &headers, None).await
    };
    for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json"] {
        let reply = ask(path, "https://anywhere.example").await;
        assert!(reply.status.is_success(), "{path}: {reply:?}");
        assert_eq!(reply.headers["access-control-allow-origin"], "*");
    }
    let wish = json!({"organization": scene.organization, "name": "Page", "redirectUris": ["https://page.example/cb"],
        "kind": "spa", "public": true});
    scene.authd.operate("app.create", wish).await;
    for path in ["/oauth2/token", "/userinfo"] {
        let own = ask(path, "https://page.example").await;
        assert!(own.status.is_success(), "{path}: {own:?}");
        assert_eq!(own.headers["access-control-allow-origin"], "https://page.example");
        let foreign = ask(path, "https://evil.example").await;
        assert!(!foreign.headers.contains_key("access-control-allow-origin"), "{path}");
    }
}

#[tokio::test]
async fn a_key_of_a_disabled_organization_opens_nothing() {
    let scene = Scene::new().await;
    let wish = json!({"organization": scene.organization, "name": "ci", "grants": ["*"]});
    let key = text(&scene.authd.operate("api_key.create", wish).await, "key");
    let bearer = format!("Bearer {key}");
    let list = async || {
        let headers = [("authorization", bearer.as_str())];
        scene.authd.browser().send(axum::http::Method::GET, "/v1/connections", &headers, None).await.status
    };
    assert_eq!(list().await, StatusCode::OK);
    scene.authd.operate("organization.disable", json!({"id": scene.organization})).await;
    assert_eq!(list().await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_list_without_an_organization_is_the_whole_for_the_operator() {
    let scene = Scene::new().await;
    scene.sign_in(&mut scene.authd.browser()).await;
    for list in ["session.list", "user.list", "app.list", "api_key.list", "connection.list", "organization.list"] {
        let all = scene.authd.operate(list, json!({})).await;
        assert!(all["items"].is_array(), "{list}");
    }
    let mine = scene.authd.operate("session.list", json!({})).await;
    let user = mine["items"][0]["user"].clone();
    let of = json!({"organization": scene.organization, "user": user});
    assert_eq!(scene.authd.operate("session.list", of).await["items"].as_array().unwrap().len(), 1);
    let other = text(&scene.authd.operate("organization.create", json!({"name": "Other"})).await, "id");
    let of = json!({"organization": other, "user": user});
    assert_eq!(scene.authd.operate("session.list", of).await["items"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_used_code_is_remembered_for_as_long_as_what_it_gave_can_live() {
    let scene = Scene::new().await;
    let landed = scene.sign_in(&mut scene.authd.browser()).await;
    scene.redeem(&landed.query("code").unwrap()).await;
    let store = &scene.authd.app.world.store;
    scene.authd.env().advance(Duration::from_secs(25 * 3600 - 1));
    store.sweep().await.unwrap();
    assert_eq!(scene.authd.counts().await["authorization_code"], 1);
    scene.authd.env().advance(Duration::from_secs(1));
    store.sweep().await.unwrap();
    assert_eq!(scene.authd.counts().await["authorization_code"], 0);
}

#[tokio::test]
async fn what_the_provider_states_of_the_sign_in_is_passed_on_if_it_is_sane() {
    let scene = Scene::new().await;
    for (acr, told) in
        [("urn:mfa".to_owned(), json!("urn:mfa")), ("x".repeat(256), json!(null)), ("a\u{1b}b".to_owned(), json!(null))]
    {
        scene.op.next_token(move |_, claims| drop(claims.insert("acr".into(), acr.into())));
        let landed = scene.sign_in(&mut scene.authd.browser()).await;
        let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
        assert_eq!(claims(tokens["id_token"].as_str().unwrap())["acr"], told);
    }
}
