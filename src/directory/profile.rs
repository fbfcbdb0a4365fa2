//! What a source says about a person, normalized.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A person as an upstream source describes them, after the connection's mapping. Absent and empty are the same
/// here: a sign-in never clears a field, only sources of record do (`Proposal`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// As the source writes it.
    pub email: Option<String>,
    /// Exactly `true` only when the source says the JSON boolean `true`.
    pub email_verified: bool,
    /// The name to show.
    pub name: Option<String>,
    /// First name.
    pub given_name: Option<String>,
    /// Last name.
    pub family_name: Option<String>,
    /// A picture's https URL.
    pub image: Option<String>,
    /// The source's groups, all of them, in its order.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The source's roles: names of the source's own, never roles of authd by themselves.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Claims that the connection's mapping keeps besides (`extraFields`).
    #[serde(default)]
    pub extra: Map<String, Value>,
}
