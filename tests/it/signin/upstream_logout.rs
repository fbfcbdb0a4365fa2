//! The provider says that somebody has signed out there: OpenID Connect Back-Channel Logout, from the provider's side.

use std::time::Duration;

use authd::event::EventKind;
use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::Scene;
use crate::world::authd::{Browser, Reply};
use crate::world::op::{CLIENT_ID, Members, Signer, members};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

impl Scene {
    /// A sign-in of somebody whose session the provider calls `sid`.
    async fn enter(&self, sub: &str, sid: &str) -> Browser {
        let (sid, email) = (sid.to_owned(), format!("{sub}@corp.example"));
        self.op.person(|person| {
            person.insert("sub".into(), sub.into());
            person.insert("email".into(), email.into());
        });
        self.op.next_token(move |_, claims| drop(claims.insert("sid".into(), sid.into())));
        let mut browser = self.authd.browser();
        self.sign_in(&mut browser).await;
        browser
    }

    async fn is_in(&self, browser: &mut Browser) -> bool {
        browser.get(&self.authorize(&[("prompt", "none")])).await.query("code").is_some()
    }

    /// What an honest provider says.
    fn said(&self, about: &Value) -> (Members, Members) {
        let mut header = self.op.signer().header();
        header.insert("typ".into(), "logout+jwt".into());
        let now = self.op.now();
        let jti = authd::crypto::base64url(&self.authd.env().random::<16>());
        let mut claims = members(json!({
            "iss": self.op.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 120, "jti": jti,
            "events": {EVENT: {}},
        }));
        claims.extend(about.as_object().unwrap().clone());
        (header, claims)
    }

    /// A logout token.
    pub fn logout_word(&self, about: &Value) -> String {
        let (header, claims) = self.said(about);
        self.op.signer().token(&header, &claims)
    }

    async fn tell(&self, token: &str) -> Reply {
        self.post_at(&self.connection, &[("logout_token", token)]).await
    }

    async fn post_at(&self, connection: &str, fields: &[(&str, &str)]) -> Reply {
        let path = format!("/connections/{connection}/oidc/backchannel-logout");
        self.authd.browser().send(Method::POST, &path, &[], Some(fields)).await
    }

    /// Refused as the specification says, with one event and nothing ended.
    async fn refused(&self, what: &str, token: &str, browser: &mut Browser) {
        let before = self.authd.events().await.len();
        let reply = self.tell(token).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{what}: {}", reply.body);
        assert_eq!(reply.json()["error"], "invalid_request", "{what}");
        assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store");
        let told = self.authd.events().await.split_off(before);
        assert!(told.len() <= 1, "{what}: {told:?}");
        assert!(told.iter().all(|event| event.kind != EventKind::SessionInvalidated), "{what}");
        assert!(token.is_empty() || !serde_json::to_string(&told).unwrap().contains(token));
        assert!(self.is_in(browser).await, "{what}");
    }
}

#[tokio::test]
async fn oidc_15_a_logout_token_ends_the_session_that_it_means_in_one_commit() {
    let scene = Scene::new().await;
    let (mut desk, mut phone) = (scene.enter("alice", "s-1").await, scene.enter("alice", "s-2").await);
    let mut other = scene.enter("bob", "s-3").await;
    let before = scene.authd.app.world.store.log_seq();
    let reply = scene.tell(&scene.logout_word(&json!({"sid": "s-1"}))).await;
    assert_eq!((reply.status, reply.headers[header::CACHE_CONTROL].to_str().unwrap()), (StatusCode::OK, "no-store"));
    assert_eq!(scene.authd.app.world.store.log_seq(), before + 2, "the session's end, and that it was heard");
    assert!(!scene.is_in(&mut desk).await && scene.is_in(&mut phone).await && scene.is_in(&mut other).await);

    // A person is all of their sessions.
    let mut third = scene.enter("alice", "s-4").await;
    assert_eq!(scene.tell(&scene.logout_word(&json!({"sub": "alice"}))).await.status, StatusCode::OK);
    assert!(!scene.is_in(&mut phone).await && !scene.is_in(&mut third).await && scene.is_in(&mut other).await);

    // Where both are said, both must fit.
    for (about, ends) in [
        (json!({"sub": "alice", "sid": "s-3"}), false),
        (json!({"sub": "bob", "sid": "s-9"}), false),
        (json!({"sub": "carol"}), false),
        (json!({"sub": "bob", "sid": "s-3"}), true),
    ] {
        assert_eq!(
            scene.tell(&scene.logout_word(&about)).await.status,
            StatusCode::OK,
            "{about}: not to be in is to be out"
        );
        assert_eq!(scene.is_in(&mut other).await, !ends, "{about}");
    }
}

#[tokio::test]
async fn oidc_15_tokens_in_every_form_that_providers_write_are_taken() {
    let scene = Scene::new().await;
    for (turn, typ) in [Some("logout+jwt"), Some("JWT"), Some("application/logout+jwt"), Some("Logout+JWT"), None]
        .into_iter()
        .enumerate()
    {
        let sid = format!("s-{turn}");
        let mut browser = scene.enter("alice", &sid).await;
        let (mut header, mut claims) = scene.said(&json!({"sid": sid}));
        match typ {
            Some(typ) => header.insert("typ".into(), typ.into()),
            None => header.remove("typ"),
        };
        if turn % 2 == 0 {
            claims.insert("aud".into(), json!([CLIENT_ID]));
        }
        assert_eq!(scene.tell(&scene.op.signer().token(&header, &claims)).await.status, StatusCode::OK, "{typ:?}");
        assert!(!scene.is_in(&mut browser).await, "{typ:?}");
    }
}

/// What must not hold, by name: each is an honest token with one thing bent.
#[tokio::test]
async fn oidc_15_a_token_that_is_not_the_providers_word_ends_nothing() {
    type Bend = fn(&Scene, &mut Members, &mut Members);
    let bends: &[(&str, Bend)] = &[
        ("an access token", |_, header, _| drop(header.insert("typ".into(), "at+jwt".into()))),
        ("a type that is no text", |_, header, _| drop(header.insert("typ".into(), json!(["logout+jwt"])))),
        ("critical extensions", |_, header, _| drop(header.insert("crit".into(), json!(["exp"])))),
        ("no event", |_, _, claims| drop(claims.remove("events"))),
        ("another event", |_, _, claims| drop(claims.insert("events".into(), json!({"urn:other": {}})))),
        ("an event that is no object", |_, _, claims| drop(claims.insert("events".into(), json!({EVENT: true})))),
        ("events in a list", |_, _, claims| drop(claims.insert("events".into(), json!([EVENT])))),
        ("a nonce", |_, _, claims| drop(claims.insert("nonce".into(), "n".into()))),
        ("an empty nonce", |_, _, claims| drop(claims.insert("nonce".into(), Value::Null))),
        ("another audience", |_, _, claims| drop(claims.insert("aud".into(), "somebody else".into()))),
        ("no audience", |_, _, claims| drop(claims.remove("aud"))),
        ("several audiences", |_, _, claims| drop(claims.insert("aud".into(), json!([CLIENT_ID, "x"])))),
        ("another issuer", |_, _, claims| drop(claims.insert("iss".into(), "https://evil.example".into()))),
        ("an issuer with a slash", |scene, _, claims| {
            drop(claims.insert("iss".into(), format!("{}/", scene.op.issuer).into()));
        }),
        ("expired", |scene, _, claims| drop(claims.insert("exp".into(), (scene.op.now() - 61).into()))),
        ("no end", |_, _, claims| drop(claims.remove("exp"))),
        ("no beginning", |_, _, claims| drop(claims.remove("iat"))),
        ("of the future", |scene, _, claims| drop(claims.insert("iat".into(), (scene.op.now() + 61).into()))),
        ("of the day before yesterday", |scene, _, claims| {
            claims.insert("iat".into(), (scene.op.now() - 2 * 24 * 3_600).into());
            claims.insert("exp".into(), (scene.op.now() + 365 * 24 * 3_600).into());
        }),
        ("no name", |_, _, claims| drop(claims.remove("jti"))),
        ("a name that is no text", |_, _, claims| drop(claims.insert("jti".into(), 7.into()))),
        ("about nobody", |_, _, claims| drop((claims.remove("sid"), claims.remove("sub")))),
        ("a session that is no text", |_, _, claims| drop(claims.insert("sid".into(), json!(["s-1"])))),
        ("a person that is no text", |_, _, claims| drop(claims.insert("sub".into(), json!({"a": 1})))),
    ];
    let scene = Scene::new().await;
    let mut browser = scene.enter("alice", "s-1").await;
    let honest = |about: &Value| scene.said(about);
    for (what, bend) in bends {
        let (mut header, mut claims) = honest(&json!({"sid": "s-1", "sub": "alice"}));
        bend(&scene, &mut header, &mut claims);
        let token = scene.op.signer().token(&header, &claims);
        scene.refused(what, &token, &mut browser).await;
    }
    // The signature.
    let (header, claims) = honest(&json!({"sid": "s-1"}));
    let good = scene.op.signer().token(&header, &claims);
    let (message, _) = good.rsplit_once('.').unwrap();
    let mut unsigned = header.clone();
    unsigned.insert("alg".into(), "none".into());
    let none = scene.op.signer().token(&unsigned, &claims);
    let (none_message, _) = none.rsplit_once('.').unwrap();
    let stranger = Signer::es256("key-1").token(&header, &claims);
    let id_token = scene.op.last_id_token();
    let long = "x".repeat(8_000);
    for (what, token) in [
        ("alg none with a signature", none.as_str()),
        ("alg none without one", &format!("{none_message}.")),
        ("no signature", &format!("{message}.")),
        ("another's signature", &stranger),
        ("an id_token", &id_token),
        ("nonsense", "a.b.c"),
        ("nothing", ""),
        ("far too much", &long),
    ] {
        scene.refused(what, token, &mut browser).await;
    }
    // The door.
    for (what, connection, fields) in [
        ("no token", scene.connection.as_str(), vec![]),
        ("two tokens", &scene.connection, vec![("logout_token", good.as_str()), ("logout_token", &good)]),
        ("nobody's address", "conn_01arz3ndektsv4rrffq69g5fav", vec![("logout_token", good.as_str())]),
        ("no address at all", "x", vec![("logout_token", good.as_str())]),
    ] {
        let reply = scene.post_at(connection, &fields).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_request")),
            "{what}"
        );
        assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store", "{what}");
    }
    assert!(scene.is_in(&mut browser).await);
    assert_eq!(scene.tell(&good).await.status, StatusCode::OK, "the honest one is still good");
    assert!(!scene.is_in(&mut browser).await);
}

#[tokio::test]
async fn oidc_15_a_token_counts_once_for_as_long_as_it_would_be_believed() {
    let scene = Scene::new().await;
    scene.enter("alice", "s-1").await;
    let token = scene.logout_word(&json!({"sub": "alice"}));
    let replies = futures_util::future::join_all((0..16).map(|_| scene.tell(&token))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::OK).count(), 1);
    let mut back = scene.enter("alice", "s-1").await;
    for wait in [0, 60, 100, 30 * 3_600] {
        scene.authd.env().advance(Duration::from_secs(wait));
        scene.authd.app.world.store.sweep().await.unwrap();
        if wait > 3_600 {
            back = scene.enter("alice", "s-1").await;
        }
        scene.refused("replayed", &token, &mut back).await;
    }
    let told = scene.authd.events().await;
    assert!(told.iter().any(|event| event.error_code.as_deref() == Some("token_replayed")));
}

#[tokio::test]
async fn oidc_15_one_providers_word_means_nobody_of_another() {
    let scene = Scene::new().await;
    let other = super::text(&scene.authd.operate("organization.create", json!({"name": "Other"})).await, "id");
    let (evil, connection) = super::connect(&scene.authd, &other, &["other.example"]).await;
    let mut browser = scene.enter("alice", "s-1").await;
    let (header, claims) = scene.said(&json!({"sub": "alice", "sid": "s-1"}));
    // Signed by the other, at either address.
    let mut forged = claims.clone();
    let token = evil.signer().token(&header, &forged);
    scene.refused("another provider's key", &token, &mut browser).await;
    forged.insert("iss".into(), evil.issuer.clone().into());
    let token = evil.signer().token(&header, &forged);
    assert_eq!(scene.post_at(&connection, &[("logout_token", &token)]).await.status, StatusCode::OK);
    assert!(scene.is_in(&mut browser).await, "its own word, about its own people");
    scene.refused("another provider's word", &token, &mut browser).await;
}
