//! A deployment with one organization, one connection and one app, and people who sign in to it.

#![allow(dead_code, reason = "each bench uses its part")]

use std::path::Path;
use std::sync::Arc;

use authd::access::{Caller, Context, Deployment};
use authd::app::App;
use authd::config::{DataDir, PublicUrl};
use authd::crypto::MasterKey;
use authd::directory::{PersonProposal, Profile, SourceFacts, provision_person};
use authd::env::{Env, NoDns, NoOutbound, SystemClock, SystemRng};
use authd::event::Origin;
use authd::id::{AppId, ConnectionId, OrganizationId};
use authd::policy::Policy;
use authd::provider::authorize::AuthorizeRequest;
use authd::session::{Epochs, NewSession, Scope, Session};
use authd::store::{Batch, Options, Store};
use serde_json::json;

/// Where the app is returned to.
pub const RETURN: &str = "https://notes.example.test/callback";
/// The example of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The real clock and randomness; nothing answers outside.
pub fn env() -> Env {
    Env::new(Arc::new(SystemClock::new()), Arc::new(SystemRng), Arc::new(NoOutbound), Arc::new(NoDns))
}

/// The deployment, open in this process.
pub struct World {
    pub app: App,
    pub organization: OrganizationId,
    pub connection: ConnectionId,
    pub client: AppId,
    pub client_secret: String,
}

impl World {
    /// A new one in a directory.
    pub async fn create(dir: &Path, master_key: &MasterKey) -> Self {
        let app = open(dir, master_key).await;
        let cx = app.context(Caller::System, Origin::internal(&app.world.env));
        let made = app.perform(&cx, "organization.create", json!({"name": "Acme"})).await.unwrap();
        let organization: OrganizationId = made["id"].as_str().unwrap().parse().unwrap();
        let input = json!({"organization": organization, "name": "Notes", "redirectUris": [RETURN]});
        let made = app.perform(&cx, "app.create", input).await.unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let connection = ConnectionId::new(&app.world.env);
        Self {
            organization,
            connection,
            client: text("clientId").parse().unwrap(),
            client_secret: text("clientSecret"),
            app,
        }
    }

    /// The same one, opened again after somebody else had the file.
    pub async fn reopen(self, dir: &Path, master_key: &MasterKey) -> Self {
        Self { app: open(dir, master_key).await, ..self }
    }

    /// A request of a browser that nobody knows yet.
    pub fn browser(&self) -> Context {
        let mut origin = Origin::internal(&self.app.world.env);
        origin.ip = Some("192.0.2.7".parse().unwrap());
        origin.user_agent = Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into());
        self.app.context(Caller::Anonymous, origin)
    }

    /// Adds a new person with a session to the batch, by the code that does it in a sign-in.
    pub async fn admit(&self, cx: &Context, subject: String, batch: &mut Batch) -> Session {
        let facts = SourceFacts {
            protocol: authd::policy::Protocol::Oidc,
            organization: self.organization,
            jit: None,
            default_role: None,
            domains: vec!["acme.test".into()],
            domain_owned_elsewhere: false,
            policy: Policy::default(),
        };
        let email = format!("{subject}@acme.test");
        let profile = Profile {
            email: Some(email.clone()),
            email_verified: true,
            name: Some("Ada Lovelace".into()),
            given_name: Some("Ada".into()),
            family_name: Some("Lovelace".into()),
            groups: vec!["engineering".into(), "everyone".into()],
            ..Profile::default()
        };
        let member = provision_person(cx, PersonProposal::sign_in(self.connection, &subject, &profile), &facts, batch)
            .await
            .unwrap()
            .membership;
        let scopes =
            [Scope::Organization(self.organization), Scope::Connection(self.connection), Scope::App(self.client)];
        let new = NewSession {
            organization: member.organization,
            user: member.user,
            connection: Some(self.connection),
            under: Epochs::capture(&cx.store, &scopes).await.unwrap(),
            auth_time: cx.env.now(),
            acr: None,
            amr: vec!["pwd".into()],
            email: Some(email),
            upstream_session: None,
            upstream_subject: None,
            break_glass: None,
            handed: false,
            until: None,
        };
        Session::open(cx, new, batch).await.unwrap().session
    }

    /// What the app asks for.
    pub fn request(&self) -> AuthorizeRequest {
        AuthorizeRequest {
            app: self.client,
            redirect_uri: RETURN.into(),
            scope: vec!["openid".into(), "profile".into(), "email".into()],
            state: Some("c3RhdGUgb2YgdGhlIGFwcA".into()),
            nonce: Some("bm9uY2Ugb2YgdGhlIGFwcA".into()),
            code_challenge: CHALLENGE.into(),
            prompt: Vec::new(),
            max_age: None,
            login_hint: None,
            organization: None,
            connection: None,
            acr_values: Vec::new(),
            hinted_user: None,
            response_mode: authd::provider::ResponseMode::default(),
            claims: authd::provider::AskedClaims::default(),
            pushed: false,
        }
    }
}

async fn open(dir: &Path, master_key: &MasterKey) -> App {
    let env = env();
    let options = Options::new(*master_key.derive("checkpoint"));
    let store = Store::open(&DataDir::new(dir).database(), env.clone(), options).unwrap();
    let public_url = PublicUrl::parse("https://id.example.test").unwrap();
    App::on(store, Deployment { public_url, master_key: master_key.clone(), rotate_every: None }, env).await.unwrap()
}
