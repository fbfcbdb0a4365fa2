//! A sign-in from the app's request to the app's code, over the real routes and against a provider that can be bent.

mod account;
mod asked;
mod attacks;
mod break_glass;
mod clock;
mod consents;
mod devices;
mod doors;
mod enforcement;
mod leaving;
mod lifetimes;
mod listed;
mod logout;
mod revoked;
mod rotation;
mod routing;
mod secrets;
mod upstream_logout;
mod walk;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::authd::{Authd, Browser, PUBLIC_URL, Reply};
use crate::world::op::{CLIENT_ID, CLIENT_SECRET, MockOp};

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const REDIRECT: &str = "https://app.example/callback";

/// One organization with a connection to a provider, its domain verified, and an app.
pub struct Scene {
    pub authd: Authd,
    pub op: MockOp,
    pub organization: String,
    pub connection: String,
    pub app: String,
    pub secret: String,
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

impl Scene {
    pub async fn new() -> Self {
        Self::within(Authd::start().await, &["corp.example"]).await
    }

    /// On an authd of one's own.
    pub async fn on(authd: Authd) -> Self {
        Self::within(authd, &["corp.example"]).await
    }

    /// In an authd that is there, with these domains verified.
    async fn within(authd: Authd, domains: &[&str]) -> Self {
        let organization = text(&authd.operate("organization.create", json!({"name": "Corp"})).await, "id");
        let (op, connection) = connect(&authd, &organization, domains).await;
        let wish = json!({"organization": organization, "name": "Wiki", "redirectUris": [REDIRECT]});
        let app = authd.operate("app.create", wish).await;
        let (id, secret) = (text(&app, "clientId"), text(&app, "clientSecret"));
        Self { authd, op, organization, connection, app: id, secret }
    }

    /// The app's request, with more parameters.
    pub fn authorize(&self, more: &[(&str, &str)]) -> String {
        authorize(&self.app, more)
    }

    /// To the provider, skipping the page.
    pub async fn leave(&self, browser: &mut Browser) -> Reply {
        let reply = browser.get(&self.authorize(&[("connection", &self.connection), ("prompt", "login")])).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
        reply
    }

    /// The address that the provider sends the browser back to.
    pub fn back(&self, left: &Reply) -> String {
        back(&self.op, left, &self.connection)
    }

    /// A whole sign-in, up to the redirect to the app.
    pub async fn sign_in(&self, browser: &mut Browser) -> Reply {
        let left = self.leave(browser).await;
        let landed = browser.get(&self.back(&left)).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{landed:?}");
        landed
    }

    pub async fn redeem(&self, code: &str) -> Reply {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("client_id", &self.app),
            ("client_secret", &self.secret),
            ("code_verifier", VERIFIER),
        ];
        self.authd.browser().post("/oauth2/token", &fields).await
    }

    pub async fn userinfo(&self, access_token: &str) -> Reply {
        let bearer = format!("Bearer {access_token}");
        let headers = [("authorization", bearer.as_str())];
        self.authd.browser().send(axum::http::Method::GET, "/userinfo", &headers, None).await
    }

    /// The six properties of a rejected attack, for a request that `attack` makes: status and code on the page, exactly one
    /// audit event with the code and no secret in it, nothing new of what counts, no session, authd serving on.
    async fn rejects<F>(&self, status: StatusCode, code: &str, attack: F) -> Reply
    where
        F: AsyncFnOnce(&Self) -> Reply,
    {
        let (counts, events) = (self.authd.counts().await, self.authd.events().await.len());
        let reply = attack(self).await;
        assert_eq!(reply.status, status, "{code}: {}", reply.body);
        assert!(reply.body.contains(code), "{code} is not on the page: {}", reply.body);
        assert!(reply.body.contains(&reply.request_id()), "the request id is on the page");
        assert_eq!(self.authd.counts().await, counts, "{code}: something was made");
        let told = self.authd.events().await.split_off(events);
        assert_eq!(told.len(), 1, "{code}: one event, not {told:?}");
        assert_eq!(told[0].error_code.as_deref(), Some(code));
        let row = serde_json::to_string(&told[0]).unwrap();
        for secret in [self.op.last_id_token(), self.op.last_code(), self.op.last_access_token()] {
            assert!(secret.is_empty() || !row.contains(&secret), "{row}");
        }
        assert!(!row.contains("alice@corp.example"), "{row}");
        let cookies = reply.headers.get_all("set-cookie").iter();
        assert!(cookies.into_iter().all(|cookie| !cookie.to_str().unwrap().contains("session")));
        let alive = self.authd.browser().get("/.well-known/openid-configuration").await;
        assert_eq!(alive.status, StatusCode::OK);
        reply
    }
}

/// A provider of its own, and a connection to it with these domains verified.
pub async fn connect(authd: &Authd, organization: &str, domains: &[&str]) -> (MockOp, String) {
    let op = MockOp::start().await;
    op.follow(authd.env());
    let wish = json!({
        "organization": organization, "protocol": "oidc", "name": "Provider", "issuer": op.issuer,
        "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET, "domains": domains, "activate": true,
    });
    let connection = text(&authd.operate("connection.create", wish).await, "id");
    for domain in domains {
        authd.operate("domain.verify", json!({"connection": connection, "domain": domain, "force": true})).await;
    }
    (op, connection)
}

fn authorize(app: &str, more: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", app)
        .append_pair("redirect_uri", REDIRECT)
        .append_pair("scope", "openid email profile groups")
        .append_pair("state", "app-state")
        .append_pair("nonce", "app-nonce")
        .append_pair("code_challenge", CHALLENGE)
        .append_pair("code_challenge_method", "S256")
        .extend_pairs(more);
    format!("/oauth2/authorize?{}", query.finish())
}

fn address(connection: &str, answer: &BTreeMap<String, String>) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(answer).finish();
    format!("{PUBLIC_URL}/connections/{connection}/oidc/callback?{query}")
}

pub fn back(op: &MockOp, left: &Reply, connection: &str) -> String {
    address(connection, &op.approve(left.location().as_str()))
}

/// The claims of a token, unverified: what it is about here is what it says.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&authd::crypto::from_base64url(payload).unwrap()).unwrap()
}
