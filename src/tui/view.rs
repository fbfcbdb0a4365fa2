//! The screen, drawn from a snapshot and nothing else.
//!
//! ```text
//!  authd · address                       version
//!  organizations 2   connections 1   …
//! ┌ sign-ins ──────────────────────────────────┐
//! │ time  mark  person, request   what, way     │
//! ├ sessions ──────────────────────────────────┤
//! │ since  person  organization  address        │
//! └─────────────────────────────────────────────┘
//!  q quits   r looks again
//! ```

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table, Wrap};

use super::snapshot::{Ending, Happened, Snapshot};

/// The smallest terminal that something can be read on: columns, lines.
const LEAST: (u16, u16) = (40, 10);

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, snapshot: &Snapshot) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("The terminal is too small: {} × {} is the least.", LEAST.0, LEAST.1);
        return frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
    }
    let [head, counts, signins, sessions, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(1),
    ])
    .areas(area);
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
    let spans = snapshot.counts.iter().flat_map(|(name, count)| {
        let name = if *count == 1 { name.trim_end_matches('s') } else { name };
        [Span::raw(format!(" {count}")).bold(), Span::raw(format!(" {name}  ")).dim()]
    });
    Paragraph::new(Line::from(spans.collect::<Vec<_>>()))
}

fn happened(frame: &mut Frame<'_>, area: Rect, events: &[Happened]) {
    let rows = events.iter().map(|event| {
        let (mark, style) = match event.ending {
            Ending::In => ("✓", Style::new().fg(Color::Green)),
            Ending::Refused => ("✗", Style::new().fg(Color::Red)),
            Ending::Over => ("·", Style::new()),
        };
        // A refusal is looked up by its request (`authd explain`); where it went well nobody needs that.
        let (left, right) = match event.ending {
            Ending::Refused => (
                vec![event.who.as_str(), &event.request],
                vec![Span::styled(&*event.what, style), Span::raw(&*event.way)],
            ),
            _ if event.way.is_empty() => (vec![event.who.as_str()], vec![Span::raw(&*event.what)]),
            _ => (vec![event.who.as_str()], vec![Span::raw(format!("{} · {}", event.what, event.way))]),
        };
        let left: Vec<Line<'_>> = left.into_iter().filter(|text| !text.is_empty()).map(Line::from).collect();
        let right: Vec<Line<'_>> = right.into_iter().filter(|span| !span.content.is_empty()).map(Line::from).collect();
        let height = u16::try_from(left.len().max(right.len())).unwrap_or(1).max(1);
        Row::new([
            Cell::from(event.at.as_str()).dim(),
            Cell::from(mark).style(style),
            Cell::from(Text::from(left)),
            Cell::from(Text::from(right)),
        ])
        .height(height)
    });
    let widths = [Constraint::Length(8), Constraint::Length(1), Constraint::Fill(1), Constraint::Fill(1)];
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

    use super::super::snapshot::{Names, Signed, learn};
    use super::*;
    use crate::env::Env;
    use crate::event::{Actor, Event, EventKind, Origin};
    use crate::id::{AppId, ConnectionId, OrganizationId, SessionId, UserId};

    fn screen(snapshot: &Snapshot, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, snapshot)).unwrap();
        let buffer = terminal.backend().buffer();
        let lines = buffer.content().chunks(usize::from(width));
        lines
            .map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n")
            .collect()
    }

    /// Events as the server writes them: no address in them, and three of one sign-in.
    fn sample() -> Snapshot {
        let env = Env::frozen();
        let request = || Origin::internal(&env);
        let (organization, app, user) = (OrganizationId::new(&env), AppId::new(&env), UserId::new(&env));
        let (connection, session, other) = (ConnectionId::new(&env), SessionId::new(&env), UserId::new(&env));
        let event = |kind, origin: &Origin, at: &str| {
            let event = Event::new(&env, kind, &Actor::System, origin).within(organization);
            (event, format!("2026-01-01T{at}.000Z"))
        };
        let signin = request();
        let events = [
            event(EventKind::ServerStarted, &request(), "09:00:00"),
            {
                let (event, at) = event(EventKind::SessionSignedIn, &signin, "09:12:44");
                (event.about("session", session).and("user", user), at)
            },
            {
                let (event, at) = event(EventKind::CodeCreated, &signin, "09:12:44");
                (event.about("app", app).and("user", user).and("session", session), at)
            },
            {
                let (event, at) = event(EventKind::ConnectionLoginSucceeded, &signin, "09:12:44");
                (event.about("connection", connection).and("user", user).and("session", session), at)
            },
            {
                let (event, at) = event(EventKind::ConnectionLoginFailed, &request(), "09:13:02");
                (event.about("connection", connection).and("app", app).failed("token_audience"), at)
            },
            {
                let (event, at) = event(EventKind::SessionSignedOut, &request(), "09:13:40");
                (event.about("session", session).and("user", other), at)
            },
        ];
        let events = events.into_iter().map(|(event, at)| {
            let mut event = serde_json::to_value(event).unwrap();
            event["occurredAt"] = at.into();
            event
        });
        let live = json!({"url": "https://id.example.com", "version": "0.1.0", "seq": 6, "events": events.collect::<Vec<_>>()});
        let counts = json!({"organizations": 1, "connections": 1, "apps": 3, "users": 41, "sessions": 1, "events": 6});
        let mut names = Names::new();
        learn(
            &mut names,
            &json!({"items": [
                {"id": session, "user": user, "email": "ada@acme.example"},
                {"id": session, "user": other, "email": "\u{1b}]0;x\u{7}"},
            ]}),
        );
        learn(&mut names, &json!({"items": [{"id": connection, "name": "Acme Okta"}]}));
        learn(&mut names, &json!({"items": [{"clientId": app, "name": "Wiki"}]}));
        let session = Signed {
            since: "2026-01-01 09:12".into(),
            who: "ada@acme.example".into(),
            organization: "Acme".into(),
            ip: "192.0.2.7".into(),
        };
        Snapshot::of(&live, &counts, vec![session], &names)
    }

    #[test]
    fn the_screen_of_a_small_terminal() {
        let expected = r"
 authd https://id.example.com                                             0.1.0
 1 organization   1 connection   3 apps   41 users   1 session   6 events

┌ sign-ins ────────────────────────────────────────────────────────────────────┐
│09:13:40 · \u{1b}]0;x\u{7}                   signed out                       │
│09:13:02 ✗ req_01kdvdna00kywtnme50nsmkxxp    token_audience                   │
│                                             Acme Okta → Wiki                 │
│09:12:44 ✓ ada@acme.example                  signed in · Acme Okta → Wiki     │
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
        let sample = sample();
        let drawn = screen(&sample, 80, 24);
        assert!(drawn == expected[1..], "\n{drawn}");
    }

    #[test]
    fn trouble_and_tiny_terminals_are_drawn_too() {
        let lost = Snapshot { trouble: Some("The running server does not answer.".into()), ..Snapshot::default() };
        assert!(screen(&lost, 80, 24).contains("does not answer"));
        for (width, height) in [(1, 1), (200, 60)] {
            screen(&sample(), width, height);
        }
        assert!(screen(&sample(), 39, 24).contains("too small") && screen(&sample(), 80, 9).contains("too small"));
        assert!(!screen(&sample(), 40, 10).contains("too small"));
    }
}
