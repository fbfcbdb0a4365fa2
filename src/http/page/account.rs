//! The person's own page: who they are, where they are signed in, which apps act in their name.

use askama::Template;

use super::display::filters;
use super::renders;
use crate::env::Timestamp;

/// Who is signed in here: the page at `/signin` for a person with a session and without an app.
#[derive(Template, Clone)]
#[template(path = "account.html", config = "assets/pages/askama.toml")]
pub struct Account {
    /// The person's name; empty where the provider told none.
    pub name: String,
    /// The person's e-mail address.
    pub email: String,
    /// The organization of the session.
    pub organization: String,
    /// The connection that the person came through.
    pub connection: Option<String>,
    /// When the session began.
    pub since: Timestamp,
    /// When it ends at the latest.
    pub until: Option<Timestamp>,
    /// The person's sessions, this one first.
    pub sessions: Vec<AccountSession>,
    /// There are others than this one.
    pub others: bool,
    /// The apps that can act in the person's name.
    pub apps: Vec<AccountApp>,
    /// What the person has agreed to.
    pub consents: Vec<AccountConsent>,
    /// Where the sign-out form is posted to: a path of this site.
    pub sign_out_action: String,
    /// Where the form is posted to that ends one session.
    pub end_session_action: String,
    /// Where the form is posted to that ends all others.
    pub end_others_action: String,
    /// Where the form is posted to that ends an app's access.
    pub end_app_action: String,
    /// Where the form is posted to that withdraws what was agreed to.
    pub end_consent_action: String,
    /// The id of this request.
    pub request_id: String,
}

/// One session on `Account`.
#[derive(Clone, Debug)]
pub struct AccountSession {
    /// The value posted as `session`.
    pub id: String,
    /// It is the one that the page is looked at in.
    pub here: bool,
    /// What the browser called itself.
    pub browser: Option<String>,
    /// From which address it was opened.
    pub ip: Option<String>,
    /// Through which connection.
    pub connection: Option<String>,
    /// When it began.
    pub since: Timestamp,
    /// When it was last used.
    pub last_used: Timestamp,
    /// The apps that were entered with it.
    pub apps: Vec<String>,
}

/// One app on `Account`.
#[derive(Clone, Debug)]
pub struct AccountApp {
    /// The value posted as `app`.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// It may go on when the person has signed out.
    pub offline: bool,
    /// Since when.
    pub since: Timestamp,
    /// Until when, if nothing is renewed.
    pub until: Timestamp,
    /// What it was granted.
    pub scope: Vec<String>,
}

/// What the person has agreed to with one app, on `Account`.
#[derive(Clone, Debug)]
pub struct AccountConsent {
    /// The value posted as `app`.
    pub id: String,
    /// What the app is called.
    pub name: String,
    /// What it may know and do.
    pub scope: Vec<String>,
    /// When the person agreed first.
    pub since: Timestamp,
    /// When the person agreed last.
    pub updated: Timestamp,
}

renders!(Account);
