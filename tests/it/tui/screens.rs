//! What each panel looks like: empty, busy and refused, on a small terminal and on a big one.
//!
//! The pictures are in `tests/snapshots/tui`; `AUTHD_UPDATE_REFERENCE=1` draws them anew.

use std::path::PathBuf;

use authd::config::Environment;

use super::{Desk, Mood};

const SIZES: [(u16, u16); 2] = [(80, 24), (160, 48)];
const MOODS: [(Mood, &str); 3] = [(Mood::Empty, "empty"), (Mood::Busy, "busy"), (Mood::Error, "error")];

fn check(wrong: &mut Vec<String>, name: &str, drawn: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/tui").join(format!("{name}.txt"));
    if Environment::read().get("AUTHD_UPDATE_REFERENCE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, drawn).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    if expected != drawn {
        wrong.push(format!("{name}: it is now\n{drawn}"));
    }
}

fn ended(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}\n(AUTHD_UPDATE_REFERENCE=1 takes these over)", wrong.join("\n"));
}

#[test]
fn each_panel_is_drawn_as_it_was_at_both_sizes_empty_busy_and_refused() {
    let panels = ["overview", "signins", "sessions", "connections", "directory", "apps", "audit", "webhooks", "expiry"];
    let mut wrong = Vec::new();
    for (mood, mood_name) in MOODS {
        for size in SIZES {
            let mut desk = Desk::new(mood, size).settled();
            for (at, panel) in panels.iter().enumerate() {
                desk.press(&(at + 1).to_string());
                check(&mut wrong, &format!("{panel}-{mood_name}-{}x{}", size.0, size.1), &desk.screen());
            }
        }
    }
    ended(&wrong);
}

#[test]
fn lists_within_panels_opened_rows_and_windows_are_drawn_as_they_were() {
    let walks = [
        ("groups", "5\t"),
        ("roles", "5\t\t"),
        ("provisioning", "5\t\t\t"),
        ("deliveries", "8↓\t"),
        ("signin-opened", "2↓↓\n"),
        ("signin-refused-opened", "2↓↓↓\n"),
        ("session-opened", "3\n"),
        ("connection-oidc-opened", "4↓↓\n"),
        ("connection-saml-opened", "4↓\n"),
        ("person-opened", "5\n"),
        ("app-opened", "6\n"),
        ("event-opened", "7\n"),
        ("endpoint-opened", "8\n"),
        ("expiry-opened", "9\n"),
        ("help", "?"),
        ("palette", ":sess"),
        ("form", ":webhook.create\n"),
        ("confirm-one", "3x"),
        ("confirm-many", "3   x"),
        ("revoked", "3  xy"),
        ("tested", "4↓↓t"),
        ("secret", "6Ry"),
        ("verified", "7V"),
        ("copies", "4↓↓Y"),
        ("filtered", "3/ada\n"),
        ("filter-finds-nothing", "3/nobody"),
        ("sorted", "3s"),
    ];
    let mut wrong = Vec::new();
    for size in SIZES {
        for (name, keys) in walks {
            let mut desk = Desk::new(Mood::Busy, size).settled();
            desk.press(keys);
            check(&mut wrong, &format!("{name}-{}x{}", size.0, size.1), &desk.screen());
        }
    }
    ended(&wrong);
}

#[test]
fn without_colours_and_without_unicode_nothing_is_missing() {
    let mut wrong = Vec::new();
    for (keys, name) in [("1", "overview"), ("2", "signins"), ("3x", "confirm"), ("?", "help")] {
        let mut desk = Desk::with(Mood::Busy, (80, 24), "none", false).settled();
        desk.press(keys);
        // What people are called is theirs; frames and signs are ours.
        let drawn = desk.screen();
        let foreign = |c: char| !c.is_ascii() && !"Zoë東京·–—›→…".contains(c);
        assert!(
            !drawn.chars().any(foreign),
            "{:?}\n{drawn}",
            drawn.chars().filter(|c| foreign(*c)).collect::<String>()
        );
        let colours = desk
            .buffer()
            .content
            .iter()
            .any(|cell| cell.fg != ratatui::style::Color::Reset || cell.bg != ratatui::style::Color::Reset);
        assert!(!colours, "{name} has colours");
        check(&mut wrong, &format!("plain-{name}"), &drawn);
    }
    ended(&wrong);
}
