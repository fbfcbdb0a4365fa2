//! SAML-15 to SAML-19, SAML-21: who signed what, with what, and where that is written.

use std::io::Read as _;
use std::net::TcpListener;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::world::saml::{Idp, Key, MODES, Mode, Signing, cut, fresh, rename, sign, transform, verdict};
use authd::connection::saml::{self, Expect, names};

const NAME: &str = "ada@own.example";

/// Changes a message behind its signature, one place after the other. None of the changes may be believed.
#[test]
fn saml_15_what_lies_outside_the_signature_is_not_believed() {
    let idp = Idp::new();
    for mode in MODES {
        let xml = idp.answer(NAME).mode(mode).xml();
        let genuine = verdict(&xml, &idp.expect()).unwrap();
        let other = fresh("https://evil.example/");
        let changes = [
            (idp.entity_id.as_str(), other.as_str()),
            (NAME, "root@own.example"),
            (idp.acs_url.as_str(), other.as_str()),
            (idp.sp_entity_id.as_str(), other.as_str()),
            (idp.request_id.as_str(), "_other"),
            ("staff", "owner"),
            ("groups", "roles"),
            ("PasswordProtectedTransport", "Smartcard"),
            ("_s1", "_s2"),
            ("emailAddress", "persistent"),
        ];
        for (from, to) in changes {
            for (place, _) in xml.match_indices(from) {
                let text = format!("{}{to}{}", &xml[..place], &xml[place + from.len()..]);
                match crate::world::saml::read(&text, &idp.expect()) {
                    Err(_) => {}
                    // Only what is neither signed nor looked at may differ, and then nothing else does.
                    Ok(verified) => {
                        assert_eq!(verified.name_id.value, genuine, "{mode:?} {from}");
                        assert_eq!(verified.attributes.named("groups"), ["staff", "board & friends"]);
                        panic!("{mode:?}: {from} was changed at {place} and nobody minded");
                    }
                }
            }
        }
    }
}

#[test]
fn saml_15_attributes_added_behind_the_signature() {
    let idp = Idp::new();
    for mode in MODES {
        let answer = idp.answer(NAME).mode(mode);
        let more = rename(
            "<saml:Attribute Name=\"groups\"><saml:AttributeValue>owner</saml:AttributeValue></saml:Attribute>",
            &answer.prefixes,
        );
        let xml = answer.xml();
        let statement = cut(&xml, "AttributeStatement");
        let end = statement.rfind("</").unwrap();
        let text = xml.replace(&statement, &format!("{}{more}{}", &statement[..end], &statement[end..]));
        assert_eq!(verdict(&text, &idp.expect()), Err("saml_signature_invalid"), "{mode:?}");
    }
}

/// {Response, Assertion} × {good, bad, none}.
#[test]
fn saml_16_every_pair_of_signatures() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Is {
        Good,
        Bad,
        None,
    }
    let idp = Idp::new();
    let stranger = Key::rsa();
    for response in [Is::Good, Is::Bad, Is::None] {
        for assertion in [Is::Good, Is::Bad, Is::None] {
            // Bad: by another key, over other bytes, or with another value.
            for way in 0..3 {
                let answer = idp.answer(NAME).mode(Mode::None);
                let prefixes = &answer.prefixes;
                let put = |xml: String, id: &str, is: Is| {
                    let bad = match way {
                        0 => Signing { digest_value: Some(STANDARD.encode([7; 32])), ..Signing::with(&idp.key) },
                        _ => Signing::with(&idp.key),
                    };
                    match is {
                        Is::None => xml,
                        Is::Good => sign(&xml, id, &idp.key, &Signing::with(&idp.key), prefixes),
                        Is::Bad if way == 1 => sign(&xml, id, &stranger, &bad, prefixes),
                        Is::Bad if way == 2 => {
                            let signed = sign(&xml, id, &idp.key, &bad, prefixes);
                            let value = cut(&signed, "SignatureValue");
                            let text = &value[value.find('>').unwrap() + 1..value.rfind("</").unwrap()];
                            let mut bytes = STANDARD.decode(text).unwrap();
                            bytes[9] ^= 1;
                            signed.replacen(text, &STANDARD.encode(bytes), 1)
                        }
                        Is::Bad => sign(&xml, id, &idp.key, &bad, prefixes),
                    }
                };
                let xml = put(answer.xml(), &answer.assertion_id, assertion);
                let xml = put(xml, &answer.response_id, response);
                let expected = match (response, assertion) {
                    (Is::None, Is::None) => Err("saml_signature_missing"),
                    (Is::Bad, _) | (_, Is::Bad) => Err("saml_signature_invalid"),
                    _ => Ok(NAME.to_owned()),
                };
                assert_eq!(verdict(&xml, &idp.expect()), expected, "{response:?} {assertion:?} {way}");
            }
        }
    }
}

#[test]
fn saml_16_a_signature_that_was_cut_out_or_put_elsewhere() {
    let idp = Idp::new();
    for mode in MODES {
        let xml = idp.answer(NAME).mode(mode).xml();
        let mut bare = xml.clone();
        while bare.contains("SignedInfo") {
            bare = bare.replacen(&cut(&bare, "Signature"), "", 1);
        }
        assert_eq!(verdict(&bare, &idp.expect()), Err("saml_signature_missing"), "{mode:?}");
        let signature = cut(&xml, "Signature");
        for place in ["Subject", "Conditions", "Status", "AttributeStatement"] {
            let there = cut(&bare, place);
            let end = there.rfind("</").unwrap();
            let moved = bare.replacen(&there, &format!("{}{signature}{}", &there[..end], &there[end..]), 1);
            assert_eq!(verdict(&moved, &idp.expect()), Err("saml_structure"), "{mode:?} {place}");
        }
    }
    // The signature of one assertion on another one of the same provider.
    let (one, two) = (idp.answer(NAME), idp.answer("other@own.example"));
    let two = Signing { uri: Some(format!("#{}", two.assertion_id)), ..Signing::with(&idp.key) };
    assert_eq!(verdict(&one.signed_with(&idp.key, &two), &idp.expect()), Err("saml_structure"));
}

#[test]
fn saml_17_without_a_certificate_nothing_is_accepted() {
    let idp = Idp::new();
    for mode in [Mode::Response, Mode::Assertion, Mode::Both, Mode::None] {
        let xml = idp.answer(NAME).mode(mode).xml();
        let expect = Expect { certificates: &[], ..idp.expect() };
        assert_eq!(verdict(&xml, &expect), Err("saml_signature_missing"), "{mode:?}");
        for nonsense in [vec![], vec![0x30], b"nonsense".to_vec()] {
            let certificates = [nonsense];
            let expect = Expect { certificates: &certificates, ..idp.expect() };
            verdict(&xml, &expect).unwrap_err();
        }
    }
}

#[test]
fn saml_18_a_key_that_came_with_the_message() {
    let idp = Idp::new();
    let stranger = Key::rsa();
    let certificate = STANDARD.encode(&stranger.certificate);
    let pinned = STANDARD.encode(&idp.key.certificate);
    for key_info in [
        String::new(),
        // The certificate has the same subject as the pinned one.
        format!("<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>"),
        format!("<ds:X509Data><ds:X509Certificate>{pinned}</ds:X509Certificate></ds:X509Data>"),
        format!(
            "<ds:X509Data><ds:X509Certificate>{pinned}</ds:X509Certificate><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>"
        ),
        "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>".into(),
        "<ds:KeyName>idp</ds:KeyName>".into(),
    ] {
        for mode in MODES {
            let how = Signing { key_info: key_info.clone(), ..Signing::with(&stranger) };
            let xml = idp.answer(NAME).mode(mode).signed_with(&stranger, &how);
            assert_eq!(verdict(&xml, &idp.expect()), Err("saml_signature_invalid"), "{mode:?} {key_info}");
            // The same words around the pinned key's own signature do no harm.
            let xml = idp.answer(NAME).mode(mode).signed_with(&idp.key, &how);
            assert_eq!(verdict(&xml, &idp.expect()), Ok(NAME.into()), "{mode:?} {key_info}");
        }
    }
}

#[test]
fn saml_19_weak_algorithms() {
    let idp = Idp::new();
    let dsig = "http://www.w3.org/2000/09/xmldsig#";
    let more = "http://www.w3.org/2001/04/xmldsig-more#";
    for algorithm in [
        format!("{dsig}rsa-sha1"),
        format!("{more}rsa-md5"),
        format!("{dsig}hmac-sha1"),
        format!("{more}hmac-sha256"),
        format!("{dsig}dsa-sha1"),
        "http://www.w3.org/2009/xmldsig11#dsa-sha256".into(),
        format!("{more}ecdsa-sha1"),
        format!("{more}rsa-sha224"),
        format!("{more}rsa-ripemd160"),
        format!("{} ", names::RSA_SHA256),
        names::RSA_SHA256.to_uppercase(),
        String::new(),
    ] {
        for mode in MODES {
            let how = Signing { algorithm: Some(algorithm.clone()), ..Signing::with(&idp.key) };
            let xml = idp.answer(NAME).mode(mode).signed_with(&idp.key, &how);
            assert_eq!(verdict(&xml, &idp.expect()), Err("saml_algorithm"), "{mode:?} {algorithm}");
        }
    }
    for digest in [names::SHA1, "http://www.w3.org/2001/04/xmldsig-more#md5", ""] {
        for mode in MODES {
            let how = Signing { digest: digest.into(), ..Signing::with(&idp.key) };
            let xml = idp.answer(NAME).mode(mode).signed_with(&idp.key, &how);
            assert_eq!(verdict(&xml, &idp.expect()), Err("saml_algorithm"), "{mode:?} {digest}");
        }
    }
    for c14n in [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "http://www.w3.org/2006/12/xml-c14n11",
        "",
    ] {
        let how = Signing { canonicalization: c14n.into(), ..Signing::with(&idp.key) };
        assert_eq!(verdict(&idp.answer(NAME).signed_with(&idp.key, &how), &idp.expect()), Err("saml_algorithm"));
    }
}

#[test]
fn saml_19_a_mac_with_the_public_key() {
    let idp = Idp::new();
    let algorithm = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";
    let how = Signing { algorithm: Some(algorithm.into()), ..Signing::with(&idp.key) };
    let answer = idp.answer(NAME);
    let xml = answer.signed_with(&idp.key, &how);
    // What stands between: the canonical form of SignedInfo has the declaration of the prefix.
    let info = cut(&xml, "SignedInfo");
    let tag = info.find("SignedInfo").unwrap() + "SignedInfo".len();
    let prefix = info[1..tag].split_once(':').map(|(prefix, _)| format!(":{prefix}")).unwrap_or_default();
    let canonical = format!("{} xmlns{prefix}=\"{}\"{}", &info[..tag], names::DSIG, &info[tag..]);
    let value = cut(&xml, "SignatureValue");
    let text = value[value.find('>').unwrap() + 1..value.rfind("</").unwrap()].to_owned();
    for key in [&idp.key.certificate[..], STANDARD.encode(&idp.key.certificate).as_bytes()] {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), canonical.as_bytes());
        let forged = xml.replacen(&text, &STANDARD.encode(mac.as_ref()), 1);
        assert_eq!(verdict(&forged, &idp.expect()), Err("saml_algorithm"));
    }
}

#[test]
fn saml_19_a_pinned_key_that_is_too_weak() {
    let idp = Idp::new();
    let weak = crate::world::saml::weak_certificate();
    let read = saml::Certificate::read(&weak).unwrap();
    assert!(!read.usable, "{}", read.key);
    let xml = idp.answer(NAME).xml();
    let certificates = [weak.clone()];
    assert_eq!(verdict(&xml, &Expect { certificates: &certificates, ..idp.expect() }), Err("saml_algorithm"));
    // Beside a good one it does no harm, and is of no use.
    let certificates = [weak, idp.key.certificate.clone()];
    assert_eq!(verdict(&xml, &Expect { certificates: &certificates, ..idp.expect() }), Ok(NAME.into()));
}

#[test]
fn saml_21_references_that_would_have_to_be_followed() {
    let idp = Idp::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let http = format!("http://127.0.0.1:{port}/x");
    for mode in MODES {
        let id = |answer: &crate::world::saml::Answer<'_>| match mode {
            Mode::Response => answer.response_id.clone(),
            _ => answer.assertion_id.clone(),
        };
        for uri in [
            "".to_owned(),
            http.clone(),
            "file:///dev/zero".into(),
            "file:///etc/passwd".into(),
            "/etc/passwd".into(),
            "Cargo.toml".into(),
            "cid:x".into(),
            "#".into(),
            "#xpointer(/)".into(),
            "#xpointer(id('{id}'))".into(),
            "{id}".into(),
            " #{id}".into(),
            "{http}#{id}".into(),
            "#{id}(".into(),
        ] {
            let answer = idp.answer(NAME).mode(mode);
            let uri = uri.replace("{id}", &id(&answer)).replace("{http}", &http);
            let how = Signing { uri: Some(uri.clone()), ..Signing::with(&idp.key) };
            let xml = answer.signed_with(&idp.key, &how);
            assert_eq!(verdict(&xml, &idp.expect()), Err("saml_reference"), "{mode:?} {uri}");
        }
    }
    let mut byte = [0];
    assert!(listener.accept().map(|(mut stream, _)| stream.read(&mut byte)).is_err(), "nothing is fetched");
}

#[test]
fn saml_21_transforms_that_compute() {
    let idp = Idp::new();
    let templates: String = (1..=24)
        .map(|n| {
            let call = format!(r#"<xsl:call-template name="t{}"/>"#, n - 1);
            format!(r#"<xsl:template name="t{n}">{call}{call}</xsl:template>"#)
        })
        .collect();
    let xslt = format!(
        r#"<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"><xsl:template match="/"><xsl:call-template name="t24"/></xsl:template><xsl:template name="t0">x</xsl:template>{templates}</xsl:stylesheet>"#
    );
    let xpath = format!("<ds:XPath>{}</ds:XPath>", "count(//*) = ".repeat(50) + "1");
    let (enveloped, c14n) = (transform(names::ENVELOPED, ""), transform(names::EXC_C14N, ""));
    let many = transform("http://www.w3.org/TR/1999/REC-xslt-19991116", &xslt);
    let lists: Vec<Vec<String>> = vec![
        vec![enveloped.clone(), many.clone()],
        vec![many.clone(), enveloped.clone()],
        vec![enveloped.clone(), c14n.clone(), many],
        vec![enveloped.clone(), transform("http://www.w3.org/TR/1999/REC-xpath-19991116", &xpath)],
        vec![enveloped.clone(), transform("http://www.w3.org/2002/06/xmldsig-filter2", &xpath)],
        vec![enveloped.clone(), transform("http://www.w3.org/2000/09/xmldsig#base64", "")],
        vec![enveloped.clone(), transform("http://www.w3.org/2001/10/xml-exc-c14n#WithComments", "")],
        vec![enveloped.clone(), transform("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "")],
        vec![c14n.clone(), enveloped.clone()],
        vec![enveloped.clone(), enveloped.clone()],
        vec![c14n.clone()],
        vec![enveloped.clone()],
        vec![],
        vec![enveloped.clone(), c14n.clone(), c14n.clone()],
        vec![transform(names::ENVELOPED, "<x/>"), c14n],
    ];
    for transforms in lists {
        for mode in MODES {
            let how = Signing { transforms: transforms.clone(), ..Signing::with(&idp.key) };
            let xml = idp.answer(NAME).mode(mode).signed_with(&idp.key, &how);
            let before = crate::world::saml::used();
            let refused = verdict(&xml, &idp.expect());
            let cost = crate::world::saml::used() - before;
            assert_eq!(refused, Err("saml_reference"), "{mode:?} {transforms:?}");
            assert!(cost.as_millis() < 50, "{cost:?}");
        }
    }
}

#[test]
fn saml_21_key_infos_that_would_have_to_be_followed() {
    let idp = Idp::new();
    for key_info in [
        r##"<ds:RetrievalMethod URI="file:///dev/zero"/>"##,
        r##"<ds:RetrievalMethod URI="#_x"/>"##,
        r##"<dsig11:KeyInfoReference xmlns:dsig11="http://www.w3.org/2009/xmldsig11#" URI="#_x"/>"##,
        r##"<x:KeyValue xmlns:x="urn:x"/>"##,
    ] {
        for mode in MODES {
            let how = Signing { key_info: key_info.into(), ..Signing::with(&idp.key) };
            let xml = idp.answer(NAME).mode(mode).signed_with(&idp.key, &how);
            assert_eq!(verdict(&xml, &idp.expect()), Err("saml_reference"), "{mode:?} {key_info}");
        }
    }
}

#[test]
fn inclusive_prefixes_are_understood() {
    let idp = Idp::new();
    let list = r#"<ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="PREFIXES"></ec:InclusiveNamespaces>"#;
    for (prefixes, expected) in [("unknown", Ok(NAME.to_owned())), (&"x ".repeat(17), Err("saml_structure"))] {
        let c14n = transform(names::EXC_C14N, &list.replace("PREFIXES", prefixes));
        let how = Signing { transforms: vec![transform(names::ENVELOPED, ""), c14n], ..Signing::with(&idp.key) };
        for mode in MODES {
            let xml = idp.answer(NAME).mode(mode).signed_with(&idp.key, &how);
            assert_eq!(verdict(&xml, &idp.expect()), expected, "{mode:?}");
        }
    }
}
