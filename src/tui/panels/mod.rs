//! # panels — one file each
//!
//! *Owns* what each panel shows: its columns, how an answer becomes a row, what is asked when a row is opened, and what
//! is then shown. Which panel has which lists is data, below.
//! *Gives* `PANELS` and `View` to the rest of the dashboard. *Needs* the state, to be read only.
//! *Never* asks by itself: it says what is to be asked.

pub mod apps;
pub mod audit;
pub mod connections;
pub mod directory;
pub mod expiry;
pub mod overview;
pub mod sessions;
pub mod signins;
pub mod webhooks;

use std::collections::BTreeMap;

use serde_json::Value;

use super::ask::What;
use super::shown::{short, text};
use super::state::{Open, State};
use super::table::{Column, Row};
use super::view::sheet::Sheet;

/// What ids stand for: addresses of people, names of connections and apps.
pub type Names = BTreeMap<String, String>;

/// A list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are titles")]
pub enum View {
    Signins,
    Sessions,
    Connections,
    People,
    Groups,
    Roles,
    Scim,
    Apps,
    Audit,
    Endpoints,
    Deliveries,
    Expiry,
}

/// A panel.
pub struct Face {
    /// Its title.
    pub title: &'static str,
    /// The same where there is little room.
    pub short: &'static str,
    /// Its lists.
    pub views: &'static [View],
}

/// The panels, in the order of their keys.
pub const PANELS: &[Face] = &[
    Face { title: "Overview", short: "Home", views: &[] },
    Face { title: "Sign-ins", short: "Sign-ins", views: &[View::Signins] },
    Face { title: "Sessions", short: "Sessions", views: &[View::Sessions] },
    Face { title: "Connections", short: "Conns", views: &[View::Connections] },
    Face { title: "Directory", short: "People", views: &[View::People, View::Groups, View::Roles, View::Scim] },
    Face { title: "Apps", short: "Apps", views: &[View::Apps] },
    Face { title: "Audit", short: "Audit", views: &[View::Audit] },
    Face { title: "Webhooks", short: "Hooks", views: &[View::Endpoints, View::Deliveries] },
    Face { title: "Expiry", short: "Expiry", views: &[View::Expiry] },
];

impl View {
    /// All of them, in their order.
    pub const ALL: [Self; 12] = [
        Self::Signins,
        Self::Sessions,
        Self::Connections,
        Self::People,
        Self::Groups,
        Self::Roles,
        Self::Scim,
        Self::Apps,
        Self::Audit,
        Self::Endpoints,
        Self::Deliveries,
        Self::Expiry,
    ];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Signins => "Sign-ins",
            Self::Sessions => "Sessions",
            Self::Connections => "Connections",
            Self::People => "People",
            Self::Groups => "Groups",
            Self::Roles => "Roles",
            Self::Scim => "Provisioning",
            Self::Apps => "Apps",
            Self::Audit => "Audit",
            Self::Endpoints => "Endpoints",
            Self::Deliveries => "Deliveries",
            Self::Expiry => "Expiry radar",
        }
    }

    /// Of one thing, and of several.
    pub fn nouns(self) -> (&'static str, &'static str) {
        match self {
            Self::Signins => ("sign-in", "sign-ins"),
            Self::Sessions => ("session", "sessions"),
            Self::Connections => ("connection", "connections"),
            Self::People => ("person", "people"),
            Self::Groups => ("group", "groups"),
            Self::Roles => ("role", "roles"),
            Self::Scim | Self::Audit => ("event", "events"),
            Self::Apps => ("app", "apps"),
            Self::Endpoints => ("endpoint", "endpoints"),
            Self::Deliveries => ("delivery", "deliveries"),
            Self::Expiry => ("thing", "things"),
        }
    }

    /// Its columns.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Signins => signins::COLUMNS,
            Self::Sessions => sessions::COLUMNS,
            Self::Connections => connections::COLUMNS,
            Self::People => directory::PEOPLE,
            Self::Groups => directory::GROUPS,
            Self::Roles => directory::ROLES,
            Self::Scim | Self::Audit => audit::COLUMNS,
            Self::Apps => apps::COLUMNS,
            Self::Endpoints => webhooks::ENDPOINTS,
            Self::Deliveries => webhooks::DELIVERIES,
            Self::Expiry => expiry::COLUMNS,
        }
    }

    /// What is said where there is nothing: a sentence, and the next step.
    pub fn nothing(self) -> (&'static str, &'static str) {
        match self {
            Self::Signins => {
                ("Nobody has signed in yet.", "A row appears here the moment somebody is sent to a provider.")
            }
            Self::Sessions => ("Nobody is signed in.", "Sessions appear here as people sign in."),
            Self::Connections => ("There is no connection yet.", "n makes one: it begins as a draft."),
            Self::People => {
                ("Nobody is known yet.", "People appear when they sign in, or when a directory makes them known.")
            }
            Self::Groups => ("There are no groups.", "A directory makes them known, by SCIM or at a sync."),
            Self::Roles => ("There are no roles besides owner, admin, member and viewer.", "n makes one."),
            Self::Scim => ("No directory has provisioned anything yet.", ":scim.token.create makes a token for one."),
            Self::Apps => ("There is no app yet.", "n registers one."),
            Self::Audit => ("Nothing has happened yet.", "Everything that changes anything is an event here."),
            Self::Endpoints => ("There is no webhook endpoint.", "n makes one."),
            Self::Deliveries => ("Nothing was sent yet.", "t at an endpoint sends a test event."),
            Self::Expiry => ("Nothing here ends.", "Certificates, secrets, tokens, keys and proofs appear here."),
        }
    }

    /// A row of the answer's item.
    pub fn row(self, item: &Value, names: &Names) -> Row {
        match self {
            Self::Signins => signins::row(item, names),
            Self::Sessions => sessions::row(item, names),
            Self::Connections => connections::row(item, names),
            Self::People => directory::person(item, names),
            Self::Groups => directory::group(item, names),
            Self::Roles => directory::role(item, names),
            Self::Scim | Self::Audit => audit::row(item, names),
            Self::Apps => apps::row(item, names),
            Self::Endpoints => webhooks::endpoint(item, names),
            Self::Deliveries => webhooks::delivery(item, names),
            Self::Expiry => expiry::row(item, names),
        }
    }

    /// What is asked when that row is opened, each under its name.
    pub fn asks(self, row: &Row) -> Vec<(&'static str, What)> {
        match self {
            Self::Signins => signins::asks(row),
            Self::Sessions => sessions::asks(row),
            Self::Connections => connections::asks(row),
            Self::People => directory::asks_person(row),
            Self::Groups => directory::asks_group(row),
            Self::Apps => apps::asks(row),
            Self::Endpoints => webhooks::asks_endpoint(row),
            Self::Deliveries => webhooks::asks_delivery(row),
            Self::Audit | Self::Scim | Self::Expiry | Self::Roles => Vec::new(),
        }
    }

    /// What an opened row shows.
    pub fn sheet(self, state: &State, open: &Open, sheet: &mut Sheet) {
        match self {
            Self::Signins => signins::sheet(state, open, sheet),
            Self::Sessions => sessions::sheet(state, open, sheet),
            Self::Connections => connections::sheet(state, open, sheet),
            Self::People => directory::sheet(state, open, sheet),
            Self::Groups | Self::Roles => directory::sheet_plain(state, open, sheet),
            Self::Apps => apps::sheet(state, open, sheet),
            Self::Audit | Self::Scim => audit::sheet(state, open, sheet),
            Self::Endpoints | Self::Deliveries => webhooks::sheet(state, open, sheet),
            Self::Expiry => expiry::sheet(state, open, sheet),
        }
    }
}

/// What an id stands for; the id itself, shortened, where that is not known.
pub fn name_of(names: &Names, id: &str) -> String {
    names.get(id).cloned().unwrap_or_else(|| short(id))
}

/// The name of whatever that field points at; empty where it points at nothing.
pub fn named(names: &Names, item: &Value, field: &str) -> String {
    match text(item, field) {
        "" => String::new(),
        id => name_of(names, id),
    }
}

/// Texts of a list, with commas between.
pub fn joined(item: &Value, field: &str) -> String {
    let texts = super::shown::list(item, field).iter().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(", ")
}
