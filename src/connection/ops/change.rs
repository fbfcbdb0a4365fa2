//! Changing a connection, and its life: draft, active, disabled, deleted, restored.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::domain;
use super::super::record::{Connection, Mapping, ScopeMapping, Status, TOMBSTONE};
use super::super::settings;
use super::super::view::ConnectionView;
use super::{
    Looked, callbacks, enforcing, entity_id_is_free, event, given, look_through, must_answer, name_of, owner_of,
    scopes_are_words, slug_is_free, slug_of,
};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, RoleName, Route, may_give};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{ConnectionId, OrganizationId};
use crate::session::{self, Scope};
use crate::store::{Batch, Stored};

/// Change the name of a connection, and who is added by signing in. `authd connection set-oidc` changes how it
/// speaks with its provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateConnection {
    /// The connection.
    pub id: ConnectionId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A short name for links, unique within the organization; `null` takes it away.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub slug: Option<Option<String>>,
    /// Whether a person is added by signing in; `null` leaves it to the organization's policy.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub jit: Option<Option<bool>>,
    /// The role of a person who is added by signing in; `null` leaves it to the policy.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub default_role: Option<Option<RoleName>>,
    /// Whether its people have to come through it; `null` leaves it to what holds for the organization.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub enforce: Option<Option<bool>>,
    /// The provider's groups, and the roles that follow from each; `null` leaves it to the policy.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub group_mapping: Option<Option<Mapping>>,
    /// The provider's roles, and the roles of authd that follow from each; `null` leaves it to the policy.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub role_mapping: Option<Option<Mapping>>,
    /// The provider's groups, and the scopes of apps that follow from each; `null` takes the mapping away. A scope that
    /// stands here is given by its group alone, and never to an app that does not have it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub scope_mapping: Option<Option<ScopeMapping>>,
    /// The scopes of apps that follow where none of those groups is there; `null` takes them away.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "default-scope"))]
    pub default_scopes: Option<Option<Vec<String>>>,
    /// Addresses of apps that the provider may answer to in the place of authd's own; the app hands the answer over with an
    /// API key. Register them at the provider, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "callback-url"))]
    pub callback_urls: Option<Vec<String>>,
}

#[async_trait]
impl Operation for UpdateConnection {
    type Seen = ();
    type Output = ConnectionView;
    const NAME: &'static str = "connection.update";
    const ACCESS: Access = Access::Grant(Grant::ConnectionManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/connections/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load(&cx.store, self.id).await?;
        let mut changed = Vec::new();
        if let Some(name) = &self.name {
            connection.name = name_of(name)?;
            changed.push("name");
        }
        if let Some(slug) = &self.slug {
            connection.slug = slug.as_deref().map(slug_of).transpose()?;
            slug_is_free(cx, &connection).await?;
            changed.push("slug");
        }
        if let Some(jit) = self.jit {
            connection.jit = jit;
            changed.push("jit");
        }
        if let Some(role) = &self.default_role {
            if let Some(role) = role {
                may_give(cx, connection.organization, role).await?;
            }
            connection.default_role.clone_from(role);
            changed.push("defaultRole");
        }
        if let Some(enforce) = self.enforce {
            connection.enforce = enforce;
            changed.push("enforce");
        }
        if let Some(mapping) = &self.group_mapping {
            may_map(cx, connection.organization, connection.group_mapping.as_ref(), mapping.as_ref()).await?;
            connection.group_mapping.clone_from(mapping);
            changed.push("groupMapping");
        }
        if let Some(mapping) = &self.role_mapping {
            may_map(cx, connection.organization, connection.role_mapping.as_ref(), mapping.as_ref()).await?;
            connection.role_mapping.clone_from(mapping);
            changed.push("roleMapping");
        }
        if let Some(mapping) = &self.scope_mapping {
            connection.scope_mapping.clone_from(mapping);
            changed.push("scopeMapping");
        }
        if let Some(scopes) = &self.default_scopes {
            connection.default_scopes.clone_from(scopes);
            changed.push("defaultScopes");
        }
        if let Some(urls) = &self.callback_urls {
            connection.callback_urls = callbacks(urls)?;
            changed.push("callbackUrls");
        }
        scopes_are_words(connection.scope_mapping.as_ref(), connection.default_scopes.as_deref())?;
        if changed.is_empty() {
            return Err(Error::says(&codes::INVALID_INPUT, "There is nothing to change.").help(
                "Name at least one of: name, slug, jit, defaultRole, enforce, groupMapping, roleMapping, scopeMapping, \
                 defaultScopes, callbackUrls.",
            ));
        }
        connection.updated_at = cx.env.now();
        if self.enforce.is_some() {
            enforcing(cx, &connection, batch).await?;
        }
        batch
            .update(&connection, revision)
            .log(event(cx, EventKind::ConnectionUpdated, &connection).with("changed", changed));
        ConnectionView::of(cx, &connection).await
    }
}

/// Refuses a mapping that gives what the caller may not give, by an entry that was not there.
/// Errors: `grant_exceeds_caller`, `invalid_input`.
async fn may_map(
    cx: &Context,
    organization: OrganizationId,
    before: Option<&Mapping>,
    after: Option<&Mapping>,
) -> Result<()> {
    let Some(after) = after else { return Ok(()) };
    let long = |name: &String| name.is_empty() || name.len() > 1024 || name.chars().any(char::is_control);
    if after.len() > 500 || after.iter().any(|(name, roles)| long(name) || roles.len() > 32) {
        return Err(Error::says(&codes::INVALID_INPUT, "The mapping cannot be used.")
            .help("It has at most 500 names of 1 to 1024 bytes, and at most 32 roles for each."));
    }
    for (name, roles) in after {
        let known = before.and_then(|before| before.get(name));
        for role in roles.iter().filter(|role| !known.is_some_and(|known| known.contains(role))) {
            may_give(cx, organization, role).await?;
        }
    }
    Ok(())
}

/// Switch a connection on. Its provider must answer, and its discovery document must fit.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActivateConnection {
    /// The connection.
    pub id: ConnectionId,
    /// Switch it on even if the provider does not answer now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreached: bool,
}

#[async_trait]
impl Operation for ActivateConnection {
    type Seen = Looked;
    type Output = ConnectionView;
    const NAME: &'static str = "connection.activate";
    const ACCESS: Access = Access::Grant(Grant::ConnectionManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{id}/activate" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let connection = Connection::load(&cx.store, self.id).await?;
        settings::complete(&connection)?;
        let looked = look_through(cx, &connection, !self.unreached).await?;
        if !self.unreached {
            must_answer(looked)?;
        }
        Ok(looked)
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load(&cx.store, self.id).await?;
        settings::complete(&connection)?;
        if connection.status != Status::Active || !connection.answers() {
            turn(cx, &mut connection, Status::Active);
            connection.looked = seen.kept(cx);
            batch
                .update(&connection, revision)
                .log(event(cx, EventKind::ConnectionUpdated, &connection).with("status", connection.status.name()));
        }
        ConnectionView::of(cx, &connection).await
    }
}

fn turn(cx: &Context, connection: &mut Connection, status: Status) {
    connection.status = status;
    connection.updated_at = cx.env.now();
}

/// Switch a connection off. Nobody signs in through it any more, and the sessions that came through it end at once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DisableConnection {
    /// The connection.
    pub id: ConnectionId,
    /// Make it a draft again, as it was before it was switched on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
}

#[async_trait]
impl Operation for DisableConnection {
    type Seen = ();
    type Output = ConnectionView;
    const NAME: &'static str = "connection.disable";
    const ACCESS: Access = Access::Grant(Grant::ConnectionManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{id}/disable" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load(&cx.store, self.id).await?;
        let status = if self.draft { Status::Draft } else { Status::Disabled };
        if connection.status != status {
            turn(cx, &mut connection, status);
            batch
                .update(&connection, revision)
                .log(event(cx, EventKind::ConnectionUpdated, &connection).with("status", connection.status.name()));
            session::bump(&cx.store, Scope::Connection(connection.id), batch).await?;
        }
        ConnectionView::of(cx, &connection).await
    }
}

/// Delete a connection. Nobody signs in through it any more, the sessions that came through it end at once, and its
/// domains are free for others. It can be restored, with its id, its URLs and its secret, for 30 days.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteConnection {
    /// The connection.
    pub id: ConnectionId,
}

#[async_trait]
impl Operation for DeleteConnection {
    type Seen = ();
    type Output = ConnectionView;
    const NAME: &'static str = "connection.delete";
    const ACCESS: Access = Access::Grant(Grant::ConnectionManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/connections/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load(&cx.store, self.id).await?;
        let now = cx.env.now();
        connection.deleted_at = Some(now);
        connection.updated_at = now;
        batch.update(&connection, revision).log(event(cx, EventKind::ConnectionRemoved, &connection));
        enforcing(cx, &connection, batch).await?;
        session::bump(&cx.store, Scope::Connection(connection.id), batch).await?;
        for Stored { value: mut claim, revision } in domain::all_of(&cx.store, connection.id).await? {
            claim.expires_at = Some(now + TOMBSTONE);
            batch.update(&claim, revision);
            domain::release(&cx.store, &claim.name, connection.id, batch).await?;
        }
        ConnectionView::of(cx, &connection).await
    }
}

/// Restore a deleted connection as it was, within 30 days. The sessions that had ended stay ended; a domain that
/// another organization has verified in the meantime is a mere claim again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreConnection {
    /// The connection.
    pub id: ConnectionId,
}

#[async_trait]
impl Operation for RestoreConnection {
    type Seen = ();
    type Output = ConnectionView;
    const NAME: &'static str = "connection.restore";
    const ACCESS: Access = Access::Grant(Grant::ConnectionManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{id}/restore" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Connection::load_any(&cx.store, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load_any(&cx.store, self.id).await?;
        if connection.deleted_at.take().is_none() {
            return ConnectionView::of(cx, &connection).await;
        }
        entity_id_is_free(cx, &connection).await?;
        connection.updated_at = cx.env.now();
        let restored = event(cx, EventKind::ConnectionUpdated, &connection).with("restored", true);
        batch.update(&connection, revision).log(restored);
        enforcing(cx, &connection, batch).await?;
        let mut domains = Vec::new();
        for Stored { value: mut claim, revision } in domain::all_of(&cx.store, connection.id).await? {
            claim.expires_at = None;
            if claim.verified_at.is_some() {
                match domain::take(&cx.store, &claim.name, claim.organization, connection.id, batch).await {
                    Ok(()) => {}
                    Err(error) if error.is(&codes::DOMAIN_TAKEN) => claim.lose(&cx.env),
                    Err(error) => return Err(error),
                }
            }
            batch.update(&claim, revision);
            domains.push((&claim).into());
        }
        ConnectionView::with(cx, &connection, domains).await
    }
}
