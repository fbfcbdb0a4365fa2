//! Who may do what: every operation, asked for by everybody through the real routes, against `matrix.tsv`.
//!
//! An operation that is new needs a sample in `matrix/sample.rs`; `AUTHD_UPDATE_REFERENCE=1` then writes its row, for
//! somebody to read. A row that is there is never rewritten.

mod sample;
mod scene;
mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use authd::access::{Access, AnyOperation, Method, Role};
use authd::config::Environment;
use authd::http::Peer;
use axum::http::StatusCode;
use serde_json::json;

use self::scene::{Scene, Who};

/// One operation and what everybody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    route: String,
    access: String,
    cells: Vec<String>,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/matrix.tsv")
}

/// The rows by operation. A column that is not known, or a row that stands twice, is a mistake in the table.
fn table() -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(path()).unwrap_or_default();
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    assert!(lines.next().is_none_or(|line| line == header()), "the columns of matrix.tsv are: {}", header());
    let mut rows = BTreeMap::new();
    for line in lines {
        let mut cells = line.split('\t').map(str::to_owned);
        let name = cells.next().unwrap();
        let row = Row { route: cells.next().unwrap(), access: cells.next().unwrap(), cells: cells.collect() };
        assert_eq!(row.cells.len(), Who::ALL.len(), "{line}");
        assert!(rows.insert(name, row).is_none(), "stands twice: {line}");
    }
    rows
}

fn header() -> String {
    let mut header = "operation\troute\taccess".to_owned();
    for who in Who::ALL {
        write!(header, "\t{}", who.name()).unwrap();
    }
    header
}

fn write(rows: &BTreeMap<String, Row>) {
    let mut text = "# What each caller is told by each operation about a thing of one organization; `other organization` does not belong to it.\n\
                    # `ok` is a success; else the status and the code.\n"
        .to_owned();
    text.push_str(&header());
    text.push('\n');
    for (name, row) in rows {
        writeln!(text, "{name}\t{}\t{}\t{}", row.route, row.access, row.cells.join("\t")).unwrap();
    }
    std::fs::write(path(), text).unwrap();
}

fn described(operation: &dyn AnyOperation) -> (String, String) {
    let route = operation.route();
    let access = match operation.access() {
        Access::Operator => "operator".to_owned(),
        Access::Grant(grant) => grant.name().to_owned(),
    };
    (format!("{} {}", format!("{:?}", route.method).to_uppercase(), route.path), access)
}

/// The role of a caller who has one.
fn role(who: Who) -> Option<Role> {
    match who {
        Who::Viewer => Some(Role::Viewer),
        Who::Member => Some(Role::Member),
        Who::Admin => Some(Role::Admin),
        Who::Owner => Some(Role::Owner),
        Who::Nobody | Who::Other | Who::Operator => None,
    }
}

/// What no table may say, whoever wrote it: the access that the operation states is the least it takes.
fn least(operation: &dyn AnyOperation, who: Who, told: &str) {
    let name = operation.name();
    match (operation.access(), role(who)) {
        _ if who == Who::Nobody => assert_eq!(told, "401 not_signed_in", "{name}"),
        (Access::Operator, Some(role)) => assert!(told.starts_with("40"), "{name}: {} was told {told}", role.name()),
        (Access::Grant(grant), Some(role)) if !role.grants().contains(grant) => {
            assert!(told.starts_with("403 ") || told.starts_with("404 "), "{name}: {} was told {told}", role.name());
        }
        _ => {}
    }
}

#[tokio::test]
async fn adm_01_every_operation_answers_everybody_as_the_table_says() {
    let mut table = table();
    let known = table.clone();
    let catalogue = authd::app::catalogue();
    let mut wrong = Vec::new();
    let mut scene = Scene::new().await;
    for operation in catalogue.iter() {
        let name = operation.name();
        let (route, access) = described(operation);
        let mut cells = Vec::new();
        for who in Who::ALL {
            let input = scene.sample(name).await;
            let answer = scene.ask(*who, operation, &input).await;
            let told = answer.told();
            least(operation, *who, &told);
            if *who == Who::Other {
                scene.tells_nothing(operation, &input, &answer).await;
            }
            if told == "ok" {
                assert_eq!(answer.status == StatusCode::CREATED, operation.creates(), "{name}: {}", answer.status);
            }
            let changed = told == "ok" && operation.route().method != Method::Get;
            cells.push(told);
            if changed {
                scene = Scene::new().await;
            }
        }
        let row = Row { route, access, cells };
        match known.get(name) {
            Some(expected) if *expected == row => {}
            Some(expected) => wrong.push(format!("{name}\n  table:  {expected:?}\n  really: {row:?}")),
            None => wrong.push(format!("{name} has no row; it would be {row:?}")),
        }
        table.entry(name.to_owned()).or_insert(row);
    }
    let names: BTreeSet<&str> = catalogue.iter().map(AnyOperation::name).collect();
    for name in known.keys().filter(|name| !names.contains(name.as_str())) {
        wrong.push(format!("{name} has a row, and is no operation"));
        table.remove(name);
    }
    if !wrong.is_empty() && Environment::read().get("AUTHD_UPDATE_REFERENCE").is_some() {
        write(&table);
        wrong.push("matrix.tsv has the new rows now: read them".to_owned());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_operation_asks_for_a_credential_that_holds_and_a_grant() {
    let scene = Scene::new().await;
    let wish = json!({"organization": scene.acme, "name": "powerless", "grants": []});
    let powerless = scene.authd.operate("api_key.create", wish).await["key"].as_str().unwrap().to_owned();
    for (place, operation) in authd::app::catalogue().iter().enumerate() {
        // An address each: whoever sends so many that open nothing is slowed down.
        let network = Peer::Tcp(format!("192.0.{}.{}:5000", place / 250, place % 250 + 1).parse().unwrap());
        let name = operation.name();
        // Bearers that open nothing are slowed down, a minute at a time.
        scene.authd.env().advance(std::time::Duration::from_secs(61));
        let input = scene.sample(name).await;
        let nobody = scene.ask(Who::Nobody, operation, &input).await;
        assert_eq!(nobody.told(), "401 not_signed_in", "{name}");
        assert_eq!(nobody.header("content-type"), Some("application/problem+json"), "{name}");
        assert_eq!(nobody.header("www-authenticate"), Some("Bearer"), "{name}");
        assert!(nobody.text.contains(nobody.header("x-request-id").unwrap()), "{name}");
        for wrong in ["ak_wrong", "eyJhbGciOiJub25lIn0.e30.", &powerless[..powerless.len() - 1], "ak_"] {
            let answer = scene.ask_with(network, Some(wrong), operation, &input).await;
            assert_eq!(answer.told(), "401 not_signed_in", "{name}");
        }
        let answer = scene.ask_with(network, Some(&powerless), operation, &input).await;
        assert!(answer.told().starts_with("403 "), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn every_operation_reads_its_fields_strictly() {
    let scene = Scene::new().await;
    for operation in authd::app::catalogue().iter() {
        let name = operation.name();
        let mut input = scene.sample(name).await;
        input["nmae"] = json!("x");
        let answer = scene.ask(Who::Operator, operation, &input).await;
        assert_eq!(answer.told(), "400 unknown_field", "{name}: {answer:?}");
    }
}
