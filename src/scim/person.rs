//! What a directory says of a person: the resource as it says it, and the `Proposal` that follows from it.

use serde_json::{Map, Value};

use super::config::Rules;
use super::patch::Patch;
use super::place::get;
use super::read::object;
use super::schema::{ResourceKind, clean, is_empty};
use super::shown::{folded, said, text};
use super::speaker::Speaker;
use crate::access::Context;
use crate::directory::{Field, Fields, Membership, PersonProposal, ScimKind, ScimResource, Status, provision_person};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::UserId;
use crate::policy::ReuseUser;
use crate::store::{Batch, Record as _, Stored};

const KIND: ResourceKind = ResourceKind::User;
const ACTIVE: &str = "active";
/// A name or an id of a directory may be so long, in bytes.
const LONGEST: usize = 1_000;

/// What is to be done with a resource that is there.
#[derive(Clone, Debug)]
pub enum Change {
    /// It shall be this (PUT).
    Replace(Map<String, Value>),
    /// It shall be changed so (PATCH).
    Patch(Patch),
    /// It shall be no more (DELETE).
    Delete,
}

/// What a write left: the resource; nothing, where it is no more.
pub type Written = Option<ScimResource>;

/// What changes of the profile between two things said. What was not said before and is not said now, the directory
/// does not speak about.
fn fields(rules: &Rules, before: &Map<String, Value>, after: &Map<String, Value>) -> Fields {
    rules.profile(before).into_iter().zip(rules.profile(after)).fold(
        Fields::none(),
        |fields, ((field, before), (_, after))| match (before, after) {
            (before, Some(after)) if before.as_ref() != Some(&after) => fields.set(field, after),
            (Some(_), None) => fields.clear(field),
            _ => fields,
        },
    )
}

/// What was sent, in its form: with what it says of being active apart.
fn read(sent: Map<String, Value>) -> Result<(Map<String, Value>, Option<bool>)> {
    let mut said = clean(KIND, sent)?;
    let active = said.remove(ACTIVE).and_then(|active| active.as_bool());
    for name in ["userName", "externalId"] {
        if text(&said, name).is_some_and(|text| text.len() > LONGEST || text.chars().any(char::is_control)) {
            return Err(Error::says(
                &codes::INVALID_VALUE,
                format!("`{name}` has at most {LONGEST} bytes, and no control characters."),
            ));
        }
    }
    Ok((said, active))
}

fn taken(what: &str) -> Error {
    Error::says(&codes::TAKEN, format!("Another person of this directory has this `{what}`."))
}

/// Somebody of the directory as the pipeline left them.
struct Provisioned {
    before: Option<Status>,
    member: Membership,
    deleted: bool,
}

impl Speaker {
    /// Adds to the batch what follows from a proposal.
    async fn propose(&self, cx: &Context, proposal: PersonProposal, batch: &mut Batch) -> Result<Provisioned> {
        let before = match proposal.user {
            Some(user) => {
                let key = Membership::key_of(self.organization, user);
                cx.store.get::<Membership>(key).await?.map(|member| member.value.status)
            }
            None => None,
        };
        let facts = self.facts(cx, proposal.fields.value(Field::Email)).await?;
        let done = provision_person(cx, proposal, &facts, batch).await?;
        Ok(Provisioned { before, member: done.membership, deleted: done.deleted })
    }

    /// What follows from what is said now and was not said before.
    fn proposal(&self, before: &Map<String, Value>, after: &Map<String, Value>) -> PersonProposal {
        let rules = &self.rules;
        let subject = rules.subject(after).filter(|word| rules.subject(before).as_ref() != Some(word));
        PersonProposal {
            subject: subject.and_then(|word| self.connection.as_ref()?.subject_of(&word)),
            fields: fields(rules, before, after),
            roles: Some(rules.roles(after)).filter(|after| *after != rules.roles(before)),
            groups: rules.groups(after).filter(|after| rules.groups(before).as_ref() != Some(after)),
            extra: rules.extra(after).filter(|after| rules.extra(before).as_ref() != Some(after)),
            ..PersonProposal::of(self.source())
        }
    }

    /// Makes a person known, or knows again one whom this directory had removed.
    /// Errors: `invalid_value`, `taken`, `email_domain_not_owned`, `suspended_by_admin`, and others of the pipeline.
    pub async fn create_person(&self, cx: &Context, sent: Map<String, Value>, batch: &mut Batch) -> Result<Written> {
        let (said, active) = read(sent)?;
        let name = text(&said, "userName").unwrap_or_default().to_owned();
        let external_id = text(&said, "externalId").map(str::to_owned);
        let namesake = self.by_name(cx, ScimKind::User, &name).await?.pop();
        if namesake.as_ref().is_some_and(|row| row.deleted_at.is_none()) {
            return Err(taken("userName"));
        }
        if let Some(id) = &external_id
            && !self.by_external_id(cx, ScimKind::User, id).await?.is_empty()
        {
            return Err(taken("externalId"));
        }
        let mut known = None;
        if let Some(row) = namesake {
            let facts = self.facts(cx, None).await?;
            let same = row.external_id.is_none() || external_id.is_none() || row.external_id == external_id;
            let key = Membership::key_of(self.organization, UserId::from_bytes(row.id));
            let there = cx.store.get::<Membership>(key).await?.is_some();
            if there && same && facts.policy.provisioning.scim_reuse.user == ReuseUser::ExternalId {
                known = Some(UserId::from_bytes(row.id));
            } else if let Some(stale) = self.row(cx, row.id).await? {
                // A namesake of somebody who has left is somebody else.
                batch.delete::<ScimResource>(stale.key(), stale.revision);
            }
        }
        let rules = &self.rules;
        let active = if rules.maps_active() { rules.active(&said) } else { active };
        let proposal = PersonProposal {
            user: known,
            external_id: rules.external_id(&said),
            // Whoever is made known is to come in, unless it is said otherwise.
            active: Some(active.unwrap_or(true)),
            ..self.proposal(&Map::new(), &said)
        };
        let done = self.propose(cx, proposal, batch).await?;
        let (id, now) = (done.member.user.bytes(), cx.env.now());
        let earlier = self.row(cx, id).await?;
        if earlier.as_ref().is_some_and(|row| row.deleted_at.is_none()) {
            return Err(Error::says(&codes::TAKEN, "This directory knows the person already."));
        }
        let row = ScimResource {
            directory: self.directory,
            organization: self.organization,
            kind: ScimKind::User,
            id,
            name: folded(&name),
            external_id,
            body: Value::Object(said).to_string(),
            version: earlier.as_ref().map_or(1, |row| row.version + 1),
            created_at: earlier.as_ref().map_or(now, |row| row.created_at),
            updated_at: now,
            deleted_at: None,
        };
        let kind = match (&earlier, done.member.status) {
            (Some(_), Status::Active) => EventKind::ScimUserReactivated,
            _ => EventKind::ScimUserProvisioned,
        };
        match earlier {
            Some(earlier) => batch.update(&row, earlier.revision),
            None => batch.create(&row),
        };
        batch.log(self.told(cx, kind, &row));
        Ok(Some(row))
    }

    async fn row(&self, cx: &Context, id: [u8; 16]) -> Result<Option<Stored<ScimResource>>> {
        cx.store.get(ScimResource::key_of(self.directory, ScimKind::User, id)).await
    }

    /// Changes what is said of a person, or removes it. Errors: as `create_person`, and those of a PATCH.
    pub async fn change_person(
        &self,
        cx: &Context,
        row: &Stored<ScimResource>,
        change: &Change,
        batch: &mut Batch,
    ) -> Result<Written> {
        let user = UserId::from_bytes(row.id);
        let mut before = said(row)?;
        // A directory may take `active` away: that changes nothing of the access, but it is not shown any more.
        let mut hidden = before.remove(ACTIVE).is_some();
        let (after, active) = match change {
            Change::Delete => return self.remove_person(cx, row, batch).await,
            Change::Replace(sent) => {
                let speaks = get(sent, ACTIVE).is_some_and(|active| !is_empty(active));
                hidden &= !speaks;
                let (said, active) = read(sent.clone())?;
                (said, active.filter(|_| speaks))
            }
            Change::Patch(patch) => {
                let mut resource = before.clone();
                resource.insert(ACTIVE.into(), self.is_active(cx, row).await?.into());
                let outcome = patch.apply(KIND, &mut resource)?;
                let (said, active) = read(resource)?;
                let speaks = outcome.touched.contains(ACTIVE);
                hidden = if speaks { active.is_none() } else { hidden };
                (said, active.filter(|_| speaks))
            }
        };
        let (name, external_id) = (text(&after, "userName").unwrap_or_default(), text(&after, "externalId"));
        let renamed = folded(name) != row.name;
        if renamed && let Some(namesake) = self.by_name(cx, ScimKind::User, name).await?.pop() {
            if namesake.deleted_at.is_none() {
                return Err(taken("userName"));
            }
            if let Some(stale) = self.row(cx, namesake.id).await? {
                batch.delete::<ScimResource>(stale.key(), stale.revision);
            }
        }
        let rules = &self.rules;
        // What another mapping read of what was said before, is nothing to compare with.
        let compared = if rules.mapped_at.is_some_and(|at| row.updated_at < at) { Map::new() } else { before.clone() };
        let active = match (rules.active(&compared), rules.active(&after)) {
            _ if !rules.maps_active() => active,
            (known, now) if known != now || matches!(change, Change::Replace(_)) => now,
            _ => None,
        };
        let handle = rules.external_id(&after).filter(|id| rules.external_id(&compared).as_ref() != Some(id));
        let new_id = external_id.filter(|id| row.external_id.as_deref() != Some(id));
        if let Some(id) = new_id
            && self.by_external_id(cx, ScimKind::User, id).await?.iter().any(|other| other.id != row.id)
        {
            return Err(taken("externalId"));
        }
        let proposal =
            PersonProposal { user: Some(user), external_id: handle, active, ..self.proposal(&compared, &after) };
        let done = self.propose(cx, proposal, batch).await?;
        let turned = done.before != Some(done.member.status);
        let kind = match (turned, done.member.status) {
            (true, Status::Suspended | Status::Deprovisioned) => EventKind::ScimUserDeactivated,
            (true, Status::Active) => EventKind::ScimUserReactivated,
            _ => EventKind::ScimUserUpdated,
        };
        if done.deleted {
            // The policy deletes leavers, and with them what was said of them.
            batch.log(self.told(cx, EventKind::ScimUserDeactivated, row));
            return Ok(None);
        }
        let mut body = after.clone();
        if hidden {
            body.insert(ACTIVE.into(), Value::Null);
        }
        if body == said(row)? && !turned {
            return Ok(Some(row.value.clone()));
        }
        let changed = ScimResource {
            name: folded(name),
            external_id: external_id.map(str::to_owned),
            body: Value::Object(body).to_string(),
            version: row.version + 1,
            updated_at: cx.env.now(),
            ..row.value.clone()
        };
        batch.update(&changed, row.revision).log(self.told(cx, kind, &changed));
        Ok(Some(changed))
    }

    /// The person has left, and is in none of the directory's groups. What was said stays out of sight, so that the
    /// directory can have them back.
    async fn remove_person(&self, cx: &Context, row: &Stored<ScimResource>, batch: &mut Batch) -> Result<Written> {
        let proposal = PersonProposal {
            user: Some(UserId::from_bytes(row.id)),
            active: Some(false),
            gone: true,
            ..PersonProposal::of(self.source())
        };
        let done = self.propose(cx, proposal, batch).await?;
        batch.log(self.told(cx, EventKind::ScimUserDeactivated, row).with("removed", true));
        if !done.deleted {
            let now = cx.env.now();
            let removed =
                ScimResource { version: row.version + 1, updated_at: now, deleted_at: Some(now), ..row.value.clone() };
            batch.update(&removed, row.revision);
        }
        Ok(None)
    }

    /// An event about a resource.
    pub fn told(&self, cx: &Context, kind: EventKind, row: &ScimResource) -> crate::event::Event {
        let event = cx.event(kind).within(self.organization);
        let event = match row.kind {
            ScimKind::User => event.about("user", UserId::from_bytes(row.id)),
            ScimKind::Group => event.about("group", crate::id::DirectoryGroupId::from_bytes(row.id)),
        };
        let event = match &self.connection {
            Some(connection) => event.and("connection", connection.id),
            None => event,
        };
        event.with("version", row.version)
    }
}

impl Change {
    /// From the body of a PUT or a PATCH. Errors: `invalid_syntax`, `too_large`.
    pub fn read(patch: bool, body: Value) -> Result<Self> {
        let body = object(body)?;
        if patch { Patch::read(&body).map(Self::Patch) } else { Ok(Self::Replace(body)) }
    }
}
