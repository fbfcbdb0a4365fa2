//! Where the log goes: to standard error, for people or as JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Log, LogFormat};
use crate::error::{Error, Result, codes};

/// Starts the log of this process. Errors: `config_invalid`, `internal_error`.
pub fn start(log: &Log, terminal: bool, color: bool) -> Result<()> {
    let filter = EnvFilter::try_new(&log.level).map_err(|e| Error::new(&codes::CONFIG_INVALID).because(e))?;
    let json = match log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    let started = if json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_ansi(color).with_target(false).try_init()
    };
    started.map_err(|e| Error::bug(e.to_string()))
}
