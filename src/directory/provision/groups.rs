//! A directory speaks of a group: its name, who is in it, and what follows from that by the mappings.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use super::merge::state;
use crate::access::Context;
use crate::directory::group::{DirectoryGroup, GroupMember};
use crate::directory::membership::{Membership, Statement};
use crate::directory::owners::OwnersChange;
use crate::directory::proposal::{GroupProposal, Members, SourceFacts};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{ConnectionId, DirectoryGroupId, UserId};
use crate::policy::roles_of_groups;
use crate::store::{Batch, Query, Record as _, Revision, Stored};

/// A batch takes 10,000 changes; some are kept for the group, the owners, and what the caller adds.
const MOST_CHANGES: usize = 9_900;
/// The longest name or handle, in bytes.
const MAX_TEXT: usize = 1_000;

/// What a proposal about a group changes.
#[derive(Debug)]
pub struct PlannedGroup {
    before: Option<Stored<DirectoryGroup>>,
    after: DirectoryGroup,
    gone: bool,
    added: Vec<GroupMember>,
    removed: Vec<Stored<GroupMember>>,
    /// Those whose roles change with it, as they were and as they shall be.
    members: Vec<(Stored<Membership>, Membership)>,
    owners: Option<OwnersChange>,
}

impl PlannedGroup {
    /// Errors: `not_found`, `taken` for a handle that is another group's, `invalid_input` for a member who is none,
    /// `last_owner`, `too_large`.
    pub(super) async fn make(cx: &Context, proposal: &GroupProposal, facts: &SourceFacts) -> Result<Self> {
        let connection = proposal
            .source
            .connection()
            .ok_or_else(|| Error::says(&codes::INVALID_INPUT, "Only a directory has groups."))?;
        for text in [&proposal.external_id, &proposal.name].into_iter().flatten() {
            if text.is_empty() || text.len() > MAX_TEXT {
                return Err(Error::says(&codes::INVALID_INPUT, "A group's name and handle need 1 to 1,000 bytes."));
            }
        }
        let before = find(cx, proposal, facts, connection).await?;
        let after = match &before {
            Some(before) => named(cx, before.value.clone(), proposal),
            None if proposal.gone => return Err(Error::new(&codes::NOT_FOUND)),
            None => fresh(cx, proposal, facts, connection)?,
        };
        let mut planned = Self {
            after,
            gone: proposal.gone,
            added: Vec::new(),
            removed: Vec::new(),
            members: Vec::new(),
            owners: None,
            before,
        };
        let touched = planned.people(cx, proposal).await?;
        planned.map(cx, facts, touched).await?;
        if planned.added.len() + planned.removed.len() + planned.members.len() > MOST_CHANGES {
            return Err(Error::says(&codes::TOO_LARGE, "The group changes too many people at once.").help(
                "Add or remove its members in portions: at most 9,900 of a group without a mapping, 4,950 of one with.",
            ));
        }
        Ok(planned)
    }

    /// Who comes and who goes. Answers all those for whom something may follow from it.
    async fn people(&mut self, cx: &Context, proposal: &GroupProposal) -> Result<BTreeSet<UserId>> {
        let renamed = self.before.as_ref().is_some_and(|before| before.name != self.after.name);
        // Only who must be compared with all of them reads all of them.
        let all = if self.gone || renamed || matches!(proposal.members, Members::Set(_)) {
            rows(cx, self.after.id).await?
        } else {
            BTreeMap::new()
        };
        let mut touched: BTreeSet<UserId> =
            if self.gone || renamed { all.keys().copied().collect() } else { BTreeSet::new() };
        let named = |users: &[UserId]| users.iter().copied().collect::<BTreeSet<_>>();
        match &proposal.members {
            _ if self.gone => self.removed = all.into_values().collect(),
            Members::Keep => {}
            Members::Set(users) => {
                let wanted = named(users);
                for user in wanted.iter().filter(|user| !all.contains_key(*user)) {
                    self.add_member(*user);
                }
                self.removed = all.into_values().filter(|row| !wanted.contains(&row.user)).collect();
            }
            Members::Add(users) => {
                for user in named(users) {
                    let row = cx.store.get::<GroupMember>(GroupMember::key_of(self.after.id, user)).await?;
                    if row.is_none() {
                        self.add_member(user);
                    }
                }
            }
            Members::Remove(users) => {
                for user in named(users) {
                    let row = cx.store.get::<GroupMember>(GroupMember::key_of(self.after.id, user)).await?;
                    self.removed.extend(row);
                }
            }
        }
        touched.extend(self.added.iter().map(|row| row.user));
        touched.extend(self.removed.iter().map(|row| row.user));
        Ok(touched)
    }

    fn add_member(&mut self, user: UserId) {
        self.added.push(GroupMember { group: self.after.id, organization: self.after.organization, user });
    }

    /// What the mapping gives each of them for the groups that they are in then.
    async fn map(&mut self, cx: &Context, facts: &SourceFacts, touched: BTreeSet<UserId>) -> Result<()> {
        let statement = Statement::Members(self.after.connection);
        let mut names: BTreeMap<DirectoryGroupId, Option<String>> = BTreeMap::new();
        names.insert(self.after.id, Some(self.after.name.clone()));
        let come: BTreeSet<UserId> = self.added.iter().map(|row| row.user).collect();
        let go: BTreeSet<UserId> = self.removed.iter().map(|row| row.user).collect();
        let mut owning = Vec::new();
        for user in touched {
            let key = Membership::key_of(self.after.organization, user);
            let Some(member) = cx.store.get::<Membership>(key).await? else {
                if come.contains(&user) {
                    return Err(Error::says(
                        &codes::INVALID_INPUT,
                        "A member of the group is nobody of the organization.",
                    ));
                }
                continue;
            };
            let mut roles = BTreeSet::new();
            if !facts.policy.provisioning.groups.mapping.is_empty() {
                let mut groups = self.groups_of(cx, user, &mut names).await?;
                if go.contains(&user) {
                    groups.remove(&self.after.name);
                }
                if come.contains(&user) {
                    groups.insert(self.after.name.clone());
                }
                roles = roles_of_groups(&facts.policy, groups.iter().map(String::as_str));
            }
            let mut then = member.value.clone();
            state(&mut then, statement, roles);
            if then.mapped == member.mapped {
                continue;
            }
            then.updated_at = cx.env.now();
            if then.owns() != member.owns() {
                owning.push((user, then.owns()));
            }
            self.members.push((member, then));
        }
        self.owners = OwnersChange::weigh(&cx.store, self.after.organization, &owning).await?;
        Ok(())
    }

    /// The names of the other groups of this directory that somebody is in, and of this one if they are now.
    async fn groups_of(
        &self,
        cx: &Context,
        user: UserId,
        names: &mut BTreeMap<DirectoryGroupId, Option<String>>,
    ) -> Result<BTreeSet<String>> {
        let mut groups = BTreeSet::new();
        let query = Query::by("member", GroupMember::member(self.after.organization, user)).limit(1_000);
        for row in cx.store.page::<GroupMember>(query).await?.items {
            let name = match names.entry(row.group) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let group = cx.store.get::<DirectoryGroup>(DirectoryGroup::key_of(row.group)).await?;
                    let own = group.filter(|group| group.connection == self.after.connection);
                    unknown.insert(own.map(|group| group.value.name))
                }
            };
            groups.extend(name.clone());
        }
        Ok(groups)
    }

    /// Adds all of it.
    pub(super) fn add(&self, cx: &Context, proposal: &GroupProposal, batch: &mut Batch) {
        let kind = match (&self.before, self.gone) {
            (None, _) => EventKind::GroupCreated,
            (Some(_), false) => EventKind::GroupUpdated,
            (Some(_), true) => EventKind::GroupDeleted,
        };
        let mut changes = true;
        match &self.before {
            None => drop(batch.create(&self.after)),
            Some(before) if self.gone => drop(batch.delete::<DirectoryGroup>(before.key(), before.revision)),
            Some(before) if before.value != self.after => drop(batch.update(&self.after, before.revision)),
            Some(before) => {
                // It must still be there. Members who come and go at once do not get into each other's way.
                batch.require::<DirectoryGroup>(before.key(), before.revision);
                changes = !(self.added.is_empty() && self.removed.is_empty() && self.members.is_empty());
            }
        }
        for row in &self.added {
            batch.create(row);
        }
        for row in &self.removed {
            batch.delete::<GroupMember>(row.key(), row.revision);
        }
        for (before, after) in &self.members {
            let revision: Revision = before.revision;
            batch.update(after, revision);
        }
        if let Some(owners) = &self.owners {
            owners.add(batch);
        }
        if changes {
            let event = cx.event(kind).within(self.after.organization).about("group", self.after.id);
            let event = match proposal.source.real_connection(self.after.organization) {
                Some(connection) => event.and("connection", connection),
                None => event,
            };
            let event = event
                .with("source", proposal.source.name())
                .with("name", self.after.name.clone())
                .with("added", self.added.len());
            batch.log(event.with("removed", self.removed.len()).with("rolesChanged", self.members.len()));
        }
    }

    /// Those whose roles it changes: as they are, and as they would be.
    pub fn roles_change(&self) -> impl Iterator<Item = (&Membership, &Membership)> {
        self.members.iter().map(|(before, after)| (&before.value, after))
    }

    /// The group, unless it is no more.
    pub(super) fn into_group(self) -> Option<DirectoryGroup> {
        (!self.gone).then_some(self.after)
    }
}

async fn find(
    cx: &Context,
    proposal: &GroupProposal,
    facts: &SourceFacts,
    connection: ConnectionId,
) -> Result<Option<Stored<DirectoryGroup>>> {
    let by_handle = match &proposal.external_id {
        Some(handle) => cx.store.find("external", DirectoryGroup::handle(connection, handle)).await?,
        None => None,
    };
    let Some(id) = proposal.group else { return Ok(by_handle) };
    let found = DirectoryGroup::load(&cx.store, id).await?;
    // A group of another directory does not exist for this one.
    if found.connection != connection || found.organization != facts.organization {
        return Err(Error::new(&codes::NOT_FOUND));
    }
    if by_handle.is_some_and(|other: Stored<DirectoryGroup>| other.id != id) {
        return Err(Error::new(&codes::TAKEN));
    }
    Ok(Some(found))
}

fn named(cx: &Context, mut group: DirectoryGroup, proposal: &GroupProposal) -> DirectoryGroup {
    let before = group.clone();
    if let Some(name) = &proposal.name {
        group.name.clone_from(name);
    }
    if proposal.external_id.is_some() {
        group.external_id.clone_from(&proposal.external_id);
    }
    if group != before {
        group.updated_at = cx.env.now();
    }
    group
}

fn fresh(
    cx: &Context,
    proposal: &GroupProposal,
    facts: &SourceFacts,
    connection: ConnectionId,
) -> Result<DirectoryGroup> {
    let name = proposal.name.clone();
    let name = name.ok_or_else(|| Error::says(&codes::INVALID_INPUT, "A group needs a name."))?;
    let now = cx.env.now();
    Ok(DirectoryGroup {
        id: DirectoryGroupId::new(&cx.env),
        organization: facts.organization,
        connection,
        external_id: proposal.external_id.clone(),
        name,
        created_at: now,
        updated_at: now,
    })
}

async fn rows(cx: &Context, group: DirectoryGroupId) -> Result<BTreeMap<UserId, Stored<GroupMember>>> {
    let mut all = BTreeMap::new();
    let mut cursor = None;
    loop {
        let query = Query::all().prefix(group.bytes()).limit(1_000).after(cursor);
        let page = cx.store.page::<GroupMember>(query).await?;
        all.extend(page.items.into_iter().map(|row| (row.user, row)));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}
