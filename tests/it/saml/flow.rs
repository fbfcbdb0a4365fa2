//! A sign-in through SAML from the app's request to the app's code, over the real routes and against a provider made of text.

use std::time::Duration;

use authd::connection::saml::{self, names};
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::scene::{Scene, attribute, between, claims, inflated, pem, text};
use crate::world::authd::{Browser, PUBLIC_URL, Reply};
use crate::world::saml::{
    Encryption, Idp, Key, MODES, Mode, Prefixes, Signing, at, fresh, metadata, posted, rename, sign,
};

#[tokio::test]
async fn from_the_app_to_the_apps_token() {
    let mut scene = Scene::new().await;
    for mode in MODES {
        let mut browser = scene.authd.browser();
        let relay = scene.leave(&mut browser).await;
        let xml = scene.idp.answer("ada@corp.example").mode(mode).xml();
        let posted = scene.post(&xml, Some(&relay)).await;
        assert_eq!(posted.status, StatusCode::SEE_OTHER, "{mode:?}: {posted:?}");
        assert!(posted.location().as_str().starts_with(&format!("{PUBLIC_URL}/signin/continue?state=")), "{posted:?}");
        assert!(posted.headers.get("set-cookie").is_none(), "the post is anybody's");
        let landed = browser.get(posted.location().as_str()).await;
        assert_eq!(landed.query("state").as_deref(), Some("app-state"));
        let tokens = scene.tokens(&landed).await;
        let id = claims(tokens["id_token"].as_str().unwrap());
        assert_eq!((&id["email"], &id["email_verified"]), (&json!("ada@corp.example"), &json!(true)));
        assert_eq!(id["groups"], json!(["staff", "board & friends"]), "{mode:?}");
        assert_eq!(id["acr"], "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport");
    }
    assert_eq!(scene.authd.counts().await["user"], 1);
}

#[tokio::test]
async fn an_encrypted_assertion_is_opened_with_the_connections_own_key() {
    let mut scene = Scene::with(json!({"security": {"requireEncryptedAssertions": true}})).await;
    let page = scene.authd.browser().get(&scene.path("metadata")).await;
    let certificate = between(&page.body, "X509Certificate>", "<");
    let mut browser = scene.authd.browser();
    let relay = scene.leave(&mut browser).await;
    let plain = scene.post(&scene.idp.answer("ada@corp.example").xml(), Some(&relay)).await;
    assert!(plain.status == StatusCode::BAD_REQUEST && plain.body.contains("saml_decrypt"), "{plain:?}");
    let relay = scene.leave(&mut browser).await;
    let xml = encrypted(&scene.idp, "ada@corp.example", &STANDARD.decode(certificate).unwrap());
    let posted = scene.post(&xml, Some(&relay)).await;
    assert_eq!(posted.status, StatusCode::SEE_OTHER, "{}", posted.body);
    let landed = browser.get(posted.location().as_str()).await;
    assert!(landed.query("code").is_some(), "{landed:?}");
}

/// An answer whose assertion is signed, and then encrypted to that certificate.
pub(super) fn encrypted(idp: &Idp, person: &str, certificate: &[u8]) -> String {
    let answer = idp.answer(person);
    let (key, how) = (&idp.key, Signing::with(&idp.key));
    let assertion = rename(&answer.assertion, &answer.prefixes);
    let assertion = sign(&assertion, &answer.assertion_id, key, &how, &answer.prefixes);
    let sealed = rename(&crate::world::saml::encrypt(&assertion, certificate, &Encryption::usual()), &answer.prefixes);
    rename(&answer.response, &answer.prefixes).replace(crate::world::saml::HOLE, &sealed)
}

#[tokio::test]
async fn saml_22_an_assertion_opens_one_session() {
    let mut scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let relay = scene.leave(&mut browser).await;
    let xml = scene.idp.answer("ada@corp.example").xml();
    let first = scene.post(&xml, Some(&relay)).await;
    // Before the browser has come, and after; with its relay state and without; in another process.
    scene.rejects(StatusCode::BAD_REQUEST, "saml_replay", scene.post(&xml, Some(&relay))).await;
    let landed = browser.get(first.location().as_str()).await;
    assert!(landed.query("code").is_some(), "{landed:?}");
    scene.rejects(StatusCode::BAD_REQUEST, "saml_replay", scene.post(&xml, Some(&relay))).await;
    scene.rejects(StatusCode::BAD_REQUEST, "saml_replay", scene.post(&xml, None)).await;
    scene.authd = scene.authd.restarted().await;
    scene.rejects(StatusCode::BAD_REQUEST, "saml_replay", scene.post(&xml, None)).await;
    let again = first.location();
    scene.rejects(StatusCode::BAD_REQUEST, "state_mismatch", async { browser.get(again.as_str()).await }).await;
    // As long as it would be believed, it is remembered.
    scene.authd.env().advance(Duration::from_secs(300 + 119));
    scene.authd.app.world.store.sweep().await.unwrap();
    scene.rejects(StatusCode::BAD_REQUEST, "saml_replay", scene.post(&xml, None)).await;
    scene.authd.env().advance(Duration::from_secs(2));
    scene.rejects(StatusCode::BAD_REQUEST, "saml_expired", scene.post(&xml, None)).await;
}

#[tokio::test]
async fn saml_22_an_assertion_that_waits_in_two_browsers_opens_one_session_however_late_the_second_comes() {
    let scene = Scene::with(json!({"security": {"allowIdpInitiated": true}})).await;
    let xml = unasked(&scene.idp, "ada@corp.example");
    let answer = posted(&xml);
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut browser = scene.authd.browser();
        let (fields, cross) = ([("SAMLResponse", answer.as_str())], [("sec-fetch-site", "cross-site")]);
        let went = browser.send(Method::POST, &scene.path("acs"), &cross, Some(&fields)).await;
        assert_eq!(went.status, StatusCode::SEE_OTHER, "nobody has signed in by it yet: {went:?}");
        waiting.push((browser, went.location()));
    }
    let (mut late, to) = waiting.pop().unwrap();
    let (mut first, at) = waiting.pop().unwrap();
    assert!(first.get(at.as_str()).await.status.is_redirection());
    // The assertion itself would be refused by now; the attempt that carries it is still open.
    scene.authd.env().advance(Duration::from_secs(300 + 121));
    scene.authd.app.world.store.sweep().await.unwrap();
    scene.rejects(StatusCode::BAD_REQUEST, "saml_expired", scene.post(&xml, None)).await;
    let refused = late.get(to.as_str()).await;
    assert!(refused.status == StatusCode::BAD_REQUEST && refused.body.contains("saml_replay"), "{refused:?}");
    assert_eq!(scene.authd.counts().await["session"], 1);
}

#[tokio::test]
async fn saml_22_of_many_at_once_one_opens_a_session() {
    let mut scene = Scene::new().await;
    let browser = &mut scene.authd.browser();
    let relay = scene.leave(browser).await;
    let xml = scene.idp.answer("ada@corp.example").xml();
    let posts = futures_util::future::join_all((0..16).map(|_| scene.post(&xml, Some(&relay)))).await;
    let went: Vec<&Reply> = posts.iter().filter(|reply| reply.status == StatusCode::SEE_OTHER).collect();
    assert_eq!(went.len(), 1, "{posts:?}");
    let at = went[0].location();
    let tries = (0..16).map(|_| {
        let mut browser = browser.clone();
        let at = at.clone();
        async move { browser.get(at.as_str()).await }
    });
    let landed = futures_util::future::join_all(tries).await;
    let codes = landed.iter().filter(|reply| reply.status == StatusCode::SEE_OTHER).count();
    assert_eq!(codes, 1, "{landed:?}");
    assert_eq!(scene.authd.counts().await["session"], 1);
}

#[tokio::test]
async fn saml_23_another_browser_is_not_signed_in_and_takes_nothing_away() {
    let mut scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let relay = scene.leave(&mut browser).await;
    let posted = scene.post(&scene.idp.answer("ada@corp.example").xml(), Some(&relay)).await;
    let at = posted.location();
    let mut victim = scene.authd.browser();
    victim.get("/signin").await;
    scene.rejects(StatusCode::BAD_REQUEST, "saml_in_response_to", async { victim.get(at.as_str()).await }).await;
    let bare = async { scene.authd.browser().get(at.as_str()).await };
    scene.rejects(StatusCode::BAD_REQUEST, "saml_in_response_to", bare).await;
    let landed = browser.get(at.as_str()).await;
    assert!(landed.query("code").is_some(), "{landed:?}");
}

#[tokio::test]
async fn saml_23_an_answer_that_nobody_here_waits_for() {
    let mut scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    // Nobody asked.
    let unasked = unasked(&scene.idp, "ada@corp.example");
    scene.rejects(StatusCode::BAD_REQUEST, "saml_unsolicited", scene.post(&unasked, None)).await;
    // A request that was never made; one that is over; the one of another sign-in.
    scene.idp.request_id = fresh("_r");
    let xml = scene.idp.answer("ada@corp.example").xml();
    scene.rejects(StatusCode::BAD_REQUEST, "saml_in_response_to", scene.post(&xml, None)).await;
    scene.rejects(StatusCode::BAD_REQUEST, "saml_in_response_to", scene.post(&xml, Some("unknown"))).await;
    let relay = scene.leave(&mut browser).await;
    let other = scene.idp.answer("ada@corp.example").xml();
    let second = scene.leave(&mut browser).await;
    let crossed = scene.post(&other, Some(&second)).await;
    assert!(crossed.body.contains("saml_in_response_to"), "{crossed:?}");
    scene.authd.env().advance(Duration::from_secs(601));
    let late = scene.post(&other, Some(&relay)).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST, "{late:?}");
}

/// An answer that nobody asked for.
fn unasked(idp: &Idp, person: &str) -> String {
    let asked = format!(r#" InResponseTo="{}""#, idp.request_id);
    idp.answer(person).assertion(&asked, "").response(&asked, "").xml()
}

#[tokio::test]
async fn a_sign_in_that_begins_at_the_provider_where_that_is_allowed() {
    for (target, lands) in [
        (None, format!("{PUBLIC_URL}/signin")),
        (Some("https://wiki.example/home"), "https://wiki.example/home".to_owned()),
    ] {
        let mut security = json!({"allowIdpInitiated": true});
        if let Some(target) = target {
            security["idpInitiatedTarget"] = json!(target);
        }
        let scene = Scene::with(json!({"security": security})).await;
        let xml = unasked(&scene.idp, "ada@corp.example");
        // Where it ends is not the message's to say.
        let mut browser = scene.authd.browser();
        let answer = posted(&xml);
        let fields = [("SAMLResponse", answer.as_str()), ("RelayState", "https://evil.example/")];
        let went =
            browser.send(Method::POST, &scene.path("acs"), &[("sec-fetch-site", "cross-site")], Some(&fields)).await;
        assert_eq!(went.status, StatusCode::SEE_OTHER, "{went:?}");
        let at = went.location();
        let stranger = async { scene.authd.browser().get(at.as_str()).await };
        scene.rejects(StatusCode::BAD_REQUEST, "saml_in_response_to", stranger).await;
        let landed = browser.get(at.as_str()).await;
        assert_eq!(landed.location().as_str(), lands, "{landed:?}");
        assert_eq!(scene.authd.counts().await["session"], 1);
        scene.rejects(StatusCode::BAD_REQUEST, "saml_replay", scene.post(&xml, None)).await;
        // Asked for, after all: not by anybody here.
        let asked = scene.idp.answer("ada@corp.example").xml();
        scene.rejects(StatusCode::BAD_REQUEST, "saml_in_response_to", scene.post(&asked, None)).await;
    }
}

#[tokio::test]
async fn saml_31_a_relay_state_is_a_handle_of_ours_and_nothing_else() {
    let scene = Scene::new().await;
    let long = "x".repeat(4096);
    for relay in ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\"><script>", long.as_str()] {
        let xml = unasked(&scene.idp, "ada@corp.example");
        let reply = scene.rejects(StatusCode::BAD_REQUEST, "saml_unsolicited", scene.post(&xml, Some(relay))).await;
        assert!(!reply.body.contains(relay) && reply.headers.get("location").is_none(), "{reply:?}");
    }
}

#[tokio::test]
async fn saml_26_a_disabled_connection_takes_no_answer() {
    let mut scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let relay = scene.leave(&mut browser).await;
    let early = scene.post(&scene.idp.answer("ada@corp.example").xml(), Some(&relay)).await;
    let second = scene.leave(&mut browser).await;
    let xml = scene.idp.answer("ada@corp.example").xml();
    scene.authd.operate("connection.disable", json!({"id": scene.connection})).await;
    scene.rejects(StatusCode::FORBIDDEN, "connection_disabled", scene.post(&xml, Some(&second))).await;
    let at = early.location();
    scene.rejects(StatusCode::FORBIDDEN, "connection_disabled", async { browser.get(at.as_str()).await }).await;
    // Switched on again, what was begun before stays over.
    scene.authd.operate("connection.activate", json!({"id": scene.connection})).await;
    scene.rejects(StatusCode::FORBIDDEN, "connection_disabled", scene.post(&xml, Some(&second))).await;
}

#[tokio::test]
async fn saml_28_an_address_of_a_domain_that_the_connection_does_not_own() {
    let mut scene = Scene::new().await;
    for address in [
        "ceo@other.example",
        "ada@sub.corp.example",
        "ada@corp.example.evil.test",
        "&quot;a@corp.example&quot;@evil.test",
        "ada@xn--crp-0na.example",
    ] {
        let mut browser = scene.authd.browser();
        let relay = scene.leave(&mut browser).await;
        let xml = scene.idp.answer(address).xml();
        let went = scene.post(&xml, Some(&relay)).await;
        let refused = match went.status {
            StatusCode::SEE_OTHER => browser.get(went.location().as_str()).await,
            _ => went,
        };
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{address}: {}", refused.body);
        assert!(refused.body.contains("email_domain_not_owned"), "{address}: {}", refused.body);
    }
    // Two of them, and one is ours.
    let mut browser = scene.authd.browser();
    let relay = scene.leave(&mut browser).await;
    let two = "ada@corp.example</saml:AttributeValue><saml:AttributeValue>ceo@other.example</saml:AttributeValue></saml:Attribute><saml:Attribute Name=\"groups\">";
    let xml = scene
        .idp
        .answer("ada@corp.example")
        .assertion("ada@corp.example</saml:AttributeValue></saml:Attribute><saml:Attribute Name=\"groups\">", two)
        .xml();
    scene.rejects(StatusCode::FORBIDDEN, "email_domain_not_owned", scene.post(&xml, Some(&relay))).await;
    assert_eq!(scene.authd.counts().await["user"], 0);
}

#[tokio::test]
async fn a_refusal_is_explained_with_what_was_expected_and_received() {
    let mut scene = Scene::new().await;
    let relay = scene.leave(&mut scene.authd.browser()).await;
    let audience = scene.idp.sp_entity_id.clone();
    let tag = |id: &str| format!("<saml:Audience>{id}</saml:Audience>");
    let xml = scene.idp.answer("ada@corp.example").assertion(&tag(&audience), &tag("https://other.example")).xml();
    let reply = scene.rejects(StatusCode::BAD_REQUEST, "saml_audience", scene.post(&xml, Some(&relay))).await;
    assert!(!reply.body.contains("other.example"), "the page says nothing of it: {}", reply.body);
    let trace = scene.explained(&reply).await;
    assert_eq!(trace["errorCode"], "saml_audience");
    let checks = trace["checks"].as_array().unwrap();
    let failed = checks.iter().find(|check| check["ok"] == false).unwrap();
    assert_eq!(failed["name"], "audience");
    assert_eq!((&failed["expected"], &failed["received"]), (&json!(audience), &json!("https://other.example")));
    // Another key, another provider.
    let relay = scene.leave(&mut scene.authd.browser()).await;
    let other = Key::rsa();
    let forged = scene.idp.answer("ada@corp.example").signed_with(&other, &Signing::with(&other));
    scene.rejects(StatusCode::BAD_REQUEST, "saml_signature_invalid", scene.post(&forged, Some(&relay))).await;
    // What does not hold leaves the sign-in to the answer that does.
    let genuine = scene.post(&scene.idp.answer("ada@corp.example").xml(), Some(&relay)).await;
    assert_eq!(genuine.status, StatusCode::SEE_OTHER, "{}", genuine.body);
}

#[tokio::test]
async fn the_three_facts_that_people_copy_are_enough_and_several_certificates_may_be() {
    let (idp, next) = (Idp::new(), Key::p256());
    let both = pem(&next.certificate) + &pem(&idp.key.certificate);
    let facts =
        json!({"idpEntityId": idp.entity_id, "idpSsoUrl": "https://idp.example/sso?tenant=1", "idpCertificate": both});
    let mut scene = Scene::made(idp, facts).await;
    let mut browser = scene.authd.browser();
    let landed = scene.sign_in(&mut browser, "ada@corp.example").await;
    assert!(landed.query("code").is_some(), "{landed:?}");
    let relay = scene.leave(&mut browser).await;
    let rolled = scene.idp.answer("ada@corp.example").signed_with(&next, &Signing::with(&next));
    assert_eq!(scene.post(&rolled, Some(&relay)).await.status, StatusCode::SEE_OTHER);
    let shown = scene.authd.operate("connection.get_saml", json!({"id": scene.connection})).await;
    assert_eq!(shown["identityProvider"]["certificates"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_age_that_an_app_asks_for_makes_the_provider_ask_again() {
    let scene = Scene::new().await;
    for (asked, again) in [("&max_age=60", true), ("&prompt=login", true), ("", false)] {
        let address = scene.authorize().replace("&prompt=login", asked);
        let left = scene.authd.browser().get(&address).await;
        let xml = inflated(&left.query("SAMLRequest").unwrap());
        assert_eq!(xml.contains("ForceAuthn=\"true\""), again, "{asked}: {xml}");
    }
}

#[tokio::test]
async fn a_provider_that_takes_posts_only_is_sent_a_form() {
    let idp = Idp::new();
    let xml = metadata(&idp, true);
    let mut scene =
        Scene::made(idp, json!({"metadataXml": xml, "saml": {"request": {"signAuthnRequests": true}}})).await;
    let mut browser = scene.authd.browser();
    let page = browser.get(&scene.authorize()).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert!(page.body.contains("action=\"https://idp.example/sso/post\""), "{}", page.body);
    let csp = page.headers["content-security-policy"].to_str().unwrap();
    // Many a provider sends on from there to a page of another host.
    assert!(csp.contains("form-action 'self' https:;"), "{csp}");
    let request = String::from_utf8(STANDARD.decode(page.field("SAMLRequest")).unwrap()).unwrap();
    assert!(request.contains("<ds:Signature"), "{request}");
    scene.idp.request_id = attribute(&request, "ID");
    let went = scene.post(&scene.idp.answer("ada@corp.example").xml(), Some(&page.field("RelayState"))).await;
    assert!(browser.get(went.location().as_str()).await.query("code").is_some());
}

#[tokio::test]
async fn metadata_at_an_address_is_read_and_read_again() {
    use axum::Router;
    use axum::routing::get;
    use std::sync::{Arc, Mutex};
    let idp = Idp::new();
    let served = Arc::new(Mutex::new(metadata(&idp, false)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metadata", listener.local_addr().unwrap());
    let (shared, answer) = (Arc::clone(&served), |served: Arc<Mutex<String>>| served.lock().unwrap().clone());
    let router = Router::new().route("/metadata", get(move || async move { answer(shared) }));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut scene = Scene::made(idp, json!({"metadataUrl": url})).await;
    let landed = scene.sign_in(&mut scene.authd.browser(), "ada@corp.example").await;
    assert!(landed.query("code").is_some(), "{landed:?}");
    // A new key is not believed before it was read.
    let mut fresh = Idp::new();
    fresh.entity_id.clone_from(&scene.idp.entity_id);
    let relay = scene.leave(&mut scene.authd.browser()).await;
    let rolled = scene.idp.answer("ada@corp.example").signed_with(&fresh.key, &Signing::with(&fresh.key));
    scene.rejects(StatusCode::BAD_REQUEST, "saml_signature_invalid", scene.post(&rolled, Some(&relay))).await;
    *served.lock().unwrap() = metadata(&fresh, false);
    scene.authd.operate("connection.refresh_saml", json!({"id": scene.connection})).await;
    let went = scene.post(&rolled, Some(&relay)).await;
    assert_eq!(went.status, StatusCode::SEE_OTHER, "{}", went.body);
    let events = scene.authd.events().await;
    let refreshed = events.iter().find(|event| event.kind.name() == "connection.saml.refreshed").unwrap();
    let row = serde_json::to_string(refreshed).unwrap();
    assert!(row.contains(&saml::thumbprint(&fresh.key.certificate)), "{row}");
    let report = scene.authd.operate("connection.test", json!({"id": scene.connection})).await;
    assert_eq!(report["ok"], true, "{report}");
}

#[tokio::test]
async fn the_connection_says_what_the_providers_administrator_has_to_know() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let plain = browser.get(&scene.path("metadata")).await;
    assert_eq!(plain.headers["content-type"], "application/samlmetadata+xml");
    for text in [&scene.idp.acs_url, &scene.idp.sp_entity_id, &format!("{PUBLIC_URL}{}", scene.path("slo"))] {
        assert!(plain.body.contains(text.as_str()), "{text}: {}", plain.body);
    }
    assert!(!plain.body.contains("<ds:Signature "));
    let signed = browser.get(&(scene.path("metadata") + "?signed=1")).await;
    assert!(signed.body.contains("<ds:Signature "), "{}", signed.body);
    let report = scene.authd.operate("connection.validate", json!({"id": scene.connection})).await;
    assert_eq!(report["ok"], true, "{report}");
    let checks: Vec<String> = report["checks"].as_array().unwrap().iter().map(|check| text(check, "name")).collect();
    for name in [
        "saml_configured",
        "idp_metadata_present",
        "idp_entity_id",
        "sp_metadata_generates",
        "signed_assertions_compatible",
        "authn_request_signing_compatible",
        "timestamp_validation_configured",
    ] {
        assert!(checks.iter().any(|check| check == name), "{name}: {checks:?}");
    }
    let status = scene.authd.operate("connection.status", json!({"id": scene.connection})).await;
    assert_eq!(status["protocols"]["saml"]["ready"], true, "{status}");
}

#[tokio::test]
async fn one_entity_id_is_one_connections() {
    let scene = Scene::with(json!({"serviceProvider": {"entityId": "https://sp.example/one"}})).await;
    let other = text(&scene.authd.operate("organization.create", json!({"name": "Other"})).await, "id");
    let cx = scene
        .authd
        .app
        .context(authd::access::Caller::Operator { uid: 0 }, authd::event::Origin::internal(scene.authd.env()));
    let wish =
        json!({"organization": other, "protocol": "saml", "name": "Two", "spEntityId": "https://sp.example/one"});
    let error = scene.authd.app.perform(&cx, "connection.create", wish).await.unwrap_err();
    assert_eq!(error.code(), "taken");
    for (wish, code) in [
        (json!({"security": {"clockSkewSeconds": 301}}), "invalid_input"),
        (json!({"security": {"requireTimestamps": false}}), "invalid_input"),
        (json!({"security": {"weakAlgorithmHandling": "warn"}}), "invalid_input"),
        (json!({"security": {"idpInitiatedTarget": "javascript:alert(1)"}}), "invalid_input"),
        (json!({"metadataXml": "<a/>"}), "metadata_invalid"),
        (json!({"metadataXml": "<!DOCTYPE a><a/>"}), "saml_doctype"),
    ] {
        let mut input = wish.clone();
        input["id"] = json!(scene.connection);
        let error = scene.authd.app.perform(&cx, "connection.set_saml", input).await.unwrap_err();
        assert_eq!(error.code(), code, "{wish}");
    }
    assert!(!scene.organization.is_empty());
}

/// A logout request of the provider, by the POST binding.
fn logout(scene: &Scene, person: &str, session: Option<&str>, key: Option<&Key>) -> String {
    let id = fresh("_l");
    let index = session.map(|index| format!("<samlp:SessionIndex>{index}</samlp:SessionIndex>")).unwrap_or_default();
    let xml = format!(
        r#"<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{now}" Destination="{PUBLIC_URL}{slo}" NotOnOrAfter="{end}"><saml:Issuer>{idp}</saml:Issuer><saml:NameID Format="{email}">{person}</saml:NameID>{index}</samlp:LogoutRequest>"#,
        now = at(0),
        end = at(300),
        slo = scene.path("slo"),
        idp = scene.idp.entity_id,
        email = names::EMAIL,
    );
    let prefixes = Prefixes::random();
    let xml = rename(&xml, &prefixes);
    match key {
        Some(key) => sign(&xml, &id, key, &Signing::with(key), &prefixes),
        None => xml,
    }
}

#[tokio::test]
async fn saml_34_the_providers_word_ends_the_sessions_that_it_means() {
    let mut scene = Scene::new().await;
    let (mut ada, mut bob) = (scene.authd.browser(), scene.authd.browser());
    scene.sign_in(&mut ada, "ada@corp.example").await;
    scene.sign_in(&mut bob, "bob@corp.example").await;
    let in_here = async |browser: &Browser, who: &str| browser.clone().get("/signin").await.body.contains(who);
    assert!(in_here(&ada, "ada@corp.example").await && in_here(&bob, "bob@corp.example").await);
    let say = async |xml: String| {
        let text = posted(&xml);
        let fields = [("SAMLRequest", text.as_str()), ("RelayState", "theirs")];
        scene.authd.browser().send(Method::POST, &scene.path("slo"), &[], Some(&fields)).await
    };
    let other = Key::rsa();
    for (key, code) in [(None, "saml_signature_missing"), (Some(&other), "saml_signature_invalid")] {
        let xml = logout(&scene, "ada@corp.example", None, key);
        scene.rejects(StatusCode::BAD_REQUEST, code, say(xml)).await;
    }
    let nobody = say(logout(&scene, "ada@corp.example", Some("_other"), Some(&scene.idp.key))).await;
    assert_eq!(nobody.status, StatusCode::SEE_OTHER, "whoever was not in is out: {}", nobody.body);
    assert!(in_here(&ada, "ada@corp.example").await);

    let word = logout(&scene, "ada@corp.example", Some("_s1"), Some(&scene.idp.key));
    let told = say(word.clone()).await;
    assert!(told.location().as_str().starts_with("https://idp.example/slo?SAMLResponse="), "{told:?}");
    assert_eq!(told.query("RelayState").as_deref(), Some("theirs"));
    assert!(told.query("Signature").is_some());
    assert!(inflated(&told.query("SAMLResponse").unwrap()).contains(names::SUCCESS));
    assert!(!in_here(&ada, "ada@corp.example").await, "ada is out");
    assert!(in_here(&bob, "bob@corp.example").await, "bob is not");
    scene.rejects(StatusCode::BAD_REQUEST, "saml_replay", say(word)).await;
}

#[tokio::test]
async fn the_provider_may_end_a_session_earlier() {
    let mut scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let relay = scene.leave(&mut browser).await;
    let end = format!(r#"SessionIndex="_s1" SessionNotOnOrAfter="{}""#, at(600));
    let xml = scene.idp.answer("ada@corp.example").mode(Mode::Both).assertion(r#"SessionIndex="_s1""#, &end).xml();
    let went = scene.post(&xml, Some(&relay)).await;
    browser.get(went.location().as_str()).await;
    scene.authd.env().advance(Duration::from_secs(600 + 119));
    assert!(browser.get("/signin").await.body.contains("ada@corp.example"));
    scene.authd.env().advance(Duration::from_secs(2));
    assert!(!browser.get("/signin").await.body.contains("ada@corp.example"));
}
