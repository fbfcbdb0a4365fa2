//! # consent — what a person lets an app know and do
//!
//! *Owns* `Consent`: one row per person, organization and app, with the scopes that were agreed to.
//! *Gives* `question` (must the person be asked?), `agree`, `end`, and the operations `consent.list`, `consent.revoke`.
//! *Needs* apps, sessions, epochs. *Never* shows a page: whoever holds the session asks.
//!
//! An app of the organization's own is trusted by whoever registered it, and asks only when it wants to
//! (`prompt=consent`). A third party's is let in by each person: once for each scope, until it is taken back. Taking
//! back bumps one epoch, and with it ends every code and token that the app has of that person.

mod ops;

use std::collections::BTreeSet;

pub use ops::{ConsentView, ListConsents, RevokeConsent};

use super::authorize::AuthorizeRequest;
use super::client::App;
use crate::access::Context;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::id::{AppId, OrganizationId, UserId};
use crate::session::{Scope, Session, bump};
use crate::store::{Batch, Index, Key, Life, Query, Record, Store, Stored};

/// What a person has agreed to.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Consent {
    /// Where the person was signed in.
    #[n(0)]
    pub organization: OrganizationId,
    /// The person.
    #[n(1)]
    pub user: UserId,
    /// The app.
    #[n(2)]
    pub app: AppId,
    /// The scopes, each once, in order.
    #[n(3)]
    pub scopes: Vec<String>,
    /// When the person agreed first.
    #[n(4)]
    pub created_at: Timestamp,
    /// When the person agreed last.
    #[n(5)]
    pub updated_at: Timestamp,
}

impl Record for Consent {
    const KIND: &'static str = "consent";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.organization, self.user, self.app)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![
            Index::many("organization", self.organization.bytes()),
            Index::many("member", Self::member(self.organization, self.user)),
            Index::many("app", Self::of_app(self.organization, self.app)),
        ]
    }
}

impl Consent {
    fn key_of(organization: OrganizationId, user: UserId, app: AppId) -> Key {
        Key::of(&[&organization.bytes(), &user.bytes(), &app.bytes()])
    }

    fn member(organization: OrganizationId, user: UserId) -> Vec<u8> {
        [organization.bytes(), user.bytes()].concat()
    }

    fn of_app(organization: OrganizationId, app: AppId) -> Vec<u8> {
        [organization.bytes(), app.bytes()].concat()
    }

    /// What one person has agreed to with one app.
    pub async fn load(
        store: &Store,
        organization: OrganizationId,
        user: UserId,
        app: AppId,
    ) -> Result<Option<Stored<Self>>> {
        store.get(Self::key_of(organization, user, app)).await
    }

    /// What a person has agreed to, at most 1,000 apps: for the person's own page.
    pub async fn of_member(store: &Store, organization: OrganizationId, user: UserId) -> Result<Vec<Self>> {
        let query = Query::by("member", Self::member(organization, user)).limit(1_000);
        Ok(store.page::<Self>(query).await?.items.into_iter().map(|stored| stored.value).collect())
    }

    fn covers(&self, scopes: &[String]) -> bool {
        scopes.iter().all(|scope| self.scopes.contains(scope))
    }
}

/// What a person has to be asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks.
    pub app: App,
    /// What it asks for.
    pub scopes: Vec<String>,
}

/// Whether the person of the session has to be asked before the app is answered. Errors: `unauthorized_client`.
pub async fn question(cx: &Context, request: &AuthorizeRequest, session: &Session) -> Result<Option<Question>> {
    let app = App::load(&cx.store, request.app)
        .await
        .map_err(|e| if e.is(&codes::NOT_FOUND) { Error::new(&codes::UNAUTHORIZED_CLIENT) } else { e })?
        .value;
    if !request.forces_consent() && stands(cx, &app, request, session).await? {
        return Ok(None);
    }
    Ok(Some(Question { app, scopes: request.asks_for() }))
}

/// Whether the app may be answered without a question.
pub(super) async fn stands(cx: &Context, app: &App, request: &AuthorizeRequest, session: &Session) -> Result<bool> {
    if !app.third_party {
        return Ok(true);
    }
    let found = Consent::load(&cx.store, session.organization, session.user, app.id).await?;
    Ok(found.is_some_and(|consent| consent.covers(&request.asks_for())))
}

/// That the person of a session has agreed, in the batch that this came from.
#[derive(Debug)]
pub struct Agreed {
    organization: OrganizationId,
    user: UserId,
    app: AppId,
    scopes: Vec<String>,
}

impl Agreed {
    pub(super) fn covers(&self, request: &AuthorizeRequest, session: &Session) -> bool {
        (self.organization, self.user, self.app) == (session.organization, session.user, request.app)
            && request.asks_for().iter().all(|scope| self.scopes.contains(scope))
    }
}

/// Adds to the batch that the person of the session has agreed to what the request asks for, beside what they had
/// agreed to before.
pub async fn agree(cx: &Context, request: &AuthorizeRequest, session: &Session, batch: &mut Batch) -> Result<Agreed> {
    let (organization, user, app) = (session.organization, session.user, request.app);
    let now = cx.env.now();
    let found = Consent::load(&cx.store, organization, user, app).await?;
    let mut scopes: BTreeSet<String> = request.asks_for().into_iter().collect();
    if let Some(known) = &found {
        scopes.extend(known.scopes.iter().cloned());
    }
    let consent = Consent {
        organization,
        user,
        app,
        scopes: scopes.into_iter().collect(),
        created_at: found.as_ref().map_or(now, |known| known.created_at),
        updated_at: now,
    };
    match &found {
        Some(known) => batch.update(&consent, known.revision),
        None => batch.create(&consent),
    };
    batch.log(event(cx, EventKind::ConsentGranted, session, app).with("scope", consent.scopes.join(" ")));
    Ok(Agreed { organization, user, app, scopes: consent.scopes })
}

/// Adds to the batch that the person of the session does not agree.
pub fn deny(cx: &Context, request: &AuthorizeRequest, session: &Session, batch: &mut Batch) {
    batch.log(event(cx, EventKind::ConsentDenied, session, request.app).failed("access_denied"));
}

fn event(cx: &Context, kind: EventKind, session: &Session, app: AppId) -> Event {
    Event::new(&cx.env, kind, &Actor::User(session.user), &cx.origin)
        .within(session.organization)
        .about("app", app)
        .and("user", session.user)
        .and("session", session.id)
}

/// Adds to the batch that the app has nothing of the person any more: no consent, and nothing that it was given. The
/// caller names who did it, in `event`. Gives what there was.
pub async fn end(
    cx: &Context,
    (organization, user, app): (OrganizationId, UserId, AppId),
    event: Event,
    batch: &mut Batch,
) -> Result<Option<Consent>> {
    bump(&cx.store, Scope::Consent(organization, user, app), batch).await?;
    batch.log(event.within(organization).about("app", app).and("user", user));
    let Some(found) = Consent::load(&cx.store, organization, user, app).await? else { return Ok(None) };
    batch.delete::<Consent>(found.key(), found.revision);
    Ok(Some(found.value))
}
