//! What keys, answers and events do.

use authd::tui::act::{FORMS, INVERSES, STEPS};
use authd::tui::ask::{Ask, PACES, Poll, STIRRED, What};
use authd::tui::catalogue::Spec;
use authd::tui::panels::View;
use authd::tui::state::Link;
use authd::tui::update::{Effect, Msg, update};
use serde_json::json;

use super::{Desk, Mood, refused, sample};

#[test]
fn every_operation_of_the_tables_is_in_the_catalogue_and_takes_what_it_is_given() {
    let specs: Vec<Spec> = authd::app::catalogue().iter().map(Spec::of).collect();
    let find =
        |name: &str| specs.iter().find(|spec| spec.name == name).unwrap_or_else(|| panic!("no operation {name}"));
    let takes = |name: &str, field: &str| {
        assert!(find(name).fields.iter().any(|known| known.name == field), "{name} takes no {field}");
    };
    for step in STEPS {
        step.fields.iter().for_each(|(field, _)| takes(step.operation, field));
        for field in find(step.operation).fields.iter().filter(|field| field.required) {
            assert!(
                step.fields.iter().any(|(given, _)| *given == field.name),
                "{} wants {}",
                step.operation,
                field.name
            );
        }
    }
    for (done, undone) in INVERSES {
        assert_eq!(
            find(done).fields.iter().any(|f| f.name == "id"),
            find(undone).fields.iter().any(|f| f.name == "id")
        );
    }
    for (_, _, operation, field) in FORMS {
        field.iter().for_each(|field| takes(operation, field));
    }
    for pace in PACES {
        if let Some(What::Operation(name, input)) = pace.poll.what(Some("c"), Some("whe_1"), "2026-01-01T00:00:00Z") {
            assert!(find(name).reads(), "{name} is no look");
            input.as_object().unwrap().keys().for_each(|field| takes(name, field));
        }
    }
    for (begins, _) in STIRRED {
        let known = authd::event::EventKind::ALL.iter().any(|kind| kind.name().starts_with(begins));
        assert!(known, "no event begins with {begins}");
    }
}

#[test]
fn forms_have_the_fields_of_every_operation() {
    for spec in authd::app::catalogue().iter().map(Spec::of) {
        assert!(!spec.about.is_empty(), "{}", spec.name);
        let mut path = spec.route.path;
        while let Some((_, rest)) = path.split_once('{') {
            let (name, after) = rest.split_once('}').unwrap();
            assert!(spec.fields.iter().any(|field| field.name == name && field.required), "{}: {name}", spec.name);
            path = after;
        }
    }
}

#[test]
fn a_session_appears_when_its_event_comes_and_goes_when_it_ends() {
    let mut desk = Desk::new(Mood::Busy, (80, 24)).settled();
    desk.press("3");
    let before = desk.state.table(View::Sessions).len();
    desk.asked.clear();
    let mut event = sample::event(70);
    event["kind"] = "session.signed_in".into();
    desk.tell(Msg::Events(vec![event.clone()], 70));
    desk.tick(1_000);
    assert!(!desk.did("session.list").is_empty(), "the newest sessions are asked for");
    event["kind"] = "session.signed_out".into();
    event["subjectType"] = "session".into();
    event["subjectId"] = sample::session(3)["id"].clone();
    desk.tell(Msg::Events(vec![event], 71));
    assert_eq!(desk.state.table(View::Sessions).len(), before - 1);
}

#[test]
fn sessions_are_ended_after_a_question_that_names_them_and_their_apps_are_watched() {
    let mut desk = Desk::new(Mood::Busy, (80, 24)).settled();
    desk.press("3  x");
    let drawn = desk.screen();
    assert!(drawn.contains("zoë@acme.example") && drawn.contains("edsger@acme.example"), "{drawn}");
    assert!(desk.did("session.revoke").is_empty(), "nothing ends before it was said");
    desk.press("\n");
    assert!(desk.did("session.revoke").is_empty(), "what is chosen first is: no");
    desk.press("\u{1b}g  xy");
    assert_eq!(desk.did("session.revoke").len(), 2);
    desk.tick(1_500);
    let drawn = desk.screen();
    assert!(drawn.contains("2 of 2 done") && drawn.contains("Wiki has taken note"), "{drawn}");
}

#[test]
fn what_the_store_can_undo_is_undone_by_u() {
    let mut desk = Desk::new(Mood::Busy, (80, 24)).settled();
    desk.press("5xy");
    assert_eq!(desk.did("user.suspend").len(), 1);
    let suspended = desk.did("user.suspend")[0].clone();
    assert!(suspended["organization"].as_str().unwrap().starts_with("org_"), "{suspended}");
    desk.press("\u{1b}u");
    assert_eq!(desk.did("user.reactivate"), [&suspended]);
}

#[test]
fn a_server_that_went_away_is_told_and_everything_is_asked_again_when_it_is_back() {
    let mut desk = Desk::new(Mood::Busy, (80, 24)).settled();
    assert_eq!(desk.state.link, Link::Live);
    assert!(desk.wishes.contains(&Effect::Follow(69)), "{:?}", desk.wishes);
    desk.tell(Msg::Lost("The running server does not answer.".into()));
    desk.tick(12_000);
    assert!(desk.screen().contains("stale for 12s"), "{}", desk.screen());
    assert!(desk.screen().contains("reconnecting"));
    desk.asked.clear();
    desk.tell(Msg::Reached);
    assert!(!desk.did("session.list").is_empty() && !desk.did("connection.list").is_empty());
    assert!(desk.screen().contains("● live"));
    let follows = desk.wishes.iter().filter(|wish| matches!(wish, Effect::Follow(_))).count();
    assert_eq!(follows, 1, "the feed is followed once, for ever");
}

#[test]
fn what_is_opened_follows_the_list_and_is_asked_again_when_the_server_is_back() {
    for wide in [(80, 24), (160, 48)] {
        let mut desk = Desk::new(Mood::Busy, wide).settled();
        desk.press("4/okta\n\n");
        assert!(desk.screen().contains("● active"), "{}", desk.screen());
        // Somebody disables it elsewhere: the next list says so, and so does the sheet.
        desk.bend = Box::new(|mut answer| {
            for item in answer["items"].as_array_mut().into_iter().flatten() {
                if item["name"] == "Acme Okta" {
                    item["status"] = "disabled".into();
                }
            }
            answer
        });
        desk.tick(60_000);
        assert!(desk.screen().contains("○ disabled"), "{}", desk.screen());
        // A row that was opened while the server was away is whole once it is back.
        desk.press("\u{1b}3");
        desk.tell(Msg::Lost("gone".into()));
        desk.mood = Mood::Error;
        desk.press("\n");
        assert!(desk.screen().contains("does not answer"), "{}", desk.screen());
        desk.mood = Mood::Busy;
        desk.tell(Msg::Reached);
        desk.tick(300);
        assert!(!desk.screen().contains("does not answer"), "{}", desk.screen());
        assert!(desk.screen().contains("holds tokens") || desk.screen().contains("took note"), "{}", desk.screen());
    }
}

#[test]
fn a_window_shows_its_keys_whatever_was_said_before() {
    let mut desk = Desk::new(Mood::Busy, (80, 24)).settled();
    desk.press("3y");
    assert!(desk.screen().contains("Id was copied."), "{}", desk.screen());
    desk.press("x");
    assert!(desk.screen().contains("y yes  n esc no"), "{}", desk.screen());
    // A test is under way until it is done, and no longer.
    desk.press("n4t");
    assert!(!desk.screen().contains("◌ Test"), "{}", desk.screen());
    desk.press("\u{1b}");
    assert!(!desk.screen().contains("◌ Test"), "{}", desk.screen());
}

#[test]
fn a_read_only_dashboard_says_that_it_is_one() {
    let mut desk = Desk::with(Mood::Busy, (80, 24), "dark", true).settled();
    for keys in ["3x", "4d", "5x", "8n"] {
        desk.asked.clear();
        desk.press(keys);
        assert!(desk.screen().contains("This dashboard is read-only"), "{keys}: {}", desk.screen());
        assert!(desk.asked.iter().all(|(name, _)| desk.state.spec(name).is_some_and(Spec::reads)), "{:?}", desk.asked);
        desk.tick(10_000);
    }
}

#[test]
fn what_is_not_the_readers_is_not_asked_for_again_and_again() {
    let mut desk = Desk::new(Mood::Busy, (80, 24)).settled();
    desk.tell(refused(Poll::Counts));
    desk.asked.clear();
    (0..50).for_each(|_| desk.tick(5_000));
    assert!(desk.did("counts.show").is_empty() && desk.did("timings.show").len() > 40, "{:?}", desk.asked.len());
    desk.tick(60_000);
    assert_eq!(desk.did("counts.show").len(), 1, "roles change");
}

/// In ASCII there is nothing but ASCII, besides what people are called.
#[test]
fn a_plain_screen_has_no_sign_beyond_ascii() {
    for panel in 1..=9 {
        let mut desk = Desk::with(Mood::Busy, (160, 48), "none", false).settled();
        desk.press(&panel.to_string());
        let mut screens = desk.screen();
        for keys in ["\n", "?", "\u{1b}:", "\u{1b}Y", "\u{1b}x", "\u{1b}"] {
            desk.press(keys);
            screens += &desk.screen();
        }
        let strange: std::collections::BTreeSet<char> =
            screens.chars().filter(|c| !c.is_ascii() && !"ë東京".contains(*c)).collect();
        assert!(strange.is_empty(), "panel {panel}: {strange:?}");
    }
}

#[test]
fn how_long_things_take_is_the_servers_own_measure() {
    let mut desk = Desk::new(Mood::Busy, (160, 48)).settled();
    assert_eq!(desk.did("timings.show").len(), 1);
    assert!(desk.screen().contains("answer p50 / p99    0.6 ms / 5.0 ms, since start"), "{}", desk.screen());
    // 100 slow answers while somebody looks: they are what is told.
    desk.bend = Box::new(|mut answer| {
        for item in answer["items"].as_array_mut().into_iter().flatten().filter(|item| item["what"] == "answer") {
            item["count"] = 1_100.into();
            item["buckets"][3]["count"] = 1_100.into();
        }
        answer
    });
    desk.tick(60_000);
    let screen = desk.screen();
    assert!(screen.contains("answer p50 / p99    6.2 ms / 9.9 ms, last 1m"), "{screen}");
    assert!(screen.contains("since start"), "of sign-ins nothing came: {screen}");
    // The smallest screen has them, too; a reader who is not the operator is told nothing wrong.
    desk.tell(Msg::Resize(80, 24));
    assert!(desk.screen().contains("answer p50 6.2 ms p99 9.9 ms"), "{}", desk.screen());
    let mut other = Desk::new(Mood::Busy, (160, 48));
    other.bend = Box::new(|answer| if answer["items"][0]["what"] == "answer" { json!({"items": []}) } else { answer });
    assert!(!other.settled().screen().contains("p50"));
}

#[test]
fn older_events_are_fetched_where_the_log_ends_and_words_are_searched_in_all_of_it() {
    let mut desk = Desk::new(Mood::Busy, (80, 24)).settled();
    desk.press("7");
    desk.state.table_mut(View::Audit).older = Some("cursor-1".into());
    desk.asked.clear();
    desk.press("G");
    assert_eq!(desk.did("audit.list")[0]["cursor"], "cursor-1");
    desk.press("/nonce\n");
    assert_eq!(desk.did("audit.list").last().unwrap()["text"], "nonce");
}

#[test]
fn the_palette_knows_every_operation_and_its_form_asks_before_something_ends() {
    let mut desk = Desk::new(Mood::Busy, (160, 48)).settled();
    desk.press(":organization.dis\n");
    desk.press("org_x\n");
    assert!(desk.did("organization.disable").is_empty());
    desk.press("y");
    assert_eq!(desk.did("organization.disable"), [&json!({"id": "org_x"})]);
    desk.press("\u{1b}:theme-light\n");
    assert_eq!(desk.state.look.theme.name, "light");
    desk.press(":quit\n");
    assert!(desk.wishes.contains(&Effect::Quit));
}

#[test]
fn ids_and_addresses_are_copied() {
    let mut desk = Desk::new(Mood::Busy, (160, 48)).settled();
    desk.press("6y");
    assert!(desk.wishes.contains(&Effect::Copy("app_01kv0000000000000000000002".into())), "{:?}", desk.wishes);
    desk.press("4↓Y");
    assert!(desk.screen().contains("/saml/metadata"), "{}", desk.screen());
}

#[test]
fn a_paused_screen_stands_still_and_catches_up() {
    let mut desk = Desk::new(Mood::Busy, (80, 24)).settled();
    desk.press("7p");
    let before = desk.state.table(View::Audit).len();
    desk.tell(Msg::Events(vec![sample::event(80), sample::event(81)], 81));
    assert_eq!(desk.state.table(View::Audit).len(), before);
    assert!(desk.screen().contains("paused, 2 new"), "{}", desk.screen());
    desk.press("p");
    assert_eq!(desk.state.table(View::Audit).len(), before + 2);
}

#[test]
fn a_hundred_thousand_sessions_are_read_page_by_page_and_those_that_ended_meanwhile_go() {
    let mut desk = Desk::new(Mood::Empty, (80, 24)).settled();
    let page = |from: usize, next: Option<&str>| {
        let items: Vec<_> = (from..from + 3).map(sample::session).collect();
        json!({"items": items, "next": next})
    };
    let first = Msg::Answer(Ask::Poll(Poll::Sessions), Ok(page(3, Some("c1"))));
    let effects = update(&mut desk.state, first);
    let more = |effect: &Effect| matches!(effect, Effect::Ask(Ask::More(View::Sessions), What::Operation(_, input)) if input["cursor"] == "c1");
    assert!(effects.iter().any(more), "{effects:?}");
    update(&mut desk.state, Msg::Answer(Ask::More(View::Sessions), Ok(page(0, None))));
    assert_eq!(desk.state.table(View::Sessions).len(), 6);
    update(&mut desk.state, Msg::Answer(Ask::Poll(Poll::Sessions), Ok(page(3, None))));
    assert_eq!(desk.state.table(View::Sessions).len(), 3);
}
