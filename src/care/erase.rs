//! `user.erase`: a person has a right to be forgotten.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::erasure::Erasure;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::directory::{Identity, Membership, Organization};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{OrganizationId, UserId};
use crate::people::DeleteUser;
use crate::session::Session;
use crate::store::{Batch, Query, Record as _};

/// Erase a person: their access ends at once and they are deleted, as with `user delete`; and what the log, traces of
/// sign-ins, sessions and records of webhooks tell of them follows within moments. The log keeps that something
/// happened, and `audit verify` still holds. Somebody who was deleted before can be erased, too: name the organization.
/// Backups that were made before keep what they have.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EraseUser {
    /// The person.
    pub id: UserId,
    /// In which organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// An address that the log may have of them besides the one that is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-flag" = "address"))]
    pub addresses: Vec<String>,
}

/// Who is being erased. `user.erasure_completed` tells when it is done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErasedUser {
    /// The person.
    pub id: UserId,
    /// From which organization.
    pub organization: OrganizationId,
}

impl EraseUser {
    async fn place(&self, cx: &Context) -> Result<(OrganizationId, Option<Membership>)> {
        let delete = DeleteUser { id: self.id, organization: self.organization };
        match (delete.owner(cx).await, self.organization) {
            (Ok(Owner::Organization(organization)), _) => {
                let key = Membership::key_of(organization, self.id);
                Ok((organization, cx.store.get::<Membership>(key).await?.map(|found| found.value)))
            }
            (Ok(Owner::Deployment), _) => Err(Error::bug("a person belongs to an organization")),
            // Who is no member any more is still in the log.
            (Err(error), Some(organization)) if error.is(&codes::NOT_FOUND) => {
                Organization::load(&cx.store, organization).await?;
                Ok((organization, None))
            }
            (Err(error), _) => Err(error),
        }
    }
}

impl EraseUser {
    /// Whether the organization's log tells of the person.
    async fn was_here(&self, cx: &Context, organization: OrganizationId) -> Result<bool> {
        let id = self.id.to_string();
        let mut before = u64::MAX;
        loop {
            let rows = cx.store.back(before, 1_000, Some(organization.bytes())).await?;
            let Some(oldest) = rows.last() else { return Ok(false) };
            before = oldest.row.seq;
            if rows.iter().any(|row| row.row.envelope.windows(id.len()).any(|part| part == id.as_bytes())) {
                return Ok(true);
            }
        }
    }
}

#[async_trait]
impl Operation for EraseUser {
    type Seen = ();
    type Output = ErasedUser;
    const NAME: &'static str = "user.erase";
    const ACCESS: Access = Access::Grant(Grant::UserManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/users/{id}/erase" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(self.place(cx).await?.0))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let (organization, member) = self.place(cx).await?;
        let mut words: Vec<String> = self.addresses.clone();
        if words.len() > 20 || words.iter().any(|word| word.len() > 320 || !word.contains('@')) {
            return Err(Error::says(&codes::INVALID_INPUT, "There are at most 20 addresses, each with an `@`."));
        }
        let mut ids = vec![self.id.to_string()];
        let mut subjects = Vec::new();
        let identities = cx.store.page::<Identity>(Query::by("user", self.id.bytes()).limit(1_000)).await?.items;
        subjects.extend(
            identities.into_iter().filter(|row| row.organization == organization).map(|row| row.subject.clone()),
        );
        let sessions = Query::by("member", Session::member(organization, self.id)).limit(1_000);
        ids.extend(cx.store.page::<Session>(sessions).await?.items.iter().map(|session| session.id.to_string()));
        if let Some(member) = &member {
            words.extend(member.email.clone());
            DeleteUser { id: self.id, organization: Some(organization) }.apply(cx, &(), batch).await?;
        } else if !self.was_here(cx, organization).await? {
            // Whom only another organization knows does not exist here.
            return Err(Error::new(&codes::NOT_FOUND));
        }
        let asked = Erasure::begin(organization, self.id, ids, words, subjects);
        match cx.store.get::<Erasure>(asked.key()).await? {
            Some(pending) => batch.update(&pending.joined(asked), pending.revision),
            None => batch.create(&asked),
        };
        batch.log(cx.event(EventKind::UserErased).within(organization).about("user", self.id));
        Ok(ErasedUser { id: self.id, organization })
    }
}
