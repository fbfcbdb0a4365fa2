//! A connection in the SDK's words, and its settings in authd's.

use serde_json::{Map, Value, json};

use super::body::Body;
use crate::compat::text;
use crate::error::{Error, Result, codes};

/// The words for where a connection is in its life.
pub(super) const STATUSES: &[&str] = &["active", "inactive", "testing"];
pub(super) const PROTOCOLS: &[&str] = &["oidc", "saml", "ldap"];
const OIDC: &[&str] = &["issuerUrl", "clientId", "clientSecret"];
const SAML: &[&str] =
    &["idpEntityId", "idpSsoUrl", "idpCertificate", "metadataUrl", "metadataXml", "spEntityId", "spAcsUrl"];
const LDAP: &[&str] = &[
    "ldapUrl",
    "ldapBindDn",
    "ldapBindPassword",
    "ldapSearchBase",
    "ldapSearchFilter",
    "ldapGroupSearchBase",
    "ldapGroupSearchFilter",
    "ldapTlsEnabled",
];
/// The fields of a person that each protocol fills.
const FIELDS: &[(&str, &[&str])] = &[
    ("oidc", &["subject", "email", "emailVerified", "name", "givenName", "familyName", "image", "groups", "roles"]),
    ("saml", &["subject", "email", "name", "firstName", "lastName", "image", "groups", "roles"]),
    ("ldap", &["subject", "username", "email", "name", "givenName", "familyName", "image", "groups", "roles"]),
];
/// Whom a typed name means, unless it is said.
const USER_FILTER: &str = "(uid={{username}})";
/// Whose member somebody is, unless it is said.
const GROUP_FILTER: &str = "(member={{dn}})";

fn at<'v>(view: &'v Value, path: &str) -> &'v Value {
    view.pointer(path).unwrap_or(&Value::Null)
}

/// What stands for each field of a person, in the SDK's words. Groups have a field of their own there.
fn attributes(profile: &Value) -> Value {
    let of = |name: &str| profile[name].as_object().cloned().unwrap_or_default();
    let known = of("mapping").into_iter().filter(|(name, _)| name != "groups");
    let known = known.map(|(name, value)| match name.as_str() {
        "givenName" => ("firstName".to_owned(), value),
        "familyName" => ("lastName".to_owned(), value),
        _ => (name, value),
    });
    Value::Object(known.chain(of("extraFields")).collect())
}

/// The certificates of a provider as PEM, one after the other; `null` where there is none.
fn certificates(all: &Value) -> Value {
    let all: String = all.as_array().into_iter().flatten().map(|one| text(one, "pem")).collect();
    if all.is_empty() { Value::Null } else { all.into() }
}

/// A connection as the SDK reads it.
pub(super) fn connection(view: &Value) -> Value {
    let protocol = text(view, "protocol");
    let status = match text(view, "status") {
        "active" => "active",
        "disabled" => "inactive",
        _ => "testing",
    };
    let domains: Vec<&str> =
        view["domains"].as_array().map(|all| all.iter().map(|one| text(one, "domain")).collect()).unwrap_or_default();
    let profile = at(view, &format!("/{protocol}/profile"));
    let mut shown = json!({
        "id": view["id"],
        "developerId": view["organization"],
        "name": view["name"],
        "protocol": protocol,
        "status": status,
        "domains": domains,
        "jitProvisioning": view["jit"].as_bool().unwrap_or(false),
        "defaultRole": view["defaultRole"],
        "enforce": view["enforced"].as_bool().unwrap_or(false),
        "groupAttribute": at(profile, "/mapping/groups"),
        "groupMappings": match &view["scopeMapping"] { Value::Null => json!({}), kept => kept.clone() },
        "defaultScopes": match &view["defaultScopes"] { Value::Null => json!([]), kept => kept.clone() },
        "attributeMapping": attributes(profile),
        "callbackUrls": match &view["callbackUrls"] { Value::Null => json!([]), kept => kept.clone() },
        "createdAt": view["createdAt"],
        "updatedAt": view["updatedAt"],
    });
    let own = match protocol {
        "oidc" => json!({
            "issuerUrl": at(view, "/oidc/discovery/issuer"),
            "clientId": at(view, "/oidc/client/id"),
        }),
        "saml" => json!({
            "idpEntityId": at(view, "/saml/identityProvider/entityId"),
            "idpSsoUrl": at(view, "/saml/identityProvider/ssoUrl"),
            "idpCertificate": certificates(at(view, "/saml/identityProvider/certificates")),
            "metadataUrl": at(view, "/saml/metadataUrl"),
            "spEntityId": at(view, "/saml/serviceProvider/entityId"),
            "spAcsUrl": at(view, "/saml/serviceProvider/acsUrl"),
        }),
        _ => {
            let urls = at(view, "/ldap/servers/urls").as_array().cloned().unwrap_or_default();
            let urls: Vec<&str> = urls.iter().filter_map(Value::as_str).collect();
            json!({
                "ldapUrl": urls.join(" "),
                "ldapBindDn": at(view, "/ldap/bind/dn"),
                "ldapSearchBase": at(view, "/ldap/users/base"),
                "ldapSearchFilter": at(view, "/ldap/users/filter"),
                "ldapGroupSearchBase": at(view, "/ldap/groups/base"),
                "ldapGroupSearchFilter": at(view, "/ldap/groups/filter"),
                "ldapTlsEnabled": at(view, "/ldap/servers/startTls").as_bool().unwrap_or(false),
            })
        }
    };
    if let (Some(shown), Value::Object(own)) = (shown.as_object_mut(), own) {
        shown.extend(own);
    }
    shown
}

/// Names what a new connection of that protocol lacks. Errors: `invalid_input`.
pub(super) fn complete(body: &Body, protocol: &str) -> Result<()> {
    match protocol {
        "oidc" => body.need(OIDC),
        "saml" => {
            let metadata = ["metadataUrl", "metadataXml"].iter().any(|name| body.need(&[name]).is_ok());
            if metadata { Ok(()) } else { body.need(&["idpEntityId", "idpSsoUrl", "idpCertificate"]) }
        }
        _ => body.need(&["ldapUrl", "ldapBindDn", "ldapBindPassword", "ldapSearchBase"]),
    }
}

/// What a request says about how to speak the protocol, in authd's words: flat fields, and the profile's mapping.
pub(super) struct Speech {
    /// As `connection.create` takes them.
    pub flat: Map<String, Value>,
    /// The claim or attribute of each field.
    pub mapping: Map<String, Value>,
    /// The claims or attributes of fields that authd has no word for.
    pub extra: Map<String, Value>,
    /// Groups are in an attribute of the person, and are not searched for.
    pub groups_in_attribute: bool,
}

impl Speech {
    /// Takes the fields of the protocol out of a request. Errors: `invalid_input` for fields of another one.
    pub fn take(body: &mut Body, protocol: &str, new: bool) -> Result<Self> {
        let (own, others) = match protocol {
            "oidc" => (OIDC, [SAML, LDAP]),
            "saml" => (SAML, [OIDC, LDAP]),
            _ => (LDAP, [OIDC, SAML]),
        };
        if let Some(name) = others.iter().flat_map(|list| list.iter()).find(|name| body.0.contains_key(**name)) {
            let says = format!("`{name}` is no field of a connection that speaks `{protocol}`.");
            return Err(Error::says(&codes::INVALID_INPUT, says));
        }
        let mut flat = Map::new();
        for name in own {
            if *name == "ldapTlsEnabled" {
                if let Some(flag) = body.maybe_flag(name)? {
                    flat.insert((*name).to_owned(), flag.into());
                }
                continue;
            }
            let Some(text) = body.maybe_text(name)? else { continue };
            let (name, text) = match *name {
                "issuerUrl" => ("issuer", text),
                "idpCertificate" => ("idpCertificate", armoured(&text)),
                name => (name, text),
            };
            flat.insert(name.to_owned(), text.into());
        }
        // authd's own: many providers tell groups only where a scope asks for them.
        if protocol == "oidc"
            && let Some(scopes) = body.maybe_texts("scopes")?
        {
            flat.insert("scopes".to_owned(), json!(scopes));
        }
        if protocol == "ldap" && new {
            flat.entry("ldapSearchFilter").or_insert_with(|| USER_FILTER.into());
            flat.entry("ldapGroupSearchFilter").or_insert_with(|| GROUP_FILTER.into());
        }
        let (mut mapping, mut extra) = (Map::new(), Map::new());
        for (name, value) in body.maybe_object("attributeMapping")?.unwrap_or_default() {
            if !value.is_string() {
                return Err(Error::says(&codes::INVALID_INPUT, "`attributeMapping` has texts only."));
            }
            let field = field(&name, protocol);
            let known = FIELDS.iter().any(|(speaks, names)| *speaks == protocol && names.contains(&field));
            if known {
                mapping.insert(field.to_owned(), value)
            } else {
                extra.insert(name, value)
            };
        }
        let groups = body.maybe_text("groupAttribute")?;
        let groups_in_attribute = groups.is_some() && protocol == "ldap";
        if let Some(groups) = groups {
            mapping.insert("groups".to_owned(), groups.into());
        }
        Ok(Self { flat, mapping, extra, groups_in_attribute })
    }

    /// Nothing was said.
    pub fn is_empty(&self) -> bool {
        self.flat.is_empty() && self.mapping.is_empty() && self.extra.is_empty()
    }

    /// The nested part, as `connection.set_…` takes it side by side and `connection.create` under the protocol's name.
    pub fn nested(&self) -> Map<String, Value> {
        let (mut nested, mut profile) = (Map::new(), Map::new());
        for (name, said) in [("mapping", &self.mapping), ("extraFields", &self.extra)] {
            if !said.is_empty() {
                profile.insert(name.to_owned(), Value::Object(said.clone()));
            }
        }
        if !profile.is_empty() {
            nested.insert("profile".to_owned(), Value::Object(profile));
        }
        if self.groups_in_attribute {
            nested.insert("groups".to_owned(), json!({"mode": "memberOf"}));
        }
        nested
    }
}

/// The name of a field in authd's words: the protocols differ in two.
fn field<'n>(name: &'n str, protocol: &str) -> &'n str {
    match (name, protocol) {
        ("sub" | "id", _) => "subject",
        ("picture" | "avatar", _) => "image",
        ("displayName", _) => "name",
        ("givenName", "saml") => "firstName",
        ("familyName", "saml") => "lastName",
        ("firstName", "oidc" | "ldap") => "givenName",
        ("lastName", "oidc" | "ldap") => "familyName",
        (name, _) => name,
    }
}

/// A certificate as it is pasted may lack its first and last line.
fn armoured(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.contains("-----BEGIN") {
        return text.to_owned();
    }
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: Value) -> Body {
        match value {
            Value::Object(fields) => Body(fields),
            _ => panic!("an object"),
        }
    }

    #[test]
    fn settings_are_said_in_authds_words() {
        let mut given = body(json!({
            "issuerUrl": "https://idp.example", "clientId": "c", "clientSecret": "s", "groupAttribute": "teams",
            "attributeMapping": {"firstName": "given", "email": "mail", "desk": "deskNumber"},
        }));
        let speech = Speech::take(&mut given, "oidc", true).unwrap();
        assert_eq!(
            Value::Object(speech.flat.clone()),
            json!({"issuer": "https://idp.example", "clientId": "c", "clientSecret": "s"})
        );
        assert_eq!(
            Value::Object(speech.nested()),
            json!({"profile": {
                "mapping": {"givenName": "given", "email": "mail", "groups": "teams"},
                "extraFields": {"desk": "deskNumber"},
            }})
        );
        given.end().unwrap();
        let mut given = body(json!({"ldapUrl": "ldaps://x", "groupAttribute": "memberOf"}));
        let speech = Speech::take(&mut given, "ldap", true).unwrap();
        assert_eq!(speech.flat["ldapSearchFilter"], USER_FILTER);
        assert_eq!(speech.nested()["groups"], json!({"mode": "memberOf"}));
        let foreign = Speech::take(&mut body(json!({"ldapUrl": "ldaps://x"})), "saml", true).err().unwrap();
        assert!(foreign.message().contains("`ldapUrl`"));
        assert!(armoured("MIIB").starts_with("-----BEGIN CERTIFICATE-----\nMIIB\n"));
    }

    #[test]
    fn what_a_protocol_needs_is_named() {
        let says = |value, protocol| complete(&body(value), protocol).unwrap_err().message().to_owned();
        assert!(says(json!({}), "oidc").contains("`issuerUrl`, `clientId`, `clientSecret`"));
        assert!(says(json!({"idpEntityId": "x"}), "saml").contains("`idpSsoUrl`, `idpCertificate`"));
        assert!(says(json!({}), "ldap").contains("`ldapSearchBase`"));
        assert!(complete(&body(json!({"metadataUrl": "https://idp/metadata"})), "saml").is_ok());
        assert!(says(json!({"metadataUrl": " "}), "saml").contains("`idpEntityId`"));
    }

    #[test]
    fn a_connection_is_shown_with_every_field_and_no_secret() {
        let shown = connection(&json!({
            "id": "conn_1", "organization": "org_1", "name": "n", "protocol": "oidc", "status": "draft",
            "domains": [{"domain": "a.example"}], "oidc": {"discovery": {"issuer": "https://i"}, "client": {"id": "c"},
            "hasClientSecret": true, "profile": {"mapping": {"groups": "g", "givenName": "first"}, "extraFields": {"desk": "d"}}},
            "enforced": true, "createdAt": "x", "updatedAt": "y",
        }));
        assert_eq!(shown["status"], "testing");
        assert_eq!(shown["domains"], json!(["a.example"]));
        assert_eq!(
            (&shown["issuerUrl"], &shown["clientId"], &shown["groupAttribute"]),
            (&json!("https://i"), &json!("c"), &json!("g"))
        );
        assert_eq!((&shown["jitProvisioning"], &shown["enforce"]), (&json!(false), &json!(true)));
        assert_eq!(shown["attributeMapping"], json!({"firstName": "first", "desk": "d"}));
        assert!(!shown.to_string().to_lowercase().contains("secret"));
    }
}
