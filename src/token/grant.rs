//! What somebody was given tokens for: the handle by which they end before they expire.

use crate::access::RoleName;
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{AppId, GrantId, OrganizationId, SessionId, UserId};
use crate::session::Epochs;
use crate::store::{Index, Key, Life, Query, Record, Store};

/// One authorization, given to an app or to a holder of an API token. Every access token names one in its claim
/// `grant`, and is worth nothing without it.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct TokenGrant {
    /// Its id.
    #[n(0)]
    pub id: GrantId,
    /// The app that it was given to; none for authd's own API.
    #[n(1)]
    pub app: Option<AppId>,
    /// The organization that it is for.
    #[n(2)]
    pub organization: OrganizationId,
    /// The person; none for a bare role.
    #[n(3)]
    pub user: Option<UserId>,
    /// The role that the operator gave instead of a person. What it grants is looked up at use.
    #[n(4)]
    pub role: Option<RoleName>,
    /// The session that it came from.
    #[n(5)]
    pub session: Option<SessionId>,
    /// The scopes that were granted.
    #[n(6)]
    pub scope: Vec<String>,
    /// It holds as long as these do.
    #[n(7)]
    pub epochs: Epochs,
    /// When it was given.
    #[n(8)]
    pub created_at: Timestamp,
    /// When its last token expires.
    #[n(9)]
    pub expires_at: Timestamp,
    /// The claims that user info gives beside those of the scopes: the app asked for them by name.
    #[n(10)]
    #[cbor(default)]
    pub claims: Vec<String>,
}

impl Record for TokenGrant {
    const KIND: &'static str = "token_grant";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        let member = self.user.map(|user| Index::many("member", [self.organization.bytes(), user.bytes()].concat()));
        member.into_iter().collect()
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

impl TokenGrant {
    /// What was given in the name of a person and still holds, at most 1,000.
    pub async fn of_member(store: &Store, organization: OrganizationId, user: UserId) -> Result<Vec<Self>> {
        let query = Query::by("member", [organization.bytes(), user.bytes()].concat()).newest_first().limit(1_000);
        let mut live = Vec::new();
        for found in store.page::<Self>(query).await?.items {
            if found.epochs.hold(store).await? {
                live.push(found.value);
            }
        }
        Ok(live)
    }

    /// The grant, if it is there and everything that it was made under still holds.
    pub async fn live(store: &Store, id: GrantId) -> Result<Option<Self>> {
        let Some(found) = store.get::<Self>(Key::from_bytes(id.bytes())).await? else { return Ok(None) };
        Ok(found.value.epochs.hold(store).await?.then_some(found.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::env::Env;

    #[test]
    fn a_row_from_before_there_were_other_roles_names_a_built_in_one() {
        let env = Env::frozen();
        let (id, organization, now) = (GrantId::new(&env), OrganizationId::new(&env), env.now());
        let none = (None::<AppId>, None::<UserId>, None::<SessionId>);
        let rest = (none.2, Vec::<String>::new(), Epochs::default(), now, now);
        let old = (id, none.0, organization, none.1, Some(Role::Viewer), rest.0, rest.1, rest.2, rest.3, rest.4);
        let grant: TokenGrant = minicbor::decode(&minicbor::to_vec(old).unwrap()).unwrap();
        assert_eq!((grant.id, grant.role), (id, Some(Role::Viewer.into())));
    }
}
