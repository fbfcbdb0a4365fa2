//! What is refused at the callback, each with the six properties of the reject contract.

use std::time::Duration;

use authd::event::{EventKind, Outcome};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Scene, address, back, connect, text};
use crate::world::authd::Reply;
use crate::world::op::Endpoint;

#[tokio::test]
async fn oidc_01_a_callback_needs_the_state_of_this_browser_once_and_in_time() {
    let scene = Scene::new().await;
    let refuse = StatusCode::BAD_REQUEST;
    let mut browser = scene.authd.browser();

    let left = scene.leave(&mut browser).await;
    let mut answer = scene.op.approve(left.location().as_str());
    answer.remove("state");
    scene.rejects(refuse, "state_mismatch", async |s| browser.get(&address(&s.connection, &answer)).await).await;

    answer.insert("state".into(), "A".repeat(43));
    scene.rejects(refuse, "state_mismatch", async |s| browser.get(&address(&s.connection, &answer)).await).await;

    // Another browser: one without any mark, and one with a mark of its own.
    let back = scene.back(&left);
    scene.rejects(refuse, "state_mismatch", async |s| s.authd.browser().get(&back).await).await;
    let mut stranger = scene.authd.browser();
    scene.leave(&mut stranger).await;
    scene.rejects(refuse, "state_mismatch", async |_| stranger.get(&back).await).await;

    // The owner is not harmed by the stranger's try; but an answer serves once.
    assert_eq!(browser.get(&back).await.status, StatusCode::SEE_OTHER);
    scene.rejects(refuse, "state_mismatch", async |_| browser.get(&back).await).await;

    let late = scene.leave(&mut browser).await;
    let back = scene.back(&late);
    scene.authd.env().advance(Duration::from_secs(600));
    scene.rejects(refuse, "state_mismatch", async |_| browser.get(&back).await).await;

    let twice = scene.leave(&mut browser).await;
    let back = format!("{}&state=x", scene.back(&twice));
    scene.rejects(refuse, "state_mismatch", async |_| browser.get(&back).await).await;
}

#[tokio::test]
async fn oidc_01_of_many_equal_callbacks_one_opens_one_session() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let back = scene.back(&scene.leave(&mut browser).await);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (mut browser, back) = (browser.clone(), back.clone());
            tokio::spawn(async move { browser.get(&back).await.status })
        })
        .collect();
    let mut landed = 0;
    for task in tasks {
        landed += u32::from(task.await.unwrap() == StatusCode::SEE_OTHER);
    }
    assert_eq!(landed, 1);
    assert_eq!(scene.authd.counts().await["session"], 1);
    assert_eq!(scene.op.hits(Endpoint::Token), 1, "one answer reaches the token endpoint");
}

#[tokio::test]
async fn oidc_02_a_token_of_another_sign_in_is_refused() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    for edit in [json!("other"), json!(""), Value::Null] {
        let back = scene.back(&scene.leave(&mut browser).await);
        scene.op.next_token(move |_, claims| match edit {
            Value::Null => drop(claims.remove("nonce")),
            edit => drop(claims.insert("nonce".into(), edit)),
        });
        scene.rejects(StatusCode::BAD_REQUEST, "nonce_mismatch", async |_| browser.get(&back).await).await;
    }
    // The id_token of a finished sign-in, once more.
    scene.sign_in(&mut browser).await;
    let replayed = scene.op.last_id_token();
    let back = scene.back(&scene.leave(&mut browser).await);
    scene.op.forge(move |_, _| replayed);
    scene.rejects(StatusCode::BAD_REQUEST, "nonce_mismatch", async |_| browser.get(&back).await).await;
}

#[tokio::test]
async fn oidc_07_one_providers_code_never_reaches_another() {
    let scene = Scene::new().await;
    let (other_op, other) = connect(&scene.authd, &scene.organization, &[]).await;
    let mut browser = scene.authd.browser();
    let refuse = StatusCode::BAD_REQUEST;

    // The code of one at the callback of the other.
    let answer = scene.op.approve(scene.leave(&mut browser).await.location().as_str());
    scene.rejects(refuse, "issuer_mismatch", async |_| browser.get(&address(&other, &answer)).await).await;

    // RFC 9207: the answer names another issuer, or none though the provider promises one.
    scene.op.callback(|answer| drop(answer.insert("iss".into(), "https://evil.example".into())));
    let back_with = scene.back(&scene.leave(&mut browser).await);
    scene.rejects(refuse, "issuer_mismatch", async |_| browser.get(&back_with).await).await;
    assert_eq!(scene.op.hits(Endpoint::Token) + other_op.hits(Endpoint::Token), 0);
}

#[tokio::test]
async fn oidc_07_a_promised_issuer_that_is_missing_is_refused() {
    let scene = Scene::new().await;
    let op = crate::world::op::MockOp::start().await;
    op.follow(scene.authd.env());
    op.discovery(|document| {
        document.insert("authorization_response_iss_parameter_supported".into(), true.into());
    });
    op.callback(|answer| drop(answer.remove("iss")));
    let wish = json!({
        "organization": scene.organization, "protocol": "oidc", "name": "Promising", "issuer": op.issuer,
        "clientId": "authd", "clientSecret": "s", "activate": true,
    });
    let connection = text(&scene.authd.operate("connection.create", wish).await, "id");
    let mut browser = scene.authd.browser();
    let left = browser.get(&scene.authorize(&[("connection", &connection)])).await;
    let back = back(&op, &left, &connection);
    scene.rejects(StatusCode::BAD_REQUEST, "issuer_mismatch", async |_| browser.get(&back).await).await;
    assert_eq!(op.hits(Endpoint::Token), 0);
}

#[tokio::test]
async fn oidc_11_an_unverified_address_takes_nobody_over_and_makes_nobody() {
    let scene = Scene::new().await;
    let values = [Some(json!(false)), None, Some(json!("false")), Some(json!(0)), Some(json!("true")), Some(json!(1))];
    for existing in [false, true] {
        if existing {
            scene.sign_in(&mut scene.authd.browser()).await;
        }
        for value in values.clone() {
            scene.op.person(|person| {
                person.insert("sub".into(), "mallory-7".into());
                match &value {
                    Some(value) => drop(person.insert("email_verified".into(), value.clone())),
                    None => drop(person.remove("email_verified")),
                }
            });
            let mut browser = scene.authd.browser();
            browser.ip = format!("192.0.2.{}:1", 10 + scene.authd.counts().await["user"]).parse().unwrap();
            let back = scene.back(&scene.leave(&mut browser).await);
            scene.rejects(StatusCode::FORBIDDEN, "email_not_verified", async |_| browser.get(&back).await).await;
        }
        scene.op.person(|person| {
            person.insert("sub".into(), "alice-1".into());
            person.insert("email_verified".into(), true.into());
        });
    }
}

#[tokio::test]
async fn oidc_11_an_address_outside_the_connections_domains_makes_nobody() {
    let scene = Scene::new().await;
    for email in ["ceo@other.example", "a@sub.corp.example", "a@corp.example.evil.example"] {
        scene.op.person(|person| drop(person.insert("email".into(), email.into())));
        let mut browser = scene.authd.browser();
        let back = scene.back(&scene.leave(&mut browser).await);
        scene.rejects(StatusCode::FORBIDDEN, "email_domain_not_owned", async |_| browser.get(&back).await).await;
    }
    for email in ["\"a@corp.example\"@evil.example", "a@corp.example@evil.example", "a\u{202e}@corp.example"] {
        scene.op.person(|person| drop(person.insert("email".into(), email.into())));
        let mut browser = scene.authd.browser();
        let back = scene.back(&scene.leave(&mut browser).await);
        scene.rejects(StatusCode::BAD_REQUEST, "profile_invalid", async |_| browser.get(&back).await).await;
    }
}

#[tokio::test]
async fn oidc_11_an_address_that_nobody_has_proven_is_not_told_as_verified() {
    let scene = Scene::new().await;
    let (op, connection) = connect(&scene.authd, &scene.organization, &[]).await;
    op.person(|person| drop(person.insert("email".into(), "someone@free.example".into())));
    let mut browser = scene.authd.browser();
    let left = browser.get(&scene.authorize(&[("connection", &connection)])).await;
    let landed = browser.get(&back(&op, &left, &connection)).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let id = super::claims(tokens["id_token"].as_str().unwrap());
    assert_eq!((&id["email"], &id["email_verified"]), (&json!("someone@free.example"), &json!(false)));

    // The victim's own domain, asserted by a connection that has proven none.
    op.person(|person| {
        person.insert("sub".into(), "x".into());
        person.insert("email".into(), "alice@corp.example".into());
    });
    let left = browser.get(&scene.authorize(&[("connection", &connection), ("prompt", "login")])).await;
    let back = back(&op, &left, &connection);
    scene.rejects(StatusCode::FORBIDDEN, "email_domain_not_owned", async |_| browser.get(&back).await).await;
}

#[tokio::test]
async fn oidc_12_a_changed_address_steals_no_account() {
    let scene = Scene::new().await;
    scene.sign_in(&mut scene.authd.browser()).await;
    scene.op.person(|person| {
        person.insert("sub".into(), "bob-2".into());
        person.insert("email".into(), "bob@corp.example".into());
    });
    let landed = scene.sign_in(&mut scene.authd.browser()).await;
    let bob = super::claims(scene.redeem(&landed.query("code").unwrap()).await.json()["id_token"].as_str().unwrap());

    // Upstream, bob's address becomes alice's: he stays bob, with his old address.
    scene.op.person(|person| drop(person.insert("email".into(), "alice@corp.example".into())));
    let landed = scene.sign_in(&mut scene.authd.browser()).await;
    let again = super::claims(scene.redeem(&landed.query("code").unwrap()).await.json()["id_token"].as_str().unwrap());
    assert_eq!(again["sub"], bob["sub"]);
    assert_eq!(again["email"], "bob@corp.example");
    let events = scene.authd.events().await;
    let last = events.iter().rfind(|event| event.kind == EventKind::ConnectionLoginSucceeded).unwrap();
    assert_eq!(last.data["note"], "email_conflict");
    assert_eq!(scene.authd.counts().await["user"], 2);
}

#[tokio::test]
async fn what_is_switched_off_while_the_person_is_away_lets_nobody_in() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();

    let back = scene.back(&scene.leave(&mut browser).await);
    scene.authd.operate("connection.disable", json!({"id": scene.connection})).await;
    scene.rejects(StatusCode::FORBIDDEN, "connection_disabled", async |_| browser.get(&back).await).await;
    scene
        .rejects(StatusCode::FORBIDDEN, "connection_disabled", async |s| {
            s.authd.browser().get(&s.authorize(&[("connection", &s.connection)])).await
        })
        .await;
    scene.authd.operate("connection.activate", json!({"id": scene.connection})).await;

    // Off and on again: what was begun before stays dead.
    let back = scene.back(&scene.leave(&mut browser).await);
    scene.authd.operate("connection.disable", json!({"id": scene.connection})).await;
    scene.authd.operate("connection.activate", json!({"id": scene.connection})).await;
    scene.rejects(StatusCode::FORBIDDEN, "connection_disabled", async |_| browser.get(&back).await).await;

    let back = scene.back(&scene.leave(&mut browser).await);
    scene.authd.operate("app.delete", json!({"id": scene.app})).await;
    let reply = browser.get(&back).await;
    assert!(reply.status.is_client_error(), "{reply:?}");
    assert_eq!(scene.authd.counts().await["session"], 0);
}

#[tokio::test]
async fn a_disabled_organization_ends_its_sessions_codes_and_tokens() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let landed = scene.sign_in(&mut browser).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let unused = browser.get(&scene.authorize(&[])).await.query("code").unwrap();
    scene.authd.operate("organization.disable", json!({"id": scene.organization})).await;
    assert_eq!(scene.userinfo(tokens["access_token"].as_str().unwrap()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.redeem(&unused).await.json()["error"], "invalid_grant");
    let next = browser.get(&scene.authorize(&[("connection", &scene.connection)])).await;
    assert_eq!(next.status, StatusCode::FORBIDDEN, "{next:?}");
    scene.authd.operate("organization.enable", json!({"id": scene.organization})).await;
    let silent = browser.get(&scene.authorize(&[("prompt", "none")])).await;
    assert_eq!(silent.query("error").as_deref(), Some("login_required"), "what ended stays ended");
}

#[tokio::test]
async fn op_08_a_form_made_for_another_browser_is_refused() {
    let scene = Scene::new().await;
    let mut attacker = scene.authd.browser();
    let ticket = attacker.get(&scene.authorize(&[])).await.field("attempt");
    let mut victim = scene.authd.browser();
    victim.get(&scene.authorize(&[])).await;
    let fields = [("attempt", ticket.as_str()), ("email", "alice@corp.example")];
    scene.rejects(StatusCode::BAD_REQUEST, "flow_mismatch", async |_| victim.post("/signin", &fields).await).await;

    let forged = [("attempt", "AAAA"), ("email", "alice@corp.example")];
    scene.rejects(StatusCode::FORBIDDEN, "csrf", async |_| victim.post("/signin", &forged).await).await;

    let stale = victim.get(&scene.authorize(&[])).await.field("attempt");
    scene.authd.env().advance(Duration::from_secs(3600));
    let fields = [("attempt", stale.as_str()), ("email", "alice@corp.example")];
    scene.rejects(StatusCode::BAD_REQUEST, "attempt_expired", async |_| victim.post("/signin", &fields).await).await;
}

#[tokio::test]
async fn op_08_a_planted_session_cookie_does_not_survive_a_sign_in() {
    let scene = Scene::new().await;
    let mut attacker = scene.authd.browser();
    scene.sign_in(&mut attacker).await;
    let mut victim = scene.authd.browser();
    victim.cookies.clone_from(&attacker.cookies);
    scene.op.person(|person| {
        person.insert("sub".into(), "victim".into());
        person.insert("email".into(), "victim@corp.example".into());
    });
    let left = victim.get(&scene.authorize(&[("prompt", "login"), ("connection", &scene.connection)])).await;
    victim.get(&scene.back(&left)).await;
    let session = |cookies: &std::collections::BTreeMap<String, String>| cookies.get("authd_session").cloned().unwrap();
    assert_ne!(session(&victim.cookies), session(&attacker.cookies));
}

#[tokio::test]
async fn a_form_from_a_foreign_page_is_refused() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let ticket = browser.get(&scene.authorize(&[])).await.field("attempt");
    let fields = [("attempt", ticket.as_str()), ("email", "alice@corp.example")];
    for headers in [
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        [("origin", "http://127.0.0.1:9999"), ("sec-fetch-site", "same-site")],
    ] {
        let reply: Reply = browser.send(Method::POST, "/signin", &headers, Some(&fields)).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert!(reply.body.contains("csrf"));
    }
}

#[tokio::test]
async fn a_flood_of_refusals_is_told_ten_times_and_then_counted() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let before = scene.authd.events().await.len();
    let stray = address(&scene.connection, &[("state".to_owned(), "x".to_owned())].into_iter().collect());
    for _ in 0..40 {
        assert_eq!(browser.get(&stray).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(scene.authd.events().await.len(), before + 10);
    let mut elsewhere = scene.authd.browser();
    elsewhere.ip = "198.51.100.9:1".parse().unwrap();
    elsewhere.get(&stray).await;
    assert_eq!(scene.authd.events().await.len(), before + 11, "another address is told");

    scene.authd.env().advance(Duration::from_secs(60));
    browser.get(&stray).await;
    let events = scene.authd.events().await;
    let flood = events.iter().find(|event| event.data.contains_key("refusalsNotTold")).unwrap();
    assert_eq!(flood.data["refusalsNotTold"], 30);
    assert_eq!(flood.outcome, Outcome::Failure);
}

#[tokio::test]
async fn a_flood_that_has_ended_is_told_by_itself() {
    let scene = Scene::new().await;
    let stray = address(&scene.connection, &[("state".to_owned(), "x".to_owned())].into_iter().collect());
    let mut browser = scene.authd.browser();
    for _ in 0..14 {
        browser.get(&stray).await;
    }
    let before = scene.authd.events().await.len();
    let world = &scene.authd.app.world;
    let cx = scene.authd.app.context(authd::access::Caller::System, authd::event::Origin::internal(&world.env));
    authd::access::refusal::flush(&cx).await.unwrap();
    assert_eq!(scene.authd.events().await.len(), before, "its minute is not over");
    scene.authd.env().advance(Duration::from_secs(60));
    authd::access::refusal::flush(&cx).await.unwrap();
    authd::access::refusal::flush(&cx).await.unwrap();
    let told = scene.authd.events().await.split_off(before);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].kind, &told[0].data["refusalsNotTold"]), (EventKind::RefusalsCounted, &json!(4)));
}

#[tokio::test]
async fn a_request_that_goes_back_to_the_app_as_an_error_is_told() {
    let scene = Scene::new().await;
    let before = scene.authd.events().await.len();
    let plain = scene.authorize(&[]).replace("S256", "plain");
    let reply = scene.authd.browser().get(&plain).await;
    assert_eq!(reply.query("error").as_deref(), Some("invalid_request"));
    let told = scene.authd.events().await.split_off(before);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].error_code.as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn a_key_that_may_vouch_makes_none_that_may() {
    let scene = Scene::new().await;
    let wish = json!({"organization": scene.organization, "name": "root", "grants": ["*"]});
    let key = text(&scene.authd.operate("api_key.create", wish).await, "key");
    let app = &scene.authd.app;
    let origin = authd::event::Origin::internal(scene.authd.env());
    let cx = app.context(app.authenticate(&key, origin.clone()).await.unwrap(), origin);
    let refused = app.perform(&cx, "api_key.create", json!({"name": "child", "grants": ["*"]})).await.unwrap_err();
    assert_eq!(refused.code(), "grant_exceeds_caller");
    app.perform(&cx, "api_key.create", json!({"name": "child", "grants": ["connection.read"]})).await.unwrap();
}

#[tokio::test]
async fn a_sign_in_form_is_small() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let long = "x".repeat(9_000);
    let reply = browser.post("/signin", &[("attempt", &long)]).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}
