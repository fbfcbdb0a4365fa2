//! Roles: the built-in ones that every organization has, and those that an organization makes for itself.

use std::borrow::Cow;

use super::context::Context;
use super::grant::{Grant, Grants};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::OrganizationId;
use crate::store::{Batch, Index, Key, Life, Record, Store, Stored};

/// A role that every organization has.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Role {
    /// Everything but vouching for domains.
    #[n(0)]
    Owner,
    /// What an owner may, but for the organization itself and its keys.
    #[n(1)]
    Admin,
    /// Signs in.
    #[n(2)]
    Member,
    /// Sees, and changes nothing.
    #[n(3)]
    Viewer,
}

impl Role {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Owner, Self::Admin, Self::Member, Self::Viewer];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

    /// What it may do. No role of a tenant vouches for domains: that would let one tenant take another's addresses.
    pub fn grants(self) -> Grants {
        let all = || Grant::ALL.iter().copied().filter(|grant| *grant != Grant::ConnectionDomainTrust);
        match self {
            Self::Owner => all().collect(),
            Self::Admin => {
                all().filter(|grant| !matches!(grant, Grant::OrganizationManage | Grant::ApiKeyManage)).collect()
            }
            Self::Member => Grants::none(),
            Self::Viewer => all().filter(|grant| grant.name().ends_with(".read")).collect(),
        }
    }
}

impl std::str::FromStr for Role {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|role| role.name() == text).ok_or_else(|| {
            Error::says(&codes::INVALID_INPUT, "There is no such role.")
                .help("The roles are: owner, admin, member, viewer.")
        })
    }
}

/// The name of a role within an organization: of a built-in one, or of one of its own. What it grants is looked up
/// when it is used, so that changing a role changes what everybody who has it may do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(Cow<'static, str>);

impl RoleName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The built-in role of that name, if it is one.
    pub fn builtin(&self) -> Option<Role> {
        Role::ALL.iter().copied().find(|role| role.name() == self.0)
    }
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        Self(Cow::Borrowed(role.name()))
    }
}

impl std::fmt::Display for RoleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for RoleName {
    type Err = Error;
    /// 1 to 64 of `a-z 0-9 - _`, a letter first. Errors: `invalid_input`.
    fn from_str(text: &str) -> Result<Self> {
        if let Ok(role) = text.parse::<Role>() {
            return Ok(role.into());
        }
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if text.len() > 64 || !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.bytes().all(letter) {
            return Err(Error::says(&codes::INVALID_INPUT, "That is not the name of a role.")
                .help("Lower-case letters, digits, `-` and `_`, a letter first, at most 64: owner, admin, member, viewer, or one of your own."));
        }
        Ok(Self(Cow::Owned(text.to_owned())))
    }
}

impl serde::Serialize for RoleName {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for RoleName {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(|error: Error| serde::de::Error::custom(error.message().trim_end_matches('.')))
    }
}

impl schemars::JsonSchema for RoleName {
    fn schema_name() -> Cow<'static, str> {
        "RoleName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[a-z][a-z0-9_-]{0,63}$",
            "examples": ["owner", "admin", "member", "viewer"]
        })
    }
}

impl<C> minicbor::Encode<C> for RoleName {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for RoleName {
    /// Rows that were written while there were only built-in roles hold the role's number.
    fn decode(d: &mut minicbor::Decoder<'b>, cx: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.datatype()? != minicbor::data::Type::String {
            return Ok(<Role as minicbor::Decode<C>>::decode(d, cx)?.into());
        }
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("not the name of a role"))
    }
}

/// A role that an organization made for itself.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct CustomRole {
    /// Whose.
    #[n(0)]
    pub organization: OrganizationId,
    /// Its name, unique within the organization and none of a built-in role; it never changes.
    #[n(1)]
    pub name: RoleName,
    /// What it is for.
    #[n(2)]
    pub about: Option<String>,
    /// What it grants.
    #[n(3)]
    pub grants: Grants,
    /// When it was made.
    #[n(4)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[n(5)]
    pub updated_at: Timestamp,
}

impl Record for CustomRole {
    const KIND: &'static str = "role";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.organization, &self.name)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("organization", self.organization.bytes())]
    }
}

impl CustomRole {
    /// The key of a role in an organization.
    pub fn key_of(organization: OrganizationId, name: &RoleName) -> Key {
        Key::of(&[&organization.bytes(), name.as_str().as_bytes()])
    }
}

/// What a role grants in an organization; `None` when the organization has no such role.
pub async fn grants_of_role(store: &Store, organization: OrganizationId, name: &RoleName) -> Result<Option<Grants>> {
    if let Some(role) = name.builtin() {
        return Ok(Some(role.grants()));
    }
    let found: Option<Stored<CustomRole>> = store.get(CustomRole::key_of(organization, name)).await?;
    Ok(found.map(|found| found.value.grants))
}

/// What several roles grant together. A role that is gone grants nothing.
pub async fn grants_of_roles<'a>(
    store: &Store,
    organization: OrganizationId,
    names: impl IntoIterator<Item = &'a RoleName>,
) -> Result<Grants> {
    let mut grants = Grants::none();
    for name in names {
        if let Some(more) = grants_of_role(store, organization, name).await? {
            grants = grants.union(&more);
        }
    }
    Ok(grants)
}

/// Whether the caller may give a role of the organization to somebody, or have it given. Nobody gives what they lack:
/// with the person in hand they would act as somebody who may do more.
/// Errors: `grant_exceeds_caller`; `invalid_input` when there is no such role.
pub async fn may_give(cx: &Context, organization: OrganizationId, role: &RoleName) -> Result<()> {
    let grants = grants_of_role(&cx.store, organization, role).await?.ok_or_else(|| unknown(role))?;
    within(cx, role, &grants)
}

/// The same, and the batch holds only while the role is what it was judged to be: it could be widened, or deleted and
/// made anew, before somebody has it. Errors: as `may_give`.
pub async fn give(cx: &Context, organization: OrganizationId, role: &RoleName, batch: &mut Batch) -> Result<()> {
    if role.builtin().is_some() {
        return may_give(cx, organization, role).await;
    }
    let key = CustomRole::key_of(organization, role);
    let found: Stored<CustomRole> = cx.store.get(key.clone()).await?.ok_or_else(|| unknown(role))?;
    within(cx, role, &found.value.grants)?;
    batch.require::<CustomRole>(key, found.revision);
    Ok(())
}

fn unknown(role: &RoleName) -> Error {
    Error::says(&codes::INVALID_INPUT, format!("The organization has no role `{role}`."))
        .help("The roles are: owner, admin, member, viewer, and those of `authd role list`.")
}

fn within(cx: &Context, role: &RoleName, grants: &Grants) -> Result<()> {
    match cx.caller.grants().lacks(grants) {
        None => Ok(()),
        Some(grant) => Err(Error::says(
            &codes::GRANT_EXCEEDS_CALLER,
            format!("The role `{role}` has the grant `{grant}`, which you do not hold yourself."),
        )),
    }
}
