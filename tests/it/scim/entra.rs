//! The requests of Microsoft's own description of what Entra's provisioning sends ("Develop and plan provisioning for a
//! SCIM endpoint").

use serde_json::json;

use super::*;

#[tokio::test]
async fn entra_provisions_a_person_through_a_whole_life() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;

    // The test of the connection asks for somebody who cannot be there.
    let miss = own.get("/Users?filter=userName%20eq%20%22non-existent%20user%22").await;
    assert_eq!((&miss.body["totalResults"], miss.resources().len()), (&json!(0), 0));

    let made = own.post("/Users", json!({
        "schemas": [USER, ENTERPRISE],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User_ab6490ee-1e48-479e-a20b-2d77186b5dd1@corp.example",
        "active": true,
        "emails": [{"primary": true, "type": "work", "value": "Test_User_fd0ea19b-0777-472c-9f96-4f70d2226f2e@corp.example"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
        "roles": []
    })).await.done(201);
    let id = made.id();
    let read = own.get(&format!("/Users/{id}")).await.done(200);
    assert_eq!(read.body["externalId"], "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef");
    let found = own
        .get("/Users?filter=userName%20eq%20%22TEST_user_ab6490ee-1e48-479e-a20b-2d77186b5dd1%40corp.example%22")
        .await;
    assert_eq!(found.resources()[0]["id"], id, "compared without case");

    // Several attributes, with value paths; what is not there yet is made.
    let many = json!([
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "updated@corp.example"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
        {"op": "Add", "path": "addresses[type eq \"work\"].locality", "value": "Redmond"},
        {"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+1 425"},
        {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Sales"},
        {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": "b7f2d9a5"},
        {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:CustomAttribute:User.tag", "value": "red"}
    ]);
    let updated = own.patch(&format!("/Users/{id}"), many).await.done(200).body;
    assert_eq!(
        (&updated["emails"][0]["value"], &updated["name"]["familyName"]),
        (&json!("updated@corp.example"), &json!("updatedFamilyName"))
    );
    assert_eq!(
        (&updated["addresses"][0], &updated["phoneNumbers"][0]),
        (&json!({"type": "work", "locality": "Redmond"}), &json!({"type": "mobile", "value": "+1 425"}))
    );
    assert_eq!(updated[ENTERPRISE], json!({"department": "Sales", "manager": {"value": "b7f2d9a5"}}));
    let known = member(&scene, &id).await.unwrap();
    assert_eq!(
        (known.email.as_deref(), known.family_name.as_deref(), known.given_name.as_deref()),
        (Some("updated@corp.example"), Some("updatedFamilyName"), Some("givenName"))
    );

    // In one object, with paths as names.
    let one = json!([{"op": "Replace", "value": {
        "displayName": "Gabi", "active": "True", "name.givenName": "Gabriela",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber": "7",
        "emails[type eq \"work\"].value": "gabi@corp.example"
    }}]);
    let updated = own.patch(&format!("/Users/{id}"), one).await.done(200).body;
    assert_eq!(
        (&updated["displayName"], &updated["name"]["givenName"], &updated[ENTERPRISE]["employeeNumber"]),
        (&json!("Gabi"), &json!("Gabriela"), &json!("7"))
    );
    let renamed = json!([{"op": "Replace", "path": "userName", "value": "gabi@corp.example"}]);
    assert_eq!(own.patch(&format!("/Users/{id}"), renamed).await.done(200).body["userName"], "gabi@corp.example");
    // Cleared.
    let cleared = json!([
        {"op": "Replace", "path": "displayName", "value": ""},
        {"op": "Remove", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"},
        {"op": "Replace", "path": "phoneNumbers[type eq \"mobile\"].value", "value": null}
    ]);
    let updated = own.patch(&format!("/Users/{id}"), cleared).await.done(200).body;
    assert!(
        updated.get("displayName").is_none()
            && updated.get("phoneNumbers").is_none()
            && updated[ENTERPRISE].get("manager").is_none(),
        "{updated}"
    );
    assert_eq!(
        member(&scene, &id).await.unwrap().name.as_deref(),
        Some("givenName familyName"),
        "what is left says the name"
    );

    // Soft delete, return, and the delete 30 days later.
    let active = |is: &str| json!([{"op": "Replace", "path": "active", "value": is}]);
    assert_eq!(own.patch(&format!("/Users/{id}"), active("False")).await.done(200).body["active"], false);
    assert_eq!(own.get(&format!("/Users/{id}")).await.done(200).body["active"], false);
    assert_eq!(own.patch(&format!("/Users/{id}"), active("True")).await.done(200).body["active"], true);
    own.delete(&format!("/Users/{id}")).await.done(204);
    assert_eq!(own.get(&format!("/Users/{id}")).await.refusal().0, 404);
    assert!(own.filter("Users", "externalId eq \"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef\"").await.resources().is_empty());
}

#[tokio::test]
async fn entra_provisions_groups() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let (ada, bob) = (own.person("ada@corp.example").await, own.person("bob@corp.example").await);
    let made = own.post("/Groups", json!({
        "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159", "displayName": "displayName", "meta": {"resourceType": "Group"}
    })).await.done(201);
    let id = made.id();
    let read = own.get(&format!("/Groups/{id}?excludedAttributes=members")).await.done(200);
    assert_eq!((&read.body["displayName"], read.body.get("members")), (&json!("displayName"), None));
    let found = own.get("/Groups?excludedAttributes=members&filter=displayName%20eq%20%22displayName%22").await;
    assert_eq!(found.resources()[0]["id"], id);
    let renamed = json!([{"op": "Replace", "path": "displayName", "value": "1879db59-3bdf-4490-ad68-ab880a269474updatedDisplayName"}]);
    own.patch(&format!("/Groups/{id}"), renamed).await.done(200);
    let add = |who: &str| json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": who}]}]);
    own.patch(&format!("/Groups/{id}"), add(&ada)).await.done(200);
    own.patch(&format!("/Groups/{id}"), add(&bob)).await.done(200);
    own.patch(&format!("/Groups/{id}"), add(&bob)).await.done(200);
    assert_eq!(own.members(&id).await.len(), 2);
    let asked = format!(
        "/Groups?excludedAttributes=members&filter={}",
        encoded(&format!("id eq \"{id}\" and members eq \"{ada}\""))
    );
    assert_eq!(own.get(&asked).await.resources().len(), 1);
    let remove = json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": ada}]}]);
    own.patch(&format!("/Groups/{id}"), remove).await.done(200);
    assert_eq!(own.members(&id).await, std::slice::from_ref(&bob), "nobody else goes");
    assert!(own.get(&asked).await.resources().is_empty());
    own.delete(&format!("/Groups/{id}")).await.done(204);
    assert_eq!(own.get(&format!("/Groups/{id}")).await.refusal().0, 404);
}
