//! Cookies: `__Host-` on https, plain names on a loopback address by http, and nothing between.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::error::{Error, Result};

/// Names and writes the cookies of one deployment. Every cookie is `HttpOnly`, `SameSite=Lax`, for the whole path; on an https
/// public URL it is `Secure` and named `__Host-authd_…`, so that no sibling domain and no plain page can plant it.
#[derive(Clone, Copy, Debug)]
pub struct Cookies {
    https: bool,
}

impl Cookies {
    /// `https`: how people reach the public URL.
    pub fn new(https: bool) -> Self {
        Self { https }
    }

    /// The full name of the cookie that code calls `name`.
    pub fn name(&self, name: &str) -> String {
        format!("{}authd_{name}", if self.https { "__Host-" } else { "" })
    }

    /// The value that came with a request; the first, if the name stands twice. Never empty.
    pub fn get<'a>(&self, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        let wanted = self.name(name);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| name.trim() == wanted)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// A `Set-Cookie` value. Without `max_age` the cookie ends with the browser. Errors: `internal_error` for a value that no
    /// cookie can carry (RFC 6265 §4.1.1).
    pub fn set(&self, name: &str, value: &str, max_age: Option<Duration>) -> Result<HeaderValue> {
        let fits = |b: u8| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
        if value.is_empty() || !value.bytes().all(fits) {
            return Err(Error::bug("a cookie value outside RFC 6265"));
        }
        self.write(name, value, max_age)
    }

    /// A `Set-Cookie` value that removes the cookie. Errors: none in practice.
    pub fn remove(&self, name: &str) -> Result<HeaderValue> {
        self.write(name, "", Some(Duration::ZERO))
    }

    fn write(&self, name: &str, value: &str, max_age: Option<Duration>) -> Result<HeaderValue> {
        let mut line = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax", self.name(name));
        if self.https {
            line.push_str("; Secure");
        }
        if let Some(age) = max_age {
            line.push_str(&format!("; Max-Age={}", age.as_secs()));
        }
        HeaderValue::try_from(line).map_err(Error::bug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_cookies_are_bound_to_the_host() {
        let line = Cookies::new(true).set("session", "abc.DEF-_~", Some(Duration::from_secs(60))).unwrap();
        assert_eq!(line, "__Host-authd_session=abc.DEF-_~; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60");
        let line = Cookies::new(true).remove("session").unwrap();
        assert_eq!(line, "__Host-authd_session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0");
    }

    #[test]
    fn loopback_cookies_are_plain() {
        let line = Cookies::new(false).set("session", "abc", None).unwrap();
        assert_eq!(line, "authd_session=abc; Path=/; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn a_value_cannot_bring_attributes() {
        for value in ["", "a;b", "a b", "a,b", "a\"b", "a\\b", "a\r\nb", "ä"] {
            assert!(Cookies::new(true).set("x", value, None).is_err(), "{value}");
        }
    }

    #[test]
    fn only_the_exact_name_is_read() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("authd_session=plain; x=1;__Host-authd_session=good"));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-authd_session=second; __Host-authd_empty="));
        let cookies = Cookies::new(true);
        assert_eq!(cookies.get(&headers, "session"), Some("good"));
        assert_eq!(cookies.get(&headers, "empty"), None);
        assert_eq!(cookies.get(&headers, "other"), None);
        assert_eq!(Cookies::new(false).get(&headers, "session"), Some("plain"));
    }
}
