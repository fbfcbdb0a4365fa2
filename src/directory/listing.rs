//! By what people and organizations are found: folded words, sort keys, filters.
//!
//! Folding is for finding only, and never decides who somebody is: two people may fold to the same words.

use std::collections::BTreeSet;

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;

use super::membership::{Membership, Status};
use crate::access::RoleName;
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::store::{Index, Query, Store};

/// The index of words, for searching by how they begin.
pub const SEARCH: &str = "search";
/// The indexes that lists are sorted by.
pub const BY_NAME: &str = "by_name";
/// See `BY_NAME`.
pub const BY_EMAIL: &str = "by_email";
/// See `BY_NAME`.
pub const CREATED: &str = "created";
/// See `BY_NAME`.
pub const UPDATED: &str = "updated";
/// The indexes that lists are filtered by.
pub const STATUS: &str = "status";
/// See `STATUS`.
pub const ROLE: &str = "role";
/// See `STATUS`.
pub const SOURCE: &str = "source";

/// The most words by which one thing is found.
const MOST_WORDS: usize = 8;
/// A word is kept, and compared, up to so many bytes.
const LONGEST: usize = 48;

/// Text for comparison in a search: lower case, without accents, compatibility forms resolved, without apostrophes.
pub fn fold(text: &str) -> String {
    let classes = CanonicalCombiningClassMapBorrowed::new();
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(text);
    let mut folded = String::with_capacity(text.len());
    for c in decomposed.chars().filter(|c| classes.get_u8(*c) == 0).flat_map(char::to_lowercase) {
        match c {
            '\'' | '’' | 'ʼ' | '`' => {}
            // Letters that do not decompose, as people type them on another keyboard.
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'đ' | 'ð' => folded.push('d'),
            'ł' => folded.push('l'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            c if classes.get_u8(c) == 0 => folded.push(c),
            _ => {}
        }
    }
    folded
}

/// At most `LONGEST` bytes of a text.
fn cut(text: &str) -> &str {
    let end = (0..=LONGEST.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// A word without what stands around it: brackets, commas, quotes.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

/// The words somebody searches for; all of them must begin a word of what is found.
pub fn sought(text: &str) -> BTreeSet<String> {
    let folded = fold(text);
    folded.split_whitespace().map(|word| cut(bare(word)).to_owned()).filter(|word| !word.is_empty()).collect()
}

/// The words of texts, the first texts first; at most so many. What begins another word is found by that one.
fn words<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |word: &str| {
        let word = cut(bare(word));
        if word.is_empty() || words.iter().any(|known| known.starts_with(word)) {
            return;
        }
        words.retain(|known| !word.starts_with(known.as_str()));
        if words.len() < MOST_WORDS {
            words.push(word.to_owned());
        }
    };
    for text in texts {
        let folded = fold(text);
        for word in folded.split_whitespace() {
            add(word);
            // The parts of a double name, and of the part of an address before the @.
            let local = word.split('@').next().unwrap_or(word);
            local.split(|c: char| !c.is_alphanumeric()).skip(1).for_each(&mut add);
        }
    }
    words
}

/// The words an organization is found by.
pub fn organization_words(name: &str) -> Vec<String> {
    words([name])
}

/// A value within an organization: what one tenant looks for never meets another's.
pub fn within(organization: OrganizationId, value: impl AsRef<[u8]>) -> Vec<u8> {
    [&organization.bytes()[..], value.as_ref()].concat()
}

/// The value of the `status` index.
pub fn status(organization: OrganizationId, status: Status) -> Vec<u8> {
    within(organization, format!("{status:?}"))
}

/// The value of the `role` index.
pub fn role(organization: OrganizationId, role: &RoleName) -> Vec<u8> {
    within(organization, role.as_str())
}

/// The value of the `source` index.
pub fn source(organization: OrganizationId, connection: ConnectionId) -> Vec<u8> {
    within(organization, connection.bytes())
}

/// Eight bytes that sort as the time does.
fn time(at: Timestamp) -> [u8; 8] {
    (at.millis().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// What a person is sorted by when lists are sorted by name: the name, or what is shown in its place.
fn name_of(member: &Membership) -> String {
    let parts = [member.given_name.as_deref(), member.family_name.as_deref()];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let name = [member.name.as_deref(), Some(parts.as_str()), member.email.as_deref()];
    name.into_iter().flatten().map(fold).find(|name| !name.trim().is_empty()).unwrap_or_default()
}

/// The entries that lists of people are searched, filtered and sorted by.
pub fn member_indexes(member: &Membership) -> Vec<Index> {
    let org = member.organization;
    let email = member.email.as_deref().map(fold).unwrap_or_default();
    let texts = [&member.email, &member.name, &member.given_name, &member.family_name];
    let mut indexes = vec![
        Index::many(STATUS, status(org, member.status)),
        Index::ordered(BY_NAME, within(org, cut(name_of(member).trim()))),
        Index::ordered(BY_EMAIL, within(org, cut(&email))),
        Index::ordered(CREATED, within(org, time(member.created_at))),
        Index::ordered(UPDATED, within(org, time(member.updated_at))),
    ];
    indexes.extend(member.effective_roles().iter().map(|name| Index::many(ROLE, role(org, name))));
    indexes.extend(member.source.map(|connection| Index::many(SOURCE, source(org, connection))));
    let words = words(texts.into_iter().flatten().map(String::as_str));
    indexes.extend(words.iter().map(|word| Index::ordered(SEARCH, within(org, word))));
    // Far more roles than anybody gives would still leave room for everything else.
    indexes.truncate(MOST_INDEXES);
    indexes
}

/// The store takes 64 for a record; the record adds a few of its own.
const MOST_INDEXES: usize = 56;

impl Membership {
    /// Somebody of the organization who has the role, given or by a mapping.
    pub async fn somebody_with(store: &Store, organization: OrganizationId, name: &RoleName) -> Result<Option<UserId>> {
        let query = Query::by(ROLE, role(organization, name)).limit(1);
        Ok(store.page::<Self>(query).await?.items.first().map(|member| member.user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_lets_people_type_what_they_have_keys_for() {
        for (text, folded) in [
            ("Ada LOVELACE", "ada lovelace"),
            ("Zoë Müller", "zoe muller"),
            ("Łukasz Żółć", "lukasz zolc"),
            ("Søren Ångström", "soren angstrom"),
            ("Weiß", "weiss"),
            ("İpek ırmak", "ipek irmak"),
            ("O'Brien O’Brien", "obrien obrien"),
            ("ﬁrst Ⅳ", "first iv"),
            ("Nguyễn", "nguyen"),
            ("Ёлкин Йорданов", "елкин иорданов"),
            ("山田太郎", "山田太郎"),
            ("Ὀδυσσεύς", "οδυσσευς"),
            ("e\u{301}", "e"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
        // What was folded is not changed by folding it again.
        for text in ["Straße", "ǅ", "ΐ", "Å", "㎏", "\u{1e9e}"] {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }

    #[test]
    fn words_are_few_and_none_begins_another() {
        let of = |texts: &[&str]| words(texts.iter().copied());
        assert_eq!(of(&["ada.lovelace@acme.test", "Ada Lovelace"]), ["ada.lovelace@acme.test", "lovelace"]);
        assert_eq!(of(&["Jean-Luc Picard (Cpt.)"]), ["jean-luc", "luc", "picard", "cpt"]);
        assert_eq!(of(&["Ann", "Anna", "Annabel"]), ["annabel"]);
        assert_eq!(of(&["", " ", "-", "…"]), Vec::<String>::new());
        assert_eq!(of(&["a b c d e f g h i j k"]).len(), MOST_WORDS);
        let long = "ü".repeat(300);
        assert_eq!(of(&[&long]), ["u".repeat(LONGEST)]);
        assert_eq!(of(&[&"山".repeat(100)])[0].len(), 48);
        // Whatever somebody is called, what is sought by the same text is found.
        for name in ["Ada Lovelace", "O'Brien-Łuk", "x@y.test", "(Dr.) Wei ß", &long] {
            let kept = of(&[name]);
            for word in sought(name) {
                assert!(kept.iter().any(|known| known.starts_with(&word)), "{name}: {word}");
            }
        }
    }
}
