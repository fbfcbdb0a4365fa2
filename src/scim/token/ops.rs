//! `scim.token.create`, `scim.token.list`, `scim.token.revoke`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{PREFIX, ScimToken};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::connection::{Connection, ScimConfig};
use crate::crypto::{Opaque, Secret};
use crate::directory::{Organization, Source};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::{ConnectionId, OrganizationId, ScimConfigId, ScimTokenId};
use crate::scim::speaker::path_of;
use crate::store::{Batch, Query, Stored};
use crate::token::span;

/// A token as it is shown: without the token.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScimTokenView {
    /// Its id.
    pub id: ScimTokenId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The connection whose directory speaks by it; absent for the organization's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What people call it.
    pub label: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute; absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// From when on it is no good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl ScimTokenView {
    async fn of(cx: &Context, token: ScimToken) -> Result<Self> {
        Ok(Self {
            last_used_at: token.last_used(&cx.store).await?,
            id: token.id,
            organization: token.organization,
            connection: token.connection,
            label: token.label,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
        })
    }
}

/// Create a token by which a directory provisions people and groups. It is shown once and cannot be shown again.
///
/// Of a connection: the people it brings sign in through that connection, and it sees no others. Without one: the
/// organization's own directory. Several are good at the same time, so that one can replace another without a gap.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateScimToken {
    /// The organization. Not needed beside a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The connection whose directory it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// From when on it is no good (2027-01-31T00:00:00Z). Never, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// After what time it is no good: `365d`, `12h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
}

/// A new token, shown once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedScimToken {
    /// Its id; the client id where a directory wants client credentials.
    pub id: ScimTokenId,
    /// The token itself, the client secret where a directory wants client credentials. Keep it now; it is not shown
    /// again.
    pub token: Secret,
    /// What people call it.
    pub label: String,
    /// What the directory is to call: the base address, without `/Users`.
    pub url: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is no good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

#[async_trait]
impl Operation for CreateScimToken {
    type Seen = ();
    type Output = CreatedScimToken;
    const NAME: &'static str = "scim.token.create";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/scim-tokens" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        let Some(id) = self.connection else { return cx.organization(self.organization).map(Owner::Organization) };
        let organization = Connection::load(&cx.store, id).await?.organization;
        match self.organization {
            // A connection of another organization does not exist in this one.
            Some(named) if named != organization => Err(Error::new(&codes::NOT_FOUND)),
            _ => Ok(Owner::Organization(organization)),
        }
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Owner::Organization(organization) = self.owner(cx).await? else {
            return Err(Error::bug("a token of no organization"));
        };
        Organization::load(&cx.store, organization).await?;
        let label = self.label.as_deref().unwrap_or("SCIM").trim();
        if label.is_empty() || label.len() > 200 || label.chars().any(char::is_control) {
            return Err(Error::says(
                &codes::INVALID_INPUT,
                "The label needs 1 to 200 bytes, without control characters.",
            ));
        }
        let expires_at = self.expiry(cx.env.now())?;
        let (token, text) = issue(cx, organization, self.connection, label, expires_at, batch);
        let directory = self.connection.unwrap_or_else(|| Source::own_directory(organization));
        if ScimConfig::find(&cx.store, directory).await?.is_none() {
            // Who has a token may speak: by the defaults, which are settings from now on.
            let id = ScimConfigId::new(&cx.env);
            batch.create(&ScimConfig::new(id, directory, organization, cx.env.now()));
        }
        Ok(CreatedScimToken {
            id: token.id,
            token: text,
            label: token.label,
            url: cx.deployment.public_url.at(&path_of(self.connection)),
            created_at: token.created_at,
            expires_at,
        })
    }
}

impl CreateScimToken {
    fn expiry(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let at = match (self.expires_at, &self.expires_in) {
            (Some(_), Some(_)) => {
                return Err(Error::says(
                    &codes::INVALID_INPUT,
                    "The token expires at a time or after a time, not both.",
                ));
            }
            (at, None) => at,
            (None, Some(text)) => Some(now + span(text)?),
        };
        match at {
            Some(at) if at <= now => Err(Error::says(&codes::INVALID_INPUT, "The token would have expired already.")),
            at => Ok(at),
        }
    }
}

/// Makes a token of a directory. Answers it with its text, which is not kept.
pub fn issue(
    cx: &Context,
    organization: OrganizationId,
    connection: Option<ConnectionId>,
    label: &str,
    expires_at: Option<Timestamp>,
    batch: &mut Batch,
) -> (ScimToken, Secret) {
    let Opaque { text, hash } = Opaque::new(&cx.env, PREFIX);
    let token = ScimToken {
        id: ScimTokenId::new(&cx.env),
        organization,
        connection,
        label: label.to_owned(),
        hash,
        created_at: cx.env.now(),
        expires_at,
        revoked_at: None,
    };
    batch.create(&token).log(event(cx, EventKind::ScimTokenCreated, &token).with("label", token.label.clone()));
    (token, text)
}

fn event(cx: &Context, kind: EventKind, token: &ScimToken) -> Event {
    let event = cx.event(kind).within(token.organization).about("scim_token", token.id);
    match token.connection {
        Some(connection) => event.and("connection", connection),
        None => event,
    }
}

/// List the tokens by which directories speak.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListScimTokens {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only those of this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListScimTokens {
    type Seen = ();
    type Output = Pages<ScimTokenView>;
    const NAME: &'static str = "scim.token.list";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/scim-tokens" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let page = match (cx.narrowed(self.organization), self.connection) {
            (named, None) => self.paging.of_organization::<ScimToken>(cx, named).await?,
            (None, Some(connection)) => self.paging.read(cx, Query::by("connection", connection.bytes())).await?,
            (Some(organization), Some(connection)) => {
                let query = Query::by("organization", organization.bytes()).with("connection", connection.bytes());
                self.paging.read(cx, query).await?
            }
        };
        let mut items = Vec::with_capacity(page.items.len());
        for stored in page.items {
            items.push(ScimTokenView::of(cx, stored.value).await?);
        }
        Ok(Pages::with(items, page.next))
    }
}

/// Revoke a token of a directory. The next request with it fails; the people and groups it brought stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeScimToken {
    /// The token.
    pub id: ScimTokenId,
}

#[async_trait]
impl Operation for RevokeScimToken {
    type Seen = ();
    type Output = ScimTokenView;
    const NAME: &'static str = "scim.token.revoke";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/scim-tokens/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(ScimToken::load(&cx.store, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut token, revision } = ScimToken::load(&cx.store, self.id).await?;
        if token.revoked_at.is_none() {
            token.revoked_at = Some(cx.env.now());
            batch.update(&token, revision).log(event(cx, EventKind::ScimTokenRevoked, &token));
        }
        ScimTokenView::of(cx, token).await
    }
}
