//! The loop: keys, signals, answers and the clock become messages; what the messages wish for is done.

use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::source::Source;
use super::state::{Setup, State};
use super::terminal::Screen;
use super::update::{Effect, Msg, update};
use crate::console::Line;
use crate::env::{Clock as _, SystemClock};
use crate::error::{Error, Result};

/// The clock of the dashboard.
const TICK: Duration = Duration::from_millis(250);
/// Between two frames, so that a flood of events costs no more than a few.
const FRAME: Duration = Duration::from_millis(33);
/// So many messages wait at most; who has more to say waits itself.
const WAITING: usize = 1_024;

/// Watches and steers the server until somebody leaves.
pub async fn run(line: Line, setup: Setup) -> Result<()> {
    let clock = SystemClock::new();
    let (messages, mut inbox) = mpsc::channel(WAITING);
    let source = Source::new(line, setup.specs.clone(), messages);
    let caught = |kind: SignalKind| signal(kind).map_err(Error::bug);
    let (mut term, mut hup, mut int) =
        (caught(SignalKind::terminate())?, caught(SignalKind::hangup())?, caught(SignalKind::interrupt())?);
    let mut quit = caught(SignalKind::quit())?;
    let mut stopped = caught(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?;
    let mut resumed = caught(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
    let mut screen = Screen::take()?;
    let mut state = State::new(setup, screen.size(), clock.now().millis());
    let mut keys = EventStream::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut drawn_at = None::<Duration>;
    let mut second = 0;
    let mut dirty = true;
    loop {
        if dirty && drawn_at.is_none_or(|at| clock.monotonic().saturating_sub(at) >= FRAME) {
            screen.draw(&state)?;
            drawn_at = Some(clock.monotonic());
            dirty = false;
        }
        let message = tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = hup.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
            _ = quit.recv() => return Ok(()),
            _ = stopped.recv() => {
                screen.suspend()?;
                None
            }
            _ = resumed.recv() => {
                screen.again()?;
                let (width, height) = screen.size();
                Some(Msg::Resize(width, height))
            }
            event = keys.next() => match event {
                Some(Ok(event)) => heard(event),
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            Some(message) = inbox.recv() => Some(message),
            () = tokio::time::sleep(FRAME), if dirty => None,
            _ = tick.tick() => {
                let now = clock.now().millis();
                // Ages change by the second.
                dirty |= now / 1_000 != second || state.toast.as_ref().is_some_and(|toast| toast.until <= now);
                second = now / 1_000;
                let effects = update(&mut state, Msg::Tick(now));
                dirty |= !effects.is_empty();
                if act(effects, &source, &mut screen)? {
                    return Ok(());
                }
                None
            }
        };
        let Some(message) = message else { continue };
        dirty = true;
        let effects = update(&mut state, message);
        if act(effects, &source, &mut screen)? {
            return Ok(());
        }
    }
}

/// Does what was wished for; true when that is the end.
fn act(effects: Vec<Effect>, source: &Source, screen: &mut Screen) -> Result<bool> {
    for effect in effects {
        match effect {
            Effect::Ask(ask, what) => source.ask(ask, what),
            Effect::Follow(after) => source.follow(after),
            Effect::Copy(text) => screen.copy(&text),
            Effect::Suspend => screen.suspend()?,
            Effect::Quit => return Ok(true),
        }
    }
    Ok(false)
}

fn heard(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Msg::Key(key)),
        Event::Mouse(mouse) => Some(Msg::Mouse(mouse)),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(width, height) => Some(Msg::Resize(width, height)),
        _ => None,
    }
}
