//! Where the log goes: to standard error (or standard output), for people or as JSON.
//!
//! A log must never be a reason for the server to fail or to wait. So lines are handed to a thread of their own: what
//! standard error does not take is lost, and so is what comes while a full pipe is not read.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::show;
use crate::config::{Log, LogFormat};
use crate::error::{Error, Result, codes};

/// So many lines may wait for a slow reader.
const WAITING: usize = 2_048;
/// How long the end waits for the last lines.
const LAST: Duration = Duration::from_millis(500);

enum Job {
    Line(Vec<u8>),
    /// Everything before is written.
    Flush(SyncSender<()>),
}

/// Takes lines; never fails, never waits.
#[derive(Clone)]
struct Lines(SyncSender<Job>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Full, or the thread is gone: the line is lost.
        let _ = self.0.try_send(Job::Line(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The log of this process. When it is dropped, what was logged before is written, if somebody still takes it.
pub struct Logging(SyncSender<Job>);

impl Drop for Logging {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        if self.0.try_send(Job::Flush(done)).is_ok() {
            let _ = written.recv_timeout(LAST);
        }
    }
}

/// Starts the log of this process. Errors: `config_invalid`, `internal_error`.
pub fn start(log: &Log, terminal: bool, color: bool) -> Result<Logging> {
    let json = match log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    // A person who watches wants what is refused or fails; that a request was answered is for machines, or for `debug`.
    let level = if json || log.level != "info" { log.level.clone() } else { "info,authd::http::door=warn".to_owned() };
    let filter = EnvFilter::try_new(level).map_err(|e| Error::new(&codes::CONFIG_INVALID).because(e))?;
    let (lines, waiting) = sync_channel(WAITING);
    let to_stdout = log.to_stdout;
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write(&waiting, &mut show::log_sink(to_stdout)))
        .map_err(Error::bug)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines(lines.clone()))
        // What cannot be logged cannot be told on standard error either: there the attempt would panic.
        .log_internal_errors(false)
        .with_span_events(FmtSpan::NONE);
    let started = if json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_ansi(color).with_target(false).try_init()
    };
    started.map_err(|e| Error::bug(e.to_string()))?;
    Ok(Logging(lines))
}

fn write(waiting: &Receiver<Job>, out: &mut impl Write) {
    while let Ok(job) = waiting.recv() {
        match job {
            Job::Line(line) => drop(out.write_all(&line)),
            Job::Flush(done) => drop(done.try_send(())),
        }
    }
}
