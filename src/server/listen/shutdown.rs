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

    /// Begun by the first SIGTERM or SIGINT, forced by the second. Needs a running runtime. Errors: `internal_error` when the
    /// signals cannot be listened to.
    pub fn on_signals() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::bug)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::bug)?;
        // SIGHUP means "read the certificate again"; without a listener for it, it would end a server that has none.
        let mut hangup = signal(SignalKind::hangup()).map_err(Error::bug)?;
        let shutdown = Self::new();
        let told = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hangup.recv() => continue,
                }
                if told.is_begun() {
                    tracing::warn!("stopping at once");
                    return told.force();
                }
                tracing::info!("stopping; a second signal stops at once");
                told.begin();
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
