//! What went wrong on the way to a directory, and at which step.

use super::reason;
use crate::error::{Code, Error, codes};

/// A step of a conversation with a directory, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The name of the server.
    Dns,
    /// The connection to it.
    Reach,
    /// Its encryption.
    Tls,
    /// The bind of authd's own account.
    ServiceBind,
    /// The base of the search for people.
    Base,
    /// The search for the person.
    Person,
    /// The bind of the person.
    Bind,
    /// The search for the person's groups.
    Groups,
}

impl Step {
    /// Its name in traces and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns_resolves",
            Self::Reach => "reachable",
            Self::Tls => "tls_verified",
            Self::ServiceBind => "service_bind",
            Self::Base => "base_exists",
            Self::Person => "user_filter_matches",
            Self::Bind => "user_bind",
            Self::Groups => "group_search_works",
        }
    }
}

/// What went wrong.
#[derive(Debug)]
pub struct Trouble {
    /// Where.
    pub step: Step,
    /// What the person and the app are told.
    pub error: Box<Error>,
    /// What whoever set up the connection is told.
    pub detail: String,
    /// The result code, where the directory gave one.
    pub code: Option<u32>,
    /// The other side did not answer: nobody's name or password is the reason.
    pub silent: bool,
}

impl Trouble {
    fn new(step: Step, code: &'static Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { step, error: Box::new(Error::new(code).because(detail.clone())), detail, code: None, silent: false }
    }

    /// Whether the directory says that what was asked about is not there.
    pub fn is_no_such_entry(&self) -> bool {
        self.code == Some(32)
    }

    /// Whether another server, or another connection to the same, may do better: this one says nothing that can be used, or
    /// that it cannot. To Active Directory, a connection whose bind it has forgotten is an `operationsError`.
    pub fn is_of_the_server(&self) -> bool {
        // operationsError, timeLimitExceeded, busy, unavailable, unwillingToPerform, other
        self.code.is_none_or(|code| matches!(code, 1 | 3 | 51 | 52 | 53 | 80))
    }

    /// The directory does not answer, or not as a directory does.
    pub fn unavailable(step: Step, detail: impl Into<String>) -> Self {
        Self::new(step, &codes::LDAP_UNAVAILABLE, detail)
    }

    /// With the result code that it came with.
    #[must_use]
    pub fn coded(self, code: u32) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Nothing comes from the other side.
    pub fn silent(step: Step, detail: impl Into<String>) -> Self {
        Self { silent: true, ..Self::unavailable(step, detail) }
    }

    /// No encryption that holds.
    pub fn unencrypted(detail: impl Into<String>) -> Self {
        Self::new(Step::Tls, &codes::LDAP_TLS_REQUIRED, detail)
    }

    /// The directory ended an operation with `code`.
    pub fn code(step: Step, code: u32, text: &str) -> Self {
        let what = match code {
            10 => &codes::LDAP_REFERRAL,
            8 | 13 => &codes::LDAP_TLS_REQUIRED,
            _ => &codes::LDAP_UNAVAILABLE,
        };
        let text: String = text.chars().filter(|c| !c.is_control()).take(160).collect();
        let words = if text.is_empty() { String::new() } else { format!(" ({text})") };
        let trouble = Self::new(step, what, format!("{}: result code {code}{words}", reason::says(code)));
        // Busy, unavailable: an answer that says that there is none.
        Self { code: Some(code), silent: matches!(code, 51 | 52), ..trouble }
    }

    /// What another part of authd refused, or found.
    pub fn of(step: Step, error: Error) -> Self {
        let detail = error.message().trim_end_matches('.').to_owned();
        // No connection, and no answer of the resolver's: nobody's name or password is the reason.
        let silent = error.is(&codes::UPSTREAM_UNAVAILABLE);
        let error = if silent { Error::new(&codes::LDAP_UNAVAILABLE).because(error.log_line()) } else { error };
        Self { step, error: Box::new(error), detail, code: None, silent }
    }

    /// The time is over.
    pub fn late(step: Step) -> Self {
        Self::silent(step, "the server did not answer in time")
    }
}
