//! Who may end a person's access, and who may give it back. Pure.

use crate::error::{Code, codes};

/// Who ended somebody's access, seen from the one who speaks now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ender {
    /// An administrator.
    Administrator,
    /// The very source that speaks.
    Itself,
    /// Another source.
    Another,
}

/// Whether somebody may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Active,
    /// Not before an administrator admits them.
    Pending,
    /// No.
    Ended(Ender),
}

/// Who speaks about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Somebody signs in: that says nothing about it.
    SignIn,
    /// A directory.
    Directory,
    /// An administrator.
    Administrator {
        /// They mean it, although a source ended the access.
        force: bool,
    },
}

/// What follows.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// All stays as it is.
    Stay,
    /// The access ends, or is ended by the speaker from now on.
    End,
    /// They may come in, again or for the first time.
    Revive,
    /// Refused, with this code.
    Refuse(&'static Code),
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refuse(a), Self::Refuse(b)) => a.name == b.name,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// What a word about somebody's being active does. No word changes nothing: a source that leaves it out has not said
/// that they are back. Only who ended an access gives it back; an administrator does so for a source if they insist.
pub fn turn(speaker: Speaker, standing: Standing, active: Option<bool>) -> Turn {
    let Some(active) = active else { return Turn::Stay };
    match (speaker, standing, active) {
        (Speaker::SignIn, ..) => Turn::Stay,
        // An administrator's word replaces a source's: from then on the source cannot lift it.
        (Speaker::Administrator { .. }, Standing::Ended(Ender::Administrator), false) => Turn::Stay,
        (Speaker::Administrator { .. }, _, false) => Turn::End,
        (Speaker::Administrator { .. }, Standing::Active, true) => Turn::Stay,
        (Speaker::Administrator { .. }, Standing::Pending | Standing::Ended(Ender::Administrator), true) => {
            Turn::Revive
        }
        (Speaker::Administrator { force: true }, Standing::Ended(_), true) => Turn::Revive,
        (Speaker::Administrator { force: false }, Standing::Ended(_), true) => Turn::Refuse(&codes::ENDED_BY_SOURCE),
        (Speaker::Directory, Standing::Active | Standing::Pending, false) => Turn::End,
        (Speaker::Directory, Standing::Ended(_), false) => Turn::Stay,
        // Admitting is the administrator's.
        (Speaker::Directory, Standing::Active | Standing::Pending, true) => Turn::Stay,
        (Speaker::Directory, Standing::Ended(Ender::Itself), true) => Turn::Revive,
        (Speaker::Directory, Standing::Ended(Ender::Administrator), true) => Turn::Refuse(&codes::SUSPENDED_BY_ADMIN),
        (Speaker::Directory, Standing::Ended(Ender::Another), true) => Turn::Refuse(&codes::ENDED_BY_SOURCE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDINGS: [Standing; 5] = [
        Standing::Active,
        Standing::Pending,
        Standing::Ended(Ender::Administrator),
        Standing::Ended(Ender::Itself),
        Standing::Ended(Ender::Another),
    ];
    const SPEAKERS: [Speaker; 4] = [
        Speaker::SignIn,
        Speaker::Directory,
        Speaker::Administrator { force: false },
        Speaker::Administrator { force: true },
    ];

    #[test]
    fn no_word_changes_nothing_and_signing_in_says_none() {
        for standing in STANDINGS {
            for speaker in SPEAKERS {
                assert_eq!(turn(speaker, standing, None), Turn::Stay);
            }
            for active in [None, Some(false), Some(true)] {
                assert_eq!(turn(Speaker::SignIn, standing, active), Turn::Stay);
            }
        }
    }

    #[test]
    fn the_whole_table() {
        let admin = |force| Speaker::Administrator { force };
        let (banned, ours, theirs) =
            (Standing::Ended(Ender::Administrator), Standing::Ended(Ender::Itself), Standing::Ended(Ender::Another));
        let (suspended, ended) = (Turn::Refuse(&codes::SUSPENDED_BY_ADMIN), Turn::Refuse(&codes::ENDED_BY_SOURCE));
        let table = [
            // standing, then what follows from: directory off, on; administrator off, on, on with force
            (Standing::Active, Turn::End, Turn::Stay, Turn::End, Turn::Stay, Turn::Stay),
            (Standing::Pending, Turn::End, Turn::Stay, Turn::End, Turn::Revive, Turn::Revive),
            (banned, Turn::Stay, suspended, Turn::Stay, Turn::Revive, Turn::Revive),
            (ours, Turn::Stay, Turn::Revive, Turn::End, ended, Turn::Revive),
            (theirs, Turn::Stay, ended, Turn::End, ended, Turn::Revive),
        ];
        for (standing, off, on, admin_off, admin_on, forced) in table {
            assert_eq!(turn(Speaker::Directory, standing, Some(false)), off, "{standing:?}");
            assert_eq!(turn(Speaker::Directory, standing, Some(true)), on, "{standing:?}");
            for force in [false, true] {
                assert_eq!(turn(admin(force), standing, Some(false)), admin_off, "{standing:?}");
            }
            assert_eq!(turn(admin(false), standing, Some(true)), admin_on, "{standing:?}");
            assert_eq!(turn(admin(true), standing, Some(true)), forced, "{standing:?}");
        }
    }

    #[test]
    fn turns_of_different_kinds_differ() {
        let all = [Turn::Stay, Turn::End, Turn::Revive, Turn::Refuse(&codes::TAKEN), Turn::Refuse(&codes::STALE)];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(a == b, i == j);
            }
        }
    }
}
