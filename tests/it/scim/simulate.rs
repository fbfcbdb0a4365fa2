//! The clients with the habits of Okta, Entra and Google: they are content with this server, and with no worse one.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use authd::error::{Error, Result, codes};
use authd::scim::simulate::{Answered, Cleared, Mark, Phase, Sent, Vendor, Walk, Wire, clear, walk};
use serde_json::json;

use super::*;

/// The server, with an answer bent on its way.
struct Bent {
    own: Directory,
    bend: fn(&Sent, &mut Answered),
}

#[async_trait]
impl Wire for Bent {
    async fn send(&self, sent: &Sent) -> Result<Answered> {
        let answer = self.own.send(sent.method, &sent.path, sent.body.clone(), &[]).await;
        let mut answered = Answered { status: answer.status, body: answer.body, millis: None };
        (self.bend)(sent, &mut answered);
        Ok(answered)
    }
}

async fn walked(scene: &Scene, vendor: Vendor, keep: bool, bend: fn(&Sent, &mut Answered)) -> Walk {
    let base = format!("/connections/{}/scim/v2", scene.connection);
    let own = Directory { base, ..Directory::of(scene, Some(&scene.connection)).await };
    let tag = format!("{}{keep}", vendor.name());
    let status = scene.authd.operate("scim.status", json!({"connection": scene.connection})).await;
    let hard = status["deprovisionMode"] == "hard";
    walk(&Bent { own, bend }, vendor, &Mark { tag, domain: "corp.example".to_owned(), hard }, keep).await.unwrap()
}

fn straight(_: &Sent, _: &mut Answered) {}

async fn content(vendor: Vendor) {
    let scene = Scene::new().await;
    let walk = walked(&scene, vendor, false, straight).await;
    let failed: Vec<_> = walk.steps.iter().filter(|step| !step.ok).collect();
    assert!(walk.ok && failed.is_empty(), "{failed:#?}");
    for phase in [Phase::Probe, Phase::Joiner, Phase::Mover, Phase::Group, Phase::Leaver] {
        assert!(walk.steps.iter().any(|step| step.phase == phase), "{phase:?}");
    }
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    assert_eq!(own.get("/Users?count=0").await.body["totalResults"], 0, "everybody is cleared away");
    assert_eq!(own.get("/Groups?count=0").await.body["totalResults"], 0);
    assert!(!walk.people.is_empty() && walk.groups.len() == 1);
    // Twice in a row: what the first walk made is not in the way.
    assert!(walked(&scene, vendor, false, straight).await.ok);
    // Kept, the people are there and marked.
    let kept = walked(&scene, vendor, true, straight).await;
    assert!(kept.ok && kept.steps.iter().all(|step| step.phase != Phase::Cleanup));
    for person in own.get("/Users").await.resources() {
        assert!(person["userName"].as_str().unwrap().starts_with("authd-simulation-"), "{person}");
    }
}

#[tokio::test]
async fn okta_is_content() {
    content(Vendor::Okta).await;
}

#[tokio::test]
async fn entra_is_content() {
    content(Vendor::Entra).await;
}

#[tokio::test]
async fn google_is_content() {
    content(Vendor::Google).await;
}

/// Where leavers are deleted, the three are told so, and are content.
#[tokio::test]
async fn each_is_content_where_leavers_are_deleted() {
    let scene = Scene::new().await;
    scene.authd.operate("scim.set", json!({"connection": scene.connection, "deprovisionMode": "hard"})).await;
    for vendor in Vendor::ALL {
        let walk = walked(&scene, *vendor, false, straight).await;
        let failed: Vec<_> = walk.steps.iter().filter(|step| !step.ok).collect();
        assert!(walk.ok && failed.is_empty(), "{failed:#?}");
        for person in &walk.people {
            assert!(member(&scene, person).await.is_none(), "{vendor:?}");
        }
    }
}

/// Every request of the three has the form that they are known by.
#[tokio::test]
async fn each_has_its_habits() {
    let scene = Scene::new().await;
    let sent = async |vendor| -> Vec<String> {
        let walk = walked(&scene, vendor, false, straight).await;
        walk.steps.iter().map(|step| serde_json::to_string(&step.request).unwrap()).collect()
    };
    let (okta, entra, google) = (sent(Vendor::Okta).await, sent(Vendor::Entra).await, sent(Vendor::Google).await);
    let has = |all: &[String], what: &str| all.iter().any(|one| one.contains(what));
    assert!(has(&okta, "startIndex=1&count=2") && has(&okta, r#"{"op":"replace","value":{"active":false}}"#));
    assert!(has(&entra, r#""value":"False""#) && has(&entra, r#"emails[type eq \"work\"].value"#));
    assert!(has(&entra, r#""op":"Remove","path":"members","value":[{"$ref":null"#) && has(&entra, "externalId%20eq"));
    assert!(!has(&entra, r#""method":"PUT""#) && has(&okta, r#""method":"PUT""#) && has(&google, r#""method":"PUT""#));
    for (all, others) in [(&okta, &entra), (&entra, &google), (&google, &okta)] {
        assert_ne!(all.len(), 0);
        assert_ne!(all, others);
    }
}

/// Faults that servers are known for. Each is found out, by the one step that meets it; and what was made is cleared away.
#[tokio::test]
async fn a_worse_server_is_found_out() {
    type Bend = fn(&Sent, &mut Answered);
    let faults: [(&str, Vendor, Bend); 6] = [
        ("a filter that misses is a 404", Vendor::Entra, |sent, answer| {
            if sent.path.contains("filter=") && answer.body["totalResults"] == 0 {
                *answer = Answered { status: 404, body: json!({"status": "404"}), millis: None };
            }
        }),
        ("the text \"False\" deactivates nobody", Vendor::Entra, |sent, answer| {
            if sent.body.as_ref().is_some_and(|body| body.to_string().contains("\"False\"")) {
                answer.body["active"] = true.into();
            }
        }),
        ("a change without `active` gives the access back", Vendor::Okta, |sent, answer| {
            if sent.body.as_ref().is_some_and(|body| body.to_string().contains("Former Head")) {
                answer.body["active"] = true.into();
            }
        }),
        ("a name twice is a success", Vendor::Okta, |_, answer| {
            if answer.status == 409 {
                answer.status = 200;
            }
        }),
        ("names are compared by case", Vendor::Okta, |sent, answer| {
            if sent.path.contains("AUTHD-SIMULATION") {
                answer.body["totalResults"] = 0.into();
            }
        }),
        ("a PUT loses what it was given", Vendor::Google, |sent, answer| {
            if sent.method == "PUT" {
                answer.body.as_object_mut().unwrap().remove("displayName");
            }
        }),
    ];
    for (fault, vendor, bend) in faults {
        let scene = Scene::new().await;
        let walk = walked(&scene, vendor, false, bend).await;
        let failed: Vec<_> = walk.steps.iter().filter(|step| !step.ok).collect();
        assert!(!walk.ok && !failed.is_empty(), "{fault}");
        assert!(failed.iter().all(|step| !step.problems.is_empty()), "{fault}");
        let own = Directory::of(&scene, Some(&scene.connection)).await;
        assert_eq!(own.get("/Users?count=0").await.body["totalResults"], 0, "{fault}: cleared away all the same");
    }
}

/// Where somebody cannot even be made, the walk ends there, and says so.
#[tokio::test]
async fn a_walk_that_cannot_go_on_ends() {
    let scene = Scene::new().await;
    for vendor in Vendor::ALL {
        let walk = walked(&scene, *vendor, false, |sent, answer| {
            if sent.method == "POST" {
                *answer = Answered { status: 500, body: Value::Null, millis: None };
            }
        })
        .await;
        let last = walk.steps.last().unwrap();
        assert!(!walk.ok && !last.ok && last.phase == Phase::Joiner, "{vendor:?}: {last:?}");
    }
}

/// The server, which falls silent behind so many requests: the next one is not heard, or is heard and never answered.
struct Silent {
    own: Directory,
    left: AtomicUsize,
    hears: bool,
}

#[async_trait]
impl Wire for Silent {
    async fn send(&self, sent: &Sent) -> Result<Answered> {
        let left = self.left.load(Ordering::SeqCst);
        let silent = || Err(Error::new(&codes::UPSTREAM_UNAVAILABLE));
        if left == 0 && !self.hears {
            return silent();
        }
        self.left.store(left.saturating_sub(1), Ordering::SeqCst);
        let answer = self.own.send(sent.method, &sent.path, sent.body.clone(), &[]).await;
        if left == 0 {
            return silent();
        }
        Ok(Answered { status: answer.status, body: answer.body, millis: None })
    }
}

/// Wherever a walk breaks off, even between a request and its answer: it is told, and whatever it made is found by its names
/// and removed; nobody else is.
#[tokio::test]
async fn what_a_broken_walk_leaves_is_cleared_away_by_its_names() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let stranger = own.person("authd-simulator@corp.example").await;
    let staff = own.group("authd simulations", &[&stranger]).await;
    let mark = |tag: &str| Mark { tag: tag.to_owned(), domain: "corp.example".to_owned(), hard: false };
    for vendor in Vendor::ALL {
        let (mut after, mut longest) = (0, false);
        while !longest {
            for hears in [true, false] {
                let wire = Silent { own: own.clone(), left: AtomicUsize::new(after), hears };
                match walk(&wire, *vendor, &mark("aaa111"), false).await {
                    Err(_) => assert_eq!(after, 0, "{vendor:?}: only the first request may be for nothing"),
                    Ok(walk) if walk.broken.is_some() => {
                        assert!(!walk.ok && walk.steps.len() == after, "{vendor:?} {after}")
                    }
                    Ok(walk) => longest = walk.ok,
                }
                let well = Silent { own: own.clone(), left: AtomicUsize::new(usize::MAX), hears };
                // Those of another walk are left alone.
                assert_eq!(clear(&well, Some("bbb222")).await.unwrap(), Cleared::default());
                clear(&well, Some("aaa111")).await.unwrap();
                assert_eq!(own.get("/Users?count=0").await.body["totalResults"], 1, "{vendor:?} {after} {hears}");
                assert_eq!(own.get("/Groups?count=0").await.body["totalResults"], 1, "{vendor:?} {after} {hears}");
            }
            after += 1;
            assert!(after < 100, "{vendor:?} never walks to its end");
        }
        assert!(after > 10, "{vendor:?}");
    }
    let wire = Silent { own: own.clone(), left: AtomicUsize::new(usize::MAX), hears: true };
    walk(&wire, Vendor::Okta, &mark("ccc333"), true).await.unwrap();
    let cleared = clear(&wire, None).await.unwrap();
    assert!(!cleared.people.is_empty() && !cleared.people.contains(&stranger) && !cleared.groups.contains(&staff));
}

/// The verb, from the outside, through the door that directories use.
#[test]
fn the_verb_walks_through_the_running_server() {
    let place = crate::cli::Place::new();
    let org = place.run(&["org", "create", "--name", "N", "--json"]).id();
    let create = ["connection", "create", "--org", &org, "--protocol", "oidc", "--name", "N", "--issuer"];
    let more = ["https://idp.invalid", "--client-id", "I", "--client-secret", "S", "--domain", "d.example", "--json"];
    let connection = place.run(&[&create[..], &more].concat()).id();
    let verify = ["domain", "verify", "--connection", &connection, "--domain", "d.example", "--force", "--json"];
    assert_eq!(place.run(&verify).json()["verified"], true);
    let alone = place.run(&["simulate", "scim", "--as", "okta", "--connection", &connection, "--json"]);
    assert_eq!((alone.code, alone.err.contains("No server runs")), (2, true), "{}", alone.err);

    let serving = place.serve(&[]);
    for vendor in ["okta", "entra", "google"] {
        let walked = place.run(&["simulate", "scim", "--as", vendor, "--connection", &connection, "--json"]);
        assert_eq!(walked.code, 0, "{}{}", walked.out, walked.err);
        let walked = walked.json();
        assert_eq!((&walked["vendor"], &walked["ok"], &walked["kept"]), (&json!(vendor), &json!(true), &json!(false)));
        let steps = walked["steps"].as_array().unwrap();
        assert!(steps.len() > 12 && steps.iter().all(|step| step["answer"]["status"].is_u64()), "{vendor}");
        let names = walked["steps"].to_string();
        assert!(names.contains("authd-simulation-") && names.contains("@d.example"), "{vendor}");
    }
    let people = place.run(&["user", "list", "--org", &org, "--json"]).json();
    assert_eq!(people["items"], json!([]), "nobody stays, not even as one who has left");
    let tokens = place.run(&["scim", "token", "list", "--org", &org, "--json"]).json();
    let tokens = tokens["items"].as_array().unwrap();
    assert!(tokens.len() == 3 && tokens.iter().all(|token| token["revokedAt"].is_string()), "{tokens:?}");

    let read = place.run(&["simulate", "scim", "--as", "entra", "--connection", &connection, "--keep"]);
    assert_eq!(read.code, 0, "{}{}", read.out, read.err);
    for line in
        ["Entra provisions conn_", "\njoiner\n", "ok   soft delete: `active` is the text \"False\"", "people stay"]
    {
        assert!(read.out.contains(line), "{line}: {}", read.out);
    }
    assert!(!read.out.contains("scim_"), "the token is not shown: {}", read.out);
    assert_ne!(place.run(&["user", "list", "--org", &org, "--json"]).json()["items"], json!([]));
    let cleared = place.run(&["simulate", "scim", "--clear", "--connection", &connection]);
    assert_eq!((cleared.code, cleared.out.starts_with("Cleared away: ")), (0, true), "{}{}", cleared.out, cleared.err);
    assert_eq!(place.run(&["user", "list", "--org", &org, "--json"]).json()["items"], json!([]), "nobody stays");
    let again = place.run(&["simulate", "scim", "--clear", "--connection", &connection, "--json"]).json();
    assert_eq!(again, json!({"people": [], "groups": []}));
    assert_eq!(place.run(&["simulate", "scim", "--clear", "--as", "okta", "--connection", &connection]).code, 1);

    // What the directory may not do, the walk shows, and the exit code says.
    place.run(&["scim", "set", "--connection", &connection, "--status", "disabled", "--json"]).json();
    let refused = place.run(&["simulate", "scim", "--as", "okta", "--connection", &connection]);
    assert_eq!(refused.code, 1, "{}{}", refused.out, refused.err);
    assert!(refused.out.contains("FAIL") && refused.out.contains("switched off"), "{}", refused.out);
    assert_eq!(serving.stop(), 0);

    // Behind a proxy whose address is not reached from the server itself, its own listener is.
    place.run(&["scim", "set", "--connection", &connection, "--status", "active", "--json"]).json();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let serving = place.serve(&["--listen", &free.to_string(), "--public-url", "https://sso.invalid"]);
    let walked = place.run(&["simulate", "scim", "--as", "google", "--connection", &connection, "--json"]).json();
    assert_eq!(walked["ok"], true);
    let listen = serving.ready["listen"].as_str().unwrap();
    assert!(walked["url"].as_str().unwrap().starts_with(&format!("http://{listen}/connections/")), "{}", walked["url"]);
    assert_eq!(serving.stop(), 0);
}
