//! The scopes that follow from somebody's groups.

use std::collections::BTreeSet;

use super::record::{Connection, ScopeMapping};

/// Those of every group that matches; the default ones only where none does.
pub fn scopes_of<'m>(
    mapping: &'m ScopeMapping,
    defaults: &'m [String],
    has: impl Fn(&str) -> bool,
) -> BTreeSet<&'m String> {
    let matched: Vec<&Vec<String>> = mapping.iter().filter(|(group, _)| has(group)).map(|(_, scopes)| scopes).collect();
    if matched.is_empty() { defaults.iter().collect() } else { matched.into_iter().flatten().collect() }
}

/// Those that a connection gives for these groups.
pub fn mapped_scopes(connection: &Connection, groups: &[String]) -> Vec<String> {
    let mapping = connection.scope_mapping.clone().unwrap_or_default();
    let defaults = connection.default_scopes.clone().unwrap_or_default();
    let has = |group: &str| groups.iter().any(|own| own == group);
    scopes_of(&mapping, &defaults, has).into_iter().cloned().collect()
}
