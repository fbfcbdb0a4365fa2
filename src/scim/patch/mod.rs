//! # patch — what a PATCH does to a resource (RFC 7644 §3.5.2, as Entra and Okta really send it)
//!
//! *Owns* the operations of a PATCH and their effect on the attributes of a resource, and on the members of a group.
//! *Gives* `Patch::read` and `Patch::apply`.
//! *Needs* places, filters and schemas. *Never* loads the members of a group: what happens to them is told as a change.

mod members;
mod values;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use members::{MemberChange, Membership, ids};

use super::filter::{self, Parser, Target};
use super::place::{Nowhere, Place, get, key_of};
use super::schema::{Mutability, ResourceKind, is_empty};
use crate::error::{Error, Result, codes};

/// So many operations one PATCH may have.
pub const MOST: usize = 100;

/// What is done at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is there besides what is there.
    Add,
    /// It is there in the place of what is there.
    Replace,
    /// It is there no more.
    Remove,
}

/// One operation.
#[derive(Clone, Debug)]
struct Operation {
    verb: Verb,
    path: Option<String>,
    value: Option<Value>,
}

/// A whole PATCH.
#[derive(Clone, Debug)]
pub struct Patch(Vec<Operation>);

/// What a PATCH did besides changing the resource.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The attributes at the top that it spoke about, whether or not they are other than before.
    pub touched: BTreeSet<String>,
    /// What happened to the members of a group, in order.
    pub members: Vec<MemberChange>,
}

fn syntax(why: impl Into<String>) -> Error {
    Error::says(&codes::INVALID_SYNTAX, why.into())
}

impl Patch {
    /// Reads the body of a PATCH. Errors: `invalid_syntax`; `too_large` for too many operations.
    pub fn read(body: &Map<String, Value>) -> Result<Self> {
        let Some(Value::Array(sent)) = get(body, "Operations") else {
            return Err(syntax("A PATCH has a list of `Operations`."));
        };
        if sent.is_empty() {
            return Err(syntax("A PATCH has at least one operation."));
        }
        if sent.len() > MOST {
            return Err(Error::says(&codes::TOO_LARGE, format!("A PATCH has at most {MOST} operations.")));
        }
        sent.iter().map(Operation::read).collect::<Result<_>>().map(Self)
    }

    /// Changes the resource, one operation after the other; of a failed PATCH nothing may be kept.
    /// Errors: `invalid_path`, `invalid_filter`, `invalid_value`, `no_target`, `mutability`.
    pub fn apply(&self, kind: ResourceKind, resource: &mut Map<String, Value>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        for operation in &self.0 {
            operation.apply(kind, resource, &mut outcome)?;
        }
        Ok(outcome)
    }
}

impl Operation {
    fn read(sent: &Value) -> Result<Self> {
        let sent = sent.as_object().ok_or_else(|| syntax("An operation is an object."))?;
        let verb = match get(sent, "op").and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
            Some("add") => Verb::Add,
            Some("replace") => Verb::Replace,
            Some("remove") => Verb::Remove,
            _ => return Err(syntax("The `op` of an operation is `add`, `replace` or `remove`.")),
        };
        let path = match get(sent, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) => Some(path.trim_matches(' ').to_owned()).filter(|path| !path.is_empty()),
            Some(_) => return Err(Error::says(&codes::INVALID_PATH, "A path is a text.")),
        };
        Ok(Self { verb, path, value: get(sent, "value").cloned() })
    }

    fn apply(&self, kind: ResourceKind, resource: &mut Map<String, Value>, outcome: &mut Outcome) -> Result<()> {
        let Some(path) = &self.path else { return self.everywhere(kind, resource, outcome) };
        filter::scan(path).map_err(|error| Error::new(&codes::INVALID_PATH).because(error))?;
        let target = Parser::new(kind, path).path()?;
        if target.place.attribute.is_none() && target.place.extension.is_none() {
            return self.everywhere(kind, resource, outcome);
        }
        let read_only = |known: &&super::schema::Attribute| known.mutability == Mutability::ReadOnly;
        if target.place.known.as_ref().is_some_and(read_only) || target.place.known_sub.as_ref().is_some_and(read_only)
        {
            return Err(Error::says(&codes::MUTABILITY, "Only authd writes that attribute."));
        }
        let value = self.value.clone();
        if self.verb != Verb::Remove && value.is_none() {
            return Err(Error::says(&codes::INVALID_VALUE, "The operation has no `value`."));
        }
        at(kind, path, &target, self.verb, value, resource, outcome)
    }

    /// Without a path: the value is an object of places, as Entra writes them, or of attributes.
    fn everywhere(&self, kind: ResourceKind, resource: &mut Map<String, Value>, outcome: &mut Outcome) -> Result<()> {
        let fields = match (&self.value, self.verb) {
            (_, Verb::Remove) => {
                return Err(Error::says(&codes::NO_TARGET, "What is to be removed, is not said: `path` is missing."));
            }
            (Some(Value::Object(fields)), _) => fields,
            _ => return Err(Error::says(&codes::INVALID_VALUE, "Without a path, the value is an object.")),
        };
        for (name, value) in fields {
            filter::scan(name).map_err(|error| Error::new(&codes::INVALID_PATH).because(error))?;
            if matches!(Place::read(kind, name), Err(Nowhere::Unknown)) && !name.contains(['.', '[', ':']) {
                // What no schema knows, is kept as it comes.
                let key = key_of(resource, name);
                if is_empty(value) {
                    resource.remove(&key)
                } else {
                    resource.insert(key, value.clone())
                };
                continue;
            }
            let target = Parser::new(kind, name).path()?;
            if target.place.attribute.is_none() && target.place.extension.is_none() {
                // The core schema by its URN: what it holds are attributes of the resource itself.
                let inner = Self { verb: self.verb, path: None, value: Some(value.clone()) };
                inner.everywhere(kind, resource, outcome)?;
                continue;
            }
            let writable = |known: Option<&'static super::schema::Attribute>| {
                known.is_none_or(|known| known.mutability != Mutability::ReadOnly)
            };
            if !writable(target.place.known)
                || !writable(target.place.known_sub)
                || target.place.attribute.as_deref() == Some("schemas")
            {
                continue;
            }
            at(kind, name, &target, self.verb, Some(value.clone()), resource, outcome)?;
        }
        Ok(())
    }
}

/// Does one thing at one target.
fn at(
    kind: ResourceKind,
    path: &str,
    target: &Target,
    verb: Verb,
    value: Option<Value>,
    resource: &mut Map<String, Value>,
    outcome: &mut Outcome,
) -> Result<()> {
    let place = &target.place;
    if let (None, Some(attribute)) = (&place.extension, &place.attribute) {
        if kind == ResourceKind::Group && attribute == "members" {
            outcome.members.push(MemberChange::read(target, verb, value.as_ref())?);
            return Ok(());
        }
        if attribute == "schemas" {
            return Ok(());
        }
        outcome.touched.insert(attribute.clone());
    }
    let Some(urn) = &place.extension else { return values::change(target, verb, value, resource) };
    // An extension that no schema of ours knows may be meant as a whole: `urn:…:2.0:User` reads like one of its attributes.
    let whole = place.known.is_none() && place.sub.is_none() && target.select.is_none() && {
        place.attribute.is_none() || get(resource, path).is_some() || value.as_ref().is_some_and(Value::is_object)
    };
    if whole {
        let urn = if place.attribute.is_none() { urn.as_str() } else { path };
        return extension(kind, urn, verb, value, resource, outcome);
    }
    let key = key_of(resource, urn);
    let mut fields = fields_at(resource, &key);
    values::change(target, verb, value, &mut fields)?;
    put(resource, &key, fields);
    Ok(())
}

/// Takes out what an extension has.
fn fields_at(resource: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    match resource.remove(key) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Puts back what an extension has, unless that is nothing.
fn put(resource: &mut Map<String, Value>, key: &str, fields: Map<String, Value>) {
    if !fields.is_empty() {
        resource.insert(key.to_owned(), Value::Object(fields));
    }
}

/// Does it to all of an extension.
fn extension(
    kind: ResourceKind,
    urn: &str,
    verb: Verb,
    value: Option<Value>,
    resource: &mut Map<String, Value>,
    outcome: &mut Outcome,
) -> Result<()> {
    let key = key_of(resource, urn);
    let sent = match value {
        _ if verb == Verb::Remove => Map::new(),
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(sent)) => sent,
        Some(_) => return Err(Error::says(&codes::INVALID_VALUE, format!("`{urn}` is not an object."))),
    };
    if sent.is_empty() {
        resource.remove(&key);
        return Ok(());
    }
    if let Some(schema) = kind.extension(urn) {
        for (name, value) in sent {
            if schema.attribute(&name).is_none() {
                // As without a path: what no schema knows is kept as it comes. Some clients name the schema once more.
                let mut fields = fields_at(resource, &key);
                let name = key_of(&fields, &name);
                if name.eq_ignore_ascii_case("schemas") || is_empty(&value) {
                    fields.remove(&name);
                } else {
                    fields.insert(name, value);
                }
                put(resource, &key, fields);
                continue;
            }
            let name = format!("{urn}:{name}");
            match Place::read(kind, &name) {
                Ok(place) => {
                    at(kind, &name, &Target { place, select: None }, verb, Some(value), resource, outcome)?;
                }
                Err(_) => return Err(Error::says(&codes::INVALID_PATH, "The extension has no such attribute.")),
            }
        }
        return Ok(());
    }
    let mut fields = match resource.remove(&key) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    for (name, value) in sent {
        let name = key_of(&fields, &name);
        if is_empty(&value) {
            fields.remove(&name)
        } else {
            fields.insert(name, value)
        };
    }
    if !fields.is_empty() {
        resource.insert(key, Value::Object(fields));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
