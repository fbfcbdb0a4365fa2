//! `token.explain`: what is wrong with a token, and which setting to look at.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::keys::IssuerKeys;
use super::step::Step;
use super::walk::Walk;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::crypto::Secret;
use crate::crypto::jws;
use crate::error::Result;
use crate::id::{IssuerId, OrganizationId};
use crate::store::Batch;
use crate::token::Keyring;

/// What is told of a token's header and claims; the rest of it is nobody's business here.
const HEADER: &[&str] = &["alg", "typ", "kid"];
const CLAIMS: &[&str] = &["iss", "sub", "aud", "exp", "iat", "nbf", "azp", "org_id", "client_id", "scope"];

/// Explain whether a token is taken here, and if not, which setting is wrong: is it a JWT, are `typ`, `alg` and `kid`
/// right, which issuer matches `iss`, does `aud` match, do signature and times hold.
///
/// The token itself is not kept, not logged and not shown. The issuer's keys are read anew.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExplainToken {
    /// The organization whose trusted issuers are asked; the operator may leave it out for those of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The token; `-` reads it from standard input.
    #[schemars(extend("x-positional" = true))]
    pub token: Secret,
}

/// What a token is worth here.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenExplanation {
    /// `GET /v1/identity` takes it.
    pub ok: bool,
    /// The setting that is wrong, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The trusted issuer that it is of, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<IssuerId>,
    /// Who trusts that issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// One row a question, in their order, up to the first that is answered with no.
    pub checks: Vec<Step>,
    /// What the header says; nothing of it is believed.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub header: Map<String, Value>,
    /// What the token says; believed only if every question was answered with yes.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
}

#[async_trait]
impl Operation for ExplainToken {
    type Seen = TokenExplanation;
    type Output = TokenExplanation;
    const NAME: &'static str = "token.explain";
    const ACCESS: Access = Access::Grant(Grant::IssuerRead);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/tokens/explain" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn look(&self, cx: &Context) -> Result<TokenExplanation> {
        let (keyring, keys) = (Keyring::new(), IssuerKeys::default());
        let meant = cx.narrowed(self.organization).into();
        let token = self.token.expose().trim();
        let mut walk =
            Walk { cx, keyring: &keyring, keys: &keys, meant, steps: Vec::new(), claims: Map::new(), issuer: None };
        let accepted = walk.all(token).await;
        let failed = walk.steps.last().filter(|step| !step.ok).cloned();
        if let (Err(error), None) = (accepted, &failed) {
            // Not the token's fault: the store could not be read.
            return Err(error);
        }
        let only = |all: &Map<String, Value>, names: &[&str]| -> Map<String, Value> {
            let some = names.iter().filter_map(|name| Some(((*name).to_owned(), all.get(*name)?.clone())));
            some.collect()
        };
        Ok(TokenExplanation {
            ok: failed.is_none(),
            wrong: failed.as_ref().map(|step| {
                let setting = step.setting.as_deref().unwrap_or(&step.name);
                format!("{setting}: {}", step.message.as_deref().unwrap_or("it does not hold."))
            }),
            help: failed.and_then(|step| step.help),
            issuer: walk.issuer.as_ref().map(|issuer| issuer.id),
            organization: walk.issuer.as_ref().map(|issuer| issuer.organization),
            header: only(&jws::header(token).unwrap_or_default(), HEADER),
            claims: only(&walk.claims, CLAIMS),
            checks: walk.steps,
        })
    }

    async fn apply(&self, _: &Context, seen: &TokenExplanation, _: &mut Batch) -> Result<TokenExplanation> {
        Ok(seen.clone())
    }
}
