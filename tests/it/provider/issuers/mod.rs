//! Trusted issuers: whose tokens are taken besides authd's own, and what is said about those that are not.

mod explained;
mod forged;
mod keys;
mod own;
mod settings;
mod stored;
mod taken;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use authd::access::{Caller, perform};
use authd::env::{Env, Outbound, Request, Response};
use authd::error::{Error, Result, codes};
use authd::id::OrganizationId;
use authd::token::{CreateIssuer, ExplainToken, IssuerView};
use axum::body::Body;
use serde_json::{Value, json};

use super::{Answer, Lab};
use crate::world::op::{Members, Signer, members};

pub const IDP: &str = "https://idp.example";

/// Who answers outside: documents by address, and how often each was asked for.
#[derive(Default)]
pub struct Outside {
    documents: Mutex<BTreeMap<String, (u16, String)>>,
    asked: Mutex<BTreeMap<String, usize>>,
}

impl Outside {
    pub fn says(&self, address: &str, document: &Value) {
        self.answers(address, 200, &document.to_string());
    }

    pub fn answers(&self, address: &str, status: u16, body: &str) {
        self.documents.lock().unwrap().insert(address.to_owned(), (status, body.to_owned()));
    }

    pub fn is_down(&self) {
        self.documents.lock().unwrap().clear();
    }

    pub fn asked(&self, address: &str) -> usize {
        self.asked.lock().unwrap().get(address).copied().unwrap_or_default()
    }

    /// An issuer with these keys.
    pub fn issuer(&self, keys: &[&Signer]) {
        self.says(
            &format!("{IDP}/.well-known/openid-configuration"),
            &json!({"issuer": IDP, "jwks_uri": format!("{IDP}/jwks")}),
        );
        self.says(&format!("{IDP}/jwks"), &key_set(keys));
    }
}

#[async_trait]
impl Outbound for Outside {
    async fn send(&self, request: Request) -> Result<Response> {
        let address = request.url.to_string();
        *self.asked.lock().unwrap().entry(address.clone()).or_default() += 1;
        match self.documents.lock().unwrap().get(&address).cloned() {
            Some((status, body)) => Ok(Response { status, headers: Default::default(), body: body.into_bytes() }),
            None => Err(Error::new(&codes::UPSTREAM_UNAVAILABLE)),
        }
    }
    fn permits(&self, url: &url::Url) -> Result<()> {
        if url.host_str() == Some("inside.example") { Err(Error::new(&codes::OUTBOUND_NOT_ALLOWED)) } else { Ok(()) }
    }
}

pub fn key_set(keys: &[&Signer]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})
}

/// A deployment, and an issuer outside with one key.
pub struct Scene {
    pub lab: Lab,
    pub outside: Arc<Outside>,
    pub signer: Signer,
    pub organization: OrganizationId,
}

impl Scene {
    pub async fn new() -> Self {
        let outside = Arc::new(Outside::default());
        let lab = Lab::within(Env::frozen().with_outbound(outside.clone())).await;
        let signer = Signer::es256("key-1");
        outside.issuer(&[&signer]);
        let organization = lab.organization("Acme").await;
        Self { lab, outside, signer, organization }
    }

    /// A trusted issuer of the organization.
    pub async fn trusts(&self, fields: Value) -> IssuerView {
        self.try_trust(fields).await.unwrap()
    }

    pub async fn try_trust(&self, fields: Value) -> Result<IssuerView> {
        let mut input = json!({"organization": self.organization});
        input.as_object_mut().unwrap().extend(members(fields));
        let operation: CreateIssuer = serde_json::from_value(input).unwrap();
        perform(&self.lab.operator(), &operation).await
    }

    /// The usual one, by discovery.
    pub async fn trusts_idp(&self) -> IssuerView {
        self.trusts(json!({"kind": "oidc", "domain": "idp.example", "applicationID": "my-app"})).await
    }

    /// What an honest token says, with these changes; `null` takes a claim away.
    pub fn claims(&self, changes: Value) -> Members {
        let now = self.lab.env().now().seconds();
        let mut claims = members(json!({
            "iss": IDP, "aud": "my-app", "sub": "user-1", "iat": now, "exp": now + 600,
        }));
        for (name, value) in members(changes) {
            if value.is_null() {
                claims.remove(&name);
            } else {
                claims.insert(name, value);
            }
        }
        claims
    }

    pub fn token(&self, changes: Value) -> String {
        self.signer.token(&self.signer.header(), &self.claims(changes))
    }

    pub async fn identity(&self, token: &str) -> Answer {
        self.identity_at("/v1/identity", token).await
    }

    pub async fn identity_at(&self, path: &str, token: &str) -> Answer {
        let request = axum::http::Request::get(path).header("authorization", format!("Bearer {token}"));
        self.lab.send(request.body(Body::empty()).unwrap()).await
    }

    #[track_caller]
    pub fn refused(answer: &Answer, what: &str) {
        assert_eq!((answer.status.as_u16(), answer.text("code")), (401, "not_signed_in"), "{what}: {}", answer.body);
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        assert!(answer.body.get("tokenIdentifier").is_none());
    }

    pub async fn explain(&self, token: &str) -> Value {
        let cx = self.lab.context(Caller::Operator { uid: 1 });
        let operation: ExplainToken = serde_json::from_value(json!({"token": token})).unwrap();
        serde_json::to_value(perform(&cx, &operation).await.unwrap()).unwrap()
    }
}
