//! # overlay — what lies over the panels
//!
//! *Owns* help, palette, form, confirmation, choice, answer, and what is being done; and which keys they take.
//! *Gives* `Overlay` to the state. *Needs* the catalogue of operations. *Never* draws: that is the view's.

pub mod form;
pub mod palette;
pub mod pressed;

use serde_json::Value;

use super::act::Plan;
use super::shown::text;
pub use form::Form;
pub use palette::Palette;

/// What lies over the panels.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// The keys; scrolled so far.
    Help(usize),
    /// Every operation.
    Palette(Palette),
    /// The fields of an operation.
    Form(Form),
    /// What is about to end, and whether `yes` is chosen.
    Confirm(Plan, bool),
    /// Something of several.
    Choose(Choose),
    /// An answer.
    Answer(Answer),
    /// What is being done: `State::run`.
    Run,
}

/// Something of several, to copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choose {
    /// Names and values.
    pub items: Vec<(String, String)>,
    /// Which one.
    pub at: usize,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// To what.
    pub title: String,
    /// How it went.
    pub told: String,
    /// It.
    pub value: Value,
    /// How far it is scrolled.
    pub scroll: usize,
    /// What is worth copying: a secret that is shown once.
    pub secret: Option<String>,
}

impl Answer {
    /// Of an operation.
    pub fn of(operation: &str, told: &str, value: Value) -> Self {
        let secrets = ["clientSecret", "secret", "token", "key"];
        let secret = secrets.iter().map(|field| text(&value, field)).find(|secret| !secret.is_empty());
        Self { title: operation.to_owned(), told: told.to_owned(), secret: secret.map(str::to_owned), value, scroll: 0 }
    }
}
