//! Scopes that follow from groups (OP-07: never more than the app may have, and never more than before).

use authd::connection::{Connection, CreateConnection, UpdateConnection};
use authd::directory::Membership;
use authd::id::{ConnectionId, OrganizationId, UserId};
use authd::session::{Epochs, NewSession, Session};
use authd::store::Batch;
use serde_json::{Value, json};

use super::{Client, Lab, Redeem, basic, part, query, request, with};

struct Scene {
    lab: Lab,
    organization: OrganizationId,
    connection: ConnectionId,
    user: UserId,
}

impl Scene {
    async fn new(fields: Value) -> Self {
        let lab = Lab::new().await;
        let organization = lab.organization("Acme").await;
        let mut input = json!({"organization": organization, "protocol": "oidc", "name": "Okta"});
        input.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let created = lab.perform(serde_json::from_value::<CreateConnection>(input).unwrap()).await;
        let user = lab.person(organization, "ada").await;
        Self { lab, organization, connection: created.connection.id, user }
    }

    async fn groups(&self, groups: &[&str]) {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        self.lab.change(self.organization, self.user, |member: &mut Membership| member.groups = groups).await;
    }

    /// A session through the connection.
    async fn session(&self) -> Session {
        let new = NewSession {
            organization: self.organization,
            user: self.user,
            connection: Some(self.connection),
            under: Epochs::default(),
            auth_time: self.lab.env().now(),
            acr: None,
            amr: Vec::new(),
            upstream_session: None,
            upstream_subject: None,
            break_glass: None,
            handed: false,
            email: None,
            until: None,
        };
        let mut batch = Batch::new();
        let opened = Session::open(&self.lab.operator(), new, &mut batch).await.unwrap();
        self.lab.store().commit(batch).await.unwrap();
        opened.session
    }

    async fn tokens(&self, client: &Client, scope: &str) -> super::Answer {
        let id = client.id.to_string();
        let asked = self.lab.authorize(&with(&request(&id), "scope", Some(scope))).await.unwrap();
        let url = self.lab.mint(&asked, &self.session().await).await;
        let redeem = Redeem {
            client,
            code: query(&url, "code").unwrap(),
            redirect_uri: super::CALLBACK.to_owned(),
            verifier: Some(super::VERIFIER.to_owned()),
        };
        self.lab.redeem(&redeem).await
    }
}

fn sorted(answer: &super::Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut words: Vec<&str> = answer.text("scope").split(' ').collect();
    words.sort_unstable();
    let mut inside: Vec<String> =
        part(answer.text("access_token"), 1)["scope"].as_str().unwrap().split(' ').map(str::to_owned).collect();
    inside.sort();
    assert_eq!(words, inside, "the answer and the token say the same");
    words.join(" ")
}

#[tokio::test]
async fn op_07_groups_give_scopes_that_the_app_has_and_asking_gives_none() {
    let mapping = json!({"scopeMapping": {"admins": ["docs.write", "docs.read"], "staff": ["docs.read"]},
        "defaultScopes": ["docs.list"]});
    let scene = Scene::new(mapping).await;
    let all =
        scene.lab.app(scene.organization, json!({"scopes": ["docs.write", "docs.read", "docs.list", "free"]})).await;
    let few = scene.lab.app(scene.organization, json!({"scopes": ["docs.read"]})).await;
    let none = scene.lab.app(scene.organization, json!({})).await;
    for (groups, client, asked, given) in [
        (&["staff"][..], &all, "openid", "docs.read openid"),
        (&["staff", "admins"], &all, "openid", "docs.read docs.write openid"),
        (&["staff"], &all, "openid docs.write free", "docs.read free openid"),
        (&["STAFF"], &all, "openid", "docs.list openid"),
        (&[], &all, "openid docs.write docs.read", "docs.list openid"),
        (&["admins"], &few, "openid", "docs.read openid"),
        (&["admins"], &none, "openid docs.write", "openid"),
    ] {
        scene.groups(groups).await;
        let tokens = scene.tokens(client, asked).await;
        assert_eq!(sorted(&tokens), given, "{groups:?} {asked}");
    }
}

#[tokio::test]
async fn op_07_a_refreshed_token_loses_what_its_groups_no_longer_give_and_gains_nothing() {
    let scene = Scene::new(json!({"scopeMapping": {"admins": ["docs.write"], "staff": ["docs.read"]}})).await;
    let app = json!({"scopes": ["docs.write", "docs.read"], "grantTypes": ["authorization_code", "refresh_token"]});
    let client = scene.lab.app(scene.organization, app).await;
    scene.groups(&["admins"]).await;
    let mut tokens = scene.tokens(&client, "openid offline_access").await;
    assert_eq!(sorted(&tokens), "docs.write offline_access openid");
    let authorization = basic(&client.id.to_string(), client.secret.as_deref().unwrap());
    for (groups, asked, given) in [
        (&["admins", "staff"][..], None, "docs.write offline_access openid"),
        (&["staff"], None, "offline_access openid"),
        (&["admins"], Some("openid docs.write"), "docs.write openid"),
    ] {
        scene.groups(groups).await;
        let refresh = tokens.text("refresh_token").to_owned();
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
        form.extend(asked.map(|scope| ("scope", scope)));
        let next = scene.lab.token(&form, Some(&authorization)).await;
        assert_eq!(sorted(&next), given, "{groups:?}");
        tokens = next;
        scene.lab.env().advance(std::time::Duration::from_secs(30));
    }
    scene.groups(&["staff"]).await;
    let refresh = tokens.text("refresh_token").to_owned();
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*refresh), ("scope", "docs.read")];
    scene.lab.token(&form, Some(&authorization)).await.refused(400, "invalid_scope");
}

#[tokio::test]
async fn a_mapping_of_scopes_is_changed_and_taken_away() {
    let scene = Scene::new(json!({})).await;
    let client = scene.lab.app(scene.organization, json!({"scopes": ["docs.read"]})).await;
    scene.groups(&["staff"]).await;
    assert_eq!(sorted(&scene.tokens(&client, "openid docs.read").await), "docs.read openid", "no mapping, no rule");
    let update = async |changes: Value| {
        let mut input = json!({"id": scene.connection});
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let operation: UpdateConnection = serde_json::from_value(input).unwrap();
        authd::access::perform(&scene.lab.operator(), &operation).await
    };
    update(json!({"scopeMapping": {"admins": ["docs.read"]}})).await.unwrap();
    assert_eq!(sorted(&scene.tokens(&client, "openid docs.read").await), "openid");
    update(json!({"scopeMapping": null, "defaultScopes": ["docs.read"]})).await.unwrap();
    assert_eq!(sorted(&scene.tokens(&client, "openid").await), "docs.read openid");
    update(json!({"defaultScopes": null})).await.unwrap();
    let kept = Connection::load(scene.lab.store(), scene.connection).await.unwrap().value;
    assert!(kept.scope_mapping.is_none() && kept.default_scopes.is_none());
    for wrong in [
        json!({"scopeMapping": {"a": ["two words"]}}),
        json!({"scopeMapping": {"": ["x"]}}),
        json!({"defaultScopes": ["q\"uote"]}),
        json!({"defaultScopes": [""]}),
    ] {
        assert_eq!(update(wrong.clone()).await.unwrap_err().code(), "invalid_input", "{wrong}");
    }
}
