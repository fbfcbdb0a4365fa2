//! What looks like a secret does not get into the log, whoever was careless.
//!
//! No event is made with a secret in it. But some carry text from outside (the name of a thing, an upstream's words), and
//! people paste secrets into anything; every reader of the log, and every webhook, would have it then.

use serde_json::{Map, Value};

/// What stands in its place.
const GONE: &str = "[redacted]";
/// How every secret begins that authd makes, and the letters that follow at least.
const OURS: &[&str] = &["ak_", "rt_", "cs_", "ac_", "dc_", "bg_", "scim_", "scat_", "sim_", "whsec_"];
const LETTERS: usize = 32;
/// No JWT is shorter.
const JWT: usize = 24;
/// Names whose values are secrets, whatever they look like; compared without case, `-` and `_`.
const NAMES: &[&str] = &[
    "password",
    "passphrase",
    "secret",
    "clientsecret",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "logouttoken",
    "assertion",
    "samlresponse",
    "authorization",
    "cookie",
    "privatekey",
    "apikey",
    "bindpassword",
    "codeverifier",
];

/// Takes out of the data of an event what looks like a secret.
pub fn redact(data: &mut Map<String, Value>) {
    for (name, value) in data.iter_mut() {
        let folded: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        if NAMES.contains(&&*folded) && (value.is_string() || value.is_array() || value.is_object()) {
            *value = GONE.into();
        } else {
            within(value);
        }
    }
}

fn within(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(tame) = cleaned(text) {
                *text = tame;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(within),
        Value::Object(map) => redact(map),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text without its secrets; none where it has none. A secret ends where its letters end.
fn cleaned(text: &str) -> Option<String> {
    // Short texts cannot hold one, and are what most events have.
    if text.len() < JWT {
        return None;
    }
    if text.contains("PRIVATE KEY-----") || text.contains(":Assertion") || text.contains("<Assertion") {
        return Some(GONE.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut any) = (text, false);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_letter(c)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if is_secret(word) {
            out.push_str(GONE);
            any = true;
        } else {
            out.push_str(word);
        }
        let gap = behind.find(is_letter).unwrap_or(behind.len());
        let (between, next) = behind.split_at(gap);
        out.push_str(between);
        rest = next;
    }
    any.then_some(out)
}

/// Letters of base64, of base64url, and the dot between the parts of a token.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '/' | '=')
}

fn is_secret(word: &str) -> bool {
    // An own one stands at the beginning of a word or behind `=` or `/`, as in a URL.
    let begins = word.match_indices(['=', '/']).map(|(at, _)| at + 1).chain([0]);
    let ours = begins.filter_map(|at| word.get(at..)).any(|rest| {
        OURS.iter().any(|prefix| rest.strip_prefix(prefix).is_some_and(|letters| letters.len() >= LETTERS))
    });
    let token = |part: &str| part.starts_with("eyJ") && part.split('.').count() >= 3 && part.len() >= JWT;
    // The base64 of XML that begins as a SAML response does.
    ours || word.split(['=', '/']).any(token) || word.starts_with("PHNhbWw") || word.starts_with("PD94bWw")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn redacted(value: Value) -> Value {
        let mut data = Map::from_iter([("note".to_owned(), value)]);
        redact(&mut data);
        data.remove("note").unwrap()
    }

    #[test]
    fn what_looks_like_a_secret_is_taken_out_wherever_it_stands() {
        let long = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v";
        for prefix in OURS {
            let secret = format!("{prefix}{long}");
            for text in [
                secret.clone(),
                format!("Bearer {secret}"),
                format!("a \"{secret}\", b"),
                format!("https://app.test/?x={secret}&y=1"),
                format!("https://app.test/{secret}"),
            ] {
                for value in [json!(text), json!([text]), json!({"deep": [{"er": text}]})] {
                    let after = redacted(value.clone()).to_string();
                    assert!(!after.contains(long) && after.contains(GONE), "{value} became {after}");
                }
            }
        }
        let jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
        assert!(!redacted(json!(format!("token={jwt}"))).to_string().contains("eyJ"));
        assert_eq!(redacted(json!("-----BEGIN PRIVATE KEY-----\nMIGH")), json!(GONE));
        assert_eq!(redacted(json!("<saml2:Assertion ID=\"x\">")), json!(GONE));
        let named = redacted(json!({"client_secret": "short", "bind-password": "x", "Cookie": "y"}));
        assert_eq!(named.to_string().matches(GONE).count(), 3);
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for text in [
            "ada.lovelace-with-a-very-long-name@sub.example.test",
            "https://idp.example.test/oauth2/v2.0/authorize?prompt=login&ui_locales=de",
            "org_01h2xcejqtf2nbrexx3vqjhp41",
            "usr_01h2xcejqtf2nbrexx3vqjhp41 app_01h2xcejqtf2nbrexx3vqjhp41",
            "The attribute `ak_name` of a very long sentence is not one that is kept.",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0",
            "CN=Ada Lovelace,OU=People,DC=example,DC=test",
            "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        ] {
            assert_eq!(redacted(json!(text)), json!(text));
        }
        // A flag is no secret, though it has the name of one.
        let mut data = Map::from_iter([("secret".to_owned(), json!(true))]);
        redact(&mut data);
        assert_eq!(data["secret"], json!(true));
    }
}
