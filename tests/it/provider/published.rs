//! What authd says about itself, and to whom.

use std::sync::Arc;

use authd::http::{Door, Site};
use authd::provider::UpdateApp;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Answer, ISSUER, Lab};

#[tokio::test]
async fn discovery_names_what_is_served_and_nothing_else() {
    let lab = Lab::new().await;
    let answer = lab.get("/.well-known/openid-configuration").await;
    assert_eq!(answer.status, 200);
    let document = answer.body;
    assert_eq!(document["issuer"], ISSUER);
    for (member, path) in [
        ("authorization_endpoint", "/oauth2/authorize"),
        ("token_endpoint", "/oauth2/token"),
        ("userinfo_endpoint", "/userinfo"),
        ("jwks_uri", "/.well-known/jwks.json"),
        ("introspection_endpoint", "/oauth2/introspect"),
        ("revocation_endpoint", "/oauth2/revoke"),
        ("device_authorization_endpoint", "/oauth2/device_authorization"),
        ("end_session_endpoint", "/oauth2/logout"),
        ("pushed_authorization_request_endpoint", "/oauth2/par"),
    ] {
        assert_eq!(document[member], format!("{ISSUER}{path}"), "{member}");
    }
    assert_eq!(document["response_types_supported"], json!(["code"]));
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let grants = json!(["authorization_code", "refresh_token", "client_credentials", device]);
    assert_eq!(document["grant_types_supported"], grants);
    for logout in ["frontchannel", "backchannel"] {
        assert_eq!(document[format!("{logout}_logout_supported")], true);
        assert_eq!(document[format!("{logout}_logout_session_supported")], true);
    }
    assert_eq!(document["response_modes_supported"], json!(["query", "form_post"]));
    assert_eq!(document["prompt_values_supported"], json!(["none", "login", "consent", "select_account"]));
    assert_eq!(document["claims_parameter_supported"], true);
    let ways = document["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(ways.contains(&json!("private_key_jwt")));
    let algorithms = document["token_endpoint_auth_signing_alg_values_supported"].as_array().unwrap();
    assert!(algorithms.iter().all(|name| name != "none" && !name.as_str().unwrap().starts_with("HS")));
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["request_uri_parameter_supported"], false, "left out it would mean true");
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256", "RS256"]));
    assert!(document.get("registration_endpoint").is_none());
    assert_eq!(lab.get("/.well-known/oauth-authorization-server").await.body, document);
}

#[tokio::test]
async fn op_12_no_header_of_a_request_enters_a_link() {
    let lab = Lab::new().await;
    let expected = lab.get("/.well-known/openid-configuration").await.body;
    for (name, value) in [
        ("host", "evil.test"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "host=evil.test;proto=http"),
    ] {
        let request = Request::get("/.well-known/openid-configuration").header(name, value);
        let answer = lab.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.body, expected, "{name}");
    }
    // Behind the door, a name that is not ours is not served at all.
    let public_url = &lab.world.deployment.public_url;
    let site = Arc::new(Site::new(public_url, &["127.0.0.1:8080".parse().unwrap()], Vec::new()));
    let guarded =
        Door::public(lab.env().clone(), site).guard(authd::provider::http(lab.world.clone(), lab.keyring.clone()));
    for (hosts, status) in [
        (&["id.example.com"][..], StatusCode::OK),
        (&["evil.test"], StatusCode::MISDIRECTED_REQUEST),
        (&["id.example.com", "evil.test"], StatusCode::MISDIRECTED_REQUEST),
    ] {
        let mut request = Request::get("/.well-known/openid-configuration");
        for host in hosts {
            request = request.header("host", *host);
        }
        let answer = guarded.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{hosts:?}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn the_key_set_is_not_sent_twice() {
    let lab = Lab::new().await;
    let first = lab.get("/.well-known/jwks.json").await;
    let etag = first.headers["etag"].to_str().unwrap().to_owned();
    for (sent, status) in [(etag.clone(), 304), (format!("\"x\", W/{etag}"), 304), ("\"x\"".to_owned(), 200)] {
        let request = Request::get("/.well-known/jwks.json").header("if-none-match", sent);
        let answer = lab.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.headers["etag"], *etag);
    }
}

async fn from(lab: &Lab, method: Method, path: &str, origin: &str) -> Answer {
    let mut request = Request::builder().method(method.clone()).uri(path).header("origin", origin);
    if method == Method::OPTIONS {
        request = request.header("access-control-request-method", "POST");
    }
    lab.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn cors_is_open_for_what_is_public_and_closed_but_for_registered_origins() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let spa = json!({"kind": "spa", "redirectUris": ["https://spa.example.com/cb", "http://localhost:3000/cb"]});
    let spa = lab.app(organization, spa).await;
    lab.app(
        organization,
        json!({"redirectUris": ["https://web.example.com/cb"], "origins": ["https://page.example.com"]}),
    )
    .await;
    for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json"] {
        let answer = from(&lab, Method::GET, path, "https://anybody.test").await;
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        let preflight = from(&lab, Method::OPTIONS, path, "https://anybody.test").await;
        assert_eq!(
            (preflight.status.as_u16(), &preflight.headers["access-control-allow-origin"]),
            (204, &"*".parse().unwrap())
        );
    }
    for (origin, known) in [
        ("https://spa.example.com", true),
        ("http://localhost:3000", true),
        ("https://page.example.com", true),
        ("https://web.example.com", false),
        ("https://evil.test", false),
        ("https://spa.example.com.evil.test", false),
        ("https://spa.example.com:8443", false),
        ("null", false),
    ] {
        for path in ["/oauth2/token", "/oauth2/revoke", "/userinfo", "/v1/identity"] {
            let preflight = from(&lab, Method::OPTIONS, path, origin).await;
            let answer = from(&lab, Method::POST, path, origin).await;
            for answer in [&preflight, &answer] {
                let allowed = answer.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap());
                assert_eq!(allowed, known.then_some(origin), "{path} {origin}");
                assert_eq!(answer.headers["vary"], "origin");
                assert!(!answer.headers.contains_key("access-control-allow-credentials"));
            }
            assert_eq!(preflight.status, 204);
            assert_eq!(preflight.headers.contains_key("access-control-allow-headers"), known);
        }
    }
    // Everything else stays closed, to whomever.
    for path in ["/oauth2/introspect", "/oauth2/nowhere", "/v1/apps", "/v1/identities"] {
        for method in [Method::OPTIONS, Method::POST, Method::GET] {
            let answer = from(&lab, method, path, "https://spa.example.com").await;
            assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
        }
    }
    let moved: Value = json!({"id": spa.id, "redirectUris": ["https://moved.example.com/cb"]});
    lab.perform(serde_json::from_value::<UpdateApp>(moved).unwrap()).await;
    let preflight = from(&lab, Method::OPTIONS, "/oauth2/token", "https://spa.example.com").await;
    assert!(!preflight.headers.contains_key("access-control-allow-origin"), "gone with the address");
}
