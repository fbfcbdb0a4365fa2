//! Which apps hold tokens of a session, and whether each was told that it has ended.

use super::record::Session;
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{AppId, SessionId};
use crate::store::{Batch, Index, Key, Life, Query, Record, Store, Stored};

/// How an app took the news that a session has ended.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Notice {
    /// It is being told.
    #[n(0)]
    Pending,
    /// It has taken note.
    #[n(1)]
    Acknowledged,
    /// It could not be told.
    #[n(2)]
    Failed,
}

/// An app that was given tokens under a session.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct SessionApp {
    /// The session.
    #[n(0)]
    pub session: SessionId,
    /// The app.
    #[n(1)]
    pub app: AppId,
    /// When it was given tokens first.
    #[n(2)]
    pub since: Timestamp,
    /// How it took the session's end, once that was told.
    #[n(3)]
    pub notice: Option<Notice>,
    /// When nobody asks any more.
    #[n(4)]
    pub expires_at: Timestamp,
}

impl Record for SessionApp {
    const KIND: &'static str = "session_app";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Self::key_of(self.session, self.app)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("session", self.session.bytes()), Index::many("app", self.app.bytes())]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

impl SessionApp {
    /// The key of an app within a session.
    pub fn key_of(session: SessionId, app: AppId) -> Key {
        Key::of(&[&session.bytes(), &app.bytes()])
    }

    /// Adds the note that the app has tokens of the session, unless it is there.
    pub async fn note(
        store: &Store,
        session: SessionId,
        app: AppId,
        now: Timestamp,
        ends: Timestamp,
        batch: &mut Batch,
    ) -> Result<()> {
        if store.get::<Self>(Self::key_of(session, app)).await?.is_none() {
            batch.put(&Self { session, app, since: now, notice: None, expires_at: ends });
        }
        Ok(())
    }

    /// The apps of a session, at most 1,000.
    pub async fn of(store: &Store, session: SessionId) -> Result<Vec<Stored<Self>>> {
        Ok(store.page::<Self>(Query::by("session", session.bytes()).limit(1_000)).await?.items)
    }
}

impl Session {
    /// The apps that were given tokens under it.
    pub async fn apps(&self, store: &Store) -> Result<Vec<Stored<SessionApp>>> {
        SessionApp::of(store, self.id).await
    }
}
