//! Apps are told that a session has ended, by whatever road it ended, until they have heard it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use authd::access::World;
use authd::env::{Env, Outbound, Request, Response};
use authd::error::{Error, Result, codes};
use authd::event::EventKind;
use authd::outbox::Outbox;
use authd::provider::backchannel::BackchannelLogout;
use authd::session::{Notice, Scope, Session, SessionApp};
use serde_json::{Value, json};

use super::{Client, Lab, part};

/// A receiver that answers as it is told, and remembers what it was sent.
#[derive(Default)]
struct Receiver {
    answers: Mutex<BTreeMap<String, Option<u16>>>,
    heard: Mutex<Vec<(String, Value, Value)>>,
}

#[async_trait]
impl Outbound for Receiver {
    async fn send(&self, request: Request) -> Result<Response> {
        let body = request.body.clone();
        let token = url::form_urlencoded::parse(&body).find(|(name, _)| name == "logout_token").unwrap().1.into_owned();
        let host = request.url.host_str().unwrap().to_owned();
        self.heard.lock().unwrap().push((host.clone(), part(&token, 0), part(&token, 1)));
        match self.answers.lock().unwrap().get(&host).copied().unwrap_or(Some(200)) {
            Some(status) => Ok(Response { status, headers: Default::default(), body: Vec::new() }),
            None => Err(Error::new(&codes::UPSTREAM_UNAVAILABLE)),
        }
    }
    fn permits(&self, _: &url::Url) -> Result<()> {
        Ok(())
    }
}

struct Scene {
    lab: Lab,
    receiver: Arc<Receiver>,
    outbox: Outbox,
    world: World,
}

impl Scene {
    async fn new() -> Self {
        let lab = Lab::new().await;
        let receiver = Arc::new(Receiver::default());
        let env: Env = lab.env().clone().with_outbound(receiver.clone());
        let world = World { env, ..lab.world.clone() };
        let outbox = Outbox::new(vec![Box::new(BackchannelLogout::new(lab.keyring.clone()))]);
        outbox.turn(&world).await.unwrap();
        Self { lab, receiver, outbox, world }
    }

    async fn listening(&self, session: &Session, host: &str) -> Client {
        let uri = format!("https://{host}/logout");
        self.lab.app(session.organization, json!({"backchannelLogoutUri": uri})).await
    }

    fn answers(&self, host: &str, status: Option<u16>) {
        self.receiver.answers.lock().unwrap().insert(host.to_owned(), status);
    }

    fn heard(&self, host: &str) -> Vec<(Value, Value)> {
        let heard = self.receiver.heard.lock().unwrap();
        heard
            .iter()
            .filter(|(at, _, _)| at == host)
            .map(|(_, header, claims)| (header.clone(), claims.clone()))
            .collect()
    }

    async fn turn(&self) -> usize {
        self.outbox.turn(&self.world).await.unwrap()
    }

    async fn notice(&self, session: &Session, client: &Client) -> Option<Notice> {
        let key = SessionApp::key_of(session.id, client.id);
        self.lab.store().get::<SessionApp>(key).await.unwrap().unwrap().value.notice
    }
}

#[tokio::test]
async fn a_logout_token_is_what_the_specification_says_and_comes_once() {
    let scene = Scene::new().await;
    let (silent, session) = scene.lab.scene().await;
    let client = scene.listening(&session, "app.test").await;
    scene.lab.tokens(&client, &session).await;
    scene.lab.tokens(&silent, &session).await;
    assert_eq!(scene.turn().await, 0);
    scene.lab.end(Scope::Session(session.id)).await;
    assert_eq!(scene.turn().await, 1);
    let heard = scene.heard("app.test");
    let (header, claims) = &heard[0];
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("logout+jwt"), Some("ES256")));
    assert_eq!(claims["iss"], super::ISSUER);
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!(client.id.to_string()), &json!(session.user.to_string())));
    assert_eq!(claims["sid"], session.id.to_string());
    assert_eq!(claims["events"], json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
    assert!(claims.get("nonce").is_none(), "§2.4 forbids it");
    assert!(!claims["jti"].as_str().unwrap().is_empty());
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 120);
    assert_eq!(scene.notice(&session, &client).await, Some(Notice::Acknowledged));
    assert_eq!(scene.lab.count(EventKind::LogoutAcknowledged).await, 1);
    scene.lab.end(Scope::Session(session.id)).await;
    assert_eq!(scene.turn().await, 0, "it has heard it");
}

#[tokio::test]
async fn every_road_that_ends_a_session_tells_its_apps() {
    type Road = (&'static str, fn(&Session) -> Scope);
    let roads: [Road; 4] = [
        ("session", |session| Scope::Session(session.id)),
        ("membership", |session| Scope::Membership(session.organization, session.user)),
        ("user", |session| Scope::User(session.user)),
        ("organization", |session| Scope::Organization(session.organization)),
    ];
    for (road, scope) in roads {
        let scene = Scene::new().await;
        let (_, session) = scene.lab.scene().await;
        let client = scene.listening(&session, "app.test").await;
        scene.lab.tokens(&client, &session).await;
        // Somebody else is not told about.
        let other = scene.lab.organization("Other").await;
        let bob = scene.lab.person(other, "bob").await;
        let elsewhere = scene.lab.session(other, bob).await;
        let theirs = scene.listening(&elsewhere, "other.test").await;
        scene.lab.tokens(&theirs, &elsewhere).await;
        scene.lab.end(scope(&session)).await;
        assert_eq!(scene.turn().await, 1, "{road}");
        assert_eq!(scene.heard("app.test").len(), 1, "{road}");
        assert!(scene.heard("other.test").is_empty(), "{road}");
    }
}

#[tokio::test]
async fn an_app_that_is_down_is_told_later_with_a_fresh_token_and_starves_nobody() {
    let scene = Scene::new().await;
    let (_, session) = scene.lab.scene().await;
    let dead = scene.listening(&session, "dead.test").await;
    let well = scene.listening(&session, "well.test").await;
    for client in [&dead, &well] {
        scene.lab.tokens(client, &session).await;
    }
    scene.answers("dead.test", None);
    scene.lab.end(Scope::Session(session.id)).await;
    scene.turn().await;
    assert_eq!(scene.notice(&session, &well).await, Some(Notice::Acknowledged));
    assert_eq!(scene.notice(&session, &dead).await, Some(Notice::Pending));
    assert_eq!(scene.turn().await, 0, "not before its time");
    scene.lab.env().advance(Duration::from_secs(7));
    assert_eq!(scene.turn().await, 1);
    scene.answers("dead.test", Some(302));
    scene.lab.env().advance(Duration::from_secs(40));
    assert_eq!(scene.turn().await, 1, "a redirect is no acknowledgement");
    scene.answers("dead.test", Some(204));
    scene.lab.env().advance(Duration::from_secs(150));
    assert_eq!(scene.turn().await, 1);
    assert_eq!(scene.notice(&session, &dead).await, Some(Notice::Acknowledged));
    let heard = scene.heard("dead.test");
    let ids: std::collections::BTreeSet<String> = heard.iter().map(|(_, claims)| claims["jti"].to_string()).collect();
    assert_eq!((heard.len(), ids.len()), (4, 4), "signed anew at each try");
    assert!(heard[3].1["iat"].as_i64() > heard[0].1["iat"].as_i64());
}

#[tokio::test]
async fn an_app_that_never_answers_is_given_up_and_said_so() {
    let scene = Scene::new().await;
    let (_, session) = scene.lab.scene().await;
    let dead = scene.listening(&session, "dead.test").await;
    scene.lab.tokens(&dead, &session).await;
    scene.answers("dead.test", Some(500));
    scene.lab.end(Scope::Session(session.id)).await;
    for _ in 0..10 {
        scene.turn().await;
        scene.lab.env().advance(Duration::from_secs(4_500));
    }
    assert_eq!(scene.heard("dead.test").len(), 6);
    assert_eq!(scene.notice(&session, &dead).await, Some(Notice::Failed));
    let failed = scene.lab.events().await.into_iter().find(|event| event.kind == EventKind::LogoutFailed).unwrap();
    assert_eq!(failed.error_code.as_deref(), Some("refused"));
}

#[tokio::test]
async fn an_organization_of_many_sessions_is_told_in_pieces_and_only_what_has_ended() {
    let scene = Scene::new().await;
    let (_, first) = scene.lab.scene().await;
    let client = scene.listening(&first, "app.test").await;
    let mut sessions = vec![first];
    for place in 0..249 {
        let user = scene.lab.person(sessions[0].organization, &format!("p{place}")).await;
        sessions.push(scene.lab.session(sessions[0].organization, user).await);
    }
    for session in &sessions {
        scene.lab.tokens(&client, session).await;
    }
    scene.lab.end(Scope::Organization(sessions[0].organization)).await;
    // Somebody signs in again before the news is out.
    let again = scene.lab.session(sessions[0].organization, sessions[0].user).await;
    scene.lab.tokens(&client, &again).await;
    let mut tried = 0;
    while tried < 250 {
        let some = scene.turn().await;
        assert!(some > 0, "stuck at {tried}");
        tried += some;
    }
    assert_eq!(scene.turn().await, 0);
    let told: std::collections::BTreeSet<String> =
        scene.heard("app.test").iter().map(|(_, claims)| claims["sid"].as_str().unwrap().to_owned()).collect();
    let ended: std::collections::BTreeSet<String> = sessions.iter().map(|session| session.id.to_string()).collect();
    assert_eq!(told, ended);
}
