//! What lies over the panels, drawn.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr as _;

use super::sheet::Sheet;
use super::{is_well, meter, titled, window};
use crate::tui::act::{Plan, Progress, Run};
use crate::tui::catalogue::Shape;
use crate::tui::keys::{Group, KEYS};
use crate::tui::overlay::{Answer, Choose, Form, Overlay, Palette};
use crate::tui::panels::{name_of, sessions};
use crate::tui::shown::{counted, cut, list, text, wrapped};
use crate::tui::state::State;
use crate::tui::theme::Tone;

/// What its keys do, for the footer.
pub fn keys_of(state: &State, overlay: &Overlay) -> &'static [(&'static str, &'static str)] {
    match overlay {
        Overlay::Help(_) => &[("j k", "scroll"), ("esc", "close")],
        Overlay::Palette(_) => &[("⏎", "do"), ("tab", "complete"), ("↓ ↑", "choose"), ("esc", "close")],
        Overlay::Form(_) => &[("⏎", "do"), ("tab", "next field"), ("← →", "choices"), ("esc", "close")],
        Overlay::Confirm(..) => &[("y", "yes"), ("n esc", "no"), ("tab", "choose"), ("⏎", "as chosen")],
        Overlay::Choose(_) => &[("⏎", "copy"), ("j k", "choose"), ("esc", "close")],
        Overlay::Answer(_) => &[("y", "copy"), ("j k", "scroll"), ("esc", "close")],
        Overlay::Run if state.run.as_ref().is_none_or(Run::is_over) => &[("esc", "close")],
        Overlay::Run => &[("esc", "close; it goes on")],
    }
}

/// Draws what there is.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    match &state.overlay {
        None => {}
        Some(Overlay::Help(scroll)) => help(frame, state, *scroll),
        Some(Overlay::Palette(it)) => palette(frame, state, it),
        Some(Overlay::Form(it)) => form(frame, state, it),
        Some(Overlay::Confirm(plan, yes)) => confirm(frame, state, plan, *yes),
        Some(Overlay::Choose(it)) => choose(frame, state, it),
        Some(Overlay::Answer(it)) => answer(frame, state, it),
        Some(Overlay::Run) => {
            if let Some(it) = &state.run {
                run(frame, state, it);
            }
        }
    }
}

fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>, scroll: usize) {
    let last = lines.len().saturating_sub(usize::from(area.height));
    for (line, y) in lines.into_iter().skip(scroll.min(last)).zip(area.y..area.y + area.height) {
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
}

fn help(frame: &mut Frame<'_>, state: &State, scroll: usize) {
    let look = state.look;
    let two = state.size.0 >= 130;
    let area = window(frame, state, if two { 126 } else { 74 }, 46, titled(look, "Keys"), None);
    let mut columns: [Vec<Line<'static>>; 2] = [Vec::new(), Vec::new()];
    for (at, group) in Group::ALL.into_iter().enumerate() {
        let Some(all) = columns.get_mut(if two { at / 2 } else { 0 }) else { continue };
        if !all.is_empty() {
            all.push(Line::default());
        }
        all.push(Line::styled(group.title(), look.accent().add_modifier(Modifier::BOLD)));
        for key in KEYS.iter().filter(|key| key.group == group) {
            let name = if look.unicode {
                key.name.to_owned()
            } else {
                key.name
                    .replace('⏎', "enter")
                    .replace('␣', "space")
                    .replace("⇧tab", "s-tab")
                    .replace(['↓', '↑', '→', '←'], "")
            };
            let room = usize::from(if two { area.width / 2 } else { area.width }).saturating_sub(14).max(20);
            for (at, part) in wrapped(key.help, room).into_iter().enumerate() {
                let name = if at == 0 { name.as_str() } else { "" };
                let gap = " ".repeat(11usize.saturating_sub(name.width()));
                all.push(Line::from(vec![
                    Span::styled(format!("  {name}{gap}"), look.accent()),
                    Span::styled(part, look.text()),
                ]));
            }
        }
    }
    let [left, right] = columns;
    let half = area.width / 2;
    if two {
        lines(frame, Rect { width: half - 1, ..area }, left, scroll);
        lines(frame, Rect { x: area.x + half, width: area.width - half, ..area }, right, scroll);
    } else {
        lines(frame, area, left, scroll);
    }
}

fn palette(frame: &mut Frame<'_>, state: &State, palette: &Palette) {
    let look = state.look;
    let area = window(frame, state, 96, 22, titled(look, "Command"), None);
    if area.height < 3 {
        return;
    }
    let found = palette.found(&state.setup.specs, state.setup.read_only);
    let caret = look.either("▏", "_");
    let best = found.get(palette.at).map_or("", |entry| entry.name.as_str());
    let rest = best.strip_prefix(palette.typed.as_str()).unwrap_or_default().to_owned();
    let typed = Line::from(vec![
        Span::styled(": ", look.accent()),
        Span::styled(palette.typed.clone(), look.text()),
        Span::styled(caret, look.accent()),
        Span::styled(rest, look.dim()),
    ]);
    frame.render_widget(typed, Rect { height: 1, ..area });
    let height = usize::from(area.height - 2);
    let top = (palette.at + 1).saturating_sub(height);
    let names = found.iter().map(|entry| entry.name.width()).max().unwrap_or(0).clamp(12, 26);
    for (line, entry) in found.iter().enumerate().skip(top).take(height) {
        let Ok(dy) = u16::try_from(line - top) else { break };
        let place = Rect { y: area.y + 2 + dy, height: 1, ..area };
        let name = cut(&entry.name, names, look.unicode).into_owned();
        let gap = " ".repeat(names.saturating_sub(name.width()) + 2);
        let about = cut(&entry.about, usize::from(area.width).saturating_sub(names + 2), look.unicode).into_owned();
        frame.render_widget(
            Line::from(vec![Span::styled(name + &gap, look.text()), Span::styled(about, look.dim())]),
            place,
        );
        if line == palette.at {
            frame.buffer_mut().set_style(place, look.chosen());
        }
    }
    if found.is_empty() {
        let place = Rect { y: area.y + 2, height: 1, ..area };
        frame.render_widget(Line::styled("There is no such command.", look.dim()), place);
    }
}

fn form(frame: &mut Frame<'_>, state: &State, form: &Form) {
    let look = state.look;
    let high = u16::try_from(form.fields.len()).unwrap_or(20).saturating_add(8);
    let area = window(frame, state, 92, high, titled(look, form.operation), None);
    if area.height < 4 {
        return;
    }
    for (line, y) in wrapped(&form.about, usize::from(area.width)).into_iter().take(2).zip(area.y..) {
        frame.render_widget(Line::styled(line, look.dim()), Rect { y, height: 1, ..area });
    }
    // Below: what the field is, and what is wrong.
    let room = usize::from(area.height - 5);
    let top = (form.at + 1).saturating_sub(room);
    let names = form.fields.iter().map(|field| field.name.width()).max().unwrap_or(8).clamp(8, 24);
    for (at, field) in form.fields.iter().enumerate().skip(top).take(room) {
        let Ok(dy) = u16::try_from(at - top) else { break };
        let place = Rect { y: area.y + 2 + dy, height: 1, ..area };
        let value = form.values.get(at).map_or("", String::as_str);
        let value = if field.secret { look.either("•", "*").repeat(value.chars().count()) } else { value.to_owned() };
        let known = state.names.get(&value).map(|name| format!("  {name}")).unwrap_or_default();
        let room = usize::from(area.width).saturating_sub(names + 6);
        let tail: String = value.chars().rev().take(room).collect::<Vec<_>>().into_iter().rev().collect();
        let here = at == form.at;
        let name = cut(&field.name, names, look.unicode).into_owned();
        let gap = " ".repeat(names.saturating_sub(name.width()) + 1);
        let style = if here { look.accent() } else { look.text() };
        let caret = if here { look.either("▏", "_") } else { "" };
        let hint = match (value.is_empty(), field.shape) {
            (false, _) => known,
            (true, _) if !field.choices.is_empty() => field.choices.join(" | "),
            (true, Shape::Flag) => "yes | no".to_owned(),
            (true, Shape::List) => "a, b".to_owned(),
            _ => String::new(),
        };
        let hint = cut(&hint, room.saturating_sub(tail.width() + 1), look.unicode).into_owned();
        let line = Line::from(vec![
            Span::styled(if field.required { "* " } else { "  " }, look.tone(Tone::Warn)),
            Span::styled(name + &gap, style),
            Span::styled(tail, look.text()),
            Span::styled(caret, look.accent()),
            Span::styled(hint, look.dim()),
        ]);
        frame.render_widget(line, place);
        if here {
            frame.buffer_mut().set_style(place, if look.theme.name == "none" { look.text() } else { look.chosen() });
        }
    }
    let (tone, told) = match (&form.trouble, form.fields.get(form.at)) {
        (Some(trouble), _) => (Tone::Bad, trouble.clone()),
        (None, Some(field)) => (Tone::Idle, field.about.clone()),
        (None, None) => (Tone::Idle, "It takes nothing.".to_owned()),
    };
    let below = Rect { y: area.y + area.height - 2, height: 2, ..area };
    let told: Vec<Line<'_>> = wrapped(&told, usize::from(area.width))
        .into_iter()
        .take(2)
        .map(|line| Line::styled(line, look.tone(tone)))
        .collect();
    frame.render_widget(Paragraph::new(told), below);
}

fn confirm(frame: &mut Frame<'_>, state: &State, plan: &Plan, yes: bool) {
    let look = state.look;
    let wide = 70u16.min(state.size.0.saturating_sub(8));
    let room = usize::from(wide.saturating_sub(4));
    let mut text: Vec<Line<'static>> = Vec::new();
    for (name, _) in plan.targets.iter().take(8) {
        let name = cut(name, room.saturating_sub(4), look.unicode).into_owned();
        text.push(Line::from(vec![
            Span::styled(format!("  {} ", look.sign(Tone::Warn)), look.tone(Tone::Warn)),
            Span::styled(name, look.text().add_modifier(Modifier::BOLD)),
        ]));
    }
    if plan.targets.len() > 8 {
        text.push(Line::styled(format!("    and {} more", plan.targets.len() - 8), look.dim()));
    }
    text.push(Line::default());
    text.extend(
        wrapped(plan.ends.as_deref().unwrap_or_default(), room).into_iter().map(|line| Line::styled(line, look.dim())),
    );
    text.push(Line::default());
    let button = |label: String, chosen: bool, tone: Tone| {
        let style = if chosen { look.tone(tone).add_modifier(Modifier::REVERSED | Modifier::BOLD) } else { look.dim() };
        Span::styled(format!("  {label}  "), style)
    };
    let go = if plan.targets.len() == 1 { plan.verb.clone() } else { format!("{} {}", plan.verb, plan.targets.len()) };
    text.push(Line::from(vec![
        button("Cancel".to_owned(), !yes, Tone::Plain),
        Span::raw("   "),
        button(go, yes, Tone::Bad),
    ]));
    let title = format!("{} {}?", plan.verb, counted(plan.targets.len(), "this", "of these"));
    let title = if plan.targets.len() == 1 { format!("{} this?", plan.verb) } else { title };
    let high = u16::try_from(text.len()).unwrap_or(20) + 2;
    let area = window(frame, state, wide, high, titled(look, &title), Some(Tone::Bad));
    lines(frame, area, text, 0);
}

fn choose(frame: &mut Frame<'_>, state: &State, choose: &Choose) {
    let look = state.look;
    let high = u16::try_from(choose.items.len()).unwrap_or(20).saturating_add(2);
    let area = window(frame, state, 120, high, titled(look, "Copy"), None);
    let height = usize::from(area.height).max(1);
    let top = (choose.at + 1).saturating_sub(height);
    for (at, (name, value)) in choose.items.iter().enumerate().skip(top).take(height) {
        let Ok(dy) = u16::try_from(at - top) else { break };
        let place = Rect { y: area.y + dy, height: 1, ..area };
        let name = cut(name, 16, look.unicode).into_owned();
        let gap = " ".repeat(18usize.saturating_sub(name.width()));
        let value = cut(value, usize::from(area.width).saturating_sub(18), look.unicode).into_owned();
        frame.render_widget(
            Line::from(vec![Span::styled(name + &gap, look.dim()), Span::styled(value, look.text())]),
            place,
        );
        if at == choose.at {
            frame.buffer_mut().set_style(place, look.chosen());
        }
    }
}

fn answer(frame: &mut Frame<'_>, state: &State, answer: &Answer) {
    let look = state.look;
    let wide = 100u16.min(state.size.0.saturating_sub(6));
    let mut sheet = Sheet::new(look, state.now, wide.saturating_sub(4));
    match is_well(&answer.value) {
        Some(true) => sheet.state(Tone::Good, "everything is well"),
        Some(false) => sheet.state(Tone::Bad, "something is not well"),
        None => {}
    }
    if answer.secret.is_some() {
        sheet.state(Tone::Warn, "It is shown this once. y copies it.");
        sheet.blank();
    }
    sheet.value(&answer.value, &state.names);
    if sheet.lines.is_empty() {
        sheet.state(Tone::Good, &answer.told);
    }
    let high = u16::try_from(sheet.lines.len()).unwrap_or(200).saturating_add(2);
    let tone = if is_well(&answer.value) == Some(false) { Tone::Bad } else { Tone::Good };
    let area = window(frame, state, wide, high.max(5), titled(look, &answer.title), Some(tone));
    lines(frame, area, sheet.lines, answer.scroll);
}

fn run(frame: &mut Frame<'_>, state: &State, run: &Run) {
    let look = state.look;
    let wide = 84u16.min(state.size.0.saturating_sub(6));
    let mut sheet = Sheet::new(look, state.now, wide.saturating_sub(4));
    let (done, failed) = run.counts();
    let all = run.plan.targets.len();
    let tone = match (failed, run.is_over()) {
        (1.., _) => Tone::Bad,
        (_, true) => Tone::Good,
        _ => Tone::Busy,
    };
    let mut first = meter(look, done + failed, all, usize::from(wide.saturating_sub(30)).min(40), look.tone(tone));
    first.push(Span::styled(format!("  {done} of {all} done"), look.text()));
    if failed > 0 {
        first.push(Span::styled(format!(", {failed} refused"), look.tone(Tone::Bad)));
    }
    sheet.lines.push(Line::from(first));
    sheet.blank();
    for (at, ((name, _), progress)) in run.plan.targets.iter().zip(&run.progress).enumerate().take(60) {
        match progress {
            Progress::Waiting => sheet.check(Tone::Idle, name, "waiting"),
            Progress::Asked => sheet.check(Tone::Busy, name, "under way"),
            Progress::Done(_) => sheet.check(Tone::Good, name, "done"),
            Progress::Failed(why) => {
                sheet.check(Tone::Bad, name, "refused");
                sheet.under("", Tone::Bad, why);
            }
        }
        for app in run.apps.get(at).map_or(&[][..], |session| list(session, "apps")) {
            if text(app, "app").is_empty() {
                continue;
            }
            let (tone, told) = sessions::acknowledgement(app);
            sheet.under(look.sign(tone), tone, &format!("{} {told}", name_of(&state.names, text(app, "app"))));
        }
    }
    let title = match run.is_over() {
        true => format!("{}: done", run.plan.verb),
        false => format!("{} …", run.plan.verb),
    };
    let high = u16::try_from(sheet.lines.len()).unwrap_or(200).saturating_add(2);
    let area = window(frame, state, wide, high.max(5), titled(look, &title), Some(tone));
    lines(frame, area, sheet.lines, 0);
}
