use super::*;
use crate::policy::{AccountLinking, IdentityPolicy};

const STRANGER: Arrival = Arrival {
    way: Way::SignIn(Protocol::Oidc),
    by_identity: Known::Nobody,
    by_email: Known::Nobody,
    email: EmailStanding::Owned,
    email_verified: true,
    connection_jit: None,
};
const ACTIVE: Known = Known::Active { same_connection: true, verified: true };
const ELSEWHERE: Known = Known::Active { same_connection: false, verified: true };
const SQUATTER: Known = Known::Active { same_connection: false, verified: false };
const KNOWN: [Known; 7] = [
    Known::Nobody,
    ACTIVE,
    Known::Active { same_connection: true, verified: false },
    ELSEWHERE,
    SQUATTER,
    Known::Pending,
    Known::Ended,
];
const STANDINGS: [EmailStanding; 4] =
    [EmailStanding::None, EmailStanding::Owned, EmailStanding::Unclaimed, EmailStanding::Foreign];
const WAYS: [Way; 5] = [
    Way::SignIn(Protocol::Oidc),
    Way::SignIn(Protocol::Saml),
    Way::Directory(Protocol::Oidc),
    Way::Directory(Protocol::Saml),
    Way::Administrator,
];
const LINKINGS: [Linking; 3] = [Linking::None, Linking::SameConnection, Linking::VerifiedEmail];
const MODES: [JitMode; 3] = [JitMode::CreateUserAndMembership, JitMode::CreateUser, JitMode::Off];

fn verdict(arrival: Arrival) -> Verdict {
    decide(&Policy::default(), &arrival)
}

fn arrivals() -> Vec<Arrival> {
    let mut all = Vec::new();
    for way in WAYS {
        for by_identity in KNOWN {
            for by_email in KNOWN {
                for email in STANDINGS {
                    for email_verified in [false, true] {
                        for connection_jit in [None, Some(false), Some(true)] {
                            all.push(Arrival { way, by_identity, by_email, email, email_verified, connection_jit });
                        }
                    }
                }
            }
        }
    }
    all
}

fn policies() -> Vec<Policy> {
    let mut all = Vec::new();
    for oidc in LINKINGS {
        for saml in LINKINGS {
            for mode in MODES {
                for create_on_sign_in in [true, false] {
                    let mut policy = Policy {
                        identity: IdentityPolicy { account_linking: AccountLinking { oidc, saml } },
                        ..Policy::default()
                    };
                    policy.provisioning.jit.mode = mode;
                    policy.provisioning.user.create_on_sign_in = create_on_sign_in;
                    all.push(policy);
                }
            }
        }
    }
    all
}

/// Every combination there is, against what must hold of each verdict: written from the policy's texts, not from the code.
#[test]
fn every_verdict_keeps_every_promise() {
    for policy in policies() {
        for arrival in arrivals() {
            let told = decide(&policy, &arrival);
            let case = || format!("{told:?} for {arrival:?} under {policy:?}");
            let (person, holder) = (arrival.by_identity, arrival.by_email);
            let signs_in = matches!(arrival.way, Way::SignIn(_));
            let by_administrator = arrival.way == Way::Administrator;
            let linking = match arrival.way {
                Way::SignIn(Protocol::Oidc) | Way::Directory(Protocol::Oidc) => policy.identity.account_linking.oidc,
                _ => policy.identity.account_linking.saml,
            };
            match told {
                // Somebody is admitted by their identity alone, and only in good standing.
                Verdict::Admit => {
                    assert_ne!(person, Known::Nobody, "{}", case());
                    assert!(!signs_in || matches!(person, Known::Active { .. }), "{}", case());
                }
                // Linking takes an unknown identity, a known holder in good standing, a proven domain, and the policy.
                Verdict::Link => {
                    assert!(!by_administrator && person == Known::Nobody, "{}", case());
                    let Known::Active { same_connection, verified } = holder else { panic!("{}", case()) };
                    assert_eq!(arrival.email, EmailStanding::Owned, "{}", case());
                    assert!(!signs_in || arrival.email_verified, "{}", case());
                    assert!(linking != Linking::None && (same_connection || verified), "{}", case());
                    assert!(linking == Linking::VerifiedEmail || same_connection, "{}", case());
                }
                Verdict::Create { trust_email } => {
                    assert_eq!((person, holder), (Known::Nobody, Known::Nobody), "{}", case());
                    assert_eq!(trust_email, !by_administrator && arrival.email == EmailStanding::Owned, "{}", case());
                    assert!(by_administrator || arrival.email != EmailStanding::Foreign, "{}", case());
                    if signs_in {
                        assert!(arrival.email == EmailStanding::None || arrival.email_verified, "{}", case());
                        let policy_says = policy.provisioning.user.create_on_sign_in
                            && policy.provisioning.jit.mode == JitMode::CreateUserAndMembership;
                        assert!(arrival.connection_jit.unwrap_or(policy_says), "{}", case());
                    }
                }
                Verdict::Wait { trust_email } => {
                    assert!(signs_in && arrival.connection_jit.is_none(), "{}", case());
                    assert_eq!((person, holder), (Known::Nobody, Known::Nobody), "{}", case());
                    assert_eq!(trust_email, arrival.email == EmailStanding::Owned, "{}", case());
                    assert_eq!(policy.provisioning.jit.mode, JitMode::CreateUser, "{}", case());
                    assert!(policy.provisioning.user.create_on_sign_in, "{}", case());
                    assert!(arrival.email == EmailStanding::None || arrival.email_verified, "{}", case());
                    assert_ne!(arrival.email, EmailStanding::Foreign, "{}", case());
                }
                // Nobody is refused without the reason that the code names.
                Verdict::Refuse(code) => {
                    let reason = match code.name {
                        "person_disabled" => {
                            signs_in && (person == Known::Ended || (person, holder) == (Known::Nobody, Known::Ended))
                        }
                        "not_a_member" => signs_in && !matches!(person, Known::Active { .. } | Known::Ended),
                        "email_domain_not_owned" => {
                            !by_administrator && person == Known::Nobody && arrival.email == EmailStanding::Foreign
                        }
                        "email_not_verified" => {
                            signs_in
                                && person == Known::Nobody
                                && arrival.email != EmailStanding::None
                                && !arrival.email_verified
                        }
                        "email_conflict" => {
                            signs_in && person == Known::Nobody && matches!(holder, Known::Active { .. })
                        }
                        "taken" => !signs_in && person == Known::Nobody && holder != Known::Nobody,
                        _ => false,
                    };
                    assert!(reason, "{}", case());
                }
            }
        }
    }
}

#[test]
fn a_known_identity_is_the_person_whatever_the_address_says() {
    for email in STANDINGS {
        for by_email in KNOWN {
            let arrival = Arrival { by_identity: SQUATTER, by_email, email, email_verified: false, ..STRANGER };
            assert_eq!(verdict(arrival), Verdict::Admit);
            let ended = Arrival { by_identity: Known::Ended, ..arrival };
            assert_eq!(verdict(ended), Verdict::Refuse(&codes::PERSON_DISABLED));
            let pending = Arrival { by_identity: Known::Pending, ..arrival };
            assert_eq!(verdict(pending), Verdict::Refuse(&codes::NOT_A_MEMBER));
        }
    }
}

#[test]
fn signing_in_never_revives() {
    assert_eq!(verdict(Arrival { by_email: Known::Ended, ..STRANGER }), Verdict::Refuse(&codes::PERSON_DISABLED));
    assert_eq!(verdict(Arrival { by_email: Known::Pending, ..STRANGER }), Verdict::Refuse(&codes::NOT_A_MEMBER));
}

#[test]
fn an_unverified_address_opens_nothing() {
    for by_email in KNOWN {
        for email in [EmailStanding::Owned, EmailStanding::Unclaimed] {
            let arrival = Arrival { by_email, email, email_verified: false, ..STRANGER };
            assert_eq!(verdict(arrival), Verdict::Refuse(&codes::EMAIL_NOT_VERIFIED));
        }
    }
}

#[test]
fn a_foreign_domain_opens_nothing() {
    for by_email in KNOWN {
        for way in [STRANGER.way, Way::Directory(Protocol::Oidc), Way::SignIn(Protocol::Saml)] {
            let arrival = Arrival { way, by_email, email: EmailStanding::Foreign, ..STRANGER };
            assert_eq!(verdict(arrival), Verdict::Refuse(&codes::EMAIL_DOMAIN_NOT_OWNED));
        }
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
    for linking in LINKINGS {
        assert_eq!(with(linking, ACTIVE, EmailStanding::Unclaimed), conflict);
        assert_eq!(with(linking, SQUATTER, EmailStanding::Owned), conflict, "its holder may be anybody");
    }
    let entered = Known::Active { same_connection: true, verified: false };
    assert_eq!(with(Linking::SameConnection, entered, EmailStanding::Owned), Verdict::Link);
    assert_eq!(with(Linking::VerifiedEmail, entered, EmailStanding::Owned), Verdict::Link);
}

#[test]
fn each_protocol_has_its_own_rule_of_linking() {
    let mut policy = Policy::default();
    policy.identity.account_linking = AccountLinking { oidc: Linking::None, saml: Linking::VerifiedEmail };
    let arrival = |way| Arrival { way, by_email: ELSEWHERE, ..STRANGER };
    let with = |way| decide(&policy, &arrival(way));
    assert_eq!(with(Way::SignIn(Protocol::Oidc)), Verdict::Refuse(&codes::EMAIL_CONFLICT));
    assert_eq!(with(Way::SignIn(Protocol::Saml)), Verdict::Link);
    assert_eq!(with(Way::Directory(Protocol::Oidc)), Verdict::Refuse(&codes::TAKEN));
    assert_eq!(with(Way::Directory(Protocol::Saml)), Verdict::Link);
}

#[test]
fn strangers_are_welcome_as_the_connection_or_else_the_policy_says() {
    let with = |mode, create_on_sign_in, connection_jit| {
        let mut policy = Policy::default();
        policy.provisioning.jit.mode = mode;
        policy.provisioning.user.create_on_sign_in = create_on_sign_in;
        decide(&policy, &Arrival { connection_jit, ..STRANGER })
    };
    let created = Verdict::Create { trust_email: true };
    let refused = Verdict::Refuse(&codes::NOT_A_MEMBER);
    assert_eq!(with(JitMode::CreateUserAndMembership, true, None), created);
    assert_eq!(with(JitMode::CreateUserAndMembership, true, Some(false)), refused);
    assert_eq!(with(JitMode::CreateUserAndMembership, false, None), refused);
    assert_eq!(with(JitMode::CreateUser, true, None), Verdict::Wait { trust_email: true });
    assert_eq!(with(JitMode::CreateUser, false, None), refused);
    assert_eq!(with(JitMode::CreateUser, true, Some(true)), created);
    assert_eq!(with(JitMode::CreateUser, true, Some(false)), refused);
    assert_eq!(with(JitMode::Off, true, None), refused);
    assert_eq!(with(JitMode::Off, false, Some(true)), created);
}

#[test]
fn an_address_is_trusted_only_in_an_owned_domain() {
    for way in [STRANGER.way, Way::Directory(Protocol::Oidc)] {
        let unclaimed = Arrival { way, email: EmailStanding::Unclaimed, ..STRANGER };
        assert_eq!(verdict(unclaimed), Verdict::Create { trust_email: false });
        let none = Arrival { way, email: EmailStanding::None, email_verified: false, ..STRANGER };
        assert_eq!(verdict(none), Verdict::Create { trust_email: false });
        let owned = Arrival { way, ..STRANGER };
        assert_eq!(verdict(owned), Verdict::Create { trust_email: true });
    }
}

#[test]
fn a_directory_states_whom_it_knows_and_takes_nobody_over() {
    let directory = Arrival { way: Way::Directory(Protocol::Oidc), email_verified: false, ..STRANGER };
    for by_identity in KNOWN.into_iter().filter(|known| *known != Known::Nobody) {
        assert_eq!(verdict(Arrival { by_identity, ..directory }), Verdict::Admit);
    }
    for by_email in [ELSEWHERE, SQUATTER, Known::Pending, Known::Ended] {
        assert_eq!(verdict(Arrival { by_email, ..directory }), Verdict::Refuse(&codes::TAKEN));
    }
    assert_eq!(verdict(Arrival { by_email: ACTIVE, ..directory }), Verdict::Link);
    let unowned = Arrival { by_email: ACTIVE, email: EmailStanding::Unclaimed, ..directory };
    assert_eq!(verdict(unowned), Verdict::Refuse(&codes::TAKEN));
}

#[test]
fn an_administrator_enters_whom_nobody_knows() {
    let entered = Arrival { way: Way::Administrator, email: EmailStanding::Foreign, email_verified: false, ..STRANGER };
    assert_eq!(verdict(entered), Verdict::Create { trust_email: false });
    for known in KNOWN.into_iter().filter(|known| *known != Known::Nobody) {
        assert_eq!(verdict(Arrival { by_email: known, ..entered }), Verdict::Refuse(&codes::TAKEN));
        assert_eq!(verdict(Arrival { by_identity: known, by_email: known, ..entered }), Verdict::Admit);
    }
}

#[test]
fn verdicts_of_different_kinds_differ() {
    let all = [
        Verdict::Admit,
        Verdict::Link,
        Verdict::Create { trust_email: false },
        Verdict::Create { trust_email: true },
        Verdict::Wait { trust_email: false },
        Verdict::Wait { trust_email: true },
        Verdict::Refuse(&codes::TAKEN),
        Verdict::Refuse(&codes::NOT_A_MEMBER),
    ];
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            assert_eq!(a == b, i == j, "{a:?} and {b:?}");
        }
    }
}
