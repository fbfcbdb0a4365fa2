//! Messages and metadata of other projects' tests, each with the verdict that it has to have here.
//!
//! They lie outside the repository (`AUTHD_CORPORA`). A connection is set up for each message as it would have to be for
//! the message to be accepted: its audience, its address, its request, its date, and the key that it carries itself. What
//! is refused is then refused for its fault alone. Most are refused for SHA-1 or a key of 1024 bits, which is what the
//! field looked like when they were made.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uppsala::{Document, NodeId};

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, Expect, Want, names};
use authd::env::Timestamp;

use crate::world::saml::{Key, NOW, Prefixes, Signing, sign};

/// The folder, or a word that it is not there.
fn corpora(name: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "where the corpora are is told to the tests by the environment")]
    let named = std::env::var("AUTHD_CORPORA").ok().map(PathBuf::from);
    let all = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"));
    let folder = all.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not there (set AUTHD_CORPORA)", folder.display());
    None
}

/// A message as it lies there: XML, or base64 of it.
fn message(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
        return text.into_owned();
    }
    let packed: String = text.split_whitespace().collect();
    String::from_utf8_lossy(&STANDARD.decode(packed).unwrap_or_default()).into_owned()
}

/// What a connection would have to be for the message to be accepted.
struct Fitting {
    issuer: String,
    audience: String,
    acs: String,
    request: Option<String>,
    now: Timestamp,
    certificates: Vec<Vec<u8>>,
}

impl Fitting {
    fn of(xml: &str) -> Self {
        let document = uppsala::parse(xml.trim()).unwrap_or_default();
        let first = |local: &str| document.get_elements_by_tag_name(local).first().copied();
        let text = |local: &str| first(local).map(|id| document.text_content_deep(id).trim().to_owned());
        let attribute = |node: Option<NodeId>, name: &str| {
            node.and_then(|id| document.get_attribute(id, name)).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let assertion = first("Assertion");
        let inner = assertion.and_then(|id| issuer_in(&document, id));
        let made = attribute(assertion.or(first("Response")), "IssueInstant");
        let certificate = text("X509Certificate").and_then(|text| saml::Certificate::from_text(&text));
        Self {
            issuer: inner.or_else(|| text("Issuer")).unwrap_or_else(|| "https://idp.example".into()),
            audience: text("Audience").unwrap_or_else(|| "https://sp.example".into()),
            acs: attribute(first("SubjectConfirmationData"), "Recipient")
                .or_else(|| attribute(first("Response"), "Destination"))
                .unwrap_or_else(|| "https://sp.example/acs".into()),
            request: attribute(first("Response"), "InResponseTo"),
            now: made.and_then(|text| text.parse().ok()).unwrap_or(NOW),
            certificates: certificate.into_iter().map(|certificate| certificate.der).collect(),
        }
    }

    fn expect(&self) -> Expect<'_> {
        Expect {
            idp_entity_id: &self.issuer,
            certificates: &self.certificates,
            sp_entity_id: &self.audience,
            acs_url: &self.acs,
            now: self.now,
            skew: std::time::Duration::from_secs(120),
            request_id: self.request.as_deref(),
            want: Want::default(),
            algorithms: &[],
            decryption_keys: &[],
            requested_acr: &[],
            max_age: None,
            max_size: saml::MAX_MESSAGE,
        }
    }

    fn verdict(&self, xml: &str) -> &'static str {
        let result = saml::read(&STANDARD.encode(xml), &self.expect(), &mut Checks::new());
        result.map_or_else(|error| error.code(), |_| "accepted")
    }
}

fn issuer_in(document: &Document<'_>, node: NodeId) -> Option<String> {
    let issuer = document.first_child_element_by_name_ns(node, names::ASSERTION, "Issuer")?;
    Some(document.text_content_deep(issuer).trim().to_owned())
}

/// Every file of the folder has the verdict of the list, and every line of the list has its file.
fn all_as_listed(folder: &str, listed: &str, verdict: impl Fn(&str, &[u8]) -> String) {
    let Some(folder) = corpora(folder) else { return };
    let mut files = Vec::new();
    let mut open = vec![folder.clone()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { files.push(path) }
        }
    }
    let mut found = Vec::new();
    for path in files {
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        found.push(format!("{} {name}", verdict(&name, &std::fs::read(&path).unwrap())));
    }
    found.sort();
    let mut expected: Vec<&str> = listed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    expected.sort_unstable();
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let wrong: Vec<_> = found.iter().filter(|line| !expected.contains(line)).collect();
    let missing: Vec<_> = expected.iter().filter(|line| !found.contains(line)).collect();
    assert!(wrong.is_empty() && missing.is_empty(), "found:\n{wrong:#?}\ninstead of:\n{missing:#?}");
}

#[test]
fn responses_of_python3_saml() {
    all_as_listed("python3-saml/responses", PYTHON, |_, bytes| {
        let xml = message(bytes);
        Fitting::of(&xml).verdict(&xml).to_owned()
    });
}

/// The same ones, signed anew as one has to now, at the connection that most of them are for: so their other faults show.
#[test]
fn responses_of_python3_saml_signed_anew() {
    let key = Key::rsa();
    all_as_listed("python3-saml/responses", PYTHON_ANEW, |_, bytes| {
        let xml = message(bytes);
        let Some(signed) = signed_anew(&xml, &key) else { return "unsignable".to_owned() };
        let mut fitting = Fitting::of(&xml);
        fitting.certificates = vec![key.certificate.clone()];
        if let Some((issuer, audience, acs)) = HOSTS.iter().find(|(issuer, ..)| xml.contains(issuer)) {
            (fitting.issuer, fitting.audience, fitting.acs) = (issuer.trim_end_matches('<').into(), (*audience).into(), (*acs).into());
        }
        fitting.verdict(&signed).to_owned()
    });
}

/// Without the signatures that it has, and with one over its first assertion.
fn signed_anew(xml: &str, key: &Key) -> Option<String> {
    let mut bare = xml.trim().to_owned();
    loop {
        let document = uppsala::parse(&bare).ok()?;
        let Some(signature) = document.get_elements_by_tag_name("Signature").first().copied() else { break };
        let place = document.node_range(signature)?;
        drop(document);
        bare.replace_range(place, "");
    }
    let document = uppsala::parse(&bare).ok()?;
    let assertion = document.get_elements_by_tag_name("Assertion").first().copied()?;
    document.first_child_element_by_name_ns(assertion, names::ASSERTION, "Issuer")?;
    let id = document.get_attribute(assertion, "ID")?.to_owned();
    Some(sign(&bare, &id, key, &Signing::with(key), &Prefixes::random()))
}

#[test]
fn responses_of_crewjam_saml() {
    all_as_listed("crewjam-saml/testdata", CREWJAM, |name, bytes| {
        let xml = message(bytes);
        if name.to_lowercase().contains("metadata") {
            return saml::read_metadata(&xml, None, Timestamp::from_millis(0))
                .map_or_else(|error| error.code().to_owned(), |metadata| format!("{}", metadata.certificates.len()));
        }
        let mut fitting = Fitting::of(&xml);
        // The key is not in all of them, but in the metadata beside.
        let beside = corpora("crewjam-saml/testdata").unwrap();
        for end in ["IDPMetadata", "idp_metadata", "IdpMetadata"] {
            let metadata = std::fs::read_to_string(beside.join(name.replace("response", end))).unwrap_or_default();
            if let Ok(metadata) = saml::read_metadata(&metadata, None, Timestamp::from_millis(0)) {
                fitting.certificates = metadata.certificates.into_iter().map(|certificate| certificate.der).collect();
            }
        }
        fitting.verdict(&xml).to_owned()
    });
}

#[test]
fn vectors_of_samael() {
    all_as_listed("samael/test_vectors", SAMAEL, |name, bytes| {
        let xml = message(bytes);
        if !name.ends_with(".xml") {
            return "other".to_owned();
        }
        if name.contains("metadata") {
            return saml::read_metadata(&xml, None, Timestamp::from_millis(0))
                .map_or_else(|error| error.code().to_owned(), |metadata| format!("{}", metadata.certificates.len()));
        }
        let mut fitting = Fitting::of(&xml);
        // Their keys lie beside them.
        let folder = corpora("samael/test_vectors").unwrap();
        for name in ["idp_cert.der", "ec_cert.der"] {
            fitting.certificates.push(std::fs::read(folder.join(name)).unwrap());
        }
        fitting.verdict(&xml).to_owned()
    });
}

#[test]
fn metadata_of_python3_saml() {
    all_as_listed("python3-saml/metadata", PYTHON_METADATA, |_, bytes| {
        let xml = String::from_utf8_lossy(bytes);
        saml::read_metadata(&xml, None, NOW)
            .map_or_else(|error| error.code().to_owned(), |metadata| format!("{}", metadata.certificates.len()))
    });
}

/// Who sends most of these messages: issuer, our entity id, our address.
const HOSTS: &[(&str, &str, &str)] = &[
    (
        "https://example.com/simplesaml/saml2/idp/metadata.php",
        "https://example.com/newonelogin/demo1/metadata.php",
        "https://example.com/newonelogin/demo1/index.php?acs",
    ),
    (
        "http://idp.example.com/<",
        "http://stuff.com/endpoints/metadata.php",
        "http://stuff.com/endpoints/endpoints/acs.php",
    ),
    (
        "https://pitbulk.no-ip.org/simplesaml/saml2/idp/metadata.php",
        "https://pitbulk.no-ip.org/newonelogin/demo1/metadata.php",
        "https://pitbulk.no-ip.org/newonelogin/demo1/index.php?acs",
    ),
];

const PYTHON: &str = "";
const PYTHON_ANEW: &str = "";
const CREWJAM: &str = "";
const SAMAEL: &str = "";
const PYTHON_METADATA: &str = "";
