//! The page `/device`: what a person sees, and what nobody can do in their name.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Scene, claims, text};
use crate::world::authd::{Browser, PUBLIC_URL, Reply};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A device with an app of the organization.
struct Device<'a> {
    scene: &'a Scene,
    app: String,
    browser: Browser,
}

impl<'a> Device<'a> {
    async fn new(scene: &'a Scene) -> Self {
        let wish = json!({"organization": scene.organization, "name": "Living room <TV>", "kind": "native",
            "public": true, "grantTypes": [GRANT]});
        let app = text(&scene.authd.operate("app.create", wish).await, "clientId");
        let mut browser = scene.authd.browser();
        browser.ip = "198.51.100.4:40000".parse().unwrap();
        Self { scene, app, browser }
    }

    async fn asks(&mut self) -> Value {
        let fields = [("client_id", &*self.app), ("scope", "openid email")];
        let reply = self.browser.post("/oauth2/device_authorization", &fields).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        reply.json()
    }

    async fn polls(&mut self, asked: &Value) -> Value {
        self.scene.authd.env().advance(std::time::Duration::from_secs(5));
        let device_code = text(asked, "device_code");
        let fields = [("grant_type", GRANT), ("device_code", &device_code), ("client_id", &self.app)];
        self.browser.post("/oauth2/token", &fields).await.json()
    }
}

/// Through the provider as `email` says, and back.
async fn through(scene: &Scene, browser: &mut Browser, page: &Reply) -> Reply {
    let left = browser.post("/signin", &[("attempt", &page.field("attempt")), ("email", "alice@corp.example")]).await;
    assert_eq!(left.status, StatusCode::SEE_OTHER, "{left:?}");
    let landed = browser.get(&scene.back(&left)).await;
    assert!(landed.location().as_str().starts_with(&format!("{PUBLIC_URL}/device/confirm?")), "{landed:?}");
    browser.get(landed.location().as_str()).await
}

#[tokio::test]
async fn a_person_lets_an_app_in_on_a_device() {
    let scene = Scene::new().await;
    let mut device = Device::new(&scene).await;
    let asked = device.asks().await;
    let (code, link) = (text(&asked, "user_code"), text(&asked, "verification_uri_complete"));
    let mut browser = scene.authd.browser();

    let page = browser.get(&link).await;
    assert_eq!((page.status, page.field("user_code")), (StatusCode::OK, code.clone()));
    assert!(!page.body.contains("Living room"), "the link alone tells nothing");
    assert_eq!(device.polls(&asked).await["error"], "authorization_pending");

    let sign_in = browser.post("/device", &[("user_code", &code.to_lowercase())]).await;
    assert_eq!(sign_in.status, StatusCode::OK, "{}", sign_in.body);
    assert!(sign_in.body.contains("Living room &#60;TV&#62;"), "{}", sign_in.body);
    let confirm = through(&scene, &mut browser, &sign_in).await;
    assert_eq!(confirm.status, StatusCode::OK, "{}", confirm.body);
    for shown in
        ["Living room &#60;TV&#62;", "198.51.100.4", "another network", "See your e-mail address", "alice@corp.example"]
    {
        assert!(confirm.body.contains(shown), "{shown}: {}", confirm.body);
    }
    assert_eq!(device.polls(&asked).await["error"], "authorization_pending", "being shown the page is not agreeing");

    let fields = [("attempt", &*confirm.field("attempt")), ("decision", "allow")];
    let done = browser.post("/device/confirm", &fields).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    let tokens = device.polls(&asked).await;
    let id = claims(&text(&tokens, "id_token"));
    assert_eq!((&id["email"], &id["aud"]), (&json!("alice@corp.example"), &json!(device.app)));

    // The form again decides nothing again.
    let again = browser.post("/device/confirm", &fields).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert_eq!(device.polls(&asked).await["error"], "invalid_grant");
}

#[tokio::test]
async fn a_person_who_is_signed_in_is_asked_all_the_same_and_may_refuse() {
    let scene = Scene::new().await;
    let mut device = Device::new(&scene).await;
    let asked = device.asks().await;
    let mut browser = scene.authd.browser();
    browser.ip = device.browser.ip;
    scene.sign_in(&mut browser).await;
    let went = browser.post("/device", &[("user_code", &text(&asked, "user_code"))]).await;
    assert_eq!(went.status, StatusCode::SEE_OTHER, "{}", went.body);
    let confirm = browser.get(went.location().as_str()).await;
    assert!(confirm.body.contains("Living room") && !confirm.body.contains("another network"), "{}", confirm.body);
    let fields = [("attempt", &*confirm.field("attempt")), ("decision", "perhaps")];
    assert_eq!(browser.post("/device/confirm", &fields).await.status, StatusCode::BAD_REQUEST);
    let fields = [("attempt", &*confirm.field("attempt")), ("decision", "deny")];
    assert_eq!(browser.post("/device/confirm", &fields).await.status, StatusCode::OK);
    assert_eq!(device.polls(&asked).await["error"], "access_denied");
}

#[tokio::test]
async fn op_09_nobody_lets_a_device_in_through_somebody_elses_browser() {
    let scene = Scene::new().await;
    let mut device = Device::new(&scene).await;
    let asked = device.asks().await;
    let code = text(&asked, "user_code");
    let mut victim = scene.authd.browser();
    scene.sign_in(&mut victim).await;

    // A foreign page's form.
    let cross = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    for (path, fields) in
        [("/device", vec![("user_code", &*code)]), ("/device/confirm", vec![("attempt", "x"), ("decision", "allow")])]
    {
        scene
            .rejects(StatusCode::FORBIDDEN, "csrf", async |_| {
                victim.clone().send(Method::POST, path, &cross, Some(&fields)).await
            })
            .await;
    }
    // The attacker's own page, carried over: as a link, and as the form's hidden value.
    let mut attacker = scene.authd.browser();
    scene.sign_in(&mut attacker).await;
    let went = attacker.post("/device", &[("user_code", &code)]).await;
    let link = went.location().to_string();
    scene.rejects(StatusCode::BAD_REQUEST, "flow_mismatch", async |_| victim.get(&link).await).await;
    let ticket = attacker.get(&link).await.field("attempt");
    let fields = [("attempt", &*ticket), ("decision", "allow")];
    scene
        .rejects(StatusCode::BAD_REQUEST, "flow_mismatch", async |_| victim.post("/device/confirm", &fields).await)
        .await;
    // A ticket of a sign-in, or of no sign-in at all.
    let other = attacker.get(&scene.authorize(&[("prompt", "select_account")])).await.field("attempt");
    for ticket in [&*other, "made-up", ""] {
        let fields = [("attempt", ticket), ("decision", "allow")];
        let refused = attacker.post("/device/confirm", &fields).await;
        assert!(refused.status.is_client_error(), "{refused:?}");
    }
    // By GET nothing is decided.
    let by_link = format!("{link}&decision=allow");
    attacker.get(&by_link).await;
    assert_eq!(device.polls(&asked).await["error"], "authorization_pending");
}

#[tokio::test]
async fn a_form_that_was_made_for_one_person_does_not_speak_for_the_next() {
    let scene = Scene::new().await;
    let mut device = Device::new(&scene).await;
    let asked = device.asks().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    let went = browser.post("/device", &[("user_code", &text(&asked, "user_code"))]).await;
    let ticket = browser.get(went.location().as_str()).await.field("attempt");
    // Somebody else signs in, in another tab.
    scene.op.person(|person| {
        person.insert("sub".into(), "bob".into());
        person.insert("email".into(), "bob@corp.example".into());
    });
    scene.sign_in(&mut browser).await;
    let fields = [("attempt", &*ticket), ("decision", "allow")];
    let asks_again = browser.post("/device/confirm", &fields).await;
    assert!(asks_again.body.contains("bob@corp.example"), "{}", asks_again.body);
    assert_eq!(device.polls(&asked).await["error"], "authorization_pending");
    let fields = [("attempt", &*asks_again.field("attempt")), ("decision", "allow")];
    browser.post("/device/confirm", &fields).await;
    let id = claims(&text(&device.polls(&asked).await, "id_token"));
    assert_eq!(id["email"], "bob@corp.example");
}

#[tokio::test]
async fn user_codes_are_not_to_be_guessed() {
    let scene = Scene::new().await;
    let mut device = Device::new(&scene).await;
    let right = text(&device.asks().await, "user_code");
    let mut guesser = scene.authd.browser();
    let mut wrong = String::from("BBBB-BBBB");
    if wrong == right {
        wrong = "CCCC-CCCC".into();
    }
    for _ in 0..3 {
        let slip = guesser.post("/device", &[("user_code", "AEIO-U123")]).await;
        assert_eq!(slip.status, StatusCode::BAD_REQUEST, "a slip of the hand does not count");
    }
    for guess in 0..20 {
        let reply = guesser.post("/device", &[("user_code", &wrong)]).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{guess}");
        assert!(reply.body.contains("No device is waiting"), "{}", reply.body);
    }
    let limited = guesser.post("/device", &[("user_code", &right)]).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS, "also the right one is not looked at");
    assert!(limited.headers.contains_key("retry-after"));
    // A right one does not count, however often.
    let mut person = scene.authd.browser();
    person.ip = "192.0.2.2:1".parse().unwrap();
    for _ in 0..30 {
        assert_eq!(person.post("/device", &[("user_code", &right)]).await.status, StatusCode::OK);
    }
    // Many addresses together.
    let mut limited = 0;
    for address in 0..30 {
        guesser.ip = format!("203.0.113.{address}:1").parse().unwrap();
        for _ in 0..12 {
            let reply = guesser.post("/device", &[("user_code", &wrong)]).await;
            limited += usize::from(reply.status == StatusCode::TOO_MANY_REQUESTS);
        }
    }
    assert_eq!(limited, 30 * 12 - 280);
}
