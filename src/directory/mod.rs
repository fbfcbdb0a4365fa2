//! # directory — organizations, people, memberships, and the one provisioning pipeline
//!
//! *Owns* `Organization`, `User`, `Membership`, `Identity`, the groups of directories and what SCIM said of its
//! resources, and `provision`: the only way in
//! which a source of people changes any of them. `weigh` tells beforehand what `provision` would do.
//! *Gives* the person of a sign-in, and the standing that every later use is checked against.
//! *Needs* the pure policy for its verdicts. *Never* knows a protocol: a source arrives as a `Proposal`.

mod email;
mod ended;
mod external;
mod field;
mod group;
mod group_ops;
mod identity;
mod listing;
mod membership;
mod ops;
mod organization;
mod owners;
mod profile;
mod proposal;
mod provision;
mod scim_resource;
mod source;
mod user;

pub use email::{EmailAddress, domain_name};
pub use ended::EndedOrganization;
pub use external::ExternalId;
pub use field::{Field, Fields, Wish};
pub use group::{DirectoryGroup, GroupMember};
pub use group_ops::{GetGroup, GroupDetail, GroupView, ListGroups};
pub use identity::{Identity, IdentitySource};
pub use membership::{EndedBy, Membership, Statement, Status};
pub use ops::{
    CreateOrganization, DeleteOrganization, Direction, DisableOrganization, EnableOrganization, GetOrganization,
    GetUser, ListOrganizations, ListUsers, OrganizationView, UpdateOrganization, UserSort, UserView,
};
pub use organization::Organization;
pub use owners::Owners;
pub use profile::Profile;
pub use proposal::{Ending, GroupProposal, Members, Orders, PersonProposal, Proposal, SourceFacts};
pub use provision::{
    Plan, PlannedGroup, Provisioned, ProvisionedPerson, Weighed, provision, provision_person, weigh, weigh_group,
};
pub use scim_resource::{ScimKind, ScimResource};
pub use source::Source;
pub use user::User;

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<CreateOrganization>()
        .with::<ListOrganizations>()
        .with::<GetOrganization>()
        .with::<UpdateOrganization>()
        .with::<DisableOrganization>()
        .with::<EnableOrganization>()
        .with::<DeleteOrganization>()
        .with::<ListUsers>()
        .with::<GetUser>()
        .with::<ListGroups>()
        .with::<GetGroup>()
}
