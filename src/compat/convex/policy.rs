//! The policy of a group.

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::functions::Call;
use crate::compat::take;
use crate::error::Result;
use crate::id::OrganizationId;

pub(super) async fn get(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let group: OrganizationId = given.id(&["groupId"])?;
    given.end()?;
    call.perform_on("groupId", "policy.get", json!({"organization": group})).await
}

pub(super) async fn update(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let group: OrganizationId = given.id(&["groupId"])?;
    let patch = given.object(&["patch", "data"])?.rest();
    given.end()?;
    let mut updated =
        call.perform_on("groupId", "policy.update", json!({"organization": group, "patch": patch})).await?;
    // What is left is the policy.
    for more in ["organization", "dryRun", "changed", "effect", "nextSteps"] {
        take(&mut updated, more);
    }
    Ok(updated)
}

pub(super) async fn validate(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let group: OrganizationId = given.id(&["groupId"])?;
    given.end()?;
    let mut report = call.perform_on("groupId", "policy.validate", json!({"organization": group})).await?;
    if let Some(fields) = report.as_object_mut() {
        fields.insert("groupId".to_owned(), json!(group));
    }
    Ok(report)
}
