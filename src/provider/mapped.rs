//! Scopes that follow from a person's groups, by the mapping of the connection that they came through.
//!
//! A scope that stands in the mapping is given by its group alone: asking for it is of no use, and an app that does not
//! have it is not given it.

use std::collections::BTreeSet;

use super::authorize::SCOPES;
use super::client::App;
use crate::access::Context;
use crate::connection::{Connection, ScopeMapping, scopes_of};
use crate::directory::{DirectoryGroup, GroupMember, Membership};
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId, SessionId, UserId};
use crate::session::Session;
use crate::store::{Key, Query, Stored};

/// Who came, and by which session.
pub(super) struct Arrived {
    pub organization: OrganizationId,
    pub user: UserId,
    pub session: SessionId,
}

/// When the scope is worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// For the first time: what the groups give comes to what was asked for.
    First,
    /// Once more: what the groups give no longer goes, and nothing comes.
    Again,
}

/// The scope that an app is given, from the one that it asked for or had.
pub(super) async fn scope(
    cx: &Context,
    app: &App,
    who: &Arrived,
    scope: Vec<String>,
    moment: Moment,
) -> Result<Vec<String>> {
    let member: Option<Stored<Membership>> = cx.store.get(Membership::key_of(who.organization, who.user)).await?;
    let Some(member) = member else { return Ok(scope) };
    let session: Option<Stored<Session>> = cx.store.get(Key::from_bytes(who.session.bytes())).await?;
    // A session that was swept leaves the connection that brought the person.
    let through = match session {
        Some(session) => session.value.connection,
        None => member.source,
    };
    let Some(through) = through else { return Ok(scope) };
    let connection: Option<Stored<Connection>> = cx.store.get(Connection::key_of(through)).await?;
    let Some(connection) = connection.filter(|found| found.organization == who.organization) else { return Ok(scope) };
    if connection.scope_mapping.is_none() && connection.default_scopes.is_none() {
        return Ok(scope);
    }
    let mut groups: BTreeSet<String> = member.groups.iter().cloned().collect();
    groups.extend(directory_groups(cx, &member, through).await?);
    let mapping = connection.scope_mapping.clone().unwrap_or_default();
    let defaults = connection.default_scopes.clone().unwrap_or_default();
    Ok(worked_out(&mapping, &defaults, &groups, &app.scopes, scope, moment))
}

/// The groups of the connection's own directory that have the person as a member.
async fn directory_groups(cx: &Context, member: &Membership, through: ConnectionId) -> Result<Vec<String>> {
    let of = GroupMember::member(member.organization, member.user);
    let mut names = Vec::new();
    for row in cx.store.page::<GroupMember>(Query::by("member", of).limit(1_000)).await?.items {
        if let Some(group) = cx.store.get::<DirectoryGroup>(DirectoryGroup::key_of(row.group)).await?
            && group.connection == through
        {
            names.push(group.value.name);
        }
    }
    Ok(names)
}

fn worked_out(
    mapping: &ScopeMapping,
    defaults: &[String],
    groups: &BTreeSet<String>,
    of_app: &[String],
    scope: Vec<String>,
    moment: Moment,
) -> Vec<String> {
    let given = scopes_of(mapping, defaults, |group| groups.contains(group));
    let governed: BTreeSet<&String> = mapping.values().flatten().chain(defaults).collect();
    // What authd itself gives a meaning is asked for, and no matter of groups.
    let own = |word: &String| SCOPES.contains(&word.as_str());
    let mut scope: Vec<String> =
        scope.into_iter().filter(|word| own(word) || !governed.contains(word) || given.contains(word)).collect();
    if moment == Moment::First {
        for word in given {
            if !own(word) && of_app.contains(word) && !scope.contains(word) {
                scope.push(word.clone());
            }
        }
    }
    scope
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn run(groups: &str, of_app: &str, scope: &str, moment: Moment) -> Vec<String> {
        let mapping: ScopeMapping =
            [("admins", "docs.write docs.read"), ("staff", "docs.read"), ("sly", "openid offline_access")]
                .map(|(group, scopes)| (group.to_owned(), words(scopes)))
                .into();
        let groups = words(groups).into_iter().collect();
        worked_out(&mapping, &words("docs.list"), &groups, &words(of_app), words(scope), moment)
    }

    #[test]
    fn groups_give_scopes_that_the_app_has_and_nothing_else() {
        let all = "docs.write docs.read docs.list free";
        assert_eq!(run("staff", all, "openid", Moment::First), words("openid docs.read"));
        assert_eq!(run("staff admins", all, "openid free", Moment::First), words("openid free docs.read docs.write"));
        assert_eq!(run("", all, "openid", Moment::First), words("openid docs.list"), "defaults where nothing matched");
        assert_eq!(run("Staff", all, "", Moment::First), words("docs.list"), "names are compared as they are");
        assert_eq!(run("admins", "docs.read", "openid", Moment::First), words("openid docs.read"), "never more");
        assert_eq!(run("admins", "", "openid email", Moment::First), words("openid email"));
    }

    #[test]
    fn asking_for_a_mapped_scope_is_of_no_use() {
        let all = "docs.write docs.read docs.list free";
        assert_eq!(run("staff", all, "openid docs.write free", Moment::First), words("openid free docs.read"));
        assert_eq!(run("sly", all, "profile", Moment::First), words("profile"), "the protocol's own are asked for");
        assert_eq!(run("staff", all, "openid offline_access", Moment::First), words("openid offline_access docs.read"));
    }

    #[test]
    fn once_more_it_only_shrinks() {
        let all = "docs.write docs.read docs.list";
        assert_eq!(run("staff", all, "openid docs.write docs.read", Moment::Again), words("openid docs.read"));
        assert_eq!(run("admins", all, "openid docs.read", Moment::Again), words("openid docs.read"));
        assert_eq!(run("", all, "openid docs.read", Moment::Again), words("openid"));
    }
}
