//! An OpenID provider whose every answer can be bent. It listens on loopback, counts what it is asked, and keeps to
//! the specification until it is told otherwise: it checks client, redirect URI, PKCE and single use of a code.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use authd::crypto::{base64url, sha256};
use authd::env::{Clock, Outbound, Request, Response, SystemClock};
use authd::error::Result;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use url::Url;

pub type Members = Map<String, Value>;

pub const CLIENT_ID: &str = "authd client";
/// With letters that tell a form-encoded credential from one that is not.
pub const CLIENT_SECRET: &str = "s3cr+t %&:ö";

/// A private key, fresh for each run.
#[derive(Clone)]
pub struct Signer {
    pub kid: Option<String>,
    pub alg: &'static str,
    key: Arc<PrivateKey>,
}

enum PrivateKey {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// Making an RSA key takes long: the tests of one run share some.
static RSA_KEYS: LazyLock<[Arc<PrivateKey>; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Arc::new(PrivateKey::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))));

impl Signer {
    fn new(kid: &str, alg: &'static str, key: Arc<PrivateKey>) -> Self {
        Self { kid: Some(kid.to_owned()), alg, key }
    }

    /// One of the two RSA keys of this run (0, 1), for an RS or PS algorithm.
    pub fn rsa(which: usize, kid: &str, alg: &'static str) -> Self {
        Self::new(kid, alg, Arc::clone(&RSA_KEYS[which]))
    }

    pub fn es256(kid: &str) -> Self {
        let key = EcdsaKeyPair::generate(&lc::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self::new(kid, "ES256", Arc::new(PrivateKey::Ec(key)))
    }

    pub fn es384(kid: &str) -> Self {
        let key = EcdsaKeyPair::generate(&lc::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Self::new(kid, "ES384", Arc::new(PrivateKey::Ec(key)))
    }

    pub fn es512(kid: &str) -> Self {
        let key = EcdsaKeyPair::generate(&lc::ECDSA_P521_SHA512_FIXED_SIGNING).unwrap();
        Self::new(kid, "ES512", Arc::new(PrivateKey::Ec(key)))
    }

    pub fn ed25519(kid: &str) -> Self {
        Self::new(kid, "EdDSA", Arc::new(PrivateKey::Ed(Ed25519KeyPair::generate().unwrap())))
    }

    /// The same key without a name, or under another.
    pub fn named(&self, kid: Option<&str>) -> Self {
        Self { kid: kid.map(str::to_owned), ..self.clone() }
    }

    /// The public half, as a key set has it.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &*self.key {
            PrivateKey::Rsa(key) => {
                let (n, e) = rsa_numbers(key.public_key().as_ref());
                json!({"kty": "RSA", "n": base64url(&n), "e": base64url(&e)})
            }
            PrivateKey::Ec(key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = match x.len() {
                    32 => "P-256",
                    48 => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)})
            }
            PrivateKey::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(key.public_key().as_ref())})
            }
        };
        jwk["use"] = "sig".into();
        jwk["alg"] = self.alg.into();
        if let Some(kid) = &self.kid {
            jwk["kid"] = kid.clone().into();
        }
        jwk
    }

    /// The public half as DER (SubjectPublicKeyInfo).
    pub fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match &*self.key {
            PrivateKey::Rsa(key) => key.public_key().as_der().unwrap(),
            PrivateKey::Ec(key) => key.public_key().as_der().unwrap(),
            PrivateKey::Ed(key) => key.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    /// The public half as PEM.
    pub fn pem(&self) -> String {
        let text = STANDARD.encode(self.spki());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &*self.key {
            PrivateKey::Rsa(key) => {
                let padding: &'static dyn lc::RsaEncoding = match self.alg {
                    "RS256" => &lc::RSA_PKCS1_SHA256,
                    "RS384" => &lc::RSA_PKCS1_SHA384,
                    "RS512" => &lc::RSA_PKCS1_SHA512,
                    "PS256" => &lc::RSA_PSS_SHA256,
                    "PS384" => &lc::RSA_PSS_SHA384,
                    "PS512" => &lc::RSA_PSS_SHA512,
                    other => panic!("an RSA key does not sign {other}"),
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            PrivateKey::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            PrivateKey::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// The header of this key's tokens.
    pub fn header(&self) -> Members {
        let mut header = members(json!({"typ": "JWT", "alg": self.alg}));
        if let Some(kid) = &self.kid {
            header.insert("kid".into(), kid.clone().into());
        }
        header
    }

    pub fn token(&self, header: &Members, claims: &Members) -> String {
        self.token_of(&text(header), &text(claims))
    }

    /// Signs any two texts.
    pub fn token_of(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
        format!("{message}.{}", base64url(&self.sign(message.as_bytes())))
    }
}

pub fn members(value: Value) -> Members {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

pub fn text(members: &Members) -> String {
    serde_json::to_string(members).unwrap()
}

/// Modulus and exponent of a PKCS #1 RSAPublicKey: a sequence of two integers.
fn rsa_numbers(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    fn read(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, from) = match der[1] {
            short @ 0..0x80 => (short as usize, 2),
            long => {
                let size = (long & 0x7f) as usize;
                (der[2..2 + size].iter().fold(0, |sum, byte| sum * 256 + *byte as usize), 2 + size)
            }
        };
        der[from..].split_at(length)
    }
    let (numbers, _) = read(der);
    let (n, rest) = read(numbers);
    let (e, _) = read(rest);
    let plain = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect();
    (plain(n), plain(e))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    Discovery,
    Jwks,
    Authorize,
    Token,
    Userinfo,
    /// Anything else on this host.
    Other,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Seen {
    pub endpoint: Endpoint,
    pub path: String,
    pub headers: HeaderMap,
    /// Query or form.
    pub fields: BTreeMap<String, String>,
}

/// An answer that is given whatever is asked.
#[derive(Clone, Debug)]
pub struct Canned {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Canned {
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }
}

type Edit<T> = Box<dyn Fn(&mut T) + Send>;
type EditEvery = Box<dyn Fn(&mut Members, &mut Members) + Send>;
type EditToken = Box<dyn FnOnce(&mut Members, &mut Members) + Send>;
type Forge = Box<dyn FnOnce(Members, Members) -> String + Send>;

struct Bends {
    signer: Signer,
    keys: Vec<Value>,
    person: Members,
    discovery: Option<Edit<Members>>,
    callback: Option<Edit<BTreeMap<String, String>>>,
    userinfo: Option<Edit<Members>>,
    every_token: Option<EditEvery>,
    next_token: Option<EditToken>,
    forge: Option<Forge>,
    canned: BTreeMap<Endpoint, Canned>,
    delays: BTreeMap<Endpoint, Duration>,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

#[derive(Clone)]
struct Granted {
    nonce: Option<String>,
    challenge: String,
    redirect_uri: String,
    max_age: bool,
}

#[derive(Default)]
struct Codes {
    open: HashMap<String, Granted>,
    made: u64,
    last_id_token: String,
    last_access_token: String,
    last_code: String,
}

struct Shared {
    issuer: String,
    bends: Mutex<Bends>,
    seen: Mutex<Vec<Seen>>,
    codes: Mutex<Codes>,
}

pub struct MockOp {
    pub issuer: String,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for MockOp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl MockOp {
    /// Listens on a port of its own, with an ES256 key of its own.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let signer = Signer::es256("key-1");
        let person = json!({
            "sub": "alice-1", "email": "alice@corp.example", "email_verified": true, "name": "Alice Ames",
            "given_name": "Alice", "family_name": "Ames", "groups": ["staff", "admins"],
        });
        let system = SystemClock::new();
        let bends = Bends {
            keys: vec![signer.jwk()],
            signer,
            person: members(person),
            discovery: None,
            callback: None,
            userinfo: None,
            every_token: None,
            next_token: None,
            forge: None,
            canned: BTreeMap::new(),
            delays: BTreeMap::new(),
            clock: Arc::new(move || system.now().seconds()),
        };
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            bends: Mutex::new(bends),
            seen: Mutex::default(),
            codes: Mutex::default(),
        });
        let router = axum::Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, shared, server }
    }

    fn bend<T>(&self, change: impl FnOnce(&mut Bends) -> T) -> T {
        change(&mut self.shared.bends.lock().unwrap())
    }

    /// `127.0.0.1:port`, for `outbound.allow`.
    pub fn authority(&self) -> String {
        self.issuer.trim_start_matches("http://").to_owned()
    }

    /// Takes the time from the test's clock.
    pub fn follow(&self, env: &authd::env::Env) {
        let env = env.clone();
        self.bend(|b| b.clock = Arc::new(move || env.now().seconds()));
    }

    pub fn now(&self) -> i64 {
        self.bend(|b| (b.clock)())
    }

    /// Signs with this key from now on; publishes nothing.
    pub fn sign_with(&self, signer: &Signer) {
        self.bend(|b| b.signer = signer.clone());
    }

    pub fn signer(&self) -> Signer {
        self.bend(|b| b.signer.clone())
    }

    /// The key set from now on.
    pub fn publish(&self, keys: impl IntoIterator<Item = Value>) {
        self.bend(|b| b.keys = keys.into_iter().collect());
    }

    /// Signs with this key, and publishes it alone.
    pub fn rotate(&self, signer: &Signer) {
        self.sign_with(signer);
        self.publish([signer.jwk()]);
    }

    /// What is known of the person: in the id_token and in user info.
    pub fn person(&self, change: impl FnOnce(&mut Members)) {
        self.bend(|b| change(&mut b.person));
    }

    pub fn discovery(&self, edit: impl Fn(&mut Members) + Send + 'static) {
        self.bend(|b| b.discovery = Some(Box::new(edit)));
    }

    pub fn callback(&self, edit: impl Fn(&mut BTreeMap<String, String>) + Send + 'static) {
        self.bend(|b| b.callback = Some(Box::new(edit)));
    }

    pub fn userinfo(&self, edit: impl Fn(&mut Members) + Send + 'static) {
        self.bend(|b| b.userinfo = Some(Box::new(edit)));
    }

    pub fn every_token(&self, edit: impl Fn(&mut Members, &mut Members) + Send + 'static) {
        self.bend(|b| b.every_token = Some(Box::new(edit)));
    }

    /// Header and claims of the next id_token, before it is signed.
    pub fn next_token(&self, edit: impl FnOnce(&mut Members, &mut Members) + Send + 'static) {
        self.bend(|b| b.next_token = Some(Box::new(edit)));
    }

    /// The whole text of the next id_token, from header and claims as they would have been.
    pub fn forge(&self, make: impl FnOnce(Members, Members) -> String + Send + 'static) {
        self.bend(|b| b.forge = Some(Box::new(make)));
    }

    /// What an endpoint answers from now on, whatever it is asked; `None` for its own answers again.
    pub fn can(&self, endpoint: Endpoint, canned: Option<Canned>) {
        self.bend(|b| match canned {
            Some(canned) => b.canned.insert(endpoint, canned),
            None => b.canned.remove(&endpoint),
        });
    }

    /// Every endpoint answers 503, or each its own again.
    pub fn down(&self, down: bool) {
        use Endpoint::{Discovery, Jwks, Token, Userinfo};
        for endpoint in [Discovery, Jwks, Token, Userinfo] {
            self.can(endpoint, down.then(|| Canned { status: 503, headers: vec![], body: vec![] }));
        }
    }

    pub fn delay(&self, endpoint: Endpoint, by: Duration) {
        self.bend(|b| b.delays.insert(endpoint, by));
    }

    pub fn seen(&self, endpoint: Endpoint) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().iter().filter(|seen| seen.endpoint == endpoint).cloned().collect()
    }

    pub fn hits(&self, endpoint: Endpoint) -> usize {
        self.seen(endpoint).len()
    }

    pub fn last_id_token(&self) -> String {
        self.shared.codes.lock().unwrap().last_id_token.clone()
    }

    pub fn last_access_token(&self) -> String {
        self.shared.codes.lock().unwrap().last_access_token.clone()
    }

    pub fn last_code(&self) -> String {
        self.shared.codes.lock().unwrap().last_code.clone()
    }

    /// What the browser would bring back from `url` (an authorization request), without a browser.
    pub fn approve(&self, url: &str) -> BTreeMap<String, String> {
        self.shared.approve(&Url::parse(url).unwrap()).1
    }

    /// An outbound client that reaches this provider without a socket, for what is asked ten thousand times.
    pub fn direct(&self) -> Arc<dyn Outbound> {
        Arc::new(Direct(Arc::clone(&self.shared)))
    }
}

struct Direct(Arc<Shared>);

#[async_trait::async_trait]
impl Outbound for Direct {
    async fn send(&self, request: Request) -> Result<Response> {
        let (status, headers, body) =
            self.0.answer(&request.method, &request.url, &request.headers, &request.body).await;
        Ok(Response { status, headers, body })
    }
    fn permits(&self, _: &Url) -> Result<()> {
        Ok(())
    }
}

async fn serve(
    axum::extract::State(shared): axum::extract::State<Arc<Shared>>,
    request: axum::extract::Request,
) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    let url = Url::parse(&format!("{}{}", shared.issuer, parts.uri)).unwrap();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let (status, headers, body) = shared.answer(&parts.method, &url, &parts.headers, &body).await;
    let mut answer = axum::response::Response::new(body.into());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    *answer.headers_mut() = headers;
    answer
}

fn fields_of(query: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(query).into_owned().collect()
}

impl Shared {
    async fn answer(&self, method: &Method, url: &Url, headers: &HeaderMap, body: &[u8]) -> (u16, HeaderMap, Vec<u8>) {
        let endpoint = match url.path() {
            "/.well-known/openid-configuration" => Endpoint::Discovery,
            "/jwks" => Endpoint::Jwks,
            "/authorize" => Endpoint::Authorize,
            "/token" => Endpoint::Token,
            "/userinfo" => Endpoint::Userinfo,
            _ => Endpoint::Other,
        };
        let sent = if method == Method::POST { body } else { url.query().unwrap_or_default().as_bytes() };
        let seen = Seen { endpoint, path: url.path().to_owned(), headers: headers.clone(), fields: fields_of(sent) };
        self.seen.lock().unwrap().push(seen.clone());
        let (delay, canned) = {
            let bends = self.bends.lock().unwrap();
            (bends.delays.get(&endpoint).copied(), bends.canned.get(&endpoint).cloned())
        };
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        let answer = canned.unwrap_or_else(|| match endpoint {
            Endpoint::Discovery => Canned::json(200, &Value::Object(self.document())),
            Endpoint::Jwks => Canned::json(200, &json!({"keys": self.bends.lock().unwrap().keys})),
            Endpoint::Authorize => {
                let (target, parameters) = self.approve(url);
                let mut target = Url::parse(&target).unwrap();
                target.query_pairs_mut().extend_pairs(&parameters);
                Canned { status: 303, headers: vec![("location", target.into())], body: vec![] }
            }
            Endpoint::Token => self.redeem(&seen),
            Endpoint::Userinfo => self.inform(&seen),
            Endpoint::Other => Canned { status: 404, headers: vec![], body: vec![] },
        });
        let mut headers = HeaderMap::new();
        for (name, value) in answer.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
        }
        (answer.status, headers, answer.body)
    }

    fn document(&self) -> Members {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let mut document = members(json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
            "userinfo_endpoint": at("/userinfo"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported":
                ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "authorization_response_iss_parameter_supported": true,
        }));
        if let Some(edit) = &self.bends.lock().unwrap().discovery {
            edit(&mut document);
        }
        document
    }

    fn approve(&self, url: &Url) -> (String, BTreeMap<String, String>) {
        let asked = fields_of(url.query().unwrap_or_default().as_bytes());
        let code = {
            let mut codes = self.codes.lock().unwrap();
            codes.made += 1;
            let code = base64url(&sha256(&[self.issuer.as_bytes(), &codes.made.to_be_bytes()]));
            let granted = Granted {
                nonce: asked.get("nonce").cloned(),
                challenge: asked["code_challenge"].clone(),
                redirect_uri: asked["redirect_uri"].clone(),
                max_age: asked.contains_key("max_age"),
            };
            codes.open.insert(code.clone(), granted);
            codes.last_code.clone_from(&code);
            code
        };
        let mut parameters: BTreeMap<String, String> =
            [("code", code), ("state", asked["state"].clone()), ("iss", self.issuer.clone())]
                .map(|(name, value)| (name.to_owned(), value))
                .into();
        if let Some(edit) = &self.bends.lock().unwrap().callback {
            edit(&mut parameters);
        }
        (asked["redirect_uri"].clone(), parameters)
    }

    fn redeem(&self, seen: &Seen) -> Canned {
        let refuse =
            |status, error: &str, why: &str| Canned::json(status, &json!({"error": error, "error_description": why}));
        let field = |name: &str| seen.fields.get(name).map(String::as_str).unwrap_or_default();
        let (id, secret) = match seen.headers.get(header::AUTHORIZATION) {
            Some(value) => basic(value.to_str().unwrap()),
            None => (field("client_id").to_owned(), field("client_secret").to_owned()),
        };
        let public = secret.is_empty() && seen.headers.get(header::AUTHORIZATION).is_none();
        if id != CLIENT_ID || !(public || secret == CLIENT_SECRET) {
            return refuse(401, "invalid_client", "unknown client");
        }
        let code = field("code");
        let Some(granted) = self.codes.lock().unwrap().open.remove(code) else {
            return refuse(400, "invalid_grant", &format!("the code {code} is unknown or used"));
        };
        let challenge = base64url(&sha256(&[field("code_verifier").as_bytes()]));
        if granted.challenge != challenge || granted.redirect_uri != field("redirect_uri") {
            return refuse(400, "invalid_grant", "verifier or redirect_uri");
        }
        let access_token = base64url(&sha256(&[b"access", code.as_bytes()]));
        let id_token = self.id_token(&granted, &access_token);
        let mut codes = self.codes.lock().unwrap();
        codes.last_id_token.clone_from(&id_token);
        codes.last_access_token.clone_from(&access_token);
        Canned::json(
            200,
            &json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}),
        )
    }

    fn id_token(&self, granted: &Granted, access_token: &str) -> String {
        let mut bends = self.bends.lock().unwrap();
        let now = (bends.clock)();
        let signer = bends.signer.clone();
        let mut claims = members(json!({"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300}));
        claims.extend(bends.person.clone());
        if let Some(nonce) = &granted.nonce {
            claims.insert("nonce".into(), nonce.clone().into());
        }
        if granted.max_age {
            claims.insert("auth_time".into(), now.into());
        }
        claims.insert("at_hash".into(), half_hash(signer.alg, access_token).into());
        let mut header = signer.header();
        if let Some(edit) = &bends.every_token {
            edit(&mut header, &mut claims);
        }
        if let Some(edit) = bends.next_token.take() {
            edit(&mut header, &mut claims);
        }
        match bends.forge.take() {
            Some(forge) => forge(header, claims),
            None => signer.token(&header, &claims),
        }
    }

    fn inform(&self, seen: &Seen) -> Canned {
        let expected = format!("Bearer {}", self.codes.lock().unwrap().last_access_token);
        if seen.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) != Some(&expected) {
            return Canned { status: 401, headers: vec![], body: vec![] };
        }
        let bends = self.bends.lock().unwrap();
        let mut claims = bends.person.clone();
        if let Some(edit) = &bends.userinfo {
            edit(&mut claims);
        }
        Canned::json(200, &Value::Object(claims))
    }
}

/// `at_hash` and `c_hash` (OpenID Connect Core §3.1.3.6).
pub fn half_hash(alg: &str, text: &str) -> String {
    use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
    let algorithm = match &alg[2..] {
        "256" => &SHA256,
        "384" => &SHA384,
        _ => &SHA512,
    };
    let hash = digest(algorithm, text.as_bytes());
    base64url(&hash.as_ref()[..hash.as_ref().len() / 2])
}

fn basic(value: &str) -> (String, String) {
    let plain = STANDARD.decode(value.strip_prefix("Basic ").unwrap()).unwrap();
    let plain = String::from_utf8(plain).unwrap();
    let (id, secret) = plain.split_once(':').unwrap();
    let decode =
        |text: &str| url::form_urlencoded::parse(format!("x={text}").as_bytes()).next().unwrap().1.into_owned();
    (decode(id), decode(secret))
}
