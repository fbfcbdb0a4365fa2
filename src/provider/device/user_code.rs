//! The code that a person carries from the device to the browser (RFC 8628 §6.1).

use crate::env::Env;

/// Twenty letters that are not taken for each other, and spell no words: there is no vowel.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Twenty letters in eight places: 34 bits, of which a guesser gets to see a few thousand in a code's life.
const LETTERS: usize = 8;

/// A new code, as it is shown: `BCDF-GHJK`.
pub(super) fn new(env: &Env) -> String {
    let mut letters = String::with_capacity(LETTERS);
    while letters.len() < LETTERS {
        // A multiple of twenty, so that no letter comes more often than another.
        let fair = env.random::<16>().into_iter().filter(|byte| *byte < 240);
        let drawn = fair.filter_map(|byte| ALPHABET.get(usize::from(byte % 20)));
        letters.extend(drawn.take(LETTERS - letters.len()).map(|letter| char::from(*letter)));
    }
    shown(&letters)
}

/// What a person typed, as it is shown: they may leave out the dash, put in spaces, and write small letters.
/// None for what cannot be a code.
pub fn read(typed: &str) -> Option<String> {
    if typed.len() > 64 {
        return None;
    }
    let letters: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && !"-‐‑‒–—_.".contains(*c))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let known = letters.len() == LETTERS && letters.bytes().all(|letter| ALPHABET.contains(&letter));
    known.then(|| shown(&letters))
}

fn shown(letters: &str) -> String {
    match letters.split_at_checked(LETTERS / 2) {
        Some((first, second)) => format!("{first}-{second}"),
        None => letters.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for typed in ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk ", "B C D F – g h j k", "bcdf_ghjk", "BCDF—GHJK"] {
            assert_eq!(read(typed).as_deref(), Some("BCDF-GHJK"), "{typed}");
        }
        for wrong in ["", "BCDF-GHJ", "BCDF-GHJKL", "BCDA-GHJK", "BCD1-GHJK", "ßCDF-GHJK", "BCDF/GHJK", &"B".repeat(65)]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_letter_comes_equally_often() {
        let env = Env::frozen();
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..5_000 {
            let code = new(&env);
            assert_eq!(read(&code), Some(code.clone()));
            for letter in code.bytes().filter(|letter| *letter != b'-') {
                *seen.entry(letter).or_insert(0_u32) += 1;
            }
        }
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), ALPHABET.to_vec());
        // 2,000 are expected of each; 44 is one standard deviation.
        assert!(seen.values().all(|count| (1_750..2_250).contains(count)), "{seen:?}");
    }
}
