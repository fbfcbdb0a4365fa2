//! From the log to the queues: one event, one composer, one commit.

use super::delivery::{Cursor, Delivery, Queue};
use super::{Calls, Composer};
use crate::access::Context;
use crate::error::Result;
use crate::event::Event;
use crate::store::{Batch, Stored};

/// Rows of the log that are looked at together.
const PIECE: usize = 256;

/// Turns the log behind the cursor into calls. Answers whether there was anything; call it until there is not.
pub(super) async fn fill(cx: &Context, composers: &[Box<dyn Composer>]) -> Result<bool> {
    let Some(stored) = Cursor::load(&cx.store).await? else {
        // A store without a cursor: what happened before the outbox was there calls nobody.
        let mut batch = Batch::new();
        batch.create(&Cursor { after: cx.store.log_seq(), within: None });
        return match cx.store.commit(batch).await {
            Ok(_) => Ok(true),
            Err(refused) if refused.is_race() => Ok(true),
            Err(refused) => Err(refused.into()),
        };
    };
    let rows = cx.store.tail(stored.after, PIECE, None).await?;
    let Stored { value: mut cursor, mut revision } = stored;
    let mut passed = cursor.after;
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
                if calls.is_empty() && after.is_none() {
                    break;
                }
                let within = match (&after, composers.get(place + 1)) {
                    (Some(after), _) => Some((composer.kind().to_owned(), Some(after.clone()))),
                    (None, Some(next)) => Some((next.kind().to_owned(), None)),
                    (None, None) => None,
                };
                let behind = if within.is_some() { row.row.seq - 1 } else { row.row.seq };
                cursor = Cursor { after: behind, within };
                let mut batch = Batch::new();
                batch.update(&cursor, revision);
                enqueue(cx, &**composer, calls, &mut batch);
                match cx.store.commit(batch).await {
                    Ok(_) => {}
                    // Another outbox of this store was quicker: nothing of ours was written.
                    Err(refused) if refused.is_race() => return Ok(true),
                    Err(refused) => return Err(refused.into()),
                }
                let Some(now) = Cursor::load(&cx.store).await? else { return Ok(true) };
                revision = now.revision;
                passed = cursor.after;
                if after.is_none() {
                    break;
                }
            }
        }
        cursor = Cursor { after: row.row.seq, within: None };
    }
    // Events that call nobody move the cursor once a piece, not once each.
    if cursor.after > passed && !rows.is_empty() {
        let mut batch = Batch::new();
        batch.update(&cursor, revision);
        match cx.store.commit(batch).await {
            Ok(_) => {}
            Err(refused) if refused.is_race() => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    Ok(!rows.is_empty())
}

/// Takes what composers have from elsewhere. Answers whether there was anything.
pub(super) async fn drain(cx: &Context, composers: &[Box<dyn Composer>]) -> Result<bool> {
    let mut any = false;
    for composer in composers {
        loop {
            let mut batch = Batch::new();
            let Some(calls) = composer.drain(cx, &mut batch).await? else { break };
            enqueue(cx, &**composer, calls, &mut batch);
            match cx.store.commit(batch).await {
                Ok(_) => any = true,
                // What it was taken from has changed: it is looked at again.
                Err(refused) if refused.is_race() => any = true,
                Err(refused) => return Err(refused.into()),
            }
        }
    }
    Ok(any)
}

fn enqueue(cx: &Context, composer: &dyn Composer, calls: Vec<super::Call>, batch: &mut Batch) {
    let kind = composer.kind();
    let mut queues = std::collections::BTreeSet::new();
    for call in calls {
        if queues.insert(call.receiver.clone()) {
            // A queue that waits after failures looks at the new call early once: that costs one look.
            batch.put(&Queue { kind: kind.to_owned(), receiver: call.receiver.clone(), due_at: cx.env.now() });
        }
        let delivery = Delivery::new(&cx.env, kind, call);
        composer.queued(cx, &delivery, batch);
        batch.create(&delivery);
    }
}
