//! The operations, as the palette, the forms and the actions need them: read from their schemas.

use serde_json::{Map, Value};

use super::shown::text;
use crate::access::{AnyOperation, Method, Route};

/// An operation.
#[derive(Clone, Debug)]
pub struct Spec {
    /// `noun.verb`.
    pub name: &'static str,
    /// What it does: the first sentence.
    pub about: String,
    /// Where it stands in `/v1`.
    pub route: Route,
    /// What it takes, what it must be given first.
    pub fields: Vec<Field>,
}

/// A field of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it can be.
    pub shape: Shape,
    /// The values it can have, if they are few.
    pub choices: Vec<String>,
    /// Whether nobody shall read it over a shoulder.
    pub secret: bool,
}

/// What a field can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    #[default]
    Text,
    /// A number.
    Number,
    /// Yes or no.
    Flag,
    /// Texts, with commas between.
    List,
    /// Anything else, in JSON.
    Json,
}

impl Spec {
    /// Of an operation of the catalogue.
    pub fn of(operation: &dyn AnyOperation) -> Self {
        let schema = operation.input();
        let required: Vec<&str> = super::shown::list(&schema, "required").iter().filter_map(Value::as_str).collect();
        let mut fields: Vec<Field> = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, field)| {
                // What stands in the path cannot be left out, whatever the schema says.
                let in_path = operation.route().path.contains(&format!("{{{name}}}"));
                Field::of(name, field, &schema, in_path || required.contains(&name.as_str()))
            })
            .collect();
        fields.sort_by_key(|field| !field.required);
        // The first sentence.
        let about = text(&schema, "description").split("\n\n").next().unwrap_or_default().replace('\n', " ");
        let about = about.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned();
        Self { name: operation.name(), about, route: operation.route(), fields }
    }

    /// Whether it only reads.
    pub fn reads(&self) -> bool {
        // These are asked by POST since what they are asked about is long or secret.
        self.route.method == Method::Get
            || matches!(self.name, "audit.verify" | "token.explain" | "policy.explain" | "policy.validate")
    }
}

impl Field {
    fn of(name: &str, field: &Value, schema: &Value, required: bool) -> Self {
        let about = text(field, "description").replace('\n', " ");
        let branches = field.get("anyOf").and_then(Value::as_array);
        let field = branches.and_then(|some| some.iter().find(|one| one["type"] != "null")).unwrap_or(field);
        let field = resolved(field, schema);
        let kind = match &field["type"] {
            Value::String(one) => one.as_str(),
            Value::Array(some) => {
                some.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
            }
            _ => "",
        };
        let texts = |item: &Value| matches!(resolved(item, schema)["type"].as_str(), Some("string") | None);
        let shape = match kind {
            "string" => Shape::Text,
            "integer" | "number" => Shape::Number,
            "boolean" => Shape::Flag,
            "array" if texts(&field["items"]) => Shape::List,
            "" if !choices(field).is_empty() => Shape::Text,
            _ => Shape::Json,
        };
        Self {
            name: name.to_owned(),
            about,
            required,
            shape,
            choices: choices(field),
            secret: field["format"] == "password",
        }
    }

    /// What was typed, as the operation takes it. Errors: a sentence for the person.
    pub fn read(&self, typed: &str) -> Result<Value, String> {
        let typed = typed.trim();
        match self.shape {
            Shape::Text => Ok(Value::from(typed)),
            Shape::Number => typed.parse::<i64>().map(Value::from).map_err(|_| format!("{} is a number.", self.name)),
            Shape::Flag => match typed {
                "true" | "yes" | "y" => Ok(Value::Bool(true)),
                "false" | "no" | "n" => Ok(Value::Bool(false)),
                _ => Err(format!("{} is yes or no.", self.name)),
            },
            Shape::List => Ok(typed.split(',').map(|item| Value::from(item.trim())).collect()),
            Shape::Json => serde_json::from_str(typed).map_err(|_| format!("{} is JSON.", self.name)),
        }
    }
}

fn resolved<'a>(field: &'a Value, schema: &'a Value) -> &'a Value {
    let name = field["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    name.and_then(|name| schema["$defs"].get(name)).unwrap_or(field)
}

fn choices(field: &Value) -> Vec<String> {
    let plain = field["enum"].as_array().into_iter().flatten();
    let told = field["oneOf"].as_array().into_iter().flatten().map(|one| &one["const"]);
    plain.chain(told).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The input of an operation, from fields and values.
pub fn input<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
    Value::Object(fields.map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<_, _>>())
}
