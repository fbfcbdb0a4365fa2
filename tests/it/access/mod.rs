//! Who may do what: roles, API keys, and that nobody gets further than those who let them in.

mod browsers;
mod grants;
mod keys;
mod names;
mod roles;

use authd::access::{Caller, Grants};
use authd::error::Result;
use authd::event::Origin;
use authd::id::{OrganizationId, UserId};
use serde_json::{Value, json};

use crate::world::authd::Authd;

/// An authd with one organization.
struct Tenant {
    authd: Authd,
    id: OrganizationId,
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

fn grants(names: &[&str]) -> Grants {
    Grants::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

impl Tenant {
    async fn new() -> Self {
        Self::of(Authd::start().await).await
    }

    /// One more organization of an authd.
    async fn of(authd: Authd) -> Self {
        let id = text(&authd.operate("organization.create", json!({"name": "Acme"})).await, "id");
        Self { authd, id: id.parse().unwrap() }
    }

    /// Who holds the bearer, if anybody. Errors: `not_signed_in`.
    async fn who(&self, bearer: &str) -> Result<Caller> {
        self.authd.app.authenticate(bearer, Origin::internal(self.authd.env())).await
    }

    /// What the holder of the bearer may do.
    async fn power(&self, bearer: &str) -> Option<Grants> {
        self.who(bearer).await.ok().map(|caller| caller.grants())
    }

    /// An operation, as whoever holds the bearer. Errors: those of the operation, and `not_signed_in`.
    async fn call(&self, bearer: &str, name: &str, input: Value) -> Result<Value> {
        let caller = self.who(bearer).await?;
        let cx = self.authd.app.context(caller, Origin::internal(self.authd.env()));
        self.authd.app.perform(&cx, name, input).await
    }

    /// The code with which an operation is refused.
    async fn refused(&self, bearer: &str, name: &str, input: Value) -> &'static str {
        match self.call(bearer, name, input.clone()).await {
            Ok(done) => panic!("{name} {input} was done: {done}"),
            Err(error) => error.code(),
        }
    }

    /// The same for the operator.
    async fn refused_to_operator(&self, name: &str, input: Value) -> &'static str {
        let cx = self.authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(self.authd.env()));
        match self.authd.app.perform(&cx, name, input.clone()).await {
            Ok(done) => panic!("{name} {input} was done: {done}"),
            Err(error) => error.code(),
        }
    }

    /// A machine's key with these grants.
    async fn key(&self, grants: &[&str]) -> String {
        let wish = json!({"organization": self.id, "name": "k", "grants": grants});
        text(&self.authd.operate("api_key.create", wish).await, "key")
    }

    async fn role(&self, name: &str, grants: &[&str]) {
        let wish = json!({"organization": self.id, "name": name, "grants": grants});
        self.authd.operate("role.create", wish).await;
    }

    /// A person with these roles, and a token of theirs.
    async fn person(&self, name: &str, roles: &[&str]) -> (UserId, String) {
        let user = self.authd.person(self.id, name, roles).await;
        (user, self.authd.token(self.id, user).await)
    }

    /// The data of the last event of that kind.
    async fn told(&self, kind: &str) -> Value {
        let events = self.authd.events().await;
        let event = events.iter().rev().find(|event| event.kind.name() == kind);
        serde_json::to_value(event.unwrap_or_else(|| panic!("no {kind}"))).unwrap()
    }
}
