//! The keys: a table. Help, footer and what a key does are all read from it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below says what each does")]
pub enum Action {
    Down,
    Up,
    PageDown,
    PageUp,
    Top,
    Bottom,
    Open,
    Back,
    Panel(usize),
    NextPanel,
    PreviousPanel,
    NextView,
    PreviousView,
    Filter,
    Palette,
    Help,
    Sort,
    Reverse,
    Mark,
    MarkAll,
    Copy,
    CopyAll,
    Pause,
    Refresh,
    Undo,
    Theme,
    New,
    End,
    Enable,
    Disable,
    Test,
    Validate,
    Replay,
    Rotate,
    Remove,
    Verify,
    Explain,
    Suspend,
    Quit,
}

/// Where a row of the help stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are titles")]
pub enum Group {
    Moving,
    Looking,
    Acting,
    Program,
}

impl Group {
    /// All, in the order of the help.
    pub const ALL: [Self; 4] = [Self::Moving, Self::Looking, Self::Acting, Self::Program];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Moving => "Moving",
            Self::Looking => "Looking",
            Self::Acting => "Acting",
            Self::Program => "The dashboard",
        }
    }
}

/// A key: its code, and whether control is held.
pub type Key = (KeyCode, bool);

/// A row of the table.
pub struct Binding {
    /// The keys.
    pub keys: &'static [Key],
    /// How they are called.
    pub name: &'static str,
    /// What they do.
    pub action: Action,
    /// In a word, for the footer.
    pub word: &'static str,
    /// In a sentence, for the help.
    pub help: &'static str,
    /// Where in the help.
    pub group: Group,
    /// Its place in the footer, where it is worth one; the smallest come first.
    pub foot: Option<u8>,
}

const fn plain(c: char) -> Key {
    (KeyCode::Char(c), false)
}

const fn control(c: char) -> Key {
    (KeyCode::Char(c), true)
}

const fn code(code: KeyCode) -> Key {
    (code, false)
}

macro_rules! keys {
    ($($group:ident $foot:expr, $name:literal [$($key:expr),*] $action:expr, $word:literal, $help:literal;)*) => {
        &[$(Binding { keys: &[$($key),*], name: $name, action: $action, word: $word, help: $help, group: Group::$group, foot: $foot }),*]
    };
}

/// The table.
pub const KEYS: &[Binding] = keys! {
    Moving None, "j ↓" [plain('j'), code(KeyCode::Down), control('n')] Action::Down, "down", "the next row, or a line further";
    Moving None, "k ↑" [plain('k'), code(KeyCode::Up), control('p')] Action::Up, "up", "the row before";
    Moving None, "^d PgDn" [control('d'), control('f'), code(KeyCode::PageDown)] Action::PageDown, "page down", "a page further";
    Moving None, "^u PgUp" [control('u'), control('b'), code(KeyCode::PageUp)] Action::PageUp, "page up", "a page back";
    Moving None, "g Home" [plain('g'), code(KeyCode::Home)] Action::Top, "top", "to the top, where what is new comes in";
    Moving None, "G End" [plain('G'), code(KeyCode::End)] Action::Bottom, "bottom", "to the end; older rows are fetched there";
    Moving Some(1), "⏎" [code(KeyCode::Enter), code(KeyCode::Char('i'))] Action::Open, "open", "open the row";
    Moving Some(0), "esc" [code(KeyCode::Esc), code(KeyCode::Backspace)] Action::Back, "back", "back: close, or take filter and marks away";
    Moving None, "1" [plain('1')] Action::Panel(0), "overview", "Overview";
    Moving None, "2" [plain('2')] Action::Panel(1), "sign-ins", "Sign-ins";
    Moving None, "3" [plain('3')] Action::Panel(2), "sessions", "Sessions";
    Moving None, "4" [plain('4')] Action::Panel(3), "connections", "Connections";
    Moving None, "5" [plain('5')] Action::Panel(4), "directory", "Directory";
    Moving None, "6" [plain('6')] Action::Panel(5), "apps", "Apps";
    Moving None, "7" [plain('7')] Action::Panel(6), "audit", "Audit";
    Moving None, "8" [plain('8')] Action::Panel(7), "webhooks", "Webhooks";
    Moving None, "9" [plain('9')] Action::Panel(8), "expiry", "Expiry radar";
    Moving None, "l →" [plain('l'), code(KeyCode::Right)] Action::NextPanel, "next", "the next panel";
    Moving None, "h ←" [plain('h'), code(KeyCode::Left)] Action::PreviousPanel, "previous", "the panel before";
    Moving Some(2), "tab" [code(KeyCode::Tab), plain(']')] Action::NextView, "next list", "the next list of this panel";
    Moving None, "⇧tab" [code(KeyCode::BackTab), plain('[')] Action::PreviousView, "previous list", "the list before";
    Looking Some(3), "/" [plain('/')] Action::Filter, "filter", "filter: words, !word, column:word; in Audit it searches the whole log";
    Looking Some(25), "s" [plain('s')] Action::Sort, "sort", "sort by the next column (or click a title)";
    Looking None, "S" [plain('S')] Action::Reverse, "reverse", "turn the order around";
    Looking Some(21), "y" [plain('y')] Action::Copy, "copy", "copy the id";
    Looking Some(22), "Y" [plain('Y')] Action::CopyAll, "copy …", "choose what to copy: addresses, ids, metadata";
    Looking Some(23), "o" [plain('o')] Action::Explain, "explain", "explain the sign-in behind this row";
    Looking Some(24), "p" [plain('p')] Action::Pause, "pause", "hold the screen still, or let it go on";
    Looking None, "^r F5" [control('r'), code(KeyCode::F(5))] Action::Refresh, "refresh", "ask for everything again";
    Acting Some(16), "␣" [plain(' ')] Action::Mark, "mark", "mark the row, for an action on several";
    Acting None, "*" [plain('*')] Action::MarkAll, "mark all", "mark all rows that are shown";
    Acting Some(10), "x" [plain('x')] Action::End, "end", "end: revoke the session, suspend the person";
    Acting Some(11), "a" [plain('a')] Action::Enable, "activate", "activate, enable, give access back";
    Acting Some(12), "d" [plain('d')] Action::Disable, "disable", "disable";
    Acting Some(13), "t" [plain('t')] Action::Test, "test", "test live: ask the provider, send a test event";
    Acting Some(14), "v" [plain('v')] Action::Validate, "validate", "validate the configuration, check by check";
    Acting Some(10), "r" [plain('r')] Action::Replay, "replay", "send it once more";
    Acting Some(15), "R" [plain('R')] Action::Rotate, "rotate", "a new secret";
    Acting Some(17), "X" [plain('X')] Action::Remove, "delete", "delete";
    Acting Some(13), "V" [plain('V')] Action::Verify, "verify", "walk the hash chain of the whole log";
    Acting Some(18), "n" [plain('n')] Action::New, "new", "make a new one";
    Acting Some(4), "u" [plain('u')] Action::Undo, "undo", "undo the last action, where that is possible";
    Program Some(30), ":" [plain(':')] Action::Palette, "command", "every operation there is, with completion; also :theme, :quit";
    Program Some(31), "?" [plain('?')] Action::Help, "help", "this help";
    Program None, "T" [plain('T')] Action::Theme, "theme", "the next theme";
    Program None, "^z" [control('z')] Action::Suspend, "suspend", "to the shell; `fg` comes back";
    Program Some(32), "q" [plain('q'), control('c')] Action::Quit, "quit", "leave; the server goes on";
};

/// The row of that key.
pub fn binding(event: &KeyEvent) -> Option<&'static Binding> {
    let key = (event.code, event.modifiers.contains(KeyModifiers::CONTROL));
    if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER) {
        return None;
    }
    KEYS.iter().find(|binding| binding.keys.contains(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things() {
        let all: Vec<&Key> = KEYS.iter().flat_map(|binding| binding.keys).collect();
        for (at, key) in all.iter().enumerate() {
            assert!(!all[..at].contains(key), "{key:?}");
        }
    }
}
