//! `/v1` from the outside: every operation, its refusals, and the description that is made of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use authd::access::Deployment;
use authd::app::App;
use authd::config::{Config, Environment, Flags, PublicUrl};
use authd::crypto::MasterKey;
use authd::env::Env;
use authd::http::Peer;
use authd::server::{Server, openapi};
use authd::store::Store;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const LISTEN: &str = "127.0.0.1:8080";

/// An app in memory with an organization that has an app of its own.
struct World {
    public: Router,
    control: Router,
    client: String,
    /// Everything in the organization.
    owner: String,
}

struct Answer {
    status: u16,
    kind: String,
    body: Value,
}

impl World {
    async fn new() -> Self {
        let env = Env::frozen();
        let store = Store::in_memory(env.clone()).unwrap();
        let deployment = Deployment {
            public_url: PublicUrl::parse(&format!("http://{LISTEN}")).unwrap(),
            master_key: MasterKey::generate(&env),
            rotate_every: None,
        };
        let app = App::on(store, deployment, env).await.unwrap();
        let config = Config::load(&Environment::default(), &Flags::default()).unwrap();
        let server = Server::new(&app, &config, &[LISTEN.parse().unwrap()]);
        let (client, owner) = (String::new(), String::new());
        let mut world = Self { public: server.public, control: server.control, client, owner };
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
        let org = text(&world.operator("POST", "/v1/organizations", json!({"name": "Acme"})).await.body, "id");
        let key = json!({"organization": org, "name": "k", "grants": ["*"]});
        world.owner = text(&world.operator("POST", "/v1/api-keys", key).await.body, "key");
        let app = json!({"organization": org, "name": "a", "redirectUris": ["https://app.example.com/cb"]});
        world.client = text(&world.operator("POST", "/v1/apps", app).await.body, "clientId");
        world
    }

    async fn operator(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).extension(Peer::Control { uid: 0 });
        ask(&self.control, with_body(request, &body)).await
    }

    /// By the network, with that bearer.
    async fn by(&self, bearer: Option<&str>, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut request = network(method, path);
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let request = match body {
            Some(body) => with_body(request, body),
            None => request.body(Body::empty()).unwrap(),
        };
        ask(&self.public, request).await
    }
}

fn network(method: &str, path: &str) -> axum::http::request::Builder {
    let peer = Peer::Tcp("127.0.0.1:5000".parse().unwrap());
    Request::builder().method(method).uri(path).header(header::HOST, LISTEN).extension(peer)
}

fn with_body(request: axum::http::request::Builder, body: &Value) -> Request<Body> {
    request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())).unwrap()
}

async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response: Response<Body> = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let text = |name: header::HeaderName| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, kind, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

#[tokio::test]
async fn bodies_are_json_bounded_and_about_the_thing_in_the_address() {
    let world = World::new().await;
    let owner = format!("Bearer {}", world.owner);
    let post = |kind: Option<&str>, body: String| {
        let mut request = network("POST", "/v1/apps").header(header::AUTHORIZATION, &owner);
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        request.body(Body::from(body)).unwrap()
    };
    let json_type = Some("application/json; charset=utf-8");
    for (request, status) in [
        (post(json_type, json!({"name": "x", "redirectUris": ["https://a.example/cb"]}).to_string()), 201),
        (post(Some("text/plain"), "{}".to_owned()), 415),
        (post(Some("application/x-www-form-urlencoded"), "name=x".to_owned()), 415),
        (post(None, "{}".to_owned()), 415),
        (post(json_type, "{".to_owned()), 400),
        (post(json_type, "[]".to_owned()), 400),
        (post(json_type, format!("{{\"name\": {}1{}}}", "[".repeat(40), "]".repeat(40))), 400),
        (post(json_type, format!("{{\"name\": \"{}\"}}", "x".repeat(70_000))), 413),
    ] {
        let answer = ask(&world.public, request).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let path = format!("/v1/apps/{}", world.client);
    let other =
        world.by(Some(&world.owner), "PATCH", &path, Some(&json!({"id": "app_00000000000000000000000000"}))).await;
    assert_eq!(other.status, 400, "{}", other.body);
    let query = world.by(Some(&world.owner), "POST", "/v1/apps?name=x", Some(&json!({}))).await;
    assert_eq!((query.status, &query.body["code"]), (400, &json!("unknown_field")));
    assert_eq!(world.by(Some(&world.owner), "PUT", "/v1/apps", None).await.status, 405);
    assert_eq!(world.by(Some(&world.owner), "GET", "/v1/nothing", None).await.body["code"], "not_found");
}

#[tokio::test]
async fn a_bearer_is_named_once_and_beats_the_socket() {
    let world = World::new().await;
    let bearer = |value: &str| Request::builder().uri("/v1/counts").header(header::AUTHORIZATION, value.to_owned());
    let control = |request: axum::http::request::Builder| {
        request.extension(Peer::Control { uid: 0 }).body(Body::empty()).unwrap()
    };
    assert_eq!(ask(&world.control, control(Request::builder().uri("/v1/counts"))).await.status, 200);
    assert_eq!(
        ask(&world.control, control(bearer(&format!("bearer {}", world.owner)))).await.status,
        403,
        "no operator any more"
    );
    for wrong in ["Basic YTpi", "Bearer", "Bearer ", "ak_x", ""] {
        assert_eq!(ask(&world.control, control(bearer(wrong))).await.status, 401, "{wrong:?}");
    }
    let twice =
        bearer(&format!("Bearer {}", world.owner)).header(header::AUTHORIZATION, format!("Bearer {}", world.owner));
    assert_eq!(ask(&world.control, control(twice)).await.status, 401);
    // Not from the network, whatever the address says.
    assert_eq!(world.by(None, "GET", "/v1/counts", None).await.status, 401);
}

#[tokio::test]
async fn the_control_socket_has_no_pages_and_the_network_knows_its_name() {
    let world = World::new().await;
    let at = |path: &str| {
        Request::builder().uri(path.to_owned()).extension(Peer::Control { uid: 0 }).body(Body::empty()).unwrap()
    };
    assert_eq!(ask(&world.control, at("/signin")).await.status, 404);
    assert_eq!(ask(&world.control, at("/healthz")).await.status, 200);
    assert_eq!(world.by(None, "GET", "/readyz", None).await.body["status"], "ok");
    assert_eq!(world.by(None, "GET", "/.well-known/openid-configuration", None).await.status, 200);
    assert_eq!(world.by(None, "GET", "/", None).await.status, 200);
    let browser = network("GET", "/nowhere").header(header::ACCEPT, "text/html,*/*;q=0.8").body(Body::empty()).unwrap();
    let page = ask(&world.public, browser).await;
    assert!(page.status == 404 && page.kind.starts_with("text/html"), "a page for a browser");
    let evil = Request::builder()
        .uri("/readyz")
        .header(header::HOST, "evil.example")
        .extension(Peer::Tcp("127.0.0.1:5000".parse().unwrap()));
    assert_eq!(ask(&world.public, evil.body(Body::empty()).unwrap()).await.status, 421);
}

#[tokio::test]
async fn a_public_url_with_a_path_serves_both_ways() {
    let env = Env::frozen();
    let store = Store::in_memory(env.clone()).unwrap();
    let public_url = PublicUrl::parse("http://127.0.0.1:8080/sso").unwrap();
    let deployment = Deployment { public_url, master_key: MasterKey::generate(&env), rotate_every: None };
    let app = App::on(store, deployment, env).await.unwrap();
    let config = Config::load(&Environment::default(), &Flags::default()).unwrap();
    let server = Server::new(&app, &config, &[LISTEN.parse().unwrap()]);
    for path in ["/sso/.well-known/openid-configuration", "/.well-known/openid-configuration"] {
        let answer = ask(&server.public, network("GET", path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.body["issuer"], "http://127.0.0.1:8080/sso", "{path}");
    }
    assert_eq!(
        ask(&server.public, network("GET", "/sso/nowhere").body(Body::empty()).unwrap()).await.body["code"],
        "not_found"
    );
}

#[test]
fn the_description_covers_every_operation_and_refers_to_what_is_there() {
    let catalogue = authd::app::catalogue();
    let document = openapi::document(&catalogue, "https://id.example.com");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                described.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{method} {path} stands twice"
            );
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{method} {path}");
            let named: BTreeSet<_> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|p| p["in"] == "path")
                .map(|p| p["name"].as_str().unwrap())
                .collect();
            let holes: BTreeSet<_> = path.split('{').skip(1).map(|part| part.split('}').next().unwrap()).collect();
            assert_eq!(named, holes, "{method} {path}");
        }
    }
    let mut known: BTreeSet<_> = catalogue.iter().map(|operation| operation.name().to_owned()).collect();
    known.insert("identity.show".to_owned());
    assert_eq!(described, known);
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in references {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
    assert!(!document.to_string().contains("$defs"));
}

fn collect(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            out.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| collect(value, out));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, out)),
        _ => {}
    }
}

#[test]
fn the_reference_pages_are_those_of_the_program() {
    let catalogue = authd::app::catalogue();
    let document = serde_json::to_string_pretty(&openapi::document(&catalogue, "https://id.example.com")).unwrap();
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    let update = Environment::read().get("AUTHD_UPDATE_REFERENCE").is_some();
    for (name, made) in [
        ("openapi.json", format!("{document}\n")),
        ("cli.md", authd::cli::reference::cli(&catalogue)),
        ("errors.md", authd::cli::reference::errors()),
        ("events.md", authd::cli::reference::events()),
    ] {
        let path = dir.join(name);
        if update {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == made,
            "docs/reference/{name} is not what the program makes: run the tests once with AUTHD_UPDATE_REFERENCE=1"
        );
    }
}
