//! Actions: which key does which operation to what, what it ends, and what undoes it: data.

use serde_json::{Map, Value};

use super::keys::Action;
use super::panels::View;
use super::shown::text;
use super::state::State;
use super::table::Row;
use super::theme::Tone;

/// What a key does to the rows of a list.
pub struct Step {
    /// In which list.
    pub view: View,
    /// By which key.
    pub action: Action,
    /// Which operation.
    pub operation: &'static str,
    /// In a word: `End`, `Disable`.
    pub verb: &'static str,
    /// What is asked before: what ends. Nothing is asked where nothing ends.
    pub ends: Option<&'static str>,
    /// The fields of the operation, and where in the row they come from.
    pub fields: &'static [(&'static str, &'static str)],
}

const ID: &[(&str, &str)] = &[("id", "id")];
const PERSON: &[(&str, &str)] = &[("id", "id"), ("organization", "organization")];

const fn step(
    view: View,
    action: Action,
    operation: &'static str,
    verb: &'static str,
    ends: Option<&'static str>,
) -> Step {
    Step { view, action, operation, verb, ends, fields: ID }
}

const fn of_person(action: Action, operation: &'static str, verb: &'static str, ends: Option<&'static str>) -> Step {
    Step { view: View::People, action, operation, verb, ends, fields: PERSON }
}

/// The table.
pub const STEPS: &[Step] = &[
    step(
        View::Sessions,
        Action::End,
        "session.revoke",
        "End",
        Some(
            "The next request with any of it fails: cookie, codes, tokens, refresh tokens. Its apps are told by back-channel logout.",
        ),
    ),
    step(View::Connections, Action::Enable, "connection.activate", "Activate", None),
    step(
        View::Connections,
        Action::Disable,
        "connection.disable",
        "Disable",
        Some("Nobody signs in through it any more, and everybody who came through it is signed out."),
    ),
    step(View::Connections, Action::Test, "connection.test", "Test", None),
    step(View::Connections, Action::Validate, "connection.validate", "Validate", None),
    step(
        View::Connections,
        Action::Remove,
        "connection.delete",
        "Delete",
        Some(
            "Its domains are free for others, and everybody who came through it is signed out. It can be restored for 30 days.",
        ),
    ),
    of_person(
        Action::End,
        "user.suspend",
        "Suspend",
        Some("All their sessions, tokens and keys end with the next request; they cannot sign in again."),
    ),
    of_person(Action::Enable, "user.reactivate", "Give access back to", None),
    step(
        View::Apps,
        Action::Rotate,
        "app.rotate_secret",
        "Make a new secret for",
        Some("The app has to use the new secret; the old one ends after the overlap."),
    ),
    Step {
        view: View::Apps,
        action: Action::Remove,
        operation: "app.delete",
        verb: "Delete",
        ends: Some("Nobody signs in to it any more; its tokens and refresh tokens end at once. This cannot be undone."),
        fields: &[("id", "clientId")],
    },
    step(View::Endpoints, Action::Enable, "webhook.enable", "Enable", None),
    step(
        View::Endpoints,
        Action::Disable,
        "webhook.disable",
        "Disable",
        Some("Nothing is sent to it until it is enabled again."),
    ),
    step(View::Endpoints, Action::Test, "webhook.test", "Send a test event to", None),
    step(
        View::Endpoints,
        Action::Rotate,
        "webhook.rotate_secret",
        "Make a new secret for",
        Some("Both secrets sign for a day; then the old one ends."),
    ),
    step(
        View::Endpoints,
        Action::Remove,
        "webhook.delete",
        "Delete",
        Some("What waits in its queue is not sent any more."),
    ),
    step(View::Deliveries, Action::Replay, "delivery.replay", "Send again", None),
];

/// What undoes what.
pub const INVERSES: &[(&str, &str)] = &[
    ("connection.disable", "connection.activate"),
    ("connection.activate", "connection.disable"),
    ("connection.delete", "connection.restore"),
    ("user.suspend", "user.reactivate"),
    ("user.reactivate", "user.suspend"),
    ("webhook.disable", "webhook.enable"),
    ("webhook.enable", "webhook.disable"),
    ("organization.disable", "organization.enable"),
    ("organization.enable", "organization.disable"),
];

/// Operations by form: the key, the list, the operation, and which field the row fills.
pub const FORMS: &[(View, Action, &str, Option<&str>)] = &[
    (View::Connections, Action::New, "connection.create", None),
    (View::People, Action::New, "user.create", None),
    (View::Roles, Action::New, "role.create", None),
    (View::Apps, Action::New, "app.create", None),
    (View::Endpoints, Action::New, "webhook.create", None),
    (View::Endpoints, Action::Replay, "webhook.replay", Some("id")),
];

/// What is about to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The operation.
    pub operation: &'static str,
    /// In a word.
    pub verb: String,
    /// What ends by it.
    pub ends: Option<String>,
    /// To what: names and inputs.
    pub targets: Vec<(String, Value)>,
}

/// How far it is with one target.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Not begun.
    Waiting,
    /// The server was asked.
    Asked,
    /// It is done; with the answer.
    Done(Value),
    /// It was refused.
    Failed(String),
}

/// Something that is being done.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its number.
    pub id: u64,
    /// What.
    pub plan: Plan,
    /// How far it is with each.
    pub progress: Vec<Progress>,
    /// How each app takes note of the end of each session.
    pub apps: Vec<Value>,
    /// When the apps were asked about last.
    pub looked: i64,
    /// Until when they are asked about.
    pub until: i64,
}

/// What can be undone.
#[derive(Clone, Debug, PartialEq)]
pub struct Undo {
    /// What was done.
    pub told: String,
    /// What undoes it.
    pub plan: Plan,
}

impl Run {
    /// How many are done, and how many were refused.
    pub fn counts(&self) -> (usize, usize) {
        let done = self.progress.iter().filter(|one| matches!(one, Progress::Done(_))).count();
        let failed = self.progress.iter().filter(|one| matches!(one, Progress::Failed(_))).count();
        (done, failed)
    }

    /// Whether each was done or refused.
    pub fn is_over(&self) -> bool {
        let (done, failed) = self.counts();
        done + failed == self.progress.len()
    }

    /// Whether some app has still to take note.
    pub fn is_told(&self) -> bool {
        let pending = |app: &Value| text(app, "logout") == "pending";
        !self.apps.iter().any(|session| super::shown::list(session, "apps").iter().any(pending))
    }

    /// How it went, in one sentence.
    pub fn told(&self) -> (Tone, String) {
        let (done, failed) = self.counts();
        let who = match self.plan.targets.first() {
            Some((name, _)) if self.plan.targets.len() == 1 => name.clone(),
            _ => format!("{done} of {}", self.plan.targets.len()),
        };
        match self.progress.iter().find_map(|one| if let Progress::Failed(why) = one { Some(why) } else { None }) {
            Some(why) => (Tone::Bad, format!("{} {who}: {failed} refused. {why}", self.plan.verb)),
            None => (Tone::Good, format!("{} {who}: done.", self.plan.verb)),
        }
    }
}

/// The step of that key in the list that is shown.
pub fn step_of(state: &State, action: Action) -> Option<&'static Step> {
    let view = state.open.as_ref().and_then(|open| open.view).or(state.view())?;
    let step = STEPS.iter().find(|step| step.view == view && step.action == action)?;
    (!state.setup.read_only || state.spec(step.operation).is_some_and(super::catalogue::Spec::reads)).then_some(step)
}

/// The form of that key in the list that is shown.
pub fn form_of(state: &State, action: Action) -> Option<(&'static str, Option<&'static str>)> {
    let view = state.view().filter(|_| state.open.is_none() && !state.setup.read_only)?;
    FORMS.iter().find(|form| form.0 == view && form.1 == action).map(|form| (form.2, form.3))
}

/// What that step does to the rows that are meant.
pub fn plan(state: &State, step: &'static Step) -> Option<Plan> {
    let rows: Vec<&Row> = match state.open {
        Some(_) => state.current().into_iter().collect(),
        None => state.table(step.view).targets(),
    };
    let input = |row: &Row| {
        let raw = row.raw();
        let fields = step.fields.iter().filter_map(|(field, from)| {
            let value = raw.as_ref().map_or("", |raw| text(raw, from));
            let value = if value.is_empty() && *field == "id" { row.id() } else { value };
            (!value.is_empty()).then(|| ((*field).to_owned(), Value::from(value)))
        });
        Value::Object(fields.collect::<Map<_, _>>())
    };
    let targets: Vec<_> = rows.into_iter().map(|row| (state.name_of_row(step.view, row), input(row))).collect();
    (!targets.is_empty()).then(|| Plan {
        operation: step.operation,
        verb: step.verb.to_owned(),
        ends: step.ends.map(str::to_owned),
        targets,
    })
}

/// What undoes a plan, for those targets that it was done to.
pub fn undo(run: &Run) -> Option<Undo> {
    let inverse = INVERSES.iter().find(|(done, _)| *done == run.plan.operation)?.1;
    let done = run.plan.targets.iter().zip(&run.progress).filter(|(_, progress)| matches!(progress, Progress::Done(_)));
    let targets: Vec<_> = done.map(|(target, _)| target.clone()).collect();
    let (_, told) = run.told();
    (!targets.is_empty())
        .then(|| Undo { plan: Plan { operation: inverse, verb: "Undo for".to_owned(), ends: None, targets }, told })
}
