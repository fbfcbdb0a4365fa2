//! A plan becomes changes of a batch, each with the event that tells it.

use serde_json::Value;

use super::plan::Plan;
use crate::access::Context;
use crate::directory::external::ExternalId;
use crate::directory::group::GroupMember;
use crate::directory::membership::{Membership, Status};
use crate::directory::proposal::{PersonProposal, SourceFacts};
use crate::directory::source::Source;
use crate::directory::user::User;
use crate::error::{Error, Result};
use crate::event::{Event, EventKind};
use crate::session::{Scope, bump};
use crate::store::{Batch, Record as _};

/// Adds all of it.
pub(super) async fn person(
    cx: &Context,
    proposal: &PersonProposal,
    facts: &SourceFacts,
    plan: &Plan,
    batch: &mut Batch,
) -> Result<()> {
    let (organization, user) = (facts.organization, plan.after.user);
    let tell = |kind| event(cx, kind, proposal.source, &plan.after);
    if plan.ends {
        bump(&cx.store, Scope::Membership(organization, user), batch).await?;
    }
    if let Some(owners) = &plan.owners {
        owners.add(batch);
    }
    if let Some(leaving) = &plan.leaving {
        let revision = plan.revision.ok_or_else(|| Error::bug("nobody was to be deleted"))?;
        leaving.add(batch);
        batch.delete::<Membership>(plan.after.key(), revision).log(tell(EventKind::UserDeleted));
        return Ok(());
    }
    if let Some(identity) = &plan.identity {
        batch.create(identity);
    }
    if let Some(external) = &plan.external {
        batch.create(external);
    }
    if let Some(old) = &plan.old_external {
        batch.delete::<ExternalId>(old.key(), old.revision);
    }
    for place in &plan.places {
        batch.delete::<GroupMember>(place.key(), place.revision);
    }
    let Some(before) = &plan.before else {
        let anchor = User { id: user, created_at: plan.after.created_at, disabled_at: None };
        let told = tell(EventKind::UserCreated).with("email", plan.after.email.clone());
        batch.create(&anchor).create(&plan.after).log(told.with("status", word(plan.after.status)));
        return Ok(());
    };
    if let (true, Some(identity)) = (plan.links, &plan.identity) {
        batch.log(tell(EventKind::AccountLinked).with("subject", identity.subject.clone()));
    }
    let revision = plan.revision.ok_or_else(|| Error::bug("a member without a revision"))?;
    if plan.after == *before {
        // What was weighed must still be so at the commit: a deactivation in between makes it stale.
        batch.require::<Membership>(plan.after.key(), revision);
    } else {
        batch.update(&plan.after, revision);
    }
    if plan.ends {
        let suspended = plan.after.status == Status::Suspended;
        batch.log(tell(if suspended { EventKind::UserSuspended } else { EventKind::UserDeprovisioned }));
    }
    if plan.revives() {
        let mut told = tell(EventKind::UserReactivated).with("was", word(before.status));
        if proposal.orders.force {
            told = told.with("forced", true);
        }
        batch.log(told);
    }
    let changed = changed(before, &plan.after);
    // Whatever is written is told: what has no name above is told without one.
    let told_already = plan.ends || plan.revives() || plan.links;
    if !changed.is_empty() || plan.external.is_some() || !(told_already || plan.changes_nothing()) {
        let mut told = roles(before, &plan.after, tell(EventKind::UserUpdated).with("changed", changed));
        if plan.last_owner_kept {
            told = told.with("note", "last_owner_kept");
        }
        batch.log(told);
    }
    Ok(())
}

fn event(cx: &Context, kind: EventKind, source: Source, member: &Membership) -> Event {
    let mut event = cx.event(kind).within(member.organization).about("user", member.user);
    if let Some(connection) = source.real_connection(member.organization) {
        event = event.and("connection", connection);
    }
    if let Source::Issuer(issuer) = source {
        event = event.and("issuer", issuer);
    }
    event.with("source", source.name())
}

fn word(status: Status) -> Value {
    serde_json::to_value(status).unwrap_or_default()
}

/// The names of what changed, but for the standing, which has events of its own.
fn changed(before: &Membership, after: &Membership) -> Vec<&'static str> {
    let all = [
        ("email", (&before.email, before.email_verified) != (&after.email, after.email_verified)),
        ("name", before.name != after.name),
        ("givenName", before.given_name != after.given_name),
        ("familyName", before.family_name != after.family_name),
        ("image", before.image != after.image),
        ("groups", before.groups != after.groups),
        ("extra", before.extra != after.extra),
        ("roles", (&before.roles, &before.mapped) != (&after.roles, &after.mapped)),
        ("connection", before.source != after.source),
        ("upstreamRoles", before.upstream_roles != after.upstream_roles),
    ];
    let mut names: Vec<_> = all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    // Said again by the authority: the same value, but whose it is has changed.
    if names.is_empty() && before.writers != after.writers {
        names.push("authority");
    }
    names
}

/// With the roles that somebody gained and lost.
fn roles(before: &Membership, after: &Membership, event: Event) -> Event {
    let (had, has) = (before.effective_roles(), after.effective_roles());
    let names = |roles: std::collections::BTreeSet<_>| -> Vec<String> {
        roles.iter().map(ToString::to_string).collect::<Vec<String>>()
    };
    let (gained, lost) = (names(&has - &had), names(&had - &has));
    let event = if gained.is_empty() { event } else { event.with("gained", gained) };
    if lost.is_empty() { event } else { event.with("lost", lost) }
}
