//! Tokens, as every verifier expects them.

use std::collections::BTreeSet;

use authd::token::at_hash;
use serde_json::{Value, json};

use super::{ISSUER, Lab, Redeem, part, with};

#[tokio::test]
async fn jwt_01_header_and_claims_are_what_verifiers_need() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let user = lab.person(organization, "ada").await;
    let session = lab.session(organization, user).await;
    for (kind, alg, access_type) in
        [("web", "ES256", "at+jwt"), ("web", "RS256", "at+jwt"), ("convex", "ES256", "JWT"), ("convex", "RS256", "JWT")]
    {
        let client = lab.app(organization, json!({"kind": kind, "alg": alg})).await;
        let id = client.id.to_string();
        let tokens = lab.tokens(&client, &session).await;
        let now = lab.env().now().seconds();
        for (name, typ) in [("access_token", access_type), ("id_token", "JWT")] {
            let token = tokens.text(name);
            let (header, claims) = lab.verified(token, &id).await;
            let raw = part(token, 0);
            assert_eq!((raw["alg"].as_str(), raw["typ"].as_str()), (Some(alg), Some(typ)), "{kind} {name}");
            assert!(header.kid.unwrap().starts_with("sig_"));
            assert_eq!(claims["iss"], ISSUER);
            assert_eq!(claims["aud"], Value::String(id.clone()), "one exact text");
            assert_eq!(claims["sub"], user.to_string());
            assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(now), Some(now + 900)));
            assert_eq!(claims["org_id"], organization.to_string());
            assert_eq!(claims["sid"], session.id.to_string());
            assert_eq!(claims["auth_time"], now - 5);
            assert_eq!(claims["acr"], "urn:example:mfa");
            assert_eq!(claims["amr"], json!(["pwd", "otp"]));
        }
        let id_token = part(tokens.text("id_token"), 1);
        assert_eq!(id_token["nonce"], "the nonce");
        assert_eq!(id_token["at_hash"], at_hash(tokens.text("access_token")));
        assert_eq!(id_token["email"], "ada@example.test");
        assert_eq!(id_token["email_verified"], true);
        assert_eq!((&id_token["name"], &id_token["family_name"]), (&json!("ada"), &json!("Lovelace")));
        assert_eq!(id_token["groups"], json!(["engineers", "on call"]));
        assert!(id_token.get("grant").is_none() && id_token.get("scope").is_none());
        let access = part(tokens.text("access_token"), 1);
        assert_eq!((&access["client_id"], &access["scope"]), (&json!(id), &json!("openid profile email groups")));
        assert!(access["jti"].is_string() && access["grant"].is_string());
        assert_eq!(access.get("email").is_some(), kind == "convex", "an API learns no more than it needs");
    }
}

#[tokio::test]
async fn jwt_01_claims_follow_the_scope() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let id = client.id.to_string();
    let tokens = async |scope: Option<&str>| {
        let request = lab.authorize(&with(&super::request(&id), "scope", scope)).await.unwrap();
        let url = lab.mint(&request, &session).await;
        let code = super::query(&url, "code").unwrap();
        let verifier = Some(super::VERIFIER.to_owned());
        lab.redeem(&Redeem { client: &client, code, redirect_uri: super::CALLBACK.to_owned(), verifier }).await
    };
    let claims = part(tokens(Some("openid")).await.text("id_token"), 1);
    for absent in ["email", "email_verified", "name", "picture", "groups", "updated_at"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
    let claims = part(tokens(Some("openid email")).await.text("id_token"), 1);
    assert!(claims.get("email").is_some() && claims.get("name").is_none() && claims.get("groups").is_none());
    let plain = tokens(None).await;
    assert_eq!(plain.status, 200);
    assert!(plain.body.get("id_token").is_none(), "plain OAuth has no id token");
    let info = lab.userinfo(plain.text("access_token")).await;
    assert_eq!(info.status, 403);
    assert!(info.headers["www-authenticate"].to_str().unwrap().contains("insufficient_scope"));
}

#[tokio::test]
async fn jwt_02_jwt_03_every_app_has_its_own_audience_and_nobody_elses_token_passes() {
    let lab = Lab::new().await;
    let team = lab.organization("Team").await;
    let mut apps = Vec::new();
    for _ in 0..3 {
        apps.push(lab.app(team, json!({"organizations": "all"})).await);
    }
    let mut subjects = BTreeSet::new();
    for tenant in ["One", "Two", "Three"] {
        let organization = lab.organization(tenant).await;
        let user = lab.person(organization, "ada").await;
        let session = lab.session(organization, user).await;
        for (place, app) in apps.iter().enumerate() {
            let first = part(lab.tokens(app, &session).await.text("id_token"), 1);
            let tokens = lab.tokens(app, &session).await;
            let second = part(tokens.text("id_token"), 1);
            assert_eq!(first["sub"], second["sub"], "stable");
            assert_eq!((&second["iss"], &second["org_id"]), (&json!(ISSUER), &json!(organization)));
            subjects.insert(second["sub"].as_str().unwrap().to_owned());
            for (other, app) in apps.iter().enumerate() {
                assert_eq!(second["aud"] == app.id.to_string(), place == other);
            }
            for token in ["id_token", "access_token"] {
                assert!(part(tokens.text(token), 1)["aud"].is_string());
            }
        }
    }
    assert_eq!(subjects.len(), 3, "a subject each");
}

#[tokio::test]
async fn jwt_04_the_key_set_is_public_and_every_kid_is_unique() {
    let lab = Lab::new().await;
    let before = lab.get("/.well-known/jwks.json").await;
    assert_eq!(before.body["keys"].as_array().unwrap().len(), 2, "RS256 is made when it is needed");
    let organization = lab.organization("Acme").await;
    lab.app(organization, json!({"alg": "RS256"})).await;
    lab.app(organization, json!({"alg": "RS256"})).await;
    lab.env().advance(std::time::Duration::from_secs(10));
    let answer = lab.get("/.well-known/jwks.json").await;
    let keys = answer.body["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 4, "one key that signs and one that is next an algorithm, for all apps");
    let kids: BTreeSet<_> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids.len(), 4);
    for key in keys {
        let members: BTreeSet<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let size = |name: &str| base64url(key[name].as_str().unwrap()).len();
        match key["kty"].as_str().unwrap() {
            "EC" => {
                assert_eq!(members, BTreeSet::from(["kty", "crv", "x", "y", "use", "alg", "kid"]));
                assert_eq!((key["crv"].as_str(), key["alg"].as_str()), (Some("P-256"), Some("ES256")));
                assert_eq!((size("x"), size("y")), (32, 32));
            }
            "RSA" => {
                assert_eq!(members, BTreeSet::from(["kty", "n", "e", "use", "alg", "kid"]));
                assert_eq!((key["alg"].as_str(), size("n"), key["e"].as_str()), (Some("RS256"), 256, Some("AQAB")));
            }
            other => panic!("{other}"),
        }
        assert_eq!(key["use"], "sig");
    }
    let age = answer.headers["cache-control"].to_str().unwrap().split("max-age=").nth(1).unwrap();
    assert!(age.parse::<u64>().unwrap() <= 3_600);
    // Nothing of a private key stands in the log either.
    for event in lab.events().await {
        assert!(!serde_json::to_string(&event).unwrap().contains("private"));
    }
}

fn base64url(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[tokio::test]
async fn jwt_02_the_configuration_for_convex_names_the_one_audience() {
    use authd::provider::ConvexConfig;

    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    for alg in ["ES256", "RS256"] {
        let app = lab.app(organization, json!({"kind": "convex", "alg": alg})).await;
        let other = lab.app(organization, json!({"kind": "convex", "alg": alg})).await;
        let plain = lab.perform(ConvexConfig { id: app.id, custom_jwt: false }).await;
        assert!(plain.warnings.is_empty(), "{:?}", plain.warnings);
        let id = app.id.to_string();
        assert_eq!(
            plain.content,
            format!(
                "export default {{\n  providers: [\n    {{\n      domain: \"{ISSUER}\",\n      applicationID: \"{id}\",\n    }},\n  ],\n}};\n"
            )
        );
        let custom = lab.perform(ConvexConfig { id: app.id, custom_jwt: true }).await.content;
        for line in [
            "type: \"customJwt\",".to_owned(),
            format!("applicationID: \"{id}\","),
            format!("issuer: \"{ISSUER}\","),
            format!("jwks: \"{ISSUER}/.well-known/jwks.json\","),
            format!("algorithm: \"{alg}\","),
        ] {
            assert!(custom.contains(&line), "{line} in {custom}");
        }
        let others = lab.perform(ConvexConfig { id: other.id, custom_jwt: false }).await;
        assert_ne!(others.application_id, plain.application_id, "never shared");
    }
    // Nothing but what fits can be saved for Convex.
    let wish =
        json!({"organization": organization, "name": "App", "redirectUris": [super::CALLBACK], "kind": "convex"});
    for (name, value) in [("audience", json!("https://api.example")), ("alg", json!("EdDSA")), ("alg", json!("HS256"))]
    {
        let mut wish = wish.clone();
        wish[name] = value;
        let saved = match serde_json::from_value::<authd::provider::CreateApp>(wish) {
            Ok(operation) => authd::access::perform(&lab.operator(), &operation).await.is_ok(),
            Err(_) => false,
        };
        assert!(!saved, "{name}");
    }
    let web = lab.app(organization, json!({"kind": "web"})).await;
    assert_eq!(lab.perform(ConvexConfig { id: web.id, custom_jwt: false }).await.warnings.len(), 1);
}
