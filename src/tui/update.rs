//! What happens becomes a new state, and what is to be done about it in the world. Nothing here waits or draws.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent};
use serde_json::{Value, json};

use super::act::{Plan, Progress, Run};
use super::ask::{Ask, Poll, What};
use super::due::due;
use super::intake::{Refusal, unready};
use super::keys;
use super::overlay::{Overlay, pressed};
use super::panels::View;
use super::perform::{is_possible, perform};
use super::shown::harmless;
use super::state::{Asked, Link, Open, State};
use super::theme::Tone;
use crate::console::escaped;

/// Something happened.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is named after what happened")]
pub enum Msg {
    Tick(i64),
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    Resize(u16, u16),
    Answer(Ask, Result<Value, Refusal>),
    Events(Vec<Value>, u64),
    Reached,
    Lost(String),
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is named after what is to be done")]
pub enum Effect {
    Ask(Ask, What),
    /// Follow the feed behind that event.
    Follow(u64),
    Copy(String),
    Suspend,
    Quit,
}

/// At most so many requests of an action at a time.
const AT_ONCE: usize = 4;

/// The one way in.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = match clean(msg) {
        Msg::Tick(now) => {
            state.now = now;
            state.rename();
            if state.toast.as_ref().is_some_and(|toast| toast.until <= now) {
                state.toast = None;
            }
            due(state)
        }
        Msg::Key(pressed) => key(state, pressed),
        Msg::Mouse(mouse) => super::mouse::pointed(state, mouse),
        Msg::Paste(text) => {
            // A paste is one line: what breaks it could be meant as an answer to a question.
            for c in text.chars().filter(|c| !c.is_control()) {
                typed(state, c);
            }
            Vec::new()
        }
        Msg::Resize(width, height) => {
            state.size = (width, height);
            Vec::new()
        }
        Msg::Answer(Ask::Part { view: View::Connections, id, key: "ready" }, answer) => {
            if let Ok(answer) = answer {
                state.ready.insert(id, answer["ready"] == true);
                state.join_connections();
            }
            Vec::new()
        }
        Msg::Answer(ask, answer) => {
            let mut next = if answer.is_ok() { reached(state) } else { Vec::new() };
            let connections = ask == Ask::Poll(Poll::Connections);
            next.extend(asked(state.answered(ask, answer)));
            if connections && (state.panel == 3 || state.ready.is_empty()) {
                next.extend(asked(unready(state)));
            }
            next
        }
        Msg::Events(events, next) => {
            state.happened(events, next);
            Vec::new()
        }
        Msg::Reached => {
            let mut next = reached(state);
            next.extend(due(state));
            next
        }
        Msg::Lost(why) => {
            match &mut state.link {
                Link::Lost(_, known) => *known = why,
                _ => state.link = Link::Lost(state.now, why),
            }
            state.more.clear();
            Vec::new()
        }
    };
    settle(state, &mut effects);
    effects
}

/// The server answers. What was asked while it did not is asked once more.
fn reached(state: &mut State) -> Vec<Effect> {
    let mut again = Vec::new();
    if matches!(state.link, Link::Lost(..)) {
        for asked in state.asked.values_mut() {
            *asked = Asked { wanted: asked.at.is_some(), ..Asked::default() };
        }
        // What stands beside the list is made anew where the reader stands.
        state.peek = None;
        let opened = state.open.as_ref().and_then(|open| Some((open.view?, open.id.clone(), open.scroll)));
        if let Some((view, id, scroll)) = opened
            && let Some(row) = state.table(view).find(&id).cloned()
        {
            let (open, asks) = state.opened(view, &row);
            state.open = Some(Open { scroll, ..open });
            again = asked(asks);
        }
    }
    state.link = Link::Live;
    again
}

/// What comes from outside is made harmless here, and nowhere else has to think of it.
fn clean(msg: Msg) -> Msg {
    match msg {
        Msg::Answer(ask, answer) => Msg::Answer(ask, answer.map(harmless).map_err(Refusal::harmless)),
        Msg::Events(events, next) => Msg::Events(events.into_iter().map(harmless).collect(), next),
        Msg::Lost(why) => Msg::Lost(escaped(&why)),
        other => other,
    }
}

pub(super) fn asked(asks: Vec<(Ask, What)>) -> Vec<Effect> {
    asks.into_iter().map(|(ask, what)| Effect::Ask(ask, what)).collect()
}

/// Lists and places in step with the size and the rows.
fn settle(state: &mut State, effects: &mut Vec<Effect>) {
    let height = usize::from(super::view::rows(state));
    let before = state.here().and_then(|table| table.current()).map(|row| row.id().to_owned());
    if let Some(table) = state.here_mut() {
        table.settle(height);
    }
    if !state.is_wide() || state.open.is_some() {
        state.peek = None;
        return;
    }
    // What the reader stands at is shown beside the list, once they rest there.
    let now = state.here().and_then(|table| table.current()).map(|row| row.id().to_owned());
    if before != now || now.as_deref() != state.peek.as_ref().map(|peek| peek.id.as_str()) {
        let known = state.peek.as_ref().is_some_and(|peek| Some(&peek.id) == now.as_ref() && peek.view == state.view());
        if !known && let (Some(view), Some(row)) = (state.view(), state.current().cloned()) {
            if state.now - state.rested < 150 && state.peek.is_some() {
                return;
            }
            state.rested = state.now;
            let (open, asks) = state.opened(view, &row);
            state.peek = Some(open);
            effects.extend(asked(asks));
        } else if now.is_none() {
            state.peek = None;
        }
    }
}

/// The next requests of what is being done.
pub fn next_of(run: &mut Run) -> Vec<(Ask, What)> {
    let under_way = run.progress.iter().filter(|one| **one == Progress::Asked).count();
    let mut room = AT_ONCE.saturating_sub(under_way);
    let mut next = Vec::new();
    for (at, ((_, input), progress)) in run.plan.targets.iter().zip(&mut run.progress).enumerate() {
        if room > 0 && *progress == Progress::Waiting {
            room -= 1;
            *progress = Progress::Asked;
            next.push((Ask::Act(run.id, at), What::of(run.plan.operation, input.clone())));
        }
    }
    next
}

/// Does it.
pub fn begin(state: &mut State, plan: Plan) -> Vec<Effect> {
    state.runs += 1;
    let progress = vec![Progress::Waiting; plan.targets.len()];
    let shows = plan.operation == "session.revoke" || plan.targets.len() > 1;
    let mut run = Run { id: state.runs, plan, progress, apps: Vec::new(), looked: 0, until: state.now + 60_000 };
    let next = next_of(&mut run);
    state.run = Some(run);
    state.overlay = shows.then_some(Overlay::Run);
    if let Some(table) = state.here_mut() {
        table.unmark();
    }
    asked(next)
}

fn key(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if key.code == KeyCode::Char('z') && key.modifiers.contains(KeyModifiers::CONTROL) {
        return vec![Effect::Suspend];
    }
    if state.overlay.is_some() {
        return pressed::pressed(state, key);
    }
    if state.typing.is_some() {
        return filtering(state, key);
    }
    let Some(binding) = keys::binding(&key) else { return Vec::new() };
    if is_possible(state, binding.action) {
        return perform(state, binding.action);
    }
    if binding.group == keys::Group::Acting {
        // Who wanted to do something should not wonder whether it was done.
        let told = match state.setup.read_only {
            true => "This dashboard is read-only: it changes nothing.".to_owned(),
            false => format!("{}: there is nothing here for that.", binding.name),
        };
        state.tell(Tone::Warn, told);
    }
    Vec::new()
}

/// A letter that was typed or pasted: into whatever takes text now.
pub fn typed(state: &mut State, c: char) {
    match &mut state.overlay {
        Some(Overlay::Palette(palette)) => {
            palette.typed.push(c);
            palette.at = 0;
        }
        Some(Overlay::Form(form)) => {
            if !form.turns()
                && let Some(value) = form.typed()
            {
                value.push(c);
            }
        }
        Some(_) => {}
        None if state.typing.is_some() => {
            if let Some(table) = state.here_mut() {
                let filter = format!("{}{c}", table.filter());
                table.set_filter(&filter);
            }
        }
        None => {}
    }
}

/// Takes the last letter, or the last word, or everything away.
pub fn rubbed(text: &mut String, key: &KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char('h') if control => drop(text.pop()),
        KeyCode::Char('u') if control => text.clear(),
        KeyCode::Char('w') if control => {
            let kept = text.trim_end().rfind(char::is_whitespace).map_or(0, |at| at + 1);
            text.truncate(kept);
        }
        _ => return false,
    }
    true
}

fn filtering(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let Some(view) = state.view() else { return Vec::new() };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Enter => {
            state.typing = None;
            let words = state.table(view).filter().trim().to_owned();
            // What is on the screen is little of the log: the server looks through all of it.
            if view == View::Audit && !words.is_empty() && !words.contains([':', '!']) {
                let what = What::of("audit.list", json!({"text": words, "limit": 500}));
                return vec![Effect::Ask(Ask::Search(words), what)];
            }
        }
        KeyCode::Esc => {
            let before = state.typing.take().unwrap_or_default();
            state.table_mut(view).set_filter(&before);
        }
        KeyCode::Char('c') if control => state.typing = None,
        KeyCode::Down | KeyCode::Up => {
            let by = if key.code == KeyCode::Down { 1 } else { -1 };
            state.table_mut(view).go(by);
        }
        KeyCode::Char(c) if !control => typed(state, c),
        _ => {
            let mut filter = state.table(view).filter().to_owned();
            if rubbed(&mut filter, &key) {
                state.table_mut(view).set_filter(&filter);
            }
        }
    }
    Vec::new()
}
