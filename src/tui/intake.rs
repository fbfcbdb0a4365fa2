//! What the server says, taken into the state: answers of operations, and events of the feed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::act::Progress;
use super::ask::{Ask, Poll, STIRRED, What};
use super::overlay::{Answer, Overlay};
use super::panels::View;
use super::shown::{items, list, text};
use super::state::State;
use super::table::{Load, Row};
use super::theme::Tone;
use crate::console::escaped;

/// So many events are kept; older ones are fetched again when somebody goes there.
pub const EVENTS: usize = 10_000;

/// What was refused because it is not this reader's is left alone for so long, in milliseconds.
const FOREIGN: i64 = 300_000;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A stable code.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// The next step.
    pub help: Option<String>,
}

impl Refusal {
    /// With texts that command no terminal.
    pub fn harmless(self) -> Self {
        let help = self.help.as_deref().map(escaped);
        Self { code: escaped(&self.code), message: escaped(&self.message), help }
    }

    fn told(&self) -> String {
        match &self.help {
            Some(help) => format!("{} {help}", self.message),
            None => self.message.clone(),
        }
    }
}

impl State {
    /// An answer. What follows from it is asked next.
    pub fn answered(&mut self, ask: Ask, answer: Result<Value, Refusal>) -> Vec<(Ask, What)> {
        match ask {
            Ask::Poll(poll) => self.polled(poll, answer),
            Ask::More(view) => {
                self.more.remove(&view);
                self.paged(view, answer)
            }
            Ask::Part { view, id, key } => {
                let part = answer.map_err(|refusal| refusal.told());
                for open in [&mut self.open, &mut self.peek].into_iter().flatten() {
                    if open.view == Some(view) && open.id == id {
                        open.parts.insert(key, Some(part.clone()));
                    }
                }
                Vec::new()
            }
            Ask::Search(words) => {
                match answer {
                    Ok(answer) => {
                        let count = items(&answer).len();
                        self.put(View::Audit, &answer);
                        self.tell(
                            Tone::Plain,
                            format!("{} in the whole log: {words}", super::shown::counted(count, "event", "events")),
                        );
                    }
                    Err(refusal) => self.tell(Tone::Bad, refusal.told()),
                }
                Vec::new()
            }
            Ask::Act(run, target) => self.acted(run, target, answer),
            Ask::Acknowledged(run, target) => {
                if let (Some(run), Ok(session)) = (self.run.as_mut().filter(|known| known.id == run), answer)
                    && let Some(place) = run.apps.get_mut(target)
                {
                    *place = session;
                }
                Vec::new()
            }
        }
    }

    fn polled(&mut self, poll: Poll, answer: Result<Value, Refusal>) -> Vec<(Ask, What)> {
        if let Some(asked) = self.asked.get_mut(&poll) {
            asked.pending = false;
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => {
                // What is not this reader's is not asked for every few seconds: each refusal stands in the log.
                let foreign = matches!(refusal.code.as_str(), "operator_only" | "missing_grant");
                if let Some(asked) = self.asked.get_mut(&poll).filter(|_| foreign) {
                    asked.at = Some(self.now + FOREIGN);
                }
                if let Some(view) = poll.view() {
                    self.table_mut(view).load = Load::Failed(refusal.told());
                }
                if poll == Poll::Doctor {
                    self.doctor = Err(refusal.message);
                }
                return Vec::new();
            }
        };
        match poll {
            Poll::Place => {
                for (place, field) in [(&mut self.place, "url"), (&mut self.version, "version")] {
                    if !text(&answer, field).is_empty() {
                        text(&answer, field).clone_into(place);
                    }
                }
            }
            Poll::Counts => self.counts = answer,
            Poll::Timings => self.speed.saw(self.now, &answer),
            Poll::Doctor => self.doctor = Ok(answer),
            Poll::Hour => {
                self.pulse.begin(items(&answer));
                for event in items(&answer) {
                    self.saw_signin(event);
                }
                self.join_connections();
            }
            Poll::History => {
                self.put(View::Audit, &answer);
                if self.cursor.is_none() {
                    self.cursor = Some(items(&answer).first().and_then(|event| event["seq"].as_u64()).unwrap_or(0));
                }
                let table = self.table_mut(View::Audit);
                if table.older.is_none() {
                    table.older = answer["next"].as_str().map(str::to_owned);
                }
            }
            Poll::Organizations => self.learn(items(&answer), "id", "name"),
            Poll::Fresh | Poll::Scim => self.put(poll.view().unwrap_or(View::Scim), &answer),
            Poll::Signins => {
                self.put(View::Signins, &answer);
                self.forget_attempts(&answer);
                let table = self.table_mut(View::Signins);
                if table.older.is_none() {
                    table.older = answer["next"].as_str().map(str::to_owned);
                }
            }
            Poll::Expiry => {
                self.certificates = first_certificates(&answer);
                self.whole(View::Expiry, &answer);
                self.join_connections();
            }
            Poll::Deliveries => self.whole(View::Deliveries, &answer),
            _ => return self.first_page(poll, &answer),
        }
        Vec::new()
    }

    /// The first page of a list that is read as a whole.
    fn first_page(&mut self, poll: Poll, answer: &Value) -> Vec<(Ask, What)> {
        let Some(view) = poll.view() else { return Vec::new() };
        self.table_mut(view).begin();
        self.page(view, answer)
    }

    /// One more page, of a list that is read as a whole or of one that grows backwards.
    fn paged(&mut self, view: View, answer: Result<Value, Refusal>) -> Vec<(Ask, What)> {
        match answer {
            Err(refusal) => {
                self.tell(Tone::Bad, refusal.told());
                Vec::new()
            }
            Ok(answer) if matches!(view, View::Audit | View::Signins) => {
                self.put(view, &answer);
                self.table_mut(view).older = answer["next"].as_str().map(str::to_owned);
                Vec::new()
            }
            Ok(answer) => self.page(view, &answer),
        }
    }

    fn page(&mut self, view: View, answer: &Value) -> Vec<(Ask, What)> {
        self.put(view, answer);
        let mut next = Vec::new();
        let poll =
            super::ask::PACES.iter().map(|pace| pace.poll).find(|poll| poll.view() == Some(view) && poll.whole());
        match (answer["next"].as_str(), poll.and_then(|poll| poll.what(answer["next"].as_str(), None, ""))) {
            (Some(_), Some(what)) => {
                self.more.insert(view);
                next.push((Ask::More(view), what));
            }
            _ => self.table_mut(view).end(),
        }
        next
    }

    /// A list that came as a whole.
    fn whole(&mut self, view: View, answer: &Value) {
        self.table_mut(view).begin();
        self.put(view, answer);
        self.table_mut(view).end();
    }

    /// Puts the items of an answer into a list.
    fn put(&mut self, view: View, answer: &Value) {
        let items = items(answer);
        match view {
            View::Connections | View::Groups => self.learn(items, "id", "name"),
            View::Apps => self.learn(items, "clientId", "name"),
            View::People => self.learn(items, "id", "email"),
            // Of a hundred thousand sessions these names would be a second copy.
            View::Sessions if self.table(View::Sessions).len() < 5_000 => self.learn(items, "user", "email"),
            _ => {}
        }
        let row = |item: &Value| match view {
            View::Connections => view.row(&self.join_connection(item.clone()), &self.names),
            _ => view.row(item, &self.names),
        };
        let rows = items.iter().map(row).collect();
        self.table_mut(view).put_all(rows);
        self.refresh_opened(view);
        self.table_mut(view).load = Load::Ready;
    }

    /// What is opened, and what stands beside the list, says what the list says by now.
    fn refresh_opened(&mut self, view: View) {
        let Some(table) = self.tables.get(view as usize) else { return };
        for open in [&mut self.open, &mut self.peek].into_iter().flatten().filter(|open| open.view == Some(view)) {
            if let Some(raw) = table.find(&open.id).and_then(Row::raw) {
                open.raw = raw;
            }
        }
    }

    /// What ids stand for.
    fn learn(&mut self, items: &[Value], id: &str, name: &str) {
        for item in items {
            let (id, name) = (text(item, id), text(item, name));
            if !id.is_empty() && !name.is_empty() && self.names.get(id).is_none_or(|known| known != name) {
                self.names.insert(id.to_owned(), name.to_owned());
                self.renamed = true;
            }
        }
    }

    /// Rows that were made before a name was known are made anew.
    pub fn rename(&mut self) {
        if !std::mem::take(&mut self.renamed) {
            return;
        }
        let names = std::mem::take(&mut self.names);
        for (view, table) in View::ALL.into_iter().zip(&mut self.tables) {
            table.redo(|raw| view.row(raw, &names));
        }
        self.names = names;
        // Of sessions nothing is kept to make rows from.
        if self.table(View::Sessions).len() <= 2_000 {
            self.want(Poll::Sessions);
        }
    }

    /// Attempts that are no longer under way, and left no trace, are gone.
    fn forget_attempts(&mut self, answer: &Value) {
        let known: BTreeSet<&str> = items(answer).iter().map(|item| text(item, "id")).collect();
        let away = |row: &&Row| row.tone == Tone::Busy && !known.contains(row.id());
        let gone: Vec<String> =
            self.table(View::Signins).rows().rev().take(1_000).filter(away).map(|row| row.id().to_owned()).collect();
        for id in gone {
            self.table_mut(View::Signins).remove(&id);
        }
    }

    fn acted(&mut self, id: u64, target: usize, answer: Result<Value, Refusal>) -> Vec<(Ask, What)> {
        let now = self.now;
        let Some(run) = self.run.as_mut().filter(|run| run.id == id) else { return Vec::new() };
        let operation = run.plan.operation;
        if let Some(place) = run.progress.get_mut(target) {
            *place = match answer {
                Ok(answer) => Progress::Done(answer),
                Err(refusal) => Progress::Failed(refusal.told()),
            };
        }
        let mut next = super::update::next_of(run);
        if !run.is_over() {
            return next;
        }
        run.until = now + 60_000;
        let (tone, told) = run.told();
        let one = (run.progress.len() == 1).then(|| run.progress.first().cloned()).flatten();
        let reads = super::act::undo(run).is_none();
        if let Some(undo) = super::act::undo(run).filter(|_| run.plan.verb != "Undo for") {
            self.undo = Some(undo);
        }
        self.stir(operation);
        match one {
            // What was asked for is shown; what has a secret in it is shown once.
            Some(Progress::Done(answer)) if reads && operation != "session.revoke" && !answer.is_null() => {
                self.overlay = Some(Overlay::Answer(Answer::of(operation, &told, answer)));
                // That it is under way is no news any more.
                self.toast = None;
            }
            _ if operation == "session.revoke" => {}
            _ => self.tell(tone, told),
        }
        // What is opened has changed.
        if let Some((view, id)) = self.open.as_ref().and_then(|open| Some((open.view?, open.id.clone())))
            && let Some(row) = self.table(view).find(&id).cloned()
        {
            let (open, asks) = self.opened(view, &row);
            let scroll = self.open.as_ref().map_or(0, |open| open.scroll);
            self.open = Some(super::state::Open { scroll, ..open });
            next.extend(asks);
        }
        self.peek = None;
        next
    }

    /// Whatever shows what that operation is about is asked again.
    fn stir(&mut self, operation: &str) {
        let noun = operation.split('.').next().unwrap_or_default();
        let polls: &[Poll] = match noun {
            "session" => &[Poll::Sessions, Poll::Counts],
            "connection" | "domain" => &[Poll::Connections, Poll::Expiry],
            "user" | "member" | "identity" => &[Poll::People],
            "webhook" | "delivery" => &[Poll::Endpoints, Poll::Deliveries],
            "app" => &[Poll::Apps],
            "organization" => &[Poll::Organizations],
            "role" => &[Poll::Roles],
            _ => &[Poll::Counts, Poll::Expiry],
        };
        for poll in polls {
            self.want(*poll);
        }
    }

    /// It is asked again as soon as may be.
    pub fn want(&mut self, poll: Poll) {
        if let Some(asked) = self.asked.get_mut(&poll) {
            asked.wanted = true;
        }
    }

    /// Events of the feed, the oldest first.
    pub fn happened(&mut self, events: Vec<Value>, next: u64) {
        self.cursor = Some(next);
        self.pulse.came(self.now, events.len());
        if let Some(held) = &mut self.held {
            held.extend(events);
            let surplus = held.len().saturating_sub(EVENTS);
            held.drain(..surplus);
            return;
        }
        for event in &events {
            self.take(event);
        }
        self.table_mut(View::Audit).trim(EVENTS);
        self.table_mut(View::Scim).trim(EVENTS);
    }

    fn take(&mut self, event: &Value) {
        let kind = text(event, "kind");
        self.pulse.take(event);
        if kind.starts_with("connection.login.") {
            self.saw_signin(event);
        }
        let row = View::Audit.row(event, &self.names);
        if kind.starts_with("connection.scim.") || kind.starts_with("connection.sync.") {
            self.table_mut(View::Scim).put(row.clone());
        }
        self.table_mut(View::Audit).put(row);
        let mut of_one = false;
        if matches!(kind, "session.signed_out" | "session.invalidated") && text(event, "subjectType") == "session" {
            self.table_mut(View::Sessions).remove(text(event, "subjectId"));
            of_one = true;
        }
        for (begins, poll) in STIRRED {
            // The end of one session needs no look at all of them.
            if kind.starts_with(begins) && !(of_one && *poll == Poll::Sessions) {
                self.want(*poll);
            }
        }
    }

    /// The last sign-in of a connection.
    fn saw_signin(&mut self, event: &Value) {
        if text(event, "kind") != "connection.login.succeeded" {
            return;
        }
        let subject = (text(event, "subjectType") == "connection").then(|| text(event, "subjectId"));
        let target = || list(event, "targets").iter().find(|target| text(target, "kind") == "connection");
        let Some(id) = subject.or_else(|| target().map(|target| text(target, "id"))) else { return };
        let at = text(event, "occurredAt");
        let last = self.last_in.entry(id.to_owned()).or_default();
        if at > last.as_str() {
            at.clone_into(last);
        }
    }

    /// The screen goes on: what came meanwhile is taken in.
    pub fn resume(&mut self) {
        for event in self.held.take().unwrap_or_default() {
            self.take(&event);
        }
    }
}

/// When the first certificate of each connection ends.
fn first_certificates(answer: &Value) -> std::collections::BTreeMap<String, String> {
    let mut first = std::collections::BTreeMap::new();
    for item in items(answer).iter().filter(|item| text(item, "kind") == "saml_certificate") {
        first.entry(text(item, "connection").to_owned()).or_insert_with(|| text(item, "at").to_owned());
    }
    first
}

/// Which connections are to be asked whether they are ready.
pub fn unready(state: &State) -> Vec<(Ask, What)> {
    let rows = state.table(View::Connections).rows().take(100);
    rows.map(|row| {
        let what = What::of("connection.status", json!({"id": row.id()}));
        (Ask::Part { view: View::Connections, id: row.id().to_owned(), key: "ready" }, what)
    })
    .collect()
}
