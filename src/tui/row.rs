//! A row of a list: one text with the ends of its cells, so that it costs one allocation; and how a filter looks at it.

use serde_json::Value;

use super::column::Column;
use super::theme::Tone;

/// At most so many cells a row.
pub const CELLS: usize = 10;

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub(super) text: Box<str>,
    ends: [u16; CELLS],
    /// How it stands.
    pub tone: Tone,
    /// In which pass over the list it was seen last.
    pub pass: u8,
    /// What the server said of it, as text: a twentieth of what it takes when it is read.
    raw: Option<Box<str>>,
}

impl Row {
    /// Of its id and its cells.
    pub fn new(id: &str, cells: &[&str], tone: Tone) -> Self {
        // With room for what stands between them: what grows is twice as big afterwards, a hundred thousand times.
        let between = cells.len() + 1;
        let mut text = String::with_capacity(id.len() + cells.iter().map(|cell| cell.len()).sum::<usize>() + between);
        let mut ends = [0; CELLS];
        for (end, part) in ends.iter_mut().zip(std::iter::once(&id).chain(cells)) {
            // A cell is never longer than any screen is wide.
            let part = part.get(..part.len().min(2_000)).unwrap_or_default();
            text.push_str(part);
            *end = u16::try_from(text.len()).unwrap_or(u16::MAX);
            // No word is found across two cells.
            text.push('\n');
        }
        let last = u16::try_from(text.len()).unwrap_or(u16::MAX);
        for end in ends.iter_mut().skip(cells.len() + 1) {
            *end = last;
        }
        Self { text: text.into(), ends, tone, pass: 0, raw: None }
    }

    /// With what the server said of it.
    #[must_use]
    pub fn with(mut self, raw: &Value) -> Self {
        self.raw = Some(raw.to_string().into());
        self
    }

    /// What the server said of it, where that is known.
    pub fn raw(&self) -> Option<Value> {
        serde_json::from_str(self.raw.as_deref()?).ok()
    }

    /// Its id.
    pub fn id(&self) -> &str {
        let end = self.ends.first().copied().unwrap_or(0);
        self.text.get(..usize::from(end)).unwrap_or_default()
    }

    /// The cell of that column.
    pub fn cell(&self, column: usize) -> &str {
        let end = |at: usize| self.ends.get(at).copied().map_or(self.text.len(), usize::from);
        self.text.get(end(column) + 1..end(column + 1)).unwrap_or_default()
    }

    /// Whether it has every word of the filter: `word`, `column:word`, and `!` before what shall be absent.
    pub fn fits(&self, filter: &str, columns: &[Column]) -> bool {
        filter.split_whitespace().all(|word| {
            let (wanted, word) = match word.strip_prefix('!') {
                Some(rest) if !rest.is_empty() => (false, rest),
                _ => (true, word),
            };
            let named = word.split_once(':').and_then(|(name, rest)| {
                let starts = |column: &Column| {
                    column.title.get(..name.len()).is_some_and(|title| title.eq_ignore_ascii_case(name))
                };
                (!name.is_empty()).then(|| columns.iter().position(starts)).flatten().map(|column| (column, rest))
            });
            let found = match named {
                Some((column, rest)) => contains(self.cell(column), rest),
                None => contains(&self.text, word),
            };
            found == wanted
        })
    }
}

/// Whether the word is in the text, whatever its case.
pub fn contains(text: &str, word: &str) -> bool {
    let Some((first, _)) = word.as_bytes().split_first() else { return true };
    if !word.is_ascii() {
        return text.to_lowercase().contains(&word.to_lowercase());
    }
    let first = first.to_ascii_lowercase();
    text.as_bytes().windows(word.len()).any(|window| {
        window.first().is_some_and(|byte| byte.to_ascii_lowercase() == first)
            && window.eq_ignore_ascii_case(word.as_bytes())
    })
}
