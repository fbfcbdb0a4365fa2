//! Challenges, the look into DNS that answers them, and the one owner there is.

use std::sync::Arc;

use authd::access::{Caller, perform};
use authd::connection::domain::{self, ConfirmDomain, VerifyDomain};
use authd::error::codes;
use serde_json::{Value, json};

use super::{DAY, HOUR, Scene, record, text};

fn checks(report: &Value) -> Vec<(String, bool)> {
    let rows = report["checks"].as_array().unwrap();
    rows.iter().map(|row| (text(row, "name"), row["ok"].as_bool().unwrap())).collect()
}

const NAMES: [&str; 5] =
    ["verification_requested", "challenge_active", "dns_record_present", "dns_record_matches", "domain_verified"];

fn shape(held: [bool; 5]) -> Vec<(String, bool)> {
    NAMES.iter().zip(held).map(|(name, ok)| ((*name).to_owned(), ok)).collect()
}

#[tokio::test]
async fn a_challenge_has_the_promised_shape_and_seven_days() {
    let scene = Scene::new().await;
    let connection = scene.connect(&scene.acme, &["acme.example"]).await;
    scene.env.advance(HOUR);
    let this = json!({"connection": connection, "domain": "ACME.example"});
    let asked = scene.operate("domain.request", this).await;
    let value = text(&asked["challenge"], "recordValue");
    assert_eq!(
        asked,
        json!({
            "connectionId": connection, "domain": "acme.example",
            "requestedAt": "2026-01-01T01:00:00.000Z", "expiresAt": "2026-01-08T01:00:00.000Z",
            "challenge": {"recordType": "TXT", "recordName": "_authd-verification.acme.example", "recordValue": value},
        })
    );
    let secret = value.strip_prefix("authd-verification=").unwrap();
    assert_eq!(authd::crypto::from_base64url(secret).unwrap().len(), 32);
    let status = scene.operate("domain.status", json!({"connection": connection})).await;
    assert_eq!(
        status["pendingChallenges"],
        json!([{
            "domain": "acme.example", "recordType": "TXT", "recordName": "_authd-verification.acme.example",
            "recordValue": value, "requestedAt": "2026-01-01T01:00:00.000Z", "expiresAt": "2026-01-08T01:00:00.000Z",
        }])
    );
}

#[tokio::test]
async fn a_confirmation_reports_what_was_seen_and_proves_when_all_of_it_holds() {
    let scene = Scene::new().await;
    let connection = scene.connect(&scene.acme, &["acme.example"]).await;
    let this = json!({"connection": connection, "domain": "acme.example"});
    let confirm = async || scene.operate("domain.confirm", this.clone()).await;
    let at = record("acme.example");

    let report = confirm().await;
    assert_eq!(checks(&report), shape([true, true, false, false, false]));
    assert_eq!(
        (&report["ok"], &report["connectionId"], &report["domain"]),
        (&json!(false), &json!(connection), &json!("acme.example"))
    );
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["ok", "connectionId", "domain", "checks"]);
    assert!(report["checks"][2]["message"].as_str().unwrap().contains(&at));

    // Another's words, with what a terminal would obey.
    scene.zone.set(&at, &["v=spf1 -all", "authd-verification=\u{1b}]52;c;x\u{7}"]);
    let report = confirm().await;
    assert_eq!(checks(&report), shape([true, true, true, false, false]));
    let said = report["checks"][2]["message"].as_str().unwrap();
    assert!(said.contains("`v=spf1 -all`") && !said.contains('\u{1b}'), "{said}");

    scene.zone.down(true);
    let report = confirm().await;
    assert_eq!(checks(&report), shape([true, true, false, false, false]));
    assert!(report["checks"][2]["message"].as_str().unwrap().contains("No name server"));
    assert_eq!(scene.refused("domain.verify", this.clone()).await, "upstream_unavailable");
    scene.zone.down(false);

    let value = scene.publish(&connection, "acme.example").await;
    scene.env.advance(7 * DAY);
    let report = confirm().await;
    assert_eq!(checks(&report), shape([true, false, false, false, false]));
    assert_eq!(scene.routed("acme.example").await, None);
    scene.zone.set(&at, &[&value]);
    assert_eq!(checks(&confirm().await), shape([true, false, false, false, false]), "expired");

    scene.publish(&connection, "acme.example").await;
    let events = scene.events().await.len();
    let report = confirm().await;
    assert_eq!((checks(&report), &report["ok"]), (shape([true; 5]), &json!(true)));
    assert_eq!(scene.routed("acme.example").await.as_deref(), Some(connection.as_str()));
    let told = scene.events().await.split_off(events);
    assert_eq!(
        (told.len(), told[0].kind.name(), &told[0].data["by"]),
        (1, "connection.domain.verified", &json!("dns"))
    );

    // Once more says the same and writes nothing; without the record it says so, and takes nothing away.
    let events = scene.events().await.len();
    assert_eq!(confirm().await["ok"], true);
    scene.zone.remove(&at);
    assert_eq!(checks(&confirm().await), shape([true, true, false, false, true]));
    assert_eq!(scene.events().await.len(), events);
    assert!(scene.routed("acme.example").await.is_some());
}

#[tokio::test]
async fn name_servers_are_asked_so_often_and_no_more_however_they_are_asked() {
    let scene = Scene::new().await;
    let (connection, other) =
        (scene.connect(&scene.acme, &["acme.example"]).await, scene.connect(&scene.acme, &["more.example"]).await);
    let this = json!({"connection": connection, "domain": "acme.example"});
    scene.publish(&connection, "acme.example").await;
    scene.operate("domain.verify", this.clone()).await;
    let ways = ["domain.confirm", "domain.recheck"];
    for way in ways.iter().cycle().take(59) {
        scene.operate(way, this.clone()).await;
    }
    for way in ways {
        assert_eq!(scene.refused(way, this.clone()).await, "rate_limited", "{way}");
    }
    scene.operate("domain.request", this.clone()).await;
    assert_eq!(scene.refused("domain.verify", this).await, "rate_limited");
    // Another connection has looks of its own, and the weekly one goes on.
    scene.operate("domain.confirm", json!({"connection": other, "domain": "more.example"})).await;
    scene.env.advance(DAY * 8);
    assert_eq!(scene.chore().await, 1);
}

#[tokio::test]
async fn a_confirmation_of_what_another_owns_is_a_failed_check_and_of_what_was_vouched_for_a_held_one() {
    let scene = Scene::new().await;
    let (owner, _) = scene.proved(&scene.acme, "acme.example").await;
    let late = scene.connect(&scene.other, &["acme.example"]).await;
    scene.publish(&late, "acme.example").await;
    let report = scene.operate("domain.confirm", json!({"connection": late, "domain": "acme.example"})).await;
    assert_eq!(checks(&report), shape([true, true, true, true, false]));
    assert!(report["checks"][4]["message"].as_str().unwrap().contains("Another organization"));
    assert_eq!(
        scene.refused("domain.verify", json!({"connection": late, "domain": "acme.example"})).await,
        "domain_taken"
    );
    assert_eq!(scene.routed("acme.example").await, Some(owner));

    let vouched = scene.connect(&scene.acme, &["vouched.example"]).await;
    let this = json!({"connection": vouched, "domain": "vouched.example"});
    scene.operate("domain.verify", json!({"connection": vouched, "domain": "vouched.example", "force": true})).await;
    let asked = scene.zone.asked();
    assert_eq!(checks(&scene.operate("domain.confirm", this).await), shape([true; 5]));
    assert_eq!(scene.zone.asked(), asked, "nobody is asked about what somebody vouched for");
}

#[tokio::test]
async fn a_proof_is_renewed_without_being_lost_on_the_way() {
    let scene = Scene::new().await;
    let (connection, old) = scene.proved(&scene.acme, "acme.example").await;
    let this = json!({"connection": connection, "domain": "acme.example"});
    let since = scene.view(&connection, "acme.example").await["verifiedAt"].clone();
    scene.env.advance(HOUR);
    let new = text(&scene.operate("domain.request", this.clone()).await["challenge"], "recordValue");
    assert_eq!(scene.refused("domain.verify", this.clone()).await, "domain_not_proved", "only the old record is there");
    let view = scene.view(&connection, "acme.example").await;
    assert_eq!((&view["verified"], &view["verifiedAt"]), (&json!(true), &since));
    assert_eq!(scene.operate("domain.recheck", this.clone()).await["look"], "proved", "the old one counts till then");

    scene.zone.set(&record("acme.example"), &[&new]);
    assert_eq!(scene.operate("domain.verify", this.clone()).await["verifiedAt"], since);
    assert_eq!(scene.operate("domain.recheck", this.clone()).await["look"], "proved");
    scene.zone.set(&record("acme.example"), &[&old]);
    assert_eq!(scene.operate("domain.recheck", this).await["look"], "different");
}

#[tokio::test]
async fn of_64_organizations_that_prove_a_domain_at_once_one_owns_it() {
    let scene = Arc::new(Scene::new().await);
    let mut claims = Vec::new();
    let mut values = Vec::new();
    for n in 0..64 {
        let organization = text(&scene.operate("organization.create", json!({"name": format!("Org {n}")})).await, "id");
        let connection = scene.connect(&organization, &["acme.example"]).await;
        values.push(scene.publish(&connection, "acme.example").await);
        claims.push(connection);
    }
    let all: Vec<&str> = values.iter().map(String::as_str).collect();
    scene.zone.set(&record("acme.example"), &all);
    let tasks: Vec<_> = claims
        .iter()
        .enumerate()
        .map(|(n, connection)| {
            let (scene, connection) = (Arc::clone(&scene), connection.parse().unwrap());
            tokio::spawn(async move {
                let cx = scene.context(Caller::Operator { uid: 0 });
                let domain = "acme.example".to_owned();
                if n % 2 == 0 {
                    match perform(&cx, &VerifyDomain { connection, domain, force: false }).await {
                        Ok(_) => true,
                        Err(error) if error.is(&codes::DOMAIN_TAKEN) => false,
                        Err(error) => panic!("{error:?}"),
                    }
                } else {
                    perform(&cx, &ConfirmDomain { connection, domain }).await.unwrap().ok
                }
            })
        })
        .collect();
    let mut winners = Vec::new();
    for (task, connection) in tasks.into_iter().zip(&claims) {
        if task.await.unwrap() {
            winners.push(connection.clone());
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(scene.routed("acme.example").await, Some(winners[0].clone()));
    for connection in &claims {
        let owned = domain::owned_by(&scene.app.world.store, connection.parse().unwrap()).await.unwrap();
        assert_eq!(owned.len(), usize::from(*connection == winners[0]));
    }
}
