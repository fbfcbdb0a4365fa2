//! SAML-34: logout messages, read and written, by both bindings.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded::byte_serialize;

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, LogoutExpect, LogoutMessage, NameId, names};
use authd::env::Env;

use crate::world::saml::{Idp, Key, NOW, Prefixes, Signing, at, fresh, posted, rename, sign};

const SLO: &str = "https://sp.example/saml/slo";

fn expect(idp: &Idp) -> LogoutExpect<'_> {
    let Idp { entity_id, .. } = idp;
    LogoutExpect {
        idp_entity_id: entity_id,
        certificates: idp.expect().certificates,
        slo_url: SLO,
        now: NOW,
        skew: std::time::Duration::from_secs(120),
        algorithms: &[],
        request_id: None,
    }
}

/// A request of the provider: its text and its ID.
fn request(idp: &Idp) -> (String, String) {
    let id = fresh("_l");
    let xml = format!(
        r#"<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{}" Destination="{SLO}" NotOnOrAfter="{}"><saml:Issuer>{}</saml:Issuer><saml:NameID>ada</saml:NameID><samlp:SessionIndex>_s1</samlp:SessionIndex></samlp:LogoutRequest>"#,
        at(0),
        at(300),
        idp.entity_id,
    );
    (xml, id)
}

fn response(idp: &Idp, answered: &str) -> (String, String) {
    let id = fresh("_l");
    let xml = format!(
        r#"<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{}" Destination="{SLO}" InResponseTo="{answered}"><saml:Issuer>{}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:LogoutResponse>"#,
        at(0),
        idp.entity_id,
    );
    (xml, id)
}

pub(super) fn signed(text: &(String, String), key: &Key) -> String {
    let prefixes = Prefixes::random();
    sign(&rename(&text.0, &prefixes), &text.1, key, &Signing::with(key), &prefixes)
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// A query as a provider writes it; percent signs in lower case now and then.
pub(super) fn query(xml: &str, parameter: &str, key: &Key, relay: Option<&str>, lower: bool) -> String {
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(xml.as_bytes()).unwrap();
    let case = |text: String| {
        if !lower {
            return text;
        }
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            out.push('%');
            out.push_str(&after[..2].to_lowercase());
            rest = &after[2..];
        }
        out + rest
    };
    let mut query = format!("{parameter}={}", case(encoded(&STANDARD.encode(packed.finish().unwrap()))));
    if let Some(relay) = relay {
        query.push_str(&format!("&RelayState={}", case(encoded(relay))));
    }
    query.push_str(&format!("&SigAlg={}", case(encoded(key.algorithm()))));
    let signature = STANDARD.encode(key.sign(key.algorithm(), query.as_bytes()));
    format!("{query}&Signature={}", case(encoded(&signature)))
}

fn post(xml: &str, expect: &LogoutExpect<'_>) -> Result<LogoutMessage, &'static str> {
    saml::read_post(&posted(xml), expect, &mut Checks::new()).map_err(|error| error.code())
}

fn redirect(query: &str, expect: &LogoutExpect<'_>) -> Result<LogoutMessage, &'static str> {
    saml::read_redirect(query, expect, &mut Checks::new()).map_err(|error| error.code())
}

#[test]
fn a_signed_request_is_read_by_either_binding() {
    for key in [Key::rsa(), Key::p256()] {
        let idp = Idp::with(key);
        let check = |message: LogoutMessage, id: &str| {
            let LogoutMessage::Request(read) = message else { panic!("no request") };
            assert_eq!((read.id.as_str(), read.name_id.value.as_str()), (id, "ada"));
            assert_eq!(read.session_indexes, ["_s1"]);
            assert_eq!(read.not_on_or_after.to_string(), at(300));
            assert_eq!(read.certificate_thumbprint, saml::thumbprint(&idp.key.certificate));
        };
        let text = request(&idp);
        check(post(&signed(&text, &idp.key), &expect(&idp)).unwrap(), &text.1);
        for relay in [None, Some("a b&c=d"), Some("")] {
            for lower in [false, true] {
                let query = query(&text.0, "SAMLRequest", &idp.key, relay, lower);
                check(redirect(&query, &expect(&idp)).unwrap(), &text.1);
                check(redirect(&format!("other=1&{query}&more"), &expect(&idp)).unwrap(), &text.1);
                // In any order: what is signed has its own.
                let mut parts: Vec<&str> = query.split('&').collect();
                parts.reverse();
                check(redirect(&parts.join("&"), &expect(&idp)).unwrap(), &text.1);
            }
        }
    }
}

#[test]
fn an_answer_is_one_to_our_request() {
    let idp = Idp::new();
    let ours = fresh("_o");
    let asked = LogoutExpect { request_id: Some(&ours), ..expect(&idp) };
    let text = response(&idp, &ours);
    let LogoutMessage::Response(read) = post(&signed(&text, &idp.key), &asked).unwrap() else { panic!() };
    assert!(read.success && read.in_response_to == ours);
    let query = query(&text.0, "SAMLResponse", &idp.key, None, false);
    redirect(&query, &asked).unwrap();
    assert_eq!(redirect(&query, &expect(&idp)), Err("saml_in_response_to"), "nobody asked");
    let other = LogoutExpect { request_id: Some("_other"), ..asked };
    assert_eq!(redirect(&query, &other), Err("saml_in_response_to"));
    let partial = text.0.replace(
        "status:Success\"/>",
        "status:Success\"><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:PartialLogout\"/></samlp:StatusCode>",
    );
    let LogoutMessage::Response(read) = post(&signed(&(partial, text.1.clone()), &idp.key), &asked).unwrap() else {
        panic!()
    };
    assert!(!read.success && read.status.ends_with("PartialLogout"));
}

#[test]
fn saml_34_unsigned_or_signed_by_somebody_else() {
    let idp = Idp::new();
    let stranger = Key::rsa();
    for text in [request(&idp), response(&idp, "_o")] {
        let parameter = if text.0.contains("LogoutRequest") { "SAMLRequest" } else { "SAMLResponse" };
        let asked = LogoutExpect { request_id: Some("_o"), ..expect(&idp) };
        let (read_post, read_redirect) =
            (|xml: &str| post(xml, &asked).map(drop), |query: &str| redirect(query, &asked).map(drop));
        assert_eq!(read_post(&text.0), Err("saml_signature_missing"));
        assert_eq!(read_post(&signed(&text, &stranger)), Err("saml_signature_invalid"));
        let forged = signed(&text, &idp.key).replace(">ada<", ">eve<").replace("\"_o\"", "\"_p\"");
        assert_eq!(read_post(&forged), Err("saml_signature_invalid"), "{forged}");

        let whole = query(&text.0, parameter, &idp.key, Some("state"), false);
        assert_eq!(read_redirect(&whole), Ok(()));
        let (bare, _) = whole.split_once("&SigAlg").unwrap();
        assert_eq!(read_redirect(bare), Err("saml_signature_missing"));
        let (unsigned, _) = whole.split_once("&Signature").unwrap();
        assert_eq!(read_redirect(unsigned), Err("saml_signature_missing"));
        assert_eq!(read_redirect(&format!("{unsigned}&Signature=")), Err("saml_signature_invalid"));
        assert_eq!(read_redirect(&query(&text.0, parameter, &stranger, None, false)), Err("saml_signature_invalid"));
        assert_eq!(
            read_redirect(&whole.replace("RelayState=state", "RelayState=other")),
            Err("saml_signature_invalid")
        );
        assert_eq!(read_redirect(&whole.replace("&RelayState=state", "")), Err("saml_signature_invalid"));
        // The same bytes when decoded, but not the ones that were signed.
        assert_eq!(
            read_redirect(&whole.replace("RelayState=state", "RelayState=%73tate")),
            Err("saml_signature_invalid")
        );
        for (from, to) in [("rsa-sha256", "rsa-sha1"), ("rsa-sha256", "hmac-sha256"), ("rsa-sha256", "rsa-md5")] {
            assert_eq!(read_redirect(&whole.replace(from, to)), Err("saml_algorithm"), "{to}");
        }
        for twice in ["SigAlg=x", "Signature=x", "RelayState=x", &format!("{parameter}=x")] {
            assert_eq!(read_redirect(&format!("{whole}&{twice}")), Err("saml_structure"), "{twice}");
        }
        assert_eq!(read_redirect(&format!("{whole}&SAMLRequest=x&SAMLResponse=x")), Err("saml_structure"));
        let none = LogoutExpect { certificates: &[], ..asked };
        assert_eq!(redirect(&whole, &none).map(drop), Err("saml_signature_missing"));
        assert_eq!(post(&signed(&text, &idp.key), &none).map(drop), Err("saml_signature_missing"));
    }
    assert_eq!(redirect("", &expect(&idp)), Err("saml_structure"));
    // A request where an answer belongs.
    let text = request(&idp);
    let swapped = query(&text.0, "SAMLResponse", &idp.key, None, false);
    assert_eq!(redirect(&swapped, &expect(&idp)), Err("saml_structure"));
}

#[test]
fn saml_34_for_somebody_else_or_another_time() {
    let idp = Idp::new();
    for (from, to, code) in [
        (idp.entity_id.clone(), "https://other.example".to_owned(), "saml_issuer"),
        (SLO.to_owned(), "https://other.example/slo".to_owned(), "saml_destination"),
        (format!(" Destination=\"{SLO}\""), String::new(), "saml_destination"),
        (at(0), at(121), "saml_not_yet_valid"),
        (at(0), at(-721), "saml_expired"),
        (at(300), at(-121), "saml_expired"),
        ("2.0\" Issue".to_owned(), "1.1\" Issue".to_owned(), "saml_structure"),
        ("<saml:NameID>ada</saml:NameID>".to_owned(), String::new(), "saml_nameid"),
        ("<saml:NameID>ada".to_owned(), "<saml:NameID>".to_owned(), "saml_nameid"),
        ("_s1".to_owned(), String::new(), "saml_structure"),
        ("</samlp:SessionIndex>".to_owned(), "</samlp:SessionIndex><!-- -->".to_owned(), "saml_structure"),
        ("<saml:NameID>".to_owned(), "<saml:Assertion/><saml:NameID>".to_owned(), "saml_structure"),
    ] {
        let (xml, id) = request(&idp);
        assert!(xml.contains(&from), "{from}");
        let text = (xml.replacen(&from, &to, 1), id);
        assert_eq!(post(&signed(&text, &idp.key), &expect(&idp)), Err(code), "{from} -> {to}");
        let query = query(&text.0, "SAMLRequest", &idp.key, None, false);
        assert_eq!(redirect(&query, &expect(&idp)), Err(code), "{from} -> {to}");
    }
    // An answer to a sign-in is no logout message, however well it is signed.
    assert_eq!(post(&idp.answer("ada").xml(), &expect(&idp)), Err("saml_structure"));
}

#[test]
fn what_we_send_is_what_a_peer_of_ours_reads() {
    // Our own messages, read as if they came from a provider with our key.
    let env = Env::frozen();
    let key = Key::rsa();
    let idp = Idp::with(key);
    let ours = saml::SpKey::from_parts(&idp.key.pkcs8, &idp.key.certificate).unwrap();
    let name_id = NameId {
        value: "ada & <eve>\"'".into(),
        format: names::PERSISTENT.into(),
        name_qualifier: Some("https://idp.example/?a=b&c".into()),
        sp_name_qualifier: None,
    };
    let id = saml::new_id(&env);
    let request = saml::logout_request(&saml::LogoutOut {
        id: &id,
        sp_entity_id: &idp.entity_id,
        destination: SLO,
        now: NOW,
        name_id: &name_id,
        session_indexes: &["_1&2".into(), "_3".into()],
    })
    .unwrap();
    let answer = saml::logout_response(&saml::LogoutAnswer {
        id: &saml::new_id(&env),
        sp_entity_id: &idp.entity_id,
        destination: SLO,
        now: NOW,
        in_response_to: &id,
        status: names::SUCCESS,
        message: Some("all & everything"),
    })
    .unwrap();
    let asked = LogoutExpect { request_id: Some(&id), ..expect(&idp) };
    for (message, xml) in [(saml::Message::Request, &request), (saml::Message::Response, &answer)] {
        let url = saml::redirect_url("https://idp.example/slo?a=b", message, xml, Some("state"), Some(&ours)).unwrap();
        let (_, query) = url.split_once('?').unwrap();
        let by_redirect = redirect(query.strip_prefix("a=b&").unwrap(), &asked).unwrap();
        let form = saml::post_form("https://idp.example/slo", message, xml, Some("state"), Some(&ours)).unwrap();
        assert_eq!(form.fields[1], ("RelayState".to_owned(), "state".to_owned()));
        let xml = STANDARD.decode(&form.fields[0].1).unwrap();
        let by_post = post(&String::from_utf8(xml).unwrap(), &asked).unwrap();
        assert_eq!(by_redirect, by_post);
        if let LogoutMessage::Request(read) = by_post {
            assert_eq!(read.name_id, name_id);
            assert_eq!(read.session_indexes, ["_1&2", "_3"]);
        }
    }
}
