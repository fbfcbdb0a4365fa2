//! What has ended and whose apps have still to be told.
//!
//! Every bump leaves a row here in its own commit, so no road that ends access can forget the apps. Whoever tells
//! them takes the row away, or moves it on, in the commit that makes the calls.

use super::epoch::Scope;
use super::record::Session;
use crate::error::Result;
use crate::store::{Batch, Key, Life, Query, Record, Store, Stored};

/// A scope that was ended.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Ended {
    /// What was ended.
    #[n(0)]
    pub scope: Scope,
    /// Sessions up to here are done.
    #[cbor(n(1), with = "minicbor::bytes")]
    after: Option<Vec<u8>>,
}

impl Record for Ended {
    const KIND: &'static str = "ended";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        self.scope.key()
    }
}

/// A few sessions of a scope that was ended, and the row that stands for the rest.
pub struct Piece {
    /// Sessions that have ended, not more than asked for.
    pub sessions: Vec<Session>,
    row: Stored<Ended>,
    next: Option<Vec<u8>>,
}

impl Ended {
    /// The row of a scope that was ended just now. An app, a grant, a consent or a link has no sessions of its own.
    pub(super) fn leave(scope: Scope, batch: &mut Batch) {
        if !matches!(scope, Scope::App(_) | Scope::Grant(_) | Scope::Consent(..) | Scope::BreakGlass(_)) {
            batch.put(&Self { scope, after: None });
        }
    }

    /// The next piece of what has ended; none when all is told.
    pub async fn next(store: &Store, limit: usize) -> Result<Option<Piece>> {
        let Some(row) = store.page::<Self>(Query::all().limit(1)).await?.items.into_iter().next() else {
            return Ok(None);
        };
        let query = match row.scope {
            Scope::Session(id) => {
                let found: Option<Stored<Session>> = store.get(Key::from_bytes(id.bytes())).await?;
                let sessions = found.map(|found| found.value).into_iter().collect();
                return Ok(Some(Piece { sessions, row, next: None }));
            }
            Scope::Organization(id) | Scope::People(id) => Query::by("organization", id.bytes()),
            Scope::Membership(organization, user) => Query::by("member", Session::member(organization, user)),
            Scope::User(id) => Query::by("user", id.bytes()),
            Scope::Connection(id) => Query::by("connection", id.bytes()),
            Scope::App(_) | Scope::Grant(_) | Scope::Consent(..) | Scope::BreakGlass(_) => {
                return Ok(Some(Piece { sessions: Vec::new(), row, next: None }));
            }
        };
        let page = store.page::<Session>(query.limit(limit).after(row.after.clone())).await?;
        let mut sessions = Vec::new();
        for stored in page.items {
            // Opened after the end, it has not ended.
            if !stored.epochs.hold(store).await? {
                sessions.push(stored.value);
            }
        }
        Ok(Some(Piece { sessions, row, next: page.next }))
    }
}

impl Piece {
    /// Adds to the batch that these sessions are done.
    pub fn done(self, batch: &mut Batch) {
        let Self { row, next, .. } = self;
        match next {
            Some(after) => batch.update(&Ended { after: Some(after), ..row.value.clone() }, row.revision),
            None => batch.delete::<Ended>(row.value.key(), row.revision),
        };
    }
}
