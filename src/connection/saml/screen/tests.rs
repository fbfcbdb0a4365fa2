use super::super::limits;
use super::*;

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// The code of the refusal and the check that failed: what it expected, and what it received.
fn refusal(text: &str, kind: Kind) -> Option<(&'static str, String, String)> {
    let mut checks = Checks::new();
    let tree = Tree::parse(text, &limits::MESSAGE, &mut checks).unwrap();
    let refused = screen(&tree, kind, &[RSA_SHA256], &mut checks).err()?;
    let last = checks.rows().iter().rfind(|check| !check.ok).expect("a refusal says why");
    let told = |value: &Option<String>| value.clone().unwrap_or_default();
    Some((refused.code(), told(&last.expected), told(&last.received)))
}

#[test]
fn what_was_decrypted_is_one_assertion_and_nothing_beside_it() {
    let wrapped = |inside: &str| format!("<aside xmlns:saml='{ASSERTION}' xmlns:samlp='{PROTOCOL}'>{inside}</aside>");
    let one = "<saml:Assertion ID='_1'/>";
    for inside in [
        String::new(),
        "<saml:Subject ID='_1'/>".into(),
        "<samlp:Response ID='_1'/>".into(),
        "<Assertion ID='_1'/>".into(),
        format!("{one}<saml:Assertion ID='_2'/>"),
        format!("{one} and a word"),
    ] {
        let (_, expected, _) = refusal(&wrapped(&inside), Kind::Decrypted).unwrap();
        assert_eq!(expected, "one Assertion inside", "{inside}");
    }
    assert_eq!(refusal(&wrapped(one), Kind::Decrypted), None);
}

#[test]
fn namespaces_may_be_as_much_text_as_canonicalization_can_bear() {
    let message = |more: usize| {
        let (long, last) = ("x".repeat(1_000), "y".repeat(more));
        let times = (MAX_NAMESPACE_TEXT - PROTOCOL.len()) / 1_000;
        let inside = "<x:e/>".repeat(times);
        format!(
            "<p:LogoutRequest xmlns:p='{PROTOCOL}' xmlns:x='{long}' xmlns:y='{last}' ID='_1'>{inside}<y:e/></p:LogoutRequest>"
        )
    };
    let most = (MAX_NAMESPACE_TEXT - PROTOCOL.len()) % 1_000;
    assert_eq!(refusal(&message(most), Kind::LogoutRequest), None);
    let (_, expected, _) = refusal(&message(most + 1), Kind::LogoutRequest).unwrap();
    assert_eq!(expected, "namespaces with short names");
}

/// A message with a signature of that shape; of no key.
fn signed(transforms: &str) -> String {
    let sum = "A".repeat(43) + "=";
    format!(
        "<p:LogoutRequest xmlns:p='{PROTOCOL}' xmlns:e='{EXC_C14N}' ID='_1'><d:Signature xmlns:d='{DSIG}'><d:SignedInfo>\
         <d:CanonicalizationMethod Algorithm='{EXC_C14N}'/><d:SignatureMethod Algorithm='{RSA_SHA256}'/><d:Reference URI='#_1'>\
         <d:Transforms>{transforms}</d:Transforms><d:DigestMethod Algorithm='{SHA256}'/>\
         <d:DigestValue>{sum}</d:DigestValue></d:Reference></d:SignedInfo><d:SignatureValue>{sum}</d:SignatureValue>\
         </d:Signature></p:LogoutRequest>"
    )
}

#[test]
fn the_two_transforms_stand_in_their_order_and_hold_nothing_else() {
    let (first, second) =
        (format!("<d:Transform Algorithm='{ENVELOPED}'/>"), format!("<d:Transform Algorithm='{EXC_C14N}'/>"));
    let refused = |transforms: &str| refusal(&signed(transforms), Kind::LogoutRequest).map(|(code, ..)| code);
    assert_eq!(refused(&format!("{first}{second}")), None);
    let holding =
        |algorithm: &str, inside: &str| format!("<d:Transform Algorithm='{algorithm}'>{inside}</d:Transform>");
    for transforms in [
        String::new(),
        first.clone(),
        format!("{second}{first}"),
        format!("{first}{first}"),
        format!("{second}{second}"),
        format!("{first}{second}{second}"),
        format!("<d:Other Algorithm='{ENVELOPED}'/>{second}"),
        format!("{first}<d:Other Algorithm='{EXC_C14N}'/>"),
        format!("{}{second}", holding(ENVELOPED, "a word")),
        format!("{first}{}", holding(EXC_C14N, "a word")),
        format!("{}{second}", holding(ENVELOPED, "<p:e/>")),
    ] {
        assert_eq!(refused(&transforms), Some("saml_reference"), "{transforms}");
    }
    for (count, taken) in [(MAX_PREFIXES, true), (MAX_PREFIXES + 1, false)] {
        let list = "p ".repeat(count);
        let inside = format!("<e:InclusiveNamespaces PrefixList='{list}'/>");
        let transforms = format!("{first}{}", holding(EXC_C14N, &inside));
        assert_eq!(refused(&transforms).is_none(), taken, "{count} prefixes");
    }
}

#[test]
fn what_is_named_twice_or_strangely_is_called_what_it_is() {
    for (outer, inner, called) in [
        ("ID='_1' Id='_2'", "", "an element with two IDs"),
        ("ID='_1'", "id='_2' AssertionID='_3'", "an element with two IDs"),
        ("ID='_1'", "iD='_1'", "an ID that stands twice"),
        ("Id='_1'", "", "none, or one with strange characters"),
        ("ID='_ 1'", "", "none, or one with strange characters"),
    ] {
        let message = format!("<p:LogoutRequest xmlns:p='{PROTOCOL}' {outer}><p:e {inner}/></p:LogoutRequest>");
        assert_eq!(refusal(&message, Kind::LogoutRequest).unwrap().2, called, "{outer} {inner}");
    }
    let message = format!("<p:LogoutRequest xmlns:p='{PROTOCOL}' ID='_1'><p:e ID='_2'/></p:LogoutRequest>");
    assert_eq!(refusal(&message, Kind::LogoutRequest), None);
}

#[test]
fn an_id_of_another_namespace_is_called_what_it_is() {
    for (id, called) in [("xml:id", "xml:id"), ("o:ID", "an ID of another namespace")] {
        let message = format!("<p:LogoutRequest xmlns:p='{PROTOCOL}' xmlns:o='urn:o' ID='_1' {id}='_2'/>");
        assert_eq!(refusal(&message, Kind::LogoutRequest).unwrap().2, called);
    }
}
