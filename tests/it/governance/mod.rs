//! Policies: written, explained, tried on live data; and always as a real sign-in then does.

mod cli;
mod dry_run;
mod enforcement;
mod explained;
mod operations;
mod precedence;

use std::collections::{BTreeMap, BTreeSet};

use authd::access::{Caller, Context, Grants};
use authd::directory::{Membership, Status, User};
use authd::event::{EventKind, Origin};
use authd::id::{OrganizationId, UserId};
use authd::store::{Batch, Key, Query};
use axum::http::StatusCode;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Map, Value, json};

use crate::world::authd::{Authd, PUBLIC_URL, Reply};
use crate::world::op::{CLIENT_ID, CLIENT_SECRET, MockOp};

const REDIRECT: &str = "https://app.example/callback";

type Claims = Map<String, Value>;

/// authd, and one provider that every tenant uses.
struct World {
    authd: Authd,
    op: MockOp,
}

/// An organization with a connection that has proven a domain, and an app.
struct Tenant {
    organization: String,
    connection: String,
    app: String,
    domain: String,
}

/// How a sign-in ended: who is in, or the code of the refusal.
type End = Result<UserId, String>;

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

fn object(value: Value) -> Claims {
    value.as_object().unwrap().clone()
}

impl World {
    async fn new() -> Self {
        let authd = Authd::start().await;
        let op = MockOp::start().await;
        op.follow(authd.env());
        Self { authd, op }
    }

    async fn tenant(&self, domain: &str) -> Tenant {
        let organization = text(&self.authd.operate("organization.create", json!({"name": "Corp"})).await, "id");
        let connection = self.connect(&organization, &[domain]).await;
        let wish = json!({"organization": organization, "name": "Wiki", "redirectUris": [REDIRECT]});
        let app = text(&self.authd.operate("app.create", wish).await, "clientId");
        Tenant { organization, connection, app, domain: domain.to_owned() }
    }

    async fn connect(&self, organization: &str, domains: &[&str]) -> String {
        let wish = json!({
            "organization": organization, "protocol": "oidc", "name": "Provider", "issuer": self.op.issuer,
            "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET, "domains": domains, "activate": true,
        });
        let connection = text(&self.authd.operate("connection.create", wish).await, "id");
        for domain in domains {
            let wish = json!({"connection": connection, "domain": domain, "force": true});
            self.authd.operate("domain.verify", wish).await;
        }
        connection
    }

    /// A whole sign-in of whoever these claims are about.
    async fn sign_in(&self, tenant: &Tenant, connection: &str, claims: &Claims) -> End {
        let reply = self.walk(tenant, connection, claims).await;
        let trace = self.authd.operate("signin.explain", json!({"id": reply.request_id()})).await;
        if reply.status == StatusCode::SEE_OTHER && reply.location().as_str().starts_with(REDIRECT) {
            assert_eq!(trace["outcome"], "success");
            return Ok(text(&trace, "user").parse().unwrap());
        }
        let code = text(&trace, "errorCode");
        assert!(reply.body.contains(&code), "{code}: {}", reply.body);
        Err(code)
    }

    async fn walk(&self, tenant: &Tenant, connection: &str, claims: &Claims) -> Reply {
        self.op.person(|person| person.clone_from(claims));
        let mut browser = self.authd.browser();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", &tenant.app),
                ("redirect_uri", REDIRECT),
                ("scope", "openid"),
                ("state", "s"),
                ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
                ("code_challenge_method", "S256"),
                ("connection", connection),
                ("prompt", "login"),
            ])
            .finish();
        let left = browser.get(&format!("/oauth2/authorize?{query}")).await;
        assert_eq!(left.status, StatusCode::SEE_OTHER, "{left:?}");
        let answer = self.op.approve(left.location().as_str());
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&answer).finish();
        browser.get(&format!("{PUBLIC_URL}/connections/{connection}/oidc/callback?{query}")).await
    }

    fn operator(&self) -> Context {
        self.authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(self.authd.env()))
    }

    /// A caller of the organization with these grants.
    fn key(&self, organization: &str, grants: &[&str]) -> Context {
        let grants = Grants::parse(&grants.iter().map(|grant| (*grant).to_owned()).collect::<Vec<_>>()).unwrap();
        let caller = Caller::User { id: None, organization: organization.parse().unwrap(), grants };
        self.authd.app.context(caller, Origin::internal(self.authd.env()))
    }

    async fn by(&self, cx: &Context, name: &str, input: Value) -> authd::error::Result<Value> {
        self.authd.app.perform(cx, name, input).await
    }

    async fn refused(&self, cx: &Context, name: &str, input: Value) -> (&'static str, String) {
        let error = self.by(cx, name, input.clone()).await.err().unwrap_or_else(|| panic!("{name} takes {input}"));
        (error.code(), format!("{} {}", error.message(), error.next_step().unwrap_or_default()))
    }

    async fn policy(&self, tenant: &Tenant, patch: Value) -> Value {
        self.authd.operate("policy.update", json!({"organization": tenant.organization, "patch": patch})).await
    }

    async fn member(&self, tenant: &Tenant, user: UserId) -> Membership {
        let key = Membership::key_of(tenant.organization.parse().unwrap(), user);
        self.authd.app.world.store.get::<Membership>(key).await.unwrap().unwrap().value
    }

    async fn members(&self, organization: &str) -> BTreeMap<UserId, Membership> {
        let organization: OrganizationId = organization.parse().unwrap();
        let query = Query::by("organization", organization.bytes()).limit(1_000);
        let page = self.authd.app.world.store.page::<Membership>(query).await.unwrap();
        page.items.into_iter().map(|member| (member.user, member.value)).collect()
    }

    /// Somebody whom an administrator entered: no identity yet.
    async fn enter(&self, tenant: &Tenant, email: &str, verified: bool) -> UserId {
        let now = self.authd.env().now();
        let user = User { id: UserId::new(self.authd.env()), created_at: now, disabled_at: None };
        let member = Membership {
            email: Some(email.to_owned()),
            email_verified: verified,
            ..Membership::new(tenant.organization.parse().unwrap(), user.id, now)
        };
        let mut batch = Batch::new();
        batch.create(&user).create(&member).log(self.operator().event(EventKind::UserCreated));
        self.authd.app.world.store.commit(batch).await.unwrap();
        user.id
    }

    async fn stand(&self, tenant: &Tenant, user: UserId, status: Status) {
        let key = Membership::key_of(tenant.organization.parse().unwrap(), user);
        let found = self.authd.app.world.store.get::<Membership>(key).await.unwrap().unwrap();
        let member = Membership { status, ..found.value };
        let mut batch = Batch::new();
        batch.update(&member, found.revision).log(self.operator().event(EventKind::UserUpdated));
        self.authd.app.world.store.commit(batch).await.unwrap();
    }

    async fn disable(&self, user: UserId) {
        let found = self.authd.app.world.store.get::<User>(Key::from_bytes(user.bytes())).await.unwrap().unwrap();
        let anchor = User { disabled_at: Some(self.authd.env().now()), ..found.value };
        let mut batch = Batch::new();
        batch.update(&anchor, found.revision).log(self.operator().event(EventKind::UserUpdated));
        self.authd.app.world.store.commit(batch).await.unwrap();
    }
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn roles_of(member: &Membership) -> BTreeSet<String> {
    member.effective_roles().iter().map(ToString::to_string).collect()
}

const ROLES: [&str; 4] = ["owner", "admin", "member", "viewer"];
const GROUPS: [&str; 4] = ["staff", "admins", "a.b", "CN=ops,O=x"];

fn pick<'a>(rng: &mut StdRng, all: &[&'a str]) -> &'a str {
    all.choose(rng).unwrap()
}

fn some<'a>(rng: &mut StdRng, all: &[&'a str]) -> Vec<&'a str> {
    all.iter().copied().filter(|_| rng.random_bool(0.4)).collect()
}

fn mapping(rng: &mut StdRng, names: &[&str]) -> Value {
    let entries = some(rng, names).into_iter().map(|name| (name.to_owned(), json!(some(rng, &ROLES[1..])))).collect();
    Value::Object(entries)
}

/// A policy at random, as a patch of everything.
fn any_policy(rng: &mut StdRng) -> Value {
    json!({
        "identity": {"accountLinking": {"oidc": pick(rng, &["sameConnection", "none", "verifiedEmail"])}},
        "provisioning": {
            "user": {
                "createOnSignIn": rng.random_bool(0.8),
                "updateProfileOnLogin": pick(rng, &["missing", "never", "always"]),
                "authority": pick(rng, &["app", "connection", "scim"]),
            },
            "jit": {"mode": pick(rng, &["createUserAndMembership", "createUser", "off"]), "defaultRoleIds": some(rng, &ROLES)},
            "groups": {"mode": pick(rng, &["ignore", "sync"]), "mapping": mapping(rng, &GROUPS)},
            "roles": {"mode": pick(rng, &["ignore", "map"]), "mapping": mapping(rng, &["boss", "clerk"])},
        },
    })
}
