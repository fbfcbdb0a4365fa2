//! What the last server of a data directory was started with.
//!
//! A verb that opens the database itself must act as the server would: the same addresses in what it answers, the
//! same rules for what it calls. What the server had from flags is nowhere else.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::data_dir::DataDir;
use super::public_url::PublicUrl;
use super::{Config, Outbound, Tls, plain};
use crate::error::{Error, Result, codes};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastRun {
    public_url: String,
    outbound_allow: Vec<String>,
    outbound_ca_file: Option<PathBuf>,
    /// What follows only the doctor asks for.
    #[serde(default)]
    listen: Option<SocketAddr>,
    #[serde(default)]
    tls: Option<(PathBuf, PathBuf)>,
    #[serde(default)]
    trusted_proxies: Vec<String>,
    #[serde(default)]
    log_level: Option<String>,
}

impl Config {
    /// Notes what this server runs with. Errors: `storage_error`.
    pub fn note_run(&self, public_url: &PublicUrl) -> Result<()> {
        let absolute = |path: &PathBuf| std::path::absolute(path).ok();
        let run = LastRun {
            public_url: public_url.issuer().to_owned(),
            outbound_allow: self.outbound.allow.clone(),
            outbound_ca_file: self.outbound.ca_file.as_ref().and_then(absolute),
            listen: Some(self.listen),
            tls: self.tls.as_ref().and_then(|tls| Some((absolute(&tls.cert)?, absolute(&tls.key)?))),
            trusted_proxies: self.trusted_proxies.iter().map(ToString::to_string).collect(),
            log_level: Some(self.log.level.clone()),
        };
        if LastRun::read(&self.data_dir).as_ref() == Some(&run) {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(&run).map_err(Error::bug)?;
        let (path, aside) = (self.data_dir.last_run(), self.data_dir.last_run().with_extension("json.new"));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options
            .open(&aside)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| std::fs::rename(&aside, &path));
        written.map_err(|e| {
            Error::says(&codes::STORAGE_ERROR, format!("{} cannot be written: {}.", path.display(), plain(&e)))
                .because(e)
        })
    }

    /// With what was not given now as the last server had it.
    #[must_use]
    pub fn or_as_last_run(mut self) -> Self {
        let Some(run) = LastRun::read(&self.data_dir) else { return self };
        if self.public_url.is_none() {
            self.public_url = PublicUrl::parse(&run.public_url).ok();
        }
        if self.outbound == Outbound::default() {
            self.outbound = Outbound { allow: run.outbound_allow, ca_file: run.outbound_ca_file };
        }
        self
    }

    /// As `or_as_last_run`, with what only a server has: its listener, its certificate, its log.
    #[must_use]
    pub fn as_served(self) -> Self {
        let mut config = self.or_as_last_run();
        let Some(run) = LastRun::read(&config.data_dir) else { return config };
        let told = config.listen != Self::LISTEN || config.tls.is_some() || !config.trusted_proxies.is_empty();
        if !told {
            config.listen = run.listen.unwrap_or(config.listen);
            config.tls = run.tls.map(|(cert, key)| Tls { cert, key });
            config.trusted_proxies = run.trusted_proxies.iter().filter_map(|text| text.parse().ok()).collect();
        }
        if let Some(level) = run.log_level.filter(|_| config.log.level == Self::LOG_LEVEL) {
            config.log.level = level;
        }
        config
    }
}

impl LastRun {
    fn read(data_dir: &DataDir) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data_dir.last_run()).ok()?).ok()
    }
}
