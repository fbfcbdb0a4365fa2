//! A second and a third opinion: what is accepted here, other implementations accept, with the same name.
//!
//! saml-rs is a service provider in Rust; `xmlsec1` is the C library that most others use, as a command (skipped where it
//! is not installed).

use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saml_rs::{
    AcsEndpoint, BrowserInput, EntityId, FormField, IdpDescriptor, MetadataTrustPolicy, ReplayPolicy, Saml,
    SamlValidationContext, SpConfig, SpValidationPolicy, SsoResponse,
};

use authd::connection::saml::{Expect, names};

use crate::world::saml::{Idp, Key, MODES, Mode, NOW, Signing, posted, read};

/// What saml-rs makes of an answer that nobody asked for.
pub fn saml_rs(idp: &Idp, key: &Key, xml: &str) -> Result<String, String> {
    let told = |error: saml_rs::SamlError| format!("{error:?}");
    let sp = SpConfig::builder(EntityId::try_new(&idp.sp_entity_id).map_err(told)?)
        .acs_endpoint(AcsEndpoint::post(&idp.acs_url).map_err(told)?)
        .validation(SpValidationPolicy::recommended())
        .build()
        .map_err(told)?;
    let sp = Saml::sp(sp).map_err(told)?;
    let metadata = format!(
        r#"<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{}"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" WantAuthnRequestsSigned="false"><KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>{}</X509Certificate></X509Data></KeyInfo></KeyDescriptor><SingleSignOnService Binding="{}" Location="https://idp.example/sso"/></IDPSSODescriptor></EntityDescriptor>"#,
        idp.entity_id,
        STANDARD.encode(&key.certificate),
        names::REDIRECT,
    );
    let descriptor = IdpDescriptor::from_metadata_xml_for(
        EntityId::try_new(&idp.entity_id).map_err(told)?,
        &metadata,
        MetadataTrustPolicy::UnsignedForCompatibility,
    )
    .map_err(told)?;
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(NOW.millis()).unwrap());
    let validation = SamlValidationContext::new(now, ReplayPolicy::DisabledForCompatibility);
    let input = BrowserInput::<SsoResponse>::post(vec![FormField::new("SAMLResponse", posted(xml))]);
    let session = sp.accept_unsolicited_sso(&descriptor, input, validation).map_err(told)?;
    Ok(session.name_id().value().to_owned())
}

/// What `xmlsec1` makes of every signature in the document. `None` where it is not installed.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so, and one that fails says why")]
pub fn xmlsec1(key: &Key, xml: &str) -> Option<bool> {
    let folder = tempfile::tempdir().unwrap();
    let (message, certificate) = (folder.path().join("m.xml"), folder.path().join("c.der"));
    std::fs::write(&message, xml).unwrap();
    std::fs::write(&certificate, &key.certificate).unwrap();
    for n in 1..=xml.matches("SignedInfo>").count() / 2 {
        let output = Command::new("xmlsec1")
            .args(["--verify", "--enabled-reference-uris", "same-doc", "--pubkey-cert-der"])
            .arg(&certificate)
            .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"])
            .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:Response"])
            .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest"])
            .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor"])
            .args(["--node-xpath", &format!("(//*[local-name()='Signature'])[{n}]")])
            .arg(&message)
            .output();
        let Ok(output) = output else {
            println!("skipped: xmlsec1 is not installed");
            return None;
        };
        if !output.status.success() {
            println!("{}", String::from_utf8_lossy(&output.stderr));
            return Some(false);
        }
    }
    Some(true)
}

/// An answer that nobody asked for, which is what saml-rs takes without a request of its own.
pub fn unsolicited(idp: &Idp, name: &str, mode: Mode) -> String {
    let said = format!(r#" InResponseTo="{}""#, idp.request_id);
    let answer = idp.answer(name).mode(mode).response(&said, "");
    // Without the certificate: others compare it with theirs, and here nobody reads it.
    let how = Signing { key_info: String::new(), ..Signing::with(&idp.key) };
    answer.assertion(&said[1..], "").signed_with(&idp.key, &how)
}

#[test]
fn others_accept_what_is_accepted_here() {
    for key in [Key::rsa(), Key::p256()] {
        let idp = Idp::with(key);
        let expect = Expect { request_id: None, ..idp.expect() };
        for mode in MODES {
            for name in ["ada@own.example", "a &amp; b", "é&#x1F600;"] {
                let xml = unsolicited(&idp, name, mode);
                let ours = read(&xml, &expect).unwrap();
                assert_eq!(saml_rs(&idp, &idp.key, &xml), Ok(ours.name_id.value.clone()), "{mode:?} {xml}");
                assert_ne!(xmlsec1(&idp.key, &xml), Some(false), "{mode:?} {xml}");
                // samael's types read the same from the bytes that were signed.
                let whole: samael::schema::Response = xml.parse().unwrap();
                let subject =
                    whole.assertion.and_then(|assertion| assertion.subject).and_then(|subject| subject.name_id);
                assert_eq!(subject.unwrap().value, ours.name_id.value);
            }
        }
    }
}

#[test]
fn others_refuse_what_is_not_signed_by_the_pinned_key() {
    let idp = Idp::new();
    let stranger = Key::rsa();
    let expect = Expect { request_id: None, ..idp.expect() };
    for mode in MODES {
        let xml = unsolicited(&idp, "ada", mode);
        let forged = xml.replace(">ada<", ">eve<");
        assert_eq!(read(&forged, &expect).map(drop), Err("saml_signature_invalid"));
        saml_rs(&idp, &idp.key, &forged).unwrap_err();
        assert_ne!(xmlsec1(&idp.key, &forged), Some(true));
        assert_ne!(xmlsec1(&stranger, &xml), Some(true), "the oracle can say no");
        saml_rs(&idp, &stranger, &xml).unwrap_err();
    }
}

#[test]
fn others_verify_what_we_sign() {
    use authd::connection::saml::{self, AuthnRequest, Message, SpKey, SpMetadata};
    for key in [Key::rsa(), Key::p256()] {
        let ours = SpKey::from_parts(&key.pkcs8, &key.certificate).unwrap();
        let request = AuthnRequest {
            id: "_1",
            sp_entity_id: "https://sp.example/?a=b&c=d",
            acs_url: "https://sp.example/acs",
            destination: "https://idp.example/sso",
            now: NOW,
            name_id_format: None,
            force_authn: false,
            is_passive: false,
            class_refs: &[],
        };
        let xml = saml::authn_request(&request).unwrap();
        let form = saml::post_form("https://idp.example/sso", Message::Request, &xml, None, Some(&ours)).unwrap();
        let signed = String::from_utf8(STANDARD.decode(&form.fields[0].1).unwrap()).unwrap();
        assert_ne!(xmlsec1(&key, &signed), Some(false));
        assert_ne!(xmlsec1(&key, &signed.replace("sp.example/acs", "evil.example/acs")), Some(true));
        let metadata = SpMetadata {
            entity_id: "https://sp.example",
            acs_url: "https://sp.example/acs",
            slo_url: None,
            signing: &[&key.certificate],
            encryption: &[],
            requests_signed: true,
            want_assertions_signed: false,
            name_id_formats: &[],
        };
        let signed = saml::sp_metadata(&metadata, Some((&ours, "_2"))).unwrap();
        assert_ne!(xmlsec1(&key, &signed), Some(false));
    }
    // And the signer of these tests signs as others understand it, with prefixes by chance.
    let idp = Idp::new();
    for _ in 0..5 {
        let xml = idp.answer("ada").mode(Mode::Both).signed_with(&idp.key, &Signing::with(&idp.key));
        assert_ne!(xmlsec1(&idp.key, &xml), Some(false), "{xml}");
    }
}
