//! authd in this process: the real routes on a store in memory, and a browser with its cookies.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authd::access::{Caller, Deployment};
use authd::app::App;
use authd::config::{Config, Environment, Flags, PublicUrl};
use authd::crypto::MasterKey;
use authd::directory::{Membership, Status, User};
use authd::env::{Env, NoDns};
use authd::event::{EventKind, Origin};
use authd::http::{Fetch, OutboundRules, Peer};
use authd::id::{OrganizationId, UserId};
use authd::server::Server;
use authd::store::{Batch, Options, Store};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Where this authd is reached.
pub const PUBLIC_URL: &str = "http://127.0.0.1:8080";

/// The loopback network is what lies outside.
fn outside(env: Env) -> Env {
    let rules = OutboundRules::parse(["127.0.0.0/8"]).unwrap();
    env.with_outbound(Arc::new(Fetch::new(rules, Arc::new(NoDns), &[] as &[&str]).unwrap()))
}

/// A running authd. Clones are doors to the same one.
#[derive(Clone)]
pub struct Authd {
    pub app: App,
    /// As the network reaches it.
    pub router: Router,
    /// As the control socket reaches it.
    pub control: Router,
}

impl Authd {
    /// With a clock that stands, seeded randomness, and the loopback network as its outside.
    pub async fn start() -> Self {
        Self::start_in(Env::frozen()).await
    }

    /// In a world of one's own.
    pub async fn start_in(env: Env) -> Self {
        let env = outside(env);
        let store = Store::in_memory(env.clone()).unwrap();
        Self::start_on(store, env).await
    }

    /// With what is kept in a file.
    pub async fn start_at(path: &Path) -> Self {
        let env = outside(Env::frozen());
        let store = Store::open(path, env.clone(), Options::new([7; 32])).unwrap();
        Self::start_on(store, env).await
    }

    /// On a store of one's own, in the same world.
    pub async fn start_on(store: Store, env: Env) -> Self {
        let public_url = PublicUrl::parse(PUBLIC_URL).unwrap();
        let rotate_every = Some(Duration::from_secs(90 * 24 * 3600));
        let deployment = Deployment { public_url, master_key: MasterKey::generate(&env), rotate_every };
        Self::of(store, deployment, outside(env)).await
    }

    /// The same store in another process: what was kept in memory alone is gone.
    pub async fn restarted(&self) -> Self {
        let world = &self.app.world;
        Self::of(world.store.clone(), (*world.deployment).clone(), world.env.clone()).await
    }

    /// With a deployment of one's own.
    pub async fn of(store: Store, deployment: Deployment, env: Env) -> Self {
        let app = App::on(store, deployment, env).await.unwrap();
        let config = Config::load(&Environment::default(), &Flags::default()).unwrap();
        let server = Server::new(&app, &config, &["127.0.0.1:8080".parse().unwrap()]);
        Self { app, router: server.public, control: server.control }
    }

    pub fn env(&self) -> &Env {
        &self.app.world.env
    }

    /// Performs an operation as the operator.
    pub async fn operate(&self, name: &str, input: Value) -> Value {
        let cx = self.app.context(Caller::Operator { uid: 0 }, Origin::internal(self.env()));
        self.app.perform(&cx, name, input).await.unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// A person who is a member with these roles.
    pub async fn person(&self, organization: OrganizationId, name: &str, roles: &[&str]) -> UserId {
        let now = self.env().now();
        let user = User { id: UserId::new(self.env()), created_at: now, disabled_at: None };
        let membership = Membership {
            organization,
            user: user.id,
            status: Status::Active,
            email: Some(format!("{name}@example.test")),
            email_verified: true,
            name: Some(name.to_owned()),
            given_name: None,
            family_name: None,
            image: None,
            groups: Vec::new(),
            roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            source: None,
            created_at: now,
            updated_at: now,
            extra: None,
            mapped: BTreeMap::new(),
            ended_by: None,
            writers: BTreeMap::new(),
            upstream_roles: Vec::new(),
        };
        let cx = self.app.context(Caller::System, Origin::internal(self.env()));
        let mut batch = Batch::new();
        batch.create(&user).create(&membership).log(cx.event(EventKind::UserCreated).within(organization));
        self.app.world.store.commit(batch).await.unwrap();
        user.id
    }

    /// An access token of authd's own API for a person.
    pub async fn token(&self, organization: OrganizationId, user: UserId) -> String {
        let issued = self.operate("token.issue", json!({"organization": organization, "user": user})).await;
        issued["access_token"].as_str().unwrap().to_owned()
    }

    pub fn browser(&self) -> Browser {
        Browser { router: self.router.clone(), cookies: BTreeMap::new(), ip: "192.0.2.1:5000".parse().unwrap() }
    }

    /// What the reject contract counts: nothing of it may change when a sign-in is refused.
    pub async fn counts(&self) -> BTreeMap<String, u64> {
        let all = self.app.world.store.counts().await.unwrap();
        let counted = ["user", "identity", "membership", "session", "authorization_code", "token_grant"];
        counted.iter().map(|kind| ((*kind).to_owned(), all.get(*kind).copied().unwrap_or(0))).collect()
    }

    /// The events of the whole log.
    pub async fn events(&self) -> Vec<authd::event::Event> {
        let mut after = 0;
        let mut events = Vec::new();
        loop {
            let rows = self.app.world.store.tail(after, 500, None).await.unwrap();
            let Some(last) = rows.last() else { return events };
            after = last.row.seq;
            events.extend(rows.iter().map(|row| authd::event::Event::read(row).unwrap()));
        }
    }
}

/// A browser: it keeps cookies and never follows a redirect by itself.
#[derive(Clone)]
pub struct Browser {
    router: Router,
    pub cookies: BTreeMap<String, String>,
    pub ip: SocketAddr,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn location(&self) -> url::Url {
        let text = self.headers.get(header::LOCATION).unwrap_or_else(|| panic!("no redirect: {self:?}"));
        url::Url::parse(text.to_str().unwrap()).unwrap()
    }

    pub fn query(&self, name: &str) -> Option<String> {
        self.location().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The value of a hidden field of the page.
    pub fn field(&self, name: &str) -> String {
        let at =
            self.body.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no field {name}: {}", self.body));
        let rest = &self.body[at..];
        let rest = &rest[rest.find("value=\"").unwrap() + 7..];
        rest[..rest.find('"').unwrap()].to_owned()
    }

    pub fn request_id(&self) -> String {
        self.headers.get("x-request-id").unwrap().to_str().unwrap().to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

impl Browser {
    pub async fn get(&mut self, address: &str) -> Reply {
        self.send(Method::GET, address, &[], None).await
    }

    /// A form of our own page.
    pub async fn post(&mut self, address: &str, fields: &[(&str, &str)]) -> Reply {
        let headers = [("sec-fetch-site", "same-origin")];
        self.send(Method::POST, address, &headers, Some(fields)).await
    }

    pub async fn send(
        &mut self,
        method: Method,
        address: &str,
        headers: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Reply {
        let path = address.strip_prefix(PUBLIC_URL).unwrap_or(address);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        let body = match form {
            Some(fields) => {
                request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
            }
            None => String::new(),
        };
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Peer::Tcp(self.ip));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let bytes = axum::body::to_bytes(body, 4 << 20).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&bytes).into_owned() }
    }
}
