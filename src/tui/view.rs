//! The screen, drawn from a snapshot and nothing else.
//!
//! ```text
//!  authd · address                       version
//!  organizations 2   connections 1   …
//! ┌ sign-ins ──────────────────────────────────┐
//! │ time  mark  person  kind  code  request     │
//! ├ sessions ──────────────────────────────────┤
//! │ since  person  organization  address        │
//! └─────────────────────────────────────────────┘
//!  q quits   r looks again
//! ```

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};

use super::snapshot::{Happened, Snapshot};

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, snapshot: &Snapshot) {
    let [head, counts, signins, sessions, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let title = Line::from(vec![" authd ".bold(), Span::raw(snapshot.url.as_str()).cyan()]);
    frame.render_widget(title, head);
    frame.render_widget(Line::from(format!("{} ", snapshot.version)).right_aligned().dim(), head);
    match &snapshot.trouble {
        Some(trouble) => frame.render_widget(Paragraph::new(format!(" {trouble}")).red(), counts),
        None => frame.render_widget(counted(snapshot), counts),
    }
    happened(frame, signins, &snapshot.events);
    signed(frame, sessions, snapshot);
    let keys_line = Line::from(vec![" q".bold(), " quits   ".into(), "r".bold(), " looks again".into()]).dim();
    frame.render_widget(keys_line, keys);
}

fn counted(snapshot: &Snapshot) -> Paragraph<'_> {
    let spans = snapshot
        .counts
        .iter()
        .flat_map(|(name, count)| [Span::raw(format!(" {count}")).bold(), Span::raw(format!(" {name}  ")).dim()]);
    Paragraph::new(Line::from(spans.collect::<Vec<_>>()))
}

fn happened(frame: &mut Frame<'_>, area: Rect, events: &[Happened]) {
    let rows = events.iter().map(|event| {
        let (mark, style) = match (&event.code, event.kind.as_str()) {
            (Some(_), _) => ("✗", Style::new().fg(Color::Red)),
            (None, "session.signed_in" | "connection.login.succeeded") => ("✓", Style::new().fg(Color::Green)),
            (None, _) => ("·", Style::new()),
        };
        // A failure is looked up by its request; where it went well the kind says enough.
        let what = event.code.as_ref().map_or_else(|| event.kind.clone(), |code| format!("{code}\n{}", event.request));
        Row::new([
            Cell::from(event.at.as_str()).dim(),
            Cell::from(mark).style(style),
            Cell::from(event.who.as_str()),
            Cell::from(what).style(if event.code.is_some() { style } else { Style::new() }),
        ])
        .height(if event.code.is_some() { 2 } else { 1 })
    });
    let widths = [Constraint::Length(8), Constraint::Length(1), Constraint::Fill(2), Constraint::Fill(3)];
    listed(frame, area, " sign-ins ", Table::new(rows, widths), events.is_empty(), "Nobody has signed in yet.");
}

fn signed(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let rows = snapshot.sessions.iter().map(|session| {
        Row::new([
            Cell::from(session.since.as_str()).dim(),
            Cell::from(session.who.as_str()),
            Cell::from(session.organization.as_str()),
            Cell::from(session.ip.as_str()).dim(),
        ])
    });
    let widths = [Constraint::Length(16), Constraint::Fill(3), Constraint::Fill(2), Constraint::Length(15)];
    listed(frame, area, " sessions ", Table::new(rows, widths), snapshot.sessions.is_empty(), "Nobody is signed in.");
}

fn listed(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &'static str,
    table: Table<'_>,
    empty: bool,
    nothing: &'static str,
) {
    let block = Block::bordered().title(title.bold()).border_style(Style::new().dim());
    if empty {
        frame.render_widget(Paragraph::new(nothing).dim().block(block), area);
    } else {
        frame.render_widget(table.block(block), area);
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::super::snapshot::Signed;
    use super::*;

    fn screen(snapshot: &Snapshot, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, snapshot)).unwrap();
        let buffer = terminal.backend().buffer();
        let lines = buffer.content().chunks(usize::from(width));
        lines
            .map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n")
            .collect()
    }

    fn sample() -> Snapshot {
        let event = |at: &str, kind: &str, email: &str, code: Option<&str>| {
            let mut event = json!({"kind": kind, "occurredAt": format!("2026-01-01T{at}.000Z"), "outcome": "success",
                "requestId": "req_01kdvdna00gpn6ppt42h20kqfh", "subject": {"kind": "user", "id": "usr_1"}});
            if !email.is_empty() {
                event["data"] = json!({"email": email});
            }
            if let Some(code) = code {
                event["errorCode"] = code.into();
            }
            event
        };
        let live = json!({"url": "https://id.example.com", "version": "0.1.0", "seq": 4, "events": [
            event("09:00:00", "server.started", "", None),
            event("09:12:44", "session.signed_in", "ada@acme.example", None),
            event("09:13:02", "connection.login.failed", "", Some("token_audience")),
            event("09:13:40", "session.signed_out", "\u{1b}]0;x\u{7}", None),
        ]});
        let counts = json!({"organizations": 2, "connections": 1, "apps": 3, "users": 41, "sessions": 1, "events": 4});
        let session = Signed {
            since: "2026-01-01 09:12".into(),
            who: "ada@acme.example".into(),
            organization: "Acme".into(),
            ip: "192.0.2.7".into(),
        };
        Snapshot::of(&live, &counts, vec![session])
    }

    #[test]
    fn the_screen_of_a_small_terminal() {
        let expected = r"
 authd https://id.example.com                                             0.1.0
 2 organizations   1 connections   3 apps   41 users   1 sessions   4 events

┌ sign-ins ────────────────────────────────────────────────────────────────────┐
│09:13:40 · \u{1b}]0;x\u{7}            session.signed_out                      │
│09:13:02 ✗ usr_1                      token_audience                          │
│                                      req_01kdvdna00gpn6ppt42h20kqfh          │
│09:12:44 ✓ ada@acme.example           session.signed_in                       │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
└──────────────────────────────────────────────────────────────────────────────┘
┌ sessions ────────────────────────────────────────────────────────────────────┐
│2026-01-01 09:12 ada@acme.example           Acme               192.0.2.7      │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
└──────────────────────────────────────────────────────────────────────────────┘
 q quits   r looks again
";
        let drawn = screen(&sample(), 80, 24);
        assert!(drawn == expected[1..], "\n{drawn}");
    }

    #[test]
    fn trouble_and_tiny_terminals_are_drawn_too() {
        let lost = Snapshot { trouble: Some("The running server does not answer.".into()), ..Snapshot::default() };
        assert!(screen(&lost, 80, 24).contains("does not answer"));
        for (width, height) in [(1, 1), (20, 5), (200, 60)] {
            screen(&sample(), width, height);
        }
    }
}
