//! What one would type, for each verb's help.

/// For the help of authd itself.
pub const FIRST: &str = "\
Examples:
  authd serve                              run it: ./authd-data, http://127.0.0.1:8080
  authd serve --demo                       with a sample organization, identity provider and app
  authd org create --name Acme             create a tenant
  authd connection create --help           what a connection to an identity provider takes
  authd explain req_…                      why a sign-in failed, by the id on its error page";

/// For `authd serve`.
pub const SERVE: &str = "\
Examples:
  authd serve
  authd serve --data-dir /var/lib/authd --listen 127.0.0.1:8080 --public-url https://id.example.com
  authd serve --listen 0.0.0.0:443 --tls-cert fullchain.pem --tls-key key.pem --public-url https://id.example.com
  authd serve --outbound-allow 10.20.0.0/16 --outbound-allow idp.internal:443

Every flag can also stand in authd.toml (`tls.cert`) or in the environment (AUTHD_TLS_CERT).
The flag wins over the environment, the environment over the file.";

/// For `authd doctor`.
pub const DOCTOR: &str = "\
Examples:
  authd doctor
  authd doctor --data-dir /var/lib/authd --json";
/// For `authd health`.
pub const HEALTH: &str = "\
Examples:
  authd health
  authd health --json --data-dir /var/lib/authd

By HTTP on the control socket: GET /readyz; what is measured is at GET /metrics there.";
/// For `authd simulate scim`.
pub const SIMULATE_SCIM: &str = "\
Examples:
  authd simulate scim --as entra --connection conn_…
  authd simulate scim --as okta --connection conn_… --keep --json
  authd simulate scim --clear --connection conn_…     what an earlier walk has left";

/// For `authd backup`.
pub const TUI: &str = "\
Examples:
  authd tui
  authd tui --data-dir /var/lib/authd --read-only
  authd tui --url https://id.example.com --api-key-file key.txt
  authd tui --theme light";

pub const BACKUP: &str = "\
Examples:
  authd backup /var/backups/authd-$(date +%F).backup
  authd backup off-site.backup --with-key --passphrase-file passphrase.txt
  authd backup nightly.backup --force --json
  authd backup verify nightly.backup

By HTTP on the control socket: POST /v1/backups";

/// For `authd backup verify`.
pub const BACKUP_VERIFY: &str = "\
Examples:
  authd backup verify nightly.backup
  authd backup verify nightly.backup --json";

/// For `authd restore`.
pub const RESTORE: &str = "\
Examples:
  authd restore nightly.backup --data-dir /var/lib/authd
  authd restore off-site.backup --passphrase-file passphrase.txt     on a machine without the master key
  authd restore nightly.backup --replace";

const EXAMPLES: &[(&str, &str)] = &[
    ("organization.create", "  authd org create --name Acme\n  authd org create --name Acme --json"),
    (
        "enforcement.set",
        "  authd enforcement set --org org_… --enforce --dry-run\n  authd enforcement set --org org_… --enforce --exempt-role owner\n  authd enforcement set --org org_… --domain acme.example",
    ),
    (
        "break_glass.create",
        "  authd break-glass --org org_… --user olga@acme.example --for 15m --reason \"Okta is down\"",
    ),
    ("break_glass.list", "  authd break-glass list --open\n  authd break-glass list --org org_… --json"),
    ("break_glass.revoke", "  authd break-glass revoke bgl_…"),
    ("timings.show", "  authd timings\n  authd timings --json"),
    ("organization.list", "  authd org list\n  authd org list --search acme --json"),
    (
        "issuer.create",
        "  authd issuer create --org org_… --kind oidc --domain acme.eu.auth0.com --application-id my-app\n  authd issuer create --org org_… --kind customJwt --issuer https://app.example --jwks https://app.example/jwks.json --algorithm ES256 --application-id my-app",
    ),
    ("issuer.validate", "  authd issuer validate iss_…"),
    (
        "saml.explain",
        "  authd explain saml answer.txt --connection conn_…\n  pbpaste | authd explain saml - --connection conn_… --at 2026-01-31T09:00:00Z\n  authd explain saml answer.xml --connection conn_… --json",
    ),
    ("token.explain", "  authd explain token eyJ…\n  pbpaste | authd explain token - --json"),
    ("app.convex_config", "  authd app convex-config app_… > convex/auth.config.ts"),
    (
        "organization.update",
        "  authd org update org_… --name 'Acme Ltd'\n  authd org update org_… --session-idle-seconds 900 --session-seconds 28800",
    ),
    ("organization.delete", "  authd org delete org_… --confirm 'Acme Ltd'"),
    ("organization.disable", "  authd org disable org_…"),
    (
        "api_key.create",
        "  authd api-key create --org org_… --name ci --grant user.read,session.read\n  authd api-key create --org org_… --name backend --grant '*' --expires-in 90d\n  authd api-key create --org org_… --name laptop --user usr_… --grant user.read",
    ),
    ("api_key.list", "  authd api-key list --org org_…\n  authd api-key list --org org_… --user usr_…"),
    ("api_key.revoke", "  authd api-key revoke key_…"),
    (
        "scim.set",
        "  authd scim set --connection conn_… --status active\n  authd scim set --connection conn_… --set profile.mapping.email='emails[type eq \"work\"].value' --set security.maxRequestSize=262144",
    ),
    ("scim.get", "  authd scim get --connection conn_…"),
    ("scim.status", "  authd scim status --connection conn_…"),
    ("scim.validate", "  authd scim validate --connection conn_…"),
    (
        "scim.token.create",
        "  authd scim token create --org org_… --connection conn_… --label okta\n  authd scim token create --org org_… --expires-in 365d --json",
    ),
    ("scim.token.list", "  authd scim token list --org org_…"),
    ("scim.token.revoke", "  authd scim token revoke sct_…"),
    (
        "role.create",
        "  authd role create --org org_… --name auditor --about 'Reads the log' --grant connection.audit.read,user.read",
    ),
    ("role.list", "  authd role list --org org_…"),
    ("role.get", "  authd role get owner --org org_…\n  authd role get auditor --org org_…"),
    ("role.update", "  authd role update auditor --org org_… --grant connection.audit.read"),
    ("role.delete", "  authd role delete auditor --org org_…"),
    (
        "connection.create",
        "  authd connection create --org org_… --protocol oidc --name 'Acme Okta' --issuer https://acme.okta.com \\\n      --client-id 0oa… --client-secret-file secret.txt --domain acme.example --activate\n  authd connection create --org org_… --protocol oidc --name Entra --file entra.json\n  authd connection create … --set oidc.security.clockToleranceSeconds=60\n  authd connection create --org org_… --protocol ldap --name 'Acme AD' --ldap-preset active_directory \\\n      --ldap-url ldaps://dc1.acme.example --ldap-search-base dc=acme,dc=example \\\n      --ldap-bind-dn svc-authd@acme.example --ldap-bind-password-file secret.txt --domain acme.example\n  authd connection create --org org_… --protocol saml --name 'Acme Entra' --domain acme.example \\\n      --metadata-url https://login.acme.example/federationmetadata.xml\n  authd connection create --org org_… --protocol saml --name 'Acme ADFS' --metadata-file metadata.xml",
    ),
    ("connection.list", "  authd connection list --org org_…"),
    ("connection.get", "  authd connection get conn_…"),
    (
        "connection.update",
        "  authd connection update conn_… --name 'Acme Okta (new)'\n  authd connection update conn_… --jit=false",
    ),
    (
        "connection.set_oidc",
        "  authd connection set-oidc conn_… --client-secret-file new-secret.txt\n  authd connection set-oidc conn_… --set profile.mapping.groups=roles",
    ),
    (
        "connection.set_ldap",
        "  authd connection set-ldap conn_… --ldap-group-search-base ou=groups,dc=acme,dc=example\n  authd connection set-ldap conn_… --set sync.enabled=true --set sync.everyMinutes=30",
    ),
    (
        "connection.sync",
        "  authd connection sync conn_…\n  authd connection sync conn_… --dry-run     what it would do, and to how many",
    ),
    (
        "connection.set_saml",
        "  authd connection set-saml conn_… --metadata-file metadata.xml\n  authd connection set-saml conn_… --set security.requireSignedAssertions=true",
    ),
    ("connection.get_saml", "  authd connection get-saml conn_…"),
    ("connection.refresh_saml", "  authd connection refresh-saml conn_…"),
    (
        "connection.approve_saml",
        "  authd connection approve-saml conn_… --certificate 3f9a…     a thumbprint that `get-saml` shows as pending",
    ),
    (
        "connection.rotate_saml_key",
        "  authd connection rotate-saml-key conn_… --step prepare     then give the provider the new certificate\n  authd connection rotate-saml-key conn_… --step activate\n  authd connection rotate-saml-key conn_… --step retire",
    ),
    ("connection.get_ldap", "  authd connection get-ldap conn_…"),
    ("connection.validate", "  authd connection validate conn_…"),
    (
        "connection.test",
        "  authd connection test conn_…\n  authd connection test conn_… --username ada     whom a name means in a directory",
    ),
    ("connection.status", "  authd connection status conn_…"),
    ("connection.activate", "  authd connection activate conn_…"),
    ("connection.disable", "  authd connection disable conn_…"),
    ("connection.delete", "  authd connection delete conn_…"),
    ("connection.restore", "  authd connection restore conn_…"),
    ("domain.add", "  authd domain add --connection conn_… --domain acme.example"),
    (
        "domain.verify",
        "  authd domain verify --connection conn_… --domain acme.example\n  authd domain verify --connection conn_… --domain acme.example --force     vouch for it, without DNS",
    ),
    ("domain.confirm", "  authd domain confirm --connection conn_… --domain acme.example"),
    ("domain.recheck", "  authd domain recheck --connection conn_… --domain acme.example"),
    (
        "domain.set",
        "  authd domain set --connection conn_… --domain acme.example,acme.test\n  authd domain set --connection conn_… --file domains.json     {\"domains\": [{\"domain\": \"acme.example\", \"isPrimary\": true}]}",
    ),
    ("domain.set_primary", "  authd domain set-primary --connection conn_… --domain acme.example"),
    ("domain.list", "  authd domain list --connection conn_…"),
    ("domain.remove", "  authd domain remove --connection conn_… --domain acme.example"),
    ("policy.get", "  authd policy get --org org_…"),
    (
        "policy.update",
        "  authd policy update --org org_… --set provisioning.jit.mode=off --dry-run\n  authd policy update --org org_… --set provisioning.groups.mode=sync --set provisioning.groups.mapping.Admins=admin\n  authd policy update --org org_… --set provisioning.jit.mode=null     the default again\n  authd policy update --org org_… --patch patch.json",
    ),
    ("policy.validate", "  authd policy validate --org org_…"),
    ("policy.reset", "  authd policy reset --org org_…"),
    (
        "policy.explain",
        "  authd policy explain --connection conn_… --input profile.json\n  authd policy explain --attempt att_…\n  authd policy explain --connection conn_… --set input.sub=42 --set input.email=ada@acme.example --set input.email_verified=true\n  authd policy explain --connection conn_… --input profile.json --set provisioning.jit.mode=off     a policy not in force",
    ),
    (
        "app.create",
        "  authd app create --org org_… --name Wiki --redirect-uri https://wiki.example.com/callback\n  authd app create --org org_… --name Product --redirect-uri https://app.example.com/cb --organizations all",
    ),
    ("app.update", "  authd app update app_… --redirect-uri https://wiki.example.com/callback"),
    ("app.list", "  authd app list --org org_…"),
    ("app.get", "  authd app get app_…"),
    ("app.delete", "  authd app delete app_…"),
    ("app.rotate_secret", "  authd app rotate-secret app_…"),
    (
        "token.issue",
        "  authd token issue --org org_… --role owner --json\n  authd token issue --org org_… --user usr_…",
    ),
    (
        "session.list",
        "  authd session list --org org_…\n  authd session list --org org_… --user usr_…\n  authd session list --app app_…",
    ),
    ("session.get", "  authd session get ses_…"),
    (
        "session.revoke_all",
        "  authd session revoke-all --user usr_…\n  authd session revoke-all --connection conn_…\n  authd session revoke-all --org org_…",
    ),
    ("key.list", "  authd key list"),
    ("key.rotate", "  authd key rotate\n  authd key rotate --algorithm RS256"),
    ("key.revoke", "  authd key revoke sig_…"),
    ("session.revoke", "  authd session revoke ses_…"),
    (
        "user.create",
        "  authd user create --org org_… --email ada@acme.example --role admin\n  authd user create --org org_… --email bob@acme.example --name Bob --connection conn_…",
    ),
    ("user.suspend", "  authd user suspend usr_… --org org_…"),
    ("user.reactivate", "  authd user reactivate usr_… --org org_…\n  authd user reactivate usr_… --org org_… --force"),
    ("user.delete", "  authd user delete usr_… --org org_…"),
    ("user.erase", "  authd user erase usr_…\n  authd user erase usr_… --org org_… --address old@example.com"),
    (
        "inbound.create",
        "  authd inbound create --org org_… --name Clerk\n  authd inbound create --connection conn_… --secret-file secret.txt",
    ),
    ("inbound.rotate_secret", "  authd inbound rotate-secret inb_… --secret-file - --now"),
    (
        "member.set_role",
        "  authd member set-role --org org_… --user usr_… --role admin\n  authd member set-role --org org_… --user usr_… --role viewer --role support",
    ),
    ("member.remove", "  authd member remove --org org_… --user usr_…"),
    ("identity.list", "  authd identity list usr_… --org org_…"),
    (
        "identity.link",
        "  authd identity link usr_… --org org_… --connection conn_… --subject 'https://idp.example|1234'",
    ),
    ("group.list", "  authd group list --org org_…"),
    (
        "user.list",
        "  authd user list --org org_… --search 'ada love'\n  authd user list --org org_… --status suspended --sort name",
    ),
    ("user.get", "  authd user get usr_… --org org_…"),
    ("master_key.show", "  authd master-key show"),
    ("master_key.rotate", "  authd master-key rotate"),
    ("counts.show", "  authd counts --json"),
    ("signin.explain", "  authd explain req_…"),
];

/// The examples of an operation.
pub fn of(operation: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(name, _)| *name == operation).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_has_its_operation() {
        let catalogue = crate::app::catalogue();
        for (name, _) in EXAMPLES {
            assert!(catalogue.find(name).is_some(), "{name}");
        }
    }
}
