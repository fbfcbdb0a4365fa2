//! Whoever leaves is out at the next request, with whatever they hold, by whatever road.

use authd::access::Caller;
use authd::directory::{PersonProposal, Provisioned, ProvisionedPerson, Source, provision};
use authd::event::{EventKind, Origin};
use authd::store::Batch;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Scene, claims, text};
use crate::world::authd::Browser;

/// Everything that a person can hold.
struct Held {
    user: String,
    browser: Browser,
    access: String,
    code: String,
    api: String,
    /// Where the provider sends another browser of theirs back to.
    pending: String,
    other: Browser,
}

impl Held {
    async fn by_alice(scene: &Scene) -> Self {
        let mut browser = scene.authd.browser();
        let landed = scene.sign_in(&mut browser).await;
        let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
        let access = text(&tokens, "access_token");
        let user = claims(&access)["sub"].as_str().unwrap().to_owned();
        let code = browser.get(&scene.authorize(&[])).await.query("code").unwrap();
        let wish = json!({"organization": scene.organization, "user": user});
        let api = text(&scene.authd.operate("token.issue", wish).await, "access_token");
        let mut other = scene.authd.browser();
        let pending = scene.back(&scene.leave(&mut other).await);
        Self { user, browser, access, code, api, pending, other }
    }

    /// Whether each of it opens anything: session, access token, code, token of our own API, pending attempt.
    async fn opens(&mut self, scene: &Scene) -> Vec<(&'static str, bool)> {
        let silent = self.browser.get(&scene.authorize(&[("prompt", "none")])).await;
        let info = scene.userinfo(&self.access).await;
        let code = scene.redeem(&self.code).await;
        let bearer = format!("Bearer {}", self.api);
        let headers = [("authorization", bearer.as_str())];
        let api = scene.authd.browser().send(Method::GET, "/v1/users", &headers, None).await;
        let landed = self.other.get(&self.pending).await;
        vec![
            ("session", silent.query("code").is_some()),
            ("access token", info.status == StatusCode::OK),
            ("code", code.status == StatusCode::OK),
            ("api token", api.status == StatusCode::OK || api.status == StatusCode::FORBIDDEN),
            ("pending attempt", landed.status == StatusCode::SEE_OTHER),
        ]
    }
}

/// What SCIM on the scene's connection says of somebody.
async fn scim(scene: &Scene, user: &str, active: Option<bool>) -> Result<ProvisionedPerson, &'static str> {
    let app = &scene.authd.app;
    let cx = app.context(Caller::System, Origin::internal(scene.authd.env()));
    let connection = authd::connection::Connection::load(&cx.store, scene.connection.parse().unwrap()).await.unwrap();
    let facts = authd::governance::facts_of(&cx, &connection, None).await.unwrap();
    let proposal =
        PersonProposal { user: Some(user.parse().unwrap()), active, ..PersonProposal::of(Source::Scim(connection.id)) };
    let mut batch = Batch::new();
    let proposal = authd::directory::Proposal::Person(Box::new(proposal));
    let done = provision(&cx, &proposal, &facts, &mut batch).await.map_err(|error| error.code())?;
    cx.store.commit(batch).await.unwrap();
    match done {
        Provisioned::Person(person) => Ok(*person),
        Provisioned::Group(_) => panic!("a group"),
    }
}

#[tokio::test]
async fn r_20_whoever_leaves_is_out_at_the_next_request_by_every_road() {
    for road in ["user.suspend", "user.delete", "member.remove", "scim", "nothing"] {
        let scene = Scene::new().await;
        let mut held = Held::by_alice(&scene).await;
        let user = held.user.clone();
        match road {
            "nothing" => {}
            "scim" => drop(scim(&scene, &user, Some(false)).await.unwrap()),
            "member.remove" => drop(scene.authd.operate(road, json!({"user": user})).await),
            _ => drop(scene.authd.operate(road, json!({"id": user})).await),
        }
        let mut opens = held.opens(&scene).await;
        if road == "user.delete" {
            // Nothing is known of them any more: who comes back is a stranger, and is treated as one.
            assert_eq!(opens.pop(), Some(("pending attempt", true)));
            let members = scene.authd.operate("user.list", json!({"organization": scene.organization})).await;
            assert_ne!(members["items"][0]["id"], json!(user));
        }
        assert!(opens.iter().all(|(_, open)| *open == (road == "nothing")), "{road}: {opens:?}");
    }
}

#[tokio::test]
async fn what_ended_stays_ended_after_a_return() {
    let scene = Scene::new().await;
    let mut held = Held::by_alice(&scene).await;
    let user = held.user.clone();
    scene.authd.operate("user.suspend", json!({"id": user})).await;
    let refused = scene.authd.browser().get(&held.pending).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "another browser's");
    scene.authd.operate("user.reactivate", json!({"id": user})).await;
    held.other = scene.authd.browser();
    let opens = held.opens(&scene).await;
    assert!(opens.iter().all(|(_, open)| !open), "{opens:?}");
    // They sign in anew.
    assert!(scene.sign_in(&mut scene.authd.browser()).await.query("code").is_some());
    assert_eq!(scene.authd.counts().await["user"], 1);
}

#[tokio::test]
async fn signing_in_after_leaving_is_refused_and_makes_nothing() {
    let scene = Scene::new().await;
    let held = Held::by_alice(&scene).await;
    scim(&scene, &held.user, Some(false)).await.unwrap();
    for subject in ["alice-1", "alice-2"] {
        scene.op.person(|person| drop(person.insert("sub".into(), subject.into())));
        let mut browser = scene.authd.browser();
        let back = scene.back(&scene.leave(&mut browser).await);
        scene.rejects(StatusCode::FORBIDDEN, "person_disabled", async |_| browser.get(&back).await).await;
    }
    // SCIM left the word out: nothing changes. It says so: they are back.
    scim(&scene, &held.user, None).await.unwrap();
    scene.op.person(|person| drop(person.insert("sub".into(), "alice-1".into())));
    let mut browser = scene.authd.browser();
    let back = scene.back(&scene.leave(&mut browser).await);
    scene.rejects(StatusCode::FORBIDDEN, "person_disabled", async |_| browser.get(&back).await).await;
    scim(&scene, &held.user, Some(true)).await.unwrap();
    assert!(scene.sign_in(&mut scene.authd.browser()).await.query("code").is_some());
}

#[tokio::test]
async fn one_tenants_leaver_stays_in_the_other() {
    let scene = Scene::new().await;
    let other = text(&scene.authd.operate("organization.create", json!({"name": "Other"})).await, "id");
    let all = json!({"id": scene.app, "organizations": [scene.organization, other]});
    scene.authd.operate("app.update", all).await;
    let (op, connection) = super::connect(&scene.authd, &other, &["other.example"]).await;
    op.person(|person| drop(person.insert("email".into(), "alice@other.example".into())));
    let mut there = scene.authd.browser();
    let left = there.get(&scene.authorize(&[("connection", &connection)])).await;
    let landed = there.get(&super::back(&op, &left, &connection)).await;
    let access = text(&scene.redeem(&landed.query("code").unwrap()).await.json(), "access_token");
    let held = Held::by_alice(&scene).await;
    scene.authd.operate("user.delete", json!({"id": held.user})).await;
    assert_eq!(scene.userinfo(&access).await.status, StatusCode::OK);
    assert!(there.get(&scene.authorize(&[("prompt", "none")])).await.query("code").is_some());
}

#[tokio::test]
async fn nat_10_who_was_entered_is_linked_by_a_proven_address_alone() {
    let scene = Scene::new().await;
    let wish = json!({"organization": scene.organization, "email": "Alice@corp.example", "roles": ["admin"]});
    let entered = text(&scene.authd.operate("user.create", wish).await, "id");

    // Unverified, and through a connection that has not proven the domain.
    scene.op.person(|person| drop(person.insert("email_verified".into(), Value::Bool(false))));
    let mut browser = scene.authd.browser();
    let back = scene.back(&scene.leave(&mut browser).await);
    scene.rejects(StatusCode::FORBIDDEN, "email_not_verified", async |_| browser.get(&back).await).await;
    let (op, squatter) = super::connect(&scene.authd, &scene.organization, &[]).await;
    op.person(|person| drop(person.insert("email".into(), "alice@corp.example".into())));
    let left = browser.get(&scene.authorize(&[("connection", &squatter), ("prompt", "login")])).await;
    let back = super::back(&op, &left, &squatter);
    scene.rejects(StatusCode::FORBIDDEN, "email_domain_not_owned", async |_| browser.get(&back).await).await;

    scene.op.person(|person| drop(person.insert("email_verified".into(), Value::Bool(true))));
    let landed = scene.sign_in(&mut browser).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let id = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!((&id["sub"], &id["email_verified"]), (&json!(entered), &json!(true)));
    let shown = scene.authd.operate("user.get", json!({"id": entered})).await;
    assert_eq!(shown["roles"], json!(["admin"]));
    let events = scene.authd.events().await;
    assert!(events.iter().any(|event| event.kind == EventKind::AccountLinked));
    assert_eq!(scene.authd.counts().await["user"], 1);
}

/// SAML-33's shape for OpenID Connect: names of groups and roles that an upstream makes up.
#[tokio::test]
async fn saml_33_groups_named_like_roles_give_nothing() {
    let scene = Scene::new().await;
    for name in ["groups", "roles"] {
        scene.op.person(|person| drop(person.insert(name.into(), json!(["owner", "admin", "viewer", "member"]))));
    }
    let held = Held::by_alice(&scene).await;
    let shown = scene.authd.operate("user.get", json!({"id": held.user})).await;
    assert_eq!(shown["roles"], json!([]));
    assert_eq!(shown["groups"], json!(["owner", "admin", "viewer", "member"]), "evidence, no more");
    let bearer = format!("Bearer {}", held.api);
    let headers = [("authorization", bearer.as_str())];
    let api = scene.authd.browser().send(Method::GET, "/v1/users", &headers, None).await;
    assert_eq!(api.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_may_only_become_known_is_kept_in_one_commit_and_refused() {
    let scene = Scene::new().await;
    let patch = json!({"provisioning": {"jit": {"mode": "createUser"}}});
    scene.authd.operate("policy.update", json!({"organization": scene.organization, "patch": patch})).await;
    let mut browser = scene.authd.browser();
    let back = scene.back(&scene.leave(&mut browser).await);
    let before = scene.authd.events().await.len();
    let refused = browser.get(&back).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    assert!(refused.body.contains("not_a_member"));
    let told: Vec<_> = scene.authd.events().await.split_off(before).into_iter().map(|event| event.kind).collect();
    assert_eq!(told, [EventKind::UserCreated, EventKind::ConnectionLoginFailed]);
    let counts = scene.authd.counts().await;
    let known = ["user", "identity", "membership", "session", "authorization_code"].map(|kind| counts[kind]);
    assert_eq!(known, [1, 1, 1, 0, 0]);

    // Known now, and not made again.
    let back = scene.back(&scene.leave(&mut browser).await);
    scene.rejects(StatusCode::FORBIDDEN, "not_a_member", async |_| browser.get(&back).await).await;
    let listed = scene.authd.operate("user.list", json!({"organization": scene.organization})).await;
    assert_eq!(listed["items"][0]["status"], "pending");
    scene.authd.operate("user.reactivate", json!({"id": listed["items"][0]["id"]})).await;
    assert!(scene.sign_in(&mut browser).await.query("code").is_some());
    assert_eq!(scene.authd.counts().await["user"], 1);
}

#[tokio::test]
async fn a_mapped_role_holds_at_the_api_until_a_sign_in_without_it() {
    let scene = Scene::new().await;
    let patch = json!({"provisioning": {"groups": {"mode": "sync", "mapping": {"staff": ["viewer"]}}}});
    scene.authd.operate("policy.update", json!({"organization": scene.organization, "patch": patch})).await;
    let held = Held::by_alice(&scene).await;
    let bearer = format!("Bearer {}", held.api);
    let list = async || {
        let headers = [("authorization", bearer.as_str())];
        scene.authd.browser().send(Method::GET, "/v1/users", &headers, None).await.status
    };
    assert_eq!(list().await, StatusCode::OK);
    scene.op.person(|person| drop(person.insert("groups".into(), json!(["admins"]))));
    scene.sign_in(&mut scene.authd.browser()).await;
    assert_eq!(list().await, StatusCode::FORBIDDEN, "the same token, the roles of now");
}
