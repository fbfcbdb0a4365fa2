//! Which roles of authd follow from what a source says. Pure.

use std::collections::BTreeSet;

use super::rules::{GroupsMode, Policy, RolesMode};
use crate::access::RoleName;

/// The roles that the policy's mappings give for a source's groups. A group that is called like a role of authd gives
/// nothing by its name: only what an administrator wrote down counts.
pub fn roles_of_groups<'a>(policy: &Policy, groups: impl IntoIterator<Item = &'a str>) -> BTreeSet<RoleName> {
    let rules = &policy.provisioning.groups;
    if rules.mode != GroupsMode::Sync {
        return BTreeSet::new();
    }
    groups.into_iter().filter_map(|group| rules.mapping.get(group)).flatten().cloned().collect()
}

/// The roles that the policy's mappings give for a source's own roles.
pub fn roles_of_roles<'a>(policy: &Policy, roles: impl IntoIterator<Item = &'a str>) -> BTreeSet<RoleName> {
    let rules = &policy.provisioning.roles;
    if rules.mode != RolesMode::Map {
        return BTreeSet::new();
    }
    roles.into_iter().filter_map(|role| rules.mapping.get(role)).flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    fn names(roles: BTreeSet<RoleName>) -> Vec<String> {
        roles.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_role_follows_from_the_mapping_alone() {
        let mut policy = Policy::default();
        let upstream = ["owner", "admin", "staff"];
        assert!(roles_of_groups(&policy, upstream).is_empty() && roles_of_roles(&policy, upstream).is_empty());
        policy.provisioning.groups.mode = GroupsMode::Sync;
        policy.provisioning.roles.mode = RolesMode::Map;
        assert!(roles_of_groups(&policy, upstream).is_empty() && roles_of_roles(&policy, upstream).is_empty());
        policy.provisioning.groups.mapping.insert("staff".into(), vec![Role::Viewer.into(), Role::Member.into()]);
        policy.provisioning.roles.mapping.insert("admin".into(), vec![Role::Member.into()]);
        assert_eq!(names(roles_of_groups(&policy, upstream)), ["member", "viewer"]);
        assert_eq!(names(roles_of_roles(&policy, upstream)), ["member"]);
        assert!(roles_of_groups(&policy, ["Staff", "staff "]).is_empty(), "names are compared as they are");
    }

    #[test]
    fn a_mapping_that_is_switched_off_gives_nothing() {
        let mut policy = Policy::default();
        policy.provisioning.groups.mapping.insert("staff".into(), vec![Role::Owner.into()]);
        policy.provisioning.roles.mapping.insert("boss".into(), vec![Role::Owner.into()]);
        assert!(roles_of_groups(&policy, ["staff"]).is_empty() && roles_of_roles(&policy, ["boss"]).is_empty());
    }
}
