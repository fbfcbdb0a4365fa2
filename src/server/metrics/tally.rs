//! What the log tells, counted: one more cursor over it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::Result;
use crate::event::EventKind;
use crate::store::{Logged, Store};

/// Rows of the log that are read together.
const PIECE: usize = 1_000;
/// So many series of one family at most; what comes later is `other`. A tenant makes connections, and must not make as many
/// series as it likes.
const SERIES: usize = 1_000;
const OTHER: &str = "other";

/// What of an event is counted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Glance<'a> {
    #[serde(default, borrow)]
    error_code: Option<&'a str>,
    #[serde(default)]
    subject: Option<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    kind: String,
    id: String,
}

/// The erasable part, as far as it is counted.
#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    data: Untold,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Untold {
    #[serde(default)]
    refusals_not_told: u64,
}

/// Counts since this process began.
#[derive(Debug, Default)]
pub struct Tally {
    after: u64,
    /// By kind, and the code of what failed.
    pub events: BTreeMap<(String, String), u64>,
    /// By connection, and `success` or the code of the refusal.
    pub sign_ins: BTreeMap<(String, String), u64>,
    /// By kind of call, and how it went.
    pub deliveries: BTreeMap<(&'static str, &'static str), u64>,
    /// Refusals that were too many to be told one by one.
    pub untold: u64,
}

impl Tally {
    /// Of what comes after that row.
    pub fn behind(after: u64) -> Self {
        Self { after, ..Self::default() }
    }

    /// The last row that was counted.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Counts what has come since. Answers whether there may be more.
    pub async fn go_on(&mut self, store: &Store) -> Result<bool> {
        let rows = store.tail(self.after, PIECE, None).await?;
        for row in &rows {
            self.take(row);
            self.after = row.row.seq;
        }
        Ok(rows.len() == PIECE)
    }

    fn take(&mut self, logged: &Logged) {
        // What cannot be read is the matter of `authd audit verify`; here it is one of its kind.
        let glance: Glance<'_> =
            serde_json::from_slice(&logged.row.envelope).unwrap_or(Glance { error_code: None, subject: None });
        let (kind, code) = (logged.row.kind.as_str(), glance.error_code);
        let about = |wanted: &str| match &glance.subject {
            Some(subject) if subject.kind == wanted => subject.id.clone(),
            _ => String::new(),
        };
        add(&mut self.events, kind.to_owned(), code.unwrap_or_default().to_owned());
        let is = |of: EventKind| kind == of.name();
        if is(EventKind::ConnectionLoginSucceeded) {
            add(&mut self.sign_ins, about("connection"), "success".to_owned());
        } else if is(EventKind::ConnectionLoginFailed) || is(EventKind::SigninRefused) {
            add(&mut self.sign_ins, about("connection"), code.unwrap_or("failed").to_owned());
        } else if is(EventKind::RefusalsCounted) {
            let detail = logged.detail.as_deref().and_then(|detail| serde_json::from_slice::<Detail>(detail).ok());
            self.untold += detail.map_or(0, |detail| detail.data.refusals_not_told);
        }
        for (of, label) in [
            (EventKind::DeliveryAttempted, ("webhook", "retried")),
            (EventKind::DeliverySucceeded, ("webhook", "taken")),
            (EventKind::DeliveryFailed, ("webhook", "failed")),
            (EventKind::LogoutAcknowledged, ("backchannel_logout", "taken")),
            (EventKind::LogoutFailed, ("backchannel_logout", "failed")),
        ] {
            if is(of) {
                *self.deliveries.entry(label).or_default() += 1;
            }
        }
    }
}

fn add(to: &mut BTreeMap<(String, String), u64>, first: String, second: String) {
    let key = (first, second);
    if let Some(known) = to.get_mut(&key) {
        *known += 1;
        return;
    }
    let key = if to.len() < SERIES { key } else { (OTHER.to_owned(), OTHER.to_owned()) };
    *to.entry(key).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::event::{Actor, Event, Origin};
    use crate::store::Batch;

    #[tokio::test]
    async fn it_counts_each_row_once_and_no_series_without_end() {
        let env = Env::frozen();
        let store = Store::in_memory(env.clone()).unwrap();
        let event = |kind| Event::new(&env, kind, &Actor::System, &Origin::internal(&env));
        let write = async |events: Vec<Event>| {
            let mut batch = Batch::new();
            for event in events {
                batch.log(event);
            }
            store.commit(batch).await.unwrap();
        };
        write(vec![event(EventKind::ServerStarted)]).await;
        let mut tally = Tally::behind(store.log_seq());
        let login = |id: &str| event(EventKind::ConnectionLoginSucceeded).about("connection", id);
        let failed = event(EventKind::ConnectionLoginFailed).about("connection", "conn_1").failed("replayed");
        write(vec![login("conn_1"), login("conn_1"), failed, event(EventKind::SigninRefused).failed("no_route")]).await;
        write(vec![event(EventKind::RefusalsCounted).failed("rate_limited").with("refusalsNotTold", 7)]).await;
        while tally.go_on(&store).await.unwrap() {}
        tally.go_on(&store).await.unwrap();
        let of =
            |connection: &str, outcome: &str| tally.sign_ins.get(&(connection.to_owned(), outcome.to_owned())).copied();
        assert_eq!(
            (of("conn_1", "success"), of("conn_1", "replayed"), of("", "no_route")),
            (Some(2), Some(1), Some(1))
        );
        assert_eq!(tally.untold, 7);
        assert!(!tally.events.keys().any(|(kind, _)| kind == "server.started"), "before it began");
        write((0..SERIES + 50).map(|n| login(&format!("conn_x{n}"))).collect()).await;
        while tally.go_on(&store).await.unwrap() {}
        assert_eq!(tally.sign_ins.len(), SERIES + 1);
        assert_eq!(tally.sign_ins.values().sum::<u64>(), 4 + SERIES as u64 + 50);
    }
}
