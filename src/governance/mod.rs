//! # governance — the policy and the roles of an organization, who changes them, and what a change would do
//!
//! *Owns* the record of an organization's policy, its operations, the operations on roles, and the dry runs on live data.
//! *Gives* `policy_of` to every flow that provisions people.
//! *Needs* the pure policy, the directory and the connections. *Never* decides about a person itself.

mod facts;
mod record;
mod roles;

pub use facts::{facts_of, facts_of_administrators};
pub use record::policy_of;
pub use roles::{CreateRole, DeleteRole, GetRole, ListRoles, RoleView, UpdateRole};

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue.with::<CreateRole>().with::<ListRoles>().with::<GetRole>().with::<UpdateRole>().with::<DeleteRole>()
}
