//! Tokens that are taken, and the identity that they prove.

use base64::Engine as _;
use serde_json::{Value, json};

use super::{IDP, Scene, key_set};
use crate::world::op::Signer;

#[tokio::test]
async fn the_identity_has_the_names_that_clients_know() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    let token = scene.token(json!({
        "name": "Ada", "given_name": "Ada", "family_name": "Lovelace", "nickname": "ada", "picture": "https://p.example/1",
        "email": "ada@idp.example", "email_verified": true, "updated_at": 1_767_225_600,
        "properties": {"id": "p1", "plan": {"name": "pro"}}, "role": "admin", "userId": "forged",
    }));
    let answer = scene.identity(&token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(
        answer.body,
        json!({
            "tokenIdentifier": format!("{IDP}|user-1"), "subject": "user-1", "issuer": IDP,
            "name": "Ada", "givenName": "Ada", "familyName": "Lovelace", "nickname": "ada",
            "pictureUrl": "https://p.example/1", "email": "ada@idp.example", "emailVerified": true,
            "updatedAt": "2026-01-01T00:00:00.000Z", "role": "admin", "properties.id": "p1",
            "properties.plan.name": "pro", "organizationId": scene.organization,
        })
    );
}

#[tokio::test]
async fn one_slash_at_the_end_of_a_domain_makes_no_difference() {
    for (domain, iss, taken) in [
        ("idp.example", "https://idp.example", true),
        ("idp.example", "https://idp.example/", true),
        ("https://idp.example/", "https://idp.example", true),
        ("https://idp.example/", "https://idp.example/", true),
        ("https://idp.example", "https://idp.example//", false),
        ("https://idp.example", "http://idp.example", false),
        ("https://idp.example", "https://idp.example/x", false),
        ("https://idp.example", "https://IDP.example", false),
        ("https://idp.example", "https://idp.example:443", false),
    ] {
        let scene = Scene::new().await;
        scene.trusts(json!({"kind": "oidc", "domain": domain, "applicationID": "my-app"})).await;
        let answer = scene.identity(&scene.token(json!({"iss": iss}))).await;
        assert_eq!(answer.status == 200, taken, "{domain} {iss}: {}", answer.body);
        if taken {
            assert_eq!(answer.text("tokenIdentifier"), format!("{iss}|user-1"), "as the token says it");
        }
    }
}

#[tokio::test]
async fn keys_come_by_address_or_with_the_setting() {
    let scene = Scene::new().await;
    let keys = key_set(&[&scene.signer]).to_string();
    let base64 = base64::engine::general_purpose::STANDARD.encode(&keys);
    let percent: String = url::form_urlencoded::byte_serialize(keys.as_bytes()).collect();
    for (place, jwks) in [
        "https://idp.example/jwks".to_owned(),
        format!("data:application/json,{keys}"),
        format!("data:application/json,{percent}"),
        format!("data:text/plain;charset=utf-8;base64,{base64}"),
    ]
    .into_iter()
    .enumerate()
    {
        let audience = format!("app-{place}");
        scene
            .trusts(json!({"kind": "customJwt", "issuer": IDP, "jwks": jwks, "algorithm": "ES256",
                "applicationID": audience}))
            .await;
        let answer = scene.identity(&scene.token(json!({"aud": audience}))).await;
        assert_eq!(answer.status, 200, "{jwks}: {}", answer.body);
        // Of an issuer that is set letter for letter, every letter counts.
        Scene::refused(
            &scene.identity(&scene.token(json!({"aud": audience, "iss": format!("{IDP}/")}))).await,
            "slash",
        );
    }
    assert_eq!(scene.outside.asked("https://idp.example/.well-known/openid-configuration"), 0);
    let rsa = Signer::rsa(0, "rsa", "RS256");
    let keys = key_set(&[&rsa]);
    scene
        .trusts(json!({"kind": "customJwt", "issuer": "urn:own:service", "jwks": format!("data:,{keys}"),
            "algorithm": "RS256", "applicationID": "a"}))
        .await;
    let token = rsa.token(&rsa.header(), &scene.claims(json!({"iss": "urn:own:service", "aud": "a"})));
    assert_eq!(scene.identity(&token).await.status, 200);
}

#[tokio::test]
async fn the_audience_is_one_of_the_token_exactly_or_any_where_somebody_said_so() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    for (aud, taken) in [
        (json!("my-app"), true),
        (json!(["other", "my-app"]), true),
        (json!(["my-app", 1]), false),
        (json!([]), false),
        (json!("my-app "), false),
        (json!("My-App"), false),
        (json!("my-app2"), false),
        (json!("my"), false),
        (json!({"my-app": 1}), false),
        (json!(null), false),
    ] {
        let answer = scene.identity(&scene.token(json!({"aud": aud}))).await;
        assert_eq!(answer.status == 200, taken, "{aud}");
    }
    scene.trusts(json!({"kind": "oidc", "domain": "idp.example", "anyAudience": true})).await;
    for aud in [json!("whatever"), json!(null), json!(["a", "b"])] {
        assert_eq!(scene.identity(&scene.token(json!({"aud": aud}))).await.status, 200, "{aud}");
    }
}

#[tokio::test]
async fn who_trusts_the_same_issuer_elsewhere_is_not_mixed_up() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    let token = scene.token(json!({}));
    assert_eq!(scene.identity(&token).await.body["organizationId"], json!(scene.organization));

    // Another tenant trusts the same issuer and audience, with keys of its own choice.
    let other = scene.lab.organization("Other").await;
    let own = Signer::es256("key-1");
    scene
        .trusts(json!({"organization": other, "kind": "customJwt", "issuer": IDP, "algorithm": "ES256",
            "jwks": format!("data:,{}", key_set(&[&own])), "applicationID": "my-app"}))
        .await;
    let forged = own.token(&own.header(), &scene.claims(json!({})));
    for (token, organization) in [(&token, scene.organization), (&forged, other)] {
        let answer = scene.identity(token).await;
        assert_eq!(answer.body["organizationId"], json!(organization), "whose keys hold it, it is of: {}", answer.body);
    }
    let at = |organization| format!("/v1/identity?organization={organization}");
    let (ours, theirs) = (at(scene.organization), at(other));
    assert_eq!(scene.identity_at(&ours, &token).await.status, 200);
    assert_eq!(scene.identity_at(&theirs, &forged).await.body["organizationId"], json!(other));
    Scene::refused(&scene.identity_at(&ours, &forged).await, "the other tenant's key");
    Scene::refused(&scene.identity_at(&theirs, &token).await, "the other tenant trusts another key");

    // A tenant that is disabled, or that trusts nobody, takes nothing.
    let third = scene.lab.organization("Third").await;
    Scene::refused(&scene.identity_at(&at(third), &token).await, "it trusts nobody");
    scene.lab.perform(authd::directory::DisableOrganization { id: scene.organization }).await;
    Scene::refused(&scene.identity_at(&ours, &token).await, "disabled");
}

#[tokio::test]
async fn the_bearer_is_in_the_header_and_nowhere_else() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    let token = scene.token(json!({}));
    let ask = async |values: &[&str], path: &str| {
        let mut request = axum::http::Request::get(path);
        for value in values {
            request = request.header("authorization", *value);
        }
        scene.lab.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let bearer = format!("bearer {token}");
    assert_eq!(ask(&[&bearer], "/v1/identity").await.status, 200);
    let basic = format!("Basic {token}");
    for values in [&[][..], &[&*bearer, &*bearer], &[&*basic], &[&*token], &["Bearer "], &["Bearer"]] {
        assert_eq!(ask(values, "/v1/identity").await.text("code"), "not_signed_in", "{values:?}");
    }
    let named = format!("/v1/identity?access_token={token}");
    assert_eq!(ask(&[], &named).await.text("code"), "not_signed_in");
    assert_eq!(ask(&[&bearer], &named).await.text("code"), "unknown_field");
    assert_eq!(ask(&[&bearer], "/v1/identity?organization=org_x").await.text("code"), "invalid_input");
}

/// What another tenant may set up for the same issuer and audience.
fn others_trust(place: usize, keys: &Value) -> Value {
    match place {
        0 => json!({"kind": "customJwt", "issuer": IDP, "algorithm": "ES256", "applicationID": "my-app",
            "jwks": format!("data:,{keys}"), "storeUsers": true}),
        1 => json!({"kind": "customJwt", "issuer": IDP, "algorithm": "ES256", "applicationID": "my-app",
            "jwks": "https://silent.example/jwks", "storeUsers": true}),
        2 => json!({"kind": "oidc", "domain": IDP, "applicationID": "my-app", "storeUsers": true}),
        _ => json!({"kind": "oidc", "domain": IDP, "applicationID": "my-app"}),
    }
}

#[tokio::test]
async fn another_tenants_trust_changes_nothing_for_ones_people() {
    for (place, first) in (0..4).flat_map(|place| [(place, false), (place, true)]) {
        let scene = Scene::new().await;
        let other = scene.lab.organization("Other").await;
        let foreign = Signer::es256("key-1");
        let theirs = async || {
            let mut fields = others_trust(place, &key_set(&[&foreign]));
            fields["organization"] = json!(other);
            scene.trusts(fields).await;
        };
        if first {
            theirs().await;
        }
        scene
            .trusts(json!({"kind": "oidc", "domain": "idp.example", "applicationID": "my-app", "storeUsers": true}))
            .await;
        let at = |organization| format!("/v1/identity?organization={organization}");
        let known = scene.token(json!({"name": "Ada"}));
        let answer = scene.identity_at(&at(scene.organization), &known).await;
        let user = answer.body["userId"].clone();
        assert!(user.is_string(), "{}", answer.body);
        scene.lab.env().advance(std::time::Duration::from_secs(1));
        if !first {
            theirs().await;
        }
        // They make the subject known to themselves, with keys of their own or with the very token.
        let forged = foreign.token(&foreign.header(), &scene.claims(json!({"name": "Eve"})));
        for token in [&forged, &known] {
            let _ = scene.identity_at(&at(other), token).await;
        }
        for _ in 0..2 {
            let answer = scene.identity(&known).await;
            assert_eq!(
                (&answer.body["organizationId"], &answer.body["userId"]),
                (&json!(scene.organization), &user),
                "{place} {first}: {}",
                answer.body
            );
        }
        // Who is new to both, belongs to whoever trusted first and can tell that the token is genuine.
        let fresh = scene.identity(&scene.token(json!({"sub": "user-2"}))).await;
        let whose = if first && place >= 2 { other } else { scene.organization };
        assert_eq!(fresh.body["organizationId"], json!(whose), "{place} {first}: {}", fresh.body);
        let named = scene.identity_at(&at(scene.organization), &scene.token(json!({"sub": "user-2"}))).await;
        assert_eq!(named.body["organizationId"], json!(scene.organization));
        // A tenant that ends is in nobody's way, and nobody else is asked in the place of one who is named.
        scene.lab.perform(authd::directory::DisableOrganization { id: other }).await;
        assert_eq!(scene.identity(&known).await.body["userId"], user);
        assert_ne!(scene.identity_at(&at(other), &known).await.status, 200, "disabled");
    }
}

#[tokio::test]
async fn whose_access_has_ended_here_is_not_let_in_as_a_stranger_elsewhere() {
    let scene = Scene::new().await;
    scene.trusts(json!({"kind": "oidc", "domain": "idp.example", "applicationID": "my-app", "storeUsers": true})).await;
    let token = scene.token(json!({}));
    let user = scene.identity(&token).await.body["userId"].clone();
    let other = scene.lab.organization("Other").await;
    let mut fields = others_trust(3, &json!({}));
    fields["organization"] = json!(other);
    scene.trusts(fields).await;
    let suspend =
        serde_json::from_value::<authd::people::SuspendUser>(json!({"organization": scene.organization, "id": user}));
    scene.lab.perform(suspend.unwrap()).await;
    Scene::refused(&scene.identity(&token).await, "suspended");
}
