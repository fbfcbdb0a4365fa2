//! `authd serve --demo`: what is set up, and what to click.

use crate::app::App;
use crate::config::Config;
use crate::error::Result;
use crate::server::listen::Shutdown;

/// Sets the demo up and says what to click.
#[expect(clippy::unused_async, reason = "placeholder until the demo lands")]
pub async fn start(_app: &App, _config: &Config, _shutdown: &Shutdown) -> Result<String> {
    Ok(String::new())
}
