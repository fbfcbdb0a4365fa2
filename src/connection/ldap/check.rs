//! What can be told to be wrong with a configuration without asking anybody.

use super::config::{BindMode, Config, GroupMode};
use super::dn::Dn;
use super::url::Target;
use super::{filter, tls};
use crate::error::{Error, Result, codes};

const MAX_TEXT: usize = 1024;
const MAX_PEM: usize = 64 * 1024;
const MAX_URLS: usize = 8;
/// What no profile may hold (LDAP-10), also where the account of authd may read it.
const SECRETS: &[&str] = &[
    "userPassword",
    "authPassword",
    "unicodePwd",
    "dBCSPwd",
    "ntPwdHistory",
    "lmPwdHistory",
    "supplementalCredentials",
    "sambaNTPassword",
    "sambaLMPassword",
    "sambaPasswordHistory",
    "krbPrincipalKey",
    "krbMKey",
    "ipaNTHash",
    "ipatokenOTPkey",
    "pwdHistory",
    "passwordHistory",
    "ms-Mcs-AdmPwd",
    "msLAPS-Password",
    "msDS-ManagedPassword",
    "msDS-KeyCredentialLink",
    "olcRootPW",
    "2.5.4.35",
];

fn wrong(field: &str, why: &str) -> Error {
    Error::says(&codes::INVALID_INPUT, format!("`{field}` cannot be used: {why}."))
}

fn missing(what: &str) -> Error {
    Error::says(&codes::CONNECTION_NOT_READY, format!("The connection has no {what}."))
        .help("Set it with `authd connection set-ldap`.")
}

impl Config {
    /// What is wrong with it as it stands, whether complete or not. Errors: `invalid_input`, `config_invalid`.
    pub fn check(&self) -> Result<()> {
        if self.servers.urls.len() > MAX_URLS {
            return Err(wrong("servers.urls", "there are more than 8"));
        }
        for text in &self.servers.urls {
            let target = Target::parse(text)?;
            if !target.ldaps && !target.is_loopback() && self.servers.start_tls == Some(false) {
                return Err(Error::says(
                    &codes::CONFIG_INVALID,
                    "A directory is asked without encryption on this machine only.",
                )
                .help("Leave `servers.startTls` out, or use `ldaps://`."));
            }
        }
        if let Some(pem) = &self.servers.ca_certificates {
            if pem.len() > MAX_PEM {
                return Err(wrong("servers.caCertificates", "it has more than 64 KiB"));
            }
            tls::certificates(pem)?;
        }
        for (field, name) in [("users.base", &self.users.base), ("groups.base", &self.groups.base)] {
            if let Some(name) = name
                && Dn::parse(name).is_none_or(|dn| dn.is_root())
            {
                return Err(wrong(field, "it is no distinguished name, as `ou=people,dc=example,dc=com` is one"));
            }
        }
        self.check_bind()?;
        template("users.filter", self.users.filter.as_deref(), filter::PERSON)?;
        template("groups.filter", self.groups.filter.as_deref(), filter::GROUP)?;
        self.check_attributes()?;
        if self.sync.every_minutes.is_some_and(|minutes| !(5..=10_080).contains(&minutes)) {
            return Err(wrong("sync.everyMinutes", "it is between 5 and 10080"));
        }
        Ok(())
    }

    fn check_bind(&self) -> Result<()> {
        if let Some(name) = &self.bind.dn {
            // Active Directory also takes `account@domain` and `DOMAIN\account` here.
            plain("bind.dn", name)?;
        }
        let Some(template) = &self.bind.user_dn_template else { return Ok(()) };
        plain("bind.userDnTemplate", template)?;
        let typed = "a";
        let named = filter::name(template, typed, str::to_owned);
        let fits = filter::places(template).is_some_and(|places| places == ["username"]);
        let Some(named) = named.filter(|_| fits) else {
            return Err(wrong("bind.userDnTemplate", "it needs exactly one place for what is typed, `{{username}}`"));
        };
        if named.contains('=') && Dn::parse(&named).is_none_or(|dn| dn.is_root()) {
            return Err(wrong("bind.userDnTemplate", "it is no distinguished name"));
        }
        Ok(())
    }

    fn check_attributes(&self) -> Result<()> {
        let mapping = &self.profile.mapping;
        let named = [
            ("profile.mapping.subject", &mapping.subject),
            ("profile.mapping.username", &mapping.username),
            ("profile.mapping.email", &mapping.email),
            ("profile.mapping.name", &mapping.name),
            ("profile.mapping.givenName", &mapping.given_name),
            ("profile.mapping.familyName", &mapping.family_name),
            ("profile.mapping.image", &mapping.image),
            ("profile.mapping.groups", &mapping.groups),
            ("profile.mapping.roles", &mapping.roles),
            ("groups.nameAttribute", &self.groups.name_attribute),
        ];
        for (field, name) in named.into_iter().filter_map(|(field, name)| Some((field, name.as_ref()?))) {
            attribute(field, name)?;
        }
        if mapping.subject.as_deref().is_some_and(|name| {
            ["dn", "mail", "distinguishedName", "cn"].iter().any(|known| known.eq_ignore_ascii_case(name))
        }) {
            return Err(wrong(
                "profile.mapping.subject",
                "that changes when somebody moves or marries; name an attribute that never does",
            ));
        }
        if self.profile.extra_fields.len() > 32 {
            return Err(wrong("profile.extraFields", "there are more than 32"));
        }
        for (field, name) in &self.profile.extra_fields {
            plain("profile.extraFields", field)?;
            attribute("profile.extraFields", name)?;
        }
        Ok(())
    }

    /// Whether everything is set that a sign-in needs. Errors: `connection_not_ready`, naming what is missing.
    pub fn ready(&self) -> Result<()> {
        if self.servers.urls.is_empty() {
            return Err(missing("URL of its directory (`servers.urls`)"));
        }
        if self.users.base.is_none() {
            return Err(missing("base of the search for people (`users.base`)"));
        }
        match self.mode() {
            BindMode::Service if self.bind.dn.is_none() => return Err(missing("account to search with (`bind.dn`)")),
            BindMode::Service if self.bind.password.is_none() => {
                return Err(missing("password of the account that it searches with (`bind.password`)"));
            }
            BindMode::Direct if self.bind.user_dn_template.is_none() => {
                return Err(missing("template of the name that people bind by (`bind.userDnTemplate`)"));
            }
            _ => {}
        }
        if self.group_mode() == GroupMode::Search && self.groups.base.is_none() {
            return Err(missing("base of the search for groups (`groups.base`)"));
        }
        Ok(())
    }
}

fn plain(field: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
        return Err(wrong(field, "it has 1 to 1024 bytes, and no control characters"));
    }
    Ok(())
}

/// RFC 4512 §2.5; options are not for us.
fn attribute(field: &str, name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if name.is_empty() || name.len() > 128 || !name.bytes().all(fits) {
        return Err(wrong(field, "that is no name of an attribute"));
    }
    if SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(name)) {
        return Err(wrong(field, "that attribute holds a password, or what one can be found from"));
    }
    Ok(())
}

/// A filter with places: each of them known, one of them there, and a filter once they are filled.
fn template(field: &str, text: Option<&str>, known: &[&str]) -> Result<()> {
    let Some(text) = text else { return Ok(()) };
    plain(field, text)?;
    let places = filter::places(text).ok_or_else(|| wrong(field, "a place `{{…}}` does not close"))?;
    if places.is_empty() || places.iter().any(|place| !known.contains(place)) {
        let names = known.iter().map(|name| format!("`{{{{{name}}}}}`")).collect::<Vec<_>>().join(" or ");
        return Err(wrong(field, &format!("it needs a place for a value, {names}, and has no other")));
    }
    if !filter::holds_values(text) {
        return Err(wrong(field, "a place stands for a value, after `=`: what is typed must not name an attribute"));
    }
    let filled = filter::fill(text, &filter::Values { username: "a", email: "a", dn: "cn=a" }).unwrap_or_default();
    let depth = text.bytes().filter(|byte| *byte == b'(').count();
    if depth > 64 || ldap3::parse_filter(&filled).is_err() {
        return Err(wrong(field, "it is no LDAP filter (RFC 4515), as `(uid={{username}})` is one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Config {
        let mut config = Config::default();
        config.servers.urls = vec!["ldaps://dc1.corp.example".into()];
        config.users.base = Some("ou=people,dc=corp,dc=example".into());
        config
    }

    fn refuses(change: impl FnOnce(&mut Config)) -> &'static str {
        let mut config = complete();
        change(&mut config);
        config.check().map_or_else(|error| error.code(), |()| "ok")
    }

    #[test]
    fn a_configuration_is_checked_before_anybody_is_asked() {
        assert_eq!(refuses(|_| {}), "ok");
        assert_eq!(refuses(|c| c.users.base = Some("people".into())), "invalid_input");
        assert_eq!(refuses(|c| c.users.filter = Some("(uid={{username}}".into())), "invalid_input");
        assert_eq!(refuses(|c| c.users.filter = Some("(uid=ada)".into())), "invalid_input");
        assert_eq!(refuses(|c| c.users.filter = Some("(uid={{dn}})".into())), "invalid_input");
        assert_eq!(refuses(|c| c.users.filter = Some("(&(uid={{username}})(a=b))".into())), "ok");
        assert_eq!(refuses(|c| c.groups.filter = Some("(memberUid={{username}})".into())), "ok");
        assert_eq!(refuses(|c| c.bind.user_dn_template = Some("ou=x,dc=y".into())), "invalid_input");
        assert_eq!(refuses(|c| c.bind.user_dn_template = Some("{{username}}@corp.example".into())), "ok");
        assert_eq!(refuses(|c| c.bind.user_dn_template = Some("uid={{username}},ou=x,dc=y".into())), "ok");
        assert_eq!(refuses(|c| c.profile.mapping.subject = Some("mail".into())), "invalid_input");
        assert_eq!(refuses(|c| c.profile.mapping.email = Some("mail;x".into())), "invalid_input");
        assert_eq!(refuses(|c| c.servers.ca_certificates = Some("nonsense".into())), "invalid_input");
        assert_eq!(refuses(|c| c.sync.every_minutes = Some(1)), "invalid_input");
    }

    #[test]
    fn ldap_04_plain_is_for_this_machine_alone() {
        let plain = |url: &str| {
            refuses(|config| {
                config.servers.urls = vec![url.into()];
                config.servers.start_tls = Some(false);
            })
        };
        assert_eq!(plain("ldap://dc1.corp.example"), "config_invalid");
        assert_eq!(plain("ldap://10.0.0.1"), "config_invalid");
        assert_eq!(plain("ldap://127.0.0.1:3389"), "ok");
        assert_eq!(plain("ldaps://dc1.corp.example"), "ok");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(complete().ready().is_ok());
        let mut config = complete();
        config.bind.dn = Some("cn=svc".into());
        assert!(config.ready().unwrap_err().message().contains("bind.password"));
        config.bind.mode = Some(BindMode::Direct);
        assert!(config.ready().unwrap_err().message().contains("userDnTemplate"));
        config = complete();
        config.groups.mode = Some(GroupMode::Search);
        assert!(config.ready().unwrap_err().message().contains("groups.base"));
        assert!(Config::default().ready().unwrap_err().message().contains("servers.urls"));
    }

    #[test]
    fn the_filters_of_every_preset_are_filters() {
        use super::super::config::Preset::{ActiveDirectory, Ds389, Freeipa, Lldap, Openldap};
        for preset in [Openldap, ActiveDirectory, Freeipa, Ds389, Lldap] {
            let config = Config { preset: Some(preset), ..complete() };
            template("filter", Some(config.filter()), filter::PERSON).unwrap();
            template("filter", Some(config.group_filter()), filter::GROUP).unwrap();
            template("filter", config.defaults().in_chain, filter::GROUP).unwrap();
            assert!(ldap3::parse_filter(filter::anybody(config.filter()).unwrap()).is_ok());
        }
    }
}
