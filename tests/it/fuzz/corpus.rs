//! What inputs are made of: a few of our own, and the corpora outside the repository where they are (`AUTHD_CORPORA`).

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::told;

fn corpora() -> PathBuf {
    told("AUTHD_CORPORA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"), PathBuf::from)
}

/// The document of that name; none where the corpora are not there.
fn document(name: &str) -> Value {
    std::fs::read(corpora().join(name)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn groups(name: &str) -> Vec<Value> {
    document(name)["testGroups"].as_array().cloned().unwrap_or_default()
}

const FILES: [&str; 2] = ["wycheproof/json_web_signature_test.json", "wycheproof/json_web_key_test.json"];

/// Tokens of Project Wycheproof.
pub fn tokens() -> Vec<Vec<u8>> {
    let tests = FILES
        .iter()
        .flat_map(|file| groups(file))
        .flat_map(|group| group["tests"].as_array().cloned().unwrap_or_default());
    tests.filter_map(|test| test["jws"].as_str().map(|text| text.as_bytes().to_vec())).collect()
}

/// Key sets of Project Wycheproof.
pub fn key_sets() -> Vec<Vec<u8>> {
    let groups = FILES.iter().flat_map(|file| groups(file));
    groups
        .flat_map(|group| [group["public"].clone(), group["private"].clone()])
        .filter(Value::is_object)
        .map(|key| match key.get("keys") {
            Some(_) => key.to_string().into_bytes(),
            None => serde_json::json!({ "keys": [key] }).to_string().into_bytes(),
        })
        .collect()
}

/// The files of a folder of the corpora, as XML; some of them lie there as base64.
fn xml(folder: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(corpora().join(folder)).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    let decoded = |bytes: Vec<u8>| {
        let packed: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        STANDARD.decode(packed).unwrap_or(bytes)
    };
    paths.into_iter().filter_map(|path| std::fs::read(path).ok()).map(decoded).collect()
}

/// Answers of identity providers, and what others made of them.
pub fn saml() -> Vec<Vec<u8>> {
    ["python3-saml/responses", "python3-saml/responses/invalids", "samael/test_vectors", "crewjam-saml/testdata"]
        .into_iter()
        .flat_map(xml)
        .collect()
}

/// Metadata of identity providers. One of our own where the corpora are not there: the runner needs something to change.
pub fn saml_metadata() -> Vec<Vec<u8>> {
    let own = include_bytes!("idp_metadata.xml").to_vec();
    xml("python3-saml/metadata").into_iter().chain([own]).collect()
}
