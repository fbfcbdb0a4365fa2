//! The test identity provider, met by the relying party that it is for: every fault leads to its refusal.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use authd::access::{Caller, Context, Deployment, World};
use authd::config::PublicUrl;
use authd::connection::protocol::{Answer, Authenticated, Begin, BeginRequest, Checks};
use authd::connection::simulator::{Client, Fault, PEOPLE, Simulator};
use authd::connection::{Connection, ProtocolKind, Registry, Status, callback_url, oidc};
use authd::crypto::{MasterKey, Secret};
use authd::env::{Env, Outbound, Request, Response};
use authd::error::{Error, Result, codes};
use authd::event::Origin;
use authd::id::{ConnectionId, OrganizationId};
use authd::store::Store;
use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

const ISSUER: &str = "http://127.0.0.1:9999";
const SECRET: &str = "the simulator's : secret & more%";

/// The network between the two: a function call.
#[derive(Default)]
struct Wire {
    router: Mutex<Option<Router>>,
    /// What was asked for, in order.
    asked: Mutex<Vec<String>>,
}

impl Wire {
    async fn pass(&self, request: axum::http::Request<Body>) -> (u16, axum::http::HeaderMap, Vec<u8>) {
        let router = self.router.lock().unwrap().clone().unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }
}

#[async_trait]
impl Outbound for Wire {
    async fn send(&self, request: Request) -> Result<Response> {
        self.asked.lock().unwrap().push(request.url.path().to_owned());
        let mut message = axum::http::Request::builder().method(request.method).uri(request.url.as_str());
        *message.headers_mut().unwrap() = request.headers;
        let message = message.header("host", "127.0.0.1:9999").body(Body::from(request.body)).unwrap();
        // Nobody here has the patience of the real client.
        let patience = request.timeout.min(Duration::from_millis(300));
        let answer = tokio::time::timeout(patience, self.pass(message)).await;
        let (status, headers, body) = answer.map_err(|_| Error::new(&codes::UPSTREAM_UNAVAILABLE))?;
        Ok(Response { status, headers, body })
    }
    fn permits(&self, _: &url::Url) -> Result<()> {
        Ok(())
    }
}

struct Scene {
    wire: Arc<Wire>,
    env: Env,
    cx: Context,
    connection: Connection,
    registry: Registry,
    simulator: Simulator,
}

impl Scene {
    fn new() -> Self {
        let wire = Arc::new(Wire::default());
        let env = Env::frozen().with_outbound(wire.clone());
        let simulator = Simulator::new(env.clone(), ISSUER).unwrap();
        *wire.router.lock().unwrap() = Some(simulator.router("127.0.0.1:9999".parse::<SocketAddr>().unwrap()));
        let deployment = Arc::new(Deployment {
            public_url: PublicUrl::parse("https://id.example.com").unwrap(),
            master_key: MasterKey::generate(&env),
            rotate_every: None,
        });
        let id = ConnectionId::new(&env);
        let mut config = oidc::Config::default();
        config.discovery.issuer = Some(ISSUER.to_owned());
        config.client.id = Some("authd".to_owned());
        let place = oidc::secret_place(id);
        config.client.secret = Some(deployment.master_key.seal(&env, &place, SECRET.as_bytes()).unwrap());
        let connection = Connection {
            id,
            organization: OrganizationId::new(&env),
            name: "Simulator".to_owned(),
            slug: None,
            protocol: ProtocolKind::Oidc,
            status: Status::Active,
            jit: None,
            default_role: None,
            group_mapping: None,
            role_mapping: None,
            scope_mapping: None,
            default_scopes: None,
            oidc: Some(config),
            created_at: env.now(),
            updated_at: env.now(),
            deleted_at: None,
            looked: None,
            ldap: None,
            saml: None,
            enforce: None,
            callback_urls: Vec::new(),
        };
        simulator.register(Client {
            id: "authd".to_owned(),
            secret: Secret::new(SECRET),
            name: "authd".to_owned(),
            redirect_uris: vec![callback_url(&deployment.public_url, id)],
        });
        let world = World { env: env.clone(), store: Store::in_memory(env.clone()).unwrap(), deployment };
        let cx = world.context(Caller::System, Origin::internal(&env));
        Self { wire, env, cx, connection, registry: Registry::new(), simulator }
    }

    async fn begin(&self) -> (url::Url, Vec<u8>) {
        let protocol = self.registry.protocol(&self.cx, &self.connection).unwrap();
        let request = BeginRequest { state: "a-state".to_owned(), ..BeginRequest::default() };
        let Begin::Redirect { url, kept } = protocol.begin(&self.cx, &request).await.unwrap() else {
            panic!("no redirect")
        };
        (url.parse().unwrap(), kept)
    }

    /// What a browser does with the page: everything hidden comes back, with the click.
    async fn click(&self, url: &url::Url, person: &str, fault: &str) -> (u16, axum::http::HeaderMap, Vec<u8>) {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(url.query_pairs())
            .extend_pairs([("person", person), ("fault", fault)])
            .finish();
        let request = axum::http::Request::post("/authorize")
            .header("host", "127.0.0.1:9999")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        self.wire.pass(request).await
    }

    async fn sign_in(&self, person: &str, fault: &str) -> Result<Authenticated> {
        let (url, kept) = self.begin().await;
        let (status, headers, _) = self.click(&url, person, fault).await;
        assert_eq!(status, 303);
        let back: url::Url = headers["location"].to_str().unwrap().parse().unwrap();
        let parameters: BTreeMap<String, String> = back.query_pairs().into_owned().collect();
        let protocol = self.registry.protocol(&self.cx, &self.connection).unwrap();
        let answer = Answer { parameters, ..Answer::default() };
        let mut checks = Checks::new();
        protocol.screen(&answer, &mut checks)?;
        protocol.complete(&self.cx, &answer, &kept, &mut checks).await
    }

    async fn get(&self, path: &str) -> (u16, axum::http::HeaderMap, String) {
        let request = axum::http::Request::get(path).header("host", "127.0.0.1:9999").body(Body::empty()).unwrap();
        let (status, headers, body) = self.wire.pass(request).await;
        (status, headers, String::from_utf8(body).unwrap())
    }
}

#[tokio::test]
async fn everybody_signs_in_as_themselves() {
    let scene = Scene::new();
    for person in PEOPLE {
        let known = scene.sign_in(person.id, "").await.unwrap();
        assert_eq!(known.subject, format!("{ISSUER}|{}", person.sub));
        assert_eq!(known.profile.email.as_deref(), Some(person.email));
        assert_eq!(known.profile.email_verified, person.email_verified);
        assert_eq!(known.profile.name.as_deref(), Some(person.name().as_str()));
        assert_eq!(known.profile.groups, person.groups);
        assert_eq!(known.profile.roles, person.roles);
        assert_eq!(known.auth_time, Some(scene.env.now()));
    }
}

#[tokio::test]
async fn every_fault_leads_to_its_refusal() {
    for fault in Fault::ALL {
        let scene = Scene::new();
        // The relying party knows the provider's keys before the fault comes.
        scene.sign_in("ada", "").await.unwrap();
        scene.env.advance(Duration::from_secs(40));
        scene.wire.asked.lock().unwrap().clear();
        let outcome = scene.sign_in("ada", fault.id()).await;
        let refused = |code| {
            let error = outcome.as_ref().err().unwrap_or_else(|| panic!("{fault:?} was believed"));
            assert!(error.is(code), "{fault:?}: {error:?}");
            assert!(fault.explanation().contains(code.name), "the page says something else about {fault:?}");
        };
        match fault {
            Fault::Expired => refused(&codes::TOKEN_EXPIRED),
            Fault::ClockSkew | Fault::WrongIssuer => refused(&codes::TOKEN_CLAIMS),
            Fault::UnknownKey => refused(&codes::TOKEN_KEY),
            Fault::WrongSignature | Fault::AlgNone => refused(&codes::TOKEN_SIGNATURE),
            Fault::WrongAudience => refused(&codes::TOKEN_AUDIENCE),
            Fault::MixUp => {
                refused(&codes::ISSUER_MISMATCH);
                assert!(!scene.wire.asked.lock().unwrap().iter().any(|path| path == "/token"));
            }
            Fault::WrongNonce | Fault::NoNonce => refused(&codes::NONCE_MISMATCH),
            Fault::WrongAtHash => refused(&codes::TOKEN_BINDING),
            Fault::UserinfoSub => refused(&codes::USERINFO_SUB),
            Fault::Slow | Fault::TokenError => refused(&codes::UPSTREAM_UNAVAILABLE),
            Fault::AccessDenied => refused(&codes::UPSTREAM_DENIED),
            Fault::RotatedKey => assert_eq!(outcome.unwrap().profile.name.as_deref(), Some("Ada Lovelace")),
            // What the provider says of an address is judged where people are provisioned.
            Fault::UnverifiedEmail | Fault::EmailVerifiedText => assert!(!outcome.unwrap().profile.email_verified),
            Fault::ForeignEmail => {
                assert_eq!(outcome.unwrap().profile.email.as_deref(), Some("ada@elsewhere.example"));
            }
        }
        // A fault is for one sign-in.
        scene.sign_in("ada", "").await.unwrap_or_else(|error| panic!("after {fault:?}: {error:?}"));
    }
}

#[tokio::test]
async fn the_page_says_that_it_is_a_test_and_shows_everybody_and_every_fault() {
    let scene = Scene::new();
    let (url, _) = scene.begin().await;
    let path = format!("{}?{}", url.path(), url.query().unwrap());
    let (status, headers, page) = scene.get(&path).await;
    assert_eq!(status, 200);
    assert!(page.contains("Test identity provider"));
    assert!(PEOPLE.iter().all(|person| page.contains(person.email)));
    assert!(Fault::ALL.iter().all(|fault| page.contains(fault.id())));
    assert!(headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let style =
        page.split("href=\"").find(|part| part.starts_with("/static/authd-")).unwrap().split('"').next().unwrap();
    let (status, headers, _) = scene.get(style).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "text/css; charset=utf-8"));
    // Whoever is named already stands first.
    let (_, _, page) = scene.get(&format!("{path}&login_hint=alan%40lab.example")).await;
    assert!(page.find("alan@lab.example").unwrap() < page.find("value=\"ada\"").unwrap());
}

#[tokio::test]
async fn nothing_is_sent_to_strangers() {
    let scene = Scene::new();
    let (url, _) = scene.begin().await;
    for (name, value) in [
        ("redirect_uri", "https://evil.test/"),
        ("redirect_uri", "https://id.example.com/connections/x/oidc/callback"),
        ("client_id", "somebody"),
        ("response_type", "token"),
        ("code_challenge_method", "plain"),
        ("scope", "email"),
    ] {
        let mut changed = url.clone();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        changed.query_pairs_mut().clear().extend_pairs(
            pairs.iter().map(|(key, old)| (key.as_str(), if key == name { value } else { old.as_str() })),
        );
        let (status, headers, _) = scene.click(&changed, "ada", "").await;
        assert_eq!(status, 400, "{name}={value}");
        assert!(!headers.contains_key("location"));
    }
    let (status, _, _) = scene.click(&url, "nobody", "").await;
    assert_eq!(status, 400);
    let (status, _, _) = scene.click(&url, "ada", "no-such-fault").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_code_is_good_once_for_its_client_and_verifier() {
    let scene = Scene::new();
    let redeem = async |code: &str, verifier: &str, secret: &str| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("grant_type", "authorization_code"),
                ("code", code),
                ("code_verifier", verifier),
                ("redirect_uri", &callback_url(&scene.cx.deployment.public_url, scene.connection.id)),
                ("client_id", "authd"),
                ("client_secret", secret),
            ])
            .finish();
        let request = axum::http::Request::post("/token")
            .header("host", "127.0.0.1:9999")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        let (status, _, body) = scene.wire.pass(request).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status, body["error"].as_str().unwrap_or_default().to_owned())
    };
    let code =
        async || {
            let (mut url, _) = scene.begin().await;
            // SHA-256 of `verifier`, as RFC 7636 has it.
            let challenge = authd::crypto::base64url(&authd::crypto::sha256(&[b"verifier"]));
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            url.query_pairs_mut().clear().extend_pairs(pairs.iter().map(|(key, old)| {
                (key.as_str(), if key == "code_challenge" { challenge.as_str() } else { old.as_str() })
            }));
            let (_, headers, _) = scene.click(&url, "ada", "").await;
            let back: url::Url = headers["location"].to_str().unwrap().parse().unwrap();
            back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
        };
    let first = code().await;
    assert_eq!(redeem(&first, "verifier", SECRET).await, (200, String::new()));
    assert_eq!(redeem(&first, "verifier", SECRET).await, (400, "invalid_grant".to_owned()));
    assert_eq!(redeem(&code().await, "another", SECRET).await, (400, "invalid_grant".to_owned()));
    assert_eq!(redeem(&code().await, "verifier", "wrong").await, (401, "invalid_client".to_owned()));
    let late = code().await;
    scene.env.advance(Duration::from_secs(61));
    assert_eq!(redeem(&late, "verifier", SECRET).await, (400, "invalid_grant".to_owned()));
    assert_eq!(scene.get("/userinfo").await.0, 401);
}

#[tokio::test]
async fn it_stays_on_loopback_under_its_own_name() {
    let scene = Scene::new();
    for issuer in ["https://127.0.0.1:1", "http://192.0.2.1:1", "http://idp.example", "http://[2001:db8::1]:1", "x"] {
        assert!(Simulator::new(scene.env.clone(), issuer).is_err(), "{issuer}");
    }
    for host in ["evil.test", "evil.test:9999", "127.0.0.1.evil.test"] {
        let request = axum::http::Request::get("/jwks").header("host", host).body(Body::empty()).unwrap();
        assert_eq!(scene.wire.pass(request).await.0, 421, "{host}");
    }
    let other = Simulator::new(scene.env.clone(), ISSUER).unwrap();
    *scene.wire.router.lock().unwrap() = Some(other.router("127.0.0.1:9999".parse().unwrap()));
    let theirs = scene.get("/jwks").await.2;
    *scene.wire.router.lock().unwrap() = Some(scene.simulator.router("127.0.0.1:9999".parse().unwrap()));
    assert_ne!(scene.get("/jwks").await.2, theirs, "keys are fresh at every start");
}
