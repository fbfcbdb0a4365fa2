//! # schema — what a resource of SCIM is made of
//!
//! *Owns* the schemas of people and groups as data, and the documents that describe them.
//! *Gives* `ResourceKind`, attributes by their names however they are written, values brought into their form.
//! *Needs* RFC 7643. *Never* knows a record.

mod attribute;
mod clean;
mod describe;
mod resource;

pub use attribute::{Attribute, Kind, Mutability, Returned};
pub use clean::{clean, coerce, is_empty, truth};
pub use describe::{Bounds, discovery, list};
pub use resource::{COMMON, ENTERPRISE, GROUP, USER};

/// A schema.
#[derive(Debug)]
pub struct Schema {
    /// Its name in the world.
    pub urn: &'static str,
    /// Its short name.
    pub name: &'static str,
    /// A few words.
    pub about: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

/// What is provisioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// People.
    User,
    /// Groups.
    Group,
}

impl ResourceKind {
    /// Both.
    pub const ALL: &'static [Self] = &[Self::User, Self::Group];

    /// The name of the type.
    pub fn name(self) -> &'static str {
        self.core().name
    }

    /// Where its resources are.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    /// Its own schema.
    pub fn core(self) -> &'static Schema {
        match self {
            Self::User => &USER,
            Self::Group => &GROUP,
        }
    }

    /// The schemas that extend it.
    pub fn extensions(self) -> &'static [&'static Schema] {
        const OF_PEOPLE: &[&Schema] = &[&ENTERPRISE];
        match self {
            Self::User => OF_PEOPLE,
            Self::Group => &[],
        }
    }

    /// The attribute of that name that is not an extension's.
    pub fn attribute(self, name: &str) -> Option<&'static Attribute> {
        attribute::find(self.core().attributes, name).or_else(|| attribute::find(COMMON, name))
    }

    /// The extension of that URN, however it is written.
    pub fn extension(self, urn: &str) -> Option<&'static Schema> {
        self.extensions().iter().copied().find(|schema| schema.urn.eq_ignore_ascii_case(urn))
    }
}

impl Schema {
    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        attribute::find(self.attributes, name)
    }
}
