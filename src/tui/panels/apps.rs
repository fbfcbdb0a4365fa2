//! Apps: what signs people in through authd, and what it needs to know for that.

use serde_json::{Value, json};

use super::{Names, joined, named};
use crate::tui::ask::What;
use crate::tui::shown::{list, text};
use crate::tui::state::{Open, State};
use crate::tui::table::{Column, Kind, Row, column};
use crate::tui::theme::Tone;
use crate::tui::view::sheet::Sheet;

/// The columns.
pub const COLUMNS: &[Column] = &[
    column("Name", Kind::Text, 14, 3, 0),
    column("Kind", Kind::Text, 6, 0, 0),
    column("Client", Kind::State, 12, 0, 0),
    column("For", Kind::Quiet, 6, 1, 60),
    column("Logout", Kind::Text, 6, 0, 70),
    column("Sends people to", Kind::Quiet, 16, 4, 0),
    column("Organization", Kind::Quiet, 12, 1, 90),
    column("Changed", Kind::Ago, 7, 0, 0),
];

/// An app.
pub fn row(item: &Value, names: &Names) -> Row {
    let public = item["public"] == true;
    let told = ["backchannelLogoutUri", "frontchannelLogoutUri"].map(|field| !text(item, field).is_empty());
    let cells = [
        text(item, "name"),
        text(item, "kind"),
        if public { "public" } else { "confidential" },
        text(item, "organizations"),
        match told {
            [true, _] => "back",
            [_, true] => "front",
            _ => "none",
        },
        &joined(item, "redirectUris"),
        &named(names, item, "organization"),
        text(item, "updatedAt"),
    ];
    Row::new(text(item, "clientId"), &cells, Tone::Good).with(item)
}

/// Who is signed in to it.
pub fn asks(row: &Row) -> Vec<(&'static str, What)> {
    vec![
        ("sessions", What::of("session.list", json!({"app": row.id(), "limit": 20}))),
        ("events", What::of("audit.list", json!({"target": row.id(), "limit": 30}))),
    ]
}

/// One app.
pub fn sheet(state: &State, open: &Open, sheet: &mut Sheet) {
    let raw = &open.raw;
    sheet.fact("Client id", text(raw, "clientId"));
    sheet.fact("Issuer", &state.place);
    sheet.fact("Kind", text(raw, "kind"));
    sheet.fact("Signs with", text(raw, "alg"));
    sheet.named("Organization", &named(&state.names, raw, "organization"), text(raw, "organization"));
    sheet.fact("Serves", text(raw, "organizations"));
    sheet.fact("Grants", &joined(raw, "grantTypes").replace("urn:ietf:params:oauth:grant-type:", ""));
    if let Some(seconds) = raw["tokenSeconds"].as_i64() {
        sheet.fact("Tokens live", &crate::tui::shown::span(seconds * 1_000));
    }
    sheet.blank();
    sheet.title("Addresses");
    for address in list(raw, "redirectUris").iter().filter_map(Value::as_str) {
        sheet.fact("Redirect", address);
    }
    for address in list(raw, "origins").iter().filter_map(Value::as_str) {
        sheet.fact("Origin", address);
    }
    sheet.fact("Back-channel", text(raw, "backchannelLogoutUri"));
    sheet.fact("Front-channel", text(raw, "frontchannelLogoutUri"));
    sheet.blank();
    sheet.title("Signed in");
    let sessions = open.items("sessions");
    if sessions.is_empty() {
        sheet.paragraph(Tone::Idle, "Nobody.");
    }
    for session in sessions {
        sheet.dated(Tone::Good, text(session, "createdAt"), text(session, "email"), text(session, "ip"));
    }
    sheet.blank();
    sheet.events(open.items("events"), &state.names);
}
