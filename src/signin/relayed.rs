//! Sign-ins that an app hands over. The app asks where to send somebody (`relay`), the provider answers to an address of
//! the app's own or of authd's, and the app hands the answer over with an API key of its organization. That key stands in
//! the place of the browser's cookie: whoever has it may sign the organization's people in. For a directory the app hands
//! over name and password.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::attempt::{Attempt, Intent, Step};
use super::authorize::prepare;
use super::callback::{Landing, claim, note};
use super::finish::{self, Finished, Vouched};
use super::http::Signin;
use super::password::Try;
use super::route::{Routed, Wish, route};
use super::used::UsedAssertion;
use crate::access::throttle::{self, Rule, Subject};
use crate::access::{Caller, Context, Grant, refusal};
use crate::connection::protocol::{Answer, Authenticated, Begin, BeginRequest, Credentials};
use crate::connection::{Connection, ProtocolKind, callback_url, mapped_scopes, saml};
use crate::crypto::{Opaque, TokenHash};
use crate::directory::{Membership, Organization};
use crate::error::{Error, Kind, Result, codes};
use crate::event::EventKind;
use crate::http::reply;
use crate::id::{ConnectionId, OrganizationId};
use crate::provider::{self, Reach};
use crate::session::Session;
use crate::store::{Batch, Stored};

/// What is known of somebody whom an app wants to sign in.
#[derive(Clone, Debug)]
pub struct RelayWish {
    /// In which organization.
    pub organization: OrganizationId,
    /// The domain of their address.
    pub domain: Option<String>,
    /// Their address.
    pub email: Option<String>,
    /// The app's own address that the provider shall answer to.
    pub callback: Option<String>,
}

/// Where an app is to send somebody.
#[derive(Clone, Debug)]
pub struct Relay {
    /// The address.
    pub url: String,
    /// Through which connection.
    pub connection: ConnectionId,
    /// What it speaks.
    pub protocol: ProtocolKind,
}

/// Somebody who is in, for the app that handed them over.
pub struct Handed {
    connection: Connection,
    person: Authenticated,
    member: Membership,
    session: Session,
    created: bool,
}

/// Begins a sign-in for an app. `known` is whoever showed a key of the organization: an app is not one client, however
/// many people it sends. Errors: `no_connection`, `invalid_input` where the organization has several and none is meant,
/// `redirect_uri_mismatch`, those of a sign-in's beginning.
pub async fn relay(signin: &Signin, cx: &Context, wish: &RelayWish) -> Result<Relay> {
    if cx.caller == Caller::Anonymous {
        throttle::take(cx, &[(Rule::RelayFromAddress, throttle::address(cx))]).await?.spend().await?;
    }
    let connection = meant(cx, wish).await?;
    let (id, protocol) = (connection.id, connection.protocol);
    let callback = callback_of(cx, &connection, wish.callback.as_deref()).await?;
    if protocol == ProtocolKind::Ldap {
        // Name and password are typed on authd's own form, or into the app's, which hands them over.
        let url = signin.world.deployment.public_url.at(&format!("/signin?connection={id}"));
        return Ok(Relay { url, connection: id, protocol });
    }
    let intent = Intent::Relayed(callback.clone());
    let begin = BeginRequest { login_hint: wish.email.clone(), callback, ..BeginRequest::default() };
    let prepared = prepare(signin, cx, &intent, id, begin).await?;
    let (url, kept) = match &prepared.begun {
        Begin::Redirect { url, kept } => (url.clone(), kept.clone()),
        Begin::Form { .. } | Begin::Credentials { .. } => {
            return Err(Error::says(
                &codes::CONNECTION_NOT_READY,
                "The identity provider takes requests by a form only.",
            )
            .help("Give it an address for the redirect binding, or sign in by a link of authd's own."));
        }
    };
    // No browser began it: the mark is one that nobody has.
    let nobody = Opaque::new(&cx.env, "").hash;
    let mut attempt = prepared.attempt(cx, intent, nobody, kept);
    if cx.caller.organization() == Some(wish.organization) {
        attempt.client = Some(attempt.id.bytes().to_vec());
    }
    signin.bounds.begin(cx, &attempt).await?;
    Ok(Relay { url, connection: id, protocol })
}

/// The connection that is meant. A domain that nobody has proved for this organization is an answer, never "some"
/// connection; without a domain it is the only active one.
async fn meant(cx: &Context, wish: &RelayWish) -> Result<Connection> {
    let organization = wish.organization.to_string();
    let reach = Reach::Only(vec![wish.organization]);
    let named = wish.domain.is_some() || wish.email.is_some();
    let search = Wish {
        connection: None,
        organization: (!named).then_some(organization.as_str()),
        email: wish.email.as_deref().filter(|_| wish.domain.is_none()),
        domain: wish.domain.as_deref(),
    };
    if named {
        throttle::check(cx, Rule::EmailRoute, throttle::address(cx)).await?;
    }
    match route(cx, &reach, &search).await? {
        Routed::To(connection) => Ok(*connection),
        Routed::Choose(_) => {
            Err(Error::says(&codes::INVALID_INPUT, "The organization has several connections, so `domain` is needed."))
        }
        Routed::Ask => Err(Error::new(&codes::NO_CONNECTION)),
        Routed::Nowhere { .. } => {
            if cx.caller == Caller::Anonymous {
                let mut batch = Batch::new();
                throttle::count(cx, Rule::EmailRoute, throttle::address(cx), &mut batch).await?;
                cx.store.commit(batch).await?;
            }
            Err(Error::new(&codes::NO_CONNECTION))
        }
    }
}

/// The app's address that the provider answers to; none for authd's own. Unless one is named, it is the first that is
/// registered on the connection.
async fn callback_of(cx: &Context, connection: &Connection, asked: Option<&str>) -> Result<Option<String>> {
    let url = &cx.deployment.public_url;
    let own = match connection.protocol {
        ProtocolKind::Saml => saml::acs_url(url, connection.id),
        ProtocolKind::Oidc | ProtocolKind::Ldap => callback_url(url, connection.id),
    };
    let Some(asked) = asked else { return Ok(connection.callback_urls.first().cloned()) };
    if asked == own {
        return Ok(None);
    }
    let registered = connection.callback_urls.iter().any(|known| known == asked)
        || provider::is_callback_of_app(cx, connection.organization, asked).await?;
    if registered {
        return Ok(Some(asked.to_owned()));
    }
    Err(Error::says(
        &codes::REDIRECT_URI_MISMATCH,
        "`redirect_uri` is registered neither on the connection nor on an app.",
    )
    .help("Register exactly this one: `authd connection update --callback-url`."))
}

/// The code of an OpenID provider, which it sent to the app. Errors: `state_mismatch`, `redirect_uri_mismatch`, those of a
/// sign-in.
pub async fn handed_code(
    signin: &Signin,
    cx: &Context,
    parameters: BTreeMap<String, String>,
    callback: Option<&str>,
) -> Result<Handed> {
    let state = parameters.get("state").cloned().unwrap_or_default();
    let answer = Answer { parameters, by_app: true, ..Answer::default() };
    handed(signin, cx, ProtocolKind::Oidc, &state, answer, callback).await
}

/// The answer of a SAML provider, which was posted to the app. Errors: as `handed_code`.
pub async fn handed_saml(signin: &Signin, cx: &Context, response: String, relay_state: &str) -> Result<Handed> {
    let parameters = [("SAMLResponse".to_owned(), response), ("RelayState".to_owned(), relay_state.to_owned())];
    let answer = Answer { parameters: parameters.into(), by_app: true, ..Answer::default() };
    handed(signin, cx, ProtocolKind::Saml, relay_state, answer, None).await
}

async fn handed(
    signin: &Signin,
    cx: &Context,
    protocol: ProtocolKind,
    state: &str,
    answer: Answer,
    callback: Option<&str>,
) -> Result<Handed> {
    let organization = of_key(&cx.caller)?;
    let mut landing = Landing::default();
    match arrive(signin, cx, organization, protocol, state, &answer, callback, &mut landing).await {
        Ok(handed) => Ok(handed),
        Err(error) => {
            reply::log(&error, cx.origin.request);
            if matches!(error.kind(), Kind::Upstream | Kind::Unavailable) && again(cx, &mut landing).await? {
                landing.attempt = None;
            }
            if error.kind() != Kind::Bug {
                note(signin, cx, landing, &error).await?;
            }
            Err(error)
        }
    }
}

/// Whoever could not be asked has used up nothing: the app may hand the same answer over again.
async fn again(cx: &Context, landing: &mut Landing) -> Result<bool> {
    let Some(attempt) = &landing.attempt else { return Ok(false) };
    let waiting = Attempt { step: Step::Sent, ..attempt.value.clone() };
    let mut batch = Batch::new();
    batch.update(&waiting, attempt.revision);
    Ok(cx.store.commit(batch).await.is_ok())
}

#[expect(clippy::too_many_arguments, reason = "what was handed over, and what is known of it so far")]
async fn arrive(
    signin: &Signin,
    cx: &Context,
    organization: OrganizationId,
    protocol: ProtocolKind,
    state: &str,
    answer: &Answer,
    callback: Option<&str>,
    landing: &mut Landing,
) -> Result<Handed> {
    let mismatch = || Error::says(&codes::STATE_MISMATCH, "This sign-in was not started here, or is used up.");
    let found: Option<Stored<Attempt>> = match state {
        state if (1..=128).contains(&state.len()) => cx.store.find("state", TokenHash::of(state).bytes()).await?,
        _ => None,
    };
    // One of another organization, and one that belongs to a browser, look the same as none.
    let own = |attempt: &Stored<Attempt>| {
        attempt.organization == organization && matches!(attempt.intent, Intent::Relayed(_))
    };
    let found = found.filter(own);
    landing.checks.state("state", found.is_some());
    let attempt = found.ok_or_else(mismatch)?;
    let connection = Connection::load(&cx.store, attempt.connection).await.map_err(|_| mismatch())?.value;
    landing.connection = Some(connection.clone());
    landing.checks.state("protocol", connection.protocol == protocol);
    let fresh = attempt.step == Step::Sent && !attempt.created_at.is_ahead_of(cx.env.now());
    landing.checks.state("unused", fresh);
    if !fresh || connection.protocol != protocol {
        return Err(mismatch());
    }
    let Intent::Relayed(expected) = &attempt.intent else { return Err(mismatch()) };
    let expected = expected.clone().unwrap_or_else(|| callback_url(&cx.deployment.public_url, connection.id));
    if let Some(said) = callback {
        landing.checks.compare("redirect_uri", said == expected, &expected, said);
        if said != expected {
            return Err(Error::says(&codes::REDIRECT_URI_MISMATCH, "`redirect_uri` is not the one of this sign-in."));
        }
    }
    let standing = connection.usable().is_ok() && attempt.epochs.hold(&cx.store).await?;
    landing.checks.state("enabled", standing);
    if !standing {
        landing.attempt = Some(attempt);
        return Err(Error::new(&codes::CONNECTION_DISABLED));
    }
    Organization::open(&cx.store, connection.organization).await?;
    let speaker = signin.registry.protocol(cx, &connection)?;
    speaker.screen(answer, &mut landing.checks)?;
    // A code is redeemed once, so the attempt is claimed before. A SAML answer asks nobody: one that does not hold leaves
    // the attempt to the one that does.
    let attempt = if protocol == ProtocolKind::Oidc { claim(cx, attempt).await? } else { attempt };
    if protocol == ProtocolKind::Oidc {
        landing.attempt = Some(attempt.clone());
    }
    let person = speaker.complete(cx, answer, &attempt.kept, &mut landing.checks).await?;
    landing.attempt = Some(attempt.clone());
    if let Some(once) = &person.once
        && UsedAssertion::of(connection.id, once).known(&cx.store).await?
    {
        landing.checks.state("replay", false);
        return Err(Error::new(&codes::SAML_REPLAY));
    }
    signin.bounds.returned(cx, attempt.id).await?;
    let person = landing.person.insert(person).clone();
    let vouched = Vouched { connection: &connection, person: &person, earlier: None };
    let used = (&attempt.value, Some(attempt.revision));
    let finished = finish::finish(signin, cx, used, &vouched, &mut landing.checks, &mut landing.made).await;
    match finished {
        Ok(finished) => Ok(Handed::of(connection, person, finished)),
        // The same answer was handed over twice at once, and the other was quicker.
        Err(error) if error.is(&codes::STALE) => {
            landing.attempt = None;
            Err(mismatch().because(error))
        }
        Err(error) => Err(error),
    }
}

/// Name and password, which somebody typed into the app. Errors: `not_found` for a connection of somebody else, or that
/// is no directory; those of a sign-in.
pub async fn handed_password(signin: &Signin, cx: &Context, id: ConnectionId, given: Credentials) -> Result<Handed> {
    of_key(&cx.caller)?;
    handed_password_to(signin, cx, Connection::load(&cx.store, id).await?.value, given).await
}

/// The same to a connection that was read before.
pub(super) async fn handed_password_to(
    signin: &Signin,
    cx: &Context,
    connection: Connection,
    given: Credentials,
) -> Result<Handed> {
    let organization = of_key(&cx.caller)?;
    let id = connection.id;
    if connection.organization != organization || connection.protocol != ProtocolKind::Ldap {
        return Err(Error::new(&codes::NOT_FOUND));
    }
    let mut try_ = match Try::begin(signin, cx, Intent::Relayed(None), None, &connection).await {
        Ok(try_) => try_,
        Err(error) => {
            let event = cx.event(EventKind::ConnectionLoginFailed).within(connection.organization);
            let mut batch = Batch::new();
            refusal::tell(cx, event.about("connection", id).failed(error.code()), &mut batch).await?;
            cx.store.commit(batch).await?;
            return Err(error);
        }
    };
    // By account alone: all of an app's people come from the app's one address.
    let account = Credentials::account(id, &Credentials::counted(&given.username));
    let tries = [(Rule::PasswordOfAccount, Subject::new().and(account))];
    match try_.pass(given, &tries, None).await {
        Ok(finished) => {
            let person = try_.person.take().ok_or_else(|| Error::bug("nobody has signed in"))?;
            Ok(Handed::of(connection, person, finished))
        }
        Err(error) => {
            try_.note(&error).await?;
            Err(error)
        }
    }
}

impl Handed {
    fn of(connection: Connection, person: Authenticated, finished: Finished) -> Self {
        let Finished { session, member, created, .. } = finished;
        Self { connection, person, member, session, created }
    }

    /// As an app is told.
    pub fn view(&self) -> Value {
        let groups = &self.person.profile.groups;
        let mut scopes = mapped_scopes(&self.connection, groups);
        for scope in &self.person.scopes {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        json!({
            "sessionId": self.session.id,
            "email": self.member.email,
            "name": self.member.name,
            "sub": self.subject(),
            "groups": groups,
            "mappedScopes": scopes,
            "principalId": self.member.user,
            "developerId": self.member.organization,
            "connectionId": self.connection.id,
            "provisioned": self.created,
            "expiresAt": self.session.expires_at,
        })
    }

    /// Who it is in the provider's own words.
    fn subject(&self) -> &str {
        match &self.person.upstream_subject {
            Some(said) => plain_subject(self.connection.protocol, said),
            None => &self.person.subject,
        }
    }
}

/// The provider's own name for somebody, out of what a session keeps of it: the `sub` of an OpenID provider, the NameID of
/// a SAML one.
pub fn plain_subject(protocol: ProtocolKind, kept: &str) -> &str {
    let parts = match protocol {
        // The issuer has no `|`, nor has a format, nor a qualifier that a provider would use.
        ProtocolKind::Oidc => 2,
        ProtocolKind::Saml => 3,
        ProtocolKind::Ldap => 1,
    };
    kept.splitn(parts, '|').last().unwrap_or(kept)
}

/// Only a key of an organization hands over: what a person holds opens sessions of nobody else.
/// Errors: `not_signed_in`, `missing_grant`.
pub(super) fn of_key(caller: &Caller) -> Result<OrganizationId> {
    match caller {
        Caller::ApiKey { organization, user: None, .. } if caller.holds(Grant::SessionManage, *organization) => {
            Ok(*organization)
        }
        Caller::ApiKey { user: None, .. } => {
            Err(Error::says(&codes::MISSING_GRANT, format!("The key lacks the grant `{}`.", Grant::SessionManage)))
        }
        Caller::Anonymous => Err(Error::new(&codes::NOT_SIGNED_IN)),
        _ => Err(Error::says(&codes::MISSING_GRANT, "This takes an API key of the organization, not a person's.")),
    }
}
