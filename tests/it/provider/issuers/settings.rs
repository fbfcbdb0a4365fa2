//! What a trusted issuer may be set to.

use authd::access::perform;
use authd::event::EventKind;
use authd::token::{DeleteIssuer, GetIssuer, ListIssuers, UpdateIssuer};
use serde_json::{Value, json};

use super::super::ISSUER;
use super::{IDP, Scene, key_set};

#[tokio::test]
async fn what_cannot_hold_is_refused_and_names_its_field() {
    let scene = Scene::new().await;
    let custom = |changes: Value| {
        let mut all = json!({"kind": "customJwt", "issuer": IDP, "jwks": "https://idp.example/jwks",
            "algorithm": "ES256", "applicationID": "a"});
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                all.as_object_mut().unwrap().remove(name);
            } else {
                all[name] = value.clone();
            }
        }
        all
    };
    let mut private = scene.signer.jwk();
    private["d"] = "AA".into();
    let private = json!({"keys": [private]});
    for (fields, named) in [
        (json!({"kind": "oidc", "domain": "idp.example"}), "applicationID"),
        (json!({"kind": "oidc", "domain": "idp.example", "applicationID": "a", "anyAudience": true}), "anyAudience"),
        (json!({"kind": "oidc", "domain": "idp.example", "applicationID": ""}), "applicationID"),
        (json!({"kind": "oidc", "domain": "idp.example", "applicationID": " a"}), "applicationID"),
        (json!({"kind": "oidc", "applicationID": "a"}), "domain"),
        (json!({"kind": "oidc", "domain": "ftp://idp.example", "applicationID": "a"}), "domain"),
        (json!({"kind": "oidc", "domain": "https://u:p@idp.example", "applicationID": "a"}), "domain"),
        (json!({"kind": "oidc", "domain": "idp.example", "issuer": IDP, "applicationID": "a"}), "issuer"),
        (json!({"kind": "oidc", "domain": "idp.example", "jwks": "https://x.example", "applicationID": "a"}), "jwks"),
        (json!({"kind": "oidc", "domain": ISSUER, "anyAudience": true}), "issuer"),
        (custom(json!({"issuer": null})), "issuer"),
        (custom(json!({"issuer": "https://a|b"})), "issuer"),
        (custom(json!({"issuer": ISSUER})), "issuer"),
        (custom(json!({"domain": "idp.example"})), "domain"),
        (custom(json!({"jwks": null})), "jwks"),
        (custom(json!({"jwks": "keys.json"})), "jwks"),
        (custom(json!({"jwks": "file:///etc/passwd"})), "jwks"),
        (custom(json!({"jwks": "data:,{}"})), "jwks"),
        (custom(json!({"jwks": format!("data:,{private}")})), "jwks"),
        (custom(json!({"algorithm": null})), "algorithm"),
        (custom(json!({"applicationID": null})), "applicationID"),
        (custom(json!({"name": "a\nb"})), "name"),
    ] {
        let error = scene.try_trust(fields.clone()).await.unwrap_err();
        assert_eq!(error.code(), "invalid_input", "{fields}");
        assert!(error.message().contains(&format!("`{named}`")), "{fields}: {}", error.message());
    }
    let common = json!({"kind": "oidc", "domain": "login.microsoftonline.com/common/v2.0", "applicationID": "a"});
    assert_eq!(scene.try_trust(common).await.unwrap_err().code(), "issuer_multi_tenant");
    for word in ["HS256", "none", "EdDSA", "PS256"] {
        let wish = custom(json!({"algorithm": word, "organization": scene.organization}));
        assert!(serde_json::from_value::<authd::token::CreateIssuer>(wish).is_err(), "{word}");
    }
    assert_eq!(scene.lab.count(EventKind::IssuerCreated).await, 0);
}

#[tokio::test]
async fn an_issuer_lives_from_its_creation_to_its_removal() {
    let scene = Scene::new().await;
    let issuer = scene.trusts_idp().await;
    let view = serde_json::to_value(&issuer).unwrap();
    assert_eq!((&view["domain"], &view["applicationID"]), (&json!("https://idp.example"), &json!("my-app")));
    assert!(view.get("issuer").is_none() && view.get("jwks").is_none());
    let twice = scene.try_trust(json!({"kind": "oidc", "domain": "https://idp.example/", "applicationID": "my-app"}));
    assert_eq!(twice.await.unwrap_err().code(), "taken", "the same one, with a slash");

    let update = async |changes: Value| {
        let mut input = json!({"id": issuer.id});
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        perform(&scene.lab.operator(), &serde_json::from_value::<UpdateIssuer>(input).unwrap()).await
    };
    assert_eq!(update(json!({})).await.unwrap_err().code(), "invalid_input");
    assert_eq!(update(json!({"applicationID": null})).await.unwrap_err().code(), "invalid_input");
    assert_eq!(update(json!({"issuer": IDP})).await.unwrap_err().code(), "invalid_input");
    assert_eq!(update(json!({"algorithm": "ES256"})).await.unwrap_err().code(), "invalid_input");
    let changed = update(json!({"applicationID": "another", "storeUsers": true, "name": "IdP"})).await.unwrap();
    assert_eq!(
        (changed.application_id.as_deref(), changed.store_users, &*changed.name),
        (Some("another"), true, "IdP")
    );
    Scene::refused(&scene.identity(&scene.token(json!({}))).await, "the audience of before");
    assert_eq!(scene.identity(&scene.token(json!({"aud": "another"}))).await.status, 200);
    let any = update(json!({"anyAudience": true})).await.unwrap();
    assert_eq!(any.application_id, None);

    let listed = scene.lab.perform(ListIssuers { organization: Some(scene.organization), paging: Default::default() });
    assert_eq!(listed.await.items.len(), 1);
    assert_eq!(scene.identity(&scene.token(json!({}))).await.status, 200);
    scene.lab.perform(DeleteIssuer { id: issuer.id }).await;
    Scene::refused(&scene.identity(&scene.token(json!({}))).await, "it is trusted no longer");
    let gone = perform(&scene.lab.operator(), &GetIssuer { id: issuer.id }).await.unwrap_err();
    assert_eq!(gone.code(), "not_found");
    for kind in [EventKind::IssuerCreated, EventKind::IssuerUpdated, EventKind::IssuerRemoved] {
        assert!(scene.lab.count(kind).await >= 1, "{kind}");
    }
}

#[tokio::test]
async fn keys_in_a_setting_hold_from_its_change_on() {
    let scene = Scene::new().await;
    let next = crate::world::op::Signer::es256("key-1");
    let issuer = scene
        .trusts(json!({"kind": "customJwt", "issuer": IDP, "algorithm": "ES256", "applicationID": "my-app",
            "jwks": format!("data:,{}", key_set(&[&scene.signer]))}))
        .await;
    assert_eq!(scene.identity(&scene.token(json!({}))).await.status, 200);
    let jwks = Some(format!("data:,{}", key_set(&[&next])));
    let input = json!({"id": issuer.id, "jwks": jwks});
    perform(&scene.lab.operator(), &serde_json::from_value::<UpdateIssuer>(input).unwrap()).await.unwrap();
    Scene::refused(&scene.identity(&scene.token(json!({}))).await, "the key of before");
    assert_eq!(scene.identity(&next.token(&next.header(), &scene.claims(json!({})))).await.status, 200);
}
