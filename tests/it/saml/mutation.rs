//! Signed messages, changed at random: whatever still passes says what it said before.
//!
//! Seeded: a failure names the seed, which makes the same changes again, on a message of another key.

use authd::connection::saml::Expect;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::oracle::{saml_rs, unsolicited, xmlsec1};
use crate::world::saml::{Idp, MODES, read};

const NAME: &str = "ada@own.example";

/// Pieces that somebody who wraps or differs would put in.
const PIECES: &[&str] = &[
    "<!-- -->",
    "<x/>",
    "<x>",
    "</x>",
    "&amp;",
    "&#65;",
    " ",
    "\n",
    " ID=\"_x\"",
    " Id=\"_x\"",
    " xmlns=\"urn:x\"",
    " xmlns:x=\"urn:x\"",
    "root@own.example",
    "<![CDATA[x]]>",
    "<?x?>",
    "/>",
    ">",
    "<",
    "\"",
];

fn boundary(xml: &str, mut at: usize) -> usize {
    while !xml.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The place of some element: from its start to behind its end.
fn element(xml: &str, rng: &mut StdRng) -> Option<std::ops::Range<usize>> {
    let document = uppsala::parse(xml).ok()?;
    let all: Vec<_> =
        document.descendants(document.root()).into_iter().filter(|id| document.element(*id).is_some()).collect();
    document.node_range(all[rng.random_range(0..all.len())])
}

fn change(xml: &str, rng: &mut StdRng) -> String {
    let mut out = xml.to_owned();
    for _ in 0..rng.random_range(1..4) {
        if out.is_empty() {
            break;
        }
        let at = boundary(&out, rng.random_range(0..out.len()));
        match rng.random_range(0..8) {
            0 | 1 => {
                let mut bytes = out.into_bytes();
                bytes[at] ^= 1 << rng.random_range(0..7);
                out = String::from_utf8_lossy(&bytes).into_owned();
            }
            2 | 3 => out.insert_str(at, PIECES[rng.random_range(0..PIECES.len())]),
            4 => {
                let end = boundary(&out, (at + rng.random_range(1..40)).min(out.len()));
                out.replace_range(at..end.max(at), "");
            }
            // An element twice, elsewhere, or not at all; now and then about somebody else.
            way => {
                let (Some(from), Some(to)) = (element(&out, rng), element(&out, rng)) else { continue };
                let mut text = out[from.clone()].to_owned();
                if rng.random_bool(0.5) {
                    text = text.replace(NAME, "root@own.example");
                }
                match way {
                    5 => out.insert_str(to.start, &text),
                    6 => out.insert_str(boundary(&out, to.end.saturating_sub(1)).max(to.start), &text),
                    _ => out.replace_range(from, ""),
                }
            }
        }
    }
    out
}

#[test]
fn no_change_makes_a_message_say_something_else() {
    let idp = Idp::new();
    let expect = Expect { request_id: None, ..idp.expect() };
    let (mut tried, mut passed) = (0, 0);
    for mode in MODES {
        let genuine = unsolicited(&idp, NAME, mode);
        let said = read(&genuine, &expect).unwrap();
        for seed in 0..1_500 {
            let xml = change(&genuine, &mut StdRng::seed_from_u64(seed));
            tried += 1;
            let Ok(verified) = read(&xml, &expect) else { continue };
            assert_eq!(verified, said, "{mode:?} seed {seed}: {xml}");
            passed += 1;
            if xml != genuine {
                assert_eq!(saml_rs(&idp, &idp.key, &xml), Ok(NAME.to_owned()), "{mode:?} seed {seed}: {xml}");
                assert_ne!(xmlsec1(&idp.key, &xml), Some(false), "{mode:?} seed {seed}: {xml}");
            }
        }
    }
    println!("{passed} of {tried} still passed");
    assert!(passed > 0 && passed < tried / 2, "{passed} of {tried}");
}

/// Every bit of a signed message: either nothing of it is believed, or it says the same.
#[test]
fn no_flipped_bit_makes_a_message_say_something_else() {
    let idp = Idp::new();
    let expect = Expect { request_id: None, ..idp.expect() };
    for mode in MODES {
        let genuine = unsolicited(&idp, NAME, mode);
        let said = read(&genuine, &expect).unwrap();
        for at in 0..genuine.len() {
            let mut bytes = genuine.clone().into_bytes();
            bytes[at] ^= 1 << (at % 7);
            let Ok(xml) = String::from_utf8(bytes) else { continue };
            if let Ok(verified) = read(&xml, &expect) {
                assert_eq!(verified, said, "{mode:?} {at}: {xml}");
            }
        }
    }
}
