//! # tui — the terminal dashboard
//!
//! *Owns* the screen. `state` is everything that is shown; `update` and `intake` change it; `view` draws it, as a pure
//! function; `source` asks the server; `run` joins them. Keys, themes, actions and what is asked how often are tables:
//! `keys`, `theme`, `act`, `ask`. Each panel is a file in `panels`.
//! *Gives* `run`. *Needs* the console's line to a running server, and the catalogue of operations.
//! *Never* reaches past an operation: what it changes is audited like anything else of the operator's. It never draws
//! foreign text that was not made harmless (`shown`), and never leaves the terminal in disorder (`terminal`).
//!
//! ```text
//!  keys, mouse, clock ─┐                    ┌─► view ──► terminal
//!                      ├─► Msg ─► update ─► State
//!  answers, feed ──────┘            │
//!        ▲                          └─► Effect: ask, follow, copy
//!        └──────────── source ◄─────────────┘
//! ```

pub mod act;
pub mod ask;
pub mod catalogue;
mod column;
mod due;
pub mod intake;
pub mod keys;
mod mouse;
pub mod overlay;
pub mod panels;
pub mod perform;
mod pulse;
mod row;
mod run;
pub mod shown;
mod source;
mod speed;
pub mod state;
pub mod table;
mod terminal;
pub mod theme;
pub mod update;
pub mod view;

use crate::access::Catalogue;
use crate::console::Line;
use crate::error::{Error, Result};
use catalogue::Spec;
use state::Setup;
use theme::Look;

/// How the dashboard is started.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Colours and glyphs.
    pub look: Look,
    /// Whether nothing may be changed.
    pub read_only: bool,
}

/// Watches and steers the server until somebody leaves. Errors: those of the terminal.
pub fn run(line: Line, catalogue: &Catalogue, options: Options) -> Result<()> {
    let (place, who) = match &line {
        Line::Socket(_) => ("by the control socket".to_owned(), "operator".to_owned()),
        Line::Remote(remote) => (remote.address().to_owned(), "API key".to_owned()),
    };
    let specs = catalogue.iter().map(Spec::of).collect();
    let setup = Setup { specs, look: options.look, read_only: options.read_only, place, who };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::bug)?;
    let outcome = runtime.block_on(run::run(line, setup));
    // A request that still waits for an answer is not waited for.
    runtime.shutdown_background();
    outcome
}
