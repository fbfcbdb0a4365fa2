//! # governance — the policy of an organization, who changes it, and what a change would do
//!
//! *Owns* the record of an organization's policy, its operations, and the dry runs on live data.
//! *Gives* `policy_of` to every flow that provisions people.
//! *Needs* the pure policy, the directory and the connections. *Never* decides about a person itself.

mod facts;
mod record;

pub use facts::{facts_of, facts_of_administrators};
pub use record::{OrganizationPolicy, policy_of};
