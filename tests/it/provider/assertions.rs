//! Apps that prove themselves by a token that they sign (`private_key_jwt`, RFC 7523).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use authd::access::perform;
use authd::env::{Env, Outbound, Request as Outgoing, Response as Incoming};
use authd::error::{Error, Result, codes};
use authd::event::EventKind;
use authd::provider::{CreateApp, RotateAppSecret, UpdateApp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::{Answer, CALLBACK, Client, ISSUER, Lab, VERIFIER, basic, request};
use crate::world::op::{Signer, members};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A door: its path, a form that it takes, and its answer to that.
type Door<'a> = (&'a str, Vec<(&'a str, &'a str)>, u16);

/// An assertion before it is signed.
#[derive(Clone)]
struct Draft {
    signer: Signer,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Draft {
    fn of(lab: &Lab, client: &Client, signer: &Signer) -> Self {
        let (id, now) = (client.id.to_string(), lab.env().now().seconds());
        let jti = URL_SAFE_NO_PAD.encode(lab.env().random::<16>());
        let claims = members(json!({"iss": id, "sub": id, "aud": ISSUER, "jti": jti, "iat": now, "exp": now + 60}));
        Self { signer: signer.clone(), header: signer.header(), claims }
    }

    fn say(mut self, name: &str, value: Value) -> Self {
        match value {
            Value::Null => self.claims.remove(name),
            value => self.claims.insert(name.to_owned(), value),
        };
        self
    }

    fn head(mut self, name: &str, value: Value) -> Self {
        self.header.insert(name.to_owned(), value);
        self
    }

    fn signed(&self) -> String {
        self.signer.token(&self.header, &self.claims)
    }
}

impl Lab {
    async fn key_app(&self, signer: &Signer) -> Client {
        let organization = self.organization("Keys").await;
        let more = json!({
            "authMethod": "private_key_jwt", "jwks": {"keys": [signer.jwk()]},
            "grantTypes": ["client_credentials", "authorization_code"],
        });
        let client = self.app(organization, more).await;
        assert!(client.secret.is_none(), "a key, and no secret");
        client
    }

    async fn assert(&self, assertion: &str, more: &[(&str, &str)]) -> Answer {
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_assertion_type", TYPE),
            ("client_assertion", assertion),
        ];
        form.extend(more);
        self.token(&form, None).await
    }
}

#[tokio::test]
async fn op_06_every_kind_of_key_pair_proves_an_app() {
    let lab = Lab::new().await;
    let mut signers =
        vec![Signer::es256("a"), Signer::es384("b"), Signer::es512("c"), Signer::ed25519("d"), Signer::es256("e")];
    for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        signers.push(Signer::rsa(0, alg, alg));
    }
    for signer in &signers {
        let client = lab.key_app(signer).await;
        let token_endpoint = format!("{ISSUER}/oauth2/token");
        for draft in [
            Draft::of(&lab, &client, signer),
            Draft::of(&lab, &client, signer).say("aud", json!(token_endpoint)),
            Draft::of(&lab, &client, signer).say("aud", json!([ISSUER])),
            Draft::of(&lab, &client, signer).say("aud", json!([token_endpoint, ISSUER])),
            Draft::of(&lab, &client, signer).say("exp", json!(lab.env().now().seconds() + 300)),
            Draft::of(&lab, &client, signer).say("iat", Value::Null),
            Draft::of(&lab, &client, signer).head("typ", json!("client-authentication+jwt")),
        ] {
            let answer = lab.assert(&draft.signed(), &[]).await;
            assert_eq!(answer.status, 200, "{}: {:?} {}", signer.alg, draft.claims, answer.body);
        }
        let named = Draft::of(&lab, &client, signer).signed();
        assert_eq!(lab.assert(&named, &[("client_id", &client.id.to_string())]).await.status, 200);
    }
}

#[tokio::test]
async fn op_06_an_assertion_that_is_not_exactly_right_is_refused() {
    let lab = Lab::new().await;
    let (signer, stranger) = (Signer::es256("own"), Signer::es256("own"));
    let client = lab.key_app(&signer).await;
    let (id, now) = (client.id.to_string(), lab.env().now().seconds());
    let other = lab.key_app(&stranger).await.id.to_string();
    let good = || Draft::of(&lab, &client, &signer);
    let unsigned = {
        let claims = serde_json::to_vec(&good().claims).unwrap();
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
    };
    // The public key's bytes as the secret of an HMAC.
    let symmetric = {
        let header = json!({"alg": "HS256", "kid": "own", "typ": "JWT"}).to_string();
        let claims = serde_json::to_string(&good().claims).unwrap();
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let tag = authd::crypto::hmac_sha256(signer.pem().as_bytes(), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let mut foreign = good();
    foreign.signer = stranger.clone();
    let whole = good().signed();
    let flipped = format!("{}{}", &whole[..whole.len() - 4], if whole.ends_with("AAAA") { "BBBB" } else { "AAAA" });
    let mut rows: Vec<(&str, String)> = vec![
        ("unsigned", unsigned),
        ("HMAC with the public key", symmetric),
        ("another's key", foreign.signed()),
        ("a changed signature", flipped),
        ("no token", "x".into()),
        ("three dots", "...".into()),
        ("its own key in the header", foreign.clone().head("jwk", stranger.jwk()).signed()),
        ("an address of keys", foreign.head("jku", json!("https://evil.test/jwks")).signed()),
        ("an extension", good().head("crit", json!(["exp"])).signed()),
        ("another kind of token", good().head("typ", json!("at+jwt")).signed()),
        ("a logout token", good().head("typ", json!("logout+jwt")).signed()),
    ];
    for (name, claim, value) in [
        ("somebody else's audience", "aud", json!("https://evil.test")),
        ("the audience with a slash", "aud", json!(format!("{ISSUER}/"))),
        ("for others as well", "aud", json!([ISSUER, "https://evil.test"])),
        ("for nobody", "aud", json!([])),
        ("no audience", "aud", Value::Null),
        ("another endpoint", "aud", json!(format!("{ISSUER}/userinfo"))),
        ("another issuer", "iss", json!(other)),
        ("no issuer", "iss", Value::Null),
        ("another subject", "sub", json!(other)),
        ("no subject", "sub", Value::Null),
        ("expired", "exp", json!(now)),
        ("no end", "exp", Value::Null),
        ("an end as text", "exp", json!((now + 60).to_string())),
        ("too long a life", "exp", json!(now + 301)),
        ("a year", "exp", json!(now + 31_536_000)),
        ("not yet", "nbf", json!(now + 120)),
        ("made tomorrow", "iat", json!(now + 86_400)),
        ("no name", "jti", Value::Null),
        ("an empty name", "jti", json!("")),
        ("a number as its name", "jti", json!(7)),
        ("an endless name", "jti", json!("x".repeat(257))),
    ] {
        rows.push((name, good().say(claim, value).signed()));
    }
    let count = rows.len();
    for (name, assertion) in rows {
        let answer = lab.assert(&assertion, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.text("error")), (401, "invalid_client"), "{name}: {}", answer.body);
    }
    assert!(count > 30);

    // Two ways at once, two names, another type.
    let secret_app = lab.app(lab.organization("Secrets").await, json!({"grantTypes": ["client_credentials"]})).await;
    let secret = secret_app.secret.clone().unwrap();
    let header = basic(&secret_app.id.to_string(), &secret);
    let fields = |assertion: &'static str| [("grant_type", "client_credentials"), ("client_assertion_type", assertion)];
    let assertion = good().signed();
    for (more, authorization) in [
        (vec![("client_assertion", &*assertion), ("client_secret", &*secret)], None),
        (vec![("client_assertion", &*assertion)], Some(&*header)),
        (vec![("client_assertion", &*assertion), ("client_id", &*other)], None),
        (vec![("client_id", &*id)], None),
    ] {
        let form = [&fields(TYPE)[..], &more].concat();
        lab.token(&form, authorization).await.refused(401, "invalid_client");
    }
    let saml = fields("urn:ietf:params:oauth:client-assertion-type:saml2-bearer");
    let form = [&saml[..], &[("client_assertion", &*assertion)]].concat();
    lab.token(&form, None).await.refused(401, "invalid_client");
    // Its name alone, or a secret, is nothing of an app that has a key.
    lab.token(&[("grant_type", "client_credentials"), ("client_id", &id)], None).await.refused(401, "invalid_client");
    let header = basic(&id, "cs_anything");
    lab.token(&[("grant_type", "client_credentials")], Some(&header)).await.refused(401, "invalid_client");
    // And none of that has used the assertion up.
    assert_eq!(lab.assert(&assertion, &[]).await.status, 200);
}

#[tokio::test]
async fn op_06_an_assertion_proves_an_app_once_at_every_door() {
    let lab = Lab::new().await;
    let signer = Signer::es256("own");
    let client = lab.key_app(&signer).await;
    let id = client.id.to_string();
    let fresh = || Draft::of(&lab, &client, &signer).signed();
    let spent = fresh();
    let before = lab.commit_number().await;
    let token = lab.assert(&spent, &[]).await;
    assert_eq!(lab.commit_number().await - before, 2, "with what it was for, in one commit");
    assert_eq!(token.status, 200);
    let access = token.text("access_token").to_owned();
    let push = request(&id);
    let doors: [Door<'_>; 4] = [
        ("/oauth2/token", vec![("grant_type", "client_credentials")], 200),
        ("/oauth2/introspect", vec![("token", &access)], 200),
        ("/oauth2/par", push, 201),
        ("/oauth2/revoke", vec![("token", "x")], 200),
    ];
    for (path, form, status) in &doors {
        let with = |assertion: &str| {
            let mut form: Vec<(String, String)> =
                form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            form.push(("client_assertion_type".into(), TYPE.into()));
            form.push(("client_assertion".into(), assertion.to_owned()));
            form
        };
        let send = async |form: Vec<(String, String)>| {
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
            lab.post(path, &form, None).await
        };
        assert_eq!(send(with(&spent)).await.status, 401, "{path}: one from another door");
        let own = fresh();
        assert_eq!(send(with(&own)).await.status.as_u16(), *status, "{path}");
        assert_eq!(send(with(&own)).await.status, 401, "{path}: again");
        let raced = fresh();
        let all = futures_util::future::join_all((0..8).map(|_| send(with(&raced)))).await;
        assert_eq!(all.iter().filter(|answer| answer.status.as_u16() == *status).count(), 1, "{path}: at once");
    }
    // A refused request has used it up as well.
    let wasted = fresh();
    assert_eq!(lab.assert(&wasted, &[("scope", "unheard:of")]).await.text("error"), "invalid_scope");
    lab.assert(&wasted, &[]).await.refused(401, "invalid_client");
    // When it would have expired anyway, nobody needs to remember it.
    lab.env().advance(Duration::from_secs(61));
    lab.assert(&spent, &[]).await.refused(401, "invalid_client");
    assert!(lab.count(EventKind::TokenRefused).await > 0);
}

#[tokio::test]
async fn op_06_a_code_takes_the_proof_of_its_own_app() {
    let lab = Lab::new().await;
    let (signer, other) = (Signer::ed25519("own"), Signer::ed25519("other"));
    let organization = lab.organization("Acme").await;
    let user = lab.person(organization, "ada").await;
    let session = lab.session(organization, user).await;
    let app = async |signer: &Signer| {
        let more = json!({"authMethod": "private_key_jwt", "jwks": {"keys": [signer.jwk()]}});
        lab.app(organization, more).await
    };
    let (client, stranger) = (app(&signer).await, app(&other).await);
    let redeem = async |code: &str, assertion: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("client_assertion_type", TYPE),
            ("client_assertion", assertion),
        ];
        lab.token(&form, None).await
    };
    let code = lab.code(&client, &session).await.code;
    let tokens = redeem(&code, &Draft::of(&lab, &client, &signer).signed()).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let code = lab.code(&client, &session).await.code;
    redeem(&code, &Draft::of(&lab, &stranger, &other).signed()).await.refused(400, "invalid_grant");
    // A replayed assertion does nothing to a code.
    let code = lab.code(&client, &session).await.code;
    let spent = Draft::of(&lab, &client, &signer).signed();
    redeem("ac_nothing", &spent).await.refused(400, "invalid_grant");
    redeem(&code, &spent).await.refused(401, "invalid_client");
    assert_eq!(redeem(&code, &Draft::of(&lab, &client, &signer).signed()).await.status, 200);
}

/// Publishes keys at one address, and counts how often it is asked.
#[derive(Default)]
struct Published {
    keys: Mutex<Vec<Value>>,
    asked: AtomicUsize,
    down: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Outbound for Published {
    async fn send(&self, request: Outgoing) -> Result<Incoming> {
        assert_eq!(request.url.as_str(), "https://app.example.com/jwks.json");
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::new(&codes::UPSTREAM_UNAVAILABLE));
        }
        let body = json!({"keys": *self.keys.lock().unwrap()}).to_string().into_bytes();
        Ok(Incoming { status: 200, headers: axum::http::HeaderMap::new(), body })
    }
    fn permits(&self, _: &url::Url) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn op_06_published_keys_are_asked_for_seldom_and_rotate() {
    let published = Arc::new(Published::default());
    let (first, second, stranger) = (Signer::es256("1"), Signer::es256("2"), Signer::es256("3"));
    *published.keys.lock().unwrap() = vec![first.jwk()];
    let lab = Lab::within(Env::frozen().with_outbound(published.clone())).await;
    let organization = lab.organization("Acme").await;
    let more = json!({
        "authMethod": "private_key_jwt", "jwksUri": "https://app.example.com/jwks.json",
        "grantTypes": ["client_credentials"], "redirectUris": [],
    });
    let client = lab.app(organization, more).await;
    let status =
        async |signer: &Signer| lab.assert(&Draft::of(&lab, &client, signer).signed(), &[]).await.status.as_u16();
    published.down.store(true, Ordering::SeqCst);
    assert_eq!(status(&first).await, 503, "nobody's fault, and not the app's");
    published.down.store(false, Ordering::SeqCst);
    lab.env().advance(Duration::from_secs(31));
    for _ in 0..10 {
        assert_eq!(status(&first).await, 200);
    }
    assert_eq!(published.asked.load(Ordering::SeqCst), 2, "asked once more, and remembered");
    lab.env().advance(Duration::from_secs(31));
    for _ in 0..10 {
        assert_eq!(status(&stranger).await, 401);
    }
    assert_eq!(published.asked.load(Ordering::SeqCst), 3, "made-up keys ask once in 30 seconds");
    published.keys.lock().unwrap().push(second.jwk());
    lab.env().advance(Duration::from_secs(31));
    assert_eq!((status(&second).await, status(&first).await), (200, 200), "a new key is found");
    published.down.store(true, Ordering::SeqCst);
    lab.env().advance(Duration::from_secs(3600));
    assert_eq!(status(&second).await, 200, "known keys are used while the app's server is down");
}

#[tokio::test]
async fn an_app_is_registered_with_public_keys_that_can_verify() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let key = Signer::es256("k").jwk();
    let mut private = key.clone();
    private["d"] = json!("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I");
    for jwks in [
        json!({}),
        json!({"keys": []}),
        json!({"keys": {}}),
        json!([]),
        json!({"keys": [private]}),
        json!({"keys": [key, private]}),
        json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}),
        json!({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}),
    ] {
        let input = json!({
            "organization": organization, "name": "App", "redirectUris": [CALLBACK],
            "authMethod": "private_key_jwt", "jwks": jwks,
        });
        let create = serde_json::from_value::<CreateApp>(input).unwrap();
        let refused = perform(&lab.operator(), &create).await.unwrap_err();
        assert_eq!(refused.code(), "invalid_input", "{jwks}");
        assert!(!refused.to_string().contains("c2VjcmV0"), "{refused}");
    }
}

#[tokio::test]
async fn op_06_an_app_takes_the_way_it_is_registered_for_and_no_other() {
    let lab = Lab::new().await;
    let organization = lab.organization("Acme").await;
    let machine = json!({"grantTypes": ["client_credentials"], "redirectUris": []});
    let client = lab.app(organization, machine).await;
    let (id, secret) = (client.id.to_string(), client.secret.clone().unwrap());
    let grant = ("grant_type", "client_credentials");
    let header = async |secret: &str| lab.token(&[grant], Some(&basic(&id, secret))).await.status.as_u16();
    let form = async |secret: &str| {
        lab.token(&[grant, ("client_id", &id), ("client_secret", secret)], None).await.status.as_u16()
    };
    let update = async |more: Value| {
        let mut input = json!({"id": client.id});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        lab.perform(serde_json::from_value::<UpdateApp>(input).unwrap()).await
    };
    assert_eq!((header(&secret).await, form(&secret).await), (200, 200), "either, unless it says which");
    update(json!({"authMethod": "client_secret_basic"})).await;
    assert_eq!((header(&secret).await, form(&secret).await), (200, 401));
    update(json!({"authMethod": "client_secret_post"})).await;
    assert_eq!((header(&secret).await, form(&secret).await), (401, 200));
    let signer = Signer::es256("k");
    update(json!({"authMethod": "private_key_jwt", "jwks": {"keys": [signer.jwk()]}})).await;
    assert_eq!((header(&secret).await, form(&secret).await), (401, 401), "the secret has ended");
    assert_eq!(lab.assert(&Draft::of(&lab, &client, &signer).signed(), &[]).await.status, 200);
    update(json!({"authMethod": "client_secret_basic"})).await;
    assert_eq!(header(&secret).await, 401, "it does not come back");
    lab.assert(&Draft::of(&lab, &client, &signer).signed(), &[]).await.refused(401, "invalid_client");
    let rotated = lab.perform(RotateAppSecret { id: client.id, overlap_seconds: None }).await;
    assert_eq!(header(rotated.client_secret.unwrap().expose()).await, 200);
}
