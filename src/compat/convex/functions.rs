//! The table of functions: names, kinds, grants, and what each is given to.

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::arguments::Arguments;
use super::{audit, connections, domains, policy, protocols, scim, signing_in, webhooks};
use crate::access::{Context, Grant};
use crate::app::App;
use crate::error::{Result, codes};
use crate::signin::Signin;
use crate::token::TokenGrant;

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It reads.
    Query,
    /// It writes.
    Mutation,
    /// It asks somebody outside.
    Action,
}

impl Kind {
    /// As Convex writes it in its messages.
    pub fn title(self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::Action => "Action",
        }
    }
}

/// One call of a known caller.
pub(super) struct Call<'a> {
    pub app: &'a App,
    pub signin: &'a Signin,
    pub cx: Context,
    /// What the bearer was given for, where authd itself gave it.
    pub held: Option<TokenGrant>,
}

impl Call<'_> {
    /// Performs an operation. Errors: those of the operation.
    pub async fn perform(&self, operation: &str, input: Value) -> Result<Value> {
        self.app.perform(&self.cx, operation, input).await
    }

    /// The same, of the object that an argument names. One of another organization is none.
    pub async fn perform_on(&self, argument: &str, operation: &str, input: Value) -> Result<Value> {
        self.perform(operation, input).await.map_err(|error| {
            let plain = error.is(&codes::NOT_FOUND) && error.message() == codes::NOT_FOUND.message;
            if plain { error.saying(format!("`{argument}` is the id of nothing that you see.")) } else { error }
        })
    }
}

type Does = for<'a> fn(&'a Call<'a>, Arguments) -> BoxFuture<'a, Result<Value>>;

/// A function.
pub struct Function {
    /// The module of the path: `auth/group`, or `auth`.
    pub module: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// Other names of the same.
    pub aliases: &'static [&'static str],
    /// How it is called.
    pub kind: Kind,
    /// It needs no bearer.
    pub public: bool,
    /// What the caller needs in the organization that owns the object.
    pub grant: Option<Grant>,
    /// Its arguments.
    pub takes: &'static str,
    /// Its result.
    pub gives: &'static str,
    /// The operations that it asks.
    pub asks: &'static str,
    pub(super) does: Does,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.module, self.name)
    }
}

macro_rules! functions {
    ($($module:literal $name:literal $([$($alias:literal),*])? $kind:ident $grant:expr,
       $takes:literal => $gives:literal, $asks:literal, $does:path;)*) => {
        /// Every function there is.
        pub static FUNCTIONS: &[Function] = &[$(Function {
            module: $module,
            name: $name,
            aliases: &[$($($alias),*)?],
            kind: Kind::$kind,
            public: $grant.is_none(),
            grant: $grant,
            takes: $takes,
            gives: $gives,
            asks: $asks,
            does: |call, arguments| Box::pin($does(call, arguments)),
        }),*];
    };
}

const PUBLIC: Option<Grant> = None;
const CREATE: Option<Grant> = Some(Grant::ConnectionCreate);
const READ: Option<Grant> = Some(Grant::ConnectionRead);
const MANAGE: Option<Grant> = Some(Grant::ConnectionManage);
const DOMAIN: Option<Grant> = Some(Grant::ConnectionDomainManage);
const PROTOCOL: Option<Grant> = Some(Grant::ConnectionProtocolManage);
const SCIM: Option<Grant> = Some(Grant::ScimManage);
const POLICY: Option<Grant> = Some(Grant::ConnectionPolicyManage);
const AUDIT: Option<Grant> = Some(Grant::ConnectionAuditRead);
const WEBHOOK: Option<Grant> = Some(Grant::ConnectionWebhookManage);

functions! {
    "auth/group" "createConnection" Mutation CREATE, "groupId, protocol, name?, slug?, status?, domain?" =>
        "{connectionId, groupId}", "connection.create", connections::create;
    "auth/group" "getConnection" Query READ, "id" => "the connection, or null", "connection.get", connections::get;
    "auth/group" "getConnectionByDomain" Query READ, "domain" => "{connection, domain}, or null", "connection.list",
        connections::by_domain;
    "auth/group" "listConnections" Query READ, "where: {groupId, slug?, status?}, paginationOpts, orderBy?, order?" =>
        "{page, isDone, continueCursor}", "connection.list", connections::list;
    "auth/group" "updateConnection" Mutation MANAGE, "id, patch (or data)" => "{connectionId}",
        "connection.update, connection.activate, connection.disable", connections::update;
    "auth/group" "deleteConnection" ["removeConnection"] Mutation MANAGE, "id" => "{connectionId}", "connection.delete",
        connections::delete;
    "auth/group" "getConnectionStatus" Query READ, "connectionId" => "the status report", "connection.status",
        connections::status;
    "auth/group" "listDomains" Query READ, "connectionId" => "the domains", "domain.list", domains::list;
    "auth/group" "validateDomains" Query READ, "connectionId" => "the domains' validation", "domain.validate",
        domains::validate;
    "auth/group" "getDomainStatus" Query READ, "connectionId" => "the domains' status", "domain.status", domains::status;
    "auth/group" "setDomains" Mutation DOMAIN, "connectionId, domains: [{domain, isPrimary?}]" =>
        "the domains' validation", "domain.set", domains::set;
    "auth/group" "requestDomainVerification" Mutation DOMAIN, "connectionId, domain" =>
        "{connectionId, domain, requestedAt, expiresAt, challenge}", "domain.request", domains::request;
    "auth/group" "confirmDomainVerification" Action DOMAIN, "connectionId, domain" => "{ok, connectionId, domain, checks}",
        "domain.confirm", domains::confirm;
    "auth/group" "setOidc" Mutation PROTOCOL, "connectionId, discovery?, client?, request?, security?, profile?" =>
        "the configuration", "connection.set_oidc", protocols::set_oidc;
    "auth/group" "getOidc" Query READ, "connectionId" => "the configuration, or null", "connection.get_oidc",
        protocols::get_oidc;
    "auth/group" "getOidcStatus" Query READ, "connectionId" => "{connectionId, configured, ready, clientId, issuer}",
        "connection.status", protocols::oidc_status;
    "auth/group" "validateOidc" Action READ, "connectionId" => "{ok, connectionId, checks}", "connection.validate",
        protocols::validate_oidc;
    "auth/group" "setSaml" Action PROTOCOL,
        "connectionId, metadata?, domains?, request?, security?, serviceProvider?, profile?" => "the configuration",
        "connection.set_saml", protocols::set_saml;
    "auth/group" "getSaml" Query READ, "connectionId" => "the configuration, or null", "connection.get_saml",
        protocols::get_saml;
    "auth/group" "getSamlStatus" Query READ, "connectionId" => "{connectionId, configured, ready, entityId}",
        "connection.status", protocols::saml_status;
    "auth/group" "validateSaml" Query READ, "connectionId" => "{ok, connectionId, checks}", "connection.validate",
        protocols::validate_saml;
    "auth/group" "refreshSaml" Action PROTOCOL, "connectionId" => "the configuration", "connection.refresh_saml",
        protocols::refresh_saml;
    "auth/group" "metadata" Query PUBLIC, "connectionId" => "the connection's SAML metadata as XML",
        "GET /connections/{id}/saml/metadata", protocols::metadata;
    "auth/group" "setLdap" Mutation PROTOCOL, "connectionId, preset?, servers?, bind?, users?, groups?, profile?, sync?" =>
        "the configuration", "connection.set_ldap", protocols::set_ldap;
    "auth/group" "getLdap" Query READ, "connectionId" => "the configuration, or null", "connection.get_ldap",
        protocols::get_ldap;
    "auth/group" "getLdapStatus" Query READ, "connectionId" => "{connectionId, configured, ready, url, base}",
        "connection.status", protocols::ldap_status;
    "auth/group" "validateLdap" Action READ, "connectionId" => "{ok, connectionId, checks}", "connection.validate",
        protocols::validate_ldap;
    "auth/group" "setScim" Mutation SCIM, "connectionId, status?, security?, profile?" =>
        "{connectionId, configId, basePath, token}", "scim.set", scim::set;
    "auth/group" "getScim" Query SCIM, "connectionId" => "the configuration", "scim.get", scim::get;
    "auth/group" "getScimStatus" Query SCIM, "connectionId" => "how far provisioning is", "scim.status", scim::status;
    "auth/group" "validateScim" Query SCIM, "connectionId" => "{ok, connectionId, checks, capabilities}", "scim.validate",
        scim::validate;
    "auth/group" "getPolicy" Query POLICY, "groupId" => "the policy", "policy.get", policy::get;
    "auth/group" "updatePolicy" Mutation POLICY, "groupId, patch (or data)" => "the policy", "policy.update",
        policy::update;
    "auth/group" "validatePolicy" Query POLICY, "groupId" => "{ok, groupId, checks}", "policy.validate", policy::validate;
    "auth/group" "listAudit" Query AUDIT, "groupId?, connectionId?, paginationOpts" => "{page, isDone, continueCursor}",
        "audit.list", audit::list;
    "auth/group" "createWebhookEndpoint" Mutation WEBHOOK, "connectionId, url, secret?, subscriptions?" =>
        "the endpoint, with its secret", "webhook.create", webhooks::create;
    "auth/group" "listWebhookEndpoints" Query WEBHOOK, "connectionId?, groupId?, paginationOpts?" =>
        "the endpoints; a page where one was asked for", "webhook.list", webhooks::list;
    "auth/group" "disableWebhookEndpoint" Mutation WEBHOOK, "endpointId (or id)" => "{endpointId}", "webhook.disable",
        webhooks::disable;
    "auth/group" "listWebhookDeliveries" Query WEBHOOK, "endpointId or connectionId, paginationOpts?" =>
        "the deliveries; a page where one was asked for", "delivery.list, webhook.list", webhooks::deliveries;
    "auth/group" "signIn" Query PUBLIC, "connectionId?, email?, domain?, redirectTo?, loginHint?" =>
        "{connectionId, providerId, protocol, signInPath, callbackPath, redirectTo?}", "home-realm discovery",
        signing_in::sign_in;
    "auth/group" "signInLookup" Query PUBLIC, "as signIn" => "as signIn, or null on no match", "home-realm discovery",
        signing_in::look_up;
    "auth" "signIn" Action PUBLIC, "provider?, params: as auth/group:signIn" => "{redirect}", "home-realm discovery",
        signing_in::begin;
    "auth" "signOut" Action PUBLIC, "" => "null", "the end of the session or of the token", signing_in::sign_out;
}

/// The function of that path: `auth/group:createConnection`, also `auth/group.js:createConnection`.
pub(super) fn find(path: &str) -> Option<&'static Function> {
    let (module, name) = path.split_once(':').unwrap_or((path, "default"));
    let module = module.strip_suffix(".js").unwrap_or(module);
    FUNCTIONS
        .iter()
        .find(|function| function.module == module && (function.name == name || function.aliases.contains(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_one_function() {
        let mut seen = std::collections::BTreeSet::new();
        for function in FUNCTIONS {
            for name in function.aliases.iter().chain([&function.name]) {
                assert!(seen.insert((function.module, *name)), "{function:?} {name}");
            }
        }
        assert_eq!(find("auth/group.js:removeConnection").map(|found| found.name), Some("deleteConnection"));
        for nothing in ["auth/group:nothing", "auth/group", "", "auth:createConnection", "group:createConnection"] {
            assert!(find(nothing).is_none(), "{nothing}");
        }
    }
}
