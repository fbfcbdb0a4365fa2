//! Why a sign-in ends as it does: facts, settings, verdict, roles, fields, and the setting that would change it.
//!
//! The verdict is the pipeline's own, on live data, into a batch that nobody commits.

use serde_json::{Value, json};

use super::explanation::{DomainStanding, Ending, Explanation, Facts, FieldChange, Match, RoleReason, Sessions};
use super::facts::{effective, facts_under, settings};
use super::remedy;
use super::trial::{Outcome, arrive, unknown_subject};
use crate::access::{Context, Grant, Role, RoleName};
use crate::connection::protocol::Check;
use crate::connection::{Connection, Mapping};
use crate::directory::{EmailAddress, Field, Identity, Membership, Organization, Plan, Profile, Status, User};
use crate::error::{Code, Error, Result, codes};
use crate::id::{OrganizationId, UserId};
use crate::policy::{Authority, GroupsMode, Policy, RolesMode};
use crate::session::Session;
use crate::store::{Key, Query};

/// Who arrives, as far as it is known.
pub struct Arriving {
    /// The source's own identifier; without one, nobody is known by it.
    pub subject: Option<String>,
    /// What the source says of them.
    pub profile: Profile,
    /// Why the source's word cannot be used at all.
    pub unusable: Option<&'static Code>,
    /// The checks of the source's word that are worth telling.
    pub checks: Vec<Check>,
}

/// Lets somebody arrive on trial, under the policy that is given, and tells the whole path.
pub async fn explain(
    cx: &Context,
    connection: &Connection,
    arriving: &Arriving,
    policy: &Policy,
) -> Result<Explanation> {
    let subject = arriving.subject.clone().unwrap_or_else(|| unknown_subject(cx));
    let names = cx.caller.holds(Grant::UserRead, connection.organization);
    let found = Found::of(cx, connection, &subject, &arriving.profile).await?;
    let outcome = end(cx, connection, arriving, &subject, policy).await?;
    let plan = outcome.plan();
    let who = plan.and_then(|plan| plan.before.as_ref()).map(|before| before.user);
    let verdict = verdict(&outcome, who);
    let roles = plan.map(|plan| roles(plan, arriving, connection, policy)).unwrap_or_default();
    let changes = plan.map(|plan| changes(plan, policy)).unwrap_or_default();
    let known = who.or_else(|| found.by_identity.as_ref().map(|member| member.user));
    let sessions = match known {
        Some(user) => Sessions { live: live(cx, connection.organization, user).await?, ending: Vec::new() },
        None => Sessions::default(),
    };
    let remedy = remedy::find(cx, connection, arriving, (&subject, found.kept_out()), policy, &outcome).await?;
    Ok(Explanation {
        connection: connection.id,
        connection_name: connection.name.clone(),
        organization: connection.organization,
        facts: facts(cx, connection, arriving, policy, &found, names).await?,
        settings: settings(policy, connection)?,
        verdict,
        roles,
        changes,
        sessions,
        remedy,
    })
}

/// What a sign-in goes through, in its order.
pub(super) async fn end(
    cx: &Context,
    connection: &Connection,
    arriving: &Arriving,
    subject: &str,
    policy: &Policy,
) -> Result<Outcome> {
    let closed = Organization::open(&cx.store, connection.organization).await.err();
    // A draft is explained as it will be: its facts say that it is one.
    let unusable = connection.usable().err().filter(|error| !error.is(&codes::CONNECTION_NOT_READY));
    if let Some(error) = unusable.or(closed) {
        return Ok(Outcome::Out(error));
    }
    if let Some(code) = arriving.unusable {
        return Ok(Outcome::Out(Error::new(code)));
    }
    arrive(cx, connection, subject, &arriving.profile, policy).await
}

/// Who the store knows by identity and by address.
struct Found {
    identity: Option<UserId>,
    disabled: bool,
    by_identity: Option<Membership>,
    by_email: Option<Membership>,
}

impl Found {
    async fn of(cx: &Context, connection: &Connection, subject: &str, profile: &Profile) -> Result<Self> {
        let store = &cx.store;
        let identity = store.get::<Identity>(Identity::key_of(connection.id, subject)).await?.map(|found| found.user);
        let (mut by_identity, mut disabled) = (None, false);
        if let Some(user) = identity {
            let key = Membership::key_of(connection.organization, user);
            by_identity = store.get::<Membership>(key).await?.map(|found| found.value);
            let anchor = store.get::<User>(Key::from_bytes(user.bytes())).await?;
            disabled = anchor.is_none_or(|anchor| anchor.disabled_at.is_some());
        }
        let by_email = match profile.email.as_deref().map(EmailAddress::parse) {
            Some(Ok(email)) => Membership::by_email(store, connection.organization, &email).await?,
            _ => None,
        };
        Ok(Self { identity, disabled, by_identity, by_email: by_email.map(|found| found.value) })
    }

    /// Somebody who was found, and may not come in here. Whom the operator keeps out everywhere, nobody here lets in.
    fn kept_out(&self) -> Option<UserId> {
        let found = self.by_identity.as_ref().or(self.by_email.as_ref().filter(|_| self.identity.is_none()));
        found.filter(|member| member.status != Status::Active && !self.disabled).map(|member| member.user)
    }

    fn identity_match(&self, connection: &Connection, names: bool) -> Match {
        match (&self.by_identity, self.identity) {
            (Some(member), _) => {
                let mut found = matched(member, connection, names);
                if self.disabled {
                    "disabled".clone_into(&mut found.standing);
                }
                found
            }
            (None, Some(user)) => Match { standing: "gone".to_owned(), user: Some(user), ..Match::default() },
            (None, None) => Match { standing: "nobody".to_owned(), ..Match::default() },
        }
    }
}

fn matched(member: &Membership, connection: &Connection, names: bool) -> Match {
    Match {
        standing: standing(member.status).to_owned(),
        user: Some(member.user),
        email: member.email.clone().filter(|_| names),
        same_connection: Some(member.source == Some(connection.id)),
    }
}

fn standing(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Suspended => "suspended",
        Status::Deprovisioned => "deprovisioned",
        Status::Pending => "pending",
    }
}

async fn facts(
    cx: &Context,
    connection: &Connection,
    arriving: &Arriving,
    policy: &Policy,
    found: &Found,
    names: bool,
) -> Result<Facts> {
    let profile = &arriving.profile;
    let email = profile.email.as_deref().and_then(|email| EmailAddress::parse(email).ok());
    // An address that cannot be one says nothing about its domain.
    let source = facts_under(cx, connection, email.as_ref().map(|email| email.text.as_str()), policy).await?;
    let domain_standing = match &email {
        None => DomainStanding::None,
        Some(email) if source.domains.contains(&email.domain) => DomainStanding::Owned,
        Some(_) if source.domain_owned_elsewhere || !source.domains.is_empty() => DomainStanding::Foreign,
        Some(_) => DomainStanding::Unclaimed,
    };
    Ok(Facts {
        connection_status: connection.status,
        organization_open: Organization::open(&cx.store, connection.organization).await.is_ok(),
        subject: arriving.subject.clone(),
        by_identity: found.identity_match(connection, names),
        email: profile.email.clone(),
        by_email: found.by_email.as_ref().map_or_else(
            || Match { standing: "nobody".to_owned(), ..Match::default() },
            |member| matched(member, connection, names),
        ),
        email_verified: profile.email_verified,
        domain: email.map(|email| email.domain),
        domain_standing,
        connection_domains: source.domains,
        groups: profile.groups.clone(),
        upstream_roles: profile.roles.clone(),
        checks: arriving.checks.iter().filter(|check| !check.ok).cloned().collect(),
    })
}

fn verdict(outcome: &Outcome, who: Option<UserId>) -> Ending {
    let (word, message) = match outcome {
        Outcome::In(plan) if plan.before.is_none() => ("created", "They become a member, and come in."),
        Outcome::In(plan) if plan.links => {
            ("linked", "The identity is linked to the person of the address, and they come in.")
        }
        Outcome::In(_) => ("admitted", "They are the person of the identity, and come in."),
        Outcome::Waits(..) => ("waits", "They become known, and wait for an administrator to admit them."),
        Outcome::Out(error) => ("refused", error.message()),
    };
    Ending {
        admitted: outcome.refusal().is_none(),
        outcome: word.to_owned(),
        user: who,
        error_code: outcome.refusal().map(|error| error.code().to_owned()),
        message: message.to_owned(),
    }
}

/// Every role that somebody would have, and what gives it.
fn roles(plan: &Plan, arriving: &Arriving, connection: &Connection, policy: &Policy) -> Vec<RoleReason> {
    let holds = effective(policy, connection);
    let rules = &holds.provisioning;
    let (profile, after) = (&arriving.profile, &plan.after);
    let had = plan.before.as_ref().map(Membership::effective_roles).unwrap_or_default();
    let by = |own: bool, path: &str| match own {
        true => format!("the connection's {path}"),
        false => format!("policy provisioning.{path}"),
    };
    let giving = |names: &[String], mapping: &Mapping, role: &RoleName| -> Vec<String> {
        let gives = |name: &&String| mapping.get(*name).is_some_and(|roles| roles.contains(role));
        names.iter().filter(gives).cloned().collect()
    };
    let why = |role: &RoleName| {
        let mut why = Vec::new();
        if rules.groups.mode == GroupsMode::Sync {
            let path = by(connection.group_mapping.is_some(), "groups.mapping");
            let groups = giving(&profile.groups, &rules.groups.mapping, role);
            why.extend(groups.iter().map(|group| format!("group `{group}` ({path})")));
        }
        if rules.roles.mode == RolesMode::Map {
            let path = by(connection.role_mapping.is_some(), "roles.mapping");
            let roles = giving(&profile.roles, &rules.roles.mapping, role);
            why.extend(roles.iter().map(|name| format!("the source's role `{name}` ({path})")));
        }
        if after.roles.contains(role) {
            let path = by(connection.default_role.is_some(), "jit.defaultRoleIds");
            why.push(match plan.before {
                None => format!("every new member has it ({path})"),
                Some(_) => "given by an administrator, or when they became a member".to_owned(),
            });
        }
        if plan.last_owner_kept && role.builtin() == Some(Role::Owner) {
            why.push("the last owner keeps it, whatever the source says".to_owned());
        }
        if why.is_empty() {
            why.push("another source's word".to_owned());
        }
        why
    };
    let reason = |role: RoleName| RoleReason { because: why(&role), gained: !had.contains(&role), role };
    after.effective_roles().into_iter().map(reason).collect()
}

type Read = fn(&Membership) -> Value;

/// What of a profile would differ, and who has the last word about it.
fn changes(plan: &Plan, policy: &Policy) -> Vec<FieldChange> {
    const FIELDS: &[(&str, Option<Field>, Read)] = &[
        ("email", Some(Field::Email), |member| json!(member.email)),
        ("emailVerified", Some(Field::Email), |member| json!(member.email_verified)),
        ("name", Some(Field::Name), |member| json!(member.name)),
        ("givenName", Some(Field::GivenName), |member| json!(member.given_name)),
        ("familyName", Some(Field::FamilyName), |member| json!(member.family_name)),
        ("image", Some(Field::Image), |member| json!(member.image)),
        ("groups", None, |member| json!(member.groups)),
        ("extra", None, |member| {
            member.extra.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
        }),
    ];
    // Somebody new has every field new; the empty ones are not worth a line.
    let empty = |value: &Value| value.is_null() || *value == false || value.as_array().is_some_and(Vec::is_empty);
    let change = |(name, field, read): &(&str, Option<Field>, Read)| {
        let (from, to) = (plan.before.as_ref().map(read).unwrap_or_default(), read(&plan.after));
        let worth = from != to && (plan.before.is_some() || !empty(&to));
        worth.then(|| FieldChange { field: (*name).to_owned(), from, to, owner: owner(plan, *field, policy) })
    };
    FIELDS.iter().filter_map(change).collect()
}

/// Whose word a field is, once it is written.
fn owner(plan: &Plan, field: Option<Field>, policy: &Policy) -> String {
    let Some(field) = field else { return "the source of the moment".to_owned() };
    let writer = plan.after.writers.get(&field).map(|source| source.authority());
    let name =
        |authority: Authority| serde_json::to_value(authority).ok().and_then(|name| name.as_str().map(str::to_owned));
    let authority = policy.provisioning.user.authority;
    match writer {
        Some(writer) if writer == authority => format!("{}, which has the last word", name(writer).unwrap_or_default()),
        Some(writer) => {
            let (writer, authority) = (name(writer).unwrap_or_default(), name(authority).unwrap_or_default());
            format!("{writer}, until {authority} says otherwise")
        }
        None => "nobody".to_owned(),
    }
}

async fn live(cx: &Context, organization: OrganizationId, user: UserId) -> Result<u64> {
    let mut live = 0;
    let page = cx.store.page::<Session>(Query::by("user", user.bytes()).newest_first().limit(1_000)).await?;
    for session in page.items {
        if session.organization == organization && session.alive(&cx.store, cx.env.now()).await? {
            live += 1;
        }
    }
    Ok(live)
}
