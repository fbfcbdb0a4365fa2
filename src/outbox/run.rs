//! The outbox at work: fills the queues, empties those that are due, one task a receiver.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, header};
use futures_util::{StreamExt as _, stream};
use tokio::task::JoinSet;

use super::Composer;
use super::delivery::{Delivery, Outcome, Queue, State, sortable};
use super::fill::{drain, fill};
use super::line;
use crate::access::{Caller, Context, World};
use crate::env::Timestamp;
use crate::error::{Result, codes};
use crate::event::Origin;
use crate::store::{Batch, Query, Stored};

/// Receivers that are called at the same time.
const RECEIVERS: usize = 32;
/// Calls of one receiver at the same time, each about something else.
const AT_ONCE: usize = 4;
/// Calls of one receiver in one go.
const GO: usize = 100;
/// Of them so many about one subject; then others have their turn.
const TURN: usize = 20;
/// How long nothing is looked at when there is nothing to do: a clock that jumped is noticed after this.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// An answer is read this far.
const HEAD: usize = 1_024;
/// Headers are kept this far.
const HEADERS: usize = 2_048;
/// A receiver that asks for time gets no more than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// What a request proves itself by is nothing for those who look at it afterwards.
const PROOFS: &[&str] = &["authorization", "webhook-signature", "svix-signature"];

/// The composers, for the whole process. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    composers: Arc<Vec<Box<dyn Composer>>>,
    busy: Arc<Mutex<BTreeSet<(String, String)>>>,
}

impl Outbox {
    /// With these composers.
    pub fn new(composers: Vec<Box<dyn Composer>>) -> Self {
        Self { composers: Arc::new(composers), busy: Arc::default() }
    }

    /// Turns the log into calls and makes those that are due; answers how many calls were tried. For tests, and for
    /// whoever wants it done now.
    pub async fn turn(&self, world: &World) -> Result<usize> {
        let cx = world.context(Caller::System, Origin::internal(&world.env));
        while fill(&cx, &self.composers).await? || drain(&cx, &self.composers).await? {}
        let mut tried = 0;
        for queue in due(&cx, RECEIVERS).await? {
            tried += self.empty(&cx, &queue.value).await?;
        }
        Ok(tried)
    }

    fn composer(&self, kind: &str) -> Option<&dyn Composer> {
        self.composers.iter().find(|composer| composer.kind() == kind).map(|composer| &**composer)
    }

    /// Makes the calls of one receiver that are due now, then says when it is due again.
    async fn empty(&self, cx: &Context, queue: &Queue) -> Result<usize> {
        let prefix = Delivery::prefix(&queue.kind, &queue.receiver);
        let until = [&prefix[..], &sortable(cx.env.now() + Duration::from_millis(1))].concat();
        let page = cx.store.page::<Delivery>(Query::between("due", &prefix, &until).limit(GO)).await?;
        let lines = line::lines(page.items);
        let share = GO.checked_div(lines.len()).unwrap_or_default();
        let walks: Vec<_> = lines.iter().map(|due| self.walk(cx, due, due.len().max(share).min(TURN))).collect();
        let walked: Vec<Result<usize>> = stream::iter(walks).buffer_unordered(AT_ONCE).collect().await;
        let mut tried = 0;
        for walked in walked {
            tried += walked?;
        }
        self.reschedule(cx, queue).await?;
        Ok(tried)
    }

    /// Makes calls of one line of which some are due, the first of them first, as long as the first one is due and at most
    /// so many. What stands behind one that has still to arrive waits for its time.
    async fn walk(&self, cx: &Context, due: &[Stored<Delivery>], most: usize) -> Result<usize> {
        let Some(one) = due.first() else { return Ok(0) };
        let (mut tried, mut done) = (0, Vec::new());
        while let Some(first) = line::first(cx, one).await? {
            let now = cx.env.now();
            // None is tried twice in one go, whatever somebody else does with it meanwhile.
            if first.due_at > now || done.len() >= most || done.contains(&first.id) {
                let rest = due.iter().filter(|call| !done.contains(&call.id));
                line::put_off(cx, rest, first.due_at.max(now)).await?;
                break;
            }
            done.push(first.id);
            tried += usize::from(self.attempt(cx, &first).await?);
        }
        Ok(tried)
    }

    /// One call.
    async fn attempt(&self, cx: &Context, delivery: &Stored<Delivery>) -> Result<bool> {
        let mut after = delivery.value.clone();
        after.tries += 1;
        let Some(composer) = self.composer(&delivery.kind) else {
            after.state = State::Dropped;
            let mut batch = Batch::new();
            line::wake(cx, &after, &mut batch).await?;
            return settle(cx, batch, &after, delivery).await.map(|()| false);
        };
        let mut sent = None;
        let outcome = match composer.compose(cx, &after).await {
            Ok(None) => {
                after.state = State::Dropped;
                None
            }
            Ok(Some(request)) => {
                let begun = cx.env.monotonic();
                sent = Some(request_head(&request));
                let answer = call(cx, request).await;
                let ending = match &answer {
                    Ok(answer) if answer.taken() => "taken",
                    Ok(_) => "refused",
                    Err(_) => "unanswered",
                };
                let took = cx.env.monotonic().saturating_sub(begun);
                cx.env.meters().calls.of([composer.kind(), ending]).time(took);
                Some(answer)
            }
            Err(error) => Some(Err(error.code().to_owned())),
        };
        let now = cx.env.now();
        match outcome {
            None => {}
            Some(Ok(answer)) => {
                let taken = answer.taken();
                later(cx, &mut after, composer.patience(), taken, answer.pause);
                after.last = Some(Outcome {
                    at: now,
                    status: Some(answer.status),
                    error: (!taken).then(|| "refused".to_owned()),
                    head: answer.body,
                    request: sent,
                    response: Some(answer.head),
                });
            }
            Some(Err(code)) => {
                let error = Some(code);
                after.last = Some(Outcome { at: now, status: None, error, head: None, request: sent, response: None });
                later(cx, &mut after, composer.patience(), false, None);
            }
        }
        let mut batch = Batch::new();
        if after.tries > delivery.tries && after.last != delivery.last {
            composer.tried(cx, &after, &mut batch).await?;
        }
        if after.state != State::Pending {
            composer.settled(cx, &after, &mut batch).await?;
            line::wake(cx, &after, &mut batch).await?;
        }
        settle(cx, batch, &after, delivery).await.map(|()| true)
    }

    async fn reschedule(&self, cx: &Context, queue: &Queue) -> Result<()> {
        let key = Queue::key_of(&queue.kind, &queue.receiver);
        let Some(stored) = cx.store.get::<Queue>(key.clone()).await? else { return Ok(()) };
        let prefix = Delivery::prefix(&queue.kind, &queue.receiver);
        let next = cx.store.page::<Delivery>(Query::starting("due", &prefix).limit(1)).await?.items.into_iter().next();
        let mut batch = Batch::new();
        match next {
            Some(next) => batch.update(&Queue { due_at: next.due_at, ..stored.value }, stored.revision),
            None => batch.delete::<Queue>(key, stored.revision),
        };
        match cx.store.commit(batch).await {
            // A new call came in between and has set the queue due.
            Err(refused) if refused.is_race() => Ok(()),
            done => done.map(drop).map_err(Into::into),
        }
    }
}

async fn settle(cx: &Context, mut batch: Batch, after: &Delivery, before: &Stored<Delivery>) -> Result<()> {
    batch.update(after, before.revision);
    match cx.store.commit(batch).await {
        // Somebody asked for it to be dropped or sent again in the meantime: theirs counts.
        Err(refused) if refused.is_race() => Ok(()),
        done => done.map(drop).map_err(Into::into),
    }
}

/// What a receiver answered.
struct Answer {
    status: u16,
    /// Status and headers, as they are kept.
    head: String,
    /// How the body begins.
    body: Option<String>,
    /// How long it does not want to be called.
    pause: Option<Duration>,
}

impl Answer {
    fn taken(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn of(cx: &Context, response: &crate::env::Response) -> Self {
        let body = shown(response.body.get(..HEAD).unwrap_or(&response.body));
        let asks = matches!(response.status, 429 | 503);
        let named = response.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = named.filter(|_| asks).and_then(|text| pause(cx.env.now(), text));
        let head = lines(response.status.to_string(), &response.headers);
        Self { status: response.status, head, body: (!body.is_empty()).then_some(body), pause }
    }
}

/// Text of somebody else, for a terminal: lines, and nothing that controls anything.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

/// The first line of a head, and its headers, as far as they are kept.
fn lines<'h>(first: String, headers: impl IntoIterator<Item = (&'h HeaderName, &'h HeaderValue)>) -> String {
    let mut head = first;
    for (name, value) in headers {
        let value = if PROOFS.contains(&name.as_str()) { "…".to_owned() } else { shown(value.as_bytes()) };
        let line = format!("\n{name}: {}", value.replace('\n', " "));
        if head.len() + line.len() > HEADERS {
            break;
        }
        head.push_str(&line);
    }
    head
}

fn request_head(request: &crate::env::Request) -> String {
    lines(format!("{} {}", request.method, request.url), &request.headers)
}

/// How long a receiver asks for, in seconds or until a date (RFC 9110 §10.2.3).
fn pause(now: Timestamp, text: &str) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Timestamp::from_millis(at.as_millisecond()).since(now)
        }
    };
    Some(wait.min(LONGEST_PAUSE))
}

/// The call itself. A redirect is an answer like any other.
async fn call(cx: &Context, request: crate::env::Request) -> std::result::Result<Answer, String> {
    match cx.env.outbound().send(request).await {
        Ok(response) => Ok(Answer::of(cx, &response)),
        Err(error) if error.is(&codes::UPSTREAM_TOO_LARGE) => Err("answer_too_large".to_owned()),
        Err(error) => Err(error.code().to_owned()),
    }
}

/// When it is tried again, a fifth sooner or later so that many do not come back together, and not before the receiver
/// wants it; or that it is over.
fn later(cx: &Context, delivery: &mut Delivery, patience: &[Duration], taken: bool, pause: Option<Duration>) {
    if taken {
        delivery.state = State::Acknowledged;
        return;
    }
    let Some(wait) = usize::try_from(delivery.tries).ok().and_then(|tries| patience.get(tries.saturating_sub(1)))
    else {
        delivery.state = State::Failed;
        return;
    };
    let [dice] = cx.env.random::<1>();
    let spread = 0.8 + f64::from(dice) / 255.0 * 0.4;
    delivery.due_at = cx.env.now() + wait.mul_f64(spread).max(pause.unwrap_or_default());
}

/// The receivers that have something due.
async fn due(cx: &Context, limit: usize) -> Result<Vec<Stored<Queue>>> {
    let until = sortable(cx.env.now() + Duration::from_millis(1));
    Ok(cx.store.page::<Queue>(Query::between("due", [0; 8], until).limit(limit)).await?.items)
}

/// When the next receiver is due; none while every queue is empty.
async fn next_due(cx: &Context) -> Result<Option<Timestamp>> {
    let first = cx.store.page::<Queue>(Query::starting("due", []).limit(1)).await?.items.into_iter().next();
    Ok(first.map(|queue| queue.due_at))
}

/// Sends what has to go out until `stop` is ready.
pub async fn run(outbox: Outbox, world: World, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut working: JoinSet<()> = JoinSet::new();
    loop {
        // Before the look: what comes during it is looked for at once.
        let seen = world.store.log_seq();
        let wait = tokio::select! {
            () = &mut stop => break,
            wait = step(&outbox, &world, &mut working) => wait,
        };
        tokio::select! {
            () = &mut stop => break,
            _ = world.store.wait(seen) => {}
            _ = working.join_next(), if !working.is_empty() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    working.shutdown().await;
}

/// Puts a piece of what is to be sent into the queues, and starts a task for each receiver that is due and has none. Answers
/// how long nothing will be. A piece at a time: however much has happened, what is queued goes out meanwhile.
async fn step(outbox: &Outbox, world: &World, working: &mut JoinSet<()>) -> Duration {
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    while working.try_join_next().is_some() {}
    let filled = match fill(&cx, &outbox.composers).await {
        Ok(false) => drain(&cx, &outbox.composers).await,
        done => done,
    };
    let more = match filled {
        Ok(more) => more,
        Err(error) => {
            tracing::warn!(code = error.code(), "the log was not turned into calls: {}", error.log_line());
            return Duration::from_secs(1);
        }
    };
    let receivers = match due(&cx, RECEIVERS * 4).await {
        Ok(receivers) => receivers,
        Err(error) => {
            tracing::warn!(code = error.code(), "the outbox could not be read: {}", error.log_line());
            return Duration::from_secs(1);
        }
    };
    for queue in receivers {
        if working.len() >= RECEIVERS {
            break;
        }
        let name = (queue.kind.clone(), queue.receiver.clone());
        if !outbox.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
            continue;
        }
        let (outbox, cx) = (outbox.clone(), cx.clone());
        working.spawn(async move {
            if let Err(error) = outbox.empty(&cx, &queue.value).await {
                tracing::warn!(code = error.code(), "calls to a receiver were not made: {}", error.log_line());
            }
            outbox.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        });
    }
    if more {
        return Duration::ZERO;
    }
    if !working.is_empty() {
        // A finished task wakes the loop; this is for whatever becomes due besides.
        return Duration::from_millis(250);
    }
    match next_due(&cx).await {
        Ok(Some(at)) => at.since(cx.env.now()).clamp(Duration::from_millis(20), LONGEST_WAIT),
        Ok(None) => LONGEST_WAIT,
        Err(_) => Duration::from_secs(1),
    }
}
