//! # provision — the pipeline: every source of people goes through it, and none has a rule of its own
//!
//! *Owns* the way from a `Proposal` to what it changes. *Gives* `weigh` and `provision`.
//! *Needs* the pure policy, and the facts of the source. *Never* commits, and never lets a source write a row itself.
//!
//! ```text
//!  Proposal ─► find: by id, identity, external id, e-mail ─► policy::decide (pure) ─► merge: field by field,
//!  roles by the mappings, standing by policy::turn ─► Plan ─► batch + events
//!              └──────────────────────────── weigh ───────────────────────────┘      └── add ──┘
//! ```
//!
//! `weigh` reads and writes nothing; `provision` is `weigh` and then `add`. So what a dry run tells is what is done.

mod add;
mod find;
mod groups;
mod leave;
mod merge;
mod plan;

pub use groups::PlannedGroup;
pub use plan::Plan;

use self::find::Found;
use super::group::DirectoryGroup;
use super::membership::Membership;
use super::proposal::{PersonProposal, Proposal, SourceFacts};
use crate::access::Context;
use crate::error::{Code, Error, Result};
use crate::policy::{Arrival, Verdict, decide};
use crate::store::Batch;

/// What came of a proposal, once the batch is committed.
#[derive(Clone, Debug)]
pub enum Provisioned {
    /// Of one about a person.
    Person(Box<ProvisionedPerson>),
    /// Of one about a group; `None` when it is no more.
    Group(Option<DirectoryGroup>),
}

/// The person, once the batch is committed.
#[derive(Clone, Debug)]
pub struct ProvisionedPerson {
    /// As they are now; as they were, where they were deleted.
    pub membership: Membership,
    /// They were not known before.
    pub created: bool,
    /// The organization knows nothing of them any more.
    pub deleted: bool,
    /// The address they arrived with is another's, so the old one was kept.
    pub email_conflict: bool,
    /// The source gives them the role of an owner no longer, but they are the last one, so it was kept.
    pub last_owner_kept: bool,
    /// They became known, but do not get in; the code to refuse them with. The batch is to be committed all the same.
    pub refused: Option<&'static Code>,
}

/// What would come of a proposal about a person.
#[derive(Debug)]
pub struct Weighed {
    /// The facts that were weighed.
    pub arrival: Arrival,
    /// What the policy says to them.
    pub verdict: Verdict,
    /// What would be changed; or why nothing would, which may be another rule than the verdict's.
    pub plan: Result<Plan>,
}

/// Works out what would come of a proposal about a person. Nothing is written.
/// Errors: what keeps the facts from being read (`profile_invalid`, `not_found`, `taken`, storage).
pub async fn weigh(cx: &Context, proposal: &PersonProposal, facts: &SourceFacts) -> Result<Weighed> {
    let found = Found::by(cx, proposal, facts).await?;
    let arrival = found.arrival(proposal, facts);
    let verdict = decide(&facts.policy, &arrival);
    let plan = match verdict {
        Verdict::Refuse(code) => Err(Error::new(code)),
        verdict => plan::make(cx, found, verdict, proposal, facts).await,
    };
    Ok(Weighed { arrival, verdict, plan })
}

/// Works out what a proposal about a group would change. Nothing is written. Errors: as of `provision`.
pub async fn weigh_group(cx: &Context, proposal: &super::GroupProposal, facts: &SourceFacts) -> Result<PlannedGroup> {
    PlannedGroup::make(cx, proposal, facts).await
}

/// Finds or makes whom or what the proposal is about, and adds what changes to the batch.
/// Errors: `person_disabled`, `not_a_member`, `email_not_verified`, `email_domain_not_owned`, `email_conflict`,
/// `taken`, `profile_invalid`, `suspended_by_admin`, `ended_by_source`, `last_owner`, `field_owned`, `not_found`,
/// `too_large`.
pub async fn provision(
    cx: &Context,
    proposal: &Proposal,
    facts: &SourceFacts,
    batch: &mut Batch,
) -> Result<Provisioned> {
    match proposal {
        Proposal::Person(person) => {
            let plan = weigh(cx, person, facts).await?.plan?;
            add::person(cx, person, facts, &plan, batch).await?;
            Ok(Provisioned::Person(Box::new(plan.into())))
        }
        Proposal::Group(group) => {
            let planned = weigh_group(cx, group, facts).await?;
            planned.add(cx, group, batch);
            Ok(Provisioned::Group(planned.into_group()))
        }
    }
}

/// `provision` for a proposal about a person. Errors: as there.
pub async fn provision_person(
    cx: &Context,
    proposal: PersonProposal,
    facts: &SourceFacts,
    batch: &mut Batch,
) -> Result<ProvisionedPerson> {
    match provision(cx, &Proposal::Person(Box::new(proposal)), facts, batch).await? {
        Provisioned::Person(person) => Ok(*person),
        Provisioned::Group(_) => Err(Error::bug("a person became a group")),
    }
}

impl From<Plan> for ProvisionedPerson {
    fn from(plan: Plan) -> Self {
        Self {
            created: plan.before.is_none(),
            deleted: plan.deletes(),
            email_conflict: plan.email_conflict,
            last_owner_kept: plan.last_owner_kept,
            refused: plan.refused,
            membership: plan.after,
        }
    }
}
