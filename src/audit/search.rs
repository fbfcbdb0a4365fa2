//! Which events are meant, and the walk through the log that finds them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Context, Pages, Paging};
use crate::crypto::{base64url, from_base64url};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{EventView, Outcome};
use crate::id::{ConnectionId, OrganizationId, RequestId, UserId};
use crate::store::Logged;

/// At most so many rows are looked at for one page.
const LOOKED_AT: usize = 20_000;
/// Rows that are read together.
const PIECE: usize = 500;

/// Which events are meant. Everything that is given has to hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Search {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Kinds, with commas between; `user.*` is all that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only events that touch this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// Only events that touch this person, or were done by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Only events that touch the thing of this id, whatever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Only what this actor did: its id, or its kind (`operator`, `user`, `api_key`, `system` …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only what ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Only what failed with this code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Only what this request caused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// Only what came from this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<std::net::IpAddr>,
    /// Only events with this text in them, whatever its case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// From then on (2027-01-31T00:00:00Z).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The oldest first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oldest_first: bool,
}

impl Search {
    fn holds(&self, event: &EventView) -> bool {
        let id =
            |id: &str| event.subject_id.as_deref() == Some(id) || event.targets.iter().any(|target| target.id == id);
        let actor = |text: &str| event.actor_type == text || event.actor_id.as_deref() == Some(text);
        let text = |text: &str| {
            let all = serde_json::to_string(event).unwrap_or_default();
            all.to_lowercase().contains(&text.to_lowercase())
        };
        self.kind.as_deref().is_none_or(|kinds| event.kind.is_among(kinds))
            && self.connection.is_none_or(|wanted| event.touches("connection", &wanted.to_string()))
            && self.user.is_none_or(|wanted| id(&wanted.to_string()) || actor(&wanted.to_string()))
            && self.target.as_deref().is_none_or(id)
            && self.actor.as_deref().is_none_or(actor)
            && self.outcome.is_none_or(|wanted| event.outcome == wanted)
            && self.error_code.as_deref().is_none_or(|code| event.error_code.as_deref() == Some(code))
            && self.request.is_none_or(|wanted| event.request_id == Some(wanted))
            && self.ip.is_none_or(|wanted| event.ip == Some(wanted))
            && self.text.as_deref().is_none_or(text)
    }

    /// One page of what is meant. A page that would take too long to fill is shorter, and has a `next` all the same.
    /// Errors: `invalid_input` for a cursor that is none.
    pub async fn page(&self, cx: &Context, paging: &Paging) -> Result<Pages<EventView>> {
        let wrong = || Error::says(&codes::INVALID_INPUT, "The cursor is not one of ours.");
        let limit = paging.limit.unwrap_or(100);
        if limit == 0 {
            return Err(Error::says(&codes::INVALID_INPUT, "A page has at least 1 item; the limit is 0.")
                .help("`limit` is a number from 1 to 1000."));
        }
        let limit = limit.min(1_000);
        // Rows in (low, high), and how far an earlier page came.
        let low = match self.since {
            Some(since) => cx.store.log_before(since).await?,
            None => 0,
        };
        let high = match self.until {
            Some(until) => cx.store.log_before(until).await? + 1,
            None => u64::MAX,
        };
        let came = match &paging.cursor {
            None => None,
            Some(text) => {
                let bytes = from_base64url(text).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
                Some(u64::from_be_bytes(bytes.ok_or_else(wrong)?))
            }
        };
        let org = cx.narrowed(self.organization).map(OrganizationId::bytes);
        let mut at = match (came, self.oldest_first) {
            (Some(came), _) => came,
            (None, true) => low,
            (None, false) => high,
        };
        let (mut items, mut looked) = (Vec::new(), 0);
        loop {
            let rows: Vec<Logged> = if self.oldest_first {
                cx.store.tail(at, PIECE, org).await?
            } else {
                cx.store.back(at, PIECE, org).await?
            };
            let ended = rows.len() < PIECE;
            for row in rows {
                let seq = row.row.seq;
                if seq >= high || seq <= low {
                    return Ok(Pages { items, next: None });
                }
                at = seq;
                looked += 1;
                let event = EventView::read(&row)?;
                if self.holds(&event) {
                    items.push(event);
                }
                if items.len() == limit || looked >= LOOKED_AT {
                    return Ok(Pages { items, next: Some(base64url(&at.to_be_bytes())) });
                }
            }
            if ended {
                return Ok(Pages { items, next: None });
            }
        }
    }
}
