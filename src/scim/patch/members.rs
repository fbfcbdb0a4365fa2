//! What a PATCH does to the members of a group, without any of them at hand: a group may have many thousands.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Verb;
use crate::error::{Error, Result, codes};
use crate::scim::filter::{Filter, Literal, Operator, Target};
use crate::scim::place::get;

/// One thing that happens to the members.
#[derive(Clone, Debug)]
pub enum MemberChange {
    /// These come.
    Add(Vec<String>),
    /// These and nobody else are in it.
    Set(Vec<String>),
    /// These go.
    Remove(Vec<String>),
    /// Those whom the filter chooses go.
    RemoveWhere(Filter),
}

/// All of it, as one change: the end of a group, or who comes and who goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Whoever was in it before is not, unless they come.
    pub replaced: bool,
    /// Who comes.
    pub come: BTreeSet<String>,
    /// Who goes.
    pub go: BTreeSet<String>,
}

impl MemberChange {
    /// Reads one operation. What names some of the members means them alone: a `remove` with a value takes nobody else out.
    /// Errors: `invalid_value`, `invalid_path`, `mutability`.
    pub(super) fn read(target: &Target, verb: Verb, value: Option<&Value>) -> Result<Self> {
        if target.place.sub.is_some() {
            return Err(Error::says(&codes::MUTABILITY, "A member is added or removed, not changed."));
        }
        if let Some(select) = &target.select {
            if verb != Verb::Remove {
                return Err(Error::says(&codes::MUTABILITY, "A member is added or removed, not changed."));
            }
            return Ok(match &**select {
                Filter::Compare(at, Operator::Eq, Literal::Text(id))
                    if at.place.attribute.as_deref() == Some("value") =>
                {
                    Self::Remove(vec![id.clone()])
                }
                _ => Self::RemoveWhere((**select).clone()),
            });
        }
        let none = matches!(value, None | Some(Value::Null));
        Ok(match verb {
            Verb::Remove if none => Self::Set(Vec::new()),
            Verb::Remove => Self::Remove(ids(value)?),
            Verb::Replace => Self::Set(ids(value)?),
            Verb::Add => Self::Add(ids(value)?),
        })
    }
}

impl Membership {
    /// After one more change; `RemoveWhere` was turned into names before.
    pub fn then(&mut self, change: MemberChange) {
        match change {
            MemberChange::Add(ids) => {
                for id in ids {
                    self.go.remove(&id);
                    self.come.insert(id);
                }
            }
            MemberChange::Set(ids) => {
                *self = Self { replaced: true, come: ids.into_iter().collect(), go: BTreeSet::new() };
            }
            MemberChange::Remove(ids) => {
                for id in ids {
                    self.come.remove(&id);
                    if !self.replaced {
                        self.go.insert(id);
                    }
                }
            }
            MemberChange::RemoveWhere(_) => {}
        }
    }

    /// Whether it changes nothing, whoever is in the group.
    pub fn is_nothing(&self) -> bool {
        !self.replaced && self.come.is_empty() && self.go.is_empty()
    }
}

/// The ids of members as they are sent: objects with a `value`, bare texts, one or several. Errors: `invalid_value`.
pub fn ids(value: Option<&Value>) -> Result<Vec<String>> {
    let items = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    items.iter().map(id).collect()
}

fn id(item: &Value) -> Result<String> {
    let wrong = || Error::says(&codes::INVALID_VALUE, "A member is an object with the `value` of an id.");
    let id = match item {
        Value::String(id) => id.clone(),
        Value::Object(fields) => {
            let address = || get(fields, "$ref")?.as_str()?.rsplit('/').next();
            let named = match get(fields, "value") {
                Some(Value::String(id)) => Some(id.as_str()),
                None | Some(Value::Null) => address(),
                Some(_) => None,
            };
            named.ok_or_else(wrong)?.to_owned()
        }
        _ => return Err(wrong()),
    };
    if id.is_empty() { Err(wrong()) } else { Ok(id) }
}
