//! The form of an operation: its fields, as its schema has them.

use serde_json::{Map, Value};

use crate::tui::catalogue::{Field, Shape, Spec};

/// The form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    /// Of which operation.
    pub operation: &'static str,
    /// What it does.
    pub about: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// What was typed into each.
    pub values: Vec<String>,
    /// Which one is typed into.
    pub at: usize,
    /// What is wrong.
    pub trouble: Option<String>,
}

impl Form {
    /// An empty one, but for what is known.
    pub fn of(spec: &Spec, known: &[(String, String)]) -> Self {
        let value = |field: &Field| known.iter().find(|(name, _)| *name == field.name).map(|(_, value)| value.clone());
        let values: Vec<String> = spec.fields.iter().map(|field| value(field).unwrap_or_default()).collect();
        let at = values.iter().position(String::is_empty).unwrap_or(0);
        Self { operation: spec.name, about: spec.about.clone(), fields: spec.fields.clone(), values, at, trouble: None }
    }

    /// To the next field, or to the one before.
    pub fn go(&mut self, by: isize) {
        let count = self.fields.len().max(1);
        self.at = (self.at + count).saturating_add_signed(by) % count;
    }

    /// The next value of a field that has few.
    pub fn turn(&mut self, by: isize) {
        let Some(field) = self.fields.get(self.at) else { return };
        let choices: Vec<&str> = match field.shape {
            Shape::Flag => vec!["", "true", "false"],
            _ if field.choices.is_empty() => return,
            _ => std::iter::once("").chain(field.choices.iter().map(String::as_str)).collect(),
        };
        if let Some(value) = self.values.get_mut(self.at) {
            let now = choices.iter().position(|choice| choice == value).unwrap_or(0);
            let next = (now + choices.len()).saturating_add_signed(by) % choices.len();
            choices.get(next).copied().unwrap_or_default().clone_into(value);
        }
    }

    /// Whether the field has few values, and is turned rather than typed.
    pub fn turns(&self) -> bool {
        self.fields.get(self.at).is_some_and(|field| field.shape == Shape::Flag || !field.choices.is_empty())
    }

    /// What is typed goes here.
    pub fn typed(&mut self) -> Option<&mut String> {
        self.trouble = None;
        self.values.get_mut(self.at)
    }

    /// The input of the operation; or the field that is wrong comes to the front, and it is said why.
    pub fn input(&mut self) -> Option<Value> {
        let mut input = Map::new();
        for (at, (field, typed)) in self.fields.iter().zip(&self.values).enumerate() {
            let value = match typed.trim() {
                "" if field.required => Err(format!("{} is missing.", field.name)),
                "" => continue,
                typed => field.read(typed),
            };
            match value {
                Ok(value) => drop(input.insert(field.name.clone(), value)),
                Err(why) => {
                    (self.at, self.trouble) = (at, Some(why));
                    return None;
                }
            }
        }
        Some(Value::Object(input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(name: &str, shape: Shape, required: bool) -> Field {
        Field { name: name.into(), shape, required, ..Field::default() }
    }

    #[test]
    fn what_is_typed_becomes_the_input_or_a_sentence() {
        let fields = vec![
            field("name", Shape::Text, true),
            field("grants", Shape::List, false),
            field("limit", Shape::Number, false),
            field("all", Shape::Flag, false),
        ];
        let mut form = Form { values: vec![String::new(); 4], fields, ..Form::default() };
        assert_eq!((form.input(), form.at), (None, 0));
        form.values = ["x", "a, b", "ten", ""].map(str::to_owned).into();
        assert_eq!((form.input(), form.at), (None, 2));
        form.values[2] = "10".into();
        form.at = 3;
        form.turn(1);
        assert_eq!(form.input(), Some(json!({"name": "x", "grants": ["a", "b"], "limit": 10, "all": true})));
    }
}
