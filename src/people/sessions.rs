//! Everybody of something is signed out at once.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::{member, within_reach};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::connection::Connection;
use crate::directory::{Organization, User};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::session::{Scope, bump};
use crate::store::{Batch, Key, Stored};

/// End all sessions at once: of a person, of those who came through a connection, or of everybody in an organization.
/// The next request with a cookie, code, token or refresh token of theirs fails, and so does one with a key of a
/// person's own. They can sign in again; what machines hold stays.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeSessions {
    /// Of everybody in this organization; with a person, of theirs in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Of this person; for the operator everywhere, unless an organization is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Of everybody who came through this connection. Keys of their own stay: they came through nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
}

/// What was ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokedSessions {
    /// In this organization; absent for a person's everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Of this person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Of this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
}

#[async_trait]
impl Operation for RevokeSessions {
    type Seen = ();
    type Output = RevokedSessions;
    const NAME: &'static str = "session.revoke_all";
    const ACCESS: Access = Access::Grant(Grant::SessionManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/sessions/revoke" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(match self.scope(cx).await? {
            Scope::User(_) => Owner::Deployment,
            Scope::Membership(organization, _) | Scope::People(organization) => Owner::Organization(organization),
            Scope::Connection(id) => Owner::Organization(Connection::load_any(&cx.store, id).await?.organization),
            _ => return Err(Error::bug("no other scope is meant")),
        })
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let scope = self.scope(cx).await?;
        let mut done = RevokedSessions { organization: None, user: self.user, connection: self.connection };
        let mut event = cx.event(EventKind::SessionInvalidated).with("reason", "revoked_all");
        match scope {
            Scope::User(user) => event = event.about("user", user),
            Scope::Membership(organization, user) => {
                // With the sessions go the keys of their own, which nobody takes from somebody more powerful.
                within_reach(cx, &member(cx, user, Some(organization)).await?).await?;
                done.organization = Some(organization);
                event = event.within(organization).about("user", user);
            }
            Scope::Connection(connection) => {
                let organization = Connection::load_any(&cx.store, connection).await?.organization;
                done.organization = Some(organization);
                event = event.within(organization).about("connection", connection);
            }
            Scope::People(organization) => {
                done.organization = Some(organization);
                event = event.within(organization).about("organization", organization);
            }
            _ => return Err(Error::bug("no other scope is meant")),
        }
        bump(&cx.store, scope, batch).await?;
        batch.log(event);
        Ok(done)
    }
}

impl RevokeSessions {
    /// What is meant. Errors: `not_found`; `invalid_input` where it is not clear.
    async fn scope(&self, cx: &Context) -> Result<Scope> {
        let organization = cx.narrowed(self.organization);
        match (self.user, self.connection) {
            (Some(_), Some(_)) => {
                Err(Error::says(&codes::INVALID_INPUT, "The sessions are of a person or of a connection, not of both.")
                    .help("Name one of them; each is one call."))
            }
            (Some(user), None) => match organization {
                Some(organization) => {
                    Ok(Scope::Membership(member(cx, user, Some(organization)).await?.organization, user))
                }
                None => {
                    let known: Option<Stored<User>> = cx.store.get(Key::from_bytes(user.bytes())).await?;
                    known.map(|_| Scope::User(user)).ok_or_else(|| Error::new(&codes::NOT_FOUND))
                }
            },
            (None, Some(id)) => {
                let owner = Connection::load_any(&cx.store, id).await?.organization;
                // The owner decides whether the caller may; a wrong organization beside it is a mistake of its own.
                match self.organization {
                    Some(named) if named != owner => Err(Error::new(&codes::NOT_FOUND)),
                    _ => Ok(Scope::Connection(id)),
                }
            }
            (None, None) => {
                let organization = cx.organization(self.organization)?;
                Organization::load(&cx.store, organization).await?;
                Ok(Scope::People(organization))
            }
        }
    }
}
