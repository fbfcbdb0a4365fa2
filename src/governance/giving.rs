//! Which roles a policy gives, by which of its rules: so that nobody writes a rule that gives more than they hold.

use std::collections::BTreeSet;

use crate::access::{Context, RoleName, may_give};
use crate::error::{Error, Result};
use crate::id::OrganizationId;
use crate::policy::{GroupsMode, JitMode, Policy, RolesMode};

/// A rule that gives a role, and whether it is switched on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Giving {
    /// The field that says so.
    path: String,
    role: RoleName,
    on: bool,
}

fn givings(policy: &Policy) -> BTreeSet<Giving> {
    let rules = &policy.provisioning;
    let mut all = BTreeSet::new();
    let on = rules.user.create_on_sign_in && rules.jit.mode != JitMode::Off;
    for role in &rules.jit.default_role_ids {
        all.insert(Giving { path: "provisioning.jit.defaultRoleIds".into(), role: role.clone(), on });
    }
    let mappings = [
        ("groups", &rules.groups.mapping, rules.groups.mode == GroupsMode::Sync),
        ("roles", &rules.roles.mapping, rules.roles.mode == RolesMode::Map),
    ];
    for (name, mapping, on) in mappings {
        for (from, roles) in mapping {
            let path = format!("provisioning.{name}.mapping.{from}");
            all.extend(roles.iter().map(|role| Giving { path: path.clone(), role: role.clone(), on }));
        }
    }
    all
}

/// Refuses a change that gives a role by a new rule, or switches a rule on, unless the caller may give that role.
/// A rule that is there and on already is not the caller's doing, nor is switching one off.
/// Errors: `grant_exceeds_caller`; `invalid_input` for a role that the organization does not have.
pub(super) async fn may_write(
    cx: &Context,
    organization: OrganizationId,
    before: &Policy,
    after: &Policy,
) -> Result<()> {
    let known = givings(before);
    for giving in givings(after) {
        let stood = known.contains(&giving) || known.contains(&Giving { on: true, ..giving.clone() });
        if !stood {
            may_give(cx, organization, &giving.role).await.map_err(|error| named(&giving.path, error))?;
        }
    }
    Ok(())
}

/// The same refusal, naming the field.
fn named(path: &str, error: Error) -> Error {
    let shown: String = path.chars().take(200).collect();
    let message = format!("`{shown}`: {}", error.message());
    error.saying(message)
}
