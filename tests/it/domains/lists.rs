//! The list of a connection's domains: set as a whole, its first one, and the reports about it.

use serde_json::{Value, json};

use super::{Scene, record};

fn names(list: &Value) -> Vec<(String, bool, bool)> {
    let rows = list["domains"].as_array().unwrap();
    let row = |d: &Value| (d["domain"].as_str().unwrap().to_owned(), d["isPrimary"] == true, d["verified"] == true);
    rows.iter().map(row).collect()
}

fn row(name: &str, primary: bool, verified: bool) -> (String, bool, bool) {
    (name.to_owned(), primary, verified)
}

#[tokio::test]
async fn a_list_is_set_at_once_and_what_stays_keeps_its_proof() {
    let scene = Scene::new().await;
    let (connection, _) = scene.proved(&scene.acme, "a.example").await;
    let (_, _) = scene.proved(&scene.other, "foreign.example").await;
    scene.operate("domain.add", json!({"connection": connection, "domain": "b.example"})).await;
    let set =
        async |domains: Value| scene.operate("domain.set", json!({"connection": connection, "domains": domains})).await;

    let events = scene.events().await.len();
    let list =
        set(json!([{"domain": "c.example", "isPrimary": true}, {"domain": "A.Example"}, "foreign.example"])).await;
    assert_eq!(
        names(&list),
        [row("c.example", true, false), row("a.example", false, true), row("foreign.example", false, false)]
    );
    assert_eq!(list["summary"], json!({"domainCount": 3, "primaryCount": 1, "verifiedCount": 1}));
    let mut told: Vec<String> =
        scene.events().await.split_off(events).iter().map(|e| e.kind.name().to_owned()).collect();
    told.sort();
    assert_eq!(
        told,
        ["connection.domain.claimed", "connection.domain.claimed", "connection.domain.removed", "connection.updated"]
    );
    assert_eq!(
        list,
        scene.operate("domain.list", json!({"connection": connection})).await,
        "the answer is what is kept"
    );
    assert!(scene.routed("a.example").await.is_some());

    // The same once more writes nothing; without a word on the first one, it stays.
    let events = scene.events().await.len();
    set(json!(["a.example", "c.example", "foreign.example", "C.EXAMPLE"])).await;
    assert_eq!(scene.events().await.len(), events);

    // What goes frees its name; when the first one goes, the list's first follows.
    let list = set(json!(["z.example", "foreign.example"])).await;
    assert_eq!(names(&list), [row("z.example", true, false), row("foreign.example", false, false)]);
    assert_eq!(scene.routed("a.example").await, None);
    let next = scene.connect(&scene.other, &["a.example"]).await;
    scene.publish(&next, "a.example").await;
    scene.operate("domain.verify", json!({"connection": next, "domain": "a.example"})).await;

    assert_eq!(names(&set(json!([])).await), []);
    let list = set(json!(["only.example"])).await;
    assert_eq!(names(&list), [row("only.example", true, false)]);
}

#[tokio::test]
async fn a_list_that_cannot_be_set_changes_nothing() {
    let scene = Scene::new().await;
    let (connection, _) = scene.proved(&scene.acme, "a.example").await;
    let before = (scene.events().await.len(), scene.operate("domain.list", json!({"connection": connection})).await);
    let many: Vec<String> = (0..51).map(|n| format!("d{n}.example")).collect();
    for (domains, code) in [
        (
            json!([{"domain": "x.example", "isPrimary": true}, {"domain": "y.example", "isPrimary": true}]),
            "invalid_input",
        ),
        (json!(["x.example", "com"]), "domain_invalid"),
        (json!(["x.example", "co.uk"]), "domain_invalid"),
        (json!(["x.example", {"domain": "y.example", "primary": true}]), "invalid_input"),
        (json!(["x.example", 7]), "invalid_input"),
        (json!("x.example"), "invalid_input"),
        (json!(many), "too_large"),
    ] {
        let wish = json!({"connection": connection, "domains": domains});
        assert_eq!(scene.refused("domain.set", wish).await, code, "{domains}");
    }
    let two = json!([{"domain": "x.example", "isPrimary": true}, {"domain": "y.example", "isPrimary": true}]);
    for (wrong, at) in [
        (json!(["x.example", "y.example", "co.uk"]), "`domains[2]`"),
        (json!(["x.example", {"domain": "y example"}]), "`domains[1]`"),
        (json!(["x.example", {"domain": 7}]), "`domains[1]"),
        (two, "`domains[1].isPrimary`"),
    ] {
        let wish = json!({"connection": connection, "domains": wrong});
        let error = scene.call("domain.set", wish).await.unwrap_err();
        assert!(error.message().contains(at), "{wrong}: {}", error.message());
    }
    for (wrong, at) in [
        (json!(["x.example", "x.example", "x.example."]), "`domains[2]`"),
        (json!(["x.example", 7]), "`domains[1]`"),
        (json!([null]), "`domains[0]`"),
        (json!("com"), "`domains[0]`"),
    ] {
        let wish = json!({"organization": scene.acme, "protocol": "oidc", "name": "IdP", "domains": wrong});
        let error = scene.call("connection.create", wish).await.unwrap_err();
        assert!(error.message().contains(at), "{wrong}: {}", error.message());
    }
    assert_eq!(
        (scene.events().await.len(), scene.operate("domain.list", json!({"connection": connection})).await),
        before
    );
}

#[tokio::test]
async fn one_domain_is_the_first_whoever_sets_it_at_the_same_time() {
    let scene = Scene::new().await;
    let connection = scene.connect(&scene.acme, &["a.example", "b.example", "c.example"]).await;
    let first = async |name: &str| {
        scene.call("domain.set_primary", json!({"connection": connection, "domain": name})).await.unwrap();
    };
    let set = json!({"connection": connection, "domains": ["c.example", {"domain": "b.example", "isPrimary": true}]});
    tokio::join!(first("b.example"), first("c.example"), async { scene.operate("domain.set", set).await });
    let list = scene.operate("domain.list", json!({"connection": connection})).await;
    assert_eq!(list["summary"]["primaryCount"], 1, "{list}");
    first("c.example").await;
    let view = scene.view(&connection, "c.example").await;
    assert_eq!(view["isPrimary"], true);
    let missing = json!({"connection": connection, "domain": "nowhere.example"});
    assert_eq!(scene.refused("domain.set_primary", missing).await, "not_found");
}

#[tokio::test]
async fn the_reports_have_their_shapes() {
    let scene = Scene::new().await;
    let (connection, _) = scene.proved(&scene.acme, "a.example").await;
    scene.operate("domain.add", json!({"connection": connection, "domain": "b.example"})).await;
    let this = json!({"connection": connection});
    let view_a = json!({
        "domain": "a.example", "isPrimary": true, "verified": true, "verifiedAt": "2026-01-01T00:00:00.000Z",
        "verifiedBy": "dns", "lastCheckedAt": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z",
    });
    let view_b = scene.view(&connection, "b.example").await;
    let validation = json!({
        "connectionId": connection, "ready": true,
        "summary": {"domainCount": 2, "primaryCount": 1, "verifiedCount": 1},
        "domains": [view_a, view_b], "warnings": ["b.example is not verified."],
    });
    assert_eq!(scene.operate("domain.validate", this.clone()).await, validation);
    assert_eq!(scene.operate("domain.list", this.clone()).await, validation);

    let mut status = validation;
    status["primaryDomain"] = json!("a.example");
    status["trustedDomains"] = json!(["a.example"]);
    status["pendingChallenges"] = json!([view_b["challenge"]]);
    status["trust"] =
        json!({"domainDiscoveryReady": true, "primaryDomainVerified": true, "automaticLinkingEligible": true});
    status["nextSteps"] = json!([
        format!("Leave the TXT record `{}` in DNS: it is asked for every week.", record("a.example")),
        format!(
            "Set the TXT record `{}` to `{}`, then `authd domain verify`.",
            record("b.example"),
            view_b["challenge"]["recordValue"].as_str().unwrap()
        ),
    ]);
    assert_eq!(scene.operate("domain.status", this).await, status);

    let empty = scene.connect(&scene.acme, &[]).await;
    let report = scene.operate("domain.validate", json!({"connection": empty})).await;
    assert_eq!((&report["ready"], &report["domains"]), (&json!(false), &json!([])));
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1);
    let status = scene.operate("domain.status", json!({"connection": empty})).await;
    assert_eq!(
        (&status["primaryDomain"], &status["nextSteps"][0]),
        (&Value::Null, &json!("Claim a domain: `authd domain add`."))
    );
}
