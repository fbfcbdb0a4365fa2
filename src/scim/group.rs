//! What a directory says of a group, and who is in it: people, and other groups. A group within a group is kept and shown,
//! and nothing follows from it: directories say of every person themselves which groups they are in. So groups may stand
//! in each other in a circle.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::patch::{MemberChange, Membership, ids};
use super::person::{Change, Written};
use super::place::{get, key_of};
use super::schema::{ResourceKind, clean};
use super::shown::{folded, said, text};
use super::speaker::Speaker;
use crate::access::Context;
use crate::directory::{GroupProposal, Members, Proposal, Provisioned, ScimKind, ScimResource, provision};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{DirectoryGroupId, UserId};
use crate::store::{Batch, Query, Record as _, Stored};

const KIND: ResourceKind = ResourceKind::Group;
/// Where the groups in a group stand among what is kept of it. The people in it have rows of their own.
const WITHIN: &str = "members";
/// So many groups a group may have in it.
const MOST_WITHIN: usize = 1_000;

/// The ids of members, where there is a word about them.
type Ids = Option<Vec<String>>;

/// What was sent, in its form: with the members apart, where it speaks about them.
fn read(mut sent: Map<String, Value>) -> Result<(Map<String, Value>, Ids)> {
    let members = match get(&sent, "members").is_some() {
        true => {
            let key = key_of(&sent, "members");
            Some(ids(sent.remove(&key).as_ref())?)
        }
        false => None,
    };
    let said = clean(KIND, sent)?;
    for name in ["displayName", "externalId"] {
        if text(&said, name).is_some_and(|text| text.len() > 1_000 || text.chars().any(char::is_control)) {
            return Err(Error::says(
                &codes::INVALID_VALUE,
                format!("`{name}` has at most 1000 bytes, and no control characters."),
            ));
        }
    }
    Ok((said, members))
}

/// The groups in a group, taken out of what is kept of it.
fn take_within(said: &mut Map<String, Value>) -> BTreeSet<String> {
    let kept = said.remove(WITHIN);
    let ids = kept.as_ref().and_then(Value::as_array).into_iter().flatten();
    ids.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Puts them where they are kept. Errors: `too_large`.
fn put_within(said: &mut Map<String, Value>, groups: &BTreeSet<String>) -> Result<()> {
    if groups.len() > MOST_WITHIN {
        return Err(Error::says(&codes::TOO_LARGE, format!("A group has at most {MOST_WITHIN} groups in it.")));
    }
    if !groups.is_empty() {
        said.insert(WITHIN.to_owned(), groups.iter().map(String::as_str).collect());
    }
    Ok(())
}

/// Whether the id is one of a group, and not of a person.
fn is_group(id: &str) -> bool {
    id.parse::<DirectoryGroupId>().is_ok()
}

fn nobody() -> Error {
    Error::says(&codes::INVALID_VALUE, "A member is nobody whom this directory knows.")
}

impl Speaker {
    /// Makes a group known. Errors: `invalid_value`, `taken`, `too_large`, and others of the pipeline.
    pub async fn create_group(&self, cx: &Context, sent: Map<String, Value>, batch: &mut Batch) -> Result<Written> {
        let (mut said, members) = read(sent)?;
        let external_id = text(&said, "externalId").map(str::to_owned);
        self.external_id_is_free(cx, external_id.as_deref(), None).await?;
        let (groups, people) = members.unwrap_or_default().into_iter().partition(|id| is_group(id));
        put_within(&mut said, &self.groups(cx, groups).await?)?;
        let members = self.people(cx, people).await?;
        let name = text(&said, "displayName").unwrap_or_default().to_owned();
        let proposal = GroupProposal {
            source: self.source(),
            group: None,
            external_id: external_id.clone(),
            name: Some(name.clone()),
            members: Members::Set(members),
            gone: false,
        };
        let facts = self.facts(cx, None).await?;
        let Provisioned::Group(Some(group)) = provision(cx, &Proposal::Group(proposal), &facts, batch).await? else {
            return Err(Error::bug("a group became nothing"));
        };
        let now = cx.env.now();
        let row = ScimResource {
            directory: self.directory,
            organization: self.organization,
            kind: ScimKind::Group,
            id: group.id.bytes(),
            name: folded(&name),
            external_id,
            body: Value::Object(said).to_string(),
            version: 1,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let event = match self.removed(cx, &row).await? {
            // It has a new id: RFC 7643 §3.1 lets none come back.
            Some(earlier) => {
                batch.delete::<ScimResource>(earlier.key(), earlier.revision);
                let event = self.told(cx, EventKind::ScimGroupReactivated, &row);
                event.and("group", DirectoryGroupId::from_bytes(earlier.id))
            }
            None => self.told(cx, EventKind::ScimGroupProvisioned, &row),
        };
        batch.create(&row).log(event);
        Ok(Some(row))
    }

    /// The group that this directory had removed and has back with this one: of the same `externalId`, or of the same
    /// name where one of the two has none.
    async fn removed(&self, cx: &Context, row: &ScimResource) -> Result<Option<Stored<ScimResource>>> {
        let mut known = Vec::with_capacity(2);
        known.extend(row.external_id.as_deref().map(|id| (ScimResource::REMOVED, id)));
        known.push((ScimResource::REMOVED_NAME, &*row.name));
        for (index, text) in known {
            let query = Query::by(index, ScimResource::within(self.directory, ScimKind::Group, text)).limit(100);
            let found =
                cx.store.page::<ScimResource>(query).await?.items.into_iter().rev().find(|gone| {
                    index == ScimResource::REMOVED || gone.external_id.is_none() || row.external_id.is_none()
                });
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn external_id_is_free(&self, cx: &Context, id: Option<&str>, own: Option<[u8; 16]>) -> Result<()> {
        let Some(id) = id else { return Ok(()) };
        let others = self.by_external_id(cx, ScimKind::Group, id).await?;
        if others.iter().any(|other| Some(other.id) != own) {
            return Err(Error::says(&codes::TAKEN, "Another group of this directory has this `externalId`."));
        }
        Ok(())
    }

    /// The people that members are: those that this directory knows. Errors: `invalid_value`, the same for somebody of
    /// another directory and for nobody.
    async fn people(&self, cx: &Context, ids: impl IntoIterator<Item = String>) -> Result<Vec<UserId>> {
        let mut people = Vec::new();
        for id in ids {
            people.push(UserId::from_bytes(self.known(cx, ResourceKind::User, &id).await?.id));
        }
        Ok(people)
    }

    /// The groups that members are, of this directory as well. Errors: `invalid_value`.
    async fn groups(&self, cx: &Context, ids: BTreeSet<String>) -> Result<BTreeSet<String>> {
        for id in &ids {
            self.known(cx, ResourceKind::Group, id).await?;
        }
        Ok(ids)
    }

    async fn known(&self, cx: &Context, kind: ResourceKind, id: &str) -> Result<Stored<ScimResource>> {
        self.resource(cx, kind, id).await.map_err(|error| if error.is(&codes::NOT_FOUND) { nobody() } else { error })
    }

    /// The groups in a group that are there still, as members.
    pub async fn groups_within(&self, cx: &Context, said: &mut Map<String, Value>) -> Result<Vec<Value>> {
        let mut shown = Vec::new();
        for id in take_within(said) {
            match self.resource(cx, ResourceKind::Group, &id).await {
                Ok(row) => {
                    let address = self.location(ResourceKind::Group, row.id);
                    shown.push(json!({"value": id, "$ref": address, "type": "Group"}));
                }
                Err(error) if error.is(&codes::NOT_FOUND) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(shown)
    }

    /// Changes a group, or removes it. Errors: as `create_group`, and those of a PATCH.
    pub async fn change_group(
        &self,
        cx: &Context,
        row: &Stored<ScimResource>,
        change: &Change,
        batch: &mut Batch,
    ) -> Result<Written> {
        let id = DirectoryGroupId::from_bytes(row.id);
        let mut before = said(row)?;
        let within = take_within(&mut before);
        let (mut after, members, groups) = match change {
            Change::Delete => return self.remove_group(cx, row, batch).await,
            Change::Replace(sent) => {
                let (after, members) = read(sent.clone())?;
                // Left out in a PUT is empty (RFC 7644 §3.5.1).
                let (groups, people) = members.unwrap_or_default().into_iter().partition(|id| is_group(id));
                (after, Members::Set(self.people(cx, people).await?), self.groups(cx, groups).await?)
            }
            Change::Patch(patch) => {
                let mut resource = before.clone();
                let outcome = patch.apply(KIND, &mut resource)?;
                let (after, _) = read(resource)?;
                let (members, groups) = self.members(cx, id, outcome.members, &within).await?;
                (after, members, groups)
            }
        };
        let (name, external_id) = (text(&after, "displayName").unwrap_or_default(), text(&after, "externalId"));
        self.external_id_is_free(cx, external_id, Some(row.id)).await?;
        let speaks_of_members = !matches!(members, Members::Keep);
        if before == after && groups == within && !speaks_of_members {
            return Ok(Some(row.value.clone()));
        }
        let proposal = GroupProposal {
            source: self.source(),
            group: Some(id),
            external_id: external_id.filter(|id| row.external_id.as_deref() != Some(id)).map(str::to_owned),
            name: Some(name.to_owned()).filter(|_| text(&before, "displayName") != Some(name)),
            members,
            gone: false,
        };
        let facts = self.facts(cx, None).await?;
        provision(cx, &Proposal::Group(proposal), &facts, batch).await?;
        let (name, external_id) = (folded(name), external_id.map(str::to_owned));
        put_within(&mut after, &groups)?;
        let changed = ScimResource {
            name,
            external_id,
            body: Value::Object(after).to_string(),
            version: row.version + 1,
            updated_at: cx.env.now(),
            ..row.value.clone()
        };
        batch.update(&changed, row.revision).log(self.told(cx, EventKind::ScimGroupUpdated, &changed));
        Ok(Some(changed))
    }

    /// What a PATCH does to the members, as one wish for the people, and the groups that there are in it then. Who is in
    /// the group is read only where it matters.
    async fn members(
        &self,
        cx: &Context,
        group: DirectoryGroupId,
        changes: Vec<MemberChange>,
        within: &BTreeSet<String>,
    ) -> Result<(Members, BTreeSet<String>)> {
        let mut all = Membership::default();
        for change in changes {
            let change = match change {
                MemberChange::RemoveWhere(filter) => {
                    let mut now: BTreeSet<String> = all.come.clone();
                    if !all.replaced {
                        now.extend(self.members_of(cx, group).await?.iter().map(ToString::to_string));
                        now.extend(within.iter().cloned());
                    }
                    let shown = |id: &String| {
                        let kind = if is_group(id) { ResourceKind::Group } else { ResourceKind::User };
                        let location = kind.number(id).map(|number| self.location(kind, number));
                        Map::from_iter([
                            ("value".to_owned(), Value::from(id.as_str())),
                            ("$ref".to_owned(), location.unwrap_or_default().into()),
                            ("type".to_owned(), kind.name().into()),
                        ])
                    };
                    MemberChange::Remove(now.into_iter().filter(|id| filter.matches(&shown(id))).collect())
                }
                change => change,
            };
            all.then(change);
        }
        if all.is_nothing() {
            return Ok((Members::Keep, within.clone()));
        }
        let (joining, come): (BTreeSet<String>, BTreeSet<String>) = all.come.into_iter().partition(|id| is_group(id));
        let mut groups = if all.replaced { BTreeSet::new() } else { within - &all.go };
        groups.extend(self.groups(cx, joining.difference(within).cloned().collect()).await?);
        groups.extend(joining);
        let come = self.people(cx, come).await?;
        // Who is no person of this directory is in no group of it.
        let go: BTreeSet<UserId> = all.go.iter().filter_map(|id| id.parse().ok()).collect();
        let members = match (all.replaced, come.is_empty(), go.is_empty()) {
            (true, ..) => Members::Set(come),
            (false, true, true) => Members::Keep,
            (false, false, true) => Members::Add(come),
            (false, true, false) => Members::Remove(go.into_iter().collect()),
            (false, false, false) => {
                let mut then: BTreeSet<UserId> = self.members_of(cx, group).await?.into_iter().collect();
                then.retain(|user| !go.contains(user));
                then.extend(come);
                Members::Set(then.into_iter().collect())
            }
        };
        Ok((members, groups))
    }

    async fn remove_group(&self, cx: &Context, row: &Stored<ScimResource>, batch: &mut Batch) -> Result<Written> {
        let proposal = GroupProposal {
            source: self.source(),
            group: Some(DirectoryGroupId::from_bytes(row.id)),
            external_id: None,
            name: None,
            members: Members::Keep,
            gone: true,
        };
        let facts = self.facts(cx, None).await?;
        provision(cx, &Proposal::Group(proposal), &facts, batch).await?;
        // What was said of it is gone; that it was there is known for a while.
        let now = cx.env.now();
        let removed = ScimResource {
            body: "{}".to_owned(),
            version: row.version + 1,
            updated_at: now,
            deleted_at: Some(now),
            ..row.value.clone()
        };
        batch.update(&removed, row.revision).log(self.told(cx, EventKind::ScimGroupDeactivated, row));
        Ok(None)
    }
}
