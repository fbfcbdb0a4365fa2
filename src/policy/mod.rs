//! # policy — what an owner allows, and the pure decision about it
//!
//! *Owns* `Policy` (what an owner writes) and `decide` (facts in, verdict out).
//! *Gives* the one answer to "may this person come in, as whom, with which roles".
//! *Needs* roles and error codes. *Never* reads a store, a clock or a network: everything it weighs is in its facts.

mod decide;
mod rules;

pub use decide::{Arrival, EmailStanding, Known, Verdict, decide};
pub use rules::{
    AccountLinking, Authority, DeprovisionMode, DeprovisionPolicy, GroupsMode, GroupsPolicy, IdentityPolicy, JitMode,
    JitPolicy, Linking, Policy, ProvisioningPolicy, ReuseUser, RolesMode, RolesPolicy, ScimReuse, UpdateFromDirectory,
    UpdateProfile, UserPolicy,
};
