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

/// Without a path, under the core schema's own URN: its attributes, and no attribute of another name.
#[test]
fn scim_04_the_core_schema_named_by_its_urn_is_the_resource_itself() {
    const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
    for urn in [USER.to_owned(), USER.to_uppercase()] {
        for op in ["add", "replace"] {
            let value = json!({&urn: {"title": "Lady", "name": {"givenName": "A."}, "id": "other"}, "nickName": "A"});
            let (after, outcome) = of(ResourceKind::User, &person(), json!([{"op": op, "value": value}])).unwrap();
            assert_eq!((&after["title"], &after["nickName"]), (&json!("Lady"), &json!("A")), "{op} {urn}");
            assert_eq!(after["name"], json!({"givenName": "A.", "familyName": "King"}));
            assert_eq!(after.as_object().unwrap().len(), person().as_object().unwrap().len() + 1, "{after}");
            assert!(["title", "name", "nickName"].iter().all(|name| outcome.touched.contains(*name)));
        }
        assert_eq!(refused(json!([{"op": "replace", "value": {&urn: "x"}}])), "invalid_value");
        assert_eq!(refused(json!([{"op": "replace", "value": {&urn: {"userName.more.yet": "x"}}}])), "invalid_path");
    }
}

/// What is one may come as a list of one.
#[test]
fn scim_04_a_list_of_one_stands_for_the_one() {
    for (path, value, pointer, expected) in [
        ("title", json!(["Dr"]), "/title", json!("Dr")),
        ("name.givenName", json!(["A."]), "/name/givenName", json!("A.")),
        ("emails[type eq \"home\"]", json!([{"value": "z@y.test"}]), "/emails/1/value", json!("z@y.test")),
        ("emails[type eq \"home\"].value", json!(["z@y.test"]), "/emails/1/value", json!("z@y.test")),
        ("emails[type eq \"new\"]", json!([{"value": "z@y.test"}]), "/emails/2/type", json!("new")),
    ] {
        assert_eq!(leaves(json!([{"op": "replace", "path": path, "value": value}]), pointer), expected, "{path}");
    }
}

/// One place takes one value: of several none is chosen for the client.
#[test]
fn scim_04_a_list_of_several_is_not_the_one() {
    let two = json!([{"value": "y@y.test"}, {"value": "z@y.test"}]);
    for (path, value) in [
        ("emails[type eq \"home\"]", two),
        ("emails[type eq \"home\"].value", json!(["y@y.test", "z@y.test"])),
        ("title", json!(["Dr", "Lady"])),
    ] {
        assert_eq!(refused(json!([{"op": "replace", "path": path, "value": value}])), "invalid_value", "{path}");
    }
}

/// An attribute of an attribute of an extension that no schema knows is itself, not the extension.
#[test]
fn scim_04_the_parts_of_an_unknown_extension_are_kept_apart() {
    for (value, expected) in [(json!(3), json!(3)), (json!({"deep": 1}), json!({"deep": 1}))] {
        let operations = json!([{"op": "add", "path": "urn:acme:2.0:Badge:place.floor", "value": value}]);
        assert_eq!(leaves(operations, "/urn:acme:2.0:Badge"), json!({"number": 7, "place": {"floor": expected}}));
    }
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
fn of_several_values_those_that_are_meant_change() {
    let emails = |operation: Value| leaves(json!([operation]), "/emails");
    assert_eq!(
        emails(json!({"op": "replace", "path": "emails.type", "value": "other"})),
        json!([{"value": "ada@work.test", "type": "other", "primary": true}, {"value": "ada@home.test", "type": "other"}])
    );
    assert_eq!(
        emails(json!({"op": "replace", "path": "emails.value", "value": "one@work.test"})),
        json!([{"value": "one@work.test", "type": "work", "primary": true}, {"value": "one@work.test", "type": "home"}])
    );
    for nothing in [Value::Null, json!(""), json!({})] {
        assert_eq!(
            emails(json!({"op": "replace", "path": "emails[type eq \"work\"]", "value": nothing})),
            json!([{"value": "ada@home.test", "type": "home"}]),
            "{nothing}"
        );
    }
    let one = json!([{"op": "replace", "path": "name[givenName eq \"Ada\"].familyName", "value": "Byron"}]);
    assert_eq!(refused(one), "invalid_path");
}

#[test]
fn of_several_values_one_is_primary() {
    let after = |operation: Value, pointer: &str| leaves(json!([operation]), pointer);
    let mine = json!({"value": "new@work.test", "type": "other", "primary": true});
    assert_eq!(
        after(json!({"op": "add", "path": "emails", "value": [mine]}), "/emails"),
        json!([
            {"value": "ada@work.test", "type": "work", "primary": false}, {"value": "ada@home.test", "type": "home"}, mine
        ])
    );
    // One that is not says nothing of the others.
    for quiet in [json!({"value": "x@work.test"}), json!({"value": "x@work.test", "primary": false})] {
        let emails = after(json!({"op": "add", "path": "emails", "value": [quiet]}), "/emails");
        assert_eq!((&emails[0]["primary"], &emails[2]), (&json!(true), &quiet));
    }
    let second = json!({"op": "replace", "path": "emails[type eq \"home\"].primary", "value": true});
    let emails = after(second, "/emails");
    assert_eq!((&emails[0]["primary"], &emails[1]["primary"]), (&json!(false), &json!(true)));
    // A part of several that are not there makes one, and taking it away makes none.
    let made = json!({"op": "add", "path": "phoneNumbers.value", "value": "+1"});
    assert_eq!(after(made, "/phoneNumbers"), json!([{"value": "+1"}]));
    for (gone, pointer) in [("phoneNumbers.value", "/phoneNumbers"), ("emails.value", "/emails")] {
        assert_eq!(after(json!({"op": "remove", "path": gone}), pointer), Value::Null, "{gone}");
    }
}

#[test]
fn a_value_that_says_nothing_is_none() {
    let run = |operations: Value, pointer: &str| leaves(operations, pointer);
    // An address has no `value`: any part of it is something; its type alone is not.
    let paris = json!({"op": "add", "path": "addresses[type eq \"work\"].locality", "value": "Paris"});
    assert_eq!(run(json!([paris]), "/addresses"), json!([{"type": "work", "locality": "Paris"}]));
    let none = json!({"op": "remove", "path": "addresses[type eq \"work\"].locality"});
    assert_eq!(run(json!([paris, none]), "/addresses"), Value::Null);
    let text = json!([paris, {"op": "replace", "path": "addresses[type eq \"work\"]", "value": "Paris"}]);
    assert_eq!(refused(text), "invalid_value");
    let mobile =
        json!({"op": "add", "path": "phoneNumbers[type eq \"mobile\" and primary eq true].value", "value": "+1"});
    assert_eq!(run(json!([mobile]), "/phoneNumbers"), json!([{"type": "mobile", "primary": true, "value": "+1"}]));
    // An e-mail address is its `value`.
    let shown = json!([{"op": "add", "path": "emails[type eq \"other\"].display", "value": "Ada"}]);
    assert_eq!(run(shown, "/emails"), person()["emails"]);
    let bare = json!([{"op": "replace", "path": "emails[type eq \"home\"]", "value": "new@home.test"}]);
    assert_eq!(run(bare, "/emails/1"), json!({"value": "new@home.test", "type": "home"}));
    // What no schema knows.
    let mut before = person();
    before["urn:acme:2.0:Badge"]["keys"] = json!([{"type": "a", "door": 1}, {"type": "b", "door": 2}]);
    let change = |operation: Value| {
        let (after, _) = of(ResourceKind::User, &before, json!([operation])).unwrap();
        after["urn:acme:2.0:Badge"]["keys"].clone()
    };
    let keys = "urn:acme:2.0:Badge:keys[type eq \"a\"]";
    assert_eq!(
        change(json!({"op": "replace", "path": keys, "value": {"door": 3}})),
        json!([{"type": "a", "door": 3}, {"type": "b", "door": 2}])
    );
    assert_eq!(change(json!({"op": "remove", "path": format!("{keys}.door")})), json!([{"type": "b", "door": 2}]));
}

#[test]
fn of_a_plain_list_those_that_are_named_go() {
    let mut before = person();
    before["urn:acme:2.0:Badge"]["tags"] = json!(["a", "b", {"value": "c"}]);
    for (value, left) in [
        (json!(["a"]), json!(["b", {"value": "c"}])),
        (json!("b"), json!(["a", {"value": "c"}])),
        (json!([{"value": "c"}]), json!(["a", "b"])),
        (json!(["z"]), json!(["a", "b", {"value": "c"}])),
    ] {
        let operation = json!([{"op": "remove", "path": "urn:acme:2.0:Badge:tags", "value": value}]);
        let (after, _) = of(ResourceKind::User, &before, operation).unwrap();
        assert_eq!(after["urn:acme:2.0:Badge"]["tags"], left, "{value}");
    }
}

#[test]
fn what_changes_nothing_of_the_members_is_known() {
    let group = |operation: Value| of(ResourceKind::Group, &json!({"displayName": "g"}), json!([operation])).unwrap().1;
    for chosen in ["members[type eq \"User\"]", "members[$ref eq \"a\"]", "members[value sw \"a\"]"] {
        let changes = group(json!({"op": "remove", "path": chosen})).members;
        assert!(matches!(changes.as_slice(), [MemberChange::RemoveWhere(_)]), "{chosen}: {changes:?}");
    }
    assert!(Membership::default().is_nothing());
    for all in [
        Membership { replaced: true, ..Membership::default() },
        Membership { come: set(&["a"]), ..Membership::default() },
        Membership { go: set(&["a"]), ..Membership::default() },
    ] {
        assert!(!all.is_nothing(), "{all:?}");
    }
}

#[test]
fn an_extension_is_meant_as_a_whole() {
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    const BADGE: &str = "urn:acme:2.0:Badge";
    let change = |before: &Value, operation: Value| of(ResourceKind::User, before, json!([operation]));
    // What stands in the value of a removal does not matter: all of it goes.
    for value in [json!({"number": 7}), json!({"number": 8}), json!("anything"), Value::Null] {
        let (after, _) = change(&person(), json!({"op": "remove", "path": BADGE, "value": value})).unwrap();
        assert_eq!(after.get(BADGE), None, "{value}");
    }
    // A text is no extension, whether or not the extension was there.
    let mut bare = person();
    bare.as_object_mut().unwrap().remove(ENTERPRISE);
    for before in [person(), bare.clone()] {
        let refused = change(&before, json!({"op": "add", "path": ENTERPRISE, "value": "text"})).unwrap_err();
        assert_eq!(refused.code(), "invalid_value");
    }
    let (after, _) = change(&bare, json!({"op": "add", "path": ENTERPRISE, "value": null})).unwrap();
    assert_eq!(after, bare);
    // What only authd writes within an attribute is passed over, however it is named.
    for named in [format!("{ENTERPRISE}:manager.displayName"), "meta.location".to_owned(), "groups".to_owned()] {
        let (after, outcome) = change(&person(), json!({"op": "replace", "value": {named.clone(): "Eve"}})).unwrap();
        assert_eq!((after, outcome.touched.len()), (person(), 0), "{named}");
    }
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
