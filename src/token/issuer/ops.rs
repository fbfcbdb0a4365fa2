//! `issuer.create`, `issuer.list`, `issuer.get`, `issuer.update`, `issuer.delete`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::record::{IssuerKind, MOST, TrustedIssuer};
use super::settings::{domain, wrong};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::{IssuerId, OrganizationId};
use crate::store::{Batch, Query, Stored};
use crate::token::Algorithm;

/// A trusted issuer as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerView {
    /// Its id.
    pub id: IssuerId,
    /// Who takes its tokens.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// How its keys are found.
    pub kind: IssuerKind,
    /// Of `oidc`: where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Of `customJwt`: the `iss` of its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Of `customJwt`: its public keys, or where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// Of `customJwt`: the algorithm of its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The `aud` of its tokens; absent where any will do.
    #[serde(rename = "applicationID", skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
    /// Whoever comes with a token becomes known to the organization.
    pub store_users: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl From<TrustedIssuer> for IssuerView {
    fn from(issuer: TrustedIssuer) -> Self {
        let (domain, iss) = match issuer.kind {
            IssuerKind::Oidc => (Some(issuer.issuer), None),
            IssuerKind::CustomJwt => (None, Some(issuer.issuer)),
        };
        Self {
            id: issuer.id,
            organization: issuer.organization,
            name: issuer.name,
            kind: issuer.kind,
            domain,
            issuer: iss,
            jwks: issuer.jwks,
            algorithm: issuer.algorithm,
            application_id: issuer.application_id,
            store_users: issuer.store_users,
            created_at: issuer.created_at,
            updated_at: issuer.updated_at,
        }
    }
}

fn event(cx: &Context, kind: EventKind, issuer: &TrustedIssuer) -> Event {
    cx.event(kind).within(issuer.organization).about("issuer", issuer.id).with("iss", issuer.iss().to_owned())
}

/// Only who says so in so many words takes tokens that were made for anybody.
fn audience(application_id: Option<&str>, any_audience: bool) -> Result<Option<String>> {
    match (application_id, any_audience) {
        (Some(audience), false) => Ok(Some(audience.to_owned())),
        (None, true) => Ok(None),
        (Some(_), true) => Err(wrong("anyAudience", "an `applicationID` is given as well")),
        (None, false) => Err(wrong("applicationID", "it is missing").help(
            "Name the `aud` of the tokens. Without it, a token that the issuer made for any other app is taken as well: \
             say `anyAudience` (`--any-audience`) if that is meant.",
        )),
    }
}

/// Trust an issuer: `GET /v1/identity` takes its tokens from then on.
///
/// Of the kind `oidc` it is a domain whose keys are found by discovery; of the kind `customJwt` an issuer with the
/// address of its keys, or the keys themselves in a `data:` URI. `authd issuer validate` tries it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateIssuer {
    /// The organization that takes its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// What people call it; its domain or issuer unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How its keys are found.
    #[serde(alias = "type")]
    pub kind: IssuerKind,
    /// Of `oidc`: where it is; without a scheme https is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Of `customJwt`: the `iss` of its tokens, letter for letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Of `customJwt`: the address of its public keys, or a `data:` URI with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// Of `customJwt`: the algorithm of its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The `aud` of its tokens, letter for letter.
    #[serde(default, rename = "applicationID", alias = "applicationId", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "application-id"))]
    pub application_id: Option<String>,
    /// Take its tokens whomever they were made for: other apps of the issuer can use theirs here then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_audience: bool,
    /// Whoever comes with a token becomes known to the organization, and what the token says of them is kept up to date.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub store_users: bool,
}

#[async_trait]
impl Operation for CreateIssuer {
    type Seen = ();
    type Output = IssuerView;
    const NAME: &'static str = "issuer.create";
    const ACCESS: Access = Access::Grant(Grant::IssuerManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/issuers" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        Organization::load(&cx.store, organization).await?;
        let query = Query::by("organization", organization.bytes()).limit(MOST);
        if cx.store.page::<TrustedIssuer>(query).await?.items.len() >= MOST {
            return Err(Error::says(&codes::TOO_LARGE, format!("An organization has at most {MOST} trusted issuers.")));
        }
        let issuer = match (self.kind, &self.domain, &self.issuer) {
            (IssuerKind::Oidc, Some(text), None) => domain(text)?,
            (IssuerKind::CustomJwt, None, Some(text)) => text.clone(),
            (IssuerKind::Oidc, None, _) => return Err(wrong("domain", "it is missing")),
            (IssuerKind::CustomJwt, _, None) => return Err(wrong("issuer", "it is missing")),
            (IssuerKind::Oidc, ..) => return Err(wrong("issuer", "the kind `oidc` has a `domain`")),
            (IssuerKind::CustomJwt, ..) => return Err(wrong("domain", "the kind `customJwt` has an `issuer`")),
        };
        let now = cx.env.now();
        let issuer = TrustedIssuer {
            id: IssuerId::new(&cx.env),
            organization,
            name: self.name.as_deref().map_or_else(|| issuer.chars().take(60).collect(), |name| name.trim().to_owned()),
            kind: self.kind,
            issuer,
            jwks: self.jwks.clone(),
            algorithm: self.algorithm,
            application_id: audience(self.application_id.as_deref(), self.any_audience)?,
            store_users: self.store_users,
            created_at: now,
            updated_at: now,
        };
        issuer.sound(&cx.deployment.public_url)?;
        let told = event(cx, EventKind::IssuerCreated, &issuer)
            .with("applicationID", issuer.application_id.clone())
            .with("storeUsers", issuer.store_users);
        batch.create(&issuer).log(told);
        Ok(issuer.into())
    }
}

/// List the issuers that an organization trusts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListIssuers {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListIssuers {
    type Seen = ();
    type Output = Pages<IssuerView>;
    const NAME: &'static str = "issuer.list";
    const ACCESS: Access = Access::Grant(Grant::IssuerRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/issuers" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let page = self.paging.of_organization::<TrustedIssuer>(cx, self.organization).await?;
        Ok(Pages::of(page, IssuerView::from))
    }
}

/// To whom an issuer belongs. Errors: `not_found`.
pub(super) async fn owner(cx: &Context, id: IssuerId) -> Result<Owner> {
    Ok(Owner::Organization(TrustedIssuer::load(&cx.store, id).await?.organization))
}

/// Show one trusted issuer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetIssuer {
    /// The issuer.
    pub id: IssuerId,
}

#[async_trait]
impl Operation for GetIssuer {
    type Seen = ();
    type Output = IssuerView;
    const NAME: &'static str = "issuer.get";
    const ACCESS: Access = Access::Grant(Grant::IssuerRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/issuers/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        Ok(TrustedIssuer::load(&cx.store, self.id).await?.value.into())
    }
}

/// A field that may be set, emptied with `null`, or left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// Change a trusted issuer. What is left out stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateIssuer {
    /// The issuer.
    pub id: IssuerId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of `oidc`: where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Of `customJwt`: the `iss` of its tokens, letter for letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Of `customJwt`: the address of its public keys, or a `data:` URI with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// Of `customJwt`: the algorithm of its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The `aud` of its tokens, letter for letter; `null`, with `anyAudience`, where any shall do.
    #[serde(
        default,
        rename = "applicationID",
        alias = "applicationId",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("x-flag" = "application-id"))]
    pub application_id: Option<Option<String>>,
    /// Take its tokens whomever they were made for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_audience: bool,
    /// Whoever comes with a token becomes known to the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_users: Option<bool>,
}

impl UpdateIssuer {
    /// Lays what is given over the issuer; answers the names of it. Errors: `invalid_input`.
    fn over(&self, issuer: &mut TrustedIssuer) -> Result<Vec<&'static str>> {
        let mut changed = Vec::new();
        let mut note = |name: &'static str, given: bool| {
            if given {
                changed.push(name);
            }
            given
        };
        if let Some(name) = self.name.as_deref().filter(|_| note("name", true)) {
            issuer.name = name.trim().to_owned();
        }
        match (issuer.kind, &self.domain, &self.issuer) {
            (IssuerKind::Oidc, _, Some(_)) => return Err(wrong("issuer", "the kind `oidc` has a `domain`")),
            (IssuerKind::CustomJwt, Some(_), _) => {
                return Err(wrong("domain", "the kind `customJwt` has an `issuer`"));
            }
            (IssuerKind::Oidc, Some(text), None) => {
                issuer.issuer = domain(text)?;
                note("domain", true);
            }
            (IssuerKind::CustomJwt, None, Some(text)) => {
                issuer.issuer.clone_from(text);
                note("issuer", true);
            }
            (_, None, None) => {}
        }
        if note("jwks", self.jwks.is_some()) {
            issuer.jwks.clone_from(&self.jwks);
        }
        if note("algorithm", self.algorithm.is_some()) {
            issuer.algorithm = self.algorithm;
        }
        if self.any_audience || self.application_id.is_some() {
            let named = self.application_id.as_ref().and_then(Option::as_deref);
            issuer.application_id = audience(named, self.any_audience)?;
            note("applicationID", true);
        }
        if let Some(store) = self.store_users {
            issuer.store_users = store;
            note("storeUsers", true);
        }
        Ok(changed)
    }
}

#[async_trait]
impl Operation for UpdateIssuer {
    type Seen = ();
    type Output = IssuerView;
    const NAME: &'static str = "issuer.update";
    const ACCESS: Access = Access::Grant(Grant::IssuerManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/issuers/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut issuer, revision } = TrustedIssuer::load(&cx.store, self.id).await?;
        let changed = self.over(&mut issuer)?;
        if changed.is_empty() {
            return Err(Error::says(&codes::INVALID_INPUT, "There is nothing to change."));
        }
        issuer.sound(&cx.deployment.public_url)?;
        issuer.updated_at = cx.env.now();
        batch.update(&issuer, revision).log(event(cx, EventKind::IssuerUpdated, &issuer).with("changed", changed));
        Ok(issuer.into())
    }
}

/// Stop trusting an issuer. The next request with one of its tokens fails.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteIssuer {
    /// The issuer.
    pub id: IssuerId,
}

#[async_trait]
impl Operation for DeleteIssuer {
    type Seen = ();
    type Output = ();
    const NAME: &'static str = "issuer.delete";
    const ACCESS: Access = Access::Grant(Grant::IssuerManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/issuers/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: issuer, revision } = TrustedIssuer::load(&cx.store, self.id).await?;
        batch.delete::<TrustedIssuer>(TrustedIssuer::key_of(issuer.id), revision).log(event(
            cx,
            EventKind::IssuerRemoved,
            &issuer,
        ));
        Ok(())
    }
}
