//! A list that can be walked, filtered, sorted and marked, of a hundred thousand rows as of ten.
//!
//! Rows stand in the order of their ids,
//! which is the order they were made in; `order` says which of them are shown, and where.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Value;

pub use super::column::{Column, Kind, column, layout, written};
pub use super::row::{CELLS, Row, contains};

/// Up to so many new rows are put to their places one by one.
const FEW: usize = 256;

/// Where a list comes from stands so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Load {
    /// It was not answered yet.
    #[default]
    Waiting,
    /// It was answered.
    Ready,
    /// It was refused, for this reason.
    Failed(String),
}

/// A list, and where the reader stands in it.
#[derive(Clone, Debug)]
pub struct Table {
    columns: &'static [Column],
    rows: Vec<Row>,
    order: Vec<u32>,
    filter: String,
    sort: Option<(usize, bool)>,
    stale: bool,
    at: usize,
    top: usize,
    chosen: Option<Box<str>>,
    marked: BTreeSet<Box<str>>,
    /// Whether it was answered.
    pub load: Load,
    /// The cursor of older rows, where there are any.
    pub older: Option<String>,
    pass: u8,
}

impl Table {
    /// An empty one.
    pub fn new(columns: &'static [Column]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
            order: Vec::new(),
            filter: String::new(),
            sort: None,
            stale: false,
            at: 0,
            top: 0,
            chosen: None,
            marked: BTreeSet::new(),
            load: Load::Waiting,
            older: None,
            pass: 0,
        }
    }

    /// Its columns.
    pub fn columns(&self) -> &'static [Column] {
        self.columns
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many are shown.
    pub fn shown(&self) -> usize {
        self.order.len()
    }

    /// All rows, the oldest first.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.iter()
    }

    /// Which row the reader is at, and the first of the screen.
    pub fn place(&self) -> (usize, usize) {
        (self.at, self.top)
    }

    /// The rows of a screen of that height, with their places.
    pub fn screen(&self, height: usize) -> impl Iterator<Item = (usize, &Row)> {
        let last = self.order.len().min(self.top + height);
        (self.top..last).filter_map(|place| Some((place, self.row_at(place)?)))
    }

    fn row_at(&self, place: usize) -> Option<&Row> {
        // Without a sort, the newest come first: `order` is read from behind, so that a new row is one push.
        let place = if self.sort.is_none() { self.order.len().checked_sub(place + 1)? } else { place };
        self.rows.get(usize::try_from(*self.order.get(place)?).ok()?)
    }

    /// The row that the reader is at.
    pub fn current(&self) -> Option<&Row> {
        self.row_at(self.at)
    }

    /// The row of that id.
    pub fn find(&self, id: &str) -> Option<&Row> {
        self.rows.binary_search_by(|row| row.id().cmp(id)).ok().and_then(|at| self.rows.get(at))
    }

    /// Puts rows in: a page at once, so that a hundred thousand others are not moved for each of its rows.
    pub fn put_all(&mut self, rows: Vec<Row>) {
        let (known, mut fresh): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| self.find(row.id()).is_some());
        let one_by_one = if fresh.len() > FEW { known } else { known.into_iter().chain(fresh.drain(..)).collect() };
        one_by_one.into_iter().for_each(|row| self.put(row));
        if fresh.is_empty() {
            return;
        }
        fresh.iter_mut().for_each(|row| row.pass = self.pass);
        self.rows.append(&mut fresh);
        // Two runs that are in order already, mostly: the stable sort joins them in one go.
        self.rows.sort_by(|one, other| one.id().cmp(other.id()));
        self.rows.dedup_by(|next, kept| {
            let same = next.id() == kept.id();
            if same {
                std::mem::swap(next, kept);
            }
            same
        });
        self.stale = true;
    }

    /// Puts a row in, in place of the one with its id.
    pub fn put(&mut self, mut row: Row) {
        row.pass = self.pass;
        match self.rows.binary_search_by(|known| known.id().cmp(row.id())) {
            Ok(at) => {
                let ordered = self.sort.is_some() || !self.filter.is_empty();
                let moves = ordered && self.rows.get(at).is_some_and(|known| known.text != row.text);
                if moves {
                    self.take_out(at);
                }
                if let Some(place) = self.rows.get_mut(at) {
                    *place = row;
                }
                if moves {
                    self.bring_in(at);
                }
            }
            Err(at) => {
                if !self.stale && at < self.rows.len() {
                    self.order.iter_mut().filter(|place| **place as usize >= at).for_each(|place| *place += 1);
                }
                self.rows.insert(at, row);
                self.bring_in(at);
            }
        }
    }

    /// Where the row stands among those that are shown, or where it would stand.
    fn search(&self, at: u32) -> Result<usize, usize> {
        match self.sort {
            None => self.order.binary_search(&at),
            Some(sort) => self.order.binary_search_by(|place| self.compare(sort, *place, at)),
        }
    }

    /// One row has come: it is put to its place, so that a hundred thousand others are not sorted anew for it.
    fn bring_in(&mut self, at: usize) {
        let fits = self.rows.get(at).is_some_and(|row| row.fits(&self.filter, self.columns));
        let (false, true, Ok(at)) = (self.stale, fits, u32::try_from(at)) else { return };
        if let Err(place) = self.search(at) {
            self.order.insert(place, at);
        }
    }

    /// One row goes, or changes: it is taken from its place.
    fn take_out(&mut self, at: usize) {
        let (false, Ok(at)) = (self.stale, u32::try_from(at)) else { return };
        if let Ok(place) = self.search(at) {
            self.order.remove(place);
        }
    }

    /// Which of two rows stands first, by that column; equals stand as they were made.
    fn compare(&self, (column, down): (usize, bool), one: u32, other: u32) -> Ordering {
        let cell = |at: u32| self.rows.get(at as usize).map_or("", |row| row.cell(column));
        let (a, b) = if down { (cell(other), cell(one)) } else { (cell(one), cell(other)) };
        let numeric = self.columns.get(column).is_some_and(|column| column.kind == Kind::Number);
        let by_cell = match (a.parse::<u64>(), b.parse::<u64>()) {
            _ if !numeric => fold(a).cmp(fold(b)),
            (Ok(a), Ok(b)) => a.cmp(&b),
            // What is no number stands behind all numbers, so that the order is one.
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => fold(a).cmp(fold(b)),
        };
        by_cell.then(one.cmp(&other))
    }

    /// Makes rows anew, of which it is known what the server said.
    pub fn redo(&mut self, make: impl Fn(&Value) -> Row) {
        for row in &mut self.rows {
            if let Some(raw) = row.raw() {
                let pass = std::mem::replace(row, make(&raw)).pass;
                row.pass = pass;
                self.stale = true;
            }
        }
    }

    /// Puts all of them in, and takes away what is not among them.
    pub fn replace(&mut self, rows: Vec<Row>) {
        self.begin();
        self.put_all(rows);
        self.end();
    }

    /// Begins a pass over the whole list.
    pub fn begin(&mut self) {
        self.pass = self.pass.wrapping_add(1);
    }

    /// Ends it: what was not seen is no longer there.
    pub fn end(&mut self) {
        let (pass, before) = (self.pass, self.rows.len());
        self.rows.retain(|row| row.pass == pass);
        self.stale |= self.rows.len() != before;
        self.load = Load::Ready;
    }

    /// Takes a row away.
    pub fn remove(&mut self, id: &str) {
        if let Ok(at) = self.rows.binary_search_by(|row| row.id().cmp(id)) {
            self.take_out(at);
            self.rows.remove(at);
            self.marked.remove(id);
            if !self.stale {
                self.order.iter_mut().filter(|place| **place as usize > at).for_each(|place| *place -= 1);
            }
        }
    }

    /// Keeps the newest, at most so many.
    pub fn trim(&mut self, most: usize) {
        // Some room, so that this is not done at every row.
        if self.rows.len() > most + most / 8 {
            self.rows.drain(..self.rows.len() - most);
            self.stale = true;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self { sort: self.sort, filter: std::mem::take(&mut self.filter), ..Self::new(self.columns) };
    }

    /// What it is filtered by.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Filters it: all words must be found; `!word` must not; `column:word` in that column.
    pub fn set_filter(&mut self, filter: &str) {
        if filter != self.filter {
            filter.clone_into(&mut self.filter);
            self.stale = true;
            self.chosen = None;
            (self.at, self.top) = (0, 0);
        }
    }

    /// How it is sorted: the column, and whether the greatest come first.
    pub fn sort(&self) -> Option<(usize, bool)> {
        self.sort
    }

    /// Sorts it; the same column once more turns it around, and then it is as it was made.
    pub fn sort_by(&mut self, column: usize) {
        self.sort = match self.sort {
            Some((now, false)) if now == column => Some((column, true)),
            Some((now, true)) if now == column => None,
            _ => Some((column, false)),
        };
        self.stale = true;
    }

    /// Turns the order around.
    pub fn reverse(&mut self) {
        self.sort = Some(self.sort.map_or((0, false), |(column, down)| (column, !down)));
        self.stale = true;
    }

    /// Goes so many rows down, or up.
    pub fn go(&mut self, by: isize) {
        self.settle_order();
        let last = self.order.len().saturating_sub(1);
        self.go_to(self.at.saturating_add_signed(by).min(last));
    }

    /// Goes to that place. At the top the newest is followed.
    pub fn go_to(&mut self, place: usize) {
        self.settle_order();
        self.at = place.min(self.order.len().saturating_sub(1));
        self.chosen = (self.at > 0).then(|| self.current().map(|row| row.id().into())).flatten();
    }

    /// Goes to the row of that id.
    pub fn go_to_id(&mut self, id: &str) {
        self.chosen = Some(id.into());
        self.stale = true;
        self.settle_order();
    }

    /// Marks the row, or takes its mark away.
    pub fn mark(&mut self) {
        let Some(id) = self.current().map(|row| Box::<str>::from(row.id())) else { return };
        if !self.marked.remove(&id) {
            self.marked.insert(id);
        }
    }

    /// Marks all that are shown; or none, when they were.
    pub fn mark_all(&mut self) {
        self.settle_order();
        let shown: Vec<Box<str>> =
            (0..self.order.len()).filter_map(|at| self.row_at(at)).map(|row| row.id().into()).collect();
        if shown.iter().all(|id| self.marked.contains(id)) {
            self.marked.clear();
        } else {
            self.marked.extend(shown);
        }
    }

    /// Takes all marks away.
    pub fn unmark(&mut self) {
        self.marked.clear();
    }

    /// Whether the row of that id is marked.
    pub fn is_marked(&self, id: &str) -> bool {
        self.marked.contains(id)
    }

    /// How many are marked.
    pub fn marks(&self) -> usize {
        self.marked.len()
    }

    /// What an action is about: the marked rows, or the one that the reader is at.
    pub fn targets(&self) -> Vec<&Row> {
        if self.marked.is_empty() {
            return self.current().into_iter().collect();
        }
        self.rows.iter().filter(|row| self.marked.contains(row.id())).collect()
    }

    /// Brings order and place in step with the rows, for a screen of that height.
    pub fn settle(&mut self, height: usize) {
        self.settle_order();
        let height = height.max(1);
        self.at = self.at.min(self.order.len().saturating_sub(1));
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(height));
        self.top = self.top.min(self.order.len().saturating_sub(height));
    }

    fn settle_order(&mut self) {
        if self.stale {
            self.stale = false;
            let (filter, columns) = (&self.filter, self.columns);
            let fitting = self.rows.iter().enumerate().filter(|(_, row)| row.fits(filter, columns));
            let mut order: Vec<u32> = fitting.filter_map(|(at, _)| u32::try_from(at).ok()).collect();
            if let Some(sort) = self.sort {
                order.sort_unstable_by(|one, other| self.compare(sort, *one, *other));
            }
            self.order = order;
        } else if self.chosen.is_none() {
            return;
        }
        // The reader stays at their row when others come and go.
        if let Some(id) = self.chosen.clone() {
            if self.current().is_some_and(|row| row.id() == &*id) {
                return;
            }
            if let Some(place) = self.place_of(&id) {
                let moved = place.saturating_sub(self.at);
                self.top += if place > self.at { moved } else { 0 };
                self.at = place;
            }
        }
    }

    fn place_of(&self, id: &str) -> Option<usize> {
        let row = self.rows.binary_search_by(|row| row.id().cmp(id)).ok()?;
        let place = self.search(u32::try_from(row).ok()?).ok()?;
        Some(if self.sort.is_some() { place } else { self.order.len() - place - 1 })
    }
}

fn fold(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.bytes().map(|byte| byte.to_ascii_lowercase()).take(64)
}

#[cfg(test)]
mod tests;
