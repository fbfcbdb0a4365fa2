//! What a change of the policy would do to the people of now. Nothing is written.
//!
//! Every membership is weighed again with what its source said last: groups and roles of the source give roles by the
//! mappings, and whoever has no identity yet would arrive by e-mail address. One page is in memory at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::{Effect, PersonEffect, RoleEffect, StrangerEffect};
use super::facts::effective;
use super::trial::{Outcome, arrive, unknown_subject};
use crate::access::{Context, Grant, Role, RoleName};
use crate::connection::{Connection, domain};
use crate::directory::{
    DirectoryGroup, EmailAddress, GroupMember, Identity, Membership, Profile, Source, Statement, Status,
};
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId};
use crate::policy::{Policy, roles_of_groups, roles_of_roles};
use crate::session::Session;
use crate::store::Query;

/// So many people are read at a time.
const PAGE: usize = 500;

/// A connection, with what holds for its people now and then.
struct Way {
    connection: Connection,
    domains: Vec<String>,
    before: Policy,
    after: Policy,
}

impl Way {
    /// How an arrival with that profile, and an identity that nobody has, would end before and after.
    async fn endings(&self, cx: &Context, profile: &Profile) -> Result<(Outcome, Outcome)> {
        let subject = unknown_subject(cx);
        let end = async |policy| arrive(cx, &self.connection, &subject, profile, policy).await;
        Ok((end(&self.before).await?, end(&self.after).await?))
    }
}

/// Weighs everybody of the organization under both policies; names the first `most` to whom something would happen.
pub(super) async fn weigh(
    cx: &Context,
    organization: OrganizationId,
    before: &Policy,
    after: &Policy,
    most: usize,
) -> Result<Effect> {
    let any = Query::by("organization", organization.bytes()).limit(1);
    let ground = Ground {
        ways: ways(cx, organization, before, after).await?,
        after,
        linking_changes: before.identity != after.identity,
        directories: !cx.store.page::<DirectoryGroup>(any).await?.items.is_empty(),
    };
    let names = cx.caller.holds(Grant::UserRead, organization);
    let owner = RoleName::from(Role::Owner);
    let mut owners = (0, 0);
    let mut effect = Effect { strangers: strangers(cx, &ground.ways).await?, ..Effect::default() };
    let mut roles: BTreeMap<RoleName, (u64, u64)> = BTreeMap::new();
    let mut cursor = None;
    loop {
        let query = Query::by("organization", organization.bytes()).limit(PAGE).after(cursor);
        let page = cx.store.page::<Membership>(query).await?;
        for member in page.items.into_iter().map(|stored| stored.value).filter(|member| member.status == Status::Active)
        {
            effect.people += 1;
            let mut row = ground.person(cx, &member).await?;
            owners.0 += u64::from(member.owns());
            owners.1 += u64::from((member.owns() && !row.loses.contains(&owner)) || row.gains.contains(&owner));
            if !row.is_any() {
                continue;
            }
            row.gains.iter().for_each(|role| roles.entry(role.clone()).or_default().0 += 1);
            row.loses.iter().for_each(|role| roles.entry(role.clone()).or_default().1 += 1);
            effect.gain += u64::from(!row.gains.is_empty());
            effect.lose += u64::from(!row.loses.is_empty());
            effect.refused += u64::from(row.refused.is_some());
            effect.admitted += u64::from(row.admitted.is_some());
            effect.live_sessions += row.live_sessions.unwrap_or(0);
            if effect.rows.len() < most {
                row.email = member.email.filter(|_| names);
                effect.rows.push(row);
            } else {
                effect.more += 1;
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    effect.last_owner_kept = owners.0 > 0 && owners.1 == 0;
    effect.roles = roles.into_iter().map(|(role, (gain, lose))| RoleEffect { role, gain, lose }).collect();
    Ok(effect)
}

/// The connections that people can come through.
async fn ways(cx: &Context, organization: OrganizationId, before: &Policy, after: &Policy) -> Result<Vec<Way>> {
    let mut ways = Vec::new();
    let mut cursor = None;
    loop {
        let query = Query::by("organization", organization.bytes()).limit(PAGE).after(cursor);
        let page = cx.store.page::<Connection>(query).await?;
        for connection in page.items.into_iter().map(|stored| stored.value) {
            if connection.usable().is_ok() {
                let owned = domain::owned_by(&cx.store, connection.id).await?;
                let domains = owned.into_iter().map(|domain| domain.name).collect();
                let (before, after) = (effective(before, &connection), effective(after, &connection));
                ways.push(Way { connection, domains, before, after });
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(ways);
        }
    }
}

/// What becomes of strangers. They bring no address: what else they bring is not the policy's to change.
async fn strangers(cx: &Context, ways: &[Way]) -> Result<Vec<StrangerEffect>> {
    let mut effects = Vec::new();
    for way in ways {
        let told = |outcome: &Outcome| match outcome {
            Outcome::In(plan) => ("created".to_owned(), plan.after.roles.iter().cloned().collect()),
            Outcome::Waits(plan, _) => ("waits".to_owned(), plan.after.roles.iter().cloned().collect()),
            Outcome::Out(error) => (error.code().to_owned(), Vec::new()),
        };
        let (before, after) = way.endings(cx, &Profile::default()).await?;
        let (before, after) = (told(&before), told(&after));
        if before != after {
            let ((from, _), (to, roles)) = (before, after);
            effects.push(StrangerEffect {
                connection: way.connection.id,
                name: way.connection.name.clone(),
                from,
                to,
                roles,
            });
        }
    }
    Ok(effects)
}

/// What everybody is weighed against.
struct Ground<'a> {
    ways: Vec<Way>,
    after: &'a Policy,
    /// Account linking is what decides about people without an identity.
    linking_changes: bool,
    /// There are directories with groups.
    directories: bool,
}

impl Ground<'_> {
    /// What would happen to one person.
    async fn person(&self, cx: &Context, member: &Membership) -> Result<PersonEffect> {
        let mapped = self.restated(cx, member).await?;
        let now = member.effective_roles();
        let next: BTreeSet<RoleName> = &member.roles | &mapped.into_values().flatten().collect();
        let mut row = PersonEffect {
            user: member.user,
            email: None,
            gains: next.difference(&now).cloned().collect(),
            loses: now.difference(&next).cloned().collect(),
            refused: None,
            admitted: None,
            live_sessions: None,
        };
        if self.linking_changes
            && !has_identity(cx, member, &self.ways).await?
            && let Some((now, then)) = by_email(cx, member, &self.ways).await?
        {
            match (now.refusal(), then.refusal()) {
                (None, Some(error)) => {
                    row.refused = Some(error.code().to_owned());
                    row.live_sessions = Some(live_sessions(cx, member).await?);
                }
                (Some(error), None) => row.admitted = Some(error.code().to_owned()),
                _ => {}
            }
        }
        Ok(row)
    }

    /// The policy for people of a connection, after the change.
    fn under(&self, connection: ConnectionId) -> &Policy {
        self.ways.iter().find(|way| way.connection.id == connection).map_or(self.after, |way| &way.after)
    }

    /// What the mappings would give for what each source said last, once it says it again. Groups and roles of the last
    /// statement are kept, whoever made it; where several sources made one, each is taken to have said the same.
    async fn restated(&self, cx: &Context, member: &Membership) -> Result<BTreeMap<Statement, BTreeSet<RoleName>>> {
        let mut mapped = member.mapped.clone();
        let speaker = |statement: &Statement| match statement {
            Statement::Groups(source) | Statement::Roles(source) => Some(*source),
            Statement::Members(_) => None,
        };
        let mut speakers: BTreeSet<Source> = member.mapped.keys().filter_map(speaker).collect();
        if speakers.is_empty() {
            speakers.extend(member.source.map(Source::SignIn));
        }
        for source in speakers {
            let Some(policy) = source.connection().map(|connection| self.under(connection)) else { continue };
            let groups = roles_of_groups(policy, member.groups.iter().map(String::as_str));
            let roles = roles_of_roles(policy, member.upstream_roles.iter().map(String::as_str));
            mapped.insert(Statement::Groups(source), groups);
            mapped.insert(Statement::Roles(source), roles);
        }
        if self.directories {
            for (connection, groups) in directory_groups(cx, member).await? {
                let roles = roles_of_groups(self.under(connection), groups.iter().map(String::as_str));
                mapped.insert(Statement::Members(connection), roles);
            }
        }
        Ok(mapped)
    }
}

/// The groups of directories that have the person as a member, by connection.
async fn directory_groups(cx: &Context, member: &Membership) -> Result<BTreeMap<ConnectionId, Vec<String>>> {
    let mut found: BTreeMap<ConnectionId, Vec<String>> = BTreeMap::new();
    let of = GroupMember::member(member.organization, member.user);
    for row in cx.store.page::<GroupMember>(Query::by("member", of).limit(1_000)).await?.items {
        if let Some(group) = cx.store.get::<DirectoryGroup>(DirectoryGroup::key_of(row.group)).await? {
            found.entry(group.connection).or_default().push(group.value.name);
        }
    }
    Ok(found)
}

async fn has_identity(cx: &Context, member: &Membership, ways: &[Way]) -> Result<bool> {
    let page = cx.store.page::<Identity>(Query::by("user", member.user.bytes()).limit(1_000)).await?;
    Ok(page.items.iter().any(|identity| ways.iter().any(|way| identity.source.connection() == Some(way.connection.id))))
}

/// How it would end for a member who comes by their address, through the connection that has proven its domain.
async fn by_email(cx: &Context, member: &Membership, ways: &[Way]) -> Result<Option<(Outcome, Outcome)>> {
    let Some(Ok(email)) = member.email.as_deref().map(EmailAddress::parse) else { return Ok(None) };
    let mut owning = ways.iter().filter(|way| way.domains.contains(&email.domain));
    let Some(first) = owning.clone().next() else { return Ok(None) };
    let way = owning.find(|way| Some(way.connection.id) == member.source).unwrap_or(first);
    // Whether the provider verifies addresses is not the policy's to change.
    let profile = Profile { email: member.email.clone(), email_verified: true, ..Profile::default() };
    way.endings(cx, &profile).await.map(Some)
}

async fn live_sessions(cx: &Context, member: &Membership) -> Result<u64> {
    let mut live = 0;
    let page = cx.store.page::<Session>(Query::by("user", member.user.bytes()).newest_first().limit(1_000)).await?;
    for session in page.items {
        if session.organization == member.organization && session.alive(&cx.store, cx.env.now()).await? {
            live += 1;
        }
    }
    Ok(live)
}
