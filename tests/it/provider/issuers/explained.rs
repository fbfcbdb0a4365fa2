//! `token.explain`: which setting is wrong.

use serde_json::{Value, json};

use super::super::ISSUER;
use super::{IDP, Scene, key_set};
use crate::world::op::Signer;

/// The name of the check that failed, and the setting that it names.
fn verdict(told: &Value) -> (String, String) {
    let checks = told["checks"].as_array().unwrap();
    let failed: Vec<&Value> = checks.iter().filter(|check| check["ok"] == false).collect();
    let Some(last) = failed.first() else { return (String::new(), String::new()) };
    assert_eq!(failed.len(), 1, "the walk ends at the first no: {told}");
    assert_eq!(told["ok"], false);
    assert!(!told["wrong"].as_str().unwrap().is_empty());
    (last["name"].as_str().unwrap().to_owned(), last["setting"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_wrong_setting_is_named() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    let rsa = Signer::rsa(0, "rsa", "RS256");
    let custom = json!({"kind": "customJwt", "issuer": "https://own.example", "algorithm": "ES256",
        "applicationID": "my-app", "jwks": format!("data:,{}", key_set(&[&scene.signer, &rsa]))});
    scene.trusts(custom).await;
    let now = scene.lab.env().now().seconds();
    let signer = &scene.signer;
    let header = |name: &str, value: Value| {
        let mut header = signer.header();
        header.insert(name.to_owned(), value);
        signer.token(&header, &scene.claims(json!({})))
    };
    let own = json!({"iss": "https://own.example"});
    let stranger = Signer::es256("key-1");
    let unknown = Signer::es256("key-9");
    let of = |signer: &Signer, changes: Value| signer.token(&signer.header(), &scene.claims(changes));
    for (what, token, name, setting) in [
        ("nothing", String::new(), "jwt", "token"),
        ("with its scheme", format!("Bearer {}", scene.token(json!({}))), "jwt", "token"),
        ("an API key", "ak_x".to_owned(), "jwt", "token"),
        ("encrypted", "a.b.c.d.e".to_owned(), "jwt", "token"),
        ("rubbish", "rubbish".to_owned(), "jwt", "token"),
        ("another kind", header("typ", json!("logout+jwt")), "typ", "typ"),
        ("an algorithm that nobody takes", header("alg", json!("HS256")), "alg", "algorithm"),
        ("no issuer", scene.token(json!({"iss": null})), "iss", "iss"),
        ("an unknown issuer", scene.token(json!({"iss": "https://who.example"})), "iss", "issuer"),
        ("a slash too many", scene.token(json!({"iss": "https://own.example/"})), "iss", "issuer"),
        ("http for https", scene.token(json!({"iss": "http://idp.example"})), "iss", "domain"),
        ("our own address of before", scene.token(json!({"iss": format!("{ISSUER}/")})), "iss", "publicUrl"),
        ("another audience", scene.token(json!({"aud": "other"})), "aud", "applicationID"),
        ("the other algorithm", of(&rsa, own.clone()), "alg", "algorithm"),
        ("an unknown key", of(&unknown, json!({})), "kid", "domain"),
        ("an unknown key of a setting", of(&unknown, own.clone()), "kid", "jwks"),
        ("another key", of(&stranger, json!({})), "signature", "domain"),
        ("another key of a setting", of(&stranger, own.clone()), "signature", "jwks"),
        ("expired", scene.token(json!({"exp": now - 1})), "exp", "exp"),
        ("from the future", scene.token(json!({"iat": now + 900})), "iat", "iat"),
        ("not yet", scene.token(json!({"nbf": now + 900})), "nbf", "nbf"),
        ("nobody", scene.token(json!({"sub": null})), "sub", "sub"),
    ] {
        let told = scene.explain(&token).await;
        assert_eq!(verdict(&told), (name.to_owned(), setting.to_owned()), "{what}: {told}");
        // Nothing that could be used is repeated.
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!told.to_string().contains(part), "{what}");
        }
    }
    let good = scene.explain(&scene.token(json!({}))).await;
    assert_eq!((verdict(&good), &good["ok"]), (Default::default(), &json!(true)));
    assert_eq!(good["organization"], json!(scene.organization));
    let names: Vec<_> =
        good["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["jwt", "typ", "alg", "kid", "iss", "aud", "signature", "sub", "exp", "iat"]);
    assert_eq!((&good["claims"]["iss"], &good["header"]["kid"]), (&json!(IDP), &json!("key-1")));
}

#[tokio::test]
async fn an_issuer_that_is_down_is_named_and_nobody_is_blamed() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    scene.outside.is_down();
    let told = scene.explain(&scene.token(json!({}))).await;
    assert_eq!(verdict(&told), ("keys".to_owned(), "domain".to_owned()), "{told}");
}

#[tokio::test]
async fn an_organization_asks_its_own_issuers_alone() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    let other = scene.lab.organization("Other").await;
    let operation = json!({"token": scene.token(json!({})), "organization": other});
    let told = scene.lab.perform(serde_json::from_value::<authd::token::ExplainToken>(operation).unwrap()).await;
    let told = serde_json::to_value(told).unwrap();
    assert_eq!(verdict(&told).0, "iss");
    assert!(!told.to_string().contains("iss_"), "another tenant's issuer does not exist: {told}");
}

#[tokio::test]
async fn nothing_of_a_stranger_steers_an_explanation_of_a_token() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    let evil = "\u{1b}]52;c;x\u{7}\u{202e}";
    for changes in [json!({"iss": evil}), json!({"aud": evil}), json!({"aud": [evil]}), json!({"exp": evil})] {
        let told = scene.explain(&scene.token(changes)).await;
        for check in told["checks"].as_array().unwrap() {
            let text = check["received"].as_str().unwrap_or_default();
            assert!(!text.contains('\u{1b}'), "{check}");
        }
    }
}
