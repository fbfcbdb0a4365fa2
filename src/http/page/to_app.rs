//! The pages between a sign-in and an app: what the app asks for, and the form that carries the answer to it.

use askama::Template;

use super::display::filters;
use super::renders;

/// One thing that an app asks for, in words.
#[derive(Clone, Debug, Default)]
pub struct AskedFor {
    /// What it may do.
    pub title: String,
    /// What that means; empty where the title says it all.
    pub note: String,
}

/// Asks whether an app may know the person and act for them.
#[derive(Template, Clone, Default)]
#[template(path = "consent.html", config = "assets/pages/askama.toml")]
pub struct ConsentPage {
    /// Where the form is posted to: a path of this site.
    pub action: String,
    /// The hidden `attempt` field.
    pub attempt: String,
    /// The app that asks.
    pub app_name: String,
    /// It is somebody else's, and not the organization's own.
    pub third_party: bool,
    /// Where the person goes back to: the host of the return address.
    pub returns_to: String,
    /// The person's name; empty where the provider told none.
    pub name: String,
    /// The person's e-mail address; empty where there is none.
    pub email: String,
    /// The organization of the session.
    pub organization: String,
    /// What the app asks for.
    pub items: Vec<AskedFor>,
    /// The same sign-in as somebody else; none where only the app can start it.
    pub another_href: Option<String>,
    /// The id of this request.
    pub request_id: String,
}

/// Carries an answer to an app in a form. It is sent by itself where scripts run, and by its button elsewhere.
#[derive(Template, Clone, Default)]
#[template(path = "form_post.html", config = "assets/pages/askama.toml")]
pub struct FormPost {
    /// The return address.
    pub action: String,
    /// What is sent: names and values.
    pub fields: Vec<(String, String)>,
    /// The id of this request.
    pub request_id: String,
}

renders!(ConsentPage, FormPost);
