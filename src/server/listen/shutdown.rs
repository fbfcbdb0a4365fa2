//! The stop, in two steps: finish what runs, then at once.

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// Shared by everything that must stop together. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    forced: CancellationToken,
}

impl Shutdown {
    /// Not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begun by the first SIGTERM or SIGINT, forced by the second. Needs a running runtime.
    ///
    /// SIGHUP means "read the certificate again" to a server that has one (`reloads`). To another it is the end of the
    /// terminal that it runs in: it stops in order, unless it was started to outlive that (`nohup`).
    /// Errors: `internal_error` when the signals cannot be listened to.
    pub fn on_signals(reloads: bool) -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::bug)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::bug)?;
        // Listening to a signal takes back that it is ignored, so this is looked at before. Without a listener it would
        // end a server that has a certificate, but does not watch it yet.
        let outlives = !reloads && hangup_is_ignored();
        let mut hangup = if outlives { None } else { Some(signal(SignalKind::hangup()).map_err(Error::bug)?) };
        let shutdown = Self::new();
        let told = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let hung_up = async {
                    match &mut hangup {
                        Some(hangup) => hangup.recv().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    // A closing terminal may say it twice; that is no haste.
                    _ = hung_up => if reloads || told.is_begun() { continue },
                }
                // First done, then told: nothing about the log may stand between a signal and its effect.
                if told.is_begun() {
                    told.force();
                    tracing::warn!("stopping at once");
                    return;
                }
                told.begin();
                tracing::info!("stopping; a second signal stops at once");
            }
        });
        Ok(shutdown)
    }

    /// Begins it: nothing new is accepted, what runs may finish.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Forces it: what runs is cut off.
    pub fn force(&self) {
        self.begun.cancel();
        self.forced.cancel();
    }

    /// True once it began.
    pub fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until it begins. Streams without end (the live feed) end themselves on this.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Waits until it is forced.
    pub async fn forced(&self) {
        self.forced.cancelled().await;
    }
}

/// Whether this process was started with SIGHUP ignored. Only Linux tells without a system call that is unsafe here.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The lowest bit is signal 1.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
