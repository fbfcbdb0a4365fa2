//! Names of strangers, on every screen: none commands the terminal, none breaks the drawing.

use authd::tui::ask::Poll;
use authd::tui::update::{Effect, Msg};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

use super::{Desk, Mood};

/// Sequences that copy, link, clear, rename the window, turn around, hide, or break the line.
const ATTACKS: &[&str] = &[
    "\u{1b}]52;c;aGFjaw==\u{7}",
    "\u{1b}]8;;http://evil.example\u{1b}\\click\u{1b}]8;;\u{1b}\\",
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}]0;root\u{7}",
    "\u{9b}31m",
    "\u{9d}52;c;aGFjaw==\u{9c}",
    "\u{90}q\u{9c}",
    "\u{202e}nimda",
    "\u{2066}\u{2069}\u{200f}",
    "\r\n\t\u{b}\u{8}\u{7f}",
    "\u{0}",
    "\u{200b}\u{2060}\u{feff}",
    "\u{e0041}\u{e007f}",
    "\u{ad}",
    "e\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "العربية עברית",
    "ＷＩＤＥ東京",
];

fn commands(c: char) -> bool {
    let n = u32::from(c);
    n < 0x20
        || (0x7f..0xa0).contains(&n)
        || matches!(n, 0xad | 0x61c | 0x200b | 0x200e | 0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe00ff)
}

/// An attack somewhere in every text, and in names of fields now and then. Moments stay, so that rows stay.
fn poisoned(value: Value, rng: &mut StdRng) -> Value {
    match value {
        Value::String(text) => {
            let moment = text.len() >= 20 && text.as_bytes().get(4) == Some(&b'-') && text.ends_with('Z');
            let word = matches!(
                text.as_str(),
                "success" | "failure" | "pending" | "active" | "draft" | "oidc" | "saml" | "ldap"
            );
            if (moment || word) && rng.random_bool(0.9) {
                return text.into();
            }
            let at = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect::<Vec<_>>();
            let at = *at.choose(rng).unwrap();
            let (before, after) = text.split_at(at);
            format!("{before}{}{after}", ATTACKS.choose(rng).unwrap()).into()
        }
        Value::Array(items) => items.into_iter().map(|item| poisoned(item, rng)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                let name = if rng.random_bool(0.02) { format!("{name}{}", ATTACKS.choose(rng).unwrap()) } else { name };
                (name, poisoned(value, rng))
            })
            .collect(),
        other => other,
    }
}

fn harmless(desk: &Desk, told: &str) {
    for cell in &desk.buffer().content {
        assert!(!cell.symbol().chars().any(commands), "{told}: {:?} is on the screen", cell.symbol());
    }
}

#[test]
fn adm_07_no_text_of_a_stranger_commands_the_terminal_on_any_screen() {
    for seed in 0..3 {
        let mut rng = StdRng::seed_from_u64(seed);
        for size in [(80, 24), (160, 48)] {
            let mut desk = Desk::new(Mood::Busy, size);
            let mut bend = StdRng::seed_from_u64(seed + 1_000);
            desk.bend = Box::new(move |value| poisoned(value, &mut bend));
            let mut desk = desk.settled();
            let event = poisoned(super::sample::event(90), &mut rng);
            desk.tell(Msg::Events(vec![event], 90));
            for panel in 1..=9 {
                desk.press(&panel.to_string());
                harmless(&desk, &format!("panel {panel}, seed {seed}"));
                for list in 0..4 {
                    desk.press("\n");
                    harmless(&desk, &format!("panel {panel}, list {list}, opened, seed {seed}"));
                    desk.press("\u{1b}Y");
                    harmless(&desk, "copies");
                    desk.press("\u{1b}x");
                    harmless(&desk, "a question");
                    desk.press("\u{1b}v");
                    harmless(&desk, "a report");
                    desk.press("\u{1b}\t");
                }
            }
            // What is typed, pasted, and told about the connection.
            desk.tell(Msg::Lost(format!("gone {}", ATTACKS.choose(&mut rng).unwrap())));
            desk.press("3/");
            desk.tell(Msg::Paste(ATTACKS.concat()));
            harmless(&desk, "a filter");
            desk.press("\u{1b}:");
            desk.tell(Msg::Paste(ATTACKS.concat()));
            harmless(&desk, "a command");
            desk.tell(super::refused(Poll::Sessions));
            harmless(&desk, "a refusal");
        }
    }
}

#[test]
fn no_key_no_click_and_no_size_breaks_the_drawing_and_read_only_changes_nothing() {
    let reads = |name: &str| {
        authd::app::catalogue()
            .iter()
            .map(authd::tui::catalogue::Spec::of)
            .any(|spec| spec.name == name && spec.reads())
    };
    for (seed, read_only) in [(1, false), (2, true), (3, true), (4, false)] {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut desk = Desk::with(Mood::Busy, (80, 24), "dark", read_only).settled();
        for step in 0..250 {
            let message = match rng.random_range(0..20) {
                0 => Msg::Resize(rng.random_range(1..200), rng.random_range(1..60)),
                1 | 2 => Msg::Mouse(MouseEvent {
                    kind: *[
                        MouseEventKind::Down(MouseButton::Left),
                        MouseEventKind::ScrollDown,
                        MouseEventKind::ScrollUp,
                        MouseEventKind::Down(MouseButton::Right),
                    ]
                    .choose(&mut rng)
                    .unwrap(),
                    column: rng.random_range(0..200),
                    row: rng.random_range(0..60),
                    modifiers: KeyModifiers::NONE,
                }),
                3 => Msg::Tick(desk.state.now + rng.random_range(0..5_000)),
                4 => Msg::Events(vec![super::sample::event(100 + step)], 100 + step as u64),
                5 => Msg::Lost("gone".into()),
                6 => Msg::Reached,
                _ => {
                    let plain = "jkgGhls/?:yYxXadtvrRVn*u pToiq123456789\n\t\u{1b}";
                    let code = match *plain.chars().collect::<Vec<_>>().choose(&mut rng).unwrap() {
                        '\n' => KeyCode::Enter,
                        '\t' => KeyCode::Tab,
                        '\u{1b}' => KeyCode::Esc,
                        c => KeyCode::Char(c),
                    };
                    let control = rng.random_bool(0.05);
                    Msg::Key(KeyEvent::new(code, if control { KeyModifiers::CONTROL } else { KeyModifiers::NONE }))
                }
            };
            desk.tell(message);
            desk.buffer();
        }
        if read_only {
            for (name, _) in &desk.asked {
                assert!(reads(name), "read-only asked for {name}");
            }
        }
        assert!(desk.wishes.iter().all(|wish| !matches!(wish, Effect::Ask(..))));
    }
}
