//! The operator's link: how an owner comes in when no identity provider lets them.
//!
//! ```text
//!  authd break-glass ──► link (its hash is kept) ── opened ──► page, nothing is used up ── button ──► session of an hour
//!                          │ used once │ its time is over │ taken back │ access, or the organization, has ended
//!                          └───────────┴──────────────────┴────────────┴──► refused, with an event
//! ```

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Context, Method, Operation, Owner, Route};
use crate::crypto::{Opaque, Secret, TokenHash};
use crate::directory::{EmailAddress, Membership, Organization};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{BreakGlassId, OrganizationId, SessionId, UserId};
use crate::session::{Epochs, Scope};
use crate::store::{Batch, Index, Key, Life, Record, Revision, Store, Stored};

/// What every link's secret begins with, so that scanners of repositories know it.
const PREFIX: &str = "bg_";
/// A link is good for so long unless somebody says otherwise …
const USUAL: Duration = Duration::from_secs(15 * 60);
/// … no shorter …
const SHORTEST: Duration = Duration::from_secs(60);
/// … and no longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The session that it opens ends after so long, whatever the organization allows.
pub const SESSION: Duration = Duration::from_secs(3600);
/// What has become of a link can be seen for so long.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest reason.
const REASON: usize = 500;

/// A link.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct BreakGlass {
    /// Its id; not its secret.
    #[n(0)]
    pub id: BreakGlassId,
    /// In which organization.
    #[n(1)]
    pub organization: OrganizationId,
    /// For whom.
    #[n(2)]
    pub user: UserId,
    /// The hash of its secret.
    #[n(3)]
    pub hash: TokenHash,
    /// Why the operator made it.
    #[n(4)]
    pub reason: String,
    /// When it was made.
    #[n(5)]
    pub created_at: Timestamp,
    /// From when on it is no good.
    #[n(6)]
    pub expires_at: Timestamp,
    /// When it was used.
    #[n(7)]
    pub used_at: Option<Timestamp>,
    /// The session that it opened.
    #[n(8)]
    pub session: Option<SessionId>,
    /// What it was made under.
    #[n(9)]
    pub epochs: Epochs,
    /// When the operator took it back.
    #[n(10)]
    pub revoked_at: Option<Timestamp>,
}

impl Record for BreakGlass {
    const KIND: &'static str = "break_glass";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::unique("hash", self.hash.bytes()), Index::many("organization", self.organization.bytes())]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at + KEPT)
    }
}

/// A link that works, for whom, and what a use of it has to be written against.
#[derive(Clone, Debug)]
pub struct Used {
    /// The link.
    pub link: BreakGlass,
    /// The person, as they are now.
    pub member: Membership,
    /// What the session is made under.
    pub under: Epochs,
    revision: Revision,
}

/// Why a link was refused, and which it was, where that is known.
#[derive(Debug)]
pub struct Refused {
    /// For the person.
    pub error: Error,
    /// The link.
    pub link: Option<BreakGlass>,
    /// For the log.
    pub why: &'static str,
}

impl BreakGlass {
    /// The link of a secret, if somebody may come in by it now. Nothing is used up.
    pub async fn working(store: &Store, now: Timestamp, secret: &str) -> Result<std::result::Result<Used, Refused>> {
        let found: Option<Stored<Self>> = match secret.len() <= 64 && secret.starts_with(PREFIX) {
            true => store.find("hash", TokenHash::of(secret).bytes()).await?,
            false => None,
        };
        let refused = |link, why| Ok(Err(Refused { error: Error::new(&codes::BREAK_GLASS_INVALID), link, why }));
        let Some(Stored { value: link, revision }) = found.filter(|found| found.hash.fits(secret)) else {
            return refused(None, "unknown");
        };
        match link.standing(store, now).await? {
            Ok((member, under)) => Ok(Ok(Used { member, link, under, revision })),
            Err(why) => refused(Some(link), why),
        }
    }

    /// For whom it opens now, and what a session by it is made under; or why it does not open.
    pub(super) async fn standing(
        &self,
        store: &Store,
        now: Timestamp,
    ) -> Result<std::result::Result<(Membership, Epochs), &'static str>> {
        if self.revoked_at.is_some() {
            return Ok(Err("revoked"));
        }
        if self.used_at.is_some() {
            return Ok(Err("used"));
        }
        if now >= self.expires_at || self.created_at.is_ahead_of(now) {
            return Ok(Err("expired"));
        }
        // Those of the link, and no fresh ones: what ends from here to the commit has ended the session, too.
        let under = self.epochs.clone().and(store, &[Scope::BreakGlass(self.id)]).await?;
        if !self.epochs.hold(store).await? {
            return Ok(Err("ended"));
        }
        match Membership::active(store, self.organization, self.user).await {
            Ok(member) if member.owns() => Ok(Ok((member.value, under))),
            Ok(_) => Ok(Err("not_an_owner")),
            Err(error)
                if [&codes::NOT_FOUND, &codes::PERSON_DISABLED, &codes::ORGANIZATION_DISABLED]
                    .iter()
                    .any(|code| error.is(code)) =>
            {
                Ok(Err("ended"))
            }
            Err(error) => Err(error),
        }
    }
}

impl Used {
    /// Adds to the batch that the link has been used. Of two uses at once, one is too late. The caller adds the event.
    pub fn up(&self, session: SessionId, now: Timestamp, batch: &mut Batch) {
        let used = BreakGlass { used_at: Some(now), session: Some(session), ..self.link.clone() };
        batch.update(&used, self.revision);
    }
}

/// Make a link that signs an owner in once, without any identity provider: the way in when the provider is down, or when
/// nobody can do what is enforced.
///
/// Only the operator can, on the machine itself. The link works once, within its time; the session that it opens ends after
/// an hour, and is marked. Both are in the log, with the reason.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateBreakGlass {
    /// The organization.
    pub organization: OrganizationId,
    /// The owner: their id, or their e-mail address there.
    pub user: String,
    /// How long the link can be used: `15m` unless given; from `1m` to `24h`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<String>,
    /// Why; it stands in the log.
    pub reason: String,
}

/// A new link, shown once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedBreakGlass {
    /// Its id, as the log names it.
    pub id: BreakGlassId,
    /// The link. Whoever opens it and presses the button is signed in: hand it to nobody else.
    pub url: Secret,
    /// The organization.
    pub organization: OrganizationId,
    /// The owner.
    pub user: UserId,
    /// Their address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Why.
    pub reason: String,
    /// From when on it is no good.
    pub expires_at: Timestamp,
    /// The session that it opens lasts so many seconds.
    pub session_seconds: u64,
}

#[async_trait]
impl Operation for CreateBreakGlass {
    type Seen = ();
    type Output = CreatedBreakGlass;
    const NAME: &'static str = "break_glass.create";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/break-glass" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Organization(self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let lasts = self.lasts.as_deref().map_or(Ok(USUAL), lifetime)?;
        let reason = reason(&self.reason)?;
        Organization::open(&cx.store, self.organization).await?;
        let user = self.whom(cx).await?;
        let scopes = [
            Scope::Organization(self.organization),
            Scope::People(self.organization),
            Scope::Membership(self.organization, user),
            Scope::User(user),
        ];
        // Epochs first: whatever ends between here and the read below has ended the link too.
        let epochs = Epochs::capture(&cx.store, &scopes).await?;
        let member = Membership::active(&cx.store, self.organization, user).await?.value;
        if !member.owns() {
            return Err(Error::says(
                &codes::INVALID_INPUT,
                "The link is for an owner of the organization, and they are none.",
            )
            .help(format!("`authd member set-role {user} --org {} --role owner` makes them one.", self.organization)));
        }
        let Opaque { text: secret, hash } = Opaque::new(&cx.env, PREFIX);
        let now = cx.env.now();
        let link = BreakGlass {
            id: BreakGlassId::new(&cx.env),
            organization: self.organization,
            user,
            hash,
            reason,
            created_at: now,
            expires_at: now + lasts,
            used_at: None,
            session: None,
            epochs,
            revoked_at: None,
        };
        let event = cx
            .event(EventKind::BreakGlassCreated)
            .within(link.organization)
            .about("break_glass", link.id)
            .and("user", link.user)
            .with("reason", link.reason.clone())
            .with("expiresAt", link.expires_at.to_string());
        batch.create(&link).log(event);
        let path = format!("/signin/break-glass?token={}", secret.expose());
        Ok(CreatedBreakGlass {
            id: link.id,
            url: Secret::new(cx.deployment.public_url.at(&path)),
            organization: link.organization,
            user: link.user,
            email: member.email,
            reason: link.reason,
            expires_at: link.expires_at,
            session_seconds: SESSION.as_secs(),
        })
    }
}

impl CreateBreakGlass {
    /// Who is meant. Errors: `not_found`, `invalid_input`.
    async fn whom(&self, cx: &Context) -> Result<UserId> {
        if !self.user.contains('@') {
            return self.user.parse();
        }
        let email = EmailAddress::parse(&self.user)?;
        let found = Membership::by_email(&cx.store, self.organization, &email).await?;
        Ok(found.ok_or_else(|| Error::says(&codes::NOT_FOUND, "Nobody in the organization has that address."))?.user)
    }
}

/// A time as people type it: a number and `s`, `m` or `h`. Errors: `invalid_input`.
fn lifetime(text: &str) -> Result<Duration> {
    let wrong = || {
        Error::says(&codes::INVALID_INPUT, "That is no time that a link can be good for.")
            .help("Write a number with `s`, `m` or `h`, from `1m` to `24h`: `15m`.")
    };
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wrong()),
    };
    let digits =
        text.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).ok_or_else(wrong)?;
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let lasts = number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)?;
    if (SHORTEST..=LONGEST).contains(&lasts) { Ok(lasts) } else { Err(wrong()) }
}

/// Errors: `invalid_input`.
fn reason(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > REASON || text.chars().any(char::is_control) {
        return Err(Error::says(
            &codes::INVALID_INPUT,
            format!("The reason needs 1 to {REASON} bytes, and no control characters."),
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_a_unit_within_bounds() {
        for (text, seconds) in [("15m", 900), ("1m", 60), ("60s", 60), ("24h", 86_400), ("1440m", 86_400), ("1h", 3600)]
        {
            assert_eq!(lifetime(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in [
            "",
            "m",
            "15",
            "0m",
            "59s",
            "25h",
            "86401s",
            "-5m",
            "+5m",
            "1.5h",
            "15 m",
            "15min",
            "5d",
            "１５m",
            "99999999999999999999h",
            "18446744073709551615h",
            "m5",
            "5é",
        ] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
