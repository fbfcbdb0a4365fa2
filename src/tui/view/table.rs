//! A list, drawn: titles, rows, marks, where the reader stands, and how far down that is.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr as _;

use crate::tui::panels::View;
use crate::tui::shown::{cut, moment, wrapped};
use crate::tui::state::{Link, State};
use crate::tui::table::{self, Column, Kind, Load, Row, Table};
use crate::tui::theme::Tone;

/// Before each row: mark, sign, and a space after each.
pub const LEAD: u16 = 3;

/// Draws it into the inside of a frame.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, view: View) {
    let (look, table) = (state.look, state.table(view));
    if area.height == 0 || area.width < 10 {
        return;
    }
    if table.shown() == 0 {
        return nothing(frame, area, state, view, table);
    }
    let places = table::layout(table.columns(), area.width.saturating_sub(LEAD + 1));
    let mut titles = vec![Span::raw("   ")];
    for (at, (column, _, wide)) in places.iter().enumerate() {
        let Some(it) = table.columns().get(*column) else { continue };
        let arrow = match table.sort() {
            Some((by, false)) if by == *column => look.either("↑", "^"),
            Some((by, true)) if by == *column => look.either("↓", "v"),
            _ => "",
        };
        let title = aligned(&cut(&format!("{}{arrow}", it.title), usize::from(*wide), look.unicode), *wide, it.kind);
        let style = if arrow.is_empty() { look.dim() } else { look.accent() };
        titles.push(Span::styled(title, style.add_modifier(Modifier::BOLD)));
        if at + 1 < places.len() {
            titles.push(Span::raw("  "));
        }
    }
    frame.render_widget(Line::from(titles), Rect { height: 1, ..area });
    let height = usize::from(area.height - 1);
    let (at, top) = table.place();
    for (place, row) in table.screen(height) {
        let Ok(y) = u16::try_from(place - top) else { continue };
        let line = Rect { y: area.y + 1 + y, height: 1, width: area.width - 1, ..area };
        let drawn = line_of(state, table, row, &places);
        if place == at {
            frame.render_widget(drawn.style(look.chosen()), line);
            frame.buffer_mut().set_style(line, look.chosen());
        } else {
            frame.render_widget(drawn, line);
        }
    }
    thumb(
        frame,
        Rect { x: area.x + area.width - 1, y: area.y + 1, width: 1, height: area.height - 1 },
        state,
        table.shown(),
        top,
    );
}

fn line_of(state: &State, table: &Table, row: &Row, places: &[(usize, u16, u16)]) -> Line<'static> {
    let look = state.look;
    let marked = table.is_marked(row.id());
    let mut spans = vec![
        Span::styled(if marked { look.either("▌", ">") } else { " " }, look.accent()),
        Span::styled(format!("{} ", look.sign(row.tone)), look.tone(row.tone)),
    ];
    for (at, (column, _, wide)) in places.iter().enumerate() {
        let Some(it) = table.columns().get(*column) else { continue };
        let text = table::written(row, *column, it.kind, state.now);
        let text = aligned(&cut(&text, usize::from(*wide), look.unicode), *wide, it.kind);
        spans.push(Span::styled(text, style(state, it, row, *column)));
        if at + 1 < places.len() {
            spans.push(Span::raw("  "));
        }
    }
    Line::from(spans)
}

fn style(state: &State, column: &Column, row: &Row, at: usize) -> ratatui::style::Style {
    let look = state.look;
    match column.kind {
        Kind::Text => look.text(),
        Kind::Quiet | Kind::Ago | Kind::Clock | Kind::Number => look.dim(),
        Kind::State => look.tone(row.tone),
        Kind::Until => match moment(row.cell(at)) {
            Some(end) if end - state.now < 7 * 86_400_000 && end - state.now > 86_400_000 => look.tone(Tone::Bad),
            Some(end) if end - state.now < 30 * 86_400_000 && end - state.now > 86_400_000 => look.tone(Tone::Warn),
            _ => look.dim(),
        },
    }
}

fn aligned(text: &str, wide: u16, kind: Kind) -> String {
    let gap = " ".repeat(usize::from(wide).saturating_sub(text.width()));
    if kind == Kind::Number { format!("{gap}{text}") } else { format!("{text}{gap}") }
}

/// How far down the screen is.
pub fn thumb(frame: &mut Frame<'_>, area: Rect, state: &State, all: usize, top: usize) {
    let height = usize::from(area.height);
    if all <= height || height == 0 {
        return;
    }
    let long = (height * height / all).max(1);
    let start = top * (height - long) / (all - height).max(1);
    for at in start..(start + long).min(height) {
        let y = area.y + u16::try_from(at).unwrap_or(0);
        frame.buffer_mut().set_string(area.x, y, state.look.either("┃", "#"), state.look.line());
    }
}

/// An empty list says why, and what comes next.
fn nothing(frame: &mut Frame<'_>, area: Rect, state: &State, view: View, table: &Table) {
    let look = state.look;
    let (first, next) = view.nothing();
    let (tone, told, more) = match (&table.load, &state.link) {
        (Load::Failed(why), _) => (Tone::Bad, why.clone(), "^r asks again.".to_owned()),
        (Load::Waiting, Link::Lost(_, why)) => (Tone::Bad, why.clone(), "It is tried again and again.".to_owned()),
        (Load::Waiting, _) => (Tone::Busy, "asking …".to_owned(), String::new()),
        (Load::Ready, _) if !table.is_empty() => {
            (Tone::Idle, format!("Nothing fits `{}`.", table.filter()), "esc takes the filter away.".to_owned())
        }
        (Load::Ready, _) if view == View::Deliveries && state.endpoint.is_none() => {
            (Tone::Idle, "No endpoint is chosen.".to_owned(), "tab goes to the endpoints.".to_owned())
        }
        (Load::Ready, _) => (Tone::Idle, first.to_owned(), next.to_owned()),
    };
    let room = usize::from(area.width).saturating_sub(6).clamp(10, 70);
    let mut lines = vec![Line::styled(look.sign(tone), look.tone(tone))];
    let style = if tone == Tone::Bad { look.tone(tone) } else { look.text() };
    lines.extend(wrapped(&told, room).into_iter().map(|line| Line::styled(line, style)));
    lines.extend(wrapped(&more, room).into_iter().map(|line| Line::styled(line, look.dim())));
    let high = u16::try_from(lines.len()).unwrap_or(3);
    let y = area.y + area.height.saturating_sub(high) / 3;
    let place = Rect { y, height: high.min(area.height), ..area };
    frame.render_widget(Paragraph::new(lines).centered(), place);
}
