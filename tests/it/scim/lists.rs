//! Lists: filters by index and by walk, sorting, pages by index and by cursor, attributes.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

async fn crowd(own: &Directory, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        let body = json!({
            "userName": format!("User{n:03}@corp.example"), "externalId": format!("E{n}"), "title": format!("T{}", n % 3),
            "name": {"familyName": format!("F{:03}", 999 - n)}, "active": n % 5 != 0,
            (ENTERPRISE): {"department": format!("D{}", n % 2)},
        });
        ids.push(own.post("/Users", body).await.done(201).id());
    }
    ids
}

fn names(answer: &Answer) -> Vec<String> {
    answer.resources().iter().map(|one| one["userName"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn filters_find_what_they_say() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let ids = crowd(&own, 20).await;
    let group = own.group("Staff", &[&ids[3], &ids[4]]).await;
    for (filter, count) in [
        ("userName eq \"USER003@corp.example\"".to_owned(), 1),
        ("userName Eq \"user003@corp.example\" and active eq True".to_owned(), 1),
        ("userName eq \"user003@corp.example\" and title eq \"T1\"".to_owned(), 0),
        ("userName eq \"nobody\"".to_owned(), 0),
        ("externalId eq \"E7\"".to_owned(), 1),
        ("externalId eq \"e7\"".to_owned(), 0),
        (format!("id eq \"{}\"", ids[2]), 1),
        ("id eq \"nonsense\"".to_owned(), 0),
        ("userName sw \"user00\"".to_owned(), 10),
        ("userName ew \"9@CORP.example\"".to_owned(), 2),
        ("title eq \"t1\"".to_owned(), 7),
        ("active eq false".to_owned(), 4),
        ("active eq \"False\"".to_owned(), 4),
        ("not (active eq true) or title eq \"T0\"".to_owned(), 10 - usize::from(false)),
        (format!("{ENTERPRISE}:department eq \"d1\""), 10),
        (format!("groups.value eq \"{group}\""), 2),
        ("groups[display eq \"staff\"]".to_owned(), 2),
        ("meta.created gt \"2000-01-01T00:00:00Z\"".to_owned(), 20),
        ("meta.created gt \"2100-01-01T00:00:00Z\"".to_owned(), 0),
        ("nickName pr".to_owned(), 0),
        ("urn:acme:1.0:X:y pr".to_owned(), 0),
    ] {
        let found = own.filter("Users", &filter).await;
        let expected = (0..20).filter(|n| n % 5 == 0 || n % 3 == 0).count();
        let count = if filter.starts_with("not (") { expected } else { count };
        assert_eq!((found.resources().len(), &found.body["totalResults"]), (count, &json!(count)), "{filter}");
    }
    for (filter, count) in [
        ("displayName eq \"STAFF\"".to_owned(), 1),
        ("displayName eq \"Others\"".to_owned(), 0),
        (format!("members.value eq \"{}\"", ids[3]), 1),
        (format!("members[value eq \"{}\"]", ids[5]), 0),
        (format!("id eq \"{group}\" and members eq \"{}\"", ids[4]), 1),
    ] {
        assert_eq!(own.filter("Groups", &filter).await.resources().len(), count, "{filter}");
    }
    // By an index, no list of people is walked.
    let store = &scene.authd.app.world.store;
    let before = store.rows_listed();
    for filter in [
        "userName eq \"user003@corp.example\"",
        "externalId eq \"E7\"",
        "userName eq \"user003@corp.example\" and active eq true",
    ] {
        assert_eq!(own.filter("Users", filter).await.resources().len(), 1);
    }
    assert!(store.rows_listed() - before < 10, "{}", store.rows_listed() - before);
}

#[tokio::test]
async fn pages_hold_everybody_once() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let ids: BTreeSet<String> = crowd(&own, 23).await.into_iter().collect();
    for filter in ["", "&filter=title%20pr", "&sortBy=name.familyName", "&sortBy=userName&sortOrder=descending"] {
        // By index.
        let (mut seen, mut start) = (Vec::new(), 1);
        loop {
            let page = own.get(&format!("/Users?count=5&startIndex={start}{filter}")).await;
            assert_eq!(page.body["totalResults"], 23);
            assert_eq!(
                (&page.body["startIndex"], &page.body["itemsPerPage"]),
                (&json!(start), &json!(page.resources().len()))
            );
            if page.resources().is_empty() {
                break;
            }
            assert!(page.body.get("nextCursor").is_none());
            seen.extend(page.resources().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            start += 5;
        }
        assert_eq!((seen.len(), seen.iter().cloned().collect::<BTreeSet<_>>()), (23, ids.clone()), "{filter}");
        // By cursor.
        let (mut by_cursor, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = own.get(&format!("/Users?count=5&cursor={cursor}{filter}")).await;
            by_cursor.extend(page.resources().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            assert!(page.body.get("startIndex").is_none());
            match page.body["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(by_cursor, seen, "{filter}");
    }
    let cursor = own.get("/Users?count=5&cursor=").await.body["nextCursor"].as_str().unwrap().to_owned();
    for wrong in [
        format!("cursor={cursor}&filter=title%20pr"),
        "cursor=nonsense".to_owned(),
        format!("cursor={cursor}x"),
        "cursor=AAAA".to_owned(),
    ] {
        assert_eq!(own.get(&format!("/Users?{wrong}")).await.refusal(), (400, "invalidCursor".to_owned()), "{wrong}");
    }
    assert_eq!(own.get(&format!("/Groups?cursor={cursor}")).await.refusal().1, "invalidCursor");
    let other = Directory::of(&scene, Some(&scene.connection)).await;
    assert_eq!(other.get(&format!("/Users?cursor={cursor}")).await.refusal().1, "invalidCursor");
    // Somebody who comes in between moves nobody to another page.
    scene.authd.env().advance(std::time::Duration::from_secs(1));
    let first = own.get("/Users?count=5&cursor=").await;
    own.person("late").await;
    let next = own.get(&format!("/Users?count=5&cursor={}", first.body["nextCursor"].as_str().unwrap())).await;
    assert!(names(&next).iter().all(|name| !names(&first).contains(name)));
}

/// Whoever was there from the first page to the last is on exactly one page, whoever comes and goes meanwhile: in the order
/// of the keys, under a filter, and in both directions of a sort.
#[tokio::test]
async fn a_cursor_goes_on_behind_the_last_one_whatever_comes_and_goes() {
    for list in [
        "",
        "&filter=userName%20sw%20%22user%22",
        "&sortBy=name.familyName",
        "&sortBy=name.familyName&sortOrder=descending",
        "&sortBy=title&sortOrder=descending&filter=not%20(userName%20eq%20%22x%22)",
        "&sortBy=nickName",
    ] {
        let scene = Scene::new().await;
        let own = Directory::of(&scene, None).await;
        let ids = crowd(&own, 24).await;
        let mut left: BTreeSet<String> = ids.iter().cloned().collect();
        let (mut seen, mut cursor, mut page_number) = (Vec::new(), String::new(), 0);
        loop {
            let page = own.get(&format!("/Users?count=5&cursor={cursor}{list}")).await;
            let given: Vec<String> =
                page.resources().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
            seen.extend(given.iter().cloned());
            let Some(next) = page.body["nextCursor"].as_str() else { break };
            cursor = next.to_owned();
            // Of those that were given the first and the last go: the place behind the last one stays the same.
            for gone in [given.first().unwrap(), given.last().unwrap()] {
                left.remove(gone);
                own.delete(&format!("/Users/{gone}")).await;
            }
            let come =
                json!({"userName": format!("user-late{page_number}"), "name": {"familyName": "F500"}, "title": "T1"});
            own.post("/Users", come).await.done(201);
            page_number += 1;
        }
        assert!(page_number >= 4, "{list}");
        let distinct: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(distinct.len(), seen.len(), "{list}: nobody twice");
        assert!(left.is_subset(&distinct), "{list}: {:?} were never given", left.difference(&distinct));
    }
}

#[tokio::test]
async fn lists_are_sorted_by_what_is_asked() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    for (name, nick, email) in
        [("b", Some("x"), "2@corp.example"), ("A", None, "3@corp.example"), ("c", Some("W"), "1@corp.example")]
    {
        let body = json!({"userName": name, "nickName": nick, "emails": [{"value": "9@corp.example"}, {"value": email, "primary": true}]});
        own.post("/Users", body).await.done(201);
        scene.authd.env().advance(std::time::Duration::from_millis(1));
    }
    for (query, expected) in [
        ("sortBy=userName", ["A", "b", "c"]),
        ("sortBy=USERNAME&sortOrder=descending", ["c", "b", "A"]),
        ("sortBy=nickName", ["c", "b", "A"]),
        ("sortBy=emails", ["c", "b", "A"]),
        ("sortBy=emails.value&sortOrder=Descending", ["A", "b", "c"]),
        ("sortBy=id", ["b", "A", "c"]),
        ("sortBy=urn:ietf:params:scim:schemas:core:2.0:User:userName", ["A", "b", "c"]),
    ] {
        assert_eq!(names(&own.get(&format!("/Users?{query}")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn an_answer_has_what_was_asked_for() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, None).await;
    let body = json!({
        "userName": "ada", "title": "Dr", "name": {"givenName": "Ada", "familyName": "King"},
        "emails": [{"value": "a@corp.example", "type": "work"}], (ENTERPRISE): {"department": "D", "division": "V"},
        "urn:acme:2.0:Badge": {"n": 1}, "shoeSize": 42,
    });
    let id = own.post("/Users", body).await.done(201).id();
    let group = own.group("Staff", &[&id]).await;
    let keys = |answer: &Value| -> Vec<String> {
        let mut keys: Vec<String> = answer.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    for (attributes, expected, checks) in [
        ("userName", vec!["id", "schemas", "userName"], json!({})),
        ("USERNAME,title", vec!["id", "schemas", "title", "userName"], json!({})),
        ("name.givenName", vec!["id", "name", "schemas"], json!({"name": {"givenName": "Ada"}})),
        (
            "name.givenName,name.familyName",
            vec!["id", "name", "schemas"],
            json!({"name": {"givenName": "Ada", "familyName": "King"}}),
        ),
        ("emails.value", vec!["emails", "id", "schemas"], json!({"emails": [{"value": "a@corp.example"}]})),
        (
            "emails.value,emails.type",
            vec!["emails", "id", "schemas"],
            json!({"emails": [{"value": "a@corp.example", "type": "work"}]}),
        ),
        ("meta.version", vec!["id", "meta", "schemas"], json!({})),
        ("shoeSize", vec!["id", "schemas", "shoeSize"], json!({})),
        ("groups", vec!["groups", "id", "schemas"], json!({})),
        ("password,nothing", vec!["id", "schemas"], json!({})),
        (
            &format!("{ENTERPRISE}:department"),
            vec!["id", "schemas", ENTERPRISE],
            json!({(ENTERPRISE): {"department": "D"}}),
        ),
        (ENTERPRISE, vec!["id", "schemas", ENTERPRISE], json!({})),
        ("urn:acme:2.0:Badge:n", vec!["id", "schemas", "urn:acme:2.0:Badge"], json!({})),
    ] {
        let one = own.get(&format!("/Users/{id}?attributes={attributes}")).await.done(200).body;
        assert_eq!(keys(&one), expected, "{attributes}");
        for (name, value) in checks.as_object().unwrap() {
            assert_eq!(&one[name], value, "{attributes}");
        }
        let listed = own.get(&format!("/Users?attributes={attributes}")).await;
        assert_eq!(listed.resources()[0], one);
    }
    let without = own
        .get(&format!(
            "/Users/{id}?excludedAttributes=title,name.familyName,groups,{ENTERPRISE}:division,id,schemas,shoeSize"
        ))
        .await
        .done(200)
        .body;
    assert!(["title", "groups", "shoeSize"].iter().all(|name| without.get(name).is_none()));
    assert_eq!((&without["name"], &without[ENTERPRISE]), (&json!({"givenName": "Ada"}), &json!({"department": "D"})));
    assert_eq!((&without["id"], without["schemas"].is_array()), (&json!(id), true));
    // Also where something is written, searched or a group.
    let put =
        own.put(&format!("/Users/{id}?attributes=userName"), json!({"userName": "ada", "title": "x"})).await.done(200);
    assert_eq!(keys(&put.body), ["id", "schemas", "userName"]);
    let searched = own
        .post("/Users/.search", json!({"attributes": ["userName"], "filter": "userName eq \"ada\"", "count": 1}))
        .await;
    assert_eq!(keys(&searched.resources()[0]), ["id", "schemas", "userName"]);
    let groups = own.get("/Groups?excludedAttributes=members").await;
    assert!(groups.resources()[0].get("members").is_none());
    assert_eq!(groups.resources()[0]["id"], group);
    // Among all kinds at once.
    let all = own.post("/.search", json!({"filter": "id pr", "count": 10})).await;
    assert_eq!((all.resources().len(), &all.body["totalResults"]), (2, &json!(2)));
    let second = own.post("/.search", json!({"filter": "id pr", "startIndex": 2, "count": 10})).await;
    assert_eq!(second.resources()[0]["id"], group);
    assert_eq!(own.post("/.search", json!({"filter": "displayName eq \"Staff\""})).await.resources().len(), 1);
}
