//! One struct = CLI verb = API body = terminal action = permission row.
//!
//! ```text
//!  caller ── input ──► owner() ──► grant held? ──► look() ──► apply(batch) ──► commit
//!                                       │                        ▲               │ stale
//!                                       ▼ no                     └───────────────┘ (three times)
//!                               404 or 403 + event
//! ```

use std::marker::PhantomData;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::caller::Caller;
use super::context::Context;
use super::grant::Grant;
use super::refusal;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::OrganizationId;
use crate::store::{Batch, Page, Query, Record};

/// How often an operation is applied again when what it read was stale by the time of its commit.
const STALE_RETRIES: usize = 3;

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only on the machine itself.
    Operator,
    /// This grant in the organization that owns the object.
    Grant(Grant),
}

/// To whom the object belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// To no single organization.
    Deployment,
    /// To this one.
    Organization(OrganizationId),
}

impl Owner {
    /// Of a list: the organization that it is narrowed to, or the deployment when it is not.
    pub fn of_list(cx: &Context, named: Option<OrganizationId>) -> Self {
        cx.narrowed(named).map_or(Self::Deployment, Self::Organization)
    }
}

/// An HTTP method of `/v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of RFC 9110")]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

/// Where an operation stands in `/v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; `{name}` is filled from the operation's field of that name. GET and DELETE take the other
    /// fields from the query, POST and PATCH from the body.
    pub path: &'static str,
}

const fn ends_with(text: &[u8], end: &[u8]) -> bool {
    match text.len().checked_sub(end.len()) {
        None => false,
        Some(start) => {
            let mut at = 0;
            while at < end.len() {
                if text[start + at] != end[at] {
                    return false;
                }
                at += 1;
            }
            true
        }
    }
}

/// A thing that can be asked of authd. The doc comment of the struct and of each field is the text of `--help`,
/// of OpenAPI and of the terminal's form.
#[async_trait]
pub trait Operation: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What `look` brings from outside; `()` where it does not look.
    type Seen: Default + Send + Sync;
    /// The answer.
    type Output: Serialize + JsonSchema + Send;
    /// `noun.verb`; the CLI says `authd noun verb`, with `-` for `_`.
    const NAME: &'static str;
    /// What the caller needs.
    const ACCESS: Access;
    /// Where it stands in `/v1`.
    const ROUTE: Route;
    /// Whether its POST makes a new thing, and so answers 201. What is called `create` does.
    const CREATES: bool = ends_with(Self::NAME.as_bytes(), b".create");

    /// To whom the object belongs. Missing objects are `not_found` here.
    async fn owner(&self, cx: &Context) -> Result<Owner>;

    /// Talks to the outside (discovery, DNS). Done once, after the grant was checked; never repeated.
    async fn look(&self, _cx: &Context) -> Result<Self::Seen> {
        Ok(Self::Seen::default())
    }

    /// Reads the store and fills the batch. Done again when the commit finds a stale revision.
    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output>;
}

/// What a list takes beside its filters. Flattened into the operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// At most so many (100; never more than 1,000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended: its `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One page of an answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Pages<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Paging {
    /// Narrows a query to the page that is meant. Errors: `invalid_input` for a cursor that is none.
    pub fn page(&self, query: Query) -> Result<Query> {
        let cursor = match &self.cursor {
            None => None,
            Some(text) => Some(
                crate::crypto::from_base64url(text)
                    .ok_or_else(|| Error::says(&codes::INVALID_INPUT, "The cursor is not one of ours."))?,
            ),
        };
        if self.limit == Some(0) {
            return Err(Error::says(&codes::INVALID_INPUT, "A page has at least 1 item; the limit is 0.")
                .help("`limit` is a number from 1 to 1000."));
        }
        Ok(query.limit(self.limit.unwrap_or(100)).after(cursor))
    }

    /// The page of a query that is meant. Errors: `invalid_input` for a cursor that is none.
    pub async fn read<R: Record>(&self, cx: &Context, query: Query) -> Result<Page<R>> {
        cx.store.page(self.page(query)?).await
    }

    /// The page of an organization's records that is meant, of all records where the list is not narrowed. Their index
    /// is `organization`.
    pub async fn of_organization<R: Record>(&self, cx: &Context, named: Option<OrganizationId>) -> Result<Page<R>> {
        let narrowed = cx.narrowed(named);
        self.read(cx, narrowed.map_or_else(Query::all, |id| Query::by("organization", id.bytes()))).await
    }
}

impl<T> Pages<T> {
    /// From a page of records.
    pub fn of<R>(page: Page<R>, mut view: impl FnMut(R) -> T) -> Self {
        let items = page.items.into_iter().map(|stored| view(stored.value)).collect();
        Self::with(items, page.next)
    }

    /// From items that were shown one by one, and where their page ends.
    pub fn with(items: Vec<T>, next: Option<Vec<u8>>) -> Self {
        Self { items, next: next.map(|key| crate::crypto::base64url(&key)) }
    }
}

/// An answer on its way to a door.
pub type Performed = Value;

/// Checks, looks, applies, commits. The one way in for every door.
pub async fn perform<O: Operation>(cx: &Context, operation: &O) -> Result<O::Output> {
    let owner = operation.owner(cx).await?;
    let done = match admit(&cx.caller, O::ACCESS, owner) {
        Ok(()) => act(cx, operation).await,
        Err(error) => Err(error),
    };
    // Some operations take a further grant for one of their fields, and refuse by themselves.
    if let Err(error) = &done {
        refuse::<O>(cx, owner, error).await?;
    }
    done
}

async fn act<O: Operation>(cx: &Context, operation: &O) -> Result<O::Output> {
    let seen = operation.look(cx).await?;
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        let output = operation.apply(cx, &seen, &mut batch).await?;
        if batch.is_empty() {
            return Ok(output);
        }
        match cx.store.commit(batch).await {
            Ok(_) => return Ok(output),
            Err(refused) if refused.is_race() && tries < STALE_RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Whether the caller may. Somebody else's object does not exist for the caller.
fn admit(caller: &Caller, access: Access, owner: Owner) -> Result<()> {
    if *caller == Caller::Anonymous {
        return Err(Error::new(&codes::NOT_SIGNED_IN));
    }
    match (access, owner) {
        _ if caller.is_operator() => Ok(()),
        (_, Owner::Organization(organization)) if !caller.sees(organization) => Err(Error::new(&codes::NOT_FOUND)),
        (Access::Operator, _) | (Access::Grant(_), Owner::Deployment) => Err(Error::new(&codes::OPERATOR_ONLY)),
        (Access::Grant(grant), Owner::Organization(organization)) => {
            if caller.holds(grant, organization) {
                Ok(())
            } else {
                Err(Error::new(&codes::MISSING_GRANT).help(format!("It takes the grant `{grant}`.")))
            }
        }
    }
}

/// A refusal of a known caller is an event. What does not exist for the caller, or has no caller, is not worth a row.
async fn refuse<O: Operation>(cx: &Context, owner: Owner, error: &Error) -> Result<()> {
    let lacks_power = [&codes::MISSING_GRANT, &codes::GRANT_EXCEEDS_CALLER, &codes::OPERATOR_ONLY];
    if !lacks_power.iter().any(|code| error.is(code)) {
        return Ok(());
    }
    let mut event = cx.event(EventKind::OperationRefused).failed(error.code()).with("operation", O::NAME);
    if let Owner::Organization(organization) = owner {
        event = event.within(organization);
    }
    let mut batch = Batch::new();
    refusal::tell(cx, event, &mut batch).await?;
    cx.store.commit(batch).await?;
    Ok(())
}

/// An operation without its type: what doors hold.
#[async_trait]
pub trait AnyOperation: Send + Sync {
    /// See `Operation::NAME`.
    fn name(&self) -> &'static str;
    /// See `Operation::ACCESS`.
    fn access(&self) -> Access;
    /// See `Operation::ROUTE`.
    fn route(&self) -> Route;
    /// Whether its answer is that something was made: 201.
    fn creates(&self) -> bool;
    /// The JSON schema of the input, with its texts.
    fn input(&self) -> Value;
    /// The JSON schema of the answer.
    fn output(&self) -> Value;
    /// Reads the input, performs, writes the answer. Errors: those of the operation, and `invalid_input`.
    async fn perform(&self, cx: &Context, input: Value) -> Result<Performed>;
}

struct Typed<O>(PhantomData<fn() -> O>);

#[async_trait]
impl<O: Operation> AnyOperation for Typed<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }
    fn access(&self) -> Access {
        O::ACCESS
    }
    fn route(&self) -> Route {
        O::ROUTE
    }
    fn creates(&self) -> bool {
        O::CREATES && O::ROUTE.method == Method::Post
    }
    fn input(&self) -> Value {
        schemars::schema_for!(O).into()
    }
    fn output(&self) -> Value {
        schemars::schema_for!(O::Output).into()
    }
    async fn perform(&self, cx: &Context, input: Value) -> Result<Performed> {
        let operation: O = serde_path_to_error::deserialize(input).map_err(|e| unreadable(&e))?;
        let output = perform(cx, &operation).await?;
        serde_json::to_value(output).map_err(Error::bug)
    }
}

/// Serde says what was expected; it quotes the input only where it is an unknown name. The field is named by its path.
fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let plain = |text: String, most: usize| -> String { text.chars().filter(|c| !c.is_control()).take(most).collect() };
    let text = plain(error.inner().to_string(), 300);
    let at = plain(error.path().to_string(), 100);
    let text = text.trim_end_matches('.');
    if text.starts_with("unknown field") {
        return Error::says(&codes::UNKNOWN_FIELD, format!("The input cannot be read: {text}."));
    }
    // Where fields are read together, no path is known; what is missing is named by the text itself.
    let place = if matches!(at.as_str(), "." | "?" | "") { String::new() } else { format!("`{at}`: ") };
    Error::says(&codes::INVALID_INPUT, format!("The input cannot be read: {place}{text}."))
}

/// Every operation there is. The API, the CLI, the terminal and the permission test are made from it.
#[derive(Default)]
pub struct Catalogue {
    operations: Vec<Box<dyn AnyOperation>>,
}

impl Catalogue {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more operation.
    #[must_use]
    pub fn with<O: Operation>(mut self) -> Self {
        self.operations.push(Box::new(Typed::<O>(PhantomData)));
        self
    }

    /// All of them, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &dyn AnyOperation> {
        self.operations.iter().map(|operation| &**operation)
    }

    /// The one of that name.
    pub fn find(&self, name: &str) -> Option<&dyn AnyOperation> {
        self.iter().find(|operation| operation.name() == name)
    }
}
