//! The operations on sessions.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::epoch::{self, Scope};
use super::record::Session;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{ConnectionId, OrganizationId, SessionId, UserId};
use crate::store::{Batch, Key, Query, Stored};

/// A session as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// Its id; the `sid` of tokens.
    pub id: SessionId,
    /// In which organization.
    pub organization: OrganizationId,
    /// Whose.
    pub user: UserId,
    /// The person's address when the session was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Through which connection the person came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Whether the next request with it succeeds.
    pub live: bool,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
    /// When it ends, whatever happens.
    pub expires_at: Timestamp,
    /// When the person really authenticated.
    pub authenticated_at: Timestamp,
    /// From which address it was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// In which browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl SessionView {
    async fn of(cx: &Context, session: Session) -> Result<Self> {
        Ok(Self {
            live: session.alive(&cx.store, cx.env.now()).await?,
            last_used_at: session.last_used(&cx.store).await?,
            id: session.id,
            organization: session.organization,
            user: session.user,
            email: session.email,
            connection: session.connection,
            created_at: session.created_at,
            expires_at: session.expires_at,
            authenticated_at: session.auth_time,
            ip: session.ip,
            user_agent: session.user_agent,
        })
    }
}

/// At most so many sessions are looked at for one page.
const LOOKED_AT: usize = 500;

/// List the sessions of an organization, or of one of its people. The newest come first. A page that would take too
/// long to fill is shorter, and has a `next` all the same.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListSessions {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only those of this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Only those that came through this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Ended sessions, too.
    #[serde(default)]
    pub all: bool,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListSessions {
    type Seen = ();
    type Output = Pages<SessionView>;
    const NAME: &'static str = "session.list";
    const ACCESS: Access = Access::Grant(Grant::SessionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/sessions" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let mut query = self.paging.page(self.query(cx).await?)?;
        let limit = self.paging.limit.unwrap_or(100).min(1_000);
        let (mut items, mut looked_at) = (Vec::with_capacity(limit), 0);
        loop {
            // Never more than there is room for, so that a cursor never passes what was not shown.
            let page = cx.store.page::<Session>(query.clone().limit(limit - items.len())).await?;
            looked_at += page.items.len();
            for stored in page.items {
                let view = SessionView::of(cx, stored.value).await?;
                if view.live || self.all {
                    items.push(view);
                }
            }
            if page.next.is_none() || items.len() == limit || looked_at >= LOOKED_AT {
                return Ok(Pages { items, next: page.next.map(|place| crate::crypto::base64url(&place)) });
            }
            query = query.after(page.next);
        }
    }
}

impl ListSessions {
    async fn query(&self, cx: &Context) -> Result<Query> {
        let organization = cx.narrowed(self.organization);
        let mut query = match organization {
            Some(organization) if self.all => Query::by("organization", organization.bytes()),
            Some(organization) => {
                let epoch = epoch::number(&cx.store, &Scope::Organization(organization)).await?;
                Query::by("live", Session::live(organization, epoch))
            }
            None => Query::all(),
        };
        query = match (organization, self.user) {
            (Some(organization), Some(user)) => query.with("member", Session::member(organization, user)),
            (None, Some(user)) => query.with("user", user.bytes()),
            (_, None) => query,
        };
        if let Some(connection) = self.connection {
            query = query.with("connection", connection.bytes());
        }
        Ok(query.newest_first())
    }
}

/// End a session at once, with everything that apps were given under it. The next request with any of it fails.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeSession {
    /// The session.
    pub id: SessionId,
}

#[async_trait]
impl Operation for RevokeSession {
    type Seen = ();
    type Output = SessionView;
    const NAME: &'static str = "session.revoke";
    const ACCESS: Access = Access::Grant(Grant::SessionManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/sessions/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(self.session(cx).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let mut view = SessionView::of(cx, self.session(cx).await?).await?;
        if view.live {
            Session::end(&cx.store, view.id, cx.env.now(), batch).await?;
            let event = cx.event(EventKind::SessionInvalidated).within(view.organization).about("session", view.id);
            batch.log(event.and("user", view.user));
            view.live = false;
        }
        Ok(view)
    }
}

impl RevokeSession {
    async fn session(&self, cx: &Context) -> Result<Session> {
        let found: Option<Stored<Session>> = cx.store.get(Key::from_bytes(self.id.bytes())).await?;
        found.map(|found| found.value).ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }
}
