//! What an id_token and user info must say.

use authd::connection::protocol::BeginRequest;
use serde_json::{Value, json};

use super::Scene;
use crate::world::op::{CLIENT_ID, Canned, Endpoint, Members, half_hash};

async fn with(scene: &Scene, name: &'static str, value: Option<Value>) {
    scene.op.next_token(move |_, claims| {
        match value {
            Some(value) => claims.insert(name.into(), value),
            None => claims.remove(name),
        };
    });
}

#[tokio::test]
async fn oidc_08_audience() {
    let scene = Scene::new().await;
    let cases: Vec<(&str, Value, Option<Value>)> = vec![
        ("a list without us", json!(["a", "b"]), Some(json!(CLIENT_ID))),
        ("another", json!("somebody else"), None),
        ("several without azp", json!([CLIENT_ID, "other"]), None),
        ("ourselves twice without azp", json!([CLIENT_ID, CLIENT_ID]), None),
        ("azp is another", json!([CLIENT_ID, "other"]), Some(json!("other"))),
        ("azp is another, aud is us", json!(CLIENT_ID), Some(json!("other"))),
        ("azp is no text", json!(CLIENT_ID), Some(json!([CLIENT_ID]))),
        ("several, azp is null", json!([CLIENT_ID, "other"]), Some(Value::Null)),
        ("a prefix", json!("authd"), None),
        ("longer", json!(format!("{CLIENT_ID}2")), None),
        ("another case", json!(CLIENT_ID.to_uppercase()), None),
        ("with a space", json!(format!("{CLIENT_ID} ")), None),
        ("no text", json!(7), None),
        ("an empty list", json!([]), None),
        ("a list with what is no text", json!([CLIENT_ID, 7]), Some(json!(CLIENT_ID))),
        ("a list in a list", json!([[CLIENT_ID]]), None),
        ("an object", json!({CLIENT_ID: true}), None),
    ];
    for (what, aud, azp) in cases {
        scene.op.next_token(move |_, claims| {
            claims.insert("aud".into(), aud);
            azp.map(|azp| claims.insert("azp".into(), azp));
        });
        scene.refused("token_audience", what).await;
    }
    with(&scene, "aud", None).await;
    scene.refused("token_audience", "none").await;
    for (aud, azp) in [
        (json!([CLIENT_ID]), None),
        (json!([CLIENT_ID, "other"]), Some(json!(CLIENT_ID))),
        (json!(CLIENT_ID), Some(json!(CLIENT_ID))),
        (json!(CLIENT_ID), Some(Value::Null)),
    ] {
        scene.op.next_token(move |_, claims| {
            claims.insert("aud".into(), aud);
            azp.map(|azp| claims.insert("azp".into(), azp));
        });
        scene.sign_in().await.unwrap();
    }
    let named = Scene::with(|config| config.discovery.audience = Some("api://corp".into())).await;
    named.refused("token_audience", "the client id where another audience is set").await;
    with(&named, "aud", Some(json!("api://corp"))).await;
    named.sign_in().await.unwrap();
}

#[tokio::test]
async fn oidc_09_claims() {
    let scene = Scene::new().await;
    let now = scene.op.now();
    let cases: Vec<(&str, Option<Value>)> = vec![
        ("iss", None),
        ("iss", Some(json!("https://evil.example"))),
        ("iss", Some(json!(format!("{}/", scene.op.issuer)))),
        ("iss", Some(json!([scene.op.issuer.clone()]))),
        ("sub", None),
        ("sub", Some(json!(""))),
        ("sub", Some(json!(7))),
        ("sub", Some(json!("s".repeat(256)))),
        ("sub", Some(json!(["alice-1"]))),
        ("exp", None),
        ("exp", Some(json!((now + 300).to_string()))),
        ("exp", Some(json!(9_223_372_036_854_775_808_u64))),
        ("exp", Some(json!(1e300))),
        ("exp", Some(json!(-1))),
        ("exp", Some(json!(null))),
        ("exp", Some(json!(true))),
        ("exp", Some(json!(now as f64 + 300.0))),
        ("exp", Some(json!(now as f64 + 300.5))),
        ("exp", Some(json!(3.7e9))),
        ("iat", Some(json!(now as f64))),
        ("iat", Some(json!(1.5))),
        ("iat", Some(json!(null))),
        ("nbf", Some(json!(1e3))),
        ("nbf", Some(json!(1.5))),
        ("nbf", Some(json!(9_223_372_036_854_775_808_u64))),
        ("iat", None),
        ("iat", Some(json!(now.to_string()))),
        ("iat", Some(json!(now + 61))),
        ("iat", Some(json!(u64::MAX))),
        ("nbf", Some(json!("now"))),
        ("nbf", Some(json!(1e18))),
        ("auth_time", Some(json!("yesterday"))),
        ("auth_time", Some(json!(now + 3600))),
        ("auth_time", Some(json!({}))),
    ];
    for (name, value) in cases {
        let what = format!("{name} {value:?}");
        with(&scene, name, value).await;
        scene.refused("token_claims", &what).await;
    }
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("exp")] {
        scene.op.next_token(move |header, _| drop(header.insert("crit".into(), crit)));
        scene.refused("token_claims", "crit").await;
    }
    with(&scene, "sub", Some(json!("alice\u{0}"))).await;
    scene.refused("profile_invalid", "a control character").await;
    scene.sign_in().await.unwrap();
}

#[tokio::test]
async fn times_are_held_to_the_tolerance() {
    let default = Scene::new().await;
    let strict = Scene::with(|config| config.security.clock_tolerance_seconds = Some(0)).await;
    for (scene, tolerance) in [(&default, 60), (&strict, 0)] {
        let now = scene.op.now();
        for (name, at, code) in [
            ("exp", now - tolerance, Some("token_expired")),
            ("exp", now - tolerance + 1, None),
            ("iat", now + tolerance + 1, Some("token_claims")),
            ("iat", now + tolerance, None),
            ("nbf", now + tolerance + 1, Some("token_expired")),
            ("nbf", now + tolerance, None),
        ] {
            with(scene, name, Some(json!(at))).await;
            match code {
                Some(code) => drop(scene.refused(code, &format!("{name} {at}")).await),
                None => drop(scene.sign_in().await.unwrap_or_else(|error| panic!("{name} {at}: {error:?}"))),
            }
        }
    }
}

#[tokio::test]
async fn null_is_absent() {
    let scene = Scene::new().await;
    for name in ["azp", "nbf", "auth_time", "acr", "amr", "sid", "at_hash", "c_hash", "email", "groups", "picture"] {
        with(&scene, name, Some(Value::Null)).await;
        scene.sign_in().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    scene.op.person(|claims| drop(claims.insert("email".into(), "".into())));
    let profile = scene.sign_in().await.unwrap().profile;
    assert_eq!((profile.email, profile.email_verified), (None, false), "an empty address is none");
    let young = BeginRequest { max_age: Some(100), ..BeginRequest::default() };
    let begun = scene.begin_with(young).await.unwrap();
    with(&scene, "auth_time", Some(Value::Null)).await;
    let (outcome, _) = scene.finish(scene.op.approve(&begun.url), &begun.kept).await;
    assert_eq!(outcome.unwrap_err().code(), "token_claims", "what was asked for is not there");
}

#[tokio::test]
async fn an_age_that_was_asked_for_is_proved() {
    let scene = Scene::new().await;
    let now = scene.op.now();
    let young = || BeginRequest { max_age: Some(100), ..BeginRequest::default() };
    let forced = || BeginRequest { force: true, ..BeginRequest::default() };
    for (request, auth_time, holds) in [
        (young(), Some(json!(now - 160)), true),
        (young(), Some(json!(now as f64 - 99.5)), true),
        (young(), Some(json!(now - 161)), false),
        (young(), Some(json!(now + 61)), false),
        (young(), None, false),
        (forced(), Some(json!(now - 60)), true),
        (forced(), Some(json!(now - 61)), false),
        (forced(), None, true),
    ] {
        let what = format!("{request:?} {auth_time:?}");
        with(&scene, "auth_time", auth_time).await;
        let begun = scene.begin_with(request).await.unwrap();
        let (outcome, _) = scene.finish(scene.op.approve(&begun.url), &begun.kept).await;
        match outcome {
            Ok(_) => assert!(holds, "{what}"),
            Err(error) => assert!(!holds && error.code() == "token_claims", "{what}: {error:?}"),
        }
    }
    with(&scene, "auth_time", None).await;
    let begun = scene.begin_with(young()).await.unwrap();
    let (outcome, _) = scene.finish(scene.op.approve(&begun.url), &begun.kept).await;
    let help = outcome.unwrap_err().next_step().unwrap().to_owned();
    assert!(help.contains("`auth_time`") && help.contains("`max_age`"), "{help}");
}

#[tokio::test]
async fn groups_that_are_no_texts_and_groups_without_end_are_told_as_what_they_are() {
    let scene = Scene::new().await;
    scene.op.person(|claims| drop(claims.insert("groups".into(), json!([{"id": "1", "name": "a"}, "b"]))));
    let begun = scene.begin().await;
    let (outcome, checks) = scene.finish(scene.op.approve(&begun.url), &begun.kept).await;
    assert_eq!(outcome.unwrap().profile.groups, ["b"]);
    let row = checks.rows().iter().find(|row| row.name == "groups_cut").unwrap().clone();
    assert_eq!(row.expected.as_deref(), Some("a list of texts"));
    assert!(row.received.unwrap().contains(r#""name":"a""#));
    // What Entra ID sends at most: two hundred identifiers, more than a token may have.
    let many: Vec<String> = (0..200).map(|n| format!("{n:08x}-6c67-4c5b-b112-36a304b66dad")).collect();
    scene.op.person(move |claims| drop(claims.insert("groups".into(), json!(many))));
    let error = scene.refused("token_signature", "more than 8 KiB").await;
    assert!(error.message().contains("8 KiB") && error.next_step().unwrap().contains("groups"), "{error:?}");
}

#[tokio::test]
async fn oidc_10_binding() {
    let scene = Scene::new().await;
    for (name, value) in [
        ("at_hash", json!(half_hash("ES256", "another token"))),
        ("at_hash", json!("")),
        ("at_hash", json!([])),
        ("c_hash", json!(half_hash("ES256", "another code"))),
        ("c_hash", json!(7)),
    ] {
        with(&scene, name, Some(value)).await;
        scene.refused("token_binding", name).await;
    }
    let begun = scene.begin().await;
    let answer = scene.op.approve(&begun.url);
    with(&scene, "c_hash", Some(json!(half_hash("ES256", &answer["code"])))).await;
    scene.finish(answer, &begun.kept).await.0.unwrap();
    with(&scene, "at_hash", None).await;
    scene.sign_in().await.expect("it may be absent");
    for (what, edit) in [
        ("another sub", (|claims| drop(claims.insert("sub".into(), "bob".into()))) as fn(&mut Members)),
        ("none", |claims| drop(claims.remove("sub"))),
        ("another case", |claims| drop(claims.insert("sub".into(), "Alice-1".into()))),
        ("no text", |claims| drop(claims.insert("sub".into(), json!(["alice-1"])))),
    ] {
        scene.op.userinfo(edit);
        scene.refused("userinfo_sub", what).await;
    }
}

#[tokio::test]
async fn user_info_adds_what_the_token_leaves_out() {
    let scene = Scene::new().await;
    scene.op.every_token(|_, claims| {
        for name in ["email", "email_verified", "groups", "name"] {
            claims.remove(name);
        }
    });
    let person = scene.sign_in().await.unwrap();
    assert_eq!(person.profile.email.as_deref(), Some("alice@corp.example"));
    assert!(person.profile.email_verified);
    assert_eq!(person.profile.groups, ["staff", "admins"]);
    scene.op.userinfo(|claims| drop(claims.insert("given_name".into(), "Mallory".into())));
    assert_eq!(scene.sign_in().await.unwrap().profile.given_name.as_deref(), Some("Alice"), "the id_token comes first");
    for (status, code) in [(500, "upstream_unavailable"), (302, "upstream_invalid")] {
        scene.op.can(Endpoint::Userinfo, Some(Canned::json(status, &json!({}))));
        scene.refused(code, "user info fails").await;
    }
    scene.op.can(Endpoint::Userinfo, Some(Canned { status: 200, headers: vec![], body: b"<html>".to_vec() }));
    scene.refused("upstream_invalid", "user info is a page").await;
    scene.op.can(Endpoint::Userinfo, Some(Canned { status: 403, headers: vec![], body: vec![] }));
    assert_eq!(scene.sign_in().await.unwrap().profile.email, None, "the id_token alone, when it is not given");
}

#[tokio::test]
async fn user_info_that_fails_stops_only_whom_it_decides() {
    let scene = Scene::new().await;
    let failures = || {
        let page = Canned { status: 200, headers: vec![], body: b"<html>".to_vec() };
        [Canned::json(500, &json!({})), Canned::json(302, &json!({})), page]
    };
    for failure in failures() {
        scene.op.every_token(|_, claims| drop(claims.remove("groups")));
        scene.op.can(Endpoint::Userinfo, Some(failure.clone()));
        let begun = scene.begin().await;
        let (outcome, checks) = scene.finish(scene.op.approve(&begun.url), &begun.kept).await;
        let profile = outcome.unwrap().profile;
        assert_eq!((profile.email.as_deref(), profile.email_verified), (Some("alice@corp.example"), true));
        assert!(profile.groups.is_empty());
        assert!(checks.rows().iter().any(|row| row.name == "userinfo" && !row.ok), "it is noted");
        for needed in ["email", "email_verified"] {
            scene.op.every_token(move |_, claims| drop(claims.remove(needed)));
            let error = scene.sign_in().await.unwrap_err();
            assert!(error.code().starts_with("upstream_"), "{needed}: {error:?}");
        }
    }
    scene.op.every_token(|_, claims| drop(claims.remove("groups")));
    scene.op.can(Endpoint::Userinfo, None);
    scene.op.userinfo(|claims| drop(claims.insert("sub".into(), "bob".into())));
    scene.refused("userinfo_sub", "somebody else's claims").await;
}

#[tokio::test]
async fn signed_user_info_is_verified() {
    let scene = Scene::new().await;
    let signer = scene.op.signer();
    let issuer = scene.op.issuer.clone();
    let say = |claims: Value, by: &crate::world::op::Signer| {
        let token = by.token(&by.header(), claims.as_object().unwrap());
        let headers = vec![("content-type", "application/jwt; charset=utf-8".to_owned())];
        scene.op.can(Endpoint::Userinfo, Some(Canned { status: 200, headers, body: token.into_bytes() }));
    };
    say(json!({"iss": issuer, "aud": [CLIENT_ID], "sub": "alice-1", "picture": "https://corp.example/a.png"}), &signer);
    assert_eq!(scene.sign_in().await.unwrap().profile.image.as_deref(), Some("https://corp.example/a.png"));
    for claims in [json!({"sub": "alice-1"}), json!({"iss": issuer, "aud": null, "sub": "alice-1"})] {
        say(claims, &signer);
        scene.sign_in().await.expect("whose it is and for whom may be left out");
    }
    for (claims, by, code) in [
        (json!({"iss": issuer, "aud": CLIENT_ID, "sub": "bob"}), &signer, "userinfo_sub"),
        (json!({"iss": issuer, "aud": "other", "sub": "alice-1"}), &signer, "token_audience"),
        (json!({"iss": "https://evil.example", "sub": "alice-1"}), &signer, "token_claims"),
        (json!({"aud": 7, "sub": "alice-1"}), &signer, "token_audience"),
        (json!({"iss": issuer, "aud": CLIENT_ID}), &signer, "userinfo_sub"),
        (
            json!({"iss": issuer, "aud": CLIENT_ID, "sub": "alice-1"}),
            &crate::world::op::Signer::es256("key-1"),
            "token_signature",
        ),
    ] {
        say(claims, by);
        scene.refused(code, "signed user info").await;
    }
    let headers = vec![("content-type", "application/jwt".to_owned())];
    scene.op.can(Endpoint::Userinfo, Some(Canned { status: 200, headers, body: b"a.b.c.d.e".to_vec() }));
    scene.refused("token_signature", "an encrypted one").await;
}

#[tokio::test]
async fn oidc_11_only_true_is_verified() {
    let scene = Scene::new().await;
    for (value, verified) in [
        (Some(json!(true)), true),
        (Some(json!(false)), false),
        (None, false),
        (Some(json!("true")), false),
        (Some(json!("false")), false),
        (Some(json!(0)), false),
        (Some(json!(1)), false),
        (Some(json!(null)), false),
        (Some(json!([true])), false),
    ] {
        let what = format!("{value:?}");
        let told = match &value {
            None | Some(Value::Null) => "(absent)".to_owned(),
            Some(value) => value.to_string(),
        };
        let set = move |claims: &mut Members| {
            match &value {
                Some(value) => claims.insert("email_verified".into(), value.clone()),
                None => claims.remove("email_verified"),
            };
            // Entra's word that the domain's owner was verified says nothing of who may set the address.
            claims.insert("xms_edov".into(), json!(true));
        };
        scene.op.person(set);
        let begun = scene.begin().await;
        let (outcome, checks) = scene.finish(scene.op.approve(&begun.url), &begun.kept).await;
        assert_eq!(outcome.unwrap().profile.email_verified, verified, "{what}");
        // The operator sees what stood there: the text is told from the value.
        let row = checks.rows().iter().find(|row| row.name == "email_verified").unwrap();
        assert_eq!(row.received.as_deref(), Some(told.as_str()), "{what}");
    }
    // The same address by another claim than the one that is mapped is not the one that was verified.
    let mapped = Scene::with(|config| config.profile.mapping.email_verified = Some("verified.email".into())).await;
    assert!(!mapped.sign_in().await.unwrap().profile.email_verified);
    mapped.op.person(|claims| drop(claims.insert("verified".into(), json!({"email": true}))));
    assert!(mapped.sign_in().await.unwrap().profile.email_verified);
}

#[tokio::test]
async fn oidc_12_a_person_is_issuer_and_subject() {
    let scene = Scene::new().await;
    let before = scene.sign_in().await.unwrap();
    scene.op.person(|claims| drop(claims.insert("email".into(), "ceo@corp.example".into())));
    let after = scene.sign_in().await.unwrap();
    assert_eq!(before.subject, after.subject);
    assert_ne!(before.profile.email, after.profile.email);
    scene.op.person(|claims| drop(claims.insert("sub".into(), "alice-2".into())));
    assert_ne!(scene.sign_in().await.unwrap().subject, before.subject);
    assert!(!before.subject.contains("corp.example"));
    let mapped = Scene::with(|config| config.profile.mapping.subject = Some("oid".into())).await;
    mapped.refused("profile_invalid", "the mapped claim is absent").await;
    mapped.op.userinfo(|claims| drop(claims.insert("oid".into(), "7".into())));
    mapped.refused("profile_invalid", "user info is not signed, so it does not say who it is").await;
    mapped.op.person(|claims| drop(claims.insert("oid".into(), "7".into())));
    assert_eq!(mapped.sign_in().await.unwrap().subject, format!("oid@{}|7", mapped.op.issuer));
}

#[tokio::test]
async fn claims_are_found_where_the_mapping_says() {
    let scene = Scene::with(|config| {
        let mapping = &mut config.profile.mapping;
        mapping.groups = Some("https://corp.example/groups".into());
        mapping.roles = Some("realm_access.roles".into());
        mapping.name = Some("display".into());
        config.profile.extra_fields.insert("department".into(), "org.department".into());
    })
    .await;
    scene.op.person(|claims| {
        claims.insert("https://corp.example/groups".into(), json!("one"));
        claims.insert("realm_access".into(), json!({"roles": ["a", "b"]}));
        claims.insert("display".into(), json!("Al"));
        claims.insert("org".into(), json!({"department": {"id": 7}}));
    });
    let profile = scene.sign_in().await.unwrap().profile;
    assert_eq!((profile.groups, profile.roles), (vec!["one".to_owned()], vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(profile.name.as_deref(), Some("Al"));
    assert_eq!(profile.extra["department"], json!({"id": 7}));
}
