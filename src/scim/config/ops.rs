//! `scim.set`, `scim.get`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Place, ScimProfileSettings, ScimSecuritySettings, ScimView};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::connection::{ScimConfig, Status};
use crate::crypto::Secret;
use crate::error::Result;
use crate::event::EventKind;
use crate::id::{ConnectionId, OrganizationId, ScimConfigId, ScimTokenId};
use crate::policy::DeprovisionMode;
use crate::scim::token::{ScimToken, issue};
use crate::store::Batch;

/// Set how a directory may provision by SCIM: whether it is listened to, how much it may send, what its attributes mean.
/// What is absent stays as it was.
///
/// A directory that has no token that is good gets one, shown once; with `--new-token` it gets one in any case, beside those
/// it has. A person's fields are read by a new mapping from the directory's next word about them on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetScim {
    /// The organization. Not needed beside a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The connection whose directory it is; without one, the organization's own.
    #[serde(default, alias = "connectionId", skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Whether the directory is listened to: only `active` is; its people keep what they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How much it may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<ScimSecuritySettings>,
    /// What its attributes mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ScimProfileSettings>,
    /// What its word that somebody has left does; `null` leaves it to the organization's policy.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DeprovisionMode>")]
    pub deprovision_mode: Option<Option<DeprovisionMode>>,
    /// Whether a token is made although the directory has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_token: Option<bool>,
}

/// `null` and absence are two things in a change: `null` takes the value away.
fn given<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Option<DeprovisionMode>>, D::Error> {
    Option::<DeprovisionMode>::deserialize(d).map(Some)
}

/// What was set.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScimWasSet {
    /// Whose directory it is; absent for the organization's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// The id of the settings.
    pub config_id: ScimConfigId,
    /// Whether the directory is listened to.
    pub status: Status,
    /// The path that stands before `/Users`.
    pub base_path: String,
    /// What the directory is to call: the address before `/Users`.
    pub url: String,
    /// The id of the new token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<ScimTokenId>,
    /// The new token. Keep it now; it is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

#[async_trait]
impl Operation for SetScim {
    type Seen = ();
    type Output = ScimWasSet;
    const NAME: &'static str = "scim.set";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/scim-config" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Place::owner(cx, self.organization, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let place = Place::find(cx, self.organization, self.connection).await?;
        let (now, found) = (cx.env.now(), ScimConfig::find(&cx.store, place.directory).await?);
        let before = found.as_ref().map(|found| found.value.clone());
        let mut config = before
            .clone()
            .unwrap_or_else(|| ScimConfig::new(ScimConfigId::new(&cx.env), place.directory, place.organization, now));
        let mapped = (config.mapping.clone(), config.extra_fields.clone());
        if let Some(status) = self.status {
            config.status = status;
        }
        if let Some(security) = &self.security {
            security.apply(&mut config)?;
        }
        if let Some(profile) = &self.profile {
            profile.apply(&mut config)?;
        }
        if let Some(mode) = self.deprovision_mode {
            config.deletes_leavers = mode.map(|mode| mode == DeprovisionMode::Hard);
        }
        if mapped != (config.mapping.clone(), config.extra_fields.clone()) {
            config.mapped_at = now;
        }
        if before.as_ref() != Some(&config) {
            config.updated_at = now;
            match &found {
                Some(found) => batch.update(&config, found.revision),
                None => batch.create(&config),
            };
            let event = cx.event(EventKind::ScimSet).within(place.organization).about("scim_config", config.id);
            let event = match place.connection_id() {
                Some(connection) => event.and("connection", connection),
                None => event,
            };
            batch.log(event.with("status", config.status.name()));
        }
        let wanted = match self.new_token {
            Some(wanted) => wanted,
            None => !ScimToken::any_live(cx, place.organization, place.connection_id()).await?,
        };
        let token = match wanted {
            true => Some(issue(cx, place.organization, place.connection_id(), "SCIM", None, batch)),
            false => None,
        };
        Ok(ScimWasSet {
            connection_id: place.connection_id(),
            config_id: config.id,
            status: config.status,
            base_path: place.path(cx),
            url: place.url(cx),
            token_id: token.as_ref().map(|(token, _)| token.id),
            token: token.map(|(_, text)| text),
        })
    }
}

/// Show how a directory may provision by SCIM.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetScim {
    /// The organization. Not needed beside a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The connection whose directory it is; without one, the organization's own.
    #[serde(default, alias = "connectionId", skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
}

#[async_trait]
impl Operation for GetScim {
    type Seen = ();
    type Output = ScimView;
    const NAME: &'static str = "scim.get";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/scim-config" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Place::owner(cx, self.organization, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let place = Place::find(cx, self.organization, self.connection).await?;
        let config = ScimConfig::find(&cx.store, place.directory).await?;
        Ok(ScimView::of(cx, &place, config.as_deref()))
    }
}
