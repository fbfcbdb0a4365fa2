//! `docs/security/coverage.md` is true: what it names exists, and what is named after an id stands in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is promised now: each of these has a test, not a reason.
const PROMISED: &[(&str, &[u8])] = &[
    ("OIDC", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16]),
    ("OP", &[1, 2, 3, 4, 6, 8, 9, 13]),
    ("JWT", &[1, 2, 3, 4]),
    ("LDAP", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ("SCIM", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ("R", &[1]),
    ("ADM", &[7, 8]),
    ("SAML", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 24, 25, 27, 29, 30, 32, 33]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/security/coverage.md")).unwrap()
}

/// The rows of the page's tables: the id, and everything behind what must hold.
fn rows(page: &str) -> BTreeMap<&str, &str> {
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| id ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, _, shown] = cells[..] else { panic!("a row has three cells: {line}") };
        assert!(rows.insert(id, shown).is_none(), "{id} stands there twice");
    }
    rows
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The name of a Rust test, if it is one and not a path, a setting or a command.
fn is_test_name(text: &str) -> bool {
    text.len() > 8
        && text.contains('_')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn each_file(dir: &Path, ending: &str, see: &mut impl FnMut(&str)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "node_modules") {
            each_file(&path, ending, see);
        } else if path.to_string_lossy().ends_with(ending) {
            see(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The names of all functions that stand at a place where a test can stand: behind an attribute that makes them one,
/// or as a case of the store's suite.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut see = |text: &str| {
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some(name) = function(line) {
                if is_test || line.contains("<B: Bed>") {
                    names.insert(name.to_owned());
                }
                is_test = false;
            }
        }
    };
    each_file(&root().join("src"), ".rs", &mut see);
    each_file(&root().join("tests/it"), ".rs", &mut see);
    names
}

fn function(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ")?;
    rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
}

/// `oidc_04` of `oidc_04_algorithms`, as `OIDC-04`; all of several.
fn ids_of(test: &str) -> Vec<String> {
    let parts: Vec<&str> = test.split('_').collect();
    parts
        .windows(2)
        .step_by(2)
        .take_while(|pair| {
            let known = ["oidc", "op", "jwt", "adm", "r", "dos", "saml", "ldap", "scim", "wh", "nat", "t"];
            known.contains(&pair[0]) && pair[1].len() == 2 && pair[1].bytes().all(|b| b.is_ascii_digit())
        })
        .map(|pair| format!("{}-{}", pair[0].to_ascii_uppercase(), pair[1]))
        .collect()
}

#[test]
fn every_test_that_the_page_names_exists() {
    let (page, tests) = (page(), tests());
    let rows = rows(&page);
    let named = rows.values().flat_map(|shown| quoted(shown)).filter(|text| is_test_name(text));
    let missing: Vec<&str> = named.filter(|name| !tests.contains(*name)).collect();
    assert!(missing.is_empty(), "there is no such test: {missing:#?}");
}

/// The modules of the Basic OP plan, each with what it looks at and what shows it.
#[test]
fn every_module_of_the_basic_op_plan_is_shown_by_tests_that_exist() {
    let page = std::fs::read_to_string(root().join("docs/security/basic-op.md")).unwrap();
    let tests = tests();
    let mut modules = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| oidcc-")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [module, about, shown] = cells[..] else { panic!("a row has three cells: {line}") };
        assert!(modules.insert(module.to_owned()) && !about.is_empty(), "{module}");
        let named: Vec<&str> = quoted(shown).collect();
        assert!(!named.is_empty(), "{module} is shown by nothing");
        let missing: Vec<_> = named.into_iter().filter(|name| !tests.contains(*name)).collect();
        assert!(missing.is_empty(), "{module}: there is no such test: {missing:?}");
    }
    assert_eq!(modules.len(), 35, "the plan has 33 modules of its own, and two for the ways of asking");
}

#[test]
fn every_walk_that_the_page_names_exists() {
    let page = page();
    for walk in rows(&page).values().flat_map(|shown| quoted(shown)).filter_map(|text| text.strip_prefix("e2e/")) {
        let (file, title) = walk.split_once(": ").unwrap();
        let text = std::fs::read_to_string(root().join(format!("tests/lab/e2e/{file}.test.mjs"))).unwrap();
        let known = text.lines().any(|line| line.trim_start().starts_with("shows(") && line.contains(title));
        assert!(known, "{file} shows no such thing: {title}");
    }
}

#[test]
fn every_test_that_is_named_after_an_id_stands_in_its_row() {
    let (page, tests) = (page(), tests());
    let rows = rows(&page);
    let all = tests.iter().flat_map(|test| ids_of(test).into_iter().map(move |id| (id, test.as_str())));
    let untold: Vec<_> = all
        .filter(|(id, test)| !rows.get(id.as_str()).is_some_and(|shown| quoted(shown).any(|name| name == *test)))
        .collect();
    assert!(untold.is_empty(), "add these to docs/security/coverage.md: {untold:#?}");
}

#[test]
fn what_is_promised_is_shown_by_a_test() {
    let page = page();
    let rows = rows(&page);
    for (kind, numbers) in PROMISED {
        for number in *numbers {
            let id = format!("{kind}-{number:02}");
            let shown = rows.get(id.as_str()).unwrap_or_else(|| panic!("the page has no {id}"));
            let whole = !shown.starts_with("Open") && !shown.starts_with("In part");
            assert!(whole && quoted(shown).any(is_test_name), "{id} is shown by no test");
        }
    }
    for (id, shown) in rows {
        let said = ["Open: ", "In part ", "Held by review: "].iter().any(|word| shown.starts_with(word));
        assert!(said || shown.contains('`'), "{id} has neither a test nor a reason");
    }
}

#[test]
fn names_carry_their_ids() {
    assert_eq!(ids_of("jwt_02_jwt_03_every_app"), ["JWT-02", "JWT-03"]);
    assert_eq!(ids_of("oidc_13_an_empty_set"), ["OIDC-13"]);
    assert!(ids_of("a_test_of_64_things").is_empty() && ids_of("r_2").is_empty());
}
