//! The process environment: read here, once, and handed on.

use std::collections::BTreeMap;

/// The variables that authd knows of, as they stood when the process began.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// What else is read beside `AUTHD_*`.
const FOREIGN: &[&str] = &["NO_COLOR", "TERM", "COLORTERM", "XDG_RUNTIME_DIR", "LC_ALL", "LC_CTYPE", "LANG"];

impl Environment {
    /// Reads it. Variables that are not UTF-8 are left out.
    #[expect(clippy::disallowed_methods, reason = "this is where the environment comes in")]
    pub fn read() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A variable; an empty one is none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names of all `AUTHD_*`.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| name.starts_with("AUTHD_"))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let ours = |name: &str| name.starts_with("AUTHD_") || FOREIGN.contains(&name);
        Self(pairs.into_iter().filter(|(name, _)| ours(name)).collect())
    }
}

impl std::fmt::Debug for Environment {
    // Values may be secrets (`AUTHD_MASTER_KEY`).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
