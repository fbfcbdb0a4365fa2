//! OpenAPI 3.1, from the same structs that read the requests.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::access::{Access, AnyOperation, Catalogue, Form, Method};

/// The refusals of every operation: status, name, sentence.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("400", "Invalid", "The input cannot be accepted."),
    ("401", "Unauthenticated", "No valid credential."),
    ("403", "Forbidden", "The caller may not."),
    ("404", "Missing", "No such thing, or none that the caller may see."),
    ("409", "Conflict", "It contradicts what is kept."),
    ("default", "Refused", "Any other refusal."),
];

/// The document of every operation.
pub fn document(catalogue: &Catalogue, server: &str) -> Value {
    let mut components = Map::new();
    components.insert("Problem".to_owned(), problem());
    let mut paths: Map<String, Value> = Map::new();
    for operation in catalogue.iter() {
        let route = operation.route();
        let method = match route.method {
            Method::Get => "get",
            Method::Post => "post",
            Method::Patch => "patch",
            Method::Delete => "delete",
        };
        let described = describe(operation, &mut components);
        let path = paths.entry(route.path.to_owned()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(method.to_owned(), described);
        }
    }
    paths.insert("/v1/identity".to_owned(), identity());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "authd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Organizations, connections, apps, people and sessions. Everything here is also a verb of the command line.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": REFUSALS.iter().map(|(_, name, about)| ((*name).to_owned(), refusal(about))).collect::<Map<_, _>>(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key (`ak_…`), or an access token for authd's own API.",
                },
            },
        },
    })
}

fn describe(operation: &dyn AnyOperation, components: &mut Map<String, Value>) -> Value {
    let route = operation.route();
    let form = Form::of(operation);
    let (summary, description) = form.about.split_once("\n\n").unwrap_or((&form.about, ""));
    let needs = match operation.access() {
        Access::Operator => "Only the operator, on the machine itself.".to_owned(),
        Access::Grant(grant) => format!("Takes the grant `{grant}`."),
    };
    let in_path = |name: &str| route.path.contains(&format!("{{{name}}}"));
    let mut input = operation.input();
    adopt(components, &mut input);
    let properties = input.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let required: Vec<&str> =
        input.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let by_body = matches!(route.method, Method::Post | Method::Patch);
    let mut parameters = Vec::new();
    for (name, schema) in &properties {
        let place = if in_path(name) {
            "path"
        } else if by_body {
            continue;
        } else {
            "query"
        };
        let mut schema = schema.clone();
        let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter = json!({"name": name, "in": place, "required": place == "path" || required.contains(&&**name), "schema": schema});
        if let (Some(about), Some(parameter)) = (about, parameter.as_object_mut()) {
            parameter.insert("description".to_owned(), about);
        }
        parameters.push(parameter);
    }
    let mut output = operation.output();
    adopt(components, &mut output);
    let status = match (&output, operation.creates()) {
        (schema, _) if schema.get("type").and_then(Value::as_str) == Some("null") => "204",
        (_, true) => "201",
        _ => "200",
    };
    let mut responses = Map::new();
    let mut success = json!({"description": if status == "201" { "Created." } else { "Done." }});
    if status != "204" {
        success["content"] = json!({"application/json": {"schema": named(components, output)}});
    }
    responses.insert(status.to_owned(), success);
    for (status, name, _) in REFUSALS {
        responses.insert((*status).to_owned(), json!({"$ref": format!("#/components/responses/{name}")}));
    }
    let description = format!("{}\n\n{needs}", description.replace('\n', " "));
    let mut described = json!({
        "operationId": operation.name(),
        "summary": summary.replace('\n', " ").trim_end_matches('.'),
        "description": description.trim(),
        "tags": [operation.name().split('.').next().unwrap_or_default()],
        "parameters": parameters,
        "responses": responses,
    });
    if by_body {
        if let Some(object) = input.as_object_mut() {
            object.remove("description");
            let keep = |name: &str| !in_path(name);
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                properties.retain(|name, _| keep(name));
            }
            if let Some(Value::Array(required)) = object.get_mut("required") {
                required.retain(|name| name.as_str().is_none_or(keep));
            }
            if object.get("required").and_then(Value::as_array).is_some_and(Vec::is_empty) {
                object.remove("required");
            }
        }
        let needed = input.get("required").is_some();
        described["requestBody"] =
            json!({"required": needed, "content": {"application/json": {"schema": named(components, input)}}});
    }
    described
}

/// A schema with a title becomes a component of that name; an equal one is shared, a different one of the same name
/// stays where it is.
fn named(components: &mut Map<String, Value>, mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else { return schema };
    object.remove("$schema");
    let Some(Value::String(title)) = object.remove("title") else { return schema };
    // One page is a page of something.
    let of = object.get("properties").and_then(|all| all.pointer("/items/items/$ref")).and_then(Value::as_str);
    let title = match of.and_then(|reference| reference.rsplit('/').next()) {
        Some(item) if title == "Pages" => format!("{item}Page"),
        _ => title,
    };
    let name: String =
        title.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    match components.get(&name) {
        Some(known) if *known != schema => schema,
        _ => {
            components.insert(name.clone(), schema);
            json!({"$ref": format!("#/components/schemas/{name}")})
        }
    }
}

/// Moves the definitions of a schema to the components, and lets what refers to them refer there. Two modules may have
/// a type of the same name: the second one that differs gets a number.
fn adopt(components: &mut Map<String, Value>, schema: &mut Value) {
    let Some(Value::Object(definitions)) = schema.as_object_mut().and_then(|object| object.remove("$defs")) else {
        return;
    };
    let mut names: BTreeMap<String, String> = definitions.keys().map(|name| (name.clone(), name.clone())).collect();
    // A new name changes what refers to it, which then may differ from its namesake, too: until nothing changes.
    let adopted = loop {
        let mut renamed = definitions.clone();
        renamed.values_mut().for_each(|definition| redirect(definition, &names));
        let clashes: Vec<&String> = renamed
            .iter()
            .filter(|(name, definition)| components.get(&names[*name]).is_some_and(|known| known != *definition))
            .map(|(name, _)| name)
            .collect();
        // One that refers to another clashing one may differ by that alone: the innermost goes first.
        let inner = |name: &&&String| {
            let text = definitions[name.as_str()].to_string();
            !clashes.iter().any(|other| other != *name && text.contains(&format!("#/$defs/{other}\"")))
        };
        let clash = clashes.iter().find(inner).or(clashes.first()).copied();
        match clash {
            None => break renamed,
            Some(name) => {
                let next =
                    (2..).map(|number| format!("{name}{number}")).find(|next| *next > names[name]).unwrap_or_default();
                names.insert(name.to_owned(), next);
            }
        }
    };
    redirect(schema, &names);
    for (name, definition) in adopted {
        components.insert(names[&name].clone(), definition);
    }
}

fn redirect(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/$defs/").and_then(|name| names.get(name))
            {
                *reference = format!("#/components/schemas/{name}");
            }
            object.values_mut().for_each(|value| redirect(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| redirect(value, names)),
        _ => {}
    }
}

/// What stands at `/v1` and is no operation: who a bearer is has no grant and no owner.
fn identity() -> Value {
    let mut responses = Map::new();
    let text = |about: &str| json!({"type": "string", "description": about});
    let schema = json!({
        "type": "object",
        "description": "The person; beside these, the standard claims in camel case, and the issuer's own claims, nested ones under names with dots.",
        "required": ["tokenIdentifier", "subject", "issuer"],
        "properties": {
            "tokenIdentifier": text("`issuer|subject`: stable, and unique among all issuers."),
            "subject": text("`sub` of the token."),
            "issuer": text("`iss` of the token."),
            "name": text("`name`."),
            "email": text("`email`."),
            "emailVerified": {"type": "boolean", "description": "`email_verified`, where it is a JSON boolean."},
            "organizationId": text("Of a trusted issuer's token: the organization that trusts the issuer."),
            "userId": text("Of a trusted issuer's token: the person, where the organization knows them."),
        },
        "additionalProperties": true,
    });
    let success = json!({"description": "Done.", "content": {"application/json": {"schema": schema}}});
    responses.insert("200".to_owned(), success);
    for (status, name, _) in REFUSALS {
        responses.insert((*status).to_owned(), json!({"$ref": format!("#/components/responses/{name}")}));
    }
    json!({"get": {
        "operationId": "identity.show",
        "summary": "Show whom a bearer is about",
        "description": "Takes an access token for authd's own API, or a token of a trusted issuer. Pages of registered origins may ask.",
        "tags": ["identity"],
        "parameters": [{
            "name": "organization", "in": "query", "required": false,
            "schema": {"type": "string"},
            "description": "Whose trusted issuers are asked; needed where several organizations trust the same issuer for the same audience.",
        }],
        "responses": responses,
    }})
}

fn refusal(about: &str) -> Value {
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    json!({"description": about, "content": {"application/problem+json": {"schema": schema}}})
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "requestId"],
        "properties": {
            "type": {"type": "string", "description": "`urn:authd:error:` and the code."},
            "title": {"type": "string", "description": "The code's own sentence."},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "One sentence for the person."},
            "code": {"type": "string", "description": "Stable; the list is in the reference of error codes."},
            "help": {"type": "string", "description": "The next step."},
            "requestId": {"type": "string", "description": "For `authd explain`, and for the log."},
        },
    })
}
