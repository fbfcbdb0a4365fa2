//! TLS from two files, read again when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Shutdown;
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};

/// When and how long: what tells a changed file.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// A certificate chain and its key, both PEM files. TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Stamp>,
    /// Who wants to know when the certificate that is shown ends.
    told: OnceLock<Env>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads both. Errors: `config_invalid`, saying which file and what is wrong with it.
    pub fn load(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Arc<Self>> {
        let (certificate, key) = (certificate.into(), key.into());
        let seen = stamp(&certificate, &key);
        let config = RwLock::new(read(&certificate, &key)?);
        Ok(Arc::new(Self { certificate, key, config, seen: Mutex::new(seen), told: OnceLock::new() }))
    }

    /// Notes in the meters which certificate clients are shown, from now on at every reading.
    pub fn tell(&self, env: &Env) {
        let _ = self.told.set(env.clone());
        self.note();
    }

    fn note(&self) {
        if let (Some(env), Some(ends)) = (self.told.get(), ends(&self.certificate)) {
            env.meters().certificate.is(&self.certificate, ends);
        }
    }

    /// Reads both again. Connections that stand are not touched. Errors: as `load`; then what was there stays in use.
    pub fn reload(&self) -> Result<()> {
        let seen = stamp(&self.certificate, &self.key);
        let config = read(&self.certificate, &self.key)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        self.note();
        Ok(())
    }

    fn has_changed(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != stamp(&self.certificate, &self.key)
    }

    /// The handshake. True when the client chose HTTP/2.
    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<(TlsStream<TcpStream>, bool)> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((stream, http2))
    }
}

/// Reads the files again on SIGHUP, and when a look at them shows a change.
pub(super) async fn watch(tls: Arc<Tls>, every: Duration, shutdown: Shutdown) {
    let mut hangup = signal(SignalKind::hangup()).ok();
    loop {
        let told = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let asked = tokio::select! {
            () = shutdown.begun() => return,
            _ = told => true,
            () = tokio::time::sleep(every) => false,
        };
        if !asked && !tls.has_changed() {
            continue;
        }
        match tls.reload() {
            Ok(()) => tracing::info!(certificate = %tls.certificate.display(), "the certificate was read again"),
            // Perhaps only one of the two files is written yet: it is tried again.
            Err(error) => {
                tracing::error!("the new certificate cannot be used; the old one stays: {}", error.log_line())
            }
        }
    }
}

/// When the first certificate of a PEM file ends; `None` where there is none that can be read.
fn ends(file: &Path) -> Option<Timestamp> {
    let certificate = CertificateDer::pem_file_iter(file).ok()?.next()?.ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).ok()?;
    Some(Timestamp::from_seconds(certificate.validity().not_after.timestamp()))
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|file| file.metadata().ok().and_then(|meta| Some((meta.modified().ok()?, meta.len()))))
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let wrong = |file: &Path, why: &str| Error::says(&codes::CONFIG_INVALID, format!("`{}` {why}.", file.display()));
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, "cannot be read as a certificate in PEM form").because(error))?;
    if chain.is_empty() {
        return Err(wrong(certificate, "holds no certificate in PEM form"));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| wrong(key, "cannot be read as a private key in PEM form").because(error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::bug)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| wrong(key, "does not fit the certificate").because(error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
