//! How apps authenticate, and what the token endpoint reads.

use authd::event::EventKind;
use authd::provider::RotateAppSecret;
use axum::body::Body;
use axum::http::{Request, header};
use serde_json::json;
use std::time::Duration;

use super::{CALLBACK, Lab, VERIFIER, basic};

fn form(code: &str) -> Vec<(&str, &str)> {
    vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)]
}

#[tokio::test]
async fn op_06_an_app_authenticates_in_exactly_one_way() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let public = lab.app(session.organization, json!({"public": true})).await;
    let other = lab.app(session.organization, json!({})).await;
    let (id, secret) = (client.id.to_string(), client.secret.clone().unwrap());
    let (public_id, other_secret) = (public.id.to_string(), other.secret.unwrap());
    let unknown = "app_00000000000000000000000000";
    let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let refusals = [
        ("nothing", vec![], None),
        ("a name alone", vec![("client_id", &*id)], None),
        ("wrong secret", vec![], Some(basic(&id, "cs_wrong"))),
        ("no secret", vec![], Some(basic(&id, ""))),
        ("another app's secret", vec![], Some(basic(&id, &other_secret))),
        ("another app's secret, in the form", vec![("client_id", &*id), ("client_secret", &*other_secret)], None),
        ("unknown app", vec![], Some(basic(unknown, &secret))),
        ("no app at all", vec![], Some(basic("x", "y"))),
        ("two ways at once", vec![("client_id", &*id), ("client_secret", &*secret)], Some(basic(&id, &secret))),
        ("two names", vec![("client_id", &*public_id)], Some(basic(&id, &secret))),
        ("a public app with a secret", vec![("client_id", &*public_id), ("client_secret", "x")], None),
        ("a public app with HTTP Basic", vec![], Some(basic(&public_id, ""))),
        ("a scheme that is not Basic", vec![("client_id", &*public_id)], Some("Bearer x".to_owned())),
        ("no base64", vec![], Some("Basic !!!".to_owned())),
        (
            "an unsigned assertion",
            vec![("client_id", &*id), ("client_assertion_type", assertion), ("client_assertion", "e30.e30.")],
            None,
        ),
    ];
    let count = refusals.len();
    let honest = lab.code(&client, &session).await;
    for (name, more, authorization) in refusals {
        let answer = lab.token(&[form(&honest.code), more].concat(), authorization.as_deref()).await;
        answer.refused(401, "invalid_client");
        let challenged = answer.header(header::WWW_AUTHENTICATE).starts_with("Basic ");
        assert_eq!(challenged, authorization.is_some(), "{name}");
    }
    assert_eq!(lab.count(EventKind::TokenRefused).await, count.min(10), "one event each, up to ten a minute");
    // Unknown and wrong are told alike.
    let wrong = lab.token(&form("x"), Some(&basic(&id, "cs_wrong"))).await;
    let nobody = lab.token(&form("x"), Some(&basic(unknown, "cs_wrong"))).await;
    assert_eq!(wrong.text("error_description"), nobody.text("error_description"));
    // None of that has touched the code.
    assert_eq!(lab.redeem(&honest).await.status, 200);
}

#[tokio::test]
async fn op_06_basic_post_and_public_apps_are_served() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let (id, secret) = (client.id.to_string(), client.secret.clone().unwrap());
    let post = async |code: &str, more: &[(&str, &str)], authorization: Option<&str>| {
        lab.token(&[&form(code), more].concat(), authorization).await.status.as_u16()
    };
    let code = lab.code(&client, &session).await.code;
    assert_eq!(post(&code, &[("client_id", &id), ("client_secret", &secret)], None).await, 200);
    let code = lab.code(&client, &session).await.code;
    assert_eq!(
        post(&code, &[("client_id", &id)], Some(&basic(&id, &secret))).await,
        200,
        "the same name twice is fine"
    );
    let code = lab.code(&client, &session).await.code;
    let encoded = basic(&id.replace('_', "%5F"), &secret.replace('_', "%5f"));
    assert_eq!(post(&code, &[], Some(&encoded)).await, 200, "form-encoded below Basic");
    for kind in ["spa", "native"] {
        let public = lab.app(session.organization, json!({"kind": kind})).await;
        assert!(public.secret.is_none());
        let redeem = lab.code(&public, &session).await;
        assert_eq!(lab.redeem(&redeem).await.status, 200);
    }
}

#[tokio::test]
async fn a_secret_is_kept_as_a_hash_and_rotated_with_an_overlap() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let (id, first) = (client.id.to_string(), client.secret.clone().unwrap());
    let status = async |secret: &str| lab.token(&form("x"), Some(&basic(&id, secret))).await.status.as_u16();
    let rotate = async |overlap: u64| {
        let rotated = lab.perform(RotateAppSecret { id: client.id, overlap_seconds: Some(overlap) }).await;
        rotated.client_secret.unwrap().expose().to_owned()
    };
    let second = rotate(60).await;
    assert_eq!((status(&first).await, status(&second).await), (400, 400), "both are known, the code is not");
    lab.env().advance(Duration::from_secs(60));
    assert_eq!((status(&first).await, status(&second).await), (401, 400));
    let third = rotate(0).await;
    assert_eq!((status(&second).await, status(&third).await), (401, 400));
    let public = lab.app(session.organization, json!({"kind": "spa"})).await;
    let refused =
        authd::access::perform(&lab.operator(), &RotateAppSecret { id: public.id, overlap_seconds: None }).await;
    assert_eq!(refused.unwrap_err().code(), "invalid_input");
    for event in lab.events().await {
        let text = serde_json::to_string(&event).unwrap();
        for secret in [&first, &second, &third] {
            assert!(!text.contains(&**secret));
        }
    }
}

#[tokio::test]
async fn the_token_endpoint_reads_one_small_form_and_nothing_else() {
    let lab = Lab::new().await;
    let (client, _) = lab.scene().await;
    let authorization = basic(&client.id.to_string(), client.secret.as_deref().unwrap());
    let send = async |kind: &str, body: String| {
        let request =
            Request::post("/oauth2/token").header("content-type", kind).header("authorization", &authorization);
        lab.send(request.body(Body::from(body)).unwrap()).await
    };
    let plain = "application/x-www-form-urlencoded";
    send(plain, "grant_type=password&username=a&password=b".into()).await.refused(400, "unsupported_grant_type");
    send(plain, "grant_type=refresh_token&refresh_token=x".into()).await.refused(400, "invalid_grant");
    send(plain, "grant_type=refresh_token".into()).await.refused(400, "invalid_request");
    send(plain, "grant_type=client_credentials".into()).await.refused(400, "unauthorized_client");
    send(plain, "code=x".into()).await.refused(400, "invalid_request");
    send(plain, "grant_type=authorization_code".into()).await.refused(400, "invalid_request");
    send(plain, "grant_type=authorization_code&code=x&code=y".into()).await.refused(400, "invalid_request");
    send("application/json", "{}".into()).await.refused(415, "invalid_request");
    send(plain, format!("grant_type=authorization_code&code={}", "x".repeat(8_192)))
        .await
        .refused(413, "invalid_request");
    send(&format!("{plain}; charset=UTF-8"), "grant_type=x".into()).await.refused(400, "unsupported_grant_type");

    // A secret in the address is not read.
    let id = client.id.to_string();
    let path = format!("/oauth2/token?client_id={id}&client_secret={}", client.secret.as_deref().unwrap());
    let request = Request::post(path).header("content-type", plain).body(Body::from("grant_type=authorization_code"));
    lab.send(request.unwrap()).await.refused(401, "invalid_client");
    assert_eq!(lab.get("/oauth2/token").await.status, 405);
}
