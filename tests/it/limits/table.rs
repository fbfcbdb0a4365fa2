//! The table of limits, each at its edge: what the limit allows passes, one more is refused with the status that says why.
//!
//! What takes time or many connections stands in `listen` (times, connections), `fetch` (outbound), `limits::pending`
//! (sign-ins that wait), `limits::slow` (resets) and `limits::breaker` (a provider that does not answer).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authd::access::Caller;
use authd::connection::oidc::{Config, Discovery, discover};
use authd::crypto::jws::{Algorithm, Fault, KeySet};
use authd::env::{Outbound, Request, Response};
use authd::event::Origin;
use authd::server::listen::{Limits, Listener, Shutdown, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::signin::Scene;
use crate::world::op::Signer;

/// Sends bytes on a connection of their own, and reads the status of the answer.
async fn status(at: SocketAddr, bytes: Vec<u8>) -> u16 {
    let (mut reads, mut writes) = TcpStream::connect(at).await.unwrap().into_split();
    // A refusal may come before all is sent.
    let send = tokio::spawn(async move { writes.write_all(&bytes).await.map(|()| writes) });
    let mut head = vec![0; 12];
    let read = tokio::time::timeout(Duration::from_secs(10), reads.read_exact(&mut head)).await;
    drop(send.await);
    assert!(read.is_ok_and(|read| read.is_ok()), "no answer");
    String::from_utf8_lossy(&head[9..]).parse().unwrap()
}

const HOST: &str = "Host: 127.0.0.1:8080\r\nConnection: close\r\n";

/// A head with so many headers.
fn headers(n: usize) -> Vec<u8> {
    let more: String = (2..n).map(|n| format!("X-{n}: y\r\n")).collect();
    format!("GET / HTTP/1.1\r\n{HOST}{more}\r\n").into_bytes()
}

/// A head of so many bytes.
fn head(n: usize) -> Vec<u8> {
    let begin = format!("GET / HTTP/1.1\r\n{HOST}X-Long: ");
    format!("{begin}{}\r\n\r\n", "y".repeat(n - begin.len() - 4)).into_bytes()
}

/// A request line of so many bytes in its target.
fn target(n: usize) -> Vec<u8> {
    format!("GET /?{} HTTP/1.1\r\n{HOST}\r\n", "y".repeat(n - 2)).into_bytes()
}

fn post(path: &str, kind: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST {path} HTTP/1.1\r\n{HOST}Content-Type: {kind}\r\n{more}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The same without saying how long it is.
fn chunked(path: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\n{HOST}Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
    [head.as_bytes(), format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn form(n: usize) -> Vec<u8> {
    format!("grant_type=x&y={}", "y".repeat(n - 15)).into_bytes()
}

/// JSON nested so deep, in a field that takes anything.
fn nested(n: usize) -> Vec<u8> {
    format!("{{\"name\":{}{}}}", "[".repeat(n - 1), "]".repeat(n - 1)).into_bytes()
}

#[tokio::test]
async fn limits_of_requests_hold_at_their_edge() {
    let scene = Scene::new().await;
    let grants = ["app.manage", "connection.create", "connection.protocol.manage"];
    let wish = json!({"organization": scene.organization, "name": "ci", "grants": grants});
    let key = scene.authd.operate("api_key.create", wish).await["key"].as_str().unwrap().to_owned();
    let bearer = format!("Authorization: Bearer {key}\r\n");
    let wish = json!({"organization": scene.organization, "protocol": "saml", "name": "Big"});
    let saml = scene.authd.operate("connection.create", wish).await["id"].as_str().unwrap().to_owned();
    let metadata = |path: &str, body: &Value, n: usize| {
        let mut body = body.to_string().into_bytes();
        body.resize(n, b' ');
        post(path, JSON, &bearer, &body)
    };
    let create = |n: usize| metadata("/v1/connections", &json!({"protocol": "saml", "name": "Bigger"}), n);
    // A provider's own file, longer than other bodies may be: it is read, and found wanting for what it says.
    let file = |n: usize| {
        let xml = format!("<EntityDescriptor><!--{}--></EntityDescriptor>", "x".repeat(900_000));
        let sent = metadata(&format!("/v1/connections/{saml}/saml"), &json!({"metadataXml": xml}), n);
        [b"PATCH".as_slice(), &sent[b"POST".len()..]].concat()
    };
    let api = |n: usize| {
        let mut body =
            json!({"name": "Big", "redirectUris": ["https://app.example/callback"]}).to_string().into_bytes();
        body.resize(n, b' ');
        post("/v1/apps", JSON, &bearer, &body)
    };
    let deep = |n: usize| post("/v1/apps", JSON, &bearer, &nested(n));

    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), None).unwrap();
    let at = listener.address().unwrap();
    tokio::spawn(serve(listener, scene.authd.router.clone(), Limits::default(), Shutdown::new()));
    let coded = |coding: &str| post("/oauth2/token", FORM, &format!("Content-Encoding: {coding}\r\n"), &form(100));
    let rows: Vec<(&str, Vec<u8>, u16)> = vec![
        ("64 headers", headers(64), 200),
        ("65 headers", headers(65), 431),
        ("a head of 16 KiB", head(16 * 1024), 200),
        ("a head of 16 KiB and a byte", head(16 * 1024 + 1), 431),
        ("a target of 15 KiB", target(15 * 1024), 200),
        ("a target of 70 KiB", target(70 * 1024), 431),
        ("a body of 64 KiB", api(64 * 1024), 201),
        ("a body of 64 KiB and a byte", api(64 * 1024 + 1), 413),
        ("a connection with a provider's metadata: 2 MiB", create(2 << 20), 201),
        ("and a byte", create((2 << 20) + 1), 413),
        ("metadata of 900 KB", file(2 << 20), 422),
        ("2 MiB and a byte of it", file((2 << 20) + 1), 413),
        ("8 KiB where people sign in", post("/oauth2/token", FORM, "", &form(8 * 1024)), 401),
        ("8 KiB and a byte", post("/oauth2/token", FORM, "", &form(8 * 1024 + 1)), 413),
        ("8 KiB in a form of a page", post("/signin", FORM, "", &form(8 * 1024)), 400),
        ("8 KiB and a byte of it", post("/signin", FORM, "", &form(8 * 1024 + 1)), 413),
        ("the same, its length not said", chunked("/oauth2/token", FORM, &form(8 * 1024)), 401),
        ("and a byte", chunked("/oauth2/token", FORM, &form(8 * 1024 + 1)), 413),
        ("a plain body", coded("identity"), 401),
        ("gzip", coded("gzip"), 415),
        ("deflate", coded("deflate"), 415),
        ("br", coded("br"), 415),
        ("zstd", coded("zstd"), 415),
        ("two codings", coded("identity, gzip"), 415),
        ("JSON 32 deep", deep(32), 400),
        ("JSON 33 deep", deep(33), 400),
        ("JSON 30,000 deep", deep(30_000), 400),
    ];
    for (what, bytes, expected) in rows {
        assert_eq!(status(at, bytes).await, expected, "{what}");
    }
    // Both are refused: one for what it says, the other for its depth.
    let message = async |n: usize| {
        let input: Result<Value, _> = authd::http::extract::parse_json(&nested(n));
        input.err().map(|error| error.message().to_owned())
    };
    assert_eq!(message(32).await, None);
    assert!(message(33).await.unwrap().contains("nested deeper than 32"));
}

#[test]
fn limits_of_tokens_and_key_sets_hold_at_their_edge() {
    let signer = Signer::es256("k");
    let set = KeySet::parse(json!({"keys": [signer.jwk()]}).to_string().as_bytes()).unwrap();
    let token = |n: usize| {
        let claims = |fill: usize| {
            let claims = json!({"iss": "x", "fill": "y".repeat(fill)});
            signer.token(&signer.header(), claims.as_object().unwrap())
        };
        // Base64 steps over some lengths: whatever is missing stands in the claims in another form.
        (n * 3 / 4 - 200..n).map(claims).find(|token| token.len() >= n).unwrap()
    };
    let (fits, long) = (token(8 * 1024 - 1), token(8 * 1024 + 1));
    assert!(fits.len() <= 8 * 1024 && set.check(&fits, &Algorithm::ALL).is_ok(), "{}", fits.len());
    assert!(matches!(set.check(&long, &Algorithm::ALL), Err(Fault::Form("longer than 8 KiB"))), "{}", long.len());

    let keys = |n: usize| {
        let keys: Vec<Value> = (0..n).map(|n| signer.named(Some(&format!("k{n}"))).jwk()).collect();
        json!({ "keys": keys }).to_string()
    };
    assert!(KeySet::parse(keys(64).as_bytes()).is_ok());
    assert!(KeySet::parse(keys(65).as_bytes()).is_err());
    let padded = |n: usize| {
        let mut text = keys(1).into_bytes();
        text.resize(n, b' ');
        text
    };
    assert!(KeySet::parse(&padded(512 * 1024)).is_ok());
    assert!(KeySet::parse(&padded(512 * 1024 + 1)).is_err());
}

/// Answers everything with the same bytes.
struct Canned(Vec<u8>);

#[async_trait]
impl Outbound for Canned {
    async fn send(&self, request: Request) -> authd::error::Result<Response> {
        assert_eq!((request.timeout, request.max_bytes), (Duration::from_secs(10), 512 * 1024));
        Ok(Response { status: 200, headers: Default::default(), body: self.0.clone() })
    }
    fn permits(&self, _: &url::Url) -> authd::error::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn limits_of_what_is_fetched_hold_at_their_edge() {
    let authd = crate::world::authd::Authd::start().await;
    let issuer = "https://op.example";
    let at = |path: &str| format!("{issuer}{path}");
    let document = json!({
        "issuer": issuer, "authorization_endpoint": at("/a"), "token_endpoint": at("/t"), "jwks_uri": at("/j"),
    });
    let config = Config {
        discovery: Discovery { issuer: Some(issuer.to_owned()), ..Discovery::default() },
        ..Config::default()
    };
    for (size, good) in [(512 * 1024, true), (512 * 1024 + 1, false)] {
        let mut body = document.to_string().into_bytes();
        body.resize(size, b' ');
        let mut cx = authd.app.context(Caller::System, Origin::internal(authd.env()));
        cx.env = cx.env.with_outbound(Arc::new(Canned(body)));
        assert_eq!(discover(&cx, &config).await.is_ok(), good, "{size}");
    }
    let usual = Request::get("https://op.example/".parse().unwrap());
    assert_eq!((usual.timeout, usual.max_bytes), (Duration::from_secs(10), 1024 * 1024));
}
