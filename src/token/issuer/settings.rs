//! What a trusted issuer may be set to. Nobody is asked.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use url::Url;

use super::record::{IssuerKind, TrustedIssuer};
use crate::config::PublicUrl;
use crate::connection::oidc::refuse_multi_tenant;
use crate::crypto::json;
use crate::crypto::jws::KeySet;
use crate::error::{Error, Result, codes};

/// A longer issuer or audience is refused.
const LONGEST: usize = 512;
/// Longer keys in a `data:` URI are refused.
const LONGEST_DATA: usize = 48 * 1024;
/// Members of a key that only its owner may know (RFC 7518 §6).
const PRIVATE: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// Base64 of either alphabet's usual form, with or without its padding.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

pub(super) fn wrong(field: &str, why: impl std::fmt::Display) -> Error {
    Error::says(&codes::INVALID_INPUT, format!("`{field}` cannot be used: {why}."))
}

/// A text without control characters and without spaces around it.
fn plain(field: &str, text: &str, longest: usize) -> Result<()> {
    if text.is_empty() || text.len() > longest || text.trim() != text || text.chars().any(char::is_control) {
        return Err(wrong(field, "it is empty, too long, or has spaces around it or control characters in it"));
    }
    Ok(())
}

/// An absolute http or https URL with nothing in it that an address does not need. Whether it may be called, and
/// whether by plain http, the outbound rules say.
fn address(field: &str, text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|_| wrong(field, "it is not a URL"))?;
    let sound = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    if sound { Ok(url) } else { Err(wrong(field, "it is not an https URL without user name and fragment")) }
}

/// A domain with its scheme: without one, https is meant.
pub(super) fn domain(text: &str) -> Result<String> {
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    plain("domain", &whole, LONGEST)?;
    let url = address("domain", &whole)?;
    // `|` stands between issuer and subject in the identifier of a person.
    if url.query().is_some() || whole.contains(['|', '\\']) {
        return Err(wrong("domain", "it has a query, or a character that no issuer has"));
    }
    refuse_multi_tenant(&whole)?;
    Ok(whole)
}

impl TrustedIssuer {
    /// Whether it can be kept as it is. `own` is where authd itself is reached.
    /// Errors: `invalid_input`, naming the field; `issuer_multi_tenant`.
    pub(super) fn sound(&self, own: &PublicUrl) -> Result<()> {
        plain("name", &self.name, 200)?;
        if let Some(audience) = &self.application_id {
            plain("applicationID", audience, LONGEST)?;
        }
        if self.says(own.issuer()) && (self.kind != IssuerKind::Oidc || self.application_id.is_none()) {
            return Err(wrong("issuer", "authd's own issuer is taken as `oidc`, and with an `applicationID`")
                .help("Name the client id of the app whose tokens are taken."));
        }
        match self.kind {
            IssuerKind::Oidc => {
                if self.jwks.is_some() || self.algorithm.is_some() {
                    return Err(wrong("jwks", "keys and algorithms of the kind `oidc` are those that it announces")
                        .help("The kind `customJwt` takes `issuer`, `jwks` and `algorithm`."));
                }
                domain(&self.issuer).map(drop)
            }
            IssuerKind::CustomJwt => {
                plain("issuer", &self.issuer, LONGEST)?;
                if self.issuer.contains(['|', '\\']) {
                    return Err(wrong("issuer", "it has a character that no issuer has"));
                }
                refuse_multi_tenant(&self.issuer)?;
                if self.algorithm.is_none() {
                    return Err(wrong("algorithm", "it is missing").help("It is `RS256` or `ES256`."));
                }
                let jwks = self.jwks.as_deref().ok_or_else(|| {
                    wrong("jwks", "it is missing").help("It is the address of the keys, or a `data:` URI with them.")
                })?;
                if jwks.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
                    data_keys(jwks).map(drop)
                } else {
                    plain("jwks", jwks, 2_048)?;
                    address("jwks", jwks).map(drop)
                }
            }
        }
    }
}

/// The keys in a `data:` URI (RFC 2397): a JWK set in JSON, percent-encoded or in base64.
/// Errors: `invalid_input` when there are none that can be used, or private ones.
pub(super) fn data_keys(uri: &str) -> Result<KeySet> {
    let wrong = |why: &str| wrong("jwks", why);
    if uri.len() > LONGEST_DATA {
        return Err(wrong("the keys are longer than 48 KiB"));
    }
    let (kind, data) = uri
        .get(5..)
        .and_then(|rest| rest.split_once(','))
        .ok_or_else(|| wrong("a `data:` URI has a comma before its data"))?;
    let mut bytes: Vec<u8> = percent(data);
    if kind.rsplit(';').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64")) {
        bytes.retain(|byte| !byte.is_ascii_whitespace());
        let url_safe = bytes.iter().any(|byte| matches!(byte, b'-' | b'_'));
        let alphabet = if url_safe { &base64::alphabet::URL_SAFE } else { &base64::alphabet::STANDARD };
        bytes = GeneralPurpose::new(alphabet, LENIENT).decode(&bytes).map_err(|_| wrong("its data is not base64"))?;
    }
    let members = json::object(&bytes).ok_or_else(|| wrong("its data is not a JSON object"))?;
    let keys = members.get("keys").and_then(serde_json::Value::as_array).into_iter().flatten();
    if keys.filter_map(serde_json::Value::as_object).any(|key| PRIVATE.iter().any(|name| key.contains_key(*name))) {
        return Err(wrong("it has a private key in it").help("Give the public keys alone, and make a new pair."));
    }
    let set = KeySet::parse(&bytes).map_err(|_| wrong("its data is not a JWK set"))?;
    if set.is_empty() {
        return Err(wrong("it has no key that can verify a signature"));
    }
    Ok(set)
}

/// Percent-decoding (RFC 3986 §2.1); what is no code stays as it is.
fn percent(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let value =
            code.and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| u8::from_str_radix(code, 16).ok());
        match value {
            Some(value) => {
                out.push(value);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::base64url;

    const KEY: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[test]
    fn a_domain_without_a_scheme_is_https() {
        assert_eq!(domain("id.example.com").unwrap(), "https://id.example.com");
        assert_eq!(domain("id.example.com/path/").unwrap(), "https://id.example.com/path/");
        assert_eq!(domain("http://localhost:3000").unwrap(), "http://localhost:3000");
        for bad in [
            "",
            " ",
            "ftp://a.example",
            "https://u:p@a.example",
            "https://a.example?q",
            "https://a.example#f",
            "https://a|b.example",
            "https://a.example/a|b",
            "a b.example",
            "https://login.microsoftonline.com/common/v2.0",
        ] {
            assert!(domain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_come_in_every_form_of_a_data_uri() {
        use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
        let encoded: String = KEY.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for uri in [
            format!("data:application/json,{KEY}"),
            format!("DATA:,{KEY}"),
            format!("data:application/json,{encoded}"),
            format!("data:text/plain;charset=utf-8;base64,{}", STANDARD.encode(KEY)),
            format!("data:application/jwk-set+json;base64,{}", STANDARD_NO_PAD.encode(KEY)),
            format!("data:;BASE64,{}", base64url(KEY.as_bytes())),
        ] {
            assert_eq!(data_keys(&uri).unwrap().len(), 1, "{uri}");
        }
        let private = KEY.replace("\"x\"", "\"d\":\"AA\",\"x\"");
        for uri in [
            "data:application/json",
            "data:,",
            "data:,[]",
            "data:,{}",
            "data:,{\"keys\":[]}",
            "data:;base64,!!",
            &format!("data:,{private}"),
            &format!("data:,{KEY}{}", " ".repeat(50_000)),
        ] {
            assert!(data_keys(uri).unwrap_err().is(&codes::INVALID_INPUT), "{uri}");
        }
    }
}
