//! The closed list of event kinds. Names are never changed; new ones are added.

macro_rules! kinds {
    ($($name:ident = $text:literal, $about:literal;)*) => {
        /// What kind of event it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum EventKind {
            $(#[doc = $about] #[serde(rename = $text)] $name,)*
        }
        impl EventKind {
            /// Every kind, in the order of this file.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// Its stable name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
            /// One sentence about it.
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => $about),* }
            }
        }
    };
}

kinds! {
    OrganizationCreated = "organization.created", "An organization was created.";
    OrganizationUpdated = "organization.updated", "An organization was changed, disabled or enabled.";
    OrganizationRemoved = "organization.removed", "An organization was ended for good.";
    OrganizationSwept = "organization.swept", "Data of an ended organization was removed.";
    UserCreated = "user.created", "A person became known to an organization.";
    UserUpdated = "user.updated", "A person's profile, roles or status changed.";
    UserSuspended = "user.suspended", "An administrator ended a person's access.";
    UserDeprovisioned = "user.deprovisioned", "A person has left: their source, or an administrator, ended their access.";
    UserReactivated = "user.reactivated", "A person was given their access back, or was admitted.";
    UserDeleted = "user.deleted", "A person's access ended, and what the organization knew of them was deleted.";
    UserErased = "user.erased", "What is kept of a person was asked to be erased; their details in the log follow.";
    ErasureCompleted = "user.erasure_completed", "The log, and what was sent of it, tells nothing personal of an erased person any more.";
    AccountLinked = "account.linked", "An identity of an upstream provider was linked to a person.";
    AccountUnlinked = "account.unlinked", "An identity of an upstream provider was taken off a person.";
    GroupCreated = "group.created", "A directory made a group known.";
    GroupUpdated = "group.updated", "A directory changed a group, or who is in it.";
    GroupDeleted = "group.deleted", "A directory removed a group.";
    SessionSignedIn = "session.signed_in", "A person signed in.";
    SessionSignedOut = "session.signed_out", "A person signed out.";
    SessionInvalidated = "session.invalidated", "A session was ended by somebody else.";
    ConnectionCreated = "connection.created", "A connection was created.";
    ConnectionUpdated = "connection.updated", "A connection was changed, activated or disabled.";
    ConnectionRemoved = "connection.removed", "A connection was deleted; it can be restored for 30 days.";
    ConnectionOidcSet = "connection.oidc.set", "The OpenID Connect configuration of a connection was set.";
    ConnectionSamlSet = "connection.saml.set", "The SAML configuration of a connection was set.";
    ConnectionSamlRefreshed = "connection.saml.refreshed", "The metadata of a connection's identity provider was read again; certificates that came or went are named.";
    ConnectionSamlRefreshFailed = "connection.saml.refresh_failed", "The metadata of a connection's identity provider cannot be read any more; told once.";
    ConnectionSamlApproved = "connection.saml.approved", "Certificates of a connection's identity provider that were new were approved.";
    ConnectionSamlKeyRotated = "connection.saml.key_rotated", "A connection's own key took a step of its change.";
    ConnectionSamlCertificateEnds = "connection.saml.certificate_expiring", "A certificate of a connection ends within 60, 30 or 7 days, or has ended; each is told once.";
    ConnectionLdapSet = "connection.ldap.set", "The LDAP configuration of a connection was set.";
    ConnectionSynced = "connection.sync.completed", "The people of a directory were read, and what had changed was taken over.";
    ConnectionSyncFailed = "connection.sync.failed", "The people of a directory could not be read, or too many had gone to believe it.";
    ScimSet = "connection.scim.set", "How a directory may speak, and what its words mean, was set.";
    ScimTokenCreated = "connection.scim.token_created", "A token was made by which a directory speaks.";
    ScimTokenRevoked = "connection.scim.token_revoked", "A token of a directory was revoked.";
    ScimUserProvisioned = "connection.scim.user.provisioned", "A directory made a person known.";
    ScimUserUpdated = "connection.scim.user.updated", "A directory changed what it says of a person.";
    ScimUserDeactivated = "connection.scim.user.deactivated", "A directory deactivated or removed a person.";
    ScimUserReactivated = "connection.scim.user.reactivated", "A directory has a person back.";
    ScimGroupProvisioned = "connection.scim.group.provisioned", "A directory made a group known.";
    ScimGroupUpdated = "connection.scim.group.updated", "A directory changed a group, or who is in it.";
    ScimGroupDeactivated = "connection.scim.group.deactivated", "A directory removed a group.";
    ScimGroupReactivated = "connection.scim.group.reactivated", "A directory has a group back that it had removed within the last 30 days.";
    ScimRead = "connection.scim.read", "A directory read people or groups; told at most once an hour for each who reads, with the number of reads since it was told last.";
    ScimRefused = "connection.scim.refused", "A request of a directory was refused.";
    PolicyUpdated = "connection.policy.updated", "The policy of an organization was changed.";
    EnforcementEnabled = "enforcement.enabled", "People of an organization, of domains or of a connection have to sign in through it.";
    EnforcementUpdated = "enforcement.updated", "Who has to sign in through a connection, or who is exempt, was changed.";
    EnforcementDisabled = "enforcement.disabled", "People of an organization or of a connection need not sign in through it any more.";
    BreakGlassCreated = "break_glass.created", "The operator made a link that signs somebody in without any identity provider.";
    BreakGlassUsed = "break_glass.used", "Somebody signed in by a link that the operator had made.";
    BreakGlassRevoked = "break_glass.revoked", "The operator took a link back; the session of somebody who came by it is ended.";
    BreakGlassRefused = "break_glass.refused", "A link that the operator had made was refused: used, expired, taken back, or not for them any more.";
    ConnectionLoginSucceeded = "connection.login.succeeded", "A sign-in through a connection succeeded.";
    ConnectionLoginFailed = "connection.login.failed", "A sign-in through a connection was refused.";
    ConnectionLogoutReceived = "connection.logout.received", "A provider said that somebody has signed out there; the sessions it meant have ended.";
    ConnectionLogoutAnswered = "connection.logout.answered", "A provider that was asked to sign somebody out has answered.";
    ConnectionLogoutRefused = "connection.logout.refused", "What was said to be a provider's word about a sign-out was refused.";
    DomainClaimed = "connection.domain.claimed", "A domain was added to a connection, not yet verified.";
    DomainVerificationRequested = "connection.domain.verification_requested", "The proof of a domain was asked for.";
    DomainVerified = "connection.domain.verified", "A domain was verified, or vouched for.";
    DomainRecheckFailed = "connection.domain.recheck_failed", "The record that proves a domain is not in DNS any more; told once a day.";
    DomainRecovered = "connection.domain.recovered", "The record that proves a domain is in DNS again.";
    DomainLossNear = "connection.domain.loss_near", "The proof of a domain is lost within seven days, or within one.";
    DomainLost = "connection.domain.lost", "The record that proves a domain stayed away from DNS; the domain is a mere claim again.";
    DomainRemoved = "connection.domain.removed", "A domain was taken off a connection.";
    SigninRefused = "signin.refused", "A sign-in was refused before its connection was known.";
    RefusalsCounted = "refusals.counted", "More refusals came from one address, or by one API key, within a minute than are told one by one.";
    AppCreated = "oauth.client.created", "An app was registered.";
    AppUpdated = "oauth.client.updated", "An app was changed.";
    AppRevoked = "oauth.client.revoked", "An app was removed.";
    CodeCreated = "oauth.code.created", "An app was given an authorization code.";
    CodeReused = "oauth.code.reuse_detected", "A used code was presented again; what it had given was revoked.";
    TokenCreated = "oauth.token.created", "A token was issued.";
    TokenExchanged = "oauth.token.exchanged", "A code was exchanged for tokens.";
    RefreshExchanged = "session.refresh_exchanged", "A refresh token was exchanged for fresh tokens.";
    RefreshReused = "oauth.refresh.reuse_detected", "A used refresh token was presented again; what it had given was revoked.";
    SessionRefreshReused = "session.refresh_reuse_detected", "A used refresh token that came from a session was presented again; told beside `oauth.refresh.reuse_detected`, about the session.";
    RefreshRevoked = "oauth.refresh.revoked", "A refresh token was given back by its app, or taken back by the person; `oauth.grant.revoked` is told beside it.";
    DeviceAllowed = "oauth.device.allowed", "A person let an app in on a device.";
    DeviceDenied = "oauth.device.denied", "A person refused an app on a device.";
    DeviceRefused = "oauth.device.refused", "A code was typed that no device waits with.";
    LogoutRefused = "oauth.logout.refused", "A request to sign out was refused.";
    LogoutAcknowledged = "oauth.logout.acknowledged", "An app has taken note that a session ended.";
    LogoutFailed = "oauth.logout.failed", "An app could not be told that a session ended.";
    TokenRefused = "oauth.token.refused", "A token was refused, or a request for one.";
    ConsentGranted = "oauth.consent.granted", "A person let an app know them and act for them.";
    ConsentDenied = "oauth.consent.denied", "A person did not let an app in.";
    ConsentRevoked = "oauth.consent.revoked", "What a person had let an app do was taken back, with all that the app had been given for it.";
    GrantRevoked = "oauth.grant.revoked", "What an app had been given was revoked.";
    ApiKeyCreated = "api_key.created", "An API key was created.";
    ApiKeyRevoked = "api_key.revoked", "An API key was revoked.";
    RoleCreated = "role.created", "A role was created.";
    RoleUpdated = "role.updated", "What a role grants, or what is said about it, was changed.";
    RoleDeleted = "role.deleted", "A role was deleted.";
    IssuerCreated = "issuer.created", "An organization takes the tokens of one more issuer.";
    IssuerUpdated = "issuer.updated", "A trusted issuer was changed.";
    IssuerRemoved = "issuer.removed", "An organization takes the tokens of an issuer no longer.";
    SigningKeyCreated = "signing_key.created", "A signing key was made.";
    SigningKeyScheduled = "signing_key.scheduled", "The next signing key is to take over at a time, when every verifier knows it.";
    SigningKeyActivated = "signing_key.activated", "The next signing key has taken over.";
    SigningKeyRetired = "signing_key.retired", "A signing key signs no more; it is published until its last token has ended.";
    SigningKeyRemoved = "signing_key.removed", "The last token of a retired signing key has ended; it is published no more.";
    SigningKeyRevoked = "signing_key.revoked", "A signing key was taken away, and with it every token that it signed.";
    MasterKeyResealed = "master_key.resealed", "Values that are kept were sealed anew, under the new master key.";
    MasterKeyRotated = "master_key.rotated", "Everything is sealed under a new master key; the old one is no longer needed.";
    WebhookEndpointCreated = "webhook.endpoint.created", "A webhook endpoint was created.";
    WebhookEndpointUpdated = "webhook.endpoint.updated", "A webhook endpoint was changed or enabled.";
    WebhookEndpointDisabled = "webhook.endpoint.disabled", "A webhook endpoint was disabled, by somebody or because it failed for days.";
    WebhookEndpointRemoved = "webhook.endpoint.removed", "A webhook endpoint was removed.";
    WebhookSecretRotated = "webhook.endpoint.secret_rotated", "A webhook endpoint was given a new secret.";
    WebhookEndpointTested = "webhook.endpoint.tested", "A test event was sent to a webhook endpoint.";
    WebhookReplayed = "webhook.endpoint.replayed", "Events of the past were sent to a webhook endpoint once more.";
    DeliveryCreated = "webhook.delivery.created", "An event is to be sent to a webhook endpoint.";
    DeliveryAttempted = "webhook.delivery.attempted", "A webhook endpoint did not take an event; it is tried again.";
    DeliverySucceeded = "webhook.delivery.succeeded", "A webhook endpoint has taken an event.";
    DeliveryFailed = "webhook.delivery.failed", "A webhook endpoint was given up for an event.";
    InboundCreated = "webhook.inbound.created", "An address was made at which another service tells of people.";
    InboundRemoved = "webhook.inbound.removed", "An address at which another service told of people was removed.";
    InboundSecretRotated = "webhook.inbound.secret_rotated", "An address at which another service tells of people was given a new secret.";
    InboundApplied = "webhook.inbound.applied", "What another service told of a person was taken over.";
    InboundPassedOver = "webhook.inbound.passed_over", "What another service told of a person was older than what is known.";
    InboundDuplicate = "webhook.inbound.duplicate", "A message of another service came again; nothing was done.";
    InboundRefused = "webhook.inbound.refused", "A message of another service was refused.";
    AuditExported = "audit.exported", "The log was exported.";
    RetentionSet = "audit.retention_set", "How long the log is kept was set.";
    AuditErased = "audit.erased", "Details of the log were erased, with a person whom they told of.";
    AuditPruned = "audit.pruned", "The oldest part of the log was removed, as its retention says.";
    OperationRefused = "operation.refused", "Somebody asked for what they may not do.";
    ServerStarted = "server.started", "The server started.";
    BackupCreated = "backup.created", "A backup of everything was written.";
    BackupRestored = "backup.restored", "The database was put back from a backup; what was signed in then has ended.";
    StoreUpgraded = "store.upgraded", "The database was brought to the layout of this version.";
    ServerStopped = "server.stopped", "The server stopped in order.";
}

impl EventKind {
    /// Whether a pattern covers it: its name, or a beginning of names that ends in `*`.
    pub fn is_covered_by(self, pattern: &str) -> bool {
        match pattern.strip_suffix('*') {
            Some(start) => self.name().starts_with(start),
            None => self.name() == pattern,
        }
    }

    /// Whether one of several patterns with commas between covers it.
    pub fn is_among(self, patterns: &str) -> bool {
        patterns.split(',').any(|pattern| self.is_covered_by(pattern.trim()))
    }
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
