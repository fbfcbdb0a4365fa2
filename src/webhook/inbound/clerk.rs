//! What a message in the shape of Clerk's says of a person. Pure.

use serde_json::{Map, Value};

use crate::directory::{EmailAddress, Field, Fields};
use crate::error::{Error, Result, codes};

/// An identifier of the service may be so long, in bytes: it becomes a part of a key.
const LONGEST_ID: usize = 256;
/// A name may be so long, in bytes.
const LONGEST_NAME: usize = 1_000;
/// A picture's address may be so long, in bytes.
const LONGEST_URL: usize = 2_000;

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// This is what is known of a person now.
    Person(Box<Person>),
    /// A person is no more.
    Gone {
        /// The service's identifier of them.
        subject: String,
    },
    /// Something that authd does not act on.
    Other,
}

/// What is known of a person now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The service's identifier of them.
    pub subject: String,
    /// When this state was made, by the service's clock, in milliseconds; where it does not say, its message does.
    pub changed_at: Option<i64>,
    /// What it says of the profile.
    pub fields: Fields,
    /// Whether the service has verified the address that it sets.
    pub email_verified: bool,
    /// Whether the person may sign in there; absent where it does not say.
    pub banned: Option<bool>,
}

impl Message {
    /// From the body of a message. Errors: `invalid_input` for one about a person that does not say who it is.
    pub fn read(body: &Map<String, Value>) -> Result<Self> {
        let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
        if !matches!(kind, "user.created" | "user.updated" | "user.deleted") {
            return Ok(Self::Other);
        }
        let wrong = |what: &str| Error::says(&codes::INVALID_INPUT, format!("The message {what}."));
        let data = body.get("data").and_then(Value::as_object).ok_or_else(|| wrong("has no `data`"))?;
        let subject = data.get("id").and_then(Value::as_str).unwrap_or_default();
        if subject.is_empty() || subject.len() > LONGEST_ID || subject.chars().any(char::is_control) {
            return Err(wrong("does not say whom it is about (`data.id`)"));
        }
        let subject = subject.to_owned();
        if kind == "user.deleted" {
            return Ok(Self::Gone { subject });
        }
        let millis = |value: Option<&Value>| value.and_then(Value::as_i64).filter(|millis| *millis > 0);
        let changed_at = millis(data.get("updated_at")).or_else(|| millis(body.get("timestamp")));
        let (email, email_verified) = email(data);
        let fields = [
            (Field::Email, email),
            (Field::Name, name(data)),
            (Field::GivenName, text(data, "first_name")),
            (Field::FamilyName, text(data, "last_name")),
            (Field::Image, picture(data)),
        ];
        let fields = fields.into_iter().fold(Fields::none(), |fields, (field, said)| match said {
            Said::Nothing => fields,
            Said::Empty => fields.clear(field),
            Said::This(value) => fields.set(field, value),
        });
        let banned = data.get("banned").and_then(Value::as_bool);
        Ok(Self::Person(Box::new(Person { subject, changed_at, fields, email_verified, banned })))
    }
}

/// What is said of one field: nothing, that it is empty, or this.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Empty,
    This(String),
}

/// A text. One that no profile can hold counts as not said.
fn text(data: &Map<String, Value>, name: &str) -> Said {
    match data.get(name) {
        None => Said::Nothing,
        Some(Value::Null) => Said::Empty,
        Some(Value::String(value)) => match value.trim() {
            "" => Said::Empty,
            value if value.len() > LONGEST_NAME || value.chars().any(char::is_control) => Said::Nothing,
            value => Said::This(value.to_owned()),
        },
        Some(_) => Said::Nothing,
    }
}

/// Both names together, as they are shown.
fn name(data: &Map<String, Value>) -> Said {
    let (first, last) = (text(data, "first_name"), text(data, "last_name"));
    match (&first, &last) {
        (Said::Nothing, Said::Nothing) => Said::Nothing,
        (Said::This(first), Said::This(last)) => Said::This(format!("{first} {last}")),
        (Said::This(one), _) | (_, Said::This(one)) => Said::This(one.clone()),
        _ => Said::Empty,
    }
}

/// A picture's https address.
fn picture(data: &Map<String, Value>) -> Said {
    match text(data, "image_url") {
        Said::This(url) => {
            let fits = url.len() <= LONGEST_URL && url::Url::parse(&url).is_ok_and(|url| url.scheme() == "https");
            if fits { Said::This(url) } else { Said::Nothing }
        }
        said => said,
    }
}

/// The one address that the service calls the primary one, and whether it has verified it. Where none is called so,
/// no other is guessed.
fn email(data: &Map<String, Value>) -> (Said, bool) {
    let primary = match data.get("primary_email_address_id") {
        None => return (Said::Nothing, false),
        Some(Value::Null) => return (Said::Empty, false),
        Some(primary) => primary.as_str(),
    };
    let all = data.get("email_addresses").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    let mut meant = all.filter(|one| primary.is_some() && one.get("id").and_then(Value::as_str) == primary);
    // Two of one id are none: who made the message up would choose.
    let (Some(one), None) = (meant.next(), meant.next()) else { return (Said::Nothing, false) };
    let address = one.get("email_address").and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if EmailAddress::parse(address).is_err() {
        return (Said::Nothing, false);
    }
    let status = one.get("verification").and_then(|verification| verification.get("status")).and_then(Value::as_str);
    (Said::This(address.to_owned()), status == Some("verified"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn person(data: Value) -> Person {
        let mut body = json!({"type": "user.updated", "data": {"id": "user_1"}});
        body["data"].as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        match Message::read(body.as_object().unwrap()).unwrap() {
            Message::Person(person) => *person,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_primary_address_is_the_one_that_is_called_so_and_never_another() {
        let two = json!([
            {"id": "idn_a", "email_address": "a@acme.test", "verification": {"status": "verified"}},
            {"id": "idn_b", "email_address": "b@acme.test", "verification": {"status": "unverified"}},
        ]);
        for (primary, address, verified) in [
            (json!("idn_a"), Some("a@acme.test"), true),
            (json!("idn_b"), Some("b@acme.test"), false),
            (json!("idn_c"), None, false),
            (json!(7), None, false),
        ] {
            let person = person(json!({"primary_email_address_id": primary, "email_addresses": two}));
            assert_eq!((person.fields.value(Field::Email), person.email_verified), (address, verified), "{primary}");
        }
        let cleared = person(json!({"primary_email_address_id": null, "email_addresses": []}));
        assert_eq!(cleared.fields, Fields::none().clear(Field::Email));
        let twice = json!([{"id": "x", "email_address": "a@acme.test"}, {"id": "x", "email_address": "b@acme.test"}]);
        let twice = person(json!({"primary_email_address_id": "x", "email_addresses": twice}));
        assert_eq!(twice.fields, Fields::none());
        for verification in [json!(null), json!("verified"), json!({"status": "expired"}), json!({"status": true})] {
            let one = json!([{"id": "x", "email_address": "a@acme.test", "verification": verification}]);
            assert!(!person(json!({"primary_email_address_id": "x", "email_addresses": one})).email_verified);
        }
    }

    #[test]
    fn absent_empty_and_said_are_three_things() {
        assert_eq!(person(json!({})).fields, Fields::none());
        let empty = person(json!({"first_name": null, "last_name": " ", "image_url": null}));
        let all = [Field::Name, Field::GivenName, Field::FamilyName, Field::Image];
        assert_eq!(empty.fields, all.into_iter().fold(Fields::none(), Fields::clear));
        let half = person(json!({"first_name": "Ada", "last_name": null, "image_url": "javascript:alert(1)"}));
        assert_eq!(half.fields.value(Field::Name), Some("Ada"));
        assert_eq!(half.fields.wish(Field::Image), None);
        assert_eq!(person(json!({"updated_at": 5, "banned": true})).changed_at, Some(5));
    }

    #[test]
    fn a_message_says_whom_it_is_about_or_is_refused() {
        for data in [json!(null), json!({}), json!({"id": ""}), json!({"id": 5}), json!({"id": "x".repeat(257)})] {
            let body = json!({"type": "user.created", "data": data});
            assert!(Message::read(body.as_object().unwrap()).is_err(), "{body}");
        }
        for kind in [json!("session.created"), json!(null), json!(5), json!("user.created ")] {
            let body = json!({"type": kind, "data": {"id": "user_1"}});
            assert_eq!(Message::read(body.as_object().unwrap()).unwrap(), Message::Other, "{body}");
        }
    }
}
