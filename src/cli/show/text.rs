//! Answers as text: lists are tables, things are names and values, reports are marks.

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr as _;

use crate::console::escaped;

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    /// Whether there are any.
    pub color: bool,
}

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
    /// For headings.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }
    /// For what is beside the point.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }
    /// For what failed.
    pub fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }
    /// For what holds.
    pub fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }
    /// For what needs care.
    pub fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }
    /// For what can be typed.
    pub fn cyan(self, text: &str) -> String {
        self.wrap("36", text)
    }
}

/// An answer, without a line break at its end.
pub fn answer(value: &Value, paint: Paint, width: usize) -> String {
    let lines = match value {
        Value::Object(object) => match object.get("items") {
            Some(Value::Array(items)) => table(items, paint, width),
            _ => thing(object, paint, 0),
        },
        Value::Array(items) => table(items, paint, width),
        Value::Null => vec!["done".to_owned()],
        other => vec![scalar(other)],
    };
    lines.join("\n")
}

/// Only the ids, one a line: of a thing its own, of a list each one's; of a thing without an id its first text.
pub fn ids(value: &Value) -> String {
    let id = |value: &Value| {
        let named = ["id", "clientId", "access_token", "domain", "name"].iter().find_map(|name| value.get(name));
        named.and_then(Value::as_str).map(escaped)
    };
    match value.get("items").or(Some(value)) {
        Some(Value::Array(items)) => items.iter().filter_map(id).collect::<Vec<_>>().join("\n"),
        Some(one) => id(one).unwrap_or_default(),
        None => String::new(),
    }
}

fn table(items: &[Value], paint: Paint, width: usize) -> Vec<String> {
    if items.is_empty() {
        return vec![paint.dim("(none)")];
    }
    // Every column that some item has, in the order of their first appearance; nested things do not fit in a cell.
    let mut columns: Vec<&str> = Vec::new();
    for item in items.iter().filter_map(Value::as_object) {
        for (name, value) in item {
            if !columns.contains(&name.as_str()) && cell(value).is_some() {
                columns.push(name);
            }
        }
    }
    if columns.is_empty() {
        return items.iter().map(scalar).collect();
    }
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| columns.iter().map(|name| item.get(*name).and_then(cell).unwrap_or_default()).collect())
        .collect();
    let mut widths: Vec<usize> = columns.iter().map(|name| heading(name).width()).collect();
    for row in &rows {
        for (place, text) in row.iter().enumerate() {
            widths[place] = widths[place].max(text.width());
        }
    }
    // Whole columns are left out on a narrow terminal, the last ones first: half an id is worth nothing.
    let mut shown = columns.len();
    while shown > 1 && widths[..shown].iter().sum::<usize>() + 2 * (shown - 1) > width {
        shown -= 1;
    }
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).take(shown).enumerate().map(|(place, (text, width))| {
            if place + 1 == shown { text.clone() } else { format!("{text}{}", " ".repeat(width - text.width())) }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head: Vec<String> = columns.iter().map(|name| heading(name)).collect();
    let mut lines = vec![paint.bold(&line(&head))];
    lines.extend(rows.iter().map(|row| line(row)));
    if shown < columns.len() {
        let hidden: Vec<String> = columns[shown..].iter().map(|name| escaped(name)).collect();
        lines.push(paint.dim(&format!("(not shown: {}; `--json` has everything)", hidden.join(", "))));
    }
    lines
}

/// What fits in a cell.
fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Object(_) => None,
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => None,
        Value::Array(items) if items.len() > 4 => {
            Some(format!("{}, … ({})", items.iter().take(3).map(scalar).collect::<Vec<_>>().join(", "), items.len()))
        }
        other => Some(scalar(other)),
    }
}

fn thing(object: &Map<String, Value>, paint: Paint, indent: usize) -> Vec<String> {
    let pad = " ".repeat(indent);
    let flat = |value: &Value| match value {
        Value::Object(inner) => inner.is_empty(),
        Value::Array(items) => items.iter().all(|item| !item.is_object()),
        _ => true,
    };
    let width =
        object.iter().filter(|(_, value)| flat(value)).map(|(name, _)| escaped(name).width()).max().unwrap_or(0);
    let mut lines = Vec::new();
    // What is one line comes first, so that it is not lost between blocks.
    let (short, long): (Vec<_>, Vec<_>) = object.iter().partition(|(_, value)| flat(value));
    for (name, value) in short.into_iter().chain(long) {
        let shown = escaped(name);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                lines.push(format!("{pad}{}", paint.bold(&shown)));
                lines.extend(thing(inner, paint, indent + 2));
            }
            Value::Array(items) if items.iter().any(|item| item.get("ok").is_some_and(Value::is_boolean)) => {
                lines.push(format!("{pad}{}", paint.bold(&shown)));
                lines.extend(items.iter().flat_map(|item| finding(item, paint, indent + 2)));
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                lines.push(format!("{pad}{}", paint.bold(&shown)));
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        lines.push(String::new());
                    }
                    match item {
                        Value::Object(inner) => lines.extend(thing(inner, paint, indent + 2)),
                        other => lines.push(format!("{pad}  {}", scalar(other))),
                    }
                }
            }
            _ => {
                let gap = " ".repeat(width.saturating_sub(shown.width()));
                lines.push(format!("{pad}{}{gap}  {}", paint.dim(&shown), word(value, paint)).trim_end().to_owned());
            }
        }
    }
    lines
}

/// One check: its mark and name; what was found, if it does not hold.
fn finding(item: &Value, paint: Paint, indent: usize) -> Vec<String> {
    let pad = " ".repeat(indent);
    let ok = item.get("ok").and_then(Value::as_bool).unwrap_or(false);
    let name = item.get("name").map(scalar).unwrap_or_default();
    let mark = if ok { paint.green("✓") } else { paint.red("✗") };
    let message = item.get("message").map(|text| format!("  {}", paint.dim(&scalar(text)))).unwrap_or_default();
    let mut lines = vec![format!("{pad}{mark} {name}{message}")];
    if let Some(rest) = item.as_object() {
        for (name, value) in rest.iter().filter(|(name, _)| !matches!(name.as_str(), "ok" | "name" | "message")) {
            // Beside a check that holds, what was expected says nothing more.
            if !ok || rest.len() <= 3 {
                lines.push(format!("{pad}    {} {}", paint.dim(&format!("{}:", escaped(name))), scalar(value)));
            }
        }
    }
    lines
}

/// A value whose meaning has a colour.
fn word(value: &Value, paint: Paint) -> String {
    let text = scalar(value);
    match text.as_str() {
        "active" | "success" | "succeeded" | "yes" => paint.green(&text),
        "disabled" | "failure" | "failed" | "suspended" | "deprovisioned" => paint.red(&text),
        "draft" => paint.yellow(&text),
        _ => text,
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => escaped(text),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(", "),
        Value::Object(object) if object.is_empty() => "-".to_owned(),
        Value::Object(_) => escaped(&value.to_string()),
    }
}

/// `createdAt` → `CREATED AT`.
fn heading(name: &str) -> String {
    let mut out = String::new();
    for c in escaped(name).chars() {
        if c.is_ascii_uppercase() || c == '_' {
            out.push(' ');
        }
        if c != '_' {
            out.extend(c.to_uppercase());
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLAIN: Paint = Paint { color: false };

    #[test]
    fn a_list_is_a_table() {
        let value = json!({"items": [
            {"id": "org_1", "name": "Acme", "createdAt": "2026-01-01T00:00:00Z", "extra": {"a": 1}},
            {"id": "org_22", "name": "東京", "createdAt": "2026-01-02T00:00:00Z", "disabledAt": "2026-01-03T00:00:00Z"},
        ]});
        assert_eq!(
            answer(&value, PLAIN, usize::MAX),
            "ID      NAME  CREATED AT            DISABLED AT\n\
             org_1   Acme  2026-01-01T00:00:00Z\n\
             org_22  東京  2026-01-02T00:00:00Z  2026-01-03T00:00:00Z"
        );
        assert_eq!(
            answer(&value, PLAIN, 20),
            "ID      NAME\norg_1   Acme\norg_22  東京\n(not shown: createdAt, disabledAt; `--json` has everything)"
        );
        assert_eq!(answer(&json!({"items": []}), PLAIN, 80), "(none)");
    }

    #[test]
    fn a_thing_is_names_and_values() {
        let value = json!({"id": "conn_1", "status": "draft", "jit": null, "domains": ["a.example", "b.example"], "oidc": {"issuer": "https://a"}});
        assert_eq!(
            answer(&value, PLAIN, 80),
            "id       conn_1\nstatus   draft\njit      -\ndomains  a.example, b.example\noidc\n  issuer  https://a"
        );
        assert!(answer(&value, Paint { color: true }, 80).contains("\u{1b}[33mdraft\u{1b}[0m"));
    }

    #[test]
    fn a_report_is_marks() {
        let value = json!({"ok": false, "checks": [
            {"name": "issuer", "ok": true},
            {"name": "audience", "ok": false, "message": "wrong", "expected": "a", "received": "b"},
        ]});
        assert_eq!(
            answer(&value, PLAIN, 80),
            "ok  no\nchecks\n  ✓ issuer\n  ✗ audience  wrong\n      expected: a\n      received: b"
        );
    }

    #[test]
    fn names_of_strangers_are_harmless_everywhere() {
        let evil = "\u{1b}]52;c;x\u{7}\u{202e}";
        let value = json!({"items": [{"id": evil, evil: evil}], "next": evil});
        for value in
            [&value, &json!({evil: evil, "inner": {evil: [evil]}, "checks": [{"ok": false, "name": evil, evil: evil}]})]
        {
            let text = answer(value, PLAIN, usize::MAX);
            assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
            assert!(!ids(value).contains('\u{1b}'));
        }
    }

    #[test]
    fn quiet_is_ids() {
        assert_eq!(ids(&json!({"items": [{"id": "a"}, {"id": "b"}]})), "a\nb");
        assert_eq!(ids(&json!({"clientId": "app_1", "clientSecret": "s"})), "app_1");
    }
}
