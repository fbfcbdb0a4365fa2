//! What a source says is merged into what is known, field by field: each has a last writer, and the policy says whose
//! word goes over whose.

use std::collections::BTreeSet;

use super::find::Found;
use crate::access::RoleName;
use crate::directory::email::EmailAddress;
use crate::directory::field::{Field, Wish};
use crate::directory::membership::{Membership, Statement};
use crate::directory::proposal::{PersonProposal, SourceFacts};
use crate::directory::source::Source;
use crate::error::{Error, Result, codes};
use crate::policy::{Authority, EmailStanding, Word, roles_of_groups, roles_of_roles, weigh_word};

/// Merges everything but the standing. Answers whether the address that a sign-in arrived with is another's.
/// Errors: `field_owned`, `taken`, `email_domain_not_owned`.
pub(super) fn merge(
    member: &mut Membership,
    proposal: &PersonProposal,
    facts: &SourceFacts,
    found: &Found,
) -> Result<bool> {
    for field in Field::ALL.iter().copied().filter(|field| *field != Field::Email) {
        if let Some(wish) = proposal.fields.wish(field) {
            let value = match wish {
                Wish::Clear => None,
                Wish::Set(value) => Some(value.clone()),
            };
            write(member, field, value, proposal.source, facts)?;
        }
    }
    let conflict = match (proposal.fields.wish(Field::Email), &found.email) {
        (Some(Wish::Clear), _) => {
            if write(member, Field::Email, None, proposal.source, facts)? {
                member.email_verified = false;
            }
            false
        }
        (Some(Wish::Set(_)), Some(address)) => email(member, address, proposal, facts, found)?,
        _ => false,
    };
    rest(member, proposal, facts);
    Ok(conflict)
}

/// What has no writer of its own: it is a source's evidence of this moment, or an administrator's order.
pub(super) fn rest(member: &mut Membership, proposal: &PersonProposal, facts: &SourceFacts) {
    if let Some(groups) = &proposal.groups {
        member.groups.clone_from(groups);
    }
    if let Some(roles) = &proposal.roles {
        member.upstream_roles.clone_from(roles);
    }
    if let Some(extra) = &proposal.extra {
        let text = serde_json::Value::Object(extra.clone()).to_string();
        member.extra = (!extra.is_empty()).then_some(text);
    }
    map_roles(member, proposal, facts);
    if let (Source::Admin, Some(roles)) = (proposal.source, &proposal.orders.roles) {
        member.roles.clone_from(roles);
    }
}

/// Writes a field if the source's word counts. Answers whether it was written.
fn write(
    member: &mut Membership,
    field: Field,
    value: Option<String>,
    source: Source,
    facts: &SourceFacts,
) -> Result<bool> {
    let user = &facts.policy.provisioning.user;
    let speaker = source.authority();
    let writer = member.writers.get(&field).map(|writer| writer.authority());
    let now = field.of(member);
    if *now == value {
        // Said again by the authority, it is the authority's from now on.
        if speaker == user.authority && writer != Some(speaker) && value.is_some() {
            member.writers.insert(field, source);
        }
        return Ok(false);
    }
    match weigh_word(user, speaker, writer, now.is_none()) {
        Word::PassedOver => Ok(false),
        Word::Refused => Err(Error::new(&codes::FIELD_OWNED).help(format!(
            "`{}` was set by the policy's authority (`provisioning.user.authority: {}`): change it there, or change the policy.",
            field.name(),
            named(user.authority),
        ))),
        Word::Taken => {
            *now = value;
            member.writers.insert(field, source);
            Ok(true)
        }
    }
}

fn named(authority: Authority) -> &'static str {
    match authority {
        Authority::App => "app",
        Authority::Connection => "connection",
        Authority::Scim => "scim",
    }
}

/// A new address must be nobody else's. From a sign-in it is taken only if it is verified in a domain of the
/// connection's, and otherwise passed over; a directory or an administrator is told what is wrong with it.
fn email(
    member: &mut Membership,
    address: &EmailAddress,
    proposal: &PersonProposal,
    facts: &SourceFacts,
    found: &Found,
) -> Result<bool> {
    let owned = found.standing(facts) == EmailStanding::Owned;
    let trusted = match proposal.source {
        Source::SignIn(_) | Source::Issuer(_) => owned && proposal.email_verified,
        Source::Scim(_) | Source::Sync(_) => owned,
        Source::Inbound(_) | Source::InboundAlone(_) => owned && proposal.email_verified,
        Source::Admin => false,
    };
    let before = member.email.as_deref().and_then(|text| EmailAddress::parse(text).ok());
    if before.is_some_and(|before| before.folded == address.folded) {
        member.email_verified |= trusted;
        write(member, Field::Email, Some(address.text.clone()), proposal.source, facts)?;
        return Ok(false);
    }
    let of_another = found.email_is_of_another(member.user);
    if proposal.source.is_arrival() && (of_another || !trusted) {
        return Ok(of_another);
    }
    let mut after = member.clone();
    if write(&mut after, Field::Email, Some(address.text.clone()), proposal.source, facts)? {
        if of_another {
            return Err(Error::says(&codes::TAKEN, "Another person of the organization has this e-mail address."));
        }
        if proposal.source.is_directory() && found.standing(facts) == EmailStanding::Foreign {
            return Err(Error::new(&codes::EMAIL_DOMAIN_NOT_OWNED));
        }
        after.email_verified = trusted;
        *member = after;
    }
    Ok(false)
}

/// What the mappings give for what the source states now replaces what they gave for its statement before.
fn map_roles(member: &mut Membership, proposal: &PersonProposal, facts: &SourceFacts) {
    if let Some(groups) = &proposal.groups {
        let roles = roles_of_groups(&facts.policy, groups.iter().map(String::as_str));
        state(member, Statement::Groups(proposal.source), roles);
    }
    if let Some(roles) = &proposal.roles {
        let roles = roles_of_roles(&facts.policy, roles.iter().map(String::as_str));
        state(member, Statement::Roles(proposal.source), roles);
    }
}

/// The roles that follow from a statement, and from it alone.
pub(super) fn state(member: &mut Membership, statement: Statement, roles: BTreeSet<RoleName>) {
    if roles.is_empty() {
        member.mapped.remove(&statement);
    } else {
        member.mapped.insert(statement, roles);
    }
}
