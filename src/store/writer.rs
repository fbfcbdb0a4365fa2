//! Group commit: one thread takes what waits, writes it in one durable transaction, and answers each.
//!
//! Nobody waits for a group to fill: under load, what arrives during one transaction is the next group.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use super::backend::{Backend, Fault, Nature};
use super::batch::{Batch, Refused};
use super::record::Seq;
use crate::env::Env;
use crate::error::{Error, Result, codes};

/// The most batches that share one transaction.
const GROUP: usize = 512;
/// The most that may wait; whoever comes later waits for a place.
const QUEUE: usize = 1024;

type Answer = oneshot::Sender<Result<Seq, Refused>>;

type Chore = Box<dyn FnOnce(&dyn Backend) + Send>;

enum Job {
    /// One batch, and who asked.
    Commit(Batch, Answer),
    /// Anything else that writes, in its own transaction.
    Run(Chore),
    /// No more after what waits already.
    Close,
}

/// The writing half of the store. Dropping it writes what waits, then lets go of the back end.
pub struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    log: watch::Receiver<u64>,
    trouble: Arc<Mutex<Option<Refused>>>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(backend: Arc<dyn Backend>, env: Env) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (tell, log) = watch::channel(backend.log_seq());
        let trouble = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&trouble);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || work(&*backend, &env, jobs, &tell, &noted))
            .map_err(|e| Error::new(&codes::STORAGE_ERROR).because(e))?;
        Ok(Self { queue: Some(queue), thread: Mutex::new(Some(thread)), log, trouble })
    }

    /// Writes a batch together with others. Once this was polled the batch may be written, also if it is dropped then.
    pub async fn commit(&self, batch: Batch) -> Result<Seq, Refused> {
        let closed = || Refused::from(Fault::new(Nature::Closed, "the store is closed"));
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.send(Job::Commit(batch, answer)).await.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Does something else that writes, on the writer's thread.
    pub async fn run<T: Send + 'static>(
        &self,
        what: impl FnOnce(&dyn Backend) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let closed = || Error::from(Fault::new(Nature::Closed, "the store is closed"));
        let (answer, answered) = oneshot::channel();
        let job = Job::Run(Box::new(move |backend| {
            let _ = answer.send(what(backend));
        }));
        self.queue.as_ref().ok_or_else(closed)?.send(job).await.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Waits until the log has a row behind `after`, and tells the number of its last.
    pub async fn wait(&self, after: u64) -> Result<u64> {
        let mut log = self.log.clone();
        let seq = log.wait_for(|seq| *seq > after).await;
        seq.map(|seq| *seq).map_err(|_| Fault::new(Nature::Closed, "the store is closed").into())
    }

    /// Why the last group was not written, if it was not.
    pub fn trouble(&self) -> Option<Refused> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what waits, then lets go of the back end. Whoever comes later is refused.
    pub async fn close(&self) {
        if let Some(queue) = &self.queue {
            // An error means that somebody else closed it already; either way the thread ends by itself.
            let _ = queue.send(Job::Close).await;
            queue.closed().await;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Whoever opens the same file next must not find it in use.
            let _ = thread.join();
        }
    }
}

fn work(
    backend: &dyn Backend,
    env: &Env,
    mut jobs: mpsc::Receiver<Job>,
    tell: &watch::Sender<u64>,
    trouble: &Mutex<Option<Refused>>,
) {
    let mut kept_over = None;
    while let Some(job) = kept_over.take().or_else(|| jobs.blocking_recv()) {
        match job {
            Job::Commit(batch, answer) => {
                let (mut batches, mut answers) = (vec![batch], vec![answer]);
                while batches.len() < GROUP
                    && let Ok(job) = jobs.try_recv()
                {
                    match job {
                        Job::Commit(batch, answer) => {
                            batches.push(batch);
                            answers.push(answer);
                        }
                        other => {
                            kept_over = Some(other);
                            break;
                        }
                    }
                }
                let begun = env.monotonic();
                let outcomes = backend.apply(&batches);
                let meters = env.meters();
                meters.commits.time(env.monotonic().saturating_sub(begun));
                meters.batches.observe(u32::try_from(batches.len()).map_or(f64::MAX, f64::from));
                publish(backend, tell);
                let failed =
                    outcomes.iter().find_map(|o| o.as_ref().err().filter(|r| matches!(r, Refused::Storage { .. })));
                if let Some(Refused::Storage { full, .. }) = failed {
                    meters.commits_failed.add(if *full { codes::STORAGE_FULL.name } else { codes::STORAGE_ERROR.name });
                }
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = failed.cloned();
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    // The one who asked may have gone; the batch is written all the same.
                    let _ = answer.send(outcome);
                }
            }
            Job::Run(what) => {
                what(backend);
                publish(backend, tell);
            }
            // What was sent before is still received; then the loop ends.
            Job::Close => jobs.close(),
        }
    }
    backend.close();
}

/// Wakes those who wait for the log. Also after a failure: what could not be acknowledged may have been written.
fn publish(backend: &dyn Backend, tell: &watch::Sender<u64>) {
    let now = backend.log_seq();
    tell.send_if_modified(|seq| std::mem::replace(seq, now) != now);
}
