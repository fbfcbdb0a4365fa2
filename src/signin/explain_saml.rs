//! `authd explain saml`: an answer of an identity provider walked through offline, with nothing consumed.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::used::UsedAssertion;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::connection::protocol::{Authenticated, Check};
use crate::connection::saml::{Explained, Saml, SamlCertificateView, SamlFault};
use crate::connection::{Connection, ProtocolKind};
use crate::directory::Profile;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::governance::{self, Arriving, policy_of};
use crate::id::ConnectionId;
use crate::store::Batch;

/// Explain whether a SAML answer would be accepted by a connection, and if not, which setting is wrong: every check with what
/// was expected and received, in the order of a sign-in; an encrypted assertion is opened with the connection's key.
///
/// Takes the value of `SAMLResponse` as it was posted, the whole body of the form, an address with a query, or XML.
/// Nothing is consumed, kept or logged, and nobody is asked. Whether the answer belongs to a request that waits is not
/// looked at; an old one is explained as of its own time with `--at`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
// An answer has up to 256 KiB, and a form around it.
#[schemars(extend("x-max-body" = 524_288))]
pub struct ExplainSaml {
    /// The answer: a file with it, `-` for standard input, or the text itself.
    #[schemars(extend("x-positional" = true, "x-text-file" = "message-file"))]
    pub message: String,
    /// The connection that it is for.
    pub connection: ConnectionId,
    /// The moment to hold it against; now unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl std::fmt::Debug for ExplainSaml {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExplainSaml")
            .field("connection", &self.connection)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// What an answer is worth to a connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamlExplanation {
    /// A sign-in by it would be admitted.
    pub ok: bool,
    /// The code that it is refused with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The check that fails first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// What is wrong, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
    /// The setting that would have that check pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The connection.
    pub connection: ConnectionId,
    /// The moment that it was held against.
    pub at: Timestamp,
    /// Each check in its order, up to the first that fails.
    pub checks: Vec<Check>,
    /// Everything that fails, the first included: found by setting aside what fails, as its setting would.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<SamlFault>,
    /// With all of these settings it would pass.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mendable: bool,
    /// SHA-256 of the pinned certificate whose key signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_thumbprint: Option<String>,
    /// The certificates that the message carries on its outside; none of them is believed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carried_certificates: Vec<SamlCertificateView>,
    /// Nobody asked for it: the sign-in began at the identity provider.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unasked: bool,
    /// Somebody has signed in by it already, so it is refused with `saml_replay` from then on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub used: bool,
    /// Who it is about. Believed only if nothing fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<SamlPerson>,
}

/// Who an answer is about, after the connection's mapping.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamlPerson {
    /// Who they are for good.
    pub subject: String,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// First name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Roles, in the provider's own words.
    pub roles: Vec<String>,
    /// The names of all attributes that came, mapped or not.
    pub attributes: Vec<String>,
}

#[async_trait]
impl Operation for ExplainSaml {
    type Seen = ();
    type Output = SamlExplanation;
    const NAME: &'static str = "saml.explain";
    // It opens what is encrypted to the connection's key: for whoever holds the settings of that key.
    const ACCESS: Access = Access::Grant(Grant::ConnectionProtocolManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/saml/explain" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Connection::load(&cx.store, self.connection).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let connection = Connection::load(&cx.store, self.connection).await?.value;
        if connection.protocol != ProtocolKind::Saml {
            return Err(Error::says(&codes::INVALID_INPUT, "The connection does not speak SAML."));
        }
        let mut told = Saml::of(&connection)?.explain(cx, &self.message, self.at)?;
        let mendable = told.person.is_some() && !told.faults.is_empty();
        if let (Some(person), true) = (told.person.clone(), told.faults.is_empty()) {
            admitted(cx, &connection, &person, &mut told).await?;
        }
        let used = match told.person.as_ref().and_then(|person| person.once.as_ref()) {
            Some(once) => UsedAssertion::of(connection.id, once).known(&cx.store).await?,
            None => false,
        };
        Ok(self.answer(told, mendable, used))
    }
}

impl ExplainSaml {
    fn answer(&self, told: Explained, mendable: bool, used: bool) -> SamlExplanation {
        let first = told.faults.first().cloned();
        let attributes = told.verified.as_ref().map(|verified| verified.attributes.all().keys().cloned().collect());
        SamlExplanation {
            ok: told.faults.is_empty(),
            error_code: first.as_ref().map(|fault| fault.error_code.clone()),
            failed: first.as_ref().map(|fault| fault.check.clone()),
            wrong: first.as_ref().map(|fault| fault.message.clone()),
            setting: first.as_ref().and_then(|fault| fault.setting.clone()),
            help: first.map(|fault| fault.help),
            connection: self.connection,
            at: told.at,
            checks: told.checks,
            mendable,
            faults: told.faults,
            certificate_thumbprint: told.verified.map(|verified| verified.certificate_thumbprint),
            carried_certificates: told.carried,
            unasked: told.unasked,
            used,
            person: told.person.map(|person| shown(person, attributes.unwrap_or_default())),
        }
    }
}

fn shown(person: Authenticated, attributes: Vec<String>) -> SamlPerson {
    let Profile { email, name, given_name, family_name, groups, roles, .. } = person.profile;
    SamlPerson { subject: person.subject, email, name, given_name, family_name, groups, roles, attributes }
}

/// Whether the person would get in: what stands after every check of the message.
async fn admitted(cx: &Context, connection: &Connection, person: &Authenticated, told: &mut Explained) -> Result<()> {
    let policy = policy_of(&cx.store, connection.organization).await?;
    let arriving = Arriving {
        subject: Some(person.subject.clone()),
        profile: person.profile.clone(),
        unusable: None,
        checks: Vec::new(),
    };
    let explained = governance::explain(cx, connection, &arriving, &policy).await?;
    let verdict = explained.verdict;
    told.checks.push(Check {
        name: "policy".to_owned(),
        ok: verdict.admitted,
        expected: Some("somebody who comes in".to_owned()),
        received: Some(verdict.outcome),
    });
    if !verdict.admitted {
        let code = codes::ALL.iter().find(|code| Some(code.name) == verdict.error_code.as_deref());
        let remedy = explained.remedy;
        told.faults.push(SamlFault {
            check: "policy".to_owned(),
            error_code: verdict.error_code.unwrap_or_default(),
            message: verdict.message,
            setting: Some("policy".to_owned()),
            value: None,
            help: match (remedy, code) {
                (Some(remedy), _) => format!("{} `{}`", remedy.message, remedy.commands.join("`, `")),
                (None, Some(code)) => code.help.to_owned(),
                (None, None) => String::new(),
            },
        });
    }
    Ok(())
}
