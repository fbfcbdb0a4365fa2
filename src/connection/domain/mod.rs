//! # domain — who claims a domain, who has proved it, and whom it routes to
//!
//! *Owns* claims, their challenges and proofs, what DNS said of them last, the one owner a name has in the deployment.
//! *Gives* `owner_of`, `owned_by`, `of_email`, its operations, and the chore `recheck_due`.
//! *Needs* connections, DNS. *Never* routes by a name that was only claimed; never takes an outage of DNS for a word
//! about a proof.

mod check;
mod claim;
mod name;
mod ops;
mod owner;
mod prove;
mod recheck;
mod report;

pub use check::{DomainCheck, Failing, GRACE, INTERVAL, Look, Told, Verdict, judge};
pub use claim::{Challenge, Domain, MOST, Proof};
pub use name::{canonical, claimable, claimable_all, of_email};
pub(super) use ops::WantedList;
pub use ops::{AddDomain, RemoveDomain, SetDomains, SetPrimaryDomain, WantedDomain, WantedEntry};
pub use owner::{DomainOwner, owned_by, owner_of};
pub(super) use owner::{all_of, release, take};
pub(crate) use prove::vouch;
pub use prove::{ConfirmDomain, Confirmation, RequestVerification, RequestedVerification, VerifyDomain};
pub use recheck::{RecheckDomain, Rechecked, recheck_due};
pub use report::{
    DomainList, DomainStatus, DomainSummary, DomainTrust, ListDomains, ReadDomainStatus, ValidateDomains,
};

use super::view::DomainView;
use crate::access::{Catalogue, Context};
use crate::error::Result;
use crate::event::{Event, EventKind};

/// An event about a claim. A domain names an organization, not a person: it may stay in the log.
pub(super) fn event(cx: &Context, kind: EventKind, claim: &Domain) -> Event {
    cx.event(kind).within(claim.organization).about("domain", &claim.name).and("connection", claim.connection)
}

/// A claim as it is shown, with what DNS said of its proof.
pub(super) async fn view(cx: &Context, claim: &Domain) -> Result<DomainView> {
    let check = match claim.kept_record() {
        Some(_) => DomainCheck::load(&cx.store, claim).await?,
        None => None,
    };
    Ok(DomainView::from(claim).checked(check.as_deref()))
}

/// Adds the operations on domains.
pub(super) fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<AddDomain>()
        .with::<ListDomains>()
        .with::<SetDomains>()
        .with::<SetPrimaryDomain>()
        .with::<ReadDomainStatus>()
        .with::<ValidateDomains>()
        .with::<RequestVerification>()
        .with::<VerifyDomain>()
        .with::<ConfirmDomain>()
        .with::<RecheckDomain>()
        .with::<RemoveDomain>()
}
