//! # ops — the operations on apps
//!
//! *Owns* what an app must be to be kept, and how far it may reach.
//! *Gives* `app.create`, `app.get`, `app.list`, `app.update`, `app.rotate_secret`, `app.delete`, `app.convex_config`.
//! *Needs* organizations, epochs, signing keys. *Never* shows a secret but in the answer that made it.

mod audience;
mod change;
mod convex;
mod create;
mod read;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use change::{DeleteApp, RotateAppSecret, UpdateApp};
pub use convex::{ConvexConfig, ConvexConfigView};
pub use create::{CreateApp, CreatedApp};
pub use read::{GetApp, ListApps};

use super::client::{App, AuthMethod, GrantType, Kind, Organizations};
use super::{claims, redirect_uri};
use crate::access::{Context, Owner};
use crate::crypto::jws::KeySet;
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::{AppId, OrganizationId};
use crate::token::{Algorithm, LONGEST};

/// More return addresses or origins than any app needs.
const MOST: usize = 50;
/// A longer key set is none of one app.
const LONGEST_KEYS: usize = 32 * 1024;
/// The members of a JWK that only its owner knows (RFC 7518 §6).
const PRIVATE: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// An app as it is shown: without its secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    /// Its id, which is its OAuth `client_id`.
    pub client_id: AppId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// What it is built as.
    pub kind: Kind,
    /// It keeps no secret.
    pub public: bool,
    /// Where it may be returned to.
    pub redirect_uris: Vec<String>,
    /// Origins whose pages may call the token endpoint.
    pub origins: Vec<String>,
    /// Which organizations people may come from.
    pub organizations: Organizations,
    /// What its tokens are signed with.
    pub alg: Algorithm,
    /// How long its tokens live, in seconds.
    pub token_seconds: u64,
    /// It is somebody else's: people are asked before it learns who they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub third_party: bool,
    /// Where people may be returned to after they signed out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where authd tells it that a session has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// The page that authd's sign-out page opens in a frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    /// How it proves itself at the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
    /// Its public keys for `private_key_jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// Where its public keys are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// By which grants it may get tokens.
    pub grant_types: Vec<GrantType>,
    /// Scopes of its own APIs that it may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The API that its access tokens are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// A refresh token ends when it was not used for so long, in seconds.
    pub refresh_idle_seconds: u64,
    /// A refresh token ends after so long, in seconds.
    pub refresh_seconds: u64,
    /// It has to push its authorization requests (PAR).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_pushed_requests: bool,
    /// Claims that its tokens have besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl From<App> for AppView {
    fn from(app: App) -> Self {
        Self {
            client_id: app.id,
            organization: app.organization,
            origins: app.browser_origins(),
            token_seconds: app.token_lifetime().as_secs(),
            grant_types: app.grants_allowed(),
            refresh_idle_seconds: app.refresh_idle().as_secs(),
            refresh_seconds: app.refresh_lifetime().as_secs(),
            third_party: app.third_party,
            post_logout_redirect_uris: app.post_logout_redirect_uris,
            backchannel_logout_uri: app.backchannel_logout_uri,
            frontchannel_logout_uri: app.frontchannel_logout_uri,
            auth_method: app.auth_method,
            jwks: app.jwks.and_then(|jwks| serde_json::from_str(&jwks).ok()),
            jwks_uri: app.jwks_uri,
            scopes: app.scopes,
            audience: app.audience,
            require_pushed_requests: app.require_pushed_requests,
            claims: app.claims,
            name: app.name,
            kind: app.kind,
            public: app.public,
            redirect_uris: app.redirect_uris,
            organizations: app.organizations,
            alg: app.algorithm,
            created_at: app.created_at,
            updated_at: app.updated_at,
        }
    }
}

async fn owner(cx: &Context, id: AppId) -> Result<Owner> {
    Ok(Owner::Organization(App::load(&cx.store, id).await?.organization))
}

fn event(cx: &Context, kind: EventKind, app: &App) -> Event {
    cx.event(kind).within(app.organization).about("app", app.id).with("name", app.name.clone())
}

/// An app reaches no further than whoever registers it sees: another tenant's people would be signed in with it.
async fn allowed(cx: &Context, organizations: &Organizations) -> Result<()> {
    match organizations {
        Organizations::Own => Ok(()),
        Organizations::All if cx.caller.is_operator() => Ok(()),
        Organizations::All => {
            Err(Error::says(&codes::OPERATOR_ONLY, "Only the operator can let an app serve every organization."))
        }
        Organizations::List(list) => {
            for organization in list {
                if !cx.caller.sees(*organization) {
                    return Err(Error::new(&codes::NOT_FOUND));
                }
                Organization::load(&cx.store, *organization).await?;
            }
            Ok(())
        }
    }
}

/// Whether the app can be kept as it is. Errors: `invalid_input`.
fn sound(app: &App) -> Result<()> {
    let wrong = |why: &'static str| Err(Error::says(&codes::INVALID_INPUT, why));
    if app.name.is_empty() || app.name.len() > 200 || app.name.chars().any(char::is_control) {
        return wrong("The name needs 1 to 200 bytes, without control characters.");
    }
    // A machine or a device is never returned to.
    let returned_to = app.may_use(GrantType::AuthorizationCode);
    if (returned_to && app.redirect_uris.is_empty()) || app.redirect_uris.len() > MOST {
        return wrong("An app that signs people in by a browser has 1 to 50 redirect URIs.");
    }
    if app.origins.len() > MOST {
        return wrong("An app has at most 50 origins.");
    }
    if matches!(&app.organizations, Organizations::List(list) if list.is_empty() || list.len() > 1_000) {
        return wrong("An app serves 1 to 1,000 organizations, or `all`.");
    }
    if app.token_seconds.is_some_and(|seconds| !(60..=LONGEST.as_secs()).contains(&seconds)) {
        return wrong("Tokens live 60 seconds to a day.");
    }
    for uri in &app.redirect_uris {
        redirect_uri::check(app.kind, uri)?;
    }
    app.origins.iter().try_for_each(|origin| redirect_uri::check_origin(origin))?;
    sound_logout(app)?;
    sound_tokens(app)
}

/// Where people and messages go when a session ends.
fn sound_logout(app: &App) -> Result<()> {
    if app.post_logout_redirect_uris.len() > MOST {
        return Err(Error::says(&codes::INVALID_INPUT, "An app has at most 50 post-logout redirect URIs."));
    }
    for uri in &app.post_logout_redirect_uris {
        redirect_uri::check(app.kind, uri)?;
    }
    for uri in [&app.backchannel_logout_uri, &app.frontchannel_logout_uri, &app.jwks_uri].into_iter().flatten() {
        redirect_uri::check(Kind::Web, uri)?;
    }
    Ok(())
}

/// By what it gets tokens, and what those are for.
fn sound_tokens(app: &App) -> Result<()> {
    let wrong = |why: &'static str| Err(Error::says(&codes::INVALID_INPUT, why));
    let keys = app.jwks.is_some() || app.jwks_uri.is_some();
    if app.auth_method == Some(AuthMethod::PrivateKeyJwt) && !keys {
        return wrong("`private_key_jwt` takes the app's public keys: `jwks`, or `jwksUri`.");
    }
    app.jwks.as_deref().map_or(Ok(()), sound_keys)?;
    if app.jwks.is_some() && app.jwks_uri.is_some() {
        return wrong("The app's keys are either in `jwks` or at `jwksUri`.");
    }
    if app.public && app.auth_method.is_some_and(|method| method != AuthMethod::None) {
        return wrong("A public app keeps nothing that it could prove itself with.");
    }
    if app.public && app.may_use(GrantType::ClientCredentials) {
        return wrong("Client credentials are for apps that keep a secret or a key.");
    }
    if app.grant_types.as_ref().is_some_and(Vec::is_empty) {
        return wrong("An app needs at least one grant type.");
    }
    let word = |scope: &String| {
        !scope.is_empty()
            && scope.len() <= 128
            && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    if app.scopes.len() > 100 || !app.scopes.iter().all(word) {
        return wrong("An app has at most 100 scopes, each 1 to 128 letters without spaces.");
    }
    let lifetime = |seconds: Option<u64>| seconds.is_none_or(|seconds| (300..=400 * 24 * 3600).contains(&seconds));
    if !lifetime(app.refresh_idle_seconds) || !lifetime(app.refresh_seconds) {
        return wrong("Refresh tokens live 5 minutes to 400 days.");
    }
    if app.audience.as_ref().is_some_and(|text| text.len() > 512 || !text.bytes().all(|b| b.is_ascii_graphic())) {
        return wrong("The audience has at most 512 letters, without spaces.");
    }
    if app.kind == Kind::Convex && app.audience.is_some() {
        return wrong("The one audience of an app for Convex is its client id.");
    }
    if app.claims.len() > 50 {
        return wrong("An app has at most 50 claims of its own.");
    }
    app.claims.iter().try_for_each(|(name, field)| claims::check_own(name, field))
}

/// A key set that can verify something, and gives nothing away. Errors: `invalid_input`.
fn sound_keys(jwks: &str) -> Result<()> {
    let wrong = |why: &'static str| Error::says(&codes::INVALID_INPUT, why);
    if jwks.len() > LONGEST_KEYS {
        return Err(wrong("The key set is larger than 32 KiB."));
    }
    let set = KeySet::parse(jwks.as_bytes()).map_err(|error| wrong("`jwks` is not a JWK set.").because(error))?;
    let whole: serde_json::Value = serde_json::from_str(jwks).map_err(|_| wrong("`jwks` is not a JWK set."))?;
    let private = |key: &serde_json::Value| PRIVATE.iter().any(|member| key.get(member).is_some());
    if whole.get("keys").and_then(serde_json::Value::as_array).is_some_and(|keys| keys.iter().any(private)) {
        return Err(wrong("The key set has a private or a symmetric key.").help("Give the public keys alone."));
    }
    if set.is_empty() {
        return Err(wrong("No key of the set can verify a signature.")
            .help("It takes a public RSA key of 2048 bits or more, or one on P-256, P-384, P-521 or Ed25519."));
    }
    Ok(())
}
