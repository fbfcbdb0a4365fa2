//! `saml.explain`: which check fails, which setting would have it pass, and that nothing is consumed.

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::world::authd::{Authd, PUBLIC_URL};
use crate::world::saml::{Answer, Encryption, Idp, Key, MODES, Mode, Signing, at, metadata, pem, posted, rename};

struct Scene {
    authd: Authd,
    idp: Idp,
    connection: String,
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

impl Scene {
    async fn new() -> Self {
        Self::with(json!({})).await
    }

    async fn with(settings: Value) -> Self {
        let mut idp = Idp::new();
        let authd = Authd::start().await;
        let organization = text(&authd.operate("organization.create", json!({"name": "Corp"})).await, "id");
        let wish = json!({"organization": organization, "protocol": "saml", "name": "IdP", "activate": true,
            "metadataXml": metadata(&idp, false), "saml": settings});
        let made = authd.operate("connection.create", wish).await;
        let connection = text(&made, "id");
        authd.operate("domain.add", json!({"connection": connection, "domain": "corp.example"})).await;
        let proof = json!({"connection": connection, "domain": "corp.example", "force": true});
        authd.operate("domain.verify", proof).await;
        let service = &made["saml"]["serviceProvider"];
        idp.sp_entity_id = text(service, "entityId");
        idp.acs_url = text(service, "acsUrl");
        Self { authd, idp, connection }
    }

    async fn told(&self, message: &str) -> Value {
        self.authd.operate("saml.explain", json!({"connection": self.connection, "message": message})).await
    }

    fn ada(&self) -> Answer<'_> {
        self.idp.answer("ada@corp.example")
    }
}

/// Code, check, setting and whether settings alone would do.
fn verdict(told: &Value) -> [String; 4] {
    let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    if told["ok"] == false {
        assert!(!text("wrong").is_empty() && !text("errorCode").is_empty(), "{told}");
        assert_eq!(told["faults"][0]["errorCode"], told["errorCode"]);
    }
    let mendable = if told["mendable"] == true { "mendable" } else { "" };
    [text("errorCode"), text("failed"), text("setting"), mendable.to_owned()]
}

#[tokio::test]
async fn a_good_answer_is_told_in_full_however_it_is_signed() {
    let scene = Scene::new().await;
    let (counts, events) = (scene.authd.counts().await, scene.authd.events().await.len());
    for mode in MODES {
        let xml = scene.ada().mode(mode).xml();
        let told = scene.told(&posted(&xml)).await;
        assert_eq!(verdict(&told), ["", "", "", ""], "{mode:?}: {told}");
        assert_eq!(told["person"]["email"], "ada@corp.example");
        assert_eq!(told["person"]["groups"], json!(["staff", "board & friends"]));
        assert_eq!(told["person"]["attributes"], json!(["email", "groups"]));
        assert_eq!(told["certificateThumbprint"], authd::connection::saml::thumbprint(&scene.idp.key.certificate));
        assert!(told["checks"].as_array().unwrap().iter().all(|check| check["ok"] == true), "{told}");
        let names: Vec<&str> =
            told["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
        for name in ["structure", "issuer", "audience", "recipient", "in_response_to", "not_on_or_after", "policy"] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        // Whatever people paste.
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("RelayState", "x")
            .append_pair("SAMLResponse", &posted(&xml))
            .finish();
        for pasted in [xml.clone(), form.clone(), format!("{PUBLIC_URL}/acs?{form}"), format!("\u{feff}{xml}\n")] {
            assert_eq!(scene.told(&pasted).await["ok"], true, "{pasted}");
        }
    }
    assert_eq!(scene.authd.counts().await, counts, "nothing is kept");
    assert_eq!(scene.authd.events().await.len(), events, "nothing is told");
}

#[tokio::test]
async fn every_wrong_setting_of_saml_is_named() {
    let scene = Scene::new().await;
    let idp = &scene.idp;
    let stranger = Key::rsa();
    let other = scene.ada().signed_with(&stranger, &Signing::with(&stranger));
    let sha1 =
        Signing { algorithm: Some("http://www.w3.org/2000/09/xmldsig#rsa-sha1".into()), ..Signing::with(&idp.key) };
    let transient = ("1.1:nameid-format:emailAddress", "2.0:nameid-format:transient");
    let asked = format!(r#" InResponseTo="{}""#, idp.request_id);
    let late = |seconds: i64| {
        let (from, end) = (format!(r#"NotOnOrAfter="{}""#, at(300)), format!(r#"NotOnOrAfter="{}""#, at(-seconds)));
        scene.ada().assertion(&from, &end).xml()
    };
    let restriction = format!(
        "<saml:AudienceRestriction><saml:Audience>{}</saml:Audience></saml:AudienceRestriction>",
        idp.sp_entity_id
    );
    let changed = scene.ada().xml().replace("ada@corp.example", "eve@corp.example");
    for (what, xml, expected) in [
        (
            "audience",
            scene.ada().assertion(&format!("<saml:Audience>{}", idp.sp_entity_id), "<saml:Audience>urn:x").xml(),
            ["saml_audience", "audience", "serviceProvider.entityId", "mendable"],
        ),
        (
            "no audience",
            scene.ada().assertion(&restriction, "<saml:OneTimeUse/>").xml(),
            ["saml_audience", "audience", "serviceProvider.entityId", ""],
        ),
        (
            "recipient",
            scene
                .ada()
                .assertion(&format!(r#"Recipient="{}""#, idp.acs_url), r#"Recipient="https://old.example/acs""#)
                .xml(),
            ["saml_recipient", "recipient", "identity provider: ACS URL", ""],
        ),
        (
            "destination",
            scene
                .ada()
                .response(&format!(r#"Destination="{}""#, idp.acs_url), r#"Destination="https://old.example/acs""#)
                .xml(),
            ["saml_destination", "destination", "identity provider: ACS URL", ""],
        ),
        (
            "issuer",
            scene
                .ada()
                .assertion(&idp.entity_id, "https://other.example")
                .response(&idp.entity_id, "https://other.example")
                .xml(),
            ["saml_issuer", "issuer", "metadata.entityId", "mendable"],
        ),
        ("late by a little", late(150), ["saml_expired", "not_on_or_after", "security.clockSkewSeconds", "mendable"]),
        ("late by much", late(4000), ["saml_expired", "not_on_or_after", "identity provider: clock", ""]),
        (
            "another certificate",
            other,
            ["saml_signature_invalid", "signature_assertion", "metadata.certificate", "mendable"],
        ),
        ("changed", changed, ["saml_signature_invalid", "signature_assertion", "", ""]),
        (
            "weak",
            scene.ada().signed_with(&idp.key, &sha1),
            ["saml_algorithm", "signature_algorithm", "identity provider: signing", ""],
        ),
        (
            "unsigned",
            scene.ada().mode(Mode::None).xml(),
            ["saml_signature_missing", "signature", "identity provider: signing", ""],
        ),
        (
            "transient",
            scene.ada().assertion(transient.0, transient.1).xml(),
            ["saml_nameid", "subject", "profile.mapping.subject", ""],
        ),
        (
            "unasked",
            scene.ada().assertion(&asked, "").response(&asked, "").xml(),
            ["saml_unsolicited", "idp_initiated", "security.allowIdpInitiated", "mendable"],
        ),
        (
            "denied",
            scene.ada().response("status:Success", "status:Responder").xml(),
            ["upstream_denied", "status", "", ""],
        ),
        (
            "two addresses",
            scene
                .ada()
                .assertion(
                    "ada@corp.example</saml:AttributeValue>",
                    "a@corp.example</saml:AttributeValue><saml:AttributeValue>b@corp.example</saml:AttributeValue>",
                )
                .xml(),
            ["email_domain_not_owned", "email", "profile.mapping.email", ""],
        ),
        (
            "another domain",
            scene.idp.answer("ada@elsewhere.example").xml(),
            ["email_domain_not_owned", "policy", "policy", ""],
        ),
        ("fine", scene.ada().xml(), ["", "", "", ""]),
        ("no message", "hello, world".to_owned(), ["saml_structure", "message", "", ""]),
    ] {
        let pasted = if xml.starts_with('<') { posted(&xml) } else { xml };
        let told = scene.told(&pasted).await;
        assert_eq!(verdict(&told).each_ref().map(String::as_str), expected, "{what}: {told}");
    }
}

#[tokio::test]
async fn what_comes_after_the_first_fault_is_found_as_well() {
    let scene = Scene::with(json!({"security": {"requireSignedResponses": true}})).await;
    let stranger = Key::rsa();
    let xml = scene
        .ada()
        .assertion(&format!("<saml:Audience>{}", scene.idp.sp_entity_id), "<saml:Audience>urn:wiki")
        .signed_with(&stranger, &Signing::with(&stranger));
    let told = scene.told(&posted(&xml)).await;
    let faults: Vec<(&str, &str)> = told["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (fault["setting"].as_str().unwrap(), fault["value"].as_str().unwrap_or_default()))
        .collect();
    let thumbprint = authd::connection::saml::thumbprint(&stranger.certificate);
    assert_eq!(
        faults,
        [
            ("security.requireSignedResponses", "false"),
            ("metadata.certificate", thumbprint.as_str()),
            ("serviceProvider.entityId", "urn:wiki")
        ],
        "{told}"
    );
    assert_eq!((&told["ok"], &told["mendable"]), (&json!(false), &json!(true)));
    assert_eq!(told["carriedCertificates"][0]["thumbprint"], thumbprint);
    // With exactly those settings it passes.
    let wish = json!({"id": scene.connection, "idpCertificate": pem(&stranger.certificate), "spEntityId": "urn:wiki",
        "idpSsoUrl": "https://idp.example/sso", "idpEntityId": scene.idp.entity_id,
        "security": {"requireSignedResponses": false}});
    scene.authd.operate("connection.set_saml", wish).await;
    assert_eq!(verdict(&scene.told(&posted(&xml)).await), ["", "", "", ""]);
}

#[tokio::test]
async fn an_old_answer_is_explained_at_its_own_time() {
    let scene = Scene::new().await;
    let xml = scene.ada().xml();
    scene.authd.env().advance(std::time::Duration::from_secs(86_400));
    let told = scene.told(&posted(&xml)).await;
    assert_eq!(verdict(&told), ["saml_expired", "issue_instant_age", "at", "mendable"], "{told}");
    let then = text(&told["faults"][0], "value");
    let wish = json!({"connection": scene.connection, "message": posted(&xml), "at": then});
    let told = scene.authd.operate("saml.explain", wish).await;
    assert_eq!((&told["ok"], &told["at"]), (&json!(true), &json!(then)), "{told}");
}

#[tokio::test]
async fn an_encrypted_answer_is_opened_and_what_cannot_be_is_told_why() {
    let scene = Scene::new().await;
    let view = scene.authd.operate("connection.get_saml", json!({"id": scene.connection})).await;
    let pem = text(&view["serviceProvider"], "certificate");
    let own = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let sealed = |how: Encryption, certificate: &[u8]| {
        let answer = scene.ada();
        let (key, prefixes) = (&scene.idp.key, &answer.prefixes);
        let plain = crate::world::saml::sign(
            &rename(&answer.assertion, prefixes),
            &answer.assertion_id,
            key,
            &Signing::with(key),
            prefixes,
        );
        let sealed = rename(&crate::world::saml::encrypt(&plain, certificate, &how), prefixes);
        posted(&rename(&answer.response, prefixes).replace(crate::world::saml::HOLE, &sealed))
    };
    let told = scene.told(&sealed(Encryption::usual(), &own)).await;
    assert_eq!((&told["ok"], &told["person"]["email"]), (&json!(true), &json!("ada@corp.example")), "{told}");
    let told = scene.told(&sealed(Encryption::usual(), &Key::rsa().certificate)).await;
    assert_eq!(verdict(&told), ["saml_decrypt", "decryption", "identity provider: encryption", ""], "{told}");
    let cbc = Encryption { content: authd::connection::saml::names::AES256_CBC, ..Encryption::usual() };
    let told = scene.told(&sealed(cbc, &own)).await;
    assert_eq!(verdict(&told), ["saml_decrypt", "encryption_algorithm", "identity provider: encryption", ""], "{told}");
}

#[tokio::test]
async fn saml_30_an_explanation_opens_nothing_on_the_word_of_a_key_that_nobody_pinned() {
    let scene = Scene::new().await;
    let view = scene.authd.operate("connection.get_saml", json!({"id": scene.connection})).await;
    let pem = text(&view["serviceProvider"], "certificate");
    let own = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let stranger = Key::rsa();
    let how = Signing::with(&stranger);
    let mut told = Vec::new();
    for content in [authd::connection::saml::names::AES256_GCM, authd::connection::saml::names::AES256_CBC] {
        let how_sealed = || Encryption { content, ..Encryption::usual() };
        let answer = scene.ada().mode(Mode::Response);
        let plain = rename(&answer.assertion, &answer.prefixes);
        // What opens, what was made for somebody else, and what is no assertion at all: a stranger must not learn which.
        let inside = [plain.as_str(), "no assertion", "<a"];
        let sealed = inside.map(|text| crate::world::saml::encrypt(text, &own, &how_sealed()));
        let elsewhere = crate::world::saml::encrypt(&plain, &stranger.certificate, &how_sealed());
        for one in sealed.iter().chain([&elsewhere]) {
            let response = rename(&answer.response, &answer.prefixes)
                .replace(crate::world::saml::HOLE, &rename(one, &answer.prefixes));
            let xml = crate::world::saml::sign(&response, &answer.response_id, &stranger, &how, &answer.prefixes);
            let mut said = scene.told(&posted(&xml)).await;
            assert_eq!(verdict(&said)[2..], ["metadata.certificate", ""], "{said}");
            assert!(said["person"].is_null() && !said.to_string().contains("ada@corp.example"), "{said}");
            for row in said["checks"].as_array_mut().unwrap() {
                row["received"].take();
            }
            told.push(said);
        }
    }
    assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:#?}");
}

#[tokio::test]
async fn nothing_of_a_stranger_steers_an_explanation_of_an_answer() {
    let scene = Scene::new().await;
    let evil = "\u{202e}evil\u{200b}";
    for xml in [
        scene
            .ada()
            .assertion(&format!("<saml:Audience>{}", scene.idp.sp_entity_id), &format!("<saml:Audience>{evil}"))
            .xml(),
        scene
            .ada()
            .response(&format!(r#"Destination="{}""#, scene.idp.acs_url), &format!(r#"Destination="{evil}""#))
            .xml(),
    ] {
        let told = scene.told(&posted(&xml)).await.to_string();
        assert!(!told.contains('\u{202e}') && !told.contains('\u{200b}'), "{told}");
    }
}

#[tokio::test]
async fn a_long_answer_is_read_and_a_longer_one_is_not() {
    let scene = Scene::new().await;
    let view = scene.authd.operate("connection.get", json!({"id": scene.connection})).await;
    let wish = json!({"organization": view["organization"], "name": "k", "grants": ["*"]});
    let key = text(&scene.authd.operate("api_key.create", wish).await, "key");
    let post = async |size: usize| {
        let filler = "x".repeat(size);
        let xml = scene.ada().assertion("</saml:AttributeStatement>", &format!(r#"<saml:Attribute Name="f"><saml:AttributeValue>{filler}</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>"#)).xml();
        let body = json!({"connection": scene.connection, "message": posted(&xml)}).to_string();
        let request = axum::http::Request::builder()
            .method(Method::POST)
            .uri("/v1/saml/explain")
            .header("host", "127.0.0.1:8080")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {key}"))
            .extension(authd::http::Peer::Tcp("192.0.2.7:5000".parse().unwrap()))
            .body(axum::body::Body::from(body))
            .unwrap();
        let answer = tower::ServiceExt::oneshot(scene.authd.router.clone(), request).await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(post(100_000).await, 200);
    assert_eq!(post(600_000).await, 413);
}

/// Lays what an explanation names over the connection; the moment that it names is given back.
async fn set_as_told(scene: &Scene, told: &Value, carried: &Key) -> Option<String> {
    let mut wish = json!({"id": scene.connection});
    let mut moment = None;
    for fault in told["faults"].as_array().unwrap() {
        let value = text(fault, "value");
        match text(fault, "setting").as_str() {
            "metadata.entityId" => wish["idpEntityId"] = json!(value),
            "metadata.certificate" => {
                assert_eq!(value, authd::connection::saml::thumbprint(&carried.certificate));
                wish["idpCertificate"] = json!(pem(&carried.certificate));
            }
            "serviceProvider.entityId" => wish["spEntityId"] = json!(value),
            "request.authnContextClassRefs" => wish["request"]["authnContextClassRefs"] = json!([value]),
            "at" => moment = Some(value),
            setting => {
                let (group, name) = setting.split_once('.').unwrap();
                assert_eq!(group, "security", "{fault}");
                wish[group][name] = serde_json::from_str(&value).unwrap();
            }
        }
    }
    if wish.as_object().unwrap().len() > 1 {
        scene.authd.operate("connection.set_saml", wish).await;
    }
    moment
}

/// Faults that settings can mend: what the connection is like, and what becomes of the answer.
const FAULTS: usize = 10;

/// One to four faults by chance: what is named, and nothing else, has the answer pass.
#[tokio::test]
async fn whatever_is_wrong_at_once_the_settings_that_are_named_have_it_pass() {
    use rand::seq::IndexedRandom as _;
    let all: Vec<usize> = (0..FAULTS).collect();
    let mut combinations: Vec<Vec<usize>> = all.iter().map(|one| vec![*one]).collect();
    for _ in 0..20 {
        combinations.push(
            all.choose_multiple(&mut rand::rng(), rand::Rng::random_range(&mut rand::rng(), 2..=4)).copied().collect(),
        );
    }
    for faults in combinations {
        let has = |n: usize| faults.contains(&n);
        let mut settings = json!({"security": {}, "request": {}});
        if has(0) {
            settings["security"]["requireSignedResponses"] = json!(true);
        }
        if has(1) {
            settings["security"]["requireEncryptedAssertions"] = json!(true);
        }
        if has(2) {
            settings["security"]["maxResponseSize"] = json!(1000);
        }
        if has(3) {
            settings["request"]["authnContextClassRefs"] = json!(["urn:oasis:names:tc:SAML:2.0:ac:classes:X509"]);
        }
        let scene = Scene::with(settings).await;
        let idp = &scene.idp;
        let mut answer = scene.ada();
        if has(4) {
            answer = answer
                .assertion(&idp.entity_id, "https://other.example")
                .response(&idp.entity_id, "https://other.example");
        }
        if has(5) {
            answer = answer.assertion(&format!("<saml:Audience>{}", idp.sp_entity_id), "<saml:Audience>urn:wiki");
        }
        if has(6) {
            let asked = format!(r#" InResponseTo="{}""#, idp.request_id);
            answer = answer.assertion(&asked, "").response(&asked, "");
        }
        if has(7) {
            let (from, end) = (format!(r#"NotOnOrAfter="{}""#, at(300)), format!(r#"NotOnOrAfter="{}""#, at(-200)));
            answer = answer.assertion(&from, &end);
        }
        let stranger = Key::p256();
        let xml = if has(8) { answer.signed_with(&stranger, &Signing::with(&stranger)) } else { answer.xml() };
        // Pasted the next day.
        if has(9) {
            scene.authd.env().advance(std::time::Duration::from_secs(86_400));
        }
        let told = scene.told(&posted(&xml)).await;
        assert_eq!((&told["ok"], &told["mendable"]), (&json!(false), &json!(true)), "{faults:?}: {told}");
        let moment = set_as_told(&scene, &told, &stranger).await;
        let mut wish = json!({"connection": scene.connection, "message": posted(&xml)});
        if let Some(moment) = moment {
            wish["at"] = json!(moment);
        }
        let now = scene.authd.operate("saml.explain", wish).await;
        assert_eq!(verdict(&now), ["", "", "", ""], "{faults:?}: {now}\n{told}");
    }
}

/// What other providers and other times have sent: whatever is wrong with it, the next step is named.
#[tokio::test]
async fn of_every_message_of_the_corpora_the_next_step_is_named() {
    // What no setting of anybody mends: then the words alone tell what to do.
    const WORDS: &[&str] = &[
        "saml_structure",
        "saml_doctype",
        "saml_signature_invalid",
        "upstream_denied",
        "saml_in_response_to",
        "saml_authn",
    ];
    let scene = Scene::new().await;
    let mut settings = std::collections::BTreeMap::<String, usize>::new();
    for folder in ["python3-saml/responses", "samael/test_vectors", "crewjam-saml/testdata"] {
        let Some(folder) = super::corpora::corpora(folder) else { continue };
        for file in super::corpora::below(&folder) {
            let name = file.file_name().unwrap().to_str().unwrap().to_lowercase();
            let xml = super::corpora::message(&std::fs::read(&file).unwrap());
            if name.contains("metadata") || !xml.contains("Response") || name.ends_with(".md") {
                continue;
            }
            let told = scene.told(&posted(xml.trim())).await;
            assert_eq!(told["ok"], false, "{name}: {told}");
            let faults = told["faults"].as_array().unwrap();
            assert!(!faults.is_empty() && !text(&told, "wrong").is_empty(), "{name}: {told}");
            for fault in faults {
                let (code, setting) = (text(fault, "errorCode"), fault["setting"].as_str().unwrap_or_default());
                assert!(!text(fault, "help").is_empty(), "{name}: {fault}");
                assert!(!setting.is_empty() || WORDS.contains(&code.as_str()), "{name}: {fault}");
                *settings.entry(format!("{code}: {setting}")).or_default() += 1;
            }
        }
    }
    if super::corpora::corpora("python3-saml").is_some() {
        assert!(settings.len() > 8, "{settings:#?}");
    }
}
