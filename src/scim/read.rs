//! Lists: by an index where the filter names one, in the order of the keys where it does not.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::filter::Filter;
use super::page::{Cursor, Wish};
use super::place::{Place, get};
use super::schema::{Kind, ResourceKind, list};
use super::shown::{Besides, GroupNames, folded};
use super::speaker::Speaker;
use crate::access::Context;
use crate::directory::{ScimKind, ScimResource};
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;
use crate::store::{Query, Stored};

/// So many rows are read at a time where a filter has to look at all.
const STRIDE: usize = 500;
/// Texts are sorted by so many of their first characters, which fit into a cursor.
const COMPARED: usize = 128;

/// How many resources directories have, as of a row of the log: counting them again is needed only after a write.
#[derive(Debug, Default)]
pub struct Counts(Mutex<HashMap<(ConnectionId, bool), (u64, u64)>>);

impl Counts {
    /// How many there are, and the place of one of them by its number.
    async fn of(
        &self,
        cx: &Context,
        speaker: &Speaker,
        kind: ResourceKind,
        nth: u64,
    ) -> Result<(u64, Option<Vec<u8>>)> {
        let key = (speaker.directory, kind == ResourceKind::User);
        let seq = cx.store.log_seq();
        if nth == 0 {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
            if let Some((at, count)) = known
                && at == seq
            {
                return Ok((count, None));
            }
        }
        let value = ScimResource::all(speaker.directory, kind.kept());
        let (count, place) = cx.store.entries::<ScimResource>(ScimResource::ALL, value, nth).await?;
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() > 10_000 {
            counts.clear();
        }
        counts.insert(key, (seq, count));
        Ok((count, place))
    }
}

/// One page, before it has its form.
struct Found {
    total: u64,
    rows: Vec<ScimResource>,
    /// Where the next page begins.
    next: Option<Cursor>,
}

impl Speaker {
    /// A page of the resources that are meant, as RFC 7644 §3.4.2 has it. Errors: `invalid_filter`, `invalid_path`,
    /// `invalid_cursor`.
    pub async fn list(&self, cx: &Context, counts: &Counts, kind: ResourceKind, wish: &Wish) -> Result<Value> {
        let filter = wish.filter.as_deref().map(|text| Filter::parse(kind, text)).transpose()?;
        let order = wish.order(kind)?;
        let digest = wish.digest(self.directory, kind);
        let cursor = match wish.cursor.as_deref() {
            None => None,
            Some("") => Some(Cursor { digest, after: None, value: None }),
            Some(text) => Some(Cursor::read(text, digest)?),
        };
        let mut names = GroupNames::new();
        let found = match (&filter, &order) {
            (None, None) => self.all(cx, counts, kind, wish, cursor.as_ref(), digest).await?,
            _ => {
                self.some(cx, kind, wish, filter.as_ref(), order.as_ref(), cursor.as_ref(), digest, &mut names).await?
            }
        };
        let besides =
            Besides { groups: wish.projection.wants(kind, "groups"), members: wish.projection.wants(kind, "members") };
        let mut resources = Vec::with_capacity(found.rows.len());
        for row in &found.rows {
            let shown = self.show(cx, row, besides, &mut names).await?;
            resources.push(Value::Object(wish.projection.apply(kind, shown.resource)));
        }
        let start = wish.cursor.is_none().then_some(wish.start);
        let mut told = list(found.total, start, resources);
        if wish.cursor.is_some()
            && let Some(next) = found.next
        {
            told["nextCursor"] = next.text()?.into();
        }
        Ok(told)
    }

    /// Everything there is, in the order of the keys.
    async fn all(
        &self,
        cx: &Context,
        counts: &Counts,
        kind: ResourceKind,
        wish: &Wish,
        cursor: Option<&Cursor>,
        digest: [u8; 8],
    ) -> Result<Found> {
        let skipped = if cursor.is_some() { 0 } else { wish.start.saturating_sub(1) };
        let (total, place) = counts.of(cx, self, kind, skipped).await?;
        let after = match cursor {
            Some(cursor) => cursor.after.clone(),
            // Behind the last one there is nothing.
            None if skipped > 0 && place.is_none() => return Ok(Found { total, rows: Vec::new(), next: None }),
            None => place,
        };
        if wish.count == 0 {
            return Ok(Found { total, rows: Vec::new(), next: None });
        }
        let query = Query::by(ScimResource::ALL, ScimResource::all(self.directory, kind.kept()));
        let page = cx.store.page::<ScimResource>(query.limit(wish.count).after(after)).await?;
        let rows: Vec<_> = page.items.into_iter().map(|row| row.value).collect();
        let next = page.next.map(|after| Cursor { digest, after: Some(after), value: None });
        Ok(Found { total, rows, next })
    }

    /// Those that a filter means, in an order.
    #[expect(clippy::too_many_arguments, reason = "what a list is asked for, in parts that were read already")]
    async fn some(
        &self,
        cx: &Context,
        kind: ResourceKind,
        wish: &Wish,
        filter: Option<&Filter>,
        order: Option<&Place>,
        cursor: Option<&Cursor>,
        digest: [u8; 8],
        names: &mut GroupNames,
    ) -> Result<Found> {
        let (skipped, behind) = match cursor {
            None => (wish.start.saturating_sub(1), None),
            Some(cursor) => (0, Given::read(cursor)?),
        };
        let direction = if wish.descending { Direction::Descending } else { Direction::Ascending };
        let count = wish.count;
        let mut meant = Meant {
            speaker: self,
            filter,
            order,
            direction,
            taken: Vec::new(),
            total: 0,
            ahead: 0,
            skipped,
            behind,
            count,
        };
        match self.candidates(cx, kind, filter).await? {
            Some(mut rows) => {
                rows.sort_by_key(|row| row.id);
                meant.look(cx, rows, names).await?;
            }
            None => {
                let mut after = None;
                loop {
                    let query = Query::by(ScimResource::ALL, ScimResource::all(self.directory, kind.kept()));
                    let page = cx.store.page::<ScimResource>(query.limit(STRIDE).after(after)).await?;
                    meant.look(cx, page.items.into_iter().map(|row| row.value).collect(), names).await?;
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                    // A walk over many thousands does not keep others waiting.
                    tokio::task::yield_now().await;
                }
            }
        }
        let Meant { mut taken, total, ahead, .. } = meant;
        if order.is_some() {
            taken.sort_by(|one, other| direction.compare(one, other));
            let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
            taken = taken.into_iter().skip(skipped).take(count).collect();
        }
        let more = ahead > skipped.saturating_add(taken.len() as u64);
        let next = taken.last().filter(|_| more).map(|last| last.cursor(digest)).transpose()?;
        let mut rows = Vec::with_capacity(taken.len());
        for Given { id, .. } in taken {
            let row: Option<Stored<ScimResource>> =
                cx.store.get(ScimResource::key_of(self.directory, kind.kept(), id)).await?;
            rows.extend(row.map(|row| row.value));
        }
        Ok(Found { total, rows, next })
    }

    /// The few rows that a filter can mean, where an index knows them.
    async fn candidates(
        &self,
        cx: &Context,
        kind: ResourceKind,
        filter: Option<&Filter>,
    ) -> Result<Option<Vec<ScimResource>>> {
        let named = match kind {
            ResourceKind::User => "userName",
            ResourceKind::Group => "displayName",
        };
        for (name, text) in filter.map(Filter::required).unwrap_or_default() {
            let found = match name {
                "id" => match self.resource(cx, kind, text).await {
                    Ok(row) => vec![row.value],
                    Err(error) if error.is(&codes::NOT_FOUND) => Vec::new(),
                    Err(error) => return Err(error),
                },
                name if name == named => self.by_name(cx, kind.kept(), text).await?,
                "externalId" => self.by_external_id(cx, kind.kept(), text).await?,
                _ => continue,
            };
            return Ok(Some(found.into_iter().filter(|row| row.deleted_at.is_none()).collect()));
        }
        Ok(None)
    }

    /// Those of a name, whatever its case; removed ones too.
    pub async fn by_name(&self, cx: &Context, kind: ScimKind, name: &str) -> Result<Vec<ScimResource>> {
        let value = ScimResource::within(self.directory, kind, &folded(name));
        if kind == ScimKind::User {
            let found: Option<Stored<ScimResource>> = cx.store.find(ScimResource::NAME, value).await?;
            return Ok(found.map(|found| found.value).into_iter().collect());
        }
        self.by(cx, ScimResource::NAME, value).await
    }

    /// Those of the directory's own id.
    pub async fn by_external_id(&self, cx: &Context, kind: ScimKind, id: &str) -> Result<Vec<ScimResource>> {
        self.by(cx, ScimResource::EXTERNAL, ScimResource::within(self.directory, kind, id)).await
    }

    async fn by(&self, cx: &Context, index: &'static str, value: Vec<u8>) -> Result<Vec<ScimResource>> {
        let page = cx.store.page::<ScimResource>(Query::by(index, value).limit(1_000)).await?;
        Ok(page.items.into_iter().map(|row| row.value).collect())
    }
}

/// A resource's place in a list: what the list is sorted by, and between equals its id.
struct Given {
    value: Option<Value>,
    id: [u8; 16],
}

impl Given {
    /// The last one that was given, by a cursor; none on the first page. Errors: `invalid_cursor`.
    fn read(cursor: &Cursor) -> Result<Option<Self>> {
        let wrong = || Error::new(&codes::INVALID_CURSOR);
        let Some(after) = &cursor.after else { return Ok(None) };
        let id = after.as_slice().try_into().map_err(|_| wrong())?;
        let value = cursor.value.as_deref().map(serde_json::from_str).transpose().map_err(|_| wrong())?;
        Ok(Some(Self { value, id }))
    }

    fn cursor(&self, digest: [u8; 8]) -> Result<Cursor> {
        let value = self.value.as_ref().map(serde_json::to_string).transpose().map_err(Error::bug)?;
        Ok(Cursor { digest, after: Some(self.id.to_vec()), value })
    }
}

/// Which way a list goes. Equals follow each other by their ids in both.
#[derive(Clone, Copy)]
enum Direction {
    Ascending,
    Descending,
}

impl Direction {
    fn compare(self, one: &Given, other: &Given) -> Ordering {
        let by_value = compare(one.value.as_ref(), other.value.as_ref());
        let by_value = if matches!(self, Self::Descending) { by_value.reverse() } else { by_value };
        by_value.then_with(|| one.id.cmp(&other.id))
    }
}

/// What a filter means, found row by row: of each that is meant no more than its id and what it is sorted by is kept.
struct Meant<'a> {
    speaker: &'a Speaker,
    filter: Option<&'a Filter>,
    order: Option<&'a Place>,
    direction: Direction,
    taken: Vec<Given>,
    /// How many there are.
    total: u64,
    /// How many of them stand behind what was given already.
    ahead: u64,
    skipped: u64,
    /// The last one that was given.
    behind: Option<Given>,
    count: usize,
}

impl Meant<'_> {
    async fn look(&mut self, cx: &Context, rows: Vec<ScimResource>, names: &mut GroupNames) -> Result<()> {
        let besides = Besides {
            groups: self.filter.is_some_and(|filter| filter.mentions("groups")),
            members: self.filter.is_some_and(|filter| filter.mentions("members")),
        };
        for row in rows {
            let shown = self.speaker.show(cx, &row, besides, names).await?;
            if self.filter.is_some_and(|filter| !filter.matches(&shown.resource)) {
                continue;
            }
            self.total += 1;
            let one = Given { value: self.order.and_then(|place| sorted_by(place, &shown.resource)), id: row.id };
            if self.behind.as_ref().is_some_and(|last| self.direction.compare(&one, last) != Ordering::Greater) {
                continue;
            }
            self.ahead += 1;
            if self.order.is_some() || (self.ahead > self.skipped && self.taken.len() < self.count) {
                self.taken.push(one);
            }
        }
        Ok(())
    }
}

/// What a resource is sorted by: of several values the primary one, or else the first (RFC 7644 §3.4.2.3).
fn sorted_by(place: &Place, resource: &Map<String, Value>) -> Option<Value> {
    let found = place.value(resource)?;
    let one = match found {
        Value::Array(items) => {
            items.iter().find(|item| item.get("primary") == Some(&Value::Bool(true))).or_else(|| items.first())?
        }
        single => single,
    };
    let value = match &place.sub {
        Some(sub) => get(one.as_object()?, sub)?,
        None => one,
    };
    match value {
        Value::String(text) if place.innermost().is_some_and(|known| known.exact || known.kind == Kind::DateTime) => {
            Some(Value::String(text.chars().take(COMPARED).collect()))
        }
        Value::String(text) => Some(Value::String(text.to_lowercase().chars().take(COMPARED).collect())),
        value => Some(value.clone()),
    }
}

/// Without a value comes last (RFC 7644 §3.4.2.3).
fn compare(one: Option<&Value>, other: Option<&Value>) -> Ordering {
    match (one, other) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(Value::String(one)), Some(Value::String(other))) => one.cmp(other),
        (Some(Value::Bool(one)), Some(Value::Bool(other))) => one.cmp(other),
        (Some(one), Some(other)) => {
            one.as_f64().zip(other.as_f64()).and_then(|(one, other)| one.partial_cmp(&other)).unwrap_or(Ordering::Equal)
        }
    }
}

/// Turns a body into an object. Errors: `invalid_syntax`.
pub fn object(value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Error::says(&codes::INVALID_SYNTAX, "The body is not a JSON object.")),
    }
}
