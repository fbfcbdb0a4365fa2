//! # error — one error type, and the closed catalogue of its codes
//!
//! *Owns* `Error`, `Kind`, `Code` and every stable code a machine may see.
//! *Gives* a message for the person, a next step, and a source for the log alone.
//! *Needs* nothing. *Never* knows HTTP, SCIM or a terminal: each door translates.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in eleven words. A door maps the kind to its own status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The input cannot be accepted as it stands.
    Invalid,
    /// The caller is not known, or what it presented does not hold.
    Unauthenticated,
    /// The caller is known and may not.
    Forbidden,
    /// No such thing, or none that the caller may see.
    Missing,
    /// It contradicts what is kept.
    Conflict,
    /// It was changed by somebody else in between.
    Stale,
    /// A limit on size was passed.
    TooLarge,
    /// A limit on rate was passed.
    TooMany,
    /// A peer that authd depends on answered badly or not at all.
    Upstream,
    /// authd cannot do it now: storage, shutdown, overload.
    Unavailable,
    /// A fault of ours.
    Bug,
}

/// One entry of the catalogue: a stable code with its kind, sentence and remedy.
#[derive(Debug)]
pub struct Code {
    /// Stable, `snake_case`, never reused for another meaning.
    pub name: &'static str,
    /// The kind every error of this code has.
    pub kind: Kind,
    /// One sentence for the person.
    pub message: &'static str,
    /// The next step; empty where there is none.
    pub help: &'static str,
}

/// An error with two texts: `message` and `help` may cross a door, `source` never does.
pub struct Error {
    code: &'static Code,
    message: Cow<'static, str>,
    help: Cow<'static, str>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    at: &'static Location<'static>,
}

impl Error {
    /// An error of `code` with the catalogue's own sentence.
    #[track_caller]
    pub fn new(code: &'static Code) -> Self {
        Self {
            code,
            message: Cow::Borrowed(code.message),
            help: Cow::Borrowed(code.help),
            retry_after: None,
            source: None,
            at: Location::caller(),
        }
    }

    /// An error of `code` with a sentence of its own. The sentence crosses doors: nothing internal in it.
    #[track_caller]
    pub fn says(code: &'static Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// A fault of ours, with its cause for the log.
    #[track_caller]
    pub fn bug(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(&codes::BUG).because(source)
    }

    /// The same error with another sentence. As for `says`: nothing internal in it.
    #[must_use]
    pub fn saying(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// The next step for the person.
    #[must_use]
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = help.into();
        self
    }

    /// When another try makes sense, from now on.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// How long to wait before another try, where that is known.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The cause, for the log only.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code.name
    }

    /// True when this error carries exactly that code.
    pub fn is(&self, code: &'static Code) -> bool {
        std::ptr::eq(self.code, code) || self.code.name == code.name
    }

    /// The kind, which doors translate.
    pub fn kind(&self) -> Kind {
        self.code.kind
    }

    /// The sentence for the person.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The next step, if there is one.
    pub fn next_step(&self) -> Option<&str> {
        (!self.help.is_empty()).then_some(&*self.help)
    }

    /// Where it was raised, for the log.
    pub fn raised_at(&self) -> &'static Location<'static> {
        self.at
    }

    /// The whole chain of causes on one line, for the log.
    pub fn log_line(&self) -> String {
        use std::fmt::Write as _;
        let mut line = format!("{}: {} [{}:{}]", self.code.name, self.message, self.at.file(), self.at.line());
        let mut cause: Option<&(dyn std::error::Error + 'static)> = self.source.as_deref().map(|s| s as _);
        while let Some(c) = cause {
            let _ = write!(line, ": {c}");
            cause = c.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.log_line())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}

macro_rules! catalogue {
    ($($(#[doc = $section:literal])? $name:ident = $kind:ident $code:literal, $message:literal, $help:literal;)*) => {
        $($(#[doc = $section])? #[doc = $message] pub static $name: Code =
            Code { name: $code, kind: Kind::$kind, message: $message, help: $help };)*
        /// Every code there is, in the order of this file.
        pub static ALL: &[&Code] = &[$(&$name),*];
    };
}

/// The closed list of codes. A door prints `name`; documentation is generated from this list.
pub mod codes {
    use super::{Code, Kind};

    catalogue! {
        // anything
        BUG = Bug "internal_error", "Something went wrong on our side.", "Look up the request id with `authd explain`.";
        INVALID_INPUT = Invalid "invalid_input", "The input is not valid.", "";
        UNKNOWN_FIELD = Invalid "unknown_field", "There is no such field.", "";
        NOT_FOUND = Missing "not_found", "There is no such thing.", "";
        CONFLICT = Conflict "conflict", "It already exists.", "";
        STALE = Stale "stale", "It was changed in the meantime.", "Read it again, then repeat the change.";
        TOO_LARGE = TooLarge "too_large", "The input is too large.", "";
        RATE_LIMITED = TooMany "rate_limited", "Too many attempts.", "Wait a little, then try again.";
        METHOD_NOT_ALLOWED = Invalid "method_not_allowed", "This address does not take that method.", "";
        UNSUPPORTED_MEDIA_TYPE = Invalid "unsupported_media_type", "The body is in a form that is not read here.", "Send `application/json`, not compressed.";

        // configuration and start
        CONFIG_INVALID = Invalid "config_invalid", "The configuration is not valid.", "";
        CONFIG_UNKNOWN_KEY = Invalid "config_unknown_key", "The configuration has a key that authd does not know.", "";
        MASTER_KEY_WRONG = Invalid "master_key_wrong", "The master key does not fit this database.", "Use the key that the database was made with (`master.key`, or AUTHD_MASTER_KEY).";
        MASTER_KEY_INVALID = Invalid "master_key_invalid", "The master key cannot be used.", "It is 32 bytes in base64url, in a file that only its owner can read.";
        MASTER_KEY_FROM_ENVIRONMENT = Conflict "master_key_from_environment", "The master key comes from AUTHD_MASTER_KEY, which authd cannot change.", "Start authd again with a new key in AUTHD_MASTER_KEY and this one in AUTHD_MASTER_KEY_PREVIOUS; the start seals everything anew.";
        MASTER_KEY_TURNING = Conflict "master_key_turning", "The master key is being rotated already.", "Wait until that is done; `authd master-key show` tells.";
        DATA_DIR_IN_USE = Conflict "data_dir_in_use", "Another authd is using this data directory.", "Stop it, or talk to it: the verbs of `authd` reach a running server by its socket.";
        LISTEN_FAILED = Invalid "listen_failed", "The address cannot be listened on.", "Choose another with `--listen`.";

        // store
        STORAGE_ERROR = Unavailable "storage_error", "The database could not be written.", "Try again; the server's log says more.";
        STORAGE_FULL = Unavailable "storage_full", "The disk is full.", "Free some space; authd goes on by itself.";
        STORAGE_CORRUPT = Unavailable "storage_corrupt", "The database file is damaged.", "Stop authd, and put a backup of the data directory in its place.";
        STORAGE_NEWER = Invalid "storage_newer", "The database was written by a newer authd.", "Run that version, or restore a backup of this one.";
        BACKUP_INVALID = Invalid "backup_invalid", "That is no backup of authd, or it is damaged.", "Take another one; `authd backup verify FILE` tells whether it is whole.";
        PASSPHRASE_WRONG = Invalid "passphrase_wrong", "The passphrase does not open the master key in this backup.", "";
        TAKEN = Conflict "taken", "That is taken already.", "";

        // access
        NOT_SIGNED_IN = Unauthenticated "not_signed_in", "No valid credential came with the request.", "Send `Authorization: Bearer` with an API key or an access token.";
        MISSING_GRANT = Forbidden "missing_grant", "The caller lacks the grant for this.", "";
        GRANT_EXCEEDS_CALLER = Forbidden "grant_exceeds_caller", "Nobody can give a grant that they do not hold.", "";
        OPERATOR_ONLY = Forbidden "operator_only", "Only the operator can do this, on the machine itself.", "Run `authd` on the server as the user that runs it.";
        ROLE_IN_USE = Conflict "role_in_use", "Somebody or something still has this role.", "";
        ORGANIZATION_DISABLED = Forbidden "organization_disabled", "The organization is disabled.", "";

        SSO_REQUIRED = Forbidden "sso_required", "The organization asks you to sign in through its identity provider.", "Start again from the app, with your company address. Keys of people do not work then; an organization's own key does.";
        ENFORCEMENT_UNSAFE = Conflict "enforcement_unsafe", "Nobody who could help would surely get in.", "Let an owner, or somebody with an exempt role, sign in once through an active connection; then try again.";
        BREAK_GLASS_INVALID = Invalid "break_glass_invalid", "This link does not work any more.", "Ask the operator for another one: `authd break-glass`.";

        // outbound
        URL_NOT_ALLOWED = Invalid "url_not_allowed", "authd does not call this address.", "Use a public https address, or allow a private one with `outbound.allow`.";
        OUTBOUND_NOT_ALLOWED = Invalid "outbound_not_allowed", "The address is private, and not in `outbound.allow`.", "Add its host:port or network to `outbound.allow` (or `--outbound-allow`).";
        UPSTREAM_UNAVAILABLE = Upstream "upstream_unavailable", "The other side did not answer.", "Try again in a moment.";
        UPSTREAM_TOO_LARGE = Upstream "upstream_too_large", "The other side answered with more than is read.", "";
        UPSTREAM_CLIENT_REFUSED = Upstream "upstream_client_refused", "The identity provider does not accept authd as its client.", "Check client id, client secret and authentication method of the connection.";
        UPSTREAM_INVALID = Upstream "upstream_invalid", "The other side answered with something that cannot be read.", "Try again in a moment. If it stays, `authd explain` shows what was answered.";

        // connections
        CONNECTION_DISABLED = Forbidden "connection_disabled", "Sign-in through this connection is switched off.", "Ask your administrator.";
        CONNECTION_NOT_READY = Invalid "connection_not_ready", "The connection is not completely configured.", "`authd connection validate` names what is missing.";
        CONNECTION_DELETED = Upstream "connection_deleted", "The connection of these people was deleted, and can still be restored.", "`authd connection restore` within 30 days; what was refused meanwhile succeeds when it is sent again.";
        NO_CONNECTION = Missing "no_connection", "No connection serves this domain.", "Check the address, or ask your administrator which one to use.";
        DOMAIN_TAKEN = Conflict "domain_taken", "Another organization has verified this domain.", "";
        DOMAIN_NOT_PROVED = Invalid "domain_not_proved", "DNS does not prove this domain yet.", "Set the TXT record that `authd domain status` names.";
        DOMAIN_INVALID = Invalid "domain_invalid", "That is not a domain name that can be claimed.", "";
        ISSUER_MULTI_TENANT = Invalid "issuer_multi_tenant", "This issuer signs for many tenants.", "Use the issuer of your own tenant, with its id in it.";
        ISSUER_MISMATCH = Invalid "issuer_mismatch", "The issuer is not the one expected.", "";
        METADATA_INVALID = Invalid "metadata_invalid", "The provider's discovery document cannot be used.", "";

        // sign-in: what a callback is refused for
        STATE_MISMATCH = Invalid "state_mismatch", "This sign-in was not started in this browser, or is used up.", "Start again from the app.";
        FLOW_MISMATCH = Invalid "flow_mismatch", "This sign-in belongs to another browser.", "Start again from the app.";
        ATTEMPT_EXPIRED = Invalid "attempt_expired", "This sign-in took too long.", "Start again from the app.";
        UPSTREAM_DENIED = Invalid "upstream_denied", "The identity provider refused the sign-in.", "It was cancelled there, or you are not assigned to this app: ask your administrator.";
        CODE_REFUSED = Invalid "code_refused", "The identity provider did not accept the code.", "Start again from the app. If it stays, compare client id, secret and callback URL with the provider's.";
        NONCE_MISMATCH = Invalid "nonce_mismatch", "The token was not made for this sign-in.", "Start again from the app. If it stays, the provider or something before it keeps old answers.";
        TOKEN_SIGNATURE = Invalid "token_signature", "The token's signature does not hold.", "The provider signs with a key or an algorithm that it does not publish for this issuer; compare the issuer of the connection.";
        TOKEN_KEY = Invalid "token_key", "No key of the provider fits the token.", "The provider's published keys do not have the one that signed; keys are read again within 30 seconds.";
        TOKEN_AUDIENCE = Invalid "token_audience", "The token is for somebody else.", "Compare the connection's client id with the one at the provider; `discovery.audience` names another audience.";
        TOKEN_CLAIMS = Invalid "token_claims", "The token lacks a claim, or has one that cannot be.", "`authd explain` shows the claim; a time ahead of ours is a clock that runs fast.";
        TOKEN_EXPIRED = Invalid "token_expired", "The token is not valid at this time.", "Compare the clocks of both machines; `security.clockToleranceSeconds` of the connection allows for some difference.";
        TOKEN_BINDING = Invalid "token_binding", "The token is not bound to what came with it.", "The provider's answer was put together from two; ask the provider.";
        TOKEN_REPLAYED = Invalid "token_replayed", "The logout token was used before.", "Each logout token has a `jti` of its own; the provider sends one again only if it was not told that the first one arrived.";
        USERINFO_SUB = Invalid "userinfo_sub", "The provider's user info is about somebody else.", "The provider's user info endpoint answers about another person than its token; ask the provider.";
        SAML_STRUCTURE = Invalid "saml_structure", "The SAML message is not put together as it must be.", "`authd explain` shows the part; an answer that was changed on its way looks like this.";
        SAML_DOCTYPE = Invalid "saml_doctype", "The SAML message has a document type, which none needs.", "";
        SAML_REFERENCE = Invalid "saml_reference", "The signature refers to something else than the element around it.", "Let the identity provider sign the Response or the Assertion, with the enveloped-signature and exclusive-canonicalization transforms.";
        SAML_ALGORITHM = Invalid "saml_algorithm", "The signature is made with an algorithm or key that is too weak.", "Let the identity provider sign with RSA of at least 2048 bits, or ECDSA, and SHA-256 or better.";
        SAML_SIGNATURE_MISSING = Invalid "saml_signature_missing", "The SAML message is not signed as it must be.", "Let the identity provider sign the Assertion or the Response, as the connection asks.";
        SAML_SIGNATURE_INVALID = Invalid "saml_signature_invalid", "The signature does not hold with any certificate of this connection.", "If the identity provider has a new certificate, refresh its metadata; `authd explain` shows the certificates.";
        SAML_NO_SIGNING_CERT = Invalid "saml_no_signing_cert", "The identity provider has no certificate that its signatures could be checked with.", "Give metadata with a signing certificate, or the certificate itself.";
        SAML_DECRYPT = Invalid "saml_decrypt", "The assertion cannot be decrypted.", "Let the identity provider encrypt to this connection's certificate, with RSA-OAEP and AES-GCM; AES-CBC only in a signed Response.";
        SAML_ISSUER = Invalid "saml_issuer", "The SAML message is from another identity provider.", "Compare the entity id of the connection's metadata with the one that `authd explain` shows.";
        SAML_AUDIENCE = Invalid "saml_audience", "The assertion is for another service.", "Set the audience at the identity provider to this connection's entity id, exactly.";
        SAML_RECIPIENT = Invalid "saml_recipient", "The assertion is for another address.", "Set the reply address (ACS) at the identity provider to this connection's, exactly.";
        SAML_DESTINATION = Invalid "saml_destination", "The SAML message was sent to another address.", "Set the reply address (ACS) at the identity provider to this connection's, exactly.";
        SAML_CONDITIONS = Invalid "saml_conditions", "The assertion holds under a condition that is not known here.", "";
        SAML_UNSOLICITED = Invalid "saml_unsolicited", "Nobody here asked for this sign-in.", "Start from the app; sign-in that starts at the identity provider is a setting of the connection.";
        SAML_IN_RESPONSE_TO = Invalid "saml_in_response_to", "The SAML message answers another request.", "Start again from the app.";
        SAML_REPLAY = Invalid "saml_replay", "This assertion was used before.", "Start again from the app.";
        SAML_EXPIRED = Invalid "saml_expired", "The SAML message is no longer valid, or does not say until when it is.", "Compare the clocks of both machines; `security.clockSkewSeconds` of the connection allows for some difference.";
        SAML_NOT_YET_VALID = Invalid "saml_not_yet_valid", "The SAML message is not valid yet.", "Compare the clocks of both machines; `security.clockSkewSeconds` of the connection allows for some difference.";
        SAML_NAMEID = Invalid "saml_nameid", "The assertion has no NameID that could name somebody.", "Let the identity provider send a persistent NameID or an e-mail address.";
        SAML_AUTHN = Invalid "saml_authn", "The person did not sign in there as was asked.", "Compare the authentication context that the connection asks for with what the identity provider states.";
        EMAIL_NOT_VERIFIED = Forbidden "email_not_verified", "The provider has not verified this e-mail address.", "The provider must send `email_verified: true`; `profile.mapping.emailVerified` names another claim (Entra ID has `xms_edov` to choose).";
        EMAIL_DOMAIN_NOT_OWNED = Forbidden "email_domain_not_owned", "This connection does not own the domain of the e-mail address.", "Prove the domain for this connection: `authd domain verify`.";
        EMAIL_CONFLICT = Forbidden "email_conflict", "Another person of the organization has this e-mail address.", "An administrator can link the two.";
        PROFILE_INVALID = Invalid "profile_invalid", "The profile of the person cannot be used.", "";
        NOT_A_MEMBER = Forbidden "not_a_member", "This person is not a member, and is not added by signing in.", "Ask your administrator.";
        LAST_OWNER = Conflict "last_owner", "The organization would be left without an owner.", "Make somebody else an owner first: `authd member set-role`.";
        SUSPENDED_BY_ADMIN = Forbidden "suspended_by_admin", "An administrator has ended this person's access; no source gives it back.", "An administrator can: `authd user reactivate`.";
        ENDED_BY_SOURCE = Conflict "ended_by_source", "Another source has ended this person's access.", "Let that source give it back; an administrator can insist with `--force`.";
        FIELD_OWNED = Conflict "field_owned", "Another source has the last word about this field.", "The policy's `provisioning.user.authority` says whose; change it there, or change the field at the source.";
        PERSON_DISABLED = Forbidden "person_disabled", "This person's access has ended.", "Ask your administrator.";
        INVALID_CREDENTIALS = Unauthenticated "invalid_credentials", "That name and password did not work.", "Check both and try again. If it stays, ask your administrator: they see the reason.";
        LDAP_UNAVAILABLE = Unavailable "ldap_unavailable", "The directory did not answer as it should.", "Try again in a moment. `authd connection test` names the step that fails.";
        LDAP_TLS_REQUIRED = Unavailable "ldap_tls_required", "There is no encryption that holds toward the directory, so no password was sent.", "`authd connection test` names what is wrong with the server's certificate or its StartTLS.";
        SYNC_REFUSED = Conflict "sync_refused", "More people are missing from the directory than can be believed, so nobody's access was ended.", "Check base and filter of the connection; `authd connection sync --force` believes it.";
        LDAP_REFERRAL = Unavailable "ldap_referral", "The directory refers to another server, which authd does not ask.", "Name that server in the connection itself.";
        CSRF = Forbidden "csrf", "The form did not come from this page.", "Open the page again.";

        // toward apps (RFC 6749 names where it has them)
        INVALID_REQUEST = Invalid "invalid_request", "The request is not complete or not valid.", "";
        INVALID_CLIENT = Unauthenticated "invalid_client", "The app could not be authenticated.", "";
        UNAUTHORIZED_CLIENT = Invalid "unauthorized_client", "The app may not do this.", "";
        REDIRECT_URI_MISMATCH = Invalid "redirect_uri_mismatch", "The app's redirect URI is not one that is registered for it.", "Register exactly this one: `authd app update`.";
        INVALID_GRANT = Invalid "invalid_grant", "The code or token is not valid, used up, or was made for another app.", "";
        AUTHORIZATION_PENDING = Invalid "authorization_pending", "Nobody has decided about the device yet.", "";
        SLOW_DOWN = Invalid "slow_down", "The device asks too often.", "Wait five seconds longer between two questions.";
        EXPIRED_TOKEN = Invalid "expired_token", "The device code has expired.", "Start again on the device.";
        USER_CODE_INVALID = Invalid "user_code_invalid", "No device is waiting with this code.", "Compare it with the one on your device. A code is good for ten minutes; the device can show a new one.";
        POST_LOGOUT_URI_MISMATCH = Invalid "post_logout_uri_mismatch", "The address to return to after signing out is not one that is registered for the app.", "Register exactly this one: `authd app update`.";
        INVALID_SCOPE = Invalid "invalid_scope", "The scope is not one that can be asked for.", "";
        INVALID_TOKEN = Unauthenticated "invalid_token", "The access token is not valid here.", "";
        UNSUPPORTED_GRANT_TYPE = Invalid "unsupported_grant_type", "This grant type is not served.", "";
        UNSUPPORTED_RESPONSE_TYPE = Invalid "unsupported_response_type", "Only the response type `code` is served.", "";
        LOGIN_REQUIRED = Unauthenticated "login_required", "The person has to sign in.", "";
        CONSENT_REQUIRED = Forbidden "consent_required", "The person has not let this app in.", "Start again from the app, and allow it.";
        ACCESS_DENIED = Forbidden "access_denied", "The sign-in was refused.", "";

        // provisioning (RFC 7644 §3.12 and RFC 9865 §2.1 have the names)
        INVALID_FILTER = Invalid "invalid_filter", "The filter cannot be read, or compares what is not compared.", "";
        INVALID_PATH = Invalid "invalid_path", "The path cannot be read, or leads nowhere.", "";
        INVALID_VALUE = Invalid "invalid_value", "A value is missing or is not of its type.", "";
        SCIM_DISABLED = Forbidden "scim_disabled", "Provisioning by this directory is switched off.", "`authd scim set --status active` switches it on.";
        INVALID_SYNTAX = Invalid "invalid_syntax", "The request is not one of SCIM.", "";
        INVALID_CURSOR = Invalid "invalid_cursor", "The cursor is not one of ours, or is of another list.", "Begin the list anew, with an empty `cursor`.";
        NO_TARGET = Invalid "no_target", "The path matches nothing that could be changed.", "";
        MUTABILITY = Invalid "mutability", "The attribute cannot be changed.", "";
        PRECONDITION_FAILED = Stale "precondition_failed", "The resource has another version by now.", "Read it again, then repeat the change with its new `ETag`.";
        NOT_A_PERSON = Invalid "not_a_person", "The token is not a person's, so there is no `/Me`.", "";

        // webhooks that come in
        WEBHOOK_SIGNATURE = Unauthenticated "webhook_signature", "The message is not signed by a secret of this address, or not of now.", "Check the secret at the sender, and the clocks of both sides.";
        WEBHOOK_DUPLICATE = Conflict "webhook_duplicate", "The message has come before.", "";

        // doors
        HOST_NOT_SERVED = Invalid "host_not_served", "This host name is not served here.", "Use the public URL.";
        SHUTTING_DOWN = Unavailable "shutting_down", "authd is stopping.", "Try again in a moment.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_snake_case() {
        let mut seen = std::collections::BTreeSet::new();
        for code in codes::ALL {
            assert!(seen.insert(code.name), "{} stands twice", code.name);
            assert!(code.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", code.name);
            assert!(code.message.ends_with('.'), "{}", code.name);
        }
    }

    #[test]
    fn the_source_stays_out_of_what_a_person_reads() {
        let error = Error::new(&codes::STORAGE_ERROR).because("EIO on /var/lib/authd/authd.redb");
        assert!(!error.to_string().contains("EIO"));
        assert!(!error.next_step().unwrap_or_default().contains("EIO"));
        assert!(error.log_line().contains("EIO"));
    }
}
