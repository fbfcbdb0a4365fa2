//! Single logout over the real routes: begun here, and begun at the provider.

use std::time::Duration;

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, LogoutExpect, LogoutMessage, names};
use axum::http::{Method, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::logout::{query, signed};
use super::scene::{Scene, attribute, between, inflated, text};
use crate::world::authd::{Browser, PUBLIC_URL, Reply};
use crate::world::saml::{Idp, Key, fresh, metadata, posted};

const SLO: &str = "https://idp.example/slo";
const BACK: &str = "https://app.example/bye";

/// An answer to an order: its text and its ID.
fn answer(scene: &Scene, order: &str) -> (String, String) {
    let id = fresh("_l");
    let now = scene.authd.env().now();
    let xml = format!(
        r#"<samlp:LogoutResponse xmlns:samlp="{protocol}" xmlns:saml="{assertion}" ID="{id}" Version="2.0" IssueInstant="{now}" Destination="{PUBLIC_URL}{slo}" InResponseTo="{order}"><saml:Issuer>{idp}</saml:Issuer><samlp:Status><samlp:StatusCode Value="{success}"/></samlp:Status></samlp:LogoutResponse>"#,
        protocol = names::PROTOCOL,
        assertion = names::ASSERTION,
        slo = scene.path("slo"),
        idp = scene.idp.entity_id,
        success = names::SUCCESS,
    );
    (xml, id)
}

async fn by_redirect(scene: &Scene, xml: &str, key: &Key) -> Reply {
    let path = format!("{}?{}", scene.path("slo"), query(xml, "SAMLResponse", key, Some("state"), false));
    scene.authd.browser().get(&path).await
}

async fn by_post(scene: &Scene, xml: &str) -> Reply {
    let text = posted(xml);
    let cross = [("sec-fetch-site", "cross-site")];
    scene.authd.browser().send(Method::POST, &scene.path("slo"), &cross, Some(&[("SAMLResponse", &text)])).await
}

/// The order in a message that the browser takes along, checked as the provider would check it.
async fn order(scene: &Scene, incoming: Result<&str, &str>) -> saml::LogoutRequest {
    let page = scene.authd.browser().get(&scene.path("metadata")).await;
    let certificate = STANDARD.decode(between(&page.body, "X509Certificate>", "<")).unwrap();
    let certificates = [certificate];
    let expect = LogoutExpect {
        idp_entity_id: &scene.idp.sp_entity_id,
        certificates: &certificates,
        slo_url: SLO,
        now: scene.authd.env().now(),
        skew: Duration::from_secs(120),
        algorithms: &[],
        request_id: None,
    };
    let read = match incoming {
        Ok(query) => saml::read_redirect(query, &expect, &mut Checks::new()),
        Err(posted) => saml::read_post(posted, &expect, &mut Checks::new()),
    };
    match read.unwrap() {
        LogoutMessage::Request(request) => request,
        LogoutMessage::Response(_) => panic!("an answer where an order belongs"),
    }
}

fn in_here(page: &Reply) -> bool {
    page.status == StatusCode::OK && page.body.contains("ada@corp.example")
}

fn policy(page: &Reply) -> String {
    page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
}

/// Signs out on the person's own page; the id of the order.
async fn leave(scene: &Scene, browser: &mut Browser) -> String {
    let left = browser.post("/signin/sign-out", &[]).await;
    assert_eq!(left.status, StatusCode::SEE_OTHER, "{left:?}");
    assert!(left.location().as_str().starts_with(&format!("{SLO}?SAMLRequest=")), "{left:?}");
    let read = order(scene, Ok(left.location().query().unwrap())).await;
    assert_eq!(left.query("RelayState").as_deref(), Some(&*read.id));
    read.id
}

#[tokio::test]
async fn signing_out_here_ends_the_session_first_and_then_the_providers() {
    let mut scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser, "ada@corp.example").await;
    let page = browser.get("/signin").await;
    assert!(in_here(&page) && policy(&page).contains("form-action 'self' http: https:"), "{}", policy(&page));
    let left = browser.clone().post("/signin/sign-out", &[]).await;
    // Whatever becomes of the order, nobody is signed in here.
    assert!(!in_here(&browser.get("/signin").await));
    assert_eq!(scene.told("session.signed_out").await.len(), 1);
    let read = order(&scene, Ok(left.location().query().unwrap())).await;
    assert_eq!((&*read.name_id.value, &*read.name_id.format), ("ada@corp.example", names::EMAIL));
    assert_eq!(read.session_indexes, ["_s1"]);

    let (xml, _) = answer(&scene, &read.id);
    let out = by_redirect(&scene, &xml, &scene.idp.key).await;
    assert!(out.status == StatusCode::OK && out.body.contains("signed out"), "{}", out.body);
    let told = scene.told("connection.logout.answered").await;
    assert_eq!((told.len(), &told[0]["outcome"]), (1, &json!("success")), "{told:?}");
    assert!(told[0].to_string().contains(&scene.connection), "{told:?}");
}

#[tokio::test]
async fn an_app_that_signs_a_person_out_gets_them_back_after_the_provider() {
    let mut scene = Scene::new().await;
    scene.authd.operate("app.update", json!({"id": scene.app, "postLogoutRedirectUris": [BACK]})).await;
    for by in ["redirect", "post"] {
        let mut browser = scene.authd.browser();
        let landed = scene.sign_in(&mut browser, "ada@corp.example").await;
        let tokens = scene.tokens(&landed).await;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("id_token_hint", &*text(&tokens, "id_token")),
                ("post_logout_redirect_uri", BACK),
                ("state", "s"),
            ])
            .finish();
        let left = browser.get(&format!("/oauth2/logout?{query}")).await;
        let id = attribute(&inflated(&left.query("SAMLRequest").unwrap()), "ID");
        assert!(!in_here(&browser.get("/signin").await));
        let out = match by {
            "redirect" => by_redirect(&scene, &answer(&scene, &id).0, &scene.idp.key).await,
            _ => by_post(&scene, &signed(&answer(&scene, &id), &scene.idp.key)).await,
        };
        assert_eq!(out.status, StatusCode::SEE_OTHER, "{by}: {}", out.body);
        assert_eq!(out.location().as_str(), format!("{BACK}?state=s"));
        assert!(!out.headers.contains_key(header::SET_COOKIE), "the answer is anybody's to carry");
    }
    // Signed out already: nobody is sent to the provider.
    let query = format!("client_id={}&post_logout_redirect_uri={BACK}", scene.app);
    let out = scene.authd.browser().get(&format!("/oauth2/logout?{query}")).await;
    assert_eq!(out.location().as_str(), BACK);
}

#[tokio::test]
async fn saml_34_an_answer_to_our_order_is_checked_like_everything_else() {
    let mut scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser, "ada@corp.example").await;
    let id = leave(&scene, &mut browser).await;
    // The provider's clock stands, so who signs in does it now.
    scene.sign_in(&mut browser, "ada@corp.example").await;
    let unanswered = leave(&scene, &mut browser).await;
    let stranger = Key::rsa();
    let bad = StatusCode::BAD_REQUEST;
    let (xml, name) = answer(&scene, &id);
    scene.rejects(bad, "saml_signature_missing", by_post(&scene, &xml)).await;
    let forged = signed(&(xml.clone(), name.clone()), &stranger);
    scene.rejects(bad, "saml_signature_invalid", by_post(&scene, &forged)).await;
    scene.rejects(bad, "saml_signature_invalid", by_redirect(&scene, &xml, &stranger)).await;
    let other = fresh("_").chars().cycle().take(id.len()).collect::<String>();
    for (from, to, code) in [
        (format!("InResponseTo=\"{id}\""), format!("InResponseTo=\"{other}\""), "saml_in_response_to"),
        (format!(" InResponseTo=\"{id}\""), String::new(), "saml_in_response_to"),
        (scene.idp.entity_id.clone(), "https://other.example".to_owned(), "saml_issuer"),
        (format!("Destination=\"{PUBLIC_URL}"), "Destination=\"https://other.example".to_owned(), "saml_destination"),
        ("Version=\"2.0\"".to_owned(), "Version=\"1.1\"".to_owned(), "saml_structure"),
    ] {
        assert!(xml.contains(&from), "{from}");
        let changed = xml.replacen(&from, &to, 1);
        scene.rejects(bad, code, by_redirect(&scene, &changed, &scene.idp.key)).await;
        let changed = signed(&(changed, name.clone()), &scene.idp.key);
        scene.rejects(bad, code, by_post(&scene, &changed)).await;
        // Told one by one up to ten a minute.
        scene.authd.env().advance(Duration::from_secs(61));
    }
    // What holds is taken once.
    let (xml, _) = answer(&scene, &id);
    assert_eq!(by_redirect(&scene, &xml, &scene.idp.key).await.status, StatusCode::OK);
    scene.rejects(bad, "saml_in_response_to", by_redirect(&scene, &xml, &scene.idp.key)).await;

    scene.authd.env().advance(Duration::from_secs(601));
    let (late, _) = answer(&scene, &unanswered);
    scene.rejects(bad, "saml_in_response_to", by_redirect(&scene, &late, &scene.idp.key)).await;
}

#[tokio::test]
async fn a_provider_that_has_not_ended_everything_is_told_of_and_keeps_nobody() {
    let mut scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser, "ada@corp.example").await;
    let id = leave(&scene, &mut browser).await;
    let partial = "status:Success\"><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:PartialLogout\"/></samlp:StatusCode>";
    let xml = answer(&scene, &id).0.replace("status:Success\"/>", partial);
    let out = by_redirect(&scene, &xml, &scene.idp.key).await;
    assert_eq!(out.status, StatusCode::OK, "{}", out.body);
    let told = scene.told("connection.logout.answered").await;
    assert_eq!((&told[0]["outcome"], &told[0]["errorCode"]), (&json!("failure"), &json!("upstream_denied")));
    assert!(told[0].to_string().contains("PartialLogout"), "{told:?}");
}

#[tokio::test]
async fn a_provider_without_an_address_for_it_or_by_posts_only() {
    let idp = Idp::new();
    let slo = format!("<md:SingleLogoutService Binding=\"{}\" Location=\"{SLO}\"/>", names::REDIRECT);
    let without = metadata(&idp, false).replace(&slo, "");
    let mut scene = Scene::made(idp, json!({"metadataXml": without})).await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser, "ada@corp.example").await;
    assert!(!policy(&browser.get("/signin").await).contains("https:"));
    let out = browser.post("/signin/sign-out", &[]).await;
    assert!(out.status == StatusCode::OK && out.body.contains("signed out"), "{}", out.body);

    let xml = metadata(&scene.idp, false).replace(&slo, &slo.replace(names::REDIRECT, names::POST));
    scene.authd.operate("connection.set_saml", json!({"id": scene.connection, "metadataXml": xml})).await;
    scene.sign_in(&mut browser, "ada@corp.example").await;
    let page = browser.post("/signin/sign-out", &[]).await;
    assert!(page.status == StatusCode::OK && page.body.contains(&format!("action=\"{SLO}\"")), "{}", page.body);
    let read = order(&scene, Err(&page.field("SAMLRequest"))).await;
    assert_eq!(page.field("RelayState"), read.id);
    assert!(!in_here(&browser.get("/signin").await));
    let out = by_post(&scene, &signed(&answer(&scene, &read.id), &scene.idp.key)).await;
    assert_eq!(out.status, StatusCode::OK, "{}", out.body);
}

#[tokio::test]
async fn the_apps_frames_come_before_the_provider() {
    let mut scene = Scene::new().await;
    scene
        .authd
        .operate("app.update", json!({"id": scene.app, "frontchannelLogoutUri": "https://app.example/out"}))
        .await;
    let mut browser = scene.authd.browser();
    let landed = scene.sign_in(&mut browser, "ada@corp.example").await;
    scene.tokens(&landed).await;
    let page = browser.post("/signin/sign-out", &[]).await;
    assert!(page.body.contains("<iframe src=\"https://app.example/out"), "{}", page.body);
    let refresh = page.headers[header::REFRESH].to_str().unwrap().to_owned();
    let (_, next) = refresh.split_once("url=").unwrap();
    assert!(next.starts_with(&format!("{PUBLIC_URL}/oauth2/logout/upstream?order=")), "{refresh}");
    let left = browser.get(next).await;
    let read = order(&scene, Ok(left.location().query().unwrap())).await;
    assert_eq!(by_redirect(&scene, &answer(&scene, &read.id).0, &scene.idp.key).await.status, StatusCode::OK);
    let over = browser.get(next).await;
    assert!(over.body.contains("attempt_expired"), "{}", over.body);
    assert!(!browser.get("/oauth2/logout/upstream").await.status.is_success());
}

/// An order of the provider by the redirect binding: the query, signed as it stands.
fn ordered(scene: &Scene, person: &str, session: &str, relay: &str) -> String {
    let now = scene.authd.env().now();
    let xml = format!(
        r#"<samlp:LogoutRequest xmlns:samlp="{}" xmlns:saml="{}" ID="{}" Version="2.0" IssueInstant="{now}" Destination="{PUBLIC_URL}{}"><saml:Issuer>{}</saml:Issuer><saml:NameID Format="{}">{person}</saml:NameID><samlp:SessionIndex>{session}</samlp:SessionIndex></samlp:LogoutRequest>"#,
        names::PROTOCOL,
        names::ASSERTION,
        fresh("_l"),
        scene.path("slo"),
        scene.idp.entity_id,
        names::EMAIL,
    );
    query(&xml, "SAMLRequest", &scene.idp.key, Some(relay), true)
}

#[tokio::test]
async fn saml_34_the_providers_order_by_redirect_is_signed_as_it_stands_in_the_query() {
    let mut scene = Scene::new().await;
    let (mut ada, mut bob) = (scene.authd.browser(), scene.authd.browser());
    scene.sign_in(&mut ada, "ada@corp.example").await;
    scene.sign_in(&mut bob, "bob@corp.example").await;
    let word = ordered(&scene, "ada@corp.example", "_s1", "a b/c?d=e");
    let path = scene.path("slo");
    let say = async |query: &str| scene.authd.browser().get(&format!("{path}?{query}")).await;
    let bad = StatusCode::BAD_REQUEST;
    // The same when decoded, but not the octets that were signed.
    let upper = word.replace("%2f", "%2F").replace("a+b", "a%20b");
    assert_ne!(upper, word);
    scene.rejects(bad, "saml_signature_invalid", say(&upper)).await;
    scene.rejects(bad, "saml_signature_invalid", say(&word.replace("a+b", "a+c"))).await;
    let (unsigned, _) = word.split_once("&SigAlg").unwrap();
    scene.rejects(bad, "saml_signature_missing", say(unsigned)).await;
    assert!(in_here(&ada.get("/signin").await));

    let told = say(&word).await;
    assert!(told.location().as_str().starts_with(&format!("{SLO}?SAMLResponse=")), "{told:?}");
    assert_eq!(told.query("RelayState").as_deref(), Some("a b/c?d=e"));
    assert!(inflated(&told.query("SAMLResponse").unwrap()).contains(names::SUCCESS));
    assert!(!in_here(&ada.get("/signin").await), "ada is out");
    assert!(bob.get("/signin").await.body.contains("bob@corp.example"), "bob is not");
    scene.rejects(bad, "saml_replay", say(&word)).await;
    let received: Vec<Value> = scene.told("connection.logout.received").await;
    assert_eq!(received.len(), 1, "{received:?}");
}
