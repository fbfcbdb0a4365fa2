//! Whether the policy that is kept still fits the organization: roles come and go after it was written.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ops::owner;
use super::record::stored;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, RoleName, Route, grants_of_role};
use crate::connection::report::Finding;
use crate::error::Result;
use crate::id::OrganizationId;
use crate::policy::Policy;
use crate::store::Batch;

/// Check the policy of an organization: whether every role that it gives is there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidatePolicy {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
}

/// What a validation of a policy found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyValidation {
    /// Everything holds.
    pub ok: bool,
    /// One row a check.
    pub checks: Vec<Finding>,
}

#[async_trait]
impl Operation for ValidatePolicy {
    type Seen = ();
    type Output = PolicyValidation;
    const NAME: &'static str = "policy.validate";
    const ACCESS: Access = Access::Grant(Grant::ConnectionPolicyManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/policy/validate" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        let found = stored(&cx.store, organization).await?;
        let (policy, unread) = match found.map(|found| found.value) {
            None => (Policy::default(), None),
            Some(row) => match row.read() {
                Ok(policy) if policy.version == 1 => (policy, None),
                Ok(policy) => {
                    let why = format!("Version {} is not known here; 1 is.", policy.version);
                    (policy, Some(why))
                }
                Err(_) => {
                    let version =
                        serde_json::from_str::<Value>(&row.policy).ok().and_then(|policy| policy["version"].as_u64());
                    let version =
                        version.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"));
                    let why = format!("It cannot be read ({version}). `authd policy reset` brings the defaults back.");
                    (Policy::default(), Some(why))
                }
            },
        };
        let rules = &policy.provisioning;
        let by_default = missing(cx, organization, &rules.jit.default_role_ids).await?;
        let by_role = missing(cx, organization, rules.roles.mapping.values().flatten()).await?;
        let by_group = missing(cx, organization, rules.groups.mapping.values().flatten()).await?;
        let checks = vec![
            finding("policy_version", unread),
            finding("jit_default_role_ids_known", by_default),
            finding("provisioning_role_mapping_targets_known", by_role),
            finding("provisioning_group_mapping_targets_known", by_group),
            // Every word that the policy can have for it is served.
            finding("scim_reuse_supported", None),
        ];
        Ok(PolicyValidation { ok: checks.iter().all(|check| check.ok), checks })
    }
}

fn finding(name: &str, message: Option<String>) -> Finding {
    Finding { name: name.to_owned(), ok: message.is_none(), message }
}

/// A sentence about the roles that the organization does not have; none when it has them all.
async fn missing(
    cx: &Context,
    organization: OrganizationId,
    roles: impl IntoIterator<Item = &RoleName>,
) -> Result<Option<String>> {
    let mut gone: Vec<&str> = Vec::new();
    for role in roles {
        if !gone.contains(&role.as_str()) && grants_of_role(&cx.store, organization, role).await?.is_none() {
            gone.push(role.as_str());
        }
    }
    Ok((!gone.is_empty()).then(|| {
        format!(
            "The organization has no role {}: it gives nothing. `authd role list` shows what there is.",
            gone.join(", ")
        )
    }))
}
