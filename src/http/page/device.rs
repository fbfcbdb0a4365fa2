//! The pages of a person who lets an app in on a device.

use askama::Template;

use super::display::filters;
use super::{Notice, renders};
use crate::env::Timestamp;

/// Asks for the code that the device shows.
#[derive(Template, Clone, Default)]
#[template(path = "device_enter.html", config = "assets/pages/askama.toml")]
pub struct DeviceEnter {
    /// Where the form is posted to: a path of this site.
    pub action: String,
    /// What stands in the field already: the code of the device's link, or what was entered before.
    pub user_code: String,
    /// What was wrong with the code.
    pub error: Option<Notice>,
    /// The id of this request.
    pub request_id: String,
}

/// Asks whether the app may in, and says who asked from where.
#[derive(Template, Clone)]
#[template(path = "device_confirm.html", config = "assets/pages/askama.toml")]
pub struct DeviceConfirm {
    /// Where the form is posted to: a path of this site.
    pub action: String,
    /// The hidden `attempt` field.
    pub attempt: String,
    /// The app on the device.
    pub app_name: String,
    /// What the device calls itself.
    pub device: Option<String>,
    /// From which address it asked.
    pub ip: Option<String>,
    /// That is another address than this browser's.
    pub elsewhere: bool,
    /// When it asked.
    pub asked_at: Timestamp,
    /// What it asks for.
    pub scope: Vec<String>,
    /// Who would be signed in there.
    pub email: String,
    /// In which organization.
    pub organization: String,
    /// The id of this request.
    pub request_id: String,
}

impl DeviceConfirm {
    /// What a scope means to a person; a scope of an app's own API stands as it is.
    fn meaning<'a>(&self, scope: &'a str) -> &'a str {
        match scope {
            "openid" => "Know who you are",
            "profile" => "See your name and picture",
            "email" => "See your e-mail address",
            "groups" => "See the groups you are in",
            "offline_access" => "Stay signed in when you sign out here",
            other => other,
        }
    }
}

/// Says what was decided.
#[derive(Template, Clone, Default)]
#[template(path = "device_done.html", config = "assets/pages/askama.toml")]
pub struct DeviceDone {
    /// The app on the device.
    pub app_name: String,
    /// It was let in.
    pub allowed: bool,
    /// The id of this request.
    pub request_id: String,
}

renders!(DeviceEnter, DeviceConfirm, DeviceDone);
