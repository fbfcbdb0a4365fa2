//! The end of every sign-in: person, session, code, trace and events in one commit.

use axum::response::Response;

use super::attempt::{Attempt, Intent};
use super::http::{Signin, deliver, with_cookie};
use super::standing;
use super::trace::Trace;
use super::used::UsedAssertion;
use crate::access::Context;
use crate::connection::protocol::{Authenticated, Checks};
use crate::connection::{Connection, LastSignIn, enforcement};
use crate::crypto::Secret;
use crate::directory::{EmailAddress, Membership, PersonProposal, ProvisionedPerson, SourceFacts, provision_person};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::governance;
use crate::http::reply;
use crate::policy::Via;
use crate::provider::authorize::AuthorizeRequest;
use crate::provider::consent::{self, Question};
use crate::provider::{ToApp, code};
use crate::session::{Epochs, NewSession, Opened, Scope, Session};
use crate::store::{Batch, Record as _, Refused, Revision};

/// How often the finish is worked out again when something it read was changed before its commit.
const RETRIES: usize = 3;

/// Answers the app from a session that fits: touch, code, one commit.
pub(super) async fn reuse(cx: &Context, request: &AuthorizeRequest, session: &Session) -> Result<Response> {
    let mut batch = Batch::new();
    session.touch(cx, &mut batch).await?;
    let answer = code::mint(cx, request, session, None, &mut batch).await?;
    cx.store.commit(batch).await?;
    deliver(cx, &answer)
}

/// What the browser is told once the person is in.
enum Next {
    /// To their own page.
    Account,
    /// Nothing: an app has handed the sign-in over, and is answered itself.
    Nothing,
    /// The app's answer.
    App(ToApp),
    /// The app's question, before it is answered.
    Ask(Box<AuthorizeRequest>, Box<Question>),
    /// Somewhere else: to the question about a device, or where the connection says.
    At(String),
}

impl Next {
    /// Decides, and adds to the batch what it takes.
    async fn of(
        signin: &Signin,
        cx: &Context,
        attempt: &Attempt,
        session: &Session,
        checks: &mut Checks,
        batch: &mut Batch,
    ) -> Result<Self> {
        let request = match &attempt.intent {
            Intent::Authorize(request) => request,
            Intent::Account => return Ok(Self::Account),
            Intent::Relayed(_) => return Ok(Self::Nothing),
            Intent::Device(request) => {
                return super::device::confirm_at(signin, cx, request, attempt.browser).map(Self::At);
            }
            Intent::Landing(target) => return Ok(target.clone().map_or(Self::Account, Self::At)),
        };
        if let Some((code, why)) = standing::lacks(request, session, attempt.created_at) {
            checks.compare("asked_for_by_the_app", false, "what the app asked for", code);
            return Ok(Self::App(request.refused(cx, code, why)));
        }
        match consent::question(cx, request, session).await? {
            Some(question) => Ok(Self::Ask(request.clone(), Box::new(question))),
            None => Ok(Self::App(code::mint(cx, request, session, None, batch).await?)),
        }
    }

    async fn tell(self, signin: &Signin, cx: &Context, session: &Session) -> Result<Response> {
        match self {
            Self::Account => reply::see_other(&signin.world.deployment.public_url.at("/signin")),
            Self::Nothing => Err(Error::bug("a sign-in that leads nowhere")),
            Self::At(at) => reply::see_other(&at),
            Self::App(answer) => deliver(cx, &answer),
            Self::Ask(request, question) => super::consent::ask(signin, cx, &request, session, *question).await,
        }
    }
}

/// Who is let in: whom the provider of a connection vouches for, and whose browser it is so far.
pub(super) struct Vouched<'a> {
    pub connection: &'a Connection,
    pub person: &'a Authenticated,
    /// The live session that the browser brought.
    pub earlier: Option<&'a Session>,
}

/// Who is in.
pub(super) struct Finished {
    /// What the browser is told.
    next: Next,
    cookie: Secret,
    pub session: Session,
    pub member: Membership,
    /// They were not known before.
    pub created: bool,
}

impl Finished {
    /// The redirect, with the cookie of the session.
    pub async fn response(self, signin: &Signin, cx: &Context) -> Result<Response> {
        let response = self.next.tell(signin, cx, &self.session).await?;
        Ok(with_cookie(response, Some(signin.session_cookie(self.cookie.expose())?)))
    }
}

/// Lets the person in. Errors: those of the policy's verdict; the caller tells them, in one commit with what is `made`:
/// somebody may become known who does not get in. An attempt that was kept has a `revision`, and is used up with it.
pub(super) async fn finish(
    signin: &Signin,
    cx: &Context,
    (attempt, revision): (&Attempt, Option<Revision>),
    vouched: &Vouched<'_>,
    checks: &mut Checks,
    made: &mut Batch,
) -> Result<Finished> {
    let Vouched { connection, person, earlier } = *vouched;
    let facts = governance::facts_of(cx, connection, person.profile.email.as_deref()).await?;
    let proposal = PersonProposal::sign_in(connection.id, &person.subject, &person.profile);
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        let provisioned = match provision_person(cx, proposal.clone(), &facts, &mut batch).await {
            Ok(provisioned) => provisioned,
            Err(error) => {
                tell(checks, person, &facts, &error);
                return Err(error);
            }
        };
        if let Some(code) = provisioned.refused {
            let error = Error::says(code, "You are known now, but an administrator has to admit you first.");
            tell(checks, person, &facts, &error);
            *made = batch;
            return Err(error);
        }
        let member = &provisioned.membership;
        if let Err(error) = governance::obeys(&cx.store, member, Via::Connection(connection.id)).await {
            // They are who they say, but this is not the way in for them. Nothing of it is kept.
            checks.compare("enforcement", false, "the connection that is demanded", connection.id);
            return Err(error);
        }
        let new = NewSession {
            organization: member.organization,
            user: member.user,
            connection: Some(connection.id),
            under: under(attempt),
            auth_time: person.auth_time.unwrap_or_else(|| cx.env.now()),
            acr: person.acr.clone(),
            amr: person.amr.clone(),
            upstream_session: person.upstream_session.clone(),
            upstream_subject: person.upstream_subject.clone(),
            email: member.email.clone(),
            until: person.until,
            break_glass: None,
            handed: matches!(attempt.intent, Intent::Relayed(_)),
        };
        if let Some(once) = &person.once {
            batch.create(&UsedAssertion::of(connection.id, once));
        }
        let Opened { session, cookie } = Session::open(cx, new, &mut batch).await?;
        if let Some(aside) = &person.saml {
            aside.keep(connection.id, (session.id, session.expires_at), cx.env.now(), &mut batch);
        }
        session.replace(cx, earlier, &mut batch).await?;
        LastSignIn::note(member.organization, member.user, connection.id, cx.env.now(), &mut batch);
        for held in enforcement::take_hold(cx, member, connection.id, &mut batch).await? {
            let event = cx.event(EventKind::EnforcementEnabled).within(member.organization);
            batch.log(event.about("connection", held));
        }
        let mut trace = Trace::of(cx, attempt).await?;
        let mut all = checks.clone();
        all.pass("policy", if provisioned.created { "created" } else { "admitted" });
        let next = Next::of(signin, cx, attempt, &session, &mut all, &mut batch).await?;
        trace.keep(person);
        trace.succeed(cx.env.now(), &all, member.user, session.id);
        conclude(cx, (attempt, revision), connection, &provisioned, &session, &mut batch);
        signin.bounds.trace(cx, &trace, &mut batch).await?;
        match cx.store.commit(batch).await {
            // Whoever was quicker with the same assertion is in; nobody is twice.
            Err(Refused::Taken { kind: "used_assertion", .. }) => {
                checks.state("replay", false);
                return Err(Error::new(&codes::SAML_REPLAY));
            }
            Ok(_) => {
                let took = cx.env.now().since(attempt.created_at);
                cx.env.meters().sign_ins.of([connection.protocol.name()]).time(took);
                let (member, created) = (provisioned.membership, provisioned.created);
                return Ok(Finished { next, cookie, session, member, created });
            }
            Err(refused) if retry(&refused) && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// What the session is made under. It outlives the app that it was opened for: other apps use it, too.
fn under(attempt: &Attempt) -> Epochs {
    match attempt.intent.app() {
        Some(app) => attempt.epochs.clone().without(Scope::App(app)),
        None => attempt.epochs.clone(),
    }
}

/// Says in the trace what the policy weighed, and which of it decided.
fn tell(checks: &mut Checks, person: &Authenticated, facts: &SourceFacts, error: &Error) {
    let profile = &person.profile;
    if error.is(&codes::EMAIL_NOT_VERIFIED) {
        checks.compare("email_verified", false, true, profile.email_verified);
    }
    if error.is(&codes::EMAIL_DOMAIN_NOT_OWNED) {
        let domain =
            profile.email.as_deref().and_then(|email| EmailAddress::parse(email).ok()).map(|email| email.domain);
        checks.compare("email_domain", false, facts.domains.join(" "), domain.unwrap_or_default());
    }
    checks.compare("policy", false, "admitted", error.code());
}

/// A sign-in of the same person in another window may have been quicker with the identity or the address: look again.
fn retry(refused: &Refused) -> bool {
    refused.is_race() || matches!(refused, Refused::Taken { kind: "identity" | "membership", .. })
}

fn conclude(
    cx: &Context,
    (attempt, revision): (&Attempt, Option<Revision>),
    connection: &Connection,
    provisioned: &ProvisionedPerson,
    session: &Session,
    batch: &mut Batch,
) {
    let mut event = cx
        .event(EventKind::ConnectionLoginSucceeded)
        .within(connection.organization)
        .about("connection", connection.id)
        .and("user", provisioned.membership.user)
        .and("session", session.id)
        .and("attempt", attempt.id);
    if provisioned.email_conflict {
        event = event.with("note", "email_conflict");
    }
    if let Some(revision) = revision {
        batch.delete::<Attempt>(attempt.key(), revision);
    }
    batch.log(event);
}
