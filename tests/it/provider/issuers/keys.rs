//! The keys of an issuer outside: found, kept, asked for again, and never asked for too often.

use std::time::Duration;

use serde_json::{Value, json};

use super::{IDP, Scene};
use crate::world::op::Signer;

fn jwks() -> String {
    format!("{IDP}/jwks")
}

fn document() -> String {
    format!("{IDP}/.well-known/openid-configuration")
}

#[tokio::test]
async fn made_up_key_names_ask_the_issuer_once_in_30_seconds() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    assert_eq!(scene.identity(&scene.token(json!({}))).await.status, 200);
    assert_eq!((scene.outside.asked(&document()), scene.outside.asked(&jwks())), (1, 1));
    let stranger = Signer::es256("x");
    for round in 0..3 {
        let made_up = (0..200).map(|number| {
            let signer = stranger.named(Some(&format!("made-up-{round}-{number}")));
            signer.token(&signer.header(), &scene.claims(json!({})))
        });
        let made_up: Vec<String> = made_up.collect();
        futures_util::future::join_all(made_up.iter().map(|token| scene.identity(token))).await;
        assert!(scene.outside.asked(&jwks()) <= 2 + round, "{}", scene.outside.asked(&jwks()));
        scene.lab.env().advance(Duration::from_secs(31));
    }
    assert_eq!(scene.outside.asked(&document()), 1);
}

#[tokio::test]
async fn a_rotation_is_seen_at_once_and_an_outage_is_survived() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    assert_eq!(scene.identity(&scene.token(json!({}))).await.status, 200);
    let next = Signer::es256("key-2");
    scene.outside.issuer(&[&next]);
    scene.lab.env().advance(Duration::from_secs(31));
    let token = next.token(&next.header(), &scene.claims(json!({})));
    assert_eq!(scene.identity(&token).await.status, 200, "the token of the new key");
    Scene::refused(&scene.identity(&scene.token(json!({}))).await, "a key that the issuer has withdrawn");

    scene.outside.is_down();
    scene.lab.env().advance(Duration::from_secs(20 * 3_600));
    let fresh = |changes: Value| next.token(&next.header(), &scene.claims(changes));
    assert_eq!(scene.identity(&fresh(json!({}))).await.status, 200, "what was known is used for a day");
    scene.lab.env().advance(Duration::from_secs(5 * 3_600));
    let answer = scene.identity(&fresh(json!({}))).await;
    assert_eq!((answer.status.as_u16(), answer.text("code")), (503, "upstream_unavailable"));
    let asked = scene.outside.asked(&document());
    for _ in 0..20 {
        scene.identity(&fresh(json!({}))).await;
    }
    assert_eq!(scene.outside.asked(&document()), asked, "not again within 30 seconds");
    scene.outside.issuer(&[&next]);
    scene.lab.env().advance(Duration::from_secs(31));
    assert_eq!(scene.identity(&fresh(json!({}))).await.status, 200);
}

#[tokio::test]
async fn a_document_that_does_not_fit_is_not_believed() {
    let big = "x".repeat(600 * 1024);
    for (what, status, body) in [
        ("another issuer", 200, json!({"issuer": "https://evil.test", "jwks_uri": jwks()}).to_string()),
        ("no keys", 200, json!({"issuer": IDP}).to_string()),
        ("keys inside", 200, json!({"issuer": IDP, "jwks_uri": "https://inside.example/jwks"}).to_string()),
        ("keys that are no address", 200, json!({"issuer": IDP, "jwks_uri": "keys"}).to_string()),
        ("no object", 200, "[]".to_owned()),
        ("not there", 404, "{}".to_owned()),
        ("elsewhere", 302, "{}".to_owned()),
        ("a member twice", 200, format!("{{\"issuer\":\"{IDP}\",\"issuer\":\"{IDP}\",\"jwks_uri\":\"{}\"}}", jwks())),
        ("endless", 200, big.clone()),
    ] {
        let scene = Scene::new().await;
        let issuer = scene.trusts_idp().await;
        scene.outside.answers(&document(), status, &body);
        let answer = scene.identity(&scene.token(json!({}))).await;
        assert_ne!(answer.status, 200, "{what}");
        assert!(answer.body.get("tokenIdentifier").is_none());
        let report = scene.lab.perform(authd::token::ValidateIssuer { id: issuer.id }).await.report;
        assert!(!report.ok, "{what}: {report:?}");
        assert!(report.checks.iter().any(|check| check.name == "discovery_reachable" && !check.ok), "{what}");
    }
}

#[tokio::test]
async fn a_validation_reads_everything_now() {
    let scene = Scene::new().await;
    let issuer = scene.trusts_idp().await;
    let validate = async || {
        let report = scene.lab.perform(authd::token::ValidateIssuer { id: issuer.id }).await.report;
        let failed = report.checks.iter().filter(|check| !check.ok).map(|check| check.name.clone()).collect::<Vec<_>>();
        (report.ok, failed.join(" "))
    };
    assert_eq!(validate().await, (true, String::new()));
    scene.outside.says(&jwks(), &json!({"keys": [Signer::ed25519("e").jwk()]}));
    assert_eq!(validate().await, (false, "signing_key_present".to_owned()));
    scene.outside.says(&document(), &json!({"issuer": IDP, "jwks_uri": "https://inside.example/jwks"}));
    assert_eq!(validate().await.1, "discovery_reachable outbound_not_allowed signing_key_present");
    scene.outside.is_down();
    assert_eq!(validate().await.1, "discovery_reachable signing_key_present");
}
