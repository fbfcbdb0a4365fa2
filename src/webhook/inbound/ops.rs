//! The operations on addresses at which other services tell of people.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Inbound, MOST, people_key, place};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::connection::Connection;
use crate::crypto::Secret;
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::{ConnectionId, InboundId, OrganizationId};
use crate::store::{Batch, Stored};
use crate::webhook::ops::named;
use crate::webhook::secret::{self, SigningSecret};

/// An address at which another service tells of people, as it is shown: without its secrets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InboundView {
    /// Its id.
    pub id: InboundId,
    /// Whose.
    pub organization: OrganizationId,
    /// The connection through which the same people sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the service sends to.
    pub url: String,
    /// Secrets that are good now; two while one takes the place of the other.
    pub secrets: usize,
    /// Until when the older secret is good, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_secret_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl InboundView {
    fn of(cx: &Context, inbound: Inbound) -> Self {
        let now = cx.env.now();
        let good = || inbound.secrets.iter().filter(|secret| secret.good(now));
        Self {
            url: cx.deployment.public_url.at(&format!("/webhooks/inbound/{}", inbound.id)),
            secrets: good().count(),
            older_secret_until: good().filter_map(|secret| secret.until).max(),
            id: inbound.id,
            organization: inbound.organization,
            connection: inbound.connection,
            name: inbound.name,
            created_at: inbound.created_at,
            updated_at: inbound.updated_at,
        }
    }
}

fn event(cx: &Context, kind: EventKind, inbound: &Inbound) -> Event {
    let event = cx.event(kind).within(inbound.organization).about("webhook_inbound", inbound.id);
    match inbound.connection {
        Some(connection) => event.and("connection", connection),
        None => event,
    }
}

/// Make an address at which another service tells of people: Clerk, or whatever sends `user.created`, `user.updated`
/// and `user.deleted` in its shape, signed as Svix or Standard Webhooks do. Enter the address there, and the secret
/// here: at once, or with `inbound rotate-secret` when the service shows it only afterwards.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateInbound {
    /// The organization; that of the connection, where one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The connection through which the same people sign in, the service's identifier being their subject there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The secret that the service signs with: `whsec_` and the base64 of 24 to 64 bytes. Made for you, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

/// A new address, with its secret.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedInbound {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub inbound: InboundView,
    /// What the service signs with. Keep it now; it is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

impl CreateInbound {
    async fn place(&self, cx: &Context) -> Result<OrganizationId> {
        match self.connection {
            None => cx.organization(self.organization),
            Some(id) => {
                let owner = Connection::load(&cx.store, id).await?.organization;
                if self.organization.is_some_and(|named| named != owner) {
                    return Err(Error::new(&codes::NOT_FOUND));
                }
                Ok(owner)
            }
        }
    }
}

#[async_trait]
impl Operation for CreateInbound {
    type Seen = ();
    type Output = CreatedInbound;
    const NAME: &'static str = "inbound.create";
    // What comes in makes people known, as a directory does.
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/inbound-webhooks" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        self.place(cx).await.map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = self.place(cx).await?;
        Organization::load(&cx.store, organization).await?;
        if cx.store.count_by::<Inbound>("organization", organization.bytes()).await? >= MOST as u64 {
            let text = format!("An organization has at most {MOST} addresses for webhooks that come in.");
            return Err(Error::says(&codes::INVALID_INPUT, text));
        }
        let id = InboundId::new(&cx.env);
        let (text, shown) = secret::given_or_fresh(cx, self.secret.as_ref());
        let inbound = Inbound {
            id,
            organization,
            connection: self.connection,
            name: named(self.name.as_deref())?,
            secrets: vec![SigningSecret::new(cx, &place(id), &text)?],
            people: Some(people_key(cx, id)?),
            created_at: cx.env.now(),
            updated_at: cx.env.now(),
        };
        batch.create(&inbound).log(event(cx, EventKind::InboundCreated, &inbound));
        Ok(CreatedInbound { inbound: InboundView::of(cx, inbound), secret: shown })
    }
}

/// List the addresses at which other services tell of people.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListInbound {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListInbound {
    type Seen = ();
    type Output = Pages<InboundView>;
    const NAME: &'static str = "inbound.list";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/inbound-webhooks" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let page = self.paging.of_organization::<Inbound>(cx, self.organization).await?;
        let items = page.items.into_iter().map(|stored| InboundView::of(cx, stored.value)).collect();
        Ok(Pages::with(items, page.next))
    }
}

/// Show an address at which another service tells of people.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetInbound {
    /// The address.
    pub id: InboundId,
}

#[async_trait]
impl Operation for GetInbound {
    type Seen = ();
    type Output = InboundView;
    const NAME: &'static str = "inbound.get";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/inbound-webhooks/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Inbound::load(&cx.store, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        Ok(InboundView::of(cx, Inbound::load(&cx.store, self.id).await?.value))
    }
}

/// Give an address at which another service tells of people a new secret. The old one is good beside it for a day, so
/// that the service can be changed in between; no longer with `--now`. A secret that is made here is shown once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateInbound {
    /// The address.
    pub id: InboundId,
    /// The secret that the service signs with from now on. Made for you, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The old secret is good no more from now on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

#[async_trait]
impl Operation for RotateInbound {
    type Seen = ();
    type Output = CreatedInbound;
    const NAME: &'static str = "inbound.rotate_secret";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/inbound-webhooks/{id}/secret" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Inbound::load(&cx.store, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut inbound, revision } = Inbound::load(&cx.store, self.id).await?;
        let now = cx.env.now();
        let until = if self.now { now } else { now + secret::OVERLAP };
        inbound.secrets = secret::aged(inbound.secrets, now, until)?;
        let (text, shown) = secret::given_or_fresh(cx, self.secret.as_ref());
        inbound.secrets.push(SigningSecret::new(cx, &place(inbound.id), &text)?);
        inbound.updated_at = now;
        let told = event(cx, EventKind::InboundSecretRotated, &inbound);
        batch.update(&inbound, revision).log(told.with("olderUntil", until.to_string()));
        Ok(CreatedInbound { inbound: InboundView::of(cx, inbound), secret: shown })
    }
}

/// Remove an address at which another service tells of people. Whom it has made known stays.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteInbound {
    /// The address.
    pub id: InboundId,
}

#[async_trait]
impl Operation for DeleteInbound {
    type Seen = ();
    type Output = InboundView;
    const NAME: &'static str = "inbound.delete";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/inbound-webhooks/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Inbound::load(&cx.store, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let inbound = Inbound::load(&cx.store, self.id).await?;
        batch.delete::<Inbound>(Inbound::key_of(self.id), inbound.revision);
        batch.log(event(cx, EventKind::InboundRemoved, &inbound.value));
        Ok(InboundView::of(cx, inbound.value))
    }
}
