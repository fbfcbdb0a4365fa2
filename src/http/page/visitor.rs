//! The pages of a person who signs in: first the e-mail address, then which way to go, and what holds now.

use askama::Template;

use super::display::filters;
use super::{Notice, renders};
use crate::env::Timestamp;

/// The first page of a sign-in: "Continue to the app", asking for nothing but the e-mail address.
#[derive(Template, Clone, Default)]
#[template(path = "sign_in.html", config = "assets/pages/askama.toml")]
pub struct SignIn {
    /// Where the form is posted to: a path of this site.
    pub action: String,
    /// The hidden `attempt` field.
    pub attempt: String,
    /// The app that the person comes from; none when the sign-in began here.
    pub app_name: Option<String>,
    /// What stands in the field already: a `login_hint`, or what was entered before.
    pub email: String,
    /// What was wrong with the address that was entered.
    pub error: Option<Notice>,
    /// The id of this request.
    pub request_id: String,
}

/// One way to go on `ChooseConnection`.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The value posted as `connection`.
    pub value: String,
    /// What the connection is called.
    pub label: String,
    /// The organization it belongs to.
    pub organization: String,
}

/// Asks which connection to take, where one address may go several ways.
#[derive(Template, Clone, Default)]
#[template(path = "choose_connection.html", config = "assets/pages/askama.toml")]
pub struct ChooseConnection {
    /// Where the form is posted to: a path of this site.
    pub action: String,
    /// The hidden `attempt` field.
    pub attempt: String,
    /// The app that the person comes from.
    pub app_name: Option<String>,
    /// The address that was entered; empty where none was.
    pub email: String,
    /// The ways to go, in order.
    pub items: Vec<Choice>,
    /// Back to the page for the address.
    pub back_href: Option<String>,
    /// The id of this request.
    pub request_id: String,
}

/// Asks for name and password, where the organization's provider is a directory.
#[derive(Template, Clone, Default)]
#[template(path = "password.html", config = "assets/pages/askama.toml")]
pub struct Password {
    /// Where the form is posted to: a path of this site.
    pub action: String,
    /// The hidden `attempt` field.
    pub attempt: String,
    /// The app that the person comes from.
    pub app_name: Option<String>,
    /// The organization whose account it is.
    pub organization: String,
    /// What the connection is called.
    pub connection: String,
    /// What stands in the field of the name already.
    pub username: String,
    /// What was wrong with what was entered: one sentence, whatever it was.
    pub error: Option<Notice>,
    /// The stable code of it.
    pub code: String,
    /// The page for the address.
    pub back_href: Option<String>,
    /// The id of this request.
    pub request_id: String,
}

/// Says that no connection serves the domain of the address, and offers another try.
#[derive(Template, Clone, Default)]
#[template(path = "no_connection.html", config = "assets/pages/askama.toml")]
pub struct NoConnection {
    /// The domain of the address.
    pub domain: String,
    /// The app that the person comes from.
    pub app_name: Option<String>,
    /// The page for the address, of the same attempt.
    pub retry_href: String,
    /// The id of this request.
    pub request_id: String,
}

/// Says that the session has ended.
#[derive(Template, Clone, Default)]
#[template(path = "signed_out.html", config = "assets/pages/askama.toml")]
pub struct SignedOut {
    /// The app that the person was in.
    pub app_name: Option<String>,
    /// Back to the app.
    pub return_href: Option<String>,
    /// Sign in again.
    pub sign_in_href: Option<String>,
    /// Pages of apps that end their own sessions when they are opened.
    pub frames: Vec<String>,
    /// The id of this request.
    pub request_id: String,
}

/// Asks whether the person wants to sign out, where an app says so without proof.
#[derive(Template, Clone, Default)]
#[template(path = "confirm_sign_out.html", config = "assets/pages/askama.toml")]
pub struct ConfirmSignOut {
    /// Where the form is posted to: a path of this site.
    pub action: String,
    /// The hidden `attempt` field.
    pub attempt: String,
    /// The app that asks.
    pub app_name: Option<String>,
    /// Who is signed in.
    pub email: String,
    /// Where.
    pub organization: String,
    /// Where the person goes who stays: a path of this site.
    pub stay_href: String,
    /// The id of this request.
    pub request_id: String,
}

/// Asks somebody who opened the operator's link whether to come in by it.
#[derive(Template, Clone)]
#[template(path = "break_glass.html", config = "assets/pages/askama.toml")]
pub struct BreakGlassConfirm {
    /// Where the form is posted to: a path of this site.
    pub action: String,
    /// The hidden `attempt` field.
    pub attempt: String,
    /// Whom the link is for.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Where.
    pub organization: String,
    /// Why the operator made it.
    pub reason: String,
    /// Until when the link works.
    pub until: Timestamp,
    /// So many minutes the session lasts.
    pub minutes: u64,
    /// The id of this request.
    pub request_id: String,
}

renders!(SignIn, ChooseConnection, Password, NoConnection, SignedOut, ConfirmSignOut, BreakGlassConfirm);
