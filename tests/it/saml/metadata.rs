//! SAML-17 and what providers write: metadata in every shape of the field.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use authd::connection::saml::{self, IdpMetadata, names};

use crate::world::saml::{Key, NOW, at, weak_certificate};

const ID: &str = "https://idp.example/metadata";

fn key_descriptor(usage: &str, certificate: &[u8]) -> String {
    format!(
        "<md:KeyDescriptor{usage}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
        STANDARD.encode(certificate)
    )
}

fn role(keys: &str) -> String {
    format!(
        r#"<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol urn:oasis:names:tc:SAML:2.0:protocol" WantAuthnRequestsSigned="true">{keys}<md:SingleLogoutService Binding="{redirect}" Location="https://idp.example/slo" ResponseLocation="https://idp.example/slo/done"/><md:NameIDFormat>{email}</md:NameIDFormat><md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="https://idp.example/soap"/><md:SingleSignOnService Binding="{post}" Location="https://idp.example/sso?a=b&amp;c=d"/><md:SingleSignOnService Binding="{redirect}" Location="https://idp.example/sso/redirect"/></md:IDPSSODescriptor>"#,
        redirect = names::REDIRECT,
        post = names::POST,
        email = names::EMAIL,
    )
}

fn entity(id: &str, inside: &str, more: &str) -> String {
    format!(
        r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{id}"{more}>{inside}</md:EntityDescriptor>"#
    )
}

fn read(xml: &str) -> Result<IdpMetadata, &'static str> {
    saml::read_metadata(xml, None, NOW).map_err(|error| error.code())
}

#[test]
fn saml_17_a_provider_without_a_key_that_signs() {
    let key = Key::rsa();
    let (cert, weak) = (&key.certificate, weak_certificate());
    let nothing: &[u8] = b"nonsense";
    for (keys, expected) in [
        (key_descriptor(r#" use="signing""#, cert), Ok(1)),
        // Without a use it is for both.
        (key_descriptor("", cert), Ok(1)),
        (key_descriptor(r#" use="encryption""#, cert), Err("saml_no_signing_cert")),
        (String::new(), Err("saml_no_signing_cert")),
        (
            "<md:KeyDescriptor><ds:KeyInfo><ds:KeyName>x</ds:KeyName></ds:KeyInfo></md:KeyDescriptor>".into(),
            Err("saml_no_signing_cert"),
        ),
        (key_descriptor("", nothing), Err("saml_no_signing_cert")),
        (key_descriptor("", &weak), Err("saml_no_signing_cert")),
        (key_descriptor("", cert) + &key_descriptor("", &weak), Ok(2)),
        (key_descriptor("", cert) + &key_descriptor(r#" use="signing""#, cert), Ok(1)),
    ] {
        let found = read(&entity(ID, &role(&keys), "")).map(|metadata| metadata.certificates.len());
        assert_eq!(found, expected, "{keys}");
    }
    let error = saml::read_metadata(&entity(ID, &role(&key_descriptor("", &weak)), ""), None, NOW).unwrap_err();
    assert!(error.next_step().unwrap().contains("RSA 1024"), "{:?}", error.next_step());
}

#[test]
fn what_a_provider_says_of_itself_is_read() {
    let keys = [Key::rsa(), Key::p256()];
    let both: String = keys.iter().map(|key| key_descriptor(r#" use="signing""#, &key.certificate)).collect();
    let xml = entity(ID, &role(&both), &format!(r#" validUntil="{}" cacheDuration="PT6H""#, at(86_400)));
    for xml in [
        xml.clone(),
        format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- made by hand -->\n<?x y?>{xml}\n<!-- end -->\n"
        ),
        xml.replace("md:", "").replace("xmlns:md=", "xmlns=").replace("xmlns:md", "xmlns"),
    ] {
        let metadata = read(&xml).unwrap();
        assert_eq!(metadata.entity_id, ID);
        assert_eq!(metadata.sso_by(names::POST).unwrap().location, "https://idp.example/sso?a=b&c=d");
        assert_eq!(metadata.sso_by(names::REDIRECT).unwrap().location, "https://idp.example/sso/redirect");
        assert_eq!(metadata.sso.len(), 2, "other bindings are not read");
        let slo = metadata.slo_by(names::REDIRECT).unwrap();
        assert_eq!(slo.response_location.as_deref(), Some("https://idp.example/slo/done"));
        assert!(metadata.want_authn_requests_signed);
        assert_eq!(metadata.name_id_formats, [names::EMAIL]);
        assert_eq!(metadata.valid_until.unwrap().to_string(), at(86_400));
        assert_eq!(metadata.cache_duration, Some(std::time::Duration::from_secs(6 * 3600)));
        let ders: Vec<&Vec<u8>> = metadata.certificates.iter().map(|certificate| &certificate.der).collect();
        assert_eq!(ders, keys.iter().map(|key| &key.certificate).collect::<Vec<_>>());
        assert_eq!(metadata.certificates[1].key, "ECDSA P-256");
    }
}

#[test]
fn roles_of_others_may_stand_between() {
    // As Entra and AD FS write it: a signature on top, roles of WS-Federation before and after.
    let key = Key::rsa();
    let other = r#"<md:RoleDescriptor xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706" xsi:type="fed:SecurityTokenServiceType" protocolSupportEnumeration="http://docs.oasis-open.org/wsfed/federation/200706"><md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><fed:ClaimTypesOffered/></md:RoleDescriptor>"#;
    let sp = r#"<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing"/></md:SPSSODescriptor>"#;
    let role = role(&key_descriptor(r#" use="signing""#, &key.certificate));
    for inside in [
        format!("{other}{role}{other}"),
        format!("{other}{other}{role}"),
        format!("{sp}{role}{sp}"),
        format!("{role}<md:Organization/><md:ContactPerson contactType=\"technical\"/>"),
    ] {
        let metadata = read(&entity(ID, &inside, "")).unwrap();
        assert_eq!(metadata.certificates.len(), 1, "only the keys of the role");
        assert_eq!(metadata.certificates[0].der, key.certificate);
    }
    assert_eq!(read(&entity(ID, sp, "")), Err("metadata_invalid"), "a service is no identity provider");
    let old = role.replace("urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.0:protocol");
    assert_eq!(read(&entity(ID, &old, "")), Err("metadata_invalid"));
}

#[test]
fn a_list_has_one_provider_or_one_is_named() {
    let key = Key::rsa();
    let idp = |id: &str| entity(id, &role(&key_descriptor("", &key.certificate)), "");
    let sp = entity(
        "https://sp.example",
        r#"<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/>"#,
        "",
    );
    let list = |inside: &str, more: &str| {
        format!(
            r#"<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"{more}>{inside}</md:EntitiesDescriptor>"#
        )
    };
    assert_eq!(read(&list(&format!("{sp}{}", idp(ID)), "")).unwrap().entity_id, ID);
    let two = list(&format!("{}{}", list(&idp(ID), ""), idp("https://other.example")), "");
    let error = saml::read_metadata(&two, None, NOW).unwrap_err();
    assert!(
        error.is(&authd::error::codes::METADATA_INVALID)
            && error.next_step().unwrap().contains("https://other.example")
    );
    for id in [ID, "https://other.example"] {
        assert_eq!(saml::read_metadata(&two, Some(id), NOW).unwrap().entity_id, id);
    }
    saml::read_metadata(&two, Some("https://third.example"), NOW).unwrap_err();
    // The date of a list around is the date of what is in it.
    let until = |seconds: i64| format!(r#" validUntil="{}""#, at(seconds));
    let nested = list(&list(&idp(ID), &until(60)), &until(600));
    assert_eq!(read(&nested).unwrap().valid_until.unwrap().to_string(), at(60));
    assert_eq!(read(&list(&idp(ID), &until(0))), Err("metadata_invalid"));
    assert_eq!(read(&entity(ID, &role(&key_descriptor("", &key.certificate)), &until(-1))), Err("metadata_invalid"));
}

#[test]
fn what_is_no_metadata_is_told_by_what_it_is() {
    let help = |xml: &str| saml::read_metadata(xml, None, NOW).unwrap_err().next_step().unwrap_or_default().to_owned();
    let sp = r#"<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/>"#;
    assert!(help(&entity(ID, sp, "")).contains("a service"), "{}", help(&entity(ID, sp, "")));
    assert!(help(&entity(ID, "", "")).contains("IDPSSODescriptor"));
    assert!(help("<html><body>Sign in</body></html>").contains("`html`"));
}

#[test]
fn what_cannot_be_used_is_refused() {
    let key = Key::rsa();
    let good = entity(ID, &role(&key_descriptor("", &key.certificate)), "");
    read(&good).unwrap();
    for (from, to, code) in [
        (format!(r#" entityID="{ID}""#), String::new(), "metadata_invalid"),
        (ID.to_owned(), " ".to_owned(), "metadata_invalid"),
        ("https://idp.example/sso".to_owned(), "javascript:alert(1)//".to_owned(), "metadata_invalid"),
        ("https://idp.example/sso".to_owned(), "//idp.example/sso".to_owned(), "metadata_invalid"),
        ("</md:EntityDescriptor>".to_owned(), String::new(), "metadata_invalid"),
        (
            "<md:EntityDescriptor".to_owned(),
            "<!DOCTYPE x [<!ENTITY y SYSTEM \"file:///etc/passwd\">]><md:EntityDescriptor".to_owned(),
            "saml_doctype",
        ),
        ("urn:oasis:names:tc:SAML:2.0:metadata".to_owned(), "urn:evil".to_owned(), "metadata_invalid"),
    ] {
        assert_eq!(read(&good.replace(&from, &to)), Err(code), "{from} -> {to}");
    }
    for nonsense in ["", "<", "<html></html>", "{\"issuer\":1}", "\0"] {
        assert_eq!(read(nonsense), Err("metadata_invalid"), "{nonsense}");
    }
}

#[test]
fn three_fields_by_hand_are_enough() {
    let (key, next) = (Key::rsa(), Key::p256());
    let base64 = STANDARD.encode(&key.certificate);
    let pem = |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let lines: String =
        base64.as_bytes().chunks(64).map(|line| format!("{}\r\n", str::from_utf8(line).unwrap())).collect();
    for (text, count) in [
        (base64.clone(), 1),
        (lines.clone(), 1),
        (pem(&lines), 1),
        (format!("Bag attributes\n{}", pem(&lines)), 1),
        (pem(&base64) + &pem(&STANDARD.encode(&next.certificate)), 2),
    ] {
        let metadata = IdpMetadata::from_fields(ID, " https://idp.example/sso ", &text).unwrap();
        assert_eq!(metadata.certificates.len(), count, "{text}");
        assert_eq!(metadata.certificates[0].der, key.certificate);
        assert_eq!(metadata.sso_by(names::REDIRECT).unwrap().location, "https://idp.example/sso");
    }
    for (id, url, certificate, code) in [
        ("", "https://idp.example", base64.as_str(), "metadata_invalid"),
        (ID, "idp.example", &base64, "metadata_invalid"),
        (ID, "javascript:alert(1)", &base64, "metadata_invalid"),
        (ID, "https://idp.example", "", "saml_no_signing_cert"),
        (ID, "https://idp.example", "nonsense", "saml_no_signing_cert"),
        (ID, "https://idp.example", &STANDARD.encode(weak_certificate()), "saml_no_signing_cert"),
    ] {
        let error = IdpMetadata::from_fields(id, url, certificate).unwrap_err();
        assert_eq!(error.code(), code, "{id} {url}");
    }
}
