//! Which attributes an answer has: `attributes` and `excludedAttributes` (RFC 7644 §3.9).

use serde_json::{Map, Value};

use super::place::{Place, get, key_of};
use super::schema::{ResourceKind, Returned};
use crate::error::{Error, Result, codes};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub enum Projection {
    /// What is usual.
    #[default]
    Usual,
    /// These, and what is always there.
    Only(Vec<String>),
    /// What is usual but for these.
    Without(Vec<String>),
}

impl Projection {
    /// From the two parameters, of which one may be given. Errors: `invalid_value` for both.
    pub fn of(only: Vec<String>, without: Vec<String>) -> Result<Self> {
        match (only.is_empty(), without.is_empty()) {
            (true, true) => Ok(Self::Usual),
            (false, true) => Ok(Self::Only(only)),
            (true, false) => Ok(Self::Without(without)),
            (false, false) => {
                Err(Error::says(&codes::INVALID_VALUE, "`attributes` and `excludedAttributes` are not given together."))
            }
        }
    }

    /// The names in a parameter, separated by commas.
    pub fn names(text: &str) -> Vec<String> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Whether an attribute at the top will be there: what is expensive to find need not be found otherwise.
    pub fn wants(&self, kind: ResourceKind, name: &str) -> bool {
        let names = |list: &[String], whole: bool| {
            list.iter().filter_map(|text| Place::read(kind, text).ok()).any(|place| {
                place.extension.is_none()
                    && (place.attribute.is_none() || place.attribute.as_deref() == Some(name))
                    && (!whole || place.sub.is_none())
            })
        };
        match self {
            Self::Usual => true,
            Self::Only(list) => names(list, false),
            Self::Without(list) => !names(list, true),
        }
    }

    /// The resource with what is asked for.
    pub fn apply(&self, kind: ResourceKind, resource: Map<String, Value>) -> Map<String, Value> {
        match self {
            Self::Usual => resource,
            Self::Only(list) => only(kind, list, &resource),
            Self::Without(list) => without(kind, list, resource),
        }
    }
}

fn is_always(kind: ResourceKind, name: &str) -> bool {
    kind.attribute(name).is_some_and(|known| known.returned == Returned::Always)
}

fn only(kind: ResourceKind, list: &[String], resource: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in resource.iter().filter(|(name, _)| is_always(kind, name)) {
        kept.insert(name.clone(), value.clone());
    }
    for text in list {
        let Ok(place) = Place::read(kind, text) else {
            // What no schema knows has its own name.
            if let Some(value) = get(resource, text) {
                kept.insert(key_of(resource, text), value.clone());
            }
            continue;
        };
        let (Some(attribute), extension) = (&place.attribute, &place.extension) else {
            match &place.extension {
                None => kept.extend(resource.clone()),
                Some(urn) => {
                    let key = key_of(resource, urn);
                    kept.extend(resource.get(&key).map(|value| (key, value.clone())));
                }
            }
            continue;
        };
        let Some(value) = place.value(resource) else { continue };
        let Some(value) = place.sub.as_ref().map_or_else(|| Some(value.clone()), |sub| part(value, sub)) else {
            continue;
        };
        let holder = match extension {
            None => &mut kept,
            Some(urn) => {
                let inner = kept.entry(key_of(resource, urn)).or_insert_with(|| Value::Object(Map::new()));
                let Some(inner) = inner.as_object_mut() else { continue };
                inner
            }
        };
        join(holder, attribute, value);
    }
    kept
}

/// Only one attribute of each value.
fn part(value: &Value, sub: &str) -> Option<Value> {
    match value {
        Value::Array(items) => Some(items.iter().filter_map(|item| part(item, sub)).collect()),
        Value::Object(fields) => {
            let value = get(fields, sub)?;
            Some(Value::Object(Map::from_iter([(key_of(fields, sub), value.clone())])))
        }
        _ => None,
    }
}

/// `name.givenName,name.familyName` are two parts of one value.
fn join(holder: &mut Map<String, Value>, name: &str, value: Value) {
    match (holder.get_mut(name), value) {
        (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
        (Some(Value::Array(known)), Value::Array(more)) if known.len() == more.len() => {
            for (known, more) in known.iter_mut().zip(more) {
                if let (Value::Object(known), Value::Object(more)) = (known, more) {
                    known.extend(more);
                }
            }
        }
        (_, value) => drop(holder.insert(name.to_owned(), value)),
    }
}

fn without(kind: ResourceKind, list: &[String], mut resource: Map<String, Value>) -> Map<String, Value> {
    for text in list {
        let Ok(place) = Place::read(kind, text) else {
            resource.remove(&key_of(&resource, text));
            continue;
        };
        let Some(attribute) = &place.attribute else {
            if let Some(urn) = &place.extension {
                resource.remove(&key_of(&resource, urn));
            }
            continue;
        };
        if place.extension.is_none() && is_always(kind, attribute) {
            continue;
        }
        let holder = match &place.extension {
            None => &mut resource,
            Some(urn) => {
                let key = key_of(&resource, urn);
                let Some(inner) = resource.get_mut(&key).and_then(Value::as_object_mut) else { continue };
                inner
            }
        };
        let key = key_of(holder, attribute);
        match &place.sub {
            None => drop(holder.remove(&key)),
            Some(sub) => {
                let items = match holder.get_mut(&key) {
                    Some(Value::Array(items)) => items.iter_mut().collect(),
                    Some(single) => vec![single],
                    None => Vec::new(),
                };
                for fields in items.into_iter().filter_map(Value::as_object_mut) {
                    fields.remove(&key_of(fields, sub));
                }
            }
        }
    }
    resource
}
