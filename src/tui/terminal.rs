//! The terminal: taken over, and given back whatever happens: at the end, on an error, on a panic, on a signal, and
//! while the dashboard is suspended.

use std::io::{Stdout, Write as _, stdout};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::execute;
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::state::State;
use super::view;
use crate::error::{Error, Result};

/// The screen, as long as it is ours.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal over. From here on a panic gives it back before it is told.
    pub fn take() -> Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout())).map_err(Error::bug)?;
        Ok(Self { terminal })
    }

    /// Draws the state. Terminals that can show the whole frame at once, so nothing flickers.
    pub fn draw(&mut self, state: &State) -> Result<()> {
        let _ = execute!(stdout(), BeginSynchronizedUpdate);
        let drawn = self.terminal.draw(|frame| view::draw(frame, state)).map(|_| ()).map_err(Error::bug);
        let _ = execute!(stdout(), EndSynchronizedUpdate);
        drawn
    }

    /// Its size, in columns and lines.
    pub fn size(&self) -> (u16, u16) {
        self.terminal.size().map_or((80, 24), |size| (size.width, size.height))
    }

    /// Asks the terminal to copy a text (OSC 52). It travels in base64, so that nothing in it is a command.
    pub fn copy(&self, text: &str) {
        let mut out = stdout();
        let _ = write!(out, "\x1b]52;c;{}\x07", STANDARD.encode(text));
        let _ = out.flush();
    }

    /// Gives the terminal to the shell until it is given back.
    pub fn suspend(&mut self) -> Result<()> {
        give_back();
        // The whole group stops, as it does by ^Z in any other program.
        let stopped = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
        stopped.map_err(Error::bug)?;
        self.again()
    }

    /// Takes the terminal over once more: after it was stopped, whoever did that.
    pub fn again(&mut self) -> Result<()> {
        enter()?;
        self.terminal.clear().map_err(Error::bug)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> Result<()> {
    enable_raw_mode().map_err(Error::bug)?;
    execute!(stdout(), EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste).map_err(Error::bug)
}

/// As it was. What fails here cannot be told to anybody.
fn give_back() {
    let _ = execute!(
        stdout(),
        EndSynchronizedUpdate,
        DisableBracketedPaste,
        DisableMouseCapture,
        LeaveAlternateScreen,
        Show
    );
    let _ = disable_raw_mode();
}
