//! # tui — the terminal dashboard

use crate::config::Config;
use crate::error::Result;

/// Runs it.
pub fn run(_config: &Config, _color: bool) -> Result<()> {
    Ok(())
}
