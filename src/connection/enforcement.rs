//! Where single sign-on is enforced, as it is kept; and what that demands of somebody.
//!
//! One row an organization answers for everybody in it, so that the check at every use costs one read. What a
//! connection says for its own people is kept on the connection, and copied here by the same commit.

use super::domain::DomainOwner;
use super::last_sign_in::LastSignIn;
use super::record::{Connection, Status};
use crate::access::{Context, Role, RoleName};
use crate::directory::{EmailAddress, Membership};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId};
use crate::policy::{ConnectionWord, Demand, EnforcementRules, Free, Subject, Via};
use crate::store::{Batch, Key, Life, Record, Revision, Store, Stored};

/// So many holders of a role are asked whether they still get in.
const MOST_HOLDERS: usize = 1_000;

/// Where single sign-on is enforced in an organization. Without a row it is nowhere.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Enforcement {
    /// The organization.
    #[n(0)]
    pub organization: OrganizationId,
    /// What holds.
    #[n(1)]
    pub rules: EnforcementRules,
    /// Since when it is enforced for everybody.
    #[n(2)]
    pub since: Option<Timestamp>,
    /// When anything of this was last changed.
    #[n(3)]
    pub updated_at: Timestamp,
}

impl Record for Enforcement {
    const KIND: &'static str = "enforcement";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.organization)
    }
}

impl Enforcement {
    /// The key of an organization's row.
    pub fn key_of(organization: OrganizationId) -> Key {
        Key::from_bytes(organization.bytes())
    }

    /// The row, if there is one.
    pub async fn stored(store: &Store, organization: OrganizationId) -> Result<Option<Stored<Self>>> {
        store.get(Self::key_of(organization)).await
    }

    /// Whether everybody of the organization has to come through a connection.
    pub async fn holds_for_everybody(store: &Store, organization: OrganizationId) -> Result<bool> {
        Ok(Self::stored(store, organization).await?.is_some_and(|row| row.rules.everybody))
    }

    /// The row that holds now, and the revision it was read at.
    pub async fn of(cx: &Context, organization: OrganizationId) -> Result<(Self, Option<Revision>)> {
        Ok(match Self::stored(&cx.store, organization).await? {
            Some(found) => (found.value, Some(found.revision)),
            None => {
                let rules = EnforcementRules::default();
                (Self { organization, rules, since: None, updated_at: cx.env.now() }, None)
            }
        })
    }

    /// Adds it to a batch, with what it was worked out from. Two first ones at once race for the key.
    pub fn write(&self, revision: Option<Revision>, batch: &mut Batch) {
        match revision {
            Some(revision) => batch.update(self, revision),
            None => batch.create(self),
        };
    }

    /// Notes what a connection says for its own people, where that is new. It waits where nobody who could help has
    /// come in yet in a way that it would still let through. Gives the word that held and the one that holds; the caller
    /// adds the event.
    pub(super) async fn hear(
        cx: &Context,
        connection: &Connection,
        batch: &mut Batch,
    ) -> Result<(Option<ConnectionWord>, Option<ConnectionWord>)> {
        let (mut row, revision) = Self::of(cx, connection.organization).await?;
        let before = row.rules.connections.get(&connection.id).copied();
        let said = connection.enforce.filter(|_| connection.deleted_at.is_none());
        let after = match said {
            None => None,
            Some(false) => Some(ConnectionWord::No),
            Some(true) if before == Some(ConnectionWord::Yes) => before,
            Some(true) => {
                row.rules.connections.insert(connection.id, ConnectionWord::Yes);
                let safe = connection.status == Status::Active
                    && leaves_a_way_in(&cx.store, connection.organization, &row.rules, Some(connection)).await?;
                Some(if safe { ConnectionWord::Yes } else { ConnectionWord::Waiting })
            }
        };
        if after != before {
            match after {
                Some(word) => row.rules.connections.insert(connection.id, word),
                None => row.rules.connections.remove(&connection.id),
            };
            row.updated_at = cx.env.now();
            row.write(revision, batch);
        }
        Ok((before, after))
    }
}

/// What is known of a member, as far as the rules want to know it.
async fn subject_of(store: &Store, rules: &EnforcementRules, member: &Membership) -> Result<Subject> {
    let domain = domain_of(member.email.as_deref());
    let proven_by = proven_by(store, rules, member.organization, domain.as_deref()).await?;
    Ok(Subject { roles: member.effective_roles(), domain, proven_by, source: member.source })
}

/// The domain of an address, in the form that domains are kept in.
fn domain_of(email: Option<&str>) -> Option<String> {
    Some(EmailAddress::parse(email?).ok()?.domain)
}

async fn proven_by(
    store: &Store,
    rules: &EnforcementRules,
    organization: OrganizationId,
    domain: Option<&str>,
) -> Result<Vec<ConnectionId>> {
    let Some(domain) = domain.filter(|domain| rules.ask_for_proof(domain)) else { return Ok(Vec::new()) };
    let owner = DomainOwner::load(store, domain).await?.map(|owner| owner.value);
    Ok(owner.filter(|owner| owner.organization == organization).map(|owner| owner.connections).unwrap_or_default())
}

/// What rules demand of a member.
pub async fn demand_under(store: &Store, rules: &EnforcementRules, member: &Membership) -> Result<Demand> {
    if !rules.ask_anything() {
        return Ok(Demand::Nothing(Free::NotEnforced));
    }
    Ok(rules.demand(&subject_of(store, rules, member).await?))
}

/// What is demanded of a member now.
pub async fn demand(store: &Store, member: &Membership) -> Result<Demand> {
    match Enforcement::stored(store, member.organization).await? {
        Some(row) => demand_under(store, &row.rules, member).await,
        None => Ok(Demand::Nothing(Free::NotEnforced)),
    }
}

/// What is demanded now of somebody who is no member, and says to have that address.
pub async fn demand_of_stranger(store: &Store, organization: OrganizationId, email: Option<&str>) -> Result<Demand> {
    let Some(row) = Enforcement::stored(store, organization).await? else {
        return Ok(Demand::Nothing(Free::NotEnforced));
    };
    let domain = domain_of(email);
    let proven_by = proven_by(store, &row.rules, organization, domain.as_deref()).await?;
    Ok(row.rules.demand(&Subject { domain, proven_by, ..Subject::default() }))
}

/// Whether somebody who can help has come in through an active connection, and still could under these rules: an owner,
/// or whoever has an exempt role.
/// `changing` is a connection as it will be.
pub async fn leaves_a_way_in(
    store: &Store,
    organization: OrganizationId,
    rules: &EnforcementRules,
    changing: Option<&Connection>,
) -> Result<bool> {
    let mut roles = rules.exempt.clone();
    roles.insert(RoleName::from(Role::Owner));
    for role in &roles {
        for member in Membership::with_role(store, organization, role, MOST_HOLDERS).await? {
            let demand = demand_under(store, rules, &member).await?;
            for came in LastSignIn::of_member(store, organization, member.user).await? {
                let usable = match changing.filter(|changing| changing.id == came.connection) {
                    Some(changing) => changing.usable().is_ok(),
                    None => is_usable(store, came.connection).await?,
                };
                let allowed = Membership::active(store, organization, member.user).await.is_ok();
                if usable && allowed && demand.is_met_by(Via::Connection(came.connection)) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Whether there is such a connection, and people may sign in through it now.
async fn is_usable(store: &Store, id: ConnectionId) -> Result<bool> {
    match Connection::load(store, id).await {
        Ok(connection) => Ok(connection.usable().is_ok()),
        Err(error) if error.is(&codes::NOT_FOUND) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets what a connection waited for take hold: somebody has come in through `connection` who can help, and still
/// could. Gives the connections whose word holds from now on; the caller adds their events.
pub async fn take_hold(
    cx: &Context,
    member: &Membership,
    connection: ConnectionId,
    batch: &mut Batch,
) -> Result<Vec<ConnectionId>> {
    let Some(found) = Enforcement::stored(&cx.store, member.organization).await? else { return Ok(Vec::new()) };
    let Stored { value: mut row, revision } = found;
    let waiting: Vec<ConnectionId> =
        row.rules.connections.iter().filter(|(_, word)| **word == ConnectionWord::Waiting).map(|(id, _)| *id).collect();
    let helps = member.owns() || member.effective_roles().iter().any(|role| row.rules.exempt.contains(role));
    if waiting.is_empty() || !helps {
        return Ok(Vec::new());
    }
    let mut held = Vec::new();
    for id in waiting {
        if !is_usable(&cx.store, id).await? {
            continue;
        }
        let mut then = row.rules.clone();
        then.connections.insert(id, ConnectionWord::Yes);
        if demand_under(&cx.store, &then, member).await?.is_met_by(Via::Connection(connection)) {
            row.rules = then;
            held.push(id);
        }
    }
    if !held.is_empty() {
        row.updated_at = cx.env.now();
        row.write(Some(revision), batch);
    }
    Ok(held)
}

/// Refuses whoever has not come the way that is demanded of them. Errors: `sso_required`.
pub fn meet(demand: &Demand, via: Via) -> Result<()> {
    if demand.is_met_by(via) { Ok(()) } else { Err(Error::new(&codes::SSO_REQUIRED)) }
}
