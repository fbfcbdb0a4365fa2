//! How foreign text, moments and numbers are shown. Every answer of the server passes `harmless` in `update` before
//! anything else sees it, and every frame passes `scrub` before the terminal does: nothing of a stranger's commands the terminal.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use serde_json::{Map, Value};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::console::{escaped, is_command};

/// The answer with every text in it, and every name of a field, made harmless.
pub fn harmless(value: Value) -> Value {
    let clean = |text: String| if text.chars().any(is_command) { escaped(&text) } else { text };
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => Value::Array(items.into_iter().map(harmless).collect()),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (clean(name), harmless(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// The last net, under everything that is drawn: also what was typed, pasted, or told by this machine.
pub fn scrub(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if cell.symbol().chars().any(is_command) {
            cell.set_symbol("?");
        }
    }
}

/// Writes signs that typography adds by others that every terminal has. What people are called stays as it is.
pub fn plain(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let sign = match cell.symbol() {
            "·" | "–" | "—" => "-",
            "…" => "~",
            "›" | "→" => ">",
            "←" => "<",
            "×" => "x",
            "╰" => "`",
            _ => continue,
        };
        cell.set_symbol(sign);
    }
}

/// The text of a field; nothing where there is none.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list's answer.
pub fn items(value: &Value) -> &[Value] {
    value.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The list at that field.
pub fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text with what does not fit left out, and an ellipsis for it.
pub fn cut(text: &str, width: usize, unicode: bool) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let tail = if unicode { "…" } else { "~" };
    let (mut out, mut room) = (String::new(), width.saturating_sub(1));
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        out.push(c);
    }
    if width > 0 {
        out.push_str(tail);
    }
    Cow::Owned(out)
}

/// The text in lines of that width, broken between words where that is possible.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(4);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word;
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        while word.width() > width {
            let mut end = 0;
            let mut wide = 0;
            for (at, c) in word.char_indices() {
                wide += c.width().unwrap_or(0);
                if wide > width.saturating_sub(if line.is_empty() { 0 } else { line.width() + 1 }) {
                    break;
                }
                end = at + c.len_utf8();
            }
            let (first, rest) = word.split_at(end.max(word.chars().next().map_or(0, char::len_utf8)));
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(first);
            lines.push(std::mem::take(&mut line));
            word = rest;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// The moment of a text (RFC 3339), in milliseconds.
pub fn moment(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}

/// A moment as text (RFC 3339).
pub fn stamp(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).map(|at| at.to_string()).unwrap_or_default()
}

/// Time of day, UTC.
pub fn clock(at: i64) -> String {
    let text = jiff::Timestamp::from_millisecond(at).map(|at| at.strftime("%H:%M:%S").to_string());
    text.unwrap_or_default()
}

/// Day and time of day, UTC.
pub fn day(text: &str) -> String {
    let day = text.get(..16).unwrap_or(text).replace('T', " ");
    day.trim_end().to_owned()
}

/// A length of time in one number: `42s`, `7m`, `3h`, `12d`.
pub fn span(millis: i64) -> String {
    let seconds = millis.max(0) / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A length of time with more care where it is short: `12 ms`, `1.8 s`.
pub fn exact(millis: i64) -> String {
    match millis.max(0) {
        short @ 0..1_000 => format!("{short} ms"),
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        some @ 1_000..60_000 => format!("{:.1} s", some as f64 / 1_000.0),
        long => span(long),
    }
}

/// A number with its thousands apart.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Of one thing or of several: `1 session`, `3 sessions`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(count as u64), if count == 1 { one } else { many })
}

/// An id as it is recognized, when there is no name for it.
pub fn short(id: &str) -> String {
    match id.split_once('_') {
        Some((kind, rest)) if rest.len() > 8 && rest.is_ascii() => {
            format!("{kind}_…{}", rest.get(rest.len() - 6..).unwrap_or_default())
        }
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_cut_by_what_is_seen() {
        assert_eq!(cut("Ada", 3, true), "Ada");
        assert_eq!(cut("Ada Lovelace", 6, true), "Ada L…");
        assert_eq!(cut("東京都", 5, true), "東京…");
        assert_eq!(cut("Ada", 0, true), "");
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert!(wrapped("東京東京東京", 5).iter().all(|line| line.width() <= 5));
    }

    #[test]
    fn moments_and_numbers_are_short() {
        assert_eq!(moment("1970-01-01T00:00:01.500Z"), Some(1_500));
        assert_eq!([span(0), span(61_000), span(7_200_000), span(864_000_000)], ["0s", "1m", "2h", "10d"]);
        assert_eq!([exact(12), exact(1_840), exact(90_000)], ["12 ms", "1.8 s", "1m"]);
        assert_eq!([number(7), number(1_234_567)], ["7", "1,234,567"]);
        assert_eq!(short("ses_01m7zyjvppr22xyz8ea6rexkj7"), "ses_…rexkj7");
    }

    #[test]
    fn names_of_fields_are_made_harmless_too() {
        let shown = harmless(json!({"a\u{1b}[2J": ["\u{202e}x", {"b": "\u{9b}1m"}], "n": 1}));
        assert!(!shown.to_string().chars().any(is_command));
        assert_eq!(shown["n"], 1);
    }
}
