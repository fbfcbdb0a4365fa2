//! People who become known by a token of a trusted issuer.

use authd::directory::{Identity, IdentitySource, Membership, Status};
use authd::event::EventKind;
use authd::id::UserId;
use authd::store::Stored;
use serde_json::{Value, json};

use super::{IDP, Scene};

impl Scene {
    async fn keeps(&self) -> authd::token::IssuerView {
        self.trusts(json!({"kind": "oidc", "domain": IDP, "applicationID": "my-app", "storeUsers": true})).await
    }

    async fn member(&self, user: &Value) -> Membership {
        let user: UserId = user.as_str().unwrap().parse().unwrap();
        let key = Membership::key_of(self.organization, user);
        self.lab.store().get::<Membership>(key).await.unwrap().unwrap().value
    }
}

#[tokio::test]
async fn a_person_is_made_once_and_kept_up_to_date() {
    let scene = Scene::new().await;
    let issuer = scene.keeps().await;
    let token = scene.token(json!({"name": "Ada", "email": "ada@idp.example", "email_verified": true}));
    let first = scene.identity(&token).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let user = first.body["userId"].clone();
    let member = scene.member(&user).await;
    assert_eq!((member.name.as_deref(), member.email.as_deref()), (Some("Ada"), Some("ada@idp.example")));
    assert!(!member.email_verified, "the issuer has proven no domain, so apps are not told that it is verified");
    assert!(member.effective_roles().is_empty(), "nobody gets a role by a token");
    let key = Identity::key_of(IdentitySource::Issuer(issuer.id), &format!("{IDP}|user-1"));
    let identity: Option<Stored<Identity>> = scene.lab.store().get(key).await.unwrap();
    assert_eq!(json!(identity.unwrap().user), user);

    // The same again writes nothing; something new is written once.
    let before = scene.lab.commit_number().await;
    let again = scene.token(json!({"name": "Ada", "email": "ada@idp.example", "email_verified": true}));
    assert_eq!(scene.identity(&again).await.body["userId"], user);
    assert_eq!(scene.lab.commit_number().await, before + 1);
    let told = scene.identity(&scene.token(json!({"name": "Ada", "given_name": "Augusta"}))).await;
    assert_eq!(told.body["userId"], user);
    assert_eq!(scene.member(&user).await.given_name.as_deref(), Some("Augusta"), "a field that was empty");
    assert_eq!(scene.lab.count(EventKind::UserCreated).await, 1);

    let other = scene.identity(&scene.token(json!({"sub": "user-2"}))).await;
    assert_ne!(other.body["userId"], user);
    // Each issuer's subjects are its own.
    assert_eq!(scene.lab.count(EventKind::UserCreated).await, 2);
}

#[tokio::test]
async fn of_many_requests_at_the_same_time_one_makes_the_person() {
    let scene = Scene::new().await;
    scene.keeps().await;
    let token = scene.token(json!({"name": "Ada", "email": "ada@idp.example", "email_verified": true}));
    let answers = futures_util::future::join_all((0..32).map(|_| scene.identity(&token))).await;
    let users: std::collections::BTreeSet<String> =
        answers.iter().map(|answer| answer.text("userId").to_owned()).collect();
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!((users.len(), scene.lab.count(EventKind::UserCreated).await), (1, 1));
}

#[tokio::test]
async fn nobody_is_taken_over_by_an_address() {
    let scene = Scene::new().await;
    scene.keeps().await;
    let victim = scene.lab.person(scene.organization, "ada").await;
    for verified in [json!(true), json!(false), json!("true"), json!(1), json!(null)] {
        let subject = format!("by {verified}");
        let claims = json!({"sub": subject, "email": "ADA@example.test", "email_verified": verified});
        let answer = scene.identity(&scene.token(claims)).await;
        assert_eq!(answer.status, 200, "{verified}: {}", answer.body);
        assert_ne!(answer.body["userId"], json!(victim), "{verified}");
        assert_eq!(scene.member(&answer.body["userId"]).await.email, None, "{verified}: they are kept without it");
    }
    let member = scene.member(&json!(victim)).await;
    assert_eq!((member.email.as_deref(), member.source), (Some("ada@example.test"), None));
}

#[tokio::test]
async fn whoever_is_kept_out_stays_out() {
    let scene = Scene::new().await;
    let issuer = scene.keeps().await;
    let token = scene.token(json!({}));
    let user = scene.identity(&token).await.body["userId"].clone();
    let id: UserId = user.as_str().unwrap().parse().unwrap();
    scene.lab.change(scene.organization, id, |member| member.status = Status::Suspended).await;
    Scene::refused(&scene.identity(&token).await, "suspended");
    let stop = json!({"id": issuer.id, "storeUsers": false});
    scene.lab.perform(serde_json::from_value::<authd::token::UpdateIssuer>(stop).unwrap()).await;
    Scene::refused(&scene.identity(&token).await, "suspended, though nobody is kept any more");
    scene.lab.change(scene.organization, id, |member| member.status = Status::Active).await;
    assert_eq!(scene.identity(&token).await.body["userId"], user);
    let stranger = scene.identity(&scene.token(json!({"sub": "user-9"}))).await;
    assert!(stranger.status == 200 && stranger.body.get("userId").is_none());
    assert_eq!(scene.lab.count(EventKind::UserCreated).await, 1);
}

#[tokio::test]
async fn who_is_not_to_be_kept_leaves_nothing() {
    let scene = Scene::new().await;
    scene.trusts_idp().await;
    let before = scene.lab.commit_number().await;
    for number in 0..5 {
        assert_eq!(scene.identity(&scene.token(json!({"sub": format!("user-{number}")}))).await.status, 200);
    }
    assert_eq!(scene.lab.commit_number().await, before + 1);
}
