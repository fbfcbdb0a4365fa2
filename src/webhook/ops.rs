//! The operations on webhook endpoints.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::composer::KIND;
use super::endpoint::{Endpoint, MOST, Standing, address};
use super::health::Health;
use super::secret::{self, SigningSecret};
use super::subscription;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::connection::Connection;
use crate::crypto::Secret;
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::{ConnectionId, EndpointId, OrganizationId};
use crate::outbox;
use crate::store::{Batch, Query, Stored};

/// A webhook endpoint as it is shown: without its secrets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointView {
    /// Its id.
    pub id: EndpointId,
    /// Whose.
    pub organization: OrganizationId,
    /// The one connection whose events it is told, where it is not all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is.
    pub url: String,
    /// Which events it wants.
    pub subscriptions: Vec<String>,
    /// Whether it is called.
    pub status: Standing,
    /// Why it is not: `administrator`, `gone` (it answered 410), `failing` (five days without an answer that counts).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_for: Option<String>,
    /// Secrets that sign now; two while one takes the place of the other.
    pub secrets: usize,
    /// Until when the older secret signs, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_secret_until: Option<Timestamp>,
    /// Events that have still to arrive.
    pub waiting: u64,
    /// Since when nothing has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When something arrived last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl EndpointView {
    async fn of(cx: &Context, endpoint: Endpoint) -> Result<Self> {
        let now = cx.env.now();
        let health = Health::load(&cx.store, endpoint.id).await?;
        let good: Vec<&SigningSecret> = endpoint.secrets.iter().filter(|secret| secret.good(now)).collect();
        Ok(Self {
            waiting: outbox::waiting(&cx.store, KIND, &endpoint.id.to_string()).await?,
            failing_since: health.as_ref().and_then(|health| health.failing_since),
            succeeded_at: health.and_then(|health| health.succeeded_at),
            secrets: good.len(),
            older_secret_until: good.iter().filter_map(|secret| secret.until).max(),
            id: endpoint.id,
            organization: endpoint.organization,
            connection: endpoint.connection,
            name: endpoint.name,
            url: endpoint.url,
            subscriptions: endpoint.subscriptions,
            status: endpoint.standing,
            disabled_for: endpoint.disabled_for,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        })
    }
}

fn event(cx: &Context, kind: EventKind, endpoint: &Endpoint) -> Event {
    let event = cx.event(kind).within(endpoint.organization).about("webhook_endpoint", endpoint.id);
    match endpoint.connection {
        Some(connection) => event.and("connection", connection),
        None => event,
    }
}

pub(super) fn named(name: Option<&str>) -> Result<Option<String>> {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    match name {
        Some(name) if name.len() > 200 || name.chars().any(char::is_control) => {
            Err(Error::says(&codes::INVALID_INPUT, "The name has at most 200 bytes, and no control characters."))
        }
        name => Ok(name.map(str::to_owned)),
    }
}

/// Tell a server of the team's what happens in an organization, or at one of its connections. Each event is sent as
/// JSON, signed as Standard Webhooks say. The secret is shown once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateEndpoint {
    /// The organization; that of the connection, where one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only events that touch this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Where to send them: https, or http where the outbound rules allow it.
    pub url: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which events: names, beginnings such as `user.*`, or `*` for all. All, unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-flag" = "subscribe"))]
    pub subscriptions: Vec<String>,
    /// A secret of your own: `whsec_` and the base64 of 24 to 64 bytes. Made for you, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

/// A new endpoint, with its secret.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedEndpoint {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub endpoint: EndpointView,
    /// What its receiver verifies with. Keep it now; it is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

impl CreateEndpoint {
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
impl Operation for CreateEndpoint {
    type Seen = ();
    type Output = CreatedEndpoint;
    const NAME: &'static str = "webhook.create";
    const ACCESS: Access = Access::Grant(Grant::ConnectionWebhookManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/webhooks" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        self.place(cx).await.map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = self.place(cx).await?;
        Organization::load(&cx.store, organization).await?;
        let known = cx.store.count_by::<Endpoint>("organization", organization.bytes()).await?;
        if known >= MOST as u64 {
            return Err(Error::says(&codes::INVALID_INPUT, format!("An organization has at most {MOST} endpoints.")));
        }
        let id = EndpointId::new(&cx.env);
        let (text, shown) = secret::given_or_fresh(cx, self.secret.as_ref());
        let endpoint = Endpoint {
            id,
            organization,
            connection: self.connection,
            name: named(self.name.as_deref())?,
            url: address(cx, &self.url)?,
            subscriptions: subscription::read(&self.subscriptions)?,
            secrets: vec![SigningSecret::new(cx, &secret::place(id), &text)?],
            standing: Standing::Active,
            disabled_for: None,
            created_at: cx.env.now(),
            updated_at: cx.env.now(),
        };
        let told = event(cx, EventKind::WebhookEndpointCreated, &endpoint).with("url", endpoint.url.clone());
        batch.create(&endpoint).log(told.with("subscriptions", endpoint.subscriptions.clone()));
        Ok(CreatedEndpoint { endpoint: EndpointView::of(cx, endpoint).await?, secret: shown })
    }
}

/// List the webhook endpoints of an organization.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListEndpoints {
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
impl Operation for ListEndpoints {
    type Seen = ();
    type Output = Pages<EndpointView>;
    const NAME: &'static str = "webhook.list";
    const ACCESS: Access = Access::Grant(Grant::ConnectionWebhookManage);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/webhooks" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        match self.connection {
            Some(id) => Ok(Owner::Organization(Connection::load(&cx.store, id).await?.organization)),
            None => Ok(Owner::of_list(cx, self.organization)),
        }
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let page = match self.connection {
            Some(id) => self.paging.read::<Endpoint>(cx, Query::by("connection", id.bytes())).await?,
            None => self.paging.of_organization::<Endpoint>(cx, self.organization).await?,
        };
        let mut items = Vec::with_capacity(page.items.len());
        for stored in page.items {
            items.push(EndpointView::of(cx, stored.value).await?);
        }
        Ok(Pages::with(items, page.next))
    }
}

macro_rules! on_one {
    ($(#[doc = $doc:literal])* $name:ident, $verb:literal, $method:ident, $path:literal, |$cx:ident, $endpoint:ident, $batch:ident| $body:block) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            /// The endpoint.
            pub id: EndpointId,
        }

        #[async_trait]
        impl Operation for $name {
            type Seen = ();
            type Output = EndpointView;
            const NAME: &'static str = $verb;
            const ACCESS: Access = Access::Grant(Grant::ConnectionWebhookManage);
            const ROUTE: Route = Route { method: Method::$method, path: $path };

            async fn owner(&self, cx: &Context) -> Result<Owner> {
                Ok(Owner::Organization(Endpoint::load(&cx.store, self.id).await?.organization))
            }

            async fn apply(&self, $cx: &Context, (): &(), $batch: &mut Batch) -> Result<Self::Output> {
                let $endpoint = Endpoint::load(&$cx.store, self.id).await?;
                let endpoint: Endpoint = $body;
                EndpointView::of($cx, endpoint).await
            }
        }
    };
}

on_one! {
    /// Show a webhook endpoint.
    GetEndpoint, "webhook.get", Get, "/v1/webhooks/{id}", |_cx, endpoint, _batch| { endpoint.value }
}

on_one! {
    /// Switch a webhook endpoint on again. What happened meanwhile, `webhook replay` sends.
    EnableEndpoint, "webhook.enable", Post, "/v1/webhooks/{id}/enable", |cx, endpoint, batch| {
        let Stored { value: before, revision } = endpoint;
        if before.standing == Standing::Active {
            before
        } else {
            let after =
                Endpoint { standing: Standing::Active, disabled_for: None, updated_at: cx.env.now(), ..before };
            // Its five days begin anew.
            batch.put(&Health {
                endpoint: after.id,
                failing_since: None,
                succeeded_at: Health::load(&cx.store, after.id).await?.and_then(|health| health.succeeded_at),
                called_at: cx.env.now(),
            });
            batch.update(&after, revision).log(event(cx, EventKind::WebhookEndpointUpdated, &after).with("status", "active"));
            after
        }
    }
}

on_one! {
    /// Switch a webhook endpoint off. What has still to arrive is dropped.
    DisableEndpoint, "webhook.disable", Post, "/v1/webhooks/{id}/disable", |cx, endpoint, batch| {
        let Stored { value: before, revision } = endpoint;
        if before.standing == Standing::Disabled {
            before
        } else {
            let after = Endpoint {
                standing: Standing::Disabled,
                disabled_for: Some("administrator".to_owned()),
                updated_at: cx.env.now(),
                ..before
            };
            let told = event(cx, EventKind::WebhookEndpointDisabled, &after).with("reason", "administrator");
            batch.update(&after, revision).log(told);
            after
        }
    }
}

on_one! {
    /// Remove a webhook endpoint.
    DeleteEndpoint, "webhook.delete", Delete, "/v1/webhooks/{id}", |cx, endpoint, batch| {
        batch.delete::<Endpoint>(Endpoint::key_of(endpoint.id), endpoint.revision);
        batch.log(event(cx, EventKind::WebhookEndpointRemoved, &endpoint.value));
        endpoint.value
    }
}

on_one! {
    /// Send a test event to a webhook endpoint, whatever it subscribes to.
    TestEndpoint, "webhook.test", Post, "/v1/webhooks/{id}/test", |cx, endpoint, batch| {
        if endpoint.standing == Standing::Disabled {
            return Err(Error::says(&codes::CONFLICT, "The endpoint is disabled.")
                .help("`authd webhook enable` switches it on again."));
        }
        batch.log(event(cx, EventKind::WebhookEndpointTested, &endpoint.value));
        endpoint.value
    }
}

/// Change where a webhook endpoint is, what it is called, or what it subscribes to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateEndpoint {
    /// The endpoint.
    pub id: EndpointId,
    /// Where to send events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What people call it; an empty text takes the name away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which events, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "subscribe"))]
    pub subscriptions: Option<Vec<String>>,
}

#[async_trait]
impl Operation for UpdateEndpoint {
    type Seen = ();
    type Output = EndpointView;
    const NAME: &'static str = "webhook.update";
    const ACCESS: Access = Access::Grant(Grant::ConnectionWebhookManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/webhooks/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Endpoint::load(&cx.store, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut endpoint, revision } = Endpoint::load(&cx.store, self.id).await?;
        if let Some(url) = &self.url {
            endpoint.url = address(cx, url)?;
        }
        if let Some(name) = &self.name {
            endpoint.name = named(Some(name))?;
        }
        if let Some(subscriptions) = &self.subscriptions {
            endpoint.subscriptions = subscription::read(subscriptions)?;
        }
        endpoint.updated_at = cx.env.now();
        let told = event(cx, EventKind::WebhookEndpointUpdated, &endpoint).with("url", endpoint.url.clone());
        batch.update(&endpoint, revision).log(told.with("subscriptions", endpoint.subscriptions.clone()));
        EndpointView::of(cx, endpoint).await
    }
}

/// Give a webhook endpoint a new secret. The old one signs beside it for a day, so that the receiver can be changed in
/// between; at once with `--now`. The secret is shown once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateSecret {
    /// The endpoint.
    pub id: EndpointId,
    /// A secret of your own: `whsec_` and the base64 of 24 to 64 bytes. Made for you, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The old secret signs no more from now on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

#[async_trait]
impl Operation for RotateSecret {
    type Seen = ();
    type Output = CreatedEndpoint;
    const NAME: &'static str = "webhook.rotate_secret";
    const ACCESS: Access = Access::Grant(Grant::ConnectionWebhookManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/webhooks/{id}/secret" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Endpoint::load(&cx.store, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut endpoint, revision } = Endpoint::load(&cx.store, self.id).await?;
        let now = cx.env.now();
        let until = if self.now { now } else { now + secret::OVERLAP };
        endpoint.secrets = secret::aged(endpoint.secrets, now, until)?;
        let (text, shown) = secret::given_or_fresh(cx, self.secret.as_ref());
        endpoint.secrets.push(SigningSecret::new(cx, &secret::place(endpoint.id), &text)?);
        endpoint.updated_at = now;
        let told = event(cx, EventKind::WebhookSecretRotated, &endpoint);
        batch.update(&endpoint, revision).log(told.with("olderUntil", until.to_string()));
        Ok(CreatedEndpoint { endpoint: EndpointView::of(cx, endpoint).await?, secret: shown })
    }
}
