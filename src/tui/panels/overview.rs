//! Overview: how it goes at this moment, and what needs somebody.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::View;
use crate::tui::shown::{cut, exact, list, moment, number, span, text};
use crate::tui::state::{Link, State};
use crate::tui::table::{Load, Row};
use crate::tui::theme::{Look, Tone};
use crate::tui::view::{bars, framed, meter, titled};

/// The titles of two frames.
const SIGNINS: &str = "Sign-ins a minute";
const LATELY: &str = "Lately";
/// Of a machine's own work 99 of 100 should not take longer, in milliseconds.
const SLOW: f64 = 1_000.0;

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let tall = area.height >= 34;
    let wide = area.width >= 110;
    let [tiles_at, graph_at, below] = Layout::vertical([
        Constraint::Length(if tall { 4 } else { 3 }),
        Constraint::Length(if tall { 14 } else { 7 }),
        Constraint::Fill(1),
    ])
    .areas(area);
    tiles(frame, tiles_at, state);
    if wide {
        let [graph_at, refused_at] = Layout::horizontal([Constraint::Fill(5), Constraint::Fill(3)]).areas(graph_at);
        graph(frame, graph_at, state);
        refused(frame, refused_at, state);
        let [needs_at, right] = Layout::horizontal([Constraint::Fill(5), Constraint::Fill(3)]).areas(below);
        let [needs_at, lately_at] = Layout::vertical([Constraint::Fill(2), Constraint::Fill(3)]).areas(needs_at);
        needs(frame, needs_at, state);
        lately(frame, lately_at, state);
        speed(frame, right, state);
    } else {
        let [graph_at, refused_at] = Layout::horizontal([Constraint::Fill(5), Constraint::Fill(3)]).areas(graph_at);
        graph(frame, graph_at, state);
        refused(frame, refused_at, state);
        let [needs_at, lately_at] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(below);
        needs(frame, needs_at, state);
        lately(frame, lately_at, state);
        corners(frame, state, graph_at, lately_at);
    }
}

/// Numbers that say how big it is.
fn tiles(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = state.look;
    let count = |name: &str| state.counts[name].as_u64();
    let hour = state.pulse.minutes(state.now, 60);
    let (came, refused) = hour.iter().fold((0u64, 0u64), |(a, b), (x, y)| (a + u64::from(*x), b + u64::from(*y)));
    let sessions = match state.table(View::Sessions).load {
        Load::Ready if !state.more.contains(&View::Sessions) => Some(state.table(View::Sessions).len() as u64),
        _ => count("sessions"),
    };
    let all: [(&str, Option<u64>, Tone); 8] = [
        ("live sessions", sessions, Tone::Plain),
        ("in, last hour", state.pulse.known.then_some(came), if came > 0 { Tone::Good } else { Tone::Plain }),
        ("refused", state.pulse.known.then_some(refused), if refused > 0 { Tone::Bad } else { Tone::Plain }),
        ("under way", count("attempts"), Tone::Busy),
        ("waiting", Some(waiting(state)), if waiting(state) > 0 { Tone::Warn } else { Tone::Plain }),
        ("people", count("users"), Tone::Plain),
        ("apps", count("apps"), Tone::Plain),
        ("events", count("events"), Tone::Plain),
    ];
    let shown = if area.width >= 110 { 8 } else { 6 };
    let places = Layout::horizontal(vec![Constraint::Fill(1); shown]).split(area);
    for ((name, value, tone), place) in all.into_iter().zip(places.iter()) {
        let inner = framed(frame, *place, look, Line::default(), None);
        let value = value.map_or_else(|| look.either("–", "-").to_owned(), number);
        if area.height >= 4 {
            frame.render_widget(
                Line::styled(value, look.tone(tone).add_modifier(Modifier::BOLD)).centered(),
                Rect { height: 1, ..inner },
            );
            frame.render_widget(Line::styled(name, look.dim()).centered(), Rect { y: inner.y + 1, height: 1, ..inner });
        } else {
            let room = usize::from(inner.width);
            let name = cut(
                name.trim_start_matches("live ").trim_end_matches(", last hour"),
                room.saturating_sub(value.width() + 1),
                look.unicode,
            );
            let line = Line::from(vec![
                Span::styled(value, look.tone(tone).add_modifier(Modifier::BOLD)),
                Span::styled(format!(" {name}"), look.dim()),
            ]);
            frame.render_widget(line.centered(), inner);
        }
    }
}

/// Deliveries that are still to be made.
fn waiting(state: &State) -> u64 {
    let rows = state.table(View::Endpoints).rows();
    rows.filter_map(|row| row.raw()?["waiting"].as_u64()).sum()
}

/// Sign-ins by the minute: who came in, and beneath who was refused.
fn graph(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = state.look;
    let inner = framed(frame, area, look, titled(look, SIGNINS), None);
    if inner.height < 4 || inner.width < 20 {
        return;
    }
    let scale = 5;
    let plot = Rect { x: inner.x + scale, width: inner.width - scale - 1, ..inner };
    // A bar is as wide as there is room for an hour.
    let wide = usize::from(plot.width / 60).clamp(1, 3);
    let count = (usize::from(plot.width) / wide).min(crate::tui::pulse::MINUTES);
    let minutes = state.pulse.minutes(state.now, count);
    let spread = |pick: fn(&(u32, u32)) -> u32| -> Vec<u32> {
        minutes.iter().flat_map(|minute| std::iter::repeat_n(pick(minute), wide)).collect()
    };
    let (came, refused) = (spread(|minute| minute.0), spread(|minute| minute.1));
    let below = (plot.height / 3).max(1);
    let above = plot.height - below - 1;
    let most = came.iter().copied().max().unwrap_or(0);
    let worst = refused.iter().copied().max().unwrap_or(0);
    let offset = plot.width.saturating_sub(u16::try_from(came.len()).unwrap_or(plot.width));
    let plot = Rect { x: plot.x + offset, width: plot.width - offset, ..plot };
    let upper = Rect { height: above, ..plot };
    let lower = Rect { y: plot.y + above, height: below, ..plot };
    bars(frame, upper, look, &came, most, look.tone(Tone::Good));
    bars(frame, lower, look, &refused, worst, look.tone(Tone::Bad));
    for (place, value, tone) in [(upper, most, Tone::Good), (lower, worst, Tone::Bad)] {
        let text = format!("{value:>4} ");
        frame.buffer_mut().set_stringn(
            inner.x,
            place.y,
            text,
            usize::from(scale),
            look.tone(if value > 0 { tone } else { Tone::Idle }),
        );
    }
    let foot = Rect { y: inner.y + inner.height - 1, height: 1, ..inner };
    let line = Line::from(vec![
        Span::styled(format!("     {} in  ", look.sign(Tone::Good)), look.tone(Tone::Good)),
        Span::styled(format!("{} refused", look.sign(Tone::Bad)), look.tone(Tone::Bad)),
    ]);
    frame.render_widget(line, foot);
    frame.render_widget(
        Line::from(Span::styled(format!("last {count} minutes, until now "), look.dim())).right_aligned(),
        foot,
    );
}

/// Why people were refused.
fn refused(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = state.look;
    let inner = framed(frame, area, look, titled(look, "Refused, last hour"), None);
    let all = state.pulse.refusals(state.now);
    if all.is_empty() && !state.pulse.known {
        return frame.render_widget(Line::styled(" not known yet", look.dim()), inner);
    }
    if all.is_empty() {
        return frame
            .render_widget(Line::styled(format!(" {} nobody", look.sign(Tone::Good)), look.tone(Tone::Good)), inner);
    }
    let most = all.first().map_or(1, |(_, count)| *count);
    let wide = usize::from(inner.width).saturating_sub(1);
    let names = (wide / 2).max(10);
    for ((code, count), y) in all.iter().zip(inner.y..inner.y + inner.height) {
        let code = cut(code, names - 1, look.unicode).into_owned();
        let gap = " ".repeat(names.saturating_sub(code.width()));
        let mut spans = vec![Span::styled(format!(" {code}{gap}"), look.text())];
        spans.extend(meter(look, *count, most, wide.saturating_sub(names + 6), look.tone(Tone::Bad)));
        spans.push(Span::styled(format!("{count:>5}"), look.text()));
        frame.render_widget(Line::from(spans), Rect { y, height: 1, ..inner });
    }
}

/// What somebody should look at: a sentence each, the worst first.
pub fn attention(state: &State) -> Vec<(Tone, String)> {
    let mut all = Vec::new();
    if let Link::Lost(_, why) = &state.link {
        all.push((Tone::Bad, why.clone()));
    }
    if let Ok(doctor) = &state.doctor {
        if !text(doctor, "trouble").is_empty() {
            all.push((Tone::Bad, format!("The last write failed: {}.", text(doctor, "trouble"))));
        }
        for unwell in list(doctor, "unwell") {
            let name = text(unwell, "name");
            match (text(unwell, "lacks"), text(unwell, "silentSince")) {
                ("", "") => all.push((Tone::Warn, format!("{name} is the demo's: it lets everybody in."))),
                ("", since) => {
                    let far = moment(since).map_or(0, |at| state.now - at);
                    all.push((Tone::Bad, format!("{name}: its provider has not answered for {}.", span(far))));
                }
                (lacks, _) => all.push((Tone::Bad, format!("{name}: {lacks}"))),
            }
        }
        for losing in list(doctor, "losing") {
            all.push((Tone::Bad, format!("The proof of {} has gone from DNS.", text(losing, "domain"))));
        }
        for unproved in list(doctor, "unproved") {
            all.push((Tone::Warn, format!("{} is not proved.", text(unproved, "domain"))));
        }
        if doctor.is_object() && text(doctor, "backupAt").is_empty() {
            let young = moment(text(doctor, "firstEventAt")).is_none_or(|at| state.now - at < 86_400_000);
            if !young {
                all.push((Tone::Warn, "There is no backup of the last eight days.".to_owned()));
            }
        }
    }
    for row in state.table(View::Expiry).rows().rev().filter(|row| matches!(row.tone, Tone::Bad | Tone::Warn)) {
        let end = moment(row.cell(0)).unwrap_or(state.now);
        let told = if end <= state.now { "has ended".to_owned() } else { format!("ends in {}", span(end - state.now)) };
        all.push((row.tone, format!("{} {} {told}.", capital(row.cell(1)), row.cell(2))));
    }
    for row in state.table(View::Endpoints).rows().filter(|row| row.tone == Tone::Bad) {
        all.push((Tone::Bad, format!("The endpoint {} does not take its events.", row.cell(0))));
    }
    all.sort_by_key(|(tone, _)| *tone != Tone::Bad);
    all
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn needs(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = state.look;
    let all = attention(state);
    let title = if all.is_empty() { "Needs attention".to_owned() } else { format!("Needs attention: {}", all.len()) };
    let inner = framed(frame, area, look, titled(look, &title), None);
    if all.is_empty() {
        let (tone, told) = match (&state.link, &state.doctor) {
            (Link::Live, Ok(doctor)) if doctor.is_object() => (Tone::Good, "everything is well"),
            (Link::Live, Err(_)) => (Tone::Idle, "only the operator sees the whole"),
            _ => (Tone::Busy, "asking …"),
        };
        return frame.render_widget(Line::styled(format!(" {} {told}", look.sign(tone)), look.tone(tone)), inner);
    }
    let mut y = inner.y;
    for (tone, told) in all {
        for (at, part) in
            crate::tui::shown::wrapped(&told, usize::from(inner.width).saturating_sub(4)).into_iter().enumerate()
        {
            if y >= inner.y + inner.height {
                return;
            }
            let sign = if at == 0 { look.sign(tone) } else { " " };
            let line =
                Line::from(vec![Span::styled(format!(" {sign} "), look.tone(tone)), Span::styled(part, look.text())]);
            frame.render_widget(line, Rect { y, height: 1, ..inner });
            y += 1;
        }
    }
}

/// The last sign-ins.
fn lately(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = state.look;
    let inner = framed(frame, area, look, titled(look, LATELY), None);
    let table = state.table(View::Signins);
    if table.is_empty() {
        let told = if table.load == Load::Ready { " Nobody has signed in yet." } else { " not known yet" };
        return frame.render_widget(Line::styled(told, look.dim()), inner);
    }
    let newest: Vec<&Row> = table.rows().rev().take(usize::from(inner.height)).collect();
    for (row, y) in newest.into_iter().zip(inner.y..) {
        let when = moment(row.cell(0)).map_or_else(String::new, |at| span(state.now - at));
        let room = usize::from(inner.width).saturating_sub(9);
        let why = if row.cell(6).is_empty() { row.cell(4) } else { row.cell(6) };
        let who = match (row.cell(2), row.cell(3)) {
            ("", connection) => connection.to_owned(),
            (who, connection) if room > 50 => format!("{who} {} {connection}", look.either("·", "-")),
            (who, _) => who.to_owned(),
        };
        let why = cut(why, room / 2, look.unicode).into_owned();
        let who = cut(&who, room.saturating_sub(why.width() + 1), look.unicode).into_owned();
        let gap = " ".repeat(room.saturating_sub(who.width() + why.width()));
        let line = Line::from(vec![
            Span::styled(format!(" {} ", look.sign(row.tone)), look.tone(row.tone)),
            Span::styled(format!("{when:>4} "), look.dim()),
            Span::styled(who, look.text()),
            Span::raw(gap),
            Span::styled(why, if row.tone == Tone::Bad { look.tone(Tone::Bad) } else { look.dim() }),
        ]);
        frame.render_widget(line, Rect { y, height: 1, ..inner });
    }
}

/// How quick it is, and how it stands inside.
fn speed(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let look = state.look;
    let inner = framed(frame, area, look, titled(look, "How it runs, by the server's measure"), None);
    let mut lines: Vec<(&str, String, Tone)> = Vec::new();
    let doctor = state.doctor.as_ref().unwrap_or(&Value::Null);
    let well = text(doctor, "trouble").is_empty();
    lines.push((
        "store",
        if well { "writes".to_owned() } else { text(doctor, "trouble").to_owned() },
        if well { Tone::Good } else { Tone::Bad },
    ));
    for (name, what) in [
        ("answer p50 / p99", "answer"),
        ("sign-in p50 / p99", "sign_in"),
        ("provider p50 / p99", "provider"),
        ("write p50 / p99", "write"),
    ] {
        if let Some(took) = state.speed.of(what) {
            let over = took.over.map_or_else(|| "since start".to_owned(), |over| format!("last {}", span(over)));
            let tone = if what != "sign_in" && took.p99 > SLOW { Tone::Warn } else { Tone::Plain };
            lines.push((name, format!("{} / {}, {over}", millis(took.p50), millis(took.p99)), tone));
        }
    }
    lines.push(("events a second", format!("{:.1}", state.pulse.rate(state.now)), Tone::Plain));
    lines.push((
        "deliveries waiting",
        number(waiting(state)),
        if waiting(state) > 0 { Tone::Warn } else { Tone::Plain },
    ));
    for (name, field) in [("backup", "backupAt"), ("last event", "newestEventAt"), ("first event", "firstEventAt")] {
        let told = moment(text(doctor, field)).map(|at| format!("{} ago", span(state.now - at)));
        lines.push((name, told.unwrap_or_else(|| "none".to_owned()), Tone::Plain));
    }
    let key = &doctor["masterKey"];
    if let Some(days) = key["ageDays"].as_u64() {
        lines.push(("master key", format!("{days} days old"), Tone::Plain));
    }
    for (name, field) in [
        ("organizations", "organizations"),
        ("connections", "connections"),
        ("API keys", "api_keys"),
        ("signing keys", "signing_keys"),
    ] {
        if let Some(count) = state.counts[field].as_u64() {
            lines.push((name, number(count), Tone::Plain));
        }
    }
    for ((name, told, tone), y) in lines.into_iter().zip(inner.y..inner.y + inner.height) {
        let gap = " ".repeat(20usize.saturating_sub(name.width()));
        let told = cut(&told, usize::from(inner.width).saturating_sub(22), look.unicode).into_owned();
        let line =
            Line::from(vec![Span::styled(format!(" {name}{gap}"), look.dim()), Span::styled(told, look.tone(tone))]);
        frame.render_widget(line, Rect { y, height: 1, ..inner });
    }
}

/// A length of time that may be short.
fn millis(millis: f64) -> String {
    if millis < 10.0 { format!("{millis:.1} ms") } else { exact(millis.round() as i64) }
}

/// At the right of a frame's first line, as much of it as there is room for beside the title: the first text that fits.
fn corner(frame: &mut Frame<'_>, area: Rect, look: Look, title: &str, texts: &[String]) {
    let room = usize::from(area.width).saturating_sub(title.width() + 6);
    let Some(text) = texts.iter().find(|text| text.width() <= room) else { return };
    let line = Line::from(Span::styled(format!(" {text} "), look.dim())).right_aligned();
    frame.render_widget(line, Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: 1, ..area });
}

/// How long it takes, where there is no room for a panel of its own.
fn corners(frame: &mut Frame<'_>, state: &State, graph_at: Rect, lately_at: Rect) {
    for (area, title, name, what) in
        [(graph_at, SIGNINS, "sign-in", "sign_in"), (lately_at, LATELY, "answer", "answer")]
    {
        let Some(took) = state.speed.of(what) else { continue };
        let (p50, p99) = (millis(took.p50), millis(took.p99));
        let texts = [format!("{name} p50 {p50} p99 {p99}"), format!("{name} p99 {p99}")];
        corner(frame, area, state.look, title, &texts);
    }
}
