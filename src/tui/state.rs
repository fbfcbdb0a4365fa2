//! Everything that the screen is drawn from. It changes in `update` and `intake` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::act::{Run, Undo};
use super::ask::{Ask, PACES, Poll, What};
use super::catalogue::Spec;
use super::overlay::Overlay;
use super::panels::{Face, Names, PANELS, View};
use super::pulse::Pulse;
use super::shown;
use super::speed::Speed;
use super::table::{Row, Table};
use super::theme::{Look, Tone};

/// Whether the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// It was not reached yet.
    Connecting,
    /// It answers.
    Live,
    /// It does not, since then, for this reason.
    Lost(i64, String),
}

/// An opened row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Open {
    /// In which list.
    pub view: Option<View>,
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What the list said of it.
    pub raw: Value,
    /// What else was asked: nothing yet, an answer, or why there is none.
    pub parts: BTreeMap<&'static str, Option<Result<Value, String>>>,
    /// How far it is scrolled.
    pub scroll: usize,
}

impl Open {
    /// The answer of that name.
    pub fn part(&self, key: &str) -> Option<&Value> {
        self.parts.get(key)?.as_ref()?.as_ref().ok()
    }

    /// Why there is no answer of that name.
    pub fn trouble(&self, key: &str) -> Option<&str> {
        self.parts.get(key)?.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// The items of the answer of that name.
    pub fn items(&self, key: &str) -> &[Value] {
        self.part(key).map_or(&[], shown::items)
    }
}

/// A sentence that stands for a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// It.
    pub text: String,
    /// What it means.
    pub tone: Tone,
    /// Until when it stands.
    pub until: i64,
}

/// When something was asked, and whether it is to be asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: Option<i64>,
    /// Whether the answer is still to come.
    pub pending: bool,
    /// Whether something happened that changes it.
    pub wanted: bool,
}

/// What the dashboard was started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The operations.
    pub specs: Arc<[Spec]>,
    /// Colours and glyphs.
    pub look: Look,
    /// Whether nothing may be changed.
    pub read_only: bool,
    /// Where the server is: its socket's directory, or its address.
    pub place: String,
    /// As whom it is asked.
    pub who: String,
}

/// The state.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are named after what they hold")]
pub struct State {
    pub setup: Setup,
    pub look: Look,
    /// Milliseconds since 1970.
    pub now: i64,
    pub size: (u16, u16),
    pub link: Link,
    /// The server's address, as it says itself.
    pub place: String,
    pub version: String,
    pub panel: usize,
    /// Which list of each panel is shown.
    pub shown: [usize; 9],
    pub tables: Vec<Table>,
    pub names: Names,
    /// Whether a name has become known since rows were made.
    pub renamed: bool,
    pub open: Option<Open>,
    /// The row beside the list, where there is room for that.
    pub peek: Option<Open>,
    /// Since when the reader stands at that row.
    pub rested: i64,
    pub overlay: Option<Overlay>,
    /// The filter as it was before it was typed, while it is typed.
    pub typing: Option<String>,
    pub toast: Option<Toast>,
    pub undo: Option<Undo>,
    pub run: Option<Run>,
    pub runs: u64,
    /// While the screen is held still: the events that came meanwhile.
    pub held: Option<Vec<Value>>,
    pub asked: BTreeMap<Poll, Asked>,
    /// Pages still to be read.
    pub more: BTreeSet<View>,
    pub pulse: Pulse,
    pub counts: Value,
    pub doctor: Result<Value, String>,
    /// What was said of connections elsewhere: whether ready, the last sign-in, the first certificate to end.
    pub ready: BTreeMap<String, bool>,
    pub last_in: BTreeMap<String, String>,
    pub certificates: BTreeMap<String, String>,
    /// Which endpoint's deliveries are shown.
    pub endpoint: Option<(String, String)>,
    /// How long things take, as the server measures it.
    pub speed: Speed,
    /// The newest event that was seen.
    pub cursor: Option<u64>,
    /// Whether the feed is being read.
    pub following: bool,
}

impl State {
    /// At the beginning.
    pub fn new(setup: Setup, size: (u16, u16), now: i64) -> Self {
        Self {
            look: setup.look,
            place: setup.place.clone(),
            setup,
            now,
            size,
            link: Link::Connecting,
            version: String::new(),
            panel: 0,
            shown: [0; 9],
            tables: View::ALL.iter().map(|view| Table::new(view.columns())).collect(),
            names: Names::new(),
            renamed: false,
            open: None,
            peek: None,
            rested: now,
            overlay: None,
            typing: None,
            toast: None,
            undo: None,
            run: None,
            runs: 0,
            held: None,
            asked: PACES.iter().map(|pace| (pace.poll, Asked::default())).collect(),
            more: BTreeSet::new(),
            pulse: Pulse::default(),
            counts: Value::Null,
            doctor: Ok(Value::Null),
            ready: BTreeMap::new(),
            last_in: BTreeMap::new(),
            certificates: BTreeMap::new(),
            endpoint: None,
            speed: Speed::default(),
            cursor: None,
            following: false,
        }
    }

    /// The panel that is shown.
    pub fn face(&self) -> &'static Face {
        PANELS.get(self.panel).unwrap_or(&PANELS[0])
    }

    /// The list that is shown; the Overview has none.
    pub fn view(&self) -> Option<View> {
        let views = self.face().views;
        views.get(self.shown.get(self.panel).copied().unwrap_or(0)).or(views.first()).copied()
    }

    /// A list.
    pub fn table(&self, view: View) -> &Table {
        // There is one for each.
        &self.tables[view as usize]
    }

    /// The same, to change it.
    pub fn table_mut(&mut self, view: View) -> &mut Table {
        &mut self.tables[view as usize]
    }

    /// The list that is shown.
    pub fn here(&self) -> Option<&Table> {
        self.view().map(|view| self.table(view))
    }

    /// The same, to change it.
    pub fn here_mut(&mut self) -> Option<&mut Table> {
        self.view().map(|view| self.table_mut(view))
    }

    /// The row that actions are about: the opened one, or the one in the list.
    pub fn current(&self) -> Option<&Row> {
        let (view, open) = (self.view()?, self.open.as_ref());
        match open {
            Some(open) => self.table(open.view?).find(&open.id),
            None => self.table(view).current(),
        }
    }

    /// The operation of that name.
    pub fn spec(&self, name: &str) -> Option<&Spec> {
        self.setup.specs.iter().find(|spec| spec.name == name)
    }

    /// Says something for a moment.
    pub fn tell(&mut self, tone: Tone, text: impl Into<String>) {
        let lasts = if tone == Tone::Bad { 8_000 } else { 4_000 };
        self.toast = Some(Toast { text: text.into(), tone, until: self.now + lasts });
    }

    /// Whether there is room for the row beside the list.
    pub fn is_wide(&self) -> bool {
        self.size.0 >= 120 && self.size.1 >= 20 && self.view().is_some()
    }

    /// What people call the row.
    pub fn name_of_row(&self, view: View, row: &Row) -> String {
        let column = match view {
            View::Signins => match row.cell(2) {
                "" => return shown::short(row.id()),
                _ => 2,
            },
            View::Audit | View::Scim => 1,
            View::Expiry => 2,
            _ => 0,
        };
        match row.cell(column) {
            "" => shown::short(row.id()),
            name => name.to_owned(),
        }
    }

    /// Opens a row: what is shown, and what has to be asked for it.
    pub fn opened(&self, view: View, row: &Row) -> (Open, Vec<(Ask, What)>) {
        let asks = view.asks(row);
        let open = Open {
            view: Some(view),
            id: row.id().to_owned(),
            name: self.name_of_row(view, row),
            raw: row.raw().unwrap_or(Value::Null),
            parts: asks.iter().map(|(key, _)| (*key, None)).collect(),
            scroll: 0,
        };
        let id = row.id();
        let asks = asks.into_iter().map(|(key, what)| (Ask::Part { view, id: id.to_owned(), key }, what)).collect();
        (open, asks)
    }

    /// What is joined into a connection's row from other answers.
    pub fn join_connection(&self, mut item: Value) -> Value {
        let id = shown::text(&item, "id").to_owned();
        if let Some(ready) = self.ready.get(&id) {
            item["_ready"] = (*ready).into();
        }
        for (field, known) in [("_lastIn", &self.last_in), ("_certificate", &self.certificates)] {
            if let Some(at) = known.get(&id) {
                item[field] = at.clone().into();
            }
        }
        item
    }

    /// Joins what is known now into the rows of the connections.
    pub fn join_connections(&mut self) {
        let items: Vec<Value> = self.table(View::Connections).rows().filter_map(Row::raw).collect();
        for item in items {
            let row = View::Connections.row(&self.join_connection(item), &self.names);
            self.table_mut(View::Connections).put(row);
        }
    }
}
