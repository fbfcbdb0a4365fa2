//! The decision. Pure: the same facts give the same verdict, and every fact is in the arguments.

use super::rules::{JitMode, Linking, Policy};
use crate::error::{Code, codes};

/// What is known of the person at the identity, or at the e-mail address, that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nobody has it.
    Nobody,
    /// A member in good standing; `same_connection` when this connection brought them.
    Active {
        /// Brought by the connection that the person now comes through.
        same_connection: bool,
    },
    /// Somebody whose access was ended.
    Ended,
}

/// What is known of the e-mail address that the provider states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailStanding {
    /// It states none.
    None,
    /// The connection has proven the address's domain.
    Owned,
    /// Nobody has proven the domain, and this connection has proven none at all.
    Unclaimed,
    /// The domain is another's, or this connection has proven domains and this is none of them.
    Foreign,
}

/// A person who arrives by a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// By the provider's own identifier.
    pub by_identity: Known,
    /// By e-mail address.
    pub by_email: Known,
    /// The address's domain.
    pub email: EmailStanding,
    /// Whether the provider says, as a JSON `true`, that it verified the address.
    pub email_verified: bool,
    /// What the connection says about strangers; unset leaves it to the policy.
    pub connection_jit: Option<bool>,
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// It is the person of the identity.
    Admit,
    /// It is the person of the e-mail address: link the identity to them.
    Link,
    /// It is somebody new. Their address is trusted only if the domain is the connection's.
    Create {
        /// Tell apps that the address is verified.
        trust_email: bool,
    },
    /// Out, with this code.
    Refuse(&'static Code),
}

impl PartialEq for Verdict {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Admit, Self::Admit) | (Self::Link, Self::Link) => true,
            (Self::Create { trust_email: a }, Self::Create { trust_email: b }) => a == b,
            (Self::Refuse(a), Self::Refuse(b)) => a.name == b.name,
            _ => false,
        }
    }
}

/// Decides about a sign-in.
///
/// A known identity is the person, whatever the address says now: addresses change, identifiers do not.
/// A stranger must bring an address that the provider verified in a domain that is the connection's, or no address.
pub fn decide(policy: &Policy, arrival: &Arrival) -> Verdict {
    match arrival.by_identity {
        Known::Active { .. } => return Verdict::Admit,
        Known::Ended => return Verdict::Refuse(&codes::PERSON_DISABLED),
        Known::Nobody => {}
    }
    if arrival.email == EmailStanding::Foreign {
        return Verdict::Refuse(&codes::EMAIL_DOMAIN_NOT_OWNED);
    }
    if arrival.email != EmailStanding::None && !arrival.email_verified {
        return Verdict::Refuse(&codes::EMAIL_NOT_VERIFIED);
    }
    match arrival.by_email {
        Known::Ended => Verdict::Refuse(&codes::PERSON_DISABLED),
        Known::Active { same_connection } => {
            let allowed = match policy.identity.account_linking.oidc {
                Linking::None => false,
                Linking::SameConnection => same_connection,
                Linking::VerifiedEmail => true,
            };
            if allowed && arrival.email == EmailStanding::Owned {
                Verdict::Link
            } else {
                Verdict::Refuse(&codes::EMAIL_CONFLICT)
            }
        }
        Known::Nobody => {
            let welcome =
                arrival.connection_jit.unwrap_or(policy.provisioning.jit.mode == JitMode::CreateUserAndMembership);
            if welcome {
                Verdict::Create { trust_email: arrival.email == EmailStanding::Owned }
            } else {
                Verdict::Refuse(&codes::NOT_A_MEMBER)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: Arrival = Arrival {
        by_identity: Known::Nobody,
        by_email: Known::Nobody,
        email: EmailStanding::Owned,
        email_verified: true,
        connection_jit: None,
    };
    const ACTIVE: Known = Known::Active { same_connection: true };
    const ELSEWHERE: Known = Known::Active { same_connection: false };

    fn verdict(arrival: Arrival) -> Verdict {
        decide(&Policy::default(), &arrival)
    }

    #[test]
    fn a_known_identity_is_the_person_whatever_the_address_says() {
        for email in [EmailStanding::None, EmailStanding::Owned, EmailStanding::Unclaimed, EmailStanding::Foreign] {
            for by_email in [Known::Nobody, ACTIVE, ELSEWHERE, Known::Ended] {
                let arrival = Arrival { by_identity: ELSEWHERE, by_email, email, email_verified: false, ..STRANGER };
                assert_eq!(verdict(arrival), Verdict::Admit);
                let ended = Arrival { by_identity: Known::Ended, ..arrival };
                assert_eq!(verdict(ended), Verdict::Refuse(&codes::PERSON_DISABLED));
            }
        }
    }

    #[test]
    fn signing_in_never_revives() {
        assert_eq!(verdict(Arrival { by_email: Known::Ended, ..STRANGER }), Verdict::Refuse(&codes::PERSON_DISABLED));
    }

    #[test]
    fn an_unverified_address_opens_nothing() {
        for by_email in [Known::Nobody, ACTIVE, ELSEWHERE, Known::Ended] {
            for email in [EmailStanding::Owned, EmailStanding::Unclaimed] {
                let arrival = Arrival { by_email, email, email_verified: false, ..STRANGER };
                assert_eq!(verdict(arrival), Verdict::Refuse(&codes::EMAIL_NOT_VERIFIED));
            }
        }
    }

    #[test]
    fn a_foreign_domain_opens_nothing() {
        for by_email in [Known::Nobody, ACTIVE] {
            let arrival = Arrival { by_email, email: EmailStanding::Foreign, ..STRANGER };
            assert_eq!(verdict(arrival), Verdict::Refuse(&codes::EMAIL_DOMAIN_NOT_OWNED));
        }
    }

    #[test]
    fn linking_follows_the_policy_and_needs_an_owned_domain() {
        let with = |linking, by_email, email| {
            let mut policy = Policy::default();
            policy.identity.account_linking.oidc = linking;
            decide(&policy, &Arrival { by_email, email, ..STRANGER })
        };
        let conflict = Verdict::Refuse(&codes::EMAIL_CONFLICT);
        assert_eq!(with(Linking::SameConnection, ACTIVE, EmailStanding::Owned), Verdict::Link);
        assert_eq!(with(Linking::SameConnection, ELSEWHERE, EmailStanding::Owned), conflict);
        assert_eq!(with(Linking::VerifiedEmail, ELSEWHERE, EmailStanding::Owned), Verdict::Link);
        assert_eq!(with(Linking::None, ACTIVE, EmailStanding::Owned), conflict);
        for linking in [Linking::SameConnection, Linking::VerifiedEmail, Linking::None] {
            assert_eq!(with(linking, ACTIVE, EmailStanding::Unclaimed), conflict);
        }
    }

    #[test]
    fn strangers_are_welcome_as_the_connection_or_else_the_policy_says() {
        let with = |mode, connection_jit| {
            let mut policy = Policy::default();
            policy.provisioning.jit.mode = mode;
            decide(&policy, &Arrival { connection_jit, ..STRANGER })
        };
        let created = Verdict::Create { trust_email: true };
        let refused = Verdict::Refuse(&codes::NOT_A_MEMBER);
        assert_eq!(with(JitMode::CreateUserAndMembership, None), created);
        assert_eq!(with(JitMode::CreateUserAndMembership, Some(false)), refused);
        assert_eq!(with(JitMode::CreateUser, None), refused);
        assert_eq!(with(JitMode::Off, None), refused);
        assert_eq!(with(JitMode::Off, Some(true)), created);
    }

    #[test]
    fn an_address_is_trusted_only_in_an_owned_domain() {
        let unclaimed = Arrival { email: EmailStanding::Unclaimed, ..STRANGER };
        assert_eq!(verdict(unclaimed), Verdict::Create { trust_email: false });
        let none = Arrival { email: EmailStanding::None, email_verified: false, ..STRANGER };
        assert_eq!(verdict(none), Verdict::Create { trust_email: false });
    }
}
