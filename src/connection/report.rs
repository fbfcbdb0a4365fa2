//! Status, validation and test reports.

use serde::{Deserialize, Serialize};

/// One finding of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// A stable name.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What to do about it, or what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a look at a connection found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Everything holds.
    pub ok: bool,
    /// One row a check.
    pub checks: Vec<Finding>,
    /// How long the other side took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
}
