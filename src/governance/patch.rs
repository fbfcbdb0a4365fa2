//! A change of the policy as people write it: a JSON merge patch (RFC 7396), judged field by field before it is applied.
//!
//! The policy's own schema is the one source of what there is: names, words, shapes. So every refusal names the field
//! by its whole path, and what it may be.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::access::{Field, Fill, RoleName};
use crate::config::meant;
use crate::error::{Error, Result, codes};
use crate::policy::Policy;

/// A group or role of a source, as long as sources write them.
const LONGEST_NAME: usize = 1024;
/// The roles that follow from one group.
const MOST_ROLES: usize = 32;
/// The policy as it is kept.
const LONGEST: usize = 256 * 1024;

/// The policy's schema, without references.
static SHAPE: LazyLock<Value> = LazyLock::new(|| {
    let inline = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = Value::from(inline.into_generator().into_root_schema_for::<Policy>());
    if let Some(root) = schema.as_object_mut() {
        root.remove("$schema");
        root.remove("title");
    }
    schema
});

/// The schema of a patch: that of the policy, where every field may be left out, or be null for its default.
pub fn schema(_: &mut SchemaGenerator) -> Schema {
    let mut shape = SHAPE.clone();
    loosen(&mut shape);
    Schema::try_from(shape).unwrap_or_default()
}

fn loosen(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("default");
    object.remove("required");
    for inner in object.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        loosen(inner);
        let about = inner.as_object_mut().and_then(|inner| inner.remove("description"));
        let mut either = Map::new();
        either.extend(about.map(|about| ("description".to_owned(), about)));
        either.insert("anyOf".to_owned(), serde_json::json!([inner.take(), {"type": "null"}]));
        *inner = Value::Object(either);
    }
}

/// One field that a change of the policy changes.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Change {
    /// The field, from the root of the policy: `provisioning.jit.mode`.
    pub path: String,
    /// What it was; null for an entry that was not there.
    pub from: Value,
    /// What it is then; null for an entry that is taken away.
    pub to: Value,
}

/// The policy with the patch applied. What the patch takes away is the default again.
/// Errors: `unknown_field`, `invalid_input`, each naming the field and what there is.
pub fn apply(policy: &Policy, patch: &Map<String, Value>) -> Result<Policy> {
    let patch = Value::Object(patch.clone());
    judge("", &patch, &SHAPE)?;
    let mut value = serde_json::to_value(policy).map_err(Error::bug)?;
    merge(&mut value, patch);
    let policy: Policy = serde_json::from_value(value)
        .map_err(|error| Error::says(&codes::INVALID_INPUT, format!("The policy cannot be read: {error}.")))?;
    if written(&policy)?.len() > LONGEST {
        return Err(Error::says(&codes::INVALID_INPUT, "The policy would be longer than 256 KiB.")
            .help("Map fewer groups: one group for each role is enough."));
    }
    Ok(policy)
}

/// As it is kept.
pub(super) fn written(policy: &Policy) -> Result<String> {
    serde_json::to_string(policy).map_err(Error::bug)
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            object.shift_remove(&name);
        } else {
            merge(object.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// Every field that differs, in the order of the policy; entries of a mapping one by one.
pub fn changes(before: &Policy, after: &Policy) -> Result<Vec<Change>> {
    let value = |policy: &Policy| serde_json::to_value(policy).map_err(Error::bug);
    let mut found = Vec::new();
    compare("", &value(before)?, &value(after)?, &mut found);
    Ok(found)
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Change>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let gone = old.iter().filter(|(name, _)| !new.contains_key(*name));
            for (name, value) in gone {
                compare(&joined(path, name), value, &Value::Null, found);
            }
            for (name, value) in new {
                compare(&joined(path, name), old.get(name).unwrap_or(&Value::Null), value, found);
            }
        }
        _ if before == after => {}
        _ => found.push(Change { path: path.to_owned(), from: before.clone(), to: after.clone() }),
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Refuses what the policy has no place for. Null is right everywhere: it takes away.
fn judge(path: &str, value: &Value, schema: &Value) -> Result<()> {
    if value.is_null() && !path.is_empty() {
        return Ok(());
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let fields =
            value.as_object().ok_or_else(|| wrong(path, value, &format!("an object of {}", names(properties))))?;
        for (name, value) in fields {
            let inner = properties.get(name).ok_or_else(|| unknown(path, name, properties))?;
            judge(&joined(path, name), value, inner)?;
        }
        return Ok(());
    }
    if let Some(entry) = schema.get("additionalProperties").filter(|entry| entry.is_object()) {
        let entries = value
            .as_object()
            .ok_or_else(|| wrong(path, value, "an object: names of the source, and lists of roles"))?;
        for (name, roles) in entries {
            if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
                return Err(Error::says(
                    &codes::INVALID_INPUT,
                    format!("A name in `{path}` is empty, longer than 1024 bytes, or has control characters."),
                ));
            }
            judge(&joined(path, name), roles, entry)?;
        }
        return Ok(());
    }
    leaf(path, value, schema)
}

fn leaf(path: &str, value: &Value, schema: &Value) -> Result<()> {
    if path == "version" {
        return if value == 1 { Ok(()) } else { Err(wrong(path, value, "1")) };
    }
    let field = Field { name: path.to_owned(), about: String::new(), required: false, schema: schema.clone() };
    let choices = field.choices();
    let holds = |text: &str| choices.iter().any(|choice| choice == text);
    match field.fill() {
        Fill::Switch if value.is_boolean() => Ok(()),
        Fill::Switch => Err(wrong(path, value, "true or false")),
        Fill::Many => {
            let roles = value.as_array().filter(|roles| roles.len() <= MOST_ROLES);
            let roles = roles.ok_or_else(|| wrong(path, value, "a list of at most 32 roles"))?;
            let name = |role: &Value| role.as_str().is_some_and(|role| role.parse::<RoleName>().is_ok());
            match roles.iter().find(|role| !name(role)) {
                Some(role) => Err(wrong(path, role, "a list of names of roles")
                    .help("The roles are: owner, admin, member, viewer, and those of `authd role list`.")),
                None => Ok(()),
            }
        }
        _ if choices.is_empty() => Err(Error::bug(format!("`{path}` of the policy has a shape that is not known"))),
        _ if value.as_str().is_some_and(holds) => Ok(()),
        _ => {
            let near = value.as_str().and_then(|text| meant(text, choices.iter().map(String::as_str)));
            let help = near.map(|near| format!("Did you mean `{near}`?")).unwrap_or_default();
            Err(wrong(path, value, &format!("one of {}", choices.join(", "))).help(help))
        }
    }
}

/// The refusal of a value. A long or strange one is not repeated whole.
fn wrong(path: &str, value: &Value, right: &str) -> Error {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let shown: String = text.chars().filter(|c| !c.is_control()).take(64).collect();
    let path = if path.is_empty() { "patch" } else { path };
    Error::says(&codes::INVALID_INPUT, format!("`{path}` cannot be `{shown}`: it is {right}."))
}

fn unknown(path: &str, name: &str, properties: &Map<String, Value>) -> Error {
    let near = meant(name, properties.keys().map(String::as_str));
    let near = near.map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
    let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    Error::says(&codes::UNKNOWN_FIELD, format!("The policy has no field `{}`.", joined(path, &shown)))
        .help(format!("{near}There are: {}.", names(properties)))
}

fn names(properties: &Map<String, Value>) -> String {
    properties.keys().cloned().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn patched(policy: &Policy, patch: &Value) -> Result<Policy> {
        apply(policy, patch.as_object().unwrap())
    }

    /// Every word of every closed list, by its path.
    fn words() -> Vec<(String, Vec<String>)> {
        fn walk(path: &str, schema: &Value, found: &mut Vec<(String, Vec<String>)>) {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                let field = Field { name: path.into(), about: String::new(), required: false, schema: schema.clone() };
                let choices = field.choices();
                if !choices.is_empty() {
                    found.push((path.to_owned(), choices));
                }
                return;
            };
            properties.iter().for_each(|(name, inner)| walk(&joined(path, name), inner, found));
        }
        let mut found = Vec::new();
        walk("", &SHAPE, &mut found);
        found
    }

    /// `{"a": {"b": value}}` of `a.b`.
    fn at(path: &str, value: Value) -> Value {
        path.rsplit('.').fold(value, |inner, name| json!({ name: inner }))
    }

    fn get<'a>(value: &'a Value, path: &str) -> &'a Value {
        path.split('.').fold(value, |here, name| &here[name])
    }

    #[test]
    fn every_word_is_taken_and_no_other() {
        let words = words();
        assert_eq!(words.len(), 10, "{words:?}");
        for (path, allowed) in words {
            for word in &allowed {
                let policy = patched(&Policy::default(), &at(&path, json!(word))).unwrap();
                let value = serde_json::to_value(&policy).unwrap();
                assert_eq!(get(&value, &path), word, "{path}");
                assert_eq!(patched(&policy, &at(&path, json!(null))).unwrap(), Policy::default(), "null resets {path}");
            }
            let misspelt = [allowed[0].to_uppercase(), format!("{} ", allowed[0]), "x".into(), String::new()];
            let wrong = misspelt.into_iter().map(Value::String);
            for wrong in wrong.chain([json!(1), json!(true), json!([allowed[0]]), json!({})]) {
                let error = patched(&Policy::default(), &at(&path, wrong.clone())).unwrap_err();
                assert!(error.is(&codes::INVALID_INPUT), "{path} = {wrong}");
                assert!(error.message().contains(&format!("`{path}`")), "{error}");
                assert!(allowed.iter().all(|word| error.message().contains(word)), "{error}");
            }
        }
    }

    #[test]
    fn every_shape_is_held_to() {
        for (patch, code) in [
            (json!({"version": 2}), "invalid_input"),
            (json!({"version": "1"}), "invalid_input"),
            (json!({"provisioning": 1}), "invalid_input"),
            (json!({"provisioning": {"jit": []}}), "invalid_input"),
            (json!({"provisioning": {"user": {"createOnSignIn": "true"}}}), "invalid_input"),
            (json!({"provisioning": {"jit": {"defaultRoleIds": "admin"}}}), "invalid_input"),
            (json!({"provisioning": {"jit": {"defaultRoleIds": ["Admin"]}}}), "invalid_input"),
            (json!({"provisioning": {"jit": {"defaultRoleIds": [1]}}}), "invalid_input"),
            (json!({"provisioning": {"groups": {"mapping": ["admin"]}}}), "invalid_input"),
            (json!({"provisioning": {"groups": {"mapping": {"": ["admin"]}}}}), "invalid_input"),
            (json!({"provisioning": {"groups": {"mapping": {"a": "admin"}}}}), "invalid_input"),
            (json!({"provisioning": {"groups": {"mapping": {"a": {"b": ["admin"]}}}}}), "invalid_input"),
            (json!({"provisionning": {}}), "unknown_field"),
            (json!({"provisioning": {"jit": {"mod": "off"}}}), "unknown_field"),
            (json!({"identity": {"accountLinking": {"ldap": "none"}}}), "unknown_field"),
        ] {
            assert_eq!(patched(&Policy::default(), &patch).unwrap_err().code(), code, "{patch}");
        }
        let error = patched(&Policy::default(), &json!({"provisioning": {"jit": {"mod": "off"}}})).unwrap_err();
        assert_eq!(error.message(), "The policy has no field `provisioning.jit.mod`.");
        assert_eq!(error.next_step(), Some("Did you mean `mode`? There are: mode, defaultRoleIds."));
    }

    #[test]
    fn a_mapping_changes_entry_by_entry() {
        let of = |mapping: Value| json!({"provisioning": {"groups": {"mapping": mapping}}});
        let one = patched(&Policy::default(), &of(json!({"a.b": ["admin"], "c": ["member"]}))).unwrap();
        let two = patched(&one, &of(json!({"c": null, "d": ["viewer", "member"]}))).unwrap();
        let paths: Vec<_> = changes(&one, &two).unwrap().into_iter().map(|change| change.path).collect();
        assert_eq!(paths, ["provisioning.groups.mapping.c", "provisioning.groups.mapping.d"]);
        assert_eq!(patched(&two, &of(json!(null))).unwrap(), Policy::default());
        assert!(changes(&one, &one).unwrap().is_empty());
    }

    /// Any policy that can be written.
    fn policies() -> impl Strategy<Value = Policy> {
        let words = words();
        let picks: Vec<_> = words.iter().map(|(_, allowed)| 0..allowed.len()).collect();
        let roles = || prop::collection::vec(prop::sample::select(vec!["owner", "admin", "member", "x-1"]), 0..3);
        let mapping = || prop::collection::btree_map("[a-z. ]{1,4}", roles(), 0..4);
        (picks, any::<bool>(), roles(), mapping(), mapping()).prop_map(
            move |(picks, create, roles, groups, upstream)| {
                let mut patch = json!({"provisioning": {
                    "user": {"createOnSignIn": create}, "jit": {"defaultRoleIds": roles},
                    "groups": {"mapping": groups}, "roles": {"mapping": upstream},
                }});
                for ((path, allowed), pick) in words.iter().zip(picks) {
                    merge(&mut patch, at(path, json!(allowed[pick])));
                }
                patched(&Policy::default(), &patch).unwrap()
            },
        )
    }

    proptest! {
        /// The patch that RFC 7396 makes of two policies turns the one into the other, whatever they are.
        #[test]
        fn a_patch_of_the_difference_makes_one_policy_of_another(from in policies(), to in policies()) {
            fn difference(from: &Value, to: &Value) -> Value {
                let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
                let mut patch = Map::new();
                for (name, value) in to {
                    match from.get(name) {
                        Some(old) if old == value => {}
                        Some(old) => drop(patch.insert(name.clone(), difference(old, value))),
                        None => drop(patch.insert(name.clone(), value.clone())),
                    }
                }
                patch.extend(from.keys().filter(|name| !to.contains_key(*name)).map(|name| (name.clone(), Value::Null)));
                Value::Object(patch)
            }
            let (old, new) = (serde_json::to_value(&from).unwrap(), serde_json::to_value(&to).unwrap());
            let patch = difference(&old, &new);
            let patched = patched(&from, &patch).unwrap();
            prop_assert_eq!(&patched, &to);
            prop_assert!(apply(&patched, patch.as_object().unwrap()).unwrap() == to, "twice is as once");
            prop_assert_eq!(changes(&from, &to).unwrap().is_empty(), from == to);
            // What is kept reads as what was written.
            prop_assert_eq!(serde_json::from_str::<Policy>(&written(&to).unwrap()).unwrap(), to);
        }

        /// No JSON makes it panic or slip through: what is taken is a policy whose text reads back.
        #[test]
        fn anything_is_refused_or_a_policy(name in "[a-zA-Z]{1,12}", text in ".{0,8}", number in any::<i64>()) {
            for value in [json!(text), json!(number), json!([text]), json!({ &text: text }), json!(null)] {
                for patch in [json!({ &name: value }), json!({"provisioning": { &name: value }}), json!({"provisioning": {"jit": value}})] {
                    if let Ok(policy) = patched(&Policy::default(), &patch) {
                        prop_assert!(serde_json::from_str::<Policy>(&written(&policy).unwrap()).is_ok());
                    }
                }
            }
        }
    }
}
