//! ADM-02 by chance: whatever roles and keys people make of each other, nobody gets beyond those who gave.

use std::cell::Cell;
use std::collections::BTreeMap;

use authd::access::{Grant, Grants};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{Tenant, text};
use crate::world::authd::Authd;

/// What somebody tries; numbers choose among those who are there.
#[derive(Clone, Debug)]
enum Step {
    CreateRole { by: usize, name: usize, grants: Vec<Grant> },
    UpdateRole { by: usize, name: usize, grants: Vec<Grant> },
    DeleteRole { by: usize, name: usize },
    CreateKey { by: usize, grants: Vec<Grant>, expires: bool },
    CreateKeyOf { by: usize, of: usize, grants: Vec<Grant> },
    RevokeKey { by: usize, key: usize },
    SetRoles { by: usize, of: usize, roles: Vec<usize> },
}

/// The first three are the organization's own.
const ROLES: [&str; 6] = ["red", "green", "blue", "owner", "viewer", "admin"];
const PEOPLE: [(&str, &[&str]); 4] =
    [("ann", &["red"]), ("ben", &["green", "blue"]), ("cid", &["viewer", "red"]), ("dan", &["admin"])];

fn some() -> impl Strategy<Value = Vec<Grant>> {
    // Few at a time, so that some of it is allowed; those that open doors more often than others.
    let doors = prop::sample::select(vec![Grant::RoleManage, Grant::ApiKeyManage, Grant::UserManage]);
    let any = prop::sample::select(Grant::ALL.to_vec());
    prop::collection::vec(prop_oneof![3 => doors, 2 => any], 0..3)
}

/// Much, so that there is something to pass on.
fn much() -> impl Strategy<Value = Vec<Grant>> {
    prop::collection::vec(prop::sample::select(Grant::ALL.to_vec()), 8..20)
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..12_usize;
    prop_oneof![
        1 => (who.clone(), 0..4_usize, some()).prop_map(|(by, name, grants)| Step::CreateRole { by, name, grants }),
        3 => (who.clone(), 0..4_usize, some()).prop_map(|(by, name, grants)| Step::UpdateRole { by, name, grants }),
        1 => (who.clone(), 0..4_usize).prop_map(|(by, name)| Step::DeleteRole { by, name }),
        3 => (who.clone(), some(), any::<bool>()).prop_map(|(by, grants, expires)| Step::CreateKey { by, grants, expires }),
        2 => (who.clone(), 0..4_usize, some()).prop_map(|(by, of, grants)| Step::CreateKeyOf { by, of, grants }),
        1 => (who.clone(), 0..12_usize).prop_map(|(by, key)| Step::RevokeKey { by, key }),
        3 => (who, 0..4_usize, prop::collection::vec(0..6_usize, 0..3)).prop_map(|(by, of, roles)| Step::SetRoles { by, of, roles }),
    ]
}

fn names(grants: &[Grant]) -> Vec<&'static str> {
    grants.iter().map(|grant| grant.name()).collect()
}

/// Everybody who can ask: their bearer, and what it is worth now.
struct Crowd {
    tenant: Tenant,
    people: Vec<Value>,
    bearers: Vec<String>,
    keys: Vec<String>,
}

impl Crowd {
    /// An organization with three roles of these grants, people who have them, and a machine's key.
    async fn new(authd: &Authd, mut grants: Vec<Vec<Grant>>) -> Self {
        // Somebody must be able to begin.
        grants[0].push(Grant::RoleManage);
        grants[1].push(Grant::ApiKeyManage);
        grants[2].push(Grant::UserManage);
        let tenant = Tenant::of(authd.clone()).await;
        for (name, grants) in ROLES.iter().zip(&grants[..3]) {
            let grants: Vec<_> =
                grants.iter().copied().filter(|grant| *grant != Grant::ConnectionDomainTrust).collect();
            tenant.role(name, &names(&grants)).await;
        }
        let (mut people, mut bearers) = (Vec::new(), Vec::new());
        for (name, roles) in PEOPLE {
            let (user, token) = tenant.person(name, roles).await;
            people.push(json!(user));
            bearers.push(token);
        }
        bearers.push(tenant.key(&names(&grants[3])).await);
        Self { tenant, people, bearers, keys: Vec::new() }
    }

    async fn worth(&self) -> BTreeMap<String, Grants> {
        let mut worth = BTreeMap::new();
        for bearer in &self.bearers {
            worth.insert(bearer.clone(), self.tenant.power(bearer).await.unwrap_or_default());
        }
        worth
    }

    /// Tries a step: who tried, and whether it was done.
    async fn take(&mut self, step: &Step) -> (String, bool) {
        let (by, name, input) = match step {
            Step::CreateRole { by, name, grants } => {
                (by, "role.create", json!({"name": ROLES[*name], "grants": names(grants)}))
            }
            Step::UpdateRole { by, name, grants } => {
                (by, "role.update", json!({"name": ROLES[*name], "grants": names(grants)}))
            }
            Step::DeleteRole { by, name } => (by, "role.delete", json!({"name": ROLES[*name]})),
            Step::CreateKey { by, grants, expires } => {
                let mut wish = json!({"name": "k", "grants": names(grants)});
                if *expires {
                    wish["expiresIn"] = json!("1h");
                }
                (by, "api_key.create", wish)
            }
            Step::CreateKeyOf { by, of, grants } => {
                let of = &self.people[of % self.people.len()];
                (by, "api_key.create", json!({"name": "k", "user": of, "grants": names(grants)}))
            }
            Step::SetRoles { by, of, roles } => {
                let roles: Vec<_> = roles.iter().map(|role| ROLES[*role]).collect();
                (by, "member.set_role", json!({"user": self.people[of % self.people.len()], "roles": roles}))
            }
            Step::RevokeKey { by, key } => {
                let key = if self.keys.is_empty() {
                    "key_00000000000000000000000000"
                } else {
                    &self.keys[key % self.keys.len()]
                };
                (by, "api_key.revoke", json!({"id": key}))
            }
        };
        let by = self.bearers[by % self.bearers.len()].clone();
        let done = self.tenant.call(&by, name, input).await;
        if let Ok(made) = &done
            && name == "api_key.create"
        {
            self.bearers.push(text(made, "key"));
            self.keys.push(text(made, "id"));
        }
        (by, done.is_ok())
    }
}

#[test]
fn adm_02_effective_grants_never_grow_beyond_the_granters() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let authd = runtime.block_on(Authd::start());
    let (done, grown, refused) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 32, failure_persistence: None, ..Config::default() });
    let start = prop::collection::vec(much(), 4..=4);
    let found = runner.run(&(start, prop::collection::vec(step(), 1..24)), |(start, steps)| {
        runtime.block_on(async {
            let mut crowd = Crowd::new(&authd, start).await;
            let mut before = crowd.worth().await;
            for step in &steps {
                let (by, was_done) = crowd.take(step).await;
                let after = crowd.worth().await;
                let giver = &before[&by];
                for (bearer, now) in &after {
                    // What is new to them is at most what the giver held; nothing is new when it was refused.
                    let then = before.get(bearer).cloned().unwrap_or_default();
                    let bound = if was_done { then.clone().union(giver) } else { then.clone() };
                    prop_assert_eq!(bound.lacks(now), None, "{:?} gave {:?} to one who held {:?}", step, now, then);
                    grown.set(
                        grown.get() + usize::from(before.get(bearer).is_none_or(|then| then.lacks(now).is_some())),
                    );
                }
                let counter = if was_done { &done } else { &refused };
                counter.set(counter.get() + 1);
                before = after;
            }
            Ok(())
        })
    });
    if let Err(failure) = found {
        panic!("{failure}");
    }
    // Not for want of trying.
    assert!(done.get() > 30 && refused.get() > 30 && grown.get() > 10, "{done:?} {refused:?} {grown:?}");
}
