//! The operations on enforcement.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::effect::{self, EnforcementEffect};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, RoleName, Route, grants_of_role};
use crate::connection::{Connection, DomainOwner, Enforcement, domain, enforcement};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::governance::ops::owner;
use crate::id::{ConnectionId, OrganizationId};
use crate::policy::{ConnectionWord, EnforcementRules};
use crate::store::Batch;

/// An organization lists at most so many domains …
const MOST_DOMAINS: usize = 200;
/// … and so many exempt roles.
const MOST_ROLES: usize = 32;

/// What a connection says for its own people.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConnectionSays {
    /// The connection.
    pub connection: ConnectionId,
    /// What people call it.
    pub name: String,
    /// Whether its people have to come through it.
    pub enforce: bool,
    /// They will have to, as soon as an owner or somebody with an exempt role has signed in.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub waiting: bool,
}

/// Where single sign-on is enforced in an organization.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnforcementView {
    /// The organization.
    pub organization: OrganizationId,
    /// Whether everybody has to sign in through a connection.
    pub enforce: bool,
    /// Whoever has one of these roles need not.
    pub exempt_roles: BTreeSet<RoleName>,
    /// Everybody with an address in one of these domains has to, whatever `enforce` says.
    pub domains: BTreeSet<String>,
    /// Connections that say something for their own people. That goes before `enforce` and `domains`.
    pub connections: Vec<ConnectionSays>,
    /// Since when everybody has to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Whether it could be switched on for everybody now: an owner, or somebody with an exempt role, has signed in through an
    /// active connection.
    pub ready: bool,
    /// What to do next, if anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next_steps: Vec<String>,
}

impl EnforcementView {
    async fn of(cx: &Context, row: &Enforcement) -> Result<Self> {
        let mut connections = Vec::new();
        for (id, word) in &row.rules.connections {
            let name = match Connection::load(&cx.store, *id).await {
                Ok(connection) => connection.value.name,
                Err(error) if error.is(&codes::NOT_FOUND) => continue,
                Err(error) => return Err(error),
            };
            let waiting = *word == ConnectionWord::Waiting;
            connections.push(ConnectionSays { connection: *id, name, enforce: *word == ConnectionWord::Yes, waiting });
        }
        let everybody = EnforcementRules { everybody: true, ..row.rules.clone() };
        let ready = enforcement::leaves_a_way_in(&cx.store, row.organization, &everybody, None).await?;
        let next_steps = if ready { Vec::new() } else { vec![STEP.to_owned()] };
        Ok(Self {
            organization: row.organization,
            enforce: row.rules.everybody,
            exempt_roles: row.rules.exempt.clone(),
            domains: row.rules.domains.clone(),
            connections,
            since: row.since,
            ready,
            next_steps,
        })
    }
}

/// What has to happen before anything is enforced.
const STEP: &str = "Let an owner, or somebody with an exempt role, sign in once through an active connection that would \
    still let them in.";

/// Show where single sign-on is enforced in an organization, and who is exempt.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetEnforcement {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
}

#[async_trait]
impl Operation for GetEnforcement {
    type Seen = ();
    type Output = EnforcementView;
    const NAME: &'static str = "enforcement.get";
    const ACCESS: Access = Access::Grant(Grant::ConnectionPolicyManage);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/enforcement" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let (row, _) = Enforcement::of(cx, cx.organization(self.organization)?).await?;
        EnforcementView::of(cx, &row).await
    }
}

/// Have people sign in through their organization's own identity provider, and in no other way.
///
/// It holds at the next use of everything: sessions that were opened in another way, refresh tokens, access tokens, and keys
/// of people. Keys of the organization are nobody's, and keep working. With `--dry-run` nothing is changed: it names
/// who would be locked out. It is switched on only once an owner, or somebody with an exempt role, has signed in through
/// an active connection. If the identity provider fails, `authd break-glass` is the way in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetEnforcement {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Whether everybody has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce: Option<bool>,
    /// Whoever has one of these roles need not; they take the place of those before, `null` is none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "exempt-role"))]
    pub exempt_roles: Option<Option<BTreeSet<RoleName>>>,
    /// Everybody with an address in one of these domains has to, whatever `enforce` says. The organization must have proven
    /// them. They take the place of those before, `null` is none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "domain"))]
    pub domains: Option<Option<BTreeSet<String>>>,
    /// Take back what connections say for themselves, so that this holds for their people, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub override_connections: bool,
    /// Change nothing; name who would be locked out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Name at most so many people in a dry run (20; never more than 1,000). All are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// `null` and absence are two things in a change: `null` takes the value away.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// What holds, and what was changed to make it so.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnforcementUpdate {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub enforcement: EnforcementView,
    /// Nothing was changed: this is what would be.
    pub dry_run: bool,
    /// The fields that differ from before.
    pub changed: Vec<String>,
    /// It would be refused now: nobody who could help would surely get in. Only in a dry run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// What it would do to the people of now; only in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<EnforcementEffect>,
}

#[async_trait]
impl Operation for SetEnforcement {
    type Seen = ();
    type Output = EnforcementUpdate;
    const NAME: &'static str = "enforcement.set";
    const ACCESS: Access = Access::Grant(Grant::ConnectionPolicyManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/enforcement" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        let says = self.enforce.is_some() || self.exempt_roles.is_some() || self.domains.is_some();
        if !says && !self.override_connections && !self.dry_run {
            return Err(Error::says(&codes::INVALID_INPUT, "There is nothing to change.")
                .help("Name at least one of: enforce, exemptRoles, domains, overrideConnections."));
        }
        if self.limit == Some(0) {
            return Err(Error::says(&codes::INVALID_INPUT, "`limit` is a number from 1 to 1000."));
        }
        let (row, revision) = Enforcement::of(cx, organization).await?;
        let before = row.rules.clone();
        let after = self.rules(cx, organization, &before).await?;
        let changed = changes(&before, &after);
        let refused = is_stricter(&before, &after)
            && !enforcement::leaves_a_way_in(&cx.store, organization, &after, None).await?;
        let now = cx.env.now();
        let since = if after.everybody { row.since.or(Some(now)) } else { None };
        let row = Enforcement { organization, rules: after, since, updated_at: now };
        if self.dry_run {
            let most = self.limit.unwrap_or(20).min(1_000);
            let effect = effect::weigh(cx, organization, &before, &row.rules, most).await?;
            let mut view = EnforcementView::of(cx, &row).await?;
            if effect.enforced > 0 {
                view.next_steps.push(
                    "Keys of people who have to sign in stop working; give machines a key of the organization."
                        .to_owned(),
                );
            }
            if !changed.is_empty() {
                view.next_steps.push("Repeat it without `--dry-run` to write it.".to_owned());
            }
            return Ok(EnforcementUpdate { enforcement: view, dry_run: true, changed, refused, effect: Some(effect) });
        }
        if refused {
            return Err(Error::says(&codes::ENFORCEMENT_UNSAFE, codes::ENFORCEMENT_UNSAFE.message).help(STEP));
        }
        if !changed.is_empty() {
            self.tell(cx, &before, &row, &changed, batch);
            self.take_back(cx, &before, &row, batch).await?;
            row.write(revision, batch);
        }
        let enforcement = EnforcementView::of(cx, &row).await?;
        Ok(EnforcementUpdate { enforcement, dry_run: false, changed, refused: false, effect: None })
    }
}

impl SetEnforcement {
    /// What would hold. Errors: `invalid_input`, `domain_invalid`, `domain_not_proved`.
    async fn rules(
        &self,
        cx: &Context,
        organization: OrganizationId,
        before: &EnforcementRules,
    ) -> Result<EnforcementRules> {
        let mut after = before.clone();
        if let Some(enforce) = self.enforce {
            after.everybody = enforce;
        }
        if let Some(roles) = &self.exempt_roles {
            let roles = roles.clone().unwrap_or_default();
            if roles.len() > MOST_ROLES {
                return Err(Error::says(&codes::TOO_LARGE, format!("At most {MOST_ROLES} roles are exempt.")));
            }
            for role in roles.difference(&before.exempt) {
                if grants_of_role(&cx.store, organization, role).await?.is_none() {
                    return Err(Error::says(&codes::INVALID_INPUT, format!("The organization has no role `{role}`."))
                        .help("The roles are: owner, admin, member, viewer, and those of `authd role list`."));
                }
            }
            after.exempt = roles;
        }
        if let Some(domains) = &self.domains {
            after.domains = BTreeSet::new();
            for text in domains.iter().flatten() {
                let name = domain::canonical(text)?;
                if !before.domains.contains(&name) {
                    let owner = DomainOwner::load(&cx.store, &name).await?;
                    if owner.is_none_or(|owner| owner.organization != organization) {
                        return Err(Error::says(
                            &codes::DOMAIN_NOT_PROVED,
                            format!("The organization has not proven the domain {name}."),
                        )
                        .help("`authd domain verify` proves it."));
                    }
                }
                after.domains.insert(name);
            }
            if after.domains.len() > MOST_DOMAINS {
                return Err(Error::says(&codes::TOO_LARGE, format!("At most {MOST_DOMAINS} domains are listed.")));
            }
        }
        if self.override_connections {
            after.connections.clear();
        }
        Ok(after)
    }

    fn tell(&self, cx: &Context, before: &EnforcementRules, row: &Enforcement, changed: &[String], batch: &mut Batch) {
        let after = &row.rules;
        let kind = match (before.ask_anything(), after.ask_anything()) {
            (false, true) => EventKind::EnforcementEnabled,
            (true, false) => EventKind::EnforcementDisabled,
            _ if !before.everybody && after.everybody => EventKind::EnforcementEnabled,
            _ => EventKind::EnforcementUpdated,
        };
        let roles: Vec<String> = after.exempt.iter().map(|role| role.as_str().to_owned()).collect();
        let domains: Vec<String> = after.domains.iter().cloned().collect();
        let event = cx.event(kind).within(row.organization).about("organization", row.organization);
        batch.log(
            event
                .with("changed", changed.to_vec())
                .with("enforce", after.everybody)
                .with("exemptRoles", roles)
                .with("domains", domains),
        );
    }

    /// Takes back what connections say, on the connections themselves.
    async fn take_back(
        &self,
        cx: &Context,
        before: &EnforcementRules,
        row: &Enforcement,
        batch: &mut Batch,
    ) -> Result<()> {
        if !self.override_connections {
            return Ok(());
        }
        for id in before.connections.keys() {
            let mut found = match Connection::load(&cx.store, *id).await {
                Ok(found) => found,
                Err(error) if error.is(&codes::NOT_FOUND) => continue,
                Err(error) => return Err(error),
            };
            found.value.enforce = None;
            found.value.updated_at = row.updated_at;
            let event = cx.event(EventKind::ConnectionUpdated).within(row.organization).about("connection", *id);
            batch.update(&found.value, found.revision).log(event.with("changed", vec!["enforce".to_owned()]));
        }
        Ok(())
    }
}

fn changes(before: &EnforcementRules, after: &EnforcementRules) -> Vec<String> {
    let fields = [
        ("enforce", before.everybody != after.everybody),
        ("exemptRoles", before.exempt != after.exempt),
        ("domains", before.domains != after.domains),
        ("connections", before.connections != after.connections),
    ];
    fields.iter().filter(|(_, differs)| *differs).map(|(name, _)| (*name).to_owned()).collect()
}

/// Whether somebody could have to come through a connection who had not to before.
fn is_stricter(before: &EnforcementRules, after: &EnforcementRules) -> bool {
    let freed_by_connections = before
        .connections
        .iter()
        .any(|(id, word)| *word == ConnectionWord::No && after.connections.get(id) != Some(&ConnectionWord::No));
    after.ask_anything()
        && ((after.everybody && !before.everybody)
            || !after.domains.is_subset(&before.domains)
            || !before.exempt.is_subset(&after.exempt)
            || freed_by_connections)
}
