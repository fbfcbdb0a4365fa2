//! A trusted issuer as it is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::{jws, sha256};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::{IssuerId, OrganizationId};
use crate::store::{Index, Key, Life, Query, Record, Store, Stored};
use crate::token::Algorithm;

/// More issuers than any organization needs.
pub(super) const MOST: usize = 100;
/// What tokens of an issuer that announces its keys may be signed with.
const BOTH: &[jws::Algorithm] = &[jws::Algorithm::RS256, jws::Algorithm::ES256];

/// How an issuer's keys are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, minicbor::Encode, minicbor::Decode)]
#[serde(rename_all = "camelCase")]
#[cbor(index_only)]
pub enum IssuerKind {
    /// By OpenID Connect Discovery below its domain.
    #[n(0)]
    Oidc,
    /// At an address, or in a `data:` URI, that is set here.
    #[n(1)]
    CustomJwt,
}

/// Somebody whose tokens an organization takes.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct TrustedIssuer {
    /// Its id.
    #[n(0)]
    pub id: IssuerId,
    /// Who takes its tokens.
    #[n(1)]
    pub organization: OrganizationId,
    /// What people call it.
    #[n(2)]
    pub name: String,
    /// How its keys are found.
    #[n(3)]
    pub kind: IssuerKind,
    /// Of `oidc` the domain, with its scheme; of `customJwt` the issuer exactly as tokens say it.
    #[n(4)]
    pub issuer: String,
    /// Of `customJwt`, where its keys are.
    #[n(5)]
    pub jwks: Option<String>,
    /// Of `customJwt`, the one algorithm of its tokens.
    #[n(6)]
    pub algorithm: Option<Algorithm>,
    /// Whom its tokens must be for. None only where somebody has said that any will do.
    #[n(7)]
    pub application_id: Option<String>,
    /// Whoever comes with a token becomes known to the organization.
    #[n(8)]
    pub store_users: bool,
    /// When it was made.
    #[n(9)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[n(10)]
    pub updated_at: Timestamp,
}

impl Record for TrustedIssuer {
    const KIND: &'static str = "trusted_issuer";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
    fn indexes(&self) -> Vec<Index> {
        let audience = self.application_id.as_deref().map(str::as_bytes);
        let parts = [&self.organization.bytes()[..], self.iss().as_bytes(), audience.unwrap_or_default()];
        vec![
            Index::many("organization", self.organization.bytes()),
            Index::many("iss", self.iss()),
            Index::unique("provider", sha256(&[Key::of(&parts).as_bytes()])),
        ]
    }
}

/// Without one slash at its end.
pub(super) fn bare(issuer: &str) -> &str {
    issuer.strip_suffix('/').unwrap_or(issuer)
}

impl TrustedIssuer {
    /// Its key in the store.
    pub fn key_of(id: IssuerId) -> Key {
        Key::from_bytes(id.bytes())
    }

    /// The issuer. Errors: `not_found`.
    pub async fn load(store: &Store, id: IssuerId) -> Result<Stored<Self>> {
        store.get(Self::key_of(id)).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }

    /// Those whose tokens say that `iss`, of one organization or of all; who names an audience comes first, then who
    /// was there first.
    pub(super) async fn saying(store: &Store, iss: &str, organization: Option<OrganizationId>) -> Result<Vec<Self>> {
        let mut found: Vec<Self> = Vec::new();
        let mut names = vec![iss];
        if bare(iss) != iss {
            names.push(bare(iss));
        }
        for name in names {
            let mut query = Query::by("iss", name).limit(1_000);
            if let Some(organization) = organization {
                query = query.with("organization", organization.bytes());
            }
            found.extend(store.page::<Self>(query).await?.items.into_iter().map(|stored| stored.value));
        }
        found.retain(|issuer| issuer.says(iss));
        found.sort_by_key(|issuer| (issuer.application_id.is_none(), issuer.id));
        Ok(found)
    }

    /// Whether its tokens say that `iss`. Of a domain, one slash at the end makes no difference; otherwise every
    /// letter does.
    pub fn says(&self, iss: &str) -> bool {
        match self.kind {
            IssuerKind::Oidc => bare(iss) == self.iss(),
            IssuerKind::CustomJwt => iss == self.issuer,
        }
    }

    /// The `iss` of its tokens, but for a slash at the end of a domain.
    pub fn iss(&self) -> &str {
        match self.kind {
            IssuerKind::Oidc => bare(&self.issuer),
            IssuerKind::CustomJwt => &self.issuer,
        }
    }

    /// What its tokens may be signed with; their own header is never asked.
    pub fn algorithms(&self) -> &'static [jws::Algorithm] {
        match self.algorithm {
            None => BOTH,
            Some(Algorithm::Rs256) => &[jws::Algorithm::RS256],
            Some(Algorithm::Es256) => &[jws::Algorithm::ES256],
        }
    }

    /// The field that says who it is.
    pub(super) fn naming(&self) -> &'static str {
        match self.kind {
            IssuerKind::Oidc => "domain",
            IssuerKind::CustomJwt => "issuer",
        }
    }

    /// The field that says where its keys are.
    pub(super) fn keyed_by(&self) -> &'static str {
        match self.kind {
            IssuerKind::Oidc => "domain",
            IssuerKind::CustomJwt => "jwks",
        }
    }
}
