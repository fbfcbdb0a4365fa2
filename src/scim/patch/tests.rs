use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn of(kind: ResourceKind, before: &Value, operations: Value) -> Result<(Value, Outcome)> {
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    let mut resource = before.as_object().unwrap().clone();
    let outcome = Patch::read(body.as_object().unwrap())?.apply(kind, &mut resource)?;
    Ok((Value::Object(resource), outcome))
}

fn person() -> Value {
    json!({
        "userName": "ada", "active": true, "title": "Countess", "name": {"givenName": "Ada", "familyName": "King"},
        "emails": [{"value": "ada@work.test", "type": "work", "primary": true}, {"value": "ada@home.test", "type": "home"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Engines", "manager": {"value": "usr_9"}},
        "urn:acme:2.0:Badge": {"number": 7},
    })
}

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// What a PATCH of a person leaves at one place, by a pointer.
#[track_caller]
fn leaves(operations: Value, pointer: &str) -> Value {
    let (after, _) =
        of(ResourceKind::User, &person(), operations.clone()).unwrap_or_else(|e| panic!("{operations}: {e}"));
    after.pointer(pointer).cloned().unwrap_or_default()
}

#[track_caller]
fn refused(operations: Value) -> &'static str {
    of(ResourceKind::User, &person(), operations.clone())
        .map(|(after, _)| panic!("{operations} left {after}"))
        .unwrap_err()
        .code()
}

#[test]
fn scim_04_what_rfc_7644_has() {
    for (operation, pointer, expected) in [
        (json!({"op": "add", "path": "nickName", "value": "A"}), "/nickName", json!("A")),
        (json!({"op": "replace", "path": "title", "value": "Dr"}), "/title", json!("Dr")),
        (json!({"op": "remove", "path": "title"}), "/title", Value::Null),
        (
            json!({"op": "add", "path": "name.middleName", "value": "B"}),
            "/name",
            json!({"givenName": "Ada", "familyName": "King", "middleName": "B"}),
        ),
        (
            json!({"op": "replace", "path": "name", "value": {"givenName": "A."}}),
            "/name",
            json!({"givenName": "A.", "familyName": "King"}),
        ),
        (json!({"op": "remove", "path": "name.givenName"}), "/name", json!({"familyName": "King"})),
        (json!({"op": "remove", "path": "name"}), "/name", Value::Null),
        (
            json!({"op": "add", "path": "emails", "value": [{"value": "x@y.test"}]}),
            "/emails/2",
            json!({"value": "x@y.test"}),
        ),
        (json!({"op": "add", "path": "emails", "value": {"value": "x@y.test"}}), "/emails/2/value", json!("x@y.test")),
        (
            json!({"op": "add", "path": "emails", "value": [{"value": "ada@home.test", "type": "home"}]}),
            "/emails/2",
            Value::Null,
        ),
        (
            json!({"op": "replace", "path": "emails", "value": [{"value": "x@y.test"}]}),
            "/emails",
            json!([{"value": "x@y.test"}]),
        ),
        (json!({"op": "remove", "path": "emails"}), "/emails", Value::Null),
        (json!({"op": "remove", "path": "emails[type eq \"home\"]"}), "/emails/1", Value::Null),
        (
            json!({"op": "replace", "path": "emails[type eq \"home\"].value", "value": "z@y.test"}),
            "/emails/1/value",
            json!("z@y.test"),
        ),
        (
            json!({"op": "replace", "path": "emails[type eq \"home\"]", "value": {"display": "at home"}}),
            "/emails/1",
            json!({"value": "ada@home.test", "type": "home", "display": "at home"}),
        ),
        (json!({"op": "add", "value": {"nickName": "A", "title": "Dr"}}), "/nickName", json!("A")),
        (json!({"op": "replace", "value": {"name": {"givenName": "A."}}}), "/name/familyName", json!("King")),
        (
            json!({"op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "Looms"}),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department",
            json!("Looms"),
        ),
        (
            json!({"op": "remove", "path": ENTERPRISE}),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            Value::Null,
        ),
        (
            json!({"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:title", "value": "Dr"}),
            "/title",
            json!("Dr"),
        ),
        (
            json!({"op": "add", "path": "emails[value eq \"ada@home.test\"].primary", "value": true}),
            "/emails/0/primary",
            json!(false),
        ),
    ] {
        assert_eq!(leaves(json!([operation]), pointer), expected, "{operation}");
    }
}

#[test]
fn scim_04_what_entra_and_okta_send() {
    let manager = "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/manager/value";
    for (operation, pointer, expected) in [
        (json!({"op": "Replace", "path": "active", "value": "False"}), "/active", json!(false)),
        (json!({"op": "REPLACE", "path": "ACTIVE", "value": "True"}), "/active", json!(true)),
        (json!({"op": "Replace", "value": {"active": "False"}}), "/active", json!(false)),
        (json!({"op": "Add", "path": "active", "value": [{"value": "False"}]}), "/active", json!(false)),
        (
            json!({"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "1"}),
            "/phoneNumbers",
            json!([{"type": "mobile", "value": "1"}]),
        ),
        (
            json!({"op": "Replace", "path": "emails[type eq \"other\"].value", "value": "o@y.test"}),
            "/emails/2",
            json!({"type": "other", "value": "o@y.test"}),
        ),
        (
            json!({"op": "Replace", "path": "emails[type eq \"work\"].value", "value": ""}),
            "/emails",
            json!([{"value": "ada@home.test", "type": "home"}]),
        ),
        (json!({"op": "Replace", "path": "emails[type eq \"work\"].value", "value": null}), "/emails/1", Value::Null),
        (json!({"op": "Remove", "path": "emails[type eq \"work\"].value"}), "/emails/1", Value::Null),
        (json!({"op": "Replace", "path": "title", "value": ""}), "/title", Value::Null),
        (json!({"op": "Replace", "path": "title", "value": null}), "/title", Value::Null),
        (json!({"op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": "usr_1"}), manager, json!("usr_1")),
        (
            json!({"op": "Replace", "path": format!("{ENTERPRISE}:manager"), "value": [{"$ref": null, "value": "usr_1"}]}),
            manager,
            json!("usr_1"),
        ),
        (json!({"op": "Replace", "path": format!("{ENTERPRISE}:manager"), "value": ""}), manager, Value::Null),
        (json!({"op": "Remove", "path": format!("{ENTERPRISE}:manager")}), manager, Value::Null),
        (
            json!({"op": "Replace", "value": {(format!("{ENTERPRISE}:department")): "Looms"}}),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department",
            json!("Looms"),
        ),
        (
            json!({"op": "Add", "value": {(ENTERPRISE): {"employeeNumber": "7"}}}),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department",
            json!("Engines"),
        ),
        (
            json!({"op": "Replace", "value": {"name.givenName": "A.", "emails[type eq \"work\"].value": "w@y.test"}}),
            "/name/givenName",
            json!("A."),
        ),
        (
            json!({"op": "Replace", "value": {"id": "usr_other", "userName": "eve", "meta": {}, "groups": []}}),
            "/userName",
            json!("eve"),
        ),
        (json!({"op": "Replace", "value": {"id": "usr_other"}}), "/id", Value::Null),
        (json!({"op": "Add", "path": "urn:acme:2.0:Badge:number", "value": 8}), "/urn:acme:2.0:Badge/number", json!(8)),
        (
            json!({"op": "Replace", "path": "urn:acme:2.0:Badge", "value": {"colour": "red"}}),
            "/urn:acme:2.0:Badge",
            json!({"number": 7, "colour": "red"}),
        ),
        (
            json!({"op": "Add", "path": "urn:acme:3.0:Desk", "value": {"floor": 3}}),
            "/urn:acme:3.0:Desk/floor",
            json!(3),
        ),
        (
            json!({"op": "Add", "path": ENTERPRISE, "value": {"schemas": [ENTERPRISE], "Division": "V", "colour": "red"}}),
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            json!({"department": "Engines", "manager": {"value": "usr_9"}, "colour": "red", "division": "V"}),
        ),
        (json!({"op": "Replace", "value": {"favouriteColour": "red"}}), "/favouriteColour", json!("red")),
        (
            json!({"op": "Remove", "path": "emails", "value": [{"value": "ada@home.test"}]}),
            "/emails",
            json!([{"value": "ada@work.test", "type": "work", "primary": true}]),
        ),
        (json!({"op": "Add", "path": "roles", "value": ["Admin"]}), "/roles", json!([{"value": "Admin"}])),
        (json!({"op": "Add", "path": "emails", "value": []}), "/emails/1/type", json!("home")),
    ] {
        assert_eq!(leaves(json!([operation]), pointer), expected, "{operation}");
    }
}

#[test]
fn scim_04_what_leads_nowhere_is_refused() {
    for (operation, code) in [
        (json!({"op": "replace", "path": "colour", "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": "name.colour", "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": "title.x", "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": "emails[type eq \"work\"", "value": "x"}), "invalid_filter"),
        (json!({"op": "replace", "path": "emails[type eq \"work\"].colour", "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": "emails[type eq \"work\"].value.x", "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": "title[type eq \"work\"]", "value": "x"}), "invalid_filter"),
        (json!({"op": "replace", "path": "emails[colour eq \"x\"].value", "value": "x"}), "invalid_filter"),
        (json!({"op": "replace", "path": "a b", "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": "../title", "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": 7, "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": format!("{ENTERPRISE}:colour"), "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": format!("{ENTERPRISE}:manager.colour"), "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": "x".repeat(3_000), "value": "x"}), "invalid_path"),
        (json!({"op": "replace", "path": "(".repeat(100), "value": "x"}), "invalid_path"),
        (json!({"op": "remove"}), "no_target"),
        (
            json!({"op": "replace", "path": "emails[not (type eq \"x\") and not (type eq \"work\") and not (type eq \"home\")].value", "value": "x"}),
            "no_target",
        ),
        (json!({"op": "replace", "path": "id", "value": "usr_2"}), "mutability"),
        (json!({"op": "replace", "path": "meta.created", "value": "2020-01-01T00:00:00Z"}), "mutability"),
        (json!({"op": "add", "path": "groups", "value": [{"value": "grp_1"}]}), "mutability"),
        (json!({"op": "remove", "path": "groups[value eq \"grp_1\"]"}), "mutability"),
        (json!({"op": "replace", "path": format!("{ENTERPRISE}:manager.displayName"), "value": "x"}), "mutability"),
        (json!({"op": "replace", "path": "title"}), "invalid_value"),
        (json!({"op": "replace", "path": "active", "value": "maybe"}), "invalid_value"),
        (json!({"op": "replace", "path": "active", "value": 1}), "invalid_value"),
        (json!({"op": "replace", "path": "title", "value": {"a": 1}}), "invalid_value"),
        (json!({"op": "replace", "path": "emails", "value": [7]}), "invalid_value"),
        (json!({"op": "replace", "value": "x"}), "invalid_value"),
        (json!({"op": "replace", "value": ["x"]}), "invalid_value"),
        (json!({"op": "move", "path": "title", "value": "x"}), "invalid_syntax"),
        (json!({"path": "title", "value": "x"}), "invalid_syntax"),
        (json!("replace"), "invalid_syntax"),
    ] {
        assert_eq!(refused(json!([operation])), code, "{operation}");
    }
    assert_eq!(refused(json!([])), "invalid_syntax");
    assert_eq!(refused(json!({})), "invalid_syntax");
    let one = json!({"op": "replace", "path": "title", "value": "x"});
    assert_eq!(refused(vec![one.clone(); MOST + 1].into()), "too_large");
    assert!(of(ResourceKind::User, &person(), vec![one; MOST].into()).is_ok());
}

#[test]
fn only_what_speaks_of_active_touches_it() {
    let touched = |operation: Value| of(ResourceKind::User, &person(), json!([operation])).unwrap().1.touched;
    for speaks in [
        json!({"op": "replace", "path": "active", "value": true}),
        json!({"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:Active", "value": "True"}),
        json!({"op": "replace", "value": {"ACTIVE": "True", "title": "x"}}),
        json!({"op": "remove", "path": "active"}),
    ] {
        assert!(touched(speaks.clone()).contains("active"), "{speaks}");
    }
    for silent in [
        json!({"op": "replace", "path": "title", "value": "active"}),
        json!({"op": "replace", "value": {"title": "x"}}),
        json!({"op": "add", "path": format!("{ENTERPRISE}:department"), "value": "active"}),
        json!({"op": "add", "path": "urn:acme:2.0:Badge:active", "value": true}),
    ] {
        assert!(!touched(silent.clone()).contains("active"), "{silent}");
    }
}

fn members(operations: Value) -> Result<Membership> {
    let (_, outcome) = of(ResourceKind::Group, &json!({"displayName": "g"}), operations)?;
    let mut all = Membership::default();
    for change in outcome.members {
        all.then(change);
    }
    Ok(all)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn scim_04_only_the_members_that_are_named_change() {
    let come = |names: &[&str]| Membership { come: set(names), ..Membership::default() };
    let go = |names: &[&str]| Membership { go: set(names), ..Membership::default() };
    let are = |names: &[&str]| Membership { replaced: true, come: set(names), ..Membership::default() };
    for (operation, expected) in [
        (json!({"op": "add", "path": "members", "value": [{"value": "a"}, {"value": "b"}]}), come(&["a", "b"])),
        (json!({"op": "Add", "path": "Members", "value": {"value": "a"}}), come(&["a"])),
        (
            json!({"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:members", "value": ["a"]}),
            come(&["a"]),
        ),
        (json!({"op": "add", "value": {"members": [{"value": "a", "display": "A"}]}}), come(&["a"])),
        (json!({"op": "add", "path": "members", "value": [{"$ref": "https://x/Users/a"}]}), come(&["a"])),
        (json!({"op": "remove", "path": "members[value eq \"a\"]"}), go(&["a"])),
        (json!({"op": "Remove", "path": "members", "value": [{"value": "a"}]}), go(&["a"])),
        (json!({"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "a"}]}), go(&["a"])),
        (json!({"op": "remove", "path": "members", "value": "a"}), go(&["a"])),
        (json!({"op": "remove", "path": "members", "value": []}), Membership::default()),
        (json!({"op": "remove", "path": "members"}), are(&[])),
        (json!({"op": "replace", "path": "members", "value": [{"value": "a"}]}), are(&["a"])),
        (json!({"op": "replace", "path": "members", "value": []}), are(&[])),
        (json!({"op": "replace", "value": {"displayName": "h", "members": [{"value": "a"}]}}), are(&["a"])),
        (json!({"op": "replace", "value": {"displayName": "h"}}), Membership::default()),
    ] {
        assert_eq!(members(json!([operation])).unwrap(), expected, "{operation}");
    }
    for (operation, code) in [
        (json!({"op": "replace", "path": "members[value eq \"a\"]", "value": {"value": "b"}}), "mutability"),
        (json!({"op": "replace", "path": "members.value", "value": "b"}), "mutability"),
        (json!({"op": "add", "path": "members", "value": [{"display": "A"}]}), "invalid_value"),
        (json!({"op": "add", "path": "members", "value": [7]}), "invalid_value"),
        (json!({"op": "add", "path": "members", "value": [{"value": 7}]}), "invalid_value"),
        (json!({"op": "add", "path": "members", "value": [{"value": "g", "type": "Group"}]}), "invalid_value"),
        (json!({"op": "remove", "path": "members[colour eq \"a\"]"}), "invalid_filter"),
    ] {
        assert_eq!(members(json!([operation])).unwrap_err().code(), code, "{operation}");
    }
}

proptest! {
    /// Any run of operations on members is what the same run on a plain set is.
    #[test]
    fn members_are_a_set(
        before in prop::collection::btree_set("[a-e]", 0..5),
        run in prop::collection::vec((0..6u8, prop::collection::vec("[a-e]", 0..3)), 1..8),
    ) {
        let (mut model, mut all) = (before.clone(), Membership::default());
        for (verb, names) in run {
            let list: Vec<Value> = names.iter().map(|name| json!({"value": name})).collect();
            let operation = match verb {
                0 | 1 => { model.extend(names.iter().cloned()); json!({"op": "add", "path": "members", "value": list}) }
                2 => { model = names.iter().cloned().collect(); json!({"op": "replace", "path": "members", "value": list}) }
                3 => { model.retain(|name| !names.contains(name)); json!({"op": "remove", "path": "members", "value": list}) }
                4 => {
                    let name = names.first().cloned().unwrap_or_else(|| "a".into());
                    model.remove(&name);
                    json!({"op": "remove", "path": format!("members[value eq \"{name}\"]")})
                }
                _ => { model.clear(); json!({"op": "remove", "path": "members"}) }
            };
            let (_, outcome) = of(ResourceKind::Group, &json!({"displayName": "g"}), json!([operation])).unwrap();
            outcome.members.into_iter().for_each(|change| all.then(change));
        }
        let mut after = if all.replaced { BTreeSet::new() } else { before };
        after.retain(|name| !all.go.contains(name));
        after.extend(all.come);
        prop_assert_eq!(after, model);
    }

    /// Whatever is sent, nothing that it does not name is other than before.
    #[test]
    fn a_patch_leaves_alone_what_it_does_not_name(path in "(nickName|title|name\\.givenName|emails\\[type eq \"work\"\\]\\.value|phoneNumbers|addresses)", text in "[a-z]{0,5}", verb in 0..3u8) {
        let verb = ["add", "replace", "remove"][verb as usize];
        let value: Value = match path.as_str() {
            "phoneNumbers" => json!([{"value": text}]),
            "addresses" => json!([{"locality": text}]),
            _ => json!(text),
        };
        let (after, outcome) = of(ResourceKind::User, &person(), json!([{"op": verb, "path": path, "value": value}])).unwrap();
        let named = path.split(['.', '[']).next().unwrap();
        let (before, after) = (person(), after.as_object().unwrap().clone());
        for (name, value) in before.as_object().unwrap().iter().filter(|(name, _)| *name != named) {
            prop_assert_eq!(after.get(name), Some(value));
        }
        prop_assert!(after.keys().all(|name| name == named || before.get(name).is_some()));
        prop_assert_eq!(outcome.touched, set(&[named]));
    }
}
