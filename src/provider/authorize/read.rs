//! The parameters of an authorization request, one by one: everything that the app itself is told about.

use std::borrow::Cow;

use super::{AuthorizeRequest, PROMPTS, SCOPES};
use crate::crypto::from_base64url;
use crate::error::{Error, codes};
use crate::provider::asked_claims::AskedClaims;
use crate::provider::client::{App, GrantType};
use crate::provider::parameters::Parameters;
use crate::provider::response::ResponseMode;

/// Why the app is told no: an error of the protocol, and a sentence.
pub(super) struct Denied(pub(super) &'static str, pub(super) Cow<'static, str>);

pub(super) fn denied<T>(code: &'static str, why: impl Into<Cow<'static, str>>) -> Result<T, Denied> {
    Err(Denied(code, why.into()))
}

/// Everything that the app itself is told about.
pub(super) fn check(app: &App, redirect_uri: &str, parameters: &Parameters) -> Result<AuthorizeRequest, Denied> {
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
    if !app.may_use(GrantType::AuthorizationCode) {
        return denied("unauthorized_client", "The app is not registered for signing people in.");
    }
    match parameters.get("response_type") {
        Some("code") => {}
        Some(_) => return denied("unsupported_response_type", "Only the response type `code` is served."),
        None => return denied("invalid_request", "The parameter `response_type` is missing."),
    }
    let asked = match parameters.get("claims").map(|text| AskedClaims::parse(app, text)) {
        None => AskedClaims::default(),
        Some(Ok(asked)) => asked,
        Some(Err(why)) => return denied("invalid_request", why),
    };
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
        response_mode: mode(redirect_uri, parameters.get("response_mode"))?,
        claims: asked,
        pushed: false,
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
pub(in crate::provider) fn scopes(app: &App, text: &str) -> crate::error::Result<Vec<String>> {
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
    if prompts.iter().any(|prompt| !PROMPTS.contains(&prompt.as_str())) {
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

/// The fragment is never asked for with a code; a form is posted to a web address and nowhere else.
fn mode(redirect_uri: &str, asked: Option<&str>) -> Result<ResponseMode, Denied> {
    let Some(mode) = asked.map_or(Some(ResponseMode::Query), ResponseMode::named) else {
        return denied("invalid_request", "Only the response modes `query` and `form_post` are served.");
    };
    let web = redirect_uri.starts_with("https://") || redirect_uri.starts_with("http://");
    if mode == ResponseMode::FormPost && !web {
        return denied("invalid_request", "The response mode `form_post` takes a redirect URI on the web.");
    }
    Ok(mode)
}
