//! The device flow as the device sees it (RFC 8628): its two codes, its questions, its tokens.

use std::time::Duration;

use authd::crypto::TokenHash;
use authd::event::EventKind;
use authd::provider::device::{DeviceCode, allow, deny, user_code};
use authd::session::{Scope, Session};
use authd::store::{Batch, Key};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Client, ISSUER, Lab, basic, part};

pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

impl Lab {
    async fn device_app(&self, session: &Session) -> Client {
        self.app(session.organization, json!({"grantTypes": [GRANT], "kind": "native", "public": true})).await
    }

    async fn begin(&self, client: &Client, more: &[(&str, &str)]) -> Answer {
        let id = client.id.to_string();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(more);
        let mut request =
            Request::post("/oauth2/device_authorization").header("content-type", "application/x-www-form-urlencoded");
        match &client.secret {
            Some(secret) => request = request.header("authorization", basic(&id, secret)),
            None => drop(form.append_pair("client_id", &id)),
        }
        self.send(request.body(Body::from(form.finish())).unwrap()).await
    }

    async fn asked(&self, client: &Client) -> Answer {
        let answer = self.begin(client, &[("scope", "openid email")]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer
    }

    async fn poll(&self, client: &Client, device_code: &str) -> Answer {
        let id = client.id.to_string();
        let mut form = vec![("grant_type", GRANT), ("device_code", device_code)];
        match &client.secret {
            Some(secret) => self.token(&form, Some(&basic(&id, secret))).await,
            None => {
                form.push(("client_id", &id));
                self.token(&form, None).await
            }
        }
    }

    async fn decide(&self, user_code: &str, session: &Session, yes: bool) {
        let cx = self.operator();
        let waiting = DeviceCode::with_user_code(&cx, user_code).await.unwrap().expect("waiting");
        let mut batch = Batch::new();
        match yes {
            true => allow(&cx, &waiting, session, &mut batch).await.unwrap(),
            false => deny(&cx, &waiting, session, &mut batch),
        }
        self.store().commit(batch).await.unwrap();
    }

    fn wait(&self, seconds: u64) {
        self.env().advance(Duration::from_secs(seconds));
    }
}

/// Told to wait: not a refusal, so not in the log.
#[track_caller]
fn waits(answer: &Answer, error: &str) {
    assert_eq!((answer.status.as_u16(), answer.text("error")), (400, error), "{}", answer.body);
}

#[tokio::test]
async fn a_device_waits_until_it_is_let_in_and_gets_its_tokens_once() {
    let lab = Lab::new().await;
    let (_, session) = lab.scene().await;
    let client = lab.device_app(&session).await;
    let asked = lab.asked(&client).await;
    let (device_code, code) = (asked.text("device_code").to_owned(), asked.text("user_code").to_owned());
    assert_eq!(user_code::read(&code), Some(code.clone()));
    assert_eq!(asked.text("verification_uri"), format!("{ISSUER}/device"));
    assert_eq!(asked.text("verification_uri_complete"), format!("{ISSUER}/device?user_code={code}"));
    assert_eq!((&asked.body["expires_in"], &asked.body["interval"]), (&json!(600), &json!(5)));

    // Neither code can be read from what is kept.
    let key = Key::from_bytes(*TokenHash::of(&device_code).bytes());
    let kept = minicbor::to_vec(lab.store().get::<DeviceCode>(key).await.unwrap().unwrap().value).unwrap();
    for text in [&device_code[3..], &code, &code.replace('-', "")] {
        assert!(!kept.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }

    let events = lab.events().await.len();
    waits(&lab.poll(&client, &device_code).await, "authorization_pending");
    lab.wait(5);
    waits(&lab.poll(&client, &device_code).await, "authorization_pending");
    assert_eq!(lab.events().await.len(), events, "a question is no event");

    lab.decide(&code, &session, true).await;
    let tokens = lab.poll(&client, &device_code).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    let id = part(tokens.text("id_token"), 1);
    assert_eq!(id["sub"], session.user.to_string());
    assert_eq!((&id["aud"], &id["sid"]), (&json!(client.id.to_string()), &json!(session.id.to_string())));
    assert_eq!(tokens.text("scope"), "openid email");
    assert_eq!(lab.userinfo(tokens.text("access_token")).await.status, StatusCode::OK);
    let told: Vec<_> = lab.events().await.split_off(events).into_iter().map(|event| event.kind).collect();
    assert_eq!(told, [EventKind::DeviceAllowed, EventKind::TokenExchanged]);

    lab.poll(&client, &device_code).await.refused(400, "invalid_grant");
    assert_eq!(lab.userinfo(tokens.text("access_token")).await.status, StatusCode::OK);
    assert!(DeviceCode::with_user_code(&lab.operator(), &code).await.unwrap().is_none(), "the code is used up");
}

#[tokio::test]
async fn a_device_that_asks_too_often_is_slowed_down() {
    let lab = Lab::new().await;
    let (_, session) = lab.scene().await;
    let client = lab.device_app(&session).await;
    let asked = lab.asked(&client).await;
    let device_code = asked.text("device_code");
    // Five seconds at first; each time that it asks too soon, five more.
    for (after, answer) in [
        (0, "authorization_pending"),
        (5, "authorization_pending"),
        (2, "slow_down"),
        (6, "slow_down"),
        (15, "authorization_pending"),
        (10, "slow_down"),
        (20, "authorization_pending"),
    ] {
        lab.wait(after);
        waits(&lab.poll(&client, device_code).await, answer);
    }
    // However much it asks: it is slowed down to a minute, and the person's word still reaches it.
    for _ in 0..50 {
        waits(&lab.poll(&client, device_code).await, "slow_down");
    }
    lab.wait(61);
    waits(&lab.poll(&client, device_code).await, "authorization_pending");
    lab.decide(asked.text("user_code"), &session, true).await;
    assert_eq!(lab.poll(&client, device_code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_device_is_told_that_it_was_refused_or_that_its_time_is_over() {
    let lab = Lab::new().await;
    let (_, session) = lab.scene().await;
    let client = lab.device_app(&session).await;
    let (denied, late) = (lab.asked(&client).await, lab.asked(&client).await);
    lab.decide(denied.text("user_code"), &session, false).await;
    for _ in 0..2 {
        lab.poll(&client, denied.text("device_code")).await.refused(400, "access_denied");
    }
    assert_eq!(lab.count(EventKind::DeviceDenied).await, 1);
    lab.wait(599);
    waits(&lab.poll(&client, late.text("device_code")).await, "authorization_pending");
    lab.wait(1);
    lab.poll(&client, late.text("device_code")).await.refused(400, "expired_token");
    assert!(DeviceCode::with_user_code(&lab.operator(), late.text("user_code")).await.unwrap().is_none());
    lab.wait(600);
    lab.poll(&client, late.text("device_code")).await.refused(400, "invalid_grant");
    // What was let in and not fetched is worth nothing any more either.
    let forgotten = lab.asked(&client).await;
    lab.decide(forgotten.text("user_code"), &session, true).await;
    lab.wait(600);
    lab.poll(&client, forgotten.text("device_code")).await.refused(400, "expired_token");
}

#[tokio::test]
async fn op_15_a_device_code_dies_with_what_it_was_made_under() {
    type Road = fn(&Client, &Session) -> Scope;
    let before: [Road; 2] = [|client, _| Scope::App(client.id), |_, session| Scope::Organization(session.organization)];
    for road in before {
        let lab = Lab::new().await;
        let (_, session) = lab.scene().await;
        let client = lab.device_app(&session).await;
        let asked = lab.asked(&client).await;
        lab.end(road(&client, &session)).await;
        assert!(DeviceCode::with_user_code(&lab.operator(), asked.text("user_code")).await.unwrap().is_none());
        lab.poll(&client, asked.text("device_code")).await.refused(400, "invalid_grant");
    }
    let after: [Road; 5] = [
        |client, _| Scope::App(client.id),
        |_, session| Scope::Organization(session.organization),
        |_, session| Scope::Membership(session.organization, session.user),
        |_, session| Scope::User(session.user),
        |_, session| Scope::Session(session.id),
    ];
    for road in after {
        for fetched in [false, true] {
            let lab = Lab::new().await;
            let (_, session) = lab.scene().await;
            let client = lab.device_app(&session).await;
            let asked = lab.asked(&client).await;
            lab.decide(asked.text("user_code"), &session, true).await;
            if fetched {
                let tokens = lab.poll(&client, asked.text("device_code")).await;
                assert_eq!(tokens.status, StatusCode::OK);
                lab.end(road(&client, &session)).await;
                assert_eq!(lab.userinfo(tokens.text("access_token")).await.status, StatusCode::UNAUTHORIZED);
            } else {
                lab.end(road(&client, &session)).await;
                lab.poll(&client, asked.text("device_code")).await.refused(400, "invalid_grant");
            }
        }
    }
}

#[tokio::test]
async fn a_device_code_is_for_apps_that_may_and_for_nobody_else() {
    let lab = Lab::new().await;
    let (web, session) = lab.scene().await;
    lab.begin(&web, &[]).await.refused(400, "unauthorized_client");
    let client = lab.device_app(&session).await;
    lab.begin(&client, &[("scope", "openid \"x\"")]).await.refused(400, "invalid_scope");
    lab.begin(&client, &[("client_secret", "cs_made-up")]).await.refused(401, "invalid_client");
    let kept = json!({"grantTypes": [GRANT, "refresh_token"], "scopes": ["tv:watch"]});
    let confidential = lab.app(session.organization, kept).await;
    lab.begin(&Client { secret: None, ..confidential.clone() }, &[]).await.refused(401, "invalid_client");

    let asked = lab.begin(&confidential, &[("scope", "openid tv:watch tv:own offline_access unknown")]).await;
    lab.decide(asked.text("user_code"), &session, true).await;
    lab.poll(&client, asked.text("device_code")).await.refused(400, "invalid_grant");
    let tokens = lab.poll(&confidential, asked.text("device_code")).await;
    assert_eq!(tokens.text("scope"), "openid tv:watch offline_access", "{}", tokens.body);
    assert!(tokens.text("refresh_token").starts_with("rt_"));
    lab.poll(&client, "dc_made-up").await.refused(400, "invalid_grant");
    let form = [("grant_type", GRANT), ("client_id", &*client.id.to_string())];
    lab.token(&form, None).await.refused(400, "invalid_request");

    // A device code is no authorization code, whatever it was promised.
    let another = lab.asked(&client).await;
    lab.decide(another.text("user_code"), &session, true).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", another.text("device_code")),
        ("redirect_uri", super::CALLBACK),
        ("code_verifier", super::VERIFIER),
        ("client_id", &*client.id.to_string()),
    ];
    let answer = lab.token(&form, None).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
    assert_eq!(answer.body.get("access_token"), None::<&Value>);
}

#[tokio::test]
async fn of_many_questions_at_the_same_time_one_gets_the_tokens() {
    let lab = Lab::new().await;
    let (_, session) = lab.scene().await;
    let client = lab.device_app(&session).await;
    let asked = lab.asked(&client).await;
    lab.decide(asked.text("user_code"), &session, true).await;
    let polls = (0..32).map(|_| lab.poll(&client, asked.text("device_code")));
    let answers = futures_util::future::join_all(polls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
}

#[tokio::test]
async fn one_app_cannot_fill_the_store_with_codes() {
    let lab = Lab::new().await;
    let (_, session) = lab.scene().await;
    let client = lab.device_app(&session).await;
    for _ in 0..60 {
        lab.asked(&client).await;
    }
    let refused = lab.begin(&client, &[]).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.body);
    assert!(!refused.header(axum::http::header::RETRY_AFTER).is_empty());
    let another = lab.device_app(&session).await;
    lab.asked(&another).await;
    lab.wait(70);
    lab.asked(&client).await;
}
