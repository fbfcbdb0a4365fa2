//! How long sessions live in each organization, and what is shown of them.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Scene, claims, text};
use crate::world::authd::Browser;

impl Scene {
    async fn lives(&self, browser: &mut Browser) -> bool {
        browser.get(&self.authorize(&[("prompt", "none")])).await.query("code").is_some()
    }

    async fn set(&self, lifetimes: Value) -> Value {
        let mut wish = json!({"id": self.organization});
        wish.as_object_mut().unwrap().extend(lifetimes.as_object().unwrap().clone());
        self.authd.operate("organization.update", wish).await
    }

    fn pass(&self, seconds: u64) {
        self.authd.env().advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn an_organization_says_how_long_its_sessions_live() {
    let scene = Scene::new().await;
    let shown = scene.authd.operate("organization.get", json!({"id": scene.organization})).await;
    assert_eq!((&shown["sessionIdleSeconds"], &shown["sessionSeconds"]), (&json!(7_200), &json!(28_800)));
    let said = scene.set(json!({"sessionIdleSeconds": 300, "sessionSeconds": 1_000})).await;
    assert_eq!((&said["sessionIdleSeconds"], &said["sessionSeconds"]), (&json!(300), &json!(1_000)));

    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    for _ in 0..4 {
        scene.pass(240);
        assert!(scene.lives(&mut browser).await, "it is in use");
    }
    scene.pass(40);
    assert!(!scene.lives(&mut browser).await, "1,000 seconds are over");

    scene.sign_in(&mut browser).await;
    scene.pass(299);
    assert!(scene.lives(&mut browser).await);
    scene.pass(300);
    assert!(!scene.lives(&mut browser).await, "300 seconds unused");
}

#[tokio::test]
async fn what_is_shortened_holds_for_open_sessions_and_what_is_lengthened_does_not() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    scene.pass(1_000);
    scene.set(json!({"sessionSeconds": 1_000})).await;
    assert!(!scene.lives(&mut browser).await);
    scene.set(json!({"sessionSeconds": 1_001})).await;
    assert!(scene.lives(&mut browser).await, "it was not ended, it was over");
    scene.set(json!({"sessionSeconds": 0, "sessionIdleSeconds": 0})).await;

    scene.set(json!({"sessionSeconds": 30 * 24 * 3_600, "sessionIdleSeconds": 24 * 3_600})).await;
    scene.pass(7_000);
    assert!(scene.lives(&mut browser).await);
    scene.pass(7_200);
    assert!(!scene.lives(&mut browser).await, "it was opened with two hours");
    scene.sign_in(&mut browser).await;
    scene.pass(24 * 3_600 - 1);
    assert!(scene.lives(&mut browser).await, "the new one has a day");
}

#[tokio::test]
async fn a_refresh_token_of_a_session_follows_it() {
    let scene = Scene::new().await;
    let grants = json!({"id": scene.app, "grantTypes": ["authorization_code", "refresh_token"]});
    scene.authd.operate("app.update", grants).await;
    let refresh = async |token: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", &scene.app),
            ("client_secret", &scene.secret),
        ];
        scene.authd.browser().post("/oauth2/token", &fields).await
    };
    let mut browser = scene.authd.browser();
    let landed = scene.sign_in(&mut browser).await;
    let mut token = text(&scene.redeem(&landed.query("code").unwrap()).await.json(), "refresh_token");
    for _ in 0..3 {
        scene.pass(7_000);
        token = text(&refresh(&token).await.json(), "refresh_token");
    }
    assert!(scene.lives(&mut browser).await, "to refresh is to use the session");
    scene.pass(7_200);
    assert_eq!(refresh(&token).await.json()["error"], "invalid_grant");

    let landed = scene.sign_in(&mut browser).await;
    let token = text(&scene.redeem(&landed.query("code").unwrap()).await.json(), "refresh_token");
    scene.set(json!({"sessionSeconds": 600})).await;
    scene.pass(600);
    assert_eq!(refresh(&token).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn lifetimes_have_bounds() {
    let scene = Scene::new().await;
    let cx = scene
        .authd
        .app
        .context(authd::access::Caller::Operator { uid: 0 }, authd::event::Origin::internal(scene.authd.env()));
    for name in ["sessionIdleSeconds", "sessionSeconds"] {
        for wrong in [1, 59, 30 * 24 * 3_600 + 1] {
            let wish = json!({"id": scene.organization, name: wrong});
            let refused = scene.authd.app.perform(&cx, "organization.update", wish).await.unwrap_err();
            assert_eq!(refused.code(), "invalid_input", "{name} {wrong}");
        }
    }
    let events = scene.authd.events().await.len();
    scene.set(json!({"sessionIdleSeconds": 0})).await;
    assert_eq!(scene.authd.events().await.len(), events, "nothing was changed");
}

#[tokio::test]
async fn a_session_is_shown_with_how_and_where_and_which_apps() {
    let scene = Scene::new().await;
    scene.op.next_token(|_, claims| {
        claims.insert("acr".into(), "urn:mfa".into());
        claims.insert("amr".into(), json!(["pwd", "otp"]));
        claims.insert("sid".into(), "upstream-1".into());
    });
    let mut browser = scene.authd.browser();
    let landed = scene.sign_in(&mut browser).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let sid = text(&claims(tokens["access_token"].as_str().unwrap()), "sid");
    let other = scene.sign_in(&mut scene.authd.browser()).await;
    assert!(other.query("code").is_some());

    let shown = scene.authd.operate("session.get", json!({"id": sid})).await;
    assert_eq!((&shown["acr"], &shown["amr"]), (&json!("urn:mfa"), &json!(["pwd", "otp"])));
    assert_eq!((&shown["ip"], &shown["connection"]), (&json!("192.0.2.1"), &json!(scene.connection)));
    assert_eq!((&shown["live"], &shown["upstreamSession"]), (&json!(true), &json!("upstream-1")));
    assert_eq!(shown["upstreamSubject"], format!("{}|alice-1", scene.op.issuer));
    assert_eq!((shown["apps"].as_array().unwrap().len(), &shown["apps"][0]["app"]), (1, &json!(scene.app)));

    let of_app = scene.authd.operate("session.list", json!({"app": scene.app})).await;
    let listed: Vec<_> = of_app["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(listed, [json!(sid)], "the other was never given tokens");
    for (filter, count) in [
        (json!({"app": scene.app, "user": shown["user"]}), 1),
        (json!({"app": scene.app, "connection": scene.connection}), 1),
        (json!({"connection": scene.connection}), 2),
        (json!({"organization": scene.organization}), 2),
    ] {
        let items = scene.authd.operate("session.list", filter.clone()).await["items"].clone();
        assert_eq!(items.as_array().unwrap().len(), count, "{filter}");
    }
    let stranger = text(&scene.authd.operate("organization.create", json!({"name": "Other"})).await, "id");
    let elsewhere = scene.authd.operate("session.list", json!({"app": scene.app, "organization": stranger})).await;
    assert_eq!(elsewhere["items"], json!([]));

    scene.authd.operate("session.revoke", json!({"id": sid})).await;
    let shown = scene.authd.operate("session.get", json!({"id": sid})).await;
    assert!(shown["live"] == json!(false) && shown["endedAt"].is_string());
    let of_app = scene.authd.operate("session.list", json!({"app": scene.app})).await;
    assert_eq!(of_app["items"], json!([]));
}

#[tokio::test]
async fn machines_go_on_when_everybody_of_an_organization_is_signed_out() {
    let scene = Scene::new().await;
    let wish = json!({"organization": scene.organization, "name": "ci", "grants": ["session.read"]});
    let bearer = format!("Bearer {}", text(&scene.authd.operate("api_key.create", wish).await, "key"));
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    scene.authd.operate("session.revoke_all", json!({"organization": scene.organization})).await;
    assert!(!scene.lives(&mut browser).await);
    let headers = [("authorization", bearer.as_str())];
    let list = scene.authd.browser().send(Method::GET, "/v1/sessions", &headers, None).await;
    assert_eq!((list.status, list.json()["items"].clone()), (StatusCode::OK, json!([])));
    scene.sign_in(&mut browser).await;
    assert!(scene.lives(&mut browser).await, "they come in again");
    let list = scene.authd.browser().send(Method::GET, "/v1/sessions", &headers, None).await;
    assert_eq!(list.json()["items"].as_array().unwrap().len(), 1);
}
