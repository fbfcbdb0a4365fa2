//! Own tokens, verified: signature, issuer, audience, type, time, and that their grant still holds.

use jsonwebtoken::TokenData;
use serde_json::{Map, Value};

use super::api_key::ApiKey;
use super::grant::TokenGrant;
use super::issue::{Type, api_audience};
use super::jwks;
use super::keyring::Keyring;
use super::revoked::RevokedToken;
use super::signing_key::SigningKey;
use crate::access::bearer::Holder;
use crate::access::{Caller, Context, grants_of_role};
use crate::crypto::jws::{Algorithm, KeySet, Verified};
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Kind, Result, codes};
use crate::governance::admitted;
use crate::id::{AppId, SessionId, UserId};

/// What authd signs with, so what it accepts from itself.
pub(super) const OWN: &[Algorithm] = &[Algorithm::ES256, Algorithm::RS256];
/// Tokens of ours are far shorter; nobody makes us decode more.
const LONGEST_TOKEN: usize = 16 * 1024;

/// An access token that holds, with what it was given for.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its claims.
    pub claims: Map<String, Value>,
    /// The header's `typ`.
    pub typ: String,
    /// What it was given for; still holds.
    pub grant: TokenGrant,
}

impl Checked {
    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }
}

/// Verifies an access token of authd for any audience: the caller decides whether it is the right one.
/// An id token never passes, as it names no grant. Errors: `invalid_token`.
pub async fn verify(cx: &Context, keyring: &Keyring, token: &str) -> Result<Checked> {
    let invalid = || Error::new(&codes::INVALID_TOKEN);
    if token.len() > LONGEST_TOKEN {
        return Err(invalid());
    }
    let kid = kid(token).ok_or_else(invalid)?;
    let keys = keyring.knowing(cx, &kid).await?;
    let TokenData { header, claims } = keys.read(token, &kid).ok_or_else(invalid)?;
    let says = |name: &str| claims.get(name).and_then(Value::as_str);
    let iat = claims.get("iat").and_then(Value::as_i64).map(Timestamp::from_seconds);
    if iat.is_none_or(|iat| iat.is_ahead_of(cx.env.now())) {
        return Err(invalid());
    }
    let now = cx.env.now().seconds();
    let alive = claims.get("exp").and_then(Value::as_i64).is_some_and(|exp| now < exp)
        && claims.get("nbf").is_none_or(|nbf| nbf.as_i64().is_some_and(|nbf| nbf <= now));
    if !alive || says("iss") != Some(cx.deployment.public_url.issuer()) || says("aud").is_none() {
        return Err(invalid());
    }
    let typ = header.typ.unwrap_or_default();
    let handle = says("grant").and_then(|id| id.parse().ok()).ok_or_else(invalid)?;
    let grant = TokenGrant::live(&cx.store, handle).await?.ok_or_else(invalid)?;
    if let Some(jti) = says("jti")
        && RevokedToken::is(&cx.store, jti).await?
    {
        return Err(invalid());
    }
    Ok(Checked { claims, typ, grant })
}

/// Who a bearer is: the holder of an API key, or of an access token for authd's own API. Errors: `not_signed_in`.
pub async fn authenticate(cx: &Context, keyring: &Keyring, bearer: &str) -> Result<Caller> {
    if ApiKey::looks_like(bearer) {
        return ApiKey::authenticate(cx, bearer).await;
    }
    verify_api(cx, keyring, bearer).await
}

/// The caller that a bearer of authd's own API speaks for. What a person may do is read from the roles of now.
/// Errors: `not_signed_in`, the same for everything that is wrong with it; `sso_required`.
pub async fn verify_api(cx: &Context, keyring: &Keyring, token: &str) -> Result<Caller> {
    let refused = || Error::new(&codes::NOT_SIGNED_IN);
    let outside = |error: Error| if told(&error) { error } else { refused().because(error) };
    let checked = verify(cx, keyring, token).await.map_err(outside)?;
    let ours = checked.typ == Type::Access.name()
        && checked.text("aud") == Some(&*api_audience(&cx.deployment.public_url))
        && checked.grant.app.is_none();
    if !ours {
        return Err(refused());
    }
    let TokenGrant { organization, user, role, epochs, .. } = checked.grant;
    let grants = match (user, role) {
        (Some(user), None) => {
            let member = admitted(&cx.store, organization, user, epochs.via())
                .await
                .map_err(|error| Holder::person(outside(error), organization, Some(user)))?;
            member.grants(&cx.store).await.map_err(outside)?
        }
        (None, Some(role)) => {
            Organization::open(&cx.store, organization).await.map_err(outside)?;
            grants_of_role(&cx.store, organization, &role).await.map_err(outside)?.ok_or_else(refused)?
        }
        _ => return Err(refused()),
    };
    Ok(Caller::User { id: user, organization, grants })
}

/// What an `id_token_hint` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The person.
    pub user: UserId,
    /// The app that it was made for.
    pub app: AppId,
    /// The session that it came from.
    pub session: Option<SessionId>,
}

/// The person an `id_token_hint` is about (OpenID Connect Core §3.1.2.1).
pub async fn id_token_hint(cx: &Context, hint: &str) -> Result<Option<UserId>> {
    Ok(read_hint(cx, hint).await?.map(|hint| hint.user))
}

/// What an `id_token_hint` says. It may have expired, but must be an id token signed by us; anything else is no hint
/// at all: an access token names its grant, a logout token is of another type.
pub async fn read_hint(cx: &Context, hint: &str) -> Result<Option<Hint>> {
    if hint.len() > LONGEST_TOKEN {
        return Ok(None);
    }
    let document = jwks::document(&SigningKey::all(&cx.store).await?);
    let keys = KeySet::parse(document.to_string().as_bytes())?;
    let Ok(Verified { header, claims, .. }) = keys.verify(hint, OWN) else { return Ok(None) };
    let says = |name: &str| claims.get(name).and_then(Value::as_str);
    let ours = says("iss") == Some(cx.deployment.public_url.issuer())
        && header.get("typ").and_then(Value::as_str) == Some(Type::Jwt.name())
        && !claims.contains_key("grant");
    let (Some(user), Some(app)) =
        (says("sub").and_then(|id| id.parse().ok()), says("aud").and_then(|id| id.parse().ok()))
    else {
        return Ok(None);
    };
    Ok(ours.then(|| Hint { user, app, session: says("sid").and_then(|id| id.parse().ok()) }))
}

/// Storage trouble is not the token's fault, and must not sign anybody out.
pub(super) fn unavailable(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::Bug)
}

/// What the holder of a bearer that is genuine is told as it is: that storage is in trouble, and that they have to sign in
/// through their organization's connection.
pub(super) fn told(error: &Error) -> bool {
    unavailable(error) || error.is(&codes::SSO_REQUIRED)
}

/// The `kid` of a token that nobody has verified yet: only to know whether the keys must be read again.
fn kid(token: &str) -> Option<String> {
    jsonwebtoken::decode_header(token).ok()?.kid
}
