//! SAML-23 to SAML-25, SAML-27, SAML-29: whom an answer is for, what it answers, when it holds, whom it names.

use std::time::Duration;

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, Expect, names};

use crate::world::saml::{Answer, Idp, MODES, Mode, at, fresh, posted, read, verdict};

const NAME: &str = "ada@own.example";
const OK: Result<(), &str> = Ok(());

/// The verdict in every valid mode, which has to be one.
fn in_every_mode(
    idp: &Idp,
    expect: &Expect<'_>,
    change: impl Fn(Answer<'_>) -> Answer<'_>,
) -> Result<(), &'static str> {
    let all = MODES.map(|mode| verdict(&change(idp.answer(NAME).mode(mode)).xml(), expect).map(drop));
    assert_eq!((all[0], all[1]), (all[1], all[2]), "the modes differ");
    all[0]
}

#[test]
fn saml_23_answers_to_another_question_or_to_none() {
    let idp = Idp::new();
    let asked = idp.expect();
    let unasked = Expect { request_id: None, ..idp.expect() };
    let said = format!(r#" InResponseTo="{}""#, idp.request_id);
    let nothing = |answer: Answer<'_>| -> (String, String) {
        let bare = answer.assertion(&said, "").response(&said, "");
        (bare.assertion, bare.response)
    };
    for mode in MODES {
        let answer = |assertion: Option<&str>, response: Option<&str>| {
            let mut answer = idp.answer(NAME).mode(mode);
            let (bare_assertion, bare_response) = nothing(idp.answer(NAME));
            let put = |id: Option<&str>, with: &str, bare: String| match id {
                None => bare,
                Some(id) => with.replace(&idp.request_id, id),
            };
            let ids = (answer.assertion_id.clone(), answer.response_id.clone());
            answer.assertion = put(assertion, &answer.assertion, bare_assertion);
            answer.response = put(response, &answer.response, bare_response);
            // The bare texts come from another answer, with other IDs.
            for (text, id) in [(&mut answer.assertion, ids.0), (&mut answer.response, ids.1)] {
                let (before, rest) = text.split_once(" ID=\"").unwrap();
                let (_, after) = rest.split_once('"').unwrap();
                *text = format!("{before} ID=\"{id}\"{after}");
            }
            answer.xml()
        };
        let ours = Some(idp.request_id.as_str());
        let other = Some("_of_another_browser");
        for (assertion, response, to_asked, to_unasked) in [
            (ours, ours, Ok(NAME), Err("saml_in_response_to")),
            (ours, None, Ok(NAME), Err("saml_in_response_to")),
            (None, None, Err("saml_unsolicited"), Ok(NAME)),
            (other, ours, Err("saml_in_response_to"), Err("saml_in_response_to")),
            (ours, other, Err("saml_in_response_to"), Err("saml_in_response_to")),
            (other, other, Err("saml_in_response_to"), Err("saml_in_response_to")),
            (None, other, Err("saml_in_response_to"), Err("saml_in_response_to")),
            (Some(""), ours, Err("saml_in_response_to"), Err("saml_in_response_to")),
        ] {
            let xml = answer(assertion, response);
            assert_eq!(verdict(&xml, &asked), to_asked.map(str::to_owned), "{mode:?} {assertion:?} {response:?}");
            assert_eq!(verdict(&xml, &unasked), to_unasked.map(str::to_owned), "{mode:?} {assertion:?} {response:?}");
        }
        // Only outside of the signature: anybody could have put it around an assertion that nobody asked for.
        let outside = if mode == Mode::Assertion { Err("saml_unsolicited") } else { Ok(NAME.to_owned()) };
        assert_eq!(verdict(&answer(None, ours), &asked), outside, "{mode:?}");
    }
}

#[test]
fn saml_24_exactly_this_audience_recipient_and_destination() {
    let idp = Idp::new();
    let expect = idp.expect();
    let near = |exact: &str| {
        vec![
            format!("{exact}/"),
            exact.trim_end_matches(|c| c != '/').trim_end_matches('/').to_owned(),
            exact.to_uppercase(),
            exact.replacen('h', "H", 1),
            format!("{exact}2"),
            format!("x{exact}"),
            format!("{exact}?a=b"),
            format!("{exact}#"),
            exact.replace("https:", "http:"),
            exact.replace("sp.example", "sp.example.evil.example"),
            exact.replace("sp.example", "sp.example."),
            String::new(),
            "*".to_owned(),
        ]
    };
    for wrong in near(&idp.sp_entity_id) {
        let audience = format!("<saml:Audience>{}</saml:Audience>", idp.sp_entity_id);
        let refused = in_every_mode(&idp, &expect, |answer| {
            answer.assertion(&audience, &format!("<saml:Audience>{wrong}</saml:Audience>"))
        });
        assert_eq!(refused, Err("saml_audience"), "{wrong}");
    }
    for wrong in near(&idp.acs_url) {
        let recipient = format!(r#"Recipient="{}""#, idp.acs_url);
        let refused =
            in_every_mode(&idp, &expect, |answer| answer.assertion(&recipient, &format!(r#"Recipient="{wrong}""#)));
        assert_eq!(refused, Err("saml_recipient"), "{wrong}");
        let destination = format!(r#"Destination="{}""#, idp.acs_url);
        let refused =
            in_every_mode(&idp, &expect, |answer| answer.response(&destination, &format!(r#"Destination="{wrong}""#)));
        assert_eq!(refused, Err("saml_destination"), "{wrong}");
    }
}

#[test]
fn saml_24_missing_or_several() {
    let idp = Idp::new();
    let expect = idp.expect();
    let audience = format!("<saml:Audience>{}</saml:Audience>", idp.sp_entity_id);
    let restriction = format!("<saml:AudienceRestriction>{audience}</saml:AudienceRestriction>");
    let other = "<saml:Audience>https://other.example</saml:Audience>";
    for (changed, expected) in [
        (String::new(), Err("saml_audience")),
        ("<saml:AudienceRestriction></saml:AudienceRestriction>".into(), Err("saml_audience")),
        (format!("<saml:AudienceRestriction>{other}</saml:AudienceRestriction>"), Err("saml_audience")),
        (format!("<saml:AudienceRestriction>{other}{audience}</saml:AudienceRestriction>"), OK),
        (format!("{restriction}{restriction}"), OK),
        // Each restriction has to hold.
        (format!("{restriction}<saml:AudienceRestriction>{other}</saml:AudienceRestriction>"), Err("saml_audience")),
        (format!("<saml:AudienceRestriction>{other}</saml:AudienceRestriction>{restriction}"), Err("saml_audience")),
        (format!("{restriction}<saml:OneTimeUse/>"), OK),
        (format!("{restriction}<saml:ProxyRestriction Count=\"0\"/>"), OK),
        (format!("{restriction}<saml:Condition/>"), Err("saml_conditions")),
        (format!("{restriction}<x:Weather xmlns:x=\"urn:x\"/>"), Err("saml_conditions")),
        (restriction.replace(&audience, &format!("<saml:Audience>\n  {}\n</saml:Audience>", idp.sp_entity_id)), OK),
    ] {
        let is = in_every_mode(&idp, &expect, |answer| answer.assertion(&restriction, &changed));
        assert_eq!(is, expected, "{changed}");
    }
    let conditions =
        crate::world::saml::cut(&format!("<x xmlns:saml=\"urn:x\">{}</x>", idp.answer(NAME).assertion), "Conditions");
    assert_eq!(in_every_mode(&idp, &expect, |answer| answer.assertion(&conditions, "")), Err("saml_audience"));
    let recipient = format!(r#" Recipient="{}""#, idp.acs_url);
    assert_eq!(in_every_mode(&idp, &expect, |answer| answer.assertion(&recipient, "")), Err("saml_recipient"));
    let bearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
    for method in ["urn:oasis:names:tc:SAML:2.0:cm:holder-of-key", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches", ""]
    {
        let refused = in_every_mode(&idp, &expect, |answer| answer.assertion(bearer, method));
        assert_eq!(refused, Err("saml_recipient"), "{method}");
    }
    // A signed Response says whither it goes; an unsigned one may leave it out.
    for mode in MODES {
        let xml = idp.answer(NAME).mode(mode).response(&format!(r#" Destination="{}""#, idp.acs_url), "").xml();
        let expected = if mode == Mode::Assertion { Ok(NAME.into()) } else { Err("saml_destination") };
        assert_eq!(verdict(&xml, &expect), expected, "{mode:?}");
    }
}

#[test]
fn saml_24_of_several_confirmations_one_has_to_be_for_us() {
    let idp = Idp::new();
    let other = r#"<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData Recipient="https://other.example/acs" NotOnOrAfter="2099-01-01T00:00:00Z"/></saml:SubjectConfirmation>"#;
    let key = r#"<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"/>"#;
    for more in [other, key] {
        let ours = "<saml:SubjectConfirmation Method";
        let is = in_every_mode(&idp, &idp.expect(), |answer| answer.assertion(ours, &format!("{more}{ours}")));
        assert_eq!(is, OK, "{more}");
    }
}

/// The frozen clock, at the edge of every time: 119 seconds of difference are accepted, 121 are not.
#[test]
fn saml_25_every_time_holds_to_the_second() {
    let idp = Idp::new();
    let expect = idp.expect();
    let issued = |answer: Answer<'_>, seconds: i64| -> (String, String) {
        let (now, then) = (format!(r#"IssueInstant="{}""#, at(0)), format!(r#"IssueInstant="{}""#, at(seconds)));
        (answer.assertion.replace(&now, &then), answer.response.replace(&now, &then))
    };
    let start = format!(r#"NotBefore="{}""#, at(-60));
    let end = format!(r#"NotOnOrAfter="{}""#, at(300));
    type Change = Box<dyn Fn(&Idp, Mode, i64) -> String>;
    let conditions_start: Change = {
        let start = start.clone();
        Box::new(move |idp, mode, seconds| {
            idp.answer(NAME).mode(mode).assertion(&start, &format!(r#"NotBefore="{}""#, at(seconds))).xml()
        })
    };
    let conditions_end: Change = {
        let (start, end) = (start.clone(), end.clone());
        Box::new(move |idp, mode, seconds| {
            let later = format!(r#"NotOnOrAfter="{}""#, at(seconds));
            idp.answer(NAME).mode(mode).assertion(&format!("{start} {end}"), &format!("{start} {later}")).xml()
        })
    };
    let confirmation_end: Change = {
        let end = end.clone();
        Box::new(move |idp, mode, seconds| {
            let later = format!(r#"NotOnOrAfter="{}" Recipient"#, at(seconds));
            idp.answer(NAME).mode(mode).assertion(&format!("{end} Recipient"), &later).xml()
        })
    };
    let session_end: Change = Box::new(|idp, mode, seconds| {
        let session = format!(r#"SessionNotOnOrAfter="{}" SessionIndex"#, at(seconds));
        idp.answer(NAME).mode(mode).assertion("SessionIndex", &session).xml()
    });
    let assertion_made: Change = Box::new(move |idp, mode, seconds| {
        let mut answer = idp.answer(NAME).mode(mode);
        let now = format!(r#"IssueInstant="{}""#, at(0));
        answer.assertion = answer.assertion.replace(&now, &format!(r#"IssueInstant="{}""#, at(seconds)));
        answer.xml()
    });
    let response_made: Change = Box::new(move |idp, mode, seconds| {
        let mut answer = idp.answer(NAME).mode(mode);
        let now = format!(r#"IssueInstant="{}""#, at(0));
        answer.response = answer.response.replace(&now, &format!(r#"IssueInstant="{}""#, at(seconds)));
        answer.xml()
    });
    let signed_in: Change = Box::new(|idp, mode, seconds| {
        let (now, then) = (format!(r#"AuthnInstant="{}""#, at(0)), format!(r#"AuthnInstant="{}""#, at(seconds)));
        idp.answer(NAME).mode(mode).assertion(&now, &then).xml()
    });
    for (what, change, fits, breaks, code) in [
        ("NotBefore", &conditions_start, 119, 121, "saml_not_yet_valid"),
        ("NotOnOrAfter", &conditions_end, -119, -121, "saml_expired"),
        ("NotOnOrAfter, sharp", &conditions_end, -119, -120, "saml_expired"),
        ("confirmation", &confirmation_end, -119, -121, "saml_expired"),
        ("session", &session_end, -119, -121, "saml_expired"),
        ("assertion ahead", &assertion_made, 119, 121, "saml_not_yet_valid"),
        ("assertion old", &assertion_made, -719, -721, "saml_expired"),
        ("assertion in ten years", &assertion_made, 0, 315_360_000, "saml_not_yet_valid"),
        ("response ahead", &response_made, 119, 121, "saml_not_yet_valid"),
        ("response old", &response_made, -719, -721, "saml_expired"),
        ("authentication ahead", &signed_in, 119, 121, "saml_not_yet_valid"),
    ] {
        for mode in MODES {
            assert_eq!(verdict(&change(&idp, mode, fits), &expect), Ok(NAME.into()), "{what} {fits} {mode:?}");
            assert_eq!(verdict(&change(&idp, mode, breaks), &expect), Err(code), "{what} {breaks} {mode:?}");
            // No connection can allow for more than five minutes.
            let lax = Expect { skew: Duration::from_secs(86_400), ..expect };
            let far = breaks.signum() * 302 + if what.contains("old") { -600 } else { 0 };
            assert_eq!(verdict(&change(&idp, mode, far), &lax), Err(code), "{what} {far} {mode:?}");
        }
    }
    let (assertion, response) = issued(idp.answer(NAME), 0);
    assert!(assertion.contains("IssueInstant") && response.contains("IssueInstant"));
}

#[test]
fn saml_25_times_that_are_missing_or_none() {
    let idp = Idp::new();
    let expect = idp.expect();
    let (start, end) = (format!(r#"NotBefore="{}""#, at(-60)), format!(r#"NotOnOrAfter="{}""#, at(300)));
    let (made, signed_in) = (format!(r#"IssueInstant="{}""#, at(0)), format!(r#"AuthnInstant="{}""#, at(0)));
    for (from, to, expected) in [
        (format!("{start} "), String::new(), OK),
        (format!("{start} {end}"), start.clone(), Err("saml_expired")),
        (format!("{end} Recipient"), "Recipient".into(), Err("saml_expired")),
        (made.clone(), String::new(), Err("saml_structure")),
        (signed_in.clone(), String::new(), Err("saml_structure")),
        (format!("{end} Recipient"), format!("{end} {start} Recipient"), Err("saml_not_yet_valid")),
        (start.clone(), r#"NotBefore="yesterday""#.into(), Err("saml_structure")),
        (start.clone(), r#"NotBefore="2026-01-01T00:00:00""#.into(), Err("saml_structure")),
        (format!("{start} {end}"), format!(r#"{start} NotOnOrAfter="""#), Err("saml_structure")),
    ] {
        let is = in_every_mode(&idp, &expect, |answer| answer.assertion(&from, &to));
        assert_eq!(is, expected, "{from} -> {to}");
    }
}

#[test]
fn saml_27_an_answer_for_one_connection_at_another() {
    // Two connections of two identity providers, and two of the same one.
    let (a, b) = (Idp::new(), Idp::new());
    let mut same = Idp::new();
    same.entity_id.clone_from(&a.entity_id);
    for mode in MODES {
        let xml = a.answer(NAME).mode(mode).xml();
        let at_b = Expect { request_id: Some(&a.request_id), ..b.expect() };
        assert_eq!(verdict(&xml, &at_b), Err("saml_issuer"), "{mode:?}");
        let pinned = [a.key.certificate.clone()];
        let at_same = Expect { certificates: &pinned, request_id: Some(&a.request_id), ..same.expect() };
        assert_eq!(verdict(&xml, &at_same), Err("saml_audience"), "{mode:?}");
        // One provider of the pinned key that calls itself another.
        let as_b = Expect { certificates: &pinned, idp_entity_id: &b.entity_id, ..a.expect() };
        assert_eq!(verdict(&xml, &as_b), Err("saml_issuer"), "{mode:?}");
    }
}

#[test]
fn saml_27_the_issuer_of_both_has_to_be_the_provider() {
    let idp = Idp::new();
    let issuer = format!("<saml:Issuer>{}</saml:Issuer>", idp.entity_id);
    for wrong in ["https://other.example", "", &format!("{}/", idp.entity_id), &idp.entity_id.to_uppercase()] {
        let other = format!("<saml:Issuer>{wrong}</saml:Issuer>");
        let inside = in_every_mode(&idp, &idp.expect(), |answer| answer.assertion(&issuer, &other));
        let outside = in_every_mode(&idp, &idp.expect(), |answer| answer.response(&issuer, &other));
        assert_eq!((inside, outside), (Err("saml_issuer"), Err("saml_issuer")), "{wrong}");
    }
    for twice in [format!("{issuer}{issuer}"), format!("{issuer}<saml:Issuer>https://other.example</saml:Issuer>")] {
        assert_eq!(
            in_every_mode(&idp, &idp.expect(), |answer| answer.assertion(&issuer, &twice)),
            Err("saml_structure")
        );
        assert_eq!(
            in_every_mode(&idp, &idp.expect(), |answer| answer.response(&issuer, &twice)),
            Err("saml_structure")
        );
    }
    // Only an unsigned Response may leave it out.
    let xml = idp.answer(NAME).mode(Mode::Assertion).response(&issuer, "").xml();
    assert_eq!(verdict(&xml, &idp.expect()), Ok(NAME.into()));
}

#[test]
fn a_refusal_of_the_provider_is_told_as_one() {
    let idp = Idp::new();
    let success = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>"#;
    for (status, expected) in [
        (
            r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"/></samlp:StatusCode><samlp:StatusMessage>no</samlp:StatusMessage>"#,
            "upstream_denied",
        ),
        (r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:success"/>"#, "upstream_denied"),
        (r#"<samlp:StatusCode/>"#, "upstream_denied"),
        ("", "saml_structure"),
        (&format!("{success}{success}"), "saml_structure"),
    ] {
        assert_eq!(
            in_every_mode(&idp, &idp.expect(), |answer| answer.response(success, status)),
            Err(expected),
            "{status}"
        );
        // Such an answer has no assertion.
        let xml = idp.answer(NAME).mode(Mode::None).response(success, status).xml();
        let assertion = crate::world::saml::cut(&xml, "Assertion");
        assert_eq!(verdict(&xml.replace(&assertion, ""), &idp.expect()), Err(expected), "{status}");
    }
    let xml = idp.answer(NAME).mode(Mode::None).xml();
    let assertion = crate::world::saml::cut(&xml, "Assertion");
    assert_eq!(
        verdict(&xml.replace(&assertion, ""), &idp.expect()),
        Err("saml_structure"),
        "a yes without an assertion"
    );
    let status = crate::world::saml::cut(&xml, "Status");
    assert_eq!(verdict(&xml.replace(&status, ""), &idp.expect()), Err("saml_structure"), "T-06: no status");
}

#[test]
fn saml_29_names_are_taken_as_they_are_or_not_at_all() {
    let idp = Idp::new();
    let long = "x".repeat(256);
    for fits in ["ada", "Ada", "ADA", "é", "e\u{301}", "ﬁ", "fi", "a b", &long, &"é".repeat(256)] {
        let verified = read(&idp.answer(fits).xml(), &idp.expect()).unwrap();
        assert_eq!(verified.name_id.value, fits);
    }
    for wrong in [
        "",
        " ",
        "ada ",
        " ada",
        "ada\u{a0}",
        "\tada",
        "ada&#10;",
        "a&#9;da",
        "a\u{85}",
        "a\u{7f}",
        &"x".repeat(257),
        &"é".repeat(257),
    ] {
        for mode in MODES {
            assert_eq!(verdict(&idp.answer(wrong).mode(mode).xml(), &idp.expect()), Err("saml_nameid"), "{wrong:?}");
        }
    }
    let whole =
        crate::world::saml::cut(&format!("<x xmlns:saml=\"urn:x\">{}</x>", idp.answer(NAME).assertion), "NameID");
    for (instead, code) in [
        (String::new(), "saml_nameid"),
        ("<saml:EncryptedID/>".into(), "saml_nameid"),
        ("<saml:BaseID/>".into(), "saml_nameid"),
        (whole.replace(NAME, &format!("{NAME}<x xmlns=\"\"/>")), "saml_nameid"),
        (format!("{whole}{whole}"), "saml_structure"),
        (whole.replace("saml:NameID", "saml:NameId"), "saml_nameid"),
        (whole.replace("<saml:NameID", "<x:NameID xmlns:x=\"urn:x\"").replace("</saml:", "</x:"), "saml_nameid"),
    ] {
        let refused = in_every_mode(&idp, &idp.expect(), |answer| answer.assertion(&whole, &instead));
        assert_eq!(refused, Err(code), "{instead}");
    }
}

#[test]
fn saml_29_a_key_tells_formats_and_name_spaces_apart() {
    let idp = Idp::new();
    let email = names::EMAIL;
    let named = |format: &str, more: &str, value: &str| {
        let answer = idp.answer(value).assertion(&format!(r#"Format="{email}""#), &format!("{format} {more}"));
        read(&answer.xml(), &idp.expect()).unwrap().name_id
    };
    let format = |uri: &str| format!(r#"Format="{uri}""#);
    let mut keys = std::collections::BTreeSet::new();
    let texts = ["ada@own.example", "Ada@own.example", "é", "e\u{301}"];
    let mut count = 0;
    for text in texts {
        for (form, more) in [
            (format(email), String::new()),
            (format(names::PERSISTENT), String::new()),
            (format(names::UNSPECIFIED), String::new()),
            (format(names::PERSISTENT), r#"NameQualifier="https://other.example""#.to_owned()),
        ] {
            keys.insert(named(&form, &more, text).key(&idp.entity_id).unwrap());
            count += 1;
        }
    }
    assert_eq!(keys.len(), count, "{keys:#?}");
    // What means the same is the same.
    let plain = named("", "", "ada").key(&idp.entity_id).unwrap();
    assert_eq!(named(&format(names::UNSPECIFIED), "", "ada").key(&idp.entity_id).unwrap(), plain);
    let own = format!(r#"NameQualifier="{}""#, idp.entity_id);
    let persistent = named(&format(names::PERSISTENT), "", "ada").key(&idp.entity_id).unwrap();
    assert_eq!(named(&format(names::PERSISTENT), &own, "ada").key(&idp.entity_id).unwrap(), persistent);
    // One for this time alone is no key.
    let error = named(&format(names::TRANSIENT), "", "ada").key(&idp.entity_id).unwrap_err();
    assert_eq!(error.code(), "saml_nameid");
    // A name for use at another service is none here.
    for (qualifier, fits) in [(idp.sp_entity_id.as_str(), true), ("https://other.example", false)] {
        let xml = idp
            .answer("ada")
            .assertion(&format(email), &format!(r#"{} SPNameQualifier="{qualifier}""#, format(email)))
            .xml();
        assert_eq!(verdict(&xml, &idp.expect()), if fits { Ok("ada".into()) } else { Err("saml_nameid") });
    }
}

#[test]
fn versions_and_authentication_are_asked_for() {
    let idp = Idp::new();
    for version in ["1.1", "2.1", "", "2"] {
        let other = format!(r#"Version="{version}""#);
        let inside = in_every_mode(&idp, &idp.expect(), |answer| answer.assertion(r#"Version="2.0""#, &other));
        let outside = in_every_mode(&idp, &idp.expect(), |answer| answer.response(r#"Version="2.0""#, &other));
        assert_eq!((inside, outside), (Err("saml_structure"), Err("saml_structure")), "{version}");
    }
    let statement = crate::world::saml::cut(
        &format!("<x xmlns:saml=\"urn:x\">{}</x>", idp.answer(NAME).assertion),
        "AuthnStatement",
    );
    assert_eq!(in_every_mode(&idp, &idp.expect(), |answer| answer.assertion(&statement, "")), Err("saml_authn"));
    let twice = format!(
        "{statement}{}",
        statement.replace("AuthnInstant", "SessionNotOnOrAfter=\"2026-01-01T01:00:00Z\" AuthnInstant")
    );
    let verified = read(&idp.answer(NAME).assertion(&statement, &twice).xml(), &idp.expect()).unwrap();
    assert_eq!(verified.session_not_on_or_after.unwrap().to_string(), "2026-01-01T01:00:00.000Z", "the earliest end");
}

#[test]
fn the_trace_names_what_was_expected_and_what_came() {
    let idp = Idp::new();
    let other = fresh("https://other.example/");
    for (from, to, name) in [
        (format!("<saml:Audience>{}", idp.sp_entity_id), format!("<saml:Audience>{other}"), "audience"),
        (format!(r#"Recipient="{}""#, idp.acs_url), format!(r#"Recipient="{other}""#), "recipient"),
    ] {
        let mut checks = Checks::new();
        let xml = idp.answer(NAME).assertion(&from, &to).xml();
        saml::read(&posted(&xml), &idp.expect(), &mut checks).unwrap_err();
        let last = checks.rows().last().unwrap();
        assert_eq!((last.name.as_str(), last.ok), (name, false));
        assert_eq!(last.received.as_deref(), Some(&*other));
        let expected = last.expected.as_deref().unwrap();
        assert!([&*idp.sp_entity_id, &*idp.acs_url].contains(&expected), "{expected}");
    }
}
