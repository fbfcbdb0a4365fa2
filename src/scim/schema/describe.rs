//! `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7643 §5 to §7, RFC 9865 §5).

use serde_json::{Value, json};

use super::attribute::{Attribute, Kind, boolean, complex, reference, text};
use super::{ENTERPRISE, GROUP, ResourceKind, Schema, USER};

const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// What is bounded, as clients are told it.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Operations of one bulk request.
    pub bulk_operations: usize,
    /// Bytes of a body.
    pub body: usize,
    /// Resources on one page.
    pub page: usize,
    /// Resources on one page where nothing was said.
    pub usual_page: usize,
}

const SUPPORTED: &[Attribute] = &[boolean("supported", "Whether it is there.").required().read_only()];

static CONFIG_SCHEMA: Schema = Schema {
    urn: CONFIG,
    name: "ServiceProviderConfig",
    about: "What this server can",
    attributes: &[
        reference("documentationUri", "Where it is described.", &["external"]).read_only(),
        complex("patch", "PATCH.", SUPPORTED).required().read_only(),
        complex(
            "bulk",
            "Many operations in one request.",
            &[
                boolean("supported", "Whether it is there.").required().read_only(),
                text("maxOperations", "The most operations.").of(Kind::Integer).required().read_only(),
                text("maxPayloadSize", "The most bytes.").of(Kind::Integer).required().read_only(),
            ],
        )
        .required()
        .read_only(),
        complex(
            "filter",
            "Filters.",
            &[
                boolean("supported", "Whether they are there.").required().read_only(),
                text("maxResults", "The most resources of one answer.").of(Kind::Integer).required().read_only(),
            ],
        )
        .required()
        .read_only(),
        complex("changePassword", "Changes of passwords.", SUPPORTED).required().read_only(),
        complex("sort", "Sorting.", SUPPORTED).required().read_only(),
        complex("etag", "Versions.", SUPPORTED).required().read_only(),
        complex(
            "pagination",
            "Pages (RFC 9865).",
            &[
                boolean("cursor", "By cursor.").required().read_only(),
                boolean("index", "By index.").required().read_only(),
                text("defaultPaginationMethod", "The usual way.").usually(&["cursor", "index"]).read_only(),
                text("defaultPageSize", "The usual size.").of(Kind::Integer).read_only(),
                text("maxPageSize", "The greatest size.").of(Kind::Integer).read_only(),
            ],
        )
        .read_only(),
        complex(
            "authenticationSchemes",
            "How clients say who they are.",
            &[
                text("type", "The scheme.")
                    .usually(&["oauth", "oauth2", "oauthbearertoken", "httpbasic", "httpdigest"])
                    .required()
                    .read_only(),
                text("name", "Its name.").required().read_only(),
                text("description", "A few words.").required().read_only(),
                reference("specUri", "Its specification.", &["external"]).read_only(),
                reference("documentationUri", "Where it is described.", &["external"]).read_only(),
                boolean("primary", "Whether it is the preferred one.").read_only(),
            ],
        )
        .many()
        .required()
        .read_only(),
    ],
};

static TYPE_SCHEMA: Schema = Schema {
    urn: RESOURCE_TYPE,
    name: "ResourceType",
    about: "A type of resources",
    attributes: &[
        text("name", "Its name.").required().read_only(),
        text("description", "A few words.").read_only(),
        reference("endpoint", "Where its resources are.", &["uri"]).required().read_only(),
        reference("schema", "Its schema.", &["uri"]).required().read_only(),
        complex(
            "schemaExtensions",
            "The schemas that extend it.",
            &[
                reference("schema", "The schema.", &["uri"]).required().read_only(),
                boolean("required", "Whether it must be there.").required().read_only(),
            ],
        )
        .many()
        .read_only(),
    ],
};

/// What is said of an attribute, and of one within it.
macro_rules! characteristics {
    ($($more:expr)?) => {
        &[
            text("name", "Its name.").exact().required().read_only(),
            text("type", "What a value is.").required().read_only(),
            boolean("multiValued", "Whether it has any number of values.").required().read_only(),
            text("description", "A sentence.").read_only(),
            boolean("required", "Whether it is needed.").read_only(),
            text("canonicalValues", "Its usual values.").exact().many().read_only(),
            boolean("caseExact", "Whether case counts.").read_only(),
            text("mutability", "Who may write it.").exact().read_only(),
            text("returned", "When it is part of an answer.").exact().read_only(),
            text("uniqueness", "Whether no two have the same value.").exact().read_only(),
            text("referenceTypes", "What it leads to.").exact().many().read_only(),
            $($more,)?
        ]
    };
}

static SCHEMA_SCHEMA: Schema = Schema {
    urn: SCHEMA,
    name: "Schema",
    about: "A schema",
    attributes: &[
        text("name", "Its name.").required().read_only(),
        text("description", "A few words.").read_only(),
        complex(
            "attributes",
            "Its attributes.",
            characteristics![
                complex("subAttributes", "The attributes of a complex one.", characteristics![]).many().read_only()
            ],
        )
        .many()
        .required()
        .read_only(),
    ],
};

static SCHEMAS: &[&Schema] = &[&USER, &ENTERPRISE, &GROUP, &CONFIG_SCHEMA, &TYPE_SCHEMA, &SCHEMA_SCHEMA];

/// The document at one of the three addresses, or one part of it; none where there is no such thing.
/// `base` is the address that stands before `/Users`.
pub fn discovery(base: &str, bounds: Bounds, endpoint: &str, id: Option<&str>) -> Option<Value> {
    let all: Vec<Value> = match endpoint {
        "ServiceProviderConfig" => return id.is_none().then(|| config(base, bounds)),
        "ResourceTypes" => ResourceKind::ALL.iter().map(|kind| resource_type(base, *kind)).collect(),
        "Schemas" => SCHEMAS.iter().map(|schema| describe(base, schema)).collect(),
        _ => return None,
    };
    match id {
        None => Some(list(all.len() as u64, Some(1), all)),
        Some(id) => all.into_iter().find(|one| one["id"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(id))),
    }
}

/// A list as it is answered (RFC 7644 §3.4.2).
pub fn list(total: u64, start: Option<u64>, resources: Vec<Value>) -> Value {
    let mut list = json!({ "schemas": [LIST], "totalResults": total, "itemsPerPage": resources.len() });
    if let Some(start) = start {
        list["startIndex"] = start.into();
    }
    list["Resources"] = Value::Array(resources);
    list
}

fn config(base: &str, bounds: Bounds) -> Value {
    json!({
        "schemas": [CONFIG],
        "patch": {"supported": true},
        "bulk": {"supported": true, "maxOperations": bounds.bulk_operations, "maxPayloadSize": bounds.body},
        "filter": {"supported": true, "maxResults": bounds.page},
        "changePassword": {"supported": false},
        "sort": {"supported": true},
        "etag": {"supported": true},
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": bounds.usual_page,
            "maxPageSize": bounds.page,
        },
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A token that `authd scim token create` has made, or that the token endpoint gave for one.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": true,
            },
            {
                "type": "oauth2",
                "name": "Client credentials",
                "description": "The id of a token as client id, the token as client secret, at `oauth2/token` beside this address.",
                "specUri": "https://www.rfc-editor.org/info/rfc6749",
            },
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig")},
    })
}

fn resource_type(base: &str, kind: ResourceKind) -> Value {
    let extensions: Vec<Value> =
        kind.extensions().iter().map(|schema| json!({"schema": schema.urn, "required": false})).collect();
    let mut told = json!({
        "schemas": [RESOURCE_TYPE],
        "id": kind.name(),
        "name": kind.name(),
        "endpoint": format!("/{}", kind.endpoint()),
        "description": kind.core().about,
        "schema": kind.core().urn,
    });
    if !extensions.is_empty() {
        told["schemaExtensions"] = Value::Array(extensions);
    }
    told["meta"] = json!({"resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", kind.name())});
    told
}

fn describe(base: &str, schema: &Schema) -> Value {
    let attributes: Vec<Value> = schema.attributes.iter().map(Attribute::describe).collect();
    json!({
        "schemas": [SCHEMA],
        "id": schema.urn,
        "name": schema.name,
        "description": schema.about,
        "attributes": attributes,
        "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{}", schema.urn)},
    })
}
