//! The operations on sessions.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::{Notice, SessionApp};
use super::record::Session;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{AppId, ConnectionId, OrganizationId, SessionId, UserId};
use crate::policy::Via;
use crate::store::{Batch, Query};

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
    /// How they came: `connection`, or `break_glass` by a link of the operator's.
    pub method: String,
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
            live: session.ended_at.is_none() && session.alive(&cx.store, cx.env.now()).await?,
            last_used_at: session.last_used(&cx.store).await?,
            expires_at: session.ends_at(&cx.store).await?,
            method: match session.via() {
                Via::BreakGlass => "break_glass",
                Via::Connection(_) => "connection",
                Via::Key | Via::Token | Via::Native => "native",
            }
            .to_owned(),
            id: session.id,
            organization: session.organization,
            user: session.user,
            email: session.email,
            connection: session.connection,
            created_at: session.created_at,
            authenticated_at: session.auth_time,
            ip: session.ip,
            user_agent: session.user_agent,
        })
    }
}

/// At most so many sessions are looked at for one page.
const LOOKED_AT: usize = 500;

/// List the sessions of an organization, of one of its people, of a connection or of an app. The newest come first. A page that would take too
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
    /// Only those that this app was given tokens under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
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
        if let Some(app) = self.app {
            return self.of_app(cx, app).await;
        }
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
            Some(organization) => Query::by("live", Session::live_now(&cx.store, organization).await?),
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

    /// Those that an app was given tokens under, by the app's own list of them.
    async fn of_app(&self, cx: &Context, app: AppId) -> Result<Pages<SessionView>> {
        let organization = cx.narrowed(self.organization);
        let meant = |session: &Session| {
            organization.is_none_or(|organization| session.organization == organization)
                && self.user.is_none_or(|user| session.user == user)
                && self.connection.is_none_or(|connection| session.connection == Some(connection))
        };
        let mut query = self.paging.page(Query::by("app", app.bytes()).newest_first())?;
        let limit = self.paging.limit.unwrap_or(100).min(1_000);
        let (mut items, mut looked_at) = (Vec::with_capacity(limit), 0);
        loop {
            let page = cx.store.page::<SessionApp>(query.clone().limit(limit - items.len())).await?;
            looked_at += page.items.len();
            for noted in page.items {
                let Some(session) = Session::find(&cx.store, noted.session).await? else { continue };
                if !meant(&session) {
                    continue;
                }
                let view = SessionView::of(cx, session.value).await?;
                if view.live || self.all {
                    items.push(view);
                }
            }
            if page.next.is_none() || items.len() == limit || looked_at >= LOOKED_AT {
                return Ok(Pages::with(items, page.next));
            }
            query = query.after(page.next);
        }
    }
}

/// The session of that id. Errors: `not_found`.
async fn load(cx: &Context, id: SessionId) -> Result<Session> {
    let found = Session::find(&cx.store, id).await?;
    found.map(|found| found.value).ok_or_else(|| Error::new(&codes::NOT_FOUND))
}

/// An app that holds tokens of a session.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionAppView {
    /// The app.
    pub app: AppId,
    /// When it was given tokens first.
    pub since: Timestamp,
    /// How it took the news that the session has ended; absent where it was not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logout: Option<Notice>,
}

/// A session with all that is known of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionDetail {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub session: SessionView,
    /// The context class that the provider stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The methods that the provider stated.
    pub amr: Vec<String>,
    /// It ends when it is not used for so many seconds.
    pub idle_seconds: u64,
    /// The provider's own name for its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_session: Option<String>,
    /// Who the person is at the provider, in the provider's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_subject: Option<String>,
    /// When it was ended by itself, not together with others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The apps that hold tokens of it.
    pub apps: Vec<SessionAppView>,
}

/// Show a session: how and from where the person signed in, and which apps hold tokens of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetSession {
    /// The session; the `sid` of tokens.
    pub id: SessionId,
}

#[async_trait]
impl Operation for GetSession {
    type Seen = ();
    type Output = SessionDetail;
    const NAME: &'static str = "session.get";
    const ACCESS: Access = Access::Grant(Grant::SessionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/sessions/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(load(cx, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let session = load(cx, self.id).await?;
        let apps = session.apps(&cx.store).await?.into_iter().map(|noted| SessionAppView {
            app: noted.app,
            since: noted.since,
            logout: noted.notice,
        });
        Ok(SessionDetail {
            apps: apps.collect(),
            acr: session.acr.clone(),
            amr: session.amr.clone(),
            idle_seconds: session.bounds(&cx.store).await?.idle.as_secs(),
            upstream_session: session.upstream_session.clone(),
            upstream_subject: session.upstream_subject.clone(),
            ended_at: session.ended_at,
            session: SessionView::of(cx, session).await?,
        })
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
        Ok(Owner::Organization(load(cx, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let mut view = SessionView::of(cx, load(cx, self.id).await?).await?;
        if view.live {
            Session::end(&cx.store, view.id, cx.env.now(), batch).await?;
            let event = cx.event(EventKind::SessionInvalidated).within(view.organization).about("session", view.id);
            batch.log(event.and("user", view.user));
            view.live = false;
        }
        Ok(view)
    }
}
