//! Sign-in through a directory: over the real routes, against OpenLDAP, and against directories that mean harm.

mod attacks;
mod failover;
mod freeipa;
mod given;
mod hostile;
mod openldap;
mod setup;
mod silence;
mod simulated;
mod sync;
mod windows;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::authd::{Authd, Browser, Reply};
use crate::world::directory::{BASE, Directory, SERVICE, settings_for};
use crate::world::slapd::Slapd;

const REDIRECT: &str = "https://app.example/callback";

/// An organization with an app, and directories to be connected.
pub struct Scene {
    pub authd: Authd,
    pub organization: String,
    pub app: String,
    pub secret: String,
    pub key: String,
}

pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// How authd is to speak with a directory in this process, with more or other settings.
pub fn settings(directory: &Directory, more: Value) -> Value {
    let mut all = settings_for(directory);
    merge(&mut all, more);
    all
}

/// How authd is to speak with slapd.
pub fn real(slapd: &Slapd, more: Value) -> Value {
    let mut all = json!({
        "servers": {"urls": [slapd.ldaps()], "caCertificates": slapd.authority.pem},
        "bind": {"dn": SERVICE.0, "password": SERVICE.1},
        "users": {"base": BASE},
        "groups": {"base": "ou=groups,dc=example,dc=test"},
    });
    merge(&mut all, more);
    all
}

pub fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

impl Scene {
    pub async fn new() -> Self {
        Self::on(Authd::start().await).await
    }

    pub async fn on(authd: Authd) -> Self {
        let organization = text(&authd.operate("organization.create", json!({"name": "Corp"})).await, "id");
        let wish = json!({"organization": organization, "name": "Wiki", "redirectUris": [REDIRECT]});
        let app = authd.operate("app.create", wish).await;
        let wish = json!({"organization": organization, "name": "relay", "grants": ["*"]});
        let key = text(&authd.operate("api_key.create", wish).await, "key");
        let (id, secret) = (text(&app, "clientId"), text(&app, "clientSecret"));
        Self { authd, organization, app: id, secret, key }
    }

    /// A connection that is not looked at before it is used: the first look is the sign-in's.
    pub async fn connect(&self, ldap: Value) -> String {
        let connection = self.draft(ldap).await;
        self.authd.operate("connection.activate", json!({"id": connection})).await;
        connection
    }

    pub async fn draft(&self, ldap: Value) -> String {
        let wish = json!({"organization": self.organization, "protocol": "ldap", "name": "Directory", "ldap": ldap});
        text(&self.authd.operate("connection.create", wish).await, "id")
    }

    /// Switched on though its directory does not let anybody in: as one that went bad later.
    pub async fn force(&self, ldap: Value) -> String {
        use authd::connection::{Connection, Status};
        let connection = self.draft(ldap).await;
        let store = &self.authd.app.world.store;
        let mut kept = Connection::load(store, connection.parse().unwrap()).await.unwrap();
        kept.value.status = Status::Active;
        let mut batch = authd::store::Batch::new();
        let cx = self
            .authd
            .app
            .world
            .context(authd::access::Caller::System, authd::event::Origin::internal(self.authd.env()));
        batch.update(&kept.value, kept.revision).log(cx.event(authd::event::EventKind::ConnectionUpdated));
        store.commit(batch).await.unwrap();
        connection
    }

    /// With a domain that is proved.
    pub async fn owns(&self, connection: &str, domain: &str) {
        let claim = json!({"connection": connection, "domain": domain});
        self.authd.operate("domain.add", claim.clone()).await;
        let mut claim = claim;
        claim["force"] = true.into();
        self.authd.operate("domain.verify", claim).await;
    }

    pub fn authorize(&self, more: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.app)
            .append_pair("redirect_uri", REDIRECT)
            .append_pair("scope", "openid email profile groups")
            .append_pair("state", "app-state")
            .append_pair("nonce", "app-nonce")
            .append_pair("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(more);
        format!("/oauth2/authorize?{}", query.finish())
    }

    /// The page for name and password.
    pub async fn page(&self, browser: &mut Browser, connection: &str) -> Reply {
        let page = browser.get(&self.authorize(&[("connection", connection)])).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        page
    }

    /// Types name and password.
    pub async fn sign_in(&self, connection: &str, username: &str, password: &str) -> Reply {
        let mut browser = self.authd.browser();
        self.sign_in_with(&mut browser, connection, username, password).await
    }

    pub async fn sign_in_with(&self, browser: &mut Browser, connection: &str, username: &str, password: &str) -> Reply {
        let page = self.page(browser, connection).await;
        let ticket = page.field("attempt");
        browser.post("/signin/password", &[("attempt", &ticket), ("username", username), ("password", password)]).await
    }

    /// Hands name and password over, as an app does.
    pub async fn relay(&self, connection: &str, username: &str, password: &str) -> (StatusCode, Value) {
        self.relay_as(&self.key, connection, username, password).await
    }

    pub async fn relay_as(&self, key: &str, connection: &str, username: &str, password: &str) -> (StatusCode, Value) {
        use tower::ServiceExt as _;
        let request = axum::http::Request::builder()
            .method(Method::POST)
            .uri(format!("/connections/{connection}/ldap"))
            .header("host", "127.0.0.1:8080")
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let body = json!({"username": username, "password": password}).to_string();
        let mut request = request.body(axum::body::Body::from(body)).unwrap();
        request.extensions_mut().insert(authd::http::Peer::Tcp("192.0.2.9:4000".parse().unwrap()));
        let response = self.authd.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub async fn claims(&self, landed: &Reply) -> Value {
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.body);
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &landed.query("code").unwrap()),
            ("redirect_uri", REDIRECT),
            ("client_id", &self.app),
            ("client_secret", &self.secret),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ];
        let tokens = self.authd.browser().post("/oauth2/token", &fields).await.json();
        let payload = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&authd::crypto::from_base64url(payload).unwrap()).unwrap()
    }

    /// The trace of a sign-in.
    pub async fn trace(&self, reply: &Reply) -> Value {
        self.authd.operate("signin.explain", json!({"id": reply.request_id()})).await
    }

    /// The six properties of what is refused: status and code on the page, one event with the code and without the password,
    /// nothing new of what counts, no session, serving on; and all of that in time.
    #[expect(clippy::disallowed_methods, reason = "the real time is what a person waits")]
    pub async fn rejects(&self, status: StatusCode, code: &str, connection: &str, name: &str, password: &str) -> Reply {
        // Each is told and counted by itself.
        self.authd.env().advance(std::time::Duration::from_secs(61));
        let (counts, events) = (self.authd.counts().await, self.authd.events().await.len());
        let began = std::time::Instant::now();
        let reply = self.sign_in(connection, name, password).await;
        assert!(began.elapsed().as_millis() < 5_200, "{code}: after {:?}", began.elapsed());
        assert_eq!(reply.status, status, "{code}: {}", reply.body);
        assert!(reply.body.contains(code), "{code} is not on the page: {}", reply.body);
        assert!(reply.body.contains(&reply.request_id()));
        assert!(!reply.headers.get_all("set-cookie").iter().any(|c| c.to_str().unwrap().contains("session")));
        assert_eq!(self.authd.counts().await, counts, "{code}: something was made");
        let told = self.authd.events().await.split_off(events);
        assert_eq!(told.len(), 1, "{code}: one event, not {told:?}");
        assert_eq!(told[0].error_code.as_deref(), Some(code));
        let row = serde_json::to_string(&told[0]).unwrap();
        let trace = self.trace(&reply).await.to_string();
        if password.trim().len() > 3 {
            assert!(!row.contains(password) && !trace.contains(password) && !reply.body.contains(password));
        }
        let alive = self.authd.browser().get("/.well-known/openid-configuration").await;
        assert_eq!(alive.status, StatusCode::OK);
        reply
    }
}

/// The failing check of a trace.
pub fn failed(trace: &Value) -> Value {
    let checks = trace["checks"].as_array().unwrap();
    checks.iter().rev().find(|check| check["ok"] == false).cloned().unwrap_or_default()
}
