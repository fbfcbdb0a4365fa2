//! What must be accepted: every valid way to sign and to encrypt, and what is read from it.

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, Fact, Want, names};

use crate::world::saml::{Encryption, Idp, Key, MODES, Mode, NOW, Signing, at, posted, read, verdict};

#[test]
fn every_valid_way_to_sign_is_accepted() {
    for key in [Key::rsa(), Key::p256()] {
        let idp = Idp::with(key);
        for mode in MODES {
            for _ in 0..4 {
                let answer = idp.answer("ada@own.example").mode(mode);
                let xml = answer.xml();
                assert_eq!(verdict(&xml, &idp.expect()), Ok("ada@own.example".into()), "{mode:?} {xml}");
            }
        }
    }
}

#[test]
fn every_allowed_algorithm_is_accepted() {
    let idp = Idp::new();
    for algorithm in [names::RSA_SHA256, names::RSA_SHA384, names::RSA_SHA512] {
        for digest in [names::SHA256, names::SHA384, names::SHA512] {
            let how = Signing { algorithm: Some(algorithm.into()), digest: digest.into(), ..Signing::with(&idp.key) };
            let xml = idp.answer("ada").mode(Mode::Both).signed_with(&idp.key, &how);
            assert_eq!(verdict(&xml, &idp.expect()), Ok("ada".into()), "{algorithm} {digest}");
            let expect = saml::Expect { algorithms: &[names::RSA_SHA512], ..idp.expect() };
            let only = if algorithm == names::RSA_SHA512 { Ok("ada".into()) } else { Err("saml_algorithm") };
            assert_eq!(verdict(&xml, &expect), only, "the connection's own list");
        }
    }
}

#[test]
fn every_allowed_encryption_is_accepted() {
    let idp = Idp::new().encrypting();
    for content in [names::AES128_GCM, names::AES256_GCM, names::AES128_CBC, names::AES256_CBC] {
        for (transport, digest) in [
            (names::RSA_OAEP_MGF1P, None),
            (names::RSA_OAEP_MGF1P, Some(names::SHA1)),
            (names::RSA_OAEP, Some(names::SHA256)),
        ] {
            for beside in [false, true] {
                let how = Encryption { content, transport, digest, beside };
                for mode in MODES {
                    let xml = idp.answer("ada").mode(mode).encrypted(how.clone()).xml();
                    let vouched = mode != Mode::Assertion || !content.contains("cbc");
                    let expected = if vouched { Ok("ada".to_owned()) } else { Err("saml_decrypt") };
                    assert_eq!(verdict(&xml, &idp.expect()), expected, "{how:?} {mode:?}");
                }
            }
        }
    }
}

#[test]
fn a_decrypted_assertion_may_use_prefixes_of_the_response() {
    let idp = Idp::new().encrypting();
    for mode in MODES {
        let mut answer = idp.answer("ada").mode(mode).encrypted(Encryption::usual());
        answer.prefixes.assertion = "saml".into();
        answer.prefixes.protocol = "samlp".into();
        let declared = r#" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion""#;
        if mode == Mode::Response {
            answer = answer.assertion(declared, "");
        }
        assert_eq!(verdict(&answer.xml(), &idp.expect()), Ok("ada".into()), "{mode:?}");
    }
}

#[test]
fn what_is_said_is_read() {
    let idp = Idp::new();
    let verified = read(&idp.answer("ada@own.example").xml(), &idp.expect()).unwrap();
    assert_eq!(verified.issuer, idp.entity_id);
    assert_eq!(verified.name_id.format, names::EMAIL);
    assert_eq!(verified.session_index.as_deref(), Some("_s1"));
    assert_eq!(verified.in_response_to.as_deref(), Some(&*idp.request_id));
    assert_eq!(verified.acr.as_deref(), Some("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"));
    assert_eq!(verified.auth_instant, NOW);
    assert_eq!(verified.not_on_or_after.to_string(), at(300));
    assert_eq!(verified.observed_skew, 0);
    assert_eq!(verified.certificate_thumbprint, saml::thumbprint(&idp.key.certificate));
    assert_eq!(verified.attributes.named("groups"), ["staff", "board & friends"]);
    assert_eq!(verified.attributes.fact(Fact::Email), ["ada@own.example"]);
}

#[test]
fn the_skew_that_is_seen_is_told() {
    let idp = Idp::new();
    for seconds in [-100, 100] {
        let xml = idp.answer("ada").assertion(&at(0), &at(seconds)).response(&at(0), &at(seconds)).xml();
        assert_eq!(read(&xml, &idp.expect()).unwrap().observed_skew, seconds * 1000);
    }
}

#[test]
fn several_pinned_certificates_work_at_the_same_time() {
    let (old, new, other) = (Key::rsa(), Key::p256(), Key::rsa());
    let idp = Idp::with(old);
    let pinned = [new.certificate.clone(), other.certificate.clone(), idp.key.certificate.clone()];
    let expect = saml::Expect { certificates: &pinned, ..idp.expect() };
    for key in [&idp.key, &new, &other] {
        for mode in MODES {
            let xml = idp.answer("ada").mode(mode).signed_with(key, &Signing::with(key));
            let verified = read(&xml, &expect).unwrap();
            assert_eq!(verified.certificate_thumbprint, saml::thumbprint(&key.certificate));
        }
    }
}

#[test]
fn what_a_connection_asks_for_is_asked_for() {
    let idp = Idp::new().encrypting();
    let (r, a, e) = (
        Want { response_signed: true, ..Want::default() },
        Want { assertion_signed: true, ..Want::default() },
        Want { encrypted: true, ..Want::default() },
    );
    for mode in MODES {
        for encrypted in [false, true] {
            let mut answer = idp.answer("ada").mode(mode);
            answer.encryption = encrypted.then(Encryption::usual);
            let xml = answer.xml();
            let check = |want: Want, fits: bool, code: &'static str| {
                let expected = if fits { Ok("ada".to_owned()) } else { Err(code) };
                let expect = saml::Expect { want, ..idp.expect() };
                assert_eq!(verdict(&xml, &expect), expected, "{want:?} {mode:?} {encrypted}");
            };
            check(r, mode != Mode::Assertion, "saml_signature_missing");
            check(a, mode != Mode::Response, "saml_signature_missing");
            check(e, encrypted, "saml_decrypt");
        }
    }
}

#[test]
fn an_answer_can_be_looked_at_before_it_is_believed() {
    let idp = Idp::new();
    let peek = saml::peek(&posted(&idp.answer("ada").mode(Mode::None).xml())).unwrap();
    assert_eq!(peek.in_response_to.as_deref(), Some(&*idp.request_id));
    assert_eq!(peek.issuer.as_deref(), Some(&*idp.entity_id));
    assert_eq!(peek.destination.as_deref(), Some(&*idp.acs_url));
    for wrong in ["", "<a/>", "<!DOCTYPE a><a/>", "<a>"] {
        saml::peek(&posted(wrong)).unwrap_err();
    }
}

#[test]
fn no_check_shows_what_the_assertion_says_of_the_person() {
    let idp = Idp::new();
    let mut checks = Checks::new();
    saml::read(&posted(&idp.answer("secret@own.example").xml()), &idp.expect(), &mut checks).unwrap();
    let shown = format!("{:?}", checks.rows());
    assert!(!shown.contains("secret") && !shown.contains("staff"), "{shown}");
}

#[test]
fn a_context_and_an_age_that_were_asked_for_are_checked() {
    let idp = Idp::new();
    let xml = idp
        .answer("ada")
        .assertion(&format!(r#"AuthnInstant="{}""#, at(0)), &format!(r#"AuthnInstant="{}""#, at(-1000)))
        .xml();
    for (seconds, fits) in [(900, true), (800, false)] {
        let expect = saml::Expect { max_age: Some(std::time::Duration::from_secs(seconds)), ..idp.expect() };
        assert_eq!(verdict(&xml, &expect), if fits { Ok("ada".into()) } else { Err("saml_authn") });
    }
    for (asked, fits) in
        [("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", true), ("urn:other", false)]
    {
        let asked = ["urn:first".to_owned(), asked.to_owned()];
        let expect = saml::Expect { requested_acr: &asked, ..idp.expect() };
        assert_eq!(verdict(&xml, &expect), if fits { Ok("ada".into()) } else { Err("saml_authn") });
    }
    let xml = idp.answer("ada").assertion("<saml:AuthnStatement", "<saml:Advice/><saml:AuthnStatement").xml();
    assert_eq!(verdict(&xml, &idp.expect()), Ok("ada".into()));
}
