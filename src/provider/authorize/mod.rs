//! # authorize — what an app may ask for, and how it is told that it may not
//!
//! *Owns* the authorization request (RFC 6749 §4.1.1, RFC 7636, RFC 9126, RFC 9207, OpenID Connect Core §3.1.2).
//! *Gives* `validate`, and the answers that tell an app of an error.
//! *Needs* apps, pushed requests. *Never* redirects before the app and its return address are known: until then a
//! fault is shown to the person.

mod read;

pub(super) use read::scopes;
use read::{Denied, check};

use super::asked_claims::AskedClaims;
use super::client::App;
use super::parameters::Parameters;
use super::response::{ResponseMode, ToApp};
use super::{pushed, redirect_uri};
use crate::access::Context;
use crate::directory::Organization;
use crate::error::{Error, Kind, codes};
use crate::id::{AppId, UserId};
use crate::token;

/// The scopes that mean something here. Others are ignored (OpenID Connect Core §3.1.2.1), so that an app may ask
/// every provider the same way.
pub const SCOPES: &[&str] = &["openid", "profile", "email", "groups", "offline_access"];

/// The values of `prompt` that are served.
pub const PROMPTS: &[&str] = &["none", "login", "consent", "select_account"];

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
    /// How the answer goes to the app.
    #[n(13)]
    #[cbor(default)]
    pub response_mode: ResponseMode,
    /// The claims that it asked for by name.
    #[n(14)]
    #[cbor(default)]
    pub claims: AskedClaims,
    /// The app had pushed it; no link starts it once more.
    #[n(15)]
    #[cbor(default)]
    pub pushed: bool,
}

/// A request that may not go on.
#[derive(Debug)]
pub enum Refusal {
    /// Show it to the person. Redirecting would send them, and what the answer says, to a stranger.
    Page(Error),
    /// Tell the app: `error`, `error_description`, `state` and `iss`.
    App(ToApp),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Page(error)
    }
}

impl AuthorizeRequest {
    /// Tells the app an error of RFC 6749 §4.1.2.1 or OpenID Connect Core §3.1.2.6.
    pub fn refused(&self, cx: &Context, code: &str, description: &str) -> ToApp {
        let state = self.state.as_deref();
        let mut pairs = vec![("error", code.to_owned())];
        if !description.is_empty() {
            pairs.push(("error_description", description.to_owned()));
        }
        self.answer(cx, pairs, state)
    }

    /// An answer with the request's state and our name.
    pub(super) fn answer(&self, cx: &Context, pairs: Vec<(&'static str, String)>, state: Option<&str>) -> ToApp {
        answer(cx, &self.redirect_uri, self.response_mode, pairs, state)
    }

    /// The address, under the issuer's path, where a person starts this request once more. What the app suggested about
    /// who they are is left out: it may be what went wrong. None for a request that only the app can make again.
    pub fn again(&self) -> Option<String> {
        if self.pushed {
            return None;
        }
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
            ("claims", self.claims.text()),
            (
                "response_mode",
                (self.response_mode != ResponseMode::default()).then(|| self.response_mode.name().into()),
            ),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        Some(format!("/oauth2/authorize?{}", query.finish()))
    }

    /// The same, by somebody else.
    pub fn by_another(&self) -> Option<String> {
        Self { prompt: vec!["select_account".to_owned()], ..self.clone() }.again()
    }

    /// Whether the person may be asked nothing.
    pub fn silent(&self) -> bool {
        self.prompts("none")
    }

    /// Whether the person must sign in again.
    pub fn forces_login(&self) -> bool {
        self.prompts("login")
    }

    /// Whether the person must say who they are.
    pub fn forces_choice(&self) -> bool {
        self.prompts("select_account")
    }

    /// Whether the person must be asked, whatever they said before.
    pub fn forces_consent(&self) -> bool {
        self.prompts("consent")
    }

    fn prompts(&self, word: &str) -> bool {
        self.prompt.iter().any(|prompt| prompt == word)
    }

    /// What the upstream provider is asked to reach: what the app must have, or else what it would like.
    pub fn acr_asked(&self) -> Vec<String> {
        let mut asked = self.claims.acr.clone();
        for wish in self.acr_values.iter().chain(&self.claims.acr_wished) {
            if self.claims.acr.is_empty() && !asked.contains(wish) {
                asked.push(wish.clone());
            }
        }
        asked
    }

    /// Whether the app means somebody else, by `id_token_hint` or by the claim `sub`.
    pub fn means_another_than(&self, user: UserId) -> bool {
        self.hinted_user.is_some_and(|hinted| hinted != user)
            || self.claims.subject.as_ref().is_some_and(|subject| *subject != user.to_string())
    }

    /// Whether a context class is one that the app can do with.
    pub fn content_with(&self, acr: Option<&str>) -> bool {
        self.claims.acr.is_empty() || acr.is_some_and(|acr| self.claims.acr.iter().any(|wanted| wanted == acr))
    }

    /// What the person would let the app know: the scopes, and those of the claims asked for by name.
    pub fn asks_for(&self) -> Vec<String> {
        let mut scopes = self.scope.clone();
        for scope in self.claims.scopes() {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        scopes
    }
}

fn answer(
    cx: &Context,
    redirect_uri: &str,
    mode: ResponseMode,
    mut pairs: Vec<(&'static str, String)>,
    state: Option<&str>,
) -> ToApp {
    pairs.extend(state.map(|state| ("state", state.to_owned())));
    pairs.push(("iss", cx.deployment.public_url.issuer().to_owned()));
    ToApp { redirect_uri: redirect_uri.to_owned(), mode, pairs }
}

/// Checks the parameters of an authorization request, decoded, in the order they came. A pushed request is used up
/// by that.
pub async fn validate(cx: &Context, parameters: &[(String, String)]) -> Result<AuthorizeRequest, Refusal> {
    let sent = read(parameters);
    let app = app(cx, &sent).await?;
    let uri = sent.get("request_uri").filter(|uri| pushed::is_ours(uri) && !sent.repeats("request_uri"));
    let (parameters, was_pushed) = match uri {
        // RFC 9126 §4: what was pushed is the whole request; nothing that came with its name is added.
        Some(uri) => (read(&pushed::take(cx, &app, uri).await?), true),
        None => (sent, false),
    };
    let redirect_uri = return_address(&app, &parameters)?;
    // A state that cannot be trusted to be the app's own is not sent back.
    let state = parameters.get("state").filter(|state| !parameters.repeats("state") && state.len() <= 2_048);
    let checked = match app.require_pushed_requests && !was_pushed {
        true => read::denied("invalid_request", "This app has to push its requests (RFC 9126)."),
        false => check(&app, &redirect_uri, &parameters),
    };
    let mut request = checked.map_err(|Denied(code, why)| {
        let asked = parameters.get("response_mode").filter(|_| !parameters.repeats("response_mode"));
        // A form is posted to a web address alone; `check` has refused anything else.
        let mode = match asked.and_then(ResponseMode::named) {
            Some(mode) if redirect_uri.starts_with("http") => mode,
            _ => ResponseMode::Query,
        };
        let pairs = vec![("error", code.to_owned()), ("error_description", why.into_owned())];
        Refusal::App(answer(cx, &redirect_uri, mode, pairs, state))
    })?;
    request.pushed = was_pushed;
    if let Some(hint) = parameters.get("id_token_hint") {
        request.hinted_user = token::id_token_hint(cx, hint).await?;
    }
    Ok(request)
}

/// Whether an app may push that request: all that can be known before a person comes with it.
/// Errors: those that RFC 6749 §4.1.2.1 has.
pub(super) fn check_pushed(app: &App, parameters: &Parameters) -> Result<(), Error> {
    let redirect_uri = match return_address(app, parameters) {
        Ok(redirect_uri) => redirect_uri,
        Err(Refusal::Page(error)) => return Err(error),
        Err(Refusal::App(_)) => return Err(Error::new(&codes::INVALID_REQUEST)),
    };
    check(app, &redirect_uri, parameters).map(drop).map_err(|Denied(code, why)| {
        let named = [&codes::INVALID_SCOPE, &codes::UNSUPPORTED_RESPONSE_TYPE, &codes::UNAUTHORIZED_CLIENT];
        Error::says(named.into_iter().find(|known| known.name == code).unwrap_or(&codes::INVALID_REQUEST), why)
    })
}

fn read(parameters: &[(String, String)]) -> Parameters {
    Parameters::of(parameters.iter().map(|(name, value)| (&**name, &**value)))
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
