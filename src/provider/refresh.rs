//! Refresh tokens: a family each, whose members are computed and never stored.
//!
//! ```text
//!  rt_<family>.<generation>.<HMAC(family key, generation)>
//!
//!  generation n is good ──► used: n+1 is good
//!       │                     ├─ n again within 10 s: the same n+1 (the answer was lost on its way)
//!       │                     └─ n again later, or any older one: somebody has a copy; the family ends
//! ```

use std::time::Duration;

use aws_lc_rs::hmac;

use super::asked_claims::AskedClaims;
use super::client::{App, GrantType};
use super::code::AuthorizationCode;
use super::holder;
use crate::access::Context;
use crate::crypto::{MasterKey, Sealed, Sealing, Secret, base64url, from_base64url};
use crate::directory::Membership;
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::id::{AppId, GrantId, OrganizationId, SessionId, UserId};
use crate::policy::Via;
use crate::session::{Epochs, Scope, Session, bump};
use crate::store::{Batch, Index, Key, Life, Query, Record, Stored};
use crate::token::TokenGrant;

/// What every refresh token begins with, so that scanners of repositories know it.
pub(super) const PREFIX: &str = "rt_";
/// So long the one before is answered with the same successor: answers get lost, and tabs race each other.
const GRACE: Duration = Duration::from_secs(10);
/// The scope that asks for tokens while the person is away.
pub(super) const OFFLINE: &str = "offline_access";

/// All refresh tokens of one authorization.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct RefreshFamily {
    /// The authorization; the tokens carry its letters.
    #[n(0)]
    pub grant: GrantId,
    /// The app that it was given to.
    #[n(1)]
    pub app: AppId,
    /// Where the person signed in.
    #[n(2)]
    pub organization: OrganizationId,
    /// The person.
    #[n(3)]
    pub user: UserId,
    /// The session that it came from.
    #[n(4)]
    pub session: SessionId,
    /// It outlives that session.
    #[n(5)]
    pub offline: bool,
    /// What was granted.
    #[n(6)]
    pub scope: Vec<String>,
    /// It holds as long as these do.
    #[n(7)]
    pub epochs: Epochs,
    /// The key that the members are computed with; sealed.
    #[n(8)]
    key: Sealed,
    /// The member that is good now.
    #[n(9)]
    generation: u64,
    /// Since when.
    #[n(10)]
    turned_at: Timestamp,
    /// When the person really signed in.
    #[n(11)]
    pub auth_time: Timestamp,
    /// The context class that they signed in by.
    #[n(12)]
    pub acr: Option<String>,
    /// The methods that they signed in by.
    #[n(13)]
    pub amr: Vec<String>,
    /// When it was given.
    #[n(14)]
    created_at: Timestamp,
    /// When it ends, whatever happens.
    #[n(15)]
    pub expires_at: Timestamp,
    /// When it ends unless it is used before.
    #[n(16)]
    idle_until: Timestamp,
    /// The claims that the app asked for by name.
    #[n(17)]
    #[cbor(default)]
    pub claims: AskedClaims,
}

impl Record for RefreshFamily {
    const KIND: &'static str = "refresh_family";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.grant.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![
            Index::many("session", self.session.bytes()),
            Index::many("member", [self.organization.bytes(), self.user.bytes()].concat()),
        ]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        // A member that comes after the end of an idle family must still be known for what it is.
        Some(self.expires_at)
    }
}

impl Sealing for RefreshFamily {
    fn reseal(&mut self, env: &Env, key: &MasterKey) -> Result<bool> {
        key.reseal(env, &Self::place(self.grant), &mut self.key)
    }
}

impl RefreshFamily {
    /// The handle that access tokens of this family name.
    pub(super) fn handle(&self, expires_at: Timestamp, now: Timestamp) -> TokenGrant {
        TokenGrant {
            id: self.grant,
            app: Some(self.app),
            organization: self.organization,
            user: Some(self.user),
            role: None,
            session: Some(self.session),
            scope: self.scope.clone(),
            epochs: self.epochs.clone(),
            created_at: now,
            expires_at,
            claims: self.claims.userinfo.clone(),
        }
    }

    fn place(grant: GrantId) -> String {
        format!("refresh_family/{grant}")
    }

    fn tag_key(&self, cx: &Context) -> Result<hmac::Key> {
        let key = cx.deployment.master_key.open(&Self::place(self.grant), &self.key)?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    fn member(&self, cx: &Context, generation: u64) -> Result<Secret> {
        let tag = hmac::sign(&self.tag_key(cx)?, &generation.to_be_bytes());
        Ok(Secret::new(text(self.grant, generation, tag.as_ref())))
    }
}

fn text(grant: GrantId, generation: u64, tag: &[u8]) -> String {
    let letters = grant.to_string();
    format!("{PREFIX}{}.{generation}.{}", &letters[GrantId::PREFIX.len()..], base64url(tag))
}

/// A token as it is written: family, generation, tag.
fn read(text: &str) -> Option<(GrantId, u64, Vec<u8>)> {
    if text.len() > 128 {
        return None;
    }
    let mut parts = text.strip_prefix(PREFIX)?.split('.');
    let (family, generation, tag) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = !generation.is_empty() && generation.bytes().all(|b| b.is_ascii_digit());
    // One form a number: no sign, no zero in front.
    if parts.next().is_some() || !plain || (generation.len() > 1 && generation.starts_with('0')) {
        return None;
    }
    let grant = format!("{}{family}", GrantId::PREFIX).parse().ok()?;
    Some((grant, generation.parse().ok()?, from_base64url(tag)?))
}

/// A new family with its first token, which is known only here.
pub(super) struct Made {
    pub family: RefreshFamily,
    pub token: Secret,
}

/// The family that a code gives, if it gives one: where `offline_access` was granted it outlives the session; an app
/// that is registered for refresh tokens has one as long as the session.
pub(super) fn family(cx: &Context, app: &App, code: &AuthorizationCode) -> Result<Option<Made>> {
    // What came by the operator's link does not outlive its session.
    let offline = code.scope.iter().any(|scope| scope == OFFLINE)
        && app.may_use(GrantType::RefreshToken)
        && code.epochs.via() != Via::BreakGlass;
    let registered = app.grant_types.as_ref().is_some_and(|list| list.contains(&GrantType::RefreshToken));
    if !offline && !registered {
        return Ok(None);
    }
    let now = cx.env.now();
    let key = cx.deployment.master_key.seal(&cx.env, &RefreshFamily::place(code.grant), &cx.env.random::<32>())?;
    let whole = now + app.refresh_lifetime();
    let expires_at = if offline { whole } else { whole.min(code.session_ends) };
    let family = RefreshFamily {
        grant: code.grant,
        app: app.id,
        organization: code.organization,
        user: code.user,
        session: code.session,
        offline,
        scope: code.scope.clone(),
        epochs: kept_epochs(code, offline),
        key,
        generation: 1,
        turned_at: now,
        auth_time: code.auth_time,
        acr: code.acr.clone(),
        amr: code.amr.clone(),
        created_at: now,
        expires_at,
        idle_until: expires_at.min(now + app.refresh_idle()),
        claims: code.claims.clone(),
    };
    let token = family.member(cx, 1)?;
    Ok(Some(Made { family, token }))
}

fn kept_epochs(code: &AuthorizationCode, offline: bool) -> Epochs {
    if offline { code.epochs.clone().without(Scope::Session(code.session)) } else { code.epochs.clone() }
}

/// What the tokens of a code hold by: the session counts unless they may outlive it.
pub(super) fn without_session(code: &AuthorizationCode, made: Option<&Made>) -> Epochs {
    kept_epochs(code, made.is_some_and(|made| made.family.offline))
}

/// What presenting a refresh token came to.
pub(super) struct Turn {
    pub family: RefreshFamily,
    /// The person, as they are now.
    pub member: Membership,
    /// The token that is good from now on.
    pub successor: Secret,
    /// It was made just now, and is not the repeated answer to the token before.
    pub rotated: bool,
}

/// What is said of a refresh token that nobody was given.
const UNKNOWN: &str = "The refresh token is not known.";

/// Whether the error tells of a refresh token that nobody was given.
pub(super) fn is_unknown(error: &Error) -> bool {
    error.is(&codes::INVALID_GRANT) && error.message() == UNKNOWN
}

fn refused<T>(why: &'static str) -> Result<T> {
    Err(Error::says(&codes::INVALID_GRANT, why))
}

/// The family of a token that is ours, whatever its generation is worth.
pub(super) async fn known(cx: &Context, presented: &str) -> Result<Option<(Stored<RefreshFamily>, u64)>> {
    let Some((grant, generation, tag)) = read(presented) else { return Ok(None) };
    let found: Option<Stored<RefreshFamily>> = cx.store.get(Key::from_bytes(grant.bytes())).await?;
    let Some(found) = found else { return Ok(None) };
    // Verified before the generation is believed: nobody ends a family whose key they do not know.
    let genuine = hmac::verify(&found.tag_key(cx)?, &generation.to_be_bytes(), &tag).is_ok();
    Ok((genuine && generation >= 1 && generation <= found.generation).then_some((found, generation)))
}

impl RefreshFamily {
    /// What was given in the name of a person and can still be renewed, at most 1,000.
    pub(super) async fn of_member(cx: &Context, organization: OrganizationId, user: UserId) -> Result<Vec<Self>> {
        let query = Query::by("member", [organization.bytes(), user.bytes()].concat()).newest_first().limit(1_000);
        let mut live = Vec::new();
        for found in cx.store.page::<Self>(query).await?.items {
            if found.ends_at() > cx.env.now() && found.epochs.hold(&cx.store).await? {
                live.push(found.value);
            }
        }
        Ok(live)
    }

    /// When it was given.
    pub(super) fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Whether a member of that generation would be taken now.
    pub(super) async fn takes(&self, cx: &Context, generation: u64) -> Result<bool> {
        let now = cx.env.now();
        let current = generation == self.generation || self.in_grace(generation, now);
        Ok(current && now < self.expires_at && now < self.idle_until && self.epochs.hold(&cx.store).await?)
    }

    fn in_grace(&self, generation: u64, now: Timestamp) -> bool {
        generation + 1 == self.generation && now >= self.turned_at && now.since(self.turned_at) < GRACE
    }

    /// When it ends if it is not used.
    pub(super) fn ends_at(&self) -> Timestamp {
        self.expires_at.min(self.idle_until)
    }
}

/// Presents a token. The batch holds what it does to the family, also when it is refused: it is to be committed in
/// both cases. Errors: `invalid_grant`.
pub(super) async fn turn(cx: &Context, app: &App, presented: &str, batch: &mut Batch) -> Result<Turn> {
    let Some((Stored { value: mut family, revision }, generation)) = known(cx, presented).await? else {
        return refused(UNKNOWN);
    };
    let now = cx.env.now();
    if !family.epochs.hold(&cx.store).await? {
        return refused("The access that the refresh token was given under has ended.");
    }
    let stolen = family.app != app.id;
    let current = generation == family.generation;
    if stolen || !(current || family.in_grace(generation, now)) {
        // RFC 9700 §4.14.2: nobody can tell the thief from the app, so both lose it.
        bump(&cx.store, Scope::Grant(family.grant), batch).await?;
        let event = |kind| {
            Event::new(&cx.env, kind, &Actor::App(app.id), &cx.origin)
                .within(family.organization)
                .and("app", family.app)
                .and("user", family.user)
                .failed("refresh_reuse")
        };
        let (grant, session) = (family.grant, family.session);
        batch
            .log(event(EventKind::RefreshReused).about("grant", grant).and("session", session))
            // Whoever watches over sessions looks at what is told of them.
            .log(event(EventKind::SessionRefreshReused).about("session", session).and("grant", grant));
        return refused(if stolen {
            "The refresh token was given to another app; what it had given is revoked."
        } else {
            "The refresh token was used before; what it had given is revoked."
        });
    }
    if now >= family.ends_at() {
        return refused("The refresh token has expired.");
    }
    if !family.offline {
        // To refresh is to use the session; what would be refused with its cookie is refused here, too.
        match Session::find(&cx.store, family.session).await? {
            Some(session) if session.lasts(&cx.store, now).await? => session.touch(cx, batch).await?,
            _ => return refused("The session that the refresh token was given under has ended."),
        }
    }
    if !app.reach().includes(family.organization) {
        return refused("The app does not serve the organization any more.");
    }
    // Before it turns: what is refused for what is enforced now is good again when that is lifted.
    let member = holder::of(cx, family.organization, family.user, &family.epochs).await?;
    if current {
        family.generation += 1;
        family.turned_at = now;
        family.idle_until = family.expires_at.min(now + app.refresh_idle());
        batch.update(&family, revision);
    } else {
        // The repeated answer must not come after somebody else has gone on.
        batch.require::<RefreshFamily>(family.key(), revision);
    }
    let successor = family.member(cx, family.generation)?;
    Ok(Turn { family, member, successor, rotated: current })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_form() {
        let grant = GrantId::new(&Env::frozen());
        let whole = text(grant, 12, &[7; 32]);
        assert_eq!(read(&whole), Some((grant, 12, vec![7; 32])));
        let letters = &grant.to_string()[GrantId::PREFIX.len()..];
        for wrong in [
            String::new(),
            whole[3..].to_owned(),
            format!("{whole}.x"),
            format!("{whole}="),
            format!("rt_{letters}.012.AAAA"),
            format!("rt_{letters}.+12.AAAA"),
            format!("rt_{letters}.-1.AAAA"),
            format!("rt_{letters}..AAAA"),
            format!("rt_{letters}.99999999999999999999.AAAA"),
            format!("rt_{}.1.AAAA", letters.to_uppercase()),
            format!("rt_{letters}.1"),
            "x".repeat(4_096),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }
}
