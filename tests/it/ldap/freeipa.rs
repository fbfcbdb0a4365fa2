//! What is particular to FreeIPA: whatever an entry is a member of, only groups are groups.

use axum::http::StatusCode;
use serde_json::json;

use super::{Scene, merge, settings};
use crate::world::directory::{Act, Asked, BIND, DONE, Directory, PASSWORD, Question, behave, entry, result};

const ADA: &str = "uid=ada,cn=users,cn=accounts,dc=ipa,dc=test";
/// As a replica writes it: groups, and everything else that counts members.
const MEMBER_OF: [&str; 9] = [
    "cn=ipausers,cn=groups,cn=accounts,dc=ipa,dc=test",
    "cn=editors,cn=groups,cn=accounts,dc=ipa,dc=test",
    "ipaUniqueID=6ba7b810-9dad-11d1-80b4-00c04fd430c8,cn=hbac,dc=ipa,dc=test",
    "ipaUniqueID=6ba7b811-9dad-11d1-80b4-00c04fd430c8,cn=sudorules,cn=sudo,dc=ipa,dc=test",
    "cn=System: Read Users,cn=permissions,cn=pbac,dc=ipa,dc=test",
    "cn=User Administrators,cn=privileges,cn=pbac,dc=ipa,dc=test",
    "cn=helpdesk,cn=roles,cn=accounts,dc=ipa,dc=test",
    "cn=admins,cn=groups,cn=accounts,dc=other,dc=test",
    "cn=staging,cn=ng,cn=alt,dc=ipa,dc=test",
];

fn replica(question: &Question) -> Act {
    let id = question.id;
    match &question.asked {
        Asked::Search { filter, .. } if filter.contains("=ada)") => {
            let mut attributes = vec![("uid", &b"ada"[..]), ("mail", &b"ada@ipa.test"[..]), ("ipaUniqueID", &b"7"[..])];
            attributes.extend(MEMBER_OF.iter().map(|dn| ("memberOf", dn.as_bytes())));
            Act::Say([entry(id, ADA, &attributes), result(id, DONE, 0, "", "")].concat())
        }
        Asked::Bind { name, password } if name == ADA => {
            Act::Say(result(id, BIND, if password == PASSWORD { 0 } else { 49 }, "", ""))
        }
        _ => behave(question),
    }
}

#[tokio::test]
async fn ldap_08_roles_and_rules_that_name_a_person_are_no_groups() {
    for (more, groups) in [
        (json!({}), json!(["ipausers", "editors"])),
        (json!({"users": {"base": "dc=ipa,dc=test"}}), json!(["ipausers", "editors"])),
        (json!({"groups": {"base": "cn=roles,cn=accounts,dc=ipa,dc=test"}}), json!(["helpdesk"])),
    ] {
        let directory = Directory::start(replica).await;
        // The same person in one organization would be others by each connection.
        let scene = Scene::new().await;
        let mut wish = settings(
            &directory,
            json!({
                "preset": "freeipa",
                "users": {"base": "cn=users,cn=accounts,dc=ipa,dc=test"},
                "groups": {"mode": "memberOf"},
            }),
        );
        merge(&mut wish, more.clone());
        let connection = scene.connect(wish).await;
        let (status, body) = scene.relay(&connection, "ada", PASSWORD).await;
        assert_eq!(status, StatusCode::OK, "{more}: {body}");
        assert_eq!(body["groups"], groups, "{more}");
    }
}
