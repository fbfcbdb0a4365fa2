//! JWT-05: the vectors of Project Wycheproof. They lie outside the repository (`AUTHD_CORPORA`).

#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::path::PathBuf;

use authd::crypto::jws::{Algorithm, KeySet};
use serde_json::{Value, json};

/// Contested vectors: 367 and 370 are well-formed tokens under the name of malformed ones; 372 and 373 ask for
/// characters to be skipped that no base64url has. All are of HMAC, which is never accepted here.
const CONTESTED: [u64; 4] = [367, 370, 372, 373];

fn vectors(name: &str) -> Option<Value> {
    #[expect(clippy::disallowed_methods, reason = "where the corpora are is told to the tests by the environment")]
    let named = std::env::var("AUTHD_CORPORA").ok().map(PathBuf::from);
    let corpora = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"));
    let file = corpora.join("wycheproof").join(name);
    match std::fs::read(&file) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(_) => {
            println!("skipped: {} is not there (set AUTHD_CORPORA)", file.display());
            None
        }
    }
}

/// Whether a vector is of what is served: a signature by a key pair, by an algorithm of ours, the key's own.
fn served(key: &Value, token: &str) -> bool {
    let alg = authd::crypto::jws::header(token).ok().and_then(|header| Some(header.get("alg")?.as_str()?.to_owned()));
    let own = key.get("alg").and_then(Value::as_str).map(str::to_owned);
    key["kty"] != "oct"
        && alg.as_deref().is_some_and(|alg| Algorithm::named(alg).is_some())
        && (own.is_none() || own == alg)
}

fn run(file: &str, keys_of: fn(&Value) -> Vec<Value>) {
    let Some(vectors) = vectors(file) else { return };
    let (mut refused, mut accepted) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let keys = keys_of(group.get("public").filter(|keys| !keys.is_null()).unwrap_or(&group["private"]));
        let set = KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let Some(token) = test["jws"].as_str() else {
                // The JSON serialization is no text with dots; it is refused as any text is.
                assert!(set.check_bytes(&test["jws"].to_string(), &Algorithm::ALL).is_err());
                continue;
            };
            let holds = set.check_bytes(token, &Algorithm::ALL);
            if test["result"] == "valid" && keys.len() == 1 && served(&keys[0], token) && !CONTESTED.contains(&id) {
                assert!(holds.is_ok(), "tc{id} {}: {holds:?}", test["comment"]);
                accepted += 1;
            } else if test["result"] != "valid" {
                assert!(holds.is_err(), "tc{id} {}", test["comment"]);
                refused += 1;
            }
        }
    }
    println!("{file}: {refused} refused, {accepted} accepted");
    assert!(refused > 0 && accepted > 0);
}

#[test]
fn jwt_05_wycheproof_signatures() {
    run("json_web_signature_test.json", |key| vec![key.clone()]);
}

#[test]
fn jwt_05_wycheproof_keys() {
    run("json_web_key_test.json", |set| set["keys"].as_array().unwrap().clone());
}
