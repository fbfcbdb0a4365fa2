//! SAML-30, SAML-32: what is encrypted, and what is large.

use std::time::Duration;

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, Expect, names};

use crate::world::saml::{
    Encryption, HOLE, Idp, Mode, Signing, each, encrypted, posted, rename, seal, sign, used, verdict, wrap,
};

const NAME: &str = "ada@own.example";

/// An unsigned response around that ciphertext.
fn around(idp: &Idp, how: &Encryption, wrapped: &[u8], content: &[u8], mode: Mode) -> String {
    let answer = idp.answer(NAME);
    let inside = rename(&encrypted(how, wrapped, content), &answer.prefixes);
    let xml = rename(&answer.response, &answer.prefixes).replace(HOLE, &inside);
    match mode {
        Mode::Response => sign(&xml, &answer.response_id, &idp.key, &Signing::with(&idp.key), &answer.prefixes),
        _ => xml,
    }
}

#[test]
fn saml_30_whoever_can_encrypt_cannot_say_who_they_are() {
    // Everybody knows our certificate. The assertion inside is not signed, or by somebody else.
    let idp = Idp::new().encrypting();
    let xml = idp.answer(NAME).mode(Mode::None).encrypted(Encryption::usual()).xml();
    assert_eq!(verdict(&xml, &idp.expect()), Err("saml_signature_missing"));
    let stranger = crate::world::saml::Key::rsa();
    let answer = idp.answer(NAME).mode(Mode::Assertion).encrypted(Encryption::usual());
    let xml = answer.signed_with(&stranger, &Signing::with(&stranger));
    assert_eq!(verdict(&xml, &idp.expect()), Err("saml_signature_invalid"));
    // Nor by putting it beside, or instead of, what is signed.
    let signed = idp.answer(NAME).mode(Mode::Response).encrypted(Encryption::usual());
    let evil = idp.answer("root@own.example").mode(Mode::None).encrypted(Encryption::usual());
    let (signed, mut evil) = (signed.xml(), evil);
    evil.prefixes.assertion = "saml".into();
    let evil = crate::world::saml::cut(&evil.xml(), "EncryptedAssertion");
    let evil = evil.replacen(
        "EncryptedAssertion",
        "EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
        1,
    );
    let genuine = crate::world::saml::cut(&signed, "EncryptedAssertion");
    assert_eq!(verdict(&signed.replace(&genuine, &format!("{evil}{genuine}")), &idp.expect()), Err("saml_structure"));
    assert_eq!(verdict(&signed.replace(&genuine, &evil), &idp.expect()), Err("saml_signature_invalid"));
}

#[test]
fn saml_30_what_is_decrypted_passes_the_whole_screen() {
    let idp = Idp::new().encrypting();
    let genuine = idp.answer(NAME).mode(Mode::Assertion);
    let assertion = crate::world::saml::cut(&genuine.xml(), "Assertion");
    let with_namespace = if assertion.contains("xmlns") { assertion } else { panic!("{assertion}") };
    let evil = with_namespace.replace(NAME, "root@own.example");
    // Like an assertion in everything but the name space of its name.
    let mut bare = idp.answer(NAME).mode(Mode::None);
    let prefix = "saml";
    bare.prefixes.assertion = prefix.into();
    let bare = crate::world::saml::cut(&bare.xml(), "Assertion");
    let alike = bare
        .replacen(
            &format!("<{prefix}:Assertion"),
            &format!("<e:Assertion xmlns:e=\"urn:evil\" xmlns:{prefix}=\"{}\"", names::ASSERTION),
            1,
        )
        .replace(&format!("</{prefix}:Assertion>"), "</e:Assertion>");
    for inside in [
        alike,
        format!("{with_namespace}{evil}"),
        format!("{evil}{with_namespace}"),
        format!("<x>{with_namespace}</x>"),
        format!("{with_namespace}</authd><authd>"),
        format!("</authd>{with_namespace}<authd>"),
        format!("text{with_namespace}"),
        with_namespace.replacen("ID=", "Id=\"_x\" ID=", 1),
        with_namespace.replace(NAME, "a<!-- -->b"),
        format!("<!DOCTYPE x>{with_namespace}"),
        "<x/>".into(),
        "text".into(),
        String::new(),
        "\u{0}".into(),
    ] {
        for mode in [Mode::None, Mode::Response] {
            let (content, key) = seal(inside.as_bytes(), names::AES256_GCM);
            let wrapped = wrap(&key, &idp.sp().certificate, names::RSA_OAEP_MGF1P, None);
            let xml = around(&idp, &Encryption::usual(), &wrapped, &content, mode);
            let refused = verdict(&xml, &idp.expect()).unwrap_err();
            assert!(["saml_structure", "saml_decrypt"].contains(&refused), "{refused} {inside}");
        }
    }
    // The same way with the genuine one, with and without a declaration, is accepted.
    for inside in [with_namespace.clone(), format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{with_namespace}")] {
        let (content, key) = seal(inside.as_bytes(), names::AES256_GCM);
        let wrapped = wrap(&key, &idp.sp().certificate, names::RSA_OAEP_MGF1P, None);
        let xml = around(&idp, &Encryption::usual(), &wrapped, &content, Mode::None);
        assert_eq!(verdict(&xml, &idp.expect()), Ok(NAME.into()), "{inside}");
    }
}

#[test]
fn saml_30_every_failure_is_the_same() {
    let idp = Idp::new().encrypting();
    let genuine = crate::world::saml::cut(&idp.answer(NAME).mode(Mode::Assertion).xml(), "Assertion");
    let oaep = names::RSA_OAEP_MGF1P;
    let gcm = Encryption::usual();
    let (content, key) = seal(genuine.as_bytes(), gcm.content);
    let wrapped = wrap(&key, &idp.sp().certificate, oaep, None);
    let mut cases: Vec<(Encryption, Vec<u8>, Vec<u8>)> = Vec::new();
    let flip = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        let length = bytes.len();
        bytes[at % length] ^= 1 << (at % 8);
        bytes
    };
    for at in (0..content.len()).step_by(content.len() / 40).chain(content.len() - 20..content.len()).chain(0..16) {
        cases.push((gcm.clone(), wrapped.clone(), flip(&content, at)));
    }
    for at in (0..wrapped.len()).step_by(9) {
        cases.push((gcm.clone(), flip(&wrapped, at), content.clone()));
    }
    // Short and shortened: also tags of 4 to 15 bytes.
    for length in (0..48).chain(content.len() - 13..content.len()) {
        cases.push((gcm.clone(), wrapped.clone(), content[..length].to_vec()));
    }
    for length in [0, 1, 255, 257, 512] {
        cases.push((gcm.clone(), vec![7; length], content.clone()));
    }
    // The old padding, also around the right key; other methods; keys of the wrong length.
    let old = Encryption { transport: "http://www.w3.org/2001/04/xmlenc#rsa-1_5", ..gcm.clone() };
    cases.push((old.clone(), wrap(&key, &idp.sp().certificate, old.transport, None), content.clone()));
    cases.push((old, wrapped.clone(), content.clone()));
    for content_method in [
        names::AES128_GCM,
        names::AES128_CBC,
        names::AES256_CBC,
        "http://www.w3.org/2001/04/xmlenc#tripledes-cbc",
        "http://www.w3.org/2009/xmlenc11#aes192-gcm",
        "",
    ] {
        cases.push((Encryption { content: content_method, ..gcm.clone() }, wrapped.clone(), content.clone()));
    }
    for short in [0, 15, 31, 33, 64] {
        let wrapped = wrap(&vec![0; short], &idp.sp().certificate, oaep, None);
        cases.push((gcm.clone(), wrapped, content.clone()));
    }
    // Nobody has the key that it is for.
    let stranger = crate::world::saml::Key::rsa();
    cases.push((gcm.clone(), wrap(&key, &stranger.certificate, oaep, None), content.clone()));
    // What every failing unwrap is replaced by is no way in.
    let zeros = {
        use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[0; 32]).unwrap());
        let mut buffer = genuine.as_bytes().to_vec();
        sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut buffer).unwrap();
        [vec![0; 12], buffer].concat()
    };
    cases.push((gcm.clone(), vec![7; 256], zeros));
    let mut spread = (Duration::MAX, Duration::ZERO);
    for (place, (how, wrapped, content)) in cases.iter().enumerate() {
        let mut checks = Checks::new();
        let xml = posted(&around(&idp, how, wrapped, content, Mode::None));
        let cost = each(|| {
            let error = saml::read(&xml, &idp.expect(), &mut checks).unwrap_err();
            assert_eq!(error.code(), "saml_decrypt", "case {place}");
            assert_eq!(error.message(), "The assertion cannot be decrypted.");
        });
        spread = (spread.0.min(cost), spread.1.max(cost));
    }
    println!("{} cases between {:?} and {:?}", cases.len(), spread.0, spread.1);
    // Within a verified Response the same ones fail the same way.
    for (how, wrapped, content) in cases.iter().step_by(17) {
        let xml = around(&idp, how, wrapped, content, Mode::Response);
        assert_eq!(verdict(&xml, &idp.expect()), Err("saml_decrypt"));
    }
    let xml = around(&idp, &gcm, &wrapped, &content, Mode::None);
    assert_eq!(verdict(&xml, &idp.expect()), Ok(NAME.into()), "untouched");
    let expect = Expect { decryption_keys: &[], ..idp.expect() };
    assert_eq!(verdict(&xml, &expect), Err("saml_decrypt"), "without a key");
}

#[test]
fn saml_30_cbc_in_a_verified_response_fails_alike_too() {
    let idp = Idp::new().encrypting();
    let genuine = crate::world::saml::cut(&idp.answer(NAME).mode(Mode::Assertion).xml(), "Assertion");
    for method in [names::AES128_CBC, names::AES256_CBC] {
        let how = Encryption { content: method, ..Encryption::usual() };
        let (content, key) = seal(genuine.as_bytes(), method);
        let wrapped = wrap(&key, &idp.sp().certificate, how.transport, None);
        let length = content.len();
        for at in [length - 1, length - 2, length - 16, length - 17, length - 32] {
            let mut bytes = content.clone();
            bytes[at] ^= 0x55;
            let refused = verdict(&around(&idp, &how, &wrapped, &bytes, Mode::Response), &idp.expect()).unwrap_err();
            // With luck the padding still fits; then it is the text that does not.
            assert!(["saml_decrypt", "saml_structure", "saml_signature_invalid"].contains(&refused), "{at}: {refused}");
        }
        for cut in [0, 15, 16, 17, 31, length - 1] {
            let xml = around(&idp, &how, &wrapped, &content[..cut], Mode::Response);
            assert_eq!(verdict(&xml, &idp.expect()), Err("saml_decrypt"), "{cut}");
        }
    }
}

#[test]
fn saml_30_references_in_encryption_are_not_followed() {
    let idp = Idp::new().encrypting();
    for beside in [false, true] {
        let how = Encryption { beside, ..Encryption::usual() };
        let xml = idp.answer(NAME).encrypted(how).xml();
        let value = crate::world::saml::cut(&xml, "CipherValue");
        let reference = r#"<xenc:CipherReference URI="file:///dev/zero"/>"#;
        assert_eq!(verdict(&xml.replacen(&value, reference, 1), &idp.expect()), Err("saml_reference"));
        if beside {
            let at = xml.find("URI=\"#_k").unwrap();
            let text = format!(
                "{}URI=\"http://evil.example/\"{}",
                &xml[..at],
                &xml[at + xml[at..].find("\"/>").unwrap() + 1..]
            );
            assert_eq!(verdict(&text, &idp.expect()), Err("saml_reference"), "{text}");
        }
    }
    let info = r##"<ds:KeyInfo><ds:RetrievalMethod URI="#x"/></ds:KeyInfo><xenc:CipherData>"##;
    let xml = idp.answer(NAME).encrypted(Encryption::usual()).xml().replacen("<xenc:CipherData>", info, 1);
    assert_eq!(verdict(&xml, &idp.expect()), Err("saml_reference"));
}

#[test]
fn saml_32_nothing_large_is_read() {
    let idp = Idp::new();
    let small = idp.answer(NAME).xml();
    let pad = |bytes: usize| small.replacen(" Version=", &format!("{}Version=", " ".repeat(bytes)), 1);
    // As base64 it is a third larger.
    let room = saml::MAX_MESSAGE / 4 * 3 - small.len();
    assert_ne!(verdict(&pad(room - 8), &idp.expect()), Err("too_large"));
    assert_eq!(verdict(&pad(room + 8), &idp.expect()), Err("too_large"));
    let expect = Expect { max_size: 1_000, ..idp.expect() };
    assert_eq!(verdict(&small, &expect), Err("too_large"), "the connection's own limit");
    let huge = "A".repeat(64 * 1024 * 1024);
    let before = used();
    assert_eq!(saml::read(&huge, &idp.expect(), &mut Checks::new()).unwrap_err().code(), "too_large");
    assert!((used() - before).as_millis() < 5);
}

/// T-04 and its kin: whatever is posted costs little, signed or not.
#[test]
fn dos_05_the_worst_documents_cost_little() {
    let idp = Idp::new();
    for mode in [Mode::Assertion, Mode::Response] {
        worst(&idp, mode);
    }
}

/// Messages around a genuine one that cost as much as they can.
pub(super) fn documents(idp: &Idp, mode: Mode) -> Vec<(&'static str, String)> {
    let genuine = idp.answer(NAME).mode(mode).xml();
    let budget = saml::MAX_MESSAGE / 4 * 3 - genuine.len() - 512;
    let fill = |unit: &dyn Fn(usize) -> String, most: usize| {
        let mut text = String::new();
        for n in 0..most {
            let next = unit(n);
            if text.len() + next.len() > budget {
                break;
            }
            text.push_str(&next);
        }
        text
    };
    let inside = |text: &str| {
        let at = genuine.find("<").unwrap() + genuine[1..].find('<').unwrap() + 1;
        format!("{}{text}{}", &genuine[..at], &genuine[at..])
    };
    let extensions = |text: &str| {
        inside(&format!(r#"<e:Extensions xmlns:e="urn:oasis:names:tc:SAML:2.0:protocol">{text}</e:Extensions>"#))
    };
    let attributes = fill(&|n| format!(" a{n}=''"), usize::MAX);
    let spaces = fill(&|n| format!(" xmlns:a{n}='u'"), usize::MAX);
    let ladder = (0..20)
        .map(|n| format!("<x{n}{}>", (0..2).map(|m| format!(" xmlns:p{n}{m}='urn:u{n}{m}'")).collect::<String>()))
        .collect::<String>();
    let rungs: String = (0..20).rev().map(|n| format!("</x{n}>")).collect();
    let prefixed = fill(&|n| format!("<p00:e p00:a{n}='' p01:b{n}=''/>"), 4_000);
    let long = "u".repeat(60_000);
    vec![
        ("attributes", extensions(&format!("<x{attributes}/>"))),
        ("namespaces", extensions(&format!("<x{spaces}/>"))),
        ("elements", extensions(&fill(&|_| "<x/>".into(), usize::MAX))),
        ("depth", extensions(&"<x>".repeat(budget / 4))),
        (
            "attributes everywhere",
            extensions(&fill(
                &|_| format!("<x {}/>", (0..30).map(|n| format!("a{n}='' ")).collect::<String>()),
                usize::MAX,
            )),
        ),
        ("attributes as allowed", extensions(&fill(&|_| "<x a='' b=''/>".into(), 4_900))),
        ("a ladder of namespaces", extensions(&format!("{ladder}{prefixed}{rungs}"))),
        ("a long namespace used often", extensions(&format!("<y xmlns:q='{long}'>{}</y>", "<q:x/>".repeat(4_000)))),
        ("a long namespace in the assertion", genuine.replacen(" ID=", &format!(" xmlns:q='{long}' ID="), 1)),
        ("entities", extensions(&fill(&|_| "&amp;".into(), usize::MAX))),
        ("character references", extensions(&fill(&|_| "&#x41;".into(), usize::MAX))),
        ("text", extensions(&fill(&|_| "text and spaces   \n\n".into(), usize::MAX))),
        ("quotes", extensions(&format!("<x a=\"{}\"/>", fill(&|_| "'".into(), usize::MAX)))),
        ("an open quote", extensions(&format!("<x a=\"{}", fill(&|_| "<".into(), usize::MAX)))),
        ("an open tag", extensions(&format!("<x {}", fill(&|_| "a ".into(), usize::MAX)))),
        ("less-than signs", extensions(&fill(&|_| "<".into(), usize::MAX))),
        ("ends", extensions(&fill(&|_| "</x>".into(), usize::MAX))),
        ("ids", extensions(&fill(&|n| format!("<x ID='i{n}'/>"), 4_900))),
        ("prefix lists", extensions(&fill(&|n| format!("<y xmlns='u{n}'/>"), 4_900))),
        ("a long name", extensions(&format!("<{}/>", "n".repeat(budget - 10)))),
    ]
}

fn worst(idp: &Idp, mode: Mode) {
    let debug = if cfg!(debug_assertions) { 40 } else { 1 };
    for (name, xml) in documents(idp, mode) {
        let text = posted(&xml);
        let cost = each(|| {
            let _ = saml::read(&text, &idp.expect(), &mut Checks::new());
        });
        assert!(cost < Duration::from_millis(5 * debug), "{mode:?} {name}: {cost:?}");
    }
}
