//! # policy — what an owner allows, and the pure decision about it
//!
//! *Owns* `Policy` (what an owner writes) and the pure rules: `decide` (who somebody is), `turn` (whether they may come
//! in), `EnforcementRules` (through what they must come), `weigh_word` (whose word about a field counts), `roles_of_groups` and `roles_of_roles` (what follows from a source).
//! *Gives* the one answer to "may this person come in, as whom, with which roles".
//! *Needs* roles and error codes. *Never* reads a store, a clock or a network: everything it weighs is in its facts.

mod decide;
mod enforce;
mod fields;
mod mapping;
mod rules;
mod standing;

pub use decide::{Arrival, EmailStanding, Known, Protocol, Verdict, Way, decide};
pub use enforce::{Demand, EnforcementRules, Free, Subject, Via, Word as ConnectionWord};
pub use fields::{Word, weigh_word};
pub use mapping::{roles_of_groups, roles_of_roles};
pub use rules::{
    AccountLinking, Authority, DeprovisionMode, DeprovisionPolicy, GroupsMode, GroupsPolicy, IdentityPolicy, JitMode,
    JitPolicy, Linking, Policy, ProvisioningPolicy, ReuseUser, RolesMode, RolesPolicy, ScimReuse, UpdateFromDirectory,
    UpdateProfile, UserPolicy,
};
pub use standing::{Ender, Speaker, Standing, Turn, turn};
