//! # view — the screen, a pure function of the state
//!
//! *Owns* where things stand and how they are drawn. *Gives* `draw`, and `places` to the mouse.
//! *Needs* the state, a theme, a frame. *Never* changes anything, and never asks the clock.
//!
//! ```text
//!  authd ● live  https://id.example.com          0.1.0  operator  12:34:56
//!  1 Overview  2 Sign-ins  3 Sessions …
//! ╭ Sessions › ada@acme.example ─────────────────────────── 3 of 12 ╮
//! │ the panel                                                        │
//! ╰──────────────────────────────────────────────────────────────────╯
//!  ⏎ open  / filter  x end …                         a sentence, if any
//! ```

mod graph;
mod over;
pub mod sheet;
mod table;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::keys::KEYS;
use super::panels::{PANELS, View};
use super::perform::is_possible;
use super::shown::{clock, counted, cut, list, number, plain, scrub, span, text};
use super::state::{Link, Open, State};
use super::theme::{Look, Tone};
pub use graph::{bars, meter};
use sheet::Sheet;
pub use table::LEAD;

/// The smallest terminal that something can be read on: columns, lines.
const LEAST: (u16, u16) = (40, 10);

/// Where things stand on the screen. A pure function of the size and of what is shown, for drawing and for the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The first line.
    pub head: Rect,
    /// The panels' names.
    pub tabs: Rect,
    /// The frame of the list, or of whatever is opened.
    pub body: Rect,
    /// The frame of the row beside it.
    pub side: Option<Rect>,
    /// The last line.
    pub foot: Rect,
}

/// Where things stand.
pub fn places(state: &State) -> Places {
    let area = Rect { x: 0, y: 0, width: state.size.0, height: state.size.1 };
    let [head, tabs, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)])
            .areas(area);
    if state.is_wide() && state.open.is_none() {
        let [list, side] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(body);
        return Places { head, tabs, body: list, side: Some(side), foot };
    }
    Places { head, tabs, body, side: None, foot }
}

/// So many rows of a list are seen.
pub fn rows(state: &State) -> u16 {
    // Two lines of the frame, one of titles.
    places(state).body.height.saturating_sub(3).max(1)
}

/// The inside of a frame.
pub fn inside(area: Rect) -> Rect {
    Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: area.height.saturating_sub(2) }
}

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let look = state.look;
    frame.render_widget(Block::new().style(look.ground()), area);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let told = format!("The terminal is too small: {} × {} is the least.", LEAST.0, LEAST.1);
        frame.render_widget(Paragraph::new(told).wrap(Wrap { trim: true }), area);
        return finish(frame, look);
    }
    let places = places(state);
    head(frame, places.head, state);
    tabs(frame, places.tabs, state);
    body(frame, &places, state);
    foot(frame, places.foot, state);
    over::draw(frame, state);
    finish(frame, look);
}

/// What was drawn commands no terminal, and has no sign that this one may not have.
fn finish(frame: &mut Frame<'_>, look: Look) {
    scrub(frame.buffer_mut());
    if !look.unicode {
        plain(frame.buffer_mut());
    }
}

/// A frame with its title.
pub fn framed(frame: &mut Frame<'_>, area: Rect, look: Look, title: Line<'_>, tone: Option<Tone>) -> Rect {
    let style = tone.map_or(look.line(), |tone| look.tone(tone));
    let block = Block::bordered().border_set(look.border()).border_style(style).title(title);
    frame.render_widget(block, area);
    inside(area)
}

/// The title of a frame.
pub fn titled(look: Look, title: &str) -> Line<'static> {
    Line::from(vec![Span::raw(" "), Span::styled(title.to_owned(), look.accent()), Span::raw(" ")])
}

fn head(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = state.look;
    let (tone, told) = match &state.link {
        Link::Connecting => (Tone::Busy, "connecting".to_owned()),
        Link::Live if state.held.is_some() => {
            (Tone::Warn, format!("paused, {} new", number(state.held.as_ref().map_or(0, Vec::len) as u64)))
        }
        Link::Live => (Tone::Good, "live".to_owned()),
        Link::Lost(since, _) => (Tone::Bad, format!("stale for {}, reconnecting", span(state.now - since))),
    };
    let mut left = vec![
        Span::styled(" authd ", look.accent().add_modifier(Modifier::BOLD)),
        Span::styled(format!("{} {told}  ", look.sign(tone)), look.tone(tone)),
    ];
    if state.setup.read_only {
        left.push(Span::styled("read-only  ", look.tone(Tone::Warn)));
    }
    let mut right = format!("{}  {} ", state.setup.who, clock(state.now));
    if area.width >= 100 && !state.version.is_empty() {
        right = format!("{}  {right}", state.version);
    }
    let used = left.iter().map(Span::width).sum::<usize>() + right.width();
    left.push(Span::styled(
        cut(&state.place, usize::from(area.width).saturating_sub(used + 2), look.unicode).into_owned(),
        look.text(),
    ));
    frame.render_widget(Line::from(left), area);
    frame.render_widget(Line::from(Span::styled(right, look.dim())).right_aligned(), area);
}

/// The panels' names and their places in the line.
pub fn tab_places(width: u16) -> Vec<(usize, u16, String)> {
    let (mut x, mut out) = (1, Vec::new());
    for (at, face) in PANELS.iter().enumerate() {
        let title = if width >= 110 { face.title } else { face.short };
        let text = format!("{} {title}", at + 1);
        let wide = u16::try_from(text.width()).unwrap_or(0);
        out.push((at, x, text));
        x += wide + if width >= 110 { 3 } else { 1 };
    }
    out
}

fn tabs(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = state.look;
    for (at, x, text) in tab_places(area.width) {
        if x >= area.width {
            break;
        }
        let style = if at == state.panel {
            look.accent().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
        } else {
            look.dim()
        };
        frame.buffer_mut().set_stringn(area.x + x, area.y, &text, usize::from(area.width - x), style);
    }
}

fn body(frame: &mut Frame<'_>, places: &Places, state: &State) {
    let look = state.look;
    let Some(view) = state.view() else { return super::panels::overview::draw(frame, places.body, state) };
    if let Some(open) = &state.open {
        return opened(frame, places.body, state, open, true);
    }
    let mut title = vec![Span::raw(" ")];
    for (at, other) in state.face().views.iter().enumerate() {
        if at > 0 {
            title.push(Span::styled(look.either(" │ ", " | "), look.line()));
        }
        let style = if *other == view { look.accent() } else { look.dim() };
        title.push(Span::styled(other.title(), style));
        if *other == View::Deliveries
            && let Some((_, name)) = &state.endpoint
        {
            title.push(Span::styled(format!(" {} {name}", look.either("›", ">")), look.text()));
        }
    }
    title.push(Span::raw(" "));
    let lost = matches!(state.link, Link::Lost(..)).then_some(Tone::Warn);
    let inner = framed(frame, places.body, look, Line::from(title), lost);
    count(frame, places.body, state, view);
    filter_line(frame, places.body, state);
    table::draw(frame, inner, state, view);
    if let Some(side) = places.side {
        match &state.peek {
            Some(open) => opened(frame, side, state, open, false),
            None => drop(framed(frame, side, look, Line::default(), None)),
        }
    }
}

/// How many there are, at the right of the frame.
fn count(frame: &mut Frame<'_>, area: Rect, state: &State, view: View) {
    let table = state.table(view);
    let (one, many) = view.nouns();
    let mut told = match table.shown() == table.len() {
        true => counted(table.len(), one, many),
        false => format!("{} of {}", number(table.shown() as u64), counted(table.len(), one, many)),
    };
    if table.marks() > 0 {
        told = format!("{} marked · {told}", number(table.marks() as u64));
    }
    if state.more.contains(&view) {
        told.push_str(state.look.either(" …", " ..."));
    }
    let line = Line::from(Span::styled(format!(" {told} "), state.look.dim())).right_aligned();
    frame.render_widget(line, Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: 1, ..area });
}

/// The filter, at the foot of the frame.
fn filter_line(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let (look, typing) = (state.look, state.typing.is_some());
    let filter = state.here().map_or("", |table| table.filter());
    if filter.is_empty() && !typing {
        return;
    }
    let caret = if typing { look.either("▏", "_") } else { "" };
    let shown = cut(filter, usize::from(area.width).saturating_sub(8), look.unicode);
    let line =
        Line::from(vec![Span::styled(" /", look.accent()), Span::styled(format!("{shown}{caret} "), look.text())]);
    let place = Rect {
        x: area.x + 2,
        y: area.y + area.height.saturating_sub(1),
        width: area.width.saturating_sub(4),
        height: 1,
    };
    let wide = u16::try_from(line.width()).unwrap_or(0).min(place.width);
    frame.render_widget(line, Rect { width: wide, ..place });
}

/// The sheet of an opened row.
fn sheet_of(state: &State, open: &Open, width: u16) -> Sheet {
    let mut sheet = Sheet::new(state.look, state.now, width);
    if let Some(view) = open.view {
        view.sheet(state, open, &mut sheet);
    }
    sheet
}

fn opened(frame: &mut Frame<'_>, area: Rect, state: &State, open: &Open, whole: bool) {
    let look = state.look;
    let view = open.view.map_or("", View::title);
    let name = cut(&open.name, usize::from(area.width).saturating_sub(view.width() + 9), look.unicode).into_owned();
    let crumbs = match whole {
        true => vec![
            Span::styled(format!(" {view} "), look.dim()),
            Span::styled(look.either("› ", "> "), look.line()),
            Span::styled(format!("{name} "), look.accent()),
        ],
        false => vec![Span::styled(format!(" {name} "), look.accent())],
    };
    let inner = framed(frame, area, look, Line::from(crumbs), None);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let lines = sheet_of(state, open, inner.width).lines;
    let last = lines.len().saturating_sub(usize::from(inner.height));
    let top = if whole { open.scroll.min(last) } else { 0 };
    let all = lines.len();
    for (line, y) in lines.into_iter().skip(top).zip(inner.y..inner.y + inner.height) {
        frame.render_widget(line, Rect { y, height: 1, ..inner });
    }
    if whole {
        table::thumb(
            frame,
            Rect { x: area.x + area.width - 2, y: inner.y, width: 1, height: inner.height },
            state,
            all,
            top,
        );
    }
}

/// How far the opened row can be scrolled.
pub fn sheet_end(state: &State) -> usize {
    let body = inside(places(state).body);
    let lines = state.open.as_ref().map_or(0, |open| sheet_of(state, open, body.width.saturating_sub(2)).lines.len());
    lines.saturating_sub(usize::from(body.height))
}

/// What can be copied here: the id first.
pub fn copies(state: &State) -> Vec<(String, String)> {
    let Some(row) = state.current() else { return Vec::new() };
    let id = row.raw().map(|raw| ["id", "clientId", "eventId"].map(|field| text(&raw, field).to_owned()));
    let id = id.and_then(|ids| ids.into_iter().find(|id| !id.is_empty())).unwrap_or_else(|| row.id().to_owned());
    let mut copies = vec![("Id".to_owned(), id)];
    let open = state.open.as_ref().or(state.peek.as_ref());
    let more = match (open, state.view()) {
        (Some(open), _) => sheet_of(state, open, 80).copies,
        (None, Some(view)) => {
            let (open, _) = state.opened(view, row);
            sheet_of(state, &open, 80).copies
        }
        (None, None) => Vec::new(),
    };
    for (name, value) in more {
        if copies.iter().all(|(_, known)| *known != value) {
            copies.push((name, value));
        }
    }
    copies
}

/// The request behind a row of the log, if it belongs to a sign-in.
pub fn request_of(state: &State) -> Option<String> {
    let raw = &state.current()?.raw()?;
    let signin = ["connection.login.", "signin.", "session.signed_in", "oauth.code.created", "account."];
    let request = text(raw, "requestId");
    (signin.iter().any(|kind| text(raw, "kind").starts_with(kind)) && !request.is_empty()).then(|| request.to_owned())
}

/// What is possible now, and a sentence if there is one.
fn foot(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = state.look;
    // A question that is open is answered by its keys, whatever was said before it was asked.
    if let Some(toast) = state.toast.as_ref().filter(|_| state.overlay.is_none()) {
        let told = cut(&toast.text, usize::from(area.width).saturating_sub(4), look.unicode).into_owned();
        let line = Line::from(vec![
            Span::styled(format!(" {} ", look.sign(toast.tone)), look.tone(toast.tone)),
            Span::styled(told, look.text()),
        ]);
        return frame.render_widget(line, area);
    }
    let line = match (&state.overlay, &state.typing) {
        (Some(overlay), _) => hints(look, over::keys_of(state, overlay)),
        (None, Some(_)) => {
            hints(look, &[("⏎", "keep"), ("esc", "as before"), ("!word", "without"), ("column:word", "in a column")])
        }
        (None, None) => {
            let mut all: Vec<_> =
                KEYS.iter().filter(|key| key.foot.is_some() && is_possible(state, key.action)).collect();
            all.sort_by_key(|key| key.foot);
            let mut shown: Vec<(&str, &str)> = Vec::new();
            let mut room = usize::from(area.width).saturating_sub(1);
            // The way to everything else has its place first.
            for key in all.iter().filter(|key| key.foot >= Some(30)).chain(all.iter().filter(|key| key.foot < Some(30)))
            {
                let wide = key.name.width() + key.word.width() + 3;
                if wide <= room {
                    room -= wide;
                    shown.push((key.name, key.word));
                }
            }
            let program = all.iter().filter(|key| key.foot >= Some(30)).count();
            let first = program.min(shown.len());
            shown.rotate_left(first);
            hints(look, &shown)
        }
    };
    frame.render_widget(line, area);
}

fn hints(look: Look, pairs: &[(&str, &str)]) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    for (key, word) in pairs {
        let key = if look.unicode {
            (*key).to_owned()
        } else {
            key.replace('⏎', "enter").replace('␣', "space").replace('⇧', "s-").replace(['↓', '↑', '→', '←'], "")
        };
        spans.push(Span::styled(key, look.accent()));
        spans.push(Span::styled(format!(" {word}  "), look.dim()));
    }
    Line::from(spans)
}

/// A window over the middle of the screen.
pub fn window(frame: &mut Frame<'_>, state: &State, wide: u16, high: u16, title: Line<'_>, tone: Option<Tone>) -> Rect {
    let (width, height) = state.size;
    let (wide, high) = (wide.min(width.saturating_sub(4)), high.min(height.saturating_sub(2)));
    let area = Rect { x: (width - wide) / 2, y: (height - high) / 3, width: wide, height: high };
    frame.render_widget(Clear, area);
    frame.render_widget(Block::new().style(state.look.ground()), area);
    let inner = framed(frame, area, state.look, title, Some(tone.unwrap_or(Tone::Busy)));
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// Whether a report is well: all of its checks are.
pub fn is_well(value: &Value) -> Option<bool> {
    value.get("ok").and_then(Value::as_bool).or_else(|| {
        let checks = list(value, "checks");
        (!checks.is_empty()).then(|| checks.iter().all(|check| check["ok"] == true))
    })
}
