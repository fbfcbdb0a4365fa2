//! What the screen shows: taken from the server as a whole, then only drawn.

use serde_json::Value;

use crate::console::{Socket, escaped};
use crate::error::{Error, Result};

/// So many organizations' sessions are asked for; a screen has no room for more.
const ORGANIZATIONS: usize = 20;
/// What there is of each, in this order.
const COUNTS: &[&str] = &["organizations", "connections", "apps", "users", "sessions", "events"];

/// One look at the server. Texts are harmless for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Its address.
    pub url: String,
    /// Its version.
    pub version: String,
    /// How many there are of each kind.
    pub counts: Vec<(String, u64)>,
    /// Sign-ins and what ended them, the newest first.
    pub events: Vec<Happened>,
    /// Who is signed in, the newest first.
    pub sessions: Vec<Signed>,
    /// Why this look failed; what else is shown is then empty.
    pub trouble: Option<String>,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// Time of day, UTC.
    pub at: String,
    /// Its kind.
    pub kind: String,
    /// Who it was about.
    pub who: String,
    /// The code of a failure.
    pub code: Option<String>,
    /// The request that caused it.
    pub request: String,
}

/// One session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Day and time of day, UTC.
    pub since: String,
    /// The person's address, or else the id.
    pub who: String,
    /// In which organization.
    pub organization: String,
    /// From where.
    pub ip: String,
}

impl Snapshot {
    /// Asks the server. A failure is part of what is shown.
    pub async fn take(socket: &Socket) -> Self {
        Self::ask(socket)
            .await
            .unwrap_or_else(|error: Error| Self { trouble: Some(escaped(error.message())), ..Self::default() })
    }

    async fn ask(socket: &Socket) -> Result<Self> {
        let live = socket.ask("GET", "/live?limit=300", None).await?;
        let counts = socket.ask("GET", "/v1/counts", None).await?;
        let organizations = socket.ask("GET", &format!("/v1/organizations?limit={ORGANIZATIONS}"), None).await?;
        let mut sessions = Vec::new();
        for organization in items(&organizations) {
            let target = format!("/v1/sessions?limit=20&organization={}", text(organization, "id"));
            let answer = socket.ask("GET", &target, None).await?;
            let live = items(&answer).iter().filter(|session| session["live"] != false);
            sessions.extend(live.map(|session| signed(session, organization)));
        }
        Ok(Self::of(&live, &counts, sessions))
    }

    /// From the answers of the server.
    pub fn of(live: &Value, counts: &Value, mut sessions: Vec<Signed>) -> Self {
        sessions.sort_by(|a, b| b.since.cmp(&a.since));
        let events = live["events"].as_array().into_iter().flatten().rev();
        Self {
            url: text(live, "url"),
            version: text(live, "version"),
            counts: COUNTS.iter().map(|name| ((*name).to_owned(), counts[*name].as_u64().unwrap_or(0))).collect(),
            events: events.filter(|event| is_sign_in(&text(event, "kind"))).map(happened).collect(),
            sessions,
            trouble: None,
        }
    }
}

fn is_sign_in(kind: &str) -> bool {
    ["session.", "connection.login.", "signin."].iter().any(|part| kind.starts_with(part))
}

fn happened(event: &Value) -> Happened {
    let data = &event["data"];
    let who = ["email", "name"].iter().map(|name| text(data, name)).find(|text| !text.is_empty());
    Happened {
        at: text(event, "occurredAt").get(11..19).unwrap_or_default().to_owned(),
        kind: text(event, "kind"),
        who: who.unwrap_or_else(|| text(&event["subject"], "id")),
        code: event["errorCode"].as_str().map(escaped),
        request: text(event, "requestId"),
    }
}

/// A session as the server lists it.
fn signed(session: &Value, organization: &Value) -> Signed {
    let email = text(session, "email");
    Signed {
        since: text(session, "createdAt").get(..16).unwrap_or_default().replace('T', " "),
        who: if email.is_empty() { text(session, "user") } else { email },
        organization: text(organization, "name"),
        ip: text(session, "ip"),
    }
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> String {
    escaped(value[name].as_str().unwrap_or_default())
}
