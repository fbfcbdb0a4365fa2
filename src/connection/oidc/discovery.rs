//! The discovery document (OpenID Connect Discovery 1.0 §4): fetched, and believed only as far as it agrees with
//! what the connection says.

use axum::http::header;
use serde_json::{Map, Value};
use url::Url;

use super::check::refuse_multi_tenant;
use super::config::{Config, not_ready};
use crate::access::Context;
use crate::crypto::json;
use crate::crypto::jws::Algorithm;
use crate::env::{Env, Outbound, Request, Response};
use crate::error::{Error, Result, codes};

/// A longer document is refused.
const MAX_DOCUMENT: usize = 512 * 1024;

/// What authd needs to know of a provider, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Exactly as the provider's tokens must say it.
    pub issuer: String,
    /// Where the browser is sent.
    pub authorization_endpoint: Url,
    /// Where the code is redeemed.
    pub token_endpoint: Url,
    /// Where the keys are.
    pub jwks_uri: Url,
    /// Where more claims are, if anywhere.
    pub userinfo_endpoint: Option<Url>,
    /// The ways of client authentication it announces; absent means `client_secret_basic`.
    pub auth_methods: Option<Vec<String>>,
    /// The signature algorithms it announces, of those that are ever accepted.
    pub algorithms: Vec<Algorithm>,
    /// Whether every answer names the issuer (RFC 9207).
    pub names_issuer: bool,
}

/// What a provider says of itself, as it is shown.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Announced {
    /// The issuer, exactly as its tokens must say it.
    pub issuer: String,
    /// Where the browser is sent.
    pub authorization_endpoint: String,
    /// Where the code is redeemed.
    pub token_endpoint: String,
    /// Where the keys are.
    pub jwks_uri: String,
}

impl From<&Metadata> for Announced {
    fn from(metadata: &Metadata) -> Self {
        Self {
            issuer: metadata.issuer.clone(),
            authorization_endpoint: metadata.authorization_endpoint.to_string(),
            token_endpoint: metadata.token_endpoint.to_string(),
            jwks_uri: metadata.jwks_uri.to_string(),
        }
    }
}

/// Fetches and checks the discovery document, past every cache.
/// Errors: `invalid_input`, `connection_not_ready`, `issuer_multi_tenant`, `issuer_mismatch`, `metadata_invalid`, `url_not_allowed`,
/// `outbound_not_allowed`, `upstream_unavailable`.
pub async fn discover(cx: &Context, config: &Config) -> Result<Metadata> {
    fetch(&cx.env, config).await
}

pub(super) async fn fetch(env: &Env, config: &Config) -> Result<Metadata> {
    config.check()?;
    let url = config.discovery.document()?;
    let expected = config.discovery.expected_issuer()?;
    env.outbound().permits(&url)?;
    let mut request = Request::get(url.clone()).header(header::ACCEPT, "application/json");
    request.max_bytes = MAX_DOCUMENT;
    let answer = env.outbound().send(request).await.map_err(|error| {
        if error.is(&codes::UPSTREAM_TOO_LARGE) { invalid("it is larger than 512 KiB").because(error) } else { error }
    })?;
    match answer.status {
        200 => {}
        429 | 500..=599 => {
            return Err(Error::new(&codes::UPSTREAM_UNAVAILABLE)
                .because(format!("the discovery document answers {}", answer.status)));
        }
        300..=399 => return Err(redirected(&url, &answer)),
        status => return Err(invalid(&format!("its address answers with status {status}"))),
    }
    if answer.body.len() > MAX_DOCUMENT {
        return Err(invalid("it is larger than 512 KiB"));
    }
    let document = json::object(&answer.body).ok_or_else(|| {
        let encoding = answer.headers.get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity");
        invalid(match encoding {
            Some(_) => "it comes compressed, which authd did not ask for",
            None => "it is not a JSON object",
        })
    })?;
    read(&document, config, expected, env.outbound())
}

fn read(document: &Map<String, Value>, config: &Config, expected: &str, outbound: &dyn Outbound) -> Result<Metadata> {
    let issuer = text(document, "issuer")?.ok_or_else(|| invalid("it names no issuer"))?;
    refuse_multi_tenant(issuer)?;
    if issuer != expected && (config.security.strict() || !same_but_for_slash(issuer, expected)) {
        let named: String = issuer.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(Error::says(
            &codes::ISSUER_MISMATCH,
            format!("The discovery document is that of the issuer `{named}`, not of `{expected}`."),
        )
        .help("Set `discovery.issuer` to exactly the issuer that the provider names."));
    }
    let base = Url::parse(issuer).map_err(|_| invalid("its issuer is not a URL"))?;
    let endpoint = |name: &str| match text(document, name)? {
        None => Ok(None),
        Some(address) => endpoint(&base, name, address, outbound).map(Some),
    };
    let needed = |name: &str| endpoint(name)?.ok_or_else(|| invalid(&format!("it names no `{name}`")));
    let jwks_uri = match &config.discovery.jwks_uri {
        Some(address) => {
            let url = Url::parse(address).map_err(|_| not_ready("The address of the keys is not a URL."))?;
            outbound.permits(&url)?;
            url
        }
        None => needed("jwks_uri")?,
    };
    if names(document, "response_types_supported")?.is_some_and(|types| !types.contains(&"code")) {
        return Err(invalid("the provider does not serve the response type `code`"));
    }
    // A provider that announces none is taken to use any: the key's own type decides then.
    let algorithms = match names(document, "id_token_signing_alg_values_supported")? {
        None => Algorithm::ALL.to_vec(),
        Some(named) => named.into_iter().filter_map(Algorithm::named).collect(),
    };
    if algorithms.is_empty() {
        return Err(invalid("the provider announces no signature algorithm that authd accepts"));
    }
    Ok(Metadata {
        issuer: issuer.to_owned(),
        authorization_endpoint: needed("authorization_endpoint")?,
        token_endpoint: needed("token_endpoint")?,
        jwks_uri,
        userinfo_endpoint: endpoint("userinfo_endpoint")?,
        auth_methods: names(document, "token_endpoint_auth_methods_supported")?
            .map(|named| named.into_iter().map(str::to_owned).collect()),
        algorithms,
        names_issuer: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
    })
}

fn same_but_for_slash(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
    plain(a) == plain(b)
}

/// An address of the document. It must be one that authd could call itself, though the browser goes to some. A
/// provider by https may have them on other hosts, by https; what came by plain http is vouched for by nobody, so
/// it may only name addresses of its own origin.
fn endpoint(base: &Url, name: &str, address: &str, outbound: &dyn Outbound) -> Result<Url> {
    let wrong = |why: &str| invalid(&format!("its `{name}` {why}"));
    let url = Url::parse(address).map_err(|_| wrong("is not a URL"))?;
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has a fragment, a user name or a password"));
    }
    let fits = if base.scheme() == "https" { url.scheme() == "https" } else { url.origin() == base.origin() };
    if !fits {
        return Err(wrong("is not an https address, or leaves a provider that is reached by plain http"));
    }
    outbound.permits(&url).map_err(|error| {
        // Said by the provider, not by the administrator: a fault of the document, unless it only lacks an entry.
        if error.is(&codes::OUTBOUND_NOT_ALLOWED) && same_host(base, &url) {
            error
        } else {
            wrong("is not an address that authd may call").because(error)
        }
    })?;
    Ok(url)
}

fn same_host(a: &Url, b: &Url) -> bool {
    a.host() == b.host()
}

fn text<'a>(document: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= 2048 && !text.chars().any(char::is_control) => {
            Ok(Some(text))
        }
        Some(_) => Err(invalid(&format!("its `{name}` is not a text that can be used"))),
    }
}

fn names<'a>(document: &'a Map<String, Value>, name: &str) -> Result<Option<Vec<&'a str>>> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list.iter().filter_map(Value::as_str).take(64).collect())),
        Some(_) => Err(invalid(&format!("its `{name}` is not a list"))),
    }
}

/// No redirect is followed: where it leads is for a person to judge.
fn redirected(from: &Url, answer: &Response) -> Error {
    let to = answer.headers.get(header::LOCATION).and_then(|to| from.join(to.to_str().ok()?).ok());
    match to.map(String::from).filter(|to| to.len() <= 512) {
        Some(to) => invalid("its address redirects elsewhere").help(format!(
            "If `{to}` is the provider's, set what belongs to it: `discovery.issuer`, or `discovery.discoveryUrl`."
        )),
        None => invalid("its address redirects elsewhere; use the final address"),
    }
}

fn invalid(why: &str) -> Error {
    Error::says(&codes::METADATA_INVALID, format!("The provider's discovery document cannot be used: {why}."))
}
