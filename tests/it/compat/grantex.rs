//! The Grantex SDK's door: connections in its words, and sign-ins that an app hands over.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::{Told, key, organization, send};
use crate::signin::{REDIRECT, Scene};
use crate::world::authd::Authd;

fn post<'a>(
    authd: &'a Authd,
    path: &'a str,
    bearer: Option<&'a str>,
    body: &'a Value,
) -> impl Future<Output = Told> + 'a {
    send(&authd.router, Method::POST, path, bearer, Some(body))
}

fn get<'a>(authd: &'a Authd, path: &'a str, bearer: Option<&'a str>) -> impl Future<Output = Told> + 'a {
    send(&authd.router, Method::GET, path, bearer, None)
}

fn said(told: &Told) -> (u16, &str) {
    (told.status.as_u16(), told.body["code"].as_str().unwrap_or_default())
}

/// A scene with keys of its organization and of another.
struct Stage {
    scene: Scene,
    key: String,
    stranger: String,
}

impl Stage {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let key = key(&scene.authd, &scene.organization, &["*"]).await;
        let other = organization(&scene.authd, "Stranger").await;
        let stranger = super::key(&scene.authd, &other, &["*"]).await;
        Self { scene, key, stranger }
    }

    fn authd(&self) -> &Authd {
        &self.scene.authd
    }

    /// Begins a sign-in; what the provider would send back.
    async fn begin(&self, callback: Option<&str>) -> BTreeMap<String, String> {
        let mut path = format!("/sso/login?org={}&domain=corp.example", self.scene.organization);
        if let Some(callback) = callback {
            path.push_str("&redirect_uri=");
            path.extend(url::form_urlencoded::byte_serialize(callback.as_bytes()));
        }
        let told = get(self.authd(), &path, Some(&self.key)).await;
        assert_eq!(told.status.as_u16(), 200, "{told:?}");
        assert_eq!(
            (&told.body["connectionId"], &told.body["protocol"]),
            (&json!(self.scene.connection), &json!("oidc"))
        );
        self.scene.op.approve(told.body["authorizeUrl"].as_str().unwrap())
    }

    async fn hand(&self, bearer: Option<&str>, came: &BTreeMap<String, String>, callback: Option<&str>) -> Told {
        let mut body = json!({"code": came["code"], "state": came["state"]});
        if let Some(callback) = callback {
            body["redirect_uri"] = callback.into();
        }
        post(self.authd(), "/sso/callback/oidc", bearer, &body).await
    }
}

#[tokio::test]
async fn an_app_hands_over_what_it_received_and_is_told_who_it_is() {
    let stage = Stage::new().await;
    let came = stage.begin(Some(REDIRECT)).await;
    let told = stage.hand(Some(&stage.key), &came, Some(REDIRECT)).await;
    assert_eq!(told.status.as_u16(), 200, "{told:?}");
    assert_eq!((&told.body["sub"], &told.body["email"]), (&json!("alice-1"), &json!("alice@corp.example")));
    assert_eq!(
        (&told.body["developerId"], &told.body["provisioned"]),
        (&json!(stage.scene.organization), &json!(true))
    );
    let sessions = get(stage.authd(), "/v1/sso/sessions", Some(&stage.key)).await;
    let row = &sessions.body["sessions"][0];
    assert_eq!((&row["id"], &row["idpSubject"]), (&told.body["sessionId"], &json!("alice-1")), "{sessions:?}");
    assert_eq!(row["groups"], json!(["staff", "admins"]));
    // What is used is used.
    assert_eq!(said(&stage.hand(Some(&stage.key), &came, Some(REDIRECT)).await), (400, "BAD_REQUEST"));
}

#[tokio::test]
async fn what_is_handed_over_belongs_to_one_organization_one_address_and_no_browser() {
    let stage = Stage::new().await;
    let (before, came) = (stage.authd().counts().await, stage.begin(Some(REDIRECT)).await);
    let weak = key(stage.authd(), &stage.scene.organization, &["connection.read"]).await;
    for (bearer, callback, expected) in [
        (None, Some(REDIRECT), (401, "UNAUTHORIZED")),
        (Some("ak_nothing"), Some(REDIRECT), (401, "UNAUTHORIZED")),
        (Some(weak.as_str()), Some(REDIRECT), (403, "FORBIDDEN")),
        (Some(stage.stranger.as_str()), Some(REDIRECT), (400, "BAD_REQUEST")),
        (Some(stage.key.as_str()), Some("https://app.example/other"), (400, "BAD_REQUEST")),
    ] {
        assert_eq!(said(&stage.hand(bearer, &came, callback).await), expected);
    }
    // A browser that brings it to authd's own address completes nothing, whatever cookie it has.
    let mut browser = stage.authd().browser();
    stage.scene.leave(&mut browser).await;
    let own =
        format!("/connections/{}/oidc/callback?code={}&state={}", stage.scene.connection, came["code"], came["state"]);
    assert_eq!(browser.get(&own).await.status.as_u16(), 400);
    assert_eq!(stage.authd().counts().await, before, "nobody was let in");
    // None of that has used anything up.
    assert_eq!(stage.hand(Some(&stage.key), &came, None).await.status.as_u16(), 200);
}

#[tokio::test]
async fn only_a_registered_address_is_answered_to() {
    let stage = Stage::new().await;
    let org = &stage.scene.organization;
    for callback in
        ["https://evil.example/cb", "https://app.example/callback/", "javascript:alert(1)", "//evil.example"]
    {
        let encoded: String = url::form_urlencoded::byte_serialize(callback.as_bytes()).collect();
        let path = format!("/sso/login?org={org}&domain=corp.example&redirect_uri={encoded}");
        let told = get(stage.authd(), &path, Some(&stage.key)).await;
        assert_eq!(said(&told), (400, "BAD_REQUEST"), "{callback}");
        assert_eq!(told.body["reason"], "redirect_uri_mismatch");
    }
    let update = json!({"callbackUrls": ["https://other.example/cb"]});
    let path = format!("/v1/sso/connections/{}", stage.scene.connection);
    let told = send(&stage.authd().router, Method::PATCH, &path, Some(&stage.key), Some(&update)).await;
    assert_eq!(told.body["callbackUrls"], json!(["https://other.example/cb"]), "{told:?}");
    let came = stage.begin(None).await;
    assert_eq!(stage.hand(Some(&stage.key), &came, Some("https://other.example/cb")).await.status.as_u16(), 200);
}

#[tokio::test]
async fn nothing_falls_back_to_some_connection() {
    let stage = Stage::new().await;
    let org = &stage.scene.organization;
    let login = async |query: String| {
        let told = get(stage.authd(), &format!("/sso/login?{query}"), None).await;
        (told.status.as_u16(), told.body["reason"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(login(format!("org={org}")).await.0, 200, "the only one");
    assert_eq!(login(format!("org={org}&domain=nobody.example")).await, (404, "no_connection".into()));
    assert_eq!(login(format!("org={org}&email=a@nobody.example")).await, (404, "no_connection".into()));
    assert_eq!(login("org=org_00000000000000000000000000&domain=corp.example".into()).await.0, 404);
    assert_eq!(login("domain=corp.example".into()).await, (400, "invalid_input".into()));
    let second = json!({"name": "B", "protocol": "oidc", "issuerUrl": stage.scene.op.issuer, "clientId": "c", "clientSecret": "s"});
    let second = post(stage.authd(), "/v1/sso/connections", Some(&stage.key), &second).await;
    assert_eq!(second.status.as_u16(), 201, "{second:?}");
    assert_eq!(login(format!("org={org}")).await, (400, "invalid_input".into()), "none of two");
}

#[tokio::test]
async fn a_key_vouches_only_with_the_grant_for_it() {
    let authd = Authd::start().await;
    let own = organization(&authd, "Own").await;
    let grants = ["connection.create", "connection.read", "connection.manage"];
    let (tenant, full) = (key(&authd, &own, &grants).await, key(&authd, &own, &["*"]).await);
    let make = async |bearer: &str, domain: &str| {
        let body = json!({"name": "A", "protocol": "oidc", "issuerUrl": "http://127.0.0.1:1", "clientId": "c",
            "clientSecret": "s", "domains": [domain]});
        let told = post(&authd, "/v1/sso/connections", Some(bearer), &body).await;
        assert_eq!((told.status.as_u16(), &told.body["status"]), (201, &json!("active")), "{told:?}");
        let view = authd.operate("connection.get", json!({"id": told.body["id"]})).await;
        view["domains"][0]["verified"] == true
    };
    assert!(!make(&tenant, "claimed.example").await);
    assert!(make(&full, "vouched.example").await);
    let vouched =
        authd.events().await.into_iter().filter(|event| event.kind.name() == "connection.domain.verified").count();
    assert_eq!(vouched, 1, "it is in the log");
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_uses_nothing_up() {
    let stage = Stage::new().await;
    let came = stage.begin(Some(REDIRECT)).await;
    stage.scene.op.down(true);
    assert_eq!(said(&stage.hand(Some(&stage.key), &came, Some(REDIRECT)).await), (502, "SSO_ERROR"));
    stage.scene.op.down(false);
    assert_eq!(stage.hand(Some(&stage.key), &came, Some(REDIRECT)).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_refused_code_or_token_is_a_refused_sign_in() {
    let stage = Stage::new().await;
    let mut came = stage.begin(Some(REDIRECT)).await;
    came.insert("code".into(), "forged".into());
    assert_eq!(said(&stage.hand(Some(&stage.key), &came, Some(REDIRECT)).await), (401, "SSO_AUTH_FAILED"));
    stage.scene.op.next_token(|_, claims| {
        claims.insert("nonce".into(), json!("other"));
    });
    let came = stage.begin(Some(REDIRECT)).await;
    let told = stage.hand(Some(&stage.key), &came, Some(REDIRECT)).await;
    assert_eq!((said(&told), &told.body["reason"]), ((401, "SSO_AUTH_FAILED"), &json!("nonce_mismatch")));
}

#[tokio::test]
async fn a_session_that_an_app_keeps_lasts_as_long_as_the_app_was_told() {
    let stage = Stage::new().await;
    let came = stage.begin(Some(REDIRECT)).await;
    let told = stage.hand(Some(&stage.key), &came, Some(REDIRECT)).await;
    let mut browser = stage.authd().browser();
    stage.scene.sign_in(&mut browser).await;
    let live = async || {
        let sessions = get(stage.authd(), "/v1/sso/sessions", Some(&stage.key)).await;
        let rows = sessions.body["sessions"].as_array().unwrap().clone();
        rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(live().await.len(), 2);
    // authd sees what a browser does, and nothing of what the app's person does.
    stage.authd().env().advance(Duration::from_secs(2 * 3600));
    assert_eq!(live().await, [told.body["sessionId"].clone()]);
    let detail = stage.authd().operate("session.get", json!({"id": told.body["sessionId"]})).await;
    assert_eq!((&detail["live"], &detail["expiresAt"]), (&json!(true), &told.body["expiresAt"]));
    stage.authd().env().advance(Duration::from_secs(6 * 3600 - 60));
    assert_eq!(live().await, [told.body["sessionId"].clone()]);
    stage.authd().env().advance(Duration::from_secs(60));
    assert!(live().await.is_empty(), "eight hours are over");

    // What an organization says of the whole life of its sessions holds for these, too.
    let came = stage.begin(Some(REDIRECT)).await;
    stage.hand(Some(&stage.key), &came, Some(REDIRECT)).await;
    let shorter = json!({"id": stage.scene.organization, "sessionSeconds": 600, "sessionIdleSeconds": 60});
    stage.authd().operate("organization.update", shorter).await;
    stage.authd().env().advance(Duration::from_secs(599));
    assert_eq!(live().await.len(), 1);
    stage.authd().env().advance(Duration::from_secs(1));
    assert!(live().await.is_empty());
}

#[tokio::test]
async fn what_holds_for_everybody_is_shown_on_each_connection() {
    let stage = Stage::new().await;
    let (authd, key) = (stage.authd(), Some(stage.key.as_str()));
    let came = stage.begin(Some(REDIRECT)).await;
    let person = stage.hand(key, &came, Some(REDIRECT)).await.body["principalId"].clone();
    let owner = json!({"organization": stage.scene.organization, "user": person, "roles": ["owner"]});
    authd.operate("member.set_role", owner).await;
    let path = format!("/v1/sso/connections/{}", stage.scene.connection);
    let shown = async || get(authd, &path, key).await.body["enforce"].clone();
    assert_eq!(shown().await, false);
    let set = async |body: Value| {
        let told = post(authd, "/v1/sso/enforce", key, &body).await;
        assert_eq!(told.status.as_u16(), 200, "{told:?}");
        told.body
    };
    let held = set(json!({"enforce": true, "exemptRoles": ["owner", "admin"]})).await;
    assert_eq!(held["exemptRoles"], json!(["owner", "admin"]), "in the order in which they were said");
    assert_eq!(shown().await, true);
    // What a connection says for itself goes before.
    let own = send(&authd.router, Method::PATCH, &path, key, Some(&json!({"enforce": false}))).await;
    assert_eq!((own.status.as_u16(), &own.body["enforce"]), (200, &json!(false)), "{own:?}");
    set(json!({"enforce": true})).await;
    assert_eq!(shown().await, true, "the SDK's one switch is for all connections");
    set(json!({"enforce": false})).await;
    assert_eq!(shown().await, false);
}

#[tokio::test]
async fn a_connection_begins_where_it_is_said_and_changes_while_its_provider_is_away() {
    let stage = Stage::new().await;
    let (authd, key) = (stage.authd(), Some(stage.key.as_str()));
    let body = |status: &str| {
        json!({"name": status, "status": status, "protocol": "oidc", "issuerUrl": stage.scene.op.issuer, "clientId": "c",
            "clientSecret": "s", "attributeMapping": {"email": "mail", "firstName": "first", "desk": "deskNumber"}})
    };
    for status in ["active", "inactive", "testing"] {
        let told = post(authd, "/v1/sso/connections", key, &body(status)).await;
        assert_eq!((told.status.as_u16(), &told.body["status"]), (201, &json!(status)), "{told:?}");
        assert_eq!(told.body["attributeMapping"], json!({"email": "mail", "firstName": "first", "desk": "deskNumber"}));
        stage.scene.op.down(true);
        let path = format!("/v1/sso/connections/{}", told.body["id"].as_str().unwrap());
        for change in [json!({"clientSecret": "other"}), json!({"status": "inactive"}), json!({"status": "active"})] {
            let told = send(&authd.router, Method::PATCH, &path, key, Some(&change)).await;
            assert_eq!(told.status.as_u16(), 200, "{change} {told:?}");
        }
        let tested = post(authd, &format!("{path}/test"), key, &json!({})).await;
        assert_eq!((tested.status.as_u16(), &tested.body["success"]), (422, &json!(false)), "{tested:?}");
        stage.scene.op.down(false);
        for nothing in [json!({}), json!({"name": null, "domains": null})] {
            let told = send(&authd.router, Method::PATCH, &path, key, Some(&nothing)).await;
            assert_eq!(said(&told), (400, "BAD_REQUEST"), "{nothing}");
        }
    }
}

#[tokio::test]
async fn who_asks_is_known_before_what_is_asked() {
    let stage = Stage::new().await;
    let weak = key(stage.authd(), &stage.scene.organization, &["user.read"]).await;
    for (method, path) in [
        (Method::POST, "/v1/sso/connections"),
        (Method::PATCH, "/v1/sso/connections/nothing"),
        (Method::POST, "/v1/sso/enforce"),
        (Method::POST, "/v1/sso/config"),
        (Method::POST, "/v1/scim/tokens"),
        (Method::POST, "/sso/callback/oidc"),
        (Method::POST, "/sso/callback/saml"),
        (Method::POST, "/sso/callback/ldap"),
    ] {
        let wrong = json!(["not an object"]);
        let told = send(&stage.authd().router, method.clone(), path, Some("ak_nothing"), Some(&wrong)).await;
        assert_eq!(said(&told), (401, "UNAUTHORIZED"), "{path}");
        assert!(told.body["requestId"].as_str().unwrap().starts_with("req_") && told.body["reason"] == "not_signed_in");
        let told = send(&stage.authd().router, method, path, Some(&weak), Some(&wrong)).await;
        let expected = if path.ends_with("nothing") { (404, "NOT_FOUND") } else { (400, "BAD_REQUEST") };
        assert_eq!(said(&told), expected, "{path}");
    }
}
