//! A resource as a client sends it becomes one as it is kept: names as the schemas write them, values of their type,
//! nothing empty, nothing that only authd writes.

use serde_json::{Map, Value};

use super::attribute::{Attribute, Kind, Mutability};
use super::{ResourceKind, Schema};
use crate::error::{Error, Result, codes};

/// Brings a whole resource into its form. What only authd writes is left out, and so is a password. What no schema
/// knows is kept as it came.
/// Errors: `invalid_value` for a value of another type or a missing required one, `invalid_syntax` for a name that
/// stands twice.
pub fn clean(kind: ResourceKind, sent: Map<String, Value>) -> Result<Map<String, Value>> {
    let mut kept = Map::new();
    let is_core = |name: &str| name.eq_ignore_ascii_case(kind.core().urn);
    // The core schema's own URN with an object is the same as its attributes at the top.
    let sent = sent.into_iter().flat_map(|(name, value)| match value {
        Value::Object(inner) if is_core(&name) => inner.into_iter().collect(),
        value => vec![(name, value)],
    });
    for (name, value) in sent {
        let (name, value) = match (kind.attribute(&name), kind.extension(&name)) {
            (Some(attribute), _) => {
                let drops = matches!(attribute.mutability, Mutability::ReadOnly | Mutability::WriteOnly);
                if drops || attribute.name == "schemas" {
                    continue;
                }
                (attribute.name.to_owned(), coerce(attribute, value)?)
            }
            (None, Some(schema)) => (schema.urn.to_owned(), extension(schema, value)?),
            (None, None) if is_empty(&value) => continue,
            (None, None) => (name, Some(value)),
        };
        if let Some(value) = value
            && kept.insert(name.clone(), value).is_some()
        {
            return Err(twice(&name));
        }
    }
    for attribute in kind.core().attributes.iter().filter(|attribute| attribute.required) {
        let says = |value: &Value| value.as_str().is_none_or(|text| !text.trim().is_empty());
        if !kept.get(attribute.name).is_some_and(says) {
            return Err(Error::says(&codes::INVALID_VALUE, format!("`{}` is required.", attribute.name)));
        }
    }
    Ok(kept)
}

fn extension(schema: &Schema, value: Value) -> Result<Option<Value>> {
    let sent = match value {
        Value::Object(sent) => sent,
        Value::Null => return Ok(None),
        _ => return Err(Error::says(&codes::INVALID_VALUE, format!("`{}` is not an object.", schema.urn))),
    };
    let mut kept = Map::new();
    for (name, value) in sent {
        // Some clients name the schema once more within it.
        if name.eq_ignore_ascii_case("schemas") {
            continue;
        }
        let (name, value) = match schema.attribute(&name) {
            Some(attribute) => (attribute.name.to_owned(), coerce(attribute, value)?),
            None => (name, Some(value).filter(|value| !is_empty(value))),
        };
        if let Some(value) = value
            && kept.insert(name.clone(), value).is_some()
        {
            return Err(twice(&name));
        }
    }
    Ok((!kept.is_empty()).then_some(Value::Object(kept)))
}

fn twice(name: &str) -> Error {
    Error::says(&codes::INVALID_SYNTAX, format!("`{}` stands twice.", name.chars().take(64).collect::<String>()))
}

/// Whether a value says nothing: by RFC 7643 §2.5 null and the empty list; Okta and Entra clear by an empty text too.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A value in the form of its attribute; none where it is empty. Errors: `invalid_value`.
pub fn coerce(attribute: &Attribute, value: Value) -> Result<Option<Value>> {
    if is_empty(&value) {
        return Ok(None);
    }
    if !attribute.many {
        return one(attribute, value);
    }
    let sent = match value {
        Value::Array(items) => items,
        single => vec![single],
    };
    let mut items = Vec::with_capacity(sent.len());
    for item in sent {
        items.extend(one(attribute, item)?);
    }
    if items.iter().filter(|item| item.get("primary") == Some(&Value::Bool(true))).count() > 1 {
        return Err(Error::says(&codes::INVALID_VALUE, format!("`{}` has more than one primary.", attribute.name)));
    }
    Ok((!items.is_empty()).then_some(Value::Array(items)))
}

fn one(attribute: &Attribute, value: Value) -> Result<Option<Value>> {
    let wrong = |what: &str| Error::says(&codes::INVALID_VALUE, format!("`{}` is not {what}.", attribute.name));
    if is_empty(&value) {
        return Ok(None);
    }
    if attribute.kind == Kind::Complex {
        let fields = match value {
            Value::Object(fields) => fields,
            // Entra sends a list of one, and a manager as its bare id.
            Value::Array(mut items) if items.len() == 1 && !attribute.many => {
                return one(attribute, items.pop().unwrap_or_default());
            }
            text @ Value::String(_) if attribute.within("value").is_some() => Map::from_iter([("value".into(), text)]),
            _ => return Err(wrong("an object")),
        };
        return complex(attribute, fields);
    }
    let value = bare(value);
    let value = match (attribute.kind, value) {
        (_, value) if is_empty(&value) => return Ok(None),
        (Kind::Boolean, Value::Bool(is)) => Value::Bool(is),
        (Kind::Boolean, Value::String(text)) => Value::Bool(truth(&text).ok_or_else(|| wrong("true or false"))?),
        (Kind::Boolean, _) => return Err(wrong("true or false")),
        (Kind::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => Value::Number(number),
        (Kind::Integer, _) => return Err(wrong("a whole number")),
        (Kind::DateTime, Value::String(text)) => {
            text.parse::<jiff::Timestamp>().map_err(|_| wrong("a time"))?;
            Value::String(text)
        }
        (Kind::DateTime, _) => return Err(wrong("a time")),
        (_, Value::String(text)) => Value::String(text),
        _ => return Err(wrong("a text")),
    };
    Ok(Some(value))
}

/// Entra has sent plain values as `[{"value": …}]`.
fn bare(value: Value) -> Value {
    let value = match value {
        Value::Array(mut items) if items.len() == 1 => items.pop().unwrap_or_default(),
        value => value,
    };
    match value {
        Value::Object(mut fields) if fields.contains_key("value") => fields.remove("value").unwrap_or_default(),
        value => value,
    }
}

/// `True` and `False` as text are how Entra writes booleans.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn complex(attribute: &Attribute, sent: Map<String, Value>) -> Result<Option<Value>> {
    let mut kept = Map::new();
    for (name, value) in sent {
        let (name, value) = match attribute.within(&name) {
            Some(sub) if sub.mutability == Mutability::ReadOnly => continue,
            Some(sub) => (sub.name.to_owned(), coerce(sub, value)?),
            None => (name, Some(value).filter(|value| !is_empty(value))),
        };
        if let Some(value) = value
            && kept.insert(name.clone(), value).is_some()
        {
            return Err(twice(&name));
        }
    }
    Ok((!kept.is_empty()).then_some(Value::Object(kept)))
}
