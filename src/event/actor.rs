//! Who really acted.

use crate::id::{ApiKeyId, AppId, InboundId, ScimTokenId, UserId};

/// The one who acted; never the one on whose behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody on the machine itself, known by user id to the kernel.
    Operator {
        /// The uid on the control socket; of the process, when no server runs.
        uid: u32,
    },
    /// A signed-in person.
    User(UserId),
    /// A holder of an API key.
    ApiKey(ApiKeyId),
    /// A directory, by a token of its.
    Scim(ScimTokenId),
    /// An app, as an OAuth client.
    App(AppId),
    /// A service of people, by a signed message.
    Webhook(InboundId),
    /// authd itself.
    System,
    /// Nobody that is known yet.
    Anonymous,
}

impl Actor {
    /// `operator`, `user`, `api_key`, `scim`, `oauth_client`, `webhook`, `system` or `anonymous`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Operator { .. } => "operator",
            Self::User(_) => "user",
            Self::ApiKey(_) => "api_key",
            Self::Scim(_) => "scim",
            Self::App(_) => "oauth_client",
            Self::Webhook(_) => "webhook",
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }

    /// Which one; the uid for the operator.
    pub fn id(&self) -> Option<String> {
        match self {
            Self::Operator { uid } => Some(format!("uid:{uid}")),
            Self::User(id) => Some(id.to_string()),
            Self::ApiKey(id) => Some(id.to_string()),
            Self::Scim(id) => Some(id.to_string()),
            Self::App(id) => Some(id.to_string()),
            Self::Webhook(id) => Some(id.to_string()),
            Self::System | Self::Anonymous => None,
        }
    }
}
