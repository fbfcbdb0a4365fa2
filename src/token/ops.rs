//! `token.issue`: a short token for authd's own API, made by the operator.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::grant::TokenGrant;
use super::issue::{Issue, STANDARD, Type, api_audience};
use super::keyring::Keyring;
use super::signing_key::{Algorithm, Prepared, Signer, SigningKey};
use crate::access::{Access, Caller, Context, Method, Operation, Owner, RoleName, Route, may_give};
use crate::crypto::{Secret, base64url};
use crate::directory::{Membership, Organization};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{GrantId, OrganizationId, UserId};
use crate::session::{Epochs, Scope};
use crate::store::Batch;

/// Issue an access token for authd's own API: for a person, or for a bare role. It lives 15 minutes, and ends
/// sooner with the person's membership.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssueToken {
    /// The organization that it is for.
    pub organization: OrganizationId,
    /// The person that it speaks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The role that it has, instead of a person: a built-in one, or one of the organization's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
}

/// A new token, shown once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IssuedToken {
    /// The token: send it as `Authorization: Bearer`.
    pub access_token: Secret,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u64,
}

#[async_trait]
impl Operation for IssueToken {
    type Seen = Signing;
    type Output = IssuedToken;
    const NAME: &'static str = "token.issue";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/tokens" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Organization(self.organization))
    }

    async fn look(&self, cx: &Context) -> Result<Signing> {
        Ok(match SigningKey::prepare(cx, Algorithm::Es256).await? {
            Some(prepared) => Signing { signer: Some(Arc::clone(&prepared.signer)), prepared: Some(prepared) },
            None => Signing { signer: Some(Keyring::new().signer(cx, Algorithm::Es256).await?), prepared: None },
        })
    }

    async fn apply(&self, cx: &Context, seen: &Signing, batch: &mut Batch) -> Result<IssuedToken> {
        let Self { organization, user, role } = self.clone();
        // Epochs first: whatever ends between here and the read below has ended the token too.
        let id = GrantId::new(&cx.env);
        let mut scopes = vec![Scope::Organization(organization), Scope::Grant(id)];
        if let Some(user) = user {
            scopes.extend([Scope::People(organization), Scope::User(user), Scope::Membership(organization, user)]);
        }
        let epochs = Epochs::capture(&cx.store, &scopes).await?;
        match (user, &role) {
            (Some(user), None) => drop(Membership::active(&cx.store, organization, user).await?),
            (None, Some(role)) => {
                Organization::open(&cx.store, organization).await?;
                may_give(cx, organization, role).await?;
            }
            _ => {
                return Err(Error::says(&codes::INVALID_INPUT, "A token is for a person or for a role.")
                    .help("Name one of them: `--user usr_…` or `--role owner`."));
            }
        }
        let now = cx.env.now();
        let grant = TokenGrant {
            id,
            app: None,
            organization,
            user,
            role,
            session: None,
            scope: Vec::new(),
            epochs,
            created_at: now,
            expires_at: now + STANDARD,
            claims: Vec::new(),
        };
        let signer = seen.signer.as_ref().ok_or_else(|| Error::bug("no key was prepared"))?;
        let access_token = sign(cx, signer, &grant)?;
        SigningKey::keep(cx, seen.prepared.as_ref(), batch);
        let mut event = cx.event(EventKind::TokenCreated).within(organization).about("grant", id);
        if let Some(user) = user {
            event = event.and("user", user);
        }
        if let Some(role) = &grant.role {
            event = event.with("role", role.as_str());
        }
        batch.create(&grant).log(event);
        Ok(IssuedToken {
            access_token: Secret::new(access_token),
            token_type: "Bearer".to_owned(),
            expires_in: STANDARD.as_secs(),
        })
    }
}

/// The key that signs, and the key to be kept if there was none.
#[derive(Default)]
pub struct Signing {
    signer: Option<Arc<Signer>>,
    prepared: Option<Prepared>,
}

/// `act` names who had it made (RFC 8693 §4.1). A bare role speaks for nobody, so the operator is its subject.
fn sign(cx: &Context, signer: &Signer, grant: &TokenGrant) -> Result<String> {
    let operator = match &cx.caller {
        Caller::Operator { uid } => format!("operator:{uid}"),
        _ => "operator".to_owned(),
    };
    let subject = grant.user.map_or_else(|| operator.clone(), |user| user.to_string());
    let mut claims: Map<String, Value> = Map::new();
    claims.insert("jti".into(), base64url(&cx.env.random::<16>()).into());
    claims.insert("org_id".into(), grant.organization.to_string().into());
    claims.insert("grant".into(), grant.id.to_string().into());
    claims.insert("act".into(), json!({"sub": operator}));
    if let Some(role) = &grant.role {
        claims.insert("role".into(), role.as_str().into());
    }
    Issue {
        typ: Type::Access,
        subject: &subject,
        audience: &api_audience(&cx.deployment.public_url),
        expires_at: grant.expires_at,
        claims,
    }
    .sign(cx, signer)
}
