//! From the log to the queues: the calls of a stretch of events and the place of the cursor behind it, one commit.

use std::collections::BTreeSet;

use super::delivery::{Cursor, Delivery, Queue};
use super::{Call, Calls, Composer};
use crate::access::Context;
use crate::error::Result;
use crate::event::Event;
use crate::store::{Batch, Revision, Stored};

/// Rows of the log that are looked at together.
const PIECE: usize = 256;
/// With about so many calls a stretch is committed.
const CALLS: usize = 256;

/// Calls that are not committed yet.
#[derive(Default)]
struct Stretch {
    batch: Batch,
    queues: BTreeSet<(&'static str, String)>,
    calls: usize,
}

impl Stretch {
    fn add(&mut self, cx: &Context, composer: &dyn Composer, calls: Vec<Call>) {
        let kind = composer.kind();
        self.calls += calls.len();
        for call in calls {
            if self.queues.insert((kind, call.receiver.clone())) {
                // A queue that waits after failures looks at the new call early once: that costs one look.
                self.batch.put(&Queue { kind: kind.to_owned(), receiver: call.receiver.clone(), due_at: cx.env.now() });
            }
            let delivery = Delivery::new(&cx.env, kind, call);
            composer.queued(cx, &delivery, &mut self.batch);
            self.batch.create(&delivery);
        }
    }

    /// Commits what there is. Answers whether it was; not where something that it changes has changed.
    async fn commit(&mut self, cx: &Context) -> Result<bool> {
        let Self { batch, .. } = std::mem::take(self);
        match cx.store.commit(batch).await {
            Ok(_) => Ok(true),
            Err(refused) if refused.is_race() => Ok(false),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Commits what there is with the cursor. Answers the cursor's revision then; none where another outbox of this
    /// store was quicker, and nothing of ours was written.
    async fn pass(&mut self, cx: &Context, cursor: &Cursor, revision: Revision) -> Result<Option<Revision>> {
        self.batch.update(cursor, revision);
        if !self.commit(cx).await? {
            return Ok(None);
        }
        Ok(Cursor::load(&cx.store).await?.map(|now| now.revision))
    }
}

/// Turns a piece of the log behind the cursor into calls. Answers whether there was anything; call it until there is not.
pub(super) async fn fill(cx: &Context, composers: &[Box<dyn Composer>]) -> Result<bool> {
    let Some(stored) = Cursor::load(&cx.store).await? else {
        // A store without a cursor: what happened before the outbox was there calls nobody.
        let mut first = Stretch::default();
        first.batch.create(&Cursor { after: cx.store.log_seq(), within: None });
        first.commit(cx).await?;
        return Ok(true);
    };
    let rows = cx.store.tail(stored.after, PIECE, None).await?;
    let Stored { value: mut cursor, mut revision } = stored;
    let mut stretch = Stretch::default();
    for row in &rows {
        let event = Event::read(row)?;
        let begun = cursor.within.take();
        let from = begun.as_ref().and_then(|(kind, _)| composers.iter().position(|c| c.kind() == kind)).unwrap_or(0);
        let mut after = begun.and_then(|(_, after)| after);
        for (place, composer) in composers.iter().enumerate().skip(from) {
            loop {
                let Calls { calls, next } =
                    composer.calls(cx, row.row.seq, &event, after.as_deref().map(Vec::as_slice)).await?;
                after = next.map(Into::into);
                stretch.add(cx, &**composer, calls);
                if after.is_none() && stretch.calls < CALLS {
                    break;
                }
                let within = match (&after, composers.get(place + 1)) {
                    (Some(after), _) => Some((composer.kind().to_owned(), Some(after.clone()))),
                    (None, Some(next)) => Some((next.kind().to_owned(), None)),
                    (None, None) => None,
                };
                let behind = if within.is_some() { row.row.seq - 1 } else { row.row.seq };
                let Some(now) = stretch.pass(cx, &Cursor { after: behind, within }, revision).await? else {
                    return Ok(true);
                };
                revision = now;
                if after.is_none() {
                    break;
                }
            }
        }
        cursor = Cursor { after: row.row.seq, within: None };
    }
    if !rows.is_empty() {
        stretch.pass(cx, &cursor, revision).await?;
    }
    Ok(!rows.is_empty())
}

/// Takes a piece of what each composer has from elsewhere. Answers whether there was anything; call it until there is not.
pub(super) async fn drain(cx: &Context, composers: &[Box<dyn Composer>]) -> Result<bool> {
    let mut any = false;
    for composer in composers {
        let mut piece = Stretch::default();
        let Some(calls) = composer.drain(cx, &mut piece.batch).await? else { continue };
        piece.add(cx, &**composer, calls);
        // Where what it was taken from has changed, it is looked at again.
        piece.commit(cx).await?;
        any = true;
    }
    Ok(any)
}
