//! # bulk — many operations in one request (RFC 7644 §3.7)
//!
//! *Owns* the order of the operations, what they refer to, and the answers.
//! *Gives* `bulk`.
//! *Needs* the door's own write: one commit an operation, so that each is done or not by itself.
//! *Never* leaves anything of an operation that is answered with an error.
//!
//! They are done in their order but for one thing: what refers to something that a later operation makes, waits for it.
//! Where operations wait for each other in a circle (§3.7.1), one of them is done without the reference, and that is
//! filled in by a commit of its own when its target is there:
//!
//! ```text
//!  POST A, member bulkId:B ──► A ─────────────────┬──► A with member B
//!  POST B, member bulkId:A ────────► B, member A ─┘
//! ```
//!
//! Where the target is never made, A is taken back, and whatever was made with it.

mod operation;

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};

use self::operation::{Known, Operation};
use super::error;
use super::http::{Door, Row, told};
use super::place::get;
use super::speaker::Speaker;
use super::target::Target;
use crate::access::Context;
use crate::error::{Error, Result, codes};

/// So many operations one request may have.
pub const MOST: usize = 100;
const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

fn syntax(why: impl Into<String>) -> Error {
    Error::says(&codes::INVALID_SYNTAX, why.into())
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
    let operations: Vec<Operation> = sent.iter().map(Operation::read).collect::<Result<_>>()?;
    let mut names = BTreeSet::new();
    if !operations.iter().filter_map(Operation::makes).all(|name| names.insert(name)) {
        return Err(syntax("Two POSTs have the same `bulkId`."));
    }
    let job = Job {
        door,
        cx,
        speaker,
        most_errors,
        errors: 0,
        known: Known::new(),
        lost: BTreeSet::new(),
        begun: Vec::new(),
        answers: BTreeMap::new(),
    };
    Ok(json!({"schemas": [RESPONSE], "Operations": job.all(operations).await}))
}

/// The request, as far as it is done.
struct Job<'a> {
    door: &'a Door,
    cx: &'a Context,
    speaker: &'a Speaker,
    most_errors: u64,
    errors: u64,
    known: Known,
    /// The names of what was not made and will not be.
    lost: BTreeSet<String>,
    begun: Vec<Begun>,
    /// By the place of the operation in the request.
    answers: BTreeMap<usize, Value>,
}

/// An operation that made something which is not sure to stay: a part of it is not there yet, or it refers to such a one.
struct Begun {
    place: usize,
    operation: Operation,
    /// What it made.
    path: String,
    /// What is to be added to it.
    rest: Map<String, Value>,
}

/// A name that will never be an id.
fn never(lost: bool) -> Error {
    if lost {
        Error::says(&codes::STALE, "What a `bulkId` names was not made.")
            .help("Repeat both, with what is wrong mended.")
    } else {
        Error::says(&codes::INVALID_VALUE, "A `bulkId` names nothing that this request makes.")
    }
}

impl Job<'_> {
    async fn all(mut self, operations: Vec<Operation>) -> Vec<Value> {
        let mut waiting: Vec<(usize, Operation)> = operations.into_iter().enumerate().collect();
        while !waiting.is_empty() && !self.is_over() {
            let (mut later, before) = (Vec::new(), waiting.len());
            for (place, operation) in waiting {
                // What cannot be taken back waits until all that it refers to is sure to stay.
                let waits =
                    !operation.is_ready(&self.known) || (operation.makes().is_none() && self.is_open(&operation));
                if self.is_over() || waits {
                    later.push((place, operation));
                    continue;
                }
                let operation = operation.resolved(&self.known);
                self.make(place, operation.clone(), &operation, Map::new()).await;
                self.settle().await;
            }
            waiting = later;
            if waiting.len() == before {
                self.move_on(&mut waiting).await;
                self.settle().await;
            }
        }
        while let Some(at) = self.begun.iter().position(|begun| !begun.rest.is_empty()) {
            let begun = self.begun.remove(at);
            self.take_back(begun, never(true)).await;
            self.settle().await;
        }
        self.answers.into_values().collect()
    }

    /// Whether there were as many errors as the client bears.
    fn is_over(&self) -> bool {
        self.errors >= self.most_errors
    }

    /// All that are left wait. One of them has nothing to wait for, or is begun without it.
    async fn move_on(&mut self, waiting: &mut Vec<(usize, Operation)>) {
        let coming: BTreeMap<&str, &Operation> =
            waiting.iter().filter_map(|(_, operation)| Some((operation.makes()?, operation))).collect();
        let hopeless = waiting.iter().enumerate().find_map(|(at, (_, operation))| {
            let is_never = |name: &&String| !self.known.contains_key(*name) && !coming.contains_key(name.as_str());
            operation.refers.iter().find(is_never).map(|name| (at, self.lost.contains(name)))
        });
        if let Some((at, lost)) = hopeless {
            let (place, operation) = waiting.remove(at);
            return self.refuse(place, &operation, never(lost)).await;
        }
        // Each waits for another that waits: somewhere there is a circle.
        let in_circle =
            |(_, operation): &(usize, Operation)| operation.makes().is_some_and(|name| circles(name, &coming));
        let at = waiting.iter().position(in_circle).unwrap_or_default();
        let (place, operation) = waiting.remove(at);
        match operation.parted(&self.known) {
            Some((first, rest)) => self.make(place, operation, &first, rest).await,
            // What is wanted for a path is not to be done without.
            None => self.refuse(place, &operation, never(false)).await,
        }
    }

    /// Whether it refers to something that is not sure to stay.
    fn is_open(&self, operation: &Operation) -> bool {
        let open = |begun: &Begun| begun.operation.makes().is_some_and(|name| operation.refers.contains(name));
        self.begun.iter().any(open)
    }

    /// Does what can be done of an operation, and remembers what is to be added.
    async fn make(&mut self, place: usize, operation: Operation, first: &Operation, rest: Map<String, Value>) {
        let open = !rest.is_empty() || self.is_open(&operation);
        if let Some((kind, row, _)) = self.perform(place, first).await
            && open
        {
            let path = format!("{}/{}", kind.endpoint(), kind.id(row.id));
            self.begun.push(Begun { place, operation, path, rest });
        }
    }

    /// Adds to what was begun what is there by now; takes back what waits for what will never be there.
    async fn settle(&mut self) {
        loop {
            let lost = |begun: &Begun| begun.operation.refers.iter().any(|name| self.lost.contains(name));
            let ready = |begun: &Begun| !begun.rest.is_empty() && begun.operation.is_ready(&self.known);
            if let Some(at) = self.begun.iter().position(lost) {
                let begun = self.begun.remove(at);
                self.take_back(begun, never(true)).await;
            } else if let Some(at) = self.begun.iter().position(ready) {
                let begun = self.begun.remove(at);
                self.complete(begun).await;
            } else {
                if self.begun.iter().all(|begun| begun.rest.is_empty()) {
                    self.begun.clear();
                }
                return;
            }
        }
    }

    async fn complete(&mut self, begun: Begun) {
        let patch = Operation {
            method: Method::PATCH,
            path: begun.path.clone(),
            version: None,
            data: json!({"Operations": [{"op": "add", "value": begun.rest}]}),
            ..begun.operation.clone()
        };
        match self.write(&patch.resolved(&self.known)).await {
            Ok((_, row)) => {
                if let (Some((.., version)), Some(answer)) = (row, self.answers.get_mut(&begun.place)) {
                    answer["version"] = version.into();
                }
                self.begun.push(Begun { rest: Map::new(), ..begun });
            }
            Err(why) => self.take_back(begun, why).await,
        }
    }

    async fn take_back(&mut self, begun: Begun, why: Error) {
        let delete = Operation { method: Method::DELETE, path: begun.path, version: None, ..begun.operation.clone() };
        if let Err(error) = self.write(&delete).await {
            tracing::warn!(%error, "what a part of a bulk request made could not be taken back");
        }
        self.refuse(begun.place, &begun.operation, why).await;
    }

    /// Does one operation, in one commit, and answers it.
    async fn perform(&mut self, place: usize, operation: &Operation) -> Option<Row> {
        let (status, row) = match self.write(operation).await {
            Ok(done) => done,
            Err(why) => {
                self.refuse(place, operation, why).await;
                return None;
            }
        };
        let mut answer = begun(operation);
        match &row {
            Some((kind, row, version)) => {
                if let Some(name) = operation.makes() {
                    self.known.insert(name.to_owned(), kind.id(row.id));
                }
                answer.insert("location".into(), self.speaker.location(*kind, row.id).into());
                answer.insert("version".into(), version.as_str().into());
            }
            None => {
                let location = format!("{}/{}", self.speaker.base, operation.path.trim_start_matches('/'));
                answer.insert("location".into(), location.into());
            }
        }
        let status = if operation.method == Method::DELETE { StatusCode::NO_CONTENT } else { status };
        answer.insert("status".into(), status.as_u16().to_string().into());
        self.answers.insert(place, Value::Object(answer));
        row
    }

    async fn write(&self, operation: &Operation) -> Result<(StatusCode, Option<Row>)> {
        let mut headers = HeaderMap::new();
        if let Some(version) = operation.version.as_deref().and_then(|version| version.parse().ok()) {
            headers.insert(axum::http::header::IF_MATCH, version);
        }
        let segments: Vec<&str> = operation.path.trim_start_matches('/').split('/').collect();
        let target = Target::of(&segments).ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
        self.door.write(self.cx, self.speaker, &operation.method, &target, &headers, operation.data.clone()).await
    }

    async fn refuse(&mut self, place: usize, operation: &Operation, why: Error) {
        let why = told(self.cx, Some(self.speaker), why).await;
        if let Some(name) = operation.makes() {
            self.known.remove(name);
            self.lost.insert(name.to_owned());
        }
        let mut answer = begun(operation);
        answer.insert("status".into(), error::status(&why).as_u16().to_string().into());
        answer.insert("response".into(), error::body(&why));
        self.answers.insert(place, Value::Object(answer));
        self.errors += 1;
    }
}

/// Whether what makes that name waits, over whatever others, for itself.
fn circles(name: &str, coming: &BTreeMap<&str, &Operation>) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![name]);
    while let Some(at) = next.pop() {
        for wanted in coming.get(at).into_iter().flat_map(|operation| &operation.refers) {
            if wanted == name {
                return true;
            }
            if seen.insert(wanted.as_str()) {
                next.push(wanted);
            }
        }
    }
    false
}

/// How an answer begins.
fn begun(operation: &Operation) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("method".into(), operation.shown.clone());
    if let Some(id) = &operation.bulk_id {
        answer.insert("bulkId".into(), id.as_str().into());
    }
    answer
}
