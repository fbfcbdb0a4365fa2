//! What the SDK sends: one JSON object, read field by field.

use axum::extract::Request;
use axum::http::header;
use serde_json::{Map, Value};

use crate::error::{Error, Result, codes};
use crate::http::extract::parse_json;
use crate::http::limits;

/// The fields that have not been read yet.
pub(super) struct Body(pub Map<String, Value>);

fn wrong(name: &str, should: &str) -> Error {
    Error::says(&codes::INVALID_INPUT, format!("`{name}` {should}."))
}

impl Body {
    /// Errors: `unsupported_media_type`, `too_large`, `invalid_input`.
    pub async fn read(request: Request) -> Result<Self> {
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // A form on a foreign page cannot send this media type.
        let json = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
        let bytes = limits::read_request(request).await?;
        if !json {
            return Err(Error::new(&codes::UNSUPPORTED_MEDIA_TYPE));
        }
        match parse_json::<Value>(&bytes)? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(Error::says(&codes::INVALID_INPUT, "The body is not a JSON object.")),
        }
    }

    /// A field; `null` is not given.
    pub fn any(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    pub fn maybe_text(&mut self, name: &str) -> Result<Option<String>> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "is a text")),
        }
    }

    /// A text that is there and not empty.
    pub fn text(&mut self, name: &str) -> Result<String> {
        let text = self.maybe_text(name)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| wrong(name, "is missing"))
    }

    pub fn maybe_flag(&mut self, name: &str) -> Result<Option<bool>> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(wrong(name, "is true or false")),
        }
    }

    pub fn maybe_texts(&mut self, name: &str) -> Result<Option<Vec<String>>> {
        let texts = |items: Vec<Value>| {
            let each = items.into_iter().enumerate().map(|(at, item)| match item {
                Value::String(text) => Ok(text),
                _ => Err(wrong(&format!("{name}[{at}]"), "is a text")),
            });
            each.collect::<Result<Vec<_>>>()
        };
        match self.any(name) {
            None => Ok(None),
            Some(Value::Array(items)) => texts(items).map(Some),
            Some(_) => Err(wrong(name, "is a list of texts")),
        }
    }

    pub fn maybe_object(&mut self, name: &str) -> Result<Option<Map<String, Value>>> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(fields)),
            Some(_) => Err(wrong(name, "is an object")),
        }
    }

    /// One word of a closed list.
    pub fn maybe_choice(&mut self, name: &str, of: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(text) = self.maybe_text(name)? else { return Ok(None) };
        let found = of.iter().find(|word| **word == text).copied();
        found.map(Some).ok_or_else(|| wrong(name, &format!("is one of: {}", of.join(", "))))
    }

    /// Names all of these that are missing at once. Errors: `invalid_input`.
    pub fn need(&self, names: &[&str]) -> Result<()> {
        let empty = |name: &&&str| match self.0.get(**name) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.trim().is_empty(),
            Some(_) => false,
        };
        let missing: Vec<String> = names.iter().filter(empty).map(|name| format!("`{name}`")).collect();
        match missing.as_slice() {
            [] => Ok(()),
            [one] => Err(Error::says(&codes::INVALID_INPUT, format!("{one} is missing."))),
            many => Err(Error::says(&codes::INVALID_INPUT, format!("{} are missing.", many.join(", ")))),
        }
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                Err(Error::says(&codes::UNKNOWN_FIELD, format!("There is no field `{shown}` here.")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_that_is_missing_is_named() {
        let Value::Object(fields) = json!({"name": "x", "issuerUrl": " ", "clientId": null}) else { unreachable!() };
        let body = Body(fields);
        assert!(body.need(&["name"]).is_ok());
        let error = body.need(&["name", "issuerUrl", "clientId", "clientSecret"]).unwrap_err();
        assert_eq!(error.message(), "`issuerUrl`, `clientId`, `clientSecret` are missing.");
    }
}
