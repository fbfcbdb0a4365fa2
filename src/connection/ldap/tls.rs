//! The encryption toward a directory: whose certificates are believed, and what is wrong with one that is not.

use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::pinned::{Pinned, is_an_authoritys};
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

/// How a directory's certificate is checked: against these authorities and no others where some are named, or as one of the
/// named itself; else against those that authd believes everywhere. Errors: `invalid_input`, `ldap_tls_required`.
pub fn config(env: &Env, authorities: Option<&str>) -> Result<Arc<ClientConfig>> {
    let Some(pem) = authorities else {
        let config = env.outbound().tls().ok_or_else(|| Error::new(&codes::LDAP_TLS_REQUIRED))?;
        return Ok(Arc::new(config));
    };
    Ok(Arc::new(believing(certificates(pem)?)?))
}

/// One verifier for all handshakes: rustls resumes no session that another has seen begin.
fn believing(named: Vec<CertificateDer<'static>>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Pinned::new(named, &provider)?);
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(Error::bug)?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(builder.with_no_client_auth())
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
            other if is_an_authoritys(other) => {
                "the server shows an authority's certificate as its own (CA:TRUE): give that very certificate as `servers.caCertificates`, or the server one that is no authority's"
                    .to_owned()
            }
            other => format!("the server's certificate is not valid: {other:?}").chars().take(200).collect(),
        },
        Some(rustls::Error::AlertReceived(alert)) => format!("the server ended the TLS handshake: {alert:?}"),
        Some(rustls::Error::InvalidMessage(_)) => "the server does not speak TLS on this port".to_owned(),
        Some(other) => format!("no TLS connection could be made: {other}").chars().take(200).collect(),
        None => "the server closed the connection during the TLS handshake: it may not speak TLS on this port, or no version that is safe (authd takes 1.2 and 1.3)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls::{ClientConnection, HandshakeKind, ServerConfig, ServerConnection};
    use rustls_pki_types::{PrivateKeyDer, ServerName};

    const NAME: &str = "dc1.corp.example";

    /// A certificate as `openssl req -x509` makes it, and a server that shows it.
    fn server(versions: &[&'static rustls::SupportedProtocolVersion]) -> (CertificateDer<'static>, Arc<ServerConfig>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).unwrap().der().clone();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        (own.clone(), Arc::new(builder.with_no_client_auth().with_single_cert(vec![own], key).unwrap()))
    }

    /// The whole handshake, and what the server says after it.
    fn shake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Result<HandshakeKind, rustls::Error> {
        let mut client = ClientConnection::new(Arc::clone(client), ServerName::try_from(NAME).unwrap()).unwrap();
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        while client.wants_write() || server.wants_write() {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            client.write_tls(&mut there).unwrap();
            server.write_tls(&mut back).unwrap();
            let (mut there, mut back) = (there.as_slice(), back.as_slice());
            while !there.is_empty() {
                server.read_tls(&mut there).unwrap();
                server.process_new_packets()?;
            }
            while !back.is_empty() {
                client.read_tls(&mut back).unwrap();
                client.process_new_packets()?;
            }
        }
        Ok(client.handshake_kind().unwrap())
    }

    #[test]
    fn a_second_handshake_with_a_named_certificate_is_a_short_one() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let (own, server) = server(&[version]);
            let client = Arc::new(believing(vec![own]).unwrap());
            assert_ne!(shake(&client, &server), Ok(HandshakeKind::Resumed), "{version:?}");
            assert_eq!(shake(&client, &server), Ok(HandshakeKind::Resumed), "{version:?}");
        }
    }

    #[test]
    fn an_authoritys_certificate_that_was_not_named_is_told_as_such() {
        let ((own, _), (_, stranger)) = (server(rustls::ALL_VERSIONS), server(rustls::ALL_VERSIONS));
        let refused = shake(&Arc::new(believing(vec![own]).unwrap()), &stranger).unwrap_err();
        let says = problem(&std::io::Error::other(refused));
        assert!(says.contains("an authority's certificate as its own"), "{says}");
    }
}
