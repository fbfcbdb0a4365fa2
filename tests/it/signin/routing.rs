//! Which way a sign-in goes, and that nobody learns who else is here.

use std::sync::Arc;
use std::time::Duration;

use authd::access::Caller;
use authd::connection::domain;
use authd::event::Origin;
use axum::http::StatusCode;
use serde_json::json;

use super::{Scene, authorize, connect, text};
use crate::world::authd::Authd;
use crate::world::zone::Zone;

#[tokio::test]
async fn hints_skip_the_page() {
    let scene = Scene::new().await;
    for hint in [
        ("connection", scene.connection.as_str()),
        ("organization", scene.organization.as_str()),
        ("login_hint", "alice@corp.example"),
    ] {
        let reply = scene.authd.browser().get(&scene.authorize(&[hint])).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{hint:?}: {}", reply.body);
        assert!(reply.location().as_str().starts_with(&scene.op.issuer));
    }
    let asked = scene
        .authd
        .browser()
        .get(&scene.authorize(&[("prompt", "select_account"), ("login_hint", "alice@corp.example")]))
        .await;
    assert_eq!(asked.status, StatusCode::OK);
}

#[tokio::test]
async fn an_unknown_domain_is_said_and_falls_back_to_nothing() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    for domain in ["nowhere.example", "sub.corp.example", "corp.example.evil.example"] {
        let page = browser.get(&scene.authorize(&[])).await;
        let ticket = page.field("attempt");
        let reply = scene
            .rejects(StatusCode::NOT_FOUND, "no_connection", async |_| {
                let email = format!("eve@{domain}");
                let reply = browser.post("/signin", &[("attempt", &ticket), ("email", &email)]).await;
                assert!(reply.body.contains(domain));
                assert!(reply.body.contains("/oauth2/authorize?"), "a way to try another address");
                reply
            })
            .await;
        assert!(!reply.body.contains(&scene.op.issuer));
    }
    let page = browser.get(&scene.authorize(&[])).await;
    let wrong = browser.post("/signin", &[("attempt", &page.field("attempt")), ("email", "not an address")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("does not look like an e-mail address"));
}

#[tokio::test]
async fn an_unverified_domain_routes_nobody() {
    let scene = Scene::new().await;
    let claim = json!({"connection": scene.connection, "domain": "claimed.example"});
    scene.authd.operate("domain.add", claim).await;
    let reply = scene.authd.browser().get(&scene.authorize(&[("login_hint", "eve@claimed.example")])).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_domain_that_dns_proves_no_longer_routes_nobody_and_ends_no_session() {
    let zone = Arc::new(Zone::default());
    let scene = Scene::within(Authd::start_in(authd::env::Env::frozen().with_dns(zone.clone())).await, &[]).await;
    let this = json!({"connection": scene.connection, "domain": "corp.example"});
    let challenge = scene.authd.operate("domain.add", this.clone()).await["challenge"].clone();
    let (name, value) = (text(&challenge, "recordName"), text(&challenge, "recordValue"));
    let hint = [("login_hint", "alice@corp.example")];
    assert_eq!(scene.authd.browser().get(&scene.authorize(&hint)).await.status, StatusCode::NOT_FOUND, "a mere claim");
    zone.set(&name, &[&value]);
    scene.authd.operate("domain.verify", this.clone()).await;

    zone.remove(&name);
    let env = scene.authd.env().clone();
    let cx = scene.authd.app.context(Caller::System, Origin::internal(&env));
    let later = async |hours: u64| {
        env.advance(Duration::from_secs(hours * 3_600));
        domain::recheck_due(&cx, 64).await.unwrap();
    };
    later(7 * 24).await;
    let left = scene.authd.browser().get(&scene.authorize(&hint)).await;
    assert!(left.location().as_str().starts_with(&scene.op.issuer), "within the grace");
    later(14 * 24 - 1).await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    later(1).await;

    scene
        .rejects(StatusCode::NOT_FOUND, "no_connection", async |_| {
            scene.authd.browser().get(&scene.authorize(&hint)).await
        })
        .await;
    let silent = browser.get(&authorize(&scene.app, &[("prompt", "none")])).await;
    assert!(silent.query("code").is_some(), "{silent:?}");

    // Back in DNS and proved anew, it routes as before.
    let asked = scene.authd.operate("domain.request", this.clone()).await;
    zone.set(&name, &[&text(&asked["challenge"], "recordValue")]);
    assert_eq!(scene.authd.operate("domain.confirm", this).await["ok"], true);
    let left = scene.authd.browser().get(&scene.authorize(&hint)).await;
    assert!(left.location().as_str().starts_with(&scene.op.issuer));
}

#[tokio::test]
async fn another_tenant_does_not_exist_for_the_app_and_one_app_may_serve_two() {
    let scene = Scene::new().await;
    let other = text(&scene.authd.operate("organization.create", json!({"name": "Other"})).await, "id");
    let (op, connection) = connect(&scene.authd, &other, &["other.example"]).await;

    // Unknown, foreign and malformed are answered alike.
    let mut pages = Vec::new();
    for wish in
        [("connection", connection.as_str()), ("connection", "conn_00000000000000000000000000"), ("connection", "x")]
    {
        let reply = scene.authd.browser().get(&scene.authorize(&[wish])).await;
        let said = format!("connection={}", wish.1);
        pages.push((reply.status, reply.body.replace(&reply.request_id(), "").replace(&said, "")));
    }
    assert!(pages.iter().all(|page| page == &pages[0]), "{pages:?}");
    assert_eq!(pages[0].0, StatusCode::NOT_FOUND);
    let mut pages = Vec::new();
    for id in [other.as_str(), "org_00000000000000000000000000"] {
        let reply = scene.authd.browser().get(&scene.authorize(&[("organization", id)])).await;
        pages.push((reply.status, reply.body.replace(&reply.request_id(), "").replace(id, "")));
    }
    assert_eq!(pages[0], pages[1]);
    let hint = scene.authd.browser().get(&scene.authorize(&[("login_hint", "bob@other.example")])).await;
    assert_eq!(hint.status, StatusCode::NOT_FOUND);

    let both = json!([scene.organization, other]);
    let wish = json!({"organization": scene.organization, "name": "Both", "redirectUris": [super::REDIRECT], "organizations": both});
    let app = text(&scene.authd.operate("app.create", wish).await, "clientId");
    for (email, issuer) in [("a@corp.example", &scene.op.issuer), ("b@other.example", &op.issuer)] {
        let reply = scene.authd.browser().get(&authorize(&app, &[("login_hint", email)])).await;
        assert!(reply.location().as_str().starts_with(issuer.as_str()), "{email}");
    }
}

#[tokio::test]
async fn a_session_of_one_organization_does_not_answer_for_another() {
    let scene = Scene::new().await;
    let other = text(&scene.authd.operate("organization.create", json!({"name": "Other"})).await, "id");
    let (op, _) = connect(&scene.authd, &other, &["other.example"]).await;
    let wish = json!({"organization": other, "name": "Theirs", "redirectUris": [super::REDIRECT]});
    let theirs = text(&scene.authd.operate("app.create", wish).await, "clientId");
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    let silent = browser.get(&authorize(&theirs, &[("prompt", "none")])).await;
    assert_eq!(silent.query("error").as_deref(), Some("login_required"));
    let asked = browser.get(&authorize(&theirs, &[("login_hint", "x@other.example")])).await;
    assert!(asked.location().as_str().starts_with(&op.issuer));
}

#[tokio::test]
async fn several_connections_of_an_organization_are_a_choice() {
    let scene = Scene::new().await;
    let (op, second) = connect(&scene.authd, &scene.organization, &[]).await;
    let mut browser = scene.authd.browser();
    let page = browser.get(&scene.authorize(&[("organization", &scene.organization)])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains(&second) && page.body.contains(&scene.connection), "{}", page.body);
    let left = browser.post("/signin", &[("attempt", &page.field("attempt")), ("connection", &second)]).await;
    assert!(left.location().as_str().starts_with(&op.issuer));
}

#[tokio::test]
async fn what_the_app_asked_for_stands_whatever_else_is_said() {
    let scene = Scene::new().await;
    let other = text(&scene.authd.operate("organization.create", json!({"name": "Other"})).await, "id");
    let (_, connection) = connect(&scene.authd, &other, &["other.example"]).await;
    let both = json!([scene.organization, other]);
    scene.authd.operate("app.update", json!({"id": scene.app, "organizations": both})).await;

    // One organization named, a connection of another.
    let wish = [("organization", scene.organization.as_str()), ("connection", connection.as_str())];
    let reply = scene.authd.browser().get(&scene.authorize(&wish)).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);

    // The same, smuggled into the page's answer.
    let mut browser = scene.authd.browser();
    let wish = [("organization", scene.organization.as_str()), ("prompt", "select_account")];
    let page = browser.get(&scene.authorize(&wish)).await;
    let ticket = page.field("attempt");
    let forged = browser.post("/signin", &[("attempt", &ticket), ("connection", &connection)]).await;
    assert_eq!(forged.status, StatusCode::NOT_FOUND);

    let wish = [("connection", scene.connection.as_str()), ("prompt", "select_account")];
    let page = browser.get(&scene.authorize(&wish)).await;
    let ticket = page.field("attempt");
    let left = browser.post("/signin", &[("attempt", &ticket), ("connection", &connection)]).await;
    assert!(left.location().as_str().starts_with(&scene.op.issuer), "the app's connection, not the form's");
}

#[tokio::test]
async fn the_way_to_begin_again_asks_for_as_much_as_before() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    let wish = [("prompt", "login"), ("max_age", "60"), ("login_hint", "eve@nowhere.example")];
    let reply = browser.get(&scene.authorize(&wish)).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let at = reply.body.find("/oauth2/authorize?").unwrap();
    let link = reply.body[at..].split('"').next().unwrap().replace("&#38;", "&");
    assert!(link.contains("prompt=login") && link.contains("max_age=60") && !link.contains("login_hint"), "{link}");
    assert_eq!(browser.get(&link).await.status, StatusCode::OK, "the page, not a code from the old session");
}
