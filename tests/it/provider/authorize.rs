//! What an app may ask for.

use authd::provider::authorize::Refusal;
use serde_json::json;

use super::{CALLBACK, CHALLENGE, ISSUER, Lab, query, request, with};

/// The page that the person sees, or the error that the app gets.
fn outcome(refusal: Refusal) -> Result<String, String> {
    match refusal {
        Refusal::Page(error) => Err(error.code().to_owned()),
        Refusal::App(answer) => {
            let url = answer.url();
            assert!(url.starts_with(CALLBACK), "{url}");
            assert_eq!(query(&url, "iss").as_deref(), Some(ISSUER));
            Ok(query(&url, "error").unwrap())
        }
    }
}

#[tokio::test]
async fn op_01_redirect_uri_is_compared_byte_for_byte() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let web = lab.app(organization, json!({})).await.id.to_string();
    let native = json!({"kind": "native", "redirectUris": ["http://127.0.0.1/cb", "http://localhost/cb"]});
    let native = lab.app(organization, native).await.id.to_string();
    for asked in [
        "https://app.example.com/cb/",
        "https://app.example.com/cb/x",
        "https://app.example.com/cbx",
        "https://app.example.com/c",
        "https://app.example.com/",
        "https://app.example.com",
        "https://app.example.com/cb?x=1",
        "https://app.example.com/cb?",
        "https://app.example.com/cb#",
        "https://app.example.com/cb#x",
        "https://app.example.com:443/cb",
        "https://app.example.com:8443/cb",
        "https://app.example.com./cb",
        "https://APP.example.com/cb",
        "https://app.example.com/CB",
        "HTTPS://app.example.com/cb",
        "http://app.example.com/cb",
        "https://evil.app.example.com/cb",
        "https://app.example.com.evil.test/cb",
        "https://app.example.com@evil.test/cb",
        "https://app.example.com%40evil.test/cb",
        "https://user@app.example.com/cb",
        "https://evil.test/https://app.example.com/cb",
        "https://app.example.com/a/../cb",
        "https://app.example.com/..;/cb",
        "https://app.example.com/%63b",
        "https://app.example.com//cb",
        "https://app.example.com\\@evil.test/cb",
        " https://app.example.com/cb",
        "https://app.example.com/cb%00",
        "//app.example.com/cb",
        "/cb",
        "javascript:alert(1)//https://app.example.com/cb",
    ] {
        let refused = lab.authorize(&with(&request(&web), "redirect_uri", Some(asked))).await.unwrap_err();
        assert_eq!(outcome(refused), Err("redirect_uri_mismatch".to_owned()), "{asked}");
    }
    for (asked, fits) in [
        ("http://127.0.0.1:51004/cb", true),
        ("http://127.0.0.1/cb", true),
        ("http://localhost/cb", true),
        ("http://localhost:51004/cb", false),
        ("http://127.0.0.1:51004/cb2", false),
        ("http://127.0.0.1:51004@evil.test/cb", false),
        ("http://127.0.0.2/cb", false),
    ] {
        let answered = lab.authorize(&with(&request(&native), "redirect_uri", Some(asked))).await;
        match answered {
            Ok(request) => assert!(fits && request.redirect_uri == asked, "{asked}"),
            Err(Refusal::Page(error)) => assert!(!fits && error.code() == "redirect_uri_mismatch", "{asked}"),
            Err(Refusal::App(answer)) => panic!("redirected to {}", answer.url()),
        }
    }
    // A browser app gets no port of its own.
    let spa = json!({"kind": "spa", "redirectUris": ["http://127.0.0.1/cb"]});
    let spa = lab.app(organization, spa).await.id.to_string();
    assert!(lab.authorize(&with(&request(&spa), "redirect_uri", Some("http://127.0.0.1:1/cb"))).await.is_err());
}

#[tokio::test]
async fn op_01_nobody_is_redirected_before_app_and_address_are_known() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let id = lab.app(organization, json!({})).await.id.to_string();
    let good = request(&id);
    let unknown = "app_00000000000000000000000000";
    let mut twice = good.clone();
    twice.push(("redirect_uri", "https://evil.test/"));
    let mut two_apps = good.clone();
    two_apps.push(("client_id", unknown));
    for (name, parameters) in [
        ("no app", with(&good, "client_id", None)),
        ("unknown app", with(&good, "client_id", Some(unknown))),
        ("no id at all", with(&good, "client_id", Some("x"))),
        ("no address", with(&good, "redirect_uri", None)),
        ("two addresses", twice),
        ("two apps", two_apps),
    ] {
        assert!(outcome(lab.authorize(&parameters).await.unwrap_err()).is_err(), "{name}");
    }
    lab.perform(authd::directory::DisableOrganization { id: organization }).await;
    assert_eq!(outcome(lab.authorize(&good).await.unwrap_err()), Err("organization_disabled".to_owned()));
}

#[tokio::test]
async fn op_04_pkce_with_s256_is_required_of_every_app() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    for kind in ["web", "spa"] {
        let id = lab.app(organization, json!({"kind": kind})).await.id.to_string();
        let good = request(&id);
        let (short, long) = ("a".repeat(42), "a".repeat(129));
        for (name, parameters) in [
            ("no challenge", with(&good, "code_challenge", None)),
            ("no PKCE", with(&with(&good, "code_challenge", None), "code_challenge_method", None)),
            ("plain", with(&good, "code_challenge_method", Some("plain"))),
            ("no method, which means plain", with(&good, "code_challenge_method", None)),
            ("another case", with(&good, "code_challenge_method", Some("s256"))),
            ("42 letters", with(&good, "code_challenge", Some(&short))),
            ("129 letters", with(&good, "code_challenge", Some(&long))),
            ("44 letters", with(&good, "code_challenge", Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="))),
            ("no base64url", with(&good, "code_challenge", Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"))),
        ] {
            let refused = outcome(lab.authorize(&parameters).await.unwrap_err());
            assert_eq!(refused, Ok("invalid_request".to_owned()), "{name}");
        }
        assert_eq!(lab.authorize(&good).await.unwrap().code_challenge, CHALLENGE);
    }
}

#[tokio::test]
async fn the_app_is_told_what_is_wrong_with_its_request() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let id = lab.app(organization, json!({})).await.id.to_string();
    let good = request(&id);
    let (state, nonce) = ("s".repeat(2_049), "n".repeat(257));
    let mut two_nonces = good.clone();
    two_nonces.push(("nonce", "another"));
    let machine = lab.app(organization, json!({"grantTypes": ["client_credentials"]})).await.id.to_string();
    for (error, parameters) in [
        ("unauthorized_client", with(&good, "client_id", Some(&machine))),
        ("unsupported_response_type", with(&good, "response_type", Some("token"))),
        ("unsupported_response_type", with(&good, "response_type", Some("code id_token"))),
        ("invalid_request", with(&good, "response_type", None)),
        ("invalid_request", with(&good, "response_mode", Some("fragment"))),
        ("invalid_request", with(&good, "response_mode", Some("query.jwt"))),
        ("invalid_request", with(&good, "claims", Some("email"))),
        ("invalid_request", with(&good, "claims", Some("[]"))),
        ("invalid_request", with(&good, "claims", Some(r#"{"id_token":{"acr":"x"}}"#))),
        ("invalid_request", with(&good, "claims", Some(r#"{"id_token":{"acr":{"essential":"yes"}}}"#))),
        ("invalid_request", with(&good, "claims", Some(r#"{"id_token":{},"id_token":{}}"#))),
        ("invalid_request", with(&good, "claims", Some(r#"{"id_token":{"sub":{"values":["a","b"]}}}"#))),
        ("request_not_supported", with(&good, "request", Some("e30.e30."))),
        ("request_uri_not_supported", with(&good, "request_uri", Some("https://evil.test/r"))),
        ("registration_not_supported", with(&good, "registration", Some("{}"))),
        ("invalid_scope", with(&good, "scope", Some("openid \"x\""))),
        ("invalid_request", with(&good, "prompt", Some("none login"))),
        ("invalid_request", with(&good, "prompt", Some("create"))),
        ("invalid_request", with(&good, "max_age", Some("-1"))),
        ("invalid_request", with(&good, "max_age", Some("soon"))),
        ("invalid_request", with(&good, "max_age", Some("1e3"))),
        ("invalid_request", with(&good, "nonce", Some(&nonce))),
        ("invalid_request", with(&good, "state", Some(&state))),
        ("invalid_request", two_nonces),
    ] {
        let Refusal::App(answer) = lab.authorize(&parameters).await.unwrap_err() else {
            panic!("a page for {error}");
        };
        let url = answer.url();
        assert_eq!(query(&url, "error").as_deref(), Some(error), "{url}");
        let expected = if parameters.contains(&("state", "the state")) { Some("the state") } else { None };
        assert_eq!(query(&url, "state").as_deref(), expected, "{url}");
    }
}

#[tokio::test]
async fn a_request_is_read_as_the_specification_says() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let id = lab.app(organization, json!({})).await.id.to_string();
    let mut parameters = with(&request(&id), "scope", Some("openid  email openid offline_access unheard:of"));
    parameters.extend([
        ("prompt", "login"),
        ("max_age", "0"),
        ("acr_values", "b a"),
        ("login_hint", "ada@example.test"),
        ("claims", "{\"userinfo\":{}}"),
        ("ui_locales", "de"),
        ("display", "page"),
        ("id_token_hint", "not.a.token"),
        ("made_up", "1"),
        ("organization", ""),
    ]);
    let request = lab.authorize(&parameters).await.unwrap();
    assert_eq!(request.scope, ["openid", "email", "offline_access"]);
    assert_eq!((request.max_age, request.forces_login(), request.silent()), (Some(0), true, false));
    assert_eq!(request.acr_values, ["b", "a"]);
    assert_eq!((request.organization, request.hinted_user), (None, None));
    assert_eq!(request.state.as_deref(), Some("the state"));
    let bare = lab.authorize(&with(&parameters, "scope", None)).await.unwrap();
    assert!(bare.scope.is_empty(), "plain OAuth");
}

#[tokio::test]
async fn an_id_token_hint_names_a_person_only_if_we_signed_it() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let tokens = lab.tokens(&client, &session).await;
    let id = client.id.to_string();
    let hinted = async |hint: &str| {
        let parameters = [&request(&id)[..], &[("id_token_hint", hint)]].concat();
        lab.authorize(&parameters).await.unwrap().hinted_user
    };
    let id_token = tokens.text("id_token");
    assert_eq!(hinted(id_token).await, Some(session.user));
    lab.env().advance(std::time::Duration::from_secs(3 * 3600));
    assert_eq!(hinted(id_token).await, Some(session.user), "also when it has expired");
    assert_eq!(hinted(&id_token[..id_token.len() - 4]).await, None);
    assert_eq!(hinted(tokens.text("access_token")).await, None, "an access token is no id token");
}
