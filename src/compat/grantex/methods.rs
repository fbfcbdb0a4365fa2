//! The table of methods, for the reference.

/// A method of the SDK.
#[derive(Debug)]
pub struct Method {
    /// The sub-client: `sso` or `scim`.
    pub client: &'static str,
    /// Its name in Python.
    pub name: &'static str,
    /// What it sends.
    pub request: &'static str,
    /// What it is answered.
    pub answer: &'static str,
    /// What authd does for it.
    pub asks: &'static str,
}

macro_rules! methods {
    ($($client:literal $name:literal $request:literal => $answer:literal, $asks:literal;)*) => {
        /// Every method there is.
        pub static METHODS: &[Method] = &[$(Method {
            client: $client, name: $name, request: $request, answer: $answer, asks: $asks,
        }),*];
    };
}

methods! {
    "sso" "create_connection" "POST /v1/sso/connections" => "201, the connection", "connection.create";
    "sso" "list_connections" "GET /v1/sso/connections" => "{connections}", "connection.list";
    "sso" "get_connection" "GET /v1/sso/connections/{id}" => "the connection", "connection.get";
    "sso" "update_connection" "PATCH /v1/sso/connections/{id}" => "the connection",
        "connection.set_oidc | set_saml | set_ldap, connection.update, domain.set, domain.verify, connection.activate | disable";
    "sso" "delete_connection" "DELETE /v1/sso/connections/{id}" => "204", "connection.delete";
    "sso" "test_connection" "POST /v1/sso/connections/{id}/test" => "200, or 422 with what failed", "connection.test";
    "sso" "set_enforcement" "POST /v1/sso/enforce" => "{enforce, exemptRoles, developerId}", "enforcement.set";
    "sso" "list_sessions" "GET /v1/sso/sessions" => "{sessions}",
        "session.list, session.get, user.get, connection.get, identity.list";
    "sso" "revoke_session" "DELETE /v1/sso/sessions/{id}" => "204", "session.revoke";
    "sso" "get_login_url" "GET /sso/login?org&domain&redirect_uri" => "{authorizeUrl, connectionId, protocol}",
        "a relayed sign-in begins";
    "sso" "handle_oidc_callback" "POST /sso/callback/oidc" => "the callback result", "a relayed sign-in ends";
    "sso" "handle_saml_callback" "POST /sso/callback/saml" => "the callback result", "a relayed sign-in ends";
    "sso" "handle_ldap_callback" "POST /sso/callback/ldap" => "the callback result", "a relayed sign-in ends";
    "sso" "create_config" "POST /v1/sso/config" => "201, the configuration", "connection.create, or connection.set_oidc";
    "sso" "get_config" "GET /v1/sso/config" => "the configuration", "connection.list";
    "sso" "delete_config" "DELETE /v1/sso/config" => "204", "connection.update, connection.delete";
    "sso" "handle_callback" "GET /sso/callback?code&state" => "{email, name, sub, developerId}", "a relayed sign-in ends";
    "scim" "create_token" "POST /v1/scim/tokens" => "201, {id, label, token, createdAt, lastUsedAt}", "scim.token.create";
    "scim" "list_tokens" "GET /v1/scim/tokens" => "{tokens}", "scim.token.list";
    "scim" "revoke_token" "DELETE /v1/scim/tokens/{id}" => "204", "scim.token.revoke";
    "scim" "list_users" "GET /scim/v2/Users" => "RFC 7644", "the SCIM server";
    "scim" "get_user" "GET /scim/v2/Users/{id}" => "RFC 7644", "the SCIM server";
    "scim" "create_user" "POST /scim/v2/Users" => "RFC 7644", "the SCIM server";
    "scim" "replace_user" "PUT /scim/v2/Users/{id}" => "RFC 7644", "the SCIM server";
    "scim" "update_user" "PATCH /scim/v2/Users/{id}" => "RFC 7644", "the SCIM server";
    "scim" "delete_user" "DELETE /scim/v2/Users/{id}" => "204", "the SCIM server";
}
