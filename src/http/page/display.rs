//! What stands between a stranger's text and a page.
//!
//! `Visible` is the escaper of every template: nothing dynamic reaches the HTML around it. It escapes the five
//! characters of HTML and writes control, bidi and other invisible characters as `‹U+202E›`, so that a name
//! cannot turn the line around it, hide a part of itself, or imitate another. The filters `text`, `block` and
//! `href` add what depends on the place: a bound on length, kept line breaks, and the schemes a link may have.

use std::fmt::{self, Write as _};

/// The most characters of a name: of an app, an organization, a person.
pub const NAME_LIMIT: usize = 80;
/// The most characters of a sentence or an address. An e-mail address (254, RFC 5321) stands whole.
pub const TEXT_LIMIT: usize = 300;
/// The most characters of a block of code: a token, a JSON document.
pub const BLOCK_LIMIT: usize = 16 * 1024;

/// True for a character that is not seen as itself, or changes how its neighbours are seen.
///
/// C0, DEL and C1; bidi marks, embeddings, overrides and isolates (UAX #9); zero-width and other format
/// characters, tags. The joiners U+200C and U+200D stay (Persian, Indic scripts and emoji are spelled with
/// them), and so do variation selectors (Japanese names are).
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

fn is_line_space(c: char) -> bool {
    matches!(c, '\n' | '\t')
}

/// The escaper of all templates (`assets/pages/askama.toml`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Visible;

impl askama::filters::Escaper for Visible {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        let mut plain_from = 0;
        for (at, c) in string.char_indices() {
            let entity = match c {
                '<' => "&#60;",
                '>' => "&#62;",
                '&' => "&#38;",
                '"' => "&#34;",
                '\'' => "&#39;",
                '`' => "&#96;",
                // Line breaks mean something in `<pre>` alone, and are harmless elsewhere.
                c if is_hidden(c) && !is_line_space(c) => "",
                _ => continue,
            };
            dest.write_str(&string[plain_from..at])?;
            if entity.is_empty() {
                write!(dest, "‹U+{:04X}›", u32::from(c))?;
            } else {
                dest.write_str(entity)?;
            }
            plain_from = at + c.len_utf8();
        }
        dest.write_str(&string[plain_from..])
    }
}

/// Collects at most `left` characters; the rest becomes one ellipsis.
struct Bounded {
    out: String,
    left: usize,
    keep_lines: bool,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, string: &str) -> fmt::Result {
        for c in string.chars() {
            if self.left == 0 {
                // Enough is known. The error ends a `Display` that would go on for long.
                self.out.push('…');
                return Err(fmt::Error);
            }
            self.left -= 1;
            if is_hidden(c) && !(self.keep_lines && is_line_space(c)) {
                write!(self.out, "‹U+{:04X}›", u32::from(c))?;
            } else {
                self.out.push(c);
            }
        }
        Ok(())
    }
}

fn bounded(value: impl fmt::Display, left: usize, keep_lines: bool) -> String {
    let mut text = Bounded { out: String::new(), left, keep_lines };
    // An error is the bound, and the bound has left its mark.
    let _ = write!(text, "{value}");
    text.out
}

/// One line of text with everything invisible made visible, at most `TEXT_LIMIT` characters. Not HTML yet.
pub fn line(value: impl fmt::Display) -> String {
    bounded(value, TEXT_LIMIT, false)
}

/// The address of a link or form, or `#` for one that is not http(s) or a path of this site.
pub fn safe_href(address: &str) -> &str {
    let clean = address.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let here = address.starts_with('/') && !address.starts_with("//");
    let web = ["https://", "http://"]
        .iter()
        .any(|scheme| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    if clean && (here || web) { address } else { "#" }
}

/// The browser and the system that a `User-Agent` names, if it names known ones; else how it begins. A device says
/// what it likes there: it is for the eye, and nothing follows from it.
pub fn browser(user_agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    // Each also names those that follow it here.
    let program = first(&[
        ("Edg/", "Edge"),
        ("EdgA/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program.to_owned(),
        _ => bounded(user_agent, NAME_LIMIT, false),
    }
}

/// The filters that templates use.
pub(crate) mod filters {
    use std::fmt::Display;

    /// A name: one line, bounded so that it cannot push the page out of sight.
    #[askama::filter_fn]
    pub fn name(value: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::bounded(value, super::NAME_LIMIT, false))
    }

    /// A sentence or an address: one bounded line.
    #[askama::filter_fn]
    pub fn text(value: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::line(value))
    }

    /// A bounded block that keeps its line breaks.
    #[askama::filter_fn]
    pub fn block(value: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::bounded(value, super::BLOCK_LIMIT, true))
    }

    /// An address that may be followed.
    #[askama::filter_fn]
    pub fn href(value: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::safe_href(&value.to_string()).to_owned())
    }

    /// What a browser calls itself, in words: `Firefox on Linux`.
    #[askama::filter_fn]
    pub fn browser(value: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::browser(&super::line(value)))
    }

    /// The address of an embedded file.
    #[askama::filter_fn]
    pub fn asset(name: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(crate::http::page::asset_url(&name.to_string()))
    }

    /// A moment, as a person in any country reads it: `21 Nov 2025, 11:34 UTC`.
    #[askama::filter_fn]
    pub fn moment(value: &crate::env::Timestamp, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(match jiff::Timestamp::from_millisecond(value.millis()) {
            Ok(moment) => moment.strftime("%-d %b %Y, %H:%M UTC").to_string(),
            Err(_) => value.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use askama::filters::Escaper as _;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        Visible.write_escaped_str(&mut out, text).unwrap();
        out
    }

    #[test]
    fn html_and_the_invisible_are_escaped() {
        assert_eq!(escaped("<a href='x' b=\"y\">&`"), "&#60;a href=&#39;x&#39; b=&#34;y&#34;&#62;&#38;&#96;");
        assert_eq!(escaped("invoice\u{202e}fdp.exe"), "invoice‹U+202E›fdp.exe");
        assert_eq!(escaped("\u{1b}]52;c;aGk=\u{7}\u{9b}31m"), "‹U+001B›]52;c;aGk=‹U+0007›‹U+009B›31m");
        assert_eq!(escaped("adm\u{200b}in\u{feff}"), "adm‹U+200B›in‹U+FEFF›");
        assert_eq!(escaped("Zoë Łukasz 山田 👩‍💻 می‌خواهم"), "Zoë Łukasz 山田 👩‍💻 می‌خواهم");
    }

    #[test]
    fn a_browser_is_named_in_words() {
        for (user_agent, named) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.5.0", "curl/8.5.0"),
            ("", ""),
        ] {
            assert_eq!(browser(user_agent), named);
        }
        assert!(browser(&"x".repeat(5_000)).chars().count() <= NAME_LIMIT + 1);
    }

    #[test]
    fn text_is_one_bounded_line() {
        assert_eq!(line("a\nb\tc"), "a‹U+000A›b‹U+0009›c");
        assert_eq!(line("é".repeat(TEXT_LIMIT)), "é".repeat(TEXT_LIMIT));
        let long = line("é".repeat(TEXT_LIMIT + 1));
        assert_eq!(long.chars().count(), TEXT_LIMIT + 1);
        assert!(long.ends_with('…'));
        assert_eq!(bounded("{\n\t1\r\n}", BLOCK_LIMIT, true), "{\n\t1‹U+000D›\n}");
    }

    #[test]
    fn a_link_leads_to_the_web_or_nowhere() {
        for good in
            ["/signin", "/signin?a=b&c=%20", "https://app.example/x", "HTTPS://app.example", "http://127.0.0.1:3000/cb"]
        {
            assert_eq!(safe_href(good), good);
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            " javascript:alert(1)",
            "java\tscript:alert(1)",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "data:text/html,x",
            "vbscript:x",
            "https:\n//x",
            "/a b",
            "/ü",
            "signin",
            "#x",
        ] {
            assert_eq!(safe_href(bad), "#", "{bad:?}");
        }
    }
}
