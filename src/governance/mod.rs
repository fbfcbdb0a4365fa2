//! # governance — the policy and the roles of an organization, who changes them, and what a change would do
//!
//! *Owns* the record of an organization's policy, the operations on it and on roles, where single sign-on is enforced,
//! the operator's links, explanations, and dry runs on live data.
//! *Gives* `policy_of` and `facts_of` to every flow that provisions people; `admitted` to whoever decides that somebody
//! may be here; `explain` to whoever asks why.
//! *Needs* the pure policy, the directory and the connections.
//! *Never* decides about a person itself: explanations and dry runs let the pipeline work into a batch that nobody commits.

mod break_glass;
mod break_glass_links;
mod dry_run;
mod effect;
mod enforcement;
mod explain;
mod explanation;
mod facts;
mod giving;
mod ops;
mod patch;
mod record;
mod remedy;
mod roles;
mod trial;
mod validate;

pub use break_glass::{
    BreakGlass, CreateBreakGlass, CreatedBreakGlass, Refused as RefusedBreakGlass, SESSION as BREAK_GLASS_SESSION,
    Used as UsedBreakGlass,
};
pub use break_glass_links::{BreakGlassState, BreakGlassView, ListBreakGlass, RevokeBreakGlass};
pub use effect::{Effect, PersonEffect, RoleEffect, StrangerEffect};
pub use enforcement::{
    ConnectionSays, EnforcementEffect, EnforcementUpdate, EnforcementView, GetEnforcement, LockedOut, SetEnforcement,
    admitted, admitted_stranger, obeys,
};
pub use explain::{Arriving, explain};
pub use explanation::{DomainStanding, Ending, Explanation, Facts, FieldChange, Match, RoleReason, Sessions};
pub use facts::{
    SetBy, Setting, effective, facts_of, facts_of_administrators, facts_of_issuer, facts_of_own_directory,
};
pub use ops::{GetPolicy, PolicyUpdate, ResetPolicy, UpdatePolicy};
pub use patch::{Change, apply as apply_patch, schema as patch_schema};
pub use record::{OrganizationPolicy, policy_of};
pub use remedy::Remedy;
pub use roles::{CreateRole, DeleteRole, GetRole, ListRoles, RoleView, UpdateRole};
pub use validate::{PolicyValidation, ValidatePolicy};

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<GetPolicy>()
        .with::<UpdatePolicy>()
        .with::<ResetPolicy>()
        .with::<ValidatePolicy>()
        .with::<GetEnforcement>()
        .with::<SetEnforcement>()
        .with::<CreateBreakGlass>()
        .with::<ListBreakGlass>()
        .with::<RevokeBreakGlass>()
        .with::<CreateRole>()
        .with::<ListRoles>()
        .with::<GetRole>()
        .with::<UpdateRole>()
        .with::<DeleteRole>()
}
