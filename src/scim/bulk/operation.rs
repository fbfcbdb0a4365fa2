//! One operation of a bulk request, and what it refers to that others of the same request make (RFC 7644 §3.7.2).

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::syntax;
use crate::error::Result;
use crate::scim::place::get;

/// Before the name of what another operation makes, where its id is to stand.
const MARK: &str = "bulkId:";

/// The ids of what was made, by the names that the request has for it.
pub type Known = BTreeMap<String, String>;

/// One operation, as it was sent.
#[derive(Clone)]
pub struct Operation {
    pub method: Method,
    /// The method, as it was written.
    pub shown: Value,
    pub path: String,
    pub bulk_id: Option<String>,
    pub version: Option<String>,
    pub data: Value,
    /// The names that it refers to.
    pub refers: BTreeSet<String>,
}

impl Operation {
    /// Errors: `invalid_syntax`.
    pub fn read(sent: &Value) -> Result<Self> {
        let sent = sent.as_object().ok_or_else(|| syntax("An operation is an object."))?;
        let text = |name: &str| get(sent, name).and_then(Value::as_str).map(str::to_owned);
        let shown = text("method").ok_or_else(|| syntax("An operation has a `method`."))?;
        let method = match shown.to_ascii_uppercase().as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => return Err(syntax("The `method` of an operation is POST, PUT, PATCH or DELETE.")),
        };
        let bulk_id = text("bulkId").filter(|id| !id.is_empty());
        if method == Method::POST && bulk_id.is_none() {
            return Err(syntax("A POST in bulk has a `bulkId`."));
        }
        let mut data = get(sent, "data").cloned().unwrap_or_default();
        if method == Method::PATCH && data.is_array() {
            // The bare list of operations, as the example of RFC 7644 §3.7.3 has it.
            data = json!({"Operations": data});
        }
        let path = text("path").ok_or_else(|| syntax("An operation has a `path`."))?;
        let mut operation = Self {
            method,
            shown: shown.into(),
            path,
            bulk_id,
            version: text("version"),
            data,
            refers: BTreeSet::new(),
        };
        let (_, refers) = operation.resolve(&Known::new());
        operation.refers = refers;
        Ok(operation)
    }

    /// Puts the ids that are known in their places. Tells which names were left.
    fn resolve(&mut self, known: &Known) -> (bool, BTreeSet<String>) {
        let mut left = BTreeSet::new();
        self.path = put(&self.path, true, known, &mut left);
        let path_is_whole = left.is_empty();
        walk(&mut self.data, false, known, &mut left);
        (path_is_whole, left)
    }

    /// Whether everything that it refers to is there.
    pub fn is_ready(&self, known: &Known) -> bool {
        self.refers.iter().all(|name| known.contains_key(name))
    }

    /// With ids in the place of the names that are known.
    pub fn resolved(mut self, known: &Known) -> Self {
        self.resolve(known);
        self
    }

    /// The name of what it makes.
    pub fn makes(&self) -> Option<&str> {
        self.bulk_id.as_deref().filter(|_| self.method == Method::POST)
    }

    /// Without what refers to something that is not there yet, and with that apart: what is to be added when it is. None,
    /// where it cannot be done without.
    pub fn parted(&self, known: &Known) -> Option<(Self, Map<String, Value>)> {
        let mut first = self.clone();
        let (path_is_whole, _) = first.resolve(known);
        let Value::Object(data) = &mut first.data else { return None };
        let rest = part(data, known);
        path_is_whole.then_some((first, rest))
    }
}

/// Takes out of an object what refers to something unknown: of a list of members the members, of an extension the
/// attributes, else the whole attribute.
fn part(fields: &mut Map<String, Value>, known: &Known) -> Map<String, Value> {
    let mut rest = Map::new();
    for (name, mut value) in std::mem::take(fields) {
        if !refers(&name, &value, known) {
            fields.insert(name, value);
            continue;
        }
        let late = match &mut value {
            Value::Array(items) if name.eq_ignore_ascii_case("members") => {
                let (late, now) = std::mem::take(items).into_iter().partition(|item| refers(&name, item, known));
                *items = now;
                Value::Array(late)
            }
            Value::Object(inner) if name.contains(':') => Value::Object(part(inner, known)),
            whole => std::mem::take(whole),
        };
        if !value.is_null() {
            fields.insert(name.clone(), value);
        }
        rest.insert(name, late);
    }
    rest
}

/// Whether it refers to something unknown.
fn refers(name: &str, value: &Value, known: &Known) -> bool {
    let mut left = BTreeSet::new();
    walk(&mut value.clone(), is_address(name), known, &mut left);
    !left.is_empty()
}

/// The values of addresses have the name in their last part, all others are nothing but the name.
fn is_address(name: &str) -> bool {
    name.eq_ignore_ascii_case("$ref")
}

fn walk(value: &mut Value, address: bool, known: &Known, left: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.contains(MARK) => *text = put(text, address, known, left),
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, address, known, left)),
        Value::Object(fields) => {
            for (name, item) in fields.iter_mut() {
                walk(item, is_address(name), known, left);
            }
        }
        _ => {}
    }
}

fn put(text: &str, address: bool, known: &Known, left: &mut BTreeSet<String>) -> String {
    let mut one = |part: &str| -> String {
        let Some(name) = part.strip_prefix(MARK) else { return part.to_owned() };
        match known.get(name) {
            Some(id) => id.clone(),
            None => {
                left.insert(name.to_owned());
                part.to_owned()
            }
        }
    };
    match address {
        true => text.split('/').map(one).collect::<Vec<_>>().join("/"),
        false => one(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(data: Value) -> Operation {
        Operation::read(&json!({"method": "POST", "path": "/Groups", "bulkId": "own", "data": data})).unwrap()
    }

    #[test]
    fn names_stand_wherever_an_id_may() {
        let sent = operation(json!({
            "displayName": "bulkIdea", "nickName": "a bulkId:none", "profileUrl": "https://a.example/bulkId:none",
            "members": [{"value": "bulkId:a", "$ref": "../Users/bulkId:b"}, "bulkId:c"],
            "urn:x": {"manager": {"value": "bulkId:d"}},
        }));
        assert_eq!(sent.refers, ["a", "b", "c", "d"].map(str::to_owned).into());
        let known = Known::from(["a", "b", "c", "d"].map(|name| (name.to_owned(), name.to_uppercase())));
        assert!(sent.is_ready(&known) && !sent.is_ready(&Known::new()));
        let data = sent.resolved(&known).data;
        assert_eq!(data["members"], json!([{"value": "A", "$ref": "../Users/B"}, "C"]));
        assert_eq!(data["urn:x"]["manager"]["value"], "D");
        let path = Operation::read(&json!({"method": "put", "path": "/Groups/bulkId:a", "data": {}})).unwrap();
        assert_eq!(path.makes(), None);
        assert_eq!(path.resolved(&known).path, "/Groups/A");
    }

    #[test]
    fn what_is_not_known_yet_is_put_aside_and_nothing_else() {
        let sent = operation(json!({
            "displayName": "G", "members": [{"value": "bulkId:a"}, {"value": "bulkId:b"}, {"value": "usr_1"}],
            "urn:x": {"manager": {"value": "bulkId:b"}, "department": "D"}, "owner": {"value": "bulkId:b"},
        }));
        let known = Known::from([("a".to_owned(), "A".to_owned())]);
        let (first, rest) = sent.parted(&known).unwrap();
        assert_eq!(
            first.data,
            json!({"displayName": "G", "members": [{"value": "A"}, {"value": "usr_1"}], "urn:x": {"department": "D"}})
        );
        assert_eq!(
            Value::Object(rest),
            json!({"members": [{"value": "bulkId:b"}], "urn:x": {"manager": {"value": "bulkId:b"}},
                "owner": {"value": "bulkId:b"}})
        );
        let nowhere = json!({"method": "POST", "path": "/Groups/bulkId:b", "bulkId": "x", "data": {}});
        assert!(Operation::read(&nowhere).unwrap().parted(&known).is_none());
    }
}
