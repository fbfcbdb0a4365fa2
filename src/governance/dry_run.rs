//! What a change of the policy would do to the people of now. Nothing is written.
//!
//! Every membership is weighed again with what its source said last: groups and roles of the source give roles by the
//! mappings, and whoever has no identity yet would arrive by e-mail address. One page is in memory at a time.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::facts::effective;
use super::trial::{Outcome, arrive, unknown_subject};
use crate::access::{Context, Grant, RoleName};
use crate::connection::{Connection, domain};
use crate::directory::{
    DirectoryGroup, EmailAddress, GroupMember, Identity, Membership, Profile, Source, Statement, Status,
};
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::policy::{Policy, roles_of_groups, roles_of_roles};
use crate::session::Session;
use crate::store::Query;

/// So many people are read at a time.
const PAGE: usize = 500;

/// What a change would do.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// People who were weighed: the active members.
    pub people: u64,
    /// Those who would gain a role.
    pub gain: u64,
    /// Those who would lose a role.
    pub lose: u64,
    /// Those who come in now, and would be refused at their next sign-in.
    pub refused: u64,
    /// Those who are refused now, and would come in.
    pub admitted: u64,
    /// Live sessions of those who would be refused. A change of the policy ends none of them.
    pub live_sessions: u64,
    /// By role, how many would gain and lose it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleEffect>,
    /// The first of those to whom something would happen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<PersonEffect>,
    /// So many more are counted, and not named.
    pub more: u64,
    /// By connection, what becomes of somebody whom nobody knows, where that would change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strangers: Vec<StrangerEffect>,
}

/// How many people would gain and lose a role.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct RoleEffect {
    /// The role.
    pub role: RoleName,
    /// Would gain it.
    pub gain: u64,
    /// Would lose it.
    pub lose: u64,
}

/// What would happen to one person.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonEffect {
    /// Who.
    pub user: UserId,
    /// Their address, for callers who may see people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Roles they would gain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gains: Vec<RoleName>,
    /// Roles they would lose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loses: Vec<RoleName>,
    /// The code that their next sign-in would be refused with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The code that their sign-in is refused with now, and would no longer be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted: Option<String>,
    /// Their live sessions, if they would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_sessions: Option<u64>,
}

/// What becomes of somebody whom nobody knows.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct StrangerEffect {
    /// Through this connection.
    pub connection: ConnectionId,
    /// What people call it.
    pub name: String,
    /// Now: `created`, `waits` for an administrator, or the code of the refusal.
    pub from: String,
    /// Then.
    pub to: String,
    /// The roles of a new member, then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleName>,
}

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
    let ways = ways(cx, organization, before, after).await?;
    let names = cx.caller.holds(Grant::UserRead, organization);
    let mut effect = Effect { strangers: strangers(cx, &ways).await?, ..Effect::default() };
    let mut roles: BTreeMap<RoleName, (u64, u64)> = BTreeMap::new();
    let mut cursor = None;
    loop {
        let query = Query::by("organization", organization.bytes()).limit(PAGE).after(cursor);
        let page = cx.store.page::<Membership>(query).await?;
        for stored in page.items {
            let member = stored.value;
            if member.status != Status::Active {
                continue;
            }
            effect.people += 1;
            let Some(mut row) = person(cx, &member, &ways, (before, after)).await? else { continue };
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

/// What would happen to one person; `None` for nothing.
async fn person(
    cx: &Context,
    member: &Membership,
    ways: &[Way],
    (before, after): (&Policy, &Policy),
) -> Result<Option<PersonEffect>> {
    let mapped = restated(cx, member, ways, after).await?;
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
    // Only somebody without an identity is known by their address, and only linking decides about them.
    if before.identity != after.identity && !has_identity(cx, member, ways).await? {
        if let Some((now, then)) = by_email(cx, member, ways).await? {
            match (now.refusal(), then.refusal()) {
                (None, Some(error)) => {
                    row.refused = Some(error.code().to_owned());
                    row.live_sessions = Some(live_sessions(cx, member).await?);
                }
                (Some(error), None) => row.admitted = Some(error.code().to_owned()),
                _ => {}
            }
        }
    }
    let something = !row.gains.is_empty() || !row.loses.is_empty() || row.refused.is_some() || row.admitted.is_some();
    Ok(something.then_some(row))
}

/// What the mappings would give for what each source said last, once it says it again.
async fn restated(
    cx: &Context,
    member: &Membership,
    ways: &[Way],
    after: &Policy,
) -> Result<BTreeMap<Statement, BTreeSet<RoleName>>> {
    let mut mapped = member.mapped.clone();
    let under = |id: ConnectionId| ways.iter().find(|way| way.connection.id == id).map_or(after, |way| &way.after);
    // The last statement about groups and roles is kept, and so is who it was that gave roles by one.
    let speaker = |statement: &Statement| match statement {
        Statement::Groups(source) | Statement::Roles(source) => Some(*source),
        Statement::Members(_) => None,
    };
    let speakers: BTreeSet<Source> = member.mapped.keys().filter_map(speaker).collect();
    let speakers = if speakers.is_empty() { member.source.map(Source::SignIn).into_iter().collect() } else { speakers };
    for source in speakers {
        let Some(policy) = source.connection().map(under) else { continue };
        let groups = roles_of_groups(policy, member.groups.iter().map(String::as_str));
        let roles = roles_of_roles(policy, member.upstream_roles.iter().map(String::as_str));
        mapped.insert(Statement::Groups(source), groups);
        mapped.insert(Statement::Roles(source), roles);
    }
    for (connection, groups) in directory_groups(cx, member).await? {
        let roles = roles_of_groups(under(connection), groups.iter().map(String::as_str));
        mapped.insert(Statement::Members(connection), roles);
    }
    Ok(mapped)
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
    Ok(page.items.iter().any(|identity| ways.iter().any(|way| way.connection.id == identity.connection)))
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

impl Effect {
    /// What to do with what was found.
    pub(super) fn next_steps(&self, organization: OrganizationId, patch: &Map<String, Value>) -> Vec<String> {
        let mut steps = Vec::new();
        if self.gain + self.lose > 0 {
            steps.push("Roles by mapping change when the source next speaks of the person: at the next sign-in or synchronization.".to_owned());
        }
        if self.live_sessions > 0 {
            let them =
                format!("`authd session list --org {organization}`, then `authd session revoke`, ends them sooner.");
            steps
                .push(format!("The sessions of those who would be refused go on until they end by themselves; {them}"));
        }
        if !patch.is_empty() {
            steps.push("Repeat it without `--dry-run` to write it.".to_owned());
        }
        steps
    }
}
