//! Reading requests: parameters that stand once, JSON that is not nested without end.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;

use super::request::RequestInfo;
use super::{limits, reply};
use crate::crypto::json;
use crate::error::{Error, Result, codes};

/// JSON nested deeper is refused.
const DEPTH: usize = 32;

/// The parameters of a query or a form, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// From `a=1&b=2`, with or without percent signs and plus signs.
    pub fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// The one value of `name`; an empty one counts as absent (RFC 6749 §3.1). Errors: `invalid_request` when it stands twice.
    pub fn one(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Error::says(&codes::INVALID_REQUEST, format!("The parameter `{name}` stands twice.")));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// The one value of `name`. Errors: `invalid_request` when it is missing or stands twice.
    pub fn need(&self, name: &str) -> Result<&str> {
        self.one(name)?
            .ok_or_else(|| Error::says(&codes::INVALID_REQUEST, format!("The parameter `{name}` is missing.")))
    }

    /// Every value of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every pair, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Extractor: the parameters of the query.
pub struct Query(pub Params);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        Ok(Self(Params::parse(parts.uri.query().unwrap_or_default().as_bytes())))
    }
}

/// Extractor: a form in the body (`application/x-www-form-urlencoded`), within the limit of the route.
pub struct Form(pub Params);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let id = RequestInfo::id_of(request.extensions());
        read_form(request).await.map(Self).map_err(|error| reply::problem(&error, id))
    }
}

/// Reads a form, for doors whose refusals have another shape than a problem. Errors: `unsupported_media_type`, `too_large`,
/// `invalid_input`.
pub async fn read_form(request: Request) -> Result<Params> {
    if !is_media_type(&request, |kind| kind == "application/x-www-form-urlencoded") {
        return Err(Error::new(&codes::UNSUPPORTED_MEDIA_TYPE)
            .help("Send `application/x-www-form-urlencoded`, not compressed."));
    }
    Ok(Params::parse(&limits::read_request(request).await?))
}

/// Extractor: a JSON body, within the limit of the route. Only `application/json` (or `…+json`) is read, which no form of a
/// foreign page can send.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let id = RequestInfo::id_of(request.extensions());
        let read = async {
            if !is_media_type(&request, |kind| {
                kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
            }) {
                return Err(Error::new(&codes::UNSUPPORTED_MEDIA_TYPE));
            }
            parse_json(&limits::read_request(request).await?)
        };
        read.await.map(Self).map_err(|error| reply::problem(&error, id))
    }
}

/// Reads JSON nested at most 32 deep, with no member twice: of two values of one name a proxy may have judged the other.
/// Errors: `invalid_input`, `unknown_field`, saying where.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if too_deep(bytes) {
        return Err(Error::says(&codes::INVALID_INPUT, format!("The JSON is nested deeper than {DEPTH}.")));
    }
    json::value(bytes).and_then(serde_json::from_value).map_err(|error| {
        let text = error.to_string();
        let code = if text.starts_with("unknown field") { &codes::UNKNOWN_FIELD } else { &codes::INVALID_INPUT };
        Error::says(code, format!("The JSON cannot be read: {text}."))
    })
}

/// Whether JSON is nested deeper than any that is read.
pub fn too_deep(bytes: &[u8]) -> bool {
    depth(bytes) > DEPTH
}

/// How deep brackets nest outside strings. Of text that is no JSON the answer means nothing; the parser refuses it.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut most, mut string, mut escaped) = (0usize, 0, false, false);
    for byte in bytes {
        match (string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => string = false,
            (true, _) => {}
            (false, b'"') => string = true,
            (false, b'[' | b'{') => {
                now += 1;
                most = most.max(now);
            }
            (false, b']' | b'}') => now = now.saturating_sub(1),
            (false, _) => {}
        }
    }
    most
}

fn is_media_type(request: &Request, fits: impl Fn(&str) -> bool) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    fits(&kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_stands_once() {
        let params = Params::parse(b"a=1&b=%20x+y&c=&a=2&d=1");
        assert!(params.one("a").unwrap_err().is(&codes::INVALID_REQUEST));
        assert_eq!(params.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(params.one("b").unwrap(), Some(" x y"));
        assert_eq!(params.one("c").unwrap(), None);
        assert_eq!(params.need("d").unwrap(), "1");
        assert!(params.need("e").is_err());
    }

    #[test]
    fn json_is_bounded_in_depth() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse_json::<serde_json::Value>(nested(32).as_bytes()).is_ok());
        assert!(parse_json::<serde_json::Value>(nested(33).as_bytes()).is_err());
        assert!(parse_json::<serde_json::Value>(br#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"["}"#).is_ok());
    }

    #[test]
    fn a_member_stands_once_on_every_level() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":[{"c":1,"\u0063":2}]}}"#] {
            let refused = parse_json::<serde_json::Value>(text.as_bytes()).unwrap_err();
            assert!(refused.is(&codes::INVALID_INPUT) && refused.message().contains("stands twice"), "{text}");
        }
        assert!(parse_json::<serde_json::Value>(br#"[{"a":1},{"a":{"a":2}}]"#).is_ok());
    }

    #[test]
    fn an_unknown_field_is_named() {
        #[derive(serde::Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        struct One {
            #[expect(dead_code, reason = "only its name matters")]
            name: String,
        }
        let refused = parse_json::<One>(br#"{"nmae":"x"}"#).unwrap_err();
        assert!(refused.is(&codes::UNKNOWN_FIELD) && refused.message().contains("nmae"));
    }
}
