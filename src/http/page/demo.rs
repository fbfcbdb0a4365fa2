//! The sample app's own pages: what a product that signs people in through authd could look like.

use askama::Template;

use super::display::filters;
use super::renders;

/// The sample app before anybody signed in.
#[derive(Template, Clone, Debug, Default)]
#[template(path = "demo_home.html", config = "assets/pages/askama.toml")]
pub struct DemoHome {
    /// What the app is called.
    pub app_name: String,
    /// The organization whose people can sign in.
    pub organization: String,
    /// An address to try; empty where there is none.
    pub try_email: String,
    /// Begins the sign-in.
    pub sign_in_href: String,
    /// What went wrong last time.
    pub error: Option<super::Notice>,
}

/// A row of the table of claims.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// The claim's name, as it stands in the token.
    pub name: String,
    /// Its value; JSON where it is not a string.
    pub value: String,
    /// What it means, in a line.
    pub meaning: String,
}

/// One thing that the app looked at before it believed the token.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was expected or found.
    pub detail: String,
}

/// The sample app with somebody in it: the token that it holds, verified and decoded.
#[derive(Template, Clone, Default)]
#[template(path = "demo_token.html", config = "assets/pages/askama.toml")]
pub struct DemoToken {
    /// What the app is called.
    pub app_name: String,
    /// The person's name; empty where the token tells none.
    pub name: String,
    /// The person's e-mail address.
    pub email: String,
    /// What was verified, in order.
    pub checks: Vec<Check>,
    /// The claims, in the token's order.
    pub claims: Vec<Claim>,
    /// The token's header, indented JSON.
    pub header_json: String,
    /// The token's payload, indented JSON.
    pub payload_json: String,
    /// The token as it came.
    pub token: String,
    /// Signs in once more.
    pub again_href: String,
    /// Ends the session of the app and of authd.
    pub sign_out_href: Option<String>,
}

impl DemoToken {
    /// Header, payload and signature; what is missing is empty.
    fn parts(&self) -> [&str; 3] {
        let mut parts = self.token.splitn(3, '.');
        std::array::from_fn(|_| parts.next().unwrap_or_default())
    }

    fn verified(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.ok)
    }
}

renders!(DemoHome, DemoToken);
