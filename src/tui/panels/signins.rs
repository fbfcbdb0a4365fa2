//! Sign-ins: a row per attempt, opening into redirect → callback → each check → policy → token.

use serde_json::{Value, json};

use super::{Names, named};
use crate::tui::ask::What;
use crate::tui::shown::{exact, list, moment, text};
use crate::tui::state::{Open, State};
use crate::tui::table::{Column, Kind, Row, column};
use crate::tui::theme::Tone;
use crate::tui::view::sheet::Sheet;

/// The columns.
pub const COLUMNS: &[Column] = &[
    column("Began", Kind::Clock, 8, 0, 0),
    column("Outcome", Kind::State, 9, 0, 0),
    column("Person", Kind::Text, 18, 5, 0),
    column("Connection", Kind::Text, 10, 3, 0),
    column("App", Kind::Text, 8, 1, 84),
    column("Took", Kind::Quiet, 6, 0, 60),
    column("Why", Kind::Quiet, 12, 3, 50),
];

/// A sign-in as `signin.list` has it.
pub fn row(item: &Value, names: &Names) -> Row {
    let (tone, word) = match text(item, "outcome") {
        "success" => (Tone::Good, "in"),
        "failure" => (Tone::Bad, "refused"),
        _ => (Tone::Busy, "away"),
    };
    let took = match (moment(text(item, "startedAt")), moment(text(item, "endedAt"))) {
        (Some(from), Some(to)) => exact(to - from),
        _ => String::new(),
    };
    let cells = [
        text(item, "startedAt"),
        word,
        &named(names, item, "user"),
        &named(names, item, "connection"),
        &named(names, item, "app"),
        &took,
        text(item, "errorCode"),
    ];
    Row::new(text(item, "id"), &cells, tone).with(item)
}

/// The facts of the attempt, its events, and how the policy weighs it.
pub fn asks(row: &Row) -> Vec<(&'static str, What)> {
    let raw = &row.raw().unwrap_or(Value::Null);
    let mut asks = Vec::new();
    if let Some(request) = list(raw, "requests").last().and_then(Value::as_str) {
        asks.push(("events", What::of("audit.list", json!({"request": request, "limit": 20, "oldestFirst": true}))));
    }
    let session = text(raw, "session");
    if !session.is_empty() {
        asks.push(("after", What::of("audit.list", json!({"target": session, "limit": 40, "oldestFirst": true}))));
    }
    if text(raw, "outcome") != "pending" && !text(raw, "connection").is_empty() {
        asks.push(("policy", What::of("policy.explain", json!({"attempt": text(raw, "id")}))));
    }
    asks
}

/// The waterfall.
pub fn sheet(state: &State, open: &Open, sheet: &mut Sheet) {
    let raw = &open.raw;
    let (tone, ending) = match text(raw, "outcome") {
        "success" => (Tone::Good, "signed in"),
        "failure" => (Tone::Bad, "refused"),
        _ => (Tone::Busy, "under way: the browser is at the provider"),
    };
    sheet.state(tone, ending);
    if tone == Tone::Bad {
        // What one comes here for stands first, whatever the size of the screen.
        sheet.paragraph(Tone::Bad, text(raw, "message"));
        if let Some(check) = list(raw, "checks").iter().find(|check| check["ok"] != true) {
            sheet.fact("Failed at", text(check, "name"));
            sheet.fact("  expected", text(check, "expected"));
            sheet.fact("  received", text(check, "received"));
        }
    }
    sheet.named("Person", &named(&state.names, raw, "user"), text(raw, "user"));
    sheet.named("Connection", &named(&state.names, raw, "connection"), text(raw, "connection"));
    sheet.named("App", &named(&state.names, raw, "app"), text(raw, "app"));
    sheet.fact("Began", text(raw, "startedAt"));
    sheet.blank();

    let began = moment(text(raw, "startedAt")).unwrap_or(state.now);
    let ended = moment(text(raw, "endedAt"));
    let after = open.items("after");
    let exchanged = after.iter().find(|event| text(event, "kind") == "oauth.token.exchanged");
    let last = exchanged.and_then(|event| moment(text(event, "occurredAt"))).or(ended).unwrap_or(state.now);
    sheet.title("Waterfall");
    let whole = last - began;
    sheet.bar(Tone::Good, "redirect", "sent to the provider", (0, 0, whole));
    match ended {
        None => {
            return sheet.bar(
                Tone::Busy,
                "provider",
                "waiting for the browser to come back",
                (0, state.now - began, whole),
            );
        }
        Some(ended) => sheet.bar(Tone::Good, "provider", "the person is away", (0, ended - began, whole)),
    }
    let came = ended.unwrap_or(last) - began;
    sheet.bar(
        tone,
        "callback",
        if tone == Tone::Bad { "the answer was refused" } else { "the answer was taken" },
        (came, came, whole),
    );
    checks(list(raw, "checks"), sheet);
    policy(open, sheet);
    if let Some(event) =
        open.items("events").iter().chain(after).find(|event| text(event, "kind") == "oauth.code.created")
    {
        let at = moment(text(event, "occurredAt")).unwrap_or(last) - began;
        sheet.bar(Tone::Good, "code", "given to the app", (at, at, whole));
    }
    match exchanged {
        Some(_) => sheet.bar(Tone::Good, "token", "the app has exchanged the code", (came, last - began, whole)),
        None if tone == Tone::Good && !text(raw, "app").is_empty() => {
            sheet.bar(Tone::Busy, "token", "the app has not exchanged the code", (came, came, whole));
        }
        None => {}
    }
    if tone == Tone::Bad {
        sheet.blank();
        sheet.title("What to do");
        sheet.paragraph(Tone::Plain, text(raw, "help"));
    }
    if let Some(remedy) = open.part("policy").map(|policy| &policy["remedy"]).filter(|remedy| remedy.is_object()) {
        sheet.paragraph(Tone::Warn, text(remedy, "message"));
        for command in list(remedy, "commands").iter().filter_map(Value::as_str) {
            sheet.command(command);
        }
    }
    sheet.blank();
    for request in list(raw, "requests").iter().filter_map(Value::as_str) {
        sheet.fact("Request", request);
    }
    sheet.fact("Session", text(raw, "session"));
}

/// Each check; where one failed, what was expected and what came.
pub fn checks(checks: &[Value], sheet: &mut Sheet) {
    for check in checks {
        let ok = check["ok"] == true;
        let told = [text(check, "message"), text(check, "received")].into_iter().find(|told| !told.is_empty());
        sheet.check(
            if ok { Tone::Good } else { Tone::Bad },
            text(check, "name"),
            told.filter(|_| ok).unwrap_or_default(),
        );
        if !ok {
            sheet.under("expected", Tone::Good, text(check, "expected"));
            sheet.under("received", Tone::Bad, text(check, "received"));
            sheet.under("", Tone::Bad, text(check, "message"));
        }
    }
}

fn policy(open: &Open, sheet: &mut Sheet) {
    let Some(policy) = open.part("policy") else { return };
    let tone = match text(policy, "verdict") {
        "success" => Tone::Good,
        "failure" => Tone::Bad,
        _ => Tone::Idle,
    };
    let facts = &policy["facts"];
    let stands = |who: &str| match text(&facts[who], "standing") {
        "" => "nobody".to_owned(),
        standing => standing.to_owned(),
    };
    sheet.check(
        tone,
        "policy now",
        &format!("by identity: {}, by address: {}", stands("byIdentity"), stands("byEmail")),
    );
    let roles: Vec<&str> = list(policy, "roles").iter().map(|role| text(role, "role")).collect();
    if !roles.is_empty() {
        sheet.under("roles", Tone::Plain, &roles.join(", "));
    }
    for change in list(policy, "changes") {
        let told = format!("{} → {}", plain(&change["from"]), plain(&change["to"]));
        sheet.under(text(change, "field"), Tone::Plain, &told);
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
