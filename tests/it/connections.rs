//! Connections and domains, through the operations every door performs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use authd::access::{Caller, Catalogue, Context, Deployment, Grant, Grants, Role, World, perform};
use authd::config::PublicUrl;
use authd::connection::domain::{self, AddDomain, ListDomains, ReadDomainStatus, RemoveDomain, VerifyDomain};
use authd::connection::{
    self, ActivateConnection, Connection, DeleteConnection, DisableConnection, GetConnection, ListConnections,
    Registry, RestoreConnection, Status,
};
use authd::crypto::MasterKey;
use authd::directory::CreateOrganization;
use authd::env::{Dns, Env, Outbound, Request, Response};
use authd::error::{Error, Result, codes};
use authd::event::{Event, Origin};
use authd::id::{ApiKeyId, ConnectionId, OrganizationId};
use authd::session::{Epochs, Scope};
use authd::store::{Options, Store};
use serde_json::{Value, json};

const SECRET: &str = "s3cret-that-must-not-be-found";

/// What stands at which address; everything else does not answer.
#[derive(Default)]
struct Outside {
    documents: Mutex<BTreeMap<String, Vec<u8>>>,
    texts: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Outside {
    fn provider(&self, issuer: &str) {
        self.provider_says(issuer, issuer);
    }

    fn provider_says(&self, issuer: &str, said: &str) {
        let document = json!({
            "issuer": said,
            "authorization_endpoint": format!("{said}/authorize"),
            "token_endpoint": format!("{said}/token"),
            "userinfo_endpoint": format!("{said}/userinfo"),
            "jwks_uri": format!("{said}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        });
        self.put(&format!("{issuer}/.well-known/openid-configuration"), &document.to_string());
        self.put(&format!("{said}/jwks"), r#"{"keys":[]}"#);
    }

    fn put(&self, url: &str, body: &str) {
        self.documents.lock().unwrap().insert(url.to_owned(), body.as_bytes().to_vec());
    }

    fn fall_silent(&self) {
        self.documents.lock().unwrap().clear();
    }
}

#[async_trait]
impl Outbound for Outside {
    async fn send(&self, request: Request) -> Result<Response> {
        self.permits(&request.url)?;
        let body = self.documents.lock().unwrap().get(request.url.as_str()).cloned();
        let body = body.ok_or_else(|| Error::new(&codes::UPSTREAM_UNAVAILABLE))?;
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("content-type", axum::http::HeaderValue::from_static("application/json"));
        Ok(Response { status: 200, headers, body })
    }
    fn permits(&self, url: &url::Url) -> Result<()> {
        match url.host_str() {
            Some("169.254.169.254") => Err(Error::new(&codes::URL_NOT_ALLOWED)),
            _ => Ok(()),
        }
    }
}

struct Names(Arc<Outside>);

#[async_trait]
impl Dns for Names {
    async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>> {
        Err(Error::new(&codes::UPSTREAM_UNAVAILABLE))
    }
    async fn txt(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.0.texts.lock().unwrap().get(name).cloned().unwrap_or_default())
    }
}

struct Scene {
    outside: Arc<Outside>,
    world: World,
    catalogue: Catalogue,
    operator: Context,
    acme: OrganizationId,
    other: OrganizationId,
}

impl Scene {
    async fn new() -> Self {
        Self::with(Store::in_memory).await
    }

    async fn with(store: impl FnOnce(Env) -> Result<Store>) -> Self {
        let outside = Arc::new(Outside::default());
        outside.provider("https://idp.test");
        let env = Env::frozen().with_outbound(outside.clone()).with_dns(Arc::new(Names(outside.clone())));
        let deployment = Arc::new(Deployment {
            public_url: PublicUrl::parse("https://id.example.com").unwrap(),
            master_key: MasterKey::generate(&env),
            rotate_every: None,
        });
        let world = World { env: env.clone(), store: store(env.clone()).unwrap(), deployment };
        let operator = world.context(Caller::Operator { uid: 0 }, Origin::internal(&env));
        let catalogue = connection::catalogue(authd::directory::catalogue(Catalogue::new()));
        // How far a connection is set up, is told by who knows its directory, too.
        let catalogue = authd::scim::catalogue(catalogue);
        let make = |name: &str| serde_json::from_value::<CreateOrganization>(json!({"name": name})).unwrap();
        let id = |view: Value| view["id"].as_str().unwrap().parse().unwrap();
        let acme = id(serde_json::to_value(perform(&operator, &make("Acme")).await.unwrap()).unwrap());
        let other = id(serde_json::to_value(perform(&operator, &make("Other")).await.unwrap()).unwrap());
        Self { outside, world, catalogue, operator, acme, other }
    }

    fn key(&self, organization: OrganizationId, grants: Grants) -> Context {
        let caller = Caller::ApiKey { id: ApiKeyId::new(&self.world.env), organization, user: None, grants };
        self.world.context(caller, Origin::internal(&self.world.env))
    }

    /// A tenant's own administrator: everything but vouching for domains.
    fn admin(&self, organization: OrganizationId) -> Context {
        self.key(organization, Role::Owner.grants())
    }

    async fn call(&self, cx: &Context, name: &str, input: Value) -> Result<Value> {
        self.catalogue.find(name).unwrap_or_else(|| panic!("no {name}")).perform(cx, input).await
    }

    async fn refused(&self, cx: &Context, name: &str, input: Value) -> &'static str {
        let shown = input.to_string();
        match self.call(cx, name, input).await {
            Ok(answer) => panic!("{name} {shown} was not refused: {answer}"),
            Err(error) => codes::ALL.iter().find(|code| error.is(code)).unwrap().name,
        }
    }

    fn wish(&self, organization: OrganizationId) -> Value {
        json!({"organization": organization, "protocol": "oidc", "name": "Acme IdP", "issuer": "https://idp.test",
               "clientId": "authd", "clientSecret": SECRET})
    }

    async fn connect(&self, organization: OrganizationId, more: Value) -> ConnectionId {
        let mut wish = self.wish(organization);
        for (name, value) in more.as_object().unwrap() {
            wish[name] = value.clone();
        }
        let made = self.call(&self.operator, "connection.create", wish).await.unwrap();
        made["id"].as_str().unwrap().parse().unwrap()
    }

    async fn trust(&self, connection: ConnectionId, domain: &str) -> Result<Value> {
        let wish = json!({"connection": connection, "domain": domain, "force": true});
        self.call(&self.operator, "domain.verify", wish).await
    }

    async fn count(&self, kind: &str) -> u64 {
        self.world.store.counts().await.unwrap().get(kind).copied().unwrap_or(0)
    }

    async fn events(&self) -> Vec<Event> {
        let rows = self.world.store.tail(0, 1_000, None).await.unwrap();
        rows.iter().map(|row| Event::read(row).unwrap()).collect()
    }
}

#[tokio::test]
async fn a_connection_is_a_draft_that_shows_everything_but_its_secret() {
    let scene = Scene::new().await;
    let admin = scene.admin(scene.acme);
    let mut wish = scene.wish(scene.acme);
    wish.as_object_mut().unwrap().remove("organization");
    wish["domain"] = json!("Acme.COM");
    let made = scene.call(&admin, "connection.create", wish).await.unwrap();
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("conn_"));
    assert_eq!(made["status"], "draft");
    assert_eq!(made["ready"], true);
    assert_eq!(made["organization"], scene.acme.to_string());
    assert_eq!(made["callbackUrl"], format!("https://id.example.com/connections/{id}/oidc/callback"));
    assert_eq!(made["oidc"]["hasClientSecret"], true);
    assert_eq!(made["oidc"]["discovery"]["issuer"], "https://idp.test");
    assert_eq!(made["oidc"]["client"]["id"], "authd");
    assert_eq!(made["oidc"]["request"]["scopes"], json!(["openid", "profile", "email"]));
    assert_eq!(made["domains"][0]["domain"], "acme.com");
    assert_eq!(made["domains"][0]["verified"], false);
    assert!(made.get("jit").is_none() && made.get("defaultRole").is_none(), "unset: the policy decides");
    assert!(!made.to_string().contains(SECRET));

    let shown = scene.call(&admin, "connection.get", json!({"id": id})).await.unwrap();
    assert_eq!(shown["oidc"], made["oidc"]);
    let list = scene.call(&admin, "connection.list", json!({})).await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert!(!list.to_string().contains(SECRET) && !shown.to_string().contains(SECRET));
    let oidc = scene.call(&admin, "connection.get_oidc", json!({"id": id})).await.unwrap();
    assert_eq!(oidc, made["oidc"]);
    let status = scene.call(&admin, "connection.status", json!({"id": id})).await.unwrap();
    assert_eq!(
        status,
        json!({"connectionId": id, "status": "draft", "ready": false, "domainCount": 1,
               "protocols": {"oidc": {"configured": true, "ready": true, "clientId": "authd", "issuer": "https://idp.test"},
                             "ldap": {"configured": false, "ready": false, "url": null, "base": null},
                             "saml": {"configured": false, "ready": false, "entityId": null, "idpEntityId": null,
                                      "certificates": [], "pendingCertificates": []},
                             "scim": {"configured": false, "ready": false, "deprovisionMode": "soft",
                                      "basePath": format!("/connections/{id}/scim/v2")}}})
    );
}

#[tokio::test]
async fn a_secret_is_not_in_the_file_nor_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("authd.redb");
    let scene =
        Scene::with(|env| Store::open(&path, env, Options { cache_bytes: 1 << 20, ..Options::new([7; 32]) })).await;
    let id = scene.connect(scene.acme, json!({})).await;
    let next = json!({"id": id, "clientSecret": format!("{SECRET}-2")});
    scene.call(&scene.operator, "connection.set_oidc", next).await.unwrap();
    let connection = Connection::load(&scene.world.store, id).await.unwrap().value;
    assert!(!format!("{connection:?}").contains(SECRET));
    let sealed = connection.oidc.unwrap().client.secret.unwrap();
    let place = format!("connection/{id}/oidc/client_secret");
    let open = scene.world.deployment.master_key.open_secret(&place, &sealed).unwrap();
    assert_eq!(open.expose(), format!("{SECRET}-2"));
    for event in scene.events().await {
        assert!(!serde_json::to_string(&event).unwrap().contains(SECRET));
    }
    scene.world.store.close().await;
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.windows(8).any(|w| w == b"Acme IdP"), "the file is the one that was written");
    assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
}

#[tokio::test]
async fn a_provider_that_does_not_fit_is_refused_and_nothing_is_saved() {
    let scene = Scene::new().await;
    scene.outside.provider_says("https://liar.test", "https://idp.test");
    scene.outside.put("https://page.test/.well-known/openid-configuration", "<html>");
    scene.outside.put("https://empty.test/.well-known/openid-configuration", r#"{"issuer":"https://empty.test"}"#);
    let before = scene.world.store.tail(0, 1_000, None).await.unwrap().len();
    for (issuer, code) in [
        ("https://liar.test", "issuer_mismatch"),
        ("https://page.test", "metadata_invalid"),
        ("https://empty.test", "metadata_invalid"),
        ("https://169.254.169.254", "url_not_allowed"),
        ("https://login.microsoftonline.com/common/v2.0", "issuer_multi_tenant"),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", "issuer_multi_tenant"),
        ("no address", "invalid_input"),
        ("https://idp.test?q", "invalid_input"),
    ] {
        for activate in [false, true] {
            let mut wish = scene.wish(scene.acme);
            wish["issuer"] = json!(issuer);
            wish["activate"] = json!(activate);
            assert_eq!(scene.refused(&scene.operator, "connection.create", wish).await, code, "{issuer}");
        }
    }
    assert_eq!(scene.count("connection").await, 0);
    assert_eq!(scene.world.store.tail(0, 1_000, None).await.unwrap().len(), before);
}

#[tokio::test]
async fn a_silent_provider_makes_a_draft_that_cannot_be_switched_on() {
    let scene = Scene::new().await;
    scene.outside.fall_silent();
    let mut wish = scene.wish(scene.acme);
    wish["activate"] = json!(true);
    assert_eq!(scene.refused(&scene.operator, "connection.create", wish.clone()).await, "upstream_unavailable");
    assert_eq!(scene.count("connection").await, 0);
    wish["activate"] = json!(false);
    let made = scene.call(&scene.operator, "connection.create", wish).await.unwrap();
    assert_eq!(made["status"], "draft");
    assert_eq!(made["ready"], false);
    assert_eq!(made["warnings"].as_array().unwrap().len(), 1);
    let id = json!({"id": made["id"]});
    let status = scene.call(&scene.operator, "connection.status", id.clone()).await.unwrap();
    assert_eq!((&status["ready"], &status["protocols"]["oidc"]["ready"]), (&json!(false), &json!(false)));
    assert_eq!(scene.refused(&scene.operator, "connection.activate", id.clone()).await, "upstream_unavailable");
    let report = scene.call(&scene.operator, "connection.validate", id.clone()).await.unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["connectionId"], made["id"]);
    let reached = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "discovery_reachable");
    assert_eq!(reached.unwrap()["ok"], false);
    let test = scene.call(&scene.operator, "connection.test", id.clone()).await.unwrap();
    assert_eq!(test["ok"], false);
    assert_eq!(test["protocol"], "oidc");
    scene.outside.provider("https://idp.test");
    let view = scene.call(&scene.operator, "connection.activate", id.clone()).await.unwrap();
    assert_eq!(view["status"], "active");
    let status = async || scene.call(&scene.operator, "connection.status", id.clone()).await.unwrap();
    assert_eq!((&status().await["ready"], &status().await["protocols"]["oidc"]["ready"]), (&json!(true), &json!(true)));
    // Once on, it cannot be pointed at somebody who does not answer.
    let away = json!({"id": made["id"], "issuer": "https://gone.test", "clientSecret": SECRET});
    assert_eq!(scene.refused(&scene.operator, "connection.set_oidc", away).await, "upstream_unavailable");
    let shown = scene.call(&scene.operator, "connection.get_oidc", id).await.unwrap();
    assert_eq!(shown["discovery"]["issuer"], "https://idp.test");
}

#[tokio::test]
async fn what_is_incomplete_is_not_switched_on() {
    let scene = Scene::new().await;
    let bare = json!({"organization": scene.acme, "protocol": "oidc", "name": "Bare"});
    let made = scene.call(&scene.operator, "connection.create", bare.clone()).await.unwrap();
    assert_eq!(made["ready"], false);
    assert!(made.get("oidc").is_none());
    let id = json!({"id": made["id"]});
    assert_eq!(scene.refused(&scene.operator, "connection.activate", id).await, "connection_not_ready");
    let mut eager = bare;
    eager["activate"] = json!(true);
    assert_eq!(scene.refused(&scene.operator, "connection.create", eager).await, "connection_not_ready");
    let connection = Connection::load(&scene.world.store, made["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    assert!(matches!(Registry::new().protocol(&scene.operator, &connection),
        Err(error) if error.is(&codes::CONNECTION_NOT_READY)));
    assert!(connection.usable().unwrap_err().is(&codes::CONNECTION_NOT_READY));
}

#[tokio::test]
async fn disabling_and_deleting_end_what_came_through_it_in_the_same_commit() {
    let scene = Scene::new().await;
    let store = &scene.world.store;
    let id = scene.connect(scene.acme, json!({"activate": true})).await;
    let scopes = [Scope::Connection(id)];
    let epochs = Epochs::capture(store, &scopes).await.unwrap();
    perform(&scene.operator, &DisableConnection { id, draft: false }).await.unwrap();
    assert!(!epochs.hold(store).await.unwrap());
    let connection = Connection::load(store, id).await.unwrap();
    assert!(connection.usable().unwrap_err().is(&codes::CONNECTION_DISABLED));
    // Once more is nothing at all: no second event, no second end.
    let epochs = Epochs::capture(store, &scopes).await.unwrap();
    let events = scene.events().await.len();
    perform(&scene.operator, &DisableConnection { id, draft: false }).await.unwrap();
    assert!(epochs.hold(store).await.unwrap());
    assert_eq!(scene.events().await.len(), events);

    perform(&scene.operator, &ActivateConnection { id, unreached: false }).await.unwrap();
    perform(&scene.operator, &DeleteConnection { id }).await.unwrap();
    assert!(!epochs.hold(store).await.unwrap());
    assert!(Connection::load(store, id).await.unwrap_err().is(&codes::NOT_FOUND));
}

#[tokio::test]
async fn a_deleted_connection_comes_back_as_it_was_for_thirty_days() {
    let scene = Scene::new().await;
    let id = scene.connect(scene.acme, json!({"activate": true, "slug": "acme", "domain": "acme.com"})).await;
    scene.trust(id, "acme.com").await.unwrap();
    let before = scene.call(&scene.operator, "connection.get", json!({"id": id})).await.unwrap();
    perform(&scene.operator, &DeleteConnection { id }).await.unwrap();
    let this = json!({"id": id});
    for name in ["connection.get", "connection.activate", "connection.status", "connection.delete"] {
        assert_eq!(scene.refused(&scene.operator, name, this.clone()).await, "not_found", "{name}");
    }
    assert!(domain::owner_of(&scene.world.store, "acme.com").await.unwrap().is_none());
    let list = |deleted| json!({"organization": scene.acme, "deleted": deleted});
    let live = scene.call(&scene.operator, "connection.list", list(false)).await.unwrap();
    assert_eq!(live["items"], json!([]));
    let gone = scene.call(&scene.operator, "connection.list", list(true)).await.unwrap();
    assert_eq!(gone["items"][0]["id"], json!(id));

    scene.world.env.advance(Duration::from_secs(29 * 86_400));
    let mut after = scene.call(&scene.operator, "connection.restore", this.clone()).await.unwrap();
    after["updatedAt"] = before["updatedAt"].clone();
    assert_eq!(after, before);
    let connection = Connection::load(&scene.world.store, id).await.unwrap();
    let place = format!("connection/{id}/oidc/client_secret");
    let sealed = connection.oidc.as_ref().unwrap().client.secret.clone().unwrap();
    assert_eq!(scene.world.deployment.master_key.open_secret(&place, &sealed).unwrap().expose(), SECRET);
    assert!(domain::owner_of(&scene.world.store, "acme.com").await.unwrap().is_some());

    perform(&scene.operator, &DeleteConnection { id }).await.unwrap();
    scene.world.env.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(scene.refused(&scene.operator, "connection.restore", this).await, "not_found");
}

#[tokio::test]
async fn a_domain_taken_in_the_meantime_stays_with_its_new_owner() {
    let scene = Scene::new().await;
    let mine = scene.connect(scene.acme, json!({"domain": "acme.com"})).await;
    scene.trust(mine, "acme.com").await.unwrap();
    perform(&scene.operator, &DeleteConnection { id: mine }).await.unwrap();
    let theirs = scene.connect(scene.other, json!({"domain": "acme.com"})).await;
    scene.trust(theirs, "acme.com").await.unwrap();
    let view = perform(&scene.operator, &RestoreConnection { id: mine }).await.unwrap();
    assert!(!view.domains[0].verified && view.domains[0].challenge.is_some());
    let owner = domain::owner_of(&scene.world.store, "acme.com").await.unwrap().unwrap();
    assert_eq!(owner.connection, theirs);
}

/// Every operation of the module, with an input that would do for the owner.
fn everything(id: ConnectionId) -> Vec<(&'static str, Value)> {
    let this = json!({"id": id});
    let domain = json!({"connection": id, "domain": "acme.com"});
    vec![
        ("connection.get", this.clone()),
        ("connection.update", json!({"id": id, "name": "Other name"})),
        ("connection.set_oidc", json!({"id": id, "clientId": "other"})),
        ("connection.get_oidc", this.clone()),
        ("connection.set_ldap", json!({"id": id, "ldapUrl": "ldaps://directory.test"})),
        ("connection.get_ldap", this.clone()),
        ("connection.set_saml", json!({"id": id, "idpEntityId": "https://idp.test"})),
        ("connection.get_saml", this.clone()),
        ("connection.refresh_saml", this.clone()),
        ("connection.approve_saml", json!({"id": id, "certificates": ["00"]})),
        ("connection.rotate_saml_key", json!({"id": id, "step": "retire"})),
        ("connection.activate", this.clone()),
        ("connection.disable", this.clone()),
        ("connection.validate", this.clone()),
        ("connection.test", this.clone()),
        ("connection.status", this.clone()),
        ("domain.list", json!({"connection": id})),
        ("domain.status", json!({"connection": id})),
        ("domain.add", json!({"connection": id, "domain": "sub.acme.com"})),
        ("domain.request", domain.clone()),
        ("domain.verify", json!({"connection": id, "domain": "acme.com", "force": true})),
        ("domain.confirm", domain.clone()),
        ("domain.recheck", domain.clone()),
        ("domain.validate", json!({"connection": id})),
        ("domain.set", json!({"connection": id, "domains": ["sub.acme.com", "acme.com"]})),
        ("domain.set_primary", domain.clone()),
        ("domain.remove", domain),
        ("connection.delete", this.clone()),
        ("connection.restore", this),
    ]
}

#[tokio::test]
async fn another_tenants_connection_does_not_exist() {
    let scene = Scene::new().await;
    let id = scene.connect(scene.acme, json!({"domain": "acme.com"})).await;
    let stranger = scene.key(scene.other, Grants::all());
    let nobody = scene.world.context(Caller::Anonymous, Origin::internal(&scene.world.env));
    let before = scene.events().await.len();
    let nowhere = ConnectionId::new(&scene.world.env);
    for ((name, input), (_, absent)) in everything(id).into_iter().zip(everything(nowhere)) {
        let strange = scene.call(&stranger, name, input.clone()).await.unwrap_err();
        let missing = scene.call(&stranger, name, absent).await.unwrap_err();
        assert!(strange.is(&codes::NOT_FOUND), "{name}");
        assert_eq!(strange.message(), missing.message(), "{name} tells the two apart");
        assert_eq!(scene.refused(&nobody, name, input).await, "not_signed_in", "{name}");
    }
    let wish = scene.wish(scene.acme);
    assert_eq!(scene.refused(&stranger, "connection.create", wish).await, "not_found");
    let list = json!({"organization": scene.acme});
    assert_eq!(scene.refused(&stranger, "connection.list", list).await, "not_found");
    let mine = scene.call(&stranger, "connection.list", json!({})).await.unwrap();
    assert_eq!(mine["items"], json!([]));
    assert_eq!(scene.events().await.len(), before);
}

#[tokio::test]
async fn every_operation_takes_its_grant_and_is_in_the_list() {
    let scene = Scene::new().await;
    let id = scene.connect(scene.acme, json!({"domain": "acme.com"})).await;
    let all = everything(id);
    let covered: std::collections::BTreeSet<&str> =
        all.iter().map(|(name, _)| *name).chain(["connection.create", "connection.list"]).collect();
    let mut there: std::collections::BTreeSet<&str> =
        connection::catalogue(Catalogue::new()).iter().map(authd::access::AnyOperation::name).collect();
    there.insert("connection.status");
    assert_eq!(covered, there);
    let powerless = scene.key(scene.acme, Grants::none());
    for (name, input) in all.iter().cloned() {
        // Above sixty a minute refusals of a key are counted, not told.
        scene.world.env.advance(Duration::from_secs(60));
        assert_eq!(scene.refused(&powerless, name, input).await, "missing_grant", "{name}");
    }
    scene.world.env.advance(Duration::from_secs(60));
    assert_eq!(scene.refused(&powerless, "connection.list", json!({})).await, "missing_grant");
    assert_eq!(scene.refused(&powerless, "connection.create", scene.wish(scene.acme)).await, "missing_grant");
    let refusals = scene.events().await.iter().filter(|event| event.kind.name() == "operation.refused").count();
    assert_eq!(refusals, covered.len());
    // This one speaks OpenID Connect.
    let others = ["set_ldap", "set_saml", "refresh_saml", "approve_saml", "rotate_saml_key"];
    let is_anothers = |name: &str| name.strip_prefix("connection.").is_some_and(|verb| others.contains(&verb));
    for (name, input) in all.into_iter().filter(|(name, _)| !is_anothers(name)) {
        scene.call(&scene.operator, name, input).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
}

#[tokio::test]
async fn an_unverified_claim_blocks_nobody_and_a_verified_one_everybody_else() {
    let scene = Scene::new().await;
    let store = &scene.world.store;
    let squatter = scene.connect(scene.other, json!({"domain": "acme.com"})).await;
    let owner = scene.connect(scene.acme, json!({"domain": "acme.com", "activate": true})).await;
    assert!(domain::owner_of(store, "acme.com").await.unwrap().is_none(), "claims route nobody");
    assert!(domain::owned_by(store, owner).await.unwrap().is_empty());
    scene.trust(owner, "acme.com").await.unwrap();
    assert_eq!(domain::owner_of(store, "acme.com").await.unwrap().unwrap().connection, owner);
    assert_eq!(domain::owned_by(store, owner).await.unwrap()[0].name, "acme.com");
    for other in ["sub.acme.com", "acme.com.evil.com", "cme.com"] {
        assert!(domain::owner_of(store, other).await.unwrap().is_none(), "{other}");
    }

    assert!(scene.trust(squatter, "acme.com").await.unwrap_err().is(&codes::DOMAIN_TAKEN));
    // A claim says nothing about who else has the name; proving it does.
    let third = scene.connect(scene.other, json!({"domain": "ACME.com"})).await;
    assert!(scene.trust(third, "acme.com").await.unwrap_err().is(&codes::DOMAIN_TAKEN));
    assert_eq!(domain::owner_of(store, "acme.com").await.unwrap().unwrap().connection, owner);

    let remove = RemoveDomain { connection: owner, domain: "Acme.Com".to_owned() };
    perform(&scene.operator, &remove).await.unwrap();
    assert!(domain::owner_of(store, "acme.com").await.unwrap().is_none());
    scene.trust(squatter, "acme.com").await.unwrap();
    assert_eq!(domain::owner_of(store, "acme.com").await.unwrap().unwrap().connection, squatter);
}

#[tokio::test]
async fn two_who_verify_at_once_end_with_one_owner() {
    let scene = Scene::new().await;
    for round in 0..10 {
        let name = format!("acme{round}.com");
        let a = scene.connect(scene.acme, json!({"domain": name})).await;
        let b = scene.connect(scene.other, json!({"domain": name})).await;
        let (first, second) = tokio::join!(scene.trust(a, &name), scene.trust(b, &name));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let owner = domain::owner_of(&scene.world.store, &name).await.unwrap().unwrap();
        assert_eq!(owner.connection, if first.is_ok() { a } else { b });
    }
}

#[tokio::test]
async fn one_organization_may_have_its_domain_on_several_connections() {
    let scene = Scene::new().await;
    let store = &scene.world.store;
    let old = scene.connect(scene.acme, json!({"domain": "acme.com", "activate": true})).await;
    let new = scene.connect(scene.acme, json!({"domain": "acme.com"})).await;
    scene.trust(old, "acme.com").await.unwrap();
    scene.trust(new, "acme.com").await.unwrap();
    let to = async || domain::owner_of(store, "acme.com").await.unwrap().map(|domain| domain.connection);
    assert_eq!(to().await, Some(old));
    perform(&scene.operator, &ActivateConnection { id: new, unreached: false }).await.unwrap();
    assert_eq!(to().await, Some(old), "the first one stays the first");
    perform(&scene.operator, &DisableConnection { id: old, draft: false }).await.unwrap();
    assert_eq!(to().await, Some(new));
    perform(&scene.operator, &DisableConnection { id: new, draft: false }).await.unwrap();
    assert_eq!(to().await, Some(old), "a disabled connection still owns its domain");
    perform(&scene.operator, &DeleteConnection { id: old }).await.unwrap();
    perform(&scene.operator, &DeleteConnection { id: new }).await.unwrap();
    assert_eq!(to().await, None);
    assert_eq!(scene.count("domain_owner").await, 0);
}

#[tokio::test]
async fn all_ways_to_write_a_domain_are_one_domain() {
    let scene = Scene::new().await;
    let id = scene.connect(scene.acme, json!({"domains": ["bücher.example", "BÜCHER.example", "acme.com"]})).await;
    let list = perform(&scene.operator, &ListDomains { connection: id }).await.unwrap();
    let names: Vec<_> = list.domains.iter().map(|domain| domain.domain.as_str()).collect();
    assert_eq!(names, ["xn--bcher-kva.example", "acme.com"], "the first one named is the primary one");
    for again in ["Bücher.Example", "xn--bcher-kva.example", "bu\u{308}cher.example", "ACME.COM"] {
        let claim = json!({"connection": id, "domain": again});
        assert_eq!(scene.refused(&scene.operator, "domain.add", claim).await, "conflict", "{again}");
    }
    for wrong in ["", "com", "acme", "acme.com.", "127.0.0.1", "co.uk", "*.acme.com", "a b.com", "acme.com/x"] {
        let claim = json!({"connection": id, "domain": wrong});
        assert_eq!(scene.refused(&scene.operator, "domain.add", claim).await, "domain_invalid", "{wrong}");
    }
    scene.trust(id, "BÜCHER.EXAMPLE").await.unwrap();
    let theirs = scene.connect(scene.other, json!({})).await;
    scene
        .call(&scene.operator, "domain.add", json!({"connection": theirs, "domain": "xn--bcher-kva.example"}))
        .await
        .unwrap();
    assert!(scene.trust(theirs, "bücher.example").await.unwrap_err().is(&codes::DOMAIN_TAKEN));
}

#[tokio::test]
async fn vouching_takes_a_grant_that_no_tenant_holds() {
    let scene = Scene::new().await;
    let id = scene.connect(scene.acme, json!({"domain": "acme.com"})).await;
    let force = json!({"connection": id, "domain": "acme.com", "force": true});
    assert_eq!(scene.refused(&scene.admin(scene.acme), "domain.verify", force.clone()).await, "missing_grant");
    let event = scene.events().await.pop().unwrap();
    assert_eq!((event.kind.name(), &event.data["operation"]), ("operation.refused", &json!("domain.verify")));
    assert!(!Role::Owner.grants().contains(Grant::ConnectionDomainTrust));
    let view = scene.call(&scene.key(scene.acme, Grants::all()), "domain.verify", force.clone()).await.unwrap();
    assert_eq!(view["verified"], true);
    assert_eq!(view["verifiedBy"], "vouched");
    let event = scene.events().await.pop().unwrap();
    assert_eq!(event.kind.name(), "connection.domain.verified");
    assert_eq!(event.data["by"], "vouched");
    assert_eq!(event.actor_type, "api_key");
    // Once more changes nothing.
    scene.call(&scene.operator, "domain.verify", force).await.unwrap();
    assert_eq!(scene.events().await.last().unwrap().event_id, event.event_id);
    let unclaimed = json!({"connection": id, "domain": "else.com", "force": true});
    assert_eq!(scene.refused(&scene.operator, "domain.verify", unclaimed).await, "not_found");
}

#[tokio::test]
async fn a_record_in_dns_proves_the_claim_it_was_made_for() {
    let scene = Scene::new().await;
    let admin = scene.admin(scene.acme);
    let mine = scene.connect(scene.acme, json!({"domain": "acme.com"})).await;
    let theirs = scene.connect(scene.other, json!({"domain": "acme.com"})).await;
    let value = async |connection| {
        let status = perform(&scene.operator, &ReadDomainStatus { connection }).await.unwrap();
        assert_eq!(status.pending_challenges[0].record_name, "_authd-verification.acme.com");
        status.pending_challenges[0].record_value.clone()
    };
    let set = |texts: &[&str]| {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        scene.outside.texts.lock().unwrap().insert("_authd-verification.acme.com".to_owned(), texts);
    };
    let verify = VerifyDomain { connection: mine, domain: "acme.com".to_owned(), force: false };

    let error = perform(&admin, &verify).await.unwrap_err();
    assert!(error.is(&codes::DOMAIN_NOT_PROVED));
    let help = error.next_step().unwrap();
    assert!(help.contains("_authd-verification.acme.com") && help.contains(&value(mine).await), "{help}");

    set(&["v=spf1 -all", &value(theirs).await]);
    assert!(perform(&admin, &verify).await.unwrap_err().is(&codes::DOMAIN_NOT_PROVED), "another's record");

    // A new challenge makes the old record worthless, and an old challenge cannot be answered.
    let old = value(mine).await;
    let request = json!({"connection": mine, "domain": "acme.com"});
    scene.call(&admin, "domain.request", request.clone()).await.unwrap();
    set(&[&old]);
    assert!(perform(&admin, &verify).await.unwrap_err().is(&codes::DOMAIN_NOT_PROVED), "the record before");
    set(&[&value(mine).await]);
    scene.world.env.advance(Duration::from_secs(7 * 86_400));
    assert!(perform(&admin, &verify).await.unwrap_err().is(&codes::DOMAIN_NOT_PROVED), "expired");
    scene.call(&admin, "domain.request", request).await.unwrap();
    set(&["v=spf1 -all", &value(mine).await]);
    let view = perform(&admin, &verify).await.unwrap();
    assert!(view.verified && view.challenge.is_none());
    let status = perform(&admin, &ReadDomainStatus { connection: mine }).await.unwrap();
    assert!(status.trust.domain_discovery_ready && status.trust.primary_domain_verified);
    assert_eq!(status.trusted_domains, ["acme.com"]);
    assert_eq!(status.list.summary.verified_count, 1);
    let left = perform(&scene.operator, &ListDomains { connection: theirs }).await.unwrap();
    assert_eq!(left.warnings, ["acme.com is not verified."], "who else is here is nobody's business");
}

#[tokio::test]
async fn there_is_always_one_primary_domain() {
    let scene = Scene::new().await;
    let id = scene.connect(scene.acme, json!({"domains": ["a.com", "b.com"]})).await;
    let add = AddDomain { connection: id, domain: "c.com".to_owned(), primary: true };
    perform(&scene.operator, &add).await.unwrap();
    let primary = async || {
        let list = perform(&scene.operator, &ListDomains { connection: id }).await.unwrap();
        assert_eq!(list.summary.primary_count, 1);
        list.domains[0].domain.clone()
    };
    assert_eq!(primary().await, "c.com");
    scene.trust(id, "b.com").await.unwrap();
    perform(&scene.operator, &RemoveDomain { connection: id, domain: "c.com".to_owned() }).await.unwrap();
    assert_eq!(primary().await, "b.com", "a verified one follows");
    let (x, y) = tokio::join!(
        scene.call(&scene.operator, "domain.add", json!({"connection": id, "domain": "x.com", "primary": true})),
        scene.call(&scene.operator, "domain.add", json!({"connection": id, "domain": "y.com", "primary": true})),
    );
    assert!(x.is_ok() && y.is_ok());
    primary().await;
}

#[tokio::test]
async fn limits_hold() {
    let scene = Scene::new().await;
    let with = |name: &str, value: Value| {
        let mut wish = scene.wish(scene.acme);
        wish[name] = value;
        wish
    };
    let names: Vec<String> = (0..51).map(|n| format!("d{n}.com")).collect();
    for (name, value, code) in [
        ("name", json!(""), "invalid_input"),
        ("name", json!("  "), "invalid_input"),
        ("name", json!("n".repeat(201)), "invalid_input"),
        ("name", json!("a\nb"), "invalid_input"),
        ("slug", json!("Not a slug"), "invalid_input"),
        ("slug", json!("s".repeat(65)), "invalid_input"),
        ("protocol", json!("gopher"), "invalid_input"),
        ("clientId", json!("c".repeat(2_000)), "invalid_input"),
        ("clientSecret", json!("c".repeat(5_000)), "invalid_input"),
        ("domains", json!(names), "too_large"),
        ("domains", json!([7]), "invalid_input"),
        ("domain", json!("acme.com."), "domain_invalid"),
        ("defaultRole", json!("king"), "invalid_input"),
        ("authMethod", json!("guess"), "invalid_input"),
        ("scopes", json!(["a\"b"]), "invalid_input"),
        ("oidc", json!({"security": {"clockToleranceSeconds": 301}}), "invalid_input"),
        ("oidc", json!({"request": {"authorizationParams": {"nonce": "1"}}}), "invalid_input"),
        ("oidc", json!({"clinet": {}}), "unknown_field"),
        ("nmae", json!("x"), "unknown_field"),
    ] {
        let wish = with(name, value.clone());
        assert_eq!(scene.refused(&scene.operator, "connection.create", wish).await, code, "{name} {value}");
    }
    let mut nowhere = scene.wish(OrganizationId::new(&scene.world.env));
    nowhere["name"] = json!("x");
    assert_eq!(scene.refused(&scene.operator, "connection.create", nowhere).await, "not_found");
    assert_eq!(scene.count("connection").await, 0);

    let id = scene.connect(scene.acme, json!({"domains": names[..50]})).await;
    let more = json!({"connection": id, "domain": "one-more.com"});
    assert_eq!(scene.refused(&scene.operator, "domain.add", more).await, "too_large");
}

#[tokio::test]
async fn changes_touch_what_they_name() {
    let scene = Scene::new().await;
    let id = scene.connect(scene.acme, json!({"slug": "main", "jit": false, "defaultRole": "viewer"})).await;
    let change = async |patch: Value| {
        let mut input = patch;
        input["id"] = json!(id);
        scene.call(&scene.operator, "connection.update", input).await
    };
    assert!(change(json!({})).await.unwrap_err().is(&codes::INVALID_INPUT));
    let view = change(json!({"name": " New "})).await.unwrap();
    assert_eq!((&view["name"], &view["jit"], &view["slug"]), (&json!("New"), &json!(false), &json!("main")));
    let view = change(json!({"jit": null, "defaultRole": null, "slug": null})).await.unwrap();
    assert!(["jit", "defaultRole", "slug"].iter().all(|name| view.get(name).is_none()), "{view}");
    scene.connect(scene.acme, json!({"slug": "taken"})).await;
    assert!(change(json!({"slug": "taken"})).await.unwrap_err().is(&codes::TAKEN));
    scene.connect(scene.other, json!({"slug": "theirs"})).await;
    change(json!({"slug": "theirs"})).await.unwrap();
    let mut same = scene.wish(scene.acme);
    same["slug"] = json!("theirs");
    assert_eq!(scene.refused(&scene.operator, "connection.create", same).await, "taken");
}

#[tokio::test]
async fn the_configuration_is_changed_piece_by_piece() {
    let scene = Scene::new().await;
    let id = scene.connect(scene.acme, json!({"scopes": ["openid email"]})).await;
    let set = async |patch: Value| {
        let mut input = patch;
        input["id"] = json!(id);
        scene.call(&scene.operator, "connection.set_oidc", input).await
    };
    let view = set(json!({
        "discovery": {"audience": "other"},
        "request": {"loginHint": "fixed", "authorizationParams": {"hd": "acme.com"}},
        "profile": {"mapping": {"groups": "realm.groups"}, "extraFields": {"department": "dept"}},
    }))
    .await
    .unwrap();
    assert_eq!(view["discovery"], json!({"issuer": "https://idp.test", "audience": "other"}));
    assert_eq!(view["request"]["scopes"], json!(["openid", "email"]));
    assert_eq!(view["request"]["authorizationParams"], json!({"hd": "acme.com"}));
    assert_eq!(view["profile"]["mapping"], json!({"groups": "realm.groups"}));
    assert_eq!(view["hasClientSecret"], true, "a secret that is not named stays");
    let view = set(json!({"client": {"secret": ""}, "request": {"loginHint": ""}})).await.unwrap();
    assert_eq!(view["hasClientSecret"], false);
    assert!(view["request"].get("loginHint").is_none());
    assert!(set(json!({})).await.unwrap_err().is(&codes::INVALID_INPUT));
    assert!(
        set(json!({"issuer": "https://login.microsoftonline.com/common/v2.0"}))
            .await
            .unwrap_err()
            .is(&codes::ISSUER_MULTI_TENANT)
    );
}

#[tokio::test]
async fn a_secret_that_is_kept_does_not_follow_to_another_provider() {
    let scene = Scene::new().await;
    let id = scene.connect(scene.acme, json!({})).await;
    scene.outside.provider("https://evil.test");
    let well_known = "https://evil.test/.well-known/openid-configuration";
    let before = scene.call(&scene.operator, "connection.get_oidc", json!({"id": id})).await.unwrap();
    let events = scene.events().await.len();
    for away in [
        json!({"issuer": "https://evil.test"}),
        json!({"discovery": {"issuer": "https://evil.test"}}),
        json!({"discovery": {"issuer": "", "discoveryUrl": well_known}}),
        json!({"discovery": {"discoveryUrl": well_known}}),
        json!({"discovery": {"issuer": ""}}),
        json!({"discovery": {"jwksUri": "https://evil.test/jwks"}}),
    ] {
        let mut wish = away.clone();
        wish["id"] = json!(id);
        for caller in [&scene.admin(scene.acme), &scene.operator] {
            assert_eq!(scene.refused(caller, "connection.set_oidc", wish.clone()).await, "config_invalid", "{away}");
        }
    }
    assert_eq!(scene.call(&scene.operator, "connection.get_oidc", json!({"id": id})).await.unwrap(), before);
    assert_eq!(scene.events().await.len(), events, "nothing was saved");
    let same = json!({"id": id, "issuer": "https://idp.test", "clientId": "other"});
    scene.call(&scene.operator, "connection.set_oidc", same).await.expect("the same provider, named again");
    let moved = json!({"id": id, "issuer": "https://evil.test", "clientSecret": SECRET});
    let view = scene.call(&scene.operator, "connection.set_oidc", moved).await.expect("with the secret");
    assert_eq!(view["discovery"]["issuer"], "https://evil.test");
    let public = json!({"id": id, "issuer": "https://idp.test", "clientSecret": "", "authMethod": "none"});
    scene.call(&scene.operator, "connection.set_oidc", public).await.expect("without any secret");
}

#[tokio::test]
async fn nobody_gives_a_role_that_may_more_than_they() {
    let scene = Scene::new().await;
    let id = scene.connect(scene.acme, json!({})).await;
    let manager = scene.key(scene.acme, [Grant::ConnectionCreate, Grant::ConnectionManage].into_iter().collect());
    let admin = scene.key(scene.acme, Role::Admin.grants());
    for (caller, role, code) in [
        (&manager, "owner", Some("grant_exceeds_caller")),
        (&manager, "admin", Some("grant_exceeds_caller")),
        (&manager, "viewer", Some("grant_exceeds_caller")),
        (&manager, "member", None),
        (&admin, "owner", Some("grant_exceeds_caller")),
        (&admin, "admin", None),
        (&scene.admin(scene.acme), "owner", None),
        (&scene.operator, "owner", None),
    ] {
        scene.world.env.advance(Duration::from_secs(60));
        let mut wish = scene.wish(scene.acme);
        wish["defaultRole"] = json!(role);
        let patch = json!({"id": id, "defaultRole": role});
        match code {
            None => {
                let view = scene.call(caller, "connection.update", patch).await.unwrap();
                assert_eq!(view["defaultRole"], role);
                let made = scene.call(caller, "connection.create", wish).await.unwrap();
                scene.call(&scene.operator, "connection.delete", json!({"id": made["id"]})).await.unwrap();
            }
            Some(code) => {
                let before = scene.count("connection").await;
                assert_eq!(scene.refused(caller, "connection.update", patch).await, code, "{role}");
                assert_eq!(scene.refused(caller, "connection.create", wish).await, code, "{role}");
                assert_eq!(scene.count("connection").await, before);
                assert_eq!(scene.events().await.pop().unwrap().kind.name(), "operation.refused");
            }
        }
    }
    scene.call(&manager, "connection.update", json!({"id": id, "defaultRole": null})).await.expect("taking is free");
}

#[tokio::test]
async fn an_id_of_ones_own_is_taken_once() {
    let scene = Scene::new().await;
    let id = ConnectionId::new(&scene.world.env);
    assert_eq!(scene.connect(scene.acme, json!({"id": id})).await, id);
    let mut again = scene.wish(scene.other);
    again["id"] = json!(id);
    assert_eq!(scene.refused(&scene.operator, "connection.create", again).await, "taken");
    let view = perform(&scene.operator, &GetConnection { id }).await.unwrap();
    assert_eq!(view.organization, scene.acme);
}

#[tokio::test]
async fn lists_have_pages_and_filters() {
    let scene = Scene::new().await;
    for n in 0..5 {
        scene.connect(scene.acme, json!({"name": format!("c{n}"), "activate": n % 2 == 0})).await;
        scene.world.env.advance(Duration::from_millis(1));
    }
    scene.connect(scene.other, json!({})).await;
    let mut names = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let input = json!({"organization": scene.acme, "limit": 2, "cursor": cursor});
        let page = scene.call(&scene.operator, "connection.list", input).await.unwrap();
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        cursor = page["next"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(names, ["c0", "c1", "c2", "c3", "c4"]);
    let active =
        ListConnections { organization: Some(scene.acme), status: Some(Status::Active), ..ListConnections::default() };
    assert_eq!(perform(&scene.operator, &active).await.unwrap().items.len(), 3);
    let all = perform(&scene.operator, &ListConnections::default()).await.unwrap();
    assert_eq!(all.items.len(), 6, "the operator sees all");
    let bad = json!({"organization": scene.acme, "cursor": "!"});
    assert_eq!(scene.refused(&scene.operator, "connection.list", bad).await, "invalid_input");
}
