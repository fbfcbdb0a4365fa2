//! Access epochs: how a thousand things end by one small commit.
//!
//! An epoch is a number of an organization, a membership, a connection, a session, an app or a grant. What is made
//! under it (cookie, code, token, attempt) remembers the number, and is dead as soon as the number is another.
//! Capture epochs *before* reading the status of what they stand for: a race then dies at use.

use super::ended::Ended;
use crate::error::Result;
use crate::id::{AppId, BreakGlassId, ConnectionId, GrantId, OrganizationId, SessionId, UserId};
use crate::policy::Via;
use crate::store::{Batch, Key, Life, Record, Store, Stored};

/// What can be ended as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
pub enum Scope {
    /// Everything in an organization.
    #[n(0)]
    Organization(#[n(0)] OrganizationId),
    /// Everything of a person in one organization.
    #[n(1)]
    Membership(#[n(0)] OrganizationId, #[n(1)] UserId),
    /// Everything of a person everywhere.
    #[n(2)]
    User(#[n(0)] UserId),
    /// Everything that came through a connection.
    #[n(3)]
    Connection(#[n(0)] ConnectionId),
    /// One session, and what apps were given under it.
    #[n(4)]
    Session(#[n(0)] SessionId),
    /// Everything that an app was given.
    #[n(5)]
    App(#[n(0)] AppId),
    /// What an app was given by one authorization.
    #[n(6)]
    Grant(#[n(0)] GrantId),
    /// Everything of every person in an organization; what machines hold stays.
    #[n(7)]
    People(#[n(0)] OrganizationId),
    /// Everything that one app was given in the name of one person.
    #[n(8)]
    Consent(#[n(0)] OrganizationId, #[n(1)] UserId, #[n(2)] AppId),
    /// Everything that came by one link of the operator's.
    #[n(9)]
    BreakGlass(#[n(0)] BreakGlassId),
}

impl Scope {
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Organization(id) => Key::of(&[b"o", &id.bytes()]),
            Self::Membership(organization, user) => Key::of(&[b"m", &organization.bytes(), &user.bytes()]),
            Self::User(id) => Key::of(&[b"u", &id.bytes()]),
            Self::Connection(id) => Key::of(&[b"c", &id.bytes()]),
            Self::Session(id) => Key::of(&[b"s", &id.bytes()]),
            Self::App(id) => Key::of(&[b"a", &id.bytes()]),
            Self::Grant(id) => Key::of(&[b"g", &id.bytes()]),
            Self::People(id) => Key::of(&[b"p", &id.bytes()]),
            Self::Consent(organization, user, app) => {
                Key::of(&[b"t", &organization.bytes(), &user.bytes(), &app.bytes()])
            }
            Self::BreakGlass(id) => Key::of(&[b"b", &id.bytes()]),
        }
    }
}

/// The number of one scope. A scope without a row is at 0.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Epoch {
    #[n(0)]
    scope: Scope,
    #[n(1)]
    number: u64,
}

impl Record for Epoch {
    const KIND: &'static str = "epoch";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        self.scope.key()
    }
}

/// The number that a scope has now.
pub(super) async fn number(store: &Store, scope: &Scope) -> Result<u64> {
    let row: Option<Stored<Epoch>> = store.get(scope.key()).await?;
    Ok(row.map_or(0, |row| row.number))
}

/// The epochs that something was made under.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Epochs(#[n(0)] Vec<(Scope, u64)>);

impl Epochs {
    /// The epochs of now.
    pub async fn capture(store: &Store, scopes: &[Scope]) -> Result<Self> {
        Self::default().and(store, scopes).await
    }

    /// With those of more scopes.
    pub async fn and(mut self, store: &Store, scopes: &[Scope]) -> Result<Self> {
        for scope in scopes {
            self.0.push((*scope, number(store, scope).await?));
        }
        Ok(self)
    }

    /// Without those of a scope that what is made now does not depend on.
    #[must_use]
    pub fn without(mut self, scope: Scope) -> Self {
        self.0.retain(|(held, _)| *held != scope);
        self
    }

    /// How the person came that this was made for. What is made under a sign-in holds by what it came through, so this
    /// is as true of a refresh token as of the session that it once began with.
    pub fn via(&self) -> Via {
        self.0
            .iter()
            .find_map(|(scope, _)| match scope {
                Scope::Connection(id) => Some(Via::Connection(*id)),
                Scope::BreakGlass(_) => Some(Via::BreakGlass),
                _ => None,
            })
            .unwrap_or(Via::Token)
    }

    /// The number that a scope had.
    pub(super) fn number_of(&self, scope: Scope) -> Option<u64> {
        self.0.iter().find(|(held, _)| *held == scope).map(|(_, number)| *number)
    }

    /// False as soon as one of the scopes was ended.
    pub async fn hold(&self, store: &Store) -> Result<bool> {
        for (scope, then) in &self.0 {
            if number(store, scope).await? != *then {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Ends everything that was made under the scope. The caller adds the event.
pub async fn bump(store: &Store, scope: Scope, batch: &mut Batch) -> Result<()> {
    match store.get::<Epoch>(scope.key()).await? {
        Some(Stored { value, revision }) => {
            batch.update(&Epoch { number: value.number + 1, ..value }, revision);
        }
        None => {
            batch.create(&Epoch { scope, number: 1 });
        }
    }
    Ended::leave(scope, batch);
    Ok(())
}
