//! The fields of a profile, and what a source may wish of each: absent, cleared and set are three things.

use std::collections::BTreeMap;

use super::membership::Membership;
use super::profile::Profile;

/// A field of a profile, each with a last writer of its own.
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
#[serde(rename_all = "camelCase")]
#[cbor(index_only)]
pub enum Field {
    /// The e-mail address.
    #[n(0)]
    Email,
    /// The name to show.
    #[n(1)]
    Name,
    /// First name.
    #[n(2)]
    GivenName,
    /// Last name.
    #[n(3)]
    FamilyName,
    /// A picture's https URL.
    #[n(4)]
    Image,
}

impl Field {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Email, Self::Name, Self::GivenName, Self::FamilyName, Self::Image];

    /// Its name in the API and in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Name => "name",
            Self::GivenName => "givenName",
            Self::FamilyName => "familyName",
            Self::Image => "image",
        }
    }

    /// Where a member's is kept.
    pub(super) fn of(self, member: &mut Membership) -> &mut Option<String> {
        match self {
            Self::Email => &mut member.email,
            Self::Name => &mut member.name,
            Self::GivenName => &mut member.given_name,
            Self::FamilyName => &mut member.family_name,
            Self::Image => &mut member.image,
        }
    }
}

/// What a source wishes of a field that it speaks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It shall be empty.
    Clear,
    /// It shall be this.
    Set(String),
}

/// The fields that a source speaks about. A field that is not in it is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<Field, Wish>);

impl Fields {
    /// None yet.
    pub fn none() -> Self {
        Self::default()
    }

    /// With this value of a field.
    #[must_use]
    pub fn set(mut self, field: Field, value: impl Into<String>) -> Self {
        self.0.insert(field, Wish::Set(value.into()));
        self
    }

    /// With a field emptied.
    #[must_use]
    pub fn clear(mut self, field: Field) -> Self {
        self.0.insert(field, Wish::Clear);
        self
    }

    /// What is wished of a field; `None` where the source does not speak about it.
    pub fn wish(&self, field: Field) -> Option<&Wish> {
        self.0.get(&field)
    }

    /// The value that a field shall have, if it shall have one.
    pub fn value(&self, field: Field) -> Option<&str> {
        match self.wish(field) {
            Some(Wish::Set(value)) => Some(value),
            Some(Wish::Clear) | None => None,
        }
    }
}

impl From<&Profile> for Fields {
    /// A sign-in speaks about what the provider sent, and never clears: what it did not send, it may have kept back.
    fn from(profile: &Profile) -> Self {
        let all = [
            (Field::Email, &profile.email),
            (Field::Name, &profile.name),
            (Field::GivenName, &profile.given_name),
            (Field::FamilyName, &profile.family_name),
            (Field::Image, &profile.image),
        ];
        let said = all.into_iter().filter_map(|(field, value)| Some((field, Wish::Set(value.clone()?))));
        Self(said.collect())
    }
}
