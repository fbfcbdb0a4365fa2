//! The simulator's routes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Client, Fault, Grant, Simulator, TOKEN_LIFE, lock, remember};
use crate::crypto::{base64url, same, sha256};
use crate::error::{Error, Result, codes};
use crate::http::extract::{Form, Params, Query, read_form};
use crate::http::page::{ASSET_CACHE, Failure, asset};
use crate::http::{Door, RequestInfo, Site, reply};

/// Longer than any relying party waits.
const SLOW: Duration = Duration::from_secs(12);

impl Simulator {
    /// Its routes, for a listener on the loopback address `at`. Requests for other host names are refused, so that no
    /// page of the web reaches it under a name of its own.
    pub fn router(&self, at: SocketAddr) -> Router {
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize).post(chosen))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .route("/static/{*path}", get(file))
            .merge(super::saml::routes())
            .with_state(self.clone());
        let site = Site::new(&self.0.issuer, &[at], Vec::new());
        Door::public(self.0.env.clone(), Arc::new(site)).guard(routes)
    }
}

async fn discovery(State(simulator): State<Simulator>) -> Response {
    let at = |path: &str| simulator.0.issuer.at(path);
    answer(
        StatusCode::OK,
        &json!({
            "issuer": simulator.issuer(),
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/jwks"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "profile", "email", "groups"],
            "authorization_response_iss_parameter_supported": true,
            "claims_supported": ["iss", "sub", "aud", "iat", "exp", "nonce", "auth_time", "acr", "amr", "at_hash", "name",
                "given_name", "family_name", "email", "email_verified", "groups", "roles"],
        }),
    )
}

async fn jwks(State(simulator): State<Simulator>) -> Response {
    let keys: Vec<Value> = lock(&simulator.0.keys).iter().map(|key| key.jwk()).collect();
    answer(StatusCode::OK, &json!({ "keys": keys }))
}

async fn authorize(State(simulator): State<Simulator>, info: RequestInfo, Query(parameters): Query) -> Response {
    simulator.page(&parameters, info.id).unwrap_or_else(|error| failed(&error, &info))
}

async fn chosen(State(simulator): State<Simulator>, info: RequestInfo, Form(parameters): Form) -> Response {
    simulator.choose(&parameters).unwrap_or_else(|error| failed(&error, &info))
}

/// What cannot be told to the client is told to the person.
fn failed(error: &Error, info: &RequestInfo) -> Response {
    reply::log(error, info.id);
    reply::html(reply::page_status(error), Failure::from_error(error, info.id.to_string()).render(), [])
}

async fn token(State(simulator): State<Simulator>, info: RequestInfo, request: Request) -> Response {
    let headers = request.headers().clone();
    let redeemed = async {
        let parameters = read_form(request).await?;
        simulator.redeem(&headers, &parameters)
    };
    let grant = match redeemed.await {
        Ok(grant) => grant,
        Err(error) => return reply::oauth_error(&error, info.id, headers.contains_key(header::AUTHORIZATION)),
    };
    match grant.fault {
        Some(Fault::Slow) => tokio::time::sleep(SLOW).await,
        Some(Fault::TokenError) => {
            return answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": "server_error"}));
        }
        _ => {}
    }
    simulator.tokens(grant).unwrap_or_else(|error| reply::oauth_error(&error, info.id, false))
}

impl Simulator {
    /// Who redeems what (RFC 6749 §4.1.3, RFC 7636 §4.6). A code is taken out of the list before anything is compared,
    /// so it is good once. Errors: `invalid_client`, `invalid_grant`, `unsupported_grant_type`, `invalid_request`.
    fn redeem(&self, headers: &HeaderMap, parameters: &Params) -> Result<Grant> {
        let client = self.authenticate(headers, parameters)?;
        if parameters.need("grant_type")? != "authorization_code" {
            return Err(Error::new(&codes::UNSUPPORTED_GRANT_TYPE));
        }
        let (code, verifier) = (parameters.need("code")?, parameters.need("code_verifier")?);
        let redirect_uri = parameters.need("redirect_uri")?;
        let grant = take(&mut lock(&self.0.codes), code).ok_or_else(|| Error::new(&codes::INVALID_GRANT))?;
        let challenge = base64url(&sha256(&[verifier.as_bytes()]));
        let fits = grant.client == client.id
            && grant.redirect_uri == redirect_uri
            && same(grant.challenge.as_bytes(), challenge.as_bytes())
            && self.0.env.now() < grant.expires_at;
        if fits { Ok(grant) } else { Err(Error::new(&codes::INVALID_GRANT)) }
    }

    /// RFC 6749 §2.3.1, by header or by body, not by both. Errors: `invalid_client`.
    fn authenticate(&self, headers: &HeaderMap, parameters: &Params) -> Result<Client> {
        let refuse = || Error::new(&codes::INVALID_CLIENT);
        let (id, secret) = match headers.get(header::AUTHORIZATION) {
            Some(value) => {
                let text = value.to_str().ok().and_then(|text| text.strip_prefix("Basic ")).ok_or_else(refuse)?;
                let pair =
                    STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(refuse)?;
                let (id, secret) = pair.split_once(':').ok_or_else(refuse)?;
                if parameters.one("client_secret")?.is_some() {
                    return Err(refuse());
                }
                (form_decoded(id), form_decoded(secret))
            }
            None => (parameters.need("client_id")?.to_owned(), parameters.need("client_secret")?.to_owned()),
        };
        let client = self.client(&id).ok_or_else(refuse)?;
        if same(client.secret.expose().as_bytes(), secret.as_bytes()) { Ok(client) } else { Err(refuse()) }
    }

    fn tokens(&self, grant: Grant) -> Result<Response> {
        let access_token = base64url(&self.0.env.random::<32>());
        let id_token = self.id_token(&grant, &access_token)?;
        let expires_at = self.0.env.now() + TOKEN_LIFE;
        remember(&self.0.tokens, Grant { value: access_token.clone(), expires_at, ..grant });
        Ok(answer(
            StatusCode::OK,
            &json!({"access_token": access_token, "token_type": "Bearer", "expires_in": TOKEN_LIFE.as_secs(),
                    "scope": "openid profile email", "id_token": id_token}),
        ))
    }
}

fn form_decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("v={text}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn take(list: &mut std::collections::VecDeque<Grant>, value: &str) -> Option<Grant> {
    let place = list.iter().position(|grant| same(grant.value.as_bytes(), value.as_bytes()))?;
    list.remove(place)
}

async fn userinfo(State(simulator): State<Simulator>, info: RequestInfo, headers: HeaderMap) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let now = simulator.0.env.now();
    let grant = bearer.and_then(|bearer| {
        let tokens = lock(&simulator.0.tokens);
        tokens.iter().find(|grant| same(grant.value.as_bytes(), bearer.as_bytes()) && now < grant.expires_at).cloned()
    });
    match grant {
        Some(grant) => answer(StatusCode::OK, &Simulator::userinfo(&grant)),
        None => reply::bearer_error(&Error::new(&codes::INVALID_TOKEN), info.id),
    }
}

async fn file(Path(path): Path<String>) -> Response {
    let Some((kind, bytes, _)) = asset(&path) else {
        return answer(StatusCode::NOT_FOUND, &json!({"error": "not_found"}));
    };
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(ASSET_CACHE));
    response
}

fn answer(status: StatusCode, body: &Value) -> Response {
    reply::json(status, body).unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
