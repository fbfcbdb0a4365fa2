//! SCIM-01 to SCIM-03, SCIM-10: who sees what, and how much of it.

use serde_json::{Value, json};

use super::*;

/// Every way to ask for one resource.
const VERBS: &[(&str, Option<&str>)] = &[
    ("GET", None),
    ("PUT", Some(r#"{"userName":"x@corp.example","displayName":"x"}"#)),
    ("PATCH", Some(r#"{"Operations":[{"op":"replace","path":"displayName","value":"x"}]}"#)),
    ("PATCH", Some(r#"{"Operations":[{"op":"replace","path":"nonsense","value":"x"}]}"#)),
    ("DELETE", None),
];

#[tokio::test]
async fn scim_01_another_directorys_resource_is_as_one_that_never_was() {
    let scene = Scene::new().await;
    let (_, second) = crate::signin::connect(&scene.authd, &scene.organization, &[]).await;
    let other =
        scene.authd.operate("organization.create", json!({"name": "Other"})).await["id"].as_str().unwrap().to_owned();
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let (person, group) = (own.person("ada@corp.example").await, own.group("Staff", &[]).await);
    let strangers = [
        Directory::within(&scene, &other, None).await,
        Directory::of(&scene, Some(&second)).await,
        Directory::of(&scene, None).await,
    ];
    for stranger in &strangers {
        let (theirs, _) = (stranger.group("Theirs", &[]).await, ());
        for (endpoint, id) in [("Users", &person), ("Groups", &group)] {
            let prefix = id.split_once('_').unwrap().0;
            let ghost = format!(
                "{prefix}_{}",
                authd::id::EventId::new(scene.authd.env()).to_string().split_once('_').unwrap().1
            );
            for (method, body) in VERBS {
                let ask = async |id: &str| {
                    let body = body.map(|body| body.as_bytes().to_vec());
                    stranger.raw(method, &format!("/{endpoint}/{id}"), body, &[]).await
                };
                let (real, never) = (ask(id).await, ask(&ghost).await);
                assert_eq!(real.refusal().0, 404, "{method} {endpoint}: {}", real.text);
                assert_eq!((real.status, &real.text), (never.status, &never.text));
                // What is no id at all is told the same.
                assert_eq!(ask("not-an-id").await.text, never.text);
            }
            for name in ["id", "externalId"] {
                let found = stranger.filter(endpoint, &format!("{name} eq \"{id}\"")).await;
                assert_eq!(found.body["totalResults"], 0);
            }
        }
        let (real, never) =
            (json!([{"value": person}]), json!([{"value": UserId::new(scene.authd.env()).to_string()}]));
        let add = async |members: Value| {
            stranger
                .patch(&format!("/Groups/{theirs}"), json!([{"op": "add", "path": "members", "value": members}]))
                .await
        };
        let (real, never) = (add(real).await, add(never).await);
        assert_eq!((real.refusal(), &real.text), ((400, "invalidValue".to_owned()), &never.text));
        assert_eq!(stranger.get("/Users").await.body["totalResults"], 0);
        assert!(stranger.filter("Users", "userName eq \"ada@corp.example\"").await.resources().is_empty());
    }
    // Nothing of it has changed.
    assert_eq!(own.get(&format!("/Users/{person}")).await.done(200).body["userName"], "ada@corp.example");
    assert_eq!(own.get(&format!("/Groups/{group}")).await.done(200).body["displayName"], "Staff");
}

#[tokio::test]
async fn scim_01_a_connections_address_is_its_own_tokens() {
    let scene = Scene::new().await;
    let other =
        scene.authd.operate("organization.create", json!({"name": "Other"})).await["id"].as_str().unwrap().to_owned();
    let (_, second) = crate::signin::connect(&scene.authd, &scene.organization, &[]).await;
    let (_, foreign) = crate::signin::connect(&scene.authd, &other, &[]).await;
    let ghost = authd::id::ConnectionId::new(scene.authd.env()).to_string();
    let at = |directory: &Directory, connection: &str| Directory {
        base: format!("/connections/{connection}/scim/v2"),
        ..directory.clone()
    };
    let bound = Directory::of(&scene, Some(&scene.connection)).await;
    let id = at(&bound, &scene.connection).person("ada@corp.example").await;
    // The token decides: both addresses are of one directory.
    assert_eq!(bound.get(&format!("/Users/{id}")).await.status, 200);
    let location = at(&bound, &scene.connection).get(&format!("/Users/{id}")).await.body["meta"]["location"].clone();
    assert_eq!(location, format!("http://127.0.0.1:8080/connections/{}/scim/v2/Users/{id}", scene.connection));
    let mut told = Vec::new();
    for connection in [&second, &foreign, &ghost, &"nonsense".to_owned()] {
        told.push(at(&bound, connection).get("/Users").await.text);
        assert_eq!(at(&bound, connection).get("/Users").await.refusal().0, 404);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    // A token of the organization speaks for each of its connections, and for no other.
    let own = Directory::of(&scene, None).await;
    assert_eq!(at(&own, &scene.connection).get(&format!("/Users/{id}")).await.status, 200);
    assert_eq!(at(&own, &second).get(&format!("/Users/{id}")).await.status, 404);
    assert_eq!(at(&own, &foreign).get("/Users").await.text, at(&own, &ghost).get("/Users").await.text);
    // With its connection, a token goes.
    scene.authd.operate("connection.delete", json!({"id": scene.connection})).await;
    assert_eq!(bound.get("/Users").await.refusal().0, 401);
}

#[tokio::test]
async fn only_a_directory_gets_in_and_refusals_are_told_once() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let key = async |grants: &[&str]| {
        let wish = json!({"organization": scene.organization, "name": "k", "grants": grants});
        scene.authd.operate("api_key.create", wish).await["key"].as_str().unwrap().to_owned()
    };
    let with = |token: &str| Directory { token: token.to_owned(), ..own.clone() };
    let revoked = Directory::of(&scene, None).await;
    scene.authd.operate("scim.token.revoke", json!({"id": revoked.id})).await;
    let wrong = format!("{}x", own.token);
    for token in ["", "scim_x", "nonsense", "scat_x.y", &wrong, &revoked.token] {
        let before = scene.authd.events().await.len();
        let refused = with(token).get("/Users").await;
        assert_eq!(refused.refusal().0, 401, "{token}");
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
        let told = scene.authd.events().await.split_off(before);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            (told[0].kind.name(), told[0].error_code.as_deref()),
            ("connection.scim.refused", Some("not_signed_in"))
        );
    }
    assert_eq!(with(&key(&["user.read"]).await).get("/Users").await.refusal().0, 403);
    assert_eq!(with(&key(&["scim.manage"]).await).get("/Users").await.status, 200);
    // What this server can, everybody may know.
    for path in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/ResourceTypes/User"] {
        assert_eq!(with("").get(path).await.status, 200, "{path}");
    }
    scene.authd.operate("organization.disable", json!({"id": scene.organization})).await;
    assert_eq!(own.get("/Users").await.refusal(), (403, "organization_disabled".to_owned()));
}

#[tokio::test]
async fn scim_02_t_19_no_filter_is_too_deep_for_the_server() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    own.person("ada@corp.example").await;
    for n in [10usize, 100, 1_000, 10_000] {
        for filter in ["(".repeat(n), format!("{}x", "not (".repeat(n)), "userName pr and ".repeat(n)] {
            let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": filter});
            let answer = own.post("/Users/.search", body).await;
            assert_eq!(answer.refusal(), (400, "invalidFilter".to_owned()));
        }
        let path = format!("emails[{}].value", "(".repeat(n));
        let group = own.patch("/Users/usr_x", json!([{"op": "replace", "path": path, "value": "x"}])).await;
        assert_eq!(group.refusal().0, 404);
    }
    assert_eq!(scene.authd.browser().get("/healthz").await.status, 200);
}

#[tokio::test]
async fn scim_03_a_wrong_filter_finds_nobody() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    own.person("ada@corp.example").await;
    let wrong = [
        "",
        " ",
        "userName",
        "userName eq",
        "userName eq ada",
        "userName eq 'ada'",
        "userName eq \"ada",
        "userName = \"ada\"",
        "userName == \"ada\"",
        "userName eq \"ada\" or",
        "or",
        "(",
        ")",
        "()",
        "not",
        "not userName pr",
        "userName pr pr",
        "userName pr and and title pr",
        "userName xx \"a\"",
        "\"ada\" eq userName",
        "nobody eq \"x\"",
        "name.nobody eq \"x\"",
        "active gt true",
        "active eq \"maybe\"",
        "meta.created gt \"then\"",
        "emails[type eq \"work\"",
        "emails[]",
        "userName[a eq \"b\"]",
        "userName eq \"a\" title pr",
        "userName eq {}",
        "userName eq []",
        "userName eq 1",
        "1 eq 1",
        "true",
        "*",
        "userName eq \"a\" || title pr",
        "userName like \"%\"",
        "userName eq \"a\"; x",
        "' or 1 eq 1",
        "\u{0}",
        "userName eq \"\u{1}\"",
    ];
    assert!(wrong.len() >= 40);
    for filter in wrong {
        for answer in [
            own.filter("Users", filter).await,
            own.post("/Users/.search", json!({"filter": filter})).await,
            own.post("/.search", json!({"filter": filter})).await,
        ] {
            assert_eq!(answer.refusal(), (400, "invalidFilter".to_owned()), "{filter:?}");
            assert!(!answer.text.contains("ada@corp.example"));
        }
    }
}

#[tokio::test]
async fn scim_10_what_is_too_large_is_refused_or_cut() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let id = own.person("ada@corp.example").await;
    let huge = format!("{{\"userName\":\"x\",\"title\":\"{}\"}}", "x".repeat(1024 * 1024));
    assert_eq!(own.raw("POST", "/Users", Some(huge.into_bytes()), &[]).await.refusal(), (413, "tooMany".to_owned()));
    let operation = json!({"op": "replace", "path": "title", "value": "x"});
    let many = own.patch(&format!("/Users/{id}"), vec![operation; 101].into()).await;
    assert_eq!(many.refusal(), (413, "tooMany".to_owned()));
    let operation = json!({"method": "DELETE", "path": "/Users/x"});
    let many = own.post("/Bulk", json!({"Operations": vec![operation; 101]})).await;
    assert_eq!(many.refusal(), (413, "tooMany".to_owned()));
    let members: Vec<Value> = (0..10_000).map(|n| json!({"value": format!("usr_{n:026}")})).collect();
    let group = own.post("/Groups", json!({"displayName": "g", "members": members})).await;
    assert!(matches!(group.refusal().0, 400 | 413), "{}", group.text);
    let deep = format!("{{\"userName\":\"x\",\"x\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(own.raw("POST", "/Users", Some(deep.into_bytes()), &[]).await.refusal().0, 400);
    for (query, items) in [
        ("count=1000000000", 1),
        ("count=99999999999999999999", 1),
        ("count=0", 0),
        ("count=-5", 0),
        ("startIndex=-3", 1),
        ("startIndex=99999999999999999999", 0),
    ] {
        let page = own.get(&format!("/Users?{query}")).await;
        assert_eq!((page.resources().len(), &page.body["totalResults"]), (items, &json!(1)), "{query}");
    }
    for query in ["sortBy=nobody", "sortBy=name.nobody"] {
        assert_eq!(own.get(&format!("/Users?{query}")).await.refusal(), (400, "invalidPath".to_owned()), "{query}");
    }
    for query in [
        "count=many",
        "startIndex=1.5",
        "sortOrder=sideways",
        "count=1&count=2",
        "attributes=id&excludedAttributes=title",
    ] {
        assert_eq!(own.get(&format!("/Users?{query}")).await.refusal(), (400, "invalidValue".to_owned()), "{query}");
    }
    let gzip = own.raw("POST", "/Users", Some(b"{}".to_vec()), &[("content-encoding", "gzip")]).await;
    assert_eq!(gzip.status, 415);
    let form = own
        .raw("POST", "/Users", Some(b"userName=x".to_vec()), &[("content-type", "application/x-www-form-urlencoded")])
        .await;
    assert_eq!(form.refusal().0, 415);
    for (method, path) in
        [("PUT", "/Users"), ("POST", "/Users/x"), ("PATCH", "/Bulk"), ("DELETE", "/Users"), ("POST", "/Schemas")]
    {
        assert_eq!(own.send(method, path, Some(json!({})), &[]).await.refusal().0, 405, "{method} {path}");
    }
}
