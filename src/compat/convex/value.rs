//! Values as Convex writes them in JSON: plain, but for what JSON has no word for, which is an object with one name that
//! begins with `$`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value, json};

use crate::env::Timestamp;

/// What the names of times end in: `createdAt`, `notBefore`, `validUntil`.
const TIMES: &[&str] = &["At", "Before", "After", "Until", "Since"];
/// Up to here every whole number is itself as a double.
const EXACT: i64 = 1 << 53;

/// Reads a value. The error names where it stands.
pub(super) fn decode(value: Value, at: &str) -> Result<Value, String> {
    match value {
        Value::Object(fields) => decode_object(fields, at),
        Value::Array(items) => {
            let each = items.into_iter().enumerate().map(|(place, item)| decode(item, &format!("{at}[{place}]")));
            each.collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Value::Number(number) => Ok(Value::Number(whole(number))),
        other => Ok(other),
    }
}

fn decode_object(fields: Map<String, Value>, at: &str) -> Result<Value, String> {
    if let (1, Some((name, inner))) = (fields.len(), fields.iter().next())
        && let Some(word) = name.strip_prefix('$')
    {
        let wrong = || format!("`{at}` is not a value that can be read: `${word}`.");
        let bytes = inner.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or_else(wrong)?;
        return match word {
            "integer" => {
                let eight: [u8; 8] = bytes.try_into().map_err(|_| wrong())?;
                Ok(i64::from_le_bytes(eight).into())
            }
            "float" => {
                let eight: [u8; 8] = bytes.try_into().map_err(|_| wrong())?;
                let float = f64::from_le_bytes(eight);
                let number = Number::from_f64(float).ok_or_else(|| format!("`{at}` is not a number."))?;
                Ok(Value::Number(whole(number)))
            }
            // Nothing here takes bytes but as text.
            "bytes" => String::from_utf8(bytes).map(Value::String).map_err(|_| wrong()),
            _ => Err(wrong()),
        };
    }
    let mut read = Map::new();
    for (name, value) in fields {
        if name.starts_with('$') {
            return Err(format!("`{at}` has a field that begins with `$`."));
        }
        let place = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        read.insert(name, decode(value, &place)?);
    }
    Ok(Value::Object(read))
}

/// Every number of JavaScript is a double: what is whole is meant as a whole number.
fn whole(number: Number) -> Number {
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and fits")]
        Some(float) if !number.is_i64() && !number.is_u64() && float.fract() == 0.0 && float.abs() <= EXACT as f64 => {
            (float as i64).into()
        }
        _ => number,
    }
}

/// Writes a value: times (`TIMES`) in milliseconds, as Convex has them; names in the letters that it allows; a whole number
/// that no double can hold as `$integer`.
pub(super) fn encode(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let each = fields.into_iter().map(|(name, value)| {
                let value = match time(&name, &value) {
                    Some(millis) => millis.into(),
                    None => encode(value),
                };
                (field_name(&name), value)
            });
            Value::Object(each.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(encode).collect()),
        Value::Number(number) => match number.as_i64() {
            Some(long) if long.unsigned_abs() > EXACT.unsigned_abs() => {
                json!({"$integer": STANDARD.encode(long.to_le_bytes())})
            }
            _ => Value::Number(number),
        },
        other => other,
    }
}

fn time(name: &str, value: &Value) -> Option<i64> {
    let text = value.as_str().filter(|text| TIMES.iter().any(|end| name.ends_with(end)) && text.ends_with('Z'))?;
    text.parse::<Timestamp>().ok().map(Timestamp::millis)
}

/// The client throws on a name with other than printable ASCII letters, or with `$` at its front.
fn field_name(name: &str) -> String {
    let fits = |at: usize, byte: u8| (b' '..0x7f).contains(&byte) && !(at == 0 && byte == b'$');
    if name.bytes().enumerate().all(|(at, byte)| fits(at, byte)) {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len() + 8);
    for (at, byte) in name.bytes().enumerate() {
        if fits(at, byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_has_no_word_for_is_read() {
        let integer = STANDARD.encode((-5i64).to_le_bytes());
        let float = STANDARD.encode(2.5f64.to_le_bytes());
        let given =
            json!({"n": {"$integer": integer}, "f": {"$float": float}, "b": {"$bytes": "aGk="}, "w": 3.0, "x": [1.5]});
        assert_eq!(decode(given, "").unwrap(), json!({"n": -5, "f": 2.5, "b": "hi", "w": 3, "x": [1.5]}));
        let nan = json!({"deep": [{"limit": {"$float": STANDARD.encode(f64::NAN.to_le_bytes())}}]});
        assert!(decode(nan, "").unwrap_err().contains("`deep[0].limit`"));
        for wrong in [json!({"a": {"$integer": "AA=="}}), json!({"a": {"$set": []}}), json!({"a": {"$x": 1, "y": 2}})] {
            assert!(decode(wrong.clone(), "").is_err(), "{wrong}");
        }
    }

    #[test]
    fn answers_are_what_the_client_can_read() {
        let given = json!({
            "createdAt": "2026-01-01T00:00:00.123Z", "name": "2026-01-01T00:00:00Z",
            "mapping": {"Bücher": ["x"], "$a": 1, "plain b": 2}, "big": i64::MAX, "small": 7,
        });
        let written = encode(given);
        assert_eq!(written["createdAt"], 1_767_225_600_123_i64);
        assert_eq!(written["name"], "2026-01-01T00:00:00Z");
        assert_eq!(written["mapping"], json!({"B%C3%BCcher": ["x"], "%24a": 1, "plain b": 2}));
        assert_eq!(decode(written["big"].clone(), "").unwrap(), json!(i64::MAX));
        assert_eq!(written["small"], 7);
    }
}
