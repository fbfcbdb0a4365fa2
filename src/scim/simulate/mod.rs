//! # simulate — what the directories of customers send, before the customers send it
//!
//! *Owns* SCIM clients with the habits of Okta, Entra and Google, and the walk of a joiner, a mover, a group and a leaver.
//! *Gives* `walk`, which tells every request with its answer and what was wrong with it, and `clear` for what a walk left.
//! *Needs* a wire to a server. *Never* knows which server that is, nor has a rule of its own about people: what it expects
//! is what the standard and the three promise.
//!
//! ```text
//!  probe ─► joiner ─► mover ─► group ─► leaver ─► cleared away (unless it shall stay)
//! ```

mod entra;
mod google;
mod okta;
mod walker;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

pub use walker::{Phase, Step, Walk};

use self::walker::{Stopped, Walker};
use crate::error::{Error, Result, codes};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// How the names of the people of a walk begin, and of no other people.
pub const PEOPLE: &str = "authd-simulation-";
/// The same of groups.
pub const GROUPS: &str = "authd simulation ";

/// Whose habits a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// Okta: a probe, a look by `userName`, all of a person by PUT, `active` by PATCH, groups pushed.
    Okta,
    /// Entra: looks by `externalId` and `userName`, `"True"` and `"False"` as text, paths with filters, a manager as a bare
    /// id, members that go named in the value.
    Entra,
    /// Google: a look by `userName`, all of a person and of a group by PUT, suspension before removal.
    Google,
}

impl Vendor {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Okta, Self::Entra, Self::Google];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Okta => "okta",
            Self::Entra => "entra",
            Self::Google => "google",
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Okta => "Okta",
            Self::Entra => "Entra",
            Self::Google => "Google",
        }
    }
}

/// A request as it is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sent {
    /// The method.
    pub method: &'static str,
    /// Behind the base address, with the query.
    pub path: String,
    /// The body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The body; null where there was none, or none in JSON.
    pub body: Value,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
}

/// The way to a server.
#[async_trait]
pub trait Wire: Send + Sync {
    /// Sends a request with the directory's token. Errors: `upstream_unavailable` where nobody answers.
    async fn send(&self, sent: &Sent) -> Result<Answered>;
}

/// By what the people and groups of one walk are told from everybody else.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Part of every name.
    pub tag: String,
    /// The domain of the people's addresses.
    pub domain: String,
    /// Whoever leaves is deleted at once (`deprovision.mode: hard`): nothing is there to be given back.
    pub hard: bool,
}

impl Mark {
    fn name(&self, who: &str) -> String {
        format!("{PEOPLE}{}-{who}@{}", self.tag, self.domain)
    }

    fn group(&self) -> String {
        format!("{GROUPS}{}", self.tag)
    }

    /// The vendor's own id of something.
    fn id(&self, what: &str) -> String {
        format!("{PEOPLE}{}-{what}", self.tag)
    }
}

/// Walks as the vendor does. What it made is cleared away in the end, unless `keep`; a walk that had to stop is cleared
/// away, too. Where the server falls silent on the way, the walk is `broken`, and its people and groups are left to
/// `clear`. Errors: only where nobody answers at all, so that nothing was made.
pub async fn walk(wire: &dyn Wire, vendor: Vendor, mark: &Mark, keep: bool) -> Result<Walk> {
    let mut walker = Walker::new(wire);
    let done = match vendor {
        Vendor::Okta => okta::walk(&mut walker, mark).await,
        Vendor::Entra => entra::walk(&mut walker, mark).await,
        Vendor::Google => google::walk(&mut walker, mark).await,
    };
    let ended = match done {
        Err(Stopped::Silent(error)) => Err(Stopped::Silent(error)),
        _ if keep => Ok(()),
        _ => walker.clear().await,
    };
    match ended {
        Ok(()) | Err(Stopped::Refused) => Ok(walker.told(vendor, None)),
        Err(Stopped::Silent(error)) if walker.was_heard() => Ok(walker.told(vendor, Some(&error))),
        Err(Stopped::Silent(error)) => Err(error),
    }
}

/// What was cleared away of earlier walks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cleared {
    /// The people, by their ids.
    pub people: Vec<String>,
    /// The groups, by their ids.
    pub groups: Vec<String>,
}

/// Removes what walks have left: the people and groups with the names that only a simulation gives; of one walk, or of all.
/// A request whose answer never came may have made somebody whose id nobody knows, so names decide. Errors: nobody answers;
/// `upstream_invalid` when the server refuses.
pub async fn clear(wire: &dyn Wire, tag: Option<&str>) -> Result<Cleared> {
    let tag = tag.unwrap_or_default();
    let groups = removed(wire, "/Groups", "displayName", &format!("{GROUPS}{tag}")).await?;
    let people = removed(wire, "/Users", "userName", &format!("{PEOPLE}{tag}")).await?;
    Ok(Cleared { people, groups })
}

/// Removes whatever has a name that begins so. A page at a time, always the first: what was removed is not on the next.
async fn removed(wire: &dyn Wire, at: &'static str, attribute: &str, begins: &str) -> Result<Vec<String>> {
    let look = format!("{at}?count=100&attributes=id&filter={}", encoded(&format!("{attribute} sw \"{begins}\"")));
    let mut gone = Vec::new();
    loop {
        let page = wire.send(&Sent { method: "GET", path: look.clone(), body: None }).await?;
        accepted(&page, &[200])?;
        let found = page.body["Resources"].as_array().into_iter().flatten();
        let found: Vec<String> = found.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect();
        // What is listed again although it was removed, is not waited for.
        if found.iter().all(|id| gone.contains(id)) {
            return Ok(gone);
        }
        for id in found {
            let removed = wire.send(&Sent { method: "DELETE", path: format!("{at}/{id}"), body: None }).await?;
            accepted(&removed, &[204, 404])?;
            gone.push(id);
        }
    }
}

fn accepted(answer: &Answered, statuses: &[u16]) -> Result<()> {
    if statuses.contains(&answer.status) {
        return Ok(());
    }
    let detail = answer.body["detail"].as_str().unwrap_or("without a word");
    Err(Error::says(&codes::UPSTREAM_INVALID, format!("The server refused ({}): {detail}", answer.status)))
}

/// A text in the query of an address.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
