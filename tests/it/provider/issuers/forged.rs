//! JWT-05 at our own door: whatever is wrong with a token, it opens nothing, changes nothing, and is told once.

use std::time::Duration;

use authd::crypto::base64url;
use authd::event::{EventKind, Outcome};
use serde_json::{Value, json};

use super::{IDP, Scene, key_set};
use crate::world::op::{Members, Signer, text};

/// Tokens that must not pass, with what is wrong with each.
fn forgeries(scene: &Scene) -> Vec<(&'static str, String)> {
    let signer = &scene.signer;
    let claims = scene.claims(json!({}));
    let header = signer.header();
    let good = signer.token(&header, &claims);
    let parts: Vec<&str> = good.split('.').collect();
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header.insert(name.to_owned(), value);
        header
    };
    let unsigned = |alg: &str| {
        let header = with("alg", json!(alg));
        format!("{}.{}.", base64url(text(&header).as_bytes()), parts[1])
    };
    let hmac = |key: &[u8]| {
        let header = base64url(text(&with("alg", json!("HS256"))).as_bytes());
        let message = format!("{header}.{}", parts[1]);
        format!("{message}.{}", base64url(&authd::crypto::hmac_sha256(key, message.as_bytes())))
    };
    let stranger = Signer::es256("key-1");
    let embedded = with("jwk", stranger.jwk());
    let remote = with("jku", json!("https://evil.test/jwks"));
    let mut flipped = claims.clone();
    flipped.insert("sub".into(), "somebody-else".into());
    let other = |signer: Signer| signer.token(&signer.header(), &claims);
    let mut bad = vec![
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg nOnE", unsigned("nOnE")),
        ("alg empty", unsigned("")),
        ("HMAC with the PEM of the key", hmac(signer.pem().as_bytes())),
        ("HMAC with the DER of the key", hmac(&signer.spki())),
        ("HMAC with the JWK of the key", hmac(signer.jwk().to_string().as_bytes())),
        ("another key under the same name", other(stranger.clone())),
        ("a key that the token brings", stranger.token(&embedded, &claims)),
        ("a key that the token names", stranger.token(&remote, &claims)),
        ("another algorithm", other(Signer::ed25519("key-1"))),
        ("a longer algorithm", other(Signer::es384("key-1"))),
        ("RSA", other(Signer::rsa(0, "key-1", "RS256"))),
        ("an EC key under RS256", signer.token(&with("alg", json!("RS256")), &claims)),
        ("a signature of zeros", format!("{}.{}.{}", parts[0], parts[1], base64url(&[0; 64]))),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("another payload", format!("{}.{}.{}", parts[0], base64url(text(&flipped).as_bytes()), parts[2])),
        ("a path as kid", signer.token(&with("kid", json!("../../dev/null")), &claims)),
        ("SQL as kid", signer.token(&with("kid", json!("' OR 1=1 --")), &claims)),
        ("a number as kid", signer.token(&with("kid", json!(1)), &claims)),
        ("10 KB as kid", signer.token(&with("kid", json!("k".repeat(10_000))), &claims)),
        ("crit", signer.token(&with("crit", json!(["exp"])), &claims)),
        ("an unencoded payload", signer.token(&with("b64", json!(false)), &claims)),
        ("a logout token", signer.token(&with("typ", json!("logout+jwt")), &claims)),
        ("typ that is no text", signer.token(&with("typ", json!(["JWT"])), &claims)),
        ("padding", format!("{good}=")),
        ("white space", format!("{}. {}.{}", parts[0], parts[1], parts[2])),
        ("a line break", format!("{}.{}.\n{}", parts[0], parts[1], parts[2]).replace('\n', "%0A")),
        ("four parts", format!("{good}.x")),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("five parts", format!("{good}.x.y")),
        ("a claim twice", signer.token_of(&text(&header), &text(&claims).replacen('{', "{\"sub\":\"x\",", 1))),
        ("a header twice", signer.token_of(&text(&header).replacen('{', "{\"alg\":\"none\",", 1), &text(&claims))),
        ("no object", signer.token_of(&text(&header), "[]")),
        ("an API key", "ak_0000".to_owned()),
        ("rubbish", "x".repeat(3)),
        ("endless", "a".repeat(20_000)),
    ];
    bad.extend(claim_forgeries(scene).into_iter().map(|(what, claims)| (what, signer.token(&header, &claims))));
    bad
}

fn claim_forgeries(scene: &Scene) -> Vec<(&'static str, Members)> {
    let now = scene.lab.env().now().seconds();
    let own = super::super::ISSUER;
    [
        ("iss missing", json!({"iss": null})),
        ("iss of somebody else", json!({"iss": "https://evil.test"})),
        ("iss with our name before it", json!({"iss": format!("{IDP}.evil.test")})),
        ("iss that is no text", json!({"iss": [IDP]})),
        ("iss of authd itself", json!({"iss": own})),
        ("iss of authd itself, for its API", json!({"iss": own, "aud": format!("{own}/api")})),
        ("aud of somebody else", json!({"aud": "another-app"})),
        ("sub missing", json!({"sub": null})),
        ("sub empty", json!({"sub": ""})),
        ("sub that is a number", json!({"sub": 7})),
        ("sub with a line break", json!({"sub": "a\nb"})),
        ("sub of 256 bytes", json!({"sub": "a".repeat(256)})),
        ("exp missing", json!({"exp": null})),
        ("exp now", json!({"exp": now})),
        ("exp long ago", json!({"exp": now - 3_600})),
        ("exp as text", json!({"exp": (now + 600).to_string()})),
        ("exp as fraction", json!({"exp": (now + 600) as f64 + 0.5})),
        ("exp beyond time", json!({"exp": u64::MAX})),
        ("exp below zero", json!({"exp": -1})),
        ("iat ahead", json!({"iat": now + 120})),
        ("iat as text", json!({"iat": "now"})),
        ("nbf ahead", json!({"nbf": now + 120})),
    ]
    .map(|(what, changes)| (what, scene.claims(changes)))
    .into()
}

#[tokio::test]
async fn jwt_05_no_forged_token_proves_an_identity() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    let counts = async || {
        let mut all = Vec::new();
        for kind in [EventKind::UserCreated, EventKind::SessionSignedIn, EventKind::TokenCreated] {
            all.push(scene.lab.count(kind).await);
        }
        all
    };
    let before = counts().await;
    assert_eq!(scene.identity(&scene.token(json!({}))).await.status, 200);
    for (what, token) in forgeries(&scene) {
        // A minute each, so that no refusal is only counted.
        scene.lab.env().advance(Duration::from_millis(1));
        let answer = scene.identity(&token).await;
        Scene::refused(&answer, what);
        assert!(token.len() < 4 || !answer.body.to_string().contains(&*token), "{what}");
        // The one who is asked why says no as well.
        assert_eq!(scene.explain(&token).await["ok"], false, "{what}");
    }
    assert_eq!(scene.identity(&scene.token(json!({}))).await.status, 200, "and an honest one passes all the same");
    assert_eq!(counts().await, before);
    assert_eq!(scene.outside.asked("https://evil.test/jwks"), 0);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason_and_without_the_token() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    let now = scene.lab.env().now().seconds();
    for (changes, code) in [
        (json!({"aud": "x"}), "token_audience"),
        (json!({"iss": "https://x.example"}), "issuer_mismatch"),
        (json!({"exp": now - 1}), "token_expired"),
        (json!({"sub": null}), "token_claims"),
    ] {
        let token = scene.token(changes);
        Scene::refused(&scene.identity(&token).await, code);
        let events = scene.lab.events().await;
        let last = events.last().unwrap();
        assert_eq!((last.kind, last.outcome), (EventKind::TokenRefused, Outcome::Failure));
        let written = serde_json::to_string(last).unwrap();
        assert!(written.contains(code), "{written}");
        for part in token.split('.') {
            assert!(!written.contains(part));
        }
    }
    let before = scene.lab.events().await.len();
    let bare = scene.lab.get("/v1/identity").await;
    assert_eq!((bare.status.as_u16(), scene.lab.events().await.len()), (401, before), "nothing came, nothing is told");
}

#[tokio::test]
async fn the_algorithm_is_the_one_that_is_set() {
    let scene = Scene::new().await;
    let rsa = Signer::rsa(1, "rsa", "RS256");
    let keys = key_set(&[&scene.signer, &rsa]);
    for (algorithm, es256, rs256) in [("ES256", 200, 401), ("RS256", 401, 200)] {
        let fields = json!({"kind": "customJwt", "issuer": IDP, "jwks": format!("data:,{keys}"), "algorithm": algorithm,
            "applicationID": algorithm});
        scene.trusts(fields).await;
        let claims = scene.claims(json!({"aud": algorithm}));
        for (signer, status) in [(&scene.signer, es256), (&rsa, rs256)] {
            assert_eq!(scene.identity(&signer.token(&signer.header(), &claims)).await.status, status, "{algorithm}");
        }
    }
}
