//! The directory: people, groups, roles, and what directories did by SCIM.

use serde_json::{Value, json};

use super::{Names, joined, named};
use crate::tui::ask::What;
use crate::tui::shown::{list, text};
use crate::tui::state::{Open, State};
use crate::tui::table::{Column, Kind, Row, column};
use crate::tui::theme::Tone;
use crate::tui::view::sheet::Sheet;

/// The columns of the people.
pub const PEOPLE: &[Column] = &[
    column("Address", Kind::Text, 22, 3, 0),
    column("Name", Kind::Text, 10, 3, 0),
    column("Status", Kind::State, 13, 0, 0),
    column("Roles", Kind::Text, 8, 2, 60),
    column("Groups", Kind::Quiet, 8, 2, 110),
    column("Organization", Kind::Quiet, 12, 1, 100),
    column("Known", Kind::Ago, 5, 0, 0),
];

/// The columns of the groups.
pub const GROUPS: &[Column] = &[
    column("Name", Kind::Text, 16, 3, 0),
    column("Connection", Kind::Text, 12, 2, 0),
    column("Id there", Kind::Quiet, 12, 2, 60),
    column("Organization", Kind::Quiet, 12, 1, 76),
    column("Changed", Kind::Ago, 7, 0, 0),
];

/// The columns of the roles.
pub const ROLES: &[Column] = &[
    column("Name", Kind::Text, 12, 1, 0),
    column("Kind", Kind::Quiet, 8, 0, 0),
    column("Grants", Kind::Text, 20, 4, 0),
    column("Organization", Kind::Quiet, 12, 1, 76),
];

/// A person.
pub fn person(item: &Value, names: &Names) -> Row {
    let tone = match text(item, "status") {
        "active" => Tone::Good,
        "pending" => Tone::Busy,
        "suspended" => Tone::Warn,
        _ => Tone::Idle,
    };
    let cells = [
        text(item, "email"),
        text(item, "name"),
        text(item, "status"),
        &joined(item, "roles"),
        &joined(item, "groups"),
        &named(names, item, "organization"),
        text(item, "createdAt"),
    ];
    // The same person may be in several organizations.
    Row::new(&format!("{}/{}", text(item, "id"), text(item, "organization")), &cells, tone).with(item)
}

/// A group.
pub fn group(item: &Value, names: &Names) -> Row {
    let cells = [
        text(item, "name"),
        &named(names, item, "connection"),
        text(item, "externalId"),
        &named(names, item, "organization"),
        text(item, "updatedAt"),
    ];
    Row::new(text(item, "id"), &cells, Tone::Good).with(item)
}

/// A role.
pub fn role(item: &Value, names: &Names) -> Row {
    let builtin = item["builtin"] == true;
    let cells = [
        text(item, "name"),
        if builtin { "built in" } else { "own" },
        &joined(item, "grants"),
        &named(names, item, "organization"),
    ];
    let id = format!("{}/{}", text(item, "organization"), text(item, "name"));
    Row::new(&id, &cells, if builtin { Tone::Idle } else { Tone::Good }).with(item)
}

/// The identities, the sessions and the story of a person.
pub fn asks_person(row: &Row) -> Vec<(&'static str, What)> {
    let raw = &row.raw().unwrap_or(Value::Null);
    let (id, organization) = (text(raw, "id"), text(raw, "organization"));
    vec![
        ("identities", What::of("identity.list", json!({"user": id, "organization": organization}))),
        ("sessions", What::of("session.list", json!({"user": id, "organization": organization, "limit": 20}))),
        ("events", What::of("audit.list", json!({"user": id, "organization": organization, "limit": 30}))),
    ]
}

/// The members of a group.
pub fn asks_group(row: &Row) -> Vec<(&'static str, What)> {
    vec![("group", What::of("group.get", json!({"id": row.id(), "limit": 200})))]
}

/// One person.
pub fn sheet(state: &State, open: &Open, sheet: &mut Sheet) {
    let raw = &open.raw;
    let row = person(raw, &state.names);
    let told = match text(raw, "endedBy") {
        "" => text(raw, "status").to_owned(),
        by => format!("{}, by {by}", text(raw, "status")),
    };
    sheet.state(row.tone, &told);
    sheet.fact("Name", text(raw, "name"));
    let verified = if raw["emailVerified"] == true { " (verified)" } else { "" };
    sheet.named("Address", &format!("{}{verified}", text(raw, "email")), text(raw, "email"));
    sheet.named("Organization", &named(&state.names, raw, "organization"), text(raw, "organization"));
    sheet.named("Source", &named(&state.names, raw, "connection"), text(raw, "connection"));
    sheet.fact("Roles", &joined(raw, "roles"));
    sheet.fact("Groups", &joined(raw, "groups"));
    sheet.moment("Known since", text(raw, "createdAt"));
    sheet.fact("Id", text(raw, "id"));
    sheet.blank();
    sheet.title("Identities");
    let identities = match open.part("identities") {
        Some(answer) if answer.is_array() => answer.as_array().map_or(&[][..], Vec::as_slice),
        Some(answer) => crate::tui::shown::items(answer),
        None => &[],
    };
    if identities.is_empty() {
        sheet.paragraph(Tone::Idle, "None: nothing signs them in.");
    }
    for identity in identities {
        let source = ["connection", "issuer"].map(|field| named(&state.names, identity, field)).concat();
        sheet.check(Tone::Good, &source, text(identity, "subject"));
    }
    sheet.blank();
    sheet.title("Sessions");
    let sessions = open.items("sessions");
    if sessions.is_empty() {
        sheet.paragraph(Tone::Idle, "Not signed in.");
    }
    for session in sessions {
        let through = named(&state.names, session, "connection");
        sheet.dated(Tone::Good, text(session, "createdAt"), &through, text(session, "ip"));
    }
    sheet.blank();
    sheet.events(open.items("events"), &state.names);
}

/// A group or a role.
pub fn sheet_plain(state: &State, open: &Open, sheet: &mut Sheet) {
    if let Some(group) = open.part("group") {
        sheet.fact("Name", text(group, "name"));
        sheet.named("Connection", &named(&state.names, group, "connection"), text(group, "connection"));
        sheet.fact("Id there", text(group, "externalId"));
        sheet.fact("Id", text(group, "id"));
        sheet.blank();
        sheet.title("Members");
        let members = list(group, "members");
        if members.is_empty() {
            sheet.paragraph(Tone::Idle, "Nobody.");
        }
        for member in members.iter().filter_map(Value::as_str) {
            sheet.check(Tone::Good, &super::name_of(&state.names, member), "");
        }
        return;
    }
    sheet.value(&open.raw, &state.names);
}
