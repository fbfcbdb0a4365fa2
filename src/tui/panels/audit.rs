//! Audit: the log as it grows, searched, verified, and each event opened.

use serde_json::Value;

use super::{Names, name_of};
use crate::tui::shown::{list, text};
use crate::tui::state::{Open, State};
use crate::tui::table::{Column, Kind, Row, column};
use crate::tui::theme::Tone;
use crate::tui::view::sheet::Sheet;

/// The columns.
pub const COLUMNS: &[Column] = &[
    column("At", Kind::Clock, 8, 0, 0),
    column("Event", Kind::State, 26, 2, 0),
    column("About", Kind::Text, 14, 4, 0),
    column("By", Kind::Quiet, 9, 1, 0),
    column("From", Kind::Quiet, 12, 1, 84),
    column("Why", Kind::Text, 10, 1, 110),
    column("Number", Kind::Number, 7, 0, 74),
];

/// An event. The number is its place, so that the log is in its own order.
pub fn row(event: &Value, names: &Names) -> Row {
    let failed = text(event, "outcome") == "failure";
    let kind = text(event, "kind");
    let tone = match kind.rsplit('.').next().unwrap_or_default() {
        _ if failed => Tone::Bad,
        "signed_in" | "succeeded" | "verified" | "acknowledged" | "recovered" => Tone::Good,
        "revoked" | "removed" | "deleted" | "suspended" | "disabled" | "lost" | "reuse_detected" | "deprovisioned" => {
            Tone::Warn
        }
        _ => Tone::Plain,
    };
    let seq = event["seq"].as_u64().unwrap_or(0);
    let actor = match text(event, "actorId") {
        "" => text(event, "actorType").to_owned(),
        id => names.get(id).cloned().unwrap_or_else(|| match text(event, "actorType") {
            "operator" => "operator".to_owned(),
            _ => name_of(names, id),
        }),
    };
    let cells = [
        text(event, "occurredAt"),
        kind,
        &about(event, names),
        &actor,
        text(event, "ip"),
        text(event, "errorCode"),
        &seq.to_string(),
    ];
    Row::new(&format!("{seq:020}"), &cells, tone).with(event)
}

/// What an event is about, in the words of people: the thing itself and who it belongs to.
pub fn about(event: &Value, names: &Names) -> String {
    let subject = (text(event, "subjectType"), text(event, "subjectId"));
    let targets = list(event, "targets").iter().map(|target| (text(target, "kind"), text(target, "id")));
    let all: Vec<(&str, &str)> = std::iter::once(subject).chain(targets).filter(|(_, id)| !id.is_empty()).collect();
    // A name says more than an id: people first, then what has one, then the first thing at all.
    let known = |(kind, id): &&(&str, &str)| *kind == "user" && names.contains_key(*id);
    let called = |(_, id): &&(&str, &str)| names.contains_key(*id);
    let found = all.iter().find(known).or_else(|| all.iter().find(called)).or_else(|| all.first());
    match (found, text(&event["data"], "name")) {
        (Some((_, id)), _) if names.contains_key(*id) => name_of(names, id),
        (_, name) if !name.is_empty() => name.to_owned(),
        (Some((_, id)), _) => name_of(names, id),
        (None, _) => String::new(),
    }
}

/// One event: everything in it.
pub fn sheet(state: &State, open: &Open, sheet: &mut Sheet) {
    let row = row(&open.raw, &state.names);
    sheet.state(row.tone, text(&open.raw, "kind"));
    sheet.value(&open.raw, &state.names);
}
