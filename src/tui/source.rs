//! What asks the server in the background: requests as they are wished for, and the feed, followed for ever.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::ask::{Ask, What};
use super::catalogue::Spec;
use super::intake::Refusal;
use super::shown::list;
use super::update::Msg;
use crate::console::{Line, Request};
use crate::error::{Error, Result, codes};

/// At most so many requests at a time; the feed has its own.
const AT_ONCE: usize = 6;
/// At most so many events in one answer of the feed.
const EVENTS: usize = 1_000;
/// So long the feed waits for something to happen, in seconds.
const WAIT: u32 = 20;
/// Between two tries to reach a server that is away: at first, and at last.
const AWAY: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(3));
/// Between two answers of the feed, so that a flood of events comes in few pieces.
const PACE: Duration = Duration::from_millis(100);

/// The server, and where what it says goes.
#[derive(Clone)]
pub struct Source {
    line: Line,
    specs: Arc<[Spec]>,
    messages: mpsc::Sender<Msg>,
    places: Arc<Semaphore>,
}

impl Source {
    /// Of that server.
    pub fn new(line: Line, specs: Arc<[Spec]>, messages: mpsc::Sender<Msg>) -> Self {
        Self { line, specs, messages, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Asks in the background; the answer is a message.
    pub fn ask(&self, ask: Ask, what: What) {
        let source = self.clone();
        tokio::spawn(async move {
            let Ok(_place) = source.places.clone().acquire_owned().await else { return };
            let answer = source.put(what).await;
            if let Err(error) = &answer
                && error.is(&codes::SHUTTING_DOWN)
            {
                source.tell(Msg::Lost(error.message().to_owned())).await;
            }
            let answer = answer.map_err(|error| refusal(&error));
            source.tell(Msg::Answer(ask, answer)).await;
        });
    }

    async fn put(&self, what: What) -> Result<Value> {
        match what {
            What::Place => match &self.line {
                Line::Socket(_) => self.line.ask(Request::get("/live?limit=1")).await,
                Line::Remote(remote) => Ok(json!({"url": remote.address()})),
            },
            What::Operation(name, input) => {
                let spec = self.specs.iter().find(|spec| spec.name == name);
                let route = spec.ok_or_else(|| Error::bug(format!("no operation {name}")))?.route;
                self.line.ask(Request::of(route, input)?).await
            }
        }
    }

    /// Follows the feed behind that event for ever; what is missed while the server is away is read afterwards.
    pub fn follow(&self, mut after: u64) {
        let source = self.clone();
        tokio::spawn(async move {
            let mut away = AWAY.0;
            loop {
                let target = format!("/v1/events?after={after}&limit={EVENTS}&wait={WAIT}");
                match source.line.ask(Request::get(target)).await {
                    Ok(answer) => {
                        away = AWAY.0;
                        source.tell(Msg::Reached).await;
                        after = answer["next"].as_u64().unwrap_or(after);
                        let events = list(&answer, "events").to_vec();
                        if !events.is_empty() && !source.tell(Msg::Events(events, after)).await {
                            return;
                        }
                        tokio::time::sleep(PACE).await;
                    }
                    Err(error) => {
                        if !source.tell(Msg::Lost(refusal(&error).message)).await {
                            return;
                        }
                        tokio::time::sleep(away).await;
                        away = (away * 2).min(AWAY.1);
                    }
                }
            }
        });
    }

    async fn tell(&self, message: Msg) -> bool {
        self.messages.send(message).await.is_ok()
    }
}

fn refusal(error: &Error) -> Refusal {
    Refusal {
        code: error.code().to_owned(),
        message: error.message().to_owned(),
        help: error.next_step().map(str::to_owned),
    }
}
