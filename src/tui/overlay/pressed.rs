//! What keys do while something lies over the panels.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Overlay;
use crate::tui::perform::{chosen, copy, submit};
use crate::tui::state::State;
use crate::tui::update::{Effect, begin, rubbed, typed};

/// A key.
pub fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.code == KeyCode::Esc || (control && key.code == KeyCode::Char('c')) {
        state.overlay = None;
        return Vec::new();
    }
    match &state.overlay {
        Some(Overlay::Palette(_)) => palette(state, key),
        Some(Overlay::Form(_)) => form(state, key),
        Some(Overlay::Confirm(..)) => confirm(state, key),
        Some(Overlay::Choose(_)) => choose(state, key),
        _ => scrolled(state, key),
    }
}

fn palette(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Palette(palette)) = &mut state.overlay else { return Vec::new() };
    let found = palette.found(&state.setup.specs, state.setup.read_only);
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Down => palette.at = (palette.at + 1).min(found.len().saturating_sub(1)),
        KeyCode::Up => palette.at = palette.at.saturating_sub(1),
        KeyCode::Char('n') if control => palette.at = (palette.at + 1).min(found.len().saturating_sub(1)),
        KeyCode::Char('p') if control => palette.at = palette.at.saturating_sub(1),
        KeyCode::Tab => {
            if let Some(entry) = found.get(palette.at) {
                entry.name.clone_into(&mut palette.typed);
                palette.at = 0;
            }
        }
        KeyCode::Enter => {
            let fields = palette.fields();
            if let Some(entry) = found.get(palette.at).cloned() {
                return chosen(state, entry.goes, fields);
            }
        }
        KeyCode::Backspace if palette.typed.is_empty() => state.overlay = None,
        KeyCode::Char(c) if !control => typed(state, c),
        _ => {
            if rubbed(&mut palette.typed, &key) {
                palette.at = 0;
            }
        }
    }
    Vec::new()
}

fn form(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Form(form)) = &mut state.overlay else { return Vec::new() };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Tab | KeyCode::Down => form.go(1),
        KeyCode::BackTab | KeyCode::Up => form.go(-1),
        KeyCode::Right => form.turn(1),
        KeyCode::Left => form.turn(-1),
        KeyCode::Char(' ') if form.turns() => form.turn(1),
        KeyCode::Enter => {
            let operation = form.operation;
            if let Some(input) = form.input() {
                state.overlay = None;
                return submit(state, operation, input);
            }
        }
        KeyCode::Char(c) if !control => typed(state, c),
        _ => {
            if let Some(value) = form.typed() {
                rubbed(value, &key);
            }
        }
    }
    Vec::new()
}

fn confirm(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Confirm(plan, yes)) = &mut state.overlay else { return Vec::new() };
    match key.code {
        KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right | KeyCode::Char('h' | 'l') => *yes = !*yes,
        KeyCode::Char('n' | 'q') => state.overlay = None,
        KeyCode::Char('y') => {
            let plan = plan.clone();
            return begin(state, plan);
        }
        KeyCode::Enter => {
            let (plan, yes) = (plan.clone(), *yes);
            state.overlay = None;
            if yes {
                return begin(state, plan);
            }
        }
        _ => {}
    }
    Vec::new()
}

fn choose(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Choose(choose)) = &mut state.overlay else { return Vec::new() };
    match key.code {
        KeyCode::Down | KeyCode::Char('j') => choose.at = (choose.at + 1).min(choose.items.len().saturating_sub(1)),
        KeyCode::Up | KeyCode::Char('k') => choose.at = choose.at.saturating_sub(1),
        KeyCode::Enter | KeyCode::Char('y') => {
            let item = choose.items.get(choose.at).cloned();
            state.overlay = None;
            return item.map(|(name, value)| copy(state, &name, value)).unwrap_or_default();
        }
        KeyCode::Char('q') => state.overlay = None,
        _ => {}
    }
    Vec::new()
}

fn scrolled(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let by: isize = match key.code {
        KeyCode::Down | KeyCode::Char('j') => 1,
        KeyCode::Up | KeyCode::Char('k') => -1,
        KeyCode::PageDown | KeyCode::Char(' ') => 10,
        KeyCode::PageUp => -10,
        _ => 0,
    };
    match &mut state.overlay {
        Some(Overlay::Help(scroll)) if by != 0 => *scroll = scroll.saturating_add_signed(by).min(200),
        Some(Overlay::Answer(answer)) if by != 0 => answer.scroll = answer.scroll.saturating_add_signed(by).min(5_000),
        Some(Overlay::Answer(answer)) if key.code == KeyCode::Char('y') => {
            let (name, value) = match &answer.secret {
                Some(secret) => ("The secret", secret.clone()),
                None => ("The answer", format!("{:#}", answer.value)),
            };
            return copy(state, name, value);
        }
        _ if matches!(key.code, KeyCode::Char('q' | '?') | KeyCode::Enter) => state.overlay = None,
        _ => {}
    }
    Vec::new()
}
