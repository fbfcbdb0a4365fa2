//! Who it is that a proposal is about: by our id, by identity, by external id, by e-mail address.

use crate::access::Context;
use crate::directory::email::EmailAddress;
use crate::directory::external::ExternalId;
use crate::directory::field::Field;
use crate::directory::identity::Identity;
use crate::directory::membership::{Membership, Status};
use crate::directory::proposal::{PersonProposal, SourceFacts};
use crate::directory::scim_resource::{ScimKind, ScimResource};
use crate::directory::source::Source;
use crate::directory::user::User;
use crate::error::{Error, Result, codes};
use crate::id::UserId;
use crate::policy::{Arrival, EmailStanding, Known, ReuseUser, Way};
use crate::store::{Key, Query, Stored};

/// A key holds the connection, its length, and at most so many bytes besides.
const MAX_HANDLE: usize = 1_000;

/// What the store knows of the one whom a proposal is about.
pub(super) struct Found {
    /// The address that the proposal sets.
    pub email: Option<EmailAddress>,
    /// The member, by anything but the address.
    pub member: Option<Stored<Membership>>,
    /// The member who has the address.
    pub by_email: Option<Stored<Membership>>,
    /// The proposal's subject is linked to the member.
    pub linked: bool,
    /// The proposal's external id is the member's.
    pub handled: bool,
    /// There is an identity, but its person is no member any more, or is disabled everywhere.
    gone: bool,
    /// The one of the address has never signed in.
    unsigned: bool,
}

impl Found {
    /// Errors: `profile_invalid`; `not_found` for an id that is no member's; `taken` for a handle that is another's.
    pub async fn by(cx: &Context, proposal: &PersonProposal, facts: &SourceFacts) -> Result<Self> {
        for handle in [&proposal.subject, &proposal.external_id].into_iter().flatten() {
            if handle.is_empty() || handle.len() > MAX_HANDLE {
                return Err(Error::new(&codes::PROFILE_INVALID));
            }
        }
        let email = proposal.fields.value(Field::Email).map(EmailAddress::parse).transpose()?;
        let identity = identity(cx, proposal).await?;
        let handle = handle(cx, proposal).await?;
        let user = one_of(proposal, facts, identity.as_ref(), handle.as_ref())?;
        let mut member = None;
        let mut gone = false;
        if let Some(user) = user {
            member = cx.store.get::<Membership>(Membership::key_of(facts.organization, user)).await?;
            let anchor: Option<Stored<User>> = cx.store.get(Key::from_bytes(user.bytes())).await?;
            gone = member.is_none() || anchor.is_none_or(|anchor| anchor.disabled_at.is_some());
        }
        if proposal.user.is_some() {
            let member = member.as_ref().ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
            if proposal.source.is_directory() && !knows(cx, proposal.source, member).await? {
                return Err(Error::new(&codes::NOT_FOUND));
            }
        }
        let by_email = match &email {
            Some(email) => Membership::by_email(&cx.store, facts.organization, email).await?,
            None => None,
        };
        let unsigned = match &by_email {
            Some(member) => member.source.is_none() && !signs_in(cx, member).await?,
            None => false,
        };
        Ok(Self { email, member, by_email, linked: identity.is_some(), handled: handle.is_some(), gone, unsigned })
    }

    /// The facts that the policy weighs.
    pub fn arrival(&self, proposal: &PersonProposal, facts: &SourceFacts) -> Arrival {
        Arrival {
            way: match proposal.source {
                Source::SignIn(_) | Source::Issuer(_) => Way::SignIn(facts.protocol),
                Source::Scim(_) | Source::Sync(_) | Source::Inbound(_) | Source::InboundAlone(_) => {
                    Way::Directory(facts.protocol)
                }
                Source::Admin => Way::Administrator,
            },
            by_identity: if self.gone { Known::Ended } else { self.known(&self.member, proposal) },
            by_email: self.known(&self.by_email, proposal),
            email: match self.standing(facts) {
                // An address that nobody has verified stands for nobody, in whatever domain it is.
                EmailStanding::Owned if proposal.source.says_what_is_verified() && !proposal.email_verified => {
                    EmailStanding::Unclaimed
                }
                standing => standing,
            },
            email_verified: proposal.email_verified,
            connection_jit: facts.jit,
        }
    }

    fn known(&self, found: &Option<Stored<Membership>>, proposal: &PersonProposal) -> Known {
        let Some(found) = found else { return Known::Nobody };
        match found.status {
            Status::Active => Known::Active {
                same_connection: match found.source {
                    Some(source) => proposal.source.connection() == Some(source),
                    // An administrator entered them, and nobody has come as them yet.
                    None => self.unsigned,
                },
                verified: found.email_verified,
            },
            Status::Pending => Known::Pending,
            Status::Suspended | Status::Deprovisioned => Known::Ended,
        }
    }

    /// What is known of the domain of the address that arrives.
    pub fn standing(&self, facts: &SourceFacts) -> EmailStanding {
        match &self.email {
            None => EmailStanding::None,
            Some(email) if facts.domains.contains(&email.domain) => EmailStanding::Owned,
            Some(_) if facts.domain_owned_elsewhere || !facts.domains.is_empty() => EmailStanding::Foreign,
            Some(_) => EmailStanding::Unclaimed,
        }
    }

    /// Whether the address is that of somebody else than `user`.
    pub fn email_is_of_another(&self, user: UserId) -> bool {
        self.by_email.as_ref().is_some_and(|holder| holder.user != user)
    }
}

async fn identity(cx: &Context, proposal: &PersonProposal) -> Result<Option<Identity>> {
    let (Some(source), Some(subject)) = (proposal.source.identities(), &proposal.subject) else { return Ok(None) };
    let found: Option<Stored<Identity>> = cx.store.get(Identity::key_of(source, subject)).await?;
    Ok(found.map(|found| found.value))
}

async fn handle(cx: &Context, proposal: &PersonProposal) -> Result<Option<ExternalId>> {
    let (Some(connection), Some(value)) = (proposal.source.connection(), &proposal.external_id) else {
        return Ok(None);
    };
    let found: Option<Stored<ExternalId>> = cx.store.get(ExternalId::key_of(connection, value)).await?;
    Ok(found.map(|found| found.value))
}

/// The one person that id, identity and external id stand for. Two different people are nobody.
fn one_of(
    proposal: &PersonProposal,
    facts: &SourceFacts,
    identity: Option<&Identity>,
    handle: Option<&ExternalId>,
) -> Result<Option<UserId>> {
    let surely = proposal.user.or(identity.map(|identity| identity.user));
    let reuse = facts.policy.provisioning.scim_reuse.user == ReuseUser::ExternalId
        || !matches!(proposal.source, Source::Scim(_));
    let user = surely.or(handle.filter(|_| reuse).map(|handle| handle.user));
    let others = [identity.map(|identity| identity.user), handle.map(|handle| handle.user)];
    if others.into_iter().flatten().any(|other| Some(other) != user) {
        return Err(Error::new(&codes::TAKEN));
    }
    Ok(user)
}

/// A directory speaks of those whom its own connection brought, or who are linked to it. Nobody else exists for it:
/// its token would otherwise end, or take over, people of another connection.
async fn knows(cx: &Context, source: Source, member: &Membership) -> Result<bool> {
    let own = |connection| source.connection() == Some(connection);
    if member.source.is_some_and(own) {
        return Ok(true);
    }
    if let Some(directory) = source.connection() {
        let resource = ScimResource::key_of(directory, ScimKind::User, member.user.bytes());
        if cx.store.get::<ScimResource>(resource).await?.is_some() {
            return Ok(true);
        }
    }
    let query = || Query::by("user", member.user.bytes()).limit(1_000);
    let identities = cx.store.page::<Identity>(query()).await?;
    if identities.items.iter().any(|identity| identity.source.connection().is_some_and(own)) {
        return Ok(true);
    }
    let handles = cx.store.page::<ExternalId>(query()).await?;
    Ok(handles.items.iter().any(|handle| own(handle.connection)))
}

async fn signs_in(cx: &Context, member: &Membership) -> Result<bool> {
    let page = cx.store.page::<Identity>(Query::by("user", member.user.bytes()).limit(1_000)).await?;
    Ok(page.items.iter().any(|identity| identity.organization == member.organization))
}
