//! Whom an operation is about, and whether the caller may lay hands on them.

use crate::access::{Context, Owner};
use crate::directory::{GetUser, Membership, PersonProposal, ProvisionedPerson, provision_person};
use crate::error::{Error, Result, codes};
use crate::governance::facts_of_administrators;
use crate::id::{OrganizationId, UserId};
use crate::store::Batch;

/// The organization of the person that is meant. Errors: `not_found`; `invalid_input` where it is not clear.
pub(super) async fn owner(cx: &Context, user: UserId, organization: Option<OrganizationId>) -> Result<Owner> {
    Ok(Owner::Organization(member(cx, user, organization).await?.organization))
}

/// The person that is meant. Errors: as `owner`.
pub(super) async fn member(cx: &Context, user: UserId, organization: Option<OrganizationId>) -> Result<Membership> {
    GetUser { id: user, organization }.member(cx).await
}

/// Nobody touches the access of somebody who may do what they may not: with it they could take that person's place,
/// or get rid of whoever could stop them. Errors: `grant_exceeds_caller`.
pub(super) async fn within_reach(cx: &Context, member: &Membership) -> Result<()> {
    let theirs = member.grants(&cx.store).await?;
    match cx.caller.grants().lacks(&theirs) {
        None => Ok(()),
        Some(grant) => Err(Error::says(
            &codes::GRANT_EXCEEDS_CALLER,
            format!("The person has the grant `{grant}`, which you do not hold yourself."),
        )),
    }
}

/// Gives the pipeline an administrator's order about somebody within the caller's reach.
pub(super) async fn order(
    cx: &Context,
    member: &Membership,
    proposal: PersonProposal,
    batch: &mut Batch,
) -> Result<ProvisionedPerson> {
    within_reach(cx, member).await?;
    let facts = facts_of_administrators(cx, member.organization).await?;
    provision_person(cx, proposal, &facts, batch).await
}
