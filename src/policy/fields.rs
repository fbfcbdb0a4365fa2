//! Whose word about a field of a profile counts. Pure.

use super::rules::{Authority, UpdateFromDirectory, UpdateProfile, UserPolicy};

/// What becomes of a word about a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is taken.
    Taken,
    /// It is passed over: the field stays.
    PassedOver,
    /// It is refused: whoever said it must know. Only administrators are told; a source is passed over.
    Refused,
}

/// Whether `speaker` may write a field that `holder` wrote last, if anybody did. A field that the authority wrote is
/// only the authority's; else every speaker has its own rule. Clearing is writing.
pub fn weigh_word(policy: &UserPolicy, speaker: Authority, holder: Option<Authority>, empty: bool) -> Word {
    let authority = policy.authority;
    if holder == Some(authority) && speaker != authority {
        return if speaker == Authority::App { Word::Refused } else { Word::PassedOver };
    }
    let taken = match speaker {
        Authority::App => true,
        Authority::Connection => match policy.update_profile_on_login {
            UpdateProfile::Always => true,
            UpdateProfile::Missing => empty,
            UpdateProfile::Never => false,
        },
        Authority::Scim => match policy.update_profile_from_scim {
            UpdateFromDirectory::Always => true,
            UpdateFromDirectory::Missing => empty,
            UpdateFromDirectory::Never => false,
        },
    };
    if taken { Word::Taken } else { Word::PassedOver }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITERS: [Authority; 3] = [Authority::App, Authority::Connection, Authority::Scim];
    const LOGIN: [UpdateProfile; 3] = [UpdateProfile::Missing, UpdateProfile::Never, UpdateProfile::Always];
    const SCIM: [UpdateFromDirectory; 3] =
        [UpdateFromDirectory::Missing, UpdateFromDirectory::Never, UpdateFromDirectory::Always];

    /// Every combination, against the sentences of the policy.
    #[test]
    fn the_authority_has_the_last_word_and_everybody_else_their_rule() {
        for authority in WRITERS {
            for update_profile_on_login in LOGIN {
                for update_profile_from_scim in SCIM {
                    let policy = UserPolicy {
                        authority,
                        update_profile_on_login,
                        update_profile_from_scim,
                        ..UserPolicy::default()
                    };
                    for speaker in WRITERS {
                        for holder in [None, Some(Authority::App), Some(Authority::Connection), Some(Authority::Scim)] {
                            for empty in [false, true] {
                                let word = weigh_word(&policy, speaker, holder, empty);
                                let case = format!("{word:?}: {speaker:?} over {holder:?}, {empty}, {policy:?}");
                                let guarded = holder == Some(authority) && speaker != authority;
                                assert_eq!(word == Word::Refused, guarded && speaker == Authority::App, "{case}");
                                if guarded {
                                    assert_ne!(word, Word::Taken, "{case}");
                                    continue;
                                }
                                let rule = match speaker {
                                    Authority::App => "always",
                                    Authority::Connection => ["missing", "never", "always"]
                                        [LOGIN.iter().position(|x| *x == update_profile_on_login).unwrap()],
                                    Authority::Scim => ["missing", "never", "always"]
                                        [SCIM.iter().position(|x| *x == update_profile_from_scim).unwrap()],
                                };
                                let expected = rule == "always" || (rule == "missing" && empty);
                                assert_eq!(word == Word::Taken, expected, "{case}");
                            }
                        }
                    }
                }
            }
        }
    }
}
