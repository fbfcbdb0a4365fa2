//! Connections: how an organization's people sign in, whether that is ready, and what to give the provider.

use serde_json::{Value, json};

use super::{Names, named};
use crate::tui::ask::What;
use crate::tui::shown::{list, text};
use crate::tui::state::{Open, State};
use crate::tui::table::{Column, Kind, Row, column};
use crate::tui::theme::Tone;
use crate::tui::view::sheet::Sheet;

/// The columns. The last three are joined in from other answers (`State::join_connections`).
pub const COLUMNS: &[Column] = &[
    column("Name", Kind::Text, 18, 3, 0),
    column("Protocol", Kind::Quiet, 8, 0, 60),
    column("Status", Kind::State, 8, 0, 0),
    column("Ready", Kind::Text, 5, 0, 0),
    column("Domains", Kind::Text, 14, 3, 0),
    column("Last in", Kind::Ago, 7, 0, 70),
    column("Certificate", Kind::Until, 11, 0, 84),
    column("Organization", Kind::Quiet, 12, 1, 100),
];

/// A connection, with what was joined in under `_ready`, `_lastIn` and `_certificate`.
pub fn row(item: &Value, names: &Names) -> Row {
    let ready = item.get("_ready").and_then(Value::as_bool);
    let status = text(item, "status");
    let tone = match (status, ready) {
        ("active", Some(false)) => Tone::Bad,
        ("active", _) => Tone::Good,
        ("draft", _) => Tone::Busy,
        _ => Tone::Idle,
    };
    let domains = list(item, "domains").iter().map(|domain| {
        let mark = if domain["verified"] == true { "" } else { "?" };
        format!("{}{mark}", text(domain, "domain"))
    });
    let cells = [
        text(item, "name"),
        text(item, "protocol"),
        status,
        match ready {
            None => "",
            Some(true) => "yes",
            Some(false) => "no",
        },
        &domains.collect::<Vec<_>>().join(", "),
        text(item, "_lastIn"),
        text(item, "_certificate"),
        &named(names, item, "organization"),
    ];
    Row::new(text(item, "id"), &cells, tone).with(item)
}

/// Its state, its domains, its last sign-ins.
pub fn asks(row: &Row) -> Vec<(&'static str, What)> {
    let id = row.id();
    vec![
        ("status", What::of("connection.status", json!({"id": id}))),
        ("domains", What::of("domain.list", json!({"connection": id}))),
        ("traces", What::of("signin.list", json!({"connection": id, "limit": 12}))),
    ]
}

/// One connection.
pub fn sheet(state: &State, open: &Open, sheet: &mut Sheet) {
    let raw = &open.raw;
    let status = open.part("status");
    let ready = status.and_then(|status| status["ready"].as_bool());
    let (tone, told) = match (text(raw, "status"), ready) {
        ("active", Some(false)) => (Tone::Bad, "active, and not ready"),
        ("active", _) => (Tone::Good, "active"),
        ("draft", Some(true)) => (Tone::Busy, "a draft, ready to be activated"),
        ("draft", _) => (Tone::Busy, "a draft"),
        _ => (Tone::Idle, "disabled"),
    };
    sheet.state(tone, told);
    sheet.fact("Protocol", text(raw, "protocol"));
    sheet.named("Organization", &named(&state.names, raw, "organization"), text(raw, "organization"));
    sheet.fact("Id", text(raw, "id"));
    sheet.moment("Changed", text(raw, "updatedAt"));
    sheet.blank();
    sheet.title("For the provider");
    let saml = text(raw, "protocol") == "saml";
    let base = text(raw, "callbackUrl").split("/oidc/").next().unwrap_or_default();
    if saml {
        let service = &raw["saml"]["serviceProvider"];
        let or = |name: &str, otherwise: String| match text(service, name) {
            "" => otherwise,
            told => told.to_owned(),
        };
        sheet.fact("Metadata", &or("metadataUrl", format!("{base}/saml/metadata")));
        sheet.fact("Entity id", &or("entityId", format!("{base}/saml/metadata")));
        sheet.fact("ACS URL", &or("acsUrl", format!("{base}/saml/acs")));
        sheet.fact("Logout URL", text(service, "sloUrl"));
    } else if text(raw, "protocol") == "oidc" {
        sheet.fact("Callback URL", text(raw, "callbackUrl"));
        sheet.fact("Logout URL", text(raw, "backchannelLogoutUrl"));
        sheet.fact("Issuer", text(&raw["oidc"]["discovery"], "issuer"));
        sheet.fact("Client id", text(&raw["oidc"]["client"], "id"));
    } else {
        sheet.fact("Directory", &super::joined(&raw["ldap"]["servers"], "urls"));
        sheet.fact("Bind", text(&raw["ldap"]["bind"], "dn"));
        sheet.fact("People", text(&raw["ldap"]["users"], "base"));
    }
    for certificate in list(&raw["saml"]["identityProvider"], "certificates") {
        sheet.moment("Certificate", text(certificate, "notAfter"));
    }
    sheet.blank();
    sheet.title("Domains");
    let domains = match open.part("domains") {
        Some(answer) => list(answer, "domains"),
        None => list(raw, "domains"),
    };
    if domains.is_empty() {
        sheet.paragraph(Tone::Idle, "None: nobody is routed here by their address.");
    }
    for domain in domains {
        let (tone, told) = match (domain["verified"] == true, text(domain, "losesAt")) {
            (true, "") => (Tone::Good, format!("proved, {}", text(domain, "verifiedBy"))),
            (true, _) => (Tone::Bad, "the record has gone from DNS".to_owned()),
            (false, _) => (Tone::Warn, "not proved".to_owned()),
        };
        sheet.check(tone, text(domain, "domain"), &told);
        let challenge = &domain["challenge"];
        sheet.under(text(challenge, "recordName"), Tone::Plain, text(challenge, "recordValue"));
    }
    sheet.blank();
    sheet.title("Sign-ins");
    let traces = open.items("traces");
    if traces.is_empty() {
        sheet.paragraph(Tone::Idle, "None within seven days.");
    }
    for trace in traces {
        let row = super::signins::row(trace, &state.names);
        sheet.dated(
            row.tone,
            text(trace, "startedAt"),
            row.cell(2),
            match row.cell(6) {
                "" => row.cell(1),
                why => why,
            },
        );
    }
}
