//! What an operation does to the value of one attribute.

use serde_json::{Map, Value};

use super::Verb;
use crate::error::{Error, Result, codes};
use crate::scim::filter::{Filter, Literal, Operator, Target};
use crate::scim::place::key_of;
use crate::scim::schema::{Attribute, Kind, coerce, is_empty};

/// Does it to the attribute in its holder: the resource, or an extension of it.
pub fn change(target: &Target, verb: Verb, value: Option<Value>, holder: &mut Map<String, Value>) -> Result<()> {
    let place = &target.place;
    let name = place.attribute.as_deref().unwrap_or_default();
    let key = key_of(holder, name);
    let before = holder.remove(&key);
    // `null` and an empty text clear, whatever the verb; adding nothing to a list does nothing.
    let empty = value.as_ref().is_none_or(is_empty);
    let many = place.known.map_or(before.as_ref().is_some_and(Value::is_array), |known| known.many);
    let verb = match verb {
        Verb::Add if empty && many => {
            holder.extend(before.map(|before| (key, before)));
            return Ok(());
        }
        _ if empty => Verb::Remove,
        verb => verb,
    };
    let value = value.unwrap_or_default();
    let after = match (&target.select, &place.sub) {
        (Some(select), _) if many => some_of(target, select, verb, value, before)?,
        (Some(_), _) => {
            return Err(Error::says(&codes::INVALID_PATH, "Square brackets stand behind an attribute with one value."));
        }
        (None, Some(sub)) if many => each(target, sub, verb, value, before)?,
        (None, Some(sub)) => {
            let mut fields = fields_of(before);
            set(place.known_sub, sub, verb, value, &mut fields)?;
            Some(Value::Object(fields))
        }
        (None, None) => whole(place.known, many, verb, value, before)?,
    };
    if let Some(after) = after.filter(|after| !is_empty(after)) {
        holder.insert(key, after);
    }
    Ok(())
}

fn fields_of(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn items_of(value: Option<Value>) -> Vec<Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(single) => vec![single],
    }
}

/// In the form of its schema, where there is one.
fn formed(known: Option<&'static Attribute>, value: Value) -> Result<Option<Value>> {
    match known {
        Some(known) => coerce(known, value),
        None => Ok(Some(value).filter(|value| !is_empty(value))),
    }
}

/// To all of the attribute.
fn whole(
    known: Option<&'static Attribute>,
    many: bool,
    verb: Verb,
    value: Value,
    before: Option<Value>,
) -> Result<Option<Value>> {
    if !many {
        let complex = known.is_some_and(|known| known.kind == Kind::Complex);
        return match (verb, known, value) {
            (Verb::Remove, ..) => Ok(None),
            // RFC 7644 §3.5.2.3: attributes that are not named stay.
            (_, Some(known), Value::Object(sent)) if complex => {
                let mut fields = fields_of(before);
                merge(known, sent, &mut fields)?;
                Ok(Some(Value::Object(fields)))
            }
            (_, _, value) => formed(known, value),
        };
    }
    let mut items = items_of(before);
    let sent = match (verb, known) {
        (Verb::Remove, _) if is_empty(&value) => return Ok(None),
        (_, Some(known)) => items_of(coerce(known, value)?),
        (_, None) => items_of(Some(value)),
    };
    match verb {
        Verb::Replace => items = sent,
        Verb::Add => {
            for item in sent {
                if items.contains(&item) {
                    continue;
                }
                if is_primary(&item) {
                    items.iter_mut().for_each(demote);
                }
                items.push(item);
            }
        }
        // Entra names in the value which of them go.
        Verb::Remove => items.retain(|item| !sent.iter().any(|gone| is_meant(item, gone))),
    }
    Ok(Some(Value::Array(items)))
}

/// Whether a value that is to go means this one: everything it says is so.
fn is_meant(item: &Value, gone: &Value) -> bool {
    match (item, gone) {
        (Value::Object(item), Value::Object(gone)) => gone.iter().all(|(name, value)| item.get(name) == Some(value)),
        _ => item == gone,
    }
}

fn is_primary(item: &Value) -> bool {
    item.get("primary") == Some(&Value::Bool(true))
}

fn demote(item: &mut Value) {
    if let Some(primary) = item.get_mut("primary") {
        *primary = Value::Bool(false);
    }
}

/// Sets the attributes of a complex one; what is sent empty goes.
fn merge(known: &'static Attribute, sent: Map<String, Value>, fields: &mut Map<String, Value>) -> Result<()> {
    for (name, value) in sent {
        let sub = known.within(&name);
        if sub.is_some_and(|sub| sub.mutability == crate::scim::schema::Mutability::ReadOnly) {
            continue;
        }
        set(sub, sub.map_or(name.as_str(), |sub| sub.name), Verb::Replace, value, fields)?;
    }
    Ok(())
}

/// Sets or removes an attribute of a complex one.
fn set(
    known: Option<&'static Attribute>,
    name: &str,
    verb: Verb,
    value: Value,
    fields: &mut Map<String, Value>,
) -> Result<()> {
    let key = key_of(fields, name);
    match if verb == Verb::Remove { None } else { formed(known, value)? } {
        Some(value) => fields.insert(key, value),
        None => fields.remove(&key),
    };
    Ok(())
}

/// To an attribute of each value.
fn each(target: &Target, sub: &str, verb: Verb, value: Value, before: Option<Value>) -> Result<Option<Value>> {
    let mut items = items_of(before);
    if items.is_empty() && verb != Verb::Remove {
        items.push(Value::Object(Map::new()));
    }
    for item in &mut items {
        let mut fields = fields_of(Some(item.take()));
        set(target.place.known_sub, sub, verb, value.clone(), &mut fields)?;
        *item = Value::Object(fields);
    }
    items.retain(|item| !is_hollow(target.place.known, item));
    Ok(Some(Value::Array(items)))
}

/// To the values that a filter chooses. One that chooses none makes the value that it describes: Entra and Okta set
/// `emails[type eq "work"].value` of people who have no address yet.
fn some_of(target: &Target, select: &Filter, verb: Verb, value: Value, before: Option<Value>) -> Result<Option<Value>> {
    // A list of one in the place of the one: some clients write every value of a list so.
    let value = match value {
        Value::Array(mut sent) if target.place.sub.is_none() && sent.len() == 1 => sent.pop().unwrap_or_default(),
        value => value,
    };
    let mut items = items_of(before);
    let chosen = |item: &Value| item.as_object().is_some_and(|fields| select.matches(fields));
    if verb == Verb::Remove && target.place.sub.is_none() {
        items.retain(|item| !chosen(item));
        return Ok(Some(Value::Array(items)));
    }
    let mut places: Vec<usize> =
        items.iter().enumerate().filter(|(_, item)| chosen(item)).map(|(place, _)| place).collect();
    if places.is_empty() {
        if verb == Verb::Remove {
            return Ok(Some(Value::Array(items)));
        }
        let mut made = Map::new();
        describe(select, &mut made)?;
        places.push(items.len());
        items.push(Value::Object(made));
    }
    for place in places {
        let Some(item) = items.get_mut(place) else { continue };
        let mut fields = fields_of(Some(item.take()));
        match (&target.place.sub, target.place.known, value.clone()) {
            (Some(sub), _, value) => set(target.place.known_sub, sub, verb, value, &mut fields)?,
            (None, Some(known), Value::Object(sent)) => merge(known, sent, &mut fields)?,
            (None, Some(known), text @ Value::String(_)) if known.within("value").is_some() => {
                set(known.within("value"), "value", verb, text, &mut fields)?;
            }
            (None, None, Value::Object(sent)) => fields.extend(sent),
            _ => return Err(Error::says(&codes::INVALID_VALUE, "The value is not an object.")),
        }
        let primary = fields.get("primary") == Some(&Value::Bool(true));
        if let Some(item) = items.get_mut(place) {
            *item = Value::Object(fields);
        }
        if primary {
            items.iter_mut().enumerate().filter(|(other, _)| *other != place).for_each(|(_, item)| demote(item));
        }
    }
    items.retain(|item| !is_hollow(target.place.known, item));
    Ok(Some(Value::Array(items)))
}

/// A value without what makes it one: an address that has a type and nothing else.
fn is_hollow(known: Option<&'static Attribute>, item: &Value) -> bool {
    let Some(fields) = item.as_object() else { return false };
    match known {
        Some(known) if known.within("value").is_some() => !fields.contains_key("value") && !fields.contains_key("$ref"),
        _ => !fields.keys().any(|name| !matches!(name.as_str(), "type" | "primary")),
    }
}

/// The value that a filter describes by what it says is equal. Errors: `no_target` where it describes none.
fn describe(select: &Filter, made: &mut Map<String, Value>) -> Result<()> {
    match select {
        Filter::And(all) => all.iter().try_for_each(|one| describe(one, made)),
        Filter::Compare(at, Operator::Eq, literal) => {
            let name = at.place.attribute.clone().unwrap_or_default();
            let value = match literal {
                Literal::Text(text) => Value::String(text.clone()),
                Literal::Bool(is) => Value::Bool(*is),
                Literal::Number(number) => serde_json::json!(number),
                Literal::Time(_) | Literal::Null => return Err(Error::new(&codes::NO_TARGET)),
            };
            made.insert(name, value);
            Ok(())
        }
        _ => Err(Error::new(&codes::NO_TARGET)),
    }
}
