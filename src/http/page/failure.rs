//! The page for what did not work, and the page at `/`.

use askama::Template;

use super::display::filters;
use super::renders;
use crate::error::{Error, Kind};

/// What did not work. The caller gives the HTTP status.
///
/// The person reads a sentence and the next step. Whoever helps them gets the code and the request id, in one
/// block that one click selects; `authd explain <request id>` tells the rest to the operator alone.
#[derive(Template, Clone, Debug, Default)]
#[template(path = "failure.html", config = "assets/pages/askama.toml")]
pub struct Failure {
    /// A few words.
    pub title: String,
    /// One sentence.
    pub message: String,
    /// The next step.
    pub help: Option<String>,
    /// The stable code of the error.
    pub code: String,
    /// The id of this request.
    pub request_id: String,
    /// Where to begin again.
    pub retry_href: Option<String>,
    /// The app that the person comes from.
    pub app_name: Option<String>,
}

impl Failure {
    /// The title of every refused sign-in.
    pub const REFUSED_TITLE: &'static str = "We couldn’t sign you in";
    /// The sentence of every refused sign-in: it does not depend on which check refused.
    pub const REFUSED_MESSAGE: &'static str = "Your sign-in was stopped by a security check, and nobody was signed in.";
    /// The next step of every refused sign-in.
    pub const REFUSED_HELP: &'static str =
        "Go back to the app and start again. If it happens again, send the two lines below to your administrator.";

    /// A refused sign-in: the general sentence, with the code and the request id of this one.
    pub fn refused(code: impl Into<String>, request_id: impl Into<String>) -> Self {
        Self {
            title: Self::REFUSED_TITLE.into(),
            message: Self::REFUSED_MESSAGE.into(),
            help: Some(Self::REFUSED_HELP.into()),
            code: code.into(),
            request_id: request_id.into(),
            retry_href: None,
            app_name: None,
        }
    }

    /// Any error, with its own sentence and next step. Nothing of its source is shown.
    pub fn from_error(error: &Error, request_id: impl Into<String>) -> Self {
        let title = match error.kind() {
            Kind::Invalid | Kind::Conflict | Kind::TooLarge => "That didn’t work",
            Kind::Unauthenticated => "Please sign in",
            Kind::Forbidden => "You can’t go on here",
            Kind::Missing => "There is nothing here",
            Kind::Stale => "This page is out of date",
            Kind::TooMany => "One moment, please",
            Kind::Upstream => "Your organization’s sign-in didn’t answer",
            Kind::Unavailable => "We’ll be right back",
            Kind::Bug => "Something went wrong",
        };
        Self {
            title: title.into(),
            message: error.message().to_owned(),
            help: error.next_step().map(str::to_owned),
            code: error.code().to_owned(),
            request_id: request_id.into(),
            retry_href: None,
            app_name: None,
        }
    }

    /// With a way to begin again.
    #[must_use]
    pub fn retry(mut self, href: impl Into<String>) -> Self {
        self.retry_href = Some(href.into());
        self
    }

    /// With the app that the person comes from.
    #[must_use]
    pub fn app(mut self, name: impl Into<String>) -> Self {
        self.app_name = Some(name.into());
        self
    }
}

/// A link with a line about where it leads.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// A few words.
    pub label: String,
    /// A path of this site, or an http(s) address.
    pub href: String,
    /// What is there.
    pub note: String,
}

/// The page at `/`: authd runs, and where its public documents are. Nothing of what it keeps.
#[derive(Template, Clone, Debug)]
#[template(path = "root.html", config = "assets/pages/askama.toml")]
pub struct Root {
    /// The address that apps use as the issuer.
    pub issuer: String,
    /// The public documents.
    pub links: Vec<Link>,
}

impl Root {
    /// The page with the documents that every authd serves.
    pub fn new(issuer: impl Into<String>) -> Self {
        let link =
            |label: &str, href: &str, note: &str| Link { label: label.into(), href: href.into(), note: note.into() };
        Self {
            issuer: issuer.into(),
            links: vec![
                link("Your account", "/signin", "Sign in, see your session, sign out"),
                link("OpenID discovery", "/.well-known/openid-configuration", "Endpoints and keys, for apps"),
                link("API description", "/openapi.json", "OpenAPI 3.1, for scripts"),
            ],
        }
    }
}

renders!(Failure, Root);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::codes;

    #[test]
    fn a_failure_shows_code_and_request_and_never_the_source() {
        let error = Error::new(&codes::STORAGE_ERROR).because("EIO on /var/lib/authd/authd.redb");
        let html = Failure::from_error(&error, "req_1").render();
        assert!(html.contains("storage_error") && html.contains("req_1"));
        assert!(!html.contains("EIO"));
    }

    #[test]
    fn refused_sign_ins_differ_in_code_and_id_alone() {
        let one = Failure::refused("nonce_mismatch", "req_1").render();
        let other = Failure::refused("token_audience", "req_2").render();
        assert_eq!(one.replace("nonce_mismatch", "token_audience").replace("req_1", "req_2"), other);
    }
}
