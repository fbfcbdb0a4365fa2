//! A directory's own certificate, named by whoever looks after it.
//!
//! *Owns* one exception: `openssl req -x509` makes a certificate that signed itself and says of itself that it is an
//! authority's (`CA:TRUE`). webpki takes no authority's certificate for a server's own, not even the very one that it was
//! told to believe. Whoever named exactly that certificate meant that server, so it is taken where all else fits.
//! *Gives* `Pinned`, a verifier for rustls, and `is_an_authoritys`, which tells that refusal from others.
//! *Needs* webpki for everything else: chains, signatures, schemes. *Never* takes a certificate that is not, byte for byte,
//! a named one; never one for another name, of another time or for another purpose; never goes without the proof that the
//! server has the key.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::parse_x509_certificate;

use crate::error::{Error, Result};

/// Believes the named certificates: what they signed, and themselves.
#[derive(Debug)]
pub struct Pinned {
    named: Vec<CertificateDer<'static>>,
    authorities: Arc<WebPkiServerVerifier>,
}

impl Pinned {
    /// That believes these, at least one, and nothing else.
    pub fn new(named: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Result<Self> {
        let mut store = RootCertStore::empty();
        for certificate in &named {
            store.add(certificate.clone()).map_err(Error::bug)?;
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
        Ok(Self { named, authorities: authorities.build().map_err(Error::bug)? })
    }
}

/// Whether a certificate was refused because it is an authority's and no server's.
pub fn is_an_authoritys(problem: &CertificateError) -> bool {
    let CertificateError::Other(other) = problem else { return false };
    matches!(other.0.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// What webpki asks of every server's certificate besides, of one that it refused for being an authority's. In which order
/// it asks, it does not promise.
fn suits_a_server(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).map_err(|_| CertificateError::Expired)?;
    if now < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet);
    }
    if now > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired);
    }
    match parsed.extended_key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(purposes)) if purposes.value.server_auth => Ok(()),
        Ok(Some(_)) => Err(CertificateError::InvalidPurpose),
        Err(_) => Err(CertificateError::BadEncoding),
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(problem))
                if is_an_authoritys(&problem) && self.named.iter().any(|named| named == end_entity) =>
            {
                suits_a_server(end_entity, now).map_err(rustls::Error::InvalidCertificate)?;
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.authorities.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.authorities.root_hint_subjects()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

    const NAME: &str = "dc1.corp.example";
    /// In the middle of 2027.
    const NOW: u64 = 1_814_400_000;

    /// As `openssl req -x509` makes it, for the years 2026 to 2028.
    fn params() -> CertificateParams {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2029, 1, 1);
        params
    }

    fn signed_by_itself(params: CertificateParams) -> CertificateDer<'static> {
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn pinned(named: &[&CertificateDer<'static>]) -> Pinned {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Pinned::new(named.iter().map(|named| (*named).clone()).collect(), &provider).unwrap()
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    /// What is wrong with it as a server's of that name, if anything.
    fn problem(pinned: &Pinned, shown: &CertificateDer<'_>, name: &str, now: u64) -> Option<CertificateError> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        match pinned.verify_server_cert(shown, &[], &name, &[], at(now)) {
            Ok(_) => None,
            Err(rustls::Error::InvalidCertificate(problem)) => Some(problem),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn ldap_04_a_named_authoritys_certificate_is_a_servers_where_all_else_fits() {
        let (own, another) = (signed_by_itself(params()), signed_by_itself(params()));
        let pinned = pinned(&[&another, &own]);
        assert_eq!(problem(&pinned, &own, NAME, NOW), None);
        assert_eq!(problem(&pinned, &another, NAME, NOW), None);

        let named = problem(&pinned, &own, "dc2.corp.example", NOW);
        assert!(matches!(named, Some(CertificateError::NotValidForNameContext { .. })), "{named:?}");
        let late = problem(&pinned, &own, NAME, NOW + 2 * 366 * 86_400);
        assert!(matches!(late, Some(CertificateError::ExpiredContext { .. })), "{late:?}");
        let early = problem(&pinned, &own, NAME, NOW - 2 * 366 * 86_400);
        assert!(matches!(early, Some(CertificateError::NotValidYetContext { .. })), "{early:?}");
    }

    #[test]
    fn ldap_04_an_authoritys_certificate_that_was_not_named_is_no_servers() {
        let (own, stranger) = (signed_by_itself(params()), signed_by_itself(params()));
        let refused = problem(&pinned(&[&own]), &stranger, NAME, NOW).unwrap();
        assert!(is_an_authoritys(&refused), "{refused:?}");

        // Of the same key and subject, but not the same.
        let key = KeyPair::generate().unwrap();
        let first = params().self_signed(&key).unwrap().der().clone();
        let mut later = params();
        later.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let later = later.self_signed(&key).unwrap().der().clone();
        let refused = problem(&pinned(&[&first]), &later, NAME, NOW).unwrap();
        assert!(is_an_authoritys(&refused), "{refused:?}");

        // An authority below the named one speaks for itself no more than any other.
        let above = Issuer::new(params(), &key);
        let below = params().signed_by(&KeyPair::generate().unwrap(), &above).unwrap().der().clone();
        let refused = problem(&pinned(&[&first]), &below, NAME, NOW).unwrap();
        assert!(is_an_authoritys(&refused), "{refused:?}");
    }

    #[test]
    fn ldap_04_a_named_certificate_for_another_purpose_is_no_servers() {
        let of = |purpose| {
            let mut params = params();
            params.extended_key_usages = vec![purpose];
            signed_by_itself(params)
        };
        let (client, server) = (of(ExtendedKeyUsagePurpose::ClientAuth), of(ExtendedKeyUsagePurpose::ServerAuth));
        let pinned = pinned(&[&client, &server]);
        assert_eq!(problem(&pinned, &server, NAME, NOW), None);
        assert_eq!(problem(&pinned, &client, NAME, NOW), Some(CertificateError::InvalidPurpose));
    }

    #[test]
    fn a_time_outside_its_validity_suits_no_server() {
        let own = signed_by_itself(params());
        let (begins, ends) = (1_767_225_600, 1_861_920_000);
        assert_eq!(suits_a_server(&own, at(begins)), Ok(()));
        assert_eq!(suits_a_server(&own, at(ends)), Ok(()));
        assert_eq!(suits_a_server(&own, at(begins - 1)), Err(CertificateError::NotValidYet));
        assert_eq!(suits_a_server(&own, at(ends + 1)), Err(CertificateError::Expired));
        assert_eq!(suits_a_server(&own, at(u64::MAX)), Err(CertificateError::Expired));
    }

    #[test]
    fn what_a_named_certificate_signed_is_believed_as_ever() {
        let key = KeyPair::generate().unwrap();
        let authority = params().self_signed(&key).unwrap().der().clone();
        let mut server = params();
        server.is_ca = IsCa::NoCa;
        let issuer = Issuer::new(params(), &key);
        let signed = server.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone();
        assert_eq!(problem(&pinned(&[&authority]), &signed, NAME, NOW), None);
        // One that signed itself and is no authority's, too.
        let plain = signed_by_itself(server);
        assert_eq!(problem(&pinned(&[&plain]), &plain, NAME, NOW), None);
        let stranger = problem(&pinned(&[&authority]), &plain, NAME, NOW);
        assert!(stranger.is_some(), "of the same subject, signed by nobody who is named");
    }
}
