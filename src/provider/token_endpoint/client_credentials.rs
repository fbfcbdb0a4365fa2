//! The grant `client_credentials` (RFC 6749 §4.4): an app in its own name.
//!
//! A machine asks often, so what it is given hangs on one handle per app and scope, written once in a while and not
//! once a token. What the log would be flooded with is counted, and told with the next write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::access::Context;
use crate::crypto::base64url;
use crate::directory::Organization;
use crate::error::{Error, Kind, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::id::{AppId, GrantId};
use crate::provider::client::App;
use crate::provider::http::Door;
use crate::provider::parameters::Parameters;
use crate::session::{Epochs, Scope};
use crate::store::{Batch, Index, Key, Life, Record, Stored};
use crate::token::{Issue, TokenGrant};

/// A handle is written ahead for so long, so that tokens of the next minutes need no write.
const AHEAD: Duration = Duration::from_secs(60);

/// How many tokens each handle gave since it was written last.
#[derive(Clone, Default)]
pub struct Machines(Arc<Mutex<BTreeMap<GrantId, u64>>>);

impl Machines {
    fn gave(&self, grant: GrantId) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(grant).or_default() += 1;
    }

    fn taken(&self, grant: GrantId) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&grant).unwrap_or_default()
    }
}

/// Which handle an app's tokens of one scope hang on.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Machine {
    #[n(0)]
    app: AppId,
    #[n(1)]
    scope: Vec<String>,
    #[n(2)]
    grant: GrantId,
    #[n(3)]
    until: crate::env::Timestamp,
}

impl Record for Machine {
    const KIND: &'static str = "machine";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Self::key_of(self.app, &self.scope)
    }
    fn indexes(&self) -> Vec<Index> {
        Vec::new()
    }
    fn expires_at(&self) -> Option<crate::env::Timestamp> {
        Some(self.until)
    }
}

impl Machine {
    fn key_of(app: AppId, scope: &[String]) -> Key {
        Key::of(&[&app.bytes(), &crate::crypto::sha256(&[scope.join(" ").as_bytes()])])
    }
}

/// Gives an app a token in its own name. Errors: `invalid_scope`, `invalid_grant`.
pub(super) async fn give(
    cx: &Context,
    door: &Door,
    app: &App,
    parameters: &Parameters,
    batch: &mut Batch,
) -> Result<Value> {
    let scope = scope(app, parameters.get("scope"))?;
    let now = cx.env.now();
    let expires_at = now + app.token_lifetime();
    let grant = handle(cx, door, app, &scope, expires_at, batch).await?;
    let signer = door.keyring.signer(cx, app.algorithm).await?;
    let client = app.id.to_string();
    let mut claims = Map::new();
    claims.insert("client_id".into(), client.clone().into());
    claims.insert("org_id".into(), app.organization.to_string().into());
    claims.insert("jti".into(), base64url(&cx.env.random::<16>()).into());
    claims.insert("grant".into(), grant.to_string().into());
    if !scope.is_empty() {
        claims.insert("scope".into(), scope.join(" ").into());
    }
    let audience = app.audience.as_deref().unwrap_or(&client);
    let issue = Issue { typ: app.access_token_type(), subject: &client, audience, expires_at, claims };
    let mut answer = json!({
        "access_token": issue.sign(cx, &signer)?,
        "token_type": "Bearer",
        "expires_in": expires_at.seconds() - now.seconds(),
    });
    if !scope.is_empty() {
        answer["scope"] = scope.join(" ").into();
    }
    if batch.is_empty() {
        door.machines.gave(grant);
    }
    Ok(answer)
}

/// A machine has no person: it asks for scopes of APIs, and gets all of its own where it names none.
fn scope(app: &App, asked: Option<&str>) -> Result<Vec<String>> {
    let Some(asked) = asked else { return Ok(app.scopes.clone()) };
    let mut scope: Vec<String> = Vec::new();
    for word in asked.split(' ').filter(|word| !word.is_empty()) {
        if !app.scopes.iter().any(|known| known == word) {
            return Err(Error::says(&codes::INVALID_SCOPE, "The app has no such scope.")
                .help("`authd app update --scope` gives it one."));
        }
        if !scope.iter().any(|known| known == word) {
            scope.push(word.to_owned());
        }
    }
    scope.sort();
    Ok(scope)
}

/// The handle of now, written ahead where it is there no more or ends too soon.
async fn handle(
    cx: &Context,
    door: &Door,
    app: &App,
    scope: &[String],
    expires_at: crate::env::Timestamp,
    batch: &mut Batch,
) -> Result<GrantId> {
    let known: Option<Stored<Machine>> = cx.store.get(Machine::key_of(app.id, scope)).await?;
    if let Some(machine) = &known
        && let Some(grant) = TokenGrant::live(&cx.store, machine.grant).await?
        && grant.expires_at >= expires_at
    {
        return Ok(grant.id);
    }
    let counted = known.as_ref().map_or(0, |machine| door.machines.taken(machine.grant));
    let id = GrantId::new(&cx.env);
    // Epochs before the organization's standing: what ends in between has ended the tokens too.
    let scopes = [Scope::Organization(app.organization), Scope::App(app.id), Scope::Grant(id)];
    let epochs = Epochs::capture(&cx.store, &scopes).await?;
    Organization::open(&cx.store, app.organization).await.map_err(|error| match error.kind() {
        Kind::Unavailable | Kind::Bug => error,
        _ => Error::says(&codes::INVALID_GRANT, "The app's organization is disabled.").because(error),
    })?;
    let grant = TokenGrant {
        id,
        app: Some(app.id),
        organization: app.organization,
        user: None,
        role: None,
        session: None,
        scope: scope.to_vec(),
        epochs,
        created_at: cx.env.now(),
        expires_at: expires_at + AHEAD,
        claims: Vec::new(),
    };
    let mut event = Event::new(&cx.env, EventKind::TokenCreated, &Actor::App(app.id), &cx.origin)
        .within(app.organization)
        .about("grant", id)
        .and("app", app.id)
        .with("scope", scope.join(" "));
    if counted > 0 {
        event = event.with("issuedSince", counted);
    }
    let machine = Machine { app: app.id, scope: scope.to_vec(), grant: id, until: grant.expires_at };
    batch.create(&grant).put(&machine).log(event);
    Ok(id)
}
