//! `authd policy explain`: what a policy does to somebody who arrives, told without letting them in.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::trace::{Ending, Trace};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::connection::protocol::Checks;
use crate::connection::{Connection, ProtocolKind, ldap, oidc};
use crate::directory::Profile;
use crate::env::Timestamp;
use crate::error::{Error, Kind, Result, codes};
use crate::governance::{self, Arriving, Explanation, apply_patch, patch_schema, policy_of};
use crate::id::{AttemptId, ConnectionId, OrganizationId};
use crate::store::{Batch, Key};

/// Explain what would happen to somebody who signs in through a connection, on the people and settings of now. Nothing
/// is written, and nobody is asked.
///
/// Who arrives is told by `--input`: the claims, as the provider sends them; or the attributes of a directory's entry,
/// whose groups are then those of its `memberOf`. Or by `--attempt`: whoever came in a
/// sign-in of the last 7 days. With `--set` a policy is tried that is not in force.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExplainPolicy {
    /// The connection that they come through; that of the attempt unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The claims, as the provider sends them; of a directory, the attributes of the entry. They go through the
    /// connection's mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-file" = "yes"))]
    pub input: Option<Map<String, Value>>,
    /// The `sub` of the claims, or the attribute that never changes, where the input leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// A sign-in that was tried: its `att_…`, as `authd explain` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// A change of the policy to try, as `authd policy update` takes it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "patch_schema", extend("x-set" = "root"))]
    pub patch: Map<String, Value>,
}

/// What would happen, and what did.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyExplanation {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub explanation: Explanation,
    /// How the sign-in ended that is explained, at its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptEnding>,
    /// The policy is one that is tried, not the one in force.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
}

/// How a sign-in ended at its time.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptEnding {
    /// Which one.
    pub id: AttemptId,
    /// How it ended.
    pub outcome: Ending,
    /// Why it was refused: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
}

#[async_trait]
impl Operation for ExplainPolicy {
    type Seen = ();
    type Output = PolicyExplanation;
    const NAME: &'static str = "policy.explain";
    const ACCESS: Access = Access::Grant(Grant::ConnectionPolicyManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/policy/explain" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        let organization: OrganizationId = match (self.attempt, self.connection) {
            (Some(id), _) => trace(cx, id).await?.organization.ok_or_else(|| Error::new(&codes::NOT_FOUND))?,
            (None, Some(id)) => Connection::load(&cx.store, id).await?.organization,
            // Which one, is asked for after the caller's grant.
            (None, None) => return Ok(cx.caller.organization().map_or(Owner::Deployment, Owner::Organization)),
        };
        Ok(Owner::Organization(organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let trace = match self.attempt {
            Some(id) => Some(trace(cx, id).await?),
            None => None,
        };
        let named = self.connection.or_else(|| trace.as_ref().and_then(|trace| trace.connection));
        let id = named.ok_or_else(|| {
            Error::says(&codes::INVALID_INPUT, "The connection is missing.")
                .help("Name it, `--connection conn_…`, or a sign-in that was tried: `--attempt att_…`.")
        })?;
        let connection = Connection::load(&cx.store, id).await?.value;
        let arriving = match &trace {
            Some(trace) => self.of_trace(cx, trace, &connection)?,
            None => self.of_claims(cx, &connection)?,
        };
        let kept = policy_of(&cx.store, connection.organization).await?;
        let policy = apply_patch(&kept, &self.patch)?;
        let explanation = governance::explain(cx, &connection, &arriving, &policy).await?;
        let attempt = trace.map(|trace| AttemptEnding {
            id: trace.id,
            outcome: trace.ending,
            error_code: trace.code,
            started_at: trace.started_at,
        });
        Ok(PolicyExplanation { explanation, attempt, proposed: policy != kept })
    }
}

impl ExplainPolicy {
    /// Who came in the sign-in. Whoever may not read traces may not read them here.
    fn of_trace(&self, cx: &Context, trace: &Trace, connection: &Connection) -> Result<Arriving> {
        if !cx.caller.holds(Grant::ConnectionAuditRead, connection.organization) {
            return Err(Error::new(&codes::MISSING_GRANT)
                .help(format!("A sign-in of somebody takes the grant `{}` as well.", Grant::ConnectionAuditRead)));
        }
        if self.input.is_some() || self.subject.is_some() {
            return Err(Error::says(
                &codes::INVALID_INPUT,
                "`attempt` tells who arrives; `input` and `subject` do, too.",
            )
            .help("Give one of them."));
        }
        if trace.organization != Some(connection.organization) {
            return Err(Error::new(&codes::NOT_FOUND));
        }
        let arrived = trace.arrived().ok_or_else(|| {
            Error::says(&codes::INVALID_INPUT, "That sign-in ended before the provider had said who it is.")
                .help("`authd explain` shows which check it ended at.")
        })?;
        Ok(Arriving { subject: Some(arrived.subject), profile: arrived.profile, unusable: None, checks: Vec::new() })
    }

    /// Who the claims are about, or the attributes of an entry. Errors: `invalid_input` when there are none.
    fn of_claims(&self, cx: &Context, connection: &Connection) -> Result<Arriving> {
        let mut claims = self.input.clone().unwrap_or_default();
        if let Some(subject) = &self.subject {
            let name = match (&connection.protocol, &connection.ldap) {
                (ProtocolKind::Ldap, Some(config)) => config.attribute(ldap::Attribute::Subject),
                _ => "sub",
            };
            claims.insert(name.to_owned(), Value::String(subject.clone()));
        }
        if claims.is_empty() {
            return Err(Error::says(&codes::INVALID_INPUT, "Nobody arrives: neither `input`, `subject` nor `attempt` is there.")
                .help("`--input FILE` has the claims as the provider sends them: {\"sub\": …, \"email\": …, \"email_verified\": true}; of a directory the attributes of the entry: {\"uid\": …, \"mail\": …, \"memberOf\": […]}."));
        }
        match connection.protocol {
            ProtocolKind::Oidc => Self::of_token(connection, &claims),
            ProtocolKind::Ldap => {
                let mut checks = Checks::new();
                let (subject, profile, ended) = ldap::read_entry(connection, cx.env.now(), &claims, &mut checks)?;
                let unusable = ended.then_some(&codes::INVALID_CREDENTIALS);
                Ok(Arriving { subject, profile, unusable, checks: checks.into_rows() })
            }
            ProtocolKind::Saml => Err(Error::says(
                &codes::INVALID_INPUT,
                "Only the claims of an OpenID provider, or the attributes of a directory's entry, can be given by `input`.",
            )
            .help("`--attempt` has whoever came in a sign-in.")),
        }
    }

    fn of_token(connection: &Connection, claims: &Map<String, Value>) -> Result<Arriving> {
        // Before the provider is set up, the default mapping tells.
        let config = connection.oidc.clone().unwrap_or_default();
        let mut checks = Checks::new();
        let read = oidc::read_claims(&config, claims, &mut checks);
        let (subject, profile, unusable) = match read {
            Ok((subject, profile)) => (subject, profile, None),
            // A word that a sign-in refuses is an answer here.
            Err(error) if error.kind() == Kind::Invalid && !error.is(&codes::CONNECTION_NOT_READY) => {
                let code = codes::ALL.iter().copied().find(|code| error.is(code));
                (None, Profile::default(), code)
            }
            Err(error) => return Err(error),
        };
        Ok(Arriving { subject, profile, unusable, checks: checks.into_rows() })
    }
}

/// The trace of a sign-in. Nobody's, somebody else's and none at all look the same to a tenant.
async fn trace(cx: &Context, id: AttemptId) -> Result<Trace> {
    let found = cx.store.get::<Trace>(Key::from_bytes(id.bytes())).await?;
    found.map(|found| found.value).ok_or_else(|| Error::new(&codes::NOT_FOUND))
}
