//! Themes and glyphs: data. What is drawn asks for a meaning (`Tone`), never for a colour.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// What something means, wherever it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// It is well.
    Good,
    /// Somebody should look at it soon.
    Warn,
    /// It is broken, or was refused.
    Bad,
    /// It is switched off, over, or not there yet.
    Idle,
    /// It is under way.
    Busy,
}

/// A set of colours. `None` leaves the terminal's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// How it is chosen: `--theme`, `:theme`.
    pub name: &'static str,
    ground: Option<u32>,
    text: Option<u32>,
    dim: Option<u32>,
    line: Option<u32>,
    accent: Option<u32>,
    good: Option<u32>,
    warn: Option<u32>,
    bad: Option<u32>,
    busy: Option<u32>,
    chosen: Option<(u32, u32)>,
}

/// Every theme, the usual one first.
pub const THEMES: &[Theme] = &[
    Theme {
        name: "dark",
        ground: Some(0x0010_131a),
        text: Some(0x00c9_d1e3),
        dim: Some(0x0075_7f97),
        line: Some(0x0032_3a4f),
        accent: Some(0x0082_aaff),
        good: Some(0x0090_ce7c),
        warn: Some(0x00e5_b567),
        bad: Some(0x00f2_7487),
        busy: Some(0x006f_d0e0),
        chosen: Some((0x00ff_ffff, 0x0028_3759)),
    },
    Theme {
        name: "light",
        ground: Some(0x00fb_fbfc),
        text: Some(0x0026_2c38),
        dim: Some(0x006b_7485),
        line: Some(0x00c8_ceda),
        accent: Some(0x0028_57c4),
        good: Some(0x0023_7a36),
        warn: Some(0x0096_5a00),
        bad: Some(0x00bb_2233),
        busy: Some(0x0006_6f86),
        chosen: Some((0x0010_1828, 0x00d5_e2ff)),
    },
    Theme {
        name: "high-contrast",
        ground: Some(0x0000_0000),
        text: Some(0x00ff_ffff),
        dim: Some(0x00d8_d8d8),
        line: Some(0x00ff_ffff),
        accent: Some(0x00ff_ff00),
        good: Some(0x0000_ff66),
        warn: Some(0x00ff_d000),
        bad: Some(0x00ff_6060),
        busy: Some(0x0000_ffff),
        chosen: Some((0x0000_0000, 0x00ff_ff00)),
    },
    Theme {
        name: "none",
        ground: None,
        text: None,
        dim: None,
        line: None,
        accent: None,
        good: None,
        warn: None,
        bad: None,
        busy: None,
        chosen: None,
    },
];

impl Theme {
    /// The one of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        THEMES.iter().find(|theme| theme.name == name)
    }

    /// The one after this.
    pub fn next(&self) -> &'static Self {
        let after = THEMES.iter().skip_while(|theme| theme.name != self.name).nth(1);
        after.unwrap_or(&THEMES[0])
    }
}

/// A theme as a certain terminal can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The colours.
    pub theme: &'static Theme,
    /// Whether the terminal takes 24 bits; else the nearest of its 256 colours are used.
    pub deep: bool,
    /// Whether it shows more than ASCII.
    pub unicode: bool,
}

impl Look {
    fn color(self, value: u32) -> Color {
        let [_, r, g, b] = value.to_be_bytes();
        if self.deep { Color::Rgb(r, g, b) } else { Color::Indexed(nearest(r, g, b)) }
    }

    fn fore(self, value: Option<u32>, otherwise: Modifier) -> Style {
        match value {
            Some(value) => Style::new().fg(self.color(value)),
            None => Style::new().add_modifier(otherwise),
        }
    }

    /// The ground that everything stands on.
    pub fn ground(self) -> Style {
        let style = self.text();
        self.theme.ground.map_or(style, |value| style.bg(self.color(value)))
    }

    /// Text.
    pub fn text(self) -> Style {
        self.fore(self.theme.text, Modifier::empty())
    }

    /// What is less important.
    pub fn dim(self) -> Style {
        self.fore(self.theme.dim, Modifier::DIM)
    }

    /// Frames.
    pub fn line(self) -> Style {
        self.fore(self.theme.line, Modifier::DIM)
    }

    /// Titles, keys, what the eye should find.
    pub fn accent(self) -> Style {
        self.fore(self.theme.accent, Modifier::BOLD)
    }

    /// The row that actions are about.
    pub fn chosen(self) -> Style {
        match self.theme.chosen {
            Some((text, ground)) => Style::new().fg(self.color(text)).bg(self.color(ground)),
            None => Style::new().add_modifier(Modifier::REVERSED),
        }
    }

    /// A meaning.
    pub fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => self.text(),
            Tone::Good => self.fore(self.theme.good, Modifier::empty()),
            Tone::Warn => self.fore(self.theme.warn, Modifier::BOLD),
            Tone::Bad => self.fore(self.theme.bad, Modifier::BOLD),
            Tone::Idle => self.dim(),
            Tone::Busy => self.fore(self.theme.busy, Modifier::empty()),
        }
    }

    /// The sign of a meaning: it is told by shape, too, so that nobody needs colours.
    pub fn sign(self, tone: Tone) -> &'static str {
        match (tone, self.unicode) {
            (Tone::Plain, true) => "·",
            (Tone::Plain, false) => ".",
            (Tone::Good, true) => "●",
            (Tone::Good, false) => "*",
            (Tone::Warn, true) => "▲",
            (Tone::Warn, false) => "!",
            (Tone::Bad, true) => "✗",
            (Tone::Bad, false) => "x",
            (Tone::Idle, true) => "○",
            (Tone::Idle, false) => "o",
            (Tone::Busy, true) => "◌",
            (Tone::Busy, false) => "~",
        }
    }

    /// The frames.
    pub fn border(self) -> border::Set<'static> {
        if self.unicode { border::ROUNDED } else { ASCII }
    }

    /// The Unicode text, or the one in ASCII.
    pub fn either(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// Bars by eighths, from nothing to all.
    pub fn bars(self) -> [&'static str; 9] {
        if self.unicode {
            [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        } else {
            [" ", ".", ".", ":", ":", "|", "|", "#", "#"]
        }
    }
}

const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// The nearest colour of the 6×6×6 cube and the grey ramp that terminals with 256 colours have.
fn nearest(r: u8, g: u8, b: u8) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |value: u8| {
        STEPS.iter().enumerate().min_by_key(|(_, step)| step.abs_diff(value)).map_or((0, 0), |(at, step)| (at, *step))
    };
    let far = |x: (u8, u8, u8)| {
        [x.0.abs_diff(r), x.1.abs_diff(g), x.2.abs_diff(b)].iter().map(|d| u32::from(*d).pow(2)).sum::<u32>()
    };
    let ((ri, rv), (gi, gv), (bi, bv)) = (step(r), step(g), step(b));
    let cube = (far((rv, gv, bv)), u8::try_from(16 + 36 * ri + 6 * gi + bi).unwrap_or(15));
    let grey = (0..24u8).map(|at| (far((8 + 10 * at, 8 + 10 * at, 8 + 10 * at)), 232 + at)).min();
    grey.map_or(cube, |grey| grey.min(cube)).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_with_fewer_colours_gets_near_ones() {
        assert_eq!((nearest(255, 0, 0), nearest(0, 0, 0), nearest(255, 255, 255)), (196, 16, 231));
        assert_eq!(nearest(0x80, 0x80, 0x80), 244);
    }

    #[test]
    fn themes_follow_one_another_and_the_one_without_colours_has_none() {
        let mut theme = &THEMES[0];
        for _ in THEMES {
            theme = theme.next();
        }
        assert_eq!(theme.name, "dark");
        let plain = Look { theme: Theme::named("none").unwrap(), deep: true, unicode: false };
        for tone in [Tone::Plain, Tone::Good, Tone::Warn, Tone::Bad, Tone::Idle, Tone::Busy] {
            assert_eq!((plain.tone(tone).fg, plain.tone(tone).bg), (None, None));
            assert!(plain.sign(tone).is_ascii());
        }
    }
}
