//! A sign-in on trial: the pipeline works out what it would do, and nobody does it.
//!
//! Explanations and dry runs ask what a sign-in would do. They ask the code that does it, so they cannot answer otherwise.

use super::facts::facts_under;
use crate::access::Context;
use crate::connection::Connection;
use crate::directory::{PersonProposal, Plan, Profile, weigh};
use crate::error::{Error, Kind, Result};
use crate::policy::Policy;

/// How it would end.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The person comes in, and is then as planned.
    In(Box<Plan>),
    /// They become known as planned, but wait for an administrator: refused with this error.
    Waits(Box<Plan>, Error),
    /// They are refused, and nothing of them is kept.
    Out(Error),
}

impl Outcome {
    /// The refusal, if it is one.
    pub(super) fn refusal(&self) -> Option<&Error> {
        match self {
            Self::In(_) => None,
            Self::Waits(_, error) | Self::Out(error) => Some(error),
        }
    }

    /// What would be kept of the person.
    pub(super) fn plan(&self) -> Option<&Plan> {
        match self {
            Self::In(plan) | Self::Waits(plan, _) => Some(plan),
            Self::Out(_) => None,
        }
    }
}

/// Lets somebody arrive through the connection under a policy. Errors: those of the store; a refusal is an outcome.
pub(super) async fn arrive(
    cx: &Context,
    connection: &Connection,
    subject: &str,
    profile: &Profile,
    policy: &Policy,
) -> Result<Outcome> {
    let tried = async {
        let facts = facts_under(cx, connection, profile.email.as_deref(), policy).await?;
        let proposal = PersonProposal::sign_in(connection.id, subject, profile);
        weigh(cx, &proposal, &facts).await?.plan
    };
    match tried.await {
        Ok(plan) => Ok(match plan.refused {
            Some(code) => Outcome::Waits(Box::new(plan), Error::new(code)),
            None => Outcome::In(Box::new(plan)),
        }),
        Err(error) if matches!(error.kind(), Kind::Invalid | Kind::Forbidden | Kind::Conflict) => {
            Ok(Outcome::Out(error))
        }
        Err(error) => Err(error),
    }
}

/// A subject that no provider has given anybody: whoever comes with it is known by their address alone.
pub(super) fn unknown_subject(cx: &Context) -> String {
    format!("nobody|{}", crate::crypto::base64url(&cx.env.random::<16>()))
}
