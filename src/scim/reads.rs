//! What directories read, as the log has it: reads are many, so each who reads is told of once an hour, with a count.
//! Counted in memory: a stop of the server loses at most the count since it was told last.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::speaker::Speaker;
use crate::access::Context;
use crate::env::Timestamp;
use crate::event::EventKind;
use crate::id::ConnectionId;
use crate::store::Batch;

/// Between two events of one who reads.
const TOLD_EVERY: Duration = Duration::from_secs(3_600);
/// So many who read are remembered. Whoever was forgotten is told of as if for the first time.
const READERS: usize = 10_000;

/// A directory, and who spoke for it.
type Reader = (ConnectionId, &'static str, Option<String>);

/// How often each has read.
#[derive(Debug, Default)]
pub(super) struct Reads(Mutex<HashMap<Reader, Reading>>);

#[derive(Debug, Default)]
struct Reading {
    told_at: Option<Timestamp>,
    untold: u64,
}

impl Reads {
    /// Counts a read. Answers how many there are to tell, where it is time to.
    fn count(&self, reader: &Reader, now: Timestamp) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= READERS && !all.contains_key(reader) {
            all.clear();
        }
        let reading = all.entry(reader.clone()).or_default();
        reading.untold += 1;
        // A clock that was set back does not keep it silent.
        if reading.told_at.is_some_and(|at| at <= now && now.since(at) < TOLD_EVERY) {
            return None;
        }
        reading.told_at = Some(now);
        Some(std::mem::take(&mut reading.untold))
    }

    fn back(&self, reader: &Reader, count: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = all.entry(reader.clone()).or_default();
        reading.told_at = None;
        reading.untold += count;
    }

    /// Notes a read that was answered. A log that cannot be written keeps nobody from reading: it is told with a later one.
    pub async fn note(&self, cx: &Context, speaker: &Speaker) {
        let actor = cx.caller.actor();
        let reader = (speaker.directory, actor.kind(), actor.id());
        let Some(count) = self.count(&reader, cx.env.now()) else { return };
        let event = cx.event(EventKind::ScimRead).within(speaker.organization).with("reads", count);
        let event = match &speaker.connection {
            Some(connection) => event.about("connection", connection.id),
            None => event.about("organization", speaker.organization),
        };
        let mut batch = Batch::new();
        batch.log(event);
        if let Err(refused) = cx.store.commit(batch).await {
            tracing::warn!(%refused, "what a directory read was not told");
            self.back(&reader, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[test]
    fn each_who_reads_is_told_once_an_hour_and_nothing_is_counted_twice() {
        let env = Env::frozen();
        let reads = Reads::default();
        let directory = ConnectionId::new(&env);
        let (one, other): (Reader, Reader) =
            ((directory, "scim", Some("a".to_owned())), (directory, "scim", Some("b".to_owned())));
        assert_eq!(reads.count(&one, env.now()), Some(1), "the first at once");
        for _ in 0..5 {
            assert_eq!(reads.count(&one, env.now()), None);
        }
        assert_eq!(reads.count(&other, env.now()), Some(1));
        env.advance(TOLD_EVERY);
        assert_eq!(reads.count(&one, env.now()), Some(6));
        // It could not be written: the next one tells of both.
        reads.back(&one, 6);
        assert_eq!(reads.count(&one, env.now()), Some(7));
        assert_eq!(reads.count(&one, env.now() - TOLD_EVERY), Some(1), "the clock was set back");
    }
}
