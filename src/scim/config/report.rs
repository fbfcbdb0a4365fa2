//! What is known about provisioning: how far it is set up, what is wrong with it, what the server can.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Place;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::connection::report::Finding;
use crate::connection::{Connection, ConnectionStatus, ScimConfig, ScimStatus, Status, status_of};
use crate::env::Timestamp;
use crate::error::Result;
use crate::governance::policy_of;
use crate::id::{ConnectionId, OrganizationId};
use crate::policy::ReuseUser;
use crate::scim::filter::Operator;
use crate::scim::http::BOUNDS;
use crate::scim::schema::{ResourceKind, discovery};
use crate::scim::speaker::path_of;
use crate::scim::token::ScimToken;
use crate::store::Batch;

/// How far provisioning of a directory is.
async fn scim_status(cx: &Context, place: &Place, config: Option<&ScimConfig>) -> Result<ScimStatus> {
    let live = ScimToken::any_live(cx, place.organization, place.connection_id()).await?;
    let mode = match config.and_then(ScimConfig::deprovision_mode) {
        Some(mode) => mode,
        None => policy_of(&cx.store, place.organization).await?.provisioning.deprovision.mode,
    };
    Ok(ScimStatus {
        configured: config.is_some(),
        ready: live && config.is_some_and(|config| config.status == Status::Active),
        base_path: place.path(cx),
        deprovision_mode: mode,
    })
}

/// Show how far a connection is set up, without asking its provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadStatus {
    /// The connection.
    pub id: ConnectionId,
}

#[async_trait]
impl Operation for ReadStatus {
    type Seen = ();
    type Output = ConnectionStatus;
    const NAME: &'static str = "connection.status";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections/{id}/status" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Connection::load(&cx.store, self.id).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let connection = Connection::load(&cx.store, self.id).await?.value;
        let place = Place::find(cx, None, Some(self.id)).await?;
        let config = ScimConfig::find(&cx.store, place.directory).await?;
        let scim = scim_status(cx, &place, config.as_deref()).await?;
        status_of(cx, &connection, scim).await
    }
}

/// Show how far provisioning by SCIM is set up, and when the directory spoke last.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadScimStatus {
    /// The organization. Not needed beside a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The connection whose directory it is; without one, the organization's own.
    #[serde(default, alias = "connectionId", skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
}

/// How far provisioning is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScimStatusReport {
    /// Whose directory it is; absent for the organization's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// Whether the directory is listened to.
    pub status: Status,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub scim: ScimStatus,
    /// How many tokens are good.
    pub live_tokens: usize,
    /// When one of its tokens was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

#[async_trait]
impl Operation for ReadScimStatus {
    type Seen = ();
    type Output = ScimStatusReport;
    const NAME: &'static str = "scim.status";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/scim-status" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Place::owner(cx, self.organization, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let place = Place::find(cx, self.organization, self.connection).await?;
        let config = ScimConfig::find(&cx.store, place.directory).await?;
        let tokens = ScimToken::of(cx, place.organization, place.connection_id()).await?;
        let mut last_used_at = None;
        for token in &tokens {
            last_used_at = last_used_at.max(token.last_used(&cx.store).await?);
        }
        let now = cx.env.now();
        Ok(ScimStatusReport {
            connection_id: place.connection_id(),
            status: config.as_ref().map_or(Status::Active, |config| config.status),
            scim: scim_status(cx, &place, config.as_deref()).await?,
            live_tokens: tokens.iter().filter(|token| token.is_live(now)).count(),
            last_used_at,
        })
    }
}

/// Check everything about provisioning by SCIM, and say what the server can.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidateScim {
    /// The organization. Not needed beside a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The connection whose directory it is; without one, the organization's own.
    #[serde(default, alias = "connectionId", skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
}

/// What a validation of provisioning found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScimValidation {
    /// Everything holds.
    pub ok: bool,
    /// Whose directory it is; absent for the organization's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// One row a check.
    pub checks: Vec<Finding>,
    /// What the server can.
    pub capabilities: ScimCapabilities,
}

/// What the server can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScimCapabilities {
    /// People.
    pub users: bool,
    /// Groups.
    pub groups: bool,
    /// PATCH.
    pub patch: bool,
    /// PUT.
    pub put: bool,
    /// The operators of filters.
    pub filters: Vec<String>,
    /// Many operations in one request.
    pub bulk: bool,
    /// Versions of resources.
    pub etag: bool,
}

impl ScimCapabilities {
    /// As the server itself says it to directories.
    fn declared() -> Self {
        let config = discovery("", BOUNDS, "ServiceProviderConfig", None).unwrap_or_default();
        let supported = |what: &str| config[what]["supported"] == true;
        let types = discovery("", BOUNDS, "ResourceTypes", None).unwrap_or_default();
        let served = |kind: ResourceKind| {
            let all = types["Resources"].as_array();
            all.is_some_and(|all| all.iter().any(|one| one["name"] == kind.name()))
        };
        let filters: Vec<String> = match supported("filter") {
            true => Operator::NAMES.iter().chain(&["pr", "and", "or", "not"]).map(|name| (*name).to_owned()).collect(),
            false => Vec::new(),
        };
        Self {
            users: served(ResourceKind::User),
            groups: served(ResourceKind::Group),
            patch: supported("patch"),
            // There is no SCIM server without it (RFC 7644 §3.5.1), so nothing declares it.
            put: true,
            filters,
            bulk: supported("bulk"),
            etag: supported("etag"),
        }
    }
}

fn finding(name: &str, ok: bool, otherwise: &str) -> Finding {
    Finding { name: name.to_owned(), ok, message: (!ok).then(|| otherwise.to_owned()) }
}

#[async_trait]
impl Operation for ValidateScim {
    type Seen = ();
    type Output = ScimValidation;
    const NAME: &'static str = "scim.validate";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/scim-config/validate" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Place::owner(cx, self.organization, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let place = Place::find(cx, self.organization, self.connection).await?;
        let config = ScimConfig::find(&cx.store, place.directory).await?;
        let active = config.as_ref().is_some_and(|config| config.status == Status::Active);
        let token = ScimToken::any_live(cx, place.organization, place.connection_id()).await?;
        let reuse = policy_of(&cx.store, place.organization).await?.provisioning.scim_reuse.user;
        let capabilities = ScimCapabilities::declared();
        let routed = path_of(place.connection_id());
        // The issuer may have a path of its own before the route.
        let matches = place.path(cx).ends_with(&routed) && url::Url::parse(&place.url(cx)).is_ok();
        let whole = capabilities.users && capabilities.groups && capabilities.patch && capabilities.etag;
        let needed = |name: &str| capabilities.filters.iter().any(|known| known == name);
        let checks = vec![
            finding("scim_config_exists", config.is_some(), "Nothing is set, and no token was made: `authd scim set`."),
            finding(
                "scim_config_active",
                active,
                "The directory is not listened to: `authd scim set --status active`.",
            ),
            finding("token_hash_set", token, "The directory has no token that is good: `authd scim token create`."),
            finding("base_path_matches_route", matches, "The base address is none that authd serves."),
            finding(
                "user_external_id_reuse_enabled",
                reuse == ReuseUser::ExternalId,
                "The policy has `provisioning.scimReuse.user: none`: who comes back is a new person.",
            ),
            finding("filter_subset_supported", needed("eq") && needed("and"), "Filters are not served."),
            finding("protocol_capabilities_declared", whole, "The server does not say what directories ask for."),
        ];
        Ok(ScimValidation {
            ok: checks.iter().all(|check| check.ok),
            connection_id: place.connection_id(),
            checks,
            capabilities,
        })
    }
}
