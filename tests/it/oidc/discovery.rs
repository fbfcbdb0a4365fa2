//! OIDC-14: what a discovery document may say. And the reports that people see.

use authd::connection::oidc::{Config, discover};
use authd::connection::protocol::Protocol as _;
use authd::connection::{Connection, ProtocolKind, Status, oidc};
use authd::id::OrganizationId;
use serde_json::json;

use super::{Scene, outbound};
use crate::world::op::{Canned, Endpoint, Members, MockOp, Signer};

async fn refused(scene: &Scene, code: &str, what: &str) {
    let error = discover(&scene.cx, &scene.config).await.expect_err(what);
    assert_eq!(error.code(), code, "{what}: {error:?}");
    let begun = scene.begin_with(Default::default()).await;
    assert_eq!(begun.err().map(|error| error.code()), Some(code), "{what}: nobody is sent there");
}

#[tokio::test]
async fn oidc_14_documents() {
    let scene = Scene::new().await;
    let other = MockOp::start().await;
    let elsewhere = other.issuer.clone();
    let edit = |edit: Box<dyn Fn(&mut Members) + Send>| scene.op.discovery(edit);
    let set = |name: &'static str, value: serde_json::Value| {
        edit(Box::new(move |document| drop(document.insert(name.into(), value.clone()))));
    };
    for issuer in [
        json!("https://evil.example"),
        json!(format!("{}/", scene.op.issuer)),
        json!(scene.op.issuer.to_uppercase()),
        json!(elsewhere),
    ] {
        set("issuer", issuer);
        refused(&scene, "issuer_mismatch", "another issuer").await;
    }
    set("issuer", json!("https://login.microsoftonline.com/{tenantid}/v2.0"));
    refused(&scene, "issuer_multi_tenant", "the issuer of every tenant").await;
    for (name, value) in [
        ("issuer", json!(null)),
        ("issuer", json!(["x"])),
        ("token_endpoint", json!(null)),
        ("token_endpoint", json!(format!("{elsewhere}/token"))),
        ("token_endpoint", json!("http://169.254.169.254/latest/meta-data")),
        ("token_endpoint", json!("https://10.0.0.1/token")),
        ("token_endpoint", json!("https://evil.example/token")),
        ("token_endpoint", json!("/token")),
        ("token_endpoint", json!(scene.op.issuer.replace("http://", "http://user:pass@"))),
        ("authorization_endpoint", json!(null)),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("authorization_endpoint", json!("http://evil.example/authorize")),
        ("authorization_endpoint", json!(format!("{}/authorize#fragment", scene.op.issuer))),
        ("jwks_uri", json!(null)),
        ("jwks_uri", json!("file:///etc/passwd")),
        ("jwks_uri", json!(format!("{elsewhere}/jwks"))),
        ("userinfo_endpoint", json!("http://[::1]:1/userinfo")),
        ("userinfo_endpoint", json!(7)),
        ("response_types_supported", json!(["id_token"])),
        ("id_token_signing_alg_values_supported", json!(["HS256", "none"])),
        ("id_token_signing_alg_values_supported", json!("RS256")),
    ] {
        let what = format!("{name} {value}");
        set(name, value);
        refused(&scene, "metadata_invalid", &what).await;
    }
    edit(Box::new(|_| {}));
    let genuine = {
        let url = format!("{}/.well-known/openid-configuration", scene.op.issuer).parse().unwrap();
        scene.cx.env.outbound().send(authd::env::Request::get(url)).await.unwrap().body
    };
    let body = |body: &[u8]| Some(Canned { status: 200, headers: vec![], body: body.to_vec() });
    for (what, canned) in [
        ("10 MB", body(&vec![b' '; 10 * 1024 * 1024])),
        ("just too large", body(&[b"{\"issuer\":\"", &vec![b'x'; 512 * 1024][..], b"\"}"].concat())),
        ("a page", body(b"<!doctype html>")),
        ("a list", body(b"[]")),
        (
            "issuer twice",
            body(format!(r#"{{"issuer":"https://evil.example","issuer":"{}"}}"#, scene.op.issuer).as_bytes()),
        ),
        ("deep", body(format!("{{\"a\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000)).as_bytes())),
        ("not found", Some(Canned { status: 404, headers: vec![], body: genuine.clone() })),
        (
            "compressed",
            Some(Canned {
                status: 200,
                headers: vec![("content-encoding", "gzip".to_owned())],
                body: vec![0x1f, 0x8b, 8],
            }),
        ),
        (
            "a redirect",
            Some(Canned {
                status: 302,
                headers: vec![("location", format!("{}/.well-known/openid-configuration", other.issuer))],
                body: genuine.clone(),
            }),
        ),
    ] {
        scene.op.can(Endpoint::Discovery, canned);
        refused(&scene, "metadata_invalid", what).await;
        let error = discover(&scene.cx, &scene.config).await.unwrap_err();
        match what {
            "a redirect" => assert!(error.next_step().unwrap().contains(&other.issuer), "{error:?}"),
            "compressed" => assert!(error.message().contains("compressed"), "{error:?}"),
            _ => {}
        }
    }
    scene.op.can(Endpoint::Discovery, Some(Canned { status: 503, headers: vec![], body: vec![] }));
    refused(&scene, "upstream_unavailable", "down").await;
    assert_eq!(other.hits(Endpoint::Discovery) + other.hits(Endpoint::Jwks), 0, "nobody else was asked");
    scene.op.can(Endpoint::Discovery, None);
    discover(&scene.cx, &scene.config).await.unwrap();
}

#[tokio::test]
async fn oidc_14_addresses_that_may_not_be_called() {
    let scene = Scene::new().await;
    let mut cx = scene.cx.clone();
    cx.env = cx.env.clone().with_outbound(outbound(&[]));
    let at = |issuer: &str| {
        let mut config = Config::default();
        config.discovery.issuer = Some(issuer.to_owned());
        config
    };
    for (issuer, code) in [
        (scene.op.issuer.as_str(), "outbound_not_allowed"),
        ("https://10.0.0.1", "outbound_not_allowed"),
        ("https://169.254.169.254", "outbound_not_allowed"),
        ("http://idp.example", "url_not_allowed"),
        ("https://idp.example:8443", "url_not_allowed"),
        ("https://login.microsoftonline.com/common/v2.0", "issuer_multi_tenant"),
    ] {
        assert_eq!(discover(&cx, &at(issuer)).await.unwrap_err().code(), code, "{issuer}");
    }
    assert_eq!(scene.op.hits(Endpoint::Discovery), 0);
    let mut keys = scene.config.clone();
    keys.discovery.jwks_uri = Some("https://10.0.0.1/keys".into());
    assert_eq!(discover(&scene.cx, &keys).await.unwrap_err().code(), "outbound_not_allowed");
}

#[tokio::test]
async fn a_slash_is_tolerated_only_when_it_is_said_so() {
    let scene = Scene::with(|config| {
        config.security.strict_issuer = Some(false);
        let issuer = config.discovery.issuer.take().unwrap();
        config.discovery.issuer = Some(format!("{issuer}/"));
    })
    .await;
    // The document and the tokens have none; each sign-in holds the tokens to the document.
    scene.sign_in().await.unwrap();
    let with_slash = format!("{}/", scene.op.issuer);
    scene.op.next_token(move |_, claims| drop(claims.insert("iss".into(), with_slash.into())));
    scene.refused("token_claims", "the token has another spelling than the document").await;
    scene.op.discovery(|document| drop(document.insert("issuer".into(), "https://evil.example/".into())));
    assert_eq!(discover(&scene.cx, &scene.config).await.unwrap_err().code(), "issuer_mismatch");
}

#[tokio::test]
async fn the_document_may_be_elsewhere_and_the_keys_too() {
    let scene = Scene::with(|config| {
        let issuer = config.discovery.issuer.take().unwrap();
        config.discovery.discovery_url = Some(format!("{issuer}/.well-known/openid-configuration"));
    })
    .await;
    scene.sign_in().await.unwrap();
    let keys = Scene::with(|config| {
        let issuer = config.discovery.issuer.clone().unwrap();
        config.discovery.jwks_uri = Some(format!("{issuer}/jwks"));
    })
    .await;
    keys.op.discovery(|document| drop(document.remove("jwks_uri")));
    keys.sign_in().await.unwrap();
}

#[tokio::test]
async fn a_document_is_asked_for_once_an_hour() {
    let scene = Scene::new().await;
    for _ in 0..5 {
        scene.sign_in().await.unwrap();
    }
    assert_eq!(scene.op.hits(Endpoint::Discovery), 1);
    scene.advance(3600);
    scene.sign_in().await.unwrap();
    assert_eq!(scene.op.hits(Endpoint::Discovery), 2);
    // It answers, but with what cannot be: the old one no longer counts.
    scene.op.discovery(|document| drop(document.insert("issuer".into(), "https://evil.example".into())));
    scene.advance(3600);
    assert_eq!(scene.begin_with(Default::default()).await.err().unwrap().code(), "issuer_mismatch");
}

#[tokio::test]
async fn an_issuer_that_changes_on_the_way_is_noticed() {
    let mut scene = Scene::new().await;
    let begun = scene.begin().await;
    let answer = scene.op.approve(&begun.url);
    let other = MockOp::start().await;
    scene.cx.env = scene.cx.env.clone().with_outbound(outbound(&["127.0.0.1"]));
    scene.config.discovery.issuer = Some(other.issuer.clone());
    scene.restart();
    let mut moved = answer;
    moved.insert("iss".into(), other.issuer.clone());
    assert_eq!(scene.finish(moved, &begun.kept).await.0.unwrap_err().code(), "issuer_mismatch");
    assert_eq!(other.hits(Endpoint::Token), 0, "the code is not sent to the new provider");
}

fn connection(scene: &Scene, config: Option<Config>) -> Connection {
    let now = scene.cx.env.now();
    Connection {
        id: scene.connection,
        organization: OrganizationId::new(&scene.cx.env),
        name: "Corp".into(),
        slug: None,
        protocol: ProtocolKind::Oidc,
        status: Status::Draft,
        jit: None,
        default_role: None,
        group_mapping: None,
        role_mapping: None,
        scope_mapping: None,
        default_scopes: None,
        oidc: config,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        looked: None,
        ldap: None,
        saml: None,
        enforce: None,
        callback_urls: Vec::new(),
    }
}

const NAMES: [&str; 8] = [
    "oidc_configured",
    "client_id_present",
    "client_secret_stored",
    "issuer_or_discovery_url_present",
    "discovery_reachable",
    "token_endpoint_auth_method_supported",
    "jwks_uri_present",
    "audience_valid",
];

#[tokio::test]
async fn validation_names_what_is_missing() {
    let scene = Scene::new().await;
    let failing = |config: Option<Config>| {
        let scene = &scene;
        async move {
            let report = oidc::validate(&scene.cx, &connection(scene, config)).await;
            let names: Vec<&str> = report.checks.iter().map(|check| check.name.as_str()).collect();
            assert_eq!(
                names.iter().filter(|name| **name != "outbound_not_allowed").collect::<Vec<_>>(),
                NAMES.iter().collect::<Vec<_>>()
            );
            let failing: Vec<String> =
                report.checks.iter().filter(|check| !check.ok).map(|check| check.name.clone()).collect();
            assert_eq!(report.ok, failing.is_empty());
            assert!(report.checks.iter().all(|check| check.ok || check.message.is_some()));
            failing
        }
    };
    let change = |change: fn(&mut Config)| {
        let mut config = scene.config.clone();
        change(&mut config);
        Some(config)
    };
    assert_eq!(failing(Some(scene.config.clone())).await, [] as [&str; 0]);
    assert_eq!(failing(None).await, [&NAMES[..]].concat());
    assert_eq!(failing(change(|c| c.client.secret = None)).await, ["client_secret_stored"]);
    assert_eq!(failing(change(|c| c.client.id = None)).await, ["client_id_present", "audience_valid"]);
    assert_eq!(
        failing(change(|c| c.client.auth_method = Some(oidc::AuthMethod::PrivateKeyJwt))).await,
        ["token_endpoint_auth_method_supported"]
    );
    assert_eq!(
        failing(change(|c| c.discovery.issuer = Some("https://10.0.0.1".into()))).await,
        ["discovery_reachable", "outbound_not_allowed", "token_endpoint_auth_method_supported", "jwks_uri_present"]
    );
    scene.op.discovery(|document| {
        document.insert("token_endpoint_auth_methods_supported".into(), json!(["private_key_jwt"]));
    });
    assert_eq!(failing(Some(scene.config.clone())).await, ["token_endpoint_auth_method_supported"]);
}

#[tokio::test]
async fn a_test_asks_for_everything_and_says_how_long_it_took() {
    let scene = Scene::new().await;
    let report = scene.oidc.test(&scene.cx).await;
    assert!(report.ok && report.latency_ms.is_some(), "{report:?}");
    assert_eq!((scene.op.hits(Endpoint::Discovery), scene.op.hits(Endpoint::Jwks)), (1, 1));
    scene.op.publish([json!({"kty": "oct", "k": "AAAA"})]);
    let report = scene.oidc.test(&scene.cx).await;
    let failing: Vec<_> = report.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    assert_eq!(failing, ["signing_key_present"]);
    scene.op.publish([Signer::ed25519("k").jwk()]);
    scene.op.down(true);
    assert!(!scene.oidc.test(&scene.cx).await.ok);
}
