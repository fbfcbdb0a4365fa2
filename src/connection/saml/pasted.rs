//! An answer as people paste it: from a browser's network panel, an address bar, an extension, or a file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result, codes};

/// The field's name.
const FIELD: &str = "SAMLResponse";

/// The message as it would be posted: base64. Takes that, XML, a form's body, an address with a query, and the HTML of the
/// page that posts it. Errors: `saml_structure` when none of them is there.
pub(super) fn message(pasted: &str) -> Result<String> {
    let text = pasted.strip_prefix('\u{feff}').unwrap_or(pasted).trim();
    if let Some(value) = in_form(text).or_else(|| in_page(text)) {
        return Ok(value);
    }
    if text.starts_with('<') {
        return Ok(STANDARD.encode(text));
    }
    // `SAMLResponse: PHNh…`, as panels list it; with the name, and without.
    let rest = text.strip_prefix(FIELD).map_or(text, |rest| rest.trim_start_matches([':', ' ', '\t', '\r', '\n']));
    let rest = rest.trim().trim_matches(['"', '\'']);
    let value = if rest.contains('%') { decoded(rest) } else { rest.to_owned() };
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=') || c.is_ascii_whitespace();
    if value.is_empty() || !value.chars().all(base64) {
        return Err(Error::says(&codes::SAML_STRUCTURE, "There is no SAML answer in that text.").help(
            "Give the value of the field `SAMLResponse`, the body of the form that posts it, or the XML, as it was sent.",
        ));
    }
    Ok(value)
}

/// Of a form's body or a query.
fn in_form(text: &str) -> Option<String> {
    let at = text.find("SAMLResponse=").filter(|at| {
        let before = text.get(..*at).unwrap_or_default();
        before.is_empty() || before.ends_with(['&', '?', '\n', ' ', '\'', '"'])
    })?;
    let rest = text.get(at + FIELD.len() + 1..)?;
    let end = rest.find(['&', ' ', '\n', '\r', '\'', '"', '#']).unwrap_or(rest.len());
    Some(decoded(rest.get(..end)?))
}

/// Of the page that posts it: `<input name="SAMLResponse" value="…">`, with its attributes in any order.
fn in_page(text: &str) -> Option<String> {
    let start = text.find("<input").filter(|_| text.contains("name=\"SAMLResponse\""))?;
    let tag = text.get(start..)?.split("<input").find(|tag| tag.contains("name=\"SAMLResponse\""))?;
    let value = tag.split_once("value=\"")?.1.split_once('"')?.0;
    Some(value.replace("&#43;", "+").replace("&#x2B;", "+").replace("&#61;", "=").replace("&#x3D;", "="))
}

/// Percent signs are read; a plus is a plus, because base64 has it and no space.
fn decoded(text: &str) -> String {
    let value = format!("value={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(value.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_in_whatever_people_paste() {
        let xml = "<samlp:Response>ä</samlp:Response>";
        let value = STANDARD.encode(xml);
        let escaped: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        for pasted in [
            value.clone(),
            format!("  {value}\n"),
            format!("\"{value}\""),
            xml.to_owned(),
            format!("\u{feff}{xml}\n"),
            format!("SAMLResponse={escaped}"),
            format!("RelayState=x&SAMLResponse={escaped}&more=1"),
            format!("https://id.example/connections/c/saml/acs?SAMLResponse={escaped}#top"),
            format!("curl 'https://id.example/acs' --data-raw 'SAMLResponse={escaped}&RelayState=x'"),
            format!("SAMLResponse: {value}"),
            format!("SAMLResponse\t{escaped}"),
            format!(
                r#"<html><form><input type="hidden" name="RelayState" value="x"/><input type="hidden" name="SAMLResponse" value="{value}"/></form>"#
            ),
            format!(r#"<input value="{value}" name="SAMLResponse">"#),
        ] {
            assert_eq!(message(&pasted).unwrap(), value, "{pasted}");
        }
        let folded = format!("{}\r\n{}", &value[..8], &value[8..]);
        assert_eq!(message(&folded).unwrap(), folded);
        for wrong in ["", "  ", "hello, world", "{\"a\": 1}", "eyJ.eyJ.x"] {
            assert!(message(wrong).unwrap_err().is(&codes::SAML_STRUCTURE), "{wrong}");
        }
    }
}
