//! What a person's attributes are called, and how many values they have.

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, Attributes, Fact};

use crate::world::saml::{Idp, posted, read, verdict};

/// The attributes of an answer with that statement.
fn attributes(statement: &str) -> Attributes {
    let idp = Idp::new();
    let old = "<saml:Attribute Name=\"email\">";
    let xml = idp.answer("ada").assertion(old, &format!("{statement}{old}")).xml();
    read(&xml, &idp.expect()).unwrap().attributes
}

fn one(name: &str, more: &str, values: &[&str]) -> String {
    let values: String =
        values.iter().map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>")).collect();
    format!("<saml:Attribute Name=\"{name}\"{more}>{values}</saml:Attribute>")
}

#[test]
fn all_values_of_an_attribute_are_kept_in_order() {
    let all = attributes(&(one("team", "", &["b", "a", "c"]) + &one("team", "", &["d"]) + &one("none", "", &[])));
    assert_eq!(all.named("team"), ["b", "a", "c", "d"], "one that stands twice is one with more values");
    assert!(all.named("none").is_empty() && all.named("missing").is_empty());
    assert_eq!(all.all().keys().map(String::as_str).collect::<Vec<_>>(), ["email", "groups", "none", "team"]);
    let nil = "<saml:Attribute Name=\"x\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><saml:AttributeValue xsi:nil=\"true\"/><saml:AttributeValue/><saml:AttributeValue> </saml:AttributeValue><saml:AttributeValue>v</saml:AttributeValue></saml:Attribute>";
    assert_eq!(attributes(nil).named("x"), ["v"], "nothing is no value");
    let nested = "<saml:Attribute Name=\"urn:oid:1.3.6.1.4.1.5923.1.1.1.10\"><saml:AttributeValue><saml:NameID>target</saml:NameID></saml:AttributeValue><saml:AttributeValue><x:y xmlns:x=\"urn:x\">z</x:y></saml:AttributeValue></saml:Attribute>";
    assert_eq!(attributes(nested).named("urn:oid:1.3.6.1.4.1.5923.1.1.1.10"), ["target"]);
}

#[test]
fn a_fact_is_found_by_each_of_its_names() {
    for fact in [Fact::GivenName, Fact::FamilyName, Fact::Name, Fact::Roles, Fact::Image] {
        for name in fact.names() {
            let all = attributes(&one(name, "", &["one", "two"]));
            assert_eq!(all.fact(fact), ["one", "two"], "{name}");
        }
    }
    // By its friendly name, where its name is one of the sender's own.
    let own = one("urn:own:1", " FriendlyName=\"givenName\"", &["Ada"]);
    assert_eq!(attributes(&own).fact(Fact::GivenName), ["Ada"]);
    assert_eq!(attributes(&own).named("givenName"), ["Ada"]);
    assert_eq!(attributes(&own).friendly().collect::<Vec<_>>(), [("givenName", "urn:own:1")]);
    // A name goes before a friendly name, and one that two attributes have stands for neither.
    let taken = one("urn:own:1", " FriendlyName=\"sn\"", &["no"]) + &one("sn", "", &["yes"]);
    assert_eq!(attributes(&taken).named("sn"), ["yes"]);
    let two = own.clone() + &one("urn:own:2", " FriendlyName=\"givenName\"", &["Eve"]);
    assert!(attributes(&two).fact(Fact::GivenName).is_empty());
    assert_eq!(
        attributes(&(own + &one("urn:own:1", " FriendlyName=\"givenName\"", &["B"]))).named("givenName"),
        ["Ada", "B"]
    );
}

#[test]
fn groups_that_were_left_out_are_noticed() {
    let idp = Idp::new();
    let link = one(
        "http://schemas.microsoft.com/claims/groups.link",
        "",
        &["https://graph.windows.net/tenant/users/id/getMemberObjects"],
    );
    let old = "<saml:Attribute Name=\"email\">";
    let xml = idp.answer("ada").assertion(old, &format!("{link}{old}")).xml();
    let mut checks = Checks::new();
    let verified = saml::read(&posted(&xml), &idp.expect(), &mut checks).unwrap();
    assert!(verified.attributes.group_overage());
    assert!(checks.rows().iter().any(|row| row.name == "groups_overage" && !row.ok));
    assert!(!read(&idp.answer("ada").xml(), &idp.expect()).unwrap().attributes.group_overage());
}

#[test]
fn attributes_have_names_and_bounds() {
    let idp = Idp::new();
    let old = "<saml:Attribute Name=\"email\">";
    let with = |statement: &str| idp.answer("ada").assertion(old, &format!("{statement}{old}")).xml();
    for wrong in
        [one("", "", &["x"]), one(" ", "", &["x"]), "<saml:Attribute/>".into(), one(&"x".repeat(513), "", &["x"])]
    {
        assert_eq!(verdict(&with(&wrong), &idp.expect()), Err("saml_structure"), "{wrong}");
    }
    for strange in ["<saml:EncryptedAttribute/>", "<x:Attribute xmlns:x=\"urn:x\" Name=\"y\"/>"] {
        assert_eq!(verdict(&with(strange), &idp.expect()), Err("saml_structure"), "{strange}");
    }
    let (long, many) = ("x".repeat(4_097), vec!["g"; 2_100]);
    let mut checks = Checks::new();
    let xml = with(&(one("long", "", &[&long]) + &one("many", "", &many)));
    let verified = saml::read(&posted(&xml), &idp.expect(), &mut checks).unwrap();
    assert!(verified.attributes.named("long").is_empty());
    assert!(verified.attributes.named("many").len() < 2_000 && verified.attributes.named("many").len() > 1_990);
    assert!(checks.rows().iter().any(|row| row.name == "attributes_cut" && !row.ok), "what is left out is said");
}
