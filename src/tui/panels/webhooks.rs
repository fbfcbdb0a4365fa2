//! Webhooks: endpoints and their queues, what was sent, and how it was answered.

use serde_json::{Value, json};

use super::{Names, joined, named};
use crate::tui::ask::What;
use crate::tui::shown::text;
use crate::tui::state::{Open, State};
use crate::tui::table::{Column, Kind, Row, column};
use crate::tui::theme::Tone;
use crate::tui::view::sheet::Sheet;

/// The columns of the endpoints.
pub const ENDPOINTS: &[Column] = &[
    column("Endpoint", Kind::Text, 18, 4, 0),
    column("Status", Kind::State, 9, 0, 0),
    column("Waiting", Kind::Number, 7, 0, 0),
    column("Failing", Kind::Ago, 7, 0, 0),
    column("Taken", Kind::Ago, 6, 0, 0),
    column("Events", Kind::Quiet, 10, 3, 60),
    column("Organization", Kind::Quiet, 12, 1, 90),
];

/// The columns of the deliveries.
pub const DELIVERIES: &[Column] = &[
    column("Event", Kind::Text, 22, 3, 0),
    column("State", Kind::State, 12, 0, 0),
    column("Tries", Kind::Number, 5, 0, 0),
    column("Answer", Kind::Text, 8, 2, 0),
    column("Next", Kind::Until, 6, 0, 60),
    column("Made", Kind::Ago, 5, 0, 0),
];

/// An endpoint.
pub fn endpoint(item: &Value, names: &Names) -> Row {
    let failing = !text(item, "failingSince").is_empty();
    let tone = match text(item, "status") {
        "active" if failing => Tone::Bad,
        "active" => Tone::Good,
        _ => Tone::Idle,
    };
    let name = match text(item, "name") {
        "" => text(item, "url"),
        name => name,
    };
    let cells = [
        name,
        text(item, "status"),
        &item["waiting"].as_u64().unwrap_or(0).to_string(),
        text(item, "failingSince"),
        text(item, "succeededAt"),
        &joined(item, "subscriptions"),
        &named(names, item, "organization"),
    ];
    Row::new(text(item, "id"), &cells, tone).with(item)
}

/// A delivery.
pub fn delivery(item: &Value, _: &Names) -> Row {
    let tone = match text(item, "state") {
        "acknowledged" => Tone::Good,
        "failed" => Tone::Bad,
        "dropped" => Tone::Idle,
        _ => Tone::Busy,
    };
    let answer = item["status"].as_u64().map_or_else(|| text(item, "error").to_owned(), |status| status.to_string());
    let cells = [
        text(item, "kind"),
        text(item, "state"),
        &item["tries"].as_u64().unwrap_or(0).to_string(),
        &answer,
        text(item, "dueAt"),
        text(item, "createdAt"),
    ];
    Row::new(text(item, "id"), &cells, tone).with(item)
}

/// Its last deliveries.
pub fn asks_endpoint(row: &Row) -> Vec<(&'static str, What)> {
    vec![
        ("endpoint", What::of("webhook.get", json!({"id": row.id()}))),
        ("deliveries", What::of("delivery.list", json!({"endpoint": row.id(), "limit": 15}))),
    ]
}

/// Each try of it.
pub fn asks_delivery(row: &Row) -> Vec<(&'static str, What)> {
    vec![("delivery", What::of("delivery.get", json!({"id": row.id()})))]
}

/// An endpoint or a delivery.
pub fn sheet(state: &State, open: &Open, sheet: &mut Sheet) {
    if let Some(delivery) = open.part("delivery") {
        sheet.state(self::delivery(delivery, &state.names).tone, text(delivery, "state"));
        return sheet.value(delivery, &state.names);
    }
    let raw = open.part("endpoint").unwrap_or(&open.raw);
    if text(raw, "url").is_empty() {
        return sheet.waiting(open, "delivery");
    }
    let row = endpoint(raw, &state.names);
    let told = match (text(raw, "disabledFor"), row.tone) {
        ("", Tone::Bad) => "active, and failing".to_owned(),
        ("", _) => text(raw, "status").to_owned(),
        (why, _) => format!("disabled: {why}"),
    };
    sheet.state(row.tone, &told);
    sheet.fact("Name", text(raw, "name"));
    sheet.fact("Address", text(raw, "url"));
    sheet.named("Organization", &named(&state.names, raw, "organization"), text(raw, "organization"));
    sheet.named("Connection", &named(&state.names, raw, "connection"), text(raw, "connection"));
    sheet.fact("Waiting", &raw["waiting"].as_u64().unwrap_or(0).to_string());
    sheet.moment("Failing since", text(raw, "failingSince"));
    sheet.moment("Last taken", text(raw, "succeededAt"));
    sheet.fact("Secrets", &raw["secrets"].as_u64().unwrap_or(0).to_string());
    sheet.moment("Older until", text(raw, "olderSecretUntil"));
    sheet.fact("Id", text(raw, "id"));
    sheet.blank();
    sheet.title("Events");
    sheet.paragraph(Tone::Plain, &joined(raw, "subscriptions"));
    sheet.blank();
    sheet.title("Deliveries");
    let deliveries = open.items("deliveries");
    if deliveries.is_empty() {
        sheet.paragraph(Tone::Idle, "Nothing was sent yet.");
    }
    for item in deliveries {
        let row = delivery(item, &state.names);
        sheet.dated(row.tone, row.cell(5), row.cell(0), row.cell(3));
    }
}
