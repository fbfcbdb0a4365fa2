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
        // The whole group stops, as it does by ^Z in any other program. The gentler signal is ours to catch.
        let stopped = rustix::process::kill_current_process_group(rustix::process::Signal::STOP);
        stopped.map_err(Error::bug)?;
        self.again()
    }

    /// Takes the terminal over once more: after it was stopped, whoever did that.
    pub fn again(&mut self) -> Result<()> {
        enter()?;
        // Everything is drawn anew. Clearing it in the usual way would ask the terminal where its cursor is, and the answer
        // goes to whoever waits for keys.
        let size = self.terminal.size().map_err(Error::bug)?;
        self.terminal.resize(size.into()).map_err(Error::bug)
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A dashboard that breaks on its terminal. Run by the test below, on a terminal of its own.
    #[test]
    #[ignore = "it panics on purpose"]
    fn a_screen_that_panics() {
        let _screen = Screen::take().unwrap();
        panic!("broken on purpose");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        let this = std::env::current_exe().unwrap();
        let inner = format!(
            "stty -g; {} --exact --ignored --nocapture tui::terminal::tests::a_screen_that_panics 2>&1; stty -g",
            this.display()
        );
        // `script` is the terminal: what is written to it comes out at its other end.
        let told = Command::new("script").args(["-qec", &inner, "/dev/null"]).env("TERM", "xterm").output().unwrap();
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let at = |what: &str| told.find(what).unwrap_or_else(|| panic!("no {what:?} in {told:?}"));
        let (taken, broken) = (at("\u{1b}[?1049h"), at("broken on purpose"));
        for left in ["\u{1b}[?1049l", "\u{1b}[?1000l", "\u{1b}[?2004l", "\u{1b}[?25h"] {
            assert!((taken..broken).contains(&at(left)), "{left:?} stands before the word: {told:?}");
        }
        let mut modes = told.lines().filter(|line| line.split(':').count() > 20).map(str::trim);
        let (before, after) = (modes.next().unwrap(), modes.next().unwrap());
        assert_eq!(before, after, "as it was");
    }
}
