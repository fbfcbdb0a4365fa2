//! The consent page: no code before its form was posted, and none after it was taken back.

use std::time::Duration;

use authd::event::EventKind;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{REDIRECT, Scene};
use crate::world::authd::{Browser, Reply};

const SILENT: (&str, &str) = ("prompt", "none");

impl Scene {
    /// The same, with an app of somebody else.
    async fn third_party() -> Self {
        let scene = Self::new().await;
        scene.authd.operate("app.update", json!({"id": scene.app, "thirdParty": true})).await;
        scene
    }

    /// A sign-in that ends at the question.
    async fn asked(&self, browser: &mut Browser) -> Reply {
        let left = self.leave(browser).await;
        let page = browser.get(&self.back(&left)).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        page
    }

    async fn told(&self, kind: EventKind) -> usize {
        self.authd.events().await.iter().filter(|event| event.kind == kind).count()
    }

    async fn consents(&self) -> Vec<Value> {
        let list = self.authd.operate("consent.list", json!({"organization": self.organization})).await;
        list["items"].as_array().unwrap().clone()
    }

    async fn refresh(&self, token: &str) -> Reply {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", &*self.app),
            ("client_secret", &*self.secret),
        ];
        self.authd.browser().post("/oauth2/token", &form).await
    }
}

async fn say(browser: &mut Browser, page: &Reply, decision: &str) -> Reply {
    browser.post("/signin/consent", &[("attempt", &page.field("attempt")), ("decision", decision)]).await
}

#[tokio::test]
async fn a_third_partys_app_is_let_in_by_the_person_and_remembered() {
    let scene = Scene::third_party().await;
    let mut browser = scene.authd.browser();
    let page = scene.asked(&mut browser).await;
    for word in ["Wiki", "alice@corp.example", "Corp", "app.example", "Recognize you", "e-mail address", "groups"] {
        assert!(page.body.contains(word), "{word} is not on the page: {}", page.body);
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self' https://app.example") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(scene.authd.counts().await["authorization_code"], 0, "no code before the person has said so");
    assert_eq!(scene.told(EventKind::CodeCreated).await, 0);
    let silent = browser.get(&scene.authorize(&[SILENT])).await;
    assert_eq!(silent.query("error").as_deref(), Some("consent_required"));
    assert_eq!(silent.query("state").as_deref(), Some("app-state"));

    let landed = say(&mut browser, &page, "allow").await;
    assert!(landed.location().as_str().starts_with(REDIRECT), "{landed:?}");
    let tokens = scene.redeem(&landed.query("code").unwrap()).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    let silent = browser.get(&scene.authorize(&[SILENT])).await;
    assert!(silent.query("code").is_some(), "it is remembered: {silent:?}");
    let kept = scene.consents().await;
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (&kept[0]["app"], &kept[0]["scopes"]),
        (&json!(scene.app), &json!(["email", "groups", "openid", "profile"]))
    );
    assert_eq!(scene.told(EventKind::ConsentGranted).await, 1);

    // Less is covered; more is asked.
    let less = scene.authorize(&[]).replace("openid+email+profile+groups", "openid");
    assert!(browser.get(&less).await.query("code").is_some());
    let more = scene.authorize(&[]).replace("openid+email+profile+groups", "openid+offline_access");
    let page = browser.get(&more).await;
    assert!(page.body.contains("while you are away"), "{page:?}");
    let landed = say(&mut browser, &page, "allow").await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    assert!(tokens["refresh_token"].is_string());
    let scopes = json!(["email", "groups", "offline_access", "openid", "profile"]);
    assert_eq!(scene.consents().await[0]["scopes"], scopes, "what was agreed to before stays");
}

#[tokio::test]
async fn claims_asked_for_by_name_are_on_the_page_too() {
    let scene = Scene::third_party().await;
    let mut browser = scene.authd.browser();
    let only = |more: &[(&str, &str)]| scene.authorize(more).replace("openid+email+profile+groups", "openid");
    let page = scene.asked(&mut browser).await;
    say(&mut browser, &page, "deny").await;
    let page = browser.get(&only(&[])).await;
    assert!(!page.body.contains("See your e-mail address"));
    say(&mut browser, &page, "allow").await;
    let claims = r#"{"userinfo":{"email":{"essential":true}}}"#;
    let silent = browser.get(&only(&[("claims", claims), SILENT])).await;
    assert_eq!(silent.query("error").as_deref(), Some("consent_required"), "not by the back door");
    let page = browser.get(&only(&[("claims", claims)])).await;
    assert!(page.body.contains("See your e-mail address"));
}

#[tokio::test]
async fn a_no_goes_to_the_app_and_leaves_nothing() {
    let scene = Scene::third_party().await;
    let mut browser = scene.authd.browser();
    let page = scene.asked(&mut browser).await;
    for decision in ["deny", "", "ALLOW", "maybe"] {
        let refused = say(&mut browser, &page, decision).await;
        assert_eq!(refused.query("error").as_deref(), Some("access_denied"), "{decision}: {refused:?}");
        assert_eq!(refused.query("state").as_deref(), Some("app-state"));
        assert!(refused.query("iss").is_some() && refused.query("code").is_none());
    }
    assert!(scene.consents().await.is_empty());
    assert_eq!(scene.authd.counts().await["authorization_code"], 0);
    assert_eq!(scene.told(EventKind::ConsentDenied).await, 4);
    // The person is signed in all the same, and is asked again.
    let again = browser.get(&scene.authorize(&[])).await;
    assert!(again.body.contains("Recognize you"));
}

#[tokio::test]
async fn what_is_taken_back_ends_everything_of_that_app_and_nothing_else() {
    let scene = Scene::third_party().await;
    let wish = json!({"organization": scene.organization, "name": "Other", "redirectUris": [REDIRECT]});
    let other = scene.authd.operate("app.create", wish).await;
    let mut browser = scene.authd.browser();
    let offline = scene.authorize(&[]).replace("openid+email", "openid+offline_access+email");
    scene.asked(&mut browser).await;
    let page = browser.get(&offline).await;
    let landed = say(&mut browser, &page, "allow").await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let waiting = browser.get(&offline).await.query("code").unwrap();
    assert_eq!(scene.userinfo(access).await.status, StatusCode::OK);

    let user = scene.consents().await[0]["user"].clone();
    let ended = json!({"organization": scene.organization, "user": user, "app": scene.app});
    scene.authd.operate("consent.revoke", ended).await;
    assert_eq!(scene.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.refresh(refresh).await.json()["error"], "invalid_grant");
    assert_eq!(scene.redeem(&waiting).await.json()["error"], "invalid_grant", "a code that was not used yet");
    assert!(scene.consents().await.is_empty());
    assert_eq!(scene.told(EventKind::ConsentRevoked).await, 1);
    // Asked again; and the session, and other apps, are as they were.
    let silent = browser.get(&scene.authorize(&[SILENT])).await;
    assert_eq!(silent.query("error").as_deref(), Some("consent_required"));
    let elsewhere = super::authorize(other["clientId"].as_str().unwrap(), &[SILENT]);
    assert!(browser.get(&elsewhere).await.query("code").is_some());
    let page = browser.get(&offline).await;
    let landed = say(&mut browser, &page, "allow").await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    assert_eq!(scene.userinfo(tokens["access_token"].as_str().unwrap()).await.status, StatusCode::OK, "a new start");
}

#[tokio::test]
async fn an_own_app_asks_only_when_it_wants_to() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    for _ in 0..2 {
        let page = browser.get(&scene.authorize(&[("prompt", "consent")])).await;
        assert!(page.body.contains("Recognize you"), "every time: {page:?}");
        let landed = say(&mut browser, &page, "allow").await;
        assert!(landed.query("code").is_some());
    }
    let plain = browser.get(&scene.authorize(&[])).await;
    assert!(plain.query("code").is_some());
    // Signed in anew, and asked.
    let parameters = [("prompt", "login consent"), ("connection", &*scene.connection)];
    let left = browser.get(&scene.authorize(&parameters)).await;
    assert_eq!(left.query("prompt").as_deref(), Some("login"));
    let page = browser.get(&scene.back(&left)).await;
    assert!(page.body.contains("Recognize you"), "{page:?}");
    assert!(say(&mut browser, &page, "allow").await.query("code").is_some());
}

#[tokio::test]
async fn op_09_the_consent_form_works_in_its_own_session_from_our_own_page_and_nowhere_else() {
    let scene = Scene::third_party().await;
    let mut browser = scene.authd.browser();
    let page = scene.asked(&mut browser).await;
    let attempt = page.field("attempt");
    let form = [("attempt", &*attempt), ("decision", "allow")];
    let refuse = StatusCode::BAD_REQUEST;
    for headers in [
        vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")],
        vec![("sec-fetch-site", "same-site")],
        vec![("origin", "https://evil.test")],
        vec![("origin", "null"), ("sec-fetch-site", "cross-site")],
    ] {
        let foreign =
            async |browser: &mut Browser| browser.send(Method::POST, "/signin/consent", &headers, Some(&form)).await;
        scene.rejects(StatusCode::FORBIDDEN, "csrf", async |_| foreign(&mut browser).await).await;
    }
    // More refusals from one address within a minute are counted, not told.
    scene.authd.env().advance(Duration::from_secs(61));
    // Another person's browser, one without a session, and a form that is none of this page's.
    let mut stranger = scene.authd.browser();
    scene.rejects(refuse, "flow_mismatch", async |_| stranger.post("/signin/consent", &form).await).await;
    let others = scene.asked(&mut stranger).await;
    scene.rejects(refuse, "flow_mismatch", async |_| stranger.post("/signin/consent", &form).await).await;
    let stolen = others.field("attempt");
    let stolen = [("attempt", &*stolen), ("decision", "allow")];
    scene.rejects(refuse, "flow_mismatch", async |_| browser.post("/signin/consent", &stolen).await).await;
    let signin = scene.authd.browser().get(&scene.authorize(&[])).await.field("attempt");
    let flipped = format!("{}{}", &attempt[..attempt.len() - 6], "AAAAAA");
    for wrong in [signin.as_str(), flipped.as_str(), "x", "AAAA"] {
        let form = [("attempt", wrong), ("decision", "allow")];
        scene.rejects(StatusCode::FORBIDDEN, "csrf", async |_| browser.post("/signin/consent", &form).await).await;
    }
    scene.authd.env().advance(Duration::from_secs(61));
    let asked = [("attempt", &*attempt), ("email", "alice@corp.example")];
    scene.rejects(StatusCode::FORBIDDEN, "csrf", async |_| browser.post("/signin", &asked).await).await;
    assert!(scene.consents().await.is_empty());
    assert_eq!(scene.told(EventKind::CodeCreated).await, 0);

    // A session that ended in between, and a page that lay open for too long.
    let mut left = browser.clone();
    left.post("/signin/sign-out", &[]).await;
    scene.rejects(refuse, "flow_mismatch", async |_| browser.post("/signin/consent", &form).await).await;
    let page = scene.asked(&mut browser).await;
    scene.authd.env().advance(Duration::from_secs(3600));
    let attempt = page.field("attempt");
    let late = [("attempt", &*attempt), ("decision", "allow")];
    scene.rejects(refuse, "attempt_expired", async |_| browser.post("/signin/consent", &late).await).await;
}

#[tokio::test]
async fn no_code_is_minted_for_a_third_party_without_the_persons_word() {
    use crate::provider::{Lab, request};
    use authd::access::Caller;
    use authd::provider::code;
    use authd::store::Batch;

    let lab = Lab::new().await;
    let (_, session) = lab.scene().await;
    let app = lab.app(session.organization, json!({"thirdParty": true})).await;
    let id = app.id.to_string();
    let asked = lab.authorize(&request(&id)).await.unwrap();
    let cx = lab.context(Caller::Anonymous);
    let refused = code::mint(&cx, &asked, &session, None, &mut Batch::new()).await.unwrap_err();
    assert_eq!(refused.code(), "consent_required");
}

#[tokio::test]
async fn the_persons_own_page_shows_what_they_agreed_to_and_takes_it_back() {
    let scene = Scene::third_party().await;
    let mut browser = scene.authd.browser();
    let page = scene.asked(&mut browser).await;
    assert!(!browser.get("/signin").await.body.contains("What you have agreed to"));
    let landed = say(&mut browser, &page, "allow").await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let access = tokens["access_token"].as_str().unwrap();
    let page = browser.get("/signin").await.body;
    let (_, part) = page.split_once("What you have agreed to").unwrap();
    for shown in ["Wiki", "<code>email</code>", "<code>groups</code>", &scene.app, "/signin/consents/end"] {
        assert!(part.contains(shown), "{shown}: {part}");
    }

    // Neither a foreign page, nor another person, nor nobody.
    let form = [("app", &*scene.app)];
    let cross = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let foreign = browser.clone().send(Method::POST, "/signin/consents/end", &cross, Some(&form)).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    scene.op.person(|person| {
        person.insert("sub".into(), "bob".into());
        person.insert("email".into(), "bob@corp.example".into());
    });
    let mut bob = scene.authd.browser();
    scene.asked(&mut bob).await;
    bob.post("/signin/consents/end", &form).await;
    scene.authd.browser().post("/signin/consents/end", &form).await;
    browser.post("/signin/consents/end", &[("app", "no app")]).await;
    assert_eq!(scene.userinfo(access).await.status, StatusCode::OK);
    assert_eq!((scene.consents().await.len(), scene.told(EventKind::ConsentRevoked).await), (1, 0));

    let ended = browser.post("/signin/consents/end", &form).await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER);
    assert!(scene.consents().await.is_empty());
    assert_eq!(scene.userinfo(access).await.status, StatusCode::UNAUTHORIZED, "what it was given has ended");
    assert!(!browser.get("/signin").await.body.contains("What you have agreed to"));
    let told = scene.authd.events().await;
    let told = told.iter().rfind(|event| event.kind == EventKind::ConsentRevoked).unwrap();
    assert_eq!(told.actor_type, "user");
    // The session goes on, and the app has to ask anew.
    let silent = browser.get(&scene.authorize(&[SILENT])).await;
    assert_eq!(silent.query("error").as_deref(), Some("consent_required"));
}
