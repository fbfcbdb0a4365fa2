//! OpenAPI 3.1, from the same structs that read the requests.

use serde_json::{Map, Value, json};

use crate::access::{Access, AnyOperation, Catalogue, Form, Method};

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
    let definitions = take_definitions(&mut input);
    add(components, definitions);
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
    let definitions = take_definitions(&mut output);
    add(components, definitions);
    let status = match (&output, operation.name().ends_with(".create")) {
        (schema, _) if schema.get("type").and_then(Value::as_str) == Some("null") => "204",
        (_, true) if route.method == Method::Post => "201",
        _ => "200",
    };
    let mut responses = Map::new();
    let mut success = json!({"description": if status == "201" { "Created." } else { "Done." }});
    if status != "204" {
        success["content"] = json!({"application/json": {"schema": named(components, output)}});
    }
    responses.insert(status.to_owned(), success);
    let refusals = [
        ("400", "The input cannot be accepted."),
        ("401", "No valid credential."),
        ("403", "The caller may not."),
        ("404", "No such thing, or none that the caller may see."),
        ("409", "It contradicts what is kept."),
        ("default", "Any other refusal."),
    ];
    for (status, about) in refusals {
        responses.insert(
            status.to_owned(),
            json!({"description": about, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}),
        );
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

/// The definitions of a schema, taken out of it; what refers to them refers to the components.
fn take_definitions(schema: &mut Value) -> Map<String, Value> {
    redirect(schema);
    match schema.as_object_mut().and_then(|object| object.remove("$defs")) {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    }
}

fn add(components: &mut Map<String, Value>, definitions: Map<String, Value>) {
    for (name, schema) in definitions {
        components.entry(name).or_insert(schema);
    }
}

fn redirect(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/$defs/")
            {
                *reference = format!("#/components/schemas/{name}");
            }
            object.values_mut().for_each(redirect);
        }
        Value::Array(items) => items.iter_mut().for_each(redirect),
        _ => {}
    }
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
