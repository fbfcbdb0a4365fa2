//! The decision. Pure: the same facts give the same verdict, and every fact is in the arguments.

use super::rules::{JitMode, Linking, Policy};
use crate::error::{Code, codes};

/// By which rule of `identity.accountLinking` a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OpenID Connect, and social sign-in.
    Oidc,
    /// SAML, and LDAP.
    Saml,
}

/// How a person comes to be spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// They sign in themselves.
    SignIn(Protocol),
    /// A directory of the connection states them: SCIM, a synchronization, an inbound webhook.
    Directory(Protocol),
    /// An administrator enters them.
    Administrator,
}

/// What is known of the person at the identity, or at the e-mail address, that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nobody has it.
    Nobody,
    /// A member in good standing.
    Active {
        /// Brought by the connection that the person now comes through; or entered by an administrator, and never
        /// signed in since, so that the first one to prove the address is the one who was meant.
        same_connection: bool,
        /// The address that is kept of them is trusted. Whoever holds one that is not may be anybody.
        verified: bool,
    },
    /// Somebody who waits for an administrator to admit them.
    Pending,
    /// Somebody whose access was ended.
    Ended,
}

/// What is known of the e-mail address that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailStanding {
    /// There is none.
    None,
    /// The connection has proven the address's domain.
    Owned,
    /// Nobody has proven the domain, and this connection has proven none at all.
    Unclaimed,
    /// The domain is another's, or this connection has proven domains and this is none of them.
    Foreign,
}

/// A person who arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// How.
    pub way: Way,
    /// By the source's own identifier.
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
    /// It is somebody new, who becomes known and waits for an administrator. They do not get in.
    Wait {
        /// Tell apps that the address is verified, once they are admitted.
        trust_email: bool,
    },
    /// Out, with this code.
    Refuse(&'static Code),
}

impl PartialEq for Verdict {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Admit, Self::Admit) | (Self::Link, Self::Link) => true,
            (Self::Create { trust_email: a }, Self::Create { trust_email: b })
            | (Self::Wait { trust_email: a }, Self::Wait { trust_email: b }) => a == b,
            (Self::Refuse(a), Self::Refuse(b)) => a.name == b.name,
            _ => false,
        }
    }
}

/// Decides who somebody is who arrives, and whether they become known.
///
/// A known identity is the person, whatever the address says now: addresses change, identifiers do not.
/// A stranger must bring an address that is verified in a domain of the connection's, or no address. Whether somebody
/// known may go on is not decided by a directory's word about them: see `turn`.
pub fn decide(policy: &Policy, arrival: &Arrival) -> Verdict {
    match arrival.way {
        Way::SignIn(protocol) => sign_in(policy, protocol, arrival),
        Way::Directory(protocol) => directory(policy, protocol, arrival),
        Way::Administrator => match (arrival.by_identity, arrival.by_email) {
            (Known::Nobody, Known::Nobody) => Verdict::Create { trust_email: false },
            (Known::Nobody, _) => Verdict::Refuse(&codes::TAKEN),
            _ => Verdict::Admit,
        },
    }
}

fn sign_in(policy: &Policy, protocol: Protocol, arrival: &Arrival) -> Verdict {
    match arrival.by_identity {
        Known::Active { .. } => return Verdict::Admit,
        Known::Pending => return Verdict::Refuse(&codes::NOT_A_MEMBER),
        Known::Ended => return Verdict::Refuse(&codes::PERSON_DISABLED),
        Known::Nobody => {}
    }
    if arrival.email == EmailStanding::Foreign {
        return Verdict::Refuse(&codes::EMAIL_DOMAIN_NOT_OWNED);
    }
    if arrival.email != EmailStanding::None && !arrival.email_verified {
        return Verdict::Refuse(&codes::EMAIL_NOT_VERIFIED);
    }
    let trust_email = arrival.email == EmailStanding::Owned;
    match arrival.by_email {
        Known::Ended => Verdict::Refuse(&codes::PERSON_DISABLED),
        Known::Pending => Verdict::Refuse(&codes::NOT_A_MEMBER),
        Known::Active { .. } if links(policy, protocol, arrival) => Verdict::Link,
        Known::Active { .. } => Verdict::Refuse(&codes::EMAIL_CONFLICT),
        Known::Nobody => match newcomers(policy, arrival.connection_jit) {
            JitMode::CreateUserAndMembership => Verdict::Create { trust_email },
            JitMode::CreateUser => Verdict::Wait { trust_email },
            JitMode::Off => Verdict::Refuse(&codes::NOT_A_MEMBER),
        },
    }
}

/// The connection beats the policy.
fn newcomers(policy: &Policy, connection: Option<bool>) -> JitMode {
    let provisioning = &policy.provisioning;
    match connection {
        Some(true) => JitMode::CreateUserAndMembership,
        Some(false) => JitMode::Off,
        None if !provisioning.user.create_on_sign_in => JitMode::Off,
        None => provisioning.jit.mode,
    }
}

/// A directory makes people known by itself, but takes nobody over: neither by the address of somebody whom it did
/// not bring, nor by one in a domain that is not its connection's.
fn directory(policy: &Policy, protocol: Protocol, arrival: &Arrival) -> Verdict {
    if arrival.by_identity != Known::Nobody {
        return Verdict::Admit;
    }
    if arrival.email == EmailStanding::Foreign {
        return Verdict::Refuse(&codes::EMAIL_DOMAIN_NOT_OWNED);
    }
    match arrival.by_email {
        Known::Nobody => Verdict::Create { trust_email: arrival.email == EmailStanding::Owned },
        Known::Active { .. } if links(policy, protocol, arrival) => Verdict::Link,
        _ => Verdict::Refuse(&codes::TAKEN),
    }
}

/// Whether the one of the address may be the one who arrives. Only a connection that has proven the address's domain
/// can tell; and an account of another connection whose own address was never trusted may have been made by somebody
/// who waited for this moment.
fn links(policy: &Policy, protocol: Protocol, arrival: &Arrival) -> bool {
    let Known::Active { same_connection, verified } = arrival.by_email else { return false };
    let linking = match protocol {
        Protocol::Oidc => policy.identity.account_linking.oidc,
        Protocol::Saml => policy.identity.account_linking.saml,
    };
    let allowed = match linking {
        Linking::None => false,
        Linking::SameConnection => same_connection,
        Linking::VerifiedEmail => same_connection || verified,
    };
    allowed && arrival.email == EmailStanding::Owned
}

#[cfg(test)]
mod tests;
