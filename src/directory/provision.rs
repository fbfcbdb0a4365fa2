//! The pipeline: match, decide, merge, add to the batch. Sign-in uses it now; every later source of people will.
//!
//! ```text
//!  Proposal ─► match by identity, by e-mail ─► policy::decide (pure) ─► merge ─► batch + events
//! ```

use super::email::EmailAddress;
use super::identity::Identity;
use super::membership::{Membership, Status};
use super::profile::Profile;
use super::user::User;
use crate::access::{Context, RoleName};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::policy::{Arrival, EmailStanding, Known, Policy, UpdateProfile, Verdict, decide};
use crate::store::{Batch, Key, Stored};

/// What a source would like to be true of a person.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The source's own identifier of the person.
    pub subject: String,
    /// What the source says of them.
    pub profile: Profile,
}

/// What is known of the source.
#[derive(Clone, Debug)]
pub struct SourceFacts {
    /// The source.
    pub connection: ConnectionId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What it says about strangers; unset leaves it to the policy.
    pub jit: Option<bool>,
    /// The role of a new member; none unless set.
    pub default_role: Option<RoleName>,
    /// The domains that it has proven.
    pub domains: Vec<String>,
    /// Whether another connection has proven the domain of the arriving address.
    pub domain_owned_elsewhere: bool,
    /// The organization's policy.
    pub policy: Policy,
}

/// The person, once the batch is committed.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// As they are now.
    pub membership: Membership,
    /// They were not known before.
    pub created: bool,
    /// The address they arrived with is another's, so the old one was kept.
    pub email_conflict: bool,
}

/// Finds or makes the person, and adds what changes to the batch.
/// Errors: `person_disabled`, `not_a_member`, `email_not_verified`, `email_domain_not_owned`, `email_conflict`, `profile_invalid`.
pub async fn provision(
    cx: &Context,
    proposal: &Proposal,
    facts: &SourceFacts,
    batch: &mut Batch,
) -> Result<Provisioned> {
    let arriving = Arriving::find(cx, proposal, facts).await?;
    let verdict = decide(&facts.policy, &arriving.arrival(proposal, facts));
    match verdict {
        Verdict::Refuse(code) => Err(Error::new(code)),
        Verdict::Admit => {
            let known = arriving.by_identity.ok_or_else(|| Error::bug("admitted nobody"))?;
            refresh(cx, known, proposal, facts, arriving.email, arriving.by_email, batch)
        }
        Verdict::Link => {
            let known = arriving.by_email.ok_or_else(|| Error::bug("linked nobody"))?;
            let identity = identity(cx, proposal, facts, known.user);
            let event = cx.event(EventKind::AccountLinked).within(facts.organization).about("user", known.user);
            batch
                .create(&identity)
                .log(event.and("connection", facts.connection).with("subject", proposal.subject.clone()));
            refresh(cx, known, proposal, facts, arriving.email, None, batch)
        }
        Verdict::Create { trust_email } => Ok(create(cx, proposal, facts, trust_email, batch)),
    }
}

/// What the store knows of the one who arrives.
struct Arriving {
    email: Option<EmailAddress>,
    by_identity: Option<Stored<Membership>>,
    /// The identity or its person exists, but the person has no membership any more, or is disabled everywhere.
    gone: bool,
    by_email: Option<Stored<Membership>>,
}

impl Arriving {
    async fn find(cx: &Context, proposal: &Proposal, facts: &SourceFacts) -> Result<Self> {
        if proposal.subject.is_empty() || proposal.subject.len() > 1024 {
            return Err(Error::new(&codes::PROFILE_INVALID));
        }
        let email = proposal.profile.email.as_deref().map(EmailAddress::parse).transpose()?;
        let key = Identity::key_of(facts.connection, &proposal.subject);
        let identity: Option<Stored<Identity>> = cx.store.get(key).await?;
        let mut by_identity = None;
        let mut gone = false;
        if let Some(identity) = identity {
            by_identity = cx.store.get::<Membership>(Membership::key_of(facts.organization, identity.user)).await?;
            let user: Option<Stored<User>> = cx.store.get(Key::from_bytes(identity.user.bytes())).await?;
            gone = by_identity.is_none() || user.is_none_or(|user| user.disabled_at.is_some());
        }
        let by_email = match &email {
            Some(email) => Membership::by_email(&cx.store, facts.organization, email).await?,
            None => None,
        };
        Ok(Self { email, by_identity, gone, by_email })
    }

    fn arrival(&self, proposal: &Proposal, facts: &SourceFacts) -> Arrival {
        let known = |found: &Option<Stored<Membership>>| match found {
            None => Known::Nobody,
            Some(found) if found.status == Status::Active => {
                Known::Active { same_connection: found.source == Some(facts.connection) }
            }
            Some(_) => Known::Ended,
        };
        Arrival {
            by_identity: if self.gone { Known::Ended } else { known(&self.by_identity) },
            by_email: known(&self.by_email),
            email: standing(self.email.as_ref(), facts),
            email_verified: proposal.profile.email_verified,
            connection_jit: facts.jit,
        }
    }
}

fn standing(email: Option<&EmailAddress>, facts: &SourceFacts) -> EmailStanding {
    match email {
        None => EmailStanding::None,
        Some(email) if facts.domains.contains(&email.domain) => EmailStanding::Owned,
        Some(_) if facts.domain_owned_elsewhere || !facts.domains.is_empty() => EmailStanding::Foreign,
        Some(_) => EmailStanding::Unclaimed,
    }
}

fn identity(cx: &Context, proposal: &Proposal, facts: &SourceFacts, user: UserId) -> Identity {
    Identity {
        connection: facts.connection,
        subject: proposal.subject.clone(),
        organization: facts.organization,
        user,
        created_at: cx.env.now(),
    }
}

fn create(cx: &Context, proposal: &Proposal, facts: &SourceFacts, trust_email: bool, batch: &mut Batch) -> Provisioned {
    let now = cx.env.now();
    let user = User { id: UserId::new(&cx.env), created_at: now, disabled_at: None };
    let profile = &proposal.profile;
    let membership = Membership {
        organization: facts.organization,
        user: user.id,
        status: Status::Active,
        email: profile.email.clone(),
        email_verified: trust_email && profile.email_verified,
        name: profile.name.clone(),
        given_name: profile.given_name.clone(),
        family_name: profile.family_name.clone(),
        image: profile.image.clone(),
        groups: profile.groups.clone(),
        roles: facts.default_role.clone().into_iter().collect(),
        source: Some(facts.connection),
        created_at: now,
        updated_at: now,
        extra: extra(profile),
    };
    let event = cx.event(EventKind::UserCreated).within(facts.organization).about("user", user.id);
    batch
        .create(&user)
        .create(&identity(cx, proposal, facts, user.id))
        .create(&membership)
        .log(event.and("connection", facts.connection).with("email", profile.email.clone()));
    Provisioned { membership, created: true, email_conflict: false }
}

fn extra(profile: &Profile) -> Option<String> {
    (!profile.extra.is_empty()).then(|| serde_json::Value::Object(profile.extra.clone()).to_string())
}

/// Merges what the source says now into what is known. A new address is taken over only if it is verified, in a
/// domain of the connection's, and nobody else's; otherwise the old one stays.
fn refresh(
    cx: &Context,
    known: Stored<Membership>,
    proposal: &Proposal,
    facts: &SourceFacts,
    email: Option<EmailAddress>,
    by_email: Option<Stored<Membership>>,
    batch: &mut Batch,
) -> Result<Provisioned> {
    let Stored { value: before, revision } = known;
    let profile = &proposal.profile;
    let mut member = before.clone();
    let taken =
        |old: &Option<String>, new: &Option<String>| match facts.policy.provisioning.user.update_profile_on_login {
            UpdateProfile::Never => old.clone(),
            UpdateProfile::Missing => old.clone().or_else(|| new.clone()),
            UpdateProfile::Always => new.clone().or_else(|| old.clone()),
        };
    member.name = taken(&before.name, &profile.name);
    member.given_name = taken(&before.given_name, &profile.given_name);
    member.family_name = taken(&before.family_name, &profile.family_name);
    member.image = taken(&before.image, &profile.image);
    // Groups are the provider's evidence of this moment, not a profile that people edit.
    member.groups.clone_from(&profile.groups);
    member.extra = extra(profile).or(member.extra);

    let email_conflict = by_email.is_some_and(|other| other.user != before.user);
    let owned = standing(email.as_ref(), facts) == EmailStanding::Owned && profile.email_verified;
    if let (Some(email), true, false) = (email, owned, email_conflict) {
        let current = before.email.as_deref().and_then(|text| EmailAddress::parse(text).ok());
        if current.is_none_or(|current| current.folded == email.folded)
            || facts.policy.provisioning.user.update_profile_on_login == UpdateProfile::Always
        {
            member.email = Some(email.text);
            member.email_verified = true;
        }
    }
    if changed(&before, &member) {
        member.updated_at = cx.env.now();
        let event = cx.event(EventKind::UserUpdated).within(facts.organization).about("user", member.user);
        batch.update(&member, revision).log(event.and("connection", facts.connection));
    } else {
        // What was weighed must still be so at the commit: a deactivation in between makes it stale.
        batch.require::<Membership>(Membership::key_of(facts.organization, member.user), revision);
    }
    Ok(Provisioned { membership: member, created: false, email_conflict })
}

fn changed(before: &Membership, after: &Membership) -> bool {
    (&before.name, &before.given_name, &before.family_name, &before.image, &before.groups)
        != (&after.name, &after.given_name, &after.family_name, &after.image, &after.groups)
        || (&before.extra, &before.email, before.email_verified) != (&after.extra, &after.email, after.email_verified)
}
