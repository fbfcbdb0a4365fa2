//! The encryption toward a directory: whose certificates are believed, and what is wrong with one that is not.

use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::env::Env;
use crate::error::{Error, Result, codes};

/// The certificates of a text in PEM form. Errors: `invalid_input`.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = || {
        Error::says(&codes::INVALID_INPUT, "`servers.caCertificates` holds no certificate in PEM form.").help(
            "Give the certificate of the authority that signed the server's, from `-----BEGIN CERTIFICATE-----` on.",
        )
    };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| wrong().because(error))?;
    let mut store = RootCertStore::empty();
    for certificate in &found {
        store.add(certificate.clone()).map_err(|error| wrong().because(error))?;
    }
    if found.is_empty() { Err(wrong()) } else { Ok(found) }
}

/// How a directory's certificate is checked: against these authorities and no others where some are named, else against
/// those that authd believes everywhere. Errors: `invalid_input`, `ldap_tls_required`.
pub fn config(env: &Env, authorities: Option<&str>) -> Result<Arc<ClientConfig>> {
    let Some(pem) = authorities else {
        let config = env.outbound().tls().ok_or_else(|| Error::new(&codes::LDAP_TLS_REQUIRED))?;
        return Ok(Arc::new(config));
    };
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate).map_err(Error::bug)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::bug)?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What is wrong with the encryption, in words for whoever looks after the directory.
pub fn problem(error: &std::io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(problem)) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another name: its subject alternative names must have the host of the URL"
                    .to_owned()
            }
            CertificateError::UnknownIssuer => {
                "the server's certificate is signed by nobody who is trusted: give that authority's certificate as `servers.caCertificates`"
                    .to_owned()
            }
            CertificateError::Revoked => "the server's certificate was revoked".to_owned(),
            other => format!("the server's certificate is not valid: {other:?}").chars().take(200).collect(),
        },
        Some(rustls::Error::AlertReceived(alert)) => format!("the server ended the TLS handshake: {alert:?}"),
        Some(rustls::Error::InvalidMessage(_)) => "the server does not speak TLS on this port".to_owned(),
        Some(other) => format!("no TLS connection could be made: {other}").chars().take(200).collect(),
        None => "the server closed the connection during the TLS handshake: it may not speak TLS on this port, or no version that is safe (authd takes 1.2 and 1.3)".to_owned(),
    }
}
