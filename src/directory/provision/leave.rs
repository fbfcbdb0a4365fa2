//! What goes with a person of whom an organization shall know nothing any more.

use crate::access::Context;
use crate::directory::external::ExternalId;
use crate::directory::group::GroupMember;
use crate::directory::identity::Identity;
use crate::directory::membership::Membership;
use crate::directory::scim_resource::ScimResource;
use crate::directory::user::User;
use crate::error::{Error, Result, codes};
use crate::id::{OrganizationId, UserId};
use crate::store::{Batch, Key, Query, Record, Stored};

/// The rows of a person in one organization, besides the membership; and the anchor, if this was their last one.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaving {
    identities: Vec<Stored<Identity>>,
    handles: Vec<Stored<ExternalId>>,
    groups: Vec<Stored<GroupMember>>,
    resources: Vec<Stored<ScimResource>>,
    anchor: Option<Stored<User>>,
}

impl Leaving {
    /// Errors: `too_large` for more rows than one page; no person has as many.
    pub async fn find(cx: &Context, organization: OrganizationId, user: UserId) -> Result<Self> {
        let identities = all::<Identity>(cx, "user", user.bytes().to_vec()).await?;
        let handles = all::<ExternalId>(cx, "user", user.bytes().to_vec()).await?;
        let groups = all::<GroupMember>(cx, "member", GroupMember::member(organization, user)).await?;
        let resources = all::<ScimResource>(cx, "user", ScimResource::person(organization, user)).await?;
        let memberships = all::<Membership>(cx, "user", user.bytes().to_vec()).await?;
        // Another tenant's rows are another tenant's business.
        let elsewhere = memberships.iter().any(|member| member.organization != organization);
        let anchor = if elsewhere { None } else { cx.store.get::<User>(Key::from_bytes(user.bytes())).await? };
        Ok(Self {
            identities: identities.into_iter().filter(|row| row.organization == organization).collect(),
            handles: handles.into_iter().filter(|row| row.organization == organization).collect(),
            groups,
            resources,
            anchor,
        })
    }

    /// Adds their removal.
    pub fn add(&self, batch: &mut Batch) {
        remove(&self.identities, batch);
        remove(&self.handles, batch);
        remove(&self.groups, batch);
        remove(&self.resources, batch);
        remove(self.anchor.as_slice(), batch);
    }
}

fn remove<T: Record>(rows: &[Stored<T>], batch: &mut Batch) {
    for row in rows {
        batch.delete::<T>(row.key(), row.revision);
    }
}

async fn all<T: Record>(cx: &Context, index: &'static str, value: Vec<u8>) -> Result<Vec<Stored<T>>> {
    let page = cx.store.page::<T>(Query::by(index, value).limit(1_000)).await?;
    if page.next.is_some() {
        return Err(Error::says(&codes::TOO_LARGE, "The person has too many identities or groups to go at once."));
    }
    Ok(page.items)
}
