//! The operations on endpoints: what can be one, and who may.

use authd::access::{Caller, Role};
use authd::event::Origin;
use serde_json::{Value, json};

use super::Scene;

async fn refused(scene: &Scene, name: &str, input: Value) -> String {
    let cx = scene.authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(scene.authd.env()));
    scene.authd.app.perform(&cx, name, input).await.unwrap_err().code().to_owned()
}

#[tokio::test]
async fn wh_01_an_address_that_authd_does_not_call_is_refused_at_once() {
    let scene = Scene::new().await;
    for (url, code) in [
        ("http://169.254.169.254/latest/meta-data", "outbound_not_allowed"),
        ("https://localhost/", "outbound_not_allowed"),
        ("nothing", "invalid_input"),
        ("https://user:secret@app.test/", "invalid_input"),
        ("https://app.test/#part", "invalid_input"),
        (&format!("https://app.test/{}", "x".repeat(2_100)), "invalid_input"),
    ] {
        assert_eq!(
            refused(&scene, "webhook.create", json!({"organization": scene.acme, "url": url})).await,
            code,
            "{url}"
        );
    }
    let (id, _) = scene.endpoint("app.test", json!({})).await;
    let input = json!({"id": id, "url": "https://localhost/"});
    assert_eq!(refused(&scene, "webhook.update", input).await, "outbound_not_allowed");
}

#[tokio::test]
async fn a_secret_is_shown_once_and_one_of_ones_own_never() {
    let scene = Scene::new().await;
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (id, shown) = scene.endpoint("app.test", json!({"secret": own})).await;
    assert_eq!(shown, "");
    for (name, input) in [("webhook.get", json!({"id": id})), ("webhook.list", json!({"organization": scene.acme}))] {
        let answer = scene.authd.operate(name, input).await.to_string();
        assert!(!answer.contains("whsec") && !answer.contains("MfKQ9r8G"), "{answer}");
    }
    scene.turn().await;
    assert!(scene.heard("app.test").iter().all(|heard| heard.verifies(own)));
    for wrong in ["whsec_c2hvcnQ=", "not base64", "whsec_"] {
        let input = json!({"organization": scene.acme, "url": "https://app.test/", "secret": wrong});
        assert_eq!(refused(&scene, "webhook.create", input).await, "invalid_input", "{wrong}");
    }
    let log = scene.authd.operate("audit.list", json!({"limit": 1000})).await.to_string();
    assert!(!log.contains("MfKQ9r8G"));
}

#[tokio::test]
async fn another_organizations_endpoint_does_not_exist() {
    let scene = Scene::new().await;
    let (id, _) = scene.endpoint("app.test", json!({})).await;
    let other = scene.authd.operate("organization.create", json!({"name": "Other"})).await;
    let stranger = Caller::User {
        id: None,
        organization: other["id"].as_str().unwrap().parse().unwrap(),
        grants: Role::Owner.grants(),
    };
    let cx = scene.authd.app.context(stranger, Origin::internal(scene.authd.env()));
    for name in ["get", "enable", "disable", "delete", "test", "rotate_secret", "update"] {
        let name = format!("webhook.{name}");
        let error = scene.authd.app.perform(&cx, &name, json!({"id": id})).await.unwrap_err();
        assert_eq!(error.code(), "not_found", "{name}");
    }
    let listed = scene.authd.app.perform(&cx, "webhook.list", json!({})).await.unwrap();
    assert_eq!(listed["items"], json!([]));
    let error = scene.authd.app.perform(&cx, "delivery.list", json!({"endpoint": id})).await.unwrap_err();
    assert_eq!(error.code(), "not_found");
}

#[tokio::test]
async fn a_subscription_that_nothing_can_match_is_refused_with_where_to_look() {
    let scene = Scene::new().await;
    for wrong in ["user", "webhook.delivery.*", "nothing.*"] {
        let input = json!({"organization": scene.acme, "url": "https://app.test/", "subscriptions": [wrong]});
        assert_eq!(refused(&scene, "webhook.create", input).await, "invalid_input", "{wrong}");
    }
}
