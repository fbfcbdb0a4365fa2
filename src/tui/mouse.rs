//! The mouse: panels, titles, rows, and the wheel. Where things stand is asked of the view.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::keys::Action;
use super::overlay::Overlay;
use super::perform::{open, perform};
use super::state::State;
use super::table::layout;
use super::update::Effect;
use super::view::{LEAD, inside, places, tab_places};

/// So many rows a turn of the wheel.
const WHEEL: isize = 3;

/// Something was done with the mouse.
pub fn pointed(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    let (x, y) = (mouse.column, mouse.row);
    match mouse.kind {
        MouseEventKind::ScrollDown => wheel(state, WHEEL),
        MouseEventKind::ScrollUp => wheel(state, -WHEEL),
        MouseEventKind::Down(MouseButton::Left) if state.overlay.is_none() => clicked(state, x, y),
        MouseEventKind::Down(MouseButton::Right) if state.open.is_some() => perform(state, Action::Back),
        _ => Vec::new(),
    }
}

fn wheel(state: &mut State, by: isize) -> Vec<Effect> {
    if let Some(overlay) = &mut state.overlay {
        match overlay {
            Overlay::Help(scroll) => *scroll = scroll.saturating_add_signed(by),
            Overlay::Answer(answer) => answer.scroll = answer.scroll.saturating_add_signed(by),
            _ => {
                let code = if by > 0 { KeyCode::Down } else { KeyCode::Up };
                return super::overlay::pressed::pressed(state, KeyEvent::new(code, KeyModifiers::NONE));
            }
        }
        return Vec::new();
    }
    let action = if by > 0 { Action::Down } else { Action::Up };
    let mut effects = Vec::new();
    for _ in 0..by.unsigned_abs() {
        effects.extend(perform(state, action));
    }
    effects
}

fn clicked(state: &mut State, x: u16, y: u16) -> Vec<Effect> {
    let places = places(state);
    if y == places.tabs.y {
        let tab = tab_places(state.size.0).into_iter().rfind(|(_, from, _)| *from <= x);
        return tab.map(|(panel, ..)| perform(state, Action::Panel(panel))).unwrap_or_default();
    }
    let inner = inside(places.body);
    if state.open.is_some() || x < inner.x || x >= inner.x + inner.width || y < inner.y || y >= inner.y + inner.height {
        return Vec::new();
    }
    let Some(table) = state.here_mut() else { return Vec::new() };
    if y == inner.y {
        let at = x.saturating_sub(inner.x + LEAD);
        let column =
            layout(table.columns(), inner.width.saturating_sub(LEAD + 1)).into_iter().rfind(|(_, from, _)| *from <= at);
        if let Some((column, ..)) = column {
            table.sort_by(column);
        }
        return Vec::new();
    }
    let (now, top) = table.place();
    let place = top + usize::from(y - inner.y - 1);
    if place >= table.shown() {
        return Vec::new();
    }
    // The second click opens.
    if place == now {
        return open(state);
    }
    table.go_to(place);
    Vec::new()
}
