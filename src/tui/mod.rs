//! # tui — the terminal dashboard
//!
//! *Owns* the screen: what is on it (`snapshot`), how it is drawn (`view`, a pure function), which keys it takes.
//! *Gives* `run`. *Needs* the console's socket to a running server. *Never* changes anything, and never leaves the
//! terminal in disorder: it is restored at the end, on an error, and on a panic.

mod snapshot;
mod view;

use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures_util::StreamExt as _;

use crate::config::Config;
use crate::console::Socket;
use crate::error::{Error, Result, codes};

pub use snapshot::Snapshot;
pub use view::draw;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Watches the running server until `q`. Errors: `not_found` when none runs; `invalid_input` when there is no terminal.
pub fn run(config: &Config, terminal: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::bug)?;
    runtime.block_on(async {
        let dir = config.data_dir.path().display();
        let socket = Socket::find(&config.data_dir).await?.ok_or_else(|| {
            Error::says(&codes::NOT_FOUND, format!("No server runs in {dir}."))
                .help(format!("Start one: `authd serve --data-dir {dir}`."))
        })?;
        if !terminal {
            return Err(Error::says(&codes::INVALID_INPUT, "There is no terminal to draw on.")
                .help("`authd counts --json` and `authd session list --json` are for scripts."));
        }
        // From here on a panic restores the terminal before it is told (ratatui's own hook).
        let mut screen = ratatui::try_init().map_err(Error::bug)?;
        let outcome = watch(&mut screen, &socket).await;
        ratatui::restore();
        outcome
    })
}

async fn watch(screen: &mut ratatui::DefaultTerminal, socket: &Socket) -> Result<()> {
    let mut snapshot = Snapshot::take(socket).await;
    let mut keys = EventStream::new();
    let mut clock = tokio::time::interval(EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        screen.draw(|frame| draw(frame, &snapshot)).map_err(Error::bug)?;
        tokio::select! {
            key = keys.next() => match key {
                Some(Ok(Event::Key(key))) if key.kind == KeyEventKind::Press => match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                    KeyCode::Char('r') => snapshot = Snapshot::take(socket).await,
                    _ => {}
                },
                Some(Ok(_)) => {}
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            _ = clock.tick() => snapshot = Snapshot::take(socket).await,
        }
    }
}
