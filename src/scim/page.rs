//! What a list is asked for (RFC 7644 §3.4.2, §3.4.3; RFC 9865).

use serde_json::{Map, Value};

use super::place::{Place, get};
use super::projection::Projection;
use super::schema::{Kind, ResourceKind};
use crate::crypto::{base64url, from_base64url, sha256};
use crate::error::{Error, Result, codes};
use crate::http::extract::Params;
use crate::id::ConnectionId;

/// On one page, where nothing was said.
pub const USUAL: usize = 100;
/// On one page, whatever was said.
pub const MOST: usize = 200;

/// A list as it is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Which resources.
    pub filter: Option<String>,
    /// Which of their attributes.
    pub projection: Projection,
    /// From which number on.
    pub start: u64,
    /// How many.
    pub count: usize,
    /// From which place on; empty for the first page.
    pub cursor: Option<String>,
    /// In which order.
    pub sort: Option<String>,
    /// The other way round.
    pub descending: bool,
}

impl Wish {
    /// From the query of a GET. Errors: `invalid_value`.
    pub fn of_query(params: &Params) -> Result<Self> {
        let one = |name: &str| {
            let mut values = params.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(wrong(format!("`{name}` stands twice."))),
                (value, None) => Ok(value),
            }
        };
        let number = |name: &str| one(name)?.map(|text| whole(name, text)).transpose();
        let names = |name: &str| Ok::<_, Error>(one(name)?.map(Projection::names).unwrap_or_default());
        Ok(Self {
            filter: one("filter")?.map(str::to_owned),
            projection: Projection::of(names("attributes")?, names("excludedAttributes")?)?,
            start: start(number("startIndex")?),
            count: count(number("count")?),
            cursor: one("cursor")?.map(str::to_owned),
            sort: one("sortBy")?.filter(|name| !name.is_empty()).map(str::to_owned),
            descending: descending(one("sortOrder")?)?,
        })
    }

    /// From the body of a POST to `.search`. Errors: `invalid_value`.
    pub fn of_body(body: &Map<String, Value>) -> Result<Self> {
        let text = |name: &str| match get(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(wrong(format!("`{name}` is not a text."))),
        };
        let number = |name: &str| match get(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                number.as_i64().map(Some).ok_or_else(|| wrong(format!("`{name}` is too large.")))
            }
            Some(Value::String(text)) => whole(name, text).map(Some),
            Some(_) => Err(wrong(format!("`{name}` is not a whole number."))),
        };
        let names = |name: &str| match get(body, name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(Projection::names(text)),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| {
                    item.as_str().map(str::to_owned).ok_or_else(|| wrong(format!("`{name}` is a list of names.")))
                })
                .collect(),
            Some(_) => Err(wrong(format!("`{name}` is a list of names."))),
        };
        Ok(Self {
            filter: text("filter")?.map(str::to_owned),
            projection: Projection::of(names("attributes")?, names("excludedAttributes")?)?,
            start: start(number("startIndex")?),
            count: count(number("count")?),
            cursor: text("cursor")?.map(str::to_owned),
            sort: text("sortBy")?.filter(|name| !name.is_empty()).map(str::to_owned),
            descending: descending(text("sortOrder")?)?,
        })
    }

    /// The attribute that the list is sorted by. Errors: `invalid_path`.
    pub fn order(&self, kind: ResourceKind) -> Result<Option<Place>> {
        let Some(name) = &self.sort else { return Ok(None) };
        let none = |_| {
            let name: String = name.chars().take(100).collect();
            Error::says(&codes::INVALID_PATH, format!("There is no attribute `{name}` to sort by."))
        };
        let mut place = Place::read(kind, name).map_err(none)?;
        if place.attribute.is_none() {
            return Err(Error::says(&codes::INVALID_PATH, "A schema is nothing to sort by."));
        }
        if place.innermost().is_some_and(|known| known.kind == Kind::Complex) {
            place = place.and("value").map_err(none)?;
        }
        Ok(Some(place))
    }

    /// What a cursor of this list, and of no other, says.
    pub fn digest(&self, directory: ConnectionId, kind: ResourceKind) -> [u8; 8] {
        let text =
            |text: &Option<String>| text.as_ref().map_or_else(String::new, |text| format!("{}:{text}", text.len()));
        let parts = [kind.name().to_owned(), text(&self.filter), text(&self.sort), self.descending.to_string()];
        let digest = sha256(&[b"scim list 1", &directory.bytes(), parts.join("\n").as_bytes()]);
        digest.first_chunk().copied().unwrap_or_default()
    }
}

fn wrong(why: String) -> Error {
    Error::says(&codes::INVALID_VALUE, why)
}

fn whole(name: &str, text: &str) -> Result<i64> {
    match text.parse() {
        Ok(number) => Ok(number),
        // More than fits is more than there is.
        Err(_) if text.len() > 10 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(i64::MAX),
        Err(_) => Err(wrong(format!("`{name}` is not a whole number."))),
    }
}

/// RFC 7644 §3.4.2.4: less than 1 is 1.
fn start(asked: Option<i64>) -> u64 {
    asked.map_or(1, |start| u64::try_from(start).unwrap_or(1).max(1))
}

/// Negative is 0; more than we give is what we give.
fn count(asked: Option<i64>) -> usize {
    asked.map_or(USUAL, |count| usize::try_from(count).unwrap_or(if count < 0 { 0 } else { MOST }).min(MOST))
}

fn descending(asked: Option<&str>) -> Result<bool> {
    match asked {
        None => Ok(false),
        Some(order) if order.is_empty() || order.eq_ignore_ascii_case("ascending") => Ok(false),
        Some(order) if order.eq_ignore_ascii_case("descending") => Ok(true),
        Some(_) => Err(wrong("`sortOrder` is `ascending` or `descending`.".to_owned())),
    }
}

/// A place in a list. It says nothing that its holder may not know, and leads nowhere else than into its own list.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Cursor {
    /// Of which list it is.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub digest: [u8; 8],
    /// The last one that was given: its place in the order of the keys, or its id. Whatever comes or goes before it, the
    /// next page begins behind it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub after: Option<Vec<u8>>,
    /// What the last one was sorted by, in JSON, where the list is sorted.
    #[n(2)]
    pub value: Option<String>,
}

impl Cursor {
    /// For the client.
    pub fn text(&self) -> Result<String> {
        Ok(base64url(&minicbor::to_vec(self).map_err(|_| Error::bug("a cursor without a form"))?))
    }

    /// As the client gives it back. Errors: `invalid_cursor`.
    pub fn read(text: &str, digest: [u8; 8]) -> Result<Self> {
        let wrong = || Error::new(&codes::INVALID_CURSOR);
        if text.len() > 2_048 {
            return Err(wrong());
        }
        let bytes = from_base64url(text).ok_or_else(wrong)?;
        let cursor: Self = minicbor::decode(&bytes).map_err(|_| wrong())?;
        // Written in one way only: what was changed is none, even where the change says nothing.
        if cursor.digest == digest && cursor.text()? == text { Ok(cursor) } else { Err(wrong()) }
    }
}
