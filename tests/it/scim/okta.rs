//! The requests of Okta's own description of what its provisioning sends ("SCIM Protocol, version 2.0").

use serde_json::json;

use super::*;

#[tokio::test]
async fn okta_provisions_a_person_through_a_whole_life() {
    let scene = Scene::new().await;
    let own = Directory {
        base: format!("/connections/{}/scim/v2", scene.connection),
        ..Directory::of(&scene, Some(&scene.connection)).await
    };

    // The test of the connection, and the look whether the person is there.
    let first = own.get("/Users?startIndex=1&count=2").await;
    assert_eq!((first.resources().len(), &first.body["totalResults"]), (0, &json!(0)));
    let miss = own.get("/Users?filter=userName%20eq%20%22test.user%40corp.example%22&startIndex=1&count=100").await;
    assert_eq!(miss.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"]));
    assert_eq!(
        (&miss.body["totalResults"], &miss.body["startIndex"], &miss.body["itemsPerPage"]),
        (&json!(0), &json!(1), &json!(0))
    );
    assert!(miss.resources().is_empty());

    let made = own
        .post(
            "/Users",
            json!({
                "schemas": [USER],
                "userName": "test.user@corp.example",
                "name": {"givenName": "Test", "familyName": "User"},
                "emails": [{"primary": true, "value": "test.user@corp.example", "type": "work"}],
                "displayName": "Test User",
                "locale": "en-US",
                "externalId": "00ujl29u0le5T6Aj10h7",
                "groups": [],
                "password": "1mz050nq",
                "active": true
            }),
        )
        .await
        .done(201);
    let id = made.id();
    assert_eq!(made.headers["content-type"], "application/scim+json");
    assert_eq!((&made.body["active"], &made.body["meta"]["resourceType"]), (&json!(true), &json!("User")));
    assert!(made.body.get("password").is_none());
    let known = member(&scene, &id).await.unwrap();
    assert_eq!(
        (known.email.as_deref(), known.name.as_deref(), known.given_name.as_deref()),
        (Some("test.user@corp.example"), Some("Test User"), Some("Test"))
    );
    assert!(known.email_verified);

    // Made known twice.
    let twice =
        own.post("/Users", json!({"schemas": [USER], "userName": "test.user@corp.example", "active": true})).await;
    assert_eq!(twice.refusal(), (409, "uniqueness".to_owned()));

    // An update is a read and a PUT of all of it.
    let mut whole = own.get(&format!("/Users/{id}")).await.done(200).body;
    whole["name"]["middleName"] = json!("Excited");
    whole["displayName"] = json!("Test E. User");
    let updated = own.put(&format!("/Users/{id}"), whole.clone()).await.done(200);
    assert_eq!(updated.body["name"]["middleName"], "Excited");
    assert_eq!(member(&scene, &id).await.unwrap().name.as_deref(), Some("Test E. User"));

    // Deactivated, and reactivated, by PATCH or by PUT.
    let active = |is: bool| json!([{"op": "replace", "value": {"active": is}}]);
    let off = own.patch(&format!("/Users/{id}"), active(false)).await.done(200);
    assert_eq!(off.body["active"], false);
    assert_eq!(own.filter("Users", "userName eq \"test.user@corp.example\"").await.resources()[0]["active"], false);
    whole["active"] = json!(true);
    assert_eq!(own.put(&format!("/Users/{id}"), whole.clone()).await.done(200).body["active"], true);
    whole["active"] = json!(false);
    assert_eq!(own.put(&format!("/Users/{id}"), whole).await.done(200).body["active"], false);
    assert_eq!(own.patch(&format!("/Users/{id}"), active(true)).await.done(200).body["active"], true);

    assert_eq!(own.get("/Users/23a35c27-23d3-4c03-b4c5-6443c09e7173").await.refusal().0, 404);
}

#[tokio::test]
async fn okta_pushes_groups() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let (ada, bob) = (own.person("ada@corp.example").await, own.person("bob@corp.example").await);

    assert!(own.get("/Groups?startIndex=1&count=100").await.resources().is_empty());
    assert!(
        own.get("/Groups?filter=displayName%20eq%20%22Test%20SCIMv2%22&startIndex=1&count=100")
            .await
            .resources()
            .is_empty()
    );
    let made =
        own.post("/Groups", json!({"schemas": [GROUP], "displayName": "Test SCIMv2", "members": []})).await.done(201);
    let group = made.id();
    assert_eq!(made.body["displayName"], "Test SCIMv2");
    assert_eq!(own.get("/Groups?filter=displayName%20eq%20%22Test%20SCIMv2%22").await.resources().len(), 1);

    // Renamed: the id stands in the value.
    let renamed = own
        .patch(
            &format!("/Groups/{group}"),
            json!([{"op": "replace", "value": {"id": group, "displayName": "Test 1.0"}}]),
        )
        .await
        .done(200);
    assert_eq!((renamed.id(), &renamed.body["displayName"]), (group.clone(), &json!("Test 1.0")));

    // Members come and go, several operations at once.
    let patch = json!([
        {"op": "remove", "path": format!("members[value eq \"{bob}\"]")},
        {"op": "add", "path": "members", "value": [{"value": ada, "display": "ada@corp.example"}]}
    ]);
    own.patch(&format!("/Groups/{group}"), patch).await.done(200);
    assert_eq!(own.members(&group).await, std::slice::from_ref(&ada));
    let all = json!([{"op": "replace", "path": "members", "value": [{"value": ada, "display": "ada"}, {"value": bob, "display": "bob"}]}]);
    own.patch(&format!("/Groups/{group}"), all).await.done(200);
    assert_eq!(own.members(&group).await.len(), 2);
    let put = json!({"schemas": [GROUP], "id": group, "displayName": "Test 1.0", "members": [{"value": bob, "display": "bob"}]});
    own.put(&format!("/Groups/{group}"), put).await.done(200);
    assert_eq!(own.members(&group).await, std::slice::from_ref(&bob));
    own.delete(&format!("/Groups/{group}")).await.done(204);
    assert_eq!(own.get(&format!("/Groups/{group}")).await.refusal().0, 404);
}
