//! `issuer.validate`: whether tokens of a trusted issuer could be verified now.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::{Place, current, discover, place};
use super::ops::owner;
use super::record::TrustedIssuer;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::connection::report::{Finding, Report};
use crate::crypto::jws::KeySet;
use crate::error::{Error, Result, codes};
use crate::id::IssuerId;
use crate::store::Batch;

/// Check a trusted issuer: its setting, its discovery document, and its keys as they are now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidateIssuer {
    /// The issuer.
    pub id: IssuerId,
}

/// What a look at a trusted issuer found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerValidation {
    /// The issuer.
    pub issuer_id: IssuerId,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub report: Report,
}

#[async_trait]
impl Operation for ValidateIssuer {
    type Seen = Report;
    type Output = IssuerValidation;
    const NAME: &'static str = "issuer.validate";
    const ACCESS: Access = Access::Grant(Grant::IssuerRead);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/issuers/{id}/validate" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id).await
    }

    async fn look(&self, cx: &Context) -> Result<Report> {
        let issuer = TrustedIssuer::load(&cx.store, self.id).await?.value;
        let began = cx.env.monotonic();
        let mut checks = Vec::new();
        look_at(cx, &issuer, &mut checks).await;
        let took = cx.env.monotonic().saturating_sub(began);
        Ok(Report {
            ok: checks.iter().all(|finding| finding.ok),
            checks,
            latency_ms: Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    async fn apply(&self, _: &Context, seen: &Report, _: &mut Batch) -> Result<IssuerValidation> {
        Ok(IssuerValidation { issuer_id: self.id, report: seen.clone() })
    }
}

fn add(checks: &mut Vec<Finding>, name: &str, ok: bool, message: Option<String>) {
    checks.push(Finding { name: name.to_owned(), ok, message });
}

fn tried<T>(checks: &mut Vec<Finding>, name: &str, result: &Result<T>) {
    let sentence = |error: &Error| {
        let help = error.next_step().map(|help| format!(" {help}")).unwrap_or_default();
        format!("{}: {}{help}", error.code(), error.message())
    };
    add(checks, name, result.is_ok(), result.as_ref().err().map(sentence));
    // The one obstacle that the operator alone can take away has a row of its own.
    if let Err(error) = result
        && error.is(&codes::OUTBOUND_NOT_ALLOWED)
    {
        add(checks, "outbound_not_allowed", false, Some(sentence(error)));
    }
}

async fn look_at(cx: &Context, issuer: &TrustedIssuer, checks: &mut Vec<Finding>) {
    tried(checks, "issuer_configured", &issuer.sound(&cx.deployment.public_url));
    let any = issuer.application_id.is_none();
    let told = any.then(|| "There is none: a token that the issuer made for any other app is taken.".to_owned());
    add(checks, "application_id_present", true, told);
    if issuer.says(cx.deployment.public_url.issuer()) {
        add(checks, "keys_known", true, Some("It is authd itself.".to_owned()));
        return;
    }
    let keys = match place(issuer) {
        Err(error) => Err(error),
        Ok(Place::Here(set)) => Ok(set),
        Ok(Place::At(url)) => {
            let set = current(&cx.env, &url).await;
            tried(checks, "jwks_reachable", &set);
            set
        }
        Ok(Place::Announced(document)) => {
            let found = discover(&cx.env, issuer, document).await;
            tried(checks, "discovery_reachable", &found);
            match found {
                Err(error) => Err(error),
                Ok(url) => {
                    let set = current(&cx.env, &url).await;
                    tried(checks, "jwks_reachable", &set);
                    set
                }
            }
        }
    };
    let set = keys.unwrap_or_else(|_| KeySet::default());
    let present = set.fits_any(issuer.algorithms());
    let names: Vec<&str> = issuer.algorithms().iter().map(|algorithm| algorithm.name()).collect();
    let told = (!present).then(|| format!("The issuer publishes no key for {}.", names.join(" or ")));
    add(checks, "signing_key_present", present, told);
}
