//! Bulk requests whose operations refer to each other (RFC 7644 §3.7.1, §3.7.2), and groups within groups.

use serde_json::json;

use super::*;

/// What was answered to the operations, in their order.
async fn answers(directory: &Directory, request: Value) -> Vec<Value> {
    let done = directory.post("/Bulk", request).await.done(200);
    done.body["Operations"].as_array().unwrap().clone()
}

/// Status, and the keyword of a refusal.
fn outcome(answer: &Value) -> (&str, &str) {
    (answer["status"].as_str().unwrap(), answer["response"]["scimType"].as_str().unwrap_or_default())
}

/// What the answer says was made, as it is now; the answer has its place and its version.
async fn made(directory: &Directory, answer: &Value) -> Value {
    assert_eq!(answer["status"], "201", "{answer}");
    let now = directory.get(answer["location"].as_str().unwrap()).await.done(200);
    assert_eq!(
        (&answer["version"], &answer["location"]),
        (&now.body["meta"]["version"], &now.body["meta"]["location"])
    );
    assert_eq!((&answer["method"], answer.get("response")), (&json!("POST"), None));
    now.body
}

fn person(bulk_id: &str, manager: &str) -> Value {
    json!({"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": {
        "schemas": [USER, ENTERPRISE], "userName": format!("user-{bulk_id}"),
        ENTERPRISE: {"department": "D", "manager": {"value": format!("bulkId:{manager}")}}}})
}

fn group(bulk_id: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|name| json!({"value": format!("bulkId:{name}")})).collect();
    json!({"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": {
        "schemas": [GROUP], "displayName": format!("Group {bulk_id}"), "members": members}})
}

fn manager(person: &Value) -> &Value {
    &person[ENTERPRISE]["manager"]["value"]
}

async fn kinds(scene: &Scene) -> Vec<String> {
    scene.authd.events().await.into_iter().map(|event| event.kind.name().to_owned()).collect()
}

/// The example of RFC 7644 §3.7.1.
#[tokio::test]
async fn two_groups_may_be_members_of_each_other() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let request = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": "POST", "path": "/Groups", "bulkId": "qwerty", "data": {"schemas": [GROUP],
                "displayName": "Group A", "members": [{"type": "Group", "value": "bulkId:ytrewq"}]}},
            {"method": "POST", "path": "/Groups", "bulkId": "ytrewq", "data": {"schemas": [GROUP],
                "displayName": "Group B", "members": [{"type": "Group", "value": "bulkId:qwerty"}]}},
        ],
    });
    let before = kinds(&scene).await.len();
    let done = answers(&own, request).await;
    assert_eq!((&done[0]["bulkId"], &done[1]["bulkId"]), (&json!("qwerty"), &json!("ytrewq")));
    let (a, b) = (made(&own, &done[0]).await, made(&own, &done[1]).await);
    let member = |of: &Value| json!([{"value": of["id"], "$ref": of["meta"]["location"], "type": "Group"}]);
    assert_eq!((&a["members"], &b["members"]), (&member(&b), &member(&a)));
    let told: Vec<String> = kinds(&scene).await.split_off(before);
    let groups = |kind: &str| told.iter().filter(|told| told.ends_with(kind)).count();
    assert_eq!((groups("scim.group.provisioned"), groups("scim.group.updated")), (2, 1), "{told:?}");

    // Found by it, taken out of it, and gone with it.
    let (id, other) = (a["id"].as_str().unwrap(), b["id"].as_str().unwrap());
    let found = own.filter("Groups", &format!("members.value eq \"{other}\"")).await;
    assert_eq!(found.resources()[0]["id"], id);
    let person = own.person("ada").await;
    own.patch(&format!("/Groups/{id}"), json!([{"op": "add", "path": "members", "value": [{"value": person}]}]))
        .await
        .done(200);
    assert_eq!(own.members(id).await, [person.as_str(), other]);
    own.patch(&format!("/Groups/{id}"), json!([{"op": "remove", "path": format!("members[value eq \"{other}\"]")}]))
        .await
        .done(200);
    assert_eq!(own.members(id).await, [person.as_str()]);
    assert_eq!(own.members(other).await, [id]);
    own.delete(&format!("/Groups/{id}")).await.done(204);
    assert!(own.members(other).await.is_empty());
}

#[tokio::test]
async fn a_group_within_a_group_gives_nobody_anything() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let mapping = json!({"provisioning": {"groups": {"mode": "sync", "mapping": {"Admins": ["admin"]}}}});
    scene.authd.operate("policy.update", json!({"organization": scene.organization, "patch": mapping})).await;
    let ada = own.person("ada").await;
    let inner = own.group("Inner", &[&ada]).await;
    let outer = own.group("Admins", &[&inner]).await;
    assert_eq!(own.members(&outer).await, [inner.as_str()]);
    assert!(member(&scene, &ada).await.unwrap().effective_roles().is_empty());
    let path = format!("/Groups/{outer}");
    let version = own.get(&path).await.etag();
    // What changes nothing, keeps the version; each way to say that it goes.
    own.patch(&path, json!([{"op": "add", "path": "members", "value": [{"value": inner}]}])).await.done(200);
    assert_eq!(own.get(&path).await.etag(), version);
    for operation in [
        json!([{"op": "remove", "path": "members", "value": [{"value": inner}]}]),
        json!([{"op": "remove", "path": "members[type eq \"Group\"]"}]),
        json!([{"op": "replace", "path": "members", "value": [{"value": ada}]}]),
    ] {
        own.put(&path, json!({"displayName": "Admins", "members": [{"value": ada}, {"value": inner}]})).await.done(200);
        assert_eq!(own.members(&outer).await, [ada.as_str(), &inner]);
        assert_eq!(member(&scene, &ada).await.unwrap().effective_roles().len(), 1);
        own.patch(&path, operation).await.done(200);
        assert_eq!(own.members(&outer).await, [ada.as_str()]);
    }
    // A group of another directory is nobody here, and so is none.
    let other = Directory::of(&scene, Some(&scene.connection)).await.group("Theirs", &[]).await;
    for stranger in [other.as_str(), "grp_00000000000000000000000000", "nobody"] {
        let sent = json!({"displayName": "X", "members": [{"value": stranger}]});
        assert_eq!(own.post("/Groups", sent).await.refusal(), (400, "invalidValue".to_owned()), "{stranger}");
    }
}

#[tokio::test]
async fn people_may_be_each_others_managers_and_a_group_waits_for_them() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let before = kinds(&scene).await.len();
    let done = answers(
        &own,
        json!({"failOnErrors": 1, "Operations": [
            group("staff", &["a", "b", "c", "chief"]), person("a", "b"), person("b", "c"), person("c", "a"),
            person("chief", "chief"),
            {"method": "PATCH", "path": "/Groups/bulkId:staff", "data": [{"op": "replace", "path": "displayName", "value": "All"}]},
        ]}),
    )
    .await;
    assert_eq!(done.len(), 6);
    let (a, b) = (made(&own, &done[1]).await, made(&own, &done[2]).await);
    let (c, chief) = (made(&own, &done[3]).await, made(&own, &done[4]).await);
    assert_eq!([&a, &b, &c, &chief].map(manager), [&b["id"], &c["id"], &a["id"], &chief["id"]]);
    assert!([&a, &b, &c, &chief].iter().all(|person| person[ENTERPRISE]["department"] == "D"));
    // It was made when all of them were there, whole and at once; then it was changed.
    let staff = own.get(done[0]["location"].as_str().unwrap()).await.done(200).body;
    assert_eq!((&staff["displayName"], staff["members"].as_array().unwrap().len()), (&json!("All"), 4));
    assert_eq!((outcome(&done[0]).0, outcome(&done[5]).0), ("201", "200"));
    assert_eq!(done[5]["version"], staff["meta"]["version"]);
    let told = kinds(&scene).await.split_off(before);
    let count = |kind: &str| told.iter().filter(|told| told.ends_with(kind)).count();
    assert_eq!((count("scim.user.provisioned"), count("scim.user.updated")), (4, 2), "one is filled in a circle");
    assert_eq!((count("scim.group.provisioned"), count("scim.group.updated")), (1, 1));
}

#[tokio::test]
async fn a_group_may_be_in_itself() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let done = answers(&own, json!({"Operations": [group("self", &["self"])]})).await;
    let found = made(&own, &done[0]).await;
    assert_eq!(found["members"][0]["value"], found["id"]);
    own.delete(&format!("/Groups/{}", found["id"].as_str().unwrap())).await.done(204);
}

#[tokio::test]
async fn what_names_nothing_or_what_failed_is_refused_and_leaves_nothing() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    own.person("user-b").await;
    let gone = async |name: &str| {
        own.filter("Users", &format!("userName eq \"{name}\"")).await.resources().is_empty()
            && own.filter("Groups", &format!("displayName eq \"{name}\"")).await.resources().is_empty()
    };
    // Named nowhere: 400. Named, and refused: 409, in a line, by a path, and in a circle.
    let done = answers(
        &own,
        json!({"Operations": [
            group("nowhere", &["nothing"]), person("b", "a"), person("a", "b"), group("late", &["a"]), person("free", "free"),
            {"method": "PUT", "path": "/Users/bulkId:b", "data": {"userName": "x"}},
            {"method": "PATCH", "path": "/Users/bulkId:nothing", "data": []},
        ]}),
    )
    .await;
    let outcomes: Vec<_> = done.iter().map(outcome).collect();
    assert_eq!(
        outcomes,
        [
            ("400", "invalidValue"),
            ("409", "uniqueness"),
            ("409", ""),
            ("409", ""),
            ("201", ""),
            ("409", ""),
            ("400", "invalidValue")
        ]
    );
    assert!(done.iter().filter(|answer| answer["status"] != "201").all(|answer| answer.get("location").is_none()));
    assert!(gone("user-a").await && gone("Group late").await && gone("Group nowhere").await);

    // The one that was begun first is taken back.
    let done = answers(&own, json!({"Operations": [person("a", "b"), person("b", "a"), group("g", &["a"])]})).await;
    assert_eq!(done.iter().map(outcome).collect::<Vec<_>>(), [("409", ""), ("409", "uniqueness"), ("409", "")]);
    assert!(gone("user-a").await && gone("Group g").await);
    let again = own.post("/Users", json!({"userName": "user-a"})).await.done(201);
    assert_eq!(again.body["active"], true, "what was taken back stands in nobody's way");

    for operations in [
        json!([group("g", &[]), group("g", &[])]),
        json!([{"method": "POST", "path": "/Users", "data": {"userName": "x"}}]),
    ] {
        let refused = own.post("/Bulk", json!({"Operations": operations})).await;
        assert_eq!(refused.refusal(), (400, "invalidSyntax".to_owned()));
    }
    let by_path = json!({"method": "POST", "path": "/Groups/bulkId:x", "bulkId": "x", "data": {"displayName": "x"}});
    assert_eq!(outcome(&answers(&own, json!({"Operations": [by_path]})).await[0]).0, "400");
}

#[tokio::test]
async fn after_so_many_errors_nothing_is_left_half_done() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    own.person("user-b").await;
    let last = json!({"method": "POST", "path": "/Users", "bulkId": "last", "data": {"userName": "last"}});
    let done = answers(
        &own,
        json!({"failOnErrors": 1, "Operations": [person("a", "b"), person("b", "c"), person("c", "a"), group("g", &["a"]), last]}),
    )
    .await;
    // The last was done at once: it waits for nobody. Of the circle, and of what refers to it, nothing is left.
    let told: Vec<_> = done.iter().map(|answer| (answer["bulkId"].as_str().unwrap(), outcome(answer).0)).collect();
    assert_eq!(told, [("a", "409"), ("b", "409"), ("c", "409"), ("g", "409"), ("last", "201")]);
    for name in ["user-a", "user-c"] {
        assert!(own.filter("Users", &format!("userName eq \"{name}\"")).await.resources().is_empty(), "{name}");
    }
    assert!(own.filter("Groups", "displayName eq \"Group g\"").await.resources().is_empty());
    // Before anything else was tried, nothing of a circle is begun.
    let bad = json!({"method": "DELETE", "path": "/Users/nobody"});
    let done = answers(&own, json!({"failOnErrors": 1, "Operations": [person("a", "c"), person("c", "a"), bad]})).await;
    assert_eq!(done.iter().map(outcome).collect::<Vec<_>>(), [("404", "")]);
    assert!(own.filter("Users", "userName eq \"user-a\"").await.resources().is_empty());
}
