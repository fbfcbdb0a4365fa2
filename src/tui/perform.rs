//! What each action does: to the lists, to what lies over them, and to the server.

use serde_json::{Value, json};

use super::act::{self, Plan};
use super::ask::{Ask, Poll};
use super::due::due;
use super::keys::Action;
use super::overlay::palette::Goes;
use super::overlay::{Choose, Form, Overlay, Palette};
use super::panels::{PANELS, View};
use super::shown::text;
use super::state::{Asked, State};
use super::table::Load;
use super::theme::{Theme, Tone};
use super::update::{Effect, asked, begin};

/// Whether that does something here and now. The footer shows what is possible.
pub fn is_possible(state: &State, action: Action) -> bool {
    let (view, table, open) = (state.view(), state.here(), state.open.as_ref());
    let row = state.current().is_some();
    match action {
        Action::Down | Action::Up | Action::PageDown | Action::PageUp | Action::Top | Action::Bottom => view.is_some(),
        Action::Open => row && open.is_none(),
        Action::Back => {
            open.is_some()
                || state.held.is_some()
                || table.is_some_and(|table| !table.filter().is_empty() || table.marks() > 0)
        }
        Action::NextView | Action::PreviousView => state.face().views.len() > 1 && open.is_none(),
        Action::Filter => table.is_some() && open.is_none(),
        Action::Sort | Action::Reverse => table.is_some_and(|table| table.shown() > 1) && open.is_none(),
        Action::Mark | Action::MarkAll => {
            let step = view.is_some_and(|view| act::STEPS.iter().any(|step| step.view == view));
            row && step && open.is_none() && !state.setup.read_only
        }
        Action::Copy | Action::CopyAll => row,
        Action::Explain => row && matches!(view, Some(View::Audit)) && super::view::request_of(state).is_some(),
        Action::Pause => true,
        Action::Undo => state.undo.is_some() && !state.setup.read_only,
        Action::Verify => view == Some(View::Audit) && open.is_none(),
        Action::New => act::form_of(state, action).is_some(),
        Action::End
        | Action::Enable
        | Action::Disable
        | Action::Test
        | Action::Validate
        | Action::Rotate
        | Action::Remove => row && act::step_of(state, action).is_some(),
        Action::Replay => row && (act::step_of(state, action).is_some() || act::form_of(state, action).is_some()),
        _ => true,
    }
}

/// Does what a key, or the mouse, asked for.
pub fn perform(state: &mut State, action: Action) -> Vec<Effect> {
    let page = isize::try_from(super::view::rows(state)).unwrap_or(10).max(2) - 1;
    match action {
        Action::Down => return step_down(state, 1),
        Action::Up => return step_down(state, -1),
        Action::PageDown => return step_down(state, page),
        Action::PageUp => return step_down(state, -page),
        Action::Top => return step_down(state, isize::MIN / 2),
        Action::Bottom => return step_down(state, isize::MAX / 2),
        Action::Open => return open(state),
        Action::Back => back(state),
        Action::Panel(panel) => show(state, panel),
        Action::NextPanel => show(state, (state.panel + 1) % PANELS.len()),
        Action::PreviousPanel => show(state, (state.panel + PANELS.len() - 1) % PANELS.len()),
        Action::NextView => turn(state, 1),
        Action::PreviousView => turn(state, -1),
        Action::Filter => state.typing = state.here().map(|table| table.filter().to_owned()),
        Action::Palette => state.overlay = Some(Overlay::Palette(Palette::default())),
        Action::Help => state.overlay = Some(Overlay::Help(0)),
        Action::Sort => {
            let count = state.here().map_or(1, |table| table.columns().len());
            if let Some(table) = state.here_mut() {
                match table.sort() {
                    None => table.sort_by(0),
                    Some((column, false)) => table.sort_by(column),
                    Some((column, true)) if column + 1 < count => table.sort_by(column + 1),
                    Some((column, true)) => table.sort_by(column),
                }
            }
        }
        Action::Reverse => {
            if let Some(table) = state.here_mut() {
                table.reverse();
            }
        }
        Action::Mark => {
            if let Some(table) = state.here_mut() {
                table.mark();
                table.go(1);
            }
        }
        Action::MarkAll => {
            if let Some(table) = state.here_mut() {
                table.mark_all();
            }
        }
        Action::Copy => {
            let copied = super::view::copies(state).into_iter().next();
            return copied.map(|(name, value)| copy(state, &name, value)).unwrap_or_default();
        }
        Action::CopyAll => {
            state.overlay = Some(Overlay::Choose(Choose { items: super::view::copies(state), at: 0 }));
        }
        Action::Explain => {
            if let Some(request) = super::view::request_of(state) {
                let targets = vec![(request.clone(), json!({"id": request}))];
                let plan = Plan { operation: "signin.explain", verb: "Explain".to_owned(), ends: None, targets };
                return begin(state, plan);
            }
        }
        Action::Pause => match state.held {
            Some(_) => state.resume(),
            None => state.held = Some(Vec::new()),
        },
        Action::Refresh => {
            for asked in state.asked.values_mut() {
                *asked = Asked::default();
            }
            state.tell(Tone::Plain, "Everything is asked for again.");
            return due(state);
        }
        Action::Undo => {
            if let Some(undo) = state.undo.take() {
                return begin(state, undo.plan);
            }
        }
        Action::Theme => use_theme(state, state.look.theme.next().name),
        Action::Verify => {
            let plan = Plan {
                operation: "audit.verify",
                verb: "Verify".to_owned(),
                ends: None,
                targets: vec![("the log".to_owned(), json!({}))],
            };
            return begin(state, plan);
        }
        Action::Suspend => return vec![Effect::Suspend],
        Action::Quit => return vec![Effect::Quit],
        _ => return step(state, action),
    }
    Vec::new()
}

fn step(state: &mut State, action: Action) -> Vec<Effect> {
    if let Some(plan) = act::step_of(state, action).and_then(|step| act::plan(state, step)) {
        if plan.ends.is_some() {
            state.overlay = Some(Overlay::Confirm(plan, false));
            return Vec::new();
        }
        let told = format!("{} {} …", plan.verb, plan.targets.first().map_or("", |(name, _)| name.as_str()));
        state.tell(Tone::Busy, told);
        return begin(state, plan);
    }
    if let Some((operation, field)) = act::form_of(state, action) {
        let id = state.current().map(|row| row.id().to_owned());
        let known: Vec<_> = field.and_then(|field| Some((field.to_owned(), id?))).into_iter().collect();
        form(state, operation, known);
    }
    Vec::new()
}

/// Shows the form of an operation, with what is known.
pub fn form(state: &mut State, operation: &str, mut known: Vec<(String, String)>) {
    // Where there is one organization only, that one is meant.
    let mut organizations = state.names.keys().filter(|id| id.starts_with("org_"));
    if let (Some(only), None) = (organizations.next(), organizations.next()) {
        known.push(("organization".to_owned(), only.clone()));
    }
    if let Some(spec) = state.spec(operation) {
        state.overlay = Some(Overlay::Form(Form::of(spec, &known)));
    }
}

/// What was chosen in the palette.
pub fn chosen(state: &mut State, goes: Goes, fields: Vec<(String, String)>) -> Vec<Effect> {
    state.overlay = None;
    match goes {
        Goes::Panel(panel) => show(state, panel),
        Goes::Theme(name) => use_theme(state, name),
        Goes::Help => state.overlay = Some(Overlay::Help(0)),
        Goes::Quit => return vec![Effect::Quit],
        Goes::Operation(name) => {
            if state.spec(name).is_some_and(|spec| spec.fields.is_empty()) {
                return submit(state, name, json!({}));
            }
            form(state, name, fields);
        }
    }
    Vec::new()
}

/// An operation with its input: done at once, or after a question when something ends by it.
pub fn submit(state: &mut State, operation: &str, input: Value) -> Vec<Effect> {
    let Some(spec) = state.spec(operation) else { return Vec::new() };
    let known = act::STEPS.iter().find(|step| step.operation == operation).and_then(|step| step.ends);
    let last = spec.name.rsplit('.').next().unwrap_or_default();
    let drastic = spec.route.method == crate::access::Method::Delete
        || ["disable", "suspend", "rotate", "rotate_secret", "revoke_all", "reset", "remove"].contains(&last);
    let ends = known.map(str::to_owned).or_else(|| drastic.then(|| format!("{}.", spec.about)));
    let target = ["id", "name", "user", "connection", "domain"]
        .iter()
        .map(|field| text(&input, field))
        .find(|told| !told.is_empty());
    let target = target.map_or_else(|| spec.name.to_owned(), |id| super::panels::name_of(&state.names, id));
    let plan = Plan { operation: spec.name, verb: spec.name.to_owned(), ends, targets: vec![(target, input)] };
    if plan.ends.is_some() {
        state.overlay = Some(Overlay::Confirm(plan, false));
        return Vec::new();
    }
    begin(state, plan)
}

/// Copies it, and says so.
pub fn copy(state: &mut State, name: &str, value: String) -> Vec<Effect> {
    state.tell(Tone::Good, format!("{name} was copied."));
    vec![Effect::Copy(value)]
}

fn use_theme(state: &mut State, name: &str) {
    if let Some(theme) = Theme::named(name) {
        state.look.theme = theme;
        state.tell(Tone::Plain, format!("Theme: {name}."));
    }
}

fn step_down(state: &mut State, by: isize) -> Vec<Effect> {
    if state.open.is_some() {
        let end = super::view::sheet_end(state);
        if let Some(open) = &mut state.open {
            open.scroll = open.scroll.saturating_add_signed(by).min(end);
        }
        return Vec::new();
    }
    let Some(view) = state.view() else { return Vec::new() };
    state.table_mut(view).go(by);
    state.rested = state.now;
    let table = state.table(view);
    let at_end = table.place().0 + 1 >= table.shown();
    // Older rows are fetched where the reader comes to the end of those that are there.
    if by > 0 && at_end && !state.more.contains(&view) {
        let poll = match view {
            View::Audit => Poll::History,
            View::Signins => Poll::Signins,
            _ => return Vec::new(),
        };
        if let Some(what) = table.older.as_deref().and_then(|cursor| poll.what(Some(cursor), None, "")) {
            state.more.insert(view);
            return vec![Effect::Ask(Ask::More(view), what)];
        }
    }
    Vec::new()
}

/// Opens the row that the reader is at.
pub fn open(state: &mut State) -> Vec<Effect> {
    let (Some(view), Some(row)) = (state.view(), state.current().cloned()) else { return Vec::new() };
    let (open, asks) = state.opened(view, &row);
    if view == View::Endpoints {
        let changed = state.endpoint.as_ref().is_none_or(|(id, _)| *id != open.id);
        state.endpoint = Some((open.id.clone(), open.name.clone()));
        if changed {
            state.table_mut(View::Deliveries).clear();
            state.asked.insert(Poll::Deliveries, Asked::default());
        }
    }
    state.open = Some(open);
    asked(asks)
}

fn back(state: &mut State) {
    if state.open.take().is_some() {
        return;
    }
    if state.held.is_some() {
        return state.resume();
    }
    if let Some(table) = state.here_mut() {
        if table.marks() > 0 {
            table.unmark();
        } else {
            table.set_filter("");
        }
    }
}

fn show(state: &mut State, panel: usize) {
    if panel != state.panel {
        (state.panel, state.open, state.peek) = (panel, None, None);
    }
}

fn turn(state: &mut State, by: isize) {
    let count = state.face().views.len().max(1);
    // The deliveries are those of an endpoint: of the one that the reader is at.
    if state.view() == Some(View::Endpoints)
        && let Some(row) = state.table(View::Endpoints).current().cloned()
    {
        let name = state.name_of_row(View::Endpoints, &row);
        if state.endpoint.as_ref().is_none_or(|(id, _)| id != row.id()) {
            state.endpoint = Some((row.id().to_owned(), name));
            state.table_mut(View::Deliveries).clear();
            state.asked.insert(Poll::Deliveries, Asked::default());
        }
    }
    if let Some(shown) = state.shown.get_mut(state.panel) {
        *shown = (*shown + count).saturating_add_signed(by) % count;
    }
    state.peek = None;
    if state.view() == Some(View::Deliveries) && state.endpoint.is_none() {
        state.table_mut(View::Deliveries).load = Load::Ready;
    }
}
