//! The two beats: what goes out, what comes back, and what binds one to the other.

use std::collections::{BTreeMap, BTreeSet};

use authd::connection::oidc::AuthMethod;
use authd::connection::protocol::{Begin, BeginRequest, Protocol as _};
use authd::crypto::{base64url, sha256};
use serde_json::json;

use super::{Scene, query};
use crate::world::op::{CLIENT_ID, CLIENT_SECRET, Canned, Endpoint};

fn changed(
    map: &BTreeMap<String, String>,
    change: impl FnOnce(&mut BTreeMap<String, String>),
) -> BTreeMap<String, String> {
    let mut map = map.clone();
    change(&mut map);
    map
}

#[tokio::test]
async fn a_person_comes_through() {
    let scene = Scene::new().await;
    scene.op.person(|claims| {
        claims.insert("auth_time".into(), json!(1_767_225_000.75));
        claims.insert("acr".into(), json!("urn:mfa"));
        claims.insert("amr".into(), json!(["pwd", "otp"]));
        claims.insert("sid".into(), json!("upstream-session"));
    });
    let person = scene.sign_in().await.unwrap();
    assert_eq!(person.subject, format!("{}|alice-1", scene.op.issuer));
    assert_eq!(person.profile.email.as_deref(), Some("alice@corp.example"));
    assert!(person.profile.email_verified);
    assert_eq!(person.profile.name.as_deref(), Some("Alice Ames"));
    assert_eq!(person.profile.groups, ["staff", "admins"]);
    assert_eq!(person.auth_time.unwrap().millis(), 1_767_225_000_750);
    assert_eq!(person.acr.as_deref(), Some("urn:mfa"));
    assert_eq!(person.amr, ["pwd", "otp"]);
    assert_eq!(person.upstream_session.as_deref(), Some("upstream-session"));
}

#[tokio::test]
async fn the_request_says_what_it_must_and_nothing_twice() {
    let scene = Scene::with(|config| {
        config.request.scopes = vec!["email".into()];
        config.request.authorization_params.insert("prompt".into(), "select_account".into());
        config.request.authorization_params.insert("hd".into(), "corp.example".into());
    })
    .await;
    let issuer = scene.op.issuer.clone();
    scene.op.discovery(move |document| {
        let address =
            format!("{issuer}/authorize?tenant=7&client_id=evil&nonce=1&redirect_uri=https://evil.example&hd=x");
        document.insert("authorization_endpoint".into(), address.into());
    });
    let plain = query(&scene.begin().await.url);
    assert_eq!(plain["response_type"], "code");
    assert_eq!(plain["client_id"], CLIENT_ID);
    assert_eq!(plain["redirect_uri"], format!("https://id.example.com/connections/{}/oidc/callback", scene.connection));
    assert_eq!(plain["scope"], "openid email");
    assert_eq!((plain["prompt"].as_str(), plain["hd"].as_str()), ("select_account", "corp.example"));
    assert_eq!(plain["tenant"], "7", "the endpoint's own query stays");
    assert!(!plain.contains_key("login_hint") && !plain.contains_key("max_age"));
    let request = BeginRequest {
        login_hint: Some("alice@corp.example".into()),
        force: true,
        max_age: Some(90),
        acr_values: vec!["urn:a".into(), "urn:b".into()],
        ..BeginRequest::default()
    };
    let asked = query(&scene.begin_with(request).await.unwrap().url);
    assert_eq!(asked["login_hint"], "alice@corp.example");
    assert_eq!(asked["prompt"], "login", "a forced sign-in wins over the connection's parameter");
    assert_eq!(asked["max_age"], "90");
    assert_eq!(asked["acr_values"], "urn:a urn:b");
}

/// The five callbacks of a login CSRF. That a state is of this browser, fresh and unused is the flow's to check; here
/// an answer is held against the request that it claims to answer.
#[tokio::test]
async fn oidc_01_login_csrf() {
    let scene = Scene::new().await;
    let (ours, other) = (scene.begin().await, scene.begin().await);
    let answer = scene.op.approve(&ours.url);
    let elsewhere = authd::connection::oidc::Oidc::new(
        authd::id::ConnectionId::new(&scene.cx.env),
        scene.config.clone(),
        std::sync::Arc::new(authd::connection::oidc::Caches::new()),
    );
    let request = BeginRequest { state: ours.state.clone(), ..BeginRequest::default() };
    let Begin::Redirect { kept: foreign, .. } = elsewhere.begin(&scene.cx, &request).await.unwrap() else {
        panic!("no redirect")
    };
    for (what, parameters, kept) in [
        ("no state", changed(&answer, |p| drop(p.remove("state"))), &ours.kept),
        ("an empty one", changed(&answer, |p| p.get_mut("state").unwrap().clear()), &ours.kept),
        ("a made-up one", changed(&answer, |p| p.get_mut("state").unwrap().push('x')), &ours.kept),
        (
            "that of another attempt",
            changed(&answer, |p| *p.get_mut("state").unwrap() = other.state.clone()),
            &ours.kept,
        ),
        ("what another connection kept", answer.clone(), &foreign),
    ] {
        let (outcome, checks) = scene.finish(parameters, kept).await;
        assert_eq!(outcome.expect_err(what).code(), "state_mismatch", "{what}");
        assert!(!format!("{checks:?}").contains(&ours.state));
    }
    assert_eq!(scene.op.hits(Endpoint::Token), 0, "no code left the house");
    scene.finish(answer, &ours.kept).await.0.unwrap();
}

#[tokio::test]
async fn oidc_02_nonce() {
    let scene = Scene::new().await;
    scene.sign_in().await.unwrap();
    let replayed = scene.op.last_id_token();
    scene.op.forge(move |_, _| replayed);
    scene.refused("nonce_mismatch", "an id_token of an earlier sign-in").await;
    scene.op.next_token(|_, claims| drop(claims.remove("nonce")));
    scene.refused("nonce_mismatch", "none").await;
    for (what, nonce) in
        [("another", json!("x".repeat(43))), ("empty", json!("")), ("no text", json!(7)), ("a list", json!([]))]
    {
        scene.op.next_token(move |_, claims| drop(claims.insert("nonce".into(), nonce)));
        scene.refused("nonce_mismatch", what).await;
    }
    let first = query(&scene.begin().await.url)["nonce"].clone();
    scene.op.next_token(move |_, claims| drop(claims.insert("nonce".into(), first.into())));
    scene.refused("nonce_mismatch", "that of another attempt").await;
    scene.sign_in().await.unwrap();
}

#[tokio::test]
async fn oidc_03_every_request_has_its_own_pkce() {
    let scene = Scene::direct().await;
    let (mut challenges, mut nonces) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..100 {
        let begun = scene.begin().await;
        let asked = query(&begun.url);
        assert_eq!(asked["code_challenge_method"], "S256");
        scene.finish(scene.op.approve(&begun.url), &begun.kept).await.0.unwrap();
        let redeemed = scene.op.seen(Endpoint::Token).pop().unwrap().fields;
        let verifier = &redeemed["code_verifier"];
        assert!((43..=128).contains(&verifier.len()));
        assert_eq!(base64url(&sha256(&[verifier.as_bytes()])), asked["code_challenge"]);
        assert_eq!(redeemed["redirect_uri"], asked["redirect_uri"]);
        assert_eq!(asked["nonce"].len(), 43, "256 bits");
        assert!(challenges.insert(asked["code_challenge"].clone()) && nonces.insert(asked["nonce"].clone()));
    }
    // A code that was stolen and brought into another attempt: the verifier of that attempt is another one.
    let (victim, thief) = (scene.begin().await, scene.begin().await);
    let stolen = scene.op.approve(&victim.url)["code"].clone();
    let answer = changed(&scene.op.approve(&thief.url), |p| drop(p.insert("code".into(), stolen)));
    assert_eq!(scene.finish(answer, &thief.kept).await.0.unwrap_err().code(), "code_refused");
}

#[tokio::test]
async fn oidc_07_mix_up() {
    let (mut a, b) = (Scene::new().await, Scene::new().await);
    let begun = a.begin().await;
    let of_b = b.op.approve(&b.begin().await.url);
    let ours = a.op.approve(&begun.url);
    let mixed = changed(&ours, |p| drop(p.insert("iss".into(), of_b["iss"].clone())));
    let cases = [
        ("the other provider's issuer", mixed),
        ("none, though it is announced", changed(&ours, |p| drop(p.remove("iss")))),
        ("an empty one", changed(&ours, |p| drop(p.insert("iss".into(), String::new())))),
        ("with a slash", changed(&ours, |p| p.get_mut("iss").unwrap().push('/'))),
        (
            "an error of the other provider",
            changed(&of_b, |p| {
                p.insert("state".into(), begun.state.clone());
                p.insert("error".into(), "access_denied".into());
            }),
        ),
    ];
    for restarted in [false, true] {
        for (what, parameters) in &cases {
            if restarted {
                // Nothing is known of the provider any more: what it announces is learnt before the code is sent.
                a.restart();
            }
            let (outcome, checks) = a.finish(parameters.clone(), &begun.kept).await;
            assert_eq!(outcome.expect_err(what).code(), "issuer_mismatch", "{what}");
            assert_eq!(checks.rows().last().unwrap().name, "iss_parameter");
        }
    }
    assert_eq!(a.op.hits(Endpoint::Token) + b.op.hits(Endpoint::Token), 0, "the code was not sent to anybody");
    a.finish(ours, &begun.kept).await.0.unwrap();
    a.op.discovery(|document| drop(document.remove("authorization_response_iss_parameter_supported")));
    a.restart();
    let begun = a.begin().await;
    a.op.callback(|p| drop(p.remove("iss")));
    a.finish(a.op.approve(&begun.url), &begun.kept).await.0.unwrap();
    let begun = a.begin().await;
    let wrong = changed(&a.op.approve(&begun.url), |p| drop(p.insert("iss".into(), b.op.issuer.clone())));
    assert_eq!(a.finish(wrong, &begun.kept).await.0.unwrap_err().code(), "issuer_mismatch", "whenever it is there");
}

#[tokio::test]
async fn answers_that_are_no_code_are_refused_before_anybody_is_asked() {
    let scene = Scene::new().await;
    let begun = scene.begin().await;
    let answer = scene.op.approve(&begun.url);
    for (what, code, parameters) in [
        ("no code", "invalid_request", changed(&answer, |p| drop(p.remove("code")))),
        ("an empty one", "invalid_request", changed(&answer, |p| drop(p.insert("code".into(), String::new())))),
        ("a long one", "invalid_request", changed(&answer, |p| drop(p.insert("code".into(), "c".repeat(2049))))),
        ("a strange one", "invalid_request", changed(&answer, |p| drop(p.insert("code".into(), "c\r\nx".into())))),
        (
            "an error",
            "upstream_denied",
            changed(&answer, |p| {
                p.insert("error".into(), "access_denied".into());
                p.insert("error_description".into(), "Mallory\u{1b}[2J says no".into());
            }),
        ),
    ] {
        let (outcome, checks) = scene.finish(parameters, &begun.kept).await;
        let error = outcome.expect_err(what);
        assert_eq!(error.code(), code, "{what}");
        assert!(!error.message().contains("Mallory"), "the provider's words are not for the person");
        assert!(!format!("{checks:?}").contains('\u{1b}'));
    }
    assert_eq!(scene.op.hits(Endpoint::Token), 0);
}

#[tokio::test]
async fn clients_authenticate_as_they_are_told() {
    for (method, announced, basic, secret) in [
        (None, Some(json!(["client_secret_post"])), false, true),
        (None, Some(json!(["client_secret_post", "client_secret_basic"])), true, true),
        (None, None, true, true),
        (Some(AuthMethod::ClientSecretPost), None, false, true),
        (Some(AuthMethod::ClientSecretBasic), Some(json!(["client_secret_post"])), true, true),
        (Some(AuthMethod::None), None, false, false),
    ] {
        let scene = Scene::with(|config| {
            config.client.auth_method = method;
            if !secret {
                config.client.secret = None;
            }
        })
        .await;
        scene.op.discovery(move |document| {
            match &announced {
                Some(list) => document.insert("token_endpoint_auth_methods_supported".into(), list.clone()),
                None => document.remove("token_endpoint_auth_methods_supported"),
            };
        });
        scene.sign_in().await.unwrap();
        let seen = scene.op.seen(Endpoint::Token).pop().unwrap();
        assert_eq!(seen.headers.contains_key("authorization"), basic);
        assert_eq!(seen.fields.contains_key("client_secret"), secret && !basic);
        assert_eq!(seen.fields.contains_key("client_id"), !basic);
    }
    for announced in [json!(["none"]), json!(["private_key_jwt", "tls_client_auth"]), json!([])] {
        let scene = Scene::new().await;
        let list = announced.clone();
        scene.op.discovery(move |document| {
            drop(document.insert("token_endpoint_auth_methods_supported".into(), list.clone()));
        });
        let error = scene.begin_with(BeginRequest::default()).await.err().unwrap();
        assert_eq!(error.code(), "connection_not_ready", "nobody is sent there in vain");
        for name in announced.as_array().unwrap() {
            assert!(error.message().contains(name.as_str().unwrap()), "{error:?}");
        }
        assert!(error.next_step().unwrap().contains("client.authMethod"), "{error:?}");
    }
    let wrong = Scene::with(|config| config.client.id = Some("somebody else".into())).await;
    wrong.refused("upstream_client_refused", "an unknown client").await;
    let later = Scene::with(|config| config.client.auth_method = Some(AuthMethod::PrivateKeyJwt)).await;
    let error = later.begin_with(BeginRequest::default()).await.err().unwrap();
    assert_eq!(error.code(), "connection_not_ready");
    assert!(error.message().contains("private_key_jwt"));
}

#[tokio::test]
async fn a_code_works_once_and_its_refusal_is_not_shown() {
    let scene = Scene::new().await;
    let begun = scene.begin().await;
    let answer = scene.op.approve(&begun.url);
    scene.finish(answer.clone(), &begun.kept).await.0.unwrap();
    let (outcome, checks) = scene.finish(answer.clone(), &begun.kept).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), "code_refused");
    let trace = format!("{checks:?}");
    assert!(trace.contains("invalid_grant"), "the trace knows why");
    assert!(!trace.contains(&answer["code"]), "but the code that the provider repeats is not in it");
    assert!(!error.message().contains("unknown or used"));
}

#[tokio::test]
async fn providers_that_fail_are_told_apart_from_people_who_do() {
    let scene = Scene::new().await;
    for (status, code) in [
        (500, "upstream_unavailable"),
        (429, "upstream_unavailable"),
        (302, "upstream_invalid"),
        (418, "upstream_invalid"),
    ] {
        scene.op.can(Endpoint::Token, Some(Canned::json(status, &json!({}))));
        scene.refused(code, &status.to_string()).await;
    }
    scene.op.can(Endpoint::Token, Some(Canned { status: 200, headers: vec![], body: vec![b' '; 200_000] }));
    scene.refused("upstream_too_large", "an answer without end").await;
}

#[tokio::test]
async fn the_trace_names_every_check_and_no_secret() {
    let scene = Scene::new().await;
    let begun = scene.begin().await;
    let (outcome, checks) = scene.finish(scene.op.approve(&begun.url), &begun.kept).await;
    outcome.unwrap();
    let names: Vec<&str> = checks.rows().iter().map(|row| row.name.as_str()).collect();
    for name in [
        "iss_parameter",
        "code",
        "state",
        "issuer",
        "token_endpoint",
        "alg",
        "kid",
        "signature",
        "typ",
        "iss",
        "aud",
        "exp",
        "iat",
        "sub",
        "nonce",
        "at_hash",
        "userinfo_sub",
        "email_verified",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(checks.rows().iter().all(|row| row.ok));
    let trace = format!("{checks:?}");
    let asked = query(&begun.url);
    let verifier = &scene.op.seen(Endpoint::Token)[0].fields["code_verifier"];
    for secret in [
        &asked["nonce"],
        &asked["state"],
        verifier,
        &scene.op.last_code(),
        &scene.op.last_id_token(),
        &scene.op.last_access_token(),
        &CLIENT_SECRET.to_owned(),
    ] {
        assert!(!trace.contains(secret.as_str()), "{secret}");
        assert!(!String::from_utf8_lossy(&begun.kept).contains(secret.as_str()), "what is kept is sealed");
    }
}
