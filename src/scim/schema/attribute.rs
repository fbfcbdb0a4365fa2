//! An attribute of a schema (RFC 7643 §2.2), as data.

use serde_json::{Map, Value, json};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// A time, RFC 3339.
    DateTime,
    /// A whole number.
    Integer,
    /// Bytes in base64.
    Binary,
    /// An address, of a resource or of anything.
    Reference,
    /// Attributes of its own.
    Complex,
}

/// Who may write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// The client.
    ReadWrite,
    /// Only authd.
    ReadOnly,
    /// The client, once.
    Immutable,
    /// The client; nobody reads it.
    WriteOnly,
}

/// When it is part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// Whatever was asked for.
    Always,
    /// Unless something else was asked for.
    Default,
    /// Not ever.
    Never,
}

/// An attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name, as it is written.
    pub name: &'static str,
    /// What a value is.
    pub kind: Kind,
    /// Whether it has any number of values.
    pub many: bool,
    /// Whether a resource cannot be without it.
    pub required: bool,
    /// Whether case counts in a comparison.
    pub exact: bool,
    /// Who may write it.
    pub mutability: Mutability,
    /// When it is part of an answer.
    pub returned: Returned,
    /// Whether no two resources have the same value.
    pub unique: bool,
    /// The usual values.
    pub usual: &'static [&'static str],
    /// What a reference leads to.
    pub leads_to: &'static [&'static str],
    /// One sentence.
    pub about: &'static str,
    /// The attributes of a complex one.
    pub sub: &'static [Attribute],
}

/// A plain text that anybody may write and case does not matter in.
pub const fn text(name: &'static str, about: &'static str) -> Attribute {
    Attribute {
        name,
        kind: Kind::String,
        many: false,
        required: false,
        exact: false,
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        unique: false,
        usual: &[],
        leads_to: &[],
        about,
        sub: &[],
    }
}

/// An attribute with attributes.
pub const fn complex(name: &'static str, about: &'static str, sub: &'static [Attribute]) -> Attribute {
    Attribute { kind: Kind::Complex, sub, ..text(name, about) }
}

/// True or false.
pub const fn boolean(name: &'static str, about: &'static str) -> Attribute {
    Attribute { kind: Kind::Boolean, ..text(name, about) }
}

/// An address.
pub const fn reference(name: &'static str, about: &'static str, leads_to: &'static [&'static str]) -> Attribute {
    Attribute { kind: Kind::Reference, exact: true, leads_to, ..text(name, about) }
}

impl Attribute {
    /// Another kind of value.
    #[must_use]
    pub const fn of(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
    /// Any number of values.
    #[must_use]
    pub const fn many(self) -> Self {
        Self { many: true, ..self }
    }
    /// Needed.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }
    /// Case counts.
    #[must_use]
    pub const fn exact(self) -> Self {
        Self { exact: true, ..self }
    }
    /// Only authd writes it.
    #[must_use]
    pub const fn read_only(self) -> Self {
        Self { mutability: Mutability::ReadOnly, ..self }
    }
    /// Written once.
    #[must_use]
    pub const fn immutable(self) -> Self {
        Self { mutability: Mutability::Immutable, ..self }
    }
    /// Never told.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { mutability: Mutability::WriteOnly, returned: Returned::Never, ..self }
    }
    /// Part of every answer.
    #[must_use]
    pub const fn always(self) -> Self {
        Self { returned: Returned::Always, ..self }
    }
    /// No two resources have the same value.
    #[must_use]
    pub const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }
    /// Its usual values.
    #[must_use]
    pub const fn usually(self, usual: &'static [&'static str]) -> Self {
        Self { usual, ..self }
    }

    /// The attribute of that name within this one, however it is written.
    pub fn within(&self, name: &str) -> Option<&'static Self> {
        find(self.sub, name)
    }

    /// As `/Schemas` tells it (RFC 7643 §7).
    pub fn describe(&self) -> Value {
        let mut told = Map::new();
        let mut put = |name: &str, value: Value| drop(told.insert(name.to_owned(), value));
        put("name", self.name.into());
        put("type", self.kind.name().into());
        put("multiValued", self.many.into());
        put("description", self.about.into());
        put("required", self.required.into());
        if matches!(self.kind, Kind::String | Kind::Reference | Kind::Binary) {
            put("caseExact", self.exact.into());
        }
        put("mutability", self.mutability.name().into());
        put("returned", self.returned.name().into());
        put("uniqueness", if self.unique { "server" } else { "none" }.into());
        if !self.usual.is_empty() {
            put("canonicalValues", json!(self.usual));
        }
        if !self.leads_to.is_empty() {
            put("referenceTypes", json!(self.leads_to));
        }
        if !self.sub.is_empty() {
            put("subAttributes", self.sub.iter().map(Self::describe).collect());
        }
        Value::Object(told)
    }
}

/// The attribute of that name, however it is written.
pub fn find(list: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    list.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::DateTime => "dateTime",
            Self::Integer => "integer",
            Self::Binary => "binary",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }
}

impl Mutability {
    fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "readWrite",
            Self::ReadOnly => "readOnly",
            Self::Immutable => "immutable",
            Self::WriteOnly => "writeOnly",
        }
    }
}

impl Returned {
    fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Default => "default",
            Self::Never => "never",
        }
    }
}
