//! The sample app: a confidential client as any product would have one. It reaches authd over HTTP alone.
//!
//! ```text
//!  GET /  ─► page        GET /sign-in ─► authd        GET /callback?code&state&iss ─► token, verified ─► GET /
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use url::Url;

use super::setup::{APP, Made, ORGANIZATION};
use super::verify::{self, Examined, Expected, examine};
use crate::app::App;
use crate::config::{Config, PublicUrl};
use crate::crypto::jws::KeySet;
use crate::crypto::{base64url, same, sha256};
use crate::env::{Env, Outbound, Request, Timestamp};
use crate::error::{Error, Result, codes};
use crate::http::extract::{Params, Query};
use crate::http::page::{ASSET_CACHE, DemoHome, DemoToken, Notice, asset};
use crate::http::{Door, Fetch, OutboundRules, RequestInfo, Site, SystemDns, reply};

/// The app's own cookie. Cookies know no ports, so it must not be named like one of authd's.
const COOKIE: &str = "sample_app";
/// How long a sign-in may take.
const PATIENCE: Duration = Duration::from_secs(600);
const MOST: usize = 1_000;

/// A browser of the app, by its cookie.
#[derive(Clone)]
struct Visitor {
    cookie: String,
    pending: Option<Pending>,
    signed_in: Option<Examined>,
    error: Option<Notice>,
}

/// A sign-in that this browser began.
#[derive(Clone)]
struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    expires_at: Timestamp,
}

struct Inner {
    env: Env,
    /// The app's own client: it may call authd, and nobody else on this machine.
    outbound: Fetch,
    issuer: PublicUrl,
    made: Made,
    url: PublicUrl,
    visitors: Mutex<VecDeque<Visitor>>,
}

/// The sample app.
#[derive(Clone)]
pub(super) struct Sample(Arc<Inner>);

/// The provider's addresses.
struct Provider {
    authorize: Url,
    token: Url,
    keys: Url,
}

impl Sample {
    /// Errors: `config_invalid`.
    pub fn new(app: &App, config: &Config, made: Made, url: &str) -> Result<Self> {
        let issuer = app.world.deployment.public_url.clone();
        let rules = OutboundRules::parse(&[issuer.authority()])?;
        let outbound = Fetch::new(rules, Arc::new(SystemDns::new()), config.outbound.ca_file.as_slice())?;
        Ok(Self(Arc::new(Inner {
            env: app.world.env.clone(),
            outbound,
            issuer,
            made,
            url: PublicUrl::parse(url)?,
            visitors: Mutex::default(),
        })))
    }

    /// The app's routes, for a listener at `at`.
    pub fn router(&self, at: SocketAddr) -> Result<Router> {
        let routes = Router::new()
            .route("/", get(home))
            .route("/sign-in", get(sign_in))
            .route("/callback", get(callback))
            .route("/sign-out", get(sign_out))
            .route("/static/{*path}", get(file))
            .with_state(self.clone());
        let site = Site::new(&self.0.url, &[at], Vec::new());
        Ok(Door::public(self.0.env.clone(), Arc::new(site)).guard(routes))
    }

    fn visitors(&self) -> MutexGuard<'_, VecDeque<Visitor>> {
        self.0.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The browser that sent these headers; a new one if it is not known.
    fn visitor(&self, headers: &HeaderMap) -> Visitor {
        let given = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        let known = given.and_then(|given| {
            self.visitors().iter().find(|visitor| same(visitor.cookie.as_bytes(), given.as_bytes())).cloned()
        });
        known.unwrap_or_else(|| Visitor {
            cookie: base64url(&self.0.env.random::<32>()),
            pending: None,
            signed_in: None,
            error: None,
        })
    }

    /// Remembers the browser, and gives the answer its cookie.
    fn keep(&self, visitor: Visitor, mut answer: Response) -> Result<Response> {
        let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax", visitor.cookie);
        let mut visitors = self.visitors();
        visitors.retain(|known| known.cookie != visitor.cookie);
        if visitors.len() >= MOST {
            visitors.pop_front();
        }
        visitors.push_back(visitor);
        answer.headers_mut().append(header::SET_COOKIE, HeaderValue::try_from(cookie).map_err(Error::bug)?);
        Ok(answer)
    }

    async fn fetch(&self, request: Request) -> Result<(u16, Value)> {
        let answer = self.0.outbound.send(request).await?;
        let body = serde_json::from_slice(&answer.body).map_err(|e| {
            Error::says(&codes::UPSTREAM_INVALID, "authd answered with something that is no JSON.").because(e)
        })?;
        Ok((answer.status, body))
    }

    /// Discovery, as any client does it: the document must be that of the issuer it was asked for.
    async fn provider(&self) -> Result<Provider> {
        let url = Url::parse(&self.0.issuer.at("/.well-known/openid-configuration")).map_err(Error::bug)?;
        let (_, document) = self.fetch(Request::get(url)).await?;
        if document["issuer"] != self.0.issuer.issuer() {
            return Err(Error::new(&codes::ISSUER_MISMATCH));
        }
        let address = |name: &str| {
            let text = document[name].as_str().unwrap_or_default();
            Url::parse(text).map_err(|e| Error::new(&codes::METADATA_INVALID).because(e))
        };
        Ok(Provider {
            authorize: address("authorization_endpoint")?,
            token: address("token_endpoint")?,
            keys: address("jwks_uri")?,
        })
    }

    fn redirect_uri(&self) -> String {
        self.0.url.at("/callback")
    }

    async fn begin(&self, visitor: &mut Visitor, again: bool) -> Result<Response> {
        let provider = self.provider().await?;
        let text = || base64url(&self.0.env.random::<32>());
        let expires_at = self.0.env.now() + PATIENCE;
        let pending = Pending { state: text(), nonce: text(), verifier: text(), expires_at };
        let challenge = base64url(&sha256(&[pending.verifier.as_bytes()]));
        let mut url = provider.authorize;
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", self.0.made.client_id.as_str()),
            ("redirect_uri", &self.redirect_uri()),
            ("scope", "openid profile email groups"),
            ("state", &pending.state),
            ("nonce", &pending.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        if again {
            // Whoever signs in again wants to be somebody else, or to see another fault.
            url.query_pairs_mut().append_pair("prompt", "login");
        }
        visitor.pending = Some(pending);
        visitor.error = None;
        reply::see_other(url.as_str())
    }

    async fn finish(&self, visitor: &mut Visitor, parameters: &Params) -> Result<Examined> {
        let now = self.0.env.now();
        let stale = || Error::new(&codes::STATE_MISMATCH);
        let pending = visitor.pending.take().filter(|pending| now < pending.expires_at).ok_or_else(stale)?;
        let state = parameters.one("state")?.unwrap_or_default();
        if !same(state.as_bytes(), pending.state.as_bytes()) {
            return Err(stale());
        }
        // RFC 9207: an answer of another provider is not acted upon.
        if parameters.one("iss")? != Some(self.0.issuer.issuer()) {
            return Err(Error::new(&codes::ISSUER_MISMATCH));
        }
        if let Some(error) = parameters.one("error")? {
            let why = parameters.one("error_description")?.unwrap_or_default();
            let shown: String = format!("authd answered {error}. {why}").chars().take(300).collect();
            return Err(Error::says(&codes::ACCESS_DENIED, shown));
        }
        let code = parameters.need("code")?;
        let provider = self.provider().await?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri()),
            ("code_verifier", &pending.verifier),
        ];
        // RFC 6749 §2.3.1: both halves form-encoded, then Basic.
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let Made { client_id, client_secret } = &self.0.made;
        let pair = STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(client_secret.expose())));
        let request =
            Request::post_form(provider.token, &fields).header(header::AUTHORIZATION, &format!("Basic {pair}"));
        let (status, tokens) = self.fetch(request).await?;
        let (Some(id_token), Some(access_token)) = (tokens["id_token"].as_str(), tokens["access_token"].as_str())
        else {
            return Err(Error::says(&codes::CODE_REFUSED, "authd did not accept the code.")
                .because(format!("status {status}: {}", tokens["error"])));
        };
        let (_, keys) = self.fetch(Request::get(provider.keys)).await?;
        let keys = KeySet::parse(keys.to_string().as_bytes())?;
        let expected = Expected {
            issuer: self.0.issuer.issuer(),
            client_id,
            nonce: &pending.nonce,
            access_token,
            now: self.0.env.now(),
        };
        Ok(examine(id_token, &keys, &expected))
    }

    fn page(&self, visitor: &Visitor) -> String {
        let Some(examined) = &visitor.signed_in else {
            return DemoHome {
                app_name: APP.to_owned(),
                organization: ORGANIZATION.to_owned(),
                try_email: super::try_email().to_owned(),
                sign_in_href: "/sign-in".to_owned(),
                error: visitor.error.clone(),
            }
            .render();
        };
        let json = |map| serde_json::to_string_pretty(map).unwrap_or_default();
        DemoToken {
            app_name: APP.to_owned(),
            name: examined.text("name"),
            email: examined.text("email"),
            checks: examined.checks.clone(),
            claims: verify::explained(&examined.claims),
            header_json: json(&examined.header),
            payload_json: json(&examined.claims),
            token: examined.token.clone(),
            again_href: "/sign-in?again=1".to_owned(),
            sign_out_href: Some("/sign-out".to_owned()),
        }
        .render()
    }

    /// Whatever went wrong is told on the app's own page.
    fn failed(&self, mut visitor: Visitor, error: &Error, info: &RequestInfo) -> Result<Response> {
        reply::log(error, info.id);
        visitor.error = Some(Notice::from(error));
        visitor.signed_in = None;
        let page = self.page(&visitor);
        visitor.error = None;
        self.keep(visitor, reply::html(reply::page_status(error), page, []))
    }
}

fn done(answer: Result<Response>, info: &RequestInfo) -> Response {
    answer.unwrap_or_else(|error| reply::problem(&error, info.id))
}

async fn home(State(sample): State<Sample>, info: RequestInfo, headers: HeaderMap) -> Response {
    let visitor = sample.visitor(&headers);
    let page = sample.page(&visitor);
    done(sample.keep(visitor, reply::html(StatusCode::OK, page, [])), &info)
}

async fn sign_in(
    State(sample): State<Sample>,
    info: RequestInfo,
    headers: HeaderMap,
    Query(parameters): Query,
) -> Response {
    let mut visitor = sample.visitor(&headers);
    let again = parameters.all("again").next().is_some();
    let answer = match sample.begin(&mut visitor, again).await {
        Ok(answer) => sample.keep(visitor, answer),
        Err(error) => sample.failed(visitor, &error, &info),
    };
    done(answer, &info)
}

async fn callback(
    State(sample): State<Sample>,
    info: RequestInfo,
    headers: HeaderMap,
    Query(parameters): Query,
) -> Response {
    let mut visitor = sample.visitor(&headers);
    let answer = match sample.finish(&mut visitor, &parameters).await {
        Ok(examined) => {
            if !examined.holds() {
                tracing::warn!(request_id = %info.id, "the sample app got a token that does not hold");
            }
            visitor.signed_in = Some(examined);
            // The code does not stay in the address bar.
            reply::see_other("/").and_then(|answer| sample.keep(visitor, answer))
        }
        Err(error) => sample.failed(visitor, &error, &info),
    };
    done(answer, &info)
}

/// Ends the app's own session, and leads to authd's page, where one's session there can be ended.
async fn sign_out(State(sample): State<Sample>, info: RequestInfo, headers: HeaderMap) -> Response {
    let visitor = sample.visitor(&headers);
    sample.visitors().retain(|known| known.cookie != visitor.cookie);
    done(reply::see_other(&sample.0.issuer.at("/signin")), &info)
}

async fn file(info: RequestInfo, Path(path): Path<String>) -> Response {
    let Some((kind, bytes, _)) = asset(&path) else {
        return reply::problem(&Error::new(&codes::NOT_FOUND), info.id);
    };
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(ASSET_CACHE));
    response
}
