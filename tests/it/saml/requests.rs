//! Sign-in requests and our metadata, as their readers see them.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use samael::metadata::EntityDescriptor;

use authd::connection::saml::{self, AuthnRequest, Message, SpKey, SpMetadata, names};
use authd::env::Env;

use crate::world::saml::{Key, NOW};

/// Characters that would change the shape of XML or HTML.
const SHARP: &str = "https://sp.example/?a=1&b=\"<'>";

fn request(id: &str) -> String {
    saml::authn_request(&AuthnRequest {
        id,
        sp_entity_id: SHARP,
        acs_url: SHARP,
        destination: SHARP,
        now: NOW,
        name_id_format: Some(names::PERSISTENT),
        force_authn: true,
        is_passive: false,
        class_refs: &["urn:a&b".into(), "urn:c".into()],
    })
    .unwrap()
}

/// Shows that the bytes were signed by that key, by hand.
fn verified(key: &Key, algorithm: &str, bytes: &[u8], signature: &[u8]) -> bool {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use x509_parser::prelude::FromDer as _;
    let (_, parsed) = x509_parser::prelude::X509Certificate::from_der(&key.certificate).unwrap();
    let public = parsed.public_key().subject_public_key.data.to_vec();
    let ecdsa = algorithm == names::ECDSA_SHA256;
    if ecdsa {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(bytes, signature).is_ok()
    } else {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(bytes, signature).is_ok()
    }
}

#[test]
fn a_request_says_what_was_asked_for() {
    let env = Env::frozen();
    let (one, two) = (saml::new_id(&env), saml::new_id(&env));
    assert!(one != two && one.len() == 41 && one.starts_with('_'), "160 bits: {one}");
    let xml = request(&one);
    let read: samael::schema::AuthnRequest = xml.parse().unwrap();
    assert_eq!(read.id, one);
    assert_eq!(read.issuer.unwrap().value.as_deref(), Some(SHARP));
    assert_eq!(read.destination.as_deref(), Some(SHARP));
    assert_eq!(read.assertion_consumer_service_url.as_deref(), Some(SHARP));
    assert_eq!(read.protocol_binding.as_deref(), Some(names::POST));
    assert_eq!(read.force_authn, Some(true));
    assert_eq!(read.is_passive, None);
    assert_eq!(read.name_id_policy.unwrap().format.as_deref(), Some(names::PERSISTENT));
    assert_eq!(read.issue_instant.timestamp_millis(), NOW.millis());
    let classes = read.requested_authn_context.unwrap().authn_context_class_refs.unwrap();
    let classes: Vec<_> = classes.into_iter().filter_map(|class| class.value).collect();
    assert_eq!(classes, ["urn:a&b", "urn:c"]);
}

#[test]
fn a_redirect_is_signed_over_the_octets_that_are_sent() {
    let env = Env::frozen();
    for key in [Key::rsa(), Key::p256()] {
        let ours = SpKey::from_parts(&key.pkcs8, &key.certificate).unwrap();
        let xml = request(&saml::new_id(&env));
        for (location, start) in [
            ("https://idp.example/sso", "https://idp.example/sso?SAMLRequest="),
            ("https://idp.example/sso?", "https://idp.example/sso?SAMLRequest="),
            ("https://idp.example/sso?tenant=a&x=%20", "https://idp.example/sso?tenant=a&x=%20&SAMLRequest="),
            ("https://idp.example/sso#there", "https://idp.example/sso?SAMLRequest="),
        ] {
            let url = saml::redirect_url(location, Message::Request, &xml, Some("st&ate"), Some(&ours)).unwrap();
            assert!(url.starts_with(start), "{url}");
            let query = &url[url.find("SAMLRequest=").unwrap()..];
            let (octets, signature) = query.split_once("&Signature=").unwrap();
            let decoded: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let names: Vec<&str> = decoded.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["SAMLRequest", "RelayState", "SigAlg", "Signature"]);
            assert_eq!(decoded[1].1, "st&ate");
            assert_eq!(decoded[2].1, key.algorithm());
            assert!(!signature.is_empty());
            let signature = STANDARD.decode(&decoded[3].1).unwrap();
            assert!(verified(&key, key.algorithm(), octets.as_bytes(), &signature));
            assert!(!verified(&key, key.algorithm(), octets.replace("st", "ts").as_bytes(), &signature));
            let packed = STANDARD.decode(&decoded[0].1).unwrap();
            let mut text = String::new();
            flate2::read::DeflateDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
            assert_eq!(text, xml);
        }
    }
    let xml = request("_1");
    let plain = saml::redirect_url("https://idp.example/sso", Message::Request, &xml, None, None).unwrap();
    assert!(!plain.contains("SigAlg") && !plain.contains("RelayState"));
    let long = "x".repeat(81);
    saml::redirect_url("https://idp.example/sso", Message::Request, &xml, Some(&long), None).unwrap_err();
    saml::post_form("https://idp.example/sso", Message::Request, &xml, Some(&long), None).unwrap_err();
}

#[test]
fn a_posted_request_has_its_signature_after_the_issuer() {
    let env = Env::frozen();
    for key in [Key::rsa(), Key::p256()] {
        let ours = SpKey::from_parts(&key.pkcs8, &key.certificate).unwrap();
        let xml = request(&saml::new_id(&env));
        let form =
            saml::post_form("https://idp.example/sso", Message::Request, &xml, Some("state"), Some(&ours)).unwrap();
        assert_eq!(form.action, "https://idp.example/sso");
        let signed = String::from_utf8(STANDARD.decode(&form.fields[0].1).unwrap()).unwrap();
        assert!(signed.contains("</saml2:Issuer><ds:Signature"), "{signed}");
        assert!(library_says(&signed, &key));
        assert!(!library_says(&signed.replace("ForceAuthn=\"true\"", "ForceAuthn=\"false\""), &key));
        assert!(!library_says(&signed, &Key::rsa()), "another key");
        let plain = saml::post_form("https://idp.example/sso", Message::Request, &xml, None, None).unwrap();
        assert_eq!(STANDARD.decode(&plain.fields[0].1).unwrap(), xml.as_bytes());
    }
}

/// What the signature library makes of the document as a whole.
fn library_says(xml: &str, key: &Key) -> bool {
    let mut manager = bergshamra::KeysManager::new();
    manager.add_key(bergshamra::keys::loader::load_x509_cert_der(&key.certificate).unwrap());
    let context = bergshamra::DsigContext::new(manager);
    bergshamra::verify(&context, xml).is_ok_and(|result| result.is_valid())
}

#[test]
fn our_metadata_says_what_an_administrator_needs() {
    let (key, next) = (Key::rsa(), Key::rsa());
    let certificates = [key.certificate.as_slice(), next.certificate.as_slice()];
    let metadata = SpMetadata {
        entity_id: SHARP,
        acs_url: SHARP,
        slo_url: Some(SHARP),
        signing: &certificates,
        encryption: &certificates[..1],
        requests_signed: true,
        want_assertions_signed: true,
        name_id_formats: &[names::EMAIL, names::PERSISTENT],
    };
    let xml = saml::sp_metadata(&metadata, None).unwrap();
    let read: EntityDescriptor = xml.parse().unwrap();
    assert_eq!(read.entity_id.as_deref(), Some(SHARP));
    let role = &read.sp_sso_descriptors.unwrap()[0];
    let keys = role.key_descriptors.as_ref().unwrap();
    let uses: Vec<&str> = keys.iter().map(|key| key.key_use.as_deref().unwrap()).collect();
    assert_eq!(uses, ["signing", "signing", "encryption"]);
    let first = &keys[0].key_info.x509_data.as_ref().unwrap().certificates[0];
    assert_eq!(STANDARD.decode(first).unwrap(), key.certificate);
    assert_eq!(role.assertion_consumer_services[0].location, SHARP);
    assert_eq!(role.assertion_consumer_services[0].binding, names::POST);
    assert_eq!(role.single_logout_services.as_ref().unwrap().len(), 2);
    assert_eq!(role.authn_requests_signed, Some(true));
    assert_eq!(role.want_assertions_signed, Some(true));
    assert_eq!(role.name_id_formats.as_ref().unwrap().len(), 2);

    let ours = SpKey::from_parts(&key.pkcs8, &key.certificate).unwrap();
    let signed = saml::sp_metadata(&metadata, Some((&ours, "_m1"))).unwrap();
    let first = signed.find("<ds:Signature").unwrap();
    assert!(first < signed.find("<md:SPSSODescriptor").unwrap(), "first, as the schema has it");
    assert!(library_says(&signed, &key));
    assert!(!library_says(&signed.replace("WantAssertionsSigned=\"true\"", "WantAssertionsSigned=\"false\""), &key));
    signed.parse::<EntityDescriptor>().unwrap();
}

#[test]
fn our_own_key_is_made_and_kept_in_two_parts() {
    let env = Env::frozen();
    let key = SpKey::generate(&env, &"authd for a very long name ".repeat(5)).unwrap();
    let again = SpKey::from_parts(key.pkcs8(), key.certificate()).unwrap();
    assert_eq!(again.algorithm(), names::RSA_SHA256);
    let read = saml::Certificate::read(key.certificate()).unwrap();
    assert!(read.usable && read.subject.starts_with("CN=authd"), "{read:?}");
    assert!(read.not_before < env.now() && read.not_after.seconds() - env.now().seconds() > 9 * 365 * 86_400);
    key.decryption().unwrap();
    assert_eq!(format!("{key:?} {:?}", key.decryption().unwrap()), "SpKey DecryptionKey");
    let other = Key::rsa();
    for (pkcs8, certificate) in [
        (key.pkcs8(), other.certificate.as_slice()),
        (other.pkcs8.as_slice(), key.certificate()),
        (&[][..], key.certificate()),
        (key.pkcs8(), &[][..]),
        (key.certificate(), key.pkcs8()),
    ] {
        assert_eq!(SpKey::from_parts(pkcs8, certificate).unwrap_err().code(), "invalid_input");
    }
    let ecdsa = Key::p256();
    let ecdsa = SpKey::from_parts(&ecdsa.pkcs8, &ecdsa.certificate).unwrap();
    assert_eq!(ecdsa.algorithm(), names::ECDSA_SHA256);
    ecdsa.decryption().unwrap_err();
}
