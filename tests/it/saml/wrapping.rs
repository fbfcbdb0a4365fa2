//! SAML-01 to SAML-09: an element that was signed is moved aside, and a forged one put where it is looked for.
//!
//! After "On Breaking SAML" (USENIX Security 2012). The forged subject must never come out, and neither must the genuine
//! one: a document that was tampered with is refused as a whole.

use crate::world::saml::{Answer, Idp, Key, MODES, Mode, cut, fresh, verdict};

const GOOD: &str = "ada@own.example";
const EVIL: &str = "root@own.example";

/// A message in pieces.
struct Pieces {
    whole: String,
    /// The assertion with its signature, if it has one.
    assertion: String,
    /// The first signature: of the response, or of the assertion.
    signature: String,
    in_response: bool,
}

impl Pieces {
    fn of(answer: &Answer<'_>) -> Self {
        let whole = answer.xml();
        let in_response = matches!(answer.mode, Mode::Response | Mode::Both);
        Self { assertion: cut(&whole, "Assertion"), signature: cut(&whole, "Signature"), whole, in_response }
    }

    fn id_of(xml: &str) -> String {
        let (_, rest) = xml.split_once(" ID=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// The same text about somebody else, under another ID or under its own.
    fn forged(xml: &str, rename: bool) -> String {
        let evil = xml.replace(GOOD, EVIL);
        if rename { evil.replacen(&Self::id_of(xml), &fresh("_evil"), 1) } else { evil }
    }

    fn unsigned_assertion(&self) -> String {
        match self.assertion.contains("SignedInfo") {
            true => self.assertion.replace(&cut(&self.assertion, "Signature"), ""),
            false => self.assertion.clone(),
        }
    }

    /// The end tag of the assertion or of the response.
    fn end_of(xml: &str) -> &str {
        &xml[xml.rfind("</").unwrap()..]
    }

    fn inside(xml: &str, more: &str) -> String {
        let end = xml.rfind("</").unwrap();
        format!("{}{more}{}", &xml[..end], &xml[end..])
    }
}

/// Each wrapping, with the forged part under a new ID or under the old one.
fn each<Variants: IntoIterator<Item = String>>(attack: impl Fn(&Pieces, bool) -> Variants) {
    let mut tried = 0;
    for key in [Key::rsa(), Key::p256()] {
        let idp = Idp::with(key);
        for mode in MODES {
            let pieces = Pieces::of(&idp.answer(GOOD).mode(mode));
            assert_eq!(verdict(&pieces.whole, &idp.expect()), Ok(GOOD.into()), "before the attack");
            for rename in [true, false] {
                for xml in attack(&pieces, rename) {
                    assert!(xml.contains(EVIL), "the forged part is in it");
                    assert_eq!(verdict(&xml, &idp.expect()), Err("saml_structure"), "{mode:?} {rename}: {xml}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried >= 4, "{tried} variants");
}

#[test]
fn saml_01_the_response_inside_its_own_signature() {
    each(|pieces, rename| {
        pieces.in_response.then(|| {
            let bare = pieces.whole.replacen(&pieces.signature, "", 1);
            let signature = Pieces::inside(&pieces.signature, &bare);
            Pieces::forged(&bare, rename).replacen(
                &Pieces::forged(&pieces.assertion, false),
                &format!("{signature}{}", Pieces::forged(&pieces.assertion, true)),
                1,
            )
        })
    });
}

#[test]
fn saml_02_the_response_before_its_signature() {
    each(|pieces, rename| {
        pieces.in_response.then(|| {
            let bare = pieces.whole.replacen(&pieces.signature, "", 1);
            let evil = Pieces::forged(&bare, rename);
            Pieces::inside(&evil, &format!("{bare}{}", pieces.signature))
        })
    });
}

#[test]
fn saml_03_a_forged_assertion_before_the_genuine_one() {
    each(|pieces, rename| {
        let evil = Pieces::forged(&pieces.unsigned_assertion(), rename);
        Some(pieces.whole.replacen(&pieces.assertion, &format!("{evil}{}", pieces.assertion), 1))
    });
}

#[test]
fn saml_03_a_forged_assertion_after_the_genuine_one() {
    each(|pieces, rename| {
        let evil = Pieces::forged(&pieces.unsigned_assertion(), rename);
        Some(pieces.whole.replacen(&pieces.assertion, &format!("{}{evil}", pieces.assertion), 1))
    });
}

#[test]
fn saml_04_the_genuine_assertion_inside_the_forged_one() {
    each(|pieces, rename| {
        let evil = Pieces::forged(&pieces.unsigned_assertion(), rename);
        Some(pieces.whole.replacen(&pieces.assertion, &Pieces::inside(&evil, &pieces.assertion), 1))
    });
}

#[test]
fn saml_05_the_signature_in_the_forged_assertion_and_the_genuine_one_at_the_end() {
    each(|pieces, rename| {
        let bare = pieces.unsigned_assertion();
        let evil = Pieces::forged(&pieces.assertion, rename);
        Some(pieces.whole.replacen(&pieces.assertion, &format!("{evil}{bare}"), 1))
    });
}

#[test]
fn saml_06_the_genuine_assertion_inside_the_signature_of_the_forged_one() {
    each(|pieces, rename| {
        if pieces.in_response && !pieces.assertion.contains("SignedInfo") {
            return None;
        }
        let signature = cut(&pieces.assertion, "Signature");
        let wrapped = Pieces::inside(&signature, &pieces.unsigned_assertion());
        let evil = Pieces::forged(&pieces.unsigned_assertion(), rename);
        Some(pieces.whole.replacen(&pieces.assertion, &Pieces::inside(&evil, &wrapped), 1))
    });
}

#[test]
fn saml_07_the_forged_assertion_in_extensions() {
    each(|pieces, rename| {
        let evil = Pieces::forged(&pieces.unsigned_assertion(), rename);
        let extensions =
            format!(r#"<x:Extensions xmlns:x="urn:oasis:names:tc:SAML:2.0:protocol">{evil}</x:Extensions>"#);
        Some(pieces.whole.replacen(&pieces.assertion, &format!("{extensions}{}", pieces.assertion), 1))
    });
}

#[test]
fn saml_08_the_genuine_assertion_in_an_object_of_the_signature() {
    each(|pieces, rename| {
        let bare = pieces.unsigned_assertion();
        let object = format!(r#"<o:Object xmlns:o="http://www.w3.org/2000/09/xmldsig#">{bare}</o:Object>"#);
        let signature = Pieces::inside(&pieces.signature, &object);
        let evil = Pieces::forged(&bare, rename);
        Some(pieces.whole.replacen(&pieces.assertion, &Pieces::inside(&evil, &signature), 1))
    });
}

#[test]
fn saml_09_a_second_place_for_either_of_them() {
    // Wherever else the second assertion stands: in the advice, in the status, in the subject, in an attribute.
    for place in ["Conditions", "Status", "Subject", "AttributeStatement", "AuthnContext"] {
        each(|pieces, rename| {
            let evil = Pieces::forged(&pieces.unsigned_assertion(), rename);
            let there = cut(&pieces.whole, place);
            Some(pieces.whole.replacen(&there, &Pieces::inside(&there, &evil), 1))
        });
    }
    // And under names that somebody might search for without looking at the namespace.
    for namespace in ["urn:evil", "urn:oasis:names:tc:SAML:1.0:assertion"] {
        each(|pieces, _| {
            let evil = format!(r#"<e:Assertion xmlns:e="{namespace}" ID="{}">{EVIL}</e:Assertion>"#, fresh("_e"));
            Some(pieces.whole.replacen(&pieces.assertion, &format!("{evil}{}", pieces.assertion), 1))
        });
    }
}

#[test]
fn saml_09_nothing_that_counts_stands_where_it_does_not_count() {
    let (saml, protocol) = ("urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol");
    let (dsig, xenc) = ("http://www.w3.org/2000/09/xmldsig#", "http://www.w3.org/2001/04/xmlenc#");
    let strays = [
        (saml, "EncryptedAssertion"),
        (saml, "EncryptedAttribute"),
        (protocol, "AuthnRequest"),
        (protocol, "LogoutRequest"),
        (protocol, "LogoutResponse"),
        (dsig, "Signature"),
        (dsig, "SignedInfo"),
        (dsig, "SignatureValue"),
        (dsig, "Object"),
        (dsig, "Manifest"),
        (dsig, "SignatureProperties"),
        (xenc, "EncryptedData"),
        (xenc, "EncryptedKey"),
    ];
    let stray = |namespace: &str, local: &str| format!(r#"<e:{local} xmlns:e="{namespace}">{EVIL}</e:{local}>"#);
    each(|pieces, _| {
        let mut variants = Vec::new();
        for (namespace, local) in strays {
            for place in ["Conditions", "Subject", "AuthnContext", "AttributeStatement"] {
                let there = cut(&pieces.whole, place);
                let with = Pieces::inside(&there, &stray(namespace, local));
                variants.push(pieces.whole.replacen(&there, &with, 1));
            }
        }
        // Where a signature or its parts would stand, of a name space that has none.
        variants.push(Pieces::inside(&pieces.whole, &stray("urn:evil", "Signature")));
        for local in ["SignedInfo", "SignatureValue"] {
            let with = Pieces::inside(&pieces.signature, &stray("urn:evil", local));
            variants.push(pieces.whole.replacen(&pieces.signature, &with, 1));
        }
        variants
    });
}

#[test]
fn saml_09_a_whole_response_around_a_response() {
    each(|pieces, rename| {
        let evil = Pieces::forged(&pieces.whole, rename);
        let end = Pieces::end_of(&evil).to_owned();
        let start = &evil[..evil.find('>').unwrap() + 1];
        Some(format!("{start}{}{}{end}", pieces.whole, Pieces::forged(&pieces.assertion, true)))
    });
}
