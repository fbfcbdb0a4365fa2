//! The expiry radar: everything that ends one day, how long it has, and the next step.

use serde_json::Value;

use super::{Names, named};
use crate::tui::shown::{moment, text};
use crate::tui::state::{Open, State};
use crate::tui::table::{Column, Kind, Row, column};
use crate::tui::theme::Tone;
use crate::tui::view::sheet::Sheet;

/// The columns.
pub const COLUMNS: &[Column] = &[
    column("Ends in", Kind::Until, 7, 0, 0),
    column("What", Kind::State, 18, 0, 0),
    column("Name", Kind::Text, 14, 3, 0),
    column("Organization", Kind::Quiet, 12, 1, 96),
    column("Next", Kind::Quiet, 16, 5, 0),
];

/// Something that ends. What ends first stands first: rows are shown from the greatest id down.
pub fn row(item: &Value, names: &Names) -> Row {
    let tone = match text(item, "urgency") {
        "over" | "urgent" => Tone::Bad,
        "soon" => Tone::Warn,
        "later" => Tone::Good,
        _ => Tone::Idle,
    };
    let at = moment(text(item, "at"));
    let id = format!(
        "{:020}/{}/{}/{}",
        at.map_or(0, |at| i64::MAX - at.max(0)),
        text(item, "kind"),
        text(item, "id"),
        text(item, "name")
    );
    let cells = [
        if at.is_some() { text(item, "at") } else { "unknown" },
        &kind(item),
        text(item, "name"),
        &named(names, item, "organization"),
        text(item, "next"),
    ];
    Row::new(&id, &cells, tone).with(item)
}

/// What people call it.
fn kind(item: &Value) -> String {
    match text(item, "kind") {
        "tls_certificate" => "TLS certificate".to_owned(),
        "saml_certificate" => "SAML certificate".to_owned(),
        "saml_metadata" => "SAML metadata".to_owned(),
        "upstream_secret" => "client secret".to_owned(),
        "ldap_bind" => "LDAP bind".to_owned(),
        "scim_token" => "SCIM token".to_owned(),
        "api_key" => "API key".to_owned(),
        other => other.replace('_', " "),
    }
}

/// One of them.
pub fn sheet(state: &State, open: &Open, sheet: &mut Sheet) {
    let raw = &open.raw;
    let told = match (raw["daysLeft"].as_i64(), text(raw, "urgency")) {
        (Some(days), _) if days < 0 => "it has ended".to_owned(),
        (Some(0), _) => "it ends within a day".to_owned(),
        (Some(days), _) => format!("{days} days left"),
        (None, _) => "when it ends is known to the other side only".to_owned(),
    };
    sheet.state(row(raw, &state.names).tone, &told);
    sheet.fact("What", &kind(raw));
    sheet.fact("Name", text(raw, "name"));
    sheet.moment("Ends", text(raw, "at"));
    sheet.named("Organization", &named(&state.names, raw, "organization"), text(raw, "organization"));
    sheet.named("Connection", &named(&state.names, raw, "connection"), text(raw, "connection"));
    sheet.fact("Id", text(raw, "id"));
    sheet.blank();
    sheet.title("Next");
    sheet.paragraph(Tone::Plain, text(raw, "next"));
    for command in text(raw, "next").split('`').skip(1).step_by(2) {
        sheet.command(command);
    }
}
