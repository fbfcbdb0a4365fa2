//! # filter — which resources are meant (RFC 7644 §3.4.2.2)
//!
//! *Owns* the grammar of filters, its bounds, and what a filter says of a resource.
//! *Gives* `Filter::parse` and `Filter::matches`; `Filter::required` for whoever has an index.
//! *Needs* places in a resource and the schemas. *Never* lets the depth of an input become the depth of its own stack
//! unmeasured: length and nesting are counted before a letter of it is parsed.

mod matches;
mod parse;

pub use parse::Parser;

use super::place::Place;
use super::schema::ResourceKind;
use crate::error::{Error, Result, codes};

/// A longer filter is refused.
pub const LONGEST: usize = 2_048;
/// So deep brackets may nest.
pub const DEEPEST: usize = 20;
/// So many comparisons a filter may have.
pub const MOST_TERMS: usize = 50;

/// A filter.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All of these.
    And(Vec<Filter>),
    /// Any of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// Something stands there.
    Present(Target),
    /// One of the values there has this.
    Has(Target),
    /// A comparison.
    Compare(Target, Operator, Literal),
}

/// What is compared: a place, and which of its values.
#[derive(Clone, Debug)]
pub struct Target {
    /// The place.
    pub place: Place,
    /// Which of its values; all of them, if absent.
    pub select: Option<Box<Filter>>,
}

/// How it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Begins with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

impl Operator {
    /// All of them, as they are written.
    pub const NAMES: &'static [&'static str] = &["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"];
}

/// With what it is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A time.
    Time(jiff::Timestamp),
    /// Nothing.
    Null,
}

impl Filter {
    /// Reads a filter on resources of a kind. Errors: `invalid_filter`.
    pub fn parse(kind: ResourceKind, text: &str) -> Result<Self> {
        scan(text)?;
        Parser::new(kind, text).whole()
    }

    /// The comparisons that must hold of every resource that is meant: text that something at the top is equal to.
    pub fn required(&self) -> Vec<(&str, &str)> {
        match self {
            Self::And(all) => all.iter().flat_map(Self::required).collect(),
            Self::Compare(Target { place, select: None }, Operator::Eq, Literal::Text(text)) => {
                match (&place.extension, &place.attribute, &place.sub) {
                    (None, Some(attribute), None) => vec![(attribute, text)],
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    /// Whether the filter looks at an attribute at the top.
    pub fn mentions(&self, name: &str) -> bool {
        match self {
            Self::And(all) | Self::Or(all) => all.iter().any(|one| one.mentions(name)),
            Self::Not(one) => one.mentions(name),
            Self::Present(at) | Self::Has(at) | Self::Compare(at, ..) => {
                at.place.extension.is_none() && at.place.attribute.as_deref() == Some(name)
            }
        }
    }
}

/// Refuses what is too long or nests too deep, by one walk over it. Errors: `invalid_filter`.
pub(super) fn scan(text: &str) -> Result<()> {
    let refuse = |why: String| Err(Error::says(&codes::INVALID_FILTER, why));
    if text.len() > LONGEST {
        return refuse(format!("The filter is longer than {LONGEST} bytes."));
    }
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'(' | b'[' if !quoted => depth += 1,
            b')' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return refuse(format!("The filter nests deeper than {DEEPEST}."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
