//! Messages and metadata of other projects' tests, each with the verdict that it has to have here.
//!
//! They lie outside the repository (`AUTHD_CORPORA`). A connection is set up for each message as it would have to be for
//! the message to be accepted: its audience, its address, its request, its date, and the key that it carries itself. What
//! is refused is then refused for its fault alone. Most are refused for SHA-1 or a key of 1024 bits, which is what the
//! field looked like when they were made.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uppsala::{Document, NodeId};

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, Expect, LogoutExpect, Want, names};
use authd::env::Timestamp;

use crate::world::saml::{Key, NOW, Prefixes, Signing, sign};

/// The folder, or a word that it is not there.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(super) fn corpora(name: &str) -> Option<PathBuf> {
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
pub(super) fn message(bytes: &[u8]) -> String {
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

/// Every file below a folder.
pub(super) fn below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { files.push(path) }
        }
    }
    files
}

/// Every file of the folder has the verdict of the list, and every line of the list has its file.
fn all_as_listed(folder: &str, listed: &str, verdict: impl Fn(&str, &[u8]) -> String) {
    let Some(folder) = corpora(folder) else { return };
    let files = below(&folder);
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
        if let Some([_, issuer, audience, acs]) = HOSTS.iter().find(|[sign, ..]| xml.contains(sign)) {
            (fitting.issuer, fitting.audience, fitting.acs) = ((*issuer).into(), (*audience).into(), (*acs).into());
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
        if name.ends_with(".md") {
            return "text".to_owned();
        }
        if !name.ends_with(".xml") {
            return certificate(bytes).to_owned();
        }
        if name.starts_with("logout") {
            return logout(&xml).to_owned();
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

/// What a connection could do with it: a key in it is strong enough, or too weak, or there is none.
fn certificate(bytes: &[u8]) -> &'static str {
    let text = std::str::from_utf8(bytes).ok();
    let read = text.and_then(saml::Certificate::from_text).or_else(|| saml::Certificate::read(bytes));
    match read {
        Some(read) if read.usable => "usable",
        Some(_) => "weak",
        None => "no_certificate",
    }
}

/// At the connection that the message is for, by its own word.
fn logout(xml: &str) -> &'static str {
    let fitting = Fitting::of(xml);
    let document = uppsala::parse(xml.trim()).unwrap();
    let root = document.document_element().unwrap();
    let key = Key::p256();
    let expect = LogoutExpect {
        idp_entity_id: &fitting.issuer,
        certificates: &[key.certificate],
        slo_url: document.get_attribute(root, "Destination").unwrap_or_default(),
        now: document.get_attribute(root, "IssueInstant").and_then(|text| text.parse().ok()).unwrap_or(NOW),
        skew: std::time::Duration::from_secs(120),
        algorithms: &[],
        request_id: document.get_attribute(root, "InResponseTo"),
    };
    saml::read_post(&STANDARD.encode(xml), &expect, &mut Checks::new())
        .map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn certificates_of_python3_saml() {
    all_as_listed("python3-saml/certs", "weak certificate1", |_, bytes| certificate(bytes).to_owned());
}

/// Each file lies where one of these tests looks; what is beside is a licence.
#[test]
fn nothing_of_the_corpora_is_passed_over() {
    for (folder, looked_at) in [
        ("python3-saml", &["responses", "metadata", "certs"][..]),
        ("samael", &["test_vectors"]),
        ("crewjam-saml", &["testdata"]),
    ] {
        let Some(folder) = corpora(folder) else { continue };
        for entry in std::fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name == "LICENSE" || looked_at.contains(&name.as_str()), "{name} in {}", folder.display());
        }
    }
}

#[test]
fn metadata_of_python3_saml() {
    all_as_listed("python3-saml/metadata", PYTHON_METADATA, |_, bytes| {
        let xml = String::from_utf8_lossy(bytes);
        saml::read_metadata(&xml, None, NOW)
            .map_or_else(|error| error.code().to_owned(), |metadata| format!("{}", metadata.certificates.len()))
    });
}

/// Who sends most of these messages: a text in it, issuer, our entity id, our address.
const HOSTS: &[[&str; 4]] = &[
    [
        "http://invalid.audience.com",
        "http://idp.example.com/",
        "http://stuff.com/endpoints/metadata.php",
        "http://stuff.com/endpoints/endpoints/acs.php",
    ],
    [
        "https://example.com/simplesaml",
        "https://example.com/simplesaml/saml2/idp/metadata.php",
        "https://example.com/newonelogin/demo1/metadata.php",
        "https://example.com/newonelogin/demo1/index.php?acs",
    ],
    [
        "https://pitbulk.no-ip.org/simplesaml",
        "https://pitbulk.no-ip.org/simplesaml/saml2/idp/metadata.php",
        "https://pitbulk.no-ip.org/newonelogin/demo1/metadata.php",
        "https://pitbulk.no-ip.org/newonelogin/demo1/index.php?acs",
    ],
];

const PYTHON: &str = "\
    saml_algorithm double_signed_encrypted_assertion.xml.base64
    saml_algorithm double_signed_encrypted_assertion2.xml.base64
    saml_algorithm double_signed_response.xml.base64
    saml_algorithm double_signed_response2.xml.base64
    saml_algorithm invalids/bad_reference.xml.base64
    saml_algorithm invalids/duplicated_attributes.xml.base64
    saml_algorithm invalids/empty_destination.xml.base64
    saml_algorithm invalids/empty_nameid.xml.base64
    saml_algorithm invalids/no_authnstatement.xml.base64
    saml_algorithm invalids/no_conditions.xml.base64
    saml_algorithm invalids/no_issuer_assertion.xml.base64
    saml_algorithm invalids/no_issuer_response.xml.base64
    saml_algorithm invalids/no_status.xml.base64
    saml_algorithm invalids/no_status_code.xml.base64
    saml_algorithm invalids/not_before_failed.xml.base64
    saml_algorithm invalids/signed_assertion_response.xml.base64
    saml_algorithm invalids/wrong_spnamequalifier.xml.base64
    saml_algorithm open_saml_response.xml
    saml_algorithm pretty_signed_message_response.xml
    saml_algorithm response1.xml.base64
    saml_algorithm response1_with_duplicate_attributes.xml.base64
    saml_algorithm response1_with_friendlyname.xml.base64
    saml_algorithm response_with_ampersands.xml
    saml_algorithm response_with_nested_nameid_values.xml.base64
    saml_algorithm signed_assertion_response.xml.base64
    saml_algorithm signed_assertion_response2.xml.base64
    saml_algorithm signed_message_encrypted_assertion.xml.base64
    saml_algorithm signed_message_encrypted_assertion2.xml.base64
    saml_algorithm signed_message_response.xml.base64
    saml_algorithm signed_message_response2.xml.base64
    saml_algorithm simple_saml_php.xml
    saml_algorithm valid_encrypted_assertion_encrypted_nameid.xml.base64
    saml_algorithm valid_response.xml.base64
    saml_algorithm valid_response2.xml.base64
    saml_algorithm valid_response_with_namequalifier.xml.base64
    saml_algorithm valid_response_without_inresponseto.xml.base64
    saml_issuer invalids/invalid_issuer_assertion.xml.base64
    saml_issuer invalids/invalid_issuer_message.xml.base64
    saml_reference response_without_assertion_reference_uri.xml.base64
    saml_reference response_without_reference_uri.xml.base64
    saml_signature_invalid adfs_response.xml.base64
    saml_signature_invalid response2.xml.base64
    saml_signature_invalid response3.xml.base64
    saml_signature_invalid response5.xml.base64
    saml_signature_missing decrypted_valid_encrypted_assertion.xml
    saml_signature_missing expired_response.xml.base64
    saml_signature_missing invalids/invalid_audience.xml.base64
    saml_signature_missing invalids/invalid_sessionindex.xml.base64
    saml_signature_missing invalids/invalid_subjectconfirmation_inresponse.xml.base64
    saml_signature_missing invalids/invalid_subjectconfirmation_nb.xml.base64
    saml_signature_missing invalids/invalid_subjectconfirmation_noa.xml.base64
    saml_signature_missing invalids/invalid_subjectconfirmation_recipient.xml.base64
    saml_signature_missing invalids/no_nameid.xml.base64
    saml_signature_missing invalids/no_signature.xml.base64
    saml_signature_missing invalids/no_subjectconfirmation_data.xml.base64
    saml_signature_missing invalids/no_subjectconfirmation_method.xml.base64
    saml_signature_missing no_audience.xml.base64
    saml_signature_missing pretty_decrypted_valid_encrypted_assertion.xml
    saml_signature_missing signed_encrypted_assertion.xml.base64
    saml_signature_missing signed_encrypted_assertion2.xml.base64
    saml_signature_missing unsigned_response.xml.base64
    saml_signature_missing unsigned_response_with_miliseconds.xm.base64
    saml_signature_missing valid_encrypted_assertion.xml.base64
    saml_signature_missing valid_unsigned_response.xml
    saml_signature_missing valid_unsigned_response.xml.base64
    saml_structure invalids/encrypted_attrs.xml.base64
    saml_structure invalids/encrypted_nameID_without_EncMethod.xml.base64
    saml_structure invalids/encrypted_nameID_without_keyinfo.xml.base64
    saml_structure invalids/multiple_assertions.xml.base64
    saml_structure invalids/no_id.xml.base64
    saml_structure invalids/no_key.xml.base64
    saml_structure invalids/no_saml2.xml.base64
    saml_structure invalids/not_after_failed.xml.base64
    saml_structure invalids/response_encrypted_attrs.xml.base64
    saml_structure invalids/signature_wrapping_attack.xml.base64
    saml_structure invalids/signature_wrapping_attack2.xml.base64
    saml_structure response4.xml.base64
    saml_structure response_encrypted_nameid.xml.base64
    saml_structure response_node_text_attack.xml.base64
    saml_structure response_with_ampersands.xml.base64
    saml_structure unsigned_assertion.xml.base64
    saml_structure wrapped_response_2.xml.base64
    upstream_denied invalids/status_code_responder.xml.base64
    upstream_denied invalids/status_code_responer_and_msg.xml.base64
";
const PYTHON_ANEW: &str = "\
    accepted adfs_response.xml.base64
    accepted double_signed_response.xml.base64
    accepted double_signed_response2.xml.base64
    accepted expired_response.xml.base64
    accepted invalids/bad_reference.xml.base64
    accepted invalids/duplicated_attributes.xml.base64
    accepted invalids/no_issuer_response.xml.base64
    accepted invalids/no_key.xml.base64
    accepted invalids/no_signature.xml.base64
    accepted invalids/signed_assertion_response.xml.base64
    accepted open_saml_response.xml
    accepted pretty_signed_message_response.xml
    accepted response1.xml.base64
    accepted response1_with_duplicate_attributes.xml.base64
    accepted response1_with_friendlyname.xml.base64
    accepted response3.xml.base64
    accepted response_with_ampersands.xml
    accepted response_with_nested_nameid_values.xml.base64
    accepted response_without_assertion_reference_uri.xml.base64
    accepted response_without_reference_uri.xml.base64
    accepted signed_assertion_response.xml.base64
    accepted signed_assertion_response2.xml.base64
    accepted signed_message_response.xml.base64
    accepted simple_saml_php.xml
    accepted valid_response.xml.base64
    accepted valid_response2.xml.base64
    accepted valid_response_with_namequalifier.xml.base64
    accepted valid_unsigned_response.xml
    accepted valid_unsigned_response.xml.base64
    saml_audience invalids/invalid_audience.xml.base64
    saml_audience invalids/no_conditions.xml.base64
    saml_audience no_audience.xml.base64
    saml_authn invalids/no_authnstatement.xml.base64
    saml_destination invalids/empty_destination.xml.base64
    saml_destination invalids/invalid_subjectconfirmation_recipient.xml.base64
    saml_destination response2.xml.base64
    saml_destination response5.xml.base64
    saml_expired invalids/invalid_subjectconfirmation_noa.xml.base64
    saml_in_response_to invalids/invalid_subjectconfirmation_inresponse.xml.base64
    saml_in_response_to valid_response_without_inresponseto.xml.base64
    saml_issuer invalids/invalid_issuer_assertion.xml.base64
    saml_issuer invalids/invalid_issuer_message.xml.base64
    saml_nameid invalids/empty_nameid.xml.base64
    saml_nameid invalids/invalid_sessionindex.xml.base64
    saml_nameid invalids/no_nameid.xml.base64
    saml_nameid invalids/wrong_spnamequalifier.xml.base64
    saml_nameid unsigned_response.xml.base64
    saml_nameid unsigned_response_with_miliseconds.xm.base64
    saml_not_yet_valid invalids/invalid_subjectconfirmation_nb.xml.base64
    saml_recipient decrypted_valid_encrypted_assertion.xml
    saml_recipient invalids/no_subjectconfirmation_data.xml.base64
    saml_recipient invalids/no_subjectconfirmation_method.xml.base64
    saml_recipient pretty_decrypted_valid_encrypted_assertion.xml
    saml_structure invalids/encrypted_attrs.xml.base64
    saml_structure invalids/encrypted_nameID_without_EncMethod.xml.base64
    saml_structure invalids/encrypted_nameID_without_keyinfo.xml.base64
    saml_structure invalids/multiple_assertions.xml.base64
    saml_structure invalids/no_id.xml.base64
    saml_structure invalids/no_status.xml.base64
    saml_structure invalids/no_status_code.xml.base64
    saml_structure invalids/not_after_failed.xml.base64
    saml_structure invalids/not_before_failed.xml.base64
    saml_structure invalids/response_encrypted_attrs.xml.base64
    saml_structure invalids/signature_wrapping_attack.xml.base64
    saml_structure invalids/signature_wrapping_attack2.xml.base64
    saml_structure response4.xml.base64
    saml_structure response_encrypted_nameid.xml.base64
    saml_structure response_node_text_attack.xml.base64
    saml_structure response_with_ampersands.xml.base64
    saml_structure wrapped_response_2.xml.base64
    unsignable double_signed_encrypted_assertion.xml.base64
    unsignable double_signed_encrypted_assertion2.xml.base64
    unsignable invalids/no_issuer_assertion.xml.base64
    unsignable invalids/no_saml2.xml.base64
    unsignable invalids/status_code_responder.xml.base64
    unsignable invalids/status_code_responer_and_msg.xml.base64
    unsignable signed_encrypted_assertion.xml.base64
    unsignable signed_encrypted_assertion2.xml.base64
    unsignable signed_message_encrypted_assertion.xml.base64
    unsignable signed_message_encrypted_assertion2.xml.base64
    unsignable signed_message_response2.xml.base64
    unsignable unsigned_assertion.xml.base64
    unsignable valid_encrypted_assertion.xml.base64
    unsignable valid_encrypted_assertion_encrypted_nameid.xml.base64
";
const CREWJAM: &str = "\
    1 SP_IDPMetadata
    1 TestSPCanHandleOktaResponseEncryptedAssertionBothSigned_IDPMetadata
    1 TestSPCanHandleOktaResponseEncryptedSignedAssertion_IDPMetadata
    1 TestSPCanHandleOktaSignedResponseEncryptedAssertion_IDPMetadata
    1 TestSPCanHandleOneloginResponse_IDPMetadata
    1 TestSPCanHandlePlaintextResponse_IDPMetadata
    1 TestSPRealWorldAssertionSignedNotResponse_idp_metadata
    1 TestSPRealWorldKeyInfoHasRSAPublicKeyNotX509Cert_idp_metadata
    1 TestSPRejectsInjectedComment_IDPMetadata
    1 TestSPRejectsMalformedResponse_IDPMetadata
    accepted TestSPCanHandlePlaintextResponse_response
    accepted TestSPRejectsInjectedComment_response
    accepted TestSPRejectsMalformedResponse_response
    saml_algorithm SP_SamlResponse
    saml_algorithm TestSPCanHandleOneloginResponse_response
    saml_algorithm TestSPRealWorldAssertionSignedNotResponse_response
    saml_algorithm TestSPRealWorldKeyInfoHasRSAPublicKeyNotX509Cert_response
    saml_algorithm TestServiceProviderCanHandleSignedAssertionsResponse_response
    saml_decrypt TestSPCanHandleOktaResponseEncryptedAssertionBothSigned_response
    saml_decrypt TestSPCanHandleOktaResponseEncryptedSignedAssertion_response
    saml_decrypt TestSPCanHandleOktaSignedResponseEncryptedAssertion_response
    saml_no_signing_cert TestServiceProviderCanHandleSignedAssertionsResponse_IDPMetadata
    saml_structure TestXswPermutationFiveIsRejected_response
    saml_structure TestXswPermutationOneIsRejected_response
    saml_structure TestXswPermutationThreeIsRejected_response
";
const SAMAEL: &str = "\
    1 idp_ecdsa_metadata.xml
    1 idp_metadata.xml
    metadata_invalid idp_metadata_nested.xml
    metadata_invalid sp_metadata.xml
    text README.md
    weak cert.pem
    usable ec_cert.der
    usable ec_cert.pem
    no_certificate ec_public.pem
    weak idp_2_metadata_public.pem
    usable idp_cert.der
    weak public.der
    no_certificate public.pem
    no_certificate public_key.der
    no_certificate public_key.pem
    usable sp_cert.der
    weak sp_cert.pem
    saml_algorithm response_signed.xml
    saml_algorithm response_signed__ecdsa-template.xml
    saml_algorithm response_signed_assertion.xml
    saml_algorithm response_signed_by_idp_2.xml
    saml_algorithm response_signed_by_idp_ecdsa.xml
    saml_algorithm response_signed_template.xml
    saml_no_signing_cert idp_2_metadata.xml
    saml_reference xpath_transform.xml
    saml_reference xpath_transform_template.xml
    saml_reference xpointer_attack_signed.xml
    saml_reference xpointer_attack_template.xml
    saml_signature_invalid multi_saml_response_signed.xml
    saml_signature_invalid multi_saml_response_signed_2.xml
    saml_signature_invalid multi_saml_response_template.xml
    saml_signature_missing response.xml
    saml_structure ancestor_attack_signed.xml
    saml_structure authn_request.xml
    saml_structure authn_request_sign_template.xml
    saml_signature_missing logout_request.xml
    saml_signature_missing logout_response.xml
    saml_structure object_attack_response.xml
    saml_structure object_attack_response_template.xml
    saml_structure response_encrypted.xml
    saml_structure response_encrypted_valid.xml
";
const PYTHON_METADATA: &str = "\
    1 idp_metadata.xml
    1 idp_metadata2.xml
    1 idp_metadata_different_sign_and_encrypt_cert.xml
    1 idp_metadata_same_sign_and_encrypt_cert.xml
    1 testshib-providers.xml
    2 idp_metadata_multi_certs.xml
    2 idp_metadata_multi_signing_certs.xml
    metadata_invalid entities_metadata.xml
    metadata_invalid expired_metadata_settings1.xml
    metadata_invalid idp_multiple_descriptors.xml
    metadata_invalid metadata_bad_order_settings1.xml
    metadata_invalid metadata_settings1.xml
    metadata_invalid no_expiration_mark_metadata.xml
    metadata_invalid noentity_metadata_settings1.xml
    metadata_invalid signed_metadata_settings1.xml
    metadata_invalid signed_metadata_settings2.xml
    metadata_invalid unparsed_metadata.xml
";
