//! The one check: whoever decides that somebody may be here calls it.
//!
//! ```text
//!  sign-in that finishes ─┐
//!  session in a browser  ─┤
//!  code, device, refresh ─┼─► admitted(organization, user, via) ─► the member, or `sso_required`
//!  access token          ─┤
//!  key of a person       ─┤
//!  trusted issuer        ─┘
//! ```

use crate::connection::enforcement;
use crate::directory::Membership;
use crate::error::Result;
use crate::id::{OrganizationId, UserId};
use crate::policy::Via;
use crate::store::{Store, Stored};

/// The person in good standing, who has come the way that is demanded of them.
/// Errors: those of `Membership::active`, `sso_required`.
pub async fn admitted(
    store: &Store,
    organization: OrganizationId,
    user: UserId,
    via: Via,
) -> Result<Stored<Membership>> {
    let member = Membership::active(store, organization, user).await?;
    obeys(store, &member, via).await?;
    Ok(member)
}

/// Whether a member has come the way that is demanded of them. Errors: `sso_required`.
pub async fn obeys(store: &Store, member: &Membership, via: Via) -> Result<()> {
    // The operator's link is for owners, and carries nobody who is none any more.
    let via = if via == Via::BreakGlass && !member.owns() { Via::Native } else { via };
    enforcement::meet(&enforcement::demand(store, member).await?, via)
}

/// The same of somebody whom the organization does not know, and who is said to have that address.
/// Errors: `sso_required`.
pub async fn admitted_stranger(
    store: &Store,
    organization: OrganizationId,
    email: Option<&str>,
    via: Via,
) -> Result<()> {
    enforcement::meet(&enforcement::demand_of_stranger(store, organization, email).await?, via)
}
