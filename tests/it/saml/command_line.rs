//! A SAML connection by the command line: metadata and keys come from files.

use serde_json::Value;

use super::scene::pem;
use crate::cli::Place;
use crate::world::saml::{Idp, Key, metadata};

#[test]
fn metadata_certificates_and_keys_come_from_files() {
    let place = Place::new();
    let write = |name: &str, text: &str| {
        let path = place.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let organization = place.run(&["org", "create", "--name", "N", "--json"]).id();
    let (idp, key) = (Idp::new(), Key::rsa());
    let create = ["connection", "create", "--org", &organization, "--protocol", "saml", "--name", "N", "--json"];
    let made = place.run(&create).json();
    assert_eq!(made["ready"], false, "{made}");
    let id = made["id"].as_str().unwrap().to_owned();
    let xml = write("metadata.xml", &metadata(&idp, false));
    let set = |more: &[&str]| place.run(&[&["connection", "set-saml", &id, "--json"], more].concat());
    let view = set(&["--metadata-file", &xml]).json();
    let known = |view: &Value| view["identityProvider"].clone();
    assert_eq!(known(&view)["entityId"], idp.entity_id);
    assert_eq!(known(&view)["ssoUrl"], "https://idp.example/sso?tenant=1");

    let (certificate, private) = (write("cert.pem", &pem(&key.certificate)), write("key.pem", &key.pem()));
    let view = set(&["--sp-signing-cert-file", &certificate, "--sp-private-key-file", &private]);
    assert!(!view.out.contains("PRIVATE"), "{}", view.out);
    let shown = view.json()["serviceProvider"]["certificate"].as_str().unwrap().replace('\n', "");
    assert_eq!(shown, pem(&key.certificate).replace('\n', ""));

    // The five facts that people copy, at once.
    let facts = ["--idp-entity-id", "https://other.example", "--idp-sso-url", "https://other.example/sso"];
    let more = ["--idp-certificate-file", &*certificate, "--sp-entity-id", "https://sp.example"];
    let made = place.run(&[&create[..], &facts, &more, &["--sp-acs-url", "https://app.example/acs"]].concat()).json();
    assert_eq!(known(&made["saml"])["entityId"], "https://other.example");
    assert_eq!(made["saml"]["serviceProvider"]["entityId"], "https://sp.example");
    assert_eq!(made["callbackUrl"], "https://app.example/acs");

    for (text, code) in [("<a/>", "metadata_invalid"), ("<!DOCTYPE a><a/>", "saml_doctype")] {
        let refused = set(&["--metadata-file", &write("bad.xml", text)]);
        assert!(refused.code == 1 && refused.err.contains(code), "{}", refused.err);
    }
    assert_eq!(set(&["--metadata-file", "nowhere.xml"]).code, 1);
    let unchanged = place.run(&["connection", "get-saml", &id, "--json"]).json();
    assert_eq!(known(&unchanged)["entityId"], idp.entity_id);
    let rotated = place.run(&["connection", "rotate-saml-key", &id, "--step", "prepare", "--json"]).json();
    assert!(rotated["serviceProvider"]["nextCertificate"].is_string(), "{rotated}");
}
