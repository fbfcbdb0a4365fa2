//! The arguments of a call, taken one by one. Whatever does not fit is refused by the name of its field.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result, codes};
use crate::provider::About;

/// What has not been taken yet, of an object that stands there.
#[derive(Debug)]
pub(super) struct Arguments {
    fields: Map<String, Value>,
    /// Before the names of its fields: `where.`
    place: String,
}

/// An argument that is missing or is of another type.
pub(super) fn wrong(name: &str, should: &str) -> Error {
    Error::says(&codes::INVALID_INPUT, format!("`{name}` {should}."))
}

impl Arguments {
    pub fn new(fields: Map<String, Value>) -> Self {
        Self { fields, place: String::new() }
    }

    /// Of the object that stands under that name.
    pub fn within(name: &str, fields: Map<String, Value>) -> Self {
        Self { fields, place: format!("{name}.") }
    }

    fn wrong(&self, name: &str, should: &str) -> Error {
        wrong(&format!("{}{name}", self.place), should)
    }

    /// The object that they name, by the names that functions have for it. What does not fit is refused when it is taken.
    pub fn about(&self) -> About {
        let id = |fields: &Map<String, Value>, name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let within = self.fields.get("where").and_then(Value::as_object);
        let group = id(&self.fields, "groupId").or_else(|| within.and_then(|fields| id(fields, "groupId")));
        if let Some(id) = group.and_then(|text| text.parse().ok()) {
            return About::Organization(id);
        }
        let texts: Vec<String> =
            ["connectionId", "endpointId", "id"].iter().filter_map(|name| id(&self.fields, name)).collect();
        let connection = texts.iter().find_map(|text| text.parse().ok()).map(About::Connection);
        let endpoint = || texts.iter().find_map(|text| text.parse().ok()).map(About::Endpoint);
        connection.or_else(endpoint).unwrap_or(About::Nothing)
    }

    /// Whatever it is; what is `null` is not given.
    pub fn any(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// What stands under the first of these names. Two of them at once are one too many.
    pub fn under(&mut self, names: &[&'static str]) -> Result<Option<(&'static str, Value)>> {
        let mut found = names.iter().filter_map(|name| Some((*name, self.any(name)?))).collect::<Vec<_>>();
        match (found.pop(), found.pop()) {
            (Some((second, _)), Some((first, _))) => {
                Err(self.wrong(second, &format!("says the same as `{first}`: give one")))
            }
            (found, _) => Ok(found),
        }
    }

    pub fn maybe_text(&mut self, name: &str) -> Result<Option<String>> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "is a text")),
        }
    }

    /// A text that is not empty, if it is there.
    pub fn maybe_filled(&mut self, name: &str) -> Result<Option<String>> {
        match self.maybe_text(name)? {
            Some(text) if text.trim().is_empty() => Err(self.wrong(name, "is empty")),
            text => Ok(text),
        }
    }

    /// A text that is not empty.
    pub fn filled(&mut self, name: &str) -> Result<String> {
        self.maybe_filled(name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// One word of a closed list.
    pub fn maybe_choice(&mut self, name: &str, of: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(value) = self.any(name) else { return Ok(None) };
        let found = value.as_str().and_then(|text| of.iter().find(|word| **word == text));
        found.copied().map(Some).ok_or_else(|| self.wrong(name, &format!("is one of: {}", of.join(", "))))
    }

    pub fn choice(&mut self, name: &str, of: &[&'static str]) -> Result<&'static str> {
        let found = self.maybe_choice(name, of)?;
        found.ok_or_else(|| self.wrong(name, &format!("is missing; it is one of: {}", of.join(", "))))
    }

    /// An id of that kind.
    pub fn maybe_id<T: FromStr>(&mut self, names: &[&'static str]) -> Result<Option<T>> {
        match self.under(names)? {
            None => Ok(None),
            Some((name, Value::String(text))) => {
                text.parse().map(Some).map_err(|_| self.wrong(name, "is not an id of that kind"))
            }
            Some((name, _)) => Err(self.wrong(name, "is a text")),
        }
    }

    /// An id of that kind, under the first of the names or another.
    pub fn id<T: FromStr>(&mut self, names: &[&'static str]) -> Result<T> {
        self.maybe_id(names)?.ok_or_else(|| self.missing(names))
    }

    /// An id of that kind, where the answer for what is not there is `null`: a text that is no id is the id of nothing.
    pub fn id_or_none<T: FromStr>(&mut self, names: &[&'static str]) -> Result<Option<T>> {
        match self.under(names)? {
            None => Err(self.missing(names)),
            Some((_, Value::String(text))) => Ok(text.parse().ok()),
            Some((name, _)) => Err(self.wrong(name, "is a text")),
        }
    }

    pub fn maybe_object(&mut self, names: &[&'static str]) -> Result<Option<Arguments>> {
        match self.under(names)? {
            None => Ok(None),
            Some((name, Value::Object(fields))) => Ok(Some(Self::within(&format!("{}{name}", self.place), fields))),
            Some((name, _)) => Err(self.wrong(name, "is an object")),
        }
    }

    pub fn object(&mut self, names: &[&'static str]) -> Result<Arguments> {
        self.maybe_object(names)?.ok_or_else(|| self.missing(names))
    }

    pub fn list(&mut self, name: &str) -> Result<Vec<Value>> {
        match self.any(name) {
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.wrong(name, "is a list")),
            None => Err(self.wrong(name, "is missing")),
        }
    }

    fn missing(&self, names: &[&'static str]) -> Error {
        self.wrong(names.first().copied().unwrap_or_default(), "is missing")
    }

    /// All that is left.
    pub fn rest(self) -> Map<String, Value> {
        self.fields
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<()> {
        self.only(&[])
    }

    /// Nothing else may be left.
    pub fn only(&self, names: &[&str]) -> Result<()> {
        let Some(name) = self.fields.keys().find(|name| !names.contains(&name.as_str())) else { return Ok(()) };
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        Err(Error::says(&codes::UNKNOWN_FIELD, format!("There is no argument `{}{shown}`.", self.place)))
    }
}

/// Which page is meant.
#[derive(Clone, Debug)]
pub(super) struct PageWish {
    /// At most so many.
    pub items: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// The page before was the last.
    pub over: bool,
}

/// What a cursor is after the last page.
const OVER: &str = "_end_cursor";
/// A page has at most so many items.
const MOST: u64 = 1_000;

impl PageWish {
    /// Of `paginationOpts`.
    pub fn maybe(arguments: &mut Arguments) -> Result<Option<Self>> {
        let Some(mut options) = arguments.maybe_object(&["paginationOpts"])? else { return Ok(None) };
        let number = options.any("numItems").ok_or_else(|| options.wrong("numItems", "is missing"))?;
        let items = number
            .as_u64()
            .filter(|number| (1..=MOST).contains(number))
            .ok_or_else(|| options.wrong("numItems", &format!("is a whole number from 1 to {MOST}")))?;
        let cursor = match options.any("cursor") {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(_) => return Err(options.wrong("cursor", "is a text or null")),
        };
        // What Convex itself adds for its own page keeping means nothing here.
        for ignored in ["id", "endCursor", "maximumRowsRead", "maximumBytesRead"] {
            options.any(ignored);
        }
        options.end()?;
        let over = cursor.as_deref() == Some(OVER);
        Ok(Some(Self { items: usize::try_from(items).unwrap_or(1), cursor, over }))
    }

    /// Of `paginationOpts`, which must be there.
    pub fn of(arguments: &mut Arguments) -> Result<Self> {
        Self::maybe(arguments)?.ok_or_else(|| wrong("paginationOpts", "is missing"))
    }

    /// The page in Convex's words.
    pub fn page(items: Vec<Value>, next: Option<String>) -> Value {
        json!({
            "page": items,
            "isDone": next.is_none(),
            "continueCursor": next.unwrap_or_else(|| OVER.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConnectionId;

    fn given(value: Value) -> Arguments {
        match value {
            Value::Object(fields) => Arguments::new(fields),
            _ => panic!("an object"),
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        let says = |error: Error| error.message().to_owned();
        assert_eq!(says(given(json!({})).filled("groupId").unwrap_err()), "`groupId` is missing.");
        assert_eq!(says(given(json!({"name": 5})).filled("name").unwrap_err()), "`name` is a text.");
        assert!(says(given(json!({"p": "ftp"})).choice("p", &["oidc", "saml"]).unwrap_err()).contains("oidc, saml"));
        assert!(says(given(json!({"id": "org_x"})).id::<ConnectionId>(&["id"]).unwrap_err()).starts_with("`id`"));
        assert!(
            says(given(json!({"patch": {}, "data": {}})).object(&["patch", "data"]).unwrap_err()).contains("`patch`")
        );
        assert!(says(given(json!({"extra": 1})).end().unwrap_err()).contains("`extra`"));
        for (options, field) in [
            (json!({}), "numItems"),
            (json!({"numItems": 0}), "numItems"),
            (json!({"numItems": "5"}), "numItems"),
            (json!({"numItems": 5, "cursor": 1}), "cursor"),
        ] {
            let error = PageWish::of(&mut given(json!({"paginationOpts": options}))).unwrap_err();
            assert!(says(error).contains(field));
        }
    }

    #[test]
    fn null_is_not_given() {
        let mut arguments = given(json!({"slug": null, "paginationOpts": {"numItems": 3, "cursor": null}}));
        assert_eq!(arguments.maybe_text("slug").unwrap(), None);
        let wish = PageWish::of(&mut arguments).unwrap();
        assert!(wish.items == 3 && wish.cursor.is_none() && !wish.over);
        arguments.end().unwrap();
    }
}
