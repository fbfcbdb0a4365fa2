//! The arguments of a call, taken one by one. Whatever does not fit is refused by the name of its field.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result, codes};

/// What has not been taken yet.
#[derive(Debug)]
pub(super) struct Arguments(Map<String, Value>);

/// An argument that is missing or is of another type.
pub(super) fn wrong(name: &str, should: &str) -> Error {
    Error::says(&codes::INVALID_INPUT, format!("`{name}` {should}."))
}

impl Arguments {
    pub fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// Whatever it is; what is `null` is not given.
    pub fn any(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// What stands under the first of these names. Two of them at once are one too many.
    pub fn under(&mut self, names: &[&'static str]) -> Result<Option<(&'static str, Value)>> {
        let mut found = names.iter().filter_map(|name| Some((*name, self.any(name)?))).collect::<Vec<_>>();
        match (found.pop(), found.pop()) {
            (Some((second, _)), Some((first, _))) => {
                Err(wrong(second, &format!("says the same as `{first}`: give one")))
            }
            (found, _) => Ok(found),
        }
    }

    pub fn maybe_text(&mut self, name: &str) -> Result<Option<String>> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "is a text")),
        }
    }

    pub fn text(&mut self, name: &str) -> Result<String> {
        self.maybe_text(name)?.ok_or_else(|| wrong(name, "is missing"))
    }

    /// A text that is not empty.
    pub fn filled(&mut self, name: &str) -> Result<String> {
        let text = self.text(name)?;
        if text.trim().is_empty() { Err(wrong(name, "is empty")) } else { Ok(text) }
    }

    /// One word of a closed list.
    pub fn maybe_choice(&mut self, name: &str, of: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(value) = self.any(name) else { return Ok(None) };
        let found = value.as_str().and_then(|text| of.iter().find(|word| **word == text));
        found.copied().map(Some).ok_or_else(|| wrong(name, &format!("is one of: {}", of.join(", "))))
    }

    pub fn choice(&mut self, name: &str, of: &[&'static str]) -> Result<&'static str> {
        self.maybe_choice(name, of)?.ok_or_else(|| wrong(name, &format!("is missing; it is one of: {}", of.join(", "))))
    }

    /// An id of that kind.
    pub fn maybe_id<T: FromStr>(&mut self, names: &[&'static str]) -> Result<Option<T>> {
        match self.under(names)? {
            None => Ok(None),
            Some((name, Value::String(text))) => {
                text.parse().map(Some).map_err(|_| wrong(name, "is not an id of that kind"))
            }
            Some((name, _)) => Err(wrong(name, "is a text")),
        }
    }

    /// An id of that kind, under the first of the names or another.
    pub fn id<T: FromStr>(&mut self, names: &[&'static str]) -> Result<T> {
        let first = names.first().copied().unwrap_or_default();
        self.maybe_id(names)?.ok_or_else(|| wrong(first, "is missing"))
    }

    pub fn maybe_object(&mut self, names: &[&'static str]) -> Result<Option<Arguments>> {
        match self.under(names)? {
            None => Ok(None),
            Some((_, Value::Object(fields))) => Ok(Some(Self(fields))),
            Some((name, _)) => Err(wrong(name, "is an object")),
        }
    }

    pub fn object(&mut self, names: &[&'static str]) -> Result<Arguments> {
        let first = names.first().copied().unwrap_or_default();
        self.maybe_object(names)?.ok_or_else(|| wrong(first, "is missing"))
    }

    pub fn list(&mut self, name: &str) -> Result<Vec<Value>> {
        match self.any(name) {
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(wrong(name, "is a list")),
            None => Err(wrong(name, "is missing")),
        }
    }

    /// All that is left.
    pub fn rest(self) -> Map<String, Value> {
        self.0
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(unknown(name)),
        }
    }
}

pub(super) fn unknown(name: &str) -> Error {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    Error::says(&codes::UNKNOWN_FIELD, format!("There is no argument `{shown}`."))
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
        let number = options.any("numItems").ok_or_else(|| wrong("paginationOpts.numItems", "is missing"))?;
        let items = number
            .as_u64()
            .filter(|number| (1..=MOST).contains(number))
            .ok_or_else(|| wrong("paginationOpts.numItems", &format!("is a whole number from 1 to {MOST}")))?;
        let cursor = match options.any("cursor") {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(_) => return Err(wrong("paginationOpts.cursor", "is a text or null")),
        };
        // What Convex itself adds for its own page keeping means nothing here.
        for ignored in ["id", "endCursor", "maximumRowsRead", "maximumBytesRead"] {
            options.any(ignored);
        }
        options.end().map_err(|error| error.saying("There is an unknown field in `paginationOpts`."))?;
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
        assert_eq!(says(given(json!({})).text("groupId").unwrap_err()), "`groupId` is missing.");
        assert_eq!(says(given(json!({"name": 5})).text("name").unwrap_err()), "`name` is a text.");
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
