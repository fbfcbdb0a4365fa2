//! An operation's input as a form: its fields with their texts, and how a text becomes a field's value.
//!
//! Flags, query strings and the terminal's forms are all texts; the schema says what they mean.

use serde_json::{Map, Value};

use super::operation::AnyOperation;
use crate::crypto::json;
use crate::error::{Error, Result, codes};

/// How many references are followed, one within the other; no input is that deep.
const DEPTH: usize = 12;

/// The input of an operation.
#[derive(Clone, Debug)]
pub struct Form {
    /// What the operation does: its doc comment.
    pub about: String,
    /// Its fields, in order.
    pub fields: Vec<Field>,
}

/// One field of the input.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: String,
    /// What it is: its doc comment.
    pub about: String,
    /// Whether the operation refuses to go without it.
    pub required: bool,
    /// Its schema, references resolved.
    pub schema: Value,
}

/// How a field is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Yes or no.
    Switch,
    /// One text.
    One,
    /// Several texts.
    Many,
    /// A secret text.
    Secret,
    /// Fields of its own.
    Nested,
}

impl Form {
    /// The form of an operation.
    pub fn of(operation: &dyn AnyOperation) -> Self {
        Self::from_schema(&operation.input())
    }

    fn from_schema(root: &Value) -> Self {
        let required: Vec<&str> = list(root, "required").iter().filter_map(Value::as_str).collect();
        let fields = root.get("properties").and_then(Value::as_object).into_iter().flatten();
        let fields = fields.map(|(name, schema)| {
            let schema = resolve(root, schema, DEPTH);
            Field {
                name: name.clone(),
                about: text(&schema, "description"),
                required: required.contains(&name.as_str()),
                schema,
            }
        });
        Self { about: text(root, "description"), fields: fields.collect() }
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Reads the pairs of a query string. Errors: `unknown_field`, `invalid_input`.
    pub fn read(&self, pairs: impl IntoIterator<Item = (String, String)>) -> Result<Map<String, Value>> {
        let mut texts: Vec<(&Field, Vec<String>)> = Vec::new();
        for (name, text) in pairs {
            let field = self.field(&name).ok_or_else(|| self.unknown(&name))?;
            match texts.iter_mut().find(|(known, _)| known.name == name) {
                Some((_, list)) => list.push(text),
                None => texts.push((field, vec![text])),
            }
        }
        texts.into_iter().map(|(field, texts)| Ok((field.name.clone(), field.read(&texts)?))).collect()
    }

    /// The error for a field that is not there. A long or strange name is not repeated whole.
    pub fn unknown(&self, name: &str) -> Error {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        let known: Vec<_> = self.fields.iter().map(|field| format!("`{}`", field.name)).collect();
        let help =
            if known.is_empty() { "It takes none.".to_owned() } else { format!("There are: {}.", known.join(", ")) };
        Error::says(&codes::UNKNOWN_FIELD, format!("There is no field `{shown}`.")).help(help)
    }
}

impl Field {
    /// How it is filled in.
    pub fn fill(&self) -> Fill {
        let alternatives = alternatives(&self.schema);
        let any = |kind: &str| alternatives.iter().any(|schema| has_type(schema, kind));
        if any("array") {
            if self.items().is_some_and(|items| has_type(items, "object")) { Fill::Nested } else { Fill::Many }
        } else if any("object") {
            Fill::Nested
        } else if any("boolean") {
            Fill::Switch
        } else if alternatives.iter().any(|schema| schema.get("format").and_then(Value::as_str) == Some("password")) {
            Fill::Secret
        } else {
            Fill::One
        }
    }

    /// The texts it may be, when the list is closed.
    pub fn choices(&self) -> Vec<String> {
        let alternatives = alternatives(&self.schema);
        let closed = |schemas: &[&Value]| -> Vec<String> {
            if schemas.iter().all(|schema| !constants(schema).is_empty()) {
                schemas.iter().flat_map(|schema| constants(schema)).collect()
            } else {
                Vec::new()
            }
        };
        match self.items() {
            Some(items) if alternatives.len() == 1 => closed(&self::alternatives(items)),
            Some(_) => Vec::new(),
            None => closed(&alternatives),
        }
    }

    /// Whether a comma stands between two items of it. It may be part of an address, so not there.
    pub fn splits(&self) -> bool {
        if let Some(told) = self.schema.get("x-split").and_then(Value::as_bool) {
            return told;
        }
        let name = self.name.to_lowercase();
        let address = name.contains("uri") || name.contains("url");
        let format = self.items().and_then(|items| items.get("format")).and_then(Value::as_str);
        self.fill() == Fill::Many && !address && !matches!(format, Some("uri" | "url"))
    }

    /// An extension of the schema (`x-flag` …).
    pub fn extension(&self, name: &str) -> Option<&str> {
        self.schema.get(name).and_then(Value::as_str)
    }

    /// The schema of its items, if it is a list.
    fn items(&self) -> Option<&Value> {
        alternatives(&self.schema).into_iter().find_map(|schema| schema.get("items"))
    }

    /// Its value from texts. Errors: `invalid_input`, naming the field.
    pub fn read(&self, texts: &[String]) -> Result<Value> {
        read(&self.schema, texts, self.splits()).ok_or_else(|| {
            let help = match self.choices() {
                choices if choices.is_empty() => String::new(),
                choices => format!("It is one of: {}.", choices.join(", ")),
            };
            Error::says(&codes::INVALID_INPUT, format!("`{}` cannot be read.", self.name)).help(help)
        })
    }

    /// The steps of a path within it. Where names are free, the rest of the path is one name, dots and all.
    pub fn steps(&self, path: &[&str]) -> Vec<String> {
        let mut here = &self.schema;
        let mut steps = Vec::new();
        for (place, name) in path.iter().enumerate() {
            let object = alternatives(here).into_iter().find(|schema| has_type(schema, "object"));
            let property = object.and_then(|object| object.get("properties")).and_then(|all| all.get(*name));
            match (property, object.and_then(|object| object.get("additionalProperties"))) {
                (Some(property), _) => here = property,
                (None, Some(free))
                    if *free != false && !alternatives(free).iter().any(|schema| has_type(schema, "object")) =>
                {
                    steps.push(path[place..].join("."));
                    return steps;
                }
                (None, _) => {
                    steps.extend(path[place..].iter().map(|name| (*name).to_owned()));
                    return steps;
                }
            }
            steps.push((*name).to_owned());
        }
        steps
    }

    /// The value of a field within it, from a text. Errors: `invalid_input`, `unknown_field`.
    pub fn read_at(&self, path: &[&str], text: &str) -> Result<Value> {
        let steps = self.steps(path);
        let mut here = &self.schema;
        for name in &steps {
            let name = name.as_str();
            let object = alternatives(here).into_iter().find(|schema| has_type(schema, "object"));
            let inner = object.and_then(|object| {
                let properties = object.get("properties").and_then(|all| all.get(name));
                properties.or_else(|| object.get("additionalProperties").filter(|any| **any != false))
            });
            here = inner.ok_or_else(|| {
                let known: Vec<&str> = object
                    .and_then(|o| o.get("properties"))
                    .and_then(Value::as_object)
                    .into_iter()
                    .flat_map(|o| o.keys())
                    .map(String::as_str)
                    .collect();
                Error::says(&codes::UNKNOWN_FIELD, format!("There is no field `{name}` in `{}`.", self.name))
                    .help(if known.is_empty() { String::new() } else { format!("There are: {}.", known.join(", ")) })
            })?;
        }
        // Where anything may stand, a list, an object and a yes or no are JSON; digits may be an id, so they are a text.
        if *here == true {
            let read = serde_json::from_str(text).ok();
            let structured = read.filter(|value: &Value| value.is_array() || value.is_object() || value.is_boolean());
            return Ok(structured.unwrap_or_else(|| Value::String(text.to_owned())));
        }
        read(here, &[text.to_owned()], true).ok_or_else(|| {
            let field = Self { name: path.join("."), schema: here.clone(), ..self.clone() };
            let help = match field.choices() {
                choices if choices.is_empty() => String::new(),
                choices => format!("It is one of: {}.", choices.join(", ")),
            };
            Error::says(&codes::INVALID_INPUT, format!("`{}.{}` cannot be read.", self.name, path.join("."))).help(help)
        })
    }
}

fn read(schema: &Value, texts: &[String], splits: bool) -> Option<Value> {
    let alternatives = alternatives(schema);
    if let [text] = texts
        && alternatives.iter().any(|schema| constants(schema).contains(text))
    {
        return Some(Value::String(text.clone()));
    }
    alternatives.iter().filter(|schema| constants(schema).is_empty()).find_map(|schema| one(schema, texts, splits))
}

fn one(schema: &Value, texts: &[String], splits: bool) -> Option<Value> {
    if has_type(schema, "array") {
        let items = schema.get("items").cloned().unwrap_or(Value::Bool(true));
        let parts = texts
            .iter()
            .flat_map(|text| if splits { text.split(',').map(str::trim).collect() } else { vec![text.as_str()] });
        let parts = parts.filter(|part| !part.is_empty());
        return parts.map(|part| read(&items, &[part.to_owned()], false)).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    let [text] = texts else { return None };
    if has_type(schema, "boolean") {
        return text.parse::<bool>().ok().map(Value::Bool);
    }
    if has_type(schema, "integer") {
        return text.parse::<i64>().ok().map(Value::from).or_else(|| text.parse::<u64>().ok().map(Value::from));
    }
    if has_type(schema, "number") {
        return text.parse::<f64>().ok().map(Value::from);
    }
    if has_type(schema, "object") {
        return json::object(text.as_bytes()).map(Value::Object);
    }
    // Whether the text of an id holds is judged by its own parser, which says more than a pattern can.
    Some(Value::String(text.clone()))
}

/// The schema, or what it is any of, without null.
fn alternatives(schema: &Value) -> Vec<&Value> {
    for name in ["anyOf", "oneOf"] {
        if let Some(list) = schema.get(name).and_then(Value::as_array) {
            return list.iter().filter(|one| !is_null(one)).flat_map(alternatives).collect();
        }
    }
    vec![schema]
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

/// The texts a schema names one by one.
fn constants(schema: &Value) -> Vec<String> {
    let listed = list(schema, "enum").iter().chain(schema.get("const"));
    listed.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn has_type(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => kind == "object" && schema.get("properties").is_some(),
    }
}

fn list<'a>(schema: &'a Value, name: &str) -> &'a [Value] {
    schema.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(schema: &Value, name: &str) -> String {
    schema.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The schema with what its references name in their place; what stands beside a reference wins.
fn resolve(root: &Value, schema: &Value, depth: usize) -> Value {
    match schema {
        Value::Object(object) => {
            let mut out = Map::new();
            if let Some(path) = object.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#')) {
                let target = root.pointer(path).filter(|_| depth > 0);
                if let Some(Value::Object(target)) = target.map(|target| resolve(root, target, depth - 1)) {
                    out.extend(target);
                }
            }
            for (name, value) in object {
                if name != "$ref" && name != "$defs" {
                    out.insert(name.clone(), resolve(root, value, depth));
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| resolve(root, item, depth)).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;
    use crate::access::Paging;
    use crate::crypto::Secret;
    use crate::id::OrganizationId;

    /// Which organizations.
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum Reach {
        Word(Word),
        List(Vec<OrganizationId>),
    }

    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum Word {
        /// The app's own.
        Own,
        /// Every one.
        All,
    }

    #[derive(JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Inner {
        name: Option<String>,
        seconds: u32,
        extra: std::collections::BTreeMap<String, String>,
    }

    /// Tries everything.
    #[derive(JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Try {
        /// What people call it.
        name: String,
        organizations: Option<Reach>,
        word: Option<Word>,
        words: Vec<Word>,
        redirect_uris: Vec<String>,
        grants: Vec<String>,
        active: Option<bool>,
        client_secret: Option<Secret>,
        inner: Option<Inner>,
        #[serde(flatten)]
        paging: Paging,
    }

    fn form() -> Form {
        Form::from_schema(&schemars::schema_for!(Try).into())
    }

    #[test]
    fn a_field_knows_how_it_is_filled_in() {
        let form = form();
        let fill = |name: &str| form.field(name).unwrap().fill();
        assert_eq!(form.about, "Tries everything.");
        assert_eq!(form.field("name").unwrap().about, "What people call it.");
        assert!(form.field("name").unwrap().required && !form.field("word").unwrap().required);
        assert_eq!(fill("name"), Fill::One);
        assert_eq!(fill("organizations"), Fill::Many);
        assert_eq!(fill("active"), Fill::Switch);
        assert_eq!(fill("clientSecret"), Fill::Secret);
        assert_eq!(fill("inner"), Fill::Nested);
        assert_eq!(fill("limit"), Fill::One);
        assert_eq!(form.field("word").unwrap().choices(), ["own", "all"]);
        assert_eq!(form.field("words").unwrap().choices(), ["own", "all"]);
        assert!(form.field("organizations").unwrap().choices().is_empty(), "an id is possible, too");
    }

    #[test]
    fn texts_become_what_the_schema_says() {
        let form = form();
        let read = |name: &str, texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
            form.field(name).unwrap().read(&texts).ok()
        };
        assert_eq!(read("name", &["12"]), Some(json!("12")));
        assert_eq!(read("limit", &["12"]), Some(json!(12)));
        assert_eq!(read("limit", &["a dozen"]), None);
        assert_eq!(read("active", &["false"]), Some(json!(false)));
        assert_eq!(read("active", &["maybe"]), None);
        assert_eq!(read("word", &["own"]), Some(json!("own")));
        assert_eq!(read("word", &["mine"]), None);
        assert_eq!(read("organizations", &["all"]), Some(json!("all")));
        assert_eq!(read("organizations", &["org_1,org_2", "org_3"]), Some(json!(["org_1", "org_2", "org_3"])));
        assert_eq!(read("grants", &["*"]), Some(json!(["*"])));
        assert_eq!(read("grants", &["user.read, app.read"]), Some(json!(["user.read", "app.read"])));
        assert_eq!(read("redirectUris", &["https://a/?x=1,2"]), Some(json!(["https://a/?x=1,2"])));
        let inner = form.field("inner").unwrap();
        assert_eq!(inner.read_at(&["seconds"], "3").ok(), Some(json!(3)));
        assert_eq!(inner.read_at(&["extra", "a"], "3").ok(), Some(json!("3")));
        assert_eq!(inner.read_at(&["second"], "3").unwrap_err().code(), "unknown_field");
    }

    #[test]
    fn a_query_string_is_read_whole_or_not_at_all() {
        let pairs =
            |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        let read = form().read(pairs(&[("limit", "5"), ("grants", "a"), ("grants", "b")])).unwrap();
        assert_eq!(Value::Object(read), json!({"limit": 5, "grants": ["a", "b"]}));
        assert_eq!(form().read(pairs(&[("limt", "5")])).unwrap_err().code(), "unknown_field");
        assert_eq!(form().read(pairs(&[("limit", "5"), ("limit", "6")])).unwrap_err().code(), "invalid_input");
    }
}
