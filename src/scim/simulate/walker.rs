//! One step after the other: a request, its answer, and what was expected of it.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Answered, PATCH, Sent, Vendor, Wire};
use crate::error::Error;

/// What a step is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The test that an administrator starts when they set provisioning up.
    Probe,
    /// Somebody comes.
    Joiner,
    /// What is said of them changes.
    Mover,
    /// They come into a group and leave it.
    Group,
    /// They leave.
    Leaver,
    /// What was made is cleared away.
    Cleanup,
}

impl Phase {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Joiner => "joiner",
            Self::Mover => "mover",
            Self::Group => "group",
            Self::Leaver => "leaver",
            Self::Cleanup => "cleanup",
        }
    }
}

/// A request, its answer, and what was wrong with it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What it is part of.
    pub phase: Phase,
    /// What it is for.
    pub about: String,
    /// The request.
    pub request: Sent,
    /// The answer.
    pub answer: Answered,
    /// Whether it was what the vendor needs.
    pub ok: bool,
    /// What was not.
    pub problems: Vec<String>,
}

/// A whole walk.
#[derive(Clone, Debug, Serialize)]
pub struct Walk {
    /// Whose habits.
    pub vendor: Vendor,
    /// Every step was what the vendor needs.
    pub ok: bool,
    /// The steps.
    pub steps: Vec<Step>,
    /// The people that were made, cleared away or not.
    pub people: Vec<String>,
    /// The groups that were made.
    pub groups: Vec<String>,
    /// Why the walk broke off: from here on the server did not answer, and nothing was cleared away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// Why a walk goes no further.
pub enum Stopped {
    /// A step was answered otherwise than the steps behind it need.
    Refused,
    /// Nobody answered.
    Silent(Error),
}

/// How a walk goes on behind a step.
pub type Then<T> = Result<T, Stopped>;

/// What an answer has to be.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    statuses: Vec<u16>,
    at: Vec<(&'static str, Value)>,
    listed: Option<u64>,
    is_resource: bool,
}

impl Expect {
    /// A status.
    pub fn status(status: u16) -> Self {
        Self { statuses: vec![status], ..Self::default() }
    }

    /// A resource with its id, schemas, and where it is.
    pub fn resource(status: u16) -> Self {
        Self { is_resource: true, ..Self::status(status) }
    }

    /// A list of so many.
    pub fn list(total: u64) -> Self {
        Self { listed: Some(total), ..Self::status(200) }
    }

    /// Or this status.
    pub fn or(mut self, status: u16) -> Self {
        self.statuses.push(status);
        self
    }

    /// With this value at that place of the body (RFC 6901).
    pub fn at(mut self, pointer: &'static str, value: impl Into<Value>) -> Self {
        self.at.push((pointer, value.into()));
        self
    }

    fn problems(&self, answer: &Answered) -> Vec<String> {
        if !self.statuses.contains(&answer.status) {
            let wanted: Vec<String> = self.statuses.iter().map(ToString::to_string).collect();
            let said = answer.body["detail"].as_str().map(|detail| format!(": {detail}")).unwrap_or_default();
            return vec![format!("status {} in the place of {}{said}", answer.status, wanted.join(" or "))];
        }
        let mut problems = Vec::new();
        if let Some(total) = self.listed {
            if answer.body["totalResults"].as_u64() != Some(total) {
                problems.push(format!("`totalResults` is {} in the place of {total}", answer.body["totalResults"]));
            }
            if answer.body["schemas"] != json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"]) {
                problems.push("`schemas` is not that of a list".to_owned());
            }
        }
        if self.is_resource && answer.status < 300 {
            for (what, there) in [
                ("id", answer.body["id"].as_str().is_some_and(|id| !id.is_empty())),
                ("schemas", answer.body["schemas"].as_array().is_some_and(|all| !all.is_empty())),
                ("meta.location", answer.body["meta"]["location"].is_string()),
                ("meta.resourceType", answer.body["meta"]["resourceType"].is_string()),
            ] {
                if !there {
                    problems.push(format!("`{what}` is missing"));
                }
            }
        }
        for (pointer, wanted) in &self.at {
            let found = answer.body.pointer(pointer).unwrap_or(&Value::Null);
            if found != wanted {
                let shown: String = found.to_string().chars().take(120).collect();
                problems.push(format!("`{}` is {shown} in the place of {wanted}", pointer.trim_start_matches('/')));
            }
        }
        problems
    }
}

/// Walks, and keeps what it saw.
pub struct Walker<'w> {
    wire: &'w dyn Wire,
    /// What the next steps are part of.
    pub phase: Phase,
    steps: Vec<Step>,
    people: Vec<String>,
    groups: Vec<String>,
    gone: Vec<String>,
}

impl<'w> Walker<'w> {
    pub fn new(wire: &'w dyn Wire) -> Self {
        let (steps, people, groups, gone) = Default::default();
        Self { wire, phase: Phase::Probe, steps, people, groups, gone }
    }

    /// Sends, and notes. Answers the body, whatever it is. Errors: nobody answered.
    async fn step(&mut self, about: &str, sent: Sent, expect: &Expect) -> Then<(bool, Value)> {
        let answer = self.wire.send(&sent).await.map_err(Stopped::Silent)?;
        // What was made is known before anything is judged, so that it is cleared away in any case.
        if sent.method == "POST" && answer.status == 201 {
            let made = if sent.path == "/Groups" { &mut self.groups } else { &mut self.people };
            made.extend(answer.body["id"].as_str().map(str::to_owned));
        }
        if sent.method == "DELETE" && answer.status == 204 {
            self.gone.push(sent.path.clone());
        }
        let problems = expect.problems(&answer);
        let (ok, body) = (problems.is_empty(), answer.body.clone());
        self.steps.push(Step { phase: self.phase, about: about.to_owned(), request: sent, answer, ok, problems });
        Ok((ok, body))
    }

    /// A step that nothing behind it needs.
    pub async fn ask(
        &mut self,
        about: &str,
        method: &'static str,
        path: impl Into<String>,
        body: Option<Value>,
        expect: Expect,
    ) -> Then<Value> {
        let sent = Sent { method, path: path.into(), body };
        Ok(self.step(about, sent, &expect).await?.1)
    }

    /// Makes something. Answers its id; the walk ends where there is none.
    pub async fn make(&mut self, about: &str, path: &str, body: Value, expect: Expect) -> Then<String> {
        let sent = Sent { method: "POST", path: path.to_owned(), body: Some(body) };
        let (_, made) = self.step(about, sent, &expect).await?;
        made["id"].as_str().map(str::to_owned).ok_or(Stopped::Refused)
    }

    /// One PATCH.
    pub async fn patch(&mut self, about: &str, path: &str, operations: Value, expect: Expect) -> Then<Value> {
        let body = json!({"schemas": [PATCH], "Operations": operations});
        self.ask(about, "PATCH", path, Some(body), expect).await
    }

    /// Somebody leaves where leavers are deleted: there is nothing to show, and nobody to find.
    pub async fn leaves_for_good(&mut self, method: &'static str, path: &str, body: Value) -> Then<()> {
        let about = "the person leaves, and is deleted at once";
        self.ask(about, method, path, Some(body), Expect::status(204)).await?;
        self.ask("and nobody knows them", "GET", path, None, Expect::status(404)).await?;
        Ok(())
    }

    /// Removes what is left of what was made.
    pub async fn clear(&mut self) -> Then<()> {
        self.phase = Phase::Cleanup;
        let groups = self.groups.iter().map(|id| format!("/Groups/{id}"));
        let people = self.people.iter().map(|id| format!("/Users/{id}"));
        let left: Vec<String> = groups.chain(people).filter(|path| !self.gone.contains(path)).collect();
        for path in left {
            self.ask("cleared away", "DELETE", path, None, Expect::status(204).or(404)).await?;
        }
        Ok(())
    }

    /// Whether anything was answered: before that, nothing can have been made.
    pub fn was_heard(&self) -> bool {
        !self.steps.is_empty()
    }

    pub fn told(self, vendor: Vendor, broken: Option<&Error>) -> Walk {
        let ok = broken.is_none() && self.steps.iter().all(|step| step.ok);
        let broken = broken.map(|error| error.message().to_owned());
        Walk { vendor, ok, steps: self.steps, people: self.people, groups: self.groups, broken }
    }
}
