//! Foreign text made harmless for a terminal.

use crate::http::page::display::is_hidden;

/// Whether a character commands a terminal, turns the reading direction, or is not seen.
pub fn is_command(c: char) -> bool {
    is_hidden(c)
}

/// The text with every character that commands a terminal or turns the reading direction written out as `\u{…}`.
///
/// C0 and C1 controls start escape sequences (titles, clipboard, links); bidirectional controls make a name read as
/// another; invisible ones make two names look the same. Line breaks are kept out, too: a name is one line.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_stranger_commands_the_terminal() {
        assert_eq!(escaped("Ada Lovelace, Zoë 東京 🦀"), "Ada Lovelace, Zoë 東京 🦀");
        for (foreign, shown) in [
            ("\x1b]52;c;aGk=\x07", "\\u{1b}]52;c;aGk=\\u{7}"),
            ("\x1b]8;;http://evil\x1b\\", "\\u{1b}]8;;http://evil\\u{1b}\\"),
            ("a\u{9b}31m", "a\\u{9b}31m"),
            ("gnp.\u{202e}exe", "gnp.\\u{202e}exe"),
            ("a\r\nb\tc", "a\\u{d}\\u{a}b\\u{9}c"),
            ("ad\u{200b}min", "ad\\u{200b}min"),
            ("\u{7f}", "\\u{7f}"),
        ] {
            assert_eq!(escaped(foreign), shown);
            assert!(!escaped(foreign).chars().any(is_hidden));
        }
    }
}
