//! What an explanation says, from the facts to the remedy.

use serde::Serialize;
use serde_json::Value;

use super::facts::Setting;
use super::remedy::Remedy;
use crate::access::RoleName;
use crate::connection::Status as ConnectionStatus;
use crate::connection::protocol::Check;
use crate::id::{ConnectionId, OrganizationId, SessionId, UserId};

/// The whole path of a sign-in.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Through which connection.
    pub connection: ConnectionId,
    /// What people call it.
    pub connection_name: String,
    /// Of which organization.
    pub organization: OrganizationId,
    /// What is known of the one who arrives.
    pub facts: Facts,
    /// What they are weighed by, and where each setting comes from.
    pub settings: Vec<Setting>,
    /// How it ends.
    pub verdict: Ending,
    /// The roles they would have, each with its reasons.
    pub roles: Vec<RoleReason>,
    /// What of their profile would change.
    pub changes: Vec<FieldChange>,
    /// Their sessions, and whether the sign-in would end them.
    pub sessions: Sessions,
    /// The one setting that would change the verdict, if one would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
}

/// What is known of the one who arrives.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Whether people can sign in through the connection at all: `active`, `draft` or `disabled`.
    pub connection_status: ConnectionStatus,
    /// Whether the organization is open.
    pub organization_open: bool,
    /// Who they are to the source, as authd keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who has that identity.
    pub by_identity: Match,
    /// The address that the source states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Who has that address.
    pub by_email: Match,
    /// Whether the source says, as a JSON `true`, that it verified the address.
    pub email_verified: bool,
    /// The address's domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Whose the domain is.
    pub domain_standing: DomainStanding,
    /// The domains that the connection has proven.
    pub connection_domains: Vec<String>,
    /// The source's groups.
    pub groups: Vec<String>,
    /// The source's roles.
    pub upstream_roles: Vec<String>,
    /// What was noticed when the claims were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

/// Who was found.
#[derive(Debug, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// `nobody`, a member's status, `disabled` for somebody whom the operator keeps out, or `gone`.
    pub standing: String,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Their address, for callers who may see people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether this connection brought them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_connection: Option<bool>,
}

/// Whose a domain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DomainStanding {
    /// There is no address.
    None,
    /// The connection has proven it.
    Owned,
    /// Nobody has proven it, and the connection has proven none.
    Unclaimed,
    /// The connection has proven others, or it is another's.
    Foreign,
}

/// How a sign-in ends.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// Whether the person comes in.
    pub admitted: bool,
    /// `admitted` for somebody known, `linked` to somebody known, `created`, `waits` for an administrator, or `refused`.
    pub outcome: String,
    /// Who they are, or would be linked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Why they are refused: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// What happens, in a sentence.
    pub message: String,
}

/// A role, and why somebody has it.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleReason {
    /// The role.
    pub role: RoleName,
    /// Why: the settings that give it.
    pub because: Vec<String>,
    /// They do not have it yet.
    pub gained: bool,
}

/// A field that would change.
#[derive(Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// What is kept.
    pub from: Value,
    /// What would be kept.
    pub to: Value,
    /// Whose word it is then.
    pub owner: String,
}

/// The sessions of somebody.
#[derive(Debug, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sessions {
    /// So many are live.
    pub live: u64,
    /// Those that this would end. A sign-in, and a refusal, end none.
    pub ending: Vec<SessionId>,
}
