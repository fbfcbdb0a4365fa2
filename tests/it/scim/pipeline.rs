//! SCIM-05 to SCIM-08: what a directory may do to people, and what it ends.

use axum::http::StatusCode;
use serde_json::json;

use super::*;

fn access(tokens: &Value) -> String {
    tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned()
}

/// Alice, provisioned and signed in: her id, an access token, a refresh token, a key of hers, and her browser.
async fn alice(scene: &Scene, directory: &Directory) -> (String, String, String) {
    let id = match directory.filter("Users", "userName eq \"alice@corp.example\"").await.resources() {
        [] => directory.person("alice@corp.example").await,
        [known, ..] => known["id"].as_str().unwrap().to_owned(),
    };
    let landed = scene.sign_in(&mut scene.authd.browser()).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let wish = json!({"organization": scene.organization, "name": "laptop", "user": id, "grants": ["user.read"]});
    let key = scene.authd.operate("api_key.create", wish).await["key"].as_str().unwrap().to_owned();
    (id, access(&tokens), key)
}

async fn opens(scene: &Scene, token: &str, key: &str) -> (StatusCode, StatusCode) {
    let bearer = format!("Bearer {key}");
    let api =
        scene.authd.browser().send(axum::http::Method::GET, "/v1/users", &[("authorization", &bearer)], None).await;
    (scene.userinfo(token).await.status, api.status)
}

#[tokio::test]
async fn scim_07_whoever_is_deactivated_is_out_before_the_answer() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    scene.authd.person(scene.organization.parse().unwrap(), "owner", &["owner"]).await;
    type Shape = (&'static str, Value);
    let shapes: [Shape; 7] = [
        ("PATCH", json!([{"op": "replace", "path": "active", "value": false}])),
        ("PATCH", json!([{"op": "Replace", "path": "active", "value": "False"}])),
        ("PATCH", json!([{"op": "replace", "value": {"active": false}}])),
        (
            "PATCH",
            json!([{"op": "Add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "value": "false"}]),
        ),
        ("PUT", json!({"schemas": [USER], "userName": "alice@corp.example", "active": false})),
        ("Bulk", json!({"method": "PATCH", "data": {"Operations": [{"op": "replace", "value": {"active": "False"}}]}})),
        ("DELETE", Value::Null),
    ];
    for (method, body) in shapes {
        let (id, token, key) = alice(&scene, &own).await;
        scene
            .authd
            .operate("member.set_role", json!({"organization": scene.organization, "user": id, "roles": ["viewer"]}))
            .await;
        assert_eq!(opens(&scene, &token, &key).await, (StatusCode::OK, StatusCode::OK), "{method} {body}");
        let path = format!("/Users/{id}");
        let done = match method {
            "PATCH" => own.patch(&path, body.clone()).await.done(200),
            "PUT" => own.put(&path, body.clone()).await.done(200),
            "DELETE" => own.delete(&path).await.done(204),
            _ => {
                let mut operation = body.clone();
                operation["path"] = path.clone().into();
                own.post("/Bulk", json!({"Operations": [operation]})).await.done(200)
            }
        };
        assert_eq!(
            opens(&scene, &token, &key).await,
            (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED),
            "{method} {body}"
        );
        // Signing in does not give it back.
        let left = scene.leave(&mut scene.authd.browser()).await;
        let refused = scene.authd.browser().get(&scene.back(&left)).await;
        assert_ne!(refused.status, StatusCode::SEE_OTHER);
        match method {
            "DELETE" => {
                assert_eq!(own.get(&path).await.refusal().0, 404);
                // Known again, as the same person.
                assert_eq!(own.person("alice@corp.example").await, id);
            }
            "Bulk" => assert_eq!(done.body["Operations"][0]["status"], "200"),
            _ => assert_eq!(done.body["active"], false),
        }
        let active = own.patch(&path, json!([{"op": "replace", "path": "active", "value": true}])).await.done(200);
        assert_eq!(active.body["active"], true);
        assert_eq!(opens(&scene, &token, &key).await.0, StatusCode::UNAUTHORIZED, "what ended stays ended");
    }
    let kinds: Vec<_> = scene.authd.events().await.iter().map(|event| event.kind.name()).collect();
    for kind in [
        "connection.scim.user.provisioned",
        "connection.scim.user.deactivated",
        "connection.scim.user.reactivated",
        "user.deprovisioned",
    ] {
        assert!(kinds.contains(&kind), "{kind}");
    }
    let actor =
        scene.authd.events().await.into_iter().rfind(|event| event.kind.name() == "user.deprovisioned").unwrap();
    assert_eq!((actor.actor_type.as_str(), actor.actor_id.as_deref()), ("scim", Some(own.id.as_str())));
}

#[tokio::test]
async fn scim_07_whoever_leaves_a_group_loses_what_it_gave() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let patch = json!({"provisioning": {"groups": {"mode": "sync", "mapping": {"Admins": ["viewer"]}}}});
    scene.authd.operate("policy.update", json!({"organization": scene.organization, "patch": patch})).await;
    let (id, _, key) = alice(&scene, &own).await;
    let status = async || opens(&scene, "x", &key).await.1;
    assert_eq!(status().await, StatusCode::FORBIDDEN, "no group yet");
    let group = own.group("Admins", &[&id]).await;
    assert_eq!(status().await, StatusCode::OK);
    own.patch(&format!("/Groups/{group}"), json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]))
        .await
        .done(200);
    assert_eq!(status().await, StatusCode::FORBIDDEN);
    own.put(&format!("/Groups/{group}"), json!({"displayName": "Admins", "members": [{"value": id}]})).await.done(200);
    assert_eq!(status().await, StatusCode::OK);
    own.patch(&format!("/Groups/{group}"), json!([{"op": "replace", "path": "displayName", "value": "Others"}]))
        .await
        .done(200);
    assert_eq!(status().await, StatusCode::FORBIDDEN, "the mapping goes by the name");
    own.patch(&format!("/Groups/{group}"), json!([{"op": "replace", "value": {"displayName": "Admins"}}]))
        .await
        .done(200);
    assert_eq!(status().await, StatusCode::OK);
    own.delete(&format!("/Groups/{group}")).await.done(204);
    assert_eq!(status().await, StatusCode::FORBIDDEN);
    // Whoever is removed and comes back, is in none of the groups from before.
    let group = own.group("Admins", &[&id]).await;
    own.delete(&format!("/Users/{id}")).await.done(204);
    assert!(own.members(&group).await.is_empty());
    assert_eq!(own.person("alice@corp.example").await, id);
    assert!(member(&scene, &id).await.unwrap().effective_roles().is_empty());
}

#[tokio::test]
async fn scim_05_no_attribute_gives_a_role_or_what_only_authd_writes() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let owner = scene.authd.person(scene.organization.parse().unwrap(), "root", &["owner"]).await;
    let hostile = json!({
        "schemas": [USER, "urn:authd:2.0:User"],
        "id": owner.to_string(), "userName": "eve@corp.example", "password": "hunter2-of-eve", "active": true,
        "roles": [{"value": "owner", "primary": true}], "entitlements": [{"value": "*"}],
        "groups": [{"value": "grp_00000000000000000000000000", "display": "Owners"}], "isAdmin": true, "role": "owner",
        "meta": {"created": "1999-01-01T00:00:00Z", "version": "W/\"99\"", "location": "https://evil.example"},
        "grants": ["*"], "organization": "org_x", "user": owner.to_string(), "status": "active", "emailVerified": true,
        "urn:authd:2.0:User": {"roles": ["owner"], "grants": ["*"]},
        (ENTERPRISE): {"organization": "Other", "manager": {"value": owner.to_string(), "displayName": "Root"}},
    });
    let made = own.post("/Users", hostile.clone()).await.done(201);
    let id = made.id();
    assert_ne!(id, owner.to_string());
    let harmless = |answer: &Answer| {
        assert!(!answer.text.contains("hunter2-of-eve"), "{}", answer.text);
        assert!(answer.body.get("groups").is_none() && answer.body.get("password").is_none());
        assert_eq!(answer.body["id"], id);
        assert!(answer.body["meta"]["location"].as_str().unwrap().starts_with("http://127.0.0.1:8080/"));
        assert_ne!(answer.body["meta"]["version"], "W/\"99\"");
        assert!(answer.body[ENTERPRISE]["manager"].get("displayName").is_none());
    };
    harmless(&made);
    harmless(&own.put(&format!("/Users/{id}"), hostile.clone()).await.done(200));
    harmless(&own.patch(&format!("/Users/{id}"), json!([{"op": "add", "value": hostile}])).await.done(200));
    for path in ["id", "meta", "meta.version", "groups", "groups.value"] {
        let refused = own.patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": path, "value": "x"}])).await;
        assert_eq!(refused.refusal(), (400, "mutability".to_owned()), "{path}");
    }
    own.group("owner", &[&id]).await;
    let eve = member(&scene, &id).await.unwrap();
    assert!(eve.effective_roles().is_empty(), "{eve:?}");
    assert_eq!(eve.upstream_roles, ["owner"], "a name of the source, and nothing more");
    let file = scene.authd.events().await.iter().map(|event| serde_json::to_string(event).unwrap()).collect::<String>();
    assert!(!file.contains("hunter2-of-eve"));
}

#[tokio::test]
async fn scim_05_the_last_owner_stays() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let id = own.person("alice@corp.example").await;
    scene
        .authd
        .operate("member.set_role", json!({"organization": scene.organization, "user": id, "roles": ["owner"]}))
        .await;
    let path = format!("/Users/{id}");
    for refused in [
        own.patch(&path, json!([{"op": "replace", "path": "active", "value": "False"}])).await,
        own.put(&path, json!({"userName": "alice@corp.example", "active": false})).await,
        own.delete(&path).await,
    ] {
        assert_eq!(refused.refusal(), (409, "last_owner".to_owned()));
    }
    assert_eq!(own.get(&path).await.body["active"], true);
}

#[tokio::test]
async fn scim_06_nobody_is_taken_over() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let ada = own
        .post("/Users", json!({"userName": "Ada", "externalId": "7", "emails": [{"value": "ada@corp.example"}]}))
        .await
        .done(201)
        .id();
    let bob = own.person("bob@corp.example").await;
    // Brought by another connection of the organization.
    let (op, second) = crate::signin::connect(&scene.authd, &scene.organization, &[]).await;
    drop(op);
    let victim = scene.authd.person(scene.organization.parse().unwrap(), "victim", &["owner"]).await;
    let mut carl = member(&scene, &victim.to_string()).await.unwrap();
    carl.email = Some("carl@corp.example".into());
    carl.source = Some(second.parse().unwrap());
    let stored = scene
        .authd
        .app
        .world
        .store
        .get::<authd::directory::Membership>(authd::directory::Membership::key_of(carl.organization, victim))
        .await
        .unwrap()
        .unwrap();
    let mut batch = authd::store::Batch::new();
    let cx = scene.authd.app.context(authd::access::Caller::System, authd::event::Origin::internal(scene.authd.env()));
    batch.update(&carl, stored.revision).log(cx.event(authd::event::EventKind::UserUpdated));
    scene.authd.app.world.store.commit(batch).await.unwrap();

    let taken = (409, "uniqueness".to_owned());
    let post = async |body: Value| own.post("/Users", body).await.refusal();
    assert_eq!(post(json!({"userName": "ADA"})).await, taken, "whatever its case");
    assert_eq!(post(json!({"userName": "x", "externalId": "7"})).await, taken);
    assert_eq!(post(json!({"userName": "x", "emails": [{"value": "ADA@corp.example"}]})).await, taken);
    assert_eq!(post(json!({"userName": "carl@corp.example"})).await, taken, "of another connection");
    assert_eq!(post(json!({"userName": "ceo@other.example"})).await, (403, "email_domain_not_owned".to_owned()));
    let patch = async |operation: Value| own.patch(&format!("/Users/{bob}"), json!([operation])).await.refusal();
    assert_eq!(patch(json!({"op": "replace", "path": "userName", "value": "aDa"})).await, taken);
    assert_eq!(patch(json!({"op": "replace", "path": "externalId", "value": "7"})).await, taken);
    assert_eq!(
        patch(json!({"op": "add", "path": "emails", "value": [{"value": "carl@corp.example", "primary": true}]})).await,
        taken
    );
    let foreign = json!({"op": "add", "path": "emails", "value": [{"value": "bob@other.example", "primary": true}]});
    assert_eq!(patch(foreign).await, (403, "email_domain_not_owned".to_owned()));
    // Nothing of it has happened.
    assert_eq!(member(&scene, &victim.to_string()).await.unwrap(), carl);
    assert_eq!(member(&scene, &ada).await.unwrap().email.as_deref(), Some("ada@corp.example"));
    assert_eq!(own.get(&format!("/Users/{bob}")).await.body["userName"], "bob@corp.example");
    // Another tenant's person of the same address is another person.
    let other =
        scene.authd.operate("organization.create", json!({"name": "Other"})).await["id"].as_str().unwrap().to_owned();
    let elsewhere = Directory::within(&scene, &other, None).await;
    let refused = elsewhere.post("/Users", json!({"userName": "ada@corp.example"})).await;
    assert_eq!(refused.refusal(), (403, "email_domain_not_owned".to_owned()), "the domain is another's");
    let same = elsewhere.post("/Users", json!({"userName": "Ada", "externalId": "7"})).await.done(201).id();
    assert_ne!(same, ada);
}

#[tokio::test]
async fn scim_08_a_directory_lifts_no_ban() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let id = own.person("alice@corp.example").await;
    scene.authd.operate("user.suspend", json!({"id": id})).await;
    let (path, banned) = (format!("/Users/{id}"), (403, "suspended_by_admin".to_owned()));
    assert_eq!(own.get(&path).await.body["active"], false, "the directory sees it");
    for refused in [
        own.patch(&path, json!([{"op": "replace", "path": "active", "value": true}])).await,
        own.patch(&path, json!([{"op": "Replace", "value": {"active": "True", "title": "x"}}])).await,
        own.put(&path, json!({"userName": "alice@corp.example", "active": true})).await,
    ] {
        assert_eq!(refused.refusal(), banned);
    }
    // What does not speak of it goes on, and changes nothing of it.
    assert_eq!(
        own.patch(&path, json!([{"op": "replace", "path": "title", "value": "Dr"}])).await.done(200).body["active"],
        false
    );
    assert_eq!(own.put(&path, json!({"userName": "alice@corp.example"})).await.done(200).body["active"], false);
    // Neither does removing and making known again.
    own.delete(&path).await.done(204);
    assert_eq!(own.post("/Users", json!({"userName": "alice@corp.example"})).await.refusal(), banned);
    assert_eq!(own.get(&path).await.status, 404);
    scene.authd.operate("user.reactivate", json!({"id": id})).await;
    assert_eq!(own.post("/Users", json!({"userName": "alice@corp.example"})).await.done(201).id(), id);
}

#[tokio::test]
async fn a_patch_that_says_nothing_of_active_changes_nothing_of_it() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let id = own.person("alice@corp.example").await;
    let path = format!("/Users/{id}");
    own.patch(&path, json!([{"op": "replace", "path": "active", "value": false}])).await.done(200);
    for operation in [
        json!({"op": "replace", "path": "displayName", "value": "A"}),
        json!({"op": "add", "value": {"nickName": "a"}}),
        json!({"op": "remove", "path": "nickName"}),
        json!({"op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "active"}),
    ] {
        assert_eq!(own.patch(&path, json!([operation])).await.done(200).body["active"], false, "{operation}");
    }
    assert_eq!(own.put(&path, json!({"userName": "alice@corp.example"})).await.done(200).body["active"], false);
    // Neither does one that takes it away; it is only not shown any more, while there is nothing to tell.
    let remove = json!([{"op": "remove", "path": "active"}]);
    assert!(own.patch(&path, remove.clone()).await.done(200).body.get("active").is_none());
    assert_eq!(member(&scene, &id).await.unwrap().status, authd::directory::Status::Deprovisioned);
    own.patch(&path, json!([{"op": "replace", "path": "active", "value": true}])).await.done(200);
    assert!(own.patch(&path, remove).await.done(200).body.get("active").is_none());
    assert!(own.get(&path).await.body.get("active").is_none());
    assert_eq!(member(&scene, &id).await.unwrap().status, authd::directory::Status::Active);
    scene.authd.operate("user.suspend", json!({"id": id})).await;
    assert_eq!(own.get(&path).await.body["active"], false);
    scene.authd.operate("user.reactivate", json!({"id": id})).await;
    let put = json!({"userName": "alice@corp.example", "active": true});
    assert_eq!(own.put(&path, put).await.done(200).body["active"], true);
}

#[tokio::test]
async fn whom_a_directory_brought_signs_in_as_that_person() {
    for connection in [true, false] {
        let scene = Scene::new().await;
        let own = Directory::of(&scene, connection.then_some(scene.connection.as_str())).await;
        let body = json!({"userName": "alice@corp.example", "displayName": "Alice A.", "name": {"givenName": "Alice", "familyName": "A."}});
        let id = own.post("/Users", body).await.done(201).id();
        let landed = scene.sign_in(&mut scene.authd.browser()).await;
        let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
        let info = scene.userinfo(&access(&tokens)).await.json();
        assert_eq!((&info["sub"], &info["name"]), (&json!(id), &json!("Alice A.")), "{info}");
        assert_eq!(info["email_verified"], true);
        own.patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": "active", "value": false}]))
            .await
            .done(200);
        assert_eq!(scene.userinfo(&access(&tokens)).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_policy_that_deletes_leavers_deletes_what_was_said_of_them() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let patch = json!({"provisioning": {"deprovision": {"mode": "hard"}}});
    scene.authd.operate("policy.update", json!({"organization": scene.organization, "patch": patch})).await;
    for soft in [true, false] {
        let id = own.person("alice@corp.example").await;
        let group = own.group("Staff", &[&id]).await;
        let path = format!("/Users/{id}");
        if soft {
            own.patch(&path, json!([{"op": "replace", "path": "active", "value": false}])).await.done(204);
        } else {
            own.delete(&path).await.done(204);
        }
        assert_eq!(own.get(&path).await.refusal().0, 404);
        assert!(member(&scene, &id).await.is_none() && own.members(&group).await.is_empty());
        assert_eq!(
            scene.authd.app.world.store.counts().await.unwrap().get("scim_resource").copied().unwrap_or(0),
            if soft { 1 } else { 2 }
        );
    }
}
