//! Sessions: who is signed in, from where, which apps know it, and who was told when it ended.

use serde_json::{Value, json};

use super::{Names, name_of, named};
use crate::tui::ask::What;
use crate::tui::shown::{list, text};
use crate::tui::state::{Open, State};
use crate::tui::table::{Column, Kind, Row, column};
use crate::tui::theme::Tone;
use crate::tui::view::sheet::Sheet;

/// The columns.
pub const COLUMNS: &[Column] = &[
    column("Person", Kind::Text, 22, 4, 0),
    column("Since", Kind::Ago, 5, 0, 0),
    column("Used", Kind::Ago, 5, 0, 0),
    column("Ends in", Kind::Until, 7, 0, 56),
    column("Organization", Kind::Text, 12, 1, 100),
    column("Connection", Kind::Text, 10, 3, 0),
    column("Address", Kind::Quiet, 15, 0, 66),
];

/// A session. What the server said is not kept: there may be a hundred thousand.
pub fn row(item: &Value, names: &Names) -> Row {
    let person = match text(item, "email") {
        "" => named(names, item, "user"),
        email => email.to_owned(),
    };
    let cells = [
        &*person,
        text(item, "createdAt"),
        text(item, "lastUsedAt"),
        text(item, "expiresAt"),
        &named(names, item, "organization"),
        &named(names, item, "connection"),
        text(item, "ip"),
    ];
    Row::new(text(item, "id"), &cells, if item["live"] == false { Tone::Idle } else { Tone::Good })
}

/// The session itself, and what happened in it.
pub fn asks(row: &Row) -> Vec<(&'static str, What)> {
    vec![
        ("session", What::of("session.get", json!({"id": row.id()}))),
        ("events", What::of("audit.list", json!({"target": row.id(), "limit": 30}))),
    ]
}

/// How an app took note that the session ended.
pub fn acknowledgement(app: &Value) -> (Tone, &'static str) {
    match text(app, "logout") {
        "acknowledged" => (Tone::Good, "has taken note"),
        "failed" => (Tone::Bad, "could not be told"),
        "pending" => (Tone::Busy, "is being told"),
        _ => (Tone::Idle, "is not told: it has no back-channel logout"),
    }
}

/// One session.
pub fn sheet(state: &State, open: &Open, sheet: &mut Sheet) {
    let Some(session) = open.part("session") else { return sheet.waiting(open, "session") };
    let live = session["live"] != false;
    sheet.state(if live { Tone::Good } else { Tone::Idle }, if live { "live" } else { "over" });
    sheet.named("Person", text(session, "email"), text(session, "user"));
    sheet.named("Organization", &named(&state.names, session, "organization"), text(session, "organization"));
    sheet.named("Connection", &named(&state.names, session, "connection"), text(session, "connection"));
    sheet.fact("Address", text(session, "ip"));
    sheet.fact("Browser", text(session, "userAgent"));
    sheet.moment("Began", text(session, "createdAt"));
    sheet.moment("Authenticated", text(session, "authenticatedAt"));
    sheet.moment("Last used", text(session, "lastUsedAt"));
    sheet.moment(
        if live { "Ends" } else { "Ended" },
        match text(session, "endedAt") {
            "" => text(session, "expiresAt"),
            ended => ended,
        },
    );
    sheet.fact("Strength", text(session, "acr"));
    sheet.fact("Methods", &super::joined(session, "amr"));
    sheet.fact("Id", text(session, "id"));
    sheet.blank();
    sheet.title("Apps");
    let apps = list(session, "apps");
    if apps.is_empty() {
        sheet.paragraph(Tone::Idle, "No app was given tokens under it.");
    }
    for app in apps {
        let (tone, told) = if live { (Tone::Good, "holds tokens") } else { acknowledgement(app) };
        sheet.check(tone, &name_of(&state.names, text(app, "app")), told);
    }
    sheet.blank();
    sheet.events(open.items("events"), &state.names);
}
