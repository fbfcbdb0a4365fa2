//! # page — what a person sees in a browser
//!
//! *Owns* the look and the words of every page, and the embedded style sheets and pictures.
//! *Gives* one struct a page, with public fields and `render()`; `asset` and `asset_url` for `/static/…`.
//! *Needs* `Env`'s timestamps and `Error`, nothing else. *Never* runs a script, sends a header, reads a store.
//!
//! Templates are in `assets/pages`, compiled in. Every expression is written by `display::Visible`. There is no
//! JavaScript and no inline style, so that `headers::page_policy` holds on every page as it stands. The one script there
//! is (`reply::form_post`) presses a button that a person can press as well.
//! A new page extends `layout.html` (or `demo.html`) and fills its blocks `title`, `steps`, `main`.

mod account;
mod asset;
mod demo;
mod device;
pub mod display;
mod failure;
mod simulator;
mod to_app;
mod visitor;

pub use account::{Account, AccountApp, AccountConsent, AccountSession};
pub use asset::{ASSET_CACHE, asset, asset_names, asset_url};
pub use demo::{Check, Claim, DemoHome, DemoToken};
pub use device::{DeviceConfirm, DeviceDone, DeviceEnter};
pub use failure::{Failure, Link, Root};
pub use simulator::{Fault, Hidden, People, Person};
pub use to_app::{AskedFor, ConsentPage, FormPost};
pub use visitor::{
    BreakGlassConfirm, Choice, ChooseConnection, ConfirmSignOut, NoConnection, Password, SignIn, SignedOut,
};

/// The names of the form fields that pages send.
pub mod field {
    /// The e-mail address of the first page.
    pub const EMAIL: &str = "email";
    /// The sign-in attempt that a form belongs to.
    pub const ATTEMPT: &str = "attempt";
    /// The name of the account, typed.
    pub const USERNAME: &str = "username";
    /// The password, typed.
    pub const PASSWORD: &str = "password";
    /// The id of the chosen connection.
    pub const CONNECTION: &str = "connection";
    /// The code that a person carries from a device.
    pub const USER_CODE: &str = "user_code";
    /// What the person decided about a device, or says to an app's question: `allow` or `deny`.
    pub const DECISION: &str = "decision";
    /// The session to end.
    pub const SESSION: &str = "session";
    /// The app whose access ends.
    pub const APP: &str = "app";
    /// The person chosen at the test identity provider.
    pub const PERSON: &str = "person";
    /// The fault chosen at the test identity provider.
    pub const FAULT: &str = "fault";
}

/// A sentence about what was entered, and what to do about it.
#[derive(Clone, Debug, Default)]
pub struct Notice {
    /// What is wrong, in one sentence.
    pub message: String,
    /// The next step.
    pub help: Option<String>,
}

impl From<&crate::error::Error> for Notice {
    fn from(error: &crate::error::Error) -> Self {
        Self { message: error.message().to_owned(), help: error.next_step().map(str::to_owned) }
    }
}

/// Gives a template an infallible `render`.
macro_rules! renders {
    ($($page:ty),+ $(,)?) => {$(
        impl $page {
            /// The whole HTML document.
            pub fn render(&self) -> String {
                // Writing to a `String` cannot fail, and no filter does; were it to, half a page helps nobody.
                askama::Template::render(self).unwrap_or_else(|_| crate::http::page::NOT_RENDERED.to_owned())
            }
        }
    )+};
}
use renders;

const NOT_RENDERED: &str = "<!doctype html><html lang=\"en\"><title>Something went wrong</title>\
    <h1>Something went wrong on our side.</h1><p>Please try again.</p></html>";
