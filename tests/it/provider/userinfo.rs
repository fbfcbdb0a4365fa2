//! User info, and the tokens that are not for it.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{Answer, Lab};
use authd::token::IssueToken;

#[track_caller]
fn invalid(answer: &Answer) {
    assert_eq!(answer.status, 401);
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer") && challenge.contains("error=\"invalid_token\""), "{challenge}");
}

#[tokio::test]
async fn the_claims_of_the_scope_for_a_bearer_in_header_or_form() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let tokens = lab.tokens(&client, &session).await;
    let token = tokens.text("access_token");
    let answer = lab.userinfo(token).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(
        answer.body,
        json!({
            "sub": session.user, "org_id": session.organization,
            "name": "ada", "given_name": "ada", "family_name": "Lovelace",
            "picture": "https://pictures.example.test/1.png", "updated_at": lab.env().now().seconds(),
            "email": "ada@example.test", "email_verified": true, "groups": ["engineers", "on call"],
        })
    );
    let post = |body: String| {
        Request::post("/userinfo").header("content-type", "application/x-www-form-urlencoded").body(Body::from(body))
    };
    assert_eq!(lab.send(post(format!("access_token={token}")).unwrap()).await.body, answer.body);
    let empty = Request::post("/userinfo").header("authorization", format!("bearer {token}")).body(Body::empty());
    assert_eq!(lab.send(empty.unwrap()).await.status, 200);

    let bare = lab.get("/userinfo").await;
    assert_eq!((bare.status.as_u16(), bare.headers["www-authenticate"].to_str().unwrap()), (401, "Bearer"));
    assert_eq!(lab.get(&format!("/userinfo?access_token={token}")).await.status, 401, "never from the address");
    let both = Request::post("/userinfo")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(format!("access_token={token}")));
    assert_eq!(lab.send(both.unwrap()).await.status, 400);
}

#[tokio::test]
async fn op_14_no_other_token_is_an_access_token() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let convex = lab.app(session.organization, json!({"kind": "convex"})).await;
    let tokens = lab.tokens(&client, &session).await;
    let converted = lab.tokens(&convex, &session).await;
    invalid(&lab.userinfo(tokens.text("id_token")).await);
    assert_eq!(lab.userinfo(converted.text("access_token")).await.status, 200);
    invalid(&lab.userinfo(converted.text("id_token")).await);
    let api =
        lab.perform(IssueToken { organization: session.organization, user: Some(session.user), role: None }).await;
    invalid(&lab.userinfo(api.access_token.expose()).await);

    // And the other way round: what apps hold is no key to authd's own API.
    for token in [tokens.text("access_token"), tokens.text("id_token"), converted.text("access_token")] {
        let cx = lab.context(authd::access::Caller::Anonymous);
        let refused = authd::token::verify_api(&cx, &lab.keyring, token).await.unwrap_err();
        assert_eq!(refused.code(), "not_signed_in");
    }
}

#[tokio::test]
async fn op_14_a_token_of_another_deployment_or_with_another_word_is_refused() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let tokens = lab.tokens(&client, &session).await;
    let token = tokens.text("access_token");
    let parts: Vec<&str> = token.split('.').collect();
    let encode = |value: &Value| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let mut claims = super::part(token, 1);
    claims["sub"] = "usr_00000000000000000000000000".into();
    let mut unsigned = super::part(token, 0);
    unsigned["alg"] = "none".into();
    let mut unknown = super::part(token, 0);
    unknown["kid"] = "sig_00000000000000000000000000".into();
    for forged in [
        format!("{}.{}.{}", parts[0], encode(&claims), parts[2]),
        format!("{}.{}.", encode(&unsigned), parts[1]),
        format!("{}.{}.{}", encode(&unknown), parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][1..]),
        format!("{token}."),
        format!("{token}="),
        "x".to_owned(),
        String::new(),
        "a".repeat(20_000),
    ] {
        let answer = lab.userinfo(&forged).await;
        assert_eq!(answer.status, 401, "{forged}");
    }
    // Another deployment's token, though it is sound there.
    let other = Lab::new().await;
    let (client, session) = other.scene().await;
    invalid(&lab.userinfo(other.tokens(&client, &session).await.text("access_token")).await);

    // The same keys under another address are another issuer.
    let moved = authd::access::Deployment {
        public_url: authd::config::PublicUrl::parse("https://id.example.com/elsewhere").unwrap(),
        master_key: lab.world.deployment.master_key.clone(),
        rotate_every: None,
    };
    let moved = authd::access::World { deployment: std::sync::Arc::new(moved), ..lab.world.clone() };
    let cx = moved.context(authd::access::Caller::Anonymous, authd::event::Origin::internal(lab.env()));
    let keyring = authd::token::Keyring::new();
    assert_eq!(authd::token::verify(&cx, &keyring, token).await.unwrap_err().code(), "invalid_token");
    assert!(authd::token::verify(&lab.context(cx.caller.clone()), &keyring, token).await.is_ok());
}
