//! Pushed authorization requests (RFC 9126).

use std::time::Duration;

use authd::provider::authorize::{AuthorizeRequest, Refusal};
use serde_json::json;

use super::{Answer, CALLBACK, Client, Lab, basic, request, with};

const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

impl Lab {
    /// Pushes these parameters in the name of an app.
    async fn push(&self, client: &Client, parameters: &[(&str, &str)]) -> Answer {
        let id = client.id.to_string();
        let authorization = client.secret.as_deref().map(|secret| basic(&id, secret));
        self.post("/oauth2/par", parameters, authorization.as_deref()).await
    }

    async fn pushed(&self, client: &Client) -> String {
        let id = client.id.to_string();
        let answer = self.push(client, &request(&id)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("request_uri").to_owned()
    }

    async fn come(&self, client: &str, uri: &str) -> Result<AuthorizeRequest, Refusal> {
        self.authorize(&[("client_id", client), ("request_uri", uri)]).await
    }
}

#[track_caller]
fn is_page(outcome: Result<AuthorizeRequest, Refusal>) {
    match outcome {
        Err(Refusal::Page(error)) => assert_eq!(error.code(), "invalid_request"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pushed_request_is_the_whole_request_once_and_for_a_minute() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let id = client.id.to_string();
    let before = lab.commit_number().await;
    let answer = lab.push(&client, &request(&id)).await;
    assert_eq!(lab.commit_number().await - before, 2, "one commit in between");
    assert_eq!((answer.status.as_u16(), answer.body["expires_in"].as_u64()), (201, Some(60)));
    assert_eq!(answer.headers["cache-control"], "no-store");
    let uri = answer.text("request_uri");
    assert!(uri.strip_prefix(PREFIX).is_some_and(|name| name.len() >= 43), "{uri}");

    // What comes with the name counts for nothing.
    let twisted = [
        ("client_id", &*id),
        ("request_uri", uri),
        ("redirect_uri", "https://evil.test/cb"),
        ("scope", "openid offline_access"),
        ("state", "another"),
        ("prompt", "none"),
        ("response_type", "token"),
    ];
    let taken = lab.authorize(&twisted).await.unwrap();
    let plain = lab.authorize(&request(&id)).await.unwrap();
    assert!(taken.pushed && taken.again().is_none() && taken.by_another().is_none());
    assert_eq!(AuthorizeRequest { pushed: false, ..taken.clone() }, plain);
    assert!(lab.mint(&taken, &session).await.starts_with(CALLBACK));
    is_page(lab.come(&id, uri).await);

    let late = lab.pushed(&client).await;
    lab.env().advance(Duration::from_secs(60));
    is_page(lab.come(&id, &late).await);
    let just = lab.pushed(&client).await;
    lab.env().advance(Duration::from_secs(59));
    assert!(lab.come(&id, &just).await.is_ok());
    let file = lab.store().counts().await.unwrap();
    assert!(file.get("pushed_request").is_none_or(|left| *left <= 1), "what was taken is gone");
}

#[tokio::test]
async fn a_pushed_request_belongs_to_its_app() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let other = lab.app(session.organization, json!({})).await;
    let (id, other_id) = (client.id.to_string(), other.id.to_string());
    let uri = lab.pushed(&client).await;
    is_page(lab.come(&other_id, &uri).await);
    for wrong in [format!("{PREFIX}x"), PREFIX.to_owned(), format!("{uri}x"), uri.to_uppercase().replace("URN", "urn")]
    {
        assert!(lab.come(&id, &wrong).await.is_err(), "{wrong}");
    }
    let twice = [("client_id", &*id), ("request_uri", &*uri), ("request_uri", &*uri)];
    assert!(lab.authorize(&twice).await.is_err());
    assert!(lab.come(&id, &uri).await.is_ok(), "nobody else's try has used it up");
    // An address is not a name, and is not fetched.
    let fetched = [request(&id), vec![("request_uri", "https://app.example.com/request.jwt")]].concat();
    let Err(Refusal::App(answer)) = lab.authorize(&fetched).await else { panic!("not refused") };
    assert_eq!(answer.error(), Some("request_uri_not_supported"));
}

#[tokio::test]
async fn of_many_people_with_one_pushed_request_one_comes_in() {
    let lab = Lab::new().await;
    let (client, _) = lab.scene().await;
    let id = client.id.to_string();
    let uri = lab.pushed(&client).await;
    let all = futures_util::future::join_all((0..32).map(|_| lab.come(&id, &uri))).await;
    assert_eq!(all.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn what_could_not_be_answered_cannot_be_pushed() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let other = lab.app(session.organization, json!({})).await;
    let (id, other_id) = (client.id.to_string(), other.id.to_string());
    let good = request(&id);
    let (_, uri) = (&good, lab.pushed(&client).await);
    for (status, error, parameters) in [
        (400, "invalid_request", with(&good, "redirect_uri", Some("https://evil.test/cb"))),
        (400, "invalid_request", with(&good, "redirect_uri", None)),
        (400, "invalid_request", with(&good, "code_challenge", None)),
        (400, "invalid_request", with(&good, "request_uri", Some(&uri))),
        (400, "invalid_request", with(&good, "request_uri", Some("https://app.example.com/r"))),
        (400, "invalid_request", with(&good, "request", Some("e30.e30."))),
        (400, "invalid_request", with(&good, "prompt", Some("none login"))),
        (400, "unsupported_response_type", with(&good, "response_type", Some("token"))),
        (400, "invalid_scope", with(&good, "scope", Some("openid \"x\""))),
        (400, "invalid_request", [&good[..], &[("state", "again")]].concat()),
        (401, "invalid_client", with(&good, "client_id", Some(&other_id))),
    ] {
        lab.push(&client, &parameters).await.refused(status, error);
    }
    let wrong = Client { secret: Some("cs_wrong".to_owned()), ..client.clone() };
    lab.push(&wrong, &good).await.refused(401, "invalid_client");
    lab.push(&Client { secret: None, ..client.clone() }, &good).await.refused(401, "invalid_client");
    assert_eq!(lab.get("/oauth2/par").await.status, 405);
}

#[tokio::test]
async fn an_app_that_must_push_gets_nothing_otherwise() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let client = lab.app(organization, json!({"requirePushedRequests": true})).await;
    let id = client.id.to_string();
    let Err(Refusal::App(answer)) = lab.authorize(&request(&id)).await else { panic!("not refused") };
    assert_eq!((answer.error(), answer.get("state")), (Some("invalid_request"), Some("the state")));
    let uri = lab.pushed(&client).await;
    assert!(lab.come(&id, &uri).await.is_ok());
    let free = lab.app(organization, json!({})).await.id.to_string();
    assert!(lab.authorize(&request(&free)).await.is_ok());
}

#[tokio::test]
async fn a_public_app_pushes_too_and_strangers_do_not_fill_the_store() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let spa = lab.app(organization, json!({"kind": "spa"})).await;
    let id = spa.id.to_string();
    let uri = lab.pushed(&spa).await;
    assert!(lab.come(&id, &uri).await.is_ok());
    let mut kept = 1;
    while lab.push(&spa, &request(&id)).await.status == 201 {
        kept += 1;
        assert!(kept <= 600, "without end");
    }
    assert!(kept >= 60, "{kept}");
    let refused = lab.push(&spa, &request(&id)).await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    // Whoever has proven who it is is no stranger.
    let web = lab.app(organization, json!({})).await;
    for _ in 0..70 {
        lab.pushed(&web).await;
    }
    lab.env().advance(Duration::from_secs(70));
    lab.pushed(&spa).await;
}
