//! What is not there, by its name: the server only says that something is not.

use serde_json::Value;

use super::command::Tree;
use crate::error::{Error, codes};

/// The nouns that ids begin with.
const NOUNS: &[(&str, &str)] = &[
    ("org_", "org"),
    ("conn_", "connection"),
    ("usr_", "user"),
    ("app_", "app"),
    ("ses_", "session"),
    ("key_", "api-key"),
    ("sig_", "key"),
];

/// A bare "there is no such thing" with the thing's noun and id, when only one was asked for, and the verb that lists
/// what there is. Every other error as it is.
pub fn named(error: Error, tree: &Tree<'_>, path: &[String], input: &Value) -> Error {
    if !error.is(&codes::NOT_FOUND) || error.message() != codes::NOT_FOUND.message {
        return error;
    }
    let texts = input.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
    let ids: Vec<(&str, &str)> = texts.filter_map(|text| Some((noun(text)?, text))).collect();
    let (noun, message) = match ids[..] {
        [(noun, id)] => (noun, Some(format!("There is no {} {id}.", spoken(noun)))),
        _ => (path.first().map_or("", String::as_str), None),
    };
    let list = [noun.to_owned(), "list".to_owned()];
    let help = tree.operation(&list).map(|_| format!("`authd {noun} list` shows which there are."));
    Error::says(&codes::NOT_FOUND, message.unwrap_or_else(|| error.message().to_owned()))
        .help(error.next_step().map(str::to_owned).or(help).unwrap_or_default())
        .because(error)
}

fn noun(id: &str) -> Option<&'static str> {
    NOUNS.iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, noun)| *noun)
}

fn spoken(noun: &str) -> &str {
    match noun {
        "org" => "organization",
        "api-key" => "API key",
        "key" => "signing key",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_has_a_name() {
        let catalogue = crate::app::catalogue();
        let tree = Tree::of(&catalogue);
        let told = |error: Error, path: &[&str], input: Value| {
            let path: Vec<String> = path.iter().map(|word| (*word).to_owned()).collect();
            let error = named(error, &tree, &path, &input);
            (error.message().to_owned(), error.next_step().unwrap_or_default().to_owned())
        };
        let missing = || Error::new(&codes::NOT_FOUND);
        assert_eq!(
            told(missing(), &["connection", "get"], json!({"id": "conn_1"})),
            ("There is no connection conn_1.".into(), "`authd connection list` shows which there are.".into())
        );
        let (message, help) = told(missing(), &["app", "create"], json!({"organization": "org_1", "name": "x"}));
        assert!(message == "There is no organization org_1." && help.contains("authd org list"), "{message} {help}");
        let (message, help) = told(missing(), &["user", "get"], json!({"id": "usr_1", "organization": "org_1"}));
        assert!(message == codes::NOT_FOUND.message && help.contains("authd user list"), "which one, is not known");
        let own = Error::says(&codes::NOT_FOUND, "No such sign-in.");
        assert_eq!(told(own, &["explain"], json!({"id": "req_1"})).0, "No such sign-in.");
    }
}
