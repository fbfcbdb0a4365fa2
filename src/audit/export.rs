//! `audit.export`: the log as text, a page at a time.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::search::Search;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Paging, Route};
use crate::error::{Error, Result};
use crate::event::{EventKind, EventView, Outcome};
use crate::store::Batch;

/// The columns of the CSV, in their order.
const COLUMNS: &str = "seq,eventId,occurredAt,kind,organizationId,actorType,actorId,subjectType,subjectId,targets,outcome,errorCode,requestId,ip,data,erased\r\n";

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON Lines: an event a line.
    #[default]
    Jsonl,
    /// RFC 4180, with a first line of names. What a spreadsheet would take for a formula gets a `'` before it.
    Csv,
}

/// Export the log as text, the oldest first, a page at a time. `authd audit export` writes all of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportAudit {
    /// How it is written.
    #[serde(default)]
    pub format: Format,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub search: Search,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

/// A page of an export.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Exported {
    /// Whole lines.
    pub text: String,
    /// How many events they are.
    pub events: usize,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[async_trait]
impl Operation for ExportAudit {
    type Seen = ();
    type Output = Exported;
    const NAME: &'static str = "audit.export";
    const ACCESS: Access = Access::Grant(Grant::ConnectionAuditRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/audit/export" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.search.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let search = Search { oldest_first: true, ..self.search.clone() };
        let page = search.page(cx, &self.paging).await?;
        let first = self.paging.cursor.is_none();
        if first {
            // Who takes the log away is told once, at the first page.
            let mut event = cx.event(EventKind::AuditExported);
            if let Some(organization) = cx.narrowed(self.search.organization) {
                event = event.within(organization);
            }
            batch.log(event);
        }
        let mut text = String::new();
        if first && self.format == Format::Csv {
            text.push_str(COLUMNS);
        }
        for event in &page.items {
            match self.format {
                Format::Jsonl => text.push_str(&(serde_json::to_string(event).map_err(Error::bug)? + "\n")),
                Format::Csv => row(event, &mut text),
            }
        }
        Ok(Exported { text, events: page.items.len(), next: page.next })
    }
}

fn row(event: &EventView, text: &mut String) {
    let targets: Vec<String> = event.targets.iter().map(|target| format!("{}:{}", target.kind, target.id)).collect();
    let outcome = match event.outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
    };
    let optional = |text: Option<String>| text.unwrap_or_default();
    let data =
        if event.data.is_empty() { String::new() } else { serde_json::Value::from(event.data.clone()).to_string() };
    let cells = [
        event.seq.to_string(),
        event.event_id.to_string(),
        event.occurred_at.to_string(),
        event.kind.to_string(),
        optional(event.organization_id.map(|id| id.to_string())),
        event.actor_type.clone(),
        optional(event.actor_id.clone()),
        optional(event.subject_type.clone()),
        optional(event.subject_id.clone()),
        targets.join(" "),
        outcome.to_owned(),
        optional(event.error_code.clone()),
        optional(event.request_id.map(|id| id.to_string())),
        optional(event.ip.map(|ip| ip.to_string())),
        data,
        if event.erased { "true".to_owned() } else { String::new() },
    ];
    for (place, cell) in cells.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&cell_of(cell));
    }
    text.push_str("\r\n");
}

/// One cell. A name that begins like a formula must not become one in somebody's spreadsheet.
fn cell_of(value: &str) -> String {
    let tame = if value.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{value}") } else { value.to_owned() };
    if tame.contains([',', '"', '\r', '\n']) { format!("\"{}\"", tame.replace('"', "\"\"")) } else { tame }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_is_never_a_formula() {
        assert_eq!(cell_of("plain"), "plain");
        assert_eq!(cell_of("a,b \"c\"\n"), "\"a,b \"\"c\"\"\n\"");
        assert_eq!(cell_of("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        for start in ["+1", "-1", "@x", "\tx"] {
            assert!(cell_of(start).starts_with('\''), "{start:?}");
        }
    }
}
