//! What enforcing would do to the people of now. Nothing is written.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::access::{Context, Grant};
use crate::connection::{Connection, enforcement};
use crate::directory::{Identity, Membership, Status};
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::policy::{Demand, EnforcementRules, Free, Via};
use crate::session::Session;
use crate::store::Query;

/// So many people are read at a time.
const PAGE: usize = 500;

/// What enforcing would do.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnforcementEffect {
    /// People who were weighed: the active members.
    pub people: u64,
    /// Those who would have to come through a connection.
    pub enforced: u64,
    /// Those whom an exempt role frees.
    pub exempt: u64,
    /// Those who need not, because nothing is enforced for them or their connection says so.
    pub free: u64,
    /// Those who would have to, and are not known at any active connection that would do.
    pub locked_out: u64,
    /// Of those, the ones who are kept out already by what holds now.
    pub locked_out_already: u64,
    /// Live sessions of those who would have to that were opened in another way: they work no more at the next use.
    pub sessions_stopped: u64,
    /// The first of those who would be locked out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<LockedOut>,
    /// So many more are counted, and not named.
    pub more: u64,
}

/// Somebody who would be locked out.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockedOut {
    /// Who.
    pub user: UserId,
    /// Their address, for callers who may see people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Why: `no_identity` at any connection that would do, or `connection_inactive` where they have one at such a connection
    /// that is not switched on, or `no_connection` where none would do is switched on at all.
    pub reason: String,
    /// They are locked out by what holds now, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub already: bool,
    /// Their live sessions that were opened in another way.
    pub sessions_stopped: u64,
}

/// The connections of an organization, and whether each is switched on.
type Connections = BTreeMap<ConnectionId, bool>;

async fn connections(cx: &Context, organization: OrganizationId) -> Result<Connections> {
    let mut all = Connections::new();
    let mut cursor = None;
    loop {
        let query = Query::by("organization", organization.bytes()).limit(PAGE).after(cursor);
        let page = cx.store.page::<Connection>(query).await?;
        all.extend(page.items.iter().map(|connection| (connection.id, connection.usable().is_ok())));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Weighs everybody of the organization under the rules; names the first `most` who would be locked out.
pub(super) async fn weigh(
    cx: &Context,
    organization: OrganizationId,
    before: &EnforcementRules,
    after: &EnforcementRules,
    most: usize,
) -> Result<EnforcementEffect> {
    let connections = connections(cx, organization).await?;
    let names = cx.caller.holds(Grant::UserRead, organization);
    let mut effect = EnforcementEffect::default();
    let mut cursor = None;
    loop {
        let query = Query::by("organization", organization.bytes()).limit(PAGE).after(cursor);
        let page = cx.store.page::<Membership>(query).await?;
        for member in page.items.iter().filter(|member| member.status == Status::Active) {
            effect.people += 1;
            let demand = enforcement::demand_under(&cx.store, after, member).await?;
            match &demand {
                Demand::Nothing(Free::Exempt) => effect.exempt += 1,
                Demand::Nothing(_) => effect.free += 1,
                Demand::Connection(_) => effect.enforced += 1,
            }
            if matches!(demand, Demand::Nothing(_)) {
                continue;
            }
            let known_at = known_at(cx, member).await?;
            let stopped = stopped(cx, member, &demand).await?;
            effect.sessions_stopped += stopped;
            let Some(reason) = locked_out(&demand, &known_at, &connections) else { continue };
            let now = enforcement::demand_under(&cx.store, before, member).await?;
            let already = locked_out(&now, &known_at, &connections).is_some();
            effect.locked_out += 1;
            effect.locked_out_already += u64::from(already);
            if effect.rows.len() < most {
                let email = member.email.clone().filter(|_| names);
                let reason = reason.to_owned();
                effect.rows.push(LockedOut { user: member.user, email, reason, already, sessions_stopped: stopped });
            } else {
                effect.more += 1;
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(effect);
        }
    }
}

/// Why somebody who is known at these connections could not do what is demanded of them.
fn locked_out(demand: &Demand, known_at: &BTreeSet<ConnectionId>, connections: &Connections) -> Option<&'static str> {
    let would_do = |id: ConnectionId| demand.is_met_by(Via::Connection(id));
    let active = |id: &ConnectionId| connections.get(id).copied().unwrap_or_default();
    if matches!(demand, Demand::Nothing(_)) || known_at.iter().any(|id| would_do(*id) && active(id)) {
        None
    } else if !connections.keys().any(|id| would_do(*id) && active(id)) {
        Some("no_connection")
    } else if known_at.iter().any(|id| would_do(*id) && connections.contains_key(id)) {
        Some("connection_inactive")
    } else {
        Some("no_identity")
    }
}

/// The connections whose providers know a member.
async fn known_at(cx: &Context, member: &Membership) -> Result<BTreeSet<ConnectionId>> {
    let page = cx.store.page::<Identity>(Query::by("user", member.user.bytes()).limit(1_000)).await?;
    let here = page.items.iter().filter(|identity| identity.organization == member.organization);
    Ok(here.filter_map(|identity| identity.source.connection()).collect())
}

/// The live sessions of a member that would not do.
async fn stopped(cx: &Context, member: &Membership, demand: &Demand) -> Result<u64> {
    let live = Session::of_person(&cx.store, cx.env.now(), member.organization, member.user).await?;
    Ok(live.iter().filter(|session| !demand.is_met_by(session.via())).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[test]
    fn somebody_is_locked_out_unless_an_active_connection_that_would_do_knows_them() {
        let env = Env::frozen();
        let [on, off, other] = [ConnectionId::new(&env), ConnectionId::new(&env), ConnectionId::new(&env)];
        let connections = Connections::from([(on, true), (off, false)]);
        let any = Demand::Connection(BTreeSet::new());
        let only = |id| Demand::Connection([id].into());
        let at = |ids: &[ConnectionId]| ids.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(locked_out(&Demand::Nothing(Free::Exempt), &at(&[]), &connections), None);
        assert_eq!(locked_out(&any, &at(&[on]), &connections), None);
        assert_eq!(locked_out(&any, &at(&[off]), &connections), Some("connection_inactive"));
        assert_eq!(locked_out(&any, &at(&[]), &connections), Some("no_identity"));
        assert_eq!(locked_out(&any, &at(&[other]), &connections), Some("no_identity"), "a connection that is gone");
        assert_eq!(locked_out(&only(off), &at(&[on, off]), &connections), Some("no_connection"));
        assert_eq!(locked_out(&only(on), &at(&[off]), &connections), Some("no_identity"));
        assert_eq!(locked_out(&any, &at(&[on]), &Connections::new()), Some("no_connection"));
    }
}
