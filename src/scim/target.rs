//! What the path of a request leads to.

use super::schema::ResourceKind;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'p> {
    /// All resources of a kind.
    All(ResourceKind),
    /// One of them.
    One(ResourceKind, &'p str),
    /// A search among them; among all kinds, if none.
    Search(Option<ResourceKind>),
    /// Many operations.
    Bulk,
    /// The person who asks.
    Me,
}

impl<'p> Target<'p> {
    /// Of the parts of a path.
    pub fn of(segments: &[&'p str]) -> Option<Self> {
        let kind = |name: &str| ResourceKind::ALL.iter().copied().find(|kind| kind.endpoint() == name);
        match segments {
            ["Bulk"] => Some(Self::Bulk),
            ["Me"] => Some(Self::Me),
            [".search"] => Some(Self::Search(None)),
            [name] => kind(name).map(Self::All),
            [name, ".search"] => kind(name).map(|kind| Self::Search(Some(kind))),
            [name, id] if !id.is_empty() => kind(name).map(|kind| Self::One(kind, id)),
            _ => None,
        }
    }

    /// The methods that it takes.
    pub fn methods(&self) -> &'static str {
        match self {
            Self::All(_) => "GET, POST",
            Self::One(..) => "GET, PUT, PATCH, DELETE",
            Self::Search(_) | Self::Bulk => "POST",
            Self::Me => "GET",
        }
    }
}
