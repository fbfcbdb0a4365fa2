//! What a proposal about a person changes, as data.

use super::find::Found;
use super::leave::Leaving;
use super::merge::merge;
use crate::access::Context;
use crate::directory::external::ExternalId;
use crate::directory::group::{DirectoryGroup, GroupMember};
use crate::directory::identity::Identity;
use crate::directory::membership::{EndedBy, Membership, Statement, Status};
use crate::directory::owners::OwnersChange;
use crate::directory::proposal::{Ending, PersonProposal, SourceFacts};
use crate::directory::source::Source;
use crate::error::{Code, Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::policy::{DeprovisionMode, Ender, Speaker, Standing, Turn, Verdict, turn};
use crate::store::{Query, Revision, Stored};

/// What a proposal about a person changes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The membership as it is; none of somebody new.
    pub before: Option<Membership>,
    /// The membership as it shall be; where it is deleted, as it was.
    pub after: Membership,
    /// The identity of the proposal becomes the person's.
    pub links: bool,
    /// The address that a sign-in arrived with is another's, so the old one is kept.
    pub email_conflict: bool,
    /// The last owner keeps that role, though the source gives it no longer.
    pub last_owner_kept: bool,
    /// Everything that was opened under the membership ends.
    pub ends: bool,
    /// The person becomes known, but is refused with this code.
    pub refused: Option<&'static Code>,
    pub(super) revision: Option<Revision>,
    pub(super) identity: Option<Identity>,
    pub(super) external: Option<ExternalId>,
    /// The handle that the directory had of the person before.
    pub(super) old_external: Option<Stored<ExternalId>>,
    /// The places in groups of the directory that end.
    pub(super) places: Vec<Stored<GroupMember>>,
    pub(super) leaving: Option<Leaving>,
    pub(super) owners: Option<OwnersChange>,
}

impl Plan {
    /// Whether what the organization knows of the person is deleted.
    pub fn deletes(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether nothing is to be written.
    pub fn changes_nothing(&self) -> bool {
        self.before.as_ref() == Some(&self.after)
            && self.identity.is_none()
            && self.external.is_none()
            && self.old_external.is_none()
            && self.places.is_empty()
            && self.leaving.is_none()
            && !self.ends
    }

    /// Whether they are let in again, or for the first time.
    pub fn revives(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.status != Status::Active)
            && self.after.status == Status::Active
            && !self.deletes()
    }
}

/// Makes the plan for a verdict that refuses nobody. Errors: those of the rules about fields, standing and owners.
pub(super) async fn make(
    cx: &Context,
    mut found: Found,
    verdict: Verdict,
    proposal: &PersonProposal,
    facts: &SourceFacts,
) -> Result<Plan> {
    let known = match verdict {
        Verdict::Link => found.by_email.clone(),
        _ => found.member.take(),
    };
    let mut plan = match known {
        Some(known) => of_known(cx, known, &found, proposal, facts)?,
        None if matches!(verdict, Verdict::Create { .. } | Verdict::Wait { .. }) => {
            of_newcomer(cx, verdict, &found, proposal, facts)
        }
        // The identity of somebody who is no member any more.
        None => return Err(Error::new(&codes::PERSON_DISABLED)),
    };
    let user = plan.after.user;
    if !found.linked {
        plan.identity = identity(cx, proposal, facts, user);
    }
    plan.links = plan.before.is_some() && plan.identity.is_some();
    if !found.handled {
        (plan.external, plan.old_external) = external(cx, proposal, facts, user).await?;
    }
    if plan.leaving.is_some() {
        plan.leaving = Some(Leaving::find(cx, facts.organization, user).await?);
    }
    if let (true, None, Some(connection)) = (proposal.gone, &plan.leaving, proposal.source.connection()) {
        plan.places = places(cx, facts.organization, user, connection).await?;
        plan.after.mapped.remove(&Statement::Members(connection));
    }
    own(cx, &mut plan, proposal).await?;
    if plan.before.as_ref() != Some(&plan.after) {
        plan.after.updated_at = cx.env.now();
    }
    Ok(plan)
}

/// The places that somebody has in the groups of a directory.
async fn places(
    cx: &Context,
    organization: OrganizationId,
    user: UserId,
    connection: ConnectionId,
) -> Result<Vec<Stored<GroupMember>>> {
    let query = Query::by("member", GroupMember::member(organization, user)).limit(1_000);
    let mut places = Vec::new();
    for row in cx.store.page::<GroupMember>(query).await?.items {
        let group = cx.store.get::<DirectoryGroup>(DirectoryGroup::key_of(row.group)).await?;
        if group.is_some_and(|group| group.connection == connection) {
            places.push(row);
        }
    }
    Ok(places)
}

fn blank(after: Membership) -> Plan {
    Plan {
        before: None,
        after,
        links: false,
        email_conflict: false,
        last_owner_kept: false,
        ends: false,
        refused: None,
        revision: None,
        identity: None,
        external: None,
        old_external: None,
        places: Vec::new(),
        leaving: None,
        owners: None,
    }
}

fn of_known(
    cx: &Context,
    known: Stored<Membership>,
    found: &Found,
    proposal: &PersonProposal,
    facts: &SourceFacts,
) -> Result<Plan> {
    let Stored { value: before, revision } = known;
    let mut plan = Plan { before: Some(before.clone()), revision: Some(revision), ..blank(before) };
    stand(&mut plan, proposal, facts)?;
    if plan.leaving.is_none() {
        plan.email_conflict = merge(&mut plan.after, proposal, facts, found)?;
        // Whom an administrator entered belongs to the connection that they first come through.
        if !found.linked && proposal.subject.is_some() && plan.after.source.is_none() {
            plan.after.source = proposal.source.real_connection(facts.organization);
        }
    }
    plan.after.updated_at = plan.before.as_ref().map_or_else(|| cx.env.now(), |before| before.updated_at);
    Ok(plan)
}

/// What the proposal's word about being active does.
fn stand(plan: &mut Plan, proposal: &PersonProposal, facts: &SourceFacts) -> Result<()> {
    let orders = &proposal.orders;
    let by_administrator = proposal.source == Source::Admin;
    let ending = by_administrator.then_some(orders.ending);
    let hard = facts.policy.provisioning.deprovision.mode == DeprovisionMode::Hard;
    let leaves = proposal.active == Some(false);
    if leaves && (ending == Some(Ending::Delete) || (ending == Some(Ending::Remove) && hard)) {
        plan.leaving = Some(Leaving::default());
        plan.ends = true;
        return Ok(());
    }
    let speaker = match proposal.source {
        Source::SignIn(_) | Source::Issuer(_) => Speaker::SignIn,
        Source::Admin => Speaker::Administrator { force: orders.force },
        Source::Scim(_) | Source::Sync(_) | Source::Inbound(_) | Source::InboundAlone(_) => Speaker::Directory,
    };
    let standing = match (plan.after.status, plan.after.ender()) {
        (Status::Active, _) => Standing::Active,
        (Status::Pending, _) => Standing::Pending,
        // Suspended and removed are two things that an administrator does.
        (Status::Suspended, Some(EndedBy::Administrator)) if ending == Some(Ending::Remove) && leaves => {
            Standing::Active
        }
        (_, Some(EndedBy::Source(id))) if proposal.source.connection() == Some(id) => Standing::Ended(Ender::Itself),
        (_, Some(EndedBy::Source(_))) => Standing::Ended(Ender::Another),
        (_, Some(EndedBy::Administrator) | None) => Standing::Ended(Ender::Administrator),
    };
    match turn(speaker, standing, proposal.active) {
        Turn::Stay => {}
        Turn::Refuse(code) => return Err(Error::new(code)),
        Turn::Revive => {
            plan.after.status = Status::Active;
            plan.after.ended_by = None;
        }
        Turn::End if !by_administrator && hard => {
            plan.leaving = Some(Leaving::default());
            plan.ends = true;
        }
        Turn::End => {
            plan.after.status = match ending {
                Some(Ending::Suspend) => Status::Suspended,
                _ => Status::Deprovisioned,
            };
            plan.after.ended_by = Some(ended_by(proposal.source));
            plan.ends = true;
        }
    }
    Ok(())
}

fn ended_by(source: Source) -> EndedBy {
    source.connection().map_or(EndedBy::Administrator, EndedBy::Source)
}

fn of_newcomer(cx: &Context, verdict: Verdict, found: &Found, proposal: &PersonProposal, facts: &SourceFacts) -> Plan {
    let trust_email = matches!(verdict, Verdict::Create { trust_email: true } | Verdict::Wait { trust_email: true });
    let waits = matches!(verdict, Verdict::Wait { .. });
    let mut member = Membership::new(facts.organization, UserId::new(&cx.env), cx.env.now());
    for field in crate::directory::Field::ALL.iter().copied() {
        if let Some(value) = proposal.fields.value(field) {
            *field.of(&mut member) = Some(value.to_owned());
            member.writers.insert(field, proposal.source);
        }
    }
    let vouches = proposal.source.is_directory() && !proposal.source.says_what_is_verified();
    let verified = vouches || proposal.email_verified;
    member.email_verified = trust_email && verified && found.email.is_some();
    member.source = match proposal.source {
        Source::Admin => proposal.orders.expected,
        source => source.real_connection(facts.organization),
    };
    if waits {
        member.status = Status::Pending;
    } else if proposal.active == Some(false) {
        member.status = Status::Deprovisioned;
        member.ended_by = Some(ended_by(proposal.source));
    }
    member.roles = match proposal.source {
        // What everybody gets who is added by signing in; a directory gives none by itself.
        Source::SignIn(_) => match &facts.default_role {
            Some(role) => [role.clone()].into(),
            None => facts.policy.provisioning.jit.default_role_ids.iter().cloned().collect(),
        },
        _ => Default::default(),
    };
    super::merge::rest(&mut member, proposal, facts);
    let refused = waits.then_some(&codes::NOT_A_MEMBER);
    Plan { refused, ..blank(member) }
}

fn identity(cx: &Context, proposal: &PersonProposal, facts: &SourceFacts, user: UserId) -> Option<Identity> {
    Some(Identity {
        source: proposal.source.identities()?,
        subject: proposal.subject.clone()?,
        organization: facts.organization,
        user,
        created_at: cx.env.now(),
    })
}

/// The handle that the directory has of the person from now on, and the one that it had.
async fn external(
    cx: &Context,
    proposal: &PersonProposal,
    facts: &SourceFacts,
    user: UserId,
) -> Result<(Option<ExternalId>, Option<Stored<ExternalId>>)> {
    let (Some(connection), Some(value)) = (proposal.source.connection(), &proposal.external_id) else {
        return Ok((None, None));
    };
    let page = cx.store.page::<ExternalId>(Query::by("user", user.bytes()).limit(1_000)).await?;
    let old = page.items.into_iter().find(|handle| handle.connection == connection);
    let new = ExternalId { connection, value: value.clone(), organization: facts.organization, user };
    Ok((Some(new), old))
}

/// Works out who owns the organization then. A sign-in is not the moment to leave it without an owner, nor to keep
/// its last owner out: they keep the role that their source gives no longer. Everybody else is told. Errors: `last_owner`.
async fn own(cx: &Context, plan: &mut Plan, proposal: &PersonProposal) -> Result<()> {
    let owned = plan.before.as_ref().is_some_and(Membership::owns);
    let owns = plan.leaving.is_none() && plan.after.owns();
    if owned == owns {
        return Ok(());
    }
    let Membership { organization, user, .. } = plan.after;
    match OwnersChange::weigh(&cx.store, organization, &[(user, owns)]).await {
        Ok(change) => plan.owners = change,
        Err(error) if error.is(&codes::LAST_OWNER) && proposal.source.is_arrival() => {
            if let Some(before) = &plan.before {
                plan.after.mapped.clone_from(&before.mapped);
            }
            plan.last_owner_kept = true;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
