//! Lists of people, sessions and organizations: searched, filtered, sorted, paged; and organizations changed and ended.

use std::collections::BTreeSet;

use authd::directory::Membership;
use authd::id::OrganizationId;
use authd::store::Query;
use serde_json::{Value, json};

use crate::world::authd::Authd;
use crate::world::crowd::Crowd;

async fn organization(authd: &Authd, name: &str) -> OrganizationId {
    // Ids sort by the time they were made.
    authd.env().advance(std::time::Duration::from_millis(1));
    let made = authd.operate("organization.create", json!({"name": name})).await;
    made["id"].as_str().unwrap().parse().unwrap()
}

/// All pages of a list, a value of each item.
async fn all(authd: &Authd, name: &str, mut input: Value, field: &str, limit: usize) -> Vec<String> {
    input["limit"] = json!(limit);
    let mut found = Vec::new();
    loop {
        let page = authd.operate(name, input.clone()).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        found.extend(items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()));
        match page.get("next") {
            Some(next) => input["cursor"] = next.clone(),
            None => return found,
        }
    }
}

fn email(n: u32) -> String {
    format!("person{n}@crowd.test")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_found_by_every_filter_alone_and_together_in_every_order() {
    let authd = Authd::start().await;
    let world = &authd.app.world;
    let (one, other) = (organization(&authd, "One").await, organization(&authd, "Other").await);
    let crowd = Crowd::new(world, one, 2_600);
    crowd.arrive(world).await;
    // The same people elsewhere, of whom nothing must show.
    Crowd { organization: other, ..Crowd::new(world, other, 300) }.arrive(world).await;

    type Case = (Value, Box<dyn Fn(u32) -> bool>);
    let rare = crowd.connections[1];
    let cases: Vec<Case> = vec![
        (json!({}), Box::new(|_| true)),
        (json!({"search": "GRACE"}), Box::new(|n| Crowd::given(n) == "Grace")),
        (json!({"search": "ho gr"}), Box::new(|n| Crowd::given(n) == "Grace" && Crowd::family(n).starts_with("Ho"))),
        (json!({"search": "zoe"}), Box::new(|n| Crowd::given(n) == "Zoë")),
        (json!({"search": "Żołc"}), Box::new(|n| Crowd::family(n) == "Żółć")),
        (json!({"search": "jones"}), Box::new(|n| Crowd::family(n) == "Smith-Jones")),
        (json!({"search": "obrien"}), Box::new(|n| Crowd::family(n) == "O'Brien")),
        (json!({"search": "person17@crowd.test"}), Box::new(|n| n == 17)),
        (json!({"search": "Person25"}), Box::new(|n| n.to_string().starts_with("25"))),
        (json!({"search": "ada nobody"}), Box::new(|_| false)),
        (json!({"search": "***"}), Box::new(|_| false)),
        (json!({"search": "  "}), Box::new(|_| true)),
        (json!({"status": "suspended"}), Box::new(Crowd::suspended)),
        (json!({"status": "active", "search": "p"}), Box::new(|n| !Crowd::suspended(n))),
        (json!({"role": "viewer"}), Box::new(|n| n % 50 == 0)),
        (json!({"role": "viewer", "status": "suspended"}), Box::new(|n| n % 500 == 0)),
        (json!({"role": "member", "status": "deprovisioned"}), Box::new(|_| false)),
        (json!({"connection": rare}), Box::new(|n| n % 1_000 == 0)),
        (json!({"connection": crowd.connections[0], "role": "viewer"}), Box::new(|n| n % 50 == 0 && n % 1_000 != 0)),
    ];
    for (input, fits) in &cases {
        let wanted: BTreeSet<String> = (0..crowd.size).filter(|n| fits(*n)).map(email).collect();
        for (sort, order) in
            [(None, None), (Some("name"), Some("desc")), (Some("email"), Some("asc")), (Some("created"), None)]
        {
            let mut input = input.clone();
            input["organization"] = json!(one);
            if let Some(sort) = sort {
                input["sort"] = json!(sort);
            }
            if let Some(order) = order {
                input["order"] = json!(order);
            }
            let found = all(&authd, "user.list", input.clone(), "email", 271).await;
            assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), wanted, "{input}");
            assert_eq!(found.len(), wanted.len(), "somebody is on two pages: {input}");
            match sort {
                Some("email") => assert!(found.is_sorted(), "{input}"),
                Some("name") => {
                    let number = |email: &String| -> u32 { email[6..email.find('@').unwrap()].parse().unwrap() };
                    let name = |email: &String| (Crowd::given(number(email)), Crowd::family(number(email)));
                    // Plain letters sort as they are; the others next to what they are read as.
                    let plain: Vec<_> = found
                        .iter()
                        .map(name)
                        .filter(|(a, b)| format!("{a}{b}").bytes().all(|c| c.is_ascii_alphabetic()))
                        .collect();
                    assert!(
                        plain.is_sorted_by(|one, next| format!("{} {}", one.0, one.1).to_lowercase()
                            >= format!("{} {}", next.0, next.1).to_lowercase()),
                        "{input}"
                    );
                }
                _ => {}
            }
        }
    }
    assert_eq!(all(&authd, "user.list", json!({"organization": other}), "email", 1000).await.len(), 300);
}

#[tokio::test]
async fn what_changes_of_a_person_changes_where_they_are_found() {
    let authd = Authd::start().await;
    let world = &authd.app.world;
    let org = organization(&authd, "One").await;
    Crowd::new(world, org, 3).arrive(world).await;
    let found =
        async |search: &str| all(&authd, "user.list", json!({"organization": org, "search": search}), "name", 10).await;
    assert_eq!(found("grace").await, ["Grace Lovelace"]);
    let page = world.store.page::<Membership>(Query::by("organization", org.bytes())).await.unwrap();
    let grace = page.items.into_iter().find(|m| m.given_name.as_deref() == Some("Grace")).unwrap();
    let mut changed = grace.value.clone();
    changed.name = Some("Amazing Hopper".to_owned());
    changed.given_name = None;
    changed.family_name = None;
    let cx = authd.app.context(authd::access::Caller::System, authd::event::Origin::internal(authd.env()));
    let mut batch = authd::store::Batch::new();
    batch.update(&changed, grace.revision).log(cx.event(authd::event::EventKind::UserUpdated));
    world.store.commit(batch).await.unwrap();
    assert!(found("grace").await.is_empty());
    assert_eq!(found("hop ama").await, ["Amazing Hopper"]);
}

#[tokio::test]
async fn a_search_says_what_it_cannot_do() {
    let authd = Authd::start().await;
    let org = organization(&authd, "One").await;
    let cx = authd.app.context(authd::access::Caller::Operator { uid: 0 }, authd::event::Origin::internal(authd.env()));
    let refused = async |input: Value| authd.app.perform(&cx, "user.list", input).await.unwrap_err().code();
    assert_eq!(refused(json!({"search": "ada"})).await, "invalid_input");
    assert_eq!(refused(json!({"sort": "name"})).await, "invalid_input");
    assert_eq!(refused(json!({"organization": org, "sort": "shoe"})).await, "invalid_input");
    assert_eq!(refused(json!({"organization": org, "order": "up"})).await, "invalid_input");
    assert_eq!(refused(json!({"organization": org, "status": "gone"})).await, "invalid_input");
    assert_eq!(refused(json!({"organization": org, "search": "a b c d e f g h i"})).await, "invalid_input");
    assert_eq!(refused(json!({"organization": org, "search": "x".repeat(201)})).await, "invalid_input");
    assert_eq!(refused(json!({"organization": org, "cursor": "?"})).await, "invalid_input");
    // A cursor of another list, or of nobody's, stays within this one.
    let other = organization(&authd, "Other").await;
    let world = &authd.app.world;
    Crowd::new(world, org, 30).arrive(world).await;
    Crowd::new(world, other, 30).arrive(world).await;
    let page = authd.operate("user.list", json!({"organization": other, "sort": "name", "limit": 5})).await;
    for cursor in [page["next"].as_str().unwrap(), "AAAA", "____________________________"] {
        for order in ["asc", "desc"] {
            let input = json!({"organization": org, "sort": "email", "order": order, "cursor": cursor});
            let page = authd.operate("user.list", input).await;
            assert!(page["items"].as_array().unwrap().iter().all(|item| item["organization"] == json!(org)));
        }
    }
}

#[tokio::test]
async fn organizations_are_found_by_name_renamed_and_ended() {
    let authd = Authd::start().await;
    let (acme, globex) = (organization(&authd, "Acme Wérke").await, organization(&authd, "Globex Werke").await);
    let found = async |search: &str| all(&authd, "organization.list", json!({"search": search}), "name", 1).await;
    assert_eq!(found("WERK").await, ["Acme Wérke", "Globex Werke"]);
    assert_eq!(found("glob we").await, ["Globex Werke"]);
    assert!(found("acme globex").await.is_empty());
    authd.operate("organization.update", json!({"id": acme, "name": " Initech "})).await;
    assert!(found("acme").await.is_empty());
    assert_eq!(found("initech").await, ["Initech"]);

    let world = &authd.app.world;
    Crowd::new(world, acme, 400).arrive(world).await;
    Crowd::new(world, globex, 40).arrive(world).await;
    let key = authd.operate("api_key.create", json!({"organization": acme, "name": "k", "grants": ["*"]})).await;
    let key = key["key"].as_str().unwrap().to_owned();
    let origin = || authd::event::Origin::internal(authd.env());
    authd.app.authenticate(&key, origin()).await.unwrap();

    let cx = authd.app.context(authd::access::Caller::Operator { uid: 0 }, origin());
    for wrong in ["", "initech", "Globex Werke", "Initech Werke"] {
        let refused = authd.app.perform(&cx, "organization.delete", json!({"id": acme, "confirm": wrong})).await;
        assert_eq!(refused.unwrap_err().code(), "invalid_input", "{wrong}");
    }
    let ended = authd.operate("organization.delete", json!({"id": acme, "confirm": "Initech"})).await;
    assert_eq!(ended["enabled"], json!(false));
    // At once, for everybody, and for good.
    assert_eq!(authd.app.authenticate(&key, origin()).await.unwrap_err().code(), "not_signed_in");
    assert_eq!(found("").await, ["Globex Werke"]);
    for operation in ["organization.get", "organization.enable", "organization.disable"] {
        let gone = authd.app.perform(&cx, operation, json!({"id": acme})).await;
        assert_eq!(gone.unwrap_err().code(), "not_found", "{operation}");
    }
    // Its data goes later, in chunks; what is another's stays, and so do the events.
    let before = authd.events().await.len();
    authd::jobs::ended::remove(world).await.unwrap();
    let counts = world.store.counts().await.unwrap();
    assert_eq!((counts["membership"], counts["user"]), (40, 40));
    assert!(!counts.contains_key("api_key"), "{counts:?}");
    let swept = authd.events().await;
    let kinds: BTreeSet<_> = swept[before..].iter().map(|event| event.kind.name()).collect();
    assert_eq!((swept.len() > before + 2, kinds), (true, BTreeSet::from(["organization.swept"])));
    authd::jobs::ended::remove(world).await.unwrap();
    assert_eq!(authd.events().await.len(), swept.len(), "there is nothing left to sweep");
}
