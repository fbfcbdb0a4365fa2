//! A token of a directory as it is kept, and which one a bearer is.

use super::oauth;
use crate::access::Context;
use crate::crypto::TokenHash;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId, ScimTokenId};
use crate::store::{Index, Key, Life, Query, Record, Store, Stored};
use crate::token::{last_used, note_use};

/// What every token begins with, so that scanners of repositories know it.
pub const PREFIX: &str = "scim_";
/// A token of ours is shorter; nobody makes us hash more.
const LONGEST: usize = 256;

/// A token by which a directory speaks.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct ScimToken {
    /// Its id; the client id at the token endpoint.
    #[n(0)]
    pub id: ScimTokenId,
    /// Whose it is.
    #[n(1)]
    pub organization: OrganizationId,
    /// The connection whose directory speaks; none for the organization's own.
    #[n(2)]
    pub connection: Option<ConnectionId>,
    /// What people call it.
    #[n(3)]
    pub label: String,
    /// The hash of the token.
    #[n(4)]
    pub hash: TokenHash,
    /// When it was made.
    #[n(5)]
    pub created_at: Timestamp,
    /// From when on it is no good; never if absent.
    #[n(6)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[n(7)]
    pub revoked_at: Option<Timestamp>,
}

impl Record for ScimToken {
    const KIND: &'static str = "scim_token";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        let mut all =
            vec![Index::unique("hash", self.hash.bytes()), Index::many("organization", self.organization.bytes())];
        all.extend(self.connection.map(|id| Index::many("connection", id.bytes())));
        all
    }
}

impl ScimToken {
    /// The token of that id. Errors: `not_found`.
    pub async fn load(store: &Store, id: ScimTokenId) -> Result<Stored<Self>> {
        store.get(Key::from_bytes(id.bytes())).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }

    /// Whether a bearer is meant to be one, or to be given for one.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with(PREFIX) || text.starts_with(oauth::PREFIX)
    }

    /// Whether it is good now.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }

    /// The token that a bearer is, or was given for. Its use is noted. Errors: `not_signed_in`, the same for one that
    /// is unknown, revoked or expired.
    pub async fn authenticate(cx: &Context, text: &str) -> Result<Self> {
        let unknown = || Error::new(&codes::NOT_SIGNED_IN);
        if text.len() > LONGEST {
            return Err(unknown());
        }
        let token = if text.starts_with(oauth::PREFIX) {
            let id = oauth::open(cx, text).ok_or_else(unknown)?;
            let found: Option<Stored<Self>> = cx.store.get(Key::from_bytes(id.bytes())).await?;
            found.ok_or_else(unknown)?.value
        } else {
            Self::by_secret(cx, text).await?.ok_or_else(unknown)?
        };
        if !token.is_live(cx.env.now()) {
            return Err(unknown());
        }
        note_use(cx, token.id.bytes(), token.expires_at).await?;
        Ok(token)
    }

    /// The token itself, live or not.
    pub(super) async fn by_secret(cx: &Context, text: &str) -> Result<Option<Self>> {
        let found: Option<Stored<Self>> = cx.store.find("hash", TokenHash::of(text).bytes()).await?;
        Ok(found.map(|found| found.value).filter(|token| token.hash.fits(text)))
    }

    /// All tokens of a connection's directory, or of the organization's own.
    pub async fn of(cx: &Context, organization: OrganizationId, connection: Option<ConnectionId>) -> Result<Vec<Self>> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let query = match connection {
                Some(connection) => Query::by("connection", connection.bytes()),
                None => Query::by("organization", organization.bytes()),
            };
            let page = cx.store.page::<Self>(query.limit(1_000).after(cursor)).await?;
            all.extend(page.items.into_iter().map(|row| row.value).filter(|token| token.connection == connection));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// Whether the directory has one that is good.
    pub async fn any_live(
        cx: &Context,
        organization: OrganizationId,
        connection: Option<ConnectionId>,
    ) -> Result<bool> {
        let now = cx.env.now();
        Ok(Self::of(cx, organization, connection).await?.iter().any(|token| token.is_live(now)))
    }

    /// When it was last used, to the minute.
    pub async fn last_used(&self, store: &Store) -> Result<Option<Timestamp>> {
        last_used(store, self.id.bytes()).await
    }
}
