//! A well-formed input for every operation, about fresh things of Acme: it would succeed for the operator.

use std::sync::atomic::Ordering;

use authd::access::Caller;
use authd::directory::{DirectoryGroup, GroupMember};
use authd::event::{EventKind, Origin};
use authd::id::DirectoryGroupId;
use authd::provider::Consent;
use authd::session::{Epochs, NewSession, Session};
use authd::store::Batch;
use serde_json::{Value, json};

use super::scene::{CANARY, ISSUER, Scene, Who};

fn id(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

impl Scene {
    /// What the operation is asked with.
    pub async fn sample(&self, name: &str) -> Value {
        let acme = self.acme;
        match name {
            "counts.show" | "timings.show" | "organization.list" | "break_glass.list" => json!({}),
            "organization.create" => json!({"name": "Third"}),
            "organization.get" | "organization.disable" | "organization.enable" => json!({"id": acme}),
            "organization.update" => json!({"id": acme, "name": CANARY}),
            "organization.delete" => json!({"id": acme, "confirm": CANARY}),
            "audit.list" | "audit.export" | "webhook.list" => json!({"organization": acme}),
            "audit.get" => {
                let number = self.authd.app.world.store.log_seq();
                let made = json!({"organization": acme, "email": format!("log{number}-{CANARY}@example.test")});
                self.authd.operate("user.create", made).await;
                json!({"seq": self.authd.app.world.store.log_seq()})
            }
            "audit.verify" | "audit.retention" => json!({}),
            "audit.set_retention" => json!({"days": 365}),
            "webhook.create" => json!({"organization": acme, "url": "https://127.0.0.1/hooks"}),
            "webhook.get"
            | "webhook.enable"
            | "webhook.disable"
            | "webhook.delete"
            | "webhook.test"
            | "webhook.rotate_secret" => json!({"id": self.endpoint().await}),
            "webhook.update" => json!({"id": self.endpoint().await, "name": CANARY}),
            "webhook.replay" => json!({"id": self.endpoint().await, "since": "2026-01-01T00:00:00Z"}),
            "inbound.create" => json!({"organization": acme, "name": CANARY}),
            "inbound.list" => json!({"organization": acme}),
            "inbound.get" | "inbound.rotate_secret" | "inbound.delete" => {
                let wish = json!({"organization": acme, "name": CANARY});
                json!({"id": id(&self.authd.operate("inbound.create", wish).await, "id")})
            }
            "delivery.list" => json!({"endpoint": self.endpoint().await}),
            "delivery.get" | "delivery.replay" => {
                let endpoint = self.endpoint().await;
                // The first turn only looks where the log is.
                self.authd.app.outbox.turn(&self.authd.app.world).await.unwrap();
                self.authd.operate("webhook.test", json!({"id": endpoint})).await;
                self.authd.app.outbox.turn(&self.authd.app.world).await.unwrap();
                let sent = self.authd.operate("delivery.list", json!({"endpoint": endpoint})).await;
                json!({"id": id(&sent["items"][0], "id")})
            }
            "doctor.examine" | "master_key.show" | "master_key.rotate" => json!({}),
            // A path that cannot be written, so that nothing is.
            "backup.create" => json!({"path": "nowhere.backup"}),

            "user.create" => json!({"organization": acme, "email": format!("new-{CANARY}@example.test")}),
            "user.update" => json!({"organization": acme, "id": self.somebody().await, "name": "Ada"}),
            "user.suspend" | "user.delete" | "user.erase" => json!({"organization": acme, "id": self.somebody().await}),
            "user.reactivate" => {
                let them = json!({"organization": acme, "id": self.somebody().await});
                self.authd.operate("user.suspend", them.clone()).await;
                them
            }
            "member.set_role" => json!({"organization": acme, "user": self.somebody().await, "roles": ["viewer"]}),
            "member.remove" => json!({"organization": acme, "user": self.somebody().await}),
            "identity.list" => json!({"organization": acme, "user": self.person(Who::Member)}),
            "identity.link" => self.identity().await,
            "identity.unlink" => {
                let identity = self.identity().await;
                self.authd.operate("identity.link", identity.clone()).await;
                identity
            }

            "enforcement.get" => json!({"organization": acme}),
            "enforcement.set" => json!({"organization": acme, "enforce": false}),
            "break_glass.create" => json!({"organization": acme, "user": self.one_owner().await, "reason": CANARY}),
            "break_glass.revoke" => {
                let wish = json!({"organization": acme, "user": self.one_owner().await, "reason": CANARY});
                json!({"id": id(&self.authd.operate("break_glass.create", wish).await, "id")})
            }
            "policy.get" | "policy.reset" | "policy.validate" => json!({"organization": acme}),
            "policy.update" => {
                json!({"organization": acme, "patch": {"provisioning": {"jit": {"mode": "off"}}}})
            }
            "policy.explain" => {
                let input = json!({"sub": CANARY, "email": format!("{CANARY}@acme.example"), "email_verified": true});
                json!({"connection": self.connection().await, "input": input})
            }

            "user.list" | "session.list" | "signin.list" | "expiry.list" | "api_key.list" | "app.list"
            | "connection.list" => {
                json!({"organization": acme})
            }
            "user.get" => json!({"id": self.person(Who::Member)}),
            "group.list" => json!({"organization": acme}),
            "group.get" => json!({"id": self.group().await}),
            "consent.list" => json!({"organization": acme}),
            "consent.revoke" => self.consent().await,
            "session.get" | "session.revoke" => json!({"id": self.session().await}),
            // Not everybody: the callers of the other rows are among them.
            "session.revoke_all" => json!({"organization": acme, "user": self.somebody().await}),
            "key.list" | "key.rotate" => json!({}),
            "key.revoke" => {
                // One that nobody has a token of.
                let listed = self.authd.operate("key.list", json!({})).await;
                let keys = listed["items"].as_array().unwrap();
                let next = keys.iter().find(|key| key["state"] == "next");
                match next {
                    Some(next) => json!({"id": id(next, "id")}),
                    None => {
                        self.authd.operate("key.rotate", json!({"now": true})).await;
                        let listed = self.authd.operate("key.list", json!({})).await;
                        let next =
                            listed["items"].as_array().unwrap().iter().find(|key| key["state"] == "next").cloned();
                        json!({"id": id(&next.unwrap(), "id")})
                    }
                }
            }
            "token.issue" => json!({"organization": acme, "role": "viewer"}),

            "api_key.create" => json!({"organization": acme, "name": CANARY, "grants": []}),
            "api_key.revoke" => {
                let made = json!({"organization": acme, "name": CANARY, "grants": []});
                json!({"id": id(&self.authd.operate("api_key.create", made).await, "id")})
            }

            "token.explain" => json!({"organization": acme, "token": "eyJhbGciOiJub25lIn0.e30."}),
            "issuer.list" => json!({"organization": acme}),
            "issuer.create" => {
                json!({"organization": acme, "kind": "oidc", "domain": ISSUER, "applicationID": CANARY})
            }
            "issuer.get" | "issuer.validate" | "issuer.delete" => json!({"id": self.issuer().await}),
            "issuer.update" => json!({"id": self.issuer().await, "name": "Another name"}),
            "scim.set" => json!({"organization": acme, "profile": {"extraFields": {"canary": "title"}}}),
            "scim.get" | "scim.status" | "scim.validate" => json!({"organization": acme}),
            "scim.token.create" => json!({"organization": acme, "label": CANARY}),
            "scim.token.list" => json!({"organization": acme}),
            "scim.token.revoke" => {
                let made = json!({"organization": acme, "label": CANARY});
                json!({"id": id(&self.authd.operate("scim.token.create", made).await, "id")})
            }

            "role.create" => json!({"organization": acme, "name": "auditor", "grants": []}),
            "role.list" => json!({"organization": acme}),
            "role.get" | "role.delete" => json!({"organization": acme, "name": self.role().await}),
            "role.update" => json!({"organization": acme, "name": self.role().await, "about": CANARY}),

            "app.create" => {
                json!({"organization": acme, "name": CANARY, "redirectUris": ["https://wiki.example/cb"]})
            }
            "app.get" | "app.delete" | "app.rotate_secret" | "app.convex_config" => json!({"id": self.app().await}),
            "app.update" => json!({"id": self.app().await, "name": "Wiki (new)"}),

            "connection.create" => json!({"organization": acme, "protocol": "oidc", "name": CANARY}),
            "connection.update" => json!({"id": self.connection().await, "name": "Okta (new)"}),
            "connection.set_oidc" => json!({"id": self.connection().await, "clientId": "another"}),
            "connection.sync" => json!({"id": self.directory().await}),
            "connection.set_ldap" => {
                let wish = json!({"organization": acme, "protocol": "ldap", "name": CANARY});
                let made = self.authd.operate("connection.create", wish).await;
                json!({"id": id(&made, "id"), "preset": "lldap"})
            }
            "connection.set_saml" => json!({"id": self.saml(None).await, "request": {"forceAuthn": true}}),
            "connection.refresh_saml" => {
                let at = self.saml_metadata().await;
                json!({"id": self.saml(Some(at)).await})
            }
            "connection.approve_saml" => json!({"id": self.saml(None).await, "certificates": ["00"]}),
            "connection.rotate_saml_key" => json!({"id": self.saml(None).await, "step": "retire"}),
            "saml.explain" => {
                let wish = json!({"id": self.saml(None).await, "idpEntityId": "https://idp.example", "idpSsoUrl": "https://idp.example/sso",
                    "idpCertificate": crate::world::saml::pem(&crate::world::saml::Key::rsa().certificate)});
                self.authd.operate("connection.set_saml", wish.clone()).await;
                json!({"connection": wish["id"], "message": "PGE+"})
            }
            "connection.restore" => {
                let connection = self.connection().await;
                self.authd.operate("connection.delete", json!({"id": connection})).await;
                json!({"id": connection})
            }
            "connection.get"
            | "connection.get_oidc"
            | "connection.get_ldap"
            | "connection.get_saml"
            | "connection.status"
            | "connection.validate"
            | "connection.test"
            | "connection.activate"
            | "connection.disable"
            | "connection.delete" => {
                json!({"id": self.connection().await})
            }
            "domain.list" | "domain.status" | "domain.validate" => json!({"connection": self.connection().await}),
            "domain.add" => json!({"connection": self.connection().await, "domain": "acme.example"}),
            "domain.request" | "domain.verify" | "domain.confirm" | "domain.remove" => self.domain().await,
            "domain.recheck" | "domain.set_primary" => {
                let claim = self.domain().await;
                self.authd.operate("domain.verify", claim.clone()).await;
                claim
            }
            "domain.set" => json!({"connection": self.connection().await, "domains": ["acme.example"]}),

            "signin.explain" => json!({"id": self.signin().await}),

            _ => panic!("add a sample for `{name}` to tests/it/matrix/sample.rs, and its row to tests/it/matrix.tsv"),
        }
    }

    /// A new owner of Acme's.
    async fn one_owner(&self) -> authd::id::UserId {
        let number = self.authd.app.world.store.log_seq();
        self.authd.person(self.acme, &format!("owner{number}"), &["owner"]).await
    }

    /// A new person of Acme's, without any role.
    async fn somebody(&self) -> String {
        let made = self.roles.fetch_add(1, Ordering::Relaxed);
        let wish = json!({"organization": self.acme, "email": format!("{CANARY}-{made}@example.test")});
        id(&self.authd.operate("user.create", wish).await, "id")
    }

    /// An identity of a connection of Acme's that nobody has.
    async fn identity(&self) -> Value {
        let subject = format!("{ISSUER}|{CANARY}");
        json!({
            "organization": self.acme, "user": self.somebody().await, "connection": self.connection().await,
            "subject": subject,
        })
    }

    /// A group of the directory of a connection of Acme's, with the member in it.
    pub async fn group(&self) -> String {
        let world = &self.authd.app.world;
        let cx = world.context(Caller::System, Origin::internal(&world.env));
        let id = DirectoryGroupId::new(&world.env);
        let (created_at, updated_at) = (world.env.now(), world.env.now());
        let connection = self.connection().await.parse().unwrap();
        let name = CANARY.to_owned();
        let organization = self.acme;
        let group = DirectoryGroup { id, organization, connection, external_id: None, name, created_at, updated_at };
        let mut batch = Batch::new();
        batch.create(&group).create(&GroupMember { group: id, organization, user: self.person(Who::Member) });
        batch.log(cx.event(EventKind::GroupCreated).within(organization));
        world.store.commit(batch).await.unwrap();
        id.to_string()
    }

    /// A role of Acme's own that grants nothing.
    pub async fn endpoint(&self) -> String {
        let input = json!({"organization": self.acme, "url": "https://127.0.0.1/hooks", "name": CANARY});
        id(&self.authd.operate("webhook.create", input).await, "id")
    }

    pub async fn role(&self) -> String {
        let made = self.roles.fetch_add(1, Ordering::Relaxed);
        let wish = json!({"organization": self.acme, "name": format!("role-{made}"), "grants": [], "about": CANARY});
        id(&self.authd.operate("role.create", wish).await, "name")
    }

    pub async fn issuer(&self) -> String {
        let made = self.roles.fetch_add(1, Ordering::Relaxed);
        let audience = format!("{CANARY}-{made}");
        let wish = json!({"organization": self.acme, "kind": "oidc", "domain": ISSUER, "applicationID": audience});
        id(&self.authd.operate("issuer.create", wish).await, "id")
    }

    pub async fn app(&self) -> String {
        let wish = json!({"organization": self.acme, "name": CANARY, "redirectUris": ["https://wiki.example/cb"]});
        id(&self.authd.operate("app.create", wish).await, "clientId")
    }

    /// A draft that could be switched on.
    pub async fn connection(&self) -> String {
        let wish = json!({
            "organization": self.acme, "protocol": "oidc", "name": CANARY, "issuer": ISSUER,
            "clientId": "authd", "clientSecret": "a-secret-of-the-provider",
        });
        id(&self.authd.operate("connection.create", wish).await, "id")
    }

    /// A draft that leads to a directory.
    pub async fn directory(&self) -> String {
        use authd::connection::simulator::directory::{Directory, PEOPLE_BASE, SERVICE};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ldap://{}", listener.local_addr().unwrap());
        tokio::spawn(Directory::new(authd::crypto::Secret::new("a-secret")).serve(listener));
        let wish = json!({
            "organization": self.acme, "protocol": "ldap", "name": CANARY, "ldapUrl": url, "ldapBindDn": SERVICE,
            "ldapBindPassword": "a-secret", "ldapSearchBase": PEOPLE_BASE,
        });
        id(&self.authd.operate("connection.create", wish).await, "id")
    }

    /// A draft that speaks SAML.
    pub async fn saml(&self, metadata_url: Option<String>) -> String {
        let mut wish = json!({"organization": self.acme, "protocol": "saml", "name": CANARY});
        if let Some(url) = metadata_url {
            wish["metadataUrl"] = json!(url);
        }
        id(&self.authd.operate("connection.create", wish).await, "id")
    }

    /// The address of an identity provider's metadata.
    pub async fn saml_metadata(&self) -> String {
        use axum::routing::get;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metadata", listener.local_addr().unwrap());
        let xml = crate::world::saml::metadata(&crate::world::saml::Idp::new(), false);
        let router = axum::Router::new().route("/metadata", get(move || async move { xml }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// A claim whose record stands in DNS.
    pub async fn domain(&self) -> Value {
        let claim = json!({"connection": self.connection().await, "domain": "acme.example"});
        let claimed = self.authd.operate("domain.add", claim.clone()).await;
        let challenge = &claimed["challenge"];
        self.zone.set(&id(challenge, "recordName"), &[&id(challenge, "recordValue")]);
        claim
    }

    /// A session of the member's.
    pub async fn session(&self) -> String {
        let app = &self.authd.app;
        let cx = app.context(Caller::System, Origin::internal(self.authd.env()));
        let new = NewSession {
            organization: self.acme,
            user: self.person(Who::Member),
            connection: None,
            under: Epochs::default(),
            auth_time: cx.env.now(),
            acr: None,
            amr: Vec::new(),
            upstream_session: None,
            upstream_subject: None,
            break_glass: None,
            handed: false,
            email: Some(format!("{CANARY}@example.test")),
            until: None,
        };
        let mut batch = Batch::new();
        let opened = Session::open(&cx, new, &mut batch).await.unwrap();
        app.world.store.commit(batch).await.unwrap();
        opened.session.id.to_string()
    }

    /// What the member lets an app of Acme's do.
    async fn consent(&self) -> Value {
        let (user, app) = (self.person(Who::Member), self.app().await);
        let world = &self.authd.app.world;
        let cx = world.context(Caller::System, Origin::internal(&world.env));
        let now = world.env.now();
        let consent = Consent {
            organization: self.acme,
            user,
            app: app.parse().unwrap(),
            scopes: vec!["openid".to_owned()],
            created_at: now,
            updated_at: now,
        };
        let mut batch = Batch::new();
        batch.create(&consent).log(cx.event(EventKind::ConsentGranted).within(self.acme));
        world.store.commit(batch).await.unwrap();
        json!({"organization": self.acme, "user": user, "app": app})
    }

    /// A sign-in that the provider refused.
    pub async fn signin(&self) -> String {
        let (app, connection) = (self.app().await, self.connection().await);
        self.authd.operate("connection.activate", json!({"id": connection})).await;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", &app),
                ("redirect_uri", "https://wiki.example/cb"),
                ("scope", "openid"),
                ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
                ("code_challenge_method", "S256"),
                ("connection", &connection),
            ])
            .finish();
        let mut browser = self.authd.browser();
        let left = browser.get(&format!("/oauth2/authorize?{query}")).await;
        let state = left.query("state").unwrap();
        let back = format!("/connections/{connection}/oidc/callback?error=access_denied&state={state}");
        browser.get(&back).await.request_id()
    }
}
