//! The parameter `claims` (OpenID Connect Core §5.5): single claims that an app asks for, by name.
//!
//! What is asked for and known is given, as if its scope had been asked for; nothing else is. Two claims are a
//! condition and not a wish: `sub` with a value (nobody else may be answered) and an essential `acr` with values.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::client::App;
use crate::crypto::json;

/// A longer parameter is none of an app's.
pub(super) const LONGEST: usize = 4 * 1024;
/// More values than any app accepts for one claim.
const MOST_VALUES: usize = 32;

/// The claims that a scope stands for, beside those that every answer has.
const BY_SCOPE: &[(&str, &[&str])] = &[
    ("profile", &["name", "given_name", "family_name", "picture", "updated_at"]),
    ("email", &["email", "email_verified"]),
    ("groups", &["groups"]),
];

/// What an app asked for by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AskedClaims {
    /// Into the id token.
    #[n(0)]
    pub id_token: Vec<String>,
    /// Into user info.
    #[n(1)]
    pub userinfo: Vec<String>,
    /// The one person who may be answered.
    #[n(2)]
    pub subject: Option<String>,
    /// The context classes of which one must have been reached.
    #[n(3)]
    pub acr: Vec<String>,
    /// Context classes that it would like, in the order of preference.
    #[n(4)]
    pub acr_wished: Vec<String>,
}

/// One member: `null`, or an object with `essential`, `value`, `values`.
#[derive(Default)]
struct Member {
    essential: bool,
    values: Vec<String>,
}

impl AskedClaims {
    /// Reads the parameter. What is asked for and not known is left out (§5.5.1). Errors: a sentence for the app.
    pub(super) fn parse(app: &App, text: &str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("The parameter `claims` is longer than 4 KiB.");
        }
        let whole = json::object(text.as_bytes()).ok_or("The parameter `claims` is not a JSON object.")?;
        let mut asked = Self::default();
        for (place, members) in &whole {
            let names = match place.as_str() {
                "id_token" => &mut asked.id_token,
                "userinfo" => &mut asked.userinfo,
                // §5.5: other members are ignored.
                _ => continue,
            };
            let members = match members {
                Value::Null => continue,
                Value::Object(members) => members,
                _ => return Err("A member of `claims` is neither an object nor null."),
            };
            names.extend(members.keys().filter(|name| known(app, name)).cloned());
            for (name, member) in members {
                let Member { essential, values } = member_of(member)?;
                match name.as_str() {
                    "sub" => {
                        for value in values {
                            if asked.subject.replace(value.clone()).is_some_and(|before| before != value) {
                                return Err("The parameter `claims` asks for two people.");
                            }
                        }
                    }
                    "acr" if place == "id_token" && essential => asked.acr = values,
                    "acr" if place == "id_token" => asked.acr_wished = values,
                    _ => {}
                }
            }
        }
        Ok(asked)
    }

    /// As the parameter says it, as far as it was understood; none when nothing was asked.
    pub(super) fn text(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        let listed = |names: &[String]| names.iter().map(|name| (name.clone(), Value::Null)).collect::<Map<_, _>>();
        let (mut id_token, userinfo) = (listed(&self.id_token), listed(&self.userinfo));
        if let Some(subject) = &self.subject {
            id_token.insert("sub".into(), json!({"value": subject}));
        }
        if !self.acr_wished.is_empty() {
            id_token.insert("acr".into(), json!({"values": self.acr_wished}));
        }
        if !self.acr.is_empty() {
            id_token.insert("acr".into(), json!({"essential": true, "values": self.acr}));
        }
        Some(json!({"id_token": id_token, "userinfo": userinfo}).to_string())
    }

    /// The scopes that would have given these claims: for people, who read scopes and not claims.
    pub fn scopes(&self) -> Vec<String> {
        let names = || self.id_token.iter().chain(&self.userinfo);
        let touched = BY_SCOPE.iter().filter(|(_, claims)| names().any(|name| claims.contains(&name.as_str())));
        touched.map(|(scope, _)| (*scope).to_owned()).collect()
    }
}

/// Of all claims those that were asked for by name. `all` has every one that the person has.
pub(super) fn picked(all: Map<String, Value>, names: &[String]) -> Map<String, Value> {
    all.into_iter().filter(|(name, _)| names.contains(name)).collect()
}

/// The scopes under which a person's claims are all there.
pub(super) fn every_scope() -> Vec<String> {
    BY_SCOPE.iter().map(|(scope, _)| (*scope).to_owned()).collect()
}

/// Whether a person or the app's own claims have that name. What every token has anyway is not kept.
fn known(app: &App, name: &str) -> bool {
    BY_SCOPE.iter().any(|(_, claims)| claims.contains(&name)) || app.claims.contains_key(name)
}

fn member_of(member: &Value) -> Result<Member, &'static str> {
    let wrong = "A claim that is asked for is neither null nor an object.";
    let members: BTreeMap<&str, &Value> = match member {
        Value::Null => return Ok(Member::default()),
        Value::Object(members) => members.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        _ => return Err(wrong),
    };
    let essential = match members.get("essential") {
        None => false,
        Some(Value::Bool(essential)) => *essential,
        Some(_) => return Err("`essential` is true or false."),
    };
    let mut values = Vec::new();
    if let Some(value) = members.get("value") {
        values.extend(value.as_str().map(str::to_owned));
    }
    match members.get("values") {
        None => {}
        Some(Value::Array(list)) if list.len() <= MOST_VALUES => {
            values.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        Some(_) => return Err("`values` is a list of at most 32 values."),
    }
    Ok(Member { essential, values })
}
