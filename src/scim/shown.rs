//! A resource of a directory as it is shown: what was said of it, and what authd knows besides.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::Shown;
use super::place::get;
use super::schema::ResourceKind;
use super::speaker::Speaker;
use crate::access::Context;
use crate::crypto::sha256;
use crate::directory::{DirectoryGroup, EndedBy, GroupMember, Membership, ScimKind, ScimResource, Status};
use crate::error::{Error, Result, codes};
use crate::id::{DirectoryGroupId, UserId};
use crate::store::{Query, Stored};

impl ResourceKind {
    /// As it is kept.
    pub fn kept(self) -> ScimKind {
        match self {
            Self::User => ScimKind::User,
            Self::Group => ScimKind::Group,
        }
    }

    /// The number of an id. Errors: `not_found` for what is no id of the kind.
    pub fn number(self, id: &str) -> Result<[u8; 16]> {
        let none = |_| Error::new(&codes::NOT_FOUND);
        match self {
            Self::User => id.parse::<UserId>().map(UserId::bytes).map_err(none),
            Self::Group => id.parse::<DirectoryGroupId>().map(DirectoryGroupId::bytes).map_err(none),
        }
    }

    /// The id of a number.
    pub fn id(self, number: [u8; 16]) -> String {
        match self {
            Self::User => UserId::from_bytes(number).to_string(),
            Self::Group => DirectoryGroupId::from_bytes(number).to_string(),
        }
    }

    fn of(kept: ScimKind) -> Self {
        match kept {
            ScimKind::User => Self::User,
            ScimKind::Group => Self::Group,
        }
    }
}

/// What the directory said of a resource. Errors: `storage_corrupt`.
pub fn said(row: &ScimResource) -> Result<Map<String, Value>> {
    serde_json::from_str(&row.body).map_err(|error| Error::new(&codes::STORAGE_CORRUPT).because(error))
}

/// The names of groups, so that a list asks for each once.
pub type GroupNames = BTreeMap<DirectoryGroupId, Option<String>>;

/// What else is to be found for a resource than what its own row says.
#[derive(Clone, Copy, Debug)]
pub struct Besides {
    /// The groups of a person.
    pub groups: bool,
    /// The members of a group.
    pub members: bool,
}

impl Speaker {
    /// The resource of that id. Errors: `not_found`, the same for what is another directory's and for what never was.
    pub async fn resource(&self, cx: &Context, kind: ResourceKind, id: &str) -> Result<Stored<ScimResource>> {
        let key = ScimResource::key_of(self.directory, kind.kept(), kind.number(id)?);
        let found: Option<Stored<ScimResource>> = cx.store.get(key).await?;
        found.filter(|row| row.deleted_at.is_none()).ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }

    /// Where a resource is.
    pub fn location(&self, kind: ResourceKind, number: [u8; 16]) -> String {
        format!("{}/{}/{}", self.base, kind.endpoint(), kind.id(number))
    }

    /// Whether the person of a resource may come in. One who waits for an administrator has not been deactivated.
    pub async fn is_active(&self, cx: &Context, row: &ScimResource) -> Result<bool> {
        Ok(self.standing(cx, row).await?.0)
    }

    /// Whether the person may come in, and whether that is as this directory has left it.
    async fn standing(&self, cx: &Context, row: &ScimResource) -> Result<(bool, bool)> {
        let key = Membership::key_of(self.organization, UserId::from_bytes(row.id));
        let member: Option<Stored<Membership>> = cx.store.get(key).await?;
        let Some(member) = member else { return Ok((false, true)) };
        let active = matches!(member.status, Status::Active | Status::Pending);
        Ok((active, active || member.ender() == Some(EndedBy::Source(self.directory))))
    }

    /// The version of a resource: whatever changes what is shown changes it.
    pub fn version(row: &ScimResource, active: bool) -> String {
        let ended = if active || row.kind == ScimKind::Group { "" } else { "-ended" };
        format!("W/\"{}{ended}\"", row.version)
    }

    /// The version of a resource as it is now.
    pub async fn version_now(&self, cx: &Context, row: &ScimResource) -> Result<String> {
        let active = match row.kind {
            ScimKind::User => self.is_active(cx, row).await?,
            ScimKind::Group => true,
        };
        Ok(Self::version(row, active))
    }

    /// A resource as it is shown.
    pub async fn show(
        &self,
        cx: &Context,
        row: &ScimResource,
        besides: Besides,
        names: &mut GroupNames,
    ) -> Result<Shown> {
        let kind = ResourceKind::of(row.kind);
        let mut said = said(row)?;
        let within = match kind {
            ResourceKind::Group if besides.members => self.groups_within(cx, &mut said).await?,
            ResourceKind::Group => {
                said.remove("members");
                Vec::new()
            }
            ResourceKind::User => Vec::new(),
        };
        let mut schemas = vec![Value::from(kind.core().urn)];
        schemas.extend(said.keys().filter(|key| key.contains(':')).map(|key| Value::from(key.as_str())));
        let mut resource = Map::new();
        resource.insert("schemas".into(), Value::Array(schemas));
        resource.insert("id".into(), kind.id(row.id).into());
        if let Some(external_id) = said.remove("externalId") {
            resource.insert("externalId".into(), external_id);
        }
        resource.extend(said);
        let mut active = true;
        match kind {
            ResourceKind::User => {
                let as_left;
                (active, as_left) = self.standing(cx, row).await?;
                // Removed by the directory, it is not shown, unless somebody else has ended the access.
                let removed = resource.remove("active").is_some();
                if !(removed && as_left) {
                    resource.insert("active".into(), active.into());
                }
                if besides.groups {
                    let groups = self.groups_of(cx, UserId::from_bytes(row.id), names).await?;
                    if !groups.is_empty() {
                        resource.insert("groups".into(), Value::Array(groups));
                    }
                }
            }
            ResourceKind::Group if besides.members => {
                let members = self.members_of(cx, DirectoryGroupId::from_bytes(row.id)).await?;
                let shown: Vec<Value> = members.iter().map(|user| self.member(*user)).chain(within).collect();
                if !shown.is_empty() {
                    resource.insert("members".into(), Value::Array(shown));
                }
            }
            ResourceKind::Group => {}
        }
        let (version, location) = (Self::version(row, active), self.location(kind, row.id));
        let meta = json!({
            "resourceType": kind.name(),
            "created": row.created_at,
            "lastModified": row.updated_at,
            "location": location,
            "version": version,
        });
        resource.insert("meta".into(), meta);
        Ok(Shown { resource, version, location })
    }

    fn member(&self, user: UserId) -> Value {
        json!({"value": user, "$ref": self.location(ResourceKind::User, user.bytes()), "type": "User"})
    }

    /// Everybody in a group.
    pub async fn members_of(&self, cx: &Context, group: DirectoryGroupId) -> Result<Vec<UserId>> {
        let (mut users, mut cursor) = (Vec::new(), None);
        loop {
            let query = Query::all().prefix(group.bytes()).limit(1_000).after(cursor);
            let page = cx.store.page::<GroupMember>(query).await?;
            users.extend(page.items.iter().map(|row| row.user));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(users);
            }
        }
    }

    /// The groups of this directory that a person is in.
    async fn groups_of(&self, cx: &Context, user: UserId, names: &mut GroupNames) -> Result<Vec<Value>> {
        let query = Query::by("member", GroupMember::member(self.organization, user)).limit(1_000);
        let mut groups = Vec::new();
        for row in cx.store.page::<GroupMember>(query).await?.items {
            let name = match names.get(&row.group) {
                Some(known) => known.clone(),
                None => {
                    let group = cx.store.get::<DirectoryGroup>(DirectoryGroup::key_of(row.group)).await?;
                    let own = group.filter(|group| group.connection == self.directory);
                    let name = own.map(|group| group.value.name);
                    names.insert(row.group, name.clone());
                    name
                }
            };
            groups.extend(name.map(|name| {
                let address = self.location(ResourceKind::Group, row.group.bytes());
                json!({"value": row.group, "$ref": address, "display": name, "type": "direct"})
            }));
        }
        Ok(groups)
    }
}

/// The text by which resources are found: `userName` and `displayName` are compared without case. A text too long for
/// an index stands there by its digest.
pub fn folded(text: &str) -> String {
    let folded = text.to_lowercase();
    if folded.len() <= 512 { folded } else { crate::crypto::base64url(&sha256(&[folded.as_bytes()])) }
}

/// The text of an attribute at the top.
pub fn text<'v>(said: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    get(said, name)?.as_str()
}
