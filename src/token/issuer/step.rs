//! One question about a token, its answer, and how it is put into words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::crypto::jws::Fault;
use crate::error::{Code, codes};

/// One question about a token, and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// A stable name.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The setting to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// What would have held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What the token says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A text of a stranger, short enough to be shown.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

pub(super) fn shown_value(value: Option<&Value>) -> String {
    match value {
        None => "(absent)".to_owned(),
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    }
}

/// The code of the refusal.
pub(super) fn code_of(fault: Fault) -> &'static Code {
    match fault {
        Fault::Key | Fault::KeyName => &codes::TOKEN_KEY,
        Fault::Critical | Fault::Payload => &codes::TOKEN_CLAIMS,
        Fault::Form(_) | Fault::Algorithm | Fault::Misfit | Fault::Signature => &codes::TOKEN_SIGNATURE,
    }
}

/// Why no key of the issuer holds the token.
pub(super) fn signature_step(fault: Fault, header: &Map<String, Value>, setting: Option<String>) -> Step {
    let kid = shown_value(header.get("kid"));
    let step = |name: &str, message: &str, help: &str| Step {
        name: name.to_owned(),
        message: Some(message.to_owned()),
        help: (!help.is_empty()).then(|| help.to_owned()),
        ..Step::default()
    };
    let step = match fault {
        Fault::Key if header.contains_key("kid") => Step {
            expected: Some("exactly one key of the issuer".to_owned()),
            received: Some(kid),
            ..step(
                "kid",
                "No key of the issuer goes by that name, or more than one does.",
                "The keys are those of another issuer, or were rotated: they are read again within 30 seconds.",
            )
        },
        Fault::Key => step(
            "kid",
            "The token does not name its key, and not exactly one of the issuer's fits.",
            "Have the issuer put `kid` into the header of its tokens and into its keys.",
        ),
        Fault::KeyName => step("kid", "The name of the key cannot be one.", ""),
        Fault::Misfit => Step {
            received: Some(shown_value(header.get("alg"))),
            ..step("alg", "The key of that name is not one for the algorithm of the token.", "")
        },
        Fault::Algorithm => {
            Step { received: Some(shown_value(header.get("alg"))), ..step("alg", "The algorithm is not accepted.", "") }
        }
        Fault::Critical => step("signature", "The header asks for an extension (`crit`); none is served.", ""),
        Fault::Form(_) | Fault::Payload => step("signature", "It can be read in two ways.", ""),
        Fault::Signature => step(
            "signature",
            "The signature does not hold: the token was changed, or another key signed it.",
            "Compare where the issuer publishes its keys with the setting.",
        ),
    };
    Step { setting: setting.or_else(|| Some("token".to_owned())), ..step }
}
