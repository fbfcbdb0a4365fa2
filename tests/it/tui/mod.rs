//! The dashboard: its screens, drawn for what servers answer; what keys do; and that nobody's name commands a terminal.

mod behaviour;
mod hostile;
mod sample;
mod screens;

use authd::tui::ask::{Ask, Poll};
use authd::tui::catalogue::Spec;
use authd::tui::intake::Refusal;
use authd::tui::state::{Setup, State};
use authd::tui::theme::{Look, Theme};
use authd::tui::update::{Effect, Msg, update};
use authd::tui::view::draw;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use serde_json::Value;

/// 2026-06-15T12:00:00Z.
pub const NOW: i64 = 1_781_524_800_000;

/// How the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// There is nothing yet.
    Empty,
    /// A company at work.
    Busy,
    /// It refuses everything.
    Error,
}

/// The dashboard, without a terminal and without a server: effects are answered by the sample.
pub struct Desk {
    pub state: State,
    pub mood: Mood,
    /// Bends each answer before it is taken.
    pub bend: Box<dyn FnMut(Value) -> Value>,
    /// What was wished for, and not answered by the sample.
    pub wishes: Vec<Effect>,
    /// Every operation that was asked for.
    pub asked: Vec<(String, Value)>,
}

impl Desk {
    pub fn new(mood: Mood, size: (u16, u16)) -> Self {
        Self::with(mood, size, "dark", false)
    }

    pub fn with(mood: Mood, size: (u16, u16), theme: &str, read_only: bool) -> Self {
        let specs = authd::app::catalogue().iter().map(Spec::of).collect();
        let look = Look { theme: Theme::named(theme).unwrap(), deep: true, unicode: theme != "none" };
        let setup = Setup { specs, look, read_only, place: "by the control socket".into(), who: "operator".into() };
        let state = State::new(setup, size, NOW);
        Self { state, mood, bend: Box::new(|value| value), wishes: Vec::new(), asked: Vec::new() }
    }

    /// The same, after everything was asked and answered.
    pub fn settled(mut self) -> Self {
        match self.mood {
            Mood::Error => self.tell(Msg::Lost("The running server does not answer on its socket.".into())),
            _ => self.tell(Msg::Reached),
        }
        self.tick(0);
        self
    }

    pub fn tell(&mut self, msg: Msg) {
        let effects = update(&mut self.state, msg);
        self.answer(effects);
    }

    fn answer(&mut self, effects: Vec<Effect>) {
        let mut waiting = std::collections::VecDeque::from(effects);
        let mut rounds = 0;
        while let Some(effect) = waiting.pop_front() {
            rounds += 1;
            assert!(rounds < 10_000, "answers never end");
            let Effect::Ask(ask, what) = effect else {
                self.wishes.push(effect);
                continue;
            };
            let answer = sample::answer(&what, self.mood, &mut self.asked);
            let answer = answer.map(&mut self.bend);
            waiting.extend(update(&mut self.state, Msg::Answer(ask, answer)));
        }
    }

    /// So many milliseconds later.
    pub fn tick(&mut self, millis: i64) {
        let now = self.state.now + millis;
        self.tell(Msg::Tick(now));
    }

    pub fn press(&mut self, keys: &str) {
        for c in keys.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\u{1b}' => KeyCode::Esc,
                '\u{8}' => KeyCode::Backspace,
                '↓' => KeyCode::Down,
                '→' => KeyCode::Right,
                c => KeyCode::Char(c),
            };
            self.tell(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        }
        // The row beside the list is asked for once the reader rests.
        self.tick(200);
    }

    pub fn buffer(&self) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(self.state.size.0, self.state.size.1)).unwrap();
        terminal.draw(|frame| draw(frame, &self.state)).unwrap();
        terminal.backend().buffer().clone()
    }

    pub fn screen(&self) -> String {
        let buffer = self.buffer();
        let width = usize::from(buffer.area.width).max(1);
        let lines = buffer.content.chunks(width);
        lines
            .map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n")
            .collect()
    }

    /// An action of the operator's that was asked for, by its operation.
    pub fn did(&self, operation: &str) -> Vec<&Value> {
        self.asked.iter().filter(|(name, _)| name == operation).map(|(_, input)| input).collect()
    }
}

pub fn refused(poll: Poll) -> Msg {
    let refusal = Refusal { code: "missing_grant".into(), message: "That is not yours.".into(), help: None };
    Msg::Answer(Ask::Poll(poll), Err(refusal))
}
