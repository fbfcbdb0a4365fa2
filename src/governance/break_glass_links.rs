//! `break_glass.list`, `break_glass.revoke`: which of the operator's links there are, and taking one back.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::break_glass::BreakGlass;
use crate::access::{Access, Context, Method, Operation, Owner, Pages, Paging, Route};
use crate::directory::Membership;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{BreakGlassId, OrganizationId, SessionId, UserId};
use crate::session::Session;
use crate::store::{Batch, Key, Stored};

/// What has become of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakGlassState {
    /// Whoever has it can come in by it.
    Open,
    /// Somebody came in by it; it works once.
    Used,
    /// Its time is over.
    Expired,
    /// The operator took it back.
    Revoked,
    /// The person's access, their being an owner, or the organization has ended.
    Ended,
}

/// A link as it is shown: without its secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlassView {
    /// Its id, as the log names it.
    pub id: BreakGlassId,
    /// What has become of it.
    pub state: BreakGlassState,
    /// The organization.
    pub organization: OrganizationId,
    /// The owner.
    pub user: UserId,
    /// Their address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Why it was made.
    pub reason: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is no good.
    pub expires_at: Timestamp,
    /// When it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// The session that it opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// When it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl BreakGlassView {
    async fn of(cx: &Context, link: BreakGlass) -> Result<Self> {
        let key = Membership::key_of(link.organization, link.user);
        let member = cx.store.get::<Membership>(key).await?;
        let state = match link.standing(&cx.store, cx.env.now()).await? {
            Ok(_) => BreakGlassState::Open,
            Err("used") => BreakGlassState::Used,
            Err("revoked") => BreakGlassState::Revoked,
            Err("expired") => BreakGlassState::Expired,
            Err(_) => BreakGlassState::Ended,
        };
        Ok(Self {
            id: link.id,
            state,
            organization: link.organization,
            user: link.user,
            email: member.and_then(|member| member.value.email),
            reason: link.reason,
            created_at: link.created_at,
            expires_at: link.expires_at,
            used_at: link.used_at,
            session: link.session,
            revoked_at: link.revoked_at,
        })
    }
}

/// List the break-glass links of the last thirty days: those that still open, and what has become of the others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListBreakGlass {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only those that still open. A page may be shorter for it, and have a `next` all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListBreakGlass {
    type Seen = ();
    type Output = Pages<BreakGlassView>;
    const NAME: &'static str = "break_glass.list";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/break-glass" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let page = self.paging.of_organization::<BreakGlass>(cx, self.organization).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for stored in page.items {
            let view = BreakGlassView::of(cx, stored.value).await?;
            if !self.open || view.state == BreakGlassState::Open {
                items.push(view);
            }
        }
        Ok(Pages::with(items, page.next))
    }
}

/// Take a break-glass link back: nobody comes in by it any more, and the session of somebody who did is ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeBreakGlass {
    /// The link, by its id; `authd break-glass list` shows them.
    pub id: BreakGlassId,
}

#[async_trait]
impl Operation for RevokeBreakGlass {
    type Seen = ();
    type Output = BreakGlassView;
    const NAME: &'static str = "break_glass.revoke";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/break-glass/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(load(cx, self.id).await?.value.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut link, revision } = load(cx, self.id).await?;
        // Of a use and this at once one is too late: a use finds it revoked, and this finds the session and ends it.
        if link.revoked_at.is_none() {
            link.revoked_at = Some(cx.env.now());
            let event = cx
                .event(EventKind::BreakGlassRevoked)
                .within(link.organization)
                .about("break_glass", link.id)
                .and("user", link.user)
                .with("reason", link.reason.clone())
                .with("used", link.used_at.is_some());
            batch.update(&link, revision).log(event);
            if let Some(session) = link.session {
                end(cx, &link, session, batch).await?;
            }
        }
        BreakGlassView::of(cx, link).await
    }
}

/// Ends the session that came by the link, where it still lives.
async fn end(cx: &Context, link: &BreakGlass, id: SessionId, batch: &mut Batch) -> Result<()> {
    let Some(Stored { value: session, .. }) = Session::find(&cx.store, id).await? else { return Ok(()) };
    if session.ended_at.is_some() || !session.alive(&cx.store, cx.env.now()).await? {
        return Ok(());
    }
    Session::end(&cx.store, id, cx.env.now(), batch).await?;
    let event = cx.event(EventKind::SessionInvalidated).within(link.organization).about("session", id);
    batch.log(event.and("user", link.user));
    Ok(())
}

/// Errors: `not_found`.
async fn load(cx: &Context, id: BreakGlassId) -> Result<Stored<BreakGlass>> {
    cx.store.get::<BreakGlass>(Key::from_bytes(id.bytes())).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
}
