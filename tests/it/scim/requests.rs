//! SCIM-04, SCIM-09, and what comes back: PATCH over the wire, versions, bulk, round trips.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::*;

#[tokio::test]
async fn what_authd_has_no_field_for_comes_back_whole() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let said = json!({
        "userName": "Ada@corp.example", "externalId": "e-1", "nickName": "Ada", "userType": "Employee", "locale": "en-GB",
        "name": {"formatted": "Ada King", "honorificPrefix": "Countess"}, "title": "Dr \u{202e}x\u{1b}[31m",
        "emails": [{"value": "ada@corp.example", "type": "work", "primary": true}, {"value": "ada@home.example", "type": "home"}],
        "addresses": [{"type": "work", "locality": "London"}], "phoneNumbers": [{"value": "+44", "type": "mobile"}],
        "x509Certificates": [{"value": "MII="}], "shoeSize": 42, "pets": [{"name": "Rex", "legs": [1, 2]}],
        (ENTERPRISE): {"employeeNumber": "7", "manager": {"value": "usr_9"}},
        "urn:acme:2.0:Badge": {"colour": "red", "doors": ["a", "b"]},
    });
    let made = own.post("/Users", said.clone()).await.done(201);
    let got = own.get(&format!("/Users/{}", made.id())).await.done(200);
    assert_eq!(made.body, got.body);
    assert_eq!(made.headers["location"], got.body["meta"]["location"].as_str().unwrap());
    for (name, value) in said.as_object().unwrap() {
        assert_eq!(&got.body[name], value, "{name}");
    }
    assert_eq!(got.body["schemas"], json!([USER, ENTERPRISE, "urn:acme:2.0:Badge"]));
    assert_eq!(got.body["active"], true);
    // A PUT of what was got changes nothing.
    let same = own.put(&format!("/Users/{}", made.id()), got.body.clone()).await.done(200);
    assert_eq!((same.body, same.headers["etag"].clone()), (got.body.clone(), got.headers["etag"].clone()));
    // What a PUT leaves out is gone.
    let less = own.put(&format!("/Users/{}", made.id()), json!({"userName": "ada"})).await.done(200);
    let names: Vec<_> = less.body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["schemas", "id", "userName", "active", "meta"]);
    assert!(member(&scene, &made.id()).await.unwrap().name.is_none());
}

#[tokio::test]
async fn scim_04_only_the_members_that_are_named_go() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let mut people = Vec::new();
    for name in ["a", "b", "c", "d"] {
        people.push(own.person(name).await);
    }
    let [a, b, c, d] = &people[..] else { panic!() };
    let named = |ids: &[&String]| {
        let mut all: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
        all.sort();
        all
    };
    for (operations, left) in [
        (json!([{"op": "remove", "path": format!("members[value eq \"{b}\"]")}]), named(&[a, c])),
        (json!([{"op": "Remove", "path": "members", "value": [{"value": b}]}]), named(&[a, c])),
        (
            json!([{"op": "remove", "path": "MEMBERS", "value": [{"$ref": null, "value": b}, {"value": c}]}]),
            named(&[a]),
        ),
        (
            json!([{"op": "remove", "path": format!("{GROUP}:members[value eq \"{b}\" or value eq \"{c}\"]")}]),
            named(&[a]),
        ),
        (json!([{"op": "remove", "path": "members[type eq \"User\" and not (value eq \"x\")]"}]), named(&[])),
        (json!([{"op": "remove", "path": "members[value eq \"usr_nobody\"]"}]), named(&[a, b, c])),
        (json!([{"op": "remove", "path": "members", "value": []}]), named(&[a, b, c])),
        (json!([{"op": "remove", "path": "members"}]), named(&[])),
        (json!([{"op": "add", "path": "members", "value": [{"value": d}, {"value": a}]}]), named(&[a, b, c, d])),
        (json!([{"op": "add", "value": {"members": [{"value": d}]}}]), named(&[a, b, c, d])),
        (json!([{"op": "replace", "path": "members", "value": [{"value": d}]}]), named(&[d])),
        (
            json!([{"op": "add", "path": "members", "value": {"value": d}}, {"op": "remove", "path": "members", "value": [{"value": a}]}]),
            named(&[b, c, d]),
        ),
        (json!([{"op": "replace", "value": {"displayName": "Renamed"}}]), named(&[a, b, c])),
    ] {
        let group = own.group("g", &[a, b, c]).await;
        own.patch(&format!("/Groups/{group}"), operations.clone()).await.done(200);
        assert_eq!(own.members(&group).await, left, "{operations}");
        for id in &people {
            let groups = own.get(&format!("/Users/{id}")).await.body["groups"].as_array().cloned().unwrap_or_default();
            assert_eq!(groups.iter().any(|known| known["value"] == group), left.contains(id), "{operations}");
        }
    }
    // A PATCH that fails in its second operation has not done its first.
    let group = own.group("g", &[a]).await;
    let half = json!([{"op": "remove", "path": "members"}, {"op": "add", "path": "nonsense", "value": 1}]);
    assert_eq!(own.patch(&format!("/Groups/{group}"), half).await.refusal(), (400, "invalidPath".to_owned()));
    assert_eq!(own.members(&group).await, named(&[a]));
    for path in ["members[", "nonsense", "members[nobody eq \"x\"]"] {
        let (status, keyword) =
            own.patch(&format!("/Groups/{group}"), json!([{"op": "remove", "path": path}])).await.refusal();
        assert!(status == 400 && ["invalidPath", "invalidFilter"].contains(&keyword.as_str()), "{path}: {keyword}");
    }
    assert_eq!(own.members(&group).await, named(&[a]));
}

#[tokio::test]
async fn scim_09_a_version_that_is_no_more_changes_nothing() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let id = own.person("ada@corp.example").await;
    let path = format!("/Users/{id}");
    let first = own.get(&path).await.etag();
    assert!(first.starts_with("W/\""));
    let known = own.send("GET", &path, None, &[("if-none-match", &first)]).await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    let patch = json!({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "title", "value": "Dr"}]});
    let second = own.send("PATCH", &path, Some(patch.clone()), &[("if-match", &first)]).await.done(200).etag();
    assert_ne!(first, second);
    let put = json!({"userName": "ada@corp.example", "title": "replayed"});
    for (method, body) in [("PATCH", Some(patch.clone())), ("PUT", Some(put.clone())), ("DELETE", None)] {
        for stale in [&*first, "\"0\"", "W/\"nonsense\""] {
            let refused = own.send(method, &path, body.clone(), &[("if-match", stale)]).await;
            assert_eq!(refused.refusal().0, 412, "{method} {stale}");
        }
    }
    let now = own.get(&path).await;
    assert_eq!((now.etag(), &now.body["title"]), (second.clone(), &json!("Dr")));
    own.send("PUT", &path, Some(put.clone()), &[("if-match", "*")]).await.done(200);
    // Whatever changes what is shown, changes the version: also what an administrator does.
    let before = own.get(&path).await.etag();
    scene.authd.operate("user.suspend", json!({"id": id})).await;
    assert_ne!(own.get(&path).await.etag(), before);
    assert_eq!(own.send("DELETE", &path, None, &[("if-match", &before)]).await.refusal().0, 412);
    // A change of nothing is none.
    let before = own.get(&path).await.etag();
    assert_eq!(own.put(&path, put).await.done(200).etag(), before);
}

#[tokio::test]
async fn scim_09_of_64_who_change_a_group_at_once_none_is_lost() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let group = own.group("Staff", &[]).await;
    let mut people = Vec::new();
    for n in 0..64 {
        people.push(own.person(&format!("p{n}")).await);
    }
    let add = people.iter().map(|id| {
        let (own, path) = (own.clone(), format!("/Groups/{group}"));
        async move { own.patch(&path, json!([{"op": "add", "path": "members", "value": [{"value": id}]}])).await.status }
    });
    assert!(join_all(add).await.into_iter().all(|status| status == 200));
    let mut all = people.clone();
    all.sort();
    assert_eq!(own.members(&group).await, all);
    let remove = people.iter().step_by(2).map(|id| {
        let (own, path) = (own.clone(), format!("/Groups/{group}"));
        async move {
            own.patch(&path, json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}])).await.status
        }
    });
    assert!(join_all(remove).await.into_iter().all(|status| status == 200));
    let mut left: Vec<String> = people.iter().skip(1).step_by(2).cloned().collect();
    left.sort();
    assert_eq!(own.members(&group).await, left);
    // Of many who make the same person known, one does.
    let make = (0..16).map(|_| {
        let own = own.clone();
        async move { own.post("/Users", json!({"userName": "twin"})).await.status }
    });
    let made = join_all(make).await;
    assert_eq!(made.iter().filter(|status| **status == 201).count(), 1, "{made:?}");
    assert!(made.iter().all(|status| [201, 409].contains(status)), "{made:?}");
}

#[tokio::test]
async fn a_group_of_five_thousand_is_a_group() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let mut people = Vec::new();
    for chunk in 0..50 {
        let operations: Vec<Value> = (0..100)
            .map(|n| json!({"method": "POST", "path": "/Users", "bulkId": format!("b{n}"), "data": {"userName": format!("u{chunk}-{n}")}}))
            .collect();
        let done = own
            .post(
                "/Bulk",
                json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}),
            )
            .await
            .done(200);
        for answer in done.body["Operations"].as_array().unwrap() {
            assert_eq!(answer["status"], "201");
            people.push(answer["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
        }
    }
    let members: Vec<&str> = people.iter().map(String::as_str).collect();
    let group = own.group("Everybody", &members).await;
    assert_eq!(own.members(&group).await.len(), 5_000);
    let value: Vec<Value> = people.iter().take(4_000).map(|id| json!({"value": id})).collect();
    own.patch(&format!("/Groups/{group}"), json!([{"op": "remove", "path": "members", "value": value}]))
        .await
        .done(200);
    assert_eq!(own.members(&group).await.len(), 1_000);
    own.patch(&format!("/Groups/{group}"), json!([{"op": "add", "path": "members", "value": value}])).await.done(200);
    assert_eq!(own.members(&group).await.len(), 5_000);
    let without = own.get(&format!("/Groups/{group}?excludedAttributes=members")).await.done(200);
    assert!(without.body.get("members").is_none());
    own.delete(&format!("/Groups/{group}")).await.done(204);
}

#[tokio::test]
async fn a_bulk_request_is_one_commit_an_operation() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    own.person("taken").await;
    let operations = json!([
        // Names what a later one makes.
        {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"displayName": "Staff", "members": [{"value": "bulkId:ada"}]}},
        {"method": "POST", "path": "/Users", "bulkId": "ada", "data": {"userName": "ada"}},
        {"method": "post", "path": "/Users", "bulkId": "twice", "data": {"userName": "TAKEN"}},
        {"method": "PATCH", "path": "/Users/bulkId:ada", "data": {"Operations": [{"op": "add", "path": "title", "value": "Dr"}]}},
        {"method": "PUT", "path": "/Users/usr_nobody", "data": {"userName": "x"}},
        {"method": "PATCH", "path": "/Groups/bulkId:nothing", "data": {}},
        {"method": "DELETE", "path": "/nonsense/x"},
    ]);
    let done = own.post("/Bulk", json!({"Operations": operations})).await.done(200);
    assert_eq!(done.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
    let answers = done.body["Operations"].as_array().unwrap();
    let status = |bulk_id: &str| {
        answers.iter().find(|answer| answer["bulkId"] == bulk_id).map(|answer| answer["status"].as_str().unwrap())
    };
    assert_eq!((status("g"), status("ada"), status("twice")), (Some("201"), Some("201"), Some("409")), "{answers:?}");
    let ada = own.filter("Users", "userName eq \"ada\"").await.resources()[0].clone();
    assert_eq!((&ada["title"], &ada["groups"][0]["display"]), (&json!("Dr"), &json!("Staff")));
    let wrong: Vec<_> = answers.iter().filter(|answer| answer.get("response").is_some()).collect();
    assert_eq!(wrong.len(), 4);
    assert!(wrong.iter().all(|answer| answer["response"]["schemas"][0].as_str().unwrap().ends_with(":Error")));
    // After so many errors it goes no further.
    let bad = json!({"method": "POST", "path": "/Users", "bulkId": "x", "data": {}});
    let good = json!({"method": "POST", "path": "/Users", "bulkId": "y", "data": {"userName": "late"}});
    let done = own.post("/Bulk", json!({"failOnErrors": 1, "Operations": [bad, good]})).await.done(200);
    assert_eq!(done.body["Operations"].as_array().unwrap().len(), 1);
    assert!(own.filter("Users", "userName eq \"late\"").await.resources().is_empty());
    let versioned =
        json!({"method": "DELETE", "path": format!("/Users/{}", ada["id"].as_str().unwrap()), "version": "W/\"99\""});
    let done = own.post("/Bulk", json!({"Operations": [versioned]})).await.done(200);
    assert_eq!(done.body["Operations"][0]["status"], "412");
    for wrong in [
        json!({}),
        json!({"Operations": {}}),
        json!({"Operations": [1]}),
        json!([]),
        json!({"Operations": [{"method": "GET", "path": "/Users"}]}),
    ] {
        assert_eq!(own.post("/Bulk", wrong).await.refusal(), (400, "invalidSyntax".to_owned()));
    }
}

#[tokio::test]
async fn a_write_is_one_commit_with_its_events() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    own.get("/Users").await;
    let seq = async || scene.authd.app.world.store.log_seq();
    let kinds = async |after: u64| -> Vec<String> {
        let all = scene.authd.events().await;
        all.into_iter().skip(usize::try_from(after).unwrap()).map(|event| event.kind.name().to_owned()).collect()
    };
    let at = seq().await;
    let id = own.person("ada@corp.example").await;
    assert_eq!(kinds(at).await, ["user.created", "connection.scim.user.provisioned"]);
    let at = seq().await;
    own.patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": "displayName", "value": "Ada"}]))
        .await
        .done(200);
    assert_eq!(kinds(at).await, ["user.updated", "connection.scim.user.updated"]);
    let at = seq().await;
    own.patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": "displayName", "value": "Ada"}]))
        .await
        .done(200);
    own.get("/Users").await.done(200);
    assert!(kinds(at).await.is_empty(), "what changes nothing, tells nothing");
    let at = seq().await;
    let group = own.group("Staff", &[&id]).await;
    assert_eq!(kinds(at).await, ["group.created", "connection.scim.group.provisioned"]);
    let at = seq().await;
    own.delete(&format!("/Groups/{group}")).await.done(204);
    assert_eq!(kinds(at).await, ["group.deleted", "connection.scim.group.deactivated"]);
    let event = scene.authd.events().await.pop().unwrap();
    assert_eq!((event.actor_type.as_str(), event.actor_id.as_deref()), ("scim", Some(own.id.as_str())));
    assert_eq!(event.organization_id.map(|id| id.to_string()), Some(scene.organization.clone()));
    assert!(event.targets.iter().any(|target| target.id == scene.connection));
    // A refusal is one event, and nothing else.
    let (at, counts) = (seq().await, scene.authd.counts().await);
    own.post("/Users", json!({"userName": "ada@corp.example"})).await.done(409);
    assert_eq!(kinds(at).await, ["connection.scim.refused"]);
    assert_eq!(scene.authd.counts().await, counts);
    let row = serde_json::to_string(&scene.authd.events().await.pop().unwrap()).unwrap();
    assert!(row.contains("\"taken\"") && !row.contains("ada@corp.example"), "{row}");
}

/// A group that comes back is told to be back: by the directory's own id, or by its name where one of the two has none.
/// It is another resource, and after a month it is a new one.
#[tokio::test]
async fn a_group_that_was_removed_and_comes_is_back() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let other = Directory::of(&scene, None).await;
    let group = |name: &str, id: Option<&str>| json!({"schemas": [GROUP], "displayName": name, "externalId": id});
    let (back, new) = ("connection.scim.group.reactivated", "connection.scim.group.provisioned");
    // What was removed, and what comes then: names, and the directory's ids.
    let cases = [
        (("Staff", Some("g-1")), ("Staff", Some("g-1")), back),
        (("Before", Some("g-2")), ("After", Some("g-2")), back),
        (("Crew", None), ("CREW", None), back),
        (("Board", Some("g-4")), ("Board", None), back),
        (("Guests", None), ("Guests", Some("g-5")), back),
        (("Sales", Some("g-6")), ("Sales", Some("g-7")), new),
        (("Ops", Some("g-8")), ("Dev", Some("G-8")), new),
    ];
    for ((name, id), (then, then_id), expected) in cases {
        let first = own.post("/Groups", group(name, id)).await.done(201).id();
        assert_eq!(scene.authd.events().await.pop().unwrap().kind.name(), new, "{name}");
        own.delete(&format!("/Groups/{first}")).await.done(204);
        assert_eq!(own.get(&format!("/Groups/{first}")).await.refusal().0, 404);
        assert!(own.filter("Groups", &format!("displayName eq \"{name}\"")).await.resources().is_empty());
        // Another directory's is nothing to it.
        let theirs = other.post("/Groups", group(then, then_id)).await.done(201).id();
        assert_eq!(scene.authd.events().await.pop().unwrap().kind.name(), new, "{name} of another");
        other.delete(&format!("/Groups/{theirs}")).await.done(204);
        let second = own.post("/Groups", group(then, then_id)).await.done(201);
        assert_ne!(second.id(), first);
        let told = scene.authd.events().await.pop().unwrap();
        assert_eq!((told.kind.name(), told.subject.unwrap().id), (expected, second.id()), "{name}");
        assert_eq!(told.targets.iter().any(|target| target.id == first), expected == back);
        // There is one of it, and it comes back once.
        assert_eq!(own.filter("Groups", &format!("displayName eq \"{then}\"")).await.resources().len(), 1);
    }
    let gone = own.post("/Groups", group("Late", Some("g-9"))).await.done(201).id();
    own.delete(&format!("/Groups/{gone}")).await.done(204);
    scene.authd.env().advance(Duration::from_secs(30 * 24 * 3_600));
    own.post("/Groups", group("Late", Some("g-9"))).await.done(201);
    assert_eq!(scene.authd.events().await.pop().unwrap().kind.name(), new, "after a month");
}

/// Reads are told, and cost no commit each: at most once an hour for each who reads, with how many there were.
#[tokio::test]
async fn reads_are_told_once_an_hour_with_their_number() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let second = Directory::of(&scene, Some(&scene.connection)).await;
    let told = async || -> Vec<(String, u64)> {
        let mut events = scene.authd.events().await;
        events.retain(|event| event.kind.name() == "connection.scim.read");
        assert!(events.iter().all(|event| event.subject.as_ref().unwrap().id == scene.connection));
        events.iter().map(|event| (event.actor_id.clone().unwrap(), event.data["reads"].as_u64().unwrap())).collect()
    };
    let id = own.person("ada@corp.example").await;
    own.get("/ServiceProviderConfig").await.done(200);
    own.get("/Schemas").await.done(200);
    assert_eq!(own.get("/Users/nobody").await.status, 404);
    assert!(told().await.is_empty(), "what the server can is no one's data, and a refusal is told as one");
    own.get(&format!("/Users/{id}")).await.done(200);
    assert_eq!(told().await, [(own.id.clone(), 1)]);
    let at = scene.authd.app.world.store.log_seq();
    for _ in 0..20 {
        own.get("/Users").await.done(200);
        own.filter("Groups", "displayName eq \"x\"").await.done(200);
        own.post("/Users/.search", json!({"count": 1})).await.done(200);
    }
    assert_eq!(scene.authd.app.world.store.log_seq(), at, "nothing is written for each");
    second.get("/Groups").await.done(200);
    assert_eq!(told().await[1..], [(second.id.clone(), 1)], "who reads is told, each");
    scene.authd.env().advance(Duration::from_secs(3_600));
    own.get("/Users").await.done(200);
    assert_eq!(told().await[2..], [(own.id.clone(), 61)]);
}

#[tokio::test]
async fn me_is_the_person_whose_key_it_is() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    assert_eq!(own.get("/Me").await.refusal().0, 501);
    let id = own.person("ada@corp.example").await;
    scene
        .authd
        .operate("member.set_role", json!({"organization": scene.organization, "user": id, "roles": ["owner"]}))
        .await;
    let wish = json!({"organization": scene.organization, "name": "k", "user": id, "grants": ["scim.manage"]});
    let token = scene.authd.operate("api_key.create", wish).await["key"].as_str().unwrap().to_owned();
    let me = Directory { token, ..own }.get("/Me").await.done(200);
    assert_eq!((me.id(), me.body["meta"]["location"].as_str().unwrap().ends_with(&id)), (id, true));
}

#[tokio::test]
async fn every_schema_is_described_and_nothing_else_is_there() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let config = own.get("/ServiceProviderConfig").await.done(200).body;
    for what in ["patch", "bulk", "filter", "sort", "etag"] {
        assert_eq!(config[what]["supported"], true, "{what}");
    }
    assert_eq!((&config["filter"]["maxResults"], &config["bulk"]["maxPayloadSize"]), (&json!(200), &json!(1_048_576)));
    assert_eq!(config["pagination"]["cursor"], true);
    let types = own.get("/ResourceTypes").await;
    assert_eq!(types.resources().len(), 2);
    let schemas = own.get("/Schemas").await;
    let ids: Vec<_> = schemas.resources().iter().map(|schema| schema["id"].as_str().unwrap()).collect();
    for id in [USER, GROUP, ENTERPRISE] {
        assert!(ids.contains(&id));
    }
    for id in ids {
        let one = own.get(&format!("/Schemas/{id}")).await.done(200).body;
        assert_eq!(one["id"], id);
        fn walk(attribute: &Value) {
            for name in ["name", "type", "multiValued", "required", "mutability", "returned", "uniqueness"] {
                assert!(attribute.get(name).is_some(), "{name} of {attribute}");
            }
            assert_eq!(attribute["type"] == "complex", attribute.get("subAttributes").is_some());
            attribute["subAttributes"].as_array().into_iter().flatten().for_each(walk);
        }
        one["attributes"].as_array().unwrap().iter().for_each(walk);
    }
    assert_eq!(own.get("/Schemas?filter=id%20pr").await.refusal().0, 403);
    for path in ["/Schemas/nothing", "/ResourceTypes/nothing", "/Nothing", "/Users/x/y", "", "/"] {
        assert_eq!(own.get(path).await.refusal().0, 404, "{path}");
    }
}

/// RFC 9110 §15.5.6: who is told that a method is not taken, is told which are.
#[tokio::test]
async fn a_method_that_is_not_taken_is_answered_with_those_that_are() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    for (method, path, allow) in [
        ("PUT", "/Users", "GET, POST"),
        ("DELETE", "/Groups", "GET, POST"),
        ("POST", "/Users/x", "GET, PUT, PATCH, DELETE"),
        ("GET", "/Bulk", "POST"),
        ("GET", "/Users/.search", "POST"),
        ("POST", "/Schemas", "GET"),
        ("DELETE", "/ServiceProviderConfig", "GET"),
    ] {
        let refused = own.send(method, path, None, &[]).await;
        assert_eq!(refused.refusal().0, 405, "{method} {path}");
        assert_eq!(refused.headers[header::ALLOW], allow, "{method} {path}");
    }
}

/// RFC 7643 §4.1.1: a `userName` is not empty; the core schema's own URN with an object holds attributes of the resource.
#[tokio::test]
async fn a_person_has_a_name_of_letters_and_the_core_schema_may_be_named() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    for name in ["", " ", "\t \u{a0}"] {
        let refused = own.post("/Users", json!({"userName": name})).await;
        assert_eq!(refused.refusal(), (400, "invalidValue".to_owned()), "{name:?}");
    }
    let made = own.post("/Users", json!({"schemas": [USER], USER: {"userName": "ada", "title": "Dr"}})).await.done(201);
    assert_eq!((&made.body["userName"], &made.body["title"], made.body.get(USER)), (&json!("ada"), &json!("Dr"), None));
    let twice = own.post("/Users", json!({"userName": "a", USER: {"userName": "b"}})).await;
    assert_eq!(twice.refusal(), (400, "invalidSyntax".to_owned()));
    let blank = json!([{"op": "replace", "path": "userName", "value": " "}]);
    let patched = own.patch(&format!("/Users/{}", made.id()), blank).await;
    assert_eq!(patched.refusal(), (400, "invalidValue".to_owned()));
}

/// The bare list of operations that the example of RFC 7644 §3.7.3 has.
#[tokio::test]
async fn a_patch_in_bulk_may_be_a_bare_list() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let id = own.person("ada").await;
    let data =
        json!([{"op": "add", "path": "nickName", "value": "A"}, {"op": "replace", "path": "title", "value": "Dr"}]);
    let bulk = json!({"Operations": [{"method": "PATCH", "path": format!("/Users/{id}"), "data": data}]});
    let done = own.post("/Bulk", bulk).await.done(200);
    assert_eq!(done.body["Operations"][0]["status"], "200", "{}", done.text);
    let shown = own.get(&format!("/Users/{id}")).await.body;
    assert_eq!((&shown["nickName"], &shown["title"]), (&json!("A"), &json!("Dr")));
}
