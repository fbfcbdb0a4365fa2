use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn person() -> Map<String, Value> {
    let person = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "usr_1", "externalId": "Ext-1", "userName": "Ada@Acme.test", "active": true, "title": "Countess",
        "name": {"familyName": "O'Malley", "givenName": "Ada"},
        "emails": [
            {"value": "ada@acme.test", "type": "work", "primary": true},
            {"value": "ada@home.test", "type": "home"},
        ],
        "meta": {"lastModified": "2026-05-13T04:42:34Z", "resourceType": "User"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Engines", "manager": {"value": "usr_9"}},
        "urn:acme:2.0:Badge": {"number": 7, "colour": "Red"},
    });
    person.as_object().unwrap().clone()
}

fn parse(text: &str) -> Result<Filter> {
    Filter::parse(ResourceKind::User, text)
}

#[track_caller]
fn holds(text: &str) -> bool {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).matches(&person())
}

#[test]
fn every_operator_says_what_it_says() {
    for text in [
        r#"userName eq "ada@acme.test""#,
        r#"USERNAME EQ "ADA@ACME.TEST""#,
        r#"userName sw "ADA""#,
        r#"userName ew ".test""#,
        r#"userName co "@acme""#,
        r#"userName ne "bob""#,
        r#"name.familyName co "O'Malley""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "A""#,
        r#"URN:ietf:params:scim:schemas:core:2.0:user:USERNAME sw "a""#,
        r#"title pr"#,
        r#"title pr and userType ne "Employee""#,
        r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified ge "2026-05-13T06:42:34+02:00""#,
        r#"meta.lastModified lt "2027-01-01T00:00:00.000Z""#,
        r#"meta.lastModified eq "2026-05-13T04:42:34.000Z""#,
        r#"not (userName eq "bob")"#,
        r#"not(nickName pr)"#,
        r#"emails[type eq "work" and value co "@acme.test"]"#,
        r#"emails[type eq "work"].value eq "ada@acme.test""#,
        r#"emails co "home.test""#,
        r#"emails.type eq "home""#,
        r#"emails[not (type eq "work") and value pr]"#,
        r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#,
        r#"active eq true"#,
        r#"active eq True"#,
        r#"active eq "True""#,
        r#"active ne false"#,
        r#"nickName eq null"#,
        r#"title ne null"#,
        r#"id eq "usr_1" and externalId eq "Ext-1""#,
        r#"userName eq "x" or title pr and active eq true"#,
        r#"(userName eq "x" or title pr) and active eq true"#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "engines""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager eq "usr_9""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "usr_9""#,
        r#"urn:acme:2.0:Badge:colour eq "red""#,
        r#"urn:acme:2.0:Badge:number gt 6.5"#,
        r#"title gt "b" and title lt "d""#,
        r#"  title   eq   "countess"  "#,
        r#"title eq "\u0063ountess""#,
    ] {
        assert!(holds(text), "{text}");
    }
    for text in [
        r#"userName eq "ada""#,
        r#"externalId eq "ext-1""#,
        r#"id eq "USR_1""#,
        r#"userName ne "ADA@acme.test""#,
        r#"emails[type eq "work" and value co "home"]"#,
        r#"emails[type eq "work"].value eq "ada@home.test""#,
        r#"emails ne "ada@home.test""#,
        r#"nickName pr"#,
        r#"nickName eq "x""#,
        r#"active eq False"#,
        r#"not (title pr)"#,
        r#"title eq null"#,
        r#"userName eq "x" and title pr or active eq false"#,
        r#"urn:acme:2.0:Badge:size eq "L""#,
        r#"urn:nobody:1.0:X:y pr"#,
        r#"meta.lastModified gt "2026-05-13T04:42:34Z""#,
    ] {
        assert!(!holds(text), "{text}");
    }
}

/// SCIM-03: what is wrong is refused, and never means everything.
pub const WRONG: &[&str] = &[
    "",
    " ",
    "userName",
    "userName eq",
    "userName eq ",
    "userName eq bob",
    "userName eq 'bob'",
    "userName eq \"bob",
    "userName eq \"bob\" and",
    "userName eq \"bob\" or or title pr",
    "userName eq \"bob\" title pr",
    "userName eq \"bob\"and title pr",
    "userName eq\"bob\"",
    "userName xx \"bob\"",
    "eq \"bob\"",
    "\"bob\" eq userName",
    "(userName eq \"bob\"",
    "userName eq \"bob\")",
    "()",
    "not userName pr",
    "not ()",
    "not",
    "and",
    "userName pr \"bob\"",
    "userName eq {\"a\":1}",
    "userName eq [1]",
    "userName eq 7",
    "userName eq true",
    "active gt true",
    "active co \"t\"",
    "active eq \"yes\"",
    "active eq 1",
    "meta.lastModified gt \"yesterday\"",
    "meta eq \"x\"",
    "name eq \"x\"",
    "userName.value eq \"x\"",
    "userName[type eq \"work\"]",
    "emails[type eq \"work\"",
    "emails[type eq \"work\"]]",
    "emails[]",
    "emails[emails[type eq \"work\"]]",
    "emails[colour eq \"x\"]",
    "emails[type eq \"work\"].colour eq \"x\"",
    "emails.type.x eq \"y\"",
    "colour eq \"red\"",
    "user name eq \"x\"",
    "userName eq \"\\x\"",
    "userName eq \"a\nb\"",
    "userName\u{a0}eq \"x\"",
    "userName eq 01",
    "urn:ietf:params:scim:schemas:core:2.0:User eq \"x\"",
    "urn:ietf:params:scim:schemas:core:2.0:User:colour pr",
    "urn: eq \"x\"",
    "nickName gt null",
    "userName eq \"x\" AND (title pr",
    "userName eq \"x\"; drop",
    "1 eq 1",
    "*",
    "%",
];

#[test]
fn scim_03_what_is_no_filter_is_refused() {
    for text in WRONG {
        let error = parse(text).expect_err(text);
        assert!(error.is(&codes::INVALID_FILTER), "{text}: {}", error.code());
    }
}

#[test]
fn scim_02_t_19_no_depth_reaches_the_stack() {
    for n in [10usize, 21, 100, 1_000, 100_000, 1_000_000] {
        for text in [
            "(".repeat(n),
            "not (".repeat(n),
            format!("{}title pr{}", "(".repeat(n), ")".repeat(n)),
            format!("{}title pr{} x", "not (".repeat(n), ")".repeat(n)),
            format!("{}title pr", "title pr and ".repeat(n)),
            format!("{}title pr", "title pr or ".repeat(n)),
            "emails[".repeat(n),
            format!("{}title pr", "[(".repeat(n)),
            format!("title eq \"{}\"", "(".repeat(n)),
        ] {
            match parse(&text) {
                Ok(_) => assert!(text.len() <= LONGEST, "{n}"),
                Err(error) => assert!(error.is(&codes::INVALID_FILTER)),
            }
        }
    }
    // The bounds are where they are said to be.
    let nested = |n: usize| parse(&format!("{}title pr{}", "(".repeat(n), ")".repeat(n))).is_ok();
    assert!(nested(DEEPEST) && !nested(DEEPEST + 1));
    let terms = |n: usize| parse(&vec!["title pr"; n].join(" or ")).is_ok();
    assert!(terms(MOST_TERMS) && !terms(MOST_TERMS + 1));
    let long = |n: usize| parse(&format!("title eq \"{}\"", "x".repeat(n - 11))).is_ok();
    assert!(long(LONGEST) && !long(LONGEST + 1));
    // Brackets in a text are no nesting.
    assert!(parse(&format!("title eq \"{}\"", "(".repeat(100))).is_ok());
}

#[test]
fn what_an_index_can_serve_is_found_and_nothing_else() {
    let required = |text: &str| -> Vec<(String, String)> {
        parse(text).unwrap().required().iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(required(r#"username eq "x""#), [pair("userName", "x")]);
    assert_eq!(required(r#"title pr and (active eq true and userName eq "x")"#), [pair("userName", "x")]);
    assert!(required(r#"userName eq "x" or externalId eq "y""#).is_empty());
    assert!(required(r#"not (userName eq "x")"#).is_empty());
    assert!(required(r#"userName sw "x""#).is_empty());
    assert!(required(r#"name.givenName eq "x""#).is_empty());
    assert!(parse(r#"title pr and groups.value eq "x""#).unwrap().mentions("groups"));
    assert!(!parse(r#"title pr"#).unwrap().mentions("groups"));
}

/// A filter of a model, and its text.
#[derive(Clone, Debug)]
enum Model {
    Is(usize, usize),
    Present(usize),
    Not(Box<Model>),
    Both(Box<Model>, Box<Model>),
    Either(Box<Model>, Box<Model>),
}

const NAMES: [&str; 3] = ["title", "nickName", "userType"];
const VALUES: [&str; 3] = ["a", "B", "c\"(\\"];

impl Model {
    fn text(&self, flip: bool) -> String {
        let cased = |text: &str| if flip { text.to_uppercase() } else { text.to_owned() };
        match self {
            Self::Is(name, value) => {
                format!("{} {} {}", cased(NAMES[*name]), cased("eq"), serde_json::to_string(VALUES[*value]).unwrap())
            }
            Self::Present(name) => format!("{} {}", cased(NAMES[*name]), cased("pr")),
            Self::Not(one) => format!("{} ({})", cased("not"), one.text(!flip)),
            Self::Both(one, other) => format!("({}) {} ({})", one.text(flip), cased("and"), other.text(!flip)),
            // Without brackets: `and` binds closer than `or`, and both sides are in brackets or single.
            Self::Either(one, other) => format!("({} {} {})", one.text(flip), cased("or"), other.text(flip)),
        }
    }

    fn holds(&self, of: &[Option<usize>; 3]) -> bool {
        match self {
            Self::Is(name, value) => of[*name] == Some(*value),
            Self::Present(name) => of[*name].is_some(),
            Self::Not(one) => !one.holds(of),
            Self::Both(one, other) => one.holds(of) && other.holds(of),
            Self::Either(one, other) => one.holds(of) || other.holds(of),
        }
    }
}

fn model() -> impl Strategy<Value = Model> {
    let leaf =
        prop_oneof![(0..3usize, 0..3usize).prop_map(|(n, v)| Model::Is(n, v)), (0..3usize).prop_map(Model::Present)];
    leaf.prop_recursive(4, 20, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| Model::Not(Box::new(one))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Model::Both(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Model::Either(Box::new(a), Box::new(b))),
        ]
    })
}

/// The scan alone, without the parser behind it: what it counts, and what it does not.
#[test]
fn brackets_are_counted_where_they_are_none_of_a_text() {
    let open = |count: usize| "(".repeat(count);
    for fits in [
        open(DEEPEST),
        format!("[{}", open(DEEPEST - 1)),
        format!("title eq \"{}\"", open(90)),
        format!("title eq \"\\\"{}\"", open(90)),
        "(title pr) and [title pr] or ".repeat(30),
        format!("{})", open(DEEPEST)).repeat(1),
    ] {
        assert!(scan(&fits).is_ok(), "{fits}");
    }
    for deep in [
        open(DEEPEST + 1),
        format!("[{}", open(DEEPEST)),
        format!("\\{}", open(DEEPEST + 1)),
        format!("title eq \"a\\\\\" and {}", open(DEEPEST + 1)),
        format!("{}title eq \")))]]]\" and (", open(DEEPEST)),
        format!("{}){}", open(DEEPEST), open(2)),
    ] {
        assert_eq!(scan(&deep).unwrap_err().code(), "invalid_filter", "{deep}");
    }
    let long = |length: usize| format!("title eq \"{}\"", "a".repeat(length - 11));
    assert!(parse(&long(2_048)).is_ok());
    assert_eq!(parse(&long(2_049)).unwrap_err().code(), "invalid_filter");
}

/// Whoever forgets the scan is stopped by the parser itself.
#[test]
fn t_19_the_parser_counts_for_itself() {
    let nested = |depth: usize| format!("{}title pr{}", "(".repeat(depth), ")".repeat(depth));
    let whole = |text: &str| Parser::new(ResourceKind::User, text).whole();
    assert!(whole(&nested(DEEPEST)).is_ok());
    assert_eq!(whole(&nested(DEEPEST + 1)).unwrap_err().code(), "invalid_filter");
}

#[test]
fn an_attribute_is_compared_as_its_type_is() {
    for refused in [
        "active sw \"true\"",
        "active gt \"true\"",
        "active le \"False\"",
        "name.givenName[value eq \"x\"]",
        "emails.value[type eq \"work\"]",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User[department eq \"x\"]",
        "urn:acme:2.0:Badge:owner.name[value eq \"x\"]",
        "meta.lastModified gt \"yesterday\"",
        "x509Certificates.value gt \"a\"",
    ] {
        assert_eq!(parse(refused).unwrap_err().code(), "invalid_filter", "{refused}");
    }
    let mut sealed = person();
    sealed.insert("x509Certificates".to_owned(), json!([{"value": "QUJD"}]));
    for (text, holds) in [("eq \"QUJD\"", true), ("eq \"qujd\"", false), ("sw \"QU\"", true)] {
        assert_eq!(parse(&format!("x509Certificates.value {text}")).unwrap().matches(&sealed), holds, "{text}");
    }
    for meant in [
        "meta.lastModified eq \"2026-05-13T06:42:34+02:00\"",
        "meta.lastModified sw \"2026-05\"",
        "meta.lastModified co \"T04:\"",
        "active ne \"False\"",
    ] {
        assert!(parse(meant).unwrap().matches(&person()), "{meant}");
    }
}

/// What no schema knows: of a complex value its `value` is compared, and of what a schema knows it is not.
#[test]
fn the_value_of_a_strange_complex_one_counts() {
    let mut person = person();
    person.insert("urn:acme:2.0:Badge".to_owned(), json!({"owner": {"value": "Ada", "since": {"value": "x"}}}));
    let meant = |text: &str| parse(text).unwrap().matches(&person);
    assert!(meant("urn:acme:2.0:Badge:owner eq \"ada\""));
    assert!(!meant("urn:acme:2.0:Badge:owner eq \"bob\""));
    assert!(!meant("urn:acme:2.0:Badge:owner.since eq \"y\""));
}

proptest! {
    #[test]
    fn a_filter_means_what_its_text_says(model in model(), of in prop::array::uniform3(prop::option::of(0..3usize))) {
        let mut resource = Map::new();
        for (name, value) in NAMES.iter().zip(&of) {
            if let Some(value) = value {
                resource.insert((*name).to_owned(), VALUES[*value].to_uppercase().into());
            }
        }
        let text = model.text(false);
        prop_assume!(text.len() <= LONGEST);
        let filter = parse(&text).unwrap();
        prop_assert_eq!(filter.matches(&resource), model.holds(&of), "{}", text);
    }

    #[test]
    fn no_text_is_too_strange(text in ".{0,60}") {
        let _ = parse(&text);
        let _ = parse(&format!("title eq \"{text}\" and ({text}"));
    }
}
