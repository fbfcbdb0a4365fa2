//! Signing out at an app's word: RP-initiated, with what the front and the back channel tell other apps.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use authd::event::EventKind;
use axum::http::{Method, StatusCode, header};
use axum::routing::post;
use serde_json::{Value, json};

use super::{REDIRECT, Scene, claims, text};
use crate::world::authd::{Browser, PUBLIC_URL, Reply};

const BACK: &str = "https://app.example/bye";

struct SignedIn {
    scene: Scene,
    browser: Browser,
    access: String,
    id_token: String,
    sid: String,
}

impl SignedIn {
    async fn new() -> Self {
        let scene = Scene::new().await;
        scene.authd.operate("app.update", json!({"id": scene.app, "postLogoutRedirectUris": [BACK]})).await;
        let mut browser = scene.authd.browser();
        let landed = scene.sign_in(&mut browser).await;
        let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
        let (access, id_token) = (text(&tokens, "access_token"), text(&tokens, "id_token"));
        let sid = text(&claims(&id_token), "sid");
        Self { scene, browser, access, id_token, sid }
    }

    async fn live(&self) -> bool {
        self.scene.userinfo(&self.access).await.status == StatusCode::OK
    }

    async fn logout(&mut self, more: &[(&str, &str)]) -> Reply {
        self.browser.get(&address(more)).await
    }

    /// Another app that this session was used for.
    async fn another(&mut self, wish: Value) -> String {
        let mut all = json!({"organization": self.scene.organization, "name": "Other", "redirectUris": [REDIRECT]});
        all.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
        let app = self.scene.authd.operate("app.create", all).await;
        let (id, secret) = (text(&app, "clientId"), text(&app, "clientSecret"));
        let code = self.browser.get(&super::authorize(&id, &[])).await.query("code").unwrap();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", REDIRECT),
            ("client_id", &id),
            ("client_secret", &secret),
            ("code_verifier", super::VERIFIER),
        ];
        assert_eq!(self.scene.authd.browser().post("/oauth2/token", &fields).await.status, StatusCode::OK);
        id
    }
}

fn address(more: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(more).finish();
    format!("/oauth2/logout?{query}")
}

fn has_session(browser: &Browser) -> bool {
    browser.cookies.keys().any(|name| name.contains("session"))
}

#[tokio::test]
async fn an_app_that_shows_the_sessions_own_token_signs_the_person_out() {
    for method in [Method::GET, Method::POST] {
        let mut at = SignedIn::new().await;
        let token = at.id_token.clone();
        let fields = [
            ("id_token_hint", &*token),
            ("post_logout_redirect_uri", BACK),
            ("state", "a b&c"),
            ("ui_locales", "de fr"),
            ("logout_hint", "alice@corp.example"),
        ];
        let left = match method {
            Method::GET => at.logout(&fields).await,
            _ => {
                let cross = [("origin", "https://app.example"), ("sec-fetch-site", "cross-site")];
                at.browser.send(Method::POST, "/oauth2/logout", &cross, Some(&fields)).await
            }
        };
        assert_eq!(left.status, StatusCode::SEE_OTHER, "{}", left.body);
        assert_eq!(left.location().as_str(), format!("{BACK}?state=a+b%26c"));
        assert!(!at.live().await && !has_session(&at.browser));
        let told = at.scene.authd.events().await;
        assert_eq!(told.iter().filter(|event| event.kind == EventKind::SessionSignedOut).count(), 1);
        let next = at.browser.get(&at.scene.authorize(&[("prompt", "none")])).await;
        assert_eq!(next.query("error").as_deref(), Some("login_required"));
    }
}

#[tokio::test]
async fn a_post_of_another_site_finds_the_session_though_it_comes_without_cookies() {
    let mut at = SignedIn::new().await;
    let token = at.id_token.clone();
    let fields = [("id_token_hint", &*token), ("post_logout_redirect_uri", BACK)];
    // As a browser sends it: SameSite=Lax keeps the cookies back.
    let posted = at.scene.authd.browser().post("/oauth2/logout", &fields).await;
    assert_eq!(posted.status, StatusCode::SEE_OTHER);
    let on = posted.location();
    assert!(on.as_str().starts_with(&format!("{PUBLIC_URL}/oauth2/logout?request=")), "{on}");
    assert!(!on.as_str().contains(&token), "the token is not in the address");
    let left = at.browser.get(on.as_str()).await;
    assert_eq!(left.location().as_str(), BACK);
    assert!(!at.live().await);
}

#[tokio::test]
async fn an_expired_token_is_a_hint_all_the_same_and_so_is_one_of_a_key_of_before() {
    let mut at = SignedIn::new().await;
    at.scene.authd.env().advance(Duration::from_secs(3600));
    let token = at.id_token.clone();
    let left = at.logout(&[("id_token_hint", &token), ("post_logout_redirect_uri", BACK)]).await;
    assert_eq!(left.location().as_str(), BACK);
    assert!(!has_session(&at.browser));
}

#[tokio::test]
async fn op_09_without_a_token_of_this_session_the_person_is_asked() {
    let mut at = SignedIn::new().await;
    let app = at.scene.app.clone();
    // The same person's, from another browser.
    let mut elsewhere = at.scene.authd.browser();
    let landed = at.scene.sign_in(&mut elsewhere).await;
    let other = text(&at.scene.redeem(&landed.query("code").unwrap()).await.json(), "id_token");
    let mut tampered = at.id_token.clone();
    let last = tampered.pop().unwrap();
    tampered.push(if last == 'A' { 'E' } else { 'A' });
    let unsigned = format!("{}.", at.id_token.rsplit_once('.').unwrap().0);
    let access = at.access.clone();
    let stranger = at.another(json!({"postLogoutRedirectUris": [BACK]})).await;
    let own = at.id_token.clone();
    let asks: Vec<(Vec<(&str, &str)>, bool)> = vec![
        (vec![], false),
        (vec![("state", "x")], false),
        (vec![("client_id", &app), ("post_logout_redirect_uri", BACK)], true),
        (vec![("id_token_hint", &other), ("post_logout_redirect_uri", BACK)], true),
        (vec![("id_token_hint", &tampered), ("client_id", &app), ("post_logout_redirect_uri", BACK)], true),
        (vec![("id_token_hint", &tampered), ("post_logout_redirect_uri", BACK)], false),
        (vec![("id_token_hint", &unsigned), ("post_logout_redirect_uri", BACK)], false),
        (vec![("id_token_hint", &access), ("post_logout_redirect_uri", BACK)], false),
        (vec![("id_token_hint", "nonsense"), ("post_logout_redirect_uri", BACK)], false),
        // Made for one app, shown by another.
        (vec![("id_token_hint", &own), ("client_id", &stranger), ("post_logout_redirect_uri", BACK)], false),
    ];
    for (fields, returns) in asks {
        let page = at.logout(&fields).await;
        assert_eq!(page.status, StatusCode::OK, "{fields:?}: {page:?}");
        assert!(page.body.contains("Sign out?") && page.body.contains("alice@corp.example"), "{}", page.body);
        assert!(at.live().await, "{fields:?}: nothing ended yet");
        // The form works from our own page, with what it was made for, and then leads where the app may.
        let ticket = page.field("attempt");
        let cross = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
        let form: &[(&str, &str)] = &[("attempt", &ticket)];
        let foreign = at.browser.clone().send(Method::POST, "/oauth2/logout/confirm", &cross, Some(form)).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN);
        let mut bystander = elsewhere.clone();
        let asked = bystander.post("/oauth2/logout/confirm", form).await;
        assert!(asked.body.contains("Sign out?"), "{}", asked.body);
        assert!(at.live().await, "{fields:?}: another browser's answer");
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert_eq!(policy.contains("https://app.example"), returns, "{policy}");
    }
    let page = at.logout(&[("client_id", &app), ("post_logout_redirect_uri", BACK), ("state", "s")]).await;
    let left = at.browser.post("/oauth2/logout/confirm", &[("attempt", &page.field("attempt"))]).await;
    assert_eq!(left.location().as_str(), format!("{BACK}?state=s"));
    assert!(!at.live().await);
}

#[tokio::test]
async fn op_11_a_person_returns_to_exactly_what_the_app_registered_or_stays_here() {
    let mut at = SignedIn::new().await;
    let (token, app) = (at.id_token.clone(), at.scene.app.clone());
    let evil = [
        "https://evil.example/",
        "https://evil.example/bye",
        "//evil.example/bye",
        "/\\evil.example",
        "https:evil.example",
        "http://app.example/bye",
        "https://app.example",
        "https://app.example/",
        "https://app.example/bye/",
        "https://app.example/bye/..",
        "https://app.example/bye/../x",
        "https://app.example/bye?x=1",
        "https://app.example/bye?",
        "https://app.example/bye#x",
        "https://app.example/BYE",
        "https://APP.example/bye",
        "https://app.example:443/bye",
        "https://app.example:8443/bye",
        "https://app.example/%62ye",
        "https://app.example/bye%00",
        "https://app.example/bye\r\nset-cookie: x=1",
        "https://app.example/bye;x",
        "https://app.example/..;/bye",
        "https://app.example@evil.example/bye",
        "https://app.example.evil.example/bye",
        "https://evil.example/https://app.example/bye",
        "javascript:alert(1)",
        "data:text/html,x",
        " https://app.example/bye",
        // Registered, for another purpose.
        REDIRECT,
    ];
    for uri in evil {
        // Told one by one up to ten a minute.
        at.scene.authd.env().advance(Duration::from_secs(61));
        for named in [("id_token_hint", &*token), ("client_id", &*app)] {
            let fields = [named, ("post_logout_redirect_uri", uri), ("state", "s")];
            let (browser, path) = (&mut at.browser, address(&fields));
            let page = at
                .scene
                .rejects(StatusCode::BAD_REQUEST, "post_logout_uri_mismatch", async |_| browser.get(&path).await)
                .await;
            assert!(!page.headers.contains_key(header::LOCATION) && !page.headers.contains_key(header::REFRESH));
            assert!(!page.body.contains("evil.example"), "{uri}: {}", page.body);
        }
        // Nobody says for whom: the person is asked, and stays here.
        let page = at.browser.get(&address(&[("post_logout_redirect_uri", uri)])).await;
        assert_eq!(page.status, StatusCode::OK, "{uri}");
        assert!(!page.body.contains("evil.example"), "{uri}");
    }
    assert!(has_session(&at.browser));
    let page = at.browser.get(&address(&[("post_logout_redirect_uri", "https://evil.example/")])).await;
    let out = at.browser.post("/oauth2/logout/confirm", &[("attempt", &page.field("attempt"))]).await;
    assert_eq!(out.status, StatusCode::OK);
    assert!(!out.headers.contains_key(header::LOCATION) && !out.body.contains("evil.example"), "{}", out.body);
    // Signed out already: the same, with nothing to ask.
    for fields in [vec![("post_logout_redirect_uri", "https://evil.example/")], vec![("request", "made-up")], vec![]] {
        let page = at.browser.get(&address(&fields)).await;
        assert!(!page.headers.contains_key(header::LOCATION) && !page.body.contains("evil.example"), "{}", page.body);
    }
}

#[tokio::test]
async fn a_person_who_is_signed_out_already_goes_on_at_once() {
    let at = SignedIn::new().await;
    let mut fresh = at.scene.authd.browser();
    let fields = [("client_id", &*at.scene.app), ("post_logout_redirect_uri", BACK), ("state", "s")];
    assert_eq!(fresh.get(&address(&fields)).await.location().as_str(), format!("{BACK}?state=s"));
    let page = fresh.get("/oauth2/logout").await;
    assert!(page.status == StatusCode::OK && page.body.contains("signed out"), "{}", page.body);
    assert!(at.live().await, "another browser's session is left alone");
}

#[tokio::test]
async fn apps_that_hold_tokens_of_the_session_are_opened_in_frames_and_nothing_else_is() {
    let mut at = SignedIn::new().await;
    at.another(json!({"frontchannelLogoutUri": "https://one.example/out?k=v"})).await;
    at.another(json!({"frontchannelLogoutUri": "https://two.example:8443/out"})).await;
    // It never had tokens of this session.
    let wish = json!({"organization": at.scene.organization, "name": "Idle", "redirectUris": [REDIRECT],
        "frontchannelLogoutUri": "https://idle.example/out"});
    at.scene.authd.operate("app.create", wish).await;
    let token = at.id_token.clone();
    let page = at.logout(&[("id_token_hint", &token), ("post_logout_redirect_uri", BACK), ("state", "s")]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let query = format!("iss={}&#38;sid={}", "http%3A%2F%2F127.0.0.1%3A8080", at.sid);
    for frame in [format!("https://one.example/out?k=v&#38;{query}"), format!("https://two.example:8443/out?{query}")] {
        assert!(page.body.contains(&format!("<iframe src=\"{frame}\"")), "{frame}: {}", page.body);
    }
    assert_eq!(page.body.matches("<iframe").count(), 2);
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    let frames = policy.split("; ").find(|part| part.starts_with("frame-src")).unwrap();
    assert_eq!(frames, "frame-src https://one.example https://two.example:8443");
    assert!(page.body.contains(&format!("href=\"{BACK}?state=s\"")), "{}", page.body);
    assert_eq!(page.headers[header::REFRESH], format!("3; url={BACK}?state=s"));
    assert!(!at.live().await && !has_session(&at.browser));
    // The account page's own way out tells them as well.
    let mut at = SignedIn::new().await;
    at.another(json!({"frontchannelLogoutUri": "https://one.example/out"})).await;
    let page = at.browser.post("/signin/sign-out", &[]).await;
    assert!(page.body.contains("<iframe src=\"https://one.example/out?iss="), "{}", page.body);
    assert!(!page.headers.contains_key(header::REFRESH));
}

/// An app's receiver, on the network.
async fn receiver() -> (String, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let route = post(move |body: String| {
        let hears = hears.clone();
        async move { hears.lock().unwrap().push(body) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/logout", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/logout", route)).await });
    (uri, heard)
}

#[tokio::test]
async fn an_app_hears_over_the_back_channel_that_the_person_signed_out_at_another() {
    let mut at = SignedIn::new().await;
    let (uri, heard) = receiver().await;
    let other = at.another(json!({"backchannelLogoutUri": uri})).await;
    let app = &at.scene.authd.app;
    app.outbox.turn(&app.world).await.unwrap();
    assert!(heard.lock().unwrap().is_empty(), "nothing has ended");
    let token = at.id_token.clone();
    at.logout(&[("id_token_hint", &token)]).await;
    let app = &at.scene.authd.app;
    app.outbox.turn(&app.world).await.unwrap();
    let body = heard.lock().unwrap().pop().expect("told");
    let token = url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "logout_token").unwrap().1;
    let jwks = at.scene.authd.browser().get("/.well-known/jwks.json").await;
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&jwks.body).unwrap();
    let header = jsonwebtoken::decode_header(token.as_bytes()).unwrap();
    let mut rule = jsonwebtoken::Validation::new(header.alg);
    // The clock of these tests stands still in the past.
    rule.validate_exp = false;
    rule.set_audience(&[&other]);
    rule.set_issuer(&[PUBLIC_URL]);
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(header.kid.as_ref().unwrap()).unwrap()).unwrap();
    let claims = jsonwebtoken::decode::<Value>(token.as_bytes(), &key, &rule).unwrap().claims;
    assert_eq!(claims["sid"], at.sid);
    assert_eq!(header.typ.as_deref(), Some("logout+jwt"));
    let told = at.scene.authd.events().await;
    assert!(told.iter().any(|event| event.kind == EventKind::LogoutAcknowledged));
    // A logout token is no hint: it was sent to an app, and says nothing of who is signed in where.
    let mut browser = at.scene.authd.browser();
    at.scene.sign_in(&mut browser).await;
    let page = browser.get(&address(&[("id_token_hint", &token)])).await;
    assert!(page.body.contains("Sign out?"), "{}", page.body);
    assert!(heard.lock().unwrap().is_empty(), "told once");
}
