//! # directory — organizations, people, memberships, and the one provisioning pipeline
//!
//! *Owns* `Organization`, `User`, `Membership`, `Identity`, and `provision`: the only way in which a source of
//! people changes any of them.
//! *Gives* the person of a sign-in, and the standing that every later use is checked against.
//! *Needs* the pure policy for its verdicts. *Never* knows a protocol: a source arrives as a `Proposal`.

mod email;
mod identity;
mod membership;
mod ops;
mod organization;
mod profile;
mod provision;
mod user;

pub use email::{EmailAddress, domain_name};
pub use identity::Identity;
pub use membership::{Membership, Status};
pub use ops::{
    CreateOrganization, DisableOrganization, EnableOrganization, GetOrganization, GetUser, ListOrganizations,
    ListUsers, OrganizationView, UserView,
};
pub use organization::Organization;
pub use profile::Profile;
pub use provision::{Proposal, Provisioned, SourceFacts, provision};
pub use user::User;

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<CreateOrganization>()
        .with::<ListOrganizations>()
        .with::<GetOrganization>()
        .with::<DisableOrganization>()
        .with::<EnableOrganization>()
        .with::<ListUsers>()
        .with::<GetUser>()
}
