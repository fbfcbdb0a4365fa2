//! The one setting that would change a verdict, found by trying: each candidate alone, then two together.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::explain::{Arriving, end};
use super::patch;
use super::trial::Outcome;
use crate::access::Context;
use crate::connection::Connection;
use crate::error::{Result, codes};
use crate::id::UserId;
use crate::policy::Policy;

/// What would change a verdict.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remedy {
    /// What it does.
    pub message: String,
    /// What to type; each is needed.
    pub commands: Vec<String>,
}

/// A change to try.
struct Candidate {
    command: String,
    policy: Option<(&'static str, Value)>,
    /// What the connection says about strangers.
    jit: Option<Option<bool>>,
}

impl Candidate {
    fn policy(connection: &Connection, path: &'static str, value: Value) -> Self {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let command = format!("authd policy update --org {} --set {path}={shown}", connection.organization);
        Self { command, policy: Some((path, value)), jit: None }
    }

    fn jit(connection: &Connection, jit: bool) -> Self {
        let command = format!("authd connection update {} --jit={jit}", connection.id);
        Self { command, policy: None, jit: Some(Some(jit)) }
    }

    fn on(&self, connection: &mut Connection, policy: &mut Policy) -> Result<()> {
        if let Some((path, value)) = &self.policy {
            let mut patch = value.clone();
            for name in path.rsplit('.') {
                patch = Value::Object(Map::from_iter([(name.to_owned(), patch)]));
            }
            let fields = patch.as_object().cloned().unwrap_or_default();
            *policy = patch::apply(policy, &fields)?;
        }
        if let Some(jit) = self.jit {
            connection.jit = jit;
        }
        Ok(())
    }
}

/// Every setting that a verdict can hang on, the narrowest first.
fn candidates(connection: &Connection, refused: bool) -> Vec<Candidate> {
    let policy = |path, value: &str| Candidate::policy(connection, path, json!(value));
    let mut all = Vec::new();
    if refused {
        all.push(policy("identity.accountLinking.oidc", "sameConnection"));
        all.push(policy("identity.accountLinking.oidc", "verifiedEmail"));
        if connection.jit == Some(false) {
            all.push(Candidate::jit(connection, true));
        }
        all.push(policy("provisioning.jit.mode", "createUserAndMembership"));
        all.push(Candidate::policy(connection, "provisioning.user.createOnSignIn", json!(true)));
    } else {
        all.push(policy("identity.accountLinking.oidc", "none"));
        if connection.jit == Some(true) {
            all.push(Candidate::jit(connection, false));
        }
        all.push(policy("provisioning.jit.mode", "off"));
    }
    all
}

/// The smallest change of settings that turns the verdict; for refusals that no setting lifts, what else does.
/// `kept_out` is somebody known who may not come in, whoever arrives as them.
pub(super) async fn find(
    cx: &Context,
    connection: &Connection,
    arriving: &Arriving,
    (subject, kept_out): (&str, Option<UserId>),
    policy: &Policy,
    outcome: &Outcome,
) -> Result<Option<Remedy>> {
    let refused = outcome.refusal().is_some();
    if let Outcome::Out(error) = outcome
        && let Some(remedy) = beyond_settings(connection, arriving, error.code())
    {
        return Ok(Some(remedy));
    }
    if let (Outcome::Out(error), Some(user)) = (outcome, kept_out)
        && (error.is(&codes::PERSON_DISABLED) || error.is(&codes::NOT_A_MEMBER))
    {
        let message = "No setting lets them in: an administrator has to.".to_owned();
        let command = format!("authd user reactivate {user} --org {}", connection.organization);
        return Ok(Some(Remedy { message, commands: vec![command] }));
    }
    let all = candidates(connection, refused);
    for tried in choices(&all) {
        let (mut connection, mut policy) = (connection.clone(), policy.clone());
        for candidate in &tried {
            candidate.on(&mut connection, &mut policy)?;
        }
        let then = end(cx, &connection, arriving, subject, &policy).await?;
        if then.refusal().is_some() == refused {
            continue;
        }
        let message = match &then {
            Outcome::In(plan) if plan.before.is_none() => "They would become a member, and come in.".to_owned(),
            Outcome::In(_) => "They would come in.".to_owned(),
            Outcome::Waits(..) => "They would become known, and wait for an administrator.".to_owned(),
            Outcome::Out(error) => format!("They would be refused: {}.", error.code()),
        };
        return Ok(Some(Remedy { message, commands: tried.iter().map(|one| one.command.clone()).collect() }));
    }
    Ok(None)
}

/// Each alone, then two together.
fn choices(all: &[Candidate]) -> Vec<Vec<&Candidate>> {
    let mut choices: Vec<Vec<&Candidate>> = all.iter().map(|one| vec![one]).collect();
    for (place, one) in all.iter().enumerate() {
        choices.extend(all[place + 1..].iter().map(|two| vec![one, two]));
    }
    choices
}

/// What lifts a refusal that is none of the policy's.
fn beyond_settings(connection: &Connection, arriving: &Arriving, code: &str) -> Option<Remedy> {
    let (id, organization) = (connection.id, connection.organization);
    let domain = arriving.profile.email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
    let (message, commands) = if code == codes::CONNECTION_DISABLED.name || code == codes::CONNECTION_NOT_READY.name {
        (
            "Nobody comes in through this connection before it is switched on.",
            vec![format!("authd connection activate {id}")],
        )
    } else if code == codes::ORGANIZATION_DISABLED.name {
        ("Nobody comes in before the organization is enabled again.", vec![format!("authd org enable {organization}")])
    } else if code == codes::EMAIL_DOMAIN_NOT_OWNED.name {
        let domain = domain?;
        let add = format!("authd domain add --connection {id} --domain {domain}");
        let verify = format!("authd domain verify --connection {id} --domain {domain}");
        ("The connection has to prove the domain of the address.", vec![add, verify])
    } else if code == codes::EMAIL_NOT_VERIFIED.name {
        let set = format!("authd connection set-oidc {id} --set profile.mapping.emailVerified=CLAIM");
        ("The provider has to say `true` for the address; another claim of its may say so.", vec![set])
    } else {
        return None;
    };
    Some(Remedy { message: message.to_owned(), commands })
}
