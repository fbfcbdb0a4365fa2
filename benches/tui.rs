//! The dashboard with 100,000 sessions while 1,000 events a second come in: how long a frame takes, what it costs when
//! nothing happens, and how much memory it holds.
//!
//! ```text
//! cargo bench --bench tui [-- --json] [--quick] [--rounds N]
//! ```
//!
//! A frame is everything between two of them that the dashboard's one thread does: the events and answers that came, read
//! from JSON as they come over the socket, the state brought up to date, and the drawing of a terminal of 160 × 48 with the
//! differences written out as bytes. What the server does for it is not in it. Idle is one second without any event: four
//! ticks of the clock, one frame, and the answers to all that is asked by the clock meanwhile, the list of every session
//! among them. The allocator is the program's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fail by panicking")]
#![expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod measure;

use std::io::Write;
use std::time::{Duration, Instant};

use authd::tui::ask::{Ask, Poll};
use authd::tui::catalogue::Spec;
use authd::tui::shown::stamp;
use authd::tui::state::{Setup, State};
use authd::tui::theme::{Look, Theme};
use authd::tui::update::{Effect, Msg, update};
use authd::tui::view::draw;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use measure::{Aim, Plan, Report, as_f64, processors};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use serde_json::{Value, json};

const SESSIONS: usize = 100_000;
const EVENTS: usize = 1_000;
const FRAMES: usize = 30;
const SECONDS: usize = 20;
const NOW: i64 = 1_781_524_800_000;
const MIB: f64 = 1024.0 * 1024.0;

/// Where bytes go that nobody reads; counted.
#[derive(Default)]
struct Sink(usize);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

type Screen = Terminal<CrosstermBackend<Sink>>;

fn main() {
    let plan = Plan::read();
    let before = memory();
    let specs = authd::app::catalogue().iter().map(Spec::of).collect();
    let look = Look { theme: Theme::named("dark").unwrap(), deep: true, unicode: true };
    let setup = Setup { specs, look, read_only: false, place: "bench".into(), who: "operator".into() };
    let mut state = State::new(setup, (160, 48), NOW);
    let backend = CrosstermBackend::new(Sink::default());
    let viewport = Viewport::Fixed(Rect::new(0, 0, 160, 48));
    let mut screen = Terminal::with_options(backend, TerminalOptions { viewport }).unwrap();

    let reading = Instant::now();
    fill(&mut state);
    let reading = reading.elapsed();
    let read = memory();

    let mut report =
        Report::new("tui", &format!("{} processors, {SESSIONS} sessions, {EVENTS} events a second", processors()));
    for (panel, name) in [(1, "overview"), (2, "sign_ins"), (3, "sessions"), (7, "audit")] {
        press(&mut state, &panel.to_string());
        let mut times = flood(&mut state, &mut screen, plan.scaled(SECONDS).max(2));
        times.sort();
        let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
        let label = name.replace('_', "-");
        report.figure(&format!("{name}_p50_ms"), &format!("a frame of {label}, the middle"), at(50), " ms", Aim::None);
        report.figure(&format!("{name}_p99_ms"), "  of 100, 99 take at most", at(99), " ms", Aim::AtMost(8.0));
    }
    // Under a filter, and sorted: nothing of it may depend on how many sessions there are.
    press(&mut state, "3");
    press(&mut state, "/person4");
    update(&mut state, Msg::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)));
    let p99 = self::p99(flood(&mut state, &mut screen, plan.scaled(SECONDS).max(2)));
    report.figure("filtered_p99_ms", "a frame of sessions under a filter, 99 of 100", p99, " ms", Aim::AtMost(8.0));
    update(&mut state, Msg::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)));
    press(&mut state, "s");
    let p99 = self::p99(flood(&mut state, &mut screen, plan.scaled(SECONDS).max(2)));
    report.figure("sorted_p99_ms", "a frame of sorted sessions, 99 of 100", p99, " ms", Aim::AtMost(8.0));

    let seconds = plan.scaled(1_200).max(60);
    let answers = Answers::new();
    let begun = Instant::now();
    for _ in 0..seconds {
        for _ in 0..4 {
            let now = state.now + 250;
            let asked = update(&mut state, Msg::Tick(now));
            answers.give(&mut state, asked);
        }
        screen.draw(|frame| draw(frame, &state)).unwrap();
    }
    let idle = begun.elapsed().as_secs_f64() / as_f64(seconds) * 100.0;
    report.figure("idle_cpu_percent", "one processor, when nothing happens", idle, " %", Aim::AtMost(1.0));
    report.figure("memory_mib", "memory (RSS)", memory(), " MiB", Aim::AtMost(60.0));
    report.figure("memory_peak_mib", "  at most, at any time", peak(), " MiB", Aim::None);
    report.figure("memory_read_mib", "  of this when all sessions were read", read, " MiB", Aim::None);
    report.figure("memory_before_mib", "  of this before anything was read", before, " MiB", Aim::None);
    report.figure("reading_ms", "taking in 100,000 sessions", reading.as_secs_f64() * 1e3, " ms", Aim::None);
    report.print(&plan);
}

/// The answers of a quiet server, as it writes them.
struct Answers {
    signins: Vec<u8>,
    sessions: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let signin = |at: usize| {
            json!({"id": format!("att_01kv{at:022}"), "outcome": "success", "organization": "org_01kv0000000000000000000001",
                "connection": "conn_01kv0000000000000000000001", "user": format!("usr_01kv{at:022}"),
                "startedAt": stamp(NOW), "endedAt": stamp(NOW + 900), "requests": [format!("req_01kv{at:022}")],
                "checks": (0..20).map(|_| json!({"name": "signature", "ok": true, "received": "ES256"})).collect::<Vec<_>>()})
        };
        let signins = json!({"items": (0..200).rev().map(signin).collect::<Vec<_>>()});
        Self { signins: signins.to_string().into_bytes(), sessions: page(SESSIONS / 1_000 - 1) }
    }

    /// Answers all that was asked, and what follows from the answers.
    fn give(&self, state: &mut State, mut asked: Vec<Effect>) {
        let mut pages = SESSIONS / 1_000 - 1;
        while let Some(effect) = asked.pop() {
            let Effect::Ask(ask, _) = effect else { continue };
            let made;
            let text: &[u8] = match &ask {
                Ask::Poll(Poll::Signins) => &self.signins,
                Ask::Poll(Poll::Sessions) => &self.sessions,
                Ask::More(_) if pages > 0 => {
                    pages -= 1;
                    made = page(pages);
                    &made
                }
                _ => br#"{"items": []}"#,
            };
            let answer = serde_json::from_slice(text).unwrap();
            asked.extend(update(state, Msg::Answer(ask, Ok(answer))));
        }
    }
}

/// A page of sessions as the server writes it; the first pages have the newest.
fn page(page: usize) -> Vec<u8> {
    let items: Vec<Value> = (page * 1_000..(page + 1) * 1_000).rev().map(session).collect();
    json!({"items": items, "next": (page > 0).then_some("next")}).to_string().into_bytes()
}

/// Every session, a page of 1,000 at a time; the newest first.
fn fill(state: &mut State) {
    update(state, Msg::Reached);
    let acme = json!({"items": [{"id": "org_01kv0000000000000000000001", "name": "Acme Corporation"}]});
    update(state, Msg::Answer(Ask::Poll(Poll::Organizations), Ok(acme)));
    for page in (0..SESSIONS / 1_000).rev() {
        let answer = serde_json::from_slice(&self::page(page)).unwrap();
        let ask = if page + 1 == SESSIONS / 1_000 {
            Ask::Poll(Poll::Sessions)
        } else {
            Ask::More(authd::tui::panels::View::Sessions)
        };
        update(state, Msg::Answer(ask, Ok(answer)));
    }
}

fn session(number: usize) -> Value {
    let begun = stamp(NOW - 36_000_000 + i64::try_from(number).unwrap() * 300);
    json!({
        "id": format!("ses_01kv{number:022}"), "organization": "org_01kv0000000000000000000001",
        "user": format!("usr_01kv{:022}", number % 5_000), "email": format!("person{}@acme.example", number % 5_000),
        "connection": "conn_01kv0000000000000000000001", "live": true, "createdAt": begun, "lastUsedAt": begun,
        "expiresAt": stamp(NOW + 3_600_000), "authenticatedAt": begun, "ip": format!("192.0.2.{}", number % 250),
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    })
}

fn kinds() -> [&'static str; 5] {
    [
        "connection.login.succeeded",
        "session.signed_in",
        "oauth.code.created",
        "oauth.token.exchanged",
        "connection.login.failed",
    ]
}

fn event(seq: usize, now: i64) -> Value {
    let kinds = kinds();
    json!({
        "eventId": format!("evt_01kv{seq:022}"), "seq": seq, "kind": kinds[seq % kinds.len()], "category": "session",
        "occurredAt": stamp(now), "organizationId": "org_01kv0000000000000000000001", "actorType": "user",
        "actorId": format!("usr_01kv{:022}", seq % 5_000), "subjectType": "session", "subjectId": format!("ses_01kv{seq:022}"),
        "targets": [{"kind": "user", "id": format!("usr_01kv{:022}", seq % 5_000)}, {"kind": "connection", "id": "conn_01kv0000000000000000000001"}],
        "outcome": if seq.is_multiple_of(5) { "failure" } else { "success" }, "errorCode": "nonce_mismatch",
        "requestId": format!("req_01kv{seq:022}"), "ip": "192.0.2.7", "data": {},
    })
}

/// Frame after frame, while events come in; the answers to what is asked meanwhile are those of a server as busy.
fn flood(state: &mut State, screen: &mut Screen, seconds: usize) -> Vec<Duration> {
    let mut seq = usize::try_from(state.cursor.unwrap_or(0)).unwrap();
    let mut times = Vec::with_capacity(seconds * FRAMES);
    for frame in 0..seconds * FRAMES {
        let now = state.now + 1_000 / i64::try_from(FRAMES).unwrap();
        let come = EVENTS * (frame + 1) / FRAMES - EVENTS * frame / FRAMES;
        let events: Vec<Value> = (seq + 1..=seq + come).map(|seq| event(seq, now)).collect();
        let events = Value::from(events).to_string();
        seq += come;
        // A sign-in is five events.
        let fresh: Vec<Value> = (0..200).map(|at| session(SESSIONS + seq / kinds().len() - at)).collect();
        let fresh = json!({"items": fresh}).to_string();
        let begun = Instant::now();
        let events: Vec<Value> = serde_json::from_str(&events).unwrap();
        update(state, Msg::Events(events, seq as u64));
        for effect in update(state, Msg::Tick(now)) {
            if let Effect::Ask(ask @ Ask::Poll(poll), _) = effect {
                let answer = if poll == Poll::Fresh { fresh.as_str() } else { r#"{"items": []}"# };
                if poll != Poll::Sessions {
                    update(state, Msg::Answer(ask, Ok(serde_json::from_str(answer).unwrap())));
                }
            }
        }
        screen.draw(|frame| draw(frame, state)).unwrap();
        times.push(begun.elapsed());
    }
    times
}

fn press(state: &mut State, keys: &str) {
    for c in keys.chars() {
        update(state, Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
    }
}

/// What 99 of 100 take at most, in milliseconds.
fn p99(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[(times.len() * 99 / 100).min(times.len() - 1)].as_secs_f64() * 1e3
}

fn memory() -> f64 {
    status("VmRSS:")
}

fn peak() -> f64 {
    status("VmHWM:")
}

fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    as_f64(kib * 1024) / MIB
}
