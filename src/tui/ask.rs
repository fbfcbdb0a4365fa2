//! What the dashboard asks the server for, and how often: data.

use serde_json::{Value, json};

use super::panels::View;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An operation of the catalogue.
    Operation(&'static str, Value),
    /// Where and what the server is.
    Place,
}

impl What {
    /// An operation.
    pub fn of(name: &'static str, input: Value) -> Self {
        Self::Operation(name, input)
    }
}

/// For what it is asked; the answer comes back with it.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Again and again.
    Poll(Poll),
    /// The next page of a list.
    More(View),
    /// Part of what an opened row shows.
    Part {
        /// In which list.
        view: View,
        /// The row.
        id: String,
        /// Under which name.
        key: &'static str,
    },
    /// Events of the log that match what was searched for.
    Search(String),
    /// An action of the operator's: which one, at which of its targets.
    Act(u64, usize),
    /// How an ended session is taken note of.
    Acknowledged(u64, usize),
}

/// What is asked again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is named after what it asks")]
pub enum Poll {
    Place,
    Organizations,
    Connections,
    Apps,
    History,
    Hour,
    Counts,
    Timings,
    Doctor,
    People,
    Signins,
    Sessions,
    Fresh,
    Expiry,
    Endpoints,
    Groups,
    Roles,
    Scim,
    Deliveries,
}

/// How often: in seconds, where it is on the screen and where it is not. 0: not by the clock.
pub struct Pace {
    /// What.
    pub poll: Poll,
    /// On the screen of these panels.
    pub panels: &'static [usize],
    /// While it is.
    pub shown: u32,
    /// While it is not.
    pub hidden: u32,
}

const fn pace(poll: Poll, panels: &'static [usize], shown: u32, hidden: u32) -> Pace {
    Pace { poll, panels, shown, hidden }
}

/// The table. What is first is asked first: names before what they stand in.
pub const PACES: &[Pace] = &[
    pace(Poll::Place, &[], 0, 60),
    pace(Poll::Organizations, &[], 0, 60),
    pace(Poll::Connections, &[3], 15, 60),
    pace(Poll::Apps, &[5], 15, 60),
    pace(Poll::History, &[], 0, 0),
    pace(Poll::Hour, &[], 0, 0),
    pace(Poll::Counts, &[0], 5, 30),
    pace(Poll::Timings, &[0], 5, 60),
    pace(Poll::People, &[4], 30, 120),
    pace(Poll::Signins, &[0, 1], 5, 30),
    pace(Poll::Sessions, &[2], 60, 120),
    pace(Poll::Fresh, &[], 0, 0),
    pace(Poll::Doctor, &[0], 30, 120),
    pace(Poll::Expiry, &[8], 60, 300),
    pace(Poll::Endpoints, &[0, 7], 10, 60),
    pace(Poll::Groups, &[4], 60, 0),
    pace(Poll::Roles, &[4], 60, 0),
    pace(Poll::Scim, &[4], 60, 0),
    pace(Poll::Deliveries, &[7], 5, 0),
];

/// Which lists an event may have changed: the beginning of its kind, and what to ask again.
pub const STIRRED: &[(&str, Poll)] = &[
    ("session.signed_in", Poll::Fresh),
    ("session.invalidated", Poll::Counts),
    ("connection.login.", Poll::Signins),
    ("signin.refused", Poll::Signins),
    ("connection.", Poll::Connections),
    ("connection.domain.", Poll::Expiry),
    ("connection.saml.", Poll::Expiry),
    ("organization.", Poll::Organizations),
    ("user.", Poll::People),
    ("user.suspended", Poll::Sessions),
    ("user.deprovisioned", Poll::Sessions),
    ("user.deleted", Poll::Sessions),
    ("session.invalidated", Poll::Sessions),
    ("organization.", Poll::Sessions),
    ("connection.updated", Poll::Sessions),
    ("connection.removed", Poll::Sessions),
    ("group.", Poll::Groups),
    ("role.", Poll::Roles),
    ("oauth.client.", Poll::Apps),
    ("webhook.", Poll::Endpoints),
    ("webhook.", Poll::Deliveries),
    ("api_key.", Poll::Expiry),
    ("signing_key.", Poll::Expiry),
    ("connection.scim.set", Poll::Expiry),
];

/// The kinds of which the Overview counts an hour.
pub const SIGNINS: &str = "connection.login.succeeded,connection.login.failed,signin.refused";

impl Poll {
    /// What is asked; `page` is where the page before ended.
    pub fn what(self, page: Option<&str>, endpoint: Option<&str>, hour: &str) -> Option<What> {
        let listed = |name: &'static str, limit: usize| {
            let mut input = json!({"limit": limit});
            if let Some(page) = page {
                input["cursor"] = page.into();
            }
            Some(What::of(name, input))
        };
        match self {
            Self::Place => Some(What::Place),
            Self::Organizations => listed("organization.list", 1_000),
            Self::Connections => listed("connection.list", 500),
            Self::Apps => listed("app.list", 500),
            Self::History => listed("audit.list", 300),
            Self::Hour => Some(What::of("audit.list", json!({"kind": SIGNINS, "since": hour, "limit": 1_000}))),
            Self::Counts => Some(What::of("counts.show", json!({}))),
            Self::Timings => Some(What::of("timings.show", json!({}))),
            Self::Doctor => Some(What::of("doctor.examine", json!({}))),
            Self::People => listed("user.list", 1_000),
            Self::Signins => listed("signin.list", 200),
            Self::Sessions => listed("session.list", 1_000),
            Self::Fresh => Some(What::of("session.list", json!({"limit": 200}))),
            Self::Expiry => Some(What::of("expiry.list", json!({}))),
            Self::Endpoints => listed("webhook.list", 500),
            Self::Groups => listed("group.list", 500),
            Self::Roles => listed("role.list", 500),
            Self::Scim => {
                Some(What::of("audit.list", json!({"kind": "connection.scim.*,connection.sync.*", "limit": 300})))
            }
            Self::Deliveries => endpoint.map(|id| What::of("delivery.list", json!({"endpoint": id, "limit": 200}))),
        }
    }

    /// The list that it fills.
    pub fn view(self) -> Option<View> {
        match self {
            Self::Connections => Some(View::Connections),
            Self::Apps => Some(View::Apps),
            Self::History => Some(View::Audit),
            Self::People => Some(View::People),
            Self::Signins => Some(View::Signins),
            Self::Sessions | Self::Fresh => Some(View::Sessions),
            Self::Expiry => Some(View::Expiry),
            Self::Endpoints => Some(View::Endpoints),
            Self::Groups => Some(View::Groups),
            Self::Roles => Some(View::Roles),
            Self::Scim => Some(View::Scim),
            Self::Deliveries => Some(View::Deliveries),
            Self::Place | Self::Organizations | Self::Hour | Self::Counts | Self::Timings | Self::Doctor => None,
        }
    }

    /// Whether all its pages are read, one after another.
    pub fn whole(self) -> bool {
        matches!(
            self,
            Self::Organizations | Self::Connections | Self::Apps | Self::People | Self::Sessions | Self::Endpoints
        )
    }
}
