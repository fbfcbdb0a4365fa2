//! The authorization request: what an app may ask for, and how it is told that it may not (RFC 6749 §4.1.1,
//! RFC 7636, RFC 9207, OpenID Connect Core §3.1.2).
//!
//! Until the app and its return address are known, a fault is shown to the person and nobody is redirected.

use std::borrow::Cow;

use super::client::App;
use super::parameters::{Parameters, extend};
use super::redirect_uri;
use crate::access::Context;
use crate::crypto::from_base64url;
use crate::directory::Organization;
use crate::error::{Error, Kind, codes};
use crate::id::{AppId, UserId};
use crate::token;

/// The scopes that mean something here. Others are ignored (OpenID Connect Core §3.1.2.1), so that an app may ask
/// every provider the same way.
pub const SCOPES: &[&str] = &["openid", "profile", "email", "groups", "offline_access"];

/// A request that may go on.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AuthorizeRequest {
    /// The app that asks.
    #[n(0)]
    pub app: AppId,
    /// Where its answer goes, byte for byte.
    #[n(1)]
    pub redirect_uri: String,
    /// What it asked for and can be given, each once. Without `openid` it is plain OAuth: there is no id token.
    #[n(2)]
    pub scope: Vec<String>,
    /// Goes back to the app as it came.
    #[n(3)]
    pub state: Option<String>,
    /// Goes into the id token as it came.
    #[n(4)]
    pub nonce: Option<String>,
    /// The S256 challenge, 43 letters.
    #[n(5)]
    pub code_challenge: String,
    /// `none` alone, or any of `login`, `consent`, `select_account`.
    #[n(6)]
    pub prompt: Vec<String>,
    /// The person must have signed in at most so many seconds ago.
    #[n(7)]
    pub max_age: Option<u64>,
    /// Whom the person says to be.
    #[n(8)]
    pub login_hint: Option<String>,
    /// The organization that the person shall sign in to.
    #[n(9)]
    pub organization: Option<String>,
    /// The connection that the person shall sign in through.
    #[n(10)]
    pub connection: Option<String>,
    /// Authentication context classes, in the order of preference.
    #[n(11)]
    pub acr_values: Vec<String>,
    /// Whom the app expects, from an id token of ours that it sent along: nobody else may be answered with
    /// `prompt=none`.
    #[n(12)]
    pub hinted_user: Option<UserId>,
}

/// A request that may not go on.
#[derive(Debug)]
pub enum Refusal {
    /// Show it to the person. Redirecting would send them, and what the answer says, to a stranger.
    Page(Error),
    /// Tell the app.
    Redirect {
        /// Its return address with `error`, `error_description`, `state` and `iss`.
        url: String,
    },
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Page(error)
    }
}

impl AuthorizeRequest {
    /// The return address with an error of RFC 6749 §4.1.2.1 or OpenID Connect Core §3.1.2.6.
    pub fn error_redirect(&self, cx: &Context, code: &str, description: &str) -> String {
        error_redirect(cx, &self.redirect_uri, self.state.as_deref(), code, description)
    }

    /// The address, under the issuer's path, where a person starts this request once more. What the app suggested about
    /// who they are is left out: it may be what went wrong.
    pub fn again(&self) -> String {
        let (app, scope) = (self.app.to_string(), self.scope.join(" "));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &app)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &scope)
            .append_pair("code_challenge", &self.code_challenge)
            .append_pair("code_challenge_method", "S256");
        let listed = |values: &[String]| (!values.is_empty()).then(|| values.join(" "));
        let optional = [
            ("state", self.state.clone()),
            ("nonce", self.nonce.clone()),
            ("organization", self.organization.clone()),
            ("connection", self.connection.clone()),
            ("prompt", listed(&self.prompt)),
            ("max_age", self.max_age.map(|seconds| seconds.to_string())),
            ("acr_values", listed(&self.acr_values)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        format!("/oauth2/authorize?{}", query.finish())
    }

    /// Whether the person may be asked nothing.
    pub fn silent(&self) -> bool {
        self.prompt.iter().any(|prompt| prompt == "none")
    }

    /// Whether the person must sign in again.
    pub fn forces_login(&self) -> bool {
        self.prompt.iter().any(|prompt| prompt == "login")
    }
}

fn error_redirect(cx: &Context, redirect_uri: &str, state: Option<&str>, code: &str, description: &str) -> String {
    let mut pairs = vec![("error", code)];
    if !description.is_empty() {
        pairs.push(("error_description", description));
    }
    pairs.extend(state.map(|state| ("state", state)));
    pairs.push(("iss", cx.deployment.public_url.issuer()));
    extend(redirect_uri, &pairs)
}

/// Why the app is told no: an error of the protocol, and a sentence.
struct Denied(&'static str, Cow<'static, str>);

fn denied<T>(code: &'static str, why: impl Into<Cow<'static, str>>) -> Result<T, Denied> {
    Err(Denied(code, why.into()))
}

/// Checks the parameters of an authorization request, decoded, in the order they came.
pub async fn validate(cx: &Context, parameters: &[(String, String)]) -> Result<AuthorizeRequest, Refusal> {
    let parameters = Parameters::of(parameters.iter().map(|(name, value)| (&**name, &**value)));
    let app = app(cx, &parameters).await?;
    let redirect_uri = return_address(&app, &parameters)?;
    // A state that cannot be trusted to be the app's own is not sent back.
    let state = parameters.get("state").filter(|state| !parameters.repeats("state") && state.len() <= 2_048);
    let refusal =
        |Denied(code, why): Denied| Refusal::Redirect { url: error_redirect(cx, &redirect_uri, state, code, &why) };
    let mut request = check(&app, &redirect_uri, &parameters).map_err(refusal)?;
    if let Some(hint) = parameters.get("id_token_hint") {
        request.hinted_user = token::id_token_hint(cx, hint).await?;
    }
    Ok(request)
}

/// The app that asks, if it is known and its organization is served.
async fn app(cx: &Context, parameters: &Parameters) -> Result<App, Refusal> {
    let unknown = || Error::says(&codes::UNAUTHORIZED_CLIENT, "No app is registered under this `client_id`.");
    if parameters.repeats("client_id") || parameters.repeats("redirect_uri") {
        return Err(Error::says(&codes::INVALID_REQUEST, "The app or its redirect URI is named twice.").into());
    }
    let named = parameters
        .get("client_id")
        .ok_or_else(|| Error::says(&codes::INVALID_REQUEST, "The request names no app: `client_id` is missing."))?;
    let id: AppId = named.parse().map_err(|_| unknown())?;
    let app = match App::load(&cx.store, id).await {
        Ok(app) => app.value,
        Err(error) if error.kind() == Kind::Missing => return Err(unknown().into()),
        Err(error) => return Err(error.into()),
    };
    Organization::open(&cx.store, app.organization).await?;
    Ok(app)
}

/// The return address, which must be one of the app's own before anything is sent there.
fn return_address(app: &App, parameters: &Parameters) -> Result<String, Refusal> {
    let asked = parameters
        .get("redirect_uri")
        .ok_or_else(|| Error::says(&codes::INVALID_REQUEST, "The request has no `redirect_uri`."))?;
    if asked.len() > redirect_uri::LONGEST || !app.returns_to(asked) {
        return Err(Error::new(&codes::REDIRECT_URI_MISMATCH).into());
    }
    Ok(asked.to_owned())
}

/// Everything that the app itself is told about.
fn check(app: &App, redirect_uri: &str, parameters: &Parameters) -> Result<AuthorizeRequest, Denied> {
    if let Some(fault) = parameters.fault() {
        return denied("invalid_request", fault);
    }
    for (name, code) in [
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
        ("registration", "registration_not_supported"),
    ] {
        if parameters.get(name).is_some() {
            return denied(code, format!("The parameter `{name}` is not served."));
        }
    }
    match parameters.get("response_type") {
        Some("code") => {}
        Some(_) => return denied("unsupported_response_type", "Only the response type `code` is served."),
        None => return denied("invalid_request", "The parameter `response_type` is missing."),
    }
    if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
        return denied("invalid_request", "Only the response mode `query` is served.");
    }
    Ok(AuthorizeRequest {
        app: app.id,
        redirect_uri: redirect_uri.to_owned(),
        scope: scope(app, parameters.get("scope").unwrap_or_default())?,
        state: bounded(parameters, "state", 2_048)?,
        nonce: bounded(parameters, "nonce", 256)?,
        code_challenge: challenge(parameters)?,
        prompt: prompt(parameters.get("prompt").unwrap_or_default())?,
        max_age: max_age(parameters.get("max_age"))?,
        login_hint: bounded(parameters, "login_hint", 512)?,
        organization: bounded(parameters, "organization", 256)?,
        connection: bounded(parameters, "connection", 256)?,
        acr_values: words(&bounded(parameters, "acr_values", 1_024)?.unwrap_or_default()),
        hinted_user: None,
    })
}

/// A parameter that is kept: not so long that a stranger could fill the store with it.
fn bounded(parameters: &Parameters, name: &str, most: usize) -> Result<Option<String>, Denied> {
    match parameters.get(name) {
        Some(value) if value.len() > most => {
            denied("invalid_request", format!("The parameter `{name}` is longer than {most} bytes."))
        }
        value => Ok(value.map(str::to_owned)),
    }
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}

fn scope(app: &App, text: &str) -> Result<Vec<String>, Denied> {
    // RFC 6749 §3.3: printable ASCII without quotes and backslashes.
    if text.len() > 1_024 || !text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\') {
        return denied("invalid_scope", "The scope is too long, or has letters that no scope has.");
    }
    Ok(words(text).into_iter().filter(|scope| SCOPES.contains(&&**scope) || app.scopes.contains(scope)).collect())
}

/// The same, for a request that is answered in JSON. Errors: `invalid_scope`.
pub(super) fn scopes(app: &App, text: &str) -> crate::error::Result<Vec<String>> {
    scope(app, text).map_err(|Denied(_, why)| Error::says(&codes::INVALID_SCOPE, why))
}

/// RFC 7636 with S256, for every app: the challenge is the SHA-256 of the verifier, so exactly 43 letters.
fn challenge(parameters: &Parameters) -> Result<String, Denied> {
    let Some(challenge) = parameters.get("code_challenge") else {
        return denied("invalid_request", "PKCE is required: `code_challenge` is missing.");
    };
    if parameters.get("code_challenge_method") != Some("S256") {
        return denied("invalid_request", "PKCE is required with `code_challenge_method=S256`.");
    }
    if challenge.len() != 43 || from_base64url(challenge).is_none_or(|hash| hash.len() != 32) {
        return denied("invalid_request", "The `code_challenge` is not a SHA-256 in base64url.");
    }
    Ok(challenge.to_owned())
}

fn prompt(text: &str) -> Result<Vec<String>, Denied> {
    let prompts = words(text);
    if prompts.iter().any(|prompt| !matches!(&**prompt, "none" | "login" | "consent" | "select_account")) {
        return denied("invalid_request", "The parameter `prompt` has a value that is not served.");
    }
    if prompts.len() > 1 && prompts.iter().any(|prompt| prompt == "none") {
        return denied("invalid_request", "The prompt `none` excludes every other.");
    }
    Ok(prompts)
}

fn max_age(text: Option<&str>) -> Result<Option<u64>, Denied> {
    match text {
        None => Ok(None),
        Some(text) if text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(text.parse().ok()),
        Some(_) => denied("invalid_request", "The parameter `max_age` is not a number of seconds."),
    }
}
