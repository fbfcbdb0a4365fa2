use super::*;

#[test]
fn proofs_are_looked_for_only_where_a_rule_needs_them() {
    let mut rules = EnforcementRules { everybody: true, ..EnforcementRules::default() };
    assert!(!rules.ask_for_proof("own.example"));
    rules.domains.insert("own.example".into());
    assert!(rules.ask_for_proof("own.example"));
    assert!(!rules.ask_for_proof("other.example"));
}
