//! The palette: every operation, every panel, and what the dashboard itself can do; found by what is typed.

use crate::tui::catalogue::Spec;
use crate::tui::panels::PANELS;
use crate::tui::theme::THEMES;

/// The palette.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    /// What was typed.
    pub typed: String,
    /// Which of the found ones.
    pub at: usize,
}

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How it is called.
    pub name: String,
    /// What it does.
    pub about: String,
    /// What happens.
    pub goes: Goes,
}

/// What happens when it is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// That panel is shown.
    Panel(usize),
    /// That theme is used.
    Theme(&'static str),
    /// That operation is done, or its form shown.
    Operation(&'static str),
    /// The help.
    Help,
    /// The end.
    Quit,
}

impl Palette {
    /// What is found by what was typed, the best first.
    pub fn found(&self, specs: &[Spec], read_only: bool) -> Vec<Entry> {
        let word = self.typed.split_whitespace().next().unwrap_or_default().to_lowercase();
        let mut found: Vec<(i32, Entry)> =
            entries(specs, read_only).into_iter().filter_map(|entry| Some((fit(&entry.name, &word)?, entry))).collect();
        // A stable sort: what fits as well stands in the order of the catalogue.
        found.sort_by_key(|(fit, _)| -fit);
        found.into_iter().map(|(_, entry)| entry).collect()
    }

    /// What was typed behind the name: `field=value`.
    pub fn fields(&self) -> Vec<(String, String)> {
        let pairs = self.typed.split_whitespace().skip(1).filter_map(|word| word.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

fn entries(specs: &[Spec], read_only: bool) -> Vec<Entry> {
    let entry = |name: &str, about: &str, goes| Entry { name: name.to_owned(), about: about.to_owned(), goes };
    let panels = PANELS.iter().enumerate().map(|(at, face)| {
        entry(&face.title.to_lowercase().replace('-', ""), &format!("Show {}", face.title), Goes::Panel(at))
    });
    let operations = specs.iter().filter(|spec| !read_only || spec.reads());
    let operations = operations.map(|spec| entry(spec.name, &spec.about, Goes::Operation(spec.name)));
    let themes =
        THEMES.iter().map(|theme| entry(&format!("theme-{}", theme.name), "Use this theme", Goes::Theme(theme.name)));
    let own = [entry("help", "Every key", Goes::Help), entry("quit", "Leave; the server goes on", Goes::Quit)];
    panels.chain(operations).chain(themes).chain(own).collect()
}

/// How well a name fits: all letters of the word in their order, better at the beginnings of words and in one piece.
fn fit(name: &str, word: &str) -> Option<i32> {
    if word.is_empty() {
        // Nothing was typed: everything, in the order of the catalogue.
        return Some(0);
    }
    if let Some(at) = name.find(word) {
        let short = i32::try_from(name.len()).unwrap_or(100);
        return Some(if at == 0 { 1_000 - short } else { 500 - short });
    }
    let (mut score, mut before, mut rest) = (0, '.', name.chars());
    for wanted in word.chars() {
        loop {
            let c = rest.next()?;
            let begins = matches!(before, '.' | '_' | '-');
            before = c;
            if c == wanted {
                score += if begins { 10 } else { 1 };
                break;
            }
        }
    }
    Some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_beginnings_and_by_letters() {
        let fits = |word: &str| {
            let mut all: Vec<_> = ["session.list", "session.revoke", "session.revoke_all", "user.suspend", "quit"]
                .into_iter()
                .filter_map(|name| Some((fit(name, word)?, name)))
                .collect();
            all.sort_by_key(|(fit, _)| -fit);
            all.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
        };
        assert_eq!(fits("session.r"), ["session.revoke", "session.revoke_all"]);
        assert_eq!(fits("sr")[0], "session.revoke");
        assert_eq!(fits("us")[0], "user.suspend");
        assert_eq!(fits("xyz"), [""; 0]);
        assert_eq!(fits("")[..2], ["session.list", "session.revoke"], "as they stand");
    }
}
