//! Whether somebody has to come in through a connection, and whether they did. Pure.
//!
//! ```text
//!  exempt role ─► free
//!  the connections of their domain (else the one that brought them):
//!      one says yes ─► through it      all say no ─► free
//!  their domain is listed ─► through a connection that has proven it
//!  everybody ─► through any connection of the organization
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::access::RoleName;
use crate::id::ConnectionId;

/// What a connection says for its own people; it goes before what holds for the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Word {
    /// They need not come through it.
    #[n(0)]
    No,
    /// They have to come through it.
    #[n(1)]
    Yes,
    /// They have to, as soon as an owner or somebody with an exempt role has shown that they still get in.
    #[n(2)]
    Waiting,
}

/// Where single sign-on is enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct EnforcementRules {
    /// For everybody.
    #[n(0)]
    pub everybody: bool,
    /// Whoever has one of these roles is free.
    #[n(1)]
    pub exempt: BTreeSet<RoleName>,
    /// For everybody with an address in one of these domains: IDNA in ASCII, lower case.
    #[n(2)]
    pub domains: BTreeSet<String>,
    /// What connections say for themselves.
    #[n(3)]
    pub connections: BTreeMap<ConnectionId, Word>,
}

/// How somebody comes, or came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Through this connection of the organization.
    Connection(ConnectionId),
    /// By a link that the operator made for this very case.
    BreakGlass,
    /// By a key of their own.
    Key,
    /// By a token that no sign-in here stands behind: a trusted issuer's, or one that was made by hand.
    Token,
    /// By something that authd itself knows of them.
    Native,
}

/// What is known of somebody.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Every role that they have.
    pub roles: BTreeSet<RoleName>,
    /// The domain of their address, in its canonical form.
    pub domain: Option<String>,
    /// The organization's connections that have proven that domain.
    pub proven_by: Vec<ConnectionId>,
    /// The connection that brought them.
    pub source: Option<ConnectionId>,
}

/// What somebody has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: for this reason.
    Nothing(Free),
    /// Come through a connection: one of these, or any where none is named.
    Connection(BTreeSet<ConnectionId>),
}

/// Why somebody is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Free {
    /// Nothing is enforced for them.
    NotEnforced,
    /// A role of theirs is exempt.
    Exempt,
    /// Their connection says so.
    Connection,
}

impl EnforcementRules {
    /// Whether anybody could be asked for anything.
    pub fn ask_anything(&self) -> bool {
        self.everybody || !self.domains.is_empty() || self.connections.values().any(|word| *word == Word::Yes)
    }

    /// Whether it matters which connections have proven a domain.
    pub fn ask_for_proof(&self, domain: &str) -> bool {
        !self.connections.is_empty() || self.domains.contains(domain)
    }

    /// What they demand of somebody.
    pub fn demand(&self, who: &Subject) -> Demand {
        if who.roles.iter().any(|role| self.exempt.contains(role)) {
            return Demand::Nothing(if self.ask_anything() { Free::Exempt } else { Free::NotEnforced });
        }
        let home: BTreeSet<ConnectionId> = match who.proven_by.as_slice() {
            [] => who.source.into_iter().collect(),
            proven => proven.iter().copied().collect(),
        };
        let word = |id: &ConnectionId| self.connections.get(id).copied();
        let strict: BTreeSet<ConnectionId> = home.iter().copied().filter(|id| word(id) == Some(Word::Yes)).collect();
        if !strict.is_empty() {
            return Demand::Connection(strict);
        }
        if !home.is_empty() && home.iter().all(|id| word(id) == Some(Word::No)) {
            return Demand::Nothing(Free::Connection);
        }
        if who.domain.as_deref().is_some_and(|domain| self.domains.contains(domain)) {
            return Demand::Connection(who.proven_by.iter().copied().collect());
        }
        if self.everybody { Demand::Connection(BTreeSet::new()) } else { Demand::Nothing(Free::NotEnforced) }
    }
}

impl Demand {
    /// Whether who comes this way has done it. The operator's link is the way in for when nothing else is.
    pub fn is_met_by(&self, via: Via) -> bool {
        match (self, via) {
            (Self::Nothing(_), _) | (_, Via::BreakGlass) => true,
            (Self::Connection(through), Via::Connection(id)) => through.is_empty() || through.contains(&id),
            (Self::Connection(_), Via::Key | Via::Token | Via::Native) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::Role;
    use crate::env::Env;

    fn ids() -> [ConnectionId; 3] {
        let env = Env::frozen();
        [ConnectionId::new(&env), ConnectionId::new(&env), ConnectionId::new(&env)]
    }

    fn through(list: &[ConnectionId]) -> Demand {
        Demand::Connection(list.iter().copied().collect())
    }

    #[test]
    fn each_level_is_asked_in_its_order() {
        let [a, b, c] = ids();
        let owner = RoleName::from(Role::Owner);
        let mut rules = EnforcementRules::default();
        let mut who = Subject { domain: Some("corp.example".into()), ..Subject::default() };
        assert_eq!(rules.demand(&who), Demand::Nothing(Free::NotEnforced));
        rules.everybody = true;
        assert_eq!(rules.demand(&who), through(&[]));
        rules.domains.insert("corp.example".into());
        assert_eq!(rules.demand(&who), through(&[]), "nobody has proven the domain: any connection will do");
        who.proven_by = vec![a, b];
        assert_eq!(rules.demand(&who), through(&[a, b]));
        rules.connections.insert(b, Word::Waiting);
        assert_eq!(rules.demand(&who), through(&[a, b]), "what waits says nothing yet");
        rules.connections.insert(a, Word::No);
        assert_eq!(rules.demand(&who), through(&[a, b]), "the other one does not let them go");
        rules.connections.insert(b, Word::No);
        assert_eq!(rules.demand(&who), Demand::Nothing(Free::Connection));
        rules.connections.insert(b, Word::Yes);
        assert_eq!(rules.demand(&who), through(&[b]));
        who.source = Some(c);
        rules.connections.insert(c, Word::Yes);
        assert_eq!(rules.demand(&who), through(&[b]), "who has proven the domain speaks before who brought them");
        who.roles.insert(owner.clone());
        assert_eq!(rules.demand(&who), through(&[b]));
        rules.exempt.insert(owner);
        assert_eq!(rules.demand(&who), Demand::Nothing(Free::Exempt));
    }

    #[test]
    fn who_was_brought_by_a_connection_is_its_own_where_no_domain_says_otherwise() {
        let [a, b, _] = ids();
        let rules = EnforcementRules {
            connections: [(a, Word::Yes), (b, Word::No)].into(),
            everybody: true,
            ..EnforcementRules::default()
        };
        let brought = |source| Subject { source: Some(source), domain: Some("x.example".into()), ..Subject::default() };
        assert_eq!(rules.demand(&brought(a)), through(&[a]));
        assert_eq!(rules.demand(&brought(b)), Demand::Nothing(Free::Connection));
        assert_eq!(rules.demand(&Subject::default()), through(&[]));
    }

    fn roles() -> impl Strategy<Value = BTreeSet<RoleName>> {
        proptest::sample::subsequence(Role::ALL.to_vec(), 0..=Role::ALL.len())
            .prop_map(|roles| roles.into_iter().map(RoleName::from).collect())
    }

    fn word() -> impl Strategy<Value = Option<Word>> {
        prop_oneof![Just(None), Just(Some(Word::No)), Just(Some(Word::Yes)), Just(Some(Word::Waiting))]
    }

    proptest! {
        #[test]
        fn nat_09_what_is_enforced_is_met_by_a_connection_or_by_nothing(
            everybody: bool,
            exempt in roles(),
            has in roles(),
            listed: bool,
            says in proptest::array::uniform3(word()),
            proven in proptest::sample::subsequence(vec![0usize, 1, 2], 0..=3),
            source in proptest::option::of(0usize..3),
        ) {
            let ids = ids();
            let rules = EnforcementRules {
                everybody,
                exempt: exempt.clone(),
                domains: listed.then(|| "corp.example".to_owned()).into_iter().collect(),
                connections: ids.iter().zip(says).filter_map(|(id, word)| Some((*id, word?))).collect(),
            };
            let who = Subject {
                roles: has.clone(),
                domain: Some("corp.example".into()),
                proven_by: proven.iter().map(|at| ids[*at]).collect(),
                source: source.map(|at| ids[at]),
            };
            let demand = rules.demand(&who);
            // The operator's link always opens; nothing but a connection does where anything is demanded.
            prop_assert!(demand.is_met_by(Via::BreakGlass));
            let free = matches!(demand, Demand::Nothing(_));
            for via in [Via::Key, Via::Token, Via::Native] {
                prop_assert_eq!(demand.is_met_by(via), free);
            }
            // Somebody can always do what is asked: a connection meets it.
            prop_assert!(ids.iter().any(|id| demand.is_met_by(Via::Connection(*id))));
            // An exempt role is always free, and where nothing is said everybody is.
            if has.iter().any(|role| exempt.contains(role)) || !rules.ask_anything() {
                prop_assert!(free);
            } else if (everybody || listed) && !rules.connections.values().any(|word| *word == Word::No) {
                prop_assert!(!free);
            }
            // A connection that is named is one of theirs.
            if let Demand::Connection(through) = demand {
                prop_assert!(through.iter().all(|id| who.proven_by.contains(id) || who.source == Some(*id)));
            }
        }
    }

    #[test]
    fn proofs_are_looked_for_only_where_a_rule_needs_them() {
        let mut rules = EnforcementRules { everybody: true, ..EnforcementRules::default() };
        assert!(!rules.ask_for_proof("own.example"));
        rules.domains.insert("own.example".into());
        assert!(rules.ask_for_proof("own.example"));
        assert!(!rules.ask_for_proof("other.example"));
    }
}
