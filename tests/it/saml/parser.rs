//! SAML-10 to SAML-14, SAML-20: two readers that see different things in one text. Here there is one, and it refuses
//! what another could see differently.

use std::io::Read as _;
use std::net::TcpListener;

use crate::world::saml::{Idp, MODES, Mode, Signing, cut, sum, verdict};
use authd::connection::protocol::Checks;
use authd::connection::saml::{self, names};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const NAME: &str = "admin@own.example.evil.example";

#[test]
fn saml_10_a_remark_inside_a_name() {
    let idp = Idp::new();
    for mode in MODES {
        for remark in ["<!---->", "<!-- x -->", "<?x y?>", "<?x?>", "<![CDATA[]]>", "<![CDATA[x]]>"] {
            // After it was signed, as an attacker would, and before, as a careless provider might.
            let cut = format!("admin@own.example{remark}.evil.example");
            let after = idp.answer(NAME).mode(mode).xml().replace(NAME, &cut);
            let before = idp.answer(NAME).mode(mode).assertion(NAME, &cut).xml();
            for xml in [after, before] {
                assert_eq!(verdict(&xml, &idp.expect()), Err("saml_structure"), "{mode:?} {remark}");
            }
        }
    }
}

#[test]
fn saml_10_a_remark_anywhere_else() {
    let idp = Idp::new();
    let xml = idp.answer(NAME).xml();
    for (place, _) in xml.match_indices('>') {
        let remarked = format!("{}<!-- -->{}", &xml[..=place], &xml[place + 1..]);
        assert_eq!(verdict(&remarked, &idp.expect()), Err("saml_structure"), "{remarked}");
    }
}

#[test]
fn saml_11_what_parsers_disagree_about() {
    let idp = Idp::new();
    for mode in MODES {
        let xml = idp.answer(NAME).mode(mode).xml();
        let open = xml.find('>').unwrap();
        let on_root = |more: &str| format!("{} {more}{}", &xml[..open], &xml[open..]);
        let declared = |encoding: &str| format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>{xml}");
        for text in [
            on_root(r#"xmlns:xml="urn:evil""#),
            on_root(r#"xmlns:xmlns="urn:evil""#),
            on_root(r#"xmlns:x="http://www.w3.org/XML/1998/namespace""#),
            on_root(r#"xmlns:x="http://www.w3.org/2000/xmlns/""#),
            on_root(r#"xmlns:a1="urn:a" xmlns:a2="urn:a" a1:b="1" a2:b="2""#),
            on_root(r#"Destination="https://evil.example""#),
            on_root("x='1' x='2'"),
            on_root("y:x='1'"),
            on_root("x=1"),
            on_root("x"),
            declared("UTF-16"),
            declared("UTF-7"),
            declared("ISO-8859-1"),
            format!("\u{feff}{xml}"),
            format!("{xml}\0"),
            xml.replace(NAME, "admin\0"),
            xml.replace(NAME, "admin&#0;"),
            xml.replace(NAME, "admin&evil;"),
            xml.replace(NAME, "admin\u{1}"),
            xml.replace(NAME, "admin\u{ffff}"),
            format!("{xml}{xml}"),
            format!("{xml}<x/>"),
            format!("{xml}x"),
            format!("x{xml}"),
            xml[..xml.len() - 1].to_owned(),
            xml[..xml.rfind("</").unwrap()].to_owned(),
            xml.to_uppercase(),
        ] {
            let refused = verdict(&text, &idp.expect());
            assert_eq!(refused, Err("saml_structure"), "{mode:?}: {text:?}");
        }
        let utf16: Vec<u8> = xml.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf7 = xml.replace('<', "+ADw-");
        for bytes in [utf16, utf7.into_bytes()] {
            let error = saml::read(&STANDARD.encode(bytes), &idp.expect(), &mut Checks::new()).unwrap_err();
            assert_eq!(error.code(), "saml_structure");
        }
    }
}

#[test]
fn saml_11_saml_20_a_document_type() {
    let idp = Idp::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let laughs: String =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect::<String>();
    for mode in MODES {
        let xml = idp.answer(NAME).mode(mode).xml();
        for (inside, used) in [
            (String::new(), ""),
            ("SYSTEM \"file:///etc/passwd\"".into(), ""),
            (format!("SYSTEM \"http://127.0.0.1:{port}/x.dtd\""), ""),
            ("[<!ENTITY x SYSTEM \"file:///etc/passwd\">]".into(), "&x;"),
            (format!("[<!ENTITY x SYSTEM \"http://127.0.0.1:{port}/x\">]"), "&x;"),
            (format!("[<!ENTITY % x SYSTEM \"http://127.0.0.1:{port}/x\"> %x;]"), ""),
            (format!("[<!ENTITY l0 \"ha\">{laughs}]"), "&l9;"),
            ("[<!ATTLIST Assertion ID ID #IMPLIED>]".into(), ""),
            ("[<!ENTITY NAME \"root\">]".into(), "&NAME;"),
        ] {
            for doctype in ["DOCTYPE", "doctype"] {
                let used = if used.is_empty() { NAME } else { used };
                let text = format!("<!{doctype} x {inside}>{}", xml.replace(NAME, used));
                for text in [format!("<?xml version=\"1.0\"?>\n{text}"), text] {
                    assert_eq!(verdict(&text, &idp.expect()), Err("saml_doctype"), "{text}");
                }
            }
        }
    }
    let mut byte = [0];
    let came = listener.accept().map(|(mut stream, _)| stream.read(&mut byte));
    assert!(came.is_err(), "nothing is fetched");
}

#[test]
fn saml_12_a_second_signed_info() {
    let idp = Idp::new();
    for mode in MODES {
        let xml = idp.answer(NAME).mode(mode).xml();
        let info = cut(&xml, "SignedInfo");
        for twice in [format!("{info}{info}"), format!("{}{info}", info.replace("#_", "#_x"))] {
            let text = xml.replacen(&info, &twice, 1);
            assert_eq!(verdict(&text, &idp.expect()), Err("saml_structure"), "{mode:?}");
        }
        // In the place of the value, and beside the whole signature.
        let value = cut(&xml, "SignatureValue");
        assert_eq!(verdict(&xml.replacen(&value, &format!("{info}{value}"), 1), &idp.expect()), Err("saml_structure"));
        let signature = cut(&xml, "Signature");
        let twice = xml.replacen(&signature, &format!("{signature}{signature}"), 1);
        assert_eq!(verdict(&twice, &idp.expect()), Err("saml_structure"));
    }
}

#[test]
fn saml_12_a_remark_inside_a_sum_or_signature() {
    let idp = Idp::new();
    for mode in MODES {
        let xml = idp.answer(NAME).mode(mode).xml();
        for name in ["DigestValue", "SignatureValue"] {
            let whole = cut(&xml, name);
            let start = whole.find('>').unwrap() + 1;
            for remark in ["<!--AAAA-->", "<?AAAA?>", "<![CDATA[]]>"] {
                let remarked = format!("{}{remark}{}", &whole[..start], &whole[start..]);
                assert_eq!(verdict(&xml.replacen(&whole, &remarked, 1), &idp.expect()), Err("saml_structure"));
            }
            // An element in it hides the rest from whoever reads the first text only.
            let element = format!("{}<x/>{}", &whole[..start], &whole[start..]);
            verdict(&xml.replacen(&whole, &element, 1), &idp.expect()).unwrap_err();
        }
    }
}

#[test]
fn saml_13_a_canonical_form_of_nothing() {
    let idp = Idp::new();
    let relative = [r#"xmlns:v="1""#, r#"xmlns:v="a/b""#, r#"xmlns:v="%""#, ""];
    for (algorithm, nothing) in
        [names::SHA256, names::SHA384, names::SHA512].map(|algorithm| (algorithm, STANDARD.encode(sum(algorithm, b""))))
    {
        for mode in MODES {
            for space in relative {
                // Signed by the real key over the sum of nothing.
                let how = Signing {
                    digest: algorithm.into(),
                    digest_value: Some(nothing.clone()),
                    ..Signing::with(&idp.key)
                };
                let answer = idp.answer(NAME).mode(mode);
                let answer = answer.response("Version=\"2.0\"", &format!("Version=\"2.0\" {space}"));
                let answer = answer.assertion("Version=\"2.0\"", &format!("Version=\"2.0\" {space}"));
                let xml = answer.signed_with(&idp.key, &how);
                assert_eq!(verdict(&xml, &idp.expect()), Err("saml_signature_invalid"), "{mode:?} {space}");
            }
        }
    }
    for mode in MODES {
        let how = Signing { digest_value: Some(String::new()), ..Signing::with(&idp.key) };
        let xml = idp.answer(NAME).mode(mode).signed_with(&idp.key, &how);
        assert_eq!(verdict(&xml, &idp.expect()), Err("saml_signature_invalid"), "a sum without bytes");
    }
}

#[test]
fn saml_13_a_namespace_without_a_canonical_form() {
    let idp = Idp::new();
    for space in ["1", "a/b", "//host/x", "%", "?x", "http://a b", "1:x", ":x", "ü:x", "urn:ü"] {
        for mode in MODES {
            // It is used nowhere, so the sum of the rest is the true one.
            let declared = format!("xmlns:v=\"{space}\" Version=");
            let inside = idp.answer(NAME).mode(mode).assertion("Version=", &declared);
            let outside = idp.answer(NAME).mode(mode).response("Version=", &declared);
            for answer in [inside, outside] {
                assert_eq!(verdict(&answer.xml(), &idp.expect()), Err("saml_signature_invalid"), "{mode:?} {space}");
            }
        }
    }
    let declared = "xmlns:v=\"urn:x\" xmlns:w=\"http://example.com/#a\" xmlns:z=\"X-y+1.2:\" Version=";
    let xml = idp.answer(NAME).assertion("Version=", declared).xml();
    assert_eq!(verdict(&xml, &idp.expect()), Ok(NAME.into()));
}

#[test]
fn saml_14_one_element_with_two_names() {
    let idp = Idp::new();
    for mode in MODES {
        let xml = idp.answer(NAME).mode(mode).xml();
        for more in [
            r#"xml:id="_other""#,
            r#"Id="_other""#,
            r#"id="_other""#,
            r#"iD="_other""#,
            r#"AssertionID="_other""#,
            r#"xmlns:x="urn:x" x:ID="_other""#,
            r#"xmlns:x="urn:x" x:Id="_other""#,
        ] {
            // On the signed element, and on another one that an ID could then name as well.
            for place in [" Version=", " Format=", " Method=", " NotBefore=", " SessionIndex="] {
                let text = xml.replacen(place, &format!(" {more}{place}"), 1);
                let refused = verdict(&text, &idp.expect());
                let plain = more.starts_with(['I', 'i', 'A']) && place != " Version=";
                // A plain ID of its own on another element names nothing twice; but it was not signed there.
                let expected = if plain { None } else { Some("saml_structure") };
                match expected {
                    Some(code) => assert_eq!(refused, Err(code), "{more} {place}"),
                    None => assert!(refused.is_err(), "{more} {place}"),
                }
            }
        }
    }
}

#[test]
fn saml_14_one_name_for_two_elements() {
    let idp = Idp::new();
    for mode in MODES {
        for attribute in ["ID", "Id", "id", "xml:id", "AssertionID"] {
            let answer = idp.answer(NAME).mode(mode);
            let named = if mode == Mode::Response { answer.response_id.clone() } else { answer.assertion_id.clone() };
            // Before it is signed, so that the signature holds.
            let answer =
                answer.assertion("<saml:AuthnContext>", &format!("<saml:AuthnContext {attribute}=\"{named}\">"));
            assert_eq!(verdict(&answer.xml(), &idp.expect()), Err("saml_structure"), "{mode:?} {attribute}");
        }
    }
}

#[test]
fn an_id_that_is_none_is_refused() {
    let idp = Idp::new();
    for wrong in ["", " ", "a b", "a:b", "xpointer(/)", "a&apos;b", "#a", &"x".repeat(257)] {
        for mode in [Mode::Response, Mode::Assertion] {
            let mut answer = idp.answer(NAME).mode(mode);
            // The other one of the two elements, so that the signature holds.
            let (text, id) = match mode {
                Mode::Response => (&mut answer.assertion, &answer.assertion_id),
                _ => (&mut answer.response, &answer.response_id),
            };
            *text = text.replace(id.as_str(), wrong);
            assert_eq!(verdict(&answer.xml(), &idp.expect()), Err("saml_structure"), "{mode:?} {wrong}");
        }
    }
}
