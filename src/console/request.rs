//! An operation as a request to `/v1`.

use serde_json::{Map, Value};

use crate::access::{Method, Route};
use crate::error::{Error, Result, codes};

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its method.
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// What it carries.
    pub body: Option<Value>,
}

impl Request {
    /// By the operation's route: path, then query or body. Errors: `invalid_input` when a field of the path is missing.
    pub fn of(route: Route, input: Value) -> Result<Self> {
        let Value::Object(mut fields) = input else {
            return Err(Error::bug("an operation's input is an object"));
        };
        let mut path = String::new();
        let mut rest = route.path;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| Error::bug("a route with an open brace"))?;
            let value = fields
                .remove(name)
                .as_ref()
                .and_then(plain)
                .ok_or_else(|| Error::says(&codes::INVALID_INPUT, format!("`{name}` is missing.")))?;
            path.push_str(before);
            path.extend(percent(&value));
            rest = after;
        }
        path.push_str(rest);
        Ok(match route.method {
            Method::Get | Method::Delete => {
                let query = query(&fields)?;
                let target = if query.is_empty() { path } else { format!("{path}?{query}") };
                Self { method: if route.method == Method::Get { "GET" } else { "DELETE" }, target, body: None }
            }
            Method::Post => Self { method: "POST", target: path, body: Some(Value::Object(fields)) },
            Method::Patch => Self { method: "PATCH", target: path, body: Some(Value::Object(fields)) },
        })
    }

    /// A look at an address.
    pub fn get(target: impl Into<String>) -> Self {
        Self { method: "GET", target: target.into(), body: None }
    }
}

fn query(fields: &Map<String, Value>) -> Result<String> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        let values = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Null => continue,
            one => vec![one],
        };
        for value in values {
            query.append_pair(name, &plain(value).ok_or_else(|| Error::bug("a nested field in a query"))?);
        }
    }
    Ok(query.finish())
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// One segment of a path (RFC 3986 §3.3): what is not unreserved is percent-encoded.
fn percent(text: &str) -> impl Iterator<Item = char> {
    text.bytes().flat_map(|byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let text = if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        text.chars().collect::<Vec<_>>()
    })
}
