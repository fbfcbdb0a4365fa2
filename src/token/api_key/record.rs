//! An API key as it is kept, and who holds it.

use super::super::last_used::{last_used, note_use};
use super::super::verify::told;
use crate::access::bearer::Holder;
use crate::access::{Caller, Context, Grants};
use crate::crypto::TokenHash;
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::governance::admitted;
use crate::id::{ApiKeyId, OrganizationId, UserId};
use crate::policy::Via;
use crate::session::Epochs;
use crate::store::{Index, Key, Life, Record, Store, Stored};

/// What every key begins with, so that scanners of repositories know it.
pub const PREFIX: &str = "ak_";
/// A key of ours has 46 letters; nobody makes us hash more.
const LONGEST: usize = 128;

/// A key of an organization's machine, or of one of its people.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct ApiKey {
    /// Its id.
    #[n(0)]
    pub id: ApiKeyId,
    /// Whose it is.
    #[n(1)]
    pub organization: OrganizationId,
    /// What people call it.
    #[n(2)]
    pub name: String,
    /// The hash of the key.
    #[n(3)]
    pub hash: TokenHash,
    /// What it may do; of a person's key, no more than the person may when it is used.
    #[n(4)]
    pub grants: Grants,
    /// When it was made.
    #[n(5)]
    pub created_at: Timestamp,
    /// From when on it is no good; never if absent.
    #[n(6)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[n(7)]
    pub revoked_at: Option<Timestamp>,
    /// The person it speaks for; none for a machine's.
    #[n(8)]
    pub user: Option<UserId>,
    /// What a person's key was made under; nothing for a machine's.
    #[n(9)]
    #[cbor(default)]
    pub epochs: Epochs,
}

impl Record for ApiKey {
    const KIND: &'static str = "api_key";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        let mut indexes =
            vec![Index::unique("hash", self.hash.bytes()), Index::many("organization", self.organization.bytes())];
        if let Some(user) = self.user {
            indexes.push(Index::many("user", user.bytes()));
            indexes.push(Index::many("member", Self::member(self.organization, user)));
        }
        indexes
    }
}

impl ApiKey {
    /// Whether a bearer is meant to be an API key.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The value of the `member` index: the keys of one person in one organization.
    pub(super) fn member(organization: OrganizationId, user: UserId) -> Vec<u8> {
        [organization.bytes(), user.bytes()].concat()
    }

    /// The caller that holds `text`. What a person's key may do is read from the person's roles of now.
    /// Errors: `not_signed_in`, the same for a key that is unknown, revoked or expired, and for one whose organization
    /// or person may not come in; `sso_required`.
    pub async fn authenticate(cx: &Context, text: &str) -> Result<Caller> {
        let unknown = || Error::new(&codes::NOT_SIGNED_IN);
        let outside = |error: Error| if told(&error) { error } else { unknown().because(error) };
        if !Self::looks_like(text) || text.len() > LONGEST {
            return Err(unknown());
        }
        let found: Option<Stored<Self>> = cx.store.find("hash", TokenHash::of(text).bytes()).await?;
        let key = found.ok_or_else(unknown)?.value;
        if key.revoked_at.is_some() || key.expires_at.is_some_and(|at| at <= cx.env.now()) || !key.hash.fits(text) {
            return Err(unknown());
        }
        let grants = match key.user {
            None => {
                Organization::open(&cx.store, key.organization).await.map_err(outside)?;
                key.grants.clone()
            }
            Some(user) => {
                if !key.epochs.hold(&cx.store).await? {
                    return Err(unknown());
                }
                let holder = Caller::ApiKey {
                    id: key.id,
                    organization: key.organization,
                    user: Some(user),
                    grants: Grants::none(),
                };
                let member = admitted(&cx.store, key.organization, user, Via::Key)
                    .await
                    .map_err(|error| Holder::named(outside(error), holder))?;
                key.grants.intersection(&member.grants(&cx.store).await?)
            }
        };
        note_use(cx, key.id.bytes(), key.expires_at).await?;
        Ok(Caller::ApiKey { id: key.id, organization: key.organization, user: key.user, grants })
    }

    /// When it was last used, to the minute.
    pub async fn last_used(&self, store: &Store) -> Result<Option<Timestamp>> {
        last_used(store, self.id.bytes()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Grant;
    use crate::env::Env;

    #[test]
    fn a_row_from_before_people_had_keys_is_a_machines_key() {
        let env = Env::frozen();
        let (id, organization, now) = (ApiKeyId::new(&env), OrganizationId::new(&env), env.now());
        let grants: Grants = [Grant::UserRead].into_iter().collect();
        let hash = TokenHash::of("ak_x");
        let old = (id, organization, "ci", hash, grants.clone(), now, None::<Timestamp>, Some(now));
        let key: ApiKey = minicbor::decode(&minicbor::to_vec(old).unwrap()).unwrap();
        assert_eq!((key.id, key.organization, key.name.as_str(), &key.grants), (id, organization, "ci", &grants));
        assert_eq!((key.revoked_at, key.user, key.epochs), (Some(now), None, Epochs::default()));
    }
}
