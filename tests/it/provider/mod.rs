//! authd as an OpenID provider, from the outside: its routes, and the flows that signing in hangs on.

mod api_tokens;
mod apps;
mod assertions;
mod authorize;
mod backchannel;
mod clients;
mod codes;
mod devices;
mod endings;
mod issuers;
mod jwt;
mod keys;
mod machines;
mod mapped;
mod meant;
mod published;
mod pushed;
mod refresh;
mod userinfo;

use std::sync::Arc;
use std::time::Duration;

use authd::access::{Caller, Context, Deployment, Operation, World, perform};
use authd::config::PublicUrl;
use authd::crypto::{MasterKey, Secret};
use authd::directory::{CreateOrganization, Membership, User};
use authd::env::Env;
use authd::event::{Event, EventKind, Origin};
use authd::http::RequestInfo;
use authd::id::{AppId, OrganizationId, RequestId, UserId};
use authd::provider::authorize::{AuthorizeRequest, Refusal, validate};
use authd::provider::{CreateApp, code};
use authd::session::{Epochs, NewSession, Scope, Session};
use authd::store::{Batch, Store, Stored};
use authd::token::Keyring;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub const ISSUER: &str = "https://id.example.com/sso";
pub const CALLBACK: &str = "https://app.example.com/cb";
/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A deployment with nothing in it.
pub struct Lab {
    pub world: World,
    pub keyring: Keyring,
    pub router: Router,
}

/// An app with its credentials.
#[derive(Clone)]
pub struct Client {
    pub id: AppId,
    pub secret: Option<String>,
}

/// An answer of a route.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// Refused by the token endpoint, with that error.
    #[track_caller]
    pub fn refused(&self, status: u16, error: &str) {
        assert_eq!((self.status.as_u16(), self.text("error")), (status, error), "{}", self.body);
        assert!(self.body.get("access_token").is_none() && self.body.get("id_token").is_none());
        assert!(!self.text("error_description").is_empty() && self.text("request_id").starts_with("req_"));
        assert_eq!(self.header(header::CACHE_CONTROL), "no-store");
    }
}

/// The app's side of a code: what it will redeem it with.
#[derive(Clone)]
pub struct Redeem<'a> {
    pub client: &'a Client,
    pub code: String,
    pub redirect_uri: String,
    pub verifier: Option<String>,
}

impl Lab {
    pub async fn new() -> Self {
        Self::within(Env::frozen()).await
    }

    /// In a world of one's own.
    pub async fn within(env: Env) -> Self {
        let deployment = Deployment {
            public_url: PublicUrl::parse(ISSUER).unwrap(),
            master_key: MasterKey::generate(&env),
            rotate_every: None,
        };
        let store = Store::in_memory(env.clone()).unwrap();
        let world = World { env, store, deployment: Arc::new(deployment) };
        let keyring = Keyring::new();
        let info = RequestInfo { id: RequestId::new(&world.env), ip: None, user_agent: None };
        let router = authd::provider::http(world.clone(), keyring.clone()).layer(axum::Extension(info));
        let lab = Self { world, keyring, router };
        // As at a start: so that no request makes the first key.
        lab.keyring.ensure(&lab.operator()).await.unwrap();
        lab
    }

    pub fn store(&self) -> &Store {
        &self.world.store
    }

    pub fn env(&self) -> &Env {
        &self.world.env
    }

    pub fn context(&self, caller: Caller) -> Context {
        self.world.context(caller, Origin::internal(&self.world.env))
    }

    pub fn operator(&self) -> Context {
        self.context(Caller::Operator { uid: 1000 })
    }

    pub async fn perform<O: Operation>(&self, operation: O) -> O::Output {
        perform(&self.operator(), &operation).await.unwrap()
    }

    pub async fn organization(&self, name: &str) -> OrganizationId {
        self.perform(CreateOrganization { name: name.to_owned() }).await.id
    }

    /// A person who is a member.
    pub async fn person(&self, organization: OrganizationId, name: &str) -> UserId {
        let now = self.env().now();
        let user = User { id: UserId::new(self.env()), created_at: now, disabled_at: None };
        let membership = Membership {
            email: Some(format!("{name}@example.test")),
            email_verified: true,
            name: Some(name.to_owned()),
            given_name: Some(name.to_owned()),
            family_name: Some("Lovelace".to_owned()),
            image: Some("https://pictures.example.test/1.png".to_owned()),
            groups: vec!["engineers".to_owned(), "on call".to_owned()],
            ..Membership::new(organization, user.id, now)
        };
        let mut batch = Batch::new();
        batch.create(&user).create(&membership).log(self.operator().event(EventKind::UserCreated));
        self.store().commit(batch).await.unwrap();
        user.id
    }

    /// Changes a membership behind everybody's back.
    pub async fn change(&self, organization: OrganizationId, user: UserId, change: impl FnOnce(&mut Membership)) {
        let key = Membership::key_of(organization, user);
        let Stored { mut value, revision } = self.store().get::<Membership>(key).await.unwrap().unwrap();
        change(&mut value);
        let mut batch = Batch::new();
        batch.update(&value, revision).log(self.operator().event(EventKind::UserUpdated));
        self.store().commit(batch).await.unwrap();
    }

    pub async fn session(&self, organization: OrganizationId, user: UserId) -> Session {
        let under = Epochs::capture(self.store(), &[Scope::Organization(organization)]).await.unwrap();
        let new = NewSession {
            organization,
            user,
            connection: None,
            under,
            auth_time: self.env().now() - Duration::from_secs(5),
            acr: Some("urn:example:mfa".to_owned()),
            amr: vec!["pwd".to_owned(), "otp".to_owned()],
            upstream_session: None,
            upstream_subject: None,
            break_glass: None,
            handed: false,
            email: None,
            until: None,
        };
        let mut batch = Batch::new();
        let opened = Session::open(&self.operator(), new, &mut batch).await.unwrap();
        self.store().commit(batch).await.unwrap();
        opened.session
    }

    /// An app of the organization; `more` are further fields of `app.create`.
    pub async fn app(&self, organization: OrganizationId, more: Value) -> Client {
        let mut input = json!({"organization": organization, "name": "App", "redirectUris": [CALLBACK]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let created = self.perform(serde_json::from_value::<CreateApp>(input).unwrap()).await;
        Client { id: created.client_id, secret: created.client_secret.map(|secret: Secret| secret.expose().to_owned()) }
    }

    /// An organization with a person who is signed in, and an app.
    pub async fn scene(&self) -> (Client, Session) {
        let organization = self.organization("Acme").await;
        let user = self.person(organization, "ada").await;
        (self.app(organization, json!({})).await, self.session(organization, user).await)
    }

    pub async fn authorize(&self, parameters: &[(&str, &str)]) -> Result<AuthorizeRequest, Refusal> {
        let pairs: Vec<_> = parameters.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        validate(&self.context(Caller::Anonymous), &pairs).await
    }

    /// The request that an honest app makes.
    pub async fn request(&self, client: &Client) -> AuthorizeRequest {
        let id = client.id.to_string();
        self.authorize(&request(&id)).await.unwrap()
    }

    /// The address that the browser is sent back to.
    pub async fn mint(&self, request: &AuthorizeRequest, session: &Session) -> String {
        let mut batch = Batch::new();
        let url = code::mint(&self.context(Caller::Anonymous), request, session, None, &mut batch).await.unwrap().url();
        self.store().commit(batch).await.unwrap();
        url
    }

    /// A code, ready to be redeemed.
    pub async fn code<'a>(&self, client: &'a Client, session: &Session) -> Redeem<'a> {
        let request = self.request(client).await;
        let url = self.mint(&request, session).await;
        Redeem {
            client,
            code: query(&url, "code").unwrap(),
            redirect_uri: CALLBACK.to_owned(),
            verifier: Some(VERIFIER.to_owned()),
        }
    }

    pub async fn redeem(&self, redeem: &Redeem<'_>) -> Answer {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", &*redeem.code),
            ("redirect_uri", &*redeem.redirect_uri),
        ];
        form.extend(redeem.verifier.as_deref().map(|verifier| ("code_verifier", verifier)));
        let id = redeem.client.id.to_string();
        match &redeem.client.secret {
            Some(secret) => self.token(&form, Some(&basic(&id, secret))).await,
            None => {
                form.push(("client_id", &id));
                self.token(&form, None).await
            }
        }
    }

    /// The whole way: a code for the session, redeemed.
    pub async fn tokens(&self, client: &Client, session: &Session) -> Answer {
        let answer = self.redeem(&self.code(client, session).await).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer
    }

    pub async fn token(&self, form: &[(&str, &str)], authorization: Option<&str>) -> Answer {
        self.post("/oauth2/token", form, authorization).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)], authorization: Option<&str>) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    pub async fn userinfo(&self, token: &str) -> Answer {
        let request = Request::get("/userinfo").header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// How often that happened.
    pub async fn count(&self, kind: EventKind) -> usize {
        self.events().await.iter().filter(|event| event.kind == kind).count()
    }

    pub async fn events(&self) -> Vec<Event> {
        let (mut events, mut after) = (Vec::new(), 0);
        loop {
            let rows = self.store().tail(after, 1_000, None).await.unwrap();
            let Some(last) = rows.last() else { return events };
            after = last.row.seq;
            events.extend(rows.iter().map(|row| Event::read(row).unwrap()));
        }
    }

    /// Ends everything under the scope, as an operation of another module does it.
    pub async fn end(&self, scope: Scope) {
        let mut batch = Batch::new();
        authd::session::bump(self.store(), scope, &mut batch).await.unwrap();
        batch.log(self.operator().event(EventKind::SessionInvalidated));
        self.store().commit(batch).await.unwrap();
    }

    /// The number of the next commit, which is used up by asking.
    pub async fn commit_number(&self) -> u64 {
        let mut batch = Batch::new();
        batch.log(self.operator().event(EventKind::ServerStarted));
        self.store().commit(batch).await.unwrap().0
    }

    /// The token's claims, verified by another library against the published keys.
    pub async fn verified(&self, token: &str, audience: &str) -> (jsonwebtoken::Header, Value) {
        let set: jsonwebtoken::jwk::JwkSet =
            serde_json::from_value(self.get("/.well-known/jwks.json").await.body).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let jwk = set.find(header.kid.as_ref().unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(header.alg);
        // The clock of these tests stands still in the past.
        validation.validate_exp = false;
        validation.set_audience(&[audience]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
        (header, jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims)
    }
}

/// The parameters of an honest request.
pub fn request(client_id: &str) -> Vec<(&str, &str)> {
    vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email groups"),
        ("state", "the state"),
        ("nonce", "the nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

/// `parameters` with one of them set; left out where the value is none.
pub fn with<'a>(parameters: &[(&'a str, &'a str)], name: &'a str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut changed: Vec<_> = parameters.iter().copied().filter(|(known, _)| *known != name).collect();
    changed.extend(value.map(|value| (name, value)));
    changed
}

pub fn query(url: &str, name: &str) -> Option<String> {
    url::Url::parse(url).unwrap().query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

/// The part of a token that anybody can read.
pub fn part(token: &str, place: usize) -> Value {
    let part = token.split('.').nth(place).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
