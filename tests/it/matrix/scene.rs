//! Two tenants, one person for each role, and requests made of an operation's input.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use async_trait::async_trait;
use authd::access::{AnyOperation, Deployment, Method};
use authd::config::PublicUrl;
use authd::crypto::MasterKey;
use authd::env::{Env, Outbound, Request as Outgoing, Response as Incoming};
use authd::error::{Error, Result, codes};
use authd::http::Peer;
use authd::id::{OrganizationId, UserId};
use authd::store::Store;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::authd::{Authd, PUBLIC_URL};
use crate::world::zone::Zone;

/// The one provider there is.
pub const ISSUER: &str = "https://idp.test";
/// Stands in the name of whatever belongs to the tenant that the others must not hear of.
pub const CANARY: &str = "canary-of-acme";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Nobody,
    Other,
    Viewer,
    Member,
    Admin,
    Owner,
    Operator,
}

impl Who {
    /// The operator last: what only the operator does may end the tenant.
    pub const ALL: &'static [Self] =
        &[Self::Nobody, Self::Other, Self::Viewer, Self::Member, Self::Admin, Self::Owner, Self::Operator];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nobody => "no key",
            Self::Other => "other organization",
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
            Self::Operator => "operator",
        }
    }
}

/// A provider that answers its discovery.
struct Outside;

#[async_trait]
impl Outbound for Outside {
    async fn send(&self, request: Outgoing) -> Result<Incoming> {
        let body = match request.url.path() {
            "/.well-known/openid-configuration" => json!({
                "issuer": ISSUER,
                "authorization_endpoint": format!("{ISSUER}/authorize"),
                "token_endpoint": format!("{ISSUER}/token"),
                "userinfo_endpoint": format!("{ISSUER}/userinfo"),
                "jwks_uri": format!("{ISSUER}/jwks"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            }),
            "/jwks" => json!({"keys": []}),
            _ => return Err(Error::new(&codes::UPSTREAM_UNAVAILABLE)),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        Ok(Incoming { status: 200, headers, body: body.to_string().into_bytes() })
    }
    fn permits(&self, _: &url::Url) -> Result<()> {
        Ok(())
    }
    /// To a directory in this process.
    async fn connect(&self, _: &str, to: std::net::SocketAddr, _: bool) -> Result<tokio::net::TcpStream> {
        tokio::net::TcpStream::connect(to).await.map_err(|_| Error::new(&codes::UPSTREAM_UNAVAILABLE))
    }
    fn tls(&self) -> Option<rustls::ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Some(builder.unwrap().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
    }
}

pub struct Scene {
    pub authd: Authd,
    /// What DNS says.
    pub zone: Arc<Zone>,
    /// The tenant whose objects are asked for.
    pub acme: OrganizationId,
    /// The tenant of the caller from elsewhere, who may do everything there.
    pub other: OrganizationId,
    /// People of Acme, who have nothing but their role.
    pub people: Vec<(Who, UserId)>,
    /// How many roles Acme has.
    pub roles: AtomicU32,
    bearers: Vec<(Who, String)>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// As the table writes it.
    pub fn told(&self) -> String {
        if self.status.is_success() {
            return "ok".to_owned();
        }
        let body: Value = serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{self:?}"));
        format!("{} {}", self.status.as_u16(), body["code"].as_str().unwrap_or_else(|| panic!("{body}")))
    }

    /// Without what differs between any two requests.
    fn bare(&self) -> (StatusCode, Vec<(String, String)>, String) {
        let id = self.headers.get("x-request-id").unwrap().to_str().unwrap();
        let headers = self.headers.iter().filter(|(name, _)| *name != "x-request-id");
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        (self.status, headers.collect(), self.text.replace(id, "req"))
    }
}

/// Whether a text is the id of anything.
fn is_id(text: &str) -> bool {
    let Some((prefix, digits)) = text.split_once('_') else { return false };
    prefix.bytes().all(|b| b.is_ascii_lowercase()) && digits.len() == 26 && digits.starts_with(|c| c < '8')
}

/// An id of the same kind that nothing has.
fn ghost(env: &Env, id: &str) -> String {
    let (prefix, _) = id.split_once('_').unwrap();
    let (_, digits) =
        OrganizationId::new(env).to_string().split_once('_').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    format!("{prefix}_{digits}")
}

/// The same input with every id changed.
fn with_ids(value: &Value, change: &mut impl FnMut(&str) -> String) -> Value {
    match value {
        Value::String(text) if is_id(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| with_ids(item, change)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), with_ids(value, change))).collect(),
        other => other.clone(),
    }
}

impl Scene {
    pub async fn new() -> Self {
        let zone = Arc::new(Zone::default());
        let env = Env::frozen().with_outbound(Arc::new(Outside)).with_dns(zone.clone());
        let public_url = PublicUrl::parse(PUBLIC_URL).unwrap();
        let deployment = Deployment { public_url, master_key: MasterKey::generate(&env), rotate_every: None };
        let authd = Authd::of(Store::in_memory(env.clone()).unwrap(), deployment, env).await;
        let make = async |name: &str| -> OrganizationId {
            let made = authd.operate("organization.create", json!({"name": name})).await;
            made["id"].as_str().unwrap().parse().unwrap()
        };
        let (acme, other) = (make(CANARY).await, make("Other").await);
        let key = json!({"organization": other, "name": "all", "grants": ["*"]});
        let key = authd.operate("api_key.create", key).await["key"].as_str().unwrap().to_owned();
        let (mut bearers, mut people) = (vec![(Who::Other, key)], Vec::new());
        for who in [Who::Viewer, Who::Member, Who::Admin, Who::Owner] {
            let user = authd.person(acme, who.name(), &[who.name()]).await;
            bearers.push((who, authd.token(acme, user).await));
            people.push((who, user));
        }
        Self { authd, zone, acme, other, people, roles: AtomicU32::new(0), bearers }
    }

    /// The person who has that role.
    pub fn person(&self, who: Who) -> UserId {
        self.people.iter().find(|(known, _)| *known == who).unwrap().1
    }

    /// An operation, over the network, and by the operator at the control socket.
    pub async fn ask(&self, who: Who, operation: &dyn AnyOperation, input: &Value) -> Answer {
        let peer = match who {
            Who::Operator => Peer::Control { uid: 0 },
            _ => Peer::Tcp("192.0.2.7:5000".parse().unwrap()),
        };
        let bearer = self.bearers.iter().find(|(known, _)| *known == who).map(|(_, bearer)| bearer.as_str());
        self.ask_with(peer, bearer, operation, input).await
    }

    /// An operation, with any bearer.
    pub async fn ask_with(
        &self,
        peer: Peer,
        bearer: Option<&str>,
        operation: &dyn AnyOperation,
        input: &Value,
    ) -> Answer {
        let route = operation.route();
        let mut fields =
            input.as_object().unwrap_or_else(|| panic!("{}: the sample is no object", operation.name())).clone();
        let mut path = route.path.to_owned();
        for name in route.path.split('{').skip(1).map(|part| part.split('}').next().unwrap()) {
            let value =
                fields.remove(name).unwrap_or_else(|| panic!("{}: the sample lacks `{name}`", operation.name()));
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            path = path.replace(&format!("{{{name}}}"), &text);
        }
        let (method, body) = match route.method {
            Method::Post => ("POST", Some(Value::Object(fields))),
            Method::Patch => ("PATCH", Some(Value::Object(fields))),
            Method::Get | Method::Delete => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                for (name, value) in &fields {
                    query.append_pair(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str());
                }
                let query = query.finish();
                if !query.is_empty() {
                    path = format!("{path}?{query}");
                }
                (if route.method == Method::Get { "GET" } else { "DELETE" }, None)
            }
        };
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8080").extension(peer);
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let request = match body {
            Some(body) => {
                request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())).unwrap()
            }
            None => request.body(Body::empty()).unwrap(),
        };
        let door = match peer {
            Peer::Control { .. } => &self.authd.control,
            Peer::Tcp(_) => &self.authd.router,
        };
        let response = door.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 4 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// To a caller from elsewhere a thing of Acme is as one that never was: byte for byte, also where the caller names
    /// its own organization beside it.
    pub async fn tells_nothing(&self, operation: &dyn AnyOperation, input: &Value, answer: &Answer) {
        let name = operation.name();
        let mut ids = Vec::new();
        with_ids(input, &mut |id| {
            ids.push(id.to_owned());
            id.to_owned()
        });
        assert!(!answer.text.contains(CANARY), "{name}: {answer:?}");
        if answer.status.is_success() {
            assert!(ids.iter().all(|id| !answer.text.contains(id)), "{name}: {answer:?}");
        }
        let env = self.authd.env();
        let never = self.ask(Who::Other, operation, &with_ids(input, &mut |id| ghost(env, id))).await;
        assert_eq!(answer.bare(), never.bare(), "{name}: what is, and what never was");
        if input.get("organization").is_some() && ids.len() > 1 {
            let mut own = input.clone();
            own["organization"] = json!(self.other);
            let theirs = self.ask(Who::Other, operation, &own).await;
            let other = self.other.to_string();
            let ghosts = with_ids(&own, &mut |id| if id == other { other.clone() } else { ghost(env, id) });
            let never = self.ask(Who::Other, operation, &ghosts).await;
            assert!(!theirs.text.contains(CANARY), "{name}: {theirs:?}");
            assert_eq!(theirs.bare(), never.bare(), "{name}: a thing of Acme beside one's own organization");
        }
    }
}
