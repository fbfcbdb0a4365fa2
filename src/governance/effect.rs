//! What a change of the policy would do, counted and named.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::access::RoleName;
use crate::id::{ConnectionId, OrganizationId, UserId};

/// What a change would do.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// People who were weighed: the active members.
    pub people: u64,
    /// Those who would gain a role.
    pub gain: u64,
    /// Those who would lose a role.
    pub lose: u64,
    /// Those who come in now, and would be refused at their next sign-in.
    pub refused: u64,
    /// Those who are refused now, and would come in.
    pub admitted: u64,
    /// Live sessions of those who would be refused. A change of the policy ends none of them.
    pub live_sessions: u64,
    /// Every owner would lose that role; the last of them to come keeps it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub last_owner_kept: bool,
    /// By role, how many would gain and lose it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleEffect>,
    /// The first of those to whom something would happen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<PersonEffect>,
    /// So many more are counted, and not named.
    pub more: u64,
    /// By connection, what becomes of somebody whom nobody knows, where that would change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strangers: Vec<StrangerEffect>,
}

/// How many people would gain and lose a role.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct RoleEffect {
    /// The role.
    pub role: RoleName,
    /// Would gain it.
    pub gain: u64,
    /// Would lose it.
    pub lose: u64,
}

/// What would happen to one person.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonEffect {
    /// Who.
    pub user: UserId,
    /// Their address, for callers who may see people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Roles they would gain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gains: Vec<RoleName>,
    /// Roles they would lose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loses: Vec<RoleName>,
    /// The code that their next sign-in would be refused with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The code that their sign-in is refused with now, and would no longer be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted: Option<String>,
    /// Their live sessions, if they would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_sessions: Option<u64>,
}

/// What becomes of somebody whom nobody knows.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct StrangerEffect {
    /// Through this connection.
    pub connection: ConnectionId,
    /// What people call it.
    pub name: String,
    /// Now: `created`, `waits` for an administrator, or the code of the refusal.
    pub from: String,
    /// Then.
    pub to: String,
    /// The roles of a new member, then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleName>,
}

impl Effect {
    /// What to do with what was found.
    pub(super) fn next_steps(&self, organization: OrganizationId, patch: &Map<String, Value>) -> Vec<String> {
        let mut steps = Vec::new();
        if self.gain + self.lose > 0 {
            steps.push("Roles by mapping change when the source next speaks of the person: at the next sign-in or synchronization.".to_owned());
        }
        if self.last_owner_kept {
            steps.push(
                "Every owner would lose that role; the last of them keeps it. Make somebody an owner first.".to_owned(),
            );
        }
        if self.live_sessions > 0 {
            let them =
                format!("`authd session list --org {organization}`, then `authd session revoke`, ends them sooner.");
            steps
                .push(format!("The sessions of those who would be refused go on until they end by themselves; {them}"));
        }
        if !patch.is_empty() {
            steps.push("Repeat it without `--dry-run` to write it.".to_owned());
        }
        steps
    }
}

impl PersonEffect {
    /// Whether it would do anything.
    pub(super) fn is_any(&self) -> bool {
        !self.gains.is_empty() || !self.loses.is_empty() || self.refused.is_some() || self.admitted.is_some()
    }
}
