//! What kind of request it is: few enough words that each may be measured apart.

use axum::http::StatusCode;

/// The first part of a path that is known tells the class; a public URL with a path may stand before it.
const CLASSES: &[(&str, &str)] = &[
    (".well-known", "discovery"),
    ("v1", "api"),
    ("openapi.json", "api"),
    ("live", "api"),
    ("scim", "scim"),
    ("signin", "signin"),
    ("device", "signin"),
    ("logout", "logout"),
    ("userinfo", "userinfo"),
    ("healthz", "health"),
    ("readyz", "health"),
    ("metrics", "metrics"),
    ("static", "static"),
];
/// What follows `oauth2`.
const OAUTH: &[(&str, &str)] = &[
    ("authorize", "authorize"),
    ("token", "token"),
    ("jwks", "discovery"),
    ("userinfo", "userinfo"),
    ("introspect", "token"),
    ("revoke", "token"),
    ("par", "token"),
    ("device_authorization", "token"),
    ("logout", "logout"),
];
/// What follows the connection's id.
const CONNECTION: &[(&str, &str)] =
    &[("scim", "scim"), ("oidc", "callback"), ("saml", "callback"), ("ldap", "callback")];
/// No path that is known has more parts before its class.
const PARTS: usize = 8;

fn word(list: &'static [(&'static str, &'static str)], part: &str) -> Option<&'static str> {
    list.iter().find(|(name, _)| *name == part).map(|(_, class)| *class)
}

/// The class of a path: one of a closed list.
pub(super) fn route(path: &str) -> &'static str {
    let mut parts = path.split('/').skip(1).take(PARTS);
    while let Some(part) = parts.next() {
        match part {
            "oauth2" => return parts.next().and_then(|part| word(OAUTH, part)).unwrap_or("other"),
            "connections" => return parts.nth(1).and_then(|part| word(CONNECTION, part)).unwrap_or("other"),
            _ => {
                if let Some(class) = word(CLASSES, part) {
                    return class;
                }
            }
        }
    }
    "other"
}

/// The class of a status. Too many requests have one of their own: they tell of the client, not of the answer.
pub(super) fn status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        429 => "429",
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_class_whatever_stands_before_it() {
        for (path, class) in [
            ("/", "other"),
            ("", "other"),
            ("/v1/organizations/org_1", "api"),
            ("/oauth2/token", "token"),
            ("/oauth2/authorize", "authorize"),
            ("/oauth2/nothing", "other"),
            ("/oauth2", "other"),
            ("/.well-known/openid-configuration", "discovery"),
            ("/sso/.well-known/openid-configuration", "discovery"),
            ("/connections/conn_1/oidc/callback", "callback"),
            ("/connections/conn_1/scim/v2/Users", "scim"),
            ("/connections/conn_1", "other"),
            ("/sso/connections/conn_1/saml/acs", "callback"),
            ("/a/b/c/d/e/f/g/h/i/v1", "other"),
            ("/scim/v2/Users/v1", "scim"),
        ] {
            assert_eq!(route(path), class, "{path}");
        }
    }

    #[test]
    fn a_status_has_one_class() {
        for (code, class) in [(200, "2xx"), (303, "3xx"), (404, "4xx"), (429, "429"), (503, "5xx"), (999, "5xx")] {
            assert_eq!(status(StatusCode::from_u16(code).unwrap()), class);
        }
    }
}
