//! What the screen shows: taken from the server as a whole, then only drawn.

use std::collections::{BTreeMap, BTreeSet};

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

/// How something ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// The person is in.
    In,
    /// Refused.
    #[default]
    Refused,
    /// A session ended.
    Over,
}

/// One sign-in, or the end of a session. The several events of one request are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// Time of day, UTC.
    pub at: String,
    /// How it ended.
    pub ending: Ending,
    /// In a word: `signed in`, or the code of a refusal.
    pub what: String,
    /// The person's address, or else the id; empty for one who was not known yet.
    pub who: String,
    /// The connection's name, and the app's where there is one.
    pub way: String,
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
        let (mut sessions, mut names) = (Vec::new(), Names::new());
        for organization in items(&organizations) {
            let of = |what: &str| format!("/v1/{what}organization={}", text(organization, "id"));
            // Those that are over, too: they know their person's address.
            let answer = socket.ask("GET", &of("sessions?limit=100&all=true&"), None).await?;
            learn(&mut names, &answer);
            let live = items(&answer).iter().filter(|session| session["live"] != false).take(20);
            sessions.extend(live.map(|session| signed(session, organization)));
            for list in ["connections?limit=100&", "apps?limit=100&"] {
                learn(&mut names, &socket.ask("GET", &of(list), None).await?);
            }
        }
        Ok(Self::of(&live, &counts, sessions, &names))
    }

    /// From the answers of the server.
    pub fn of(live: &Value, counts: &Value, mut sessions: Vec<Signed>, names: &Names) -> Self {
        sessions.sort_by(|a, b| b.since.cmp(&a.since));
        let events: Vec<&Value> = live["events"].as_array().into_iter().flatten().rev().collect();
        Self {
            url: text(live, "url"),
            version: text(live, "version"),
            counts: COUNTS.iter().map(|name| ((*name).to_owned(), counts[*name].as_u64().unwrap_or(0))).collect(),
            events: happened(&events, names),
            sessions,
            trouble: None,
        }
    }
}

/// What ids stand for: addresses of people, names of connections and apps.
pub type Names = BTreeMap<String, String>;

/// Takes the names out of a list of sessions, connections or apps.
pub(super) fn learn(names: &mut Names, page: &Value) {
    for item in items(page) {
        let (id, name) = match item.get("user") {
            // The newest come first: an address that was changed since does not win.
            Some(_) => (text(item, "user"), text(item, "email")),
            None => (text(item, if item.get("clientId").is_some() { "clientId" } else { "id" }), text(item, "name")),
        };
        if !name.is_empty() {
            names.entry(id).or_insert(name);
        }
    }
}

/// One row for each request that let somebody in, refused somebody, or ended a session; the newest first.
fn happened(events: &[&Value], names: &Names) -> Vec<Happened> {
    let mut rows: Vec<Happened> = Vec::new();
    // What belongs to a row that is already there, by its request.
    let mut known: BTreeSet<String> = BTreeSet::new();
    for event in events {
        let request = text(event, "requestId");
        let (ending, what) = match event["kind"].as_str().unwrap_or_default() {
            "connection.login.succeeded" | "session.signed_in" => (Ending::In, "signed in".to_owned()),
            "connection.login.failed" | "signin.refused" => (Ending::Refused, text(event, "errorCode")),
            "session.signed_out" => (Ending::Over, "signed out".to_owned()),
            "session.invalidated" => (Ending::Over, "session ended".to_owned()),
            _ => continue,
        };
        if ending == Ending::In && !request.is_empty() && !known.insert(request.clone()) {
            continue;
        }
        // A sign-in's facts stand in several events of its request: who and through what, into which app.
        let together: Vec<&Value> = match ending {
            Ending::In => events.iter().copied().filter(|other| other["requestId"] == event["requestId"]).collect(),
            _ => vec![*event],
        };
        let name = |kind: &str| {
            let id = together.iter().find_map(|event| target(event, kind))?;
            Some(names.get(&id).cloned().unwrap_or(id))
        };
        let way: Vec<String> = [name("connection"), name("app")].into_iter().flatten().collect();
        rows.push(Happened {
            at: text(event, "occurredAt").get(11..19).unwrap_or_default().to_owned(),
            ending,
            what,
            who: name("user").unwrap_or_default(),
            way: way.join(" → "),
            request,
        });
    }
    rows
}

/// The id of the first thing of that kind that an event is about.
fn target(event: &Value, kind: &str) -> Option<String> {
    let others = event["targets"].as_array().into_iter().flatten();
    let found = std::iter::once(&event["subject"]).chain(others).find(|target| target["kind"] == kind)?;
    Some(text(found, "id"))
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
