//! The operations on an organization's policy.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::dry_run;
use super::effect::Effect;
use super::giving::may_write;
use super::patch::{self, Change};
use super::record::{OrganizationPolicy, policy_of, stored};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::directory::Organization;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::OrganizationId;
use crate::policy::Policy;
use crate::store::{Batch, Stored};

pub(super) async fn owner(cx: &Context, organization: Option<OrganizationId>) -> Result<Owner> {
    let organization = cx.organization(organization)?;
    // Only the operator can name one that is not there: a tenant's caller sees no other than its own.
    if cx.caller.sees(organization) {
        Organization::load(&cx.store, organization).await?;
    }
    Ok(Owner::Organization(organization))
}

/// Show the policy of an organization, every default spelled out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetPolicy {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
}

#[async_trait]
impl Operation for GetPolicy {
    type Seen = ();
    type Output = Policy;
    const NAME: &'static str = "policy.get";
    const ACCESS: Access = Access::Grant(Grant::ConnectionPolicyManage);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/policy" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        policy_of(&cx.store, cx.organization(self.organization)?).await
    }
}

/// Change the policy of an organization: what becomes of strangers, whose word about a person counts, which roles
/// follow from groups. What is left out stays.
///
/// With `--dry-run` nothing is changed: it shows who would gain or lose which role, and who would be refused. A change
/// ends no session. Roles that follow from a mapping are worked out again whenever their source speaks of the person:
/// at the next sign-in, or the next time a directory sends them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdatePolicy {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// What to change, as a JSON merge patch (RFC 7396): `null` brings a default back, or takes a group out of a mapping.
    #[serde(default)]
    #[schemars(schema_with = "patch::schema", extend("x-set" = "root"))]
    pub patch: Map<String, Value>,
    /// Change nothing; show on the people of now what the change would do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Name at most so many people in a dry run (20; never more than 1,000). All are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A policy, and what was changed to make it so.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyUpdate {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub policy: Policy,
    /// The organization.
    pub organization: OrganizationId,
    /// Nothing was changed: this is what would be.
    pub dry_run: bool,
    /// The fields that differ from before.
    pub changed: Vec<Change>,
    /// What it would do to the people of now; only in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What to do next, if anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next_steps: Vec<String>,
}

#[async_trait]
impl Operation for UpdatePolicy {
    type Seen = ();
    type Output = PolicyUpdate;
    const NAME: &'static str = "policy.update";
    const ACCESS: Access = Access::Grant(Grant::ConnectionPolicyManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/policy" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        if self.patch.is_empty() && !self.dry_run {
            return Err(Error::says(&codes::INVALID_INPUT, "There is nothing to change.")
                .help("Name a field: `--set provisioning.jit.mode=off` (`patch` in JSON)."));
        }
        if self.limit == Some(0) {
            return Err(Error::says(&codes::INVALID_INPUT, "`limit` is a number from 1 to 1000."));
        }
        let found = stored(&cx.store, organization).await?;
        let before = found.as_ref().map_or_else(|| Ok(Policy::default()), |found| found.value.read())?;
        let after = patch::apply(&before, &self.patch)?;
        may_write(cx, organization, &before, &after).await?;
        if self.dry_run {
            let effect = dry_run::weigh(cx, organization, &before, &after, self.limit.unwrap_or(20).min(1_000)).await?;
            let next_steps = effect.next_steps(organization, &self.patch);
            let changed = patch::changes(&before, &after)?;
            return Ok(PolicyUpdate {
                policy: after,
                organization,
                dry_run: true,
                changed,
                effect: Some(effect),
                next_steps,
            });
        }
        write(cx, organization, found, &before, after, batch)
    }
}

/// Bring every default of an organization's policy back.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResetPolicy {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
}

#[async_trait]
impl Operation for ResetPolicy {
    type Seen = ();
    type Output = PolicyUpdate;
    const NAME: &'static str = "policy.reset";
    const ACCESS: Access = Access::Grant(Grant::ConnectionPolicyManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/policy/reset" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        let found = stored(&cx.store, organization).await?;
        // A row that cannot be read is no reason against the defaults.
        let before = found.as_ref().and_then(|found| found.value.read().ok()).unwrap_or_default();
        write(cx, organization, found, &before, Policy::default(), batch)
    }
}

/// Writes the policy with its event, if anything of it is new.
fn write(
    cx: &Context,
    organization: OrganizationId,
    found: Option<Stored<OrganizationPolicy>>,
    before: &Policy,
    after: Policy,
    batch: &mut Batch,
) -> Result<PolicyUpdate> {
    let changed = patch::changes(before, &after)?;
    let readable = found.as_ref().is_none_or(|found| found.value.read().is_ok());
    if !changed.is_empty() || !readable {
        let row = OrganizationPolicy { organization, policy: patch::written(&after)?, updated_at: cx.env.now() };
        match found {
            Some(found) => batch.update(&row, found.revision),
            None => batch.create(&row),
        };
        let event = cx.event(EventKind::PolicyUpdated).within(organization).about("organization", organization);
        let told: Vec<Value> = changed.iter().map(|change| json!(change)).collect();
        batch.log(event.with("changed", told));
    }
    Ok(PolicyUpdate { policy: after, organization, dry_run: false, changed, effect: None, next_steps: Vec::new() })
}
