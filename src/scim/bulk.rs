//! Many operations in one request (RFC 7644 §3.7): one commit each, so that each is done or not by itself.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::error;
use super::http::{Door, told};
use super::place::get;
use super::speaker::Speaker;
use super::target::Target;
use crate::access::Context;
use crate::error::{Error, Result, codes};

/// So many operations one request may have.
pub const MOST: usize = 100;
const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// One operation, as it was sent.
struct Operation {
    method: Method,
    shown: Value,
    path: String,
    bulk_id: Option<String>,
    version: Option<String>,
    data: Value,
}

fn syntax(why: impl Into<String>) -> Error {
    Error::says(&codes::INVALID_SYNTAX, why.into())
}

impl Operation {
    fn read(sent: &Value) -> Result<Self> {
        let sent = sent.as_object().ok_or_else(|| syntax("An operation is an object."))?;
        let text = |name: &str| get(sent, name).and_then(Value::as_str).map(str::to_owned);
        let shown = text("method").ok_or_else(|| syntax("An operation has a `method`."))?;
        let method = match shown.to_ascii_uppercase().as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => return Err(syntax("The `method` of an operation is POST, PUT, PATCH or DELETE.")),
        };
        let bulk_id = text("bulkId").filter(|id| !id.is_empty());
        if method == Method::POST && bulk_id.is_none() {
            return Err(syntax("A POST in bulk has a `bulkId`."));
        }
        let mut data = get(sent, "data").cloned().unwrap_or_default();
        if method == Method::PATCH && data.is_array() {
            // The bare list of operations, as the example of RFC 7644 §3.7.3 has it.
            data = json!({"Operations": data});
        }
        Ok(Self {
            method,
            shown: shown.into(),
            path: text("path").ok_or_else(|| syntax("An operation has a `path`."))?,
            bulk_id,
            version: text("version"),
            data,
        })
    }

    /// Puts ids in the place of `bulkId:…`. False while one of them is not known yet.
    fn resolve(&mut self, known: &BTreeMap<String, String>) -> bool {
        fn walk(value: &mut Value, known: &BTreeMap<String, String>) -> bool {
            match value {
                Value::String(text) => match text.strip_prefix("bulkId:") {
                    None => true,
                    Some(name) => match known.get(name) {
                        Some(id) => {
                            *text = id.clone();
                            true
                        }
                        None => false,
                    },
                },
                Value::Array(items) => items.iter_mut().all(|item| walk(item, known)),
                Value::Object(fields) => fields.values_mut().all(|item| walk(item, known)),
                _ => true,
            }
        }
        let mut whole = walk(&mut self.data, known);
        let parts: Vec<String> = self
            .path
            .split('/')
            .map(|part| match part.strip_prefix("bulkId:") {
                None => part.to_owned(),
                Some(name) => known.get(name).cloned().unwrap_or_else(|| {
                    whole = false;
                    part.to_owned()
                }),
            })
            .collect();
        self.path = parts.join("/");
        whole
    }
}

/// Does all of it. Errors: `invalid_syntax`, `too_large`.
pub async fn bulk(door: &Door, cx: &Context, speaker: &Speaker, body: &Map<String, Value>) -> Result<Value> {
    let Some(Value::Array(sent)) = get(body, "Operations") else {
        return Err(syntax("A bulk request has a list of `Operations`."));
    };
    if sent.len() > MOST {
        return Err(Error::says(&codes::TOO_LARGE, format!("A bulk request has at most {MOST} operations.")));
    }
    let most_errors = get(body, "failOnErrors").and_then(Value::as_u64).filter(|most| *most > 0).unwrap_or(u64::MAX);
    let mut waiting: Vec<Operation> = sent.iter().map(Operation::read).collect::<Result<_>>()?;
    let (mut known, mut answers, mut errors) = (BTreeMap::new(), Vec::new(), 0u64);
    // In order; what names something that a later operation makes, waits for it.
    while !waiting.is_empty() && errors < most_errors {
        let mut later = Vec::new();
        let before = waiting.len();
        for mut operation in waiting {
            if errors >= most_errors {
                break;
            }
            if !operation.resolve(&known) {
                later.push(operation);
                continue;
            }
            let answer = one(door, cx, speaker, &operation, &mut known).await;
            errors += u64::from(answer.get("response").is_some());
            answers.push(answer);
        }
        if later.len() == before {
            for operation in later {
                if errors >= most_errors {
                    break;
                }
                errors += 1;
                let unknown = Error::says(&codes::INVALID_VALUE, "A `bulkId` names nothing that was made.");
                answers.push(refused(&operation, &unknown));
            }
            break;
        }
        waiting = later;
    }
    Ok(json!({"schemas": [RESPONSE], "Operations": answers}))
}

fn begun(operation: &Operation) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("method".into(), operation.shown.clone());
    if let Some(id) = &operation.bulk_id {
        answer.insert("bulkId".into(), id.as_str().into());
    }
    answer
}

fn refused(operation: &Operation, why: &Error) -> Value {
    let mut answer = begun(operation);
    answer.insert("status".into(), error::status(why).as_u16().to_string().into());
    answer.insert("response".into(), error::body(why));
    Value::Object(answer)
}

async fn one(
    door: &Door,
    cx: &Context,
    speaker: &Speaker,
    operation: &Operation,
    known: &mut BTreeMap<String, String>,
) -> Value {
    let mut headers = HeaderMap::new();
    if let Some(version) = operation.version.as_deref().and_then(|version| version.parse().ok()) {
        headers.insert(axum::http::header::IF_MATCH, version);
    }
    let done = async {
        let path = operation.path.trim_start_matches('/');
        let segments: Vec<&str> = path.split('/').collect();
        let target = Target::of(&segments).ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
        door.write(cx, speaker, &operation.method, &target, &headers, operation.data.clone()).await
    };
    match done.await {
        Ok((status, row)) => {
            let mut answer = begun(operation);
            if let Some(row) = row {
                let kind = row.0;
                if let (Some(id), Method::POST) = (&operation.bulk_id, operation.method.clone()) {
                    known.insert(id.clone(), kind.id(row.1.id));
                }
                answer.insert("location".into(), speaker.location(kind, row.1.id).into());
                answer.insert("version".into(), row.2.into());
            } else {
                answer.insert(
                    "location".into(),
                    format!("{}/{}", speaker.base, operation.path.trim_start_matches('/')).into(),
                );
            }
            let status = if operation.method == Method::DELETE { StatusCode::NO_CONTENT } else { status };
            answer.insert("status".into(), status.as_u16().to_string().into());
            Value::Object(answer)
        }
        Err(why) => refused(operation, &told(cx, Some(speaker), why).await),
    }
}
