//! A line: the calls of one receiver about one subject, that arrive one after the other. The first of them is tried;
//! those behind it have nothing to do before it has arrived or was given up.

use super::delivery::Delivery;
use crate::access::Context;
use crate::env::Timestamp;
use crate::error::Result;
use crate::store::{Batch, Query, Stored};

/// Calls by their lines, in the order in which they came.
pub(super) fn lines(calls: Vec<Stored<Delivery>>) -> Vec<Vec<Stored<Delivery>>> {
    let mut lines: Vec<Vec<Stored<Delivery>>> = Vec::new();
    for call in calls {
        let own = lines.iter_mut().find(|line| line.first().is_some_and(|first| first.subject == call.subject));
        match own {
            Some(line) => line.push(call),
            None => lines.push(vec![call]),
        }
    }
    lines
}

async fn front(cx: &Context, of: &Delivery, count: usize) -> Result<Vec<Stored<Delivery>>> {
    let line = Delivery::line(&of.kind, &of.receiver, &of.subject);
    Ok(cx.store.page::<Delivery>(Query::starting("order", line).limit(count)).await?.items)
}

/// The first call that has still to arrive of the line in which a call stands.
pub(super) async fn first(cx: &Context, of: &Delivery) -> Result<Option<Stored<Delivery>>> {
    Ok(front(cx, of, 1).await?.into_iter().next())
}

/// Adds to the batch that ends a call that the one behind it is due: it may have waited for the time of this one, which
/// has come sooner.
pub(super) async fn wake(cx: &Context, ended: &Delivery, batch: &mut Batch) -> Result<()> {
    let now = cx.env.now();
    let next = front(cx, ended, 2).await?.into_iter().find(|call| call.id != ended.id);
    // One that was tried waits for a time of its own.
    if let Some(next) = next.filter(|next| next.tries == 0 && next.due_at > now) {
        batch.update(&Delivery { due_at: now, ..next.value }, next.revision);
    }
    Ok(())
}

/// Calls of a line are not looked at again before then: one commit for all of them.
pub(super) async fn put_off<'c>(
    cx: &Context,
    calls: impl Iterator<Item = &'c Stored<Delivery>>,
    until: Timestamp,
) -> Result<()> {
    let mut batch = Batch::new();
    for call in calls.filter(|call| call.due_at < until) {
        batch.update(&Delivery { due_at: until, ..call.value.clone() }, call.revision);
    }
    if batch.is_empty() {
        return Ok(());
    }
    match cx.store.commit(batch).await {
        // One of them was sent again or dropped in the meantime: they are looked at once more.
        Err(refused) if refused.is_race() => Ok(()),
        done => done.map(drop).map_err(Into::into),
    }
}
