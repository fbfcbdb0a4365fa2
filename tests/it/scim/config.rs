//! How a directory may speak: what is set is what the server goes by.

use std::time::Duration;

use authd::access::Caller;
use authd::directory::Status;
use authd::event::Origin;
use serde_json::json;

use super::*;

/// The code by which an operation is refused.
async fn refused(scene: &Scene, name: &str, wish: Value) -> &'static str {
    let cx = scene.authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(scene.authd.env()));
    scene.authd.app.perform(&cx, name, wish).await.unwrap_err().code()
}

/// Sets, and has time pass, so that before and after are two times.
async fn set(scene: &Scene, mut wish: Value) -> Value {
    wish["connection"] = scene.connection.as_str().into();
    scene.authd.env().advance(Duration::from_secs(1));
    let set = scene.authd.operate("scim.set", wish).await;
    scene.authd.env().advance(Duration::from_secs(1));
    set
}

#[tokio::test]
async fn what_is_set_is_shown_and_brings_a_token_once() {
    let scene = Scene::new().await;
    let wish = json!({"connection": scene.connection});
    let before = scene.authd.operate("scim.get", wish.clone()).await;
    assert_eq!((&before["configured"], &before["configId"]), (&json!(false), &Value::Null));
    let status = scene.authd.operate("connection.status", json!({"id": scene.connection})).await;
    let base = format!("/connections/{}/scim/v2", scene.connection);
    let nothing = json!({"configured": false, "ready": false, "basePath": base, "deprovisionMode": "soft"});
    assert_eq!(status["protocols"]["scim"], nothing);

    let made =
        set(&scene, json!({"security": {"maxRequestSize": 4096}, "profile": {"mapping": {"email": "userName"}}})).await;
    assert_eq!((&made["connectionId"], &made["basePath"]), (&json!(scene.connection), &json!(base)));
    assert!(made["configId"].as_str().unwrap().starts_with("scf_"));
    let token = made["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("scim_"));
    let own = Directory { token, base: base.clone(), ..Directory::of(&scene, None).await };
    assert_eq!(own.get("/Users").await.status, 200);

    // What is absent stays; who has a token gets none, unless it is asked for.
    let again = set(&scene, json!({"deprovisionMode": "hard", "profile": {"extraFields": {"team": "title"}}})).await;
    assert_eq!((&again["configId"], again.get("token")), (&made["configId"], None));
    let shown = scene.authd.operate("scim.get", wish.clone()).await;
    assert_eq!(shown["security"], json!({"maxRequestSize": 4096}));
    assert_eq!(shown["profile"]["mapping"]["email"], "userName");
    assert_eq!(shown["profile"]["mapping"]["firstName"], "name.givenName", "what is usual is shown, too");
    assert_eq!(shown["profile"]["extraFields"], json!({"team": "title"}));
    let more = set(&scene, json!({"newToken": true, "deprovisionMode": null})).await;
    assert!(more["token"].is_string() && more["token"] != made["token"]);
    let shown = scene.authd.operate("scim.get", wish.clone()).await;
    assert!(shown.get("deprovisionMode").is_none() && !shown.to_string().contains("scim_"), "{shown}");
    assert_eq!(own.get("/Users").await.status, 200, "the token before is good, too");
    let status = scene.authd.operate("connection.status", json!({"id": scene.connection})).await;
    let ready = json!({"configured": true, "ready": true, "basePath": base, "deprovisionMode": "soft"});
    assert_eq!(status["protocols"]["scim"], ready);
    let report = scene.authd.operate("scim.status", wish).await;
    assert_eq!((&report["ready"], &report["liveTokens"]), (&json!(true), &json!(2)));
    let told = scene.authd.events().await;
    assert_eq!(told.iter().filter(|event| event.kind.name() == "connection.scim.set").count(), 3);
}

#[tokio::test]
async fn what_means_nothing_is_refused_and_changes_nothing() {
    let scene = Scene::new().await;
    for wish in [
        json!({"profile": {"mapping": {"email": "mail"}}}),
        json!({"profile": {"mapping": {"email": "emails[type eq"}}}),
        json!({"profile": {"mapping": {"active": "urn:ietf:params:scim:schemas:core:2.0:User"}}}),
        json!({"profile": {"mapping": {"name": "name.nick"}}}),
        json!({"profile": {"extraFields": {"a b": "title"}}}),
        json!({"profile": {"extraFields": {"a": "((("}}}),
        json!({"security": {"maxRequestSize": 10}}),
        json!({"security": {"maxRequestSize": 1_048_577}}),
    ] {
        let mut wish = wish;
        wish["connection"] = scene.connection.as_str().into();
        assert_eq!(refused(&scene, "scim.set", wish.clone()).await, "config_invalid", "{wish}");
    }
    let wish = json!({"connection": scene.connection, "status": "paused"});
    assert_eq!(refused(&scene, "scim.set", wish).await, "invalid_input");
    let wish = json!({"connection": scene.connection, "profile": {"mapping": {"mail": "userName"}}});
    assert_eq!(refused(&scene, "scim.set", wish).await, "unknown_field");
    let other = scene.authd.operate("organization.create", json!({"name": "Other"})).await["id"].clone();
    for name in ["scim.set", "scim.get", "scim.status", "scim.validate"] {
        let wish = json!({"connection": scene.connection, "organization": other});
        assert_eq!(refused(&scene, name, wish).await, "not_found", "{name}");
    }
    let shown = scene.authd.operate("scim.get", json!({"connection": scene.connection})).await;
    assert_eq!(shown["configured"], false);
}

#[tokio::test]
async fn a_directory_that_is_switched_off_is_not_listened_to() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let id = own.person("ada@corp.example").await;
    for status in ["disabled", "draft"] {
        set(&scene, json!({"status": status})).await;
        assert_eq!(own.get(&format!("/Users/{id}")).await.refusal(), (403, "scim_disabled".to_owned()), "{status}");
        assert_eq!(own.delete(&format!("/Users/{id}")).await.refusal().0, 403);
        assert_eq!(own.get("/ServiceProviderConfig").await.status, 200, "what the server can, it always says");
    }
    // The organization's own directory is another one.
    assert_eq!(Directory::of(&scene, None).await.get("/Users").await.status, 200);
    assert_eq!(member(&scene, &id).await.unwrap().status, Status::Active, "its people keep what they have");
    set(&scene, json!({"status": "active"})).await;
    assert_eq!(own.get(&format!("/Users/{id}")).await.status, 200);
}

#[tokio::test]
async fn scim_10_a_directory_has_a_bound_of_its_own() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let person = |size: usize| json!({"schemas": [USER], "userName": "big@corp.example", "title": "x".repeat(size)});
    set(&scene, json!({"security": {"maxRequestSize": 2048}})).await;
    assert_eq!(own.post("/Users", person(2_048)).await.refusal(), (413, "tooMany".to_owned()));
    own.post("/Users", person(1_500)).await.done(201);
    set(&scene, json!({"security": {"maxRequestSize": 0}})).await;
    own.put(
        &format!(
            "/Users/{}",
            own.filter("Users", "userName eq \"big@corp.example\"").await.resources()[0]["id"].as_str().unwrap()
        ),
        person(4_000),
    )
    .await
    .done(200);
}

#[tokio::test]
async fn attributes_mean_what_the_mapping_says() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let full = |department: &str, standing: &str| {
        json!({
            "schemas": [USER, ENTERPRISE],
            "userName": "ada", "externalId": "handle-of-ada",
            "name": {"givenName": "Ada", "familyName": "Lovelace", "formatted": "Countess"},
            "nickName": "Addie", "displayName": "Ada Lovelace", "userType": standing,
            "emails": [{"type": "home", "value": "ada@home.example", "primary": true},
                       {"type": "work", "value": "ada@corp.example"}],
            "phoneNumbers": [{"type": "mobile", "value": "+1"}, {"type": "work", "value": "+2"}],
            "entitlements": [{"value": "staff"}, {"value": "admins"}],
            ENTERPRISE: {"department": department, "employeeNumber": "0815"}
        })
    };
    let wish = json!({"profile": {
        "mapping": {
            "email": "emails[type eq \"work\"].value",
            "name": "name.formatted",
            "firstName": "nickName",
            "externalId": format!("{ENTERPRISE}:employeeNumber"),
            "phone": "phoneNumbers.primary",
            "active": "userType",
            "groups": "entitlements",
        },
        "extraFields": {"department": format!("{ENTERPRISE}:department"), "letters": "emails"}
    }});
    set(&scene, wish).await;
    let policy = json!({"organization": scene.organization,
        "patch": {"provisioning": {"groups": {"mode": "sync", "mapping": {"admins": ["viewer"]}}}}});
    scene.authd.operate("policy.update", policy).await;
    let id = own.post("/Users", full("Engines", "true")).await.done(201).id();
    let ada = member(&scene, &id).await.unwrap();
    assert_eq!(
        (ada.email.as_deref(), ada.name.as_deref(), ada.given_name.as_deref(), ada.family_name.as_deref()),
        (Some("ada@corp.example"), Some("Countess"), Some("Addie"), Some("Lovelace"))
    );
    assert_eq!((ada.groups.as_slice(), ada.mapped_roles().len()), (&["staff".to_owned(), "admins".to_owned()][..], 1));
    let extra: Value = serde_json::from_str(ada.extra.as_deref().unwrap()).unwrap();
    assert_eq!(extra["department"], "Engines");
    assert_eq!(extra["phone"], "+2", "the one for work goes first, where none is primary");
    assert_eq!(extra["letters"], json!(["ada@home.example", "ada@corp.example"]));
    // The resource is shown as it was said, and found by what it was said with.
    assert_eq!(own.filter("Users", "externalId eq \"handle-of-ada\"").await.resources().len(), 1);

    // `active` is what the mapped attribute says, and nothing else.
    let path = format!("/Users/{id}");
    own.patch(&path, json!([{"op": "replace", "path": "active", "value": false}])).await.done(200);
    assert_eq!(member(&scene, &id).await.unwrap().status, Status::Active);
    own.patch(&path, json!([{"op": "replace", "path": "userType", "value": "False"}])).await.done(200);
    assert_eq!(member(&scene, &id).await.unwrap().status, Status::Deprovisioned);
    own.patch(&path, json!([{"op": "replace", "path": "title", "value": "Countess"}])).await.done(200);
    assert_eq!(member(&scene, &id).await.unwrap().status, Status::Deprovisioned, "it did not say so");
    assert_eq!(own.put(&path, full("Tables", "True")).await.done(200).body["active"], true);

    // Another mapping is gone by from the next word on, also where that word is the same.
    set(&scene, json!({"profile": {"mapping": {"name": "", "email": "emails.primary", "active": ""}}})).await;
    assert_eq!(member(&scene, &id).await.unwrap().name.as_deref(), Some("Countess"), "nothing was said yet");
    let foreign = own.put(&path, full("Tables", "True")).await.refusal();
    assert_eq!(foreign, (403, "email_domain_not_owned".to_owned()), "the address at home is none of the connection's");
    set(&scene, json!({"profile": {"mapping": {"email": "emails[type eq \"work\"].value"}}})).await;
    own.put(&path, full("Tables", "True")).await.done(200);
    let ada = member(&scene, &id).await.unwrap();
    assert_eq!((ada.name.as_deref(), ada.email.as_deref()), (Some("Ada Lovelace"), Some("ada@corp.example")));
}

/// The provider's own word, told by the directory, is who signs in: whatever address they come with.
#[tokio::test]
async fn a_mapped_subject_is_known_at_the_first_sign_in() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    set(&scene, json!({"profile": {"mapping": {"subject": "externalId"}}})).await;
    let landed = scene.sign_in(&mut scene.authd.browser()).await;
    assert!(landed.query("code").is_some(), "somebody signs in, so that their subject is known");
    let first = scene.authd.operate("user.list", json!({"organization": scene.organization})).await;
    let alice = first["items"][0]["id"].as_str().unwrap().to_owned();
    let identities =
        scene.authd.operate("identity.list", json!({"organization": scene.organization, "user": alice})).await;
    let subject = identities["items"][0]["subject"].as_str().unwrap().to_owned();
    let word = subject.rsplit('|').next().unwrap();
    let known = json!({"schemas": [USER], "userName": "someone@corp.example", "externalId": word});
    let made = own.post("/Users", known).await.done(201).id();
    assert_eq!(made, alice, "the same subject is the same person");
    let stranger = json!({"schemas": [USER], "userName": "other@corp.example", "externalId": "another-subject"});
    assert_ne!(own.post("/Users", stranger).await.done(201).id(), alice);
}

#[tokio::test]
async fn a_directory_has_a_word_of_its_own_about_leavers() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let (kept, deleted) = (own.person("kept@corp.example").await, own.person("deleted@corp.example").await);
    own.delete(&format!("/Users/{kept}")).await.done(204);
    assert_eq!(member(&scene, &kept).await.unwrap().status, Status::Deprovisioned);
    set(&scene, json!({"deprovisionMode": "hard"})).await;
    own.delete(&format!("/Users/{deleted}")).await.done(204);
    assert!(member(&scene, &deleted).await.is_none());
}
