//! Authorization codes: made once, good once, for a minute, for one app and one return address.
//!
//! ```text
//!  minted ──► used ──► reused        used: its grant has tokens; reused: that grant is ended
//!     └─────► used (burned)          by another app, another return address or a wrong verifier: nothing is given
//! ```
//!
//! The row outlives the code by far, so that a replay is known for what it is.

use std::time::Duration;

use super::asked_claims::AskedClaims;
use super::authorize::AuthorizeRequest;
use super::client::App;
use super::consent::{self, Agreed};
use super::parameters::Parameters;
use super::response::ToApp;
use crate::access::Context;
use crate::crypto::{Opaque, TokenHash, base64url, same, sha256};
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::id::{AppId, GrantId, OrganizationId, SessionId, UserId};
use crate::session::{Epochs, Scope, Session, bump};
use crate::store::{Batch, Key, Life, Record, Stored};

/// How long a code is good (RFC 6749 §4.1.2 allows ten minutes).
const GOOD_FOR: Duration = Duration::from_secs(60);
/// How long a code is remembered: longer than any token that it could have given.
const REMEMBERED_FOR: Duration = Duration::from_secs(25 * 3600);

/// What an app was promised, until it comes for it.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct AuthorizationCode {
    #[n(0)]
    hash: TokenHash,
    /// The app that it was made for.
    #[n(1)]
    pub app: AppId,
    #[n(2)]
    redirect_uri: String,
    #[n(3)]
    code_challenge: String,
    /// What the app may be given.
    #[n(4)]
    pub scope: Vec<String>,
    /// For the id token.
    #[n(5)]
    pub nonce: Option<String>,
    /// What it will have been given under.
    #[n(6)]
    pub grant: GrantId,
    /// The organization that the person signed in to.
    #[n(7)]
    pub organization: OrganizationId,
    /// The person.
    #[n(8)]
    pub user: UserId,
    /// The session that it came from.
    #[n(9)]
    pub session: SessionId,
    /// When that session ends at the latest; no token outlives it.
    #[n(10)]
    pub session_ends: Timestamp,
    /// When the person really signed in.
    #[n(11)]
    pub auth_time: Timestamp,
    /// The context class that they signed in by.
    #[n(12)]
    pub acr: Option<String>,
    /// The methods that they signed in by.
    #[n(13)]
    pub amr: Vec<String>,
    /// It holds as long as these do.
    #[n(14)]
    pub epochs: Epochs,
    #[n(15)]
    minted_at: Timestamp,
    #[n(16)]
    used_at: Option<Timestamp>,
    #[n(17)]
    reused_at: Option<Timestamp>,
    /// The claims that the app asked for by name.
    #[n(18)]
    #[cbor(default)]
    pub claims: AskedClaims,
}

impl Record for AuthorizationCode {
    const KIND: &'static str = "authorization_code";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(*self.hash.bytes())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.minted_at + REMEMBERED_FOR)
    }
}

/// Adds a code for the session to the batch; gives the answer with `code`, `state` and `iss`.
///
/// The app is read again: a sign-in takes minutes, in which it may have been changed or deleted. So is the person's
/// consent, where it takes one; `agreed` is one of this very batch.
/// Errors: `unauthorized_client`, `organization_disabled`, `redirect_uri_mismatch` (show a page), `access_denied`,
/// `consent_required` (tell the app).
pub async fn mint(
    cx: &Context,
    request: &AuthorizeRequest,
    session: &Session,
    agreed: Option<&Agreed>,
    batch: &mut Batch,
) -> Result<ToApp> {
    let grant = GrantId::new(&cx.env);
    let (app, epochs) = standing(cx, request.app, grant, session).await?;
    if !app.returns_to(&request.redirect_uri) {
        return Err(Error::new(&codes::REDIRECT_URI_MISMATCH));
    }
    let granted = agreed.is_some_and(|agreed| agreed.covers(request, session));
    if !granted && !consent::stands(cx, &app, request, session).await? {
        return Err(Error::new(&codes::CONSENT_REQUIRED));
    }
    let Opaque { text, hash } = Opaque::new(&cx.env, "ac_");
    let code = AuthorizationCode {
        hash,
        app: app.id,
        redirect_uri: request.redirect_uri.clone(),
        code_challenge: request.code_challenge.clone(),
        scope: request.scope.clone(),
        nonce: request.nonce.clone(),
        grant,
        organization: session.organization,
        user: session.user,
        session: session.id,
        session_ends: session.ends_at(&cx.store).await?,
        auth_time: session.auth_time,
        acr: session.acr.clone(),
        amr: session.amr.clone(),
        epochs,
        minted_at: cx.env.now(),
        used_at: None,
        reused_at: None,
        claims: request.claims.clone(),
    };
    let event = Event::new(&cx.env, EventKind::CodeCreated, &Actor::User(session.user), &cx.origin)
        .within(session.organization)
        .about("app", app.id)
        .and("user", session.user)
        .and("session", session.id)
        .and("grant", grant);
    batch.create(&code).log(event);
    let pairs = vec![("code", text.expose().to_owned())];
    Ok(request.answer(cx, pairs, request.state.as_deref()))
}

/// The app as it is now, if it serves the session's organization, and what is made for it now holds by.
async fn standing(cx: &Context, app: AppId, grant: GrantId, session: &Session) -> Result<(Stored<App>, Epochs)> {
    // Epochs before the app: whatever changes after this line is seen when the code is redeemed. The session's own
    // epochs stay those that it was opened under; reading them afresh would revive what has ended.
    let consent = Scope::Consent(session.organization, session.user, app);
    let epochs = session.epochs.clone().and(&cx.store, &[Scope::App(app), Scope::Grant(grant), consent]).await?;
    let app = App::load(&cx.store, app)
        .await
        .map_err(|e| if e.is(&codes::NOT_FOUND) { Error::new(&codes::UNAUTHORIZED_CLIENT) } else { e })?;
    // The app's own organization counts as well as the person's.
    let epochs = epochs.and(&cx.store, &[Scope::Organization(app.organization)]).await?;
    Organization::open(&cx.store, app.organization).await?;
    if !app.reach().includes(session.organization) {
        return Err(Error::says(&codes::ACCESS_DENIED, "This app does not serve the organization."));
    }
    Ok((app, epochs))
}

/// What a device is promised. It is kept with the device's own code, and never presented as an authorization code: it has
/// neither an address to return to nor a challenge to prove. Errors: as of `mint`.
pub(super) async fn agreed(
    cx: &Context,
    hash: TokenHash,
    (app, grant): (AppId, GrantId),
    scope: Vec<String>,
    session: &Session,
) -> Result<AuthorizationCode> {
    let (app, epochs) = standing(cx, app, grant, session).await?;
    Ok(AuthorizationCode {
        hash,
        app: app.id,
        redirect_uri: String::new(),
        code_challenge: String::new(),
        scope,
        nonce: None,
        grant,
        organization: session.organization,
        user: session.user,
        session: session.id,
        session_ends: session.ends_at(&cx.store).await?,
        auth_time: session.auth_time,
        acr: session.acr.clone(),
        amr: session.amr.clone(),
        epochs,
        minted_at: cx.env.now(),
        used_at: None,
        reused_at: None,
        claims: AskedClaims::default(),
    })
}

/// What is said of a code that nobody was given.
const UNKNOWN: &str = "The code is not known.";

/// Whether the error tells of a code that nobody was given.
pub(super) fn is_unknown(error: &Error) -> bool {
    error.is(&codes::INVALID_GRANT) && error.message() == UNKNOWN
}

fn refused<T>(why: &'static str) -> Result<T> {
    Err(Error::says(&codes::INVALID_GRANT, why))
}

/// The code that `app` presents, if it is good. Whatever the answer is, the batch holds what it does to the code;
/// it is to be committed in both cases. Errors: `invalid_request`, `invalid_grant`.
pub(super) async fn present(
    cx: &Context,
    app: &App,
    parameters: &Parameters,
    batch: &mut Batch,
) -> Result<AuthorizationCode> {
    let needed = |name| {
        parameters
            .get(name)
            .ok_or_else(|| Error::says(&codes::INVALID_REQUEST, "A parameter of the request is missing."))
    };
    let (presented, redirect_uri) = (needed("code")?, needed("redirect_uri")?);
    let found: Option<Stored<AuthorizationCode>> =
        cx.store.get(Key::from_bytes(*TokenHash::of(presented).bytes())).await?;
    let Some(Stored { value: mut code, revision }) = found else {
        return refused(UNKNOWN);
    };
    let now = cx.env.now();
    if code.used_at.is_some() {
        // RFC 6749 §4.1.2: what the code has given is taken back. Once; a replay of the replay changes nothing.
        if code.reused_at.is_none() {
            code.reused_at = Some(now);
            bump(&cx.store, Scope::Grant(code.grant), batch).await?;
            let event = Event::new(&cx.env, EventKind::CodeReused, &Actor::App(app.id), &cx.origin)
                .within(code.organization)
                .about("grant", code.grant)
                .and("app", code.app)
                .and("user", code.user)
                .failed("invalid_grant");
            batch.update(&code, revision).log(event);
        }
        return refused("The code was used before; what it had given is revoked.");
    }
    // One try is all there is: from here on the code is used up, whatever it turns out to be worth.
    code.used_at = Some(now);
    batch.update(&code, revision);
    if now.since(code.minted_at) >= GOOD_FOR || code.minted_at.is_ahead_of(now) {
        return refused("The code has expired.");
    }
    if code.app != app.id {
        return refused("The code was made for another app.");
    }
    if code.redirect_uri != redirect_uri || !app.returns_to(redirect_uri) {
        return refused("The code was made for another redirect URI.");
    }
    if !parameters.get("code_verifier").is_some_and(|verifier| proves(verifier, &code.code_challenge)) {
        return refused("The `code_verifier` is missing, or is not the one of this code.");
    }
    if !app.reach().includes(code.organization) {
        return refused("The app does not serve the organization of the code any more.");
    }
    if now >= code.session_ends || !code.epochs.hold(&cx.store).await? {
        return refused("The access that the code was made under has ended.");
    }
    Ok(code)
}

/// RFC 7636 §4.1, §4.6 with S256.
fn proves(verifier: &str, challenge: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && same(base64url(&sha256(&[verifier.as_bytes()])).as_bytes(), challenge.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_of_rfc_7636_proves_its_challenge_and_nothing_else() {
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(proves(verifier, challenge));
        assert!(!proves(challenge, challenge), "plain");
        assert!(!proves(&verifier.to_uppercase(), challenge));
        assert!(!proves("", challenge) && !proves(verifier, ""));
        let challenge_of = |verifier: &str| base64url(&sha256(&[verifier.as_bytes()]));
        for (length, good) in [(42, false), (43, true), (128, true), (129, false)] {
            let verifier = "a".repeat(length);
            assert_eq!(proves(&verifier, &challenge_of(&verifier)), good, "{length}");
        }
        let strange = format!("{}+", "a".repeat(43));
        assert!(!proves(&strange, &challenge_of(&strange)));
    }
}
