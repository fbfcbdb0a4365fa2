//! What an opened row shows, line by line; and what of it can be copied.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use crate::tui::panels::{Names, audit};
use crate::tui::shown::{clock, cut, day, exact, moment, span, text, wrapped};
use crate::tui::state::Open;
use crate::tui::theme::{Look, Tone};

/// The column of the names of facts.
const LABEL: usize = 15;
/// So deep a value is shown.
const DEEP: usize = 8;

/// Lines, as they are written.
pub struct Sheet {
    look: Look,
    now: i64,
    width: usize,
    /// What was written.
    pub lines: Vec<Line<'static>>,
    /// Names and values that are worth copying.
    pub copies: Vec<(String, String)>,
}

impl Sheet {
    /// An empty one of that width.
    pub fn new(look: Look, now: i64, width: u16) -> Self {
        Self { look, now, width: usize::from(width).max(10), lines: Vec::new(), copies: Vec::new() }
    }

    fn line(&mut self, spans: Vec<Span<'static>>) {
        self.lines.push(Line::from(spans));
    }

    fn fit(&self, text: &str, room: usize) -> String {
        cut(text, room, self.look.unicode).into_owned()
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.lines.push(Line::default());
    }

    /// A heading.
    pub fn title(&mut self, title: &str) {
        let rule = self.look.either("─", "-").repeat(self.width.saturating_sub(title.width() + 1));
        self.line(vec![Span::styled(title.to_owned() + " ", self.look.accent()), Span::styled(rule, self.look.line())]);
    }

    /// How it stands.
    pub fn state(&mut self, tone: Tone, told: &str) {
        let sign = format!("{} {}", self.look.sign(tone), self.fit(told, self.width - 2));
        self.line(vec![Span::styled(sign, self.look.tone(tone))]);
    }

    /// A fact, left out where there is none.
    pub fn fact(&mut self, label: &str, value: &str) {
        self.named(label, value, value);
    }

    /// A fact that has a name beside the value that is copied.
    pub fn named(&mut self, label: &str, shown: &str, value: &str) {
        if shown.is_empty() {
            return;
        }
        if !value.is_empty() {
            self.copies.push((label.to_owned(), value.to_owned()));
        }
        self.labelled(label, shown, self.look.text());
    }

    fn labelled(&mut self, label: &str, shown: &str, style: Style) {
        let room = self.width.saturating_sub(LABEL).max(8);
        for (at, part) in wrapped(shown, room).into_iter().enumerate() {
            let label = if at == 0 { self.fit(label, LABEL - 1) } else { String::new() };
            let label = format!("{label}{}", " ".repeat(LABEL.saturating_sub(label.width())));
            self.line(vec![Span::styled(label, self.look.dim()), Span::styled(part, style)]);
        }
    }

    /// A moment, and how far it is from now.
    pub fn moment(&mut self, label: &str, at: &str) {
        let Some(when) = moment(at) else { return };
        let far = if when > self.now {
            format!("in {}", span(when - self.now))
        } else {
            format!("{} ago", span(self.now - when))
        };
        self.labelled(label, &format!("{} UTC · {far}", day(at)), self.look.text());
    }

    /// A sentence.
    pub fn paragraph(&mut self, tone: Tone, told: &str) {
        if told.is_empty() {
            return;
        }
        for part in wrapped(told, self.width) {
            self.line(vec![Span::styled(part, self.look.tone(tone))]);
        }
    }

    /// A command to be copied.
    pub fn command(&mut self, command: &str) {
        self.copies.push(("Command".to_owned(), command.to_owned()));
        for (at, part) in wrapped(command, self.width.saturating_sub(2)).into_iter().enumerate() {
            let prompt = if at == 0 { "$ " } else { "  " };
            self.line(vec![Span::styled(prompt, self.look.dim()), Span::styled(part, self.look.accent())]);
        }
    }

    /// Something that is well or not.
    pub fn check(&mut self, tone: Tone, name: &str, told: &str) {
        let name = self.fit(name, self.width.saturating_sub(4));
        let gap = 22usize.saturating_sub(name.width()).max(2);
        let room = self.width.saturating_sub(4 + name.width() + gap);
        let told = if room > 4 { self.fit(told, room) } else { String::new() };
        self.line(vec![
            Span::styled(format!("  {} ", self.look.sign(tone)), self.look.tone(tone)),
            Span::styled(name, self.look.text()),
            Span::raw(" ".repeat(gap)),
            Span::styled(told, self.look.dim()),
        ]);
    }

    /// What is more to say about what stands above.
    pub fn under(&mut self, label: &str, tone: Tone, told: &str) {
        if told.is_empty() {
            return;
        }
        let room = self.width.saturating_sub(6 + 10).max(8);
        for (at, part) in wrapped(told, room).into_iter().enumerate() {
            let label = if at == 0 { self.fit(label, 9) } else { String::new() };
            self.line(vec![
                Span::styled(
                    format!("    {} {label:<10}", if at == 0 { self.look.either("╰", "`") } else { " " }),
                    self.look.dim(),
                ),
                Span::styled(part, self.look.tone(tone)),
            ]);
        }
    }

    /// A stretch of time within a whole.
    pub fn bar(&mut self, tone: Tone, label: &str, told: &str, (from, to, whole): (i64, i64, i64)) {
        let took = if to > from { exact(to - from) } else { format!("+{}", exact(from)) };
        let room = self.width.saturating_sub(4 + 10 + 9);
        let wide = room.min(24);
        let place = |at: i64| {
            let at = at.clamp(0, whole.max(1)) * i64::try_from(wide).unwrap_or(0) / whole.max(1);
            usize::try_from(at).unwrap_or(0)
        };
        let (start, end) = (place(from).min(wide.saturating_sub(1)), place(to));
        let filled = end.saturating_sub(start).max(1).min(wide.saturating_sub(start));
        let (full, rest) = (self.look.either("━", "="), self.look.either("─", "-"));
        let after = wide.saturating_sub(start + filled);
        // A word that is cut off says nothing.
        let room = room.saturating_sub(wide + 2);
        let told = if room < 16 { String::new() } else { self.fit(told, room) };
        self.line(vec![
            Span::styled(format!("  {} ", self.look.sign(tone)), self.look.tone(tone)),
            Span::styled(format!("{label:<10}"), self.look.text()),
            Span::styled(rest.repeat(start), self.look.line()),
            Span::styled(full.repeat(filled), self.look.tone(tone)),
            Span::styled(rest.repeat(after), self.look.line()),
            Span::styled(format!("{took:>8} "), self.look.text()),
            Span::styled(format!(" {told}"), self.look.dim()),
        ]);
    }

    /// Something that happened at a time.
    pub fn dated(&mut self, tone: Tone, at: &str, what: &str, more: &str) {
        let when = match moment(at) {
            Some(at) if self.now - at < 86_400_000 => clock(at),
            Some(at) => format!("{} ago", span(self.now - at)),
            None => String::new(),
        };
        let room = self.width.saturating_sub(4 + 10);
        let more = self.fit(more, room / 3);
        let what = self.fit(what, room.saturating_sub(more.width() + 2));
        let gap = room.saturating_sub(what.width() + more.width());
        self.line(vec![
            Span::styled(format!("  {} ", self.look.sign(tone)), self.look.tone(tone)),
            Span::styled(format!("{when:<10}"), self.look.dim()),
            Span::styled(what, self.look.text()),
            Span::raw(" ".repeat(gap)),
            Span::styled(more, self.look.dim()),
        ]);
    }

    /// What happened to it.
    pub fn events(&mut self, events: &[Value], names: &Names) {
        self.title("Lately");
        if events.is_empty() {
            return self.paragraph(Tone::Idle, "Nothing.");
        }
        for event in events {
            let row = audit::row(event, names);
            self.dated(row.tone, text(event, "occurredAt"), text(event, "kind"), row.cell(3));
        }
    }

    /// That an answer is still to come, or why there is none.
    pub fn waiting(&mut self, open: &Open, key: &str) {
        match open.trouble(key) {
            Some(why) => self.paragraph(Tone::Bad, why),
            None => self.state(Tone::Busy, "asking …"),
        }
    }

    /// Any value: names to the left, values to the right, what is inside further in.
    pub fn value(&mut self, value: &Value, names: &Names) {
        self.nested(value, names, 0);
    }

    fn nested(&mut self, value: &Value, names: &Names, depth: usize) {
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with('_')) {
                    match value {
                        Value::Object(inner) if inner.is_empty() => {}
                        Value::Array(inner) if inner.is_empty() => {}
                        Value::Array(inner) if inner.iter().all(|one| !one.is_object() && !one.is_array()) => {
                            let texts: Vec<String> = inner.iter().map(plain).collect();
                            self.pair(&indent, name, &texts.join(", "), names);
                        }
                        Value::Array(_) | Value::Object(_) if depth < DEEP => {
                            self.line(vec![Span::styled(format!("{indent}{name}"), self.look.dim())]);
                            self.nested(value, names, depth + 1);
                        }
                        Value::Null => {}
                        other => self.pair(&indent, name, &plain(other), names),
                    }
                }
            }
            Value::Array(all) if depth < DEEP => {
                for one in all {
                    if let Some(ok) = one["ok"].as_bool() {
                        crate::tui::panels::signins::checks(std::slice::from_ref(one), self);
                        if ok && !text(one, "help").is_empty() {
                            self.under("help", Tone::Plain, text(one, "help"));
                        }
                        continue;
                    }
                    let first = self.lines.len();
                    self.nested(one, names, depth);
                    let sign = self.look.either("• ", "- ");
                    // Where the indent ends, so that the names of its fields stand beneath one another.
                    if let Some(span) = self.lines.get_mut(first).and_then(|line| line.spans.first_mut())
                        && let Some(rest) = span.content.strip_prefix("  ")
                    {
                        span.content = format!("{sign}{rest}").into();
                    }
                }
            }
            other => self.paragraph(Tone::Plain, &format!("{indent}{}", plain(other))),
        }
    }

    fn pair(&mut self, indent: &str, name: &str, value: &str, names: &Names) {
        self.copies.push((name.to_owned(), value.to_owned()));
        let tone = match value {
            "true" => Tone::Good,
            "false" => Tone::Warn,
            _ => Tone::Plain,
        };
        let known = names.get(value).map(|name| format!("{value}  ({name})"));
        let label = format!("{indent}{name}");
        let room = self.width.saturating_sub(label.width().max(LABEL) + 1).max(8);
        for (at, part) in wrapped(known.as_deref().unwrap_or(value), room).into_iter().enumerate() {
            let label = if at == 0 { label.clone() } else { String::new() };
            let wide = LABEL.max(format!("{indent}{name}").width());
            let label = format!("{label}{} ", " ".repeat(wide.saturating_sub(label.width())));
            self.line(vec![Span::styled(label, self.look.dim()), Span::styled(part, self.look.tone(tone))]);
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
