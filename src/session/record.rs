//! One signed-in person in one browser.

use std::time::Duration;

use super::epoch::{Epochs, Scope, bump, number};
use super::lifetimes::{Bounds, Lifetimes};
use crate::access::Context;
use crate::crypto::{Opaque, Secret, TokenHash, sha256};
use crate::env::Timestamp;
use crate::error::Result;
use crate::event::EventKind;
use crate::id::{BreakGlassId, ConnectionId, OrganizationId, SessionId, UserId};
use crate::policy::Via;
use crate::store::{Batch, Index, Key, Life, Query, Record, Store, Stored};

/// The last use is noted at most so often.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// A session.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Session {
    /// Its id; the `sid` of tokens.
    #[n(0)]
    pub id: SessionId,
    /// In which organization.
    #[n(1)]
    pub organization: OrganizationId,
    /// Whose.
    #[n(2)]
    pub user: UserId,
    /// Through which connection the person came.
    #[n(3)]
    pub connection: Option<ConnectionId>,
    /// The hash of the cookie.
    #[n(4)]
    pub cookie: TokenHash,
    /// What it was made under; its own scope included.
    #[n(5)]
    pub epochs: Epochs,
    /// When it was made.
    #[n(6)]
    pub created_at: Timestamp,
    /// When the person really authenticated.
    #[n(7)]
    pub auth_time: Timestamp,
    /// The context class the provider stated.
    #[n(8)]
    pub acr: Option<String>,
    /// The methods the provider stated.
    #[n(9)]
    pub amr: Vec<String>,
    /// When it ends, whatever happens, by what held when it was opened; `ends_at` knows what holds now.
    #[n(10)]
    pub expires_at: Timestamp,
    /// The provider's own session.
    #[n(11)]
    pub upstream_session: Option<String>,
    /// From which address it was opened.
    #[n(12)]
    pub ip: Option<String>,
    /// In which browser.
    #[n(13)]
    pub user_agent: Option<String>,
    /// The person's address at the time, so that a list of sessions can be read.
    #[n(14)]
    pub email: Option<String>,
    /// When it was ended by itself, not together with others.
    #[n(15)]
    pub ended_at: Option<Timestamp>,
    /// It ends when it was not used for so long; two hours if absent.
    #[n(16)]
    pub idle_seconds: Option<u64>,
    /// Who the person is at the provider, in the provider's own words.
    #[n(17)]
    pub upstream_subject: Option<String>,
    /// It was opened by a link of the operator's.
    #[n(18)]
    pub break_glass: Option<BreakGlassId>,
    /// An app handed the sign-in over and keeps the session itself. No use of it is seen here, so disuse ends nothing.
    #[n(19)]
    pub handed: Option<bool>,
}

impl Record for Session {
    const KIND: &'static str = "session";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        let mut indexes = vec![
            Index::unique("cookie", self.cookie.bytes()),
            Index::many("organization", self.organization.bytes()),
            Index::many("user", self.user.bytes()),
            Index::many("member", Self::member(self.organization, self.user)),
        ];
        indexes.extend(self.connection.map(|id| Index::many("connection", id.bytes())));
        if self.ended_at.is_none() {
            let of = |scope| self.epochs.number_of(scope).unwrap_or_default();
            let epoch = of(Scope::Organization(self.organization)) + of(Scope::People(self.organization));
            indexes.push(Index::many("live", Self::live(self.organization, epoch)));
        }
        if let Some(connection) = self.connection {
            let said = [("sid", &self.upstream_session), ("sub", &self.upstream_subject)];
            let said = said.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
            indexes.extend(said.map(|(name, value)| Index::many("upstream", Self::upstream(connection, name, value))));
        }
        indexes
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// When a session was last used: a row of its own, so that use does not rewrite the session.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Seen {
    #[n(0)]
    session: SessionId,
    #[n(1)]
    at: Timestamp,
    #[n(2)]
    until: Timestamp,
}

impl Record for Seen {
    const KIND: &'static str = "session_seen";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.session.bytes())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.until)
    }
}

/// What is known when a session is opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// In which organization.
    pub organization: OrganizationId,
    /// Whose.
    pub user: UserId,
    /// Through which connection.
    pub connection: Option<ConnectionId>,
    /// Epochs that were captured before the person was admitted (organization, connection).
    pub under: Epochs,
    /// When the person really authenticated.
    pub auth_time: Timestamp,
    /// The context class the provider stated.
    pub acr: Option<String>,
    /// The methods the provider stated.
    pub amr: Vec<String>,
    /// The provider's own session.
    pub upstream_session: Option<String>,
    /// Who the person is at the provider, in the provider's own words.
    pub upstream_subject: Option<String>,
    /// The person's address.
    pub email: Option<String>,
    /// Until when it may last, whatever the organization allows.
    pub until: Option<Timestamp>,
    /// The link of the operator's by which the person came, if they did.
    pub break_glass: Option<BreakGlassId>,
    /// An app handed the sign-in over, and keeps the session in the place of a browser.
    pub handed: bool,
}

/// A new session with the cookie's value, which is known only here.
pub struct Opened {
    /// The session.
    pub session: Session,
    /// The value of the cookie.
    pub cookie: Secret,
}

impl Session {
    /// The value of the `member` index: one person in one organization.
    pub fn member(organization: OrganizationId, user: UserId) -> Vec<u8> {
        [organization.bytes(), user.bytes()].concat()
    }

    /// The value of the `live` index: sessions that were not ended by themselves, and not with all others of their
    /// organization, because that is another epoch. More than these never live; some of these may have ended.
    fn live(organization: OrganizationId, epoch: u64) -> Vec<u8> {
        [&organization.bytes()[..], &epoch.to_be_bytes()].concat()
    }

    /// The value of the `live` index for the sessions of now. Both numbers only grow, so their sum is another as soon as
    /// one of them is.
    pub(super) async fn live_now(store: &Store, organization: OrganizationId) -> Result<Vec<u8>> {
        let everything = number(store, &Scope::Organization(organization)).await?;
        let people = number(store, &Scope::People(organization)).await?;
        Ok(Self::live(organization, everything + people))
    }

    /// The value of the `upstream` index: what a provider calls its session (`sid`) or the person (`sub`).
    fn upstream(connection: ConnectionId, name: &str, value: &str) -> Vec<u8> {
        sha256(&[b"upstream", &connection.bytes(), name.as_bytes(), &[0], value.as_bytes()]).to_vec()
    }

    /// The sessions that came through a connection and that the provider means: one by its own name for it, or all of
    /// the person; both must fit where both are said. At most 1,000.
    pub async fn of_upstream(
        store: &Store,
        connection: ConnectionId,
        session: Option<&str>,
        subject: Option<&str>,
    ) -> Result<Vec<Stored<Self>>> {
        let value = match (session, subject) {
            (Some(session), _) => Self::upstream(connection, "sid", session),
            (None, Some(subject)) => Self::upstream(connection, "sub", subject),
            (None, None) => return Ok(Vec::new()),
        };
        let query = Query::by("upstream", value).newest_first().limit(1_000);
        let mut found = store.page::<Self>(query).await?.items;
        let said =
            |known: &Option<String>, meant: Option<&str>| meant.is_none_or(|meant| known.as_deref() == Some(meant));
        found.retain(|held| said(&held.upstream_session, session) && said(&held.upstream_subject, subject));
        Ok(found)
    }

    /// How the person came.
    pub fn via(&self) -> Via {
        match (self.break_glass, self.connection) {
            (Some(_), _) => Via::BreakGlass,
            (None, Some(connection)) => Via::Connection(connection),
            (None, None) => Via::Native,
        }
    }

    /// Ends a session by itself. The caller adds the event.
    pub async fn end(store: &Store, id: SessionId, now: Timestamp, batch: &mut Batch) -> Result<()> {
        bump(store, Scope::Session(id), batch).await?;
        if let Some(Stored { mut value, revision }) = store.get::<Self>(Key::from_bytes(id.bytes())).await? {
            value.ended_at = Some(now);
            batch.update(&value, revision);
        }
        Ok(())
    }

    /// Opens a session; it is there once the batch is committed. A new id at every sign-in (session fixation).
    pub async fn open(cx: &Context, new: NewSession, batch: &mut Batch) -> Result<Opened> {
        let id = SessionId::new(&cx.env);
        let scopes = [
            Scope::People(new.organization),
            Scope::Membership(new.organization, new.user),
            Scope::User(new.user),
            Scope::Session(id),
        ];
        let epochs = new.under.and(&cx.store, &scopes).await?;
        let lifetimes = Lifetimes::of(&cx.store, new.organization).await?;
        let Opaque { text: cookie, hash } = Opaque::new(&cx.env, "");
        let now = cx.env.now();
        let session = Self {
            id,
            organization: new.organization,
            user: new.user,
            connection: new.connection,
            cookie: hash,
            epochs,
            created_at: now,
            auth_time: new.auth_time.min(now),
            acr: new.acr,
            amr: new.amr,
            expires_at: new.until.into_iter().fold(now + Duration::from_secs(lifetimes.seconds()), Timestamp::min),
            upstream_session: new.upstream_session,
            upstream_subject: new.upstream_subject,
            ip: cx.origin.ip.map(|ip| ip.to_string()),
            user_agent: cx.origin.user_agent.clone(),
            email: new.email,
            ended_at: None,
            idle_seconds: Some(lifetimes.idle_seconds()),
            break_glass: new.break_glass,
            handed: new.handed.then_some(true),
        };
        let event = cx.event(EventKind::SessionSignedIn).within(session.organization).about("session", id);
        batch.create(&session).log(event.and("user", session.user));
        session.note_use(now, batch);
        Ok(Opened { session, cookie })
    }

    /// Ends the session that a browser had before, when the same person signs in to the same organization again: its
    /// cookie is gone, so that nobody could sign out of it any more. Another person's is left alone.
    pub async fn replace(&self, cx: &Context, earlier: Option<&Self>, batch: &mut Batch) -> Result<()> {
        let Some(earlier) = earlier.filter(|earlier| {
            earlier.id != self.id && (earlier.user, earlier.organization) == (self.user, self.organization)
        }) else {
            return Ok(());
        };
        bump(&cx.store, Scope::Session(earlier.id), batch).await?;
        let event = cx.event(EventKind::SessionInvalidated).within(earlier.organization).about("session", earlier.id);
        batch.log(event.and("user", earlier.user).with("reason", "signed_in_again"));
        Ok(())
    }

    /// The live session that a cookie's value stands for, if any.
    pub async fn of_cookie(store: &Store, now: Timestamp, cookie: &str) -> Result<Option<Self>> {
        if cookie.len() > 64 {
            return Ok(None);
        }
        let found: Option<Stored<Self>> = store.find("cookie", TokenHash::of(cookie).bytes()).await?;
        match found {
            Some(found) if found.cookie.fits(cookie) && found.alive(store, now).await? => Ok(Some(found.value)),
            _ => Ok(None),
        }
    }

    /// Whether it has neither ended nor gone unused for too long.
    pub async fn alive(&self, store: &Store, now: Timestamp) -> Result<bool> {
        Ok(self.lasts(store, now).await? && self.epochs.hold(store).await?)
    }

    /// Whether its time is not over, by use and in all. What ended it before its time is not looked at.
    pub async fn lasts(&self, store: &Store, now: Timestamp) -> Result<bool> {
        let bounds = self.bounds(store).await?;
        let used = self.last_used(store).await?;
        let made = !self.created_at.is_ahead_of(now);
        Ok(made && bounds.ends_at > now && now.since(used) < bounds.idle)
    }

    /// When it ends, whatever happens, by what its organization says now.
    pub async fn ends_at(&self, store: &Store) -> Result<Timestamp> {
        Ok(self.bounds(store).await?.ends_at)
    }

    pub(super) async fn bounds(&self, store: &Store) -> Result<Bounds> {
        let now = Lifetimes::of(store, self.organization).await?;
        let bounds = Bounds::of(self.created_at, self.idle_seconds, self.expires_at, &now);
        Ok(if self.handed == Some(true) { bounds.without_idle(self.created_at) } else { bounds })
    }

    /// The session of that id, whatever has become of it.
    pub async fn find(store: &Store, id: SessionId) -> Result<Option<Stored<Self>>> {
        store.get(Key::from_bytes(id.bytes())).await
    }

    /// When it was last used, to the minute.
    pub async fn last_used(&self, store: &Store) -> Result<Timestamp> {
        let seen: Option<Stored<Seen>> = store.get(Key::from_bytes(self.id.bytes())).await?;
        Ok(seen.map_or(self.created_at, |seen| seen.at))
    }

    /// Adds the note that it is in use, unless there is one of the last minute.
    pub async fn touch(&self, cx: &Context, batch: &mut Batch) -> Result<()> {
        let now = cx.env.now();
        if now.since(self.last_used(&cx.store).await?) >= SEEN_EVERY {
            self.note_use(now, batch);
        }
        Ok(())
    }

    fn note_use(&self, now: Timestamp, batch: &mut Batch) {
        batch.put(&Seen { session: self.id, at: now, until: self.expires_at });
    }
}
