//! The life of metadata: read again by itself, at once for an unknown key, approved where that is asked for, and certificates
//! that end.

use std::time::Duration;

use authd::connection::saml;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::scene::{Published, Scene, attribute};
use crate::world::authd::Reply;
use crate::world::saml::{Idp, Key, Prefixes, Signing, fresh, metadata, sign};

const HOUR: Duration = Duration::from_secs(3600);
const REFRESHED: &str = "connection.saml.refreshed";

/// The same provider with another key.
fn rolled(idp: &Idp) -> Idp {
    let mut next = Idp::new();
    next.entity_id.clone_from(&idp.entity_id);
    next
}

/// Metadata with the certificates of both.
fn both(idp: &Idp, next: &Idp) -> String {
    let (one, two) = (metadata(idp, false), metadata(next, false));
    let key = |xml: &str| {
        let (start, end) = (xml.find("<md:KeyDescriptor").unwrap(), xml.find("</md:KeyDescriptor>").unwrap());
        xml[start..end].to_owned() + "</md:KeyDescriptor>"
    };
    one.replacen(&key(&one), &(key(&one) + &key(&two)), 1)
}

async fn published(more: Value) -> (Scene, Published) {
    let idp = Idp::new();
    let at = Published::new(metadata(&idp, false)).await;
    let mut wish = json!({"metadataUrl": at.url});
    for (name, value) in more.as_object().unwrap() {
        wish[name] = value.clone();
    }
    (Scene::made(idp, wish).await, at)
}

impl Scene {
    /// A sign-in by an answer that this provider signs; the status of the post.
    async fn try_with(&mut self, idp: &Idp) -> StatusCode {
        let relay = self.leave(&mut self.authd.browser()).await;
        let xml = self.idp.answer("ada@corp.example").signed_with(&idp.key, &Signing::with(&idp.key));
        self.post(&xml, Some(&relay)).await.status
    }

    async fn status(&self) -> Value {
        self.authd.operate("connection.status", json!({"id": self.connection})).await["protocols"]["saml"].clone()
    }

    async fn shown(&self) -> Value {
        self.authd.operate("connection.get_saml", json!({"id": self.connection})).await["identityProvider"].clone()
    }
}

fn print(idp: &Idp) -> String {
    saml::thumbprint(&idp.key.certificate)
}

#[tokio::test]
async fn metadata_is_read_again_every_six_hours_and_what_changed_is_told() {
    let (scene, at) = published(json!({})).await;
    assert_eq!(at.asked(), 1);
    scene.authd.env().advance(6 * HOUR - Duration::from_secs(1));
    assert_eq!(scene.tend().await, 0);
    scene.authd.env().advance(Duration::from_secs(1));
    assert_eq!((scene.tend().await, at.asked()), (1, 2));
    assert!(scene.told(REFRESHED).await.is_empty(), "nothing has changed");
    assert_eq!((scene.tend().await, at.asked()), (0, 2));

    let next = rolled(&scene.idp);
    at.says(metadata(&next, false).replace("https://idp.example/slo", "https://idp.example/out"));
    scene.authd.env().advance(6 * HOUR);
    assert_eq!(scene.tend().await, 1);
    let told = scene.told(REFRESHED).await;
    assert_eq!(told.len(), 1);
    let data = &told[0]["data"];
    assert_eq!(data["certificates_added"], json!([print(&next)]));
    assert_eq!(data["certificates_removed"], json!([print(&scene.idp)]));
    assert_eq!(data["endpoints_added"], json!(["slo HTTP-Redirect https://idp.example/out"]));
    assert_eq!(data["endpoints_removed"], json!(["slo HTTP-Redirect https://idp.example/slo"]));
    assert_eq!(scene.shown().await["sloUrl"], "https://idp.example/out");
    // A restart forgets nothing of it.
    let asked = at.asked();
    let again = scene.authd.restarted().await;
    let scene = Scene { authd: again, ..scene };
    assert_eq!((scene.tend().await, at.asked()), (0, asked));
}

#[tokio::test]
async fn metadata_says_how_often_and_until_when() {
    let (mut scene, at) = published(json!({})).await;
    let end = |seconds: i64| authd::env::Timestamp::from_millis(scene.authd.env().now().millis() + seconds * 1000);
    let said = |extra: &str| metadata(&scene.idp, false).replacen(" entityID=", &format!("{extra} entityID="), 1);
    let (hourly, ending) =
        (said(" cacheDuration=\"PT1H\""), said(&format!(" validUntil=\"{}\"", end(6 * 3600 + 3600 + 4 * 3600))));
    at.says(hourly);
    scene.authd.env().advance(6 * HOUR);
    assert_eq!(scene.tend().await, 1);
    scene.authd.env().advance(HOUR - Duration::from_secs(1));
    assert_eq!(scene.tend().await, 0);
    at.says(ending);
    scene.authd.env().advance(Duration::from_secs(1));
    assert_eq!(scene.tend().await, 1, "every hour");
    // Four hours are left: it is read half way, and goes on failing until they are over.
    at.says(None);
    scene.authd.env().advance(2 * HOUR - Duration::from_secs(1));
    assert_eq!(scene.tend().await, 0);
    scene.authd.env().advance(Duration::from_secs(1));
    assert_eq!(scene.tend().await, 1);
    assert_eq!(scene.told("connection.saml.refresh_failed").await.len(), 1);
    assert_eq!(scene.status().await["metadataTrouble"], "upstream_unavailable");
    let idp = rolled(&scene.idp);
    assert_eq!(scene.try_with(&idp).await, StatusCode::BAD_REQUEST, "another key, while the old one holds");
    scene.authd.env().advance(2 * HOUR);
    scene.tend().await;
    assert_eq!(scene.told("connection.saml.refresh_failed").await.len(), 1, "told once");
    let refused = scene.authd.browser().get(&scene.authorize()).await;
    let at_provider =
        |reply: &Reply| reply.headers.get("location").is_some_and(|to| to.to_str().unwrap().contains("SAMLRequest"));
    assert!(!at_provider(&refused), "past its date it counts no longer: {refused:?}");
    // There again, it counts again.
    at.says(metadata(&scene.idp, false));
    scene.authd.env().advance(6 * HOUR);
    assert_eq!(scene.tend().await, 1);
    scene.leave(&mut scene.authd.browser()).await;
    assert!(scene.status().await.get("metadataTrouble").is_none());
}

#[tokio::test]
async fn an_unknown_key_makes_authd_ask_once_and_believe_what_the_metadata_says() {
    let (mut scene, at) = published(json!({})).await;
    let (next, stranger) = (rolled(&scene.idp), rolled(&scene.idp));
    at.says(both(&scene.idp, &next));
    let asked = at.asked();
    assert_eq!(scene.try_with(&next).await, StatusCode::SEE_OTHER, "at once");
    assert_eq!(at.asked(), asked + 1);
    assert!(scene.told(REFRESHED).await[0].to_string().contains("\"system\""));
    // A flood of strangers asks once in 30 seconds, and ends nobody's sign-in.
    scene.authd.env().advance(Duration::from_secs(31));
    for _ in 0..20 {
        assert_eq!(scene.try_with(&stranger).await, StatusCode::BAD_REQUEST);
    }
    assert_eq!(at.asked(), asked + 2);
    let third = rolled(&scene.idp);
    at.says(metadata(&third, false));
    assert_eq!(scene.try_with(&third).await, StatusCode::BAD_REQUEST, "just asked");
    scene.authd.env().advance(Duration::from_secs(31));
    assert_eq!(scene.try_with(&third).await, StatusCode::SEE_OTHER);
    assert_eq!(scene.try_with(&next).await, StatusCode::BAD_REQUEST, "withdrawn");
}

#[tokio::test]
async fn of_many_answers_with_an_unknown_key_at_once_one_asks() {
    let (mut scene, at) = published(json!({})).await;
    let stranger = rolled(&scene.idp);
    let asked = at.asked();
    let relay = scene.leave(&mut scene.authd.browser()).await;
    let xml = scene.idp.answer("ada@corp.example").signed_with(&stranger.key, &Signing::with(&stranger.key));
    let posts = (0..16).map(|_| scene.post(&xml, Some(&relay)));
    let replies = futures_util::future::join_all(posts).await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::BAD_REQUEST), "{replies:?}");
    assert_eq!(at.asked(), asked + 1);
}

#[tokio::test]
async fn the_trace_of_a_sign_in_after_a_change_of_keys_has_no_failed_check() {
    let (mut scene, at) = published(json!({})).await;
    let next = rolled(&scene.idp);
    at.says(metadata(&next, false));
    let mut browser = scene.authd.browser();
    let relay = scene.leave(&mut browser).await;
    let xml = scene.idp.answer("ada@corp.example").signed_with(&next.key, &Signing::with(&next.key));
    let went = scene.post(&xml, Some(&relay)).await;
    let landed = browser.get(went.location().as_str()).await;
    assert!(landed.query("code").is_some(), "{landed:?}");
    let trace = scene.explained(&landed).await;
    let checks = trace["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["ok"] == true), "{trace}");
    assert!(checks.iter().any(|check| check["name"] == "metadata_read_again"), "{trace}");
}

#[tokio::test]
async fn a_new_certificate_waits_for_approval_where_that_is_asked_for() {
    let (mut scene, at) = published(json!({"saml": {"metadata": {"requireApproval": true}}})).await;
    let next = rolled(&scene.idp);
    at.says(metadata(&next, false));
    assert_eq!(scene.try_with(&next).await, StatusCode::BAD_REQUEST, "not before somebody has looked");
    let told = scene.told(REFRESHED).await;
    assert_eq!(told[0]["data"]["certificates_pending"], json!([print(&next)]), "{told:?}");
    let shown = scene.shown().await;
    assert_eq!(shown["pendingCertificates"][0]["thumbprint"], print(&next));
    assert_eq!(shown["certificates"][0]["thumbprint"], print(&scene.idp), "the old one goes on until then");
    let old = rolled(&scene.idp);
    assert_eq!(scene.try_with(&old).await, StatusCode::BAD_REQUEST);
    let landed = scene.sign_in(&mut scene.authd.browser(), "ada@corp.example").await;
    assert!(landed.query("code").is_some(), "{landed:?}");

    for wrong in [json!([]), json!(["00"]), json!([print(&scene.idp)])] {
        let refused =
            scene.refused("connection.approve_saml", json!({"id": scene.connection, "certificates": wrong})).await;
        assert_eq!(refused, "invalid_input", "{wrong}");
    }
    // As people copy it elsewhere.
    let pairs: Vec<String> =
        print(&next).as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two).to_uppercase()).collect();
    let wish = json!({"id": scene.connection, "certificates": [pairs.join(":")]});
    scene.authd.operate("connection.approve_saml", wish).await;
    assert_eq!(scene.told("connection.saml.approved").await[0]["data"]["certificates_added"], json!([print(&next)]));
    assert_eq!(scene.try_with(&next).await, StatusCode::SEE_OTHER);
    // What the metadata has no more ends with the next look, which is at once.
    assert_eq!(scene.tend().await, 1);
    let shown = scene.shown().await;
    assert_eq!(shown["certificates"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["certificates"][0]["thumbprint"], print(&next));
    assert!(shown.get("pendingCertificates").is_none(), "{shown}");
}

#[tokio::test]
async fn metadata_that_is_another_providers_all_of_a_sudden_is_not_taken_over() {
    let (scene, at) = published(json!({})).await;
    at.says(metadata(&Idp::new(), false));
    assert_eq!(scene.refused("connection.refresh_saml", json!({"id": scene.connection})).await, "metadata_invalid");
    scene.authd.env().advance(6 * HOUR);
    scene.tend().await;
    assert_eq!(scene.shown().await["entityId"], scene.idp.entity_id);
    assert_eq!(scene.status().await["metadataTrouble"], "metadata_invalid");
}

#[tokio::test]
async fn metadata_that_has_to_be_signed_is_believed_for_its_signature() {
    let (idp, signer, stranger) = (Idp::new(), Key::rsa(), Key::rsa());
    let prefixes = Prefixes { signature: "ds".into(), ..Prefixes::random() };
    let with_id =
        |xml: &str, id: &str| xml.replacen("<md:EntityDescriptor ", &format!("<md:EntityDescriptor ID=\"{id}\" "), 1);
    let by = |key: &Key| {
        let id = fresh("_m");
        sign(&with_id(&metadata(&idp, false), &id), &id, key, &Signing::with(key), &prefixes)
    };
    let (good, forged, unsigned) = (by(&signer), by(&stranger), metadata(&idp, false));
    let changed = good.replace("https://idp.example/sso/post", "https://evil.example/sso");
    let wrapped = format!(
        "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" ID=\"_w\">{}{good}</md:EntitiesDescriptor>",
        metadata(&Idp::new(), false)
    );
    let scene = Scene::new().await;
    let pinned = super::scene::pem(&signer.certificate);
    let set = |xml: &str| json!({"id": scene.connection, "metadata": {"xml": xml, "signingCertificate": pinned}});
    for (xml, code) in [
        (&unsigned, "saml_signature_missing"),
        (&forged, "saml_signature_invalid"),
        (&changed, "saml_signature_invalid"),
        (&wrapped, "saml_signature_missing"),
    ] {
        assert_eq!(scene.refused("connection.set_saml", set(xml)).await, code);
    }
    let view = scene.authd.operate("connection.set_saml", set(&good)).await;
    assert_eq!(view["identityProvider"]["entityId"], idp.entity_id);
    assert_eq!(view["metadataSigningCertificates"][0]["thumbprint"], saml::thumbprint(&signer.certificate));
    // At an address as well.
    let at = Published::new(good.clone()).await;
    scene.authd.operate("connection.set_saml", json!({"id": scene.connection, "metadataUrl": at.url})).await;
    at.says(forged);
    assert_eq!(
        scene.refused("connection.refresh_saml", json!({"id": scene.connection})).await,
        "saml_signature_invalid"
    );
}

#[tokio::test]
async fn a_certificate_that_ends_is_told_of_at_sixty_thirty_and_seven_days_and_when_it_has() {
    let mut idp = Idp::new();
    // The clock stands at the first of January of 2026.
    idp.key.certificate = idp.key.ending((2026, 4, 1));
    let scene = Scene::new().await;
    let xml = metadata(&idp, false);
    scene.authd.operate("connection.set_saml", json!({"id": scene.connection, "metadataXml": xml})).await;
    let day = |days: u64| Duration::from_secs(days * 24 * 3600);
    let mut told = Vec::new();
    assert_eq!(scene.tend().await, 0);
    for (days, expected) in [(29, 0), (1, 1), (1, 1), (28, 1), (1, 2), (22, 2), (1, 3), (6, 3), (1, 4), (90, 4)] {
        scene.authd.env().advance(day(days));
        scene.tend().await;
        scene.tend().await;
        told = scene.told("connection.saml.certificate_expiring").await;
        assert_eq!(told.len(), expected, "{days}: {told:?}");
    }
    let days: Vec<&Value> = told.iter().map(|event| &event["data"]["days"]).collect();
    assert_eq!(days, [60, 30, 7, 0]);
    assert_eq!(told[0]["data"]["thumbprint"], saml::thumbprint(&idp.key.certificate));
    assert_eq!(told[0]["data"]["whose"], "identity_provider");
    // Seen for the first time when little is left, it is told once.
    let scene = Scene::made(idp, json!({"metadataXml": xml})).await;
    scene.authd.env().advance(day(85));
    scene.tend().await;
    assert_eq!(scene.told("connection.saml.certificate_expiring").await.len(), 1);
}

#[tokio::test]
async fn a_sign_in_shows_how_far_the_providers_clock_is_off_and_that_groups_were_left_out() {
    let mut scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    assert!(scene.status().await.get("observedClockSkewMs").is_none());
    let relay = scene.leave(&mut browser).await;
    let issued = |xml: &str| attribute(xml, "IssueInstant");
    let answer = scene.idp.answer("ada@corp.example");
    let (from, to) = (issued(&answer.assertion), crate::world::saml::at(42));
    let answer = answer
        .assertion(&format!("IssueInstant=\"{from}\""), &format!("IssueInstant=\"{to}\""))
        .assertion("Name=\"groups\"", "Name=\"http://schemas.microsoft.com/claims/groups.link\"");
    let went = scene.post(&answer.xml(), Some(&relay)).await;
    assert_eq!(went.status, StatusCode::SEE_OTHER, "{}", went.body);
    let landed = browser.get(went.location().as_str()).await;
    let status = scene.status().await;
    assert_eq!((&status["observedClockSkewMs"], &status["groupsLeftOut"]), (&json!(42_000), &json!(true)), "{status}");
    let trace = scene.explained(&landed).await.to_string();
    assert!(trace.contains("groups_overage"), "{trace}");
    let report = scene.authd.operate("connection.test", json!({"id": scene.connection})).await.to_string();
    assert!(report.contains("42 seconds ahead") && report.contains("groups_complete"), "{report}");
}
