//! The TLS certificate: whose it is, how long it lasts, whether its key and its chain are with it.

use std::path::Path;

use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use x509_parser::parse_x509_certificate;

use super::finding::{Finding, Level, ends, in_days};
use crate::config::Tls;
use crate::env::Timestamp;
use crate::server::listen;

/// One certificate of the file, as far as it is judged.
#[derive(Clone, Debug)]
struct Link {
    subject: Vec<u8>,
    issuer: Vec<u8>,
    issuer_name: String,
    begins: Timestamp,
    ends: Timestamp,
}

/// Everything about the certificate of a host.
pub fn look(tls: &Tls, host: &str, now: Timestamp) -> Vec<Finding> {
    let file = tls.cert.display();
    let read = CertificateDer::pem_file_iter(&tls.cert).and_then(Iterator::collect);
    let chain: Vec<CertificateDer<'static>> = read.unwrap_or_default();
    let links: Option<Vec<Link>> = chain.iter().map(link).collect();
    let Some((links, leaf)) = links.filter(|links| !links.is_empty()).zip(chain.first()) else {
        return vec![Finding::fail(
            "tls_certificate",
            format!("{file} cannot be read as certificates in PEM form."),
            format!("openssl x509 -in {file} -noout -text"),
        )];
    };
    vec![
        lasting(&links[0], &tls.cert, now),
        belongs(names(leaf, host), &tls.cert, host),
        complete(&links, &tls.cert),
        key(listen::Tls::load(&tls.cert, &tls.key).is_ok(), tls),
    ]
}

fn link(der: &CertificateDer<'_>) -> Option<Link> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    let validity = certificate.validity();
    Some(Link {
        subject: certificate.subject().as_raw().to_vec(),
        issuer: certificate.issuer().as_raw().to_vec(),
        issuer_name: certificate.issuer().to_string(),
        begins: Timestamp::from_seconds(validity.not_before.timestamp()),
        ends: Timestamp::from_seconds(validity.not_after.timestamp()),
    })
}

fn names(leaf: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(name) = ServerName::try_from(host.trim_matches(['[', ']'])) else { return false };
    ParsedCertificate::try_from(leaf).is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
}

fn lasting(leaf: &Link, file: &Path, now: Timestamp) -> Finding {
    let remedy = format!("renew it, and put it at {}; authd reads it by itself", file.display());
    if leaf.begins > now {
        return Finding::fail(
            "tls_certificate",
            format!("The certificate is not valid before {}.", leaf.begins),
            "compare the clock of this machine: timedatectl",
        );
    }
    let (level, days) = ends(now, leaf.ends);
    let message = match days {
        ..0 => format!("The certificate has expired, {}.", in_days(days)),
        _ => format!("The certificate ends {}.", in_days(days)),
    };
    match level {
        Level::Ok => Finding::ok("tls_certificate", message),
        Level::Warn => Finding::warn("tls_certificate", message, remedy),
        Level::Fail => Finding::fail("tls_certificate", message, remedy),
    }
}

fn belongs(names: bool, file: &Path, host: &str) -> Finding {
    match names {
        true => Finding::ok("tls_host", format!("The certificate is for {host}.")),
        false => Finding::fail(
            "tls_host",
            format!("The certificate is not for {host}: every browser refuses it."),
            format!("openssl x509 -in {} -noout -ext subjectAltName", file.display()),
        ),
    }
}

fn complete(links: &[Link], file: &Path) -> Finding {
    let file = file.display();
    if let Some(at) = links.windows(2).position(|pair| pair[0].issuer != pair[1].subject) {
        return Finding::fail(
            "tls_chain",
            format!("Certificate {} of {file} is not of the authority that signed certificate {}.", at + 2, at + 1),
            "put the server's certificate first, then each authority that signed the one before it",
        );
    }
    match links {
        [only] if only.issuer == only.subject => Finding::warn(
            "tls_chain",
            "The certificate is signed by itself: browsers and apps refuse it unless told.",
            "use one of an authority: certbot certonly",
        ),
        [only] => Finding::warn(
            "tls_chain",
            format!("{file} has no chain: many apps do not know {}.", only.issuer_name),
            "use the file that has the chain as well (fullchain.pem)",
        ),
        _ => Finding::ok("tls_chain", format!("{file} has the certificate and {} of its chain.", links.len() - 1)),
    }
}

fn key(fits: bool, tls: &Tls) -> Finding {
    match fits {
        true => Finding::ok("tls_key", "The key fits the certificate."),
        false => Finding::fail(
            "tls_key",
            format!("{} is not the key of {}, or cannot be read.", tls.key.display(), tls.cert.display()),
            format!("ls -l {}; put the key there that the certificate was made with", tls.key.display()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, Issuer, KeyPair};

    const DAY: i64 = 86_400;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + days * DAY)
    }

    fn made(names: &[&str], subject: &str) -> CertificateParams {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, subject);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 6, 1);
        params
    }

    fn levels(tls: &Tls, host: &str, now: Timestamp) -> Vec<(&'static str, Level)> {
        look(tls, host, now).iter().map(|finding| (finding.name, finding.level)).collect()
    }

    #[test]
    fn a_chain_with_its_key_is_well_and_each_fault_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (root_key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root = made(&[], "An authority").self_signed(&root_key).unwrap();
        let issuer = Issuer::new(made(&[], "An authority"), &root_key);
        let leaf = made(&["id.example.com", "*.sso.example.com"], "id").signed_by(&leaf_key, &issuer).unwrap();
        let write = |name: &str, text: String| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let full = write("full.pem", leaf.pem() + &root.pem());
        let key = write("key.pem", leaf_key.serialize_pem());
        let tls = Tls { cert: full.clone(), key: key.clone() };
        use Level::{Fail, Ok, Warn};
        let now = Timestamp::from_seconds(1_780_000_000);
        let all = |a, b, c, d| vec![("tls_certificate", a), ("tls_host", b), ("tls_chain", c), ("tls_key", d)];
        assert_eq!(levels(&tls, "id.example.com", now), all(Ok, Ok, Ok, Ok));
        assert_eq!(levels(&tls, "a.sso.example.com", now), all(Ok, Ok, Ok, Ok));
        assert_eq!(levels(&tls, "other.example.com", now), all(Ok, Fail, Ok, Ok));
        assert_eq!(levels(&tls, "id.example.com", Timestamp::from_seconds(1_900_000_000)), all(Fail, Ok, Ok, Ok));
        assert_eq!(levels(&tls, "id.example.com", Timestamp::from_seconds(1_700_000_000)), all(Fail, Ok, Ok, Ok));

        let alone = Tls { cert: write("leaf.pem", leaf.pem()), key: key.clone() };
        assert_eq!(levels(&alone, "id.example.com", now), all(Ok, Ok, Warn, Ok));
        let turned = Tls {
            cert: write("turned.pem", root.pem() + &leaf.pem()),
            key: write("root.key", root_key.serialize_pem()),
        };
        assert_eq!(levels(&turned, "id.example.com", now), all(Ok, Fail, Fail, Ok));
        let foreign = Tls { cert: full, key: write("other.pem", KeyPair::generate().unwrap().serialize_pem()) };
        assert_eq!(levels(&foreign, "id.example.com", now), all(Ok, Ok, Ok, Fail));
        let own = Tls { cert: write("own.pem", root.pem()), key: write("own.key", root_key.serialize_pem()) };
        assert_eq!(levels(&own, "id.example.com", now)[2], ("tls_chain", Warn));
        let none = Tls { cert: key.clone(), key };
        assert_eq!(levels(&none, "id.example.com", now), [("tls_certificate", Fail)]);
    }

    #[test]
    fn days_are_counted_down() {
        let leaf = |ends| Link { subject: vec![], issuer: vec![], issuer_name: String::new(), begins: at(-30), ends };
        let level = |days| lasting(&leaf(at(days)), Path::new("/c.pem"), at(0)).level;
        assert_eq!((level(60), level(30), level(29)), (Level::Ok, Level::Ok, Level::Warn));
        assert_eq!((level(7), level(6), level(-1)), (Level::Warn, Level::Fail, Level::Fail));
    }
}
