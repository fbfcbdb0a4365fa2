//! An answer on its way to an app, through the person's browser (RFC 6749 §4.1.2, RFC 9207, OAuth 2.0 Form Post
//! Response Mode).

use std::fmt;

use super::parameters::extend;

/// How the browser carries the answer. In the fragment nothing is ever sent: there is no response type that needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum ResponseMode {
    /// In the query of the return address.
    #[default]
    #[n(0)]
    Query,
    /// In a form that is posted to the return address.
    #[n(1)]
    FormPost,
}

impl ResponseMode {
    /// Those that are served.
    pub const ALL: [Self; 2] = [Self::Query, Self::FormPost];

    /// As the parameter `response_mode` writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// An answer to an app: a code, or an error.
#[derive(Clone, PartialEq, Eq)]
pub struct ToApp {
    /// The return address, byte for byte.
    pub redirect_uri: String,
    /// How it goes there.
    pub mode: ResponseMode,
    /// What is said.
    pub pairs: Vec<(&'static str, String)>,
}

/// Without the values: one of them may be a code.
impl fmt::Debug for ToApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.pairs.iter().map(|(name, _)| name).collect();
        f.debug_struct("ToApp").field("mode", &self.mode).field("error", &self.error()).field("names", &names).finish()
    }
}

impl ToApp {
    /// The return address with the answer in its query.
    pub fn url(&self) -> String {
        let pairs: Vec<(&str, &str)> = self.pairs.iter().map(|(name, value)| (*name, &**value)).collect();
        extend(&self.redirect_uri, &pairs)
    }

    /// What it says under that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }

    /// The error that it tells, if it does.
    pub fn error(&self) -> Option<&str> {
        self.get("error")
    }
}
