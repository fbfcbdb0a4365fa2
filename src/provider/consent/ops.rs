//! `consent.list`, `consent.revoke`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Consent, end};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{AppId, OrganizationId, UserId};
use crate::store::{Batch, Query};

/// What a person lets an app know and do.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentView {
    /// Where the person was signed in.
    pub organization: OrganizationId,
    /// The person.
    pub user: UserId,
    /// The app.
    pub app: AppId,
    /// The scopes that the person agreed to.
    pub scopes: Vec<String>,
    /// When the person agreed first.
    pub created_at: Timestamp,
    /// When the person agreed last.
    pub updated_at: Timestamp,
}

impl From<Consent> for ConsentView {
    fn from(consent: Consent) -> Self {
        let Consent { organization, user, app, scopes, created_at, updated_at } = consent;
        Self { organization, user, app, scopes, created_at, updated_at }
    }
}

/// List what people let apps know and do: of an organization, of one of its people, or with one app.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListConsents {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only those of this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Only those with this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListConsents {
    type Seen = ();
    type Output = Pages<ConsentView>;
    const NAME: &'static str = "consent.list";
    const ACCESS: Access = Access::Grant(Grant::SessionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/consents" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let query = match (self.user, self.app) {
            (None, None) => {
                let page = self.paging.of_organization::<Consent>(cx, self.organization).await?;
                return Ok(Pages::of(page, ConsentView::from));
            }
            (Some(user), Some(app)) => {
                let found = Consent::load(&cx.store, cx.organization(self.organization)?, user, app).await?;
                return Ok(Pages::with(found.into_iter().map(|found| found.value.into()).collect(), None));
            }
            (Some(user), None) => Query::by("member", Consent::member(cx.organization(self.organization)?, user)),
            (None, Some(app)) => Query::by("app", Consent::of_app(cx.organization(self.organization)?, app)),
        };
        Ok(Pages::of(self.paging.read::<Consent>(cx, query).await?, ConsentView::from))
    }
}

/// Take back what a person lets an app know and do. Everything that the app was given for that person ends at once;
/// the person is asked again when they next come from it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeConsent {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The person.
    pub user: UserId,
    /// The app.
    pub app: AppId,
}

#[async_trait]
impl Operation for RevokeConsent {
    type Seen = ();
    type Output = ConsentView;
    const NAME: &'static str = "consent.revoke";
    const ACCESS: Access = Access::Grant(Grant::SessionManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/consents/{user}/{app}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        let event = cx.event(EventKind::ConsentRevoked);
        let ended = end(cx, (organization, self.user, self.app), event, batch).await?;
        ended.map(ConsentView::from).ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }
}
