//! What is particular to Active Directory: its names, its identifiers, its refusals, its groups.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Scene, failed, settings};
use crate::world::directory::{
    Act, Asked, BIND, DONE, Directory, EXTENDED, Question, SERVICE, ber, entry, message, reference, result,
};

const ADA: &str = "CN=Ada Lovelace,OU=Staff,DC=corp,DC=test";
const GUID: [u8; 16] = [0x10, 0xb8, 0xa7, 0x6b, 0xad, 0x9d, 0xd1, 0x11, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
const PASSWORD: &str = "Ada-Secret-1!";

fn person(id: u32, flags: &str) -> Vec<u8> {
    let attributes: &[(&str, &[u8])] = &[
        ("sAMAccountName", b"ada"),
        ("userPrincipalName", b"ada.l@corp.test"),
        ("mail", b"ada@corp.test"),
        ("displayName", b"Ada Lovelace"),
        ("objectGUID", &GUID),
        ("userAccountControl", flags.as_bytes()),
        ("memberOf", b"CN=Wizards,OU=Groups,DC=corp,DC=test"),
    ];
    entry(id, ADA, attributes)
}

fn filter_of(question: &Question) -> String {
    match &question.asked {
        Asked::Search { filter, .. } => filter.clone(),
        _ => String::new(),
    }
}

/// A domain controller with Ada in it.
fn controller(question: &Question) -> Act {
    let id = question.id;
    let done = result(id, DONE, 0, "", "");
    Act::Say(match &question.asked {
        Asked::Bind { name, password } => {
            let own = [ADA, "ada.l@corp.test", "CORP\\ada"].contains(&name.as_str()) && password == PASSWORD;
            let service = name == SERVICE.0 && password == SERVICE.1;
            let text = "80090308: LdapErr: DSID-0C090400, comment: AcceptSecurityContext error, data 52e, v1db1";
            result(id, BIND, if own || service { 0 } else { 49 }, "", if own || service { "" } else { text })
        }
        Asked::Search { filter, .. } if filter.contains("1.2.840.113556.1.4.1941") => {
            let groups: Vec<u8> = ["Wizards", "All Staff"]
                .iter()
                .flat_map(|name| {
                    let dn = format!("CN={name},OU=Groups,DC=corp,DC=test");
                    entry(id, &dn, &[("cn", name.as_bytes())])
                })
                .collect();
            [groups, done].concat()
        }
        Asked::Search { base, .. } if base == ADA && !filter_of(question).contains("sAMAccountName") => {
            [person(id, "512"), done].concat()
        }
        Asked::Search { filter, .. } => {
            let means = ["=ada)", "=ADA)", "=ada\\2el\\40corp\\2etest)", "=ada\\40corp\\2etest)"];
            let found = means.iter().any(|name| filter.contains(name));
            // A forest names its other partitions beside every answer.
            let more = reference(id, "ldap://ForestDnsZones.corp.test/DC=ForestDnsZones,DC=corp,DC=test");
            [if found { person(id, "512") } else { Vec::new() }, more, done].concat()
        }
        Asked::Extended { .. } => {
            message(id, EXTENDED, &[ber(10, &[0]), ber(4, b""), ber(4, b""), ber(0x8b, b"u:CORP\\ada")].concat())
        }
        _ => return Act::Close,
    })
}

fn wish(directory: &Directory, more: Value) -> Value {
    let mut all = settings(
        directory,
        json!({
            "preset": "active_directory",
            "users": {"base": "dc=corp,dc=test"},
            "groups": {"mode": "memberOf"},
        }),
    );
    super::merge(&mut all, more);
    all
}

#[tokio::test]
async fn every_name_that_windows_knows_is_the_same_person() {
    let directory = Directory::start(controller).await;
    let scene = Scene::new().await;
    let connection = scene.connect(wish(&directory, json!({}))).await;
    let mut seen = std::collections::BTreeSet::new();
    for name in ["ada", "ADA", "ada.l@corp.test", "ada@corp.test", "CORP\\ada", ADA] {
        let (status, body) = scene.relay(&connection, name, PASSWORD).await;
        assert_eq!(status, StatusCode::OK, "{name}: {body}");
        assert_eq!(body["sub"], "objectguid|6ba7b810-9dad-11d1-80b4-00c04fd430c8");
        assert_eq!(body["groups"], json!(["Wizards", "All Staff"]), "nested ones by the rule in chain");
        seen.insert(body["principalId"].to_string());
    }
    assert_eq!(seen.len(), 1);
}

/// Two of one name in two domains of a forest, and what the directory calls each.
const ADAS: [(&str, &str); 2] = [
    ("CN=Ada Lovelace,OU=Staff,DC=corp,DC=test", "CORP\\ada"),
    ("CN=Ada Byron,OU=Staff,DC=emea,DC=corp,DC=test", "EMEA\\Ada"),
];

#[tokio::test]
async fn ldap_02_a_domain_that_is_typed_is_part_of_the_name() {
    // How many of them there are, whether their domains are told, how the search ends, and whom each name means.
    for (count, told, code, cases) in [
        (2, true, 0, &[("CORP\\ada", Some(0_usize)), ("emea\\ADA", Some(1)), ("WRONG\\ada", None), ("ada", None)][..]),
        (1, true, 0, &[("CORP\\ada", Some(0)), ("corp\\ADA", Some(0)), ("EMEA\\ada", None), ("ada", Some(0))][..]),
        // There are more than the directory gives out: who else it may be, nobody knows.
        (1, true, 4, &[("CORP\\ada", None), ("WRONG\\ada", None)][..]),
        // Samba does not tell it.
        (1, false, 0, &[("CORP\\ada", Some(0)), ("WRONG\\ada", Some(0))][..]),
        (2, false, 0, &[("CORP\\ada", None)][..]),
    ] {
        let directory = Directory::start(move |question: &Question| {
            let id = question.id;
            Act::Say(match &question.asked {
                Asked::Search { filter, .. } if filter.to_lowercase().contains("=ada)") => {
                    let mut found = Vec::new();
                    for (number, (dn, principal)) in ADAS.iter().enumerate().take(count) {
                        let guid = [u8::try_from(number).unwrap(); 16];
                        let mut attributes = vec![("sAMAccountName", &b"ada"[..]), ("objectGUID", &guid[..])];
                        if told {
                            attributes.push(("msDS-PrincipalName", principal.as_bytes()));
                        }
                        found.extend(entry(id, dn, &attributes));
                    }
                    [found, result(id, DONE, code, "", "")].concat()
                }
                Asked::Bind { name, password } if ADAS.iter().any(|(dn, _)| name == dn) => {
                    result(id, BIND, if password == PASSWORD { 0 } else { 49 }, "", "")
                }
                _ => return controller(question),
            })
        })
        .await;
        let scene = Scene::new().await;
        let connection = scene.connect(wish(&directory, json!({}))).await;
        for (name, who) in cases {
            let (status, body) = scene.relay(&connection, name, PASSWORD).await;
            let expected = if who.is_some() { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(status, expected, "{name} of {count}, {told}, {code}: {body}");
            let bound = directory.binds().pop().unwrap().1;
            if let Some(number) = *who {
                let (dn, _): (&str, &str) = ADAS[number];
                assert_eq!(bound, dn, "{name}");
            }
        }
        assert!(directory.heard(b"msDS-PrincipalName"), "it is told to whoever asks for it alone");
    }
}

#[tokio::test]
async fn a_group_that_does_not_count_may_be_in_one_that_does() {
    // Her own group lies elsewhere; the rule in chain finds the ones below the base that it is in.
    let directory = Directory::start(|question: &Question| match &question.asked {
        Asked::Search { filter, .. } if filter.contains("sAMAccountName") => {
            let attributes: &[(&str, &[u8])] = &[
                ("sAMAccountName", b"ada"),
                ("mail", b"ada@corp.test"),
                ("objectGUID", &GUID),
                ("memberOf", b"CN=Research,OU=Roles,DC=corp,DC=test"),
            ];
            Act::Say([entry(question.id, ADA, attributes), result(question.id, DONE, 0, "", "")].concat())
        }
        _ => controller(question),
    })
    .await;
    let scene = Scene::new().await;
    let more = json!({"groups": {"mode": "memberOf", "base": "OU=Groups,DC=corp,DC=test"}});
    let connection = scene.connect(wish(&directory, more)).await;
    let (status, body) = scene.relay(&connection, "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["groups"], json!(["Wizards", "All Staff"]));
}

#[tokio::test]
async fn a_name_may_be_bound_directly_and_the_directory_says_whose_it_was() {
    let directory = Directory::start(controller).await;
    let scene = Scene::new().await;
    let direct =
        |template: &str| json!({"bind": {"mode": "direct", "dn": "", "password": "", "userDnTemplate": template}});
    let connection = scene.connect(wish(&directory, direct("CORP\\{{username}}"))).await;
    let (status, body) = scene.relay(&connection, "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(directory.binds().iter().all(|(_, name, _)| name != SERVICE.0));

    // The account of that name is somebody else than the one who was bound: another, or the one of that name elsewhere.
    for who in [&b"u:CORP\\mallory"[..], b"u:OTHER\\ada"] {
        let other = Directory::start(move |question: &Question| match &question.asked {
            Asked::Extended { .. } => {
                let parts = [ber(10, &[0]), ber(4, b""), ber(4, b""), ber(0x8b, who)].concat();
                Act::Say(message(question.id, EXTENDED, &parts))
            }
            _ => controller(question),
        })
        .await;
        let connection = scene.connect(wish(&other, direct("CORP\\{{username}}"))).await;
        scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_unavailable", &connection, "ada", PASSWORD).await;
    }
}

/// The bytes of a security identifier of that domain.
fn identifier(domain: u8, number: u8) -> Vec<u8> {
    [&[1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0][..], &[domain; 12], &[number, 4, 0, 0]].concat()
}

/// The identifiers of the bind, its authorization identity, and whether it is Ada's.
type Case<'a> = (&'a [&'a Vec<u8>], Option<&'a [u8]>, bool);

#[tokio::test]
async fn ldap_07_the_identifiers_of_the_bind_tell_whose_it_was() {
    let (ada, namesake, group) = (identifier(1, 80), identifier(2, 80), identifier(1, 1));
    let cases: [Case; 9] = [
        // Samba does not know the question for the authorization identity.
        (&[&ada, &group], None, true),
        (&[&namesake, &group], None, false),
        (&[], None, false),
        (&[&ada, &group], Some(b"u:CORP\\ada"), true),
        // What a domain is called in short need not be what was typed; its identifiers are its own.
        (&[&ada], Some(b"u:CORPORATION\\ada"), true),
        // An account of the same name in another domain of the forest, by a principal name that it was given.
        (&[&namesake, &group], Some(b"u:CORP\\ada"), false),
        (&[&ada], Some(b"u:CORP\\mallory"), false),
        (&[&ada], Some(b""), false),
        (&[], Some(b"u:CORP\\ada"), true),
    ];
    for (held, who, own) in cases {
        let scene = Scene::new().await;
        let (held, who): (Vec<Vec<u8>>, _) = (held.iter().map(|id| id.to_vec()).collect(), who.map(<[u8]>::to_vec));
        let told = format!("{} identifiers, {:?}", held.len(), who.as_deref().map(String::from_utf8_lossy));
        let ada = ada.clone();
        let directory = Directory::start(move |question: &Question| {
            let id = question.id;
            Act::Say(match (&question.asked, &who) {
                (Asked::Extended { .. }, Some(who)) => {
                    message(id, EXTENDED, &[ber(10, &[0]), ber(4, b""), ber(4, b""), ber(0x8b, who)].concat())
                }
                (Asked::Extended { .. }, None) => result(id, EXTENDED, 2, "", "not supported"),
                (Asked::Search { base, .. }, _) if base.is_empty() => {
                    let held: Vec<(&str, &[u8])> = held.iter().map(|id| ("tokenGroups", id.as_slice())).collect();
                    [entry(id, "", &held), result(id, DONE, 0, "", "")].concat()
                }
                (Asked::Search { filter, .. }, _) if filter.contains("sAMAccountName") => {
                    let attributes: &[(&str, &[u8])] = &[
                        ("sAMAccountName", b"ada"),
                        ("mail", b"ada@corp.test"),
                        ("objectGUID", &GUID),
                        ("objectSid", &ada),
                    ];
                    [entry(id, ADA, attributes), result(id, DONE, 0, "", "")].concat()
                }
                _ => return controller(question),
            })
        })
        .await;
        let direct = json!({"mode": "direct", "dn": "", "password": "", "userDnTemplate": "CORP\\{{username}}"});
        let connection = scene.connect(wish(&directory, json!({"bind": direct, "groups": {"nested": false}}))).await;
        let (status, body) = scene.relay(&connection, "ada", PASSWORD).await;
        let expected = if own { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        assert_eq!(status, expected, "{told}: {body}");
    }
}

#[tokio::test]
async fn groups_that_come_in_parts_are_told_to_be_cut() {
    for (name, cut) in [("memberOf;range=0-0", true), ("memberOf;range=0-*", false), ("memberOf", false)] {
        let directory = Directory::start(move |question: &Question| match &question.asked {
            Asked::Search { filter, .. } if filter.contains("sAMAccountName") => {
                let attributes: &[(&str, &[u8])] = &[
                    ("sAMAccountName", b"ada"),
                    ("mail", b"ada@corp.test"),
                    ("objectGUID", &GUID),
                    (name, b"CN=Wizards,OU=Groups,DC=corp,DC=test"),
                ];
                let found = entry(question.id, ADA, attributes);
                Act::Say([found, result(question.id, DONE, 0, "", "")].concat())
            }
            _ => controller(question),
        })
        .await;
        let scene = Scene::new().await;
        let connection = scene.connect(wish(&directory, json!({"groups": {"nested": false}}))).await;
        scene.owns(&connection, "corp.test").await;
        let reply = scene.sign_in(&connection, "ada", PASSWORD).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        let trace = scene.trace(&reply).await;
        let checks = trace["checks"].as_array().unwrap();
        assert_eq!(checks.iter().any(|check| check["name"] == "groups_cut"), cut, "{name}: {trace}");
        assert!(checks.iter().any(|check| check["received"] == "1 groups"), "{name}: {trace}");
    }
}

#[tokio::test]
async fn the_person_hears_one_sentence_and_the_administrator_the_reason() {
    let scene = Scene::new().await;
    let mut pages = std::collections::BTreeSet::new();
    for (data, reason) in [
        ("525", "no entry"),
        ("52e", "password is not right"),
        ("530", "at this time"),
        ("531", "this machine"),
        ("532", "password has expired"),
        ("533", "account is disabled"),
        ("701", "account has expired"),
        ("773", "must be changed"),
        ("775", "account is locked"),
    ] {
        let directory = Directory::start(move |question: &Question| match &question.asked {
            Asked::Bind { name, .. } if name == ADA => {
                let text = format!(
                    "80090308: LdapErr: DSID-0C090400, comment: AcceptSecurityContext error, data {data}, v1db1"
                );
                Act::Say(result(question.id, BIND, 49, "", &text))
            }
            _ => controller(question),
        })
        .await;
        let connection = scene.connect(wish(&directory, json!({}))).await;
        let reply = scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, "ada", PASSWORD).await;
        let why = failed(&scene.trace(&reply).await);
        assert!(why["received"].as_str().unwrap().contains(reason), "{data}: {why}");
        let event = scene.authd.events().await.pop().unwrap();
        assert!(event.data["reason"].as_str().unwrap().contains(reason), "{data}: {event:?}");
        assert!(!reply.body.contains(reason), "{data}: {}", reply.body);
        let ticket = reply.field("attempt");
        pages.insert(reply.body.replace(&reply.request_id(), "").replace(&ticket, "").replace(&connection, ""));
    }
    assert_eq!(pages.len(), 1, "the pages are all the same");
}

#[tokio::test]
async fn who_is_switched_off_does_not_get_in_and_nothing_is_bound() {
    let directory = Directory::start(|question: &Question| match &question.asked {
        Asked::Search { filter, .. } if filter.contains("sAMAccountName") => {
            Act::Say([person(question.id, "514"), result(question.id, DONE, 0, "", "")].concat())
        }
        _ => controller(question),
    })
    .await;
    let scene = Scene::new().await;
    let connection = scene.connect(wish(&directory, json!({}))).await;
    let reply = scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, "ada", PASSWORD).await;
    assert!(failed(&scene.trace(&reply).await)["received"].as_str().unwrap().contains("disabled"));
    assert!(directory.binds().iter().all(|(_, name, _)| name != ADA));
}

#[tokio::test]
async fn ldap_04_a_controller_that_wants_encryption_is_not_asked_twice() {
    let directory = Directory::start(|question: &Question| match &question.asked {
        Asked::Bind { .. } => {
            let text = "BindSimple: Transport encryption required.";
            Act::Say(result(question.id, BIND, 8, "", text))
        }
        _ => controller(question),
    })
    .await;
    let scene = Scene::new().await;
    let connection = scene.force(wish(&directory, json!({}))).await;
    let before = directory.binds().len();
    let reply = scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_tls_required", &connection, "ada", PASSWORD).await;
    assert!(failed(&scene.trace(&reply).await)["received"].as_str().unwrap().contains("stronger"));
    assert_eq!(directory.binds().len(), before + 1);
}
