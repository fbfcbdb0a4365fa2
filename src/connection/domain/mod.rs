//! # domain — who claims a domain, who has proved it, and whom it routes to
//!
//! *Owns* claims, their challenges and proofs, the one owner a name has in the deployment.
//! *Gives* `owner_of`, `owned_by`, `of_email`, and its operations.
//! *Needs* connections, DNS. *Never* routes by a name that was only claimed.

mod claim;
mod name;
mod ops;
mod report;

pub use claim::{Challenge, Domain, DomainOwner, MOST, Proof, owned_by, owner_of};
pub(super) use claim::{all_of, release, take};
pub use name::{canonical, claimable, of_email};
pub use ops::{AddDomain, RemoveDomain, RequestVerification, VerifyDomain};
pub use report::{DomainList, DomainStatus, DomainSummary, ListDomains, ReadDomainStatus};

use crate::access::{Catalogue, Context};
use crate::event::{Event, EventKind};

/// An event about a claim. A domain names an organization, not a person: it may stay in the log.
pub(super) fn event(cx: &Context, kind: EventKind, claim: &Domain) -> Event {
    cx.event(kind).within(claim.organization).about("domain", &claim.name).and("connection", claim.connection)
}

/// Adds the operations on domains.
pub(super) fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<AddDomain>()
        .with::<ListDomains>()
        .with::<ReadDomainStatus>()
        .with::<RequestVerification>()
        .with::<VerifyDomain>()
        .with::<RemoveDomain>()
}
