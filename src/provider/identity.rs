//! `GET /v1/identity`: who a bearer is, by a token of authd's own API or of a trusted issuer.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value};

use super::http::Door;
use crate::access::bearer::{self, Holder};
use crate::access::{Caller, Context};
use crate::connection::Connection;
use crate::directory::{Identity, IdentitySource, Membership, PersonProposal, Profile, provision_person, weigh};
use crate::error::{Error, Kind, Result, codes};
use crate::governance::{admitted, admitted_stranger, facts_of_issuer, obeys};
use crate::http::extract::{Params, Query};
use crate::http::{RequestInfo, reply};
use crate::id::{ConnectionId, EndpointId, OrganizationId, UserId};
use crate::policy::Via;
use crate::store::{Batch, Refused, Stored};
use crate::token::{
    Accepted, IssuerKeys, Keyring, Meant, TokenGrant, TrustedIssuer, identity_of, profile_of, verify_api,
    verify_trusted,
};
use crate::webhook::Endpoint;

/// How often a person is looked at again when somebody else was quicker: each time one request of those at work is done.
const RETRIES: usize = 32;
/// Why a person cannot have the address that a token says. They are kept without it then.
const OF_THE_ADDRESS: &[&crate::error::Code] =
    &[&codes::EMAIL_NOT_VERIFIED, &codes::EMAIL_DOMAIN_NOT_OWNED, &codes::EMAIL_CONFLICT, &codes::PROFILE_INVALID];

pub(super) async fn answer(State(door): State<Door>, info: RequestInfo, query: Query, headers: HeaderMap) -> Response {
    let cx = door.context(&info);
    match identity(&cx, &door, &query.0, &headers).await.and_then(|identity| reply::json(StatusCode::OK, &identity)) {
        Ok(response) => response,
        Err(error) => {
            let told = refused(&cx, &error).await;
            reply::problem(told.as_ref().err().unwrap_or(&error), info.id)
        }
    }
}

/// A token that is refused is an event; a request without any is not worth one.
async fn refused(cx: &Context, error: &Error) -> Result<()> {
    let brought = std::error::Error::source(error).is_some_and(|source| source.is::<Error>());
    if (error.is(&codes::NOT_SIGNED_IN) && brought) || error.is(&codes::SSO_REQUIRED) {
        bearer::refused(cx, error).await?;
    }
    Ok(())
}

/// The bearer, from the header and from nowhere else. Errors: `not_signed_in`.
fn brought(headers: &HeaderMap) -> Result<&str> {
    let none = || Error::new(&codes::NOT_SIGNED_IN);
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(none()) };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(none)?;
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() { Ok(token) } else { Err(none()) }
}

/// The organization that is meant, where the query names one. Errors: `unknown_field`, `invalid_input`.
fn organization(query: &Params) -> Result<Option<OrganizationId>> {
    if let Some((name, _)) = query.iter().find(|(name, _)| *name != "organization") {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        return Err(Error::says(&codes::UNKNOWN_FIELD, format!("There is no field `{shown}`."))
            .help("There is: `organization`."));
    }
    query.one("organization")?.map(str::parse).transpose()
}

async fn identity(cx: &Context, door: &Door, query: &Params, headers: &HeaderMap) -> Result<Map<String, Value>> {
    let token = brought(headers)?;
    let named = organization(query)?;
    match verify_trusted(cx, &door.keyring, &door.issuers, named.into(), token).await? {
        Accepted::Own(checked) => {
            let mut identity = identity_of(&checked.claims);
            if checked.grant.app.is_none() {
                // A token of the API says nothing of the person by itself.
                about(cx, &checked.grant, &mut identity).await?;
            }
            Ok(identity)
        }
        Accepted::Trusted { issuer, claims } => {
            let mut identity = identity_of(&claims);
            let subject = identity.get("tokenIdentifier").and_then(Value::as_str).unwrap_or_default().to_owned();
            let user = person(cx, &issuer, &subject, &profile_of(&claims)).await.map_err(|e| held(e, &issuer))?;
            identity.insert("organizationId".into(), issuer.organization.to_string().into());
            match user {
                Some(user) => identity.insert("userId".into(), user.to_string().into()),
                // Nobody but us says who somebody is here.
                None => identity.remove("userId"),
            };
            Ok(identity)
        }
    }
}

/// What a bearer is brought for.
#[derive(Clone, Copy, Debug)]
pub enum About {
    /// The call names no object.
    Nothing,
    /// An organization.
    Organization(OrganizationId),
    /// A connection of one.
    Connection(ConnectionId),
    /// An endpoint of one.
    Endpoint(EndpointId),
}

impl About {
    /// Whose object it is. One that is not there is nobody's, so that nothing is told of it.
    async fn meant(self, cx: &Context) -> Result<Meant> {
        let organization = match self {
            Self::Nothing => return Ok(Meant::Any),
            Self::Organization(id) => Ok(id),
            Self::Connection(id) => Connection::load(&cx.store, id).await.map(|found| found.organization),
            Self::Endpoint(id) => Endpoint::load(&cx.store, id).await.map(|found| found.organization),
        };
        match organization {
            Ok(organization) => Ok(Meant::Rather(organization)),
            Err(error) if error.kind() == Kind::Missing => Ok(Meant::Any),
            Err(error) => Err(error),
        }
    }
}

/// Who calls by a token of authd's own API, of an app that the organization has registered as an issuer of its own, or of
/// a trusted issuer; and what the token was given for, where authd gave it. A person may do what their roles say now.
/// Where several organizations take the token, the one that `about` belongs to goes first.
/// Errors: `not_signed_in`, which is an event; `not_a_member` for somebody whom the organization does not know;
/// `rate_limited`; those of reading an issuer's keys.
pub async fn caller_of(
    cx: &Context,
    keyring: &Keyring,
    issuers: &IssuerKeys,
    about: About,
    bearer: &str,
) -> Result<(Caller, Option<TokenGrant>)> {
    match known(cx, keyring, issuers, about, bearer).await {
        Ok(known) => Ok(known),
        Err(error) => {
            refused(cx, &error).await?;
            Err(error)
        }
    }
}

async fn known(
    cx: &Context,
    keyring: &Keyring,
    issuers: &IssuerKeys,
    about: About,
    bearer: &str,
) -> Result<(Caller, Option<TokenGrant>)> {
    let meant = about.meant(cx).await?;
    let (organization, user, held) = match verify_trusted(cx, keyring, issuers, meant, bearer).await? {
        Accepted::Own(checked) if checked.grant.app.is_none() => {
            return Ok((verify_api(cx, keyring, bearer).await?, Some(checked.grant)));
        }
        Accepted::Own(checked) => (checked.grant.organization, checked.grant.user, Some(checked.grant)),
        Accepted::Trusted { issuer, claims } => {
            let said = identity_of(&claims);
            let subject = said.get("tokenIdentifier").and_then(Value::as_str).unwrap_or_default();
            let user = person(cx, &issuer, subject, &profile_of(&claims)).await.map_err(|e| held(e, &issuer))?;
            (issuer.organization, user, None)
        }
    };
    let user = user
        .ok_or_else(|| Error::says(&codes::NOT_A_MEMBER, "The organization does not know the person of this token."))?;
    let via = held.as_ref().map_or(Via::Token, |grant| grant.epochs.via());
    let member = admitted(&cx.store, organization, user, via)
        .await
        .map_err(|error| Holder::person(outside(error), organization, Some(user)))?;
    let grants = member.grants(&cx.store).await?;
    Ok((Caller::User { id: Some(user), organization, grants }, held))
}

/// What the organization knows of the person whom a token of the API speaks for.
async fn about(cx: &Context, grant: &TokenGrant, identity: &mut Map<String, Value>) -> Result<()> {
    let Some(user) = grant.user else { return Ok(()) };
    let member = admitted(&cx.store, grant.organization, user, grant.epochs.via())
        .await
        .map_err(|error| Holder::person(outside(error), grant.organization, Some(user)))?;
    let texts = [
        ("name", &member.name),
        ("givenName", &member.given_name),
        ("familyName", &member.family_name),
        ("pictureUrl", &member.image),
        ("email", &member.email),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            identity.insert(name.to_owned(), value.clone().into());
        }
    }
    if member.email.is_some() {
        identity.insert("emailVerified".into(), member.email_verified.into());
    }
    identity.insert("updatedAt".into(), member.updated_at.to_string().into());
    Ok(())
}

/// The person of a trusted issuer's token, where the organization knows them or shall know them.
/// Errors: `not_signed_in` when their access has ended.
async fn person(cx: &Context, issuer: &TrustedIssuer, subject: &str, profile: &Profile) -> Result<Option<UserId>> {
    if !issuer.store_users {
        let key = Identity::key_of(IdentitySource::Issuer(issuer.id), subject);
        let known: Option<Stored<Identity>> = cx.store.get(key).await?;
        let Some(known) = known else {
            // Nobody here knows them: what the token says of them is all there is.
            let email = profile.email.as_deref();
            admitted_stranger(&cx.store, issuer.organization, email, Via::Token).await?;
            return Ok(None);
        };
        return match admitted(&cx.store, known.organization, known.user, Via::Token).await {
            Ok(_) => Ok(Some(known.user)),
            Err(error) => Err(Holder::person(outside(error), known.organization, Some(known.user))),
        };
    }
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        let user = kept(cx, issuer, subject, profile, &mut batch).await?;
        if batch.is_empty() {
            return Ok(Some(user));
        }
        match cx.store.commit(batch).await {
            Ok(_) => return Ok(Some(user)),
            Err(refused) if retry(&refused) && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Another request with the same token may have been quicker with the identity or the address: look again.
fn retry(refused: &Refused) -> bool {
    refused.is_race() || matches!(refused, Refused::Taken { kind: "identity" | "membership", .. })
}

/// A refusal that names nobody yet: the organization demands another way in of somebody whom its issuer vouches for.
fn held(error: Error, issuer: &TrustedIssuer) -> Error {
    if std::error::Error::source(&error).is_some_and(|source| source.is::<Holder>()) {
        return error;
    }
    Holder::person(error, issuer.organization, None)
}

/// Somebody whose access has ended is nobody here.
fn outside(error: Error) -> Error {
    match error.kind() {
        _ if error.is(&codes::SSO_REQUIRED) => error,
        Kind::Unavailable | Kind::Bug => error,
        _ => Error::new(&codes::NOT_SIGNED_IN).because(error),
    }
}

/// An address that is not kept says all the same of whose domain they are. Errors: `sso_required`.
async fn obeys_as_said(cx: &Context, member: &Membership, profile: &Profile) -> Result<()> {
    let email = member.email.clone().or_else(|| profile.email.clone());
    obeys(&cx.store, &Membership { email, ..member.clone() }, Via::Token).await
}

/// Takes what the token says through the pipeline; what changes is in the batch.
async fn kept(
    cx: &Context,
    issuer: &TrustedIssuer,
    subject: &str,
    profile: &Profile,
    batch: &mut Batch,
) -> Result<UserId> {
    let anonymous = Profile { email: None, email_verified: false, ..profile.clone() };
    // An address that nobody has verified is no address of theirs.
    let first = if profile.email_verified { profile } else { &anonymous };
    let mut last = None;
    for said in [first, &anonymous] {
        let proposal = PersonProposal::token(issuer.id, subject, said);
        let facts = match facts_of_issuer(cx, issuer.organization, said.email.as_deref()).await {
            Ok(facts) => facts,
            Err(error) if error.is(&codes::PROFILE_INVALID) => continue,
            Err(error) => return Err(error),
        };
        let planned = match weigh(cx, &proposal, &facts).await {
            Ok(weighed) => weighed.plan,
            Err(error) => Err(error),
        };
        match planned {
            Ok(plan) if plan.changes_nothing() => {
                obeys_as_said(cx, &plan.after, profile).await?;
                return Ok(plan.after.user);
            }
            Ok(_) => {
                let provisioned = provision_person(cx, proposal, &facts, batch).await?;
                obeys_as_said(cx, &provisioned.membership, profile).await?;
                return Ok(provisioned.membership.user);
            }
            Err(error) if OF_THE_ADDRESS.iter().any(|code| error.is(code)) => last = Some(error),
            Err(error) => return Err(outside(error)),
        }
    }
    Err(outside(last.unwrap_or_else(|| Error::new(&codes::PROFILE_INVALID))))
}
