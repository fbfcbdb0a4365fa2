//! API keys: a machine's, a person's, and how each ends.

use std::time::Duration;

use authd::access::Caller;
use authd::directory::{Membership, Status, User};
use authd::event::{EventKind, Origin};
use authd::session::{Scope, bump};
use authd::store::{Batch, Key, Stored};
use axum::http::Method;
use serde_json::{Value, json};

use super::roles::set_roles;
use super::{Tenant, grants, text};

/// A key for a person, made by the operator.
async fn key_of(tenant: &Tenant, user: impl serde::Serialize, grants: &[&str]) -> String {
    let wish = json!({"organization": tenant.id, "name": "laptop", "user": user, "grants": grants});
    text(&tenant.authd.operate("api_key.create", wish).await, "key")
}

#[tokio::test]
async fn a_persons_key_does_what_the_key_and_the_person_may() {
    let tenant = Tenant::new().await;
    let (ada, _) = tenant.person("ada", &["owner"]).await;
    let wide = key_of(&tenant, ada, &["*"]).await;
    let narrow = key_of(&tenant, ada, &["user.read", "user.manage"]).await;
    let Caller::ApiKey { user, organization, .. } = tenant.who(&wide).await.unwrap() else { panic!() };
    assert_eq!((user, organization), (Some(ada), tenant.id));
    assert_eq!(tenant.power(&wide).await, Some(authd::access::Role::Owner.grants()), "never to vouch for domains");
    assert_eq!(tenant.power(&narrow).await, Some(grants(&["user.read", "user.manage"])));
    set_roles(&tenant, ada, &["viewer"]).await;
    assert_eq!(tenant.power(&wide).await, Some(authd::access::Role::Viewer.grants()));
    assert_eq!(tenant.power(&narrow).await, Some(grants(&["user.read"])));
    set_roles(&tenant, ada, &[]).await;
    assert_eq!(tenant.power(&narrow).await, Some(grants(&[])));
    assert_eq!(tenant.refused(&narrow, "user.list", json!({})).await, "missing_grant");
}

#[tokio::test]
async fn r_20_a_persons_key_ends_with_the_person_at_the_next_request() {
    let tenant = Tenant::new().await;
    let world = tenant.authd.app.world.clone();
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    let change = async |scope: Option<Scope>, status: Option<Status>, user: authd::id::UserId, anchor: bool| {
        let mut batch = Batch::new();
        if let Some(scope) = scope {
            bump(&world.store, scope, &mut batch).await.unwrap();
        }
        if let Some(status) = status {
            let found: Option<Stored<Membership>> = world.store.get(Membership::key_of(tenant.id, user)).await.unwrap();
            let Stored { value: mut member, revision } = found.unwrap();
            member.status = status;
            batch.update(&member, revision);
        }
        if anchor {
            let found: Option<Stored<User>> = world.store.get(Key::from_bytes(user.bytes())).await.unwrap();
            let Stored { value: mut person, revision } = found.unwrap();
            person.disabled_at = Some(world.env.now());
            batch.update(&person, revision);
        }
        batch.log(cx.event(EventKind::UserUpdated).within(tenant.id));
        world.store.commit(batch).await.unwrap();
    };
    for way in 0..6 {
        let (user, _) = tenant.person(&format!("person{way}"), &["owner"]).await;
        let (bystander, _) = tenant.person(&format!("bystander{way}"), &["owner"]).await;
        let (key, other) = (key_of(&tenant, user, &["*"]).await, key_of(&tenant, bystander, &["*"]).await);
        assert!(tenant.who(&key).await.is_ok());
        match way {
            0 => change(None, Some(Status::Suspended), user, false).await,
            1 => change(None, Some(Status::Deprovisioned), user, false).await,
            2 => change(None, None, user, true).await,
            3 => change(Some(Scope::User(user)), None, user, false).await,
            4 => change(Some(Scope::Membership(tenant.id, user)), None, user, false).await,
            _ => {
                // Suspended and let in again: what ended stays ended.
                change(Some(Scope::Membership(tenant.id, user)), Some(Status::Suspended), user, false).await;
                change(None, Some(Status::Active), user, false).await;
            }
        }
        assert_eq!(tenant.who(&key).await.unwrap_err().code(), "not_signed_in", "{way}");
        assert!(tenant.who(&other).await.is_ok(), "{way}: somebody else's key is not touched");
    }
    // The organization ends them all; a machine's key is good again when it opens again, a person's is not.
    let (user, _) = tenant.person("last", &["owner"]).await;
    let (person, machine) = (key_of(&tenant, user, &["*"]).await, tenant.key(&["*"]).await);
    tenant.authd.operate("organization.disable", json!({"id": tenant.id})).await;
    assert!(tenant.who(&person).await.is_err() && tenant.who(&machine).await.is_err());
    tenant.authd.operate("organization.enable", json!({"id": tenant.id})).await;
    assert!(tenant.who(&person).await.is_err() && tenant.who(&machine).await.is_ok());
}

#[tokio::test]
async fn adm_02_nobody_makes_a_key_in_the_name_of_somebody_else() {
    let tenant = Tenant::new().await;
    let (ada, hers) = tenant.person("ada", &["owner"]).await;
    let (_, his) = tenant.person("bob", &["owner"]).await;
    let wish = json!({"name": "k", "user": ada, "grants": ["user.read"]});
    let machine = tenant.key(&["*"]).await;
    let own_key = text(&tenant.call(&hers, "api_key.create", wish.clone()).await.unwrap(), "key");
    assert_eq!(tenant.power(&own_key).await, Some(grants(&["user.read"])));
    let role = json!({"organization": tenant.id, "role": "owner"});
    let bare = text(&tenant.authd.operate("token.issue", role).await, "access_token");
    let wider = key_of(&tenant, ada, &["*"]).await;
    for (who, bearer) in [("another owner", &his), ("a machine", &machine), ("a bare role", &bare), ("her key", &wider)]
    {
        let refused = tenant.refused(bearer, "api_key.create", wish.clone()).await;
        assert_eq!(refused, "grant_exceeds_caller", "{who}");
    }
    // Whether somebody is there is not told to those who may not ask.
    let mut ghost = wish.clone();
    ghost["user"] = json!("usr_00000000000000000000000000");
    assert_eq!(tenant.refused(&his, "api_key.create", ghost.clone()).await, "grant_exceeds_caller");
    ghost["organization"] = json!(tenant.id);
    assert_eq!(tenant.refused_to_operator("api_key.create", ghost).await, "not_found");
    let mut more = wish;
    more["grants"] = json!(["connection.domain.trust"]);
    assert_eq!(tenant.refused(&hers, "api_key.create", more).await, "grant_exceeds_caller");
}

#[tokio::test]
async fn adm_02_a_persons_key_makes_no_key_that_would_outlive_them() {
    let tenant = Tenant::new().await;
    let (ada, hers) = tenant.person("ada", &["owner"]).await;
    tenant.person("bob", &["owner"]).await;
    let key = key_of(&tenant, ada, &["*"]).await;
    let keys = async || tenant.authd.app.world.store.counts().await.unwrap()["api_key"];
    let before = keys().await;
    for wanted in [json!(["user.read"]), json!(["*"])] {
        let wish = json!({"name": "k", "grants": wanted});
        assert_eq!(tenant.refused(&key, "api_key.create", wish).await, "grant_exceeds_caller", "{wanted}");
    }
    assert_eq!(keys().await, before, "nothing was made");
    // The person, signed in, and a key of the organization may; and such a key does not end with her.
    let wish = json!({"name": "k", "grants": ["user.read"]});
    let made = text(&tenant.call(&hers, "api_key.create", wish.clone()).await.unwrap(), "key");
    let machine = tenant.key(&["*"]).await;
    tenant.call(&machine, "api_key.create", wish).await.unwrap();
    tenant.authd.operate("user.suspend", json!({"id": ada, "organization": tenant.id})).await;
    assert!(tenant.who(&key).await.is_err() && tenant.who(&made).await.is_ok());
}

#[tokio::test]
async fn a_key_ends_when_it_was_said_to() {
    let tenant = Tenant::new().await;
    let create = async |more: Value| {
        let mut wish = json!({"organization": tenant.id, "name": "k", "grants": []});
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        wish
    };
    let hour = tenant.authd.operate("api_key.create", create(json!({"expiresIn": "1h"})).await).await;
    assert_eq!(hour["expiresAt"], "2026-01-01T01:00:00.000Z");
    let day = create(json!({"expiresAt": "2026-01-02T00:00:00Z"})).await;
    let day = tenant.authd.operate("api_key.create", day).await;
    for (wrong, more) in [
        ("both", json!({"expiresIn": "1h", "expiresAt": "2026-01-02T00:00:00Z"})),
        ("past", json!({"expiresAt": "2025-12-31T00:00:00Z"})),
        ("now", json!({"expiresAt": "2026-01-01T00:00:00Z"})),
        ("nothing", json!({"expiresIn": "0d"})),
        ("words", json!({"expiresIn": "soon"})),
        ("name", json!({"name": "a\u{1b}]52;c;x\u{7}"})),
        ("grant", json!({"grants": ["everything"]})),
    ] {
        assert_eq!(tenant.refused_to_operator("api_key.create", create(more).await).await, "invalid_input", "{wrong}");
    }
    let nowhere = create(json!({"organization": "org_00000000000000000000000000"})).await;
    assert_eq!(tenant.refused_to_operator("api_key.create", nowhere).await, "not_found");
    let (hour, day) = (text(&hour, "key"), text(&day, "key"));
    tenant.authd.env().advance(Duration::from_secs(3599));
    assert!(tenant.who(&hour).await.is_ok());
    tenant.authd.env().advance(Duration::from_secs(1));
    assert!(tenant.who(&hour).await.is_err() && tenant.who(&day).await.is_ok());
}

#[tokio::test]
async fn a_list_says_whose_keys_they_are_and_when_they_were_used() {
    let tenant = Tenant::new().await;
    let (ada, _) = tenant.person("ada", &["owner"]).await;
    let (bob, _) = tenant.person("bob", &["owner"]).await;
    let machine = tenant.key(&["user.read"]).await;
    let hers = key_of(&tenant, ada, &["user.read"]).await;
    key_of(&tenant, bob, &["user.read"]).await;
    let list =
        async |more: Value| tenant.authd.operate("api_key.list", more).await["items"].as_array().unwrap().clone();
    let all = list(json!({"organization": tenant.id})).await;
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|key| key.get("lastUsedAt").is_none()), "{all:?}");
    assert_eq!(all.iter().filter(|key| key.get("user").is_none()).count(), 1);
    for filter in [json!({"user": ada}), json!({"organization": tenant.id, "user": ada})] {
        let of_ada = list(filter).await;
        assert_eq!((of_ada.len(), &of_ada[0]["user"]), (1, &json!(ada)));
    }
    // A use is noted beside the request, and once a minute.
    let used = async || list(json!({"user": ada})).await[0]["lastUsedAt"].clone();
    let settled = async |expected: &str| {
        for _ in 0..200 {
            if used().await == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} is not {expected}", used().await);
    };
    tenant.who(&hers).await.unwrap();
    settled("2026-01-01T00:00:00.000Z").await;
    tenant.authd.env().advance(Duration::from_secs(59));
    tenant.who(&hers).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(used().await, "2026-01-01T00:00:00.000Z");
    tenant.authd.env().advance(Duration::from_secs(1));
    tenant.who(&hers).await.unwrap();
    settled("2026-01-01T00:01:00.000Z").await;
    assert!(list(json!({"user": bob})).await[0].get("lastUsedAt").is_none());
    // A key that opens nothing was not used.
    let id = text(&list(json!({"user": ada})).await[0], "id");
    tenant.authd.operate("api_key.revoke", json!({"id": id})).await;
    tenant.authd.env().advance(Duration::from_secs(600));
    assert!(tenant.who(&hers).await.is_err() && tenant.who(&machine).await.is_ok());
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(used().await, "2026-01-01T00:01:00.000Z");
}

#[tokio::test]
async fn adm_03_a_key_in_an_address_opens_nothing_and_is_not_repeated() {
    let tenant = Tenant::new().await;
    let key = tenant.key(&["*"]).await;
    let mut browser = tenant.authd.browser();
    for name in ["access_token", "api_key", "apiKey", "key", "token", "authorization", "bearer"] {
        for path in ["/v1/users", "/v1/organizations", "/v1/nothing", "/userinfo"] {
            let address = format!("{path}?{name}={key}");
            let reply = browser.get(&address).await;
            assert!(reply.status.is_client_error(), "{address}: {reply:?}");
            assert!(!format!("{reply:?}").contains(&key), "{address}: {reply:?}");
            let bearer = format!("Bearer {key}");
            let beside = browser.send(Method::GET, &address, &[("authorization", &bearer)], None).await;
            assert!(!beside.status.is_success(), "{address}: {beside:?}");
            assert!(!format!("{beside:?}").contains(&key), "{address}: {beside:?}");
        }
    }
    let path = browser.get(&format!("/v1/users/{key}")).await;
    assert_eq!(path.status, 401);
    let basic = format!("Basic {key}");
    assert_eq!(browser.send(Method::GET, "/v1/users", &[("authorization", &basic)], None).await.status, 401);
    let cookie = format!("key={key}; Authorization={key}");
    assert_eq!(browser.send(Method::GET, "/v1/users", &[("cookie", &cookie)], None).await.status, 401);
    for event in tenant.authd.events().await {
        assert!(!serde_json::to_string(&event).unwrap().contains(&key));
    }
}
